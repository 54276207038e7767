#include "node/zap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <zmq.h>

#include "crypto/crypto.h"
#include "node/socket.h"
#include "replication/bounds.h"
#include "replication/error.h"

#define REPORTS_PER_S_MAX 20u
#define FRAMES_MAX 8
#define FIELD_BYTES_MAX 255

struct fm_zap {
    void *socket; /* the thread's own after the start */
    void (*refused)(void *ctx, const struct fm_key *key, const char *reason);
    void *ctx;
    pthread_mutex_t lock; /* guards allowed, count, quiet */
    uint8_t *allowed;
    size_t count;
    struct fm_key quiet;
    bool has_quiet;
    struct fm_buckets addresses, keys;
    struct fm_bucket reports;
};

static uint64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static bool bucket_take(struct fm_bucket *b, uint32_t burst, uint32_t per_s, uint64_t now_ms)
{
    uint64_t gained = (now_ms - b->at_ms) * per_s;
    uint64_t full = (uint64_t)burst * 1000u;
    uint64_t tokens = gained > full || b->milli_tokens + gained > full ? full : b->milli_tokens + gained;
    b->at_ms = now_ms;
    b->milli_tokens = (uint32_t)(tokens >= 1000u ? tokens - 1000u : tokens);
    return tokens >= 1000u;
}

bool fm_buckets_take(struct fm_buckets *b, uint64_t id, uint64_t now_ms)
{
    /* Eight places an id may stand in; the fullest other one makes room, so that nobody can wash out a bucket it emptied
     * without paying from many addresses. */
    struct fm_bucket *place = NULL;
    uint64_t most = 0;
    for (uint64_t i = 0; i < 8; i++) {
        struct fm_bucket *at = &b->list[(id + i) % FM_ZAP_BUCKETS];
        if (at->id == id && at->at_ms != 0)
            return bucket_take(at, b->burst, b->per_s, now_ms);
        uint64_t tokens = at->at_ms == 0 ? UINT64_MAX : at->milli_tokens + (now_ms - at->at_ms) * b->per_s;
        if (place == NULL || tokens > most) {
            place = at;
            most = tokens;
        }
    }
    *place = (struct fm_bucket){.id = id, .at_ms = now_ms, .milli_tokens = b->burst * 1000u};
    return bucket_take(place, b->burst, b->per_s, now_ms);
}

static int key_order(const void *a, const void *b)
{
    return memcmp(a, b, FM_KEY_BYTES);
}

int fm_zap_allow(struct fm_zap *zap, const uint8_t *keys, size_t count)
{
    if (count > FM_GRANTS_MAX)
        return FM_ELIMIT;
    uint8_t *fresh = malloc(count == 0 ? 1 : count * FM_KEY_BYTES);
    if (fresh == NULL)
        count = 0; /* fail closed */
    if (count > 0) {
        memcpy(fresh, keys, count * FM_KEY_BYTES);
        qsort(fresh, count, FM_KEY_BYTES, key_order);
    }
    pthread_mutex_lock(&zap->lock);
    uint8_t *old = zap->allowed;
    zap->allowed = fresh;
    zap->count = count;
    pthread_mutex_unlock(&zap->lock);
    free(old);
    return fresh == NULL ? FM_ENOMEM : FM_OK;
}

bool fm_zap_admits(struct fm_zap *zap, const struct fm_key *key)
{
    pthread_mutex_lock(&zap->lock);
    bool found = zap->count > 0 && bsearch(key->b, zap->allowed, zap->count, FM_KEY_BYTES, key_order) != NULL;
    pthread_mutex_unlock(&zap->lock);
    return found;
}

void fm_zap_quiet(struct fm_zap *zap, const struct fm_key *key)
{
    pthread_mutex_lock(&zap->lock);
    zap->quiet = *key;
    zap->has_quiet = true;
    pthread_mutex_unlock(&zap->lock);
}

void fm_zap_hex(char out[FM_ZAP_KEY_HEX + 1], const struct fm_key *key)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < FM_KEY_BYTES; i++) {
        out[2 * i] = digits[key->b[i] >> 4];
        out[2 * i + 1] = digits[key->b[i] & 15];
    }
    out[FM_ZAP_KEY_HEX] = '\0';
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool fm_zap_unhex(struct fm_key *out, const char *text)
{
    for (size_t i = 0; i < FM_KEY_BYTES; i++) {
        int high = digit_of(text[2 * i]);
        int low = high < 0 ? -1 : digit_of(text[2 * i + 1]);
        if (low < 0)
            return false;
        out->b[i] = (uint8_t)(high << 4 | low);
    }
    return text[FM_ZAP_KEY_HEX] == '\0';
}

struct request {
    size_t count;
    struct {
        size_t len;
        uint8_t bytes[FIELD_BYTES_MAX + 1];
    } frame[FRAMES_MAX]; /* version, request id, domain, address, identity, mechanism, credentials … */
};

