/* A store whose data file was changed on disk: the input is a list of edits (3 bytes of place, 1 of what, 1 or 8 of value)
 * on the file of a node with records, conflicts and a revocation. A child process opens it and reads everything, as verify
 * does. LMDB may crash on damaged pages (TRAPS L14): that is the child's end and no finding. But our code neither asserts
 * nor reads past what it has, nor runs for ever; and no set is read back as other bytes than were stored. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/identity.h"
#include "replication/bounds.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/store_dir.h"
#include "tests/support/world_sets.h"

#define EDITS_MAX 64u
#define WORLDS 3u
enum { CHILD_GOOD = 40, CHILD_DAMAGED, CHILD_ASSERT, CHILD_WRONG };

struct base {
    struct fm_world_sets sets;
    struct fm_buf file;
    struct fm_store_dir dir;
};
static struct base *bases;
static json_t *worlds;

/* glibc's, so that our own asserts are told from LMDB's aborts. */
void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
    (void)fprintf(stderr, "%s:%u: %s: not so: %s\n", file, line, function, what);
    _exit(CHILD_ASSERT);
}

static int begin(void *ctx)
{
    return fm_store_begin(ctx, 1000);
}
static int apply(void *ctx, const struct fm_row *row)
{
    return fm_store_apply(ctx, row);
}
static int commit(void *ctx)
{
    return fm_store_commit(ctx);
}

static void leave(void)
{
    for (size_t i = 0; i < WORLDS; i++)
        fm_store_dir_remove(&bases[i].dir);
}

static void start(void)
{
    static const size_t chosen[WORLDS] = {7, 42, 141};
    bases = calloc(WORLDS, sizeof *bases);
    worlds = fm_worlds_load();
    FUZZ_CHECK(bases != NULL && atexit(leave) == 0);
    for (size_t i = 0; i < WORLDS; i++) {
        struct base *b = &bases[i];
        struct fm_store *s;
        struct fm_digest digests[2];
        char why[256];
        fm_world_sets_init(&b->sets, json_array_get(worlds, chosen[i]));
        fm_store_dir_make(&b->dir);
        b->dir.mesh = b->sets.mesh;
        b->dir.crypto = b->sets.crypto;
        FUZZ_CHECK(fm_store_dir_open(&b->dir, &s, true, 16u << 20) == FM_OK);
        const struct fm_world_store port = {
            .ctx = s, .port = fm_store_port(s), .begin = begin, .apply = apply, .commit = commit};
        FUZZ_CHECK(fm_world_run(&b->sets, &port, 0, 0, digests, why));
        fm_store_close(s);
        fm_buf_init(&b->file, 0);
        FUZZ_CHECK(fm_file_read(b->dir.data, &b->file, 1u << 26) == FM_OK);
    }
}

static void edit(const struct base *b, struct fuzz_in *in)
{
    FILE *file = fopen(b->dir.data, "r+b");
    FUZZ_CHECK(file != NULL && fwrite(b->file.data, 1, b->file.len, file) == b->file.len && fflush(file) == 0);
    FUZZ_CHECK(ftruncate(fileno(file), (off_t)b->file.len) == 0);
    for (uint32_t i = 0; i < EDITS_MAX && in->left >= 5; i++) {
        size_t at = (size_t)fuzz_number(in, 3) % b->file.len;
        uint8_t what = (uint8_t)fuzz_number(in, 1), byte = b->file.data[at];
        uint64_t value = fuzz_number(in, what % 4 == 3 ? 8 : 1);
        uint8_t bytes[8];
        size_t len = 1;
        if (what % 4 == 0)
            bytes[0] = (uint8_t)(byte ^ 1 << value % 8);
        else if (what % 4 == 1)
            bytes[0] = (uint8_t)value;
        else if (what % 4 == 2)
            bytes[0] = (uint8_t)(byte + value);
        else
            fm_be_put(bytes, value, len = 8);
        if (what == 255) /* cut off there */
            FUZZ_CHECK(ftruncate(fileno(file), (off_t)at) == 0);
        else
            FUZZ_CHECK(pwrite(fileno(file), bytes, len, (off_t)at) == (ssize_t)len);
    }
    FUZZ_CHECK(fclose(file) == 0);
}

/* Every set that can be read is one that was stored. */
static bool read_sets(const struct base *b, struct fm_store *s)
{
    const struct fm_port *port = fm_store_port(s);
    struct fm_set_meta meta;
    struct fm_buf bytes;
    uint64_t at = 1;
    bool right = true;
    fm_buf_init(&bytes, 0);
    for (int i = 0; right && i < 2000 && port->set_next(port->ctx, at, &meta) == FM_OK; i++, at = meta.arrival + 1) {
        bytes.len = 0;
        if (port->set_bytes(port->ctx, meta.arrival, &bytes) != FM_OK)
            continue;
        right = false;
        for (size_t k = 0; k < b->sets.count; k++)
            right = right || fm_span_eq(fm_buf_span(&bytes), fm_buf_span(&b->sets.sets[k].bytes));
    }
    fm_buf_fini(&bytes);
    return right;
}

static int look(struct base *b)
{
    struct fm_store_verify v = {0};
    struct fm_store_counts counts;
    struct fm_store *s;
    int rc = fm_store_dir_open(&b->dir, &s, false, 16u << 20);
    if (rc != FM_OK)
        return rc == FM_ECORRUPT || rc == FM_ESTORE || rc == FM_ENEWER || rc == FM_EIO || rc == FM_ENOTFOUND ? CHILD_DAMAGED
                                                                                                             : rc & 127;
    bool right = read_sets(b, s);
    rc = fm_store_counts(s, &counts);
    int scrub = fm_store_scrub(s, &v);
    fm_store_close(s);
    return !right ? CHILD_WRONG : rc == FM_OK && scrub == FM_OK && v.problems == 0 ? CHILD_GOOD : CHILD_DAMAGED;
}

static void child(struct base *b)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGALRM, SIGILL};
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        (void)signal(signals[i], SIG_DFL);
    alarm(20);
    _exit(look(b));
}

FUZZ_TARGET(0, 1 << 20)
{
    struct fuzz_in in = {data, size};
    int status = 0;

    fuzz_memory_pause(true);
    if (bases == NULL)
        start();
    fuzz_memory_pause(false);
    struct base *b = &bases[fuzz_number(&in, 1) % WORLDS];
    bool changed = in.left >= 5;
    edit(b, &in);
    pid_t pid = fork();
    FUZZ_CHECK(pid >= 0);
    if (pid == 0)
        child(b);
    while (waitpid(pid, &status, 0) != pid)
        FUZZ_CHECK(errno == EINTR);
    if (WIFSIGNALED(status)) {
        FUZZ_CHECK(WTERMSIG(status) != SIGALRM);
    } else {
        int code = WEXITSTATUS(status);
        FUZZ_CHECK(code == CHILD_GOOD || (code == CHILD_DAMAGED && changed));
    }
    return 0;
}
