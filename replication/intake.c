#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/version.h"

/* --- membership: acts of lane-0 sets --- */

static void free_acts(struct fm_act **acts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(acts[i]);
    free(acts);
}

/* The acts among the items that this role may do at all; one that cannot be decoded is void alone. */
static int decode_acts(struct fm_repl *r, const struct fm_span *items, uint32_t count, struct fm_act ***out,
                       size_t *out_count)
{
    struct fm_act **acts = calloc((size_t)count + 1, sizeof *acts);
    size_t n = 0;
    if (acts == NULL)
        return FM_ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (fm_item_kind(items[i]) < FM_ACT_FIRST)
            continue;
        struct fm_act *act = malloc(sizeof *act);
        if (act == NULL) {
            free_acts(acts, n);
            return FM_ENOMEM;
        }
        if (fm_act_decode(act, r->crypto, &r->self.mesh, items[i]) == FM_OK)
            acts[n++] = act;
        else
            free(act);
    }
    *out = acts;
    *out_count = n;
    return FM_OK;
}

static bool may_act(const struct fm_set_meta *meta)
{
    return meta->stream.lane == FM_LANE_MEMBERSHIP && (meta->role == FM_ROLE_ROOT || meta->role == FM_ROLE_COORDINATOR);
}

/* Which grants fit the role is the authority's to know (rule 55). A key in a grant for us is ours whatever the grant
 * is worth: what was sealed to us we can read. */
static int add_acts(struct fm_repl *r, const struct fm_set_meta *meta, const struct fm_span *items, uint32_t count,
                    bool *changed, bool *fresh_key)
{
    struct fm_act **acts;
    size_t n;
    int rc = decode_acts(r, items, count, &acts, &n);
    if (rc != FM_OK)
        return rc;
    for (size_t i = 0; rc == FM_OK && i < n; i++)
        if (acts[i]->kind == FM_ACT_GRANT)
            rc = fm_keys_take(r, &acts[i]->grant, fresh_key);
    if (rc == FM_OK)
        rc = fm_authority_add(r->authority, meta, (const struct fm_act *const *)acts, n, meta->verdict == FM_VOID, changed);
    free_acts(acts, n);
    return rc;
}

int fm_intake_load_acts(struct fm_repl *r, const struct fm_set_meta *meta)
{
    bool changed, fresh = false;
    const struct fm_opened_set *opened;
    if (!may_act(meta))
        return FM_OK;
    int rc = fm_opened_get(r, meta->arrival, &opened);
    /* Void by its body: a sealed one is so for whoever has its key, too. */
    if (rc == FM_EFORMAT || rc == FM_EKEY || (rc == FM_OK && opened->header.sealed))
        return add_acts(r, meta, NULL, 0, &changed, &fresh);
    return rc != FM_OK ? rc : add_acts(r, meta, opened->items, opened->count, &changed, &fresh);
}

/* What a set changes for others: authority, keys, and the sets that a cut at it decides. */
static int take_effect(struct fm_repl *r, const struct fm_set_meta *meta, const struct fm_span *items, uint32_t count)
{
    bool changed = false, fresh_key = false, cut = fm_authority_cuts_at(r->authority, &meta->id);
    int rc = FM_OK;
    if (may_act(meta))
        rc = add_acts(r, meta, items, count, &changed, &fresh_key);
    else if (cut && meta->stream.lane == FM_LANE_MEMBERSHIP)
        rc = fm_authority_again(r->authority, &changed);
    if (rc == FM_OK && fresh_key)
        rc = fm_judge_keys(r);
    if (rc == FM_OK && changed)
        rc = fm_judge_stale(r);
    if (rc == FM_OK && cut)
        rc = fm_judge_author(r, &meta->stream.author);
    if (rc == FM_OK && changed) {
        struct fm_action report = {.report = FM_REPORT_MEMBERS};
        rc = fm_emit_report(r, &report);
    }
    return rc;
}

/* --- versions --- */

static int add_holder(struct fm_repl *r, const struct fm_version *held, const struct fm_holder *holder)
{
    struct fm_version v = *held;
    uint32_t at = v.holder_count;
    if (at == FM_HOLDERS_MAX) { /* a lane has no more branches, so all the live ones (lane 1) have room */
        for (at = 0; at < FM_HOLDERS_MAX && v.holders[at].live; at++)
            continue;
        if (at == FM_HOLDERS_MAX || !holder->live)
            return FM_OK;
    }
    v.holders[at] = *holder;
    v.holder_count = at == v.holder_count ? at + 1 : v.holder_count;
    struct fm_row row = {.kind = FM_ROW_VERSION, .version = &v, .before = held};
    int rc = fm_emit_row(r, &row);
    return rc != FM_OK ? rc : fm_touch_add(r, v.kind, &v.record);
}

