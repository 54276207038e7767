#include "node/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "node/cmd.h"
#include "node/log.h"
#include "node/ops.h"
#include "node/runtime.h"
#include "replication/error.h"

#define TICK_MS 1000u
#define STOP_MS_MAX 1000u /* how long answers may take to leave */

/* --- effects of a committed turn --- */

static void on_send(void *ctx, uint32_t conn, struct fm_span message)
{
    fm_transport_send(ctx, conn, message);
}

static void on_drop(void *ctx, uint32_t conn, const char *reason)
{
    struct fm_runtime *rt = ctx;
    struct fm_contact *c = fm_transport_contact(rt, conn);
    fm_runtime_refused(rt, reason);
    if (c == NULL)
        return;
    fm_log(FM_LOG_WARN, "a peer's connection was ended: %s", reason);
    fm_transport_drop(rt, c, reason, false); /* the core knows: it asked for it */
}

static void on_members(void *ctx)
{
    ((struct fm_runtime *)ctx)->members_stale = true;
}

static void on_refused(void *ctx, uint32_t conn, const char *reason)
{
    (void)conn;
    fm_runtime_refused(ctx, reason);
}

static void on_result(void *ctx, uint64_t ticket, const struct fm_result *result, int error)
{
    fm_ops_result(((struct fm_runtime *)ctx)->node, ticket, result, error);
}

static void on_taken(void *ctx, uint64_t ticket, int error, const struct fm_set_id *set)
{
    fm_ops_taken(((struct fm_runtime *)ctx)->node, ticket, error, set);
}

/* --- one turn --- */

struct turn {
    bool open;
    int error;
    size_t op_count;
    struct fm_op *ops[FM_RUNTIME_REQUESTS_PER_TURN];
    json_t *requests[FM_RUNTIME_REQUESTS_PER_TURN];
    uint32_t clients[FM_RUNTIME_REQUESTS_PER_TURN];
};

static bool turn_open(struct fm_runtime *rt, struct turn *t)
{
    if (!t->open && t->error == FM_OK) {
        t->error = fm_node_begin(rt->node);
        t->open = t->error == FM_OK;
    }
    return t->open && t->error == FM_OK;
}

static void post(struct fm_runtime *rt, struct turn *t, struct fm_event *event)
{
    if (turn_open(rt, t))
        t->error = fm_node_event(rt->node, event);
}

static bool turn_has_room(struct fm_runtime *rt, const struct turn *t, uint64_t until_ms)
{
    return t->error == FM_OK && fm_runtime_steady_ms() < until_ms &&
           (!t->open || fm_store_dirty_bytes(rt->node->store) < FM_TURN_DIRTY_BYTES_MAX);
}

/* Connections that ended since the core was last told. */
static void post_gone(struct fm_runtime *rt, struct turn *t)
{
    for (size_t i = 0; i < FM_CONTACTS_MAX && t->error == FM_OK; i++)
        if (rt->contacts[i].state == FM_CONTACT_GONE) {
            post(rt, t, &(struct fm_event){.kind = FM_EVENT_PEER_DOWN, .conn = rt->contacts[i].conn});
            fm_transport_free(rt, &rt->contacts[i]);
        }
}

static void take_link(struct fm_runtime *rt, struct turn *t, uint64_t until_ms)
{
    while (turn_has_room(rt, t, until_ms)) {
        struct fm_link_message m;
        int rc = fm_transport_receive(rt, &m);
        if (rc == FM_EBUSY)
            break;
        post_gone(rt, t); /* a peer's old connection is down before its new one is up */
        if (rc != FM_OK)
            continue;
        if (m.kind == FM_LINK_UP)
            post(rt, t, &(struct fm_event){
                            .kind = FM_EVENT_PEER_UP, .conn = m.conn, .initiator = m.initiator, .transport = m.key});
        else
            post(rt, t, &(struct fm_event){.kind = FM_EVENT_RECEIVE, .conn = m.conn, .bytes = m.bytes});
    }
    post_gone(rt, t);
}

