/* The end of a turn: what is due goes out in the order a peer can use it, and what cannot go out waits or is told. */
#include "replication/statement.h"
#include "tests/support/branch.h"
#include "tests/support/stranger.h"

/* So many sets of some 60 KiB each. */
static void large_sets(struct three *t, uint64_t incarnation, uint8_t lane, unsigned sets)
{
    char text[4 * 15000 + 100], *at = text;
    struct branch b = branch_of(t, incarnation, lane);
    *at++ = '{';
    for (int i = 0; i < 4; i++) {
        at += snprintf(at, 16, "%ss%d:\"", i > 0 ? "," : "", i);
        memset(at, 'a' + i, 15000);
        at += 15000;
        *at++ = '"';
    }
    (void)snprintf(at, 2, "}");
    b.document = text;
    branch_grow(t, &b, sets, &t->b, NULL);
}

/* A receipt of so many streams that are held nowhere. */
static void take_receipt(struct three *t, const struct fm_lab_node *by, uint32_t tips)
{
    struct fm_statement receipt = {.kind = FM_RECEIPT, .author = by->self.author, .grant = grant_of(by), .counter = LAB_NOW};
    struct fm_receipt_tip *list = calloc(tips, sizeof *list);
    struct fm_mesh_id mesh = fm_lab_mesh();
    struct fm_buf bytes;
    int refused;
    assert_non_null(list);
    for (uint32_t i = 0; i < tips; i++) {
        fm_be_put(list[i].stream, i, 4);
        list[i].sequence = 1;
    }
    fm_buf_init(&bytes, 0);
    assert_int_equal(fm_statement_sign(&bytes, &by->device.crypto, &mesh, &receipt, list, tips), FM_OK);
    assert_int_equal(fm_lab_take(&t->b, fm_buf_span(&bytes), &refused), FM_OK);
    assert_int_equal(refused, FM_OK);
    fm_buf_fini(&bytes);
    free(list);
}

static size_t place_of(const struct stranger *s, enum fm_message_kind kind, bool last)
{
    size_t at = s->count;
    for (size_t i = 0; i < s->count; i++)
        if (s->heard[i].data[1] == kind && (last || at == s->count))
            at = i;
    return at;
}

/* Membership comes first, then what members say of themselves, then records: also where the credit ends amid the first. */
static void test_statements_wait_for_membership_and_records_for_both(void **state)
{
    struct three *t = *state;
    struct stranger s;
    struct branch record = branch_of(t, 1, 1);
    branch_grow(t, &record, 1, &t->b, NULL);
    large_sets(t, 900, FM_LANE_MEMBERSHIP, 20);
    branch_grow(t, &(struct branch){.header = branch_of(t, 901, 1).header, .record = 9000, .document = "{a:1}"}, 1, &t->b,
                NULL);
    take_receipt(t, &t->hub, 3);
    uint64_t held;
    assert_int_equal(fm_memory_port(t->b.store)->arrival_last(fm_memory_port(t->b.store)->ctx, &held), FM_OK);
    stranger_open(&s, &t->b);
    stranger_up(&s, &t->hub, true);
    struct fm_hello hello;
    assert_int_equal(fm_hello_decode(&hello, stranger_last(&s, FM_MSG_HELLO)), FM_OK);
    hello.grant = grant_of(&t->hub);
    hello.vector[0] ^= 1;
    hello.statements[0] ^= 1;
    assert_int_equal(stranger_says_hello(&s, &hello), FM_OK);
    assert_int_equal(stranger_says_have(&s, NULL, 0, true), FM_OK);
    assert_null(s.dropped);
    assert_in_range(stranger_sets(&s), 10, held - 3); /* the credit ended amid membership */
    assert_int_equal(stranger_heard(&s, FM_MSG_STATEMENTS), 0);
    while (stranger_session(&s)->acked < stranger_session(&s)->data_out)
        assert_int_equal(stranger_acknowledges(&s), FM_OK);
    assert_int_equal(stranger_sets(&s), held);
    assert_int_equal(stranger_heard(&s, FM_MSG_STATEMENTS), 1);
    /* The last DATA is that of records alone. */
    assert_int_equal(place_of(&s, FM_MSG_STATEMENTS, false) + 1, place_of(&s, FM_MSG_DATA, true));
    assert_int_equal(place_of(&s, FM_MSG_DATA, true) + 1, place_of(&s, FM_MSG_END, false));
    stranger_close(&s);
}

