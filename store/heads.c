/* What records show: heads, and what they are found by (offlineId, entity, user), and the order in which
 * they changed here. */
#include "store/base.h"

void fm_heads_alias_hash(struct fm_store *s, uint8_t out[FM_KEYS_OFFLINE_HASH_BYTES], struct fm_span offline_id)
{
    s->crypto->hash(s->crypto->ctx, out, FM_KEYS_OFFLINE_HASH_BYTES, &offline_id, 1);
}

size_t fm_heads_entity_keys(const struct fm_head *head, struct fm_row_key out[2])
{
    size_t count = 0;
    if (head->has_entity)
        out[count++] = fm_keys_entity(&head->entity, head->kind, &head->record);
    if (head->has_user && head->kind == FM_KIND_ASSIGNMENT && !(head->has_entity && fm_id_eq(&head->user, &head->entity)))
        out[count++] = fm_keys_entity(&head->user, head->kind, &head->record);
    return count;
}

static bool listed(const struct fm_row_key *key, const struct fm_row_key *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(key->b, list[i].b, key->len) == 0)
            return true;
    return false;
}

static void put_entities(struct fm_store *s, const struct fm_head *head, const struct fm_head *old)
{
    struct fm_row_key is[2], was[2];
    size_t is_count = fm_heads_entity_keys(head, is), was_count = old == NULL ? 0 : fm_heads_entity_keys(old, was);
    for (size_t i = 0; i < was_count; i++)
        if (!listed(&was[i], is, is_count))
            fm_txn_del(s, FM_TABLE_BY_ENTITY, &was[i], true);
    for (size_t i = 0; i < is_count; i++)
        if (!listed(&is[i], was, was_count))
            fm_txn_put(s, FM_TABLE_BY_ENTITY, &is[i], fm_span(NULL, 0), MDB_NOOVERWRITE);
}

static void put_alias(struct fm_store *s, const struct fm_head *head, const struct fm_head *old)
{
    uint8_t hash[FM_KEYS_OFFLINE_HASH_BYTES];
    struct fm_row_key key;
    if (old != NULL && fm_span_eq(old->offline_id, head->offline_id))
        return;
    if (old != NULL && old->offline_id.len > 0) {
        fm_heads_alias_hash(s, hash, old->offline_id);
        key = fm_keys_alias(old->kind, hash, &old->record);
        fm_txn_del(s, FM_TABLE_ALIASES, &key, true);
    }
    if (head->offline_id.len > 0) {
        fm_heads_alias_hash(s, hash, head->offline_id);
        key = fm_keys_alias(head->kind, hash, &head->record);
        fm_txn_put(s, FM_TABLE_ALIASES, &key, fm_span(NULL, 0), MDB_NOOVERWRITE);
    }
}

/* Rule 33: one stamp a commit, above all earlier ones whatever the clock says. */
static uint64_t stamp(struct fm_store *s)
{
    if (!s->stamped)
        s->now.stamp = s->now_ms > s->now.stamp ? s->now_ms : s->now.stamp + 1;
    s->stamped = true;
    return s->now.stamp;
}

static uint64_t put_change(struct fm_store *s, const struct fm_head *head, uint64_t old_number)
{
    uint8_t body[FM_VALUE_CHANGE_BYTES];
    const struct fm_record_ref ref = {.kind = head->kind, .record = head->record};
    struct fm_row_key key;
    if (old_number != 0) {
        key = fm_keys_number(old_number);
        fm_txn_del(s, FM_TABLE_CHANGES, &key, true);
    }
    key = fm_keys_number(++s->now.change_number);
    fm_txn_put(s, FM_TABLE_CHANGES, &key, fm_span(body, fm_value_change_encode(body, &ref, stamp(s))), MDB_APPEND);
    return s->now.change_number;
}

/* The old row as stored, not as the caller has it: its change number, and so that what it was found by surely goes. */
static int stored(struct fm_store *s, const struct fm_row_key *key, struct fm_head *out, uint64_t *number,
                  uint8_t offline_id[FM_OFFLINE_ID_BYTES_MAX])
{
    struct fm_span body;
    int error = fm_txn_get(s, FM_TABLE_HEADS, key, &body);
    if (error == FM_OK)
        error = fm_value_head_decode(out, number, fm_span(key->b, key->len), body);
    if (error != FM_OK)
        return error == FM_ENOTFOUND ? FM_EINVAL : error;
    if (out->offline_id.len > 0) {
        memcpy(offline_id, out->offline_id.data, out->offline_id.len); /* it dies at the next put (TRAPS L7) */
        out->offline_id.data = offline_id;
    }
    return FM_OK;
}

int fm_heads_put(struct fm_store *s, const struct fm_head *head, bool is_new, bool changed)
{
    uint8_t body[FM_VALUE_HEAD_BYTES_MAX], offline_id[FM_OFFLINE_ID_BYTES_MAX];
    struct fm_row_key key = fm_keys_record(head->kind, &head->record);
    struct fm_head old;
    uint64_t number = 0;
    if (!is_new) {
        int error = stored(s, &key, &old, &number, offline_id);
        if (error != FM_OK)
            return fm_txn_fail(s, error);
        fm_sums_count_head(&s->now, &old, false);
    }
    if (changed)
        number = put_change(s, head, number);
    size_t len = fm_value_head_encode(body, head, number);
    fm_txn_put(s, FM_TABLE_HEADS, &key, fm_span(body, len), is_new ? MDB_NOOVERWRITE : 0);
    put_entities(s, head, is_new ? NULL : &old);
    put_alias(s, head, is_new ? NULL : &old);
    fm_sums_count_head(&s->now, head, true);
    return s->error;
}
