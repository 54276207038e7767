/* What somebody wrote on its way to a terminal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/cmd.h"

static void texts_steer_no_terminal(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"Camp Bama", "Camp Bama"},
        {"", ""},
        {"\xe2\x82\xac \xd8\xa8 \xf0\x9f\x98\x80", "\xe2\x82\xac \xd8\xa8 \xf0\x9f\x98\x80"},
        {"a\x1b[31mb\r\n\x7f", "a?[31mb???"},
        {"a\xc2\x9b"
         "31m",
         "a?31m"},                             /* U+009B is an escape too */
        {"a\xe2\x80\xaegpj.exe", "a?gpj.exe"}, /* what follows would be written from right to left */
        {"a\xe2\x81\xa6"
         "b\xe2\x80\x8f"
         "c\xd8\x9c",
         "a?b?c?"},
        {"a\xe2\x80\xa8"
         "b",
         "a?b"}, /* a line's end */
        {"a\xff"
         "b\xc3",
         "a?b?"},                                              /* no characters */
        {"\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", "?????????"}, /* too long, half a pair, past the last */
    };
    char out[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fm_say_safe(out, sizeof out, cases[i].in);
        assert_string_equal(out, cases[i].out);
    }
    fm_say_safe(out, sizeof out, NULL);
    assert_string_equal(out, "");
}

static void a_text_is_cut_between_two_characters(void **state)
{
    static const char *const cut[] = {"",
                                      "",
                                      "a",
                                      "a",
                                      "a",
                                      "a\xe2\x82\xac",
                                      "a\xe2\x82\xac"
                                      "b",
                                      "a\xe2\x82\xac"
                                      "b"};
    char out[16];
    (void)state;
    for (size_t room = 1; room < sizeof cut / sizeof *cut; room++) {
        memset(out, 'x', sizeof out);
        fm_say_safe(out, room,
                    "a\xe2\x82\xac"
                    "b");
        assert_string_equal(out, cut[room]);
        assert_int_equal(out[room], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_steer_no_terminal),
        cmocka_unit_test(a_text_is_cut_between_two_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
