#include "tests/support/lab.h"

#include <assert.h>

#include "replication/pack.h"
#include "replication/uuid.h"
#include "tests/support/text_doc.h"

#define MUST(call)          \
    do {                    \
        int rc_ = (call);   \
        assert(rc_ == 0);   \
        (void)rc_;          \
    } while (0)

/* --- devices --- */

static struct fm_key named(const char *kind, const char *name)
{
    struct fm_crypto c = fm_fake_crypto();
    struct fm_span parts[2] = {fm_span_str(kind), fm_span_str(name)};
    struct fm_key key;
    c.hash(c.ctx, key.b, sizeof key.b, parts, 2);
    return key;
}

void fm_lab_device(struct fm_lab_device *out, const char *name)
{
    out->fake = (struct fm_fake_device){.author = named("author", name), .box = named("box", name)};
    out->transport = named("transport", name);
    out->crypto = fm_fake_crypto_of(&out->fake);
}

struct fm_key fm_lab_key(const char *name)
{
    return named("data key", name);
}

struct fm_mesh_id fm_lab_mesh(void)
{
    struct fm_mesh_id mesh;
    memset(mesh.b, 'm', sizeof mesh.b);
    return mesh;
}

struct fm_record_id fm_lab_record(uint8_t number)
{
    struct fm_record_id id;
    memset(id.b, 7, sizeof id.b);
    id.b[15] = number;
    return id;
}

/* --- nodes --- */

static int act(void *ctx, const struct fm_action *action)
{
    struct fm_lab_node *n = ctx;
    if (action->kind == FM_DO_ROW) {
        n->rows++;
        if (n->rows_left == 0)
            return FM_ESTORE;
        n->rows_left -= n->rows_left > 0;
        return fm_memory_apply(n->store, &action->row);
    }
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_TAKEN) {
        n->taken = action->error;
        n->taken_set = action->set;
    }
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_MEMBERS)
        n->members_reports++;
    return 0;
}

void fm_lab_open(struct fm_lab_node *n, const char *name, uint64_t incarnation)
{
    *n = (struct fm_lab_node){.now_ms = LAB_NOW, .rows_left = -1};
    fm_lab_device(&n->device, name);
    n->self = (struct fm_self){.mesh = fm_lab_mesh(), .root = named("author", "root"), .author = n->device.fake.author,
                               .transport = n->device.transport, .box = n->device.fake.box, .incarnation = incarnation};
    n->sink = (struct fm_sink){.ctx = n, .act = act};
    n->store = fm_memory_new();
    n->saved = fm_memory_new();
    assert(n->store != NULL && n->saved != NULL);
    MUST(fm_lab_restart(n));
}

void fm_lab_close(struct fm_lab_node *n)
{
    fm_repl_free(n->core);
    fm_memory_free(n->store);
    fm_memory_free(n->saved);
    fm_arena_fini(&n->arena);
}

int fm_lab_step(struct fm_lab_node *n, struct fm_event event)
{
    event.now_ms = n->now_ms;
    event.steady_ms = n->events * 10;
    fm_be_put(event.seed, ++n->events, 8);
    return fm_repl_step(n->core, &event, &n->sink);
}

static void commit(struct fm_lab_node *n)
{
    fm_memory_free(n->saved);
    n->saved = fm_memory_clone(n->store);
    assert(n->saved != NULL);
}

int fm_lab_end(struct fm_lab_node *n)
{
    int rc = fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_TURN_END});
    if (rc == 0)
        commit(n);
    return rc;
}

int fm_lab_restart(struct fm_lab_node *n)
{
    fm_repl_free(n->core);
    n->core = fm_repl_new(&n->self, &n->device.crypto, fm_memory_port(n->store));
    assert(n->core != NULL);
    int rc = fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_START});
    return rc != 0 ? rc : fm_lab_end(n);
}

int fm_lab_crash(struct fm_lab_node *n)
{
    fm_repl_free(n->core);
    n->core = NULL;
    fm_memory_free(n->store);
    n->store = fm_memory_clone(n->saved);
    assert(n->store != NULL);
    return fm_lab_restart(n);
}

