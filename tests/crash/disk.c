#include "tests/crash/disk.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/random_world.h"

#define NEWBORN 8192u /* a store makes a file of LMDB's two first pages, or less, anew */

#define MUST(truth)                                                                                                         \
    do {                                                                                                                    \
        bool is_ = (truth);                                                                                                 \
        assert(is_);                                                                                                        \
        (void)is_;                                                                                                          \
    } while (0)

static void empty(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char file[600];
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        unlink(file);
    }
    if (dir != NULL)
        closedir(dir);
}

static void clear(struct crash_disk *d)
{
    empty(d->dir);
    rmdir(d->dir);
    empty(d->away);
    rmdir(d->away);
}

void crash_disk_init(struct crash_disk *d, const char *dir)
{
    memset(d, 0, sizeof *d);
    snprintf(d->dir, sizeof d->dir, "%s", dir);
    snprintf(d->data, sizeof d->data, "%s/data.mdb", dir);
    snprintf(d->away, sizeof d->away, "%s.away", dir);
    clear(d);
}

void crash_disk_fini(struct crash_disk *d)
{
    clear(d);
    free(d->image);
    free(d->pending);
}

static void lasts(struct crash_disk *d, const struct crash_op *op)
{
    size_t end = op->offset + op->len;
    if (end > d->cap) {
        d->cap = 2 * end;
        d->image = realloc(d->image, d->cap);
        assert(d->image != NULL);
    }
    if (end > d->size) {
        memset(d->image + d->size, 0, end - d->size);
        d->size = end;
    }
    memcpy(d->image + op->offset, op->bytes, op->len);
}

/* The file as it surely is, at these places. */
static void put_back(const struct crash_disk *d, size_t offset, size_t len)
{
    int fd = open(d->data, O_WRONLY | O_CLOEXEC);
    assert(fd >= 0);
    if (offset < d->size) {
        len = len < d->size - offset ? len : d->size - offset;
        MUST(pwrite(fd, d->image + offset, len, (off_t)offset) == (ssize_t)len);
    }
    close(fd);
}

/* The folder anew, with nothing but the file in it, if that is there. */
static void build(const struct crash_disk *d)
{
    empty(d->dir);
    MUST(mkdir(d->dir, 0700) == 0 || access(d->dir, W_OK) == 0);
    if (!d->name_there)
        return;
    int fd = open(d->data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && pwrite(fd, d->image, d->size, 0) == (ssize_t)d->size);
    close(fd);
}

void crash_disk_step(struct crash_disk *d, const struct crash_op *op)
{
    switch (op->kind) {
    case CRASH_WRITE:
        if (d->pending_count == d->pending_cap) {
            d->pending_cap = d->pending_cap == 0 ? 64 : 2 * d->pending_cap;
            d->pending = realloc(d->pending, d->pending_cap * sizeof(*d->pending));
            assert(d->pending != NULL);
        }
        d->pending[d->pending_count++] = op;
        break;
    case CRASH_SYNC:
        for (size_t i = 0; i < d->pending_count; i++)
            crash_disk_returned(d, d->pending[i]);
        d->pending_count = 0;
        break;
    case CRASH_DIR:
        d->dir_there = true;
        build(d);
        break;
    case CRASH_NAME:
        d->name_there = true;
        build(d);
        break;
    case CRASH_NAME_SYNC: d->name_lasts = d->name_there; break;
    case CRASH_DIR_SYNC: d->dir_lasts = d->dir_there; break;
    case CRASH_ACKNOWLEDGED: break;
    }
}

void crash_disk_returned(struct crash_disk *d, const struct crash_op *op)
{
    lasts(d, op);
    put_back(d, op->offset, op->len);
    if (d->pending_count > 0 && d->pending[d->pending_count - 1] == op)
        d->pending_count--;
}

/* --- states --- */

static void keep(int fd, size_t offset, const uint8_t *bytes, size_t len)
{
    MUST(pwrite(fd, bytes, len, (off_t)offset) == (ssize_t)len);
}

static void keep_sectors(int fd, const struct crash_op *op, uint64_t *random, uint64_t share)
{
    for (size_t at = 0, len; at < op->len; at += len) {
        len = CRASH_SECTOR - (op->offset + at) % CRASH_SECTOR;
        len = len < op->len - at ? len : op->len - at;
        if (fm_random_draw(random, 16) < share)
            keep(fd, op->offset + at, op->bytes + at, len);
    }
}

static void keep_some(const struct crash_disk *d, int fd, enum crash_kept kept, uint64_t *random)
{
    uint64_t share = 1 + fm_random_draw(random, 15);
    size_t end = d->size;
    for (size_t i = 0; i < d->pending_count; i++) {
        const struct crash_op *op = d->pending[i];
        bool last = i + 1 == d->pending_count;
        end = op->offset + op->len > end ? op->offset + op->len : end;
        if (kept == CRASH_SECTORS) {
            keep_sectors(fd, op, random, share);
        } else if (kept == CRASH_TORN && last) {
            size_t sectors = op->len / CRASH_SECTOR;
            keep(fd, op->offset, op->bytes, sectors == 0 ? 0 : CRASH_SECTOR * (size_t)fm_random_draw(random, sectors));
        } else if (kept == CRASH_WRITES ? fm_random_draw(random, 2) == 0 : kept != CRASH_NONE && kept != CRASH_GROWN) {
            keep(fd, op->offset, op->bytes, op->len);
        }
    }
    if (kept == CRASH_GROWN && end > d->size) {
        static const uint8_t zero;
        keep(fd, end - 1, &zero, 1);
    }
}

void crash_disk_lay(struct crash_disk *d, enum crash_kept kept, uint64_t *random)
{
    d->touched.count = 0;
    d->rebuild = d->size <= NEWBORN || kept == CRASH_NAMELESS || kept == CRASH_HOMELESS;
    crash_record_touched(&d->touched, d->dir);
    if (d->name_there) {
        int fd = open(d->data, O_WRONLY | O_CLOEXEC);
        assert(fd >= 0);
        keep_some(d, fd, kept, random);
        close(fd);
    }
    if (kept == CRASH_HOMELESS)
        MUST(rename(d->dir, d->away) == 0);
    else if (kept == CRASH_NAMELESS)
        MUST(unlink(d->data) == 0);
}

void crash_disk_lift(struct crash_disk *d)
{
    crash_record_touched(NULL, d->dir);
    if (d->rebuild || d->touched.count == CRASH_TOUCHED_MAX) {
        clear(d);
        if (d->dir_there)
            build(d);
        return;
    }
    for (size_t i = 0; i < d->touched.count; i++)
        put_back(d, d->touched.at[i].offset, d->touched.at[i].len);
    MUST(truncate(d->data, (off_t)d->size) == 0);
}
