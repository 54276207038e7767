/* One core on its store, and its turns under the law of effects (core.h): rows go into the store at once, what is sent and
 * reported waits for the commit. Where the power may go in a turn, the store is cloned before it: that is the disk. */
#include <assert.h>
#include <stdlib.h>

#include "replication/error.h"
#include "tests/sim/sim.h"

struct sending {
    bool drop;
    uint32_t conn;
    uint8_t *data;
    size_t len;
};
struct turn {
    struct sim *s;
    int node;
    uint64_t rows, rows_max;
    int failing;              /* the error of a row past rows_max */
    struct sending *out;
    size_t count, cap;
    uint8_t (*acked)[24];
    size_t acked_count;
};

uint64_t sim_node_wall(const struct sim *s, const struct sim_node *n)
{
    int64_t now = (int64_t)(UINT64_C(1700000000000) + s->now) + n->clock_offset;
    if (n->clock_frozen != 0)
        return n->clock_frozen;
    return now > 0 ? (uint64_t)now : 0;
}

static void keep_fresh(struct sim_node *n, const struct fm_row *row)
{
    if (n->fresh_count == n->fresh_cap) {
        n->fresh_cap = n->fresh_cap == 0 ? 16 : 2 * n->fresh_cap;
        n->fresh = realloc(n->fresh, n->fresh_cap * sizeof *n->fresh);
        assert(n->fresh != NULL);
    }
    struct sim_fresh *f = &n->fresh[n->fresh_count++];
    *f = (struct sim_fresh){.bytes = malloc(row->bytes.len + 1), .len = row->bytes.len,
                            .statement = row->kind == FM_ROW_STATEMENT};
    assert(f->bytes != NULL);
    memcpy(f->bytes, row->bytes.data, row->bytes.len);
    if (!f->statement)
        f->id = row->meta->id;
}

static void drop_fresh(struct sim_node *n)
{
    for (; n->fresh_count > 0; n->fresh_count--)
        free(n->fresh[n->fresh_count - 1].bytes);
}

static int put_row(struct turn *t, const struct fm_row *row)
{
    struct sim_node *n = &t->s->nodes[t->node];
    if (t->rows++ >= t->rows_max)
        return t->failing;
    n->rows++;
    if (row->kind == FM_ROW_SET ||
        (row->kind == FM_ROW_STATEMENT && row->statement_kind == 1 && fm_id_eq(&row->signer, &n->self.author)))
        keep_fresh(n, row);
    return fm_memory_apply(n->store, row);
}

static void report(struct turn *t, const struct fm_action *a)
{
    struct sim_node *n = &t->s->nodes[t->node];
    if (a->report == FM_REPORT_TAKEN)
        n->taken = a->error;
    if (a->report == FM_REPORT_RESULT && a->result->has_version) {
        t->acked = realloc(t->acked, (t->acked_count + 1) * sizeof *t->acked);
        assert(t->acked != NULL);
        memcpy(t->acked[t->acked_count++], a->result->version.b, 24);
    }
    if (a->report == FM_REPORT_RESULT)
        sim_tell(t->s, "  node %d: %s %s %s", t->node,
                 a->result->status == FM_SUCCESS ? "success" : a->result->status == FM_CONFLICT ? "conflict" : "failed",
                 a->result->code, a->result->message);
    if (a->report == FM_REPORT_REFUSED) {
        sim_tell(t->s, "  node %d: refused: %s", t->node, a->reason);
        if (strcmp(a->reason, "state-differs") == 0)
            sim_broken(t->s, "I1", "node %d: a peer with the same sets and keys shows another state", t->node);
    }
}

static int act(void *ctx, const struct fm_action *a)
{
    struct turn *t = ctx;
    if (a->kind == FM_DO_ROW)
        return put_row(t, &a->row);
    if (a->kind == FM_DO_REPORT) {
        report(t, a);
        return FM_OK;
    }
    if (t->count == t->cap) {
        t->cap = t->cap == 0 ? 16 : 2 * t->cap;
        t->out = realloc(t->out, t->cap * sizeof *t->out);
        assert(t->out != NULL);
    }
    struct sending *o = &t->out[t->count++];
    *o = (struct sending){.drop = a->kind == FM_DO_DROP, .conn = a->conn, .data = malloc(a->bytes.len + 1),
                          .len = a->bytes.len};
    assert(o->data != NULL);
    if (a->bytes.len > 0)
        memcpy(o->data, a->bytes.data, a->bytes.len);
    if (o->drop)
        sim_tell(t->s, "  node %d: drops its peer: %s", t->node, a->reason);
    return FM_OK;
}

static int step(struct turn *t, struct fm_event event)
{
    struct sim *s = t->s;
    struct sim_node *n = &s->nodes[t->node];
    struct fm_sink sink = {.ctx = t, .act = act};
    event.now_ms = sim_node_wall(s, n);
    event.steady_ms = s->now - n->steady_from + 1;
    fm_be_put(event.seed, s->seed, 8);
    fm_be_put(event.seed + 8, ++s->events, 8);
    return fm_repl_step(n->core, &event, &sink);
}

static void boot(struct sim *s, int i)
{
    struct sim_node *n = &s->nodes[i];
    n->core = fm_repl_new(&n->self, &n->crypto, fm_memory_port(n->store));
    assert(n->core != NULL);
    n->up = true;
    n->steady_from = s->now;
    struct turn t = {.s = s, .node = i, .rows_max = UINT64_MAX};
    int rc = step(&t, (struct fm_event){.kind = FM_EVENT_START});
    if (rc == FM_OK)
        rc = step(&t, (struct fm_event){.kind = FM_EVENT_TURN_END});
    if (rc != FM_OK)
        sim_broken(s, "I16", "node %d does not start: %s", i, fm_error_code(rc));
    assert(t.count == 0);
    free(t.out);
    free(t.acked);
}

