#include "tests/exhaustive/look.h"

#include <stdarg.h>
#include <stdio.h>

#include "replication/error.h"

struct look {
    const struct ex_model *m;
    const struct ex_sets *s;
    int held, left; /* left: versions that were not seen yet */
    const struct fm_port *port;
    struct fm_arena arena;
    char *why;
};

static bool differ(const struct look *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool differ(const struct look *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(l->why, 400, format, args);
    va_end(args);
    return false;
}

void ex_model_fill(struct ex_model *out, struct ex_sets *s, int held)
{
    struct model *m = &s->model;
    for (int i = 0; i < s->world->count; i++)
        m->held[0][i + 2] = held >> i & 1;
    model_fold(m, 0);
    for (int i = 0; i < m->set_count; i++)
        out->verdict[i] = (uint8_t)m->sets[i].verdict;
    if (m->version_count > 0)
        memcpy(out->version, m->versions, (size_t)m->version_count * sizeof *m->versions);
}

static bool same_sets(const struct look *l)
{
    struct fm_set_meta meta;
    int count = 0, wanted = 2;
    for (uint64_t at = 1; l->port->set_next(l->port->ctx, at, &meta) == FM_OK; at = meta.arrival + 1, count++) {
        int k = model_find_set(&l->s->model, meta.id.b);
        if (k < 0 || meta.verdict != l->m->verdict[k])
            return differ(l, "I9: the set of item %d is %s, in the model %d", k - 2, fm_verdict_name(meta.verdict),
                          k < 0 ? 0 : l->m->verdict[k]);
    }
    for (int i = 0; i < l->s->world->count; i++)
        wanted += l->held >> i & 1;
    return count == wanted || differ(l, "I5: %d sets are held, not %d", count, wanted);
}

/* I2, I3, I21: a version's place is one, and the model's. */
static bool same_version(const struct look *l, const struct fm_version *row)
{
    static const uint8_t status[] = {0, FM_VALID, FM_STATUS_VOID, FM_WAITING, FM_UNKNOWN};
    int at = model_find_version(&l->s->model, row->id.b);
    if (at < 0 || !l->m->version[at].held)
        return differ(l, "I9: a version that no held set brings");
    const struct model_version *v = &l->m->version[at];
    if (row->counted != v->counted || (v->counted && v->place == MODEL_NOWHERE))
        return differ(l, "I9: version %d of the model counts: %d, in the model %d", at, row->counted, v->counted);
    if (row->place != v->place)
        return differ(l, "I21: version %d of the model is %s, in the model %d", at, fm_place_name(row->place), v->place);
    if (v->status == MODEL_VALID && row->settlement != (uint32_t)v->settlement)
        return differ(l, "I2: version %d of the model has settlement %u, there %d", at, row->settlement, v->settlement);
    if (row->status != status[v->status])
        return differ(l, "I9: version %d of the model has status %d, there %d", at, row->status, v->status);
    int by = row->has_by ? model_find_version(&l->s->model, row->by.b) : -1;
    if (v->place == MODEL_SETTLED && v->above && (by < 0 || !l->m->version[by].line || !l->m->version[by].decision))
        return differ(l, "I3: version %d is settled without naming the decision", at);
    return v->place != MODEL_REPLACED || (by >= 0 && l->m->version[by].place == MODEL_OPEN) ||
           differ(l, "I3: version %d is replaced without naming an open head", at);
}

static bool same_record(struct look *l, uint8_t record)
{
    struct fm_record_id id = fm_lab_record(record);
    struct fm_version *rows;
    struct fm_head head;
    size_t count, counted = 0, open = 0;
    const struct fm_version *winner = NULL;
    if (l->port->versions(l->port->ctx, FM_KIND_ASSESSMENT, &id, &l->arena, &rows, &count) != FM_OK)
        return differ(l, "the versions cannot be read");
    for (size_t i = 0; i < count; i++) {
        if (!same_version(l, &rows[i]))
            return false;
        counted += rows[i].counted;
        open += rows[i].place == FM_PLACE_OPEN;
        if (rows[i].place == FM_PLACE_WINNER)
            winner = &rows[i];
    }
    l->left -= (int)count;
    if (count == 0)
        return true;
    if (l->port->head(l->port->ctx, FM_KIND_ASSESSMENT, &id, &l->arena, &head) != FM_OK)
        return differ(l, "a record without a head");
    if (head.shown != (winner != NULL) || head.versions != counted || head.open != open ||
        (winner != NULL && (!fm_id_eq(&head.winner, &winner->id) || head.deleted != winner->tombstone)))
        return differ(l, "I2: record %d shows something else than its winner, or counts %u open of %zu", record, head.open,
                      open);
    return true;
}

bool ex_model_same(const struct ex_model *m, const struct ex_sets *s, int held, const struct fm_port *port, char why[400])
{
    struct look l = {.m = m, .s = s, .held = held, .port = port, .why = why};
    for (int i = 0; i < s->model.version_count; i++)
        l.left += m->version[i].held;
    bool same = same_sets(&l) && same_record(&l, 0) && same_record(&l, 1) &&
                (l.left == 0 || differ(&l, "I5: %d versions are missing", l.left));
    fm_arena_fini(&l.arena);
    return same;
}
