/* Records that share an offlineId (rule 54): all are kept, the lowest id answers for it, the others are told of. */
#include "store/base.h"

int fm_store_namesakes(struct fm_store *s, uint8_t kind, struct fm_span offline_id, struct fm_record_id *out, size_t max,
                       size_t *count)
{
    uint8_t hash[FM_KEYS_OFFLINE_HASH_BYTES];
    struct fm_span key, body;
    struct fm_scan scan;
    *count = 0;
    if (offline_id.len == 0)
        return s->dead;
    fm_heads_alias_hash(s, hash, offline_id);
    struct fm_row_key from = fm_keys_alias_prefix(kind, hash);
    int error = fm_scan_open(&scan, s, FM_TABLE_ALIASES, &from, from.len);
    if (error != FM_OK)
        return error;
    while (*count < max && (error = fm_scan_next(&scan, &key, &body)) == FM_OK)
        out[(*count)++] = fm_keys_read_record(key, from.len - 1).record;
    fm_scan_close(&scan);
    return fm_scan_end(error);
}

int fm_store_duplicates(struct fm_store *s, const struct fm_duplicate *after, struct fm_duplicate *out, size_t max,
                        size_t *count)
{
    enum { SHARED = 1 + FM_KEYS_OFFLINE_HASH_BYTES }; /* kind and hash */
    struct fm_row_key from = {.len = 0}, last = {.len = 0};
    struct fm_span key, body;
    struct fm_scan scan;
    int error = FM_OK;
    *count = 0;
    if (after != NULL)
        from = fm_keys_copy(fm_span(after->at, sizeof after->at)); /* it is found again, and begins the comparison */
    error = fm_scan_open(&scan, s, FM_TABLE_ALIASES, after != NULL ? &from : NULL, 0);
    if (error != FM_OK)
        return error;
    while (*count < max && (error = fm_scan_next(&scan, &key, &body)) == FM_OK) {
        struct fm_row_key at = fm_keys_copy(key);
        if (last.len > 0 && memcmp(last.b, at.b, SHARED) == 0) {
            struct fm_duplicate *d = &out[(*count)++];
            d->kind = at.b[0];
            d->record = fm_keys_read_record(key, SHARED - 1).record;
            d->other = fm_keys_read_record(fm_span(last.b, last.len), SHARED - 1).record;
            memcpy(d->at, at.b, sizeof d->at);
        }
        last = at;
    }
    fm_scan_close(&scan);
    return fm_scan_end(error);
}
