/* A coordinator's decisions: reconciliation and undo (rule 57, DESIGN.md section 4 "Decisions"). */
#include "replication/submit.h"

#include <assert.h>

#include "replication/fold.h"

/* No record shows a version above it, so that there is always a number for one more. */
#define TOP_MAX (FM_RECORD_VERSIONS_MAX * FM_VERSION_STEP_MAX)
_Static_assert(TOP_MAX < FM_VERSION_MAX, "a decision needs a number of its own");

struct decision {
    struct fm_repl *r;
    const struct fm_resolution *s;
    struct fm_actor actor;
    struct fm_stored stored;
    const struct fm_version *entry;   /* the version the entry is about */
    struct fm_result result;
    char now[25];
};

static int load(struct decision *d)
{
    struct fm_repl *r = d->r;
    struct fm_record_ref ref;
    int rc = r->port->version_find(r->port->ctx, &d->s->loser, &ref);
    if (rc == FM_OK)
        rc = fm_stored_load(r, ref.kind, &ref.record, &d->stored);
    if (rc != FM_OK && rc != FM_ENOTFOUND)
        return rc;
    d->entry = d->stored.shown ? fm_stored_find(&d->stored, &d->s->loser) : NULL;
    if (d->entry == NULL || !d->entry->counted || d->entry->place == FM_PLACE_WINNER || d->entry->place == FM_PLACE_LINE)
        return fm_submit_refuse(&d->result, "conflict-unknown", "no conflict of this id is known here");
    return FM_OK;
}

static void number_and_date(struct decision *d, struct fm_draft *draft, uint32_t number)
{
    fm_draft_uint(draft, "versionNumber", number);
    fm_draft_str(draft, "syncStatus", fm_span_str("SYNCED"));
    fm_draft_str(draft, "updatedAt", fm_span_str(d->now));
    if (d->s->reason.len > 0)
        fm_draft_str(draft, "resolutionNote", d->s->reason);
}

/* A tombstone's document stands for the deletion: its fields, and no others. */
static bool is_deletion(struct fm_span doc)
{
    struct fm_field fields[FM_MAP_ENTRIES_MAX];
    size_t count;
    fm_doc_fields(doc, fields, &count);
    for (size_t i = 0; i < count; i++)
        if (!fm_fields_word("id entityId updatedAt", fields[i].key, NULL))
            return false;
    return fm_doc_has(doc, "id") && fm_doc_has(doc, "updatedAt");
}

/* Given data is checked as at a submission; whole: as a new record's. */
static int check_given(struct decision *d, struct fm_span document, bool whole)
{
    struct fm_job *job = fm_arena_take(&d->r->scratch, sizeof *job);
    if (job == NULL)
        return FM_ENOMEM;
    job->r = d->r;
    job->spec = fm_submit_spec(d->stored.kind);
    job->payload = document;
    job->result = d->result;
    int rc = job->spec == NULL ? FM_OK : fm_submit_check(job, whole, d->stored.document);
    d->result = job->result;
    return rc;
}

