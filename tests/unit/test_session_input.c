/* What a peer may send: each message malformed, out of phase, changed; sets that are none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/session.h"
#include "tests/support/peers.h"

static const uint8_t three[] = {FM_ROLE_COORDINATOR, FM_ROLE_RELAY, FM_ROLE_CAMP};

static struct fm_peers *peers_new(const uint8_t *roles, int count, uint64_t seed)
{
    struct fm_peers *p = malloc(sizeof *p);
    assert_non_null(p);
    fm_company_init(p, roles, count, seed);
    return p;
}

static void peers_free(struct fm_peers *p)
{
    fm_company_fini(p);
    free(p);
}

static void writes(struct fm_peers *p, int node, int sets, uint32_t changes)
{
    for (int i = 0; i < sets; i++)
        assert_int_equal(fm_company_write(p, &p->nodes[node].lanes[1], node, changes), 0);
}

#define CONN 5000u /* of no link: what is sent there goes nowhere */

struct sample {
    uint8_t data[4096];
    size_t len;
};

/* One message of each kind as node 0 really sends it (LADDER and so on need a fork; PING and BYE are made here). */
static void samples_take(struct fm_peers *p, struct sample samples[16])
{
    struct fm_company_author left = p->nodes[2].lanes[1], right;
    static const uint8_t ping[] = {0x91, FM_MSG_PING}, pong[] = {0x91, FM_MSG_PONG};
    static const uint8_t bye[] = {0x92, FM_MSG_BYE, 0xa3, 'e', 'n', 'd'};
    const struct fm_span made[] = {fm_span(ping, 2), fm_span(pong, 2), fm_span(bye, 6)};
    memset(samples, 0, 16 * sizeof *samples);
    writes(p, 0, 1, 1);
    int link = fm_company_connect(p, 0, 1);
    fm_company_run(p);
    fm_company_cut(p, link);
    right = left;
    writes(p, 0, 1, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fm_company_write(p, &left, 0, 1), 0);
        assert_int_equal(fm_company_write(p, &right, 1, 2), 0);
    }
    link = fm_company_connect(p, 0, 1);
    do {
        const struct fm_company_queue *q = &p->links[link].to[1];
        for (size_t i = 0; i < q->count; i++) {
            const struct fm_company_message *m = &q->at[(q->first + i) % FM_PEERS_QUEUE];
            struct sample *s = &samples[m->data[1] & 15];
            if (s->len == 0 && m->len <= sizeof s->data) {
                memcpy(s->data, m->data, m->len);
                s->len = m->len;
            }
        }
    } while (fm_company_deliver(p));
    fm_company_cut(p, link);
    for (int i = 0; i < 3; i++) {
        memcpy(samples[FM_MSG_PING + i].data, made[i].data, made[i].len);
        samples[FM_MSG_PING + i].len = made[i].len;
    }
    for (int kind = FM_MSG_HELLO; kind <= FM_MSG_BYE; kind++)
        assert_true(samples[kind].len > 0);
}

static int inject(struct fm_peers *p, const void *data, size_t len)
{
    uint8_t *exact = malloc(len > 0 ? len : 1); /* so that ASan sees a read past the end */
    assert_non_null(exact);
    memcpy(exact, data, len);
    struct fm_event e = {.kind = FM_EVENT_RECEIVE, .conn = CONN, .bytes = fm_span(exact, len)};
    int rc = fm_company_event(p, 1, e);
    free(exact);
    return rc;
}

static void greet(struct fm_peers *p, const struct sample *hello)
{
    struct fm_event up = {.kind = FM_EVENT_PEER_UP, .conn = CONN, .transport = p->nodes[0].self.transport};
    assert_int_equal(fm_company_event(p, 1, up), 0);
    p->nodes[1].dropped = NULL;
    if (hello != NULL)
        assert_int_equal(inject(p, hello->data, hello->len), 0);
    assert_null(p->nodes[1].dropped);
}

static void hang_up(struct fm_peers *p)
{
    assert_int_equal(fm_company_event(p, 1, (struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = CONN}), 0);
}

static void malformed_messages_are_refused(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new(three, 3, 1);
    struct sample *samples = calloc(16, sizeof *samples);
    samples_take(p, samples);
    for (int kind = FM_MSG_HELLO; kind <= FM_MSG_BYE; kind++) {
        const struct sample *s = &samples[kind];
        for (size_t len = 0; len < s->len; len++) {
            greet(p, &samples[FM_MSG_HELLO]);
            assert_int_equal(inject(p, s->data, len), 0);
            assert_string_equal(p->nodes[1].dropped, "bad-message");
            assert_int_equal(fm_repl_peer_count(p->nodes[1].core), 0);
        }
        struct sample *longer = malloc(sizeof *longer);
        *longer = *s;
        longer->data[longer->len] = 0;
        greet(p, &samples[FM_MSG_HELLO]);
        assert_int_equal(inject(p, longer->data, longer->len + 1), 0);
        assert_string_equal(p->nodes[1].dropped, "bad-message");
        free(longer);
    }
    free(samples);
    peers_free(p);
}

