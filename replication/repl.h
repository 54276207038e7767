/* Inside of the core: its state, and what its rooms offer each other. Included by replication/ .c files only. */
#ifndef FM_REPLICATION_REPL_H
#define FM_REPLICATION_REPL_H

#include "replication/authority.h"
#include "replication/change.h"
#include "replication/core.h"
#include "replication/set.h"

struct fm_opened;   /* opened.c: cache of opened sets */
struct fm_turn;     /* turn.c: this node's set of the running turn */
struct fm_vector;   /* vector.c: every stream's tips */
struct fm_sessions; /* session.c */
struct fm_touch;    /* touch.c: records to fold at the end of this step */
struct fm_chain;    /* chain.c: chains of forked streams that end in a cut */

struct fm_data_key {
    struct fm_data_key_id id;
    struct fm_key key;
    uint64_t epoch, serial; /* of the first grant that brought it: which key is the newest */
};

struct fm_repl {
    struct fm_self self;
    const struct fm_crypto *crypto;
    const struct fm_port *port;
    const struct fm_sink *sink;     /* of the running step */
    const struct fm_event *event;   /* of the running step: now_ms, steady_ms, seed */
    uint64_t seed_used;             /* how many fresh values were drawn from the step's seed */
    struct fm_authority *authority;
    struct fm_vector *vector;
    struct fm_opened *opened;
    struct fm_turn *turn;
    struct fm_sessions *sessions;
    struct fm_touch *touch;
    struct fm_chain *chain;
    struct fm_arena scratch;        /* emptied at the start of each step */
    uint64_t arrival_next;
    uint64_t clock;                 /* hybrid: the highest held time less than 24 h ahead, and the last one given */
    uint64_t epoch;                 /* the highest counted notice */
    struct fm_data_key *keys;       /* data keys held, unboxed from our grants; sorted by id */
    size_t key_count;
    bool started;
    bool todo;                      /* the persisted to-do list is not empty */
};

/* --- emit.c: actions --- */
int fm_emit_row(struct fm_repl *r, const struct fm_row *row);
int fm_emit_send(struct fm_repl *r, uint32_t conn, struct fm_span bytes);
int fm_emit_drop(struct fm_repl *r, uint32_t conn, const char *reason);
int fm_emit_report(struct fm_repl *r, const struct fm_action *report); /* kind is set to FM_DO_REPORT */
/* Fresh bytes from the step's seed (hash of seed and a counter); at most 64. */
void fm_fresh(struct fm_repl *r, uint8_t *out, size_t len);

/* --- vector.c: what is held, stream by stream, in memory and as FM_ROW_STREAM --- */
struct fm_vector *fm_vector_new(void);
void fm_vector_free(struct fm_vector *v);
size_t fm_vector_count(const struct fm_vector *v);
const struct fm_stream_row *fm_vector_at(const struct fm_vector *v, size_t i); /* sorted by author, incarnation, lane */
const struct fm_stream_row *fm_vector_find(const struct fm_vector *v, const struct fm_stream *stream);
int fm_vector_load(struct fm_vector *v, const struct fm_stream_row *row);
/* A set that was just taken in: its predecessor is no tip any more; emits the stream's row. */
int fm_vector_add(struct fm_repl *r, const struct fm_set_meta *set);
/* The digest of the sets held: over (domain, mesh, sorted tips). */
void fm_vector_digest(const struct fm_repl *r, struct fm_digest *out);

/* --- intake.c: sets from outside and our own, verdicts, versions --- */
/* Envelope checks, then stores the set and all its rows; records are marked with fm_touch_add. *refused: 0 taken in,
 * FM_EEXISTS held already, or why not (FM_EFORMAT, FM_ELIMIT, FM_ENEWER, FM_ESIGNATURE, FM_EFOREIGN, FM_EGRANT, FM_EORDER).
 * Returns 0 or an environment error. meta is filled when taken or held. */
int fm_intake(struct fm_repl *r, struct fm_span bytes, int *refused, struct fm_set_meta *meta);
/* For turn.c: the rows of one version held by set `meta` at index; marks its record. */
int fm_intake_change(struct fm_repl *r, const struct fm_set_meta *meta, const struct fm_set_header *header, uint32_t index,
                     struct fm_span item, struct fm_version_id *id);
