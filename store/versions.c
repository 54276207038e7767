/* Version rows, the way from an id to its row, and the conflict entries that follow from where versions stand. */
#include "store/base.h"

static bool is_conflict(const struct fm_version *v)
{
    return v != NULL && (v->place == FM_PLACE_OPEN || v->place == FM_PLACE_REPLACED || v->place == FM_PLACE_SETTLED);
}

static bool same_entry(const struct fm_version *a, const struct fm_version *b)
{
    return a->place == b->place && a->cls == b->cls && a->has_by == b->has_by && (!a->has_by || fm_id_eq(&a->by, &b->by));
}

static void put_conflict(struct fm_store *s, const struct fm_version *v, const struct fm_version *before)
{
    bool was = is_conflict(before), is = is_conflict(v);
    bool was_open = was && before->place == FM_PLACE_OPEN, is_open = is && v->place == FM_PLACE_OPEN;
    uint8_t body[FM_VALUE_CONFLICT_BYTES];
    struct fm_conflict_id id;
    if ((!was && !is) || (was && is && same_entry(v, before)))
        return;
    fm_conflict_id_of(&id, s->crypto, v->kind, &v->record, &v->id);
    struct fm_row_key key = fm_keys_conflict(&id);
    if (is)
        fm_txn_put(s, FM_TABLE_CONFLICTS, &key, fm_span(body, fm_value_conflict_encode(body, v)), was ? 0 : MDB_NOOVERWRITE);
    else
        fm_txn_del(s, FM_TABLE_CONFLICTS, &key, true);
    if (is_open && !was_open)
        fm_txn_put(s, FM_TABLE_OPEN, &key, fm_span(NULL, 0), MDB_NOOVERWRITE);
    else if (was_open && !is_open)
        fm_txn_del(s, FM_TABLE_OPEN, &key, true);
}

int fm_versions_put(struct fm_store *s, const struct fm_version *v, const struct fm_version *before)
{
    uint8_t body[FM_VALUE_VERSION_BYTES_MAX], place[FM_VALUE_ID_BYTES];
    struct fm_row_key key = fm_keys_version(v), id = fm_keys_id(&v->id);
    bool moved = true;
    if (before != NULL) {
        struct fm_row_key old = fm_keys_version(before);
        moved = memcmp(old.b, key.b, key.len) != 0;
        if (moved)
            fm_txn_del(s, FM_TABLE_VERSIONS, &old, true);
        fm_sums_count_version(&s->now, before, false);
    }
    size_t len = fm_value_version_encode(body, v);
    fm_txn_put(s, FM_TABLE_VERSIONS, &key, fm_span(body, len), moved ? MDB_NOOVERWRITE : 0);
    if (moved) {
        len = fm_value_id_encode(place, &key);
        fm_txn_put(s, FM_TABLE_IDS, &id, fm_span(place, len), before == NULL ? MDB_NOOVERWRITE : 0);
    }
    fm_sums_count_version(&s->now, v, true);
    put_conflict(s, v, before);
    return s->error;
}

int fm_versions_conflict(struct fm_conflict *out, struct fm_span key, struct fm_span body)
{
    if (body.len != FM_VALUE_CONFLICT_BYTES)
        return FM_ECORRUPT;
    struct fm_record_ref ref = fm_keys_read_record(body, 0);
    *out = (struct fm_conflict){.kind = ref.kind, .record = ref.record, .place = body.data[41], .cls = body.data[42],
                                .has_by = body.data[43] != 0};
    memcpy(out->id.b, key.data, sizeof(out->id.b));
    memcpy(out->version.b, body.data + 17, sizeof(out->version.b));
    memcpy(out->by.b, body.data + 44, sizeof(out->by.b));
    return FM_OK;
}
