/* The core's read port (replication/row.h). Each call is one short read, or reads through the open write transaction; what
 * it gives is copied out of LMDB's pages before the call ends (TRAPS L5, L7). */
#include "store/base.h"

static int port_set_get(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                        struct fm_set_meta *out)
{
    struct fm_store *s = ctx;
    uint8_t hash[FM_STREAM_HASH_BYTES];
    struct fm_span body;
    MDB_txn *txn;
    fm_stream_hash_of(hash, s->crypto, stream);
    struct fm_row_key key = fm_keys_set(hash, sequence, id);
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_get(s, FM_TABLE_STREAMS, &key, &body);
    if (error == FM_OK)
        error = fm_sets_meta_of(s, fm_span(key.b, key.len), body, out);
    if (error == FM_OK && !fm_id_eq(&out->id, id))
        error = FM_ENOTFOUND; /* the first 24 bytes are another set's */
    fm_txn_read_end(s);
    return error;
}

static int port_set_next(void *ctx, uint64_t arrival_from, struct fm_set_meta *out)
{
    struct fm_store *s = ctx;
    struct fm_row_key from = fm_keys_number(arrival_from);
    struct fm_log_entry entry;
    struct fm_span key, value;
    struct fm_scan scan;
    int error = fm_scan_open(&scan, s, FM_TABLE_LOG, &from, 0);
    if (error != FM_OK)
        return error;
    error = fm_scan_next_raw(&scan, &key, &value);
    if (error == FM_OK)
        error = fm_sets_log_open(s, &entry, key, value);
    if (error == FM_OK)
        error = fm_sets_meta(s, &entry, out);
    fm_scan_close(&scan);
    return error;
}

static int port_arrival_last(void *ctx, uint64_t *out)
{
    struct fm_store *s = ctx;
    *out = s->now.arrival_last;
    return s->dead;
}

static int port_set_bytes(void *ctx, uint64_t arrival, struct fm_buf *out)
{
    struct fm_store *s = ctx;
    struct fm_row_key key = fm_keys_number(arrival);
    struct fm_span at = fm_span(key.b, key.len), value;
    struct fm_log_entry entry;
    struct fm_set_meta meta;
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_get_raw(s, FM_TABLE_LOG, &key, &value);
    if (error == FM_OK)
        error = fm_sets_log_open(s, &entry, at, value);
    if (error == FM_OK)
        error = fm_sets_log_check(s, &entry, at, value);
    if (error == FM_OK)
        error = fm_sets_meta(s, &entry, &meta); /* its id against the index */
    if (error == FM_OK)
        error = fm_buf_add(out, entry.set.bytes.data, entry.set.bytes.len);
    fm_txn_read_end(s);
    return error;
}

static int port_stream_sets(void *ctx, const struct fm_stream *stream, uint64_t sequence_from, struct fm_set_meta *out,
                            size_t max, size_t *count)
{
    struct fm_store *s = ctx;
    uint8_t hash[FM_STREAM_HASH_BYTES];
    struct fm_span key, body;
    struct fm_scan scan;
    fm_stream_hash_of(hash, s->crypto, stream);
    struct fm_row_key from = fm_keys_set_prefix(hash, sequence_from);
    *count = 0;
    int error = fm_scan_open(&scan, s, FM_TABLE_STREAMS, &from, sizeof(hash));
    if (error != FM_OK)
        return error;
    while (*count < max && (error = fm_scan_next(&scan, &key, &body)) == FM_OK) {
        error = fm_sets_meta_of(s, key, body, &out[*count]);
        if (error != FM_OK)
            break;
        ++*count;
    }
    fm_scan_close(&scan);
    return fm_scan_end(error);
}

/* Seeks anew for each row: `take` may read, and even write, through the store. */
static int port_stream_each(void *ctx, int (*take)(void *arg, const struct fm_stream_row *row), void *arg)
{
    struct fm_store *s = ctx;
    struct fm_row_key from = {.len = 0};
    for (;;) {
        struct fm_stream_row row;
        struct fm_span key, body;
        struct fm_scan scan;
        int error = fm_scan_open(&scan, s, FM_TABLE_TIPS, &from, 0);
        if (error != FM_OK)
            return error;
        error = fm_scan_next(&scan, &key, &body);
        if (error == FM_OK) {
            struct fm_row_key at = fm_keys_copy(key);
            from = fm_keys_after(&at);
            error = fm_value_tips_decode(&row, body);
        }
        fm_scan_close(&scan);
        if (error != FM_OK)
            return fm_scan_end(error);
        int stop = take(arg, &row);
        if (stop != 0)
            return stop;
    }
}

/* Room for one more; doubles, as most records have a version or two and a few have thousands. */
static struct fm_version *grow(struct fm_arena *arena, struct fm_version *all, size_t count, size_t *room)
{
    if (count < *room)
        return all;
    size_t more = *room == 0 ? 2 : *room * 2;
    struct fm_version *copy = fm_arena_take(arena, more * sizeof(*copy));
    if (copy != NULL && count > 0)
        memcpy(copy, all, count * sizeof(*copy));
    *room = more;
    return copy;
}

