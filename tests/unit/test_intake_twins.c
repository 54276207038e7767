/* What sets share and what stands in them: one version in many sets of a forked stream, items that are nothing, acts that
 * are none, root sets that are not the root's to write. */
#include "tests/support/branch.h"
#include "tests/support/faults.h"
#include "tests/support/lost.h"
#include "tests/support/no_memory.h"

static struct fm_version twin_version(struct fm_lab_node *n, const struct branch *b)
{
    const struct fm_port *port = fm_memory_port(n->store);
    struct fm_record_id record = fm_lab_record(0);
    struct fm_version *versions;
    size_t count;
    fm_be_put(record.b + 4, b->record, 4);
    int rc = port->versions(port->ctx, FM_KIND_ASSESSMENT, &record, &n->arena, &versions, &count);
    assert_int_equal(rc, FM_OK);
    assert_int_equal(count, 1);
    return versions[0];
}

/* As many sets as a stream has branches hold the same version, and some of the other lane, which cannot make it count: they
 * have room only as long as the others leave some. A revocation reaches all of them. */
static void test_a_version_is_held_by_all_sets_that_may_make_it_count(void **state)
{
    enum { OTHERS = 3, SETS = FM_HOLDERS_MAX + OTHERS };
    struct three *t = *state;
    struct fm_lab_node *nodes[3] = {&t->hub, &t->b, &t->a};
    struct branch b[SETS];
    struct fm_lab_set sets[SETS];
    for (uint32_t i = 0; i < SETS; i++) {
        b[i] = branch_of(t, 95, i < OTHERS ? FM_LANE_MEMBERSHIP : FM_LANE_RECORDS);
        b[i].twin = 70000 + i;
        branch_next(t, &b[i], &sets[i]);
    }
    for (uint32_t i = 0; i < SETS; i++) {
        take(&t->hub, &sets[i], 0);          /* those of the other lane first */
        take(&t->b, &sets[SETS - 1 - i], 0); /* last */
    }
    for (uint32_t i = 1; i < SETS; i++) { /* one of them comes when there is no room, but others of them stand there still */
        take(&t->a, &sets[i], 0);
        if (i == FM_HOLDERS_MAX)
            take(&t->a, &sets[0], 0);
    }
    for (size_t n = 0; n < 3; n++) {
        struct fm_version v = twin_version(nodes[n], &b[0]);
        assert_int_equal(v.holder_count, FM_HOLDERS_MAX);
        for (uint32_t i = 0; i < FM_HOLDERS_MAX; i++)
            assert_true(v.holders[i].live && v.holders[i].counted);
        assert_true(v.counted);
        assert_same_digests(&t->hub, nodes[n]);
    }
    revoke(t, 0);
    for (size_t n = 0; n < 3; n++) {
        fm_lab_exchange(nodes[n], &t->hub, 0);
        struct fm_version v = twin_version(nodes[n], &b[0]);
        for (uint32_t i = 0; i < FM_HOLDERS_MAX; i++)
            assert_false(v.holders[i].counted);
        assert_false(v.counted);
        assert_int_equal(set_of(nodes[n], &sets[0]).verdict, FM_QUARANTINED); /* though it gave its place away */
        assert_same_digests(&t->hub, nodes[n]);
    }
    for (uint32_t i = 0; i < SETS; i++)
        fm_lab_set_free(&sets[i]);
}

static void test_a_twin_with_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct branch left = branch_of(t, 96, 1), right = left;
    struct fm_lab_set set;
    right.twin = 70000;
    branch_grow(t, &left, 1, &t->b, NULL);
    branch_next(t, &right, &set);
    for (int memory = 0; memory < 2; memory++) {
        struct fm_event event = {.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&set.bytes), .now_ms = LAB_NOW + 1000};
        char why[200] = "";
        fm_fault_memory = memory;
        size_t tried = fm_fault_try(&t->b.self, &t->b.device.crypto, t->b.saved, &event, why);
        fm_fault_memory = false;
        if (why[0] != '\0')
            fail_msg("%s", why);
        assert_true(tried > 10);
    }
    fm_lab_set_free(&set);
}

