/* Emptying what can be rebuilt, and what must not outlive a restore. */
#include <assert.h>

#include "store/base.h"

int fm_store_clear_derived(struct fm_store *s)
{
    assert(s->txn != NULL);
    for (int t = FM_TABLE_META; t < FM_TABLE_END && s->error == FM_OK; t++)
        if (fm_keys_derived((enum fm_table)t))
            fm_txn_fail(s, fm_txn_error(s, mdb_drop(s->txn, s->dbi[t], 0)));
    s->dirty = true;
    const struct fm_sums old = s->now;
    /* Stamps never go back (rule 33); arrivals are the log's. Who followed the old numbers starts
     * again: a new changes id. */
    s->now = (struct fm_sums){.store_id = old.store_id, .fresh = old.fresh, .arrival_last = old.arrival_last,
                              .stamp = old.stamp};
    s->now.changes_id = fm_sums_fresh(s);
    return s->error;
}

/* DESIGN.md section 5: a restored store is another place in time; its incarnation may have been written on elsewhere. */
int fm_store_restored(struct fm_store *s)
{
    static const char *const notes[] = {"machine", "open-counter"};
    struct fm_row_key key;
    assert(s->txn != NULL);
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        fm_keys_name(&key, 0, notes[i]);
        fm_txn_del(s, FM_TABLE_NOTES, &key, false);
    }
    fm_keys_name(&key, FM_KEYS_SPACE_CORE, FM_META_INCARNATION);
    fm_txn_del(s, FM_TABLE_META, &key, false);
    s->now.store_id = fm_sums_fresh(s);
    s->now.changes_id = fm_sums_fresh(s);
    s->dirty = true;
    return s->error;
}