int fm_lab_take(struct fm_lab_node *n, struct fm_span bytes, int *refused)
{
    n->taken = 1;
    int rc = fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = bytes});
    *refused = n->taken;
    return rc != 0 ? rc : fm_lab_end(n);
}

int fm_lab_act(struct fm_lab_node *n, const struct fm_act *operators_act, int *refused)
{
    n->taken = 1;
    int rc = fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_ACT, .act = operators_act});
    *refused = n->taken;
    return rc != 0 ? rc : fm_lab_end(n);
}

int fm_lab_write(struct fm_lab_node *n, const struct fm_change *change, struct fm_version_id *id)
{
    struct fm_event event = {.kind = FM_EVENT_SUBMIT, .now_ms = n->now_ms};
    struct fm_buf item;
    fm_buf_init(&item, 0);
    MUST(fm_change_encode(&item, change));
    fm_be_put(event.seed, ++n->events, 8);
    n->core->event = &event;
    n->core->sink = &n->sink;
    int rc = fm_turn_add(n->core, FM_LANE_RECORDS, fm_buf_span(&item), id);
    if (rc == 0)
        rc = fm_touch_settle(n->core);
    n->core->event = NULL;
    n->core->sink = NULL;
    fm_buf_fini(&item);
    return rc;
}

struct fm_change fm_lab_change(struct fm_lab_node *n, uint8_t action, uint8_t record, uint32_t version,
                               const struct fm_version_id *parent, const char *document)
{
    struct fm_change change = {.kind = FM_KIND_ASSESSMENT, .action = action, .record = fm_lab_record(record),
                               .version = version, .parent_count = parent != NULL, .actor = fm_span_str("operator")};
    if (parent != NULL)
        change.parents[0] = *parent;
    change.document = fm_text_doc(&n->arena, document);
    return change;
}

void fm_lab_digest(struct fm_lab_node *n, struct fm_digest out[2])
{
    int rc = fm_repl_digest(n->core, &out[0], &out[1]);
    for (int i = 0; rc == FM_EBUSY && i < 100; i++) {
        MUST(fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_TICK}));
        MUST(fm_lab_end(n));
        rc = fm_repl_digest(n->core, &out[0], &out[1]);
    }
    assert(rc == 0);
}

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void fm_lab_exchange(struct fm_lab_node *to, const struct fm_lab_node *from, uint64_t seed)
{
    const struct fm_port *port = fm_memory_port(from->store);
    uint64_t last, *arrivals;
    MUST(port->arrival_last(port->ctx, &last));
    size_t count = (size_t)last;
    arrivals = calloc(count + 1, sizeof *arrivals);
    assert(arrivals != NULL);
    for (size_t i = 0; i < count; i++)
        arrivals[i] = i + 1;
    for (size_t i = count; seed != 0 && i-- > 1;) {
        size_t k = (size_t)(draw(&seed) % (i + 1));
        uint64_t swap = arrivals[i];
        arrivals[i] = arrivals[k];
        arrivals[k] = swap;
    }
    for (bool more = true; more;) {
        size_t kept = 0;
        more = false;
        for (size_t i = 0; i < count; i++) {
            struct fm_buf bytes;
            int refused;
            fm_buf_init(&bytes, 0);
            MUST(port->set_bytes(port->ctx, arrivals[i], &bytes));
            MUST(fm_lab_take(to, fm_buf_span(&bytes), &refused));
            assert(refused == 0 || refused == FM_EEXISTS || refused == FM_EORDER || refused == FM_EGRANT);
            if (refused == FM_EORDER || refused == FM_EGRANT)
                arrivals[kept++] = arrivals[i];
            more = more || refused == 0;
            fm_buf_fini(&bytes);
        }
        count = kept;
    }
    assert(count == 0);
    free(arrivals);
}

/* --- grants and sets by hand --- */

