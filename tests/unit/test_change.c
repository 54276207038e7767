/* Changes and bodies: one form of bytes, each bound, and a void change still tells whose record it is of. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/change.h"
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

static struct fm_change sample(void)
{
    return (struct fm_change){
        .kind = FM_KIND_ASSESSMENT,
        .action = FM_UPDATE,
        .record = {{1, 2, 3}},
        .version = 7,
        .parent_count = 2,
        .parents = {{{4}}, {{5}}},
        .actor = fm_span_str("user-1"),
        .document = fm_text_doc(&arena, "{entityId:\"e\", m:{x:1}}"),
    };
}

static void decoding_gives_back_what_was_encoded(void **state)
{
    struct fm_change change = sample(), back;
    struct fm_buf buf, again;
    bool known;
    (void)state;
    for (uint32_t parents = 0; parents <= FM_PARENTS_MAX; parents += parents < 2 ? 1 : 31) {
        fm_buf_init(&buf, 0);
        fm_buf_init(&again, 0);
        change.parent_count = parents;
        for (uint32_t i = 0; i < parents; i++)
            change.parents[i].b[23] = (uint8_t)i;
        assert_int_equal(fm_change_encode(&buf, &change), FM_OK);
        assert_int_equal(fm_change_decode(&back, fm_buf_span(&buf), &known), FM_OK);
        assert_true(known);
        assert_int_equal(back.kind, change.kind);
        assert_int_equal(back.action, change.action);
        assert_true(fm_id_eq(&back.record, &change.record));
        assert_int_equal(back.version, change.version);
        assert_int_equal(back.parent_count, parents);
        for (uint32_t i = 0; i < parents; i++)
            assert_true(fm_id_eq(&back.parents[i], &change.parents[i]));
        assert_true(fm_span_eq(back.actor, change.actor));
        assert_true(fm_span_eq(back.document, change.document));
        assert_true(fm_span_eq(back.bytes, fm_buf_span(&buf)));
        assert_int_equal(fm_item_kind(fm_buf_span(&buf)), change.kind);
        assert_int_equal(fm_change_encode(&again, &back), FM_OK);
        assert_true(fm_span_eq(fm_buf_span(&again), fm_buf_span(&buf)));
        fm_buf_fini(&buf);
        fm_buf_fini(&again);
    }
}

/* --- field by field: items[i] replaces the i-th packed item --- */
struct item {
    const char *bytes;
    size_t len;
};
#define I(b) {b, sizeof(b) - 1}
#define B16 "0123456789abcdef"
#define B24 B16 "01234567"
#define B64 B16 B16 B16 B16

static void pack_items(struct fm_buf *buf, const struct item *items, uint32_t count)
{
    struct fm_pack p;
    fm_pack_init(&p, buf);
    fm_pack_array(&p, count);
    for (uint32_t i = 0; i < count; i++)
        fm_pack_raw(&p, fm_span(items[i].bytes, items[i].len));
    assert_int_equal(p.error, FM_OK);
}

static const struct item good[7] = {I("\x01"), I("\x02"), I("\xc4\x10" B16), I("\x07"), I("\x91\xc4\x18" B24), I("\xa1u"),
    I("\x81\xa1x\x01")};

