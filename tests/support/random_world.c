#include "tests/support/random_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/compress.h"
#include "replication/act.h"
#include "replication/change.h"
#include "replication/pack.h"
#include "tests/support/text_doc.h"

#define MUST(call)        \
    do {                  \
        int rc_ = (call); \
        assert(rc_ == 0); \
        (void)rc_;        \
    } while (0)
#define TIME (UINT64_C(1700000000000) << 16)
#define FORKS_MAX 8u /* a stream: far from FM_STREAM_TIPS_MAX, past which what is held hangs on the order */

uint64_t fm_random_draw(uint64_t *state, uint64_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state >> 11) % below;
}

static uint64_t draw(struct fm_random_world *w, uint64_t below)
{
    return fm_random_draw(&w->random, below);
}

static bool chance(struct fm_random_world *w, uint64_t percent)
{
    return draw(w, 100) < percent;
}

struct fm_record_ref fm_random_world_record(uint32_t record)
{
    static const uint8_t kinds[FM_RANDOM_RECORDS] = {FM_KIND_ASSESSMENT, FM_KIND_ASSESSMENT, FM_KIND_ASSESSMENT,
                                                     FM_KIND_RESPONSE,   FM_KIND_MEDIA,      FM_KIND_ENTITY, 77};
    struct fm_record_ref ref = {.kind = kinds[record]};
    memset(ref.record.b, 0x55, sizeof ref.record.b);
    ref.record.b[15] = record == 4 ? 0 : (uint8_t)record; /* two kinds share an id */
    return ref;
}

static struct fm_key named(const char *name, uint64_t number)
{
    struct fm_crypto c = fm_fake_crypto();
    struct fm_span parts[2] = {fm_span_str(name), fm_span(&number, sizeof number)};
    struct fm_key key;
    c.hash(c.ctx, key.b, sizeof key.b, parts, 2);
    return key;
}

static void make_device(struct fm_random_world *w, uint64_t i)
{
    struct fm_random_device *d = &w->devices[i];
    struct fm_key seed = named("device", i);
    if (w->real) {
        fm_device_from_seed(&d->real, &seed);
        fm_crypto_port(&d->crypto, &d->real);
        fm_compress_port(&d->crypto);
        d->author = d->real.author_public;
        d->transport = d->real.transport_public;
        d->box = d->real.box_public;
        return;
    }
    d->fake = (struct fm_fake_device){.author = seed, .box = named("box", i)};
    d->crypto = fm_fake_crypto_of(&d->fake);
    if (w->seed % 4 == 0)
        d->crypto.compress = fm_fake_compress;
    d->author = d->fake.author;
    d->transport = named("transport", i);
    d->box = d->fake.box;
}

void fm_random_world_self(const struct fm_random_world *w, struct fm_self *out)
{
    const struct fm_random_device *d = &w->devices[FM_RANDOM_OBSERVER];
    *out = (struct fm_self){.mesh = w->mesh, .root = w->devices[FM_RANDOM_ROOT].author, .author = d->author,
                            .transport = d->transport, .box = d->box, .incarnation = 99};
}

/* --- changes --- */

/* A document with four fields (3: absent) and now and then what rule 55 and the tables look at. */
static struct fm_span document_of(struct fm_random_world *w, const struct fm_random_version *v)
{
    static const char *const statuses[] = {"PENDING", "DRAFT", "AUTO_VERIFIED", "VERIFIED", "REJECTED", "NONSENSE"};
    static const char *const names[] = {"a", "b", "x", "y"};
    char text[400];
    if (v->action == FM_DELETE || (v->action == FM_UNDO && chance(w, 25)))
        return fm_text_doc(&w->arena, chance(w, 50) ? "{id:\"r\",updatedAt:\"now\"}" : "{id:\"r\"}");
    int len = snprintf(text, sizeof text, "{id:\"r\"");
    for (int i = 0; i < 2; i++)
        if (v->fields[i] < 3)
            len += snprintf(text + len, sizeof text - (size_t)len, ",%s:%d", names[i], v->fields[i]);
    if (v->fields[2] < 3 || v->fields[3] < 3) {
        const char *comma = "";
        len += snprintf(text + len, sizeof text - (size_t)len, ",m:{");
        for (int i = 2; i < 4; i++)
            if (v->fields[i] < 3) {
                len += snprintf(text + len, sizeof text - (size_t)len, "%s%s:%d", comma, names[i], v->fields[i]);
                comma = ",";
            }
        len += snprintf(text + len, sizeof text - (size_t)len, "}");
    }
    if (chance(w, 6))
        len += snprintf(text + len, sizeof text - (size_t)len, ",verificationStatus:\"%s\"", statuses[draw(w, 6)]);
    if (chance(w, 1))
        len += snprintf(text + len, sizeof text - (size_t)len, ",verifiedBy:\"u%d\"", (int)draw(w, 2));
    if (chance(w, 20))
        len += snprintf(text + len, sizeof text - (size_t)len, ",offlineId:\"o%d\"", (int)draw(w, 3));
    if (chance(w, 20))
        len += snprintf(text + len, sizeof text - (size_t)len, ",entityId:\"01234567-89ab-4def-8123-00000000000%d\"",
                        (int)draw(w, 3));
    if (chance(w, 20))
        len += snprintf(text + len, sizeof text - (size_t)len, ",updatedAt:\"%d\"", (int)draw(w, 9));
    snprintf(text + len, sizeof text - (size_t)len, "}");
    return fm_text_doc(&w->arena, text);
}

