/* The core's rows become table rows; the shell's notes too. */
#include <assert.h>

#include "store/base.h"

static int put_mark(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, bool present)
{
    return present ? fm_txn_put(s, table, key, fm_span(NULL, 0), 0) : fm_txn_del(s, table, key, false);
}

static int put_statement(struct fm_store *s, const struct fm_row *row)
{
    struct fm_row_key key = fm_keys_statement(row->statement_kind, &row->signer);
    struct fm_buf body;
    uint8_t counter[8];
    fm_buf_init(&body, 0);
    fm_be_put(counter, row->counter, sizeof(counter));
    int error = fm_buf_add(&body, counter, sizeof(counter));
    if (error == FM_OK)
        error = fm_buf_add(&body, row->bytes.data, row->bytes.len);
    error = error == FM_OK ? fm_txn_put(s, FM_TABLE_STATEMENTS, &key, fm_buf_span(&body), 0) : fm_txn_fail(s, error);
    fm_buf_fini(&body);
    return error;
}

static int put_name(struct fm_store *s, enum fm_table table, char space, const char *name, struct fm_span value)
{
    struct fm_row_key key;
    if (!fm_keys_name(&key, space, name))
        return fm_txn_fail(s, FM_EINVAL);
    return fm_txn_put(s, table, &key, value, 0);
}

int fm_store_apply(struct fm_store *s, const struct fm_row *row)
{
    struct fm_row_key key;
    assert(s->txn != NULL && s->reading == 0 && row->kind <= FM_ROW_META);
    if (s->error != FM_OK)
        return s->error;
    switch (row->kind) {
    case FM_ROW_SET:
        return fm_sets_put(s, row->meta, row->bytes);
    case FM_ROW_VERDICT:
        return fm_sets_verdict(s, row->meta);
    case FM_ROW_STREAM:
        return fm_sets_tips(s, row->stream);
    case FM_ROW_VERSION:
        return fm_versions_put(s, row->version, row->before);
    case FM_ROW_HEAD:
        return fm_heads_put(s, row->head, row->head_before == NULL, row->changed);
    case FM_ROW_WAIT:
        key = fm_keys_wait(&row->waits_for, row->record_kind, &row->record);
        return put_mark(s, FM_TABLE_WAITS, &key, row->present);
    case FM_ROW_TOUCH:
        key = fm_keys_record(row->record_kind, &row->record);
        return put_mark(s, FM_TABLE_TOUCHED, &key, row->present);
    case FM_ROW_STATEMENT:
        return put_statement(s, row);
    case FM_ROW_META:
    default:
        break;
    }
    return put_name(s, FM_TABLE_META, FM_KEYS_SPACE_CORE, row->name, row->bytes);
}

int fm_store_note_put(struct fm_store *s, const char *name, struct fm_span value)
{
    assert(s->txn != NULL);
    return put_name(s, FM_TABLE_NOTES, 0, name, value);
}

int fm_store_note_get(struct fm_store *s, const char *name, struct fm_buf *out)
{
    struct fm_row_key key;
    struct fm_span body;
    MDB_txn *txn;
    if (!fm_keys_name(&key, 0, name))
        return FM_ENOTFOUND;
    int error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    error = fm_txn_get(s, FM_TABLE_NOTES, &key, &body);
    if (error == FM_OK)
        error = fm_buf_add(out, body.data, body.len);
    fm_txn_read_end(s);
    return error;
}
