/* Inside of sync between peers: one session a connection, one .c file a message (docs/WIRE-sessions.md).
 *
 * Receiving only changes a session's state; everything is sent at FM_EVENT_TURN_END, after the turn's own sets are closed,
 * so that the digests we tell belong to one state. A receiver (fm_<message>_receive) returns 0 or an environment error and
 * sets *why (a stable code) if the peer must go. Included by replication/ .c files only. */
#ifndef FM_REPLICATION_SESSION_H
#define FM_REPLICATION_SESSION_H

#include "replication/pack.h"
#include "replication/repl.h"
#include "replication/walk.h"

#define FM_PROTOCOL 1u
#define FM_DOMAIN_FOLD_ID "fieldmesh fold id 1"
#define FM_DOMAIN_DIGEST_STATEMENTS "fieldmesh digest statements 1"
#define FM_DIGEST_SHORT 16u        /* of the vector and the state, as HELLO and END carry them */
#define FM_STATEMENTS_SHORT 8u
#define FM_FOLD_ID_BYTES 8u
#define FM_STALLS_MAX 3u           /* HAVE rounds in a row that change nothing */
#define FM_SINGLES_MAX 1024u       /* sets of forked streams queued one by one, per session */
#define FM_SKIPS_MAX 4096u         /* sets of forked streams a peer is known to have, per session */
#define FM_LADDER_STEPS_MAX 320u   /* per branch 1, 2, 4 … FM_SKIPS_MAX back; below the fork 1, 2, 4 … 2^63 and sequence 1 */
#define FM_REASON_BYTES_MAX 64u
#define FM_STALL_MS (2u * FM_SESSION_IDLE_MS)
#define FM_TWIN_MS 5000u           /* two connections that were opened towards each other */

enum fm_message_kind {
    FM_MSG_HELLO = 1, FM_MSG_HAVE, FM_MSG_LADDER, FM_MSG_PLAN, FM_MSG_DATA, FM_MSG_ACK, FM_MSG_END, FM_MSG_STATEMENTS,
    FM_MSG_PING, FM_MSG_PONG, FM_MSG_BYE
};

struct fm_hello {
    uint64_t protocol;
    uint8_t mesh[16];
    struct fm_grant_id grant;
    struct fm_store_id store;
    uint8_t vector[FM_DIGEST_SHORT];
    uint8_t fold[FM_FOLD_ID_BYTES];
    bool has_state;
    uint8_t state[FM_DIGEST_SHORT];
    uint8_t statements[FM_STATEMENTS_SHORT];
    uint64_t media;
};

/* What we know of a peer's holdings of one stream that we hold. */
struct fm_reach {
    uint64_t common;   /* it has the stream up to here; below the lowest fork if its tips are not ours */
    bool claimed;      /* common is only what it says: its tip is above ours and not held here */
    bool equal;        /* the same tips as ours */
    bool named;        /* its HAVE of this round names the stream */
    bool queued;       /* a cursor of the queue stands on it */
    bool ladder_due, ladder_sent, ladder_in;
};
/* The next set of a stream to send. */
struct fm_cursor {
    uint64_t sequence, arrival;
    uint32_t slot, bytes, changes;
    uint8_t lane;
    bool single;       /* this set alone (a late one of a forked stream) */
    struct fm_set_id id;
};
/* A stream the peer has and we do not (yet): kept so that we do not offer it back. */
struct fm_claim {
    struct fm_stream stream;
    uint64_t sequence;
};

struct fm_session {
    uint32_t conn;
    bool initiator;
    struct fm_key transport, author;
    struct fm_grant_id grant;
    enum fm_peer_phase phase;
    uint64_t up_at, in_at, moved_at; /* steady: since, last message in, last that was no PING or PONG */
    bool ping_sent, pong_due, told;          /* told: a FM_REPORT_PEER is due */
    const char *drop;                        /* the peer must go at the end of this call; a stable code */

