/* The memory store's read port. */
#include "tests/support/memory_inside.h"

#include "replication/error.h"

static bool has_prefix(struct fm_span key, const struct key *prefix)
{
    return key.len >= prefix->len && memcmp(key.data, prefix->b, prefix->len) == 0;
}

static struct fm_record_ref ref_of(struct fm_span key, size_t from)
{
    struct fm_record_ref ref = {.kind = key.data[from]};
    memcpy(ref.record.b, key.data + from + 1, sizeof(ref.record.b));
    return ref;
}

static int set_at(const struct fm_memory *m, uint64_t arrival, struct fm_set_meta *out)
{
    struct key k = key_arrival(arrival);
    struct fm_span value;
    if (!fm_ordered_get(m->tables[META_OF], key_span(&k), &value))
        return FM_ENOTFOUND;
    memcpy(out, value.data, sizeof(*out));
    return 0;
}

static int port_set_get(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                        struct fm_set_meta *out)
{
    struct fm_memory *m = ctx;
    struct key k = key_set(stream, sequence, id);
    struct fm_span value;
    if (!fm_ordered_get(m->tables[SETS], key_span(&k), &value))
        return FM_ENOTFOUND;
    return set_at(m, fm_be_get(value.data, 8), out);
}

/* Walks the log, so that a reindex finds sets whose meta is not known yet (then only arrival and bytes are filled). */
static int port_set_next(void *ctx, uint64_t arrival_from, struct fm_set_meta *out)
{
    struct fm_memory *m = ctx;
    struct key k = key_arrival(arrival_from);
    struct fm_ordered_entry e;
    if (!fm_ordered_seek(m->tables[LOG], key_span(&k), false, &e))
        return FM_ENOTFOUND;
    uint64_t arrival = fm_be_get(e.key.data, 8);
    if (set_at(m, arrival, out) != 0)
        *out = (struct fm_set_meta){.arrival = arrival, .bytes = (uint32_t)e.value.len};
    return 0;
}

static int port_arrival_last(void *ctx, uint64_t *out)
{
    struct fm_memory *m = ctx;
    struct fm_ordered_entry e;
    *out = fm_ordered_last(m->tables[LOG], &e) ? fm_be_get(e.key.data, 8) : 0;
    return 0;
}

static int get_bytes(const struct fm_memory *m, enum table t, struct fm_span key, struct fm_buf *out)
{
    struct fm_span value;
    if (!fm_ordered_get(m->tables[t], key, &value))
        return FM_ENOTFOUND;
    return fm_buf_add(out, value.data, value.len);
}

static int port_set_bytes(void *ctx, uint64_t arrival, struct fm_buf *out)
{
    struct key k = key_arrival(arrival);
    return get_bytes(ctx, LOG, key_span(&k), out);
}

static int port_stream_sets(void *ctx, const struct fm_stream *stream, uint64_t sequence_from, struct fm_set_meta *out,
                            size_t max, size_t *count)
{
    struct fm_memory *m = ctx;
    struct key k = key_set(stream, sequence_from, NULL), prefix = key_stream(stream);
    struct fm_ordered_entry e;
    bool more = fm_ordered_seek(m->tables[SETS], key_span(&k), false, &e);
    *count = 0;
    while (more && *count < max && has_prefix(e.key, &prefix)) {
        int error = set_at(m, fm_be_get(e.value.data, 8), &out[*count]);
        if (error)
            return error == FM_ENOTFOUND ? FM_ECORRUPT : error;
        ++*count;
        more = fm_ordered_seek(m->tables[SETS], e.key, true, &e);
    }
    return 0;
}

static int port_stream_each(void *ctx, int (*take)(void *arg, const struct fm_stream_row *row), void *arg)
{
    struct fm_memory *m = ctx;
    struct fm_ordered_entry e;
    bool more = fm_ordered_seek(m->tables[STREAMS], fm_span(NULL, 0), false, &e);
    while (more) {
        struct fm_stream_row row;
        memcpy(&row, e.value.data, sizeof(row));
        int stop = take(arg, &row);
        if (stop)
            return stop;
        more = fm_ordered_seek(m->tables[STREAMS], e.key, true, &e);
    }
    return 0;
}

