#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/doc.h"
#include "replication/fold.h"
#include "replication/uuid.h"

/* What else it shows follows from the winner. */
bool fm_head_same(const struct fm_head *a, const struct fm_head *b)
{
    return a->shown == b->shown && fm_id_eq(&a->winner, &b->winner) && a->versions == b->versions && a->open == b->open &&
           a->arrival == b->arrival;
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

/* sorted: all of them, in any order; states: STATE_BYTES for each. */
static void digest_of(struct fm_repl *r, const struct fm_record_ref *ref, struct fm_version **sorted, uint8_t *states,
                      size_t count, struct fm_digest *out)
{
    uint8_t front[1 + FM_RECORD_ID_BYTES];
    qsort(sorted, count, sizeof *sorted, digest_order);
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
    return rc == FM_OK || fm_emit_fatal(rc) ? rc : FM_ECORRUPT; /* a counted version was read once */
}

static int id_order(const void *x, const void *y)
{
    const struct fm_version *const *a = x, *const *b = y;
    return fm_id_cmp(&(*a)->id, &(*b)->id);
}

/* The first version on the first-parent line that is no tombstone; NULL: none. The line of a version that counts has no
 * circle (fold.c); sorted: all of them, in any order. */
static const struct fm_version *alive_before(struct fm_version **sorted, size_t count, const struct fm_version *winner)
{
    const struct fm_version *v = winner;
    qsort(sorted, count, sizeof *sorted, id_order);
    while (v != NULL && v->tombstone) {
        struct fm_version key, *key_at = &key, **found = NULL;
        if (v->parent_count > 0) {
            key.id = v->parents[0];
            found = bsearch(&key_at, sorted, count, sizeof *sorted, id_order);
        }
        v = found != NULL ? *found : NULL;
    }
    return v;
}

static int found_by(struct fm_repl *r, struct fm_arena *arena, struct fm_version **sorted, size_t count,
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
        named = alive_before(sorted, count, winner);
        rc = named != NULL ? document_of(r, named, &document) : FM_OK;
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

/* Where to read the winner: a set by which it counts. */
static const struct fm_holder *holder_of(const struct fm_version *v)
{
    const struct fm_holder *h = v->holders;
    while (!h->live || !h->counted) {
        h++;
        assert(h < v->holders + v->holder_count);
    }
    return h;
}

int fm_head_of(struct fm_repl *r, struct fm_arena *arena, const struct fm_record_ref *ref, struct fm_version *versions,
               size_t count, struct fm_version **order, size_t order_count, const struct fm_head *before,
               struct fm_head *out)
{
    *out = (struct fm_head){.kind = ref->kind, .record = ref->record};
    struct fm_version **sorted = fm_arena_take(arena, count * (sizeof *sorted + STATE_BYTES));
    if (sorted == NULL)
        return FM_ENOMEM;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &versions[i];
    digest_of(r, ref, sorted, (uint8_t *)(sorted + count), count, &out->digest);
    if (order_count == 0)
        return FM_OK;
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
        return found_by(r, arena, sorted, count, winner, out);
    /* The same winner says the same: no need to open it again. */
    out->has_entity = before->has_entity;
    out->entity = before->entity;
    out->has_user = before->has_user;
    out->user = before->user;
    out->offline_id = before->offline_id;
    return FM_OK;
}