static void each_field_has_its_bounds(void **state)
{
    static const struct {
        int at;
        struct item item;
        int rc;
        bool known;
    } cases[] = {
        {0, I("\x00"), FM_EFORMAT, false}, {0, I("\x7f"), FM_OK, true}, {0, I("\xcc\x80"), FM_ELIMIT, false},
        {0, I("\xcc\x01"), FM_EFORMAT, false},
        {0, I("\xa1" "1"), FM_EFORMAT, false},
        {1, I("\x00"), FM_OK, true}, {1, I("\xcc\xff"), FM_OK, true}, {1, I("\xcd\x01\x00"), FM_ELIMIT, true},
        {1, I("\xcc\x02"), FM_EFORMAT, true},
        {1, I("\xc0"), FM_EFORMAT, true}, {1, I("\xc1"), FM_EFORMAT, false},
        {2, I("\xc4\x0f" "0123456789abcde"), FM_EFORMAT, false}, {2, I("\xc4\x11" B16 "x"), FM_EFORMAT, false},
        {2, I("\xb0" B16), FM_EFORMAT, false},
        {3, I("\x00"), FM_ELIMIT, true}, {3, I("\x01"), FM_OK, true}, {3, I("\xce\x7f\xff\xff\xff"), FM_OK, true},
        {3, I("\xce\x7f\xff\xff\xfe"), FM_OK, true}, {3, I("\xce\x80\x00\x00\x00"), FM_ELIMIT, true},
        {3, I("\xff"), FM_EFORMAT, true},
        {3, I("\xcc\x07"), FM_EFORMAT, true}, {3, I("\xc0"), FM_EFORMAT, true},
        {4, I("\x90"), FM_OK, true}, {4, I("\xc0"), FM_EFORMAT, true},
        {4, I("\x91\xc4\x17" B16 "0123456"), FM_EFORMAT, true},
        {4, I("\x91\x01"), FM_EFORMAT, true}, {4, I("\xdc\x00\x00"), FM_EFORMAT, true},
        {5, I("\xa0"), FM_EFORMAT, true}, {5, I("\xd9\x40" B64), FM_OK, true},
        {5, I("\xd9\x3f" B16 B16 B16 "0123456789abcde"), FM_OK, true},
        {5, I("\xd9\x41" B64 "x"), FM_ELIMIT, true}, {5, I("\xa1\xff"), FM_EFORMAT, true},
        {5, I("\xa1\x00"), FM_EFORMAT, true},
        {5, I("\xc4\x01u"), FM_EFORMAT, true},
        {6, I("\x80"), FM_OK, true}, {6, I("\x90"), FM_EFORMAT, true}, {6, I("\xc0"), FM_EFORMAT, true},
        {6, I("\x82\xa1" "b\x01\xa1" "a\x01"), FM_EFORMAT, true}, {6, I("\x81\xa1x\xcc\x01"), FM_EFORMAT, true},
        {6, I("\x81\xa1x\xc4\x01x"), FM_EFORMAT, true},
    };
    struct fm_change change;
    struct fm_buf buf;
    bool known;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct item items[8];
        memcpy(items, good, sizeof good);
        items[cases[i].at] = cases[i].item;
        fm_buf_init(&buf, 0);
        pack_items(&buf, items, 7);
        int rc = fm_change_decode(&change, fm_buf_span(&buf), &known);
        if (rc != cases[i].rc || known != cases[i].known)
            fail_msg("case %zu, field %d: %d, known %d", i, cases[i].at, rc, known);
        if (known) {
            assert_memory_equal(change.record.b, B16, 16);
            assert_int_not_equal(change.kind, 0);
        }
        fm_buf_fini(&buf);
    }
    for (uint32_t count = 0; count <= 8; count++) { /* seven items, no more, no less */
        struct item items[8];
        memcpy(items, good, sizeof good);
        items[7] = good[0];
        fm_buf_init(&buf, 0);
        pack_items(&buf, items, count);
        assert_int_equal(fm_change_decode(&change, fm_buf_span(&buf), &known), count == 7 ? FM_OK : FM_EFORMAT);
        assert_int_equal(known, count >= 3);
        fm_buf_fini(&buf);
    }
}

/* What stands behind a short array is not part of it. */
static void nothing_is_read_past_the_array(void **state)
{
    (void)state;
    for (uint8_t count = 0; count < 3; count++) {
        struct fm_change change;
        struct fm_buf buf;
        bool known;
        fm_buf_init(&buf, 0);
        pack_items(&buf, good, 7);
        buf.data[0] = 0x90 | count;
        assert_int_equal(fm_change_decode(&change, fm_buf_span(&buf), &known), FM_EFORMAT);
        assert_false(known);
        fm_buf_fini(&buf);
    }
}

static void parents_are_counted_as_written(void **state)
{
    struct fm_change change;
    bool known;
    (void)state;
    for (uint32_t n = FM_PARENTS_MAX - 1; n <= FM_PARENTS_MAX + 1; n++) {
        struct fm_buf list, buf;
        struct fm_pack p;
        struct item items[7];
        fm_buf_init(&list, 0);
        fm_buf_init(&buf, 0);
        fm_pack_init(&p, &list);
        fm_pack_array(&p, n);
        for (uint32_t i = 0; i < n; i++)
            fm_pack_bin(&p, B24, 24);
        memcpy(items, good, sizeof items);
        items[4] = (struct item){(const char *)list.data, list.len};
        pack_items(&buf, items, 7);
        assert_int_equal(fm_change_decode(&change, fm_buf_span(&buf), &known), n > FM_PARENTS_MAX ? FM_ELIMIT : FM_OK);
        assert_true(known);
        assert_int_equal(change.parent_count, n);
        assert_int_equal(change.version, 7);
        fm_buf_fini(&list);
        fm_buf_fini(&buf);
    }
}

