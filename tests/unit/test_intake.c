/* What a set is after intake: void bodies, keys that come later, reindex, and a store that fails at any row. */
#include "tests/support/lab_three.h"

/* --- void --- */

static void test_a_void_body_stalls_nothing(void **state)
{
    struct three *t = *state;
    struct fm_key key = fm_lab_key("k1");
    struct fm_set_header header = {.stream = {.incarnation = 99, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_lab_set set[4];
    struct fm_set_id prev;
    struct fm_span item = item_of(&t->a, 1, 1, "{a:1}");
    for (unsigned i = 0; i < 4; i++) {
        header.sequence = i + 1;
        header.has_prev = i > 0;
        if (i > 0)
            header.prev = prev;
        header.change_count = i == 1 ? 2 : 1; /* 1: the count does not fit the body */
        if (i == 3)
            fm_lab_set(&set[i], &t->a.device, header, &item, 1, &key);
        else
            fm_lab_set_of(&set[i], &t->a.device, header,
                          i == 2 ? fm_span("\x91\xc1", 2) : i == 1 ? fm_span("\x91\x00", 2) : fm_span("nonsense", 8),
                          i == 2 ? NULL : &key);
        prev = set[i].id;
        take(&t->b, &set[i], 0);
        struct fm_set_meta meta = set_of(&t->b, &set[i]);
        assert_int_equal(meta.verdict, i < 3 ? FM_VOID : FM_COUNTED);
        assert_int_equal(meta.why, i < 3 ? FM_WHY_BODY : FM_WHY_NONE);
    }
    assert_true(shown(&t->b, 1));
    for (unsigned i = 0; i < 4; i++)
        fm_lab_set_free(&set[i]);
}

static void test_a_sealed_membership_body_is_void(void **state)
{
    struct three *t = *state;
    struct fm_key key = fm_lab_key("k1");
    struct fm_set_header header = {.stream = {.incarnation = 99, .lane = 0}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_span item = item_of(&t->a, 1, 1, "{a:1}");
    struct fm_lab_set set;
    fm_lab_set(&set, &t->a.device, header, &item, 1, &key);
    take(&t->b, &set, 0);
    assert_int_equal(set_of(&t->b, &set).verdict, FM_VOID);
    assert_int_equal(set_of(&t->b, &set).why, FM_WHY_BODY);
    fm_lab_set_free(&set);
}

/* A coordinator's, with a grant in it that brings a key: nobody takes it in, whether the seal can be opened or not, and a
 * restart changes nothing. */
static void test_what_a_sealed_membership_set_grants_is_no_grant(void **state)
{
    struct three *t = *state;
    static const char *const more[] = {"k2", NULL}, *const seals[] = {"k1", "nobody's"};
    for (size_t i = 0; i < 2; i++) {
        struct fm_key seal = fm_lab_key(seals[i]);
        struct fm_set_header header = {.stream = {.incarnation = 99 + i, .lane = 0}, .has_grant = true,
                                       .grant = grant_of(&t->hub)};
        struct fm_act *grant = fm_lab_grant(&t->b.device, FM_ROLE_CAMP, 8, more);
        struct fm_digest before[2], after[2];
        struct fm_lab_set set;
        struct fm_buf item;
        fm_buf_init(&item, 0);
        assert_int_equal(fm_act_encode(&item, grant), 0);
        struct fm_span act = fm_buf_span(&item);
        fm_lab_set(&set, &t->hub.device, header, &act, 1, &seal);
        take(&t->b, &set, 0);
        assert_int_equal(set_of(&t->b, &set).why, FM_WHY_BODY);
        fm_lab_digest(&t->b, before);
        for (unsigned restart = 0; restart < 2; restart++) {
            assert_int_equal(t->b.core->key_count, 1);
            assert_null(fm_authority_grant(t->b.core->authority, &grant->grant.id));
            assert_int_equal(fm_lab_restart(&t->b), 0);
        }
        fm_lab_digest(&t->b, after);
        assert_memory_equal(before, after, sizeof before);
        fm_lab_set_free(&set);
        fm_buf_fini(&item);
        fm_lab_act_free(grant);
    }
}

static void test_void_by_the_header_opens_all_the_same(void **state)
{
    struct three *t = *state;
    static const struct {
        uint64_t epoch, time;
        uint8_t verdict, why;
    } cases[] = {{2, 200, FM_COUNTED, FM_WHY_NONE}, {1, 300, FM_VOID, FM_WHY_EPOCH},  {2, 300, FM_COUNTED, FM_WHY_NONE},
                 {2, 299, FM_VOID, FM_WHY_TIME},    {10, 400, FM_VOID, FM_WHY_EPOCH}, {9, 400, FM_VOID, FM_WHY_EPOCH}};
    struct fm_set_header header = {.stream = {.incarnation = 99, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_set_id prev = {{0}};
    for (uint8_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fm_lab_set set;
        struct fm_head head;
        struct fm_span item = item_of(&t->a, i, 1, "{a:1}");
        header.sequence = i + 1u;
        header.has_prev = i > 0;
        header.prev = prev;
        header.epoch = cases[i].epoch;
        header.time = cases[i].time;
        fm_lab_set(&set, &t->a.device, header, &item, 1, NULL);
        prev = set.id;
        take(&t->b, &set, 0);
        assert_int_equal(set_of(&t->b, &set).verdict, cases[i].verdict);
        assert_int_equal(set_of(&t->b, &set).why, cases[i].why);
        assert_int_equal(find_head(&t->b, i, &head), 0); /* a void version is held, so it is no missing parent */
        assert_int_equal(head.shown, cases[i].verdict == FM_COUNTED);
        fm_lab_set_free(&set);
    }
}

static void test_a_record_in_the_membership_lane_is_void_and_an_act_in_the_other_does_nothing(void **state)
{
    struct three *t = *state;
    struct fm_set_header header = {.stream = {.incarnation = 99, .lane = 0}, .has_grant = true, .grant = grant_of(&t->hub)};
    struct fm_lab_node guest;
    struct fm_lab_set set;
    struct fm_head head;
    struct fm_buf item;
    fm_lab_open(&guest, "guest", 1);
    struct fm_act *grant = fm_lab_grant(&guest.device, FM_ROLE_CAMP, 7, NULL);
    struct fm_span record = item_of(&t->hub, 1, 1, "{a:1}");
    fm_lab_set(&set, &t->hub.device, header, &record, 1, NULL);
    take(&t->b, &set, 0);
    assert_int_equal(set_of(&t->b, &set).verdict, FM_COUNTED);
    assert_int_equal(find_head(&t->b, 1, &head), 0);
    assert_false(head.shown);
    fm_lab_set_free(&set);
    fm_buf_init(&item, 0);
    assert_int_equal(fm_act_encode(&item, grant), 0);
    struct fm_span act = fm_buf_span(&item);
    header.stream.lane = 1;
    fm_lab_set(&set, &t->hub.device, header, &act, 1, NULL);
    take(&t->b, &set, 0);
    assert_null(fm_authority_grant(t->b.core->authority, &grant->grant.id));
    fm_lab_set_free(&set);
    header.stream.lane = 0;
    header.grant = grant_of(&t->a); /* a camp grants nothing */
    fm_lab_set(&set, &t->a.device, header, &act, 1, NULL);
    take(&t->b, &set, 0);
    assert_null(fm_authority_grant(t->b.core->authority, &grant->grant.id));
    fm_lab_set_free(&set);
    fm_buf_fini(&item);
    fm_lab_act_free(grant);
    fm_lab_close(&guest);
}

/* --- keys --- */

static void test_what_is_unreadable_is_taken_in_when_the_key_comes(void **state)
{
    struct three *t = *state;
    struct fm_lab_node late;
    struct fm_head head;
    int refused;
    struct fm_version_id first = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    write_one(&t->a, FM_UPDATE, 1, 2, &first, "{a:2}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->hub, &t->a, 0);
    fm_lab_open(&late, "late", 15);
    fm_lab_join(&t->hub, &late, 4, NULL);
    fm_lab_exchange(&late, &t->hub, 9);
    assert_int_equal(find_head(&late, 1, &head), FM_ENOTFOUND);
    struct fm_digest with[2], without[2];
    fm_lab_digest(&late, without);
    fm_lab_digest(&t->hub, with);
    assert_memory_equal(&with[0], &without[0], sizeof with[0]); /* the same sets */
    assert_memory_not_equal(&with[1], &without[1], sizeof with[1]);
    assert_int_equal(fm_lab_restart(&late), 0);
    struct fm_act *grant = fm_lab_grant(&late.device, FM_ROLE_CAMP, 5, keys);
    assert_int_equal(fm_lab_act(&t->hub, grant, &refused), 0);
    fm_lab_exchange(&late, &t->hub, 0);
    assert_int_equal(late.core->key_count, 1);
    assert_true(shown(&late, 1));
    assert_same_digests(&late, &t->hub);
    fm_lab_act_free(grant);
    fm_lab_close(&late);
}

static void test_void_and_unreadable_is_void_once_it_can_be_read(void **state)
{
    struct three *t = *state;
    struct fm_key key = fm_lab_key("k1");
    struct fm_lab_node late;
    struct fm_lab_set set;
    struct fm_head head;
    struct fm_span item = item_of(&t->a, 1, 1, "{a:1}");
    struct fm_set_header header = {.stream = {.incarnation = 99, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a),
                                   .epoch = 10};
    fm_lab_set(&set, &t->a.device, header, &item, 1, &key);
    fm_lab_open(&late, "late", 15);
    fm_lab_join(&t->hub, &late, 4, NULL);
    take(&late, &set, 0);
    assert_int_equal(set_of(&late, &set).verdict, FM_UNREADABLE);
    fm_lab_join(&t->hub, &late, 5, keys);
    assert_int_equal(set_of(&late, &set).verdict, FM_VOID);
    assert_int_equal(set_of(&late, &set).why, FM_WHY_EPOCH);
    assert_int_equal(find_head(&late, 1, &head), 0);
    take(&t->hub, &set, 0);
    assert_same_digests(&late, &t->hub);
    fm_lab_set_free(&set);
    fm_lab_close(&late);
}

static void test_the_newest_key_is_the_one_whose_first_grant_is_the_newest(void **state)
{
    struct three *t = *state;
    static const char *const both[] = {"x", "y", NULL}, *const one[2][2] = {{"x", NULL}, {"y", NULL}};
    for (size_t i = 0; i < 2; i++) { /* whichever id is the higher one */
        struct fm_lab_node camp;
        struct fm_key held[3], newest = fm_lab_key(i == 0 ? "y" : "x");
        fm_lab_open(&camp, i == 0 ? "first" : "second", 20 + i);
        fm_lab_join(&t->hub, &camp, 9, both);
        fm_lab_join(&t->hub, &camp, 4, one[i]); /* an older grant, in a later set */
        assert_int_equal(fm_repl_data_keys(camp.core, held, 3), 2);
        assert_memory_equal(&held[1], &newest, sizeof newest);
        assert_memory_equal(&fm_keys_best(camp.core)->key, &newest, sizeof newest);
        assert_int_equal(fm_repl_data_keys(camp.core, held, 1), 1);
        assert_memory_equal(&held[0], &newest, sizeof newest);
        fm_lab_close(&camp);
    }
}

/* --- reindex --- */

static void test_reindex_gives_the_same_digests(void **state)
{
    struct three *t = *state;
    struct fm_digest before[2], after[2];
    struct fm_version_id base = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->b, &t->a, 0);
    write_one(&t->a, FM_UPDATE, 1, 2, &base, "{a:2}");
    write_one(&t->b, FM_UPDATE, 1, 2, &base, "{a:3}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    assert_int_equal(fm_lab_end(&t->b), 0);
    revoke(t, 1);
    fm_lab_exchange(&t->b, &t->a, 0);
    fm_lab_exchange(&t->b, &t->hub, 0);
    fm_lab_digest(&t->b, before);
    for (size_t page = 1; page < 20; page += 6) {
        struct fm_event event = {.now_ms = LAB_NOW};
        uint64_t from = 0;
        fm_memory_clear_derived(t->b.store);
        struct fm_repl *fresh = fm_repl_new(&t->b.self, &t->b.device.crypto, fm_memory_port(t->b.store));
        assert_non_null(fresh);
        do
            assert_int_equal(fm_repl_reindex(fresh, &event, &t->b.sink, &from, page), 0);
        while (from != 0);
        assert_int_equal(fm_repl_digest(fresh, &after[0], &after[1]), 0);
        assert_memory_equal(before, after, sizeof before);
        fm_repl_free(fresh);
        assert_int_equal(fm_lab_restart(&t->b), 0);
        fm_lab_digest(&t->b, after);
        assert_memory_equal(before, after, sizeof before);
    }
}

/* --- a store that fails --- */

#define SCRIPT_TURNS 6

/* One turn of the script on B; the same events, whenever it is played. */
static int play(struct three *t, unsigned turn, const struct fm_span *incoming, struct fm_version_id *base)
{
    struct fm_lab_node *b = &t->b;
    struct fm_change change;
    struct fm_version_id id;
    int rc = 0, refused;
    b->events = 1000 * (turn + 1);
    if (turn == 1 || turn == 3) {
        change = fm_lab_change(b, turn == 1 ? FM_CREATE : FM_UPDATE, 1, turn, turn == 1 ? NULL : base,
                               "{a:1,offlineId:\"o\"}");
        rc = fm_lab_write(b, &change, turn == 1 ? base : &id);
        if (rc == 0) {
            change = fm_lab_change(b, FM_CREATE, (uint8_t)(10 + turn), 1, NULL, "{a:1}");
            rc = fm_lab_write(b, &change, &id);
        }
        return rc != 0 ? rc : fm_lab_end(b);
    }
    rc = fm_lab_take(b, incoming[turn], &refused);
    assert_true(rc != 0 || refused == 0);
    return rc;
}

static void test_a_store_that_fails_at_any_row_loses_the_turn_and_nothing_else(void **state)
{
    struct three *t = *state;
    struct fm_span incoming[SCRIPT_TURNS];
    struct fm_memory *start = fm_memory_clone(t->b.saved);
    const struct fm_port *port = fm_memory_port(t->hub.store);
    struct fm_digest wanted[2], got[2];
    struct fm_version_id base;
    uint64_t last;
    size_t failures = 0;
    assert_non_null(start);
    /* What comes in: two sets of A, the hub's revocation of A that cuts between them, and one of another mesh member. */
    write_one(&t->a, FM_CREATE, 2, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    struct fm_version_id a = write_one(&t->a, FM_CREATE, 3, 1, NULL, "{a:1}");
    write_one(&t->a, FM_UPDATE, 3, 2, &a, "{a:2}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    revoke(t, 1);
    fm_lab_exchange(&t->hub, &t->a, 0);
    write_one(&t->hub, FM_CREATE, 4, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->hub), 0);
    assert_int_equal(port->arrival_last(port->ctx, &last), 0);
    static const unsigned turns[4] = {0, 2, 4, 5};
    static const unsigned back[4] = {2, 1, 3, 0}; /* A's first, A's second, the revocation, the hub's record */
    for (unsigned i = 0; i < 4; i++) {
        struct fm_buf bytes;
        fm_buf_init(&bytes, 0);
        assert_int_equal(port->set_bytes(port->ctx, last - back[i], &bytes), 0);
        incoming[turns[i]] = fm_span(fm_arena_copy(&t->a.arena, fm_buf_span(&bytes)), bytes.len);
        fm_buf_fini(&bytes);
    }
    for (int64_t n = -1; n < 1000; n++) {
        bool failed = false;
        fm_memory_free(t->b.saved);
        t->b.saved = fm_memory_clone(start);
        assert_non_null(t->b.saved);
        t->b.rows_left = -1;
        assert_int_equal(fm_lab_crash(&t->b), 0);
        t->b.rows_left = n;
        for (unsigned turn = 0; turn < SCRIPT_TURNS; turn++) {
            int rc = play(t, turn, incoming, &base);
            if (rc == 0)
                continue;
            assert_int_equal(rc, FM_ESTORE); /* passed up as it is */
            failed = true;
            failures++;
            t->b.rows_left = -1;
            assert_int_equal(fm_lab_crash(&t->b), 0);
            assert_int_equal(play(t, turn, incoming, &base), 0);
        }
        fm_lab_digest(&t->b, n < 0 ? wanted : got);
        if (n >= 0)
            assert_memory_equal(wanted, got, sizeof wanted);
        if (n >= 0 && !failed)
            break;
    }
    assert_true(failures > 20);
    assert_true(shown(&t->b, 1) && shown(&t->b, 2) && !shown(&t->b, 3) && shown(&t->b, 4));
    fm_memory_free(start);
}

/* --- forks --- */

/* A change of assessment 9 whose parent nobody has, in a void set and in its twin that is not; and one of record 8 made
 * from it. That is void as its parent is of another record, but waits as long as the parent does. */
static void test_a_twin_that_gives_life_makes_other_records_wait(void **state)
{
    struct three *t = *state;
    struct fm_version_id parent, nobody;
    struct fm_lab_set dead, live, child;
    struct fm_record_id record = fm_lab_record(8);
    struct fm_version *versions;
    size_t count;
    memset(nobody.b, 0xab, sizeof nobody.b);
    struct fm_change change = fm_lab_change(&t->a, FM_UPDATE, 9, 5, &nobody, "{a:1}");
    struct fm_buf item;
    fm_buf_init(&item, 0);
    assert_int_equal(fm_change_encode(&item, &change), 0);
    struct fm_span items[1] = {fm_buf_span(&item)};
    struct fm_set_header header = {.stream = {.incarnation = 99, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    header.epoch = 99; /* beyond its grant */
    fm_lab_set(&dead, &t->a.device, header, items, 1, NULL);
    header.epoch = 1;
    fm_lab_set(&live, &t->a.device, header, items, 1, NULL);
    fm_version_id_of(&parent, &t->a.device.crypto, &t->a.self.mesh, &live.header, 0, items[0]);
    change = fm_lab_change(&t->b, FM_UPDATE, 8, 6, &parent, "{a:2}");
    item.len = 0;
    assert_int_equal(fm_change_encode(&item, &change), 0);
    items[0] = fm_buf_span(&item);
    header.grant = grant_of(&t->b);
    fm_lab_set(&child, &t->b.device, header, items, 1, NULL);

    const struct fm_lab_set *orders[2][3] = {{&dead, &child, &live}, {&live, &dead, &child}};
    struct fm_lab_node *nodes[2] = {&t->hub, &t->b};
    static const uint8_t statuses[2][2] = {{FM_STATUS_VOID, FM_WAITING}, {FM_WAITING, FM_WAITING}};
    for (int n = 0; n < 2; n++) {
        const struct fm_port *port = fm_memory_port(nodes[n]->store);
        for (int i = 0; i < 3; i++) {
            take(nodes[n], orders[n][i], 0);
            if (i == 0)
                continue;
            int rc = port->versions(port->ctx, FM_KIND_ASSESSMENT, &record, &nodes[n]->arena, &versions, &count);
            assert_int_equal(rc == FM_OK ? count : 0, n == 0 || i == 2 ? 1 : 0);
            if (rc == FM_OK && count == 1)
                assert_int_equal(versions[0].status, statuses[n][i - 1]);
        }
    }
    fm_lab_exchange(nodes[0], nodes[1], 0);
    fm_lab_exchange(nodes[1], nodes[0], 0);
    assert_same_digests(nodes[0], nodes[1]);
    fm_lab_set_free(&dead);
    fm_lab_set_free(&live);
    fm_lab_set_free(&child);
    fm_buf_fini(&item);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_void_body_stalls_nothing),
        CASE(test_a_sealed_membership_body_is_void),
        CASE(test_what_a_sealed_membership_set_grants_is_no_grant),
        CASE(test_void_by_the_header_opens_all_the_same),
        CASE(test_a_record_in_the_membership_lane_is_void_and_an_act_in_the_other_does_nothing),
        CASE(test_what_is_unreadable_is_taken_in_when_the_key_comes),
        CASE(test_void_and_unreadable_is_void_once_it_can_be_read),
        CASE(test_the_newest_key_is_the_one_whose_first_grant_is_the_newest),
        CASE(test_reindex_gives_the_same_digests),
        CASE(test_a_store_that_fails_at_any_row_loses_the_turn_and_nothing_else),
        CASE(test_a_twin_that_gives_life_makes_other_records_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
