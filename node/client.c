/* The way of a command to its node: the control socket if it runs, else the store itself. */
#include <stdlib.h>
#include <unistd.h>

#include "node/control.h"
#include "node/op.h"

struct fm_client {
    int fd; /* below 0: no node runs, `node` is open */
    struct fm_node *node;
    json_t *heard; /* answers of a node that is here, until they are asked for; NULL: none */
};

static void on_result(void *ctx, uint64_t ticket, const struct fm_result *result, int error)
{
    struct fm_client *c = ctx;
    fm_ops_result(c->node, ticket, result, error);
}

static void on_taken(void *ctx, uint64_t ticket, int error, const struct fm_set_id *set)
{
    struct fm_client *c = ctx;
    fm_ops_taken(c->node, ticket, error, set);
}

int fm_client_open(struct fm_client **out, const struct fm_paths *paths)
{
    struct fm_client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return FM_ENOMEM;
    c->fd = fm_control_connect(paths);
    int rc = c->fd >= 0 ? FM_OK : fm_node_open(&c->node, paths);
    if (rc != FM_OK) {
        free(c);
        return rc;
    }
    if (c->node != NULL)
        c->node->effects = (struct fm_effects){.ctx = c, .result = on_result, .taken = on_taken};
    *out = c;
    return FM_OK;
}

bool fm_client_running(const struct fm_client *c)
{
    return c->fd >= 0;
}

struct fm_node *fm_client_node(const struct fm_client *c)
{
    return c->node;
}

static int call_here(struct fm_client *c, const json_t *request, json_t **answer)
{
    struct fm_op *op = fm_op_new(c->node, NULL, request);
    if (op == NULL)
        return FM_ENOMEM;
    int rc = fm_node_begin(c->node);
    if (rc == FM_OK) {
        rc = fm_op_begin(op);
        int committed = fm_node_commit(c->node);
        rc = rc != FM_OK ? rc : committed;
    }
    *answer = json_deep_copy(fm_op_end(op, rc));
    fm_op_free(op);
    return *answer == NULL ? FM_ENOMEM : FM_OK;
}

int fm_client_ask(struct fm_client *c, const json_t *request)
{
    json_t *answer;
    if (c->fd >= 0)
        return fm_control_ask(c->fd, request);
    if (c->heard == NULL && (c->heard = json_array()) == NULL)
        return FM_ENOMEM;
    int rc = call_here(c, request, &answer);
    return rc != FM_OK ? rc : json_array_append_new(c->heard, answer) == 0 ? FM_OK : FM_ENOMEM;
}

int fm_client_hear(struct fm_client *c, json_t **answer)
{
    if (c->fd >= 0)
        return fm_control_hear(c->fd, answer);
    *answer = json_incref(json_array_get(c->heard, 0));
    json_array_remove(c->heard, 0);
    return FM_OK;
}

int fm_client_call(struct fm_client *c, const json_t *request, json_t **answer)
{
    int rc = fm_client_ask(c, request);
    return rc == FM_OK ? fm_client_hear(c, answer) : rc;
}

void fm_client_close(struct fm_client *c)
{
    if (c == NULL)
        return;
    if (c->fd >= 0)
        close(c->fd);
    if (c->node != NULL)
        fm_node_close(c->node);
    json_decref(c->heard);
    free(c);
}
