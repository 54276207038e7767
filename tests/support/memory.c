#include "tests/support/memory_inside.h"

#include "replication/error.h"

/* --- rows --- */

static int put_key(struct fm_memory *m, enum table t, struct key k)
{
    return fm_ordered_put(m->tables[t], key_span(&k), fm_span(NULL, 0));
}

static void drop_key(struct fm_memory *m, enum table t, struct key k)
{
    fm_ordered_remove(m->tables[t], key_span(&k));
}

static int apply_set(struct fm_memory *m, const struct fm_row *row)
{
    const struct fm_set_meta *meta = row->meta;
    struct key arrival = key_arrival(meta->arrival), set = key_set(&meta->stream, meta->sequence, &meta->id);
    int error = 0;

    assert(meta->arrival > 0);
    if (row->kind == FM_ROW_SET) {
        assert(!fm_ordered_get(m->tables[LOG], key_span(&arrival), NULL));
        error = fm_ordered_put(m->tables[LOG], key_span(&arrival), row->bytes);
    } else {
        assert(fm_ordered_get(m->tables[LOG], key_span(&arrival), NULL));
    }
    if (!error)
        error = fm_ordered_put(m->tables[META_OF], key_span(&arrival), fm_span(meta, sizeof(*meta)));
    return error ? error : fm_ordered_put(m->tables[SETS], key_span(&set), key_span(&arrival));
}

static int apply_version(struct fm_memory *m, const struct fm_row *row)
{
    const struct fm_version *v = row->version;
    struct key k = key_version(v->kind, &v->record, &v->id), ref = key_record(v->kind, &v->record);
    struct fm_buf value;
    struct fm_span held;
    int error;

    if (fm_ordered_get(m->tables[VERSIONS], key_span(&k), &held)) {
        struct fm_version old;
        memcpy(&old, held.data, sizeof(old));
        assert(row->before && fm_id_eq(&row->before->id, &v->id));
        assert(row->before->settlement == old.settlement && row->before->place == old.place &&
               row->before->counted == old.counted && row->before->number == old.number && row->before->time == old.time);
    } else {
        assert(!row->before);
    }
    fm_buf_init(&value, 0);
    error = fm_buf_add(&value, v, sizeof(*v));
    if (!error && v->parent_count)
        error = fm_buf_add(&value, v->parents, v->parent_count * sizeof(*v->parents));
    if (!error)
        error = fm_ordered_put(m->tables[VERSIONS], key_span(&k), fm_buf_span(&value));
    if (!error)
        error = fm_ordered_put(m->tables[IDS], fm_span(v->id.b, sizeof(v->id.b)), key_span(&ref));
    fm_buf_fini(&value);
    return error;
}

static void sum_add(struct fm_memory *m, const struct fm_digest *d, bool add)
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t lane = fm_be_get(d->b + 8 * i, 8);
        m->sum[i] = add ? m->sum[i] + lane : m->sum[i] - lane;
    }
}

/* What a head is found by: its offlineId, its entity, and for an assignment its user. */
static int index_head(struct fm_memory *m, const struct fm_head *h, bool add)
{
    int error = 0;
    if (h->offline_id.len) {
        struct key k = key_alias(h->kind, h->offline_id);
        key_bytes(&k, h->record.b, sizeof(h->record.b));
        if (add)
            error = put_key(m, ALIASES, k);
        else
            drop_key(m, ALIASES, k);
    }
    const struct fm_record_id *under[2] = {h->has_entity ? &h->entity : NULL,
                                           h->has_user && h->kind == FM_KIND_ASSIGNMENT ? &h->user : NULL};
    for (size_t i = 0; i < 2 && !error; i++) {
        if (!under[i])
            continue;
        if (add)
            error = put_key(m, ENTITIES, key_entity(h->kind, under[i], &h->record));
        else
            drop_key(m, ENTITIES, key_entity(h->kind, under[i], &h->record));
    }
    return error;
}

