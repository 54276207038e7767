/* How a seed is run: in a process of its own, so that an assertion is an outcome like any other. */
#ifndef FM_TESTS_SIM_RUN_H
#define FM_TESTS_SIM_RUN_H

#include "tests/sim/sim.h"

/* keep: which of the plan's events happen; NULL: all. s is zeroed before, and freed with sim_mesh_end after. */
void sim_run(struct sim *s, const struct sim_plan *plan, uint64_t seed, const bool *keep);

#endif
