/* zstd behind the port: smaller or refused, exactly `size` or refused, nothing allocated on a liar's word. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <zstd.h>

#include "crypto/crypto.h"
#include "node/compress.h"
#include "replication/bounds.h"
#include "replication/error.h"

static struct fm_crypto port;

static void fill_text(uint8_t *out, size_t len)
{
    static const char words[] = "numberToilets waterSources hasCleanWaterAccess Dikwa Ngala ";
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)words[(i * 7 + i / 13) % (sizeof words - 1)];
}

static void test_round_trip_at_every_size_class(void **state)
{
    (void)state;
    static const size_t sizes[] = {2, 64, 200, 1000, 65536, FM_BODY_BYTES_MAX - 1, FM_BODY_BYTES_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *plain = malloc(sizes[i]);
        assert_non_null(plain);
        fill_text(plain, sizes[i]);
        struct fm_buf packed, back;
        fm_buf_init(&packed, 0);
        fm_buf_init(&back, 0);
        assert_int_equal(fm_buf_add(&packed, "before", 6), FM_OK);
        int rc = port.compress(port.ctx, &packed, fm_span(plain, sizes[i]));
        if (sizes[i] >= 1000) {
            assert_int_equal(rc, FM_OK);
            assert_true(packed.len - 6 < sizes[i]);
            assert_memory_equal(packed.data, "before", 6); /* it appends */
            assert_int_equal(port.decompress(port.ctx, &back, fm_span(packed.data + 6, packed.len - 6), sizes[i]), FM_OK);
            assert_int_equal(back.len, sizes[i]);
            assert_memory_equal(back.data, plain, sizes[i]);
        } else if (rc != FM_OK) {
            assert_int_equal(rc, FM_ELIMIT);
            assert_int_equal(packed.len, 6);
        }
        fm_buf_fini(&packed);
        fm_buf_fini(&back);
        free(plain);
    }
}

static void test_what_would_not_get_smaller_is_refused_and_nothing_added(void **state)
{
    (void)state;
    uint8_t noise[5000];
    fm_crypto_random(noise, sizeof noise);
    struct fm_buf out;
    fm_buf_init(&out, 0);
    for (size_t len = 0; len <= sizeof noise; len += len < 4 ? 1 : 833) {
        assert_int_equal(port.compress(port.ctx, &out, fm_span(noise, len)), FM_ELIMIT);
        assert_int_equal(out.len, 0);
    }
    fm_buf_fini(&out);
}

/* A frame of the library's own, with or without the size in its header. */
static size_t frame(uint8_t *out, size_t cap, const void *plain, size_t len, int with_size)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    assert_non_null(c);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, with_size);
    size_t n = ZSTD_compress2(c, out, cap, plain, len);
    assert_false(ZSTD_isError(n));
    ZSTD_freeCCtx(c);
    return n;
}

static void expect_refused(struct fm_span packed, size_t size)
{
    struct fm_buf out;
    fm_buf_init(&out, 0);
    assert_int_equal(port.decompress(port.ctx, &out, packed, size), FM_EFORMAT);
    assert_int_equal(out.len, 0);
    fm_buf_fini(&out);
}

static void test_any_other_size_or_shape_is_refused(void **state)
{
    (void)state;
    uint8_t plain[3000], packed[8192];
    fill_text(plain, sizeof plain);
    size_t n = frame(packed, sizeof packed, plain, sizeof plain, 1);
    struct fm_buf out;
    fm_buf_init(&out, 0);
    assert_int_equal(port.decompress(port.ctx, &out, fm_span(packed, n), sizeof plain), FM_OK); /* the frame itself is good */
    fm_buf_fini(&out);
    expect_refused(fm_span(packed, n), sizeof plain - 1);
    expect_refused(fm_span(packed, n), sizeof plain + 1);
    expect_refused(fm_span(packed, n), 0);
    expect_refused(fm_span(packed, n + 1), sizeof plain); /* bytes behind the frame */
    expect_refused(fm_span(packed, 0), sizeof plain);
    for (size_t cut = 0; cut < n; cut++)
        expect_refused(fm_span(packed, cut), sizeof plain);
    /* Two frames that together have the size: one decoder would join them, another would not. */
    size_t a = frame(packed, sizeof packed, plain, 1500, 1);
    size_t b = frame(packed + a, sizeof packed - a, plain + 1500, 1500, 1);
    expect_refused(fm_span(packed, a + b), 3000);
    /* No size in the header; a skippable frame before; one behind. */
    expect_refused(fm_span(packed, frame(packed, sizeof packed, plain, sizeof plain, 0)), sizeof plain);
    static const uint8_t skip[12] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    memcpy(packed, skip, sizeof skip);
    n = frame(packed + sizeof skip, sizeof packed - sizeof skip, plain, sizeof plain, 1);
    expect_refused(fm_span(packed, n + sizeof skip), sizeof plain);
    memmove(packed, packed + sizeof skip, n);
    memcpy(packed + n, skip, sizeof skip);
    expect_refused(fm_span(packed, n + sizeof skip), sizeof plain);
}

