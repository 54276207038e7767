/* Foes: a member whose key is in bad hands and writes what it likes, strangers who forge, and a peer that talks nonsense. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/change.h"
#include "tests/sim/sim.h"
#include "tests/support/text_doc.h"

enum trick { FORGE, EQUIVOCATE, INFLATE, ORPHANS, WRONG = SIM_FOE_WRONG, FLOOD, LATE, CHAIN };

/* A version held at this node that the foe builds on. */
static bool some_version(struct sim *s, int n, struct fm_arena *arena, struct fm_version *out)
{
    const struct fm_port *port = fm_memory_port(s->nodes[n].store);
    struct fm_record_ref ref, last, *after = NULL;
    uint64_t seen = 0;
    while (fm_memory_next_head(s->nodes[n].store, after, &ref)) {
        struct fm_version *rows;
        size_t count;
        last = ref;
        after = &last;
        if (ref.kind > FM_KIND_MEDIA && !(ref.kind == SIM_KIND_NEW && s->plan->cfg.upgrades) && !sim_chance(&s->rng, 5))
            continue;
        MUST(port->versions(port->ctx, ref.kind, &ref.record, arena, &rows, &count));
        for (size_t i = 0; i < count; i++)
            if (sim_draw(&s->rng, ++seen) == 0)
                *out = rows[i];
    }
    return seen > 0;
}

static struct fm_span change(struct sim *s, uint8_t kind, uint8_t action, const struct fm_record_id *record,
                             uint32_t version, const struct fm_version_id *parents, uint32_t count)
{
    struct fm_change *c = calloc(1, sizeof *c);
    struct fm_buf buf;
    char text[100];
    assert(c != NULL);
    c->kind = kind;
    c->action = action;
    c->record = *record;
    c->version = version;
    c->parent_count = count;
    memcpy(c->parents, parents, count * sizeof *parents);
    c->actor = fm_span_str("foe");
    (void)snprintf(text, sizeof text, action == FM_DELETE ? "{id:\"r\"}" : "{id:\"r\",evil:%d,assessmentType:\"WASH\"}",
                   (int)sim_draw(&s->rng, 3));
    c->document = fm_text_doc(&s->arena, text);
    fm_buf_init(&buf, 0);
    MUST(fm_change_encode(&buf, c));
    struct fm_span out = fm_span(fm_arena_copy(&s->arena, fm_buf_span(&buf)), buf.len);
    fm_buf_fini(&buf);
    free(c);
    return out;
}

static void write_and_take(struct sim *s, struct foe_lane *lane, const struct fm_span *items, uint32_t count, int n)
{
    struct fm_buf set;
    fm_buf_init(&set, 0);
    sim_mesh_write(s, lane, SIM_FOE_DEVICE, &set, items, count, lane->stream.lane == 1 && s->plan->cfg.sealed);
    if (n >= 0 && s->nodes[n].up)
        sim_node_take(s, n, fm_buf_span(&set));
    fm_buf_fini(&set);
}

/* Somebody's set with another body, header or signature. */
static void forge(struct sim *s, int n)
{
    const struct fm_port *port = fm_memory_port(s->nodes[n].store);
    struct fm_buf bytes;
    uint64_t last;
    MUST(port->arrival_last(port->ctx, &last));
    fm_buf_init(&bytes, 0);
    MUST(port->set_bytes(port->ctx, 1 + sim_draw(&s->rng, last), &bytes));
    for (uint64_t k = 1 + sim_draw(&s->rng, 3); k > 0; k--)
        sim_flip(&s->rng, bytes.data, bytes.len);
    if (sim_node_take(s, n, fm_buf_span(&bytes)) == FM_OK)
        sim_broken(s, "I7", "node %d took in a forged set", n);
    fm_buf_fini(&bytes);
}

