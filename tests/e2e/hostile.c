/* A peer that means harm, for hostile.py: hostile MODE PORT SERVER-FOLDER [OWN-FOLDER [ADDRESS]]. It shakes hands with the keys of its
 * own node's folder (or fresh ones) and then does what MODE says; it prints "open" or "shut": whether it was let in. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/node.h"
#include "node/socket.h"
#include "replication/change.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/session.h"
#include "replication/set.h"
#include "replication/uuid.h"
#include "tests/support/raw_curve.h"

#define BUF_MAX (512u * 1024u)

static struct sockaddr_in to;
static struct fm_key server, own_public, own_secret;
static struct fm_identity own; /* zeros for a stranger */

static void must(bool truth, const char *what)
{
    if (!truth) {
        fprintf(stderr, "hostile: %s\n", what);
        exit(2);
    }
}

static bool enter(struct raw_curve *r)
{
    bool open = raw_curve_open(r, to, &server, &own_public, &own_secret) == 0;
    puts(open ? "open" : "shut");
    fflush(stdout);
    return open;
}

static void say(struct raw_curve *r, const struct fm_buf *message)
{
    raw_curve_send(r, fm_buf_span(message), false);
}

static void hello(struct raw_curve *r, const struct fm_mesh_id *mesh)
{
    static const uint8_t zeros[32];
    uint8_t vector[FM_DIGEST_SHORT];
    struct fm_buf buf;
    struct fm_pack p;
    fm_crypto_random(vector, sizeof vector);
    fm_buf_init(&buf, BUF_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, 10);
    fm_pack_uint(&p, FM_MSG_HELLO);
    fm_pack_uint(&p, FM_PROTOCOL);
    fm_pack_bin(&p, mesh->b, 16);
    fm_pack_bin(&p, own.grant.b, sizeof own.grant.b);
    fm_pack_bin(&p, zeros, 8);
    fm_pack_bin(&p, vector, sizeof vector);
    fm_pack_bin(&p, zeros, FM_FOLD_ID_BYTES);
    fm_pack_bin(&p, zeros, 0);
    fm_pack_bin(&p, zeros, FM_STATEMENTS_SHORT);
    fm_pack_uint(&p, 0);
    say(r, &buf);
    fm_buf_fini(&buf);
}

/* Reads and forgets, until the other side ends it or the time is over. True: it ended it. */
static bool drain(struct raw_curve *r, int ms)
{
    uint8_t sink[65536];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long until = now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms, left;
    while (clock_gettime(CLOCK_MONOTONIC, &now), (left = until - now.tv_sec * 1000 - now.tv_nsec / 1000000) > 0) {
        struct pollfd in = {.fd = r->fd, .events = POLLIN};
        if (poll(&in, 1, (int)left) > 0 && recv(r->fd, sink, sizeof sink, 0) <= 0)
            return true;
    }
    return false;
}

/* --- what it does once it is in --- */

static void knock(struct raw_curve *r)
{
    drain(r, 200);
}

static void garbage(struct raw_curve *r)
{
    uint8_t bytes[5000];
    fm_crypto_random(bytes, sizeof bytes);
    bytes[0] = 0xc1; /* what msgpack never uses */
    raw_curve_send(r, fm_span(bytes, sizeof bytes), false);
    drain(r, 3000);
}

static void garbage_after_hello(struct raw_curve *r)
{
    hello(r, &own.mesh);
    garbage(r);
}

static void foreign(struct raw_curve *r)
{
    struct fm_mesh_id other;
    fm_crypto_random(other.b, sizeof other.b);
    hello(r, &other);
    drain(r, 3000);
}

static void many_frames(struct raw_curve *r)
{
    for (int i = 0; i < 10; i++)
        if (raw_curve_send(r, fm_span_str("frame"), i < 9) != 0)
            return;
    drain(r, 3000);
}

