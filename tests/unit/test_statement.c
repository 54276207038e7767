/* Statements: one form of bytes, their bounds, and a signature that hangs on mesh, author and every byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/statement.h"
#include "tests/support/fake_crypto.h"

static const struct fm_mesh_id mesh = {{7}};
static struct fm_fake_device device = {.author = {{1, 2, 3}}};

static struct fm_statement sample(uint8_t kind)
{
    return (struct fm_statement){
        .kind = kind, .author = device.author, .grant = {{4}}, .counter = UINT64_C(1) << 41, .store = {{5}}, .epoch = 12,
    };
}

static void receipts_come_back(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    (void)state;
    for (uint32_t n = 0; n <= 1000; n += n < 2 ? 1 : 499) {
        static struct fm_receipt_tip tips[1001];
        struct fm_statement in = sample(FM_RECEIPT), out;
        struct fm_receipt_tip tip;
        struct fm_buf buf, again;
        for (uint32_t i = 0; i < n; i++) {
            tips[i] = (struct fm_receipt_tip){.sequence = i + 1};
            memset(tips[i].stream, (int)(i & 0xff), sizeof tips[i].stream);
            memset(tips[i].set, (int)(i + 1) & 0xff, sizeof tips[i].set);
        }
        fm_buf_init(&buf, 0);
        fm_buf_init(&again, 0);
        assert_int_equal(fm_statement_sign(&buf, &c, &mesh, &in, tips, n), FM_OK);
        assert_int_equal(fm_statement_decode(&out, &c, &mesh, fm_buf_span(&buf)), FM_OK);
        assert_int_equal(out.kind, FM_RECEIPT);
        assert_true(fm_id_eq(&out.author, &in.author) && fm_id_eq(&out.grant, &in.grant) && fm_id_eq(&out.store, &in.store));
        assert_true(out.counter == in.counter);
        assert_int_equal(out.tip_count, n);
        assert_true(fm_span_eq(out.bytes, fm_buf_span(&buf)));
        struct fm_span left = out.tips;
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(fm_statement_tip(&left, &tip), FM_OK);
            assert_true(tip.sequence == tips[i].sequence);
            assert_memory_equal(tip.stream, tips[i].stream, sizeof tip.stream);
            assert_memory_equal(tip.set, tips[i].set, sizeof tip.set);
        }
        assert_int_equal(fm_statement_tip(&left, &tip), FM_ENOTFOUND);
        assert_int_equal(fm_statement_sign(&again, &c, &mesh, &out, tips, n), FM_OK);
        assert_true(fm_span_eq(fm_buf_span(&again), fm_buf_span(&buf)));
        fm_buf_fini(&buf);
        fm_buf_fini(&again);
    }
}

static void notices_come_back(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    struct fm_statement in = sample(FM_EPOCH_NOTICE), out;
    struct fm_buf buf;
    (void)state;
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_statement_sign(&buf, &c, &mesh, &in, NULL, 0), FM_OK);
    assert_int_equal(fm_statement_decode(&out, &c, &mesh, fm_buf_span(&buf)), FM_OK);
    assert_int_equal(out.kind, FM_EPOCH_NOTICE);
    assert_int_equal(out.epoch, 12);
    assert_int_equal(out.tip_count, 0);
    fm_buf_fini(&buf);
}

static void cut_or_bent_statements_are_refused(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    const struct fm_receipt_tip tip = {.sequence = 9};
    (void)state;
    for (uint8_t kind = FM_RECEIPT; kind <= FM_EPOCH_NOTICE; kind++) {
        struct fm_statement in = sample(kind), out;
        struct fm_buf buf;
        fm_buf_init(&buf, 0);
        assert_int_equal(fm_statement_sign(&buf, &c, &mesh, &in, &tip, kind == FM_RECEIPT), FM_OK);
        for (size_t cut = 0; cut < buf.len; cut++) {
            uint8_t *copy = malloc(cut == 0 ? 1 : cut);
            memcpy(copy, buf.data, cut);
            assert_int_equal(fm_statement_decode(&out, &c, &mesh, fm_span(copy, cut)), FM_EFORMAT);
            free(copy);
        }
        for (size_t bit = 0; bit < buf.len * 8; bit++) {
            buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_not_equal(fm_statement_decode(&out, &c, &mesh, fm_buf_span(&buf)), FM_OK);
            buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(fm_statement_decode(&out, &c, &(struct fm_mesh_id){{8}}, fm_buf_span(&buf)), FM_ESIGNATURE);
        assert_int_equal(fm_buf_add(&buf, "\xc0", 1), FM_OK);
        assert_int_equal(fm_statement_decode(&out, &c, &mesh, fm_buf_span(&buf)), FM_EFORMAT);
        fm_buf_fini(&buf);
    }
    struct fm_statement other = sample(FM_EPOCH_NOTICE), out; /* signed by another than it names */
    struct fm_buf buf;
    other.author.b[0] ^= 1;
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_statement_sign(&buf, &c, &mesh, &other, NULL, 0), FM_OK);
    assert_int_equal(fm_statement_decode(&out, &c, &mesh, fm_buf_span(&buf)), FM_ESIGNATURE);
    fm_buf_fini(&buf);
}

