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
void fm_keep_close(struct fm_keep *k);

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

#endif
