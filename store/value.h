/* A row's value: format byte, body, 8-byte check over (table, key, body) (TRAPS L14: LMDB has no checksums). A log entry's
 * check covers what its set id and body hash do not: the signature. Bodies are fixed-width big-endian fields. */
#ifndef FM_STORE_VALUE_H
#define FM_STORE_VALUE_H

#include "replication/ports.h"
#include "store/keys.h"

#define FM_VALUE_FORMAT 1u
#define FM_VALUE_CHECK_BYTES 8u
#define FM_VALUE_OVERHEAD (1u + FM_VALUE_CHECK_BYTES)

void fm_value_seal(const struct fm_crypto *c, enum fm_table table, const struct fm_row_key *key, struct fm_span body,
                   uint8_t *out);
/* 0, FM_ECORRUPT, FM_ENEWER (another format byte under a right check). body is borrowed from value. */
int fm_value_open(const struct fm_crypto *c, enum fm_table table, struct fm_span key, struct fm_span value,
                  struct fm_span *body);

/* As above for log entries: `covered` is the set's signature. */
void fm_value_log_check(const struct fm_crypto *c, uint8_t out[FM_VALUE_CHECK_BYTES], struct fm_span key,
                        struct fm_span covered);

/* Bodies, written into and read from plain bytes. Each encode returns the length; each decode 0 or FM_ECORRUPT. */
struct fm_value_set {
    uint64_t arrival, changes_before;
    uint8_t id_tail[8]; /* the set id's last 8 bytes; the others are in the key */
    uint8_t role, verdict, why;
};
#define FM_VALUE_SET_BYTES 27u
size_t fm_value_set_encode(uint8_t out[FM_VALUE_SET_BYTES], const struct fm_set_meta *meta);
int fm_value_set_decode(struct fm_value_set *out, struct fm_span body);

#define FM_VALUE_TIPS_BYTES_MAX (50u + FM_STREAM_TIPS_MAX * 48u)
size_t fm_value_tips_encode(uint8_t out[FM_VALUE_TIPS_BYTES_MAX], const struct fm_stream_row *row);
int fm_value_tips_decode(struct fm_stream_row *out, struct fm_span body);

/* kind, record, id, number, time, counted and settlement are in the key; arena NULL: parents are not copied (and NULL). */
#define FM_VALUE_VERSION_BYTES_MAX (19u + 24u + FM_HOLDERS_MAX * 14u + FM_PARENTS_MAX * 24u)
size_t fm_value_version_encode(uint8_t out[FM_VALUE_VERSION_BYTES_MAX], const struct fm_version *v);
int fm_value_version_decode(struct fm_version *out, struct fm_span key, struct fm_span body, struct fm_arena *arena);

#define FM_VALUE_ID_BYTES (17u + FM_KEYS_PLACE_BYTES)
size_t fm_value_id_encode(uint8_t out[FM_VALUE_ID_BYTES], const struct fm_row_key *version_key);
/* The key of the version's row. */
int fm_value_id_decode(struct fm_row_key *out, struct fm_record_ref *ref, const struct fm_version_id *id,
                       struct fm_span body);

/* number: of its row in `changes`; 0: none. offline_id is borrowed from the body. */
#define FM_VALUE_HEAD_BYTES_MAX (122u + FM_OFFLINE_ID_BYTES_MAX)
size_t fm_value_head_encode(uint8_t out[FM_VALUE_HEAD_BYTES_MAX], const struct fm_head *head, uint64_t number);
int fm_value_head_decode(struct fm_head *out, uint64_t *number, struct fm_span key, struct fm_span body);

#define FM_VALUE_CHANGE_BYTES 25u
size_t fm_value_change_encode(uint8_t out[FM_VALUE_CHANGE_BYTES], const struct fm_record_ref *ref, uint64_t stamp);
int fm_value_change_decode(struct fm_record_ref *out, uint64_t *stamp, struct fm_span body);

#define FM_VALUE_CONFLICT_BYTES 68u
size_t fm_value_conflict_encode(uint8_t out[FM_VALUE_CONFLICT_BYTES], const struct fm_version *v);

#endif
