#include "tests/support/world_sets.h"

#include <assert.h>

#include "replication/act.h"
#include "replication/change.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/set.h"
#include "replication/uuid.h"
#include "tests/support/fake_crypto.h"

/* A version id's hash is looked up; all others are the fake's. */
static void ranked_hash(void *ctx, uint8_t *out, size_t out_len, const struct fm_span *parts, size_t count)
{
    const struct fm_world_sets *w = ctx;
    struct fm_crypto plain = fm_fake_crypto();
    plain.hash(plain.ctx, out, out_len, parts, count);
    if (out_len != FM_VERSION_ID_BYTES || !fm_span_eq(parts[0], fm_span_str(FM_DOMAIN_VERSION)))
        return;
    for (size_t i = 0; i < w->version_count; i++)
        if (memcmp(w->versions[i].plain.b, out, out_len) == 0) {
            memcpy(out, w->versions[i].id.b, out_len);
            return;
        }
    assert(!"a version of no world");
}

static int fake_verify(void *ctx, const uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32], const struct fm_key *author)
{
    struct fm_crypto plain = fm_fake_crypto();
    (void)ctx;
    return plain.verify(plain.ctx, signature, id, author);
}

static void no_sign(void *ctx, uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32])
{
    (void)ctx;
    (void)signature;
    (void)id;
    assert(!"the world's observer writes nothing");
}

static int no_unbox(void *ctx, struct fm_key *data_key, const uint8_t sealed[80])
{
    (void)ctx;
    (void)data_key;
    (void)sealed;
    return FM_EKEY;
}

void fm_world_author(struct fm_key *out, const char *name)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->b, name, strlen(name));
    out->b[31] = 1;
}

/* The id of a set of the world; of one that is not in it, bytes that no set has. */
static void set_id(const struct fm_world_sets *w, struct fm_set_id *out, const char *name)
{
    memset(out, 0xee, sizeof(*out));
    memcpy(out->b, name, strlen(name));
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->sets[i].name, name) == 0)
            *out = w->sets[i].id;
}

static const json_t *named_set(const struct fm_world_sets *w, const char *name)
{
    const json_t *sets = json_object_get(w->json, "sets");
    for (size_t i = 0; i < json_array_size(sets); i++)
        if (strcmp(fm_world_text(json_array_get(sets, i), "id"), name) == 0)
            return json_array_get(sets, i);
    return NULL;
}

static const json_t *named_grant(const struct fm_world_sets *w, const char *name)
{
    const json_t *sets = json_object_get(w->json, "sets");
    for (size_t i = 0; i < json_array_size(sets); i++) {
        const json_t *changes = json_object_get(json_array_get(sets, i), "changes");
        for (size_t j = 0; j < json_array_size(changes); j++) {
            const json_t *c = json_array_get(changes, j);
            if (strcmp(fm_world_text(c, "action"), "grant") == 0 && strcmp(fm_world_text(c, "grant"), name) == 0)
                return c;
        }
    }
    return NULL;
}

/* A grant's bytes, a function of its name alone; and its id. A grant that no set of the world gives has an id too. */
static void grant_of(const struct fm_world_sets *w, const char *name, struct fm_buf *bytes, struct fm_grant_id *id)
{
    const json_t *c = named_grant(w, name);
    struct fm_grant *grant = calloc(1, sizeof(*grant)), *back = calloc(1, sizeof(*back));
    const char *to = c ? fm_world_text(c, "to") : "nobody";
    struct fm_crypto plain = fm_fake_crypto();
    int error;
    assert(grant && back);
    fm_world_author(&grant->author, to);
    fm_world_author(&grant->transport, to);
    fm_world_author(&grant->box, to);
    grant->transport.b[30] = 2;
    grant->box.b[30] = 3;
    grant->name = fm_span_str(to);
    grant->role = c ? (uint8_t)fm_role_from(fm_span_str(fm_world_text(c, "role"))) : FM_ROLE_CAMP;
    grant->epoch_first = c ? fm_world_number(c, "first") : 1;
    grant->epoch_last = c ? fm_world_number(c, "last") : 9;
    grant->serial = fm_be_get((const uint8_t *)name, strlen(name)); /* its name: distinct */
    error = fm_grant_encode(bytes, grant);
    assert(error == 0);
    error = fm_grant_decode(back, &plain, &w->mesh, fm_buf_span(bytes));
    assert(error == 0);
    *id = back->id;
    free(grant);
    free(back);
}

