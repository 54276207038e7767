/* Inside of receipt.c and custody.c: the statements held, in memory. */
#ifndef FM_REPLICATION_RECEIPT_H
#define FM_REPLICATION_RECEIPT_H

#include "replication/session.h"
#include "replication/statement.h"

#define FM_RECEIPT_TIPS_MAX 1050u /* 62 bytes each: fills FM_STATEMENT_BYTES_MAX */

/* One statement held; sorted by kind and signer. */
struct fm_known {
    uint8_t kind;
    struct fm_key signer;
    struct fm_grant_id grant;
    uint64_t counter, epoch;
    uint8_t hash[16]; /* of its bytes */
    uint64_t stamp;   /* rises with each that is taken in */
    uint32_t from;    /* the connection that told it; 0: none */
};
/* What a coordinator's receipts of one store say; tips sorted by stream and sequence. */
struct fm_hub {
    struct fm_key author;
    struct fm_grant_id grant;
    struct fm_store_id store;
    struct fm_receipt_tip *tips;
    size_t tip_count;
};
struct fm_receipts {
    struct fm_known *known;
    size_t known_count, known_cap;
    uint64_t stamp;
    struct fm_hub *hubs;
    size_t hub_count;
    bool own_known;
    uint8_t own[32];            /* hash of what our last receipt says */
};

/* A coordinator's receipt, newer than all of its before. 0 or FM_ENOMEM. */
int fm_custody_keep(struct fm_repl *r, const struct fm_statement *s);

#endif
