/* DATA, PLAN, ACK and END item by item: what they may say; and sets that cannot be read or are held already. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "replication/pack.h"
#include "replication/session.h"
#include "tests/support/no_memory.h"
#include "tests/support/peers.h"

static const uint8_t roles[] = {FM_ROLE_COORDINATOR, FM_ROLE_RELAY, FM_ROLE_CAMP};
enum { HUB, RELAY, CAMP };

static int begin(void **state)
{
    struct fm_peers *p = malloc(sizeof *p);
    assert_non_null(p);
    fm_company_init(p, roles, 3, 1);
    *state = p;
    return 0;
}

static int end(void **state)
{
    fm_company_fini(*state);
    free(*state);
    return 0;
}

/* A session of the relay with the hub, in step; the hub's side is the test from now on. */
static struct fm_session *meet(struct fm_peers *p, int *link)
{
    *link = fm_company_connect(p, HUB, RELAY);
    fm_company_run(p);
    assert_true(fm_company_in_step(p, *link));
    struct fm_session *s = fm_session_find(p->nodes[RELAY].core, p->links[*link].conn[1]);
    assert_non_null(s);
    p->nodes[RELAY].dropped = NULL;
    return s;
}

static int inject(struct fm_peers *p, int link, const void *data, size_t len)
{
    uint8_t *exact = malloc(len); /* so that ASan sees a read past the end */
    assert_non_null(exact);
    memcpy(exact, data, len);
    struct fm_event e = {.kind = FM_EVENT_RECEIVE, .conn = p->links[link].conn[1], .bytes = fm_span(exact, len)};
    int rc = fm_company_event(p, RELAY, e);
    free(exact);
    return rc;
}

#define M(bytes) bytes, sizeof(bytes) - 1
static void items_of_another_form_end_the_session(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {M("\x93\x04\xc0\x01")},         {M("\x93\x04\x01\xc0")},     {M("\x92\x04\x01")},
        {M("\x93\x05\xc0\x90")},         {M("\x93\x05\x01\xc0")},     {M("\x92\x05\x01")},
        {M("\x93\x05\x01\x91\xc0")},     {M("\x93\x05\x01\x92\xc0\xc4\x00")},
        {M("\x93\x05\x01\x91\xc4\x01\x00\x00")}, {M("\x93\x05\x01\x90")},    {M("\x93\x05\x63\x91\xc4\x00")},
        {M("\x93\x06\xc0\x01")},         {M("\x93\x06\x01\xc0")},     {M("\x92\x06\x01")},
        {M("\x92\x07\xc0")},             {M("\x91\x07")},             {M("\x92\x07\xc4\x01\x00")},
    };
    struct fm_peers *p = *state;
    int link;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)meet(p, &link);
        uint8_t *message = malloc(cases[i].len);
        assert_non_null(message);
        memcpy(message, cases[i].bytes, cases[i].len);
        assert_int_equal(inject(p, link, message, cases[i].len), 0);
        if (p->nodes[RELAY].dropped == NULL || strcmp(p->nodes[RELAY].dropped, "bad-message") != 0)
            fail_msg("case %zu: %s", i, p->nodes[RELAY].dropped);
        free(message);
        fm_company_cut(p, link);
    }
}

static void an_ack_is_of_what_was_sent(void **state)
{
    static const struct {
        uint8_t number, bytes;
        bool good;
        uint64_t left;
    } cases[] = {{2, 0, false, 0}, {5, 0, false, 0}, {3, 101, false, 0},
                 {3, 60, true, 40}, {4, 100, true, 0}, {4, 7, true, 0}};
    struct fm_peers *p = *state;
    int link;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t ack[] = {0x93, FM_MSG_ACK, cases[i].number, cases[i].bytes};
        struct fm_session *s = meet(p, &link);
        s->acked = 2; /* 3 and 4 are on their way */
        s->data_out = 4;
        s->in_flight_bytes = 100;
        assert_int_equal(inject(p, link, ack, sizeof ack), 0);
        if (cases[i].good) {
            assert_null(p->nodes[RELAY].dropped);
            assert_int_equal(s->acked, cases[i].number);
            assert_int_equal(s->in_flight_bytes, cases[i].left);
        } else {
            assert_string_equal(p->nodes[RELAY].dropped, "bad-message");
        }
        fm_company_cut(p, link);
    }
}

