/* Queries for people: counts, what changed here, heads, conflicts, sets that do not count. */
#include <assert.h>

#include "store/base.h"

/* Pages that LMDB can use again are told only in a read transaction; within a write transaction the last answer stands. */
static int look_for_free(struct fm_store *s, MDB_txn *txn, size_t page_bytes)
{
    size_t pages;
    if (s->txn != NULL)
        return FM_OK;
    int error = fm_pages_free(s, txn, &pages);
    if (error == FM_OK)
        s->free_bytes = (uint64_t)pages * page_bytes;
    return error;
}

int fm_store_counts(struct fm_store *s, struct fm_store_counts *out)
{
    const struct fm_sums *n = &s->now;
    MDB_envinfo info;
    MDB_stat stat;
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    *out = (struct fm_store_counts){.sets = n->sets, .versions = n->versions, .records = n->records, .open = n->open,
                                    .replaced = n->replaced, .settled = n->settled, .waiting = n->waiting,
                                    .void_versions = n->void_versions, .quarantined_versions = n->quarantined_versions,
                                    .void_sets = n->void_sets, .quarantined_sets = n->quarantined_sets,
                                    .unreadable_sets = n->unreadable_sets};
    memcpy(out->by_kind, n->by_kind, sizeof(out->by_kind));
    fm_txn_sure(mdb_env_info(s->env, &info));
    fm_txn_sure(mdb_env_stat(s->env, &stat));
    error = look_for_free(s, txn, stat.ms_psize);
    /* Free pages may have been taken since they were counted. */
    uint64_t used = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    out->map_used_bytes = used - (s->free_bytes < used ? s->free_bytes : used);
    out->map_bytes = info.me_mapsize;
    fm_txn_read_end(s);
    return error;
}

int fm_store_incomplete(struct fm_store *s, bool *out)
{
    return fm_sets_rebuilding(s, out);
}

/* --- what changed here --- */

static int changed_one(struct fm_store *s, struct fm_span key, struct fm_span body, struct fm_arena *arena,
                       struct fm_changed *out)
{
    struct fm_record_ref ref;
    int error = fm_value_change_decode(&ref, &out->stamp, body);
    if (error != FM_OK)
        return error;
    out->number = fm_keys_read_number(key);
    struct fm_row_key head = fm_keys_record(ref.kind, &ref.record);
    error = fm_txn_get(s, FM_TABLE_HEADS, &head, &body);
    if (error != FM_OK)
        return fm_txn_held(error);
    return fm_port_head_of(fm_span(head.b, head.len), body, arena, &out->head);
}

int fm_store_changed(struct fm_store *s, uint64_t after, struct fm_arena *arena, struct fm_changed *out, size_t max,
                     size_t *count)
{
    struct fm_span key, body;
    struct fm_scan scan;
    *count = 0;
    if (after == UINT64_MAX)
        return s->dead;
    struct fm_row_key from = fm_keys_number(after + 1);
    int error = fm_scan_open(&scan, s, FM_TABLE_CHANGES, &from, 0);
    if (error != FM_OK)
        return error;
    while (*count < max && (error = fm_scan_next(&scan, &key, &body)) == FM_OK) {
        error = changed_one(s, key, body, arena, &out[*count]);
        if (error != FM_OK)
            break;
        ++*count;
    }
    fm_scan_close(&scan);
    return fm_scan_end(error);
}

/* The first row numbered `number` or above. */
static int change_at(struct fm_store *s, uint64_t number, uint64_t *found, uint64_t *stamp)
{
    struct fm_row_key from = fm_keys_number(number);
    struct fm_record_ref ref;
    struct fm_span key, body;
    struct fm_scan scan;
    int error = fm_scan_open(&scan, s, FM_TABLE_CHANGES, &from, 0);
    if (error != FM_OK)
        return error;
    error = fm_scan_next(&scan, &key, &body);
    if (error == FM_OK) {
        *found = fm_keys_read_number(key);
        error = fm_value_change_decode(&ref, stamp, body);
    }
    fm_scan_close(&scan);
    return error;
}

/* Rule 33. Numbers and stamps rise together, so halving the numbers finds the first row of a stamp. */
int fm_store_changed_since(struct fm_store *s, uint64_t stamp_ms, uint64_t *after)
{
    uint64_t low = 1, high = s->now.change_number + 1, first = high, found = 0, stamp = 0;
    *after = s->now.change_number;
    if (s->dead != FM_OK || stamp_ms > s->now.stamp)
        return s->dead;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int error = fm_txn_held(change_at(s, middle, &found, &stamp)); /* the last number is always there */
        if (error != FM_OK)
            return error;
        if (stamp < stamp_ms) {
            low = found + 1;
        } else {
            high = middle;
            first = found;
        }
    }
    *after = first - 1;
    return FM_OK;
}

