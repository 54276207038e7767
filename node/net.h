/* Inside of the net process: its state, and what its files offer each other. Included by node/net*.c only. */
#ifndef FM_NODE_NET_H
#define FM_NODE_NET_H

#include "node/link.h"
#include "node/queue.h"
#include "node/socket.h"
#include "node/zap.h"

/* Connections: 64 we dialled, 64 that came in, 64 that came in and are ignored until they are gone. */
#define FM_NET_CONNS_MAX (3u * FM_PEERS_MAX)
#define FM_NET_ACCEPTED_MAX 256u
#define FM_NET_CONNS_PER_KEY_MAX 4u
/* Bytes TCP took in on one connection without one whole message coming out: more than libzmq's queue (HWM + 1 frames) and
 * the kernel's buffer can hold means a message without end (TRAPS Z2). */
#define FM_NET_UNDELIVERED_BYTES_MAX (8u * 1024u * 1024u)
#define FM_NET_WATCH_MS 100u
#define FM_NET_RETRY_MS 20u
#define FM_NET_MEMORY_MS 5000u
#define FM_NET_DEAD_MS 60000u
/* Connections that came in are numbered from here on by net; those we dial are numbered below it by the core. */
#define FM_NET_CONN_FIRST 0x80000000u
#define FM_NET_ROUTE_BYTES 5 /* what ROUTER generates: a zero and four bytes; a peer's own choice is refused (Z8) */

enum fm_net_state { FM_NET_FREE = 0, FM_NET_DIALLING, FM_NET_OPEN, FM_NET_DEAD };
struct fm_net_conn {
    enum fm_net_state state;
    uint32_t number;
    bool dealer;
    struct fm_key key;              /* whom the handshake proved */
    void *socket, *monitor;         /* dealer */
    uint8_t route[FM_NET_ROUTE_BYTES]; /* router */
    int fd;                         /* TCP socket below, or -1 */
    uint64_t tcp_base;              /* bytes it had taken in when the last whole message came out */
    uint64_t since_ms, heard_ms;
    unsigned strikes;
    struct fm_queue out;            /* what ZeroMQ would not take yet */
};
/* TCP connections of the listener; a stranger until its first message came out. */
struct fm_net_accepted {
    int fd;   /* libzmq's; -1: free */
    int twin; /* ours, of the same socket: tells how it ended; -1: none left */
    bool known;
    uint64_t since_ms;
    uint8_t address[16];
};

struct fm_net {
    int link;
    void *zmq;
    struct fm_zap *zap;
    void *router, *router_monitor;
    struct fm_socket_keys keys;
    char endpoint[128];             /* asked for, later as bound */
    bool ipv6;
    uint64_t now_ms, watch_ms, memory_ms, accept_failed_ms, rebind_ms;
    unsigned accept_failed;
    uint32_t number_next, monitor_next;
    struct fm_queue core;           /* messages to the core that the link would not take yet */
    struct fm_net_conn conns[FM_NET_CONNS_MAX];
    struct fm_net_accepted accepted[FM_NET_ACCEPTED_MAX];
    uint8_t *buffer;                /* FM_LINK_BYTES_MAX */
};

/* --- net.c --- */
void fm_net_tell(struct fm_net *n, const struct fm_link_message *m); /* to the core; waits in n->core if the link is full */
void fm_net_refused(struct fm_net *n, const struct fm_key *key, const char *reason);
_Noreturn void fm_net_die(struct fm_net *n, const char *reason); /* FM_LINK_DOWN of connection 0, then the end */

/* --- net_conn.c: both directions --- */
struct fm_net_conn *fm_net_conn_new(struct fm_net *n, bool dealer); /* NULL: as many as may be */
struct fm_net_conn *fm_net_conn_find(struct fm_net *n, uint32_t number);
/* Ends it here: a dealer's socket is closed, a router's TCP connection shut down and its messages ignored. reason NULL: the
 * core knows (it dropped it); else FM_LINK_DOWN is sent. */
void fm_net_conn_end(struct fm_net *n, struct fm_net_conn *c, const char *reason);
void fm_net_conn_send(struct fm_net *n, struct fm_net_conn *c, const struct fm_link_message *m);
void fm_net_conn_flush(struct fm_net *n, struct fm_net_conn *c);
/* One whole message that came out of a socket: its first body frame and how many there were. */
void fm_net_conn_heard(struct fm_net *n, struct fm_net_conn *c, struct fm_span body, size_t frames);
uint64_t fm_net_tcp_received(int fd); /* bytes so far; 0 if unknown */
bool fm_net_tcp_stands(int fd);       /* neither side has ended it */
void fm_net_tcp_shut(int fd);
void fm_net_conn_allow_changed(struct fm_net *n); /* ends those that the allow-list no longer has */
void fm_net_conn_watch(struct fm_net *n);         /* deadlines and messages without end */

/* --- net_router.c: who comes in --- */
int fm_net_router_open(struct fm_net *n); /* binds; n->endpoint becomes what is bound. 0, FM_EIO (errno says) */
void fm_net_router_events(struct fm_net *n);
void fm_net_router_read(struct fm_net *n, size_t max);
void fm_net_router_watch(struct fm_net *n);

/* --- net_dealer.c: whom we dial --- */
void fm_net_dial(struct fm_net *n, uint32_t number, const struct fm_key *server, struct fm_span endpoint);
void fm_net_dealer_events(struct fm_net *n, struct fm_net_conn *c);
void fm_net_dealer_read(struct fm_net *n, struct fm_net_conn *c, size_t max);
/* Dials ourselves with a key nobody knows. 0: refused, as it must be; FM_EKEY: let in; FM_EIO: no answer. */
int fm_net_self_test(struct fm_net *n);

/* --- cage.c: what the net process may not do --- */
void fm_cage_close_all(int keep_fd); /* every descriptor but 0, 1, 2 and keep_fd */
void fm_cage_enter(void);            /* limits, no core file, no new privileges, no file writes where Landlock is there */
size_t fm_cage_resident_bytes(void);

#endif
