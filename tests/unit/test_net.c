/* Real net processes over loopback: what honest peers get, what strangers and hostile members do not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "crypto/crypto.h"
#include "node/net.h"
#include "replication/error.h"
#include "tests/support/raw_curve.h"

#define WAIT_MS 15000

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* --- one net process under test, and our end of its link --- */

struct net {
    int link;
    pid_t pid;
    struct fm_key public_key, secret;
    char endpoint[128];
    uint64_t refused;
    char refused_last[32], down_last[32]; /* why a key was refused; why a connection that talk() does not mean ended */
    uint8_t buffer[FM_LINK_BYTES_MAX];
};

static void say(struct net *n, struct fm_link_message m)
{
    uint64_t until = now_ms() + WAIT_MS;
    int rc;
    while ((rc = fm_link_send(n->link, &m)) == FM_EBUSY && now_ms() < until)
        poll(&(struct pollfd){.fd = n->link, .events = POLLOUT}, 1, 100);
    assert_int_equal(rc, FM_OK);
}

/* The next message but MEMORY and REFUSED, which are counted. False: none in time, or net has gone. */
static bool next(struct net *n, struct fm_link_message *out, int wait_ms)
{
    uint64_t until = now_ms() + (uint64_t)wait_ms;
    for (;;) {
        int rc = fm_link_receive(n->link, n->buffer, out);
        if (rc == FM_OK && out->kind == FM_LINK_REFUSED) {
            n->refused++;
            snprintf(n->refused_last, sizeof n->refused_last, "%.*s", (int)out->bytes.len, (const char *)out->bytes.data);
            continue;
        }
        if (rc == FM_OK && out->kind != FM_LINK_MEMORY)
            return true;
        if (rc == FM_OK)
            continue;
        if (rc != FM_EBUSY || now_ms() >= until)
            return false;
        poll(&(struct pollfd){.fd = n->link, .events = POLLIN}, 1, 20);
    }
}

static void expect(struct net *n, uint8_t kind, struct fm_link_message *out)
{
    if (!next(n, out, WAIT_MS))
        fail_msg("nothing came, wanted kind %d", kind);
    if (out->kind != kind)
        fail_msg("kind %d came, wanted %d: %.*s", out->kind, kind, (int)out->bytes.len, (const char *)out->bytes.data);
}

static bool text_is(struct fm_span bytes, const char *text)
{
    return fm_span_eq(bytes, fm_span_str(text));
}

static void net_fork(struct net *n, const char *listen_at)
{
    int fds[2];
    struct fm_device device;
    struct fm_key seed;
    *n = (struct net){.link = -1};
    fm_crypto_random(&seed, sizeof seed);
    fm_device_from_seed(&device, &seed);
    n->public_key = device.transport_public;
    n->secret = device.transport_secret;
    assert_int_equal(fm_link_pair(fds), FM_OK);
    n->pid = fork();
    assert_true(n->pid >= 0);
    if (n->pid == 0) {
        close(fds[0]);
        fm_net_main(fds[1]);
    }
    close(fds[1]);
    n->link = fds[0];
    say(n, (struct fm_link_message){.kind = FM_LINK_START, .key = n->secret, .bytes = fm_span_str(listen_at)});
}

static void net_start(struct net *n)
{
    struct fm_link_message m;
    net_fork(n, "tcp://127.0.0.1:*");
    expect(n, FM_LINK_READY, &m);
    snprintf(n->endpoint, sizeof n->endpoint, "%.*s", (int)m.bytes.len, (const char *)m.bytes.data);
}

static int net_stop(struct net *n)
{
    int status = 0;
    close(n->link);
    for (uint64_t until = now_ms() + WAIT_MS; now_ms() < until; poll(NULL, 0, 10))
        if (waitpid(n->pid, &status, WNOHANG) == n->pid)
            return status;
    kill(n->pid, SIGKILL);
    waitpid(n->pid, &status, 0);
    fail_msg("net lived on after its link was closed");
    return status;
}

