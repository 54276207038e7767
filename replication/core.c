#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

struct fm_repl *fm_repl_new(const struct fm_self *self, const struct fm_crypto *crypto, const struct fm_port *port)
{
    struct fm_repl *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->self = *self;
    if (r->self.kind_last == 0)
        r->self.kind_last = FM_KIND_LAST;
    r->crypto = crypto;
    r->port = port;
    r->arrival_next = 1;
    r->epoch = 1;
    r->authority = fm_authority_new(&self->root, fm_judge_on_chain, r);
    r->vector = fm_vector_new();
    r->opened = fm_opened_new();
    r->turn = fm_turn_new();
    r->sessions = fm_sessions_new();
    r->touch = fm_touch_new();
    r->chain = fm_chain_new();
    if (r->authority != NULL && r->vector != NULL && r->opened != NULL && r->turn != NULL && r->sessions != NULL &&
        r->touch != NULL && r->chain != NULL)
        return r;
    fm_repl_free(r);
    return NULL;
}

void fm_repl_free(struct fm_repl *r)
{
    if (r == NULL)
        return;
    fm_authority_free(r->authority);
    fm_vector_free(r->vector);
    fm_opened_free(r->opened);
    fm_turn_free(r->turn);
    fm_sessions_free(r->sessions);
    fm_touch_free(r->touch);
    fm_chain_free(r->chain);
    fm_keys_wipe(r);
    fm_arena_fini(&r->scratch);
    free(r);
}

/* --- START: what is held in memory is read from the store --- */

static int load_stream(void *arg, const struct fm_stream_row *row)
{
    struct fm_repl *r = arg;
    return fm_vector_load(r->vector, row);
}

static int by_arrival(const void *x, const void *y)
{
    const struct fm_set_meta *a = x, *b = y;
    return (a->arrival > b->arrival) - (a->arrival < b->arrival);
}

/* The lane-0 sets that may act, in the order they came: each one's grant came before it. */
static int load_authority(struct fm_repl *r)
{
    struct fm_set_meta *sets = NULL;
    struct fm_paging paging;
    size_t count = 0, cap = 0;
    int rc = FM_OK;
    for (size_t i = 0; rc == FM_OK && i < fm_vector_count(r->vector); i++) {
        const struct fm_stream_row *row = fm_vector_at(r->vector, i);
        const struct fm_set_meta *set;
        if (row->stream.lane != FM_LANE_MEMBERSHIP)
            continue;
        fm_paging_init(&paging, &row->stream, 1);
        while ((rc = fm_paging_next(r, &paging, &set)) == FM_OK) {
            if (count == cap) {
                cap = 2 * cap + 32;
                struct fm_set_meta *more = realloc(sets, cap * sizeof *sets);
                if (more == NULL) {
                    free(sets);
                    return FM_ENOMEM;
                }
                sets = more;
            }
            sets[count++] = *set;
        }
        rc = rc == FM_ENOTFOUND ? FM_OK : rc;
    }
    if (rc == FM_OK && count > 0)
        qsort(sets, count, sizeof *sets, by_arrival);
    for (size_t i = 0; rc == FM_OK && i < count; i++)
        rc = fm_intake_load_acts(r, &sets[i]);
    free(sets);
    struct fm_key authors[16];
    while (rc == FM_OK && fm_authority_stale(r->authority, authors, 16) > 0)
        continue; /* the verdicts in the store are those of this authority already */
    return rc;
}

static int start(struct fm_repl *r)
{
    struct fm_record_ref touched;
    size_t count = 0;
    assert(!r->started);
    int rc = r->port->stream_each(r->port->ctx, load_stream, r);
    uint64_t last = 0;
    if (rc == FM_OK)
        rc = r->port->arrival_last(r->port->ctx, &last);
    r->arrival_next = last + 1;
    if (rc == FM_OK)
        rc = fm_turn_clock_load(r);
    if (rc == FM_OK)
        rc = load_authority(r);
    if (rc == FM_OK)
        rc = fm_receipt_load(r);
    if (rc == FM_OK)
        rc = r->port->touched(r->port->ctx, &touched, 1, &count);
    r->todo = rc == FM_OK && count > 0;
    r->started = rc == FM_OK;
    return rc;
}

/* --- events --- */

