/* Any bytes as an act of membership and as a grant: what is taken is written again as the same bytes. */
#include "replication/act.h"
#include "replication/change.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_crypto.h"

FUZZ_TARGET(8, 1 << 16)
{
    struct fm_crypto c = fm_fake_crypto();
    static const struct fm_mesh_id mesh;
    static struct fm_act act;
    static struct fm_grant grant;
    struct fm_span bytes = fm_span(data, size);
    struct fm_buf again;

    fm_buf_init(&again, 0);
    if (fm_act_decode(&act, &c, &mesh, bytes) == FM_OK) {
        FUZZ_CHECK(fm_item_kind(bytes) == act.kind);
        FUZZ_CHECK(fm_act_encode(&again, &act) == FM_OK);
        fuzz_same(&again, bytes);
        if (act.kind == FM_ACT_GRANT) {
            FUZZ_CHECK(fm_grant_encode(&again, &act.grant) == FM_OK);
            fuzz_same(&again, act.grant.bytes);
        }
    }
    if (fm_grant_decode(&grant, &c, &mesh, bytes) == FM_OK) {
        FUZZ_CHECK(fm_grant_encode(&again, &grant) == FM_OK);
        fuzz_same(&again, bytes);
    }
    return 0;
}
