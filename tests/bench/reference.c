/* What the libraries alone reach, to hold a full sync against: two processes over TCP on loopback.
 *
 *   reference pipeline CHANGES.ndjson DIR COMMIT   N records from a log to an empty store; prints one JSON object
 *   reference contact                              one connection, nothing sent (the bytes of a bare handshake)
 *
 * Sender: scans a log of msgpack records in LMDB; 256 at a time: packs, zstd-3, BLAKE2b-256, Ed25519, ZeroMQ with CURVE.
 * Receiver: hash and signature, decompresses, unpacks every record; the signed batch is appended to a log, and each record
 * costs a look-up and three small index rows under random keys; LMDB's default durability, a commit every COMMIT records.
 * No order of versions, no rules, no verdicts, no acknowledgements, no row checks, no encryption at rest. */
#include <errno.h>
#include <jansson.h>
#include <lmdb.h>
#include <msgpack.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include <zstd.h>

#define BATCH 256u
#define RAW_BYTES_MAX (4u << 20)
#define ROW_BYTES 96u
#define HEAD_BYTES 72u /* signature, count, raw size */

static void need(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "reference: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* Both sides know each other's keys, as two nodes that were introduced. */
struct keys {
    char server_public[41], server_secret[41], client_public[41], client_secret[41];
    uint8_t author_public[crypto_sign_PUBLICKEYBYTES], author_secret[crypto_sign_SECRETKEYBYTES];
};
/* Shared between the two processes. */
struct shared {
    char endpoint[128];
    double began_s, done_s, sender_cpu_s, receiver_cpu_s;
    uint64_t bytes, records;
};

static void *socket_of(void *ctx, const struct keys *k, bool server)
{
    void *s = zmq_socket(ctx, server ? ZMQ_ROUTER : ZMQ_DEALER);
    int hwm = 16, linger = server ? 0 : -1, one = 1;
    need(s != NULL, "socket");
    zmq_setsockopt(s, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt(s, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
    if (server) {
        zmq_setsockopt(s, ZMQ_CURVE_SERVER, &one, sizeof one);
        zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, k->server_secret, 41);
    } else {
        zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, k->server_public, 41);
        zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, k->client_public, 41);
        zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, k->client_secret, 41);
    }
    return s;
}

/* --- LMDB --- */

static void ok(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "reference: LMDB: %s\n", mdb_strerror(rc));
    exit(1);
}

enum { LOG, BY_ID, BY_TIME, BY_HASH, TABLES };

static MDB_env *open_env(const char *dir, const char *name, MDB_dbi dbi[TABLES])
{
    static const char *const names[TABLES] = {"log", "id", "time", "hash"};
    char path[4096];
    MDB_env *env;
    MDB_txn *txn;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    need(mkdir(path, 0700) == 0 || errno == EEXIST, path);
    ok(mdb_env_create(&env));
    ok(mdb_env_set_mapsize(env, (size_t)16 << 30));
    ok(mdb_env_set_maxdbs(env, TABLES));
    ok(mdb_env_open(env, path, 0, 0600));
    ok(mdb_txn_begin(env, NULL, 0, &txn));
    for (unsigned i = 0; i < TABLES; i++)
        ok(mdb_dbi_open(txn, names[i], MDB_CREATE, &dbi[i]));
    ok(mdb_txn_commit(txn));
    return env;
}

static void number_key(uint8_t out[8], uint64_t n)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(n >> (56 - 8 * i));
}

/* --- the sender's log, made beforehand --- */

static void pack(msgpack_packer *p, const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        msgpack_pack_map(p, json_object_size(v));
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            msgpack_pack_str(p, strlen(key));
            msgpack_pack_str_body(p, key, strlen(key));
            pack(p, item);
        }
        break;
    case JSON_ARRAY:
        msgpack_pack_array(p, json_array_size(v));
        json_array_foreach(v, i, item) pack(p, item);
        break;
    case JSON_STRING:
        msgpack_pack_str(p, json_string_length(v));
        msgpack_pack_str_body(p, json_string_value(v), json_string_length(v));
        break;
    case JSON_INTEGER: msgpack_pack_int64(p, json_integer_value(v)); break;
    case JSON_REAL: msgpack_pack_double(p, json_real_value(v)); break;
    case JSON_TRUE: msgpack_pack_true(p); break;
    case JSON_FALSE: msgpack_pack_false(p); break;
    case JSON_NULL: msgpack_pack_nil(p); break;
    }
}

