#include "replication/set.h"

#include <assert.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/walk.h"

#define HEADER_ITEMS 14u
#define SEAL_BYTES 40u /* nonce and tag */

/* An id that may be missing: empty, or exactly len bytes. */
static int walk_maybe(struct fm_walk *w, uint8_t *out, size_t len, bool *is_there)
{
    struct fm_walk ahead = *w;
    struct fm_span span;
    int rc = fm_walk_bin(&ahead, &span, len);
    if (rc != FM_OK)
        return rc;
    *is_there = span.len != 0;
    if (!*is_there) {
        memset(out, 0, len);
        *w = ahead;
        return FM_OK;
    }
    return fm_walk_bin_of(w, out, len);
}

static int walk_byte(struct fm_walk *w, uint8_t *out, uint8_t max)
{
    uint64_t number;
    int rc = fm_walk_uint(w, &number, max);
    if (rc == FM_OK)
        *out = (uint8_t)number;
    return rc;
}

/* A number from 1 on. */
static int walk_count(struct fm_walk *w, uint32_t *out, uint32_t max)
{
    uint64_t number;
    int rc = fm_walk_uint(w, &number, max);
    if (rc == FM_OK && number == 0)
        return FM_EFORMAT;
    if (rc == FM_OK)
        *out = (uint32_t)number;
    return rc;
}

static int header_stream(struct fm_set_header *h, struct fm_walk *w)
{
    int rc = walk_byte(w, &h->stream.lane, FM_LANE_RECORDS);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(w, h->stream.author.b, sizeof h->stream.author.b);
    if (rc == FM_OK)
        rc = fm_walk_uint(w, &h->stream.incarnation, UINT64_MAX);
    if (rc == FM_OK)
        rc = fm_walk_uint(w, &h->sequence, FM_TIME_MAX);
    if (rc == FM_OK)
        rc = walk_maybe(w, h->prev.b, sizeof h->prev.b, &h->has_prev);
    if (rc == FM_OK && (h->sequence == 0 || h->has_prev != (h->sequence > 1)))
        return FM_EFORMAT;
    return rc;
}

static int header_rest(struct fm_set_header *h, struct fm_walk *w)
{
    int rc = walk_maybe(w, h->grant.b, sizeof h->grant.b, &h->has_grant);
    if (rc == FM_OK)
        rc = fm_walk_uint(w, &h->epoch, FM_TIME_MAX);
    if (rc == FM_OK)
        rc = fm_walk_uint(w, &h->time, FM_TIME_MAX);
    if (rc == FM_OK)
        rc = walk_byte(w, &h->codec, FM_CODEC_ZSTD);
    if (rc == FM_OK)
        rc = walk_maybe(w, h->data_key.b, sizeof h->data_key.b, &h->sealed);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(w, h->body_hash, sizeof h->body_hash);
    if (rc == FM_OK)
        rc = walk_count(w, &h->body_size, FM_BODY_BYTES_MAX);
    if (rc == FM_OK)
        rc = walk_count(w, &h->change_count, FM_SET_CHANGES_MAX);
    return rc;
}

static int header_decode(struct fm_set_header *out, struct fm_span bytes)
{
    struct fm_set_header h = {.format = 0};
    struct fm_walk w;
    uint32_t items;

    fm_walk_init(&w, bytes, FM_SET_HEADER_BYTES_MAX);
    int rc = fm_walk_array(&w, &items);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &h.format, UINT64_MAX);
    if (rc != FM_OK)
        return rc;
    if (h.format > FM_FORMAT) /* told before the count: a later format may have more in its header */
        return FM_ENEWER;
    if (h.format != FM_FORMAT || items != HEADER_ITEMS)
        return FM_EFORMAT;
    rc = header_stream(&h, &w);
    if (rc == FM_OK)
        rc = header_rest(&h, &w);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc == FM_OK)
        *out = h;
    return rc;
}

int fm_set_decode(struct fm_set *out, struct fm_span bytes)
{
    struct fm_set set = {.bytes = bytes};
    struct fm_walk w;

    if (bytes.len > FM_SET_BYTES_MAX)
        return FM_ELIMIT;
    fm_walk_init(&w, bytes, 4);
    int rc = fm_walk_array_of(&w, 3);
    if (rc == FM_OK)
        rc = fm_walk_bin(&w, &set.header_bytes, FM_SET_HEADER_BYTES_MAX);
    if (rc == FM_OK)
        rc = fm_walk_bin(&w, &set.body, FM_SET_BYTES_MAX);
    if (rc == FM_OK)
        rc = fm_walk_bin(&w, &set.signature, FM_SIGNATURE_BYTES);
    if (rc == FM_OK && set.signature.len != FM_SIGNATURE_BYTES)
        rc = FM_EFORMAT;
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc == FM_OK)
        rc = header_decode(&set.header, set.header_bytes);
    if (rc == FM_OK)
        *out = set;
    return rc;
}

