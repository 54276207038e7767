#include "store/value.h"

#include <assert.h>

#include "replication/error.h"

static void check_of(const struct fm_crypto *c, uint8_t out[FM_VALUE_CHECK_BYTES], enum fm_table table, struct fm_span key,
                     struct fm_span body)
{
    uint8_t number = (uint8_t)table, hash[16];
    const struct fm_span parts[] = {fm_span(&number, 1), key, body};
    c->hash(c->ctx, hash, sizeof(hash), parts, 3);
    memcpy(out, hash, FM_VALUE_CHECK_BYTES);
}

void fm_value_seal(const struct fm_crypto *c, enum fm_table table, const struct fm_row_key *key, struct fm_span body,
                   uint8_t *out)
{
    out[0] = FM_VALUE_FORMAT;
    if (body.len > 0)
        memcpy(out + 1, body.data, body.len);
    check_of(c, out + 1 + body.len, table, fm_span(key->b, key->len), fm_span(out, 1 + body.len));
}

int fm_value_open(const struct fm_crypto *c, enum fm_table table, struct fm_span key, struct fm_span value,
                  struct fm_span *body)
{
    uint8_t check[FM_VALUE_CHECK_BYTES];
    if (value.len < FM_VALUE_OVERHEAD)
        return FM_ECORRUPT;
    size_t len = value.len - FM_VALUE_CHECK_BYTES;
    check_of(c, check, table, key, fm_span(value.data, len));
    if (memcmp(check, value.data + len, sizeof(check)) != 0)
        return FM_ECORRUPT;
    if (value.data[0] != FM_VALUE_FORMAT)
        return FM_ENEWER;
    *body = fm_span(value.data + 1, len - 1);
    return FM_OK;
}

void fm_value_log_check(const struct fm_crypto *c, uint8_t out[FM_VALUE_CHECK_BYTES], struct fm_span key,
                        struct fm_span covered)
{
    check_of(c, out, FM_TABLE_LOG, key, covered);
}

/* --- fields, one after the other --- */

struct out {
    uint8_t *at;
};

static void put(struct out *o, uint64_t value, size_t bytes)
{
    fm_be_put(o->at, value, bytes);
    o->at += bytes;
}

static void put_bytes(struct out *o, const void *data, size_t len)
{
    if (len > 0)
        memcpy(o->at, data, len);
    o->at += len;
}

struct in {
    const uint8_t *at, *end;
    bool bad; /* sticky: the body is shorter than its fields */
};

static const uint8_t *take(struct in *i, size_t len)
{
    static const uint8_t none[64];
    if (i->bad || (size_t)(i->end - i->at) < len) {
        i->bad = true;
        return none;
    }
    i->at += len;
    return i->at - len;
}

static uint64_t get(struct in *i, size_t bytes)
{
    return fm_be_get(take(i, bytes), bytes);
}

static int done(const struct in *i)
{
    return i->bad || i->at != i->end ? FM_ECORRUPT : FM_OK;
}

static struct in in_of(struct fm_span body)
{
    return (struct in){.at = body.data, .end = body.data + body.len};
}

#define PUT_ID(o, id) put_bytes(o, (id).b, sizeof((id).b))
#define GET_ID(i, id) memcpy((id).b, take(i, sizeof((id).b)), sizeof((id).b))

/* --- bodies --- */

size_t fm_value_set_encode(uint8_t out[FM_VALUE_SET_BYTES], const struct fm_set_meta *meta)
{
    struct out o = {.at = out};
    put(&o, meta->arrival, 8);
    put(&o, meta->changes_before, 8);
    put_bytes(&o, meta->id.b + 24, 8);
    put(&o, meta->role, 1);
    put(&o, meta->verdict, 1);
    put(&o, meta->why, 1);
    return (size_t)(o.at - out);
}

int fm_value_set_decode(struct fm_value_set *out, struct fm_span body)
{
    struct in i = in_of(body);
    out->arrival = get(&i, 8);
    out->changes_before = get(&i, 8);
    memcpy(out->id_tail, take(&i, 8), 8);
    out->role = (uint8_t)get(&i, 1);
    out->verdict = (uint8_t)get(&i, 1);
    out->why = (uint8_t)get(&i, 1);
    return done(&i);
}

size_t fm_value_tips_encode(uint8_t out[FM_VALUE_TIPS_BYTES_MAX], const struct fm_stream_row *row)
{
    struct out o = {.at = out};
    assert(row->tip_count <= FM_STREAM_TIPS_MAX);
    PUT_ID(&o, row->stream.author);
    put(&o, row->stream.incarnation, 8);
    put(&o, row->stream.lane, 1);
    put(&o, row->fork_sequence, 8);
    put(&o, row->tip_count, 1);
    for (uint32_t t = 0; t < row->tip_count; t++) {
        put(&o, row->tips[t].sequence, 8);
        PUT_ID(&o, row->tips[t].id);
        put(&o, row->tips[t].changes, 8);
    }
    return (size_t)(o.at - out);
}

