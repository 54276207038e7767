#include "replication/act.h"

#include <assert.h>

#include "replication/error.h"
#include "replication/pack.h"
#include "replication/walk.h"

#define GRANT_ITEMS 10u
#define GRANT_FLAGS ((uint64_t)FM_GRANT_SEALED | FM_GRANT_MAY_INVITE)

/* An array of up to max items; each is read by the caller. */
static int walk_list(struct fm_walk *w, uint32_t *count, uint32_t max)
{
    uint32_t found;
    int rc = fm_walk_array(w, &found);
    if (rc == FM_OK && found > max)
        return FM_ELIMIT;
    if (rc == FM_OK)
        *count = found;
    return rc;
}

static int walk_id(struct fm_walk *w, uint8_t b[static 32], int rc)
{
    return rc == FM_OK ? fm_walk_bin_of(w, b, 32) : rc;
}

static int walk_number(struct fm_walk *w, uint64_t *out, uint64_t max, int rc)
{
    return rc == FM_OK ? fm_walk_uint(w, out, max) : rc;
}

static int grant_keys(struct fm_grant *out, struct fm_walk *w)
{
    int rc = walk_list(w, &out->key_count, FM_GRANT_DATA_KEYS_MAX);
    for (uint32_t i = 0; i < out->key_count && rc == FM_OK; i++) {
        rc = fm_walk_array_of(w, 2);
        if (rc == FM_OK)
            rc = fm_walk_bin_of(w, out->keys[i].id.b, sizeof out->keys[i].id.b);
        if (rc == FM_OK)
            rc = fm_walk_bin_of(w, out->keys[i].sealed, sizeof out->keys[i].sealed);
    }
    return rc;
}

int fm_grant_decode(struct fm_grant *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_span bytes)
{
    struct fm_walk w;
    uint64_t role = 0, flags = 0;

    memset(out, 0, sizeof *out);
    fm_walk_init(&w, bytes, FM_NODES_MAX);
    int rc = fm_walk_array_of(&w, GRANT_ITEMS);
    rc = walk_id(&w, out->author.b, rc);
    rc = walk_id(&w, out->transport.b, rc);
    rc = walk_id(&w, out->box.b, rc);
    if (rc == FM_OK)
        rc = fm_walk_str(&w, &out->name, FM_NAME_BYTES_MAX);
    rc = walk_number(&w, &role, FM_ROLE_RELAY, rc);
    if (rc == FM_OK && role < FM_ROLE_COORDINATOR) /* nobody is granted to be the root */
        rc = FM_EFORMAT;
    rc = walk_number(&w, &out->epoch_first, UINT64_MAX, rc);
    rc = walk_number(&w, &out->epoch_last, UINT64_MAX, rc);
    rc = walk_number(&w, &out->serial, UINT64_MAX, rc);
    rc = walk_number(&w, &flags, GRANT_FLAGS, rc);
    if (rc == FM_OK)
        rc = grant_keys(out, &w);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc != FM_OK)
        return rc;
    out->role = (uint8_t)role;
    out->flags = (uint8_t)flags;
    out->bytes = bytes;
    const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_GRANT), fm_span(mesh->b, sizeof mesh->b), bytes};
    c->hash(c->ctx, out->id.b, sizeof out->id.b, parts, 3);
    return FM_OK;
}

int fm_grant_encode(struct fm_buf *out, const struct fm_grant *grant)
{
    size_t start = out->len;
    struct fm_pack p;

    assert(grant->key_count <= FM_GRANT_DATA_KEYS_MAX);
    fm_pack_init(&p, out);
    fm_pack_array(&p, GRANT_ITEMS);
    fm_pack_bin(&p, grant->author.b, sizeof grant->author.b);
    fm_pack_bin(&p, grant->transport.b, sizeof grant->transport.b);
    fm_pack_bin(&p, grant->box.b, sizeof grant->box.b);
    fm_pack_str(&p, grant->name);
    fm_pack_uint(&p, grant->role);
    fm_pack_uint(&p, grant->epoch_first);
    fm_pack_uint(&p, grant->epoch_last);
    fm_pack_uint(&p, grant->serial);
    fm_pack_uint(&p, grant->flags);
    fm_pack_array(&p, grant->key_count);
    for (uint32_t i = 0; i < grant->key_count; i++) {
        fm_pack_array(&p, 2);
        fm_pack_bin(&p, grant->keys[i].id.b, sizeof grant->keys[i].id.b);
        fm_pack_bin(&p, grant->keys[i].sealed, sizeof grant->keys[i].sealed);
    }
    if (p.error == FM_OK && grant->name.len > FM_NAME_BYTES_MAX)
        p.error = FM_ELIMIT;
    if (p.error != FM_OK)
        out->len = start;
    return p.error;
}

/* [… incarnation, lane, sequence, set id]: where in a stream, and which set. */
static int walk_place(struct fm_walk *w, uint64_t *incarnation, uint8_t *lane, uint64_t *sequence, struct fm_set_id *set)
{
    uint64_t number = 0;
    int rc = fm_walk_uint(w, incarnation, UINT64_MAX);
    rc = walk_number(w, &number, FM_LANE_RECORDS, rc);
    *lane = (uint8_t)number;
    rc = walk_number(w, sequence, FM_TIME_MAX, rc);
    if (rc == FM_OK && *sequence == 0)
        return FM_EFORMAT;
    return walk_id(w, set->b, rc);
}

