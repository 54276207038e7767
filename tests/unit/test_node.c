/* A node on a real folder, store and core: what a turn lets out and when, what a failed one leaves, and when a node must
 * not go on in its old streams. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/compress.h"
#include "node/node.h"
#include "replication/error.h"
#include "replication/pack.h"

static char dir[64];
static struct fm_paths paths;
static struct fm_buf birth; /* the root's grant for the node, as a set */

struct heard {
    size_t results, taken, members;
    int error; /* of the last result or taking */
    enum fm_result_status status;
    uint64_t ticket;
    char code[32];
};

static void on_result(void *ctx, uint64_t ticket, const struct fm_result *result, int error)
{
    struct heard *h = ctx;
    h->results++;
    h->ticket = ticket;
    h->error = error;
    h->status = result->status;
    snprintf(h->code, sizeof h->code, "%s", result->code);
}
static void on_taken(void *ctx, uint64_t ticket, int error, const struct fm_set_id *set)
{
    struct heard *h = ctx;
    (void)ticket, (void)set;
    h->taken++;
    h->error = error;
}
static void on_members(void *ctx)
{
    ((struct heard *)ctx)->members++;
}

static void listen_to(struct fm_node *n, struct heard *h)
{
    *h = (struct heard){0};
    n->effects = (struct fm_effects){.ctx = h, .result = on_result, .taken = on_taken, .members = on_members};
}

/* --- a folder with a coordinator's keys; the store is made by the first open --- */

static void make_grant(struct fm_identity *id)
{
    static struct fm_act act;
    struct fm_crypto crypto = {0};
    struct fm_buf bytes;
    struct fm_key data_key = {{1}};
    fm_crypto_port(&crypto, &id->device);
    fm_compress_port(&crypto);
    fm_buf_init(&bytes, FM_CHANGE_BYTES_MAX);
    fm_buf_init(&birth, FM_SET_BYTES_MAX);
    struct fm_grant *g = &act.grant;
    act.kind = FM_ACT_GRANT;
    *g = (struct fm_grant){.author = id->device.author_public, .transport = id->device.transport_public,
                           .box = id->device.box_public, .name = fm_span_str("Hub"), .role = FM_ROLE_COORDINATOR,
                           .epoch_first = 1, .epoch_last = UINT32_MAX, .serial = 1, .key_count = 1};
    const struct fm_span key_parts[] = {fm_span_str(FM_DOMAIN_DATA_KEY), fm_span(data_key.b, 32)};
    crypto.hash(crypto.ctx, g->keys[0].id.b, sizeof g->keys[0].id.b, key_parts, 2);
    assert_int_equal(crypto.box(crypto.ctx, g->keys[0].sealed, &data_key, &g->box), FM_OK);
    assert_int_equal(fm_grant_encode(&bytes, g), FM_OK);
    g->bytes = fm_buf_span(&bytes);
    const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_GRANT), fm_span(id->mesh.b, 32), g->bytes};
    crypto.hash(crypto.ctx, id->grant.b, sizeof id->grant.b, parts, 3);
    const struct fm_act *acts[] = {&act};
    assert_int_equal(fm_root_sign(&birth, id, &paths, &crypto, acts, 1, 1000), FM_OK);
    fm_buf_fini(&bytes);
}

static void make_folder(uint64_t map_bytes)
{
    struct fm_identity id;
    struct fm_config config = {.name = "Hub", .role = "coordinator", .listen = "127.0.0.1:0", .http = "127.0.0.1:0"};
    config.map_bytes = map_bytes;
    assert_int_equal(fm_identity_create(&id, &paths), FM_OK);
    assert_int_equal(fm_identity_create_root(&id, &paths), FM_OK);
    make_grant(&id);
    assert_int_equal(fm_identity_save_mesh(&id, &paths), FM_OK);
    assert_int_equal(fm_config_write(&config, paths.config), FM_OK);
    fm_identity_wipe(&id);
}

