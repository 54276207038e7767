/* A row that was changed under a right check, or lost: the scrub says what is wrong with it, and whoever reads it is told
 * "damaged" or "written by a newer version", never something else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "store/base.h"
#include "tests/support/store_both.h"

/* --- rows, taken out and put back otherwise --- */

struct row {
    enum fm_table table;
    struct fm_row_key key;
    uint8_t body[3000]; /* of the log: the whole value */
    size_t len;
};

typedef bool (*wanted_fn)(const struct row *row);

static bool find(struct fm_store *s, enum fm_table table, wanted_fn wanted, struct row *out)
{
    struct fm_span key, body;
    struct fm_scan scan;
    bool found = false;
    int error;
    assert_int_equal(fm_scan_open(&scan, s, table, NULL, 0), FM_OK);
    while (!found && (error = table == FM_TABLE_LOG ? fm_scan_next_raw(&scan, &key, &body)
                                                    : fm_scan_next(&scan, &key, &body)) == FM_OK) {
        assert_true(body.len < sizeof(out->body));
        out->table = table;
        out->key = fm_keys_copy(key);
        out->len = body.len;
        if (body.len > 0)
            memcpy(out->body, body.data, body.len);
        found = wanted == NULL || wanted(out);
    }
    fm_scan_close(&scan);
    return found;
}

static void put(struct fm_store *s, const struct row *row)
{
    const struct fm_span value = fm_span(row->body, row->len);
    if (row->table == FM_TABLE_LOG)
        assert_int_equal(fm_txn_put_parts(s, row->table, &row->key, &value, 1, 0), FM_OK);
    else
        assert_int_equal(fm_txn_put(s, row->table, &row->key, value, 0), FM_OK);
}

/* The same row with this format byte; `flip`: its check is wrong. */
static void put_value(struct fm_store *s, const struct row *row, uint8_t format, uint8_t flip)
{
    uint8_t value[sizeof(row->body) + FM_VALUE_OVERHEAD], plain[sizeof(row->body) + 40], hash[16];
    size_t len = 1 + row->len;
    value[0] = format;
    memcpy(value + 1, row->body, row->len);
    plain[0] = (uint8_t)row->table;
    const struct fm_span parts[] = {fm_span(plain, 1), fm_span(row->key.b, row->key.len), fm_span(value, len)};
    s->crypto->hash(s->crypto->ctx, hash, sizeof(hash), parts, 3);
    memcpy(value + len, hash, FM_VALUE_CHECK_BYTES);
    value[len] ^= flip;
    const struct fm_span whole = fm_span(value, len + FM_VALUE_CHECK_BYTES);
    assert_int_equal(fm_txn_put_parts(s, row->table, &row->key, &whole, 1, 0), FM_OK);
}

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

static bool is_cores(const struct row *row)
{
    return row->key.b[0] == FM_KEYS_SPACE_CORE;
}

static bool is_second_or_later(const struct row *row) /* of changes: one with a stamp above the first's */
{
    return fm_be_get(row->body + 17, 8) > 100;
}

static bool counts(const struct row *row) /* of streams */
{
    return row->body[25] == FM_COUNTED;
}

static void store_with_all(struct both *b)
{
    both_open(b, 101);
    for (uint64_t turn = 1; turn <= 3; turn++)
        make_committed(b, 70, turn * 100);
    assert_int_equal(fm_store_begin(b->store, 400), FM_OK);
    assert_int_equal(fm_store_note_put(b->store, "name", fm_span("Camp Bama", 9)), FM_OK);
    assert_int_equal(fm_store_commit(b->store), FM_OK);
    sound(b->store);
}

struct heard {
    const char *what;
    bool said;
};

static void hear(void *ctx, const char *problem)
{
    struct heard *h = ctx;
    h->said |= strstr(problem, h->what) != NULL;
}

static bool says(struct fm_store *s, const char *what)
{
    struct heard h = {.what = what};
    struct fm_store_verify v = {.ctx = &h, .say = hear};
    assert_int_equal(fm_store_scrub(s, &v), FM_OK);
    assert_int_equal(h.said, h.said && v.problems > 0);
    return h.said;
}

