/* JSON at the edge: what goes in comes back the same, hostile text is refused with its place, limits at -1/0/+1. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/json.h"
#include "replication/bounds.h"
#include "replication/doc.h"
#include "replication/error.h"

static char why[256];

static json_t *parse(const char *text)
{
    why[0] = '\0';
    return fm_json_parse(fm_span_str(text), why, sizeof why);
}

/* text -> document -> text. */
static void assert_comes_back(const char *in, const char *expected)
{
    json_t *json = parse(in);
    if (json == NULL)
        fail_msg("%s: %s", in, why);
    struct fm_buf doc;
    fm_buf_init(&doc, 0);
    if (fm_json_to_doc(&doc, json, why, sizeof why) != FM_OK)
        fail_msg("%s: %s", in, why);
    assert_int_equal(fm_doc_check(fm_buf_span(&doc)), FM_OK);
    json_t *back = fm_json_from_doc(fm_buf_span(&doc));
    assert_non_null(back);
    char *text = fm_json_text(back);
    assert_non_null(text);
    size_t len = strlen(text);
    assert_true(len > 0 && text[len - 1] == '\n');
    text[len - 1] = '\0';
    assert_string_equal(text, expected);
    /* And what came back gives the same bytes again. */
    struct fm_buf again;
    fm_buf_init(&again, 0);
    json_t *second = parse(text);
    assert_non_null(second);
    assert_int_equal(fm_json_to_doc(&again, second, why, sizeof why), FM_OK);
    assert_true(fm_span_eq(fm_buf_span(&doc), fm_buf_span(&again)));
    json_decref(second);
    fm_buf_fini(&again);
    free(text);
    json_decref(back);
    json_decref(json);
    fm_buf_fini(&doc);
}

