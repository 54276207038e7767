#include "replication/submit.h"
#include "replication/uuid.h"

static void date_or_now(struct fm_job *job, struct fm_draft *draft, const char *key)
{
    if (!fm_doc_has(job->payload, key))
        fm_draft_str(draft, key, fm_span_str(job->now));
}

/* The document as it will be stored (rule 10); first: nothing of this record is known, so rule 30 may approve it. */
static int compose(struct fm_job *job, const struct fm_record_id *id, struct fm_span offline_id, bool first,
                   struct fm_span *document)
{
    struct fm_draft draft;
    char text[37];
    fm_uuid_text(text, id);
    fm_draft_init(&draft, &job->r->scratch);
    fm_draft_lay(&draft, job->payload);
    date_or_now(job, &draft, "createdAt");
    date_or_now(job, &draft, "updatedAt");
    fm_draft_str(&draft, "id", fm_span_str(text));
    if (offline_id.len > 0)
        fm_draft_str(&draft, "offlineId", offline_id);
    else
        fm_draft_drop(&draft, "offlineId");
    if (job->spec->writer != NULL) /* rule 10: assessorId; rule 21: responderId */
        fm_draft_str(&draft, job->spec->writer, fm_actor_span(&job->actor));
    fm_draft_str(&draft, "syncStatus", fm_span_str("SYNCED"));
    fm_draft_uint(&draft, "versionNumber", job->number);
    int rc = fm_verify_first(job, &draft, job->payload, first && job->number == 1);
    if (rc == FM_OK)
        rc = fm_draft_write(&draft, document);
    return rc == FM_ELIMIT ? fm_submit_too_large(&job->result) : rc;
}

static int write(struct fm_job *job, const struct fm_record_id *id, struct fm_span document)
{
    struct fm_change change = {.kind = job->spec->kind, .action = FM_CREATE, .record = *id, .version = job->number,
                               .actor = fm_actor_span(&job->actor), .document = document};
    return fm_write_or_refuse(job->r, &change, &job->result);
}

/* Is this content held in any version of the record? */
static int known_content(struct fm_job *job, struct fm_span document, bool *known)
{
    *known = !job->stored.head.deleted && fm_doc_same_content(job->stored.document, document);
    for (size_t i = 0; !*known && i < job->stored.count; i++) {
        const struct fm_version *v = &job->stored.versions[i];
        struct fm_span held, actor;
        if (v->tombstone || !v->counted)
            continue;
        int rc = fm_stored_read(job->r, v, &held, &actor);
        if (rc != FM_OK)
            return rc;
        *known = fm_doc_same_content(held, document);
    }
    return FM_OK;
}

/* Rules 8, 18: a record of this id or offlineId is known. Tested before all else but who may write it. */
static int again(struct fm_job *job)
{
    struct fm_span offline_id = job->offline_id, document;
    char note[160], message[256];
    bool known;
    int rc = fm_submit_access(job, false);
    if (rc != FM_OK)
        return rc;
    if (offline_id.len == 0 && job->stored.head.offline_id.len > 0)
        offline_id = job->stored.head.offline_id;
    if (job->number > job->stored.head.number)
        job->number = job->stored.head.number;
    if (job->number > FM_VERSION_STEP_MAX)
        job->number = FM_VERSION_STEP_MAX;
    rc = compose(job, &job->stored.record, offline_id, false, &document);
    if (rc == FM_OK)
        rc = known_content(job, document, &known);
    if (rc != FM_OK)
        return rc;
    (void)fm_stored_deletion(&job->stored, note);
    if (known) {
        job->result.status = FM_SUCCESS;
        job->result.has_record = true;
        job->result.record = job->stored.record;
        (void)snprintf(job->result.message, sizeof job->result.message, "%s already synced%s%s", job->spec->title,
                       note[0] == '\0' ? "" : ": ", note);
        return FM_OK;
    }
    rc = fm_submit_check(job, true, job->payload);
    if (rc == FM_OK)
        rc = fm_submit_access(job, true);
    if (rc == FM_OK)
        rc = write(job, &job->stored.record, document);
    if (rc != FM_OK)
        return rc;
    (void)snprintf(message, sizeof message, "%s already synced: this other content is kept beside it for a coordinator%s%s",
                   job->spec->title, note[0] == '\0' ? "" : "; it was ", note);
    return fm_submit_answer(job, NULL, message);
}

/* Rule 9. */
static int fresh_id(struct fm_job *job, struct fm_record_id *id)
{
    struct fm_repl *r = job->r;
    struct fm_span text;
    uint8_t random[10];
    if (job->spec->identify != NULL) {
        bool derived; /* a create's always is */
        return job->spec->identify(job, id, &derived);
    }
    if (fm_doc_str(job->payload, "id", &text) == FM_OK)
        return fm_uuid_parse(id, text);
    if (job->offline_id.len > 0) {
        fm_uuid_v8(id, r->crypto, &r->self.mesh, job->spec->kind, job->offline_id);
        return FM_OK;
    }
    fm_fresh(r, random, sizeof random);
    fm_uuid_v7(id, r->event->now_ms, random);
    return FM_OK;
}

int fm_create_run(struct fm_job *job)
{
    struct fm_span document;
    struct fm_record_id id;
    if (job->stored.shown)
        return again(job);
    int rc = fm_submit_check(job, true, job->payload);
    if (rc == FM_OK)
        rc = fm_submit_access(job, true);
    if (rc == FM_OK && job->number > FM_VERSION_STEP_MAX)
        rc = fm_submit_refuse(&job->result, "version", "versionNumber: a new record starts at 1 to %u", FM_VERSION_STEP_MAX);
    if (rc == FM_OK && job->spec->create != NULL)
        rc = job->spec->create(job);
    if (rc == FM_OK)
        rc = fresh_id(job, &id);
    if (rc == FM_OK)
        rc = compose(job, &id, job->offline_id, true, &document);
    if (rc == FM_OK)
        rc = write(job, &id, document);
    if (rc != FM_OK)
        return rc;
    job->stored.record = id;
    return fm_submit_answer(job, "kept, but it does not count here yet", "");
}
