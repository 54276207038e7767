/* The program: seeds one after the other, each twice; a seed that fails is shrunk.
 *
 *   sim --seed N [--verbose]                  one seed; its story is told, in short if it fails
 *   sim [--from N] --seeds COUNT              as many; --seconds S: as many as fit in
 *   sim --file PATH                           the seeds of a file, one a line; other lines are comments
 *   --first: stop at the first that fails; --no-shrink; --nodes N, --events N: smaller worlds */
#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/run.h"

/* What a run leaves behind, in memory that both processes see. */
struct outcome {
    bool done, broken;
    uint64_t trace, virtual_ms, sets, deliveries, turns;
    char invariant[32], text[300];
    bool keep[4096];
};
static struct outcome *shared;

void sim_broken(struct sim *s, const char *invariant, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    shared->broken = true;
    shared->virtual_ms = s->now;
    (void)snprintf(shared->invariant, sizeof shared->invariant, "%s", invariant);
    (void)vsnprintf(shared->text, sizeof shared->text, format, args);
    va_end(args);
    (void)fflush(stdout);
    _exit(3);
}

static uint64_t nodes_max = 25, events_max = 4000;

static void one(uint64_t seed, bool use_keep, bool verbose, bool full)
{
    struct sim_plan plan;
    uint64_t trace[2] = {0, 0};
    sim_plan_make(&plan, seed, (int)nodes_max, events_max);
    for (int pass = 0; pass < (full ? 2 : 1); pass++) {
        struct sim *s = calloc(1, sizeof *s);
        assert(s != NULL);
        s->verbose = verbose && pass == 0;
        sim_run(s, &plan, seed, use_keep ? shared->keep : NULL);
        trace[pass] = s->trace;
        shared->trace = s->trace;
        shared->virtual_ms = s->now;
        shared->sets = s->sets_made;
        shared->deliveries = s->deliveries;
        shared->turns = s->turns;
        if (pass == 1 && trace[0] != trace[1])
            sim_broken(s, "I20", "the same seed gave two traces");
        sim_mesh_end(s);
        free(s);
    }
    free(plan.at);
    shared->done = true;
}

/* True: it held. */
static bool run_seed(uint64_t seed, bool use_keep, bool verbose, bool full)
{
    shared->done = shared->broken = false;
    shared->invariant[0] = shared->text[0] = '\0';
    (void)fflush(stdout);
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        if (!verbose && use_keep && freopen("/dev/null", "w", stderr) == NULL)
            _exit(4);
        (void)alarm(use_keep ? 60 : 300);
        one(seed, use_keep, verbose, full);
        (void)fflush(stdout);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        continue;
    if (shared->done && !shared->broken && status == 0)
        return true;
    if (!shared->broken)
        (void)snprintf(shared->invariant, sizeof shared->invariant, "%s",
                       WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hang" : "crash");
    return false;
}

/* Leaves out ever smaller parts of the plan as long as the same invariant breaks. */
static size_t shrink(uint64_t seed, const char *invariant, double seconds)
{
    struct sim_plan plan;
    size_t left = 0;
    time_t end = time(NULL) + (time_t)seconds;
    sim_plan_make(&plan, seed, (int)nodes_max, events_max);
    assert(plan.count <= sizeof shared->keep);
    for (size_t i = 0; i < plan.count; i++)
        shared->keep[i] = true;
    for (size_t part = plan.count / 2 + 1; part > 0 && time(NULL) < end; part = part > 1 ? part / 2 : 0) {
        for (size_t from = 0; from < plan.count && time(NULL) < end; from += part) {
            bool was[4096];
            memcpy(was, shared->keep, sizeof was);
            bool any = false;
            for (size_t i = from; i < from + part && i < plan.count; i++) {
                any = any || shared->keep[i];
                shared->keep[i] = false;
            }
            if (any && (run_seed(seed, true, false, false) || strcmp(shared->invariant, invariant) != 0))
                memcpy(shared->keep, was, sizeof was);
        }
    }
    for (size_t i = 0; i < plan.count; i++)
        left += shared->keep[i];
    free(plan.at);
    return left;
}

static void tell_failure(uint64_t seed, bool do_shrink)
{
    char invariant[32];
    memcpy(invariant, shared->invariant, sizeof invariant);
    (void)printf("BROKEN %s seed %llu at day %.3f: %s\n", invariant, (unsigned long long)seed,
                 (double)shared->virtual_ms / SIM_DAY_MS, shared->text);
    if (!do_shrink)
        return;
    size_t left = shrink(seed, invariant, 40);
    (void)printf("shrunk to %zu events; the story:\n", left);
    bool held = run_seed(seed, true, true, false);
    (void)printf("%s %s: %s\n", held ? "(it held when told)" : "BROKEN", shared->invariant, shared->text);
    (void)printf("repeat: make sim SEED=%llu\n", (unsigned long long)seed);
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of the runs, which are children. */
static double cpu_seconds(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    uint64_t from = 1, count = 0, single = 0, seconds = 60, failed = 0, ran = 0;
    bool verbose = false, shrinks = true, first = false;
    uint64_t total_ms = 0, total_sets = 0, total_deliveries = 0;
    const char *file = NULL;
    for (int i = 1; i < argc; i++) {
        char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--no-shrink") == 0)
            shrinks = false;
        else if (strcmp(argv[i], "--first") == 0)
            first = true;
        else if (next == NULL)
            return 2;
        else if (strcmp(argv[i], "--seed") == 0)
            single = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--from") == 0)
            from = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0)
            count = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--nodes") == 0)
            nodes_max = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--events") == 0)
            events_max = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--file") == 0)
            file = argv[++i];
        else
            return 2;
    }
    if (fm_crypto_init() != FM_OK)
        return 2;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    FILE *seeds = file != NULL ? fopen(file, "r") : NULL;
    char line[400];
    double start = now();
    for (uint64_t seed = from;; seed++) {
        if (single != 0)
            seed = single;
        else if (file != NULL) {
            if (seeds == NULL || fgets(line, sizeof line, seeds) == NULL)
                break;
            if (line[0] < '0' || line[0] > '9')
                continue;
            seed = strtoull(line, NULL, 10);
        } else if (count > 0 ? seed >= from + count : now() - start >= (double)seconds)
            break;
        bool held = run_seed(seed, false, verbose, true);
        ran++;
        if (held) {
            total_ms += shared->virtual_ms;
            total_sets += shared->sets;
            total_deliveries += shared->deliveries;
        } else {
            failed++;
            tell_failure(seed, shrinks && !first && failed == 1);
        }
        if (single != 0 && held)
            (void)printf("seed %llu held: %.1f days, %llu sets, trace %016llx\n", (unsigned long long)seed,
                         (double)shared->virtual_ms / SIM_DAY_MS, (unsigned long long)shared->sets,
                         (unsigned long long)shared->trace);
        if (single != 0 || failed >= (first ? 1 : 10))
            break;
    }
    if (seeds != NULL)
        (void)fclose(seeds);
    double years = (double)total_ms / SIM_DAY_MS / 365.25, hours = cpu_seconds() / 3600;
    if (failed == 0)
        (void)printf("ok simulated %llu seeds, %.2f cluster-years, no invariant broken (%llu sets, %llu messages, "
                     "%.0f cluster-years per core-hour, each seed twice)\n", (unsigned long long)ran, years,
                     (unsigned long long)total_sets, (unsigned long long)total_deliveries, hours > 0 ? years / hours : 0);
    else
        (void)printf("FAILED simulated %llu seeds: %llu broke an invariant\n", (unsigned long long)ran,
                     (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}
