/* Who is connected: numbers that are used again or are none, as many peers as there may be, silence, and what happens to a
 * session between two messages of one turn. And a failure at any call while sessions begin and end. */
#include "tests/support/no_memory.h"
#include "tests/support/lab_faults.h"
#include "replication/session.h"

/* What a node sent, and whom it dropped. */
struct watch {
    struct fm_sink sink;
    struct fm_lab_node *n;
    struct fm_span sent[64];
    size_t sends, drops;
    uint32_t conn; /* of the last drop */
    const char *reason;
};

static int watching(void *ctx, const struct fm_action *action)
{
    struct watch *w = ctx;
    if (action->kind == FM_DO_SEND) {
        assert_true(w->sends < 64);
        w->sent[w->sends++] = fm_span(fm_arena_copy(&w->n->arena, action->bytes), action->bytes.len);
    }
    if (action->kind == FM_DO_DROP) {
        w->drops++;
        w->conn = action->conn;
        w->reason = action->reason;
    }
    return action->kind == FM_DO_ROW || action->kind == FM_DO_REPORT ? w->sink.act(w->sink.ctx, action) : 0;
}

static void watch(struct watch *w, struct fm_lab_node *n)
{
    *w = (struct watch){.sink = n->sink, .n = n};
    n->sink = (struct fm_sink){.ctx = w, .act = watching};
}

static void unwatch(struct watch *w)
{
    w->n->sink = w->sink;
}

static uint8_t kind_of(struct fm_span message)
{
    return message.data[1];
}

static struct fm_event up(uint32_t conn, const struct fm_key *transport, bool initiator)
{
    return (struct fm_event){.kind = FM_EVENT_PEER_UP, .conn = conn, .transport = *transport, .initiator = initiator};
}

static struct fm_event message(uint32_t conn, struct fm_span bytes)
{
    return (struct fm_event){.kind = FM_EVENT_RECEIVE, .conn = conn, .bytes = bytes};
}

static void step(struct fm_lab_node *n, struct fm_event event)
{
    assert_int_equal(fm_lab_step(n, event), 0);
}

static void pass(struct fm_lab_node *n, uint64_t ms)
{
    n->events += ms / 10; /* the lab's steady clock */
}

/* The HELLO that this node opens a session with; it lies in its arena. */
static struct fm_span hello_of(struct fm_lab_node *n, const struct fm_lab_node *to)
{
    struct watch w;
    watch(&w, n);
    step(n, up(77, &to->self.transport, true));
    assert_int_equal(fm_lab_end(n), 0);
    assert_int_equal(w.sends, 1);
    assert_int_equal(kind_of(w.sent[0]), FM_MSG_HELLO);
    step(n, (struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = 77});
    assert_int_equal(fm_lab_end(n), 0);
    unwatch(&w);
    return w.sent[0];
}

static void test_numbers_of_no_connection_are_nothing(void **state)
{
    struct three *t = *state;
    struct watch w;
    static const uint8_t ping[] = {0x91, FM_MSG_PING};
    watch(&w, &t->hub);
    uint64_t rows = t->hub.rows;
    for (int up_before = 0; up_before < 2; up_before++) {
        if (up_before == 1)
            step(&t->hub, up(1, &t->a.self.transport, false));
        step(&t->hub, message(99, fm_span(ping, sizeof ping)));
        step(&t->hub, (struct fm_event){.kind = FM_EVENT_SYNC, .conn = 99});
        step(&t->hub, (struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = 99});
        assert_int_equal(fm_repl_peer_count(t->hub.core), (size_t)up_before);
    }
    assert_true(w.drops == 0 && w.sends == 0 && t->hub.rows == rows);
    unwatch(&w);
}

static void test_a_number_that_is_used_again_is_the_new_peer(void **state)
{
    struct three *t = *state;
    struct fm_peer_info info;
    struct watch w;
    watch(&w, &t->hub);
    step(&t->hub, up(1, &t->a.self.transport, false));
    step(&t->hub, up(1, &t->b.self.transport, false));
    assert_int_equal(fm_repl_peer_count(t->hub.core), 1);
    fm_repl_peer(t->hub.core, 0, &info);
    assert_memory_equal(&info.author, &t->b.self.author, sizeof info.author);
    assert_int_equal(w.drops, 0); /* the shell knows that the older one is gone */
    unwatch(&w);
}

