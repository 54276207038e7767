/* The store: LMDB tables behind the core's read port, one write transaction a loop turn (DESIGN.md section 5, TRAPS L1-L24).
 *
 * One process opens it (an flock on DIR/lock guards that). All durability flags are default. After FM_ESTORE or FM_EIO from
 * fm_store_commit the store answers nothing more: close it, verify, open it again. Not thread-safe. */
#ifndef FM_STORE_STORE_H
#define FM_STORE_STORE_H

#include "replication/ports.h"
#include "replication/row.h"
#include "replication/types.h"

struct fm_store;

struct fm_store_options {
    const char *dir;      /* holds data.mdb, lock.mdb, lock */
    size_t map_bytes;     /* 0: 16 GiB */
    bool create;          /* make it if there is none */
    bool force_fs;        /* also on NFS, CIFS, 9p, FUSE */
    bool rescue;          /* also if the running numbers are damaged: only to read the log, or to reindex at once */
};
/* 0, FM_ENOTFOUND (none there and !create), FM_EBUSY, FM_ENEWER, FM_ECORRUPT, FM_ESTORE, FM_EDISKFULL, FM_EFULL, FM_ENOMEM.
 * crypto is borrowed: hash for row checks. A new store gets a fresh random store id and changes id. */
int fm_store_open(struct fm_store **out, const struct fm_store_options *options, const struct fm_crypto *crypto,
                  const struct fm_mesh_id *mesh, const uint8_t random[32]);
void fm_store_close(struct fm_store *s); /* aborts an open transaction */

/* The write transaction of a turn. Its error is sticky: rows after the first error are ignored, commit returns it and
 * aborts. now_ms stamps what changes (rule 33: max(now, last stamp + 1 ms), one stamp a commit). */
int fm_store_begin(struct fm_store *s, uint64_t now_ms);
int fm_store_apply(struct fm_store *s, const struct fm_row *row);
int fm_store_commit(struct fm_store *s);
void fm_store_abort(struct fm_store *s);
bool fm_store_dirty(const struct fm_store *s);         /* rows were applied since begin */
size_t fm_store_dirty_bytes(const struct fm_store *s); /* estimate, for FM_TURN_DIRTY_BYTES_MAX */

/* The core's look-ups; read through the open write transaction, or a short read transaction without one. */
const struct fm_port *fm_store_port(struct fm_store *s);
struct fm_store_id fm_store_id(const struct fm_store *s);
uint64_t fm_store_changes_id(const struct fm_store *s);

/* Named values of the shell's (not the core's): "open-counter", "name". As the core's meta rows, other name space. */
int fm_store_note_get(struct fm_store *s, const char *name, struct fm_buf *out);
int fm_store_note_put(struct fm_store *s, const char *name, struct fm_span value); /* in the open transaction */

/* --- queries for people: each call is one short read transaction (or the open one) --- */
struct fm_store_counts {
    uint64_t sets, versions, records;        /* records: heads shown and not deleted, all kinds */
    uint64_t by_kind[FM_KIND_LAST + 1];      /* shown and not deleted */
    uint64_t open, replaced, settled;        /* conflict entries */
    uint64_t waiting, void_versions, quarantined_versions;
    uint64_t void_sets, quarantined_sets, unreadable_sets;
    uint64_t map_used_bytes, map_bytes;
};
int fm_store_counts(struct fm_store *s, struct fm_store_counts *out);

/* Records in the order they changed here; number > after. At most max. Heads are in the arena. */
struct fm_changed {
    uint64_t number, stamp;
    struct fm_head head;
};
int fm_store_changed(struct fm_store *s, uint64_t after, struct fm_arena *arena, struct fm_changed *out, size_t max,
                     size_t *count);
/* The number of the first change stamped at or after stamp_ms (rule 33, inclusive), minus 1; the newest number if later. */
int fm_store_changed_since(struct fm_store *s, uint64_t stamp_ms, uint64_t *after);
int fm_store_changed_last(struct fm_store *s, uint64_t *number, uint64_t *stamp);
/* Heads of a kind in record id order, after `after` (NULL: first). */
int fm_store_heads(struct fm_store *s, uint8_t kind, const struct fm_record_id *after, struct fm_arena *arena,
                   struct fm_head *out, size_t max, size_t *count);
/* Shown records of this kind with this offlineId, in id order; at most max (rule 54). */
int fm_store_namesakes(struct fm_store *s, uint8_t kind, struct fm_span offline_id, struct fm_record_id *out, size_t max,
                       size_t *count);
/* Records that share their offlineId with one of a lower id, `other`; after `after` (NULL: first). */
struct fm_duplicate {
    uint8_t kind;
    struct fm_record_id record, other;
    uint8_t at[41]; /* where it stands */
};
int fm_store_duplicates(struct fm_store *s, const struct fm_duplicate *after, struct fm_duplicate *out, size_t max,
                        size_t *count);
/* Conflict entries in conflict id order, after `after` (NULL: first); only open ones if open_only. */
struct fm_conflict {
    struct fm_conflict_id id;
    uint8_t kind;
    struct fm_record_id record;
    struct fm_version_id version;
    uint8_t place, cls;
    bool has_by;
    struct fm_version_id by;
};
int fm_store_conflicts(struct fm_store *s, bool open_only, const struct fm_conflict_id *after, struct fm_conflict *out,
                       size_t max, size_t *count);
int fm_store_conflict(struct fm_store *s, const struct fm_conflict_id *id, struct fm_conflict *out);
/* Sets that do not count, with their reason, by arrival after `after`. */
int fm_store_uncounted(struct fm_store *s, uint64_t after, struct fm_set_meta *out, size_t max, size_t *count);

/* --- safety (each its own file) --- */
struct fm_store_progress {
    void *ctx;
    void (*at)(void *ctx, uint64_t done, uint64_t total);
};
/* Rebuilds every derived table from the log: empties them, then feeds every set, in arrival order, through a fresh core
 * that `make` returns for this store's port (store → replication only: fm_repl_step with FM_EVENT_START, then the rows of
 * each held set again, fm_repl_reindex in replication/core.h's file). Keeps statements, notes, store id; new changes id. */
int fm_store_clear_derived(struct fm_store *s); /* in the open transaction */
/* Log entries without index rows: a reindex was begun and not finished; clear and begin it again. */
int fm_store_incomplete(struct fm_store *s, bool *out);
/* Every page, row check, log entry against its hashes, and every index against what the log says (a scratch rebuild in
 * scratch_dir, compared row by row). problems: how many were found; each is described to `say`. */
struct fm_store_verify {
    const char *scratch_dir;
    struct fm_store_progress progress;
    void *ctx;
    void (*say)(void *ctx, const char *problem);
    uint64_t problems, sets, rows;
};
/* Compares all derived tables of two open stores, key by key (arrival numbers and stamps of `changes` apart). */
int fm_store_compare(struct fm_store *a, struct fm_store *b, struct fm_store_verify *v);
/* Reads everything once: row checks, key order, every key found again from the root, log entries against hashes. Damage is
 * a problem; an error means that the look was cut short. */
int fm_store_scrub(struct fm_store *s, struct fm_store_verify *v);
/* A compact, consistent copy into a new file, synced and renamed into place; holds no identity. */
int fm_store_backup(struct fm_store *s, const char *file);
/* In the open transaction, before a restored copy is used: clears the notes "machine" and "open-counter" and the core's
 * FM_META_INCARNATION; draws a new store id and changes id. */
int fm_store_restored(struct fm_store *s);

#endif
