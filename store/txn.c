#include <assert.h>
#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/base.h"

int fm_txn_error(struct fm_store *s, int rc)
{
    switch (rc) {
    case 0:
        return FM_OK;
    case MDB_NOTFOUND:
        return FM_ENOTFOUND;
    case MDB_KEYEXIST:
        return FM_EINVAL;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return FM_EFULL;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return FM_EDISKFULL;
    case ENOMEM:
        return FM_ENOMEM;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL: /* deeper than any tree: its pages lead in a circle */
    case MDB_INCOMPATIBLE:
    case MDB_INVALID:
        return FM_ECORRUPT;
    case MDB_VERSION_MISMATCH:
        return FM_ENEWER;
    case EIO: /* TRAPS L12, TESTING A3: the kernel has dropped what it could not write; only a fresh open can tell */
        return s->dead = FM_EIO;
    case MDB_BAD_TXN: /* this transaction failed before; the next one may not */
        return FM_ESTORE;
    default:
        return s->dead = FM_ESTORE; /* MDB_PANIC and what should not happen */
    }
}

int fm_txn_fail(struct fm_store *s, int error)
{
    if (s->error == FM_OK)
        s->error = error;
    return s->error;
}

/* The bytes of a meta page that count, and where commit `number` writes them. */
#define META_BYTES 152u
struct meta_page {
    int fd;
    off_t at;
    uint8_t bytes[META_BYTES];
};

static int meta_read(struct meta_page *m, MDB_env *env, size_t number)
{
    MDB_stat stat;
    fm_txn_sure(mdb_env_get_fd(env, &m->fd));
    fm_txn_sure(mdb_env_stat(env, &stat));
    m->at = (off_t)(number & 1) * (off_t)stat.ms_psize;
    return pread(m->fd, m->bytes, sizeof m->bytes, m->at) == (ssize_t)sizeof m->bytes ? FM_OK : fm_env_errno(errno);
}

/* When writing a meta page fails, LMDB writes the old transaction number back, but leaves the new tables with it: a commit
 * that never was, which at the next opening looks like the last one with a damaged number (fm_pages_metas). So all of the old
 * page goes back. If that fails as well, the disk is gone, and nobody is told more than that the commit failed. */
static void meta_mend(const struct meta_page *m)
{
    ssize_t put = pwrite(m->fd, m->bytes, sizeof m->bytes, m->at);
    int synced = fdatasync(m->fd);
    (void)put;
    (void)synced;
}

/* LMDB frees the transaction whatever commit returns: the pointer is gone with it (TRAPS L23). */
int fm_txn_commit(struct fm_store *s)
{
    MDB_txn *txn = s->txn;
    struct meta_page before;
    int error = meta_read(&before, s->env, mdb_txn_id(txn));
    s->txn = NULL;
    s->dirty = false;
    if (error != FM_OK) {
        mdb_txn_abort(txn);
        return error;
    }
    int rc = mdb_txn_commit(txn);
    if (rc != 0)
        meta_mend(&before);
    return fm_txn_error(s, rc);
}

static size_t file_used(struct fm_store *s)
{
    MDB_envinfo info;
    MDB_stat stat;
    fm_txn_sure(mdb_env_info(s->env, &info));
    fm_txn_sure(mdb_env_stat(s->env, &stat));
    return (info.me_last_pgno + 1) * stat.ms_psize;
}

int fm_store_begin(struct fm_store *s, uint64_t now_ms)
{
    assert(s->txn == NULL && s->reading == 0);
    if (s->dead != FM_OK)
        return s->dead;
    int rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);
    if (rc != 0)
        return fm_txn_error(s, rc);
    s->now_ms = now_ms;
    s->error = FM_OK;
    s->stamped = s->dirty = false;
    s->dirty_rows = s->dirty_bytes = 0;
    s->used_bytes = file_used(s);
    return FM_OK;
}

void fm_store_abort(struct fm_store *s)
{
    assert(s->reading == 0);
    if (s->txn != NULL)
        mdb_txn_abort(s->txn);
    s->txn = NULL;
    s->now = s->kept;
    s->error = FM_OK;
    s->dirty = false;
}

/* LMDB turns a short write into EIO, which is fatal; a disk that is plainly full is found before (TRAPS L13). */
static bool disk_has_room(struct fm_store *s)
{
    struct statvfs fs;
    int fd;
    fm_txn_sure(mdb_env_get_fd(s->env, &fd));
    if (fstatvfs(fd, &fs) != 0)
        return true; /* the commit itself will tell */
    return (uint64_t)fs.f_bavail * fs.f_frsize >= fm_store_dirty_bytes(s) + 64u * 1024u;
}