int fm_set_header_encode(struct fm_buf *out, const struct fm_set_header *h)
{
    size_t start = out->len;
    struct fm_pack p;

    fm_pack_init(&p, out);
    fm_pack_array(&p, HEADER_ITEMS);
    fm_pack_uint(&p, h->format);
    fm_pack_uint(&p, h->stream.lane);
    fm_pack_bin(&p, h->stream.author.b, sizeof h->stream.author.b);
    fm_pack_uint(&p, h->stream.incarnation);
    fm_pack_uint(&p, h->sequence);
    fm_pack_bin(&p, h->prev.b, h->has_prev ? sizeof h->prev.b : 0);
    fm_pack_bin(&p, h->grant.b, h->has_grant ? sizeof h->grant.b : 0);
    fm_pack_uint(&p, h->epoch);
    fm_pack_uint(&p, h->time);
    fm_pack_uint(&p, h->codec);
    fm_pack_bin(&p, h->data_key.b, h->sealed ? sizeof h->data_key.b : 0);
    fm_pack_bin(&p, h->body_hash, sizeof h->body_hash);
    fm_pack_uint(&p, h->body_size);
    fm_pack_uint(&p, h->change_count);
    if (p.error != FM_OK)
        out->len = start;
    return p.error;
}

int fm_set_encode(struct fm_buf *out, struct fm_span header, struct fm_span body, const uint8_t signature[FM_SIGNATURE_BYTES])
{
    size_t start = out->len;
    struct fm_pack p;

    fm_pack_init(&p, out);
    fm_pack_array(&p, 3);
    fm_pack_bin(&p, header.data, header.len);
    fm_pack_bin(&p, body.data, body.len);
    fm_pack_bin(&p, signature, FM_SIGNATURE_BYTES);
    if (p.error == FM_OK && (header.len > FM_SET_HEADER_BYTES_MAX || out->len - start > FM_SET_BYTES_MAX))
        p.error = FM_ELIMIT;
    if (p.error != FM_OK)
        out->len = start;
    return p.error;
}

#define HASH(c, out, len, ...)                                                    \
    do {                                                                          \
        const struct fm_span parts_[] = {__VA_ARGS__};                            \
        (c)->hash((c)->ctx, (out), (len), parts_, sizeof parts_ / sizeof *parts_); \
    } while (0)
#define ID(x) fm_span((x)->b, sizeof(x)->b)

void fm_set_id_of(struct fm_set_id *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_span header)
{
    HASH(c, out->b, sizeof out->b, fm_span_str(FM_DOMAIN_SET), ID(mesh), header);
}

void fm_body_hash_of(uint8_t out[32], const struct fm_crypto *c, struct fm_span body)
{
    HASH(c, out, 32, fm_span_str(FM_DOMAIN_BODY), body);
}

void fm_stream_hash_of(uint8_t out[FM_STREAM_HASH_BYTES], const struct fm_crypto *c, const struct fm_stream *stream)
{
    uint8_t incarnation[8];
    fm_be_put(incarnation, stream->incarnation, sizeof incarnation);
    HASH(c, out, FM_STREAM_HASH_BYTES, fm_span_str(FM_DOMAIN_STREAM), ID(&stream->author),
         fm_span(incarnation, sizeof incarnation), fm_span(&stream->lane, 1));
}

void fm_version_id_of(struct fm_version_id *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh,
                      const struct fm_set_header *header, uint32_t index, struct fm_span change)
{
    static const uint8_t none[FM_SET_ID_BYTES];
    uint8_t numbers[8 + 8], place[8 + 4];

    fm_be_put(numbers, header->stream.incarnation, 8);
    fm_be_put(numbers + 8, header->sequence, 8);
    fm_be_put(place, header->time, 8);
    fm_be_put(place + 8, index, 4);
    HASH(c, out->b, sizeof out->b, fm_span_str(FM_DOMAIN_VERSION), ID(mesh), ID(&header->stream.author),
         fm_span(numbers, sizeof numbers), header->has_prev ? ID(&header->prev) : fm_span(none, FM_SET_ID_BYTES),
         fm_span(place, sizeof place), header->has_grant ? ID(&header->grant) : fm_span(none, FM_GRANT_ID_BYTES), change);
}

void fm_conflict_id_of(struct fm_conflict_id *out, const struct fm_crypto *c, uint8_t kind, const struct fm_record_id *record,
                       const struct fm_version_id *version)
{
    HASH(c, out->b, sizeof out->b, fm_span_str(FM_DOMAIN_CONFLICT), fm_span(&kind, 1), ID(record), ID(version));
}

void fm_data_key_id_of(struct fm_data_key_id *out, const struct fm_crypto *c, const struct fm_key *key)
{
    HASH(c, out->b, sizeof out->b, fm_span_str(FM_DOMAIN_DATA_KEY), ID(key));
}