struct fm_act *fm_lab_grant(const struct fm_lab_device *to, uint8_t role, uint64_t serial, const char *const *keys)
{
    struct fm_act *grant = calloc(1, sizeof *grant);
    struct fm_crypto c = fm_fake_crypto();
    struct fm_buf bytes;
    struct fm_mesh_id mesh = fm_lab_mesh();
    assert(grant != NULL);
    grant->kind = FM_ACT_GRANT;
    grant->grant = (struct fm_grant){.author = to->fake.author, .transport = to->transport, .box = to->fake.box,
                                     .name = fm_span_str("a node"), .role = role, .epoch_first = 1, .epoch_last = 9,
                                     .serial = serial};
    for (; keys != NULL && *keys != NULL; keys++) {
        struct fm_sealed_key *sealed = &grant->grant.keys[grant->grant.key_count++];
        struct fm_key key = fm_lab_key(*keys);
        fm_data_key_id_of(&sealed->id, &c, &key);
        MUST(c.box(c.ctx, sealed->sealed, &key, &to->fake.box));
    }
    fm_buf_init(&bytes, 0);
    MUST(fm_grant_encode(&bytes, &grant->grant));
    MUST(fm_grant_decode(&grant->grant, &c, &mesh, fm_buf_span(&bytes)));
    return grant;
}

void fm_lab_act_free(struct fm_act *grant)
{
    free((void *)(uintptr_t)grant->grant.bytes.data);
    free(grant);
}

void fm_lab_set_of(struct fm_lab_set *out, const struct fm_lab_device *by, struct fm_set_header header, struct fm_span body,
                   const struct fm_key *key)
{
    static const uint8_t nonce[24] = {1, 2, 3};
    struct fm_mesh_id mesh = fm_lab_mesh();
    header.format = FM_FORMAT;
    header.stream.author = by->fake.author;
    if (header.sequence == 0)
        header.sequence = 1;
    if (header.epoch == 0)
        header.epoch = 1;
    if (header.time == 0)
        header.time = LAB_NOW << 16;
    if (header.change_count == 0)
        header.change_count = 1;
    *out = (struct fm_lab_set){.header = header};
    MUST(fm_set_close(&out->bytes, &out->id, &by->crypto, &mesh, &out->header, body, key, nonce));
}

void fm_lab_set(struct fm_lab_set *out, const struct fm_lab_device *by, struct fm_set_header header,
                const struct fm_span *items, uint32_t count, const struct fm_key *key)
{
    struct fm_buf body;
    struct fm_pack p;
    fm_buf_init(&body, 0);
    fm_pack_init(&p, &body);
    fm_pack_array(&p, count);
    for (uint32_t i = 0; i < count; i++)
        fm_pack_raw(&p, items[i]);
    assert(p.error == 0);
    header.change_count = count;
    fm_lab_set_of(out, by, header, fm_buf_span(&body), key);
    fm_buf_fini(&body);
}

void fm_lab_set_free(struct fm_lab_set *set)
{
    fm_buf_fini(&set->bytes);
}

void fm_lab_root_set(struct fm_lab_set *out, const struct fm_lab_device *hub, const char *const *keys)
{
    struct fm_lab_device root;
    struct fm_buf item;
    fm_lab_device(&root, "root");
    struct fm_act *grant = fm_lab_grant(hub, FM_ROLE_COORDINATOR, 1, keys);
    fm_buf_init(&item, 0);
    MUST(fm_act_encode(&item, grant));
    struct fm_span items[1] = {fm_buf_span(&item)};
    fm_lab_set(out, &root, (struct fm_set_header){.stream.incarnation = 1}, items, 1, NULL);
    fm_buf_fini(&item);
    fm_lab_act_free(grant);
}

void fm_lab_found(struct fm_lab_node *hub, const char *const *keys)
{
    struct fm_lab_set set;
    int refused;
    fm_lab_root_set(&set, &hub->device, keys);
    MUST(fm_lab_take(hub, fm_buf_span(&set.bytes), &refused));
    assert(refused == 0);
    fm_lab_set_free(&set);
}

void fm_lab_join(struct fm_lab_node *hub, struct fm_lab_node *camp, uint64_t serial, const char *const *keys)
{
    struct fm_act *grant = fm_lab_grant(&camp->device, FM_ROLE_CAMP, serial, keys);
    int refused;
    MUST(fm_lab_act(hub, grant, &refused));
    assert(refused == 0);
    fm_lab_act_free(grant);
    fm_lab_exchange(camp, hub, 0);
}
