#include "replication/inner.h"

#include <assert.h>

static int act(struct fm_repl *r, const struct fm_action *action)
{
    int rc = r->sink->act(r->sink->ctx, action);
    assert(rc <= 0);
    return rc;
}

int fm_emit_row(struct fm_repl *r, const struct fm_row *row)
{
    struct fm_action action = {.kind = FM_DO_ROW, .row = *row};
    return act(r, &action);
}

int fm_emit_send(struct fm_repl *r, uint32_t conn, struct fm_span bytes)
{
    assert(bytes.len <= FM_MESSAGE_BYTES_MAX);
    struct fm_action action = {.kind = FM_DO_SEND, .conn = conn, .bytes = bytes};
    return act(r, &action);
}

int fm_emit_drop(struct fm_repl *r, uint32_t conn, const char *reason)
{
    struct fm_action action = {.kind = FM_DO_DROP, .conn = conn, .reason = reason};
    return act(r, &action);
}

int fm_emit_report(struct fm_repl *r, const struct fm_action *report)
{
    struct fm_action action = *report;
    action.kind = FM_DO_REPORT;
    return act(r, &action);
}

void fm_fresh(struct fm_repl *r, uint8_t *out, size_t len)
{
    uint8_t counter[8], hash[64];
    assert(len <= sizeof hash && r->event != NULL);
    fm_be_put(counter, r->seed_used++, sizeof counter);
    struct fm_span parts[2] = {fm_span(r->event->seed, sizeof r->event->seed), fm_span(counter, sizeof counter)};
    r->crypto->hash(r->crypto->ctx, hash, sizeof hash, parts, 2);
    memcpy(out, hash, len);
}

bool fm_emit_fatal(int rc)
{
    return rc == FM_ENOMEM || rc == FM_ESTORE || rc == FM_ECORRUPT || rc == FM_EFULL || rc == FM_EDISKFULL || rc == FM_EIO;
}
