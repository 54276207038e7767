/* Our reader of msgpack against msgpack-c, both ways, on any bytes: as tokens (all of msgpack), as envelope values and as
 * documents. What ours takes, msgpack-c reads as the same values over the same bytes. What msgpack-c reads and ours does not
 * is refused for one of the reasons of the profile, found here in msgpack-c's own tree. */
#include <msgpack.h>

#include <math.h>

#include "replication/bounds.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/token.h"
#include "replication/walk.h"
#include "tests/fuzz/fuzz.h"

/* One value of ours at the front of *in against one of msgpack-c's. */
static void same_value(struct fm_span *in, const msgpack_object *o)
{
    struct fm_token t;
    FUZZ_CHECK(fm_token_read(&t, *in) == FM_OK);
    *in = fm_span(in->data + t.len, in->len - t.len);
    switch (t.type) {
    case FM_TOKEN_NIL: FUZZ_CHECK(o->type == MSGPACK_OBJECT_NIL); return;
    case FM_TOKEN_BOOL: FUZZ_CHECK(o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean == (t.number != 0)); return;
    case FM_TOKEN_UINT: FUZZ_CHECK(o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 == t.number); return;
    case FM_TOKEN_NEGATIVE:
        FUZZ_CHECK(o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && (uint64_t)o->via.i64 == t.number);
        return;
    case FM_TOKEN_FLOAT32: {
        float single;
        uint32_t bits = (uint32_t)t.number;
        memcpy(&single, &bits, sizeof single);
        FUZZ_CHECK(o->type == MSGPACK_OBJECT_FLOAT32 && (isnan(single) ? isnan(o->via.f64) : o->via.f64 == (double)single));
        return;
    }
    case FM_TOKEN_FLOAT64: FUZZ_CHECK(o->type == MSGPACK_OBJECT_FLOAT64 && memcmp(&o->via.f64, &t.number, 8) == 0); return;
    case FM_TOKEN_STR:
        FUZZ_CHECK(o->type == MSGPACK_OBJECT_STR && fm_span_eq(fm_span(o->via.str.ptr, o->via.str.size), t.text));
        return;
    case FM_TOKEN_BIN:
        FUZZ_CHECK(o->type == MSGPACK_OBJECT_BIN && fm_span_eq(fm_span(o->via.bin.ptr, o->via.bin.size), t.text));
        return;
    case FM_TOKEN_EXT: FUZZ_CHECK(o->type == MSGPACK_OBJECT_EXT && o->via.ext.size + 1 >= t.text.len); return;
    case FM_TOKEN_ARRAY:
        FUZZ_CHECK(o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == t.number);
        for (uint32_t i = 0; i < o->via.array.size; i++)
            same_value(in, &o->via.array.ptr[i]);
        return;
    case FM_TOKEN_MAP:
        FUZZ_CHECK(o->type == MSGPACK_OBJECT_MAP && o->via.map.size == t.number);
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            same_value(in, &o->via.map.ptr[i].key);
            same_value(in, &o->via.map.ptr[i].val);
        }
        return;
    }
}

/* --- why a tree of msgpack-c's is no document --- */

static bool utf8(const char *text, size_t len)
{
    const uint8_t *s = (const uint8_t *)text;
    for (size_t i = 0; i < len;) {
        size_t n = s[i] < 0x80                   ? 1
                   : s[i] >= 0xc2 && s[i] < 0xe0 ? 2
                   : (s[i] & 0xf0) == 0xe0       ? 3
                   : s[i] >= 0xf0 && s[i] < 0xf5 ? 4
                                                 : 0;
        if (n == 0 || n > len - i || s[i] == 0)
            return false;
        for (size_t k = 1; k < n; k++)
            if ((s[i + k] & 0xc0) != 0x80)
                return false;
        if ((s[i] == 0xe0 && s[i + 1] < 0xa0) || (s[i] == 0xed && s[i + 1] > 0x9f) || (s[i] == 0xf0 && s[i + 1] < 0x90) ||
            (s[i] == 0xf4 && s[i + 1] > 0x8f))
            return false;
        i += n;
    }
    return true;
}

static bool is_integral(double d)
{
    return d >= -9223372036854775808.0 && d < 9223372036854775808.0 && d == floor(d);
}

