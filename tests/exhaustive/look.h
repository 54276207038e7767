/* A store against the model: sets, versions and heads, one by one. */
#ifndef FM_TESTS_EXHAUSTIVE_LOOK_H
#define FM_TESTS_EXHAUSTIVE_LOOK_H

#include "tests/exhaustive/world.h"

/* What the model says for some of the items. */
struct ex_model {
    uint8_t verdict[EX_ITEMS_MAX + 2];
    struct model_version version[EX_ITEMS_MAX]; /* in the order of the model */
};
/* held: a bit an item. */
void ex_model_fill(struct ex_model *out, struct ex_sets *s, int held);
/* Is this what the store shows? False: what differs is in why. */
bool ex_model_same(const struct ex_model *m, const struct ex_sets *s, int held, const struct fm_port *port, char why[400]);

#endif