static int report_taken(struct fm_repl *r, int error, const struct fm_set_id *set)
{
    struct fm_action report = {.report = FM_REPORT_TAKEN, .ticket = r->event->ticket, .error = error};
    if (set != NULL)
        report.set = *set;
    return fm_emit_report(r, &report);
}

/* One set (an array of three) or one statement (of two) from a file. */
static int take(struct fm_repl *r, struct fm_span bytes)
{
    int refused = FM_EFORMAT, rc = FM_OK;
    struct fm_set_meta meta;
    bool is_set = bytes.len > 0 && bytes.data[0] == 0x93;
    if (is_set)
        rc = fm_intake(r, bytes, &refused, &meta);
    else if (bytes.len > 0 && bytes.data[0] == 0x92)
        rc = fm_receipt_take(r, bytes, &refused);
    if (rc != FM_OK)
        return rc;
    if (is_set && refused == FM_OK)
        fm_session_note_set(r, &meta, 0);
    return report_taken(r, refused, is_set && (refused == FM_OK || refused == FM_EEXISTS) ? &meta.id : NULL);
}

static int act(struct fm_repl *r, const struct fm_act *operators_act)
{
    int refused;
    struct fm_set_id id;
    int rc = fm_turn_act(r, operators_act, &refused, &id);
    return rc != FM_OK ? rc : report_taken(r, refused, refused == FM_OK ? &id : NULL);
}

static int epoch_notice(struct fm_repl *r, uint64_t epoch)
{
    int rc = fm_receipt_epoch(r, epoch);
    return fm_emit_fatal(rc) ? rc : report_taken(r, rc, NULL);
}

static int turn_end(struct fm_repl *r)
{
    struct fm_record_ref record;
    int rc = fm_touch_work(r, true);
    while (rc == FM_OK && fm_repl_role(r) == FM_ROLE_COORDINATOR && fm_touch_disputed(r, &record) == FM_OK)
        rc = fm_settle_by_policy(r, &record);
    if (rc == FM_OK)
        rc = fm_touch_settle(r);
    if (rc == FM_OK)
        rc = fm_turn_close(r);
    if (rc == FM_OK)
        rc = fm_touch_settle(r); /* a set may have been closed under another verdict than it was opened */
    if (rc == FM_OK)
        rc = fm_session_turn_end(r);
    if (rc == FM_OK)
        rc = fm_turn_clock_save(r);
    fm_touch_turn(r);
    return rc;
}

static int tick(struct fm_repl *r)
{
    int rc = fm_touch_work(r, false);
    return rc != FM_OK ? rc : fm_session_tick(r);
}

static int dispatch(struct fm_repl *r, const struct fm_event *e)
{
    assert(r->started == (e->kind != FM_EVENT_START));
    switch (e->kind) {
    case FM_EVENT_START: return start(r);
    case FM_EVENT_SUBMIT: return fm_submit(r, e->submission);
    case FM_EVENT_RESOLVE: return fm_resolve(r, e->resolution);
    case FM_EVENT_ACT: return act(r, e->act);
    case FM_EVENT_EPOCH: return epoch_notice(r, e->number);
    case FM_EVENT_TAKE: return take(r, e->bytes);
    case FM_EVENT_PEER_UP: return fm_session_up(r, e->conn, &e->transport, e->initiator);
    case FM_EVENT_PEER_DOWN: return fm_session_down(r, e->conn);
    case FM_EVENT_RECEIVE: return fm_session_receive(r, e->conn, e->bytes);
    case FM_EVENT_SYNC: return fm_session_sync(r, e->conn);
    case FM_EVENT_TURN_END: return turn_end(r);
    case FM_EVENT_TICK:
    default: assert(e->kind == FM_EVENT_TICK); return tick(r);
    }
}

int fm_repl_step(struct fm_repl *r, const struct fm_event *event, const struct fm_sink *sink)
{
    uint64_t epoch = r->epoch;
    fm_arena_reset(&r->scratch);
    r->event = event;
    r->sink = sink;
    r->seed_used = 0;
    int rc = dispatch(r, event);
    if (rc == FM_OK)
        rc = fm_touch_settle(r);
    if (rc == FM_OK && r->epoch != epoch) { /* grants may have expired */
        struct fm_action report = {.report = FM_REPORT_MEMBERS};
        rc = fm_emit_report(r, &report);
    }
    r->event = NULL;
    r->sink = NULL;
    assert(rc == FM_OK || fm_emit_fatal(rc));
    return rc;
}