static void allow(struct net *n, const struct fm_key *const *keys, size_t count)
{
    uint8_t list[8 * FM_KEY_BYTES];
    for (size_t i = 0; i < count; i++)
        memcpy(list + i * FM_KEY_BYTES, keys[i]->b, FM_KEY_BYTES);
    say(n, (struct fm_link_message){.kind = FM_LINK_ALLOW, .bytes = fm_span(list, count * FM_KEY_BYTES)});
}

static void dial(struct net *from, const struct net *to, uint32_t conn)
{
    say(from, (struct fm_link_message){
                  .kind = FM_LINK_CONNECT, .conn = conn, .key = to->public_key, .bytes = fm_span_str(to->endpoint)});
}

static void send_text(struct net *n, uint32_t conn, const char *text)
{
    say(n, (struct fm_link_message){.kind = FM_LINK_SEND, .conn = conn, .bytes = fm_span_str(text)});
}

/* Both allow each other, b dials a and speaks first; *at_a is a's number of the connection. */
static void meet(struct net *a, struct net *b, uint32_t at_b, uint32_t *at_a)
{
    struct fm_link_message m;
    dial(b, a, at_b);
    expect(b, FM_LINK_UP, &m);
    assert_int_equal(m.conn, at_b);
    assert_true(m.initiator);
    assert_true(fm_id_eq(&m.key, &a->public_key));
    send_text(b, at_b, "hello a");
    expect(a, FM_LINK_UP, &m);
    assert_false(m.initiator);
    assert_true(fm_id_eq(&m.key, &b->public_key));
    *at_a = m.conn;
    assert_true(*at_a >= FM_NET_CONN_FIRST);
    expect(a, FM_LINK_MESSAGE, &m);
    assert_int_equal(m.conn, *at_a);
    assert_true(text_is(m.bytes, "hello a"));
}

static void pair_start(struct net *a, struct net *b, uint32_t *at_a)
{
    net_start(a);
    net_start(b);
    allow(a, (const struct fm_key *const[]){&b->public_key}, 1);
    allow(b, (const struct fm_key *const[]){&a->public_key}, 1);
    meet(a, b, 1, at_a);
}

static struct net a, b;

/* --- honest peers --- */

static void test_two_nodes_exchange_messages(void **state)
{
    static uint8_t big[FM_MESSAGE_BYTES_MAX];
    struct fm_link_message m;
    uint32_t at_a;
    (void)state;
    pair_start(&a, &b, &at_a);
    send_text(&a, at_a, "hello b");
    expect(&b, FM_LINK_MESSAGE, &m);
    assert_true(text_is(m.bytes, "hello b"));
    for (uint32_t i = 0; i < 60; i++) { /* 12 MB each way, the largest messages, in order; what is read makes room */
        memset(big, (int)i, sizeof big);
        fm_be_put(big, i, 4);
        say(&a, (struct fm_link_message){.kind = FM_LINK_SEND, .conn = at_a, .bytes = fm_span(big, sizeof big)});
        say(&b, (struct fm_link_message){.kind = FM_LINK_SEND, .conn = 1, .bytes = fm_span(big, sizeof big)});
        expect(&a, FM_LINK_MESSAGE, &m);
        assert_true(fm_span_eq(m.bytes, fm_span(big, sizeof big)));
        expect(&b, FM_LINK_MESSAGE, &m);
        assert_true(fm_span_eq(m.bytes, fm_span(big, sizeof big)));
    }
    net_stop(&b);
    expect(&a, FM_LINK_DOWN, &m);
    assert_int_equal(m.conn, at_a);
    assert_true(text_is(m.bytes, "lost"));
    assert_int_equal(net_stop(&a), 0);
}

static void test_drop_closes_for_both_and_a_new_dial_works(void **state)
{
    struct fm_link_message m;
    uint32_t at_a, again;
    (void)state;
    pair_start(&a, &b, &at_a);
    say(&a, (struct fm_link_message){.kind = FM_LINK_DROP, .conn = at_a});
    expect(&b, FM_LINK_DOWN, &m);
    meet(&a, &b, 2, &again);
    assert_int_not_equal(at_a, again);
    say(&b, (struct fm_link_message){.kind = FM_LINK_DROP, .conn = 2});
    expect(&a, FM_LINK_DOWN, &m);
    assert_int_equal(m.conn, again);
    net_stop(&a);
    net_stop(&b);
}