static void messages_out_of_phase_are_refused(void **state)
{
    static const uint8_t ack[] = {0x93, FM_MSG_ACK, 7, 9}, pong[] = {0x91, FM_MSG_PONG};
    static const uint8_t data[] = {0x93, FM_MSG_DATA, 9, 0x90};
    static const uint8_t none[] = {0x91, 12}, zero[] = {0x91, 0}, map[] = {0x80};
    static const uint8_t more[] = {0x93, FM_MSG_STATEMENTS, 0x90, 0x90};
    const struct fm_span cases[] = {fm_span(ack, sizeof ack), fm_span(pong, sizeof pong), fm_span(data, sizeof data),
                                    fm_span(none, sizeof none), fm_span(zero, sizeof zero), fm_span(map, sizeof map),
                                    fm_span(more, sizeof more)};
    (void)state;
    struct fm_peers *p = peers_new(three, 3, 1);
    struct sample *samples = calloc(16, sizeof *samples);
    samples_take(p, samples);
    for (int kind = FM_MSG_HAVE; kind < FM_MSG_BYE; kind++) { /* before HELLO */
        greet(p, NULL);
        assert_int_equal(inject(p, samples[kind].data, samples[kind].len), 0);
        assert_string_equal(p->nodes[1].dropped, "bad-message");
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        greet(p, &samples[FM_MSG_HELLO]);
        assert_int_equal(inject(p, cases[i].data, cases[i].len), 0);
        assert_string_equal(p->nodes[1].dropped, "bad-message");
    }
    uint8_t *huge = calloc(1, FM_MESSAGE_BYTES_MAX + 1);
    greet(p, &samples[FM_MSG_HELLO]);
    assert_int_equal(inject(p, huge, FM_MESSAGE_BYTES_MAX + 1), 0);
    assert_string_equal(p->nodes[1].dropped, "bad-message");
    free(huge);
    free(samples);
    peers_free(p);
}

static void hellos_of_others_are_refused(void **state)
{
    /* offset in the message, what stands there, the reason */
    static const struct { size_t at; uint8_t value; const char *why; } cases[] = {
        {2, 2, "peer-version"}, {6, 0x99, "foreign-mesh"}};
    (void)state;
    struct fm_peers *p = peers_new(three, 3, 1);
    struct sample *samples = calloc(16, sizeof *samples);
    samples_take(p, samples);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample s = samples[FM_MSG_HELLO];
        s.data[cases[i].at] = cases[i].value;
        greet(p, NULL);
        assert_int_equal(inject(p, s.data, s.len), 0);
        assert_string_equal(p->nodes[1].dropped, cases[i].why);
    }
    /* The grant of another node. */
    struct sample s = samples[FM_MSG_HELLO];
    memcpy(s.data + 3 + 2 + 16 + 2, p->nodes[2].self.grant.b, FM_GRANT_ID_BYTES);
    greet(p, NULL);
    assert_int_equal(inject(p, s.data, s.len), 0);
    assert_string_equal(p->nodes[1].dropped, "no-grant");
    /* One not held here yet: it is known by its key. */
    s.data[3 + 2 + 16 + 2] ^= 0x55;
    greet(p, &s);
    hang_up(p);
    free(samples);
    peers_free(p);
}

/* Any byte of any message changed: never an error, and the node still converges with an honest peer. */
static void changed_bytes_do_no_harm(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new(three, 3, 1);
    struct sample *samples = calloc(16, sizeof *samples);
    samples_take(p, samples);
    for (int kind = FM_MSG_HELLO; kind <= FM_MSG_BYE; kind++) {
        for (size_t i = 0; i < samples[kind].len; i++) {
            struct sample *s = malloc(sizeof *s);
            *s = samples[kind];
            s->data[i] ^= (uint8_t)(1 + fm_company_rand(p) % 255);
            greet(p, &samples[FM_MSG_HELLO]);
            assert_int_equal(inject(p, s->data, s->len), 0);
            free(s);
            hang_up(p);
        }
    }
    int link = fm_company_connect(p, 0, 1);
    fm_company_run(p);
    assert_true(fm_company_in_step(p, link) && fm_company_same(p, 0, 1));
    free(samples);
    peers_free(p);
}

