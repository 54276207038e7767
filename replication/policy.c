/* The mesh's policy: one record of a fixed id, written by the operator of a coordinator node (DESIGN.md section 4). */
#include "replication/submit.h"
#include "replication/uuid.h"

static const struct fm_field_rule fields[] = {
    {"autoSettle", FM_WANT_ENUM, true, "disjoint never"},
    {"autoSettleNode", FM_WANT_HEX_KEY, true, NULL},
    {"createdAt", FM_WANT_DATE, false, NULL},
    {"updatedAt", FM_WANT_DATE, false, NULL},
};
static const char *const fixed[] = {NULL};

void fm_policy_id(const struct fm_repl *r, struct fm_record_id *id)
{
    fm_uuid_v8(id, r->crypto, &r->self.mesh, FM_KIND_POLICY, fm_span_str("policy"));
}

static int identify(struct fm_job *job, struct fm_record_id *id, bool *derived)
{
    fm_policy_id(job->r, id);
    *derived = true;
    return FM_OK;
}

const struct fm_kind_spec fm_policy_spec = {
    .kind = FM_KIND_POLICY,
    .title = "Policy",
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .fixed = fixed,
    .coordinators = true,
    .operators = true,
    .identify = identify,
};
