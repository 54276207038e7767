/* Inside of the running node: its state, and what its files offer each other (loop.c, transport.c, peers.c, runtime.c). */
#ifndef FM_NODE_RUNTIME_H
#define FM_NODE_RUNTIME_H

#include <sys/types.h>

#include "node/control.h"
#include "node/keeper.h"
#include "node/link.h"
#include "node/loop.h"
#include "node/queue.h"

#define FM_CONTACTS_MAX (2u * FM_PEERS_MAX)
#define FM_RUNTIME_PEERS_MAX (FM_CONFIG_PEERS_MAX + FM_PEERS_MAX)
#define FM_RUNTIME_REQUESTS_PER_TURN 32u
#define FM_RUNTIME_REFUSALS_MAX 32u
#define FM_REDIAL_MS_MIN 500u
#define FM_REDIAL_MS_MAX 60000u
#define FM_REDIAL_STEADY_MS 10000u /* a connection that stood this long starts the waits from the beginning */
#define FM_NET_RESTART_MS_MIN 100u
#define FM_NET_RESTART_MS_MAX 10000u
#define FM_CORE_CONN_LAST 0x7fffffffu /* ours are numbered below net's (net.h) */

/* A connection that stands, or stood and is still to be told to the core. */
enum fm_contact_state { FM_CONTACT_FREE = 0, FM_CONTACT_UP, FM_CONTACT_GONE };
struct fm_contact {
    enum fm_contact_state state;
    uint32_t conn;
    bool initiator, sync_wanted;
    struct fm_key key;
    uint64_t since_ms, seen_ms; /* steady; wall */
    struct fm_queue out;        /* session messages that the link would not take yet */
};
/* Whom we dial: configured, or for now. */
struct fm_dial {
    bool used, temporary, paused;
    char who[FM_NAME_BYTES_MAX + 1]; /* name or fingerprint */
    char endpoint[128];
    uint32_t conn;                   /* 0: neither dialling nor connected by this one */
    bool dialling;
    uint64_t next_ms, wait_ms;       /* steady */
    uint64_t seen_ms;                /* wall; 0: never in this run */
    char error[32];                  /* why the last try failed */
};
struct fm_refusal {
    char reason[32];
    uint64_t count;
};

struct fm_runtime {
    struct fm_node *node;
    struct fm_control *control;
    struct fm_keeper keeper;
    int signal_fd;
    uint64_t now_ms, tick_ms;        /* steady */
    bool json, quiet, stopping;
    int failed;                      /* why the loop must end: FM_E…, 0 */
    uint64_t stop_ms;                /* answers may still leave until then */
    /* transport.c */
    int link;                        /* -1: no net process */
    pid_t net_pid;
    bool net_ready, net_was_ready;
    char endpoint[128];              /* bound; before: asked for */
    char net_error[32];
    uint64_t net_restarts, net_memory_bytes, net_since_ms, net_next_ms, net_wait_ms;
    struct fm_queue out;             /* orders to net; session bytes wait with their contact */
    size_t out_turn;
    bool members_stale;
    uint32_t conn_last;
    uint64_t bytes_sent, bytes_received; /* session messages, since the start */
    uint8_t *buffer;
    struct fm_contact contacts[FM_CONTACTS_MAX];
    /* peers.c */
    struct fm_dial dials[FM_RUNTIME_PEERS_MAX];
    struct fm_refusal refusals[FM_RUNTIME_REFUSALS_MAX];
};

uint64_t fm_runtime_steady_ms(void);
void fm_runtime_refused(struct fm_runtime *rt, const char *reason); /* counts */

/* --- transport.c: the net process and what stands on it --- */
int fm_transport_start(struct fm_runtime *rt); /* 0 or FM_EIO */
void fm_transport_tick(struct fm_runtime *rt); /* starts net again when its wait is over; the allow-list; flushes */
void fm_transport_flush(struct fm_runtime *rt);
bool fm_transport_waiting(const struct fm_runtime *rt); /* something to send once the link takes it */
/* One message of net's. 0: *out is for the core (MESSAGE, or UP that was accepted); FM_EBUSY: nothing there now; FM_EEXISTS:
 * it was dealt with here. */
int fm_transport_receive(struct fm_runtime *rt, struct fm_link_message *out);
void fm_transport_order(struct fm_runtime *rt, const struct fm_link_message *m); /* START, ALLOW, CONNECT, DROP */
void fm_transport_send(struct fm_runtime *rt, uint32_t conn, struct fm_span message);
/* Drops a connection: net is told, and, if tell_core, the core in its next turn. */
void fm_transport_drop(struct fm_runtime *rt, struct fm_contact *c, const char *reason, bool tell_core);
void fm_transport_drop_all(struct fm_runtime *rt); /* the core lost its sessions */
struct fm_contact *fm_transport_contact(struct fm_runtime *rt, uint32_t conn);
struct fm_contact *fm_transport_contact_of(struct fm_runtime *rt, const struct fm_key *key); /* up */
void fm_transport_free(struct fm_runtime *rt, struct fm_contact *c);

/* --- peers.c --- */
void fm_peers_load(struct fm_runtime *rt);             /* from the config */
void fm_peers_tick(struct fm_runtime *rt);             /* dials whoever is due */
uint64_t fm_peers_due_ms(const struct fm_runtime *rt); /* the next time fm_peers_tick has something to do; UINT64_MAX */
void fm_peers_up(struct fm_runtime *rt, uint32_t conn);
void fm_peers_down(struct fm_runtime *rt, uint32_t conn, const char *reason, uint64_t stood_ms);
void fm_peers_members_changed(struct fm_runtime *rt);

/* --- runtime.c: what the running node says of itself --- */
int fm_runtime_write(struct fm_runtime *rt);   /* run.json */
void fm_runtime_say(struct fm_runtime *rt);    /* the lines at the start */

#endif
