#include "node/socket.h"

#include <errno.h>
#include <zmq.h>

#include "crypto/crypto.h"
#include "replication/bounds.h"
#include "replication/error.h"

int fm_socket_public(struct fm_key *out, const struct fm_key *secret)
{
    char text[41], public_text[41];
    int rc = zmq_z85_encode(text, secret->b, FM_KEY_BYTES) != NULL && zmq_curve_public(public_text, text) == 0 &&
                     zmq_z85_decode(out->b, public_text) != NULL
                 ? FM_OK
                 : FM_EIO;
    fm_crypto_wipe(text, sizeof text);
    return rc;
}

int fm_socket_keypair(struct fm_key *public_key, struct fm_key *secret)
{
    char public_text[41], text[41];
    int rc = zmq_curve_keypair(public_text, text) == 0 && zmq_z85_decode(public_key->b, public_text) != NULL &&
                     zmq_z85_decode(secret->b, text) != NULL
                 ? FM_OK
                 : FM_EIO;
    fm_crypto_wipe(text, sizeof text);
    return rc;
}

static bool set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}
static bool set_key(void *socket, int option, const struct fm_key *key)
{
    return zmq_setsockopt(socket, option, key->b, FM_KEY_BYTES) == 0; /* 32 bytes: binary, never Z85 (Z23) */
}

static bool set_all(void *socket, const struct fm_socket_keys *keys, bool ipv6)
{
    const int64_t frame_max = FM_FRAME_BYTES_MAX;
    bool server = keys->server == NULL;
    bool ok = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) == 0 &&     /* Z1 */
              set_int(socket, ZMQ_SNDHWM, FM_SOCKET_HWM) &&                                    /* Z6 */
              set_int(socket, ZMQ_RCVHWM, FM_SOCKET_HWM) &&                                    /* Z6 */
              set_int(socket, ZMQ_LINGER, 0) &&                                                /* Z5 */
              set_int(socket, ZMQ_IMMEDIATE, 1) &&                                             /* Z9 */
              set_int(socket, ZMQ_HEARTBEAT_IVL, FM_SOCKET_HEARTBEAT_MS) &&                    /* Z10 */
              set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, FM_SOCKET_HEARTBEAT_TIMEOUT_MS) &&        /* Z10 */
              set_int(socket, ZMQ_HEARTBEAT_TTL, FM_SOCKET_HEARTBEAT_TIMEOUT_MS) &&            /* Z10 */
              set_int(socket, ZMQ_TCP_MAXRT, FM_SOCKET_HEARTBEAT_TIMEOUT_MS) &&                /* Z10 */
              set_int(socket, ZMQ_HANDSHAKE_IVL, FM_HANDSHAKE_MS_MAX) &&                       /* Z12 */
              set_int(socket, ZMQ_CONNECT_TIMEOUT, FM_HANDSHAKE_MS_MAX) &&                     /* Z11 */
              set_int(socket, ZMQ_RECONNECT_IVL, -1) && /* Z11: a lost DEALER is closed; the loop waits and dials again */
              set_int(socket, ZMQ_RCVBUF, FM_SOCKET_RECEIVE_BYTES) && /* bounds what the kernel holds per stranger */
              set_int(socket, ZMQ_BACKLOG, (int)FM_PEERS_MAX) && set_int(socket, ZMQ_IPV6, ipv6 ? 1 : 0) &&
              zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, FM_SOCKET_ZAP_DOMAIN, sizeof FM_SOCKET_ZAP_DOMAIN - 1) == 0 && /* Z3 */
              set_int(socket, FM_SOCKET_ZAP_ENFORCE_DOMAIN, 1) &&                                                   /* Z3 */
              set_int(socket, ZMQ_CURVE_SERVER, server ? 1 : 0) && set_key(socket, ZMQ_CURVE_SECRETKEY, &keys->own_secret);
    if (ok && server)
        ok = set_int(socket, ZMQ_ROUTER_MANDATORY, 1); /* Z7; neither a routing id nor handover is ever set (Z8) */
    else if (ok)
        ok = set_key(socket, ZMQ_CURVE_PUBLICKEY, &keys->own_public) && set_key(socket, ZMQ_CURVE_SERVERKEY, keys->server);
    return ok;
}

void *fm_socket_new(void *context, const struct fm_socket_keys *keys, bool ipv6)
{
    void *socket = zmq_socket(context, keys->server == NULL ? ZMQ_ROUTER : ZMQ_DEALER);
    if (socket != NULL && !set_all(socket, keys, ipv6)) {
        fm_socket_close(socket, NULL);
        socket = NULL;
    }
    return socket;
}

void *fm_socket_monitor(void *context, void *socket, uint32_t number)
{
    char name[48];
    snprintf(name, sizeof name, "inproc://monitor-%u", (unsigned)number);
    const int events = ZMQ_EVENT_ALL;
    if (zmq_socket_monitor(socket, name, events) != 0)
        return NULL;
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    if (monitor != NULL && (!set_int(monitor, ZMQ_LINGER, 0) || zmq_connect(monitor, name) != 0)) {
        zmq_close(monitor);
        monitor = NULL;
    }
    if (monitor == NULL)
        zmq_socket_monitor(socket, NULL, 0);
    return monitor;
}

bool fm_socket_event(void *monitor, uint16_t *event, int32_t *value)
{
    uint8_t frame[16];
    int got;
    do
        got = zmq_recv(monitor, frame, sizeof frame, ZMQ_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return false;
    if (got >= 6) {
        memcpy(event, frame, sizeof *event); /* native order, says zmq_socket_monitor(3) */
        memcpy(value, frame + 2, sizeof *value);
    } else {
        *event = 0;
        *value = 0;
    }
    int more = 0;
    size_t len = sizeof more;
    while (zmq_getsockopt(monitor, ZMQ_RCVMORE, &more, &len) == 0 && more) { /* the address */
        char address[256];
        if (zmq_recv(monitor, address, sizeof address, ZMQ_DONTWAIT) < 0 && errno != EINTR)
            break;
    }
    return true;
}

void fm_socket_close(void *socket, void *monitor)
{
    if (socket != NULL && monitor != NULL)
        zmq_socket_monitor(socket, NULL, 0);
    if (monitor != NULL)
        zmq_close(monitor);
    if (socket != NULL)
        zmq_close(socket);
}