static void cut_changes_are_refused(void **state)
{
    struct fm_change change = sample(), back;
    struct fm_buf buf;
    bool known;
    (void)state;
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_change_encode(&buf, &change), FM_OK);
    for (size_t cut = 0; cut < buf.len; cut++) {
        uint8_t *copy = malloc(cut == 0 ? 1 : cut);
        memcpy(copy, buf.data, cut);
        assert_int_equal(fm_change_decode(&back, fm_span(copy, cut), &known), FM_EFORMAT);
        free(copy);
    }
    assert_int_equal(fm_buf_add(&buf, "\x01", 1), FM_OK);
    assert_int_equal(fm_change_decode(&back, fm_buf_span(&buf), &known), FM_EFORMAT);
    fm_buf_fini(&buf);
}

/* A document that makes the change exactly so many bytes, or values, as wanted. */
static struct fm_span document_of(size_t bytes)
{
    static uint8_t text[16000];
    struct fm_buf buf;
    struct fm_pack p;
    memset(text, 'x', sizeof text);
    fm_buf_init(&buf, 0);
    fm_pack_init(&p, &buf);
    fm_pack_map(&p, 5);
    for (uint8_t key = 'a'; key < 'f'; key++) {
        fm_pack_str(&p, fm_span(&key, 1));
        fm_pack_str(&p, fm_span(text, key < 'e' ? sizeof text : bytes - buf.len - 3));
    }
    assert_int_equal(buf.len, bytes);
    uint8_t *copy = fm_arena_copy(&arena, fm_buf_span(&buf));
    assert_non_null(copy);
    fm_buf_fini(&buf);
    return fm_span(copy, bytes);
}
static struct fm_span document_of_nodes(uint32_t nodes) /* map, 4 keys, 4 arrays, the rest in them */
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, 0);
    fm_pack_init(&p, &buf);
    fm_pack_map(&p, 4);
    for (uint32_t row = 0, left = nodes - 9; row < 4; row++) {
        uint32_t items = left / (4 - row);
        const uint8_t key = (uint8_t)('a' + row);
        fm_pack_str(&p, fm_span(&key, 1));
        fm_pack_array(&p, items);
        for (uint32_t i = 0; i < items; i++)
            fm_pack_nil(&p);
        left -= items;
    }
    size_t len = buf.len;
    uint8_t *copy = fm_arena_copy(&arena, fm_buf_span(&buf));
    assert_non_null(copy);
    fm_buf_fini(&buf);
    assert_int_equal(fm_doc_check(fm_span(copy, len)), FM_OK);
    return fm_span(copy, len);
}

static void one_change_is_bounded(void **state)
{
    struct fm_change change = sample(), back;
    struct fm_buf buf;
    struct fm_span items[FM_SET_CHANGES_MAX];
    bool known;
    (void)state;
    fm_buf_init(&buf, 0);
    change.document = fm_span("\x80", 1);
    assert_int_equal(fm_change_encode(&buf, &change), FM_OK);
    size_t around = buf.len - 1;
    for (int d = -1; d <= 1; d++) {
        size_t want = (size_t)((int)FM_CHANGE_BYTES_MAX + d);
        change.document = document_of(want - around);
        buf.len = 1;
        assert_int_equal(fm_change_encode(&buf, &change), d > 0 ? FM_ELIMIT : FM_OK);
        assert_int_equal(buf.len, d > 0 ? 1 : want + 1);
        if (d > 0) { /* by hand, as a stranger could */
            struct fm_pack p;
            assert_int_equal(fm_buf_add(&buf, buf.data + buf.len, around), FM_OK);
            fm_pack_init(&p, &buf);
            fm_pack_raw(&p, change.document);
        }
        buf.data[0] = 0x91; /* as a body of one change */
        assert_int_equal(fm_change_decode(&back, fm_span(buf.data + 1, want), &known), d > 0 ? FM_ELIMIT : FM_OK);
        assert_true(known);
        assert_int_equal(fm_body_split(fm_buf_span(&buf), items, 1), d > 0 ? FM_ELIMIT : FM_OK);
    }
    for (int d = -1; d <= 1; d++) { /* array, kind, action, record, version, parents, 2 parents, actor: 9 */
        change.document = document_of_nodes((uint32_t)((int)FM_NODES_MAX - 9 + d));
        buf.len = 0;
        assert_int_equal(fm_change_encode(&buf, &change), d > 0 ? FM_ELIMIT : FM_OK);
        if (d <= 0)
            assert_int_equal(fm_change_decode(&back, fm_buf_span(&buf), &known), FM_OK);
    }
    fm_buf_fini(&buf);
}

