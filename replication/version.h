/* What a change in a set says, as a version row: everything but what the fold finds. */
#ifndef FM_REPLICATION_VERSION_H
#define FM_REPLICATION_VERSION_H

#include "replication/ports.h"
#include "replication/row.h"

/* The version that `item`, at this index of the set, is; its one holder is the set. Its parents are copied to `parents`
 * and out points there. False: its record cannot even be told, so there is no version. */
bool fm_version_of(struct fm_version *out, struct fm_version_id parents[FM_PARENTS_MAX], const struct fm_crypto *c,
                   const struct fm_set_meta *meta, uint32_t index, struct fm_span item, const struct fm_version_id *id);
/* May a change of this form be made under this role? (rule 55, model `allowed`) */
bool fm_version_allowed(uint8_t kind, uint8_t action, uint32_t parent_count, uint8_t role);

#endif
