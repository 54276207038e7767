/* The walker: each profile takes exactly its canonical forms (TRAPS K1, K2), each bound holds at its very number. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/walk.h"

struct sample {
    const char *what, *bytes;
    size_t len;
    int rc;
};
#define S(what, bytes, rc) {what, bytes, sizeof(bytes) - 1, rc}

static int document(const void *bytes, size_t len)
{
    struct fm_walk w;
    struct fm_span out;
    fm_walk_init(&w, fm_span(bytes, len), FM_NODES_MAX);
    int rc = fm_walk_document(&w, &out);
    if (rc != FM_OK) {
        assert_int_equal(w.end - w.at, len); /* it stayed where it was */
        assert_int_equal(w.nodes_left, FM_NODES_MAX);
        return rc;
    }
    assert_ptr_equal(out.data, bytes);
    assert_ptr_equal(w.at, out.data + out.len);
    return fm_walk_end(&w);
}

/* As the value of key "a". */
static int value(const void *bytes, size_t len)
{
    struct fm_buf buf;
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_buf_add(&buf, "\x81\xa1" "a", 3), FM_OK);
    assert_int_equal(fm_buf_add(&buf, bytes, len), FM_OK);
    int rc = document(buf.data, buf.len);
    fm_buf_fini(&buf);
    return rc;
}

static void check(const struct sample *samples, size_t count, int (*read)(const void *, size_t))
{
    for (size_t i = 0; i < count; i++) {
        int rc = read(samples[i].bytes, samples[i].len);
        if (rc != samples[i].rc)
            fail_msg("%s: %d, not %d", samples[i].what, rc, samples[i].rc);
    }
}
#define CHECK(samples, read) check(samples, sizeof samples / sizeof *samples, read)

