/* Change sets: one form of bytes per set, every bound of the header, and bodies that open only as they were closed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/set.h"
#include "tests/support/fake_crypto.h"

static struct fm_fake_device device = {.author = {{1, 2, 3}}};
static const struct fm_mesh_id mesh = {{9, 8, 7}};
static const struct fm_key key = {{5, 5, 5}};
static const uint8_t nonce[24] = {4, 2};
static const uint8_t zeros[64];

static struct fm_set_header header(void)
{
    return (struct fm_set_header){
        .format = FM_FORMAT,
        .stream = {.author = device.author, .incarnation = 77, .lane = FM_LANE_RECORDS},
        .sequence = 3,
        .has_prev = true,
        .prev = {{1}},
        .has_grant = true,
        .grant = {{2}},
        .epoch = 4,
        .time = UINT64_C(1) << 50,
        .change_count = 2,
        .body_size = 5,
    };
}

/* --- headers field by field; items[i] replaces the i-th packed item --- */
struct item {
    const char *bytes;
    size_t len;
};
#define I(b) {b, sizeof(b) - 1}
#define B16 "0123456789abcdef"
#define B32 B16 B16

static const struct item good_items[14] = {
    I("\x01"), I("\x01"), I("\xc4\x20" B32), I("\x4d"), I("\x03"), I("\xc4\x20" B32), I("\xc4\x20" B32),
    I("\x04"), I("\xcd\x01\x00"), I("\x00"), I("\xc4\x10" B16), I("\xc4\x20" B32), I("\x2d"), I("\x02"),
};

static int decode_items(const struct item *items, uint32_t count, struct fm_set *set)
{
    struct fm_buf head, all;
    struct fm_pack p;
    fm_buf_init(&head, 0);
    fm_buf_init(&all, 0);
    fm_pack_init(&p, &head);
    fm_pack_array(&p, count);
    for (uint32_t i = 0; i < count; i++)
        fm_pack_raw(&p, fm_span(items[i].bytes, items[i].len));
    fm_pack_init(&p, &all);
    fm_pack_array(&p, 3);
    fm_pack_bin(&p, head.data, head.len);
    fm_pack_bin(&p, "body", 4);
    fm_pack_bin(&p, zeros, 64);
    assert_int_equal(p.error, FM_OK);
    int rc = fm_set_decode(set, fm_buf_span(&all));
    if (rc == FM_OK) { /* the same bytes again */
        struct fm_buf again;
        fm_buf_init(&again, 0);
        assert_int_equal(fm_set_header_encode(&again, &set->header), FM_OK);
        assert_true(fm_span_eq(fm_buf_span(&again), fm_buf_span(&head)));
        fm_buf_fini(&again);
    }
    fm_buf_fini(&head);
    fm_buf_fini(&all);
    return rc;
}

