#include "node/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/carve.h"
#include "node/keep.h"
#include "node/log.h"
#include "replication/error.h"

#define SETS_A_COMMIT 256u
#define RESUME_SETS_A_TURN 64u
#define PATH_BYTES (FM_PATH_MAX + 32)

static void waiting_file(const struct fm_paths *paths, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s/waiting.sets", paths->data);
}

/* --- the new store --- */

struct rebuild {
    struct fm_keep keep;
    struct fm_carve carve;
    struct fm_repl *core;
    bool *done; /* by place in carve.at: in the store, or refused for ever */
    int taken;  /* the last FM_REPORT_TAKEN */
    uint64_t sets, refused;
};

static int act(void *ctx, const struct fm_action *action)
{
    struct rebuild *b = ctx;
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_TAKEN)
        b->taken = action->error;
    return action->kind == FM_DO_ROW ? fm_store_apply(b->keep.store, &action->row) : FM_OK;
}

/* TURN_END is never sent: it would close sets of this node's own and settle what later sets have settled. */
static int step(struct rebuild *b, enum fm_event_kind kind, struct fm_span bytes)
{
    struct fm_event event = {.kind = kind, .now_ms = fm_keep_wall_ms(), .bytes = bytes};
    const struct fm_sink sink = {.ctx = b, .act = act};
    fm_crypto_random(event.seed, sizeof event.seed);
    return fm_repl_step(b->core, &event, &sink);
}

static int end(struct rebuild *b, int rc)
{
    if (rc == FM_OK)
        return fm_store_commit(b->keep.store);
    fm_store_abort(b->keep.store);
    return rc;
}

static int start(struct rebuild *b)
{
    int rc = fm_store_begin(b->keep.store, fm_keep_wall_ms());
    return rc == FM_OK ? end(b, step(b, FM_EVENT_START, fm_span(NULL, 0))) : rc;
}

/* The membership that the key folder keeps: it may say who signed what, where the log does not any more. */
static int take_grants(struct rebuild *b, const struct fm_paths *paths)
{
    struct fm_grant_file kept;
    char file[PATH_BYTES];
    snprintf(file, sizeof file, "%s/grant", paths->keys);
    if (!b->keep.identity.has_mesh || fm_grant_file_read(&kept, file) != FM_OK)
        return FM_OK;
    int rc = fm_id_eq(&kept.mesh, &b->keep.identity.mesh) ? fm_store_begin(b->keep.store, fm_keep_wall_ms()) : FM_EFOREIGN;
    for (size_t i = 0; rc == FM_OK && i < kept.count; i++) {
        rc = step(b, FM_EVENT_TAKE, kept.sets[i]);
        b->sets += rc == FM_OK && b->taken == FM_OK;
    }
    if (rc != FM_EFOREIGN)
        rc = end(b, rc);
    fm_grant_file_fini(&kept);
    return rc == FM_EFOREIGN ? FM_OK : rc;
}

static bool waits(int refused)
{
    return refused == FM_EORDER || refused == FM_EGRANT;
}

static int take_one(struct rebuild *b, size_t i, bool *more)
{
    const struct fm_carved *one = &b->carve.at[i];
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    int rc = fm_carve_read(&b->carve, one, &bytes);
    if (rc == FM_OK)
        rc = step(b, FM_EVENT_TAKE, fm_buf_span(&bytes));
    if (rc == FM_OK && !waits(b->taken)) {
        b->done[i] = true;
        *more = *more || b->taken == FM_OK;
        b->sets += !one->statement && b->taken == FM_OK;
        b->refused += !one->statement && b->taken != FM_OK && b->taken != FM_EEXISTS;
    }
    fm_buf_fini(&bytes);
    return rc;
}

/* Again and again, until none more follows. */
static int take_all(struct rebuild *b, const struct fm_store_progress *progress)
{
    int rc = FM_OK;
    for (bool more = true; rc == FM_OK && more;) {
        more = false;
        for (size_t i = 0; rc == FM_OK && i < b->carve.count;) {
            rc = fm_store_begin(b->keep.store, fm_keep_wall_ms());
            if (rc != FM_OK)
                return rc;
            for (size_t n = 0; rc == FM_OK && n < SETS_A_COMMIT && i < b->carve.count; i++)
                if (!b->done[i]) {
                    rc = take_one(b, i, &more);
                    n++;
                }
            rc = end(b, rc);
            if (rc == FM_OK && progress != NULL && progress->at != NULL)
                progress->at(progress->ctx, i, b->carve.count);
        }
    }
    return rc;
}

