/* Any frames as a request to the ZAP handler in its thread (the first byte of each: its length; 255: the right one for its
 * place). Exactly one reply of six frames, with the request's id; 200 only for an allowed key by CURVE in our domain; and
 * more frames, or longer ones, than a request has are no reason to stop. */
#include <zmq.h>

#include "node/socket.h"
#include "node/zap.h"
#include "replication/bounds.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

#define FRAMES_MAX 12u

static struct fm_zap *zap;
static void *socket_;
static const struct fm_key known = {{1, 2, 3}};

static void refused(void *ctx, const struct fm_key *key, const char *reason)
{
    (void)ctx;
    FUZZ_CHECK(key != NULL && reason != NULL);
}

static void start(void)
{
    void *zmq = zmq_ctx_new();
    zap = fm_zap_start(zmq, refused, NULL);
    socket_ = zmq_socket(zmq, ZMQ_REQ);
    FUZZ_CHECK(zap != NULL && socket_ != NULL && fm_zap_allow(zap, known.b, 1) == FM_OK);
    FUZZ_CHECK(zmq_connect(socket_, "inproc://zeromq.zap.01") == 0);
}

static struct fm_span right(size_t place)
{
    switch (place) {
    case 0: return fm_span_str("1.0");
    case 1: return fm_span_str("7");
    case 2: return fm_span_str(FM_SOCKET_ZAP_DOMAIN);
    case 3: return fm_span_str("10.0.0.1");
    case 5: return fm_span_str("CURVE");
    case 6: return fm_span(known.b, sizeof known.b);
    default: return fm_span("", 0);
    }
}

static size_t reply(uint8_t frame[6][256], size_t len[6])
{
    size_t count = 0, size = sizeof(int);
    int more = 1;
    for (; more; count++) {
        int got = zmq_recv(socket_, count < 6 ? frame[count] : frame[5], 255, 0);
        FUZZ_CHECK(got >= 0 && got <= 255 && count < 6);
        len[count] = (size_t)got;
        FUZZ_CHECK(zmq_getsockopt(socket_, ZMQ_RCVMORE, &more, &size) == 0);
    }
    return count;
}

FUZZ_TARGET(4, 65536)
{
    struct fuzz_in in = {data, size};
    struct fm_span frames[FRAMES_MAX];
    static uint8_t got[6][256];
    size_t count = 0, len[6] = {0};

    fuzz_memory_pause(true);
    if (zap == NULL)
        start();
    fuzz_memory_pause(false);
    do {
        size_t n = (size_t)fuzz_number(&in, 1);
        frames[count] = n == 255 ? right(count) : fuzz_take(&in, n == 254 ? 300 : n % 64);
    } while (++count < FRAMES_MAX && in.left > 0);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(zmq_send(socket_, frames[i].data, frames[i].len, i + 1 < count ? ZMQ_SNDMORE : 0) == (int)frames[i].len);
    FUZZ_CHECK(reply(got, len) == 6 && fm_span_eq(fm_span(got[0], len[0]), fm_span_str("1.0")));
    bool good = count == 7;
    for (size_t i = 0; i < count; i++)
        good = good && frames[i].len <= 255 && (i == 1 || i == 3 || i == 4 || fm_span_eq(frames[i], right(i)));
    FUZZ_CHECK(len[2] == 3 &&
               (memcmp(got[2], "200", 3) == 0 ? good : memcmp(got[2], good ? "300" : "400", 3) == 0 || !good));
    bool whole = count <= 8;
    for (size_t i = 0; i < count; i++)
        whole = whole && frames[i].len <= 255;
    FUZZ_CHECK(fm_span_eq(fm_span(got[1], len[1]), whole && count > 1 ? frames[1] : fm_span("", 0)));
    FUZZ_CHECK(len[4] == (memcmp(got[2], "200", 3) == 0 ? FM_ZAP_KEY_HEX : 0) && len[5] == 0);
    return 0;
}
