#include "replication/submit.h"

/* Rule 16: kept whatever the payload says; the verification fields too, verify.c decides on them. */
static const char *const kept[] = {"id", "offlineId", "assessorId", "responderId", "createdAt"};

/* The payload over the base, with what never changes from the base. */
static void overlay(struct fm_job *job, struct fm_draft *draft, struct fm_span base)
{
    fm_draft_init(draft, &job->r->scratch);
    fm_draft_lay(draft, base);
    fm_draft_lay(draft, job->payload);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        fm_draft_copy(draft, base, kept[i]);
    for (size_t i = 0; i < 5; i++)
        fm_draft_copy(draft, base, fm_verification_fields[i]);
    if (!fm_doc_has(job->payload, "updatedAt"))
        fm_draft_str(draft, "updatedAt", fm_span_str(job->now));
    fm_draft_str(draft, "syncStatus", fm_span_str("SYNCED"));
    fm_draft_uint(draft, "versionNumber", job->number);
}

/* Would this payload have made this version? Its parent's document with the payload has its content. */
static int makes(struct fm_job *job, const struct fm_version *v, struct fm_span held, bool *yes)
{
    const struct fm_version *parent = v->parent_count == 0 ? NULL : fm_stored_find(&job->stored, &v->parents[0]);
    struct fm_span base = held, made, wish, status;
    struct fm_draft draft;
    int rc = parent == NULL ? FM_OK : fm_stored_base(job->r, &job->stored, parent, &base);
    if (rc == FM_OK && base.len == 0)
        base = held;
    if (rc != FM_OK)
        return rc;
    overlay(job, &draft, base);
    rc = fm_draft_write(&draft, &made);
    *yes = rc == FM_OK && fm_doc_same_content(made, held);
    /* The same content with another verdict of a coordinator is no repeated upload. */
    if (*yes && job->actor.decides && fm_doc_str(job->payload, "verificationStatus", &wish) == FM_OK)
        *yes = fm_doc_str(held, "verificationStatus", &status) == FM_OK && fm_span_eq(wish, status);
    return rc == FM_ELIMIT ? FM_OK : rc;
}

/* When v was taken in, did a version that was here already stand before it? Then the first answer was conflict. Before a
 * counted version stand counted ones only. */
static bool lost_at_once(const struct fm_stored *s, const struct fm_version *v)
{
    for (const struct fm_version *other = s->versions; other != v; other++) {
        const struct fm_holder *a = &other->holders[0], *b = &v->holders[0];
        if (a->arrival < b->arrival || (a->arrival == b->arrival && a->index < b->index))
            return true;
    }
    return false;
}

/* Rule 14: the same content by the same actor under the same number as a version held gets the first answer again. */
static int repeated(struct fm_job *job, bool *done)
{
    *done = false;
    for (size_t i = 0; i < job->stored.count; i++) {
        const struct fm_version *v = &job->stored.versions[i];
        struct fm_span held, actor;
        bool same = job->verb == FM_DELETE;
        if (!v->counted || v->number != job->number || v->tombstone != same)
            continue;
        int rc = fm_stored_document(job->r, v, &held, &actor);
        if (rc == FM_OK && !fm_span_eq(actor, fm_actor_span(&job->actor)))
            continue;
        if (rc == FM_OK && !same)
            rc = makes(job, v, held, &same);
        if (rc != FM_OK)
            return rc;
        if (!same)
            continue;
        *done = true;
        job->result.has_record = true;
        job->result.record = job->stored.record;
        job->result.status = lost_at_once(&job->stored, v) ? FM_CONFLICT : FM_SUCCESS;
        if (job->result.status == FM_CONFLICT) {
            job->result.document = job->stored.document;
            (void)snprintf(job->result.message, sizeof job->result.message, "Server version is newer: synced before");
        }
        return FM_OK;
    }
    return FM_OK;
}

