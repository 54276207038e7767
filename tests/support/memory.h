/* A store in memory: the same read port and rows as the real one (replication/row.h), for tests and the simulator.
 *
 * It is stricter than it need be: a row whose `before` is not what is stored is a bug of the core and asserts, as it would
 * leave stale keys in LMDB. Without transactions: fm_memory_clone is the commit's copy. */
#ifndef FM_TESTS_MEMORY_H
#define FM_TESTS_MEMORY_H

#include "replication/row.h"

struct fm_memory;

struct fm_memory *fm_memory_new(void);                            /* NULL: no memory */
struct fm_memory *fm_memory_clone(const struct fm_memory *from);  /* NULL: no memory; has its own port */
void fm_memory_free(struct fm_memory *m);
int fm_memory_apply(struct fm_memory *m, const struct fm_row *row); /* 0, FM_ENOMEM; copies all */
const struct fm_port *fm_memory_port(struct fm_memory *m);
/* As fm_store_clear_derived: all but the log, statements and meta is emptied. */
void fm_memory_clear_derived(struct fm_memory *m);

/* For tests that look inside: every record that has a head, in (kind, record) order, after `after` (NULL: first). */
bool fm_memory_next_head(const struct fm_memory *m, const struct fm_record_ref *after, struct fm_record_ref *out);
size_t fm_memory_version_count(const struct fm_memory *m);

#endif
