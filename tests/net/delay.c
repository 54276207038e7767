/* Delay and jitter on a link, as `tc netem` would give them: delay QUEUE MEAN-MS JITTER-MS. Packets that nftables puts into
 * the queue are let through MEAN ± JITTER later, those of one address in their order. Ends with its parent. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include <libnetfilter_queue/libnetfilter_queue.h>

#define HELD_MAX 65536u

struct held {
    uint32_t id;
    uint64_t due_us;
};
static struct held queue[HELD_MAX]; /* a ring, by due time */
static size_t first, count;
static uint64_t mean_us, jitter_us, last_due[256], seed = 1;
static struct nfq_q_handle *handle;

static uint64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static uint64_t draw(uint64_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return below == 0 ? 0 : (seed >> 33) % below;
}

/* The third byte of the sender's address is the node: 10.77.NODE.2. */
static int came(struct nfq_q_handle *q, struct nfgenmsg *message, struct nfq_data *data, void *arg)
{
    unsigned char *packet;
    struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(data);
    int len = nfq_get_payload(data, &packet);
    uint64_t due = now_us() + mean_us - jitter_us + draw(2 * jitter_us + 1);
    (void)message;
    (void)arg;
    if (header == NULL)
        return 0;
    uint8_t node = len >= 20 ? packet[14] : 0;
    if (due < last_due[node])
        due = last_due[node];
    last_due[node] = due;
    if (count == HELD_MAX)
        return nfq_set_verdict(q, ntohl(header->packet_id), NF_DROP, 0, NULL);
    size_t at = count++;
    for (; at > 0 && queue[(first + at - 1) % HELD_MAX].due_us > due; at--)
        queue[(first + at) % HELD_MAX] = queue[(first + at - 1) % HELD_MAX];
    queue[(first + at) % HELD_MAX] = (struct held){.id = ntohl(header->packet_id), .due_us = due};
    return 0;
}

static int let_through(void)
{
    uint64_t now = now_us();
    for (; count > 0 && queue[first].due_us <= now; first = (first + 1) % HELD_MAX, count--)
        if (nfq_set_verdict(handle, queue[first].id, NF_ACCEPT, 0, NULL) < 0)
            return -1;
    return count == 0 ? 1000 : (int)((queue[first].due_us - now) / 1000u) + 1;
}

int main(int argc, char **argv)
{
    static char buf[1 << 17];
    struct nfq_handle *h = nfq_open();
    if (argc != 4 || h == NULL)
        return 2;
    mean_us = strtoull(argv[2], NULL, 10) * 1000u;
    jitter_us = strtoull(argv[3], NULL, 10) * 1000u;
    if (jitter_us > mean_us)
        return 2;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    handle = nfq_create_queue(h, (uint16_t)strtoul(argv[1], NULL, 10), came, NULL);
    if (handle == NULL || nfq_set_mode(handle, NFQNL_COPY_PACKET, 64) < 0 || nfq_set_queue_maxlen(handle, HELD_MAX) < 0)
        return 3;
    puts("ready");
    (void)fflush(stdout);
    struct pollfd fd = {.fd = nfq_fd(h), .events = POLLIN};
    for (;;) {
        int wait_ms = let_through();
        if (wait_ms < 0)
            return 4;
        if (poll(&fd, 1, wait_ms) <= 0)
            continue;
        ssize_t len = recv(fd.fd, buf, sizeof buf, 0);
        if (len > 0)
            (void)nfq_handle_packet(h, buf, (int)len);
        else if (errno != ENOBUFS && errno != EINTR)
            return 5;
    }
}
