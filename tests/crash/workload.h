/* What a node does with its store, turn by turn: a function of the seed, of the turn's number and of what the store holds,
 * so that a turn that a power cut took away can be done again and must end in the very same rows. */
#ifndef FM_TESTS_CRASH_WORKLOAD_H
#define FM_TESTS_CRASH_WORKLOAD_H

#include "store/store.h"
#include "tests/crash/record.h"
#include "tests/support/random_world.h"

#define CRASH_TURNS_MAX 160

/* A store after a turn. */
struct crash_after {
    uint64_t rows; /* a hash of every row of every table */
    struct fm_digest sets, state;
};
struct crash_turn {
    enum { CRASH_TAKE, CRASH_WRITE_OWN, CRASH_STATEMENT } kind;
    size_t first, count; /* TAKE: places in `order` */
};
struct crash_workload {
    char dir[300]; /* of its store; the folder above is there */
    struct fm_random_world world;
    const struct fm_crypto *crypto;
    size_t order[2 * FM_RANDOM_SETS_MAX];
    size_t turn_count;
    struct crash_turn turns[CRASH_TURNS_MAX];
    struct crash_after after[CRASH_TURNS_MAX + 1]; /* after[0]: of a store that was just made; after[n]: after turn n - 1 */
    struct crash_ops ops;
    struct fm_store_counts counts; /* at the end */
};
/* Plays it once and records it; one turn more than is in ops, to compare the last state's next turn with. parent: a folder.
 */
void crash_workload_init(struct crash_workload *w, const char *parent, uint64_t seed);
void crash_workload_fini(struct crash_workload *w);

/* Opens the store as it lies in w->dir after a power cut. `acknowledged` turns must be there, the next one may be; then one
 * more turn must go as it went. made: a store was acknowledged at all. deep: also scrubs and opens it once more. */
bool crash_workload_check(struct crash_workload *w, size_t acknowledged, bool made, bool deep, char why[256]);

#endif
