/* LMDB's own file, damaged byte by byte where no row's check looks: keys out of order, counts and roots of tables, the list
 * of free pages, page numbers, the two first pages. The store is not opened, or the scrub says what is wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replication/error.h"
#include "store/base.h"
#include "tests/support/store_both.h"

/* Writes into the file, `at` bytes from each place that holds `pattern`; how many there were. */
static size_t patch(struct fm_store_dir *d, struct fm_span pattern, long at, const void *bytes, size_t len)
{
    struct stat st;
    size_t count = 0;
    int fd = open(d->data, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    uint8_t *all = malloc((size_t)st.st_size);
    assert_non_null(all);
    assert_int_equal(pread(fd, all, (size_t)st.st_size, 0), st.st_size);
    for (size_t i = 0; i + pattern.len <= (size_t)st.st_size; i++)
        if (memcmp(all + i, pattern.data, pattern.len) == 0) {
            assert_int_equal(pwrite(fd, bytes, len, (off_t)i + at), len);
            count++;
        }
    free(all);
    close(fd);
    return count;
}

static void write_at(struct fm_store_dir *d, off_t at, uint64_t number)
{
    int fd = open(d->data, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &number, sizeof(number), at), sizeof(number));
    close(fd);
}

static int open_rescue(struct fm_store_dir *d, struct fm_store **s)
{
    struct fm_store_options options = {.dir = d->path, .rescue = true};
    return fm_store_open(s, &options, &d->crypto, &d->mesh, (const uint8_t[32]){1});
}

static void write_notes(struct fm_store *s, size_t from, size_t to)
{
    assert_int_equal(fm_store_begin(s, 1), FM_OK);
    for (size_t i = from; i < to; i++) {
        char name[40];
        snprintf(name, sizeof(name), "the-note-%zu", i);
        assert_int_equal(fm_store_note_put(s, name, fm_span(name, 10)), FM_OK);
    }
    assert_int_equal(fm_store_commit(s), FM_OK);
}

/* Five notes: a search among them looks at the third first. */
static void keys_that_do_not_rise_or_are_no_keys_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        long at;
        const char *bytes;
        size_t len;
        const char *what;
    } cases[] = {
        {"the-note-3", 9, "9", 1, "keys do not rise"},
        {"the-note-2", 9, "0", 1, "keys do not rise"},
        {"the-note-2", 9, "1", 1, "a look-up finds another row"},
        {"the-note-0", 9, "8", 1, "is in the table, but a look-up does not find it"},
        {"the-note-4", -2, "\0\0", 2, "cannot be walked to its end"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fm_store_dir d;
        struct fm_store *s;
        uint8_t pattern[12] = {10, 0}; /* the key's length stands before it */
        fm_store_dir_make(&d);
        assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
        write_notes(s, 0, 5);
        sound(s);
        fm_store_close(s);
        memcpy(pattern + 2, cases[i].pattern, 10);
        assert_true(patch(&d, fm_span(pattern, 12), 2 + cases[i].at, cases[i].bytes, cases[i].len) > 0);
        assert_int_equal(fm_store_dir_open(&d, &s, false, 0), FM_OK);
        if (!says(s, cases[i].what))
            fail_msg("case %zu: %s", i, cases[i].what);
        fm_store_close(s);
        fm_store_dir_remove(&d);
    }
}

static void a_name_that_is_too_long_ends_a_walk(void **state)
{
    (void)state;
    struct both b;
    char name[FM_ROW_KEY_BYTES_MAX + 1];
    both_open(&b, 301);
    memset(name, 'n', sizeof(name));
    assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
    for (size_t len = sizeof(name) - 1; len <= sizeof(name); len++) { /* at the bound, and past it */
        uint8_t value[FM_VALUE_OVERHEAD];
        struct fm_row_key at = {.len = FM_ROW_KEY_BYTES_MAX};
        memcpy(at.b, name, at.len);
        fm_value_seal(&b.dir.crypto, FM_TABLE_NOTES, &at, fm_span(NULL, 0), value);
        MDB_val key = {.mv_size = len, .mv_data = name}, v = {.mv_size = sizeof(value), .mv_data = value};
        assert_int_equal(mdb_put(b.store->txn, b.store->dbi[FM_TABLE_NOTES], &key, &v, 0), 0);
        assert_int_equal(says(b.store, "notes"), len > FM_ROW_KEY_BYTES_MAX);
        assert_int_equal(says(b.store, "cannot be walked to its end"), len > FM_ROW_KEY_BYTES_MAX);
    }
    fm_store_abort(b.store);
    both_close(&b);
}