static void data_of(struct fm_buf *out, uint64_t number, const struct fm_span *sets, uint32_t count)
{
    struct fm_pack pack;
    fm_buf_init(out, 0);
    fm_pack_init(&pack, out);
    fm_pack_array(&pack, 3);
    fm_pack_uint(&pack, FM_MSG_DATA);
    fm_pack_uint(&pack, number);
    fm_pack_array(&pack, count);
    for (uint32_t i = 0; i < count; i++)
        fm_pack_bin(&pack, sets[i].data, sets[i].len);
    assert_int_equal(pack.error, FM_OK);
}

/* The last set of a node's log. */
static void last_set(struct fm_peers *p, int node, struct fm_buf *out)
{
    const struct fm_port *port = fm_memory_port(p->nodes[node].store);
    uint64_t last;
    fm_buf_init(out, 0);
    assert_int_equal(port->arrival_last(port->ctx, &last), 0);
    assert_int_equal(port->set_bytes(port->ctx, last, out), 0);
}

static void behind_the_last_strike_nothing_is_taken_in(void **state)
{
    struct fm_peers *p = *state;
    struct fm_buf good, message;
    struct fm_digest before, after;
    int link;
    struct fm_session *s = meet(p, &link);
    uint64_t number = s->data_in + 1;
    assert_int_equal(fm_company_write(p, &p->nodes[CAMP].lanes[1], CAMP, 1), 0);
    last_set(p, CAMP, &good);
    struct fm_span sets[FM_STRIKES_MAX + 1];
    for (size_t i = 0; i < FM_STRIKES_MAX; i++)
        sets[i] = fm_span("\xc0", 1);
    sets[FM_STRIKES_MAX] = fm_buf_span(&good);
    data_of(&message, number, sets, FM_STRIKES_MAX + 1);
    fm_vector_digest(p->nodes[RELAY].core, &before);
    assert_int_equal(inject(p, link, message.data, message.len), 0);
    fm_vector_digest(p->nodes[RELAY].core, &after);
    assert_string_equal(p->nodes[RELAY].dropped, "bad-sets");
    assert_memory_equal(before.b, after.b, sizeof before.b);
    fm_buf_fini(&good);
    fm_buf_fini(&message);
}

static int no_row(void *ctx, const struct fm_action *action)
{
    (void)ctx;
    assert_int_not_equal(action->kind, FM_DO_ROW);
    return FM_OK;
}

/* A set that another one brought already raises what the peer is known to have; that needs memory for a new stream. */
static void a_set_held_already_is_the_peers_too(void **state)
{
    struct fm_peers *p = *state;
    struct fm_buf set, message;
    unsigned hits = 0;
    int link;
    assert_int_equal(fm_company_write(p, &p->nodes[CAMP].lanes[1], HUB, 1), 0);
    assert_int_equal(fm_company_write(p, &p->nodes[CAMP].lanes[1], HUB, 1), 0);
    last_set(p, HUB, &set);
    struct fm_span sets[1] = {fm_buf_span(&set)};
    for (int64_t n = 0;; n++) {
        struct fm_session *s = meet(p, &link);
        uint32_t slot;
        uint64_t number = s->data_in + 1;
        for (size_t i = 0; i < p->nodes[RELAY].core->sessions->slot_count; i++)
            p->nodes[RELAY].core->sessions->streams[i].incarnation = 99; /* as if none had come up yet */
        p->nodes[RELAY].core->sessions->slot_cap = p->nodes[RELAY].core->sessions->slot_count;
        data_of(&message, number, sets, 1);
        struct fm_event e = {.kind = FM_EVENT_RECEIVE, .conn = s->conn, .bytes = fm_buf_span(&message)};
        struct fm_sink sink = {.act = no_row};
        fm_fault_begin(n);
        int rc = fm_repl_step(p->nodes[RELAY].core, &e, &sink);
        bool hit = fm_fault_end();
        fm_buf_fini(&message);
        assert_true(rc == FM_OK || (hit && rc == FM_ENOMEM));
        hits += rc == FM_ENOMEM;
        if (rc == FM_OK) {
            assert_null(p->nodes[RELAY].dropped);
            assert_int_equal(fm_reach_slot(p->nodes[RELAY].core, &p->nodes[CAMP].lanes[1].stream, &slot), FM_OK);
            assert_int_equal(s->reach[slot].common, 2);
        }
        fm_company_cut(p, link);
        if (!hit)
            break;
        fm_company_restart(p, RELAY);
    }
    assert_true(hits > 2);
    fm_buf_fini(&set);
}

/* --- a set that cannot be read is passed over, with all that follows it in its stream --- */

static const struct fm_port *whole;
static uint64_t lost;
static int lost_rc;

static int some_bytes(void *ctx, uint64_t arrival, struct fm_buf *out)
{
    return arrival == lost ? lost_rc : whole->set_bytes(ctx, arrival, out);
}

