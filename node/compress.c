/* zstd. Whether a body opens enters a verdict, so what is accepted is narrower than what the library takes: exactly one
 * standard frame whose header names the size. Neither the build's legacy formats, nor its memory, may change the answer. */
#include "node/compress.h"

#include <assert.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "replication/bounds.h"
#include "replication/error.h"

#define LEVEL 3

/* Made on first use, kept for the process; the core process has one thread. */
static ZSTD_CCtx *packer;
static ZSTD_DCtx *unpacker;

static int compress(void *ctx, struct fm_buf *out, struct fm_span plain)
{
    (void)ctx;
    if (plain.len < 2)
        return FM_ELIMIT; /* cannot get smaller */
    if (packer == NULL && (packer = ZSTD_createCCtx()) == NULL)
        return FM_ENOMEM;
    int rc = fm_buf_reserve(out, plain.len - 1);
    if (rc != FM_OK)
        return rc;
    size_t n = ZSTD_compressCCtx(packer, out->data + out->len, plain.len - 1, plain.data, plain.len, LEVEL);
    if (ZSTD_isError(n))
        return ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall ? FM_ELIMIT : FM_ENOMEM;
    out->len += n;
    return FM_OK;
}

static int decompress(void *ctx, struct fm_buf *out, struct fm_span packed, size_t size)
{
    (void)ctx;
    /* All checks stand before the first byte is allocated (law 6). */
    if (size == 0 || size > FM_BODY_BYTES_MAX || packed.len < 4)
        return FM_EFORMAT;
    static const uint8_t magic[4] = {0x28, 0xb5, 0x2f, 0xfd}; /* no skippable frame, no legacy format */
    if (memcmp(packed.data, magic, sizeof magic) != 0 || ZSTD_getFrameContentSize(packed.data, packed.len) != size
        || ZSTD_findFrameCompressedSize(packed.data, packed.len) != packed.len)
        return FM_EFORMAT;
    if (unpacker == NULL && (unpacker = ZSTD_createDCtx()) == NULL)
        return FM_ENOMEM;
    int rc = fm_buf_reserve(out, size);
    if (rc != FM_OK)
        return rc;
    size_t n = ZSTD_decompressDCtx(unpacker, out->data + out->len, size, packed.data, packed.len);
    if (ZSTD_isError(n))
        return ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation ? FM_ENOMEM : FM_EFORMAT;
    if (n != size)
        return FM_EFORMAT;
    out->len += size;
    return FM_OK;
}

void fm_compress_port(struct fm_crypto *port)
{
    port->compress = compress;
    port->decompress = decompress;
}