static void test_documents_come_back(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", "{}"},
        {"{\"b\":1,\"a\":2,\"ab\":3,\"B\":4,\"\":5}", "{\"\":5,\"B\":4,\"a\":2,\"ab\":3,\"b\":1}"},
        {"{\"\\u00e9\":1,\"z\":2}", "{\"z\":2,\"\xc3\xa9\":1}"}, /* sorted by bytes, not by letters */
        {"{\"a\":[true,false,null,[],{}, \"\"]}", "{\"a\":[true,false,null,[],{},\"\"]}"},
        {"{\"n\":[0,-0,1,-1,127,128,-32,-33,65536,9223372036854775807,-9223372036854775808]}",
         "{\"n\":[0,0,1,-1,127,128,-32,-33,65536,9223372036854775807,-9223372036854775808]}"},
        /* Integral doubles become integers where an int64 can say them; -0 is 0. */
        {"{\"n\":[5.0,1e3,-0.0,0.0,9007199254740993.0,-9.223372036854775808e18]}",
         "{\"n\":[5,1000,0,0,9007199254740992,-9223372036854775808]}"},
        {"{\"n\":[9.223372036854775807e18,1e300,-1e20]}", "{\"n\":[9.223372036854776e+18,1e+300,-1e+20]}"},
        /* The shortest form that reads back. */
        {"{\"n\":[1.1,0.1,0.3,11.830000000000001,12.3456789012345678,0.30000000000000004]}",
         "{\"n\":[1.1,0.1,0.3,11.830000000000002,12.345678901234567,0.30000000000000004]}"},
        {"{\"n\":[5e-324,1.7976931348623157e308,2.2250738585072014e-308,-13.157]}",
         "{\"n\":[4.94065645841247e-324,1.7976931348623157e+308,2.2250738585072014e-308,-13.157]}"},
        {"{\"t\":\"\\u0001 \\b\\f\\n\\r\\t \\\" \\\\ \\/ \\u007f \\ud83d\\ude00\"}",
         "{\"t\":\"\\u0001 \\b\\f\\n\\r\\t \\\" \\\\ / \\u007f \xf0\x9f\x98\x80\"}"},
        {" {\n\"a\" : { \"c\" : 1 , \"b\" : [ 2 ] } }\r\n\t", "{\"a\":{\"b\":[2],\"c\":1}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_comes_back(cases[i][0], cases[i][1]);
}

/* Significant digits: those from the first to the last that is no zero, before an exponent. */
static size_t digits_of(const char *text)
{
    size_t digits = 0, last = 0;
    for (; *text != '\0' && *text != 'e' && *text != '\n'; text++)
        if (*text >= '1' && *text <= '9')
            last = ++digits;
        else if (*text == '0' && digits > 0)
            digits++;
    return last;
}

static void test_random_doubles_read_back_bit_for_bit(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (unsigned i = 0; i < 20000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        double number, back;
        memcpy(&number, &x, sizeof number);
        if (i % 2 == 0) /* numbers as people type them */
            number = (double)(int64_t)(x % 2000000000) / 1e4;
        json_t *json = json_real(number); /* NULL: no number */
        if (json == NULL)
            continue;
        char *text = fm_json_text(json), shorter[40];
        back = strtod(text, NULL);
        assert_memory_equal(&back, &number, sizeof back);
        for (int digits = 1; digits <= 17; digits++) { /* no shorter form reads back */
            (void)snprintf(shorter, sizeof shorter, "%.*g", digits, number);
            back = strtod(shorter, NULL);
            if (memcmp(&back, &number, sizeof back) == 0)
                break;
        }
        /* Below the normal numbers 15 digits may stand where fewer would do. */
        assert_true(digits_of(text) == digits_of(shorter) || (number < 1e-300 && number > -1e-300));
        free(text);
        json_decref(json);
    }
}

static void test_hostile_text_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len; /* 0: strlen */
        const char *place;
    } cases[] = {
        {"", 0, "line 1"}, {"{", 0, "line 1"}, {"}", 0, "line 1, column 1"}, {"nul", 0, "line 1"}, {"1", 0, "line 1, column 1"},
        {"{\"a\":1,\n \"a\":2}", 0, "line 2, column 4: duplicate object key"},
        {"{\"a\":{\"b\":1,\"b\":1}}", 0, "duplicate object key"},
        {"{\"a\":1} x", 0, "line 1, column 9"}, {"{\"a\":1}{}", 0, "line 1"}, {"[1,]", 0, "line 1"}, {"{\"a\":1,}", 0, "line 1"},
        {"{'a':1}", 0, "line 1"}, {"{a:1}", 0, "line 1"}, {"[NaN]", 0, "line 1"}, {"[Infinity]", 0, "line 1"},
        {"[01]", 0, "line 1"}, {"[+1]", 0, "line 1"}, {"[1.]", 0, "line 1"}, {"[.5]", 0, "line 1"}, {"[0x10]", 0, "line 1"},
        {"[9223372036854775808]", 0, "too big integer"}, {"[-9223372036854775809]", 0, "too big negative integer"},
        {"[1e999]", 0, "real number overflow"}, {"[-1e999]", 0, "real number overflow"},
        {"[\"\\u0000\"]", 0, "line 1"}, {"{\"\\u0000\":1}", 0, "line 1"}, {"[\"\\ud800\"]", 0, "line 1"},
        {"[\"\\udc00\\ud800\"]", 0, "line 1"}, {"[\"\\x41\"]", 0, "line 1"}, {"[\"a\nb\"]", 0, "line 1"},
        {"[\"\x80\"]", 0, "line 1"}, {"[\"\xc0\xaf\"]", 0, "line 1"}, {"[\"\xed\xa0\x80\"]", 0, "line 1"},
        {"[\"\xf4\x90\x80\x80\"]", 0, "line 1"}, {"[\"\xe2\x82\"]", 0, "line 1"}, {"[\"a\0b\"]", 7, "line 1"},
        {"{}\0", 3, "line 1"}, {"// no\n{}", 0, "line 1"}, {"\xef\xbb\xbf{}", 0, "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        why[0] = '\0';
        json_t *json = fm_json_parse(fm_span(cases[i].text, cases[i].len ? cases[i].len : strlen(cases[i].text)), why, sizeof why);
        if (json != NULL || strstr(why, cases[i].place) == NULL || strstr(why, "near") != NULL)
            fail_msg("case %zu '%s': %s", i, cases[i].text, json != NULL ? "taken" : why);
        json_t *sayable = json_string(why); /* it goes into an answer, so it must be UTF-8 */
        assert_non_null(sayable);
        json_decref(sayable);
    }
}

static void nest(char *out, size_t depth, const char *open, const char *close, const char *inner)
{
    char *at = out;
    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, inner);
    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, close);
}

