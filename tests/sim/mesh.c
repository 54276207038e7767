/* Who there is: devices, the root, grants; and sets written by hand, for the root and the foes. */
#include <assert.h>
#include <stdlib.h>

#include "node/compress.h"
#include "replication/act.h"
#include "replication/pack.h"
#include "tests/sim/sim.h"

/* As crypto_box_seal would, but the same bytes each time: a run is a function of its seed. */
static int plain_box(void *ctx, uint8_t out[80], const struct fm_key *data_key, const struct fm_key *to)
{
    (void)ctx;
    memset(out, 0, 80);
    memcpy(out, to->b, 32);
    for (int i = 0; i < 32; i++)
        out[32 + i] = data_key->b[i] ^ to->b[31 - i];
    return FM_OK;
}

static int plain_unbox(void *ctx, struct fm_key *data_key, const uint8_t sealed[80])
{
    const struct fm_device *d = ctx;
    for (int i = 0; i < 32; i++)
        data_key->b[i] = sealed[32 + i] ^ sealed[31 - i];
    return memcmp(sealed, d->box_public.b, 32) == 0 ? FM_OK : FM_EKEY;
}

static struct fm_key named(const char *name, uint64_t a, uint64_t b)
{
    struct fm_crypto c = fm_fake_crypto();
    struct fm_span parts[3] = {fm_span_str(name), fm_span(&a, sizeof a), fm_span(&b, sizeof b)};
    struct fm_key key;
    c.hash(c.ctx, key.b, sizeof key.b, parts, 3);
    return key;
}

static void make_device(struct sim *s, int i)
{
    struct sim_device *d = &s->devices[i];
    struct fm_key seed = named("device", s->seed, (uint64_t)i);
    if (s->plan->cfg.real) {
        fm_device_from_seed(&d->real, &seed);
        fm_crypto_port(&d->crypto, &d->real);
        fm_compress_port(&d->crypto);
        d->crypto.box = plain_box;
        d->crypto.unbox = plain_unbox;
        d->author = d->real.author_public;
        d->transport = d->real.transport_public;
        d->box = d->real.box_public;
        return;
    }
    d->fake = (struct fm_fake_device){.author = seed, .box = named("box", s->seed, (uint64_t)i)};
    d->crypto = fm_fake_crypto_of(&d->fake);
    if (s->seed % 3 == 0)
        d->crypto.compress = fm_fake_compress;
    d->author = seed;
    d->transport = named("transport", s->seed, (uint64_t)i);
    d->box = d->fake.box;
}

struct fm_act *sim_mesh_grant(struct sim *s, int device, uint8_t role, uint64_t epoch_last, bool keys)
{
    struct sim_device *d = &s->devices[device];
    struct fm_act *a = calloc(1, sizeof *a);
    struct fm_buf bytes;
    assert(a != NULL);
    a->kind = FM_ACT_GRANT;
    a->grant = (struct fm_grant){.author = d->author, .transport = d->transport, .box = d->box, .name = fm_span_str("n"),
                                 .role = role, .epoch_first = 1, .epoch_last = epoch_last, .serial = ++s->serial};
    if (keys && s->plan->cfg.sealed) {
        a->grant.key_count = 1;
        fm_data_key_id_of(&a->grant.keys[0].id, &d->crypto, &s->data_key);
        MUST(d->crypto.box(d->crypto.ctx, a->grant.keys[0].sealed, &s->data_key, &d->box));
    }
    fm_buf_init(&bytes, 0);
    MUST(fm_grant_encode(&bytes, &a->grant));
    MUST(fm_grant_decode(&a->grant, &d->crypto, &s->mesh, fm_buf_span(&bytes)));
    return a;
}

void sim_mesh_act_free(struct fm_act *act)
{
    free((void *)(uintptr_t)act->grant.bytes.data);
    free(act);
}

void sim_mesh_write(struct sim *s, struct foe_lane *lane, int device, struct fm_buf *out, const struct fm_span *items,
                    uint32_t count, bool sealed)
{
    uint8_t nonce[24] = {0};
    static const struct fm_grant_id none;
    struct fm_set_header h = {.format = FM_FORMAT, .stream = lane->stream, .sequence = lane->sequence + 1,
                              .has_prev = lane->sequence > 0, .prev = lane->last,
                              .has_grant = !fm_id_eq(&lane->grant, &none), .grant = lane->grant, .epoch = lane->epoch, .time = lane->time, .change_count = count};
    struct fm_buf body;
    struct fm_pack p;
    bool fresh;
    fm_buf_init(&body, 0);
    fm_pack_init(&p, &body);
    fm_pack_array(&p, count);
    for (uint32_t i = 0; i < count; i++)
        fm_pack_raw(&p, items[i]);
    assert(p.error == 0);
    fm_be_put(nonce, ++s->events, 8);
    MUST(fm_set_close(out, &lane->last, &s->devices[device].crypto, &s->mesh, &h, fm_buf_span(&body),
                      sealed ? &s->data_key : NULL, nonce));
    lane->sequence++;
    lane->time += count;
    fm_buf_fini(&body);
    sim_look_issue(s, fm_buf_span(out), &fresh);
}

static void take_everywhere(struct sim *s, const struct fm_buf *set)
{
    for (int i = 0; i < s->count; i++)
        if (s->nodes[i].up)
            sim_node_take(s, i, fm_buf_span(set));
}

