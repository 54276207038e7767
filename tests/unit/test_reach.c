/* What is known of a peer's holdings and what is queued for it: claims, forks beyond what is kept, credit, lanes. */
#include "tests/support/branch.h"
#include "tests/support/stranger.h"

/* A document of some 60 KiB: eighteen such sets are more than the credit. */
static const char *large_document(void)
{
    static char text[4 * 15000 + 100];
    char *at = text;
    *at++ = '{';
    for (int i = 0; i < 4; i++) {
        at += snprintf(at, 16, "%ss%d:\"", i > 0 ? "," : "", i);
        memset(at, 'a' + i, 15000);
        at += 15000;
        *at++ = '"';
    }
    *at++ = '}';
    *at = '\0';
    return text;
}

/* Fills the credit of the stranger, who acknowledges nothing: sets are left in the queue. */
static void fill_credit(struct three *t, struct stranger *s, uint8_t lane)
{
    struct branch large = branch_of(t, 900, lane);
    large.document = large_document();
    branch_grow(t, &large, 20, &t->b, NULL);
    assert_in_range(stranger_sets(s), 10, 18);
    assert_int_equal(stranger_session(s)->queue_count, 1);
}

static void test_streams_it_claims_are_not_offered_to_it(void **state)
{
    struct three *t = *state;
    enum { EACH = 1800, MESSAGES = 5, FIRST = 100000 };
    struct fm_stream_row *rows = calloc(EACH, sizeof *rows);
    struct stranger s;
    assert_non_null(rows);
    stranger_open(&s, &t->b);
    assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
    for (unsigned m = 0; m < MESSAGES; m++) {
        for (unsigned i = 0; i < EACH; i++)
            rows[i] = (struct fm_stream_row){
                .stream = {.author = t->a.self.author, .incarnation = FIRST + m * EACH + i, .lane = 1},
                .tip_count = 1,
                .tips = {{.sequence = 1}}};
        assert_int_equal(stranger_says_have(&s, rows, EACH, false), FM_OK);
    }
    assert_int_equal(stranger_has_all(&s, 0), FM_OK);
    assert_null(s.dropped);
    assert_int_equal(stranger_session(&s)->claim_count, FM_STREAMS_MAX);
    assert_int_equal(stranger_sets(&s), 0);
    static const struct {
        unsigned stream;
        size_t sent;
    } cases[] = {{0, 0}, {FM_STREAMS_MAX - 1, 0}, {FM_STREAMS_MAX, 1}}; /* the last one was forgotten */
    for (size_t i = 0; i < 3; i++) {
        struct branch b = branch_of(t, FIRST + cases[i].stream, 1);
        stranger_forget(&s);
        branch_grow(t, &b, 1, &t->b, NULL);
        assert_int_equal(stranger_sets(&s), cases[i].sent);
    }
    stranger_close(&s);
    free(rows);
}

/* It opens a round of HAVE while our HELLO is on its way, and a set comes in before it has told all. */
static void test_what_came_amid_its_have_is_sent_once(void **state)
{
    struct three *t = *state;
    struct stranger s;
    struct branch b = branch_of(t, 60, 1);
    stranger_open(&s, &t->b);
    stranger_in_step(&s, &t->hub);
    assert_int_equal(stranger_step(&s, (struct fm_event){.kind = FM_EVENT_SYNC}), FM_OK);
    assert_int_equal(stranger_says_have(&s, NULL, 0, false), FM_OK);
    branch_grow(t, &b, 1, &t->b, NULL);
    assert_int_equal(stranger_sets(&s), 0); /* it may have told of it next */
    assert_int_equal(stranger_session(&s)->queue_count, 1);
    size_t held = fm_vector_count(t->b.core->vector);
    struct fm_stream_row *rows = calloc(held, sizeof *rows);
    size_t others = 0;
    for (size_t i = 0; i < held; i++) {
        rows[others] = *fm_vector_at(t->b.core->vector, i);
        others += !fm_stream_eq(&rows[others].stream, &b.header.stream);
    }
    assert_int_equal(others, held - 1);
    assert_int_equal(stranger_says_have(&s, rows, others, true), FM_OK);
    assert_int_equal(stranger_sets(&s), 1);
    assert_int_equal(stranger_heard(&s, FM_MSG_PLAN), 0); /* it stood in the queue already, and stands there once */
    assert_int_equal(stranger_session(&s)->queue_count, 0);
    assert_null(s.dropped);
    free(rows);
    stranger_close(&s);
}

/* The row of a stream names a tip, and no set of it is in the index: the others go on. */
static void test_a_stream_without_its_sets_stops_no_other(void **state)
{
    struct three *t = *state;
    struct stranger s;
    struct branch whole = branch_of(t, 61, 1);
    struct fm_stream_row broken = {.stream = {.author = t->a.self.author, .incarnation = 62, .lane = 1},
                                   .tip_count = 1,
                                   .tips = {{.sequence = 1, .changes = 1}}};
    struct fm_row row = {.kind = FM_ROW_STREAM, .stream = &broken};
    branch_grow(t, &whole, 3, &t->b, NULL);
    size_t held = 0;
    uint64_t last;
    assert_int_equal(fm_memory_port(t->b.store)->arrival_last(fm_memory_port(t->b.store)->ctx, &last), FM_OK);
    held = (size_t)last;
    assert_int_equal(fm_memory_apply(t->b.store, &row), FM_OK);
    assert_int_equal(fm_lab_restart(&t->b), FM_OK);
    stranger_open(&s, &t->b);
    assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
    assert_int_equal(stranger_says_have(&s, NULL, 0, true), FM_OK); /* it has nothing */
    assert_int_equal(stranger_sets(&s), held);
    assert_null(s.dropped);
    stranger_close(&s);
}

