#include "store/base.h"

int fm_scan_open(struct fm_scan *scan, struct fm_store *s, enum fm_table table, const struct fm_row_key *from,
                 size_t prefix_len)
{
    MDB_txn *txn;
    *scan = (struct fm_scan){.s = s, .table = table, .prefix_len = prefix_len};
    if (from != NULL)
        scan->from = *from;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_error(s, mdb_cursor_open(txn, s->dbi[table], &scan->cursor));
    if (error != FM_OK)
        fm_txn_read_end(s);
    return error;
}

void fm_scan_close(struct fm_scan *scan)
{
    mdb_cursor_close(scan->cursor);
    fm_txn_read_end(scan->s);
}

int fm_scan_next_raw(struct fm_scan *scan, struct fm_span *key, struct fm_span *value)
{
    MDB_val k = {.mv_size = scan->from.len, .mv_data = scan->from.b}, v;
    MDB_cursor_op op = scan->started ? MDB_NEXT : scan->from.len > 0 ? MDB_SET_RANGE : MDB_FIRST;
    scan->started = true;
    int rc = mdb_cursor_get(scan->cursor, &k, &v, op);
    if (rc != 0)
        return fm_txn_error(scan->s, rc);
    *key = fm_span(k.mv_data, k.mv_size);
    *value = fm_span(v.mv_data, v.mv_size);
    size_t width = fm_keys_width(scan->table);
    if (width != 0 ? key->len != width : key->len == 0 || key->len > FM_ROW_KEY_BYTES_MAX)
        return FM_ECORRUPT;
    if (memcmp(key->data, scan->from.b, scan->prefix_len) != 0)
        return FM_ENOTFOUND;
    return FM_OK;
}

int fm_scan_next(struct fm_scan *scan, struct fm_span *key, struct fm_span *body)
{
    struct fm_span value;
    int error = fm_scan_next_raw(scan, key, &value);
    if (error != FM_OK)
        return error;
    return fm_value_open(scan->s->crypto, scan->table, *key, value, body);
}
