/* Acts of membership: items of lane-0 bodies (DESIGN.md section 3, WIRE.md).
 *   grant     [128, bin grant bytes]
 *   revoke    [129, target (0 node: author key, 1 grant: grant id), bin 32, [[incarnation, lane, sequence, set id], …]]
 *   adopt     [130, [[author, incarnation, lane, sequence, set id], …]]
 * grant bytes, whose BLAKE2b-256 with the domain and mesh id is the grant id:
 *   [author key, transport key, box key, name, role, first epoch, last epoch, serial, flags, [[data-key id, bin 80], …]] */
#ifndef FM_REPLICATION_ACT_H
#define FM_REPLICATION_ACT_H

#include "replication/bounds.h"
#include "replication/ports.h"
#include "replication/types.h"

enum fm_act_kind { FM_ACT_GRANT = 128, FM_ACT_REVOKE = 129, FM_ACT_ADOPT = 130 };
enum fm_grant_flag { FM_GRANT_SEALED = 1, FM_GRANT_MAY_INVITE = 2 };

struct fm_sealed_key {
    struct fm_data_key_id id;
    uint8_t sealed[80];
};
struct fm_grant {
    struct fm_grant_id id; /* filled by decode */
    struct fm_key author, transport, box;
    struct fm_span name; /* borrowed */
    uint8_t role;        /* coordinator, camp or relay */
    uint64_t epoch_first, epoch_last, serial;
    uint8_t flags;
    uint32_t key_count;
    struct fm_sealed_key keys[FM_GRANT_DATA_KEYS_MAX];
    struct fm_span bytes; /* borrowed */
};
struct fm_cut {
    uint64_t incarnation;
    uint8_t lane;
    uint64_t sequence;
    struct fm_set_id set;
};
struct fm_adopted {
    struct fm_stream stream;
    uint64_t sequence;
    struct fm_set_id set;
};
struct fm_act {
    uint8_t kind;
    struct fm_grant grant;
    bool targets_grant;
    struct fm_key node;         /* revoke, !targets_grant */
    struct fm_grant_id revoked; /* revoke, targets_grant */
    uint32_t cut_count;
    struct fm_cut cuts[FM_CUT_STREAMS_MAX];
    uint32_t adopt_count;
    struct fm_adopted adopts[FM_ADOPT_SETS_MAX];
};

/* 0, FM_EFORMAT, FM_ELIMIT (this act alone is void). fm_act is large: keep it off the stack. */
int fm_act_decode(struct fm_act *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_span item);
int fm_act_encode(struct fm_buf *out, const struct fm_act *act); /* grant: takes grant.bytes as they are */
int fm_grant_decode(struct fm_grant *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, struct fm_span bytes);
int fm_grant_encode(struct fm_buf *out, const struct fm_grant *grant); /* from the fields; id and bytes are ignored */

#endif
