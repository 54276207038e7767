/* Inside of the operations: one file a family (op_*.c), each a begin inside the turn and an end after its commit. */
#ifndef FM_NODE_OP_H
#define FM_NODE_OP_H

#include "node/json.h"
#include "node/ops.h"
#include "replication/error.h"
#include "replication/set.h"

struct fm_op {
    struct fm_node *n;
    struct fm_runtime *rt;
    const json_t *request;
    json_t *answer;            /* an object; {"error": …} once fm_op_fail was called */
    const struct fm_op_kind *kind;
    uint64_t ticket_first;     /* the tickets of this op follow each other */
    size_t slot_count;
    json_t **slots;            /* what came back for each ticket; NULL: nothing yet */
    struct fm_arena arena;
    struct fm_op *next;        /* operations of the running turn */
};
struct fm_op_kind {
    const char *name;
    int (*begin)(struct fm_op *op); /* NULL: nothing to do inside the turn. 0 or an environment error */
    void (*end)(struct fm_op *op);
};

/* One table a file; the last entry has no name. */
extern const struct fm_op_kind fm_op_submit_kinds[], fm_op_record_kinds[], fm_op_conflict_kinds[], fm_op_member_kinds[],
    fm_op_status_kinds[];

void fm_op_fail(struct fm_op *op, const char *code, const char *what, const char *help);
void fm_op_fail_error(struct fm_op *op, int error); /* code and sentence of a FM_E… */
bool fm_op_failed(const struct fm_op *op);
/* Room for count results; the i-th event carries ticket_first + i. False without memory. */
bool fm_op_tickets(struct fm_op *op, size_t count);

/* A text, whole number or truth of the request; the fallback if it is missing or of another type. */
const char *fm_op_text(const struct fm_op *op, const char *key, const char *fallback);
int64_t fm_op_number(const struct fm_op *op, const char *key, int64_t fallback);
struct fm_span fm_op_span(const json_t *text);

/* --- shapes shared by operations; new references, NULL without memory --- */
json_t *fm_op_hex(const void *bytes, size_t len);
json_t *fm_op_uuid(const struct fm_record_id *id);
json_t *fm_op_time(uint64_t hybrid);                                     /* ISO 8601 of a hybrid time */
json_t *fm_op_document(struct fm_op *op, const struct fm_version *v, char actor[FM_ACTOR_BYTES_MAX + 1]); /* null: not readable */
json_t *fm_op_person(struct fm_op *op, const char *actor);               /* the person's name; else the actor as it is */
json_t *fm_op_author(struct fm_op *op, const struct fm_version *v);      /* the node's name, or its fingerprint */
json_t *fm_op_conflict(struct fm_op *op, const struct fm_conflict *entry); /* rule 57 */
/* Rule 53: what is wrong with a response's assessment ("parent-missing", "parent-deleted", "entity-differs"), shown to people
 * and never an error. NULL: nothing. */
const char *fm_op_flag(struct fm_op *op, const struct fm_head *head);
/* All versions of a record, in key order. */
int fm_op_versions(struct fm_op *op, uint8_t kind, const struct fm_record_id *record, struct fm_version **out, size_t *count);
/* The member whose name or fingerprint (or its beginning, four characters at least) this is. False: none, or several. */
bool fm_op_member(struct fm_op *op, const char *name, struct fm_member *out);

#endif
