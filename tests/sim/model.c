#include "tests/sim/model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SAME(a, b) (memcmp((a), (b), sizeof(a)) == 0)

static const struct model_grant *grant_of(const struct model *m, const struct model_set *s)
{
    for (int i = 0; i < m->grant_count; i++)
        if (SAME(m->grants[i].id, s->grant))
            return &m->grants[i];
    return NULL;
}

static int role_of(const struct model *m, const struct model_set *s)
{
    static const uint8_t none[32];
    const struct model_grant *g = grant_of(m, s);
    return SAME(s->grant, none) ? MODEL_ROOT : g != NULL ? g->role : 99;
}

static int layer_of(const struct model *m, int set)
{
    int role = role_of(m, &m->sets[set]);
    return role > MODEL_COORDINATOR ? 2 : role - MODEL_ROOT;
}

static bool set_void(const struct model *m, const struct model_set *s)
{
    const struct model_grant *g = grant_of(m, s);
    if (s->bad_body || (g != NULL && (s->epoch < g->first || s->epoch > g->last)))
        return true;
    return s->prev_at >= 0 && (s->epoch < m->sets[s->prev_at].epoch || s->time < m->sets[s->prev_at].time);
}

static bool inside(const struct model *m, int node, const struct model_revoke *r, int set)
{
    const struct model_set *s = &m->sets[set];
    for (int c = 0; c < r->cuts; c++) {
        if (r->cut[c].incarnation != s->incarnation || r->cut[c].lane != s->lane)
            continue;
        int at = model_find_set(m, r->cut[c].set);
        if (at < 0 || !m->held[node][at])
            return s->sequence <= r->cut[c].sequence;
        while (at >= 0 && at != set)
            at = m->sets[at].prev_at;
        return at == set;
    }
    return false;
}

static bool acts(const struct model *m, int set, int layer)
{
    return m->sets[set].verdict == MODEL_COUNTED && m->sets[set].lane == 0 && layer_of(m, set) == layer;
}

static int judge(const struct model *m, int node, int set, int layer)
{
    const struct model_set *s = &m->sets[set];
    bool good = layer == 0;
    if (set_void(m, s))
        return MODEL_VOID;
    for (int i = 0; layer > 0 && i < m->adopt_count; i++)
        if (SAME(m->adopts[i].id, s->id) && acts(m, m->adopts[i].set, layer - 1))
            return MODEL_COUNTED;
    for (int i = 0; !good && i < m->grant_count; i++)
        good = SAME(m->grants[i].id, s->grant) && m->sets[m->grants[i].set].verdict == MODEL_COUNTED;
    for (int i = 0; good && layer > 0 && i < m->revoke_count; i++) {
        const struct model_revoke *r = &m->revokes[i];
        if (acts(m, r->set, layer - 1) && memcmp(r->who, r->by_grant ? s->grant : s->author, 32) == 0)
            good = inside(m, node, r, set);
    }
    return good ? MODEL_COUNTED : MODEL_QUARANTINED;
}

static bool allowed(const struct model_version *v, int role)
{
    bool high = (v->kind >= 4 && v->kind <= 7) || v->action == 4 || v->parents > 1;
    return high ? role == MODEL_COORDINATOR : role != MODEL_ROOT;
}

static bool decides(const struct model_version *v) { return v->status == MODEL_VALID && (v->parents > 1 || v->action == 4); }

/* 0: a parent is not judged yet */
static int status_of(const struct model *m, int node, const struct model_version *v, bool live)
{
    uint32_t top = 0;
    bool waits = false, bad = false;
    if (!live || v->fault || v->number < 1 || v->action < 1 || v->action > 4 || (v->action == 1 && v->parents > 0) ||
        (v->action == 4 && v->parents != 1) || (v->parents == 0 && v->number > 1000))
        return MODEL_FAULT;
    for (int i = 0; i < v->parents; i++)
        for (int k = 0; k < i; k++)
            if (SAME(v->parent[i], v->parent[k]))
                return MODEL_FAULT;
    if (v->kind > 7 + m->more[node])
        return MODEL_UNKNOWN;
    for (int i = 0; i < v->parents; i++) {
        const struct model_version *p = v->parent_at[i] >= 0 ? &m->versions[v->parent_at[i]] : NULL;
        if (p != NULL && p->held && p->status == 0)
            return 0;
        waits = waits || p == NULL || !p->held || p->status == MODEL_WAITING || p->status == MODEL_UNKNOWN;
        bad = bad || (p != NULL && (p->status == MODEL_FAULT || p->kind != v->kind || !SAME(p->record, v->record)));
        bad = bad || (i > 1 && memcmp(v->parent[i - 1], v->parent[i], 24) > 0);
        top = p != NULL && p->number > top ? p->number : top;
    }
    if (waits)
        return MODEL_WAITING;
    if (bad || v->number <= top || v->number - top > 1000)
        return MODEL_FAULT;
    return v->action == 4 && !decides(&m->versions[v->parent_at[0]]) ? MODEL_FAULT : MODEL_VALID;
}

static bool live(const struct model *m, const struct model_version *v, int want)
{
    for (int i = 0; i < v->sets; i++) {
        const struct model_set *s = &m->sets[v->set[i]];
        if (s->verdict != 0 && (want == 0 || (s->lane == 1 && allowed(v, role_of(m, s)) &&
                                              (want == MODEL_COUNTED ? s->verdict == want : s->verdict != MODEL_VOID))))
            return true;
    }
    return false;
}

