#include "node/net.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <zmq.h>

#include "crypto/crypto.h"
#include "replication/error.h"

#define READS_PER_ROUND 32u
#define LINK_MESSAGES_PER_ROUND 64u

static uint64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void fm_net_tell(struct fm_net *n, const struct fm_link_message *m)
{
    int rc = n->core.first == NULL ? fm_link_send(n->link, m) : FM_EBUSY;
    if (rc == FM_EBUSY)
        rc = fm_queue_push(&n->core, m);
    if (rc == FM_EIO || rc == FM_ENOMEM)
        _exit(0); /* the core is gone, or we are too full to be of use: it starts us again */
}

void fm_net_refused(struct fm_net *n, const struct fm_key *key, const char *reason)
{
    /* a count, not a promise: lost if the link is full */
    struct fm_link_message m = {.kind = FM_LINK_REFUSED, .bytes = fm_span_str(reason)};
    if (key != NULL)
        m.key = *key;
    fm_link_send(n->link, &m);
}

static void zap_refused(void *ctx, const struct fm_key *key, const char *reason)
{
    fm_net_refused(ctx, key, reason); /* another thread: touches only the link's descriptor */
}

_Noreturn void fm_net_die(struct fm_net *n, const char *reason)
{
    struct fm_link_message m = {.kind = FM_LINK_DOWN, .bytes = fm_span_str(reason)};
    for (int tries = 0; tries < 20 && fm_link_send(n->link, &m) == FM_EBUSY; tries++)
        poll(&(struct pollfd){.fd = n->link, .events = POLLOUT}, 1, 50);
    _exit(1);
}

/* The first message: our secret and where to listen. */
static void await_start(struct fm_net *n)
{
    struct fm_link_message m;
    int rc;
    while ((rc = fm_link_receive(n->link, n->buffer, &m)) == FM_EBUSY)
        poll(&(struct pollfd){.fd = n->link, .events = POLLIN}, 1, -1);
    if (rc != FM_OK || m.kind != FM_LINK_START || m.bytes.len >= sizeof n->endpoint || m.bytes.len < 7 ||
        memcmp(m.bytes.data, "tcp://", 6) != 0)
        _exit(1);
    memcpy(n->endpoint, m.bytes.data, m.bytes.len);
    n->endpoint[m.bytes.len] = '\0';
    n->ipv6 = n->endpoint[6] == '[';
    n->keys.own_secret = m.key;
    fm_crypto_wipe(&m, sizeof m);
    fm_crypto_wipe(n->buffer, FM_LINK_BYTES_MAX);
    if (fm_socket_public(&n->keys.own_public, &n->keys.own_secret) != FM_OK)
        fm_net_die(n, "curve");
}

static void open_all(struct fm_net *n)
{
    n->zmq = zmq_ctx_new();
    if (n->zmq == NULL || (n->zap = fm_zap_start(n->zmq, zap_refused, n)) == NULL)
        fm_net_die(n, "zap");
    if (fm_net_router_open(n) != FM_OK)
        fm_net_die(n, errno == EADDRINUSE ? "port-busy" : errno == EACCES ? "port-denied" : "listen");
    int rc = fm_net_self_test(n);
    if (rc != FM_OK)
        fm_net_die(n, rc == FM_EKEY ? "open-door" : "self-test");
    fm_net_tell(n, &(struct fm_link_message){.kind = FM_LINK_READY, .bytes = fm_span_str(n->endpoint)});
}

static void obey(struct fm_net *n, const struct fm_link_message *m)
{
    struct fm_net_conn *c = fm_net_conn_find(n, m->conn);
    switch (m->kind) {
    case FM_LINK_ALLOW:
        fm_zap_allow(n->zap, m->bytes.data, m->bytes.len / FM_KEY_BYTES);
        fm_net_conn_allow_changed(n);
        break;
    case FM_LINK_CONNECT: fm_net_dial(n, m->conn, &m->key, m->bytes); break;
    case FM_LINK_SEND:
        if (c != NULL) /* else its DOWN is on the way */
            fm_net_conn_send(n, c, m);
        break;
    case FM_LINK_DROP:
        if (c != NULL)
            fm_net_conn_end(n, c, NULL);
        break;
    default: break;
    }
}