static size_t data_of(uint8_t *out, uint64_t number, const struct fm_buf *set, size_t copies)
{
    struct fm_buf buf;
    struct fm_pack pk;
    fm_buf_init(&buf, 0);
    fm_pack_init(&pk, &buf);
    fm_pack_array(&pk, 3);
    fm_pack_uint(&pk, FM_MSG_DATA);
    fm_pack_uint(&pk, number);
    fm_pack_array(&pk, (uint32_t)copies);
    for (size_t i = 0; i < copies; i++)
        fm_pack_bin(&pk, set->data, set->len);
    memcpy(out, buf.data, buf.len);
    size_t len = buf.len;
    fm_buf_fini(&buf);
    return len;
}

static void bad_sets_are_struck(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new(three, 3, 1);
    struct sample *samples = calloc(16, sizeof *samples);
    uint8_t *message = malloc(FM_MESSAGE_BYTES_MAX);
    struct fm_buf set;
    samples_take(p, samples);
    /* A good set of node 0 that node 1 lacks, from the log of node 0. */
    writes(p, 0, 2, 1);
    uint64_t last = 0;
    const struct fm_port *port = fm_memory_port(p->nodes[0].store);
    assert_int_equal(port->arrival_last(port->ctx, &last), 0);
    fm_buf_init(&set, 0);
    assert_int_equal(port->set_bytes(port->ctx, last - 1, &set), 0);
    /* The signature stands last. */
    set.data[set.len - 1] ^= 1;
    greet(p, &samples[FM_MSG_HELLO]);
    for (uint64_t n = 1; n <= FM_BAD_VERIFIES_PER_S_MAX; n++)
        assert_int_equal(inject(p, message, data_of(message, n, &set, 1)), 0);
    assert_null(p->nodes[1].dropped);
    assert_string_equal(p->nodes[1].refused, "change-signature");
    assert_int_equal(inject(p, message, data_of(message, FM_BAD_VERIFIES_PER_S_MAX + 1, &set, FM_STRIKES_MAX)), 0);
    assert_string_equal(p->nodes[1].dropped, "bad-signatures");
    /* Nonsense is struck at once. */
    struct fm_buf nonsense = {.data = (uint8_t[]){0xc0}, .len = 1};
    greet(p, &samples[FM_MSG_HELLO]);
    assert_int_equal(inject(p, message, data_of(message, 1, &nonsense, FM_STRIKES_MAX - 1)), 0);
    assert_null(p->nodes[1].dropped);
    assert_int_equal(inject(p, message, data_of(message, 2, &nonsense, 1)), 0);
    assert_string_equal(p->nodes[1].dropped, "bad-sets");
    /* What does not follow is no fault, however often. */
    set.len = 0;
    assert_int_equal(port->set_bytes(port->ctx, last, &set), 0);
    greet(p, &samples[FM_MSG_HELLO]);
    for (uint64_t n = 1; n <= 100; n++)
        assert_int_equal(inject(p, message, data_of(message, n, &set, 5)), 0);
    assert_null(p->nodes[1].dropped);
    hang_up(p);
    int link = fm_company_connect(p, 0, 1);
    fm_company_run(p);
    assert_true(fm_company_same(p, 0, 1) && fm_company_in_step(p, link));
    fm_buf_fini(&set);
    free(message);
    free(samples);
    peers_free(p);
}

/* Each one that is none is a strike; at the last one the rest of the message is not looked at. */
static void statements_that_are_none_are_struck(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new(three, 3, 1);
    struct sample *samples = calloc(16, sizeof *samples);
    samples_take(p, samples);
    for (uint8_t count = 1; count <= FM_STRIKES_MAX + 2; count++) {
        uint8_t message[64] = {0x92, FM_MSG_STATEMENTS, (uint8_t)(0x90 | count)};
        for (uint8_t i = 0; i < count; i++)
            memcpy(message + 3 + 3 * i, "\xc4\x01\xc0", 3);
        greet(p, &samples[FM_MSG_HELLO]);
        p->nodes[1].refused = NULL;
        uint64_t refused = p->nodes[1].refused_count;
        assert_int_equal(inject(p, message, 3u + 3u * count), 0);
        assert_string_equal(p->nodes[1].refused, "format");
        assert_int_equal(p->nodes[1].refused_count - refused, 1); /* told once a message */
        if (count < FM_STRIKES_MAX)
            assert_null(p->nodes[1].dropped);
        else
            assert_string_equal(p->nodes[1].dropped, "bad-sets");
        hang_up(p);
    }
    free(samples);
    peers_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(messages_out_of_phase_are_refused),
        cmocka_unit_test(hellos_of_others_are_refused),
        cmocka_unit_test(changed_bytes_do_no_harm),
        cmocka_unit_test(bad_sets_are_struck),
        cmocka_unit_test(statements_that_are_none_are_struck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
