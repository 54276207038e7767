/* The vector of streams: what a damaged row says is not taken over, and its bounds. */
#include "tests/support/lab_three.h"

static struct fm_stream_row row_of(uint32_t number, uint32_t tips)
{
    struct fm_stream_row row = {.stream = {.incarnation = 1, .lane = FM_LANE_RECORDS}, .tip_count = tips};
    fm_be_put(row.stream.author.b, number, 4);
    for (uint32_t i = 0; i < tips && i < FM_STREAM_TIPS_MAX; i++) {
        row.tips[i].sequence = 1 + i;
        fm_be_put(row.tips[i].id.b, i, 4);
    }
    return row;
}

static void test_rows_with_a_wrong_number_of_tips_are_damaged(void **state)
{
    static const struct {
        uint32_t tips;
        int rc;
    } cases[] = {{0, FM_ECORRUPT},
                 {1, FM_OK},
                 {FM_STREAM_TIPS_MAX, FM_OK},
                 {FM_STREAM_TIPS_MAX + 1, FM_ECORRUPT},
                 {UINT32_MAX, FM_ECORRUPT}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fm_vector *v = fm_vector_new();
        struct fm_stream_row row = row_of(7, cases[i].tips);
        assert_non_null(v);
        assert_int_equal(fm_vector_load(v, &row), cases[i].rc);
        assert_int_equal(fm_vector_count(v), cases[i].rc == FM_OK);
        assert_true((fm_vector_find(v, &row.stream) != NULL) == (cases[i].rc == FM_OK));
        fm_vector_free(v);
    }
}

/* One stream more than may be held is refused; a set of a stream that is held is not. */
static void test_room_ends_at_the_bounds(void **state)
{
    struct fm_vector *v = fm_vector_new();
    struct fm_set_id tip = {{0}}, other = {{0xee}};
    (void)state;
    assert_non_null(v);
    for (uint32_t n = 0; n < FM_STREAMS_MAX; n++) {
        struct fm_stream_row row = row_of(n, n == 5 ? FM_STREAM_TIPS_MAX : 1), next = row_of(n + 1, 1);
        assert_int_equal(fm_vector_load(v, &row), FM_OK);
        assert_int_equal(fm_vector_room(v, &next.stream, NULL), n + 1 < FM_STREAMS_MAX ? FM_OK : FM_ELIMIT);
    }
    struct fm_stream_row full = row_of(5, 1), held = row_of(6, 1);
    assert_int_equal(fm_vector_room(v, &full.stream, &tip), FM_OK);
    assert_int_equal(fm_vector_room(v, &full.stream, &other), FM_ELIMIT);
    assert_int_equal(fm_vector_room(v, &full.stream, NULL), FM_ELIMIT);
    assert_int_equal(fm_vector_room(v, &held.stream, &other), FM_OK);
    fm_vector_free(v);
}

/* A stream that forks at 4 and then at 2: the lowest fork is what its row says, whatever came first. */
static void test_the_lowest_fork_is_kept(void **state)
{
    struct three *t = *state;
    struct fm_lab_set main_line[4], late, early;
    struct fm_span item = item_of(&t->a, 7, 1, "{a:1}"), other = item_of(&t->a, 8, 1, "{a:2}");
    struct fm_set_header header = {.stream = {.incarnation = 55, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    for (uint64_t i = 0; i < 4; i++) {
        header.sequence = i + 1;
        header.has_prev = i > 0;
        if (i > 0)
            header.prev = main_line[i - 1].id;
        header.time = (LAB_NOW << 16) + 10 * i;
        fm_lab_set(&main_line[i], &t->a.device, header, &item, 1, NULL);
        take(&t->hub, &main_line[i], 0);
    }
    fm_lab_set(&late, &t->a.device, header, &other, 1, NULL); /* as the fourth */
    header.sequence = 2;
    header.prev = main_line[0].id;
    fm_lab_set(&early, &t->a.device, header, &other, 1, NULL);
    take(&t->hub, &late, 0);
    const struct fm_stream stream = {.author = t->a.self.author, .incarnation = 55, .lane = 1};
    assert_int_equal(fm_vector_find(t->hub.core->vector, &stream)->fork_sequence, 4);
    take(&t->hub, &early, 0);
    assert_int_equal(fm_vector_find(t->hub.core->vector, &stream)->fork_sequence, 2);
    assert_int_equal(fm_vector_find(t->hub.core->vector, &stream)->tip_count, 3);
    for (uint64_t i = 0; i < 4; i++)
        take(&t->b, &main_line[i], 0);
    take(&t->b, &early, 0);
    take(&t->b, &late, 0); /* the higher fork comes later */
    assert_int_equal(fm_vector_find(t->b.core->vector, &stream)->fork_sequence, 2);
    for (uint64_t i = 0; i < 4; i++)
        fm_lab_set_free(&main_line[i]);
    fm_lab_set_free(&late);
    fm_lab_set_free(&early);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows_with_a_wrong_number_of_tips_are_damaged),
                                       cmocka_unit_test(test_room_ends_at_the_bounds), CASE(test_the_lowest_fork_is_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
