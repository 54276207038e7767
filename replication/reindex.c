#include "replication/inner.h"

#include <assert.h>

/* Arrival order is an order in which everything was taken in once: each set's grant and predecessor come before it. */
int fm_repl_reindex(struct fm_repl *r, const struct fm_event *event, const struct fm_sink *sink, uint64_t *from, size_t max)
{
    int rc = FM_OK;
    assert(!r->started && max > 0);
    fm_arena_reset(&r->scratch);
    r->event = event;
    r->sink = sink;
    r->seed_used = 0;
    fm_touch_turn(r); /* each call has a turn's folds */
    uint64_t next = *from > 0 ? *from : 1;
    for (size_t i = 0; rc == FM_OK && i < max; i++) {
        struct fm_set_meta at;
        rc = r->port->set_next(r->port->ctx, next, &at);
        if (rc == FM_OK) {
            rc = fm_intake_log(r, at.arrival);
            next = at.arrival + 1;
        }
    }
    bool end = rc == FM_ENOTFOUND;
    rc = end ? FM_OK : rc;
    if (rc == FM_OK)
        rc = fm_touch_settle(r);
    if (rc == FM_OK)
        rc = fm_touch_work(r, true);
    if (rc == FM_OK && (!end || r->todo))
        *from = next; /* not at the end before the to-do list is empty */
    else if (rc == FM_OK) {
        *from = 0;
        r->arrival_next = next;
    }
    r->event = NULL;
    r->sink = NULL;
    return rc;
}
