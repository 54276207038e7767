/* Who may write: grants, revocations, adoptions, and the verdict of each set by the three layers of authority
 * (DESIGN.md section 3; model/order.py intake() and verdicts()). In memory; built by the intake from lane-0 sets. */
#ifndef FM_REPLICATION_AUTHORITY_H
#define FM_REPLICATION_AUTHORITY_H

#include "replication/act.h"
#include "replication/core.h"
#include "replication/row.h"

struct fm_authority;

/* Tells whether `set` is on the hash chain that ends in the set a cut names (of the set's own stream): 1 yes, 0 no,
 * 2 the cut's set is not held, below 0 an environment error. */
typedef int fm_on_chain(void *ctx, const struct fm_set_meta *set, const struct fm_cut *cut);

/* on_chain is asked for coordinators' lane-0 sets while everything is judged again. */
struct fm_authority *fm_authority_new(const struct fm_key *root, fm_on_chain *on_chain, void *ctx);
void fm_authority_free(struct fm_authority *a);

/* A held lane-0 set of the root or of a coordinator's grant, with its acts in order; is_void: by its header. Copies.
 * Judges everything again; *changed: some grant, cut or adoption changed what counts (see fm_authority_stale). */
int fm_authority_add(struct fm_authority *a, const struct fm_set_meta *set, const struct fm_act *const *acts, size_t count,
                     bool is_void, bool *changed);
/* The grant of this id, if a held, not void set of a fitting role gives it (whether or not that set counts); NULL: none.
 * Borrowed until the next add. */
const struct fm_grant *fm_authority_grant(const struct fm_authority *a, const struct fm_grant_id *id);
/* Verdict of a set that is not void: FM_COUNTED or FM_QUARANTINED. 0 or on_chain's error. */
int fm_authority_judge(const struct fm_authority *a, const struct fm_set_meta *set, uint8_t *verdict);
/* A lane-0 set that a cut names arrived without fm_authority_add (its role is none that acts): judge everything again. */
int fm_authority_again(struct fm_authority *a, bool *changed);
/* Streams whose sets need to be judged again since the last call (authors, all their streams); up to max, 0: none left. */
size_t fm_authority_stale(struct fm_authority *a, struct fm_key *authors, size_t max);
/* Is this set id named by a cut? Then its arrival makes its stream stale. */
bool fm_authority_cuts_at(const struct fm_authority *a, const struct fm_set_id *set);

size_t fm_authority_member_count(const struct fm_authority *a);
void fm_authority_member(const struct fm_authority *a, size_t i, uint64_t epoch, struct fm_member *out);
/* The grant under which this author key or transport key may write or connect now: counted, not revoked, not expired at
 * epoch; the highest serial if several. NULL: none. */
const struct fm_grant *fm_authority_current(const struct fm_authority *a, const struct fm_key *author, uint64_t epoch);
const struct fm_grant *fm_authority_by_transport(const struct fm_authority *a, const struct fm_key *transport, uint64_t epoch);
/* The grant of this id, if it counts, is not revoked (expired or not) and is this author's; NULL: it is not. */
const struct fm_grant *fm_authority_counting(const struct fm_authority *a, const struct fm_grant_id *id,
                                             const struct fm_key *author);
/* Is this the author key of a counted coordinator? */
bool fm_authority_is_hub(const struct fm_authority *a, const struct fm_key *author);
/* Appends what the members part of the state digest is made of (in an order that is a function of the sets alone). */
int fm_authority_digest(const struct fm_authority *a, struct fm_buf *out);

#endif
