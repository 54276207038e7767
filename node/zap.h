/* Who may connect: the ZAP handler of the net process (RFC 27), in its own thread, bound before any other socket.
 * Fails closed: before the first allow-list nobody is admitted. */
#ifndef FM_NODE_ZAP_H
#define FM_NODE_ZAP_H

#include "replication/types.h"

#define FM_ZAP_KEY_HEX 64

/* Handshakes one address, and one key, may finish: a burst, then so many a second; past it ZAP answers 300, which closes
 * the connection in silence. */
#define FM_ZAP_ADDRESS_BURST 40u
#define FM_ZAP_ADDRESS_PER_S 10u
#define FM_ZAP_KEY_BURST 20u
#define FM_ZAP_KEY_PER_S 4u
#define FM_ZAP_BUCKETS 1024u

struct fm_zap;
/* Binds inproc://zeromq.zap.01 and starts the thread. refused is called from that thread, a bounded number of times a
 * second. NULL: somebody else is bound, or no memory. There is no stop: the process ends with it. */
struct fm_zap *fm_zap_start(void *zmq_context, void (*refused)(void *ctx, const struct fm_key *key, const char *reason),
                            void *ctx);
/* Replaces the allow-list: count keys of 32 bytes, sorted here. 0, FM_ENOMEM (then nobody is allowed), FM_ELIMIT. */
int fm_zap_allow(struct fm_zap *zap, const uint8_t *keys, size_t count);
bool fm_zap_admits(struct fm_zap *zap, const struct fm_key *key);
/* The self-test's key: refused like any stranger's, but not reported. */
void fm_zap_quiet(struct fm_zap *zap, const struct fm_key *key);

void fm_zap_hex(char out[FM_ZAP_KEY_HEX + 1], const struct fm_key *key);
/* False: text is not 64 hex digits. */
bool fm_zap_unhex(struct fm_key *out, const char *text);

/* A table of token buckets, each for what hashes to it; a full bucket's place may be taken by another. For tests too. */
struct fm_bucket {
    uint64_t id, at_ms;
    uint32_t milli_tokens;
};
struct fm_buckets {
    uint32_t burst, per_s;
    struct fm_bucket list[FM_ZAP_BUCKETS];
};
bool fm_buckets_take(struct fm_buckets *b, uint64_t id, uint64_t now_ms);

#endif
