/* How long a healed mesh takes to agree, in virtual time: 25 nodes, each cut off while it changed what all of them share,
 * then joined by links of 256 kbit/s. The real core, its real messages; only time and the wire are made up.
 *
 * What has to cross the narrowest place gives the least time there can be: a leaf's one link brings it all that it lacks.
 * The bound is a small multiple of that, and nothing in the middle may hang (invariant I19). PROOF_SCALE: percent of the
 * changes; PROOF_ROUND: other documents and links. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/compress.h"
#include "replication/error.h"
#include "tests/support/lab.h"
#include "tests/support/text_doc.h"

#define NODES 25
#define LINKS (NODES - 1 + 5)
#define RECORDS 250
#define CHANGES 10000
#define SET_CHANGES 8 /* what a tablet hands over at once */
#define BITS_PER_S 256000u
#define LATENCY_US 50000u
#define OVERHEAD_BYTES 66u /* of a message below us: ZMTP, CURVE, TCP, IP */
#define TIMES_LEAST 2u
#define GRACE_US (20u * 1000000u)

#define MUST(call)                                                                                                          \
    do {                                                                                                                    \
        int rc_ = (call);                                                                                                   \
        assert(rc_ == 0);                                                                                                   \
        (void)rc_;                                                                                                          \
    } while (0)

struct message {
    uint8_t *data;
    size_t len;
    uint64_t due_us;
    struct message *next;
};
struct wire { /* one direction of a link */
    struct message *first, *last;
    uint64_t free_us, bytes;
};
struct link {
    int end[2];
    struct wire to[2]; /* on its way to that end */
};
struct node {
    struct fm_lab_device device;
    struct fm_self self;
    struct fm_memory *store;
    struct fm_repl *core;
    struct fm_set_header next; /* its next set's */
    struct fm_version_id mine[RECORDS];
    uint32_t number[RECORDS];
    struct message *out, *out_last; /* of the running turn; due_us: the connection */
    int taken;
};
struct mesh {
    struct node nodes[NODES];
    struct link links[LINKS];
    struct fm_lab_device root;
    struct fm_version_id base[RECORDS];
    uint64_t now_us, events, random, own_bytes[NODES], all_bytes;
};

static uint64_t draw(struct mesh *m, uint64_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (m->random >> 11) % below;
}

/* --- turns: conn 1 … is a link's number plus 1 --- */

static int act(void *ctx, const struct fm_action *a)
{
    struct node *n = ctx;
    if (a->kind == FM_DO_ROW)
        return fm_memory_apply(n->store, &a->row);
    if (a->kind == FM_DO_REPORT && a->report == FM_REPORT_TAKEN)
        n->taken = a->error;
    if (a->kind == FM_DO_DROP) { /* all are friends, and none is silent for long */
        printf("FAILED converge: a node drops a peer: %s\n", a->reason);
        exit(1);
    }
    if (a->kind != FM_DO_SEND)
        return FM_OK;
    struct message *x = malloc(sizeof *x);
    assert(x != NULL);
    *x = (struct message){.data = malloc(a->bytes.len), .len = a->bytes.len, .due_us = a->conn};
    assert(x->data != NULL);
    memcpy(x->data, a->bytes.data, a->bytes.len);
    if (n->out == NULL)
        n->out = x;
    else
        n->out_last->next = x;
    n->out_last = x;
    return FM_OK;
}

static void step(struct mesh *m, struct node *n, struct fm_event event)
{
    struct fm_sink sink = {.ctx = n, .act = act};
    event.now_ms = LAB_NOW + m->now_us / 1000;
    event.steady_ms = m->now_us / 1000 + 1;
    fm_be_put(event.seed, ++m->events, 8);
    MUST(fm_repl_step(n->core, &event, &sink));
}

