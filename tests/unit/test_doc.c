/* Documents: fields are found in place, written sorted, and every value of the profile is read back as it was packed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/bounds.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "tests/support/text_doc.h"

static struct fm_arena arena;

static int empty_arena(void **state)
{
    (void)state;
    fm_arena_fini(&arena);
    return 0;
}

static void fields_are_found_by_name_and_type(void **state)
{
    struct fm_span doc = fm_text_doc(&arena,
        "{s:\"text\", i:-7, big:9223372036854775807, d:0.5, t:true, f:false, n:null, m:{s:1}, l:[1]}");
    struct fm_span text, packed;
    int64_t number;
    bool yes;
    (void)state;
    assert_int_equal(fm_doc_check(doc), FM_OK);
    assert_int_equal(fm_doc_str(doc, "s", &text), FM_OK);
    assert_true(fm_span_eq(text, fm_span_str("text")));
    assert_int_equal(fm_doc_int(doc, "i", &number), FM_OK);
    assert_int_equal(number, -7);
    assert_int_equal(fm_doc_int(doc, "big", &number), FM_OK);
    assert_true(number == INT64_MAX);
    assert_int_equal(fm_doc_bool(doc, "t", &yes), FM_OK);
    assert_true(yes);
    assert_int_equal(fm_doc_bool(doc, "f", &yes), FM_OK);
    assert_false(yes);
    assert_int_equal(fm_doc_get(doc, "m", &packed), FM_OK);
    assert_true(fm_span_eq(packed, fm_text_doc(&arena, "{s:1}")));
    assert_int_equal(fm_doc_str(doc, "i", &text), FM_EFORMAT);
    assert_int_equal(fm_doc_int(doc, "d", &number), FM_EFORMAT);
    assert_int_equal(fm_doc_bool(doc, "n", &yes), FM_EFORMAT);
    static const char *const missing[] = {"", "a", "ii", "mm", "z", "S"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        assert_int_equal(fm_doc_get(doc, missing[i], &packed), FM_ENOTFOUND);
        assert_int_equal(fm_doc_str(doc, missing[i], &text), FM_ENOTFOUND);
        assert_false(fm_doc_has(doc, missing[i]));
    }
    assert_true(fm_doc_has(doc, "f"));
    assert_false(fm_doc_has(doc, "n")); /* nil is as good as missing */
    assert_int_equal(fm_doc_get(doc, "n", &packed), FM_OK);
    assert_int_equal(fm_doc_get(fm_text_doc(&arena, "{}"), "a", &packed), FM_ENOTFOUND);
    assert_int_equal(fm_doc_get(fm_span(NULL, 0), "a", &packed), FM_ENOTFOUND); /* no document has no fields */
    doc = fm_text_doc(&arena, "{\"\":1, a:2}"); /* a key may be empty */
    assert_int_equal(fm_doc_int(doc, "", &number), FM_OK);
    assert_int_equal(number, 1);
    assert_int_equal(fm_doc_int(doc, "a", &number), FM_OK);
    assert_int_equal(number, 2);
}

static void check_wants_one_whole_document(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int rc;
    } samples[] = {{"\x80", 1, FM_OK}, {"\x80\x80", 2, FM_EFORMAT}, {"", 0, FM_EFORMAT}, {"\x90", 1, FM_EFORMAT},
    {"\xc0", 1, FM_EFORMAT}};
    struct fm_buf buf;
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        assert_int_equal(fm_doc_check(fm_span(samples[i].bytes, samples[i].len)), samples[i].rc);
    for (int d = -1; d <= 1; d++) { /* FM_CHANGE_BYTES_MAX: four long strings and one that fills up */
        static uint8_t text[FM_STRING_BYTES_MAX];
        struct fm_pack p;
        memset(text, 'x', sizeof text);
        fm_buf_init(&buf, 0);
        fm_pack_init(&p, &buf);
        fm_pack_map(&p, 5);
        for (uint8_t key = 'a'; key < 'e'; key++) {
            fm_pack_str(&p, fm_span(&key, 1));
            fm_pack_str(&p, fm_span(text, 16000));
        }
        fm_pack_cstr(&p, "e");
        fm_pack_str(&p, fm_span(text, (size_t)((int)(FM_CHANGE_BYTES_MAX - buf.len - 3) + d)));
        assert_int_equal(buf.len, (int)FM_CHANGE_BYTES_MAX + d);
        assert_int_equal(fm_doc_check(fm_buf_span(&buf)), d > 0 ? FM_ELIMIT : FM_OK);
        fm_buf_fini(&buf);
    }
}

static struct fm_field field(const char *key, const char *value)
{
    return (struct fm_field){fm_span_str(key), *value == '\0' ? fm_span(NULL, 0) : fm_text_doc(&arena, value)};
}