/* Two sets with one number, told to two nodes; few, as a stream's branches are bounded. */
static void equivocate(struct sim *s, int n, int other, const struct fm_version *v)
{
    struct foe_lane *lane = &s->foe[1], fork = *lane;
    if (lane->forks++ >= 6)
        return;
    struct fm_span items[2];
    bool same = sim_chance(&s->rng, 60); /* the same version in both branches, at the same time and place */
    for (int k = 0; k < 2; k++) {
        if (k == 0 || !same)
            items[0] = change(s, v->kind, FM_UPDATE, &v->record, v->number + 1 + (uint32_t)sim_draw(&s->rng, 2), &v->id, 1);
        items[1] = change(s, v->kind, FM_UPDATE, &v->record, v->number + 1, &v->id, 1);
        *lane = fork;
        lane->time += same ? 0 : (uint64_t)k; /* never the same set */
        lane->epoch += same && k == 1 && sim_chance(&s->rng, 30) ? 2000 : 0; /* void, but for what the other one holds */
        write_and_take(s, lane, items, 1 + (uint32_t)k, k == 0 ? n : other);
        lane->epoch = fork.epoch;
    }
    if (sim_chance(&s->rng, 50)) { /* and on, on one of them */
        items[0] = change(s, v->kind, FM_UPDATE, &v->record, v->number + 1, &v->id, 1);
        write_and_take(s, lane, items, 1, other);
    }
}

static void wrong(struct sim *s, int n, const struct fm_version *v)
{
    struct sim_rng *r = &s->rng;
    struct fm_version_id two[2] = {v->id, v->id};
    struct fm_record_id other = v->record;
    struct fm_span item;
    uint8_t kind = v->kind, action = FM_UPDATE;
    uint32_t number = v->number + 1, parents = 1;
    other.b[0] ^= (uint8_t)sim_chance(r, 15);
    two[1].b[3] ^= 1;
    switch (sim_draw(r, 8)) {
    case 0: action = FM_UNDO; break;
    case 1: parents = 2; break;
    case 2: kind = SIM_KIND_NEW; break;
    case 3: kind = FM_KIND_USER; break;
    case 4: number = v->number; break;
    case 5: action = FM_CREATE; break;
    case 6: action = 9; break;
    default: parents = 0; break;
    }
    if (s->plan->cfg.upgrades && sim_chance(r, 50)) { /* as a newer node writes it */
        kind = SIM_KIND_NEW;
        action = FM_UPDATE;
        number = v->kind == kind ? v->number + 1 : 1;
        parents = v->kind == kind;
    }
    item = change(s, kind, action, &other, number, two, parents);
    if (sim_chance(r, 10))
        item = fm_text_doc(&s->arena, "[1,1,2,3]");
    struct foe_lane *lane = &s->foe[sim_chance(r, 85)];
    if (sim_chance(r, 10))
        lane->epoch += 1;
    write_and_take(s, lane, &item, 1, n);
    if (sim_chance(r, 50)) { /* and a child of it, on its own */
        const struct model_version *last = &s->model.versions[s->model.version_count - 1];
        memcpy(two[0].b, last->id, sizeof two[0].b);
        item = change(s, last->kind == 0 ? 1 : last->kind, FM_UPDATE, &other, last->number + 1, two, 1);
        write_and_take(s, lane, &item, 1, n);
    }
}

/* Something whose parent is elsewhere, of the same record or of another one, or nowhere at all. */
static void orphan(struct sim *s, int n, int other, struct fm_span parent, const struct fm_version *v)
{
    struct fm_record_id record = v->record;
    struct fm_version_id id = {{1, 2, 3, (uint8_t)sim_draw(&s->rng, 200)}};
    bool somewhere = sim_chance(&s->rng, 80);
    if (somewhere) {
        write_and_take(s, &s->foe[2], &parent, 1, other);
        memcpy(id.b, s->model.versions[s->model.version_count - 1].id, sizeof id.b);
    }
    record.b[1] ^= (uint8_t)sim_chance(&s->rng, 50);
    struct fm_span item = change(s, v->kind, FM_UPDATE, &record, v->number + 2, &id, 1);
    write_and_take(s, &s->foe[1], &item, 1, n);
}