static void grant_by_root(struct sim *s, int coordinators)
{
    struct fm_span items[SIM_NODES] = {{NULL, 0}};
    struct fm_buf bufs[SIM_NODES], set;
    for (int i = 0; i < coordinators; i++) {
        struct fm_act *a = sim_mesh_grant(s, i, FM_ROLE_COORDINATOR, 1000, true);
        s->nodes[i].self.grant = a->grant.id;
        fm_buf_init(&bufs[i], 0);
        MUST(fm_act_encode(&bufs[i], a));
        items[i] = fm_buf_span(&bufs[i]);
        sim_mesh_act_free(a);
    }
    fm_buf_init(&set, 0);
    sim_mesh_write(s, &s->root, SIM_ROOT_DEVICE, &set, items, (uint32_t)coordinators, false);
    take_everywhere(s, &set);
    fm_buf_fini(&set);
    for (int i = 0; i < coordinators; i++)
        fm_buf_fini(&bufs[i]);
}

static void join_all(struct sim *s)
{
    const struct sim_config *c = &s->plan->cfg;
    for (int i = c->coordinators; i <= c->nodes; i++) {
        bool foe = i == c->nodes;
        struct sim_rng *r = &s->rng;
        uint64_t last = sim_chance(r, 4) ? 2 + sim_draw(r, 2) : 1000;
        bool keys = !sim_chance(r, 10) || foe;
        struct fm_act *a = sim_mesh_grant(s, foe ? SIM_FOE_DEVICE : i, foe ? FM_ROLE_CAMP : s->nodes[i].role, last, keys);
        if (foe)
            s->foe[0].grant = s->foe[1].grant = s->foe[2].grant = a->grant.id;
        else
            s->nodes[i].self.grant = a->grant.id;
        sim_node_event(s, 0, (struct fm_event){.kind = FM_EVENT_ACT, .act = a});
        assert(s->nodes[0].taken == FM_OK);
        sim_mesh_act_free(a);
    }
}

/* A node that never takes in, and so never hands on, what some authors wrote. */
static int withholding_verify(void *ctx, const uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32],
                              const struct fm_key *author)
{
    struct fm_crypto c = fm_fake_crypto();
    const struct fm_fake_device *own = ctx;
    return author->b[3] % 4 == 1 && !fm_id_eq(author, &own->author) ? FM_ESIGNATURE : c.verify(ctx, signature, id, author);
}

static void make_node(struct sim *s, int i)
{
    const struct sim_config *c = &s->plan->cfg;
    struct sim_node *n = &s->nodes[i];
    n->there = true;
    n->device = i;
    n->doom = -1;
    n->role = i < c->coordinators ? FM_ROLE_COORDINATOR : i < c->coordinators + c->relays ? FM_ROLE_RELAY : FM_ROLE_CAMP;
    n->crypto = s->devices[i].crypto;
    if (i == c->withholder && !c->real)
        n->crypto.verify = withholding_verify;
    n->self = (struct fm_self){.mesh = s->mesh, .root = s->devices[SIM_ROOT_DEVICE].author, .author = s->devices[i].author,
                               .transport = s->devices[i].transport, .box = s->devices[i].box,
                               .incarnation = 1 + sim_draw(&s->rng, 1000)};
    n->incarnations = n->self.incarnation;
    fm_be_put(n->self.store.b, sim_draw(&s->rng, UINT64_MAX), 8);
    n->store = fm_memory_new();
    assert(n->store != NULL);
}

/* All that the first coordinator holds, by hand: enrolment needs no network. */
static void enrol(struct sim *s, int to)
{
    const struct fm_port *port = fm_memory_port(s->nodes[0].store);
    uint64_t last;
    MUST(port->arrival_last(port->ctx, &last));
    for (uint64_t at = 1; at <= last; at++) {
        struct fm_buf bytes;
        fm_buf_init(&bytes, 0);
        MUST(port->set_bytes(port->ctx, at, &bytes));
        sim_node_take(s, to, fm_buf_span(&bytes));
        fm_buf_fini(&bytes);
    }
}

void sim_mesh_begin(struct sim *s)
{
    const struct sim_config *c = &s->plan->cfg;
    memset(s->mesh.b, 's', sizeof s->mesh.b);
    s->data_key = named("data key", s->seed, 0);
    for (int i = 0; i < SIM_NODES + 2; i++)
        make_device(s, i);
    s->root = (struct foe_lane){.stream = {.author = s->devices[SIM_ROOT_DEVICE].author, .incarnation = 1}, .epoch = 1,
                                .time = UINT64_C(1700000000000) << 16};
    for (int i = 0; i < 3; i++) /* both lanes, and the second one of another incarnation */
        s->foe[i] = (struct foe_lane){.stream = {.author = s->devices[SIM_FOE_DEVICE].author, .incarnation = i < 2 ? 1 : 2,
                                                 .lane = i > 0}, .epoch = 1, .time = UINT64_C(1700000000000) << 16};
    s->count = c->nodes;
    for (int i = 0; i < c->nodes; i++) {
        make_node(s, i);
        sim_node_start(s, i);
    }
    grant_by_root(s, c->coordinators);
    join_all(s);
    sim_people_begin(s);
    for (int i = 1; i < c->nodes; i++)
        enrol(s, i);
}

void sim_mesh_end(struct sim *s)
{
    for (int i = 0; i < SIM_NODES; i++) {
        struct sim_node *n = &s->nodes[i];
        fm_repl_free(n->core);
        fm_memory_free(n->store);
        for (int k = 0; k < SIM_BACKUPS; k++) {
            fm_memory_free(n->backups[k]);
            free(n->backup_held[k]);
        }
        for (; n->fresh_count > 0; n->fresh_count--)
            free(n->fresh[n->fresh_count - 1].bytes);
        free(n->fresh);
        free(n->acked);
    }
    sim_net_fini(s);
    model_free(&s->model);
    free(s->soon);
    fm_arena_fini(&s->arena);
}