static uint64_t fill_log(const char *file, const char *dir)
{
    FILE *in = fopen(file, "r");
    need(in != NULL, file);
    MDB_dbi dbi[TABLES];
    MDB_env *env = open_env(dir, "sender", dbi);
    MDB_txn *txn;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    uint64_t count = 0;
    msgpack_sbuffer buf;
    msgpack_packer p;
    msgpack_sbuffer_init(&buf);
    msgpack_packer_init(&p, &buf, msgpack_sbuffer_write);
    ok(mdb_txn_begin(env, NULL, 0, &txn));
    while ((len = getline(&line, &cap, in)) > 0) {
        json_t *change = json_loadb(line, (size_t)len, 0, NULL);
        need(change != NULL, "a line is no JSON");
        uint8_t number[8];
        number_key(number, count++);
        msgpack_sbuffer_clear(&buf);
        pack(&p, json_object_get(change, "data"));
        MDB_val k = {sizeof number, number}, v = {buf.size, buf.data};
        ok(mdb_put(txn, dbi[LOG], &k, &v, MDB_APPEND));
        json_decref(change);
    }
    ok(mdb_txn_commit(txn));
    mdb_env_close(env);
    msgpack_sbuffer_destroy(&buf);
    free(line);
    fclose(in);
    return count;
}

/* --- sender --- */

struct packer {
    uint8_t *raw, *out;
    size_t raw_len;
    uint32_t count;
    ZSTD_CCtx *zstd;
};

static void send_batch(struct packer *p, void *s, const struct keys *k, struct shared *shared)
{
    size_t body = ZSTD_compressCCtx(p->zstd, p->out + HEAD_BYTES, ZSTD_compressBound(RAW_BYTES_MAX), p->raw, p->raw_len, 3);
    need(!ZSTD_isError(body), "zstd");
    uint32_t head[2] = {p->count, (uint32_t)p->raw_len};
    uint8_t hash[32];
    memcpy(p->out + 64, head, sizeof head);
    crypto_generichash(hash, sizeof hash, p->out + 64, 8 + body, NULL, 0);
    crypto_sign_detached(p->out, NULL, hash, sizeof hash, k->author_secret);
    need(zmq_send(s, p->out, HEAD_BYTES + body, 0) >= 0, "send");
    shared->bytes += HEAD_BYTES + body;
    p->count = 0;
    p->raw_len = 0;
}

static void sender(const char *dir, const struct keys *k, struct shared *shared)
{
    MDB_dbi dbi[TABLES];
    MDB_env *env = open_env(dir, "sender", dbi);
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    struct packer p = {.raw = malloc(RAW_BYTES_MAX), .out = malloc(HEAD_BYTES + ZSTD_compressBound(RAW_BYTES_MAX)),
                       .zstd = ZSTD_createCCtx()};
    void *ctx = zmq_ctx_new(), *s = socket_of(ctx, k, false);
    double cpu = cpu_s();
    shared->began_s = now_s();
    need(zmq_connect(s, shared->endpoint) == 0, "connect");
    ok(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
    ok(mdb_cursor_open(txn, dbi[LOG], &cursor));
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        uint32_t len = (uint32_t)value.mv_size;
        memcpy(p.raw + p.raw_len, &len, 4);
        memcpy(p.raw + p.raw_len + 4, value.mv_data, len);
        p.raw_len += 4 + len;
        if (++p.count == BATCH)
            send_batch(&p, s, k, shared);
    }
    if (p.count > 0)
        send_batch(&p, s, k, shared);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    zmq_close(s);
    zmq_ctx_term(ctx);
    shared->sender_cpu_s = cpu_s() - cpu;
    mdb_env_close(env);
}

/* --- receiver --- */

struct store {
    MDB_env *env;
    MDB_dbi dbi[TABLES];
    MDB_txn *txn;
    uint64_t arrivals, in_commit, commit_every;
};

