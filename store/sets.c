/* The log, the index over it, and the streams' tips. A log entry is: format byte, the set, 8-byte check of its signature;
 * its header is covered by its id, its body by the hash in the header. */
#include <assert.h>

#include "store/base.h"

static struct fm_row_key set_key(struct fm_store *s, const struct fm_stream *stream, uint64_t sequence,
                                 const struct fm_set_id *id)
{
    uint8_t hash[FM_STREAM_HASH_BYTES];
    fm_stream_hash_of(hash, s->crypto, stream);
    return fm_keys_set(hash, sequence, id);
}

static int index_put(struct fm_store *s, const struct fm_row_key *key, const struct fm_set_meta *meta, unsigned flags)
{
    uint8_t body[FM_VALUE_SET_BYTES];
    size_t len = fm_value_set_encode(body, meta);
    return fm_txn_put(s, FM_TABLE_STREAMS, key, fm_span(body, len), flags);
}

static void mark_uncounted(struct fm_store *s, const struct fm_set_meta *meta, bool was)
{
    struct fm_row_key key = fm_keys_number(meta->arrival);
    bool is = meta->verdict != FM_COUNTED;
    if (is && !was)
        fm_txn_put(s, FM_TABLE_UNCOUNTED, &key, fm_span(NULL, 0), 0);
    else if (was && !is)
        fm_txn_del(s, FM_TABLE_UNCOUNTED, &key, true);
}

int fm_sets_put(struct fm_store *s, const struct fm_set_meta *meta, struct fm_span bytes)
{
    static const uint8_t format = FM_VALUE_FORMAT;
    uint8_t check[FM_VALUE_CHECK_BYTES];
    struct fm_set set;
    int error = fm_set_decode(&set, bytes);
    if (error != FM_OK)
        return fm_txn_fail(s, error);
    assert(meta->arrival > 0 && meta->sequence == set.header.sequence && fm_stream_eq(&meta->stream, &set.header.stream));
    struct fm_row_key arrival = fm_keys_number(meta->arrival);
    struct fm_row_key key = set_key(s, &meta->stream, meta->sequence, &meta->id);
    fm_value_log_check(s->crypto, check, fm_span(arrival.b, arrival.len), set.signature);
    const struct fm_span parts[] = {fm_span(&format, 1), bytes, fm_span(check, sizeof(check))};
    /* A turn's own set takes its arrival when the turn begins, so others may stand behind it already. */
    bool last = meta->arrival > s->now.arrival_last;
    fm_txn_put_parts(s, FM_TABLE_LOG, &arrival, parts, 3, last ? MDB_APPEND : MDB_NOOVERWRITE);
    index_put(s, &key, meta, MDB_NOOVERWRITE);
    mark_uncounted(s, meta, false);
    if (last)
        s->now.arrival_last = meta->arrival;
    fm_sums_count_set(&s->now, meta->verdict, true);
    return s->error;
}

int fm_sets_rebuilding(struct fm_store *s, bool *out)
{
    MDB_txn *txn;
    MDB_stat stat;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_error(s, mdb_stat(txn, s->dbi[FM_TABLE_LOG], &stat));
    *out = error == FM_OK && s->now.sets < stat.ms_entries;
    fm_txn_read_end(s);
    return error;
}

/* The index row of this key. FM_ENOTFOUND: a reindex has not come to it yet; if none is going on, FM_ECORRUPT. */
static int index_get(struct fm_store *s, const struct fm_row_key *key, struct fm_value_set *row)
{
    struct fm_span body;
    bool rebuilding;
    int error = fm_txn_get(s, FM_TABLE_STREAMS, key, &body);
    if (error == FM_OK)
        return fm_value_set_decode(row, body);
    if (error != FM_ENOTFOUND)
        return error;
    error = fm_sets_rebuilding(s, &rebuilding);
    return error != FM_OK ? error : rebuilding ? FM_ENOTFOUND : FM_ECORRUPT;
}

int fm_sets_verdict(struct fm_store *s, const struct fm_set_meta *meta)
{
    struct fm_row_key key = set_key(s, &meta->stream, meta->sequence, &meta->id);
    struct fm_value_set old = {.verdict = FM_COUNTED};
    int error = index_get(s, &key, &old);
    bool is_new = error == FM_ENOTFOUND;
    if (error != FM_OK && !is_new)
        return fm_txn_fail(s, error);
    if (!is_new)
        fm_sums_count_set(&s->now, old.verdict, false);
    fm_sums_count_set(&s->now, meta->verdict, true);
    mark_uncounted(s, meta, old.verdict != FM_COUNTED);
    return index_put(s, &key, meta, is_new ? MDB_NOOVERWRITE : 0);
}

