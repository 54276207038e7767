#include "tests/support/peers.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/change.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/set.h"
#include "replication/uuid.h"
#include "replication/walk.h"

struct fm_seen {
    int from, to;
    uint32_t conn;
    uint64_t number;
    uint8_t set[16];
    bool acked;
};

uint64_t fm_company_rand(struct fm_peers *p)
{
    p->seed ^= p->seed << 13;
    p->seed ^= p->seed >> 7;
    p->seed ^= p->seed << 17;
    return p->seed;
}

/* --- the wire --- */

static struct fm_company_link *link_of(struct fm_peers *p, int node, uint32_t conn, int *end)
{
    for (int i = 0; i < p->link_count; i++) {
        for (*end = 0; *end < 2; (*end)++) {
            struct fm_company_link *l = &p->links[i];
            if (l->up && l->end[*end] == node && l->conn[*end] == conn)
                return l;
        }
    }
    return NULL;
}

/* Every set sent is looked up: was it acknowledged before? */
static void watch(struct fm_peers *p, struct fm_company_link *l, int end, struct fm_span bytes)
{
    struct fm_walk w;
    uint32_t items, count;
    uint64_t kind = 0, number = 0;
    fm_walk_init(&w, bytes, (uint32_t)bytes.len);
    assert(fm_walk_array(&w, &items) == 0 && fm_walk_uint(&w, &kind, 15) == 0);
    l->kinds[end][kind]++;
    if (kind == 6) { /* ACK from this end: what the other one sent */
        assert(fm_walk_uint(&w, &number, UINT64_MAX) == 0);
        for (size_t i = 0; i < p->seen_count; i++) {
            struct fm_seen *s = &p->seen[i];
            s->acked = s->acked || (s->from == l->end[1 - end] && s->conn == l->conn[1 - end] && s->number <= number);
        }
    }
    if (kind != 5)
        return;
    assert(fm_walk_uint(&w, &number, UINT64_MAX) == 0 && fm_walk_array(&w, &count) == 0);
    for (uint32_t i = 0; i < count; i++) {
        struct fm_span set;
        struct fm_seen s = {.from = l->end[end], .to = l->end[1 - end], .conn = l->conn[end], .number = number};
        struct fm_crypto c = fm_fake_crypto();
        assert(fm_walk_bin(&w, &set, FM_SET_BYTES_MAX) == 0);
        c.hash(NULL, s.set, sizeof s.set, &set, 1);
        for (size_t j = 0; j < p->seen_count; j++) {
            const struct fm_seen *o = &p->seen[j];
            if (o->acked && o->from == s.from && o->to == s.to && memcmp(o->set, s.set, sizeof s.set) == 0)
                l->resent = true;
        }
        if (p->seen_count == p->seen_cap) {
            p->seen_cap = p->seen_cap == 0 ? 256 : 2 * p->seen_cap;
            p->seen = realloc(p->seen, p->seen_cap * sizeof *p->seen);
            assert(p->seen != NULL);
        }
        p->seen[p->seen_count++] = s;
        l->sets_sent[end]++;
    }
}

static void post(struct fm_peers *p, int node, uint32_t conn, struct fm_span bytes)
{
    int end;
    struct fm_company_link *l = link_of(p, node, conn, &end);
    if (l == NULL)
        return;
    l->sent[end]++;
    l->bytes[end] += bytes.len;
    watch(p, l, end, bytes);
    struct fm_company_queue *q = &l->to[1 - end];
    assert(q->count < FM_PEERS_QUEUE);
    if (q->at == NULL)
        q->at = calloc(FM_PEERS_QUEUE, sizeof *q->at);
    assert(q->at != NULL);
    struct fm_company_message *m = &q->at[(q->first + q->count++) % FM_PEERS_QUEUE];
    m->data = malloc(bytes.len + 1);
    assert(m->data != NULL);
    memcpy(m->data, bytes.data, bytes.len);
    m->len = bytes.len;
}

/* --- steps --- */

