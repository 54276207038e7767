/* One node on one data folder: identity, store, core, and the turn that holds them together (law of effects, core.h).
 * Used by `run`, by every command while the node is stopped, by the demo's tests and by the bench. Not thread-safe. */
#ifndef FM_NODE_NODE_H
#define FM_NODE_NODE_H

#include "crypto/crypto.h"
#include "node/config.h"
#include "node/identity.h"
#include "replication/core.h"
#include "store/store.h"

/* What a committed turn lets out; every pointer may be NULL. Spans are borrowed for the call. */
struct fm_effects {
    void *ctx;
    void (*send)(void *ctx, uint32_t conn, struct fm_span message);
    void (*drop)(void *ctx, uint32_t conn, const char *reason);
    void (*members)(void *ctx);                                  /* the transport's allow-list is stale */
    void (*peer)(void *ctx, uint32_t conn);                      /* fm_repl_peer changed */
    void (*refused)(void *ctx, uint32_t conn, const char *reason);
    /* By ticket, once each, after the commit. error: 0, or why the turn was thrown away ("not stored"). */
    void (*result)(void *ctx, uint64_t ticket, const struct fm_result *result, int error);
    void (*taken)(void *ctx, uint64_t ticket, int error, const struct fm_set_id *set);
};

/* How many responses are flagged, as of a change number. */
struct fm_flagged {
    bool known;
    uint64_t number, missing;
};

struct fm_node {
    struct fm_paths paths;
    struct fm_config config;
    struct fm_identity identity;
    struct fm_crypto crypto;
    struct fm_store *store;
    struct fm_repl *repl;
    struct fm_effects effects;
    struct fm_outbox *outbox;   /* effects that wait for the commit */
    uint64_t ticket_last;
    struct fm_op *ops;          /* operations of the running turn (ops.c) */
    struct fm_flagged flagged;
    bool in_turn;
    uint64_t started_ms;
    uint64_t (*clock_ms)(void *ctx); /* NULL: the wall clock; tests set another */
    void *clock_ctx;
};

/* Opens keys, lock, store, core and runs FM_EVENT_START in a turn of its own; draws a new incarnation where continuity is
 * in doubt (no own one in the store, open counter off by more than one, machine fingerprint changed, restored).
 * 0, FM_ENOTFOUND (no node here: init), FM_EBUSY, FM_ENEWER, FM_ECORRUPT, FM_EKEY, FM_ESTORE, FM_ENOMEM, FM_EDISKFULL. */
int fm_node_open(struct fm_node **out, const struct fm_paths *paths);
void fm_node_close(struct fm_node *n);

/* A turn: begin, any number of events, commit. fm_node_event fills now_ms, steady_ms and seed of *event. An error of
 * begin, event or commit throws the whole turn away (results say "not stored") and starts the core again from the store;
 * if that fails too, or after FM_ESTORE, FM_EIO and FM_ECORRUPT (the store must be verified first), the node must be
 * closed. After an error of an event the turn is still ended by fm_node_commit, which returns that error; a begin that
 * failed has no commit. 0 or FM_ESTORE, FM_EFULL, FM_EDISKFULL, FM_EIO, FM_ENOMEM, FM_ECORRUPT. */
int fm_node_begin(struct fm_node *n);
int fm_node_event(struct fm_node *n, struct fm_event *event);
int fm_node_commit(struct fm_node *n);
/* After a join: n->identity has another mesh or grant (already saved). Store and core are opened again under it. Inside a
 * turn, what the turn holds so far is committed first and a new turn begins after. Errors as fm_node_open's and a turn's. */
int fm_node_reidentify(struct fm_node *n);
uint64_t fm_node_ticket(struct fm_node *n); /* a fresh one */
uint64_t fm_node_now_ms(const struct fm_node *n);

#endif