static int setup(void **state)
{
    char data[128];
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/fm_node_XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(data, sizeof data, "%s/node", dir);
    return mkdir(data, 0700) != 0 || fm_paths_of(&paths, data) != FM_OK || fm_crypto_init() != FM_OK;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    fm_buf_fini(&birth);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void take_birth(struct fm_node *n)
{
    assert_int_equal(fm_node_begin(n), FM_OK);
    assert_int_equal(fm_node_event(n, &(struct fm_event){.kind = FM_EVENT_TAKE, .ticket = 1, .bytes = fm_buf_span(&birth)}),
                     FM_OK);
    assert_int_equal(fm_node_commit(n), FM_OK);
}

/* A node that is open, joined, and listened to. */
static struct fm_node *node_new(struct heard *h, uint64_t map_bytes)
{
    struct fm_node *n;
    make_folder(map_bytes);
    assert_int_equal(fm_node_open(&n, &paths), FM_OK);
    listen_to(n, h);
    take_birth(n);
    assert_int_equal(h->taken, 1);
    assert_int_equal(h->error, FM_OK);
    assert_int_equal(fm_repl_role(n->repl), FM_ROLE_COORDINATOR);
    return n;
}

static struct fm_node *node_again(struct heard *h)
{
    struct fm_node *n;
    assert_int_equal(fm_node_open(&n, &paths), FM_OK);
    listen_to(n, h);
    return n;
}

/* Creates one entity (rule 55: the operator of a coordinator node may) with a note of so many bytes. */
static int submit(struct fm_node *n, unsigned number, size_t note_bytes)
{
    static char note[16 * 1024];
    char name[32], offline[32];
    struct fm_buf doc;
    struct fm_pack p;
    struct fm_submission s = {.ticket = fm_node_ticket(n), .type = fm_span_str("entity"), .action = fm_span_str("create"),
                              .has_version = true, .version = 1, .actor = fm_span_str("operator")};
    snprintf(name, sizeof name, "Ward %u", number);
    snprintf(offline, sizeof offline, "ward-%u", number);
    for (size_t i = 0; i < note_bytes; i++) { /* does not compress */
        fm_crypto_random(&note[i], 1);
        note[i] = (char)('!' + (note[i] & 63));
    }
    fm_buf_init(&doc, FM_CHANGE_BYTES_MAX);
    fm_pack_init(&p, &doc);
    s.offline_id = fm_span_str(offline);
    fm_pack_map(&p, 4);
    fm_pack_str(&p, fm_span_str("isActive"));
    fm_pack_bool(&p, true);
    fm_pack_str(&p, fm_span_str("name"));
    fm_pack_str(&p, fm_span_str(name));
    fm_pack_str(&p, fm_span_str("note"));
    fm_pack_str(&p, fm_span(note, note_bytes));
    fm_pack_str(&p, fm_span_str("type"));
    fm_pack_str(&p, fm_span_str("CAMP"));
    assert_int_equal(p.error, FM_OK);
    s.data = fm_buf_span(&doc);
    int rc = fm_node_event(n, &(struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s});
    fm_buf_fini(&doc);
    return rc;
}

static void submit_one(struct fm_node *n, struct heard *h, unsigned number)
{
    size_t before = h->results;
    assert_int_equal(fm_node_begin(n), FM_OK);
    assert_int_equal(submit(n, number, 10), FM_OK);
    assert_int_equal(fm_node_commit(n), FM_OK);
    assert_int_equal(h->results, before + 1);
    if (h->status != FM_SUCCESS)
        fail_msg("not stored: %s", h->code);
}

static uint64_t records(struct fm_node *n)
{
    struct fm_store_counts c;
    assert_int_equal(fm_store_counts(n->store, &c), FM_OK);
    return c.records;
}

static struct fm_digest state_digest(struct fm_node *n)
{
    struct fm_digest sets, digest;
    assert_int_equal(fm_repl_digest(n->repl, &sets, &digest), FM_OK);
    return digest;
}

static uint64_t note(struct fm_node *n, const char *name)
{
    struct fm_buf buf;
    fm_buf_init(&buf, 64);
    assert_int_equal(fm_store_note_get(n->store, name, &buf), FM_OK);
    assert_int_equal(buf.len, 8);
    uint64_t value = fm_be_get(buf.data, 8);
    fm_buf_fini(&buf);
    return value;
}

/* --- the turn --- */

static void test_results_come_after_the_commit(void **state)
{
    struct heard h;
    struct fm_node *n = node_new(&h, 0);
    (void)state;
    assert_true(h.members >= 1);
    assert_int_equal(fm_node_begin(n), FM_OK);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(submit(n, i, 10), FM_OK);
    assert_int_equal(h.results, 0);
    assert_int_equal(fm_node_commit(n), FM_OK);
    assert_int_equal(h.results, 5);
    assert_int_equal(h.ticket, n->ticket_last);
    assert_int_equal(h.status, FM_SUCCESS);
    assert_int_equal(records(n), 5);
    fm_node_close(n);
}

static void test_a_turn_without_rows_writes_nothing(void **state)
{
    struct heard h;
    struct fm_node *n = node_new(&h, 0);
    struct stat before, after;
    char file[FM_PATH_MAX + 16];
    (void)state;
    submit_one(n, &h, 1);
    snprintf(file, sizeof file, "%s/data.mdb", paths.store);
    assert_int_equal(stat(file, &before), 0);
    usleep(20000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fm_node_begin(n), FM_OK);
        assert_int_equal(fm_node_event(n, &(struct fm_event){.kind = FM_EVENT_TICK}), FM_OK);
        assert_int_equal(fm_node_commit(n), FM_OK);
    }
    assert_int_equal(stat(file, &after), 0);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
    fm_node_close(n);
}

