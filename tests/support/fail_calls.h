/* For one program that is linked with --wrap for each of these calls (Makefile): every call by which the store can be told
 * no, counted while fault.left is not below 0; the one after that many good ones fails, once, in a way in which it can fail.
 * LMDB is told nothing of it, so what it holds stays whole. Include it in the file with main. */
#ifndef FM_TESTS_FAIL_CALLS_H
#define FM_TESTS_FAIL_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "replication/error.h"

struct fault {
    int64_t left; /* calls that still go well; below 0: all */
    uint32_t way; /* which of a call's failures; calls that have not so many are not counted */
    bool hit;
    const char *call;      /* which one failed */
    int error, code;       /* what it gave; what the store makes of it */
    MDB_txn *gone;         /* freed by a commit that failed: nobody may name it */
    unsigned long fs_type; /* what statfs says; 0: the truth */
    bool no_room;          /* what fstatvfs says */
};
static struct fault fault = {.left = -1};

struct way {
    int error, code;
};

static bool fails(const char *call, const struct way *ways, uint32_t count)
{
    if (fault.left < 0 || fault.way >= count || fault.left-- > 0)
        return false;
    fault.hit = true;
    fault.call = call;
    fault.error = ways[fault.way].error;
    fault.code = ways[fault.way].code;
    return true;
}

static void not_gone(const MDB_txn *txn)
{
    if (txn != NULL && txn == fault.gone) {
        fprintf(stderr, "a transaction is used after its commit failed\n");
        abort();
    }
}

#define COUNT(list) ((uint32_t)(sizeof(list) / sizeof((list)[0])))
/* A call that gives its error, and one that sets errno: (result, name, parameters, arguments, failed result, ways). */
#define LMDB(name, parameters, arguments, ...)                                                                              \
    int __real_##name parameters;                                                                                           \
    int __wrap_##name parameters;                                                                                           \
    int __wrap_##name parameters                                                                                            \
    {                                                                                                                       \
        static const struct way ways[] = {__VA_ARGS__};                                                                     \
        return fails(#name, ways, COUNT(ways)) ? fault.error : __real_##name arguments;                                     \
    }
#define LIBC(result, name, parameters, arguments, failed, ...)                                                              \
    result __real_##name parameters;                                                                                        \
    result __wrap_##name parameters;                                                                                        \
    result __wrap_##name parameters                                                                                         \
    {                                                                                                                       \
        static const struct way ways[] = {__VA_ARGS__};                                                                     \
        if (!fails(#name, ways, COUNT(ways)))                                                                               \
            return __real_##name arguments;                                                                                 \
        errno = fault.error;                                                                                                \
        return failed;                                                                                                      \
    }

#define NO_MEMORY                                                                                                           \
    {                                                                                                                       \
        ENOMEM, FM_ENOMEM                                                                                                   \
    }
#define NO_SPACE                                                                                                            \
    {                                                                                                                       \
        ENOSPC, FM_EDISKFULL                                                                                                \
    }
#define BROKEN                                                                                                              \
    {                                                                                                                       \
        EIO, FM_EIO                                                                                                         \
    }
#define PANIC                                                                                                               \
    {                                                                                                                       \
        MDB_PANIC, FM_ESTORE                                                                                                \
    }
#define DAMAGED                                                                                                             \
    {MDB_CORRUPTED, FM_ECORRUPT},                                                                                           \
    {                                                                                                                       \
        MDB_PAGE_NOTFOUND, FM_ECORRUPT                                                                                      \
    }
#define SPOILT                                                                                                              \
    {                                                                                                                       \
        MDB_BAD_TXN, FM_ESTORE                                                                                              \
    }
#define FULL                                                                                                                \
    {MDB_MAP_FULL, FM_EFULL},                                                                                               \
    {                                                                                                                       \
        MDB_TXN_FULL, FM_EFULL                                                                                              \
    }

LMDB(mdb_env_create, (MDB_env * *env), (env), NO_MEMORY)
LMDB(mdb_env_open, (MDB_env * env, const char *path, unsigned flags, mdb_mode_t mode), (env, path, flags, mode), BROKEN,
     {EMFILE, FM_ESTORE}, NO_SPACE, NO_MEMORY, {EACCES, FM_ESTORE}, {MDB_INVALID, FM_ECORRUPT},
     {MDB_VERSION_MISMATCH, FM_ENEWER})
LMDB(mdb_env_sync, (MDB_env * env, int force), (env, force), BROKEN, NO_SPACE)
LMDB(mdb_reader_check, (MDB_env * env, int *dead), (env, dead), NO_MEMORY, {EINVAL, FM_ESTORE})
LMDB(mdb_txn_renew, (MDB_txn * txn), (txn), PANIC, {MDB_MAP_RESIZED, FM_ESTORE}, {EINVAL, FM_ESTORE})
LMDB(mdb_get, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *value), (txn, dbi, key, value), DAMAGED, SPOILT)
LMDB(mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags), (txn, dbi, key, value, flags),
     DAMAGED, FULL, NO_MEMORY, NO_SPACE, BROKEN, SPOILT)
LMDB(mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *value), (txn, dbi, key, value), DAMAGED, FULL, NO_MEMORY,
     NO_SPACE, BROKEN, SPOILT)
LMDB(mdb_drop, (MDB_txn * txn, MDB_dbi dbi, int del), (txn, dbi, del), DAMAGED, FULL, NO_MEMORY, SPOILT)
LMDB(mdb_cursor_open, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor **cursor), (txn, dbi, cursor), NO_MEMORY, SPOILT)
LMDB(mdb_cursor_get, (MDB_cursor * cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op), (cursor, key, value, op),
     DAMAGED, {MDB_CURSOR_FULL, FM_ECORRUPT}, SPOILT)
