/* Membership in flight: coordinators' epochs, grants, revocations and adoptions, and the root's acts, wherever the news has
 * got to by then. */
#include <assert.h>
#include <stdlib.h>

#include "replication/act.h"
#include "tests/sim/sim.h"

static bool act(struct sim *s, int n, const struct fm_act *a)
{
    s->nodes[n].taken = 1;
    bool up = sim_node_event(s, n, (struct fm_event){.kind = FM_EVENT_ACT, .act = a});
    sim_tell(s, "  node %d: act %d: %d", n, a->kind, s->nodes[n].taken);
    return up && s->nodes[n].taken == FM_OK;
}

void sim_member_epoch(struct sim *s, int n)
{
    n %= s->plan->cfg.coordinators;
    if (s->nodes[n].up)
        sim_node_event(s, n, (struct fm_event){.kind = FM_EVENT_EPOCH, .number = fm_repl_epoch(s->nodes[n].core) + 1});
}

/* One more grant: for a node that had no data key it brings it; a camp may become a relay under a new grant. */
void sim_member_grant(struct sim *s, int n, int to)
{
    const struct sim_config *c = &s->plan->cfg;
    n %= c->coordinators;
    if (!s->nodes[n].up || to < c->coordinators || s->nodes[to].gone)
        return;
    uint8_t role = sim_chance(&s->rng, 50) ? FM_ROLE_CAMP : FM_ROLE_RELAY;
    struct fm_act *a = sim_mesh_grant(s, s->nodes[to].device, role, 1000, true);
    act(s, n, a);
    sim_mesh_act_free(a);
}

/* What a coordinator knows of a node's streams, each cut at its tip or, against what was written lately, before it. */
struct cutting {
    struct sim *s;
    int node;
    const struct fm_key *author;
    struct fm_act *act;
};

static int cut_stream(void *arg, const struct fm_stream_row *row)
{
    struct cutting *c = arg;
    struct sim_rng *r = &c->s->rng;
    struct fm_set_meta sets[64];
    size_t count = 0;
    const struct fm_port *port = fm_memory_port(c->s->nodes[c->node].store);
    if (!fm_id_eq(&row->stream.author, c->author) || c->act->cut_count == MODEL_CUTS || sim_chance(r, 8))
        return 0;
    uint64_t tip = row->tips[row->tip_count - 1].sequence;
    uint64_t from = sim_chance(r, 60) ? tip : tip - sim_draw(r, tip < 8 ? tip : 8);
    MUST(port->stream_sets(port->ctx, &row->stream, from > 0 ? from : 1, sets, 64, &count));
    if (count == 0)
        return 0;
    const struct fm_set_meta *at = &sets[sim_chance(r, 80) ? 0 : sim_draw(r, count)];
    struct fm_cut *cut = &c->act->cuts[c->act->cut_count++];
    *cut = (struct fm_cut){.incarnation = row->stream.incarnation, .lane = row->stream.lane,
                           .sequence = at->sequence, .set = at->id};
    if (sim_chance(r, 5))
        memset(cut->set.b, 0xcc, sizeof cut->set.b); /* a set that nobody has */
    return 0;
}

static struct fm_act *revocation(struct sim *s, int n, const struct fm_key *author)
{
    struct fm_act *a = calloc(1, sizeof *a);
    struct cutting c = {.s = s, .node = n, .author = author, .act = a};
    assert(a != NULL);
    a->kind = FM_ACT_REVOKE;
    a->node = *author;
    const struct fm_port *port = fm_memory_port(s->nodes[n].store);
    MUST(port->stream_each(port->ctx, cut_stream, &c));
    return a;
}

void sim_member_revoke(struct sim *s, int n, int target)
{
    const struct sim_config *c = &s->plan->cfg;
    n %= c->coordinators;
    bool foe = sim_chance(&s->rng, 60);
    int gone = 0;
    for (int i = 0; i < s->count; i++)
        gone += s->nodes[i].gone;
    if (!s->nodes[n].up || (!foe && (target < c->coordinators || gone > c->nodes / 3)))
        return;
    struct fm_act *a = revocation(s, n, foe ? &s->devices[SIM_FOE_DEVICE].author : &s->nodes[target].self.author);
    if (!foe && sim_chance(&s->rng, 40)) { /* one grant only */
        a->targets_grant = true;
        a->revoked = s->nodes[target].self.grant;
    }
    if (act(s, n, a) && !foe)
        s->nodes[target].gone = true;
    free(a);
}

/* Sets that a cut keeps out are let in after all. */
void sim_member_adopt(struct sim *s, int n)
{
    n %= s->plan->cfg.coordinators;
    if (!s->nodes[n].up)
        return;
    const struct fm_port *port = fm_memory_port(s->nodes[n].store);
    struct fm_act *a = calloc(1, sizeof *a);
    struct fm_set_meta meta;
    uint64_t seen = 0;
    assert(a != NULL);
    a->kind = FM_ACT_ADOPT;
    for (uint64_t at = 1; port->set_next(port->ctx, at, &meta) == FM_OK; at = meta.arrival + 1)
        if (meta.verdict == FM_QUARANTINED && (a->adopt_count < 3 || sim_draw(&s->rng, ++seen) == 0))
            a->adopts[a->adopt_count < 3 ? a->adopt_count++ : sim_draw(&s->rng, 3)] =
                (struct fm_adopted){.stream = meta.stream, .sequence = meta.sequence, .set = meta.id};
    if (a->adopt_count > 0)
        act(s, n, a);
    free(a);
}

/* The root: another coordinator is revoked, adopted from, or granted anew. It writes on paper, one node takes it in. */
void sim_member_root(struct sim *s, int n, int target)
{
    const struct sim_config *c = &s->plan->cfg;
    struct fm_buf item, set;
    target = c->coordinators - 1;
    if (!s->nodes[n].up || target == 0)
        return;
    uint64_t what = sim_draw(&s->rng, 3);
    struct fm_act *a;
    if (what == 0) {
        a = revocation(s, n, &s->nodes[target].self.author);
        s->nodes[target].gone = true;
    } else {
        a = sim_mesh_grant(s, target, FM_ROLE_COORDINATOR, 1000, true);
    }
    fm_buf_init(&item, 0);
    fm_buf_init(&set, 0);
    MUST(fm_act_encode(&item, a));
    struct fm_span items[1] = {fm_buf_span(&item)};
    sim_mesh_write(s, &s->root, SIM_ROOT_DEVICE, &set, items, 1, false);
    for (int i = 0; i < s->count; i++) /* the root's paper goes to one node, and to the hub for safety */
        if ((i == n || i == 0) && s->nodes[i].up)
            sim_node_take(s, i, fm_buf_span(&set));
    fm_buf_fini(&item);
    fm_buf_fini(&set);
    if (what == 0)
        free(a);
    else
        sim_mesh_act_free(a);
}
