/* A document being made: a key keeps its place, null drops a field, and limits and want of memory are told at the end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/draft.h"
#include "replication/error.h"
#include "tests/support/no_memory.h"
#include "tests/support/text_doc.h"

static void later_values_replace_and_null_drops(void **state)
{
    struct fm_arena arena = {NULL};
    struct fm_draft d;
    struct fm_span doc;
    (void)state;
    fm_draft_init(&d, &arena);
    fm_draft_lay(&d, fm_span(NULL, 0)); /* no document: no fields */
    fm_draft_lay(&d, fm_text_doc(&arena, "{a:1,b:2,c:3}"));
    fm_draft_lay(&d, fm_text_doc(&arena, "{b:null,d:4}"));
    fm_draft_copy(&d, fm_text_doc(&arena, "{e:5,f:null}"), "e");
    fm_draft_copy(&d, fm_text_doc(&arena, "{a:null}"), "a"); /* null there: dropped here */
    fm_draft_copy(&d, fm_text_doc(&arena, "{x:1}"), "c");    /* absent there: dropped here */
    fm_draft_copy(&d, fm_span(NULL, 0), "d");
    fm_draft_uint(&d, "n", 7);
    fm_draft_str(&d, "n", fm_span_str("seven"));
    assert_int_equal(fm_draft_write(&d, &doc), FM_OK);
    assert_true(fm_span_eq(doc, fm_text_doc(&arena, "{e:5,n:\"seven\"}")));
    fm_arena_fini(&arena);
}

static void more_fields_than_may_be_are_told_at_the_end(void **state)
{
    struct fm_arena arena = {NULL};
    struct fm_draft d;
    struct fm_span doc;
    (void)state;
    static const unsigned counts[] = {FM_MAP_ENTRIES_MAX, FM_MAP_ENTRIES_MAX + 1, FM_DRAFT_FIELDS_MAX + 1};
    for (size_t c = 0; c < 3; c++) {
        fm_draft_init(&d, &arena);
        for (unsigned i = 0; i < counts[c]; i++) {
            char *key = fm_arena_take(&arena, 12);
            (void)snprintf(key, 12, "k%u", i);
            fm_draft_uint(&d, key, i);
        }
        fm_draft_lay(&d, fm_text_doc(&arena, "{k0:1}")); /* after an error nothing is done */
        assert_int_equal(fm_draft_write(&d, &doc), c == 0 ? FM_OK : FM_ELIMIT);
    }
    fm_arena_fini(&arena);
}

/* A block of the arena is 64 KiB: with so much of it left each piece in its turn is the one that needs another block. */
static void want_of_memory_is_told_at_the_end(void **state)
{
    const size_t tables = (FM_DRAFT_FIELDS_MAX + FM_MAP_ENTRIES_MAX) * sizeof(struct fm_field);
    struct fm_arena own = {NULL};
    struct fm_span small = fm_text_doc(&own, "{a:1}"), want = fm_text_doc(&own, "{a:1,b:\"text\"}");
    unsigned hits = 0;
    (void)state;
    for (size_t left = 0; left < tables + 80; left += left < tables ? tables / 8 : 16) {
        for (int64_t n = 0;; n++) {
            struct fm_arena arena = {NULL};
            struct fm_draft d;
            struct fm_span doc;
            assert_non_null(fm_arena_take(&arena, 64 * 1024 - left));
            fm_fault_begin(n);
            fm_draft_init(&d, &arena);
            fm_draft_lay(&d, small);
            fm_draft_str(&d, "b", fm_span_str("text"));
            fm_draft_copy(&d, small, "a");
            int rc = fm_draft_write(&d, &doc);
            bool hit = fm_fault_end();
            hits += hit;
            assert_int_equal(rc, hit ? FM_ENOMEM : FM_OK);
            if (!hit)
                assert_true(fm_span_eq(doc, want));
            fm_arena_fini(&arena);
            if (!hit)
                break;
        }
    }
    assert_true(hits > 30);
    fm_arena_fini(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(later_values_replace_and_null_drops),
                                       cmocka_unit_test(more_fields_than_may_be_are_told_at_the_end),
                                       cmocka_unit_test(want_of_memory_is_told_at_the_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
