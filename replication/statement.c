#include "replication/statement.h"

#include <assert.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/walk.h"

#define TIP_ITEMS 3u
#define STATEMENT_NODES_MAX (FM_STATEMENT_BYTES_MAX / 8) /* a tip takes 53 bytes and 4 values at least */

static int walk_tip(struct fm_walk *w, struct fm_receipt_tip *out)
{
    int rc = fm_walk_array_of(w, TIP_ITEMS);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(w, out->stream, sizeof out->stream);
    if (rc == FM_OK)
        rc = fm_walk_uint(w, &out->sequence, FM_TIME_MAX);
    if (rc == FM_OK && out->sequence == 0)
        rc = FM_EFORMAT;
    if (rc == FM_OK)
        rc = fm_walk_bin_of(w, out->set, sizeof out->set);
    return rc;
}

static int walk_tips(struct fm_walk *w, struct fm_statement *out)
{
    struct fm_receipt_tip tip;
    int rc = fm_walk_array(w, &out->tip_count);
    const uint8_t *first = w->at;
    for (uint32_t i = 0; i < out->tip_count && rc == FM_OK; i++)
        rc = walk_tip(w, &tip);
    if (rc == FM_OK)
        out->tips = fm_span(first, (size_t)(w->at - first));
    return rc;
}

static int content_decode(struct fm_statement *out, struct fm_span content)
{
    struct fm_walk w;
    uint32_t count = 0;
    uint64_t kind = 0;

    fm_walk_init(&w, content, STATEMENT_NODES_MAX);
    int rc = fm_walk_array(&w, &count);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &kind, UINT8_MAX);
    if (rc != FM_OK)
        return rc;
    if (!(kind == FM_RECEIPT && count == 6) && !(kind == FM_EPOCH_NOTICE && count == 5))
        return FM_EFORMAT;
    out->kind = (uint8_t)kind;
    rc = fm_walk_bin_of(&w, out->author.b, sizeof out->author.b);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->grant.b, sizeof out->grant.b);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &out->counter, FM_TIME_MAX);
    if (rc == FM_OK && kind == FM_RECEIPT) {
        rc = fm_walk_bin_of(&w, out->store.b, sizeof out->store.b);
        if (rc == FM_OK)
            rc = walk_tips(&w, out);
    } else if (rc == FM_OK) {
        rc = fm_walk_uint(&w, &out->epoch, FM_TIME_MAX); /* what a set's header can say */
    }
    return rc == FM_OK ? fm_walk_end(&w) : rc;
}

static void content_id(uint8_t id[32], const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_span content)
{
    const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_STATEMENT), fm_span(mesh->b, sizeof mesh->b), content};
    c->hash(c->ctx, id, 32, parts, 3);
}

int fm_statement_decode(struct fm_statement *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_span bytes)
{
    struct fm_statement s = {.bytes = bytes};
    struct fm_span content;
    uint8_t signature[FM_SIGNATURE_BYTES], id[32];
    struct fm_walk w;

    if (bytes.len > FM_STATEMENT_BYTES_MAX)
        return FM_ELIMIT;
    fm_walk_init(&w, bytes, 3);
    int rc = fm_walk_array_of(&w, 2);
    if (rc == FM_OK)
        rc = fm_walk_bin(&w, &content, FM_STATEMENT_BYTES_MAX);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, signature, sizeof signature);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc == FM_OK)
        rc = content_decode(&s, content);
    if (rc != FM_OK)
        return rc;
    content_id(id, c, mesh, content);
    rc = c->verify(c->ctx, signature, id, &s.author);
    if (rc == FM_OK)
        *out = s;
    return rc;
}

int fm_statement_tip(struct fm_span *tips, struct fm_receipt_tip *out)
{
    struct fm_walk w;

    if (tips->len == 0)
        return FM_ENOTFOUND;
    fm_walk_init(&w, *tips, TIP_ITEMS + 1);
    int rc = walk_tip(&w, out);
    if (rc == FM_OK)
        *tips = fm_span(w.at, (size_t)(w.end - w.at));
    return rc;
}

static int content_encode(struct fm_buf *out, const struct fm_statement *s, const struct fm_receipt_tip *tips,
                          uint32_t count)
{
    struct fm_pack p;

    fm_pack_init(&p, out);
    fm_pack_array(&p, s->kind == FM_RECEIPT ? 6 : 5);
    fm_pack_uint(&p, s->kind);
    fm_pack_bin(&p, s->author.b, sizeof s->author.b);
    fm_pack_bin(&p, s->grant.b, sizeof s->grant.b);
    fm_pack_uint(&p, s->counter);
    if (s->kind == FM_EPOCH_NOTICE) {
        fm_pack_uint(&p, s->epoch);
        return p.error;
    }
    fm_pack_bin(&p, s->store.b, sizeof s->store.b);
    fm_pack_array(&p, count);
    for (uint32_t i = 0; i < count; i++) {
        fm_pack_array(&p, TIP_ITEMS);
        fm_pack_bin(&p, tips[i].stream, sizeof tips[i].stream);
        fm_pack_uint(&p, tips[i].sequence);
        fm_pack_bin(&p, tips[i].set, sizeof tips[i].set);
    }
    return p.error;
}

int fm_statement_sign(struct fm_buf *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh,
                      const struct fm_statement *statement, const struct fm_receipt_tip *tips, uint32_t count)
{
    uint8_t id[32], signature[FM_SIGNATURE_BYTES];
    size_t start = out->len;
    struct fm_buf content;
    struct fm_pack p;

    assert(statement->kind == FM_RECEIPT || statement->kind == FM_EPOCH_NOTICE);
    fm_buf_init(&content, FM_STATEMENT_BYTES_MAX);
    int rc = content_encode(&content, statement, tips, count);
    if (rc == FM_OK) {
        content_id(id, c, mesh, fm_buf_span(&content));
        c->sign(c->ctx, signature, id);
        fm_pack_init(&p, out);
        fm_pack_array(&p, 2);
        fm_pack_bin(&p, content.data, content.len);
        fm_pack_bin(&p, signature, sizeof signature);
        rc = p.error == FM_OK && out->len - start > FM_STATEMENT_BYTES_MAX ? FM_ELIMIT : p.error;
    }
    if (rc != FM_OK)
        out->len = start;
    fm_buf_fini(&content);
    return rc;
}
