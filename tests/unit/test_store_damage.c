/* A row that was changed under a right check, or lost: the scrub says what is wrong with it, or with what belongs to it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/store_edit.h"

static bool is_entry_row(const struct row *row) /* of versions */
{
    return row->body[5] == FM_PLACE_OPEN || row->body[5] == FM_PLACE_REPLACED || row->body[5] == FM_PLACE_SETTLED;
}

static bool is_plain(const struct row *row) /* of versions: no conflict */
{
    return row->body[5] == FM_PLACE_NONE || row->body[5] == FM_PLACE_WINNER;
}

static bool is_open(const struct row *row) /* of conflicts */
{
    return row->body[41] == FM_PLACE_OPEN;
}

static bool is_not_open(const struct row *row)
{
    return row->body[41] != FM_PLACE_OPEN;
}

static bool has_by(const struct row *row)
{
    return row->body[43] != 0;
}

static bool is_shown(const struct row *row) /* of heads */
{
    return row->body[8] & 1;
}

static bool has_number(const struct row *row)
{
    return fm_be_get(row->body, 8) != 0;
}

static bool has_offline_id(const struct row *row)
{
    return row->body[121] != 0;
}

static bool has_no_offline_id(const struct row *row)
{
    return row->body[121] == 0;
}

static bool is_sums(const struct row *row)
{
    return row->key.len == 5 && memcmp(row->key.b, "ssums", 5) == 0;
}

static bool is_second_or_later(const struct row *row) /* of changes: one with a stamp above the first's */
{
    return fm_be_get(row->body + 17, 8) > 100;
}

static bool counts(const struct row *row) /* of streams */
{
    return row->body[25] == FM_COUNTED;
}

/* --- the scrub --- */

enum change { FLIP, LENGTH, GONE, MOVED, DOUBLED, UNREAD };