/* judge.c: sets whose verdict changed are written again and their records touched; at most a bounded number per step. */
int fm_judge_stale(struct fm_repl *r);

/* --- touch.c: records to fold --- */
int fm_touch_add(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record);
/* Folds what is marked (and what waits for it), at most FM_FOLDS_PER_TURN_MAX; the rest goes to the persisted list. */
int fm_touch_settle(struct fm_repl *r);
/* Records of this step or earlier ones of the turn that have open conflicts, once each; FM_ENOTFOUND at the end. */
int fm_touch_disputed(struct fm_repl *r, struct fm_record_ref *out);
/* Folds one record now, so that what follows in this step sees its state. */
int fm_touch_now(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record);

/* --- opened.c --- */
/* The opened body (array of changes) of a held set, or of the running turn's; borrowed until the next fm_opened_* call
 * with another arrival. FM_EKEY: its data key is not held; FM_EFORMAT: nonsense (void). */
int fm_opened_item(struct fm_repl *r, uint64_t arrival, uint32_t index, struct fm_span *item);

/* --- turn.c: our own changes become sets --- */
/* Adds one item (an encoded change, or an act for lane 0) to this turn's open set; closes a full one first. The version
 * and its record are folded before it returns, so that a later change of the batch sees it. FM_ENOTJOINED. */
int fm_turn_add(struct fm_repl *r, uint8_t lane, struct fm_span item, struct fm_version_id *id);
/* Closes and signs what is open (FM_EVENT_TURN_END). */
int fm_turn_close(struct fm_repl *r);
bool fm_turn_item(const struct fm_repl *r, uint64_t arrival, uint32_t index, struct fm_span *item);
void fm_turn_free(struct fm_turn *t);

/* --- submit.c and its kinds: rules 1-25, 30-31, 50-57 --- */
int fm_submit(struct fm_repl *r, const struct fm_submission *s);   /* reports FM_REPORT_RESULT */
int fm_resolve(struct fm_repl *r, const struct fm_resolution *s);  /* reports FM_REPORT_RESULT */

/* settle.c: at TURN_END for each disputed record: if the policy record names this coordinator node and all open conflicts
 * of the record are disjoint and no head is a decision, writes the reconciliation (actor "policy"). */
int fm_settle_by_policy(struct fm_repl *r, const struct fm_record_ref *record);

/* --- session.c and one file per message --- */
struct fm_sessions *fm_sessions_new(void);
void fm_sessions_free(struct fm_sessions *s);
int fm_session_up(struct fm_repl *r, uint32_t conn, const struct fm_key *transport, bool initiator);
int fm_session_down(struct fm_repl *r, uint32_t conn);
int fm_session_receive(struct fm_repl *r, uint32_t conn, struct fm_span message);
int fm_session_sync(struct fm_repl *r, uint32_t conn);
/* After the turn's sets are closed: acknowledges, pushes what peers lack within their credit, ends what is revoked. */
int fm_session_turn_end(struct fm_repl *r);
int fm_session_tick(struct fm_repl *r);
/* A step took in this set from conn (0: from nobody): others may want it. */
void fm_session_note_set(struct fm_repl *r, const struct fm_set_meta *set, uint32_t from);

/* --- receipt.c: statements --- */
int fm_receipt_take(struct fm_repl *r, struct fm_span bytes, int *refused); /* as fm_intake, for one statement */
int fm_receipt_issue(struct fm_repl *r); /* our own, over what is held now; fm_receipt_stale said that it is due */
int fm_receipt_epoch(struct fm_repl *r, uint64_t epoch);                    /* a coordinator's notice */
int fm_receipt_load(struct fm_repl *r);                                     /* at START: epoch, counters */
void fm_receipt_digest(struct fm_repl *r, struct fm_digest *out);
/* Does a counted coordinator's newest receipt cover this held set of the stream? 0 or an environment error. */
int fm_receipt_covers(struct fm_repl *r, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                      bool *yes);

#endif
