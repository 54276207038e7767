#include "replication/token.h"

#include <assert.h>

#include "replication/error.h"

static void token_text(struct fm_token *t, enum fm_token_type type, uint64_t len)
{
    t->type = type;
    t->number = len;
}

/* The one-byte forms: small integers, and short arrays and maps; short strings were read before. */
static bool read_fixed(struct fm_token *t, uint8_t first)
{
    t->minimal = true;
    if (first < 0x80) {
        t->type = FM_TOKEN_UINT;
        t->number = first;
    } else if (first < 0x90) {
        token_text(t, FM_TOKEN_MAP, first & 0x0f);
    } else if (first < 0xa0) {
        token_text(t, FM_TOKEN_ARRAY, first & 0x0f);
    } else if (first >= 0xe0) {
        t->type = FM_TOKEN_NEGATIVE;
        t->number = (uint64_t)(int64_t)(int8_t)first;
    } else if (first == 0xc0) {
        t->type = FM_TOKEN_NIL;
    } else if (first == 0xc2 || first == 0xc3) {
        t->type = FM_TOKEN_BOOL;
        t->number = first & 1;
    } else {
        return false;
    }
    return true;
}

/* The type and the width in bytes of the number behind the first byte; 0: no such form. */
static size_t width_of(uint8_t first, enum fm_token_type *type)
{
    switch (first) {
    case 0xc4: case 0xc5: case 0xc6: *type = FM_TOKEN_BIN; return (size_t)1 << (first - 0xc4);
    case 0xc7: case 0xc8: case 0xc9: *type = FM_TOKEN_EXT; return (size_t)1 << (first - 0xc7);
    case 0xca: *type = FM_TOKEN_FLOAT32; return 4;
    case 0xcb: *type = FM_TOKEN_FLOAT64; return 8;
    case 0xcc: case 0xcd: case 0xce: case 0xcf: *type = FM_TOKEN_UINT; return (size_t)1 << (first - 0xcc);
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: *type = FM_TOKEN_NEGATIVE; return (size_t)1 << (first - 0xd0);
    case 0xd9: case 0xda: case 0xdb: *type = FM_TOKEN_STR; return (size_t)1 << (first - 0xd9);
    case 0xdc: case 0xdd: *type = FM_TOKEN_ARRAY; return (size_t)2 << (first - 0xdc);
    case 0xde: case 0xdf: *type = FM_TOKEN_MAP; return (size_t)2 << (first - 0xde);
    default: return 0;
    }
}

/* Would the number have fitted a shorter form of its type? */
static bool is_minimal(enum fm_token_type type, size_t width, uint64_t number)
{
    uint64_t shorter = width == 1 ? 0 : (UINT64_C(1) << (4 * width)) - 1; /* the largest number half as wide */
    switch (type) {
    case FM_TOKEN_UINT:
        return number > (width == 1 ? 0x7f : shorter);
    case FM_TOKEN_NEGATIVE: /* a number not below 0 belongs to the unsigned forms */
        return (int64_t)number < (width == 1 ? -32 : -(INT64_C(1) << (4 * width - 1)));
    case FM_TOKEN_STR:
        return number > (width == 1 ? 0x1f : shorter);
    case FM_TOKEN_BIN:
        return width == 1 || number > shorter;
    case FM_TOKEN_ARRAY:
    case FM_TOKEN_MAP:
        return number > (width == 2 ? 0x0f : shorter);
    case FM_TOKEN_NIL:
    case FM_TOKEN_BOOL:
    case FM_TOKEN_FLOAT32:
    case FM_TOKEN_FLOAT64:
    case FM_TOKEN_EXT:
    default:
        return true;
    }
}

static uint64_t sign_extend(uint64_t number, size_t width)
{
    unsigned shift = (unsigned)(64 - 8 * width);
    uint64_t top = UINT64_C(1) << (63 - shift);
    return (number ^ top) - top;
}

int fm_token_read(struct fm_token *out, struct fm_span in)
{
    struct fm_token t = {.type = FM_TOKEN_NIL};

    if (in.len == 0)
        return FM_EFORMAT;
    uint8_t first = in.data[0];
    size_t head = 1;
    if (first >= 0xa0 && first < 0xc0) { /* a short text: most of what a document is made of */
        size_t len = first & 0x1f;
        if (len > in.len - 1)
            return FM_EFORMAT;
        *out = (struct fm_token){
            .type = FM_TOKEN_STR, .minimal = true, .number = len, .text = fm_span(in.data + 1, len), .len = 1 + len};
        return FM_OK;
    }
    if (first >= 0xd4 && first <= 0xd8) { /* fixext 1, 2, 4, 8, 16 */
        token_text(&t, FM_TOKEN_EXT, UINT64_C(1) << (first - 0xd4));
        head = 2;
    } else if (!read_fixed(&t, first)) {
        size_t width = width_of(first, &t.type);
        if (width == 0 || in.len - 1 < width)
            return FM_EFORMAT;
        t.number = fm_be_get(in.data + 1, width);
        if (t.type == FM_TOKEN_NEGATIVE)
            t.number = sign_extend(t.number, width);
        t.minimal = is_minimal(t.type, width, t.number);
        if (t.type == FM_TOKEN_NEGATIVE && (int64_t)t.number >= 0)
            t.type = FM_TOKEN_UINT;
        head += width + (t.type == FM_TOKEN_EXT ? 1 : 0);
    }
    if (head > in.len)
        return FM_EFORMAT;
    t.len = head;
    if (t.type == FM_TOKEN_STR || t.type == FM_TOKEN_BIN || t.type == FM_TOKEN_EXT) {
        if (t.number > in.len - head)
            return FM_EFORMAT;
        t.text = fm_span(in.data + head, (size_t)t.number);
        t.len += t.text.len;
    }
    if (fm_token_children(&t) > in.len - t.len)
        return FM_EFORMAT;
    *out = t;
    return FM_OK;
}

int fm_token_text_cmp(struct fm_span a, struct fm_span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int cmp = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return cmp != 0 ? cmp : (a.len > b.len) - (a.len < b.len);
}

struct fm_token fm_token_of(struct fm_span packed)
{
    struct fm_token t;
    int rc = fm_token_read(&t, packed);
    assert(rc == FM_OK);
    return t;
}

/* The length of a value that its first two bytes tell; 0: look closer. Looking for a field steps over all before it, so
 * this is where a look-up spends its time. */
static size_t plain_len(struct fm_span at)
{
    assert(at.len > 0);
    uint8_t first = at.data[0];
    if (first < 0x80 || first >= 0xe0 || first == 0xc0 || first == 0xc2 || first == 0xc3)
        return 1;
    if (first >= 0xa0 && first < 0xc0)
        return 1 + (size_t)(first & 0x1f);
    switch (first) {
    case 0xcc: case 0xd0: return 2;
    case 0xcd: case 0xd1: return 3;
    case 0xca: case 0xce: case 0xd2: return 5;
    case 0xcb: case 0xcf: case 0xd3: return 9;
    case 0xd9: assert(at.len > 1); return 2 + (size_t)at.data[1];
    default: return 0;
    }
}

size_t fm_token_value_len(struct fm_span packed)
{
    struct fm_span at = packed;
    for (uint64_t left = 1; left > 0; left--) {
        size_t len = plain_len(at);
        if (len == 0) {
            struct fm_token t = fm_token_of(at);
            left += fm_token_children(&t);
            len = t.len;
        }
        assert(len <= at.len);
        at = fm_span(at.data + len, at.len - len);
    }
    return packed.len - at.len;
}
