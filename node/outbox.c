#include "node/outbox.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/error.h"

struct effect {
    struct effect *next;
    struct fm_action action;
    struct fm_result result;
};
struct fm_outbox {
    struct effect *first, **end;
    struct fm_arena arena; /* effects and what they point at */
    size_t bytes;
    int error;
};

struct fm_outbox *fm_outbox_new(void)
{
    struct fm_outbox *o = calloc(1, sizeof *o);
    if (o != NULL)
        o->end = &o->first;
    return o;
}

void fm_outbox_free(struct fm_outbox *o)
{
    if (o == NULL)
        return;
    fm_arena_fini(&o->arena);
    free(o);
}

static int copy(struct fm_outbox *o, struct fm_span *span)
{
    if (span->len == 0)
        return FM_OK;
    o->bytes += span->len;
    span->data = o->bytes > FM_OUTBOX_BYTES_MAX ? NULL : fm_arena_copy(&o->arena, *span);
    return span->data == NULL ? FM_ENOMEM : FM_OK;
}

int fm_outbox_add(struct fm_outbox *o, const struct fm_action *action)
{
    assert(action->kind != FM_DO_ROW);
    struct effect *e = fm_arena_take(&o->arena, sizeof *e);
    if (e == NULL)
        return FM_ENOMEM;
    o->bytes += sizeof *e;
    e->action = *action;
    int rc = copy(o, &e->action.bytes);
    if (rc == FM_OK && action->kind == FM_DO_REPORT && action->report == FM_REPORT_RESULT) {
        e->result = *action->result;
        e->action.result = &e->result;
        e->action.ticket = e->result.ticket;
        rc = copy(o, &e->result.offline_id);
        if (rc == FM_OK)
            rc = copy(o, &e->result.document);
    }
    if (rc != FM_OK)
        return rc;
    *o->end = e;
    o->end = &e->next;
    return FM_OK;
}

static void report(const struct fm_action *a, const struct fm_effects *to, int error)
{
    switch (a->report) {
    case FM_REPORT_RESULT:
        if (to->result != NULL)
            to->result(to->ctx, a->ticket, a->result, error);
        break;
    case FM_REPORT_TAKEN:
        if (to->taken != NULL)
            to->taken(to->ctx, a->ticket, error != FM_OK ? error : a->error, &a->set);
        break;
    case FM_REPORT_PEER:
        if (error == FM_OK && to->peer != NULL)
            to->peer(to->ctx, a->conn);
        break;
    case FM_REPORT_MEMBERS:
        if (error == FM_OK && to->members != NULL)
            to->members(to->ctx);
        break;
    case FM_REPORT_REFUSED:
        if (error == FM_OK && to->refused != NULL)
            to->refused(to->ctx, a->conn, a->reason);
        break;
    default: assert(!"a report of the core's own kinds");
    }
}

void fm_outbox_release(struct fm_outbox *o, const struct fm_effects *effects, int error)
{
    /* taken out first: an effect may run a turn of its own */
    struct fm_effects to = *effects;
    struct fm_arena arena = o->arena;
    struct effect *first = o->first;
    *o = (struct fm_outbox){.end = &o->first};
    for (const struct effect *e = first; e != NULL; e = e->next) {
        const struct fm_action *a = &e->action;
        if (a->kind == FM_DO_REPORT)
            report(a, &to, error);
        else if (a->kind == FM_DO_SEND && error == FM_OK && to.send != NULL)
            to.send(to.ctx, a->conn, a->bytes);
        else if (a->kind == FM_DO_DROP && error == FM_OK && to.drop != NULL)
            to.drop(to.ctx, a->conn, a->reason);
    }
    if (o->arena.first == NULL) {
        fm_arena_reset(&arena); /* keeps a block for the next turn */
        o->arena = arena;
    } else {
        fm_arena_fini(&arena);
    }
}

int fm_outbox_error(const struct fm_outbox *o)
{
    return o->error;
}

void fm_outbox_error_set(struct fm_outbox *o, int error)
{
    if (o->error == FM_OK)
        o->error = error;
}
