/* Statements: signed by a member, in no stream; per signer and kind the highest counter is kept (DESIGN.md section 6).
 *   msgpack [ bin content, bin signature ]; signature over BLAKE2b-256(domain, mesh id, content)
 *   content  receipt       [1, author, grant id, counter, store id, [[stream hash 24, sequence, first 24 of set id], …]]
 *            epoch notice  [2, author, grant id, counter, epoch] */
#ifndef FM_REPLICATION_STATEMENT_H
#define FM_REPLICATION_STATEMENT_H

#include "replication/ports.h"
#include "replication/types.h"

enum fm_statement_kind { FM_RECEIPT = 1, FM_EPOCH_NOTICE = 2 };

struct fm_receipt_tip {
    uint8_t stream[FM_STREAM_HASH_BYTES];
    uint64_t sequence;
    uint8_t set[24];
};
struct fm_statement {
    uint8_t kind;
    struct fm_key author;
    struct fm_grant_id grant;
    uint64_t counter; /* a receipt's starts at the signer's wall milliseconds and only rises */
    struct fm_store_id store; /* receipt */
    uint64_t epoch;           /* epoch notice */
    uint32_t tip_count;       /* receipt; read one by one with fm_statement_tip */
    struct fm_span tips;      /* borrowed, packed */
    struct fm_span bytes;     /* the whole signed statement, borrowed */
};

/* Form and signature; that the author holds a valid grant is the caller's check. 0, FM_EFORMAT, FM_ELIMIT, FM_ESIGNATURE. */
int fm_statement_decode(struct fm_statement *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_span bytes);
/* Reads the tip at the front of *tips and moves on; FM_ENOTFOUND at the end. */
int fm_statement_tip(struct fm_span *tips, struct fm_receipt_tip *out);
/* Signs with c->sign and appends. Uses kind, author, grant, counter, store or epoch, and for a receipt `tips`/`count`. */
int fm_statement_sign(struct fm_buf *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh,
                      const struct fm_statement *statement, const struct fm_receipt_tip *tips, uint32_t count);

#endif
