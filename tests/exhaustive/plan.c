/* Which worlds there are. A world is a list of items in the order they were written; of the lists that mean the same, the
 * first in dictionary order is kept, with authors before all else:
 *   - the camp that is named first is A, and the first record written is 0;
 *   - an item that does not hang on the one before it (another author's, no parent, not inside its cut, not adopted by it)
 *     stands behind it only if its author does: else the two change places. */
#include <stdio.h>
#include <string.h>

#include "tests/exhaustive/exhaustive.h"

struct planning {
    struct ex_world world;
    int items;
    void (*each)(void *ctx, const struct ex_world *w);
    void *ctx;
};

static bool is_change(const struct ex_item *item)
{
    return item->kind <= EX_UNDO;
}

int ex_lane(const struct ex_item *item)
{
    return is_change(item) ? 1 : 0;
}

/* The last sequence written. */
static int written(const struct ex_world *w, int author, int lane, int before)
{
    int n = author == EX_HUB || author == EX_ROOT ? 1 - lane : 0;
    for (int i = 0; i < before; i++)
        n += w->item[i].author == author && ex_lane(&w->item[i]) == lane && !w->item[i].fork;
    return n;
}

int ex_sequence(const struct ex_world *w, int item)
{
    return !w->item[item].fork + written(w, w->item[item].author, ex_lane(&w->item[item]), item);
}

int ex_item_at(const struct ex_world *w, int author, int lane, int sequence, int before)
{
    int i = before - 1;
    while (i >= 0 && (w->item[i].author != author || ex_lane(&w->item[i]) != lane || ex_sequence(w, i) != sequence))
        i--;
    return i;
}

/* --- the same world, written otherwise --- */

static bool hangs_on(const struct ex_world *w, const struct ex_item *item, int other)
{
    const struct ex_item *o = &w->item[other];
    for (int i = 0; i < item->parents; i++)
        if (item->parent[i] == other)
            return true;
    if (item->kind == EX_REVOKE && item->target == o->author && ex_sequence(w, other) <= item->cut[ex_lane(o)])
        return true;
    return o->author == item->author || (item->kind == EX_ADOPT && item->target == other);
}

static int camp_named(const struct ex_item *item)
{
    if (item->author <= EX_B)
        return item->author;
    return item->kind == EX_REVOKE && item->target <= EX_B ? item->target : -1;
}

static bool first_of_its_like(const struct ex_world *w, const struct ex_item *item)
{
    bool camps = false, records = false;
    int n = w->count;
    for (int i = 0; i < n; i++) {
        camps = camps || camp_named(&w->item[i]) >= 0;
        records = records || is_change(&w->item[i]);
    }
    if ((!camps && camp_named(item) == EX_B) || (!records && is_change(item) && item->record == 1))
        return false;
    return n == 0 || item->author >= w->item[n - 1].author || hangs_on(w, item, n - 1);
}

/* --- all that may be written next --- */

static void grow(struct planning *p);

static void add(struct planning *p, struct ex_item item)
{
    if (!first_of_its_like(&p->world, &item))
        return;
    p->world.item[p->world.count++] = item;
    if (p->world.count == p->items)
        p->each(p->ctx, &p->world);
    else
        grow(p);
    p->world.count--;
}

static bool above(const struct ex_world *w, int ancestor, int item)
{
    while (item != ancestor && w->item[item].parents > 0)
        item = w->item[item].parent[0];
    return item == ancestor;
}

/* Updates and deletes of one version each; a camp's may name a version of the other record too.
 * fork: beside its last set. */
static void add_edits(struct planning *p, uint8_t author, bool fork)
{
    const struct ex_world *w = &p->world;
    if (fork && (author == EX_HUB || written(w, author, 1, w->count) == 0))
        return;
    for (uint8_t r = 0; r < 2 && !fork; r++)
        add(p, (struct ex_item){.kind = EX_CREATE, .author = author, .record = r});
    for (uint8_t i = 0; i < w->count; i++) {
        struct ex_item next = {.author = author, .record = w->item[i].record, .fork = fork, .parents = 1, .parent = {i}};
        if (!is_change(&w->item[i]))
            continue;
        next.kind = EX_UPDATE;
        add(p, next);
        if (fork)
            continue;
        next.kind = EX_DELETE;
        add(p, next);
        next.kind = EX_UPDATE;
        next.record = 1 - next.record;
        if (author != EX_HUB)
            add(p, next);
    }
}

