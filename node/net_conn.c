#include "node/net.h"

#include <assert.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <zmq.h>

#include "replication/error.h"

struct fm_net_conn *fm_net_conn_new(struct fm_net *n, bool dealer)
{
    size_t live = 0;
    struct fm_net_conn *free_one = NULL, *dead = NULL;
    for (size_t i = 0; i < FM_NET_CONNS_MAX; i++) {
        struct fm_net_conn *c = &n->conns[i];
        if (c->state == FM_NET_FREE)
            free_one = c;
        else if (c->state == FM_NET_DEAD)
            dead = dead == NULL || c->since_ms < dead->since_ms ? c : dead;
        else if (c->dealer == dealer)
            live++;
    }
    if (live >= FM_PEERS_MAX)
        return NULL;
    struct fm_net_conn *c = free_one != NULL ? free_one : dead;
    assert(c != NULL);
    *c = (struct fm_net_conn){.dealer = dealer, .fd = -1, .since_ms = n->now_ms, .heard_ms = n->now_ms};
    return c;
}

struct fm_net_conn *fm_net_conn_find(struct fm_net *n, uint32_t number)
{
    for (size_t i = 0; i < FM_NET_CONNS_MAX; i++)
        if (n->conns[i].number == number && (n->conns[i].state == FM_NET_OPEN || n->conns[i].state == FM_NET_DIALLING))
            return &n->conns[i];
    return NULL;
}

uint64_t fm_net_tcp_received(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    return fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_bytes_received : 0;
}

bool fm_net_tcp_stands(int fd)
{
    enum { ESTABLISHED = 1 }; /* TCP_ESTABLISHED; netinet/tcp.h, which has it, and linux/tcp.h cannot both be included */
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    return fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state == ESTABLISHED;
}

/* libzmq 4.3.4 cannot disconnect one peer; but it sees the end of file and cleans up by itself. */
void fm_net_tcp_shut(int fd)
{
    struct sockaddr_storage who;
    socklen_t len = sizeof who;
    if (fd >= 0 && getpeername(fd, (struct sockaddr *)&who, &len) == 0 &&
        (who.ss_family == AF_INET || who.ss_family == AF_INET6))
        shutdown(fd, SHUT_RDWR);
}

void fm_net_conn_end(struct fm_net *n, struct fm_net_conn *c, const char *reason)
{
    uint32_t number = c->number;
    fm_queue_fini(&c->out);
    if (c->dealer) {
        fm_socket_close(c->socket, c->monitor);
        *c = (struct fm_net_conn){.fd = -1};
    } else {
        fm_net_tcp_shut(c->fd);
        c->fd = -1;
        c->state = FM_NET_DEAD; /* its last messages may still stand in ROUTER's queue */
        c->since_ms = n->now_ms;
    }
    if (reason != NULL)
        fm_net_tell(n, &(struct fm_link_message){.kind = FM_LINK_DOWN, .conn = number, .bytes = fm_span_str(reason)});
}

/* 0, FM_EBUSY, FM_EIO: gone. */
static int send_now(struct fm_net *n, struct fm_net_conn *c, struct fm_span body)
{
    int rc;
    void *socket = c->dealer ? c->socket : n->router;
    if (!c->dealer) {
        do
            rc = zmq_send(socket, c->route, sizeof c->route, ZMQ_DONTWAIT | ZMQ_SNDMORE);
        while (rc < 0 && errno == EINTR);
        if (rc < 0)
            return errno == EAGAIN ? FM_EBUSY : FM_EIO; /* EHOSTUNREACH: gone (Z7) */
    }
    do
        rc = zmq_send(socket, body.data, body.len, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    return rc >= 0 ? FM_OK : errno == EAGAIN ? FM_EBUSY : FM_EIO;
}

void fm_net_conn_send(struct fm_net *n, struct fm_net_conn *c, const struct fm_link_message *m)
{
    int rc = c->out.first != NULL || c->state != FM_NET_OPEN ? FM_EBUSY : send_now(n, c, m->bytes);
    if (rc == FM_EIO) {
        fm_net_conn_end(n, c, "lost");
    } else if (rc == FM_EBUSY) {
        /* the sender paces itself by credit: more than twice that waiting is a peer that does not read (Z6) */
        if (c->out.bytes + m->bytes.len > 2u * FM_CREDIT_BYTES || fm_queue_push(&c->out, m) != FM_OK)
            fm_net_conn_end(n, c, "slow");
    }
}

void fm_net_conn_flush(struct fm_net *n, struct fm_net_conn *c)
{
    const struct fm_link_message *m;
    while (c->state == FM_NET_OPEN && (m = fm_queue_first(&c->out)) != NULL) {
        int rc = send_now(n, c, m->bytes);
        if (rc == FM_EBUSY)
            return;
        if (rc == FM_EIO)
            fm_net_conn_end(n, c, "lost");
        else
            fm_queue_pop(&c->out);
    }
}

void fm_net_conn_heard(struct fm_net *n, struct fm_net_conn *c, struct fm_span body, size_t frames)
{
    const char *fault = frames != 1 ? "too-many-frames" : body.len > FM_MESSAGE_BYTES_MAX ? "too-large" : NULL;
    c->heard_ms = n->now_ms;
    c->tcp_base = fm_net_tcp_received(c->fd);
    if (fault == NULL) {
        fm_net_tell(n, &(struct fm_link_message){.kind = FM_LINK_MESSAGE, .conn = c->number, .bytes = body});
        return;
    }
    fm_net_refused(n, &c->key, fault);
    if (frames > FM_MESSAGE_FRAMES_MAX || ++c->strikes >= FM_STRIKES_MAX)
        fm_net_conn_end(n, c, fault);
}

void fm_net_conn_allow_changed(struct fm_net *n)
{
    /* ZAP is asked at the handshake only: who is no longer a member is thrown out here (rule: TRAPS, Transport admission) */
    for (size_t i = 0; i < FM_NET_CONNS_MAX; i++) {
        struct fm_net_conn *c = &n->conns[i];
        if ((c->state == FM_NET_OPEN || c->state == FM_NET_DIALLING) && !fm_zap_admits(n->zap, &c->key)) {
            fm_net_refused(n, &c->key, "no-grant");
            fm_net_conn_end(n, c, "no-grant");
        }
    }
}

void fm_net_conn_watch(struct fm_net *n)
{
    for (size_t i = 0; i < FM_NET_CONNS_MAX; i++) {
        struct fm_net_conn *c = &n->conns[i];
        if (c->state == FM_NET_DEAD && n->now_ms - c->since_ms > FM_NET_DEAD_MS) {
            *c = (struct fm_net_conn){.fd = -1};
        } else if (c->state == FM_NET_DIALLING && n->now_ms - c->since_ms > FM_HANDSHAKE_MS_MAX) {
            fm_net_conn_end(n, c, "peer-unreachable");
        } else if (c->state == FM_NET_OPEN && fm_net_tcp_received(c->fd) > c->tcp_base + FM_NET_UNDELIVERED_BYTES_MAX) {
            fm_net_refused(n, &c->key, "too-many-frames");
            fm_net_conn_end(n, c, "too-many-frames");
        }
    }
}
