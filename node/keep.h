/* Work on a store that no node runs on: rebuild, check, restore. */
#ifndef FM_NODE_KEEP_H
#define FM_NODE_KEEP_H

#include "node/config.h"
#include "node/identity.h"
#include "store/store.h"

struct fm_keep {
    struct fm_identity identity;
    struct fm_crypto crypto;
    struct fm_store *store;
};
/* Opens keys and the store in `dir` (NULL: the node's own). 0, FM_ENOTFOUND, FM_EBUSY, FM_ENEWER, FM_ECORRUPT, … */
int fm_keep_open(struct fm_keep *out, const struct fm_paths *paths, const char *dir);
int fm_keep_make(struct fm_keep *out, const struct fm_paths *paths, const char *dir); /* makes the store if there is none */
void fm_keep_close(struct fm_keep *k);
/* A core that reads and folds on this store, and never writes a set of its own. NULL: no memory. */
struct fm_repl *fm_keep_core(const struct fm_keep *k);
uint64_t fm_keep_wall_ms(void);

/* Empties every derived table and builds it again from the log, in steps that are committed; a note says that it is not
 * done yet, and opening the node goes on with it. progress counts sets. */
int fm_keep_reindex(const struct fm_keep *k, const struct fm_store_progress *progress);
/* Is there such a note? */
bool fm_keep_unfinished(struct fm_store *s);

/* Scrubs the store, then builds a scratch copy again from its log in scratch_dir and compares. v as in store.h. 0 even if
 * there are problems. Damaged pages can crash LMDB: call it in a child process. */
int fm_keep_verify(struct fm_keep *k, const struct fm_paths *paths, struct fm_store_verify *v);

/* The file in place of the store; the old store is moved to `aside` (its path is written there). The file is verified
 * first. The node goes on under a new incarnation. */
int fm_keep_restore(const struct fm_paths *paths, const char *file, char aside[FM_PATH_MAX]);

/* The store in the folder `fresh` (beside the node's) in place of the node's; that one is moved to a name with `word` in it,
 * written to aside ("": there was none). At every moment one of the two stands there. 0, FM_EIO: look what is there. */
int fm_keep_swap(const struct fm_paths *paths, const char *fresh, const char *word, char aside[FM_PATH_MAX]);
void fm_keep_remove(const char *dir); /* a store's files and its folder */

#endif