static void grant_id(const struct fm_world_sets *w, struct fm_grant_id *id, const char *name)
{
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    grant_of(w, name, &bytes, id);
    fm_buf_fini(&bytes);
}

static uint64_t incarnation_of(const json_t *number)
{
    return (uint64_t)json_integer_value(number) + 1;
}

static void add_act(struct fm_world_sets *w, struct fm_buf *out, const json_t *change)
{
    struct fm_act *act = calloc(1, sizeof(*act));
    const char *action = fm_world_text(change, "action");
    struct fm_buf bytes;
    int error;
    assert(act);
    fm_buf_init(&bytes, 0);
    if (strcmp(action, "grant") == 0) {
        act->kind = FM_ACT_GRANT;
        grant_of(w, fm_world_text(change, "grant"), &bytes, &act->grant.id);
        act->grant.bytes = fm_buf_span(&bytes);
    } else if (strcmp(action, "revoke") == 0) {
        const json_t *cut = json_object_get(change, "cut");
        act->kind = FM_ACT_REVOKE;
        act->targets_grant = fm_world_text(change, "node") == NULL;
        if (act->targets_grant)
            grant_id(w, &act->revoked, fm_world_text(change, "grant"));
        else
            fm_world_author(&act->node, fm_world_text(change, "node"));
        for (size_t i = 0; i < json_array_size(cut); i++) {
            const json_t *c = json_array_get(cut, i);
            struct fm_cut *to = &act->cuts[act->cut_count++];
            to->incarnation = incarnation_of(json_array_get(c, 0));
            to->lane = (uint8_t)json_integer_value(json_array_get(c, 1));
            to->sequence = (uint64_t)json_integer_value(json_array_get(c, 2));
            set_id(w, &to->set, json_string_value(json_array_get(c, 3)));
        }
    } else {
        const json_t *sets = json_object_get(change, "sets");
        act->kind = FM_ACT_ADOPT;
        for (size_t i = 0; i < json_array_size(sets); i++) {
            const char *name = json_string_value(json_array_get(sets, i));
            const json_t *set = named_set(w, name);
            struct fm_adopted *to = &act->adopts[act->adopt_count++];
            fm_world_author(&to->stream.author, set ? fm_world_text(set, "author") : "nobody");
            to->stream.incarnation = set ? incarnation_of(json_object_get(set, "inc")) : 1;
            to->stream.lane = set ? (uint8_t)fm_world_number(set, "lane") : 1;
            to->sequence = set ? fm_world_number(set, "seq") : 1;
            set_id(w, &to->set, name);
        }
    }
    error = fm_act_encode(out, act);
    assert(error == 0);
    fm_buf_fini(&bytes);
    free(act);
}

/* The record id as a document has it. */
static void add_document(struct fm_buf *out, const json_t *change)
{
    json_t *doc = json_deep_copy(json_object_get(change, "doc"));
    struct fm_record_id id;
    char text[37];
    fm_world_record_id(&id, fm_world_text(change, "rec"));
    fm_uuid_text(text, &id);
    json_object_set_new(doc, "id", json_string(text));
    fm_world_document(out, doc);
    json_decref(doc);
}

static void add_change(struct fm_world_sets *w, struct fm_buf *out, const json_t *change, const struct fm_set_header *header,
                       uint32_t index)
{
    struct fm_change *c = calloc(1, sizeof(*c));
    const json_t *parents = json_object_get(change, "parents");
    const char *name = fm_world_text(change, "id");
    struct fm_crypto plain = fm_fake_crypto();
    struct fm_buf doc;
    size_t at = out->len, v = w->version_count;
    int error;

    assert(c && v < FM_WORLD_VERSIONS_MAX);
    fm_buf_init(&doc, 0);
    add_document(&doc, change);
    c->kind = (uint8_t)fm_kind_from(fm_span_str(fm_world_text(change, "kind")));
    c->action = (uint8_t)fm_action_from(fm_span_str(fm_world_text(change, "action")));
    fm_world_record_id(&c->record, fm_world_text(change, "rec"));
    c->version = (uint32_t)fm_world_number(change, "version");
    c->parent_count = (uint32_t)json_array_size(parents);
    for (size_t i = 0; i < c->parent_count; i++)
        fm_world_version_id(&c->parents[i], w->ranks, json_string_value(json_array_get(parents, i)));
    c->actor = fm_span_str("operator");
    c->document = fm_buf_span(&doc);
    error = fm_change_encode(out, c);
    assert(error == 0);
    fm_version_id_of(&w->versions[v].plain, &plain, &w->mesh, header, index, fm_span(out->data + at, out->len - at));
    fm_world_version_id(&w->versions[v].id, w->ranks, name);
    for (size_t i = 0; i < v; i++) /* a fork's branches hold the same version: one input, one id */
        assert(!fm_id_eq(&w->versions[i].plain, &w->versions[v].plain) == !fm_id_eq(&w->versions[i].id, &w->versions[v].id));
    w->version_count++;
    fm_buf_fini(&doc);
    free(c);
}

