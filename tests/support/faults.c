#include "tests/support/faults.h"

#include <assert.h>
#include <stdio.h>

#include "replication/error.h"
#include "replication/repl.h"

bool fm_fault_memory;
static struct fm_fault *running; /* the step that memory is asked for */

static bool count(struct fm_fault *f, const char *where)
{
    if (f->left < 0 || f->left-- > 0)
        return false;
    f->hit = true;
    f->where = where;
    return true;
}

static bool fails(struct fm_fault *f, const char *where)
{
    return !fm_fault_memory && count(f, where);
}

bool fm_fault_no_memory(void)
{
    return running != NULL && count(running, "memory");
}

static struct fm_fault direct;

void fm_fault_begin(int64_t left)
{
    direct = (struct fm_fault){.left = left};
    running = &direct;
}

bool fm_fault_end(void)
{
    running = NULL;
    return direct.hit;
}

int fm_fault_step(struct fm_fault *f, struct fm_repl *core, const struct fm_event *event)
{
    running = fm_fault_memory ? f : NULL;
    int rc = fm_repl_step(core, event, &f->sink);
    running = NULL;
    return rc;
}

/* One forwarder each: (name, parameters, arguments). */
#define READ(name, parameters, ...)                                                               \
    static int read_##name parameters                                                            \
    {                                                                                             \
        struct fm_fault *f = ctx;                                                                 \
        return fails(f, #name) ? FM_ESTORE : f->real->name(f->real->ctx, __VA_ARGS__);            \
    }
READ(set_get, (void *ctx, const struct fm_stream *s, uint64_t n, const struct fm_set_id *id, struct fm_set_meta *o), s, n,
     id, o)
READ(set_next, (void *ctx, uint64_t from, struct fm_set_meta *o), from, o)
READ(arrival_last, (void *ctx, uint64_t *o), o)
READ(set_bytes, (void *ctx, uint64_t arrival, struct fm_buf *o), arrival, o)
READ(stream_sets, (void *ctx, const struct fm_stream *s, uint64_t from, struct fm_set_meta *o, size_t max, size_t *n), s,
     from, o, max, n)
READ(stream_each, (void *ctx, int (*take)(void *, const struct fm_stream_row *), void *arg), take, arg)
READ(versions, (void *ctx, uint8_t kind, const struct fm_record_id *id, struct fm_arena *a, struct fm_version **o,
     size_t *n), kind, id, a, o, n)
READ(version_find, (void *ctx, const struct fm_version_id *id, struct fm_record_ref *o), id, o)
READ(version_get, (void *ctx, const struct fm_version_id *id, struct fm_arena *a, struct fm_version *o), id, a, o)
READ(head, (void *ctx, uint8_t kind, const struct fm_record_id *id, struct fm_arena *a, struct fm_head *o), kind, id, a, o)
READ(waits, (void *ctx, const struct fm_version_id *id, struct fm_record_ref *o, size_t max, size_t *n), id, o, max, n)
READ(touched, (void *ctx, struct fm_record_ref *o, size_t max, size_t *n), o, max, n)
READ(alias, (void *ctx, uint8_t kind, struct fm_span offline_id, struct fm_record_id *o), kind, offline_id, o)
READ(by_entity, (void *ctx, const struct fm_record_id *e, uint8_t kind, const struct fm_record_id *after,
     struct fm_record_id *o, size_t max, size_t *n), e, kind, after, o, max, n)
READ(statement, (void *ctx, uint8_t kind, const struct fm_key *signer, struct fm_buf *o), kind, signer, o)
READ(statement_each, (void *ctx, int (*take)(void *, struct fm_span), void *arg), take, arg)
READ(meta, (void *ctx, const char *name, struct fm_buf *o), name, o)
READ(record_sum, (void *ctx, struct fm_digest *o), o)

static int fault_seal(void *ctx, struct fm_buf *out, struct fm_span plain, const struct fm_key *key, const uint8_t nonce[24],
                      struct fm_span bound)
{
    struct fm_fault *f = ctx; /* sealing fails for want of memory only (ports.h) */
    return f->real_crypto->seal(f->real_crypto->ctx, out, plain, key, nonce, bound);
}

static int fault_open(void *ctx, struct fm_buf *out, struct fm_span sealed, const struct fm_key *key, struct fm_span bound)
{
    struct fm_fault *f = ctx;
    return fails(f, "open") ? FM_ESTORE : f->real_crypto->open(f->real_crypto->ctx, out, sealed, key, bound);
}

/* The others keep the real context: only these two are asked with ours. */
static void fault_hash(void *ctx, uint8_t *out, size_t out_len, const struct fm_span *parts, size_t count)
{
    struct fm_fault *f = ctx;
    f->real_crypto->hash(f->real_crypto->ctx, out, out_len, parts, count);
}

static void fault_sign(void *ctx, uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32])
{
    struct fm_fault *f = ctx;
    f->real_crypto->sign(f->real_crypto->ctx, signature, id);
}

