/* Any bytes as a change set: what is taken is written again as the same bytes; its body is opened within its bounds. */
#include "replication/bounds.h"
#include "replication/change.h"
#include "replication/error.h"
#include "replication/set.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_crypto.h"

FUZZ_TARGET(8, 1 << 22)
{
    struct fm_crypto c = fm_fake_crypto();
    static const struct fm_mesh_id mesh;
    static const struct fm_key key;
    struct fm_span items[FM_SET_CHANGES_MAX];
    struct fm_set set;
    struct fm_buf buf;

    if (fm_set_decode(&set, fm_span(data, size)) != FM_OK)
        return 0;
    fm_buf_init(&buf, 0);
    FUZZ_CHECK(fm_set_header_encode(&buf, &set.header) == FM_OK);
    fuzz_same(&buf, set.header_bytes);
    FUZZ_CHECK(fm_set_encode(&buf, set.header_bytes, set.body, set.signature.data) == FM_OK);
    fuzz_same(&buf, set.bytes);
    fm_body_hash_of(set.header.body_hash, &c, set.body); /* or no input would get any further */
    if (set.header.sealed)
        fm_data_key_id_of(&set.header.data_key, &c, &key);
    if (fm_set_open(&buf, &c, &mesh, &set, &key) == FM_OK) {
        FUZZ_CHECK(buf.len == set.header.body_size);
        (void)fm_body_split(fm_buf_span(&buf), items, set.header.change_count);
    } else {
        FUZZ_CHECK(buf.len == 0);
    }
    fm_buf_fini(&buf);
    return 0;
}