static void put(struct store *s, unsigned table, const void *key, size_t key_len, const void *data, size_t len, unsigned flags)
{
    MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {len, (void *)(uintptr_t)data};
    ok(mdb_put(s->txn, s->dbi[table], &k, &v, flags));
}

/* A look-up and three small rows; keys are hashes, so they fall anywhere. */
static void index_record(struct store *s, const uint8_t *record, size_t len)
{
    uint8_t keys[96], row[ROW_BYTES] = {0};
    MDB_val k = {32, keys}, held;
    crypto_generichash(keys, 32, record, len, NULL, 0);
    crypto_generichash(keys + 32, 64, keys, 32, NULL, 0);
    memcpy(row, &s->arrivals, 8);
    memcpy(row + 8, keys, 32);
    need(mdb_get(s->txn, s->dbi[BY_ID], &k, &held) == MDB_NOTFOUND, "a record came twice");
    for (unsigned i = 0; i < 3; i++)
        put(s, BY_ID + i, keys + 32 * i, 32, row, sizeof row, 0);
}

static void take_batch(struct store *s, const struct keys *k, uint8_t *raw, ZSTD_DCtx *zstd, msgpack_zone *zone,
                       const uint8_t *bytes, size_t len, struct shared *shared)
{
    uint8_t hash[32], number[8];
    uint32_t head[2];
    need(len > HEAD_BYTES, "short message");
    memcpy(head, bytes + 64, sizeof head);
    crypto_generichash(hash, sizeof hash, bytes + 64, len - 64, NULL, 0);
    need(crypto_sign_verify_detached(bytes, hash, sizeof hash, k->author_public) == 0, "signature");
    need(ZSTD_decompressDCtx(zstd, raw, RAW_BYTES_MAX, bytes + HEAD_BYTES, len - HEAD_BYTES) == head[1], "zstd");
    if (s->txn == NULL)
        ok(mdb_txn_begin(s->env, NULL, 0, &s->txn));
    number_key(number, ++s->arrivals);
    put(s, LOG, number, sizeof number, bytes, len, MDB_APPEND);
    const uint8_t *at = raw;
    for (uint32_t i = 0; i < head[0]; i++) {
        uint32_t size;
        size_t off = 0;
        msgpack_object object;
        memcpy(&size, at, 4);
        msgpack_zone_clear(zone);
        need(msgpack_unpack((const char *)at + 4, size, &off, zone, &object) == MSGPACK_UNPACK_SUCCESS, "msgpack");
        if (s->txn == NULL)
            ok(mdb_txn_begin(s->env, NULL, 0, &s->txn));
        index_record(s, at + 4, size);
        at += 4 + size;
        shared->records++;
        if (++s->in_commit == s->commit_every) {
            ok(mdb_txn_commit(s->txn));
            s->txn = NULL;
            s->in_commit = 0;
        }
    }
}

static void receiver(const char *dir, const struct keys *k, struct shared *shared, uint64_t records, uint64_t commit_every,
                     int ready)
{
    struct store s = {.commit_every = commit_every};
    s.env = open_env(dir, "receiver", s.dbi);
    void *ctx = zmq_ctx_new(), *sock = socket_of(ctx, k, true);
    size_t len = sizeof shared->endpoint;
    uint8_t *raw = malloc(RAW_BYTES_MAX);
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    msgpack_zone zone;
    msgpack_zone_init(&zone, 8192);
    need(zmq_bind(sock, "tcp://127.0.0.1:*") == 0, "bind");
    zmq_getsockopt(sock, ZMQ_LAST_ENDPOINT, shared->endpoint, &len);
    need(write(ready, "r", 1) == 1, "pipe");
    double cpu = cpu_s();
    while (shared->records < records) {
        zmq_msg_t m;
        zmq_msg_init(&m);
        need(zmq_msg_recv(&m, sock, 0) >= 0 && zmq_msg_recv(&m, sock, 0) >= 0, "receive"); /* who, what */
        take_batch(&s, k, raw, zstd, &zone, zmq_msg_data(&m), zmq_msg_size(&m), shared);
        zmq_msg_close(&m);
    }
    if (s.txn != NULL)
        ok(mdb_txn_commit(s.txn));
    shared->done_s = now_s();
    shared->receiver_cpu_s = cpu_s() - cpu;
    zmq_close(sock);
    zmq_ctx_term(ctx);
    mdb_env_close(s.env);
    msgpack_zone_destroy(&zone);
    ZSTD_freeDCtx(zstd);
    free(raw);
}

