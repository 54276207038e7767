/* A store that is damaged, or that this device's keys do not open any more: each step that needs what is lost says so with
 * FM_ECORRUPT, and none takes it for "not held" or for a bug. */
#include "tests/support/lab_three.h"
#include "replication/submit.h"
#include "replication/uuid.h"
#include "tests/support/text_doc.h"

static int no_unbox(void *ctx, struct fm_key *data_key, const uint8_t sealed[80])
{
    (void)ctx, (void)data_key, (void)sealed;
    return FM_EKEY;
}

/* The node starts again with another box key: what is sealed stays sealed. */
static void lose_keys(struct fm_lab_node *n)
{
    n->device.crypto.unbox = no_unbox;
    assert_int_equal(fm_lab_restart(n), 0);
}

static struct fm_event submitting(struct fm_lab_node *n, const char *type, const char *action, int64_t version,
                                  const char *document)
{
    struct fm_submission *s = fm_arena_take(&n->arena, sizeof *s);
    assert_non_null(s);
    *s = (struct fm_submission){.type = fm_span_str(type),
                                .action = fm_span_str(action),
                                .has_version = true,
                                .version = version,
                                .data = fm_text_doc(&n->arena, document),
                                .actor = fm_span_str("operator")};
    return (struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = s};
}

#define RECORD_1 "{id:\"07070707-0707-0707-0707-070707070701\", priority:\"HIGH\"}"

static void test_sealed_records_without_their_key(void **state)
{
    struct three *t = *state;
    struct fm_version_id base = write_one(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1}");
    write_one(&t->hub, FM_UPDATE, 1, 2, &base, "{a:2}");
    struct fm_version_id other = write_one(&t->hub, FM_UPDATE, 1, 2, &base, "{a:3}");
    assert_int_equal(fm_lab_end(&t->hub), 0);
    fm_lab_exchange(&t->a, &t->hub, 0);
    write_one(&t->a, FM_UPDATE, 1, 2, &base, "{a:4}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    lose_keys(&t->hub);
    struct fm_resolution s = {.strategy = FM_TAKE_WINNER, .loser = other, .actor = fm_span_str("operator")};
    struct fm_buf bytes;
    const struct fm_port *port = fm_memory_port(t->a.store);
    uint64_t last;
    assert_int_equal(port->arrival_last(port->ctx, &last), 0);
    fm_buf_init(&bytes, 0);
    assert_int_equal(port->set_bytes(port->ctx, last, &bytes), 0);
    struct fm_event events[] = {submitting(&t->hub, "assessment", "update", 3, RECORD_1),
                                submitting(&t->hub, "assessment", "create", 1, RECORD_1),
                                submitting(&t->hub, "assessment", "delete", 3, RECORD_1),
                                {.kind = FM_EVENT_RESOLVE, .resolution = &s}};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        assert_int_equal(fm_lab_step(&t->hub, events[i]), FM_ECORRUPT);
        assert_int_equal(fm_lab_crash(&t->hub), 0);
    }
    int refused; /* what cannot be read is kept all the same, and judged when its key comes */
    assert_int_equal(fm_lab_take(&t->hub, fm_buf_span(&bytes), &refused), 0);
    assert_int_equal(refused, 0);
    fm_buf_fini(&bytes);
}

/* A revocation folds again what was read before; that it cannot be read now is damage. */
static void test_folds_without_their_key(void **state)
{
    struct three *t = *state;
    int refused;
    struct fm_version_id base = write_one(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->hub), 0);
    fm_lab_exchange(&t->a, &t->hub, 0);
    write_one(&t->a, FM_UPDATE, 1, 3, &base, "{a:4}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    write_one(&t->hub, FM_UPDATE, 1, 2, &base, "{a:2}");
    write_one(&t->hub, FM_UPDATE, 1, 2, &base, "{a:3}");
    assert_int_equal(fm_lab_end(&t->hub), 0);
    fm_lab_exchange(&t->hub, &t->a, 0);
    lose_keys(&t->hub);
    struct fm_act act = {.kind = FM_ACT_REVOKE, .node = t->a.self.author};
    assert_int_equal(fm_lab_act(&t->hub, &act, &refused), FM_ECORRUPT);
}