/* libzmq is the other side, but its fields carry what a stranger sent: count and length are checked. */
static bool request_receive(void *socket, struct request *out)
{
    bool whole = true;
    int more = 1;
    out->count = 0;
    while (more) {
        uint8_t spill[FIELD_BYTES_MAX + 1];
        uint8_t *into = out->count < FRAMES_MAX ? out->frame[out->count].bytes : spill;
        int got = zmq_recv(socket, into, FIELD_BYTES_MAX, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (out->count >= FRAMES_MAX || got > FIELD_BYTES_MAX)
            whole = false;
        else {
            out->frame[out->count].bytes[got] = '\0';
            out->frame[out->count++].len = (size_t)got;
        }
        size_t len = sizeof more;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &len) != 0)
            return false;
    }
    if (!whole)
        out->count = 0;
    return true;
}

static bool field_is(const struct request *r, size_t i, const char *text)
{
    return i < r->count && fm_span_eq(fm_span(r->frame[i].bytes, r->frame[i].len), fm_span_str(text));
}

/* What one source is: an IPv4 address, or the /64 that one IPv6 host owns at least. */
static uint64_t address_id(const uint8_t *text)
{
    uint8_t v6[16] = {0}, hash[16];
    size_t len = 8;
    if (inet_pton(AF_INET, (const char *)text, v6) == 1)
        len = 4;
    else if (inet_pton(AF_INET6, (const char *)text, v6) == 1 && memcmp(v6, "\0\0\0\0\0\0\0\0\0\0\377\377", 12) == 0)
        len = 16;
    uint64_t id;
    fm_crypto_hash(hash, sizeof hash, v6, len);
    memcpy(&id, hash, sizeof id);
    return id;
}

static const char *judge(struct fm_zap *zap, const struct request *r, struct fm_key *key, const char **status)
{
    uint64_t now_ms = steady_ms(), key_id;
    *status = "400";
    if (!field_is(r, 0, "1.0") || !field_is(r, 5, "CURVE") || r->count != 7 || r->frame[6].len != FM_KEY_BYTES)
        return "not-curve";
    memcpy(key->b, r->frame[6].bytes, FM_KEY_BYTES);
    if (!field_is(r, 2, FM_SOCKET_ZAP_DOMAIN))
        return "wrong-domain";
    memcpy(&key_id, key->b, sizeof key_id);
    if (!fm_buckets_take(&zap->addresses, address_id(r->frame[3].bytes), now_ms) ||
        !fm_buckets_take(&zap->keys, key_id, now_ms)) {
        *status = "300";
        return "too-often";
    }
    if (!fm_zap_admits(zap, key))
        return "no-grant";
    *status = "200";
    return NULL;
}

static void report(struct fm_zap *zap, const struct fm_key *key, const char *reason)
{
    pthread_mutex_lock(&zap->lock);
    bool quiet = zap->has_quiet && fm_id_eq(&zap->quiet, key);
    pthread_mutex_unlock(&zap->lock);
    if (!quiet && bucket_take(&zap->reports, REPORTS_PER_S_MAX, REPORTS_PER_S_MAX, steady_ms()))
        zap->refused(zap->ctx, key, reason);
}

static void *serve(void *arg)
{
    struct fm_zap *zap = arg;
    struct request *r = malloc(sizeof *r);
    if (r == NULL)
        abort(); /* an open door is worse than a restart */
    while (request_receive(zap->socket, r)) {
        struct fm_key key = {{0}};
        const char *status;
        const char *reason = judge(zap, r, &key, &status);
        char user[FM_ZAP_KEY_HEX + 1] = "";
        if (reason == NULL)
            fm_zap_hex(user, &key);
        const struct fm_span reply[6] = {
            fm_span_str("1.0"),
            r->count > 1 ? fm_span(r->frame[1].bytes, r->frame[1].len) : fm_span("", 0),
            fm_span_str(status),
            fm_span_str(reason == NULL ? "OK" : reason),
            fm_span_str(user),
            fm_span("", 0),
        };
        for (size_t i = 0; i < 6; i++)
            while (zmq_send(zap->socket, reply[i].data, reply[i].len, i < 5 ? ZMQ_SNDMORE : 0) < 0 && errno == EINTR)
                ;
        if (reason != NULL)
            report(zap, &key, reason);
    }
    abort(); /* the handler is gone: this process must not go on (Z3) */
}

struct fm_zap *fm_zap_start(void *zmq_context, void (*refused)(void *ctx, const struct fm_key *key, const char *reason),
                            void *ctx)
{
    struct fm_zap *zap = calloc(1, sizeof *zap);
    if (zap == NULL)
        return NULL;
    *zap = (struct fm_zap){.refused = refused, .ctx = ctx};
    zap->addresses.burst = FM_ZAP_ADDRESS_BURST;
    zap->addresses.per_s = FM_ZAP_ADDRESS_PER_S;
    zap->keys.burst = FM_ZAP_KEY_BURST;
    zap->keys.per_s = FM_ZAP_KEY_PER_S;
    zap->socket = zmq_socket(zmq_context, ZMQ_REP);
    const int zero = 0;
    if (zap->socket == NULL || pthread_mutex_init(&zap->lock, NULL) != 0) {
        free(zap);
        return NULL;
    }
    pthread_t thread;
    if (zmq_setsockopt(zap->socket, ZMQ_LINGER, &zero, sizeof zero) != 0 ||
        zmq_bind(zap->socket, "inproc://zeromq.zap.01") != 0 || pthread_create(&thread, NULL, serve, zap) != 0) {
        zmq_close(zap->socket);
        pthread_mutex_destroy(&zap->lock);
        free(zap);
        return NULL;
    }
    pthread_detach(thread);
    return zap;
}
