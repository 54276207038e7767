/* Links between nodes: streams in order with a delay, which break, are cut on one side, or go deaf. */
#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

static struct sim_link *link_of(struct sim *s, int n, uint32_t conn, int *end)
{
    for (int i = 0; i < SIM_LINKS; i++)
        for (*end = 0; *end < 2; (*end)++)
            if (s->links[i].up && s->links[i].end[*end] == n && s->links[i].conn[*end] == conn)
                return &s->links[i];
    return NULL;
}

int sim_net_between(const struct sim *s, int a, int b)
{
    for (int i = 0; i < SIM_LINKS; i++) {
        const struct sim_link *l = &s->links[i];
        if (l->up && l->conn[0] != 0 && l->conn[1] != 0 &&
            ((l->end[0] == a && l->end[1] == b) || (l->end[0] == b && l->end[1] == a)))
            return i;
    }
    return -1;
}

static void queue_clear(struct sim_queue *q)
{
    for (; q->count > 0; q->count--)
        free(q->at[(q->first + q->count - 1) % q->cap].data);
    free(q->at);
    *q = (struct sim_queue){.at = NULL};
}

void sim_net_fini(struct sim *s)
{
    for (int i = 0; i < SIM_LINKS; i++)
        for (int end = 0; end < 2; end++)
            queue_clear(&s->links[i].to[end]);
    for (size_t i = 0; i < 32; i++)
        free(s->overheard[i].data);
}

static void tell_down(struct sim *s, int n, uint32_t conn)
{
    if (s->nodes[n].up)
        sim_node_event(s, n, (struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = conn});
}

void sim_net_cut(struct sim *s, int link, int knows, uint64_t later_ms)
{
    struct sim_link *l = &s->links[link];
    uint32_t conn[2] = {l->conn[0], l->conn[1]};
    if (!l->up)
        return;
    l->up = false;
    for (int end = 0; end < 2; end++)
        queue_clear(&l->to[end]);
    for (int end = 0; end < 2; end++) {
        if (l->end[end] == knows || conn[end] == 0)
            continue;
        if (later_ms > 0)
            sim_soon(s, later_ms, SOON_DOWN, l->end[end], conn[end], 0);
        else
            tell_down(s, l->end[end], conn[end]);
    }
}

void sim_net_cut_node(struct sim *s, int n)
{
    for (int i = 0; i < SIM_LINKS; i++)
        if (s->links[i].up && (s->links[i].end[0] == n || s->links[i].end[1] == n))
            sim_net_cut(s, i, n, sim_chance(&s->rng, (uint64_t)s->plan->cfg.half_open) ? sim_draw(&s->rng, 60000) : 0);
}

void sim_net_drop(struct sim *s, int n, uint32_t conn)
{
    int end;
    struct sim_link *l = link_of(s, n, conn, &end);
    if (l != NULL)
        sim_net_cut(s, (int)(l - s->links), n, 0);
}

static void remember(struct sim *s, struct fm_span bytes)
{
    struct sim_message *m = &s->overheard[s->overheard_count++ % 32];
    free(m->data);
    m->data = malloc(bytes.len + 1);
    assert(m->data != NULL);
    memcpy(m->data, bytes.data, bytes.len);
    m->len = bytes.len;
}