void sim_node_start(struct sim *s, int n)
{
    assert(!s->nodes[n].up && s->nodes[n].store != NULL);
    boot(s, n);
    sim_look_commit(s, n);
    sim_look_restart(s, n);
}

void sim_node_upgrade(struct sim *s, int i)
{
    struct sim_node *n = &s->nodes[i];
    struct turn t = {.s = s, .node = i, .rows_max = UINT64_MAX};
    struct fm_event event = {.now_ms = sim_node_wall(s, n), .steady_ms = 1};
    struct fm_sink sink = {.ctx = &t, .act = act};
    uint64_t from = 0;
    assert(!n->up && n->core == NULL);
    n->self.kind_last = SIM_KIND_NEW;
    s->model.more[i] = SIM_KIND_NEW - FM_KIND_LAST;
    n->known_before = false; /* it shows more now */
    sim_tell(s, "  node %d: upgraded", i);
    fm_memory_clear_derived(n->store);
    n->core = fm_repl_new(&n->self, &n->crypto, fm_memory_port(n->store));
    assert(n->core != NULL);
    do
        MUST(fm_repl_reindex(n->core, &event, &sink, &from, 50));
    while (from != 0);
    fm_repl_free(n->core);
    n->core = NULL;
    assert(t.count == 0 && n->fresh_count == 0);
}

void sim_node_stop(struct sim *s, int i, bool clean)
{
    struct sim_node *n = &s->nodes[i];
    if (!n->up)
        return;
    n->epoch_before = fm_repl_epoch(n->core);
    n->known_before = clean && fm_repl_digest(n->core, &n->before[0], &n->before[1]) == FM_OK;
    n->up = false;
    fm_repl_free(n->core);
    n->core = NULL;
    sim_net_cut_node(s, i);
}

/* The power is gone, or the disk said no: what was not committed never was. */
static void lose(struct sim *s, struct turn *t, struct fm_memory *disk, bool restart)
{
    struct sim_node *n = &s->nodes[t->node];
    if (disk != NULL) {
        fm_memory_free(n->store);
        n->store = disk;
        drop_fresh(n);
    }
    sim_node_stop(s, t->node, false);
    sim_soon(s, restart ? 1 : 1000 + sim_spread(&s->rng, 3600000), SOON_UP, t->node, 0, 0);
}

static void carry_out(struct sim *s, struct turn *t)
{
    struct sim_node *n = &s->nodes[t->node];
    if (t->acked_count > 0) {
        n->acked = realloc(n->acked, (n->acked_count + t->acked_count) * sizeof *n->acked);
        assert(n->acked != NULL);
        memcpy(n->acked + n->acked_count, t->acked, t->acked_count * sizeof *n->acked);
        n->acked_count += t->acked_count;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (t->out[i].drop)
            sim_net_drop(s, t->node, t->out[i].conn);
        else
            sim_net_send(s, t->node, t->out[i].conn, fm_span(t->out[i].data, t->out[i].len));
    }
}

bool sim_node_turn(struct sim *s, int i, struct fm_event *events, size_t count)
{
    struct sim_node *n = &s->nodes[i];
    if (!n->up)
        return false;
    struct turn t = {.s = s, .node = i, .rows_max = UINT64_MAX, .failing = FM_EIO};
    struct fm_memory *disk = NULL;
    bool full = n->full_until > s->now, doomed = n->doom >= 0 || full;
    if (n->full_until != 0 && !full)
        n->full_until = 0;
    if (doomed) {
        disk = fm_memory_clone(n->store);
        assert(disk != NULL);
        t.rows_max = n->doom >= 0 && n->doom < 100 ? (uint64_t)n->doom : full ? 0 : UINT64_MAX;
        t.failing = full ? FM_EDISKFULL : FM_EIO;
    }
    bool known = doomed && fm_repl_digest(n->core, &n->before[0], &n->before[1]) == FM_OK;
    uint64_t epoch = fm_repl_epoch(n->core);
    int rc = FM_OK;
    for (size_t k = 0; k < count && rc == FM_OK; k++)
        rc = step(&t, events[k]);
    if (rc == FM_OK)
        rc = step(&t, (struct fm_event){.kind = FM_EVENT_TURN_END});
    s->turns++;
    bool before = rc != FM_OK || n->doom == 100, after = rc == FM_OK && n->doom == 101;
    if (rc != FM_OK && !doomed)
        sim_broken(s, "environment", "node %d: %s without a fault of the disk", i, fm_error_code(rc));
    if (before || after) {
        bool restart = full && n->doom < 0;
        sim_tell(s, "  node %d: %s", i, after ? "power cut after the commit" : full ? "the disk is full" : "power cut");
        n->doom = -1;
        if (after) {
            fm_memory_free(disk);
            sim_look_commit(s, i);
            known = false;
        }
        lose(s, &t, after ? NULL : disk, restart);
        n->known_before = known;
        n->epoch_before = epoch;
    } else {
        if (disk != NULL)
            fm_memory_free(disk);
        sim_look_commit(s, i);
        carry_out(s, &t);
    }
    for (size_t k = 0; k < t.count; k++)
        free(t.out[k].data);
    free(t.out);
    free(t.acked);
    return n->up;
}

bool sim_node_event(struct sim *s, int n, struct fm_event event)
{
    return sim_node_turn(s, n, &event, 1);
}

int sim_node_take(struct sim *s, int n, struct fm_span bytes)
{
    s->nodes[n].taken = 1;
    return sim_node_event(s, n, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = bytes}) ? s->nodes[n].taken : 1;
}
