/* The rows the core keeps in the store, as values. Keys and encodings are the store's (store/keys.c); here is what they
 * mean. All that is derived (everything but sets, statements and meta) is rebuilt by reindex to the same digest. */
#ifndef FM_REPLICATION_ROW_H
#define FM_REPLICATION_ROW_H

#include "replication/bounds.h"
#include "replication/types.h"

/* A held set as the indexes know it. arrival: 1, 2, 3 … in the order it was taken in here. */
struct fm_set_meta {
    uint64_t arrival;
    struct fm_stream stream;
    uint64_t sequence;
    struct fm_set_id id;
    bool has_prev, has_grant;
    struct fm_set_id prev;
    struct fm_grant_id grant;
    uint64_t epoch, time;
    uint32_t change_count;
    uint32_t bytes;           /* of the whole set */
    uint64_t changes_before;  /* changes in its chain before it */
    uint8_t role;             /* enum fm_role of its grant */
    uint8_t verdict;          /* enum fm_verdict */
    uint8_t why;              /* enum fm_why, if void */
};

/* What is known of one stream: its tips (held sets that no held set follows). */
struct fm_tip {
    uint64_t sequence;
    struct fm_set_id id;
    uint64_t changes; /* changes in its chain up to and with it */
};
struct fm_stream_row {
    struct fm_stream stream;
    uint64_t fork_sequence; /* the lowest sequence at which two sets are held; 0: none */
    uint32_t tip_count;
    struct fm_tip tips[FM_STREAM_TIPS_MAX];
};

/* One of the sets that hold a version. */
struct fm_holder {
    uint64_t arrival;
    uint32_t index; /* in the set */
    uint8_t role;   /* of the set's grant */
    bool live;      /* the set is not void, the lane is right and the role may do this: it may make the version count */
    bool counted;   /* the set counts */
};
struct fm_version {
    uint8_t kind;
    struct fm_record_id record;
    struct fm_version_id id;
    uint32_t number;
    uint64_t time;           /* hybrid */
    uint8_t action;
    bool tombstone;          /* a delete, or an undo to a tombstone's document */
    uint8_t own_fault;       /* enum fm_why the change shows by itself; FM_WHY_NONE: none */
    uint8_t verified;        /* verificationStatus in the document: 0 other or none, 1 VERIFIED, 2 REJECTED, 3 not a status
                                a create without a coordinator may carry */
    uint64_t verification;   /* short hash of its other verification fields; 0: it has none */
    uint32_t parent_count;
    const struct fm_version_id *parents; /* in an arena */
    uint32_t holder_count;
    struct fm_holder holders[FM_HOLDERS_MAX];
    /* found by the fold: */
    uint8_t status;          /* enum fm_status */
    uint8_t why;             /* enum fm_why if void */
    bool counted;
    uint32_t settlement;     /* if valid */
    uint8_t place;           /* enum fm_place if counted */
    uint8_t cls;             /* enum fm_class if open, replaced or settled */
    bool has_by;
    struct fm_version_id by; /* the decision that settled it, or the open head that replaced it */
};

/* What a record shows. Exists as soon as any version of the record is held. */
struct fm_head {
    uint8_t kind;
    struct fm_record_id record;
    bool shown;                    /* it has a counted version */
    bool deleted;                  /* the winner is a tombstone */
    struct fm_version_id winner;
    uint32_t number;               /* the winner's */
    uint32_t versions, open;       /* counted versions, above FM_RECORD_VERSIONS_MAX: full, shows nothing; open conflicts */
    bool has_entity;
    struct fm_record_id entity;    /* the document's entityId; for a kind without one, zeros */
    bool has_user;
    struct fm_record_id user;      /* assignment: its userId */
    struct fm_span offline_id;     /* up to FM_OFFLINE_ID_BYTES_MAX; empty: none. In an arena, or borrowed while emitted */
    uint64_t arrival;              /* of the set that holds the winner, and its place in it */
    uint32_t index;
    struct fm_digest digest;       /* of all versions with their states; summed up into the state digest */
};