/* A peer that does not read: what waits for it is bounded, then it is dropped; others go on. */
static void test_a_peer_that_does_not_read_is_dropped(void **state)
{
    static uint8_t big[FM_MESSAGE_BYTES_MAX];
    struct fm_link_message m;
    uint32_t at_a;
    bool down = false;
    (void)state;
    pair_start(&a, &b, &at_a);
    kill(b.pid, SIGSTOP);
    for (int i = 0; i < 400 && !down; i++) { /* 80 MB: far more than queue, kernel and HWM hold */
        int rc = fm_link_send(
            a.link, &(struct fm_link_message){.kind = FM_LINK_SEND, .conn = at_a, .bytes = fm_span(big, sizeof big)});
        assert_true(rc == FM_OK || rc == FM_EBUSY);
        down = next(&a, &m, 10) && m.kind == FM_LINK_DOWN;
    }
    assert_true(down);
    assert_true(text_is(m.bytes, "slow"));
    kill(b.pid, SIGCONT);
    net_stop(&a);
    net_stop(&b);
}

/* --- who may not --- */

static void test_an_unknown_key_is_refused(void **state)
{
    struct fm_link_message m;
    uint32_t at_a;
    (void)state;
    net_start(&a);
    net_start(&b);
    allow(&b, (const struct fm_key *const[]){&a.public_key}, 1);
    dial(&b, &a, 1); /* before a's first allow-list: nobody */
    expect(&b, FM_LINK_DOWN, &m);
    assert_int_equal(m.conn, 1);
    assert_true(text_is(m.bytes, "refused"));
    allow(&a, (const struct fm_key *const[]){&a.public_key}, 1); /* somebody else only */
    dial(&b, &a, 2);
    expect(&b, FM_LINK_DOWN, &m);
    assert_true(text_is(m.bytes, "refused"));
    assert_false(next(&a, &m, 100)); /* nothing reached a's core but the count */
    assert_int_equal(a.refused, 2);
    assert_string_equal(a.refused_last, "no-grant");
    allow(&a, (const struct fm_key *const[]){&b.public_key}, 1);
    meet(&a, &b, 3, &at_a);
    net_stop(&a);
    net_stop(&b);
}

static void test_a_revoked_peer_is_thrown_out(void **state)
{
    struct fm_link_message m;
    uint32_t at_a;
    (void)state;
    pair_start(&a, &b, &at_a);
    allow(&a, NULL, 0);
    expect(&a, FM_LINK_DOWN, &m);
    assert_int_equal(m.conn, at_a);
    assert_true(text_is(m.bytes, "no-grant"));
    expect(&b, FM_LINK_DOWN, &m);
    dial(&b, &a, 2);
    expect(&b, FM_LINK_DOWN, &m);
    assert_true(text_is(m.bytes, "refused"));
    net_stop(&a);
    net_stop(&b);
}

static void test_why_a_dial_fails(void **state)
{
    struct fm_link_message m;
    struct net other;
    (void)state;
    net_start(&a);
    net_start(&b);
    allow(&a, (const struct fm_key *const[]){&b.public_key}, 1);
    allow(&b, (const struct fm_key *const[]){&a.public_key, &b.public_key}, 2);
    other = a;
    other.public_key = b.public_key; /* another server than the one that answers */
    dial(&b, &other, 1);
    expect(&b, FM_LINK_DOWN, &m);
    assert_true(text_is(m.bytes, "refused"));
    other = a;
    snprintf(other.endpoint, sizeof other.endpoint, "tcp://127.0.0.1:1"); /* nobody listens */
    dial(&b, &other, 2);
    expect(&b, FM_LINK_DOWN, &m);
    assert_true(text_is(m.bytes, "peer-unreachable"));
    int mute = socket(AF_INET, SOCK_STREAM, 0); /* accepts and says nothing */
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    assert_int_equal(bind(mute, (struct sockaddr *)&at, sizeof at) | listen(mute, 5), 0);
    getsockname(mute, (struct sockaddr *)&at, &len);
    snprintf(other.endpoint, sizeof other.endpoint, "tcp://127.0.0.1:%d", ntohs(at.sin_port));
    uint64_t start = now_ms();
    dial(&b, &other, 3);
    expect(&b, FM_LINK_DOWN, &m);
    assert_true(now_ms() - start < FM_HANDSHAKE_MS_MAX + 3000u);
    close(mute);
    snprintf(other.endpoint, sizeof other.endpoint, "ipc:///tmp/x");
    dial(&b, &other, 4);
    expect(&b, FM_LINK_DOWN, &m);
    assert_true(text_is(m.bytes, "endpoint"));
    net_stop(&a);
    net_stop(&b);
}