/* Rule 16: these fail if the payload gives them another value. */
static int keeps_fixed(struct fm_job *job, struct fm_span base)
{
    for (const char *const *name = job->spec->fixed; *name != NULL; name++) {
        struct fm_span wish, old;
        if (fm_doc_get(job->payload, *name, &wish) != FM_OK || fm_doc_get(base, *name, &old) != FM_OK)
            continue;
        if (!fm_span_eq(wish, old))
            return fm_submit_refuse(&job->result, "field", "%s: cannot be changed", *name);
    }
    return FM_OK;
}

int fm_update_known(struct fm_job *job, bool *done)
{
    *done = false;
    if (!job->stored.shown) /* rule 13 */
        return fm_submit_refuse(&job->result, "not-found", "%s not found for %s", job->spec->title,
                                job->verb == FM_DELETE ? "delete" : "update");
    int rc = fm_submit_access(job, false);
    if (rc == FM_OK && job->verb == FM_UPDATE)
        rc = fm_submit_check(job, false, job->stored.document);
    if (rc == FM_OK)
        rc = repeated(job, done);
    if (rc != FM_OK || *done)
        return rc;
    if (job->number > job->stored.head.number && job->number - job->stored.head.number > FM_VERSION_STEP_MAX) /* rule 15 */
        return fm_submit_refuse(&job->result, "too-far-ahead", "too far ahead, pull first: version %u is stored, %u came",
                                job->stored.head.number, job->number);
    return FM_OK;
}

int fm_update_write(struct fm_job *job, const struct fm_version *parent, uint8_t action, struct fm_span document)
{
    struct fm_change change = {.kind = job->spec->kind, .action = action, .record = job->stored.record,
                               .version = job->number, .actor = fm_actor_span(&job->actor), .document = document};
    if (parent != NULL) {
        change.parent_count = 1;
        change.parents[0] = parent->id;
    }
    int rc = fm_write_or_refuse(job->r, &change, &job->result);
    if (rc != FM_OK)
        return rc;
    char note[160], conflict[256], success[256] = "";
    (void)fm_stored_deletion(&job->stored, note);
    (void)snprintf(conflict, sizeof conflict, "Server version is newer%s%s", note[0] == '\0' ? "" : ": ", note);
    if (note[0] != '\0' && action == FM_UPDATE)
        (void)snprintf(success, sizeof success, "brought back: it was %s", note);
    return fm_submit_answer(job, conflict, success);
}

/* The document of an update (rule 15), with its verification. */
static int compose(struct fm_job *job, const struct fm_version *parent, struct fm_span *document)
{
    struct fm_draft draft;
    struct fm_span base;
    int rc = fm_stored_base(job->r, &job->stored, parent == NULL ? job->stored.winner : parent, &base);
    if (rc == FM_OK && base.len == 0) /* nothing living above it: over what there is */
        base = job->stored.document;
    if (rc == FM_OK)
        rc = keeps_fixed(job, base);
    if (rc == FM_OK && job->spec->update != NULL)
        rc = job->spec->update(job, base);
    if (rc != FM_OK)
        return rc;
    overlay(job, &draft, base);
    rc = fm_draft_write(&draft, document);
    if (rc != FM_OK)
        return rc == FM_ELIMIT ? fm_submit_too_large(&job->result) : rc;
    if (parent == NULL || parent->tombstone)
        rc = fm_verify_first(job, &draft, *document, false);
    else
        rc = fm_verify_next(job, &draft, base, *document, !fm_doc_same_content(base, *document));
    if (rc == FM_OK)
        rc = fm_draft_write(&draft, document);
    return rc == FM_ELIMIT ? fm_submit_too_large(&job->result) : rc;
}

/* Rules 12 to 16 for every kind; rule 23: for responses too. */
int fm_update_run(struct fm_job *job)
{
    const struct fm_version *parent;
    struct fm_span document;
    bool done;
    int rc = fm_update_known(job, &done);
    if (rc != FM_OK || done)
        return rc;
    rc = fm_parent_find(job, &parent);
    if (rc == FM_OK)
        rc = compose(job, parent, &document);
    return rc == FM_OK ? fm_update_write(job, parent, FM_UPDATE, document) : rc;
}
