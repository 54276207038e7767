/* What coordinators' receipts cover: "at the hub" (DESIGN.md section 6, Statements). ask.c sums it up. */
#include "replication/receipt.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/error.h"

/* --- coordinators' receipts in memory --- */

static int by_stream(const void *a, const void *b)
{
    const struct fm_receipt_tip *x = a, *y = b;
    int order = memcmp(x->stream, y->stream, sizeof x->stream);
    if (order != 0)
        return order;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* The first tip of this stream; tip_count if there is none. */
static size_t tips_from(const struct fm_hub *hub, const uint8_t stream[static FM_STREAM_HASH_BYTES])
{
    size_t low = 0, high = hub->tip_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(hub->tips[middle].stream, stream, FM_STREAM_HASH_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < hub->tip_count && memcmp(hub->tips[low].stream, stream, FM_STREAM_HASH_BYTES) == 0;
    return found ? low : hub->tip_count;
}

static struct fm_hub *hub_make(struct fm_receipts *c, const struct fm_key *author)
{
    for (size_t i = 0; i < c->hub_count; i++) {
        if (fm_id_eq(&c->hubs[i].author, author))
            return &c->hubs[i];
    }
    struct fm_hub *hubs = realloc(c->hubs, (c->hub_count + 1) * sizeof *hubs);
    if (hubs == NULL)
        return NULL;
    c->hubs = hubs;
    hubs[c->hub_count] = (struct fm_hub){.author = *author};
    return &hubs[c->hub_count++];
}

int fm_custody_keep(struct fm_repl *r, const struct fm_statement *s)
{
    struct fm_hub *hub = hub_make(r->sessions->receipts, &s->author);
    if (hub == NULL)
        return FM_ENOMEM;
    struct fm_hub fresh = {.author = s->author, .grant = s->grant, .store = s->store};
    /* A receipt may name only the tips that changed; a new store starts from nothing. */
    size_t older = fm_id_eq(&hub->store, &s->store) ? hub->tip_count : 0;
    fresh.tips = malloc((s->tip_count + older + 1) * sizeof *fresh.tips);
    if (fresh.tips == NULL)
        return FM_ENOMEM;
    struct fm_span tips = s->tips;
    for (; fresh.tip_count < s->tip_count; fresh.tip_count++) {
        int rc = fm_statement_tip(&tips, &fresh.tips[fresh.tip_count]);
        assert(rc == FM_OK); /* it was decoded */
    }
    qsort(fresh.tips, fresh.tip_count, sizeof *fresh.tips, by_stream);
    size_t named = fresh.tip_count;
    for (size_t i = 0; i < older && fresh.tip_count < FM_STREAMS_MAX; i++) {
        struct fm_hub view = {.tips = fresh.tips, .tip_count = named};
        if (tips_from(&view, hub->tips[i].stream) == named)
            fresh.tips[fresh.tip_count++] = hub->tips[i];
    }
    if (fresh.tip_count > named)
        qsort(fresh.tips, fresh.tip_count, sizeof *fresh.tips, by_stream);
    free(hub->tips);
    *hub = fresh;
    return FM_OK;
}

/* --- does a receipt's tip cover a set? --- */

/* On the chain of the tip? Without a fork at or below it every held set of the stream is. */
static int on_chain(struct fm_repl *r, const struct fm_stream_row *row, const struct fm_receipt_tip *tip, uint64_t sequence,
                    const struct fm_set_id *id, bool *yes)
{
    struct fm_set_meta near[FM_STREAM_TIPS_MAX + 1], at;
    size_t count = 0, i = 0;
    *yes = false;
    if (tip->sequence < sequence)
        return FM_OK;
    if (row->fork_sequence == 0 || sequence < row->fork_sequence) {
        *yes = true;
        return FM_OK;
    }
    int rc = r->port->stream_sets(r->port->ctx, &row->stream, tip->sequence, near, FM_STREAM_TIPS_MAX + 1, &count);
    if (rc != FM_OK)
        return rc;
    while (i < count && (near[i].sequence != tip->sequence || memcmp(near[i].id.b, tip->set, sizeof tip->set) != 0))
        i++;
    if (i == count)
        return FM_OK; /* the tip is not held here: nobody knows what it stands on */
    at = near[i];
    while (at.sequence > sequence) {
        struct fm_set_id prev = at.prev;
        rc = r->port->set_get(r->port->ctx, &row->stream, at.sequence - 1, &prev, &at);
        if (rc != FM_OK)
            return rc == FM_ENOTFOUND ? FM_ECORRUPT : rc;
    }
    *yes = fm_id_eq(&at.id, id);
    return FM_OK;
}

/* What a coordinator wrote or holds itself is at the hub. */
static bool at_home(struct fm_repl *r, const struct fm_key *author)
{
    return fm_id_eq(author, &r->self.root) || fm_authority_is_hub(r->authority, &r->self.author) ||
           fm_authority_is_hub(r->authority, author);
}

int fm_receipt_covers(struct fm_repl *r, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                      bool *yes)
{
    const struct fm_receipts *c = r->sessions->receipts;
    const struct fm_stream_row *row = fm_vector_find(r->vector, stream);
    uint8_t hash[FM_STREAM_HASH_BYTES];
    assert(row != NULL);
    *yes = at_home(r, &stream->author);
    fm_stream_hash_of(hash, r->crypto, stream);
    for (size_t h = 0; h < c->hub_count && !*yes; h++) {
        const struct fm_hub *hub = &c->hubs[h];
        if (fm_authority_counting(r->authority, &hub->grant, &hub->author) == NULL)
            continue;
        for (size_t i = tips_from(hub, hash); i < hub->tip_count && !*yes; i++) {
            if (memcmp(hub->tips[i].stream, hash, sizeof hash) != 0)
                break;
            int rc = on_chain(r, row, &hub->tips[i], sequence, id, yes);
            if (rc != FM_OK)
                return rc;
        }
    }
    return FM_OK;
}
