/* Finds change sets and statements in the bytes of any file, above all of a store that is damaged. They prove themselves: a
 * set holds its body's hash and a signature over both, so that LMDB's pages, which do neither, need not be believed or even
 * read. A value of LMDB's lies in one piece; old pages hold older copies, which are as good. */
#ifndef FM_NODE_CARVE_H
#define FM_NODE_CARVE_H

#include "replication/set.h"
#include "store/store.h"

#define FM_CARVE_FILES 2u

struct fm_carved {
    uint64_t offset;
    uint32_t len;
    uint8_t file;
    bool statement; /* the rest is of sets */
    bool whole;     /* the body is what the header says */
    bool has_prev;
    struct fm_stream stream;
    uint64_t sequence, time;
    struct fm_set_id id, prev;
};
struct fm_carve {
    const struct fm_crypto *crypto; /* borrowed */
    struct fm_mesh_id mesh;
    int fds[FM_CARVE_FILES];
    size_t fd_count;
    struct fm_carved *at; /* owned */
    size_t count, cap;
    uint64_t damaged; /* sets that were found, none of them whole */
};
void fm_carve_init(struct fm_carve *c, const struct fm_crypto *crypto, const struct fm_mesh_id *mesh);
void fm_carve_fini(struct fm_carve *c);
/* Reads a file to its end; parts that the disk does not give are passed over. progress counts bytes. 0, FM_ENOTFOUND,
 * FM_ENOMEM, FM_EIO (not one byte of it could be read). */
int fm_carve_file(struct fm_carve *c, const char *file, const struct fm_store_progress *progress);
/* When all files are read: each set stays once, in the order in which they were written, as their authors' clocks say. Own
 * sets that a turn wrote and never committed may lie there beside those that took their place: `self`'s are told apart. */
void fm_carve_order(struct fm_carve *c, const struct fm_key *self);
/* Appends its bytes. 0, FM_EIO, FM_ENOMEM. */
int fm_carve_read(const struct fm_carve *c, const struct fm_carved *one, struct fm_buf *out);

#endif
