/* Random worlds of sets (tests/support/random_world.h) in random orders through the core: on the store in memory, on LMDB
 * with a stop in the middle, and by reindex. Whatever the order: the same digests, each counted version in exactly one
 * place, a list of conflicts that says the same, and sets that come again change nothing.
 *
 * PROPERTY_SEED and PROPERTY_WORLDS give another run; what fails is printed with its world, which is a seed by itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "replication/error.h"
#include "store/store.h"
#include "tests/support/memory.h"
#include "tests/support/places.h"
#include "tests/support/random_world.h"
#include "tests/support/store_dir.h"

#define WORLDS 900u
#define REAL_EVERY 20u /* of the worlds: with real keys, signatures and seals */

struct run {
    const struct fm_random_world *w;
    struct fm_memory *memory;   /* or: */
    struct fm_store *store;
    struct fm_store_dir dir;
    struct fm_repl *core;
    uint64_t events, random, rows;
    bool feeding;
    size_t per_turn, restart;   /* restart: after so many sets; 0: never */
    int taken;
    size_t queue[FM_RANDOM_SETS_MAX], count;
    char why[256];
};
static struct fm_places seen; /* in all worlds */
static uint64_t verdicts_seen[FM_UNREADABLE + 1], judged_again;

static bool differ(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool differ(struct run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(run->why, sizeof run->why, format, args);
    va_end(args);
    return false;
}

/* --- a core on either store --- */

static const struct fm_port *port_of(const struct run *run)
{
    return run->memory != NULL ? fm_memory_port(run->memory) : fm_store_port(run->store);
}

static int act(void *ctx, const struct fm_action *action)
{
    struct run *run = ctx;
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_TAKEN)
        run->taken = action->error;
    if (action->kind != FM_DO_ROW)
        return FM_OK;
    run->rows++;
    judged_again += run->feeding && action->row.kind == FM_ROW_VERDICT && action->row.meta->verdict == FM_COUNTED;
    return run->memory != NULL ? fm_memory_apply(run->memory, &action->row) : fm_store_apply(run->store, &action->row);
}

static bool turn_begin(struct run *run)
{
    return run->memory != NULL || fm_store_begin(run->store, 1000 + run->events) == FM_OK || differ(run, "begin");
}

static bool turn_end(struct run *run)
{
    return run->memory != NULL || fm_store_commit(run->store) == FM_OK || differ(run, "commit");
}

static bool step(struct run *run, enum fm_event_kind kind, struct fm_span bytes)
{
    struct fm_event event = {.kind = kind, .now_ms = UINT64_C(1700000000000), .bytes = bytes};
    struct fm_sink sink = {.ctx = run, .act = act};
    event.steady_ms = event.now_ms + run->events;
    fm_be_put(event.seed, ++run->events, 8);
    int rc = fm_repl_step(run->core, &event, &sink);
    return rc == FM_OK || differ(run, "event %d: %s", kind, fm_error_text(rc));
}

static bool core_new(struct run *run)
{
    struct fm_self self;
    fm_random_world_self(run->w, &self);
    fm_repl_free(run->core);
    run->core = fm_repl_new(&self, &run->w->devices[FM_RANDOM_OBSERVER].crypto, port_of(run));
    assert_non_null(run->core);
    return true;
}

static bool core_start(struct run *run)
{
    return core_new(run) && turn_begin(run) && step(run, FM_EVENT_START, fm_span(NULL, 0)) &&
           step(run, FM_EVENT_TURN_END, fm_span(NULL, 0)) && turn_end(run);
}

static bool digests_of(struct run *run, struct fm_digest out[2])
{
    int rc = fm_repl_digest(run->core, &out[0], &out[1]);
    for (int i = 0; rc == FM_EBUSY && i < 100; i++) {
        if (!turn_begin(run) || !step(run, FM_EVENT_TICK, fm_span(NULL, 0)) ||
            !step(run, FM_EVENT_TURN_END, fm_span(NULL, 0)) || !turn_end(run))
            return false;
        rc = fm_repl_digest(run->core, &out[0], &out[1]);
    }
    return rc == FM_OK || differ(run, "digest: %s", fm_error_text(rc));
}

