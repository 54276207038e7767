/* Every boundary between two things a store asks of the disk, and what a power cut there may leave: opened by the store's
 * own code, compared row by row with what was recorded, and gone on with.
 *
 *   replay DIR ROUND STATES    worlds of ROUND, STATES crash states in all; DIR: for its files, best on a memory disk
 *
 * A state that ends the process is a bad one like any other: the states are run in a child. */
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "tests/crash/disk.h"
#include "tests/crash/workload.h"

#define WORLD_STATES 8000u /* about: a world of forty turns has some 400 boundaries */
#define DEEP_EVERY 40u
#define BAD_MAX 20u
#define SHALLOW 4u /* CRASH_ALL to CRASH_TORN: once each at every boundary */

/* Between the child and who waits for it. */
struct shared {
    uint64_t next, states, bad; /* next: the number of the state that is to come */
    char where[160];
};
static struct shared *shared;

struct run {
    struct crash_workload *w;
    struct crash_disk disk;
    uint64_t seed, number, variants, random; /* number: of the state, over all worlds of this process */
    size_t op, acknowledged;
    bool made;
};

static const char *name_of(enum crash_kept kept)
{
    static const char *const names[] = {
        "all kept", "none kept", "none kept, but grown", "torn", "some writes", "some sectors", "no name", "no folder"};
    return names[kept];
}

static void bad(const char *why)
{
    if (shared->bad++ < BAD_MAX)
        printf("FAILED crash state %" PRIu64 " (%s): %s\n", shared->next, shared->where, why);
    fflush(stdout);
}

static void state(struct run *r, enum crash_kept kept)
{
    char why[256];
    uint64_t random = (r->seed << 40) ^ (r->number * UINT64_C(0x9e3779b97f4a7c15)) ^ 1;
    if (r->number++ < shared->next)
        return;
    random += random == 0;
    snprintf(shared->where, sizeof shared->where, "world %" PRIu64 ", call %zu, %s", r->seed, r->op, name_of(kept));
    alarm(60);
    crash_disk_lay(&r->disk, kept, &random);
    if (!crash_workload_check(r->w, r->acknowledged, r->made, r->number % DEEP_EVERY == 0, why))
        bad(why);
    crash_disk_lift(&r->disk);
    shared->states++;
    shared->next++;
}

/* What can be there after this call, and during it. */
static void states_at(struct run *r, const struct crash_op *op)
{
    bool open = r->disk.pending_count > 0;
    state(r, CRASH_ALL);
    if (open && op->kind == CRASH_WRITE) {
        for (uint64_t i = 1; i < (op->lasting ? 2 : r->variants); i++)
            state(r, i < SHALLOW ? (enum crash_kept)i : i % 4 == 0 ? CRASH_WRITES : CRASH_SECTORS);
    }
    if (r->disk.name_there && !r->disk.name_lasts)
        state(r, CRASH_NAMELESS);
    if (r->disk.dir_there && !r->disk.dir_lasts)
        state(r, CRASH_HOMELESS);
}

static void play(struct run *r)
{
    crash_disk_init(&r->disk, r->w->dir);
    r->acknowledged = 0;
    r->made = false;
    for (r->op = 0; r->op < r->w->ops.count; r->op++) {
        const struct crash_op *op = &r->w->ops.at[r->op];
        crash_disk_step(&r->disk, op);
        if (op->kind == CRASH_ACKNOWLEDGED) {
            r->acknowledged += r->made;
            r->made = true;
        }
        states_at(r, op);
        if (op->kind == CRASH_WRITE && op->lasting)
            crash_disk_returned(&r->disk, op);
    }
    crash_disk_fini(&r->disk);
}

/* Runs the rest of a world's states in a child, again after each state that ended it. */
static void run_world(struct crash_workload *w, uint64_t seed, uint64_t variants)
{
    shared->next = 0;
    for (bool done = false; !done && shared->bad < BAD_MAX;) {
        int status;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            struct run r = {.w = w, .seed = seed, .variants = variants};
            play(&r);
            fflush(NULL);
            _exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child) {
            bad("no child process");
            return;
        }
        done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (done)
            break;
        char why[64];
        snprintf(why, sizeof why, WIFSIGNALED(status) ? "ended the process by signal %d" : "ended the process with %d",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        bad(why);
        shared->states++;
        shared->next++;
    }
}

static uint64_t boundaries(const struct crash_workload *w)
{
    uint64_t count = 0;
    for (size_t i = 0; i < w->ops.count; i++)
        count += w->ops.at[i].kind == CRASH_WRITE && !w->ops.at[i].lasting;
    return count;
}

/* A workload that lacks what a store must survive proves little. */
static void count_in(struct fm_store_counts *sum, const struct fm_store_counts *c)
{
    sum->open += c->open;
    sum->replaced += c->replaced;
    sum->settled += c->settled;
    sum->waiting += c->waiting;
    sum->quarantined_sets += c->quarantined_sets;
    sum->quarantined_versions += c->quarantined_versions;
    sum->void_versions += c->void_versions;
    sum->unreadable_sets += c->unreadable_sets;
}

static void want_all(const struct fm_store_counts *sum)
{
    if (sum->open == 0 || sum->replaced == 0 || sum->settled == 0 || sum->waiting == 0 || sum->quarantined_sets == 0 ||
        sum->quarantined_versions == 0 || sum->void_versions == 0 || sum->unreadable_sets == 0)
        bad("the workload has not all of conflicts, decisions, what waits, is cut, void or unreadable");
}

int main(int argc, char **argv)
{
    static struct crash_workload w;
    struct fm_store_counts sum = {0};
    uint64_t round = argc == 4 ? strtoull(argv[2], NULL, 10) : 0, wanted = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
    uint64_t calls = 0, commits = 0, worlds = wanted / WORLD_STATES + 1;
    if (wanted == 0 || fm_crypto_init() != 0) {
        fprintf(stderr, "usage: replay DIR ROUND STATES\n");
        return 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    for (uint64_t i = 0; i < worlds && shared->bad < BAD_MAX; i++) {
        uint64_t seed = 1 + i + round * 1000;
        crash_workload_init(&w, argv[1], seed);
        uint64_t many = boundaries(&w), share = wanted * (i + 1) / worlds;
        uint64_t left = share > shared->states ? share - shared->states : 0;
        for (size_t k = 0; k < w.ops.count; k++)
            commits += w.ops.at[k].kind == CRASH_ACKNOWLEDGED;
        calls += w.ops.count;
        count_in(&sum, &w.counts);
        run_world(&w, seed, left / (many > 0 ? many : 1) + 1 > SHALLOW ? left / many + 1 : SHALLOW);
        crash_workload_fini(&w);
    }
    if (worlds >= 10)
        want_all(&sum);
    printf("figure crash_states %" PRIu64 "\nfigure crash_states_bad %" PRIu64 "\nfigure crash_calls %" PRIu64
           "\nfigure crash_commits %" PRIu64 "\n",
           shared->states, shared->bad, calls, commits);
    return shared->bad == 0 ? 0 : 1;
}