/* A table's record in LMDB's table of tables: its name, then pad 4, flags 2, depth 2, pages 8 8 8, rows 8, root 8. */
static void a_table_that_says_other_numbers_is_found(void **state)
{
    (void)state;
    static const struct {
        long at;
        uint64_t number;
        const char *what;
    } cases[] = {{32, 7, "has not as many rows as it should"},
                 {16, 9, "used and free pages do not add up"},
                 {40, 0xffffff, "a page cannot be read"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fm_store_dir d;
        struct fm_store *s;
        static const uint8_t pattern[] = {5, 0, 'n', 'o', 't', 'e', 's'};
        fm_store_dir_make(&d);
        assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
        write_notes(s, 0, 5);
        fm_store_close(s);
        assert_true(patch(&d, fm_span(pattern, sizeof(pattern)), (long)sizeof(pattern) + cases[i].at, &cases[i].number, 8) >
                    0);
        assert_int_equal(fm_store_dir_open(&d, &s, false, 0), FM_OK);
        if (!says(s, cases[i].what))
            fail_msg("case %zu: %s", i, cases[i].what);
        fm_store_close(s);
        fm_store_dir_remove(&d);
    }
}

/* --- the list of free pages --- */

struct list {
    uint64_t commit, numbers[600];
    size_t bytes;    /* of numbers: how many, then they */
    uint64_t in_use; /* a page that is not free */
};

static void newest_list(struct fm_store *s, struct list *out)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value, row;
    assert_int_equal(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_cursor_open(txn, 0, &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_LAST), 0);
    assert_true(key.mv_size == 8 && value.mv_size <= sizeof(out->numbers));
    memcpy(&out->commit, key.mv_data, 8);
    memcpy(out->numbers, value.mv_data, value.mv_size);
    out->bytes = value.mv_size;
    mdb_cursor_close(cursor);
    assert_int_equal(mdb_cursor_open(txn, s->dbi[FM_TABLE_NOTES], &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &row, MDB_FIRST), 0);
    memcpy(&out->in_use, (const uint8_t *)((uintptr_t)row.mv_data & ~(uintptr_t)4095), 8);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    assert_true(out->numbers[0] >= 2);
}

static void a_damaged_list_of_free_pages_is_found(void **state)
{
    (void)state;
    enum { SIZE, MANY, LAST_ONE, FIRST_PAGES, BEYOND, TWICE, IN_USE, ONE_LESS, CASES };
    for (int i = 0; i < CASES; i++) {
        struct fm_store_dir d;
        struct fm_store *s;
        struct fm_store_counts counts;
        struct list list;
        uint8_t pattern[8 + sizeof(list.numbers)];
        fm_store_dir_make(&d);
        assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
        for (size_t turn = 0; turn < 6; turn++)
            write_notes(s, 3 * turn, 3 * turn + 5);
        sound(s);
        newest_list(s, &list);
        fm_store_close(s);
        memcpy(pattern, &list.commit, 8);
        memcpy(pattern + 8, list.numbers, list.bytes);
        const struct fm_span where = fm_span(pattern, 8 + list.bytes); /* the entry's key and value; before them 2 2 2 2 */
        const uint64_t in[CASES] = {
            [MANY] = list.numbers[0] + 100, [FIRST_PAGES] = 1,      [BEYOND] = 0xffffff,
            [TWICE] = list.numbers[1],      [IN_USE] = list.in_use, [ONE_LESS] = list.numbers[0] - 1};
        bool damaged = i != ONE_LESS;
        size_t places = 0;
        if (i == SIZE) /* fewer bytes than a number */
            places = patch(&d, where, -8, &(uint16_t){4}, 2);
        else if (i == MANY || i == ONE_LESS)
            places = patch(&d, where, 8, &in[i], 8);
        else if (i == LAST_ONE) /* the last page of the list, so that it does not fall */
            places = patch(&d, where, (long)(8 + 8 * list.numbers[0]), &(uint64_t){list.numbers[1] + 1}, 8);
        else
            places = patch(&d, where, i == TWICE || i == FIRST_PAGES ? 24 : 16, &in[i], 8);
        assert_true(places > 0);
        int error = fm_store_dir_open(&d, &s, false, 0); /* the first pages are held against the list too */
        assert_true(error == FM_OK || error == FM_ECORRUPT);
        if (error == FM_ECORRUPT)
            assert_int_equal(open_rescue(&d, &s), FM_OK);
        if (!says(s, damaged ? "LMDB's list of free pages is damaged" : "used and free pages do not add up"))
            fail_msg("case %d", i);
        bool no_list = i == SIZE || i == MANY;
        assert_int_equal(fm_store_counts(s, &counts), no_list ? FM_ECORRUPT : FM_OK);
        assert_true(error == FM_ECORRUPT || !no_list);
        fm_store_close(s);
        fm_store_dir_remove(&d);
    }
}

