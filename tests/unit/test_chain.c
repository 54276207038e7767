/* Which sets of a forked stream stand on the chain that ends in a cut: what is kept in memory never answers for another cut,
 * and a store that fails or lacks a set is an error. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/inner.h"
#include "tests/support/no_memory.h"

#define BRANCHES 10u
#define LENGTH 6u

/* Set `sequence` of a branch; all branches share the sets up to `shared`. */
static struct fm_set_id id_of(unsigned branch, uint64_t sequence, uint64_t shared)
{
    return (struct fm_set_id){{(uint8_t)(sequence <= shared ? 0 : branch + 1), (uint8_t)sequence}};
}

static struct {
    uint64_t shared;
    unsigned looks;
    int fails; /* what the next look returns */
} store;

static int look(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                struct fm_set_meta *out)
{
    (void)ctx, (void)stream;
    store.looks++;
    if (store.fails != FM_OK)
        return store.fails;
    unsigned branch = id->b[0] == 0 ? 0 : id->b[0] - 1u;
    *out = (struct fm_set_meta){.sequence = sequence, .id = *id, .has_prev = true,
                                .prev = id_of(branch, sequence - 1, store.shared)};
    return FM_OK;
}

static struct fm_set_meta set_of(unsigned branch, uint64_t sequence)
{
    struct fm_set_meta out;
    struct fm_set_id id = id_of(branch, sequence, store.shared);
    (void)look(NULL, NULL, sequence, &id, &out);
    return out;
}

static int has(struct fm_repl *r, unsigned cut_branch, uint64_t cut_at, uint64_t low, unsigned branch, uint64_t at)
{
    int fails = store.fails;
    store.fails = FM_OK;
    struct fm_set_meta cut = set_of(cut_branch, cut_at), set = set_of(branch, at);
    store.fails = fails;
    store.looks = 0;
    return fm_chain_has(r, &cut, low, &set);
}

static int begin(void **state)
{
    static const struct fm_port port = {.set_get = look};
    struct fm_repl *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->port = &port;
    r->chain = fm_chain_new();
    assert_non_null(r->chain);
    store.shared = 2;
    store.fails = FM_OK;
    *state = r;
    return 0;
}

static int end(void **state)
{
    struct fm_repl *r = *state;
    fm_chain_free(r->chain);
    fm_chain_free(NULL);
    free(r);
    return 0;
}

static void each_cut_has_its_own_chain(void **state)
{
    struct fm_repl *r = *state;
    for (int round = 0; round < 2; round++) { /* more cuts than are kept */
        for (unsigned cut = 0; cut < BRANCHES; cut++) {
            for (unsigned branch = 0; branch < BRANCHES; branch++)
                assert_int_equal(has(r, cut, LENGTH, 3, branch, 4), branch == cut);
            assert_int_equal(store.looks, 0); /* walked once */
        }
    }
}

static void a_lower_fork_walks_the_chain_again(void **state)
{
    struct fm_repl *r = *state;
    assert_int_equal(has(r, 1, LENGTH, 5, 1, 5), 1);
    assert_int_equal(store.looks, LENGTH - 5);
    assert_int_equal(has(r, 1, LENGTH, 3, 1, 3), 1); /* a twin came in at 3: what is kept begins above it */
    assert_int_equal(store.looks, LENGTH - 3);
    assert_int_equal(has(r, 1, LENGTH, 3, 2, 3), 0);
    assert_int_equal(has(r, 1, LENGTH, 5, 2, 5), 0);
    assert_int_equal(store.looks, 0);
}

static void what_the_store_says_is_passed_up_and_not_kept(void **state)
{
    struct fm_repl *r = *state;
    static const struct {
        int said, passed;
    } cases[] = {{FM_ESTORE, FM_ESTORE}, {FM_ENOTFOUND, FM_ECORRUPT}, {FM_ECORRUPT, FM_ECORRUPT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        store.fails = cases[i].said;
        assert_int_equal(has(r, 1, LENGTH, 3, 1, 4), cases[i].passed);
    }
    fm_fault_begin(0);
    int rc = has(r, 1, LENGTH, 3, 1, 4);
    assert_true(fm_fault_end());
    assert_int_equal(rc, FM_ENOMEM);
    store.fails = FM_OK;
    assert_int_equal(has(r, 1, LENGTH, 3, 1, 4), 1);
    assert_int_equal(has(r, 1, LENGTH, 3, 0, 4), 0);
}

#define KEPT(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {KEPT(each_cut_has_its_own_chain), KEPT(a_lower_fork_walks_the_chain_again),
                                       KEPT(what_the_store_says_is_passed_up_and_not_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
