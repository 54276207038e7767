/* A store that lost something: the read port of a node without one set, or without what stands in it. For one node at a
 * time, until its core starts anew. */
#ifndef FM_TESTS_LOST_H
#define FM_TESTS_LOST_H

#include "replication/error.h"
#include "tests/support/lab.h"

static struct {
    const struct fm_port *whole;
    struct fm_port port;
    uint64_t index; /* this sequence number is in no index of sets */
    uint64_t next;  /* this arrival is passed over by set_next */
    uint64_t bytes; /* the bytes of this arrival are cut short, or answered with … */
    int answer;     /* … this, if it is not 0 */
} lost;

static inline int lost_set_get(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                               struct fm_set_meta *out)
{
    return sequence == lost.index ? FM_ENOTFOUND : lost.whole->set_get(ctx, stream, sequence, id, out);
}

static inline int lost_set_next(void *ctx, uint64_t from, struct fm_set_meta *out)
{
    return lost.whole->set_next(ctx, from == lost.next ? from + 1 : from, out);
}

static inline int lost_set_bytes(void *ctx, uint64_t arrival, struct fm_buf *out)
{
    if (arrival == lost.bytes && lost.answer != 0)
        return lost.answer;
    int rc = lost.whole->set_bytes(ctx, arrival, out);
    out->len -= rc == FM_OK && arrival == lost.bytes;
    return rc;
}

static inline int lost_stream_sets(void *ctx, const struct fm_stream *stream, uint64_t from, struct fm_set_meta *out,
                                   size_t max, size_t *count)
{
    return lost.whole->stream_sets(ctx, stream, from == lost.index ? from + 1 : from, out, max, count);
}

/* What is lost is set in `lost` afterwards. */
static inline void lost_open(struct fm_lab_node *n)
{
    lost.whole = fm_memory_port(n->store);
    lost.port = *lost.whole;
    lost.port.set_get = lost_set_get;
    lost.port.set_next = lost_set_next;
    lost.port.set_bytes = lost_set_bytes;
    lost.port.stream_sets = lost_stream_sets;
    lost.index = lost.next = lost.bytes = 0;
    lost.answer = FM_OK;
    n->core->port = &lost.port;
}

#endif
