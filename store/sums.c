#include <assert.h>

#include "store/base.h"

_Static_assert(sizeof(struct fm_sums) % sizeof(uint64_t) == 0, "sums are encoded as a list of u64");

void fm_sums_encode(uint8_t out[FM_SUMS_BYTES], const struct fm_sums *sums)
{
    uint64_t list[FM_SUMS_COUNT];
    memcpy(list, sums, sizeof(list));
    for (size_t i = 0; i < FM_SUMS_COUNT; i++)
        fm_be_put(out + 8 * i, list[i], 8);
}

int fm_sums_decode(struct fm_sums *out, struct fm_span body)
{
    uint64_t list[FM_SUMS_COUNT];
    if (body.len != FM_SUMS_BYTES)
        return FM_ECORRUPT;
    for (size_t i = 0; i < FM_SUMS_COUNT; i++)
        list[i] = fm_be_get(body.data + 8 * i, 8);
    memcpy(out, list, sizeof(list));
    return FM_OK;
}

static struct fm_row_key sums_key(void)
{
    struct fm_row_key key;
    bool fits = fm_keys_name(&key, FM_KEYS_SPACE_STORE, "sums");
    assert(fits);
    (void)fits;
    return key;
}

int fm_sums_load(struct fm_store *s)
{
    struct fm_row_key key = sums_key();
    struct fm_span body;
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_get(s, FM_TABLE_META, &key, &body);
    if (error == FM_OK)
        error = fm_sums_decode(&s->now, body);
    fm_txn_read_end(s);
    s->kept = s->now;
    return fm_txn_held(error);
}

int fm_sums_rescue(struct fm_store *s)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    s->now = (struct fm_sums){.store_id = 0};
    int rc = mdb_cursor_open(txn, s->dbi[FM_TABLE_LOG], &cursor);
    if (rc == 0) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
        if (rc == 0 && key.mv_size == fm_keys_width(FM_TABLE_LOG)) /* else the scrub says so */
            s->now.arrival_last = fm_keys_read_number(fm_span(key.mv_data, key.mv_size));
        mdb_cursor_close(cursor);
    }
    fm_txn_read_end(s);
    s->now.store_id = fm_sums_fresh(s);
    s->now.changes_id = fm_sums_fresh(s);
    s->kept = s->now;
    return rc == MDB_NOTFOUND ? FM_OK : fm_txn_error(s, rc);
}

int fm_sums_write(struct fm_store *s)
{
    uint8_t body[FM_SUMS_BYTES];
    struct fm_row_key key = sums_key();
    fm_sums_encode(body, &s->now);
    return fm_txn_put(s, FM_TABLE_META, &key, fm_span(body, sizeof(body)), 0);
}

static void count(uint64_t *number, bool add)
{
    *number = add ? *number + 1 : *number - 1;
}

void fm_sums_count_set(struct fm_sums *sums, uint8_t verdict, bool add)
{
    count(&sums->sets, add);
    if (verdict == FM_VOID)
        count(&sums->void_sets, add);
    else if (verdict == FM_QUARANTINED)
        count(&sums->quarantined_sets, add);
    else if (verdict == FM_UNREADABLE)
        count(&sums->unreadable_sets, add);
}

void fm_sums_count_version(struct fm_sums *sums, const struct fm_version *v, bool add)
{
    count(&sums->versions, add);
    if (v->status == FM_WAITING)
        count(&sums->waiting, add);
    else if (v->status == FM_STATUS_VOID)
        count(&sums->void_versions, add);
    else if (v->status == FM_VALID && !v->counted)
        count(&sums->quarantined_versions, add);
    if (v->place == FM_PLACE_OPEN)
        count(&sums->open, add);
    else if (v->place == FM_PLACE_REPLACED)
        count(&sums->replaced, add);
    else if (v->place == FM_PLACE_SETTLED)
        count(&sums->settled, add);
}

void fm_sums_count_head(struct fm_sums *sums, const struct fm_head *head, bool add)
{
    if (head->shown && !head->deleted) {
        count(&sums->records, add);
        if (head->kind <= FM_KIND_LAST)
            count(&sums->by_kind[head->kind], add);
    }
    for (size_t lane = 0; lane < 4; lane++) { /* wraps: a sum without order */
        uint64_t part = fm_be_get(head->digest.b + 8 * lane, 8);
        sums->record_sum[lane] = add ? sums->record_sum[lane] + part : sums->record_sum[lane] - part;
    }
}

uint64_t fm_sums_fresh(struct fm_store *s)
{
    uint8_t number[8], hash[16];
    const struct fm_span parts[] = {fm_span(s->random, sizeof(s->random)), fm_span(number, sizeof(number))};
    uint64_t id;
    do {
        fm_be_put(number, ++s->now.fresh, 8);
        s->crypto->hash(s->crypto->ctx, hash, sizeof(hash), parts, 2);
        id = fm_be_get(hash, 8);
    } while (id == 0);
    return id;
}
