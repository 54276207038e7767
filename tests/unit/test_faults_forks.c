/* A failure at any call (tests/support/meeting.h) where streams are forked: HAVE with many tips, ladders, sets one by one.
 */
#include "tests/support/branch.h"
#include "tests/support/faults.h"
#include "tests/support/meeting.h"
#include "tests/support/no_memory.h"

/* One stream forked between the nodes, one forked at one of them already, one forked at both and grown at each. */
static void test_forks_meet_and_a_failure_at_any_call_changes_nothing(void **state)
{
    struct three *t = *state;
    struct branch left = branch_of(t, 70, 1), right;
    branch_grow(t, &left, 3, &t->hub, &t->b);
    right = left;
    right.record += 100;
    branch_grow(t, &left, 2, &t->hub, NULL);
    branch_grow(t, &right, 3, &t->b, NULL);

    struct branch one = branch_of(t, 71, 1), two;
    branch_grow(t, &one, 1, &t->hub, NULL);
    two = one;
    two.record += 100;
    branch_grow(t, &one, 2, &t->hub, NULL);
    branch_grow(t, &two, 1, &t->hub, NULL);

    struct branch old = branch_of(t, 72, 1), twin = old;
    twin.record += 100;
    branch_grow(t, &old, 1, &t->hub, &t->b);
    branch_grow(t, &twin, 1, &t->hub, &t->b);
    branch_grow(t, &old, 2, &t->hub, NULL);
    branch_grow(t, &twin, 2, &t->b, NULL);
    assert_true(fm_meeting_try(&t->hub, &t->b) > 100);
}

static void test_forks_meet_and_want_of_memory_changes_nothing(void **state)
{
    fm_fault_memory = true;
    test_forks_meet_and_a_failure_at_any_call_changes_nothing(state);
    fm_fault_memory = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_forks_meet_and_a_failure_at_any_call_changes_nothing),
                                       CASE(test_forks_meet_and_want_of_memory_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
