#include "tests/support/world_sets.h"

#include <assert.h>
#include <stdarg.h>

#include "replication/error.h"

struct run {
    const struct fm_world_sets *w;
    const struct fm_world_store *store;
    struct fm_sink sink;
    struct fm_repl *core;
    uint64_t events;
    int taken;     /* the last FM_REPORT_TAKEN */
    bool reported;
    char *why;
};

static bool differ(char why[256], const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool differ(char why[256], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, 256, format, args);
    va_end(args);
    return false;
}

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* --- the core on a store --- */

static int act(void *ctx, const struct fm_action *action)
{
    struct run *run = ctx;
    if (action->kind == FM_DO_ROW)
        return run->store->apply(run->store->ctx, &action->row);
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_TAKEN) {
        run->taken = action->error;
        run->reported = true;
    }
    return 0;
}

static bool step(struct run *run, enum fm_event_kind kind, struct fm_span bytes)
{
    struct fm_event event = {.kind = kind, .now_ms = 1000 + run->events, .steady_ms = run->events * 1000, .bytes = bytes};
    fm_be_put(event.seed, ++run->events, 8);
    int error = fm_repl_step(run->core, &event, &run->sink);
    return error ? differ(run->why, "step %d: %s", kind, fm_error_text(error)) : true;
}

static bool core_start(struct run *run)
{
    struct fm_self self = {.mesh = run->w->mesh, .incarnation = 77};
    fm_world_author(&self.root, "ROOT");
    fm_world_author(&self.author, "observer");
    self.transport = self.box = self.author;
    self.transport.b[30] = 2;
    self.box.b[30] = 3;
    run->core = fm_repl_new(&self, &run->w->crypto, run->store->port);
    assert(run->core);
    return run->store->begin(run->store->ctx) == 0 && step(run, FM_EVENT_START, fm_span(NULL, 0)) &&
           step(run, FM_EVENT_TURN_END, fm_span(NULL, 0)) && run->store->commit(run->store->ctx) == 0;
}

/* One turn of one set; *refused: why it was not taken in. */
static bool take(struct run *run, size_t set, int *refused)
{
    run->reported = false;
    if (run->store->begin(run->store->ctx) != 0 || !step(run, FM_EVENT_TAKE, fm_buf_span(&run->w->sets[set].bytes)) ||
        !step(run, FM_EVENT_TURN_END, fm_span(NULL, 0)))
        return false;
    *refused = run->taken;
    if (!run->reported)
        return differ(run->why, "%s: no report", run->w->sets[set].name);
    return run->store->commit(run->store->ctx) == 0 || differ(run->why, "commit");
}

/* All sets, again and again, until none more follows. */
static bool feed(struct run *run, uint64_t seed, size_t restart)
{
    size_t left[FM_WORLD_SETS_MAX], count = run->w->count, taken = 0;
    bool more = true;
    for (size_t i = 0; i < count; i++)
        left[i] = i;
    for (size_t i = count; seed && i-- > 1;) {
        size_t k = draw(&seed) % (i + 1), swap = left[i];
        left[i] = left[k];
        left[k] = swap;
    }
    while (more) {
        size_t kept = 0;
        more = false;
        for (size_t i = 0; i < count; i++) {
            int refused;
            if (!take(run, left[i], &refused))
                return false;
            if (refused != 0 && refused != FM_EORDER && refused != FM_EGRANT)
                return differ(run->why, "%s: %s", run->w->sets[left[i]].name, fm_error_text(refused));
            if (refused)
                left[kept++] = left[i];
            else
                more = true;
            if (!refused && restart && ++taken % restart == 0) {
                fm_repl_free(run->core);
                run->core = NULL;
                if (run->store->reopen != NULL && run->store->reopen(run->store->ctx) != 0)
                    return differ(run->why, "the store does not open again");
                if (!core_start(run))
                    return false;
            }
        }
        count = kept;
    }
    return true;
}

static bool digests_of(struct run *run, struct fm_digest digests[2])
{
    int error = fm_repl_digest(run->core, &digests[0], &digests[1]);
    for (int i = 0; error == FM_EBUSY && i < 1000; i++) {
        if (run->store->begin(run->store->ctx) != 0 || !step(run, FM_EVENT_TICK, fm_span(NULL, 0)) ||
            !step(run, FM_EVENT_TURN_END, fm_span(NULL, 0)) || run->store->commit(run->store->ctx) != 0)
            return false;
        error = fm_repl_digest(run->core, &digests[0], &digests[1]);
    }
    return error ? differ(run->why, "digest: %s", fm_error_text(error)) : true;
}

bool fm_world_run(const struct fm_world_sets *w, const struct fm_world_store *store, uint64_t seed, size_t restart,
                  struct fm_digest digests[2], char why[256])
{
    struct run run = {.w = w, .store = store, .why = why};
    run.sink = (struct fm_sink){.ctx = &run, .act = act};
    differ(why, "the store failed");
    bool same = core_start(&run) && feed(&run, seed, restart) && digests_of(&run, digests) && fm_world_check(w, store->port, why);
    fm_repl_free(run.core);
    return same;
}