static void test_a_busy_port_is_said(void **state)
{
    struct fm_link_message m;
    int status;
    (void)state;
    net_start(&a);
    net_fork(&b, a.endpoint);
    expect(&b, FM_LINK_DOWN, &m);
    assert_int_equal(m.conn, 0);
    assert_true(text_is(m.bytes, "port-busy"));
    assert_int_equal(waitpid(b.pid, &status, 0), b.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    close(b.link);
    net_stop(&a);
}

/* --- hostile: an attacker is a process with its own libzmq, without our limits --- */

struct attacker {
    pid_t pid;
    struct fm_key public_key, secret;
};

static void attacker_keys(struct attacker *at)
{
    struct fm_device device;
    struct fm_key seed;
    fm_crypto_random(&seed, sizeof seed);
    fm_device_from_seed(&device, &seed);
    at->public_key = device.transport_public;
    at->secret = device.transport_secret;
}

static void *attack_socket(const struct attacker *at, const struct net *target, const char *route)
{
    void *dealer = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
    int linger = 0, hwm = 0, forever = -1;
    zmq_setsockopt(dealer, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(dealer, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt(dealer, ZMQ_RECONNECT_IVL, &forever, sizeof forever);
    zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, at->public_key.b, 32);
    zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, at->secret.b, 32);
    zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, target->public_key.b, 32);
    if (route != NULL)
        zmq_setsockopt(dealer, ZMQ_ROUTING_ID, route, strlen(route));
    zmq_connect(dealer, target->endpoint);
    return dealer;
}

static void attack_start(struct attacker *at, const struct net *target,
                         void (*how)(const struct attacker *, const struct net *))
{
    at->pid = fork();
    assert_true(at->pid >= 0);
    if (at->pid == 0) {
        close(a.link);
        close(b.link);
        alarm(60);
        how(at, target);
        _exit(0);
    }
}

static void attack_end(struct attacker *at)
{
    kill(at->pid, SIGKILL);
    waitpid(at->pid, NULL, 0);
}

static int raw_open(struct raw_curve *r, const struct attacker *at, const struct net *target)
{
    uint16_t port = (uint16_t)strtoul(strrchr(target->endpoint, ':') + 1, NULL, 10);
    return raw_curve_open(r, raw_curve_loopback(port), &target->public_key, &at->public_key, &at->secret);
}

/* Comes again and again: says hello, then a frame that claims 500 MB and as much of it as is taken. */
static void with_a_huge_frame(const struct attacker *at, const struct net *target)
{
    static const uint8_t part[64 * 1024];
    for (;;) {
        struct raw_curve r;
        bool open = raw_open(&r, at, target) == 0 && raw_curve_send(&r, fm_span_str("hello"), false) == 0;
        poll(NULL, 0, 100); /* heard, so that its end is heard of, too */
        if (open && raw_curve_claim(&r, 500 * 1000 * 1000) == 0)
            while (send(r.fd, part, sizeof part, MSG_NOSIGNAL) > 0)
                ;
        close(r.fd);
        poll(NULL, 0, 300);
    }
}

/* Comes again and again: says hello, then frames with MORE, large or tiny, until it is cut off. */
static void without_end(const struct attacker *at, const struct net *target, size_t frame_len)
{
    static const uint8_t frame[64 * 1024];
    for (;;) {
        struct raw_curve r;
        if (raw_open(&r, at, target) == 0 && raw_curve_send(&r, fm_span_str("hello"), false) == 0)
            while (raw_curve_send(&r, fm_span(frame, frame_len), true) == 0)
                ;
        close(r.fd);
        poll(NULL, 0, 300);
    }
}

