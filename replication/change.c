#include "replication/change.h"

#include <assert.h>

#include "replication/error.h"
#include "replication/pack.h"
#include "replication/walk.h"

#define CHANGE_ITEMS 7u

int fm_body_split(struct fm_span body, struct fm_span items[FM_SET_CHANGES_MAX], uint32_t count)
{
    struct fm_walk w;

    if (count == 0 || count > FM_SET_CHANGES_MAX || body.len > FM_BODY_BYTES_MAX)
        return FM_ELIMIT;
    fm_walk_init(&w, body, FM_SET_CHANGES_MAX + 1);
    int rc = fm_walk_array_of(&w, count);
    for (uint32_t i = 0; i < count && rc == FM_OK; i++) {
        w.nodes_left = FM_NODES_MAX; /* a budget for each change */
        rc = fm_walk_skip(&w, &items[i]);
        if (rc == FM_OK && items[i].len > FM_CHANGE_BYTES_MAX)
            rc = FM_ELIMIT;
    }
    return rc == FM_OK ? fm_walk_end(&w) : rc;
}

uint8_t fm_item_kind(struct fm_span item)
{
    struct fm_walk w;
    uint32_t count;
    uint64_t kind;

    fm_walk_init(&w, item, FM_NODES_MAX);
    if (fm_walk_array(&w, &count) != FM_OK || count == 0 || fm_walk_uint(&w, &kind, UINT8_MAX) != FM_OK)
        return 0;
    return (uint8_t)kind;
}

/* [kind, action, record id, …]: as much of it as can be read, so that even a void change stands under its record. */
static int decode_front(struct fm_change *out, struct fm_walk *w, bool *record_known)
{
    uint32_t count;
    uint64_t kind, action = 0;
    struct fm_span skipped;

    int rc = fm_walk_array(w, &count);
    if (rc != FM_OK || count < 3)
        return rc != FM_OK ? rc : FM_EFORMAT;
    rc = fm_walk_uint(w, &kind, FM_ACT_FIRST - 1);
    if (rc != FM_OK || kind == 0)
        return rc != FM_OK ? rc : FM_EFORMAT;
    out->kind = (uint8_t)kind;
    int fault = count == CHANGE_ITEMS ? FM_OK : FM_EFORMAT;
    rc = fm_walk_uint(w, &action, UINT8_MAX);
    if (rc != FM_OK) {
        fault = rc;
        if (fm_walk_skip(w, &skipped) != FM_OK)
            return fault;
    }
    out->action = (uint8_t)action;
    rc = fm_walk_bin_of(w, out->record.b, sizeof out->record.b);
    if (rc != FM_OK)
        return rc;
    *record_known = true;
    return fault;
}

static int decode_parents(struct fm_change *out, struct fm_walk *w)
{
    int rc = fm_walk_array(w, &out->parent_count);
    for (uint32_t i = 0; i < out->parent_count && i < FM_PARENTS_MAX && rc == FM_OK; i++)
        rc = fm_walk_bin_of(w, out->parents[i].b, sizeof out->parents[i].b);
    return rc == FM_OK && out->parent_count > FM_PARENTS_MAX ? FM_ELIMIT : rc;
}

int fm_change_decode(struct fm_change *out, struct fm_span item, bool *record_known)
{
    struct fm_walk w;
    uint64_t version = 0;

    *out = (struct fm_change){.bytes = item};
    *record_known = false;
    fm_walk_init(&w, item, FM_NODES_MAX);
    int rc = decode_front(out, &w, record_known);
    if (rc == FM_OK && item.len > FM_CHANGE_BYTES_MAX)
        rc = FM_ELIMIT;
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &version, FM_VERSION_MAX);
    if (rc == FM_OK && version == 0)
        rc = FM_ELIMIT;
    if (rc != FM_OK)
        return rc;
    out->version = (uint32_t)version;
    rc = decode_parents(out, &w);
    if (rc == FM_OK)
        rc = fm_walk_str(&w, &out->actor, FM_ACTOR_BYTES_MAX);
    if (rc == FM_OK && out->actor.len == 0)
        rc = FM_EFORMAT;
    if (rc == FM_OK)
        rc = fm_walk_document(&w, &out->document);
    return rc == FM_OK ? fm_walk_end(&w) : rc;
}

int fm_change_encode(struct fm_buf *out, const struct fm_change *change)
{
    size_t start = out->len;
    struct fm_pack p;
    struct fm_walk w;
    struct fm_span all;

    assert(change->parent_count <= FM_PARENTS_MAX);
    fm_pack_init(&p, out);
    fm_pack_array(&p, CHANGE_ITEMS);
    fm_pack_uint(&p, change->kind);
    fm_pack_uint(&p, change->action);
    fm_pack_bin(&p, change->record.b, sizeof change->record.b);
    fm_pack_uint(&p, change->version);
    fm_pack_array(&p, change->parent_count);
    for (uint32_t i = 0; i < change->parent_count; i++)
        fm_pack_bin(&p, change->parents[i].b, sizeof change->parents[i].b);
    fm_pack_str(&p, change->actor);
    fm_pack_raw(&p, change->document);
    int rc = p.error;
    if (rc == FM_OK && out->len - start > FM_CHANGE_BYTES_MAX)
        rc = FM_ELIMIT;
    if (rc == FM_OK) { /* a document within its own bounds may pass those of the whole change */
        fm_walk_init(&w, fm_span(out->data + start, out->len - start), FM_NODES_MAX);
        rc = fm_walk_skip(&w, &all);
    }
    if (rc != FM_OK)
        out->len = start;
    return rc;
}