static int fault_verify(void *ctx, const uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32],
                        const struct fm_key *author)
{
    struct fm_fault *f = ctx;
    return f->real_crypto->verify(f->real_crypto->ctx, signature, id, author);
}

static int fault_box(void *ctx, uint8_t out[80], const struct fm_key *data_key, const struct fm_key *to)
{
    struct fm_fault *f = ctx;
    return f->real_crypto->box(f->real_crypto->ctx, out, data_key, to);
}

static int fault_unbox(void *ctx, struct fm_key *data_key, const uint8_t sealed[80])
{
    struct fm_fault *f = ctx;
    return f->real_crypto->unbox(f->real_crypto->ctx, data_key, sealed);
}

static int fault_compress(void *ctx, struct fm_buf *out, struct fm_span plain)
{
    struct fm_fault *f = ctx;
    return f->real_crypto->compress(f->real_crypto->ctx, out, plain);
}

static int fault_decompress(void *ctx, struct fm_buf *out, struct fm_span packed, size_t size)
{
    struct fm_fault *f = ctx;
    return f->real_crypto->decompress(f->real_crypto->ctx, out, packed, size);
}

static int fault_act(void *ctx, const struct fm_action *action)
{
    static const char *const names[] = {"row", "send", "drop", "report"};
    struct fm_fault *f = ctx;
    return fails(f, names[action->kind]) ? FM_ESTORE : f->real_sink.act(f->real_sink.ctx, action);
}

void fm_fault_init(struct fm_fault *f, const struct fm_port *port, const struct fm_crypto *crypto, struct fm_sink sink)
{
    *f = (struct fm_fault){.real = port, .real_crypto = crypto, .real_sink = sink, .left = -1, .where = ""};
    f->sink = (struct fm_sink){.ctx = f, .act = fault_act};
    f->crypto = (struct fm_crypto){.ctx = f, .hash = fault_hash, .sign = fault_sign, .verify = fault_verify,
                                   .seal = fault_seal, .open = fault_open, .box = fault_box, .unbox = fault_unbox,
                                   .decompress = fault_decompress,
                                   .compress = crypto->compress == NULL ? NULL : fault_compress};
    f->port = (struct fm_port){.ctx = f, .set_get = read_set_get, .set_next = read_set_next,
                               .arrival_last = read_arrival_last, .set_bytes = read_set_bytes,
                               .stream_sets = read_stream_sets, .stream_each = read_stream_each,
                               .versions = read_versions, .version_find = read_version_find,
                               .version_get = read_version_get, .head = read_head, .waits = read_waits,
                               .touched = read_touched, .alias = read_alias, .by_entity = read_by_entity,
                               .statement = read_statement, .statement_each = read_statement_each, .meta = read_meta,
                               .record_sum = read_record_sum};
}

/* --- a turn with a failure in it --- */

/* What a turn came to: the digests, what was reported, the epoch, and how much of the node's own is at a hub. */
struct outcome {
    struct fm_digest digests[2];
    uint64_t said, epoch, recorded, at_hub;
};
struct hearer {
    struct fm_memory *store;
    uint64_t said;
};

static void hear(struct hearer *h, uint64_t number)
{
    h->said = (h->said ^ number) * UINT64_C(0x100000001b3);
}

static int rows_and_reports(void *ctx, const struct fm_action *action)
{
    struct hearer *h = ctx;
    if (action->kind == FM_DO_ROW)
        return fm_memory_apply(h->store, &action->row);
    if (action->kind != FM_DO_REPORT)
        return FM_OK;
    hear(h, (uint64_t)action->report);
    hear(h, (uint64_t)action->error);
    if (action->result != NULL) {
        hear(h, (uint64_t)action->result->status);
        for (const char *c = action->result->code; *c != '\0'; c++)
            hear(h, (uint64_t)*c);
    }
    return FM_OK;
}

