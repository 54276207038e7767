/* A copy of the last grant file beside the keys: a node whose store was wiped knows its mesh again, and peers refill it. */
#ifndef FM_NODE_REFILL_H
#define FM_NODE_REFILL_H

#include "node/node.h"

/* Keeps all membership sets now held, as a grant file. Best effort for the caller: 0 or FM_EIO, FM_ENOMEM, FM_ESTORE … */
int fm_refill_save(struct fm_node *n);
/* If the store holds no set at all, takes in the kept ones in a turn of its own. 0 or a turn's error. */
int fm_refill_take(struct fm_node *n);

#endif