    bool hello_due, hello_sent, hello_in, greeted; /* of this round; greeted: a HELLO was ever read */
    struct fm_hello ours, theirs;
    uint64_t ours_stamp;                     /* statements up to here are in ours.statements */

    bool have_due, have_in, settled;         /* settled: HAVE and LADDER done, the queue stands */
    uint64_t have_at;
    uint32_t ladders_open;                   /* sent, not answered yet */
    bool ladders_due;
    bool ask_again, statements_due;          /* ask_again: sets came that do not follow */
    uint64_t asked_at;
    struct fm_reach *reach;                  /* parallel to the slots of fm_sessions */
    size_t reach_count;
    struct fm_cursor *queue;
    size_t queue_count, queue_cap;
    uint32_t singles;
    uint64_t *skips;                         /* arrivals */
    size_t skip_count;
    struct fm_claim *claims;
    size_t claim_count, claim_cap;

    uint64_t data_out, acked, data_in;       /* numbers of DATA messages */
    uint64_t in_flight_bytes, ack_bytes;     /* ack_bytes: taken in this turn */
    bool ack_due;

    bool end_sent, end_in, end_wanted, stepped; /* stepped: it came in step, our receipt may be due */
    uint64_t end_out_at, end_in_at;          /* data_out and data_in when our END went out */
    uint64_t peer_end_at;                    /* acked when theirs came in */
    uint8_t end_ours[FM_DIGEST_SHORT], end_theirs[FM_DIGEST_SHORT];
    uint8_t pair_ours[FM_DIGEST_SHORT], pair_theirs[FM_DIGEST_SHORT];
    uint32_t stalls;

    uint64_t statements_stamp, statements_at; /* sent up to here; steady time of the last push in step */
    uint32_t strikes, bad_verifies;
    bool blamed;                              /* one report a message is enough */
    uint64_t bad_since;
    struct fm_peer_info info;
};

struct fm_receipts;
struct fm_sessions {
    struct fm_session *peers[FM_PEERS_MAX];
    size_t count;
    struct fm_stream *streams;               /* slot -> stream, in order of appearance */
    uint32_t *sorted;                        /* slots in stream order */
    size_t slot_count, slot_cap;
    bool no_memory;                          /* fm_session_note_set could not say so */
    bool recheck;                            /* membership or epoch may have changed */
    uint64_t epoch_seen;
    bool noted;                              /* sets came in since the last look at our receipt */
    uint64_t receipt_at;                     /* steady: our last one while a session lasts */
    struct fm_receipts *receipts;
};

/* --- session.c --- */
struct fm_session *fm_session_find(const struct fm_repl *r, uint32_t conn);
int fm_session_send(struct fm_repl *r, struct fm_session *s, const struct fm_pack *p); /* p->buf; passes p->error up */
int fm_session_refuse(struct fm_repl *r, struct fm_session *s, const char *reason);    /* FM_REPORT_REFUSED */
void fm_session_strike(struct fm_session *s, const char *reason);
/* A set or statement of this peer was refused with `refused` (an FM_E…): counted, reported, perhaps a strike. */
int fm_session_blame(struct fm_repl *r, struct fm_session *s, int refused);
/* Ends the session (s is gone). A peer that was greeted learns why, unless it is silent or gone anyway. */
int fm_session_drop(struct fm_repl *r, struct fm_session *s, const char *reason);
void fm_session_begin_hello(struct fm_session *s); /* another round */
void fm_session_begin_have(struct fm_repl *r, struct fm_session *s);
void fm_session_in_step(struct fm_repl *r, struct fm_session *s);
/* Decoders start here: a message of `kind` with `items` items (the number included). 0, FM_EFORMAT, FM_ELIMIT. */
int fm_message_open(struct fm_walk *w, struct fm_span message, enum fm_message_kind kind, uint32_t items);