static int play_events(struct fm_repl *core, struct fm_fault *f, const struct fm_event *events, size_t count,
                       struct outcome *out)
{
    struct fm_event next = events[0];
    int rc = FM_OK;
    for (size_t i = 0; rc == FM_OK && i < count; i++)
        rc = fm_fault_step(f, core, &events[i]);
    next.kind = FM_EVENT_TURN_END;
    next.seed[30] = 1;
    rc = rc == FM_OK ? fm_fault_step(f, core, &next) : rc;
    next.kind = FM_EVENT_TICK;
    next.seed[30] = 2;
    rc = rc == FM_OK ? fm_fault_step(f, core, &next) : rc;
    next.kind = FM_EVENT_TURN_END;
    next.seed[30] = 3;
    rc = rc == FM_OK ? fm_fault_step(f, core, &next) : rc;
    running = fm_fault_memory ? f : NULL;
    if (rc == FM_OK)
        rc = fm_repl_digest(core, &out->digests[0], &out->digests[1]);
    if (rc == FM_OK)
        rc = fm_repl_custody(core, &core->self.author, &out->recorded, &out->at_hub);
    running = NULL;
    out->epoch = fm_repl_epoch(core);
    return rc;
}

/* The turn after `calls` good calls; whether it came to the failure is in *hit. */
static int play(const struct fm_self *self, const struct fm_crypto *crypto, const struct fm_memory *store,
                const struct fm_event *events, size_t count, int64_t calls, struct fm_fault *f, struct outcome *out)
{
    struct fm_memory *copy = fm_memory_clone(store);
    struct hearer hearer = {.store = copy};
    struct fm_event start = events[0];
    bool alone = start.kind == FM_EVENT_START;
    assert(copy != NULL);
    fm_fault_init(f, fm_memory_port(copy), crypto, (struct fm_sink){.ctx = &hearer, .act = rows_and_reports});
    struct fm_repl *core = fm_repl_new(self, &f->crypto, &f->port);
    assert(core != NULL);
    start.kind = FM_EVENT_START;
    f->left = alone ? calls : -1;
    int rc = fm_fault_step(f, core, &start);
    start.kind = FM_EVENT_TICK;
    f->left = alone ? f->left : calls;
    if (rc == FM_OK)
        rc = play_events(core, f, alone ? &start : events, count, out);
    out->said = hearer.said;
    fm_repl_free(core);
    fm_memory_free(copy);
    return rc;
}

size_t fm_fault_try(const struct fm_self *self, const struct fm_crypto *crypto, const struct fm_memory *store,
                    const struct fm_event *event, char why[200])
{
    return fm_fault_try_turn(self, crypto, store, event, 1, why);
}

size_t fm_fault_try_turn(const struct fm_self *self, const struct fm_crypto *crypto, const struct fm_memory *store,
                         const struct fm_event *events, size_t count, char why[200])
{
    int kind = (int)events[count - 1].kind;
    struct fm_fault f;
    struct outcome wanted = {.said = 0}, got = {.said = 0};
    int rc = play(self, crypto, store, events, count, -1, &f, &wanted);
    if (rc != FM_OK) {
        (void)snprintf(why, 200, "event %d: error %d without any failure", kind, rc);
        return 0;
    }
    for (int64_t n = 0;; n++) {
        rc = play(self, crypto, store, events, count, n, &f, &got);
        if (f.hit && rc != (fm_fault_memory ? FM_ENOMEM : FM_ESTORE) && (!fm_fault_memory || rc != FM_OK)) {
            (void)snprintf(why, 200, "event %d: call %d (%s) failed, but the step gave %d", kind, (int)n,
                f.where, rc);
            return 0;
        }
        bool last = !f.hit;
        if (rc != FM_OK && n % 16 != 0)
            continue;
        if (rc != FM_OK) /* what was committed is whole: the same turn again */
            rc = play(self, crypto, store, events, count, -1, &f, &got);
        if (rc != FM_OK || memcmp(&wanted, &got, sizeof wanted) != 0) {
            (void)snprintf(why, 200, "event %d: after the failure of call %d another outcome (%d)", kind,
                (int)n, rc);
            return 0;
        }
        if (last)
            return (size_t)n;
    }
}
