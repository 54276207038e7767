#include "node/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/log.h"
#include "replication/error.h"

/* --- the net process --- */

static int spawn(struct fm_runtime *rt)
{
    int died = 0;
    int rc = fm_keeper_spawn(&rt->keeper, &rt->link, &rt->net_pid, &died);
    if (rc != FM_OK) {
        rt->link = -1;
        return rc;
    }
    if (died != 0 && WIFSIGNALED(died) && WTERMSIG(died) != SIGKILL)
        fm_log(FM_LOG_WARN, "the net process was ended by signal %d", WTERMSIG(died));
    rt->net_since_ms = rt->now_ms;
    rt->net_ready = false;
    rt->net_error[0] = '\0';
    fm_transport_order(rt, &(struct fm_link_message){.kind = FM_LINK_START,
                                                     .key = rt->node->identity.device.transport_secret,
                                                     .bytes = fm_span_str(rt->endpoint)});
    return FM_OK;
}

int fm_transport_start(struct fm_runtime *rt)
{
    rt->link = -1;
    rt->net_wait_ms = FM_NET_RESTART_MS_MIN;
    rt->buffer = malloc(FM_LINK_BYTES_MAX);
    return rt->buffer == NULL ? FM_ENOMEM : spawn(rt);
}

/* net is gone: whatever stood on it is down; it is started again after a wait that grows while it keeps dying. */
static void net_died(struct fm_runtime *rt)
{
    close(rt->link);
    rt->link = -1;
    if (rt->now_ms - rt->net_since_ms > FM_REDIAL_MS_MAX)
        rt->net_wait_ms = FM_NET_RESTART_MS_MIN;
    rt->net_next_ms = rt->now_ms + rt->net_wait_ms;
    rt->net_wait_ms = 2 * rt->net_wait_ms > FM_NET_RESTART_MS_MAX ? FM_NET_RESTART_MS_MAX : 2 * rt->net_wait_ms;
    rt->net_restarts++;
    fm_queue_fini(&rt->out);
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++)
        if (rt->contacts[i].state == FM_CONTACT_UP) {
            rt->contacts[i].state = FM_CONTACT_GONE;
            fm_queue_fini(&rt->contacts[i].out);
        }
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++)
        if (rt->dials[i].used && rt->dials[i].conn != 0)
            fm_peers_down(rt, rt->dials[i].conn, "net-restarted", 0);
    if (!rt->net_was_ready && rt->net_error[0] != '\0') { /* it cannot listen at all: a person must look */
        fm_log(FM_LOG_ERROR, "%s: cannot listen on %s", rt->net_error, rt->endpoint);
        rt->failed = FM_EIO;
        return;
    }
    fm_log(FM_LOG_WARN, "the net process ended%s%s; starting it again", rt->net_error[0] != '\0' ? ": " : "", rt->net_error);
}

static void allow_list_send(struct fm_runtime *rt)
{
    const struct fm_repl *r = rt->node->repl;
    struct fm_buf keys;
    fm_buf_init(&keys, (size_t)FM_GRANTS_MAX * FM_KEY_BYTES);
    int rc = FM_OK;
    for (size_t i = 0; rc == FM_OK && i < fm_repl_member_count(r); i++) {
        struct fm_member m;
        fm_repl_member(r, i, &m);
        if (m.counted && !m.revoked && !m.expired && !m.self)
            rc = fm_buf_add(&keys, m.transport.b, FM_KEY_BYTES);
    }
    if (rc == FM_OK) {
        fm_transport_order(rt, &(struct fm_link_message){.kind = FM_LINK_ALLOW, .bytes = fm_buf_span(&keys)});
        rt->members_stale = false;
    }
    fm_buf_fini(&keys);
}

void fm_transport_tick(struct fm_runtime *rt)
{
    if (rt->link < 0 && rt->now_ms >= rt->net_next_ms && spawn(rt) != FM_OK) {
        fm_log(FM_LOG_ERROR, "the net process cannot be started again");
        rt->failed = FM_EIO;
    }
    if (rt->members_stale && rt->net_ready && rt->node->repl != NULL) {
        allow_list_send(rt);
        fm_peers_members_changed(rt);
    }
    fm_transport_flush(rt);
}

/* --- out --- */