/* --- a page's own number; long values --- */

static void a_page_that_is_another_one_is_found(void **state)
{
    (void)state;
    static const uint8_t longest[3 * 4096];
    for (int i = 0; i < 3; i++) {
        struct fm_store_dir d;
        struct fm_store *s;
        MDB_envinfo info;
        struct fm_span value;
        struct fm_row_key key;
        MDB_txn *txn;
        uint64_t page;
        fm_store_dir_make(&d);
        assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
        assert_int_equal(fm_store_begin(s, 1), FM_OK);
        assert_int_equal(fm_store_note_put(s, "long", fm_span(longest, sizeof(longest))), FM_OK);
        assert_int_equal(fm_store_commit(s), FM_OK);
        sound(s);
        fm_keys_name(&key, 0, "long");
        assert_int_equal(fm_txn_read_begin(s, &txn), FM_OK);
        assert_int_equal(fm_txn_get_raw(s, FM_TABLE_NOTES, &key, &value), FM_OK);
        memcpy(&page, (const uint8_t *)((uintptr_t)value.data & ~(uintptr_t)4095), 8);
        fm_txn_read_end(s);
        assert_int_equal(mdb_env_info(s->env, &info), 0);
        fm_store_close(s);
        const uint64_t numbers[] = {0xffffffffff, info.me_last_pgno, info.me_last_pgno + 1};
        write_at(&d, (off_t)(page * 4096), numbers[i]); /* beyond the file; its first page is, its last is not */
        assert_int_equal(fm_store_dir_open(&d, &s, false, 0), FM_OK);
        assert_true(says(s, "a page's own number is wrong"));
        fm_store_close(s);
        fm_store_dir_remove(&d);
    }
}

/* --- the two first pages --- */

static void first_pages_that_cannot_be_of_one_store_are_refused(void **state)
{
    (void)state;
    enum { ROOT = 128, COMMIT = 144 };
    static const struct {
        size_t turns;
        off_t at; /* the second page has the odd commits */
        uint64_t number;
        int error;
    } cases[] = {
        {0, ROOT, 5, FM_ECORRUPT},          {0, 4096 + COMMIT, 3, FM_ECORRUPT}, {0, COMMIT, 1, FM_ECORRUPT},
        {0, ROOT, UINT64_MAX, FM_OK},       {0, 4096 + COMMIT, 1, FM_OK},       {1, COMMIT, 3, FM_ECORRUPT},
        {1, 4096 + COMMIT, 2, FM_ECORRUPT}, {1, 4096 + COMMIT, 7, FM_ECORRUPT}, {1, 4096 + ROOT, 0xffff, FM_ECORRUPT},
        {2, ROOT, 0xffff, FM_ECORRUPT},     {2, COMMIT, 4, FM_ECORRUPT},        {2, COMMIT, 2, FM_OK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fm_store_dir d;
        struct fm_store *s;
        fm_store_dir_make(&d);
        assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
        for (size_t turn = 0; turn < cases[i].turns; turn++)
            write_notes(s, turn, turn + 3);
        fm_store_close(s);
        write_at(&d, cases[i].at, cases[i].number);
        int error = fm_store_dir_open(&d, &s, false, 0);
        if (error != cases[i].error)
            fail_msg("case %zu: %d", i, error);
        if (error == FM_OK)
            fm_store_close(s);
        fm_store_dir_remove(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_do_not_rise_or_are_no_keys_are_found),
        cmocka_unit_test(a_name_that_is_too_long_ends_a_walk),
        cmocka_unit_test(a_table_that_says_other_numbers_is_found),
        cmocka_unit_test(a_damaged_list_of_free_pages_is_found),
        cmocka_unit_test(a_page_that_is_another_one_is_found),
        cmocka_unit_test(first_pages_that_cannot_be_of_one_store_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
