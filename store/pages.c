/* What LMDB's file says of itself, and LMDB does not check. A page on its list of free pages that is in use would be
 * overwritten by one of the next commits, long after a scrub of the rows alone had found nothing. Data pages carry their
 * number in their first bytes, so each row tells where it lies. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/scrub.h"

/* LMDB 0.9, 64 bit: a meta page is a page header (16), magic, version, address (8), map size (8), two tables (48 each), last
 * page (8), transaction (8). */
#define META_PAGE_BYTES_AT 40u
#define META_ROOT_AT 128u /* of the table of tables; all ones: none */
#define META_LAST_PAGE_AT 136u
#define META_TXN_AT 144u
/* How far behind its last page a file may end: pages that were taken and given back in one commit are never written. */
#define UNWRITTEN_BYTES (UINT64_C(1) << 30)

struct meta {
    uint64_t txn, root, last_page;
    uint32_t page_bytes;
};

static int read_meta(int fd, off_t at, struct meta *out)
{
    uint8_t page[META_TXN_AT + 8];
    ssize_t got = pread(fd, page, sizeof(page), at);
    if (got != (ssize_t)sizeof(page))
        return got < 0 ? fm_env_errno(errno) : FM_ECORRUPT;
    memcpy(&out->page_bytes, page + META_PAGE_BYTES_AT, sizeof(out->page_bytes));
    memcpy(&out->last_page, page + META_LAST_PAGE_AT, sizeof(out->last_page));
    memcpy(&out->txn, page + META_TXN_AT, sizeof(out->txn));
    memcpy(&out->root, page + META_ROOT_AT, sizeof(out->root));
    return FM_OK;
}

int fm_pages_fit(const char *data)
{
    struct meta first, second;
    struct stat st;
    if (stat(data, &st) != 0)
        return errno == ENOENT ? FM_OK : fm_env_errno(errno);
    int fd = open(data, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fm_env_errno(errno);
    int error = read_meta(fd, 0, &first);
    if (error == FM_OK)
        error = first.page_bytes == 0 ? FM_ECORRUPT : read_meta(fd, first.page_bytes, &second);
    close(fd);
    if (error != FM_OK)
        return error;
    uint64_t last = second.txn > first.txn ? second.last_page : first.last_page;
    uint64_t fits = ((uint64_t)st.st_size + UNWRITTEN_BYTES) / (uint64_t)sysconf(_SC_PAGESIZE);
    return last > fits ? FM_ECORRUPT : FM_OK;
}

/* An entry of table 0, the list of free pages by the commit that freed them: how many, then their numbers. */
static size_t number_in(MDB_val list, size_t i)
{
    size_t number;
    memcpy(&number, (const uint8_t *)list.mv_data + i * sizeof(number), sizeof(number));
    return number;
}

static bool is_list(MDB_val list)
{
    return list.mv_size >= sizeof(size_t) && number_in(list, 0) < list.mv_size / sizeof(size_t);
}

/* Has this commit freed this page? FM_ECORRUPT if not. */
static int check_freed(struct fm_store *s, MDB_txn *txn, size_t commit, size_t page)
{
    MDB_val key = {.mv_size = sizeof(commit), .mv_data = &commit}, list;
    MDB_cursor *cursor;
    bool freed = false;
    int error = fm_txn_error(s, mdb_cursor_open(txn, 0, &cursor));
    if (error != FM_OK)
        return error;
    error = fm_txn_held(fm_txn_error(s, mdb_cursor_get(cursor, &key, &list, MDB_SET)));
    if (error == FM_OK) {
        for (size_t i = is_list(list) ? number_in(list, 0) : 0; i > 0 && !freed; i--)
            freed = number_in(list, i) == page;
        error = freed ? FM_OK : FM_ECORRUPT;
    }
    mdb_cursor_close(cursor);
    return error;
}

int fm_pages_free(struct fm_store *s, MDB_txn *txn, size_t *pages)
{
    MDB_cursor *cursor;
    MDB_val key, list;
    int error = fm_txn_error(s, mdb_cursor_open(txn, 0, &cursor));
    *pages = 0;
    if (error != FM_OK)
        return error;
    while ((error = fm_txn_error(s, mdb_cursor_get(cursor, &key, &list, MDB_NEXT))) == FM_OK && is_list(list))
        *pages += number_in(list, 0);
    mdb_cursor_close(cursor);
    return error == FM_OK ? FM_ECORRUPT : fm_scan_end(error);
}

/* The two meta pages hold the last two commits, even ones in the first. A damaged transaction number would make LMDB
 * take the older one for the newest: a commit lost without a word. What a commit replaces it frees, so the newest one
 * must have freed the root that the older one names. */
int fm_pages_metas(struct fm_store *s)
{
    struct meta m[2];
    MDB_stat stat;
    MDB_txn *txn;
    int fd, error = FM_OK;
    fm_txn_sure(mdb_env_stat(s->env, &stat));
    fm_txn_sure(mdb_env_get_fd(s->env, &fd));
    for (unsigned i = 0; error == FM_OK && i < 2; i++)
        error = read_meta(fd, (off_t)i * stat.ms_psize, &m[i]);
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
    error = check_freed(s, txn, newer.txn, older.root);
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

/* One entry of the list: its page numbers fall, none is in use, and no other entry lists it. */
static bool check_list(struct fm_scrub *c, MDB_val list, size_t *total)
{
    size_t page, above = SIZE_MAX;
    if (!is_list(list))
        return false;
    for (size_t i = 1; i <= number_in(list, 0); i++, above = page) {
        page = number_in(list, i);
        if (page >= above || page < 2 || page >= c->pages || is_live(c, page))
            return false;
        c->live[page / 8] |= (uint8_t)(1u << (page % 8));
    }
    *total += number_in(list, 0);
    return true;
}

int fm_pages_check(struct fm_scrub *c, MDB_txn *txn)
{
    struct fm_span name = fm_span_str("free pages");
    size_t total = 2 + c->used_pages; /* the two first ones are of no table */
    MDB_cursor *cursor;
    MDB_val key, list;
    if (c->s->txn != NULL)
        return FM_OK;
    int error = fm_txn_error(c->s, mdb_cursor_open(txn, 0, &cursor));
    if (error != FM_OK)
        return error;
    while ((error = fm_txn_error(c->s, mdb_cursor_get(cursor, &key, &list, MDB_NEXT))) == FM_OK)
        if (!check_list(c, list, &total)) {
            error = FM_ECORRUPT;
            break;
        }
    mdb_cursor_close(cursor);
    if (error == FM_ECORRUPT)
        fm_scrub_say(c->v, FM_TABLE_META, name, "LMDB's list of free pages is damaged");
    else if (error == FM_ENOTFOUND && total != c->pages)
        fm_scrub_say(c->v, FM_TABLE_META, name, "used and free pages do not add up");
    return fm_scrub_goes_on(error);
}