static int up(const struct model_version *v) { return v->decision ? v->parents : v->parents > 0; }

/* < 0: a stands before b */
static int before(const struct model_version *a, const struct model_version *b)
{
    if (a->settlement != b->settlement)
        return a->settlement > b->settlement ? -1 : 1;
    if (a->number != b->number)
        return a->number > b->number ? -1 : 1;
    return a->time != b->time ? (a->time < b->time ? -1 : 1) : memcmp(a->id, b->id, 24);
}

static struct model *sorting;
static int by_number(const void *x, const void *y)
{
    const struct model_version *a = &sorting->versions[*(const int *)x], *b = &sorting->versions[*(const int *)y];
    return (a->number < b->number) - (a->number > b->number);
}

/* Marks head's ancestors among the valid ones; order: newest number first. */
static void mark(struct model *m, const int *order, int count, int head)
{
    for (int i = 0; i < count; i++)
        m->versions[order[i]].mark = order[i] == head;
    for (int i = 0; i < count; i++)
        for (int p = 0; m->versions[order[i]].mark && p < up(&m->versions[order[i]]); p++)
            m->versions[m->versions[order[i]].parent_at[p]].mark = true;
    m->versions[head].mark = false;
}

static void place_record(struct model *m, const int *order, int count)
{
    int winner = -1;
    for (int i = 0; i < count; i++)
        if (m->versions[order[i]].counted && (winner < 0 || before(&m->versions[order[i]], &m->versions[winner]) < 0))
            winner = order[i];
    if (winner < 0)
        return;
    struct model_version *w = &m->versions[winner];
    for (int at = winner; at >= 0; at = m->versions[at].parents > 0 ? m->versions[at].parent_at[0] : -1)
        m->versions[at].line = true;
    mark(m, order, count, winner);
    for (int i = 0; i < count; i++) /* the winner descends from it */
        m->versions[order[i]].above = m->versions[order[i]].mark;
    for (int i = 0; i < count; i++) {
        struct model_version *h = &m->versions[order[i]];
        if (!h->counted || h->covered || h == w)
            continue;
        bool same = h->tombstone == w->tombstone && h->content == w->content;
        h->place = same ? MODEL_SETTLED : MODEL_OPEN;
        mark(m, order, count, order[i]);
        for (int k = 0; k < count; k++)
            if (m->versions[order[k]].mark && !same)
                m->versions[order[k]].open = true;
    }
    for (int i = 0; i < count; i++) {
        struct model_version *v = &m->versions[order[i]];
        if (v->counted && v->line)
            v->place = v == w ? MODEL_WINNER : MODEL_LINE;
        else if (v->counted && (v->above || v->covered))
            v->place = v->open && !v->above ? MODEL_REPLACED : MODEL_SETTLED;
    }
}

void model_fold(struct model *m, int node)
{
    int *order = malloc(((size_t)m->version_count + 1) * 2 * sizeof *order), count = 0, *some = order;
    int *mine = order + m->version_count + 1;
    assert(order != NULL);
    for (int i = 0; i < m->set_count; i++)
        m->sets[i].verdict = 0;
    for (int layer = 0; layer < 3; layer++)
        for (int i = 0; i < m->set_count; i++)
            if (m->held[node][i] && layer_of(m, i) == layer)
                m->sets[i].verdict = judge(m, node, i, layer);
    for (int i = 0; i < m->version_count; i++) {
        struct model_version *v = &m->versions[i];
        v->held = live(m, v, 0);
        v->status = v->settlement = v->place = 0;
        v->counted = v->decision = v->undone = v->covered = v->line = v->above = v->open = v->some = false;
    }
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < m->version_count; i++) {
            struct model_version *v = &m->versions[i];
            if (!v->held || v->status != 0)
                continue;
            v->status = status_of(m, node, v, live(m, v, MODEL_QUARANTINED));
            v->counted = v->status == MODEL_VALID && live(m, v, MODEL_COUNTED);
            more = more || v->status != 0;
            if (v->status == MODEL_VALID)
                order[count++] = i;
        }
    }
    sorting = m;
    if (count > 0) /* newest first: a child stands before its parents */
        qsort(order, (size_t)count, sizeof *order, by_number);
    for (int i = 0; i < count; i++) { /* an undo's number is above its decision's */
        struct model_version *v = &m->versions[order[i]];
        v->decision = v->counted && decides(v) && !v->undone;
        if (v->decision && v->action == 4)
            m->versions[v->parent_at[0]].undone = true;
    }
    for (int i = count; i-- > 0;) {
        struct model_version *v = &m->versions[order[i]];
        for (int p = 0; p < up(v); p++)
            if (m->versions[v->parent_at[p]].settlement > v->settlement)
                v->settlement = m->versions[v->parent_at[p]].settlement;
        v->settlement += v->decision;
    }
    for (int i = 0; i < count; i++)
        for (int p = 0; (m->versions[order[i]].counted || m->versions[order[i]].covered) && p < up(&m->versions[order[i]]); p++)
            m->versions[m->versions[order[i]].parent_at[p]].covered = true;
    for (; count > 0; some++, count--) { /* record by record: its versions to the front, in their order */
        if (m->versions[*some].some)
            continue;
        int n = 0;
        for (int i = 0; i < count; i++)
            if (m->versions[some[i]].kind == m->versions[*some].kind && SAME(m->versions[some[i]].record, m->versions[*some].record))
                m->versions[mine[n++] = some[i]].some = true;
        place_record(m, mine, n);
    }
    free(order);
}