/* What no decision changes: identity, and fields that are fixed by rule 16. */
static void keep_fixed(struct fm_draft *draft, struct fm_span winner)
{
    static const char *const names[] = {"id",           "offlineId",  "entityId",    "incidentId", "assessmentType",
                                        "assessmentId", "assessorId", "responderId", "createdAt",  "userId",
                                        "role"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (fm_doc_has(winner, names[i]))
            fm_draft_copy(draft, winner, names[i]);
}

/* The merge of winner and loser against their common base, appended as a document in scratch. */
static int merge(struct decision *d, const struct fm_version *loser, struct fm_span *document)
{
    struct fm_repl *r = d->r;
    struct fm_span base = fm_span(NULL, 0), theirs, actor;
    const struct fm_stored *s = &d->stored;
    struct fm_version *common;
    int rc = fm_fold_base(s->versions, s->count, s->winner, loser, &r->scratch, &common);
    if (rc == FM_OK)
        rc = fm_stored_document(r, loser, &theirs, &actor);
    if (rc == FM_OK && common != NULL)
        rc = fm_stored_document(r, common, &base, &actor);
    if (rc != FM_OK)
        return rc;
    struct fm_buf buf;
    fm_buf_init(&buf, FM_CHANGE_BYTES_MAX);
    rc = fm_doc_merge(&buf, base, s->document, theirs);
    if (rc == FM_OK) {
        uint8_t *copy = fm_arena_copy(&r->scratch, fm_buf_span(&buf));
        *document = fm_span(copy, buf.len);
        rc = copy == NULL ? FM_ENOMEM : FM_OK;
    }
    fm_buf_fini(&buf);
    return rc;
}

/* The decided document: of a strategy, for this loser. *deletes: it is a tombstone's. */
static int decide(struct decision *d, const struct fm_version *loser, uint32_t number, struct fm_span *document,
                  bool *deletes)
{
    const struct fm_stored *s = &d->stored;
    bool given = d->s->data.len > 0;
    struct fm_span body = s->document, living = s->document;
    struct fm_draft draft;
    if (given && fm_doc_check(d->s->data) != FM_OK)
        return fm_submit_refuse(&d->result, "field", "resolvedData: want an object within the limits of one change");
    if (d->s->strategy == FM_TAKE_DATA && !given)
        return fm_submit_refuse(&d->result, "field", "resolvedData: required for a manual resolution");
    int rc = fm_stored_base(d->r, s, s->winner, &living); /* a deleted winner's fixed fields */
    if (rc == FM_OK && d->s->strategy == FM_MERGE) {
        if (s->head.deleted || loser->tombstone)
            return fm_submit_refuse(&d->result, "field", "a deletion cannot be merged: take one side, or give the document");
        rc = merge(d, loser, &body);
    }
    if (rc != FM_OK)
        return rc;
    if (d->s->strategy == FM_TAKE_DATA)
        body = d->s->data;
    *deletes = d->s->strategy == FM_TAKE_WINNER ? s->head.deleted : d->s->strategy == FM_TAKE_DATA && is_deletion(body);
    if (*deletes)
        return fm_delete_compose(d->r, &s->record, s->document, fm_span_str(d->now), document);
    fm_draft_init(&draft, &d->r->scratch);
    fm_draft_lay(&draft, body);
    for (size_t i = 0; i < 5; i++) /* the winner's verification, unless the data says otherwise */
        fm_draft_copy(&draft, living, fm_verification_fields[i]);
    if (given && d->s->strategy != FM_TAKE_WINNER)
        fm_draft_lay(&draft, d->s->data);
    keep_fixed(&draft, living.len > 0 ? living : s->document);
    number_and_date(d, &draft, number);
    rc = fm_draft_write(&draft, document);
    if (rc == FM_OK && given && d->s->strategy != FM_TAKE_WINNER)
        rc = check_given(d, d->s->strategy == FM_TAKE_DATA ? *document : d->s->data, d->s->strategy == FM_TAKE_DATA);
    return rc;
}

static int write(struct decision *d, struct fm_change *change, const char *message)
{
    struct fm_repl *r = d->r;
    struct fm_stored now;
    change->kind = d->stored.kind;
    change->record = d->stored.record;
    change->actor = fm_actor_span(&d->actor);
    int rc = fm_write_or_refuse(r, change, &d->result);
    if (rc == FM_OK)
        rc = fm_stored_load(r, d->stored.kind, &d->stored.record, &now);
    if (rc != FM_OK)
        return rc;
    d->result.status = FM_SUCCESS;
    d->result.has_record = true;
    d->result.record = d->stored.record;
    d->result.document = now.document;
    d->result.opened_conflict = now.head.open > d->stored.head.open;
    (void)snprintf(d->result.message, sizeof d->result.message, "%s", message);
    return FM_OK;
}

static int settled_before(struct decision *d)
{
    d->result.status = FM_SUCCESS;
    d->result.has_record = true;
    d->result.record = d->stored.record;
    d->result.document = d->stored.document;
    (void)snprintf(d->result.message, sizeof d->result.message, "settled already; nothing was changed");
    return FM_OK;
}

static int reconcile(struct decision *d)
{
    const struct fm_version *winner = d->stored.winner, *loser = d->entry;
    bool deletes = false;
    if (loser->place == FM_PLACE_SETTLED)
        return settled_before(d);
    if (loser->place == FM_PLACE_REPLACED) { /* rule 57: acts on its head */
        loser = fm_stored_find(&d->stored, &loser->by);
        if (loser == NULL)
            return FM_ECORRUPT;
    }
    uint32_t top = winner->number > loser->number ? winner->number : loser->number;
    assert(top <= TOP_MAX);
    struct fm_change change = {.version = top + 1, .parent_count = 2, .parents = {winner->id, loser->id}};
    int rc = decide(d, loser, top + 1, &change.document, &deletes);
    if (rc == FM_ELIMIT)
        return fm_submit_too_large(&d->result);
    if (rc != FM_OK)
        return rc;
    change.action = deletes ? FM_DELETE : FM_UPDATE;
    return write(d, &change, "settled");
}

/* Undo has one parent, the decision, and the document to go back to: that of the decision's first parent. */
static int take_back(struct decision *d)
{
    struct fm_repl *r = d->r;
    struct fm_span document, actor;
    struct fm_draft draft;
    if (d->entry->place != FM_PLACE_SETTLED || !d->entry->has_by) /* without: it says the same as the winner */
        return fm_submit_refuse(&d->result, "not-settled", "no decision settled this conflict");
    const struct fm_version *decision = fm_stored_find(&d->stored, &d->entry->by);
    const struct fm_version *before = decision != NULL ? fm_stored_find(&d->stored, &decision->parents[0]) : NULL;
    if (before == NULL)
        return FM_ECORRUPT;
    assert(decision->number <= TOP_MAX);
    int rc = fm_stored_document(r, before, &document, &actor);
    if (rc == FM_OK && before->tombstone) {
        rc = fm_delete_compose(r, &d->stored.record, document, fm_span_str(d->now), &document);
    } else if (rc == FM_OK) {
        fm_draft_init(&draft, &r->scratch);
        fm_draft_lay(&draft, document);
        number_and_date(d, &draft, decision->number + 1);
        rc = fm_draft_write(&draft, &document);
    }
    if (rc == FM_ELIMIT)
        return fm_submit_too_large(&d->result);
    if (rc != FM_OK)
        return rc;
    struct fm_change change = {.action = FM_UNDO, .version = decision->number + 1, .parent_count = 1,
                               .parents = {decision->id}, .document = document};
    return write(d, &change, "undone: the conflict is open again");
}

static int run(struct decision *d)
{
    if (fm_repl_role(d->r) == FM_ROLE_NONE)
        return fm_submit_refuse(&d->result, "not-joined", "this node has no grant yet; nothing was stored");
    int rc = fm_actor_find(d->r, d->s->actor, &d->actor, &d->result);
    if (rc == FM_OK)
        rc = fm_actor_decides(d->r, &d->actor, &d->result); /* rule 55 */
    if (rc == FM_OK)
        rc = load(d);
    if (rc != FM_OK)
        return rc;
    return d->s->undo ? take_back(d) : reconcile(d);
}

int fm_resolve(struct fm_repl *r, const struct fm_resolution *s)
{
    struct decision *d = fm_arena_take(&r->scratch, sizeof *d);
    if (d == NULL)
        return FM_ENOMEM;
    d->r = r;
    d->s = s;
    d->result = (struct fm_result){.ticket = s->ticket};
    fm_write_now(r, d->now);
    return fm_submit_report(r, &d->result, run(d));
}