void fm_transport_order(struct fm_runtime *rt, const struct fm_link_message *m)
{
    if (rt->link < 0)
        return; /* a new net process is told everything from the beginning */
    int rc = rt->out.first == NULL ? fm_link_send(rt->link, m) : FM_EBUSY;
    if (rc == FM_EBUSY && fm_queue_push(&rt->out, m) != FM_OK)
        rt->failed = FM_ENOMEM;
}

void fm_transport_send(struct fm_runtime *rt, uint32_t conn, struct fm_span message)
{
    struct fm_contact *c = fm_transport_contact(rt, conn);
    if (c == NULL || c->state != FM_CONTACT_UP || rt->link < 0)
        return;
    const struct fm_link_message m = {.kind = FM_LINK_SEND, .conn = conn, .bytes = message};
    rt->bytes_sent += message.len;
    int rc = rt->out.first == NULL && c->out.first == NULL ? fm_link_send(rt->link, &m) : FM_EBUSY;
    if (rc == FM_EBUSY && (c->out.bytes + message.len > 2u * FM_CREDIT_BYTES || fm_queue_push(&c->out, &m) != FM_OK))
        fm_transport_drop(rt, c, "slow", true);
    else if (rc == FM_ELIMIT)
        fm_log(FM_LOG_ERROR, "a session message of %zu bytes is larger than may be", message.len);
}

void fm_transport_flush(struct fm_runtime *rt)
{
    if (rt->link < 0 || fm_queue_flush(&rt->out, rt->link) != FM_OK || rt->out.first != NULL)
        return;
    /* one message a contact in turn, so that a fast one does not shut out the others */
    for (bool some = true; some;) {
        some = false;
        for (size_t i = 0; i < FM_CONTACTS_MAX; i++) {
            struct fm_contact *c = &rt->contacts[rt->out_turn++ % FM_CONTACTS_MAX];
            const struct fm_link_message *m = c->state == FM_CONTACT_UP ? fm_queue_first(&c->out) : NULL;
            if (m == NULL)
                continue;
            if (fm_link_send(rt->link, m) != FM_OK)
                return;
            fm_queue_pop(&c->out);
            some = true;
        }
    }
}

bool fm_transport_waiting(const struct fm_runtime *rt)
{
    if (rt->out.first != NULL)
        return true;
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++)
        if (rt->contacts[i].out.first != NULL)
            return true;
    return false;
}

/* --- contacts --- */

struct fm_contact *fm_transport_contact(struct fm_runtime *rt, uint32_t conn)
{
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++)
        if (rt->contacts[i].state != FM_CONTACT_FREE && rt->contacts[i].conn == conn)
            return &rt->contacts[i];
    return NULL;
}

struct fm_contact *fm_transport_contact_of(struct fm_runtime *rt, const struct fm_key *key)
{
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++)
        if (rt->contacts[i].state == FM_CONTACT_UP && fm_id_eq(&rt->contacts[i].key, key))
            return &rt->contacts[i];
    return NULL;
}

void fm_transport_free(struct fm_runtime *rt, struct fm_contact *c)
{
    (void)rt;
    fm_queue_fini(&c->out);
    *c = (struct fm_contact){.state = FM_CONTACT_FREE};
}

void fm_transport_drop(struct fm_runtime *rt, struct fm_contact *c, const char *reason, bool tell_core)
{
    uint64_t stood_ms = rt->now_ms - c->since_ms;
    if (c->state != FM_CONTACT_UP)
        return;
    fm_queue_fini(&c->out);
    fm_transport_order(rt, &(struct fm_link_message){.kind = FM_LINK_DROP, .conn = c->conn});
    fm_peers_down(rt, c->conn, reason, stood_ms);
    c->state = FM_CONTACT_GONE;
    if (!tell_core)
        fm_transport_free(rt, c);
}

void fm_transport_drop_all(struct fm_runtime *rt)
{
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++) {
        struct fm_contact *c = &rt->contacts[i];
        if (c->state == FM_CONTACT_UP)
            fm_transport_drop(rt, c, "restarted", false);
        else if (c->state == FM_CONTACT_GONE)
            fm_transport_free(rt, c);
    }
}

/* Two connections with one node: of two directions both sides keep the one that the lower key dialled; of one direction the
 * newer, since the other side would not have made it with the older one alive. False: the new one must go. */
