/* The core on LMDB: the model's worlds come out as on the memory store, the store is sound afterwards, and a reindex
 * makes the very rows that were there (law 1). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "tests/support/store_both.h"
#include "tests/support/world_sets.h"

#define EVERY 6u /* of the 300 worlds; each commit is synced */

static int lmdb_begin(void *ctx)
{
    return fm_store_begin(ctx, 1000);
}

static int lmdb_apply(void *ctx, const struct fm_row *row)
{
    return fm_store_apply(ctx, row);
}

static int lmdb_commit(void *ctx)
{
    return fm_store_commit(ctx);
}

static int memory_turn(void *ctx)
{
    (void)ctx;
    return 0;
}

static int memory_apply(void *ctx, const struct fm_row *row)
{
    return fm_memory_apply(ctx, row);
}

static struct fm_world_store lmdb_store(struct fm_store *s)
{
    return (struct fm_world_store){.ctx = s, .port = fm_store_port(s), .begin = lmdb_begin, .apply = lmdb_apply,
                                   .commit = lmdb_commit};
}

static void open_for(const struct fm_world_sets *w, struct fm_store_dir *d, struct fm_store **s, bool create)
{
    if (create)
        fm_store_dir_make(d);
    d->crypto = w->crypto;
    d->mesh = w->mesh;
    assert_int_equal(fm_store_dir_open(d, s, create, 0), FM_OK);
}

static void memory_digests(const struct fm_world_sets *w, uint64_t seed, struct fm_digest out[2])
{
    struct fm_memory *m = fm_memory_new();
    struct fm_world_store store = {.ctx = m, .port = fm_memory_port(m), .begin = memory_turn, .apply = memory_apply,
                                   .commit = memory_turn};
    char why[256] = "";
    if (!fm_world_run(w, &store, seed, 0, out, why))
        fail_msg("on the memory store: %s", why);
    fm_memory_free(m);
}

static void reindexed(const struct fm_world_sets *w, struct fm_store_dir *d, struct fm_store *s,
                      const struct fm_digest before[2])
{
    struct fm_store_verify v = {.say = say};
    struct fm_world_store store = lmdb_store(s);
    struct fm_digest after[2];
    struct fm_store_dir copy;
    struct fm_store *old;
    char why[256] = "";
    fm_store_dir_make(&copy);
    assert_int_equal(fm_store_backup(s, copy.data), FM_OK);
    copy.crypto = d->crypto;
    copy.mesh = d->mesh;
    assert_int_equal(fm_store_dir_open(&copy, &old, false, 0), FM_OK);
    assert_int_equal(fm_store_begin(s, 2000), FM_OK);
    assert_int_equal(fm_store_clear_derived(s), FM_OK);
    assert_int_equal(fm_store_commit(s), FM_OK);
    if (!fm_world_reindex(w, &store, after, why))
        fail_msg("reindex: %s", why);
    assert_memory_equal(before, after, sizeof(after));
    assert_false(fm_store_incomplete(s));
    sound(s);
    assert_int_equal(fm_store_compare(old, s, &v), FM_OK);
    assert_true(v.rows > 0 && v.sets > 0);
    assert_int_equal(v.problems, 0);
    fm_store_close(old);
    fm_store_dir_remove(&copy);
}

static void worlds_come_out_as_on_the_store_in_memory(void **state)
{
    json_t *worlds = fm_worlds_load();
    static struct fm_world_sets w;
    (void)state;
    for (size_t i = 0; i < json_array_size(worlds); i += EVERY) {
        struct fm_digest digests[2], memory[2];
        struct fm_store_dir d;
        struct fm_store *s;
        char why[256] = "";
        uint64_t seed = i % 4 == 0 ? 0 : i + 1;
        fm_world_sets_init(&w, json_array_get(worlds, i));
        memory_digests(&w, seed, memory);
        open_for(&w, &d, &s, true);
        struct fm_world_store store = lmdb_store(s);
        if (!fm_world_run(&w, &store, seed, 0, digests, why))
            fail_msg("world %d: %s", (int)fm_world_number(w.json, "seed"), why);
        assert_memory_equal(digests, memory, sizeof(digests));
        sound(s);
        fm_store_close(s);
        open_for(&w, &d, &s, false);
        if (!fm_world_check(&w, fm_store_port(s), why))
            fail_msg("world %d, opened again: %s", (int)fm_world_number(w.json, "seed"), why);
        reindexed(&w, &d, s, digests);
        fm_store_close(s);
        fm_store_dir_remove(&d);
        fm_world_sets_fini(&w);
    }
    json_decref(worlds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worlds_come_out_as_on_the_store_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