static void bodies_split_into_their_items(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint32_t count;
        int rc;
    } cases[] = {
        {"\x91\x01", 2, 1, FM_OK}, {"\x92\x01\xc0", 3, 2, FM_OK}, {"\x92\x01\xc0", 3, 1, FM_EFORMAT},
        {"\x92\x01\xc0", 3, 3, FM_EFORMAT},
        {"\x91\x01\x01", 3, 1, FM_EFORMAT}, {"\x92\x01", 2, 2, FM_EFORMAT}, {"\xdc\x00\x01\x01", 4, 1, FM_EFORMAT},
        {"\x90", 1, 0, FM_ELIMIT},
        {"\x91\xc1", 2, 1, FM_EFORMAT}, {"\x91\xcc\x05", 3, 1, FM_OK}, /* another form: that change alone is void */
        {"\x91\xca\x3f\x00\x00\x00", 6, 1, FM_OK}, {"\x91\x82\xa1" "b\x01\xa1" "a\x01", 8, 1, FM_OK},
        {"\x80", 1, 1, FM_EFORMAT}, {"", 0, 1, FM_EFORMAT},
    };
    struct fm_span items[FM_SET_CHANGES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(fm_body_split(fm_span(cases[i].bytes, cases[i].len), items, cases[i].count), cases[i].rc);
    uint8_t *big = calloc(1, FM_BODY_BYTES_MAX + 1);
    assert_int_equal(fm_body_split(fm_span(big, FM_BODY_BYTES_MAX + 1), items, 1), FM_ELIMIT);
    free(big);
    assert_int_equal(fm_body_split(fm_span("\x92\x01\xa1x", 4), items, 2), FM_OK);
    assert_true(fm_span_eq(items[0], fm_span("\x01", 1)) && fm_span_eq(items[1], fm_span("\xa1x", 2)));
    for (uint32_t n = FM_SET_CHANGES_MAX - 1; n <= FM_SET_CHANGES_MAX + 1; n++) {
        struct fm_buf buf;
        struct fm_pack p;
        fm_buf_init(&buf, 0);
        fm_pack_init(&p, &buf);
        fm_pack_array(&p, n);
        for (uint32_t i = 0; i < n; i++)
            fm_pack_nil(&p);
        assert_int_equal(fm_body_split(fm_buf_span(&buf), items, n), n > FM_SET_CHANGES_MAX ? FM_ELIMIT : FM_OK);
        fm_buf_fini(&buf);
    }
    for (int d = -1; d <= 1; d++) { /* nested heads, one value each, and a leaf */
        struct fm_buf buf;
        fm_buf_init(&buf, 0);
        for (int i = 0; i < (int)FM_NODES_MAX + d; i++) /* the body's own array, then one less, then nil */
            assert_int_equal(fm_buf_add(&buf, "\x91", 1), FM_OK);
        assert_int_equal(fm_buf_add(&buf, "\xc0", 1), FM_OK);
        assert_int_equal(fm_body_split(fm_buf_span(&buf), items, 1), d > 0 ? FM_ELIMIT : FM_OK);
        fm_buf_fini(&buf);
    }
}

static void kinds_are_told_of_any_item(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint8_t kind;
    } cases[] = {
        {"\x91\x01", 2, 1}, {"\x92\xcc\x80\xc0", 4, 128}, {"\x91\xcc\xff", 3, 255}, {"\x91\xcd\x01\x00", 4, 0},
        {"\x90", 1, 0}, {"\x01", 1, 0},
        {"\x91\xa1x", 3, 0}, {"\x91\xcc\x01", 3, 0}, {"", 0, 0}, {"\x91", 1, 0}, {"\x91\x00", 2, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(fm_item_kind(fm_span(cases[i].bytes, cases[i].len)), cases[i].kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(decoding_gives_back_what_was_encoded, empty_arena),
        cmocka_unit_test_teardown(each_field_has_its_bounds, empty_arena),
        cmocka_unit_test_teardown(nothing_is_read_past_the_array, empty_arena),
        cmocka_unit_test_teardown(parents_are_counted_as_written, empty_arena),
        cmocka_unit_test_teardown(cut_changes_are_refused, empty_arena),
        cmocka_unit_test_teardown(one_change_is_bounded, empty_arena),
        cmocka_unit_test_teardown(bodies_split_into_their_items, empty_arena),
        cmocka_unit_test_teardown(kinds_are_told_of_any_item, empty_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
