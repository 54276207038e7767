#include "replication/authority.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/error.h"

/* model/order.py: depth 0 root, 1 what is written under coordinators' grants, 2 the rest. Acts reach the next layer. */
enum { LAYER_ROOT, LAYER_COORDINATORS, LAYER_REST };

struct revocation {
    bool targets_grant;
    struct fm_key node;
    struct fm_grant_id grant;
    uint32_t cut_count;
    struct fm_cut *cuts;
};

/* A held lane-0 set that may act, with its revocations and adoptions. */
struct actor {
    struct fm_set_meta set;
    bool is_void, counted;
    size_t revocation_count, adopted_count;
    struct revocation *revocations;
    struct fm_adopted *adopted;
};

/* One grant and the sets that give it. */
struct given {
    struct fm_grant grant;
    uint8_t *bytes;
    size_t *by; /* actors */
    size_t by_count;
    bool counted, revoked;
};

struct fm_authority {
    struct fm_key root;
    fm_on_chain *on_chain;
    void *ctx;
    struct actor *actors;
    size_t actor_count;
    struct given **given; /* sorted by grant id */
    size_t given_count;
    struct fm_key *stale;
    size_t stale_count;
};

static int layer_of(uint8_t role)
{
    return role == FM_ROLE_ROOT ? LAYER_ROOT : role == FM_ROLE_COORDINATOR ? LAYER_COORDINATORS : LAYER_REST;
}

/* Room for one more in a list that grows by doubling at powers of two. */
static int grow(void **list, size_t count, size_t item_bytes)
{
    if ((count & (count - 1)) != 0)
        return FM_OK;
    void *more = realloc(*list, (count == 0 ? 1 : 2 * count) * item_bytes);
    if (more == NULL)
        return FM_ENOMEM;
    *list = more;
    return FM_OK;
}

struct fm_authority *fm_authority_new(const struct fm_key *root, fm_on_chain *on_chain, void *ctx)
{
    struct fm_authority *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->root = *root;
    a->on_chain = on_chain;
    a->ctx = ctx;
    return a;
}

static void actor_fini(struct actor *actor)
{
    for (size_t i = 0; i < actor->revocation_count; i++)
        free(actor->revocations[i].cuts);
    free(actor->revocations);
    free(actor->adopted);
}

void fm_authority_free(struct fm_authority *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; i < a->actor_count; i++)
        actor_fini(&a->actors[i]);
    for (size_t i = 0; i < a->given_count; i++) {
        free(a->given[i]->bytes);
        free(a->given[i]->by);
        free(a->given[i]);
    }
    free(a->actors);
    free(a->given);
    free(a->stale);
    free(a);
}

/* The place of a grant id in the sorted list; *found tells whether it stands there. */
static size_t given_place(const struct fm_authority *a, const struct fm_grant_id *id, bool *found)
{
    size_t low = 0, high = a->given_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = fm_id_cmp(&a->given[mid]->grant.id, id);
        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *found = false;
    return low;
}

static struct given *given_find(const struct fm_authority *a, const struct fm_grant_id *id)
{
    bool found;
    size_t i = given_place(a, id, &found);
    return found ? a->given[i] : NULL;
}

const struct fm_grant *fm_authority_grant(const struct fm_authority *a, const struct fm_grant_id *id)
{
    const struct given *g = given_find(a, id);
    return g != NULL ? &g->grant : NULL;
}

static int stale_add(struct fm_authority *a, const struct fm_key *author)
{
    for (size_t i = 0; i < a->stale_count; i++)
        if (fm_id_eq(&a->stale[i], author))
            return FM_OK;
    int rc = grow((void **)&a->stale, a->stale_count, sizeof *a->stale);
    if (rc == FM_OK)
        a->stale[a->stale_count++] = *author;
    return rc;
}

size_t fm_authority_stale(struct fm_authority *a, struct fm_key *authors, size_t max)
{
    size_t count = a->stale_count < max ? a->stale_count : max;
    a->stale_count -= count;
    if (count > 0)
        memcpy(authors, a->stale + a->stale_count, count * sizeof *authors);
    return count;
}

/* --- judging --- */

static bool targets(const struct revocation *r, const struct fm_set_meta *set)
{
    return r->targets_grant ? fm_id_eq(&r->grant, &set->grant) : fm_id_eq(&r->node, &set->stream.author);
}

