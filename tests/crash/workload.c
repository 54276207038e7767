#include "tests/crash/workload.h"

#include <assert.h>
#include <stdarg.h>
#include <unistd.h>

#include "replication/inner.h"
#include "replication/statement.h"
#include "store/base.h"
#include "tests/support/text_doc.h"

#define NOW UINT64_C(1700000000000)
#define MUST(call)                                                                                                          \
    do {                                                                                                                    \
        int rc_ = (call);                                                                                                   \
        assert(rc_ == 0);                                                                                                   \
        (void)rc_;                                                                                                          \
    } while (0)

struct node {
    struct crash_workload *w;
    struct fm_store *store;
    struct fm_repl *core;
    uint64_t turn, events;
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

/* --- a node on the store --- */

static int act(void *ctx, const struct fm_action *action)
{
    const struct node *n = ctx;
    return action->kind == FM_DO_ROW ? fm_store_apply(n->store, &action->row) : FM_OK;
}

static struct fm_event event_of(struct node *n, enum fm_event_kind kind)
{
    struct fm_event event = {.kind = kind, .now_ms = NOW + n->turn * 1000, .steady_ms = n->turn * 1000};
    fm_be_put(event.seed, n->turn, 8);
    fm_be_put(event.seed + 8, ++n->events, 8);
    return event;
}

static int step(struct node *n, enum fm_event_kind kind, struct fm_span bytes)
{
    struct fm_event event = event_of(n, kind);
    const struct fm_sink sink = {.ctx = n, .act = act};
    event.bytes = bytes;
    return fm_repl_step(n->core, &event, &sink);
}

static int take(struct node *n, const struct crash_turn *turn)
{
    int rc = FM_OK;
    for (size_t i = 0; rc == FM_OK && i < turn->count; i++)
        rc = step(n, FM_EVENT_TAKE, fm_buf_span(&n->w->world.sets[n->w->order[turn->first + i]].bytes));
    return rc;
}

/* A change of this node's own to a record that others write too: as a submission, but to kinds of any form. */
static int write_own(struct node *n)
{
    const struct fm_port *port = fm_store_port(n->store);
    const struct fm_record_ref ref = fm_random_world_record((uint32_t)(n->turn % 3));
    const struct fm_sink sink = {.ctx = n, .act = act};
    struct fm_event event = event_of(n, FM_EVENT_SUBMIT);
    struct fm_arena arena = {0};
    struct fm_version_id id;
    struct fm_head head;
    struct fm_buf item;
    uint64_t epoch;
    char text[64];
    if (fm_turn_grant(n->core, &epoch) == NULL)
        return FM_OK;
    int rc = port->head(port->ctx, ref.kind, &ref.record, &arena, &head);
    bool has = rc == FM_OK && head.shown;
    snprintf(text, sizeof text, "{id:\"r\",a:%d,own:%d}", (int)(n->turn % 5), (int)n->turn);
    struct fm_change c = {.kind = ref.kind,
                          .record = ref.record,
                          .action = has ? FM_UPDATE : FM_CREATE,
                          .version = has ? head.number + 1 : 1,
                          .parent_count = has,
                          .actor = fm_span_str("operator"),
                          .document = fm_text_doc(&arena, n->turn % 7 == 0 && has ? "{id:\"r\"}" : text)};
    if (has)
        c.parents[0] = head.winner;
    if (has && n->turn % 7 == 0)
        c.action = FM_DELETE;
    fm_buf_init(&item, 0);
    MUST(fm_change_encode(&item, &c));
    if (rc == FM_OK || rc == FM_ENOTFOUND) {
        n->core->event = &event;
        n->core->sink = &sink;
        rc = fm_turn_add(n->core, FM_LANE_RECORDS, fm_buf_span(&item), &id);
        if (rc == FM_OK)
            rc = fm_touch_settle(n->core);
        n->core->event = NULL;
        n->core->sink = NULL;
    }
    fm_buf_fini(&item);
    fm_arena_fini(&arena);
    return rc == FM_ENOTJOINED ? FM_OK : rc;
}

static int take_statement(struct node *n)
{
    const struct fm_random_world *w = &n->w->world;
    const struct fm_random_device *hub = &w->devices[FM_RANDOM_C1];
    struct fm_statement s = {.kind = FM_EPOCH_NOTICE, .author = hub->author, .counter = n->turn, .epoch = 1 + n->turn / 40};
    struct fm_buf bytes;
    for (size_t i = 0; i < w->grant_count; i++)
        if (w->grants[i].device == FM_RANDOM_C1) {
            s.grant = w->grants[i].id;
            break;
        }
    fm_buf_init(&bytes, 0);
    MUST(fm_statement_sign(&bytes, &hub->crypto, &w->mesh, &s, NULL, 0));
    int rc = step(n, FM_EVENT_TAKE, fm_buf_span(&bytes));
    fm_buf_fini(&bytes);
    return rc;
}

/* Turn 0 starts the core; the others are the workload's. */
static int turn(struct node *n, uint64_t number)
{
    const struct crash_turn *t = &n->w->turns[number];
    n->turn = number;
    n->events = 0;
    int rc = fm_store_begin(n->store, NOW + number * 1000);
    if (rc != FM_OK)
        return rc;
    if (number == 0)
        rc = step(n, FM_EVENT_START, fm_span(NULL, 0));
    else if (t->kind == CRASH_TAKE)
        rc = take(n, t);
    else
        rc = t->kind == CRASH_WRITE_OWN ? write_own(n) : take_statement(n);
    if (rc == FM_OK)
        rc = step(n, FM_EVENT_TURN_END, fm_span(NULL, 0));
    return rc == FM_OK ? fm_store_commit(n->store) : rc;
}

static int open_store(struct node *n, bool create)
{
    const struct fm_store_options options = {.dir = n->w->dir, .create = create};
    uint8_t random[32] = {7}; /* so that a store made again is the same one */
    return fm_store_open(&n->store, &options, n->w->crypto, &n->w->world.mesh, random);
}

static void new_core(struct node *n)
{
    struct fm_self self;
    fm_random_world_self(&n->w->world, &self);
    n->core = fm_repl_new(&self, n->w->crypto, fm_store_port(n->store));
    assert(n->core != NULL);
}

static void close_node(struct node *n)
{
    if (n->core != NULL)
        fm_repl_free(n->core);
    if (n->store != NULL)
        fm_store_close(n->store);
    n->core = NULL;
    n->store = NULL;
}

/* --- what a store holds --- */

static uint64_t mix(uint64_t hash, struct fm_span bytes)
{
    for (size_t i = 0; i < bytes.len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes.data + i, bytes.len - i < 8 ? bytes.len - i : 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (hash ^ bytes.len) * UINT64_C(0xbf58476d1ce4e5b9);
}

static int rows_of(struct fm_store *s, uint64_t *out)
{
    int rc = FM_OK;
    *out = 1;
    for (int t = FM_TABLE_META; rc == FM_OK && t < FM_TABLE_END; t++) {
        struct fm_span key, value;
        struct fm_scan scan;
        rc = fm_scan_open(&scan, s, (enum fm_table)t, NULL, 0);
        if (rc != FM_OK)
            return rc;
        while ((rc = fm_scan_next_raw(&scan, &key, &value)) == FM_OK)
            *out = mix(mix(*out + (uint64_t)t, key), value);
        fm_scan_close(&scan);
        rc = rc == FM_ENOTFOUND ? FM_OK : rc;
    }
    return rc;
}

static int look(struct node *n, struct crash_after *out)
{
    int rc = rows_of(n->store, &out->rows);
    if (rc == FM_OK)
        rc = fm_repl_digest(n->core, &out->sets, &out->state);
    return rc;
}

static bool same(const struct crash_after *a, const struct crash_after *b)
{
    return a->rows == b->rows && fm_id_eq(&a->sets, &b->sets) && fm_id_eq(&a->state, &b->state);
}

/* --- the plan and its record --- */

/* The world's sets, neighbours in another order now and then, a few a turn; own changes and statements between; at last all
 * once more, as what did not follow at first does now. */
static void plan(struct crash_workload *w, uint64_t seed)
{
    size_t count = w->world.set_count, at = 0;
    uint64_t random = seed * 77 + 1;
    for (size_t i = 0; i < 2 * count; i++)
        w->order[i] = i % count;
    for (size_t i = 3; i + 3 < count; i++)
        if (fm_random_draw(&random, 4) == 0) {
            size_t k = i + (size_t)fm_random_draw(&random, 3), swap = w->order[i];
            w->order[i] = w->order[k];
            w->order[k] = swap;
        }
    w->turn_count = 1; /* START */
    while (at < 2 * count && w->turn_count < CRASH_TURNS_MAX) {
        struct crash_turn *t = &w->turns[w->turn_count++];
        uint64_t what = fm_random_draw(&random, 8);
        t->kind = at < 3 || what > 2 ? CRASH_TAKE : what == 2 ? CRASH_STATEMENT : CRASH_WRITE_OWN;
        t->first = at;
        t->count = at < count ? 1 + (size_t)fm_random_draw(&random, 2) : 8;
        t->count = t->count < 2 * count - at ? t->count : 2 * count - at;
        at += t->kind == CRASH_TAKE ? t->count : 0;
    }
    w->turns[w->turn_count - 1].kind = CRASH_WRITE_OWN;
}

void crash_workload_init(struct crash_workload *w, const char *parent, uint64_t seed)
{
    struct node n = {.w = w};
    memset(w, 0, sizeof *w);
    fm_random_world_init(&w->world, seed, seed % 4 == 0);
    w->crypto = &w->world.devices[FM_RANDOM_OBSERVER].crypto;
    snprintf(w->dir, sizeof w->dir, "%s/store", parent);
    plan(w, seed);
    crash_record_start(&w->ops, w->dir);
    MUST(open_store(&n, true));
    crash_record_acknowledged();
    MUST(rows_of(n.store, &w->after[0].rows));
    new_core(&n);
    for (size_t i = 0; i < w->turn_count; i++) {
        if (i + 1 == w->turn_count)
            crash_record_stop();
        MUST(turn(&n, i));
        if (i + 1 < w->turn_count)
            crash_record_acknowledged();
        MUST(look(&n, &w->after[i + 1]));
    }
    MUST(fm_store_counts(n.store, &w->counts));
    close_node(&n);
}

void crash_workload_fini(struct crash_workload *w)
{
    crash_record_free(&w->ops);
    fm_random_world_fini(&w->world);
}

/* --- after the power cut --- */

static void say(void *ctx, const char *problem)
{
    differ(ctx, "scrub: %s", problem);
}

static bool sound(struct node *n, char why[256])
{
    struct fm_store_verify v = {.ctx = why, .say = say};
    int rc = fm_store_scrub(n->store, &v);
    return rc != FM_OK ? differ(why, "scrub: %s", fm_error_text(rc)) : v.problems == 0;
}

/* Which turn's rows are these? The acknowledged one's or the next one's. */
static bool place(struct crash_workload *w, uint64_t rows, size_t acknowledged, size_t *turns, char why[256])
{
    for (*turns = acknowledged; *turns <= acknowledged + 1; ++*turns)
        if (rows == w->after[*turns].rows)
            return true;
    for (size_t i = 0; i <= w->turn_count; i++)
        if (rows == w->after[i].rows)
            return differ(why, "acknowledged were %zu turns, %zu are there", acknowledged, i);
    return differ(why, "acknowledged were %zu turns, what is there is no turn's", acknowledged);
}

static bool go_on(struct node *n, size_t turns, char why[256])
{
    struct crash_workload *w = n->w;
    struct crash_after now;
    new_core(n);
    int rc = turn(n, 0);
    if (rc == FM_OK)
        rc = look(n, &now);
    if (rc != FM_OK)
        return differ(why, "start: %s", fm_error_text(rc));
    turns = turns == 0 ? 1 : turns;
    if (!same(&now, &w->after[turns]))
        return differ(why, "a core started on turn %zu is not what it was", turns);
    rc = turn(n, turns);
    if (rc == FM_OK)
        rc = look(n, &now);
    if (rc != FM_OK)
        return differ(why, "turn %zu: %s", turns, fm_error_text(rc));
    if (!same(&now, &w->after[turns + 1]))
        return differ(why, "turn %zu, done again, is not what it was", turns);
    return true;
}

static bool again(struct node *n, size_t turns, char why[256])
{
    uint64_t rows;
    if (!sound(n, why))
        return false;
    close_node(n);
    int rc = open_store(n, false);
    if (rc == FM_OK)
        rc = rows_of(n->store, &rows);
    if (rc != FM_OK)
        return differ(why, "the second opening: %s", fm_error_text(rc));
    return rows == n->w->after[turns].rows || differ(why, "the turn after the cut is gone");
}

bool crash_workload_check(struct crash_workload *w, size_t acknowledged, bool made, bool deep, char why[256])
{
    struct node n = {.w = w};
    size_t turns = 0;
    uint64_t rows;
    why[0] = '\0';
    int rc = open_store(&n, false);
    if (rc == FM_ENOTFOUND && !made) /* said clearly: there is no store; and the way on is to make it */
        rc = open_store(&n, true);
    if (rc != FM_OK)
        return differ(why, "it does not open: %s", fm_error_text(rc));
    rc = rows_of(n.store, &rows);
    bool good = rc == FM_OK ? place(w, rows, acknowledged, &turns, why) : differ(why, "rows: %s", fm_error_text(rc));
    good = good && (!deep || sound(&n, why)) && go_on(&n, turns, why) &&
           (!deep || again(&n, (turns == 0 ? 1 : turns) + 1, why));
    close_node(&n);
    return good;
}
