/* What a document's fields must be: each want with what fits and what does not, and the sentence that is given. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "replication/fields.h"
#include "tests/support/text_doc.h"

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
    enum fm_want want;
    const char *values, *value;
    bool fits;
} cases[] = {
    {FM_WANT_TEXT, NULL, "\"\"", true},
    {FM_WANT_TEXT, NULL, "1", false},
    {FM_WANT_BOOL, NULL, "false", true},
    {FM_WANT_BOOL, NULL, "0", false},
    {FM_WANT_COUNT, NULL, "0", true},
    {FM_WANT_COUNT, NULL, "-1", false},
    {FM_WANT_COUNT, NULL, "0.5", false},
    {FM_WANT_ABOVE_ZERO, NULL, "1", true},
    {FM_WANT_ABOVE_ZERO, NULL, "0", false},
    {FM_WANT_ABOVE_ZERO, NULL, "0.5", true},
    {FM_WANT_ABOVE_ZERO, NULL, "-0.5", false},
    {FM_WANT_ABOVE_ZERO, NULL, "0.0", false},
    {FM_WANT_ABOVE_ZERO, NULL, "\"1\"", false},
    {FM_WANT_LATITUDE, NULL, "90", true},
    {FM_WANT_LATITUDE, NULL, "91", false},
    {FM_WANT_LATITUDE, NULL, "-90", true},
    {FM_WANT_LATITUDE, NULL, "-91", false},
    {FM_WANT_LATITUDE, NULL, "-89.5", true},
    {FM_WANT_LATITUDE, NULL, "90.5", false},
    {FM_WANT_LATITUDE, NULL, "true", false},
    {FM_WANT_LONGITUDE, NULL, "179.5", true},
    {FM_WANT_LONGITUDE, NULL, "-180.5", false},
    {FM_WANT_STRINGS, NULL, "[]", true},
    {FM_WANT_STRINGS, NULL, "[\"a\",\"b\"]", true},
    {FM_WANT_STRINGS, NULL, "[\"a\",1]", false},
    {FM_WANT_STRINGS, NULL, "\"a\"", false},
    {FM_WANT_DATE, NULL, "\"2026-11-01\"", true},
    {FM_WANT_DATE, NULL, "\"2026-13-01\"", false},
    {FM_WANT_DATE, NULL, "20261101", false},
    {FM_WANT_UUID, NULL, "\"01890a5d-ac96-774b-bcce-b302099a8057\"", true},
    {FM_WANT_UUID, NULL, "\"01890a5d\"", false},
    {FM_WANT_UUID, NULL, "1", false},
    {FM_WANT_ENUM, "LOW HIGH", "\"HIGH\"", true},
    {FM_WANT_ENUM, "LOW HIGH", "\"HIG\"", false},
    {FM_WANT_ENUM, "LOW HIGH", "1", false},
    {FM_WANT_ENUMS, "LOW HIGH", "[\"LOW\",\"HIGH\"]", true},
    {FM_WANT_ENUMS, "LOW HIGH", "[\"LOW\",\"high\"]", false},
    {FM_WANT_HEX_KEY, NULL, "\"" KEY "\"", true},
    {FM_WANT_HEX_KEY, NULL, "\"" KEY "0\"", false},
    {FM_WANT_HEX_KEY, NULL, "\"/\"", false}, /* the neighbours of 0-9 and a-f */
    {FM_WANT_HEX_KEY, NULL, "\":\"", false},
    {FM_WANT_HEX_KEY, NULL, "\"g\"", false},
    {FM_WANT_HEX_KEY, NULL, "\"A\"", false},
    {FM_WANT_HEX_KEY, NULL, "1", false},
    {FM_WANT_MAP, NULL, "{}", true},
    {FM_WANT_MAP, NULL, "[]", false},
};

static void each_want_takes_what_fits(void **state)
{
    struct fm_arena arena = {NULL};
    char text[200], why[200];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct fm_field_rule rule = {"f", cases[i].want, false, cases[i].values};
        (void)snprintf(text, sizeof text, "{f:%s}", cases[i].value);
        int rc = fm_fields_check(fm_text_doc(&arena, text), &rule, 1, "in.", why, sizeof why);
        if (rc != (cases[i].fits ? FM_OK : FM_EFORMAT))
            fail_msg("want %d: %s gives %d", (int)cases[i].want, cases[i].value, rc);
    }
    fm_arena_fini(&arena);
}

static void a_refusal_names_the_field_and_what_is_wanted(void **state)
{
    static const struct fm_field_rule rules[] = {
        {"free", FM_WANT_TEXT, false, NULL}, {"count", FM_WANT_COUNT, true, NULL}, {"word", FM_WANT_ENUM, true, "A B"}};
    static const struct {
        const char *document, *check, *complete;
    } told[] = {
        {"{count:1,word:\"A\"}", "", ""},
        {"{count:-1,word:\"A\"}", "in.count: want a whole number, 0 or more", ""},
        {"{count:1,word:\"C\"}", "in.word: want one of A B", ""},
        {"{count:null,free:null,word:\"A\"}", "", "count: required"},
        {"{count:1}", "", "word: required"},
    };
    struct fm_arena arena = {NULL};
    (void)state;
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        char check[200] = "", complete[200] = "";
        struct fm_span doc = fm_text_doc(&arena, told[i].document);
        int bad = fm_fields_check(doc, FM_FIELD_RULES(rules), "in.", check, sizeof check);
        int missing = fm_fields_complete(doc, FM_FIELD_RULES(rules), complete, sizeof complete);
        assert_string_equal(check, told[i].check);
        assert_string_equal(complete, told[i].complete);
        assert_int_equal(bad, told[i].check[0] == '\0' ? FM_OK : FM_EFORMAT);
        assert_int_equal(missing, told[i].complete[0] == '\0' ? FM_OK : FM_EFORMAT);
    }
    fm_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_want_takes_what_fits),
                                       cmocka_unit_test(a_refusal_names_the_field_and_what_is_wanted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
