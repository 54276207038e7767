/* Streams of camp A of lab_three.h written by hand, set after set; a copy of one is a fork of it. */
#ifndef FM_TESTS_BRANCH_H
#define FM_TESTS_BRANCH_H

#include "tests/support/lab_three.h"

struct branch {
    struct fm_set_header header;
    uint32_t record; /* the last one written */
    uint32_t twin;   /* if not 0: a record that each set creates as well, so that it is not its twin's set */
    const char *document;
    struct fm_set_id last;
};

static inline struct branch branch_of(const struct three *t, uint64_t incarnation, uint8_t lane)
{
    return (struct branch){.header = {.stream = {.author = t->a.self.author, .incarnation = incarnation, .lane = lane},
                                      .has_grant = true,
                                      .grant = grant_of(&t->a)},
                           .record = (uint32_t)incarnation << 16,
                           .document = "{a:1}"};
}

/* The next set; free it. */
static inline void branch_next(struct three *t, struct branch *b, struct fm_lab_set *out)
{
    struct fm_change change = fm_lab_change(&t->a, FM_CREATE, 0, 1, NULL, b->document);
    const uint32_t records[2] = {++b->record, b->twin};
    const uint32_t count = b->twin != 0 ? 2 : 1;
    struct fm_buf bufs[2];
    struct fm_span items[2];
    for (uint32_t i = 0; i < count; i++) {
        fm_be_put(change.record.b + 4, records[i], 4);
        fm_buf_init(&bufs[i], 0);
        assert_int_equal(fm_change_encode(&bufs[i], &change), 0);
        items[i] = fm_buf_span(&bufs[i]);
    }
    b->header.sequence++;
    fm_lab_set(out, &t->a.device, b->header, items, count, NULL);
    for (uint32_t i = 0; i < count; i++)
        fm_buf_fini(&bufs[i]);
    fm_arena_reset(&t->a.arena);
    b->header.has_prev = true;
    b->header.prev = b->last = out->id;
}

/* So many more sets, taken in at these nodes (NULL: at one only) in one turn. */
static inline void branch_grow(struct three *t, struct branch *b, unsigned sets, struct fm_lab_node *at,
                               struct fm_lab_node *also)
{
    struct fm_lab_node *nodes[2] = {at, also};
    for (unsigned i = 0; i < sets; i++) {
        struct fm_lab_set set;
        branch_next(t, b, &set);
        for (size_t k = 0; k < 2 && nodes[k] != NULL; k++) {
            struct fm_event event = {.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&set.bytes)};
            assert_int_equal(fm_lab_step(nodes[k], event), 0);
            assert_int_equal(nodes[k]->taken, 0);
        }
        fm_lab_set_free(&set);
    }
    for (size_t k = 0; k < 2 && nodes[k] != NULL; k++)
        assert_int_equal(fm_lab_end(nodes[k]), 0);
}

static inline struct fm_tip branch_tip(const struct branch *b)
{
    return (struct fm_tip){.sequence = b->header.sequence, .id = b->last};
}

#endif
