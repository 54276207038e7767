/* Inside of the store: its state, transactions and cursors. Included by store/ .c files only. */
#ifndef FM_STORE_BASE_H
#define FM_STORE_BASE_H

#include <assert.h>
#include <lmdb.h>

#include "replication/error.h"
#include "replication/set.h"
#include "store/keys.h"
#include "store/store.h"
#include "store/value.h"

#define FM_STORE_FORMAT 1u

/* Running numbers, one row in meta, written once a commit. All u64, so that they are encoded as a list (sums.c). */
struct fm_sums {
    uint64_t store_id, changes_id, fresh; /* fresh: how many ids were drawn */
    uint64_t arrival_last, change_number, stamp;
    uint64_t sets, versions, records, by_kind[FM_KIND_LAST + 1];
    uint64_t open, replaced, settled;
    uint64_t waiting, void_versions, quarantined_versions;
    uint64_t void_sets, quarantined_sets, unreadable_sets;
    uint64_t record_sum[4];
};
#define FM_SUMS_COUNT (sizeof(struct fm_sums) / sizeof(uint64_t))
#define FM_SUMS_BYTES sizeof(struct fm_sums)

struct fm_store {
    MDB_env *env;
    MDB_dbi dbi[FM_TABLE_END];
    const struct fm_crypto *crypto;
    struct fm_mesh_id mesh;
    uint8_t random[32];
    char *dir;
    int lock_fd;
    MDB_txn *txn;             /* the open write transaction, or NULL */
    MDB_txn *reader;          /* kept between reads, reset; never held over a call (TRAPS L5) */
    unsigned reading;
    int error;                /* sticky, of the open transaction */
    int dead;                 /* after FM_EIO or FM_ESTORE: what every call answers from now on */
    struct fm_sums now, kept; /* as the open transaction sees them; as committed */
    uint64_t now_ms;
    bool stamped, dirty;
    size_t dirty_rows, dirty_bytes, used_bytes; /* of the open transaction; used_bytes: the file at its begin */
    uint64_t free_bytes;      /* of pages LMDB can use again, when last looked at */
    struct fm_port port;
};

/* --- sums.c --- */
void fm_sums_encode(uint8_t out[FM_SUMS_BYTES], const struct fm_sums *sums);
int fm_sums_decode(struct fm_sums *out, struct fm_span body);
int fm_sums_load(struct fm_store *s);  /* reads the row into now and kept */
int fm_sums_rescue(struct fm_store *s); /* instead of a damaged row: the log's last arrival, fresh ids, else zeros */
int fm_sums_write(struct fm_store *s); /* in the open transaction */
void fm_sums_count_set(struct fm_sums *sums, uint8_t verdict, bool add);
void fm_sums_count_version(struct fm_sums *sums, const struct fm_version *v, bool add);
void fm_sums_count_head(struct fm_sums *sums, const struct fm_head *head, bool add);
uint64_t fm_sums_fresh(struct fm_store *s); /* a fresh id, never 0 */

/* --- txn.c --- */
int fm_txn_error(struct fm_store *s, int rc); /* LMDB's or errno's number as ours; marks the store dead where it is */
/* For calls that fail only if they are called wrongly. */
static inline void fm_txn_sure(int rc)
{
    assert(rc == 0);
    (void)rc;
}
/* The error of a look-up of what must be there. */
static inline int fm_txn_held(int error)
{
    return error == FM_ENOTFOUND ? FM_ECORRUPT : error;
}
int fm_txn_commit(struct fm_store *s); /* the open transaction as it is; it is gone whatever comes back (TRAPS L23) */
int fm_txn_fail(struct fm_store *s, int error); /* makes it sticky if an error, and returns what is sticky */
/* The open write transaction or a short read one; each begin that returned 0 needs its end. Nests. */
int fm_txn_read_begin(struct fm_store *s, MDB_txn **out);
void fm_txn_read_end(struct fm_store *s);
/* One row, checked. body dies at read_end or the next put (TRAPS L7). FM_ENOTFOUND, FM_ECORRUPT … */
int fm_txn_get(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, struct fm_span *body);
int fm_txn_get_raw(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, struct fm_span *value);
/* In the open transaction; errors are sticky. flags: 0, MDB_NOOVERWRITE (held already: FM_EINVAL), MDB_APPEND. */
int fm_txn_put(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, struct fm_span body, unsigned flags);
int fm_txn_put_parts(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, const struct fm_span *parts,
                     size_t count, unsigned flags); /* the value as it is, without check */
