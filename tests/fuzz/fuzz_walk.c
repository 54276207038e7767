/* Any bytes as a document: what our profile takes, msgpack-c takes too, and it is written again as the same bytes. */
#include <msgpack.h>

#include "replication/bounds.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/walk.h"
#include "tests/fuzz/fuzz.h"

static void repack(struct fm_pack *p, struct fm_span *packed, unsigned depth)
{
    struct fm_value v;
    fm_value_next(packed, &v);
    switch (v.type) {
    case FM_NIL: fm_pack_nil(p); return;
    case FM_BOOL: fm_pack_bool(p, v.boolean); return;
    case FM_INT: fm_pack_int(p, v.integer); return;
    case FM_DOUBLE: fm_pack_double(p, v.number); return;
    case FM_STR: fm_pack_str(p, v.text); return;
    case FM_ARRAY: fm_pack_array(p, v.count); break;
    case FM_MAP: fm_pack_map(p, v.count); break;
    }
    FUZZ_CHECK(depth <= FM_DEPTH_MAX); /* maps and arrays; what stands in the last is one deeper */
    for (uint32_t left = v.type == FM_MAP ? v.count * 2 : v.count; left > 0; left--)
        repack(p, &v.inner, depth + 1);
    FUZZ_CHECK(v.inner.len == 0);
}

static void unpacked_by_msgpack_c(struct fm_span doc)
{
    msgpack_unpacked unpacked;
    size_t offset = 0;
    msgpack_unpacked_init(&unpacked);
    FUZZ_CHECK(msgpack_unpack_next(&unpacked, (const char *)doc.data, doc.len, &offset) == MSGPACK_UNPACK_SUCCESS);
    FUZZ_CHECK(offset == doc.len && unpacked.data.type == MSGPACK_OBJECT_MAP);
    msgpack_unpacked_destroy(&unpacked);
}

FUZZ_TARGET(64, 1 << 16)
{
    struct fm_span doc = fm_span(data, size), rest = doc, all;
    struct fm_walk w;

    fm_walk_init(&w, doc, FM_NODES_MAX);
    int skip = fm_walk_skip(&w, &all);
    FUZZ_CHECK(skip == FM_OK ? all.len == size - (size_t)(w.end - w.at) : w.at == data || size == 0);
    if (fm_doc_check(doc) != FM_OK)
        return 0;
    FUZZ_CHECK(skip == FM_OK && all.len == size);
    unpacked_by_msgpack_c(doc);

    struct fm_buf again;
    struct fm_pack p;
    fm_buf_init(&again, 0);
    fm_pack_init(&p, &again);
    repack(&p, &rest, 1);
    FUZZ_CHECK(p.error == FM_OK && rest.len == 0);
    fuzz_same(&again, doc);

    struct fm_field fields[FM_MAP_ENTRIES_MAX];
    size_t count;
    fm_doc_fields(doc, fields, &count);
    fm_buf_init(&again, 0);
    FUZZ_CHECK(fm_doc_write(&again, fields, count) == FM_OK);
    fuzz_same(&again, doc);
    return 0;
}