struct turn {
    struct fm_peers *p;
    int node;
    struct { enum fm_do_kind kind; uint32_t conn; uint8_t *data; size_t len; } *out;
    size_t count, cap;
};

static int act(void *ctx, const struct fm_action *a)
{
    struct turn *t = ctx;
    struct fm_company_node *n = &t->p->nodes[t->node];
    if (a->kind == FM_DO_ROW)
        return fm_memory_apply(n->store, &a->row);
    if (a->kind == FM_DO_REPORT) {
        if (a->report == FM_REPORT_TAKEN)
            n->taken = a->error;
        if (a->report == FM_REPORT_REFUSED) {
            n->refused = a->reason;
            n->refused_count++;
            return n->refused_rc;
        }
        return 0;
    }
    if (a->kind == FM_DO_DROP) {
        n->dropped = a->reason;
        n->drops++;
    }
    if (t->count == t->cap) {
        size_t cap = t->cap == 0 ? 16 : t->cap * 2;
        void *more = realloc(t->out, cap * sizeof *t->out);
        if (more == NULL)
            return FM_ENOMEM;
        t->out = more;
        t->cap = cap;
    }
    t->out[t->count].kind = a->kind;
    t->out[t->count].conn = a->conn;
    t->out[t->count].len = a->bytes.len;
    t->out[t->count].data = malloc(a->bytes.len + 1);
    if (t->out[t->count].data == NULL)
        return FM_ENOMEM;
    if (a->bytes.len > 0)
        memcpy(t->out[t->count].data, a->bytes.data, a->bytes.len);
    t->count++;
    return 0;
}

static void down(struct fm_peers *p, struct fm_company_link *l, int but);

static int step(struct fm_peers *p, struct turn *t, struct fm_event event)
{
    struct fm_sink sink = {.ctx = t, .act = act};
    event.now_ms = p->now_ms;
    event.steady_ms = p->steady_ms;
    fm_be_put(event.seed, ++p->events, 8);
    return fm_repl_step(p->nodes[t->node].core, &event, &sink);
}

int fm_company_event(struct fm_peers *p, int n, struct fm_event event)
{
    struct turn t = {.p = p, .node = n};
    p->now_ms++;
    p->steady_ms++;
    int rc = step(p, &t, event);
    if (rc == 0)
        rc = step(p, &t, (struct fm_event){.kind = FM_EVENT_TURN_END});
    for (size_t i = 0; i < t.count; i++) {
        int end;
        struct fm_company_link *l = link_of(p, n, t.out[i].conn, &end);
        if (rc == 0 && t.out[i].kind == FM_DO_SEND)
            post(p, n, t.out[i].conn, fm_span(t.out[i].data, t.out[i].len));
        else if (rc == 0 && l != NULL)
            down(p, l, n);
        free(t.out[i].data);
    }
    free(t.out);
    return rc;
}

static void down(struct fm_peers *p, struct fm_company_link *l, int but)
{
    l->up = false;
    for (int end = 0; end < 2; end++) {
        struct fm_company_queue *q = &l->to[end];
        while (q->count > 0) {
            free(q->at[q->first].data);
            q->first = (q->first + 1) % FM_PEERS_QUEUE;
            q->count--;
        }
        free(q->at);
        q->at = NULL;
        if (l->end[end] != but)
            assert(fm_company_event(p, l->end[end], (struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = l->conn[end]}) == 0);
    }
}

void fm_company_cut(struct fm_peers *p, int link)
{
    if (p->links[link].up)
        down(p, &p->links[link], -1);
}

int fm_company_connect(struct fm_peers *p, int a, int b)
{
    int i = 0;
    while (i < p->link_count && p->links[i].up)
        i++;
    assert(i < FM_PEERS_LINKS);
    if (i == p->link_count)
        p->link_count++;
    struct fm_company_link *l = &p->links[i];
    memset(l, 0, sizeof *l);
    l->up = true;
    l->end[0] = a;
    l->end[1] = b;
    l->conn[0] = ++p->conn_next;
    l->conn[1] = ++p->conn_next;
    struct fm_event up = {.kind = FM_EVENT_PEER_UP, .conn = l->conn[1], .transport = p->nodes[a].self.transport};
    assert(fm_company_event(p, b, up) == 0);
    up = (struct fm_event){.kind = FM_EVENT_PEER_UP, .conn = l->conn[0], .transport = p->nodes[b].self.transport,
                           .initiator = true};
    if (l->up)
        assert(fm_company_event(p, a, up) == 0);
    return i;
}

