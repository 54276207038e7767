/* Each order is a run from the base on with a core of its own, as a core's memory cannot be copied. A set that does not
 * follow yet is refused; that must not write a row, so the orders with refusals in them are those without. */
#include "tests/exhaustive/deliver.h"

#include "tests/exhaustive/look.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "replication/error.h"

#define SUBSETS (1 << EX_ITEMS)

/* What the model says for a subset of the items; made when first asked for. */
struct state {
    bool known, has_digest;
    struct ex_model model;
    struct fm_digest digest[2]; /* of the first order that came here */
};
struct run {
    struct ex_sets *s;
    const struct fm_memory *base;
    struct ex_seen *seen;
    struct state states[SUBSETS];
    bool home;
    /* the receiver: */
    struct fm_memory *store;
    struct fm_repl *core;
    uint64_t events, rows;
    int taken, held;
    char *why;
};

static bool differ(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool differ(struct run *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, 400, format, args);
    va_end(args);
    return false;
}

/* --- the receiver --- */

static int act(void *ctx, const struct fm_action *a)
{
    struct run *r = ctx;
    if (a->kind == FM_DO_REPORT && a->report == FM_REPORT_TAKEN)
        r->taken = a->error;
    if (a->kind != FM_DO_ROW)
        return FM_OK;
    r->rows++;
    if (r->seen != NULL)
        r->seen->judged_again += a->row.kind == FM_ROW_VERDICT;
    return fm_memory_apply(r->store, &a->row);
}

static bool step(struct run *r, enum fm_event_kind kind, struct fm_span bytes)
{
    struct fm_event event = {.kind = kind, .now_ms = LAB_NOW, .bytes = bytes};
    struct fm_sink sink = {.ctx = r, .act = act};
    event.steady_ms = ++r->events * 10;
    fm_be_put(event.seed, r->events, 8);
    int rc = fm_repl_step(r->core, &event, &sink);
    return rc == FM_OK || differ(r, "event %d: %s", kind, fm_error_code(rc));
}

static bool boot(struct run *r, const struct ex_mesh *m)
{
    int me = r->home ? EX_A : EX_OBSERVER;
    struct fm_self self = {.mesh = fm_lab_mesh(),
                           .root = m->devices[EX_ROOT].fake.author,
                           .author = m->devices[me].fake.author,
                           .transport = m->devices[me].transport,
                           .box = m->devices[me].fake.box,
                           .grant = m->grants[me],
                           .incarnation = 99};
    fm_repl_free(r->core);
    r->core = fm_repl_new(&self, &m->devices[me].crypto, fm_memory_port(r->store));
    assert(r->core != NULL);
    return step(r, FM_EVENT_START, fm_span(NULL, 0)) && step(r, FM_EVENT_TURN_END, fm_span(NULL, 0));
}

struct fm_memory *ex_receiver(const struct ex_mesh *m, bool home)
{
    char why[400];
    struct run *r = calloc(1, sizeof *r);
    assert(r != NULL);
    r->why = why;
    r->home = home;
    r->store = fm_memory_new();
    assert(r->store != NULL);
    bool good = boot(r, m);
    for (int i = 0; i < 2; i++)
        good = good && step(r, FM_EVENT_TAKE, fm_buf_span(&m->base[i].bytes)) && r->taken == FM_OK;
    good = good && step(r, FM_EVENT_TURN_END, fm_span(NULL, 0));
    assert(good);
    struct fm_memory *store = r->store;
    fm_repl_free(r->core);
    free(r);
    return store;
}

/* The power goes after the commit, or (spoiled: a set that was being taken in) before it: the disk is as it was. */
static bool restart(struct run *r, int spoiled)
{
    r->seen->restarts++;
    if (spoiled >= 0) {
        struct fm_memory *disk = fm_memory_clone(r->store);
        assert(disk != NULL);
        bool good = step(r, FM_EVENT_TAKE, fm_buf_span(&r->s->set[spoiled].bytes));
        fm_repl_free(r->core);
        r->core = NULL;
        fm_memory_free(r->store);
        r->store = disk;
        if (!good)
            return false;
    }
    return boot(r, r->s->mesh);
}

/* --- against the model --- */

static void count(struct ex_seen *seen, const struct ex_sets *s, const struct ex_model *m)
{
    for (int i = 0; i < s->model.version_count; i++) {
        seen->status[m->version[i].status]++;
        seen->place[m->version[i].place]++;
        seen->settled_by += m->version[i].place == MODEL_SETTLED && m->version[i].above;
    }
    for (int i = 0; i < s->model.set_count; i++)
        seen->verdict[m->verdict[i]]++;
    seen->states++;
}

