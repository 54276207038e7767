#include "tests/crash/record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct crash_ops *recording;
static struct crash_touched *touching;
static char data_path[512], dir_path[512], parent_path[512];

static void watch(const char *dir)
{
    int len = snprintf(data_path, sizeof data_path, "%s/data.mdb", dir);
    assert(len > 0 && (size_t)len < sizeof data_path);
    snprintf(dir_path, sizeof dir_path, "%s", dir);
    snprintf(parent_path, sizeof parent_path, "%s", dir);
    char *slash = strrchr(parent_path, '/');
    assert(slash != NULL && slash > parent_path);
    *slash = '\0';
}

void crash_record_start(struct crash_ops *ops, const char *dir)
{
    watch(dir);
    recording = ops;
}

void crash_record_stop(void)
{
    recording = NULL;
}

void crash_record_touched(struct crash_touched *touched, const char *dir)
{
    if (touched != NULL && strcmp(dir, dir_path) != 0)
        watch(dir);
    touching = touched;
}

void crash_record_free(struct crash_ops *ops)
{
    for (size_t i = 0; i < ops->count; i++)
        free(ops->at[i].bytes);
    free(ops->at);
    *ops = (struct crash_ops){.count = 0};
}

static struct crash_op *add(enum crash_op_kind kind)
{
    struct crash_ops *o = recording;
    if (o->count == o->cap) {
        o->cap = o->cap == 0 ? 256 : 2 * o->cap;
        o->at = realloc(o->at, o->cap * sizeof *o->at);
        assert(o->at != NULL);
    }
    o->at[o->count] = (struct crash_op){.kind = kind};
    return &o->at[o->count++];
}

void crash_record_acknowledged(void)
{
    add(CRASH_ACKNOWLEDGED);
}

static bool is(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void wrote(int fd, size_t offset, const void *bytes, size_t len)
{
    if (touching != NULL && is(fd, data_path)) {
        size_t i = touching->count < CRASH_TOUCHED_MAX ? touching->count++ : 0;
        touching->at[i].offset = touching->count < CRASH_TOUCHED_MAX ? offset : 0;
        touching->at[i].len = touching->count < CRASH_TOUCHED_MAX ? len : SIZE_MAX;
    }
    if (recording == NULL || !is(fd, data_path))
        return;
    struct crash_op *op = add(CRASH_WRITE);
    op->lasting = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
    op->offset = offset;
    op->len = len;
    op->bytes = malloc(len);
    assert(op->bytes != NULL);
    memcpy(op->bytes, bytes, len);
}

static void synced(int fd)
{
    if (recording == NULL)
        return;
    if (is(fd, data_path))
        add(CRASH_SYNC);
    else if (is(fd, dir_path))
        add(CRASH_NAME_SYNC);
    else if (is(fd, parent_path))
        add(CRASH_DIR_SYNC);
}

/* --- the calls --- */

static bool watching(void)
{
    return recording != NULL || touching != NULL;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    off_t at = watching() ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = syscall(SYS_write, fd, bytes, len);
    if (watching() && done > 0)
        wrote(fd, (size_t)at, bytes, (size_t)done);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, len, at);
    if (watching() && done > 0)
        wrote(fd, (size_t)at, bytes, (size_t)done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    off_t at = watching() ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = syscall(SYS_writev, fd, parts, count);
    for (ssize_t i = 0, left = done; watching() && i < count && left > 0; left -= (ssize_t)parts[i++].iov_len) {
        size_t len = (size_t)left < parts[i].iov_len ? (size_t)left : parts[i].iov_len;
        wrote(fd, (size_t)at, parts[i].iov_base, len);
        at += (off_t)len;
    }
    return done;
}

int fdatasync(int fd)
{
    int rc = (int)syscall(SYS_fdatasync, fd);
    if (rc == 0)
        synced(fd);
    return rc;
}

int fsync(int fd)
{
    int rc = (int)syscall(SYS_fsync, fd);
    if (rc == 0)
        synced(fd);
    return rc;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    struct stat st;
    va_list args;
    va_start(args, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(args, mode_t);
    va_end(args);
    bool made = recording != NULL && (flags & O_CREAT) != 0 && strcmp(path, data_path) == 0 && stat(path, &st) != 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (made && fd >= 0)
        add(CRASH_NAME);
    return fd;
}

int mkdir(const char *path, mode_t mode)
{
    int rc = (int)syscall(SYS_mkdir, path, mode);
    if (rc == 0 && recording != NULL && strcmp(path, dir_path) == 0)
        add(CRASH_DIR);
    return rc;
}

/* Calls that no state here accounts for: a store that makes them must be told apart from one that was proved. */
static int unknown(const char *call)
{
    if (watching()) {
        fprintf(stderr, "the store calls %s: tests/crash/record.c does not know what that leaves on the disk\n", call);
        abort();
    }
    errno = ENOSYS;
    return -1;
}

int ftruncate(int fd, off_t len)
{
    if (recording != NULL && is(fd, data_path))
        return unknown("ftruncate");
    return (int)syscall(SYS_ftruncate, fd, len);
}

int msync(void *at, size_t len, int flags)
{
    if (recording != NULL)
        return unknown("msync");
    return (int)syscall(SYS_msync, at, len, flags);
}

int rename(const char *from, const char *to)
{
    if (recording != NULL)
        return unknown("rename");
    return (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path)
{
    if (recording != NULL && strcmp(path, data_path) == 0)
        return unknown("unlink");
    return (int)syscall(SYS_unlink, path);
}
