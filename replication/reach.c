/* What each peer has of each stream, and the queue of what it lacks (DESIGN.md section 6).
 *
 * A stream has a slot, the same for all sessions and for ever, as places in the vector shift. Per session and slot `common`
 * says how far the peer has the stream. The queue holds one cursor a stream; the one with the lowest lane and arrival goes
 * next, which gives arrival order without reading the log between. */
#include "replication/session.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/error.h"

void fm_reach_fini(struct fm_session *s)
{
    free(s->reach);
    free(s->queue);
    free(s->skips);
    free(s->claims);
}

static int stream_cmp(const struct fm_stream *a, const struct fm_stream *b)
{
    int order = fm_id_cmp(&a->author, &b->author);
    if (order != 0)
        return order;
    if (a->incarnation != b->incarnation)
        return a->incarnation < b->incarnation ? -1 : 1;
    return (int)a->lane - (int)b->lane;
}

static int slots_grow(struct fm_sessions *all)
{
    size_t cap = all->slot_cap == 0 ? 64 : all->slot_cap * 2;
    struct fm_stream *streams = realloc(all->streams, cap * sizeof *streams);
    if (streams == NULL)
        return FM_ENOMEM;
    all->streams = streams;
    uint32_t *sorted = realloc(all->sorted, cap * sizeof *sorted);
    if (sorted == NULL)
        return FM_ENOMEM;
    all->sorted = sorted;
    all->slot_cap = cap;
    return FM_OK;
}