static uint8_t wanted_verdict(const json_t *json, const char *name)
{
    const char *verdict = fm_world_text(json_object_get(json, "verdicts"), name);
    for (uint8_t v = FM_COUNTED; verdict && v <= FM_UNREADABLE; v++)
        if (strcmp(fm_verdict_name(v), verdict) == 0)
            return v;
    assert(!verdict);
    return 0;
}

static void add_set(struct fm_world_sets *w, const json_t *set)
{
    const json_t *changes = json_object_get(set, "changes");
    const char *prev = fm_world_text(set, "prev"), *grant = fm_world_text(set, "grant");
    struct fm_set_header header = {.format = FM_FORMAT, .sequence = fm_world_number(set, "seq"), .has_prev = prev != NULL,
                                   .has_grant = grant != NULL, .epoch = fm_world_number(set, "epoch"),
                                   .time = fm_world_time(set), .change_count = (uint32_t)json_array_size(changes)};
    struct fm_fake_device device = {.author = {{0}}};
    static const uint8_t nonce[24];
    struct fm_buf body;
    struct fm_pack p;
    size_t at = w->count;
    int error;

    assert(at < FM_WORLD_SETS_MAX);
    fm_world_author(&header.stream.author, fm_world_text(set, "author"));
    header.stream.incarnation = incarnation_of(json_object_get(set, "inc"));
    header.stream.lane = (uint8_t)fm_world_number(set, "lane");
    if (prev)
        set_id(w, &header.prev, prev);
    if (grant)
        grant_id(w, &header.grant, grant);
    fm_buf_init(&body, 0);
    fm_pack_init(&p, &body);
    fm_pack_array(&p, header.change_count);
    for (uint32_t i = 0; i < header.change_count; i++) {
        const json_t *change = json_array_get(changes, i);
        if (json_object_get(change, "rec"))
            add_change(w, &body, change, &header, i);
        else
            add_act(w, &body, change);
    }
    device.author = header.stream.author;
    struct fm_crypto signer = fm_fake_crypto_of(&device);
    w->sets[at].name = fm_world_text(set, "id");
    w->sets[at].verdict = wanted_verdict(w->json, w->sets[at].name);
    fm_buf_init(&w->sets[at].bytes, 0);
    error = fm_set_close(&w->sets[at].bytes, &w->sets[at].id, &signer, &w->mesh, &header, fm_buf_span(&body), NULL, nonce);
    assert(error == 0);
    w->count++;
    fm_buf_fini(&body);
}

void fm_world_sets_init(struct fm_world_sets *w, const json_t *json)
{
    const json_t *sets = json_object_get(json, "sets");
    memset(w, 0, sizeof(*w));
    w->json = json;
    w->ranks = fm_world_ranks(json);
    memset(w->mesh.b, 'm', sizeof(w->mesh.b));
    w->crypto = fm_fake_crypto();
    w->crypto.ctx = w;
    w->crypto.hash = ranked_hash;
    w->crypto.verify = fake_verify;
    w->crypto.sign = no_sign;
    w->crypto.unbox = no_unbox;
    for (size_t i = 0; i < json_array_size(sets); i++)
        add_set(w, json_array_get(sets, i));
}

void fm_world_sets_fini(struct fm_world_sets *w)
{
    for (size_t i = 0; i < w->count; i++)
        fm_buf_fini(&w->sets[i].bytes);
    json_decref(w->ranks);
}
