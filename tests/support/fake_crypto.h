/* A crypto port for tests: deterministic, fast, and worth nothing as protection. Hashes differ where inputs differ (well
 * enough for tests), signatures hang on author and id, sealed bytes on key, nonce, text and binding. */
#ifndef FM_TESTS_FAKE_CRYPTO_H
#define FM_TESTS_FAKE_CRYPTO_H

#include "replication/ports.h"

/* Who signs and unboxes: point ctx of the port at one. A NULL ctx is the device of all zeros. */
struct fm_fake_device {
    struct fm_key author, box;
};

/* compress is NULL: sets are carried plain unless a test plugs fm_fake_compress in. */
struct fm_crypto fm_fake_crypto(void);
struct fm_crypto fm_fake_crypto_of(struct fm_fake_device *device); /* borrowed */

/* Run lengths: pairs of (count 1..255, byte). FM_ELIMIT if it would not get smaller. */
int fm_fake_compress(void *ctx, struct fm_buf *out, struct fm_span plain);

#endif
