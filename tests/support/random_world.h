/* Random worlds of signed change sets: a root, two coordinators and four nodes that write everything a set may hold, good
 * and bad, and an observer who reads. A world is a function of its seed. */
#ifndef FM_TESTS_RANDOM_WORLD_H
#define FM_TESTS_RANDOM_WORLD_H

#include "crypto/crypto.h"
#include "replication/core.h"
#include "replication/set.h"
#include "tests/support/fake_crypto.h"

#define FM_RANDOM_SETS_MAX 96
#define FM_RANDOM_VERSIONS_MAX 512
#define FM_RANDOM_GRANTS_MAX 48
#define FM_RANDOM_ITEMS_MAX 8
#define FM_RANDOM_RECORDS 7
#define FM_RANDOM_KEYS 3 /* in the observer's first grant; in a later one, perhaps; in none */

enum { FM_RANDOM_ROOT, FM_RANDOM_C1, FM_RANDOM_C2, FM_RANDOM_A, FM_RANDOM_D = FM_RANDOM_A + 3, FM_RANDOM_OBSERVER, FM_RANDOM_DEVICES };

struct fm_random_device {
    struct fm_fake_device fake;
    struct fm_device real;
    struct fm_crypto crypto;
    struct fm_key author, transport, box;
};
struct fm_random_set {
    struct fm_set_header header;
    struct fm_set_id id;
    struct fm_buf bytes;
    int author, key;  /* key: -1 clear */
    uint32_t count;
    struct fm_span items[FM_RANDOM_ITEMS_MAX];
};
struct fm_random_version {
    struct fm_version_id id;
    uint8_t action;
    uint32_t number, record, parent_count;
    uint8_t fields[4];
};
struct fm_random_grant {
    int device;
    uint8_t role;
    struct fm_grant_id id;
};
struct fm_random_world {
    uint64_t seed, random, serial;
    bool real;        /* the real crypto, all bodies of records sealed */
    bool sealed;
    struct fm_mesh_id mesh;
    struct fm_key keys[FM_RANDOM_KEYS];
    struct fm_random_device devices[FM_RANDOM_DEVICES];
    size_t set_count, version_count, grant_count;
    struct fm_random_set sets[FM_RANDOM_SETS_MAX];
    struct fm_random_version versions[FM_RANDOM_VERSIONS_MAX];
    struct fm_random_grant grants[FM_RANDOM_GRANTS_MAX];
    struct fm_arena arena;
};

/* w must not move afterwards. */
void fm_random_world_init(struct fm_random_world *w, uint64_t seed, bool real);
void fm_random_world_fini(struct fm_random_world *w);
struct fm_record_ref fm_random_world_record(uint32_t record); /* below FM_RANDOM_RECORDS; the last is of an unknown kind */
void fm_random_world_self(const struct fm_random_world *w, struct fm_self *out); /* the observer */
uint64_t fm_random_draw(uint64_t *state, uint64_t below);

#endif