static void with_a_message_without_end(const struct attacker *at, const struct net *target)
{
    without_end(at, target, 64 * 1024);
}

static void with_tiny_frames_without_end(const struct attacker *at, const struct net *target)
{
    without_end(at, target, 1);
}

static void with_many_frames(const struct attacker *at, const struct net *target)
{
    void *s = attack_socket(at, target, NULL);
    zmq_send(s, "hello", 5, 0);
    zmq_send(s, "1", 1, ZMQ_SNDMORE);
    zmq_send(s, "2", 1, ZMQ_SNDMORE);
    zmq_send(s, "3", 1, ZMQ_SNDMORE);
    zmq_send(s, "4", 1, 0);
    sleep(60);
}

static void with_two_frames_again_and_again(const struct attacker *at, const struct net *target)
{
    void *s = attack_socket(at, target, NULL);
    zmq_send(s, "hello", 5, 0);
    for (int i = 0; i < 3; i++) {
        zmq_send(s, "1", 1, ZMQ_SNDMORE);
        zmq_send(s, "2", 1, 0);
    }
    sleep(60);
}

static void with_too_large_messages(const struct attacker *at, const struct net *target)
{
    static uint8_t big[FM_MESSAGE_BYTES_MAX + 1];
    void *s = attack_socket(at, target, NULL);
    for (int i = 0; i < 4; i++)
        zmq_send(s, big, sizeof big, 0);
    sleep(60);
}

static void with_a_chosen_name(const struct attacker *at, const struct net *target)
{
    void *s = attack_socket(at, target, "camp bama");
    for (;;) {
        zmq_send(s, "hello", 5, 0);
        poll(NULL, 0, 50);
    }
}

/* What the target's core hears of an admitted attacker: UP, perhaps a message, and at last DOWN. */
static void expect_thrown_out(struct net *n, const char *reason)
{
    struct fm_link_message m;
    do
        assert_true(next(n, &m, WAIT_MS));
    while (m.kind == FM_LINK_UP || (m.kind == FM_LINK_MESSAGE && m.bytes.len <= FM_MESSAGE_BYTES_MAX));
    assert_int_equal(m.kind, FM_LINK_DOWN);
    if (!text_is(m.bytes, reason))
        fail_msg("thrown out for %.*s, not %s", (int)m.bytes.len, (const char *)m.bytes.data, reason);
}

static void test_bad_messages_strike(void **state)
{
    const struct {
        void (*how)(const struct attacker *, const struct net *);
        const char *reason;
        uint64_t refused;
    } list[] = {{with_many_frames, "too-many-frames", 1},
                {with_two_frames_again_and_again, "too-many-frames", FM_STRIKES_MAX},
                {with_too_large_messages, "too-large", FM_STRIKES_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct attacker at;
        net_start(&a);
        attacker_keys(&at);
        allow(&a, (const struct fm_key *const[]){&at.public_key}, 1);
        attack_start(&at, &a, list[i].how);
        expect_thrown_out(&a, list[i].reason);
        assert_int_equal(a.refused, list[i].refused);
        attack_end(&at);
        net_stop(&a);
    }
}

static void test_a_chosen_routing_id_is_refused(void **state)
{
    struct attacker at;
    struct fm_link_message m;
    (void)state;
    net_start(&a);
    attacker_keys(&at);
    allow(&a, (const struct fm_key *const[]){&at.public_key}, 1);
    attack_start(&at, &a, with_a_chosen_name);
    assert_false(next(&a, &m, 1000));
    assert_string_equal(a.refused_last, "routing-id");
    attack_end(&at);
    net_stop(&a);
}

static size_t peak_bytes(pid_t pid)
{
    char file[64], line[256];
    size_t kib = 0;
    snprintf(file, sizeof file, "/proc/%d/status", (int)pid);
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoull(line + 6, NULL, 10);
    fclose(f);
    return kib * 1024;
}

/* Garbage from another loopback address: half of it behind a valid ZMTP greeting. Never waits for an answer. */
static void with_garbage(const struct attacker *at, const struct net *target)
{
    static const uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'C', 'U', 'R', 'V', 'E'};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from = to;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    to.sin_port = htons((uint16_t)strtoul(strrchr(target->endpoint, ':') + 1, NULL, 10));
    signal(SIGPIPE, SIG_IGN);
    (void)at;
    for (uint32_t i = 0;; i++) {
        uint8_t bytes[2048];
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bind(fd, (struct sockaddr *)&from, sizeof from);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
            fm_crypto_random(bytes, sizeof bytes);
            if (i % 2 == 0)
                send(fd, greeting, sizeof greeting, MSG_NOSIGNAL);
            send(fd, bytes, 1 + bytes[0] * 8u, MSG_NOSIGNAL);
        }
        if (i % 4 != 0) /* every fourth is left open, until descriptors are short here */
            close(fd);
        if (i % 200 == 0)
            close_range(20, ~0u, 0);
        poll(NULL, 0, 1);
    }
}

