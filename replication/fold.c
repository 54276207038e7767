/* Status, decisions, settlement, order and heads of one record (DESIGN.md section 4; model/order.py is the same in words
 * of Python). Chains may be long, so nothing here recurses: versions are sorted parents first and walked in that order. */
#include "replication/fold.h"

#include <assert.h>

#include "replication/error.h"
#include "replication/folding.h"

enum color { WHITE, GREY, BLACK };

static int id_order(const void *x, const void *y)
{
    const struct fm_version *const *a = x, *const *b = y;
    return fm_id_cmp(&(*a)->id, &(*b)->id);
}

static uint32_t find(const struct fm_folding *f, const struct fm_version_id *id)
{
    uint32_t low = 0, high = f->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int c = fm_id_cmp(&f->by_id[middle]->id, id);
        if (c == 0)
            return (uint32_t)(f->by_id[middle] - f->versions);
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return FM_FOLD_NONE;
}

/* --- what a version shows by itself --- */

/* Rule 55; several parents and undo: coordinators only. Here it only explains why a holder is not live. */
static bool role_allowed(const struct fm_version *v, uint8_t role)
{
    bool high = v->kind == FM_KIND_ENTITY || v->kind == FM_KIND_ASSIGNMENT || v->kind == FM_KIND_USER ||
                v->kind == FM_KIND_POLICY || v->action == FM_UNDO || v->parent_count > 1;
    return high ? role == FM_ROLE_COORDINATOR : role != FM_ROLE_ROOT && role != FM_ROLE_NONE;
}

static uint8_t why_not_live(const struct fm_version *v)
{
    uint8_t why = FM_WHY_SET;
    for (uint32_t i = 0; i < v->holder_count; i++) {
        if (v->holders[i].live)
            return FM_WHY_NONE;
        if (!role_allowed(v, v->holders[i].role))
            why = FM_WHY_ROLE;
        else if (v->holders[i].counted)
            why = FM_WHY_LANE;
    }
    return why;
}

static bool parents_repeat(const struct fm_version *v)
{
    for (uint32_t i = 1; i < v->parent_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (fm_id_eq(&v->parents[i], &v->parents[j]))
                return true;
    return false;
}

/* FM_WHY_NONE, or why it is void whatever its parents are (step 1 of the model's status). */
static uint8_t own_fault(const struct fm_version *v)
{
    uint8_t why = why_not_live(v);
    if (v->own_fault != FM_WHY_NONE)
        return v->own_fault;
    if (why != FM_WHY_NONE)
        return why;
    if (v->parent_count > FM_PARENTS_MAX || v->action < FM_CREATE || v->action > FM_UNDO)
        return FM_WHY_ACTION;
    if (parents_repeat(v))
        return FM_WHY_PARENT;
    if (v->number < 1)
        return FM_WHY_NUMBER;
    if ((v->action == FM_CREATE && v->parent_count) || (v->action == FM_UNDO && v->parent_count != 1))
        return FM_WHY_ACTION;
    if (v->parent_count == 0 && v->number > FM_VERSION_STEP_MAX)
        return FM_WHY_NUMBER;
    return FM_WHY_NONE;
}

static bool in_counted_set(const struct fm_version *v)
{
    for (uint32_t i = 0; i < v->holder_count; i++)
        if (v->holders[i].live && v->holders[i].counted)
            return true;
    return false;
}

/* Rule 55, last paragraph: only a coordinator's change verifies or rejects. Going back from VERIFIED to PENDING is
 * anybody's (rule 17), and a tombstone need not carry its parent's verification along. parent: NULL without one. */
static bool verification_fault(const struct fm_version *v, const struct fm_version *parent)
{
    if (v->kind != FM_KIND_ASSESSMENT && v->kind != FM_KIND_RESPONSE)
        return false;
    for (uint32_t i = 0; i < v->holder_count; i++)
        if (v->holders[i].live && v->holders[i].role == FM_ROLE_COORDINATOR)
            return false;
    if (!parent)
        return v->verified != 0 || v->verification != 0;
    if ((v->verified == 1 || v->verified == 2) && v->verified != parent->verified)
        return true;
    return v->verification != parent->verification && !(v->tombstone && v->verification == 0);
}

static void clear_found(struct fm_version *v)
{
    v->status = FM_VALID;
    v->why = FM_WHY_NONE;
    v->counted = false;
    v->settlement = 0;
    v->place = FM_PLACE_NONE;
    v->cls = FM_CLASS_NONE;
    v->has_by = false;
    memset(&v->by, 0, sizeof(v->by));
}

static void set_void(struct fm_version *v, uint8_t why)
{
    v->status = FM_STATUS_VOID;
    v->why = why;
}

/* --- the graph --- */

/* Nodes, ids and parents as numbers; versions that are void by themselves have no parents here. */
static int prepare(struct fm_folding *f)
{
    size_t edges = 0, at = 0;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->versions[i].status != FM_STATUS_VOID)
            edges += f->versions[i].parent_count;
    f->nodes = fm_arena_take(f->arena, f->count * sizeof(*f->nodes));
    f->by_id = fm_arena_take(f->arena, f->count * sizeof(struct fm_version *));
    f->parents = fm_arena_take(f->arena, (edges + 2 * (size_t)f->count) * sizeof(*f->parents));
    if (!f->nodes || !f->by_id || !f->parents)
        return FM_ENOMEM;
    f->sorted = f->parents + edges;
    f->stack = f->sorted + f->count;
    for (uint32_t i = 0; i < f->count; i++)
        f->by_id[i] = &f->versions[i];
    qsort(f->by_id, f->count, sizeof(struct fm_version *), id_order);
    for (uint32_t i = 0; i < f->count; i++) {
        const struct fm_version *v = &f->versions[i];
        struct fm_fold_node *n = &f->nodes[i];
        n->region = n->below = n->base = FM_FOLD_NONE;
        n->parents_at = (uint32_t)at;
        n->parent_count = v->status != FM_STATUS_VOID ? v->parent_count : 0;
        for (uint32_t j = 0; j < n->parent_count; j++)
            f->parents[at++] = find(f, &v->parents[j]);
    }
    return 0;
}