bool fm_world_reindex(const struct fm_world_sets *w, const struct fm_world_store *store, struct fm_digest digests[2],
                      char why[256])
{
    struct run run = {.w = w, .store = store, .why = why};
    struct fm_self self = {.mesh = w->mesh, .incarnation = 77};
    struct fm_event event = {.now_ms = 5000, .steady_ms = 5000};
    uint64_t from = 1;
    int error = 0;
    bool same;

    run.sink = (struct fm_sink){.ctx = &run, .act = act};
    fm_world_author(&self.root, "ROOT");
    fm_world_author(&self.author, "observer");
    run.core = fm_repl_new(&self, &w->crypto, store->port);
    assert(run.core);
    differ(why, "the store failed");
    for (int i = 0; i < 1000 && from != 0 && !error; i++) {
        error = store->begin(store->ctx);
        if (!error)
            error = fm_repl_reindex(run.core, &event, &run.sink, &from, 7);
        if (!error)
            error = store->commit(store->ctx);
    }
    same = error ? differ(why, "reindex: %s", fm_error_text(error)) : from == 0 || differ(why, "reindex does not end");
    fm_repl_free(run.core);
    same = same && core_start(&run) && digests_of(&run, digests) && fm_world_check(w, store->port, why);
    if (!error)
        fm_repl_free(run.core);
    return same;
}

/* --- what came out --- */

static bool check_verdicts(const struct fm_world_sets *w, const struct fm_port *port, char why[256])
{
    bool held[FM_WORLD_SETS_MAX] = {false};
    struct fm_set_meta meta;
    for (uint64_t arrival = 1; port->set_next(port->ctx, arrival, &meta) == 0; arrival = meta.arrival + 1) {
        size_t i = 0;
        while (i < w->count && !fm_id_eq(&w->sets[i].id, &meta.id))
            i++;
        if (i == w->count || held[i])
            return differ(why, "arrival %llu is no set of the world, or a second time", (unsigned long long)meta.arrival);
        held[i] = true;
        if (w->sets[i].verdict != meta.verdict)
            return differ(why, "%s: %s", w->sets[i].name, fm_verdict_name(meta.verdict));
    }
    for (size_t i = 0; i < w->count; i++)
        if (held[i] != (w->sets[i].verdict != 0))
            return differ(why, "%s is %s", w->sets[i].name, held[i] ? "held" : "refused");
    return true;
}

static bool check_versions(const struct fm_world_sets *w, const struct fm_port *port, struct fm_arena *arena, char why[256])
{
    json_t *wanted = json_object_get(w->json, "versions"), *want;
    const char *name;
    json_object_foreach(wanted, name, want) {
        struct fm_version_id id;
        struct fm_version v;
        fm_world_version_id(&id, w->ranks, name);
        if (port->version_get(port->ctx, &id, arena, &v) != 0)
            return differ(why, "%s is not held", name);
        const char *state = v.status == FM_VALID         ? v.counted ? "counted" : "quarantined"
                            : v.status == FM_STATUS_VOID ? "void"
                            : v.status == FM_WAITING     ? "waiting"
                                                         : "unknown";
        if (strcmp(state, json_string_value(json_array_get(want, 0))) != 0)
            return differ(why, "%s: %s (%s)", name, state, fm_why_text(v.why));
        if (v.status == FM_VALID && v.settlement != (uint32_t)json_integer_value(json_array_get(want, 1)))
            return differ(why, "%s: settlement %u", name, (unsigned)v.settlement);
    }
    return true;
}

static bool check_record(const struct fm_world_sets *w, const struct fm_port *port, const json_t *want, struct fm_arena *arena,
                         char why[256])
{
    struct fm_version *versions, **order;
    struct fm_record_id record;
    struct fm_head head;
    size_t count, counted = 0;
    const char *name = fm_world_text(want, "rec");
    uint8_t kind = (uint8_t)fm_kind_from(fm_span_str(fm_world_text(want, "kind")));

    fm_world_record_id(&record, name);
    if (port->head(port->ctx, kind, &record, arena, &head) != 0 || !head.shown)
        return differ(why, "record %s is not shown", name);
    if (port->versions(port->ctx, kind, &record, arena, &versions, &count) != 0)
        return differ(why, "record %s: versions", name);
    order = fm_arena_take(arena, count * sizeof(struct fm_version *));
    assert(order);
    for (size_t i = 0; i < count; i++) {
        if (versions[i].counted)
            order[counted++] = &versions[i];
    }
    if (!fm_world_record_agrees(w->ranks, want, order, counted, why))
        return false;
    if (!fm_id_eq(&head.winner, &order[0]->id) || head.versions != counted || head.number != order[0]->number ||
        head.deleted != order[0]->tombstone)
        return differ(why, "head of %s", name);
    return true;
}

bool fm_world_check(const struct fm_world_sets *w, const struct fm_port *port, char why[256])
{
    const json_t *records = json_object_get(w->json, "records");
    struct fm_arena arena = {NULL};
    bool same = check_verdicts(w, port, why) && check_versions(w, port, &arena, why);
    for (size_t i = 0; i < json_array_size(records) && same; i++)
        same = check_record(w, port, json_array_get(records, i), &arena, why);
    fm_arena_fini(&arena);
    return same;
}
