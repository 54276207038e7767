/* A message of a peer, and a failure at any call that it leads to: a read, a row, a message, a report, a piece of memory. */
#include "tests/support/branch.h"
#include "tests/support/no_memory.h"
#include "tests/support/stranger.h"

enum { SAME, OTHER_STATE, OTHER_SETS };

static void greet(struct three *t, struct stranger *s, int how)
{
    struct fm_hello hello;
    stranger_up(s, &t->hub, true);
    assert_int_equal(fm_hello_decode(&hello, stranger_last(s, FM_MSG_HELLO)), FM_OK);
    hello.grant = grant_of(&t->hub);
    hello.state[0] ^= how == OTHER_STATE;
    hello.vector[0] ^= how == OTHER_SETS;
    assert_int_equal(stranger_says_hello(s, &hello), FM_OK);
    assert_null(s->dropped);
}

/* B holds a stream with a fork of two branches, each of some length, and more streams than the core has room for at first.
 */
static void forked(struct three *t, struct branch *left, struct branch *right)
{
    *left = branch_of(t, 80, 1);
    branch_grow(t, left, 2, &t->b, NULL);
    *right = *left;
    right->record += 100;
    branch_grow(t, left, 3, &t->b, NULL);
    branch_grow(t, right, 3, &t->b, NULL);
    for (unsigned i = 0; i < 70; i++) {
        struct branch one = branch_of(t, 1000 + i, 1);
        branch_grow(t, &one, 1, &t->b, NULL);
    }
}

static void fails(struct stranger *s, size_t at_least)
{
    size_t failures = stranger_fails_anywhere(s);
    print_message("%zu failures\n", failures);
    assert_true(failures >= at_least);
    stranger_close(s);
}

static void test_hello(void **state)
{
    struct three *t = *state;
    for (int how = SAME; how <= OTHER_SETS; how++) {
        struct stranger s;
        stranger_open(&s, &t->b);
        greet(t, &s, how);
        fails(&s, fm_fault_memory ? 1 : 2);
        assert_int_equal(fm_lab_restart(&t->b), FM_OK);
    }
}

static void test_have_of_nothing(void **state)
{
    struct three *t = *state;
    struct branch left, right;
    struct stranger s;
    forked(t, &left, &right);
    stranger_open(&s, &t->b);
    greet(t, &s, OTHER_SETS);
    assert_int_equal(stranger_says_have(&s, NULL, 0, true), FM_OK);
    assert_true(stranger_sets(&s) > 78);
    fails(&s, fm_fault_memory ? 4 : 78);
}

static void test_have_of_one_branch(void **state)
{
    struct three *t = *state;
    struct branch left, right;
    struct stranger s;
    forked(t, &left, &right);
    stranger_open(&s, &t->b);
    greet(t, &s, OTHER_SETS);
    struct fm_stream_row row = {.stream = left.header.stream, .tip_count = 1, .tips = {branch_tip(&left)}};
    assert_int_equal(stranger_says_have(&s, &row, 1, false), FM_OK);
    assert_int_equal(stranger_session(&s)->skip_count, 3);
    fails(&s, fm_fault_memory ? 3 : 3);
}

/* Before any HAVE, so that what it needs is made for it. */
static void test_ladder_of_one_branch(void **state)
{
    struct three *t = *state;
    struct branch left, right;
    struct stranger s;
    forked(t, &left, &right);
    stranger_open(&s, &t->b);
    greet(t, &s, OTHER_SETS);
    struct fm_tip tip = branch_tip(&left);
    assert_int_equal(stranger_says_ladder(&s, &left.header.stream, &tip, 1), FM_OK);
    assert_int_equal(stranger_session(&s)->skip_count, 3);
    assert_int_equal(stranger_heard(&s, FM_MSG_LADDER), 1);
    fails(&s, fm_fault_memory ? 4 : 8);
}

#define NO_MEMORY(name)                                                                                                     \
    static void name##_without_memory(void **state)                                                                         \
    {                                                                                                                       \
        fm_fault_memory = true;                                                                                             \
        name(state);                                                                                                        \
        fm_fault_memory = false;                                                                                            \
    }
NO_MEMORY(test_hello)
NO_MEMORY(test_have_of_nothing)
NO_MEMORY(test_have_of_one_branch)
NO_MEMORY(test_ladder_of_one_branch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_hello),
        CASE(test_hello_without_memory),
        CASE(test_have_of_nothing),
        CASE(test_have_of_nothing_without_memory),
        CASE(test_have_of_one_branch),
        CASE(test_have_of_one_branch_without_memory),
        CASE(test_ladder_of_one_branch),
        CASE(test_ladder_of_one_branch_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