/* Some version of this record, newer ones rather; NULL: there is none. */
static const struct fm_random_version *some(struct fm_random_world *w, uint32_t record, bool decision)
{
    const struct fm_random_version *found = NULL;
    for (int tries = 0; tries < 30 && found == NULL && w->version_count > 0; tries++) {
        size_t window = chance(w, 70) && w->version_count > 8 ? 8 : w->version_count;
        const struct fm_random_version *v = &w->versions[w->version_count - 1 - draw(w, window)];
        bool decides = v->parent_count > 1 || v->action == FM_UNDO;
        if (v->record == record && (!decision || decides))
            found = v;
    }
    return found;
}

static int id_order(const void *x, const void *y)
{
    const struct fm_version_id *a = x, *b = y;
    return fm_id_cmp(a, b);
}

/* Adds a parent unless it stands there (mostly). */
static void add_parent(struct fm_random_world *w, struct fm_change *c, const struct fm_random_version *v, uint32_t *top)
{
    for (uint32_t i = 0; i < c->parent_count; i++)
        if (fm_id_eq(&c->parents[i], &v->id) && !chance(w, 2))
            return;
    c->parents[c->parent_count++] = v->id;
    *top = v->number > *top ? v->number : *top;
}

static void choose_parents(struct fm_random_world *w, struct fm_change *c, bool coordinator, struct fm_random_version *out,
                           uint32_t *top)
{
    bool undo = chance(w, coordinator ? 14 : 1), merge = chance(w, coordinator ? 65 : 1);
    const struct fm_random_version *first = some(w, out->record, undo && !chance(w, 10));
    if (first == NULL || chance(w, 8))
        return;
    if (chance(w, 6)) /* a stranger's version, perhaps another record's */
        first = some(w, (uint32_t)draw(w, FM_RANDOM_RECORDS), false);
    if (first == NULL)
        return;
    memcpy(out->fields, first->fields, sizeof out->fields);
    add_parent(w, c, first, top);
    c->action = undo ? FM_UNDO : chance(w, 12) ? FM_DELETE : chance(w, 1) ? FM_CREATE : FM_UPDATE;
    if (chance(w, 5)) { /* one that nobody has written */
        memset(c->parents[0].b, (int)draw(w, 256), sizeof c->parents[0].b);
        return;
    }
    for (uint64_t more = merge && !undo ? 1 + draw(w, 3) : 0; more > 0; more--) {
        const struct fm_random_version *v = some(w, out->record, false);
        if (v != NULL)
            add_parent(w, c, v, top);
    }
    if (c->parent_count > 2 && !chance(w, 3))
        qsort(c->parents + 1, c->parent_count - 1, sizeof c->parents[0], id_order);
}

