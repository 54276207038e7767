/* Any bytes as HELLO, what a stranger's first message is: what is taken is written again as the same bytes. */
#include "replication/error.h"
#include "replication/session.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(4, 512)
{
    struct fm_hello h;
    struct fm_buf again;
    struct fm_pack p;
    if (fm_hello_decode(&h, fm_span(data, size)) != FM_OK)
        return 0;
    if (h.protocol != FM_PROTOCOL)
        return 0; /* of another version only the front is read */
    fm_buf_init(&again, 0);
    fm_pack_init(&p, &again);
    fm_pack_array(&p, 10);
    fm_pack_uint(&p, FM_MSG_HELLO);
    fm_pack_uint(&p, h.protocol);
    fm_pack_bin(&p, h.mesh, sizeof h.mesh);
    fm_pack_bin(&p, h.grant.b, sizeof h.grant.b);
    fm_pack_bin(&p, h.store.b, sizeof h.store.b);
    fm_pack_bin(&p, h.vector, sizeof h.vector);
    fm_pack_bin(&p, h.fold, sizeof h.fold);
    fm_pack_bin(&p, h.state, h.has_state ? sizeof h.state : 0);
    fm_pack_bin(&p, h.statements, sizeof h.statements);
    fm_pack_uint(&p, h.media);
    FUZZ_CHECK(p.error == FM_OK);
    fuzz_same(&again, fm_span(data, size));
    return 0;
}
