#include "node/queue.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/error.h"

struct fm_queue_item {
    struct fm_queue_item *next;
    struct fm_link_message message;
    uint8_t bytes[];
};
#define ITEM_BYTES(m) (sizeof(struct fm_queue_item) + (m)->bytes.len)

int fm_queue_push(struct fm_queue *q, const struct fm_link_message *m)
{
    struct fm_queue_item *item = malloc(ITEM_BYTES(m));
    if (item == NULL)
        return FM_ENOMEM;
    item->next = NULL;
    item->message = *m;
    if (m->bytes.len > 0)
        memcpy(item->bytes, m->bytes.data, m->bytes.len);
    item->message.bytes.data = item->bytes;
    if (q->last == NULL)
        q->first = item;
    else
        q->last->next = item;
    q->last = item;
    q->bytes += ITEM_BYTES(m);
    q->count++;
    return FM_OK;
}

const struct fm_link_message *fm_queue_first(const struct fm_queue *q)
{
    return q->first == NULL ? NULL : &q->first->message;
}

static void take_out(struct fm_queue *q, struct fm_queue_item *before)
{
    struct fm_queue_item **at = before == NULL ? &q->first : &before->next;
    struct fm_queue_item *item = *at;
    *at = item->next;
    if (q->last == item)
        q->last = before;
    q->bytes -= ITEM_BYTES(&item->message);
    q->count--;
    free(item);
}

void fm_queue_pop(struct fm_queue *q)
{
    assert(q->first != NULL);
    take_out(q, NULL);
}

void fm_queue_forget(struct fm_queue *q, uint32_t conn)
{
    struct fm_queue_item *before = NULL;
    for (struct fm_queue_item *at = q->first; at != NULL;) {
        struct fm_queue_item *next = at->next;
        if (at->message.conn == conn && at->message.kind != FM_LINK_START)
            take_out(q, before);
        else
            before = at;
        at = next;
    }
}

void fm_queue_fini(struct fm_queue *q)
{
    while (q->first != NULL)
        take_out(q, NULL);
}

int fm_queue_flush(struct fm_queue *q, int link_fd)
{
    const struct fm_link_message *m;
    while ((m = fm_queue_first(q)) != NULL) {
        int rc = fm_link_send(link_fd, m);
        if (rc == FM_EBUSY)
            return FM_OK;
        if (rc == FM_EIO)
            return rc;
        fm_queue_pop(q);
    }
    return FM_OK;
}
