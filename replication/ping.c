/* PING, PONG: is anybody there. BYE: why the session ends. */
#include "replication/session.h"

#include "replication/error.h"

static int empty_decode(struct fm_span message, enum fm_message_kind kind)
{
    struct fm_walk w;
    int rc = fm_message_open(&w, message, kind, 1);
    return rc == FM_OK ? fm_walk_end(&w) : rc;
}

int fm_ping_send(struct fm_repl *r, struct fm_session *s, enum fm_message_kind kind)
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, 1);
    fm_pack_uint(&p, kind);
    int rc = fm_session_send(r, s, &p);
    fm_buf_fini(&buf);
    if (kind == FM_MSG_PING)
        s->ping_sent = true;
    else
        s->pong_due = false;
    return rc;
}

int fm_ping_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    (void)r;
    if (empty_decode(message, FM_MSG_PING) != FM_OK)
        *why = "bad-message";
    else
        s->pong_due = true;
    return FM_OK;
}

int fm_pong_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    (void)r;
    if (empty_decode(message, FM_MSG_PONG) != FM_OK || !s->ping_sent)
        *why = "bad-message";
    else
        s->ping_sent = false;
    return FM_OK;
}

int fm_bye_send(struct fm_repl *r, struct fm_session *s, const char *reason)
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, 2);
    fm_pack_uint(&p, FM_MSG_BYE);
    fm_pack_cstr(&p, reason);
    int rc = fm_session_send(r, s, &p);
    fm_buf_fini(&buf);
    return rc;
}

int fm_bye_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    struct fm_walk w;
    struct fm_span reason;
    (void)r;
    (void)s;
    int rc = fm_message_open(&w, message, FM_MSG_BYE, 2);
    if (rc == FM_OK)
        rc = fm_walk_str(&w, &reason, FM_REASON_BYTES_MAX);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    *why = rc == FM_OK ? "bye" : "bad-message";
    return FM_OK;
}
