/* The cache of opened sets is bounded by FM_OPENED_BYTES_MAX: what leaves it is opened again when it is asked for. */
#include "tests/support/branch.h"
#include "tests/support/lost.h"
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

/* Free it. */
static void large_set(struct three *t, unsigned number, struct fm_lab_set *set)
{
    struct fm_span items[CHANGES];
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
    fm_lab_set(set, &t->a.device, header, items, CHANGES, NULL);
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
    for (unsigned number = 0; number < SETS; number++) {
        struct fm_lab_set set;
        large_set(t, number, &set);
        take(&t->b, &set, 0);
        fm_lab_set_free(&set);
    }
    assert_true((size_t)SETS * CHANGES * 60000 > FM_OPENED_BYTES_MAX);
    for (unsigned number = 0; number < SETS; number += 9) /* the first ones left it long ago */
        assert_document(t, number, number % CHANGES);
    assert_document(t, SETS - 1, 0);
    assert_document(t, 0, CHANGES - 1);
}

/* The cache asked alone: this set under any arrival. */
static void open_as(struct three *t, uint64_t arrival, const struct fm_lab_set *set)
{
    struct fm_set decoded;
    const struct fm_opened_set *opened;
    assert_int_equal(fm_set_decode(&decoded, fm_buf_span(&set->bytes)), FM_OK);
    assert_int_equal(fm_opened_take(t->b.core, arrival, &decoded, &opened), FM_OK);
}

/* The store answers with an error, so what is there comes from the cache. */
static bool cached(struct three *t, uint64_t arrival, uint32_t count)
{
    const struct fm_opened_set *opened;
    lost.bytes = arrival;
    lost.answer = FM_ESTORE;
    int rc = fm_opened_get(t->b.core, arrival, &opened);
    assert_true(rc == FM_ESTORE || (rc == FM_OK && opened->count == count));
    return rc == FM_OK;
}

static void test_all_in_one_place_of_the_table_are_told_apart(void **state)
{
    enum { APART = 4096, FIRST = 5 };
    struct three *t = *state;
    struct fm_lab_set small, large;
    struct branch b = branch_of(t, 90, 1);
    branch_next(t, &b, &small);
    t->a.device.crypto.compress = fm_fake_compress;
    large_set(t, 0, &large);
    lost_open(&t->b);
    open_as(t, FIRST, &small);
    open_as(t, FIRST + APART, &large);
    assert_true(cached(t, FIRST, 1) && cached(t, FIRST + APART, CHANGES));
    assert_false(cached(t, FIRST + 2 * APART, 0));
    for (unsigned i = 2; i < SETS; i++)
        open_as(t, FIRST + i * APART, i % 2 == 0 ? &small : &large);
    for (unsigned i = SETS; i < 2 * SETS; i++)
        open_as(t, FIRST + i * APART, &large);
    unsigned first = 0;
    while (!cached(t, FIRST + first * APART, first < SETS && first % 2 == 0 ? 1 : CHANGES))
        first++;
    assert_in_range(first, SETS, 2 * SETS - 50); /* about a MiB each */
    for (unsigned i = 0; i < 2 * SETS; i++)
        assert_int_equal(cached(t, FIRST + i * APART, CHANGES), i >= first);
    fm_lab_set_free(&small);
    fm_lab_set_free(&large);
    assert_int_equal(fm_lab_restart(&t->b), FM_OK);
}

static void test_a_set_that_is_damaged_or_void_has_no_document(void **state)
{
    struct three *t = *state;
    struct fm_set_header header = {.stream = {.incarnation = 99, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)};
    struct fm_lab_set set;
    struct fm_span document, actor;
    fm_lab_set_of(&set, &t->a.device, header, fm_span("nonsense", 8), NULL);
    take(&t->b, &set, 0);
    struct fm_version v = {.holder_count = 1, .holders = {{.arrival = set_of(&t->b, &set).arrival}}};
    assert_int_equal(fm_repl_document(t->b.core, &v, &document, &actor), FM_ENOTFOUND);
    lost_open(&t->b);
    lost.bytes = v.holders[0].arrival;
    assert_int_equal(fm_repl_document(t->b.core, &v, &document, &actor), FM_ECORRUPT);
    lost.answer = FM_EIO;
    assert_int_equal(fm_repl_document(t->b.core, &v, &document, &actor), FM_EIO);
    fm_lab_set_free(&set);
    assert_int_equal(fm_lab_restart(&t->b), FM_OK);
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
        CASE(test_all_in_one_place_of_the_table_are_told_apart),
        CASE(test_a_set_that_is_damaged_or_void_has_no_document),
        CASE(test_a_version_that_no_set_holds_has_no_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