int fm_txn_del(struct fm_store *s, enum fm_table table, const struct fm_row_key *key, bool must); /* must: else FM_EINVAL */

/* A walk over the rows of one table whose keys begin with the first prefix_len bytes of `from`, from `from` on. Open only
 * between puts; on an error of open nothing is to be closed. */
struct fm_scan {
    struct fm_store *s;
    enum fm_table table;
    MDB_cursor *cursor;
    struct fm_row_key from;
    size_t prefix_len;
    bool started;
};
int fm_scan_open(struct fm_scan *scan, struct fm_store *s, enum fm_table table, const struct fm_row_key *from,
                 size_t prefix_len);
void fm_scan_close(struct fm_scan *scan);
int fm_scan_next(struct fm_scan *scan, struct fm_span *key, struct fm_span *body); /* FM_ENOTFOUND: no more */
int fm_scan_next_raw(struct fm_scan *scan, struct fm_span *key, struct fm_span *value);
/* The error of a list whose rows were read to their end. */
static inline int fm_scan_end(int error)
{
    return error == FM_ENOTFOUND ? FM_OK : error;
}

/* --- sets.c --- */
int fm_sets_put(struct fm_store *s, const struct fm_set_meta *meta, struct fm_span bytes);
int fm_sets_verdict(struct fm_store *s, const struct fm_set_meta *meta);
int fm_sets_tips(struct fm_store *s, const struct fm_stream_row *row);
/* A log entry taken apart; its header is checked by its id, not yet against the streams row. Borrowed from value. */
struct fm_log_entry {
    uint64_t arrival;
    struct fm_set set;
    struct fm_set_id id;
};
int fm_sets_log_open(struct fm_store *s, struct fm_log_entry *out, struct fm_span key, struct fm_span value);
/* Also its body hash and signature bytes. */
int fm_sets_log_check(struct fm_store *s, const struct fm_log_entry *entry, struct fm_span key, struct fm_span value);
int fm_sets_meta(struct fm_store *s, const struct fm_log_entry *entry, struct fm_set_meta *out);
/* By stream hash and index row; the log entry must be the one the row names. */
int fm_sets_meta_of(struct fm_store *s, struct fm_span key, struct fm_span body, struct fm_set_meta *out);
/* Are there log entries without index rows? So it is after fm_store_clear_derived. */
int fm_sets_rebuilding(struct fm_store *s, bool *out);

/* --- versions.c, heads.c --- */
int fm_versions_put(struct fm_store *s, const struct fm_version *v, const struct fm_version *before);
int fm_versions_conflict(struct fm_conflict *out, struct fm_span key, struct fm_span body); /* decode */
int fm_heads_put(struct fm_store *s, const struct fm_head *head, bool is_new, bool changed);
void fm_heads_alias_hash(struct fm_store *s, uint8_t out[FM_KEYS_OFFLINE_HASH_BYTES], struct fm_span offline_id);
/* The keys under which a head stands in by_entity: 0 to 2. */
size_t fm_heads_entity_keys(const struct fm_head *head, struct fm_row_key out[2]);

/* --- port.c --- */
void fm_port_init(struct fm_store *s);
int fm_port_head_of(struct fm_span key, struct fm_span body, struct fm_arena *arena, struct fm_head *out);

/* --- pages.c --- */
/* Before LMDB opens a file with commits in it: FM_ECORRUPT if it is too short, or names a last page far behind its end (LMDB
 * would ask for so large a map: "no memory"). No file: FM_OK. */
int fm_pages_fit(const char *data);
int fm_pages_metas(struct fm_store *s); /* FM_ECORRUPT if LMDB may have taken an older commit for the last one */
int fm_pages_free(struct fm_store *s, MDB_txn *txn, size_t *pages); /* how many LMDB can use again; not in a write one */

/* --- env.c --- */
int fm_env_errno(int number); /* a file's trouble, not the store's: FM_EDISKFULL, FM_ENOMEM, else FM_EIO */
int fm_env_sync_dir(const char *dir);
int fm_env_sync_parent(const char *path);

#endif