static struct fm_span change_item(struct fm_random_world *w, const struct fm_set_header *h, uint32_t index, bool coordinator)
{
    struct fm_change c = {.action = FM_CREATE, .actor = fm_span_str(chance(w, 50) ? "u1" : "u2")};
    struct fm_random_version v = {.record = (uint32_t)(chance(w, 85) ? draw(w, 3) : draw(w, FM_RANDOM_RECORDS))};
    struct fm_record_ref ref = fm_random_world_record(v.record);
    struct fm_buf item;
    uint32_t top = 0;
    c.kind = ref.kind;
    c.record = ref.record;
    for (int i = 0; i < 4; i++)
        v.fields[i] = (uint8_t)draw(w, 4);
    choose_parents(w, &c, coordinator, &v, &top);
    v.fields[draw(w, 4)] = (uint8_t)draw(w, 4);
    c.version = top + !chance(w, 1);
    if (chance(w, 25)) /* a gap */
        c.version = top + (uint32_t)(chance(w, 90) ? 1 + draw(w, 9) : 998 + draw(w, 5));
    if (chance(w, 1)) /* no known action */
        c.action = (uint8_t)(5 + draw(w, 4));
    v.action = c.action;
    v.number = c.version;
    v.parent_count = c.parent_count;
    c.document = document_of(w, &v);
    fm_buf_init(&item, 0);
    MUST(fm_change_encode(&item, &c));
    struct fm_span bytes = fm_span(fm_arena_copy(&w->arena, fm_buf_span(&item)), item.len);
    fm_buf_fini(&item);
    fm_version_id_of(&v.id, &w->devices[0].crypto, &w->mesh, h, index, bytes);
    if (w->version_count < FM_RANDOM_VERSIONS_MAX)
        w->versions[w->version_count++] = v;
    return bytes;
}

/* --- acts --- */

static struct fm_span act_bytes(struct fm_random_world *w, const struct fm_act *act)
{
    struct fm_buf item;
    fm_buf_init(&item, 0);
    MUST(fm_act_encode(&item, act));
    struct fm_span bytes = fm_span(fm_arena_copy(&w->arena, fm_buf_span(&item)), item.len);
    fm_buf_fini(&item);
    return bytes;
}

/* keys: the first so many data keys are sealed to it. */
static struct fm_span grant_item(struct fm_random_world *w, int device, uint8_t role, uint32_t keys)
{
    struct fm_random_device *d = &w->devices[device];
    struct fm_act *act = calloc(1, sizeof *act);
    struct fm_buf bytes;
    assert(act != NULL);
    act->kind = FM_ACT_GRANT;
    act->grant = (struct fm_grant){.author = d->author, .transport = d->transport, .box = d->box, .name = fm_span_str("n"),
                                   .role = role, .epoch_first = 1 + (chance(w, 4) ? draw(w, 3) : 0),
                                   .epoch_last = chance(w, 93) ? 9 : 2 + draw(w, 3), .serial = ++w->serial, .key_count = keys};
    for (uint32_t i = 0; i < keys; i++) {
        fm_data_key_id_of(&act->grant.keys[i].id, &d->crypto, &w->keys[i]);
        MUST(d->crypto.box(d->crypto.ctx, act->grant.keys[i].sealed, &w->keys[i], &d->box));
    }
    fm_buf_init(&bytes, 0);
    MUST(fm_grant_encode(&bytes, &act->grant));
    MUST(fm_grant_decode(&act->grant, &d->crypto, &w->mesh, fm_buf_span(&bytes)));
    if (w->grant_count < FM_RANDOM_GRANTS_MAX)
        w->grants[w->grant_count++] = (struct fm_random_grant){.device = device, .role = role, .id = act->grant.id};
    struct fm_span item = act_bytes(w, act);
    fm_buf_fini(&bytes);
    free(act);
    return item;
}

/* The streams of a node, each cut after some set of it, or after one that nobody has. */
static void choose_cuts(struct fm_random_world *w, struct fm_act *act, int device)
{
    for (uint64_t inc = 1; inc <= 2; inc++)
        for (uint8_t lane = 0; lane < 2; lane++) {
            const struct fm_random_set *at = NULL;
            for (size_t i = 0, seen = 0; i < w->set_count; i++) {
                const struct fm_random_set *s = &w->sets[i];
                if (s->author == device && s->header.stream.incarnation == inc && s->header.stream.lane == lane &&
                    draw(w, ++seen) == 0)
                    at = s;
            }
            if (at == NULL || chance(w, 15))
                continue;
            struct fm_cut *cut = &act->cuts[act->cut_count++];
            *cut = (struct fm_cut){.incarnation = inc, .lane = lane, .sequence = at->header.sequence, .set = at->id};
            if (chance(w, 8))
                memset(cut->set.b, 0xcc, sizeof cut->set.b);
        }
}

