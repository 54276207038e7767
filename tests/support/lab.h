/* Cores on memory stores for tests: nodes with devices, turns by the law of effects, sets made by hand. */
#ifndef FM_TESTS_LAB_H
#define FM_TESTS_LAB_H

#include "replication/inner.h"
#include "tests/support/fake_crypto.h"
#include "tests/support/memory.h"

#define LAB_NOW UINT64_C(1700000000000)

struct fm_lab_device {
    struct fm_fake_device fake;
    struct fm_key transport;
    struct fm_crypto crypto;
};
void fm_lab_device(struct fm_lab_device *out, const char *name); /* *out must not move afterwards */
struct fm_key fm_lab_key(const char *name);                      /* a data key */
struct fm_mesh_id fm_lab_mesh(void);

struct fm_lab_node {
    struct fm_lab_device device;
    struct fm_self self;
    struct fm_memory *store, *saved; /* saved: as of the last commit */
    struct fm_repl *core;
    struct fm_sink sink;
    uint64_t now_ms, events;
    int64_t rows_left;               /* after so many rows the sink fails; below 0: never */
    uint64_t rows;
    int taken;                       /* the last FM_REPORT_TAKEN */
    struct fm_set_id taken_set;
    unsigned members_reports;
    struct fm_arena arena;           /* documents of the test */
};
void fm_lab_open(struct fm_lab_node *n, const char *name, uint64_t incarnation);
void fm_lab_close(struct fm_lab_node *n);
/* A new core on the store as it is; the turn with START in it. */
int fm_lab_restart(struct fm_lab_node *n);
/* The turn failed: the store as it was committed last, and a new core. */
int fm_lab_crash(struct fm_lab_node *n);
int fm_lab_step(struct fm_lab_node *n, struct fm_event event); /* fills now and seed */
int fm_lab_end(struct fm_lab_node *n);                         /* TURN_END and commit */
/* TAKE and the end of the turn; what the report said is in *refused. */
int fm_lab_take(struct fm_lab_node *n, struct fm_span bytes, int *refused);
int fm_lab_act(struct fm_lab_node *n, const struct fm_act *act, int *refused);
/* Writes a change in the running turn, as a submission does. id is its version. */
int fm_lab_write(struct fm_lab_node *n, const struct fm_change *change, struct fm_version_id *id);
/* What a change is in short: an assessment with this document text (text_doc.h), NULL parents: none. */
struct fm_change fm_lab_change(struct fm_lab_node *n, uint8_t action, uint8_t record, uint32_t version,
                               const struct fm_version_id *parent, const char *document);
void fm_lab_digest(struct fm_lab_node *n, struct fm_digest out[2]); /* ticks until the to-do list is empty */
/* Gives `to` all sets of `from` in an order drawn from seed (0: by arrival), again until none more follows. */
void fm_lab_exchange(struct fm_lab_node *to, const struct fm_lab_node *from, uint64_t seed);

/* A grant to a device, with data keys (NULL-ended names); freed by fm_lab_act_free. */
struct fm_act *fm_lab_grant(const struct fm_lab_device *to, uint8_t role, uint64_t serial, const char *const *keys);
void fm_lab_act_free(struct fm_act *act);
/* A set by hand: header as given (format, stream's author, hashes are filled), items packed already. */
struct fm_lab_set {
    struct fm_set_header header;
    struct fm_set_id id;
    struct fm_buf bytes;
};
void fm_lab_set(struct fm_lab_set *out, const struct fm_lab_device *by, struct fm_set_header header,
                const struct fm_span *items, uint32_t count, const struct fm_key *key);
/* The same with these bytes for a body, whatever they are. */
void fm_lab_set_of(struct fm_lab_set *out, const struct fm_lab_device *by, struct fm_set_header header, struct fm_span body,
                   const struct fm_key *key);
void fm_lab_set_free(struct fm_lab_set *set);
struct fm_record_id fm_lab_record(uint8_t number);
/* The root's first set: the grant of this coordinator, with these keys. */
void fm_lab_root_set(struct fm_lab_set *out, const struct fm_lab_device *hub, const char *const *keys);
/* A mesh is born: the root grants the hub, which takes that in. */
void fm_lab_found(struct fm_lab_node *hub, const char *const *keys);
/* The hub grants a camp, which takes in all the hub holds. */
void fm_lab_join(struct fm_lab_node *hub, struct fm_lab_node *camp, uint64_t serial, const char *const *keys);

#endif
