/* LADDER: what it says of a stream, when it is said, and what it changes in what is sent. */
#include "tests/support/branch.h"
#include "tests/support/lost.h"
#include "tests/support/stranger.h"

static uint32_t steps_of(struct fm_span message, struct fm_tip steps[FM_LADDER_STEPS_MAX])
{
    struct fm_walk w;
    struct fm_key author;
    uint64_t number;
    uint32_t count = 0;
    assert_int_equal(fm_message_open(&w, message, FM_MSG_LADDER, 5), FM_OK);
    assert_int_equal(fm_walk_bin_of(&w, author.b, sizeof author.b), FM_OK);
    assert_int_equal(fm_walk_uint(&w, &number, UINT64_MAX), FM_OK);
    assert_int_equal(fm_walk_uint(&w, &number, FM_LANE_RECORDS), FM_OK);
    assert_int_equal(fm_walk_array(&w, &count), FM_OK);
    assert_true(count <= FM_LADDER_STEPS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(fm_walk_array_of(&w, 2), FM_OK);
        assert_int_equal(fm_walk_uint(&w, &steps[i].sequence, UINT64_MAX), FM_OK);
        assert_int_equal(fm_walk_bin_of(&w, steps[i].id.b, sizeof steps[i].id.b), FM_OK);
    }
    assert_int_equal(fm_walk_end(&w), FM_OK);
    return count;
}

/* The node holds the stream; the stranger says it has all but that, of which it has these tips. */
static int has(struct three *t, struct stranger *s, const struct fm_stream *stream, const struct fm_tip *tips,
               uint32_t count)
{
    struct fm_stream_row rows[8];
    size_t n = fm_vector_count(t->b.core->vector);
    assert_true(n <= 8);
    for (size_t i = 0; i < n; i++) {
        rows[i] = *fm_vector_at(t->b.core->vector, i);
        if (!fm_stream_eq(&rows[i].stream, stream))
            continue;
        rows[i].tip_count = count;
        memcpy(rows[i].tips, tips, count * sizeof *tips);
    }
    return stranger_says_have(s, rows, n, true);
}

static struct fm_tip strange(uint64_t sequence)
{
    struct fm_tip tip = {.sequence = sequence};
    memset(tip.id.b, 0xab, sizeof tip.id.b);
    return tip;
}

static void test_it_is_said_once_and_the_rest_is_sent_from_where_they_part(void **state)
{
    struct three *t = *state;
    struct fm_tip steps[FM_LADDER_STEPS_MAX], held[6], tip = strange(4);
    struct stranger s;
    struct branch b = branch_of(t, 50, 1);
    for (unsigned i = 1; i <= 5; i++) {
        branch_grow(t, &b, 1, &t->b, NULL);
        held[i] = branch_tip(&b);
    }
    stranger_open(&s, &t->b);
    for (int asked = 1; asked >= 0; asked--) {
        if (!asked)
            tip.sequence = 9; /* nothing strange so far: it is ahead of us */
        assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
        assert_int_equal(has(t, &s, &b.header.stream, &tip, 1), FM_OK);
        assert_int_equal(stranger_heard(&s, FM_MSG_LADDER), asked);
        assert_int_equal(stranger_sets(&s), 0);
        for (int twice = 0; twice < 2; twice++) {
            assert_int_equal(stranger_says_ladder(&s, &b.header.stream, held + 2, 2), FM_OK);
            assert_null(s.dropped);
            assert_int_equal(stranger_heard(&s, FM_MSG_LADDER), 1);
            assert_int_equal(stranger_sets(&s), asked ? 2 : 0);
        }
        assert_int_equal(steps_of(stranger_last(&s, FM_MSG_LADDER), steps), 3); /* 1, 2 and 4 back */
        static const unsigned back[3] = {4, 3, 1};
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(steps[i].sequence, back[i]);
            assert_memory_equal(&steps[i].id, &held[back[i]].id, sizeof steps[i].id);
        }
        stranger_down(&s);
    }
    stranger_close(&s);
}

