/* Sessions: who is connected, and what came in goes to the message's own file (DESIGN.md section 6, docs/WIRE-sessions.md).
 * What goes out is pump.c's. */
#include "replication/session.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/error.h"

struct fm_sessions *fm_sessions_new(void)
{
    struct fm_sessions *all = calloc(1, sizeof *all);
    if (all == NULL)
        return NULL;
    all->receipts = fm_receipts_new();
    if (all->receipts == NULL) {
        free(all);
        return NULL;
    }
    return all;
}

static void session_free(struct fm_session *s)
{
    fm_reach_fini(s);
    free(s);
}

void fm_sessions_free(struct fm_sessions *all)
{
    if (all == NULL)
        return;
    for (size_t i = 0; i < all->count; i++)
        session_free(all->peers[i]);
    fm_receipts_free(all->receipts);
    free(all->streams);
    free(all->sorted);
    free(all);
}

struct fm_session *fm_session_find(const struct fm_repl *r, uint32_t conn)
{
    for (size_t i = 0; i < r->sessions->count; i++) {
        if (r->sessions->peers[i]->conn == conn)
            return r->sessions->peers[i];
    }
    return NULL;
}

static void session_remove(struct fm_repl *r, struct fm_session *s)
{
    struct fm_sessions *all = r->sessions;
    size_t i = 0;
    while (all->peers[i] != s)
        i++;
    assert(i < all->count);
    all->peers[i] = all->peers[--all->count];
    all->peers[all->count] = NULL;
    session_free(s);
}

int fm_message_open(struct fm_walk *w, struct fm_span message, enum fm_message_kind kind, uint32_t items)
{
    uint64_t number = 0;
    fm_walk_init(w, message, (uint32_t)message.len); /* a value takes a byte at least */
    int rc = fm_walk_array_of(w, items);
    if (rc == FM_OK)
        rc = fm_walk_uint(w, &number, UINT8_MAX);
    return rc == FM_OK && number != (uint64_t)kind ? FM_EFORMAT : rc;
}

/* --- what a session does to its peer --- */

int fm_session_send(struct fm_repl *r, struct fm_session *s, const struct fm_pack *p)
{
    if (p->error != FM_OK)
        return p->error;
    s->info.bytes_sent += p->buf->len;
    return fm_emit_send(r, s->conn, fm_buf_span(p->buf));
}

