/* A failure at any call (tests/support/meeting.h) where streams are forked: HAVE with many tips, ladders, sets one by one.
 */
#include "tests/support/faults.h"
#include "tests/support/lab_three.h"
#include "tests/support/meeting.h"
#include "tests/support/no_memory.h"

/* A stream of A's written by hand, one set after the other. */
struct branch {
    struct fm_set_header header;
    uint8_t record;
};

static struct branch branch_of(const struct three *t, uint64_t incarnation)
{
    return (struct branch){
        .header = {.stream = {.incarnation = incarnation, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)}};
}

/* Grows it by so many sets, each taken in at these nodes (NULL: at one only). */
static void grow(struct three *t, struct branch *b, unsigned sets, struct fm_lab_node *at, struct fm_lab_node *also)
{
    while (sets-- > 0) {
        struct fm_span item = item_of(&t->a, ++b->record, 1, "{a:1}");
        struct fm_lab_set set;
        b->header.sequence++;
        fm_lab_set(&set, &t->a.device, b->header, &item, 1, NULL);
        take(at, &set, 0);
        if (also != NULL)
            take(also, &set, 0);
        b->header.has_prev = true;
        b->header.prev = set.id;
        fm_lab_set_free(&set);
    }
}

/* One stream forked between the nodes, one forked at one of them already, one forked at both and grown at each. */
static void test_forks_meet_and_a_failure_at_any_call_changes_nothing(void **state)
{
    struct three *t = *state;
    struct branch left = branch_of(t, 70), right;
    grow(t, &left, 3, &t->hub, &t->b);
    right = left;
    left.record = 20;
    grow(t, &left, 2, &t->hub, NULL);
    right.record = 30;
    grow(t, &right, 3, &t->b, NULL);

    struct branch one = branch_of(t, 71), two;
    one.record = 40;
    grow(t, &one, 1, &t->hub, NULL);
    two = one;
    grow(t, &one, 2, &t->hub, NULL);
    two.record = 50;
    grow(t, &two, 1, &t->hub, NULL);

    struct branch old = branch_of(t, 72), twin = old;
    old.record = 60;
    twin.record = 70;
    grow(t, &old, 1, &t->hub, &t->b);
    grow(t, &twin, 1, &t->hub, &t->b);
    grow(t, &old, 2, &t->hub, NULL);
    grow(t, &twin, 2, &t->b, NULL);
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
