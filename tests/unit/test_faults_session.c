/* A store that fails once, anywhere in a session: the step passes the error up, the node starts again from its last commit,
 * and the session that follows ends with both in step at the digests of a session without failure. */
#include "replication/error.h"
#include "replication/statement.h"
#include "tests/support/faults.h"
#include "tests/support/lab_three.h"
#include "tests/support/meeting.h"
#include "tests/support/no_memory.h"

/* The event on copies of what the node committed, with each of its calls failing once. */
static void fails_anywhere(const struct fm_lab_node *n, struct fm_event event)
{
    char why[200] = "";
    event.now_ms = LAB_NOW + 1000;
    event.steady_ms = n->events * 10;
    event.seed[0] = 77;
    size_t tried = fm_fault_try(&n->self, &n->device.crypto, n->saved, &event, why);
    if (why[0] != '\0' || (tried == 0 && !fm_fault_memory)) /* what is held already needs no memory */
        fail_msg("%s", why);
}

/* All that `from` holds, one by one: first with failures, then for good. */
static void take_all(struct fm_lab_node *to, const struct fm_lab_node *from)
{
    const struct fm_port *port = fm_memory_port(from->store);
    struct fm_set_meta set;
    int refused;
    for (uint64_t at = 1; port->set_next(port->ctx, at, &set) == FM_OK; at = set.arrival + 1) {
        struct fm_buf bytes;
        fm_buf_init(&bytes, 0);
        assert_int_equal(port->set_bytes(port->ctx, set.arrival, &bytes), FM_OK);
        fails_anywhere(to, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&bytes)});
        assert_int_equal(fm_lab_take(to, fm_buf_span(&bytes), &refused), FM_OK);
        fm_buf_fini(&bytes);
    }
}

/* Records, a conflict, a revocation that cuts, keys that come after what they open, START and the hub's own acts. */
static void test_taking_in_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_lab_node late;
    struct fm_lab_set fork;
    struct fm_version_id base = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1,b:1,offlineId:\"o\"}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->b, &t->a, 0);
    write_one(&t->a, FM_UPDATE, 1, 2, &base, "{a:2,b:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    write_one(&t->a, FM_CREATE, 2, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    write_one(&t->b, FM_UPDATE, 1, 2, &base, "{a:3,b:1}");
    assert_int_equal(fm_lab_end(&t->b), 0);
    take_all(&t->hub, &t->a);
    struct fm_set_header header = {.stream = {.incarnation = 12, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_span item = item_of(&t->a, 7, 1, "{a:1}");
    fm_lab_set(&fork, &t->a.device, header, &item, 1, NULL); /* A's stream has a second first set */
    fails_anywhere(&t->hub, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&fork.bytes)});
    take(&t->hub, &fork, 0);
    fm_lab_set_free(&fork);
    take_all(&t->b, &t->hub);
    revoke(t, 2);
    take_all(&t->b, &t->hub);
    take_all(&t->hub, &t->b);
    fails_anywhere(&t->hub, (struct fm_event){.kind = FM_EVENT_EPOCH, .number = 2});
    fm_lab_open(&late, "late", 15);
    fm_lab_join(&t->hub, &late, 4, NULL);
    take_all(&late, &t->hub); /* no key yet */
    struct fm_act *grant = fm_lab_grant(&late.device, FM_ROLE_CAMP, 5, keys);
    int refused;
    fails_anywhere(&t->hub, (struct fm_event){.kind = FM_EVENT_ACT, .act = grant});
    assert_int_equal(fm_lab_act(&t->hub, grant, &refused), 0);
    take_all(&late, &t->hub);
    struct fm_lab_node *all[] = {&t->hub, &t->b, &late};
    for (size_t i = 0; i < 3; i++)
        fails_anywhere(all[i], (struct fm_event){.kind = FM_EVENT_START});
    take_all(&t->b, &t->hub);
    assert_same_digests(&late, &t->hub);
    assert_same_digests(&t->b, &t->hub);
    fm_lab_act_free(grant);
    fm_lab_close(&late);
}

/* B holds records of A, some behind the cut of a revocation that the hub brings, and an edit that meets the hub's. */
static void test_a_session_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_version_id base = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1,b:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->hub, &t->a, 0);
    struct fm_version_id late = write_one(&t->a, FM_CREATE, 2, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->b, &t->a, 0);
    write_one(&t->b, FM_UPDATE, 2, 2, &late, "{a:2}");
    write_one(&t->b, FM_UPDATE, 1, 2, &base, "{a:2,b:1}");
    assert_int_equal(fm_lab_end(&t->b), 0);
    write_one(&t->hub, FM_UPDATE, 1, 2, &base, "{a:3,b:1}");
    assert_int_equal(fm_lab_end(&t->hub), 0);
    revoke(t, 1);
    assert_true(fm_meeting_try(&t->hub, &t->b) > 100);
}

