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

#define ROWS_EVERY 6u /* of the 300 worlds: compared row by row too */

/* A store of a world, which is closed and opened again under the feet of world_run.c. */
struct on_disk {
    struct fm_store_dir dir;
    struct fm_store *store;
    struct fm_port port; /* of the store that is open now */
};

static int lmdb_begin(void *ctx)
{
    const struct on_disk *d = ctx;
    return fm_store_begin(d->store, 1000);
}

static int lmdb_apply(void *ctx, const struct fm_row *row)
{
    const struct on_disk *d = ctx;
    return fm_store_apply(d->store, row);
}

static int lmdb_commit(void *ctx)
{
    const struct on_disk *d = ctx;
    return fm_store_commit(d->store);
}

static int lmdb_reopen(void *ctx)
{
    struct on_disk *d = ctx;
    fm_store_close(d->store);
    int rc = fm_store_dir_open(&d->dir, &d->store, false, 0);
    if (rc == FM_OK)
        d->port = *fm_store_port(d->store);
    return rc;
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

static struct fm_world_store lmdb_store(struct on_disk *d)
{
    return (struct fm_world_store){.ctx = d, .port = &d->port, .begin = lmdb_begin, .apply = lmdb_apply,
                                   .commit = lmdb_commit, .reopen = lmdb_reopen};
}

static void open_new(const struct fm_world_sets *w, struct on_disk *d)
{
    fm_store_dir_make(&d->dir);
    d->dir.crypto = w->crypto;
    d->dir.mesh = w->mesh;
    assert_int_equal(fm_store_dir_open(&d->dir, &d->store, true, 0), FM_OK);
    d->port = *fm_store_port(d->store);
}

static void close_and_remove(struct on_disk *d)
{
    fm_store_close(d->store);
    fm_store_dir_remove(&d->dir);
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

/* rows: compares row by row what was there with what the reindex made. */
static void reindexed(const struct fm_world_sets *w, struct on_disk *d, const struct fm_digest before[2], bool rows)
{
    struct fm_store_verify v = {.say = say};
    struct fm_world_store store = lmdb_store(d);
    struct fm_digest after[2];
    struct fm_store_dir copy;
    struct fm_store *old = NULL;
    char why[256] = "";
    if (rows) {
        fm_store_dir_make(&copy);
        assert_int_equal(fm_store_backup(d->store, copy.data), FM_OK);
        copy.crypto = d->dir.crypto;
        copy.mesh = d->dir.mesh;
        assert_int_equal(fm_store_dir_open(&copy, &old, false, 0), FM_OK);
    }
    assert_int_equal(fm_store_begin(d->store, 2000), FM_OK);
    assert_int_equal(fm_store_clear_derived(d->store), FM_OK);
    assert_int_equal(fm_store_commit(d->store), FM_OK);
    if (!fm_world_reindex(w, &store, after, why))
        fail_msg("world %d, reindex: %s", (int)fm_world_number(w->json, "seed"), why);
    assert_memory_equal(before, after, sizeof(after));
    assert_false(incomplete(d->store));
    if (!rows)
        return;
    sound(d->store);
    assert_int_equal(fm_store_compare(old, d->store, &v), FM_OK);
    assert_true(v.rows > 0 && v.sets > 0);
    assert_int_equal(v.problems, 0);
    fm_store_close(old);
    fm_store_dir_remove(&copy);
}

/* Each world in file order, and shuffled with the store closed and opened again after every few sets. */
static void worlds_come_out_as_on_the_store_in_memory(void **state)
{
    json_t *worlds = fm_worlds_load();
    static struct fm_world_sets w;
    (void)state;
    assert_int_equal(json_array_size(worlds), 300);
    for (size_t i = 0; i < json_array_size(worlds); i++) {
        struct fm_digest digests[2], memory[2];
        struct on_disk d;
        char why[256] = "";
        fm_world_sets_init(&w, json_array_get(worlds, i));
        memory_digests(&w, i + 1, memory);
        for (int shuffled = 0; shuffled < 2; shuffled++) {
            open_new(&w, &d);
            struct fm_world_store store = lmdb_store(&d);
            if (!fm_world_run(&w, &store, shuffled ? i + 1 : 0, shuffled ? 1 + w.count / 3 : 0, digests, why))
                fail_msg("world %d, shuffled %d: %s", (int)fm_world_number(w.json, "seed"), shuffled, why);
            assert_memory_equal(digests, memory, sizeof(digests));
            if (!shuffled)
                close_and_remove(&d);
        }
        assert_int_equal(lmdb_reopen(&d), FM_OK);
        sound(d.store);
        if (!fm_world_check(&w, &d.port, why))
            fail_msg("world %d, opened again: %s", (int)fm_world_number(w.json, "seed"), why);
        reindexed(&w, &d, digests, i % ROWS_EVERY == 0);
        close_and_remove(&d);
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