/* Questions and answers between a and b for so long; how many. Whoever else comes and goes at a is let be. */
static unsigned talk(uint32_t at_a, int for_ms, size_t *peak)
{
    struct fm_link_message m;
    unsigned rounds = 0;
    for (uint64_t until = now_ms() + (uint64_t)for_ms; now_ms() < until; rounds++) {
        send_text(&b, 1, "question");
        for (;;) {
            assert_true(next(&a, &m, WAIT_MS));
            if (m.conn == at_a)
                break;
            if (m.kind == FM_LINK_DOWN)
                snprintf(a.down_last, sizeof a.down_last, "%.*s", (int)m.bytes.len, (const char *)m.bytes.data);
        }
        assert_int_equal(m.kind, FM_LINK_MESSAGE);
        send_text(&a, at_a, "answer");
        expect(&b, FM_LINK_MESSAGE, &m);
        if (rounds % 64 == 0) {
            size_t now = peak_bytes(a.pid);
            *peak = now > *peak ? now : *peak;
        }
    }
    return rounds;
}

static void test_an_honest_peer_goes_on_under_attack(void **state)
{
    const struct {
        const char *name;
        void (*how)(const struct attacker *, const struct net *);
        bool member;
        const char *refused; /* what is counted */
        const char *down;    /* how its own connection ends */
    } list[] = {
        {"500 MB frame, stranger", with_a_huge_frame, false, "no-grant", ""},
        {"500 MB frame, member", with_a_huge_frame, true, "bad-frame", "bad-frame"},
        {"message without end, stranger", with_a_message_without_end, false, "no-grant", ""},
        {"message without end, member", with_a_message_without_end, true, "too-many-frames", "too-many-frames"},
        {"tiny frames without end, member", with_tiny_frames_without_end, true, "too-many-frames", "too-many-frames"},
        {"garbage", with_garbage, false, "no-handshake", ""}};
    uint32_t at_a;
    size_t peak = 0;
    (void)state;
    pair_start(&a, &b, &at_a);
    size_t calm_bytes = peak_bytes(a.pid);
    unsigned calm = talk(at_a, 1000, &peak);
    assert_true(calm > 20);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct attacker at;
        attacker_keys(&at);
        allow(&a, (const struct fm_key *const[]){&b.public_key, list[i].member ? &at.public_key : &b.public_key}, 2);
        struct fm_link_message m;
        while (next(&a, &m, 300)) /* what is left of the one before */
            ;
        a.refused_last[0] = a.down_last[0] = '\0';
        attack_start(&at, &a, list[i].how);
        unsigned rounds = talk(at_a, 3000, &peak);
        /* On a loaded machine the attacker may not have come to it yet. */
        for (int more = 0; more < 30 && (a.refused_last[0] == '\0' || strcmp(a.down_last, list[i].down) != 0); more++)
            rounds += talk(at_a, 1000, &peak);
        attack_end(&at);
        print_message("%-32s %u rounds (%u/s without), peak %zu MiB (%zu MiB at first)\n", list[i].name, rounds, calm,
                      peak >> 20, calm_bytes >> 20);
        assert_true(rounds > 20);
        if (strcmp(a.refused_last, "too-often") != 0) /* it comes too often for ZAP, too */
            assert_string_equal(a.refused_last, list[i].refused);
        assert_string_equal(a.down_last, list[i].down);
        assert_true(waitpid(a.pid, NULL, WNOHANG) == 0);
    }
