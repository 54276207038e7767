#include "tests/support/store_rows.h"

#include <assert.h>

#include "replication/error.h"
#include "replication/set.h"

#define ENTITIES 5u
#define USERS 3u
#define OFFLINE_IDS 12u
#define SIGNERS 4u
#define NAMES 3u
static const char *const names[NAMES] = {FM_META_CLOCK, FM_META_INCARNATION, "another"};

void fm_rows_init(struct fm_rows *r, const struct fm_crypto *crypto, const struct fm_port *port, uint64_t seed)
{
    *r = (struct fm_rows){.random = seed, .crypto = crypto, .port = port};
    memset(r->mesh.b, 0x6d, sizeof(r->mesh.b));
}

void fm_rows_fini(struct fm_rows *r)
{
    fm_arena_fini(&r->arena);
}

uint64_t fm_rows_random(struct fm_rows *r, uint64_t below)
{
    uint64_t z = r->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static bool chance(struct fm_rows *r, uint64_t one_in)
{
    return fm_rows_random(r, one_in) == 0;
}

static void name_bytes(uint8_t *out, size_t len, const char *what, uint64_t number)
{
    uint64_t state = number * 1000003u + 17;
    for (const char *c = what; *c != '\0'; c++)
        state = (state ^ (uint8_t)*c) * 0x100000001b3u;
    for (size_t i = 0; i < len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(state >> 56);
    }
}

struct fm_record_ref fm_rows_record(uint32_t i)
{
    static const uint8_t kinds[] = {FM_KIND_ASSESSMENT, FM_KIND_RESPONSE, FM_KIND_ASSIGNMENT, FM_KIND_ENTITY, 9};
    struct fm_record_ref ref = {.kind = kinds[i % 5]};
    name_bytes(ref.record.b, sizeof(ref.record.b), "record", i);
    return ref;
}

struct fm_version_id fm_rows_version(uint32_t i)
{
    struct fm_version_id id;
    name_bytes(id.b, sizeof(id.b), "version", i);
    return id;
}

static struct fm_record_id entity_of(uint64_t i)
{
    struct fm_record_id id;
    name_bytes(id.b, sizeof(id.b), "entity", i);
    return id;
}

static struct fm_stream stream_of(uint64_t i)
{
    struct fm_stream stream = {.incarnation = 7 + i, .lane = (uint8_t)(i % 2)};
    name_bytes(stream.author.b, sizeof(stream.author.b), "author", i / 2);
    return stream;
}

static struct fm_span offline_id_of(uint64_t i, char text[32])
{
    int len = snprintf(text, 32, "offline-%llu", (unsigned long long)i);
    return fm_span(text, (size_t)len);
}

/* --- rows --- */

static int make_stream(struct fm_rows *r, uint64_t i, fm_rows_apply apply, void *ctx)
{
    struct fm_stream_row stream = {.stream = stream_of(i), .tip_count = 1 + (uint32_t)fm_rows_random(r, FM_STREAM_TIPS_MAX)};
    stream.fork_sequence = stream.tip_count > 1 ? 2 : 0;
    for (uint32_t t = 0; t < stream.tip_count; t++)
        stream.tips[t] = (struct fm_tip){.sequence = r->sequence[i], .id = r->tip[i], .changes = fm_rows_random(r, 1000)};
    return apply(ctx, &(struct fm_row){.kind = FM_ROW_STREAM, .stream = &stream});
}

static void random_verdict(struct fm_rows *r, struct fm_set_meta *meta)
{
    static const uint8_t verdicts[] = {FM_COUNTED, FM_COUNTED, FM_COUNTED, FM_QUARANTINED, FM_VOID, FM_UNREADABLE};
    meta->verdict = verdicts[fm_rows_random(r, 6)];
    meta->why = meta->verdict == FM_VOID ? FM_WHY_EPOCH : FM_WHY_NONE;
}

int fm_rows_make_set(struct fm_rows *r, fm_rows_apply apply, void *ctx)
{
    uint64_t i = fm_rows_random(r, FM_ROWS_STREAMS);
    struct fm_set_header h = {.format = FM_FORMAT, .stream = stream_of(i), .sequence = r->sequence[i] + 1, .has_prev = true,
                              .prev = r->tip[i], .has_grant = !chance(r, 4), .epoch = 1 + fm_rows_random(r, 9),
                              .time = fm_rows_random(r, 1u << 30), .change_count = 1 + (uint32_t)fm_rows_random(r, 200)};
    uint8_t body[600], signature[FM_SIGNATURE_BYTES];
    size_t len = 1 + (size_t)fm_rows_random(r, chance(r, 10) ? 600 : 60);
    struct fm_buf header, bytes;
    struct fm_set_meta meta;
    name_bytes(body, sizeof(body), "body", fm_rows_random(r, UINT64_MAX));
    name_bytes(signature, sizeof(signature), "signature", fm_rows_random(r, UINT64_MAX));
    if (h.has_grant)
        name_bytes(h.grant.b, sizeof(h.grant.b), "grant", fm_rows_random(r, 5));
    h.has_prev = h.sequence > 1;
    h.body_size = (uint32_t)len;
    fm_body_hash_of(h.body_hash, r->crypto, fm_span(body, len));
    fm_buf_init(&header, 0);
    fm_buf_init(&bytes, 0);
    int error = fm_set_header_encode(&header, &h);
    if (error == FM_OK)
        error = fm_set_encode(&bytes, fm_buf_span(&header), fm_span(body, len), signature);
    assert(error == FM_OK);
    meta = (struct fm_set_meta){.stream = h.stream, .sequence = h.sequence, .has_prev = h.has_prev, .has_grant = h.has_grant,
                                .grant = h.grant, .epoch = h.epoch, .time = h.time, .change_count = h.change_count,
                                .bytes = (uint32_t)bytes.len, .changes_before = fm_rows_random(r, 9999),
                                .role = (uint8_t)(1 + fm_rows_random(r, 4))};
    if (h.has_prev)
        meta.prev = h.prev;
    fm_set_id_of(&meta.id, r->crypto, &r->mesh, fm_buf_span(&header));
    random_verdict(r, &meta);
    if (r->reserved == 0 && chance(r, 8))
        r->reserved = ++r->arrival; /* a turn's own set: it comes after others */
    if (r->reserved != 0 && chance(r, 3)) {
        meta.arrival = r->reserved;
        r->reserved = 0;
    } else {
        meta.arrival = ++r->arrival;
    }
    error = apply(ctx, &(struct fm_row){.kind = FM_ROW_SET, .meta = &meta, .bytes = fm_buf_span(&bytes)});
    r->sequence[i] = h.sequence;
    r->tip[i] = meta.id;
    fm_buf_fini(&header);
    fm_buf_fini(&bytes);
    return error == FM_OK ? make_stream(r, i, apply, ctx) : error;
}

static int make_verdict(struct fm_rows *r, fm_rows_apply apply, void *ctx)
{
    struct fm_set_meta meta;
    if (r->arrival == 0 || r->port->set_next(r->port->ctx, 1 + fm_rows_random(r, r->arrival), &meta) != FM_OK)
        return FM_OK;
    random_verdict(r, &meta);
    return apply(ctx, &(struct fm_row){.kind = FM_ROW_VERDICT, .meta = &meta});
}

static void random_state(struct fm_rows *r, struct fm_version *v)
{
    static const uint8_t statuses[] = {FM_VALID, FM_VALID, FM_VALID, FM_STATUS_VOID, FM_WAITING, FM_UNKNOWN};
    v->status = statuses[fm_rows_random(r, 6)];
    v->why = v->status == FM_STATUS_VOID ? FM_WHY_PARENT : FM_WHY_NONE;
    v->settlement = v->status == FM_VALID ? (uint32_t)fm_rows_random(r, 3) : 0;
    v->counted = v->status == FM_VALID && !chance(r, 4);
    v->place = v->counted ? (uint8_t)(1 + fm_rows_random(r, 5)) : FM_PLACE_NONE;
    v->cls = v->place >= FM_PLACE_OPEN ? (uint8_t)(1 + fm_rows_random(r, 4)) : FM_CLASS_NONE;
    v->has_by = v->place >= FM_PLACE_REPLACED;
    memset(&v->by, 0, sizeof(v->by));
    if (v->has_by)
        v->by = fm_rows_version(1 + (uint32_t)fm_rows_random(r, r->versions));
    v->holder_count = 1 + (uint32_t)fm_rows_random(r, chance(r, 20) ? FM_HOLDERS_MAX : 2);
    memset(v->holders, 0, sizeof(v->holders));
    for (uint32_t h = 0; h < v->holder_count; h++)
        v->holders[h] = (struct fm_holder){.arrival = 1 + fm_rows_random(r, 5000), .index = (uint32_t)fm_rows_random(r, 256),
                                           .role = (uint8_t)(1 + fm_rows_random(r, 4)), .live = chance(r, 2),
                                           .counted = v->counted};
}

static int make_head(struct fm_rows *r, const struct fm_record_ref *ref, fm_rows_apply apply, void *ctx)
{
    struct fm_head before, head = {.kind = ref->kind, .record = ref->record};
    struct fm_version *all;
    char text[32];
    size_t count;
    int error = r->port->head(r->port->ctx, ref->kind, &ref->record, &r->arena, &before);
    assert(error == FM_OK || error == FM_ENOTFOUND);
    bool is_new = error == FM_ENOTFOUND;
    error = r->port->versions(r->port->ctx, ref->kind, &ref->record, &r->arena, &all, &count);
    assert(error == FM_OK && count > 0);
    head.versions = (uint32_t)count;
    head.open = (uint32_t)fm_rows_random(r, 3);
    head.shown = all[0].counted;
    if (head.shown) {
        head.deleted = all[0].tombstone;
        head.winner = all[0].id;
        head.number = all[0].number;
        head.arrival = all[0].holders[0].arrival;
        head.index = all[0].holders[0].index;
        head.has_entity = !chance(r, 5);
        head.entity = entity_of(fm_rows_random(r, ENTITIES));
        head.has_user = ref->kind == FM_KIND_ASSIGNMENT;
        if (head.has_user)
            head.user = chance(r, 6) ? head.entity : entity_of(ENTITIES + fm_rows_random(r, USERS));
        if (!chance(r, 3))
            head.offline_id = offline_id_of(fm_rows_random(r, OFFLINE_IDS), text);
    }
    name_bytes(head.digest.b, sizeof(head.digest.b), "digest", fm_rows_random(r, UINT64_MAX));
    return apply(ctx, &(struct fm_row){.kind = FM_ROW_HEAD, .head = &head, .head_before = is_new ? NULL : &before,
                                       .changed = !chance(r, 4)});
}

int fm_rows_make_version(struct fm_rows *r, fm_rows_apply apply, void *ctx)
{
    struct fm_record_ref ref = fm_rows_record((uint32_t)fm_rows_random(r, FM_ROWS_RECORDS));
    struct fm_version_id parents[FM_PARENTS_MAX];
    struct fm_version v = {.kind = ref.kind, .record = ref.record}, *all;
    size_t count;
    int error = r->port->versions(r->port->ctx, ref.kind, &ref.record, &r->arena, &all, &count);
    assert(error == FM_OK);
    if (count > 0 && chance(r, 2)) { /* one that is held gets another state */
        const struct fm_version *before = &all[fm_rows_random(r, count)];
        v = *before;
        if (!chance(r, 5))
            random_state(r, &v);
        error = apply(ctx, &(struct fm_row){.kind = FM_ROW_VERSION, .version = &v, .before = before});
        return error == FM_OK ? make_head(r, &ref, apply, ctx) : error;
    }
    v.id = fm_rows_version(++r->versions);
    v.number = 1 + (uint32_t)fm_rows_random(r, 4);
    v.time = fm_rows_random(r, 8);
    v.action = (uint8_t)(1 + fm_rows_random(r, 4));
    v.tombstone = v.action == FM_DELETE;
    v.verified = (uint8_t)fm_rows_random(r, 4);
    v.verification = fm_rows_random(r, UINT64_MAX);
    v.own_fault = chance(r, 9) ? FM_WHY_ROLE : FM_WHY_NONE;
    v.parent_count = (uint32_t)fm_rows_random(r, chance(r, 30) ? FM_PARENTS_MAX + 1 : 3);
    for (uint32_t p = 0; p < v.parent_count; p++)
        parents[p] = fm_rows_version(1 + (uint32_t)fm_rows_random(r, r->versions));
    v.parents = v.parent_count > 0 ? parents : NULL;
    random_state(r, &v);
    error = apply(ctx, &(struct fm_row){.kind = FM_ROW_VERSION, .version = &v});
    return error == FM_OK ? make_head(r, &ref, apply, ctx) : error;
}

static int make_small(struct fm_rows *r, fm_rows_apply apply, void *ctx)
{
    struct fm_record_ref ref = fm_rows_record((uint32_t)fm_rows_random(r, FM_ROWS_RECORDS));
    struct fm_row row = {.record_kind = ref.kind, .record = ref.record, .present = !chance(r, 3)};
    uint8_t bytes[200];
    name_bytes(bytes, sizeof(bytes), "bytes", fm_rows_random(r, UINT64_MAX));
    row.bytes = fm_span(bytes, (size_t)fm_rows_random(r, sizeof(bytes)));
    switch (fm_rows_random(r, 4)) {
    case 0:
        row.kind = FM_ROW_WAIT;
        row.waits_for = fm_rows_version(1 + (uint32_t)fm_rows_random(r, r->versions + 1));
        break;
    case 1:
        row.kind = FM_ROW_TOUCH;
        break;
    case 2:
        row.kind = FM_ROW_STATEMENT;
        row.statement_kind = (uint8_t)(1 + fm_rows_random(r, 2));
        row.counter = fm_rows_random(r, 99);
        name_bytes(row.signer.b, sizeof(row.signer.b), "signer", fm_rows_random(r, SIGNERS));
        break;
    default:
        row.kind = FM_ROW_META;
        row.name = names[fm_rows_random(r, NAMES)];
        break;
    }
    return apply(ctx, &row);
}

int fm_rows_make(struct fm_rows *r, fm_rows_apply apply, void *ctx)
{
    fm_arena_reset(&r->arena);
    switch (fm_rows_random(r, 8)) {
    case 0:
    case 1:
        return fm_rows_make_set(r, apply, ctx);
    case 2:
        return make_verdict(r, apply, ctx);
    case 3:
        return make_small(r, apply, ctx);
    default:
        return fm_rows_make_version(r, apply, ctx);
    }
}

/* --- the dump --- */

static void put(struct fm_buf *out, const void *data, size_t len)
{
    int error = fm_buf_add(out, data, len);
    assert(error == FM_OK);
    (void)error;
}

static void put_number(struct fm_buf *out, uint64_t number)
{
    uint8_t b[8];
    fm_be_put(b, number, 8);
    put(out, b, 8);
}

static void put_error(struct fm_buf *out, const char *what, int error)
{
    put(out, what, strlen(what));
    put_number(out, (uint64_t)(uint32_t)-error);
}

#define PUT_ID(out, id) put(out, (id).b, sizeof((id).b))

static void put_meta(struct fm_buf *out, const struct fm_set_meta *m)
{
    PUT_ID(out, m->stream.author);
    const uint64_t numbers[] = {m->arrival, m->stream.incarnation, m->stream.lane, m->sequence, m->has_prev, m->has_grant,
                                m->epoch,
                                m->time, m->change_count, m->bytes, m->changes_before, m->role, m->verdict, m->why};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        put_number(out, numbers[i]);
    PUT_ID(out, m->id);
    PUT_ID(out, m->prev);
    PUT_ID(out, m->grant);
}

static void put_version(struct fm_buf *out, const struct fm_version *v)
{
    const uint64_t numbers[] = {v->kind, v->number, v->time, v->action, v->tombstone, v->own_fault, v->verified,
                                v->verification,
                                v->parent_count, v->holder_count, v->status, v->why, v->counted, v->settlement, v->place,
                                    v->cls,
                                v->has_by};
    PUT_ID(out, v->record);
    PUT_ID(out, v->id);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        put_number(out, numbers[i]);
    for (uint32_t p = 0; p < v->parent_count; p++)
        PUT_ID(out, v->parents[p]);
    for (uint32_t h = 0; h < v->holder_count; h++) {
        put_number(out, v->holders[h].arrival);
        put_number(out, v->holders[h].index);
        put_number(out, (uint64_t)v->holders[h].role << 2 | (uint64_t)v->holders[h].live << 1 | v->holders[h].counted);
    }
    if (v->has_by)
        PUT_ID(out, v->by);
}

static void put_head(struct fm_buf *out, const struct fm_head *h)
{
    const uint64_t numbers[] = {h->kind, h->shown, h->deleted, h->number, h->versions, h->open, h->has_entity, h->has_user,
                                h->arrival, h->index, h->offline_id.len};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        put_number(out, numbers[i]);
    PUT_ID(out, h->record);
    PUT_ID(out, h->winner);
    PUT_ID(out, h->entity);
    PUT_ID(out, h->user);
    PUT_ID(out, h->digest);
    put(out, h->offline_id.data, h->offline_id.len);
}

static void dump_sets(const struct fm_port *p, struct fm_buf *out)
{
    struct fm_set_meta meta, again, list[5];
    uint64_t last = 0, next = 0;
    size_t count = 0;
    int error = p->arrival_last(p->ctx, &last);
    put_error(out, "last", error);
    put_number(out, last);
    while ((error = p->set_next(p->ctx, next, &meta)) == FM_OK) {
        put_meta(out, &meta);
        error = p->set_get(p->ctx, &meta.stream, meta.sequence, &meta.id, &again);
        put_error(out, "get", error);
        if (error == FM_OK)
            put_meta(out, &again);
        struct fm_set_id other = meta.id;
        other.b[31] ^= 1;
        put_error(out, "other", p->set_get(p->ctx, &meta.stream, meta.sequence, &other, &again));
        put_error(out, "bytes", p->set_bytes(p->ctx, meta.arrival, out));
        next = meta.arrival + 1;
    }
    put_error(out, "end", error);
    put_error(out, "none", p->set_bytes(p->ctx, next, out));
    for (uint64_t i = 0; i < FM_ROWS_STREAMS + 1; i++)
        for (uint64_t from = 0; from < 40; from += 1 + from) {
            struct fm_stream stream = stream_of(i);
            put_error(out, "sets", p->stream_sets(p->ctx, &stream, from, list, 5, &count));
            put_number(out, count);
            for (size_t n = 0; n < count; n++)
                put_meta(out, &list[n]);
        }
}

static int take_stream(void *arg, const struct fm_stream_row *row)
{
    struct fm_stream_row *rows = arg;
    for (uint64_t i = 0; i < FM_ROWS_STREAMS; i++) {
        struct fm_stream stream = stream_of(i);
        if (fm_stream_eq(&stream, &row->stream)) {
            assert(rows[i].tip_count == 0); /* each but once */
            rows[i] = *row;
            return 0;
        }
    }
    return FM_EINVAL;
}

/* In the order of our numbers: the port's own is free. */
static void dump_streams(const struct fm_port *p, struct fm_buf *out)
{
    struct fm_stream_row rows[FM_ROWS_STREAMS] = {0};
    put_error(out, "streams", p->stream_each(p->ctx, take_stream, rows));
    for (uint64_t i = 0; i < FM_ROWS_STREAMS; i++) {
        put_number(out, rows[i].fork_sequence);
        put_number(out, rows[i].tip_count);
        for (uint32_t t = 0; t < rows[i].tip_count; t++) {
            put_number(out, rows[i].tips[t].sequence);
            PUT_ID(out, rows[i].tips[t].id);
            put_number(out, rows[i].tips[t].changes);
        }
    }
}

static void put_refs(struct fm_buf *out, const struct fm_record_ref *refs, size_t count)
{
    put_number(out, count);
    for (size_t i = 0; i < count; i++) {
        put_number(out, refs[i].kind);
        PUT_ID(out, refs[i].record);
    }
}

static void dump_records(const struct fm_rows *r, const struct fm_port *p, struct fm_buf *out)
{
    struct fm_arena arena = {0};
    struct fm_record_ref refs[4];
    struct fm_version *all, one;
    struct fm_head head;
    size_t count = 0;
    for (uint32_t i = 0; i < FM_ROWS_RECORDS; i++) {
        struct fm_record_ref ref = fm_rows_record(i);
        put_error(out, "versions", p->versions(p->ctx, ref.kind, &ref.record, &arena, &all, &count));
        put_number(out, count);
        for (size_t n = 0; n < count; n++)
            put_version(out, &all[n]);
        int error = p->head(p->ctx, ref.kind, &ref.record, &arena, &head);
        put_error(out, "head", error);
        if (error == FM_OK)
            put_head(out, &head);
        fm_arena_reset(&arena);
    }
    for (uint32_t i = 1; i <= r->versions + 2; i++) {
        struct fm_version_id id = fm_rows_version(i);
        int error = p->version_find(p->ctx, &id, &refs[0]);
        put_error(out, "find", error);
        if (error == FM_OK)
            put_refs(out, refs, 1);
        error = p->version_get(p->ctx, &id, &arena, &one);
        put_error(out, "get", error);
        if (error == FM_OK)
            put_version(out, &one);
        put_error(out, "waits", p->waits(p->ctx, &id, refs, 4, &count));
        put_refs(out, refs, count);
        fm_arena_reset(&arena);
    }
    put_error(out, "touched", p->touched(p->ctx, refs, 4, &count));
    put_refs(out, refs, count);
    fm_arena_fini(&arena);
}

static int take_statement(void *arg, struct fm_span bytes)
{
    struct fm_buf *out = arg;
    put_number(out, bytes.len);
    put(out, bytes.data, bytes.len);
    return 0;
}

static void dump_indexes(const struct fm_port *p, struct fm_buf *out)
{
    static const uint8_t kinds[] = {FM_KIND_ASSESSMENT, FM_KIND_RESPONSE, FM_KIND_ASSIGNMENT, FM_KIND_ENTITY, 9};
    struct fm_record_id ids[3];
    char text[32];
    for (size_t k = 0; k < sizeof(kinds); k++) {
        for (uint64_t i = 0; i < OFFLINE_IDS + 1; i++) {
            int error = p->alias(p->ctx, kinds[k], offline_id_of(i, text), &ids[0]);
            put_error(out, "alias", error);
            if (error == FM_OK)
                PUT_ID(out, ids[0]);
        }
        for (uint64_t i = 0; i < ENTITIES + USERS + 1; i++) {
            struct fm_record_id entity = entity_of(i), after;
            size_t count = 0, pages = 0;
            do { /* page by page */
                put_error(out, "entity", p->by_entity(p->ctx, &entity, kinds[k], pages++ == 0 ? NULL : &after, ids, 3,
                                                      &count));
                for (size_t n = 0; n < count; n++)
                    PUT_ID(out, ids[n]);
                after = ids[count > 0 ? count - 1 : 0];
            } while (count == 3 && pages < 20);
        }
    }
    put_error(out, "statements", p->statement_each(p->ctx, take_statement, out));
    for (uint8_t kind = 1; kind < 4; kind++)
        for (uint64_t i = 0; i < SIGNERS; i++) {
            struct fm_key signer;
            name_bytes(signer.b, sizeof(signer.b), "signer", i);
            put_error(out, "statement", p->statement(p->ctx, kind, &signer, out));
        }
    for (size_t i = 0; i < NAMES; i++)
        put_error(out, "meta", p->meta(p->ctx, names[i], out));
    put_error(out, "meta", p->meta(p->ctx, "no such name", out));
}

void fm_rows_dump(const struct fm_rows *r, const struct fm_port *port, struct fm_buf *out)
{
    struct fm_digest sum = {{0}};
    out->len = 0;
    dump_sets(port, out);
    dump_streams(port, out);
    dump_records(r, port, out);
    dump_indexes(port, out);
    put_error(out, "sum", port->record_sum(port->ctx, &sum));
    PUT_ID(out, sum);
}
