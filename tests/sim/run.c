/* The program: seeds one after the other, each twice; a seed that fails is shrunk.
 *
 *   sim --seed N [--verbose]                  one seed; its story is told, in short if it fails
 *   sim [--from N] --seeds COUNT              as many; --seconds S: as many as fit in
 *   sim --file PATH                           the seeds of a file, one a line; other lines are comments
 *   --first: stop at the first that fails; --no-shrink; --nodes N, --events N: smaller worlds
 *   --traces: each seed once, and a line with its digest trace; --figures: what was reached, for machines */
#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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
static bool traces;

static void one(uint64_t seed, bool use_keep, bool verbose, bool full)
{
    struct sim_plan plan;
    uint64_t trace[2] = {0, 0};
    sim_plan_make(&plan, seed, (int)nodes_max, events_max);
    for (int pass = 0; pass < (full && !traces ? 2 : 1); pass++) {
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
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
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

struct options {
    uint64_t from, count, single, seconds;
    bool verbose, no_shrink, first, figures;
    const char *file;
};

static bool read_options(struct options *o, int argc, char **argv)
{
    const struct {
        const char *name;
        bool *flag;
        uint64_t *number;
    } known[] = {{"--verbose", &o->verbose, NULL}, {"--no-shrink", &o->no_shrink, NULL}, {"--first", &o->first, NULL},
                 {"--figures", &o->figures, NULL}, {"--traces", &traces, NULL},          {"--seed", NULL, &o->single},
                 {"--from", NULL, &o->from},       {"--seeds", NULL, &o->count},         {"--seconds", NULL, &o->seconds},
                 {"--nodes", NULL, &nodes_max},    {"--events", NULL, &events_max}};
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] && strcmp(argv[i], known[k].name) != 0)
            k++;
        if (k < sizeof known / sizeof known[0] && known[k].flag != NULL)
            *known[k].flag = true;
        else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--file") == 0)
            o->file = argv[++i];
        else if (k < sizeof known / sizeof known[0])
            *known[k].number = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return true;
}

/* 0: there are no more. */
static uint64_t next_seed(const struct options *o, FILE *file, uint64_t ran, double start)
{
    char line[400];
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (line[0] >= '0' && line[0] <= '9')
            return strtoull(line, NULL, 10);
    if (o->file != NULL)
        return 0;
    if (o->single != 0)
        return ran == 0 ? o->single : 0;
    return (o->count > 0 ? ran < o->count : now() - start < (double)o->seconds) ? o->from + ran : 0;
}

struct sum {
    uint64_t ran, failed, ms, sets, deliveries;
};

static void tell_sum(const struct sum *t, bool figures)
{
    double years = (double)t->ms / SIM_DAY_MS / 365.25, hours = cpu_seconds() / 3600;
    unsigned long long ran = t->ran, failed = t->failed;
    if (t->failed == 0)
        (void)printf("ok simulated %llu seeds, %.2f cluster-years, no invariant broken (%llu sets, %llu messages, "
                     "%.0f cluster-years per core-hour, each seed twice)\n",
                     ran, years, (unsigned long long)t->sets, (unsigned long long)t->deliveries,
                     hours > 0 ? years / hours : 0);
    else
        (void)printf("FAILED simulated %llu seeds: %llu broke an invariant\n", ran, failed);
    if (figures)
        (void)printf(
            "figure sim_seeds %llu\nfigure sim_years %.2f\nfigure sim_core_seconds %.0f\nfigure sim_violations %llu\n", ran,
            years, hours * 3600, failed);
}

int main(int argc, char **argv)
{
    struct options o = {.from = 1, .seconds = 60};
    struct sum t = {0};
    if (!read_options(&o, argc, argv) || fm_crypto_init() != FM_OK)
        return 2;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *file = o.file != NULL ? fopen(o.file, "r") : NULL;
    if (shared == MAP_FAILED || (o.file != NULL && file == NULL))
        return 2;
    double start = now();
    for (uint64_t seed; t.failed < (o.first ? 1 : 10) && (seed = next_seed(&o, file, t.ran, start)) != 0;) {
        bool held = run_seed(seed, false, o.verbose, true);
        t.ran++;
        if (held) {
            t.ms += shared->virtual_ms;
            t.sets += shared->sets;
            t.deliveries += shared->deliveries;
        } else {
            t.failed++;
            tell_failure(seed, !o.no_shrink && !o.first && t.failed == 1);
        }
        if (traces)
            (void)printf("%llu %016llx\n", (unsigned long long)seed, (unsigned long long)shared->trace);
        else if (o.single != 0 && held)
            (void)printf("seed %llu held: %.1f days, %llu sets, trace %016llx\n", (unsigned long long)seed,
                         (double)shared->virtual_ms / SIM_DAY_MS, (unsigned long long)shared->sets,
                         (unsigned long long)shared->trace);
    }
    if (file != NULL)
        (void)fclose(file);
    if (!traces)
        tell_sum(&t, o.figures);
    return t.failed == 0 ? 0 : 1;
}
