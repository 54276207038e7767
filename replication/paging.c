#include "replication/inner.h"

#include <assert.h>

void fm_paging_init(struct fm_paging *p, const struct fm_stream *stream, uint64_t from)
{
    p->stream = *stream;
    p->from = from;
    p->at = p->count = 0;
    p->last = false;
}

/* A full page may end amid the sets of one sequence number (a fork): these are left to the next page. */
static int page(struct fm_repl *r, struct fm_paging *p)
{
    size_t count = 0;
    int rc = r->port->stream_sets(r->port->ctx, &p->stream, p->from, p->page, FM_PAGING_SETS, &count);
    if (rc != FM_OK)
        return rc;
    p->at = 0;
    p->count = count;
    p->last = count < FM_PAGING_SETS;
    if (p->last)
        return FM_OK;
    uint64_t end = p->page[count - 1].sequence;
    while (p->count > 0 && p->page[p->count - 1].sequence == end)
        p->count--;
    if (p->count == 0)
        return FM_ECORRUPT; /* more branches at one number than the intake ever takes in */
    p->from = end;
    return FM_OK;
}

int fm_paging_next(struct fm_repl *r, struct fm_paging *p, const struct fm_set_meta **out)
{
    _Static_assert(FM_PAGING_SETS > FM_STREAM_TIPS_MAX, "a page must hold all branches at one sequence number");
    if (p->at == p->count) {
        int rc = p->last ? FM_ENOTFOUND : page(r, p);
        if (rc != FM_OK)
            return rc;
        if (p->count == 0)
            return FM_ENOTFOUND;
    }
    *out = &p->page[p->at++];
    return FM_OK;
}