void sim_foe_act(struct sim *s, int n, int other)
{
    struct sim_rng *r = &s->rng;
    struct fm_arena arena = {0};
    struct fm_version v;
    int trick;
    do
        trick = (int)sim_draw(r, 8);
    while ((s->plan->cfg.foe_tricks & 1 << trick) == 0);
    if (!s->nodes[n].up || !some_version(s, n, &arena, &v))
        return;
    sim_tell(s, "  foe at node %d: trick %d", n, trick);
    struct fm_span items[30];
    uint32_t count = 1;
    items[0] = change(s, v.kind, FM_UPDATE, &v.record, v.number + 1, &v.id, 1);
    switch ((enum trick)trick) {
    case FORGE: forge(s, n); count = 0; break;
    case EQUIVOCATE: equivocate(s, n, other, &v); count = 0; break;
    case INFLATE:
        items[0] = change(s, v.kind, FM_UPDATE, &v.record, v.number + 999 + (uint32_t)sim_draw(r, 3), &v.id, 1);
        break;
    case ORPHANS: orphan(s, n, other, items[0], &v); count = 0; break;
    case WRONG: wrong(s, n, &v); count = 0; break;
    case FLOOD:
        for (count = 0; count < 30; count++) {
            uint8_t action = sim_chance(r, 10) ? FM_DELETE : FM_UPDATE;
            items[count] = change(s, v.kind, action, &v.record, v.number + 1 + (uint32_t)sim_draw(r, 3), &v.id, 1);
        }
        break;
    case LATE: /* as if it were long ago: below its own clock, after whatever cut there is */
        s->foe[1].time -= s->foe[1].sequence > 0 ? 50 : UINT64_C(1) << 40;
        write_and_take(s, &s->foe[1], items, 1, n);
        s->foe[1].time += 60;
        break;
    case CHAIN:
        for (int k = 0; k < 4; k++) {
            write_and_take(s, &s->foe[1], items, 1, sim_chance(r, 70) ? n : other);
            const struct model_version *last = &s->model.versions[s->model.version_count - 1];
            memcpy(v.id.b, last->id, sizeof v.id.b);
            items[0] = change(s, v.kind, FM_UPDATE, &v.record, last->number + 1 + (uint32_t)sim_draw(r, 900), &v.id, 1);
        }
        break;
    }
    if (count > 0)
        write_and_take(s, &s->foe[1], items, count, n);
    fm_arena_fini(&arena);
}

/* A member connects and says nonsense, or again what it heard others say. */
void sim_foe_garbage(struct sim *s, int n)
{
    struct sim_rng *r = &s->rng;
    uint32_t conn = ++s->conn_next;
    struct fm_event up = {.kind = FM_EVENT_PEER_UP, .conn = conn, .transport = s->devices[SIM_FOE_DEVICE].transport};
    if (!s->nodes[n].up || !sim_node_event(s, n, up))
        return;
    for (uint64_t k = 3 + sim_draw(r, 20); k > 0; k--) {
        uint8_t bytes[64];
        struct fm_event e = {.kind = FM_EVENT_RECEIVE, .conn = conn, .bytes = fm_span(bytes, 1 + (size_t)sim_draw(r, 63))};
        struct fm_buf copy;
        fm_buf_init(&copy, 0);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)sim_draw(r, 256);
        const struct sim_message *m = &s->overheard[sim_draw(r, 32)];
        if (m->data != NULL && sim_chance(r, 80)) {
            MUST(fm_buf_add(&copy, m->data, m->len));
            if (sim_chance(r, 40) && copy.len > 0)
                sim_flip(r, copy.data, copy.len);
            e.bytes = fm_buf_span(&copy);
        }
        bool on = sim_node_event(s, n, e);
        fm_buf_fini(&copy);
        if (!on)
            return;
    }
    sim_node_event(s, n, (struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = conn});
}
