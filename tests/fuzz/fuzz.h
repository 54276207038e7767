/* What every fuzz target shares: a check that stays on, and comparing what was encoded again with what came in. */
#ifndef FM_TESTS_FUZZ_H
#define FM_TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "replication/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(what)                                                        \
    do {                                                                        \
        if (!(what)) {                                                          \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);  \
            abort();                                                            \
        }                                                                       \
    } while (0)

/* The buffer holds exactly these bytes; frees it. */
static inline void fuzz_same(struct fm_buf *again, struct fm_span bytes)
{
    FUZZ_CHECK(fm_span_eq(fm_buf_span(again), bytes));
    fm_buf_fini(again);
}

#endif
