/* What is passed into the core: hashing, signing, sealing, compressing (crypto.h's functions or a test's), and the
 * read port onto the store. The core calls nothing else outside itself but memory and string functions. */
#ifndef FM_REPLICATION_PORTS_H
#define FM_REPLICATION_PORTS_H

#include "replication/types.h"

/* Every input of a hash starts with one of these; so no hash of one purpose can be one of another (WIRE.md). */
#define FM_DOMAIN_MESH "fieldmesh mesh 1"
#define FM_DOMAIN_SET "fieldmesh set 1"
#define FM_DOMAIN_BODY "fieldmesh body 1"
#define FM_DOMAIN_VERSION "fieldmesh version 1"
#define FM_DOMAIN_GRANT "fieldmesh grant 1"
#define FM_DOMAIN_STREAM "fieldmesh stream 1"
#define FM_DOMAIN_CONFLICT "fieldmesh conflict 1"
#define FM_DOMAIN_RECORD_ID "fieldmesh record id 1"
#define FM_DOMAIN_DATA_KEY "fieldmesh data key 1"
#define FM_DOMAIN_STATEMENT "fieldmesh statement 1"
#define FM_DOMAIN_REQUEST "fieldmesh request 1"
#define FM_DOMAIN_DIGEST_SETS "fieldmesh digest sets 1"
#define FM_DOMAIN_DIGEST_STATE "fieldmesh digest state 1"
#define FM_DOMAIN_DIGEST_RECORD "fieldmesh digest record 1"
#define FM_DOMAIN_VERIFICATION "fieldmesh verification 1"

struct fm_crypto {
    void *ctx;
    /* BLAKE2b of out_len (16..64) bytes over the parts one after the other. Cannot fail. */
    void (*hash)(void *ctx, uint8_t *out, size_t out_len, const struct fm_span *parts, size_t count);
    /* Ed25519 over a 32-byte id, with this node's author key. Cannot fail. */
    void (*sign)(void *ctx, uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32]);
    /* 0 or FM_ESIGNATURE. */
    int (*verify)(void *ctx, const uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32], const struct fm_key *author);
    /* XChaCha20-Poly1305-IETF; what is appended to out is nonce (24), then ciphertext, then tag (16). 0, FM_ENOMEM, FM_ELIMIT. */
    int (*seal)(void *ctx, struct fm_buf *out, struct fm_span plain, const struct fm_key *key, const uint8_t nonce[24],
                struct fm_span bound);
    /* Appends the plain text; 0, FM_EKEY (wrong key, damaged), FM_ENOMEM, FM_ELIMIT. */
    int (*open)(void *ctx, struct fm_buf *out, struct fm_span sealed, const struct fm_key *key, struct fm_span bound);
    /* A 32-byte data key to one X25519 box key (80 bytes: crypto_box_seal), and back with this node's own box key. */
    int (*box)(void *ctx, uint8_t out[80], const struct fm_key *data_key, const struct fm_key *to);
    int (*unbox)(void *ctx, struct fm_key *data_key, const uint8_t sealed[80]);
    /* zstd. compress: appends; FM_ELIMIT if it would not get smaller. decompress: exactly `size` bytes are appended,
     * never more than size is allocated; anything else is FM_EFORMAT. */
    int (*compress)(void *ctx, struct fm_buf *out, struct fm_span plain);
    int (*decompress)(void *ctx, struct fm_buf *out, struct fm_span packed, size_t size);
};

#endif
