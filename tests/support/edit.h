/* Changes valid input in one place, at the level of its fields: a msgpack value with one of its values changed, or a change
 * set with one field of its header or body changed and signed again, so that it gets further than random bytes would. */
#ifndef FM_TESTS_EDIT_H
#define FM_TESTS_EDIT_H

#include "replication/ports.h"

struct fm_edit {
    uint32_t target;     /* which value: counted from 0, depth first */
    uint8_t what;        /* how: what it means hangs on the value's type */
    uint64_t value;      /* for numbers, lengths and places */
    struct fm_span text; /* put in the place of a text or of bytes */
};

/* Appends the value at the front of `in` with the edit; false if it is no msgpack (then nothing is appended). A binary that
 * is a set is edited as one and signed anew where `what` has its highest bit. */
bool fm_edit_value(struct fm_buf *out, struct fm_span in, const struct fm_edit *e, const struct fm_mesh_id *mesh);
/* Appends the set with the edit, signed by its author (fake_crypto.h); false if it is none. */
bool fm_edit_set(struct fm_buf *out, struct fm_span set, const struct fm_edit *e, const struct fm_mesh_id *mesh);

#endif
