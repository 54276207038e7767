/* What the rooms of the core's own work share among themselves: keys, opened sets, verdicts, folds, the running turn. */
#ifndef FM_REPLICATION_INNER_H
#define FM_REPLICATION_INNER_H

#include "replication/error.h"
#include "replication/repl.h"

/* Does this code tell of the environment (passed up, the turn is lost), or of the input? */
bool fm_emit_fatal(int rc);

/* --- keys.c: data keys --- */
const struct fm_key *fm_keys_find(const struct fm_repl *r, const struct fm_data_key_id *id);
/* Unboxes the keys of a grant made out to this node; *fresh is set if one of them was not held. 0, FM_ENOMEM. */
int fm_keys_take(struct fm_repl *r, const struct fm_grant *grant, bool *fresh);
/* The key to seal under: the one whose first grant is the newest. NULL: none is held. */
const struct fm_data_key *fm_keys_best(const struct fm_repl *r);
void fm_keys_wipe(struct fm_repl *r);

/* --- refs.c: a queue of records; one that is pending stands in it once --- */
struct fm_refs {
    struct fm_record_ref *at;
    bool *gone;
    size_t count, cap, next;
    uint32_t *slots; /* index + 1 of the newest entry of a record */
    size_t slot_count;
    uint64_t salt;
    bool once;       /* what was taken does not come again before the reset */
};
int fm_refs_add(struct fm_refs *q, const struct fm_record_ref *ref); /* 0, FM_ENOMEM */
bool fm_refs_take(struct fm_refs *q, struct fm_record_ref *out);
bool fm_refs_has(const struct fm_refs *q, const struct fm_record_ref *ref);
void fm_refs_drop(struct fm_refs *q, const struct fm_record_ref *ref);
void fm_refs_reset(struct fm_refs *q);
void fm_refs_fini(struct fm_refs *q);

/* --- opened.c --- */
struct fm_opened_set {
    struct fm_set_header header;
    uint32_t count;
    const struct fm_span *items;
};
struct fm_opened *fm_opened_new(void);
void fm_opened_free(struct fm_opened *o);
/* A held set, opened; borrowed until the next fm_opened_* call with another arrival. FM_EKEY, FM_EFORMAT; FM_ECORRUPT: the
 * log lacks it. */
int fm_opened_get(struct fm_repl *r, uint64_t arrival, const struct fm_opened_set **out);
/* The same for a set whose bytes are at hand, and which was not opened before. */
int fm_opened_take(struct fm_repl *r, uint64_t arrival, const struct fm_set *set, const struct fm_opened_set **out);

/* --- vector.c --- */
/* FM_ELIMIT if one more set after prev would be a branch or a stream too many. */
int fm_vector_room(const struct fm_vector *v, const struct fm_stream *stream, const struct fm_set_id *prev);

/* --- intake.c --- */
/* A set of our own whose rows are written: its acts, and what follows from them. */
int fm_intake_own(struct fm_repl *r, const struct fm_set_meta *meta, const struct fm_span *items, uint32_t count);
/* An unreadable set whose key may be held now. */
int fm_intake_again(struct fm_repl *r, const struct fm_set_meta *meta);
/* A set of the log as if it had just been taken in (reindex). FM_ECORRUPT if it cannot have been. */
int fm_intake_log(struct fm_repl *r, uint64_t arrival);
/* At START: the acts of a held lane-0 set. */
int fm_intake_load_acts(struct fm_repl *r, const struct fm_set_meta *meta);

/* --- chain.c --- */
struct fm_chain *fm_chain_new(void);
void fm_chain_free(struct fm_chain *c);
/* Is set on the chain that ends in the held set `cut` of its stream? low: the stream's lowest fork. 1, 0 or an error. */
int fm_chain_has(struct fm_repl *r, const struct fm_set_meta *cut, uint64_t low, const struct fm_set_meta *set);

/* --- judge.c --- */
fm_on_chain fm_judge_on_chain; /* ctx: struct fm_repl */
int fm_judge_author(struct fm_repl *r, const struct fm_key *author);
int fm_judge_keys(struct fm_repl *r); /* data keys came: unreadable sets are tried again */
/* Writes a set's new verdict and what follows from it for its versions. */
int fm_judge_apply(struct fm_repl *r, const struct fm_set_meta *meta, uint8_t verdict);

/* All sets of a stream in key order, page by page. */
#define FM_PAGING_SETS 32
struct fm_paging {
    struct fm_stream stream;
    uint64_t from; /* sequence the next page starts at */
    size_t at, count;
    bool last;
    struct fm_set_meta page[FM_PAGING_SETS];
};
void fm_paging_init(struct fm_paging *p, const struct fm_stream *stream, uint64_t from);
/* FM_ENOTFOUND at the end. */
int fm_paging_next(struct fm_repl *r, struct fm_paging *p, const struct fm_set_meta **out);

/* --- touch.c, head.c --- */
struct fm_touch *fm_touch_new(void);
void fm_touch_free(struct fm_touch *t);
bool fm_touch_pending(const struct fm_repl *r); /* marks of this step that are not folded */
/* The short way for the first version of a record, without parents: folded and written at once. *done tells. */
int fm_touch_first(struct fm_repl *r, struct fm_version *v, bool *done);
int fm_touch_work(struct fm_repl *r, bool turn_end); /* folds from the persisted list */
void fm_touch_turn(struct fm_repl *r);               /* a new turn begins */
/* Fills what a record shows from its folded versions; order: the counted ones. before: NULL if it had none. */
int fm_head_of(struct fm_repl *r, struct fm_arena *arena, const struct fm_record_ref *ref, struct fm_version *versions,
               size_t count, struct fm_version **order, size_t order_count, const struct fm_head *before,
               struct fm_head *out);
/* Does a head show the same (all but the digest)? */
bool fm_head_same(const struct fm_head *a, const struct fm_head *b);

/* --- turn.c --- */
struct fm_turn *fm_turn_new(void);
/* The grant this node writes under now and the epoch it writes; NULL: not joined. */
const struct fm_grant *fm_turn_grant(const struct fm_repl *r, uint64_t *epoch);
/* An operator's act, in a set of its own so that its effect shows at once. *refused: 0, FM_ENOTJOINED, FM_EROLE, … */
int fm_turn_act(struct fm_repl *r, const struct fm_act *act, int *refused, struct fm_set_id *id);
/* The clock rises with what is held less than 24 h ahead of this wall clock; kept in the store when it rose. */
void fm_turn_clock(struct fm_repl *r, uint64_t time);
int fm_turn_clock_load(struct fm_repl *r);
int fm_turn_clock_save(struct fm_repl *r);

#endif
