/* Disks and clocks: power cuts, old copies put back, disks copied to a second machine, clocks that are wrong; and sets that
 * are carried by hand, in any order, damaged, or once more. */
#include <assert.h>
#include <stdlib.h>

#include "replication/error.h"
#include "tests/sim/sim.h"

void sim_disk_crash(struct sim *s, int n)
{
    uint64_t how = sim_draw(&s->rng, 10);
    s->nodes[n].doom = how < 6 ? (int)sim_draw(&s->rng, 12) : how < 8 ? 100 : 101;
}

void sim_disk_backup(struct sim *s, int n)
{
    struct sim_node *d = &s->nodes[n];
    size_t k = (size_t)sim_draw(&s->rng, SIM_BACKUPS);
    if (d->store == NULL)
        return;
    fm_memory_free(d->backups[k]);
    free(d->backup_held[k]);
    d->backups[k] = fm_memory_clone(d->store);
    d->backup_count[k] = (size_t)s->model.set_count;
    d->backup_held[k] = malloc(d->backup_count[k] + 1);
    assert(d->backups[k] != NULL && d->backup_held[k] != NULL);
    memcpy(d->backup_held[k], s->model.held[n], d->backup_count[k]);
}

static void held_becomes(struct sim *s, int n, const uint8_t *held, size_t count)
{
    for (size_t i = 0; i < (size_t)s->model.set_count; i++)
        s->model.held[n][i] = i < count && held[i] != 0;
}

/* What a restored node had confirmed may be gone with the disk: that is no lie of the program. The shell sees that the
 * store is not the one it knew: a new store id and a new incarnation. (Seldom it does not: then its stream forks.) */
static void renew(struct sim *s, struct sim_node *n, bool seen)
{
    n->acked_count = 0;
    n->known_before = false;
    n->twin = n->twin || !seen;
    if (seen) {
        n->self.incarnation = n->incarnations += 1;
        fm_be_put(n->self.store.b, sim_draw(&s->rng, UINT64_MAX), 8);
    }
}

void sim_disk_restore(struct sim *s, int i)
{
    struct sim_node *n = &s->nodes[i];
    size_t k = (size_t)sim_draw(&s->rng, SIM_BACKUPS);
    if (n->backups[k] == NULL || n->clone)
        return;
    bool was_up = n->up;
    sim_node_stop(s, i, false);
    fm_memory_free(n->store);
    n->store = fm_memory_clone(n->backups[k]);
    assert(n->store != NULL);
    held_becomes(s, i, n->backup_held[k], n->backup_count[k]);
    renew(s, n, !sim_chance(&s->rng, 20));
    if (n->self.kind_last != 0) /* the copy may be of the time before */
        sim_node_upgrade(s, i);
    if (was_up)
        sim_node_start(s, i);
}

/* The same keys twice. Both go on; the copy with the same incarnation or, if its shell saw the other machine, a new one. */
void sim_disk_clone(struct sim *s, int i)
{
    struct sim_node *from = &s->nodes[i], *to = &s->nodes[s->count];
    int clones = 0;
    for (int k = 0; k < s->count; k++)
        clones += s->nodes[k].clone;
    if (s->count == SIM_NODES || clones == 2 || from->clone || i < s->plan->cfg.coordinators || i == s->plan->cfg.withholder)
        return;
    *to = (struct sim_node){.there = true, .clone = true, .device = from->device, .role = from->role, .self = from->self,
                            .crypto = from->crypto, .doom = -1, .incarnations = from->incarnations + 500};
    to->store = fm_memory_clone(from->store);
    assert(to->store != NULL);
    held_becomes(s, s->count, s->model.held[i], (size_t)s->model.set_count);
    s->model.more[s->count] = s->model.more[i];
    renew(s, to, !sim_chance(&s->rng, 30));
    from->twin = from->twin || to->twin;
    s->count++;
    sim_node_start(s, s->count - 1);
}

void sim_disk_clock(struct sim *s, int i)
{
    struct sim_node *n = &s->nodes[i];
    uint64_t how = sim_draw(&s->rng, 6);
    n->clock_frozen = 0;
    if (how == 0)
        n->clock_offset = -INT64_C(1700000000000); /* 1970 */
    else if (how == 1)
        n->clock_frozen = sim_node_wall(s, n) + 1;
    else if (how < 4)
        n->clock_offset = (int64_t)sim_draw(&s->rng, 20 * 365 * (uint64_t)SIM_DAY_MS) - 10 * 365 * (int64_t)SIM_DAY_MS;
    else
        n->clock_offset = how == 4 ? 0 : (int64_t)sim_draw(&s->rng, 3 * (uint64_t)SIM_DAY_MS);
}

/* Some of the sets of one node to another on a stick: shuffled, doubled, cut short, flipped. */
void sim_disk_carry(struct sim *s, int from, int to)
{
    struct sim_rng *r = &s->rng;
    uint64_t last = 0;
    if (!s->nodes[from].up || !s->nodes[to].up)
        return;
    const struct fm_port *port = fm_memory_port(s->nodes[from].store);
    MUST(port->arrival_last(port->ctx, &last));
    uint64_t count = 1 + sim_draw(r, 40), at = sim_chance(r, 50) ? 1 + sim_draw(r, last) : 1;
    bool orderly = sim_chance(r, 60);
    for (uint64_t k = 0; k < count && last > 0; k++) {
        struct fm_buf bytes;
        fm_buf_init(&bytes, 0);
        MUST(port->set_bytes(port->ctx, orderly ? (at + k - 1) % last + 1 : 1 + sim_draw(r, last), &bytes));
        bool spoilt = sim_chance(r, 5);
        if (spoilt && sim_chance(r, 50))
            bytes.len = (size_t)sim_draw(r, bytes.len);
        else if (spoilt)
            sim_flip(r, bytes.data, bytes.len);
        int rc = sim_node_take(s, to, fm_buf_span(&bytes));
        fm_buf_fini(&bytes);
        if (rc == 1)
            return;
        if (spoilt && rc == FM_OK)
            sim_broken(s, "I7", "node %d took in a damaged set", to);
    }
}

/* What is held comes again: nothing changes. */
void sim_disk_replay(struct sim *s, int i)
{
    struct sim_node *n = &s->nodes[i];
    struct fm_digest before[2], after[2];
    uint64_t last = 0;
    if (!n->up || n->doom >= 0 || n->full_until > s->now || fm_repl_digest(n->core, &before[0], &before[1]) != FM_OK)
        return;
    const struct fm_port *port = fm_memory_port(n->store);
    MUST(port->arrival_last(port->ctx, &last));
    for (int k = 0; k < 20 && last > 0; k++) {
        struct fm_buf bytes;
        fm_buf_init(&bytes, 0);
        MUST(port->set_bytes(port->ctx, 1 + sim_draw(&s->rng, last), &bytes));
        int rc = sim_node_take(s, i, fm_buf_span(&bytes));
        fm_buf_fini(&bytes);
        if (rc != FM_EEXISTS)
            sim_broken(s, "I8", "node %d: a set that is held came again: %s", i, fm_error_code(rc));
    }
    if (fm_repl_digest(n->core, &after[0], &after[1]) != FM_OK || memcmp(before, after, sizeof before) != 0)
        sim_broken(s, "I8", "node %d: what came again changed the state", i);
}