int fm_session_refuse(struct fm_repl *r, struct fm_session *s, const char *reason)
{
    struct fm_action report = {.report = FM_REPORT_REFUSED, .conn = s->conn, .reason = reason};
    return fm_emit_report(r, &report);
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

int fm_session_drop(struct fm_repl *r, struct fm_session *s, const char *reason)
{
    uint32_t conn = s->conn;
    int rc = FM_OK;
    if (s->greeted && !is(reason, "idle") && !is(reason, "stalled") && !is(reason, "replaced") && !is(reason, "bye"))
        rc = fm_bye_send(r, s, reason);
    session_remove(r, s);
    return rc != FM_OK ? rc : fm_emit_drop(r, conn, reason);
}

void fm_session_strike(struct fm_session *s, const char *reason)
{
    if (++s->strikes >= FM_STRIKES_MAX)
        s->drop = reason;
}

int fm_session_blame(struct fm_repl *r, struct fm_session *s, int refused)
{
    if (refused == FM_EORDER || refused == FM_EGRANT) {
        s->ask_again = true; /* no fault: asked for again, in order */
        return FM_OK;
    }
    if (refused == FM_ESIGNATURE) {
        uint64_t now = r->event->steady_ms;
        if (now - s->bad_since >= 1000) {
            s->bad_since = now;
            s->bad_verifies = 0;
        }
        if (++s->bad_verifies > FM_BAD_VERIFIES_PER_S_MAX)
            fm_session_strike(s, "bad-signatures");
    } else if (refused == FM_EFORMAT) {
        fm_session_strike(s, "bad-sets"); /* limits and newer formats are no lies */
    }
    if (s->blamed)
        return FM_OK;
    s->blamed = true;
    return fm_session_refuse(r, s, fm_error_code(refused));
}

/* --- phases --- */

void fm_session_begin_have(struct fm_repl *r, struct fm_session *s)
{
    (void)r;
    fm_reach_reset(s);
    s->phase = FM_PEER_SYNCING;
    s->have_due = s->told = true;
    s->have_in = s->settled = s->ladders_due = s->ask_again = false;
    s->ladders_open = 0;
    s->end_sent = s->end_in = s->end_wanted = false;
    if (!s->hello_in)
        s->hello_due = false; /* this round serves as well */
}

void fm_session_in_step(struct fm_repl *r, struct fm_session *s)
{
    s->phase = FM_PEER_IN_STEP;
    s->info.rounds++;
    s->info.changes_to_send = s->info.changes_to_receive = 0;
    s->stepped = s->told = true;
    s->statements_due = false;
    s->moved_at = r->event->steady_ms;
}

void fm_session_begin_hello(struct fm_session *s)
{
    s->phase = FM_PEER_HELLO;
    s->hello_due = s->told = true;
    s->hello_sent = s->hello_in = false;
    s->ask_again = false;
}

/* --- coming and going --- */

/* Two nodes that connect to each other at the same time both see two connections: both keep the one that the lower
 * transport key opened. Otherwise the newer one replaces the older, which may be half dead. */
static bool older_stays(const struct fm_repl *r, const struct fm_session *old, bool initiator)
{
    if (old->initiator == initiator || r->event->steady_ms - old->up_at >= FM_TWIN_MS)
        return false;
    bool lower = fm_id_cmp(&r->self.transport, &old->transport) < 0;
    return old->initiator == lower;
}

static const char *stranger(const struct fm_repl *r, const struct fm_key *transport)
{
    for (size_t i = 0; i < fm_authority_member_count(r->authority); i++) {
        struct fm_member member;
        fm_authority_member(r->authority, i, r->epoch, &member);
        if (fm_id_eq(&member.transport, transport))
            return "peer-revoked";
    }
    return "no-grant";
}

/* The shell knows of its grant, or one is among the sets held, be it revoked or not: what lifts a revocation comes from peers,
 * and who may not meet is theirs to say. */
static bool joined(const struct fm_repl *r)
{
    static const struct fm_grant_id none;
    bool granted = !fm_id_eq(&r->self.grant, &none);
    for (size_t i = 0; i < fm_authority_member_count(r->authority); i++) {
        struct fm_member m;
        fm_authority_member(r->authority, i, r->epoch, &m);
        granted = granted || fm_id_eq(&m.author, &r->self.author);
    }
    return granted;
}

int fm_session_up(struct fm_repl *r, uint32_t conn, const struct fm_key *transport, bool initiator)
{
    struct fm_sessions *all = r->sessions;
    if (!joined(r))
        return fm_emit_drop(r, conn, "not-joined");
    if (fm_id_eq(transport, &r->self.transport))
        return fm_emit_drop(r, conn, "self");
    const struct fm_grant *grant = fm_authority_by_transport(r->authority, transport, r->epoch);
    if (grant == NULL)
        return fm_emit_drop(r, conn, stranger(r, transport));
    for (size_t i = 0; i < all->count; i++) {
        struct fm_session *old = all->peers[i];
        if (old->conn == conn) {
            session_remove(r, old); /* the shell used the number again */
            break;
        }
        if (!fm_id_eq(&old->transport, transport))
            continue;
        if (older_stays(r, old, initiator))
            return fm_emit_drop(r, conn, "replaced");
        int rc = fm_session_drop(r, old, "replaced");
        if (rc != FM_OK)
            return rc;
        break;
    }
    if (all->count == FM_PEERS_MAX)
        return fm_emit_drop(r, conn, "too-many-peers");
    struct fm_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return FM_ENOMEM;
    s->conn = conn;
    s->initiator = initiator;
    s->transport = *transport;
    s->author = grant->author;
    s->grant = grant->id;
    s->phase = FM_PEER_HELLO;
    s->up_at = s->in_at = s->moved_at = r->event->steady_ms;
    s->hello_due = initiator;
    s->told = true;
    all->peers[all->count++] = s;
    return FM_OK;
}

int fm_session_down(struct fm_repl *r, uint32_t conn)
{
    struct fm_session *s = fm_session_find(r, conn);
    if (s != NULL)
        session_remove(r, s);
    return FM_OK;
}

int fm_session_sync(struct fm_repl *r, uint32_t conn)
{
    struct fm_session *s = fm_session_find(r, conn);
    if (s != NULL && s->phase == FM_PEER_IN_STEP)
        fm_session_begin_hello(s);
    return FM_OK;
}

/* --- receiving --- */

static int dispatch(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    static int (*const receivers[])(struct fm_repl *, struct fm_session *, struct fm_span, const char **) = {
        [FM_MSG_HELLO] = fm_hello_receive, [FM_MSG_HAVE] = fm_have_receive, [FM_MSG_LADDER] = fm_ladder_receive,
        [FM_MSG_PLAN] = fm_plan_receive, [FM_MSG_DATA] = fm_data_receive, [FM_MSG_ACK] = fm_ack_receive,
        [FM_MSG_END] = fm_end_receive, [FM_MSG_STATEMENTS] = fm_statements_receive, [FM_MSG_PING] = fm_ping_receive,
        [FM_MSG_PONG] = fm_pong_receive, [FM_MSG_BYE] = fm_bye_receive,
    };
    struct fm_walk w;
    uint32_t items;
    uint64_t kind = 0;
    *why = "bad-message";
    if (message.len > FM_MESSAGE_BYTES_MAX)
        return FM_OK;
    fm_walk_init(&w, message, (uint32_t)message.len);
    if (fm_walk_array(&w, &items) != FM_OK || fm_walk_uint(&w, &kind, UINT8_MAX) != FM_OK || kind < FM_MSG_HELLO ||
        kind > FM_MSG_BYE)
        return FM_OK;
    if (!s->greeted && kind != FM_MSG_HELLO && kind != FM_MSG_BYE)
        return FM_OK; /* who it is comes first */
    *why = NULL;
    if (kind != FM_MSG_PING && kind != FM_MSG_PONG)
        s->moved_at = r->event->steady_ms;
    return receivers[kind](r, s, message, why);
}

int fm_session_receive(struct fm_repl *r, uint32_t conn, struct fm_span message)
{
    struct fm_session *s = fm_session_find(r, conn);
    const char *why = NULL;
    if (s == NULL)
        return FM_OK; /* dropped already; what was on its way does not count */
    const struct fm_grant *grant = fm_authority_by_transport(r->authority, &s->transport, r->epoch);
    if (grant == NULL)
        return fm_session_drop(r, s, "peer-revoked");
    s->grant = grant->id;
    s->in_at = r->event->steady_ms;
    s->info.bytes_received += message.len;
    s->blamed = false;
    int rc = dispatch(r, s, message, &why);
    if (rc != FM_OK)
        return rc;
    if (why == NULL)
        why = s->drop;
    return why == NULL ? FM_OK : fm_session_drop(r, s, why);
}

void fm_session_note_set(struct fm_repl *r, const struct fm_set_meta *set, uint32_t from)
{
    struct fm_sessions *all = r->sessions;
    const struct fm_stream_row *row = fm_vector_find(r->vector, &set->stream);
    uint32_t slot = 0;
    if (set->stream.lane == FM_LANE_MEMBERSHIP)
        all->recheck = true;
    all->noted = true;
    if (all->count == 0)
        return;
    assert(row != NULL && (row->fork_sequence == 0 || row->fork_sequence <= row->tips[0].sequence));
    if (fm_reach_slot(r, &set->stream, &slot) != FM_OK) {
        all->no_memory = true;
        return;
    }
    for (size_t i = 0; i < all->count; i++) {
        struct fm_session *s = all->peers[i];
        struct fm_reach *reach = fm_reach_at(r, s, slot);
        int rc = reach == NULL ? FM_ENOMEM : FM_OK;
        if (rc == FM_OK && s->conn == from) {
            fm_reach_raise(row, reach, set->sequence);
            if (row->fork_sequence != 0) /* it is the fork, or above it */
                rc = fm_reach_skip(s, set->arrival);
        } else if (rc == FM_OK && (s->settled || s->hello_sent)) {
            rc = fm_reach_note(r, s, slot, set); /* before that, HAVE will look at the vector */
        }
        if (reach != NULL)
            reach->equal = false;
        all->no_memory = all->no_memory || rc != FM_OK;
    }
}

/* --- time, and questions --- */

int fm_session_tick(struct fm_repl *r)
{
    uint64_t now = r->event->steady_ms;
    for (size_t i = r->sessions->count; i-- > 0;) {
        struct fm_session *s = r->sessions->peers[i];
        int rc = FM_OK;
        if (now - s->in_at >= FM_SESSION_IDLE_MS)
            rc = fm_session_drop(r, s, "idle");
        else if (s->phase != FM_PEER_IN_STEP && now - s->moved_at >= FM_STALL_MS)
            rc = fm_session_drop(r, s, "stalled");
        else if (s->greeted && !s->ping_sent && now - s->in_at >= FM_SESSION_PING_MS)
            rc = fm_ping_send(r, s, FM_MSG_PING);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

size_t fm_repl_peer_count(const struct fm_repl *r)
{
    return r->sessions->count;
}

void fm_repl_peer(const struct fm_repl *r, size_t i, struct fm_peer_info *out)
{
    assert(i < r->sessions->count);
    const struct fm_session *s = r->sessions->peers[i];
    *out = s->info;
    out->conn = s->conn;
    out->author = s->author;
    out->grant = s->grant;
    out->phase = s->phase;
    out->initiator = s->initiator;
}