#ifdef FM_SANITIZED
    assert_true(peak < calm_bytes + FM_NET_MEMORY_BYTES_MAX); /* ASan keeps freed memory for a while */
#else
    assert_true(peak < FM_NET_MEMORY_BYTES_MAX / 2);
#endif
    net_stop(&a);
    net_stop(&b);
}

/* --- in this process --- */

static void test_buckets_refill_and_do_not_leak_into_each_other(void **state)
{
    static struct fm_buckets buckets;
    (void)state;
    buckets.burst = 3;
    buckets.per_s = 2;
    uint64_t now = 1000;
    for (int i = 0; i < 3; i++)
        assert_true(fm_buckets_take(&buckets, 7, now));
    assert_false(fm_buckets_take(&buckets, 7, now));
    assert_true(fm_buckets_take(&buckets, 8, now));
    assert_false(fm_buckets_take(&buckets, 7, now + 499));
    assert_true(fm_buckets_take(&buckets, 7, now + 501));
    assert_false(fm_buckets_take(&buckets, 7, now + 502));
    for (int i = 0; i < 3; i++)
        assert_true(fm_buckets_take(&buckets, 7, now + 1000000));
    assert_false(fm_buckets_take(&buckets, 7, now + 1000000));
    /* more ids than places: the emptied bucket is not washed out by as many full ones as fit beside it */
    for (uint64_t id = 0; id < 7; id++)
        assert_true(fm_buckets_take(&buckets, 7 + (id + 1) * FM_ZAP_BUCKETS, now + 1000000));
    for (uint64_t id = 8; id < 40; id++)
        fm_buckets_take(&buckets, 7 + id * FM_ZAP_BUCKETS, now + 1000000);
    assert_false(fm_buckets_take(&buckets, 7, now + 1000000));
}

static int option_of(void *socket, int option)
{
    int value = -12345;
    size_t len = sizeof value;
    assert_int_equal(zmq_getsockopt(socket, option, &value, &len), 0);
    return value;
}

static void test_every_option_is_set_before_use(void **state)
{
    const struct {
        int option, value;
    } list[] = {{ZMQ_SNDHWM, 16},
                {ZMQ_RCVHWM, 16},
                {ZMQ_LINGER, 0},
                {ZMQ_IMMEDIATE, 1},
                {ZMQ_HEARTBEAT_IVL, 10000},
                {ZMQ_HEARTBEAT_TIMEOUT, 30000},
                {ZMQ_HEARTBEAT_TTL, 30000},
                {ZMQ_TCP_MAXRT, 30000},
                {ZMQ_HANDSHAKE_IVL, 5000},
                {ZMQ_CONNECT_TIMEOUT, 5000},
                {ZMQ_RECONNECT_IVL, -1},
                {ZMQ_MECHANISM, ZMQ_CURVE},
                {FM_SOCKET_ZAP_ENFORCE_DOMAIN, 1}};
    struct fm_socket_keys keys = {.server = NULL};
    struct fm_key server = {{0}}, check;
    void *context = zmq_ctx_new();
    (void)state;
    assert_int_equal(fm_socket_keypair(&keys.own_public, &keys.own_secret), FM_OK);
    assert_int_equal(fm_socket_public(&check, &keys.own_secret), FM_OK);
    assert_memory_equal(check.b, keys.own_public.b, 32);
    fm_crypto_random(&server, sizeof server);
    for (int i = 0; i < 4; i++) {
        bool is_server = i < 2, ipv6 = i % 2 == 1;
        keys.server = is_server ? NULL : &server;
        void *s = fm_socket_new(context, &keys, ipv6);
        assert_non_null(s);
        int64_t frame = 0;
        size_t len = sizeof frame;
        assert_int_equal(zmq_getsockopt(s, ZMQ_MAXMSGSIZE, &frame, &len), 0);
        assert_int_equal(frame, FM_FRAME_BYTES_MAX);
        for (size_t j = 0; j < sizeof list / sizeof *list; j++)
            if (option_of(s, list[j].option) != list[j].value)
                fail_msg("option %d is %d, not %d", list[j].option, option_of(s, list[j].option), list[j].value);
        assert_int_equal(option_of(s, ZMQ_TYPE), is_server ? ZMQ_ROUTER : ZMQ_DEALER);
        assert_int_equal(option_of(s, ZMQ_IPV6), ipv6);
        assert_int_equal(option_of(s, ZMQ_CURVE_SERVER), is_server);
        uint8_t text[256];
        len = sizeof text;
        assert_int_equal(zmq_getsockopt(s, ZMQ_ZAP_DOMAIN, text, &len), 0);
        assert_string_equal((char *)text, FM_SOCKET_ZAP_DOMAIN);
        len = sizeof text;
        assert_int_equal(zmq_getsockopt(s, ZMQ_ROUTING_ID, text, &len), 0);
        assert_int_equal(len, 0); /* never set */
        len = 32;
        assert_int_equal(zmq_getsockopt(s, ZMQ_CURVE_SECRETKEY, text, &len), 0);
        assert_memory_equal(text, keys.own_secret.b, 32);
        len = 32;
        if (!is_server) {
            assert_int_equal(zmq_getsockopt(s, ZMQ_CURVE_SERVERKEY, text, &len), 0);
            assert_memory_equal(text, server.b, 32);
        }
        fm_socket_close(s, NULL);
    }
    zmq_ctx_term(context);
}

