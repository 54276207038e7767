#include "node/node.h"

#include <assert.h>
#include <stdlib.h>

#include "node/compress.h"
#include "node/keep.h"
#include "node/log.h"
#include "node/outbox.h"
#include "node/refill.h"
#include "node/repair.h"
#include "replication/error.h"

/* Notes in the store that tell whether this is still the store that the key folder left. */
#define NOTE_INCARNATION "incarnation"
#define NOTE_COUNTER "open-counter"
#define NOTE_MACHINE "machine"
#define MACHINE_BYTES 16

static uint64_t clock_of(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

uint64_t fm_node_now_ms(const struct fm_node *n)
{
    return n->clock_ms != NULL ? n->clock_ms(n->clock_ctx) : clock_of(CLOCK_REALTIME);
}

uint64_t fm_node_ticket(struct fm_node *n)
{
    return ++n->ticket_last;
}

static void core_drop(struct fm_node *n)
{
    if (n->repl != NULL)
        fm_repl_free(n->repl);
    n->repl = NULL;
}

/* --- the turn --- */

static int take_action(void *ctx, const struct fm_action *action)
{
    struct fm_node *n = ctx;
    return action->kind == FM_DO_ROW ? fm_store_apply(n->store, &action->row) : fm_outbox_add(n->outbox, action);
}

static int step(struct fm_node *n, struct fm_event *event)
{
    const struct fm_sink sink = {.ctx = n, .act = take_action};
    event->now_ms = fm_node_now_ms(n);
    event->steady_ms = clock_of(CLOCK_MONOTONIC);
    fm_crypto_random(event->seed, sizeof event->seed);
    return fm_repl_step(n->repl, event, &sink);
}

int fm_node_begin(struct fm_node *n)
{
    if (n->in_turn && fm_outbox_error(n->outbox) != FM_OK)
        fm_node_commit(n); /* a turn that failed and was left: its error was told */
    assert(!n->in_turn);
    if (n->repl == NULL)
        return FM_ESTORE; /* an earlier turn left it unusable */
    int rc = fm_store_begin(n->store, fm_node_now_ms(n));
    n->in_turn = rc == FM_OK;
    return rc;
}

int fm_node_event(struct fm_node *n, struct fm_event *event)
{
    assert(n->in_turn);
    if (fm_outbox_error(n->outbox) == FM_OK)
        fm_outbox_error_set(n->outbox, step(n, event));
    return fm_outbox_error(n->outbox);
}

static int core_start(struct fm_node *n);

/* After these the store must be closed and verified before anything in it is believed again (TRAPS L12). */
static bool store_is_lost(int error)
{
    return error == FM_ESTORE || error == FM_EIO || error == FM_ECORRUPT;
}

int fm_node_commit(struct fm_node *n)
{
    assert(n->in_turn);
    int rc = fm_outbox_error(n->outbox);
    if (rc == FM_OK)
        rc = step(n, &(struct fm_event){.kind = FM_EVENT_TURN_END});
    if (rc == FM_OK)
        rc = fm_store_commit(n->store); /* a turn without rows costs no fsync */
    else
        fm_store_abort(n->store);
    n->in_turn = false;
    if (rc != FM_OK) {
        /* the core believes what was not stored: a new one starts from the store (core.h, law of effects) */
        core_drop(n);
        int again = store_is_lost(rc) ? rc : core_start(n);
        if (again != FM_OK) {
            fm_log(FM_LOG_ERROR, "the store cannot be used any more (%s): %s", fm_error_code(again), fm_error_text(again));
            core_drop(n);
        }
    }
    fm_outbox_release(n->outbox, &n->effects, rc);
    return rc;
}

/* --- opening --- */

static int note_u64(struct fm_store *s, const char *name, uint64_t *out)
{
    struct fm_buf buf;
    fm_buf_init(&buf, 64);
    int rc = fm_store_note_get(s, name, &buf);
    if (rc == FM_OK && buf.len != 8)
        rc = FM_ECORRUPT;
    if (rc == FM_OK)
        *out = fm_be_get(buf.data, 8);
    fm_buf_fini(&buf);
    return rc;
}

static int note_put_u64(struct fm_store *s, const char *name, uint64_t value)
{
    uint8_t bytes[8];
    fm_be_put(bytes, value, sizeof bytes);
    return fm_store_note_put(s, name, fm_span(bytes, sizeof bytes));
}

static int same_machine(struct fm_store *s, const uint8_t machine[MACHINE_BYTES], bool *same)
{
    struct fm_buf buf;
    fm_buf_init(&buf, 64);
    int rc = fm_store_note_get(s, NOTE_MACHINE, &buf);
    *same = rc == FM_OK && fm_span_eq(fm_buf_span(&buf), fm_span(machine, MACHINE_BYTES));
    fm_buf_fini(&buf);
    return rc == FM_ENOTFOUND ? FM_OK : rc;
}

/* What this opening finds in the key folder and in the store. */
struct continuity {
    uint64_t incarnation, counter;
    const char *doubt; /* why this node must not go on in its old streams; NULL: it may */
};

/* Reads, and says what the counter becomes. A crash between the counter's two steps leaves the store one behind; nothing was
 * written in that opening, so it is begun again with the same number. */
static int continuity_of(struct fm_node *n, const uint8_t machine[MACHINE_BYTES], struct continuity *c)
{
    uint64_t known = 0, counter = 0;
    bool same = false, begun = false;
    *c = (struct continuity){0};
    int rc = fm_identity_counter_read(&n->paths, &counter, &begun);
    int first = note_u64(n->store, NOTE_INCARNATION, &c->incarnation);
    int second = note_u64(n->store, NOTE_COUNTER, &known);
    int third = same_machine(n->store, machine, &same);
    bool behind = second == FM_OK && begun && counter == known + 1;
    if (first == FM_ENOTFOUND || c->incarnation == 0)
        c->doubt = "the store is new or was restored";
    else if (second == FM_ENOTFOUND || (counter != known && !behind))
        c->doubt = "the store is not the one this key folder left";
    else
        c->doubt = same ? NULL : "this is another machine";
    c->counter = behind ? counter : counter + 1;
    return rc != FM_OK                                 ? rc
           : first != FM_OK && first != FM_ENOTFOUND   ? first
           : second != FM_OK && second != FM_ENOTFOUND ? second
                                                       : third;
}

static int remember_identity(struct fm_node *n, struct continuity *c)
{
    uint8_t machine[MACHINE_BYTES];
    fm_identity_machine(machine);
    int rc = continuity_of(n, machine, c);
    if (rc == FM_OK)
        rc = fm_identity_counter_begin(&n->paths, c->counter);
    if (rc != FM_OK)
        return rc;
    if (c->doubt != NULL) {
        if (c->incarnation != 0)
            fm_log(FM_LOG_WARN, "%s: what is written from now on starts a new stream", c->doubt);
        do
            fm_crypto_random(&c->incarnation, sizeof c->incarnation);
        while (c->incarnation == 0);
    }
    rc = note_put_u64(n->store, NOTE_INCARNATION, c->incarnation);
    if (rc == FM_OK)
        rc = note_put_u64(n->store, NOTE_COUNTER, c->counter);
    return rc == FM_OK ? fm_store_note_put(n->store, NOTE_MACHINE, fm_span(machine, sizeof machine)) : rc;
}

/* A core on the store as it is, with FM_EVENT_START in a turn of its own. opening: the first of this process. */
static int core_turn(struct fm_node *n, bool opening)
{
    struct fm_self self = {
        .mesh = n->identity.mesh,
        .root = n->identity.root,
        .author = n->identity.device.author_public,
        .transport = n->identity.device.transport_public,
        .box = n->identity.device.box_public,
        .grant = n->identity.grant,
        .store = fm_store_id(n->store),
    };
    struct continuity c = {0};
    int rc = fm_store_begin(n->store, fm_node_now_ms(n));
    if (rc != FM_OK)
        return rc;
    rc = opening ? remember_identity(n, &c) : note_u64(n->store, NOTE_INCARNATION, &c.incarnation);
    self.incarnation = c.incarnation;
    if (rc == FM_OK)
        rc = (n->repl = fm_repl_new(&self, &n->crypto, fm_store_port(n->store))) != NULL ? FM_OK : FM_ENOMEM;
    if (rc == FM_OK)
        rc = step(n, &(struct fm_event){.kind = FM_EVENT_START});
    if (rc == FM_OK)
        rc = step(n, &(struct fm_event){.kind = FM_EVENT_TURN_END});
    if (rc == FM_OK)
        rc = fm_store_commit(n->store);
    else
        fm_store_abort(n->store);
    if (rc == FM_OK && opening) /* before anything of ours is written */
        rc = fm_identity_counter_done(&n->paths, c.counter);
    if (rc != FM_OK)
        core_drop(n);
    return rc;
}

static int core_start(struct fm_node *n)
{
    /* effects of a core's start are none but reports that the effects of the lost turn may already cover */
    struct fm_outbox *turn = n->outbox;
    n->outbox = fm_outbox_new();
    int rc = n->outbox == NULL ? FM_ENOMEM : core_turn(n, false);
    if (n->outbox != NULL) {
        fm_outbox_release(n->outbox, &n->effects, rc);
        fm_outbox_free(n->outbox);
    }
    n->outbox = turn;
    return rc;
}

static int store_open(struct fm_node *n)
{
    uint8_t random[32];
    fm_crypto_random(random, sizeof random);
    /* keys without a store: the disk was wiped or this is the first start; peers refill what they hold of it */
    const struct fm_store_options options = {.dir = n->paths.store, .map_bytes = n->config.map_bytes, .create = true};
    return fm_store_open(&n->store, &options, &n->crypto, &n->identity.mesh, random);
}

int fm_node_open(struct fm_node **out, const struct fm_paths *paths)
{
    char why[256] = "";
    struct fm_node *n = calloc(1, sizeof *n);
    if (n == NULL)
        return FM_ENOMEM;
    n->paths = *paths;
    int rc = fm_crypto_init();
    if (rc == FM_OK)
        rc = fm_identity_load(&n->identity, paths);
    if (rc == FM_OK)
        rc = fm_config_read(&n->config, paths->config, why, sizeof why);
    if (why[0] != '\0')
        fm_log(FM_LOG_ERROR, "%s", why);
    if (rc == FM_OK) {
        fm_crypto_port(&n->crypto, &n->identity.device);
        fm_compress_port(&n->crypto);
        n->outbox = fm_outbox_new();
        rc = n->outbox == NULL ? FM_ENOMEM : store_open(n);
    }
    if (rc == FM_OK) { /* with the store's lock nobody else writes there */
        fm_file_sweep(n->paths.keys, NULL);
        fm_file_sweep(n->paths.data, "run.json");
        fm_file_sweep(n->paths.data, "fieldmesh.conf.new");
    }
    if (rc == FM_OK && fm_keep_unfinished(n->store)) {
        const struct fm_keep k = {.identity = n->identity, .crypto = n->crypto, .store = n->store};
        fm_log(FM_LOG_WARN, "a reindex was cut short: building the indexes again from the log");
        rc = fm_keep_reindex(&k, NULL);
    }
    if (rc == FM_OK)
        rc = core_turn(n, true);
    if (rc != FM_OK) {
        fm_node_close(n);
        return rc;
    }
    fm_outbox_release(n->outbox, &n->effects, FM_OK);
    n->started_ms = fm_node_now_ms(n);
    rc = fm_refill_take(n);
    if (rc == FM_OK)
        rc = fm_repair_resume(n);
    if (rc != FM_OK) {
        fm_node_close(n);
        return rc;
    }
    *out = n;
    return FM_OK;
}

int fm_node_reidentify(struct fm_node *n)
{
    bool in_turn = n->in_turn;
    int rc = in_turn ? fm_node_commit(n) : FM_OK;
    if (rc != FM_OK)
        return rc;
    core_drop(n);
    fm_store_close(n->store);
    n->store = NULL;
    rc = store_open(n);
    if (rc == FM_OK)
        rc = core_start(n);
    if (rc == FM_OK && n->effects.members != NULL)
        n->effects.members(n->effects.ctx);
    return rc == FM_OK && in_turn ? fm_node_begin(n) : rc;
}

void fm_node_close(struct fm_node *n)
{
    if (n == NULL)
        return;
    core_drop(n);
    if (n->store != NULL)
        fm_store_close(n->store); /* aborts an open turn */
    fm_outbox_free(n->outbox);
    fm_identity_wipe(&n->identity);
    fm_crypto_wipe(&n->crypto, sizeof n->crypto);
    free(n);
}