static void test_one_of_a_stream_that_is_not_held_is_nothing(void **state)
{
    struct three *t = *state;
    struct stranger s;
    struct fm_stream stream = {.author = t->a.self.author, .incarnation = 51, .lane = 1};
    struct fm_tip tip = strange(3);
    stranger_open(&s, &t->b);
    stranger_in_step(&s, &t->hub);
    assert_int_equal(stranger_says_ladder(&s, &stream, &tip, 1), FM_OK);
    assert_null(s.dropped);
    assert_int_equal(s.count, 0);
    assert_int_equal(stranger_session(&s)->phase, FM_PEER_IN_STEP);
    stranger_close(&s);
}

/* A branch longer than what is remembered of a peer: its ladder ends there, and what lies below is sent again. */
static void test_a_long_branch_is_told_as_far_as_it_is_remembered(void **state)
{
    struct three *t = *state;
    enum { LENGTH = 2 * FM_SKIPS_MAX + 120, FORK = 3 };
    struct fm_tip steps[FM_LADDER_STEPS_MAX], tips[2];
    struct stranger s;
    struct branch trunk = branch_of(t, 52, 1), twin;
    branch_grow(t, &trunk, FORK - 1, &t->b, NULL);
    twin = trunk;
    twin.record += 30000;
    branch_grow(t, &trunk, LENGTH, &t->b, NULL);
    branch_grow(t, &twin, 1, &t->b, NULL);
    tips[0] = branch_tip(&trunk);
    tips[1] = strange(FORK + 5);
    stranger_open(&s, &t->b);
    assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
    assert_int_equal(has(t, &s, &trunk.header.stream, tips, 2), FM_OK);
    uint32_t count = steps_of(stranger_last(&s, FM_MSG_LADDER), steps);
    assert_int_equal(count, 13 + 2); /* 1, 2, 4 … 4096 back; two below the fork */
    assert_int_equal(steps[12].sequence, tips[0].sequence - FM_SKIPS_MAX);
    assert_int_equal(steps[14].sequence, 1);
    assert_int_equal(stranger_session(&s)->skip_count, FM_SKIPS_MAX);
    assert_int_equal(stranger_says_ladder(&s, &trunk.header.stream, NULL, 0), FM_OK);
    assert_int_equal(stranger_acknowledges(&s), FM_OK); /* it is more than the credit */
    assert_int_equal(stranger_sets(&s), LENGTH - FM_SKIPS_MAX + 1); /* and the twin */
    assert_int_equal(stranger_session(&s)->queue_count, 0);
    stranger_close(&s);
}

/* The index of sets is damaged: that is told, whichever part of the ladder it lies on. */
static void test_a_set_that_is_lost_is_an_error(void **state)
{
    struct three *t = *state;
    struct fm_tip tip = strange(5);
    struct stranger s;
    struct branch trunk = branch_of(t, 53, 1), twin;
    branch_grow(t, &trunk, 3, &t->b, NULL);
    twin = trunk;
    twin.record += 100;
    branch_grow(t, &trunk, 4, &t->b, NULL);
    branch_grow(t, &twin, 1, &t->b, NULL);
    static const uint64_t sequences[] = {6, 3, 7}; /* on a branch, on the stem; the tip itself */
    for (size_t i = 0; i < 3; i++) {
        stranger_open(&s, &t->b);
        assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
        lost_open(&t->b);
        lost.index = sequences[i];
        assert_int_equal(has(t, &s, &trunk.header.stream, &tip, 1), FM_ECORRUPT);
        stranger_close(&s);
        assert_int_equal(fm_lab_restart(&t->b), FM_OK);
    }
    /* And so it is where the peer has the tip of a branch. */
    tip = branch_tip(&trunk);
    stranger_open(&s, &t->b);
    assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
    lost_open(&t->b);
    lost.index = 6;
    assert_int_equal(has(t, &s, &trunk.header.stream, &tip, 1), FM_ECORRUPT);
    stranger_close(&s);
    assert_int_equal(fm_lab_restart(&t->b), FM_OK);
    /* The stem of a stream without a fork. */
    tip = strange(2);
    struct branch plain = branch_of(t, 54, 1);
    branch_grow(t, &plain, 4, &t->b, NULL);
    stranger_open(&s, &t->b);
    assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
    lost_open(&t->b);
    lost.index = 3;
    assert_int_equal(has(t, &s, &plain.header.stream, &tip, 1), FM_ECORRUPT);
    stranger_close(&s);
    /* One whose row names a tip far above what is held. */
    struct fm_stream_row high = {.stream = plain.header.stream, .tip_count = 1, .tips = {strange(20)}};
    struct fm_row row = {.kind = FM_ROW_STREAM, .stream = &high};
    assert_int_equal(fm_memory_apply(t->b.store, &row), FM_OK);
    assert_int_equal(fm_lab_restart(&t->b), FM_OK);
    stranger_open(&s, &t->b);
    assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
    assert_int_equal(has(t, &s, &plain.header.stream, &tip, 1), FM_ECORRUPT);
    stranger_close(&s);
}

