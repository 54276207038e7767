/* Inside of the fold (fold.c, conflict.c): the record as a graph of small numbers. Included by these two only. */
#ifndef FM_REPLICATION_FOLDING_H
#define FM_REPLICATION_FOLDING_H

#include "replication/fold.h"

#define FM_FOLD_NONE UINT32_MAX

struct fm_fold_node {
    uint32_t parents_at;    /* in fm_folding.parents */
    uint32_t parent_count;  /* 0 too if the version is void by itself */
    uint32_t cursor;        /* while sorting */
    uint32_t region;        /* ancestors of the winner: what on its line first brought them in */
    uint32_t below;         /* others: the first open head that descends from it */
    uint32_t base;          /* first common ancestor with what it is compared with; FM_FOLD_NONE: none */
    uint8_t color;          /* while sorting */
    bool undone, decision;
    bool covered;           /* a counted version descends from it */
    bool on_line;           /* the winner's first-parent line */
    bool has_document;
    struct fm_span document;
};
struct fm_folding {
    struct fm_version *versions;
    uint32_t count;
    const struct fm_fold_port *port;
    struct fm_arena *arena;
    struct fm_version **by_id;
    struct fm_fold_node *nodes;
    uint32_t *parents;      /* of all nodes: numbers of versions, FM_FOLD_NONE: of no version of this record */
    uint32_t *sorted;       /* parents first */
    uint32_t sorted_count;
    uint32_t *stack;
    struct fm_version **order;
    uint32_t order_count;
};

/* The parents that are ancestors: those after the first only while the change is a counted decision. */
static inline uint32_t fm_folding_up(const struct fm_fold_node *n)
{
    return n->decision || n->parent_count == 0 ? n->parent_count : 1;
}
/* The key order, whether counted or not. */
int fm_folding_cmp(const struct fm_version *a, const struct fm_version *b);
/* conflict.c: places, classes and `by` of all counted versions; needs order, covered, decision. 0 or an error. */
int fm_conflict_place(struct fm_folding *f);

#endif
