/* Entities: camps and communities; written by coordinators (rule 55). */
#include "replication/submit.h"

static const struct fm_field_rule fields[] = {
    {"name", FM_WANT_TEXT, true, NULL},
    {"type", FM_WANT_ENUM, false, "CAMP COMMUNITY"},
    {"offlineId", FM_WANT_TEXT, false, NULL},
    {"locationLat", FM_WANT_LATITUDE, false, NULL},
    {"locationLng", FM_WANT_LONGITUDE, false, NULL},
    {"lga", FM_WANT_TEXT, false, NULL},
    {"ward", FM_WANT_TEXT, false, NULL},
    {"population", FM_WANT_COUNT, false, NULL},
    {"vulnerableCount", FM_WANT_COUNT, false, NULL},
    {"autoApproveEnabled", FM_WANT_BOOL, false, NULL},
    {"autoApproval", FM_WANT_MAP, false, NULL},
    {"isActive", FM_WANT_BOOL, false, NULL},
    {"createdAt", FM_WANT_DATE, false, NULL},
    {"updatedAt", FM_WANT_DATE, false, NULL},
};
static const struct fm_field_rule approval_fields[] = { /* rule 30 */
    {"scope", FM_WANT_ENUM, false, "assessments responses both"},
    {"types", FM_WANT_STRINGS, false, NULL},
    {"maxPriority", FM_WANT_ENUM, false, "LOW MEDIUM HIGH CRITICAL"},
};
static const char *const fixed[] = {NULL};

static int check(struct fm_job *job, struct fm_span type_from)
{
    struct fm_span settings;
    char why[200];
    (void)type_from;
    if (fm_doc_get(job->payload, "autoApproval", &settings) != FM_OK || !fm_doc_has(job->payload, "autoApproval"))
        return FM_OK;
    if (fm_fields_check(settings, FM_FIELD_RULES(approval_fields), "autoApproval.", why, sizeof why) != FM_OK)
        return fm_submit_refuse(&job->result, "field", "%s", why);
    return FM_OK;
}

const struct fm_kind_spec fm_entity_spec = {
    .kind = FM_KIND_ENTITY,
    .title = "Entity",
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .fixed = fixed,
    .coordinators = true,
    .check = check,
};
