/* Where each version of a record must stand, found again from definitions, slowly (DESIGN.md section 4): the tests' own
 * word on the invariant that a counted version is exactly one of winner, on its line, open, replaced, settled. */
#ifndef FM_TESTS_PLACES_H
#define FM_TESTS_PLACES_H

#include "replication/row.h"

struct fm_places {
    uint64_t counted, place[FM_PLACE_SETTLED + 1], cls[FM_CLASS_DELETE + 1], waiting, is_void, unknown, quarantined;
};
/* Reads a record's versions and head from the store and compares; what was found is added to *sum. False: why. */
bool fm_places_check(const struct fm_port *port, const struct fm_record_ref *ref, struct fm_places *sum, char why[256]);

#endif
