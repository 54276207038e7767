/* A turn's own sets under failures: begun, closed early, closed under another verdict than they were opened; and a core that
 * gets no memory at its birth. */
#include "tests/support/no_memory.h"
#include "tests/support/lab_faults.h"
#include "tests/support/text_doc.h"

static void test_a_core_without_memory_is_not_born(void **state)
{
    struct three *t = *state;
    int64_t n = 0;
    for (bool hit = true; hit; n++) {
        fm_fault_begin(n);
        struct fm_repl *core = fm_repl_new(&t->hub.self, &t->hub.device.crypto, fm_memory_port(t->hub.store));
        hit = fm_fault_end();
        assert_true((core == NULL) == hit); /* what it had got is given back: ASan looks */
        fm_repl_free(core);
    }
    assert_true(n > 8);
}

/* An entity of this name; the submission lies in the node's arena. */
static struct fm_event submitting(struct fm_lab_node *n, const char *document)
{
    struct fm_submission *s = fm_arena_take(&n->arena, sizeof *s);
    assert_non_null(s);
    *s = (struct fm_submission){.type = fm_span_str("entity"),
                                .action = fm_span_str("create"),
                                .data = fm_text_doc(&n->arena, document),
                                .actor = fm_span_str("operator")};
    return (struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = s};
}

/* What came in between is later than the set that is open: what follows goes into a second one. */
static void test_a_set_that_closes_early_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    t->a.now_ms = LAB_NOW + 3600 * 1000;
    write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    struct fm_event events[3] = {submitting(&t->hub, "{name:\"one\"}"), lab_taking(&t->hub, &t->a, lab_last(&t->a)),
                                 submitting(&t->hub, "{name:\"two\"}")};
    assert_true(lab_fails(&t->hub, events, 3) > 60);
    uint64_t before = lab_last(&t->hub);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fm_lab_step(&t->hub, events[i]), 0);
    assert_int_equal(fm_lab_end(&t->hub), 0);
    assert_int_equal(lab_last(&t->hub), before + 3);
    fm_lab_exchange(&t->b, &t->hub, 0);
    assert_same_digests(&t->hub, &t->b);
}

/* The root revokes the hub in the turn of the hub's own set, which so is closed as quarantined. */
static void test_our_own_revocation_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_lab_device root;
    struct fm_lab_set first, second;
    struct fm_buf item;
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    fm_lab_device(&root, "root");
    fm_lab_root_set(&first, &t->hub.device, keys);
    act->kind = FM_ACT_REVOKE;
    act->node = t->hub.self.author;
    fm_buf_init(&item, 0);
    assert_int_equal(fm_act_encode(&item, act), 0);
    struct fm_span items[1] = {fm_buf_span(&item)};
    struct fm_set_header header = {
        .stream.incarnation = 1, .sequence = 2, .has_prev = true, .prev = first.id, .time = (LAB_NOW << 16) + 9};
    fm_lab_set(&second, &root, header, items, 1, NULL);
    struct fm_event events[3] = {submitting(&t->hub, "{name:\"one\"}"),
                                 submitting(&t->hub, "{name:\"two\"}"),
                                 {.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&second.bytes)}};
    assert_true(lab_fails(&t->hub, events, 3) > 60);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fm_lab_step(&t->hub, events[i]), 0);
    assert_int_equal(fm_lab_end(&t->hub), 0);
    struct fm_set_meta meta;
    const struct fm_port *port = fm_memory_port(t->hub.store);
    assert_int_equal(port->set_next(port->ctx, lab_last(&t->hub) - 1, &meta), 0);
    assert_int_equal(meta.stream.lane, FM_LANE_RECORDS);
    assert_int_equal(meta.verdict, FM_QUARANTINED);
    assert_int_equal(fm_repl_role(t->hub.core), FM_ROLE_NONE);
    fm_lab_set_free(&first);
    fm_lab_set_free(&second);
    fm_buf_fini(&item);
    free(act);
}

/* An operator's revocation: its set of its own, and the folds of what it reaches. */
static void test_an_act_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    int refused;
    write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->hub, &t->a, 0);
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_REVOKE;
    act->node = t->a.self.author;
    struct fm_event event = {.kind = FM_EVENT_ACT, .act = act};
    assert_true(lab_fails(&t->hub, &event, 1) > 30);
    assert_int_equal(fm_lab_act(&t->hub, act, &refused), 0);
    assert_false(shown(&t->hub, 1));
    free(act);
}

/* What the camp planned is delivered at the hub, which looks into each version for an earlier delivery. */
static void test_turning_delivered_survives_a_failure_at_any_call(void **state)
{
    static const char text[] = "{entityId:\"0e000000-0000-4000-8000-000000000001\", status:\"PLANNED\", type:\"x\"}";
    struct three *t = *state;
    struct fm_version_id last;
    for (uint32_t number = 1; number <= 3; number++) {
        struct fm_change change =
            fm_lab_change(&t->a, number == 1 ? FM_CREATE : FM_UPDATE, 1, number, number == 1 ? NULL : &last, text);
        change.kind = FM_KIND_RESPONSE;
        assert_int_equal(fm_lab_write(&t->a, &change, &last), 0);
        assert_int_equal(fm_lab_end(&t->a), 0);
    }
    fm_lab_exchange(&t->hub, &t->a, 0);
    struct fm_submission s = {.type = fm_span_str("response"),
                              .action = fm_span_str("update"),
                              .has_version = true,
                              .version = 4,
                              .actor = fm_span_str("operator")};
    s.data = fm_text_doc(&t->hub.arena, "{id:\"07070707-0707-0707-0707-070707070701\", status:\"DELIVERED\"}");
    struct fm_event event = {.kind = FM_EVENT_SUBMIT, .submission = &s};
    assert_true(lab_fails(&t->hub, &event, 1) > 60);
    assert_int_equal(fm_lab_step(&t->hub, event), 0);
    assert_int_equal(fm_lab_end(&t->hub), 0);
    struct fm_head head;
    struct fm_record_id id = fm_lab_record(1);
    const struct fm_port *port = fm_memory_port(t->hub.store);
    assert_int_equal(port->head(port->ctx, FM_KIND_RESPONSE, &id, &t->hub.arena, &head), 0);
    assert_int_equal(head.number, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_core_without_memory_is_not_born), CASE(test_a_set_that_closes_early_survives_a_failure_at_any_call),
        CASE(test_our_own_revocation_survives_a_failure_at_any_call), CASE(test_an_act_survives_a_failure_at_any_call),
        CASE(test_turning_delivered_survives_a_failure_at_any_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