static struct shared *share(void)
{
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    need(s != MAP_FAILED, "mmap");
    return s;
}

static int wait_for(pid_t pid)
{
    int status;
    need(waitpid(pid, &status, 0) == pid, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int pipeline(const char *file, const char *dir, uint64_t commit_every, const struct keys *k)
{
    uint64_t records = fill_log(file, dir);
    struct shared *shared = share();
    int ready[2];
    char c;
    need(pipe(ready) == 0, "pipe");
    fflush(stdout);
    pid_t b = fork();
    if (b == 0) {
        receiver(dir, k, shared, records, commit_every, ready[1]);
        _exit(0);
    }
    close(ready[1]);
    need(read(ready[0], &c, 1) == 1, "the receiver did not start");
    pid_t a = fork();
    if (a == 0) {
        sender(dir, k, shared);
        _exit(0);
    }
    int failed = wait_for(a) | wait_for(b);
    need(failed == 0 && shared->records == records, "a side failed");
    printf("{\"records\":%llu,\"commit\":%llu,\"seconds\":%.6f,\"records_per_s\":%.0f,\"payload_bytes\":%llu,\"cpu_s\":[%.3f,%.3f]}\n",
           (unsigned long long)records, (unsigned long long)commit_every, shared->done_s - shared->began_s,
           (double)records / (shared->done_s - shared->began_s), (unsigned long long)shared->bytes, shared->sender_cpu_s,
           shared->receiver_cpu_s);
    return 0;
}

/* --- a bare contact --- */

/* Connects and waits until CURVE is done. */
static void handshake(void *ctx, void *s, const char *endpoint)
{
    zmq_msg_t m;
    uint16_t event = 0;
    need(zmq_socket_monitor(s, "inproc://monitor", ZMQ_EVENT_HANDSHAKE_SUCCEEDED) == 0, "monitor");
    void *monitor = zmq_socket(ctx, ZMQ_PAIR);
    need(monitor != NULL && zmq_connect(monitor, "inproc://monitor") == 0 && zmq_connect(s, endpoint) == 0, "connect");
    zmq_msg_init(&m);
    need(zmq_msg_recv(&m, monitor, 0) >= 2, "handshake");
    memcpy(&event, zmq_msg_data(&m), sizeof event);
    need(event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED, "handshake");
    zmq_msg_close(&m);
    zmq_socket_monitor(s, NULL, 0);
    zmq_close(monitor);
}

/* Says "ready" before and "up" after; waits for a line each, so that the interface can be read in between. */
static int contact(const struct keys *k)
{
    void *ctx = zmq_ctx_new(), *server = socket_of(ctx, k, true), *client = socket_of(ctx, k, false);
    char endpoint[128];
    size_t len = sizeof endpoint;
    int linger = 0;
    zmq_setsockopt(client, ZMQ_LINGER, &linger, sizeof linger);
    need(zmq_bind(server, "tcp://127.0.0.1:*") == 0, "bind");
    zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, endpoint, &len);
    puts("ready");
    fflush(stdout);
    need(getchar() != EOF, "input");
    handshake(ctx, client, endpoint);
    puts("up");
    fflush(stdout);
    (void)getchar();
    zmq_close(client);
    zmq_close(server);
    zmq_ctx_term(ctx);
    return 0;
}

int main(int argc, char **argv)
{
    struct keys k;
    need(sodium_init() >= 0, "sodium");
    crypto_sign_keypair(k.author_public, k.author_secret);
    need(zmq_curve_keypair(k.server_public, k.server_secret) == 0 && zmq_curve_keypair(k.client_public, k.client_secret) == 0, "keys");
    if (argc == 5 && strcmp(argv[1], "pipeline") == 0 && strtoull(argv[4], NULL, 10) > 0)
        return pipeline(argv[2], argv[3], strtoull(argv[4], NULL, 10), &k);
    if (argc == 2 && strcmp(argv[1], "contact") == 0)
        return contact(&k);
    fprintf(stderr, "usage: reference pipeline CHANGES DIR COMMIT | contact\n");
    return 2;
}
