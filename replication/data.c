/* PLAN: how much is coming. DATA: sets, in order of arrival here, within the credit. */
#include "replication/session.h"

#include "replication/error.h"

#define PLAN_ITEMS 3u
#define DATA_ITEMS 3u
#define DATA_HEAD_BYTES 32u /* of the message, at most */
#define DATA_BIN_BYTES 5u   /* of one set in it, at most */

int fm_plan_send(struct fm_repl *r, struct fm_session *s, uint64_t changes, uint64_t sets)
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, PLAN_ITEMS);
    fm_pack_uint(&p, FM_MSG_PLAN);
    fm_pack_uint(&p, changes);
    fm_pack_uint(&p, sets);
    int rc = fm_session_send(r, s, &p);
    fm_buf_fini(&buf);
    s->info.changes_to_send = changes;
    s->told = true;
    return rc;
}

int fm_plan_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    struct fm_walk w;
    uint64_t changes = 0, sets = 0;
    (void)r;
    int rc = fm_message_open(&w, message, FM_MSG_PLAN, PLAN_ITEMS);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &changes, UINT64_MAX);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &sets, UINT64_MAX);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc != FM_OK) {
        *why = "bad-message";
        return FM_OK;
    }
    s->info.changes_to_receive = changes;
    s->told = true;
    return FM_OK;
}

/* Progress never says done before it is: the last one stands until END. */
static uint64_t less(uint64_t left, uint64_t done)
{
    return left == 0 ? 0 : left > done ? left - done : 1;
}

/* --- sending --- */

static int message_send(struct fm_repl *r, struct fm_session *s, const struct fm_buf *sets, uint32_t count)
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, DATA_ITEMS);
    fm_pack_uint(&p, FM_MSG_DATA);
    fm_pack_uint(&p, ++s->data_out);
    fm_pack_array(&p, count);
    fm_pack_raw(&p, fm_buf_span(sets));
    int rc = fm_session_send(r, s, &p);
    s->in_flight_bytes += buf.len;
    fm_buf_fini(&buf);
    s->told = true;
    return rc;
}

/* Takes one set from the queue into the message; a damaged one is passed over with all that follows it. */
static int one_add(struct fm_repl *r, struct fm_session *s, struct fm_cursor *c, struct fm_buf *bytes, struct fm_pack *p,
                   uint32_t *count)
{
    uint32_t changes = c->changes;
    bytes->len = 0;
    int rc = r->port->set_bytes(r->port->ctx, c->arrival, bytes);
    if (rc == FM_ECORRUPT || rc == FM_ENOTFOUND) {
        rc = fm_session_refuse(r, s, "damaged");
        return rc != FM_OK ? rc : fm_reach_pass(r, s, c, true);
    }
    if (rc != FM_OK)
        return rc;
    fm_pack_bin(p, bytes->data, bytes->len);
    (*count)++;
    s->info.changes_sent += changes;
    s->info.changes_to_send = less(s->info.changes_to_send, changes);
    return p->error != FM_OK ? p->error : fm_reach_pass(r, s, c, false);
}

int fm_data_push(struct fm_repl *r, struct fm_session *s, uint8_t lane_max)
{
    struct fm_buf sets, bytes;
    struct fm_pack p;
    uint32_t count = 0;
    int rc = FM_OK;
    fm_buf_init(&sets, FM_MESSAGE_BYTES_MAX);
    fm_buf_init(&bytes, FM_SET_BYTES_MAX);
    fm_pack_init(&p, &sets);
    while (rc == FM_OK) {
        struct fm_cursor *c = fm_reach_next(r, s, lane_max, &rc);
        size_t more = c == NULL ? 0 : (size_t)c->bytes + DATA_BIN_BYTES;
        uint64_t held = s->in_flight_bytes + sets.len + DATA_HEAD_BYTES;
        bool credit = held + more <= FM_CREDIT_BYTES;
        if (c == NULL || !credit)
            break;
        if (sets.len + more + DATA_HEAD_BYTES > FM_MESSAGE_BYTES_MAX) {
            rc = message_send(r, s, &sets, count);
            sets.len = count = 0;
            continue;
        }
        rc = one_add(r, s, c, &bytes, &p, &count);
    }
    if (rc == FM_OK && count > 0)
        rc = message_send(r, s, &sets, count);
    fm_buf_fini(&sets);
    fm_buf_fini(&bytes);
    return rc;
}

/* --- receiving --- */

static int one_take(struct fm_repl *r, struct fm_session *s, struct fm_span bytes)
{
    struct fm_set_meta meta;
    int refused;
    int rc = fm_intake(r, bytes, &refused, &meta);
    if (rc != FM_OK)
        return rc;
    if (refused == FM_OK || refused == FM_EEXISTS) {
        s->info.changes_received += refused == FM_OK ? meta.change_count : 0;
        s->info.changes_to_receive = less(s->info.changes_to_receive, meta.change_count);
        if (refused == FM_OK) {
            fm_session_note_set(r, &meta, s->conn);
            return FM_OK;
        }
        uint32_t slot;
        const struct fm_stream_row *row = fm_vector_find(r->vector, &meta.stream);
        struct fm_reach *reach = fm_reach_slot(r, &meta.stream, &slot) == FM_OK ? fm_reach_at(r, s, slot) : NULL;
        if (reach == NULL)
            return FM_ENOMEM;
        fm_reach_raise(row, reach, meta.sequence);
        return FM_OK;
    }
    return fm_session_blame(r, s, refused);
}

int fm_data_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    struct fm_walk w, again;
    struct fm_span set;
    uint64_t number = 0;
    uint32_t count = 0;
    int rc = fm_message_open(&w, message, FM_MSG_DATA, DATA_ITEMS);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &number, UINT64_MAX);
    if (rc == FM_OK)
        rc = fm_walk_array(&w, &count);
    again = w;
    for (uint32_t i = 0; rc == FM_OK && i < count; i++)
        rc = fm_walk_bin(&w, &set, FM_SET_BYTES_MAX);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc != FM_OK || count == 0 || number != s->data_in + 1) {
        *why = "bad-message";
        return FM_OK;
    }
    s->data_in = number;
    s->ack_bytes += message.len;
    s->ack_due = s->told = true;
    for (uint32_t i = 0; i < count && s->drop == NULL; i++) {
        (void)fm_walk_bin(&again, &set, FM_SET_BYTES_MAX);
        rc = one_take(r, s, set);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}
