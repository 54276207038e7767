/* Pull (rules 32-35): what a person may see and what changed here, by the local change numbers; never by a clock. */
#ifndef FM_NODE_PULL_H
#define FM_NODE_PULL_H

#include "node/op.h"

/* Request: as, lastSyncTimestamp?, cursor?, entityIds? (list), limit?. Answer (rule 34): assessments, responses, entities,
 * tombstones, syncTimestamp, cursor, hasMore. NULL: code and why ("usage", "cursor-foreign", "not-allowed"). */
json_t *fm_pull(struct fm_op *op, const char **code, char *why, size_t why_len);

#endif
