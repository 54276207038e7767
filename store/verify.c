/* The scrub: everything is read once and held against everything it can be checked by. It trusts
 * nothing, but LMDB itself may crash on a damaged page: run it in a child process (TRAPS L14). */
#include <assert.h>

#include "store/scrub.h"

#define SAY_MAX 1000u

void fm_scrub_say(struct fm_store_verify *v, enum fm_table table, struct fm_span key, const char *what)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * 24 + 1], line[256];
    size_t len = key.len < 24 ? key.len : 24;
    v->problems++;
    if (v->say == NULL || v->problems > SAY_MAX)
        return;
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[key.data[i] >> 4];
        hex[2 * i + 1] = digits[key.data[i] & 15];
    }
    hex[2 * len] = '\0';
    snprintf(line, sizeof(line), "%s %s: %s", fm_keys_table_name(table), hex, what);
    v->say(v->ctx, line);
}

/* A lookup from the root must lead where the walk is: else a branch page is damaged. */
static void check_found(struct fm_scrub *c, enum fm_table table, struct fm_span key, struct fm_span value)
{
    struct fm_row_key at = fm_keys_copy(key);
    struct fm_span again;
    if (fm_txn_get_raw(c->s, table, &at, &again) != FM_OK)
        fm_scrub_say(c->v, table, key, "is in the table, but a look-up does not find it");
    else if (again.data != value.data)
        fm_scrub_say(c->v, table, key, "a look-up finds another row");
}

static void check_log(struct fm_scrub *c, struct fm_span key, struct fm_span value)
{
    struct fm_log_entry entry;
    struct fm_set_meta meta;
    c->v->sets++;
    if (fm_sets_log_open(c->s, &entry, key, value) != FM_OK)
        fm_scrub_say(c->v, FM_TABLE_LOG, key, "is no change set");
    else if (fm_sets_log_check(c->s, &entry, key, value) != FM_OK)
        fm_scrub_say(c->v, FM_TABLE_LOG, key, "does not fit its hashes");
    else if (fm_sets_meta(c->s, &entry, &meta) != FM_OK)
        fm_scrub_say(c->v, FM_TABLE_LOG, key, "has no index row of this id");
    c->tally.arrival_last = fm_keys_read_number(key);
}

static void check_row(struct fm_scrub *c, enum fm_table table, struct fm_span key, struct fm_span value)
{
    struct fm_span body;
    c->v->rows++;
    fm_pages_seen(c, value);
    check_found(c, table, key, value);
    if (table == FM_TABLE_LOG)
        check_log(c, key, value);
    else if (fm_value_open(c->s->crypto, table, key, value, &body) != FM_OK)
        fm_scrub_say(c->v, table, key, "does not fit its check");
    else
        fm_links_check(c, table, key, body);
    if ((++c->done & 1023) == 0 && c->v->progress.at != NULL)
        c->v->progress.at(c->v->progress.ctx, c->done, c->total);
}

static int check_table(struct fm_scrub *c, enum fm_table table, uint64_t entries)
{
    struct fm_row_key last = {.len = 0};
    struct fm_span key, value;
    struct fm_scan scan;
    uint64_t count = 0;
    int error = fm_scan_open(&scan, c->s, table, NULL, 0);
    if (error != FM_OK)
        return error;
    while ((error = fm_scan_next_raw(&scan, &key, &value)) == FM_OK) {
        size_t least = key.len < last.len ? key.len : last.len;
        int order = memcmp(last.b, key.data, least);
        if (order > 0 || (order == 0 && last.len >= key.len)) {
            fm_scrub_say(c->v, table, key, "keys do not rise");
            break; /* a walk in a circle would have no end */
        }
        last = fm_keys_copy(key);
        check_row(c, table, key, value);
        count++;
    }
    fm_scan_close(&scan);
    if (error == FM_ECORRUPT)
        fm_scrub_say(c->v, table, fm_span(NULL, 0), "cannot be walked to its end");
    else if (error == FM_ENOTFOUND && count != entries)
        fm_scrub_say(c->v, table, fm_span(NULL, 0), "has not as many rows as it should");
    return fm_scrub_goes_on(error);
}

