/* Assignments: who may write for which entity (rule 7). The unique triple makes the record's id, so that two coordinators
 * who assign the same make the same record, and the question "is she assigned?" is one look-up a role. */
#include "replication/submit.h"
#include "replication/uuid.h"

static const struct fm_field_rule fields[] = {
    {"entityId", FM_WANT_UUID, true, NULL},
    {"userId", FM_WANT_UUID, true, NULL},
    {"role", FM_WANT_ENUM, true, "ASSESSOR RESPONDER DONOR"},
    {"offlineId", FM_WANT_TEXT, false, NULL},
    {"isActive", FM_WANT_BOOL, false, NULL},
    {"createdAt", FM_WANT_DATE, false, NULL},
    {"updatedAt", FM_WANT_DATE, false, NULL},
};
static const char *const fixed[] = {"entityId", "userId", "role", NULL};

/* An update may name the record by its id alone. */
static int identify(struct fm_job *job, struct fm_record_id *id, bool *derived)
{
    struct fm_span entity, user, role;
    char triple[37 + 37 + 16];
    *derived = false;
    if (job->verb != FM_CREATE && fm_doc_has(job->payload, "id"))
        return FM_OK;
    int rc = fm_submit_check(job, true, job->payload);
    if (rc != FM_OK)
        return rc;
    (void)fm_doc_str(job->payload, "entityId", &entity); /* lower case by now */
    (void)fm_doc_str(job->payload, "userId", &user);
    (void)fm_doc_str(job->payload, "role", &role);
    (void)snprintf(triple, sizeof triple, "%.*s|%.*s|%.*s", (int)entity.len, (const char *)entity.data, (int)user.len,
                   (const char *)user.data, (int)role.len, (const char *)role.data);
    fm_uuid_v8(id, job->r->crypto, &job->r->self.mesh, FM_KIND_ASSIGNMENT, fm_span_str(triple));
    *derived = true;
    return FM_OK;
}

const struct fm_kind_spec fm_assignment_spec = {
    .kind = FM_KIND_ASSIGNMENT,
    .title = "Assignment",
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .fixed = fixed,
    .coordinators = true,
    .identify = identify,
};
