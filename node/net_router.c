#include "node/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "replication/error.h"

#define ACCEPT_FAILURES_MAX 8u
#define ADMIT_MS_MAX (2u * FM_HANDSHAKE_MS_MAX) /* from TCP to the first message: the dialler speaks first */

int fm_net_router_open(struct fm_net *n)
{
    n->router = fm_socket_new(n->zmq, &n->keys, n->ipv6);
    n->router_monitor = n->router == NULL ? NULL : fm_socket_monitor(n->zmq, n->router, n->monitor_next++);
    if (n->router_monitor == NULL || zmq_bind(n->router, n->endpoint) != 0)
        return FM_EIO;
    size_t len = sizeof n->endpoint;
    return zmq_getsockopt(n->router, ZMQ_LAST_ENDPOINT, n->endpoint, &len) == 0 ? FM_OK : FM_EIO;
}

/* --- the TCP connections below --- */

static struct fm_net_accepted *accepted_of(struct fm_net *n, int fd)
{
    for (size_t i = 0; i < FM_NET_ACCEPTED_MAX; i++)
        if (n->accepted[i].fd == fd)
            return &n->accepted[i];
    return NULL;
}

static void accepted_free(struct fm_net_accepted *a)
{
    if (a->twin >= 0)
        close(a->twin);
    a->fd = a->twin = -1;
}

static void address_of(int fd, uint8_t out[16])
{
    struct sockaddr_storage who = {0};
    socklen_t len = sizeof who;
    memset(out, 0, 16);
    if (getpeername(fd, (struct sockaddr *)&who, &len) != 0)
        return;
    if (who.ss_family == AF_INET)
        memcpy(out, &((struct sockaddr_in *)&who)->sin_addr, 4);
    else if (who.ss_family == AF_INET6)
        memcpy(out, &((struct sockaddr_in6 *)&who)->sin6_addr, 16);
}

/* One stranger too many: the oldest from the address that has the most must go; one source cannot shut others out. */
static struct fm_net_accepted *stranger_to_go(struct fm_net *n, size_t *strangers)
{
    struct fm_net_accepted *worst = NULL;
    size_t worst_count = 0;
    *strangers = 0;
    for (size_t i = 0; i < FM_NET_ACCEPTED_MAX; i++) {
        struct fm_net_accepted *a = &n->accepted[i];
        if (a->fd < 0 || a->known)
            continue;
        size_t same = 0;
        for (size_t j = 0; j < FM_NET_ACCEPTED_MAX; j++)
            same += n->accepted[j].fd >= 0 && !n->accepted[j].known && memcmp(n->accepted[j].address, a->address, 16) == 0;
        (*strangers)++;
        if (same > worst_count || (same == worst_count && worst != NULL && a->since_ms < worst->since_ms)) {
            worst = a;
            worst_count = same;
        }
    }
    return worst;
}

static void on_accepted(struct fm_net *n, int fd)
{
    struct fm_net_accepted *a = accepted_of(n, fd);
    if (a == NULL)
        a = accepted_of(n, -1);
    if (a == NULL) { /* 256 connections stand: no room even to watch it */
        fm_net_tcp_shut(fd);
        return;
    }
    accepted_free(a);
    *a = (struct fm_net_accepted){.fd = fd, .twin = fcntl(fd, F_DUPFD_CLOEXEC, 3), .since_ms = n->now_ms};
    address_of(fd, a->address);
    size_t strangers;
    struct fm_net_accepted *go = stranger_to_go(n, &strangers);
    if (strangers > FM_HANDSHAKES_MAX && go != NULL) {
        fm_net_tcp_shut(go->fd);
        accepted_free(go);
    }
}

