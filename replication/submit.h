/* Inside of the submission rooms (rules 1-25, 30, 31, 54, 55, 57). Included by replication/ .c files only.
 *
 * Functions that say so return 0, FM_REFUSED (the result says why; nothing was written) or an environment error. */
#ifndef FM_REPLICATION_SUBMIT_H
#define FM_REPLICATION_SUBMIT_H

#include "replication/doc.h"
#include "replication/draft.h"
#include "replication/error.h"
#include "replication/fields.h"
#include "replication/repl.h"

#define FM_REFUSED 1
struct fm_kind_spec;

/* --- submit.c --- */
/* Fills a failed result; returns FM_REFUSED. */
int fm_submit_refuse(struct fm_result *res, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int fm_submit_too_large(struct fm_result *res);
/* NULL: a kind that is not submitted. */
const struct fm_kind_spec *fm_submit_spec(int kind);
/* Reports it: rc as above, from whatever was done for it. 0 or the environment error. */
int fm_submit_report(struct fm_repl *r, struct fm_result *res, int rc);
/* Text from outside for a message: its first bytes, cut between characters, at most 64 with the end. */
const char *fm_submit_clip(char out[68], struct fm_span text);

/* --- actor.c: who acts, and may he (rules 7, 55) --- */
struct fm_actor {
    bool builtin;                       /* "operator" */
    bool coordinator;                   /* a COORDINATOR person, or the operator of a coordinator node: all entities */
    bool decides;                       /* a coordinator at a coordinator node */
    char text[FM_ACTOR_BYTES_MAX + 1];  /* "operator", or a user id in lower case */
};
static inline struct fm_span fm_actor_span(const struct fm_actor *a)
{
    return fm_span_str(a->text);
}
int fm_actor_find(struct fm_repl *r, struct fm_span text, struct fm_actor *out, struct fm_result *res);   /* may refuse */
int fm_actor_assigned(struct fm_repl *r, const struct fm_actor *a, const struct fm_record_id *entity, struct fm_result *res);
int fm_actor_decides(struct fm_repl *r, const struct fm_actor *a, struct fm_result *res);

/* --- stored.c: a record as it is held; documents are copied into the step's scratch --- */
struct fm_stored {
    bool shown;                         /* false: nothing below is filled but kind and record */
    uint8_t kind;
    struct fm_record_id record;
    struct fm_head head;
    struct fm_version *versions;        /* in key order */
    size_t count;
    const struct fm_version *winner;
    struct fm_span document, actor;     /* the winner's */
};
int fm_stored_load(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record, struct fm_stored *out);
/* Only whether it is shown and its head: no versions, no document. */
int fm_stored_head(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record, struct fm_stored *out);
/* The document of what is shown of it; FM_ENOTFOUND: nothing is, or it is deleted. */
int fm_stored_shown(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record, struct fm_span *document);
/* As fm_repl_document, of a version that was judged here, and so was read: that it cannot be read now is FM_ECORRUPT. */
int fm_stored_read(struct fm_repl *r, const struct fm_version *v, struct fm_span *document, struct fm_span *actor);
/* The same, copied. */
int fm_stored_document(struct fm_repl *r, const struct fm_version *v, struct fm_span *document, struct fm_span *actor);
const struct fm_version *fm_stored_find(const struct fm_stored *s, const struct fm_version_id *id);
/* The first version on v's first-parent line, v included, that is no tombstone: what a deletion deleted. NULL: none. */
const struct fm_version *fm_stored_living(const struct fm_stored *s, const struct fm_version *v);
/* The document that a payload goes over: of the living version of v's line; an empty span if there is none. */
int fm_stored_base(struct fm_repl *r, const struct fm_stored *s, const struct fm_version *v, struct fm_span *document);
/* "deleted by WHO on DATE" if its winner is a tombstone, else "". */
const char *fm_stored_deletion(const struct fm_stored *s, char out[160]);

/* --- write.c: one version into this turn's set --- */
/* Encodes and adds; never writes what would be void by its own bounds. 0, FM_ENOTJOINED, FM_ELIMIT, environment. */
int fm_write_version(struct fm_repl *r, const struct fm_change *change, struct fm_version_id *id);
/* The same for a result: has_version, not-joined and too-large become refusals. */
int fm_write_or_refuse(struct fm_repl *r, const struct fm_change *change, struct fm_result *res);
void fm_write_now(const struct fm_repl *r, char out[25]); /* the event's time as a document's date */

/* --- one change on its way --- */
struct fm_job;
struct fm_kind_spec {
    uint8_t kind;
    const char *title;                  /* as messages name it: "Assessment" */
    const struct fm_field_rule *fields;
    size_t field_count;
    const char *writer;                 /* the field that holds the creating actor; NULL: none */
    const char *const *fixed;           /* rule 16: fields that never change; ends with NULL */
    bool entity;                        /* belongs to an entity: rule 7 */
    bool coordinators, operators;       /* rule 55: written only by coordinators; only by the operator */
    bool verified;                      /* carries a verification: rules 11, 17, 22 */
    int (*identify)(struct fm_job *job, struct fm_record_id *id, bool *derived); /* ids that follow from content; NULL */
    int (*refine)(struct fm_job *job);  /* rewrites the payload (a parent's offlineId to its id); NULL */
    int (*check)(struct fm_job *job, struct fm_span type_from); /* nested fields of the payload; NULL */
    int (*create)(struct fm_job *job);  /* across records, for a new record; NULL */
    int (*update)(struct fm_job *job, struct fm_span base);     /* what may not become what; NULL */
};
extern const struct fm_kind_spec fm_assessment_spec, fm_response_spec, fm_entity_spec, fm_assignment_spec, fm_user_spec,
    fm_policy_spec;

struct fm_job {
    struct fm_repl *r;
    const struct fm_submission *s;
    const struct fm_kind_spec *spec;
    uint8_t verb;
    struct fm_actor actor;
    struct fm_span offline_id;
    struct fm_span payload;             /* record ids in lower case */
    uint32_t number;
    struct fm_stored stored;            /* the target, if it is known */
    struct fm_result result;
    char now[25];
};
int fm_create_run(struct fm_job *job); /* create.c: rules 8-11, 18-22 */
int fm_update_run(struct fm_job *job); /* update.c: rules 12-17, 23-25 */
int fm_delete_run(struct fm_job *job); /* delete.c: rules 5, 12-15 */
/* The checks that update and delete share; done: a repeated upload (rule 14), answered. May refuse. */
int fm_update_known(struct fm_job *job, bool *done);
/* Writes the version and answers (rules 13-15). May refuse. */
int fm_update_write(struct fm_job *job, const struct fm_version *parent, uint8_t action, struct fm_span document);
/* A tombstone's document; entityId as in `from`. */
int fm_delete_compose(struct fm_repl *r, const struct fm_record_id *record, struct fm_span from, struct fm_span updated_at,
                      struct fm_span *document);
/* Rules 8, 12: the record this change means; job->stored.shown tells. May refuse (an id that is none). */
int fm_submit_target(struct fm_job *job);
/* versionNumber, or refuses. */
int fm_submit_number(struct fm_job *job);
/* Types of the payload's fields; whole: also that none is missing that has to be there. May refuse. */
int fm_submit_check(struct fm_job *job, bool whole, struct fm_span type_from);
/* Rule 7 for the entity of the stored record or (from_payload) of the payload, which was checked as a whole. May refuse. */
int fm_submit_access(struct fm_job *job, bool from_payload);
/* The payload with another value of one text field. */
int fm_submit_replace(struct fm_job *job, const char *key, struct fm_span text);
/* After the write: success if what was written is the winner, else conflict with the winner's document (rules 14, 15). */
int fm_submit_answer(struct fm_job *job, const char *conflict, const char *success);

/* --- parent.c: rule 15 --- */
struct fm_parent_ask {
    const struct fm_version *versions;  /* in key order */
    size_t count;
    const struct fm_version *named;     /* the version the client says it edited; NULL: none */
    const struct fm_version *mine;      /* the same actor's newest through this node; NULL: none */
    uint32_t number;                    /* incoming */
    bool is_delete;
};
const struct fm_version *fm_parent_choose(const struct fm_parent_ask *ask); /* NULL: no parent */
/* Answers the look-ups for it, then chooses. 0 or an environment error. */
int fm_parent_find(struct fm_job *job, const struct fm_version **parent);

/* --- verify.c: rules 11, 17, 22, 24 --- */
extern const char *const fm_verification_fields[5]; /* verificationStatus first */
/* A new record's, or one without a parent's: rule 11 or 22; first: rule 30 may say yes. */
int fm_verify_first(struct fm_job *job, struct fm_draft *draft, struct fm_span document, bool first);
/* An update's, whose parent's document is `parent` (the draft holds its verification fields); changed: its content differs.
 * May refuse. */
int fm_verify_next(struct fm_job *job, struct fm_draft *draft, struct fm_span parent, struct fm_span document, bool changed);

/* --- policy.c --- */
void fm_policy_id(const struct fm_repl *r, struct fm_record_id *id);

/* --- approval.c: rules 30, 31 --- */
/* Do the entity's settings (its document) approve of this document of that kind? Pure. */
bool fm_approval_allows(struct fm_span entity, uint8_t kind, struct fm_span document);
int fm_approval_decide(struct fm_repl *r, uint8_t kind, struct fm_span document, bool *yes);

#endif