static const struct {
    enum fm_table table;
    wanted_fn wanted;
    enum change change;
    size_t at;
    uint8_t flip;
    const char *what;
} cases[] = {
    {FM_TABLE_META, is_sums, LENGTH, 100, 0, "the running numbers are not those in memory"},
    {FM_TABLE_META, is_cores, UNREAD, 0, 0, "does not fit its check"},
    {FM_TABLE_LOG, NULL, LENGTH, 5, 0, "is no change set"},
    {FM_TABLE_LOG, NULL, FLIP, 1, 0xff, "is no change set"},
    {FM_TABLE_LOG, NULL, FLIP, 0, 3, "is no change set"},
    {FM_TABLE_LOG, NULL, FLIP, 15, 1, "has no index row of this id"},
    {FM_TABLE_LOG, NULL, GONE, 0, 0, "its log entry is missing or another"},
    {FM_TABLE_STREAMS, NULL, LENGTH, 26, 0, "its log entry is missing or another"},
    {FM_TABLE_STREAMS, NULL, LENGTH, 28, 0, "its log entry is missing or another"},
    {FM_TABLE_STREAMS, NULL, FLIP, 7, 1, "its log entry is missing or another"},
    {FM_TABLE_STREAMS, NULL, FLIP, 16, 1, "its log entry is missing or another"},
    {FM_TABLE_STREAMS, NULL, FLIP, 16, 1, "has no index row of this id"},
    {FM_TABLE_STREAMS, NULL, LENGTH, 3, 1, "has no index row of this id"},
    {FM_TABLE_STREAMS, NULL, MOVED, 40, 1, "its log entry is missing or another"},
    {FM_TABLE_STREAMS, NULL, DOUBLED, 40, 1, "its log entry is missing or another"},
    {FM_TABLE_STREAMS, counts, FLIP, 25, FM_COUNTED ^ FM_VOID, "its verdict is not the one of the list"},
    {FM_TABLE_STREAMS, NULL, UNREAD, 0, 0, "does not fit its check"},
    {FM_TABLE_TIPS, NULL, LENGTH, 49, 0, "cannot be read"},
    {FM_TABLE_TIPS, NULL, FLIP, 49, 0x80, "cannot be read"},
    {FM_TABLE_TIPS, NULL, FLIP, 0, 1, "belongs to another stream"},
    {FM_TABLE_TIPS, NULL, FLIP, 50, 1, "a tip is not held"},
    {FM_TABLE_VERSIONS, NULL, LENGTH, 10, 0, "cannot be read"},
    {FM_TABLE_VERSIONS, NULL, LENGTH, 25, 0, "cannot be read"},
    {FM_TABLE_VERSIONS, NULL, LENGTH, 2500, 0, "cannot be read"},
    {FM_TABLE_VERSIONS, NULL, FLIP, 16, 0x7f, "cannot be read"},
    {FM_TABLE_VERSIONS, NULL, FLIP, 18, 0x80, "cannot be read"},
    {FM_TABLE_VERSIONS, NULL, GONE, 0, 0, "ids"},
    {FM_TABLE_VERSIONS, is_entry_row, GONE, 0, 0, "its version is missing"},
    {FM_TABLE_VERSIONS, is_entry_row, LENGTH, 10, 0, "conflicts"},
    {FM_TABLE_VERSIONS, is_entry_row, FLIP, 6, 7, "its conflict entry is missing or another"},
    {FM_TABLE_VERSIONS, is_plain, FLIP, 5, FM_PLACE_OPEN ^ FM_PLACE_NONE, "its conflict entry is missing or another"},
    {FM_TABLE_IDS, NULL, GONE, 0, 0, "its id does not lead to it"},
    {FM_TABLE_IDS, NULL, LENGTH, 32, 0, "its id does not lead to it"},
    {FM_TABLE_IDS, NULL, LENGTH, 32, 0, "its version is missing"},
    {FM_TABLE_IDS, NULL, FLIP, 20, 1, "its id does not lead to it"},
    {FM_TABLE_IDS, NULL, FLIP, 20, 1, "its version is missing"},
    {FM_TABLE_IDS, NULL, UNREAD, 0, 0, "its id does not lead to it"},
    {FM_TABLE_HEADS, NULL, GONE, 0, 0, "its record is missing"},
    {FM_TABLE_HEADS, NULL, LENGTH, 60, 0, "cannot be read"},
    {FM_TABLE_HEADS, NULL, FLIP, 121, 0x80, "cannot be read"},
    {FM_TABLE_HEADS, has_number, FLIP, 6, 1, "its row in changes is missing"},
    {FM_TABLE_HEADS, has_number, FLIP, 6, 1, "its record is missing or has another number"},
    {FM_TABLE_HEADS, is_shown, FLIP, 9, 1, "its winner is missing"},
    {FM_TABLE_HEADS, has_offline_id, FLIP, 122, 1, "it is not found by its offlineId"},
    {FM_TABLE_HEADS, NULL, UNREAD, 0, 0, "does not fit its check"},
    {FM_TABLE_CHANGES, NULL, GONE, 0, 0, "its row in changes is missing"},
    {FM_TABLE_CHANGES, NULL, LENGTH, 24, 0, "cannot be read"},
    {FM_TABLE_CHANGES, NULL, FLIP, 1, 1, "its record is missing or has another number"},
    {FM_TABLE_CHANGES, is_second_or_later, FLIP, 23, 1, "the running numbers are not what is there"},
    {FM_TABLE_BY_ENTITY, NULL, GONE, 0, 0, "it is not found by its entity or user"},
    {FM_TABLE_BY_ENTITY, NULL, DOUBLED, 0, 1, "its record does not say so"},
    {FM_TABLE_BY_ENTITY, NULL, DOUBLED, 20, 1, "its record is missing"},
    {FM_TABLE_ALIASES, NULL, GONE, 0, 0, "it is not found by its offlineId"},
    {FM_TABLE_ALIASES, NULL, DOUBLED, 3, 1, "its record does not say so"},
    {FM_TABLE_CONFLICTS, NULL, GONE, 0, 0, "its conflict entry is missing or another"},
    {FM_TABLE_CONFLICTS, NULL, LENGTH, 67, 0, "cannot be read"},
    {FM_TABLE_CONFLICTS, NULL, LENGTH, 67, 0, "its conflict entry is missing or another"},
    {FM_TABLE_CONFLICTS, NULL, FLIP, 17, 1, "has another id"},
    {FM_TABLE_CONFLICTS, NULL, FLIP, 17, 1, "its conflict entry is missing or another"},
    {FM_TABLE_CONFLICTS, NULL, FLIP, 41, 1, "its conflict entry is missing or another"},
    {FM_TABLE_CONFLICTS, NULL, FLIP, 42, 8, "its conflict entry is missing or another"},
    {FM_TABLE_CONFLICTS, NULL, FLIP, 43, 1, "its conflict entry is missing or another"},
    {FM_TABLE_CONFLICTS, has_by, FLIP, 44, 1, "its conflict entry is missing or another"},
    {FM_TABLE_CONFLICTS, is_open, FLIP, 41, FM_PLACE_OPEN ^ FM_PLACE_SETTLED, "names a conflict that is not open"},
    {FM_TABLE_CONFLICTS, is_open, LENGTH, 60, 0, "names a conflict that is not open"},
    {FM_TABLE_CONFLICTS, is_open, GONE, 0, 0, "names what is missing"},
    {FM_TABLE_OPEN, NULL, GONE, 0, 0, "the list of open conflicts does not fit it"},
    {FM_TABLE_OPEN, NULL, DOUBLED, 0, 1, "names what is missing"},
    {FM_TABLE_UNCOUNTED, NULL, GONE, 0, 0, "its verdict is not the one of the list"},
    {FM_TABLE_UNCOUNTED, NULL, UNREAD, 0, 0, "does not fit its check"},
    {FM_TABLE_UNCOUNTED, NULL, DOUBLED, 0, 1, "names what is missing"},
    {FM_TABLE_STATEMENTS, NULL, LENGTH, 7, 0, "cannot be read"},
    {FM_TABLE_NOTES, NULL, UNREAD, 0, 0, "does not fit its check"},
};

