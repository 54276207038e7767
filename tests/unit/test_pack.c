/* The packer's error is sticky: after it nothing is written and the first one stays. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "replication/error.h"
#include "replication/pack.h"

#define CALLS 13

static void call(struct fm_pack *p, int which)
{
    switch (which) {
    case 0: fm_pack_array(p, 70000); break;
    case 1: fm_pack_map(p, 1); break;
    case 2: fm_pack_uint(p, UINT64_MAX); break;
    case 3: fm_pack_int(p, -200); break;
    case 4: fm_pack_double(p, 0.5); break;
    case 5: fm_pack_double(p, -7.0); break;
    case 6: fm_pack_bool(p, true); break;
    case 7: fm_pack_bool(p, false); break;
    case 8: fm_pack_nil(p); break;
    case 9: fm_pack_bin(p, "ab", 2); break;
    case 10: fm_pack_str(p, fm_span("ab", 2)); break;
    case 11: fm_pack_cstr(p, "abc"); break;
    default: fm_pack_raw(p, fm_span("\xc3", 1)); break;
    }
}

static void what_does_not_fit_is_told_and_nothing_follows(void **state)
{
    (void)state;
    for (int first = 0; first < CALLS; first++) {
        struct fm_buf whole;
        struct fm_pack p;
        fm_buf_init(&whole, 0);
        fm_pack_init(&p, &whole);
        call(&p, first);
        assert_int_equal(p.error, FM_OK);
        assert_true(whole.len > 0);
        struct fm_buf small;
        fm_buf_init(&small, whole.len); /* one byte is there already */
        assert_int_equal(fm_buf_add(&small, "\xc2", 1), FM_OK);
        fm_pack_init(&p, &small);
        call(&p, first);
        assert_int_equal(p.error, FM_ELIMIT);
        size_t len = small.len;
        for (int next = 0; next < CALLS; next++) {
            call(&p, next);
            assert_int_equal(p.error, FM_ELIMIT);
            assert_int_equal(small.len, len);
        }
        fm_buf_fini(&small);
        fm_buf_fini(&whole);
    }
}

static void a_number_that_no_document_can_say_is_a_limit(void **state)
{
    static const double numbers[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct fm_buf buf;
        struct fm_pack p;
        fm_buf_init(&buf, 0);
        fm_pack_init(&p, &buf);
        fm_pack_double(&p, numbers[i]);
        assert_int_equal(p.error, FM_ELIMIT);
        p.error = FM_ENOMEM; /* the first error stays */
        fm_pack_double(&p, numbers[i]);
        assert_int_equal(p.error, FM_ENOMEM);
        assert_int_equal(buf.len, 0);
        fm_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_told_and_nothing_follows),
        cmocka_unit_test(a_number_that_no_document_can_say_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