static int apply_head(struct fm_memory *m, const struct fm_row *row)
{
    const struct fm_head *h = row->head;
    struct key k = key_record(h->kind, &h->record);
    struct fm_buf value;
    struct fm_span held;
    int error;

    assert(h->offline_id.len <= FM_OFFLINE_ID_BYTES_MAX);
    if (fm_ordered_get(m->tables[HEADS], key_span(&k), &held)) {
        struct fm_head old;
        head_read(&old, held);
        assert(row->head_before && fm_id_eq(&row->head_before->digest, &old.digest));
        index_head(m, &old, false);
        sum_add(m, &old.digest, false);
    } else {
        assert(!row->head_before);
    }
    sum_add(m, &h->digest, true);
    fm_buf_init(&value, 0);
    error = fm_buf_add(&value, h, sizeof(*h));
    if (!error && h->offline_id.len)
        error = fm_buf_add(&value, h->offline_id.data, h->offline_id.len);
    if (!error)
        error = fm_ordered_put(m->tables[HEADS], key_span(&k), fm_buf_span(&value));
    fm_buf_fini(&value);
    return error ? error : index_head(m, h, true);
}

static int apply_mark(struct fm_memory *m, enum table t, struct key k, bool present)
{
    if (present)
        return put_key(m, t, k);
    drop_key(m, t, k);
    return 0;
}

int fm_memory_apply(struct fm_memory *m, const struct fm_row *row)
{
    struct key k;
    switch (row->kind) {
    case FM_ROW_SET:
    case FM_ROW_VERDICT:
        return apply_set(m, row);
    case FM_ROW_STREAM:
        k = key_stream(&row->stream->stream);
        return fm_ordered_put(m->tables[STREAMS], key_span(&k), fm_span(row->stream, sizeof(*row->stream)));
    case FM_ROW_VERSION:
        return apply_version(m, row);
    case FM_ROW_HEAD:
        return apply_head(m, row);
    case FM_ROW_WAIT:
        return apply_mark(m, WAITS, key_wait(&row->waits_for, row->record_kind, &row->record), row->present);
    case FM_ROW_TOUCH:
        return apply_mark(m, TOUCHED, key_record(row->record_kind, &row->record), row->present);
    case FM_ROW_STATEMENT:
        k = key_statement(row->statement_kind, &row->signer);
        return fm_ordered_put(m->tables[STATEMENTS], key_span(&k), row->bytes);
    case FM_ROW_META:
        return fm_ordered_put(m->tables[NAMED], fm_span_str(row->name), row->bytes);
    }
    assert(!"row kind");
    return FM_EINVAL;
}

/* --- life --- */

struct fm_memory *fm_memory_new(void)
{
    struct fm_memory *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    for (size_t t = 0; t < TABLES; t++)
        if (!(m->tables[t] = fm_ordered_new())) {
            fm_memory_free(m);
            return NULL;
        }
    fm_memory_port_init(m);
    return m;
}

struct fm_memory *fm_memory_clone(const struct fm_memory *from)
{
    struct fm_memory *m = fm_memory_new();
    if (!m)
        return NULL;
    memcpy(m->sum, from->sum, sizeof(m->sum));
    for (size_t t = 0; t < TABLES; t++)
        if (fm_ordered_copy(m->tables[t], from->tables[t]) != 0) {
            fm_memory_free(m);
            return NULL;
        }
    return m;
}

void fm_memory_free(struct fm_memory *m)
{
    if (!m)
        return;
    for (size_t t = 0; t < TABLES; t++)
        fm_ordered_free(m->tables[t]);
    free(m);
}

const struct fm_port *fm_memory_port(struct fm_memory *m)
{
    return &m->port;
}

void fm_memory_clear_derived(struct fm_memory *m)
{
    for (size_t t = 0; t < TABLES; t++)
        if (t != LOG && t != STATEMENTS && t != NAMED)
            fm_ordered_clear(m->tables[t]);
    memset(m->sum, 0, sizeof(m->sum));
}

size_t fm_memory_version_count(const struct fm_memory *m)
{
    return fm_ordered_count(m->tables[VERSIONS]);
}