static void on_disconnected(struct fm_net *n, int fd)
{
    struct fm_net_accepted *a = accepted_of(n, fd);
    bool by_libzmq = a != NULL && fm_net_tcp_stands(a->twin);
    if (a != NULL)
        accepted_free(a);
    for (size_t i = 0; i < FM_NET_CONNS_MAX; i++) {
        struct fm_net_conn *c = &n->conns[i];
        if (!c->dealer && c->state == FM_NET_OPEN && c->fd == fd) {
            /* libzmq ends it where a frame is larger than Z1 allows or no CURVE message; or where no heartbeat comes */
            bool fault = by_libzmq && n->now_ms - c->heard_ms < FM_SOCKET_HEARTBEAT_TIMEOUT_MS;
            c->fd = -1; /* closed already: another connection may have its number */
            if (fault)
                fm_net_refused(n, &c->key, "bad-frame");
            fm_net_conn_end(n, c, fault ? "bad-frame" : "lost");
        }
    }
}

void fm_net_router_events(struct fm_net *n)
{
    uint16_t event;
    int32_t value;
    while (fm_socket_event(n->router_monitor, &event, &value)) {
        if (event == ZMQ_EVENT_ACCEPTED)
            on_accepted(n, value);
        else if (event == ZMQ_EVENT_DISCONNECTED)
            on_disconnected(n, value);
        else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL || event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
            fm_net_refused(n, NULL, "no-handshake"); /* garbage, a flood's or too slow; ZAP's own no is counted there */
        else if (event == ZMQ_EVENT_ACCEPT_FAILED && ++n->accept_failed > ACCEPT_FAILURES_MAX && n->rebind_ms == 0) {
            /* no descriptors: the listener would spin (Z13) */
            zmq_unbind(n->router, n->endpoint);
            n->rebind_ms = n->now_ms + 1000;
            fm_net_refused(n, NULL, "too-many-peers");
        }
    }
}

void fm_net_router_watch(struct fm_net *n)
{
    if (n->rebind_ms != 0 && n->now_ms >= n->rebind_ms) {
        n->rebind_ms = zmq_bind(n->router, n->endpoint) == 0 ? 0 : n->now_ms + 1000;
        n->accept_failed = 0;
    }
    if (n->now_ms - n->accept_failed_ms > 1000) {
        n->accept_failed_ms = n->now_ms;
        n->accept_failed = 0;
    }
    for (size_t i = 0; i < FM_NET_ACCEPTED_MAX; i++) {
        struct fm_net_accepted *a = &n->accepted[i];
        if (a->fd < 0 || a->known)
            continue;
        bool flood = fm_net_tcp_received(a->fd) > FM_NET_UNDELIVERED_BYTES_MAX;
        if (flood || n->now_ms - a->since_ms > ADMIT_MS_MAX) {
            fm_net_refused(n, NULL, flood ? "too-large" : "no-handshake");
            fm_net_tcp_shut(a->fd);
            accepted_free(a);
        }
    }
}

/* --- the messages above --- */

static struct fm_net_conn *conn_of(struct fm_net *n, const uint8_t *route)
{
    for (size_t i = 0; i < FM_NET_CONNS_MAX; i++) {
        struct fm_net_conn *c = &n->conns[i];
        if (!c->dealer && c->state != FM_NET_FREE && memcmp(c->route, route, FM_NET_ROUTE_BYTES) == 0)
            return c;
    }
    return NULL;
}

/* Makes room by the peers' own behaviour: a key's oldest connection past its share, then whoever was silent longest. */
static bool make_room(struct fm_net *n, const struct fm_key *key)
{
    size_t of_key = 0, all = 0;
    struct fm_net_conn *oldest_of_key = NULL, *idlest = NULL;
    for (size_t i = 0; i < FM_NET_CONNS_MAX; i++) {
        struct fm_net_conn *c = &n->conns[i];
        if (c->dealer || c->state != FM_NET_OPEN)
            continue;
        all++;
        idlest = idlest == NULL || c->heard_ms < idlest->heard_ms ? c : idlest;
        if (fm_id_eq(&c->key, key)) {
            of_key++;
            oldest_of_key = oldest_of_key == NULL || c->since_ms < oldest_of_key->since_ms ? c : oldest_of_key;
        }
    }
    if (of_key >= FM_NET_CONNS_PER_KEY_MAX) {
        fm_net_conn_end(n, oldest_of_key, "replaced");
        return true;
    }
    if (all < FM_PEERS_MAX)
        return true;
    if (n->now_ms - idlest->heard_ms <= FM_SESSION_IDLE_MS)
        return false;
    fm_net_conn_end(n, idlest, "idle");
    return true;
}