static void each_header_field_has_its_bounds(void **state)
{
    static const struct {
        int at;
        struct item item;
        int rc;
    } cases[] = {
        {0, I("\x00"), FM_EFORMAT}, {0, I("\x02"), FM_ENEWER}, {0, I("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), FM_ENEWER},
        {0, I("\xcc\x01"), FM_EFORMAT}, {0, I("\xc0"), FM_EFORMAT},
        {1, I("\x00"), FM_OK}, {1, I("\x02"), FM_ELIMIT}, {1, I("\xc2"), FM_EFORMAT},
        {2, I("\xc4\x00"), FM_EFORMAT}, {2, I("\xc4\x1f" B16 "0123456789abcde"), FM_EFORMAT},
        {2, I("\xc4\x21" B32 "x"), FM_EFORMAT},
        {2, I("\xd9\x20" B32), FM_EFORMAT},
        {3, I("\x00"), FM_OK}, {3, I("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), FM_OK}, {3, I("\xff"), FM_EFORMAT},
        {4, I("\x00"), FM_EFORMAT}, {4, I("\x01"), FM_EFORMAT}, {4, I("\x02"), FM_OK}, /* 1 has no previous set */
        {4, I("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), FM_OK}, {4, I("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), FM_ELIMIT},
        {5, I("\xc4\x00"), FM_EFORMAT}, {5, I("\xc4\x10" B16), FM_EFORMAT}, {5, I("\xc4\x21" B32 "x"), FM_ELIMIT},
        {5, I("\xc0"), FM_EFORMAT},
        {6, I("\xc4\x00"), FM_OK}, {6, I("\xc4\x10" B16), FM_EFORMAT}, {6, I("\xc4\x21" B32 "x"), FM_ELIMIT},
        {7, I("\x00"), FM_OK}, {7, I("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), FM_OK},
        {7, I("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), FM_ELIMIT},
        {8, I("\x00"), FM_OK}, {8, I("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), FM_OK},
        {8, I("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), FM_ELIMIT},
        {8, I("\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00"), FM_EFORMAT},
        {9, I("\x01"), FM_OK}, {9, I("\x02"), FM_ELIMIT},
        {10, I("\xc4\x00"), FM_OK}, {10, I("\xc4\x0f" "0123456789abcde"), FM_EFORMAT},
        {10, I("\xc4\x11" B16 "x"), FM_ELIMIT},
        {11, I("\xc4\x00"), FM_EFORMAT}, {11, I("\xc4\x21" B32 "x"), FM_EFORMAT},
        {12, I("\x00"), FM_EFORMAT}, {12, I("\x01"), FM_OK}, {12, I("\xce\x00\x0f\xff\xff"), FM_OK},
        {12, I("\xce\x00\x10\x00\x00"), FM_OK},
        {12, I("\xce\x00\x10\x00\x01"), FM_ELIMIT},
        {13, I("\x00"), FM_EFORMAT}, {13, I("\x01"), FM_OK}, {13, I("\xcc\xff"), FM_OK}, {13, I("\xcd\x01\x00"), FM_OK},
        {13, I("\xcd\x01\x01"), FM_ELIMIT},
    };
    struct fm_set set;
    (void)state;
    assert_int_equal(decode_items(good_items, 14, &set), FM_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct item items[14];
        memcpy(items, good_items, sizeof items);
        items[cases[i].at] = cases[i].item;
        int rc = decode_items(items, 14, &set);
        if (rc != cases[i].rc)
            fail_msg("case %zu, field %d: %d, not %d", i, cases[i].at, rc, cases[i].rc);
    }
    struct item more[15] = {{0}};
    memcpy(more, good_items, sizeof good_items);
    more[14] = more[0];
    assert_int_equal(decode_items(more, 15, &set), FM_EFORMAT);
    assert_int_equal(decode_items(more, 13, &set), FM_EFORMAT);
    more[0] = (struct item)I("\x02"); /* a later format may have more fields */
    assert_int_equal(decode_items(more, 15, &set), FM_ENEWER);
    struct item first[14];
    memcpy(first, good_items, sizeof first);
    first[4] = (struct item)I("\x01");
    first[5] = (struct item)I("\xc4\x00");
    assert_int_equal(decode_items(first, 14, &set), FM_OK);
    assert_false(set.header.has_prev);
}

static void the_whole_set_has_one_form(void **state)
{
    struct fm_set_header h = header();
    struct fm_buf head, all;
    struct fm_set set;
    (void)state;
    fm_buf_init(&head, 0);
    fm_buf_init(&all, 0);
    assert_int_equal(fm_set_header_encode(&head, &h), FM_OK);
    assert_int_equal(fm_set_encode(&all, fm_buf_span(&head), fm_span_str("12345"), zeros), FM_OK);
    assert_int_equal(fm_set_decode(&set, fm_buf_span(&all)), FM_OK);
    assert_int_equal(set.header.sequence, 3);
    assert_true(set.header.has_prev && set.header.has_grant && !set.header.sealed);
    assert_int_equal(set.header.stream.incarnation, 77);
    assert_true(fm_span_eq(set.body, fm_span_str("12345")));
    for (size_t cut = 0; cut < all.len; cut++) { /* every truncation is refused */
        uint8_t *copy = malloc(cut == 0 ? 1 : cut);
        memcpy(copy, all.data, cut);
        assert_int_equal(fm_set_decode(&set, fm_span(copy, cut)), FM_EFORMAT);
        free(copy);
    }
    assert_int_equal(fm_buf_add(&all, "\xc0", 1), FM_OK); /* and so is anything after it */
    assert_int_equal(fm_set_decode(&set, fm_buf_span(&all)), FM_EFORMAT);
    static const struct item tails[] = {
        I("\xc4\x05" "12345" "\xc4\x3f"), I("\xc5\x00\x05" "12345"), I("\xd9\x05" "12345"), I("\xa5" "12345"), I("\xc0"),
    };
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct fm_pack p;
        all.len = 0;
        fm_pack_init(&p, &all);
        fm_pack_array(&p, 3);
        fm_pack_bin(&p, head.data, head.len);
        fm_pack_raw(&p, fm_span(tails[i].bytes, tails[i].len));
        if (i == 0)
            fm_pack_raw(&p, fm_span(zeros, 63));
        else
            fm_pack_bin(&p, zeros, 64);
        assert_int_equal(fm_set_decode(&set, fm_buf_span(&all)), FM_EFORMAT);
    }
    fm_buf_fini(&head);
    fm_buf_fini(&all);
}

static void the_set_is_bounded(void **state)
{
    struct fm_set_header h = header();
    struct fm_buf head, all;
    struct fm_set set;
    (void)state;
    fm_buf_init(&head, 0);
    assert_int_equal(fm_set_header_encode(&head, &h), FM_OK);
    uint8_t *body = calloc(1, FM_SET_BYTES_MAX + 10);
    size_t around = 1 + 2 + head.len + 5 + 2 + 64; /* array, bin8 header, bin32 body, bin8 signature */
    for (int d = -1; d <= 1; d++) {
        fm_buf_init(&all, 0);
        struct fm_pack p;
        struct fm_span full = fm_span(body, (size_t)((int)(FM_SET_BYTES_MAX - around) + d));
        fm_pack_init(&p, &all);
        fm_pack_array(&p, 3);
        fm_pack_bin(&p, head.data, head.len);
        fm_pack_bin(&p, full.data, full.len);
        fm_pack_bin(&p, zeros, 64);
        assert_int_equal(all.len, (int)FM_SET_BYTES_MAX + d);
        assert_int_equal(fm_set_decode(&set, fm_buf_span(&all)), d > 0 ? FM_ELIMIT : FM_OK);
        all.len = 3;
        assert_int_equal(fm_set_encode(&all, fm_buf_span(&head), full, zeros), d > 0 ? FM_ELIMIT : FM_OK);
        assert_int_equal(all.len, d > 0 ? 3 : (int)FM_SET_BYTES_MAX + d + 3);
        fm_buf_fini(&all);
    }
    fm_buf_init(&all, 0);
    assert_int_equal(fm_set_encode(&all, fm_span(body, FM_SET_HEADER_BYTES_MAX + 1), fm_span(body, 1), zeros), FM_ELIMIT);
    free(body);
    fm_buf_fini(&head);
    fm_buf_fini(&all);
}

/* --- closing and opening --- */
static const char changes_text[] = "\x92xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";
#define CHANGES fm_span(changes_text, sizeof changes_text - 1)

static void closed_sets_open_to_the_same_changes(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        bool sealed = way & 1, packed = way & 2;
        struct fm_crypto c = fm_fake_crypto_of(&device);
        struct fm_set_header h = header();
        struct fm_buf all, out;
        struct fm_set set;
        struct fm_set_id id, again;
        if (packed)
            c.compress = fm_fake_compress;
        fm_buf_init(&all, 0);
        fm_buf_init(&out, 0);
        assert_int_equal(fm_set_close(&all, &id, &c, &mesh, &h, CHANGES, sealed ? &key : NULL, nonce), FM_OK);
        assert_int_equal(fm_set_decode(&set, fm_buf_span(&all)), FM_OK);
        assert_int_equal(set.header.codec, packed ? FM_CODEC_ZSTD : FM_CODEC_PLAIN);
        assert_int_equal(set.header.sealed, sealed);
        assert_int_equal(set.header.body_size, CHANGES.len);
        assert_memory_equal(set.header.body_hash, h.body_hash, 32);
        fm_set_id_of(&again, &c, &mesh, set.header_bytes);
        assert_true(fm_id_eq(&id, &again));
        assert_int_equal(c.verify(c.ctx, set.signature.data, id.b, &device.author), FM_OK);
        assert_int_equal(fm_buf_add(&out, "before", 6), FM_OK);
        assert_int_equal(fm_set_open(&out, &c, &mesh, &set, sealed ? &key : NULL), FM_OK);
        assert_true(fm_span_eq(fm_span(out.data + 6, out.len - 6), CHANGES));
        struct fm_buf bytes; /* encode(decode(bytes)) is bytes */
        fm_buf_init(&bytes, 0);
        assert_int_equal(fm_set_encode(&bytes, set.header_bytes, set.body, set.signature.data), FM_OK);
        assert_true(fm_span_eq(fm_buf_span(&bytes), fm_buf_span(&all)));
        fm_buf_fini(&bytes);
        fm_buf_fini(&all);
        fm_buf_fini(&out);
    }
}

static void what_does_not_shrink_is_carried_plain(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    struct fm_set_header h = header();
    struct fm_buf all;
    struct fm_set_id id;
    (void)state;
    c.compress = fm_fake_compress;
    fm_buf_init(&all, 0);
    assert_int_equal(fm_set_close(&all, &id, &c, &mesh, &h, fm_span_str("abcdef"), NULL, nonce), FM_OK);
    assert_int_equal(h.codec, FM_CODEC_PLAIN);
    assert_int_equal(h.body_size, 6);
    fm_buf_fini(&all);
}

static int never_open(void *ctx, struct fm_buf *out, struct fm_span sealed, const struct fm_key *k, struct fm_span bound)
{
    (void)ctx, (void)out, (void)sealed, (void)k, (void)bound;
    fail_msg("opened before its size was judged");
    return FM_EKEY;
}
static int never_decompress(void *ctx, struct fm_buf *out, struct fm_span packed, size_t size)
{
    (void)ctx, (void)out, (void)packed, (void)size;
    fail_msg("decompressed before its size was judged");
    return FM_EFORMAT;
}

/* Opens a set made by hand: this header, this body, its right hash. */
static int open_by_hand(struct fm_crypto *c, struct fm_set_header h, struct fm_span body, const struct fm_key *with)
{
    struct fm_set set = {.header = h, .body = body};
    struct fm_buf out;
    fm_body_hash_of(set.header.body_hash, c, body);
    fm_buf_init(&out, 0);
    int rc = fm_set_open(&out, c, &mesh, &set, with);
    assert_int_equal(out.len, rc == FM_OK ? h.body_size : 0);
    fm_buf_fini(&out);
    return rc;
}

static void sizes_are_judged_before_opening(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device), strict = c;
    struct fm_set_header h = header();
    static const uint8_t bytes[200];
    (void)state;
    strict.open = never_open;
    strict.decompress = never_decompress;
    h.body_size = 50;
    for (int d = -1; d <= 1; d++) /* plain: exactly */
        assert_int_equal(open_by_hand(&strict, h, fm_span(bytes, (size_t)(50 + d)), NULL), d == 0 ? FM_OK : FM_EFORMAT);
    h.codec = FM_CODEC_ZSTD; /* packed: smaller */
    assert_int_equal(open_by_hand(&strict, h, fm_span(bytes, 50), NULL), FM_EFORMAT);
    assert_int_equal(open_by_hand(&strict, h, fm_span(bytes, 0), NULL), FM_EFORMAT);
    h.codec = FM_CODEC_PLAIN;
    h.sealed = true;
    fm_data_key_id_of(&h.data_key, &c, &key);
    for (int d = -1; d <= 1; d += 2)
        assert_int_equal(open_by_hand(&strict, h, fm_span(bytes, (size_t)(90 + d)), &key), FM_EFORMAT);
    assert_int_equal(open_by_hand(&strict, h, fm_span(bytes, 40), &key), FM_EFORMAT);
    h.codec = FM_CODEC_ZSTD;
    assert_int_equal(open_by_hand(&strict, h, fm_span(bytes, 90), &key), FM_EFORMAT);
    /* a pack that does not give exactly what the header says */
    h.sealed = false;
    static const uint8_t runs[] = {49, 'x'}, more[] = {51, 'x'}, odd[] = {50, 'x', 1}, right[] = {50, 'x'};
    assert_int_equal(open_by_hand(&c, h, fm_span(runs, 2), NULL), FM_EFORMAT);
    assert_int_equal(open_by_hand(&c, h, fm_span(more, 2), NULL), FM_EFORMAT);
    assert_int_equal(open_by_hand(&c, h, fm_span(odd, 3), NULL), FM_EFORMAT);
    assert_int_equal(open_by_hand(&c, h, fm_span(right, 2), NULL), FM_OK);
}

static void keys_open_what_names_them(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    struct fm_key other = {{6}};
    struct fm_mesh_id foreign = {{1}};
    struct fm_set_header h = header();
    struct fm_buf all, out;
    struct fm_set set;
    struct fm_set_id id;
    (void)state;
    fm_buf_init(&all, 0);
    fm_buf_init(&out, 0);
    assert_int_equal(fm_set_close(&all, &id, &c, &mesh, &h, CHANGES, &key, nonce), FM_OK);
    assert_int_equal(fm_set_decode(&set, fm_buf_span(&all)), FM_OK);
    assert_int_equal(fm_set_open(&out, &c, &mesh, &set, NULL), FM_EKEY);
    assert_int_equal(fm_set_open(&out, &c, &mesh, &set, &other), FM_EKEY);
    assert_int_equal(fm_set_open(&out, &c, &foreign, &set, &key), FM_EFORMAT); /* sealed for another mesh */
    all.data[all.len - 64 - 2 - 1] ^= 1; /* the last byte of the tag, and of what the hash is over */
    assert_int_equal(fm_set_open(&out, &c, &mesh, &set, &key), FM_EFORMAT);
    fm_body_hash_of(set.header.body_hash, &c, set.body); /* its author signed nonsense: void for all that hold the key */
    assert_int_equal(fm_set_open(&out, &c, &mesh, &set, &key), FM_EFORMAT);
    assert_int_equal(fm_set_open(&out, &c, &mesh, &set, NULL), FM_EKEY);
    assert_int_equal(out.len, 0);
    fm_buf_fini(&all);
    fm_buf_fini(&out);
}

static void closing_is_bounded(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    struct fm_set_id id;
    struct fm_buf all;
    uint8_t *bytes = calloc(1, FM_BODY_BYTES_MAX + 1);
    (void)state;
    c.compress = fm_fake_compress;
    static const struct { uint32_t count; int rc; } counts[] = {
        {0, FM_ELIMIT}, {1, FM_OK}, {255, FM_OK}, {256, FM_OK}, {257, FM_ELIMIT},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct fm_set_header h = header();
        h.change_count = counts[i].count;
        fm_buf_init(&all, 0);
        assert_int_equal(fm_set_close(&all, &id, &c, &mesh, &h, CHANGES, NULL, nonce), counts[i].rc);
        fm_buf_fini(&all);
    }
    for (int d = -1; d <= 1; d++) {
        struct fm_set_header h = header();
        fm_buf_init(&all, 0);
        int rc = fm_set_close(&all, &id, &c, &mesh, &h, fm_span(bytes, (size_t)((int)FM_BODY_BYTES_MAX + d)), NULL, nonce);
        assert_int_equal(rc, d > 0 ? FM_ELIMIT : FM_OK);
        fm_buf_fini(&all);
    }
    c.compress = NULL; /* it does not fit into one set */
    struct fm_set_header h = header();
    fm_buf_init(&all, 0);
    assert_int_equal(fm_set_close(&all, &id, &c, &mesh, &h, fm_span(bytes, FM_SET_BYTES_MAX), &key, nonce), FM_ELIMIT);
    assert_int_equal(all.len, 0);
    assert_int_equal(fm_set_close(&all, &id, &c, &mesh, &h, fm_span(bytes, 0), &key, nonce), FM_ELIMIT);
    fm_buf_fini(&all);
    free(bytes);
}

static int compress_rc;
static int compress_fails(void *ctx, struct fm_buf *out, struct fm_span plain)
{
    (void)ctx, (void)out, (void)plain;
    return compress_rc;
}

/* What would not get smaller is carried plain; any other failure closes nothing. */
static void a_compressor_without_memory_closes_nothing(void **state)
{
    static const int codes[] = {FM_ENOMEM, FM_EIO, FM_ELIMIT};
    struct fm_crypto c = fm_fake_crypto_of(&device);
    (void)state;
    c.compress = compress_fails;
    for (size_t i = 0; i < 3; i++) {
        struct fm_set_header h = header();
        struct fm_set_id id;
        struct fm_buf all;
        fm_buf_init(&all, 0);
        compress_rc = codes[i];
        int wanted = codes[i] == FM_ELIMIT ? FM_OK : codes[i];
        assert_int_equal(fm_set_close(&all, &id, &c, &mesh, &h, CHANGES, &key, nonce), wanted);
        assert_true((all.len == 0) == (wanted != FM_OK));
        assert_int_equal(h.codec, FM_CODEC_PLAIN);
        fm_buf_fini(&all);
    }
}

static void a_full_buffer_is_told_and_nothing_added(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    struct fm_set_header h = header();
    struct fm_set_id id;
    struct fm_buf buf;
    struct fm_set set;
    (void)state;
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_set_close(&buf, &id, &c, &mesh, &h, CHANGES, &key, nonce), FM_OK);
    assert_int_equal(fm_set_decode(&set, fm_buf_span(&buf)), FM_OK);
    size_t whole = buf.len;
    for (size_t max = 1; max <= whole + 1; max++) {
        struct fm_buf small;
        fm_buf_init(&small, max);
        assert_int_equal(fm_buf_add(&small, "x", 1), FM_OK);
        int rc = fm_set_close(&small, &id, &c, &mesh, &h, CHANGES, &key, nonce);
        assert_int_equal(rc, max > whole ? FM_OK : FM_ELIMIT);
        assert_int_equal(small.len, max > whole ? whole + 1 : 1);
        small.len = 1;
        rc = fm_set_header_encode(&small, &h);
        assert_int_equal(rc, max > set.header_bytes.len ? FM_OK : FM_ELIMIT);
        assert_int_equal(small.len, rc == FM_OK ? set.header_bytes.len + 1 : 1);
        small.len = 1;
        rc = fm_set_open(&small, &c, &mesh, &set, &key);
        assert_int_equal(rc, max > CHANGES.len ? FM_OK : FM_ELIMIT);
        assert_int_equal(small.len, rc == FM_OK ? CHANGES.len + 1 : 1);
        fm_buf_fini(&small);
    }
    fm_buf_fini(&buf);
}

/* --- ids: each part of the input makes another id --- */
static void ids_hang_on_every_part(void **state)
{
    struct fm_crypto c = fm_fake_crypto();
    struct fm_set_header h[9];
    struct fm_version_id ids[12];
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < 9; i++)
        h[i] = header();
    h[1].stream.author.b[0] ^= 1;
    h[2].stream.incarnation++;
    h[3].sequence++;
    h[4].prev.b[31] ^= 1;
    h[5].has_prev = false;
    h[6].time++;
    h[7].grant.b[0] ^= 1;
    h[8].has_grant = false;
    for (; n < 9; n++)
        fm_version_id_of(&ids[n], &c, &mesh, &h[n], 1, fm_span_str("change"));
    fm_version_id_of(&ids[n++], &c, &mesh, &h[0], 2, fm_span_str("change"));
    fm_version_id_of(&ids[n++], &c, &mesh, &h[0], 1, fm_span_str("chang"));
    fm_version_id_of(&ids[n++], &c, &(struct fm_mesh_id){{1}}, &h[0], 1, fm_span_str("change"));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(fm_id_eq(&ids[i], &ids[j]));
    struct fm_version_id same; /* epoch, lane and change count are not part of it */
    h[1] = h[0];
    h[1].epoch++;
    h[1].change_count++;
    fm_version_id_of(&same, &c, &mesh, &h[1], 1, fm_span_str("change"));
    assert_true(fm_id_eq(&same, &ids[0]));
}

/* The bytes that are hashed, part by part: what WIRE.md promises to others. */
static struct fm_buf hashed;
static void record_hash(void *ctx, uint8_t *out, size_t out_len, const struct fm_span *parts, size_t count)
{
    (void)ctx;
    memset(out, (int)out_len, out_len);
    hashed.len = 0;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fm_buf_add(&hashed, parts[i].data, parts[i].len), FM_OK);
}
#define HASHED(bytes, size, id)                                                          \
    do {                                                                                 \
        assert_true(fm_span_eq(fm_buf_span(&hashed), fm_span(bytes, sizeof(bytes) - 1))); \
        assert_int_equal((id)[0], size);                                                 \
    } while (0)
#define Z8 "\0\0\0\0\0\0\0\0"
#define Z24 Z8 Z8 Z8
#define Z32 Z24 Z8

static void hashes_are_over_these_bytes(void **state)
{
    struct fm_crypto c = {.hash = record_hash};
    struct fm_mesh_id m = {{'M'}};
    struct fm_stream stream = {.author = {{'A'}}, .incarnation = 0x0102, .lane = 1};
    struct fm_set_header h = {.stream = stream, .sequence = 1, .time = 0x0304};
    struct fm_set_id set;
    struct fm_version_id version;
    struct fm_conflict_id conflict;
    struct fm_data_key_id data_key;
    uint8_t body[32], hash[24];
    (void)state;
    fm_set_id_of(&set, &c, &m, fm_span_str("head"));
    HASHED("fieldmesh set 1M" Z24 "\0\0\0\0\0\0\0head", 32, set.b);
    fm_body_hash_of(body, &c, fm_span_str("body"));
    HASHED("fieldmesh body 1body", 32, body);
    fm_stream_hash_of(hash, &c, &stream);
    HASHED("fieldmesh stream 1A" Z24 "\0\0\0\0\0\0\0" "\0\0\0\0\0\0\x01\x02" "\x01", 24, hash);
    fm_version_id_of(&version, &c, &m, &h, 5, fm_span_str("change"));
    HASHED("fieldmesh version 1M" Z24 "\0\0\0\0\0\0\0" "A" Z24 "\0\0\0\0\0\0\0" "\0\0\0\0\0\0\x01\x02" "\0\0\0\0\0\0\0\x01" Z32
           "\0\0\0\0\0\0\x03\x04" "\0\0\0\x05" Z32 "change", 24, version.b);
    fm_conflict_id_of(&conflict, &c, 2, &(struct fm_record_id){{'R'}}, &(struct fm_version_id){{'V'}});
    HASHED("fieldmesh conflict 1\x02R" Z8 "\0\0\0\0\0\0\0V" Z8 Z8 "\0\0\0\0\0\0\0", 16, conflict.b);
    fm_data_key_id_of(&data_key, &c, &(struct fm_key){{'K'}});
    HASHED("fieldmesh data key 1K" Z24 "\0\0\0\0\0\0\0", 16, data_key.b);
    fm_buf_fini(&hashed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_header_field_has_its_bounds),
        cmocka_unit_test(the_whole_set_has_one_form),
        cmocka_unit_test(the_set_is_bounded),
        cmocka_unit_test(closed_sets_open_to_the_same_changes),
        cmocka_unit_test(what_does_not_shrink_is_carried_plain),
        cmocka_unit_test(sizes_are_judged_before_opening),
        cmocka_unit_test(keys_open_what_names_them),
        cmocka_unit_test(closing_is_bounded),
        cmocka_unit_test(a_compressor_without_memory_closes_nothing),
        cmocka_unit_test(a_full_buffer_is_told_and_nothing_added),
        cmocka_unit_test(ids_hang_on_every_part),
        cmocka_unit_test(hashes_are_over_these_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