/* --- reach.c: what each peer has, and the queue of what it lacks --- */
void fm_reach_fini(struct fm_session *s);
/* The slot of a stream; made if it is new. 0 or FM_ENOMEM. */
int fm_reach_slot(struct fm_repl *r, const struct fm_stream *stream, uint32_t *slot);
/* The peer's entry; NULL: no memory. Borrowed until the next call. */
struct fm_reach *fm_reach_at(struct fm_repl *r, struct fm_session *s, uint32_t slot);
void fm_reach_reset(struct fm_session *s);                 /* a HAVE round starts: all is forgotten */
int fm_reach_claim(struct fm_session *s, const struct fm_stream *stream, uint64_t sequence);
void fm_reach_raise(const struct fm_stream_row *row, struct fm_reach *reach, uint64_t sequence);
int fm_reach_skip(struct fm_session *s, uint64_t arrival); /* past FM_SKIPS_MAX it is forgotten: sent twice, no harm */
/* The peer holds this set of a forked stream, and so its chain down to the fork. */
int fm_reach_skip_chain(struct fm_repl *r, struct fm_session *s, const struct fm_stream_row *row,
                        const struct fm_set_meta *from);
int fm_reach_all(struct fm_repl *r, struct fm_session *s); /* equal vectors: it has what we had at HELLO */
/* The queue of all the peer lacks; what it amounts to. */
int fm_reach_settle(struct fm_repl *r, struct fm_session *s, uint64_t *changes, uint64_t *sets);
int fm_reach_note(struct fm_repl *r, struct fm_session *s, uint32_t slot, const struct fm_set_meta *set);
/* The first cursor by lane and arrival that the peer lacks, at most lane_max; NULL: none. */
struct fm_cursor *fm_reach_next(struct fm_repl *r, struct fm_session *s, uint8_t lane_max, int *error);
/* `cursor` was sent (or cannot be: drop_stream): moves it on or takes it out. */
int fm_reach_pass(struct fm_repl *r, struct fm_session *s, struct fm_cursor *cursor, bool drop_stream);

/* --- one file per message --- */
int fm_hello_decode(struct fm_hello *out, struct fm_span message);
int fm_hello_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_hello_send(struct fm_repl *r, struct fm_session *s);
int fm_hello_judge(struct fm_repl *r, struct fm_session *s); /* both were told: in step, statements only, or HAVE */
int fm_have_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_have_send(struct fm_repl *r, struct fm_session *s);
int fm_ladder_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_ladder_send(struct fm_repl *r, struct fm_session *s); /* those that are due */
int fm_plan_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_plan_send(struct fm_repl *r, struct fm_session *s, uint64_t changes, uint64_t sets);
int fm_data_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_data_push(struct fm_repl *r, struct fm_session *s, uint8_t lane_max); /* within the credit */
int fm_ack_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_ack_send(struct fm_repl *r, struct fm_session *s);
int fm_end_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_end_send(struct fm_repl *r, struct fm_session *s);
int fm_end_decide(struct fm_repl *r, struct fm_session *s);  /* both ended, nothing in flight: in step, or once more */
int fm_statements_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_statements_send(struct fm_repl *r, struct fm_session *s); /* at most one message */
int fm_ping_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_pong_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_bye_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why);
int fm_ping_send(struct fm_repl *r, struct fm_session *s, enum fm_message_kind kind); /* FM_MSG_PING or FM_MSG_PONG */
int fm_bye_send(struct fm_repl *r, struct fm_session *s, const char *reason);

/* --- receipt.c: the statements held, in memory --- */
struct fm_receipts *fm_receipts_new(void);
void fm_receipts_free(struct fm_receipts *c);
uint64_t fm_receipt_stamp(const struct fm_repl *r);   /* of the newest statement taken in */
/* The statement with the lowest stamp above *stamp that counts and was not told by conn `but`; moves *stamp on.
 * 0 (bytes appended), FM_ENOTFOUND (none; *stamp is the newest), or an environment error. */
int fm_receipt_after(struct fm_repl *r, uint64_t *stamp, uint32_t but, struct fm_buf *out);
bool fm_receipt_stale(struct fm_repl *r);             /* what we hold is not what our last receipt says */
void fm_receipt_epoch_again(struct fm_repl *r);       /* membership changed: whose notices count is found anew */

#endif
