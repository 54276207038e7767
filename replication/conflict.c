/* Conflict entries (DESIGN.md section 4): each counted version is exactly one of winner, on its line, open, replaced,
 * settled. One walk over the graph for each question; no set of ancestors is ever built.
 *
 * A version's key comes before those of all its ancestors (its settlement is not below theirs, its number above). So of
 * all common ancestors of two versions, the first in the order is among those that a walk from one meets first. */
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/folding.h"

static uint32_t number_of(const struct fm_folding *f, const struct fm_version *v)
{
    return (uint32_t)(v - f->versions);
}

static int document(struct fm_folding *f, uint32_t at, struct fm_span *out)
{
    struct fm_fold_node *n = &f->nodes[at];
    if (!n->has_document) {
        int error = f->port->document(f->port->ctx, &f->versions[at], &n->document);
        if (error)
            return error;
        n->has_document = true;
    }
    *out = n->document;
    return 0;
}

/* Class of two versions against their base (FM_FOLD_NONE: the empty map). */
static int classify(struct fm_folding *f, uint32_t a, uint32_t b, uint32_t base, uint8_t *cls)
{
    struct fm_span docs[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    int error;
    if (f->versions[a].tombstone != f->versions[b].tombstone) {
        *cls = FM_CLASS_DELETE; /* rule 56 */
        return 0;
    }
    error = document(f, a, &docs[0]);
    if (!error)
        error = document(f, b, &docs[1]);
    if (!error && base != FM_FOLD_NONE)
        error = document(f, base, &docs[2]);
    if (!error)
        *cls = (uint8_t)fm_doc_class(docs[2], docs[0], docs[1]);
    return error;
}

/* Gives all ancestors of `from` that have none yet this region. Those of the line's older versions have theirs. */
static void mark_region(struct fm_folding *f, uint32_t from)
{
    uint32_t depth = 0, at = from;
    for (;;) {
        const struct fm_fold_node *n = &f->nodes[at];
        uint32_t up = fm_folding_up(n);
        for (uint32_t i = 0; i < up; i++) {
            uint32_t p = f->parents[n->parents_at + i];
            if (f->nodes[p].on_line || f->nodes[p].region != FM_FOLD_NONE)
                continue;
            f->nodes[p].region = from;
            f->stack[depth++] = p;
        }
        if (depth == 0)
            return;
        at = f->stack[--depth];
    }
}

/* The winner's line, and what each of its versions first brought in. Returns how many counted versions are on it. */
static uint32_t mark_line(struct fm_folding *f, uint32_t *line)
{
    uint32_t length = 0, counted = 0, at = number_of(f, f->order[0]);
    for (;;) {
        struct fm_fold_node *n = &f->nodes[at];
        n->on_line = true;
        line[length++] = at;
        if (f->versions[at].counted) {
            f->versions[at].place = counted ? FM_PLACE_LINE : FM_PLACE_WINNER;
            counted++;
        }
        if (n->parent_count == 0)
            break;
        at = f->parents[n->parents_at];
    }
    if (counted < f->order_count)
        while (length)
            mark_region(f, line[--length]);
    return counted;
}

/* What each version off the line has first in common with what it is compared with: the winner, or for what a decision
 * settled, that decision's first parent. Its ancestors outside its own region are all common ones. */
static void find_bases(struct fm_folding *f)
{
    for (uint32_t i = 0; i < f->sorted_count; i++) {
        uint32_t at = f->sorted[i];
        struct fm_fold_node *n = &f->nodes[at];
        if (f->versions[at].status != FM_VALID || n->on_line)
            continue;
        uint32_t up = fm_folding_up(n);
        for (uint32_t j = 0; j < up; j++) {
            uint32_t p = f->parents[n->parents_at + j];
            const struct fm_fold_node *parent = &f->nodes[p];
            uint32_t met = parent->on_line || parent->region != n->region ? p : parent->base;
            if (met != FM_FOLD_NONE &&
                (n->base == FM_FOLD_NONE || fm_folding_cmp(&f->versions[met], &f->versions[n->base]) < 0))
                n->base = met;
        }
    }
}

/* An open head is the one that its ancestors name, unless an earlier one is. */
static void mark_below(struct fm_folding *f, uint32_t head)
{
    uint32_t depth = 0, at = head;
    for (;;) {
        const struct fm_fold_node *n = &f->nodes[at];
        uint32_t up = fm_folding_up(n);
        for (uint32_t i = 0; i < up; i++) {
            uint32_t p = f->parents[n->parents_at + i];
            struct fm_fold_node *parent = &f->nodes[p];
            if (parent->on_line || parent->region != FM_FOLD_NONE || parent->below != FM_FOLD_NONE)
                continue;
            parent->below = head;
            f->stack[depth++] = p;
        }
        if (depth == 0)
            return;
        at = f->stack[--depth];
    }
}

static int place_heads(struct fm_folding *f)
{
    uint32_t winner = number_of(f, f->order[0]);
    for (uint32_t i = 1; i < f->order_count; i++) {
        struct fm_version *v = f->order[i];
        uint32_t at = number_of(f, v);
        if (f->nodes[at].covered)
            continue;
        int error = classify(f, winner, at, f->nodes[at].base, &v->cls);
        if (error)
            return error;
        v->place = v->cls == FM_CLASS_SAME ? FM_PLACE_SETTLED : FM_PLACE_OPEN;
        if (v->place == FM_PLACE_OPEN)
            mark_below(f, at);
    }
    return 0;
}

static int place_covered(struct fm_folding *f)
{
    for (uint32_t i = 1; i < f->order_count; i++) {
        struct fm_version *v = f->order[i];
        const struct fm_fold_node *n = &f->nodes[number_of(f, v)];
        if (n->on_line || !n->covered)
            continue;
        if (n->region != FM_FOLD_NONE) {
            const struct fm_fold_node *by = &f->nodes[n->region];
            int error = classify(f, f->parents[by->parents_at], number_of(f, v), n->base, &v->cls);
            if (error)
                return error;
            v->place = FM_PLACE_SETTLED;
            v->has_by = true;
            v->by = f->versions[n->region].id;
        } else if (n->below != FM_FOLD_NONE) {
            v->place = FM_PLACE_REPLACED;
            v->cls = f->versions[n->below].cls;
            v->has_by = true;
            v->by = f->versions[n->below].id;
        } else {
            v->place = FM_PLACE_SETTLED; /* all heads that descend from it are the same as the winner */
            v->cls = FM_CLASS_SAME;
        }
    }
    return 0;
}

int fm_conflict_place(struct fm_folding *f)
{
    if (f->order_count == 0)
        return 0;
    uint32_t *line = fm_arena_take(f->arena, f->count * sizeof(*line));
    if (!line)
        return FM_ENOMEM;
    if (mark_line(f, line) == f->order_count)
        return 0;
    find_bases(f);
    int error = place_heads(f);
    return error ? error : place_covered(f);
}
