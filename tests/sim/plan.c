/* What a seed is about (which faults are on, and how strong), and its list of outside events. */
#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

static uint64_t next(struct sim_rng *r)
{
    uint64_t x = r->s += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t sim_draw(struct sim_rng *r, uint64_t below)
{
    return below == 0 ? 0 : next(r) % below;
}

bool sim_chance(struct sim_rng *r, uint64_t percent)
{
    return sim_draw(r, 100) < percent;
}

void sim_flip(struct sim_rng *r, uint8_t *data, size_t len)
{
    uint64_t at = sim_draw(r, len);
    data[at] ^= (uint8_t)(1u << sim_draw(r, 8));
}

uint64_t sim_spread(struct sim_rng *r, uint64_t mean)
{
    uint64_t left = mean, sum = 0;
    for (int i = 0; i < 3; i++)
        sum += sim_draw(r, left + 1);
    return sim_chance(r, 4) ? sum * 13 : sum * 2 / 3;
}

const char *sim_plan_name(int kind)
{
    static const char *const names[] = {"people", "decide", "contact", "crash", "stop", "backup", "restore", "clone", "full",
                                        "clock", "carry", "replay", "epoch", "grant", "revoke", "adopt", "root", "foe",
                                        "garbage", "check"};
    return names[kind];
}

/* Half of the families are off in a seed: all faults always hide bugs. */
static void configure(struct sim_config *c, struct sim_rng *r, uint64_t seed, int nodes_max)
{
    static const int usual[SIM_KINDS] = {
        [SIM_PEOPLE] = 30, [SIM_DECIDE] = 10, [SIM_CONTACT] = 34, [SIM_CRASH] = 4, [SIM_STOP] = 3, [SIM_BACKUP] = 2,
        [SIM_RESTORE] = 1, [SIM_CLONE] = 1, [SIM_FULL] = 2, [SIM_CLOCK] = 2, [SIM_CARRY] = 3, [SIM_REPLAY] = 2,
        [SIM_EPOCH] = 1, [SIM_GRANT] = 1, [SIM_REVOKE] = 1, [SIM_ADOPT] = 1, [SIM_ROOT] = 1, [SIM_FOE] = 9,
        [SIM_GARBAGE] = 2, [SIM_CHECK] = 3};
    *c = (struct sim_config){.withholder = -1};
    c->nodes = sim_chance(r, 10) ? 8 + (int)sim_draw(r, 18) : 4 + (int)sim_draw(r, 6);
    if (c->nodes > nodes_max)
        c->nodes = nodes_max;
    c->coordinators = 1 + (c->nodes > 3 && sim_chance(r, 55));
    c->relays = c->nodes - c->coordinators > 2 ? (int)sim_draw(r, 3) : 0;
    c->real = seed % 50 == 7;
    c->sealed = sim_chance(r, 30);
    c->policy = sim_chance(r, 25);
    c->days = 15 + sim_draw(r, sim_chance(r, 10) ? 350 : 90);
    c->delay_ms = sim_chance(r, 20) ? 20000 : 1 + sim_draw(r, 500);
    c->tick_ms = 2000 + sim_draw(r, 8000);
    c->contact_ms = sim_chance(r, 30) ? 4000 : 60000 + sim_draw(r, 20 * 60000);
    c->loss = sim_chance(r, 30) ? 1 + (int)sim_draw(r, 5) : 0;
    c->oneway = sim_chance(r, 30) ? 10 : 0;
    c->half_open = sim_chance(r, 40) ? 50 : 0;
    c->shape = (int)sim_draw(r, 4);
    c->foe_tricks = (int)sim_draw(r, 256); /* one draw a statement: the order within an expression is the compiler's */
    c->foe_tricks |= 1 << sim_draw(r, 8);
    for (int i = 0; i < SIM_KINDS; i++) {
        bool always = i <= SIM_CONTACT || i == SIM_CHECK;
        c->weight[i] = always || sim_chance(r, 45) ? usual[i] * (int)(1 + sim_draw(r, 3)) : 0;
    }
    if (c->nodes > 4 && sim_chance(r, 12))
        c->withholder = c->nodes - 1;
    c->upgrades = seed % 6 == 3; /* not drawn: the other seeds stay what they were */
    if (c->upgrades && c->weight[SIM_FOE] == 0)
        c->weight[SIM_FOE] = usual[SIM_FOE];
    if (c->upgrades && c->weight[SIM_STOP] == 0)
        c->weight[SIM_STOP] = usual[SIM_STOP];
    if (c->upgrades)
        c->foe_tricks |= 1 << SIM_FOE_WRONG;
}

/* Who meets whom: anybody; camps only relays; neighbours in a row; two halves with a bridge now and then. */
static void pair(const struct sim_config *c, struct sim_rng *r, struct sim_planned *e)
{
    uint64_t n = (uint64_t)c->nodes, half = n / 2;
    e->node = (uint8_t)sim_draw(r, n);
    e->other = (uint8_t)sim_draw(r, n);
    if (c->shape == 1 && c->relays > 0 && sim_chance(r, 95))
        e->other = (uint8_t)(c->coordinators + (int)sim_draw(r, (uint64_t)c->relays));
    if (c->shape == 2 && sim_chance(r, 95))
        e->other = (uint8_t)((e->node + 1) % n);
    if (c->shape == 3 && sim_chance(r, 97))
        e->other = (uint8_t)(e->node < half ? sim_draw(r, half) : half + sim_draw(r, n - half));
    if (e->other == e->node)
        e->other = (uint8_t)((e->node + 1) % n);
}

static int by_time(const void *x, const void *y)
{
    const struct sim_planned *a = x, *b = y;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return (a->seed > b->seed) - (a->seed < b->seed);
}

void sim_plan_make(struct sim_plan *p, uint64_t seed, int nodes_max, size_t events_max)
{
    struct sim_rng r = {.s = seed * UINT64_C(0xd1342543de82ef95) + 77};
    int total = 0;
    configure(&p->cfg, &r, seed, nodes_max);
    for (int i = 0; i < SIM_KINDS; i++)
        total += p->cfg.weight[i];
    p->count = 150 + (size_t)sim_draw(&r, 450);
    if (p->count > events_max)
        p->count = events_max;
    p->at = calloc(p->count + 1, sizeof *p->at);
    assert(p->at != NULL);
    for (size_t i = 0; i < p->count; i++) {
        struct sim_planned *e = &p->at[i];
        int left = (int)sim_draw(&r, (uint64_t)total);
        while (left >= p->cfg.weight[e->kind])
            left -= p->cfg.weight[e->kind++];
        e->at = sim_draw(&r, p->cfg.days * SIM_DAY_MS);
        e->seed = next(&r);
        pair(&p->cfg, &r, e);
    }
    qsort(p->at, p->count, sizeof *p->at, by_time);
}
