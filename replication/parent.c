#include "replication/submit.h"

static bool fits(const struct fm_parent_ask *ask, const struct fm_version *v)
{
    return v != NULL && v->status == FM_VALID && v->number < ask->number && ask->number - v->number <= FM_VERSION_STEP_MAX;
}

static bool on_line(const struct fm_version *v)
{
    return v->counted && (v->place == FM_PLACE_WINNER || v->place == FM_PLACE_LINE);
}

/* Cases 2 to 4 of rule 15, with or without tombstones. */
static const struct fm_version *unnamed(const struct fm_parent_ask *ask, bool tombstones)
{
    const struct fm_version *best = NULL;
    if (fits(ask, ask->mine) && !on_line(ask->mine) && (tombstones || !ask->mine->tombstone))
        return ask->mine; /* 2 */
    for (size_t i = 0; i < ask->count; i++) {
        const struct fm_version *v = &ask->versions[i];
        if (!on_line(v) || !fits(ask, v) || (v->tombstone && !tombstones))
            continue;
        if (best == NULL || v->number > best->number)
            best = v;
    }
    return best; /* 3, 4: numbers fall along the line, so the winner is the newest if it is below */
}

const struct fm_version *fm_parent_choose(const struct fm_parent_ask *ask)
{
    if (fits(ask, ask->named))
        return ask->named; /* 1: also a tombstone, if the client says so */
    const struct fm_version *v = unnamed(ask, ask->is_delete);
    return v != NULL ? v : unnamed(ask, true);
}

/* Written through this node? Its holder is a set of our own author key, or the open one of this turn. */
static int through_here(struct fm_repl *r, const struct fm_version *v, bool *yes)
{
    *yes = false;
    for (uint32_t i = 0; !*yes && i < v->holder_count; i++) {
        struct fm_span item;
        struct fm_set_meta set;
        if (fm_turn_item(r, v->holders[i].arrival, v->holders[i].index, &item)) {
            *yes = true;
            break;
        }
        int rc = r->port->set_next(r->port->ctx, v->holders[i].arrival, &set);
        if (rc == FM_ENOTFOUND || (rc == FM_OK && set.arrival != v->holders[i].arrival))
            return FM_ECORRUPT; /* a version whose set is not held */
        if (rc != FM_OK)
            return rc;
        *yes = fm_id_eq(&set.stream.author, &r->self.author);
    }
    return FM_OK;
}

/* The newest version of this actor: with that number (0: any), through this node only if here. */
static int newest_of(struct fm_job *job, uint32_t number, bool here, const struct fm_version **out)
{
    struct fm_repl *r = job->r;
    *out = NULL;
    for (size_t i = 0; i < job->stored.count; i++) {
        const struct fm_version *v = &job->stored.versions[i];
        struct fm_span document, actor;
        bool mine = true;
        if (v->status != FM_VALID || (number != 0 && v->number != number) || (*out != NULL && v->time <= (*out)->time))
            continue;
        int rc = here ? through_here(r, v, &mine) : FM_OK;
        if (rc == FM_OK && mine)
            rc = fm_stored_read(r, v, &document, &actor);
        if (rc != FM_OK)
            return rc;
        if (mine && fm_span_eq(actor, fm_actor_span(&job->actor)))
            *out = v;
    }
    return FM_OK;
}

/* The version that the client says it edited: baseVersionId, else baseVersion. */
static int named_by(struct fm_job *job, const struct fm_version **out)
{
    const struct fm_submission *s = job->s;
    const struct fm_stored *stored = &job->stored;
    *out = s->has_base_id ? fm_stored_find(stored, &s->base_id) : NULL;
    if (*out != NULL || !s->has_base_number || s->base_number < 1 || s->base_number > (int64_t)FM_VERSION_MAX)
        return FM_OK;
    for (size_t i = 0; i < stored->count; i++) {
        if (on_line(&stored->versions[i]) && stored->versions[i].number == (uint32_t)s->base_number) {
            *out = &stored->versions[i];
            return FM_OK;
        }
    }
    return newest_of(job, (uint32_t)s->base_number, false, out);
}

int fm_parent_find(struct fm_job *job, const struct fm_version **parent)
{
    struct fm_parent_ask ask = {.versions = job->stored.versions, .count = job->stored.count, .number = job->number,
                                .is_delete = job->verb == FM_DELETE};
    int rc = named_by(job, &ask.named);
    if (rc == FM_OK && !fits(&ask, ask.named))
        rc = newest_of(job, 0, true, &ask.mine);
    *parent = rc == FM_OK ? fm_parent_choose(&ask) : NULL;
    return rc;
}
