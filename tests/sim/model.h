/* The reference model: what a node that holds some sets must show, from arrays and linear search alone. It shares no code
 * and no type with replication/; what a set says is told to it field by field (tests/sim/look.c). */
#ifndef FM_TESTS_SIM_MODEL_H
#define FM_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NODES 40
#define MODEL_PARENTS 64
#define MODEL_HOLDERS 16
#define MODEL_CUTS 32

enum { MODEL_COUNTED = 1, MODEL_QUARANTINED, MODEL_VOID };               /* a set */
enum { MODEL_VALID = 1, MODEL_FAULT, MODEL_WAITING, MODEL_UNKNOWN };     /* a version */
enum { MODEL_NOWHERE, MODEL_WINNER, MODEL_LINE, MODEL_OPEN, MODEL_REPLACED, MODEL_SETTLED };
enum { MODEL_ROOT = 1, MODEL_COORDINATOR = 2 };                          /* roles; others are ordinary */

struct model_set {
    uint8_t id[32], prev[32], grant[32], author[32];
    uint64_t incarnation, sequence, epoch, time, check; /* check: of all its bytes */
    uint8_t lane;
    bool has_prev, bad_body;
    int prev_at, verdict; /* found; verdict of the node asked about, 0: not held */
};
struct model_grant {
    int set;
    uint8_t id[32], author[32], role;
    uint64_t first, last;
};
struct model_revoke {
    int set, cuts;
    bool by_grant;
    uint8_t who[32];
    struct { uint64_t incarnation, sequence; uint8_t lane, set[32]; } cut[MODEL_CUTS];
};
struct model_adopt {
    int set;
    uint8_t id[32];
};
struct model_version {
    uint8_t id[24], record[16], kind, action;
    uint32_t number;
    uint64_t time, content; /* content: equal if the documents are, for rule "same" */
    bool tombstone, fault;  /* fault: void by what it is alone */
    int parents, parent_at[MODEL_PARENTS], sets, set[MODEL_HOLDERS];
    uint8_t parent[MODEL_PARENTS][24];
    /* found, for the node asked about: */
    int status, settlement, place;
    bool held, counted, decision, undone, covered, line, mark, above, some, open;
};
struct model {
    struct model_set *sets;
    struct model_grant *grants;
    struct model_revoke *revokes;
    struct model_adopt *adopts;
    struct model_version *versions;
    int set_count, grant_count, revoke_count, adopt_count, version_count;
    uint8_t *held[MODEL_NODES]; /* a byte a set */
    uint8_t more[MODEL_NODES];  /* so many more kinds than 7 are known there */
    int sets_cap, grants_cap, revokes_cap, adopts_cap, versions_cap;
};

void model_free(struct model *m);
/* Each returns the place of the added thing; a version that is there gets one more holder. */
int model_add_set(struct model *m, const struct model_set *s);
int model_add_grant(struct model *m, const struct model_grant *g);
int model_add_revoke(struct model *m, const struct model_revoke *r);
int model_add_adopt(struct model *m, const struct model_adopt *a);
int model_add_version(struct model *m, const struct model_version *v, int set);
int model_find_set(const struct model *m, const uint8_t id[32]);      /* -1: none */
int model_find_version(const struct model *m, const uint8_t id[24]);
/* Fills every set's verdict and every version's place for what this node holds. */
void model_fold(struct model *m, int node);

#endif