static void endless(struct raw_curve *r)
{
    static const uint8_t frame[64 * 1024];
    hello(r, &own.mesh);
    while (raw_curve_send(r, fm_span(frame, sizeof frame), true) == 0)
        ;
}

static void too_large(struct raw_curve *r)
{
    static const uint8_t big[FM_MESSAGE_BYTES_MAX + 1];
    for (unsigned i = 0; i <= FM_STRIKES_MAX; i++)
        if (raw_curve_send(r, fm_span(big, sizeof big), false) != 0)
            return;
    drain(r, 3000);
}

static void huge(struct raw_curve *r)
{
    static const uint8_t part[64 * 1024];
    hello(r, &own.mesh);
    drain(r, 300); /* heard, and known by its key */
    if (raw_curve_claim(r, 500u * 1000 * 1000) == 0)
        while (send(r->fd, part, sizeof part, MSG_NOSIGNAL) > 0)
            ;
}

/* --- a set whose body is nonsense, and one that is sound and follows it, both signed with the node's own key --- */

struct stream_of {
    struct fm_key author;
    struct fm_stream_row row;
    bool found;
};

static int take_stream(void *arg, const struct fm_stream_row *row)
{
    struct stream_of *s = arg;
    if (fm_id_eq(&row->stream.author, &s->author) && row->stream.lane == FM_LANE_RECORDS && row->tip_count == 1) {
        s->row = *row;
        s->found = true;
    }
    return FM_OK;
}

/* The first assessment here, as a new record of another id. */
static void new_record(struct fm_node *n, struct fm_change *change, struct fm_arena *arena)
{
    struct fm_head head;
    struct fm_version v;
    size_t count = 0;
    struct fm_span document, actor, id;
    const struct fm_port *look = fm_store_port(n->store);
    must(fm_store_heads(n->store, FM_KIND_ASSESSMENT, NULL, arena, &head, 1, &count) == FM_OK && count == 1 &&
             look->version_get(look->ctx, &head.winner, arena, &v) == FM_OK &&
             fm_repl_document(n->repl, &v, &document, &actor) == FM_OK && fm_doc_str(document, "id", &id) == FM_OK,
         "no assessment to copy");
    uint8_t *copy = fm_arena_copy(arena, document), *text = copy + (id.data - document.data);
    must(copy != NULL, "memory");
    memcpy(text + id.len - 12, "0123456789ab", 12);
    *change = (struct fm_change){.kind = FM_KIND_ASSESSMENT,
                                 .action = FM_CREATE,
                                 .version = 1,
                                 .actor = fm_span(fm_arena_copy(arena, actor), actor.len),
                                 .document = fm_span(copy, document.len)};
    must(fm_uuid_parse(&change->record, fm_span(text, id.len)) == FM_OK, "the copy's id");
}

static void close_set(struct fm_node *n, struct fm_set_header *h, struct fm_set_id *id, struct fm_span changes,
                      struct fm_pack *out)
{
    struct fm_key keys[FM_GRANT_DATA_KEYS_MAX];
    size_t count = fm_repl_data_keys(n->repl, keys, FM_GRANT_DATA_KEYS_MAX);
    uint8_t nonce[24];
    struct fm_buf set;
    fm_crypto_random(nonce, sizeof nonce);
    fm_buf_init(&set, FM_SET_BYTES_MAX);
    must(count > 0 && fm_set_close(&set, id, &n->crypto, &own.mesh, h, changes, &keys[0], nonce) == FM_OK, "set");
    fm_pack_bin(out, set.data, set.len);
    fm_buf_fini(&set);
}

