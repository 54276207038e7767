/* The SOCK_SEQPACKET pair between net and core: bounded messages, one datagram each.
 * First byte: enum fm_link_kind; then fixed fields, big-endian; then bytes to the end. */
#ifndef FM_NODE_LINK_H
#define FM_NODE_LINK_H

#include "replication/bounds.h"
#include "replication/types.h"

enum fm_link_kind {
    /* core -> net */
    FM_LINK_START = 1, /* transport secret 32, listen endpoint text */
    FM_LINK_ALLOW,     /* the whole allow-list: n * 32 bytes of transport public keys; replaces the older one */
    FM_LINK_CONNECT,   /* conn, server's transport key 32, endpoint text */
    FM_LINK_SEND,      /* conn, message */
    FM_LINK_DROP,      /* conn: close it (dealer) or forget and ignore it (router) */
    /* net -> core */
    FM_LINK_READY = 32, /* endpoint really bound, text */
    FM_LINK_UP,         /* conn, transport key 32, initiator 1 */
    FM_LINK_DOWN,       /* conn, reason text */
    FM_LINK_MESSAGE,    /* conn, message */
    FM_LINK_REFUSED,    /* transport key 32 (zeros if unknown), reason text: "no-grant", "too-many-frames", "too-large", … */
    FM_LINK_MEMORY      /* resident bytes 8 */
};
#define FM_LINK_BYTES_MAX (FM_MESSAGE_BYTES_MAX + 64u)

struct fm_link_message {
    uint8_t kind;
    uint32_t conn;
    struct fm_key key;
    bool initiator;
    struct fm_span bytes; /* text or message; borrowed from the buffer read into */
};
int fm_link_pair(int fds[2]); /* close-on-exec, send buffers that take FM_LINK_BYTES_MAX */
/* 0; FM_EBUSY (would block: try when writable); FM_EIO (the other side is gone); FM_ELIMIT. */
int fm_link_send(int fd, const struct fm_link_message *m);
/* 0; FM_EBUSY (nothing there); FM_EIO (gone); FM_EFORMAT. buffer of FM_LINK_BYTES_MAX. */
int fm_link_receive(int fd, uint8_t *buffer, struct fm_link_message *out);
int fm_link_decode(struct fm_link_message *out, struct fm_span datagram); /* 0 or FM_EFORMAT; borrows */

/* The net process's whole life; called right after the fork, never returns. */
_Noreturn void fm_net_main(int link_fd);

#endif
