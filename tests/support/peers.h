/* Cores on memory stores, joined by links in the test: messages wait in queues until the test delivers them, in order
 * per link and direction, in any order between links. Effects obey the law of core.h: SENDs leave after the turn.
 *
 * Members: node 0 is a coordinator; its lane-0 sets grant the others, the root's the coordinators. Sets are made by hand and taken in at any node. */
#ifndef FM_TESTS_PEERS_H
#define FM_TESTS_PEERS_H

#include "replication/core.h"
#include "tests/support/fake_crypto.h"
#include "tests/support/memory.h"

#define FM_PEERS_NODES 5
#define FM_PEERS_LINKS 8
#define FM_PEERS_QUEUE 4096

struct fm_company_message {
    uint8_t *data;
    size_t len;
};
struct fm_company_queue {
    struct fm_company_message *at; /* FM_PEERS_QUEUE of them; NULL: nothing was ever posted */
    size_t first, count;
};
/* A writer of sets: a device's stream, which a test may fork by copying it. */
struct fm_company_author {
    struct fm_fake_device device;
    struct fm_grant_id grant;
    bool root;
    struct fm_stream stream;
    uint64_t sequence, time, epoch;
    struct fm_set_id last;
};
struct fm_company_node {
    struct fm_fake_device device;
    struct fm_crypto crypto;
    struct fm_self self;
    struct fm_memory *store;
    struct fm_repl *core;
    struct fm_company_author lanes[2]; /* what this node's owner writes by hand */
    int taken;                       /* of the last FM_REPORT_TAKEN */
    uint64_t refused_count;
    const char *refused;             /* the last FM_REPORT_REFUSED */
    int refused_rc;                  /* what the sink says to that report */
    const char *dropped;             /* the last FM_DO_DROP */
    uint64_t drops;
};
struct fm_company_link {
    bool up;
    int end[2];            /* nodes; 0 is the initiator */
    uint32_t conn[2];      /* at each end */
    struct fm_company_queue to[2]; /* messages on their way to that end */
    uint64_t sent[2], bytes[2], kinds[2][16]; /* from that end, since it came up */
    uint64_t sets_sent[2];
    bool resent;           /* a set was sent that had been acknowledged on any link of these two */
};
struct fm_peers {
    struct fm_mesh_id mesh;
    struct fm_company_author root;
    struct fm_company_node nodes[FM_PEERS_NODES];
    int count;
    struct fm_company_link links[FM_PEERS_LINKS];
    int link_count;
    uint32_t conn_next;
    uint64_t now_ms, steady_ms, seed, events;
    struct fm_seen *seen;  /* sets sent, and whether they were acknowledged */
    size_t seen_count, seen_cap;
};

/* roles: of nodes 0 … count-1; node 0 must be a coordinator. All nodes hold all grants. */
void fm_company_init(struct fm_peers *p, const uint8_t *roles, int count, uint64_t seed);
void fm_company_fini(struct fm_peers *p);
/* The same company once more, on copies of the stores and with cores that start anew: its first `count` nodes, the others are
 * members without a core. `from` has no links. For who needs one world many times: most of fm_company_init is spared. */
void fm_company_copy(struct fm_peers *to, const struct fm_peers *from, int count);
/* One set of the author with `changes` creates of fresh records (lane 1), taken in at node n. Returns the TAKEN error. */
int fm_company_write(struct fm_peers *p, struct fm_company_author *author, int n, uint32_t changes);
/* The node is revoked by node 0, a coordinator by the root, cut at nothing; taken in at node n. */
int fm_company_revoke(struct fm_peers *p, int target, int n);
int fm_company_take(struct fm_peers *p, int n, struct fm_span bytes);
/* Any event at a node, with its turn end. */
int fm_company_event(struct fm_peers *p, int n, struct fm_event event);
void fm_company_restart(struct fm_peers *p, int n); /* a new core on the same store; its links must be cut */

int fm_company_connect(struct fm_peers *p, int a, int b); /* a link; a opened it */
void fm_company_cut(struct fm_peers *p, int link);        /* messages on their way are lost */
/* Delivers one message from a queue drawn at random; false: none is waiting. */
bool fm_company_deliver(struct fm_peers *p);
/* The first message on its way to this end of a link; false: none is. */
bool fm_company_deliver_to(struct fm_peers *p, struct fm_company_link *link, int end);
/* Delivers all; the number. Fails the test if it does not come to rest. */
size_t fm_company_run(struct fm_peers *p);
void fm_company_tick(struct fm_peers *p, uint64_t ms); /* time passes, then a TICK at each node */
bool fm_company_in_step(const struct fm_peers *p, int link);
bool fm_company_same(struct fm_peers *p, int a, int b); /* equal digests of sets and state */
uint64_t fm_company_rand(struct fm_peers *p);

#endif
