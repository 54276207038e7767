#include "node/net.h"

#include <errno.h>
#include <zmq.h>

#include "crypto/crypto.h"
#include "replication/error.h"

static void down(struct fm_net *n, uint32_t number, const char *reason)
{
    fm_net_tell(n, &(struct fm_link_message){.kind = FM_LINK_DOWN, .conn = number, .bytes = fm_span_str(reason)});
}

void fm_net_dial(struct fm_net *n, uint32_t number, const struct fm_key *server, struct fm_span endpoint)
{
    char text[128];
    if (number == 0 || number >= FM_NET_CONN_FIRST || fm_net_conn_find(n, number) != NULL || endpoint.len >= sizeof text ||
        endpoint.len < 7 || memcmp(endpoint.data, "tcp://", 6) != 0) { /* Z21 */
        down(n, number, "endpoint");
        return;
    }
    memcpy(text, endpoint.data, endpoint.len);
    text[endpoint.len] = '\0';
    struct fm_net_conn *c = fm_net_conn_new(n, true);
    if (c == NULL) {
        down(n, number, "too-many-peers");
        return;
    }
    struct fm_socket_keys keys = n->keys;
    keys.server = server;
    c->number = number;
    c->key = *server;
    c->state = FM_NET_DIALLING;
    c->socket = fm_socket_new(n->zmq, &keys, text[6] == '[');
    c->monitor = c->socket == NULL ? NULL : fm_socket_monitor(n->zmq, c->socket, n->monitor_next++);
    fm_crypto_wipe(&keys, sizeof keys);
    if (c->monitor == NULL || zmq_connect(c->socket, text) != 0)
        fm_net_conn_end(n, c, "endpoint");
}

/* What an event means for a connection that is being made or stands; NULL: nothing ends. */
static const char *end_of(const struct fm_net_conn *c, uint16_t event)
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: return "refused";
    case ZMQ_EVENT_DISCONNECTED: return c->state == FM_NET_OPEN ? "lost" : "refused";
    case ZMQ_EVENT_CLOSED:
    case ZMQ_EVENT_CONNECT_RETRIED: return c->state == FM_NET_OPEN ? "lost" : c->fd >= 0 ? "refused" : "peer-unreachable";
    default: return NULL;
    }
}

void fm_net_dealer_events(struct fm_net *n, struct fm_net_conn *c)
{
    uint16_t event;
    int32_t value;
    while (c->monitor != NULL && fm_socket_event(c->monitor, &event, &value)) {
        const char *reason = end_of(c, event);
        if (reason != NULL) {
            fm_net_conn_end(n, c, reason);
        } else if (event == ZMQ_EVENT_CONNECTED) {
            c->fd = value;
        } else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED && c->state == FM_NET_DIALLING) {
            c->state = FM_NET_OPEN;
            c->heard_ms = n->now_ms;
            fm_net_tell(n, &(struct fm_link_message){
                               .kind = FM_LINK_UP, .conn = c->number, .key = c->key, .initiator = true});
            fm_net_conn_flush(n, c);
        }
    }
}

void fm_net_dealer_read(struct fm_net *n, struct fm_net_conn *c, size_t max)
{
    for (size_t i = 0; i < max && c->state == FM_NET_OPEN && n->core.first == NULL; i++) {
        zmq_msg_t first, rest;
        zmq_msg_init(&first);
        if (zmq_msg_recv(&first, c->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&first);
            return;
        }
        size_t frames = 1, len = sizeof(int);
        int more;
        while (zmq_getsockopt(c->socket, ZMQ_RCVMORE, &more, &len) == 0 && more) {
            zmq_msg_init(&rest);
            int got = zmq_msg_recv(&rest, c->socket, ZMQ_DONTWAIT);
            zmq_msg_close(&rest);
            if (got < 0)
                break;
            frames++;
        }
        fm_net_conn_heard(n, c, fm_span(zmq_msg_data(&first), zmq_msg_size(&first)), frames);
        zmq_msg_close(&first);
    }
}

/* An address to reach ourselves at: a wildcard becomes loopback. */
static void own_address(const struct fm_net *n, char out[128])
{
    const char *port = strrchr(n->endpoint, ':');
    if (strncmp(n->endpoint, "tcp://0.0.0.0:", 14) == 0)
        snprintf(out, 128, "tcp://127.0.0.1%s", port);
    else if (strncmp(n->endpoint, "tcp://[::]:", 11) == 0)
        snprintf(out, 128, "tcp://[::1]%s", port);
    else
        snprintf(out, 128, "%s", n->endpoint);
}

int fm_net_self_test(struct fm_net *n)
{
    struct fm_socket_keys keys = {.server = &n->keys.own_public};
    char address[128];
    if (fm_socket_keypair(&keys.own_public, &keys.own_secret) != FM_OK)
        return FM_EIO;
    fm_zap_quiet(n->zap, &keys.own_public);
    own_address(n, address);
    void *socket = fm_socket_new(n->zmq, &keys, n->ipv6);
    void *monitor = socket == NULL ? NULL : fm_socket_monitor(n->zmq, socket, n->monitor_next++);
    int rc = FM_EIO;
    if (monitor != NULL && zmq_connect(socket, address) == 0) {
        /* CURVE and ZAP work in libzmq's own threads: nothing of ours is needed on the server's side */
        zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
        bool done = false;
        for (int tries = 0; tries < 2 * (int)FM_HANDSHAKE_MS_MAX / 100 && !done; tries++) {
            uint16_t event;
            int32_t value;
            zmq_poll(&item, 1, 100);
            while (!done && fm_socket_event(monitor, &event, &value)) {
                done = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED || event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
                rc = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED     ? FM_EKEY
                     : event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? FM_OK
                                                                : rc;
            }
        }
    }
    fm_socket_close(socket, monitor);
    return rc;
}
