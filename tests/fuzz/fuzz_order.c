/* Merge order (invariants I8, I9): the first bytes choose one of the model's worlds, the others in which order its sets
 * come, when a node starts again, and what comes twice. Whatever does not follow comes again at the end. The store holds
 * what the model says, to the version, and its digests are those of any other order. */
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/memory.h"
#include "tests/support/world_sets.h"

static json_t *worlds;
static struct {
    struct fm_world_sets sets;
    struct fm_digest digests[2]; /* of file order */
    bool ready;
} * world;
static size_t world_count;

struct node {
    const struct fm_world_sets *w;
    struct fm_memory *store;
    struct fm_repl *core;
    struct fm_sink sink;
    uint64_t events;
    int taken;
};

static int act(void *ctx, const struct fm_action *a)
{
    struct node *n = ctx;
    if (a->kind == FM_DO_ROW)
        return fm_memory_apply(n->store, &a->row);
    if (a->kind == FM_DO_REPORT && a->report == FM_REPORT_TAKEN)
        n->taken = a->error;
    return FM_OK;
}

static void step(struct node *n, struct fm_event event)
{
    event.now_ms = 1000 + n->events;
    event.steady_ms = ++n->events;
    FUZZ_CHECK(fm_repl_step(n->core, &event, &n->sink) == FM_OK);
}

static void start(struct node *n)
{
    struct fm_self self = {.mesh = n->w->mesh, .incarnation = 77};
    fm_world_author(&self.root, "ROOT");
    fm_world_author(&self.author, "observer"); /* who was granted nothing */
    self.transport = self.box = self.author;
    fm_repl_free(n->core);
    n->core = fm_repl_new(&self, &n->w->crypto, fm_memory_port(n->store));
    FUZZ_CHECK(n->core != NULL);
    step(n, (struct fm_event){.kind = FM_EVENT_START});
}

static int take(struct node *n, size_t i)
{
    step(n, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&n->w->sets[i].bytes)});
    step(n, (struct fm_event){.kind = FM_EVENT_TURN_END});
    return n->taken;
}

static void open_node(struct node *n, const struct fm_world_sets *w)
{
    *n = (struct node){.w = w, .store = fm_memory_new()};
    n->sink = (struct fm_sink){.ctx = n, .act = act};
    FUZZ_CHECK(n->store != NULL);
    start(n);
}

static void close_node(struct node *n, struct fm_digest digests[2])
{
    char why[256];
    int rc;
    for (int i = 0; (rc = fm_repl_digest(n->core, &digests[0], &digests[1])) == FM_EBUSY && i < 100; i++)
        step(n, (struct fm_event){.kind = FM_EVENT_TURN_END});
    FUZZ_CHECK(rc == FM_OK);
    if (!fm_world_check(n->w, fm_memory_port(n->store), why)) {
        (void)fprintf(stderr, "not so: the model: %s\n", why);
        abort();
    }
    fm_repl_free(n->core);
    fm_memory_free(n->store);
}

/* Again and again what was refused, until a whole round changes nothing. */
static void rest(struct node *n, bool *held)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < n->w->count; i++)
            if (!held[i] && take(n, i) == FM_OK)
                held[i] = changed = true;
    }
}

static void load(void)
{
    worlds = fm_worlds_load();
    world_count = json_array_size(worlds);
    world = calloc(world_count, sizeof *world);
    FUZZ_CHECK(world_count > 0 && world != NULL);
    for (size_t i = 0; i < world_count; i++)
        world[i].sets.json = json_array_get(worlds, i);
}

static const struct fm_world_sets *prepare(size_t at)
{
    struct node n;
    bool held[FM_WORLD_SETS_MAX] = {false};
    if (!world[at].ready) {
        const json_t *json = world[at].sets.json;
        fm_world_sets_init(&world[at].sets, json);
        open_node(&n, &world[at].sets);
        rest(&n, held);
        close_node(&n, world[at].digests);
        world[at].ready = true;
    }
    return &world[at].sets;
}

FUZZ_TARGET(0, 4 << 20)
{
    struct fuzz_in in = {data, size};
    bool held[FM_WORLD_SETS_MAX] = {false};
    struct fm_digest digests[2];
    struct node n;

    fuzz_memory_pause(true);
    if (worlds == NULL)
        load();
    size_t at = (size_t)fuzz_number(&in, 2) % world_count;
    const struct fm_world_sets *w = prepare(at);
    fuzz_memory_pause(false);
    open_node(&n, w);
    while (in.left > 0) { /* a set, or a new start */
        uint8_t what = (uint8_t)fuzz_number(&in, 1);
        size_t i = what % w->count;
        if (what >= 240) {
            start(&n);
        } else if (held[i]) {
            FUZZ_CHECK(take(&n, i) == FM_EEXISTS);
        } else {
            int rc = take(&n, i);
            FUZZ_CHECK(rc != FM_EEXISTS);
            held[i] = rc == FM_OK;
        }
    }
    rest(&n, held);
    close_node(&n, digests);
    FUZZ_CHECK(fm_id_eq(&digests[0], &world[at].digests[0]) && fm_id_eq(&digests[1], &world[at].digests[1]));
    return 0;
}