static int version_read(struct fm_version *out, struct fm_span value, struct fm_arena *arena)
{
    memcpy(out, value.data, sizeof(*out));
    out->parents = NULL;
    if (out->parent_count) {
        uint8_t *copy = fm_arena_copy(arena, fm_span(value.data + sizeof(*out), value.len - sizeof(*out)));
        if (!copy)
            return FM_ENOMEM;
        out->parents = (const struct fm_version_id *)copy;
    }
    return 0;
}

/* The order of the versions table's keys: those that do not count behind the others. */
static int key_order(const void *x, const void *y)
{
    const struct fm_version *a = x, *b = y;
    if (a->counted != b->counted)
        return a->counted ? -1 : 1;
    if (a->settlement != b->settlement)
        return a->settlement > b->settlement ? -1 : 1;
    if (a->number != b->number)
        return a->number > b->number ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return fm_id_cmp(&a->id, &b->id);
}

static int port_versions(void *ctx, uint8_t kind, const struct fm_record_id *record, struct fm_arena *arena,
                         struct fm_version **out, size_t *count)
{
    struct fm_memory *m = ctx;
    struct key prefix = key_record(kind, record);
    struct fm_ordered_entry first, e;
    size_t n = 0;
    bool any = fm_ordered_seek(m->tables[VERSIONS], key_span(&prefix), false, &first), more = any;
    for (e = first; more && has_prefix(e.key, &prefix); n++)
        more = fm_ordered_seek(m->tables[VERSIONS], e.key, true, &e);
    *count = n;
    *out = NULL;
    if (n == 0)
        return 0;
    if (n > FM_RECORD_VERSIONS_MAX)
        return FM_ELIMIT;
    struct fm_version *all = fm_arena_take(arena, n * sizeof(*all));
    if (!all)
        return FM_ENOMEM;
    e = first;
    for (size_t i = 0; i < n; i++) {
        int error = version_read(&all[i], e.value, arena);
        if (error)
            return error;
        fm_ordered_seek(m->tables[VERSIONS], e.key, true, &e);
    }
    qsort(all, n, sizeof(*all), key_order);
    *out = all;
    return 0;
}

static int port_version_find(void *ctx, const struct fm_version_id *id, struct fm_record_ref *out)
{
    struct fm_memory *m = ctx;
    struct fm_span value;
    if (!fm_ordered_get(m->tables[IDS], fm_span(id->b, sizeof(id->b)), &value))
        return FM_ENOTFOUND;
    *out = ref_of(value, 0);
    return 0;
}

static int port_version_get(void *ctx, const struct fm_version_id *id, struct fm_arena *arena, struct fm_version *out)
{
    struct fm_memory *m = ctx;
    struct fm_record_ref ref;
    int error = port_version_find(ctx, id, &ref);
    if (error)
        return error;
    struct key k = key_version(ref.kind, &ref.record, id);
    struct fm_span value;
    if (!fm_ordered_get(m->tables[VERSIONS], key_span(&k), &value))
        return FM_ECORRUPT;
    return version_read(out, value, arena);
}

static int port_head(void *ctx, uint8_t kind, const struct fm_record_id *record, struct fm_arena *arena, struct fm_head *out)
{
    struct fm_memory *m = ctx;
    struct key k = key_record(kind, record);
    struct fm_span value;
    if (!fm_ordered_get(m->tables[HEADS], key_span(&k), &value))
        return FM_ENOTFOUND;
    head_read(out, value);
    if (out->offline_id.len) {
        out->offline_id.data = fm_arena_copy(arena, out->offline_id);
        if (!out->offline_id.data)
            return FM_ENOMEM;
    }
    return 0;
}

static int list_refs(const struct fm_memory *m, enum table t, const struct key *prefix, struct fm_record_ref *out, size_t max,
                     size_t *count)
{
    struct fm_ordered_entry e;
    bool more = fm_ordered_seek(m->tables[t], key_span(prefix), false, &e);
    for (*count = 0; more && *count < max && has_prefix(e.key, prefix); ++*count) {
        out[*count] = ref_of(e.key, prefix->len);
        more = fm_ordered_seek(m->tables[t], e.key, true, &e);
    }
    return 0;
}