static void a_damaged_set_holds_up_its_own_stream_only(void **state)
{
    static const int damages[] = {FM_ECORRUPT, FM_ENOTFOUND};
    struct fm_peers *p = *state;
    uint64_t recorded, at_hub;
    int link;
    for (size_t i = 0; i < 2; i++) {
        struct fm_company_author stream = p->nodes[CAMP].lanes[1], other = stream;
        stream.stream.incarnation = 10 + i;
        other.stream.incarnation = 20 + i;
        assert_int_equal(fm_company_write(p, &stream, RELAY, 1), 0);
        assert_int_equal(fm_company_write(p, &stream, RELAY, 1), 0);
        whole = p->nodes[RELAY].core->port;
        assert_int_equal(whole->arrival_last(whole->ctx, &lost), 0);
        assert_int_equal(fm_company_write(p, &stream, RELAY, 1), 0);
        assert_int_equal(fm_company_write(p, &other, RELAY, 1), 0);
        lost_rc = damages[i];
        struct fm_port port = *whole;
        port.set_bytes = some_bytes;
        p->nodes[RELAY].core->port = &port;
        uint64_t told = p->nodes[RELAY].refused_count;
        link = fm_company_connect(p, HUB, RELAY);
        fm_company_run(p);
        assert_true(p->nodes[RELAY].refused_count >= told + 2); /* "damaged", and in the end: */
        assert_string_equal(p->nodes[RELAY].refused, "not-converging");
        assert_int_equal(fm_repl_custody(p->nodes[HUB].core, &stream.stream.author, &recorded, &at_hub), 0);
        assert_int_equal(recorded, i == 0 ? 2 : 6); /* one of the damaged stream, and the other's */
        fm_company_cut(p, link);
        p->nodes[RELAY].core->port = whole;
        link = fm_company_connect(p, HUB, RELAY); /* mended */
        fm_company_run(p);
        assert_int_equal(fm_repl_custody(p->nodes[HUB].core, &stream.stream.author, &recorded, &at_hub), 0);
        assert_int_equal(recorded, i == 0 ? 4 : 8);
        fm_company_cut(p, link);
    }
}

/* One message to this end of the link, if one waits. */
static int deliver(struct fm_peers *p, int link, int end)
{
    struct fm_company_link *l = &p->links[link];
    struct fm_company_queue *q = &l->to[end];
    if (q->count == 0)
        return FM_OK;
    struct fm_company_message m = q->at[q->first];
    q->first = (q->first + 1) % FM_PEERS_QUEUE;
    q->count--;
    int rc = fm_company_event(p, l->end[end], (struct fm_event){.kind = FM_EVENT_RECEIVE, .conn = l->conn[end],
                                                                .bytes = fm_span(m.data, m.len)});
    free(m.data);
    return rc;
}

static void damage_that_cannot_be_reported_ends_the_turn(void **state)
{
    struct fm_peers *p = *state;
    assert_int_equal(fm_company_write(p, &p->nodes[CAMP].lanes[1], RELAY, 1), 0);
    whole = p->nodes[RELAY].core->port;
    assert_int_equal(whole->arrival_last(whole->ctx, &lost), 0);
    lost_rc = FM_ECORRUPT;
    struct fm_port port = *whole;
    port.set_bytes = some_bytes;
    p->nodes[RELAY].core->port = &port;
    p->nodes[RELAY].refused_rc = FM_EDISKFULL;
    int link = fm_company_connect(p, HUB, RELAY), rc = FM_OK;
    for (int i = 0; i < 100 && rc == FM_OK; i++) {
        assert_int_equal(deliver(p, link, 0), FM_OK);
        rc = deliver(p, link, 1);
    }
    assert_int_equal(rc, FM_EDISKFULL);
    assert_string_equal(p->nodes[RELAY].refused, "damaged");
    fm_company_cut(p, link);
    p->nodes[RELAY].refused_rc = FM_OK;
    fm_company_restart(p, RELAY);
    link = fm_company_connect(p, HUB, RELAY);
    fm_company_run(p);
    assert_true(fm_company_in_step(p, link) && fm_company_same(p, HUB, RELAY));
}

#define PEERS(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEERS(items_of_another_form_end_the_session), PEERS(an_ack_is_of_what_was_sent),
        PEERS(behind_the_last_strike_nothing_is_taken_in), PEERS(a_set_held_already_is_the_peers_too),
        PEERS(a_damaged_set_holds_up_its_own_stream_only), PEERS(damage_that_cannot_be_reported_ends_the_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
