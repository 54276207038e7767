/* Delivery of a world's sets to a core, in every order, against the model. */
#ifndef FM_TESTS_EXHAUSTIVE_DELIVER_H
#define FM_TESTS_EXHAUSTIVE_DELIVER_H

#include "tests/exhaustive/world.h"

/* What was seen, over all worlds: a run that meets only harmless things proves nothing. */
struct ex_seen {
    uint64_t worlds, orders, steps, restarts, refused, states;
    uint64_t place[6], status[5], verdict[4], settled_by, judged_again;
};
enum ex_share { EX_CRASHES = 1, EX_HOME = 2, EX_ONE_TURN = 4 };

/* The store of a receiver that holds the base; home: the receiver is A itself, on a disk that was lost. */
struct fm_memory *ex_receiver(const struct ex_mesh *m, bool home);
/* All orders of the sets, each set in a turn of its own. share: EX_ONE_TURN, also all in one turn; EX_CRASHES, also with one
 * or two restarts at every point; EX_HOME, to A itself. False: what differs is in why. */
bool ex_deliver(struct ex_sets *s, const struct fm_memory *base, int share, struct ex_seen *seen, char why[400]);

#endif
