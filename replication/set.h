/* A change set, the same bytes on the wire, on disk and in a bundle (DESIGN.md section 5, WIRE.md):
 *   msgpack [ bin header, bin body, bin signature ]
 *   header  [ format, lane, author, incarnation, sequence, previous set id, grant id, mesh epoch, hybrid time, codec,
 *             data-key id, body hash, body size, change count ]
 * previous set id is empty at sequence 1; grant id is empty for the root; data-key id is empty for a clear body.
 * body = array of changes -> compressed (codec 1, if smaller) -> sealed (if a data-key id stands there);
 * body hash = BLAKE2b-256 over (domain, body as carried); body size = bytes of the array of changes.
 * set id = BLAKE2b-256 over (domain, mesh id, header bytes); signature = Ed25519 over the set id. */
#ifndef FM_REPLICATION_SET_H
#define FM_REPLICATION_SET_H

#include "replication/ports.h"
#include "replication/types.h"

enum fm_codec { FM_CODEC_PLAIN = 0, FM_CODEC_ZSTD = 1 };

struct fm_set_header {
    uint64_t format;
    struct fm_stream stream;     /* lane, author, incarnation */
    uint64_t sequence;           /* from 1 */
    bool has_prev;
    struct fm_set_id prev;
    bool has_grant;              /* false: the root */
    struct fm_grant_id grant;
    uint64_t epoch, time;
    uint8_t codec;
    bool sealed;
    struct fm_data_key_id data_key;
    uint8_t body_hash[32];
    uint32_t body_size;
    uint32_t change_count;
};

/* A set taken apart; spans are borrowed from the input. */
struct fm_set {
    struct fm_set_header header;
    struct fm_span header_bytes, body, signature, bytes;
};

/* Structure, canonical form and bounds only (format must be FM_FORMAT). 0, FM_EFORMAT, FM_ELIMIT, FM_ENEWER. */
int fm_set_decode(struct fm_set *out, struct fm_span bytes);
/* Appends the header / the whole set. 0, FM_ENOMEM, FM_ELIMIT. */
int fm_set_header_encode(struct fm_buf *out, const struct fm_set_header *header);
int fm_set_encode(struct fm_buf *out, struct fm_span header, struct fm_span body, const uint8_t signature[FM_SIGNATURE_BYTES]);

void fm_set_id_of(struct fm_set_id *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_span header);
void fm_body_hash_of(uint8_t out[32], const struct fm_crypto *c, struct fm_span body);
void fm_stream_hash_of(uint8_t out[FM_STREAM_HASH_BYTES], const struct fm_crypto *c, const struct fm_stream *stream);
/* Version id = BLAKE2b-192 over (domain, mesh id, author, incarnation 8 B, sequence 8 B, previous set id (zeros if none),
 * hybrid time of the header 8 B, index in the set 4 B, grant id, change bytes), integers big-endian. */
void fm_version_id_of(struct fm_version_id *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh,
                      const struct fm_set_header *header, uint32_t index, struct fm_span change);
/* Conflict id = BLAKE2b-128 over (domain, kind, record id, version id). */
void fm_conflict_id_of(struct fm_conflict_id *out, const struct fm_crypto *c, uint8_t kind, const struct fm_record_id *record,
                       const struct fm_version_id *version);
/* The name of a data key: BLAKE2b-128 over (domain, key). */
void fm_data_key_id_of(struct fm_data_key_id *out, const struct fm_crypto *c, const struct fm_key *key);

/* Body bytes as carried -> array of changes. Checks the body hash, opens under `key` (NULL for a clear body),
 * decompresses to exactly body_size. Appends to out. 0; FM_EKEY (sealed and key is NULL, or not the one the
 * header names); FM_EFORMAT (also if the key of that name does not open it: void on every node that holds it). */
int fm_set_open(struct fm_buf *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, const struct fm_set *set,
                const struct fm_key *key);

/* Closes a set: compresses if smaller, seals under key (NULL: clear) with this nonce, fills codec, data_key, body_hash,
 * body_size in *header, signs, appends the whole set to out and gives its id. 0, FM_ENOMEM, FM_ELIMIT. */
int fm_set_close(struct fm_buf *out, struct fm_set_id *id, const struct fm_crypto *c, const struct fm_mesh_id *mesh,
                 struct fm_set_header *header, struct fm_span changes, const struct fm_key *key, const uint8_t nonce[24]);

#endif
