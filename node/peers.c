#include <strings.h>

#include "node/log.h"
#include "node/runtime.h"
#include "replication/error.h"

/* --- who is who --- */

static bool member_named(const struct fm_member *m, const char *who)
{
    char print[FM_FINGERPRINT_CHARS];
    fm_fingerprint(print, &m->author);
    size_t len = strlen(who);
    return fm_span_eq(m->name, fm_span_str(who)) || (len >= 4 && len < sizeof print && strncasecmp(print, who, len) == 0);
}

/* The one node that is a member now and has this name or fingerprint. 0, FM_ENOTFOUND (none, or several). */
static int member_find(const struct fm_runtime *rt, const char *who, struct fm_member *out)
{
    size_t found = 0;
    for (size_t i = 0; i < fm_repl_member_count(rt->node->repl); i++) {
        struct fm_member m;
        fm_repl_member(rt->node->repl, i, &m);
        if (!m.counted || m.revoked || m.expired || m.self || !member_named(&m, who))
            continue;
        if (found == 0 || !fm_id_eq(&m.transport, &out->transport)) /* a node may hold several grants */
            found++;
        *out = m;
    }
    return found == 1 ? FM_OK : FM_ENOTFOUND;
}

static bool member_of_key(const struct fm_runtime *rt, const struct fm_key *transport, struct fm_member *out)
{
    bool found = false;
    for (size_t i = 0; i < fm_repl_member_count(rt->node->repl); i++) {
        struct fm_member m;
        fm_repl_member(rt->node->repl, i, &m);
        if (!fm_id_eq(&m.transport, transport) || (found && (m.revoked || m.expired || !m.counted)))
            continue;
        *out = m;
        found = true;
    }
    return found;
}

/* --- whom we dial --- */

/* "NODE@ADDR:PORT"; a name may hold an @, an address may not. */
static int dial_parse(struct fm_dial *out, const char *text)
{
    const char *at = strrchr(text, '@');
    size_t len = at == NULL ? 0 : (size_t)(at - text);
    if (len == 0 || len > FM_NAME_BYTES_MAX)
        return FM_EFORMAT;
    *out = (struct fm_dial){.used = true, .wait_ms = FM_REDIAL_MS_MIN};
    memcpy(out->who, text, len);
    return fm_endpoint_parse(out->endpoint, at + 1);
}

void fm_peers_load(struct fm_runtime *rt)
{
    for (size_t i = 0; i < rt->node->config.peer_count; i++)
        if (dial_parse(&rt->dials[i], rt->node->config.peers[i]) != FM_OK) {
            rt->dials[i].used = false;
            fm_log(FM_LOG_WARN, "peer = %s: want NODE@ADDR:PORT", rt->node->config.peers[i]);
        }
}

static void dial_failed(struct fm_runtime *rt, struct fm_dial *d, const char *reason, bool steady)
{
    uint32_t noise;
    fm_crypto_random(&noise, sizeof noise);
    if (steady)
        d->wait_ms = FM_REDIAL_MS_MIN;
    d->conn = 0;
    d->dialling = false;
    d->next_ms = rt->now_ms + d->wait_ms - d->wait_ms / 4 + noise % (d->wait_ms / 2); /* two nodes do not stay in step */
    d->wait_ms = 2 * d->wait_ms > FM_REDIAL_MS_MAX ? FM_REDIAL_MS_MAX : 2 * d->wait_ms;
    snprintf(d->error, sizeof d->error, "%s", reason);
}

static bool dialled_already(const struct fm_runtime *rt, const struct fm_key *key)
{
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++) {
        struct fm_member m;
        const struct fm_dial *d = &rt->dials[i];
        if (d->used && d->conn != 0 && member_find(rt, d->who, &m) == FM_OK && fm_id_eq(&m.transport, key))
            return true;
    }
    return false;
}

static void dial(struct fm_runtime *rt, struct fm_dial *d)
{
    struct fm_member m;
    if (member_find(rt, d->who, &m) != FM_OK) {
        dial_failed(rt, d, "peer-unknown", false);
        return;
    }
    if (fm_transport_contact_of(rt, &m.transport) != NULL || dialled_already(rt, &m.transport)) {
        d->next_ms = rt->now_ms + 1000; /* it is here already: look again */
        d->error[0] = '\0';
        return;
    }
    rt->conn_last = rt->conn_last >= FM_CORE_CONN_LAST ? 1 : rt->conn_last + 1;
    d->conn = rt->conn_last;
    d->dialling = true;
    fm_transport_order(rt,
                       &(struct fm_link_message){
                           .kind = FM_LINK_CONNECT, .conn = d->conn, .key = m.transport, .bytes = fm_span_str(d->endpoint)});
}

static bool wants_dial(const struct fm_dial *d)
{
    return d->used && !d->paused && d->conn == 0;
}

