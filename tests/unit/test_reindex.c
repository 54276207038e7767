/* Reindex: a call of it that fails changes nothing that the next one does not make good; what it left to fold; damaged logs.
 */
#include "tests/support/branch.h"
#include "tests/support/faults.h"
#include "tests/support/lost.h"
#include "tests/support/no_memory.h"

static int again(struct fm_repl *core, const struct fm_sink *sink, size_t page)
{
    struct fm_event event = {.now_ms = LAB_NOW};
    uint64_t from = 0;
    int rc;
    do
        rc = fm_repl_reindex(core, &event, sink, &from, page);
    while (rc == FM_OK && from != 0);
    return rc;
}

/* The log of B: a conflict, a revocation that cuts, unreadable sets whose key comes later, a fork. */
static void log_make(struct three *t)
{
    struct fm_key key = fm_lab_key("k2");
    static const char *const more[] = {"k2", NULL};
    struct fm_version_id base = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1,offlineId:\"o\"}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->b, &t->a, 0);
    write_one(&t->a, FM_UPDATE, 1, 2, &base, "{a:2}");
    write_one(&t->b, FM_UPDATE, 1, 2, &base, "{a:3}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    assert_int_equal(fm_lab_end(&t->b), 0);
    struct branch left = branch_of(t, 40, 1), right = left;
    branch_grow(t, &left, 2, &t->b, NULL);
    right.twin = 12345; /* its first record is the left one's, too: one version in two sets */
    branch_grow(t, &right, 1, &t->b, NULL);
    struct fm_lab_set sealed;
    struct fm_set_header header = {.stream = {.incarnation = 41, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_span item = item_of(&t->a, 9, 1, "{a:1}");
    fm_lab_set(&sealed, &t->a.device, header, &item, 1, &key);
    take(&t->b, &sealed, 0);
    fm_lab_set_free(&sealed);
    fm_lab_join(&t->hub, &t->b, 9, more);
    revoke(t, 1);
    fm_lab_exchange(&t->b, &t->a, 0);
    fm_lab_exchange(&t->b, &t->hub, 0);
}

static void fails_anywhere(struct three *t, bool memory)
{
    struct fm_digest wanted[2], got[2];
    size_t failures = 0;
    log_make(t);
    fm_lab_digest(&t->b, wanted);
    for (int64_t n = 0;; n++) {
        struct fm_memory *store = fm_memory_clone(t->b.store);
        struct fm_fault f;
        assert_non_null(store);
        fm_memory_clear_derived(store);
        struct fm_sink sink = {.ctx = store, .act = NULL};
        fm_fault_init(&f, fm_memory_port(store), &t->b.device.crypto, sink);
        for (int repaired = 0; repaired < 2; repaired++) {
            struct fm_lab_node rows = {.store = store, .rows_left = -1}; /* for its sink */
            f.real_sink = (struct fm_sink){.ctx = &rows, .act = t->b.sink.act};
            struct fm_repl *core = fm_repl_new(&t->b.self, &f.crypto, &f.port);
            assert_non_null(core);
            f.left = memory || repaired ? -1 : n;
            f.hit = false;
            if (memory && !repaired)
                fm_fault_begin(n);
            int rc = again(core, &f.sink, 5);
            bool hit = memory && !repaired ? fm_fault_end() : f.hit;
            f.left = -1;
            if (hit) {
                assert_int_equal(rc, memory ? FM_ENOMEM : FM_ESTORE);
                failures++;
                fm_repl_free(core);
                fm_memory_clear_derived(store); /* as the caller does */
                continue;
            }
            assert_int_equal(rc, FM_OK);
            assert_int_equal(fm_repl_digest(core, &got[0], &got[1]), FM_OK);
            assert_memory_equal(wanted, got, sizeof wanted);
            fm_repl_free(core);
            if (!repaired) {
                fm_memory_free(store);
                assert_true(failures > 50);
                return;
            }
        }
        fm_memory_free(store);
    }
}

static void test_a_failure_at_any_call_is_told_and_made_good(void **state)
{
    fails_anywhere(*state, false);
}

static void test_want_of_memory_at_any_point_is_told_and_made_good(void **state)
{
    fails_anywhere(*state, true);
}

static int no_list(void *ctx, struct fm_record_ref *out, size_t max, size_t *count)
{
    (void)ctx, (void)out, (void)max, (void)count;
    return FM_EIO;
}

/* More records than one call folds: it is not at the end before the list is empty, though the log is. */
static void test_it_ends_with_nothing_left_to_fold(void **state)
{
    enum { RECORDS = FM_FOLDS_PER_TURN_MAX + FM_FOLDS_PER_TURN_MAX / 4 + 300 };
    struct three *t = *state;
    struct fm_version_id *first = calloc(RECORDS, sizeof *first);
    struct fm_digest wanted[2], got[2];
    assert_non_null(first);
    for (uint32_t version = 1; version <= 2; version++) {
        for (unsigned i = 0; i < RECORDS; i++) {
            struct fm_change change = fm_lab_change(&t->a, version == 1 ? FM_CREATE : FM_UPDATE, 0, version,
                                                    version == 1 ? NULL : &first[i], "{a:1}");
            struct fm_version_id id;
            fm_be_put(change.record.b, i, 4);
            assert_int_equal(fm_lab_write(&t->a, &change, &id), 0);
            first[i] = id;
            fm_arena_reset(&t->a.arena);
        }
        assert_int_equal(fm_lab_end(&t->a), 0);
    }
    fm_lab_digest(&t->a, wanted);
    /* A list that cannot be read is told. */
    struct fm_event event = {.now_ms = LAB_NOW};
    struct fm_port port = *fm_memory_port(t->a.store);
    uint64_t from = 0;
    unsigned calls = 0;
    port.touched = no_list;
    fm_memory_clear_derived(t->a.store);
    struct fm_repl *core = fm_repl_new(&t->a.self, &t->a.device.crypto, &port);
    assert_non_null(core);
    assert_int_equal(fm_repl_reindex(core, &event, &t->a.sink, &from, 1000), FM_EIO);
    assert_int_equal(from, 0);
    fm_repl_free(core);
    fm_memory_clear_derived(t->a.store);
    core = fm_repl_new(&t->a.self, &t->a.device.crypto, fm_memory_port(t->a.store));
    assert_non_null(core);
    do {
        assert_int_equal(fm_repl_reindex(core, &event, &t->a.sink, &from, 1000), FM_OK); /* all of the log in one */
        assert_int_equal(fm_repl_digest(core, &got[0], &got[1]), from != 0 ? FM_EBUSY : FM_OK);
    } while (from != 0 && ++calls < 10);
    assert_in_range(calls, 1, 9);
    assert_memory_equal(wanted, got, sizeof wanted);
    fm_repl_free(core);
    free(first);
    assert_int_equal(fm_lab_restart(&t->a), FM_OK);
}

static void test_a_damaged_log_is_told(void **state)
{
    struct three *t = *state;
    struct branch b = branch_of(t, 42, 1);
    branch_grow(t, &b, 3, &t->b, NULL);
    const struct fm_port *port = fm_memory_port(t->b.store);
    uint64_t held;
    assert_int_equal(port->arrival_last(port->ctx, &held), FM_OK);
    static const struct {
        unsigned bytes, next; /* counted back from the last; 9: none */
        int answer, error;
    } cases[] = {{1, 9, FM_OK, FM_ECORRUPT},        /* cut short */
                 {1, 9, FM_ENOTFOUND, FM_ECORRUPT}, /* named, and not there */
                 {1, 9, FM_EIO, FM_EIO},
                 {9, 1, FM_OK, FM_ECORRUPT}, /* what the last one follows is missing */
                 {9, 0, FM_OK, FM_OK}};      /* the last one is missing: nothing tells */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fm_memory *whole = fm_memory_clone(t->b.store);
        fm_memory_clear_derived(t->b.store);
        fm_repl_free(t->b.core);
        t->b.core = fm_repl_new(&t->b.self, &t->b.device.crypto, fm_memory_port(t->b.store));
        assert_non_null(t->b.core);
        lost_open(&t->b);
        lost.answer = cases[i].answer;
        lost.bytes = cases[i].bytes == 9 ? 0 : held - cases[i].bytes;
        lost.next = cases[i].next == 9 ? 0 : held - cases[i].next;
        assert_int_equal(again(t->b.core, &t->b.sink, 100), cases[i].error);
        fm_memory_free(t->b.store);
        t->b.store = whole;
        assert_int_equal(fm_lab_restart(&t->b), FM_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_failure_at_any_call_is_told_and_made_good),
        CASE(test_want_of_memory_at_any_point_is_told_and_made_good),
        CASE(test_it_ends_with_nothing_left_to_fold),
        CASE(test_a_damaged_log_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
