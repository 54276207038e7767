/* The store on LMDB answers as the store in memory does; what was committed stays, what was not leaves no trace. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "tests/support/store_both.h"

/* --- counts, counted again through the port --- */

static void recount(const struct fm_port *p, struct fm_store_counts *n)
{
    struct fm_arena arena = {0};
    struct fm_set_meta meta = {0};
    memset(n, 0, sizeof(*n));
    for (uint64_t next = 0; p->set_next(p->ctx, next, &meta) == FM_OK; next = meta.arrival + 1) {
        n->sets++;
        n->void_sets += meta.verdict == FM_VOID;
        n->quarantined_sets += meta.verdict == FM_QUARANTINED;
        n->unreadable_sets += meta.verdict == FM_UNREADABLE;
    }
    for (uint32_t i = 0; i < FM_ROWS_RECORDS; i++) {
        struct fm_record_ref ref = fm_rows_record(i);
        struct fm_version *all;
        struct fm_head head;
        size_t count;
        assert_int_equal(p->versions(p->ctx, ref.kind, &ref.record, &arena, &all, &count), FM_OK);
        for (size_t v = 0; v < count; v++) {
            n->versions++;
            n->waiting += all[v].status == FM_WAITING;
            n->void_versions += all[v].status == FM_STATUS_VOID;
            n->quarantined_versions += all[v].status == FM_VALID && !all[v].counted;
            n->open += all[v].place == FM_PLACE_OPEN;
            n->replaced += all[v].place == FM_PLACE_REPLACED;
            n->settled += all[v].place == FM_PLACE_SETTLED;
        }
        if (p->head(p->ctx, ref.kind, &ref.record, &arena, &head) == FM_OK && head.shown && !head.deleted) {
            n->records++;
            if (ref.kind <= FM_KIND_LAST)
                n->by_kind[ref.kind]++;
        }
        fm_arena_reset(&arena);
    }
    fm_arena_fini(&arena);
}

static void counts_fit(struct both *b)
{
    struct fm_store_counts n, again;
    assert_int_equal(fm_store_counts(b->store, &n), FM_OK);
    assert_true(n.map_used_bytes > 0 && n.map_used_bytes < n.map_bytes);
    n.map_used_bytes = n.map_bytes = 0;
    recount(fm_memory_port(b->memory), &again);
    assert_memory_equal(&n, &again, sizeof(n));
}

static void lists_fit(struct both *b)
{
    struct fm_conflict conflicts[7], one;
    struct fm_conflict_id after;
    struct fm_store_counts n;
    struct fm_set_meta sets[5];
    uint64_t arrival = 0, seen[3] = {0};
    size_t count;
    assert_int_equal(fm_store_counts(b->store, &n), FM_OK);
    for (int open_only = 0; open_only < 2; open_only++) {
        bool first = true;
        do {
            assert_int_equal(fm_store_conflicts(b->store, open_only, first ? NULL : &after, conflicts, 7, &count), FM_OK);
            for (size_t i = 0; i < count; i++) {
                assert_true(first || fm_id_cmp(&conflicts[i].id, &after) > 0);
                assert_int_equal(fm_store_conflict(b->store, &conflicts[i].id, &one), FM_OK);
                assert_memory_equal(&one.version, &conflicts[i].version, sizeof(one.version));
                assert_true(!open_only || one.place == FM_PLACE_OPEN);
                seen[open_only]++;
                after = conflicts[i].id;
                first = false;
            }
        } while (count == 7);
    }
    assert_int_equal(seen[0], n.open + n.replaced + n.settled);
    assert_int_equal(seen[1], n.open);
    memset(after.b, 0xee, sizeof(after.b));
    assert_int_equal(fm_store_conflict(b->store, &after, &one), FM_ENOTFOUND);
    do {
        assert_int_equal(fm_store_uncounted(b->store, arrival, sets, 5, &count), FM_OK);
        for (size_t i = 0; i < count; i++, seen[2]++) {
            assert_true(sets[i].arrival > arrival && sets[i].verdict != FM_COUNTED);
            arrival = sets[i].arrival;
        }
    } while (count == 5);
    assert_int_equal(seen[2], n.void_sets + n.quarantined_sets + n.unreadable_sets);
}

/* --- tests --- */