int fm_store_commit(struct fm_store *s)
{
    assert(s->txn != NULL && s->reading == 0);
    if (s->error == FM_OK && s->dirty) {
        if (!disk_has_room(s))
            fm_txn_fail(s, FM_EDISKFULL);
        else
            fm_sums_write(s);
    }
    int error = s->error;
    if (error != FM_OK || !s->dirty) {
        fm_store_abort(s);
        return error;
    }
    error = fm_txn_commit(s);
    if (error != FM_OK)
        s->now = s->kept;
    else
        s->kept = s->now;
    return error;
}

bool fm_store_dirty(const struct fm_store *s)
{
    return s->txn != NULL && s->dirty;
}

/* A row of random place dirties a page of its own, but never more pages than the file has. */
size_t fm_store_dirty_bytes(const struct fm_store *s)
{
    size_t scattered = s->dirty_rows * 4096u, all = s->used_bytes + 2 * s->dirty_bytes;
    if (s->txn == NULL)
        return 0;
    return (scattered < all ? scattered : all) + s->dirty_bytes;
}

/* --- reads --- */

int fm_txn_read_begin(struct fm_store *s, MDB_txn **out)
{
    if (s->dead != FM_OK)
        return s->dead;
    if (s->txn != NULL) {
        *out = s->txn;
        return s->error;
    }
    if (s->reading == 0) {
        int rc = s->reader == NULL ? mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reader) : mdb_txn_renew(s->reader);
        if (rc != 0)
            return fm_txn_error(s, rc);
    }
    s->reading++;
    *out = s->reader;
    return FM_OK;
}

void fm_txn_read_end(struct fm_store *s)
{
    if (s->txn != NULL)
        return;
    assert(s->reading > 0);
    if (--s->reading == 0)
        mdb_txn_reset(s->reader);
}

static MDB_txn *current(struct fm_store *s)
{
    assert(s->txn != NULL || s->reading > 0);
    return s->txn != NULL ? s->txn : s->reader;
}

int fm_txn_get_raw(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, struct fm_span *value)
{
    MDB_val k = {.mv_size = key->len, .mv_data = (void *)key->b}, v;
    int rc = mdb_get(current(s), s->dbi[table], &k, &v);
    if (rc != 0)
        return fm_txn_error(s, rc);
    *value = fm_span(v.mv_data, v.mv_size);
    return FM_OK;
}

int fm_txn_get(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, struct fm_span *body)
{
    struct fm_span value;
    int error = fm_txn_get_raw(s, table, key, &value);
    if (error != FM_OK)
        return error;
    return fm_value_open(s->crypto, table, fm_span(key->b, key->len), value, body);
}

/* --- writes --- */

static int reserve(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, size_t len, unsigned flags,
                   uint8_t **out)
{
    if (s->error != FM_OK)
        return s->error;
    assert(s->txn != NULL);
    MDB_val k = {.mv_size = key->len, .mv_data = (void *)key->b}, v = {.mv_size = len};
    int rc = mdb_put(s->txn, s->dbi[table], &k, &v, flags | MDB_RESERVE);
    if (rc != 0)
        return fm_txn_fail(s, fm_txn_error(s, rc));
    s->dirty = true;
    s->dirty_rows++;
    s->dirty_bytes += key->len + len;
    *out = v.mv_data;
    return FM_OK;
}

int fm_txn_put(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, struct fm_span body, unsigned flags)
{
    uint8_t *out;
    int error = reserve(s, table, key, body.len + FM_VALUE_OVERHEAD, flags, &out);
    if (error == FM_OK)
        fm_value_seal(s->crypto, table, key, body, out);
    return error;
}

int fm_txn_put_parts(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, const struct fm_span *parts,
                     size_t count, unsigned flags)
{
    size_t len = 0;
    uint8_t *out;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    int error = reserve(s, table, key, len, flags, &out);
    for (size_t i = 0; error == FM_OK && i < count; out += parts[i].len, i++)
        memcpy(out, parts[i].data, parts[i].len);
    return error;
}

int fm_txn_del(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, bool must)
{
    if (s->error != FM_OK)
        return s->error;
    assert(s->txn != NULL);
    MDB_val k = {.mv_size = key->len, .mv_data = (void *)key->b};
    int rc = mdb_del(s->txn, s->dbi[table], &k, NULL);
    if (rc == MDB_NOTFOUND)
        return must ? fm_txn_fail(s, FM_EINVAL) : FM_OK;
    if (rc != 0)
        return fm_txn_fail(s, fm_txn_error(s, rc));
    s->dirty = true;
    s->dirty_rows++;
    return FM_OK;
}
