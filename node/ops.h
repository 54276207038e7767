/* Operations: what the command line, the control socket and later the HTTP gateway ask of a node, as JSON objects.
 *
 * An operation has two halves around a commit, so that many share one turn: begin (inside the turn: checks, events) and
 * end (after the commit: the answer). A command runs both on a node it opened itself, or sends the request to the running
 * node's control socket; both ways give the same answer.
 *
 * request  {"op": NAME, …};  answer  {…} or {"error": {"code", "message", "do"?}}
 *   submit      {as, changes:[…]}                          {results:[…]} in input order (rule 3)
 *   resolve     {as, resolutions:[{conflict, strategy, data?, reason?}]}   {results:[…]}
 *   records     {type?, entity?, after?, deleted?, limit?} {records:[…]}
 *   lookup      {of:[{type, offlineId}]}                   {records:[record or null]}
 *   show        {id}                                       {document, versions, conflicts, duplicates, flag?}
 *   duplicates  {}                                         {duplicates:[{type, offlineId, id, other}]} (rule 54)
 *   conflicts   {all?, limit?}                             {conflicts:[rule 57]}
 *   conflict    {id}                                       rule 57
 *   pull        {as, …rule 33}                             rule 34
 *   status, peers, digest, devices
 *   admit       {author, transport, box, name, role, sealed?, mayInvite?}   {id, grant, mesh, root, sets:[hex]}
 *   revoke      {node}                                     {name, id, streams}
 *   join        {mesh, root, grant, sets:[hex]}            {added, role, mesh}
 *   sync        {peer?}                                    {peers:[progress]}     (polled by --wait)
 *   connect, disconnect {peer}      adopt {sets}      epoch {}      backup {file}      stop {} */
#ifndef FM_NODE_OPS_H
#define FM_NODE_OPS_H

#include <jansson.h>

#include "node/node.h"

struct fm_runtime; /* the running loop (loop.h); NULL while the node is stopped */

struct fm_op;
/* request is borrowed until fm_op_free. NULL without memory. */
struct fm_op *fm_op_new(struct fm_node *n, struct fm_runtime *rt, const json_t *request);
/* Inside an open turn. 0 or an environment error (the turn is lost; still call fm_op_end). */
int fm_op_begin(struct fm_op *op);
/* After the commit (or its failure). The answer is the op's; take a reference to keep it. */
const json_t *fm_op_end(struct fm_op *op, int commit_error);
void fm_op_free(struct fm_op *op);
/* The node's effects.result and effects.taken lead here. */
void fm_ops_result(struct fm_node *n, uint64_t ticket, const struct fm_result *result, int error);
void fm_ops_taken(struct fm_node *n, uint64_t ticket, int error, const struct fm_set_id *set);

/* The whole way for a command: to the running node if there is one, else on the store. *answer is the caller's.
 * 0, or an error that has no answer: FM_ENOTFOUND (no node here), FM_EBUSY, FM_EIO … */
struct fm_client;
int fm_client_open(struct fm_client **out, const struct fm_paths *paths);
bool fm_client_running(const struct fm_client *c);                /* talks to the daemon */
struct fm_node *fm_client_node(const struct fm_client *c);          /* NULL while it runs elsewhere */
int fm_client_call(struct fm_client *c, const json_t *request, json_t **answer);
/* Its two halves: two requests may be under way, so that the next is made ready while the node works. */
int fm_client_ask(struct fm_client *c, const json_t *request);
int fm_client_hear(struct fm_client *c, json_t **answer);
void fm_client_close(struct fm_client *c);

#endif