static bool in_profile(const msgpack_object *o, unsigned depth, uint32_t *nodes)
{
    if (++*nodes > FM_NODES_MAX)
        return false;
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
    case MSGPACK_OBJECT_BOOLEAN:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: return true;
    case MSGPACK_OBJECT_POSITIVE_INTEGER: return o->via.u64 <= INT64_MAX;
    case MSGPACK_OBJECT_FLOAT64: return isfinite(o->via.f64) && !is_integral(o->via.f64);
    case MSGPACK_OBJECT_STR: return o->via.str.size <= FM_STRING_BYTES_MAX && utf8(o->via.str.ptr, o->via.str.size);
    case MSGPACK_OBJECT_ARRAY:
        if (depth > FM_DEPTH_MAX || o->via.array.size > FM_ARRAY_ITEMS_MAX)
            return false;
        for (uint32_t i = 0; i < o->via.array.size; i++)
            if (!in_profile(&o->via.array.ptr[i], depth + 1, nodes))
                return false;
        return true;
    case MSGPACK_OBJECT_MAP:
        if (depth > FM_DEPTH_MAX || o->via.map.size > FM_MAP_ENTRIES_MAX)
            return false;
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            const msgpack_object *key = &o->via.map.ptr[i].key;
            if (key->type != MSGPACK_OBJECT_STR || key->via.str.size > FM_KEY_BYTES_MAX || !in_profile(key, depth, nodes))
                return false;
            if (i > 0) {
                const msgpack_object_str *a = &o->via.map.ptr[i - 1].key.via.str, *b = &key->via.str;
                size_t least = a->size < b->size ? a->size : b->size;
                int order = least > 0 ? memcmp(a->ptr, b->ptr, least) : 0;
                if (order > 0 || (order == 0 && a->size >= b->size))
                    return false; /* sorted, each once */
            }
            if (!in_profile(&o->via.map.ptr[i].val, depth + 1, nodes))
                return false;
        }
        return true;
    case MSGPACK_OBJECT_BIN:
    case MSGPACK_OBJECT_EXT:
    case MSGPACK_OBJECT_FLOAT32:
    default: return false;
    }
}

/* Is it written in the one form of its value? msgpack-c's own packer writes the shortest. */
static bool is_minimal(const msgpack_object *o, struct fm_span bytes)
{
    msgpack_sbuffer out;
    msgpack_packer pk;
    msgpack_sbuffer_init(&out);
    msgpack_packer_init(&pk, &out, msgpack_sbuffer_write);
    FUZZ_CHECK(msgpack_pack_object(&pk, *o) == 0);
    bool same = fm_span_eq(fm_span(out.data, out.size), bytes);
    msgpack_sbuffer_destroy(&out);
    return same;
}

/* msgpack-c allocates what an array or map of 32 bits claims before it looks at what is there. */
static bool claims_much(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 5 <= size; i++)
        if ((data[i] == 0xdd || data[i] == 0xdf) && fm_be_get(data + i + 1, 4) > UINT16_MAX)
            return true;
    return false;
}

FUZZ_TARGET(0, 0) /* msgpack-c's own tree is not counted: it takes 24 bytes for each item that is claimed (TRAPS K1) */
{
    struct fm_span doc = fm_span(data, size), rest = doc, skipped = fm_span(NULL, 0);
    msgpack_unpacked got;
    struct fm_walk w;
    size_t offset = 0;

    if (size > 2048 || claims_much(data, size))
        return 0;
    fm_walk_init(&w, doc, (uint32_t)size + 1);
    int ours = fm_walk_skip(&w, &skipped), document = fm_doc_check(doc);
    fuzz_memory_pause(true);
    msgpack_unpacked_init(&got);
    msgpack_unpack_return theirs = msgpack_unpack_next(&got, (const char *)data, size, &offset);
    if (ours == FM_OK && theirs == MSGPACK_UNPACK_SUCCESS) {
        FUZZ_CHECK(offset == skipped.len);
        same_value(&rest, &got.data);
        FUZZ_CHECK(rest.len == size - offset);
    } else if (theirs == MSGPACK_UNPACK_SUCCESS) {
        FUZZ_CHECK(!"msgpack-c reads what the walker does not");
    } else if (ours == FM_OK) { /* nested deeper than msgpack-c goes: K3 */
        FUZZ_CHECK(theirs == MSGPACK_UNPACK_NOMEM_ERROR);
    }
    if (document == FM_OK)
        FUZZ_CHECK(theirs == MSGPACK_UNPACK_SUCCESS && offset == size);
    if (theirs == MSGPACK_UNPACK_SUCCESS && offset == size) {
        uint32_t nodes = 0;
        bool fits = size <= FM_CHANGE_BYTES_MAX && got.data.type == MSGPACK_OBJECT_MAP && in_profile(&got.data, 1, &nodes) &&
                    is_minimal(&got.data, doc);
        FUZZ_CHECK(fits == (document == FM_OK));
    }
    msgpack_unpacked_destroy(&got);
    return 0;
}
