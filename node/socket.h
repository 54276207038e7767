/* One place that sets the options of a ZeroMQ socket, all of them, before bind or connect (TRAPS Z1-Z12, Z23). */
#ifndef FM_NODE_SOCKET_H
#define FM_NODE_SOCKET_H

#include "replication/types.h"

#define FM_SOCKET_HWM 16
#define FM_SOCKET_HEARTBEAT_MS 10000
#define FM_SOCKET_HEARTBEAT_TIMEOUT_MS 30000
#define FM_SOCKET_RECEIVE_BYTES (1024 * 1024)
#define FM_SOCKET_ZAP_DOMAIN "fieldmesh"
#define FM_SOCKET_ZAP_ENFORCE_DOMAIN 93 /* ZMQ_ZAP_ENFORCE_DOMAIN, which zmq.h shows to draft builds only */

struct fm_socket_keys {
    struct fm_key own_public, own_secret;
    const struct fm_key *server; /* the server's public key (a client); NULL: this is the server */
};
/* Secret -> its public half. 0 or FM_EIO (libzmq without CURVE). */
int fm_socket_public(struct fm_key *out, const struct fm_key *secret);
/* A fresh pair for the self-test. 0 or FM_EIO. */
int fm_socket_keypair(struct fm_key *public_key, struct fm_key *secret);

/* A ROUTER (server) or DEALER (client) of `context` with all options set; not yet bound or connected. ipv6: the endpoint
 * is a v6 address. NULL if libzmq refuses any of them. */
void *fm_socket_new(void *context, const struct fm_socket_keys *keys, bool ipv6);
/* A PAIR that hears the socket's events (ZMQ_EVENT_*); stopped by fm_socket_close. NULL: no memory or no socket left. */
void *fm_socket_monitor(void *context, void *socket, uint32_t number);
/* One event, if there is one: true, and its number and value. */
bool fm_socket_event(void *monitor, uint16_t *event, int32_t *value);
/* Closes the socket and its monitor (either may be NULL). */
void fm_socket_close(void *socket, void *monitor);

#endif
