/* For tests of a core's turns under failures: each turn is tried on copies of what the node committed. Include it after
 * no_memory.h and lab_three.h. */
#ifndef FM_TESTS_LAB_FAULTS_H
#define FM_TESTS_LAB_FAULTS_H

#include "tests/support/faults.h"
#include "tests/support/lab_three.h"

/* The events as one turn on copies of `store`, with each of its calls failing once, then with each piece of memory refused.
 * Fails the test if an error is not passed up, or if what is committed then comes to another digest. Returns how many. */
static inline size_t lab_fails_on(const struct fm_lab_node *n, const struct fm_memory *store, const struct fm_event *events,
                                  size_t count)
{
    struct fm_event own[8];
    size_t tried = 0;
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++) {
        own[i] = events[i];
        own[i].now_ms = LAB_NOW + 1000 * (i + 1);
        own[i].steady_ms = own[i].steady_ms != 0 ? own[i].steady_ms : n->events * 10 + i;
        own[i].seed[0] = 77;
        own[i].seed[1] = (uint8_t)i;
    }
    for (int memory = 0; memory < 2; memory++) {
        char why[200] = "";
        fm_fault_memory = memory == 1;
        tried += fm_fault_try_turn(&n->self, &n->device.crypto, store, own, count, why);
        fm_fault_memory = false;
        if (why[0] != '\0')
            fail_msg("%s: %s", memory == 1 ? "memory" : "calls", why);
    }
    return tried;
}

static inline size_t lab_fails(const struct fm_lab_node *n, const struct fm_event *events, size_t count)
{
    return lab_fails_on(n, n->saved, events, count);
}

/* The event that takes in the set of this arrival at `from`; its bytes lie in to's arena. */
static inline struct fm_event lab_taking(struct fm_lab_node *to, const struct fm_lab_node *from, uint64_t arrival)
{
    const struct fm_port *port = fm_memory_port(from->store);
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    assert_int_equal(port->set_bytes(port->ctx, arrival, &bytes), 0);
    struct fm_span copy = fm_span(fm_arena_copy(&to->arena, fm_buf_span(&bytes)), bytes.len);
    fm_buf_fini(&bytes);
    return (struct fm_event){.kind = FM_EVENT_TAKE, .bytes = copy};
}

static inline uint64_t lab_last(const struct fm_lab_node *n)
{
    const struct fm_port *port = fm_memory_port(n->store);
    uint64_t last;
    assert_int_equal(port->arrival_last(port->ctx, &last), 0);
    return last;
}

#endif
