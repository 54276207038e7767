/* A mesh in one process: the real core on memory stores, links, disks, clocks, people and foes, all drawn from one seed.
 *
 * The plan is a list of outside events (plan.c), each with a seed of its own, so that any subset of it is a run too: that is
 * how a failing seed is shrunk. What follows from an event (deliveries, ticks, restarts) stands in a heap; time is
 * virtual. */
#ifndef FM_TESTS_SIM_SIM_H
#define FM_TESTS_SIM_SIM_H

#include "crypto/crypto.h"
#include "replication/core.h"
#include "replication/error.h"
#include "replication/set.h"
#include "tests/sim/model.h"
#include "tests/support/fake_crypto.h"
#include "tests/support/memory.h"

#define SIM_NODES 32
#define SIM_LINKS 256
#define SIM_RECORDS 6
#define SIM_BACKUPS 2
#define SIM_HEAL_MS (6u * 3600u * 1000u) /* within this all that are connected must agree */
#define SIM_DAY_MS (24u * 3600u * 1000u)

#define MUST(call)            \
    do {                      \
        int rc_ = (call);     \
        assert(rc_ == FM_OK); \
        (void)rc_;            \
    } while (0)

/* --- drawing --- */
struct sim_rng { uint64_t s; };
uint64_t sim_draw(struct sim_rng *r, uint64_t below); /* 0 … below-1 */
bool sim_chance(struct sim_rng *r, uint64_t percent);
void sim_flip(struct sim_rng *r, uint8_t *data, size_t len); /* one bit */
uint64_t sim_spread(struct sim_rng *r, uint64_t mean); /* exponential-like, now and then 20 times the mean */

/* --- plan --- */
enum sim_kind {
    SIM_PEOPLE, SIM_DECIDE, SIM_CONTACT, SIM_CRASH, SIM_STOP, SIM_BACKUP, SIM_RESTORE, SIM_CLONE, SIM_FULL, SIM_CLOCK,
    SIM_CARRY, SIM_REPLAY, SIM_EPOCH, SIM_GRANT, SIM_REVOKE, SIM_ADOPT, SIM_ROOT, SIM_FOE, SIM_GARBAGE, SIM_CHECK, SIM_KINDS
};
struct sim_planned {
    uint64_t at, seed;
    uint8_t kind, node, other;
};
/* What this seed is about; strengths in percent or counts. */
struct sim_config {
    int nodes, coordinators, relays, withholder; /* withholder: a node, -1: none */
    bool real, sealed, policy, upgrades; /* upgrades: some nodes know kinds that others learn later */
    uint64_t days, delay_ms, tick_ms, contact_ms;
    int loss, oneway, half_open, shape;
    int weight[SIM_KINDS];
    int foe_tricks; /* which of them, as bits */
};
struct sim_plan {
    struct sim_config cfg;
    struct sim_planned *at;
    size_t count;
};
void sim_plan_make(struct sim_plan *p, uint64_t seed, int nodes_max, size_t events_max);
const char *sim_plan_name(int kind);

/* --- the mesh --- */
struct sim_device {
    struct fm_fake_device fake;
    struct fm_device real;
    struct fm_crypto crypto;
    struct fm_key author, transport, box;
};
struct sim_fresh { /* a set or statement of the running turn */
    struct fm_set_id id;
    uint8_t *bytes;
    size_t len;
    bool statement;
};
struct sim_node {
    bool there, up, foe, clone, gone; /* gone: revoked or expired by plan; foe: no core */
    bool twin;     /* another disk has, or had, this store's id and incarnation */
    int device;
    uint8_t role;
    struct fm_self self;
    struct fm_crypto crypto;
    struct fm_memory *store, *backups[SIM_BACKUPS];
    uint8_t *backup_held[SIM_BACKUPS];
    size_t backup_count[SIM_BACKUPS];
    struct fm_repl *core;
    int64_t clock_offset;
    uint64_t clock_frozen, steady_from, incarnations, rows;
    int doom;      /* -1: none; 0 … 99: rows of the next turn until the power goes; 100: before, 101: after the commit */
    uint64_t full_until;
    bool ticking;
    int taken;     /* of the last TAKE or ACT */
    struct fm_digest before[2]; /* at the last stop */
    uint64_t epoch_before;
    bool known_before;
    uint8_t (*acked)[24]; /* versions that people were told are kept */
    size_t acked_count, acked_cap;
    struct sim_fresh *fresh;
    size_t fresh_count, fresh_cap;
};
struct sim_message {
    uint8_t *data;
    size_t len;
    uint64_t due;
};
struct sim_queue {
    struct sim_message *at;
    size_t first, count, cap;
};
struct sim_link {
    bool up;
    uint64_t gen, delay_ms;
    int end[2];
    uint32_t conn[2]; /* 0: that end does not know of it (any more) */
    bool deaf[2];     /* what is sent to that end gets lost */
    int loss;         /* percent: a message that kills the connection */
    struct sim_queue to[2];
};
#define SIM_FOE_WRONG 4   /* the trick that writes, among other things, kinds of a later format */
#define SIM_KIND_NEW 90
enum sim_soon_kind { SOON_DELIVER, SOON_CUT, SOON_TICK, SOON_UP, SOON_DOWN };
struct sim_soon {
    uint64_t at, order, gen;
    uint8_t kind;
    int a;
    uint32_t b;
};
struct sim {
    uint64_t seed, now, order, gen, events, deliveries, turns, sets_made;
    uint32_t conn_next;
    bool verbose, healing;
    const struct sim_plan *plan;
    struct sim_rng rng; /* of the running event */
    struct fm_mesh_id mesh;
    struct fm_key data_key;
    struct sim_device devices[SIM_NODES + 2];
    struct sim_node nodes[SIM_NODES];
    int count;          /* nodes used */
    struct sim_link links[SIM_LINKS];
    struct sim_soon *soon;
    size_t soon_count, soon_cap;
    struct model model;
    uint64_t trace;
    struct sim_message overheard[32];
    size_t overheard_count;
    struct fm_arena arena; /* documents of the running event */
    struct foe_lane {
        struct fm_stream stream;
        uint64_t sequence, time, epoch;
        struct fm_set_id last;
        struct fm_grant_id grant;
        int forks;
    } root, foe[3];
    bool foe_joined;
    uint64_t serial;
    struct fm_event batch[16]; /* of the turn that people fill */
    size_t batch_count;
};
#define SIM_ROOT_DEVICE SIM_NODES
#define SIM_FOE_DEVICE (SIM_NODES + 1)

