/* The fold of one record: from all its held versions to their states (DESIGN.md section 4, model/order.py). Pure. */
#ifndef FM_REPLICATION_FOLD_H
#define FM_REPLICATION_FOLD_H

#include "replication/row.h"

/* What the fold asks about things outside the record. 0 or an environment error. */
struct fm_fold_port {
    void *ctx;
    uint8_t kind_last; /* kinds above are unknown; 0: FM_KIND_LAST */
    /* A parent that is no version of this record: FM_WAITING if it is held nowhere, or is itself waiting or unknown;
     * FM_STATUS_VOID if it is a version of another record (void or a stranger: the child is void either way). */
    int (*stranger)(void *ctx, const struct fm_version_id *parent, uint8_t *status);
    /* Its document, borrowed until the end of the fold. */
    int (*document)(void *ctx, const struct fm_version *v, struct fm_span *document);
};

/* versions: all held versions of one record, with the fields of row.h above "found by the fold" filled; any order.
 * Fills the rest of each. order: the counted versions, first key first (pointers into versions; arena). Documents are
 * asked for only where a class has to be found. 0, FM_ENOMEM, or what the port returned. */
int fm_fold(struct fm_version *versions, size_t count, const struct fm_fold_port *port, struct fm_arena *arena,
            struct fm_version ***order, size_t *order_count);

/* A version's place in the record's key order (section 4 "Order"): below 0, 0, above 0. Uncounted ones are last. */
int fm_version_cmp(const struct fm_version *a, const struct fm_version *b);
/* The first in key order of the common ancestors of two valid ones of these versions, after fm_fold has filled all; NULL:
 * they have none. 0 or FM_ENOMEM. */
int fm_fold_base(struct fm_version *versions, size_t count, const struct fm_version *a, const struct fm_version *b,
                 struct fm_arena *arena, struct fm_version **base);

#endif
