/* Every order of the sets of some worlds into the real store: one digest (invariant I8), and the model's state.
 *
 * A set that does not follow is offered again, pass by pass, as a session does. By turns an order goes in set by set, two or
 * more in a transaction, with the store closed and opened again on the way. PROOF_SCALE: percent of the orders;
 * PROOF_ROUND: other keys, so other ids. The stores stand under $TMPDIR. */
#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "replication/error.h"
#include "tests/exhaustive/look.h"
#include "tests/support/store_dir.h"

#define SETS_MAX 7
#define MAP_BYTES ((size_t)64 << 20)
#define SCRUB_EVERY 720u
#define MODEL_EVERY 12u
#define REOPEN_EVERY 8u

/* late: the grants come among the other sets. */
static const struct case_of {
    const char *name;
    bool late;
    struct ex_world world;
} cases[] = {
    {"a revoked camp's edit, settled and adopted",
     false,
     {.count = 7,
      .item = {{.kind = EX_CREATE, .author = EX_A},
               {.kind = EX_UPDATE, .author = EX_A, .parents = 1, .parent = {0}},
               {.kind = EX_UPDATE, .author = EX_B, .parents = 1, .parent = {0}},
               {.kind = EX_UPDATE, .author = EX_HUB, .parents = 2, .parent = {1, 2}},
               {.kind = EX_REVOKE, .author = EX_HUB, .target = EX_A, .cut = {0, 1}},
               {.kind = EX_UPDATE, .author = EX_B, .parents = 1, .parent = {3}},
               {.kind = EX_ADOPT, .author = EX_HUB, .target = 1}}}},
    {"a chain from hand to hand",
     false,
     {.count = 7,
      .item = {{.kind = EX_CREATE, .author = EX_A},
               {.kind = EX_UPDATE, .author = EX_B, .parents = 1, .parent = {0}},
               {.kind = EX_UPDATE, .author = EX_HUB, .parents = 1, .parent = {1}},
               {.kind = EX_DELETE, .author = EX_A, .parents = 1, .parent = {1}},
               {.kind = EX_UPDATE, .author = EX_B, .parents = 1, .parent = {2}},
               {.kind = EX_UPDATE, .author = EX_HUB, .parents = 2, .parent = {4, 3}},
               {.kind = EX_UPDATE, .author = EX_A, .parents = 1, .parent = {5}}}}},
    {"a forked stream, cut on one branch",
     false,
     {.count = 7,
      .item = {{.kind = EX_CREATE, .author = EX_A},
               {.kind = EX_UPDATE, .author = EX_A, .parents = 1, .parent = {0}},
               {.kind = EX_UPDATE, .author = EX_A, .fork = true, .parents = 1, .parent = {0}},
               {.kind = EX_UPDATE, .author = EX_A, .parents = 1, .parent = {1}},
               {.kind = EX_UPDATE, .author = EX_HUB, .parents = 2, .parent = {3, 2}},
               {.kind = EX_REVOKE, .author = EX_HUB, .target = EX_A, .cut = {0, 3}},
               {.kind = EX_UPDATE, .author = EX_B, .parents = 1, .parent = {1}}}}},
    {"a data key late",
     false,
     {.count = 7,
      .sealed = true,
      .item = {{.kind = EX_CREATE, .author = EX_A},
               {.kind = EX_CREATE, .author = EX_B},
               {.kind = EX_UPDATE, .author = EX_HUB, .parents = 2, .parent = {0, 1}},
               {.kind = EX_UPDATE, .author = EX_B, .parents = 1, .parent = {1}},
               {.kind = EX_KEY, .author = EX_HUB},
               {.kind = EX_UNDO, .author = EX_HUB, .parents = 1, .parent = {2}},
               {.kind = EX_REVOKE, .author = EX_HUB, .target = EX_B, .cut = {0, 1}}}}},
    {"the grants late",
     true,
     {.count = 5,
      .item = {{.kind = EX_CREATE, .author = EX_A},
               {.kind = EX_CREATE, .author = EX_B, .record = 0},
               {.kind = EX_UPDATE, .author = EX_HUB, .parents = 2, .parent = {0, 1}},
               {.kind = EX_REVOKE, .author = EX_ROOT, .target = EX_HUB, .cut = {1, 0}},
               {.kind = EX_ADOPT, .author = EX_ROOT, .target = 2}}}},
    {"a revoked coordinator's decision and revocation",
     false,
     {.count = 7,
      .item = {{.kind = EX_CREATE, .author = EX_A},
               {.kind = EX_CREATE, .author = EX_B},
               {.kind = EX_REVOKE, .author = EX_HUB, .target = EX_A},
               {.kind = EX_DELETE, .author = EX_HUB, .parents = 2, .parent = {1, 0}},
               {.kind = EX_REVOKE, .author = EX_ROOT, .target = EX_HUB, .cut = {1, 0}},
               {.kind = EX_UPDATE, .author = EX_B, .parents = 1, .parent = {3}},
               {.kind = EX_ADOPT, .author = EX_ROOT, .target = 3}}}},
};
#define CASES (sizeof cases / sizeof cases[0])