void fm_peers_tick(struct fm_runtime *rt)
{
    if (!rt->net_ready || rt->link < 0 || rt->members_stale || rt->node->repl == NULL)
        return;
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++)
        if (wants_dial(&rt->dials[i]) && rt->now_ms >= rt->dials[i].next_ms)
            dial(rt, &rt->dials[i]);
}

uint64_t fm_peers_due_ms(const struct fm_runtime *rt)
{
    uint64_t due = UINT64_MAX;
    for (size_t i = 0; rt->net_ready && i < FM_RUNTIME_PEERS_MAX; i++)
        if (wants_dial(&rt->dials[i]) && rt->dials[i].next_ms < due)
            due = rt->dials[i].next_ms;
    return due;
}

static struct fm_dial *dial_of(struct fm_runtime *rt, uint32_t conn)
{
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++)
        if (rt->dials[i].used && rt->dials[i].conn == conn)
            return &rt->dials[i];
    return NULL;
}

void fm_peers_up(struct fm_runtime *rt, uint32_t conn)
{
    struct fm_dial *d = dial_of(rt, conn);
    if (d == NULL)
        return;
    d->dialling = false;
    d->error[0] = '\0';
}

void fm_peers_down(struct fm_runtime *rt, uint32_t conn, const char *reason, uint64_t stood_ms)
{
    struct fm_dial *d = dial_of(rt, conn);
    if (d == NULL)
        return;
    if (stood_ms > 0)
        d->seen_ms = fm_node_now_ms(rt->node);
    dial_failed(rt, d, reason, stood_ms > FM_REDIAL_STEADY_MS);
}

void fm_peers_members_changed(struct fm_runtime *rt)
{
    /* whoever was unknown or not yet let in may be met now */
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++)
        if (wants_dial(&rt->dials[i])) {
            rt->dials[i].next_ms = rt->now_ms;
            rt->dials[i].wait_ms = FM_REDIAL_MS_MIN;
        }
}

/* --- what operations ask --- */

static void dial_now(struct fm_runtime *rt, struct fm_dial *d)
{
    d->paused = false;
    d->wait_ms = FM_REDIAL_MS_MIN;
    if (d->conn == 0)
        d->next_ms = rt->now_ms;
}

int fm_runtime_sync(struct fm_runtime *rt, const char *peer)
{
    struct fm_member m;
    bool known = peer != NULL && member_find(rt, peer, &m) == FM_OK, found = peer == NULL;
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++) {
        struct fm_contact *c = &rt->contacts[i];
        if (c->state == FM_CONTACT_UP && (peer == NULL || (known && fm_id_eq(&c->key, &m.transport))))
            found = c->sync_wanted = true;
    }
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++) {
        struct fm_dial *d = &rt->dials[i];
        struct fm_member other;
        bool meant = peer == NULL || strcmp(d->who, peer) == 0 ||
                     (known && member_find(rt, d->who, &other) == FM_OK && fm_id_eq(&other.transport, &m.transport));
        if (d->used && meant) {
            dial_now(rt, d);
            found = true;
        }
    }
    return found ? FM_OK : FM_ENOTFOUND;
}

int fm_runtime_connect(struct fm_runtime *rt, const char *peer)
{
    struct fm_dial fresh, *slot = NULL;
    struct fm_member m;
    int rc = dial_parse(&fresh, peer);
    if (rc == FM_OK)
        rc = member_find(rt, fresh.who, &m);
    if (rc != FM_OK)
        return rc;
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++) {
        struct fm_dial *d = &rt->dials[i];
        if (d->used && strcmp(d->who, fresh.who) == 0 && strcmp(d->endpoint, fresh.endpoint) == 0) {
            slot = d;
            break;
        }
        if (!d->used && slot == NULL)
            slot = d;
    }
    if (slot == NULL)
        return FM_ELIMIT;
    if (!slot->used) {
        *slot = fresh;
        slot->temporary = true;
    }
    dial_now(rt, slot);
    struct fm_contact *c = fm_transport_contact_of(rt, &m.transport);
    if (c != NULL)
        c->sync_wanted = true;
    return FM_OK;
}

