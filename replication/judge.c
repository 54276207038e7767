#include "replication/inner.h"

#include <assert.h>

/* Below the lowest fork one set stands at each sequence number, so the number alone tells. */
int fm_judge_on_chain(void *ctx, const struct fm_set_meta *set, const struct fm_cut *cut)
{
    struct fm_repl *r = ctx;
    struct fm_set_meta at;
    if (fm_id_eq(&cut->set, &set->id))
        return 1;
    int rc = r->port->set_get(r->port->ctx, &set->stream, cut->sequence, &cut->set, &at);
    if (rc == FM_ENOTFOUND)
        return 2;
    if (rc != FM_OK)
        return rc;
    if (set->sequence >= cut->sequence)
        return 0;
    const struct fm_stream_row *row = fm_vector_find(r->vector, &set->stream);
    assert(row != NULL); /* it holds the set the cut names */
    if (row->fork_sequence == 0 || set->sequence < row->fork_sequence)
        return 1;
    return fm_chain_has(r, &at, row->fork_sequence, set);
}

/* The version at this place of the set: its holder counts or does not count any more. */
static int apply_version(struct fm_repl *r, const struct fm_set_meta *meta, const struct fm_set_header *header,
                         uint32_t index, struct fm_span item)
{
    struct fm_version_id id;
    struct fm_version before, v;
    uint8_t kind = fm_item_kind(item);
    if (kind == 0 || kind >= FM_ACT_FIRST)
        return FM_OK;
    fm_version_id_of(&id, r->crypto, &r->self.mesh, header, index, item);
    int rc = r->port->version_get(r->port->ctx, &id, &r->scratch, &before);
    if (rc == FM_ENOTFOUND)
        return FM_OK; /* a change whose record could not be told has no row */
    if (rc != FM_OK)
        return rc;
    v = before;
    uint32_t i = 0;
    while (i < v.holder_count && v.holders[i].arrival != meta->arrival)
        i++;
    if (i == v.holder_count)
        return FM_OK; /* it gave its place to one that may make the version count */
    v.holders[i].counted = meta->verdict == FM_COUNTED;
    struct fm_row row = {.kind = FM_ROW_VERSION, .version = &v, .before = &before};
    rc = fm_emit_row(r, &row);
    return rc != FM_OK ? rc : fm_touch_add(r, v.kind, &v.record);
}

int fm_judge_apply(struct fm_repl *r, const struct fm_set_meta *held, uint8_t verdict)
{
    struct fm_set_meta meta = *held;
    const struct fm_opened_set *opened;
    assert(meta.verdict == FM_COUNTED || meta.verdict == FM_QUARANTINED);
    meta.verdict = verdict;
    struct fm_row row = {.kind = FM_ROW_VERDICT, .meta = &meta};
    int rc = fm_emit_row(r, &row);
    if (rc == FM_OK)
        rc = fm_opened_get(r, meta.arrival, &opened);
    if (rc != FM_OK && !fm_emit_fatal(rc))
        rc = FM_ECORRUPT; /* it was opened when it was taken in; its key may be gone from the key folder since */
    for (uint32_t i = 0; rc == FM_OK && i < opened->count; i++)
        rc = apply_version(r, &meta, &opened->header, i, opened->items[i]);
    return rc;
}

int fm_judge_author(struct fm_repl *r, const struct fm_key *author)
{
    struct fm_paging paging;
    for (size_t i = 0; i < fm_vector_count(r->vector); i++) {
        const struct fm_stream_row *row = fm_vector_at(r->vector, i);
        const struct fm_set_meta *set;
        if (!fm_id_eq(&row->stream.author, author))
            continue;
        fm_paging_init(&paging, &row->stream, 1);
        int rc;
        while ((rc = fm_paging_next(r, &paging, &set)) == FM_OK) {
            uint8_t verdict;
            if (set->verdict != FM_COUNTED && set->verdict != FM_QUARANTINED)
                continue; /* void is for ever; unreadable until the key comes */
            rc = fm_authority_judge(r->authority, set, &verdict);
            if (rc == FM_OK && verdict != set->verdict)
                rc = fm_judge_apply(r, set, verdict);
            if (rc != FM_OK)
                return rc;
        }
        if (rc != FM_ENOTFOUND)
            return rc;
    }
    return FM_OK;
}

/* All in this step and its transaction: a verdict half applied would survive a restart that forgets who was stale. Only
 * the folds, which are most of the work, go by the persisted list. */
int fm_judge_stale(struct fm_repl *r)
{
    struct fm_key authors[16];
    size_t count;
    while ((count = fm_authority_stale(r->authority, authors, sizeof authors / sizeof authors[0])) > 0)
        for (size_t i = 0; i < count; i++) {
            int rc = fm_judge_author(r, &authors[i]);
            if (rc != FM_OK)
                return rc;
        }
    return FM_OK;
}

int fm_judge_keys(struct fm_repl *r)
{
    struct fm_paging paging;
    for (size_t i = 0; i < fm_vector_count(r->vector); i++) {
        const struct fm_stream_row *row = fm_vector_at(r->vector, i);
        const struct fm_set_meta *set;
        if (row->stream.lane != FM_LANE_RECORDS)
            continue;
        fm_paging_init(&paging, &row->stream, 1);
        int rc;
        while ((rc = fm_paging_next(r, &paging, &set)) == FM_OK) {
            rc = set->verdict == FM_UNREADABLE ? fm_intake_again(r, set) : FM_OK;
            if (rc != FM_OK)
                return rc;
        }
        if (rc != FM_ENOTFOUND)
            return rc;
    }
    return FM_OK;
}
