/* Changes: the items of a set's body. An item that starts with a number below FM_ACT_FIRST is a record change
 *   [kind, action, record id, version, parents, actor, document]
 * one from FM_ACT_FIRST on is an act of membership (act.h). */
#ifndef FM_REPLICATION_CHANGE_H
#define FM_REPLICATION_CHANGE_H

#include "replication/bounds.h"
#include "replication/types.h"

#define FM_ACT_FIRST 128u

struct fm_change {
    uint8_t kind;   /* 1..127; may be one we do not know */
    uint8_t action; /* any number the envelope allows, up to 255; validity is judged later */
    struct fm_record_id record;
    uint32_t version;
    uint32_t parent_count; /* as written; parents holds the first FM_PARENTS_MAX */
    struct fm_version_id parents[FM_PARENTS_MAX];
    struct fm_span actor;    /* 1..FM_ACTOR_BYTES_MAX */
    struct fm_span document; /* canonical map */
    struct fm_span bytes;    /* the whole change */
};

/* Splits a body into its items: borrowed spans, each one msgpack value within FM_CHANGE_BYTES_MAX and FM_NODES_MAX.
 * count must equal the header's. 0, FM_EFORMAT, FM_ELIMIT: the whole body is nonsense (the set is void). */
int fm_body_split(struct fm_span body, struct fm_span items[FM_SET_CHANGES_MAX], uint32_t count);
/* First number of an item (kind or act); 0 if it is no array that starts with a number up to 255. */
uint8_t fm_item_kind(struct fm_span item);
/* 0, FM_EFORMAT, FM_ELIMIT: this change alone is void. Even then, if kind and record id could be read, they are filled
 * and *record_known is true. */
int fm_change_decode(struct fm_change *out, struct fm_span item, bool *record_known);
/* Judges nothing but size: 0, FM_ENOMEM, FM_ELIMIT (past FM_CHANGE_BYTES_MAX or FM_NODES_MAX; nothing is added). */
int fm_change_encode(struct fm_buf *out, const struct fm_change *change); /* appends; bytes is ignored */

#endif
