/* Responses: what was planned and delivered for an assessment (rules 18-25). */
#include "replication/submit.h"
#include "replication/uuid.h"

static const struct fm_field_rule fields[] = {
    {"assessmentId", FM_WANT_TEXT, true, NULL}, /* an id, or the assessment's offlineId (rule 19) */
    {"entityId", FM_WANT_UUID, true, NULL},
    {"status", FM_WANT_ENUM, true, "PLANNED DELIVERED"},
    {"offlineId", FM_WANT_TEXT, false, NULL},
    {"donorId", FM_WANT_TEXT, false, NULL},
    {"type", FM_WANT_TEXT, false, NULL},
    {"priority", FM_WANT_ENUM, false, "CRITICAL HIGH MEDIUM LOW"},
    {"plannedDate", FM_WANT_DATE, false, NULL},
    {"responseDate", FM_WANT_DATE, false, NULL},
    {"verificationStatus", FM_WANT_ENUM, false, "DRAFT PENDING VERIFIED AUTO_VERIFIED REJECTED"},
    {"rejectionReason", FM_WANT_TEXT, false, NULL},
    {"rejectionFeedback", FM_WANT_TEXT, false, NULL},
    {"createdAt", FM_WANT_DATE, false, NULL},
    {"updatedAt", FM_WANT_DATE, false, NULL},
};
static const struct fm_field_rule item_fields[] = {
    {"name", FM_WANT_TEXT, true, NULL},
    {"unit", FM_WANT_TEXT, true, NULL},
    {"quantity", FM_WANT_ABOVE_ZERO, true, NULL},
};
static const char *const fixed[] = {"entityId", "assessmentId", "incidentId", NULL}; /* rule 16 */

/* items: a list of {name, unit, quantity > 0}. */
static int check(struct fm_job *job, struct fm_span type_from)
{
    struct fm_span packed;
    struct fm_value list, item;
    (void)type_from;
    if (fm_doc_get(job->payload, "items", &packed) != FM_OK)
        return FM_OK;
    fm_value_next(&packed, &list);
    if (list.type == FM_NIL)
        return FM_OK;
    if (list.type != FM_ARRAY)
        return fm_submit_refuse(&job->result, "field", "items: want a list");
    for (uint32_t i = 0; i < list.count; i++) {
        struct fm_span one = list.inner;
        char prefix[32], why[200];
        (void)snprintf(prefix, sizeof prefix, "items[%u].", i);
        fm_value_next(&list.inner, &item);
        one.len -= list.inner.len;
        if (item.type != FM_MAP)
            return fm_submit_refuse(&job->result, "field", "items[%u]: want an object with name, unit and quantity", i);
        if (fm_fields_check(one, FM_FIELD_RULES(item_fields), prefix, why, sizeof why) != FM_OK)
            return fm_submit_refuse(&job->result, "field", "%s", why);
        if (fm_fields_complete(one, FM_FIELD_RULES(item_fields), why, sizeof why) != FM_OK)
            return fm_submit_refuse(&job->result, "field", "%s%s", prefix, why);
    }
    return FM_OK;
}

/* The assessment this text means: an id that is known, else an offlineId (rule 19). */
static int find_parent(struct fm_repl *r, struct fm_span text, struct fm_stored *out)
{
    struct fm_record_id id;
    int rc;
    *out = (struct fm_stored){.kind = FM_KIND_ASSESSMENT};
    if (fm_uuid_parse(&id, text) == FM_OK) {
        rc = fm_stored_head(r, FM_KIND_ASSESSMENT, &id, out);
        if (rc != FM_OK || out->shown)
            return rc;
    }
    if (text.len == 0 || text.len > FM_OFFLINE_ID_BYTES_MAX)
        return FM_OK;
    rc = r->port->alias(r->port->ctx, FM_KIND_ASSESSMENT, text, &id);
    if (rc == FM_ENOTFOUND)
        return FM_OK;
    return rc == FM_OK ? fm_stored_head(r, FM_KIND_ASSESSMENT, &id, out) : rc;
}

/* Stored is the assessment's id, also where its offlineId was given. */
static int refine(struct fm_job *job)
{
    struct fm_span text;
    struct fm_stored parent;
    char id[37];
    if (fm_doc_str(job->payload, "assessmentId", &text) != FM_OK)
        return FM_OK;
    int rc = find_parent(job->r, text, &parent);
    if (rc != FM_OK || !parent.shown)
        return rc;
    fm_uuid_text(id, &parent.record);
    return fm_span_eq(text, fm_span_str(id)) ? FM_OK : fm_submit_replace(job, "assessmentId", fm_span_str(id));
}

static int create(struct fm_job *job)
{
    struct fm_span assessment = fm_span(NULL, 0), entity = assessment;
    struct fm_stored parent;
    char clip[68], own[37];
    (void)fm_doc_str(job->payload, "assessmentId", &assessment); /* both are there: fm_submit_check saw them */
    (void)fm_doc_str(job->payload, "entityId", &entity);
    int rc = find_parent(job->r, assessment, &parent);
    if (rc != FM_OK)
        return rc;
    if (!parent.shown || parent.head.deleted) /* rule 19 */
        return fm_submit_refuse(&job->result, "parent-missing", "Assessment not found: %s is %s; nothing was stored",
                                fm_submit_clip(clip, assessment), parent.shown ? "deleted" : "not known here");
    fm_uuid_text(own, &parent.head.entity);
    if (!parent.head.has_entity || !fm_span_eq(entity, fm_span_str(own))) /* rule 20 */
        return fm_submit_refuse(&job->result, "entity-differs", "Response entity must match assessment entity");
    return FM_OK;
}

static bool is(struct fm_span doc, const char *status)
{
    struct fm_span text;
    return fm_doc_str(doc, "status", &text) == FM_OK && fm_span_eq(text, fm_span_str(status));
}

/* Rule 25: against what it was made from; and what would win may not take back what is shown. */
static int update(struct fm_job *job, struct fm_span base)
{
    bool wins = job->number > job->stored.head.number && !job->stored.head.deleted;
    if (is(job->payload, "PLANNED") && (is(base, "DELIVERED") || (wins && is(job->stored.document, "DELIVERED"))))
        return fm_submit_refuse(&job->result, "delivered", "status: DELIVERED never goes back to PLANNED");
    return FM_OK;
}

const struct fm_kind_spec fm_response_spec = {
    .kind = FM_KIND_RESPONSE,
    .title = "Response",
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .writer = "responderId",
    .fixed = fixed,
    .entity = true,
    .verified = true,
    .refine = refine,
    .check = check,
    .create = create,
    .update = update,
};
