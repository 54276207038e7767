/* HELLO: what it says of the node, and what is made of another's. */
#include "tests/support/lab_three.h"
#include "tests/support/stranger.h"

static struct fm_hello hello_of(const struct stranger *s)
{
    struct fm_hello hello;
    assert_int_equal(fm_hello_decode(&hello, stranger_last(s, FM_MSG_HELLO)), FM_OK);
    return hello;
}

/* Law 2: the same sets and the same keys show the same. Where they do not, the session goes on, but it is told. */
static void test_another_state_of_the_same_sets_is_told(void **state)
{
    static const struct {
        bool fold, no_state, other_state;
        const char *refused;
    } cases[] = {{false, false, false, NULL},
                 {true, false, true, NULL}, /* it can read other sets */
                 {false, true, true, NULL}, /* it is still busy */
                 {false, false, true, "state-differs"}};
    struct three *t = *state;
    struct stranger s;
    stranger_open(&s, &t->b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stranger_up(&s, &t->hub, true);
        struct fm_hello hello = hello_of(&s);
        assert_true(hello.has_state);
        hello.grant = grant_of(&t->hub);
        hello.fold[0] ^= cases[i].fold;
        hello.state[0] ^= cases[i].other_state;
        hello.has_state = !cases[i].no_state;
        assert_int_equal(stranger_says_hello(&s, &hello), FM_OK);
        assert_null(s.dropped);
        assert_int_equal(stranger_session(&s)->phase, FM_PEER_IN_STEP);
        if (cases[i].refused == NULL)
            assert_null(s.refused);
        else
            assert_string_equal(s.refused, cases[i].refused);
        stranger_down(&s);
    }
    stranger_close(&s);
}

/* More to fold than the turn has room for: the state is not known yet, and says nothing. */
static void test_a_node_with_work_left_tells_no_state(void **state)
{
    struct three *t = *state;
    struct stranger s;
    stranger_open(&s, &t->b);
    for (unsigned i = 0; i < 4 * FM_FOLDS_PER_TURN_MAX + 1000; i++) {
        struct fm_row row = {.kind = FM_ROW_TOUCH, .record_kind = FM_KIND_ASSESSMENT, .present = true};
        fm_be_put(row.record.b, i, 4);
        assert_int_equal(fm_memory_apply(t->b.store, &row), FM_OK);
    }
    assert_int_equal(fm_lab_restart(&t->b), FM_OK);
    stranger_up(&s, &t->hub, true);
    struct fm_hello hello = hello_of(&s);
    assert_false(hello.has_state);
    hello.grant = grant_of(&t->hub);
    hello.has_state = true;
    assert_int_equal(stranger_says_hello(&s, &hello), FM_OK);
    assert_null(s.refused);
    assert_int_equal(stranger_session(&s)->phase, FM_PEER_IN_STEP);
    stranger_down(&s);
    for (int i = 0; i < 4; i++)
        stranger_wait(&s, 0);
    stranger_up(&s, &t->hub, true);
    assert_true(hello_of(&s).has_state);
    stranger_close(&s);
}

/* Before it holds the set that grants it, a node goes by the grant it was started with; after it, by the newest. */
static void test_the_grant_it_names(void **state)
{
    struct three *t = *state;
    struct fm_lab_node late;
    struct fm_lab_set root;
    struct fm_hello hello;
    struct stranger s;
    int refused;
    fm_lab_open(&late, "late", 15);
    fm_lab_root_set(&root, &t->hub.device, keys);
    take(&late, &root, 0);
    struct fm_act *grant = fm_lab_grant(&late.device, FM_ROLE_CAMP, 4, keys);
    late.self.grant = grant->grant.id;
    assert_int_equal(fm_lab_restart(&late), FM_OK);
    assert_null(fm_authority_current(late.core->authority, &late.self.author, 1));
    stranger_open(&s, &late);
    for (int joined = 0; joined < 2; joined++) {
        stranger_up(&s, &t->hub, true);
        hello = hello_of(&s);
        assert_memory_equal(&hello.grant, &grant->grant.id, sizeof hello.grant);
        stranger_down(&s);
        if (joined == 0) {
            assert_int_equal(fm_lab_act(&t->hub, grant, &refused), FM_OK);
            fm_lab_exchange(&late, &t->hub, 0);
            assert_non_null(fm_authority_current(late.core->authority, &late.self.author, 1));
        }
    }
    stranger_close(&s);
    fm_lab_act_free(grant);
    fm_lab_set_free(&root);
    fm_lab_close(&late);
}

static void test_one_in_no_form_is_refused(void **state)
{
    static const uint8_t few[] = {0x91, FM_MSG_HELLO}, no_number[] = {0x9a, FM_MSG_HELLO, 0xc4, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    struct three *t = *state;
    struct fm_hello hello;
    struct stranger s;
    stranger_open(&s, &t->b);
    stranger_up(&s, &t->hub, true);
    struct fm_span ours = stranger_last(&s, FM_MSG_HELLO);
    hello = hello_of(&s);
    assert_true(hello.has_state && ours.data[ours.len - 1 - 10 - FM_DIGEST_SHORT - 2] == 0xc4);
    /* A state of one byte: neither none nor a digest. */
    uint8_t *odd = malloc(ours.len);
    assert_non_null(odd);
    size_t front = ours.len - 1 - 10 - FM_DIGEST_SHORT - 1, back = 1 + 10;
    memcpy(odd, ours.data, front);
    odd[front] = 1;
    odd[front + 1] = 0;
    memcpy(odd + front + 2, ours.data + ours.len - back, back);
    assert_int_equal(fm_hello_decode(&hello, ours), FM_OK);
    assert_int_equal(fm_hello_decode(&hello, fm_span(odd, front + 2 + back)), FM_EFORMAT);
    odd[front] = 0;
    memcpy(odd + front + 1, ours.data + ours.len - back, back);
    assert_int_equal(fm_hello_decode(&hello, fm_span(odd, front + 1 + back)), FM_OK);
    assert_false(hello.has_state);
    free(odd);
    const struct fm_span cases[] = {fm_span(few, sizeof few), fm_span(no_number, sizeof no_number)};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(stranger_says(&s, cases[i]), FM_OK);
        assert_string_equal(s.dropped, "bad-message");
        assert_null(stranger_session(&s));
        stranger_down(&s);
        stranger_up(&s, &t->hub, true);
    }
    stranger_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_another_state_of_the_same_sets_is_told),
        CASE(test_a_node_with_work_left_tells_no_state),
        CASE(test_the_grant_it_names),
        CASE(test_one_in_no_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