/* Parents first, by a walk with its own stack. A parent that is met again below itself (no honest hash makes that) is
 * taken for a void one: its child gets no valid status, so no later walk meets the circle. */
static void sort_from(struct fm_folding *f, uint32_t start)
{
    uint32_t depth = 0;
    if (f->nodes[start].color != WHITE)
        return;
    f->nodes[start].color = GREY;
    f->stack[depth++] = start;
    while (depth) {
        struct fm_fold_node *n = &f->nodes[f->stack[depth - 1]];
        if (n->cursor == n->parent_count) {
            n->color = BLACK;
            f->sorted[f->sorted_count++] = f->stack[--depth];
            continue;
        }
        uint32_t p = f->parents[n->parents_at + n->cursor++];
        if (p == FM_FOLD_NONE || f->nodes[p].color == BLACK)
            continue;
        if (f->nodes[p].color == GREY) {
            n->color = BLACK;
            set_void(&f->versions[f->stack[depth - 1]], FM_WHY_PARENT);
            f->sorted[f->sorted_count++] = f->stack[--depth];
            continue;
        }
        f->nodes[p].color = GREY;
        f->stack[depth++] = p;
    }
}

/* Asked of valid ones. */
static bool decides(const struct fm_version *v)
{
    return v->parent_count > 1 || v->action == FM_UNDO;
}

static bool kind_known(const struct fm_fold_port *port, uint8_t kind)
{
    return kind <= (port->kind_last != 0 ? port->kind_last : FM_KIND_LAST);
}