/* Folds what is left to be folded. */
static int settle(struct rebuild *b)
{
    struct fm_digest sets, state;
    int rc;
    while ((rc = fm_repl_digest(b->core, &sets, &state)) == FM_EBUSY) {
        rc = fm_store_begin(b->keep.store, fm_keep_wall_ms());
        if (rc == FM_OK)
            rc = end(b, step(b, FM_EVENT_TICK, fm_span(NULL, 0)));
        if (rc != FM_OK)
            return rc;
    }
    return rc;
}

/* --- what waits --- */

static int write_all(int fd, struct fm_span bytes)
{
    for (size_t at = 0; at < bytes.len;) {
        ssize_t put = write(fd, bytes.data + at, bytes.len - at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 && (errno == ENOSPC || errno == EDQUOT) ? FM_EDISKFULL : FM_EIO;
        at += (size_t)put;
    }
    return FM_OK;
}

/* Sets one behind the other, as they are: fm_carve_file finds them there too. */
static int write_waiting(const struct rebuild *b, const char *file, uint64_t *count)
{
    char temp[PATH_BYTES + 8];
    snprintf(temp, sizeof temp, "%s.tmp", file);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), rc = fd >= 0 ? FM_OK : FM_EIO;
    *count = 0;
    for (size_t i = 0; rc == FM_OK && i < b->carve.count; i++) {
        struct fm_buf bytes;
        if (b->done[i] || b->carve.at[i].statement)
            continue;
        fm_buf_init(&bytes, 0);
        rc = fm_carve_read(&b->carve, &b->carve.at[i], &bytes);
        if (rc == FM_OK)
            rc = write_all(fd, fm_buf_span(&bytes));
        fm_buf_fini(&bytes);
        ++*count;
    }
    if (rc == FM_OK && fsync(fd) != 0)
        rc = FM_EIO;
    if (fd >= 0)
        close(fd);
    if (rc == FM_OK && *count > 0)
        rc = rename(temp, file) == 0 ? FM_OK : FM_EIO;
    else if (fd >= 0)
        (void)unlink(temp);
    return rc;
}

/* --- the whole --- */

/* Nobody may have the damaged store open; its lock is held to the end. -1: there is none to hold. */
static int hold(const struct fm_paths *paths, int *fd)
{
    char file[PATH_BYTES];
    snprintf(file, sizeof file, "%s/lock", paths->store);
    *fd = open(file, O_RDWR | O_CLOEXEC);
    return *fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) != 0 ? FM_EBUSY : FM_OK;
}

static int read_all(struct rebuild *b, const struct fm_paths *paths, const char *waiting,
                    const struct fm_store_progress *progress)
{
    char data[PATH_BYTES];
    snprintf(data, sizeof data, "%s/data.mdb", paths->store);
    int rc = fm_carve_file(&b->carve, data, progress);
    if (rc == FM_OK)
        rc = fm_carve_file(&b->carve, waiting, NULL); /* of an earlier repair */
    if (rc != FM_OK && rc != FM_ENOTFOUND)
        return rc;
    fm_carve_order(&b->carve, &b->keep.identity.device.author_public);
    b->done = calloc(b->carve.count + 1, sizeof *b->done);
    return b->done == NULL ? FM_ENOMEM : b->carve.count == 0 ? FM_ENOTFOUND : FM_OK;
}

static int is_sound(struct rebuild *b, const struct fm_paths *paths, const struct fm_store_progress *progress)
{
    char scratch[PATH_BYTES];
    struct fm_store_verify v = {.scratch_dir = scratch};
    if (progress != NULL)
        v.progress = *progress;
    snprintf(scratch, sizeof scratch, "%s/verify-%ld", paths->data, (long)getpid());
    int rc = fm_keep_verify(&b->keep, paths, &v);
    return rc == FM_OK && v.problems > 0 ? FM_ECORRUPT : rc;
}