static bool same_digests(struct run *run, const struct fm_digest a[2], const struct fm_digest b[2], const char *when)
{
    if (memcmp(a, b, 2 * sizeof a[0]) == 0)
        return true;
    return differ(run, "%s: the %s digest is another one", when, fm_id_eq(&a[0], &b[0]) ? "state" : "sets");
}

/* The process stops and starts again: what is in the store says it all. */
static bool again(struct run *run)
{
    struct fm_digest before[2], after[2];
    if (!digests_of(run, before))
        return false;
    if (run->store != NULL) {
        fm_repl_free(run->core);
        run->core = NULL;
        fm_store_close(run->store);
        if (fm_store_dir_open(&run->dir, &run->store, false, 0) != FM_OK)
            return differ(run, "the store does not open again");
    }
    return core_start(run) && digests_of(run, after) && same_digests(run, before, after, "after a restart");
}

/* --- feeding --- */

/* order 0: as written, but neighbours change places; else any order. */
static void shuffle(struct run *run, int order)
{
    run->count = run->w->set_count;
    for (size_t i = 0; i < run->count; i++)
        run->queue[i] = i;
    for (size_t i = run->count; i-- > 1;) {
        size_t reach = order == 0 && i > 3 ? 3 : i;
        size_t k = i - (size_t)fm_random_draw(&run->random, reach + 1), swap = run->queue[i];
        run->queue[i] = run->queue[k];
        run->queue[k] = swap;
    }
}

static bool may_refuse(int error)
{
    return error == FM_EORDER || error == FM_EGRANT;
}

/* One turn of some sets of the queue; what does not follow yet is queued again behind *kept. */
static bool turn(struct run *run, size_t *at, size_t *kept, size_t *taken)
{
    size_t n = 1 + (size_t)fm_random_draw(&run->random, run->per_turn);
    if (!turn_begin(run))
        return false;
    for (; n > 0 && *at < run->count; n--, ++*at) {
        size_t set = run->queue[*at];
        run->taken = 1;
        if (!step(run, FM_EVENT_TAKE, fm_buf_span(&run->w->sets[set].bytes)))
            return false;
        if (run->taken != FM_OK && !may_refuse(run->taken))
            return differ(run, "set %zu: %s", set, fm_error_text(run->taken));
        if (run->taken == FM_OK)
            ++*taken;
        else
            run->queue[(*kept)++] = set;
    }
    return step(run, FM_EVENT_TURN_END, fm_span(NULL, 0)) && turn_end(run);
}

static bool feed(struct run *run)
{
    size_t taken = 1, since = 0;
    run->feeding = true;
    while (taken > 0) {
        size_t at = 0, kept = 0;
        taken = 0;
        while (at < run->count) {
            size_t before = taken;
            if (!turn(run, &at, &kept, &taken))
                return false;
            since += taken - before;
            if (run->restart > 0 && since >= run->restart) {
                since = 0;
                if (!again(run))
                    return false;
            }
        }
        run->count = kept;
    }
    return true;
}

/* Everything once more: held already, or refused as before; not a row is written. */
static bool feed_again(struct run *run, const struct fm_digest digests[2])
{
    struct fm_digest after[2];
    uint64_t rows = run->rows;
    if (!turn_begin(run))
        return false;
    for (size_t i = 0; i < run->w->set_count; i++) {
        run->taken = 1;
        if (!step(run, FM_EVENT_TAKE, fm_buf_span(&run->w->sets[i].bytes)))
            return false;
        if (run->taken != FM_EEXISTS && !may_refuse(run->taken))
            return differ(run, "set %zu again: %s", i, fm_error_text(run->taken));
    }
    if (!step(run, FM_EVENT_TURN_END, fm_span(NULL, 0)) || !turn_end(run))
        return false;
    if (run->rows != rows)
        return differ(run, "the same sets again wrote %d rows", (int)(run->rows - rows));
    return digests_of(run, after) && same_digests(run, digests, after, "the same sets again");
}

/* --- what came out --- */

