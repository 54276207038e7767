/* ACK: DATA up to this number is taken in. Sent in the turn that took it in, so it leaves after the commit (law 4), and
 * once a turn. It gives back credit. */
#include "replication/session.h"

#include "replication/error.h"

#define ACK_ITEMS 3u

int fm_ack_send(struct fm_repl *r, struct fm_session *s)
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, ACK_ITEMS);
    fm_pack_uint(&p, FM_MSG_ACK);
    fm_pack_uint(&p, s->data_in);
    fm_pack_uint(&p, s->ack_bytes);
    int rc = fm_session_send(r, s, &p);
    fm_buf_fini(&buf);
    s->ack_due = false;
    s->ack_bytes = 0;
    return rc;
}

int fm_ack_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    struct fm_walk w;
    uint64_t number = 0, bytes = 0;
    (void)r;
    int rc = fm_message_open(&w, message, FM_MSG_ACK, ACK_ITEMS);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &number, UINT64_MAX);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &bytes, UINT64_MAX);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc != FM_OK || number <= s->acked || number > s->data_out || bytes > s->in_flight_bytes) {
        *why = "bad-message";
        return FM_OK;
    }
    s->acked = number;
    s->in_flight_bytes = number == s->data_out ? 0 : s->in_flight_bytes - bytes;
    return FM_OK;
}
