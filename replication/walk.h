/* The bounded canonical msgpack reader: the one door for every byte from outside.
 *
 * It reads borrowed bytes, never allocates, and knows two profiles (TRAPS K2). Envelope: fixed arrays, minimal
 * integers, bin, str, bool; no floats, ext, nil, maps. Document: a map with unique UTF-8 string keys sorted by bytes at
 * every level, minimal integers in -2^63..2^63-1, float64 only for values that are no integer of that range (no NaN, no
 * infinity, -0 is 0), bool, str, nil, array, map; FM_DEPTH_MAX, FM_MAP_ENTRIES_MAX, FM_ARRAY_ITEMS_MAX, FM_NODES_MAX,
 * FM_STRING_BYTES_MAX, FM_KEY_BYTES_MAX, no NUL in strings. Every count is bounded by the bytes that are left.
 * Each function returns 0, FM_EFORMAT or FM_ELIMIT; after an error the walker stays where it was. */
#ifndef FM_REPLICATION_WALK_H
#define FM_REPLICATION_WALK_H

#include "replication/types.h"

struct fm_walk {
    const uint8_t *at, *end;
    uint32_t nodes_left;
};

void fm_walk_init(struct fm_walk *w, struct fm_span bytes, uint32_t nodes_max);
int fm_walk_array(struct fm_walk *w, uint32_t *count);                 /* any count that fits the bytes left */
int fm_walk_array_of(struct fm_walk *w, uint32_t count);               /* exactly this many */
int fm_walk_uint(struct fm_walk *w, uint64_t *out, uint64_t max);      /* above max: FM_ELIMIT */
int fm_walk_bool(struct fm_walk *w, bool *out);
int fm_walk_bin(struct fm_walk *w, struct fm_span *out, size_t max);   /* borrowed */
int fm_walk_bin_of(struct fm_walk *w, uint8_t *out, size_t len);       /* exactly len bytes, copied */
int fm_walk_str(struct fm_walk *w, struct fm_span *out, size_t max);   /* valid UTF-8, no NUL; borrowed */
int fm_walk_document(struct fm_walk *w, struct fm_span *out);          /* one map of the document profile; borrowed */
int fm_walk_end(const struct fm_walk *w);                              /* FM_EFORMAT if bytes are left */

/* One value of the document profile at the walker (any type), skipped and handed out. For doc.c and json. */
int fm_walk_value(struct fm_walk *w, struct fm_span *out);
/* Any one well-formed msgpack value, canonical or not, stepped over within the node budget. For what is judged later. */
int fm_walk_skip(struct fm_walk *w, struct fm_span *out);

#endif
