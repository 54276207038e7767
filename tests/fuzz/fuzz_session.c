/* Two cores in a session, and a third member that says what it likes to the first. The input is a list of steps: writing,
 * time, connecting, cutting, delivering; messages on their way that are changed in one field, sets in them signed anew;
 * messages of before; any bytes. Never an error, bounded state; and when all that is over and the two meet again, nothing of
 * it has kept them from coming in step with equal digests (invariants I3, I9, I19, I22). */
#include "replication/session.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/edit.h"
#include "tests/support/peers.h"

#define FOE 2 /* the third member; it has no core here */
#define FOE_CONN 1000u
#define STEPS_MAX 24u
#define TICKS_MS_MAX 120000u
#define KEPT 16u

static struct fm_peers base;

struct run {
    struct fm_peers *p;
    struct fuzz_in in;
    uint64_t ticked_ms;
    struct fm_buf kept[KEPT]; /* messages that were delivered */
    size_t kept_count;
    int link; /* between the two; -1: never */
};

/* What a session may hold whatever it was sent (invariant I11). */
static void check_bounds(const struct fm_repl *core)
{
    const struct fm_sessions *all = core->sessions;
    FUZZ_CHECK(all->count <= FM_PEERS_MAX && all->slot_count <= FM_STREAMS_MAX);
    for (size_t i = 0; i < all->count; i++) {
        const struct fm_session *s = all->peers[i];
        FUZZ_CHECK(s->claim_count <= FM_STREAMS_MAX && s->skip_count <= FM_SKIPS_MAX && s->singles <= FM_SINGLES_MAX);
        FUZZ_CHECK(s->queue_count <= all->slot_count + FM_SINGLES_MAX && s->in_flight_bytes <= FM_CREDIT_BYTES);
    }
}

static void event(struct run *r, int node, struct fm_event e)
{
    FUZZ_CHECK(fm_company_event(r->p, node, e) == 0);
}

static struct fm_edit edit_of(struct run *r)
{
    struct fm_edit e = {.target = (uint32_t)fuzz_number(&r->in, 1), .what = (uint8_t)fuzz_number(&r->in, 1)};
    e.value = fuzz_number(&r->in, 4);
    if (e.what % 5 == 1 || e.what % 5 == 2)
        e.text = fuzz_take(&r->in, (size_t)fuzz_number(&r->in, 1));
    return e;
}

static void keep(struct run *r, struct fm_span message)
{
    struct fm_buf *b = &r->kept[r->kept_count++ % KEPT];
    b->len = 0;
    FUZZ_CHECK(fm_buf_add(b, message.data, message.len) == 0);
}

static struct fm_span kept(struct run *r)
{
    size_t count = r->kept_count < KEPT ? r->kept_count : KEPT, at = (size_t)fuzz_number(&r->in, 1);
    return count == 0 ? fm_span(NULL, 0) : fm_buf_span(&r->kept[at % count]);
}

static bool link_up(const struct run *r)
{
    return r->link >= 0 && r->p->links[r->link].up;
}

/* The next message to one of the two: kept, perhaps changed, and delivered. */
static void deliver(struct run *r, bool changed)
{
    if (!link_up(r))
        return;
    struct fm_company_link *l = &r->p->links[r->link];
    int end = (int)(fuzz_number(&r->in, 1) & 1);
    end = l->to[end].count > 0 ? end : 1 - end;
    struct fm_company_queue *q = &l->to[end];
    if (q->count == 0)
        return;
    struct fm_company_message *m = &q->at[q->first];
    struct fm_edit e = {0};
    struct fm_buf other;
    keep(r, fm_span(m->data, m->len));
    if (changed)
        e = edit_of(r);
    fm_buf_init(&other, 0);
    if (changed && fm_edit_value(&other, fm_span(m->data, m->len), &e, &r->p->mesh)) {
        free(m->data);
        m->len = other.len;
        m->data = malloc(other.len + 1);
        FUZZ_CHECK(m->data != NULL);
        memcpy(m->data, other.data, other.len);
    }
    fm_buf_fini(&other);
    (void)fm_company_deliver_to(r->p, l, end);
}

static void from_foe(struct run *r, struct fm_span message)
{
    event(r, 0, (struct fm_event){.kind = FM_EVENT_RECEIVE, .conn = FOE_CONN, .bytes = message});
}

static void foe_changed(struct run *r)
{
    struct fm_buf other;
    struct fm_span message = kept(r);
    struct fm_edit e = edit_of(r);
    fm_buf_init(&other, 0);
    if (fm_edit_value(&other, message, &e, &r->p->mesh))
        from_foe(r, fm_buf_span(&other));
    fm_buf_fini(&other);
}

/* A set that a node holds, changed and taken in from a file at one of them. */
static void from_file(struct run *r)
{
    int from = (int)(fuzz_number(&r->in, 1) & 1), to = (int)(fuzz_number(&r->in, 1) & 1);
    const struct fm_port *port = fm_memory_port(r->p->nodes[from].store);
    uint64_t arrival = fuzz_number(&r->in, 1);
    struct fm_edit e = edit_of(r);
    struct fm_buf set, other;
    fm_buf_init(&set, 0);
    fm_buf_init(&other, 0);
    if (port->set_bytes(port->ctx, arrival, &set) == 0 && fm_edit_set(&other, fm_buf_span(&set), &e, &r->p->mesh))
        (void)fm_company_take(r->p, to, fm_buf_span(&other));
    fm_buf_fini(&set);
    fm_buf_fini(&other);
}