static int port_versions(void *ctx, uint8_t kind, const struct fm_record_id *record, struct fm_arena *arena,
                         struct fm_version **out, size_t *count)
{
    struct fm_store *s = ctx;
    struct fm_row_key from = fm_keys_record(kind, record);
    struct fm_span key, body;
    struct fm_scan scan;
    size_t room = 0;
    *out = NULL;
    *count = 0;
    int error = fm_scan_open(&scan, s, FM_TABLE_VERSIONS, &from, from.len);
    if (error != FM_OK)
        return error;
    while ((error = fm_scan_next(&scan, &key, &body)) == FM_OK) {
        if (*count == FM_RECORD_VERSIONS_MAX) {
            error = FM_ELIMIT;
            break;
        }
        *out = grow(arena, *out, *count, &room);
        error = *out == NULL ? FM_ENOMEM : fm_value_version_decode(&(*out)[*count], key, body, arena);
        if (error != FM_OK)
            break;
        ++*count;
    }
    fm_scan_close(&scan);
    return fm_scan_end(error);
}

static int find(struct fm_store *s, const struct fm_version_id *id, struct fm_record_ref *ref, struct fm_row_key *row)
{
    struct fm_row_key key = fm_keys_id(id);
    struct fm_span body;
    int error = fm_txn_get(s, FM_TABLE_IDS, &key, &body);
    return error == FM_OK ? fm_value_id_decode(row, ref, id, body) : error;
}

static int port_version_find(void *ctx, const struct fm_version_id *id, struct fm_record_ref *out)
{
    struct fm_store *s = ctx;
    struct fm_row_key row;
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = find(s, id, out, &row);
    fm_txn_read_end(s);
    return error;
}

static int port_version_get(void *ctx, const struct fm_version_id *id, struct fm_arena *arena, struct fm_version *out)
{
    struct fm_store *s = ctx;
    struct fm_record_ref ref;
    struct fm_row_key row;
    struct fm_span body;
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = find(s, id, &ref, &row);
    if (error == FM_OK)
        error = fm_txn_held(fm_txn_get(s, FM_TABLE_VERSIONS, &row, &body));
    if (error == FM_OK)
        error = fm_value_version_decode(out, fm_span(row.b, row.len), body, arena);
    fm_txn_read_end(s);
    return error;
}

int fm_port_head_of(struct fm_span key, struct fm_span body, struct fm_arena *arena, struct fm_head *out)
{
    uint64_t number;
    int error = fm_value_head_decode(out, &number, key, body);
    if (error == FM_OK && out->offline_id.len > 0) {
        out->offline_id.data = fm_arena_copy(arena, out->offline_id);
        if (out->offline_id.data == NULL)
            error = FM_ENOMEM;
    }
    return error;
}

static int port_head(void *ctx, uint8_t kind, const struct fm_record_id *record, struct fm_arena *arena, struct fm_head *out)
{
    struct fm_store *s = ctx;
    struct fm_row_key key = fm_keys_record(kind, record);
    struct fm_span body;
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_get(s, FM_TABLE_HEADS, &key, &body);
    if (error == FM_OK)
        error = fm_port_head_of(fm_span(key.b, key.len), body, arena, out);
    fm_txn_read_end(s);
    return error;
}

/* Records named in the keys of an index table, from byte `at` of the key on. */
static int list_refs(struct fm_store *s, enum fm_table table, const struct fm_row_key *from, size_t prefix_len, size_t at,
                     struct fm_record_ref *out, size_t max, size_t *count)
{
    struct fm_span key, body;
    struct fm_scan scan;
    *count = 0;
    int error = fm_scan_open(&scan, s, table, from, prefix_len);
    if (error != FM_OK)
        return error;
    while (*count < max && (error = fm_scan_next(&scan, &key, &body)) == FM_OK)
        out[(*count)++] = fm_keys_read_record(key, at);
    fm_scan_close(&scan);
    return fm_scan_end(error);
}

static int port_waits(void *ctx, const struct fm_version_id *parent, struct fm_record_ref *out, size_t max, size_t *count)
{
    struct fm_row_key from = fm_keys_id(parent);
    return list_refs(ctx, FM_TABLE_WAITS, &from, from.len, from.len, out, max, count);
}

static int port_touched(void *ctx, struct fm_record_ref *out, size_t max, size_t *count)
{
    return list_refs(ctx, FM_TABLE_TOUCHED, NULL, 0, 0, out, max, count);
}

