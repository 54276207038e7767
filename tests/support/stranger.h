/* A peer played by the test: it has a member's key and says to a node what it likes, message by message. What the node
 * sends, drops and reports is kept. The node's own turns go by the law of effects, as everywhere (lab.h). */
#ifndef FM_TESTS_STRANGER_H
#define FM_TESTS_STRANGER_H

#include "replication/session.h"
#include "tests/support/lab.h"

#define STRANGER_HEARD_MAX 512u
#define STRANGER_SCRIPT_MAX 32u

struct stranger {
    struct fm_lab_node *node;
    struct fm_sink below;
    int64_t sends_left;            /* after so many messages one is not sent, with FM_ESTORE; below 0: never */
    const char *dropped, *refused; /* the last reasons; NULL: none */
    struct fm_buf heard[STRANGER_HEARD_MAX];
    size_t count;
    struct fm_memory *start;                     /* the node's store before the first event */
    struct fm_event script[STRANGER_SCRIPT_MAX]; /* what was played; past its end nothing is kept */
    size_t played;
};
void stranger_open(struct stranger *s, struct fm_lab_node *node); /* *s must not move before stranger_close */
void stranger_close(struct stranger *s);
/* Plays all of it again on copies of that store, the last event and the end of its turn with each call failing once
 * (faults.h): the error is passed up as it is, or (memory only) the turn ends as it would have. Returns how many failed. */
size_t stranger_fails_anywhere(const struct stranger *s);
/* An event on the connection and the end of its turn. */
int stranger_step(struct stranger *s, struct fm_event event);
void stranger_up(struct stranger *s, const struct fm_lab_node *as, bool node_is_initiator);
void stranger_down(struct stranger *s);
void stranger_wait(struct stranger *s, uint64_t ms); /* time passes, then a TICK */
/* The node's session; NULL: it has none any more. */
const struct fm_session *stranger_session(const struct stranger *s);

int stranger_says(struct stranger *s, struct fm_span message); /* 0 or the step's error */
int stranger_says_hello(struct stranger *s, const struct fm_hello *hello);
int stranger_says_have(struct stranger *s, const struct fm_stream_row *rows, size_t count, bool last);
int stranger_says_ladder(struct stranger *s, const struct fm_stream *stream, const struct fm_tip *steps, uint32_t count);
int stranger_says_data(struct stranger *s, uint64_t number, struct fm_span set);
int stranger_acknowledges(struct stranger *s); /* all DATA so far: the credit is whole again */
/* All the streams the node holds, in one HAVE that is the last, with the first `but` left out. */
int stranger_has_all(struct stranger *s, size_t but);
/* Both say HELLO, and their digests are equal: in step. What was heard is forgotten. */
void stranger_in_step(struct stranger *s, const struct fm_lab_node *as);
/* Both say HELLO, and it is told to hold other sets: the node says HAVE, or the step's error. */
int stranger_differs(struct stranger *s, const struct fm_lab_node *as);

void stranger_forget(struct stranger *s);
size_t stranger_heard(const struct stranger *s, enum fm_message_kind kind);        /* how many of this kind */
struct fm_span stranger_last(const struct stranger *s, enum fm_message_kind kind); /* the last of it; empty: none */
size_t stranger_sets(const struct stranger *s);                                    /* sets in all DATA that was heard */

#endif