static struct fm_net_conn *welcome(struct fm_net *n, const uint8_t *route, const struct fm_key *key, int fd)
{
    fm_net_router_events(n); /* what happened below before this message came out */
    struct fm_net_accepted *a = fd >= 0 ? accepted_of(n, fd) : NULL;
    if (a == NULL)
        return NULL; /* its connection is gone, or was shut */
    if (!fm_zap_admits(n->zap, key)) {
        fm_net_refused(n, key, "no-grant");
        fm_net_tcp_shut(fd);
        return NULL;
    }
    struct fm_net_conn *c = make_room(n, key) ? fm_net_conn_new(n, false) : NULL;
    if (c == NULL) {
        fm_net_refused(n, key, "too-many-peers");
        fm_net_tcp_shut(fd);
        return NULL;
    }
    c->state = FM_NET_OPEN;
    c->number = FM_NET_CONN_FIRST | n->number_next;
    n->number_next = (n->number_next + 1) & 0x7fffffffu;
    c->key = *key;
    c->fd = fd;
    memcpy(c->route, route, FM_NET_ROUTE_BYTES);
    a->known = true;
    fm_net_tell(n, &(struct fm_link_message){.kind = FM_LINK_UP, .conn = c->number, .key = c->key});
    return c;
}

static void on_message(struct fm_net *n, const uint8_t *route, int route_len, zmq_msg_t *body, size_t frames)
{
    struct fm_key key;
    const char *user = zmq_msg_gets(body, "User-Id"); /* from the body: 4.3.4 may lose the first frame's (Z8) */
    const int fd = zmq_msg_get(body, ZMQ_SRCFD);
    if (user == NULL || !fm_zap_unhex(&key, user)) {
        fm_net_tcp_shut(fd);
        return;
    }
    if (route_len != FM_NET_ROUTE_BYTES || route[0] != 0) {
        fm_net_refused(n, &key, "routing-id");
        fm_net_tcp_shut(fd);
        return;
    }
    struct fm_net_conn *c = conn_of(n, route);
    if (c == NULL)
        c = welcome(n, route, &key, fd);
    if (c == NULL || c->state == FM_NET_DEAD)
        return;
    if (!fm_id_eq(&c->key, &key)) { /* a routing id belongs to one key as long as it lives */
        fm_net_refused(n, &key, "routing-id");
        fm_net_conn_end(n, c, "routing-id");
        return;
    }
    fm_net_conn_heard(n, c, fm_span(zmq_msg_data(body), zmq_msg_size(body)), frames);
}

void fm_net_router_read(struct fm_net *n, size_t max)
{
    for (size_t i = 0; i < max && n->core.first == NULL; i++) {
        uint8_t route[256];
        int route_len = zmq_recv(n->router, route, sizeof route, ZMQ_DONTWAIT);
        if (route_len < 0)
            return; /* EAGAIN, or EINTR: the next round */
        zmq_msg_t first, rest;
        zmq_msg_init(&first);
        size_t frames = 0;
        int more = 1;
        size_t len = sizeof more;
        while (zmq_getsockopt(n->router, ZMQ_RCVMORE, &more, &len) == 0 && more) {
            zmq_msg_init(&rest);
            if (zmq_msg_recv(&rest, n->router, ZMQ_DONTWAIT) < 0)
                break; /* cannot be: ROUTER hands out whole messages */
            if (frames++ == 0)
                zmq_msg_move(&first, &rest);
            zmq_msg_close(&rest);
        }
        if (frames > 0)
            on_message(n, route, route_len, &first, frames);
        zmq_msg_close(&first);
    }
}