int fm_value_tips_decode(struct fm_stream_row *out, struct fm_span body)
{
    struct in i = in_of(body);
    memset(out, 0, sizeof(*out));
    GET_ID(&i, out->stream.author);
    out->stream.incarnation = get(&i, 8);
    out->stream.lane = (uint8_t)get(&i, 1);
    out->fork_sequence = get(&i, 8);
    out->tip_count = (uint32_t)get(&i, 1);
    if (out->tip_count > FM_STREAM_TIPS_MAX)
        return FM_ECORRUPT;
    for (uint32_t t = 0; t < out->tip_count; t++) {
        out->tips[t].sequence = get(&i, 8);
        GET_ID(&i, out->tips[t].id);
        out->tips[t].changes = get(&i, 8);
    }
    return done(&i);
}

enum { VERSION_TOMBSTONE = 1, VERSION_BY = 2 };
enum { HOLDER_LIVE = 1, HOLDER_COUNTED = 2 };

size_t fm_value_version_encode(uint8_t out[FM_VALUE_VERSION_BYTES_MAX], const struct fm_version *v)
{
    struct out o = {.at = out};
    assert(v->parent_count <= FM_PARENTS_MAX && v->holder_count <= FM_HOLDERS_MAX);
    put(&o, v->action, 1);
    put(&o, (v->tombstone ? (unsigned)VERSION_TOMBSTONE : 0u) | (v->has_by ? (unsigned)VERSION_BY : 0u), 1);
    put(&o, v->own_fault, 1);
    put(&o, v->why, 1);
    put(&o, v->status, 1);
    put(&o, v->place, 1);
    put(&o, v->cls, 1);
    put(&o, v->verified, 1);
    put(&o, v->verification, 8);
    put(&o, v->parent_count, 2);
    put(&o, v->holder_count, 1);
    if (v->has_by)
        PUT_ID(&o, v->by);
    for (uint32_t h = 0; h < v->holder_count; h++) {
        const struct fm_holder *holder = &v->holders[h];
        put(&o, holder->arrival, 8);
        put(&o, holder->index, 4);
        put(&o, holder->role, 1);
        put(&o, (holder->live ? (unsigned)HOLDER_LIVE : 0u) | (holder->counted ? (unsigned)HOLDER_COUNTED : 0u), 1);
    }
    if (v->parent_count > 0)
        put_bytes(&o, v->parents, v->parent_count * sizeof(*v->parents));
    return (size_t)(o.at - out);
}

int fm_value_version_decode(struct fm_version *out, struct fm_span key, struct fm_span body, struct fm_arena *arena)
{
    struct in i = in_of(body);
    memset(out, 0, sizeof(*out));
    fm_keys_read_version(out, key);
    out->action = (uint8_t)get(&i, 1);
    unsigned flags = (unsigned)get(&i, 1);
    out->tombstone = flags & VERSION_TOMBSTONE;
    out->has_by = flags & VERSION_BY;
    out->own_fault = (uint8_t)get(&i, 1);
    out->why = (uint8_t)get(&i, 1);
    out->status = (uint8_t)get(&i, 1);
    out->place = (uint8_t)get(&i, 1);
    out->cls = (uint8_t)get(&i, 1);
    out->verified = (uint8_t)get(&i, 1);
    out->verification = get(&i, 8);
    out->parent_count = (uint32_t)get(&i, 2);
    out->holder_count = (uint32_t)get(&i, 1);
    if (out->parent_count > FM_PARENTS_MAX || out->holder_count > FM_HOLDERS_MAX)
        return FM_ECORRUPT;
    if (out->has_by)
        GET_ID(&i, out->by);
    for (uint32_t h = 0; h < out->holder_count; h++) {
        out->holders[h].arrival = get(&i, 8);
        out->holders[h].index = (uint32_t)get(&i, 4);
        out->holders[h].role = (uint8_t)get(&i, 1);
        flags = (unsigned)get(&i, 1);
        out->holders[h].live = flags & HOLDER_LIVE;
        out->holders[h].counted = flags & HOLDER_COUNTED;
    }
    size_t bytes = out->parent_count * sizeof(*out->parents);
    if (i.bad || (size_t)(i.end - i.at) != bytes)
        return FM_ECORRUPT;
    if (arena == NULL || bytes == 0)
        return FM_OK;
    out->parents = (const struct fm_version_id *)fm_arena_copy(arena, fm_span(i.at, bytes));
    return out->parents == NULL ? FM_ENOMEM : FM_OK;
}