int fm_sets_tips(struct fm_store *s, const struct fm_stream_row *row)
{
    uint8_t hash[FM_STREAM_HASH_BYTES], body[FM_VALUE_TIPS_BYTES_MAX];
    fm_stream_hash_of(hash, s->crypto, &row->stream);
    struct fm_row_key key = fm_keys_stream_hash(hash);
    size_t len = fm_value_tips_encode(body, row);
    return fm_txn_put(s, FM_TABLE_TIPS, &key, fm_span(body, len), 0);
}

int fm_sets_log_open(struct fm_store *s, struct fm_log_entry *out, struct fm_span key, struct fm_span value)
{
    if (value.len < FM_VALUE_OVERHEAD)
        return FM_ECORRUPT;
    if (fm_set_decode(&out->set, fm_span(value.data + 1, value.len - FM_VALUE_OVERHEAD)) != FM_OK)
        return FM_ECORRUPT;
    if (value.data[0] != FM_VALUE_FORMAT)
        return FM_ECORRUPT;
    out->arrival = fm_keys_read_number(key);
    fm_set_id_of(&out->id, s->crypto, &s->mesh, out->set.header_bytes);
    return FM_OK;
}

int fm_sets_log_check(struct fm_store *s, const struct fm_log_entry *entry, struct fm_span key, struct fm_span value)
{
    uint8_t hash[32], check[FM_VALUE_CHECK_BYTES];
    fm_value_log_check(s->crypto, check, key, entry->set.signature);
    fm_body_hash_of(hash, s->crypto, entry->set.body);
    bool same = memcmp(check, value.data + value.len - sizeof(check), sizeof(check)) == 0 &&
                memcmp(hash, entry->set.header.body_hash, sizeof(hash)) == 0;
    return same ? FM_OK : FM_ECORRUPT;
}

static void meta_fill(struct fm_set_meta *out, const struct fm_log_entry *entry, const struct fm_value_set *row)
{
    const struct fm_set_header *h = &entry->set.header;
    *out = (struct fm_set_meta){.arrival = entry->arrival, .stream = h->stream, .sequence = h->sequence, .id = entry->id,
                                .has_prev = h->has_prev, .has_grant = h->has_grant, .prev = h->prev, .grant = h->grant,
                                .epoch = h->epoch, .time = h->time, .change_count = h->change_count,
                                .bytes = (uint32_t)entry->set.bytes.len};
    if (row != NULL) {
        out->changes_before = row->changes_before;
        out->role = row->role;
        out->verdict = row->verdict;
        out->why = row->why;
    }
}

static bool row_names(const struct fm_value_set *row, const struct fm_log_entry *entry)
{
    return row->arrival == entry->arrival && memcmp(row->id_tail, entry->id.b + 24, sizeof(row->id_tail)) == 0;
}

int fm_sets_meta(struct fm_store *s, const struct fm_log_entry *entry, struct fm_set_meta *out)
{
    const struct fm_set_header *h = &entry->set.header;
    struct fm_row_key key = set_key(s, &h->stream, h->sequence, &entry->id);
    struct fm_value_set row;
    int error = index_get(s, &key, &row);
    if (error == FM_OK && !row_names(&row, entry))
        error = FM_ECORRUPT;
    if (error == FM_OK || error == FM_ENOTFOUND) /* without a row there is no verdict yet */
        meta_fill(out, entry, error == FM_OK ? &row : NULL);
    return fm_scan_end(error);
}

int fm_sets_meta_of(struct fm_store *s, struct fm_span key, struct fm_span body, struct fm_set_meta *out)
{
    struct fm_log_entry entry;
    struct fm_value_set row;
    struct fm_span value;
    int error = fm_value_set_decode(&row, body);
    if (error != FM_OK)
        return error;
    struct fm_row_key arrival = fm_keys_number(row.arrival);
    error = fm_txn_get_raw(s, FM_TABLE_LOG, &arrival, &value);
    if (error == FM_OK)
        error = fm_sets_log_open(s, &entry, fm_span(arrival.b, arrival.len), value);
    if (error != FM_OK)
        return fm_txn_held(error);
    if (!row_names(&row, &entry) || memcmp(key.data + 32, entry.id.b, 24) != 0)
        return FM_ECORRUPT;
    meta_fill(out, &entry, &row);
    return FM_OK;
}
