#include "tests/support/places.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/error.h"

#define MAX 512u
#define NONE MAX

struct graph {
    const struct fm_version *v[MAX]; /* sorted by number: parents first */
    size_t count;
    bool decision[MAX], undone[MAX];
    uint32_t settlement[MAX];
    bool above[MAX][MAX];            /* [a][d]: a is an ancestor of d */
    size_t order[MAX], counted;      /* the counted ones in the order */
    char *why;
};

static bool differ(const struct graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool differ(const struct graph *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(g->why, 256, format, args);
    va_end(args);
    return false;
}

static size_t find(const struct graph *g, const struct fm_version_id *id)
{
    for (size_t i = 0; i < g->count; i++)
        if (fm_id_eq(&g->v[i]->id, id))
            return i;
    return NONE;
}

static int number_order(const void *x, const void *y)
{
    const struct fm_version *const *a = x, *const *b = y;
    if ((*a)->status != (*b)->status)
        return (*a)->status < (*b)->status ? -1 : 1;
    return (*a)->number < (*b)->number ? -1 : (*a)->number > (*b)->number;
}

static bool valid(const struct graph *g, size_t i)
{
    return g->v[i]->status == FM_VALID;
}

static uint32_t parents_above(const struct graph *g, size_t i)
{
    uint32_t n = g->v[i]->parent_count;
    return n > 1 && !g->decision[i] ? 1 : n;
}

/* Decisions newest first, then settlements and ancestors oldest first. False: a valid version's parents are not valid. */
static bool build(struct graph *g)
{
    for (size_t i = g->count; i-- > 0;) {
        const struct fm_version *v = g->v[i];
        g->decision[i] = v->counted && (v->parent_count > 1 || v->action == FM_UNDO) && !g->undone[i];
        if (g->decision[i] && v->action == FM_UNDO)
            g->undone[find(g, &v->parents[0])] = true;
    }
    for (size_t i = 0; i < g->count; i++) {
        for (uint32_t k = 0; valid(g, i) && k < g->v[i]->parent_count; k++) {
            size_t p = find(g, &g->v[i]->parents[k]);
            if (p >= i || !valid(g, p))
                return differ(g, "a valid version has a parent that is none, or not older");
            if (k >= parents_above(g, i))
                continue;
            if (g->settlement[p] > g->settlement[i])
                g->settlement[i] = g->settlement[p];
            g->above[p][i] = true;
            for (size_t a = 0; a < p; a++)
                g->above[a][i] = g->above[a][i] || g->above[a][p];
        }
        g->settlement[i] += g->decision[i];
        if (valid(g, i) && g->settlement[i] != g->v[i]->settlement)
            return differ(g, "settlement %u, not %u", (unsigned)g->v[i]->settlement, (unsigned)g->settlement[i]);
    }
    return true;
}

static bool before(const struct graph *g, size_t a, size_t b)
{
    const struct fm_version *x = g->v[a], *y = g->v[b];
    if (g->settlement[a] != g->settlement[b])
        return g->settlement[a] > g->settlement[b];
    if (x->number != y->number)
        return x->number > y->number;
    return x->time != y->time ? x->time < y->time : fm_id_cmp(&x->id, &y->id) < 0;
}

static void put_in_order(struct graph *g)
{
    for (size_t i = 0; i < g->count; i++) {
        if (!g->v[i]->counted)
            continue;
        size_t at = g->counted++;
        for (; at > 0 && before(g, i, g->order[at - 1]); at--)
            g->order[at] = g->order[at - 1];
        g->order[at] = i;
    }
}

static bool is_head(const struct graph *g, size_t i)
{
    for (size_t d = 0; d < g->count; d++)
        if (g->v[d]->counted && g->above[i][d])
            return false;
    return true;
}

static bool on_line(const struct graph *g, size_t i)
{
    size_t at = g->order[0];
    while (at != i && g->v[at]->parent_count > 0)
        at = find(g, &g->v[at]->parents[0]);
    return at == i;
}

static bool is_open_head(const struct graph *g, size_t i)
{
    return i != g->order[0] && is_head(g, i) && g->v[i]->place == FM_PLACE_OPEN;
}

/* The oldest of the winner's line that has i among its ancestors: the decision that settled it. */
static size_t settled_by(const struct graph *g, size_t i)
{
    size_t found = NONE, at = g->order[0];
    for (;;) {
        if (g->above[i][at])
            found = at;
        if (g->v[at]->parent_count == 0)
            return found;
        at = find(g, &g->v[at]->parents[0]);
    }
}

static bool check_place(const struct graph *g, size_t i)
{
    const struct fm_version *v = g->v[i];
    size_t by = NONE, first = NONE, winner = g->order[0];
    uint8_t want = FM_PLACE_SETTLED;
    for (size_t k = 0; k < g->counted && first == NONE; k++)
        if (is_open_head(g, g->order[k]) && g->above[i][g->order[k]])
            first = g->order[k];
    if (i == winner) {
        want = FM_PLACE_WINNER;
    } else if (on_line(g, i)) {
        want = FM_PLACE_LINE;
    } else if (g->above[i][winner]) {
        by = settled_by(g, i);
    } else if (is_head(g, i)) {
        want = v->cls == FM_CLASS_SAME ? FM_PLACE_SETTLED : FM_PLACE_OPEN;
    } else if (first != NONE) {
        want = FM_PLACE_REPLACED;
        by = first;
    } else if (v->cls != FM_CLASS_SAME) {
        return differ(g, "no head below it is open, and its class is %s", fm_class_name(v->cls));
    }
    if (v->place != want)
        return differ(g, "version %u: %s, not %s", (unsigned)v->number, fm_place_name(v->place), fm_place_name(want));
    if (v->has_by != (by != NONE) || (v->has_by && !fm_id_eq(&v->by, &g->v[by]->id)))
        return differ(g, "version %u, %s: by another one", (unsigned)v->number, fm_place_name(v->place));
    bool entry = want != FM_PLACE_WINNER && want != FM_PLACE_LINE;
    if (entry != (v->cls != FM_CLASS_NONE))
        return differ(g, "version %u, %s: class %s", (unsigned)v->number, fm_place_name(v->place), fm_class_name(v->cls));
    bool mixed = v->tombstone != g->v[winner]->tombstone;
    if (want == FM_PLACE_OPEN && (v->cls == FM_CLASS_DELETE) != mixed)
        return differ(g, "an open tombstone's class is %s", fm_class_name(v->cls)); /* rule 56 */
    return true;
}

static void add(struct fm_places *sum, const struct fm_version *v)
{
    sum->counted += v->counted;
    sum->waiting += v->status == FM_WAITING;
    sum->is_void += v->status == FM_STATUS_VOID;
    sum->unknown += v->status == FM_UNKNOWN;
    sum->quarantined += v->status == FM_VALID && !v->counted;
    sum->place[v->place]++;
    sum->cls[v->cls]++;
}

static bool check_head(const struct graph *g, const struct fm_head *head, const struct fm_version *versions, size_t open)
{
    if (head->shown != (g->counted > 0) || head->versions != g->counted || head->open != open)
        return differ(g, "the head: %u versions, %u open, not %zu, %zu", head->versions, head->open, g->counted, open);
    for (size_t i = 0; i < g->counted; i++) /* the table's key order is the rule */
        if (!fm_id_eq(&versions[i].id, &g->v[g->order[i]]->id) && versions[i].counted)
            return differ(g, "the table has other versions at %zu", i);
    const struct fm_version *winner = g->counted > 0 ? g->v[g->order[0]] : NULL;
    if (winner != NULL && (!fm_id_eq(&head->winner, &winner->id) || head->number != winner->number ||
                           head->deleted != winner->tombstone))
        return differ(g, "the head shows another version than the first in the order");
    return true;
}

static bool check(struct graph *g, const struct fm_head *head, const struct fm_version *versions, struct fm_places *sum)
{
    size_t open = 0, winners = 0;
    if (!build(g))
        return false;
    put_in_order(g);
    for (size_t i = 0; i < g->count; i++) {
        const struct fm_version *v = g->v[i];
        if (v->counted && v->status != FM_VALID)
            return differ(g, "a version counts and is not valid");
        if (!v->counted && (v->place != FM_PLACE_NONE || v->has_by))
            return differ(g, "a version does not count and is %s", fm_place_name(v->place));
        if (v->counted && !check_place(g, i))
            return false;
        winners += v->place == FM_PLACE_WINNER;
        open += v->place == FM_PLACE_OPEN;
        add(sum, v);
    }
    if (winners != (g->counted > 0))
        return differ(g, "%zu winners", winners);
    return check_head(g, head, versions, open);
}

bool fm_places_check(const struct fm_port *port, const struct fm_record_ref *ref, struct fm_places *sum, char why[256])
{
    struct fm_arena arena = {NULL};
    struct graph *g = calloc(1, sizeof *g);
    struct fm_version *versions;
    struct fm_head head;
    bool same = true;
    assert(g != NULL);
    g->why = why;
    int rc = port->versions(port->ctx, ref->kind, &ref->record, &arena, &versions, &g->count);
    if (rc == FM_OK && g->count > 0) {
        assert(g->count <= MAX);
        for (size_t i = 0; i < g->count; i++)
            g->v[i] = &versions[i];
        qsort(g->v, g->count, sizeof g->v[0], number_order);
        rc = port->head(port->ctx, ref->kind, &ref->record, &arena, &head);
        same = rc == FM_OK ? check(g, &head, versions, sum) : differ(g, "it has versions and no head");
    } else if (rc != FM_OK && rc != FM_ENOTFOUND) {
        same = differ(g, "versions: %s", fm_error_text(rc));
    }
    free(g);
    fm_arena_fini(&arena);
    return same;
}
