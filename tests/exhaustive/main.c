/* All small worlds, one after the other. PROOF_SCALE (percent) thins out those of four items; PROOF_ROUND gives other keys,
 * so other ids where nothing else decides, and other worlds their crashes. --items N: only worlds of so many. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exhaustive/deliver.h"

#define CRASHES_EVERY 24u
#define ONE_TURN_EVERY 3u
#define HOME_EVERY 4u
#define FAILURES_MAX 5

struct all {
    struct ex_mesh mesh;
    struct fm_memory *base[2];
    struct ex_seen seen;
    uint64_t number, scale, round;
    int failed;
};

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void each(void *ctx, const struct ex_world *w)
{
    struct all *a = ctx;
    uint64_t n = a->number++;
    if ((w->count == EX_ITEMS && (n * 37 + a->round) % 100 >= a->scale) || a->failed >= FAILURES_MAX)
        return;
    int share = (n + a->round) % CRASHES_EVERY == 0 ? EX_CRASHES : 0;
    if ((n + a->round) % ONE_TURN_EVERY == 0)
        share |= EX_ONE_TURN;
    if ((n + a->round) / CRASHES_EVERY % HOME_EVERY == 0)
        share |= EX_HOME;
    for (int clock = 0; clock < EX_CLOCKS; clock++) {
        if (!ex_sets_hang_on(w, clock))
            continue;
        struct ex_sets *s = calloc(1, sizeof *s);
        char why[400] = "", text[300];
        if (s == NULL)
            exit(2);
        ex_sets_init(s, &a->mesh, w, clock);
        if (!ex_deliver(s, a->base[share & EX_HOME ? 1 : 0], share, &a->seen, why)) {
            ex_text(w, text, sizeof text);
            printf("FAILED exhaustive world %llu, clock %d: %s\n  %s\n", (unsigned long long)n, clock, text, why);
            a->failed++;
        }
        ex_sets_fini(s);
        free(s);
        a->seen.worlds++;
    }
}

/* All there can be was there. */
static int met_everything(const struct ex_seen *seen)
{
    int lacking = 0;
    for (int i = MODEL_WINNER; i <= MODEL_SETTLED; i++)
        lacking += seen->place[i] < 20;
    for (int i = MODEL_VALID; i <= MODEL_WAITING; i++)
        lacking += seen->status[i] < 20;
    lacking += seen->verdict[MODEL_COUNTED] < 20 || seen->verdict[MODEL_QUARANTINED] < 20 || seen->settled_by < 20;
    return lacking == 0 && seen->judged_again > 20 && seen->refused > 20;
}

int main(int argc, char **argv)
{
    static struct all a;
    int only = argc == 3 && strcmp(argv[1], "--items") == 0 ? (int)strtol(argv[2], NULL, 10) : 0;
    a.scale = number_from("PROOF_SCALE", 100);
    a.round = number_from("PROOF_ROUND", 0);
    ex_mesh_init(&a.mesh, a.round);
    for (int home = 0; home < 2; home++)
        a.base[home] = ex_receiver(&a.mesh, home);
    for (int items = 1; items <= EX_ITEMS; items++)
        if (only == 0 || only == items)
            ex_plan(items, each, &a);
    for (int home = 0; home < 2; home++)
        fm_memory_free(a.base[home]);
    ex_mesh_fini(&a.mesh);
    if (a.failed == 0)
        printf("ok exhaustive: %llu worlds, %llu states, %llu restarts, as in the model in every order\n",
               (unsigned long long)a.seen.worlds, (unsigned long long)a.seen.states, (unsigned long long)a.seen.restarts);
    if (a.failed == 0 && only == 0 && a.scale >= 50 && !met_everything(&a.seen)) {
        printf("FAILED exhaustive: the worlds are harmless: a place, status or verdict never came up\n");
        a.failed = 1;
    }
    printf("figure exhaustive_worlds %llu\nfigure exhaustive_orders %llu\nfigure exhaustive_steps %llu\n",
           (unsigned long long)a.seen.worlds, (unsigned long long)a.seen.orders, (unsigned long long)a.seen.steps);
    return a.failed == 0 ? 0 : 1;
}