static void every_port_function_answers_as_the_store_in_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct both b;
        both_open(&b, seed);
        for (int turn = 0; turn < 14; turn++) {
            struct fm_memory *before = fm_memory_clone(b.memory);
            struct fm_rows rows = b.rows;
            size_t events = 1 + (size_t)fm_rows_random(&b.rows, 70);
            bool abort = fm_rows_random(&b.rows, 4) == 0;
            assert_int_equal(fm_store_begin(b.store, seed), FM_OK);
            make(&b, events);
            assert_true(fm_store_dirty_bytes(b.store) > 0);
            if (turn % 3 == 0) /* within the open transaction too */
                same_answers(&b.rows, fm_store_port(b.store), fm_memory_port(b.memory));
            counts_fit(&b);
            if (abort) {
                fm_store_abort(b.store);
                fm_memory_free(b.memory);
                b.memory = before;
                rows.arena = b.rows.arena;
                b.rows = rows;
                b.rows.port = fm_memory_port(b.memory);
                b.rows.random += 77;
            } else {
                assert_int_equal(fm_store_commit(b.store), FM_OK);
                fm_memory_free(before);
            }
            assert_false(fm_store_dirty(b.store));
            same_answers(&b.rows, fm_store_port(b.store), fm_memory_port(b.memory));
        }
        counts_fit(&b);
        lists_fit(&b);
        sound(b.store);
        both_reopen(&b);
        same_answers(&b.rows, fm_store_port(b.store), fm_memory_port(b.memory));
        counts_fit(&b);
        lists_fit(&b);
        sound(b.store);
        both_close(&b);
    }
}

static void an_abort_leaves_nothing(void **state)
{
    (void)state;
    struct both b;
    struct fm_buf before, after;
    both_open(&b, 11);
    make_committed(&b, 60, 5);
    fm_buf_init(&before, 0);
    fm_buf_init(&after, 0);
    fm_rows_dump(&b.rows, fm_store_port(b.store), &before);
    uint64_t id = fm_store_changes_id(b.store), number, stamp, number_after, stamp_after;
    assert_int_equal(fm_store_changed_last(b.store, &number, &stamp), FM_OK);
    struct fm_rows rows = b.rows;
    assert_int_equal(fm_store_begin(b.store, 99), FM_OK);
    make(&b, 60);
    assert_int_equal(fm_store_note_put(b.store, "name", fm_span("x", 1)), FM_OK);
    fm_store_abort(b.store);
    rows.arena = b.rows.arena;
    fm_rows_dump(&rows, fm_store_port(b.store), &after);
    assert_true(fm_span_eq(fm_buf_span(&before), fm_buf_span(&after)));
    assert_int_equal(fm_store_note_get(b.store, "name", &after), FM_ENOTFOUND);
    assert_int_equal(fm_store_changed_last(b.store, &number_after, &stamp_after), FM_OK);
    assert_true(number == number_after && stamp == stamp_after && id == fm_store_changes_id(b.store));
    sound(b.store);
    fm_buf_fini(&before);
    fm_buf_fini(&after);
    b.rows.arena = rows.arena;
    both_close(&b);
}

static void the_first_error_sticks_until_the_commit(void **state)
{
    (void)state;
    struct both b;
    struct fm_version v = {.kind = FM_KIND_ENTITY, .status = FM_VALID, .number = 1, .holder_count = 1}, other = v;
    struct fm_row row = {.kind = FM_ROW_VERSION, .version = &v, .before = &other};
    struct fm_row meta = {.kind = FM_ROW_META, .name = "late"};
    struct fm_buf out;
    both_open(&b, 12);
    fm_buf_init(&out, 0);
    other.number = 2;
    assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
    assert_int_equal(fm_store_apply(b.store, &row), FM_EINVAL); /* `before` is not held */
    assert_int_equal(fm_store_apply(b.store, &meta), FM_EINVAL);
    assert_int_equal(fm_store_commit(b.store), FM_EINVAL);
    assert_int_equal(fm_store_port(b.store)->meta(fm_store_port(b.store)->ctx, "late", &out), FM_ENOTFOUND);
    row.before = NULL;
    assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
    assert_int_equal(fm_store_apply(b.store, &row), FM_OK);
    assert_int_equal(fm_store_apply(b.store, &row), FM_EINVAL); /* held already */
    assert_int_equal(fm_store_commit(b.store), FM_EINVAL);
    assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
    assert_int_equal(fm_store_apply(b.store, &meta), FM_OK);
    assert_int_equal(fm_store_commit(b.store), FM_OK);
    fm_buf_fini(&out);
    both_close(&b);
}

/* --- rule 33 --- */

