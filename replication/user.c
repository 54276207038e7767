/* Users: the people who act (rule 7); written by coordinators (rule 55). */
#include "replication/submit.h"

static const struct fm_field_rule fields[] = {
    {"name", FM_WANT_TEXT, true, NULL},
    {"roles", FM_WANT_ENUMS, false, "ASSESSOR RESPONDER COORDINATOR DONOR ADMIN"},
    {"offlineId", FM_WANT_TEXT, false, NULL},
    {"isActive", FM_WANT_BOOL, false, NULL},
    {"createdAt", FM_WANT_DATE, false, NULL},
    {"updatedAt", FM_WANT_DATE, false, NULL},
};
static const char *const fixed[] = {NULL};

const struct fm_kind_spec fm_user_spec = {
    .kind = FM_KIND_USER,
    .title = "User",
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .fixed = fixed,
    .coordinators = true,
};
