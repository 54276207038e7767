/* Comparing and merging by leaf paths: the rules by hand, and 400 random cases judged by the model (vectors/leaf.py). */
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

static struct fm_span doc(const char *text)
{
    struct fm_span out = *text == '\0' ? fm_span(NULL, 0) : fm_text_doc(&arena, text);
    assert_true(out.len == 0 || fm_doc_check(out) == FM_OK);
    return out;
}

struct sample {
    const char *base, *a, *b;
    enum fm_class cls;
};
static const struct sample samples[] = {
    {"{x:1,y:1}", "{x:2,y:1}", "{x:1,y:2}", FM_CLASS_DISJOINT},
    {"{x:1}", "{x:2}", "{x:3}", FM_CLASS_OVERLAP},
    {"{x:1}", "{x:2}", "{x:2}", FM_CLASS_SAME},
    {"{x:1,y:1}", "{x:2,y:1}", "{x:2,y:2}", FM_CLASS_DISJOINT}, /* x both set alike is no difference */
    {"{x:1,y:1}", "{x:2,y:1}", "{y:1}", FM_CLASS_OVERLAP},      /* set against removed */
    {"{x:1,y:1}", "{y:1}", "{y:1}", FM_CLASS_SAME},
    {"{x:1,y:1}", "{y:1}", "{x:1}", FM_CLASS_DISJOINT},
    {"", "{x:1}", "{y:1}", FM_CLASS_DISJOINT}, /* no common ancestor: the empty map */
    {"", "{x:1}", "{x:2}", FM_CLASS_OVERLAP},
    {"", "{x:1}", "{x:1,y:1}", FM_CLASS_DISJOINT},
    {"{}", "{m:{}}", "{}", FM_CLASS_SAME}, /* an empty map has no leaf */
    {"{m:{x:1}}", "{m:{}}", "{}", FM_CLASS_SAME},
    {"{}", "{m:{n:{o:{}}}}", "{m:{p:{}}}", FM_CLASS_SAME},
    {"{m:1}", "{m:{}}", "{}", FM_CLASS_SAME},
    {"{m:1}", "{m:{}}", "{m:1}", FM_CLASS_DISJOINT},
    {"{m:{x:1,y:1}}", "{m:{x:2,y:1}}", "{m:{x:1,y:2}}", FM_CLASS_DISJOINT},
    {"{m:{x:1,y:1}}", "{m:7}", "{m:{x:1,y:2}}", FM_CLASS_OVERLAP}, /* a path meets its own beginning */
    {"{m:{x:1,y:1}}", "{m:{x:1,y:2}}", "{m:7}", FM_CLASS_OVERLAP},
    {"{m:{x:1}}", "{m:7}", "{m:{x:1},n:1}", FM_CLASS_DISJOINT},
    {"{m:1}", "{m:{x:2}}", "{m:{y:2}}", FM_CLASS_DISJOINT}, /* both took m away alike, then set other leaves under it */
    {"{m:1}", "{m:{x:2}}", "{m:2}", FM_CLASS_OVERLAP},
    {"{m:1}", "{m:{x:2}}", "{m:1,n:1}", FM_CLASS_DISJOINT},
    {"{m:{n:{x:1}}}", "{m:{n:2}}", "{m:{n:{x:1,y:1}}}", FM_CLASS_OVERLAP},
    {"{l:[1,2]}", "{l:[1,2,3]}", "{l:[0,1,2]}", FM_CLASS_OVERLAP}, /* a list is one leaf */
    {"{l:[{a:1,b:1}]}", "{l:[{a:2,b:1}]}", "{l:[{a:1,b:2}]}", FM_CLASS_OVERLAP},
    {"{l:[]}", "{}", "{l:[]}", FM_CLASS_DISJOINT}, /* an empty list is a leaf */
    {"{n:null}", "{}", "{n:null}", FM_CLASS_DISJOINT}, /* and so is nil */
    {"{ab:1}", "{ab:1,a:{b:1}}", "{ab:2}", FM_CLASS_DISJOINT}, /* paths are keys, not joined text */
    {"{}", "{updatedAt:\"1\",versionNumber:2}", "{updatedAt:\"2\",versionNumber:3}", FM_CLASS_SAME},
    {"{}", "{createdAt:1,syncStatus:1,assessorId:1,responderId:1}", "{}", FM_CLASS_SAME},
    {"{}", "{updatedAt:{x:1}}", "{updatedAt:{x:2}}", FM_CLASS_SAME},
    {"{}", "{m:{updatedAt:1}}", "{m:{updatedAt:2}}", FM_CLASS_OVERLAP}, /* only at the top level */
    {"{}", "{verificationStatus:1}", "{verificationStatus:2}", FM_CLASS_OVERLAP}, /* verification is compared */
    {"{x:1}", "{x:1}", "{x:1}", FM_CLASS_SAME},
    {"{x:1}", "{x:0.5}", "{x:1}", FM_CLASS_DISJOINT},
};

