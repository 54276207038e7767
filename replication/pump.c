/* The end of a turn: whatever is due to each peer goes out, in the order it can use it. */
#include "replication/session.h"

#include "replication/error.h"

static bool lane0_pending(const struct fm_session *s)
{
    for (size_t i = 0; i < s->queue_count; i++) {
        if (s->queue[i].lane == FM_LANE_MEMBERSHIP)
            return true;
    }
    return false;
}

static int settle(struct fm_repl *r, struct fm_session *s)
{
    uint64_t changes, sets, now = r->event->steady_ms;
    int rc = s->ladders_due ? fm_ladder_send(r, s) : FM_OK;
    if (rc != FM_OK || s->settled || !s->have_in)
        return rc;
    if (s->ladders_open > 0 && now - s->have_at < FM_SESSION_PING_MS)
        return FM_OK; /* without an answer: send from the start */
    rc = fm_reach_settle(r, s, &changes, &sets);
    if (rc != FM_OK)
        return rc;
    s->settled = true;
    return sets > 0 ? fm_plan_send(r, s, changes, sets) : FM_OK;
}

static bool statements_wanted(const struct fm_repl *r, const struct fm_session *s)
{
    if (s->phase == FM_PEER_SYNCING)
        return s->statements_due;
    if (fm_receipt_stamp(r) <= s->statements_stamp)
        return false;
    return s->stepped || r->event->steady_ms - s->statements_at >= FM_RECEIPT_INTERVAL_MS;
}

static int push(struct fm_repl *r, struct fm_session *s)
{
    int rc = FM_OK;
    if (s->queue_count > 0)
        rc = fm_data_push(r, s, FM_LANE_MEMBERSHIP);
    if (rc == FM_OK && s->phase == FM_PEER_SYNCING && statements_wanted(r, s) && !lane0_pending(s))
        rc = fm_statements_send(r, s);
    if (rc == FM_OK && s->queue_count > 0)
        rc = fm_data_push(r, s, FM_LANE_RECORDS);
    if (rc != FM_OK || s->queue_count > 0 || s->acked != s->data_out)
        return rc;
    bool again = s->end_wanted || (s->end_in && s->end_sent && s->data_in != s->end_in_at);
    if (s->phase == FM_PEER_SYNCING && !s->statements_due && (!s->end_sent || s->data_out != s->end_out_at || again))
        rc = fm_end_send(r, s);
    else if (s->phase == FM_PEER_IN_STEP && s->end_wanted)
        rc = fm_end_send(r, s);
    return rc == FM_OK ? fm_end_decide(r, s) : rc;
}

/* Whatever is due goes out, in the order a peer can use it. */
static int pump(struct fm_repl *r, struct fm_session *s)
{
    uint64_t now = r->event->steady_ms;
    int rc = s->ack_due ? fm_ack_send(r, s) : FM_OK;
    if (rc == FM_OK && s->pong_due)
        rc = fm_ping_send(r, s, FM_MSG_PONG);
    if (rc == FM_OK && s->phase == FM_PEER_IN_STEP && s->ask_again && now - s->asked_at >= FM_SESSION_PING_MS) {
        s->asked_at = now;
        fm_session_begin_hello(s);
    }
    if (rc == FM_OK && s->hello_due) {
        rc = fm_hello_send(r, s);
        if (rc == FM_OK && s->hello_in)
            rc = fm_hello_judge(r, s);
    }
    if (rc != FM_OK || s->phase == FM_PEER_HELLO)
        return rc;
    if (s->have_due)
        rc = fm_have_send(r, s);
    if (rc == FM_OK)
        rc = settle(r, s);
    if (rc == FM_OK && s->settled)
        rc = push(r, s);
    if (rc == FM_OK && s->have_due) /* deciding on END opened another round */
        rc = fm_have_send(r, s);
    return rc;
}

/* One receipt when a session comes in step, and one a minute while any is, if there is something new to say. */
static int receipts(struct fm_repl *r)
{
    struct fm_sessions *all = r->sessions;
    uint64_t now = r->event->steady_ms;
    bool stepped = false, live = false;
    int rc = FM_OK;
    for (size_t i = 0; i < all->count; i++) {
        stepped = stepped || all->peers[i]->stepped;
        live = live || all->peers[i]->phase == FM_PEER_IN_STEP;
    }
    if (stepped || (live && all->noted && now - all->receipt_at >= FM_RECEIPT_INTERVAL_MS)) {
        all->noted = false;
        if (fm_receipt_stale(r)) {
            all->receipt_at = now;
            rc = fm_receipt_issue(r);
        }
    }
    for (size_t i = 0; rc == FM_OK && i < all->count; i++) {
        struct fm_session *s = all->peers[i];
        if (s->phase == FM_PEER_IN_STEP && statements_wanted(r, s))
            rc = fm_statements_send(r, s);
        if (fm_receipt_stamp(r) <= s->statements_stamp || s->phase != FM_PEER_IN_STEP)
            s->stepped = false;
    }
    return rc;
}

static int drop_revoked(struct fm_repl *r)
{
    struct fm_sessions *all = r->sessions;
    if (all->recheck)
        fm_receipt_epoch_again(r);
    all->recheck = false;
    all->epoch_seen = r->epoch;
    for (size_t i = all->count; i-- > 0;) {
        struct fm_session *s = all->peers[i];
        if (fm_authority_by_transport(r->authority, &s->transport, r->epoch) != NULL)
            continue;
        int rc = fm_session_drop(r, s, "peer-revoked");
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

static int tell(struct fm_repl *r)
{
    for (size_t i = 0; i < r->sessions->count; i++) {
        struct fm_session *s = r->sessions->peers[i];
        if (!s->told)
            continue;
        s->told = false;
        struct fm_action report = {.report = FM_REPORT_PEER, .conn = s->conn};
        int rc = fm_emit_report(r, &report);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

int fm_session_turn_end(struct fm_repl *r)
{
    struct fm_sessions *all = r->sessions;
    int rc = all->no_memory ? FM_ENOMEM : FM_OK;
    if (rc == FM_OK && (all->recheck || all->epoch_seen != r->epoch))
        rc = drop_revoked(r);
    for (size_t i = 0; rc == FM_OK && i < all->count; i++)
        rc = pump(r, all->peers[i]);
    if (rc == FM_OK)
        rc = receipts(r);
    return rc == FM_OK ? tell(r) : rc;
}
