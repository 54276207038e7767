/* Two nodes' committed stores meet in a session, and one call of one side fails: a read, a row, a message, a report, a piece
 * of memory (faults.h). The step passes the error up, the node starts again from its last commit, and the session that
 * follows ends with both at the digests of a session without failure. */
#ifndef FM_TESTS_MEETING_H
#define FM_TESTS_MEETING_H

#include "tests/support/lab.h"

/* Tries each call of either side in turn, in sessions of their own; the number of failures. Asserts what is said above. */
uint64_t fm_meeting_try(const struct fm_lab_node *a, const struct fm_lab_node *b);

#endif
