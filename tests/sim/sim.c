/* One seed: the plan's events and what follows from them in the order of virtual time; then everything is healed, and all
 * that are connected must agree. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/run.h"

void sim_mix(struct sim *s, const void *data, size_t len)
{
    const uint8_t *b = data;
    for (size_t i = 0; i < len; i++)
        s->trace = (s->trace ^ b[i]) * UINT64_C(0x100000001b3);
    s->trace ^= s->trace >> 31;
}

void sim_tell(const struct sim *s, const char *format, ...)
{
    va_list args;
    if (!s->verbose)
        return;
    va_start(args, format);
    (void)printf("%8.3f ", (double)s->now / SIM_DAY_MS);
    (void)vprintf(format, args);
    (void)printf("\n");
    va_end(args);
}

/* --- what is to come --- */

static bool sooner(const struct sim_soon *a, const struct sim_soon *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_soon(struct sim *s, uint64_t in_ms, enum sim_soon_kind kind, int a, uint32_t b, uint64_t gen)
{
    if (s->soon_count == s->soon_cap) {
        s->soon_cap = s->soon_cap == 0 ? 256 : 2 * s->soon_cap;
        s->soon = realloc(s->soon, s->soon_cap * sizeof *s->soon);
        assert(s->soon != NULL);
    }
    struct sim_soon e = {.at = s->now + in_ms, .order = ++s->order, .gen = gen, .kind = (uint8_t)kind, .a = a, .b = b};
    size_t i = s->soon_count++;
    for (; i > 0 && sooner(&e, &s->soon[(i - 1) / 2]); i = (i - 1) / 2)
        s->soon[i] = s->soon[(i - 1) / 2];
    s->soon[i] = e;
}

static struct sim_soon take_soon(struct sim *s)
{
    struct sim_soon first = s->soon[0], last = s->soon[--s->soon_count];
    size_t i = 0;
    for (size_t k = 1; k < s->soon_count; k = 2 * i + 1) {
        if (k + 1 < s->soon_count && sooner(&s->soon[k + 1], &s->soon[k]))
            k++;
        if (!sooner(&s->soon[k], &last))
            break;
        s->soon[i] = s->soon[k];
        i = k;
    }
    s->soon[i] = last;
    return first;
}

static void tick(struct sim *s, int n)
{
    struct sim_node *d = &s->nodes[n];
    d->ticking = d->up && fm_repl_peer_count(d->core) > 0;
    if (!d->ticking)
        return;
    sim_soon(s, s->plan->cfg.tick_ms, SOON_TICK, n, 0, 0);
    sim_node_event(s, n, (struct fm_event){.kind = FM_EVENT_TICK});
}

static void run_soon(struct sim *s)
{
    struct sim_soon e = take_soon(s);
    s->now = e.at;
    switch ((enum sim_soon_kind)e.kind) {
    case SOON_DELIVER: sim_net_deliver(s, e.a / 2, e.a % 2, e.gen); break;
    case SOON_CUT:
        if (s->links[e.a].gen == e.gen)
            sim_net_cut(s, e.a, -1, sim_chance(&s->rng, (uint64_t)s->plan->cfg.half_open) ? sim_draw(&s->rng, 60000) : 0);
        break;
    case SOON_TICK: tick(s, e.a); break;
    case SOON_UP:
        if (!s->nodes[e.a].up && s->plan->cfg.upgrades && s->nodes[e.a].self.kind_last == 0 && sim_chance(&s->rng, 40))
            sim_node_upgrade(s, e.a);
        if (!s->nodes[e.a].up)
            sim_node_start(s, e.a);
        break;
    case SOON_DOWN:
        if (s->nodes[e.a].up)
            sim_node_event(s, e.a, (struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = e.b});
        break;
    }
}

static void run_planned(struct sim *s, const struct sim_planned *e)
{
    int n = e->node;
    if (sim_chance(&s->rng, 10) && s->count > s->plan->cfg.nodes) /* a copied machine now and then */
        n = s->plan->cfg.nodes + (int)sim_draw(&s->rng, (uint64_t)(s->count - s->plan->cfg.nodes));
    struct sim_planned moved = *e;
    moved.node = (uint8_t)n;
    sim_tell(s, "%s %d %d", sim_plan_name(e->kind), n, e->other);
    switch ((enum sim_kind)e->kind) {
    case SIM_PEOPLE: sim_people_act(s, n, e->other); break;
    case SIM_DECIDE: sim_people_decide(s, e->node); break;
    case SIM_CONTACT: sim_net_contact(s, &moved); break;
    case SIM_CRASH: sim_disk_crash(s, n); break;
    case SIM_STOP:
        sim_node_stop(s, n, true);
        sim_soon(s, 1 + sim_spread(&s->rng, SIM_DAY_MS / 4), SOON_UP, n, 0, 0);
        break;
    case SIM_BACKUP: sim_disk_backup(s, e->node); break;
    case SIM_RESTORE: sim_disk_restore(s, e->node); break;
    case SIM_CLONE: sim_disk_clone(s, e->node); break;
    case SIM_FULL: s->nodes[n].full_until = s->now + sim_spread(&s->rng, SIM_DAY_MS / 2); break;
    case SIM_CLOCK: sim_disk_clock(s, n); break;
    case SIM_CARRY: sim_disk_carry(s, n, e->other); break;
    case SIM_REPLAY: sim_disk_replay(s, n); break;
    case SIM_EPOCH: sim_member_epoch(s, e->node); break;
    case SIM_GRANT: sim_member_grant(s, e->node, e->other); break;
    case SIM_REVOKE: sim_member_revoke(s, e->node, e->other); break;
    case SIM_ADOPT: sim_member_adopt(s, e->node); break;
    case SIM_ROOT: sim_member_root(s, e->node, e->other); break;
    case SIM_FOE: sim_foe_act(s, n, e->other); break;
    case SIM_GARBAGE: sim_foe_garbage(s, n); break;
    case SIM_CHECK: sim_look_compare(s, n); break;
    case SIM_KINDS: assert(!"a kind"); break;
    }
}

static void run_until(struct sim *s, uint64_t until)
{
    while (s->soon_count > 0 && s->soon[0].at <= until)
        run_soon(s);
    s->now = until;
}

/* --- healing --- */

static bool takes_part(struct sim *s, int i)
{
    return s->nodes[i].there && i != s->plan->cfg.withholder && s->nodes[i].up;
}

/* Two machines with one key turn each other out: they take turns. */
static bool on_duty(const struct sim *s, int i, uint64_t shift)
{
    uint64_t twins = 0, own = 0;
    for (int k = 0; k < s->count; k++)
        if (s->nodes[k].device == s->nodes[i].device) {
            own = k == i ? twins : own;
            twins++;
        }
    return shift % twins == own;
}

/* A row of all whom the hub admits, each linked to the one before it; or to the hub, if that one will not have it, as news
 * of a revocation may stand between them. */
static void link_up(struct sim *s, uint64_t minute)
{
    int last = 0;
    if (!takes_part(s, 0))
        return;
    for (int i = 1; i < s->count; i++) {
        int to = minute % 2 == 1 ? 0 : last;
        if (!takes_part(s, i))
            continue;
        if (!on_duty(s, i, minute / 5)) {
            sim_net_cut_node(s, i);
            continue;
        }
        if (!fm_repl_admits(s->nodes[0].core, &s->nodes[i].self.transport))
            continue;
        if (sim_net_between(s, last, i) < 0 && sim_net_between(s, to, i) < 0)
            sim_net_connect(s, to, i, 1 + s->plan->cfg.delay_ms / 4);
        last = i;
    }
}

static void heal(struct sim *s)
{
    s->healing = true;
    sim_tell(s, "--- healing");
    s->rng.s = s->seed;
    for (int i = 0; i < SIM_LINKS; i++)
        sim_net_cut(s, i, -1, 0);
    for (int i = 0; i < s->count; i++) {
        s->nodes[i].doom = -1;
        s->nodes[i].full_until = 0;
        if (!s->nodes[i].up)
            sim_node_start(s, i);
    }
    uint64_t end = s->now + SIM_HEAL_MS;
    uint64_t minute = 0;
    for (bool agreed = false; s->now < end && !agreed; minute++) {
        link_up(s, minute);
        run_until(s, s->now + 60000);
        agreed = sim_look_agreed(s, false);
    }
    sim_look_agreed(s, true);
    for (int i = 0; i < s->count; i++) {
        sim_look_compare(s, i);
        sim_node_stop(s, i, true);
        sim_node_start(s, i);
    }
}

void sim_run(struct sim *s, const struct sim_plan *plan, uint64_t seed, const bool *keep)
{
    s->seed = seed;
    s->plan = plan;
    s->rng.s = seed;
    s->trace = UINT64_C(0xcbf29ce484222325);
    sim_mesh_begin(s);
    uint64_t start = s->now;
    for (size_t i = 0; i < plan->count; i++) {
        if (keep != NULL && !keep[i])
            continue;
        run_until(s, start + plan->at[i].at);
        s->rng.s = plan->at[i].seed;
        run_planned(s, &plan->at[i]);
        fm_arena_reset(&s->arena);
    }
    heal(s);
    sim_mix(s, &s->now, sizeof s->now);
}