static struct fm_span other_act(struct fm_random_world *w, int device, bool adopt)
{
    struct fm_act *act = calloc(1, sizeof *act);
    assert(act != NULL);
    if (adopt) {
        act->kind = FM_ACT_ADOPT;
        for (uint64_t n = 1 + draw(w, 4); n > 0; n--) {
            const struct fm_random_set *s = &w->sets[draw(w, w->set_count)];
            for (int tries = 0; s->author != device && tries < 20; tries++)
                s = &w->sets[draw(w, w->set_count)];
            act->adopts[act->adopt_count++] =
                (struct fm_adopted){.stream = s->header.stream, .sequence = s->header.sequence, .set = s->id};
        }
    } else {
        act->kind = FM_ACT_REVOKE;
        act->node = w->devices[device].author;
        act->targets_grant = chance(w, 40);
        for (int tries = 0; act->targets_grant && tries < 20; tries++) {
            const struct fm_random_grant *g = &w->grants[draw(w, w->grant_count)];
            act->revoked = g->id;
            if (g->device == device)
                break;
        }
        choose_cuts(w, act, device);
    }
    struct fm_span item = act_bytes(w, act);
    free(act);
    return item;
}

static struct fm_span act_item(struct fm_random_world *w, int author)
{
    bool root = author == FM_RANDOM_ROOT;
    int device = root != chance(w, 8) ? FM_RANDOM_C1 + (int)draw(w, 2) : FM_RANDOM_A + (int)draw(w, 4);
    uint64_t what = draw(w, 10);
    if (what < 2 && author != FM_RANDOM_ROOT)
        return grant_item(w, FM_RANDOM_OBSERVER, FM_ROLE_CAMP, 1 + (uint32_t)draw(w, 2));
    if (what < 5)
        return grant_item(w, device, root != chance(w, 5) ? FM_ROLE_COORDINATOR : chance(w, 70) ? FM_ROLE_CAMP : FM_ROLE_RELAY, 0);
    return other_act(w, device, what >= 8);
}

/* --- sets --- */

static struct fm_random_set *last_of(struct fm_random_world *w, const struct fm_stream *stream, bool any, size_t *forks)
{
    struct fm_random_set *found = NULL;
    size_t seen = 0;
    *forks = 0;
    for (size_t i = 0; i < w->set_count; i++) {
        struct fm_random_set *s = &w->sets[i];
        if (!fm_stream_eq(&s->header.stream, stream))
            continue;
        for (size_t k = 0; k < i; k++)
            *forks += fm_stream_eq(&w->sets[k].header.stream, stream) && w->sets[k].header.has_prev == s->header.has_prev &&
                      fm_id_eq(&w->sets[k].header.prev, &s->header.prev);
        if (!any || draw(w, ++seen) == 0)
            found = s;
    }
    return found;
}

/* The newest grant of a device, sometimes an older one, seldom a stranger's (such a set is never taken in). */
static void choose_grant(struct fm_random_world *w, struct fm_set_header *h, int author)
{
    if (author == FM_RANDOM_ROOT)
        return;
    h->has_grant = true;
    for (size_t i = 0; i < w->grant_count; i++)
        if (w->grants[i].device == author && (i == 0 || chance(w, 80) || !h->grant.b[0]))
            h->grant = w->grants[i].id;
    if (chance(w, 1))
        h->grant = w->grants[draw(w, w->grant_count)].id;
}

static void fill_header(struct fm_random_world *w, struct fm_random_set *s, const struct fm_random_set *prev)
{
    struct fm_set_header *h = &s->header;
    h->format = FM_FORMAT;
    h->sequence = prev != NULL ? prev->header.sequence + 1 : 1;
    h->has_prev = prev != NULL;
    if (prev != NULL)
        h->prev = prev->id;
    h->epoch = prev != NULL ? prev->header.epoch + chance(w, 10) : UINT64_C(1) + chance(w, 10);
    h->time = prev != NULL ? prev->header.time + draw(w, 4) : TIME + draw(w, 8);
    if (chance(w, 1))
        h->epoch = draw(w, 12);
    if (chance(w, 2))
        h->time -= 5;
    choose_grant(w, h, s->author);
}

