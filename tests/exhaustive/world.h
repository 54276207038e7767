/* A world as signed sets, and what they say as the model knows it. */
#ifndef FM_TESTS_EXHAUSTIVE_WORLD_H
#define FM_TESTS_EXHAUSTIVE_WORLD_H

#include "tests/exhaustive/exhaustive.h"
#include "tests/sim/model.h"
#include "tests/support/lab.h"

#define EX_CLOCKS 3
#define EX_KEY_NAME "key" /* of sealed worlds */

/* Devices, and the sets that all worlds begin with: the root's grant to the hub, the hub's to the camps and the observer. */
struct ex_mesh {
    struct fm_lab_device devices[EX_AUTHORS];
    struct fm_grant_id grants[EX_AUTHORS];
    struct fm_lab_set base[2];
};
void ex_mesh_init(struct ex_mesh *m, uint64_t round); /* m must not move; the round gives other keys, so other ids */
void ex_mesh_fini(struct ex_mesh *m);

struct ex_doc {
    uint8_t s, a, c;
};
struct ex_sets {
    const struct ex_mesh *mesh;
    const struct ex_world *world;
    int clock;
    struct fm_lab_set set[EX_ITEMS_MAX];
    struct fm_version_id version[EX_ITEMS_MAX];
    uint32_t number[EX_ITEMS_MAX];
    struct ex_doc doc[EX_ITEMS_MAX];
    int before[EX_ITEMS_MAX]; /* the item whose set this one's follows; -1: none, or a base set */
    struct model model;       /* its node 0 holds the base; sets 0 and 1 are the base, then the items */
};
/* clock 0: as written; 1: the clocks of A, B and the hub stand apart, the first ahead; 2: all write in one moment, and
 * a revocation names the grant, not the node. */
bool ex_sets_hang_on(const struct ex_world *w, int clock); /* false: with this clock all comes out as with clock 0 */
void ex_sets_init(struct ex_sets *s, const struct ex_mesh *m, const struct ex_world *w, int clock);
void ex_sets_fini(struct ex_sets *s);

#endif