int fm_intake_change(struct fm_repl *r, const struct fm_set_meta *meta, const struct fm_set_header *header, uint32_t index,
                     struct fm_span item, struct fm_version_id *id)
{
    struct fm_version v, held;
    struct fm_version_id parents[FM_PARENTS_MAX];
    fm_version_id_of(id, r->crypto, &r->self.mesh, header, index, item);
    if (!fm_version_of(&v, parents, r->crypto, meta, index, item, id))
        return FM_OK; /* void, and of no record: its set lists it */
    int rc = r->port->version_get(r->port->ctx, id, &r->scratch, &held);
    if (rc == FM_OK)
        return add_holder(r, &held, &v.holders[0]); /* the same change in both branches of a fork */
    if (rc != FM_ENOTFOUND)
        return rc;
    bool done = false;
    rc = fm_touch_first(r, &v, &done);
    if (rc != FM_OK || done)
        return rc;
    struct fm_row row = {.kind = FM_ROW_VERSION, .version = &v};
    rc = fm_emit_row(r, &row);
    return rc != FM_OK ? rc : fm_touch_add(r, v.kind, &v.record);
}

static int take_changes(struct fm_repl *r, const struct fm_set_meta *meta, const struct fm_opened_set *opened)
{
    for (uint32_t i = 0; i < opened->count; i++) {
        uint8_t kind = fm_item_kind(opened->items[i]);
        struct fm_version_id id;
        if (kind == 0 || kind >= FM_ACT_FIRST)
            continue;
        int rc = fm_intake_change(r, meta, &opened->header, i, opened->items[i], &id);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

/* --- the envelope --- */

static void meta_of(struct fm_set_meta *meta, const struct fm_set *set, const struct fm_set_id *id)
{
    const struct fm_set_header *h = &set->header;
    *meta = (struct fm_set_meta){.stream = h->stream,
                                 .sequence = h->sequence,
                                 .id = *id,
                                 .has_prev = h->has_prev,
                                 .has_grant = h->has_grant,
                                 .prev = h->prev,
                                 .grant = h->grant,
                                 .epoch = h->epoch,
                                 .time = h->time,
                                 .change_count = h->change_count,
                                 .bytes = (uint32_t)set->bytes.len};
}

/* Grant, predecessor, bounds: cheap checks first. Fills meta's role, changes_before and (by the header) why. */
static int envelope(struct fm_repl *r, const struct fm_set *set, struct fm_set_meta *meta, int *refused)
{
    const struct fm_set_header *h = &set->header;
    const struct fm_grant *grant = NULL;
    bool by_root = fm_id_eq(&h->stream.author, &r->self.root);
    if (h->has_grant && !by_root)
        grant = fm_authority_grant(r->authority, &h->grant);
    bool granted = by_root ? !h->has_grant && h->stream.lane == FM_LANE_MEMBERSHIP
                           : grant != NULL && fm_id_eq(&grant->author, &h->stream.author);
    *refused = FM_OK;
    if (!granted) {
        *refused = FM_EGRANT;
        return FM_OK;
    }
    meta->role = by_root ? FM_ROLE_ROOT : grant->role;
    if (grant != NULL && (h->epoch < grant->epoch_first || h->epoch > grant->epoch_last))
        meta->why = FM_WHY_EPOCH;
    assert(h->has_prev == (h->sequence > 1)); /* else it was not decoded */
    if (h->has_prev) {
        struct fm_set_meta prev;
        int rc = r->port->set_get(r->port->ctx, &h->stream, h->sequence - 1, &h->prev, &prev);
        if (rc == FM_ENOTFOUND) {
            *refused = FM_EORDER;
            return FM_OK;
        }
        if (rc != FM_OK)
            return rc;
        meta->changes_before = prev.changes_before + prev.change_count;
        if (meta->why == FM_WHY_NONE && h->epoch < prev.epoch)
            meta->why = FM_WHY_EPOCH;
        if (meta->why == FM_WHY_NONE && h->time < prev.time)
            meta->why = FM_WHY_TIME;
    }
    *refused = fm_vector_room(r->vector, &h->stream, h->has_prev ? &h->prev : NULL);
    return FM_OK;
}

/* --- content --- */

/* Opens what can be opened and finds the verdict. *opened: NULL if there is nothing to take in. A set that cannot be read
 * is unreadable even if its header makes it void (why stays): its versions are void, and known as such, with the key. */
static int judge_content(struct fm_repl *r, const struct fm_set *set, struct fm_set_meta *meta,
                         const struct fm_opened_set **opened)
{
    *opened = NULL;
    int rc = FM_EFORMAT; /* lane 0 is clear: all can check it */
    if (meta->stream.lane == FM_LANE_RECORDS || !set->header.sealed)
        rc = fm_opened_take(r, meta->arrival, set, opened);
    if (rc == FM_EKEY) {
        meta->verdict = FM_UNREADABLE;
        return FM_OK;
    }
    if (rc == FM_EFORMAT && meta->why == FM_WHY_NONE)
        meta->why = FM_WHY_BODY;
    else if (rc != FM_OK && rc != FM_EFORMAT)
        return rc;
    meta->verdict = FM_VOID;
    return meta->why != FM_WHY_NONE ? FM_OK : fm_authority_judge(r->authority, meta, &meta->verdict);
}

/* Everything a set that passed the envelope changes here. */
static int take_in(struct fm_repl *r, const struct fm_set *set, struct fm_set_meta *meta, enum fm_row_kind kind)
{
    const struct fm_opened_set *opened;
    int rc = fm_vector_add(r, meta); /* first: a verdict looks at the stream's forks */
    if (rc == FM_OK)
        rc = judge_content(r, set, meta, &opened);
    if (rc != FM_OK)
        return rc;
    /* rule 51: kept as its author signed it, whoever the actors are; documents are never rewritten */
    struct fm_row row = {.kind = kind, .meta = meta, .bytes = kind == FM_ROW_SET ? set->bytes : fm_span(NULL, 0)};
    rc = fm_emit_row(r, &row);
    if (rc == FM_OK && opened != NULL)
        rc = take_changes(r, meta, opened);
    if (rc != FM_OK)
        return rc;
    fm_turn_clock(r, meta->time + meta->change_count);
    return take_effect(r, meta, opened != NULL ? opened->items : NULL, opened != NULL ? opened->count : 0);
}

/* Form, mesh and hash of what came in; id: the set id. */
static int look(struct fm_repl *r, struct fm_span bytes, struct fm_set *set, struct fm_set_id *id)
{
    static const struct fm_mesh_id none;
    if (fm_id_eq(&r->self.mesh, &none))
        return FM_EFOREIGN;
    int rc = fm_set_decode(set, bytes);
    if (rc != FM_OK)
        return rc;
    uint8_t hash[32];
    fm_body_hash_of(hash, r->crypto, set->body);
    if (memcmp(hash, set->header.body_hash, sizeof hash) != 0)
        return FM_EFORMAT; /* not what was signed */
    fm_set_id_of(id, r->crypto, &r->self.mesh, set->header_bytes);
    return FM_OK;
}

/* rule 50 */
int fm_intake(struct fm_repl *r, struct fm_span bytes, int *refused, struct fm_set_meta *meta)
{
    struct fm_set set;
    struct fm_set_id id;
    *refused = look(r, bytes, &set, &id);
    if (*refused != FM_OK)
        return FM_OK;
    const struct fm_set_header *h = &set.header;
    int rc = r->port->set_get(r->port->ctx, &h->stream, h->sequence, &id, meta);
    if (rc != FM_ENOTFOUND) {
        *refused = FM_EEXISTS;
        return rc;
    }
    meta_of(meta, &set, &id);
    rc = envelope(r, &set, meta, refused);
    if (rc != FM_OK || *refused != FM_OK)
        return rc;
    /* Last, as it costs most; another mesh's set has another id here, so its signature does not fit either. */
    if (r->crypto->verify(r->crypto->ctx, set.signature.data, id.b, &h->stream.author) != FM_OK) {
        *refused = FM_ESIGNATURE;
        return FM_OK;
    }
    meta->arrival = r->arrival_next++;
    return take_in(r, &set, meta, FM_ROW_SET);
}

int fm_intake_log(struct fm_repl *r, uint64_t arrival)
{
    struct fm_buf bytes;
    struct fm_set set;
    struct fm_set_id id;
    struct fm_set_meta meta;
    int refused = FM_OK;
    fm_buf_init(&bytes, 0);
    int rc = r->port->set_bytes(r->port->ctx, arrival, &bytes);
    if (rc == FM_ENOTFOUND || (rc == FM_OK && look(r, fm_buf_span(&bytes), &set, &id) != FM_OK))
        rc = FM_ECORRUPT;
    if (rc == FM_OK) {
        meta_of(&meta, &set, &id);
        meta.arrival = arrival;
        rc = envelope(r, &set, &meta, &refused);
    }
    if (rc == FM_OK)
        rc = refused != FM_OK ? FM_ECORRUPT : take_in(r, &set, &meta, FM_ROW_VERDICT);
    fm_buf_fini(&bytes);
    return rc;
}

int fm_intake_again(struct fm_repl *r, const struct fm_set_meta *held)
{
    struct fm_set_meta meta = *held;
    const struct fm_opened_set *opened = NULL;
    struct fm_buf bytes;
    struct fm_set set;
    fm_buf_init(&bytes, 0);
    int rc = r->port->set_bytes(r->port->ctx, meta.arrival, &bytes);
    if (rc == FM_ENOTFOUND || (rc == FM_OK && fm_set_decode(&set, fm_buf_span(&bytes)) != FM_OK))
        rc = FM_ECORRUPT;
    if (rc == FM_OK)
        rc = judge_content(r, &set, &meta, &opened);
    if (rc == FM_OK && meta.verdict != FM_UNREADABLE) {
        struct fm_row row = {.kind = FM_ROW_VERDICT, .meta = &meta};
        rc = fm_emit_row(r, &row);
        if (rc == FM_OK && opened != NULL)
            rc = take_changes(r, &meta, opened);
    }
    fm_buf_fini(&bytes);
    return rc;
}

int fm_intake_own(struct fm_repl *r, const struct fm_set_meta *meta, const struct fm_span *items, uint32_t count)
{
    return take_effect(r, meta, items, count);
}
