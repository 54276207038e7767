/* The memory store keeps the read port's contract: what other tests lean on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "tests/support/memory.h"

static struct fm_record_id record(uint8_t n)
{
    struct fm_record_id id = {{0}};
    id.b[15] = n;
    return id;
}

static struct fm_head head(uint8_t kind, uint8_t n, const char *offline_id, uint8_t entity, uint8_t digest)
{
    struct fm_head h = {.kind = kind, .record = record(n), .shown = true, .has_entity = entity != 0, .entity = record(entity),
                        .offline_id = fm_span_str(offline_id)};
    memset(h.digest.b, digest, sizeof(h.digest.b));
    return h;
}

static void put_head(struct fm_memory *m, const struct fm_head *h, const struct fm_head *before)
{
    struct fm_row row = {.kind = FM_ROW_HEAD, .head = h, .head_before = before, .changed = true};
    assert_int_equal(fm_memory_apply(m, &row), 0);
}

static void test_heads_are_found_by_alias_entity_and_user(void **state)
{
    struct fm_memory *m = fm_memory_new();
    const struct fm_port *p = fm_memory_port(m);
    struct fm_head two = head(1, 2, "tab-7", 9, 1), one = head(1, 1, "tab-7", 9, 2), other = head(2, 3, "tab-7", 9, 3);
    struct fm_head moved = head(1, 1, "", 8, 4), task = head(FM_KIND_ASSIGNMENT, 4, "", 9, 5);
    struct fm_record_id found, list[4], entity = record(9), after = record(1), user = record(7);
    size_t count;
    (void)state;
    put_head(m, &two, NULL);
    put_head(m, &one, NULL);
    put_head(m, &other, NULL);
    assert_int_equal(p->alias(p->ctx, 1, fm_span_str("tab-7"), &found), 0);
    assert_int_equal(found.b[15], 1); /* rule 54: the lower id */
    assert_int_equal(p->alias(p->ctx, 1, fm_span_str("tab-77"), &found), FM_ENOTFOUND);
    assert_int_equal(p->alias(p->ctx, 1, fm_span_str("tab-"), &found), FM_ENOTFOUND);
    assert_int_equal(p->by_entity(p->ctx, &entity, 1, NULL, list, 4, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(p->by_entity(p->ctx, &entity, 1, &after, list, 4, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].b[15], 2);
    put_head(m, &moved, &one); /* another entity, no offlineId any more */
    assert_int_equal(p->alias(p->ctx, 1, fm_span_str("tab-7"), &found), 0);
    assert_int_equal(found.b[15], 2);
    assert_int_equal(p->by_entity(p->ctx, &entity, 1, NULL, list, 4, &count), 0);
    assert_int_equal(count, 1);
    task.has_user = true;
    task.user = user;
    put_head(m, &task, NULL);
    assert_int_equal(p->by_entity(p->ctx, &user, FM_KIND_ASSIGNMENT, NULL, list, 4, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(p->by_entity(p->ctx, &entity, FM_KIND_ASSIGNMENT, NULL, list, 4, &count), 0);
    assert_int_equal(count, 1);
    fm_memory_free(m);
}

static void test_record_sum_is_of_the_heads_that_stand(void **state)
{
    struct fm_memory *a = fm_memory_new(), *b = fm_memory_new();
    struct fm_head x = head(1, 1, "", 0, 0xff), y = head(1, 2, "", 0, 0xfe), z = head(1, 1, "", 0, 7);
    struct fm_digest one, two;
    (void)state;
    put_head(a, &x, NULL);
    put_head(a, &y, NULL);
    put_head(a, &z, &x);
    put_head(b, &z, NULL);
    put_head(b, &y, NULL);
    assert_int_equal(fm_memory_port(a)->record_sum(fm_memory_port(a)->ctx, &one), 0);
    assert_int_equal(fm_memory_port(b)->record_sum(fm_memory_port(b)->ctx, &two), 0);
    assert_memory_equal(one.b, two.b, sizeof(one.b));
    for (size_t i = 0; i < 4; i++) /* lanes of 64 bits wrap alone */
        assert_true(fm_be_get(one.b + 8 * i, 8) == UINT64_C(0x0707070707070707) + UINT64_C(0xfefefefefefefefe));
    fm_memory_free(a);
    fm_memory_free(b);
}

static void test_marks_come_and_go(void **state)
{
    struct fm_memory *m = fm_memory_new();
    const struct fm_port *p = fm_memory_port(m);
    struct fm_version_id parent = {{1}}, none = {{2}};
    struct fm_record_ref refs[2];
    size_t count;
    (void)state;
    for (uint8_t i = 1; i <= 3; i++) {
        struct fm_row wait = {.kind = FM_ROW_WAIT, .present = true, .record_kind = i, .record = record(i), .waits_for = parent};
        struct fm_row touch = {.kind = FM_ROW_TOUCH, .present = true, .record_kind = i, .record = record(i)};
        assert_int_equal(fm_memory_apply(m, &wait), 0);
        assert_int_equal(fm_memory_apply(m, &touch), 0);
    }
    assert_int_equal(p->waits(p->ctx, &parent, refs, 2, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(refs[1].record.b[15], 2);
    assert_int_equal(p->waits(p->ctx, &none, refs, 2, &count), 0);
    assert_int_equal(count, 0);
    struct fm_row done = {.kind = FM_ROW_TOUCH, .record_kind = 1, .record = record(1)};
    assert_int_equal(fm_memory_apply(m, &done), 0);
    assert_int_equal(p->touched(p->ctx, refs, 2, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(refs[0].kind, 2);
    fm_memory_free(m);
}

static void put_version(struct fm_memory *m, uint32_t name, bool counted, uint32_t number, const struct fm_version *before)
{
    struct fm_version_id parents[2] = {{{1}}, {{2}}};
    struct fm_version v = {.kind = 1, .record = record(1), .number = number, .parent_count = 2, .parents = parents,
                           .counted = counted};
    struct fm_row row = {.kind = FM_ROW_VERSION, .version = &v, .before = before};
    fm_be_put(v.id.b, name, 4);
    assert_int_equal(fm_memory_apply(m, &row), 0);
    memset(parents, 0xaa, sizeof(parents)); /* what was applied is a copy */
}

static void test_versions_are_copies_in_key_order(void **state)
{
    struct fm_memory *m = fm_memory_new();
    const struct fm_port *p = fm_memory_port(m);
    struct fm_arena arena = {NULL};
    struct fm_version *versions, one;
    struct fm_record_id id = record(1);
    struct fm_record_ref ref;
    size_t count;
    (void)state;
    put_version(m, 1, false, 9, NULL);
    put_version(m, 2, true, 3, NULL);
    put_version(m, 3, true, 5, NULL);
    struct fm_memory *copy = fm_memory_clone(m);
    assert_int_equal(p->versions(p->ctx, 1, &id, &arena, &versions, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(versions[0].number, 5);
    assert_int_equal(versions[1].number, 3);
    assert_int_equal(versions[2].number, 9);
    assert_int_equal(versions[2].parents[1].b[0], 2);
    assert_int_equal(p->version_find(p->ctx, &versions[0].id, &ref), 0);
    assert_int_equal(ref.record.b[15], 1);
    put_version(m, 1, true, 9, &versions[2]);
    assert_int_equal(p->version_get(p->ctx, &versions[2].id, &arena, &one), 0);
    assert_true(one.counted);
    const struct fm_port *q = fm_memory_port(copy); /* a clone goes its own way */
    fm_memory_clear_derived(m);
    assert_int_equal(p->version_get(p->ctx, &versions[2].id, &arena, &one), FM_ENOTFOUND);
    assert_int_equal(q->version_get(q->ctx, &versions[2].id, &arena, &one), 0);
    assert_false(one.counted);
    fm_arena_fini(&arena);
    fm_memory_free(m);
    fm_memory_free(copy);
}

static void test_the_log_outlives_the_indexes(void **state)
{
    struct fm_memory *m = fm_memory_new();
    const struct fm_port *p = fm_memory_port(m);
    struct fm_set_meta meta = {.sequence = 1, .verdict = FM_COUNTED}, found, list[4];
    struct fm_buf bytes;
    uint64_t last;
    size_t count;
    (void)state;
    fm_buf_init(&bytes, 0);
    assert_int_equal(p->arrival_last(p->ctx, &last), 0);
    assert_int_equal(last, 0);
    for (uint64_t i = 1; i <= 3; i++) {
        meta.arrival = meta.sequence = i;
        meta.id.b[0] = (uint8_t)(9 - i);
        struct fm_row row = {.kind = FM_ROW_SET, .meta = &meta, .bytes = fm_span("set", 3)};
        assert_int_equal(fm_memory_apply(m, &row), 0);
    }
    assert_int_equal(p->stream_sets(p->ctx, &meta.stream, 2, list, 4, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].arrival, 2);
    assert_int_equal(p->set_get(p->ctx, &meta.stream, 3, &meta.id, &found), 0);
    fm_memory_clear_derived(m);
    assert_int_equal(p->set_get(p->ctx, &meta.stream, 3, &meta.id, &found), FM_ENOTFOUND);
    assert_int_equal(p->set_next(p->ctx, 2, &found), 0);
    assert_int_equal(found.arrival, 2);
    assert_int_equal(p->set_bytes(p->ctx, 2, &bytes), 0);
    assert_int_equal(bytes.len, 3);
    assert_int_equal(p->set_next(p->ctx, 4, &found), FM_ENOTFOUND);
    struct fm_row again = {.kind = FM_ROW_VERDICT, .meta = &meta}; /* as a reindex does: no row is there yet */
    assert_int_equal(fm_memory_apply(m, &again), 0);
    assert_int_equal(p->set_get(p->ctx, &meta.stream, 3, &meta.id, &found), 0);
    fm_buf_fini(&bytes);
    fm_memory_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_are_found_by_alias_entity_and_user),
        cmocka_unit_test(test_record_sum_is_of_the_heads_that_stand),
        cmocka_unit_test(test_marks_come_and_go),
        cmocka_unit_test(test_versions_are_copies_in_key_order),
        cmocka_unit_test(test_the_log_outlives_the_indexes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