bool fm_company_deliver_to(struct fm_peers *p, struct fm_company_link *l, int end)
{
    struct fm_company_queue *q = &l->to[end];
    if (!l->up || q->count == 0)
        return false;
    struct fm_company_message m = q->at[q->first];
    q->first = (q->first + 1) % FM_PEERS_QUEUE;
    q->count--;
    struct fm_event e = {.kind = FM_EVENT_RECEIVE, .conn = l->conn[end], .bytes = fm_span(m.data, m.len)};
    assert(fm_company_event(p, l->end[end], e) == 0);
    free(m.data);
    return true;
}

bool fm_company_deliver(struct fm_peers *p)
{
    struct { struct fm_company_link *l; int end; } ready[2 * FM_PEERS_LINKS];
    size_t n = 0;
    for (int i = 0; i < p->link_count; i++) {
        for (int end = 0; end < 2; end++) {
            if (p->links[i].up && p->links[i].to[end].count > 0) {
                ready[n].l = &p->links[i];
                ready[n++].end = end;
            }
        }
    }
    if (n == 0)
        return false;
    n = fm_company_rand(p) % n;
    return fm_company_deliver_to(p, ready[n].l, ready[n].end);
}

size_t fm_company_run(struct fm_peers *p)
{
    size_t n = 0;
    while (fm_company_deliver(p)) {
        n++;
        assert(n < 100000);
    }
    return n;
}

void fm_company_tick(struct fm_peers *p, uint64_t ms)
{
    p->now_ms += ms;
    p->steady_ms += ms;
    for (int i = 0; i < p->count; i++)
        assert(fm_company_event(p, i, (struct fm_event){.kind = FM_EVENT_TICK}) == 0);
}

bool fm_company_in_step(const struct fm_peers *p, int link)
{
    const struct fm_company_link *l = &p->links[link];
    int found = 0;
    for (int end = 0; l->up && end < 2; end++) {
        const struct fm_repl *core = p->nodes[l->end[end]].core;
        for (size_t i = 0; i < fm_repl_peer_count(core); i++) {
            struct fm_peer_info info;
            fm_repl_peer(core, i, &info);
            found += info.conn == l->conn[end] && info.phase == FM_PEER_IN_STEP;
        }
    }
    return found == 2;
}

bool fm_company_same(struct fm_peers *p, int a, int b)
{
    struct fm_digest x[2], y[2];
    assert(fm_repl_digest(p->nodes[a].core, &x[0], &x[1]) == 0 && fm_repl_digest(p->nodes[b].core, &y[0], &y[1]) == 0);
    return fm_id_eq(&x[0], &y[0]) && fm_id_eq(&x[1], &y[1]);
}

/* --- sets by hand --- */

int fm_company_take(struct fm_peers *p, int n, struct fm_span bytes)
{
    p->nodes[n].taken = 1;
    assert(fm_company_event(p, n, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = bytes}) == 0);
    return p->nodes[n].taken;
}

static void close_set(struct fm_peers *p, struct fm_company_author *a, struct fm_buf *out, struct fm_span items,
                      uint32_t count)
{
    static const uint8_t nonce[24];
    struct fm_crypto c = fm_fake_crypto_of(&a->device);
    struct fm_set_header h = {.format = FM_FORMAT, .stream = a->stream, .sequence = a->sequence + 1,
                              .has_prev = a->sequence > 0, .prev = a->last, .has_grant = !a->root, .grant = a->grant,
                              .epoch = a->epoch, .time = (a->time + 1) << 16, .change_count = count};
    struct fm_buf body;
    struct fm_pack pk;
    fm_buf_init(&body, 0);
    fm_pack_init(&pk, &body);
    a->sequence++;
    a->time++;
    fm_pack_array(&pk, count);
    fm_pack_raw(&pk, items);
    c.compress = fm_fake_compress;
    assert(pk.error == 0 && fm_set_close(out, &a->last, &c, &p->mesh, &h, fm_buf_span(&body), NULL, nonce) == 0);
    fm_buf_fini(&body);
}