static int port_waits(void *ctx, const struct fm_version_id *parent, struct fm_record_ref *out, size_t max, size_t *count)
{
    struct key prefix = {.len = 0};
    key_bytes(&prefix, parent->b, sizeof(parent->b));
    return list_refs(ctx, WAITS, &prefix, out, max, count);
}

static int port_touched(void *ctx, struct fm_record_ref *out, size_t max, size_t *count)
{
    struct key prefix = {.len = 0};
    return list_refs(ctx, TOUCHED, &prefix, out, max, count);
}

static int port_alias(void *ctx, uint8_t kind, struct fm_span offline_id, struct fm_record_id *out)
{
    struct fm_memory *m = ctx;
    if (offline_id.len == 0 || offline_id.len > FM_OFFLINE_ID_BYTES_MAX)
        return FM_ENOTFOUND;
    struct key prefix = key_alias(kind, offline_id);
    struct fm_ordered_entry e;
    if (!fm_ordered_seek(m->tables[ALIASES], key_span(&prefix), false, &e) || !has_prefix(e.key, &prefix))
        return FM_ENOTFOUND;
    memcpy(out->b, e.key.data + prefix.len, sizeof(out->b));
    return 0;
}

static int port_by_entity(void *ctx, const struct fm_record_id *entity, uint8_t kind, const struct fm_record_id *after,
                          struct fm_record_id *out, size_t max, size_t *count)
{
    struct fm_memory *m = ctx;
    struct key prefix = key_entity(kind, entity, NULL), from = key_entity(kind, entity, after);
    struct fm_ordered_entry e;
    bool more = fm_ordered_seek(m->tables[ENTITIES], key_span(&from), after != NULL, &e);
    for (*count = 0; more && *count < max && has_prefix(e.key, &prefix); ++*count) {
        memcpy(out[*count].b, e.key.data + prefix.len, sizeof(out->b));
        more = fm_ordered_seek(m->tables[ENTITIES], e.key, true, &e);
    }
    return 0;
}

static int port_statement(void *ctx, uint8_t kind, const struct fm_key *signer, struct fm_buf *out)
{
    struct key k = key_statement(kind, signer);
    return get_bytes(ctx, STATEMENTS, key_span(&k), out);
}

static int port_statement_each(void *ctx, int (*take)(void *arg, struct fm_span bytes), void *arg)
{
    struct fm_memory *m = ctx;
    struct fm_ordered_entry e;
    bool more = fm_ordered_seek(m->tables[STATEMENTS], fm_span(NULL, 0), false, &e);
    while (more) {
        int stop = take(arg, e.value);
        if (stop)
            return stop;
        more = fm_ordered_seek(m->tables[STATEMENTS], e.key, true, &e);
    }
    return 0;
}

static int port_meta(void *ctx, const char *name, struct fm_buf *out)
{
    return get_bytes(ctx, NAMED, fm_span_str(name), out);
}

static int port_record_sum(void *ctx, struct fm_digest *out)
{
    struct fm_memory *m = ctx;
    for (size_t i = 0; i < 4; i++)
        fm_be_put(out->b + 8 * i, m->sum[i], 8);
    return 0;
}

void fm_memory_port_init(struct fm_memory *m)
{
    m->port = (struct fm_port){.ctx = m, .set_get = port_set_get, .set_next = port_set_next,
                               .arrival_last = port_arrival_last, .set_bytes = port_set_bytes,
                               .stream_sets = port_stream_sets, .stream_each = port_stream_each,
                               .versions = port_versions, .version_find = port_version_find,
                               .version_get = port_version_get, .head = port_head, .waits = port_waits,
                               .touched = port_touched, .alias = port_alias, .by_entity = port_by_entity,
                               .statement = port_statement, .statement_each = port_statement_each, .meta = port_meta,
                               .record_sum = port_record_sum};
}

bool fm_memory_next_head(const struct fm_memory *m, const struct fm_record_ref *after, struct fm_record_ref *out)
{
    struct key k = {.len = 0};
    struct fm_ordered_entry e;
    if (after)
        k = key_record(after->kind, &after->record);
    if (!fm_ordered_seek(m->tables[HEADS], key_span(&k), after != NULL, &e))
        return false;
    *out = ref_of(e.key, 0);
    return true;
}
