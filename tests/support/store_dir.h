/* A folder of its own for each test's store, and the file in it, byte by byte. */
#ifndef FM_TESTS_STORE_DIR_H
#define FM_TESTS_STORE_DIR_H

#include "store/store.h"

struct fm_store_dir {
    char path[256], data[300]; /* the folder; its data.mdb */
    struct fm_crypto crypto;
    struct fm_mesh_id mesh;
};
void fm_store_dir_make(struct fm_store_dir *d); /* under $TMPDIR or /tmp; crypto is the real one */
void fm_store_dir_remove(struct fm_store_dir *d);
int fm_store_dir_open(struct fm_store_dir *d, struct fm_store **out, bool create, size_t map_bytes);
/* Flips one bit in every place of the data file that holds these bytes, `at` bytes into them; how many there were. */
size_t fm_store_dir_damage(struct fm_store_dir *d, const void *bytes, size_t len, size_t at);

#endif