int fm_reach_slot(struct fm_repl *r, const struct fm_stream *stream, uint32_t *slot)
{
    struct fm_sessions *all = r->sessions;
    size_t low = 0, high = all->slot_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = stream_cmp(&all->streams[all->sorted[middle]], stream);
        if (order == 0) {
            *slot = all->sorted[middle];
            return FM_OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (all->slot_count == all->slot_cap && slots_grow(all) != FM_OK)
        return FM_ENOMEM;
    memmove(all->sorted + low + 1, all->sorted + low, (all->slot_count - low) * sizeof *all->sorted);
    all->sorted[low] = (uint32_t)all->slot_count;
    all->streams[all->slot_count] = *stream;
    *slot = (uint32_t)all->slot_count++;
    return FM_OK;
}

struct fm_reach *fm_reach_at(struct fm_repl *r, struct fm_session *s, uint32_t slot)
{
    struct fm_sessions *all = r->sessions;
    if (slot >= s->reach_count) {
        struct fm_reach *reach = realloc(s->reach, all->slot_cap * sizeof *reach);
        if (reach == NULL)
            return NULL;
        s->reach = reach;
        memset(reach + s->reach_count, 0, (all->slot_count - s->reach_count) * sizeof *reach);
        for (size_t i = 0; i < s->claim_count; i++) {
            /* It said it has this stream before we had any of it. */
            for (size_t j = s->reach_count; j < all->slot_count; j++) {
                if (fm_stream_eq(&s->claims[i].stream, &all->streams[j])) {
                    reach[j].common = s->claims[i].sequence;
                    reach[j].claimed = reach[j].named = true;
                }
            }
        }
        s->reach_count = all->slot_count;
    }
    return &s->reach[slot];
}

void fm_reach_reset(struct fm_session *s)
{
    if (s->reach_count > 0)
        memset(s->reach, 0, s->reach_count * sizeof *s->reach);
    s->queue_count = s->skip_count = s->claim_count = 0;
    s->singles = 0;
}

int fm_reach_claim(struct fm_session *s, const struct fm_stream *stream, uint64_t sequence)
{
    if (s->claim_count == FM_STREAMS_MAX)
        return FM_OK; /* forgotten: perhaps something is offered that it has */
    if (s->claim_count == s->claim_cap) {
        size_t cap = s->claim_cap == 0 ? 16 : s->claim_cap * 2;
        struct fm_claim *claims = realloc(s->claims, cap * sizeof *claims);
        if (claims == NULL)
            return FM_ENOMEM;
        s->claims = claims;
        s->claim_cap = cap;
    }
    s->claims[s->claim_count++] = (struct fm_claim){.stream = *stream, .sequence = sequence};
    return FM_OK;
}

/* Above a fork one number cannot say which branch is meant. */
static uint64_t below_fork(const struct fm_stream_row *row, uint64_t sequence)
{
    return row->fork_sequence != 0 && sequence >= row->fork_sequence ? row->fork_sequence - 1 : sequence;
}

void fm_reach_raise(const struct fm_stream_row *row, struct fm_reach *reach, uint64_t sequence)
{
    sequence = below_fork(row, sequence);
    if (sequence > reach->common) {
        reach->common = sequence;
        reach->claimed = false;
    }
}

int fm_reach_skip(struct fm_session *s, uint64_t arrival)
{
    if (s->skips == NULL && (s->skips = malloc(FM_SKIPS_MAX * sizeof *s->skips)) == NULL)
        return FM_ENOMEM;
    if (s->skip_count < FM_SKIPS_MAX)
        s->skips[s->skip_count++] = arrival;
    return FM_OK;
}

static bool skipped(const struct fm_session *s, uint64_t arrival)
{
    for (size_t i = 0; i < s->skip_count; i++) {
        if (s->skips[i] == arrival)
            return true;
    }
    return false;
}

int fm_reach_skip_chain(struct fm_repl *r, struct fm_session *s, const struct fm_stream_row *row,
                        const struct fm_set_meta *from)
{
    struct fm_set_meta set = *from;
    while (set.sequence >= row->fork_sequence && s->skip_count < FM_SKIPS_MAX && !skipped(s, set.arrival)) {
        int rc = fm_reach_skip(s, set.arrival);
        if (rc != FM_OK || !set.has_prev)
            return rc;
        struct fm_set_id prev = set.prev;
        rc = r->port->set_get(r->port->ctx, &row->stream, set.sequence - 1, &prev, &set);
        if (rc != FM_OK)
            return rc == FM_ENOTFOUND ? FM_ECORRUPT : rc;
    }
    return FM_OK;
}

static uint64_t top_of(const struct fm_stream_row *row)
{
    uint64_t top = 0;
    for (uint32_t i = 0; i < row->tip_count; i++)
        top = row->tips[i].sequence > top ? row->tips[i].sequence : top;
    return top;
}

int fm_reach_all(struct fm_repl *r, struct fm_session *s)
{
    for (size_t i = 0; i < fm_vector_count(r->vector); i++) {
        const struct fm_stream_row *row = fm_vector_at(r->vector, i);
        uint32_t slot;
        if (fm_reach_slot(r, &row->stream, &slot) != FM_OK)
            return FM_ENOMEM;
        struct fm_reach *reach = fm_reach_at(r, s, slot);
        if (reach == NULL)
            return FM_ENOMEM;
        if (!reach->queued)
            reach->common = top_of(row);
    }
    /* What came in after our HELLO is queued already and goes on from its cursor. */
    for (size_t i = 0; i < s->queue_count; i++) {
        if (!s->queue[i].single)
            s->reach[s->queue[i].slot].common = s->queue[i].sequence - 1;
    }
    return FM_OK;
}

static int queue_add(struct fm_session *s, uint32_t slot, const struct fm_set_meta *set, bool single)
{
    if (s->queue_count == s->queue_cap) {
        size_t cap = s->queue_cap == 0 ? 16 : s->queue_cap * 2;
        struct fm_cursor *queue = realloc(s->queue, cap * sizeof *queue);
        if (queue == NULL)
            return FM_ENOMEM;
        s->queue = queue;
        s->queue_cap = cap;
    }
    s->queue[s->queue_count++] = (struct fm_cursor){
        .sequence = set->sequence, .arrival = set->arrival, .slot = slot, .bytes = set->bytes, .changes = set->change_count,
        .lane = set->stream.lane, .single = single, .id = set->id,
    };
    if (single)
        s->singles++;
    else
        s->reach[slot].queued = true;
    return FM_OK;
}

static void queue_remove(struct fm_session *s, size_t at)
{
    if (s->queue[at].single)
        s->singles--;
    else
        s->reach[s->queue[at].slot].queued = false;
    s->queue[at] = s->queue[--s->queue_count];
}

int fm_reach_settle(struct fm_repl *r, struct fm_session *s, uint64_t *changes, uint64_t *sets)
{
    *changes = *sets = 0;
    for (size_t i = 0; i < fm_vector_count(r->vector); i++) {
        const struct fm_stream_row *row = fm_vector_at(r->vector, i);
        uint32_t slot;
        if (fm_reach_slot(r, &row->stream, &slot) != FM_OK)
            return FM_ENOMEM;
        struct fm_reach *reach = fm_reach_at(r, s, slot);
        if (reach == NULL)
            return FM_ENOMEM;
        if (reach->equal || reach->queued)
            continue;
        reach->common = below_fork(row, reach->common); /* the fork may have come since its HAVE */
        if (reach->common >= top_of(row))
            continue;
        struct fm_set_meta first;
        size_t count;
        int rc = r->port->stream_sets(r->port->ctx, &row->stream, reach->common + 1, &first, 1, &count);
        if (rc != FM_OK)
            return rc;
        if (count == 0)
            continue; /* damaged; the other streams go on */
        for (uint32_t t = 0; t < row->tip_count; t++) {
            assert(row->tips[t].sequence > reach->common); /* no tip stands below a fork */
            *sets += row->tips[t].sequence - reach->common;
            *changes += row->tips[t].changes - first.changes_before;
        }
        rc = queue_add(s, slot, &first, false);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

/* Of a stream that is queued. */
static struct fm_cursor *cursor_of(struct fm_session *s, uint32_t slot)
{
    struct fm_cursor *c = s->queue;
    while (c->slot != slot || c->single) {
        c++;
        assert(c < s->queue + s->queue_count);
    }
    return c;
}

int fm_reach_note(struct fm_repl *r, struct fm_session *s, uint32_t slot, const struct fm_set_meta *set)
{
    const struct fm_stream_row *row = fm_vector_find(r->vector, &set->stream);
    struct fm_reach *reach = &s->reach[slot];
    assert(row != NULL);
    if (row->fork_sequence == 0) {
        if (reach->queued || set->sequence <= reach->common)
            return FM_OK;
        return queue_add(s, slot, set, false);
    }
    assert(set->sequence >= row->fork_sequence); /* what it follows was held, so if anything it lowered the fork */
    struct fm_cursor *cursor = reach->queued ? cursor_of(s, slot) : NULL;
    if (cursor != NULL && cursor->sequence < set->sequence)
        return FM_OK; /* it comes by there */
    if (s->singles < FM_SINGLES_MAX)
        return queue_add(s, slot, set, true);
    if (cursor != NULL)
        return FM_OK; /* the END's digests will differ, and another HAVE finds it */
    reach->common = set->sequence - 1;
    return queue_add(s, slot, set, false);
}

static bool has(const struct fm_session *s, const struct fm_cursor *c)
{
    if (!c->single && c->sequence <= s->reach[c->slot].common)
        return true;
    return skipped(s, c->arrival);
}

/* The set after the cursor's in key order (sequence, id) that lies above common; FM_ENOTFOUND at the end. */
static int follow(struct fm_repl *r, const struct fm_session *s, const struct fm_cursor *c, struct fm_set_meta *out)
{
    const struct fm_stream *stream = &r->sessions->streams[c->slot];
    const struct fm_stream_row *row = fm_vector_find(r->vector, stream);
    uint64_t common = s->reach[c->slot].common;
    size_t count;
    assert(row != NULL);
    if (row->fork_sequence == 0 || c->sequence < row->fork_sequence) {
        assert(c->sequence <= common); /* it was sent, or came from there */
        int rc = r->port->stream_sets(r->port->ctx, stream, common + 1, out, 1, &count);
        return rc != FM_OK ? rc : count == 0 ? FM_ENOTFOUND : FM_OK;
    }
    struct fm_set_meta near[FM_STREAM_TIPS_MAX + 1];
    int rc = r->port->stream_sets(r->port->ctx, stream, c->sequence, near, FM_STREAM_TIPS_MAX + 1, &count);
    if (rc != FM_OK)
        return rc;
    for (size_t i = 0; i < count; i++) {
        if (near[i].sequence > c->sequence || fm_id_cmp(&near[i].id, &c->id) > 0) {
            *out = near[i];
            return FM_OK;
        }
    }
    return FM_ENOTFOUND;
}

static int move_on(struct fm_repl *r, struct fm_session *s, size_t at)
{
    struct fm_set_meta next;
    int rc = s->queue[at].single ? FM_ENOTFOUND : follow(r, s, &s->queue[at], &next);
    if (rc == FM_ENOTFOUND) {
        queue_remove(s, at);
        return FM_OK;
    }
    if (rc != FM_OK)
        return rc;
    struct fm_cursor *c = &s->queue[at];
    c->sequence = next.sequence;
    c->arrival = next.arrival;
    c->bytes = next.bytes;
    c->changes = next.change_count;
    c->id = next.id;
    return FM_OK;
}

struct fm_cursor *fm_reach_next(struct fm_repl *r, struct fm_session *s, uint8_t lane_max, int *error)
{
    *error = FM_OK;
    for (;;) {
        struct fm_cursor *best = NULL;
        for (size_t i = 0; i < s->queue_count; i++) {
            struct fm_cursor *c = &s->queue[i];
            if (c->lane <= lane_max &&
                (best == NULL || c->lane < best->lane || (c->lane == best->lane && c->arrival < best->arrival)))
                best = c;
        }
        if (best == NULL || !has(s, best))
            return best;
        *error = move_on(r, s, (size_t)(best - s->queue));
        if (*error != FM_OK)
            return NULL;
    }
}

int fm_reach_pass(struct fm_repl *r, struct fm_session *s, struct fm_cursor *cursor, bool drop_stream)
{
    size_t at = (size_t)(cursor - s->queue);
    if (drop_stream) {
        queue_remove(s, at);
        return FM_OK;
    }
    const struct fm_stream_row *row = fm_vector_find(r->vector, &r->sessions->streams[cursor->slot]);
    assert(row != NULL);
    if (row->fork_sequence != 0 && cursor->sequence >= row->fork_sequence) {
        int rc = fm_reach_skip(s, cursor->arrival);
        if (rc != FM_OK)
            return rc;
    }
    fm_reach_raise(row, &s->reach[cursor->slot], cursor->sequence);
    return move_on(r, s, at);
}