/* --- contents by hand, rightly signed --- */
struct item {
    const char *bytes;
    size_t len;
};
#define I(b) {b, sizeof(b) - 1}
#define B8 "01234567"
#define B24 B8 B8 B8
#define AUTHOR "\xc4\x20\x01\x02\x03\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0"
#define ID "\xc4\x20" B24 B8
#define STORE "\xc4\x08" B8
#define TIP "\x93\xc4\x18" B24 "\x01\xc4\x18" B24

static int decode_content(struct fm_span content)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_STATEMENT), fm_span(mesh.b, sizeof mesh.b), content};
    uint8_t id[32], signature[64];
    struct fm_statement out;
    struct fm_buf buf;
    struct fm_pack p;
    c.hash(c.ctx, id, 32, parts, 3);
    c.sign(c.ctx, signature, id);
    fm_buf_init(&buf, 0);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, 2);
    fm_pack_bin(&p, content.data, content.len);
    fm_pack_bin(&p, signature, 64);
    int rc = fm_statement_decode(&out, &c, &mesh, fm_buf_span(&buf));
    fm_buf_fini(&buf);
    return rc;
}

static void each_content_has_its_form(void **state)
{
    static const struct {
        struct item item;
        int rc;
    } cases[] = {
        {I("\x96\x01" AUTHOR ID "\x09" STORE "\x90"), FM_OK}, {I("\x96\x01" AUTHOR ID "\x09" STORE "\x91" TIP), FM_OK},
        {I("\x95\x02" AUTHOR ID "\x09\x05"), FM_OK}, {I("\x96\x02" AUTHOR ID "\x09" STORE "\x90"), FM_EFORMAT},
        {I("\x95\x01" AUTHOR ID "\x09\x05"), FM_EFORMAT}, {I("\x95\x03" AUTHOR ID "\x09\x05"), FM_EFORMAT},
        {I("\x95\x00" AUTHOR ID "\x09\x05"), FM_EFORMAT},
        {I("\x95\xcd\x01\x02" AUTHOR ID "\x09\x05"), FM_ELIMIT},
        {I("\x95\xcc\x02" AUTHOR ID "\x09\x05"), FM_EFORMAT}, {I("\x90"), FM_EFORMAT},
        {I(""), FM_EFORMAT}, {I("\x95\x02" AUTHOR ID "\x09\x05\x01"), FM_EFORMAT},
        {I("\x95\x02" AUTHOR "\xc4\x00\x09\x05"), FM_EFORMAT},
        {I("\x95\x02" AUTHOR ID "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\x05"), FM_OK},
        {I("\x95\x02" AUTHOR ID "\xcf\x80\0\0\0\0\0\0\0\x05"), FM_ELIMIT},
        {I("\x95\x02" AUTHOR ID "\x09\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), FM_OK},
        {I("\x95\x02" AUTHOR ID "\x09\xcf\x80\0\0\0\0\0\0\0"), FM_ELIMIT},
        {I("\x95\x02" AUTHOR ID "\x09\xc0"), FM_EFORMAT}, {I("\x96\x01" AUTHOR ID "\x09\xc4\x07" "0123456\x90"), FM_EFORMAT},
        {I("\x96\x01" AUTHOR ID "\x09" STORE "\x91\x93\xc4\x18" B24 "\x00\xc4\x18" B24), FM_EFORMAT},
        {I("\x96\x01" AUTHOR ID "\x09" STORE "\x91\x93\xc4\x18" B24 "\xcf\x80\0\0\0\0\0\0\0\xc4\x18" B24), FM_ELIMIT},
        {I("\x96\x01" AUTHOR ID "\x09" STORE "\x91\x93\xc4\x17" B8 B8 "0123456\x01\xc4\x18" B24), FM_EFORMAT},
        {I("\x96\x01" AUTHOR ID "\x09" STORE "\x91\x93\xc4\x18" B24 "\x01\xc4\x17" B8 B8 "0123456"), FM_EFORMAT},
        {I("\x96\x01" AUTHOR ID "\x09" STORE "\x91\x92\xc4\x18" B24 "\x01"), FM_EFORMAT},
        {I("\x96\x01" AUTHOR ID "\x09" STORE "\x92" TIP), FM_EFORMAT},
        {I("\x96\x01" AUTHOR ID "\x09" STORE "\xc0"), FM_EFORMAT},
        {I("\x96\x01" AUTHOR ID "\x09" STORE "\xdc\x00\x01" TIP), FM_EFORMAT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = decode_content(fm_span(cases[i].item.bytes, cases[i].item.len));
        if (rc != cases[i].rc)
            fail_msg("case %zu: %d, not %d", i, rc, cases[i].rc);
    }
}

/* Tips that were never decoded: none is handed out, and the reader stays where it is. */
static void damaged_tips_are_not_handed_out(void **state)
{
    static const struct item good = I(TIP), bad = I("\x93\xc4\x17" B8 B8 "0123456\x01\xc4\x18" B24);
    struct fm_span tips = fm_span(good.bytes, good.len), damaged = fm_span(bad.bytes, bad.len), before = damaged;
    struct fm_receipt_tip tip;
    (void)state;
    assert_int_equal(fm_statement_tip(&damaged, &tip), FM_EFORMAT);
    assert_true(damaged.data == before.data && damaged.len == before.len);
    assert_int_equal(fm_statement_tip(&tips, &tip), FM_OK);
    assert_int_equal(fm_statement_tip(&tips, &tip), FM_ENOTFOUND);
}

/* A receipt of exactly so many bytes: small tips of 54 bytes, and larger numbers where some bytes are missing. */
static void statements_are_bounded(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    struct fm_statement in = sample(FM_RECEIPT), out;
    static struct fm_receipt_tip tips[1300];
    size_t seen[3] = {0};
    (void)state;
    for (uint32_t n = 1150; n < 1300; n++) {
        for (uint32_t wide = 0; wide < 60; wide++) { /* each wide number takes one byte more */
            struct fm_buf buf;
            for (uint32_t i = 0; i < n; i++)
                tips[i].sequence = i < wide ? 200 : 1;
            fm_buf_init(&buf, 0);
            int rc = fm_statement_sign(&buf, &c, &mesh, &in, tips, n);
            if (rc == FM_OK) {
                assert_in_range(buf.len, 1, FM_STATEMENT_BYTES_MAX);
                if (buf.len >= FM_STATEMENT_BYTES_MAX - 1) {
                    seen[buf.len - (FM_STATEMENT_BYTES_MAX - 1)]++;
                    assert_int_equal(fm_statement_decode(&out, &c, &mesh, fm_buf_span(&buf)), FM_OK);
                    assert_int_equal(out.tip_count, n);
                }
            } else {
                assert_int_equal(rc, FM_ELIMIT);
                assert_int_equal(buf.len, 0);
                seen[2]++;
            }
            fm_buf_fini(&buf);
            if (rc != FM_OK)
                break;
        }
        if (seen[2] > 0)
            break;
    }
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
    static uint8_t big[FM_STATEMENT_BYTES_MAX + 1] = {0x92};
    assert_int_equal(fm_statement_decode(&out, &c, &mesh, fm_span(big, sizeof big)), FM_ELIMIT);
    assert_int_equal(fm_statement_decode(&out, &c, &mesh, fm_span(big, sizeof big - 1)), FM_EFORMAT);
}

static void a_full_buffer_is_told_and_nothing_added(void **state)
{
    struct fm_crypto c = fm_fake_crypto_of(&device);
    const struct fm_receipt_tip tip = {.sequence = 9};
    struct fm_statement in = sample(FM_RECEIPT);
    struct fm_buf buf;
    (void)state;
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_statement_sign(&buf, &c, &mesh, &in, &tip, 1), FM_OK);
    for (size_t max = 1; max <= buf.len + 1; max++) {
        struct fm_buf small;
        fm_buf_init(&small, max);
        assert_int_equal(fm_buf_add(&small, "x", 1), FM_OK);
        int rc = fm_statement_sign(&small, &c, &mesh, &in, &tip, 1);
        assert_int_equal(rc, max > buf.len ? FM_OK : FM_ELIMIT);
        assert_int_equal(small.len, rc == FM_OK ? buf.len + 1 : 1);
        fm_buf_fini(&small);
    }
    fm_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receipts_come_back),
        cmocka_unit_test(notices_come_back),
        cmocka_unit_test(cut_or_bent_statements_are_refused),
        cmocka_unit_test(each_content_has_its_form),
        cmocka_unit_test(damaged_tips_are_not_handed_out),
        cmocka_unit_test(statements_are_bounded),
        cmocka_unit_test(a_full_buffer_is_told_and_nothing_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
