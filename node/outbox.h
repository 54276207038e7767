/* Effects of a turn that wait for its commit: copies of the core's SEND, DROP and REPORT actions, in order. */
#ifndef FM_NODE_OUTBOX_H
#define FM_NODE_OUTBOX_H

#include "node/node.h"

/* A turn's effects stay below this: sessions pace themselves by credit, a result is one document. */
#define FM_OUTBOX_BYTES_MAX (256u * 1024u * 1024u)

struct fm_outbox;
struct fm_outbox *fm_outbox_new(void);
void fm_outbox_free(struct fm_outbox *o);
/* Copies one action that is not a row. 0, FM_ENOMEM. */
int fm_outbox_add(struct fm_outbox *o, const struct fm_action *action);
/* Empties it: error 0 lets all effects out; else results and takings are told the error and the rest is thrown away.
 * An effect may begin a new turn of the node. */
void fm_outbox_release(struct fm_outbox *o, const struct fm_effects *effects, int error);
/* What went wrong in the running turn; 0: nothing so far. */
int fm_outbox_error(const struct fm_outbox *o);
void fm_outbox_error_set(struct fm_outbox *o, int error);

#endif
