/* Vectors of the numbered rules (tests/vectors/rules/): what is submitted where by whom, and what must come of it.
 * tests/vectors/rules/README.md has their form. */
#ifndef FM_TESTS_RULE_CASES_H
#define FM_TESTS_RULE_CASES_H

#include <jansson.h>
#include <stdbool.h>

/* Runs one case on two fresh nodes: the world's batches, the case's setup, its batch; then compares. False: what differs
 * is in why. */
bool fm_rule_case_run(const json_t *world, const json_t *rule_case, char why[512]);

#endif
