/* Two nodes of one mesh, a coordinator and a camp, each a core on a store in memory; sets are handed over as files. */
#ifndef FM_TESTS_DUO_H
#define FM_TESTS_DUO_H

#include "replication/core.h"
#include "tests/support/fake_crypto.h"
#include "tests/support/memory.h"

struct fm_duo_node {
    struct fm_fake_device device;
    struct fm_crypto crypto;
    struct fm_self self;
    struct fm_memory *store;
    struct fm_repl *repl;
    struct fm_sink sink;
    struct fm_result result;   /* of the last submission or resolution; its spans are copies in `kept` */
    unsigned results;          /* how many were reported by the last step */
    int taken;                 /* what the last FM_REPORT_TAKEN said */
    struct fm_arena kept;
};
enum { FM_DUO_COORDINATOR = 0, FM_DUO_CAMP = 1 };
struct fm_duo {
    struct fm_fake_device root;
    struct fm_duo_node node[2];
    uint64_t now_ms, steps;
    bool faulty;               /* a turn's first event is first tried with each of its calls failing (faults.h) */
    bool turn_open[2];
    size_t failures;           /* tried so far */
    char fault[200];           /* what was wrong with one of them */
};

/* 2026-11-01T08:00:00.000Z; each step takes a second of it. */
#define FM_DUO_START_MS UINT64_C(1793520000000)

void fm_duo_init(struct fm_duo *d); /* d must not move afterwards */
void fm_duo_fini(struct fm_duo *d);
/* The same two once more, between turns, on copies of their stores and with cores that start anew. */
void fm_duo_copy(struct fm_duo *to, const struct fm_duo *from);
/* One step; asserts that the core reports no error of the environment. */
void fm_duo_step(struct fm_duo *d, int at, struct fm_event *event);
void fm_duo_turn_end(struct fm_duo *d, int at);
void fm_duo_restart(struct fm_duo *d, int at); /* a new core on the store, between turns */
/* All sets of each node to the other, in the order each took them in. */
void fm_duo_hand_over(struct fm_duo *d);

#endif
