/* The core's step: what is refused at the envelope, our own sets, restart, and exchange between cores. */
#include "tests/support/lab_three.h"
#include "tests/support/no_memory.h"

static struct fm_head head_of(struct fm_lab_node *n, uint8_t record)
{
    struct fm_record_id id = fm_lab_record(record);
    struct fm_head head;
    const struct fm_port *port = fm_memory_port(n->store);
    assert_int_equal(port->head(port->ctx, FM_KIND_ASSESSMENT, &id, &n->arena, &head), 0);
    return head;
}

static uint64_t last_arrival(const struct fm_lab_node *n)
{
    uint64_t last;
    const struct fm_port *port = fm_memory_port(n->store);
    assert_int_equal(port->arrival_last(port->ctx, &last), 0);
    return last;
}

static struct fm_set_meta set_at(const struct fm_lab_node *n, uint64_t arrival)
{
    struct fm_set_meta meta;
    const struct fm_port *port = fm_memory_port(n->store);
    assert_int_equal(port->set_next(port->ctx, arrival, &meta), 0);
    assert_true(meta.arrival == arrival);
    return meta;
}

/* --- the envelope (rule 50) --- */

static void change_set(struct fm_lab_set *out, struct fm_lab_node *by, struct fm_set_header header)
{
    struct fm_buf item;
    struct fm_change change = fm_lab_change(by, FM_CREATE, 200, 1, NULL, "{a:1}");
    fm_buf_init(&item, 0);
    assert_int_equal(fm_change_encode(&item, &change), 0);
    struct fm_span items[1] = {fm_buf_span(&item)};
    fm_lab_set(out, &by->device, header, items, 1, NULL);
    fm_buf_fini(&item);
}

static void refuses(struct fm_lab_node *n, struct fm_span bytes, int error)
{
    struct fm_digest before[2], after[2];
    uint64_t last = last_arrival(n);
    int refused;
    fm_lab_digest(n, before);
    n->rows = 0;
    assert_int_equal(fm_lab_take(n, bytes, &refused), 0);
    assert_int_equal(refused, error);
    fm_lab_digest(n, after);
    assert_memory_equal(before, after, sizeof before);
    assert_true(last_arrival(n) == last);
    assert_true(n->rows == 0);
}