static void take_requests(struct fm_runtime *rt, struct turn *t, uint64_t until_ms)
{
    uint32_t client;
    json_t *request;
    /* the first one is taken even in a full turn, so that a busy link does not shut people out */
    while (t->error == FM_OK && t->op_count < FM_RUNTIME_REQUESTS_PER_TURN &&
           (t->op_count == 0 || turn_has_room(rt, t, until_ms)) &&
           (request = fm_control_next(rt->control, &client)) != NULL) {
        struct fm_op *op = fm_op_new(rt->node, rt, request);
        if (op == NULL) {
            json_t *fault =
                json_pack("{s:{s:s, s:s}}", "error", "code", fm_error_code(FM_ENOMEM), "message", fm_error_text(FM_ENOMEM));
            fm_control_answer(rt->control, client, fault);
            json_decref(fault);
            json_decref(request);
            continue;
        }
        size_t i = t->op_count++;
        t->ops[i] = op;
        t->requests[i] = request;
        t->clients[i] = client;
        if (turn_open(rt, t))
            t->error = fm_op_begin(op);
    }
}

static void post_timers(struct fm_runtime *rt, struct turn *t)
{
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++) {
        struct fm_contact *c = &rt->contacts[i];
        if (c->state == FM_CONTACT_UP && c->sync_wanted) {
            c->sync_wanted = false;
            post(rt, t, &(struct fm_event){.kind = FM_EVENT_SYNC, .conn = c->conn});
        }
    }
    if (rt->now_ms >= rt->tick_ms) {
        rt->tick_ms = rt->now_ms + TICK_MS;
        post(rt, t, &(struct fm_event){.kind = FM_EVENT_TICK});
    }
}

/* Answers leave after the commit (law 4). */
static void answer(struct fm_runtime *rt, struct turn *t)
{
    for (size_t i = 0; i < t->op_count; i++) {
        fm_control_answer(rt->control, t->clients[i], fm_op_end(t->ops[i], t->error));
        fm_op_free(t->ops[i]);
        json_decref(t->requests[i]);
    }
}

/* One transaction for whatever is there now, up to FM_LOOP_TURN_MS_MAX of it. A peer that has much to bring may fill a longer
 * one while nobody waits for an answer: a commit of more records writes fewer pages for each. */
static void turn(struct fm_runtime *rt)
{
    struct turn t = {.open = false};
    uint64_t until_ms = rt->now_ms + FM_LOOP_TURN_MS_MAX;
    post_gone(rt, &t);
    take_link(rt, &t, fm_control_ready(rt->control) ? until_ms : rt->now_ms + FM_LOOP_BACKLOG_MS_MAX);
    take_requests(rt, &t, until_ms);
    post_timers(rt, &t);
    if (t.open) {
        int rc = fm_node_commit(rt->node);
        t.error = rc != FM_OK ? rc : t.error;
    }
    if (t.error != FM_OK) {
        fm_log(FM_LOG_ERROR, "a turn was lost (%s): %s; nothing of it was acknowledged", fm_error_code(t.error),
               fm_error_text(t.error));
        fm_transport_drop_all(rt); /* sessions live in the core's memory: peers meet the new one from the beginning */
        if (rt->node->repl == NULL)
            rt->failed = t.error;
    }
    answer(rt, &t);
    if (rt->node->repl == NULL && rt->failed == FM_OK)
        rt->failed = FM_ESTORE;
}

/* --- the loop --- */

static void on_signal(struct fm_runtime *rt)
{
    struct signalfd_siginfo info;
    while (read(rt->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM)
            rt->stopping = true;
}

static int wait_ms(const struct fm_runtime *rt)
{
    uint64_t due = rt->tick_ms, dial_ms = fm_peers_due_ms(rt);
    if (fm_control_ready(rt->control))
        return 0;
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++)
        if (rt->contacts[i].state == FM_CONTACT_GONE ||
            (rt->contacts[i].state == FM_CONTACT_UP && rt->contacts[i].sync_wanted))
            return 0;
    due = dial_ms < due ? dial_ms : due;
    if (rt->link < 0 && rt->net_next_ms < due)
        due = rt->net_next_ms;
    return due <= rt->now_ms ? 0 : (int)(due - rt->now_ms);
}

static void serve(struct fm_runtime *rt)
{
    struct pollfd fds[FM_CONTROL_CLIENTS_MAX + 3];
    size_t count = 0;
    rt->now_ms = fm_runtime_steady_ms();
    fm_transport_tick(rt);
    fm_peers_tick(rt);
    fds[count++] = (struct pollfd){.fd = rt->signal_fd, .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = rt->link, .events = (short)(POLLIN | (fm_transport_waiting(rt) ? POLLOUT : 0))};
    count += fm_control_poll(rt->control, fds + count);
    poll(fds, (nfds_t)count, wait_ms(rt)); /* EINTR: all below looks for itself */
    rt->now_ms = fm_runtime_steady_ms();
    on_signal(rt);
    fm_control_serve(rt->control);
    turn(rt);
    fm_control_serve(rt->control);
}

