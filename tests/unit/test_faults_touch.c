/* Folds under failures: waiting versions, strangers, the list of what is to be folded again, settling by policy. Each turn
 * passes the error up as it is, and what was committed comes to the same digest. */
#include "tests/support/no_memory.h"
#include "tests/support/lab_faults.h"
#include "replication/submit.h"

static struct fm_version_id write_set(struct fm_lab_node *n, uint8_t action, uint8_t record, uint32_t version,
                                      const struct fm_version_id *parent, const char *document)
{
    struct fm_version_id id = write_one(n, action, record, version, parent, document);
    assert_int_equal(fm_lab_end(n), 0);
    return id;
}

/* First tried with failures, then taken. */
static void take_tried(struct fm_lab_node *to, const struct fm_lab_node *from, uint64_t arrival)
{
    struct fm_event e = lab_taking(to, from, arrival);
    int refused;
    assert_true(lab_fails(to, &e, 1) > 10);
    assert_int_equal(fm_lab_take(to, e.bytes, &refused), 0);
    assert_int_equal(refused, 0);
}

/* B edits what the hub does not hold yet; another record names the same version for its parent. */
static void test_versions_that_wait_survive_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_version_id base = write_set(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    uint64_t base_at = lab_last(&t->a);
    fm_lab_exchange(&t->b, &t->a, 0);
    struct fm_version_id child = write_set(&t->b, FM_UPDATE, 1, 2, &base, "{a:2}");
    uint64_t child_at = lab_last(&t->b);
    write_set(&t->b, FM_UPDATE, 2, 2, &base, "{a:2}");
    uint64_t stranger_at = lab_last(&t->b);
    write_set(&t->b, FM_UPDATE, 3, 3, &child, "{a:3}");
    uint64_t second_at = lab_last(&t->b);
    take_tried(&t->hub, &t->b, child_at);
    take_tried(&t->hub, &t->b, stranger_at);
    take_tried(&t->hub, &t->b, second_at);
    assert_false(shown(&t->hub, 1));
    take_tried(&t->hub, &t->a, base_at);
    assert_true(shown(&t->hub, 1));
    assert_false(shown(&t->hub, 2) || shown(&t->hub, 3));
    assert_same_digests(&t->hub, &t->b);
}

static void touch_row(struct fm_memory *store, uint8_t record)
{
    struct fm_row row = {
        .kind = FM_ROW_TOUCH, .record_kind = FM_KIND_ASSESSMENT, .record = fm_lab_record(record), .present = true};
    assert_int_equal(fm_memory_apply(store, &row), 0);
}

/* The list as a revocation leaves it: records to fold again (one of which nothing is held), while a new one comes. */
static void test_the_list_of_folds_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_digest before[2], after[2];
    struct fm_version_id base = write_set(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1}");
    write_set(&t->hub, FM_UPDATE, 1, 2, &base, "{a:2}");
    write_set(&t->hub, FM_CREATE, 2, 1, NULL, "{a:1}");
    fm_lab_digest(&t->hub, before);
    struct fm_memory *listed = fm_memory_clone(t->hub.saved);
    for (uint8_t record = 1; record <= 3; record++)
        touch_row(listed, record);
    assert_true(lab_fails_on(&t->hub, listed, &(struct fm_event){.kind = FM_EVENT_TICK}, 1) > 10);
    write_set(&t->a, FM_CREATE, 9, 1, NULL, "{a:1}");
    struct fm_event e = lab_taking(&t->hub, &t->a, lab_last(&t->a));
    assert_true(lab_fails_on(&t->hub, listed, &e, 1) > 20);
    fm_memory_free(t->hub.store);
    fm_memory_free(t->hub.saved);
    t->hub.store = listed;
    t->hub.saved = fm_memory_clone(listed);
    assert_int_equal(fm_lab_restart(&t->hub), 0); /* the list is worked down at the turn's end */
    struct fm_record_ref left;
    size_t count = 1;
    const struct fm_port *port = fm_memory_port(t->hub.store);
    assert_int_equal(port->touched(port->ctx, &left, 1, &count), 0);
    assert_int_equal(count, 0);
    fm_lab_digest(&t->hub, after);
    assert_memory_equal(before, after, sizeof before);
    int refused;
    touch_row(t->hub.store, 1); /* and a new record that comes while the list is not empty */
    fm_repl_free(t->hub.core);
    t->hub.core = fm_repl_new(&t->hub.self, &t->hub.device.crypto, fm_memory_port(t->hub.store));
    assert_int_equal(fm_lab_step(&t->hub, (struct fm_event){.kind = FM_EVENT_START}), 0);
    assert_int_equal(fm_lab_take(&t->hub, e.bytes, &refused), 0);
    assert_true(shown(&t->hub, 9));
}