/* The wire carries one message after the other. */
static void send_all(struct mesh *m, struct node *n)
{
    while (n->out != NULL) {
        struct message *x = n->out;
        struct link *l = &m->links[x->due_us - 1];
        struct wire *w = &l->to[l->end[0] == n - m->nodes];
        uint64_t size = x->len + OVERHEAD_BYTES, start = w->free_us > m->now_us ? w->free_us : m->now_us;
        n->out = x->next;
        x->next = NULL;
        w->free_us = start + size * 8 * 1000000 / BITS_PER_S;
        w->bytes += size;
        x->due_us = w->free_us + LATENCY_US;
        if (w->first == NULL)
            w->first = x;
        else
            w->last->next = x;
        w->last = x;
    }
}

static void turn(struct mesh *m, struct node *n, struct fm_event event)
{
    step(m, n, event);
    step(m, n, (struct fm_event){.kind = FM_EVENT_TURN_END});
    send_all(m, n);
}

static void take(struct mesh *m, struct node *n, const struct fm_lab_set *set)
{
    turn(m, n, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&set->bytes)});
    assert(n->taken == FM_OK);
}

/* --- before the cut: all hold the grants and the records --- */

static void grants(struct mesh *m, struct fm_lab_set out[2])
{
    struct fm_buf bufs[NODES];
    struct fm_span items[NODES];
    for (int i = 0; i < NODES; i++) {
        struct fm_act *a = fm_lab_grant(&m->nodes[i].device, i == 0 ? FM_ROLE_COORDINATOR : FM_ROLE_CAMP, 1, NULL);
        m->nodes[i].self.grant = m->nodes[i].next.grant = a->grant.id;
        fm_buf_init(&bufs[i], 0);
        MUST(fm_act_encode(&bufs[i], a));
        items[i] = fm_buf_span(&bufs[i]);
        fm_lab_act_free(a);
    }
    fm_lab_set(&out[0], &m->root, (struct fm_set_header){.stream.incarnation = 1}, items, 1, NULL);
    fm_lab_set(&out[1], &m->nodes[0].device,
               (struct fm_set_header){.stream.incarnation = 1, .has_grant = true, .grant = m->nodes[0].self.grant},
               items + 1, NODES - 1, NULL);
    for (int i = 0; i < NODES; i++)
        fm_buf_fini(&bufs[i]);
}

static void change_item(struct mesh *m, struct node *n, int record, struct fm_buf *out)
{
    static const char *const words[] = {"water trucking", "shelter kits", "latrines",
                                        "vaccination",    "food rations", "schools"};
    struct fm_change c = {.kind = FM_KIND_ASSESSMENT,
                          .action = FM_CREATE,
                          .record = fm_lab_record((uint8_t)record),
                          .version = 1,
                          .actor = fm_span_str("01234567-89ab-4def-8123-0000000000a0")};
    struct fm_arena arena = {NULL};
    char text[500];
    fm_be_put(c.record.b, (uint64_t)record, 4);
    if (n->number[record] > 0) {
        c.action = FM_UPDATE;
        c.parent_count = 1;
        c.parents[0] = n->mine[record];
        c.version = n->number[record] + 1;
    }
    snprintf(
        text, sizeof text,
        "{id:\"r%d\",assessmentType:\"HEALTH\",priority:\"%s\",location:\"site %d, ward %d\",assessmentData:{need:\"%s\","
        "households:%d,persons:%d,hasFunctionalClinic:%s},note:\"%s for about %d households, next visit in %d days\"}",
        record, draw(m, 2) ? "HIGH" : "MEDIUM", record, record % 17, words[draw(m, 6)], (int)draw(m, 900),
        (int)draw(m, 5000), draw(m, 2) ? "true" : "false", words[draw(m, 6)], (int)draw(m, 900), (int)draw(m, 30));
    c.document = fm_text_doc(&arena, text);
    n->number[record] = c.version;
    MUST(fm_change_encode(out, &c));
    fm_arena_fini(&arena);
}

