/* Rows of an open store, taken out and put back otherwise. Include cmocka first. */
#ifndef FM_TESTS_STORE_EDIT_H
#define FM_TESTS_STORE_EDIT_H

#include "store/base.h"
#include "tests/support/store_both.h"

struct row {
    enum fm_table table;
    struct fm_row_key key;
    uint8_t body[3000]; /* of the log: the whole value */
    size_t len;
};

typedef bool (*wanted_fn)(const struct row *row);

static inline bool find(struct fm_store *s, enum fm_table table, wanted_fn wanted, struct row *out)
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

static inline void put(struct fm_store *s, const struct row *row)
{
    const struct fm_span value = fm_span(row->body, row->len);
    if (row->table == FM_TABLE_LOG)
        assert_int_equal(fm_txn_put_parts(s, row->table, &row->key, &value, 1, 0), FM_OK);
    else
        assert_int_equal(fm_txn_put(s, row->table, &row->key, value, 0), FM_OK);
}

/* The same row with this format byte; `flip`: its check is wrong. */
static inline void put_value(struct fm_store *s, const struct row *row, uint8_t format, uint8_t flip)
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

static inline bool is_cores(const struct row *row)
{
    return row->key.b[0] == FM_KEYS_SPACE_CORE;
}

static inline void store_with_all(struct both *b)
{
    both_open(b, 101);
    for (uint64_t turn = 1; turn <= 3; turn++)
        make_committed(b, 70, turn * 100);
    assert_int_equal(fm_store_begin(b->store, 400), FM_OK);
    assert_int_equal(fm_store_note_put(b->store, "name", fm_span("Camp Bama", 9)), FM_OK);
    assert_int_equal(fm_store_commit(b->store), FM_OK);
    sound(b->store);
}

#endif
