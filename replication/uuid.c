#include "replication/uuid.h"

#include "replication/error.h"

static bool dash_before(size_t i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

void fm_uuid_text(char out[37], const struct fm_record_id *id)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof id->b; i++) {
        if (dash_before(i))
            *out++ = '-';
        *out++ = hex[id->b[i] >> 4];
        *out++ = hex[id->b[i] & 15];
    }
    *out = '\0';
}

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int fm_uuid_parse(struct fm_record_id *out, struct fm_span text)
{
    struct fm_record_id id;
    if (text.len != 36)
        return FM_EFORMAT;
    const uint8_t *at = text.data;
    for (size_t i = 0; i < sizeof id.b; i++) {
        if (dash_before(i) && *at++ != '-')
            return FM_EFORMAT;
        int high = nibble(at[0]), low = nibble(at[1]);
        if (high < 0 || low < 0)
            return FM_EFORMAT;
        id.b[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *out = id;
    return FM_OK;
}

static void mark(struct fm_record_id *id, uint8_t version)
{
    id->b[6] = (uint8_t)((id->b[6] & 0x0f) | version << 4);
    id->b[8] = (uint8_t)((id->b[8] & 0x3f) | 0x80);
}

void fm_uuid_v7(struct fm_record_id *out, uint64_t now_ms, const uint8_t random[10])
{
    fm_be_put(out->b, now_ms & 0xffffffffffff, 6);
    memcpy(out->b + 6, random, 10);
    mark(out, 7);
}

void fm_uuid_v8(struct fm_record_id *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, uint8_t kind,
                struct fm_span text)
{
    const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_RECORD_ID), fm_span(mesh->b, sizeof mesh->b), fm_span(&kind, 1), text};
    c->hash(c->ctx, out->b, sizeof out->b, parts, 4);
    mark(out, 8);
}