/* One set of `count` changes to records from `first` on, signed by n. */
static void write_set(struct mesh *m, struct node *n, struct fm_lab_set *out, int first, uint32_t count)
{
    static struct fm_buf bufs[RECORDS];
    static struct fm_span items[RECORDS];
    struct fm_mesh_id mesh = fm_lab_mesh();
    for (uint32_t i = 0; i < count; i++) {
        fm_buf_init(&bufs[i], 0);
        change_item(m, n, (first + (int)i) % RECORDS, &bufs[i]);
        items[i] = fm_buf_span(&bufs[i]);
    }
    n->next.stream = (struct fm_stream){.incarnation = 1, .lane = FM_LANE_RECORDS};
    n->next.has_grant = true;
    n->next.sequence++;
    n->next.time = (LAB_NOW << 16) + n->next.sequence * 1000 + draw(m, 900);
    fm_lab_set(out, &n->device, n->next, items, count, NULL);
    for (uint32_t i = 0; i < count; i++) {
        fm_version_id_of(&n->mine[(first + (int)i) % RECORDS], &n->device.crypto, &mesh, &out->header, i, items[i]);
        fm_buf_fini(&bufs[i]);
    }
    n->next.has_prev = true;
    n->next.prev = out->id;
}

static void begin(struct mesh *m)
{
    struct fm_lab_set base[3];
    fm_lab_device(&m->root, "root");
    for (int i = 0; i < NODES; i++) {
        char name[20];
        struct node *n = &m->nodes[i];
        snprintf(name, sizeof name, "node %d", i);
        fm_lab_device(&n->device, name);
        fm_compress_port(&n->device.crypto);
    }
    grants(m, base);
    write_set(m, &m->nodes[0], &base[2], 0, RECORDS);
    for (int i = 0; i < NODES; i++) {
        struct node *n = &m->nodes[i];
        n->self = (struct fm_self){.mesh = fm_lab_mesh(),
                                   .root = m->root.fake.author,
                                   .author = n->device.fake.author,
                                   .transport = n->device.transport,
                                   .box = n->device.fake.box,
                                   .grant = n->self.grant,
                                   .incarnation = 9};
        fm_be_put(n->self.store.b, (uint64_t)i + 1, 8);
        n->store = fm_memory_new();
        assert(n->store != NULL);
        n->core = fm_repl_new(&n->self, &n->device.crypto, fm_memory_port(n->store));
        assert(n->core != NULL);
        turn(m, n, (struct fm_event){.kind = FM_EVENT_START});
        for (int k = 0; k < 3; k++)
            take(m, n, &base[k]);
        memcpy(n->mine, m->nodes[0].mine, sizeof n->mine);
        memcpy(n->number, m->nodes[0].number, sizeof n->number);
    }
    for (int k = 0; k < 3; k++)
        fm_lab_set_free(&base[k]);
}

/* --- the cut: each changes what all share --- */

static void diverge(struct mesh *m, int changes)
{
    for (int i = 0; i < NODES; i++) {
        int left = changes / NODES, record = (int)draw(m, RECORDS);
        while (left > 0) {
            struct fm_lab_set set;
            int count = left < SET_CHANGES ? left : SET_CHANGES;
            write_set(m, &m->nodes[i], &set, record, (uint32_t)count);
            take(m, &m->nodes[i], &set);
            m->own_bytes[i] += set.bytes.len;
            m->all_bytes += set.bytes.len;
            fm_lab_set_free(&set);
            record += count;
            left -= count;
        }
    }
}

/* --- the healing --- */

/* A tree in which each has up to two below it, and some links across. */
static void heal(struct mesh *m)
{
    for (int i = 0; i < LINKS; i++) {
        struct link *l = &m->links[i];
        l->end[1] = i < NODES - 1 ? i + 1 : 3 + 4 * (i - (NODES - 1));
        l->end[0] = i < NODES - 1 ? i / 2 : (l->end[1] + 6) % NODES;
        for (int end = 0; end < 2; end++)
            turn(m, &m->nodes[l->end[end]],
                 (struct fm_event){.kind = FM_EVENT_PEER_UP,
                                   .conn = (uint32_t)i + 1,
                                   .initiator = end == 1,
                                   .transport = m->nodes[l->end[1 - end]].self.transport});
    }
}