static void test_depth_is_bounded_before_the_parser(void **state)
{
    (void)state;
    static char text[4096];
    for (size_t depth = FM_DEPTH_MAX + 3; depth <= FM_DEPTH_MAX + 5; depth++) {
        nest(text, depth, "[", "]", "\"]\\\"[[[[[[[[[[[[[[[[[[[[[[[[\"");
        json_t *json = parse(text);
        assert_int_equal(json != NULL, depth <= FM_DEPTH_MAX + 4);
        json_decref(json);
    }
    assert_string_equal(why, "line 1, column 21: nested too deeply");
    size_t len = (size_t)8 * 1024 * 1024;
    char *bomb = malloc(len);
    assert_non_null(bomb);
    memset(bomb, '[', len);
    assert_null(fm_json_parse(fm_span(bomb, len), why, sizeof why));
    /* A flat one: every value would cost the parser a hundred times its bytes. */
    for (size_t i = 1; i + 3 <= len; i += 3)
        memcpy(bomb + i, "{},", 3);
    bomb[len - 1] = ']';
    assert_null(fm_json_parse(fm_span(bomb, len), why, sizeof why));
    assert_non_null(strstr(why, "too many values"));
    /* Brackets and commas in a string are text. */
    memset(bomb, ',', len);
    memcpy(bomb, "[\"", 2);
    memcpy(bomb + len - 2, "\"]", 2);
    json_t *json = fm_json_parse(fm_span(bomb, len), why, sizeof why);
    assert_non_null(json);
    json_decref(json);
    free(bomb);
}

static void assert_doc(int expected, const json_t *json, const char *reason)
{
    struct fm_buf doc;
    fm_buf_init(&doc, 0);
    assert_int_equal(fm_buf_add(&doc, "kept", 4), FM_OK);
    why[0] = '\0';
    int rc = fm_json_to_doc(&doc, json, why, sizeof why);
    if (rc != expected || strcmp(why, reason) != 0)
        fail_msg("%d '%s', expected %d '%s'", rc, why, expected, reason);
    if (rc == FM_OK)
        assert_int_equal(fm_doc_check(fm_span(doc.data + 4, doc.len - 4)), FM_OK);
    else
        assert_int_equal(doc.len, 4); /* nothing half written stays */
    fm_buf_fini(&doc);
}

static void assert_text_doc(int expected, const char *text, const char *reason)
{
    json_t *json = parse(text);
    assert_non_null(json);
    assert_doc(expected, json, reason);
    json_decref(json);
}

static void test_limits_name_their_path(void **state)
{
    (void)state;
    static char text[4096];
    /* Depth: the document is the first level. */
    nest(text, FM_DEPTH_MAX, "{\"a\":", "}", "1");
    assert_text_doc(FM_OK, text, "");
    nest(text, FM_DEPTH_MAX, "{\"a\":", "}", "[]");
    assert_text_doc(FM_ELIMIT, text, "data.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a: nested deeper than 16 levels");
    assert_text_doc(FM_EFORMAT, "[]", "data: want an object");

    json_t *top = json_object(), *items = json_array(), *item = json_object();
    json_object_set_new(top, "items", items);
    for (size_t i = 0; i < 3; i++)
        json_array_append_new(items, json_integer(1));
    json_array_append_new(items, item);
    /* Strings: at the limit, one past it, and a NUL that no parser would let in. */
    static char big[FM_STRING_BYTES_MAX + 2];
    memset(big, 'x', FM_STRING_BYTES_MAX);
    json_object_set_new(item, "unit", json_string(big));
    assert_doc(FM_OK, top, "");
    big[FM_STRING_BYTES_MAX] = 'x';
    json_object_set_new(item, "unit", json_string(big));
    assert_doc(FM_ELIMIT, top, "data.items[3].unit: a text of 16385 bytes, limit 16384");
    json_object_set_new(item, "unit", json_stringn("a\0b", 3));
    assert_doc(FM_EFORMAT, top, "data.items[3].unit: a text holds a NUL");
    json_object_del(item, "unit");
    /* Keys. */
    char key[FM_KEY_BYTES_MAX + 2] = "";
    memset(key, 'k', FM_KEY_BYTES_MAX);
    json_object_set_new(item, key, json_true());
    assert_doc(FM_OK, top, "");
    key[FM_KEY_BYTES_MAX] = 'k';
    json_object_set_new(item, key, json_true());
    assert_doc(FM_ELIMIT, top, "data.items[3]: a key has 65 bytes, limit 64");
    json_object_clear(item);
    json_object_set_new(item, "esc\x1b[2J", json_stringn("\0", 1));
    assert_doc(FM_EFORMAT, top, "data.items[3].esc?[2J: a text holds a NUL");
    json_object_clear(item);
    /* Items. */
    while (json_array_size(items) < FM_ARRAY_ITEMS_MAX)
        json_array_append_new(items, json_integer(7));
    assert_doc(FM_OK, top, "");
    json_array_append_new(items, json_integer(7));
    assert_doc(FM_ELIMIT, top, "data.items: 1025 items, limit 1024");
    json_array_clear(items);
    /* Fields. */
    json_t *fields = json_object();
    json_object_set_new(top, "f", fields);
    for (unsigned i = 0; i < FM_MAP_ENTRIES_MAX; i++) {
        (void)snprintf(key, sizeof key, "f%u", i);
        json_object_set_new(fields, key, json_integer(i));
    }
    assert_doc(FM_OK, top, "");
    json_object_set_new(fields, "one more", json_null());
    assert_doc(FM_ELIMIT, top, "data.f: 257 fields, limit 256");
    json_decref(top);
}