/* 1: inside the cut, 0: outside, below 0: error. A stream that is not named is outside. */
static int inside(const struct fm_authority *a, const struct revocation *r, const struct fm_set_meta *set)
{
    for (uint32_t i = 0; i < r->cut_count; i++) {
        const struct fm_cut *cut = &r->cuts[i];
        if (cut->incarnation != set->stream.incarnation || cut->lane != set->stream.lane)
            continue;
        int on = a->on_chain(a->ctx, set, cut);
        return on == 2 ? set->sequence <= cut->sequence : on;
    }
    return 0;
}

static bool adopts(const struct actor *actor, const struct fm_set_meta *set)
{
    for (size_t i = 0; i < actor->adopted_count; i++) {
        const struct fm_adopted *x = &actor->adopted[i];
        if (fm_id_eq(&x->set, &set->id) && x->sequence == set->sequence && fm_stream_eq(&x->stream, &set->stream))
            return true;
    }
    return false;
}

int fm_authority_judge(const struct fm_authority *a, const struct fm_set_meta *set, uint8_t *verdict)
{
    *verdict = FM_COUNTED;
    int layer = layer_of(set->role);
    if (layer == LAYER_ROOT)
        return FM_OK;
    const struct given *grant = given_find(a, &set->grant);
    bool good = grant != NULL && grant->counted;
    for (size_t i = 0; i < a->actor_count; i++) {
        const struct actor *actor = &a->actors[i];
        if (!actor->counted || layer_of(actor->set.role) != layer - 1)
            continue;
        if (adopts(actor, set))
            return FM_OK; /* an adoption outranks cuts */
        for (size_t k = 0; good && k < actor->revocation_count; k++) {
            if (!targets(&actor->revocations[k], set))
                continue;
            int in = inside(a, &actor->revocations[k], set);
            if (in < 0)
                return in;
            good = in == 1;
        }
    }
    *verdict = good ? FM_COUNTED : FM_QUARANTINED;
    return FM_OK;
}

/* Everybody whom this actor's acts reach is to be judged again. */
static int stale_reach(struct fm_authority *a, const struct actor *actor)
{
    int rc = FM_OK;
    for (size_t k = 0; rc == FM_OK && k < actor->revocation_count; k++) {
        const struct revocation *r = &actor->revocations[k];
        const struct given *g = r->targets_grant ? given_find(a, &r->grant) : NULL;
        if (!r->targets_grant || g != NULL)
            rc = stale_add(a, r->targets_grant ? &g->grant.author : &r->node);
    }
    for (size_t k = 0; rc == FM_OK && k < actor->adopted_count; k++)
        rc = stale_add(a, &actor->adopted[k].stream.author);
    return rc;
}

