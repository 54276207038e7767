/* PING, PONG and BYE: each by its form, and only when it is due. */
#include "tests/support/lab_three.h"
#include "tests/support/stranger.h"

static void test_only_what_is_in_form_and_due_is_taken(void **state)
{
    static const struct {
        uint8_t message[8];
        size_t len;
        bool asked; /* our PING went out before */
        const char *dropped;
    } cases[] = {{{0x91, FM_MSG_PING}, 2, false, NULL},
                 {{0x92, FM_MSG_PING, 0}, 3, false, "bad-message"},
                 {{0x91, FM_MSG_PING, 0}, 3, false, "bad-message"},
                 {{0x91, FM_MSG_PONG}, 2, true, NULL},
                 {{0x91, FM_MSG_PONG}, 2, false, "bad-message"},
                 {{0x92, FM_MSG_PONG, 0}, 3, true, "bad-message"},
                 {{0x92, FM_MSG_BYE, 0xa1, 'x'}, 4, false, "bye"},
                 {{0x91, FM_MSG_BYE}, 2, false, "bad-message"},
                 {{0x92, FM_MSG_BYE, 0xc0}, 3, false, "bad-message"},
                 {{0x92, FM_MSG_BYE, 0xa1, 'x', 0}, 5, false, "bad-message"}};
    struct three *t = *state;
    struct stranger s;
    stranger_open(&s, &t->b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stranger_in_step(&s, &t->hub);
        if (cases[i].asked)
            stranger_wait(&s, FM_SESSION_PING_MS + 10);
        assert_int_equal(stranger_heard(&s, FM_MSG_PING), cases[i].asked);
        assert_int_equal(stranger_says(&s, fm_span(cases[i].message, cases[i].len)), FM_OK);
        if (cases[i].dropped == NULL) {
            assert_null(s.dropped);
            assert_int_equal(stranger_heard(&s, FM_MSG_PONG), cases[i].message[1] == FM_MSG_PING);
            assert_false(stranger_session(&s)->ping_sent);
        } else {
            assert_string_equal(s.dropped, cases[i].dropped);
            assert_null(stranger_session(&s));
            assert_int_equal(stranger_heard(&s, FM_MSG_BYE), strcmp(cases[i].dropped, "bye") != 0);
        }
        stranger_down(&s);
    }
    stranger_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_only_what_is_in_form_and_due_is_taken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