int fm_runtime_disconnect(struct fm_runtime *rt, const char *node)
{
    const char *at = strrchr(node, '@');
    char who[FM_NAME_BYTES_MAX + 1];
    struct fm_member m, other;
    char endpoint[128];
    bool with_address = at != NULL && fm_endpoint_parse(endpoint, at + 1) == FM_OK; /* as it was given to connect */
    snprintf(who, sizeof who, "%.*s", with_address ? (int)(at - node) : (int)strlen(node), node);
    bool known = member_find(rt, who, &m) == FM_OK, found = false;
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++) {
        struct fm_dial *d = &rt->dials[i];
        if (!d->used || !(strcmp(d->who, who) == 0 ||
                          (known && member_find(rt, d->who, &other) == FM_OK && fm_id_eq(&other.transport, &m.transport))))
            continue;
        found = d->paused = true;
        if (d->dialling)
            fm_transport_order(rt, &(struct fm_link_message){.kind = FM_LINK_DROP, .conn = d->conn});
        if (d->dialling)
            d->conn = 0;
        d->dialling = false;
        if (d->temporary && d->conn == 0)
            *d = (struct fm_dial){.used = false};
    }
    struct fm_contact *c;
    while (known && (c = fm_transport_contact_of(rt, &m.transport)) != NULL) {
        fm_transport_drop(rt, c, "disconnected", true);
        found = true;
    }
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++)
        if (rt->dials[i].used && rt->dials[i].temporary && rt->dials[i].paused)
            rt->dials[i] = (struct fm_dial){.used = false};
    return found ? FM_OK : FM_ENOTFOUND;
}

/* --- what they are told --- */

static void put_progress(const struct fm_runtime *rt, json_t *object, uint32_t conn)
{
    static const char *const phases[] = {"", "meeting", "syncing", "in step"};
    for (size_t i = 0; i < fm_repl_peer_count(rt->node->repl); i++) {
        struct fm_peer_info p;
        fm_repl_peer(rt->node->repl, i, &p);
        if (p.conn != conn)
            continue;
        const struct {
            const char *name;
            uint64_t value;
        } numbers[] = {{"changesSent", p.changes_sent},         {"changesToSend", p.changes_to_send},
                       {"changesReceived", p.changes_received}, {"changesToReceive", p.changes_to_receive},
                       {"bytesSent", p.bytes_sent},             {"bytesReceived", p.bytes_received},
                       {"rounds", p.rounds}};
        json_object_set_new(object, "phase", json_string(phases[p.phase]));
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
            json_object_set_new(object, numbers[j].name, json_integer((json_int_t)numbers[j].value));
        return;
    }
    json_object_set_new(object, "phase", json_string(phases[FM_PEER_HELLO]));
}

static json_t *peer_object(const struct fm_runtime *rt, const struct fm_key *key, const struct fm_dial *d,
                           const struct fm_contact *c)
{
    struct fm_member m;
    char print[FM_FINGERPRINT_CHARS] = "";
    bool known = key != NULL && member_of_key(rt, key, &m);
    json_t *o = json_object();
    if (known)
        fm_fingerprint(print, &m.author);
    json_object_set_new(o, "name",
                        known ? json_stringn((const char *)m.name.data, m.name.len) : json_string(d != NULL ? d->who : ""));
    json_object_set_new(o, "role", json_string(known && fm_role_name(m.role) != NULL ? fm_role_name(m.role) : ""));
    json_object_set_new(o, "fingerprint", json_string(print));
    json_object_set_new(o, "address", json_string(d != NULL ? d->endpoint : ""));
    json_object_set_new(o, "connected", json_boolean(c != NULL));
    json_object_set_new(o, "initiator", json_boolean(c != NULL && c->initiator));
    json_object_set_new(o, "seenMs", json_integer((json_int_t)(c != NULL ? c->seen_ms : d != NULL ? d->seen_ms : 0)));
    json_object_set_new(o, "lastError", json_string(c == NULL && d != NULL ? d->error : ""));
    if (c != NULL)
        put_progress(rt, o, c->conn);
    else
        json_object_set_new(o, "phase",
                            json_string(d != NULL && d->dialling ? "dialling"
                                        : d != NULL && d->paused ? "paused"
                                                                 : "waiting"));
    return o;
}

void fm_runtime_peers(struct fm_runtime *rt, json_t *list, json_t *refused)
{
    bool listed[FM_CONTACTS_MAX] = {false};
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++) {
        struct fm_dial *d = &rt->dials[i];
        struct fm_member m;
        if (!d->used)
            continue;
        bool known = member_find(rt, d->who, &m) == FM_OK;
        struct fm_contact *c = known ? fm_transport_contact_of(rt, &m.transport) : NULL;
        if (c != NULL && listed[c - rt->contacts])
            continue;
        if (c != NULL)
            listed[c - rt->contacts] = true;
        json_array_append_new(list, peer_object(rt, known ? &m.transport : NULL, d, c));
    }
    for (size_t i = 0; i < FM_CONTACTS_MAX; i++)
        if (rt->contacts[i].state == FM_CONTACT_UP && !listed[i])
            json_array_append_new(list, peer_object(rt, &rt->contacts[i].key, NULL, &rt->contacts[i]));
    for (size_t i = 0; i < FM_RUNTIME_REFUSALS_MAX && rt->refusals[i].count > 0; i++)
        json_object_set_new(refused, rt->refusals[i].reason, json_integer((json_int_t)rt->refusals[i].count));
}
