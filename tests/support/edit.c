#include "tests/support/edit.h"

#include <assert.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/set.h"
#include "replication/token.h"
#include "tests/support/fake_crypto.h"

#define DEPTH_MAX 40u

struct copy {
    struct fm_pack p;
    struct fm_span in;
    uint32_t at;
    const struct fm_edit *e;
    const struct fm_mesh_id *mesh;
};

static uint64_t number(const struct fm_edit *e, uint64_t old)
{
    switch (e->what % 8) {
    case 0: return old + 1;
    case 1: return old - 1;
    case 2: return 0;
    case 3: return e->value;
    case 4: return old ^ UINT64_C(1) << e->value % 64;
    case 5: return old + e->value % 256;
    case 6: return UINT64_MAX >> e->value % 64;
    default: return old * 2;
    }
}

/* Bytes of a text or binary, changed; kept within one message. */
static void bytes(struct fm_buf *out, const struct fm_edit *e, struct fm_span old)
{
    size_t at = old.len == 0 ? 0 : (size_t)(e->value % old.len);
    int rc = FM_OK;
    switch (e->what % 5) {
    case 0: rc = fm_buf_add(out, old.data, at); break; /* cut off */
    case 1: rc = fm_buf_add(out, e->text.data, e->text.len); break;
    case 2: /* longer */
        rc = fm_buf_add(out, old.data, old.len);
        rc = rc == FM_OK ? fm_buf_add(out, e->text.data, e->text.len) : rc;
        break;
    default: /* one byte */
        rc = fm_buf_add(out, old.data, old.len);
        if (old.len > 0)
            out->data[out->len - old.len + at] ^= (uint8_t)(1u << (e->value >> 16) % 8);
    }
    assert(rc == FM_OK);
}

static bool value(struct copy *c, unsigned depth);

/* The items of an array or map: `skip` is left out, `twice` comes twice. */
static bool items(struct copy *c, uint64_t count, uint64_t skip, uint64_t twice, unsigned depth)
{
    for (uint64_t i = 0; i < count; i++) {
        size_t before = c->p.buf->len;
        struct fm_span in = c->in;
        if (!value(c, depth + 1))
            return false;
        if (i == skip)
            c->p.buf->len = before;
        if (i == twice)
            fm_pack_raw(&c->p, fm_span(in.data, in.len - c->in.len));
    }
    return true;
}

static bool array(struct copy *c, uint64_t count, bool here, unsigned depth)
{
    uint64_t skip = UINT64_MAX, twice = UINT64_MAX;
    if (here && count > 0 && c->e->what % 3 == 0)
        skip = c->e->value % count;
    else if (here && count > 0)
        twice = c->e->value % count;
    if (here && c->e->what % 3 == 2) {
        size_t before = c->p.buf->len;
        bool whole = items(c, count, skip, UINT64_MAX, depth);
        c->p.buf->len = before;
        fm_pack_array(&c->p, 0);
        return whole;
    }
    fm_pack_array(&c->p, (uint32_t)(count - (skip != UINT64_MAX) + (twice != UINT64_MAX)));
    return items(c, count, skip, twice, depth);
}

static void text(struct copy *c, const struct fm_token *t)
{
    struct fm_buf changed;
    fm_buf_init(&changed, 0);
    bool set = t->type == FM_TOKEN_BIN && (c->e->what & 128) != 0 && fm_edit_set(&changed, t->text, c->e, c->mesh);
    if (!set)
        bytes(&changed, c->e, t->text);
    if (t->type == FM_TOKEN_STR)
        fm_pack_str(&c->p, fm_buf_span(&changed));
    else
        fm_pack_bin(&c->p, changed.data, changed.len);
    fm_buf_fini(&changed);
}

