#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

/* Record ids come from others: the salt keeps them from choosing ids that meet in one slot. */
static size_t slot_of(const struct fm_refs *q, const struct fm_record_ref *ref)
{
    uint64_t a = fm_be_get(ref->record.b, 8), b = fm_be_get(ref->record.b + 8, 8);
    uint64_t h = (a ^ q->salt) * UINT64_C(0x9e3779b97f4a7c15);
    h ^= h >> 29;
    h = (h + (b ^ (q->salt >> 7)) + ref->kind) * UINT64_C(0xbf58476d1ce4e5b9);
    h ^= h >> 32;
    return (size_t)h & (q->slot_count - 1);
}

static bool same(const struct fm_record_ref *a, const struct fm_record_ref *b)
{
    return a->kind == b->kind && fm_id_eq(&a->record, &b->record);
}

/* The slot where the record stands, or the free one where it would. */
static uint32_t *find(const struct fm_refs *q, const struct fm_record_ref *ref)
{
    size_t i = slot_of(q, ref);
    while (q->slots[i] != 0 && !same(&q->at[q->slots[i] - 1], ref))
        i = (i + 1) & (q->slot_count - 1);
    return &q->slots[i];
}

static int grow(struct fm_refs *q)
{
    size_t cap = q->cap == 0 ? 64 : 2 * q->cap;
    assert(cap <= UINT32_MAX / 4); /* so many take more memory than there is */
    struct fm_record_ref *at = realloc(q->at, cap * sizeof *at);
    if (at == NULL)
        return FM_ENOMEM;
    q->at = at;
    bool *gone = realloc(q->gone, cap * sizeof *gone);
    if (gone == NULL)
        return FM_ENOMEM;
    q->gone = gone;
    uint32_t *slots = calloc(2 * cap, sizeof *slots);
    if (slots == NULL)
        return FM_ENOMEM;
    free(q->slots);
    q->slots = slots;
    q->slot_count = 2 * cap;
    q->cap = cap;
    for (size_t i = 0; i < q->count; i++) /* a later entry of the same record takes the slot */
        *find(q, &q->at[i]) = (uint32_t)(i + 1);
    return FM_OK;
}

int fm_refs_add(struct fm_refs *q, const struct fm_record_ref *ref)
{
    if (q->slot_count > 0) {
        uint32_t i = *find(q, ref);
        if (i != 0 && (q->once || !q->gone[i - 1]))
            return FM_OK;
    }
    if (q->count == q->cap) {
        int rc = grow(q);
        if (rc != FM_OK)
            return rc;
    }
    q->at[q->count] = *ref;
    q->gone[q->count] = false;
    *find(q, ref) = (uint32_t)++q->count;
    return FM_OK;
}

bool fm_refs_take(struct fm_refs *q, struct fm_record_ref *out)
{
    while (q->next < q->count) {
        size_t i = q->next++;
        if (q->gone[i])
            continue;
        q->gone[i] = true;
        *out = q->at[i];
        return true;
    }
    return false;
}

bool fm_refs_has(const struct fm_refs *q, const struct fm_record_ref *ref)
{
    uint32_t i = q->slot_count > 0 ? *find(q, ref) : 0;
    return i != 0 && !q->gone[i - 1];
}

void fm_refs_drop(struct fm_refs *q, const struct fm_record_ref *ref)
{
    uint32_t i = q->slot_count > 0 ? *find(q, ref) : 0;
    if (i != 0)
        q->gone[i - 1] = true;
}

void fm_refs_reset(struct fm_refs *q)
{
    if (q->slot_count > 16384) { /* one large step shall not make all later ones slow */
        fm_refs_fini(q);
        return;
    }
    if (q->count > 0)
        memset(q->slots, 0, q->slot_count * sizeof *q->slots);
    q->count = q->next = 0;
}

void fm_refs_fini(struct fm_refs *q)
{
    free(q->at);
    free(q->gone);
    free(q->slots);
    *q = (struct fm_refs){.once = q->once, .salt = q->salt};
}