void sim_net_send(struct sim *s, int n, uint32_t conn, struct fm_span bytes)
{
    int end;
    struct sim_link *l = link_of(s, n, conn, &end);
    sim_mix(s, bytes.data, bytes.len);
    if (bytes.len > FM_MESSAGE_BYTES_MAX)
        sim_broken(s, "I11", "a message of %zu bytes", bytes.len);
    if (s->plan->cfg.weight[SIM_GARBAGE] > 0)
        remember(s, bytes);
    if (l == NULL || l->deaf[1 - end])
        return;
    if (!s->healing && l->loss > 0 && sim_draw(&s->rng, 200) < (uint64_t)l->loss) { /* the connection is lost with it */
        sim_soon(s, sim_draw(&s->rng, 2000), SOON_CUT, (int)(l - s->links), 0, l->gen);
        l->deaf[0] = l->deaf[1] = true;
        return;
    }
    struct sim_queue *q = &l->to[1 - end];
    if (q->count == q->cap) {
        size_t cap = q->cap == 0 ? 16 : 2 * q->cap;
        struct sim_message *at = malloc(cap * sizeof *at);
        assert(at != NULL && cap <= 1 << 16);
        for (size_t i = 0; i < q->count; i++)
            at[i] = q->at[(q->first + i) % q->cap];
        free(q->at);
        *q = (struct sim_queue){.at = at, .count = q->count, .cap = cap};
    }
    struct sim_message *m = &q->at[(q->first + q->count) % q->cap];
    uint64_t due = s->now + 1 + sim_spread(&s->rng, l->delay_ms);
    if (q->count > 0 && q->at[(q->first + q->count - 1) % q->cap].due > due)
        due = q->at[(q->first + q->count - 1) % q->cap].due;
    *m = (struct sim_message){.data = malloc(bytes.len + 1), .len = bytes.len, .due = due};
    assert(m->data != NULL);
    memcpy(m->data, bytes.data, bytes.len);
    q->count++;
    sim_soon(s, due - s->now, SOON_DELIVER, (int)(l - s->links) * 2 + 1 - end, 0, l->gen);
}

/* All that is due, in one turn: many small events share one commit. */
void sim_net_deliver(struct sim *s, int link, int end, uint64_t gen)
{
    struct sim_link *l = &s->links[link];
    struct sim_queue *q = &l->to[end];
    struct fm_event events[8];
    struct sim_message taken[8];
    size_t count = 0;
    if (!l->up || l->gen != gen)
        return;
    while (count < 8 && q->count > 0 && q->at[q->first].due <= s->now) {
        taken[count] = q->at[q->first];
        events[count] = (struct fm_event){.kind = FM_EVENT_RECEIVE, .conn = l->conn[end],
                                          .bytes = fm_span(taken[count].data, taken[count].len)};
        q->first = (q->first + 1) % q->cap;
        q->count--;
        count++;
    }
    s->deliveries += count;
    if (count > 0)
        sim_node_turn(s, l->end[end], events, count);
    for (size_t i = 0; i < count; i++)
        free(taken[i].data);
}

int sim_net_connect(struct sim *s, int a, int b, uint64_t delay_ms)
{
    int i = 0;
    if (a == b || !s->nodes[a].up || !s->nodes[b].up)
        return -1;
    while (i < SIM_LINKS && s->links[i].up)
        i++;
    if (i == SIM_LINKS)
        return -1;
    struct sim_link *l = &s->links[i];
    for (int end = 0; end < 2; end++)
        queue_clear(&l->to[end]);
    *l = (struct sim_link){.up = true, .gen = ++s->gen, .delay_ms = delay_ms, .end = {a, b},
                           .conn = {s->conn_next + 1, s->conn_next + 2}, .loss = s->plan->cfg.loss};
    s->conn_next += 2;
    uint64_t gen = l->gen;
    int first = (int)sim_draw(&s->rng, 2);
    for (int k = 0; k < 2; k++) { /* the one may send before the other knows: it waits in the queue */
        int end = k == 0 ? first : 1 - first;
        sim_node_event(s, l->end[end], (struct fm_event){.kind = FM_EVENT_PEER_UP, .conn = l->conn[end],
                                                         .initiator = end == 0, .transport = s->nodes[l->end[1 - end]].self.transport});
        if (!l->up || l->gen != gen)
            return -1;
    }
    for (int end = 0; end < 2; end++) {
        struct sim_node *n = &s->nodes[l->end[end]];
        if (!n->ticking) {
            n->ticking = true;
            sim_soon(s, 1 + sim_draw(&s->rng, s->plan->cfg.tick_ms), SOON_TICK, l->end[end], 0, 0);
        }
    }
    return i;
}

/* Two nodes meet for a while. */
void sim_net_contact(struct sim *s, const struct sim_planned *e)
{
    const struct sim_config *c = &s->plan->cfg;
    int link = sim_net_connect(s, e->node, e->other, sim_spread(&s->rng, c->delay_ms));
    if (link < 0)
        return;
    struct sim_link *l = &s->links[link];
    if (sim_chance(&s->rng, (uint64_t)c->oneway))
        l->deaf[sim_draw(&s->rng, 2)] = true;
    sim_soon(s, 1000 + sim_spread(&s->rng, c->contact_ms), SOON_CUT, link, 0, l->gen);
}
