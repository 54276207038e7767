#include "node/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/compress.h"
#include "replication/core.h"
#include "replication/error.h"

#define NOTE_REINDEX "reindex" /* present: derived tables are not complete */
#define SETS_A_STEP 256

static int open_store(struct fm_keep *out, const struct fm_paths *paths, const char *dir, bool create)
{
    uint8_t random[32];
    *out = (struct fm_keep){0};
    int rc = fm_identity_load(&out->identity, paths);
    if (rc != FM_OK)
        return rc;
    fm_crypto_port(&out->crypto, &out->identity.device);
    fm_compress_port(&out->crypto);
    fm_crypto_random(random, sizeof random);
    const struct fm_store_options options = {.dir = dir != NULL ? dir : paths->store, .create = create};
    rc = fm_store_open(&out->store, &options, &out->crypto, &out->identity.mesh, random);
    if (rc != FM_OK)
        fm_keep_close(out);
    return rc;
}

int fm_keep_open(struct fm_keep *out, const struct fm_paths *paths, const char *dir)
{
    return open_store(out, paths, dir, false);
}

int fm_keep_make(struct fm_keep *out, const struct fm_paths *paths, const char *dir)
{
    return open_store(out, paths, dir, true);
}

void fm_keep_close(struct fm_keep *k)
{
    if (k->store != NULL)
        fm_store_close(k->store);
    k->store = NULL;
    fm_identity_wipe(&k->identity);
}

bool fm_keep_unfinished(struct fm_store *s)
{
    struct fm_buf note;
    fm_buf_init(&note, 64);
    bool there = fm_store_note_get(s, NOTE_REINDEX, &note) == FM_OK && note.len > 0;
    fm_buf_fini(&note);
    return there;
}

static int apply(void *ctx, const struct fm_action *action)
{
    return action->kind == FM_DO_ROW ? fm_store_apply(ctx, &action->row) : FM_OK; /* nobody is there to send to */
}

uint64_t fm_keep_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Commits the clearing first: whoever opens the store before the end sees the note. */
static int clear(struct fm_store *s)
{
    int rc = fm_store_begin(s, fm_keep_wall_ms());
    if (rc == FM_OK)
        rc = fm_store_clear_derived(s);
    if (rc == FM_OK)
        rc = fm_store_note_put(s, NOTE_REINDEX, fm_span("1", 1));
    if (rc != FM_OK) {
        fm_store_abort(s);
        return rc;
    }
    return fm_store_commit(s);
}

struct fm_repl *fm_keep_core(const struct fm_keep *k)
{
    const struct fm_device *d = &k->identity.device;
    const struct fm_self self = {.mesh = k->identity.mesh,
                                 .root = k->identity.root,
                                 .author = d->author_public,
                                 .transport = d->transport_public,
                                 .box = d->box_public,
                                 .grant = k->identity.grant,
                                 .store = fm_store_id(k->store),
                                 .incarnation = 1};
    return fm_repl_new(&self, &k->crypto, fm_store_port(k->store));
}

int fm_keep_reindex(const struct fm_keep *k, const struct fm_store_progress *progress)
{
    struct fm_store *s = k->store;
    const struct fm_port *port = fm_store_port(s);
    const struct fm_sink sink = {.ctx = s, .act = apply};
    uint64_t from = 0, last = 0;
    int rc = port->arrival_last(port->ctx, &last);
    if (rc == FM_OK)
        rc = clear(s);
    struct fm_repl *core = rc == FM_OK ? fm_keep_core(k) : NULL;
    if (core == NULL)
        return rc == FM_OK ? FM_ENOMEM : rc;
    do {
        struct fm_event event = {.kind = FM_EVENT_START, .now_ms = fm_keep_wall_ms()};
        rc = fm_store_begin(s, event.now_ms);
        if (rc != FM_OK)
            break;
        rc = fm_repl_reindex(core, &event, &sink, &from, SETS_A_STEP);
        if (rc == FM_OK && from == 0)
            rc = fm_store_note_put(s, NOTE_REINDEX, fm_span(NULL, 0));
        if (rc != FM_OK)
            fm_store_abort(s);
        else
            rc = fm_store_commit(s);
        if (rc == FM_OK && progress != NULL && progress->at != NULL)
            progress->at(progress->ctx, from == 0 ? last : from - 1, last);
    } while (rc == FM_OK && from != 0);
    fm_repl_free(core);
    return rc;
}

/* --- verify --- */

void fm_keep_remove(const char *dir)
{
    static const char *const names[] = {"data.mdb.part", "data.mdb", "lock.mdb", "lock"};
    char file[FM_PATH_MAX + 16];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(file, sizeof file, "%s/%s", dir, names[i]);
        (void)unlink(file);
    }
    (void)rmdir(dir);
}

static int compare_with_log(struct fm_keep *k, const struct fm_paths *paths, struct fm_store_verify *v)
{
    char file[FM_PATH_MAX + 16];
    struct fm_keep scratch;
    fm_keep_remove(v->scratch_dir); /* of a check that was cut short */
    if (mkdir(v->scratch_dir, 0700) != 0)
        return fm_file_error(errno);
    snprintf(file, sizeof file, "%s/data.mdb", v->scratch_dir);
    int rc = fm_store_backup(k->store, file);
    if (rc == FM_OK)
        rc = fm_keep_open(&scratch, paths, v->scratch_dir);
    if (rc == FM_OK) {
        rc = fm_keep_reindex(&scratch, &v->progress);
        if (rc == FM_OK)
            rc = fm_store_compare(k->store, scratch.store, v);
        fm_keep_close(&scratch);
    }
    fm_keep_remove(v->scratch_dir);
    return rc;
}

