/* The scrub's second look: each row beside the rows of other tables that it follows from or that follow from it. */
#include "store/scrub.h"

/* A row beside this one. What is damaged on the way is not the same as what is not there. */
static int look(struct fm_scrub *c, enum fm_table table, const struct fm_row_key *key, struct fm_span *body)
{
    int error = fm_txn_get(c->s, table, key, body);
    c->unread |= fm_scan_end(error) != FM_OK;
    return error;
}

static bool held(struct fm_scrub *c, enum fm_table table, const struct fm_row_key *key)
{
    struct fm_span body;
    return look(c, table, key, &body) == FM_OK;
}

static const char *check_set(struct fm_scrub *c, struct fm_span key, struct fm_span body)
{
    struct fm_value_set row;
    struct fm_set_meta meta;
    if (fm_value_set_decode(&row, body) != FM_OK || fm_sets_meta_of(c->s, key, body, &meta) != FM_OK)
        return "its log entry is missing or another";
    fm_sums_count_set(&c->tally, row.verdict, true);
    struct fm_row_key arrival = fm_keys_number(row.arrival);
    if (held(c, FM_TABLE_UNCOUNTED, &arrival) != (row.verdict != FM_COUNTED))
        return "its verdict is not the one of the list of uncounted sets";
    return NULL;
}

static const char *check_tips(struct fm_scrub *c, struct fm_span key, struct fm_span body)
{
    struct fm_stream_row row;
    uint8_t hash[FM_STREAM_HASH_BYTES];
    if (fm_value_tips_decode(&row, body) != FM_OK)
        return "cannot be read";
    fm_stream_hash_of(hash, c->s->crypto, &row.stream);
    if (memcmp(hash, key.data, sizeof(hash)) != 0)
        return "belongs to another stream";
    for (uint32_t t = 0; t < row.tip_count; t++) {
        struct fm_row_key tip = fm_keys_set(hash, row.tips[t].sequence, &row.tips[t].id);
        if (!held(c, FM_TABLE_STREAMS, &tip))
            return "a tip is not held";
    }
    return NULL;
}

static bool is_entry(const struct fm_version *v)
{
    return v->place == FM_PLACE_OPEN || v->place == FM_PLACE_REPLACED || v->place == FM_PLACE_SETTLED;
}

static bool tells_of(const struct fm_conflict *entry, const struct fm_version *v)
{
    return fm_id_eq(&entry->version, &v->id) && entry->place == v->place && entry->cls == v->cls &&
           entry->has_by == v->has_by && (!v->has_by || fm_id_eq(&entry->by, &v->by));
}

static const char *check_version(struct fm_scrub *c, struct fm_span key, struct fm_span body)
{
    struct fm_version v;
    struct fm_conflict_id id;
    struct fm_conflict entry;
    struct fm_span value;
    if (fm_value_version_decode(&v, key, body, NULL) != FM_OK)
        return "cannot be read";
    fm_sums_count_version(&c->tally, &v, true);
    struct fm_row_key by_id = fm_keys_id(&v.id), head = fm_keys_record(v.kind, &v.record);
    if (look(c, FM_TABLE_IDS, &by_id, &value) != FM_OK || value.len != FM_VALUE_ID_BYTES ||
        memcmp(value.data, key.data, value.len) != 0)
        return "its id does not lead to it";
    if (!held(c, FM_TABLE_HEADS, &head) && !held(c, FM_TABLE_TOUCHED, &head))
        return "its record is missing";
    fm_conflict_id_of(&id, c->s->crypto, v.kind, &v.record, &v.id);
    struct fm_row_key at = fm_keys_conflict(&id);
    int error = look(c, FM_TABLE_CONFLICTS, &at, &value);
    if (!is_entry(&v))
        return error == FM_ENOTFOUND ? NULL : "it has a conflict entry, but is none";
    if (error != FM_OK || fm_versions_conflict(&entry, fm_span(at.b, at.len), value) != FM_OK || !tells_of(&entry, &v))
        return "its conflict entry is missing or another";
    if (held(c, FM_TABLE_OPEN, &at) != (v.place == FM_PLACE_OPEN))
        return "the list of open conflicts does not fit it";
    return NULL;
}