static void show(struct fm_store *s, uint32_t record, bool changed, uint8_t mark)
{
    struct fm_record_ref ref = fm_rows_record(record);
    struct fm_arena arena = {0};
    struct fm_head before, head = {.kind = ref.kind, .record = ref.record, .digest = {{mark}}};
    const struct fm_port *p = fm_store_port(s);
    bool held = p->head(p->ctx, ref.kind, &ref.record, &arena, &before) == FM_OK;
    struct fm_row row = {.kind = FM_ROW_HEAD, .head = &head, .head_before = held ? &before : NULL, .changed = changed};
    assert_int_equal(fm_store_apply(s, &row), FM_OK);
    fm_arena_fini(&arena);
}

static void stamps_never_go_back_and_find_what_changed(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s;
    struct fm_arena arena = {0};
    struct fm_changed changed[10];
    uint64_t number, stamp, after;
    size_t count;
    /* clock, stamp that it gives: the clock stands, goes back, goes on */
    static const uint64_t clock[] = {1000, 1000, 400, 5000}, stamps[] = {1000, 1001, 1002, 5000};
    fm_store_dir_make(&d);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    assert_int_equal(fm_store_changed_since(s, 0, &after), FM_OK);
    assert_int_equal(after, 0);
    for (uint32_t t = 0; t < 4; t++) {
        assert_int_equal(fm_store_begin(s, clock[t]), FM_OK);
        show(s, 2 * t, true, 1);
        show(s, 2 * t + 1, true, 2); /* one stamp a commit */
        assert_int_equal(fm_store_commit(s), FM_OK);
        assert_int_equal(fm_store_changed_last(s, &number, &stamp), FM_OK);
        assert_int_equal(number, 2 * t + 2);
        assert_int_equal(stamp, stamps[t]);
    }
    assert_int_equal(fm_store_begin(s, 9000), FM_OK);
    show(s, 3, false, 3); /* nothing a reader would see: same place, same stamp */
    assert_int_equal(fm_store_commit(s), FM_OK);
    assert_int_equal(fm_store_changed_last(s, &number, &stamp), FM_OK);
    assert_true(number == 8 && stamp == 5000);
    static const struct {
        uint64_t since, after;
    } cases[] = {{0, 0}, {1000, 0}, {1001, 2}, {1002, 4}, {1003, 6}, {5000, 6}, {5001, 8}, {UINT64_MAX, 8}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(fm_store_changed_since(s, cases[i].since, &after), FM_OK);
        assert_int_equal(after, cases[i].after);
    }
    assert_int_equal(fm_store_begin(s, 6000), FM_OK);
    show(s, 0, true, 4); /* moves to the end, once */
    show(s, 0, true, 5);
    assert_int_equal(fm_store_commit(s), FM_OK);
    assert_int_equal(fm_store_changed(s, 0, &arena, changed, 10, &count), FM_OK);
    assert_int_equal(count, 8);
    assert_true(changed[0].number == 2 && changed[7].number == 10 && changed[7].stamp == 6000 &&
                changed[7].head.digest.b[0] == 5);
    assert_int_equal(fm_store_changed_since(s, 0, &after), FM_OK);
    assert_int_equal(after, 1);
    assert_int_equal(fm_store_changed(s, 2, &arena, changed, 3, &count), FM_OK);
    assert_true(count == 3 && changed[0].number == 3 && changed[2].number == 5);
    assert_int_equal(fm_store_changed(s, UINT64_MAX, &arena, changed, 3, &count), FM_OK);
    assert_int_equal(count, 0);
    sound(s);
    fm_arena_fini(&arena);
    fm_store_close(s);
    fm_store_dir_remove(&d);
}

/* One record a commit, every stamp and those between: also with holes where records changed again. */
static void every_stamp_is_found_at_its_very_row(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s;
    uint64_t stamps[40] = {0}, after;
    fm_store_dir_make(&d);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    for (uint32_t n = 1; n < 40; n++) {
        uint32_t record = n * 7 % FM_ROWS_RECORDS;
        assert_int_equal(fm_store_begin(s, n * 10), FM_OK);
        show(s, record, true, (uint8_t)n);
        assert_int_equal(fm_store_commit(s), FM_OK);
        stamps[n] = n * 10;
        for (uint32_t before = 1; before < n; before++)
            if (before * 7 % FM_ROWS_RECORDS == record)
                stamps[before] = 0; /* its row moved to the end */
        for (uint64_t since = 0; since < 410; since += 5) {
            uint32_t first = 1;
            while (first <= n && stamps[first] < (since > 0 ? since : 1))
                first++;
            assert_int_equal(fm_store_changed_since(s, since, &after), FM_OK);
            assert_int_equal(after, first - 1);
        }
    }
    fm_store_close(s);
    fm_store_dir_remove(&d);
}