static bool agree(struct mesh *m)
{
    struct fm_digest first[2], other[2];
    if (fm_repl_digest(m->nodes[0].core, &first[0], &first[1]) != FM_OK)
        return false;
    for (int i = NODES - 1; i > 0; i--)
        if (fm_repl_digest(m->nodes[i].core, &other[0], &other[1]) != FM_OK || memcmp(first, other, sizeof first) != 0)
            return false;
    return true;
}

static bool deliver_next(struct mesh *m, uint64_t until_us)
{
    struct wire *best = NULL;
    int node = 0, conn = 0;
    for (int i = 0; i < LINKS; i++)
        for (int end = 0; end < 2; end++) {
            struct wire *w = &m->links[i].to[end];
            if (w->first != NULL && w->first->due_us <= until_us &&
                (best == NULL || w->first->due_us < best->first->due_us)) {
                best = w;
                node = m->links[i].end[end];
                conn = i + 1;
            }
        }
    if (best == NULL)
        return false;
    struct message *x = best->first;
    best->first = x->next;
    m->now_us = x->due_us;
    turn(m, &m->nodes[node],
         (struct fm_event){.kind = FM_EVENT_RECEIVE, .conn = (uint32_t)conn, .bytes = fm_span(x->data, x->len)});
    free(x->data);
    free(x);
    return true;
}

static void run_second(struct mesh *m)
{
    uint64_t until = m->now_us - m->now_us % 1000000 + 1000000;
    while (deliver_next(m, until))
        continue;
    m->now_us = until;
    for (int i = 0; i < NODES; i++)
        turn(m, &m->nodes[i], (struct fm_event){.kind = FM_EVENT_TICK});
}

static void end(struct mesh *m)
{
    for (int i = 0; i < LINKS; i++)
        for (int k = 0; k < 2; k++)
            while (m->links[i].to[k].first != NULL) {
                struct message *x = m->links[i].to[k].first;
                m->links[i].to[k].first = x->next;
                free(x->data);
                free(x);
            }
    for (int i = 0; i < NODES; i++) {
        fm_repl_free(m->nodes[i].core);
        fm_memory_free(m->nodes[i].store);
    }
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    static struct mesh m;
    uint64_t moved = 0, least = 0;
    int changes = (int)(CHANGES * number_from("PROOF_SCALE", 100) / 100);
    m.random = UINT64_C(0x9e3779b97f4a7c15) + number_from("PROOF_ROUND", 0);
    begin(&m);
    diverge(&m, changes);
    for (int i = 1; i < NODES; i++)
        if (m.all_bytes - m.own_bytes[i] > least)
            least = m.all_bytes - m.own_bytes[i];
    least = least * 8 * 1000000 / BITS_PER_S;
    uint64_t healed = m.now_us, bound = TIMES_LEAST * least + GRACE_US;
    heal(&m);
    while (!agree(&m) && m.now_us - healed <= bound)
        run_second(&m);
    bool good = agree(&m);
    for (int i = 0; i < LINKS; i++)
        moved += m.links[i].to[0].bytes + m.links[i].to[1].bytes;
    unsigned long long took = (m.now_us - healed) / 1000000;
    if (good)
        printf("ok %d nodes with %d changes agree after %llu s over links of 256 kbit/s (at least %llu s, bound %llu s)\n",
               NODES, changes, took, (unsigned long long)least / 1000000, (unsigned long long)bound / 1000000);
    else
        printf("FAILED converge: %d nodes do not agree after %llu s (at least %llu s)\n", NODES, took,
               (unsigned long long)least / 1000000);
    printf("figure converge_25_seconds %llu\nfigure converge_25_bytes %llu\nfigure converge_25_least_seconds %llu\n", took,
           (unsigned long long)moved, (unsigned long long)least / 1000000);
    end(&m);
    return good ? 0 : 1;
}