static void tick(struct run *r)
{
    uint64_t ms = (fuzz_number(&r->in, 1) + 1) * 250;
    if (r->ticked_ms + ms <= TICKS_MS_MAX)
        fm_company_tick(r->p, ms);
    r->ticked_ms += ms;
}

static void step(struct run *r)
{
    struct fm_peers *p = r->p;
    uint8_t what = (uint8_t)fuzz_number(&r->in, 1);
    struct fm_company_author fork;
    switch (what % 16) {
    case 0:
    case 1: (void)fm_company_write(p, &p->nodes[what >> 4 & 1].lanes[1], what >> 5 & 1, 1 + (what >> 7)); return;
    case 2: tick(r); return;
    case 3:
        if (!link_up(r))
            r->link = fm_company_connect(p, what >> 4 & 1, 1 - (what >> 4 & 1));
        return;
    case 4:
        if (link_up(r) && (what & 64) != 0)
            fm_company_cut(p, r->link);
        return;
    case 5:
    case 6:
    case 7:
        for (int i = 0; i <= what >> 5; i++)
            deliver(r, false);
        return;
    case 8:
    case 9: deliver(r, true); return;
    case 10:
        event(r, 0,
              (struct fm_event){.kind = (what & 16) != 0 ? FM_EVENT_PEER_DOWN : FM_EVENT_PEER_UP,
                                .conn = FOE_CONN,
                                .transport = p->nodes[FOE].self.transport,
                                .initiator = (what & 32) != 0});
        return;
    case 11: from_foe(r, kept(r)); return;
    case 12: foe_changed(r); return;
    case 13: from_foe(r, fuzz_take(&r->in, (size_t)fuzz_number(&r->in, 2))); return;
    case 14: from_file(r); return;
    default:
        if ((what & 16) != 0) { /* one author, two branches */
            fork = p->nodes[1].lanes[1];
            (void)fm_company_write(p, &fork, what >> 5 & 1, 1);
        } else if (link_up(r)) {
            event(r, 0,
                  (struct fm_event){.kind = FM_EVENT_SYNC, .conn = p->links[r->link].conn[p->links[r->link].end[1] == 0]});
        } else if ((what & 32) != 0) {
            event(r, 0, (struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = FOE_CONN});
            fm_company_restart(p, 0);
        }
    }
}

/* A stream with as many branches as are followed may be held differently; that is refused by a bound, not a fault. */
static bool full(const struct fm_repl *core)
{
    for (size_t i = 0; i < fm_vector_count(core->vector); i++)
        if (fm_vector_at(core->vector, i)->tip_count >= FM_STREAM_TIPS_MAX)
            return true;
    return false;
}

static void meet_again(struct run *r)
{
    struct fm_peers *p = r->p;
    if (link_up(r))
        fm_company_cut(p, r->link);
    event(r, 0, (struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = FOE_CONN});
    r->link = fm_company_connect(p, 1, 0);
    (void)fm_company_run(p);
    for (int i = 0; i < 3 && link_up(r) && !fm_company_in_step(p, r->link); i++) {
        fm_company_tick(p, 1000);
        (void)fm_company_run(p);
    }
    if (!fm_repl_admits(p->nodes[0].core, &p->nodes[1].self.transport) ||
        !fm_repl_admits(p->nodes[1].core, &p->nodes[0].self.transport) || full(p->nodes[0].core) || full(p->nodes[1].core))
        return; /* revoked by a set that was signed anew here, or out of its epochs */
    FUZZ_CHECK(link_up(r));
    FUZZ_CHECK(fm_company_in_step(p, r->link));
    FUZZ_CHECK(fm_company_same(p, 0, 1));
}

static void prepare(void)
{
    static const uint8_t roles[] = {FM_ROLE_COORDINATOR, FM_ROLE_CAMP, FM_ROLE_CAMP};
    fm_company_init(&base, roles, 3, 1);
    struct fm_company_author fork = base.nodes[1].lanes[1];
    FUZZ_CHECK(fm_company_write(&base, &base.nodes[1].lanes[1], 0, 1) == 0);
    FUZZ_CHECK(fm_company_write(&base, &base.nodes[1].lanes[1], 0, 1) == 0);
    FUZZ_CHECK(fm_company_write(&base, &fork, 0, 2) == 0); /* a forked stream, for LADDER and what hangs on it */
    FUZZ_CHECK(fm_company_write(&base, &base.nodes[2].lanes[1], 1, 1) == 0);
}

FUZZ_TARGET(2048, 4 << 20)
{
    struct run r = {.in = {data, size}, .link = -1};
    static struct fm_peers peers;

    fuzz_memory_pause(true);
    if (base.count == 0)
        prepare();
    fuzz_memory_pause(false);
    r.p = &peers;
    fm_company_copy(r.p, &base, 2);
    for (uint32_t steps = 0; r.in.left > 0 && steps < STEPS_MAX; steps++) {
        step(&r);
        check_bounds(r.p->nodes[0].core);
        check_bounds(r.p->nodes[1].core);
    }
    meet_again(&r);
    fm_company_fini(r.p);
    for (size_t i = 0; i < KEPT; i++)
        fm_buf_fini(&r.kept[i]);
    return 0;
}
