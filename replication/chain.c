#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

/* Which sets of a forked stream are on the chain that ends in a cut. All of a stream's sets are judged against the same
 * few cuts, so each chain is walked once, from the cut down to the lowest fork, and kept: else a long forked stream
 * would cost its length squared. A chain never changes, as each set names the one before it. */
#define CHAINS 8u

struct fm_chain {
    struct {
        struct fm_set_id cut;
        uint64_t low, high; /* sequence numbers; high 0: none */
        struct fm_set_id *ids;
    } kept[CHAINS];
    size_t next;
};

struct fm_chain *fm_chain_new(void)
{
    return calloc(1, sizeof(struct fm_chain));
}

void fm_chain_free(struct fm_chain *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < CHAINS; i++)
        free(c->kept[i].ids);
    free(c);
}

static int walk(struct fm_repl *r, const struct fm_set_meta *cut, uint64_t low, struct fm_set_id *ids)
{
    struct fm_set_meta at = *cut;
    for (;;) {
        ids[at.sequence - low] = at.id;
        if (at.sequence == low)
            return FM_OK;
        struct fm_set_id prev = at.prev;
        int rc = r->port->set_get(r->port->ctx, &cut->stream, at.sequence - 1, &prev, &at);
        if (rc != FM_OK)
            return rc == FM_ENOTFOUND ? FM_ECORRUPT : rc;
    }
}

int fm_chain_has(struct fm_repl *r, const struct fm_set_meta *cut, uint64_t low, const struct fm_set_meta *set)
{
    struct fm_chain *c = r->chain;
    size_t i = 0;
    assert(low > 0 && low <= set->sequence && set->sequence <= cut->sequence);
    while (i < CHAINS && (c->kept[i].high == 0 || !fm_id_eq(&c->kept[i].cut, &cut->id) || c->kept[i].low > low))
        i++;
    if (i == CHAINS) {
        i = c->next++ % CHAINS;
        free(c->kept[i].ids);
        c->kept[i].high = 0;
        c->kept[i].ids = malloc((size_t)(cut->sequence - low + 1) * sizeof *c->kept[i].ids); /* as many sets are held */
        int rc = c->kept[i].ids != NULL ? walk(r, cut, low, c->kept[i].ids) : FM_ENOMEM;
        if (rc != FM_OK)
            return rc;
        c->kept[i].cut = cut->id;
        c->kept[i].low = low;
        c->kept[i].high = cut->sequence;
    }
    return fm_id_eq(&c->kept[i].ids[set->sequence - c->kept[i].low], &set->id) ? 1 : 0;
}
