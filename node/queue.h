/* Link messages that wait, first in, first out, with their bytes counted. Copies what it is given. */
#ifndef FM_NODE_QUEUE_H
#define FM_NODE_QUEUE_H

#include "node/link.h"

struct fm_queue {
    struct fm_queue_item *first, *last;
    size_t bytes, count;
};
/* 0 or FM_ENOMEM. An all-zero queue is empty. */
int fm_queue_push(struct fm_queue *q, const struct fm_link_message *m);
const struct fm_link_message *fm_queue_first(const struct fm_queue *q); /* NULL: empty; until the next change */
void fm_queue_pop(struct fm_queue *q);
/* Takes out the messages of one connection (session bytes and its DROP or CONNECT). */
void fm_queue_forget(struct fm_queue *q, uint32_t conn);
void fm_queue_fini(struct fm_queue *q);
/* Sends from the front while the link takes them. 0 (all sent or the link is full) or FM_EIO. */
int fm_queue_flush(struct fm_queue *q, int link_fd);

#endif