static bool value(struct copy *c, unsigned depth)
{
    struct fm_token t;
    if (depth > DEPTH_MAX || fm_token_read(&t, c->in) != FM_OK)
        return false;
    struct fm_span whole = fm_span(c->in.data, t.len);
    bool here = c->at++ == c->e->target;
    c->in = fm_span(c->in.data + t.len, c->in.len - t.len);
    if (t.type == FM_TOKEN_ARRAY)
        return array(c, t.number, here, depth);
    if (t.type == FM_TOKEN_MAP || !here) { /* keys stand as they are, what is under them may be changed */
        fm_pack_raw(&c->p, whole);
        return t.type != FM_TOKEN_MAP || items(c, 2 * t.number, UINT64_MAX, UINT64_MAX, depth);
    }
    if (t.type == FM_TOKEN_STR || t.type == FM_TOKEN_BIN)
        text(c, &t);
    else if (t.type == FM_TOKEN_BOOL)
        fm_pack_bool(&c->p, t.number == 0);
    else
        fm_pack_uint(&c->p, number(c->e, t.number));
    return true;
}

bool fm_edit_value(struct fm_buf *out, struct fm_span in, const struct fm_edit *e, const struct fm_mesh_id *mesh)
{
    struct copy c = {.in = in, .e = e, .mesh = mesh};
    size_t before = out->len;
    fm_pack_init(&c.p, out);
    bool done = value(&c, 0) && c.p.error == FM_OK;
    if (!done)
        out->len = before;
    return done;
}

/* One field of the header; false: the body is meant. */
static bool header(struct fm_set_header *h, const struct fm_edit *e)
{
    struct fm_edit inner = *e;
    inner.what = (uint8_t)(e->value >> 8);
    inner.value = e->value >> 16;
    switch (e->value % 16) {
    case 0: h->stream.lane ^= 1; return true;
    case 1: h->stream.author.b[0] ^= (uint8_t)inner.value; return true; /* another member, or nobody */
    case 2: h->stream.incarnation = number(&inner, h->stream.incarnation); return true;
    case 3: h->sequence = number(&inner, h->sequence); return true;
    case 4: h->prev.b[0] ^= (uint8_t)inner.value; return true;
    case 5: h->prev.b[31] ^= 1; return true;
    case 6: h->grant.b[0] ^= (uint8_t)inner.value; return true;
    case 7: h->has_grant = !h->has_grant; return true;
    case 8: h->epoch = number(&inner, h->epoch); return true;
    case 9: h->time = number(&inner, h->time); return true;
    case 10: h->change_count = (uint32_t)number(&inner, h->change_count); return true;
    case 11: return true; /* the same once more: another compression, perhaps another id */
    default: return false;
    }
}

bool fm_edit_set(struct fm_buf *out, struct fm_span set, const struct fm_edit *e, const struct fm_mesh_id *mesh)
{
    static const uint8_t nonce[24];
    struct fm_fake_device device = {.author = {{0}}};
    struct fm_crypto c = fm_fake_crypto_of(&device);
    struct fm_buf plain, body;
    struct fm_set s;
    struct fm_set_id id;
    if (fm_set_decode(&s, set) != FM_OK || s.header.sealed)
        return false;
    fm_buf_init(&plain, 0);
    fm_buf_init(&body, 0);
    bool done = fm_set_open(&plain, &c, mesh, &s, NULL) == FM_OK;
    if (done && !header(&s.header, e)) {
        struct fm_edit inner = *e;
        inner.target = (uint32_t)(e->value >> 8) % 64;
        inner.what = (uint8_t)(e->value >> 16) & 127;
        inner.value = e->value >> 24;
        done = fm_edit_value(&body, fm_buf_span(&plain), &inner, mesh);
    } else if (done) {
        done = fm_buf_add(&body, plain.data, plain.len) == FM_OK;
    }
    s.header.has_prev = s.header.sequence > 1; /* no header says otherwise */
    done = done && s.header.sequence > 0;
    device.author = s.header.stream.author;
    c.compress = (e->value >> 4) % 2 ? fm_fake_compress : NULL;
    done = done && fm_set_close(out, &id, &c, mesh, &s.header, fm_buf_span(&body), NULL, nonce) == FM_OK;
    fm_buf_fini(&plain);
    fm_buf_fini(&body);
    return done;
}