static void create(struct fm_peers *p, struct fm_buf *items)
{
    struct fm_change *change = calloc(1, sizeof *change);
    struct fm_buf doc;
    struct fm_pack pk;
    char text[37];
    assert(change != NULL);
    change->kind = FM_KIND_ASSESSMENT;
    change->action = FM_CREATE;
    change->version = 1;
    for (size_t i = 0; i < sizeof change->record.b; i++)
        change->record.b[i] = (uint8_t)fm_company_rand(p);
    fm_uuid_text(text, &change->record);
    fm_buf_init(&doc, 0);
    fm_pack_init(&pk, &doc);
    fm_pack_map(&pk, 2);
    fm_pack_cstr(&pk, "id");
    fm_pack_cstr(&pk, text);
    fm_pack_cstr(&pk, "verificationStatus");
    fm_pack_cstr(&pk, "PENDING");
    change->actor = fm_span_str("operator");
    change->document = fm_buf_span(&doc);
    assert(pk.error == 0 && fm_change_encode(items, change) == 0);
    fm_buf_fini(&doc);
    free(change);
}

int fm_company_write(struct fm_peers *p, struct fm_company_author *author, int n, uint32_t changes)
{
    struct fm_buf items, set;
    fm_buf_init(&items, 0);
    fm_buf_init(&set, 0);
    for (uint32_t i = 0; i < changes; i++)
        create(p, &items);
    close_set(p, author, &set, fm_buf_span(&items), changes);
    int rc = fm_company_take(p, n, fm_buf_span(&set));
    fm_buf_fini(&items);
    fm_buf_fini(&set);
    return rc;
}

int fm_company_revoke(struct fm_peers *p, int target, int n)
{
    struct fm_act *a = calloc(1, sizeof *a);
    struct fm_buf items, set;
    assert(a != NULL);
    fm_buf_init(&items, 0);
    fm_buf_init(&set, 0);
    a->kind = FM_ACT_REVOKE;
    a->node = p->nodes[target].self.author;
    assert(fm_act_encode(&items, a) == 0);
    bool hub = fm_repl_role(p->nodes[target].core) == FM_ROLE_COORDINATOR;
    close_set(p, hub ? &p->root : &p->nodes[0].lanes[0], &set, fm_buf_span(&items), 1);
    int rc = fm_company_take(p, n, fm_buf_span(&set));
    fm_buf_fini(&items);
    fm_buf_fini(&set);
    free(a);
    return rc;
}

/* The set that grants node i; its grant id is noted there. */
static void grant_set(struct fm_peers *p, int i, uint8_t role, struct fm_buf *out)
{
    static const char *const names[FM_PEERS_NODES] = {"hub", "one", "two", "three", "four"};
    struct fm_company_node *n = &p->nodes[i];
    struct fm_crypto c = fm_fake_crypto();
    struct fm_act *a = calloc(1, sizeof *a);
    struct fm_buf bytes, items;
    assert(a != NULL);
    fm_buf_init(&bytes, 0);
    fm_buf_init(&items, 0);
    a->kind = FM_ACT_GRANT;
    a->grant.author = n->self.author;
    a->grant.transport = n->self.transport;
    a->grant.box = n->self.box;
    a->grant.name = fm_span_str(names[i]);
    a->grant.role = role;
    a->grant.epoch_first = 1;
    a->grant.epoch_last = 100;
    a->grant.serial = (uint64_t)i + 1;
    assert(fm_grant_encode(&bytes, &a->grant) == 0);
    struct fm_grant *back = calloc(1, sizeof *back);
    assert(back != NULL && fm_grant_decode(back, &c, &p->mesh, fm_buf_span(&bytes)) == 0);
    n->self.grant = n->lanes[0].grant = n->lanes[1].grant = back->id;
    a->grant.bytes = fm_buf_span(&bytes);
    assert(fm_act_encode(&items, a) == 0);
    close_set(p, role == FM_ROLE_COORDINATOR ? &p->root : &p->nodes[0].lanes[0], out, fm_buf_span(&items), 1);
    fm_buf_fini(&bytes);
    fm_buf_fini(&items);
    free(back);
    free(a);
}

