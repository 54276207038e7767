/* Vectors of the numbered rules (tests/vectors/rules/): what is submitted where by whom, and what must come of it.
 * tests/vectors/rules/README.md has their form. */
#ifndef FM_TESTS_RULE_CASES_H
#define FM_TESTS_RULE_CASES_H

#include <jansson.h>
#include <stdbool.h>

/* Runs one case on two fresh nodes: the world's batches, the case's setup, its batch; then compares. False: what differs
 * is in why. */
bool fm_rule_case_run(const json_t *world, const json_t *rule_case, char why[512]);
/* The same, each change in a turn of its own, which is tried with each of its reads and actions failing before it is played:
 * then the results must be what they are. thorough: the setup's turns and both nodes' next START too. *failures: how many
 * were tried. */
bool fm_rule_case_run_failing(const json_t *world, const json_t *rule_case, bool thorough, size_t *failures, char why[512]);

#endif
