/* The core against the model: 300 worlds of signed sets, in file order, shuffled, and with restarts, on the memory store.
 * Verdicts, states, settlements, winners, orders and conflict entries are the model's; the digests are the same whatever
 * the order; a reindex gives them again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/memory.h"
#include "tests/support/world_sets.h"

static int memory_turn(void *ctx)
{
    (void)ctx;
    return 0;
}

static int memory_apply(void *ctx, const struct fm_row *row)
{
    return fm_memory_apply(ctx, row);
}

static struct fm_world_store memory_store(struct fm_memory *m)
{
    return (struct fm_world_store){.ctx = m, .port = fm_memory_port(m), .begin = memory_turn, .apply = memory_apply,
                                   .commit = memory_turn};
}

/* Each world: in file order, then twice shuffled, the second time with a new core after every few sets. */
static void test_worlds_in_any_order(void **state)
{
    json_t *worlds = fm_worlds_load(), *json;
    static struct fm_world_sets w;
    size_t i, failed = 0;
    (void)state;
    json_array_foreach(worlds, i, json) {
        struct fm_digest first[2];
        fm_world_sets_init(&w, json);
        for (uint64_t round = 0; round < 3; round++) {
            struct fm_memory *m = fm_memory_new();
            struct fm_world_store store = memory_store(m);
            struct fm_digest digests[2];
            char why[256];
            bool same = fm_world_run(&w, &store, round ? 1000 * round + i + 1 : 0, round == 2 ? 5 : 0, digests, why);
            if (same && round == 0)
                memcpy(first, digests, sizeof(first));
            if (same && memcmp(first, digests, sizeof(first)) != 0) {
                same = false;
                snprintf(why, sizeof(why), "the %s digest is another one", fm_id_eq(&first[0], &digests[0]) ? "state" : "sets");
            }
            if (!same)
                print_error("world %d, round %d: %s\n", (int)fm_world_number(json, "seed"), (int)round, why);
            failed += !same;
            fm_memory_free(m);
        }
        fm_world_sets_fini(&w);
    }
    json_decref(worlds);
    assert_int_equal(failed, 0);
}

static void test_reindex_gives_the_same_digests(void **state)
{
    json_t *worlds = fm_worlds_load();
    static struct fm_world_sets w;
    size_t failed = 0;
    (void)state;
    for (size_t i = 0; i < json_array_size(worlds); i += 3) {
        struct fm_memory *m = fm_memory_new();
        struct fm_world_store store = memory_store(m);
        struct fm_digest before[2], after[2];
        char why[256] = "the digests are other ones";
        fm_world_sets_init(&w, json_array_get(worlds, i));
        bool same = fm_world_run(&w, &store, i + 1, 0, before, why);
        fm_memory_clear_derived(m);
        same = same && fm_world_reindex(&w, &store, after, why) && memcmp(before, after, sizeof(before)) == 0;
        if (!same)
            print_error("world %d: %s\n", (int)fm_world_number(w.json, "seed"), why);
        failed += !same;
        fm_world_sets_fini(&w);
        fm_memory_free(m);
    }
    json_decref(worlds);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worlds_in_any_order),
        cmocka_unit_test(test_reindex_gives_the_same_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