/* The list of what is to be folded outlived the key. */
static void test_the_list_of_folds_without_their_key(void **state)
{
    struct three *t = *state;
    struct fm_row row = {
        .kind = FM_ROW_TOUCH, .record_kind = FM_KIND_ASSESSMENT, .record = fm_lab_record(1), .present = true};
    struct fm_version_id base = write_one(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1}");
    write_one(&t->hub, FM_UPDATE, 1, 2, &base, "{a:2}");
    write_one(&t->hub, FM_UPDATE, 1, 2, &base, "{a:3}");
    assert_int_equal(fm_lab_end(&t->hub), 0);
    assert_int_equal(fm_memory_apply(t->hub.store, &row), 0);
    t->hub.device.crypto.unbox = no_unbox;
    assert_int_equal(fm_lab_restart(&t->hub), FM_ECORRUPT);
}

/* --- rows that are gone --- */

static struct fm_port broken;
static int lost(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                struct fm_set_meta *out)
{
    (void)ctx, (void)stream, (void)sequence, (void)id, (void)out;
    return FM_ENOTFOUND;
}

static int no_versions(void *ctx, uint8_t kind, const struct fm_record_id *record, struct fm_arena *arena,
                       struct fm_version **out, size_t *count)
{
    (void)ctx, (void)kind, (void)record, (void)arena, (void)out;
    *count = 0;
    return FM_OK;
}

static int no_version(void *ctx, const struct fm_version_id *id, struct fm_arena *arena, struct fm_version *out)
{
    (void)ctx, (void)id, (void)arena, (void)out;
    return FM_ENOTFOUND;
}

static void start_on(struct fm_lab_node *n)
{
    fm_repl_free(n->core);
    n->core = fm_repl_new(&n->self, &n->device.crypto, &broken);
    assert_non_null(n->core);
    assert_int_equal(fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_START}), 0);
}

static void test_rows_that_are_gone(void **state)
{
    struct three *t = *state;
    struct fm_version_id id;
    write_one(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1}");
    struct fm_change policy = fm_lab_change(&t->hub, FM_CREATE, 0, 1, NULL, "{autoSettle:\"never\"}");
    policy.kind = FM_KIND_POLICY;
    fm_policy_id(t->hub.core, &policy.record);
    assert_int_equal(fm_lab_write(&t->hub, &policy, &id), 0);
    assert_int_equal(fm_lab_end(&t->hub), 0);
    struct fm_version_id base = write_one(&t->a, FM_CREATE, 2, 1, NULL, "{a:1}");
    write_one(&t->a, FM_UPDATE, 2, 2, &base, "{a:2}");
    write_one(&t->a, FM_UPDATE, 2, 2, &base, "{a:3}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    broken = *fm_memory_port(t->hub.store);
    broken.versions = no_versions; /* a head without its versions */
    start_on(&t->hub);
    assert_int_equal(fm_lab_step(&t->hub, submitting(&t->hub, "assessment", "update", 2, RECORD_1)), FM_ECORRUPT);
    broken = *fm_memory_port(t->hub.store);
    broken.set_get = lost; /* a tip without its set */
    start_on(&t->hub);
    assert_int_equal(fm_lab_step(&t->hub, submitting(&t->hub, "entity", "create", 1, "{name:\"x\"}")), FM_ECORRUPT);
    broken = *fm_memory_port(t->hub.store);
    broken.version_get = no_version; /* the policy's head without its winner, when a conflict asks for it */
    start_on(&t->hub);
    const struct fm_port *port = fm_memory_port(t->a.store);
    struct fm_buf bytes;
    uint64_t last;
    assert_int_equal(port->arrival_last(port->ctx, &last), 0);
    fm_buf_init(&bytes, 0);
    assert_int_equal(port->set_bytes(port->ctx, last, &bytes), 0);
    assert_int_equal(fm_lab_step(&t->hub, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&bytes)}), 0);
    assert_int_equal(fm_lab_step(&t->hub, (struct fm_event){.kind = FM_EVENT_TURN_END}), FM_ECORRUPT);
    fm_buf_fini(&bytes);
    assert_int_equal(fm_lab_crash(&t->hub), 0);
}

static void test_a_clock_of_another_size(void **state)
{
    struct three *t = *state;
    static const size_t sizes[] = {0, 7, 9, 8};
    static const uint8_t bytes[9] = {0, 0, 0, 0, 0, 0, 0, 5, 5};
    for (size_t i = 0; i < 4; i++) {
        struct fm_row row = {.kind = FM_ROW_META, .name = FM_META_CLOCK, .bytes = fm_span(bytes, sizes[i])};
        assert_int_equal(fm_memory_apply(t->a.store, &row), 0);
        assert_int_equal(fm_lab_restart(&t->a), sizes[i] == 8 ? 0 : FM_ECORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_sealed_records_without_their_key), CASE(test_folds_without_their_key),
                                       CASE(test_the_list_of_folds_without_their_key), CASE(test_rows_that_are_gone),
                                       CASE(test_a_clock_of_another_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
