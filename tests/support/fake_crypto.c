#include "tests/support/fake_crypto.h"

#include "replication/error.h"

#define NONCE_BYTES 24u
#define TAG_BYTES 16u

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Two 64-bit FNV-like lanes over the bytes of all parts; their ends do not enter, as with a real hash of parts. */
static void fake_hash(void *ctx, uint8_t *out, size_t out_len, const struct fm_span *parts, size_t count)
{
    uint64_t a = UINT64_C(0xcbf29ce484222325) ^ out_len, b = UINT64_C(0x9e3779b97f4a7c15) + out_len, total = 0;

    (void)ctx;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < parts[i].len; j++) {
            a = (a ^ parts[i].data[j]) * UINT64_C(0x100000001b3);
            b = (b ^ b >> 29 ^ parts[i].data[j]) * UINT64_C(0xff51afd7ed558ccd);
        }
        total += parts[i].len;
    }
    a = mix(a ^ mix(total));
    b = mix(b + total);
    for (size_t i = 0; i < out_len; i++) {
        if (i % 8 == 0) {
            a = mix(a + b + UINT64_C(0x9e3779b97f4a7c15));
            b = mix(b ^ a);
        }
        out[i] = (uint8_t)(a >> (8 * (i % 8)));
    }
}

static const struct fm_fake_device *device_of(void *ctx)
{
    static const struct fm_fake_device zeros;
    return ctx == NULL ? &zeros : ctx;
}

static void signature_of(uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32], const struct fm_key *author)
{
    const struct fm_span parts[] = {fm_span_str("fake signature"), fm_span(author->b, sizeof author->b), fm_span(id, 32)};
    fake_hash(NULL, signature, FM_SIGNATURE_BYTES, parts, 3);
}

static void fake_sign(void *ctx, uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32])
{
    signature_of(signature, id, &device_of(ctx)->author);
}

static int fake_verify(void *ctx, const uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32],
    const struct fm_key *author)
{
    uint8_t right[FM_SIGNATURE_BYTES];
    (void)ctx;
    signature_of(right, id, author);
    return memcmp(signature, right, sizeof right) == 0 ? FM_OK : FM_ESIGNATURE;
}

/* The text under a stream of bytes made from key and nonce, so that plain text can be searched for and not be found. */
static void blur(uint8_t *data, size_t len, const struct fm_key *key, const uint8_t *nonce)
{
    const struct fm_span parts[] = {fm_span(key->b, sizeof key->b), fm_span(nonce, NONCE_BYTES)};
    uint8_t seed[16];
    fake_hash(NULL, seed, sizeof seed, parts, 2);
    uint64_t state = fm_be_get(seed, 8);
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0)
            state = mix(state + i + 1);
        data[i] ^= (uint8_t)(state >> (8 * (i % 8)));
    }
}

static void tag_of(uint8_t tag[TAG_BYTES], const struct fm_key *key, const uint8_t *nonce, struct fm_span plain,
    struct fm_span bound)
{
    const struct fm_span parts[] = {fm_span_str("fake tag"), fm_span(key->b, sizeof key->b), fm_span(nonce, NONCE_BYTES),
        plain, bound};
    fake_hash(NULL, tag, TAG_BYTES, parts, 5);
}

static int fake_seal(void *ctx, struct fm_buf *out, struct fm_span plain, const struct fm_key *key, const uint8_t nonce[24],
                     struct fm_span bound)
{
    uint8_t tag[TAG_BYTES];
    (void)ctx;
    int rc = fm_buf_reserve(out, NONCE_BYTES + plain.len + TAG_BYTES);
    if (rc != FM_OK)
        return rc;
    tag_of(tag, key, nonce, plain, bound);
    size_t text = out->len + NONCE_BYTES;
    if (fm_buf_add(out, nonce, NONCE_BYTES) != FM_OK || fm_buf_add(out, plain.data, plain.len) != FM_OK ||
        fm_buf_add(out, tag, sizeof tag) != FM_OK)
        return FM_ENOMEM;
    blur(out->data + text, plain.len, key, nonce);
    return FM_OK;
}

