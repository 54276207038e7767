/* Dates of documents: text and milliseconds, there and back; what is no date is none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/date.h"
#include "replication/error.h"

static void milliseconds_become_text_and_come_back(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {951868800000, "2000-03-01T00:00:00.000Z"},
        {1793520000001, "2026-11-01T08:00:00.001Z"},
        {1798761599999, "2026-12-31T23:59:59.999Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[FM_DATE_CHARS];
        uint64_t ms;
        fm_date_text(text, cases[i].ms);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(fm_date_parse(&ms, fm_span_str(text)), FM_OK);
        assert_true(ms == cases[i].ms);
    }
}

static void every_day_of_400_years_comes_back(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 146097 + 400; day++) {
        char text[FM_DATE_CHARS];
        uint64_t ms, back = day * 86400000 + 12345678;
        fm_date_text(text, back);
        assert_int_equal(fm_date_parse(&ms, fm_span_str(text)), FM_OK);
        assert_true(ms == back);
    }
}

static void a_clock_past_the_year_9999_writes_its_last_millisecond(void **state)
{
    char text[FM_DATE_CHARS];
    (void)state;
    fm_date_text(text, UINT64_MAX);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void shorter_forms_are_dates_too(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"2026-11-01", 1793491200000},
        {"2026-11-01T08:00Z", 1793520000000},
        {"2026-11-01T08:00:05Z", 1793520005000},
        {"2026-11-01T08:00:05.2Z", 1793520005200},
        {"2026-11-01T08:00:05.123456789Z", 1793520005123},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ms;
        assert_int_equal(fm_date_parse(&ms, fm_span_str(cases[i].text)), FM_OK);
        assert_true(ms == cases[i].ms);
    }
}

static void what_is_no_date_is_refused(void **state)
{
    static const char *const cases[] = {
        "", "2026", "2026-11", "2026-1-01", "1969-12-31", "2026-00-01", "2026-13-01", "2026-11-00", "2026-11-31",
        "2026-02-29", "2100-02-29", "2026-11-1", "2026-11-01T", "2026-11-01T08:0Z", "2026-11-01T08:00:5Z",
        "2026-11-01T08Z", "2026-11-01T08:00", "2026-11-01T24:00Z", "2026-11-01T08:60Z",
        "2026-11-01T08:00:60Z", "2026-11-01T08:00:05.Z", "2026-11-01T08:00:05.1234567890Z", "2026-11-01T08:00:05+01:00",
        "2026-11-01T08:00:05Z ", " 2026-11-01", "2026-11-01 08:00Z", "2026/11/01", "+026-11-01", "now",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ms;
        assert_int_equal(fm_date_parse(&ms, fm_span_str(cases[i])), FM_EFORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(milliseconds_become_text_and_come_back),
        cmocka_unit_test(every_day_of_400_years_comes_back),
        cmocka_unit_test(a_clock_past_the_year_9999_writes_its_last_millisecond),
        cmocka_unit_test(shorter_forms_are_dates_too),
        cmocka_unit_test(what_is_no_date_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
