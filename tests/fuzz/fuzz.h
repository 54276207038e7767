/* What every fuzz target shares: its one function, what it may allocate, a check that stays on. */
#ifndef FM_TESTS_FUZZ_H
#define FM_TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "replication/types.h"

/* A target's file defines this once: FUZZ_TARGET(per_byte, at_least) { … data, size … return 0; }
 * While it runs, never more than per_byte for each byte of the input and at_least besides may be allocated (entry.c). */
#define FUZZ_TARGET(bytes_per_byte, bytes_at_least)                                                                         \
    const struct fuzz_bound fuzz_bound = {.per_byte = (bytes_per_byte), .at_least = (bytes_at_least)};                      \
    int fuzz_one(const uint8_t *data, size_t size)

struct fuzz_bound {
    size_t per_byte, at_least;
};
extern const struct fuzz_bound fuzz_bound;
int fuzz_one(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* What is made once and kept for all inputs is not counted: call it around that. */
void fuzz_memory_pause(bool pause);

#define FUZZ_CHECK(what)                                                                                                    \
    do {                                                                                                                    \
        if (!(what)) {                                                                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                                              \
            abort();                                                                                                        \
        }                                                                                                                   \
    } while (0)

/* The buffer holds exactly these bytes; frees it. */
static inline void fuzz_same(struct fm_buf *again, struct fm_span bytes)
{
    FUZZ_CHECK(fm_span_eq(fm_buf_span(again), bytes));
    fm_buf_fini(again);
}

/* What is left of an input that a target reads piece by piece; at its end all is zeros. */
struct fuzz_in {
    const uint8_t *at;
    size_t left;
};
static inline struct fm_span fuzz_take(struct fuzz_in *in, size_t len)
{
    len = len < in->left ? len : in->left;
    struct fm_span out = fm_span(in->at, len);
    in->at += len;
    in->left -= len;
    return out;
}
static inline uint64_t fuzz_number(struct fuzz_in *in, size_t bytes)
{
    struct fm_span raw = fuzz_take(in, bytes);
    return raw.len == 0 ? 0 : fm_be_get(raw.data, raw.len);
}

#endif
