/* JSON in, canonical documents inside, and back. Text out: json_text.c. */
#include "node/json.h"

#include <assert.h>
#include <stdarg.h>

#include "replication/bounds.h"
#include "replication/date.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/pack.h"

/* The wrapper of a batch: {"changes":[{"data": document}]}, and one level to spare. */
#define TEXT_DEPTH_MAX (FM_DEPTH_MAX + 4u)

struct place {
    size_t line, column;
};

/* What jansson would only find out with its stack or the machine's memory already used: depth and number of values.
 * Knows strings, brackets and commas; whatever else is wrong is left to the parser. */
static const char *scan(struct fm_span text, struct place *at)
{
    size_t depth = 0, values = 1;
    bool in_string = false;
    *at = (struct place){.line = 1};
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '\n')
            *at = (struct place){.line = at->line + 1};
        else if ((c & 0xc0) != 0x80)
            at->column++;
        if (in_string && c == '\\')
            i++, at->column++;
        else if (c == '"')
            in_string = !in_string;
        else if (in_string)
            continue;
        else if ((c == '[' || c == '{') && ++depth > TEXT_DEPTH_MAX)
            return "nested too deeply";
        else if ((c == ']' || c == '}') && depth > 0)
            depth--;
        values += !in_string && (c == '[' || c == '{' || c == ',');
        if (values > FM_JSON_VALUES_MAX)
            return "too many values";
    }
    return NULL;
}

