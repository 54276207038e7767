/* HAVE: the tips of all streams held, in as many messages as it takes; the last one says so. */
#include "replication/session.h"

#include "replication/error.h"

#define HAVE_ITEMS 3u
#define HAVE_STREAM_BYTES 60u   /* of one entry without its tips, at most */
#define HAVE_TIP_BYTES 45u      /* of one tip, at most */
#define HAVE_HEAD_BYTES 16u

/* --- sending --- */

static int part_send(struct fm_repl *r, struct fm_session *s, const struct fm_buf *entries, uint32_t count, bool last)
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, HAVE_ITEMS);
    fm_pack_uint(&p, FM_MSG_HAVE);
    fm_pack_array(&p, count);
    fm_pack_raw(&p, fm_buf_span(entries));
    fm_pack_bool(&p, last);
    int rc = fm_session_send(r, s, &p);
    fm_buf_fini(&buf);
    return rc;
}

static void entry_pack(struct fm_pack *p, const struct fm_stream_row *row)
{
    fm_pack_array(p, 4);
    fm_pack_bin(p, row->stream.author.b, sizeof row->stream.author.b);
    fm_pack_uint(p, row->stream.incarnation);
    fm_pack_uint(p, row->stream.lane);
    fm_pack_array(p, row->tip_count);
    for (uint32_t i = 0; i < row->tip_count; i++) {
        fm_pack_array(p, 2);
        fm_pack_uint(p, row->tips[i].sequence);
        fm_pack_bin(p, row->tips[i].id.b, sizeof row->tips[i].id.b);
    }
}

int fm_have_send(struct fm_repl *r, struct fm_session *s)
{
    struct fm_buf entries;
    struct fm_pack p;
    uint32_t count = 0;
    int rc = FM_OK;
    fm_buf_init(&entries, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &entries);
    for (size_t i = 0; rc == FM_OK && i < fm_vector_count(r->vector); i++) {
        const struct fm_stream_row *row = fm_vector_at(r->vector, i);
        size_t bytes = HAVE_STREAM_BYTES + row->tip_count * HAVE_TIP_BYTES;
        if (entries.len + bytes + HAVE_HEAD_BYTES > FM_MESSAGE_BYTES_MAX) {
            rc = part_send(r, s, &entries, count, false);
            entries.len = count = 0;
        }
        entry_pack(&p, row);
        count++;
        rc = rc == FM_OK ? p.error : rc;
    }
    if (rc == FM_OK)
        rc = part_send(r, s, &entries, count, true);
    fm_buf_fini(&entries);
    s->have_due = false;
    s->have_at = r->event->steady_ms;
    return rc;
}

/* --- receiving --- */

struct entry {
    struct fm_stream stream;
    uint32_t tip_count;
    struct fm_tip tips[FM_STREAM_TIPS_MAX];
};

static int entry_decode(struct fm_walk *w, struct entry *out)
{
    uint64_t lane = 0;
    int rc = fm_walk_array_of(w, 4);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(w, out->stream.author.b, sizeof out->stream.author.b);
    if (rc == FM_OK)
        rc = fm_walk_uint(w, &out->stream.incarnation, UINT64_MAX);
    if (rc == FM_OK)
        rc = fm_walk_uint(w, &lane, FM_LANE_RECORDS);
    out->stream.lane = (uint8_t)lane;
    if (rc == FM_OK)
        rc = fm_walk_array(w, &out->tip_count);
    if (rc == FM_OK && (out->tip_count == 0 || out->tip_count > FM_STREAM_TIPS_MAX))
        rc = FM_ELIMIT;
    for (uint32_t i = 0; rc == FM_OK && i < out->tip_count; i++) {
        rc = fm_walk_array_of(w, 2);
        if (rc == FM_OK)
            rc = fm_walk_uint(w, &out->tips[i].sequence, UINT64_MAX);
        if (rc == FM_OK && (out->tips[i].sequence == 0 || out->tips[i].sequence == UINT64_MAX))
            rc = FM_EFORMAT;
        if (rc == FM_OK)
            rc = fm_walk_bin_of(w, out->tips[i].id.b, sizeof out->tips[i].id.b);
    }
    return rc;
}