/* A coordinator's receipt over what B wrote, then its notice. */
static void test_statements_survive_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_receipt_tip tip = {.sequence = 1};
    struct fm_stream stream = {.author = t->b.self.author, .incarnation = t->b.self.incarnation, .lane = 1};
    const struct fm_port *port = fm_memory_port(t->b.store);
    struct fm_set_meta set;
    size_t count;
    write_one(&t->b, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->b), 0);
    assert_int_equal(port->stream_sets(port->ctx, &stream, 1, &set, 1, &count), 0);
    fm_stream_hash_of(tip.stream, &t->hub.device.crypto, &stream);
    memcpy(tip.set, set.id.b, sizeof tip.set);
    for (uint8_t kind = FM_RECEIPT; kind <= FM_EPOCH_NOTICE; kind++) {
        struct fm_statement s = {
            .kind = kind, .author = t->hub.self.author, .grant = grant_of(&t->hub), .counter = 5, .epoch = 3};
        struct fm_buf bytes;
        uint64_t recorded, at_hub;
        int refused;
        fm_buf_init(&bytes, 0);
        assert_int_equal(fm_statement_sign(&bytes, &t->hub.device.crypto, &t->hub.self.mesh, &s, &tip, kind == FM_RECEIPT),
                         0);
        fails_anywhere(&t->b, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&bytes)});
        assert_int_equal(fm_lab_take(&t->b, fm_buf_span(&bytes), &refused), 0);
        assert_int_equal(refused, 0);
        assert_int_equal(fm_repl_custody(t->b.core, &t->b.self.author, &recorded, &at_hub), 0);
        assert_true(recorded == 1 && at_hub == 1);
        fm_buf_fini(&bytes);
    }
    assert_int_equal(fm_repl_epoch(t->b.core), 3);
    fails_anywhere(&t->b, (struct fm_event){.kind = FM_EVENT_START});
}

/* What is on the persisted list is folded by TICK; a crash between turns leaves it so. */
static void test_the_list_of_folds_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_version_id base = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    write_one(&t->a, FM_UPDATE, 1, 2, &base, "{a:2}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    struct fm_row row = {
        .kind = FM_ROW_TOUCH, .record_kind = FM_KIND_ASSESSMENT, .record = fm_lab_record(1), .present = true};
    assert_int_equal(fm_memory_apply(t->a.saved, &row), 0);
    fails_anywhere(&t->a, (struct fm_event){.kind = FM_EVENT_TICK});
    fails_anywhere(&t->a, (struct fm_event){.kind = FM_EVENT_START});
}

/* A set behind a cut is adopted, by its coordinator. */
static void test_an_adoption_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    int refused;
    write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->hub, &t->a, 0);
    revoke(t, 0);
    assert_false(shown(&t->hub, 1));
    const struct fm_port *port = fm_memory_port(t->hub.store);
    struct fm_stream stream = {.author = t->a.self.author, .incarnation = t->a.self.incarnation, .lane = 1};
    struct fm_set_meta set;
    size_t count;
    assert_int_equal(port->stream_sets(port->ctx, &stream, 1, &set, 1, &count), 0);
    assert_int_equal(count, 1);
    struct fm_act *adopt = calloc(1, sizeof *adopt);
    assert_non_null(adopt);
    adopt->kind = FM_ACT_ADOPT;
    adopt->adopt_count = 1;
    adopt->adopts[0] = (struct fm_adopted){.stream = set.stream, .sequence = set.sequence, .set = set.id};
    fails_anywhere(&t->hub, (struct fm_event){.kind = FM_EVENT_ACT, .act = adopt});
    assert_int_equal(fm_lab_act(&t->hub, adopt, &refused), 0);
    assert_int_equal(refused, 0);
    assert_true(shown(&t->hub, 1));
    free(adopt);
}

static void test_the_rest_survives_want_of_memory(void **state)
{
    fm_fault_memory = true;
    test_statements_survive_a_failure_at_any_call(state);
    test_the_list_of_folds_survives_a_failure_at_any_call(state);
    test_an_adoption_survives_a_failure_at_any_call(state);
    fm_fault_memory = false;
}

static void test_taking_in_survives_want_of_memory(void **state)
{
    fm_fault_memory = true;
    test_taking_in_survives_a_failure_at_any_call(state);
    fm_fault_memory = false;
}

static void test_a_session_survives_want_of_memory(void **state)
{
    fm_fault_memory = true;
    test_a_session_survives_a_failure_at_any_call(state);
    fm_fault_memory = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_statements_survive_a_failure_at_any_call),
                                       CASE(test_the_list_of_folds_survives_a_failure_at_any_call),
                                       CASE(test_an_adoption_survives_a_failure_at_any_call),
                                       CASE(test_the_rest_survives_want_of_memory),
                                       CASE(test_taking_in_survives_want_of_memory),
                                       CASE(test_a_session_survives_want_of_memory),
                                       CASE(test_taking_in_survives_a_failure_at_any_call),
                                       CASE(test_a_session_survives_a_failure_at_any_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
