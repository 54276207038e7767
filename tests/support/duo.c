#include "tests/support/duo.h"

#include <assert.h>

#include "replication/act.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/set.h"
#include "tests/support/faults.h"

static int sink_act(void *ctx, const struct fm_action *action)
{
    struct fm_duo_node *n = ctx;
    if (action->kind == FM_DO_ROW)
        return fm_memory_apply(n->store, &action->row);
    if (action->kind != FM_DO_REPORT)
        return FM_OK;
    if (action->report == FM_REPORT_TAKEN)
        n->taken = action->error;
    if (action->report == FM_REPORT_RESULT) {
        n->results++;
        n->result = *action->result;
        n->result.offline_id.data = fm_arena_copy(&n->kept, action->result->offline_id);
        n->result.document.data = fm_arena_copy(&n->kept, action->result->document);
    }
    return FM_OK;
}

static void key_of(struct fm_key *out, char first, char second)
{
    memset(out->b, second, sizeof out->b);
    out->b[0] = (uint8_t)first;
}

static void node_init(struct fm_duo *d, int at, const struct fm_mesh_id *mesh)
{
    struct fm_duo_node *n = &d->node[at];
    char name = at == FM_DUO_COORDINATOR ? 'c' : 'k';
    key_of(&n->device.author, name, 'a');
    key_of(&n->device.box, name, 'b');
    n->crypto = fm_fake_crypto_of(&n->device);
    n->self = (struct fm_self){.mesh = *mesh, .root = d->root.author, .author = n->device.author, .box = n->device.box,
                               .incarnation = 1};
    key_of(&n->self.transport, name, 't');
    n->self.store.b[0] = (uint8_t)name;
    n->store = fm_memory_new();
    n->sink = (struct fm_sink){.ctx = n, .act = sink_act};
}

/* The act that grants `at` its role; its bytes are in *bytes. */
static void grant_act(struct fm_duo *d, int at, struct fm_act *act, struct fm_buf *bytes)
{
    struct fm_duo_node *n = &d->node[at];
    act->kind = FM_ACT_GRANT;
    struct fm_grant *g = &act->grant;
    g->author = n->self.author;
    g->transport = n->self.transport;
    g->box = n->self.box;
    g->name = fm_span_str(at == FM_DUO_COORDINATOR ? "Maiduguri hub" : "Dikwa camp");
    g->role = at == FM_DUO_COORDINATOR ? FM_ROLE_COORDINATOR : FM_ROLE_CAMP;
    g->epoch_first = 1;
    g->epoch_last = 1000;
    g->serial = 1;
    int rc = fm_grant_encode(bytes, g);
    assert(rc == FM_OK);
    rc = fm_grant_decode(g, &n->crypto, &n->self.mesh, fm_buf_span(bytes));
    assert(rc == FM_OK);
    n->self.grant = g->id;
}

static void start(struct fm_duo *d, int at)
{
    struct fm_duo_node *n = &d->node[at];
    n->repl = fm_repl_new(&n->self, &n->crypto, fm_memory_port(n->store));
    assert(n->repl != NULL);
    fm_duo_step(d, at, &(struct fm_event){.kind = FM_EVENT_START});
}

/* The root's set that grants the coordinator, signed by hand: the root is no node. */
static void take_root_set(struct fm_duo *d, const struct fm_act *act)
{
    static const uint8_t nonce[24];
    struct fm_crypto crypto = fm_fake_crypto_of(&d->root);
    struct fm_set_header header = {.format = FM_FORMAT, .stream = {.author = d->root.author, .incarnation = 1, .lane = 0},
                                   .sequence = 1, .epoch = 1, .time = (FM_DUO_START_MS - 1000) << 16, .change_count = 1};
    struct fm_buf body, bytes;
    struct fm_pack p;
    struct fm_set_id id;
    fm_buf_init(&body, 0);
    fm_buf_init(&bytes, 0);
    fm_pack_init(&p, &body);
    fm_pack_array(&p, 1);
    int rc = fm_act_encode(&body, act);
    assert(rc == FM_OK);
    rc = fm_set_close(&bytes, &id, &crypto, &d->node[0].self.mesh, &header, fm_buf_span(&body), NULL, nonce);
    assert(rc == FM_OK);
    fm_duo_step(d, FM_DUO_COORDINATOR, &(struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&bytes)});
    assert(d->node[FM_DUO_COORDINATOR].taken == FM_OK);
    fm_buf_fini(&body);
    fm_buf_fini(&bytes);
}