/* A row the core writes. Rows are applied in the order emitted and are seen by the read port at once. */
enum fm_row_kind {
    FM_ROW_SET,       /* meta, bytes: append to the log, and the stream index */
    FM_ROW_VERDICT,   /* meta: the stream index again, with its new verdict, why */
    FM_ROW_STREAM,    /* stream */
    FM_ROW_VERSION,   /* version, before (NULL: new): replaces it; keeps ids and conflicts in step */
    FM_ROW_HEAD,      /* head, head_before (NULL: new), changed: what it shows changed (a fresh change number) */
    FM_ROW_WAIT,      /* present: record waits for version id `waits_for`; else: no longer */
    FM_ROW_TOUCH,     /* present: record is to be folded again; else: done */
    FM_ROW_STATEMENT, /* statement_kind, signer, counter, bytes: replaces the signer's older one of that kind */
    FM_ROW_META       /* name, bytes: a named value of the core's own (clock, counters) */
};
struct fm_row {
    enum fm_row_kind kind;
    const struct fm_set_meta *meta;
    const struct fm_stream_row *stream;
    const struct fm_version *version, *before;
    const struct fm_head *head, *head_before;
    bool changed, present;
    uint8_t record_kind;
    struct fm_record_id record;
    struct fm_version_id waits_for;
    uint8_t statement_kind;
    struct fm_key signer;
    uint64_t counter;
    const char *name;
    struct fm_span bytes;
};

/* Names of FM_ROW_META values. */
#define FM_META_CLOCK "clock"             /* 8 bytes: the hybrid clock */
#define FM_META_INCARNATION "incarnation" /* 8 bytes: this node's own */

struct fm_record_ref {
    uint8_t kind;
    struct fm_record_id record;
};

/* The read port: look-ups without effect, each seeing all rows emitted so far. 0, FM_ENOTFOUND, FM_ESTORE, FM_ECORRUPT,
 * FM_ENOMEM, FM_ELIMIT. Results are copied into what the caller gives; spans and pointers in them live in `arena`. A look-up
 * with a count says 0 where there is nothing, not FM_ENOTFOUND. */
struct fm_port {
    void *ctx;
    int (*set_get)(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                   struct fm_set_meta *out);
    int (*set_next)(void *ctx, uint64_t arrival_from, struct fm_set_meta *out); /* the lowest arrival not below */
    int (*arrival_last)(void *ctx, uint64_t *out);                              /* 0: no set is held */
    int (*set_bytes)(void *ctx, uint64_t arrival, struct fm_buf *out);          /* appended; checked against its hash */
    /* Sets of a stream from a sequence on, in key order (sequence, id); at most max. */
    int (*stream_sets)(void *ctx, const struct fm_stream *stream, uint64_t sequence_from, struct fm_set_meta *out, size_t max,
                       size_t *count);
    int (*stream_each)(void *ctx, int (*take)(void *arg, const struct fm_stream_row *row), void *arg); /* all; stops at != 0 */
    /* All versions of a record in key order, in the arena. */
    int (*versions)(void *ctx, uint8_t kind, const struct fm_record_id *record, struct fm_arena *arena,
                    struct fm_version **out, size_t *count);
    int (*version_find)(void *ctx, const struct fm_version_id *id, struct fm_record_ref *out);
    int (*version_get)(void *ctx, const struct fm_version_id *id, struct fm_arena *arena, struct fm_version *out);
    int (*head)(void *ctx, uint8_t kind, const struct fm_record_id *record, struct fm_arena *arena, struct fm_head *out);
    /* Records that wait for a version; at most max from the first. */
    int (*waits)(void *ctx, const struct fm_version_id *parent, struct fm_record_ref *out, size_t max, size_t *count);
    int (*touched)(void *ctx, struct fm_record_ref *out, size_t max, size_t *count);
    /* The lowest record id of this kind whose shown version has this offlineId. */
    int (*alias)(void *ctx, uint8_t kind, struct fm_span offline_id, struct fm_record_id *out);
    /* Heads of a kind under an entity (or, for assignments, under a user), after `after` (NULL: from the first). */
    int (*by_entity)(void *ctx, const struct fm_record_id *entity, uint8_t kind, const struct fm_record_id *after,
                     struct fm_record_id *out, size_t max, size_t *count);
    int (*statement)(void *ctx, uint8_t kind, const struct fm_key *signer, struct fm_buf *out);
    int (*statement_each)(void *ctx, int (*take)(void *arg, struct fm_span bytes), void *arg);
    int (*meta)(void *ctx, const char *name, struct fm_buf *out);
    int (*record_sum)(void *ctx, struct fm_digest *out); /* sum of all heads' digests (digest.h) */
};

#endif
