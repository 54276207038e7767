/* What a record shows, asked alone: from damaged sets, without memory, and which offlineIds it is found by. */
#include "replication/doc.h"
#include "tests/support/faults.h"
#include "tests/support/lab_three.h"
#include "tests/support/lost.h"
#include "tests/support/no_memory.h"
#include "tests/support/text_doc.h"


/* Record 1 as B holds it: created by A, then (if so) deleted. */
struct made {
    struct fm_record_ref ref;
    struct fm_version *versions, *order[2];
    size_t count;
    uint64_t arrival[2]; /* of the sets that hold the create and the delete */
};

static void make(struct three *t, struct made *m, bool deleted)
{
    struct fm_version_id id = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1,offlineId:\"o-1\",entityId:\"none\"}");
    assert_int_equal(fm_lab_end(&t->a), FM_OK);
    if (deleted) {
        write_one(&t->a, FM_DELETE, 1, 2, &id, "{id:\"x\",updatedAt:\"y\"}");
        assert_int_equal(fm_lab_end(&t->a), FM_OK);
    }
    fm_lab_exchange(&t->b, &t->a, 0);
    assert_int_equal(fm_lab_restart(&t->b), FM_OK); /* nothing is opened yet */
    const struct fm_port *port = fm_memory_port(t->b.store);
    *m = (struct made){.ref = {.kind = FM_KIND_ASSESSMENT, .record = fm_lab_record(1)}};
    int rc = port->versions(port->ctx, m->ref.kind, &m->ref.record, &t->b.arena, &m->versions, &m->count);
    assert_int_equal(rc, FM_OK);
    assert_int_equal(m->count, deleted ? 2 : 1);
    for (size_t i = 0; i < m->count; i++) {
        m->order[i] = &m->versions[i]; /* in key order: the winner first */
        m->arrival[m->versions[i].tombstone] = m->versions[i].holders[0].arrival;
    }
    assert_int_equal(m->order[0]->place, FM_PLACE_WINNER);
}

static int head_of(struct three *t, struct made *m, struct fm_arena *arena, struct fm_head *head)
{
    return fm_head_of(t->b.core, arena, &m->ref, m->versions, m->count, m->order, m->count, NULL, head);
}

static void test_a_document_that_cannot_be_read_is_an_error(void **state)
{
    static const struct {
        int answer, error;
    } cases[] = {{FM_ESTORE, FM_ESTORE}, {FM_ENOTFOUND, FM_ECORRUPT}, {FM_OK /* cut short */, FM_ECORRUPT}};
    struct three *t = *state;
    struct fm_arena arena = {.first = NULL};
    struct fm_head head;
    struct made m;
    make(t, &m, true);
    for (size_t set = 0; set < 2; set++) { /* of what was deleted; of the deletion */
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            lost_open(&t->b);
            lost.bytes = m.arrival[set];
            lost.answer = cases[i].answer;
            assert_int_equal(head_of(t, &m, &arena, &head), cases[i].error);
            assert_int_equal(fm_lab_restart(&t->b), FM_OK);
        }
    }
    assert_int_equal(head_of(t, &m, &arena, &head), FM_OK);
    assert_true(head.shown && head.deleted && fm_span_eq(head.offline_id, fm_span_str("o-1")));
    /* A version that counts, in a set that has no such change. */
    m.order[0]->holders[0].index = 7;
    assert_int_equal(head_of(t, &m, &arena, &head), FM_ECORRUPT);
    fm_arena_fini(&arena);
}

static void test_want_of_memory_is_an_error(void **state)
{
    struct three *t = *state;
    struct fm_arena arena = {.first = NULL};
    struct fm_head head;
    struct made m;
    make(t, &m, true);
    assert_int_equal(head_of(t, &m, &arena, &head), FM_OK); /* its documents are opened now */
    /* None for the versions; for them, but not for the offlineId; for both. */
    static const int cases[] = {FM_ENOMEM, FM_ENOMEM, FM_OK};
    for (int i = 0; i < 3; i++) {
        fm_arena_fini(&arena);
        fm_fault_begin(i);
        int rc = head_of(t, &m, &arena, &head);
        assert_int_equal(fm_fault_end(), cases[i] != FM_OK);
        assert_int_equal(rc, cases[i]);
    }
    assert_true(fm_span_eq(head.offline_id, fm_span_str("o-1")));
    fm_arena_fini(&arena);
}

static void test_only_an_offline_id_within_its_limit_is_found_by(void **state)
{
    struct three *t = *state;
    char limit[FM_OFFLINE_ID_BYTES_MAX + 1], above[FM_OFFLINE_ID_BYTES_MAX + 2], text[200];
    memset(limit, 'l', sizeof limit - 1);
    memset(above, 'a', sizeof above - 1);
    limit[sizeof limit - 1] = above[sizeof above - 1] = '\0';
    const struct {
        const char *id;
        size_t len;
    } cases[] = {{"", 0}, {"o", 1}, {limit, sizeof limit - 1}, {above, 0}};
    for (uint8_t i = 0; i < 4; i++) {
        struct fm_head head;
        (void)snprintf(text, sizeof text, "{a:1,offlineId:\"%s\"}", cases[i].id);
        write_one(&t->a, FM_CREATE, (uint8_t)(10 + i), 1, NULL, text);
        assert_int_equal(fm_lab_end(&t->a), FM_OK);
        assert_int_equal(find_head(&t->a, (uint8_t)(10 + i), &head), FM_OK);
        assert_true(head.shown);
        assert_int_equal(head.offline_id.len, cases[i].len);
        if (head.offline_id.len > 0)
            assert_memory_equal(head.offline_id.data, cases[i].id, cases[i].len);
    }
    write_one(&t->a, FM_CREATE, 20, 1, NULL, "{a:1,offlineId:7}");
    assert_int_equal(fm_lab_end(&t->a), FM_OK);
    struct fm_head head;
    assert_int_equal(find_head(&t->a, 20, &head), FM_OK);
    assert_int_equal(head.offline_id.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_document_that_cannot_be_read_is_an_error),
        CASE(test_want_of_memory_is_an_error),
        CASE(test_only_an_offline_id_within_its_limit_is_found_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
