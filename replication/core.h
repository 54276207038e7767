/* The core: one step. Event in, actions out; time and randomness come with the event (law 5).
 *
 * The law of effects, which node/loop.c and every simulator obey: begin a transaction -> for each event fm_repl_step(),
 * applying every emitted row at once inside the open transaction -> FM_EVENT_TURN_END, which closes and signs the turn's
 * own sets -> commit -> only then carry out the turn's SEND, DROP and REPORT actions. If the commit fails, throw away
 * these actions and the core (fm_repl_free), start a new one from the store, and answer waiting submissions "not stored".
 * A hostile peer is data: FM_DO_DROP with a reason, never an error code. fm_repl_step returns an error only for the
 * environment (store, memory); the turn is then thrown away in the same manner. */
#ifndef FM_REPLICATION_CORE_H
#define FM_REPLICATION_CORE_H

#include "replication/act.h"
#include "replication/ports.h"
#include "replication/row.h"
#include "replication/types.h"

struct fm_repl;

/* Who this node is; copied. */
struct fm_self {
    struct fm_mesh_id mesh;
    struct fm_key root;            /* the mesh's root public key: the author of root sets */
    struct fm_key author, transport, box;
    struct fm_grant_id grant;      /* all zeros: not joined yet */
    struct fm_store_id store;
    uint64_t incarnation;          /* non-zero; the shell draws a new one whenever continuity is in doubt */
    uint8_t kind_last;             /* 0: FM_KIND_LAST; more: as a program of a later format does, for tests of upgrades */
};

/* What a client hands in: one item of a batch (RULES.md "Batch"). Spans are borrowed for the step. */
struct fm_submission {
    uint64_t ticket;               /* comes back in the report */
    struct fm_span type, action;   /* text as given */
    struct fm_span offline_id;     /* empty: none */
    struct fm_span data;           /* canonical document (payload); FM_EFORMAT input never reaches the core */
    bool has_version;
    int64_t version;               /* versionNumber */
    bool has_base_number;
    int64_t base_number;           /* baseVersion */
    bool has_base_id;
    struct fm_version_id base_id;  /* baseVersionId */
    struct fm_span actor;          /* user id in text, or "operator" */
};
/* A coordinator's decision on conflicts (rule 57, POST /sync/resolve). */
enum fm_strategy { FM_TAKE_WINNER = 1 /* last_write_wins */, FM_TAKE_DATA = 2 /* manual */, FM_MERGE = 3 /* disjoint fields of both */ };
struct fm_resolution {
    uint64_t ticket;
    struct fm_conflict_id conflict;
    struct fm_version_id loser;    /* the entry's version, as the shell looked it up */
    enum fm_strategy strategy;
    struct fm_span data;           /* FM_TAKE_DATA: the whole document; FM_MERGE: fields laid over the merge, or empty */
    bool undo;                     /* instead: take back the decision that settled this entry */
    struct fm_span reason;         /* note; kept in the document's resolutionNote */
    struct fm_span actor;
};

enum fm_event_kind {
    FM_EVENT_START,      /* before all others: reads the store */
    FM_EVENT_SUBMIT,     /* submission: one FM_REPORT_RESULT */
    FM_EVENT_RESOLVE,    /* resolution: one FM_REPORT_RESULT */
    FM_EVENT_ACT,        /* act: an operator's grant, revocation or adoption, written by this coordinator: FM_REPORT_TAKEN */
    FM_EVENT_EPOCH,      /* number: a coordinator's epoch notice: FM_REPORT_TAKEN */
    FM_EVENT_TAKE,       /* bytes: one set or statement from a file: FM_REPORT_TAKEN */
    FM_EVENT_PEER_UP,    /* conn, transport key: a connection admitted by the transport */
    FM_EVENT_PEER_DOWN,  /* conn */
    FM_EVENT_RECEIVE,    /* conn, bytes: one session message */
    FM_EVENT_SYNC,       /* conn: open a new round of the session with a peer that is in step */
    FM_EVENT_TURN_END,
    FM_EVENT_TICK        /* at least every second */
};
struct fm_event {
    enum fm_event_kind kind;
    uint64_t now_ms;               /* wall clock, Unix milliseconds: a label and a tie, nothing more */
    uint64_t steady_ms;            /* monotonic: all timers */
    uint8_t seed[32];              /* fresh random bytes for this event: ids and nonces */
    uint32_t conn;
    bool initiator;                /* PEER_UP: we connected */
    struct fm_key transport;
    uint64_t ticket, number;
    struct fm_span bytes;
    const struct fm_submission *submission;
    const struct fm_resolution *resolution;
    const struct fm_act *act;
};

enum fm_result_status { FM_SUCCESS = 1, FM_CONFLICT = 2, FM_FAILED = 3 };
struct fm_result {
    uint64_t ticket;
    enum fm_result_status status;
    char code[32];                 /* stable code if failed ("not-assigned"), else "" */
    char message[256];
    bool has_record;
    struct fm_record_id record;    /* serverId */
    bool has_version;
    struct fm_version_id version;  /* what was written */
    struct fm_span offline_id;     /* borrowed from the submission */
    struct fm_span document;       /* conflict: the winning document (conflictData); borrowed until the next step */
    bool opened_conflict;
};