/* A set whose body is named as sealed under a key that does not open it: void wherever that key is held. */
static void close_badly(struct fm_random_world *w, struct fm_random_set *s, struct fm_span body)
{
    static const uint8_t nonce[24] = {9};
    struct fm_crypto *c = &w->devices[s->author].crypto;
    struct fm_buf sealed, header;
    uint8_t signature[FM_SIGNATURE_BYTES];
    fm_buf_init(&sealed, 0);
    fm_buf_init(&header, 0);
    MUST(c->seal(c->ctx, &sealed, body, &w->keys[2], nonce, fm_span(NULL, 0)));
    s->header.sealed = true;
    fm_data_key_id_of(&s->header.data_key, c, &w->keys[s->key]);
    fm_body_hash_of(s->header.body_hash, c, fm_buf_span(&sealed));
    s->header.body_size = (uint32_t)body.len;
    MUST(fm_set_header_encode(&header, &s->header));
    fm_set_id_of(&s->id, c, &w->mesh, fm_buf_span(&header));
    c->sign(c->ctx, signature, s->id.b);
    MUST(fm_set_encode(&s->bytes, fm_buf_span(&header), fm_buf_span(&sealed), signature));
    fm_buf_fini(&sealed);
    fm_buf_fini(&header);
}

static void close_set(struct fm_random_world *w, struct fm_random_set *s)
{
    uint8_t nonce[24] = {0};
    struct fm_buf body;
    struct fm_pack p;
    fm_buf_init(&body, 0);
    fm_pack_init(&p, &body);
    fm_pack_array(&p, s->count);
    for (uint32_t i = 0; i < s->count; i++)
        fm_pack_raw(&p, s->items[i]);
    s->header.change_count = s->count;
    if (chance(w, 1)) { /* a body that is no list of changes */
        fm_pack_nil(&p);
        s->count = 0;
    }
    assert(p.error == 0);
    fm_be_put(nonce, w->set_count, 8);
    fm_buf_init(&s->bytes, 0);
    if (s->key >= 0 && chance(w, 3))
        close_badly(w, s, fm_buf_span(&body));
    else
        MUST(fm_set_close(&s->bytes, &s->id, &w->devices[s->author].crypto, &w->mesh, &s->header, fm_buf_span(&body),
                          s->key >= 0 ? &w->keys[s->key] : NULL, nonce));
    fm_buf_fini(&body);
}

static int choose_key(struct fm_random_world *w, uint8_t lane)
{
    uint64_t n = draw(w, 100);
    if (lane == 0)
        return -1;
    if (!w->sealed)
        return n < 98 ? -1 : 0;
    return n < 60 ? 0 : n < 85 ? 1 : n < 90 ? 2 : w->real ? 0 : -1;
}

/* The same changes as a set with the same predecessor: the fork's twin holds the same versions, but not all, or more. */
static bool make_twin(struct fm_random_world *w, struct fm_random_set *s, const struct fm_random_set *of)
{
    if (of->count == 0)
        return false;
    s->header = of->header;
    s->header.sealed = false;
    s->count = of->count - (of->count > 1 && chance(w, 40));
    memcpy(s->items, of->items, s->count * sizeof s->items[0]);
    if (chance(w, 40))
        s->header.epoch = chance(w, 50) ? 1 + draw(w, 3) : 11; /* the one may be void and the other not */
    if (!s->header.has_prev && chance(w, 20) && s->author != FM_RANDOM_ROOT) {
        s->header.stream.lane = !s->header.stream.lane; /* a version's id does not tell the lane */
        s->key = s->header.stream.lane == 0 ? -1 : s->key;
    }
    if (s->count < FM_RANDOM_ITEMS_MAX && s->header.stream.lane == 1 && chance(w, 70)) {
        s->items[s->count] = change_item(w, &s->header, s->count, s->author <= FM_RANDOM_C2);
        s->count++;
    }
    return true;
}

static void add_items(struct fm_random_world *w, struct fm_random_set *s)
{
    bool coordinator = s->author == FM_RANDOM_C1 || s->author == FM_RANDOM_C2;
    uint8_t lane = s->header.stream.lane;
    s->count = 1 + (uint32_t)draw(w, lane == 0 ? 2 : 5);
    for (uint32_t i = 0; i < s->count; i++) {
        bool wrong_lane = chance(w, 3);
        s->items[i] = (lane == 0) != wrong_lane ? act_item(w, s->author) : change_item(w, &s->header, i, coordinator);
        if (chance(w, 1)) /* an item that is nonsense by itself */
            s->items[i] = fm_text_doc(&w->arena, "[1,1,2,3]");
    }
}

