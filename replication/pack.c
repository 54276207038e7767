#include "replication/pack.h"

#include <assert.h>
#include <msgpack/pack.h>

#include "replication/error.h"
#include "replication/float64.h"

static int take(void *data, const char *bytes, size_t len)
{
    struct fm_pack *p = data;
    p->error = fm_buf_add(p->buf, bytes, len);
    return p->error == FM_OK ? 0 : -1;
}

static msgpack_packer packer(struct fm_pack *p)
{
    return (msgpack_packer){.data = p, .callback = take};
}

/* msgpack-c's own answer says nothing that the sticky error does not. */
#define PACK(p, call)                    \
    do {                                 \
        msgpack_packer pk_ = packer(p);  \
        msgpack_packer *pk = &pk_;       \
        if ((p)->error == FM_OK)         \
            (void)(call);                \
    } while (0)

void fm_pack_init(struct fm_pack *p, struct fm_buf *buf)
{
    *p = (struct fm_pack){.buf = buf};
}

void fm_pack_array(struct fm_pack *p, uint32_t count)
{
    PACK(p, msgpack_pack_array(pk, count));
}

void fm_pack_map(struct fm_pack *p, uint32_t count)
{
    PACK(p, msgpack_pack_map(pk, count));
}

void fm_pack_uint(struct fm_pack *p, uint64_t value)
{
    PACK(p, msgpack_pack_uint64(pk, value));
}

void fm_pack_int(struct fm_pack *p, int64_t value)
{
    PACK(p, msgpack_pack_int64(pk, value));
}

void fm_pack_double(struct fm_pack *p, double value)
{
    uint64_t bits;
    int64_t integer;

    memcpy(&bits, &value, sizeof bits);
    enum fm_float64_form form = fm_float64_form_of(bits, &integer);
    if (form == FM_FLOAT64_AS_INTEGER)
        fm_pack_int(p, integer);
    else if (form == FM_FLOAT64_AS_FLOAT)
        PACK(p, msgpack_pack_double(pk, value));
    else if (p->error == FM_OK)
        p->error = FM_ELIMIT; /* no document can say it; a number of that kind comes from outside, so no assert */
}

void fm_pack_bool(struct fm_pack *p, bool value)
{
    PACK(p, value ? msgpack_pack_true(pk) : msgpack_pack_false(pk));
}

void fm_pack_nil(struct fm_pack *p)
{
    PACK(p, msgpack_pack_nil(pk));
}

void fm_pack_bin(struct fm_pack *p, const void *data, size_t len)
{
    assert(len <= UINT32_MAX);
    PACK(p, msgpack_pack_bin(pk, len));
    fm_pack_raw(p, fm_span(data, len));
}

void fm_pack_str(struct fm_pack *p, struct fm_span text)
{
    assert(text.len <= UINT32_MAX);
    PACK(p, msgpack_pack_str(pk, text.len));
    fm_pack_raw(p, text);
}

void fm_pack_cstr(struct fm_pack *p, const char *text)
{
    fm_pack_str(p, fm_span_str(text));
}

void fm_pack_raw(struct fm_pack *p, struct fm_span packed)
{
    if (p->error == FM_OK)
        p->error = fm_buf_add(p->buf, packed.data, packed.len);
}
