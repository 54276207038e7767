#include "tests/support/raw_curve.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int write_all(int fd, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t sent = send(fd, (const uint8_t *)data + at, len - at, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        at += (size_t)sent;
    }
    return 0;
}

static int read_all(int fd, void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t got = recv(fd, (uint8_t *)data + at, len - at, 0);
        if (got <= 0)
            return -1;
        at += (size_t)got;
    }
    return 0;
}

static int send_command(int fd, const uint8_t *body, size_t len)
{
    uint8_t head[9] = {0x06};
    fm_be_put(head + 1, len, 8);
    if (len < 256) {
        uint8_t small[2] = {0x04, (uint8_t)len};
        return write_all(fd, small, 2) == 0 ? write_all(fd, body, len) : -1;
    }
    return write_all(fd, head, 9) == 0 ? write_all(fd, body, len) : -1;
}

/* A command of this name; its bytes after the name. */
static int read_command(int fd, const char *name, uint8_t *out, size_t max, size_t *len)
{
    uint8_t head[2], body[1024];
    size_t name_len = strlen(name);
    if (read_all(fd, head, 2) != 0 || head[0] != 0x04 || read_all(fd, body, head[1]) != 0)
        return -1;
    if (head[1] < name_len + 1 || body[0] != name_len || memcmp(body + 1, name, name_len) != 0)
        return -1;
    *len = head[1] - name_len - 1u;
    if (*len > max)
        return -1;
    memcpy(out, body + 1 + name_len, *len);
    return 0;
}

static void nonce_of(uint8_t out[24], const char *prefix, const uint8_t *rest, size_t rest_len)
{
    memcpy(out, prefix, 24 - rest_len);
    memcpy(out + 24 - rest_len, rest, rest_len);
}

static int greet(int fd)
{
    uint8_t greeting[64] = {0xff, [9] = 0x7f, [10] = 3, [12] = 'C', 'U', 'R', 'V', 'E'}, theirs[64];
    return write_all(fd, greeting, sizeof greeting) == 0 ? read_all(fd, theirs, sizeof theirs) : -1;
}

static int hello(int fd, const struct fm_key *server, const uint8_t short_public[32], const uint8_t short_secret[32])
{
    static const uint8_t zeros[64];
    uint8_t body[200] = {5, 'H', 'E', 'L', 'L', 'O', 1, 0}, nonce[24];
    memcpy(body + 80, short_public, 32);
    fm_be_put(body + 112, 1, 8);
    nonce_of(nonce, "CurveZMQHELLO---", body + 112, 8);
    if (crypto_box_easy(body + 120, zeros, sizeof zeros, nonce, server->b, short_secret) != 0)
        return -1;
    return send_command(fd, body, sizeof body);
}

static int initiate(int fd, const struct fm_key *server, const struct fm_key *public_key, const struct fm_key *secret,
                    const uint8_t short_public[32], const uint8_t server_short[32], const uint8_t cookie[96],
                    const uint8_t shared[32])
{
    static const uint8_t metadata[] = "\x0bSocket-Type\0\0\0\6DEALER\x08Identity\0\0\0"; /* the last 0 is the string's own */
    uint8_t plain[32 + 16 + 80 + sizeof metadata], vouch[64], nonce[24];
    uint8_t body[9 + 96 + 8 + 16 + sizeof plain] = {8, 'I', 'N', 'I', 'T', 'I', 'A', 'T', 'E'};
    memcpy(plain, public_key->b, 32);
    randombytes_buf(plain + 32, 16);
    memcpy(vouch, short_public, 32);
    memcpy(vouch + 32, server->b, 32);
    nonce_of(nonce, "VOUCH---", plain + 32, 16);
    if (crypto_box_easy(plain + 48, vouch, sizeof vouch, nonce, server_short, secret->b) != 0)
        return -1;
    memcpy(plain + 128, metadata, sizeof metadata);
    memcpy(body + 9, cookie, 96);
    fm_be_put(body + 105, 2, 8);
    nonce_of(nonce, "CurveZMQINITIATE", body + 105, 8);
    crypto_box_easy_afternm(body + 113, plain, sizeof plain, nonce, shared);
    return send_command(fd, body, sizeof body);
}

struct sockaddr_in raw_curve_loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int raw_curve_open(struct raw_curve *r, struct sockaddr_in to, const struct fm_key *server, const struct fm_key *public_key,
                   const struct fm_key *secret)
{
    uint8_t short_public[32], short_secret[32], welcome[160], opened[128], nonce[24], ready[512];
    size_t len;
    *r = (struct raw_curve){.fd = socket(AF_INET, SOCK_STREAM, 0), .nonce = 2};
    /* a peer that shut us out may answer with a window of zero instead of a reset: that is an end, too */
    setsockopt(r->fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 3}, sizeof(struct timeval));
    crypto_box_keypair(short_public, short_secret);
    if (connect(r->fd, (struct sockaddr *)&to, sizeof to) != 0 || greet(r->fd) != 0 ||
        hello(r->fd, server, short_public, short_secret) != 0 ||
        read_command(r->fd, "WELCOME", welcome, sizeof welcome, &len) != 0 || len != sizeof welcome)
        return -1;
    nonce_of(nonce, "WELCOME-", welcome, 16);
    if (crypto_box_open_easy(opened, welcome + 16, 144, nonce, server->b, short_secret) != 0 ||
        crypto_box_beforenm(r->shared, opened, short_secret) != 0)
        return -1;
    if (initiate(r->fd, server, public_key, secret, short_public, opened, opened + 32, r->shared) != 0)
        return -1;
    return read_command(r->fd, "READY", ready, sizeof ready, &len);
}

int raw_curve_send(struct raw_curve *r, struct fm_span payload, bool more)
{
    size_t len = 8 + 8 + crypto_box_MACBYTES + 1 + payload.len;
    uint8_t *plain = malloc(1 + payload.len), *body = malloc(9 + len), nonce[24];
    int rc = -1;
    if (plain != NULL && body != NULL) {
        plain[0] = more ? 1 : 0;
        memcpy(plain + 1, payload.data, payload.len);
        body[0] = 0x02;
        fm_be_put(body + 1, len, 8);
        memcpy(body + 9, "\7MESSAGE", 8);
        fm_be_put(body + 17, ++r->nonce, 8);
        nonce_of(nonce, "CurveZMQMESSAGEC", body + 17, 8);
        crypto_box_easy_afternm(body + 25, plain, 1 + payload.len, nonce, r->shared);
        rc = write_all(r->fd, body, 9 + len);
    }
    free(plain);
    free(body);
    return rc;
}

int raw_curve_claim(struct raw_curve *r, uint64_t claimed)
{
    uint8_t head[9] = {0x02};
    fm_be_put(head + 1, claimed, 8);
    return write_all(r->fd, head, sizeof head);
}