/* The broken invariant; does not return (run.c runs each seed where it may end). */
void sim_broken(struct sim *s, const char *invariant, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
void sim_mix(struct sim *s, const void *data, size_t len);
void sim_soon(struct sim *s, uint64_t in_ms, enum sim_soon_kind kind, int a, uint32_t b, uint64_t gen);
void sim_tell(const struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- mesh.c: who there is --- */
void sim_mesh_begin(struct sim *s);
void sim_mesh_end(struct sim *s);
/* A grant for the device, as an act; free its grant.bytes and it. */
struct fm_act *sim_mesh_grant(struct sim *s, int device, uint8_t role, uint64_t epoch_last, bool keys);
void sim_mesh_act_free(struct fm_act *act);
/* A set by hand, signed by the device and known to the model; *lane goes on. */
void sim_mesh_write(struct sim *s, struct foe_lane *lane, int device, struct fm_buf *out, const struct fm_span *items,
                    uint32_t count, bool sealed);

/* --- node.c: one core and its turns --- */
uint64_t sim_node_wall(const struct sim *s, const struct sim_node *n);
void sim_node_start(struct sim *s, int n);
void sim_node_upgrade(struct sim *s, int n); /* one that is down: its indexes are made anew by a program that knows more */
void sim_node_stop(struct sim *s, int n, bool clean); /* the core is gone; the store stands */
/* Events of one turn; false: the node is down or went down. */
bool sim_node_turn(struct sim *s, int n, struct fm_event *events, size_t count);
bool sim_node_event(struct sim *s, int n, struct fm_event event);
int sim_node_take(struct sim *s, int n, struct fm_span bytes); /* the TAKEN error; 1: down */

/* --- net.c --- */
int sim_net_connect(struct sim *s, int a, int b, uint64_t delay_ms); /* -1: not now */
void sim_net_cut(struct sim *s, int link, int knows, uint64_t later_ms); /* knows: that end is not told; -1 */
void sim_net_cut_node(struct sim *s, int n);
void sim_net_send(struct sim *s, int n, uint32_t conn, struct fm_span bytes);
void sim_net_drop(struct sim *s, int n, uint32_t conn);
void sim_net_deliver(struct sim *s, int link, int end, uint64_t gen);
void sim_net_contact(struct sim *s, const struct sim_planned *e);
int sim_net_between(const struct sim *s, int a, int b); /* -1: none */
void sim_net_fini(struct sim *s);

/* --- what the plan's events do --- */
void sim_people_act(struct sim *s, int n, int other);
void sim_people_decide(struct sim *s, int n);
void sim_people_begin(struct sim *s);
void sim_disk_crash(struct sim *s, int n);
void sim_disk_backup(struct sim *s, int n);
void sim_disk_restore(struct sim *s, int n);
void sim_disk_clone(struct sim *s, int n);
void sim_disk_clock(struct sim *s, int n);
void sim_disk_carry(struct sim *s, int from, int to);
void sim_disk_replay(struct sim *s, int n);
void sim_member_epoch(struct sim *s, int n);
void sim_member_grant(struct sim *s, int n, int to);
void sim_member_revoke(struct sim *s, int n, int target);
void sim_member_adopt(struct sim *s, int n);
void sim_member_root(struct sim *s, int n, int target);
void sim_foe_act(struct sim *s, int n, int other);
void sim_foe_garbage(struct sim *s, int n);

/* --- look.c: between the core and the model --- */
/* Tells the model what a set says; by: the node whose core wrote it, -1: somebody by hand. */
void sim_look_issue(struct sim *s, struct fm_span bytes, bool *fresh);
void sim_look_commit(struct sim *s, int n);  /* what came in with this turn */
void sim_look_restart(struct sim *s, int n); /* nothing is missing, and all is as before */
void sim_look_compare(struct sim *s, int n);
bool sim_look_agreed(struct sim *s, bool must); /* do all that the first coordinator admits show the same? */

#endif