static void make_sets(const struct fm_paths *paths, struct fm_pack *out)
{
    struct fm_node *n;
    struct fm_set_meta tip;
    struct fm_set_id id;
    struct fm_change change;
    struct fm_arena arena = {0};
    struct fm_buf sound;
    must(fm_node_open(&n, paths) == FM_OK, "its own node does not open (is it running?)");
    const struct fm_port *look = fm_store_port(n->store);
    struct stream_of s = {.author = own.device.author_public};
    must(look->stream_each(look->ctx, take_stream, &s) == FM_OK && s.found &&
             look->set_get(look->ctx, &s.row.stream, s.row.tips[0].sequence, &s.row.tips[0].id, &tip) == FM_OK,
         "it has no stream of records");
    struct fm_set_header bad = {.format = FM_FORMAT, .stream = s.row.stream, .sequence = tip.sequence + 1, .has_prev = true,
                                .prev = tip.id, .has_grant = true, .grant = own.grant, .epoch = tip.epoch,
                                .time = tip.time + 1000, .change_count = 1}, good = bad;
    close_set(n, &bad, &id, fm_span_str("\xc1 this is no array of changes"), out);
    good.sequence++;
    good.prev = id;
    good.time += 1000;
    new_record(n, &change, &arena);
    fm_buf_init(&sound, FM_CHANGE_BYTES_MAX + 16);
    must(fm_buf_add(&sound, "\x91", 1) == FM_OK && fm_change_encode(&sound, &change) == FM_OK, "change");
    close_set(n, &good, &id, fm_buf_span(&sound), out);
    fm_buf_fini(&sound);
    fm_arena_fini(&arena);
    fm_node_close(n);
}

static struct fm_buf data_message;

static void make_data(const struct fm_paths *paths)
{
    struct fm_pack p;
    fm_buf_init(&data_message, BUF_MAX);
    fm_pack_init(&p, &data_message);
    fm_pack_array(&p, 3);
    fm_pack_uint(&p, FM_MSG_DATA);
    fm_pack_uint(&p, 1);
    fm_pack_array(&p, 2);
    make_sets(paths, &p);
    must(p.error == FM_OK, "data");
}

static void void_set(struct raw_curve *r)
{
    struct fm_buf have;
    struct fm_pack p;
    fm_buf_init(&have, BUF_MAX);
    fm_pack_init(&p, &have);
    fm_pack_array(&p, 3);
    fm_pack_uint(&p, FM_MSG_HAVE);
    fm_pack_array(&p, 0);
    fm_pack_bool(&p, true);
    hello(r, &own.mesh);
    drain(r, 300);
    say(r, &have);
    say(r, &data_message);
    drain(r, 2000);
    fm_buf_fini(&have);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct raw_curve *r);
    } modes[] = {{"knock", knock},     {"garbage", garbage},         {"garbage-after-hello", garbage_after_hello},
                 {"foreign", foreign}, {"many-frames", many_frames}, {"endless", endless},
                 {"huge", huge},       {"too-large", too_large},     {"void", void_set}};
    struct fm_paths paths;
    struct fm_identity other;
    struct raw_curve r;
    must(argc >= 4 && argc <= 6, "MODE PORT SERVER-FOLDER [OWN-FOLDER [ADDRESS]]");
    must(fm_crypto_init() == FM_OK, "crypto");
    to = raw_curve_loopback((uint16_t)strtoul(argv[2], NULL, 10));
    must(argc < 6 || inet_pton(AF_INET, argv[5], &to.sin_addr) == 1, "the address");
    must(fm_paths_of(&paths, argv[3]) == FM_OK && fm_identity_load(&other, &paths) == FM_OK, "the server's folder");
    server = other.device.transport_public;
    must(fm_socket_keypair(&own_public, &own_secret) == FM_OK, "keys");
    if (argc >= 5) {
        must(fm_paths_of(&paths, argv[4]) == FM_OK && fm_identity_load(&own, &paths) == FM_OK, "its own folder");
        own_public = own.device.transport_public;
        own_secret = own.device.transport_secret;
        if (strcmp(argv[1], "void") == 0)
            make_data(&paths);
    }
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, argv[1]) == 0) {
            if (enter(&r))
                modes[i].run(&r);
            close(r.fd);
            fm_buf_fini(&data_message);
            return 0;
        }
    must(false, "no such mode");
}