static void heads_come_page_by_page_in_order(void **state)
{
    (void)state;
    struct both b;
    struct fm_arena arena = {0};
    struct fm_head heads[2];
    struct fm_record_id after;
    size_t count, seen = 0, held = 0;
    both_open(&b, 50);
    make_committed(&b, 300, 1);
    do {
        assert_int_equal(fm_store_heads(b.store, FM_KIND_RESPONSE, seen == 0 ? NULL : &after, &arena, heads, 2, &count),
                         FM_OK);
        for (size_t i = 0; i < count; i++, seen++) {
            assert_true(heads[i].kind == FM_KIND_RESPONSE && (seen == 0 || fm_id_cmp(&heads[i].record, &after) > 0));
            after = heads[i].record;
        }
    } while (count == 2);
    for (uint32_t i = 0; i < FM_ROWS_RECORDS; i++) {
        struct fm_record_ref ref = fm_rows_record(i);
        const struct fm_port *p = fm_memory_port(b.memory);
        held += ref.kind == FM_KIND_RESPONSE && p->head(p->ctx, ref.kind, &ref.record, &arena, &heads[0]) == FM_OK;
    }
    assert_true(seen == held && held > 1);
    fm_arena_fini(&arena);
    both_close(&b);
}

/* --- a look-up's callback may write --- */

struct writer {
    struct fm_store *store;
    size_t taken;
};

static int take_and_write(void *arg, const struct fm_stream_row *row)
{
    struct writer *w = arg;
    struct fm_stream_row copy = *row;
    copy.fork_sequence++;
    w->taken++;
    return fm_store_apply(w->store, &(struct fm_row){.kind = FM_ROW_STREAM, .stream = &copy});
}

static void a_walk_over_streams_goes_on_while_rows_are_written(void **state)
{
    (void)state;
    struct both b;
    both_open(&b, 60);
    make_committed(&b, 200, 1);
    struct writer w = {.store = b.store};
    const struct fm_port *p = fm_store_port(b.store);
    assert_int_equal(fm_store_begin(b.store, 2), FM_OK);
    assert_int_equal(p->stream_each(p->ctx, take_and_write, &w), FM_OK);
    assert_int_equal(w.taken, FM_ROWS_STREAMS);
    assert_int_equal(fm_store_commit(b.store), FM_OK);
    sound(b.store);
    both_close(&b);
}

/* --- backup, restore, reindex --- */

static void a_backup_answers_the_same_and_a_restored_store_is_another(void **state)
{
    (void)state;
    struct both b;
    struct fm_store_dir copy;
    struct fm_store *restored;
    struct fm_buf out;
    both_open(&b, 70);
    fm_buf_init(&out, 0);
    make_committed(&b, 300, 7777);
    assert_int_equal(fm_store_begin(b.store, 2), FM_OK);
    static const char *const notes[] = {"machine", "open-counter", "name"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fm_store_note_put(b.store, notes[i], fm_span("x", 1)), FM_OK);
    struct fm_row row = {.kind = FM_ROW_META, .name = FM_META_INCARNATION, .bytes = fm_span("12345678", 8)};
    assert_int_equal(apply_both(&b, &row), FM_OK);
    assert_int_equal(fm_store_commit(b.store), FM_OK);
    fm_store_dir_make(&copy);
    assert_int_equal(fm_store_begin(b.store, 3), FM_OK); /* within a turn: what was committed before */
    row.bytes = fm_span("87654321", 8);
    assert_int_equal(fm_store_apply(b.store, &row), FM_OK);
    assert_int_equal(fm_store_backup(b.store, copy.data), FM_OK);
    fm_store_abort(b.store);
    assert_int_equal(fm_store_dir_open(&copy, &restored, false, 0), FM_OK);
    same_answers(&b.rows, fm_store_port(restored), fm_memory_port(b.memory));
    sound(restored);
    struct fm_store_verify v = {.say = say};
    assert_int_equal(fm_store_compare(b.store, restored, &v), FM_OK);
    assert_int_equal(v.problems, 0);
    uint64_t number, stamp;
    assert_int_equal(fm_store_begin(restored, 4), FM_OK);
    assert_int_equal(fm_store_clear_derived(restored), FM_OK); /* rule 33: stamps outlive a reindex */
    assert_int_equal(fm_store_changed_last(restored, &number, &stamp), FM_OK);
    assert_true(number == 0 && stamp == 7777);
    fm_store_abort(restored);
    assert_int_equal(fm_store_begin(restored, 4), FM_OK);
    assert_int_equal(fm_store_restored(restored), FM_OK);
    assert_int_equal(fm_store_commit(restored), FM_OK);
    struct fm_store_id one = fm_store_id(b.store), other = fm_store_id(restored);
    assert_true(!fm_id_eq(&one, &other) && fm_store_changes_id(b.store) != fm_store_changes_id(restored));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fm_store_note_get(restored, notes[i], &out), i < 2 ? FM_ENOTFOUND : FM_OK);
    const struct fm_port *p = fm_store_port(restored);
    assert_int_equal(p->meta(p->ctx, FM_META_INCARNATION, &out), FM_ENOTFOUND);
    sound(restored);
    fm_store_close(restored);
    fm_store_dir_remove(&copy);
    fm_buf_fini(&out);
    both_close(&b);
}