static bool outlives_others(struct fm_runtime *rt, const struct fm_link_message *up)
{
    struct fm_contact *c = fm_transport_contact_of(rt, &up->key);
    if (c == NULL)
        return true;
    bool we_are_lower = fm_id_cmp(&rt->node->identity.device.transport_public, &up->key) < 0;
    if (c->initiator != up->initiator && up->initiator != we_are_lower)
        return false;
    fm_transport_drop(rt, c, "replaced", true);
    return true;
}

static int on_up(struct fm_runtime *rt, const struct fm_link_message *m)
{
    struct fm_contact *c = NULL;
    for (size_t i = 0; i < FM_CONTACTS_MAX && c == NULL; i++)
        if (rt->contacts[i].state == FM_CONTACT_FREE)
            c = &rt->contacts[i];
    if (c == NULL || !outlives_others(rt, m)) {
        fm_transport_order(rt, &(struct fm_link_message){.kind = FM_LINK_DROP, .conn = m->conn});
        fm_peers_down(rt, m->conn, c == NULL ? "too-many-peers" : "replaced", 0);
        return FM_EEXISTS;
    }
    *c = (struct fm_contact){.state = FM_CONTACT_UP,
                             .conn = m->conn,
                             .initiator = m->initiator,
                             .key = m->key,
                             .since_ms = rt->now_ms,
                             .seen_ms = fm_node_now_ms(rt->node)};
    fm_peers_up(rt, m->conn);
    return FM_OK;
}

static void on_down(struct fm_runtime *rt, const struct fm_link_message *m)
{
    char reason[32];
    snprintf(reason, sizeof reason, "%.*s", (int)m->bytes.len, (const char *)m->bytes.data);
    struct fm_contact *c = fm_transport_contact(rt, m->conn);
    if (m->conn == 0) { /* the listener: net ends itself */
        snprintf(rt->net_error, sizeof rt->net_error, "%s", reason);
        return;
    }
    fm_peers_down(rt, m->conn, reason, c != NULL ? rt->now_ms - c->since_ms : 0);
    if (c != NULL && c->state == FM_CONTACT_UP) {
        c->state = FM_CONTACT_GONE;
        fm_queue_fini(&c->out);
    }
}

static void on_ready(struct fm_runtime *rt, const struct fm_link_message *m)
{
    bool first = !rt->net_was_ready;
    snprintf(rt->endpoint, sizeof rt->endpoint, "%.*s", (int)m->bytes.len, (const char *)m->bytes.data);
    rt->net_ready = rt->net_was_ready = true;
    rt->members_stale = true;
    if (fm_runtime_write(rt) != FM_OK)
        fm_log(FM_LOG_WARN, "run.json cannot be written");
    if (first)
        fm_runtime_say(rt);
}

int fm_transport_receive(struct fm_runtime *rt, struct fm_link_message *out)
{
    struct fm_contact *c;
    int rc = rt->link < 0 ? FM_EBUSY : fm_link_receive(rt->link, rt->buffer, out);
    if (rc == FM_EBUSY)
        return rc;
    if (rc != FM_OK) {
        net_died(rt);
        return FM_EEXISTS;
    }
    switch (out->kind) {
    case FM_LINK_MESSAGE:
        c = fm_transport_contact(rt, out->conn);
        if (c == NULL || c->state != FM_CONTACT_UP)
            return FM_EEXISTS; /* dropped here; net did not know yet */
        c->seen_ms = fm_node_now_ms(rt->node);
        rt->bytes_received += out->bytes.len;
        return FM_OK;
    case FM_LINK_UP: return on_up(rt, out);
    case FM_LINK_DOWN: on_down(rt, out); return FM_EEXISTS;
    case FM_LINK_READY: on_ready(rt, out); return FM_EEXISTS;
    case FM_LINK_REFUSED: {
        char reason[32];
        snprintf(reason, sizeof reason, "%.*s", (int)out->bytes.len, (const char *)out->bytes.data);
        fm_runtime_refused(rt, reason);
        return FM_EEXISTS;
    }
    case FM_LINK_MEMORY: rt->net_memory_bytes = out->bytes.len == 8 ? fm_be_get(out->bytes.data, 8) : 0; return FM_EEXISTS;
    default: return FM_EEXISTS;
    }
}
