/* One seed a device, and what follows from it; names of keys. */
#include <assert.h>
#include <sodium.h>

#include "crypto/crypto.h"

_Static_assert(crypto_kdf_KEYBYTES == FM_KEY_BYTES && crypto_sign_SEEDBYTES == FM_KEY_BYTES, "seeds");
_Static_assert(crypto_sign_SECRETKEYBYTES == sizeof(((struct fm_device *)0)->author_secret), "author secrets");
_Static_assert(crypto_scalarmult_BYTES == FM_KEY_BYTES && crypto_scalarmult_SCALARBYTES == FM_KEY_BYTES, "X25519 keys");

enum { KDF_AUTHOR = 1, KDF_TRANSPORT = 2, KDF_BOX = 3 };

/* One key for one purpose (TRAPS C14). */
static void derive(uint8_t out[FM_KEY_BYTES], const struct fm_key *seed, uint64_t id)
{
    int rc = crypto_kdf_derive_from_key(out, FM_KEY_BYTES, id, "fmdevice", seed->b);
    assert(rc == 0);
}

static void derive_x25519(struct fm_key *secret, struct fm_key *public, const struct fm_key *seed, uint64_t id)
{
    derive(secret->b, seed, id);
    int rc = crypto_scalarmult_base(public->b, secret->b);
    assert(rc == 0);
}

void fm_device_from_seed(struct fm_device *out, const struct fm_key *seed)
{
    out->seed = *seed;
    uint8_t author_seed[FM_KEY_BYTES];
    derive(author_seed, seed, KDF_AUTHOR);
    int rc = crypto_sign_seed_keypair(out->author_public.b, out->author_secret, author_seed); /* TRAPS C5 */
    assert(rc == 0);
    sodium_memzero(author_seed, sizeof author_seed);
    derive_x25519(&out->transport_secret, &out->transport_public, seed, KDF_TRANSPORT);
    derive_x25519(&out->box_secret, &out->box_public, seed, KDF_BOX);
}

void fm_device_wipe(struct fm_device *device)
{
    sodium_memzero(device, sizeof *device);
}

void fm_fingerprint(char out[FM_FINGERPRINT_CHARS], const struct fm_key *author_public)
{
    static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint8_t hash[32];
    fm_crypto_hash(hash, sizeof hash, author_public->b, sizeof author_public->b);
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) { /* 16 digits of 5 bits: the first 80 bits */
        if (i > 0 && i % 4 == 0)
            out[at++] = '-';
        size_t bit = i * 5;
        unsigned two = (unsigned)hash[bit / 8] << 8 | hash[bit / 8 + 1];
        out[at++] = crockford[two >> (11 - bit % 8) & 31];
    }
    out[at] = '\0';
    assert(at + 1 == FM_FINGERPRINT_CHARS);
}

void fm_mesh_id_of(struct fm_mesh_id *out, const struct fm_key *root_public)
{
    struct fm_span parts[2] = {fm_span_str(FM_DOMAIN_MESH), fm_span(root_public->b, sizeof root_public->b)};
    struct fm_crypto port;
    fm_crypto_port(&port, NULL);
    port.hash(port.ctx, out->b, sizeof out->b, parts, 2);
}