/* --- the scrub --- */

enum change { FLIP, LENGTH, GONE, MOVED, DOUBLED, UNREAD };

static void a_row_that_was_changed_under_a_right_check_is_found(void **state)
{
    (void)state;
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
    struct row row, other;
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

/* --- who reads --- */

static int take_row(void *arg, const struct fm_stream_row *row)
{
    (void)arg;
    return row->tip_count > 0 ? FM_OK : FM_EFORMAT;
}

static int take_bytes(void *arg, struct fm_span bytes)
{
    (void)arg;
    (void)bytes;
    return FM_OK;
}

/* By everybody who reads a row of this table, this one among them. */
static int read_row(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_arena arena = {0};
    struct fm_version *all, one;
    struct fm_record_ref refs[200];
    struct fm_record_id ids[200], id;
    struct fm_conflict conflicts[200], conflict;
    struct fm_duplicate twins[200];
    struct fm_set_meta metas[200];
    struct fm_changed changed[3];
    struct fm_head head, heads[200];
    struct fm_version_id version;
    struct fm_key signer;
    struct fm_buf out;
    uint64_t number = fm_be_get(row->key.b, 4) << 32 | fm_be_get(row->key.b + 4, 4);
    struct fm_span key = fm_span(row->key.b, row->key.len);
    char name[FM_ROW_KEY_BYTES_MAX + 1] = "";
    size_t count;
    int rc = FM_OK;
    fm_buf_init(&out, 0);
    memcpy(id.b, row->key.b + 1, sizeof(id.b));
    memcpy(version.b, row->key.b, sizeof(version.b));
    memcpy(signer.b, row->key.b + 1, sizeof(signer.b));
    switch (row->table) {
    case FM_TABLE_META:
        memcpy(name, row->key.b + 1, row->key.len - 1);
        rc = p->meta(p->ctx, name, &out);
        break;
    case FM_TABLE_LOG:
        rc = p->set_bytes(p->ctx, number, &out);
        rc = rc == FM_OK ? p->set_next(p->ctx, number, metas) : rc;
        break;
    case FM_TABLE_STREAMS:
        for (number = 1; rc == FM_OK; number = metas[0].arrival + 1) {
            rc = p->set_next(p->ctx, number, &metas[0]);
            rc = rc == FM_OK ? p->stream_sets(p->ctx, &metas[0].stream, 0, metas + 1, 190, &count) : rc;
            rc = rc == FM_OK ? p->set_get(p->ctx, &metas[0].stream, metas[0].sequence, &metas[0].id, &metas[1]) : rc;
        }
        rc = rc == FM_ENOTFOUND ? FM_OK : rc;
        break;
    case FM_TABLE_TIPS: rc = p->stream_each(p->ctx, take_row, NULL); break;
    case FM_TABLE_VERSIONS: rc = p->versions(p->ctx, row->key.b[0], &id, &arena, &all, &count); break;
    case FM_TABLE_IDS: rc = p->version_get(p->ctx, &version, &arena, &one); break;
    case FM_TABLE_HEADS:
        rc = p->head(p->ctx, row->key.b[0], &id, &arena, &head);
        assert_int_equal(fm_store_heads(s, row->key.b[0], NULL, &arena, heads, 200, &count), rc);
        break;
    case FM_TABLE_CHANGES: rc = fm_store_changed(s, number - 1, &arena, changed, 3, &count); break;
    case FM_TABLE_BY_ENTITY:
        memcpy(id.b, row->key.b, sizeof(id.b));
        rc = p->by_entity(p->ctx, &id, row->key.b[16], NULL, ids, 200, &count);
        break;
    case FM_TABLE_ALIASES: rc = fm_store_duplicates(s, NULL, twins, 200, &count); break;
    case FM_TABLE_CONFLICTS:
        memcpy(conflict.id.b, row->key.b, sizeof(conflict.id.b));
        rc = fm_store_conflicts(s, false, NULL, conflicts, 200, &count);
        rc = rc == FM_OK ? fm_store_conflict(s, &conflict.id, &conflict) : rc;
        break;
    case FM_TABLE_OPEN: rc = fm_store_conflicts(s, true, NULL, conflicts, 200, &count); break;
    case FM_TABLE_WAITS: rc = p->waits(p->ctx, &version, refs, 200, &count); break;
    case FM_TABLE_TOUCHED: rc = p->touched(p->ctx, refs, 200, &count); break;
    case FM_TABLE_STATEMENTS:
        rc = p->statement_each(p->ctx, take_bytes, NULL);
        rc = rc == FM_OK ? p->statement(p->ctx, row->key.b[0], &signer, &out) : rc;
        break;
    case FM_TABLE_NOTES:
        memcpy(name, key.data, key.len);
        rc = fm_store_note_get(s, name, &out);
        break;
    case FM_TABLE_UNCOUNTED: rc = fm_store_uncounted(s, number - 1, metas, 200, &count); break;
    case FM_TABLE_END: break;
    }
    fm_buf_fini(&out);
    fm_arena_fini(&arena);
    return rc;
}

static void whoever_reads_a_damaged_row_is_told(void **state)
{
    (void)state;
    struct both b;
    store_with_all(&b);
    struct fm_store *s = b.store;
    for (int t = FM_TABLE_META; t < FM_TABLE_END; t++) {
        struct row row = {.len = 0};
        const char *name = fm_keys_table_name((enum fm_table)t);
        assert_int_equal(fm_store_begin(s, 1000), FM_OK);
        assert_true(find(s, (enum fm_table)t, t == FM_TABLE_META ? is_cores : NULL, &row));
        assert_int_equal(read_row(s, &row), FM_OK);
        put_value(s, &row, FM_VALUE_FORMAT, 1);
        if (read_row(s, &row) != FM_ECORRUPT)
            fail_msg("%s: a wrong check", name);
        put_value(s, &row, FM_VALUE_FORMAT + 1, 0);
        if (read_row(s, &row) != (t == FM_TABLE_LOG ? FM_ECORRUPT : FM_ENEWER))
            fail_msg("%s: a newer format", name);
        const struct fm_span few = fm_span("12345678", 8);
        assert_int_equal(fm_txn_put_parts(s, (enum fm_table)t, &row.key, &few, 1, 0), FM_OK);
        if (read_row(s, &row) != FM_ECORRUPT)
            fail_msg("%s: shorter than a check", name);
        if (row.len > 3 && t != FM_TABLE_META && t != FM_TABLE_NOTES && t != FM_TABLE_LOG) { /* these hold any bytes */
            row.len = 3;
            put(s, &row);
            if (read_row(s, &row) != FM_ECORRUPT)
                fail_msg("%s: cut short", name);
        }
        fm_store_abort(s);
    }
    both_close(&b);
}

/* A row that names another one, which is not there. */
static void a_row_that_leads_nowhere_is_damage_to_its_reader(void **state)
{
    (void)state;
    static const struct {
        enum fm_table lost, read;
    } cases[] = {{FM_TABLE_LOG, FM_TABLE_UNCOUNTED},     {FM_TABLE_STREAMS, FM_TABLE_LOG},
                 {FM_TABLE_STREAMS, FM_TABLE_UNCOUNTED}, {FM_TABLE_LOG, FM_TABLE_STREAMS},
                 {FM_TABLE_VERSIONS, FM_TABLE_IDS},      {FM_TABLE_HEADS, FM_TABLE_CHANGES},
                 {FM_TABLE_CONFLICTS, FM_TABLE_OPEN}};
    struct both b;
    store_with_all(&b);
    struct fm_store *s = b.store;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct row row, lost;
        assert_int_equal(fm_store_begin(s, 1000), FM_OK);
        assert_true(find(s, cases[i].read, NULL, &row));
        assert_int_equal(read_row(s, &row), FM_OK);
        uint64_t sets = s->now.sets;
        while (find(s, cases[i].lost, NULL, &lost))
            assert_int_equal(fm_txn_del(s, cases[i].lost, &lost.key, true), FM_OK);
        if (cases[i].lost == FM_TABLE_LOG && cases[i].read == FM_TABLE_STREAMS) { /* found by its key alone */
            struct fm_set_meta meta;
            assert_int_equal(fm_sets_meta_of(s, fm_span(row.key.b, row.key.len), fm_span(row.body, 3), &meta), FM_ECORRUPT);
            assert_int_equal(fm_sets_meta_of(s, fm_span(row.key.b, row.key.len), fm_span(row.body, row.len), &meta),
                             FM_ECORRUPT);
        } else if (read_row(s, &row) != FM_ECORRUPT) {
            fail_msg("case %zu", i);
        }
        assert_true(s->now.sets == sets);
        fm_store_abort(s);
    }
    both_close(&b);
}