int fm_store_changed_last(struct fm_store *s, uint64_t *number, uint64_t *stamp)
{
    *number = s->now.change_number;
    *stamp = s->now.stamp;
    return s->dead;
}

/* --- heads --- */

int fm_store_heads(struct fm_store *s, uint8_t kind, const struct fm_record_id *after, struct fm_arena *arena,
                   struct fm_head *out, size_t max, size_t *count)
{
    static const struct fm_record_id none;
    struct fm_row_key from = fm_keys_record(kind, after != NULL ? after : &none);
    struct fm_span key, body;
    struct fm_scan scan;
    if (after != NULL)
        from = fm_keys_after(&from);
    *count = 0;
    int error = fm_scan_open(&scan, s, FM_TABLE_HEADS, &from, 1);
    if (error != FM_OK)
        return error;
    while (*count < max && (error = fm_scan_next(&scan, &key, &body)) == FM_OK) {
        error = fm_port_head_of(key, body, arena, &out[*count]);
        if (error != FM_OK)
            break;
        ++*count;
    }
    fm_scan_close(&scan);
    return fm_scan_end(error);
}

/* --- conflicts --- */

int fm_store_conflict(struct fm_store *s, const struct fm_conflict_id *id, struct fm_conflict *out)
{
    struct fm_row_key key = fm_keys_conflict(id);
    struct fm_span body;
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_get(s, FM_TABLE_CONFLICTS, &key, &body);
    if (error == FM_OK)
        error = fm_versions_conflict(out, fm_span(key.b, key.len), body);
    fm_txn_read_end(s);
    return error;
}

static int conflict_of(struct fm_store *s, bool open_only, struct fm_span key, struct fm_span body, struct fm_conflict *out)
{
    struct fm_row_key at = fm_keys_copy(key);
    if (open_only) { /* the index names it, its row tells */
        int error = fm_txn_get(s, FM_TABLE_CONFLICTS, &at, &body);
        if (error != FM_OK)
            return fm_txn_held(error);
    }
    return fm_versions_conflict(out, fm_span(at.b, at.len), body);
}

int fm_store_conflicts(struct fm_store *s, bool open_only, const struct fm_conflict_id *after, struct fm_conflict *out,
                       size_t max, size_t *count)
{
    struct fm_row_key from = {.len = 0};
    struct fm_span key, body;
    struct fm_scan scan;
    if (after != NULL) {
        from = fm_keys_conflict(after);
        from = fm_keys_after(&from);
    }
    *count = 0;
    int error = fm_scan_open(&scan, s, open_only ? FM_TABLE_OPEN : FM_TABLE_CONFLICTS, &from, 0);
    if (error != FM_OK)
        return error;
    while (*count < max && (error = fm_scan_next(&scan, &key, &body)) == FM_OK) {
        error = conflict_of(s, open_only, key, body, &out[*count]);
        if (error != FM_OK)
            break;
        ++*count;
    }
    fm_scan_close(&scan);
    return fm_scan_end(error);
}

/* --- sets that do not count --- */

int fm_store_uncounted(struct fm_store *s, uint64_t after, struct fm_set_meta *out, size_t max, size_t *count)
{
    struct fm_log_entry entry;
    struct fm_span key, body, value;
    struct fm_scan scan;
    *count = 0;
    if (after == UINT64_MAX)
        return s->dead;
    struct fm_row_key from = fm_keys_number(after + 1);
    int error = fm_scan_open(&scan, s, FM_TABLE_UNCOUNTED, &from, 0);
    if (error != FM_OK)
        return error;
    while (*count < max && (error = fm_scan_next(&scan, &key, &body)) == FM_OK) {
        struct fm_row_key at = fm_keys_copy(key);
        error = fm_txn_held(fm_txn_get_raw(s, FM_TABLE_LOG, &at, &value));
        if (error == FM_OK)
            error = fm_sets_log_open(s, &entry, fm_span(at.b, at.len), value);
        if (error == FM_OK)
            error = fm_sets_meta(s, &entry, &out[*count]);
        if (error != FM_OK)
            break;
        ++*count;
    }
    fm_scan_close(&scan);
    return fm_scan_end(error);
}