/* More statements than a message holds: the rest goes in the next turn, and END after that. */
static void test_statements_take_several_messages(void **state)
{
    struct three *t = *state;
    struct fm_lab_node more[2];
    struct stranger s;
    const struct fm_lab_node *signers[4] = {&t->hub, &t->a, &more[0], &more[1]};
    for (size_t i = 0; i < 2; i++) {
        fm_lab_open(&more[i], i == 0 ? "konduga" : "gwoza", 20 + i);
        fm_lab_join(&t->hub, &more[i], 10 + i, keys);
    }
    fm_lab_exchange(&t->b, &t->hub, 0);
    for (size_t i = 0; i < 4; i++)
        take_receipt(t, signers[i], 1000);
    stranger_open(&s, &t->b);
    stranger_up(&s, &t->hub, true);
    struct fm_hello hello;
    assert_int_equal(fm_hello_decode(&hello, stranger_last(&s, FM_MSG_HELLO)), FM_OK);
    hello.grant = grant_of(&t->hub);
    hello.statements[0] ^= 1;
    assert_int_equal(stranger_says_hello(&s, &hello), FM_OK);
    assert_int_equal(stranger_heard(&s, FM_MSG_STATEMENTS), 1);
    assert_true(stranger_last(&s, FM_MSG_STATEMENTS).len > FM_MESSAGE_BYTES_MAX / 2);
    assert_int_equal(stranger_heard(&s, FM_MSG_END), 0); /* not all is said */
    stranger_wait(&s, 10);
    assert_int_equal(stranger_heard(&s, FM_MSG_STATEMENTS), 2);
    assert_int_equal(stranger_heard(&s, FM_MSG_END), 1);
    assert_true(place_of(&s, FM_MSG_END, false) > place_of(&s, FM_MSG_STATEMENTS, true));
    stranger_close(&s);
    for (size_t i = 0; i < 2; i++)
        fm_lab_close(&more[i]);
}

/* Without an answer to our LADDER for ten seconds the stream is sent from its start. */
static void test_a_ladder_without_an_answer_is_waited_for_and_then_not(void **state)
{
    struct three *t = *state;
    struct stranger s;
    struct branch b = branch_of(t, 50, 1);
    struct fm_stream_row row = {
        .stream = b.header.stream, .tip_count = 1, .tips = {{.sequence = 2}}}; /* of another branch */
    branch_grow(t, &b, 5, &t->b, NULL);
    uint64_t held;
    assert_int_equal(fm_memory_port(t->b.store)->arrival_last(fm_memory_port(t->b.store)->ctx, &held), FM_OK);
    stranger_open(&s, &t->b);
    assert_int_equal(stranger_differs(&s, &t->hub), FM_OK);
    assert_int_equal(stranger_says_have(&s, &row, 1, true), FM_OK);
    assert_int_equal(stranger_heard(&s, FM_MSG_LADDER), 1);
    assert_int_equal(stranger_session(&s)->ladders_open, 1);
    stranger_wait(&s, FM_SESSION_PING_MS - 1000);
    assert_int_equal(stranger_sets(&s), 0);
    stranger_wait(&s, 1000);
    assert_int_equal(stranger_sets(&s), held);
    assert_null(s.dropped);
    stranger_close(&s);
}

/* A revoked peer is told why; where that cannot be sent, the turn fails and it is dropped by the next one. */
static void test_a_goodbye_that_cannot_be_sent_fails_the_turn(void **state)
{
    struct three *t = *state;
    struct stranger s;
    uint64_t last;
    struct fm_buf bytes;
    int refused;
    revoke(t, 0);
    const struct fm_port *port = fm_memory_port(t->hub.store);
    assert_int_equal(port->arrival_last(port->ctx, &last), FM_OK);
    fm_buf_init(&bytes, 0);
    assert_int_equal(port->set_bytes(port->ctx, last, &bytes), FM_OK);
    for (int64_t sends = 0; sends < 2; sends++) {
        stranger_open(&s, &t->b);
        stranger_in_step(&s, &t->a);
        s.sends_left = sends;
        int rc = fm_lab_take(&t->b, fm_buf_span(&bytes), &refused);
        assert_int_equal(rc, sends == 0 ? FM_ESTORE : FM_OK);
        if (sends == 0) {
            assert_null(s.dropped);
            stranger_close(&s);
            assert_int_equal(fm_lab_crash(&t->b), FM_OK);
            continue;
        }
        assert_string_equal(s.dropped, "peer-revoked");
        assert_int_equal(stranger_heard(&s, FM_MSG_BYE), 1);
        assert_null(stranger_session(&s));
        stranger_close(&s);
    }
    fm_buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_statements_wait_for_membership_and_records_for_both),
        CASE(test_statements_take_several_messages),
        CASE(test_a_ladder_without_an_answer_is_waited_for_and_then_not),
        CASE(test_a_goodbye_that_cannot_be_sent_fails_the_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
