/* Keys, signatures, hashes and sealing against vectors made by others (RFC 8032, RFC 7693, draft-irtf-cfrg-xchacha; the
 * golden device by Python's hashlib and OpenSSL from the derivation in crypto.h). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>

#include "crypto/crypto.h"
#include "replication/error.h"

/* In the way of libsodium's own: a machine on which it does not come up. */
static bool broken;
int sodium_init(void);
int sodium_init(void)
{
    int (*real)(void);
    *(void **)&real = dlsym(RTLD_NEXT, "sodium_init");
    return broken ? -1 : real();
}

static void test_init_says_whether_cryptography_is_there(void **state)
{
    (void)state;
    broken = true;
    assert_int_equal(fm_crypto_init(), FM_ENOMEM);
    broken = false;
    assert_int_equal(fm_crypto_init(), FM_OK);
    assert_int_equal(fm_crypto_init(), FM_OK); /* again is no error */
}

static size_t unhex(uint8_t *out, const char *hex)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return n;
}
static void assert_hex(const uint8_t *bytes, const char *hex)
{
    uint8_t want[256];
    size_t n = unhex(want, hex);
    assert_memory_equal(bytes, want, n);
}
static void golden_device(struct fm_device *out)
{
    struct fm_key seed;
    for (size_t i = 0; i < sizeof seed.b; i++)
        seed.b[i] = (uint8_t)i;
    fm_device_from_seed(out, &seed);
}

