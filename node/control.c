#include "node/control.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/control_frame.h"
#include "node/json.h"
#include "replication/error.h"

struct client {
    int fd; /* -1: free */
    uint32_t number;
    bool busy;            /* a request of it waits for its answer */
    bool ended;           /* it sends no more */
    struct fm_buf in, out;
    size_t out_sent;
};
struct fm_control {
    int fd;
    char file[FM_PATH_MAX];
    uint32_t number_last, turn;
    struct client clients[FM_CONTROL_CLIENTS_MAX];
};

static bool same_user(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == geteuid() || who.uid == 0);
}

/* A connected or bound descriptor, or an error. */
static int socket_at(const char *file, bool server)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(file);
    if (len >= sizeof at.sun_path)
        return FM_ELIMIT;
    memcpy(at.sun_path, file, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return FM_EIO;
    int rc;
    if (server) {
        mode_t before = umask(0177); /* 0600 from its first moment */
        rc = bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, FM_CONTROL_CLIENTS_MAX) == 0 ? FM_OK : FM_EIO;
        umask(before);
    } else {
        rc = connect(fd, (struct sockaddr *)&at, sizeof at) == 0 && same_user(fd) ? FM_OK : FM_ENOTFOUND;
    }
    if (rc != FM_OK) {
        close(fd);
        return rc;
    }
    return fd;
}

int fm_control_connect(const struct fm_paths *paths)
{
    return socket_at(paths->socket, false);
}

int fm_control_open(struct fm_control **out, const struct fm_paths *paths)
{
    int fd = socket_at(paths->socket, false);
    if (fd >= 0) {
        close(fd);
        return FM_EBUSY;
    }
    struct stat st;
    if (lstat(paths->socket, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(paths->socket); /* left behind by a node that was killed */
    fd = socket_at(paths->socket, true);
    if (fd < 0)
        return fd;
    struct fm_control *c = calloc(1, sizeof *c);
    if (c == NULL) {
        close(fd);
        return FM_ENOMEM;
    }
    c->fd = fd;
    memcpy(c->file, paths->socket, strlen(paths->socket) + 1);
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++)
        c->clients[i].fd = -1;
    *out = c;
    return FM_OK;
}

static void client_close(struct client *cl)
{
    close(cl->fd);
    fm_buf_fini(&cl->in);
    fm_buf_fini(&cl->out);
    *cl = (struct client){.fd = -1};
}

void fm_control_close(struct fm_control *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++)
        if (c->clients[i].fd >= 0)
            client_close(&c->clients[i]);
    unlink(c->file);
    close(c->fd);
    free(c);
}

static size_t waiting_bytes(const struct client *cl)
{
    return cl->out.len - cl->out_sent;
}

size_t fm_control_poll(const struct fm_control *c, struct pollfd *fds)
{
    size_t count = 0, clients = 0;
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++) {
        const struct client *cl = &c->clients[i];
        if (cl->fd < 0)
            continue;
        clients++;
        /* a client whose request is being worked on is not read: what it sends on waits in its socket */
        short events = (short)((cl->busy || cl->ended ? 0 : POLLIN) | (waiting_bytes(cl) > 0 ? POLLOUT : 0));
        fds[count++] = (struct pollfd){.fd = events != 0 ? cl->fd : -1, .events = events};
    }
    if (clients < FM_CONTROL_CLIENTS_MAX)
        fds[count++] = (struct pollfd){.fd = c->fd, .events = POLLIN};
    return count;
}

static void accept_one(struct fm_control *c)
{
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++) {
        struct client *cl = &c->clients[i];
        if (cl->fd >= 0)
            continue;
        struct pollfd ready = {.fd = c->fd, .events = POLLIN};
        if (poll(&ready, 1, 0) <= 0)
            return;
        int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (!same_user(fd)) {
            close(fd);
            return;
        }
        *cl = (struct client){.fd = fd, .number = ++c->number_last};
        fm_buf_init(&cl->in, FM_CONTROL_BYTES_MAX + FM_CONTROL_HEAD_BYTES);
        fm_buf_init(&cl->out, 2 * (FM_CONTROL_BYTES_MAX + FM_CONTROL_HEAD_BYTES));
        return;
    }
}