/* A twin may have come out as the very set that is there. */
static void keep(struct fm_random_world *w, struct fm_random_set *s)
{
    close_set(w, s);
    for (size_t i = 0; i < w->set_count; i++)
        if (fm_id_eq(&w->sets[i].id, &s->id)) {
            fm_buf_fini(&s->bytes);
            return;
        }
    w->set_count++;
}

static void add_set(struct fm_random_world *w, int author, uint8_t lane)
{
    struct fm_random_set *s = &w->sets[w->set_count];
    size_t forks;
    *s = (struct fm_random_set){.author = author, .key = choose_key(w, lane)};
    s->header.stream = (struct fm_stream){.author = w->devices[author].author, .incarnation = 1 + chance(w, 8), .lane = lane};
    struct fm_random_set *prev = last_of(w, &s->header.stream, false, &forks);
    if (prev != NULL && forks < FORKS_MAX && chance(w, 12)) {
        const struct fm_random_set *sibling = last_of(w, &s->header.stream, true, &forks);
        prev = NULL;
        for (size_t i = 0; i < w->set_count && sibling->header.has_prev; i++)
            if (fm_id_eq(&w->sets[i].id, &sibling->header.prev))
                prev = &w->sets[i];
        if (chance(w, 60) && make_twin(w, s, sibling)) {
            keep(w, s);
            return;
        }
    }
    fill_header(w, s, prev);
    add_items(w, s);
    keep(w, s);
}

/* The first sets: everybody is granted, the observer with the first data key. */
static void begin(struct fm_random_world *w)
{
    static const int authors[] = {FM_RANDOM_ROOT, FM_RANDOM_C1};
    for (int k = 0; k < 2; k++) {
        struct fm_random_set *s = &w->sets[w->set_count];
        *s = (struct fm_random_set){.author = authors[k], .key = -1};
        s->header.stream = (struct fm_stream){.author = w->devices[s->author].author, .incarnation = 1};
        if (k == 0) {
            s->items[s->count++] = grant_item(w, FM_RANDOM_C1, FM_ROLE_COORDINATOR, 0);
            s->items[s->count++] = grant_item(w, FM_RANDOM_C2, FM_ROLE_COORDINATOR, 0);
        } else {
            s->items[s->count++] = grant_item(w, FM_RANDOM_OBSERVER, FM_ROLE_CAMP, 1);
            for (int i = FM_RANDOM_A; i <= FM_RANDOM_D; i++)
                s->items[s->count++] = grant_item(w, i, i == FM_RANDOM_D ? FM_ROLE_RELAY : FM_ROLE_CAMP, 0);
        }
        fill_header(w, s, NULL);
        close_set(w, s);
        w->set_count++;
    }
}

void fm_random_world_init(struct fm_random_world *w, uint64_t seed, bool real)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    w->real = real;
    for (int i = 0; i < 8; i++)
        draw(w, 2);
    w->sealed = real || chance(w, 35);
    memset(w->mesh.b, 'w', sizeof w->mesh.b);
    for (uint64_t i = 0; i < FM_RANDOM_KEYS; i++)
        w->keys[i] = named("data key", i);
    for (uint64_t i = 0; i < FM_RANDOM_DEVICES; i++)
        make_device(w, i);
    begin(w);
    uint64_t wanted = 12 + draw(w, chance(w, 30) ? 70 : 35), membership = draw(w, 25);
    while (w->set_count < wanted && w->set_count < FM_RANDOM_SETS_MAX) {
        bool act = chance(w, membership);
        int author = act ? (int)draw(w, chance(w, 90) ? 3 : 7) : FM_RANDOM_C1 + (int)draw(w, 6);
        uint8_t lane = act || chance(w, 2) ? 0 : 1;
        add_set(w, author, author == FM_RANDOM_ROOT ? 0 : lane);
    }
}

void fm_random_world_fini(struct fm_random_world *w)
{
    for (size_t i = 0; i < w->set_count; i++)
        fm_buf_fini(&w->sets[i].bytes);
    fm_arena_fini(&w->arena);
}
