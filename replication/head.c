#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/doc.h"
#include "replication/fold.h"
#include "replication/uuid.h"

bool fm_head_same(const struct fm_head *a, const struct fm_head *b)
{
    return a->shown == b->shown && a->deleted == b->deleted && fm_id_eq(&a->winner, &b->winner) && a->number == b->number &&
           a->versions == b->versions && a->open == b->open && a->has_entity == b->has_entity &&
           fm_id_eq(&a->entity, &b->entity) && a->has_user == b->has_user && fm_id_eq(&a->user, &b->user) &&
           fm_span_eq(a->offline_id, b->offline_id) && a->arrival == b->arrival && a->index == b->index;
}

/* --- the digest --- */

static int digest_order(const void *x, const void *y)
{
    const struct fm_version *const *a = x, *const *b = y;
    if ((*a)->counted && (*b)->counted)
        return fm_version_cmp(*a, *b);
    if ((*a)->counted != (*b)->counted)
        return (*a)->counted ? -1 : 1;
    return fm_id_cmp(&(*a)->id, &(*b)->id);
}

#define STATE_BYTES (2 * FM_VERSION_ID_BYTES + 8)

static int digest_of(struct fm_repl *r, struct fm_arena *arena, const struct fm_record_ref *ref, struct fm_version *versions,
                     size_t count, struct fm_digest *out)
{
    uint8_t front[1 + FM_RECORD_ID_BYTES], one[STATE_BYTES], *states = one;
    struct fm_version *first = versions, **sorted = &first;
    if (count > 1) {
        sorted = fm_arena_take(arena, count * sizeof *sorted);
        states = fm_arena_take(arena, count * STATE_BYTES);
        if (sorted == NULL || states == NULL)
            return FM_ENOMEM;
        for (size_t i = 0; i < count; i++)
            sorted[i] = &versions[i];
        qsort(sorted, count, sizeof *sorted, digest_order);
    }
    for (size_t i = 0; i < count; i++) {
        const struct fm_version *v = sorted[i];
        uint8_t *at = states + i * STATE_BYTES;
        memcpy(at, v->id.b, FM_VERSION_ID_BYTES);
        at += FM_VERSION_ID_BYTES;
        *at++ = v->status;
        *at++ = v->counted;
        fm_be_put(at, v->status == FM_VALID ? v->settlement : 0, 4);
        at += 4;
        *at++ = v->place;
        *at++ = v->cls;
        if (v->has_by)
            memcpy(at, v->by.b, FM_VERSION_ID_BYTES);
        else
            memset(at, 0, FM_VERSION_ID_BYTES);
    }
    front[0] = ref->kind;
    memcpy(front + 1, ref->record.b, FM_RECORD_ID_BYTES);
    struct fm_span parts[3] = {fm_span_str(FM_DOMAIN_DIGEST_RECORD), fm_span(front, sizeof front),
                               fm_span(states, count * STATE_BYTES)};
    r->crypto->hash(r->crypto->ctx, out->b, sizeof out->b, parts, 3);
    return FM_OK;
}

/* --- what is found by: entity, user, offlineId --- */

static bool id_field(struct fm_span document, const char *name, struct fm_record_id *out)
{
    struct fm_span text;
    return fm_doc_str(document, name, &text) == FM_OK && fm_uuid_parse(out, text) == FM_OK;
}

static int document_of(struct fm_repl *r, const struct fm_version *v, struct fm_span *document)
{
    struct fm_span actor;
    int rc = fm_repl_document(r, v, document, &actor);
    return rc == FM_EKEY || rc == FM_ENOTFOUND || rc == FM_EFORMAT ? FM_ECORRUPT : rc; /* a counted version was read once */
}

static int id_order(const void *x, const void *y)
{
    const struct fm_version *const *a = x, *const *b = y;
    return fm_id_cmp(&(*a)->id, &(*b)->id);
}

