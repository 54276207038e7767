/* LADDER: where two branches of a stream part. Sent for a tip that is not held here although a set at or above it is: our
 * chain at 1, 2, 4, 8 … steps back, each branch of it. The other side answers with its own. */
#include "replication/session.h"

#include <assert.h>

#include "replication/error.h"

#define LADDER_ITEMS 5u

static void step_pack(struct fm_pack *p, const struct fm_set_meta *set, uint32_t *count)
{
    fm_pack_array(p, 2);
    fm_pack_uint(p, set->sequence);
    fm_pack_bin(p, set->id.b, sizeof set->id.b);
    (*count)++;
}

/* One branch, from its tip down to the fork. */
static int branch_pack(struct fm_repl *r, const struct fm_stream_row *row, const struct fm_tip *tip, struct fm_pack *p,
                       uint32_t *count)
{
    struct fm_set_meta set;
    int rc = r->port->set_get(r->port->ctx, &row->stream, tip->sequence, &tip->id, &set);
    for (uint32_t back = 1, next = 1; rc == FM_OK && back <= FM_SKIPS_MAX && set.sequence > row->fork_sequence; back++) {
        struct fm_set_id prev = set.prev;
        rc = r->port->set_get(r->port->ctx, &row->stream, set.sequence - 1, &prev, &set);
        if (rc == FM_OK && back == next) {
            step_pack(p, &set, count);
            next *= 2;
        }
    }
    return rc == FM_ENOTFOUND ? FM_ECORRUPT : rc;
}

/* Below the lowest fork every sequence holds one set, so no chain has to be walked. */
static int stem_pack(struct fm_repl *r, const struct fm_stream_row *row, struct fm_pack *p, uint32_t *count)
{
    uint64_t top = row->fork_sequence != 0 ? row->fork_sequence : row->tips[0].sequence, back = 1, at = top;
    while (at > 1) {
        struct fm_set_meta set;
        size_t got = 0;
        at = top > back ? top - back : 1;
        back *= 2;
        int rc = r->port->stream_sets(r->port->ctx, &row->stream, at, &set, 1, &got);
        if (rc != FM_OK)
            return rc;
        if (got == 0 || set.sequence != at)
            return FM_ECORRUPT;
        step_pack(p, &set, count);
    }
    return p->error;
}

static int steps_pack(struct fm_repl *r, const struct fm_stream_row *row, struct fm_pack *p, uint32_t *count)
{
    int rc = FM_OK;
    *count = 0;
    for (uint32_t i = 0; rc == FM_OK && row->fork_sequence != 0 && i < row->tip_count; i++)
        rc = branch_pack(r, row, &row->tips[i], p, count);
    return rc == FM_OK ? stem_pack(r, row, p, count) : rc;
}

static int one_send(struct fm_repl *r, struct fm_session *s, const struct fm_stream_row *row)
{
    struct fm_buf steps, buf;
    struct fm_pack p;
    uint32_t count = 0;
    fm_buf_init(&steps, FM_MESSAGE_BYTES_MAX);
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &steps);
    int rc = steps_pack(r, row, &p, &count);
    if (rc == FM_OK) {
        fm_pack_init(&p, &buf);
        fm_pack_array(&p, LADDER_ITEMS);
        fm_pack_uint(&p, FM_MSG_LADDER);
        fm_pack_bin(&p, row->stream.author.b, sizeof row->stream.author.b);
        fm_pack_uint(&p, row->stream.incarnation);
        fm_pack_uint(&p, row->stream.lane);
        fm_pack_array(&p, count);
        fm_pack_raw(&p, fm_buf_span(&steps));
        rc = fm_session_send(r, s, &p);
    }
    fm_buf_fini(&steps);
    fm_buf_fini(&buf);
    return rc;
}

int fm_ladder_send(struct fm_repl *r, struct fm_session *s)
{
    for (uint32_t slot = 0; slot < s->reach_count; slot++) {
        struct fm_reach *reach = &s->reach[slot];
        if (!reach->ladder_due || reach->ladder_sent)
            continue;
        const struct fm_stream_row *row = fm_vector_find(r->vector, &r->sessions->streams[slot]);
        assert(row != NULL); /* nothing is due for a stream that is not held */
        int rc = one_send(r, s, row);
        if (rc != FM_OK)
            return rc;
        reach->ladder_sent = true;
        if (!reach->ladder_in)
            s->ladders_open++;
    }
    s->ladders_due = false;
    return FM_OK;
}

static int take_common(struct fm_repl *r, struct fm_session *s, const struct fm_stream *stream, uint64_t common)
{
    const struct fm_stream_row *row = fm_vector_find(r->vector, stream);
    uint32_t slot;
    if (row == NULL)
        return FM_OK;
    if (fm_reach_slot(r, stream, &slot) != FM_OK)
        return FM_ENOMEM;
    struct fm_reach *reach = fm_reach_at(r, s, slot);
    if (reach == NULL)
        return FM_ENOMEM;
    if (reach->claimed) {
        reach->common = 0; /* it is not ahead of us: its branch is another */
        reach->claimed = false;
    }
    reach->equal = false;
    fm_reach_raise(row, reach, common);
    if (reach->ladder_sent && !reach->ladder_in) {
        assert(s->ladders_open > 0);
        s->ladders_open--;
    }
    reach->ladder_in = true;
    reach->ladder_due = s->ladders_due = true; /* answered once, unless ours is out already */
    return FM_OK;
}

int fm_ladder_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    struct fm_walk w;
    struct fm_stream stream;
    struct fm_tip steps[FM_LADDER_STEPS_MAX];
    uint64_t lane = 0, common = 0;
    uint32_t count = 0;
    memset(&stream, 0, sizeof stream);
    int rc = fm_message_open(&w, message, FM_MSG_LADDER, LADDER_ITEMS);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, stream.author.b, sizeof stream.author.b);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &stream.incarnation, UINT64_MAX);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &lane, FM_LANE_RECORDS);
    stream.lane = (uint8_t)lane;
    if (rc == FM_OK)
        rc = fm_walk_array(&w, &count);
    if (rc == FM_OK && count > FM_LADDER_STEPS_MAX)
        rc = FM_ELIMIT;
    for (uint32_t i = 0; rc == FM_OK && i < count; i++) {
        rc = fm_walk_array_of(&w, 2);
        if (rc == FM_OK)
            rc = fm_walk_uint(&w, &steps[i].sequence, UINT64_MAX);
        if (rc == FM_OK)
            rc = fm_walk_bin_of(&w, steps[i].id.b, sizeof steps[i].id.b);
    }
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc != FM_OK) {
        *why = "bad-message";
        return FM_OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct fm_set_meta set;
        rc = r->port->set_get(r->port->ctx, &stream, steps[i].sequence, &steps[i].id, &set);
        if (rc == FM_ENOTFOUND)
            continue;
        if (rc != FM_OK)
            return rc;
        common = steps[i].sequence > common ? steps[i].sequence : common;
        const struct fm_stream_row *row = fm_vector_find(r->vector, &stream);
        assert(row != NULL);
        rc = row->fork_sequence != 0 ? fm_reach_skip_chain(r, s, row, &set) : FM_OK;
        if (rc != FM_OK)
            return rc;
    }
    return take_common(r, s, &stream, common);
}