static void test_hash_vectors_and_parts(void **state)
{
    (void)state;
    uint8_t out[64], joined[64];
    fm_crypto_hash(out, 64, "abc", 3); /* RFC 7693, appendix A */
    assert_hex(out, "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
    fm_crypto_hash(out, 32, NULL, 0);
    assert_hex(out, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    fm_crypto_hash(out, 16, "abc", 3);
    assert_hex(out, "cf4ab791c62b8d2b2109c90275287816");
    struct fm_crypto port;
    fm_crypto_port(&port, NULL);
    struct fm_span parts[4] = {fm_span_str("a"), fm_span(NULL, 0), fm_span_str("b"), fm_span_str("c")};
    port.hash(port.ctx, out, 64, parts, 4);
    fm_crypto_hash(joined, 64, "abc", 3);
    assert_memory_equal(out, joined, 64);
}

static void test_sign_and_verify_vectors(void **state)
{
    (void)state;
    /* RFC 8032 section 7.1, test 1's key; the signature over 00..1f is OpenSSL's. */
    struct fm_device device = {0};
    unhex(device.author_secret, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
                                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    unhex(device.author_public.b, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    uint8_t id[32], signature[FM_SIGNATURE_BYTES];
    for (size_t i = 0; i < sizeof id; i++)
        id[i] = (uint8_t)i;
    struct fm_crypto port;
    fm_crypto_port(&port, &device);
    port.sign(port.ctx, signature, id);
    assert_hex(signature, "00c1db988bb12fd7351a6054ae3fac90fab7e4fc56b1651c7181f5f55f896f66"
                          "3933d3a90605d9058e9d0ac45950ee2d3c9c9b14857415587179fe0ccac35f09");
    assert_int_equal(port.verify(port.ctx, signature, id, &device.author_public), FM_OK);
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 1;
        assert_int_equal(port.verify(port.ctx, signature, id, &device.author_public), FM_ESIGNATURE);
        signature[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof id; i++) {
        id[i] ^= 0x80;
        assert_int_equal(port.verify(port.ctx, signature, id, &device.author_public), FM_ESIGNATURE);
        id[i] ^= 0x80;
    }
    /* S + L verifies under lax rules: one message must not have two signatures (RFC 8032, 5.1.7). */
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)signature[32 + i] + order[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(port.verify(port.ctx, signature, id, &device.author_public), FM_ESIGNATURE);
    /* A key of small order, under which the zero signature would fit anything. */
    struct fm_key small = {{1}};
    uint8_t zeros[FM_SIGNATURE_BYTES] = {1};
    assert_int_equal(port.verify(port.ctx, zeros, id, &small), FM_ESIGNATURE);
}

static void test_a_seed_gives_the_same_device_for_ever(void **state)
{
    (void)state;
    struct fm_device device;
    golden_device(&device);
    assert_hex(device.author_public.b, "8ca391857bbae6b74bc28063554c4e9db9eece73da6e826dbd6adf64c064a4f4");
    assert_hex(device.transport_public.b, "1c2ee819b0303bd290f06f1145c95ec1ebc3b17eea0722ae8ab7c6e36d3cc74d");
    assert_hex(device.transport_secret.b, "6e58549eae83bc3942ec7d171640c450a405252c42a5e2a60a70921bd461e4bb");
    assert_hex(device.box_public.b, "a63d638fb2688a048e0639ce341681750809456cf512a309e2da1427e827e136");
    char name[FM_FINGERPRINT_CHARS];
    fm_fingerprint(name, &device.author_public);
    assert_string_equal(name, "XC3C-1S93-CKTS-DNRK");
    struct fm_mesh_id mesh;
    fm_mesh_id_of(&mesh, &device.author_public);
    assert_hex(mesh.b, "98566dcbb5d02c21d9390b7dff4cab9a97abacb4e46cbd79d1037c0f545a85d9");
    uint8_t id[32], signature[FM_SIGNATURE_BYTES];
    for (size_t i = 0; i < sizeof id; i++)
        id[i] = (uint8_t)i;
    struct fm_crypto port;
    fm_crypto_port(&port, &device);
    port.sign(port.ctx, signature, id);
    assert_hex(signature, "b8b80c2b2e9bd115904db3888cc93bd7dbcdb8a57f0fba9576a71b1f0ebdba6e"
                          "dff304ec37aa907daa5fcdc9785b2570cc2c832a655387fadaf9f5e4570d500b");
    fm_device_wipe(&device);
    static const struct fm_device nothing;
    assert_memory_equal(&device, &nothing, sizeof device);
}

static void test_seal_vector(void **state)
{
    (void)state;
    /* draft-irtf-cfrg-xchacha-03, A.3.1 */
    static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
                               "sunscreen would be it.";
    struct fm_key key;
    uint8_t nonce[24], bound[12];
    unhex(key.b, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    unhex(nonce, "404142434445464748494a4b4c4d4e4f5051525354555657");
    size_t bound_len = unhex(bound, "50515253c0c1c2c3c4c5c6c7");
    struct fm_crypto port;
    fm_crypto_port(&port, NULL);
    struct fm_buf out;
    fm_buf_init(&out, 0);
    assert_int_equal(port.seal(port.ctx, &out, fm_span_str(text), &key, nonce, fm_span(bound, bound_len)), FM_OK);
    assert_int_equal(out.len, 24 + sizeof text - 1 + 16);
    assert_memory_equal(out.data, nonce, 24);
    assert_hex(out.data + 24, "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae"
                              "64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9"
                              "664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49");
    fm_buf_fini(&out);
}

static void test_open_takes_only_what_was_sealed(void **state)
{
    (void)state;
    struct fm_crypto port;
    fm_crypto_port(&port, NULL);
    struct fm_key key, other;
    uint8_t nonce[24];
    fm_crypto_random(&key, sizeof key);
    fm_crypto_random(nonce, sizeof nonce);
    other = key;
    other.b[31] ^= 1;
    static const size_t sizes[] = {0, 1, 15, 16, 100, 70000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint8_t *plain = malloc(sizes[s] + 1);
        assert_non_null(plain);
        fm_crypto_random(plain, sizes[s] + 1);
        struct fm_buf sealed, back;
        fm_buf_init(&sealed, 0);
        fm_buf_init(&back, 0);
        struct fm_span bound = fm_span_str("mesh");
        assert_int_equal(port.seal(port.ctx, &sealed, fm_span(plain, sizes[s]), &key, nonce, bound), FM_OK);
        assert_int_equal(fm_buf_add(&back, "kept", 4), FM_OK);
        assert_int_equal(port.open(port.ctx, &back, fm_buf_span(&sealed), &key, bound), FM_OK);
        assert_int_equal(back.len, 4 + sizes[s]);
        assert_memory_equal(back.data, "kept", 4);
        assert_memory_equal(back.data + 4, plain, sizes[s]);
        back.len = 4;
        assert_int_equal(port.open(port.ctx, &back, fm_buf_span(&sealed), &other, bound), FM_EKEY);
        assert_int_equal(port.open(port.ctx, &back, fm_buf_span(&sealed), &key, fm_span_str("mesg")), FM_EKEY);
        assert_int_equal(port.open(port.ctx, &back, fm_buf_span(&sealed), &key, fm_span(NULL, 0)), FM_EKEY);
        size_t step = sealed.len > 1000 ? 997 : 1;
        for (size_t i = 0; i < sealed.len; i += step) {
            sealed.data[i] ^= 0x40;
            assert_int_equal(port.open(port.ctx, &back, fm_buf_span(&sealed), &key, bound), FM_EKEY);
            sealed.data[i] ^= 0x40;
            assert_int_equal(port.open(port.ctx, &back, fm_span(sealed.data, i), &key, bound), FM_EKEY);
        }
        assert_int_equal(back.len, 4);
        fm_buf_fini(&sealed);
        fm_buf_fini(&back);
        free(plain);
    }
}

static void test_seal_and_open_keep_to_the_buffers_bound(void **state)
{
    (void)state;
    struct fm_crypto port;
    fm_crypto_port(&port, NULL);
    struct fm_key key = {{7}};
    uint8_t nonce[24] = {9}, plain[100] = {1};
    for (size_t extra = 0; extra < 3; extra++) { /* one below, at, one above */
        struct fm_buf sealed, back;
        fm_buf_init(&sealed, 139 + extra);
        int rc = port.seal(port.ctx, &sealed, fm_span(plain, 100), &key, nonce, fm_span(NULL, 0));
        assert_int_equal(rc, extra == 0 ? FM_ELIMIT : FM_OK);
        assert_int_equal(sealed.len, extra == 0 ? 0 : 140);
        if (rc == FM_OK) {
            fm_buf_init(&back, 98 + extra);
            rc = port.open(port.ctx, &back, fm_buf_span(&sealed), &key, fm_span(NULL, 0));
            assert_int_equal(rc, extra == 1 ? FM_ELIMIT : FM_OK);
            assert_int_equal(back.len, extra == 1 ? 0 : 100);
            fm_buf_fini(&back);
        }
        fm_buf_fini(&sealed);
    }
    struct fm_buf any;
    fm_buf_init(&any, 0);
    assert_int_equal(port.seal(port.ctx, &any, fm_span(plain, SIZE_MAX - 8), &key, nonce, fm_span(NULL, 0)), FM_ELIMIT);
    fm_buf_fini(&any);
}

static void test_a_boxed_key_opens_for_its_device_only(void **state)
{
    (void)state;
    struct fm_device device, stranger;
    golden_device(&device);
    struct fm_key seed;
    fm_crypto_random(&seed, sizeof seed);
    fm_device_from_seed(&stranger, &seed);
    struct fm_crypto mine, theirs;
    fm_crypto_port(&mine, &device);
    fm_crypto_port(&theirs, &stranger);
    struct fm_key data_key, back;
    fm_crypto_random(&data_key, sizeof data_key);
    uint8_t sealed[80];
    assert_int_equal(theirs.box(theirs.ctx, sealed, &data_key, &device.box_public), FM_OK);
    assert_int_equal(mine.unbox(mine.ctx, &back, sealed), FM_OK);
    assert_memory_equal(back.b, data_key.b, 32);
    assert_int_equal(theirs.unbox(theirs.ctx, &back, sealed), FM_EKEY);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 1;
        assert_int_equal(mine.unbox(mine.ctx, &back, sealed), FM_EKEY);
        sealed[i] ^= 1;
    }
    sealed[31] ^= 0x80; /* X25519 ignores the top bit of a point; the nonce is hashed over it, so this fails as well */
    assert_int_equal(mine.unbox(mine.ctx, &back, sealed), FM_EKEY);
    struct fm_key small = {{0}}; /* a point of small order as receiver: refused, not boxed for everybody */
    assert_int_equal(mine.box(mine.ctx, sealed, &data_key, &small), FM_EKEY);
}

static void test_random_is_not_constant(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};
    assert_int_equal(fm_crypto_init(), FM_OK); /* a second start is none */
    fm_crypto_random(a, sizeof a);
    fm_crypto_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    fm_crypto_wipe(a, sizeof a);
    static const uint8_t zeros[32];
    assert_memory_equal(a, zeros, sizeof a);
}

int main(void)
{
    if (fm_crypto_init() != FM_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_says_whether_cryptography_is_there),
        cmocka_unit_test(test_hash_vectors_and_parts),
        cmocka_unit_test(test_sign_and_verify_vectors),
        cmocka_unit_test(test_a_seed_gives_the_same_device_for_ever),
        cmocka_unit_test(test_seal_vector),
        cmocka_unit_test(test_open_takes_only_what_was_sealed),
        cmocka_unit_test(test_seal_and_open_keep_to_the_buffers_bound),
        cmocka_unit_test(test_a_boxed_key_opens_for_its_device_only),
        cmocka_unit_test(test_random_is_not_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