static void derived_tables_are_emptied_and_filled_again(void **state)
{
    (void)state;
    struct both b;
    struct fm_store_dir copy;
    struct fm_store *old;
    struct fm_set_meta meta;
    struct fm_buf bytes;
    both_open(&b, 80);
    fm_buf_init(&bytes, 0);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
        assert_int_equal(fm_rows_make_set(&b.rows, apply_both, &b), FM_OK);
        assert_int_equal(fm_store_commit(b.store), FM_OK);
    }
    fm_store_dir_make(&copy);
    assert_int_equal(fm_store_backup(b.store, copy.data), FM_OK);
    assert_int_equal(fm_store_dir_open(&copy, &old, false, 0), FM_OK);
    uint64_t changes = fm_store_changes_id(b.store), arrivals = 0, same = 0;
    struct fm_store_id id = fm_store_id(b.store);
    assert_false(incomplete(b.store));
    assert_int_equal(fm_store_begin(b.store, 2), FM_OK);
    assert_int_equal(fm_store_clear_derived(b.store), FM_OK);
    assert_int_equal(fm_store_commit(b.store), FM_OK);
    struct fm_store_id after = fm_store_id(b.store);
    assert_true(fm_id_eq(&id, &after) && changes != fm_store_changes_id(b.store));
    const struct fm_port *p = fm_store_port(b.store), *q = fm_store_port(old);
    assert_int_equal(p->arrival_last(p->ctx, &arrivals), FM_OK);
    assert_int_equal(q->arrival_last(q->ctx, &same), FM_OK);
    assert_int_equal(arrivals, same);
    both_reopen(&b);
    p = fm_store_port(b.store);
    assert_true(incomplete(b.store));
    assert_int_equal(fm_store_begin(b.store, 3), FM_OK);
    for (uint64_t next = 1; p->set_next(p->ctx, next, &meta) == FM_OK; next = meta.arrival + 1) {
        assert_int_equal(meta.verdict, 0);
        assert_int_equal(p->set_bytes(p->ctx, meta.arrival, &bytes), FM_OK);
        assert_int_equal(q->set_next(q->ctx, next, &meta), FM_OK);
        assert_int_equal(fm_store_apply(b.store, &(struct fm_row){.kind = FM_ROW_VERDICT, .meta = &meta}), FM_OK);
    }
    assert_int_equal(fm_store_commit(b.store), FM_OK);
    assert_false(incomplete(b.store));
    struct fm_store_verify v = {0};
    assert_int_equal(fm_store_compare(b.store, old, &v), FM_OK);
    assert_int_equal(v.problems, FM_ROWS_STREAMS); /* the tips are not yet written again */
    sound(b.store);
    fm_store_close(old);
    fm_store_dir_remove(&copy);
    fm_buf_fini(&bytes);
    both_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_port_function_answers_as_the_store_in_memory),
        cmocka_unit_test(an_abort_leaves_nothing),
        cmocka_unit_test(the_first_error_sticks_until_the_commit),
        cmocka_unit_test(stamps_never_go_back_and_find_what_changed),
        cmocka_unit_test(every_stamp_is_found_at_its_very_row),
        cmocka_unit_test(heads_come_page_by_page_in_order),
        cmocka_unit_test(a_walk_over_streams_goes_on_while_rows_are_written),
        cmocka_unit_test(a_backup_answers_the_same_and_a_restored_store_is_another),
        cmocka_unit_test(derived_tables_are_emptied_and_filled_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
