/* STATEMENTS: receipts and epoch notices, newest last. They follow lane 0 of a round, so that their signers are known. */
#include "replication/session.h"

#include <assert.h>

#include "replication/error.h"

#define STATEMENTS_ITEMS 2u
#define STATEMENTS_HEAD_BYTES 16u
#define STATEMENT_BIN_BYTES 5u

static int message_send(struct fm_repl *r, struct fm_session *s, const struct fm_buf *packed, uint32_t count)
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, STATEMENTS_ITEMS);
    fm_pack_uint(&p, FM_MSG_STATEMENTS);
    fm_pack_array(&p, count);
    fm_pack_raw(&p, fm_buf_span(packed));
    int rc = fm_session_send(r, s, &p);
    fm_buf_fini(&buf);
    return rc;
}

int fm_statements_send(struct fm_repl *r, struct fm_session *s)
{
    struct fm_buf packed, one;
    struct fm_pack p;
    uint32_t count = 0;
    int rc;
    fm_buf_init(&packed, FM_MESSAGE_BYTES_MAX);
    fm_buf_init(&one, FM_STATEMENT_BYTES_MAX);
    fm_pack_init(&p, &packed);
    for (;;) {
        uint64_t stamp = s->statements_stamp;
        one.len = 0;
        rc = fm_receipt_after(r, &stamp, s->conn, &one);
        if (rc != FM_OK && rc != FM_ENOTFOUND)
            break;
        if (rc == FM_OK && packed.len + one.len + STATEMENT_BIN_BYTES + STATEMENTS_HEAD_BYTES > FM_MESSAGE_BYTES_MAX)
            break; /* the rest in the next turn */
        s->statements_stamp = stamp;
        if (rc == FM_ENOTFOUND)
            break;
        fm_pack_bin(&p, one.data, one.len);
        count++;
    }
    if (rc == FM_ENOTFOUND) {
        s->statements_due = false;
        rc = p.error;
    }
    if (rc == FM_OK && count > 0)
        rc = message_send(r, s, &packed, count);
    fm_buf_fini(&packed);
    fm_buf_fini(&one);
    s->statements_at = r->event->steady_ms;
    return rc;
}

int fm_statements_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    struct fm_walk w, again;
    struct fm_span one;
    uint32_t count = 0;
    int rc = fm_message_open(&w, message, FM_MSG_STATEMENTS, STATEMENTS_ITEMS);
    if (rc == FM_OK)
        rc = fm_walk_array(&w, &count);
    again = w;
    for (uint32_t i = 0; rc == FM_OK && i < count; i++)
        rc = fm_walk_bin(&w, &one, FM_STATEMENT_BYTES_MAX);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc != FM_OK) {
        *why = "bad-message";
        return FM_OK;
    }
    for (uint32_t i = 0; i < count && s->drop == NULL; i++) {
        int refused = FM_OK;
        rc = fm_walk_bin(&again, &one, FM_STATEMENT_BYTES_MAX);
        assert(rc == FM_OK); /* as it was read above */
        rc = fm_receipt_take(r, one, &refused);
        if (rc == FM_OK && refused != FM_OK && refused != FM_EEXISTS)
            rc = fm_session_blame(r, s, refused);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}
