/* What a change says of itself: its verification, whatever stands in those fields. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/change.h"
#include "replication/version.h"
#include "tests/support/fake_crypto.h"
#include "tests/support/text_doc.h"

static struct fm_crypto crypto;
static struct fm_arena arena;

static struct fm_version version_of(const struct fm_crypto *c, uint8_t kind, const char *document)
{
    static struct fm_version_id parents[FM_PARENTS_MAX];
    struct fm_set_meta meta = {.stream.lane = FM_LANE_RECORDS, .verdict = FM_COUNTED, .role = FM_ROLE_COORDINATOR};
    struct fm_change change = {.kind = kind,
                               .action = FM_CREATE,
                               .record = {{1}},
                               .version = 1,
                               .actor = fm_span_str("operator"),
                               .document = fm_text_doc(&arena, document)};
    struct fm_version_id id = {{2}};
    struct fm_version out;
    struct fm_buf item;
    fm_buf_init(&item, 0);
    assert_int_equal(fm_change_encode(&item, &change), 0);
    assert_true(fm_version_of(&out, parents, c, &meta, 0, fm_buf_span(&item), &id));
    fm_buf_fini(&item);
    return out;
}

static void test_the_status_it_carries(void **state)
{
    static const struct {
        const char *document;
        uint8_t verified;
    } cases[] = {{"{}", 0},
                 {"{verificationStatus:null}", 0},
                 {"{verificationStatus:\"PENDING\"}", 0},
                 {"{verificationStatus:\"DRAFT\"}", 0},
                 {"{verificationStatus:\"AUTO_VERIFIED\"}", 0},
                 {"{verificationStatus:\"VERIFIED\"}", 1},
                 {"{verificationStatus:\"REJECTED\"}", 2},
                 {"{verificationStatus:\"verified\"}", 3},
                 {"{verificationStatus:5}", 3},
                 {"{verificationStatus:[]}", 3}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(version_of(&crypto, FM_KIND_RESPONSE, cases[i].document).verified, cases[i].verified);
        assert_int_equal(version_of(&crypto, FM_KIND_ENTITY, cases[i].document).verified, 0);
    }
}

/* Absent and nil are the same; any other value in any of the fields is another hash. */
static void test_the_hash_of_its_other_fields(void **state)
{
    static const char *const other[] = {"{verifiedBy:\"a\"}",      "{verifiedAt:\"a\"}",
                                        "{rejectionReason:\"a\"}", "{rejectionFeedback:\"a\"}",
                                        "{verifiedBy:1}",          "{verifiedBy:\"a\", verifiedAt:\"a\"}"};
    uint64_t seen[6];
    (void)state;
    assert_int_equal(version_of(&crypto, FM_KIND_ASSESSMENT, "{a:1}").verification, 0);
    assert_int_equal(version_of(&crypto, FM_KIND_ASSESSMENT, "{verifiedBy:null, rejectionReason:null}").verification, 0);
    for (size_t i = 0; i < 6; i++) {
        seen[i] = version_of(&crypto, FM_KIND_ASSESSMENT, other[i]).verification;
        assert_true(seen[i] != 0);
        for (size_t j = 0; j < i; j++)
            assert_true(seen[j] != seen[i]);
    }
    assert_true(version_of(&crypto, FM_KIND_ASSESSMENT, "{verifiedBy:\"a\", verifiedAt:null}").verification == seen[0]);
}

static void hash_to_zeros(void *ctx, uint8_t *out, size_t out_len, const struct fm_span *parts, size_t count)
{
    (void)ctx, (void)parts, (void)count;
    memset(out, 0, out_len);
}

/* 0 says that there are none, so a hash that comes out as 0 stands as 1. */
static void test_fields_whose_hash_is_zero_are_still_there(void **state)
{
    struct fm_crypto zeros = crypto;
    (void)state;
    zeros.hash = hash_to_zeros;
    assert_int_equal(version_of(&zeros, FM_KIND_ASSESSMENT, "{verifiedBy:\"a\"}").verification, 1);
    assert_int_equal(version_of(&zeros, FM_KIND_ASSESSMENT, "{}").verification, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_status_it_carries),
                                       cmocka_unit_test(test_the_hash_of_its_other_fields),
                                       cmocka_unit_test(test_fields_whose_hash_is_zero_are_still_there)};
    crypto = fm_fake_crypto();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fm_arena_fini(&arena);
    return failed;
}