static bool decides(const struct ex_item *item)
{
    return item->parents > 1 || item->kind == EX_UNDO;
}

/* A camp's decision or undo is void: one form of each will do, as what hangs on it is void too. */
static void add_decisions(struct planning *p, uint8_t author)
{
    const struct ex_world *w = &p->world;
    for (uint8_t first = 0; first < w->count; first++) {
        if (is_change(&w->item[first]) && decides(&w->item[first]))
            add(p, (struct ex_item){
                       .kind = EX_UNDO, .author = author, .record = w->item[first].record, .parents = 1, .parent = {first}});
        for (int others = 1; others < 1 << w->count; others++) {
            struct ex_item next = {
                .kind = EX_UPDATE, .author = author, .record = w->item[first].record, .parents = 1, .parent = {first}};
            bool fit = is_change(&w->item[first]) && (author == EX_HUB || first == 0);
            for (uint8_t i = 0; i < w->count && fit; i++) {
                if ((others >> i & 1) == 0)
                    continue;
                fit = i != first && is_change(&w->item[i]) && w->item[i].record == next.record && !above(w, i, first) &&
                      !above(w, first, i);
                next.parent[next.parents++] = i;
            }
            if (!fit)
                continue;
            add(p, next);
            next.kind = EX_DELETE;
            if (author == EX_HUB)
                add(p, next);
        }
    }
}

static bool revoked(const struct ex_world *w, int author)
{
    for (int i = 0; i < w->count; i++)
        if (w->item[i].kind == EX_REVOKE && w->item[i].target == author)
            return true;
    return false;
}

/* The hub's acts reach camps, the root's the hub. */
static void add_acts(struct planning *p)
{
    const struct ex_world *w = &p->world;
    for (uint8_t target = EX_A; target <= EX_HUB; target++) {
        struct ex_item next = {.kind = EX_REVOKE, .author = target == EX_HUB ? EX_ROOT : EX_HUB, .target = target};
        int lanes[2] = {written(w, target, 0, w->count), written(w, target, 1, w->count)};
        for (next.cut[0] = 0; next.cut[0] <= lanes[0]; next.cut[0]++)
            for (next.cut[1] = 0; next.cut[1] <= lanes[1]; next.cut[1]++)
                add(p, next);
    }
    for (uint8_t i = 0; i < w->count; i++) {
        uint8_t by = w->item[i].author == EX_HUB ? EX_ROOT : EX_HUB;
        if (w->item[i].author != EX_ROOT && revoked(w, w->item[i].author))
            add(p, (struct ex_item){.kind = EX_ADOPT, .author = by, .target = i});
    }
}

static void grow(struct planning *p)
{
    for (uint8_t author = EX_A; author <= EX_HUB; author++) {
        add_edits(p, author, false);
        add_edits(p, author, true);
        add_decisions(p, author);
    }
    add_acts(p);
}

void ex_plan(int items, void (*each)(void *ctx, const struct ex_world *w), void *ctx)
{
    struct planning p = {.items = items, .each = each, .ctx = ctx};
    grow(&p);
}

void ex_text(const struct ex_world *w, char *out, size_t size)
{
    static const char *const authors[] = {"A", "B", "hub", "root"};
    static const char *const kinds[] = {"", "create", "update", "delete", "undo", "revoke", "adopt", "key"};
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < w->count && len < size; i++) {
        const struct ex_item *item = &w->item[i];
        len += (size_t)snprintf(out + len, size - len, "%s%s %s%s", i > 0 ? "; " : "", authors[item->author],
                                kinds[item->kind], item->fork ? " (fork)" : "");
        if (len < size && item->kind == EX_REVOKE)
            len +=
                (size_t)snprintf(out + len, size - len, " %s cut %d,%d", authors[item->target], item->cut[0], item->cut[1]);
        else if (len < size)
            len += (size_t)snprintf(out + len, size - len, " %d", item->kind == EX_ADOPT ? item->target : item->record);
        for (int k = 0; k < item->parents && len < size; k++)
            len += (size_t)snprintf(out + len, size - len, " %s%d", k == 0 ? "of " : "", item->parent[k]);
    }
}
