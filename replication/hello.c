/* HELLO: who I am and what I hold, as digests. Equal digests end a contact after one round trip. */
#include "replication/session.h"

#include <assert.h>

#include "replication/error.h"

#define HELLO_ITEMS 10u

int fm_hello_decode(struct fm_hello *out, struct fm_span message)
{
    struct fm_walk w;
    struct fm_span state;
    int rc = fm_message_open(&w, message, FM_MSG_HELLO, HELLO_ITEMS);
    memset(out, 0, sizeof *out);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &out->protocol, UINT32_MAX);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->mesh, sizeof out->mesh);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->grant.b, sizeof out->grant.b);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->store.b, sizeof out->store.b);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->vector, sizeof out->vector);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->fold, sizeof out->fold);
    if (rc == FM_OK)
        rc = fm_walk_bin(&w, &state, sizeof out->state);
    if (rc == FM_OK && state.len != 0 && state.len != sizeof out->state)
        rc = FM_EFORMAT;
    if (rc == FM_OK && state.len != 0) {
        out->has_state = true;
        memcpy(out->state, state.data, sizeof out->state);
    }
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->statements, sizeof out->statements);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &out->media, UINT32_MAX);
    return rc == FM_OK ? fm_walk_end(&w) : rc;
}

/* Two nodes with this alike and the same sets must show the same state. A list of kinds is part of its format. */
static int fold_id(struct fm_repl *r, uint8_t out[FM_FOLD_ID_BYTES])
{
    uint8_t format[8], hash[16];
    struct fm_data_key_id *ids = fm_arena_take(&r->scratch, (r->key_count + 1) * sizeof *ids);
    if (ids == NULL)
        return FM_ENOMEM;
    for (size_t i = 0; i < r->key_count; i++)
        ids[i] = r->keys[i].id; /* sorted */
    fm_be_put(format, FM_FORMAT + (uint64_t)(r->self.kind_last - FM_KIND_LAST), sizeof format);
    const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_FOLD_ID), fm_span(format, sizeof format),
                                    fm_span(ids, r->key_count * sizeof *ids)};
    r->crypto->hash(r->crypto->ctx, hash, sizeof hash, parts, 3);
    memcpy(out, hash, FM_FOLD_ID_BYTES);
    return FM_OK;
}

static int fill(struct fm_repl *r, struct fm_hello *out)
{
    struct fm_digest sets, state;
    int rc = fold_id(r, out->fold);
    if (rc != FM_OK)
        return rc;
    out->protocol = FM_PROTOCOL;
    memcpy(out->mesh, r->self.mesh.b, sizeof out->mesh);
    const struct fm_grant *grant = fm_authority_current(r->authority, &r->self.author, r->epoch);
    out->grant = grant != NULL ? grant->id : r->self.grant; /* the newest may have come after we were started */
    out->store = r->self.store;
    rc = fm_repl_digest(r, &sets, &state);
    if (rc != FM_OK && rc != FM_EBUSY)
        return rc;
    out->has_state = rc == FM_OK;
    if (out->has_state)
        memcpy(out->state, state.b, sizeof out->state);
    fm_vector_digest(r, &sets);
    memcpy(out->vector, sets.b, sizeof out->vector);
    fm_receipt_digest(r, &state);
    memcpy(out->statements, state.b, sizeof out->statements);
    out->media = 0;
    return FM_OK;
}

int fm_hello_send(struct fm_repl *r, struct fm_session *s)
{
    struct fm_buf buf;
    struct fm_pack p;
    struct fm_hello *h = &s->ours;
    memset(h, 0, sizeof *h);
    int rc = fill(r, h);
    if (rc != FM_OK)
        return rc;
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, HELLO_ITEMS);
    fm_pack_uint(&p, FM_MSG_HELLO);
    fm_pack_uint(&p, h->protocol);
    fm_pack_bin(&p, h->mesh, sizeof h->mesh);
    fm_pack_bin(&p, h->grant.b, sizeof h->grant.b);
    fm_pack_bin(&p, h->store.b, sizeof h->store.b);
    fm_pack_bin(&p, h->vector, sizeof h->vector);
    fm_pack_bin(&p, h->fold, sizeof h->fold);
    fm_pack_bin(&p, h->state, h->has_state ? sizeof h->state : 0);
    fm_pack_bin(&p, h->statements, sizeof h->statements);
    fm_pack_uint(&p, h->media);
    rc = fm_session_send(r, s, &p);
    fm_buf_fini(&buf);
    s->hello_due = false;
    s->hello_sent = true;
    s->ours_stamp = fm_receipt_stamp(r);
    return rc;
}

int fm_hello_judge(struct fm_repl *r, struct fm_session *s)
{
    const struct fm_hello *a = &s->ours, *b = &s->theirs;
    assert(s->hello_sent && s->hello_in);
    bool vectors = memcmp(a->vector, b->vector, sizeof a->vector) == 0;
    bool statements = memcmp(a->statements, b->statements, sizeof a->statements) == 0;
    int rc = FM_OK;
    s->hello_sent = s->hello_in = false;
    s->stalls = 0;
    memset(s->pair_ours, 0, sizeof s->pair_ours);
    memset(s->pair_theirs, 0, sizeof s->pair_theirs);
    s->statements_due = !statements;
    s->statements_stamp = statements ? s->ours_stamp : 0;
    /* Same sets, same keys, another state: law 2 is broken somewhere. Go on, but say so. */
    if (vectors && memcmp(a->fold, b->fold, sizeof a->fold) == 0 && a->has_state && b->has_state &&
        memcmp(a->state, b->state, sizeof a->state) != 0)
        rc = fm_session_refuse(r, s, "state-differs");
    if (rc != FM_OK)
        return rc;
    if (!vectors) {
        fm_session_begin_have(r, s);
        return FM_OK;
    }
    rc = fm_reach_all(r, s);
    if (rc != FM_OK)
        return rc;
    s->settled = true;
    s->have_due = false;
    s->have_in = true;
    if (statements) {
        fm_session_in_step(r, s);
        return FM_OK;
    }
    s->phase = FM_PEER_SYNCING;
    s->end_sent = s->end_in = s->end_wanted = false;
    s->told = true;
    return FM_OK;
}

int fm_hello_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    struct fm_hello hello;
    if (fm_hello_decode(&hello, message) != FM_OK) {
        *why = "bad-message";
        return FM_OK;
    }
    if (hello.protocol != FM_PROTOCOL) {
        *why = "peer-version";
        return FM_OK;
    }
    if (memcmp(hello.mesh, r->self.mesh.b, sizeof hello.mesh) != 0) {
        *why = "foreign-mesh";
        return FM_OK;
    }
    /* Its newest grant may be one we do not hold yet; one we do hold must be its own. */
    const struct fm_grant *grant = fm_authority_grant(r->authority, &hello.grant);
    if (grant != NULL && !fm_id_eq(&grant->author, &s->author)) {
        *why = "no-grant";
        return FM_OK;
    }
    s->theirs = hello;
    s->hello_in = s->greeted = true;
    if (s->hello_sent)
        return fm_hello_judge(r, s);
    s->phase = FM_PEER_HELLO; /* it opened the round */
    s->hello_due = true;
    s->told = true;
    return FM_OK;
}