/* Without credit, more sets of one forked stream come in than are queued one by one: the stream is queued as such from
 * there; what comes below that is left to the next round, which the digests of END bring about. */
static void test_more_of_a_fork_than_is_queued_comes_by_its_stream(void **state)
{
    struct three *t = *state;
    struct stranger s;
    struct branch left = branch_of(t, 63, 1), right = left;
    right.record += 5000;
    branch_grow(t, &left, 1, &t->b, NULL);
    branch_grow(t, &right, 1, &t->b, NULL);
    struct fm_tip old = branch_tip(&right);
    stranger_open(&s, &t->b);
    stranger_in_step(&s, &t->hub);
    fill_credit(t, &s, 1);
    branch_grow(t, &left, FM_SINGLES_MAX, &t->b, NULL);
    assert_int_equal(stranger_session(&s)->singles, FM_SINGLES_MAX);
    assert_int_equal(stranger_session(&s)->queue_count, FM_SINGLES_MAX + 1);
    branch_grow(t, &left, 5, &t->b, NULL); /* the first of them is a cursor, the others come by there */
    branch_grow(t, &right, 1, &t->b, NULL);
    assert_int_equal(stranger_session(&s)->singles, FM_SINGLES_MAX);
    assert_int_equal(stranger_session(&s)->queue_count, FM_SINGLES_MAX + 2);
    assert_int_equal(stranger_acknowledges(&s), FM_OK);
    assert_int_equal(stranger_session(&s)->queue_count, 0);
    assert_int_equal(stranger_session(&s)->singles, 0);
    assert_int_equal(stranger_sets(&s), 20 + FM_SINGLES_MAX + 5);
    assert_int_equal(stranger_acknowledges(&s), FM_OK);
    /* The next round: it has all but the last of the right branch. */
    size_t held = fm_vector_count(t->b.core->vector);
    struct fm_stream_row *rows = calloc(held, sizeof *rows);
    for (size_t i = 0; i < held; i++) {
        rows[i] = *fm_vector_at(t->b.core->vector, i);
        if (fm_stream_eq(&rows[i].stream, &left.header.stream))
            rows[i].tips[0] = old; /* the lower of two */
    }
    stranger_forget(&s);
    assert_int_equal(stranger_says_have(&s, rows, held, true), FM_OK);
    assert_int_equal(stranger_sets(&s), 1);
    free(rows);
    stranger_close(&s);
}

/* A fork that arises in a stream whose cursor waits for credit: the set on the other branch goes by itself. */
static void test_a_fork_below_the_cursor_is_queued_by_itself(void **state)
{
    struct three *t = *state;
    struct stranger s;
    struct branch left = branch_of(t, 64, 1), right, third;
    branch_grow(t, &left, 1, &t->b, NULL);
    stranger_open(&s, &t->b);
    stranger_in_step(&s, &t->hub);
    fill_credit(t, &s, 1);
    size_t sent = stranger_sets(&s);
    right = third = left;
    right.record += 50;
    third.record += 90;
    branch_grow(t, &left, 3, &t->b, NULL);
    branch_grow(t, &right, 1, &t->b, NULL);
    branch_grow(t, &third, 1, &t->b, NULL);
    branch_grow(t, &left, 1, &t->b, NULL);
    assert_int_equal(stranger_session(&s)->queue_count, 4); /* the large ones, left, right, third */
    assert_int_equal(stranger_acknowledges(&s), FM_OK);
    assert_int_equal(stranger_sets(&s), sent + (20 - sent) + 4 + 1 + 1);
    assert_int_equal(stranger_session(&s)->queue_count, 0);
    stranger_close(&s);
}

/* It sends what waits for it in our queue: we do not send that back. */
static void test_what_it_got_meanwhile_is_not_sent(void **state)
{
    struct three *t = *state;
    struct stranger s;
    struct branch b = branch_of(t, 65, 1), again = b;
    stranger_open(&s, &t->b);
    stranger_in_step(&s, &t->hub);
    fill_credit(t, &s, 1);
    branch_grow(t, &b, 3, &t->b, NULL);
    assert_int_equal(stranger_session(&s)->queue_count, 2);
    for (uint64_t n = 1; n <= 2; n++) {
        struct fm_lab_set set;
        branch_next(t, &again, &set);
        assert_int_equal(stranger_says_data(&s, n, fm_buf_span(&set.bytes)), FM_OK);
        fm_lab_set_free(&set);
    }
    assert_null(s.dropped);
    assert_int_equal(stranger_acknowledges(&s), FM_OK);
    assert_int_equal(stranger_sets(&s), 20 + 1);
    assert_int_equal(stranger_session(&s)->queue_count, 0);
    stranger_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_streams_it_claims_are_not_offered_to_it),     CASE(test_what_came_amid_its_have_is_sent_once),
        CASE(test_a_stream_without_its_sets_stops_no_other),    CASE(test_more_of_a_fork_than_is_queued_comes_by_its_stream),
        CASE(test_a_fork_below_the_cursor_is_queued_by_itself), CASE(test_what_it_got_meanwhile_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
