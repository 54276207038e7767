/* Any bytes as a body and as one change: items tile the body, a change that is taken is written again the same. */
#include "replication/change.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/walk.h"
#include "tests/fuzz/fuzz.h"

static void one(struct fm_span item)
{
    struct fm_change change;
    struct fm_buf again;
    bool known;

    int rc = fm_change_decode(&change, item, &known);
    if (known || rc == FM_OK)
        FUZZ_CHECK(change.kind != 0 && change.kind < FM_ACT_FIRST && fm_item_kind(item) == change.kind);
    if (rc != FM_OK)
        return;
    FUZZ_CHECK(known && fm_doc_check(change.document) == FM_OK);
    FUZZ_CHECK(change.version >= 1 && change.version <= FM_VERSION_MAX && change.parent_count <= FM_PARENTS_MAX);
    fm_buf_init(&again, 0);
    FUZZ_CHECK(fm_change_encode(&again, &change) == FM_OK);
    fuzz_same(&again, item);
}

FUZZ_TARGET(8, 1 << 14)
{
    struct fm_span body = fm_span(data, size), items[FM_SET_CHANGES_MAX];
    struct fm_walk w;
    uint32_t count;

    one(body);
    fm_walk_init(&w, body, FM_SET_CHANGES_MAX + 1);
    if (fm_walk_array(&w, &count) != FM_OK || fm_body_split(body, items, count) != FM_OK)
        return 0;
    const uint8_t *at = w.at;
    for (uint32_t i = 0; i < count; i++) {
        FUZZ_CHECK(items[i].data == at && items[i].len > 0);
        at += items[i].len;
        one(items[i]);
    }
    FUZZ_CHECK(at == data + size);
    return 0;
}