/* Steps 2 and 3 of the model's status, with all parents judged. */
static int judge(struct fm_folding *f, uint32_t at)
{
    struct fm_version *v = &f->versions[at];
    const uint32_t *ps = f->parents + f->nodes[at].parents_at;
    bool waits = false, bad = false;
    uint32_t top = 0;

    if (v->status == FM_STATUS_VOID)
        return 0;
    if (!kind_known(f->port, v->kind)) {
        v->status = FM_UNKNOWN;
        return 0;
    }
    for (uint32_t i = 0; i < v->parent_count; i++) {
        uint8_t status = FM_STATUS_VOID;
        if (ps[i] != FM_FOLD_NONE) {
            status = f->versions[ps[i]].status;
            if (f->versions[ps[i]].number > top)
                top = f->versions[ps[i]].number;
        } else {
            int error = f->port->stranger(f->port->ctx, &v->parents[i], &status);
            if (error)
                return error;
            bad = true;
        }
        waits = waits || status == FM_WAITING || status == FM_UNKNOWN;
        bad = bad || status == FM_STATUS_VOID || (i > 1 && fm_id_cmp(&v->parents[i - 1], &v->parents[i]) > 0);
    }
    if (waits)
        v->status = FM_WAITING;
    else if (bad)
        set_void(v, FM_WHY_PARENT);
    else if (v->number <= top || v->number - top > FM_VERSION_STEP_MAX)
        set_void(v, FM_WHY_NUMBER);
    else if (v->action == FM_UNDO && !decides(&f->versions[ps[0]]))
        set_void(v, FM_WHY_UNDO);
    else if (verification_fault(v, v->parent_count ? &f->versions[ps[0]] : NULL))
        set_void(v, FM_WHY_VERIFICATION); /* rule 55 */
    v->counted = v->status == FM_VALID && in_counted_set(v);
    return 0;
}

/* Newest first, as an undo descends from what it undoes: undone by a counted undo that is not itself undone. */
static void find_decisions(struct fm_folding *f)
{
    for (uint32_t i = f->sorted_count; i-- > 0;) {
        uint32_t at = f->sorted[i];
        const struct fm_version *v = &f->versions[at];
        struct fm_fold_node *n = &f->nodes[at];
        n->decision = v->counted && decides(v) && !n->undone;
        if (n->decision && v->action == FM_UNDO)
            f->nodes[f->parents[n->parents_at]].undone = true;
    }
}

static void find_settlements(struct fm_folding *f)
{
    for (uint32_t i = 0; i < f->sorted_count; i++) {
        struct fm_version *v = &f->versions[f->sorted[i]];
        const struct fm_fold_node *n = &f->nodes[f->sorted[i]];
        if (v->status != FM_VALID)
            continue;
        uint32_t up = fm_folding_up(n);
        for (uint32_t j = 0; j < up; j++) {
            const struct fm_version *p = &f->versions[f->parents[n->parents_at + j]];
            if (p->settlement > v->settlement)
                v->settlement = p->settlement;
        }
        v->settlement += n->decision;
    }
}

static void find_covered(struct fm_folding *f)
{
    for (uint32_t i = f->sorted_count; i-- > 0;) {
        const struct fm_fold_node *n = &f->nodes[f->sorted[i]];
        if (!f->versions[f->sorted[i]].counted && !n->covered)
            continue;
        uint32_t up = fm_folding_up(n);
        for (uint32_t j = 0; j < up; j++)
            f->nodes[f->parents[n->parents_at + j]].covered = true;
    }
}

/* --- order --- */

int fm_folding_cmp(const struct fm_version *a, const struct fm_version *b)
{
    if (a->settlement != b->settlement)
        return a->settlement > b->settlement ? -1 : 1;
    if (a->number != b->number)
        return a->number > b->number ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return fm_id_cmp(&a->id, &b->id);
}

int fm_version_cmp(const struct fm_version *a, const struct fm_version *b)
{
    if (a->counted != b->counted)
        return a->counted ? -1 : 1;
    return fm_folding_cmp(a, b);
}

/* rule 52: the order alone says who wins, wherever and in whatever order things came. */
static int key_order(const void *x, const void *y)
{
    const struct fm_version *const *a = x, *const *b = y;
    return fm_folding_cmp(*a, *b);
}

static int put_in_order(struct fm_folding *f)
{
    uint32_t n = 0;
    f->order = fm_arena_take(f->arena, f->count * sizeof(struct fm_version *));
    if (!f->order)
        return FM_ENOMEM;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->versions[i].counted)
            f->order[n++] = &f->versions[i];
    qsort(f->order, n, sizeof(struct fm_version *), key_order);
    f->order_count = n;
    return 0;
}

/* The usual record: one version without parents. */
static int fold_single(const struct fm_fold_port *port, struct fm_version *v)
{
    if (!kind_known(port, v->kind))
        v->status = FM_UNKNOWN;
    else if (verification_fault(v, NULL))
        set_void(v, FM_WHY_VERIFICATION); /* rule 55 */
    v->counted = v->status == FM_VALID && in_counted_set(v);
    v->place = v->counted ? FM_PLACE_WINNER : FM_PLACE_NONE;
    return 0;
}

