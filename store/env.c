/* Opening and closing. The order matters: lock before LMDB touches the files (TRAPS L9, TESTING A12), all tables in one
 * committed transaction (L8), the folders synced after the first commit (L11). */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "store/base.h"

#define MAP_BYTES ((size_t)16 << 30)
#define READERS_MAX 8u
#define UNSAFE_FLAGS (MDB_NOSYNC | MDB_NOMETASYNC | MDB_WRITEMAP | MDB_MAPASYNC | MDB_NOLOCK) /* TRAPS L1 */

int fm_env_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return FM_EDISKFULL;
    case ENOMEM:
        return FM_ENOMEM;
    default:
        return FM_EIO;
    }
}

int fm_env_sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fm_env_errno(errno);
    int rc = fsync(fd);
    int error = rc == 0 ? FM_OK : fm_env_errno(errno);
    close(fd);
    return error;
}

int fm_env_sync_parent(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return FM_ENOMEM;
    size_t len = strlen(copy);
    while (len > 1 && copy[len - 1] == '/')
        copy[--len] = '\0';
    char *slash = strrchr(copy, '/');
    if (slash == copy)
        slash[1] = '\0';
    else if (slash != NULL)
        *slash = '\0';
    int error = fm_env_sync_dir(slash == NULL ? "." : copy);
    free(copy);
    return error;
}

static char *path_of(const char *dir, const char *name)
{
    size_t len = strlen(dir) + strlen(name) + 2;
    char *path = malloc(len);
    if (path != NULL)
        snprintf(path, len, "%s/%s", dir, name);
    return path;
}

/* Locks and shared maps are not to be relied on there (TRAPS L15). */
static int refuse_remote(const char *dir)
{
    static const unsigned long remote[] = {0x6969 /* NFS */, 0x517b /* SMB */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */,
                                           0x01021997 /* 9p */, 0x65735546 /* FUSE */, 0x5346414f /* AFS */};
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return fm_env_errno(errno);
    for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
        if (((unsigned long)fs.f_type & 0xffffffffu) == remote[i])
            return FM_ESTORE;
    return FM_OK;
}

/* A data file of no more than LMDB's two first pages never held a commit: a creation that was cut short, begun anew. */
static bool is_newborn(const struct stat *data)
{
    return data->st_size <= 2 * sysconf(_SC_PAGESIZE);
}

/* The folder and what is in it. */
static int prepare(const struct fm_store_options *o, const char *data)
{
    struct stat st;
    bool there = stat(data, &st) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR)
        return fm_env_errno(errno);
    if (!o->create && (!there || is_newborn(&st)))
        return FM_ENOTFOUND;
    if (!there && mkdir(o->dir, 0700) != 0 && errno != EEXIST)
        return fm_env_errno(errno);
    return o->force_fs ? FM_OK : refuse_remote(o->dir);
}

static int drop_newborn(const struct fm_store_options *o, const char *data)
{
    struct stat st;
    if (!o->create)
        return FM_OK;
    if (stat(data, &st) != 0)
        return errno == ENOENT ? FM_OK : fm_env_errno(errno);
    return !is_newborn(&st) || unlink(data) == 0 ? FM_OK : fm_env_errno(errno);
}

