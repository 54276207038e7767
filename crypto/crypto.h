/* Keys, signatures, hashes, sealing: bytes in, bytes out; libsodium only. Call fm_crypto_init once, before all else. */
#ifndef FM_CRYPTO_CRYPTO_H
#define FM_CRYPTO_CRYPTO_H

#include "replication/ports.h"

/* 0, or FM_ENOMEM if libsodium cannot start. Not for several threads at once. */
int fm_crypto_init(void);
void fm_crypto_random(void *out, size_t len);
void fm_crypto_wipe(void *data, size_t len);

/* A device's secrets, all from one 32-byte seed by crypto_kdf (context "fmdevice", ids 1 author, 2 transport, 3 box). */
struct fm_device {
    struct fm_key seed;
    struct fm_key author_public, transport_public, box_public;
    struct fm_key transport_secret, box_secret; /* X25519 */
    uint8_t author_secret[64];                  /* Ed25519, from the seed at load (TRAPS C5) */
};
void fm_device_from_seed(struct fm_device *out, const struct fm_key *seed);
void fm_device_wipe(struct fm_device *device);

/* Fills hash, sign, verify, seal, open, box, unbox of *out; device is borrowed (NULL: sign and unbox must not be called).
 * compress and decompress are node/compress.h's: the caller fills them. */
void fm_crypto_port(struct fm_crypto *out, const struct fm_device *device);

/* One-off hashing: BLAKE2b of out_len bytes over data. */
void fm_crypto_hash(uint8_t *out, size_t out_len, const void *data, size_t len);

/* A key's name for people: first 80 bits of BLAKE2b over it in Crockford base 32, in groups of four: "7KQ2-M4XD-2QZH-0V5T". */
#define FM_FINGERPRINT_CHARS 20
void fm_fingerprint(char out[FM_FINGERPRINT_CHARS], const struct fm_key *author_public);

/* The mesh id: BLAKE2b-256 over (FM_DOMAIN_MESH, root public key). */
void fm_mesh_id_of(struct fm_mesh_id *out, const struct fm_key *root_public);

#endif