static void test_sums_are_limited(void **state)
{
    (void)state;
    json_t *top = json_object();
    /* Values and keys in all: the document, 4 keys, 4 lists, 4 * 1021 items (and 3 more) = 4096. */
    static const char *const keys[] = {"a", "b", "c", "d"};
    for (size_t k = 0; k < 4; k++) {
        json_t *list = json_array();
        json_object_set_new(top, keys[k], list);
        for (size_t i = 0; i < (k < 3 ? 1022u : 1021u); i++)
            json_array_append_new(list, json_false());
    }
    assert_doc(FM_OK, top, "");
    json_array_append_new(json_object_get(top, "d"), json_false());
    assert_doc(FM_ELIMIT, top, "data.d[1021]: more than 4096 values and keys in one record");
    json_object_clear(top);
    /* Bytes: 4 strings and their heads. */
    static char big[FM_STRING_BYTES_MAX + 1];
    memset(big, 'x', FM_STRING_BYTES_MAX);
    for (size_t k = 0; k < 3; k++)
        json_object_set_new(top, keys[k], json_string(big));
    big[FM_STRING_BYTES_MAX - (1 + 4 * 2 + 4 * 3)] = '\0';
    json_object_set_new(top, "d", json_string(big));
    assert_doc(FM_OK, top, "");
    size_t end = strlen(big);
    big[end] = 'x';
    big[end + 1] = '\0';
    json_object_set_new(top, "d", json_string(big));
    assert_doc(FM_ELIMIT, top, "data: 65537 bytes when packed, limit 65536");
    json_decref(top);
    struct fm_buf small;
    fm_buf_init(&small, 3);
    json_t *json = parse("{\"abc\":1}");
    assert_int_equal(fm_json_to_doc(&small, json, why, sizeof why), FM_ELIMIT);
    assert_int_equal(small.len, 0);
    json_decref(json);
    fm_buf_fini(&small);
}

static void test_hex_and_dates(void **state)
{
    (void)state;
    uint8_t bytes[4] = {0, 0x9a, 0xff, 0x10}, back[4];
    char text[25];
    fm_hex_text(text, bytes, 4);
    assert_string_equal(text, "009aff10");
    assert_int_equal(fm_hex_parse(back, 4, fm_span_str("009AfF10")), FM_OK);
    assert_memory_equal(back, bytes, 4);
    static const char *const bad[] = {"009aff1", "009aff100", "", "009aff1g", "009aff1 ", "0x9aff10"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fm_hex_parse(back, 4, fm_span_str(bad[i])), FM_EFORMAT);

    static const struct {
        uint64_t ms;
        const char *text;
    } dates[] = {
        {0, "1970-01-01T00:00:00.000Z"}, {1793524320000, "2026-11-01T09:12:00.000Z"}, {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"}, {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        uint64_t ms = 1;
        fm_iso_text(text, dates[i].ms);
        assert_string_equal(text, dates[i].text);
        assert_int_equal(fm_iso_parse(&ms, fm_span_str(text)), FM_OK);
        assert_int_equal(ms, dates[i].ms);
    }
    fm_iso_text(text, UINT64_MAX);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    static const char *const no_dates[] = {"", "2026", "2026-13-01T00:00:00.000Z", "2026-02-29T00:00:00.000Z", "1969-12-31T23:59:59.999Z",
                                           "2026-11-01T24:00:00.000Z", "2026-11-01T09:60:00.000Z", "2026-11-01T09:12:00.000",
                                           "2026-11-01T09:12:00.000Zx", "2026-11-01 09:12", "2026-1-1", "0000-00-00", "now"};
    uint64_t ms;
    for (size_t i = 0; i < sizeof no_dates / sizeof no_dates[0]; i++)
        if (fm_iso_parse(&ms, fm_span_str(no_dates[i])) != FM_EFORMAT)
            fail_msg("%s was taken", no_dates[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents_come_back),
        cmocka_unit_test(test_random_doubles_read_back_bit_for_bit),
        cmocka_unit_test(test_hostile_text_is_refused_with_its_place),
        cmocka_unit_test(test_depth_is_bounded_before_the_parser),
        cmocka_unit_test(test_limits_name_their_path),
        cmocka_unit_test(test_sums_are_limited),
        cmocka_unit_test(test_hex_and_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
