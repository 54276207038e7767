/* JSON and other values as text. jansson prints 1.1 as 1.1000000000000001, which a client sends back as an edit; so the
 * text is written here. The program never calls setlocale, so the decimal point is a point. */
#include <assert.h>
#include <math.h>

#include "node/json.h"
#include "replication/date.h"
#include "replication/error.h"

#define DEPTH_MAX 64u /* our own answers around a document; more is a bug */

/* The error is sticky: text.len stops growing and NULL comes out in the end. */
struct text {
    struct fm_buf buf;
    int error;
};

static void put(struct text *t, const void *data, size_t len)
{
    if (t->error == FM_OK)
        t->error = fm_buf_add(&t->buf, data, len);
}
static void put_str(struct text *t, const char *s)
{
    put(t, s, strlen(s));
}

static void put_string(struct text *t, const char *s, size_t len)
{
    put(t, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)s[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        char escape[8];
        const char *shorts = "\"\"\\\\\bb\ff\nn\rr\tt", *hit = c == 0 ? NULL : strchr(shorts, c);
        while (hit != NULL && (hit - shorts) % 2 != 0)
            hit = strchr(hit + 1, c);
        if (hit != NULL)
            (void)snprintf(escape, sizeof escape, "\\%c", hit[1]);
        else
            (void)snprintf(escape, sizeof escape, "\\u%04x", c);
        put(t, s + from, i - from);
        put_str(t, escape);
        from = i + 1;
    }
    put(t, s + from, len - from);
    put(t, "\"", 1);
}

/* 17 digits always read back; %g drops zeros behind, so the first precision that reads back is the shortest form. */
static void put_number(struct text *t, double number)
{
    char out[32] = "0"; /* -0 too */
    assert(isfinite(number));
    for (int digits = 15; number < 0 || number > 0; digits++) {
        (void)snprintf(out, sizeof out, "%.*g", digits, number);
        double back = strtod(out, NULL);
        if (memcmp(&back, &number, sizeof back) == 0)
            break;
        assert(digits < 17);
    }
    put_str(t, out);
}

static void put_value(struct text *t, const json_t *value, unsigned depth);

static void put_object(struct text *t, const json_t *object, unsigned depth)
{
    json_t *mutable = (json_t *)(uintptr_t)object; /* jansson's iterators know no const */
    const char *before = "{";
    for (void *i = json_object_iter(mutable); i != NULL; i = json_object_iter_next(mutable, i)) {
        put_str(t, before);
        put_string(t, json_object_iter_key(i), json_object_iter_key_len(i));
        put(t, ":", 1);
        put_value(t, json_object_iter_value(i), depth + 1);
        before = ",";
    }
    put_str(t, *before == '{' ? "{}" : "}");
}

static void put_value(struct text *t, const json_t *value, unsigned depth)
{
    char number[32];
    assert(depth < DEPTH_MAX);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(t, value, depth);
        return;
    case JSON_ARRAY:
        put(t, "[", 1);
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i > 0)
                put(t, ",", 1);
            put_value(t, json_array_get(value, i), depth + 1);
        }
        put(t, "]", 1);
        return;
    case JSON_STRING:
        put_string(t, json_string_value(value), json_string_length(value));
        return;
    case JSON_INTEGER:
        (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        put_str(t, number);
        return;
    case JSON_REAL:
        put_number(t, json_real_value(value));
        return;
    case JSON_TRUE:
        put_str(t, "true");
        return;
    case JSON_FALSE:
        put_str(t, "false");
        return;
    case JSON_NULL:
        put_str(t, "null");
        return;
    }
}

char *fm_json_text(const json_t *value)
{
    struct text t = {.error = FM_OK};
    if (value == NULL)
        return NULL;
    fm_buf_init(&t.buf, 0);
    put_value(&t, value, 0);
    put(&t, "\n", 2); /* with its NUL */
    if (t.error != FM_OK)
        fm_buf_fini(&t.buf);
    return (char *)t.buf.data;
}

void fm_hex_text(char *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

static int digit_of(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int fm_hex_parse(uint8_t *out, size_t len, struct fm_span text)
{
    if (text.len != 2 * len)
        return FM_EFORMAT;
    for (size_t i = 0; i < text.len; i++)
        if (digit_of(text.data[i]) < 0)
            return FM_EFORMAT;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(digit_of(text.data[2 * i]) << 4 | digit_of(text.data[2 * i + 1]));
    return FM_OK;
}

/* The core reads and writes dates too (rule 10); one file decides what a date is. */
void fm_iso_text(char out[25], uint64_t ms)
{
    fm_date_text(out, ms);
}

int fm_iso_parse(uint64_t *ms, struct fm_span text)
{
    return fm_date_parse(ms, text);
}

const char *fm_json_str(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

long long fm_json_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

json_t *fm_json_hex(struct fm_span bytes)
{
    char *text = malloc(2 * bytes.len + 1);
    if (text == NULL)
        return NULL;
    fm_hex_text(text, bytes.data, bytes.len);
    json_t *out = json_string(text);
    free(text);
    return out;
}
