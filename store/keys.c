#include "store/keys.h"

#include <assert.h>

/* A version's rank is first in its record's order: counted ones by settlement, highest first, then all that do not count. */
#define RANK_COUNTED 0x7fffffffu
#define RANK_UNCOUNTED 0xffffffffu

static const struct {
    const char *name;
    uint8_t width;
    bool derived;
} tables[FM_TABLE_END] = {
    [FM_TABLE_META] = {"meta", 0, false},
    [FM_TABLE_LOG] = {"log", 8, false},
    [FM_TABLE_STREAMS] = {"streams", 56, true},
    [FM_TABLE_TIPS] = {"tips", 24, true},
    [FM_TABLE_VERSIONS] = {"versions", 57, true},
    [FM_TABLE_IDS] = {"ids", 24, true},
    [FM_TABLE_HEADS] = {"heads", 17, true},
    [FM_TABLE_CHANGES] = {"changes", 8, true},
    [FM_TABLE_BY_ENTITY] = {"by_entity", 33, true},
    [FM_TABLE_ALIASES] = {"aliases", 41, true},
    [FM_TABLE_CONFLICTS] = {"conflicts", 16, true},
    [FM_TABLE_OPEN] = {"open", 16, true},
    [FM_TABLE_WAITS] = {"waits", 41, true},
    [FM_TABLE_TOUCHED] = {"touched", 17, true},
    [FM_TABLE_STATEMENTS] = {"statements", 33, false},
    [FM_TABLE_NOTES] = {"notes", 0, false},
    [FM_TABLE_UNCOUNTED] = {"uncounted", 8, true},
};

const char *fm_keys_table_name(enum fm_table table)
{
    return tables[table].name;
}

size_t fm_keys_width(enum fm_table table)
{
    return tables[table].width;
}

bool fm_keys_derived(enum fm_table table)
{
    return tables[table].derived;
}

static void add(struct fm_row_key *k, const void *data, size_t len)
{
    assert(k->len + len <= FM_ROW_KEY_BYTES_MAX);
    memcpy(k->b + k->len, data, len);
    k->len += len;
}

static void add_number(struct fm_row_key *k, uint64_t value, size_t bytes)
{
    assert(k->len + bytes <= FM_ROW_KEY_BYTES_MAX);
    fm_be_put(k->b + k->len, value, bytes);
    k->len += bytes;
}

static void add_record(struct fm_row_key *k, uint8_t kind, const struct fm_record_id *record)
{
    add_number(k, kind, 1);
    add(k, record->b, sizeof(record->b));
}

struct fm_row_key fm_keys_number(uint64_t number)
{
    struct fm_row_key k = {.len = 0};
    add_number(&k, number, 8);
    return k;
}

struct fm_row_key fm_keys_stream_hash(const uint8_t hash[FM_STREAM_HASH_BYTES])
{
    struct fm_row_key k = {.len = 0};
    add(&k, hash, FM_STREAM_HASH_BYTES);
    return k;
}

struct fm_row_key fm_keys_set_prefix(const uint8_t hash[FM_STREAM_HASH_BYTES], uint64_t sequence)
{
    struct fm_row_key k = fm_keys_stream_hash(hash);
    add_number(&k, sequence, 8);
    return k;
}

struct fm_row_key fm_keys_set(const uint8_t hash[FM_STREAM_HASH_BYTES], uint64_t sequence, const struct fm_set_id *id)
{
    struct fm_row_key k = fm_keys_set_prefix(hash, sequence);
    add(&k, id->b, 24);
    return k;
}

struct fm_row_key fm_keys_record(uint8_t kind, const struct fm_record_id *record)
{
    struct fm_row_key k = {.len = 0};
    add_record(&k, kind, record);
    return k;
}

struct fm_row_key fm_keys_version(const struct fm_version *v)
{
    struct fm_row_key k = fm_keys_record(v->kind, &v->record);
    assert(v->settlement < RANK_COUNTED);
    add_number(&k, (v->counted ? RANK_COUNTED : RANK_UNCOUNTED) - v->settlement, 4);
    add_number(&k, UINT32_MAX - v->number, 4);
    add_number(&k, v->time, 8);
    add(&k, v->id.b, sizeof(v->id.b));
    return k;
}

