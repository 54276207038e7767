/* Inside of the scrub: what verify.c and links.c share. */
#ifndef FM_STORE_SCRUB_H
#define FM_STORE_SCRUB_H

#include "store/base.h"

struct fm_scrub {
    struct fm_store *s;
    struct fm_store_verify *v;
    struct fm_sums tally; /* counted again, row by row */
    uint64_t last_stamp;
    uint64_t done, total;
    bool unread;          /* a row beside the one that is looked at is damaged */
    uint8_t *live;        /* a bit a page: seen in use; NULL: no memory for it */
    size_t pages, page_bytes, used_pages;
};

/* Counts a problem and, up to a bound, tells it. */
void fm_scrub_say(struct fm_store_verify *v, enum fm_table table, struct fm_span key, const char *what);
/* Is this row, right in itself, also right beside the other tables? Tallies what the sums count. */
void fm_links_check(struct fm_scrub *c, enum fm_table table, struct fm_span key, struct fm_span body);
/* The pages LMDB takes for free: none of them may be in use, none listed twice. */
void fm_pages_seen(struct fm_scrub *c, struct fm_span value);
int fm_pages_check(struct fm_scrub *c, MDB_txn *txn);

/* A walk ends at its end, or at damage that was said; any other error ends the scrub. */
static inline int fm_scrub_goes_on(int error)
{
    return error == FM_ECORRUPT || error == FM_ENOTFOUND ? FM_OK : error;
}

#endif
