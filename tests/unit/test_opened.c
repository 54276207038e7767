/* The cache of opened sets is bounded by FM_OPENED_BYTES_MAX: what leaves it is opened again when it is asked for. */
#include "tests/support/lab_three.h"
#include "tests/support/text_doc.h"

#define CHANGES 16u  /* of nearly FM_CHANGE_BYTES_MAX each */
#define SETS 80u     /* more than the cache holds of them */

/* A document of about 60 KiB that packs to little; number tells whose it is. */
static struct fm_span large_document(struct fm_lab_node *n, unsigned number)
{
    const size_t len = 15000;
    char *text = malloc(4 * len + 200), *at = text;
    assert_non_null(text);
    at += snprintf(at, 32, "{n:%u", number);
    for (int i = 0; i < 4; i++) {
        at += snprintf(at, 32, ",s%d:\"", i);
        memset(at, 'a' + i, len);
        at += len;
        *at++ = '"';
    }
    *at++ = '}';
    *at = '\0';
    struct fm_span document = fm_text_doc(&n->arena, text);
    free(text);
    return document;
}

static void take_large_set(struct three *t, unsigned number)
{
    struct fm_span items[CHANGES];
    struct fm_lab_set set;
    struct fm_set_header header = {.stream = {.incarnation = 1000 + number, .lane = 1}, .has_grant = true,
                                   .grant = grant_of(&t->a)};
    for (unsigned i = 0; i < CHANGES; i++) {
        struct fm_change change = {.kind = FM_KIND_MEDIA, .action = FM_CREATE, .version = 1, .actor = fm_span_str("u")};
        struct fm_buf item;
        fm_be_put(change.record.b + 8, number * CHANGES + i + 1, 8);
        change.document = large_document(&t->a, number);
        fm_buf_init(&item, FM_CHANGE_BYTES_MAX);
        assert_int_equal(fm_change_encode(&item, &change), 0);
        items[i] = fm_span(fm_arena_copy(&t->a.arena, fm_buf_span(&item)), item.len);
        fm_buf_fini(&item);
    }
    fm_lab_set(&set, &t->a.device, header, items, CHANGES, NULL);
    take(&t->b, &set, 0);
    fm_lab_set_free(&set);
    fm_arena_reset(&t->a.arena);
}

static void assert_document(struct three *t, unsigned number, unsigned i)
{
    const struct fm_port *port = fm_memory_port(t->b.store);
    struct fm_record_id id;
    struct fm_version *versions;
    struct fm_span document, actor;
    size_t count;
    memset(id.b, 0, sizeof id.b);
    fm_be_put(id.b + 8, number * CHANGES + i + 1, 8);
    assert_int_equal(port->versions(port->ctx, FM_KIND_MEDIA, &id, &t->b.arena, &versions, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(fm_repl_document(t->b.core, &versions[0], &document, &actor), 0);
    struct fm_span want = large_document(&t->a, number);
    assert_int_equal(document.len, want.len);
    assert_memory_equal(document.data, want.data, want.len);
    fm_arena_reset(&t->a.arena);
    fm_arena_reset(&t->b.arena);
}

static void test_what_leaves_the_cache_is_opened_again(void **state)
{
    struct three *t = *state;
    t->a.device.crypto.compress = fm_fake_compress;
    for (unsigned number = 0; number < SETS; number++)
        take_large_set(t, number);
    assert_true((size_t)SETS * CHANGES * 60000 > FM_OPENED_BYTES_MAX);
    for (unsigned number = 0; number < SETS; number += 9) /* the first ones left it long ago */
        assert_document(t, number, number % CHANGES);
    assert_document(t, SETS - 1, 0);
    assert_document(t, 0, CHANGES - 1);
}

static void test_a_version_that_no_set_holds_has_no_document(void **state)
{
    struct three *t = *state;
    struct fm_version v = {.holder_count = 0};
    struct fm_span document, actor;
    assert_int_equal(fm_repl_document(t->b.core, &v, &document, &actor), FM_ENOTFOUND);
    v.holder_count = 1;
    v.holders[0] = (struct fm_holder){.arrival = 1, .index = 200}; /* the set holds fewer */
    assert_int_equal(fm_repl_document(t->b.core, &v, &document, &actor), FM_ENOTFOUND);
    v.holders[0].index = 0; /* the root's grant: no change of a record */
    assert_int_equal(fm_repl_document(t->b.core, &v, &document, &actor), FM_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_leaves_the_cache_is_opened_again),
        CASE(test_a_version_that_no_set_holds_has_no_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