static void start(struct fm_peers *p, int n)
{
    p->nodes[n].core = fm_repl_new(&p->nodes[n].self, &p->nodes[n].crypto, fm_memory_port(p->nodes[n].store));
    assert(p->nodes[n].core != NULL);
    assert(fm_company_event(p, n, (struct fm_event){.kind = FM_EVENT_START}) == 0);
}

void fm_company_restart(struct fm_peers *p, int n)
{
    fm_repl_free(p->nodes[n].core);
    start(p, n);
}

static void author_init(struct fm_company_author *a, const struct fm_fake_device *device, uint8_t lane)
{
    a->device = *device;
    a->stream = (struct fm_stream){.author = device->author, .incarnation = 1, .lane = lane};
    a->time = 1;
    a->epoch = 1;
}

void fm_company_init(struct fm_peers *p, const uint8_t *roles, int count, uint64_t seed)
{
    struct fm_buf grants[FM_PEERS_NODES];
    memset(p, 0, sizeof *p);
    p->seed = seed * 2 + 1;
    p->now_ms = 1700000000000;
    p->steady_ms = 1000;
    p->count = count;
    memset(p->mesh.b, 7, sizeof p->mesh.b);
    struct fm_fake_device root = {.author = {{0xee}}};
    author_init(&p->root, &root, FM_LANE_MEMBERSHIP);
    p->root.root = true;
    for (int i = 0; i < count; i++) {
        struct fm_company_node *n = &p->nodes[i];
        memset(n->device.author.b, 0x10 + i, FM_KEY_BYTES);
        memset(n->device.box.b, 0x30 + i, FM_KEY_BYTES);
        n->crypto = fm_fake_crypto_of(&n->device);
        n->crypto.compress = fm_fake_compress;
        n->self = (struct fm_self){.mesh = p->mesh, .root = root.author, .author = n->device.author, .box = n->device.box,
                                   .incarnation = 1};
        memset(n->self.transport.b, 0x50 + i, FM_KEY_BYTES);
        memset(n->self.store.b, 0x70 + i, sizeof n->self.store.b);
        author_init(&n->lanes[0], &n->device, 0);
        author_init(&n->lanes[1], &n->device, 1);
        fm_buf_init(&grants[i], 0);
        grant_set(p, i, roles[i], &grants[i]);
    }
    for (int i = 0; i < count; i++) {
        p->nodes[i].store = fm_memory_new();
        assert(p->nodes[i].store != NULL);
        start(p, i);
        for (int g = 0; g < count; g++)
            assert(fm_company_take(p, i, fm_buf_span(&grants[g])) == 0);
    }
    for (int i = 0; i < count; i++)
        fm_buf_fini(&grants[i]);
}

void fm_company_copy(struct fm_peers *to, const struct fm_peers *from, int count)
{
    assert(from->link_count == 0 && from->seen_count == 0 && count <= from->count);
    *to = *from;
    to->count = count;
    for (int i = 0; i < to->count; i++) {
        struct fm_company_node *n = &to->nodes[i];
        n->crypto.ctx = &n->device;
        n->store = fm_memory_clone(from->nodes[i].store);
        assert(n->store != NULL);
        start(to, i);
    }
}

void fm_company_fini(struct fm_peers *p)
{
    for (int i = 0; i < p->link_count; i++)
        fm_company_cut(p, i);
    for (int i = 0; i < p->count; i++) {
        fm_repl_free(p->nodes[i].core);
        fm_memory_free(p->nodes[i].store);
    }
    free(p->seen);
}