static const char *check_id(struct fm_scrub *c, struct fm_span key, struct fm_span body)
{
    struct fm_version_id id;
    struct fm_record_ref ref;
    struct fm_row_key row;
    memcpy(id.b, key.data, sizeof(id.b));
    if (fm_value_id_decode(&row, &ref, &id, body) != FM_OK || !held(c, FM_TABLE_VERSIONS, &row))
        return "its version is missing";
    return NULL;
}

static const char *check_head(struct fm_scrub *c, struct fm_span key, struct fm_span body)
{
    uint8_t hash[FM_KEYS_OFFLINE_HASH_BYTES];
    struct fm_row_key keys[2], at;
    struct fm_head head;
    uint64_t number;
    if (fm_value_head_decode(&head, &number, key, body) != FM_OK)
        return "cannot be read";
    fm_sums_count_head(&c->tally, &head, true);
    at = fm_keys_number(number);
    if (number != 0 && !held(c, FM_TABLE_CHANGES, &at))
        return "its row in changes is missing";
    at = fm_keys_id(&head.winner);
    if (head.shown && !held(c, FM_TABLE_IDS, &at))
        return "its winner is missing";
    size_t count = fm_heads_entity_keys(&head, keys);
    for (size_t i = 0; i < count; i++)
        if (!held(c, FM_TABLE_BY_ENTITY, &keys[i]))
            return "it is not found by its entity or user";
    if (head.offline_id.len > 0) {
        fm_heads_alias_hash(c->s, hash, head.offline_id);
        at = fm_keys_alias(head.kind, hash, &head.record);
        if (!held(c, FM_TABLE_ALIASES, &at))
            return "it is not found by its offlineId";
    }
    return NULL;
}

static bool head_of(struct fm_scrub *c, const struct fm_record_ref *ref, struct fm_head *head, uint64_t *number)
{
    struct fm_row_key key = fm_keys_record(ref->kind, &ref->record);
    struct fm_span body;
    return look(c, FM_TABLE_HEADS, &key, &body) == FM_OK &&
           fm_value_head_decode(head, number, fm_span(key.b, key.len), body) == FM_OK;
}

static const char *check_change(struct fm_scrub *c, struct fm_span key, struct fm_span body)
{
    struct fm_record_ref ref;
    struct fm_head head;
    uint64_t number, stamp;
    if (fm_value_change_decode(&ref, &stamp, body) != FM_OK)
        return "cannot be read";
    c->tally.change_number = fm_keys_read_number(key);
    if (!head_of(c, &ref, &head, &number) || number != c->tally.change_number)
        return "its record is missing or has another number";
    if (stamp < c->last_stamp)
        return "stamps go back";
    c->last_stamp = stamp;
    return NULL;
}

static const char *check_found_by(struct fm_scrub *c, enum fm_table table, struct fm_span key)
{
    uint8_t hash[FM_KEYS_OFFLINE_HASH_BYTES];
    struct fm_record_ref ref = fm_keys_read_record(key, 16);
    struct fm_row_key keys[2];
    struct fm_head head;
    uint64_t number;
    size_t count = 1;
    if (table == FM_TABLE_ALIASES) { /* kind · hash · record */
        ref.kind = key.data[0];
        memcpy(ref.record.b, key.data + 25, sizeof(ref.record.b));
    }
    if (!head_of(c, &ref, &head, &number))
        return "its record is missing";
    if (table == FM_TABLE_ALIASES) {
        fm_heads_alias_hash(c->s, hash, head.offline_id);
        keys[0] = fm_keys_alias(head.kind, hash, &head.record);
        count = head.offline_id.len > 0 ? 1 : 0;
    } else {
        count = fm_heads_entity_keys(&head, keys);
    }
    for (size_t i = 0; i < count; i++)
        if (memcmp(keys[i].b, key.data, key.len) == 0)
            return NULL;
    return "its record does not say so";
}