/* --- form --- */

enum { ITEMS, AUTHOR, INCARNATION, LANE, STEPS, STEP, SEQUENCE, ID, MORE, WRONGS };

static void ladder_make(struct fm_buf *out, const struct fm_key *author, int wrong, uint32_t steps)
{
    static const uint8_t id[FM_SET_ID_BYTES];
    struct fm_pack p;
    fm_buf_init(out, 0);
    fm_pack_init(&p, out);
    fm_pack_array(&p, wrong == ITEMS ? 6 : 5);
    fm_pack_uint(&p, FM_MSG_LADDER);
    fm_pack_bin(&p, author->b, wrong == AUTHOR ? 31 : 32);
    if (wrong == INCARNATION)
        fm_pack_nil(&p);
    else
        fm_pack_uint(&p, 7);
    fm_pack_uint(&p, wrong == LANE ? 2 : 1);
    if (wrong == STEPS)
        fm_pack_uint(&p, 0);
    else
        fm_pack_array(&p, steps);
    for (uint32_t i = 0; i < steps; i++) {
        fm_pack_array(&p, wrong == STEP ? 1 : 2);
        if (wrong == SEQUENCE)
            fm_pack_nil(&p);
        else
            fm_pack_uint(&p, i + 1);
        fm_pack_bin(&p, id, wrong == ID ? 1 : sizeof id);
    }
    if (wrong == MORE || wrong == ITEMS)
        fm_pack_uint(&p, 0);
    assert_int_equal(p.error, FM_OK);
}

static void test_one_in_no_form_is_refused(void **state)
{
    struct three *t = *state;
    struct stranger s;
    struct fm_buf buf;
    stranger_open(&s, &t->b);
    for (int wrong = 0; wrong < WRONGS + 2; wrong++) {
        uint32_t steps = wrong < WRONGS ? 1 : wrong == WRONGS ? FM_LADDER_STEPS_MAX : FM_LADDER_STEPS_MAX + 1;
        stranger_in_step(&s, &t->hub);
        ladder_make(&buf, &t->a.self.author, wrong, steps);
        assert_int_equal(stranger_says(&s, fm_buf_span(&buf)), FM_OK);
        if (wrong == WRONGS)
            assert_null(s.dropped);
        else
            assert_string_equal(s.dropped, "bad-message");
        fm_buf_fini(&buf);
        stranger_down(&s);
    }
    stranger_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_it_is_said_once_and_the_rest_is_sent_from_where_they_part),
        CASE(test_one_of_a_stream_that_is_not_held_is_nothing),
        CASE(test_a_long_branch_is_told_as_far_as_it_is_remembered),
        CASE(test_a_set_that_is_lost_is_an_error),
        CASE(test_one_in_no_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