static void fields_are_written_sorted_last_one_counts(void **state)
{
    struct fm_field fields[] = {field("b", "1"), field("a", "2"), field("ab", "3"), field("b", "4"), field("gone", "5"),
                                field("gone", ""), field("back", ""), field("back", "6"), field("never", "")};
    struct fm_field found[256];
    size_t count;
    struct fm_buf buf;
    (void)state;
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_buf_add(&buf, "before", 6), FM_OK);
    assert_int_equal(fm_doc_write(&buf, fields, sizeof fields / sizeof *fields), FM_OK);
    struct fm_span doc = fm_span(buf.data + 6, buf.len - 6);
    assert_int_equal(fm_doc_check(doc), FM_OK);
    assert_true(fm_span_eq(doc, fm_text_doc(&arena, "{a:2, ab:3, b:4, back:6}")));
    fm_doc_fields(doc, found, &count);
    assert_int_equal(count, 4);
    assert_true(fm_span_eq(found[1].key, fm_span_str("ab")) && fm_span_eq(found[3].key, fm_span_str("back")));
    assert_int_equal(found[3].value.data[0], 6);
    fm_buf_fini(&buf);
}

static void writing_stops_at_the_entry_bound(void **state)
{
    static char keys[FM_MAP_ENTRIES_MAX + 1][8];
    (void)state;
    for (size_t i = 0; i < FM_MAP_ENTRIES_MAX + 1; i++)
        snprintf(keys[i], sizeof keys[i], "%zu", i % 1000);
    for (size_t n = FM_MAP_ENTRIES_MAX - 1; n <= FM_MAP_ENTRIES_MAX + 1; n++) {
        struct fm_field fields[FM_MAP_ENTRIES_MAX + 2];
        struct fm_buf buf;
        for (size_t i = 0; i < n; i++)
            fields[i] = field(keys[i], "1");
        fields[n] = field("0", "2"); /* twice: one entry */
        fm_buf_init(&buf, 0);
        assert_int_equal(fm_doc_write(&buf, fields, n + 1), n > FM_MAP_ENTRIES_MAX ? FM_ELIMIT : FM_OK);
        if (n <= FM_MAP_ENTRIES_MAX)
            assert_int_equal(fm_doc_check(fm_buf_span(&buf)), FM_OK);
        else
            assert_int_equal(buf.len, 0);
        fm_buf_fini(&buf);
    }
}

static void writing_that_fails_adds_nothing(void **state)
{
    struct fm_field fields[] = {field("a", "1"), field("b", "\"longer than the rest of it\"")};
    struct fm_buf buf;
    (void)state;
    fm_buf_init(&buf, 12);
    assert_int_equal(fm_buf_add(&buf, "x", 1), FM_OK);
    assert_int_equal(fm_doc_write(&buf, fields, 2), FM_ELIMIT);
    assert_int_equal(buf.len, 1);
    fm_buf_fini(&buf);
}

/* Writes a value again from what was read. */
static void repack(struct fm_pack *p, struct fm_span *packed)
{
    struct fm_value v;
    fm_value_next(packed, &v);
    switch (v.type) {
    case FM_NIL: fm_pack_nil(p); return;
    case FM_BOOL: fm_pack_bool(p, v.boolean); return;
    case FM_INT: fm_pack_int(p, v.integer); return;
    case FM_DOUBLE: fm_pack_double(p, v.number); return;
    case FM_STR: fm_pack_str(p, v.text); return;
    case FM_ARRAY:
        fm_pack_array(p, v.count);
        for (uint32_t i = 0; i < v.count; i++)
            repack(p, &v.inner);
        break;
    case FM_MAP:
        fm_pack_map(p, v.count);
        for (uint32_t i = 0; i < v.count * 2; i++)
            repack(p, &v.inner);
        break;
    }
    assert_int_equal(v.inner.len, 0);
}

static void values_are_read_as_they_were_written(void **state)
{
    static const char *const texts[] = {
        "{}", "{a:0, b:-1, c:127, d:128, e:-32, f:-33, g:65536, h:-9223372036854775808, i:9223372036854775807}",
        "{a:0.5, b:-1.25, c:100000000000000000000.0, n:null, t:true, f:false, s:\"\", u:\"\xe2\x82\xac\"}",
        "{a:[], b:[1,[2,[3,{x:[4]}]],{}], c:{d:{e:{f:{g:[{h:1},{h:2}]}}}}, z:1}",
        "{l:[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17], s:\"a text of more than thirty-one bytes, in str8 form\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fm_span doc = fm_text_doc(&arena, texts[i]), rest = doc;
        struct fm_buf buf;
        struct fm_pack p;
        assert_int_equal(fm_doc_check(doc), FM_OK);
        fm_buf_init(&buf, 0);
        fm_pack_init(&p, &buf);
        repack(&p, &rest);
        assert_int_equal(rest.len, 0);
        assert_int_equal(p.error, FM_OK);
        assert_true(fm_span_eq(fm_buf_span(&buf), doc));
        fm_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(fields_are_found_by_name_and_type, empty_arena),
        cmocka_unit_test_teardown(check_wants_one_whole_document, empty_arena),
        cmocka_unit_test_teardown(fields_are_written_sorted_last_one_counts, empty_arena),
        cmocka_unit_test_teardown(writing_stops_at_the_entry_bound, empty_arena),
        cmocka_unit_test_teardown(writing_that_fails_adds_nothing, empty_arena),
        cmocka_unit_test_teardown(values_are_read_as_they_were_written, empty_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
