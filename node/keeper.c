#include "node/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/link.h"
#include "replication/error.h"

struct answer {
    int error;
    pid_t pid;
    int died;
};

static int end_child(pid_t *pid)
{
    int status = 0;
    if (*pid > 0) {
        kill(*pid, SIGKILL); /* it is mortal, and most often gone already */
        while (waitpid(*pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    *pid = 0;
    return status;
}

/* Passes the answer and, if there is one, a descriptor. */
static bool give(int fd, const struct answer *a, int link_fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)a, .iov_len = sizeof *a};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    if (link_fd >= 0) {
        msg.msg_control = control.room;
        msg.msg_controllen = sizeof control.room;
        struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
        *head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(head), &link_fd, sizeof link_fd);
    }
    return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof *a;
}

static _Noreturn void keep(int fd, void (*life)(int link_fd))
{
    pid_t child = 0;
    char request;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "fieldmesh-keep");
    signal(SIGINT, SIG_IGN); /* the core decides when to end */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    for (;;) {
        ssize_t got = recv(fd, &request, 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        struct answer a = {.died = end_child(&child)};
        int ends[2] = {-1, -1};
        if (got <= 0)
            _exit(0);
        a.error = fm_link_pair(ends);
        if (a.error == FM_OK && (child = fork()) == 0) {
            close(fd);
            close(ends[0]);
            life(ends[1]); /* does not come back */
            _exit(1);
        }
        if (child < 0) {
            child = 0;
            a.error = FM_EIO;
        }
        a.pid = child;
        bool given = give(fd, &a, a.error == FM_OK ? ends[0] : -1);
        if (ends[0] >= 0) {
            close(ends[0]);
            close(ends[1]);
        }
        if (!given) {
            end_child(&child);
            _exit(0);
        }
    }
}

int fm_keeper_start(struct fm_keeper *k, void (*life)(int link_fd))
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return FM_EIO;
    k->pid = fork();
    if (k->pid == 0) {
        close(fds[0]);
        keep(fds[1], life);
    }
    close(fds[1]);
    k->fd = fds[0];
    if (k->pid < 0) {
        close(k->fd);
        return FM_EIO;
    }
    return FM_OK;
}

int fm_keeper_spawn(struct fm_keeper *k, int *link_fd, pid_t *pid, int *died)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct answer a = {.error = FM_EIO};
    struct iovec part = {.iov_base = &a, .iov_len = sizeof a};
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    ssize_t got;
    if (send(k->fd, "s", 1, MSG_NOSIGNAL) != 1)
        return FM_EIO;
    do
        got = recvmsg(k->fd, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof a)
        return FM_EIO;
    *died = a.died;
    if (a.error != FM_OK)
        return a.error;
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    if (head == NULL || head->cmsg_type != SCM_RIGHTS)
        return FM_EIO;
    memcpy(link_fd, CMSG_DATA(head), sizeof *link_fd);
    *pid = a.pid;
    return FM_OK;
}

void fm_keeper_stop(struct fm_keeper *k)
{
    if (k->fd < 0)
        return;
    close(k->fd);
    k->fd = -1;
    while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
