#include "replication/walk.h"

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/float64.h"
#include "replication/token.h"

static struct fm_span rest(const struct fm_walk *w)
{
    return fm_span(w->at, (size_t)(w->end - w->at));
}

void fm_walk_init(struct fm_walk *w, struct fm_span bytes, uint32_t nodes_max)
{
    static const uint8_t nothing[1];
    const uint8_t *at = bytes.len == 0 ? nothing : bytes.data;
    *w = (struct fm_walk){.at = at, .end = at + bytes.len, .nodes_left = nodes_max};
}

static void step(struct fm_walk *w, const struct fm_token *t)
{
    w->at += t->len;
    w->nodes_left--;
}

/* The token at the walker, in its shortest form; the walker does not move. */
static int peek(const struct fm_walk *w, struct fm_token *t)
{
    int rc = fm_token_read(t, rest(w));
    if (rc != FM_OK)
        return rc;
    if (!t->minimal)
        return FM_EFORMAT;
    return w->nodes_left == 0 ? FM_ELIMIT : FM_OK;
}

static int peek_of(const struct fm_walk *w, struct fm_token *t, enum fm_token_type type)
{
    int rc = peek(w, t);
    return rc == FM_OK && t->type != type ? FM_EFORMAT : rc;
}

int fm_walk_array(struct fm_walk *w, uint32_t *count)
{
    struct fm_token t;
    int rc = peek_of(w, &t, FM_TOKEN_ARRAY);
    if (rc != FM_OK)
        return rc;
    if (t.number >= w->nodes_left)
        return FM_ELIMIT;
    *count = (uint32_t)t.number;
    step(w, &t);
    return FM_OK;
}

int fm_walk_array_of(struct fm_walk *w, uint32_t count)
{
    struct fm_walk ahead = *w;
    uint32_t found;
    int rc = fm_walk_array(&ahead, &found);
    if (rc != FM_OK)
        return rc;
    if (found != count)
        return FM_EFORMAT;
    *w = ahead;
    return FM_OK;
}

int fm_walk_uint(struct fm_walk *w, uint64_t *out, uint64_t max)
{
    struct fm_token t;
    int rc = peek_of(w, &t, FM_TOKEN_UINT);
    if (rc != FM_OK)
        return rc;
    if (t.number > max)
        return FM_ELIMIT;
    *out = t.number;
    step(w, &t);
    return FM_OK;
}

int fm_walk_bool(struct fm_walk *w, bool *out)
{
    struct fm_token t;
    int rc = peek_of(w, &t, FM_TOKEN_BOOL);
    if (rc != FM_OK)
        return rc;
    *out = t.number != 0;
    step(w, &t);
    return FM_OK;
}

int fm_walk_bin(struct fm_walk *w, struct fm_span *out, size_t max)
{
    struct fm_token t;
    int rc = peek_of(w, &t, FM_TOKEN_BIN);
    if (rc != FM_OK)
        return rc;
    if (t.text.len > max)
        return FM_ELIMIT;
    *out = t.text;
    step(w, &t);
    return FM_OK;
}

int fm_walk_bin_of(struct fm_walk *w, uint8_t *out, size_t len)
{
    struct fm_token t;
    int rc = peek_of(w, &t, FM_TOKEN_BIN);
    if (rc != FM_OK)
        return rc;
    if (t.text.len != len)
        return FM_EFORMAT;
    memcpy(out, t.text.data, len);
    step(w, &t);
    return FM_OK;
}