static void read_link(struct fm_net *n)
{
    struct fm_link_message m;
    for (size_t i = 0; i < LINK_MESSAGES_PER_ROUND; i++) {
        int rc = fm_link_receive(n->link, n->buffer, &m);
        if (rc == FM_EBUSY)
            return;
        if (rc != FM_OK)
            _exit(0); /* the core is gone: so are we */
        obey(n, &m);
    }
}

/* Waits until something can be done: at most to the next deadline, never past the watch (Z14). */
static void wait_for_work(struct fm_net *n)
{
    static zmq_pollitem_t items[3 + 2 * FM_NET_CONNS_MAX];
    int count = 0;
    bool paused = n->core.first != NULL, retry = false;
    items[count++] = (zmq_pollitem_t){.fd = n->link, .events = (short)(ZMQ_POLLIN | (paused ? ZMQ_POLLOUT : 0))};
    items[count++] = (zmq_pollitem_t){.socket = n->router_monitor, .events = ZMQ_POLLIN};
    if (!paused)
        items[count++] = (zmq_pollitem_t){.socket = n->router, .events = ZMQ_POLLIN};
    for (size_t i = 0; i < FM_NET_CONNS_MAX; i++) {
        struct fm_net_conn *c = &n->conns[i];
        bool waiting = c->state == FM_NET_OPEN && c->out.first != NULL;
        if (c->state == FM_NET_FREE || c->state == FM_NET_DEAD || !c->dealer) {
            retry = retry || waiting; /* ROUTER cannot be polled for one peer */
            continue;
        }
        items[count++] = (zmq_pollitem_t){.socket = c->monitor, .events = ZMQ_POLLIN};
        short events = (short)((paused ? 0 : ZMQ_POLLIN) | (waiting ? ZMQ_POLLOUT : 0));
        if (events != 0)
            items[count++] = (zmq_pollitem_t){.socket = c->socket, .events = events};
    }
    zmq_poll(items, count, retry ? (long)FM_NET_RETRY_MS : (long)FM_NET_WATCH_MS); /* EINTR: the next round (Z19) */
}

static void serve(struct fm_net *n)
{
    wait_for_work(n);
    n->now_ms = steady_ms();
    if (fm_queue_flush(&n->core, n->link) != FM_OK)
        _exit(0);
    read_link(n);
    fm_net_router_events(n);
    fm_net_router_read(n, READS_PER_ROUND);
    for (size_t i = 0; i < FM_NET_CONNS_MAX; i++) {
        struct fm_net_conn *c = &n->conns[i];
        if (c->dealer && c->state != FM_NET_FREE) {
            fm_net_dealer_events(n, c);
            fm_net_dealer_read(n, c, READS_PER_ROUND);
        }
        if (c->state == FM_NET_OPEN)
            fm_net_conn_flush(n, c);
    }
    if (n->now_ms >= n->watch_ms) {
        n->watch_ms = n->now_ms + FM_NET_WATCH_MS;
        fm_net_conn_watch(n);
        fm_net_router_watch(n);
        /* also when its messages are not wanted now: pipe commands run inside API calls only (Z14) */
        int events;
        size_t len = sizeof events;
        zmq_getsockopt(n->router, ZMQ_EVENTS, &events, &len);
    }
    if (n->now_ms >= n->memory_ms) {
        uint8_t resident[8];
        n->memory_ms = n->now_ms + FM_NET_MEMORY_MS;
        fm_be_put(resident, fm_cage_resident_bytes(), sizeof resident);
        fm_link_send(n->link, &(struct fm_link_message){.kind = FM_LINK_MEMORY, .bytes = fm_span(resident, 8)});
    }
}

_Noreturn void fm_net_main(int link_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "fieldmesh-net");
    /* a Ctrl-C goes to the whole group: the core decides, and closes the link */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    fm_cage_close_all(link_fd);
    fm_cage_enter();
    struct fm_net *n = calloc(1, sizeof *n);
    if (n == NULL || fm_crypto_init() != FM_OK || (n->buffer = malloc(FM_LINK_BYTES_MAX)) == NULL)
        _exit(1);
    n->link = link_fd;
    n->now_ms = steady_ms();
    for (size_t i = 0; i < FM_NET_ACCEPTED_MAX; i++)
        n->accepted[i].fd = n->accepted[i].twin = -1;
    await_start(n);
    open_all(n);
    for (;;)
        serve(n);
}