/* False: the client is broken and was closed. */
static bool client_read(struct client *cl)
{
    uint8_t bytes[65536];
    /* at most one request is taken in at a time; the rest stays with the kernel */
    while (fm_control_frame(fm_buf_span(&cl->in), NULL) == FM_ENOTFOUND) {
        ssize_t got = recv(cl->fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (got == 0 && cl->in.len == 0) {
            cl->ended = true;
            return true;
        }
        if (got <= 0 || fm_buf_add(&cl->in, bytes, (size_t)got) != FM_OK) {
            client_close(cl);
            return false;
        }
    }
    return true;
}

static bool client_write(struct client *cl)
{
    while (waiting_bytes(cl) > 0) {
        ssize_t sent = send(cl->fd, cl->out.data + cl->out_sent, waiting_bytes(cl), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (sent < 0) {
            client_close(cl);
            return false;
        }
        cl->out_sent += (size_t)sent;
    }
    if (cl->out.data != NULL) { /* answers may be large: give the memory back */
        size_t max = cl->out.max;
        fm_buf_fini(&cl->out);
        fm_buf_init(&cl->out, max);
        cl->out_sent = 0;
    }
    return true;
}

void fm_control_serve(struct fm_control *c)
{
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++) {
        struct client *cl = &c->clients[i];
        if (cl->fd < 0 || !client_write(cl))
            continue;
        if (!cl->busy && !cl->ended && !client_read(cl))
            continue;
        if (cl->ended && !cl->busy && waiting_bytes(cl) == 0)
            client_close(cl);
    }
    accept_one(c);
}

bool fm_control_waiting(const struct fm_control *c)
{
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++)
        if (c->clients[i].fd >= 0 && (c->clients[i].busy || waiting_bytes(&c->clients[i]) > 0))
            return true;
    return false;
}

bool fm_control_ready(const struct fm_control *c)
{
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++) {
        const struct client *cl = &c->clients[i];
        if (cl->fd >= 0 && !cl->busy && waiting_bytes(cl) == 0 &&
            fm_control_frame(fm_buf_span(&cl->in), NULL) != FM_ENOTFOUND)
            return true;
    }
    return false;
}

static struct client *client_of(struct fm_control *c, uint32_t number)
{
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++)
        if (c->clients[i].fd >= 0 && c->clients[i].number == number)
            return &c->clients[i];
    return NULL;
}

static void answer_fault(struct fm_control *c, uint32_t client, const char *code, const char *message)
{
    json_t *answer = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);
    fm_control_answer(c, client, answer);
    json_decref(answer);
}

/* Round robin, so that one busy client does not shut out the others. */
json_t *fm_control_next(struct fm_control *c, uint32_t *number)
{
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++) {
        struct client *cl = &c->clients[(c->turn + i) % FM_CONTROL_CLIENTS_MAX];
        if (cl->fd < 0 || cl->busy || waiting_bytes(cl) > 0)
            continue;
        struct fm_span text;
        int rc = fm_control_frame(fm_buf_span(&cl->in), &text);
        if (rc == FM_ENOTFOUND)
            continue;
        c->turn = (c->turn + (uint32_t)i + 1) % FM_CONTROL_CLIENTS_MAX;
        if (rc != FM_OK) { /* past the bound: nothing after it can be read */
            cl->busy = cl->ended = true;
            answer_fault(c, cl->number, fm_error_code(FM_ELIMIT), "the request is larger than 16 MiB");
            cl->in.len = 0;
            continue;
        }
        char why[160];
        json_t *request = fm_json_parse(text, why, sizeof why);
        size_t used = FM_CONTROL_HEAD_BYTES + text.len;
        memmove(cl->in.data, cl->in.data + used, cl->in.len - used);
        cl->in.len -= used;
        cl->busy = true;
        *number = cl->number;
        if (request != NULL)
            return request;
        answer_fault(c, cl->number, fm_error_code(FM_EFORMAT), why);
    }
    return NULL;
}

void fm_control_answer(struct fm_control *c, uint32_t number, const json_t *answer)
{
    struct client *cl = client_of(c, number);
    if (cl == NULL)
        return;
    assert(cl->busy);
    cl->busy = false;
    int rc = fm_control_frame_add(&cl->out, answer);
    if (rc == FM_ELIMIT) {
        json_t *fault = json_pack("{s:{s:s, s:s, s:s}}", "error", "code", fm_error_code(FM_ELIMIT), "message",
                                  "the answer is larger than 16 MiB", "do", "ask for less at once");
        rc = fm_control_frame_add(&cl->out, fault);
        json_decref(fault);
    }
    if (rc != FM_OK) /* no memory: it learns by the end of the connection */
        client_close(cl);
}