/* An item that is no list is nothing; the change beside it counts, until its author is revoked. */
static void test_an_item_that_is_nothing_is_nothing(void **state)
{
    struct three *t = *state;
    struct fm_set_header header = {.stream = {.incarnation = 97, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_span items[2] = {fm_span("\xc0", 1), item_of(&t->a, 1, 1, "{a:1}")};
    struct fm_lab_set set;
    fm_lab_set(&set, &t->a.device, header, items, 2, NULL);
    take(&t->b, &set, 0);
    take(&t->hub, &set, 0);
    assert_int_equal(set_of(&t->b, &set).verdict, FM_COUNTED);
    assert_true(shown(&t->b, 1));
    revoke(t, 0);
    fm_lab_exchange(&t->b, &t->hub, 0);
    assert_int_equal(set_of(&t->b, &set).verdict, FM_QUARANTINED);
    assert_false(shown(&t->b, 1));
    assert_same_digests(&t->b, &t->hub);
    fm_lab_set_free(&set);
}

/* An act that cannot be read is void alone. */
static void test_an_act_that_is_none_leaves_the_others(void **state)
{
    struct three *t = *state;
    struct fm_set_header header = {.stream = {.incarnation = 98, .lane = 0}, .has_grant = true, .grant = grant_of(&t->hub)};
    struct fm_lab_node guest;
    struct fm_lab_set set;
    struct fm_buf item;
    fm_lab_open(&guest, "guest", 1);
    struct fm_act *grant = fm_lab_grant(&guest.device, FM_ROLE_CAMP, 7, NULL);
    fm_buf_init(&item, 0);
    assert_int_equal(fm_act_encode(&item, grant), FM_OK);
    struct fm_span items[3] = {fm_span("\x91\xcc\x80", 3), fm_buf_span(&item), fm_span("\x92\xcc\xff\xc0", 4)};
    assert_int_equal(fm_item_kind(items[0]), FM_ACT_GRANT);
    fm_lab_set(&set, &t->hub.device, header, items, 3, NULL);
    take(&t->b, &set, 0);
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(set_of(&t->b, &set).verdict, FM_COUNTED);
        assert_non_null(fm_authority_grant(t->b.core->authority, &grant->grant.id));
        assert_int_equal(fm_lab_restart(&t->b), FM_OK);
    }
    fm_lab_set_free(&set);
    fm_buf_fini(&item);
    fm_lab_act_free(grant);
    fm_lab_close(&guest);
}

/* The root writes membership, and under no grant. */
static void test_root_sets_of_another_kind_are_under_no_grant(void **state)
{
    struct three *t = *state;
    struct fm_lab_device root;
    struct fm_span item = item_of(&t->hub, 1, 1, "{a:1}");
    fm_lab_device(&root, "root");
    for (int i = 0; i < 4; i++) {
        struct fm_set_header header = {
            .stream = {.incarnation = 100, .lane = (uint8_t)(i & 1)}, .has_grant = i >= 2, .grant = grant_of(&t->hub)};
        struct fm_lab_set set;
        fm_lab_set(&set, &root, header, &item, 1, NULL);
        take(&t->b, &set, i == 0 ? FM_OK : FM_EGRANT);
        fm_lab_set_free(&set);
    }
    assert_false(shown(&t->b, 1));
}

/* A set that is named and not in the log, or damaged there: told as such when its verdict changes, or its key comes. */
static void test_what_the_log_lacks_is_damage_when_it_is_needed(void **state)
{
    static const struct {
        int answer, error;
    } cases[] = {{FM_ENOTFOUND, FM_ECORRUPT}, {FM_OK /* cut short */, FM_ECORRUPT}, {FM_EIO, FM_EIO}};
    static const char *const more[] = {"k2", NULL};
    struct three *t = *state;
    struct fm_key key = fm_lab_key("k2");
    struct fm_set_header header = {.stream = {.incarnation = 12, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_span item = item_of(&t->a, 1, 1, "{a:1}");
    struct fm_lab_set clear, sealed;
    struct fm_buf bytes[2];
    int refused;
    uint64_t last;
    fm_lab_set(&clear, &t->a.device, header, &item, 1, NULL);
    header.stream.incarnation = 13;
    fm_lab_set(&sealed, &t->a.device, header, &item, 1, &key);
    take(&t->b, &clear, 0);
    take(&t->b, &sealed, 0);
    assert_int_equal(set_of(&t->b, &sealed).verdict, FM_UNREADABLE);
    const uint64_t arrivals[2] = {set_of(&t->b, &sealed).arrival, set_of(&t->b, &clear).arrival};
    const struct fm_port *port = fm_memory_port(t->hub.store);
    for (int i = 0; i < 2; i++) { /* the hub's set that brings the key; that which revokes A */
        struct fm_act *grant = fm_lab_grant(&t->b.device, FM_ROLE_CAMP, 9, more);
        if (i == 0)
            assert_int_equal(fm_lab_act(&t->hub, grant, &refused), FM_OK);
        else
            revoke(t, 0);
        fm_lab_act_free(grant);
        fm_buf_init(&bytes[i], 0);
        assert_int_equal(port->arrival_last(port->ctx, &last), FM_OK);
        assert_int_equal(port->set_bytes(port->ctx, last, &bytes[i]), FM_OK);
    }
    for (int what = 0; what < 2; what++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            assert_int_equal(fm_lab_restart(&t->b), FM_OK); /* nothing is opened */
            lost_open(&t->b);
            lost.bytes = arrivals[what];
            lost.answer = cases[i].answer;
            assert_int_equal(fm_lab_take(&t->b, fm_buf_span(&bytes[what]), &refused), cases[i].error);
            assert_int_equal(fm_lab_crash(&t->b), FM_OK);
        }
        assert_int_equal(fm_lab_take(&t->b, fm_buf_span(&bytes[what]), &refused), FM_OK); /* repaired */
        assert_int_equal(refused, FM_OK);
        fm_buf_fini(&bytes[what]);
    }
    assert_int_equal(set_of(&t->b, &sealed).verdict, FM_QUARANTINED);
    assert_int_equal(set_of(&t->b, &clear).verdict, FM_QUARANTINED);
    fm_lab_set_free(&clear);
    fm_lab_set_free(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_version_is_held_by_all_sets_that_may_make_it_count),
        CASE(test_a_twin_with_a_failure_at_any_call),
        CASE(test_an_item_that_is_nothing_is_nothing),
        CASE(test_an_act_that_is_none_leaves_the_others),
        CASE(test_root_sets_of_another_kind_are_under_no_grant),
        CASE(test_what_the_log_lacks_is_damage_when_it_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