struct fm_row_key fm_keys_version_at(uint8_t kind, const struct fm_record_id *record,
                                     const uint8_t place[FM_KEYS_PLACE_BYTES], const struct fm_version_id *id)
{
    struct fm_row_key k = fm_keys_record(kind, record);
    add(&k, place, FM_KEYS_PLACE_BYTES);
    add(&k, id->b, sizeof(id->b));
    return k;
}

struct fm_row_key fm_keys_id(const struct fm_version_id *id)
{
    struct fm_row_key k = {.len = 0};
    add(&k, id->b, sizeof(id->b));
    return k;
}

struct fm_row_key fm_keys_entity_prefix(const struct fm_record_id *entity, uint8_t kind)
{
    struct fm_row_key k = {.len = 0};
    add(&k, entity->b, sizeof(entity->b));
    add_number(&k, kind, 1);
    return k;
}

struct fm_row_key fm_keys_entity(const struct fm_record_id *entity, uint8_t kind, const struct fm_record_id *record)
{
    struct fm_row_key k = fm_keys_entity_prefix(entity, kind);
    add(&k, record->b, sizeof(record->b));
    return k;
}

struct fm_row_key fm_keys_alias_prefix(uint8_t kind, const uint8_t hash[FM_KEYS_OFFLINE_HASH_BYTES])
{
    struct fm_row_key k = {.len = 0};
    add_number(&k, kind, 1);
    add(&k, hash, FM_KEYS_OFFLINE_HASH_BYTES);
    return k;
}

struct fm_row_key fm_keys_alias(uint8_t kind, const uint8_t hash[FM_KEYS_OFFLINE_HASH_BYTES],
                                const struct fm_record_id *record)
{
    struct fm_row_key k = fm_keys_alias_prefix(kind, hash);
    add(&k, record->b, sizeof(record->b));
    return k;
}

struct fm_row_key fm_keys_conflict(const struct fm_conflict_id *id)
{
    struct fm_row_key k = {.len = 0};
    add(&k, id->b, sizeof(id->b));
    return k;
}

struct fm_row_key fm_keys_wait(const struct fm_version_id *parent, uint8_t kind, const struct fm_record_id *record)
{
    struct fm_row_key k = fm_keys_id(parent);
    add_record(&k, kind, record);
    return k;
}

struct fm_row_key fm_keys_statement(uint8_t kind, const struct fm_key *signer)
{
    struct fm_row_key k = {.len = 0};
    add_number(&k, kind, 1);
    add(&k, signer->b, sizeof(signer->b));
    return k;
}

bool fm_keys_name(struct fm_row_key *out, char space, const char *name)
{
    size_t len = strlen(name);
    *out = (struct fm_row_key){.len = 0};
    if (len == 0 || len + 1 > FM_ROW_KEY_BYTES_MAX)
        return false;
    if (space != 0)
        add_number(out, (uint8_t)space, 1);
    add(out, name, len);
    return true;
}

struct fm_row_key fm_keys_copy(struct fm_span bytes)
{
    struct fm_row_key k = {.len = 0};
    add(&k, bytes.data, bytes.len);
    return k;
}

struct fm_row_key fm_keys_after(const struct fm_row_key *key)
{
    struct fm_row_key k = *key;
    k.b[k.len++] = 0; /* nothing sorts between a key and itself with a zero byte behind */
    return k;
}

uint64_t fm_keys_read_number(struct fm_span key)
{
    return fm_be_get(key.data, 8);
}

struct fm_record_ref fm_keys_read_record(struct fm_span key, size_t from)
{
    struct fm_record_ref ref = {.kind = key.data[from]};
    memcpy(ref.record.b, key.data + from + 1, sizeof(ref.record.b));
    return ref;
}

void fm_keys_read_version(struct fm_version *out, struct fm_span key)
{
    struct fm_record_ref ref = fm_keys_read_record(key, 0);
    uint32_t rank = (uint32_t)fm_be_get(key.data + 17, 4);
    out->kind = ref.kind;
    out->record = ref.record;
    out->counted = rank <= RANK_COUNTED;
    out->settlement = (out->counted ? RANK_COUNTED : RANK_UNCOUNTED) - rank;
    out->number = UINT32_MAX - (uint32_t)fm_be_get(key.data + 21, 4);
    out->time = fm_be_get(key.data + 25, 8);
    memcpy(out->id.b, key.data + 33, sizeof(out->id.b));
}