/* Do the sets that give a grant make it count? */
static int judge_grants(struct fm_authority *a, bool *changed)
{
    for (size_t i = 0; i < a->given_count; i++) {
        struct given *g = a->given[i];
        bool counted = false;
        for (size_t k = 0; k < g->by_count; k++)
            counted = counted || a->actors[g->by[k]].counted;
        if (counted == g->counted)
            continue;
        g->counted = counted;
        *changed = true;
        int rc = stale_add(a, &g->grant.author);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

/* Named by a counted revocation of the layer that may: for people and sessions; sets are judged by their cuts. */
static void mark_revoked(struct fm_authority *a)
{
    for (size_t n = 0; n < a->given_count; n++)
        a->given[n]->revoked = false;
    for (size_t i = 0; i < a->actor_count; i++) {
        const struct actor *actor = &a->actors[i];
        for (size_t k = 0; actor->counted && k < actor->revocation_count; k++) {
            const struct revocation *r = &actor->revocations[k];
            for (size_t n = 0; n < a->given_count; n++) {
                struct given *g = a->given[n];
                int above = g->grant.role == FM_ROLE_COORDINATOR ? LAYER_ROOT : LAYER_COORDINATORS;
                if (layer_of(actor->set.role) == above &&
                    (r->targets_grant ? fm_id_eq(&r->grant, &g->grant.id) : fm_id_eq(&r->node, &g->grant.author)))
                    g->revoked = true;
            }
        }
    }
}

/* Layer by layer from the root down, so that what is judged depends only on what was judged before it. */
int fm_authority_again(struct fm_authority *a, bool *changed)
{
    *changed = false;
    for (int layer = LAYER_ROOT; layer <= LAYER_COORDINATORS; layer++) {
        for (size_t i = 0; i < a->actor_count; i++) {
            struct actor *actor = &a->actors[i];
            if (layer_of(actor->set.role) != layer)
                continue;
            uint8_t verdict = FM_VOID;
            int rc = actor->is_void ? FM_OK : fm_authority_judge(a, &actor->set, &verdict);
            if (rc == FM_OK && actor->counted != (verdict == FM_COUNTED)) {
                actor->counted = verdict == FM_COUNTED;
                *changed = true;
                rc = stale_reach(a, actor);
            }
            if (rc != FM_OK)
                return rc;
        }
        int rc = judge_grants(a, changed);
        if (rc != FM_OK)
            return rc;
    }
    mark_revoked(a);
    return FM_OK;
}

/* --- taking in --- */

static int give(struct fm_authority *a, const struct fm_grant *grant, size_t by)
{
    bool found;
    size_t place = given_place(a, &grant->id, &found);
    if (!found) {
        struct given *g = calloc(1, sizeof *g);
        uint8_t *bytes = malloc(grant->bytes.len);
        if (g == NULL || bytes == NULL || grow((void **)&a->given, a->given_count, sizeof *a->given) != FM_OK) {
            free(g);
            free(bytes);
            return FM_ENOMEM;
        }
        memcpy(bytes, grant->bytes.data, grant->bytes.len);
        g->grant = *grant;
        g->bytes = bytes;
        g->grant.bytes.data = bytes;
        g->grant.name.data = bytes + (grant->name.data - grant->bytes.data); /* the name lies inside the bytes */
        memmove(a->given + place + 1, a->given + place, (a->given_count - place) * sizeof *a->given);
        a->given[place] = g;
        a->given_count++;
    }
    struct given *g = a->given[place];
    int rc = grow((void **)&g->by, g->by_count, sizeof *g->by);
    if (rc == FM_OK)
        g->by[g->by_count++] = by;
    return rc;
}

static int revoke(struct actor *actor, const struct fm_act *act)
{
    int rc = grow((void **)&actor->revocations, actor->revocation_count, sizeof *actor->revocations);
    struct fm_cut *cuts = rc == FM_OK ? malloc((act->cut_count + 1) * sizeof *cuts) : NULL;
    if (cuts == NULL)
        return FM_ENOMEM;
    memcpy(cuts, act->cuts, act->cut_count * sizeof *cuts);
    actor->revocations[actor->revocation_count++] = (struct revocation){
        .targets_grant = act->targets_grant, .node = act->node, .grant = act->revoked, .cut_count = act->cut_count, .cuts = cuts};
    return FM_OK;
}

static int adopt(struct actor *actor, const struct fm_act *act)
{
    for (uint32_t i = 0; i < act->adopt_count; i++) {
        int rc = grow((void **)&actor->adopted, actor->adopted_count, sizeof *actor->adopted);
        if (rc != FM_OK)
            return rc;
        actor->adopted[actor->adopted_count++] = act->adopts[i];
    }
    return FM_OK;
}

/* rule 55: only the root grants coordinators, only coordinators grant the rest. */
static bool may_grant(uint8_t role, const struct fm_grant *grant)
{
    return role == (grant->role == FM_ROLE_COORDINATOR ? FM_ROLE_ROOT : FM_ROLE_COORDINATOR);
}

int fm_authority_add(struct fm_authority *a, const struct fm_set_meta *set, const struct fm_act *const *acts, size_t count,
                     bool is_void, bool *changed)
{
    assert(set->stream.lane == FM_LANE_MEMBERSHIP && layer_of(set->role) != LAYER_REST);
    *changed = false;
    int rc = grow((void **)&a->actors, a->actor_count, sizeof *a->actors);
    if (rc != FM_OK)
        return rc;
    size_t index = a->actor_count++;
    a->actors[index] = (struct actor){.set = *set, .is_void = is_void};
    for (size_t i = 0; rc == FM_OK && !is_void && i < count; i++) {
        struct actor *actor = &a->actors[index];
        if (acts[i]->kind == FM_ACT_GRANT)
            rc = may_grant(set->role, &acts[i]->grant) ? give(a, &acts[i]->grant, index) : FM_OK;
        else if (acts[i]->kind == FM_ACT_REVOKE)
            rc = revoke(actor, acts[i]);
        else
            rc = adopt(actor, acts[i]);
    }
    bool judged = false;
    if (rc == FM_OK)
        rc = fm_authority_again(a, &judged);
    *changed = judged;
    return rc;
}

bool fm_authority_cuts_at(const struct fm_authority *a, const struct fm_set_id *set)
{
    for (size_t i = 0; i < a->actor_count; i++)
        for (size_t k = 0; k < a->actors[i].revocation_count; k++)
            for (uint32_t n = 0; n < a->actors[i].revocations[k].cut_count; n++)
                if (fm_id_eq(&a->actors[i].revocations[k].cuts[n].set, set))
                    return true;
    return false;
}

/* --- members --- */

size_t fm_authority_member_count(const struct fm_authority *a)
{
    return a->given_count;
}

void fm_authority_member(const struct fm_authority *a, size_t i, uint64_t epoch, struct fm_member *out)
{
    assert(i < a->given_count);
    const struct given *g = a->given[i];
    *out = (struct fm_member){.grant = g->grant.id,
                              .author = g->grant.author,
                              .transport = g->grant.transport,
                              .box = g->grant.box,
                              .name = g->grant.name,
                              .role = g->grant.role,
                              .flags = g->grant.flags,
                              .epoch_first = g->grant.epoch_first,
                              .epoch_last = g->grant.epoch_last,
                              .serial = g->grant.serial,
                              .counted = g->counted,
                              .revoked = g->revoked,
                              .expired = g->grant.epoch_last < epoch};
}

static const struct fm_grant *best(const struct fm_authority *a, const struct fm_key *author, const struct fm_key *transport,
                                   uint64_t epoch)
{
    const struct fm_grant *found = NULL;
    for (size_t i = 0; i < a->given_count; i++) {
        const struct given *g = a->given[i];
        if (author != NULL ? !fm_id_eq(author, &g->grant.author) : !fm_id_eq(transport, &g->grant.transport))
            continue;
        if (!g->counted || g->revoked || g->grant.epoch_last < epoch)
            continue;
        if (found == NULL || found->serial < g->grant.serial)
            found = &g->grant;
    }
    return found;
}

const struct fm_grant *fm_authority_current(const struct fm_authority *a, const struct fm_key *author, uint64_t epoch)
{
    return best(a, author, NULL, epoch);
}

const struct fm_grant *fm_authority_by_transport(const struct fm_authority *a, const struct fm_key *transport, uint64_t epoch)
{
    return best(a, NULL, transport, epoch);
}

const struct fm_grant *fm_authority_counting(const struct fm_authority *a, const struct fm_grant_id *id,
                                             const struct fm_key *author)
{
    const struct given *g = given_find(a, id);
    return g != NULL && g->counted && !g->revoked && fm_id_eq(&g->grant.author, author) ? &g->grant : NULL;
}

bool fm_authority_is_hub(const struct fm_authority *a, const struct fm_key *author)
{
    for (size_t i = 0; i < a->given_count; i++) {
        const struct given *g = a->given[i];
        if (g->grant.role == FM_ROLE_COORDINATOR && !g->revoked && fm_id_eq(&g->grant.author, author))
            return true; /* the root's grants count */
    }
    return false;
}

static int by_set_id(const void *a, const void *b)
{
    const struct actor *const *x = a, *const *y = b;
    return fm_id_cmp(&(*x)->set.id, &(*y)->set.id);
}

int fm_authority_digest(const struct fm_authority *a, struct fm_buf *out)
{
    int rc = FM_OK;
    for (size_t i = 0; rc == FM_OK && i < a->given_count; i++) {
        uint8_t row[FM_GRANT_ID_BYTES + 2];
        memcpy(row, a->given[i]->grant.id.b, FM_GRANT_ID_BYTES);
        row[FM_GRANT_ID_BYTES] = a->given[i]->counted;
        row[FM_GRANT_ID_BYTES + 1] = a->given[i]->revoked;
        rc = fm_buf_add(out, row, sizeof row);
    }
    const struct actor **sorted = malloc((a->actor_count + 1) * sizeof *sorted);
    if (sorted == NULL)
        return FM_ENOMEM;
    for (size_t i = 0; i < a->actor_count; i++)
        sorted[i] = &a->actors[i];
    qsort(sorted, a->actor_count, sizeof *sorted, by_set_id);
    for (size_t i = 0; rc == FM_OK && i < a->actor_count; i++) {
        uint8_t row[FM_SET_ID_BYTES + 1];
        memcpy(row, sorted[i]->set.id.b, FM_SET_ID_BYTES);
        row[FM_SET_ID_BYTES] = sorted[i]->counted;
        rc = fm_buf_add(out, row, sizeof row);
    }
    free(sorted);
    return rc;
}