static int fold_graph(struct fm_folding *f)
{
    int error = prepare(f);
    if (error)
        return error;
    /* Starts in the order of ids, not of the input: even nonsense folds alike everywhere. */
    for (uint32_t i = 0; i < f->count; i++)
        sort_from(f, (uint32_t)(f->by_id[i] - f->versions));
    assert(f->sorted_count == f->count);
    for (uint32_t i = 0; i < f->count; i++) {
        error = judge(f, f->sorted[i]);
        if (error)
            return error;
    }
    find_decisions(f);
    find_settlements(f);
    find_covered(f);
    return 0;
}

int fm_fold(struct fm_version *versions, size_t count, const struct fm_fold_port *port, struct fm_arena *arena,
            struct fm_version ***order, size_t *order_count)
{
    struct fm_folding f = {.versions = versions, .count = (uint32_t)count, .port = port, .arena = arena};
    bool single = count == 1;
    int error;

    assert(count < FM_FOLD_NONE);
    *order = NULL;
    *order_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t why = own_fault(&versions[i]);
        assert(versions[i].kind > 0);
        clear_found(&versions[i]);
        if (why != FM_WHY_NONE) {
            set_void(&versions[i], why);
            single = false;
        }
    }
    if (count == 0)
        return 0;
    single = single && versions[0].parent_count == 0;
    error = single ? fold_single(port, &versions[0]) : fold_graph(&f);
    if (!error)
        error = put_in_order(&f);
    if (!error && !single)
        error = fm_conflict_place(&f);
    if (error)
        return error;
    *order = f.order;
    *order_count = f.order_count;
    return 0;
}

/* --- the base of two versions --- */

static int number_order(const void *x, const void *y)
{
    const struct fm_version *const *a = x, *const *b = y;
    return ((*a)->number > (*b)->number) - ((*a)->number < (*b)->number);
}

/* Marks start and its ancestors; with `met`, gives the first in key order of those that the other walk marked. A walk
 * ends at what the other one marked: ancestors come behind in the key order. */
static uint32_t walk_up(struct fm_folding *f, uint32_t start, uint8_t mark, uint8_t met)
{
    uint32_t depth = 0, best = FM_FOLD_NONE;
    f->stack[depth++] = start;
    while (depth) {
        uint32_t at = f->stack[--depth];
        struct fm_fold_node *n = &f->nodes[at];
        if (met && n->color == met) {
            if (best == FM_FOLD_NONE || fm_folding_cmp(&f->versions[at], &f->versions[best]) < 0)
                best = at;
            continue;
        }
        n->color = mark;
        uint32_t up = fm_folding_up(n);
        for (uint32_t i = 0; i < up; i++) {
            uint32_t p = f->parents[n->parents_at + i];
            struct fm_fold_node *parent = &f->nodes[p];
            if (parent->color == mark || parent->cursor == mark)
                continue;
            parent->cursor = mark; /* on the stack once */
            f->stack[depth++] = p;
        }
    }
    return best;
}

int fm_fold_base(struct fm_version *versions, size_t count, const struct fm_version *a, const struct fm_version *b,
                 struct fm_arena *arena, struct fm_version **out)
{
    struct fm_folding f = {.versions = versions, .count = (uint32_t)count, .arena = arena};
    struct fm_version **valid = fm_arena_take(arena, count * sizeof(struct fm_version *));
    assert(a->status == FM_VALID && b->status == FM_VALID);
    *out = NULL;
    if (!valid || prepare(&f) != 0)
        return FM_ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (versions[i].status == FM_VALID)
            valid[f.sorted_count++] = &versions[i];
    /* A valid version's number is above its parents': so this is parents first again. */
    qsort(valid, f.sorted_count, sizeof(struct fm_version *), number_order);
    for (uint32_t i = 0; i < f.sorted_count; i++)
        f.sorted[i] = (uint32_t)(valid[i] - versions);
    find_decisions(&f);
    uint32_t from = find(&f, &a->id), to = find(&f, &b->id);
    assert(from != FM_FOLD_NONE && to != FM_FOLD_NONE);
    walk_up(&f, from, 1, 0);
    uint32_t base = walk_up(&f, to, 2, 1);
    if (base != FM_FOLD_NONE)
        *out = &versions[base];
    return FM_OK;
}
