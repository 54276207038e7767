/* Codes and sentences of errors: each has its own, and a number that is none has one too. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "replication/error.h"

static void each_error_has_a_code_of_its_own(void **state)
{
#define X(name, number, code, text) number,
    static const int all[] = {FM_OK, FM_ERRORS(X)};
#undef X
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_true(fm_error_text(all[i])[0] != '\0');
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(fm_error_code(all[i]), fm_error_code(all[j]));
    }
}

static void a_number_that_is_no_error_is_unknown(void **state)
{
    static const int none[] = {1, -1000, -23};
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_string_equal(fm_error_code(none[i]), "unknown");
        assert_string_equal(fm_error_text(none[i]), "an error of no known kind");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_error_has_a_code_of_its_own),
                                       cmocka_unit_test(a_number_that_is_no_error_is_unknown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