static bool check(struct run *r)
{
    struct state *st = &r->states[r->held];
    struct fm_digest digest[2];
    if (!st->known) {
        ex_model_fill(&st->model, r->s, r->held);
        count(r->seen, r->s, &st->model);
        st->known = true;
    }
    if (!ex_model_same(&st->model, r->s, r->held, fm_memory_port(r->store), r->why))
        return false;
    if (fm_repl_digest(r->core, &digest[0], &digest[1]) != FM_OK)
        return differ(r, "no digest");
    if (!st->has_digest)
        memcpy(st->digest, digest, sizeof digest);
    st->has_digest = true;
    return memcmp(st->digest, digest, sizeof digest) == 0 || differ(r, "I1: another digest than in the first order");
}

/* --- orders --- */

static bool follows(const struct run *r, int item)
{
    return r->s->before[item] < 0 || (r->held >> r->s->before[item] & 1) != 0;
}

/* What does not follow, or is held, changes nothing, however often it is offered. */
static bool offer_others(struct run *r)
{
    uint64_t rows = r->rows;
    for (int i = 0; i < r->s->world->count; i++) {
        int want = r->held >> i & 1 ? FM_EEXISTS : FM_EORDER;
        if (want == FM_EORDER && follows(r, i))
            continue;
        if (!step(r, FM_EVENT_TAKE, fm_buf_span(&r->s->set[i].bytes)))
            return false;
        if (r->taken != want)
            return differ(r, "item %d: %s", i, fm_error_code(r->taken));
        r->seen->refused++;
    }
    return step(r, FM_EVENT_TURN_END, fm_span(NULL, 0)) &&
           (r->rows == rows || differ(r, "I8: what was refused wrote %d rows", (int)(r->rows - rows)));
}

/* points: a bit for each place in the order where the receiver is restarted; 0 is before the first set. */
static bool run_order(struct run *r, const int *order, int points, bool one_turn)
{
    int n = r->s->world->count;
    r->store = fm_memory_clone(r->base);
    assert(r->store != NULL);
    r->held = 0;
    bool good = boot(r, r->s->mesh);
    for (int i = 0; i <= n && good; i++) {
        if (points >> i & 1)
            good = restart(r, i < n && (i + order[0]) % 2 == 0 ? order[i] : -1) && check(r);
        if (i == n || !good)
            break;
        good = step(r, FM_EVENT_TAKE, fm_buf_span(&r->s->set[order[i]].bytes)) &&
               (r->taken == FM_OK || differ(r, "item %d: %s", order[i], fm_error_code(r->taken)));
        r->held |= 1 << order[i];
        r->seen->steps++;
        if (good && (!one_turn || i == n - 1))
            good = step(r, FM_EVENT_TURN_END, fm_span(NULL, 0)) && check(r);
        if (good && points == 0 && !one_turn && r->s->clock == 0)
            good = offer_others(r);
    }
    fm_repl_free(r->core);
    fm_memory_free(r->store);
    r->core = NULL;
    r->store = NULL;
    if (!good) {
        size_t len = strlen(r->why);
        for (int i = 0; i < n && len < 360; i++)
            len += (size_t)snprintf(r->why + len, 400 - len, "%s%d", i == 0 ? "; order " : ",", order[i]);
        snprintf(r->why + len, 400 - len, " (%d there) restarts %x%s", r->held, (unsigned)points,
                 one_turn ? ", one turn" : "");
    }
    return good;
}

static bool ways(struct run *r, const int *order, int share)
{
    int n = r->s->world->count;
    r->seen->orders++;
    if (!run_order(r, order, 0, false) || ((share & EX_ONE_TURN) && !run_order(r, order, 0, true)))
        return false;
    for (int i = 0; (share & EX_CRASHES) && i <= n; i++)
        for (int k = i; k <= n; k++)
            if (!run_order(r, order, 1 << i | 1 << k, false))
                return false;
    return true;
}

static bool orders(struct run *r, int *order, int count, int share)
{
    int n = r->s->world->count, used = 0;
    for (int i = 0; i < count; i++)
        used |= 1 << order[i];
    if (count == n)
        return ways(r, order, share);
    for (int i = 0; i < n; i++) {
        r->held = used;
        if ((used >> i & 1) != 0 || !follows(r, i))
            continue;
        order[count] = i;
        if (!orders(r, order, count + 1, share))
            return false;
    }
    return true;
}

bool ex_deliver(struct ex_sets *s, const struct fm_memory *base, int share, struct ex_seen *seen, char why[400])
{
    struct run *r = calloc(1, sizeof *r);
    int order[EX_ITEMS];
    assert(r != NULL);
    r->s = s;
    r->base = base;
    r->seen = seen;
    r->home = (share & EX_HOME) != 0;
    r->why = why;
    bool good = orders(r, order, 0, share);
    free(r);
    return good;
}
