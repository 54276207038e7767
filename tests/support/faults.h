/* A store that fails once: each read, each action and each opening is counted, and one of them gives FM_ESTORE.
 * After it all is well again, so that an error which is taken for "nothing there" is not hidden by the next one. */
#ifndef FM_TESTS_FAULTS_H
#define FM_TESTS_FAULTS_H

#include "replication/core.h"
#include "tests/support/memory.h"

struct fm_fault {
    const struct fm_port *real;
    struct fm_port port;           /* for the core */
    const struct fm_crypto *real_crypto;
    struct fm_crypto crypto;       /* for the core */
    struct fm_sink real_sink, sink; /* for the step */
    int64_t left;                  /* calls that still go well; below 0: all */
    bool hit;
    const char *where;             /* which call failed */
};
/* Instead: each piece of memory that a step asks for is counted, one is not given, and the error is FM_ENOMEM. What needs no
 * memory after all (a smaller form of a body) may go on, to the same digest. Only in programs with no_memory.h. */
extern bool fm_fault_memory;
bool fm_fault_no_memory(void);
/* For direct calls, in such a program: after `left` pieces of memory one is not given. end: was one not given? */
void fm_fault_begin(int64_t left);
bool fm_fault_end(void);
int fm_fault_step(struct fm_fault *f, struct fm_repl *core, const struct fm_event *event);

/* *f must not move afterwards; what is given is borrowed. */
void fm_fault_init(struct fm_fault *f, const struct fm_port *port, const struct fm_crypto *crypto, struct fm_sink sink);

/* On copies of `store` (as committed): a fresh core, START, the event, TURN_END and TICK, again and again, each time with
 * the next call failing, until none is left to fail. Returns the number of failures. `why` is filled if something went
 * wrong: an error that was not passed up, or a core on the committed store that then comes to another outcome: digests, what
 * was reported, the epoch, custody of the node's own. */
size_t fm_fault_try(const struct fm_self *self, const struct fm_crypto *crypto, const struct fm_memory *store,
                    const struct fm_event *event, char why[200]);
/* The same with several events in one turn; none of them is START. */
size_t fm_fault_try_turn(const struct fm_self *self, const struct fm_crypto *crypto, const struct fm_memory *store,
                         const struct fm_event *events, size_t count, char why[200]);

#endif