static int port_alias(void *ctx, uint8_t kind, struct fm_span offline_id, struct fm_record_id *out)
{
    struct fm_store *s = ctx;
    uint8_t hash[FM_KEYS_OFFLINE_HASH_BYTES];
    struct fm_span key, body;
    struct fm_scan scan;
    if (offline_id.len == 0 || offline_id.len > FM_OFFLINE_ID_BYTES_MAX)
        return FM_ENOTFOUND;
    fm_heads_alias_hash(s, hash, offline_id);
    struct fm_row_key from = fm_keys_alias_prefix(kind, hash);
    int error = fm_scan_open(&scan, s, FM_TABLE_ALIASES, &from, from.len);
    if (error != FM_OK)
        return error;
    error = fm_scan_next(&scan, &key, &body);
    if (error == FM_OK)
        memcpy(out->b, key.data + from.len, sizeof(out->b));
    fm_scan_close(&scan);
    return error;
}

static int port_by_entity(void *ctx, const struct fm_record_id *entity, uint8_t kind, const struct fm_record_id *after,
                          struct fm_record_id *out, size_t max, size_t *count)
{
    struct fm_row_key from = fm_keys_entity_prefix(entity, kind), at;
    size_t prefix_len = from.len;
    struct fm_span key, body;
    struct fm_scan scan;
    if (after != NULL) {
        at = fm_keys_entity(entity, kind, after);
        from = fm_keys_after(&at);
    }
    *count = 0;
    int error = fm_scan_open(&scan, ctx, FM_TABLE_BY_ENTITY, &from, prefix_len);
    if (error != FM_OK)
        return error;
    while (*count < max && (error = fm_scan_next(&scan, &key, &body)) == FM_OK)
        memcpy(out[(*count)++].b, key.data + prefix_len, sizeof(out->b));
    fm_scan_close(&scan);
    return fm_scan_end(error);
}

#define COUNTER_BYTES 8u

static int statement_of(struct fm_span body, struct fm_buf *out)
{
    if (body.len < COUNTER_BYTES)
        return FM_ECORRUPT;
    return fm_buf_add(out, body.data + COUNTER_BYTES, body.len - COUNTER_BYTES);
}

static int port_statement(void *ctx, uint8_t kind, const struct fm_key *signer, struct fm_buf *out)
{
    struct fm_store *s = ctx;
    struct fm_row_key key = fm_keys_statement(kind, signer);
    struct fm_span body;
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_get(s, FM_TABLE_STATEMENTS, &key, &body);
    if (error == FM_OK)
        error = statement_of(body, out);
    fm_txn_read_end(s);
    return error;
}

static int next_statement(struct fm_store *s, struct fm_row_key *from, struct fm_buf *out)
{
    struct fm_span key, body;
    struct fm_scan scan;
    int error = fm_scan_open(&scan, s, FM_TABLE_STATEMENTS, from, 0);
    if (error != FM_OK)
        return error;
    error = fm_scan_next(&scan, &key, &body);
    if (error == FM_OK) {
        struct fm_row_key at = fm_keys_copy(key);
        *from = fm_keys_after(&at);
        out->len = 0;
        error = statement_of(body, out);
    }
    fm_scan_close(&scan);
    return error;
}

static int port_statement_each(void *ctx, int (*take)(void *arg, struct fm_span bytes), void *arg)
{
    struct fm_row_key from = {.len = 0};
    struct fm_buf bytes;
    int error, stop = 0;
    fm_buf_init(&bytes, 0);
    while (stop == 0 && (error = next_statement(ctx, &from, &bytes)) == FM_OK)
        stop = take(arg, fm_buf_span(&bytes));
    fm_buf_fini(&bytes);
    return stop != 0 ? stop : fm_scan_end(error);
}

static int port_meta(void *ctx, const char *name, struct fm_buf *out)
{
    struct fm_store *s = ctx;
    struct fm_row_key key;
    struct fm_span body;
    MDB_txn *txn;
    if (!fm_keys_name(&key, FM_KEYS_SPACE_CORE, name))
        return FM_ENOTFOUND;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_get(s, FM_TABLE_META, &key, &body);
    if (error == FM_OK)
        error = fm_buf_add(out, body.data, body.len);
    fm_txn_read_end(s);
    return error;
}

static int port_record_sum(void *ctx, struct fm_digest *out)
{
    struct fm_store *s = ctx;
    for (size_t lane = 0; lane < 4; lane++)
        fm_be_put(out->b + 8 * lane, s->now.record_sum[lane], 8);
    return s->dead;
}

void fm_port_init(struct fm_store *s)
{
    s->port = (struct fm_port){.ctx = s, .set_get = port_set_get, .set_next = port_set_next,
                               .arrival_last = port_arrival_last,
                               .set_bytes = port_set_bytes, .stream_sets = port_stream_sets, .stream_each = port_stream_each,
                               .versions = port_versions, .version_find = port_version_find, .version_get = port_version_get,
                               .head = port_head, .waits = port_waits, .touched = port_touched, .alias = port_alias,
                               .by_entity = port_by_entity, .statement = port_statement,
                               .statement_each = port_statement_each, .meta = port_meta, .record_sum = port_record_sum};
}
