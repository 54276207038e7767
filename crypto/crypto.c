/* libsodium behind the crypto port (TRAPS C1-C16). */
#include "crypto/crypto.h"

#include <assert.h>
#include <sodium.h>

#include "replication/error.h"

#define NONCE_BYTES 24u
#define TAG_BYTES 16u

_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == NONCE_BYTES, "the port's nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == TAG_BYTES, "the port's tag");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == FM_KEY_BYTES, "data keys");
_Static_assert(crypto_box_SEALBYTES + FM_KEY_BYTES == 80, "a boxed data key");
_Static_assert(crypto_sign_BYTES == FM_SIGNATURE_BYTES, "signatures");

int fm_crypto_init(void)
{
    return sodium_init() < 0 ? FM_ENOMEM : FM_OK; /* TRAPS C1: 1 means "done before" */
}

void fm_crypto_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

void fm_crypto_wipe(void *data, size_t len)
{
    sodium_memzero(data, len); /* TRAPS C4: a memset before free is removed by the compiler */
}

static void port_hash(void *ctx, uint8_t *out, size_t out_len, const struct fm_span *parts, size_t count)
{
    (void)ctx;
    assert(out_len >= crypto_generichash_BYTES_MIN && out_len <= crypto_generichash_BYTES_MAX);
    crypto_generichash_state state;
    int rc = crypto_generichash_init(&state, NULL, 0, out_len);
    for (size_t i = 0; i < count; i++)
        if (parts[i].len > 0)
            rc |= crypto_generichash_update(&state, parts[i].data, parts[i].len);
    rc |= crypto_generichash_final(&state, out, out_len);
    assert(rc == 0); /* fails for wrong lengths only */
}

void fm_crypto_hash(uint8_t *out, size_t out_len, const void *data, size_t len)
{
    struct fm_span part = fm_span(data, len);
    port_hash(NULL, out, out_len, &part, 1);
}

/* The secret's public half is the one derived with it from the seed, never one from a file (TRAPS C5). */
static void port_sign(void *ctx, uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32])
{
    const struct fm_device *device = ctx;
    assert(device != NULL);
    int rc = crypto_sign_detached(signature, NULL, id, 32, device->author_secret);
    assert(rc == 0);
}

/* The one place that verifies; never in batches, whose rules differ (TRAPS C7). */
static int port_verify(void *ctx, const uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32],
                       const struct fm_key *author)
{
    (void)ctx;
    return crypto_sign_verify_detached(signature, id, 32, author->b) == 0 ? FM_OK : FM_ESIGNATURE;
}

static int port_seal(void *ctx, struct fm_buf *out, struct fm_span plain, const struct fm_key *key, const uint8_t nonce[24],
                     struct fm_span bound)
{
    (void)ctx;
    if (plain.len > SIZE_MAX / 2)
        return FM_ELIMIT;
    int rc = fm_buf_reserve(out, NONCE_BYTES + plain.len + TAG_BYTES);
    if (rc != FM_OK)
        return rc;
    uint8_t *at = out->data + out->len;
    memcpy(at, nonce, NONCE_BYTES);
    rc = crypto_aead_xchacha20poly1305_ietf_encrypt(at + NONCE_BYTES, NULL, plain.data, plain.len, bound.data, bound.len,
                                                    NULL, nonce, key->b);
    assert(rc == 0); /* "always 0" by libsodium's manual */
    out->len += NONCE_BYTES + plain.len + TAG_BYTES;
    return FM_OK;
}

static int port_open(void *ctx, struct fm_buf *out, struct fm_span sealed, const struct fm_key *key, struct fm_span bound)
{
    (void)ctx;
    if (sealed.len < NONCE_BYTES + TAG_BYTES)
        return FM_EKEY;
    size_t plain_len = sealed.len - NONCE_BYTES - TAG_BYTES;
    int rc = fm_buf_reserve(out, plain_len > 0 ? plain_len : 1);
    if (rc != FM_OK)
        return rc;
    /* libsodium checks the tag before it writes a byte. */
    rc = crypto_aead_xchacha20poly1305_ietf_decrypt(out->data + out->len, NULL, NULL, sealed.data + NONCE_BYTES,
                                                    sealed.len - NONCE_BYTES, bound.data, bound.len, sealed.data, key->b);
    if (rc != 0)
        return FM_EKEY;
    out->len += plain_len;
    return FM_OK;
}

/* Nobody signs here: the sealed key stands in a grant or a rotation, whose signature binds sender and
 * purpose (TRAPS C10). */
static int port_box(void *ctx, uint8_t out[80], const struct fm_key *data_key, const struct fm_key *to)
{
    (void)ctx;
    return crypto_box_seal(out, data_key->b, FM_KEY_BYTES, to->b) == 0 ? FM_OK : FM_EKEY; /* a key of small order */
}

static int port_unbox(void *ctx, struct fm_key *data_key, const uint8_t sealed[80])
{
    const struct fm_device *device = ctx;
    assert(device != NULL);
    return crypto_box_seal_open(data_key->b, sealed, 80, device->box_public.b, device->box_secret.b) == 0 ? FM_OK : FM_EKEY;
}

void fm_crypto_port(struct fm_crypto *out, const struct fm_device *device)
{
    *out = (struct fm_crypto){
        .ctx = (void *)(uintptr_t)device, /* the port's ctx is not const; nothing here writes through it */
        .hash = port_hash,
        .sign = port_sign,
        .verify = port_verify,
        .seal = port_seal,
        .open = port_open,
        .box = port_box,
        .unbox = port_unbox,
    };
}
