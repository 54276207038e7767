/* For tests of the core: a hub and two camps that know each other, and short words for what they do. */
#ifndef FM_TESTS_LAB_THREE_H
#define FM_TESTS_LAB_THREE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/lab.h"

static const char *const keys[] = {"k1", NULL};

struct three {
    struct fm_lab_node hub, a, b;
};

static inline int setup(void **state)
{
    struct three *t = calloc(1, sizeof *t);
    assert_non_null(t);
    fm_lab_open(&t->hub, "hub", 11);
    fm_lab_open(&t->a, "bama", 12);
    fm_lab_open(&t->b, "dikwa", 13);
    fm_lab_found(&t->hub, keys);
    fm_lab_join(&t->hub, &t->a, 2, keys);
    fm_lab_join(&t->hub, &t->b, 3, keys);
    fm_lab_exchange(&t->a, &t->hub, 0);
    *state = t;
    return 0;
}

static inline int teardown(void **state)
{
    struct three *t = *state;
    fm_lab_close(&t->hub);
    fm_lab_close(&t->a);
    fm_lab_close(&t->b);
    free(t);
    return 0;
}

static inline struct fm_version_id write_one(struct fm_lab_node *n, uint8_t action, uint8_t record, uint32_t version,
                                      const struct fm_version_id *parent, const char *document)
{
    struct fm_version_id id;
    struct fm_change change = fm_lab_change(n, action, record, version, parent, document);
    assert_int_equal(fm_lab_write(n, &change, &id), 0);
    return id;
}

static inline int find_head(struct fm_lab_node *n, uint8_t record, struct fm_head *head)
{
    struct fm_record_id id = fm_lab_record(record);
    const struct fm_port *port = fm_memory_port(n->store);
    return port->head(port->ctx, FM_KIND_ASSESSMENT, &id, &n->arena, head);
}

static inline bool shown(struct fm_lab_node *n, uint8_t record)
{
    struct fm_head head;
    return find_head(n, record, &head) == 0 && head.shown;
}

static inline struct fm_set_meta set_of(const struct fm_lab_node *n, const struct fm_lab_set *set)
{
    struct fm_set_meta meta;
    const struct fm_port *port = fm_memory_port(n->store);
    assert_int_equal(port->set_get(port->ctx, &set->header.stream, set->header.sequence, &set->id, &meta), 0);
    return meta;
}

static inline struct fm_grant_id grant_of(const struct fm_lab_node *n)
{
    uint64_t epoch;
    const struct fm_grant *grant = fm_turn_grant(n->core, &epoch);
    assert_non_null(grant);
    return grant->id;
}

static inline void take(struct fm_lab_node *n, const struct fm_lab_set *set, int error)
{
    int refused;
    assert_int_equal(fm_lab_take(n, fm_buf_span(&set->bytes), &refused), 0);
    assert_int_equal(refused, error);
}

static inline void assert_same_digests(struct fm_lab_node *x, struct fm_lab_node *y)
{
    struct fm_digest dx[2], dy[2];
    fm_lab_digest(x, dx);
    fm_lab_digest(y, dy);
    assert_memory_equal(&dx[0], &dy[0], sizeof dx[0]);
    assert_memory_equal(&dx[1], &dy[1], sizeof dx[1]);
}

static inline struct fm_span item_of(struct fm_lab_node *n, uint8_t record, uint32_t version, const char *document)
{
    struct fm_change change = fm_lab_change(n, FM_CREATE, record, version, NULL, document);
    struct fm_buf item;
    fm_buf_init(&item, 0);
    assert_int_equal(fm_change_encode(&item, &change), 0);
    struct fm_span span = fm_span(fm_arena_copy(&n->arena, fm_buf_span(&item)), item.len);
    fm_buf_fini(&item);
    return span;
}

/* The hub cuts A's stream after `keep` sets (in the order of their sequence). */
static inline void revoke(struct three *t, uint64_t keep)
{
    struct fm_act *act = calloc(1, sizeof *act);
    struct fm_stream stream = {.author = t->a.self.author, .incarnation = t->a.self.incarnation, .lane = 1};
    const struct fm_port *port = fm_memory_port(t->a.store);
    struct fm_set_meta meta;
    size_t count;
    int refused;
    assert_non_null(act);
    act->kind = FM_ACT_REVOKE;
    act->node = t->a.self.author;
    if (keep > 0) {
        assert_int_equal(port->stream_sets(port->ctx, &stream, keep, &meta, 1, &count), 0);
        assert_int_equal(count, 1);
        act->cut_count = 1;
        act->cuts[0] = (struct fm_cut){.incarnation = stream.incarnation, .lane = 1, .sequence = keep, .set = meta.id};
    }
    assert_int_equal(fm_lab_act(&t->hub, act, &refused), 0);
    assert_int_equal(refused, 0);
    free(act);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
