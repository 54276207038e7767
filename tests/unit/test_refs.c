/* The queue of records: once in it, taken in order, dropped, emptied, and whole after any piece of memory it lacks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/inner.h"
#include "tests/support/no_memory.h"

static struct fm_record_ref ref(uint32_t number)
{
    struct fm_record_ref out = {.kind = 1};
    fm_be_put(out.record.b, number, 4);
    return out;
}

static void add(struct fm_refs *q, uint32_t number)
{
    struct fm_record_ref one = ref(number);
    assert_int_equal(fm_refs_add(q, &one), FM_OK);
}

static bool has(const struct fm_refs *q, uint32_t number)
{
    struct fm_record_ref one = ref(number);
    return fm_refs_has(q, &one);
}

static void takes(struct fm_refs *q, uint32_t number)
{
    struct fm_record_ref out, want = ref(number);
    assert_true(fm_refs_take(q, &out));
    assert_int_equal(out.kind, want.kind);
    assert_memory_equal(out.record.b, want.record.b, sizeof want.record.b);
}

static void what_is_pending_stands_in_it_once(void **state)
{
    struct fm_refs q = {.salt = 5};
    struct fm_record_ref out, other_kind = ref(1), drop = ref(2), none = ref(9);
    (void)state;
    fm_refs_drop(&q, &drop); /* of an empty one: nothing */
    assert_false(has(&q, 1));
    other_kind.kind = 2;
    add(&q, 1);
    add(&q, 2);
    add(&q, 1);
    assert_int_equal(fm_refs_add(&q, &other_kind), FM_OK);
    assert_true(has(&q, 1) && has(&q, 2) && !has(&q, 9));
    fm_refs_drop(&q, &drop);
    fm_refs_drop(&q, &none);
    assert_false(has(&q, 2));
    takes(&q, 1);
    assert_false(has(&q, 1));
    add(&q, 1); /* taken: it comes again */
    assert_true(fm_refs_take(&q, &out) && out.kind == 2);
    takes(&q, 1);
    assert_false(fm_refs_take(&q, &out));
    fm_refs_fini(&q);
}

static void once_keeps_what_was_taken_out_until_the_reset(void **state)
{
    struct fm_refs q = {.once = true};
    struct fm_record_ref out;
    (void)state;
    add(&q, 1);
    takes(&q, 1);
    add(&q, 1);
    assert_false(fm_refs_take(&q, &out));
    fm_refs_reset(&q);
    add(&q, 1);
    takes(&q, 1);
    fm_refs_fini(&q);
    assert_true(q.once);
}

static void a_large_one_gives_its_memory_back(void **state)
{
    struct fm_refs q = {.salt = 3};
    (void)state;
    for (uint32_t i = 0; i < 10000; i++)
        add(&q, i);
    for (uint32_t i = 0; i < 10000; i++)
        takes(&q, i);
    assert_true(q.slot_count > 16384);
    fm_refs_reset(&q);
    assert_int_equal(q.cap, 0);
    assert_int_equal(q.salt, 3);
    assert_false(has(&q, 1));
    add(&q, 1);
    takes(&q, 1);
    fm_refs_reset(&q); /* a small one stays */
    assert_true(q.cap > 0 && !has(&q, 1));
    fm_refs_fini(&q);
}

static void without_memory_it_is_as_it_was(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        struct fm_refs q = {.salt = 1};
        for (uint32_t i = 0; i < 64; i++)
            add(&q, i);
        struct fm_record_ref one = ref(64);
        fm_fault_begin(n);
        int rc = fm_refs_add(&q, &one);
        bool hit = fm_fault_end();
        assert_int_equal(rc, hit ? FM_ENOMEM : FM_OK);
        assert_int_equal(has(&q, 64), !hit);
        if (hit)
            add(&q, 64);
        for (uint32_t i = 0; i < 65; i++)
            takes(&q, i);
        fm_refs_fini(&q);
        if (!hit) {
            assert_int_equal(n, 3);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pending_stands_in_it_once),
        cmocka_unit_test(once_keeps_what_was_taken_out_until_the_reset),
        cmocka_unit_test(a_large_one_gives_its_memory_back),
        cmocka_unit_test(without_memory_it_is_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
