/* Inside of the memory store: its tables and their keys. Keys are composed big-endian as in the real store; values are the
 * structs themselves, with what they point to behind. Included by memory*.c only. */
#ifndef FM_TESTS_MEMORY_INSIDE_H
#define FM_TESTS_MEMORY_INSIDE_H

#include <assert.h>

#include "tests/support/memory.h"
#include "tests/support/ordered.h"

enum table { LOG, META_OF, SETS, STREAMS, VERSIONS, IDS, HEADS, WAITS, TOUCHED, ALIASES, ENTITIES, STATEMENTS, NAMED, TABLES };

struct fm_memory {
    struct fm_ordered *tables[TABLES];
    uint64_t sum[4];
    struct fm_port port;
};

struct key {
    uint8_t b[192];
    size_t len;
};

static inline void key_bytes(struct key *k, const void *data, size_t len)
{
    assert(k->len + len <= sizeof(k->b));
    if (len)
        memcpy(k->b + k->len, data, len);
    k->len += len;
}

static inline void key_number(struct key *k, uint64_t value, size_t bytes)
{
    uint8_t b[8];
    fm_be_put(b, value, bytes);
    key_bytes(k, b, bytes);
}

static inline struct fm_span key_span(const struct key *k)
{
    return fm_span(k->b, k->len);
}

static inline struct key key_arrival(uint64_t arrival)
{
    struct key k = {.len = 0};
    key_number(&k, arrival, 8);
    return k;
}

static inline struct key key_stream(const struct fm_stream *s)
{
    struct key k = {.len = 0};
    key_bytes(&k, s->author.b, sizeof(s->author.b));
    key_number(&k, s->incarnation, 8);
    key_number(&k, s->lane, 1);
    return k;
}

static inline struct key key_set(const struct fm_stream *s, uint64_t sequence, const struct fm_set_id *id)
{
    struct key k = key_stream(s);
    key_number(&k, sequence, 8);
    if (id)
        key_bytes(&k, id->b, sizeof(id->b));
    return k;
}

static inline struct key key_record(uint8_t kind, const struct fm_record_id *record)
{
    struct key k = {.len = 0};
    key_number(&k, kind, 1);
    key_bytes(&k, record->b, sizeof(record->b));
    return k;
}

static inline struct key key_version(uint8_t kind, const struct fm_record_id *record, const struct fm_version_id *id)
{
    struct key k = key_record(kind, record);
    key_bytes(&k, id->b, sizeof(id->b));
    return k;
}

static inline struct key key_wait(const struct fm_version_id *parent, uint8_t kind, const struct fm_record_id *record)
{
    struct key k = {.len = 0}, r = key_record(kind, record);
    key_bytes(&k, parent->b, sizeof(parent->b));
    key_bytes(&k, r.b, r.len);
    return k;
}

static inline struct key key_alias(uint8_t kind, struct fm_span offline_id)
{
    struct key k = {.len = 0};
    key_number(&k, kind, 1);
    key_number(&k, offline_id.len, 1);
    key_bytes(&k, offline_id.data, offline_id.len);
    return k;
}

static inline struct key key_entity(uint8_t kind, const struct fm_record_id *entity, const struct fm_record_id *record)
{
    struct key k = key_record(kind, entity);
    if (record)
        key_bytes(&k, record->b, sizeof(record->b));
    return k;
}

static inline struct key key_statement(uint8_t kind, const struct fm_key *signer)
{
    struct key k = {.len = 0};
    key_number(&k, kind, 1);
    key_bytes(&k, signer->b, sizeof(signer->b));
    return k;
}

static inline void head_read(struct fm_head *out, struct fm_span value)
{
    memcpy(out, value.data, sizeof(*out));
    out->offline_id.data = out->offline_id.len ? value.data + sizeof(*out) : NULL;
}

void fm_memory_port_init(struct fm_memory *m); /* memory_port.c */

#endif