void fm_duo_init(struct fm_duo *d)
{
    struct fm_mesh_id mesh;
    struct fm_buf grant[2];
    struct fm_act *act = calloc(2, sizeof *act);
    assert(act != NULL);
    memset(d, 0, sizeof *d);
    memset(mesh.b, 'm', sizeof mesh.b);
    d->now_ms = FM_DUO_START_MS;
    key_of(&d->root.author, 'r', 'a');
    for (int i = 0; i < 2; i++) {
        fm_buf_init(&grant[i], 0);
        node_init(d, i, &mesh);
        grant_act(d, i, &act[i], &grant[i]);
    }
    start(d, FM_DUO_COORDINATOR);
    start(d, FM_DUO_CAMP);
    take_root_set(d, &act[FM_DUO_COORDINATOR]);
    fm_duo_turn_end(d, FM_DUO_COORDINATOR);
    fm_duo_step(d, FM_DUO_COORDINATOR, &(struct fm_event){.kind = FM_EVENT_ACT, .act = &act[FM_DUO_CAMP]});
    assert(d->node[FM_DUO_COORDINATOR].taken == FM_OK);
    fm_duo_turn_end(d, FM_DUO_COORDINATOR);
    fm_duo_hand_over(d);
    assert(fm_repl_role(d->node[FM_DUO_COORDINATOR].repl) == FM_ROLE_COORDINATOR);
    assert(fm_repl_role(d->node[FM_DUO_CAMP].repl) == FM_ROLE_CAMP);
    fm_buf_fini(&grant[0]);
    fm_buf_fini(&grant[1]);
    free(act);
}

void fm_duo_copy(struct fm_duo *to, const struct fm_duo *from)
{
    *to = *from;
    for (int i = 0; i < 2; i++) {
        struct fm_duo_node *n = &to->node[i];
        assert(!from->turn_open[i]);
        n->crypto.ctx = &n->device;
        n->sink.ctx = n;
        n->result = (struct fm_result){0};
        n->kept = (struct fm_arena){0};
        n->store = fm_memory_clone(from->node[i].store);
        assert(n->store != NULL);
        start(to, i);
        fm_duo_turn_end(to, i);
    }
}

void fm_duo_fini(struct fm_duo *d)
{
    for (int i = 0; i < 2; i++) {
        fm_repl_free(d->node[i].repl);
        fm_memory_free(d->node[i].store);
        fm_arena_fini(&d->node[i].kept);
    }
}

void fm_duo_step(struct fm_duo *d, int at, struct fm_event *event)
{
    struct fm_duo_node *n = &d->node[at];
    n->results = 0;
    d->now_ms += 1000;
    event->now_ms = event->now_ms != 0 ? event->now_ms : d->now_ms;
    event->steady_ms = ++d->steps;
    fm_be_put(event->seed, d->steps, 8);
    event->seed[31] = (uint8_t)at;
    if (d->faulty && !d->turn_open[at] && event->kind != FM_EVENT_TURN_END && d->fault[0] == '\0')
        d->failures += fm_fault_try(&n->self, &n->crypto, n->store, event, d->fault);
    d->turn_open[at] = event->kind != FM_EVENT_TURN_END;
    int rc = fm_repl_step(n->repl, event, &n->sink);
    if (rc != FM_OK)
        (void)fprintf(stderr, "step %d: error %d\n", (int)event->kind, rc);
    assert(rc == FM_OK);
}

void fm_duo_restart(struct fm_duo *d, int at)
{
    fm_repl_free(d->node[at].repl);
    start(d, at);
    fm_duo_turn_end(d, at);
}

void fm_duo_turn_end(struct fm_duo *d, int at)
{
    fm_duo_step(d, at, &(struct fm_event){.kind = FM_EVENT_TURN_END});
}

static void hand(struct fm_duo *d, int from, int to)
{
    const struct fm_port *port = fm_memory_port(d->node[from].store);
    struct fm_set_meta set;
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    for (uint64_t at = 1; port->set_next(port->ctx, at, &set) == FM_OK; at = set.arrival + 1) {
        bytes.len = 0;
        int rc = port->set_bytes(port->ctx, set.arrival, &bytes);
        assert(rc == FM_OK);
        fm_duo_step(d, to, &(struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&bytes)});
        assert(d->node[to].taken == FM_OK || d->node[to].taken == FM_EEXISTS);
    }
    fm_buf_fini(&bytes);
    fm_duo_turn_end(d, to);
}

void fm_duo_hand_over(struct fm_duo *d)
{
    hand(d, FM_DUO_COORDINATOR, FM_DUO_CAMP);
    hand(d, FM_DUO_CAMP, FM_DUO_COORDINATOR);
}
