/* Whose records a person may see (rule 32). Included by node/ .c files only. */
#ifndef FM_NODE_SCOPE_H
#define FM_NODE_SCOPE_H

#include "node/op.h"

struct fm_scope {
    bool all;                  /* the operator or a COORDINATOR: every entity */
    bool cut;                  /* entityIds were given: only those */
    bool person;               /* user is one; else the operator */
    struct fm_record_id user;
    struct fm_record_id *ids;  /* in scope unless all && !cut; sorted */
    size_t count;
};
/* The scope of the request's "as", cut to its "entityIds". 0, an environment error, or FM_EINVAL: code and why say what is
 * wrong with the request. End it in every case. */
int fm_scope_find(struct fm_scope *out, struct fm_op *op, const char **code, char *why, size_t why_len);
void fm_scope_end(struct fm_scope *s);
bool fm_scope_has(const struct fm_scope *s, const struct fm_head *head);
/* Who asks and for which entityIds, in whatever order and case they were given: what a cursor is bound to (rule 34). */
uint64_t fm_scope_binding(const struct fm_scope *s, struct fm_op *op);
/* Is this id among these, which are sorted? */
bool fm_scope_listed(const struct fm_record_id *ids, size_t count, const struct fm_record_id *id);
void fm_scope_sort(struct fm_record_id *ids, size_t count);
/* What a record shows, borrowed until the next look into a document. FM_ENOTFOUND: nothing, or it is deleted. */
int fm_scope_document(struct fm_op *op, uint8_t kind, const struct fm_record_id *id, struct fm_span *document);

#endif
