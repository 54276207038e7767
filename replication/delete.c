#include "replication/submit.h"
#include "replication/uuid.h"

/* A tombstone's document is {id, entityId, updatedAt} and nothing more (DESIGN.md section 4). */
int fm_delete_compose(struct fm_repl *r, const struct fm_record_id *record, struct fm_span from, struct fm_span updated_at,
                      struct fm_span *document)
{
    struct fm_draft draft;
    char text[37];
    fm_uuid_text(text, record);
    fm_draft_init(&draft, &r->scratch);
    fm_draft_str(&draft, "id", fm_span_str(text));
    fm_draft_copy(&draft, from, "entityId");
    fm_draft_str(&draft, "updatedAt", updated_at);
    return fm_draft_write(&draft, document);
}

int fm_delete_run(struct fm_job *job)
{
    const struct fm_version *parent;
    struct fm_span document, when = fm_span_str(job->now);
    bool done;
    int rc = fm_update_known(job, &done);
    if (rc != FM_OK || done)
        return rc;
    (void)fm_doc_str(job->payload, "updatedAt", &when);
    rc = fm_parent_find(job, &parent);
    if (rc == FM_OK)
        rc = fm_delete_compose(job->r, &job->stored.record, job->stored.document, when, &document);
    return rc == FM_OK ? fm_update_write(job, parent, FM_DELETE, document) : rc;
}