static void nobody_refused(void *ctx, const struct fm_key *key, const char *reason)
{
    (void)ctx, (void)key, (void)reason;
}

/* The self-test finds a door that is open: a CURVE server to which no ZAP handler belongs. */
static void test_the_self_test_finds_an_open_door(void **state)
{
    static struct fm_net n;
    const int yes = 1;
    (void)state;
    n.zmq = zmq_ctx_new();
    n.zap = fm_zap_start(zmq_ctx_new(), nobody_refused, NULL); /* of another context */
    assert_non_null(n.zap);
    assert_int_equal(fm_socket_keypair(&n.keys.own_public, &n.keys.own_secret), FM_OK);
    n.router = zmq_socket(n.zmq, ZMQ_ROUTER);
    zmq_setsockopt(n.router, ZMQ_CURVE_SERVER, &yes, sizeof yes);
    zmq_setsockopt(n.router, ZMQ_CURVE_SECRETKEY, n.keys.own_secret.b, 32);
    assert_int_equal(zmq_bind(n.router, "tcp://127.0.0.1:*"), 0);
    size_t len = sizeof n.endpoint;
    zmq_getsockopt(n.router, ZMQ_LAST_ENDPOINT, n.endpoint, &len);
    assert_int_equal(fm_net_self_test(&n), FM_EKEY);
}

int main(void)
{
    if (fm_crypto_init() != FM_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        /* those that fork net processes come first: this process has no threads of libzmq's yet */
        cmocka_unit_test(test_two_nodes_exchange_messages),
        cmocka_unit_test(test_drop_closes_for_both_and_a_new_dial_works),
        cmocka_unit_test(test_a_peer_that_does_not_read_is_dropped),
        cmocka_unit_test(test_an_unknown_key_is_refused),
        cmocka_unit_test(test_a_revoked_peer_is_thrown_out),
        cmocka_unit_test(test_why_a_dial_fails),
        cmocka_unit_test(test_a_busy_port_is_said),
        cmocka_unit_test(test_bad_messages_strike),
        cmocka_unit_test(test_a_chosen_routing_id_is_refused),
        cmocka_unit_test(test_an_honest_peer_goes_on_under_attack),
        cmocka_unit_test(test_buckets_refill_and_do_not_leak_into_each_other),
        cmocka_unit_test(test_every_option_is_set_before_use),
        cmocka_unit_test(test_the_self_test_finds_an_open_door),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
