/* Random rows as a core might emit them, and everything a read port answers about them as one string of bytes: two stores
 * that were given the same rows must give the same string. */
#ifndef FM_TESTS_STORE_ROWS_H
#define FM_TESTS_STORE_ROWS_H

#include "replication/ports.h"
#include "replication/row.h"

#define FM_ROWS_STREAMS 6u
#define FM_ROWS_RECORDS 24u
#define FM_ROWS_SETS_MAX 4096u

struct fm_rows {
    uint64_t random;
    const struct fm_crypto *crypto;
    const struct fm_port *port; /* what was emitted so far is read from here (`before`) */
    struct fm_mesh_id mesh;
    uint64_t arrival, reserved; /* the last one given; one given out and not yet used, or 0 */
    uint64_t sequence[FM_ROWS_STREAMS];
    struct fm_set_id tip[FM_ROWS_STREAMS];
    uint32_t versions;          /* version ids are made from 1 to this */
    struct fm_arena arena;
};
/* Applies a row, to as many stores as the test has; 0 or an error that ends the making. */
typedef int (*fm_rows_apply)(void *ctx, const struct fm_row *row);

void fm_rows_init(struct fm_rows *r, const struct fm_crypto *crypto, const struct fm_port *port, uint64_t seed);
void fm_rows_fini(struct fm_rows *r);
uint64_t fm_rows_random(struct fm_rows *r, uint64_t below);
/* One event's rows: a set and its stream's row; a version and its record's head; a verdict; a mark; … */
int fm_rows_make(struct fm_rows *r, fm_rows_apply apply, void *ctx);
int fm_rows_make_set(struct fm_rows *r, fm_rows_apply apply, void *ctx);
int fm_rows_make_version(struct fm_rows *r, fm_rows_apply apply, void *ctx);

struct fm_record_ref fm_rows_record(uint32_t i);   /* i below FM_ROWS_RECORDS */
struct fm_version_id fm_rows_version(uint32_t i);  /* i from 1 */
/* All answers about all that r can have made. */
void fm_rows_dump(const struct fm_rows *r, const struct fm_port *port, struct fm_buf *out);

#endif