/* The map is full in the middle of a turn: everything of the turn is told "not stored", the rest stands, and goes on. */
static void test_a_full_store_loses_the_turn_and_nothing_else(void **state)
{
    struct heard h;
    struct fm_node *n = node_new(&h, 2u * 1024 * 1024);
    unsigned number = 0;
    int rc = FM_OK;
    (void)state;
    while (rc == FM_OK && number < 2000) {
        struct fm_digest before = state_digest(n);
        uint64_t held = records(n);
        h.results = 0;
        assert_int_equal(fm_node_begin(n), FM_OK);
        for (int i = 0; i < 8 && rc == FM_OK; i++)
            rc = submit(n, number++, 12000);
        int committed = fm_node_commit(n);
        if (rc != FM_OK)
            assert_int_equal(committed, rc); /* the turn's first error is what its end says */
        rc = committed;
        if (rc == FM_OK) {
            assert_int_equal(h.results, 8);
            assert_int_equal(records(n), held + 8);
            continue;
        }
        assert_true(h.results <= 8);
        if (h.results > 0)
            assert_int_equal(h.error, rc);
        struct fm_digest after = state_digest(n);
        assert_memory_equal(before.b, after.b, sizeof before.b);
        assert_int_equal(records(n), held);
    }
    assert_int_equal(rc, FM_EFULL);
    assert_int_equal(fm_node_begin(n), FM_OK); /* it still answers */
    assert_int_equal(fm_node_event(n, &(struct fm_event){.kind = FM_EVENT_TICK}), FM_OK);
    assert_int_equal(fm_node_commit(n), FM_OK);
    struct fm_digest last = state_digest(n);
    fm_node_close(n);
    n = node_again(&h);
    struct fm_digest again = state_digest(n);
    assert_memory_equal(last.b, again.b, sizeof last.b);
    fm_node_close(n);
}

/* The disk fails under a commit: no more turns on this store; what was acknowledged is there after the next open. */
static void test_a_failing_disk_ends_the_node_and_keeps_what_was_acknowledged(void **state)
{
    struct heard h;
    struct fm_node *n = node_new(&h, 0);
    struct rlimit before, low;
    struct stat st;
    char file[FM_PATH_MAX + 16];
    (void)state;
    submit_one(n, &h, 1);
    struct fm_digest kept = state_digest(n);
    snprintf(file, sizeof file, "%s/data.mdb", paths.store);
    assert_int_equal(stat(file, &st), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    low = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0); /* any page past the two meta pages fails */
    h.results = 0;
    assert_int_equal(fm_node_begin(n), FM_OK);
    for (unsigned i = 2; i < 10; i++)
        assert_int_equal(submit(n, i, 12000), FM_OK);
    int rc = fm_node_commit(n);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_true(rc == FM_EIO || rc == FM_ESTORE || rc == FM_EDISKFULL);
    assert_int_equal(h.results, 8);
    assert_int_equal(h.error, rc);
    if (rc != FM_EDISKFULL) {
        assert_null(n->repl);
        assert_int_equal(fm_node_begin(n), FM_ESTORE);
    }
    fm_node_close(n);
    n = node_again(&h);
    struct fm_digest again = state_digest(n);
    assert_memory_equal(kept.b, again.b, sizeof kept.b);
    submit_one(n, &h, 20);
    fm_node_close(n);
}

/* --- identity and continuity --- */

static void test_reopening_goes_on_in_the_same_streams(void **state)
{
    struct heard h;
    struct fm_node *n = node_new(&h, 0), *second;
    (void)state;
    submit_one(n, &h, 1);
    uint64_t incarnation = note(n, "incarnation"), counter = note(n, "open-counter");
    assert_int_not_equal(incarnation, 0);
    assert_int_equal(fm_node_open(&second, &paths), FM_EBUSY); /* and does not count as a start */
    for (unsigned i = 0; i < 3; i++) {
        struct fm_digest before = state_digest(n);
        fm_node_close(n);
        n = node_again(&h);
        struct fm_digest after = state_digest(n);
        assert_memory_equal(before.b, after.b, sizeof before.b);
        assert_int_equal(note(n, "incarnation"), incarnation);
        assert_int_equal(note(n, "open-counter"), counter + 1 + i);
        submit_one(n, &h, 2 + i);
    }
    assert_int_equal(records(n), 4);
    fm_node_close(n);
}