/* How many bytes the UTF-8 character at the front has; 0: none (overlong, surrogate, above U+10FFFF, cut off) or NUL. */
static size_t utf8_len(const uint8_t *s, size_t left)
{
    uint8_t low = 0x80, high = 0xbf; /* what the second byte may be */
    size_t len;

    if (s[0] < 0x80)
        return s[0] != 0;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        len = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        len = 3;
        low = s[0] == 0xe0 ? 0xa0 : 0x80;
        high = s[0] == 0xed ? 0x9f : 0xbf;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        len = 4;
        low = s[0] == 0xf0 ? 0x90 : 0x80;
        high = s[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (left < len || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

/* The first of the bytes that are not plainly ASCII without NUL, looked at eight at a time: nearly all texts end here. */
static size_t ascii_len(struct fm_span s)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    size_t i = 0;
    for (uint64_t eight; s.len - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, s.data + i, sizeof eight);
        if (((eight | (eight - ones)) & highs) != 0) /* a high bit, or a byte that was 0 (or above one) */
            break;
    }
    return i;
}

static bool is_text(struct fm_span s)
{
    for (size_t i = ascii_len(s); i < s.len;) {
        size_t len = utf8_len(s.data + i, s.len - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

static int text_check(const struct fm_token *t, size_t max)
{
    if (t->text.len > max)
        return FM_ELIMIT;
    return is_text(t->text) ? FM_OK : FM_EFORMAT;
}

int fm_walk_str(struct fm_walk *w, struct fm_span *out, size_t max)
{
    struct fm_token t;
    int rc = peek_of(w, &t, FM_TOKEN_STR);
    if (rc == FM_OK)
        rc = text_check(&t, max);
    if (rc != FM_OK)
        return rc;
    *out = t.text;
    step(w, &t);
    return FM_OK;
}

int fm_walk_end(const struct fm_walk *w)
{
    return w->at == w->end ? FM_OK : FM_EFORMAT;
}

/* A value of the document profile, apart from what is inside it. */
static int value_check(const struct fm_token *t)
{
    int64_t integer;

    switch (t->type) {
    case FM_TOKEN_NIL:
    case FM_TOKEN_BOOL:
    case FM_TOKEN_NEGATIVE:
        return FM_OK;
    case FM_TOKEN_UINT:
        return t->number <= INT64_MAX ? FM_OK : FM_EFORMAT;
    case FM_TOKEN_FLOAT64:
        return fm_float64_form_of(t->number, &integer) == FM_FLOAT64_AS_FLOAT ? FM_OK : FM_EFORMAT;
    case FM_TOKEN_STR:
        return text_check(t, FM_STRING_BYTES_MAX);
    case FM_TOKEN_ARRAY:
        return t->number <= FM_ARRAY_ITEMS_MAX ? FM_OK : FM_ELIMIT;
    case FM_TOKEN_MAP:
        return t->number <= FM_MAP_ENTRIES_MAX ? FM_OK : FM_ELIMIT;
    case FM_TOKEN_FLOAT32:
    case FM_TOKEN_BIN:
    case FM_TOKEN_EXT:
    default:
        return FM_EFORMAT;
    }
}

/* An array or map that is being read. */
struct level {
    uint64_t left; /* items or entries */
    bool is_map, has_key;
    struct fm_span key; /* the last one read */
};

static int read_key(struct fm_walk *w, struct level *level)
{
    struct fm_span key;
    int rc = fm_walk_str(w, &key, FM_KEY_BYTES_MAX);
    if (rc != FM_OK)
        return rc;
    if (level->has_key && fm_token_text_cmp(level->key, key) >= 0) /* rising: sorted and unique */
        return FM_EFORMAT;
    level->has_key = true;
    level->key = key;
    return FM_OK;
}

static int read_value(struct fm_walk *w, struct fm_token *t)
{
    int rc = peek(w, t);
    if (rc == FM_OK)
        rc = value_check(t);
    if (rc == FM_OK)
        step(w, t);
    return rc;
}

int fm_walk_value(struct fm_walk *w, struct fm_span *out)
{
    struct level levels[FM_DEPTH_MAX];
    size_t depth = 0;
    struct fm_walk ahead = *w;
    struct fm_token t;

    do {
        if (depth > 0 && levels[depth - 1].is_map) {
            int rc = read_key(&ahead, &levels[depth - 1]);
            if (rc != FM_OK)
                return rc;
        }
        int rc = read_value(&ahead, &t);
        if (rc != FM_OK)
            return rc;
        if (depth > 0)
            levels[depth - 1].left--;
        if (t.type == FM_TOKEN_ARRAY || t.type == FM_TOKEN_MAP) {
            if (depth == FM_DEPTH_MAX)
                return FM_ELIMIT;
            levels[depth++] = (struct level){.left = t.number, .is_map = t.type == FM_TOKEN_MAP};
        }
        while (depth > 0 && levels[depth - 1].left == 0)
            depth--;
    } while (depth > 0);
    *out = fm_span(w->at, (size_t)(ahead.at - w->at));
    *w = ahead;
    return FM_OK;
}

int fm_walk_document(struct fm_walk *w, struct fm_span *out)
{
    struct fm_token t;
    int rc = peek_of(w, &t, FM_TOKEN_MAP);
    return rc == FM_OK ? fm_walk_value(w, out) : rc;
}

int fm_walk_skip(struct fm_walk *w, struct fm_span *out)
{
    struct fm_walk ahead = *w;
    uint64_t left = 1; /* values still to come; each count is bounded by the bytes left, so this cannot overflow */

    while (left > 0) {
        struct fm_token t;
        int rc = fm_token_read(&t, rest(&ahead));
        if (rc != FM_OK)
            return rc;
        if (ahead.nodes_left == 0)
            return FM_ELIMIT;
        step(&ahead, &t);
        left += fm_token_children(&t) - 1;
    }
    *out = fm_span(w->at, (size_t)(ahead.at - w->at));
    *w = ahead;
    return FM_OK;
}