enum fm_do_kind { FM_DO_ROW, FM_DO_SEND, FM_DO_DROP, FM_DO_REPORT };
enum fm_report_kind {
    FM_REPORT_RESULT,    /* result */
    FM_REPORT_TAKEN,     /* ticket, error: 0, FM_EEXISTS (held already) or why not; act: set id of the written set */
    FM_REPORT_PEER,      /* conn: its fm_peer_info changed (phase, progress) */
    FM_REPORT_MEMBERS,   /* membership changed: the transport's allow-list is stale (fm_repl_members) */
    FM_REPORT_REFUSED    /* conn, reason: a peer's input was refused */
};
struct fm_action {
    enum fm_do_kind kind;
    struct fm_row row;             /* FM_DO_ROW */
    uint32_t conn;                 /* FM_DO_SEND, FM_DO_DROP, FM_REPORT_PEER, FM_REPORT_REFUSED */
    struct fm_span bytes;          /* FM_DO_SEND: one session message; copy it to keep it */
    const char *reason;            /* FM_DO_DROP, FM_REPORT_REFUSED: a stable code, static text */
    enum fm_report_kind report;
    const struct fm_result *result;
    uint64_t ticket;
    int error;
    struct fm_set_id set;
};

/* Where actions go. Must apply FM_DO_ROW before it returns; queues the others (copying) until the commit. 0 or an
 * environment error, which the core passes up at once. */
struct fm_sink {
    void *ctx;
    int (*act)(void *ctx, const struct fm_action *action);
};

/* NULL without memory. Ports are borrowed for the life of the core; nothing is read before FM_EVENT_START. */
struct fm_repl *fm_repl_new(const struct fm_self *self, const struct fm_crypto *crypto, const struct fm_port *port);
void fm_repl_free(struct fm_repl *r);
/* 0 or an environment error: FM_ENOMEM, FM_ESTORE, FM_ECORRUPT, FM_EFULL, FM_EDISKFULL, FM_EIO. */
int fm_repl_step(struct fm_repl *r, const struct fm_event *event, const struct fm_sink *sink);

/* Rebuilds all derived rows: for each set in the log by arrival, its verdict, stream, version and head rows are emitted
 * again, as if it had just been taken in (no signature check, no FM_ROW_SET append: FM_ROW_VERDICT instead). The caller
 * emptied the derived tables (fm_store_clear_derived), never started r, and commits in between as it likes: call again
 * with *from until it is 0. At most `max` sets a call. */
int fm_repl_reindex(struct fm_repl *r, const struct fm_event *event, const struct fm_sink *sink, uint64_t *from, size_t max);

/* --- questions without effect, for status and pages --- */
struct fm_member {
    struct fm_grant_id grant;
    struct fm_key author, transport, box;
    struct fm_span name;           /* borrowed until the next step */
    uint8_t role, flags;
    uint64_t epoch_first, epoch_last, serial;
    bool counted, revoked, expired, self;
};
size_t fm_repl_member_count(const struct fm_repl *r);
void fm_repl_member(const struct fm_repl *r, size_t i, struct fm_member *out);
/* May a connection of this transport key exist now? */
bool fm_repl_admits(const struct fm_repl *r, const struct fm_key *transport);

enum fm_peer_phase { FM_PEER_HELLO = 1, FM_PEER_SYNCING = 2, FM_PEER_IN_STEP = 3 };
struct fm_peer_info {
    uint32_t conn;
    struct fm_key author;
    struct fm_grant_id grant;
    enum fm_peer_phase phase;
    bool initiator;
    uint64_t changes_sent, changes_to_send;         /* this session; to_send: still */
    uint64_t changes_received, changes_to_receive;
    uint64_t bytes_sent, bytes_received;            /* session messages */
    uint64_t rounds;                                /* times this session came in step */
};
size_t fm_repl_peer_count(const struct fm_repl *r);
void fm_repl_peer(const struct fm_repl *r, size_t i, struct fm_peer_info *out);

/* FM_EBUSY while the fold's to-do list is not empty. */
int fm_repl_digest(struct fm_repl *r, struct fm_digest *sets, struct fm_digest *state);
/* The data keys held, newest last; at most max. A coordinator's shell seals them into the grants it makes. */
size_t fm_repl_data_keys(const struct fm_repl *r, struct fm_key *out, size_t max);
uint8_t fm_repl_role(const struct fm_repl *r);      /* this node's own role; FM_ROLE_NONE: not joined */
uint64_t fm_repl_epoch(const struct fm_repl *r);    /* the highest counted epoch notice, 1 without any */
/* Changes this author's own streams hold (all incarnations), and how many of them coordinators' receipts cover. */
int fm_repl_custody(struct fm_repl *r, const struct fm_key *author, uint64_t *recorded, uint64_t *at_hub);
/* Is this held set covered by a coordinator's receipt? 0 or an environment error. */
int fm_repl_at_hub(struct fm_repl *r, const struct fm_set_meta *set, bool *yes);
/* The document of a version, opened; borrowed until the next step or fm_repl_document call. FM_ENOTFOUND, FM_EKEY. */
int fm_repl_document(struct fm_repl *r, const struct fm_version *version, struct fm_span *document, struct fm_span *actor);

#endif
