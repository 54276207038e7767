#include "tests/exhaustive/world.h"

#include <assert.h>
#include <stdio.h>

#include "tests/support/text_doc.h"

#define MUST(call)                                                                                                          \
    do {                                                                                                                    \
        int rc_ = (call);                                                                                                   \
        assert(rc_ == 0);                                                                                                   \
        (void)rc_;                                                                                                          \
    } while (0)

/* --- the mesh --- */

static struct fm_span grant_item(struct ex_mesh *m, struct fm_buf *item, int to, uint8_t role)
{
    struct fm_act *act = fm_lab_grant(&m->devices[to], role, 1, NULL);
    m->grants[to] = act->grant.id;
    fm_buf_init(item, 0);
    MUST(fm_act_encode(item, act));
    fm_lab_act_free(act);
    return fm_buf_span(item);
}

void ex_mesh_init(struct ex_mesh *m, uint64_t round)
{
    static const char *const names[EX_AUTHORS] = {"A", "B", "hub", "root", "observer"};
    struct fm_buf bufs[4];
    *m = (struct ex_mesh){.grants = {{{0}}}};
    for (int i = 0; i < EX_AUTHORS; i++) {
        char name[60];
        snprintf(name, sizeof name, i == EX_ROOT ? "root" : "%s %llu", names[i], (unsigned long long)round);
        fm_lab_device(&m->devices[i], name);
    }
    struct fm_span hub = grant_item(m, &bufs[0], EX_HUB, FM_ROLE_COORDINATOR);
    struct fm_span camps[3] = {grant_item(m, &bufs[1], EX_A, FM_ROLE_CAMP), grant_item(m, &bufs[2], EX_B, FM_ROLE_CAMP),
                               grant_item(m, &bufs[3], EX_OBSERVER, FM_ROLE_CAMP)};
    fm_lab_set(&m->base[0], &m->devices[EX_ROOT], (struct fm_set_header){.stream.incarnation = 1}, &hub, 1, NULL);
    fm_lab_set(&m->base[1], &m->devices[EX_HUB],
               (struct fm_set_header){.stream.incarnation = 1, .has_grant = true, .grant = m->grants[EX_HUB]}, camps, 3,
               NULL);
    for (int i = 0; i < 4; i++)
        fm_buf_fini(&bufs[i]);
}

void ex_mesh_fini(struct ex_mesh *m)
{
    fm_lab_set_free(&m->base[0]);
    fm_lab_set_free(&m->base[1]);
}

/* --- telling the model --- */

static int tell_set(struct ex_sets *s, const struct fm_lab_set *set)
{
    const struct fm_set_header *h = &set->header;
    struct model_set m = {.incarnation = h->stream.incarnation,
                          .sequence = h->sequence,
                          .epoch = h->epoch,
                          .time = h->time,
                          .lane = h->stream.lane,
                          .has_prev = h->has_prev};
    memcpy(m.id, set->id.b, sizeof m.id);
    memcpy(m.prev, h->prev.b, sizeof m.prev);
    memcpy(m.grant, h->grant.b, sizeof m.grant);
    memcpy(m.author, h->stream.author.b, sizeof m.author);
    return model_add_set(&s->model, &m);
}

static void tell_base(struct ex_sets *s)
{
    for (int i = 0; i < 2; i++) {
        int at = tell_set(s, &s->mesh->base[i]);
        s->model.held[0][at] = 1;
    }
    for (int i = 0; i < EX_AUTHORS; i++) {
        struct model_grant g = {
            .set = i != EX_HUB, .role = i == EX_HUB ? MODEL_COORDINATOR : FM_ROLE_CAMP, .first = 1, .last = 9};
        memcpy(g.id, s->mesh->grants[i].b, sizeof g.id);
        memcpy(g.author, s->mesh->devices[i].fake.author.b, sizeof g.author);
        if (i != EX_ROOT)
            model_add_grant(&s->model, &g);
    }
}

/* --- the items --- */

static const struct fm_lab_set *set_at(const struct ex_sets *s, int author, int lane, int sequence, int before, int *item)
{
    *item = ex_item_at(s->world, author, lane, sequence, before);
    if (*item >= 0)
        return &s->set[*item];
    return lane == 0 && sequence == 1 ? &s->mesh->base[author == EX_HUB] : NULL;
}