static int revoke_decode(struct fm_act *out, struct fm_walk *w)
{
    uint64_t target = 0;
    int rc = fm_walk_uint(w, &target, 1);
    out->targets_grant = target == 1;
    rc = walk_id(w, out->targets_grant ? out->revoked.b : out->node.b, rc);
    if (rc == FM_OK)
        rc = walk_list(w, &out->cut_count, FM_CUT_STREAMS_MAX);
    for (uint32_t i = 0; i < out->cut_count && rc == FM_OK; i++) {
        struct fm_cut *cut = &out->cuts[i];
        rc = fm_walk_array_of(w, 4);
        if (rc == FM_OK)
            rc = walk_place(w, &cut->incarnation, &cut->lane, &cut->sequence, &cut->set);
    }
    return rc;
}

static int adopt_decode(struct fm_act *out, struct fm_walk *w)
{
    int rc = walk_list(w, &out->adopt_count, FM_ADOPT_SETS_MAX);
    for (uint32_t i = 0; i < out->adopt_count && rc == FM_OK; i++) {
        struct fm_adopted *a = &out->adopts[i];
        rc = fm_walk_array_of(w, 5);
        rc = walk_id(w, a->stream.author.b, rc);
        if (rc == FM_OK)
            rc = walk_place(w, &a->stream.incarnation, &a->stream.lane, &a->sequence, &a->set);
    }
    return rc;
}

int fm_act_decode(struct fm_act *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_span item)
{
    struct fm_walk w;
    struct fm_span bytes;
    uint32_t count = 0;
    uint64_t kind = 0;

    memset(out, 0, sizeof *out);
    if (item.len > FM_CHANGE_BYTES_MAX)
        return FM_ELIMIT;
    fm_walk_init(&w, item, FM_NODES_MAX);
    int rc = fm_walk_array(&w, &count);
    rc = walk_number(&w, &kind, UINT8_MAX, rc);
    if (rc != FM_OK)
        return rc;
    out->kind = (uint8_t)kind;
    if (kind == FM_ACT_GRANT && count == 2) {
        rc = fm_walk_bin(&w, &bytes, FM_CHANGE_BYTES_MAX);
        if (rc == FM_OK)
            rc = fm_grant_decode(&out->grant, c, mesh, bytes);
    } else if (kind == FM_ACT_REVOKE && count == 4) {
        rc = revoke_decode(out, &w);
    } else if (kind == FM_ACT_ADOPT && count == 2) {
        rc = adopt_decode(out, &w);
    } else {
        rc = FM_EFORMAT;
    }
    return rc == FM_OK ? fm_walk_end(&w) : rc;
}

static void pack_place(struct fm_pack *p, uint64_t incarnation, uint8_t lane, uint64_t sequence, const struct fm_set_id *set)
{
    fm_pack_uint(p, incarnation);
    fm_pack_uint(p, lane);
    fm_pack_uint(p, sequence);
    fm_pack_bin(p, set->b, sizeof set->b);
}

int fm_act_encode(struct fm_buf *out, const struct fm_act *act)
{
    size_t start = out->len;
    struct fm_pack p;

    assert(act->kind >= FM_ACT_GRANT && act->kind <= FM_ACT_ADOPT);
    assert(act->cut_count <= FM_CUT_STREAMS_MAX && act->adopt_count <= FM_ADOPT_SETS_MAX);
    fm_pack_init(&p, out);
    fm_pack_array(&p, act->kind == FM_ACT_REVOKE ? 4 : 2);
    fm_pack_uint(&p, act->kind);
    if (act->kind == FM_ACT_GRANT) {
        fm_pack_bin(&p, act->grant.bytes.data, act->grant.bytes.len);
    } else if (act->kind == FM_ACT_REVOKE) {
        fm_pack_uint(&p, act->targets_grant ? 1 : 0);
        fm_pack_bin(&p, act->targets_grant ? act->revoked.b : act->node.b, 32);
        fm_pack_array(&p, act->cut_count);
        for (uint32_t i = 0; i < act->cut_count; i++) {
            const struct fm_cut *cut = &act->cuts[i];
            fm_pack_array(&p, 4);
            pack_place(&p, cut->incarnation, cut->lane, cut->sequence, &cut->set);
        }
    } else {
        fm_pack_array(&p, act->adopt_count);
        for (uint32_t i = 0; i < act->adopt_count; i++) {
            const struct fm_adopted *a = &act->adopts[i];
            fm_pack_array(&p, 5);
            fm_pack_bin(&p, a->stream.author.b, sizeof a->stream.author.b);
            pack_place(&p, a->stream.incarnation, a->stream.lane, a->sequence, &a->set);
        }
    }
    if (p.error == FM_OK && out->len - start > FM_CHANGE_BYTES_MAX)
        p.error = FM_ELIMIT;
    if (p.error != FM_OK)
        out->len = start;
    return p.error;
}
