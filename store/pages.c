/* What LMDB's file says of itself, and LMDB does not check. A page on its list of free pages that is in use would be
 * overwritten by one of the next commits, long after a scrub of the rows alone had found nothing. Data pages carry their
 * number in their first bytes, so each row tells where it lies. */
#include <unistd.h>

#include "store/scrub.h"

/* LMDB 0.9, 64 bit: a meta page is a page header (16), magic, version, address (8), map size (8), two tables (48 each), last
 * page (8), transaction (8). */
#define META_MAGIC 0xbeefc0deu
#define META_MAGIC_AT 16u
#define META_ROOT_AT 128u /* of the table of tables; all ones: none */
#define META_TXN_AT 144u

struct meta {
    uint64_t txn, root;
};

static int read_meta(int fd, off_t at, struct meta *out)
{
    uint8_t page[META_TXN_AT + 8];
    uint32_t magic;
    if (pread(fd, page, sizeof(page), at) != (ssize_t)sizeof(page))
        return FM_ECORRUPT;
    memcpy(&magic, page + META_MAGIC_AT, sizeof(magic));
    memcpy(&out->txn, page + META_TXN_AT, sizeof(out->txn));
    memcpy(&out->root, page + META_ROOT_AT, sizeof(out->root));
    return magic == META_MAGIC ? FM_OK : FM_ECORRUPT;
}

/* Did commit `number` free this page? */
static bool freed_by(MDB_txn *txn, size_t number, size_t page)
{
    MDB_val key = {.mv_size = sizeof(number), .mv_data = &number}, value;
    MDB_cursor *cursor;
    size_t count = 0, one = 0;
    bool found = false;
    if (mdb_cursor_open(txn, 0, &cursor) != 0)
        return false;
    if (mdb_cursor_get(cursor, &key, &value, MDB_SET) == 0 && value.mv_size >= sizeof(count))
        memcpy(&count, value.mv_data, sizeof(count));
    for (size_t i = 1; i <= count && (i + 1) * sizeof(one) <= value.mv_size && !found; i++) {
        memcpy(&one, (const uint8_t *)value.mv_data + i * sizeof(one), sizeof(one));
        found = one == page;
    }
    mdb_cursor_close(cursor);
    return found;
}

/* The two meta pages hold the last two commits, even ones in the first. A damaged transaction number would make LMDB
 * take the older one for the newest: a commit lost without a word. What a commit replaces it frees, so the newest one
 * must have freed the root that the older one names. */
int fm_pages_metas(struct fm_store *s)
{
    struct meta m[2];
    MDB_stat stat;
    MDB_txn *txn;
    int fd, error = fm_txn_error(s, mdb_env_stat(s->env, &stat));
    if (error == FM_OK)
        error = fm_txn_error(s, mdb_env_get_fd(s->env, &fd));
    for (unsigned i = 0; error == FM_OK && i < 2; i++)
        error = read_meta(fd, (off_t)(i * stat.ms_psize), &m[i]);
    if (error != FM_OK)
        return error;
    if (m[0].txn % 2 != 0 || (m[1].txn % 2 != 1 && m[1].txn != 0))
        return FM_ECORRUPT;
    struct meta newer = m[0].txn > m[1].txn ? m[0] : m[1], older = m[0].txn > m[1].txn ? m[1] : m[0];
    if (older.txn == 0) /* no commit yet, or one */
        return older.root == UINT64_MAX && (newer.txn == 1 || newer.root == UINT64_MAX) ? FM_OK : FM_ECORRUPT;
    if (newer.txn != older.txn + 1)
        return FM_ECORRUPT;
    error = fm_txn_read_begin(s, &txn);
    if (error != FM_OK)
        return error;
    if (!freed_by(txn, newer.txn, older.root))
        error = FM_ECORRUPT;
    fm_txn_read_end(s);
    return error;
}

static size_t page_of(const struct fm_scrub *c, const void *data)
{
    const uint8_t *start = (const uint8_t *)((uintptr_t)data & ~((uintptr_t)c->page_bytes - 1));
    size_t number;
    memcpy(&number, start, sizeof(number));
    return number;
}

static bool is_live(const struct fm_scrub *c, size_t page)
{
    return (c->live[page / 8] >> (page % 8)) & 1;
}

void fm_pages_seen(struct fm_scrub *c, struct fm_span value)
{
    if (c->s->txn != NULL)
        return; /* an open transaction's pages lie in memory */
    size_t page = page_of(c, value.data), offset = (uintptr_t)value.data & (c->page_bytes - 1), count = 1;
    if (offset + value.len > c->page_bytes) /* a long value has pages of its own */
        count = (offset + value.len + c->page_bytes - 1) / c->page_bytes;
    if (page >= c->pages || count > c->pages - page) {
        fm_scrub_say(c->v, FM_TABLE_META, fm_span_str("pages"), "a page's own number is wrong");
        return;
    }
    for (size_t i = page; i < page + count; i++)
        c->live[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* One entry of the list: how many, then page numbers, falling. */
static bool check_list(struct fm_scrub *c, MDB_val value, size_t *total)
{
    size_t count, page, above = SIZE_MAX;
    if (value.mv_size < sizeof(count))
        return false;
    memcpy(&count, value.mv_data, sizeof(count));
    if (count > value.mv_size / sizeof(count) - 1)
        return false;
    for (size_t i = 1; i <= count; i++) {
        memcpy(&page, (const uint8_t *)value.mv_data + i * sizeof(page), sizeof(page));
        if (page >= above || page < 2 || page >= c->pages || is_live(c, page))
            return false;
        c->live[page / 8] |= (uint8_t)(1u << (page % 8)); /* nor may another entry list it */
        above = page;
    }
    *total += count;
    return true;
}

static size_t used_by(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_stat stat = {0};
    return mdb_stat(txn, dbi, &stat) == 0 ? stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages : 0;
}

void fm_pages_check(struct fm_scrub *c)
{
    struct fm_span name = fm_span_str("free pages");
    size_t total = 2; /* the two first pages */
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_txn *txn;
    bool good = true;
    int rc;
    if (c->s->txn != NULL || fm_txn_read_begin(c->s, &txn) != FM_OK)
        return;
    for (int t = FM_TABLE_META; t < FM_TABLE_END; t++)
        total += used_by(txn, c->s->dbi[t]);
    total += used_by(txn, 0) + used_by(txn, 1); /* the list itself, and the table of tables */
    rc = mdb_cursor_open(txn, 0, &cursor);
    if (rc == 0) {
        while (good && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
            good = check_list(c, value, &total);
        mdb_cursor_close(cursor);
    }
    if (!good || (rc != 0 && rc != MDB_NOTFOUND))
        fm_scrub_say(c->v, FM_TABLE_META, name, "LMDB's list of free pages is damaged");
    else if (total != c->pages)
        fm_scrub_say(c->v, FM_TABLE_META, name, "used and free pages do not add up");
    fm_txn_read_end(c->s);
}
