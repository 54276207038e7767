/* Names of the shared nouns, there and back; errors have a code and a sentence of their own; a buffer's bound. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "replication/types.h"

static void test_names_there_and_back(void **state)
{
    static const struct {
        const char *(*name)(int number);
        int (*from)(struct fm_span name);
        int last;
    } nouns[] = {{fm_kind_name, fm_kind_from, FM_KIND_LAST}, {fm_action_name, fm_action_from, FM_UNDO},
                 {fm_role_name, fm_role_from, FM_ROLE_RELAY}};
    (void)state;
    for (size_t i = 0; i < sizeof nouns / sizeof nouns[0]; i++) {
        for (int n = 1; n <= nouns[i].last; n++)
            assert_int_equal(nouns[i].from(fm_span_str(nouns[i].name(n))), n);
        assert_null(nouns[i].name(-1));
        assert_null(nouns[i].name(nouns[i].last + 1));
        assert_int_equal(nouns[i].from(fm_span_str("nonsense")), 0);
        assert_int_equal(nouns[i].from(fm_span_str("")), 0);
    }
}

static void test_words_for_people_of_any_number(void **state)
{
    const char *(*words[])(int number) = {fm_verdict_name, fm_why_text, fm_place_name, fm_class_name};
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (int n = -2; n < 40; n++)
            (void)words[i](n);
    assert_string_equal(fm_verdict_name(FM_UNREADABLE), "unreadable");
    assert_string_equal(fm_place_name(FM_PLACE_SETTLED), "settled");
    assert_string_equal(fm_class_name(FM_CLASS_DELETE), "delete");
    assert_string_equal(fm_place_name(FM_PLACE_NONE), "");
    assert_null(fm_place_name(99));
    assert_null(fm_class_name(-1));
}

static void test_each_error_has_its_own_code(void **state)
{
    (void)state;
    for (int a = FM_EPROTOCOL; a < FM_OK; a++) {
        assert_true(strlen(fm_error_text(a)) > 5);
        for (int b = FM_EPROTOCOL; b < a; b++)
            assert_string_not_equal(fm_error_code(a), fm_error_code(b));
    }
    assert_string_equal(fm_error_code(FM_EFULL), "store-full");
    assert_string_equal(fm_error_code(-12345), "unknown");
    assert_non_null(fm_error_text(77));
}

static void test_a_buffer_ends_at_its_bound(void **state)
{
    struct fm_buf buf;
    (void)state;
    fm_buf_init(&buf, 10);
    assert_int_equal(fm_buf_add(&buf, "123456789", 9), FM_OK);
    assert_int_equal(fm_buf_add(&buf, "ab", 2), FM_ELIMIT);
    assert_int_equal(fm_buf_add(&buf, "a", 1), FM_OK);
    assert_int_equal(fm_buf_reserve(&buf, 1), FM_ELIMIT);
    assert_true(fm_span_eq(fm_buf_span(&buf), fm_span_str("123456789a")));
    fm_buf_fini(&buf);
}

/* A length that no memory has is refused before it is added to anything. */
static void test_lengths_that_would_wrap_are_refused(void **state)
{
    struct fm_arena arena = {NULL};
    struct fm_buf buf;
    (void)state;
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_buf_add(&buf, "a", 1), FM_OK);
    assert_int_equal(fm_buf_reserve(&buf, SIZE_MAX), FM_ELIMIT);
    assert_int_equal(fm_buf_reserve(&buf, SIZE_MAX / 2), FM_ELIMIT);
    assert_true(fm_span_eq(fm_buf_span(&buf), fm_span_str("a")));
    fm_buf_fini(&buf);
    assert_null(fm_arena_take(&arena, SIZE_MAX));
    assert_null(fm_arena_take(&arena, SIZE_MAX / 2 + 1));
    assert_null(arena.first);
    uint8_t *copy = fm_arena_copy(&arena, fm_span_str("still well"));
    assert_true(fm_span_eq(fm_span(copy, 10), fm_span_str("still well")));
    fm_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_there_and_back),
        cmocka_unit_test(test_words_for_people_of_any_number),
        cmocka_unit_test(test_each_error_has_its_own_code),
        cmocka_unit_test(test_a_buffer_ends_at_its_bound),
        cmocka_unit_test(test_lengths_that_would_wrap_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