/* The running numbers against what was counted, and the stored row against the numbers in memory. */
static void check_sums(struct fm_scrub *c)
{
    static const char *const names[] = {"arrival", "change number", "sets", "versions", "records", "record sum", "others"};
    const struct fm_sums *a = &c->tally, *b = &c->s->now;
    bool same[] = {a->arrival_last == b->arrival_last,
                   a->change_number == b->change_number && c->last_stamp <= b->stamp,
                   a->sets == b->sets && a->void_sets == b->void_sets && a->quarantined_sets == b->quarantined_sets &&
                       a->unreadable_sets == b->unreadable_sets,
                   a->versions == b->versions && a->waiting == b->waiting && a->void_versions == b->void_versions &&
                       a->quarantined_versions == b->quarantined_versions,
                   a->records == b->records && memcmp(a->by_kind, b->by_kind, sizeof(a->by_kind)) == 0,
                   memcmp(a->record_sum, b->record_sum, sizeof(a->record_sum)) == 0,
                   a->open == b->open && a->replaced == b->replaced && a->settled == b->settled};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        if (!same[i])
            fm_scrub_say(c->v, FM_TABLE_META, fm_span_str(names[i]), "the running numbers are not what is there");
}

/* How many rows each table has, and how many pages all have; also the list of free pages (0) and the table of tables (1). */
static int measure(struct fm_scrub *c, MDB_txn *txn, uint64_t entries[FM_TABLE_END])
{
    MDB_envinfo info;
    MDB_stat stat;
    fm_txn_sure(mdb_env_info(c->s->env, &info));
    fm_txn_sure(mdb_env_stat(c->s->env, &stat));
    c->pages = info.me_last_pgno + 1;
    c->page_bytes = stat.ms_psize;
    for (int t = FM_TABLE_META - 2; t < FM_TABLE_END; t++) {
        int error = fm_txn_error(c->s, mdb_stat(txn, t < FM_TABLE_META ? (MDB_dbi)(t + 1) : c->s->dbi[t], &stat));
        if (error != FM_OK)
            return error;
        c->used_pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        if (t < FM_TABLE_META)
            continue;
        entries[t] = stat.ms_entries;
        c->total += stat.ms_entries;
    }
    return FM_OK;
}

static int scrub(struct fm_scrub *c, MDB_txn *txn)
{
    uint64_t entries[FM_TABLE_END];
    int error = measure(c, txn, entries);
    if (error != FM_OK)
        return error;
    c->live = calloc(1, c->pages / 8 + 1);
    if (c->live == NULL)
        return FM_ENOMEM;
    for (int t = FM_TABLE_META; t < FM_TABLE_END && error == FM_OK; t++)
        error = check_table(c, (enum fm_table)t, entries[t]);
    if (error != FM_OK)
        return error;
    check_sums(c);
    return fm_pages_check(c, txn);
}

int fm_store_scrub(struct fm_store *s, struct fm_store_verify *v)
{
    struct fm_scrub c = {.s = s, .v = v};
    MDB_txn *txn;
    int error = fm_txn_read_begin(s, &txn); /* one view from the first table to the last */
    if (error != FM_OK)
        return error;
    v->problems = v->sets = v->rows = 0;
    error = scrub(&c, txn);
    free(c.live);
    fm_txn_read_end(s);
    if (error == FM_ESTORE) { /* what LMDB says to everything in a transaction that met a page it cannot read */
        fm_scrub_say(v, FM_TABLE_META, fm_span_str("pages"), "a page cannot be read: what lies behind it was not looked at");
        error = FM_OK;
    }
    if (error == FM_OK && v->progress.at != NULL)
        v->progress.at(v->progress.ctx, c.done, c.total);
    return error;
}
