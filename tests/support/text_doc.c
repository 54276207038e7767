#include "tests/support/text_doc.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#include "replication/bounds.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/pack.h"

struct reader {
    struct fm_arena *arena;
    const char *at;
};

static struct fm_span read_value(struct reader *r);

static char next(struct reader *r)
{
    while (isspace((unsigned char)*r->at))
        r->at++;
    return *r->at;
}

static bool take(struct reader *r, char c)
{
    if (next(r) != c)
        return false;
    r->at++;
    return true;
}

static struct fm_span read_text(struct reader *r)
{
    const char *from;
    if (take(r, '"')) {
        from = r->at;
        while (*r->at != '"')
            assert(*r->at++ != '\0');
        return fm_span(from, (size_t)(r->at++ - from));
    }
    from = r->at;
    while (isalnum((unsigned char)*r->at) || *r->at == '_')
        r->at++;
    assert(r->at > from);
    return fm_span(from, (size_t)(r->at - from));
}

static struct fm_span kept(struct reader *r, struct fm_buf *buf)
{
    uint8_t *copy = fm_arena_copy(r->arena, fm_buf_span(buf));
    assert(copy != NULL);
    struct fm_span out = fm_span(copy, buf->len);
    fm_buf_fini(buf);
    return out;
}

static void read_map(struct reader *r, struct fm_buf *out)
{
    struct fm_field fields[FM_MAP_ENTRIES_MAX];
    size_t count = 0;
    while (!take(r, '}')) {
        assert(count < FM_MAP_ENTRIES_MAX);
        fields[count].key = (next(r), read_text(r));
        bool has_value = take(r, ':');
        assert(has_value);
        fields[count++].value = read_value(r);
        (void)take(r, ',');
    }
    int rc = fm_doc_write(out, fields, count);
    assert(rc == FM_OK);
}

static void read_array(struct reader *r, struct fm_buf *out)
{
    struct fm_buf items;
    uint32_t count = 0;
    struct fm_pack p;
    fm_buf_init(&items, 0);
    while (!take(r, ']')) {
        struct fm_span item = read_value(r);
        int rc = fm_buf_add(&items, item.data, item.len);
        assert(rc == FM_OK);
        count++;
        (void)take(r, ',');
    }
    fm_pack_init(&p, out);
    fm_pack_array(&p, count);
    fm_pack_raw(&p, fm_buf_span(&items));
    fm_buf_fini(&items);
}

static void read_scalar(struct reader *r, struct fm_pack *p)
{
    char c = next(r);
    if (c == '"') {
        fm_pack_str(p, read_text(r));
    } else if (c == '-' || isdigit((unsigned char)c)) {
        char *end;
        double number = strtod(r->at, &end);
        long long integer = strtoll(r->at, NULL, 10);
        bool has_point = memchr(r->at, '.', (size_t)(end - r->at)) != NULL;
        r->at = end;
        if (has_point)
            fm_pack_double(p, number);
        else
            fm_pack_int(p, integer);
    } else {
        struct fm_span word = read_text(r);
        if (fm_span_eq(word, fm_span_str("null"))) {
            fm_pack_nil(p);
        } else {
            assert(fm_span_eq(word, fm_span_str("true")) || fm_span_eq(word, fm_span_str("false")));
            fm_pack_bool(p, word.data[0] == 't');
        }
    }
}

static struct fm_span read_value(struct reader *r)
{
    struct fm_buf out;
    struct fm_pack p;
    fm_buf_init(&out, 0);
    if (take(r, '{')) {
        read_map(r, &out);
    } else if (take(r, '[')) {
        read_array(r, &out);
    } else {
        fm_pack_init(&p, &out);
        read_scalar(r, &p);
    }
    return kept(r, &out);
}

struct fm_span fm_text_doc(struct fm_arena *arena, const char *text)
{
    struct reader r = {.arena = arena, .at = text};
    struct fm_span value = read_value(&r);
    assert(next(&r) == '\0');
    return value;
}