static bool check_places(struct run *run, struct fm_places *found)
{
    for (uint32_t i = 0; i < FM_RANDOM_RECORDS; i++) {
        struct fm_record_ref ref = fm_random_world_record(i);
        char why[256];
        if (!fm_places_check(port_of(run), &ref, found, why))
            return differ(run, "record %u: %.200s", (unsigned)i, why);
    }
    return true;
}

/* The store's list of conflicts: each version that is open, replaced or settled, once; and nothing else. */
static bool check_conflicts(struct run *run, bool open_only, const struct fm_places *found)
{
    struct fm_conflict page[7];
    struct fm_arena arena = {NULL};
    size_t count = 7, all = 0;
    bool same = true, first = true;
    struct fm_conflict_id last = {{0}};
    while (same && count == 7) {
        if (fm_store_conflicts(run->store, open_only, first ? NULL : &last, page, 7, &count) != FM_OK)
            return differ(run, "conflicts");
        for (size_t i = 0; same && i < count; i++) {
            struct fm_version v;
            same = (first || fm_id_cmp(&last, &page[i].id) < 0) &&
                   port_of(run)->version_get(port_of(run)->ctx, &page[i].version, &arena, &v) == FM_OK &&
                   v.place == page[i].place && v.cls == page[i].cls && v.counted &&
                   (open_only ? v.place == FM_PLACE_OPEN : v.place >= FM_PLACE_OPEN);
            last = page[i].id;
            first = false;
            all++;
        }
    }
    fm_arena_fini(&arena);
    uint64_t want = found->place[FM_PLACE_OPEN];
    if (!open_only)
        want += found->place[FM_PLACE_REPLACED] + found->place[FM_PLACE_SETTLED];
    return same && all == want ? true : differ(run, "%zu conflicts are listed, or one is told otherwise", all);
}

static void count_verdicts(struct run *run)
{
    struct fm_set_meta meta;
    const struct fm_port *port = port_of(run);
    for (uint64_t arrival = 1; port->set_next(port->ctx, arrival, &meta) == FM_OK; arrival = meta.arrival + 1)
        verdicts_seen[meta.verdict]++;
}

/* Row by row: what was there before the reindex, in a copy of the store, and after it. */
static bool same_rows(struct run *run, struct fm_store_dir *copy, struct fm_store_verify *verify)
{
    struct fm_store *old;
    assert_int_equal(fm_store_dir_open(copy, &old, false, 0), FM_OK);
    bool same = fm_store_compare(old, run->store, verify) == FM_OK && verify->problems == 0;
    fm_store_close(old);
    return same;
}

static void say_verify(void *ctx, const char *problem)
{
    differ(ctx, "%.200s", problem);
}

static bool reindex(struct run *run, const struct fm_digest digests[2])
{
    struct fm_event event = {.now_ms = UINT64_C(1700000000000)};
    struct fm_sink sink = {.ctx = run, .act = act};
    struct fm_digest after[2];
    uint64_t from = 0;
    run->feeding = false;
    int rc = FM_OK;
    core_new(run);
    if (run->memory != NULL)
        fm_memory_clear_derived(run->memory);
    else if (!turn_begin(run) || fm_store_clear_derived(run->store) != FM_OK || !turn_end(run))
        return differ(run, "the derived tables are not emptied");
    do {
        if (!turn_begin(run))
            return false;
        rc = fm_repl_reindex(run->core, &event, &sink, &from, 1 + (size_t)fm_random_draw(&run->random, 20));
        if (!turn_end(run))
            return false;
    } while (rc == FM_OK && from != 0);
    if (rc != FM_OK)
        return differ(run, "reindex: %s", fm_error_text(rc));
    return core_start(run) && digests_of(run, after) && same_digests(run, digests, after, "reindex");
}

/* --- one world --- */

