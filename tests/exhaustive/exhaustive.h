/* Exhaustive small worlds: every way in which two camps, a coordinator and the root can write up to four items about two
 * records, each in every order of delivery, through the real core on a memory store.
 *
 * An item is one set with one change or act in it. Worlds that differ only in the names of camps or records, or in which
 * of two items that know nothing of each other was written first, are the same world: plan.c keeps the first of them. Who
 * wrote first is a matter of clocks then, so each world is played with several (world.c). */
#ifndef FM_TESTS_EXHAUSTIVE_H
#define FM_TESTS_EXHAUSTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EX_ITEMS 4     /* of the worlds that are all played */
#define EX_ITEMS_MAX 7 /* of a world */

enum ex_author { EX_A, EX_B, EX_HUB, EX_ROOT, EX_OBSERVER, EX_AUTHORS };
/* The first four are the actions of a change. */
enum ex_kind { EX_CREATE = 1, EX_UPDATE, EX_DELETE, EX_UNDO, EX_REVOKE, EX_ADOPT, EX_KEY /* the observer's data key */ };

struct ex_item {
    uint8_t kind, author, record;
    bool fork;                             /* its set stands beside the author's last one */
    uint8_t parents, parent[EX_ITEMS_MAX]; /* items; several: a decision, if the hub's */
    uint8_t target;                        /* revoke: an author; adopt: an item */
    uint8_t cut[2]; /* revoke, a lane: the target's last sequence inside; 0: its stream is not named */
};
struct ex_world {
    int count;
    bool sealed; /* changes are, under a key that comes with EX_KEY */
    struct ex_item item[EX_ITEMS_MAX];
};

/* Calls each for every world of so many items, in a fixed order. */
void ex_plan(int items, void (*each)(void *ctx, const struct ex_world *w), void *ctx);
/* The lane an item's set is written in, and its number there (the grants are the first set of lane 0). */
int ex_lane(const struct ex_item *item);
int ex_sequence(const struct ex_world *w, int item);
/* The last item before `before` whose set has this sequence; -1: none. */
int ex_item_at(const struct ex_world *w, int author, int lane, int sequence, int before);
/* "A create 1; B update 1 of 0; hub revoke A 0,1" */
void ex_text(const struct ex_world *w, char *out, size_t size);

#endif
