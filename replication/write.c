#include "replication/date.h"
#include "replication/submit.h"

void fm_write_now(const struct fm_repl *r, char out[25])
{
    fm_date_text(out, r->event->now_ms);
}

int fm_write_version(struct fm_repl *r, const struct fm_change *change, struct fm_version_id *id)
{
    struct fm_buf buf;
    fm_buf_init(&buf, FM_CHANGE_BYTES_MAX);
    int rc = fm_change_encode(&buf, change);
    if (rc == FM_OK) {
        /* What we sign must never be void for its form, so it is read as everybody else will read it. */
        struct fm_change again;
        bool known;
        rc = fm_change_decode(&again, fm_buf_span(&buf), &known);
    }
    if (rc == FM_OK)
        rc = fm_turn_add(r, FM_LANE_RECORDS, fm_buf_span(&buf), id);
    fm_buf_fini(&buf);
    return rc;
}

int fm_write_or_refuse(struct fm_repl *r, const struct fm_change *change, struct fm_result *res)
{
    int rc = fm_write_version(r, change, &res->version);
    if (rc == FM_ENOTJOINED)
        return fm_submit_refuse(res, "not-joined", "this node has no grant yet; nothing was stored");
    if (rc == FM_ELIMIT)
        return fm_submit_too_large(res);
    if (rc == FM_EFORMAT) /* a text that came beside the document: offlineId, reason */
        return fm_submit_refuse(res, "field", "a text is no valid UTF-8");
    res->has_version = rc == FM_OK;
    return rc;
}