static void classes_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const struct sample *s = &samples[i];
        enum fm_class ab = fm_doc_class(doc(s->base), doc(s->a), doc(s->b));
        enum fm_class ba = fm_doc_class(doc(s->base), doc(s->b), doc(s->a));
        if (ab != s->cls || ba != s->cls)
            fail_msg("%s | %s | %s: %s, %s", s->base, s->a, s->b, fm_class_name((int)ab), fm_class_name((int)ba));
    }
}

static void content_leaves_out_what_rule_8_says(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        {"{x:1}", "{x:1}", true}, {"{x:1}", "{x:2}", false}, {"{x:1}", "{}", false}, {"{}", "{x:null}", false},
        {"{createdAt:1,updatedAt:1,syncStatus:1,versionNumber:1,assessorId:1,responderId:1,x:1}", "{x:1}", true},
        {"{verificationStatus:1,rejectionReason:1,rejectionFeedback:1,verifiedAt:1,verifiedBy:1,x:1}",
            "{x:1,verifiedBy:2}", true},
        {"{m:{verifiedBy:1}}", "{m:{verifiedBy:2}}", false}, {"{id:1}", "{id:2}", false}, {"{m:{}}", "{}", true},
        {"{l:[1]}", "{l:[1]}", true}, {"{l:[1]}", "{l:[2]}", false}, {"{m:{x:1}}", "{m:1}", false},
        {"{donorId:1}", "{}", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (fm_doc_same_content(doc(pairs[i].a), doc(pairs[i].b)) != pairs[i].same ||
            fm_doc_same_content(doc(pairs[i].b), doc(pairs[i].a)) != pairs[i].same)
            fail_msg("%s | %s", pairs[i].a, pairs[i].b);
    }
}