static bool ways(struct run *run, int round, struct fm_digest digests[2])
{
    struct fm_places found = {0};
    shuffle(run, round);
    if (!core_start(run) || !feed(run) || !digests_of(run, digests) || !check_places(run, &found) ||
        !feed_again(run, digests))
        return false;
    if (run->store != NULL && !(check_conflicts(run, true, &found) && check_conflicts(run, false, &found)))
        return false;
    if (round == 1)
        count_verdicts(run);
    if (round == 1 && !check_places(run, &seen))
        return false;
    if (round < 3)
        return round < 2 || reindex(run, digests);
    struct fm_store_verify verify = {.ctx = run, .say = say_verify};
    struct fm_store_dir copy;
    fm_store_dir_make(&copy);
    copy.crypto = run->dir.crypto;
    copy.mesh = run->dir.mesh;
    bool same = fm_store_backup(run->store, copy.data) == FM_OK && reindex(run, digests) && same_rows(run, &copy, &verify) &&
                fm_store_scrub(run->store, &verify) == FM_OK && verify.problems == 0;
    fm_store_dir_remove(&copy);
    return same;
}

/* Rounds 0 to 2 on the store in memory, 3 on LMDB. */
static bool round_of(const struct fm_random_world *w, int round, struct fm_digest digests[2], char why[256])
{
    static struct run run;
    bool same;
    memset(&run, 0, sizeof run);
    run.w = w;
    run.random = w->seed * 31 + (uint64_t)round + 1;
    run.per_turn = round == 1 ? 1 : 6;
    run.restart = round == 0 ? 7 : round == 3 ? w->set_count / 3 : 0;
    if (round < 3) {
        run.memory = fm_memory_new();
        assert_non_null(run.memory);
        same = ways(&run, round, digests);
        fm_memory_free(run.memory);
    } else {
        fm_store_dir_make(&run.dir);
        run.dir.crypto = w->devices[FM_RANDOM_OBSERVER].crypto;
        run.dir.mesh = w->mesh;
        assert_int_equal(fm_store_dir_open(&run.dir, &run.store, true, 0), FM_OK);
        same = ways(&run, round, digests);
        fm_store_close(run.store);
        fm_store_dir_remove(&run.dir);
    }
    fm_repl_free(run.core);
    memcpy(why, run.why, 256);
    return same;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void random_worlds_come_out_alike_in_any_order(void **state)
{
    uint64_t seed = number_from("PROPERTY_SEED", 1), worlds = number_from("PROPERTY_WORLDS", WORLDS), failed = 0;
    struct fm_random_world *w = malloc(sizeof *w);
    (void)state;
    assert_non_null(w);
    for (uint64_t i = seed; i < seed + worlds && failed < 5; i++) {
        struct fm_digest first[2], digests[2];
        char why[256] = "";
        bool same = true;
        fm_random_world_init(w, i, i % REAL_EVERY == REAL_EVERY - 1);
        for (int round = 0; round < 4 && same; round++) {
            same = round_of(w, round, round == 0 ? first : digests, why);
            if (same && round > 0 && memcmp(first, digests, sizeof first) != 0) {
                same = false;
                snprintf(why, sizeof why, "another order, another %s digest", fm_id_eq(&first[0], &digests[0]) ? "state" : "sets");
            }
            if (!same)
                print_error("PROPERTY_SEED=%d PROPERTY_WORLDS=1 (round %d): %s\n", (int)i, round, why);
        }
        failed += !same;
        fm_random_world_fini(w);
    }
    free(w);
    assert_int_equal(failed, 0);
}

/* A generator that makes only harmless worlds proves nothing: all there can be was there. */
static void the_worlds_hold_everything(void **state)
{
    (void)state;
    if (number_from("PROPERTY_WORLDS", WORLDS) < 200)
        skip();
    for (int i = FM_PLACE_NONE; i <= FM_PLACE_SETTLED; i++)
        assert_true(seen.place[i] > 20);
    for (int i = FM_CLASS_NONE; i <= FM_CLASS_DELETE; i++)
        assert_true(seen.cls[i] > 20);
    for (int i = FM_COUNTED; i <= FM_UNREADABLE; i++)
        assert_true(verdicts_seen[i] > 20);
    assert_true(seen.waiting > 20 && seen.is_void > 20 && seen.unknown > 20 && seen.quarantined > 20);
    assert_true(judged_again > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_worlds_come_out_alike_in_any_order),
        cmocka_unit_test(the_worlds_hold_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