static int fake_open(void *ctx, struct fm_buf *out, struct fm_span sealed, const struct fm_key *key, struct fm_span bound)
{
    uint8_t tag[TAG_BYTES];
    size_t start = out->len;
    (void)ctx;
    if (sealed.len < NONCE_BYTES + TAG_BYTES)
        return FM_EKEY;
    struct fm_span text = fm_span(sealed.data + NONCE_BYTES, sealed.len - NONCE_BYTES - TAG_BYTES);
    int rc = fm_buf_add(out, text.data, text.len);
    if (rc != FM_OK)
        return rc;
    if (text.len > 0)
        blur(out->data + start, text.len, key, sealed.data);
    tag_of(tag, key, sealed.data, fm_span(out->data + start, text.len), bound);
    if (memcmp(tag, sealed.data + sealed.len - TAG_BYTES, TAG_BYTES) == 0)
        return FM_OK;
    out->len = start;
    return FM_EKEY;
}

static void box_tag(uint8_t tag[TAG_BYTES], const uint8_t box[64])
{
    const struct fm_span parts[] = {fm_span_str("fake box"), fm_span(box, 64)};
    fake_hash(NULL, tag, TAG_BYTES, parts, 2);
}

/* The receiver's key, the data key blurred, a tag. */
static int fake_box(void *ctx, uint8_t out[80], const struct fm_key *data_key, const struct fm_key *to)
{
    (void)ctx;
    memcpy(out, to->b, 32);
    memcpy(out + 32, data_key->b, 32);
    blur(out + 32, 32, to, to->b);
    box_tag(out + 64, out);
    return FM_OK;
}

static int fake_unbox(void *ctx, struct fm_key *data_key, const uint8_t sealed[80])
{
    const struct fm_key *own = &device_of(ctx)->box;
    uint8_t tag[TAG_BYTES];
    box_tag(tag, sealed);
    if (memcmp(sealed, own->b, 32) != 0 || memcmp(tag, sealed + 64, sizeof tag) != 0)
        return FM_EKEY;
    memcpy(data_key->b, sealed + 32, 32);
    blur(data_key->b, 32, own, own->b);
    return FM_OK;
}

int fm_fake_compress(void *ctx, struct fm_buf *out, struct fm_span plain)
{
    size_t start = out->len;
    (void)ctx;
    for (size_t i = 0; i < plain.len;) {
        size_t run = 1;
        while (run < 255 && i + run < plain.len && plain.data[i + run] == plain.data[i])
            run++;
        const uint8_t pair[2] = {(uint8_t)run, plain.data[i]};
        int rc = out->len - start + 2 < plain.len ? fm_buf_add(out, pair, sizeof pair) : FM_ELIMIT;
        if (rc != FM_OK) {
            out->len = start;
            return rc;
        }
        i += run;
    }
    return FM_OK;
}

static int fake_decompress(void *ctx, struct fm_buf *out, struct fm_span packed, size_t size)
{
    size_t start = out->len;
    int rc = packed.len % 2 == 0 ? FM_OK : FM_EFORMAT;
    (void)ctx;
    for (size_t i = 0; i + 1 < packed.len && rc == FM_OK; i += 2) {
        uint8_t run[255];
        size_t len = packed.data[i];
        memset(run, packed.data[i + 1], sizeof run);
        rc = len == 0 || out->len - start + len > size ? FM_EFORMAT : fm_buf_add(out, run, len);
    }
    if (rc == FM_OK && out->len - start != size)
        rc = FM_EFORMAT;
    if (rc != FM_OK)
        out->len = start;
    return rc;
}

struct fm_crypto fm_fake_crypto(void)
{
    return fm_fake_crypto_of(NULL);
}

struct fm_crypto fm_fake_crypto_of(struct fm_fake_device *device)
{
    return (struct fm_crypto){
        .ctx = device,
        .hash = fake_hash,
        .sign = fake_sign,
        .verify = fake_verify,
        .seal = fake_seal,
        .open = fake_open,
        .box = fake_box,
        .unbox = fake_unbox,
        .decompress = fake_decompress,
    };
}