static void test_no_more_peers_than_there_may_be(void **state)
{
    struct three *t = *state;
    struct fm_lab_device *devices = calloc(FM_PEERS_MAX + 1, sizeof *devices);
    struct watch w;
    int refused;
    assert_non_null(devices);
    watch(&w, &t->hub);
    for (uint32_t i = 0; i <= FM_PEERS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "peer %u", i);
        fm_lab_device(&devices[i], name);
        struct fm_act *grant = fm_lab_grant(&devices[i], FM_ROLE_CAMP, 10 + i, NULL);
        assert_int_equal(fm_lab_act(&t->hub, grant, &refused), 0);
        assert_int_equal(refused, 0);
        fm_lab_act_free(grant);
        step(&t->hub, up(100 + i, &devices[i].transport, false));
        assert_int_equal(fm_repl_peer_count(t->hub.core), i < FM_PEERS_MAX ? i + 1 : FM_PEERS_MAX);
        assert_int_equal(w.drops, i == FM_PEERS_MAX);
    }
    assert_string_equal(w.reason, "too-many-peers");
    assert_int_equal(w.conn, 100 + FM_PEERS_MAX);
    step(&t->hub, up(900, &devices[3].transport, false)); /* one that is connected may come again */
    assert_string_equal(w.reason, "replaced");
    assert_int_equal(w.conn, 103);
    assert_int_equal(fm_repl_peer_count(t->hub.core), FM_PEERS_MAX);
    unwatch(&w);
    free(devices);
}

/* Opened from both sides: at the same time the lower key's stays; later the newer one, whoever opened it. */
static void test_a_later_connection_from_the_other_side_replaces(void **state)
{
    struct three *t = *state;
    struct watch w;
    bool lower = fm_id_cmp(&t->hub.self.transport, &t->a.self.transport) < 0;
    watch(&w, &t->hub);
    step(&t->hub, up(1, &t->a.self.transport, lower));
    step(&t->hub, up(2, &t->a.self.transport, !lower));
    assert_int_equal(w.conn, 2);
    assert_string_equal(w.reason, "replaced");
    pass(&t->hub, FM_TWIN_MS);
    step(&t->hub, up(3, &t->a.self.transport, !lower));
    assert_int_equal(w.conn, 1);
    assert_string_equal(w.reason, "replaced");
    assert_int_equal(fm_repl_peer_count(t->hub.core), 1);
    unwatch(&w);
}

static void test_a_peer_may_leave_before_it_greets(void **state)
{
    static const uint8_t bye[] = {0x92, FM_MSG_BYE, 0xa3, 'e', 'n', 'd'};
    struct three *t = *state;
    struct watch w;
    watch(&w, &t->hub);
    step(&t->hub, up(1, &t->a.self.transport, false));
    step(&t->hub, message(1, fm_span(bye, sizeof bye)));
    assert_string_equal(w.reason, "bye");
    assert_int_equal(w.sends, 0);
    unwatch(&w);
}

/* The revocation stands in the turn already; the next message of the peer comes before its end. */
static void test_a_message_after_the_revocation_of_its_turn(void **state)
{
    struct three *t = *state;
    struct watch w;
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_REVOKE;
    act->node = t->a.self.author;
    struct fm_span hello = hello_of(&t->a, &t->hub);
    watch(&w, &t->hub);
    step(&t->hub, up(1, &t->a.self.transport, false));
    step(&t->hub, message(1, hello));
    assert_int_equal(fm_lab_end(&t->hub), 0);
    size_t sent = w.sends;
    step(&t->hub, (struct fm_event){.kind = FM_EVENT_ACT, .act = act});
    assert_int_equal(w.drops, 0);
    step(&t->hub, message(1, hello));
    assert_int_equal(w.drops, 1);
    assert_string_equal(w.reason, "peer-revoked");
    assert_int_equal(kind_of(w.sent[sent]), FM_MSG_BYE); /* it was greeted, so it learns why */
    unwatch(&w);
    free(act);
}

/* A peer that only asks whether we are there, and never goes on with its round. */
static void test_a_round_that_stands_still_is_ended(void **state)
{
    static const uint8_t ping[] = {0x91, FM_MSG_PING};
    struct three *t = *state;
    struct watch w;
    write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    struct fm_span hello = hello_of(&t->a, &t->hub);
    watch(&w, &t->hub);
    step(&t->hub, up(1, &t->a.self.transport, false));
    step(&t->hub, message(1, hello));
    assert_int_equal(fm_lab_end(&t->hub), 0);
    for (uint64_t ms = 0; ms < FM_STALL_MS; ms += FM_SESSION_PING_MS) {
        assert_int_equal(w.drops, 0);
        pass(&t->hub, FM_SESSION_PING_MS);
        step(&t->hub, message(1, fm_span(ping, sizeof ping)));
        step(&t->hub, (struct fm_event){.kind = FM_EVENT_TICK});
    }
    assert_string_equal(w.reason, "stalled");
    assert_int_not_equal(kind_of(w.sent[w.sends - 1]), FM_MSG_BYE); /* who does not move does not learn why */
    unwatch(&w);
}