json_t *fm_json_parse(struct fm_span text, char *why, size_t why_len)
{
    struct place at;
    const char *reason = scan(text, &at);
    if (reason != NULL) {
        (void)snprintf(why, why_len, "line %zu, column %zu: %s", at.line, at.column, reason);
        return NULL;
    }
    json_error_t error;
    json_t *value = json_loadb(text.len == 0 ? "" : (const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (value == NULL) {
        /* Its words behind "near" are the sender's: cut anywhere, so perhaps no UTF-8. The position says it as well. */
        char *near = strstr(error.text, " near ");
        if (near != NULL)
            *near = '\0';
        (void)snprintf(why, why_len, "line %d, column %d: %s", error.line, error.column, error.text);
    }
    return value;
}

/* --- JSON -> document --- */

#define PATH_MAX_BYTES (FM_DEPTH_MAX * (FM_KEY_BYTES_MAX + 1u) + 16u)

struct writer {
    struct fm_pack pack;
    uint32_t nodes;
    char path[PATH_MAX_BYTES];
    size_t path_len;
    char *why;
    size_t why_len;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct writer *w, int error, const char *format, ...)
{
    char reason[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    (void)snprintf(w->why, w->why_len, "%.*s: %s", (int)w->path_len, w->path, reason);
    return error;
}

/* Longer keys are refused before they are descended into, so a path always fits; control characters are not repeated. */
static size_t path_push(struct writer *w, const char *text, size_t len)
{
    size_t before = w->path_len;
    assert(w->path_len + len <= sizeof w->path);
    for (size_t i = 0; i < len; i++)
        w->path[w->path_len++] = (uint8_t)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    return before;
}

struct entry {
    const char *key;
    size_t key_len;
    const json_t *value;
};

static int entry_cmp(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t common = x->key_len < y->key_len ? x->key_len : y->key_len;
    int cmp = memcmp(x->key, y->key, common);
    return cmp != 0 ? cmp : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static int write_value(struct writer *w, const json_t *value, unsigned depth);

static int write_map(struct writer *w, const json_t *object, unsigned depth)
{
    struct entry entries[FM_MAP_ENTRIES_MAX];
    size_t count = json_object_size(object), n = 0;
    if (count > FM_MAP_ENTRIES_MAX)
        return refuse(w, FM_ELIMIT, "%zu fields, limit %u", count, FM_MAP_ENTRIES_MAX);
    json_t *mutable = (json_t *)(uintptr_t)object; /* jansson's iterators know no const */
    for (void *i = json_object_iter(mutable); i != NULL; i = json_object_iter_next(mutable, i)) {
        entries[n] = (struct entry){json_object_iter_key(i), json_object_iter_key_len(i), json_object_iter_value(i)};
        if (entries[n].key_len > FM_KEY_BYTES_MAX)
            return refuse(w, FM_ELIMIT, "a key has %zu bytes, limit %u", entries[n].key_len, FM_KEY_BYTES_MAX);
        if (memchr(entries[n].key, 0, entries[n].key_len) != NULL)
            return refuse(w, FM_EFORMAT, "a key holds a NUL");
        n++;
    }
    assert(n == count);
    qsort(entries, n, sizeof entries[0], entry_cmp);
    fm_pack_map(&w->pack, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        size_t before = path_push(w, ".", 1);
        (void)path_push(w, entries[i].key, entries[i].key_len);
        fm_pack_str(&w->pack, fm_span(entries[i].key, entries[i].key_len));
        w->nodes++;
        int rc = write_value(w, entries[i].value, depth + 1);
        if (rc != FM_OK)
            return rc;
        w->path_len = before;
    }
    return FM_OK;
}

static int write_array(struct writer *w, const json_t *array, unsigned depth)
{
    size_t count = json_array_size(array);
    if (count > FM_ARRAY_ITEMS_MAX)
        return refuse(w, FM_ELIMIT, "%zu items, limit %u", count, FM_ARRAY_ITEMS_MAX);
    fm_pack_array(&w->pack, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        char index[24];
        int len = snprintf(index, sizeof index, "[%zu]", i);
        size_t before = path_push(w, index, (size_t)len);
        int rc = write_value(w, json_array_get(array, i), depth + 1);
        if (rc != FM_OK)
            return rc;
        w->path_len = before;
    }
    return FM_OK;
}

static int write_string(struct writer *w, const json_t *string)
{
    struct fm_span text = fm_span(json_string_value(string), json_string_length(string));
    if (text.len > FM_STRING_BYTES_MAX)
        return refuse(w, FM_ELIMIT, "a text of %zu bytes, limit %u", text.len, FM_STRING_BYTES_MAX);
    if (memchr(text.data, 0, text.len) != NULL)
        return refuse(w, FM_EFORMAT, "a text holds a NUL");
    fm_pack_str(&w->pack, text);
    return FM_OK;
}

/* depth: containers around this value; so the recursion ends at FM_DEPTH_MAX. */
static int write_value(struct writer *w, const json_t *value, unsigned depth)
{
    if (++w->nodes > FM_NODES_MAX)
        return refuse(w, FM_ELIMIT, "more than %u values and keys in one record", FM_NODES_MAX);
    if ((json_is_object(value) || json_is_array(value)) && depth == FM_DEPTH_MAX)
        return refuse(w, FM_ELIMIT, "nested deeper than %u levels", FM_DEPTH_MAX);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_map(w, value, depth);
    case JSON_ARRAY:
        return write_array(w, value, depth);
    case JSON_STRING:
        return write_string(w, value);
    case JSON_INTEGER:
        fm_pack_int(&w->pack, json_integer_value(value));
        return FM_OK;
    case JSON_REAL:
        fm_pack_double(&w->pack, json_real_value(value)); /* 5.0 and 5 are one value; so is -0.0 and 0 */
        return FM_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        fm_pack_bool(&w->pack, json_is_true(value));
        return FM_OK;
    case JSON_NULL:
        fm_pack_nil(&w->pack);
        return FM_OK;
    }
    return refuse(w, FM_EFORMAT, "no JSON value");
}

int fm_json_to_doc(struct fm_buf *out, const json_t *object, char *why, size_t why_len)
{
    struct writer w = {.why = why, .why_len = why_len};
    size_t before = out->len;
    (void)path_push(&w, "data", 4);
    int rc = json_is_object(object) ? FM_OK : refuse(&w, FM_EFORMAT, "want an object");
    if (rc != FM_OK)
        return rc;
    fm_pack_init(&w.pack, out);
    rc = write_value(&w, object, 0);
    if (rc == FM_OK && w.pack.error != FM_OK) {
        w.path_len = 4;
        rc = refuse(&w, w.pack.error, "%s", fm_error_text(w.pack.error));
    }
    if (rc == FM_OK && out->len - before > FM_CHANGE_BYTES_MAX)
        rc = refuse(&w, FM_ELIMIT, "%zu bytes when packed, limit %u", out->len - before, FM_CHANGE_BYTES_MAX);
    /* The reader's judgement is the one that counts; if the two ever differ it is found here, not in a signed set. */
    if (rc == FM_OK && (rc = fm_doc_check(fm_span(out->data + before, out->len - before))) != FM_OK)
        rc = refuse(&w, rc, "%s", fm_error_text(rc));
    if (rc != FM_OK)
        out->len = before;
    return rc;
}

/* --- document -> JSON --- */

static json_t *read_value(struct fm_span *packed, unsigned depth);

static json_t *read_array(const struct fm_value *v, unsigned depth)
{
    json_t *array = json_array();
    struct fm_span inner = v->inner;
    for (uint32_t i = 0; array != NULL && i < v->count; i++)
        if (json_array_append_new(array, read_value(&inner, depth + 1)) != 0) {
            json_decref(array);
            array = NULL;
        }
    return array;
}

static json_t *read_map(const struct fm_value *v, unsigned depth)
{
    json_t *object = json_object();
    struct fm_span inner = v->inner;
    for (uint32_t i = 0; object != NULL && i < v->count; i++) {
        struct fm_value key;
        fm_value_next(&inner, &key);
        json_t *value = read_value(&inner, depth + 1);
        if (json_object_setn_new(object, (const char *)key.text.data, key.text.len, value) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

/* Checked values nest FM_DEPTH_MAX containers at most. */
static json_t *read_value(struct fm_span *packed, unsigned depth)
{
    struct fm_value v;
    assert(depth <= FM_DEPTH_MAX);
    fm_value_next(packed, &v);
    switch (v.type) {
    case FM_NIL:
        return json_null();
    case FM_BOOL:
        return json_boolean(v.boolean);
    case FM_INT:
        return json_integer(v.integer);
    case FM_DOUBLE:
        return json_real(v.number);
    case FM_STR:
        return json_stringn(v.text.len == 0 ? "" : (const char *)v.text.data, v.text.len);
    case FM_ARRAY:
        return read_array(&v, depth);
    case FM_MAP:
        return read_map(&v, depth);
    }
    return NULL;
}

json_t *fm_json_from_doc(struct fm_span packed)
{
    if (packed.len == 0)
        return json_object(); /* as in doc.h: no bytes are the empty map */
    return read_value(&packed, 0);
}