LMDB(mdb_env_copyfd2, (MDB_env * env, int fd, unsigned flags), (env, fd, flags), BROKEN, NO_SPACE, {EDQUOT, FM_EDISKFULL},
     {EFBIG, FM_EDISKFULL}, NO_MEMORY, {EAGAIN, FM_EIO}, {MDB_READERS_FULL, FM_ESTORE}, DAMAGED)

LIBC(void *, malloc, (size_t bytes), (bytes), NULL, NO_MEMORY)
LIBC(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL, NO_MEMORY)
LIBC(void *, realloc, (void *old, size_t bytes), (old, bytes), NULL, NO_MEMORY)
LIBC(char *, strdup, (const char *text), (text), NULL, NO_MEMORY)
LIBC(int, flock, (int fd, int how), (fd, how), -1, {EWOULDBLOCK, FM_EBUSY}, {ENOLCK, FM_EIO})
LIBC(int, stat, (const char *path, struct stat *out), (path, out), -1, BROKEN, {EACCES, FM_EIO}, NO_MEMORY)
LIBC(int, mkdir, (const char *path, mode_t mode), (path, mode), -1, NO_SPACE, {EACCES, FM_EIO}, {EDQUOT, FM_EDISKFULL})
LIBC(int, unlink, (const char *path), (path), -1, BROKEN)
LIBC(int, rename, (const char *from, const char *to), (from, to), -1, BROKEN, NO_SPACE)
LIBC(int, fsync, (int fd), (fd), -1, BROKEN, NO_SPACE)
LIBC(ssize_t, pread, (int fd, void *out, size_t bytes, off_t at), (fd, out, bytes, at), -1, BROKEN, {EINTR, FM_EIO})

int __real_statfs(const char *path, struct statfs *out);
int __wrap_statfs(const char *path, struct statfs *out);
int __wrap_statfs(const char *path, struct statfs *out)
{
    static const struct way ways[] = {BROKEN, NO_MEMORY};
    int rc = __real_statfs(path, out);
    if (fault.fs_type != 0)
        out->f_type = (__fsword_t)fault.fs_type;
    if (!fails("statfs", ways, COUNT(ways)))
        return rc;
    errno = fault.error;
    return -1;
}

int __real_fstatvfs(int fd, struct statvfs *out);
int __wrap_fstatvfs(int fd, struct statvfs *out);
int __wrap_fstatvfs(int fd, struct statvfs *out)
{
    static const struct way ways[] = {BROKEN};
    int rc = __real_fstatvfs(fd, out);
    if (fault.no_room)
        out->f_bavail = 1;
    if (!fails("fstatvfs", ways, COUNT(ways)))
        return rc;
    errno = fault.error;
    return -1;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    static const struct way ways[] = {{EMFILE, FM_EIO}, NO_SPACE, NO_MEMORY, {EINTR, FM_EIO}, {ENOENT, FM_EIO}};
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!fails("open", ways, COUNT(ways)))
        return __real_open(path, flags, mode);
    errno = fault.error;
    return -1;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) /* it is closed whatever comes back */
{
    static const struct way ways[] = {BROKEN};
    int rc = __real_close(fd);
    if (!fails("close", ways, COUNT(ways)))
        return rc;
    errno = fault.error;
    return -1;
}

int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out)
{
    static const struct way ways[] = {PANIC, NO_MEMORY, {MDB_READERS_FULL, FM_ESTORE}, {MDB_MAP_RESIZED, FM_ESTORE}};
    if (fails("mdb_txn_begin", ways, COUNT(ways)))
        return fault.error;
    fault.gone = NULL; /* LMDB uses the place again */
    return __real_mdb_txn_begin(env, parent, flags, out);
}

int __real_mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *out);
int __wrap_mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *out);
int __wrap_mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *out)
{
    static const struct way ways[] = {SPOILT};
    not_gone(txn);
    return fails("mdb_stat", ways, COUNT(ways)) ? fault.error : __real_mdb_stat(txn, dbi, out);
}

int __real_mdb_dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi);
int __wrap_mdb_dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi);
int __wrap_mdb_dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi)
{
    static const struct way ways[] = {
        DAMAGED, NO_MEMORY, {MDB_NOTFOUND, FM_ECORRUPT}, {MDB_INCOMPATIBLE, FM_ECORRUPT}, FULL};
    if (name != NULL && fails("mdb_dbi_open", ways, COUNT(ways))) /* the table of tables is always open */
        return fault.error;
    return __real_mdb_dbi_open(txn, name, flags, dbi);
}

void __real_mdb_txn_abort(MDB_txn *txn);
void __wrap_mdb_txn_abort(MDB_txn *txn);
void __wrap_mdb_txn_abort(MDB_txn *txn)
{
    not_gone(txn);
    __real_mdb_txn_abort(txn);
}

/* The last way: it is written, and the answer is lost. The transaction is freed whatever comes back. */
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    static const struct way ways[] = {BROKEN, NO_SPACE, NO_MEMORY, FULL, DAMAGED, PANIC, SPOILT, BROKEN};
    not_gone(txn);
    if (!fails("mdb_txn_commit", ways, COUNT(ways)))
        return __real_mdb_txn_commit(txn);
    fault.gone = txn;
    if (fault.way + 1 < COUNT(ways))
        __real_mdb_txn_abort(txn);
    else if (__real_mdb_txn_commit(txn) != 0)
        abort();
    return fault.error;
}

#endif