static void canonical_values_and_no_others(void **state)
{
    static const struct sample samples[] = {
        S("nil", "\xc0", FM_OK), S("false", "\xc2", FM_OK), S("true", "\xc3", FM_OK),
        S("0", "\x00", FM_OK), S("127", "\x7f", FM_OK), S("128", "\xcc\x80", FM_OK),
        S("127 in 8 bits", "\xcc\x7f", FM_EFORMAT),
        S("255", "\xcc\xff", FM_OK), S("255 in 16 bits", "\xcd\x00\xff", FM_EFORMAT), S("256", "\xcd\x01\x00", FM_OK),
        S("65535 in 32 bits", "\xce\x00\x00\xff\xff", FM_EFORMAT), S("65536", "\xce\x00\x01\x00\x00", FM_OK),
        S("2^32-1 in 64 bits", "\xcf\x00\x00\x00\x00\xff\xff\xff\xff", FM_EFORMAT),
        S("2^32", "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", FM_OK),
        S("2^63-1", "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", FM_OK),
        S("2^63", "\xcf\x80\x00\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("-1", "\xff", FM_OK), S("-32", "\xe0", FM_OK), S("-32 in 8 bits", "\xd0\xe0", FM_EFORMAT),
        S("-33", "\xd0\xdf", FM_OK),
        S("-128", "\xd0\x80", FM_OK), S("-128 in 16 bits", "\xd1\xff\x80", FM_EFORMAT), S("-129", "\xd1\xff\x7f", FM_OK),
        S("-32768 in 32 bits", "\xd2\xff\xff\x80\x00", FM_EFORMAT), S("-32769", "\xd2\xff\xff\x7f\xff", FM_OK),
        S("-2^31 in 64 bits", "\xd3\xff\xff\xff\xff\x80\x00\x00\x00", FM_EFORMAT),
        S("-2^31-1", "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", FM_OK),
        S("-2^63", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", FM_OK),
        S("5 signed", "\xd0\x05", FM_EFORMAT), S("128 signed", "\xd1\x00\x80", FM_EFORMAT),
        S("2^40 signed", "\xd3\x00\x00\x01\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("float32", "\xca\x3f\x00\x00\x00", FM_EFORMAT), S("0.5", "\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00", FM_OK),
        S("-0.5", "\xcb\xbf\xe0\x00\x00\x00\x00\x00\x00", FM_OK),
        S("1.0", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("1.5", "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", FM_OK),
        S("3.0", "\xcb\x40\x08\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("0.0", "\xcb\x00\x00\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("-0.0", "\xcb\x80\x00\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("least denormal", "\xcb\x00\x00\x00\x00\x00\x00\x00\x01", FM_OK),
        S("2^51+0.5", "\xcb\x43\x20\x00\x00\x00\x00\x00\x01", FM_OK),
        S("2^52+1", "\xcb\x43\x30\x00\x00\x00\x00\x00\x01", FM_EFORMAT),
        S("2^62", "\xcb\x43\xd0\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("2^63 as float", "\xcb\x43\xe0\x00\x00\x00\x00\x00\x00", FM_OK),
        S("-2^63 as float", "\xcb\xc3\xe0\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("below -2^63", "\xcb\xc3\xe0\x00\x00\x00\x00\x00\x01", FM_OK),
        S("1e300", "\xcb\x7e\x37\xe4\x3c\x88\x00\x75\x9c", FM_OK),
        S("infinity", "\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("-infinity", "\xcb\xff\xf0\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("NaN", "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", FM_EFORMAT),
        S("NaN 2", "\xcb\xff\xf0\x00\x00\x00\x00\x00\x01", FM_EFORMAT),
        S("empty str", "\xa0", FM_OK), S("str", "\xa2hi", FM_OK), S("short str in str8", "\xd9\x02hi", FM_EFORMAT),
        S("str8 in str16", "\xda\x00\x02hi", FM_EFORMAT), S("str16 in str32", "\xdb\x00\x00\x00\x02hi", FM_EFORMAT),
        S("bin", "\xc4\x01x", FM_EFORMAT), S("ext", "\xd4\x01x", FM_EFORMAT), S("ext8", "\xc7\x01\x01x", FM_EFORMAT),
        S("0xc1", "\xc1", FM_EFORMAT), S("empty array", "\x90", FM_OK), S("array", "\x92\x01\xa1x", FM_OK),
        S("array16 too wide", "\xdc\x00\x01\x01", FM_EFORMAT), S("array32 too wide", "\xdd\x00\x00\x00\x01\x01", FM_EFORMAT),
        S("map in map", "\x81\xa1x\x80", FM_OK), S("map16 too wide", "\xde\x00\x01\xa1x\x01", FM_EFORMAT),
        S("map32 too wide", "\xdf\x00\x00\x00\x01\xa1x\x01", FM_EFORMAT), S("bin in array", "\x91\xc4\x01x", FM_EFORMAT),
        S("something after it", "\x01\x01", FM_EFORMAT), S("nothing", "", FM_EFORMAT),
    };
    (void)state;
    CHECK(samples, value);
}

static void keys_are_text_sorted_and_unique(void **state)
{
    static const struct sample samples[] = {
        S("none", "\x80", FM_OK), S("two", "\x82\xa1" "a\x01\xa1" "b\x02", FM_OK),
        S("twice", "\x82\xa1" "a\x01\xa1" "a\x02", FM_EFORMAT),
        S("falling", "\x82\xa1" "b\x01\xa1" "a\x02", FM_EFORMAT),
        S("beginning first", "\x82\xa1" "a\x01\xa2" "ab\x02", FM_OK),
        S("beginning last", "\x82\xa2" "ab\x01\xa1" "a\x02", FM_EFORMAT),
        S("by bytes, not length", "\x82\xa2" "ab\x01\xa1" "b\x02", FM_OK),
        S("bytes are unsigned", "\x82\xa1" "z\x01\xa2\xc3\xa9\x02", FM_OK),
        S("empty key first", "\x82\xa0\x01\xa1" "a\x02", FM_OK),
        S("number as key", "\x81\x01\x01", FM_EFORMAT), S("nil as key", "\x81\xc0\x01", FM_EFORMAT),
        S("bin as key", "\x81\xc4\x01" "a\x01", FM_EFORMAT),
        S("wide key", "\x81\xd9\x01" "a\x01", FM_EFORMAT),
        S("inner falling", "\x81\xa1" "m\x82\xa1" "b\x01\xa1" "a\x02", FM_EFORMAT),
        S("same key on two levels", "\x81\xa1" "m\x81\xa1" "m\x01", FM_OK), S("an array is no document", "\x90", FM_EFORMAT),
        S("nil is no document", "\xc0", FM_EFORMAT), S("key without value", "\x81\xa1" "a", FM_EFORMAT),
    };
    (void)state;
    CHECK(samples, document);
}

static void text_is_utf8_without_nul(void **state)
{
    static const struct sample samples[] = {
        S("ascii", "\xa1\x7f", FM_OK), S("U+0080", "\xa2\xc2\x80", FM_OK), S("U+07FF", "\xa2\xdf\xbf", FM_OK),
        S("U+0800", "\xa3\xe0\xa0\x80", FM_OK), S("U+D7FF", "\xa3\xed\x9f\xbf", FM_OK),
        S("U+E000", "\xa3\xee\x80\x80", FM_OK),
        S("U+FFFF", "\xa3\xef\xbf\xbf", FM_OK), S("U+10000", "\xa4\xf0\x90\x80\x80", FM_OK),
        S("U+10FFFF", "\xa4\xf4\x8f\xbf\xbf", FM_OK),
        S("NUL", "\xa1\x00", FM_EFORMAT), S("NUL inside", "\xa3" "a\x00" "b", FM_EFORMAT),
        S("lone continuation", "\xa1\x80", FM_EFORMAT),
        S("overlong 2", "\xa2\xc0\x80", FM_EFORMAT), S("overlong 2b", "\xa2\xc1\xbf", FM_EFORMAT),
        S("overlong 3", "\xa3\xe0\x9f\xbf", FM_EFORMAT),
        S("overlong 4", "\xa4\xf0\x8f\xbf\xbf", FM_EFORMAT), S("surrogate low", "\xa3\xed\xa0\x80", FM_EFORMAT),
        S("surrogate high", "\xa3\xed\xbf\xbf", FM_EFORMAT), S("above U+10FFFF", "\xa4\xf4\x90\x80\x80", FM_EFORMAT),
        S("0xf5", "\xa4\xf5\x80\x80\x80", FM_EFORMAT), S("0xff", "\xa1\xff", FM_EFORMAT), S("cut 2", "\xa1\xc3", FM_EFORMAT),
        S("cut 3", "\xa2\xe2\x82", FM_EFORMAT), S("cut 4", "\xa3\xf0\x9f\x98", FM_EFORMAT),
        S("bad third byte", "\xa3\xe2\x82\x41", FM_EFORMAT),
        S("bad fourth byte", "\xa4\xf0\x9f\x98\x41", FM_EFORMAT), S("good then bad", "\xa3\xc3\xa9\xc3", FM_EFORMAT),
        S("as a key", "\x81\xa1\xff\x01", FM_EFORMAT),
        /* eight bytes are looked at together */
        S("sixteen and one", "\xb1" "0123456789abcdef\x7f", FM_OK),
        S("low bytes", "\xa8\x01\x01\x02\x7f\x01\x01\x01\x01", FM_OK),
        S("é in the first eight", "\xa9" "012345\xc3\xa9" "8", FM_OK), S("é across", "\xa9" "0123456\xc3\xa9", FM_OK),
        S("é after", "\xaa" "01234567\xc3\xa9", FM_OK), S("NUL first of eight", "\xa8\x00" "1234567", FM_EFORMAT),
        S("NUL last of eight", "\xa8" "0123456\x00", FM_EFORMAT), S("NUL after", "\xa9" "01234567\x00", FM_EFORMAT),
        S("0xff last of eight", "\xa8" "0123456\xff", FM_EFORMAT), S("0x80 after", "\xa9" "01234567\x80", FM_EFORMAT),
        S("cut after eight", "\xa9" "01234567\xc3", FM_EFORMAT),
    };
    (void)state;
    CHECK(samples, value);
}

/* --- bounds: each at one below, at, and one past its number --- */
static void pack_nested(struct fm_pack *p, uint32_t n, bool maps) /* a document of n levels */
{
    for (uint32_t i = 1; i < n; i++) {
        if (maps || i == 1) {
            fm_pack_map(p, 1);
            fm_pack_cstr(p, "k");
        } else {
            fm_pack_array(p, 1);
        }
    }
    if (n == 1 || maps)
        fm_pack_map(p, 0);
    else
        fm_pack_array(p, 0);
}
static void pack_maps(struct fm_pack *p, uint32_t n)
{
    pack_nested(p, n, true);
}
static void pack_arrays(struct fm_pack *p, uint32_t n)
{
    pack_nested(p, n, false);
}
static void pack_entries(struct fm_pack *p, uint32_t n)
{
    fm_pack_map(p, n);
    for (uint32_t i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%05u", i);
        fm_pack_cstr(p, key);
        fm_pack_nil(p);
    }
}
static void pack_items(struct fm_pack *p, uint32_t n)
{
    fm_pack_map(p, 1);
    fm_pack_cstr(p, "a");
    fm_pack_array(p, n);
    for (uint32_t i = 0; i < n; i++)
        fm_pack_nil(p);
}
static void pack_nodes(struct fm_pack *p, uint32_t n) /* map, key, array of arrays, then the rest in the last one */
{
    uint32_t left = n - 3, rows = 5;
    fm_pack_map(p, 1);
    fm_pack_cstr(p, "a");
    fm_pack_array(p, rows);
    left -= rows;
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t items = left / (rows - row);
        left -= items;
        fm_pack_array(p, items);
        for (uint32_t i = 0; i < items; i++)
            fm_pack_bool(p, true);
    }
}
static void pack_text(struct fm_pack *p, const char *key, size_t key_len, size_t len)
{
    static uint8_t text[FM_STRING_BYTES_MAX + 1];
    memset(text, 'x', sizeof text);
    fm_pack_map(p, 1);
    fm_pack_str(p, fm_span(key, key_len));
    fm_pack_str(p, fm_span(text, len));
}
static void pack_string(struct fm_pack *p, uint32_t n)
{
    pack_text(p, "a", 1, n);
}
static void pack_key(struct fm_pack *p, uint32_t n)
{
    char key[FM_KEY_BYTES_MAX + 1];
    memset(key, 'k', sizeof key);
    pack_text(p, key, n, 1);
}

static void bounds_hold_at_their_number(void **state)
{
    static const struct {
        const char *what;
        uint32_t max;
        void (*pack)(struct fm_pack *p, uint32_t n);
    } bounds[] = {
        {"depth of maps", FM_DEPTH_MAX, pack_maps},      {"depth of arrays", FM_DEPTH_MAX, pack_arrays},
        {"map entries", FM_MAP_ENTRIES_MAX, pack_entries}, {"array items", FM_ARRAY_ITEMS_MAX, pack_items},
        {"nodes", FM_NODES_MAX, pack_nodes},             {"string", FM_STRING_BYTES_MAX, pack_string},
        {"key", FM_KEY_BYTES_MAX, pack_key},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        for (int d = -1; d <= 1; d++) {
            struct fm_buf buf;
            struct fm_pack p;
            fm_buf_init(&buf, 0);
            fm_pack_init(&p, &buf);
            bounds[i].pack(&p, (uint32_t)((int)bounds[i].max + d));
            assert_int_equal(p.error, FM_OK);
            int rc = document(buf.data, buf.len);
            if (rc != (d > 0 ? FM_ELIMIT : FM_OK))
                fail_msg("%s at %+d: %d", bounds[i].what, d, rc);
            fm_buf_fini(&buf);
        }
    }
}

static void claims_are_bounded_by_the_bytes_left(void **state)
{
    static const struct sample samples[] = { /* TRAPS K1 */
        S("4 G items", "\xdd\xff\xff\xff\xff", FM_EFORMAT), S("4 G entries", "\xdf\xff\xff\xff\xff", FM_EFORMAT),
        S("4 GB string", "\xdb\xff\xff\xff\xffx", FM_EFORMAT), S("2 items in 1 byte", "\x92\x01", FM_EFORMAT),
        S("1 entry in 1 byte", "\x81\xa0", FM_EFORMAT),
        S("nested heads", "\x91\x91\x91\xdd\x7f\xff\xff\xff\x01", FM_EFORMAT),
        S("cut head", "\xcd\x01", FM_EFORMAT), S("cut float", "\xcb\x3f", FM_EFORMAT), S("cut str8", "\xd9", FM_EFORMAT),
    };
    (void)state;
    CHECK(samples, value);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct fm_walk w;
        struct fm_span out;
        fm_walk_init(&w, fm_span(samples[i].bytes, samples[i].len), UINT32_MAX);
        assert_int_equal(fm_walk_skip(&w, &out), FM_EFORMAT);
        assert_ptr_equal(w.at, samples[i].bytes);
    }
}

/* Every prefix fails; every change of one byte is read or refused without harm (ASan watches exact-sized copies). */
static void cut_or_bent_documents_do_no_harm(void **state)
{
    static const char doc[] = "\x86\xa1" "a\x92\x01\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00\xa1" "b\xc3\xa1" "c\xcd\x01\x00\xa1" "d\xc0\xa1"
                              "e\x81\xa1x\xa3\xe2\x82\xac\xa1" "f\xd0\xdf";
    size_t len = sizeof doc - 1;
    (void)state;
    assert_int_equal(document(doc, len), FM_OK);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut == 0 ? 1 : cut);
        memcpy(copy, doc, cut);
        assert_int_equal(document(copy, cut), FM_EFORMAT);
        free(copy);
    }
    size_t taken = 0;
    for (size_t at = 0; at < len; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t *copy = malloc(len);
            memcpy(copy, doc, len);
            copy[at] = (uint8_t)byte;
            taken += document(copy, len) == FM_OK;
            free(copy);
        }
    }
    assert_in_range(taken, len, 256 * len / 2);
}

/* --- the envelope's functions --- */
static struct fm_walk over(const char *bytes, size_t len, uint32_t nodes)
{
    struct fm_walk w;
    fm_walk_init(&w, fm_span(bytes, len), nodes);
    return w;
}
#define OVER(bytes) over(bytes, sizeof(bytes) - 1, 100)

static void envelope_numbers(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint64_t max;
        int rc;
        uint64_t number;
    } samples[] = {
        {"\x05", 1, 5, FM_OK, 5}, {"\x05", 1, 4, FM_ELIMIT, 0}, {"\xcc\x05", 2, 9, FM_EFORMAT, 0},
        {"\xff", 1, 9, FM_EFORMAT, 0},
        {"\xd0\x05", 2, 9, FM_EFORMAT, 0}, {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, UINT64_MAX, FM_OK, UINT64_MAX},
        {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, UINT64_MAX - 1, FM_ELIMIT, 0}, {"\xc0", 1, 9, FM_EFORMAT, 0},
        {"\xa1" "5", 2, 9, FM_EFORMAT, 0}, {"\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00", 9, 9, FM_EFORMAT, 0},
        {"", 0, 9, FM_EFORMAT, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct fm_walk w = over(samples[i].bytes, samples[i].len, 1);
        uint64_t number = 77;
        assert_int_equal(fm_walk_uint(&w, &number, samples[i].max), samples[i].rc);
        assert_true(number == (samples[i].rc == FM_OK ? samples[i].number : 77));
        assert_int_equal(fm_walk_end(&w), samples[i].rc == FM_OK || samples[i].len == 0 ? FM_OK : FM_EFORMAT);
        assert_int_equal(w.nodes_left, samples[i].rc == FM_OK ? 0 : 1);
    }
}

static void envelope_arrays_bins_and_text(void **state)
{
    struct fm_span span;
    uint32_t count;
    uint8_t two[2];
    bool yes;
    struct fm_walk w = OVER("\x93\xc4\x02hi\xa2ok\xc3");
    (void)state;
    assert_int_equal(fm_walk_array_of(&w, 2), FM_EFORMAT);
    assert_int_equal(fm_walk_array(&w, &count), FM_OK);
    assert_int_equal(count, 3);
    assert_int_equal(fm_walk_str(&w, &span, 9), FM_EFORMAT);
    assert_int_equal(fm_walk_bin(&w, &span, 1), FM_ELIMIT);
    assert_int_equal(fm_walk_bin_of(&w, two, 1), FM_EFORMAT);
    assert_int_equal(fm_walk_bin_of(&w, two, 2), FM_OK);
    assert_memory_equal(two, "hi", 2);
    assert_int_equal(fm_walk_bin(&w, &span, 9), FM_EFORMAT);
    assert_int_equal(fm_walk_str(&w, &span, 1), FM_ELIMIT);
    assert_int_equal(fm_walk_str(&w, &span, 2), FM_OK);
    assert_true(fm_span_eq(span, fm_span_str("ok")));
    assert_int_equal(fm_walk_end(&w), FM_EFORMAT);
    assert_int_equal(fm_walk_bool(&w, &yes), FM_OK);
    assert_true(yes);
    assert_int_equal(fm_walk_bool(&w, &yes), FM_EFORMAT);
    assert_int_equal(fm_walk_end(&w), FM_OK);
    w = OVER("\xc4\x00");
    assert_int_equal(fm_walk_bin(&w, &span, 0), FM_OK);
    assert_int_equal(span.len, 0);
    w = OVER("\xc5\x00\x02hi");
    assert_int_equal(fm_walk_bin(&w, &span, 9), FM_EFORMAT);
    w = OVER("\xdc\x00\x01\xc0");
    assert_int_equal(fm_walk_array(&w, &count), FM_EFORMAT);
    w = OVER("\x81\xa1" "a\x01");
    assert_int_equal(fm_walk_array(&w, &count), FM_EFORMAT);
}

static void node_budget_holds_in_the_envelope(void **state)
{
    uint64_t number;
    uint32_t count;
    struct fm_span span;
    struct fm_walk w = over("\x92\x01\x02", 3, 3);
    (void)state;
    assert_int_equal(fm_walk_array(&w, &count), FM_OK);
    assert_int_equal(fm_walk_uint(&w, &number, 9), FM_OK);
    assert_int_equal(fm_walk_uint(&w, &number, 9), FM_OK);
    w = over("\x92\x01\x02", 3, 2); /* told at the head already */
    assert_int_equal(fm_walk_array(&w, &count), FM_ELIMIT);
    w = over("\x92\x01\x02", 3, 2);
    assert_int_equal(fm_walk_skip(&w, &span), FM_ELIMIT);
    w = over("\x92\x01\x02", 3, 3);
    assert_int_equal(fm_walk_skip(&w, &span), FM_OK);
    w = over("\x01", 1, 0);
    assert_int_equal(fm_walk_uint(&w, &number, 9), FM_ELIMIT);
}

static void skip_takes_any_well_formed_value(void **state)
{
    static const struct sample samples[] = {
        S("wide integer", "\xcc\x05", FM_OK), S("float32", "\xca\x3f\x00\x00\x00", FM_OK),
        S("bin16", "\xc5\x00\x02hi", FM_OK),
        S("fixext", "\xd8\x01" "0123456789abcdef", FM_OK), S("ext8", "\xc7\x02\x01hi", FM_OK),
        S("ext32", "\xc9\x00\x00\x00\x01\x01x", FM_OK),
        S("falling keys", "\x82\xa1" "b\x01\xa1" "a\x02", FM_OK), S("number as key", "\x81\x01\x01", FM_OK),
        S("bad text", "\xa1\xff", FM_OK),
        S("0xc1", "\x91\xc1", FM_EFORMAT), S("cut ext", "\xd8\x01" "0123456789abcde", FM_EFORMAT),
        S("cut ext head", "\xc7\x00", FM_EFORMAT),
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct fm_walk w = over(samples[i].bytes, samples[i].len, 100);
        struct fm_span out;
        int rc = fm_walk_skip(&w, &out);
        if (rc != samples[i].rc || (rc == FM_OK && out.len != samples[i].len))
            fail_msg("%s: %d", samples[i].what, rc);
    }
}

/* The packer writes what the walker calls canonical, and the walker gives it back. */
static void packed_numbers_come_back(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        for (int d = -2; d <= 2; d++) {
            uint64_t number = (UINT64_C(1) << bit) + (uint64_t)(int64_t)d, back;
            struct fm_buf buf;
            struct fm_pack p;
            struct fm_walk w;
            struct fm_span out;
            fm_buf_init(&buf, 0);
            fm_pack_init(&p, &buf);
            fm_pack_uint(&p, number);
            fm_pack_int(&p, (int64_t)number);
            fm_pack_int(&p, number == 0 ? 0 : -(int64_t)(number & INT64_MAX));
            assert_int_equal(p.error, FM_OK);
            fm_walk_init(&w, fm_buf_span(&buf), 3);
            assert_int_equal(fm_walk_uint(&w, &back, UINT64_MAX), FM_OK);
            assert_true(back == number);
            assert_int_equal(fm_walk_value(&w, &out), FM_OK);
            assert_int_equal(fm_walk_value(&w, &out), FM_OK);
            assert_int_equal(fm_walk_end(&w), FM_OK);
            fm_buf_fini(&buf);
        }
    }
}

static void packed_doubles_are_canonical(void **state)
{
    static const struct {
        double number;
        const char *bytes;
        size_t len;
        int error;
    } samples[] = {
        {0.0, "\x00", 1, FM_OK}, {-0.0, "\x00", 1, FM_OK}, {1.0, "\x01", 1, FM_OK}, {-3.0, "\xfd", 1, FM_OK},
        {0.5, "\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00", 9, FM_OK},
        {4294967296.0, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 9, FM_OK},
        {9223372036854775808.0, "\xcb\x43\xe0\x00\x00\x00\x00\x00\x00", 9, FM_OK},
        {-9223372036854775808.0, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, FM_OK},
        {9007199254740993.0, "\xcf\x00\x20\x00\x00\x00\x00\x00\x00", 9, FM_OK},
        {1e300, "\xcb\x7e\x37\xe4\x3c\x88\x00\x75\x9c", 9, FM_OK}, {__builtin_inf(), "", 0, FM_ELIMIT},
        {__builtin_nan(""), "", 0, FM_ELIMIT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct fm_buf buf;
        struct fm_pack p;
        fm_buf_init(&buf, 0);
        fm_pack_init(&p, &buf);
        fm_pack_double(&p, samples[i].number);
        assert_int_equal(p.error, samples[i].error);
        assert_true(fm_span_eq(fm_buf_span(&buf), fm_span(samples[i].bytes, samples[i].len)));
        fm_buf_fini(&buf);
    }
}

static void packing_errors_stick(void **state)
{
    struct fm_buf buf;
    struct fm_pack p;
    (void)state;
    fm_buf_init(&buf, 4);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, 2);
    fm_pack_cstr(&p, "too long");
    assert_int_equal(p.error, FM_ELIMIT);
    size_t len = buf.len;
    fm_pack_nil(&p);
    fm_pack_raw(&p, fm_span("\xc0", 1));
    assert_int_equal(p.error, FM_ELIMIT);
    assert_int_equal(buf.len, len);
    fm_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_values_and_no_others),
        cmocka_unit_test(keys_are_text_sorted_and_unique),
        cmocka_unit_test(text_is_utf8_without_nul),
        cmocka_unit_test(bounds_hold_at_their_number),
        cmocka_unit_test(claims_are_bounded_by_the_bytes_left),
        cmocka_unit_test(cut_or_bent_documents_do_no_harm),
        cmocka_unit_test(envelope_numbers),
        cmocka_unit_test(envelope_arrays_bins_and_text),
        cmocka_unit_test(node_budget_holds_in_the_envelope),
        cmocka_unit_test(skip_takes_any_well_formed_value),
        cmocka_unit_test(packed_numbers_come_back),
        cmocka_unit_test(packed_doubles_are_canonical),
        cmocka_unit_test(packing_errors_stick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
