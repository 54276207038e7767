/* What the model was told, in arrays: sets, acts and versions, each linked to what it names once that is known. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/model.h"

#define SAME(a, b) (memcmp((a), (b), sizeof(a)) == 0)

static void *room(void *at, int count, int *cap, size_t size)
{
    if (count == *cap)
        at = realloc(at, (size_t)(*cap = *cap == 0 ? 64 : 2 * *cap) * size);
    assert(at != NULL);
    return at;
}

#define ADD(m, what, x)                                                                                   \
    ((m)->what##s = room((m)->what##s, (m)->what##_count, &(m)->what##s_cap, sizeof *(m)->what##s),       \
     (m)->what##s[(m)->what##_count] = *(x), (m)->what##_count++)

void model_free(struct model *m)
{
    for (int i = 0; i < MODEL_NODES; i++)
        free(m->held[i]);
    free(m->sets);
    free(m->grants);
    free(m->revokes);
    free(m->adopts);
    free(m->versions);
    memset(m, 0, sizeof *m);
}

int model_find_set(const struct model *m, const uint8_t id[32])
{
    for (int i = m->set_count; i-- > 0;)
        if (memcmp(m->sets[i].id, id, 32) == 0)
            return i;
    return -1;
}

int model_find_version(const struct model *m, const uint8_t id[24])
{
    for (int i = m->version_count; i-- > 0;)
        if (memcmp(m->versions[i].id, id, 24) == 0)
            return i;
    return -1;
}

int model_add_set(struct model *m, const struct model_set *s)
{
    int cap = m->sets_cap, at = ADD(m, set, s);
    for (int i = 0; i < MODEL_NODES && cap != m->sets_cap; i++) {
        m->held[i] = realloc(m->held[i], (size_t)m->sets_cap);
        assert(m->held[i] != NULL);
        memset(m->held[i] + cap, 0, (size_t)(m->sets_cap - cap));
    }
    m->sets[at].prev_at = s->has_prev ? model_find_set(m, s->prev) : -1;
    for (int i = 0; i < at; i++) /* it may have come after its follower */
        if (m->sets[i].has_prev && SAME(m->sets[i].prev, s->id))
            m->sets[i].prev_at = at;
    return at;
}

int model_add_grant(struct model *m, const struct model_grant *g) { return ADD(m, grant, g); }
int model_add_revoke(struct model *m, const struct model_revoke *r) { return ADD(m, revoke, r); }
int model_add_adopt(struct model *m, const struct model_adopt *a) { return ADD(m, adopt, a); }

int model_add_version(struct model *m, const struct model_version *v, int set)
{
    int at = model_find_version(m, v->id);
    if (at < 0) {
        at = ADD(m, version, v);
        m->versions[at].sets = 0;
        for (int p = 0; p < v->parents; p++)
            m->versions[at].parent_at[p] = model_find_version(m, v->parent[p]);
        for (int i = 0; i < at; i++)
            for (int p = 0; p < m->versions[i].parents; p++)
                if (SAME(m->versions[i].parent[p], v->id))
                    m->versions[i].parent_at[p] = at;
    }
    assert(m->versions[at].sets < MODEL_HOLDERS);
    m->versions[at].set[m->versions[at].sets++] = set;
    return at;
}
