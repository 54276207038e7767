/* One msgpack token: a scalar, a string's bytes, or the head of an array or map. The lowest layer of walk.c and doc.c.
 * It knows the whole of msgpack (so that what is not ours can be stepped over) and no profile. */
#ifndef FM_REPLICATION_TOKEN_H
#define FM_REPLICATION_TOKEN_H

#include "replication/types.h"

enum fm_token_type {
    FM_TOKEN_NIL, FM_TOKEN_BOOL, FM_TOKEN_UINT, FM_TOKEN_NEGATIVE, FM_TOKEN_FLOAT32, FM_TOKEN_FLOAT64,
    FM_TOKEN_STR, FM_TOKEN_BIN, FM_TOKEN_EXT, FM_TOKEN_ARRAY, FM_TOKEN_MAP
};
struct fm_token {
    enum fm_token_type type;
    bool minimal;        /* in the shortest form its value has */
    uint64_t number;     /* bool, integer (negative: as int64 bits), float bits, or count of items or entries */
    struct fm_span text; /* str, bin, ext: the bytes; borrowed */
    size_t len;          /* of the token, text included */
};

/* Reads the token at the front. 0, or FM_EFORMAT: cut off, the byte 0xc1, or a count that the bytes behind it cannot hold
 * (an array item takes a byte at least, a map entry two: TRAPS K1). */
int fm_token_read(struct fm_token *out, struct fm_span in);
/* Tokens that follow as part of this one. */
static inline uint64_t fm_token_children(const struct fm_token *t)
{
    return t->type == FM_TOKEN_ARRAY ? t->number : t->type == FM_TOKEN_MAP ? t->number * 2 : 0;
}
/* Text by its bytes, the order of keys; one that is the beginning of another stands before it. */
int fm_token_text_cmp(struct fm_span a, struct fm_span b);

/* The next two are for checked bytes (fm_doc_check): the token and the length of the whole value at the front. */
struct fm_token fm_token_of(struct fm_span packed);
size_t fm_token_value_len(struct fm_span packed);

#endif
