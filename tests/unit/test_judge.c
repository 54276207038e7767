/* Verdicts judged again: forks, revocations in any order, and the to-do list of folds. */
#include "tests/support/lab_three.h"

/* --- forks --- */

static void test_twins_of_a_fork_hold_one_version(void **state)
{
    struct three *t = *state;
    struct fm_set_header header = {.stream = {.incarnation = 99, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_span items[2] = {item_of(&t->a, 1, 1, "{a:1}"), item_of(&t->a, 2, 1, "{a:1}")};
    struct fm_span other[2] = {items[0], item_of(&t->a, 3, 1, "{a:1}")};
    struct fm_lab_set x, y;
    struct fm_version *versions;
    size_t count;
    fm_lab_set(&x, &t->a.device, header, items, 2, NULL);
    fm_lab_set(&y, &t->a.device, header, other, 2, NULL);
    take(&t->b, &x, 0);
    take(&t->b, &y, 0);
    take(&t->hub, &y, 0);
    take(&t->hub, &x, 0);
    const struct fm_port *port = fm_memory_port(t->b.store);
    struct fm_record_id record = fm_lab_record(1);
    assert_int_equal(port->versions(port->ctx, FM_KIND_ASSESSMENT, &record, &t->b.arena, &versions, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(versions[0].holder_count, 2);
    assert_true(shown(&t->b, 1) && shown(&t->b, 2) && shown(&t->b, 3));
    const struct fm_stream_row *row = fm_vector_find(t->b.core->vector, &x.header.stream);
    assert_int_equal(row->tip_count, 2);
    assert_int_equal(row->fork_sequence, 1);
    assert_same_digests(&t->hub, &t->b);
    fm_lab_set_free(&x);
    fm_lab_set_free(&y);
}

/* --- revocation --- */

static void test_a_revocation_decides_alike_before_and_after_what_it_cuts(void **state)
{
    struct three *t = *state;
    struct fm_lab_node observer;
    struct fm_version_id id;
    for (uint8_t i = 1; i <= 4; i++) {
        write_one(&t->a, FM_CREATE, i, 1, NULL, "{a:1}");
        assert_int_equal(fm_lab_end(&t->a), 0);
    }
    revoke(t, 2); /* the hub holds none of these sets yet */
    fm_lab_exchange(&t->hub, &t->a, 0);
    fm_lab_exchange(&t->a, &t->hub, 0); /* the revoked node learns of it last */
    assert_same_digests(&t->a, &t->hub);
    for (uint8_t i = 1; i <= 4; i++)
        assert_int_equal(shown(&t->a, i), i <= 2);
    struct fm_change change = fm_lab_change(&t->a, FM_CREATE, 9, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_write(&t->a, &change, &id), FM_ENOTJOINED);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        fm_lab_open(&observer, "hub", 50);
        fm_lab_exchange(&observer, &t->a, seed);
        assert_same_digests(&observer, &t->a);
        assert_int_equal(fm_lab_restart(&observer), 0);
        assert_same_digests(&observer, &t->a);
        fm_lab_close(&observer);
    }
}

static unsigned looks;
static int (*look)(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                   struct fm_set_meta *out);
static int counted_look(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                        struct fm_set_meta *out)
{
    looks++;
    return look(ctx, stream, sequence, id, out);
}

/* Two branches from the first set on; the cut names the tip of one. A walk for each set would be 200 * 200 / 2 looks. */
static void test_a_long_fork_is_judged_in_time_that_grows_with_its_length(void **state)
{
    struct three *t = *state;
    enum { LENGTH = 200 };
    struct fm_set_header header = {.stream = {.incarnation = 12, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_lab_set set, other;
    int refused;
    struct fm_span item = item_of(&t->a, 1, 1, "{a:1}");
    header.time = 5;
    fm_lab_set(&other, &t->a.device, header, &item, 1, NULL);
    for (unsigned i = 1; i <= LENGTH; i++) {
        item = item_of(&t->a, (uint8_t)i, 1, "{a:1}");
        header.sequence = i;
        header.has_prev = i > 1;
        header.time = 6;
        fm_lab_set(&set, &t->a.device, header, &item, 1, NULL);
        header.prev = set.id;
        take(&t->hub, &set, 0);
        if (i < LENGTH)
            fm_lab_set_free(&set);
    }
    take(&t->hub, &other, 0);
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_REVOKE;
    act->node = t->a.self.author;
    act->cut_count = 1;
    act->cuts[0] = (struct fm_cut){.incarnation = 12, .lane = 1, .sequence = LENGTH, .set = set.id};
    struct fm_port counting = *t->hub.core->port;
    look = counting.set_get;
    counting.set_get = counted_look;
    t->hub.core->port = &counting;
    looks = 0;
    assert_int_equal(fm_lab_act(&t->hub, act, &refused), 0);
    assert_int_equal(refused, 0);
    assert_true(looks > LENGTH && looks < 4 * LENGTH);
    assert_int_equal(set_of(&t->hub, &set).verdict, FM_COUNTED);
    assert_int_equal(set_of(&t->hub, &other).verdict, FM_QUARANTINED);
    assert_true(shown(&t->hub, 1) && shown(&t->hub, LENGTH));
    assert_int_equal(fm_lab_restart(&t->hub), 0); /* the port that counts is gone */
    free(act);
    fm_lab_set_free(&set);
    fm_lab_set_free(&other);
}

static void test_a_revocation_in_the_turn_of_our_own_set_reaches_it(void **state)
{
    struct three *t = *state;
    struct fm_buf bytes;
    int refused;
    write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    revoke(t, 0);
    uint64_t last;
    const struct fm_port *port = fm_memory_port(t->hub.store);
    assert_int_equal(port->arrival_last(port->ctx, &last), 0);
    fm_buf_init(&bytes, 0);
    assert_int_equal(port->set_bytes(port->ctx, last, &bytes), 0);
    assert_true(shown(&t->a, 1));
    assert_int_equal(fm_lab_take(&t->a, fm_buf_span(&bytes), &refused), 0);
    assert_int_equal(refused, 0);
    assert_false(shown(&t->a, 1));
    fm_lab_exchange(&t->hub, &t->a, 0);
    assert_same_digests(&t->hub, &t->a);
    fm_buf_fini(&bytes);
}

static void test_more_records_than_a_turn_folds_are_a_list_worked_down(void **state)
{
    struct three *t = *state;
    struct fm_lab_node observer;
    struct fm_digest digests[2];
    struct fm_buf bytes;
    uint64_t last;
    int refused;
    for (unsigned i = 0; i < FM_FOLDS_PER_TURN_MAX + 1000; i++) {
        struct fm_change change = fm_lab_change(&t->a, FM_CREATE, 0, 1, NULL, "{a:1}");
        struct fm_version_id id;
        fm_be_put(change.record.b, i, 4);
        assert_int_equal(fm_lab_write(&t->a, &change, &id), 0);
        fm_arena_reset(&t->a.arena);
    }
    assert_int_equal(fm_lab_end(&t->a), 0);
    revoke(t, 0);
    const struct fm_port *port = fm_memory_port(t->hub.store);
    assert_int_equal(port->arrival_last(port->ctx, &last), 0);
    fm_buf_init(&bytes, 0);
    assert_int_equal(port->set_bytes(port->ctx, last, &bytes), 0);
    assert_int_equal(fm_lab_take(&t->a, fm_buf_span(&bytes), &refused), 0);
    assert_int_equal(fm_repl_digest(t->a.core, &digests[0], &digests[1]), FM_EBUSY);
    assert_int_equal(fm_lab_restart(&t->a), 0); /* the list outlives the core; this turn's end works on it already */
    fm_lab_open(&observer, "hub", 50);
    fm_lab_exchange(&observer, &t->hub, 0); /* the revocation first */
    fm_lab_exchange(&observer, &t->a, 0);
    assert_same_digests(&observer, &t->a);
    fm_lab_close(&observer);
    fm_buf_fini(&bytes);
}

/* --- upgrades --- */

#define KIND_NEW (FM_KIND_LAST + 1)

static void check_new_kind(struct fm_lab_node *n, uint8_t status, bool counted)
{
    const struct fm_port *port = fm_memory_port(n->store);
    struct fm_record_id record = fm_lab_record(1);
    struct fm_version *versions;
    size_t count;
    assert_int_equal(port->versions(port->ctx, KIND_NEW, &record, &n->arena, &versions, &count), 0);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(versions[i].status, status);
        assert_int_equal(versions[i].counted, counted);
    }
}

/* An unknown kind is kept and handed on; a program that knows it counts it, and after a reindex all
 * is as if it had always known it. */
static void test_a_later_program_counts_what_this_one_lists_as_unknown(void **state)
{
    struct three *t = *state;
    struct fm_lab_node later;
    struct fm_version_id id;
    struct fm_digest old[2], new[2];
    struct fm_event event = {.now_ms = LAB_NOW};
    uint64_t from = 0;
    for (uint32_t version = 1; version <= 2; version++) {
        struct fm_change change =
            fm_lab_change(&t->a, version == 1 ? FM_CREATE : FM_UPDATE, 1, version, version == 1 ? NULL : &id, "{a:1}");
        change.kind = KIND_NEW;
        assert_int_equal(fm_lab_write(&t->a, &change, &id), 0);
        assert_int_equal(fm_lab_end(&t->a), 0);
    }
    fm_lab_exchange(&t->hub, &t->a, 0);
    assert_same_digests(&t->hub, &t->a);
    check_new_kind(&t->hub, FM_UNKNOWN, false);

    fm_lab_open(&later, "hub", 50);
    later.self.kind_last = KIND_NEW;
    assert_int_equal(fm_lab_restart(&later), 0);
    fm_lab_exchange(&later, &t->hub, 3);
    check_new_kind(&later, FM_VALID, true);
    fm_lab_digest(&t->hub, old);
    fm_lab_digest(&later, new);
    assert_memory_equal(&old[0], &new[0], sizeof old[0]);
    assert_memory_not_equal(&old[1], &new[1], sizeof old[1]);

    t->hub.self.kind_last = KIND_NEW;
    fm_repl_free(t->hub.core);
    t->hub.core = fm_repl_new(&t->hub.self, &t->hub.device.crypto, fm_memory_port(t->hub.store));
    fm_memory_clear_derived(t->hub.store);
    do
        assert_int_equal(fm_repl_reindex(t->hub.core, &event, &t->hub.sink, &from, 1), 0);
    while (from != 0);
    assert_int_equal(fm_lab_restart(&t->hub), 0);
    assert_same_digests(&t->hub, &later);
    fm_lab_close(&later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_long_fork_is_judged_in_time_that_grows_with_its_length),
        CASE(test_twins_of_a_fork_hold_one_version),
        CASE(test_a_revocation_decides_alike_before_and_after_what_it_cuts),
        CASE(test_a_revocation_in_the_turn_of_our_own_set_reaches_it),
        CASE(test_more_records_than_a_turn_folds_are_a_list_worked_down),
        CASE(test_a_later_program_counts_what_this_one_lists_as_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
