/* Names and notes of somebody's on their way to a terminal: what comes out is valid UTF-8 without control characters (C0,
 * C1, DEL) or marks that turn the direction of writing, fits its buffer, and what was harmless is unchanged. */
#include "node/cmd.h"
#include "tests/fuzz/fuzz.h"

/* The code point at the front and its length; 0: none that is well-formed. */
static size_t code_point(const uint8_t *at, size_t len, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = at[0] < 0x80 ? 1 : (at[0] & 0xe0) == 0xc0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : (at[0] & 0xf8) == 0xf0 ? 4 : 0;
    if (n == 0 || n > len)
        return 0;
    *out = n == 1 ? at[0] : at[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        *out = *out << 6 | (at[i] & 0x3f);
    }
    return n > 1 && (*out < least[n] || *out > 0x10ffff || (*out >= 0xd800 && *out < 0xe000)) ? 0 : n;
}

static bool harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

FUZZ_TARGET(2, 256)
{
    struct fuzz_in in = {data, size};
    size_t room = 1 + fuzz_number(&in, 1) % 200, len = 0;
    char *text = malloc(in.left + 1), *out = malloc(room);
    bool clean = memchr(in.left > 0 ? (const void *)in.at : "", 0, in.left) == NULL;
    uint32_t c;
    FUZZ_CHECK(text != NULL && out != NULL);
    if (in.left > 0)
        memcpy(text, in.at, in.left);
    text[in.left] = '\0';
    for (size_t at = 0, n; clean && at < in.left; at += n) {
        n = code_point(in.at + at, in.left - at, &c);
        clean = n > 0 && !harmful(c);
        n = n > 0 ? n : 1;
    }
    fm_say_safe(out, room, text);
    len = strlen(out);
    FUZZ_CHECK(len < room);
    for (size_t at = 0, n; at < len; at += n) {
        n = code_point((const uint8_t *)out + at, len - at, &c);
        FUZZ_CHECK(n > 0 && !harmful(c));
    }
    if (clean) {
        FUZZ_CHECK(memcmp(out, text, len) == 0);
        FUZZ_CHECK(len == in.left || len + 4 >= room);
    }
    free(text);
    free(out);
    return 0;
}