static void test_what_fails_at_the_envelope_is_refused_and_leaves_nothing(void **state)
{
    struct three *t = *state;
    struct fm_set_header good = {.stream = {.incarnation = 99, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_set_header header;
    struct fm_lab_set set;
    int refused;

    change_set(&set, &t->a, good);
    set.bytes.data[set.bytes.len - 1] ^= 1; /* in the signature */
    refuses(&t->b, fm_buf_span(&set.bytes), FM_ESIGNATURE);
    set.bytes.data[set.bytes.len - 1] ^= 1;
    set.bytes.data[set.bytes.len - 70] ^= 1; /* in the body */
    refuses(&t->b, fm_buf_span(&set.bytes), FM_EFORMAT);
    set.bytes.data[set.bytes.len - 70] ^= 1;
    refuses(&t->b, fm_span(set.bytes.data, set.bytes.len - 1), FM_EFORMAT);
    refuses(&t->b, fm_span("\x93", 1), FM_EFORMAT);
    refuses(&t->b, fm_span("", 0), FM_EFORMAT);
    refuses(&t->b, fm_span("\xc0", 1), FM_EFORMAT);
    assert_int_equal(fm_lab_take(&t->b, fm_buf_span(&set.bytes), &refused), 0);
    assert_int_equal(refused, 0);
    refuses(&t->b, fm_buf_span(&set.bytes), FM_EEXISTS);
    fm_lab_set_free(&set);

    header = good;
    header.grant = grant_of(&t->b); /* another's grant */
    change_set(&set, &t->a, header);
    refuses(&t->b, fm_buf_span(&set.bytes), FM_EGRANT);
    fm_lab_set_free(&set);
    header.has_grant = false; /* as if it were the root */
    change_set(&set, &t->a, header);
    refuses(&t->b, fm_buf_span(&set.bytes), FM_EGRANT);
    fm_lab_set_free(&set);
    header = good;
    header.sequence = 2;
    header.has_prev = true;
    change_set(&set, &t->a, header);
    refuses(&t->b, fm_buf_span(&set.bytes), FM_EORDER);
    fm_lab_set_free(&set);

    struct fm_lab_node foreign;
    fm_lab_open(&foreign, "foreign", 1);
    memset(&foreign.self.mesh, 0, sizeof foreign.self.mesh);
    assert_int_equal(fm_lab_restart(&foreign), 0);
    change_set(&set, &t->a, good);
    refuses(&foreign, fm_buf_span(&set.bytes), FM_EFOREIGN);
    memset(&foreign.self.mesh, 'x', sizeof foreign.self.mesh);
    assert_int_equal(fm_lab_restart(&foreign), 0);
    refuses(&foreign, fm_buf_span(&set.bytes), FM_EGRANT);
    fm_lab_set_free(&set);
    fm_lab_root_set(&set, &t->hub.device, keys); /* its author is known, but its id is another one in this mesh */
    refuses(&foreign, fm_buf_span(&set.bytes), FM_ESIGNATURE);
    fm_lab_set_free(&set);
    fm_lab_close(&foreign);
}

static void test_a_stream_has_so_many_branches_and_no_more(void **state)
{
    struct three *t = *state;
    struct fm_set_header header = {.stream = {.incarnation = 98, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_lab_set set;
    int refused;
    for (unsigned i = 0; i <= FM_STREAM_TIPS_MAX; i++) {
        header.time = (LAB_NOW + i) << 16;
        change_set(&set, &t->a, header);
        if (i == FM_STREAM_TIPS_MAX) {
            refuses(&t->b, fm_buf_span(&set.bytes), FM_ELIMIT);
        } else {
            assert_int_equal(fm_lab_take(&t->b, fm_buf_span(&set.bytes), &refused), 0);
            assert_int_equal(refused, 0);
        }
        fm_lab_set_free(&set);
    }
    header.stream.author = t->a.device.fake.author;
    const struct fm_stream_row *row = fm_vector_find(t->b.core->vector, &header.stream);
    assert_int_equal(row->tip_count, FM_STREAM_TIPS_MAX);
    assert_int_equal(row->fork_sequence, 1);
}

/* --- our own sets --- */

static void test_a_turn_is_one_set_and_what_is_in_it_is_seen_at_once(void **state)
{
    struct three *t = *state;
    struct fm_span document, actor;
    struct fm_version v;
    uint64_t before = last_arrival(&t->a);
    struct fm_version_id first = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1,offlineId:\"o-1\"}");
    struct fm_head head = head_of(&t->a, 1);
    assert_true(head.shown && fm_id_eq(&head.winner, &first));
    assert_true(fm_span_eq(head.offline_id, fm_span_str("o-1")));
    struct fm_version_id second = write_one(&t->a, FM_UPDATE, 1, 2, &first, "{a:2,offlineId:\"o-1\"}");
    head = head_of(&t->a, 1);
    assert_true(fm_id_eq(&head.winner, &second) && head.versions == 2 && head.open == 0);
    const struct fm_port *port = fm_memory_port(t->a.store);
    assert_int_equal(port->version_get(port->ctx, &second, &t->a.arena, &v), 0);
    assert_int_equal(fm_repl_document(t->a.core, &v, &document, &actor), 0); /* of the running turn */
    assert_true(fm_span_eq(actor, fm_span_str("operator")));
    assert_true(last_arrival(&t->a) == before);
    assert_int_equal(fm_lab_end(&t->a), 0);
    assert_true(last_arrival(&t->a) == before + 1);
    struct fm_set_meta meta = set_at(&t->a, before + 1);
    assert_int_equal(meta.change_count, 2);
    assert_int_equal(meta.verdict, FM_COUNTED);
    assert_int_equal(fm_repl_document(t->a.core, &v, &document, &actor), 0); /* of the log */
    assert_int_equal(fm_lab_end(&t->a), 0);
    assert_true(last_arrival(&t->a) == before + 1); /* an empty turn writes no set */
}

static void test_a_full_set_is_closed_and_the_next_one_follows_it(void **state)
{
    struct three *t = *state;
    uint64_t before = last_arrival(&t->a), recorded, at_hub;
    for (unsigned i = 0; i < FM_SET_CHANGES_MAX + 1; i++) {
        struct fm_change change = fm_lab_change(&t->a, FM_CREATE, 0, 1, NULL, "{a:1}");
        struct fm_version_id id;
        change.record.b[0] = (uint8_t)i;
        change.record.b[1] = (uint8_t)(i >> 8);
        assert_int_equal(fm_lab_write(&t->a, &change, &id), 0);
    }
    assert_int_equal(fm_lab_end(&t->a), 0);
    assert_true(last_arrival(&t->a) == before + 2);
    struct fm_set_meta full = set_at(&t->a, before + 1), rest = set_at(&t->a, before + 2);
    assert_int_equal(full.change_count, FM_SET_CHANGES_MAX);
    assert_int_equal(rest.change_count, 1);
    assert_true(rest.has_prev && fm_id_eq(&rest.prev, &full.id) && rest.time >= full.time + full.change_count);
    assert_int_equal(rest.changes_before, FM_SET_CHANGES_MAX);
    assert_int_equal(fm_repl_custody(t->a.core, &t->a.self.author, &recorded, &at_hub), 0);
    assert_true(recorded == FM_SET_CHANGES_MAX + 1 && at_hub == 0);
    fm_lab_exchange(&t->hub, &t->a, 0);
    assert_same_digests(&t->hub, &t->a);
}

static void test_a_set_by_bytes_stays_below_the_limit(void **state)
{
    struct three *t = *state;
    char *text = calloc(1, 70000);
    uint64_t before = last_arrival(&t->a);
    assert_non_null(text);
    memcpy(text, "{a:\"", 4);
    memset(text + 4, 'x', 16000);
    memcpy(text + 16004, "\"}", 2);
    for (uint8_t i = 0; i < 30; i++)
        write_one(&t->a, FM_CREATE, i, 1, NULL, text);
    assert_int_equal(fm_lab_end(&t->a), 0);
    assert_true(last_arrival(&t->a) == before + 3);
    for (uint64_t i = 1; i <= 3; i++)
        assert_true(set_at(&t->a, before + i).bytes <= FM_SET_BYTES_MAX);
    fm_lab_exchange(&t->hub, &t->a, 0);
    assert_same_digests(&t->hub, &t->a);
    free(text);
}

static void test_our_times_are_above_all_that_is_held_less_than_a_day_ahead(void **state)
{
    struct three *t = *state;
    t->b.now_ms = LAB_NOW + 3600000; /* an hour ahead */
    write_one(&t->b, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->b), 0);
    uint64_t theirs = set_at(&t->b, last_arrival(&t->b)).time, mine = last_arrival(&t->a);
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    assert_int_equal(fm_memory_port(t->b.store)->set_bytes(fm_memory_port(t->b.store)->ctx, last_arrival(&t->b), &bytes), 0);
    write_one(&t->a, FM_CREATE, 2, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_step(&t->a, (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&bytes)}), 0);
    assert_int_equal(t->a.taken, 0);
    write_one(&t->a, FM_CREATE, 3, 1, NULL, "{a:1}"); /* the same turn: another set, as its time must be later */
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_buf_fini(&bytes);
    assert_true(last_arrival(&t->a) == mine + 3 && set_at(&t->a, mine + 1).time < theirs);
    uint64_t ours = set_at(&t->a, mine + 3).time;
    assert_true(ours > theirs);
    t->b.now_ms = LAB_NOW + UINT64_C(25) * 3600000;
    write_one(&t->b, FM_CREATE, 4, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->b), 0);
    fm_lab_exchange(&t->a, &t->b, 0);
    assert_int_equal(fm_lab_restart(&t->a), 0); /* the clock is kept in the store */
    write_one(&t->a, FM_CREATE, 5, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    uint64_t next = set_at(&t->a, last_arrival(&t->a)).time;
    assert_true(next > ours && next < (LAB_NOW + UINT64_C(24) * 3600000) << 16);
}

static void test_a_new_core_on_the_store_continues(void **state)
{
    struct three *t = *state;
    struct fm_digest before[2], after[2];
    struct fm_version_id first = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_digest(&t->a, before);
    assert_int_equal(fm_lab_restart(&t->a), 0);
    fm_lab_digest(&t->a, after);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(fm_repl_role(t->a.core), FM_ROLE_CAMP);
    assert_int_equal(t->a.core->key_count, 1);
    write_one(&t->a, FM_UPDATE, 1, 2, &first, "{a:2}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    struct fm_set_meta last = set_at(&t->a, last_arrival(&t->a));
    assert_true(last.sequence == 2 && last.has_prev);
    fm_lab_exchange(&t->hub, &t->a, 5);
    assert_same_digests(&t->hub, &t->a);
    assert_int_equal(head_of(&t->hub, 1).versions, 2);
}

static void test_who_may_act(void **state)
{
    struct three *t = *state;
    struct fm_lab_node stranger;
    struct fm_version_id id;
    int refused;
    fm_lab_open(&stranger, "stranger", 14);
    struct fm_act *camp = fm_lab_grant(&stranger.device, FM_ROLE_CAMP, 9, keys);
    struct fm_act *high = fm_lab_grant(&stranger.device, FM_ROLE_COORDINATOR, 9, keys);
    struct fm_change change = fm_lab_change(&stranger, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_write(&stranger, &change, &id), FM_ENOTJOINED);
    assert_int_equal(fm_lab_act(&stranger, camp, &refused), 0);
    assert_int_equal(refused, FM_ENOTJOINED);
    assert_int_equal(fm_lab_act(&t->a, camp, &refused), 0);
    assert_int_equal(refused, FM_EROLE);
    assert_int_equal(fm_lab_act(&t->hub, high, &refused), 0); /* rule 55: the root's */
    assert_int_equal(refused, FM_EROLE);
    assert_false(fm_repl_admits(t->hub.core, &stranger.device.transport));
    t->hub.members_reports = 0;
    t->hub.taken = 1;
    assert_int_equal(fm_lab_step(&t->hub, (struct fm_event){.kind = FM_EVENT_ACT, .act = camp}), 0);
    assert_int_equal(t->hub.taken, 0);
    assert_int_equal(t->hub.members_reports, 1);
    assert_true(fm_repl_admits(t->hub.core, &stranger.device.transport)); /* at once, not at the turn's end */
    struct fm_set_meta meta = set_at(&t->hub, last_arrival(&t->hub));
    assert_true(fm_id_eq(&meta.id, &t->hub.taken_set));
    assert_int_equal(fm_lab_end(&t->hub), 0);
    fm_lab_exchange(&stranger, &t->hub, 3);
    assert_int_equal(fm_repl_role(stranger.core), FM_ROLE_CAMP);
    assert_int_equal(fm_lab_write(&stranger, &change, &id), 0);
    assert_int_equal(fm_lab_end(&stranger), 0);
    fm_lab_act_free(camp);
    fm_lab_act_free(high);
    fm_lab_close(&stranger);
}

/* --- exchange --- */

static void test_two_camps_and_any_order_give_the_same_digests(void **state)
{
    struct three *t = *state;
    struct fm_version_id base = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1,b:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->b, &t->a, 0);
    write_one(&t->a, FM_UPDATE, 1, 2, &base, "{a:2,b:1}");
    write_one(&t->a, FM_CREATE, 2, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    write_one(&t->b, FM_UPDATE, 1, 2, &base, "{a:3,b:1}");
    struct fm_version_id gone = write_one(&t->b, FM_CREATE, 3, 1, NULL, "{a:1,offlineId:\"o-3\"}");
    assert_int_equal(fm_lab_end(&t->b), 0);
    write_one(&t->b, FM_DELETE, 3, 2, &gone, "{id:\"x\"}");
    assert_int_equal(fm_lab_end(&t->b), 0);
    fm_lab_exchange(&t->b, &t->a, 0);
    fm_lab_exchange(&t->a, &t->b, 0);
    assert_same_digests(&t->a, &t->b);
    struct fm_head head = head_of(&t->a, 1);
    assert_true(head.open == 1 && head.versions == 3);
    head = head_of(&t->a, 3);
    assert_true(head.deleted && fm_span_eq(head.offline_id, fm_span_str("o-3"))); /* found by its offlineId all the same */
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fm_lab_node observer;
        fm_lab_open(&observer, "hub", 50); /* the hub's keys, an empty store */
        fm_lab_exchange(&observer, &t->a, seed);
        assert_same_digests(&observer, &t->a);
        assert_int_equal(head_of(&observer, 1).open, 1);
        fm_lab_close(&observer);
    }
}

static void test_a_child_waits_for_its_parent(void **state)
{
    struct three *t = *state;
    const struct fm_port *port = fm_memory_port(t->hub.store);
    struct fm_record_ref waiting[4];
    struct fm_buf bytes;
    size_t count;
    int refused;
    struct fm_version_id parent = write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    fm_lab_exchange(&t->b, &t->a, 0);
    write_one(&t->b, FM_UPDATE, 1, 2, &parent, "{a:2}");
    assert_int_equal(fm_lab_end(&t->b), 0);
    fm_buf_init(&bytes, 0);
    assert_int_equal(fm_memory_port(t->b.store)->set_bytes(fm_memory_port(t->b.store)->ctx, last_arrival(&t->b), &bytes), 0);
    assert_int_equal(fm_lab_take(&t->hub, fm_buf_span(&bytes), &refused), 0);
    assert_int_equal(refused, 0);
    assert_false(head_of(&t->hub, 1).shown);
    assert_int_equal(port->waits(port->ctx, &parent, waiting, 4, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(fm_lab_restart(&t->hub), 0);
    fm_lab_exchange(&t->hub, &t->a, 0);
    port = fm_memory_port(t->hub.store);
    assert_int_equal(port->waits(port->ctx, &parent, waiting, 4, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(head_of(&t->hub, 1).versions, 2);
    assert_same_digests(&t->hub, &t->b);
    fm_buf_fini(&bytes);
}

static void test_a_core_without_memory_is_none(void **state)
{
    struct three *t = *state;
    for (int64_t n = 0;; n++) {
        fm_fault_begin(n);
        struct fm_repl *core = fm_repl_new(&t->a.self, &t->a.device.crypto, fm_memory_port(t->a.store));
        bool hit = fm_fault_end();
        assert_int_equal(core == NULL, hit);
        fm_repl_free(core); /* NULL is nothing to free */
        if (!hit) {
            assert_true(n > 7);
            return;
        }
    }
}

static int lost_set(void *ctx, uint64_t arrival, struct fm_buf *out)
{
    (void)ctx, (void)arrival, (void)out;
    return FM_ENOTFOUND;
}

/* The index names a set with acts that the log has lost: no node starts on half of its members. */
static void test_a_store_that_lacks_what_its_index_names_is_damaged(void **state)
{
    struct three *t = *state;
    struct fm_port port = *fm_memory_port(t->hub.store);
    struct fm_event start = {.kind = FM_EVENT_START, .now_ms = LAB_NOW};
    port.set_bytes = lost_set;
    struct fm_repl *core = fm_repl_new(&t->hub.self, &t->hub.device.crypto, &port);
    assert_non_null(core);
    assert_int_equal(fm_repl_step(core, &start, &t->hub.sink), FM_ECORRUPT);
    fm_repl_free(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_fails_at_the_envelope_is_refused_and_leaves_nothing),
        CASE(test_a_stream_has_so_many_branches_and_no_more),
        CASE(test_a_turn_is_one_set_and_what_is_in_it_is_seen_at_once),
        CASE(test_a_full_set_is_closed_and_the_next_one_follows_it),
        CASE(test_a_set_by_bytes_stays_below_the_limit),
        CASE(test_our_times_are_above_all_that_is_held_less_than_a_day_ahead),
        CASE(test_a_new_core_on_the_store_continues),
        CASE(test_who_may_act),
        CASE(test_two_camps_and_any_order_give_the_same_digests),
        CASE(test_a_child_waits_for_its_parent),
        CASE(test_a_core_without_memory_is_none),
        CASE(test_a_store_that_lacks_what_its_index_names_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
