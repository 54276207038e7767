/* The two stores side by side, for cmocka programs: LMDB in a folder of its own and the one in memory.
 * Include cmocka first. */
#ifndef FM_TESTS_STORE_BOTH_H
#define FM_TESTS_STORE_BOTH_H

#include "replication/error.h"
#include "store/store.h"
#include "tests/support/memory.h"
#include "tests/support/store_dir.h"
#include "tests/support/store_rows.h"

struct both {
    struct fm_store_dir dir;
    struct fm_store *store;
    struct fm_memory *memory;
    struct fm_rows rows;
};

static inline int apply_both(void *ctx, const struct fm_row *row)
{
    struct both *b = ctx;
    assert_int_equal(fm_store_apply(b->store, row), FM_OK);
    return fm_memory_apply(b->memory, row);
}

static inline void both_open(struct both *b, uint64_t seed)
{
    memset(b, 0, sizeof(*b));
    fm_store_dir_make(&b->dir);
    assert_int_equal(fm_store_dir_open(&b->dir, &b->store, true, 0), FM_OK);
    b->memory = fm_memory_new();
    assert_non_null(b->memory);
    fm_rows_init(&b->rows, &b->dir.crypto, fm_memory_port(b->memory), seed);
}

static inline void both_close(struct both *b)
{
    fm_store_close(b->store);
    fm_memory_free(b->memory);
    fm_rows_fini(&b->rows);
    fm_store_dir_remove(&b->dir);
}

static inline void both_reopen(struct both *b)
{
    fm_store_close(b->store);
    assert_int_equal(fm_store_dir_open(&b->dir, &b->store, false, 0), FM_OK);
}

static inline void same_answers(const struct fm_rows *rows, const struct fm_port *a, const struct fm_port *b)
{
    struct fm_buf x, y;
    fm_buf_init(&x, 0);
    fm_buf_init(&y, 0);
    fm_rows_dump(rows, a, &x);
    fm_rows_dump(rows, b, &y);
    for (size_t i = 0; i < x.len && i < y.len; i++)
        if (x.data[i] != y.data[i]) {
            for (size_t n = i < 60 ? 0 : i - 60; n < i + 20 && n < x.len; n++)
                fprintf(stderr, "%c", x.data[n] > 31 && x.data[n] < 127 ? x.data[n] : '.');
            fail_msg("the answers differ at byte %zu", i);
        }
    assert_int_equal(x.len, y.len);
    fm_buf_fini(&x);
    fm_buf_fini(&y);
}

static inline void make(struct both *b, size_t events)
{
    for (size_t i = 0; i < events; i++)
        assert_int_equal(fm_rows_make(&b->rows, apply_both, b), FM_OK);
}

static inline void make_committed(struct both *b, size_t events, uint64_t now_ms)
{
    assert_int_equal(fm_store_begin(b->store, now_ms), FM_OK);
    make(b, events);
    assert_int_equal(fm_store_commit(b->store), FM_OK);
}

static inline void say(void *ctx, const char *problem)
{
    (void)ctx;
    fprintf(stderr, "  %s\n", problem);
}

static inline bool incomplete(struct fm_store *s)
{
    bool out;
    assert_int_equal(fm_store_incomplete(s, &out), FM_OK);
    return out;
}

/* Does the scrub say this, among other things? */
struct heard {
    const char *what;
    bool said;
    size_t times;
};

static inline void hear(void *ctx, const char *problem)
{
    struct heard *h = ctx;
    h->said |= strstr(problem, h->what) != NULL;
    h->times++;
}

static inline bool says(struct fm_store *s, const char *what)
{
    struct heard h = {.what = what};
    struct fm_store_verify v = {.ctx = &h, .say = hear};
    assert_int_equal(fm_store_scrub(s, &v), FM_OK);
    assert_int_equal(v.problems > 0, h.times > 0);
    return h.said;
}

static inline void sound(struct fm_store *s)
{
    struct fm_store_verify v = {.say = say};
    assert_int_equal(fm_store_scrub(s, &v), FM_OK);
    assert_int_equal(v.problems, 0);
}

#endif
