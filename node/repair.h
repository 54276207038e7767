/* A damaged store made good: a new one is built beside it from every change set that its bytes still hold (carve.h), by the
 * same door as sets from outside, and takes its place. The damaged one is kept. What is missing is missing from the new
 * store's claims too, so peers send it again; what waits for it lies in DIR/waiting.sets meanwhile. */
#ifndef FM_NODE_REPAIR_H
#define FM_NODE_REPAIR_H

#include "node/node.h"

struct fm_repair {
    uint64_t sets, waiting, lost; /* in the new store; kept until a set before them is there; not found */
    char aside[FM_PATH_MAX];      /* where the damaged store lies now; "": it was not moved */
};
/* No node may run. sets_known: how many sets the damaged store says it has (0: it says nothing). LMDB never reads the
 * damaged file. 0; FM_EBUSY; FM_ENOTFOUND (no node, or not one set is left in the file: nothing was changed), FM_EDISKFULL,
 * FM_EIO, FM_ECORRUPT (the new store is not sound either: the disk), FM_ENOMEM, FM_EKEY: nothing was changed. */
int fm_repair_store(struct fm_repair *out, const struct fm_paths *paths, uint64_t sets_known,
                    const struct fm_store_progress *progress);
/* At a node's opening: takes in the sets that wait, if what they wait for came. 0 or a turn's error. */
int fm_repair_resume(struct fm_node *n);

#endif
