/* Any bytes as a compressed body of a claimed size (the first four bytes), and as a body to compress. What opens has the
 * claimed size to the byte; nothing is ever allocated for more; what we compress opens again. */
#include "node/compress.h"
#include "replication/bounds.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(8, FM_BODY_BYTES_MAX + 65536)
{
    static struct fm_crypto c;
    struct fuzz_in in = {data, size};
    struct fm_buf plain, packed;
    size_t claimed = (size_t)fuzz_number(&in, 4);
    struct fm_span bytes = fm_span(in.at, in.left);

    fuzz_memory_pause(true);
    if (c.compress == NULL) { /* the contexts stay */
        fm_compress_port(&c);
        fm_buf_init(&plain, 0);
        fm_buf_init(&packed, 0);
        FUZZ_CHECK(c.compress(NULL, &packed, fm_span("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 48)) == FM_OK);
        FUZZ_CHECK(c.decompress(NULL, &plain, fm_buf_span(&packed), 48) == FM_OK);
        fm_buf_fini(&plain);
        fm_buf_fini(&packed);
    }
    fuzz_memory_pause(false);
    fm_buf_init(&plain, 0);
    fm_buf_init(&packed, 0);
    int rc = c.decompress(NULL, &plain, bytes, claimed);
    FUZZ_CHECK(rc == FM_OK || rc == FM_EFORMAT);
    FUZZ_CHECK(plain.len == (rc == FM_OK ? claimed : 0) && plain.len <= FM_BODY_BYTES_MAX);
    plain.len = 0;
    if (c.compress(NULL, &packed, bytes) == FM_OK) {
        FUZZ_CHECK(packed.len < bytes.len);
        FUZZ_CHECK(c.decompress(NULL, &plain, fm_buf_span(&packed), bytes.len) == FM_OK);
        FUZZ_CHECK(fm_span_eq(fm_buf_span(&plain), bytes));
    } else {
        FUZZ_CHECK(packed.len == 0);
    }
    fm_buf_fini(&plain);
    fm_buf_fini(&packed);
    return 0;
}
