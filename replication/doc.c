#include "replication/doc.h"

#include <assert.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/token.h"
#include "replication/walk.h"

int fm_doc_check(struct fm_span doc)
{
    struct fm_walk w;
    struct fm_span all;

    if (doc.len > FM_CHANGE_BYTES_MAX) /* it could stand in no change */
        return FM_ELIMIT;
    fm_walk_init(&w, doc, FM_NODES_MAX);
    int rc = fm_walk_document(&w, &all);
    return rc == FM_OK ? fm_walk_end(&w) : rc;
}

/* The token at the front of checked bytes, which moves behind it. */
static struct fm_token next_token(struct fm_span *packed)
{
    struct fm_token t = fm_token_of(*packed);
    packed->data += t.len;
    packed->len -= t.len;
    return t;
}

/* The value at the front of checked bytes, stepped over. */
static struct fm_span next_value(struct fm_span *packed)
{
    struct fm_span value = fm_span(packed->data, fm_token_value_len(*packed));
    packed->data += value.len;
    packed->len -= value.len;
    return value;
}

static struct fm_field next_field(struct fm_span *packed)
{
    struct fm_token key = next_token(packed);
    assert(key.type == FM_TOKEN_STR);
    return (struct fm_field){.key = key.text, .value = next_value(packed)};
}

static uint64_t entries(struct fm_span *doc)
{
    if (doc->len == 0)
        return 0;
    struct fm_token map = next_token(doc);
    assert(map.type == FM_TOKEN_MAP);
    return map.number;
}

/* Where this key stands to the wanted one; of most, the first byte tells. */
static int key_cmp(struct fm_span key, struct fm_span wanted)
{
    if (key.len > 0 && wanted.len > 0 && key.data[0] != wanted.data[0])
        return (int)key.data[0] - (int)wanted.data[0];
    return fm_token_text_cmp(key, wanted);
}

int fm_doc_get(struct fm_span doc, const char *key, struct fm_span *packed)
{
    struct fm_span wanted = fm_span_str(key);
    for (uint64_t left = entries(&doc); left > 0; left--) {
        struct fm_span at = next_token(&doc).text;
        size_t len = fm_token_value_len(doc);
        int cmp = key_cmp(at, wanted);
        if (cmp == 0) {
            *packed = fm_span(doc.data, len);
            return FM_OK;
        }
        if (cmp > 0) /* sorted: it cannot come any more */
            break;
        doc = fm_span(doc.data + len, doc.len - len);
    }
    return FM_ENOTFOUND;
}

static int get_typed(struct fm_span doc, const char *key, enum fm_type type, struct fm_value *out)
{
    struct fm_span packed;
    int rc = fm_doc_get(doc, key, &packed);
    if (rc != FM_OK)
        return rc;
    fm_value_next(&packed, out);
    return out->type == type ? FM_OK : FM_EFORMAT;
}

int fm_doc_str(struct fm_span doc, const char *key, struct fm_span *text)
{
    struct fm_value value;
    int rc = get_typed(doc, key, FM_STR, &value);
    if (rc == FM_OK)
        *text = value.text;
    return rc;
}

int fm_doc_int(struct fm_span doc, const char *key, int64_t *value)
{
    struct fm_value found;
    int rc = get_typed(doc, key, FM_INT, &found);
    if (rc == FM_OK)
        *value = found.integer;
    return rc;
}

int fm_doc_bool(struct fm_span doc, const char *key, bool *value)
{
    struct fm_value found;
    int rc = get_typed(doc, key, FM_BOOL, &found);
    if (rc == FM_OK)
        *value = found.boolean;
    return rc;
}

bool fm_doc_has(struct fm_span doc, const char *key)
{
    struct fm_span packed;
    return fm_doc_get(doc, key, &packed) == FM_OK && packed.data[0] != 0xc0;
}

void fm_doc_fields(struct fm_span doc, struct fm_field fields[256], size_t *count)
{
    size_t n = (size_t)entries(&doc);
    assert(n <= FM_MAP_ENTRIES_MAX);
    for (size_t i = 0; i < n; i++)
        fields[i] = next_field(&doc);
    *count = n;
}

/* Stable, so that of two equal keys the later one stays behind; fields are few and mostly sorted already. */
static void sort_fields(struct fm_field *fields, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct fm_field field = fields[i];
        size_t at = i;
        for (; at > 0 && fm_token_text_cmp(fields[at - 1].key, field.key) > 0; at--)
            fields[at] = fields[at - 1];
        fields[at] = field;
    }
}

int fm_doc_write(struct fm_buf *out, struct fm_field *fields, size_t count)
{
    size_t kept = 0, start = out->len;
    struct fm_pack p;

    sort_fields(fields, count);
    for (size_t i = 0; i < count; i++) {
        bool is_last = i + 1 == count || fm_token_text_cmp(fields[i].key, fields[i + 1].key) != 0;
        if (is_last && fields[i].value.len > 0)
            fields[kept++] = fields[i];
    }
    if (kept > FM_MAP_ENTRIES_MAX)
        return FM_ELIMIT;
    fm_pack_init(&p, out);
    fm_pack_map(&p, (uint32_t)kept);
    for (size_t i = 0; i < kept; i++) {
        fm_pack_str(&p, fields[i].key);
        fm_pack_raw(&p, fields[i].value);
    }
    if (p.error != FM_OK)
        out->len = start;
    return p.error;
}

static void read_inner(struct fm_span *packed, const struct fm_token *t, struct fm_value *out)
{
    out->count = (uint32_t)t->number;
    out->inner = *packed;
    for (uint64_t left = fm_token_children(t); left > 0; left--)
        (void)next_value(packed);
    out->inner.len -= packed->len;
}

void fm_value_next(struct fm_span *packed, struct fm_value *out)
{
    struct fm_token t = next_token(packed);

    *out = (struct fm_value){.type = FM_NIL};
    switch (t.type) {
    case FM_TOKEN_BOOL:
        out->type = FM_BOOL;
        out->boolean = t.number != 0;
        return;
    case FM_TOKEN_UINT:
    case FM_TOKEN_NEGATIVE:
        out->type = FM_INT;
        out->integer = (int64_t)t.number;
        return;
    case FM_TOKEN_FLOAT64:
        out->type = FM_DOUBLE;
        memcpy(&out->number, &t.number, sizeof out->number);
        return;
    case FM_TOKEN_STR:
        out->type = FM_STR;
        out->text = t.text;
        return;
    case FM_TOKEN_ARRAY:
    case FM_TOKEN_MAP:
        out->type = t.type == FM_TOKEN_MAP ? FM_MAP : FM_ARRAY;
        read_inner(packed, &t, out);
        return;
    case FM_TOKEN_NIL:
    case FM_TOKEN_FLOAT32:
    case FM_TOKEN_BIN:
    case FM_TOKEN_EXT:
    default:
        assert(t.type == FM_TOKEN_NIL); /* checked bytes hold none of the others */
    }
}