/* Sizes fit before anything is opened: plain is exactly body_size, compressed is smaller (it is used only then). */
static bool sizes_fit(const struct fm_set *set)
{
    size_t over = set->header.sealed ? SEAL_BYTES : 0;
    if (set->body.len <= over)
        return false;
    size_t inner = set->body.len - over;
    return set->header.codec == FM_CODEC_PLAIN ? inner == set->header.body_size : inner < set->header.body_size;
}

static int unpack_body(struct fm_buf *out, const struct fm_crypto *c, const struct fm_set_header *h, struct fm_span packed)
{
    size_t start = out->len;
    if (h->codec == FM_CODEC_PLAIN)
        return fm_buf_add(out, packed.data, packed.len);
    int rc = c->decompress(c->ctx, out, packed, h->body_size);
    assert(rc != FM_OK || out->len - start == h->body_size); /* the port's word */
    return rc;
}

int fm_set_open(struct fm_buf *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, const struct fm_set *set,
                const struct fm_key *key)
{
    const struct fm_set_header *h = &set->header;
    uint8_t hash[32];
    size_t start = out->len;
    struct fm_buf opened;
    int rc;

    fm_body_hash_of(hash, c, set->body);
    if (memcmp(hash, h->body_hash, sizeof hash) != 0 || !sizes_fit(set))
        return FM_EFORMAT;
    if (h->sealed) {
        struct fm_data_key_id id;
        if (key == NULL)
            return FM_EKEY;
        fm_data_key_id_of(&id, c, key);
        if (!fm_id_eq(&id, &h->data_key))
            return FM_EKEY;
    }
    fm_buf_init(&opened, set->body.len);
    if (h->sealed) {
        rc = c->open(c->ctx, &opened, set->body, key, ID(mesh));
        if (rc == FM_EKEY) /* it is the key of that name, so the body is nonsense: void on every node, not unreadable */
            rc = FM_EFORMAT;
        if (rc == FM_OK)
            rc = unpack_body(out, c, h, fm_buf_span(&opened));
    } else {
        rc = unpack_body(out, c, h, set->body);
    }
    fm_buf_fini(&opened);
    if (rc != FM_OK)
        out->len = start;
    return rc;
}

/* Appends the body as carried. */
static int pack_body(struct fm_buf *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_set_header *h,
                     struct fm_span changes, const struct fm_key *key, const uint8_t nonce[24])
{
    struct fm_buf packed;
    struct fm_span inner = changes;
    int rc = FM_ELIMIT;

    h->codec = FM_CODEC_PLAIN;
    fm_buf_init(&packed, 0);
    if (c->compress != NULL)
        rc = c->compress(c->ctx, &packed, changes);
    if (rc == FM_OK) {
        assert(packed.len < changes.len);
        h->codec = FM_CODEC_ZSTD;
        inner = fm_buf_span(&packed);
    }
    if (rc == FM_OK || rc == FM_ELIMIT) { /* FM_ELIMIT: it would not get smaller */
        h->sealed = key != NULL;
        if (h->sealed) {
            fm_data_key_id_of(&h->data_key, c, key);
            rc = c->seal(c->ctx, out, inner, key, nonce, ID(mesh));
        } else {
            memset(h->data_key.b, 0, sizeof h->data_key.b);
            rc = fm_buf_add(out, inner.data, inner.len);
        }
    }
    fm_buf_fini(&packed);
    return rc;
}

int fm_set_close(struct fm_buf *out, struct fm_set_id *id, const struct fm_crypto *c, const struct fm_mesh_id *mesh,
                 struct fm_set_header *header, struct fm_span changes, const struct fm_key *key, const uint8_t nonce[24])
{
    struct fm_buf body, head;
    uint8_t signature[FM_SIGNATURE_BYTES];

    assert(header->format == FM_FORMAT && header->sequence > 0 && header->has_prev == (header->sequence > 1));
    if (changes.len == 0 || changes.len > FM_BODY_BYTES_MAX || header->change_count == 0 ||
        header->change_count > FM_SET_CHANGES_MAX)
        return FM_ELIMIT;
    header->body_size = (uint32_t)changes.len;
    fm_buf_init(&body, 0);
    fm_buf_init(&head, 0);
    int rc = pack_body(&body, c, mesh, header, changes, key, nonce);
    if (rc == FM_OK) {
        fm_body_hash_of(header->body_hash, c, fm_buf_span(&body));
        rc = fm_set_header_encode(&head, header);
    }
    if (rc == FM_OK) {
        fm_set_id_of(id, c, mesh, fm_buf_span(&head));
        c->sign(c->ctx, signature, id->b);
        rc = fm_set_encode(out, fm_buf_span(&head), fm_buf_span(&body), signature);
    }
    fm_buf_fini(&head);
    fm_buf_fini(&body);
    return rc;
}
