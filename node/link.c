#include "node/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "replication/error.h"

/* Fixed fields by kind: which of conn (4 bytes), key (32) and initiator (1) stand between the kind and the bytes. */
enum { HAS_CONN = 1, HAS_KEY = 2, HAS_INITIATOR = 4 };
#define HEAD_BYTES_MAX (1u + 4u + FM_KEY_BYTES + 1u)

static int fields_of(uint8_t kind)
{
    switch (kind) {
    case FM_LINK_START: return HAS_KEY;
    case FM_LINK_ALLOW: return 0;
    case FM_LINK_CONNECT: return HAS_CONN | HAS_KEY;
    case FM_LINK_SEND:
    case FM_LINK_DROP:
    case FM_LINK_DOWN:
    case FM_LINK_MESSAGE: return HAS_CONN;
    case FM_LINK_READY: return 0;
    case FM_LINK_UP: return HAS_CONN | HAS_KEY | HAS_INITIATOR;
    case FM_LINK_REFUSED: return HAS_KEY;
    case FM_LINK_MEMORY: return 0;
    default: return -1;
    }
}

int fm_link_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        return FM_EIO;
    /* The kernel doubles what is asked and caps it at wmem_max (212,992 by default): one largest datagram always fits. */
    int want = 4 * (int)FM_LINK_BYTES_MAX;
    for (int i = 0; i < 2; i++) {
        int got = 0;
        socklen_t len = sizeof got;
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &want, sizeof want) != 0 ||
            getsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &got, &len) != 0 || got < (int)FM_LINK_BYTES_MAX + 64) {
            close(fds[0]);
            close(fds[1]);
            return FM_EIO;
        }
    }
    return FM_OK;
}

int fm_link_send(int fd, const struct fm_link_message *m)
{
    int fields = fields_of(m->kind);
    assert(fields >= 0);
    uint8_t head[HEAD_BYTES_MAX];
    size_t len = 0;
    head[len++] = m->kind;
    if (fields & HAS_CONN) {
        fm_be_put(head + len, m->conn, 4);
        len += 4;
    }
    if (fields & HAS_KEY) {
        memcpy(head + len, m->key.b, FM_KEY_BYTES);
        len += FM_KEY_BYTES;
    }
    if (fields & HAS_INITIATOR)
        head[len++] = m->initiator ? 1 : 0;
    if (m->bytes.len > FM_LINK_BYTES_MAX - len)
        return FM_ELIMIT;
    struct iovec parts[2] = {{.iov_base = head, .iov_len = len},
                             {.iov_base = (void *)(uintptr_t)m->bytes.data, .iov_len = m->bytes.len}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = m->bytes.len > 0 ? 2 : 1};
    ssize_t sent;
    do
        sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    int error = errno;
    fm_crypto_wipe(head, sizeof head); /* START carries a secret */
    if (sent >= 0)
        return FM_OK;
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM ? FM_EBUSY
           : error == EMSGSIZE                                                             ? FM_ELIMIT
                                                                                           : FM_EIO;
}

int fm_link_receive(int fd, uint8_t *buffer, struct fm_link_message *out)
{
    struct iovec part = {.iov_base = buffer, .iov_len = FM_LINK_BYTES_MAX};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t got;
    do
        got = recvmsg(fd, &msg, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? FM_EBUSY : FM_EIO;
    if (got == 0)
        return FM_EIO; /* we never send an empty datagram: this is the end */
    if (msg.msg_flags & MSG_TRUNC)
        return FM_EFORMAT;
    return fm_link_decode(out, fm_span(buffer, (size_t)got));
}

int fm_link_decode(struct fm_link_message *out, struct fm_span datagram)
{
    const uint8_t *buffer = datagram.data;
    *out = (struct fm_link_message){.kind = datagram.len > 0 ? buffer[0] : 0};
    int fields = fields_of(out->kind);
    if (fields < 0)
        return FM_EFORMAT;
    size_t len = datagram.len, at = 1;
    size_t need =
        1u + (fields & HAS_CONN ? 4u : 0) + (fields & HAS_KEY ? FM_KEY_BYTES : 0) + (fields & HAS_INITIATOR ? 1u : 0);
    if (len < need)
        return FM_EFORMAT;
    if (fields & HAS_CONN) {
        out->conn = (uint32_t)fm_be_get(buffer + at, 4);
        at += 4;
    }
    if (fields & HAS_KEY) {
        memcpy(out->key.b, buffer + at, FM_KEY_BYTES);
        at += FM_KEY_BYTES;
    }
    if (fields & HAS_INITIATOR) {
        if (buffer[at] > 1)
            return FM_EFORMAT;
        out->initiator = buffer[at++] == 1;
    }
    out->bytes = fm_span(buffer + at, len - at);
    return FM_OK;
}
