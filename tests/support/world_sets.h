/* A world of the model as real, signed change sets, with a crypto port whose version ids come in the world's order. */
#ifndef FM_TESTS_WORLD_SETS_H
#define FM_TESTS_WORLD_SETS_H

#include "replication/core.h"
#include "tests/support/worlds.h"

#define FM_WORLD_SETS_MAX 64
#define FM_WORLD_VERSIONS_MAX 128

struct fm_world_sets {
    const json_t *json;
    json_t *ranks;
    struct fm_crypto crypto; /* for the core; ctx is this struct */
    struct fm_mesh_id mesh;
    size_t count;
    struct {
        const char *name;
        struct fm_set_id id;
        struct fm_buf bytes;
        uint8_t verdict;     /* as the model has it; 0: refused */
    } sets[FM_WORLD_SETS_MAX];
    size_t version_count;    /* what the plain hash says -> the id in the world's order */
    struct {
        struct fm_version_id plain, id;
    } versions[FM_WORLD_VERSIONS_MAX];
};

/* json is borrowed. w must not move afterwards. */
void fm_world_sets_init(struct fm_world_sets *w, const json_t *json);
void fm_world_sets_fini(struct fm_world_sets *w);
void fm_world_author(struct fm_key *out, const char *name); /* "ROOT", "C1", "A" … */

/* Where sets are fed to: the memory store, LMDB. Each function returns 0 or an error. */
struct fm_world_store {
    void *ctx;
    const struct fm_port *port;
    int (*begin)(void *ctx);
    int (*apply)(void *ctx, const struct fm_row *row);
    int (*commit)(void *ctx);
    int (*reopen)(void *ctx); /* before each restart: *port may become another one; NULL: nothing to do */
};
/* Feeds all sets to a fresh core on this empty store: seed 0 in file order, else shuffled by it; what does not follow is
 * fed again. restart: a new core is started on the store after each so many sets; 0: never. Then compares everything with
 * the model. digests: sets, state. False: they differ; what is in why. */
bool fm_world_run(const struct fm_world_sets *w, const struct fm_world_store *store, uint64_t seed, size_t restart,
                  struct fm_digest digests[2], char why[256]);
/* Compares what a store holds with the model. */
bool fm_world_check(const struct fm_world_sets *w, const struct fm_port *port, char why[256]);
/* Rebuilds the derived rows of a store whose derived tables were emptied, and gives the digests. */
bool fm_world_reindex(const struct fm_world_sets *w, const struct fm_world_store *store, struct fm_digest digests[2],
                      char why[256]);

#endif