static void tell_revocation(struct ex_sets *s, const struct ex_item *item, int set, struct fm_act *act)
{
    struct model_revoke r = {.set = set};
    act->kind = FM_ACT_REVOKE;
    act->node = s->mesh->devices[item->target].fake.author;
    act->targets_grant = r.by_grant = s->clock == 2;
    act->revoked = s->mesh->grants[item->target];
    memcpy(r.who, r.by_grant ? act->revoked.b : act->node.b, sizeof r.who);
    for (uint8_t lane = 0; lane < 2; lane++) {
        int at;
        if (item->cut[lane] == 0)
            continue;
        const struct fm_lab_set *last = set_at(s, item->target, lane, item->cut[lane], set - 2, &at);
        act->cuts[act->cut_count++] =
            (struct fm_cut){.incarnation = 1, .lane = lane, .sequence = item->cut[lane], .set = last->id};
        r.cut[r.cuts].incarnation = 1;
        r.cut[r.cuts].lane = lane;
        r.cut[r.cuts].sequence = item->cut[lane];
        memcpy(r.cut[r.cuts++].set, last->id.b, sizeof last->id.b);
    }
    model_add_revoke(&s->model, &r);
}

static void tell_key(struct ex_sets *s, int set, struct fm_buf *out)
{
    static const char *const keys[] = {EX_KEY_NAME, NULL};
    const struct fm_lab_device *to = &s->mesh->devices[EX_OBSERVER];
    struct fm_act *act = fm_lab_grant(to, FM_ROLE_CAMP, 2, keys);
    struct model_grant g = {.set = set, .role = FM_ROLE_CAMP, .first = 1, .last = 9};
    memcpy(g.id, act->grant.id.b, sizeof g.id);
    memcpy(g.author, to->fake.author.b, sizeof g.author);
    model_add_grant(&s->model, &g);
    MUST(fm_act_encode(out, act));
    fm_lab_act_free(act);
}

/* Its place in the model is known before its bytes are: sets stand there in the order of the items. */
static void make_act(struct ex_sets *s, const struct ex_item *item, int set, struct fm_buf *out)
{
    struct fm_act *act = calloc(1, sizeof *act);
    assert(act != NULL);
    if (item->kind == EX_REVOKE) {
        tell_revocation(s, item, set, act);
    } else if (item->kind == EX_KEY) {
        tell_key(s, set, out);
        free(act);
        return;
    } else {
        const struct fm_lab_set *adopted = &s->set[item->target];
        struct model_adopt d = {.set = set};
        act->kind = FM_ACT_ADOPT;
        act->adopt_count = 1;
        act->adopts[0] =
            (struct fm_adopted){.stream = adopted->header.stream, .sequence = adopted->header.sequence, .set = adopted->id};
        memcpy(d.id, adopted->id.b, sizeof d.id);
        model_add_adopt(&s->model, &d);
    }
    MUST(fm_act_encode(out, act));
    free(act);
}

/* Edits of A and B meet in a field, the hub's do not; creates say one of two things. */
static struct ex_doc doc_of(const struct ex_sets *s, int i)
{
    const struct ex_item *item = &s->world->item[i];
    struct ex_doc doc = {0, 0, 0};
    if (item->kind == EX_CREATE)
        doc.s = (uint8_t)(1 + i % 2);
    else if (item->kind == EX_UNDO)
        doc = s->doc[s->world->item[item->parent[0]].parent[0]];
    else if (item->kind == EX_UPDATE)
        doc = s->doc[item->parent[0]];
    if (item->kind == EX_UPDATE && item->author == EX_HUB)
        doc.c = 1;
    else if (item->kind == EX_UPDATE)
        doc.a = item->author == EX_B ? (uint8_t)(1 + i % 2) : 1;
    return doc;
}

static int by_id(const void *x, const void *y)
{
    const struct fm_version_id *a = x, *b = y;
    return fm_id_cmp(a, b);
}

static void make_change(struct ex_sets *s, int i, struct fm_change *c, struct fm_buf *out)
{
    const struct ex_item *item = &s->world->item[i];
    struct ex_doc d = s->doc[i] = doc_of(s, i);
    struct fm_arena arena = {NULL};
    char text[80] = "{id:\"r\"}", actor[20];
    snprintf(actor, sizeof actor, "u%d", i); /* no two branches of a fork are the same bytes */
    *c = (struct fm_change){.kind = FM_KIND_ASSESSMENT,
                            .action = item->kind,
                            .record = fm_lab_record(item->record),
                            .version = 1,
                            .parent_count = item->parents,
                            .actor = fm_span_str(actor)};
    for (int k = 0; k < item->parents; k++) {
        c->parents[k] = s->version[item->parent[k]];
        if (c->version <= s->number[item->parent[k]])
            c->version = s->number[item->parent[k]] + 1;
    }
    if (item->parents > 2)
        qsort(c->parents + 1, item->parents - 1u, sizeof c->parents[0], by_id);
    s->number[i] = c->version;
    if (d.s + d.a + d.c > 0)
        snprintf(text, sizeof text, "{id:\"r\",s:%d,a:%d,c:%d}", d.s, d.a, d.c);
    c->document = fm_text_doc(&arena, text);
    MUST(fm_change_encode(out, c));
    fm_arena_fini(&arena);
}

