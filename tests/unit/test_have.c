/* HAVE: as many messages as it takes; what is in no form counts not at all; any one of them opens a round. */
#include "tests/support/lab_three.h"
#include "tests/support/stranger.h"

#define MANY 3000u /* more streams than one message names */

/* Rows of B's streams, without their sets: enough for what HAVE says. */
static void streams_make(struct fm_lab_node *n, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct fm_stream_row stream = {.stream = {.author = n->self.author, .incarnation = 1000 + i, .lane = 1},
                                       .tip_count = 1,
                                       .tips = {{.sequence = UINT32_MAX, .changes = 1}}};
        struct fm_row row = {.kind = FM_ROW_STREAM, .stream = &stream};
        fm_be_put(stream.tips[0].id.b, i, 4);
        assert_int_equal(fm_memory_apply(n->store, &row), FM_OK);
    }
    assert_int_equal(fm_lab_restart(n), FM_OK);
}

static uint32_t entries_of(struct fm_span message, bool *last)
{
    struct fm_walk w;
    uint32_t count;
    assert_int_equal(fm_message_open(&w, message, FM_MSG_HAVE, 3), FM_OK);
    assert_int_equal(fm_walk_array(&w, &count), FM_OK);
    *last = message.data[message.len - 1] == 0xc3;
    return count;
}

static void test_many_streams_take_several_messages(void **state)
{
    struct three *t = *state;
    struct stranger s;
    streams_make(&t->b, MANY);
    size_t held = fm_vector_count(t->b.core->vector), told = 0;
    stranger_open(&s, &t->b);
    assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
    assert_int_equal(stranger_heard(&s, FM_MSG_HAVE), 2);
    for (size_t i = 1; i < s.count; i++) { /* after our HELLO */
        bool last;
        assert_true(s.heard[i].len <= FM_MESSAGE_BYTES_MAX);
        told += entries_of(fm_buf_span(&s.heard[i]), &last);
        assert_int_equal(last, i + 1 == s.count);
    }
    assert_int_equal(told, held);
    stranger_close(&s);
}

/* The first of two messages cannot be sent: that is told at once. */
static void test_a_message_that_cannot_be_sent_is_an_error(void **state)
{
    struct three *t = *state;
    struct stranger s;
    streams_make(&t->b, MANY);
    for (int64_t n = 0; n < 2; n++) {
        stranger_open(&s, &t->b);
        s.sends_left = 1 + n; /* after our HELLO */
        assert_int_equal(stranger_differs(&s, &t->hub), FM_ESTORE);
        assert_int_equal(stranger_heard(&s, FM_MSG_HAVE), n);
        stranger_close(&s);
        assert_int_equal(fm_lab_restart(&t->b), FM_OK);
    }
}

static void test_what_is_in_no_form_counts_not_at_all(void **state)
{
    static const uint8_t no_list[] = {0x93, FM_MSG_HAVE, 0xc2, 0xc3}, few[] = {0x92, FM_MSG_HAVE, 0x90};
    static const struct {
        uint32_t tips;
        uint64_t sequence;
        uint8_t lane;
        const char *dropped;
    } cases[] = {{1, 7, 1, NULL},
                 {FM_STREAM_TIPS_MAX, 7, 0, NULL},
                 {1, UINT64_MAX - 1, 1, NULL},
                 {FM_STREAM_TIPS_MAX + 1, 7, 1, "bad-message"},
                 {0, 7, 1, "bad-message"},
                 {1, 0, 1, "bad-message"},
                 {1, UINT64_MAX, 1, "bad-message"},
                 {1, 7, 2, "bad-message"}};
    struct three *t = *state;
    struct stranger s;
    stranger_open(&s, &t->b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] + 2; i++) {
        struct fm_stream_row rows[2]; /* the second is room for one tip more than there may be */
        memset(rows, 0, sizeof rows);
        stranger_in_step(&s, &t->hub);
        if (i < sizeof cases / sizeof cases[0]) {
            rows[0].stream = (struct fm_stream){.author = t->a.self.author, .incarnation = 77, .lane = cases[i].lane};
            rows[0].tip_count = cases[i].tips;
            struct fm_tip *tips = rows[0].tips;
            for (uint32_t k = 0; k < FM_STREAM_TIPS_MAX; k++)
                tips[k].sequence = cases[i].sequence;
            assert_int_equal(stranger_says_have(&s, rows, 1, true), FM_OK);
        } else {
            assert_int_equal(stranger_says(&s, i % 2 ? fm_span(no_list, sizeof no_list) : fm_span(few, sizeof few)), FM_OK);
        }
        const char *want = i < sizeof cases / sizeof cases[0] ? cases[i].dropped : "bad-message";
        if (want == NULL)
            assert_null(s.dropped);
        else
            assert_string_equal(s.dropped, want);
        assert_int_equal(stranger_heard(&s, FM_MSG_HAVE), want == NULL); /* only a whole one opens a round */
        stranger_down(&s);
    }
    stranger_close(&s);
}

static void test_one_opens_a_round_in_any_phase(void **state)
{
    static const struct fm_event sync = {.kind = FM_EVENT_SYNC};
    struct three *t = *state;
    struct stranger s;
    stranger_open(&s, &t->b);
    stranger_in_step(&s, &t->hub);
    for (int i = 0; i < 3; i++) {
        /* 0: in step; 1: amid a round that it had all of; 2: our HELLO is on its way */
        if (i == 2) {
            stranger_down(&s);
            stranger_in_step(&s, &t->hub);
            assert_int_equal(stranger_step(&s, sync), FM_OK);
            assert_int_equal(stranger_session(&s)->phase, FM_PEER_HELLO);
        }
        stranger_forget(&s);
        assert_int_equal(stranger_has_all(&s, 0), FM_OK);
        assert_null(s.dropped);
        assert_int_equal(stranger_session(&s)->phase, FM_PEER_SYNCING);
        assert_int_equal(stranger_heard(&s, FM_MSG_HAVE), 1);
        assert_int_equal(stranger_heard(&s, FM_MSG_END), 1); /* it lacks nothing */
    }
    stranger_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_many_streams_take_several_messages),
        CASE(test_a_message_that_cannot_be_sent_is_an_error),
        CASE(test_what_is_in_no_form_counts_not_at_all),
        CASE(test_one_opens_a_round_in_any_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
