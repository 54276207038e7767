#include "replication/submit.h"

const char *const fm_verification_fields[5] = {"verificationStatus", "rejectionReason", "rejectionFeedback", "verifiedAt",
                                               "verifiedBy"};

static bool is(struct fm_span doc, const char *key, const char *word)
{
    struct fm_span text;
    return fm_doc_str(doc, key, &text) == FM_OK && fm_span_eq(text, fm_span_str(word));
}

static void set_status(struct fm_draft *draft, const char *status)
{
    fm_draft_str(draft, "verificationStatus", fm_span_str(status));
}

/* rule 31: decided here and now; the decision travels in the document and nobody decides again. */
int fm_verify_first(struct fm_job *job, struct fm_draft *draft, struct fm_span document, bool first)
{
    for (size_t i = 0; i < 5; i++)
        fm_draft_drop(draft, fm_verification_fields[i]);
    if (!job->spec->verified)
        return FM_OK;
    if (job->spec->kind == FM_KIND_RESPONSE && !is(document, "status", "DELIVERED")) {
        set_status(draft, "DRAFT"); /* rule 22 */
        return FM_OK;
    }
    bool yes = false;
    int rc = first ? fm_approval_decide(job->r, job->spec->kind, document, &yes) : FM_OK;
    set_status(draft, yes ? "AUTO_VERIFIED" : "PENDING"); /* rules 11, 22 */
    return rc;
}

/* Rule 30 for rule 24: was any version of it ever delivered? */
static int delivered_before(struct fm_job *job, bool *yes)
{
    *yes = false;
    for (size_t i = 0; !*yes && i < job->stored.count; i++) {
        struct fm_span document, actor;
        if (!job->stored.versions[i].counted)
            continue;
        int rc = fm_stored_read(job->r, &job->stored.versions[i], &document, &actor);
        if (rc != FM_OK)
            return rc;
        *yes = is(document, "status", "DELIVERED");
    }
    return FM_OK;
}

/* Does the payload name a verification field with another value than the parent has? Absent is as nil. */
static bool wants_other(struct fm_span payload, struct fm_span parent)
{
    static const uint8_t nil = 0xc0;
    for (size_t i = 0; i < 5; i++) {
        struct fm_span wish, old;
        if (fm_doc_get(payload, fm_verification_fields[i], &wish) != FM_OK)
            continue;
        if (fm_doc_get(parent, fm_verification_fields[i], &old) != FM_OK)
            old = fm_span(&nil, 1);
        if (!fm_span_eq(wish, old))
            return true;
    }
    return false;
}

/* A coordinator's own verdict (rule 17). */
static int judge(struct fm_job *job, struct fm_draft *draft, struct fm_span parent, const char *wish)
{
    struct fm_span reason, feedback;
    if (strcmp(wish, "VERIFIED") == 0) {
        fm_draft_drop(draft, "rejectionReason");
        fm_draft_drop(draft, "rejectionFeedback");
        fm_draft_str(draft, "verifiedAt", fm_span_str(job->now));
        fm_draft_str(draft, "verifiedBy", fm_actor_span(&job->actor));
    } else {
        if (fm_doc_str(job->payload, "rejectionReason", &reason) != FM_OK || reason.len == 0)
            return fm_submit_refuse(&job->result, "field", "rejectionReason: required to reject");
        if (fm_doc_str(job->payload, "rejectionFeedback", &feedback) != FM_OK || feedback.len == 0)
            return fm_submit_refuse(&job->result, "field", "rejectionFeedback: required to reject");
        fm_draft_str(draft, "rejectionReason", reason);
        fm_draft_str(draft, "rejectionFeedback", feedback);
        fm_draft_drop(draft, "verifiedAt");
        fm_draft_drop(draft, "verifiedBy");
    }
    if (!is(parent, "verificationStatus", "PENDING"))
        return fm_submit_refuse(&job->result, "verification", "verificationStatus: only PENDING can become %s", wish);
    set_status(draft, wish);
    return FM_OK;
}

/* What an edit makes of the status by itself (rules 17, 24). */
static int follow(struct fm_job *job, struct fm_draft *draft, struct fm_span parent, struct fm_span document, bool changed,
                  const char **status)
{
    bool owner = is(parent, job->spec->writer, job->actor.text);
    bool final = is(parent, "verificationStatus", "VERIFIED") || is(parent, "verificationStatus", "AUTO_VERIFIED");
    bool rejected = is(parent, "verificationStatus", "REJECTED");
    *status = NULL;
    if (job->spec->kind == FM_KIND_RESPONSE && is(document, "status", "DELIVERED") && !is(parent, "status", "DELIVERED")) {
        bool before, yes = false;
        int rc = delivered_before(job, &before);
        if (rc == FM_OK && !before)
            rc = fm_approval_decide(job->r, job->spec->kind, document, &yes);
        if (rc != FM_OK)
            return rc;
        *status = yes ? "AUTO_VERIFIED" : "PENDING";
    } else if (changed && (final || (rejected && owner))) {
        *status = "PENDING";
    }
    if (*status != NULL)
        set_status(draft, *status);
    return FM_OK;
}

int fm_verify_next(struct fm_job *job, struct fm_draft *draft, struct fm_span parent, struct fm_span document, bool changed)
{
    const char *status;
    struct fm_span wish;
    if (!job->spec->verified)
        return FM_OK;
    int rc = follow(job, draft, parent, document, changed, &status);
    if (rc != FM_OK || !job->actor.coordinator || !wants_other(job->payload, parent))
        return rc; /* rule 16: silently kept */
    if (!job->actor.decides)
        return fm_actor_decides(job->r, &job->actor, &job->result);
    if (fm_doc_str(job->payload, "verificationStatus", &wish) != FM_OK)
        return FM_OK;
    if (status != NULL && fm_span_eq(wish, fm_span_str(status)))
        return FM_OK; /* what the edit did anyway */
    struct fm_span old = fm_span_str("");
    (void)fm_doc_str(parent, "verificationStatus", &old);
    if (fm_span_eq(old, wish))
        return FM_OK;
    if (fm_span_eq(wish, fm_span_str("VERIFIED")))
        return judge(job, draft, parent, "VERIFIED");
    if (fm_span_eq(wish, fm_span_str("REJECTED")))
        return judge(job, draft, parent, "REJECTED");
    return fm_submit_refuse(&job->result, "verification", "verificationStatus: %.*s cannot become %.*s", (int)old.len,
                            (const char *)old.data, (int)wish.len, (const char *)wish.data);
}