struct permute {
    const struct ex_mesh *mesh;
    const struct case_of *is;
    struct ex_sets sets;
    struct ex_model model;
    struct fm_span bytes[SETS_MAX];
    int count;
    struct fm_store_dir dir;
    uint8_t *empty; /* the file of a new store (with the grants in it, if they are not late) */
    size_t empty_len;
    struct fm_store *store;
    struct fm_port port; /* of the store that is open now */
    struct fm_repl *core;
    uint64_t events, number, flips, waits;
    int taken;
    struct fm_digest first[2];
    char why[400];
};

static bool differ(struct permute *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool differ(struct permute *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->why, sizeof p->why, format, args);
    va_end(args);
    return false;
}

/* --- the node --- */

static int act(void *ctx, const struct fm_action *a)
{
    struct permute *p = ctx;
    if (a->kind == FM_DO_REPORT && a->report == FM_REPORT_TAKEN)
        p->taken = a->error;
    p->flips += a->kind == FM_DO_ROW && a->row.kind == FM_ROW_VERDICT;
    p->waits += a->kind == FM_DO_ROW && a->row.kind == FM_ROW_WAIT;
    return a->kind == FM_DO_ROW ? fm_store_apply(p->store, &a->row) : FM_OK;
}

static bool step(struct permute *p, enum fm_event_kind kind, struct fm_span bytes)
{
    struct fm_event event = {.kind = kind, .now_ms = LAB_NOW, .bytes = bytes};
    struct fm_sink sink = {.ctx = p, .act = act};
    event.steady_ms = ++p->events * 10;
    fm_be_put(event.seed, p->events, 8);
    int rc = fm_repl_step(p->core, &event, &sink);
    return rc == FM_OK || differ(p, "event %d: %s", kind, fm_error_code(rc));
}

static bool turn_begin(struct permute *p)
{
    return fm_store_begin(p->store, 1000 + p->events) == FM_OK || differ(p, "begin");
}

static bool turn_end(struct permute *p)
{
    return step(p, FM_EVENT_TURN_END, fm_span(NULL, 0)) && (fm_store_commit(p->store) == FM_OK || differ(p, "commit"));
}

static void stop(struct permute *p)
{
    fm_repl_free(p->core);
    fm_store_close(p->store);
    p->core = NULL;
    p->store = NULL;
}

static bool start(struct permute *p, bool create)
{
    const struct fm_lab_device *d = &p->mesh->devices[EX_OBSERVER];
    struct fm_self self = {.mesh = fm_lab_mesh(),
                           .root = p->mesh->devices[EX_ROOT].fake.author,
                           .author = d->fake.author,
                           .transport = d->transport,
                           .box = d->fake.box,
                           .grant = p->mesh->grants[EX_OBSERVER],
                           .incarnation = 99};
    int rc = fm_store_dir_open(&p->dir, &p->store, create, MAP_BYTES);
    if (rc != FM_OK)
        return differ(p, "the store does not open: %s", fm_error_code(rc));
    p->port = *fm_store_port(p->store);
    p->core = fm_repl_new(&self, &d->crypto, &p->port);
    assert(p->core != NULL);
    return turn_begin(p) && step(p, FM_EVENT_START, fm_span(NULL, 0)) && turn_end(p);
}

/* --- the file of a new store, kept to begin each order with --- */

static bool keep_empty(struct permute *p)
{
    bool good = start(p, true);
    for (int i = 0; i < 2 && good && !p->is->late; i++)
        good = turn_begin(p) && step(p, FM_EVENT_TAKE, fm_buf_span(&p->mesh->base[i].bytes)) && p->taken == FM_OK &&
               turn_end(p);
    stop(p);
    FILE *file = good ? fopen(p->dir.data, "rb") : NULL;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        return false;
    p->empty_len = (size_t)ftell(file);
    p->empty = malloc(p->empty_len);
    assert(p->empty != NULL);
    rewind(file);
    good = fread(p->empty, 1, p->empty_len, file) == p->empty_len;
    return fclose(file) == 0 && good;
}

static bool begin_empty(struct permute *p)
{
    int fd = open(p->dir.data, O_WRONLY | O_TRUNC | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, p->empty, p->empty_len) == (ssize_t)p->empty_len;
    if (fd >= 0)
        (void)close(fd);
    return good ? start(p, false) : differ(p, "the store's file cannot be written");
}

/* --- one order --- */

/* One turn of up to `most` sets of the queue; what does not follow stays in it. */
static bool turn(struct permute *p, int *queue, int *at, int count, int most, int *kept)
{
    if (!turn_begin(p))
        return false;
    for (; most > 0 && *at < count; most--, ++*at) {
        p->taken = 1;
        if (!step(p, FM_EVENT_TAKE, p->bytes[queue[*at]]))
            return false;
        if (p->taken == FM_EORDER || p->taken == FM_EGRANT)
            queue[(*kept)++] = queue[*at];
        else if (p->taken != FM_OK)
            return differ(p, "set %d: %s", queue[*at], fm_error_code(p->taken));
    }
    return turn_end(p);
}