static void forget_machine(struct fm_node *n)
{
    assert_int_equal(fm_node_begin(n), FM_OK);
    assert_int_equal(fm_store_note_put(n->store, "machine", fm_span("another machine!", 16)), FM_OK);
    assert_int_equal(fm_node_commit(n), FM_OK);
}
static void forget_incarnation(struct fm_node *n)
{
    uint8_t zeros[8] = {0}; /* what a restored backup holds: no identity */
    assert_int_equal(fm_node_begin(n), FM_OK);
    assert_int_equal(fm_store_note_put(n->store, "incarnation", fm_span(zeros, 8)), FM_OK);
    assert_int_equal(fm_node_commit(n), FM_OK);
}

static void test_when_a_new_incarnation_is_drawn(void **state)
{
    const struct {
        const char *what;
        unsigned opened; /* so often in between, with a store that is not the one below */
        bool begun;      /* once more, but for the counter's first step only */
        bool wiped;      /* the store's folder is gone */
        void (*edit)(struct fm_node *n);
        bool fresh;
    } list[] = {
        {"a clean stop", 0, false, false, NULL, false},
        {"a crash between the counter and the store", 0, true, false, NULL, false},
        {"an older store put back", 1, false, false, NULL, true},
        {"an older store put back after a crash", 1, true, false, NULL, true},
        {"much older", 50, false, false, NULL, true},
        {"a wiped store", 0, false, true, NULL, true},
        {"another machine", 0, false, false, forget_machine, true},
        {"a store without identity", 0, false, false, forget_incarnation, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct heard h;
        struct fm_node *n = node_new(&h, 0);
        uint64_t before = note(n, "incarnation"), counter = note(n, "open-counter");
        submit_one(n, &h, 1);
        if (list[i].edit != NULL)
            list[i].edit(n);
        fm_node_close(n);
        for (unsigned s = 0; s < list[i].opened; s++)
            assert_int_equal(fm_identity_counter_done(&paths, ++counter), FM_OK);
        for (unsigned s = 0; list[i].begun && s < 3; s++) /* however often it crashes there */
            assert_int_equal(fm_identity_counter_begin(&paths, counter + 1), FM_OK);
        char command[FM_PATH_MAX + 16];
        snprintf(command, sizeof command, "rm -rf '%s'", paths.store);
        assert_int_equal(list[i].wiped ? system(command) : 0, 0);
        n = node_again(&h);
        uint64_t after = note(n, "incarnation");
        if ((after != before) != list[i].fresh)
            fail_msg("%s: the incarnation is %s", list[i].what, after != before ? "new" : "the old one");
        if (list[i].wiped) {
            assert_int_equal(records(n), 0);
            take_birth(n);
        }
        submit_one(n, &h, 2); /* it may write, in either stream */
        fm_node_close(n);
        n = node_again(&h);
        assert_int_equal(note(n, "incarnation"), after); /* drawn once, not at each start */
        fm_node_close(n);
        teardown(NULL);
        assert_int_equal(setup(NULL), 0);
    }
}

/* As a join does it, outside a turn and inside one. */
static void test_reidentify_starts_the_core_as_another_one(void **state)
{
    (void)state;
    for (int in_turn = 0; in_turn < 2; in_turn++) {
        struct heard h;
        struct fm_node *n;
        make_folder(0);
        assert_int_equal(fm_node_open(&n, &paths), FM_OK);
        listen_to(n, &h);
        struct fm_grant_id grant = n->identity.grant;
        uint64_t incarnation = note(n, "incarnation");
        memset(&n->identity.grant, 0, sizeof n->identity.grant); /* as before a join */
        assert_int_equal(fm_node_reidentify(n), FM_OK);
        assert_int_equal(fm_repl_role(n->repl), FM_ROLE_NONE);
        n->identity.grant = grant;
        h.members = 0;
        if (in_turn)
            assert_int_equal(fm_node_begin(n), FM_OK);
        assert_int_equal(fm_node_reidentify(n), FM_OK);
        assert_int_equal(n->in_turn, in_turn == 1);
        if (in_turn)
            assert_int_equal(fm_node_commit(n), FM_OK);
        assert_true(h.members >= 1);
        assert_int_equal(note(n, "incarnation"), incarnation); /* not a start of the node */
        take_birth(n);
        assert_int_equal(fm_repl_role(n->repl), FM_ROLE_COORDINATOR);
        submit_one(n, &h, 1);
        assert_int_equal(records(n), 1);
        fm_node_close(n);
        teardown(NULL);
        assert_int_equal(setup(NULL), 0);
    }
}

static void test_no_node_here(void **state)
{
    struct fm_node *n = NULL;
    (void)state;
    assert_int_equal(fm_node_open(&n, &paths), FM_ENOTFOUND);
    assert_null(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_results_come_after_the_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_turn_without_rows_writes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_store_loses_the_turn_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failing_disk_ends_the_node_and_keeps_what_was_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopening_goes_on_in_the_same_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(test_when_a_new_incarnation_is_drawn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reidentify_starts_the_core_as_another_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_node_here, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