static void a_row_that_was_changed_under_a_right_check_is_found(void **state)
{
    (void)state;
    struct both b;
    store_with_all(&b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct row row = {.len = 0};
        assert_int_equal(fm_store_begin(b.store, 1000), FM_OK);
        if (!find(b.store, cases[i].table, cases[i].wanted, &row))
            fail_msg("case %zu: no such row", i);
        switch (cases[i].change) {
        case FLIP:
            assert_true(cases[i].at < row.len);
            row.body[cases[i].at] ^= cases[i].flip;
            put(b.store, &row);
            break;
        case LENGTH: /* zeros, if it gets longer */
            row.len = cases[i].at;
            put(b.store, &row);
            break;
        case UNREAD: put_value(b.store, &row, FM_VALUE_FORMAT, 1); break;
        case GONE:
        case MOVED:
            assert_int_equal(fm_txn_del(b.store, row.table, &row.key, true), FM_OK);
            if (cases[i].change == GONE)
                break; /* fall through */
        case DOUBLED:
            row.key.b[cases[i].at] ^= cases[i].flip;
            put(b.store, &row);
            break;
        }
        if (!says(b.store, cases[i].what))
            fail_msg("case %zu: %s %zu is not said: %s", i, fm_keys_table_name(cases[i].table), cases[i].at, cases[i].what);
        fm_store_abort(b.store);
    }
    sound(b.store);
    both_close(&b);
}

