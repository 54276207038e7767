#include "replication/inner.h"

#include <assert.h>

void fm_cursor_init(struct fm_cursor *c, const struct fm_stream *stream, uint64_t from)
{
    c->stream = *stream;
    c->from = from;
    c->at = c->count = 0;
    c->last = false;
}

/* A full page may end amid the sets of one sequence number (a fork): these are left to the next page. */
static int page(struct fm_repl *r, struct fm_cursor *c)
{
    size_t count = 0;
    int rc = r->port->stream_sets(r->port->ctx, &c->stream, c->from, c->page, FM_CURSOR_PAGE, &count);
    if (rc != FM_OK)
        return rc;
    c->at = 0;
    c->count = count;
    c->last = count < FM_CURSOR_PAGE;
    if (c->last)
        return FM_OK;
    uint64_t end = c->page[count - 1].sequence;
    while (c->count > 0 && c->page[c->count - 1].sequence == end)
        c->count--;
    if (c->count == 0)
        return FM_ECORRUPT; /* more branches at one number than the intake ever takes in */
    c->from = end;
    return FM_OK;
}

int fm_cursor_next(struct fm_repl *r, struct fm_cursor *c, const struct fm_set_meta **out)
{
    _Static_assert(FM_CURSOR_PAGE > FM_STREAM_TIPS_MAX, "a page must hold all branches at one sequence number");
    if (c->at == c->count) {
        int rc = c->last ? FM_ENOTFOUND : page(r, c);
        if (rc != FM_OK)
            return rc;
        if (c->count == 0)
            return FM_ENOTFOUND;
    }
    *out = &c->page[c->at++];
    return FM_OK;
}