static bool feed(struct permute *p, const int *order)
{
    int queue[SETS_MAX], count = p->count, turns = 0;
    int most = p->number % 4 == 3 ? p->count : 1 + (int)(p->number % 4);
    int reopen = p->number % REOPEN_EVERY == 0 ? 1 + (int)(p->number / REOPEN_EVERY % SETS_MAX) : 0;
    memcpy(queue, order, sizeof queue);
    while (count > 0) {
        int kept = 0;
        for (int at = 0; at < count;) {
            if (!turn(p, queue, &at, count, most, &kept))
                return false;
            if (++turns == reopen) {
                stop(p);
                if (!start(p, false))
                    return false;
            }
        }
        if (kept == count)
            return differ(p, "%d sets are never taken in", kept);
        count = kept;
    }
    return true;
}

static void say(void *ctx, const char *problem)
{
    differ(ctx, "%.200s", problem);
}

static bool came_out(struct permute *p)
{
    struct fm_store_verify verify = {.ctx = p, .say = say};
    struct fm_digest digest[2];
    if (fm_repl_digest(p->core, &digest[0], &digest[1]) != FM_OK)
        return differ(p, "no digest");
    if (p->number == 0)
        memcpy(p->first, digest, sizeof digest);
    if (memcmp(p->first, digest, sizeof digest) != 0)
        return differ(p, "I8: another %s digest than in the first order",
                      fm_id_eq(&p->first[0], &digest[0]) ? "state" : "sets");
    if (p->number % MODEL_EVERY == 0 && !ex_model_same(&p->model, &p->sets, (1 << p->is->world.count) - 1, &p->port, p->why))
        return false;
    return p->number % SCRUB_EVERY != 0 || (fm_store_scrub(p->store, &verify) == FM_OK && verify.problems == 0);
}

static bool try_order(struct permute *p, const int *order)
{
    bool good = begin_empty(p) && feed(p, order) && came_out(p);
    stop(p);
    if (!good) {
        printf("FAILED permutations of %s: %s; order", p->is->name, p->why);
        for (int i = 0; i < p->count; i++)
            printf(" %d", order[i]);
        printf(" (number %llu)\n", (unsigned long long)p->number);
    }
    p->number++;
    return good;
}

/* From the one order to the next in dictionary order. */
static bool next_order(int *order, int n)
{
    int i = n - 2, k = n - 1;
    while (i >= 0 && order[i] > order[i + 1])
        i--;
    if (i < 0)
        return false;
    while (order[k] < order[i])
        k--;
    int swap = order[i];
    order[i] = order[k];
    order[k] = swap;
    for (int a = i + 1, b = n - 1; a < b; a++, b--) {
        swap = order[a];
        order[a] = order[b];
        order[b] = swap;
    }
    return true;
}

static bool permute(const struct ex_mesh *m, const struct case_of *is, uint64_t scale, uint64_t *done)
{
    struct permute *p = calloc(1, sizeof *p);
    int order[SETS_MAX] = {0, 1, 2, 3, 4, 5, 6};
    uint64_t at = 0;
    assert(p != NULL);
    p->mesh = m;
    p->is = is;
    ex_sets_init(&p->sets, m, &is->world, 0);
    ex_model_fill(&p->model, &p->sets, (1 << is->world.count) - 1);
    for (int i = 0; i < 2 && is->late; i++)
        p->bytes[p->count++] = fm_buf_span(&m->base[i].bytes);
    for (int i = 0; i < is->world.count; i++)
        p->bytes[p->count++] = fm_buf_span(&p->sets.set[i].bytes);
    fm_store_dir_make(&p->dir);
    p->dir.crypto = m->devices[EX_OBSERVER].crypto;
    p->dir.mesh = fm_lab_mesh();
    bool good = keep_empty(p) || (printf("FAILED permutations of %s: no store: %s\n", is->name, p->why), false);
    do {
        if (good && (at++ * 37) % 100 < scale)
            good = try_order(p, order);
    } while (good && next_order(order, p->count));
    if (good && p->flips + p->waits == 0)
        good = printf("FAILED permutations of %s: no verdict flipped, nothing waited\n", is->name) < 0;
    if (good)
        printf("ok permutations of %s: %llu orders, one digest (%llu verdicts flipped, %llu waits)\n", is->name,
               (unsigned long long)p->number, (unsigned long long)p->flips, (unsigned long long)p->waits);
    *done += p->number;
    fm_store_dir_remove(&p->dir);
    ex_sets_fini(&p->sets);
    free(p->empty);
    free(p);
    return good;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    static struct ex_mesh mesh;
    uint64_t done = 0;
    int failed = 0;
    ex_mesh_init(&mesh, number_from("PROOF_ROUND", 0));
    for (size_t i = 0; i < CASES; i++)
        failed += !permute(&mesh, &cases[i], number_from("PROOF_SCALE", 100), &done);
    ex_mesh_fini(&mesh);
    printf("figure permutations %llu\n", (unsigned long long)done);
    return failed == 0 ? 0 : 1;
}