static uint64_t top_of(const struct fm_tip *tips, uint32_t count)
{
    uint64_t top = 0;
    for (uint32_t i = 0; i < count; i++)
        top = tips[i].sequence > top ? tips[i].sequence : top;
    return top;
}

static bool is_tip(const struct fm_stream_row *row, const struct fm_tip *tip)
{
    for (uint32_t i = 0; i < row->tip_count; i++) {
        if (row->tips[i].sequence == tip->sequence && fm_id_eq(&row->tips[i].id, &tip->id))
            return true;
    }
    return false;
}

/* One stream of the peer's: how far it has what we have. */
static int compare(struct fm_repl *r, struct fm_session *s, const struct entry *e)
{
    const struct fm_stream_row *row = fm_vector_find(r->vector, &e->stream);
    uint32_t slot;
    if (row == NULL)
        return fm_reach_claim(s, &e->stream, top_of(e->tips, e->tip_count));
    int rc = fm_reach_slot(r, &e->stream, &slot);
    if (rc != FM_OK)
        return rc;
    struct fm_reach *reach = fm_reach_at(r, s, slot);
    if (reach == NULL)
        return FM_ENOMEM;
    uint64_t top = top_of(row->tips, row->tip_count), known = 0, ahead = 0;
    bool strange = false; /* a tip at or below ours that we do not hold: a fork */
    reach->named = true;
    reach->equal = e->tip_count == row->tip_count;
    for (uint32_t i = 0; i < e->tip_count; i++) {
        struct fm_set_meta set;
        const struct fm_tip *tip = &e->tips[i];
        rc = r->port->set_get(r->port->ctx, &e->stream, tip->sequence, &tip->id, &set);
        if (rc != FM_OK && rc != FM_ENOTFOUND)
            return rc;
        reach->equal = reach->equal && rc == FM_OK && is_tip(row, tip);
        if (rc == FM_OK) {
            known = tip->sequence > known ? tip->sequence : known;
            if (row->fork_sequence != 0)
                rc = fm_reach_skip_chain(r, s, row, &set);
            if (rc != FM_OK)
                return rc;
        } else if (tip->sequence > top) {
            ahead = tip->sequence > ahead ? tip->sequence : ahead;
        } else {
            strange = true;
        }
    }
    reach->common = reach->equal ? top : 0;
    if (!reach->equal)
        fm_reach_raise(row, reach, known);
    if (!reach->equal && row->fork_sequence == 0 && ahead != 0) {
        reach->common = ahead;
        reach->claimed = true;
    }
    /* In a forked stream any tip that is not held may lie on one of the branches. */
    reach->ladder_due = strange || (row->fork_sequence != 0 && ahead != 0);
    s->ladders_due = s->ladders_due || reach->ladder_due;
    return FM_OK;
}

static int walk_entries(struct fm_repl *r, struct fm_session *s, struct fm_walk *w, uint32_t count, bool apply, int *error)
{
    struct entry e;
    for (uint32_t i = 0; i < count; i++) {
        int rc = entry_decode(w, &e);
        if (rc != FM_OK)
            return rc;
        if (apply) {
            *error = compare(r, s, &e);
            if (*error != FM_OK)
                return FM_OK;
        }
    }
    return FM_OK;
}

int fm_have_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    struct fm_walk w, again;
    uint32_t count = 0;
    bool last = false;
    int error = FM_OK;
    int rc = fm_message_open(&w, message, FM_MSG_HAVE, HAVE_ITEMS);
    if (rc == FM_OK)
        rc = fm_walk_array(&w, &count);
    again = w;
    if (rc == FM_OK)
        rc = walk_entries(r, s, &w, count, false, &error); /* all of it is read before any of it counts */
    if (rc == FM_OK)
        rc = fm_walk_bool(&w, &last);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc != FM_OK) {
        *why = "bad-message";
        return FM_OK;
    }
    if (s->phase != FM_PEER_SYNCING || s->have_in)
        fm_session_begin_have(r, s); /* it opened another round of HAVE */
    (void)walk_entries(r, s, &again, count, true, &error);
    s->have_in = last;
    return error;
}