static void merges_by_hand(void **state)
{
    static const struct {
        const char *base, *a, *b, *merged;
    } cases[] = {
        {"{x:1,y:1}", "{x:2,y:1}", "{x:1,y:2}", "{x:2,y:2}"},
        {"{x:1,y:1}", "{x:2,y:1}", "{x:1}", "{x:2}"},
        {"", "{x:1}", "{y:1}", "{x:1,y:1}"},
        {"{m:{x:1,y:1}}", "{m:{x:2,y:1}}", "{m:{x:1,y:2}}", "{m:{x:2,y:2}}"},
        {"{m:{x:1}}", "{m:{x:1},n:1}", "{}", "{n:1}"}, /* they took m away */
        {"{m:{x:1}}", "{m:{x:1},n:1}", "{m:{}}", "{m:{},n:1}"},
        {"{}", "{m:{}}", "{n:1}", "{m:{},n:1}"}, /* an empty map stays where it stood */
        {"{}", "{n:1}", "{m:{}}", "{m:{},n:1}"},
        {"{m:{}}", "{n:1}", "{m:{},o:1}", "{n:1,o:1}"},
        {"{m:1}", "{m:{x:2}}", "{m:{y:2}}", "{m:{x:2,y:2}}"},
        {"{m:{x:1}}", "{m:5}", "{m:{x:1},n:1}", "{m:5,n:1}"},
        {"{m:{x:1},n:1}", "{m:{x:1},n:2}", "{m:5,n:1}", "{m:5,n:2}"},
        {"{u:1}", "{u:1,updatedAt:3}", "{u:2,updatedAt:9}", "{u:2,updatedAt:3}"}, /* not compared: a's stays */
        {"{u:1}", "{u:1}", "{u:2,updatedAt:{x:1}}", "{u:2}"},
        {"{}", "{m:{updatedAt:1}}", "{m:{z:1}}", "{m:{updatedAt:1,z:1}}"},
        {"{x:1}", "{x:2}", "{x:3}", "{x:3}"}, /* overlaps: b lies over a */
        {"{m:{x:1}}", "{m:5}", "{m:{x:2}}", "{m:{x:2}}"},
        {"{m:{x:1,y:1}}", "{m:{x:2,y:1}}", "{m:5}", "{m:5}"},
        {"{}", "{m:5}", "{m:{n:{}},x:1}", "{m:5,x:1}"}, /* maps without leaves are nothing against a leaf */
        {"{}", "{m:{n:{}},x:1}", "{m:5}", "{m:5,x:1}"},
        {"{}", "{m:{n:5}}", "{m:{n:{o:{}},p:{q:{}}}}", "{m:{n:5,p:{q:{}}}}"},
        {"{l:[1]}", "{l:[1],x:1}", "{l:[1,{b:2}]}", "{l:[1,{b:2}],x:1}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fm_buf out;
        fm_buf_init(&out, 0);
        assert_int_equal(fm_doc_merge(&out, doc(cases[i].base), doc(cases[i].a), doc(cases[i].b)), FM_OK);
        if (!fm_span_eq(fm_buf_span(&out), doc(cases[i].merged)))
            fail_msg("%s | %s | %s is not %s", cases[i].base, cases[i].a, cases[i].b, cases[i].merged);
        fm_buf_fini(&out);
    }
}

static void check_vector(char *line)
{
    char *part[5], *at = line;
    struct fm_buf out, other;
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < 5; i++) {
        assert_non_null(at);
        part[i] = at;
        if ((at = strchr(at, '|')) != NULL)
            *at++ = '\0';
    }
    struct fm_span base = doc(part[0]), a = doc(part[1]), b = doc(part[2]);
    const char *cls = fm_class_name((int)fm_doc_class(base, a, b));
    if (strcmp(cls, part[3]) != 0 || fm_doc_class(base, b, a) != fm_doc_class(base, a, b))
        fail_msg("%s | %s | %s is %s, not %s", part[0], part[1], part[2], part[3], cls);
    fm_buf_init(&out, 0);
    fm_buf_init(&other, 0);
    assert_int_equal(fm_doc_merge(&out, base, a, b), FM_OK);
    assert_int_equal(fm_doc_check(fm_buf_span(&out)), FM_OK);
    if (*part[4] != '\0') { /* disjoint: as the model has it, and the same from the other side */
        if (fm_doc_class(fm_span(NULL, 0), fm_buf_span(&out), doc(part[4])) != FM_CLASS_SAME)
            fail_msg("merge of %s | %s | %s is not %s", part[0], part[1], part[2], part[4]);
        assert_int_equal(fm_doc_merge(&other, base, b, a), FM_OK);
        assert_int_equal(fm_doc_class(base, fm_buf_span(&out), fm_buf_span(&other)), FM_CLASS_SAME);
    }
    fm_buf_fini(&out);
    fm_buf_init(&out, 0); /* what b did not change against the base, no merge changes */
    assert_int_equal(fm_doc_merge(&out, b, a, b), FM_OK);
    assert_true(fm_span_eq(fm_buf_span(&out), a));
    fm_buf_fini(&out);
    fm_buf_fini(&other);
}

static void the_model_judges_alike(void **state)
{
    FILE *file = fopen("tests/vectors/leaf.txt", "r");
    static char line[8192];
    size_t count = 0;
    (void)state;
    assert_non_null(file);
    for (; fgets(line, sizeof line, file) != NULL; count++)
        check_vector(line);
    fclose(file);
    assert_int_equal(count, 400);
}