static void write_policy(struct fm_lab_node *n)
{
    static const char hex[] = "0123456789abcdef";
    char text[200], key[65] = "";
    struct fm_version_id id;
    for (size_t i = 0; i < FM_KEY_BYTES; i++) {
        key[2 * i] = hex[n->self.author.b[i] >> 4];
        key[2 * i + 1] = hex[n->self.author.b[i] & 15];
    }
    (void)snprintf(text, sizeof text, "{autoSettle:\"disjoint\", autoSettleNode:\"%s\"}", key);
    struct fm_change change = fm_lab_change(n, FM_CREATE, 0, 1, NULL, text);
    change.kind = FM_KIND_POLICY;
    fm_policy_id(n->core, &change.record);
    assert_int_equal(fm_lab_write(n, &change, &id), 0);
    assert_int_equal(fm_lab_end(n), 0);
}

/* Three heads from one parent and two records begun twice, all settled in one turn. */
static void test_settling_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_event events[4];
    write_policy(&t->hub);
    struct fm_version_id base = write_set(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1, verificationStatus:\"VERIFIED\"}");
    fm_lab_exchange(&t->a, &t->hub, 0);
    fm_lab_exchange(&t->b, &t->hub, 0);
    write_set(&t->hub, FM_UPDATE, 1, 2, &base, "{a:1, middle:1, verificationStatus:\"VERIFIED\"}");
    write_set(&t->a, FM_UPDATE, 1, 2, &base, "{a:1, left:1, verificationStatus:\"VERIFIED\"}");
    events[0] = lab_taking(&t->hub, &t->a, lab_last(&t->a));
    write_set(&t->a, FM_CREATE, 2, 1, NULL, "{left:1}");
    events[1] = lab_taking(&t->hub, &t->a, lab_last(&t->a));
    write_set(&t->b, FM_UPDATE, 1, 2, &base, "{a:1, right:1, verificationStatus:\"VERIFIED\"}");
    events[2] = lab_taking(&t->hub, &t->b, lab_last(&t->b));
    write_set(&t->b, FM_CREATE, 2, 1, NULL, "{right:1}");
    events[3] = lab_taking(&t->hub, &t->b, lab_last(&t->b));
    assert_true(lab_fails(&t->hub, events, 4) > 300);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fm_lab_step(&t->hub, events[i]), 0);
    assert_int_equal(fm_lab_end(&t->hub), 0);
    struct fm_head head;
    for (uint8_t record = 1; record <= 2; record++) {
        assert_int_equal(find_head(&t->hub, record, &head), 0);
        assert_int_equal(head.open, 0);
        assert_int_equal(head.number, record == 1 ? 3 : 2);
    }
    fm_lab_exchange(&t->b, &t->hub, 0);
    assert_same_digests(&t->b, &t->hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_versions_that_wait_survive_a_failure_at_any_call),
                                       CASE(test_the_list_of_folds_survives_a_failure_at_any_call),
                                       CASE(test_settling_survives_a_failure_at_any_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