int fm_keep_verify(struct fm_keep *k, const struct fm_paths *paths, struct fm_store_verify *v)
{
    int rc = fm_store_scrub(k->store, v);
    if (rc == FM_OK && v->problems == 0)
        rc = compare_with_log(k, paths, v);
    return rc;
}

/* --- restore --- */

static int copy_bytes(int in, int out)
{
    char chunk[65536];
    for (;;) {
        ssize_t got = read(in, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? FM_OK : fm_file_error(errno);
        for (ssize_t done = 0; done < got;) {
            ssize_t n = write(out, chunk + done, (size_t)(got - done));
            if (n < 0 && errno != EINTR)
                return fm_file_error(errno);
            done += n > 0 ? n : 0;
        }
    }
}

static int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return fm_file_error(errno);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = out < 0 ? fm_file_error(errno) : copy_bytes(in, out);
    if (rc == FM_OK && fsync(out) != 0)
        rc = fm_file_error(errno);
    close(in);
    if (out >= 0)
        close(out);
    return rc;
}

static int sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 && fsync(fd) == 0 ? FM_OK : FM_EIO;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* The copy in its new folder becomes a store of its own: new store id, no incarnation of anybody's. */
static int make_own(const struct fm_paths *paths, const char *dir)
{
    struct fm_keep k;
    struct fm_store_verify v = {0};
    int rc = fm_keep_open(&k, paths, dir);
    if (rc != FM_OK)
        return rc == FM_ENOTFOUND ? FM_ECORRUPT : rc; /* a file of a few bytes never held a commit: no backup */
    rc = fm_store_scrub(k.store, &v);
    if (rc == FM_OK && v.problems > 0)
        rc = FM_ECORRUPT;
    if (rc == FM_OK)
        rc = fm_store_begin(k.store, fm_keep_wall_ms());
    if (rc == FM_OK) {
        rc = fm_store_restored(k.store);
        if (rc == FM_OK)
            rc = fm_store_commit(k.store);
        else
            fm_store_abort(k.store);
    }
    fm_keep_close(&k);
    return rc;
}

static int swap(const struct fm_paths *paths, const char *next, char aside[FM_PATH_MAX])
{
    if (renameat2(AT_FDCWD, next, AT_FDCWD, paths->store, RENAME_EXCHANGE) == 0) {
        if (rename(next, aside) == 0)
            return sync_folder(paths->data);
        int rc = fm_file_error(errno);
        (void)renameat2(AT_FDCWD, next, AT_FDCWD, paths->store, RENAME_EXCHANGE); /* as it was */
        return rc;
    }
    bool there = rename(paths->store, aside) == 0; /* there is none, or the file system cannot change two names at once */
    if (!there && errno != ENOENT)
        return fm_file_error(errno);
    int rc = rename(next, paths->store) == 0 ? FM_OK : fm_file_error(errno);
    if (rc != FM_OK && there)
        (void)rename(aside, paths->store);
    if (rc != FM_OK || !there)
        aside[0] = '\0';
    return rc == FM_OK ? sync_folder(paths->data) : rc;
}

int fm_keep_swap(const struct fm_paths *paths, const char *fresh, const char *word, char aside[FM_PATH_MAX])
{
    char next[FM_PATH_MAX + 16];
    unsigned long long now = (unsigned long long)fm_keep_wall_ms();
    snprintf(next, sizeof next, "%s.new", paths->store);
    snprintf(aside, FM_PATH_MAX, "%.*s.%s-%llu", FM_PATH_MAX - 60, paths->store, word, now);
    /* a swap that was cut short may have left what was the store under this name: it is never deleted */
    int rc = rename(next, aside) == 0 || errno == ENOENT ? FM_OK : fm_file_error(errno);
    snprintf(aside, FM_PATH_MAX, "%.*s.%s-%llu", FM_PATH_MAX - 60, paths->store, word, now + 1);
    if (rc == FM_OK && rename(fresh, next) != 0)
        rc = fm_file_error(errno);
    if (rc == FM_OK) {
        rc = swap(paths, next, aside);
        if (rc != FM_OK)
            (void)rename(next, fresh);
    }
    if (rc != FM_OK)
        aside[0] = '\0';
    return rc;
}

/* A whole store in the folder `fresh`, synced. */
static int make_fresh(const struct fm_paths *paths, const char *file, const char *fresh)
{
    char data[FM_PATH_MAX + 32];
    fm_keep_remove(fresh);
    if (mkdir(fresh, 0700) != 0)
        return fm_file_error(errno);
    snprintf(data, sizeof data, "%s/data.mdb", fresh);
    int rc = copy_file(file, data);
    if (rc == FM_OK)
        rc = make_own(paths, fresh);
    return rc == FM_OK ? sync_folder(fresh) : rc;
}

int fm_keep_restore(const struct fm_paths *paths, const char *file, char aside[FM_PATH_MAX])
{
    char part[FM_PATH_MAX + 16];
    struct fm_keep old;
    int rc = fm_keep_open(&old, paths, NULL); /* nobody may have it open */
    if (rc == FM_EBUSY)
        return rc;
    if (rc == FM_OK)
        fm_keep_close(&old);
    snprintf(part, sizeof part, "%s.part", paths->store);
    rc = make_fresh(paths, file, part);
    if (rc == FM_OK)
        rc = fm_keep_swap(paths, part, "old", aside);
    if (rc != FM_OK)
        fm_keep_remove(part);
    return rc;
}
