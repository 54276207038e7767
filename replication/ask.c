#include "replication/inner.h"

#include <assert.h>

/* Questions without effect. */

size_t fm_repl_member_count(const struct fm_repl *r)
{
    return fm_authority_member_count(r->authority);
}

void fm_repl_member(const struct fm_repl *r, size_t i, struct fm_member *out)
{
    fm_authority_member(r->authority, i, r->epoch, out);
    out->self = fm_id_eq(&out->author, &r->self.author);
}

bool fm_repl_admits(const struct fm_repl *r, const struct fm_key *transport)
{
    return fm_authority_by_transport(r->authority, transport, r->epoch) != NULL;
}

uint8_t fm_repl_role(const struct fm_repl *r)
{
    uint64_t epoch;
    const struct fm_grant *grant = fm_turn_grant(r, &epoch);
    return grant != NULL ? grant->role : FM_ROLE_NONE;
}

uint64_t fm_repl_epoch(const struct fm_repl *r)
{
    return r->epoch;
}

/* --- custody: what coordinators' receipts cover --- */

int fm_repl_at_hub(struct fm_repl *r, const struct fm_set_meta *set, bool *yes)
{
    return fm_receipt_covers(r, &set->stream, set->sequence, &set->id, yes);
}

/* A receipt covers a chain up to a tip, so in a stream without forks the covered sets are its beginning. */
static int covered_chain(struct fm_repl *r, const struct fm_stream_row *row, uint64_t *covered)
{
    uint64_t low = 0, high = row->tips[0].sequence; /* low is covered (0: nothing), above high nothing is */
    *covered = 0;
    while (low < high) {
        uint64_t mid = low + (high - low + 1) / 2;
        struct fm_set_meta set;
        size_t count;
        int rc = r->port->stream_sets(r->port->ctx, &row->stream, mid, &set, 1, &count);
        if (rc != FM_OK || count == 0 || set.sequence != mid)
            return rc != FM_OK ? rc : FM_ECORRUPT;
        bool yes;
        rc = fm_repl_at_hub(r, &set, &yes);
        assert(rc == FM_OK); /* without a fork the store is not asked */
        if (yes) {
            *covered = set.changes_before + set.change_count;
            low = mid;
        } else {
            high = mid - 1;
        }
    }
    return FM_OK;
}

static int custody_of(struct fm_repl *r, const struct fm_stream_row *row, uint64_t *recorded, uint64_t *at_hub)
{
    if (row->fork_sequence == 0) {
        *recorded = row->tips[0].changes;
        return covered_chain(r, row, at_hub);
    }
    struct fm_paging paging;
    const struct fm_set_meta *set;
    int rc;
    *recorded = *at_hub = 0;
    fm_paging_init(&paging, &row->stream, 1);
    while ((rc = fm_paging_next(r, &paging, &set)) == FM_OK) {
        bool yes;
        rc = fm_repl_at_hub(r, set, &yes);
        if (rc != FM_OK)
            return rc;
        *recorded += set->change_count;
        *at_hub += yes ? set->change_count : 0;
    }
    return rc == FM_ENOTFOUND ? FM_OK : rc;
}

int fm_repl_custody(struct fm_repl *r, const struct fm_key *author, uint64_t *recorded, uint64_t *at_hub)
{
    *recorded = *at_hub = 0;
    for (size_t i = 0; i < fm_vector_count(r->vector); i++) {
        const struct fm_stream_row *row = fm_vector_at(r->vector, i);
        uint64_t held, covered;
        if (row->stream.lane != FM_LANE_RECORDS || !fm_id_eq(&row->stream.author, author))
            continue;
        int rc = custody_of(r, row, &held, &covered);
        if (rc != FM_OK)
            return rc;
        *recorded += held;
        *at_hub += covered;
    }
    return FM_OK;
}

/* --- digest --- */

int fm_repl_digest(struct fm_repl *r, struct fm_digest *sets, struct fm_digest *state)
{
    struct fm_digest records, members;
    struct fm_buf buf;
    assert(!fm_touch_pending(r)); /* the step before ended well */
    if (r->todo)
        return FM_EBUSY;
    int rc = r->port->record_sum(r->port->ctx, &records);
    if (rc != FM_OK)
        return rc;
    fm_buf_init(&buf, 0);
    rc = fm_authority_digest(r->authority, &buf);
    if (rc == FM_OK) {
        const struct fm_crypto *c = r->crypto;
        struct fm_span parts[4] = {fm_buf_span(&buf)};
        c->hash(c->ctx, members.b, sizeof members.b, parts, 1);
        parts[0] = fm_span_str(FM_DOMAIN_DIGEST_STATE);
        parts[1] = fm_span(r->self.mesh.b, sizeof r->self.mesh.b);
        parts[2] = fm_span(records.b, sizeof records.b);
        parts[3] = fm_span(members.b, sizeof members.b);
        c->hash(c->ctx, state->b, sizeof state->b, parts, 4);
        fm_vector_digest(r, sets);
    }
    fm_buf_fini(&buf);
    return rc;
}