/* The first version on the first-parent line that is no tombstone; NULL: none. A line has no circle, as ids are hashes;
 * the count bounds the walk even so. */
static int alive_before(struct fm_arena *arena, struct fm_version *versions, size_t count, const struct fm_version *winner,
                        const struct fm_version **out)
{
    struct fm_version **sorted = fm_arena_take(arena, count * sizeof *sorted);
    if (sorted == NULL)
        return FM_ENOMEM;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &versions[i];
    qsort(sorted, count, sizeof *sorted, id_order);
    const struct fm_version *v = winner;
    for (size_t steps = 0; v != NULL && v->tombstone && steps < count; steps++) {
        struct fm_version key, *key_at = &key, **found = NULL;
        if (v->parent_count > 0) {
            key.id = v->parents[0];
            found = bsearch(&key_at, sorted, count, sizeof *sorted, id_order);
        }
        v = found != NULL ? *found : NULL;
    }
    *out = v != NULL && !v->tombstone ? v : NULL;
    return FM_OK;
}

static int found_by(struct fm_repl *r, struct fm_arena *arena, struct fm_version *versions, size_t count,
                    const struct fm_version *winner, struct fm_head *out)
{
    struct fm_span document, text;
    const struct fm_version *named = winner;
    int rc = document_of(r, winner, &document);
    if (rc != FM_OK)
        return rc;
    if (out->kind == FM_KIND_ENTITY) {
        out->entity = out->record;
        out->has_entity = true;
    } else {
        out->has_entity = id_field(document, "entityId", &out->entity);
    }
    out->has_user = out->kind == FM_KIND_ASSIGNMENT && id_field(document, "userId", &out->user);
    if (winner->tombstone) { /* its own document has no offlineId */
        rc = alive_before(arena, versions, count, winner, &named);
        if (rc == FM_OK && named != NULL)
            rc = document_of(r, named, &document);
        if (rc != FM_OK)
            return rc;
    }
    if (named != NULL && fm_doc_str(document, "offlineId", &text) == FM_OK && text.len > 0 &&
        text.len <= FM_OFFLINE_ID_BYTES_MAX) {
        out->offline_id = fm_span(fm_arena_copy(arena, text), text.len);
        if (out->offline_id.data == NULL)
            return FM_ENOMEM;
    }
    return FM_OK;
}

/* Where to read the winner: a set that counts, if it stands in several. */
static const struct fm_holder *holder_of(const struct fm_version *v)
{
    for (uint32_t i = 0; i < v->holder_count; i++)
        if (v->holders[i].live && v->holders[i].counted)
            return &v->holders[i];
    return &v->holders[0];
}

int fm_head_of(struct fm_repl *r, struct fm_arena *arena, const struct fm_record_ref *ref, struct fm_version *versions,
               size_t count, struct fm_version **order, size_t order_count, const struct fm_head *before,
               struct fm_head *out)
{
    *out = (struct fm_head){.kind = ref->kind, .record = ref->record};
    int rc = digest_of(r, arena, ref, versions, count, &out->digest);
    if (rc != FM_OK || order_count == 0)
        return rc;
    const struct fm_version *winner = order[0];
    const struct fm_holder *holder = holder_of(winner);
    assert(winner->place == FM_PLACE_WINNER);
    out->shown = true;
    out->deleted = winner->tombstone;
    out->winner = winner->id;
    out->number = winner->number;
    out->versions = (uint32_t)order_count;
    for (size_t i = 0; i < order_count; i++)
        out->open += order[i]->place == FM_PLACE_OPEN;
    out->arrival = holder->arrival;
    out->index = holder->index;
    if (before == NULL || !before->shown || !fm_id_eq(&before->winner, &winner->id))
        return found_by(r, arena, versions, count, winner, out);
    /* The same winner says the same: no need to open it again. */
    out->has_entity = before->has_entity;
    out->entity = before->entity;
    out->has_user = before->has_user;
    out->user = before->user;
    out->offline_id = before->offline_id;
    return FM_OK;
}