size_t fm_value_id_encode(uint8_t out[FM_VALUE_ID_BYTES], const struct fm_row_key *version_key)
{
    memcpy(out, version_key->b, FM_VALUE_ID_BYTES);
    return FM_VALUE_ID_BYTES;
}

int fm_value_id_decode(struct fm_row_key *out, struct fm_record_ref *ref, const struct fm_version_id *id,
                       struct fm_span body)
{
    if (body.len != FM_VALUE_ID_BYTES)
        return FM_ECORRUPT;
    *ref = fm_keys_read_record(body, 0);
    *out = fm_keys_version_at(ref->kind, &ref->record, body.data + FM_KEYS_PLACE_FROM, id);
    return FM_OK;
}

enum { HEAD_SHOWN = 1, HEAD_DELETED = 2, HEAD_ENTITY = 4, HEAD_USER = 8 };

size_t fm_value_head_encode(uint8_t out[FM_VALUE_HEAD_BYTES_MAX], const struct fm_head *head, uint64_t number)
{
    struct out o = {.at = out};
    assert(head->offline_id.len <= FM_OFFLINE_ID_BYTES_MAX);
    put(&o, number, 8);
    put(&o, (head->shown ? (unsigned)HEAD_SHOWN : 0u) | (head->deleted ? (unsigned)HEAD_DELETED : 0u) |
                (head->has_entity ? (unsigned)HEAD_ENTITY : 0u) | (head->has_user ? (unsigned)HEAD_USER : 0u), 1);
    PUT_ID(&o, head->winner);
    put(&o, head->number, 4);
    put(&o, head->versions, 4);
    put(&o, head->open, 4);
    PUT_ID(&o, head->entity);
    PUT_ID(&o, head->user);
    put(&o, head->arrival, 8);
    put(&o, head->index, 4);
    PUT_ID(&o, head->digest);
    put(&o, head->offline_id.len, 1);
    put_bytes(&o, head->offline_id.data, head->offline_id.len);
    return (size_t)(o.at - out);
}

int fm_value_head_decode(struct fm_head *out, uint64_t *number, struct fm_span key, struct fm_span body)
{
    struct in i = in_of(body);
    struct fm_record_ref ref = fm_keys_read_record(key, 0);
    memset(out, 0, sizeof(*out));
    out->kind = ref.kind;
    out->record = ref.record;
    *number = get(&i, 8);
    unsigned flags = (unsigned)get(&i, 1);
    out->shown = flags & HEAD_SHOWN;
    out->deleted = flags & HEAD_DELETED;
    out->has_entity = flags & HEAD_ENTITY;
    out->has_user = flags & HEAD_USER;
    GET_ID(&i, out->winner);
    out->number = (uint32_t)get(&i, 4);
    out->versions = (uint32_t)get(&i, 4);
    out->open = (uint32_t)get(&i, 4);
    GET_ID(&i, out->entity);
    GET_ID(&i, out->user);
    out->arrival = get(&i, 8);
    out->index = (uint32_t)get(&i, 4);
    GET_ID(&i, out->digest);
    size_t len = (size_t)get(&i, 1);
    if (len > FM_OFFLINE_ID_BYTES_MAX)
        return FM_ECORRUPT;
    const uint8_t *text = take(&i, len);
    out->offline_id = len > 0 ? fm_span(text, len) : fm_span(NULL, 0);
    return done(&i);
}

size_t fm_value_change_encode(uint8_t out[FM_VALUE_CHANGE_BYTES], const struct fm_record_ref *ref, uint64_t stamp)
{
    struct out o = {.at = out};
    put(&o, ref->kind, 1);
    PUT_ID(&o, ref->record);
    put(&o, stamp, 8);
    return (size_t)(o.at - out);
}

int fm_value_change_decode(struct fm_record_ref *out, uint64_t *stamp, struct fm_span body)
{
    struct in i = in_of(body);
    out->kind = (uint8_t)get(&i, 1);
    GET_ID(&i, out->record);
    *stamp = get(&i, 8);
    return done(&i);
}

size_t fm_value_conflict_encode(uint8_t out[FM_VALUE_CONFLICT_BYTES], const struct fm_version *v)
{
    struct out o = {.at = out};
    static const struct fm_version_id none;
    put(&o, v->kind, 1);
    PUT_ID(&o, v->record);
    PUT_ID(&o, v->id);
    put(&o, v->place, 1);
    put(&o, v->cls, 1);
    put(&o, v->has_by, 1);
    PUT_ID(&o, v->has_by ? v->by : none);
    return (size_t)(o.at - out);
}