/* --- who writes over it --- */

static void what_does_not_fit_what_is_stored_is_not_written(void **state)
{
    (void)state;
    struct both b;
    struct row row;
    struct fm_set_meta meta;
    struct fm_head head = {.kind = FM_KIND_ENTITY, .record = {{0xfe}}};
    struct fm_row head_row = {.kind = FM_ROW_HEAD, .head = &head, .head_before = &head};
    char long_name[80];
    store_with_all(&b);
    struct fm_store *s = b.store;
    const struct fm_port *p = fm_store_port(s);
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* a head that is not held, one that is damaged */
    assert_int_equal(fm_store_apply(s, &head_row), FM_EINVAL);
    fm_store_abort(s);
    assert_int_equal(fm_store_begin(s, 1000), FM_OK);
    assert_true(find(s, FM_TABLE_HEADS, NULL, &row));
    put_value(s, &row, FM_VALUE_FORMAT, 1);
    head.kind = row.key.b[0];
    memcpy(head.record.b, row.key.b + 1, sizeof(head.record.b));
    assert_int_equal(fm_store_apply(s, &head_row), FM_ECORRUPT);
    assert_int_equal(fm_store_note_put(s, long_name, fm_span("x", 1)), FM_ECORRUPT); /* the first error stands */
    assert_int_equal(fm_store_commit(s), FM_ECORRUPT);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* a verdict over a damaged row, over none */
    assert_int_equal(p->set_next(p->ctx, 1, &meta), FM_OK);
    struct fm_row verdict = {.kind = FM_ROW_VERDICT, .meta = &meta};
    assert_true(find(s, FM_TABLE_STREAMS, NULL, &row));
    while (find(s, FM_TABLE_STREAMS, NULL, &row))
        assert_int_equal(fm_txn_del(s, FM_TABLE_STREAMS, &row.key, true), FM_OK);
    assert_int_equal(fm_store_apply(s, &verdict), FM_ECORRUPT);
    fm_store_abort(s);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* bytes that are no set */
    assert_int_equal(fm_store_apply(s, &(struct fm_row){.kind = FM_ROW_SET, .meta = &meta, .bytes = fm_span("x", 1)}),
                     FM_EFORMAT);
    fm_store_abort(s);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* names */
    assert_int_equal(fm_store_note_put(s, "", fm_span("x", 1)), FM_EINVAL);
    assert_int_equal(fm_store_note_put(s, "good", fm_span("x", 1)), FM_EINVAL);
    assert_int_equal(fm_store_commit(s), FM_EINVAL);
    assert_int_equal(fm_store_begin(s, 1000), FM_OK);
    assert_int_equal(fm_store_note_put(s, long_name, fm_span("x", 1)), FM_EINVAL);
    fm_store_abort(s);
    sound(s);
    both_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_was_changed_under_a_right_check_is_found),
        cmocka_unit_test(rows_that_belong_together_are_looked_at_together),
        cmocka_unit_test(each_running_number_is_counted_again),
        cmocka_unit_test(whoever_reads_a_damaged_row_is_told),
        cmocka_unit_test(a_row_that_leads_nowhere_is_damage_to_its_reader),
        cmocka_unit_test(what_does_not_fit_what_is_stored_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