static const char *check_conflict(struct fm_scrub *c, struct fm_span key, struct fm_span body)
{
    struct fm_conflict entry;
    struct fm_conflict_id id;
    struct fm_record_ref ref;
    struct fm_row_key row;
    struct fm_span value;
    struct fm_version v;
    if (fm_versions_conflict(&entry, key, body) != FM_OK)
        return "cannot be read";
    fm_conflict_id_of(&id, c->s->crypto, entry.kind, &entry.record, &entry.version);
    if (!fm_id_eq(&id, &entry.id))
        return "has another id";
    row = fm_keys_id(&entry.version);
    if (look(c, FM_TABLE_IDS, &row, &value) != FM_OK ||
        fm_value_id_decode(&row, &ref, &entry.version, value) != FM_OK ||
        look(c, FM_TABLE_VERSIONS, &row, &value) != FM_OK ||
        fm_value_version_decode(&v, fm_span(row.b, row.len), value, NULL) != FM_OK)
        return "its version is missing";
    return is_entry(&v) ? NULL : "its version is no conflict";
}

static const char *check_index(struct fm_scrub *c, enum fm_table table, struct fm_span key, enum fm_table leads_to)
{
    struct fm_row_key at = fm_keys_copy(key);
    struct fm_conflict entry;
    struct fm_span body;
    int error = leads_to == FM_TABLE_LOG ? fm_txn_get_raw(c->s, leads_to, &at, &body)
                                         : look(c, leads_to, &at, &body);
    if (error != FM_OK)
        return "names what is missing";
    if (table == FM_TABLE_OPEN && (fm_versions_conflict(&entry, key, body) != FM_OK || entry.place != FM_PLACE_OPEN))
        return "names a conflict that is not open";
    return NULL;
}

static const char *check_meta(struct fm_scrub *c, struct fm_span key, struct fm_span body)
{
    static const char sums[] = "ssums";
    struct fm_sums stored;
    if (!fm_span_eq(key, fm_span(sums, sizeof(sums) - 1)))
        return NULL;
    if (fm_sums_decode(&stored, body) != FM_OK || (c->s->txn == NULL && memcmp(&stored, &c->s->kept, sizeof(stored)) != 0))
        return "the running numbers are not those in memory";
    return NULL;
}

static const char *check(struct fm_scrub *c, enum fm_table table, struct fm_span key, struct fm_span body)
{
    switch (table) {
    case FM_TABLE_META:
        return check_meta(c, key, body);
    case FM_TABLE_STREAMS:
        return check_set(c, key, body);
    case FM_TABLE_TIPS:
        return check_tips(c, key, body);
    case FM_TABLE_VERSIONS:
        return check_version(c, key, body);
    case FM_TABLE_IDS:
        return check_id(c, key, body);
    case FM_TABLE_HEADS:
        return check_head(c, key, body);
    case FM_TABLE_CHANGES:
        return check_change(c, key, body);
    case FM_TABLE_BY_ENTITY:
    case FM_TABLE_ALIASES:
        return check_found_by(c, table, key);
    case FM_TABLE_CONFLICTS:
        return check_conflict(c, key, body);
    case FM_TABLE_OPEN:
        return check_index(c, table, key, FM_TABLE_CONFLICTS);
    case FM_TABLE_UNCOUNTED:
        return check_index(c, table, key, FM_TABLE_LOG);
    case FM_TABLE_STATEMENTS:
        return body.len < 8 ? "cannot be read" : NULL;
    case FM_TABLE_LOG:
    case FM_TABLE_WAITS:   /* what it waits for is not held, by its nature */
    case FM_TABLE_TOUCHED: /* to be folded: its head may be yet to come */
    case FM_TABLE_NOTES:
    case FM_TABLE_END:
    default:
        break;
    }
    return NULL;
}

void fm_links_check(struct fm_scrub *c, enum fm_table table, struct fm_span key, struct fm_span body)
{
    c->unread = false;
    const char *what = check(c, table, key, body);
    if (what == NULL && c->unread)
        what = "a row beside it cannot be read";
    if (what != NULL)
        fm_scrub_say(c->v, table, key, what);
}