static int lock(struct fm_store *s)
{
    char *path = path_of(s->dir, "lock");
    if (path == NULL)
        return FM_ENOMEM;
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int error = s->lock_fd < 0 ? fm_env_errno(errno) : FM_OK;
    free(path);
    if (error == FM_OK && flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        error = errno == EWOULDBLOCK ? FM_EBUSY : fm_env_errno(errno);
    return error;
}

/* LMDB writes its two first pages and does not sync them: the first commit could reach the disk without them. */
static int sync_newborn(MDB_env *env)
{
    MDB_envinfo info;
    fm_txn_sure(mdb_env_info(env, &info));
    return info.me_last_txnid == 0 ? mdb_env_sync(env, 1) : 0;
}

static int open_env(struct fm_store *s, size_t map_bytes)
{
    unsigned flags;
    int fd, dead_readers, rc = mdb_env_create(&s->env);
    if (rc != 0)
        return fm_txn_error(s, rc);
    fm_txn_sure(mdb_env_set_mapsize(s->env, map_bytes != 0 ? map_bytes : MAP_BYTES));
    fm_txn_sure(mdb_env_set_maxdbs(s->env, FM_TABLE_END));
    fm_txn_sure(mdb_env_set_maxreaders(s->env, READERS_MAX));
    rc = mdb_env_open(s->env, s->dir, MDB_NOTLS, 0600);
    if (rc != 0)
        return fm_txn_error(s, rc);
    fm_txn_sure(mdb_env_get_flags(s->env, &flags));
    assert((flags & UNSAFE_FLAGS) == 0);
    fm_txn_sure(mdb_env_get_fd(s->env, &fd));
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* TRAPS L10; on an open file nothing can go wrong there */
    rc = sync_newborn(s->env);
    if (rc == 0)
        rc = mdb_reader_check(s->env, &dead_readers); /* TRAPS L5 */
    return fm_txn_error(s, rc);
}

/* The store's own first rows. */
static int found(struct fm_store *s)
{
    uint8_t format[4];
    struct fm_row_key key;
    s->now.store_id = fm_sums_fresh(s);
    s->now.changes_id = fm_sums_fresh(s);
    fm_be_put(format, FM_STORE_FORMAT, sizeof(format));
    fm_keys_name(&key, FM_KEYS_SPACE_STORE, "format");
    fm_txn_put(s, FM_TABLE_META, &key, fm_span(format, sizeof(format)), 0);
    return fm_sums_write(s);
}

static int check_format(struct fm_store *s)
{
    struct fm_row_key key;
    struct fm_span body;
    fm_keys_name(&key, FM_KEYS_SPACE_STORE, "format");
    int error = fm_txn_get(s, FM_TABLE_META, &key, &body);
    if (error != FM_OK)
        return fm_txn_held(error);
    if (body.len != 4)
        return FM_ECORRUPT;
    uint64_t format = fm_be_get(body.data, 4);
    return format > FM_STORE_FORMAT ? FM_ENEWER : format == FM_STORE_FORMAT ? FM_OK : FM_ECORRUPT;
}

/* Format number first: a newer store may have other tables. */
static int open_tables(struct fm_store *s, bool create, bool *is_new)
{
    MDB_dbi all;
    MDB_stat stat;
    fm_txn_sure(mdb_dbi_open(s->txn, NULL, 0, &all));
    int error = fm_txn_error(s, mdb_stat(s->txn, all, &stat));
    if (error != FM_OK)
        return error;
    *is_new = stat.ms_entries == 0;
    if (*is_new && !create)
        return FM_ENOTFOUND;
    for (int t = FM_TABLE_META; t < FM_TABLE_END; t++) {
        int rc = mdb_dbi_open(s->txn, fm_keys_table_name((enum fm_table)t), *is_new ? MDB_CREATE : 0, &s->dbi[t]);
        error = fm_txn_held(fm_txn_error(s, rc));
        if (error == FM_OK && t == FM_TABLE_META && !*is_new)
            error = check_format(s);
        if (error != FM_OK)
            return error;
    }
    return *is_new ? found(s) : FM_OK;
}

/* Until a turn is committed the folders are synced at each opening: the one that made the store may have been cut short or
 * have failed there, and no commit of a file lasts whose name does not (TRAPS L11). */
static int sync_young(struct fm_store *s)
{
    int error = fm_env_sync_dir(s->dir);
    return error == FM_OK ? fm_env_sync_parent(s->dir) : error;
}

static int open_store(struct fm_store *s, const struct fm_store_options *o)
{
    bool is_new = false;
    int error = fm_store_begin(s, 0);
    if (error == FM_OK)
        error = open_tables(s, o->create, &is_new);
    if (error != FM_OK)
        return error;
    bool young = mdb_txn_id(s->txn) <= 2;
    /* Even without rows the commit is needed: it makes the table handles last. */
    error = is_new ? fm_store_commit(s) : fm_txn_commit(s);
    if (error == FM_OK && young)
        error = sync_young(s);
    if (error != FM_OK)
        return error;
    error = fm_sums_load(s);
    return error == FM_ECORRUPT && o->rescue ? fm_sums_rescue(s) : error;
}

int fm_store_open(struct fm_store **out, const struct fm_store_options *options, const struct fm_crypto *crypto,
                  const struct fm_mesh_id *mesh, const uint8_t random[32])
{
    int error = FM_ENOMEM;
    char *data = path_of(options->dir, "data.mdb");
    struct fm_store *s = calloc(1, sizeof(*s));
    if (s != NULL)
        s->lock_fd = -1;
    if (data == NULL || s == NULL || (s->dir = strdup(options->dir)) == NULL)
        goto fail;
    s->crypto = crypto;
    s->mesh = *mesh;
    memcpy(s->random, random, sizeof(s->random));
    fm_port_init(s);
    error = prepare(options, data);
    if (error == FM_OK)
        error = lock(s);
    if (error == FM_OK)
        error = drop_newborn(options, data);
    if (error == FM_OK)
        error = fm_pages_fit(data);
    if (error == FM_OK)
        error = open_env(s, options->map_bytes);
    if (error == FM_OK) {
        error = fm_pages_metas(s);
        if (error == FM_ECORRUPT && options->rescue)
            error = FM_OK;
    }
    if (error == FM_OK)
        error = open_store(s, options);
    if (error != FM_OK)
        goto fail;
    free(data);
    *out = s;
    return FM_OK;
fail:
    free(data);
    fm_store_close(s);
    return error == FM_EIO ? FM_ESTORE : error;
}

void fm_store_close(struct fm_store *s)
{
    if (s == NULL)
        return;
    if (s->txn != NULL)
        fm_store_abort(s);
    assert(s->reading == 0);
    if (s->reader != NULL)
        mdb_txn_abort(s->reader);
    if (s->env != NULL)
        mdb_env_close(s->env);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->dir);
    free(s);
}

const struct fm_port *fm_store_port(struct fm_store *s)
{
    return &s->port;
}

struct fm_store_id fm_store_id(const struct fm_store *s)
{
    struct fm_store_id id;
    fm_be_put(id.b, s->now.store_id, sizeof(id.b));
    return id;
}

uint64_t fm_store_changes_id(const struct fm_store *s)
{
    return s->now.changes_id;
}
