/* Every key of every table is composed here, and only here: fixed width, big-endian, so that memcmp order is the order that
 * is meant (DESIGN.md sections 4 and 5, TRAPS L16). `prefix` forms give the beginning of a key, to seek with. */
#ifndef FM_STORE_KEYS_H
#define FM_STORE_KEYS_H

#include "replication/row.h"

/* The numbers enter the row checks: they are part of the store's format. */
enum fm_table {
    FM_TABLE_META = 1,       /* space 1 · name -> bytes */
    FM_TABLE_LOG = 2,        /* arrival 8 -> the set as its author signed it */
    FM_TABLE_STREAMS = 3,    /* stream hash 24 · sequence 8 · first 24 of the set id */
    FM_TABLE_TIPS = 4,       /* stream hash 24 */
    FM_TABLE_VERSIONS = 5,   /* kind 1 · record 16 · rank 4 · inverted number 4 · time 8 · version id 24 */
    FM_TABLE_IDS = 6,        /* version id 24 */
    FM_TABLE_HEADS = 7,      /* kind 1 · record 16 */
    FM_TABLE_CHANGES = 8,    /* number 8 */
    FM_TABLE_BY_ENTITY = 9,  /* entity (or user) 16 · kind 1 · record 16 */
    FM_TABLE_ALIASES = 10,   /* kind 1 · hash of offlineId 24 · record 16 */
    FM_TABLE_CONFLICTS = 11, /* conflict id 16 */
    FM_TABLE_OPEN = 12,      /* conflict id 16, the open ones */
    FM_TABLE_WAITS = 13,     /* parent's version id 24 · kind 1 · record 16 */
    FM_TABLE_TOUCHED = 14,   /* kind 1 · record 16 */
    FM_TABLE_STATEMENTS = 15,/* kind 1 · signer 32 */
    FM_TABLE_NOTES = 16,     /* name */
    FM_TABLE_UNCOUNTED = 17, /* arrival 8, of sets that do not count */
    FM_TABLE_END = 18
};
const char *fm_keys_table_name(enum fm_table table);
/* The width of a table's keys; 0: it varies (names). */
size_t fm_keys_width(enum fm_table table);
/* Is it rebuilt from the log by a reindex? */
bool fm_keys_derived(enum fm_table table);

#define FM_ROW_KEY_BYTES_MAX 64u
struct fm_row_key {
    uint8_t b[FM_ROW_KEY_BYTES_MAX + 1]; /* one more: fm_keys_after */
    size_t len;
};

#define FM_KEYS_OFFLINE_HASH_BYTES 24u
#define FM_KEYS_SPACE_STORE 's' /* the store's own rows in meta */
#define FM_KEYS_SPACE_CORE 'c'  /* FM_ROW_META rows */

struct fm_row_key fm_keys_number(uint64_t number); /* log, changes, uncounted */
struct fm_row_key fm_keys_stream_hash(const uint8_t hash[FM_STREAM_HASH_BYTES]);
struct fm_row_key fm_keys_set(const uint8_t hash[FM_STREAM_HASH_BYTES], uint64_t sequence, const struct fm_set_id *id);
struct fm_row_key fm_keys_set_prefix(const uint8_t hash[FM_STREAM_HASH_BYTES], uint64_t sequence);
struct fm_row_key fm_keys_record(uint8_t kind, const struct fm_record_id *record);
struct fm_row_key fm_keys_version(const struct fm_version *v);
struct fm_row_key fm_keys_id(const struct fm_version_id *id);
struct fm_row_key fm_keys_entity_prefix(const struct fm_record_id *entity, uint8_t kind);
struct fm_row_key fm_keys_entity(const struct fm_record_id *entity, uint8_t kind, const struct fm_record_id *record);
struct fm_row_key fm_keys_alias_prefix(uint8_t kind, const uint8_t hash[FM_KEYS_OFFLINE_HASH_BYTES]);
struct fm_row_key fm_keys_alias(uint8_t kind, const uint8_t hash[FM_KEYS_OFFLINE_HASH_BYTES],
                                const struct fm_record_id *record);
struct fm_row_key fm_keys_conflict(const struct fm_conflict_id *id);
struct fm_row_key fm_keys_wait(const struct fm_version_id *parent, uint8_t kind, const struct fm_record_id *record);
struct fm_row_key fm_keys_statement(uint8_t kind, const struct fm_key *signer);
/* space 0: none (notes). False: the name is empty or too long. */
bool fm_keys_name(struct fm_row_key *out, char space, const char *name);
/* From bytes, as a cursor gave them; len at most FM_ROW_KEY_BYTES_MAX. */
struct fm_row_key fm_keys_copy(struct fm_span bytes);
/* The least key above this one. */
struct fm_row_key fm_keys_after(const struct fm_row_key *key);

/* Back again. The spans are keys of the right width. */
uint64_t fm_keys_read_number(struct fm_span key);
struct fm_record_ref fm_keys_read_record(struct fm_span key, size_t from);
/* Fills kind, record, id, number, time, counted, settlement. */
void fm_keys_read_version(struct fm_version *out, struct fm_span key);

/* The middle of a version's key, kept with its id so that the row is found by it: rank 4, number 4, time 8. */
#define FM_KEYS_PLACE_BYTES 16u
#define FM_KEYS_PLACE_FROM 17u
struct fm_row_key fm_keys_version_at(uint8_t kind, const struct fm_record_id *record,
                                     const uint8_t place[FM_KEYS_PLACE_BYTES], const struct fm_version_id *id);

#endif