static void test_a_flipped_byte_is_refused_or_has_the_size(void **state)
{
    (void)state;
    uint8_t plain[600], packed[1024];
    fill_text(plain, sizeof plain);
    size_t n = frame(packed, sizeof packed, plain, sizeof plain, 1), refused = 0;
    for (size_t i = 0; i < n; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            packed[i] ^= (uint8_t)(1u << bit);
            struct fm_buf out;
            fm_buf_init(&out, 0);
            int rc = port.decompress(port.ctx, &out, fm_span(packed, n), sizeof plain);
            assert_true(rc == FM_OK || rc == FM_EFORMAT);
            assert_int_equal(out.len, rc == FM_OK ? sizeof plain : 0);
            refused += rc != FM_OK;
            fm_buf_fini(&out);
            packed[i] ^= (uint8_t)(1u << bit);
        }
    assert_true(refused > n);
}

static void test_a_bomb_costs_nothing(void **state)
{
    (void)state;
    size_t len = (size_t)64 * 1024 * 1024;
    uint8_t *zeros = calloc(1, len), packed[16384];
    assert_non_null(zeros);
    size_t n = frame(packed, sizeof packed, zeros, len, 1); /* 64 MiB in a few kB */
    free(zeros);
    struct fm_buf out;
    fm_buf_init(&out, 0);
    static const size_t claims[] = {1, 1000, FM_BODY_BYTES_MAX, FM_BODY_BYTES_MAX + 1, (size_t)64 * 1024 * 1024, SIZE_MAX};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        assert_int_equal(port.decompress(port.ctx, &out, fm_span(packed, n), claims[i]), FM_EFORMAT);
        assert_int_equal(out.cap, 0); /* refused before a byte was allocated */
    }
    /* A header that lies low: the claimed size fits, what follows does not. Frame header: magic, descriptor, (window), size. */
    uint8_t small[64], liar[16384 + 64];
    size_t h = frame(small, sizeof small, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 64, 1);
    assert_true(h > 6 && small[4] == 0x20 && small[5] == 64); /* single segment, one byte of size */
    memcpy(liar, small, 6);
    size_t head = 4 + 1 + 1 + 4; /* the bomb's header: descriptor 0x80|…, window, 4 bytes of size */
    assert_int_equal(packed[4] >> 6, 2);
    assert_true((packed[4] & 0x20) == 0);
    memcpy(liar + 6, packed + head, n - head);
    expect_refused(fm_span(liar, n - head + 6), 64);
    /* The buffer's own bound holds too. */
    fm_buf_init(&out, 63);
    assert_int_equal(port.decompress(port.ctx, &out, fm_span(small, h), 64), FM_ELIMIT);
    fm_buf_fini(&out);
}

int main(void)
{
    if (fm_crypto_init() != FM_OK)
        return 1;
    fm_compress_port(&port);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_at_every_size_class),
        cmocka_unit_test(test_what_would_not_get_smaller_is_refused_and_nothing_added),
        cmocka_unit_test(test_any_other_size_or_shape_is_refused),
        cmocka_unit_test(test_a_flipped_byte_is_refused_or_has_the_size),
        cmocka_unit_test(test_a_bomb_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
