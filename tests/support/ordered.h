/* An ordered map from bytes to bytes in memory (a skip list), for the memory store: what LMDB is to the real one. */
#ifndef FM_TESTS_ORDERED_H
#define FM_TESTS_ORDERED_H

#include "replication/types.h"

struct fm_ordered_entry {
    struct fm_span key, value; /* borrowed until the entry is replaced or removed */
};
struct fm_ordered;

struct fm_ordered *fm_ordered_new(void); /* NULL: no memory */
void fm_ordered_free(struct fm_ordered *o);
void fm_ordered_clear(struct fm_ordered *o);
size_t fm_ordered_count(const struct fm_ordered *o);
int fm_ordered_put(struct fm_ordered *o, struct fm_span key, struct fm_span value); /* 0, FM_ENOMEM; copies, replaces */
bool fm_ordered_remove(struct fm_ordered *o, struct fm_span key);
bool fm_ordered_get(const struct fm_ordered *o, struct fm_span key, struct fm_span *value);
/* The first entry whose key is not below (or, with `above`, is above) the given one. */
bool fm_ordered_seek(const struct fm_ordered *o, struct fm_span key, bool above, struct fm_ordered_entry *out);
bool fm_ordered_last(const struct fm_ordered *o, struct fm_ordered_entry *out);
int fm_ordered_copy(struct fm_ordered *to, const struct fm_ordered *from); /* to is empty; 0, FM_ENOMEM */

#endif