/* n levels: {k:{k:{… x:leaf}}} */
static struct fm_span deep(uint32_t n, int64_t leaf)
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, 0);
    fm_pack_init(&p, &buf);
    for (uint32_t i = 1; i < n; i++) {
        fm_pack_map(&p, 1);
        fm_pack_cstr(&p, "k");
    }
    fm_pack_map(&p, 1);
    fm_pack_cstr(&p, "x");
    fm_pack_int(&p, leaf);
    uint8_t *copy = fm_arena_copy(&arena, fm_buf_span(&buf));
    assert_non_null(copy);
    struct fm_span out = fm_span(copy, buf.len);
    fm_buf_fini(&buf);
    return out;
}

static void the_deepest_documents_are_compared(void **state)
{
    struct fm_buf out;
    (void)state;
    struct fm_span base = deep(FM_DEPTH_MAX, 1), a = deep(FM_DEPTH_MAX, 2), b = deep(FM_DEPTH_MAX, 3);
    assert_int_equal(fm_doc_check(base), FM_OK);
    assert_int_equal(fm_doc_class(base, a, b), FM_CLASS_OVERLAP);
    assert_int_equal(fm_doc_class(base, a, base), FM_CLASS_DISJOINT);
    assert_int_equal(fm_doc_class(base, a, a), FM_CLASS_SAME);
    fm_buf_init(&out, 0);
    assert_int_equal(fm_doc_merge(&out, base, base, b), FM_OK);
    assert_true(fm_span_eq(fm_buf_span(&out), b));
    fm_buf_fini(&out);
}

/* n keys that start with this letter. */
static struct fm_span wide(char letter, uint32_t n)
{
    struct fm_buf buf;
    struct fm_pack p;
    fm_buf_init(&buf, 0);
    fm_pack_init(&p, &buf);
    fm_pack_map(&p, n);
    for (uint32_t i = 0; i < n; i++) {
        const char key[] = {letter, (char)('a' + i / 26), (char)('a' + i % 26), '\0'};
        fm_pack_cstr(&p, key);
        fm_pack_int(&p, i);
    }
    uint8_t *copy = fm_arena_copy(&arena, fm_buf_span(&buf));
    assert_non_null(copy);
    struct fm_span out = fm_span(copy, buf.len);
    fm_buf_fini(&buf);
    return out;
}

static void a_merge_past_the_bounds_adds_nothing(void **state)
{
    (void)state;
    for (int d = -1; d <= 1; d++) {
        struct fm_buf out;
        fm_buf_init(&out, 0);
        assert_int_equal(fm_buf_add(&out, "x", 1), FM_OK);
        int rc = fm_doc_merge(&out, fm_span(NULL, 0), wide('a', 128), wide('b', (uint32_t)(128 + d)));
        assert_int_equal(rc, d > 0 ? FM_ELIMIT : FM_OK);
        if (d > 0)
            assert_int_equal(out.len, 1);
        else
            assert_int_equal(fm_doc_check(fm_span(out.data + 1, out.len - 1)), FM_OK);
        fm_buf_fini(&out);
    }
    struct fm_buf small; /* every bound of the buffer on the way */
    for (size_t max = 1; max < 40; max++) {
        fm_buf_init(&small, max);
        int rc = fm_doc_merge(&small, doc("{m:{x:1}}"), doc("{m:{x:1},longer:\"text\"}"), doc("{m:{x:1,y:2},n:[1,2]}"));
        assert_int_equal(rc, small.len > 0 ? FM_OK : FM_ELIMIT);
        fm_buf_fini(&small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(classes_by_hand, empty_arena),
        cmocka_unit_test_teardown(content_leaves_out_what_rule_8_says, empty_arena),
        cmocka_unit_test_teardown(merges_by_hand, empty_arena),
        cmocka_unit_test_teardown(the_model_judges_alike, empty_arena),
        cmocka_unit_test_teardown(the_deepest_documents_are_compared, empty_arena),
        cmocka_unit_test_teardown(a_merge_past_the_bounds_adds_nothing, empty_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