/* Everything up to the moment in which the new store is ready to take the old one's place. */
static int build(struct rebuild *b, struct fm_repair *out, const struct fm_paths *paths, const char *waiting,
                 const struct fm_store_progress *progress)
{
    fm_carve_init(&b->carve, &b->keep.crypto, &b->keep.identity.mesh);
    b->core = fm_keep_core(&b->keep);
    int rc = b->core == NULL ? FM_ENOMEM : read_all(b, paths, waiting, progress);
    if (rc == FM_OK)
        rc = start(b);
    if (rc == FM_OK)
        rc = take_grants(b, paths);
    if (rc == FM_OK)
        rc = take_all(b, progress);
    if (rc == FM_OK)
        rc = settle(b);
    if (rc == FM_OK)
        rc = is_sound(b, paths, progress);
    if (rc == FM_OK)
        rc = write_waiting(b, waiting, &out->waiting);
    out->sets = b->sets;
    out->lost = b->carve.damaged + b->refused;
    fm_repl_free(b->core);
    fm_carve_fini(&b->carve);
    free(b->done);
    return rc;
}

int fm_repair_store(struct fm_repair *out, const struct fm_paths *paths, uint64_t sets_known,
                    const struct fm_store_progress *progress)
{
    char fresh[PATH_BYTES], waiting[PATH_BYTES];
    struct rebuild b = {.core = NULL};
    int lock;
    *out = (struct fm_repair){.sets = 0};
    int rc = hold(paths, &lock);
    snprintf(fresh, sizeof fresh, "%s.part", paths->store);
    waiting_file(paths, waiting);
    if (rc == FM_OK) {
        fm_keep_remove(fresh);
        rc = fm_keep_make(&b.keep, paths, fresh);
    }
    if (rc == FM_OK) {
        rc = build(&b, out, paths, waiting, progress);
        fm_keep_close(&b.keep);
        if (rc != FM_OK)
            fm_keep_remove(fresh);
        else
            rc = fm_keep_swap(paths, fresh, "damaged", out->aside);
        if (rc == FM_OK && out->waiting == 0)
            (void)unlink(waiting);
    }
    uint64_t found = out->sets + out->waiting;
    if (sets_known > 0) /* then what is damaged in one place and whole in another is not taken for lost */
        out->lost = sets_known > found ? sets_known - found : 0;
    if (lock >= 0)
        close(lock);
    return rc;
}

/* --- later --- */

static bool is_held(const struct fm_node *n, const struct fm_carved *one)
{
    const struct fm_port *port = fm_store_port(n->store);
    struct fm_set_meta meta;
    return port->set_get(port->ctx, &one->stream, one->sequence, &one->id, &meta) == FM_OK;
}

static int take_waiting(struct fm_node *n, const struct fm_carve *c, size_t *held)
{
    int rc = FM_OK;
    for (size_t i = 0; rc == FM_OK && i < c->count;) {
        rc = fm_node_begin(n);
        for (size_t k = 0; rc == FM_OK && k < RESUME_SETS_A_TURN && i < c->count; k++, i++) {
            struct fm_buf bytes;
            fm_buf_init(&bytes, 0);
            if (fm_carve_read(c, &c->at[i], &bytes) == FM_OK)
                rc = fm_node_event(n, &(struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&bytes)});
            fm_buf_fini(&bytes);
        }
        int committed = n->in_turn ? fm_node_commit(n) : FM_OK;
        rc = rc != FM_OK ? rc : committed;
    }
    for (size_t i = 0; i < c->count; i++)
        *held += is_held(n, &c->at[i]);
    return rc;
}

int fm_repair_resume(struct fm_node *n)
{
    char waiting[PATH_BYTES];
    struct fm_carve carve;
    size_t held = 0;
    waiting_file(&n->paths, waiting);
    if (access(waiting, F_OK) != 0)
        return FM_OK;
    fm_carve_init(&carve, &n->crypto, &n->identity.mesh);
    int rc = fm_carve_file(&carve, waiting, NULL);
    fm_carve_order(&carve, &n->identity.device.author_public);
    if (rc == FM_OK)
        rc = take_waiting(n, &carve, &held);
    if (rc == FM_OK && held == carve.count)
        (void)unlink(waiting);
    else if (rc == FM_OK)
        fm_log(FM_LOG_WARN, "%zu change sets of a repaired store still wait for sets that peers have to send",
               carve.count - held);
    fm_carve_fini(&carve);
    return rc == FM_EIO || rc == FM_ENOTFOUND ? FM_OK : rc; /* the file's trouble is not the node's */
}