/* Our question stands once, however often a TICK comes before the answer or the end. */
static void test_one_question_at_a_time(void **state)
{
    struct three *t = *state;
    struct watch w;
    unsigned pings = 0;
    struct fm_span hello = hello_of(&t->a, &t->hub);
    watch(&w, &t->hub);
    step(&t->hub, up(1, &t->a.self.transport, false));
    step(&t->hub, message(1, hello));
    assert_int_equal(fm_lab_end(&t->hub), 0);
    for (uint64_t ms = 0; ms + 2000 < FM_SESSION_IDLE_MS; ms += 1000) {
        pass(&t->hub, 1000);
        step(&t->hub, (struct fm_event){.kind = FM_EVENT_TICK});
    }
    for (size_t i = 0; i < w.sends; i++)
        pings += kind_of(w.sent[i]) == FM_MSG_PING;
    assert_int_equal(pings, 1);
    assert_int_equal(w.drops, 0);
    unwatch(&w);
}

/* HELLO of a new round and HAVE in one turn: the round opens, and our HELLO still goes out. */
static void test_hello_and_have_in_one_turn(void **state)
{
    static const uint8_t have[] = {0x93, FM_MSG_HAVE, 0x90, 0xc3};
    struct three *t = *state;
    struct watch w;
    struct fm_span hello = hello_of(&t->a, &t->hub);
    watch(&w, &t->hub);
    step(&t->hub, up(1, &t->a.self.transport, false));
    step(&t->hub, message(1, hello));
    step(&t->hub, message(1, fm_span(have, sizeof have)));
    assert_int_equal(fm_lab_end(&t->hub), 0);
    assert_int_equal(w.drops, 0);
    assert_true(w.sends > 0);
    assert_int_equal(kind_of(w.sent[0]), FM_MSG_HELLO);
    unwatch(&w);
}

/* The decoders' first look: another kind of message is none of theirs. */
static void test_a_message_of_another_kind(void **state)
{
    static const uint8_t ping[] = {0x91, FM_MSG_PING};
    struct fm_walk w;
    (void)state;
    assert_int_equal(fm_message_open(&w, fm_span(ping, sizeof ping), FM_MSG_PING, 1), 0);
    assert_int_equal(fm_message_open(&w, fm_span(ping, sizeof ping), FM_MSG_PONG, 1), FM_EFORMAT);
    assert_int_equal(fm_message_open(&w, fm_span(ping, sizeof ping), FM_MSG_PING, 2), FM_EFORMAT);
}

/* Begun, replaced, revoked, silent: each such turn with a failure at any call. */
static void test_sessions_begin_and_end_with_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_REVOKE;
    act->node = t->a.self.author;
    write_one(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->a), 0);
    struct fm_span hello = hello_of(&t->a, &t->hub);
    struct fm_event taking = lab_taking(&t->hub, &t->a, lab_last(&t->a));
    struct fm_event first = up(1, &t->a.self.transport, false), other = up(2, &t->b.self.transport, false);
    struct fm_event greeted[] = {first, message(1, hello), other, {.kind = FM_EVENT_ACT, .act = act}};
    struct fm_event dropped[] = {first, message(1, hello), {.kind = FM_EVENT_ACT, .act = act}, message(1, hello)};
    struct fm_event replaced[] = {first, message(1, hello), up(3, &t->a.self.transport, false), taking};
    struct fm_event silent[] = {first, message(1, hello), {.kind = FM_EVENT_TICK, .steady_ms = UINT64_C(1) << 40}};
    struct fm_event asked[] = {first, message(1, hello), {.kind = FM_EVENT_TICK}};
    asked[2].steady_ms = t->hub.events * 10 + FM_SESSION_PING_MS + 1;
    assert_true(lab_fails(&t->hub, greeted, 4) > 20);
    assert_true(lab_fails(&t->hub, dropped, 4) > 20);
    assert_true(lab_fails(&t->hub, replaced, 4) > 20);
    assert_true(lab_fails(&t->hub, silent, 3) > 2);
    assert_true(lab_fails(&t->hub, asked, 3) > 2);
    free(act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_numbers_of_no_connection_are_nothing),
        CASE(test_a_number_that_is_used_again_is_the_new_peer),
        CASE(test_no_more_peers_than_there_may_be),
        CASE(test_a_later_connection_from_the_other_side_replaces),
        CASE(test_a_peer_may_leave_before_it_greets),
        CASE(test_a_message_after_the_revocation_of_its_turn),
        CASE(test_a_round_that_stands_still_is_ended),
        CASE(test_one_question_at_a_time),
        CASE(test_hello_and_have_in_one_turn),
        CASE(test_a_message_of_another_kind),
        CASE(test_sessions_begin_and_end_with_a_failure_at_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