static void tell_change(struct ex_sets *s, int i, int set, const struct fm_change *c)
{
    struct ex_doc d = s->doc[i];
    struct model_version *v = calloc(1, sizeof *v);
    assert(v != NULL);
    v->kind = c->kind;
    v->action = c->action;
    v->number = c->version;
    v->time = s->set[i].header.time;
    v->content = d.s + 4u * d.a + 16u * d.c;
    v->tombstone = c->action == FM_DELETE || (c->action == FM_UNDO && v->content == 0);
    v->parents = (int)c->parent_count;
    memcpy(v->id, s->version[i].b, sizeof v->id);
    memcpy(v->record, c->record.b, sizeof v->record);
    for (int k = 0; k < v->parents; k++)
        memcpy(v->parent[k], c->parents[k].b, sizeof v->parent[k]);
    model_add_version(&s->model, v, set);
    free(v);
}

/* Times and ids decide only between versions of one record and one number. */
bool ex_sets_hang_on(const struct ex_world *w, int clock)
{
    uint32_t number[EX_ITEMS_MAX] = {0};
    bool hangs = clock == 0;
    for (int i = 0; i < w->count; i++) {
        const struct ex_item *item = &w->item[i];
        hangs = hangs || (clock == 2 && item->kind == EX_REVOKE);
        number[i] = ex_lane(item) == 1;
        for (int k = 0; k < item->parents; k++)
            if (number[i] <= number[item->parent[k]])
                number[i] = number[item->parent[k]] + 1;
        for (int k = 0; k < i; k++)
            hangs = hangs || (number[i] != 0 && number[k] == number[i] && w->item[k].record == item->record);
    }
    return hangs;
}

static uint64_t time_of(const struct ex_item *item, int i, int clock)
{
    uint64_t time = LAB_NOW << 16;
    if (clock == 2)
        return time;
    return time + 10 * (uint64_t)i + (clock == 1 ? 100u * (uint64_t)(EX_ROOT - item->author) : 0);
}

static void make_item(struct ex_sets *s, int i)
{
    const struct ex_item *item = &s->world->item[i];
    struct fm_set_header h = {.stream = {.incarnation = 1, .lane = (uint8_t)ex_lane(item)},
                              .epoch = 1,
                              .sequence = (uint64_t)ex_sequence(s->world, i),
                              .has_grant = item->author != EX_ROOT,
                              .grant = s->mesh->grants[item->author],
                              .time = time_of(item, i, s->clock)};
    const struct fm_lab_set *prev = set_at(s, item->author, h.stream.lane, (int)h.sequence - 1, i, &s->before[i]);
    struct fm_change *c = calloc(1, sizeof *c);
    struct fm_buf buf;
    assert(c != NULL);
    h.has_prev = prev != NULL;
    if (prev != NULL)
        h.prev = prev->id;
    fm_buf_init(&buf, 0);
    if (h.stream.lane == 0)
        make_act(s, item, i + 2, &buf);
    else
        make_change(s, i, c, &buf);
    struct fm_span bytes = fm_buf_span(&buf);
    struct fm_key key = fm_lab_key(EX_KEY_NAME);
    bool sealed = s->world->sealed && h.stream.lane == 1;
    fm_lab_set(&s->set[i], &s->mesh->devices[item->author], h, &bytes, 1, sealed ? &key : NULL);
    int set = tell_set(s, &s->set[i]);
    assert(set == i + 2);
    if (h.stream.lane == 1) {
        struct fm_mesh_id mesh = fm_lab_mesh();
        fm_version_id_of(&s->version[i], &s->mesh->devices[0].crypto, &mesh, &s->set[i].header, 0, bytes);
        tell_change(s, i, set, c);
    }
    fm_buf_fini(&buf);
    free(c);
}

void ex_sets_init(struct ex_sets *s, const struct ex_mesh *m, const struct ex_world *w, int clock)
{
    memset(s, 0, sizeof *s);
    s->mesh = m;
    s->world = w;
    s->clock = clock;
    tell_base(s);
    for (int i = 0; i < w->count; i++)
        make_item(s, i);
}

void ex_sets_fini(struct ex_sets *s)
{
    for (int i = 0; i < s->world->count; i++)
        fm_lab_set_free(&s->set[i]);
    model_free(&s->model);
}