/* What one changed row cannot show. */
static void rows_that_belong_together_are_looked_at_together(void **state)
{
    (void)state;
    struct both b;
    struct row row;
    struct fm_conflict_id id;
    struct fm_version v;
    uint8_t body[FM_VALUE_CONFLICT_BYTES];
    store_with_all(&b);
    struct fm_store *s = b.store;

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* an entry of a version that is none */
    assert_true(find(s, FM_TABLE_VERSIONS, is_plain, &row));
    assert_int_equal(fm_value_version_decode(&v, fm_span(row.key.b, row.key.len), fm_span(row.body, row.len), NULL), FM_OK);
    fm_conflict_id_of(&id, s->crypto, v.kind, &v.record, &v.id);
    struct fm_row_key key = fm_keys_conflict(&id);
    fm_value_conflict_encode(body, &v);
    assert_int_equal(fm_txn_put(s, FM_TABLE_CONFLICTS, &key, fm_span(body, sizeof(body)), 0), FM_OK);
    assert_true(says(s, "it has a conflict entry, but is none"));
    assert_true(says(s, "its version is no conflict"));
    fm_store_abort(s);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* a conflict that is over, in the list of open ones */
    assert_true(find(s, FM_TABLE_CONFLICTS, is_not_open, &row));
    assert_int_equal(fm_txn_put(s, FM_TABLE_OPEN, &row.key, fm_span(NULL, 0), 0), FM_OK);
    assert_true(says(s, "names a conflict that is not open"));
    assert_true(says(s, "the list of open conflicts does not fit it"));
    fm_store_abort(s);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* a version's id, or its row, is gone: its conflict says so too */
    assert_true(find(s, FM_TABLE_CONFLICTS, NULL, &row));
    memcpy(v.id.b, row.body + 17, sizeof(v.id.b));
    key = fm_keys_id(&v.id);
    assert_int_equal(fm_txn_del(s, FM_TABLE_IDS, &key, true), FM_OK);
    assert_true(says(s, "conflicts"));
    assert_int_equal(fm_txn_put(s, FM_TABLE_IDS, &key, fm_span("short", 5), 0), FM_OK);
    assert_true(says(s, "conflicts"));
    fm_store_abort(s);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* a head that is still to be folded may be missing */
    assert_true(find(s, FM_TABLE_HEADS, NULL, &row));
    assert_int_equal(fm_txn_del(s, FM_TABLE_HEADS, &row.key, true), FM_OK);
    assert_int_equal(fm_txn_put(s, FM_TABLE_TOUCHED, &row.key, fm_span(NULL, 0), 0), FM_OK);
    assert_false(says(s, "versions"));
    put_value(s, &row, FM_VALUE_FORMAT, 1); /* but not be damaged */
    assert_true(says(s, "a row beside it cannot be read"));
    fm_store_abort(s);

    both_close(&b);
}

static void names_stamps_signatures_and_numbers_are_looked_at(void **state)
{
    (void)state;
    struct both b;
    struct row row, other;
    store_with_all(&b);
    struct fm_store *s = b.store;

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* a name for a record that has none */
    assert_true(find(s, FM_TABLE_ALIASES, NULL, &row) && find(s, FM_TABLE_HEADS, has_no_offline_id, &other));
    row.key.b[0] = other.key.b[0];
    memcpy(row.key.b + 25, other.key.b + 1, 16);
    put(s, &row);
    assert_true(says(s, "its record does not say so"));
    fm_store_abort(s);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* stamps fall */
    assert_true(find(s, FM_TABLE_CHANGES, NULL, &row));
    memset(row.body + 17, 0xee, 8);
    put(s, &row);
    assert_true(says(s, "stamps go back"));
    fm_store_abort(s);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* the signature, and the body, of a set */
    assert_true(find(s, FM_TABLE_LOG, NULL, &row));
    row.body[row.len - FM_VALUE_CHECK_BYTES - 3] ^= 1;
    put(s, &row);
    assert_true(says(s, "does not fit its hashes"));
    row.body[row.len - FM_VALUE_CHECK_BYTES - 3] ^= 1;
    row.body[row.len - FM_VALUE_CHECK_BYTES - FM_SIGNATURE_BYTES - 4] ^= 1;
    put(s, &row);
    assert_true(says(s, "does not fit its hashes"));
    fm_store_abort(s);

    s->kept.sets++; /* what is in memory is not what is stored */
    assert_true(says(s, "the running numbers are not those in memory"));
    s->kept.sets--;
    sound(s);
    both_close(&b);
}

static void each_running_number_is_counted_again(void **state)
{
    (void)state;
    struct both b;
    store_with_all(&b);
    uint64_t list[FM_SUMS_COUNT];
    for (size_t i = 3; i < FM_SUMS_COUNT; i++) { /* the first three are drawn, not counted */
        memcpy(list, &b.store->now, sizeof(list));
        list[i] -= i == 5 ? list[i] : 1; /* the last stamp may be above the last row's, never below */
        memcpy(&b.store->now, list, sizeof(list));
        if (!says(b.store, "the running numbers are not what is there"))
            fail_msg("number %zu", i);
        b.store->now = b.store->kept;
    }
    sound(b.store);
    both_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_was_changed_under_a_right_check_is_found),
        cmocka_unit_test(rows_that_belong_together_are_looked_at_together),
        cmocka_unit_test(names_stamps_signatures_and_numbers_are_looked_at),
        cmocka_unit_test(each_running_number_is_counted_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
