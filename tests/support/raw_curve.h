/* A CurveZMQ client written by hand (RFC 23 and 26), for what libzmq would not send: a message without end. */
#ifndef FM_TESTS_RAW_CURVE_H
#define FM_TESTS_RAW_CURVE_H

#include <netinet/in.h>

#include "replication/types.h"

struct raw_curve {
    int fd;
    uint8_t shared[32]; /* precomputed from both short-term keys */
    uint64_t nonce;
};
struct sockaddr_in raw_curve_loopback(uint16_t port);
/* Connects and shakes hands. 0, or -1: refused, or not understood. */
int raw_curve_open(struct raw_curve *r, struct sockaddr_in to, const struct fm_key *server, const struct fm_key *public_key,
                   const struct fm_key *secret);
/* One frame; 0, or -1: the connection is gone. At most 256 KiB. */
int raw_curve_send(struct raw_curve *r, struct fm_span payload, bool more);
/* The head of one plain ZMTP frame that claims `claimed` bytes, and nothing more. */
int raw_curve_claim(struct raw_curve *r, uint64_t claimed);

#endif