static int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
}

static int open_all(struct fm_runtime *rt, const struct fm_paths *paths)
{
    int rc = fm_node_open(&rt->node, paths);
    if (rc != FM_OK)
        return rc;
    rt->node->effects = (struct fm_effects){.ctx = rt,
                                            .send = on_send,
                                            .drop = on_drop,
                                            .members = on_members,
                                            .refused = on_refused,
                                            .result = on_result,
                                            .taken = on_taken};
    if (fm_endpoint_parse(rt->endpoint, rt->node->config.listen) != FM_OK)
        return FM_EFORMAT;
    rc = fm_control_open(&rt->control, paths);
    if (rc != FM_OK)
        return rc;
    unlink(paths->run); /* of a run that was killed: its addresses may be another's by now */
    fm_peers_load(rt);
    rt->now_ms = fm_runtime_steady_ms();
    rt->members_stale = true;
    return fm_transport_start(rt);
}

static int exit_code_of(int error)
{
    switch (error) {
    case FM_OK: return FM_EXIT_DONE;
    case FM_ENOTFOUND: return FM_EXIT_NO_NODE;
    case FM_EBUSY: return FM_EXIT_BUSY;
    case FM_ECORRUPT: return FM_EXIT_DAMAGED;
    case FM_EFULL:
    case FM_EDISKFULL: return FM_EXIT_NO_SPACE;
    default: return FM_EXIT_FAILED;
    }
}

static void close_all(struct fm_runtime *rt, const struct fm_paths *paths)
{
    if (rt->node != NULL && rt->control != NULL)
        unlink(paths->run);
    fm_control_close(rt->control);
    if (rt->link >= 0)
        close(rt->link); /* net ends with it */
    fm_keeper_stop(&rt->keeper);
    fm_queue_fini(&rt->out);
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++)
        fm_queue_fini(&rt->contacts[i].out);
    if (rt->node != NULL)
        fm_node_close(rt->node);
    if (rt->signal_fd >= 0)
        close(rt->signal_fd);
    free(rt->buffer);
}

static void say_kept(const struct fm_runtime *rt)
{
    struct fm_store_counts counts = {0};
    if (!rt->quiet && !rt->json && fm_store_counts(rt->node->store, &counts) == FM_OK)
        fm_log_say("stopped. Nothing is lost: %llu records kept.", (unsigned long long)counts.records);
}

int fm_run(const struct fm_paths *paths, bool json, bool quiet)
{
    struct fm_runtime *rt = calloc(1, sizeof *rt);
    if (rt == NULL)
        return FM_EXIT_FAILED;
    *rt = (struct fm_runtime){.link = -1, .signal_fd = -1, .keeper = {.fd = -1}, .json = json, .quiet = quiet};
    int rc = fm_keeper_start(&rt->keeper, fm_net_main); /* before a key, the store or a socket is opened (L10, Z18) */
    if (rc == FM_OK)
        rc = (rt->signal_fd = signals_open()) >= 0 ? FM_OK : FM_EIO;
    if (rc == FM_OK)
        rc = open_all(rt, paths);
    if (rc != FM_OK && rc != FM_ENOTFOUND && rc != FM_EBUSY) /* these the command says */
        fm_log(FM_LOG_ERROR, "%s: %s (%s)", fm_error_code(rc), fm_error_text(rc), paths->data);
    while (rc == FM_OK && rt->failed == FM_OK && !rt->stopping)
        serve(rt);
    if (rc == FM_OK && rt->failed == FM_OK) {
        uint64_t until_ms = fm_runtime_steady_ms() + STOP_MS_MAX;
        while (fm_control_waiting(rt->control) && fm_runtime_steady_ms() < until_ms) {
            poll(NULL, 0, 5);
            fm_control_serve(rt->control);
        }
        say_kept(rt);
    }
    int code = exit_code_of(rc != FM_OK ? rc : rt->failed);
    close_all(rt, paths);
    free(rt);
    return code;
}
