/* Operations on membership: devices, admit, join, revoke, adopt, epoch. */
#include <stdlib.h>

#include "node/log.h"
#include "node/op.h"
#include "node/outbox.h"
#include "node/refill.h"
#include "replication/act.h"

#define EPOCH_LAST_DEFAULT UINT32_MAX

static json_t *member_json(const struct fm_member *m)
{
    char print[FM_FINGERPRINT_CHARS];
    fm_fingerprint(print, &m->author);
    return json_pack("{s:o, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:b, s:b, s:b, s:b, s:b, s:b}", "name",
                     json_stringn((const char *)m->name.data, m->name.len), "id", print, "role", fm_role_name(m->role),
                     "author", fm_op_hex(m->author.b, sizeof m->author.b), "grant", fm_op_hex(m->grant.b, sizeof m->grant.b),
                     "serial", (json_int_t)m->serial, "epochFirst", (json_int_t)m->epoch_first, "epochLast",
                     (json_int_t)m->epoch_last, "counted", m->counted, "revoked", m->revoked, "expired", m->expired, "self",
                     m->self, "sealed", (m->flags & FM_GRANT_SEALED) != 0, "mayInvite",
                     (m->flags & FM_GRANT_MAY_INVITE) != 0);
}

static void devices_end(struct fm_op *op)
{
    json_t *list = json_array();
    for (size_t i = 0; i < fm_repl_member_count(op->n->repl); i++) {
        struct fm_member m;
        fm_repl_member(op->n->repl, i, &m);
        json_array_append_new(list, member_json(&m));
    }
    json_object_set_new(op->answer, "devices", list);
}

/* --- admit --- */

static bool hex_key(const struct fm_op *op, const char *name, struct fm_key *out)
{
    return fm_hex_parse(out->b, sizeof out->b, fm_op_span(json_object_get(op->request, name))) == FM_OK;
}

static bool revoked_before(struct fm_op *op, const struct fm_key *author, uint64_t *serial)
{
    bool found = false;
    for (size_t i = 0; i < fm_repl_member_count(op->n->repl); i++) {
        struct fm_member m;
        fm_repl_member(op->n->repl, i, &m);
        *serial = m.serial > *serial ? m.serial : *serial;
        found = found || (m.revoked && fm_id_eq(&m.author, author));
    }
    return found;
}

static int seal_keys(struct fm_op *op, struct fm_grant *grant)
{
    struct fm_key keys[FM_GRANT_DATA_KEYS_MAX];
    size_t count = fm_repl_data_keys(op->n->repl, keys, FM_GRANT_DATA_KEYS_MAX);
    int rc = FM_OK;
    for (size_t i = 0; rc == FM_OK && i < count; i++) {
        struct fm_sealed_key *to = &grant->keys[grant->key_count++];
        fm_data_key_id_of(&to->id, &op->n->crypto, &keys[i]);
        rc = op->n->crypto.box(op->n->crypto.ctx, to->sealed, &keys[i], &grant->box);
    }
    fm_crypto_wipe(keys, sizeof keys);
    return rc;
}

/* Fills the grant from the request; false: the answer says why not. */
static bool read_admission(struct fm_op *op, struct fm_grant *grant)
{
    const char *name = fm_op_text(op, "name", ""), *role = fm_op_text(op, "role", "");
    uint64_t serial = 0;
    grant->role = (uint8_t)fm_role_from(fm_span_str(role));
    grant->name = fm_span_str(name);
    if (!hex_key(op, "author", &grant->author) || !hex_key(op, "transport", &grant->transport) ||
        !hex_key(op, "box", &grant->box) || grant->name.len == 0 || grant->name.len > FM_NAME_BYTES_MAX) {
        fm_op_fail(op, "usage", "admit wants what a request file holds", "fieldmesh admit FILE --role camp --out GRANT");
    } else if (grant->role != FM_ROLE_CAMP && grant->role != FM_ROLE_RELAY && grant->role != FM_ROLE_COORDINATOR) {
        fm_op_fail(op, "usage", "role: want camp, relay or coordinator", NULL);
    } else if (fm_repl_role(op->n->repl) != FM_ROLE_COORDINATOR) {
        fm_op_fail_error(op, FM_EROLE);
    } else if (fm_repl_member_count(op->n->repl) >= FM_GRANTS_MAX) {
        fm_op_fail_error(op, FM_ELIMIT);
    } else if (revoked_before(op, &grant->author, &serial)) {
        fm_op_fail(op, "peer-revoked", "this device was revoked; its key is never granted again",
                   "make a new node on that machine (fieldmesh init), then admit its new request");
    } else {
        grant->serial = serial + 1;
        grant->epoch_first = fm_repl_epoch(op->n->repl);
        grant->epoch_last = (uint64_t)fm_op_number(op, "epochLast", EPOCH_LAST_DEFAULT);
        grant->flags = (uint8_t)((json_is_true(json_object_get(op->request, "sealed")) ? FM_GRANT_SEALED : 0) |
                                 (json_is_true(json_object_get(op->request, "mayInvite")) ? FM_GRANT_MAY_INVITE : 0));
        return true;
    }
    return false;
}

static int take_bytes(struct fm_op *op, const struct fm_buf *set, uint64_t ticket)
{
    return fm_node_event(op->n, &(struct fm_event){.kind = FM_EVENT_TAKE, .ticket = ticket, .bytes = fm_buf_span(set)});
}

/* An act for another coordinator is the root's: signed here if the root key still is, and taken in like any set. The one
 * signed before goes first: if a crash came between its signing and its commit, the root's stream would have a hole. */
static int act_as_root(struct fm_op *op, const struct fm_act *act, uint64_t ticket)
{
    struct fm_buf set;
    fm_buf_init(&set, FM_SET_BYTES_MAX + FM_SET_HEADER_BYTES_MAX);
    int rc = fm_root_last(&set, &op->n->paths);
    if (rc == FM_OK)
        rc = take_bytes(op, &set, 0);
    set.len = 0;
    if (rc == FM_OK || rc == FM_ENOTFOUND)
        rc = fm_root_sign(&set, &op->n->identity, &op->n->paths, &op->n->crypto, &act, 1, fm_node_now_ms(op->n));
    if (rc == FM_ENOTFOUND || rc == FM_EKEY) {
        fm_op_fail(op, "root-needed", "only the root key may do this for a coordinator, and it is not whole on this machine",
                   "put keys/root.seed and keys/root.tip back from the stick, and try again");
        rc = FM_OK;
    } else if (rc == FM_OK) {
        rc = take_bytes(op, &set, ticket);
    }
    fm_buf_fini(&set);
    return rc;
}

/* Is there this very grant already, and does it count? Admitting again gives it out again (the grant file was lost, or the
 * command was cut short): a second one would say nothing new, as a mesh has one data key, and would be kept for ever. */
static bool granted_before(struct fm_op *op, const struct fm_grant *grant)
{
    for (size_t i = 0; i < fm_repl_member_count(op->n->repl); i++) {
        struct fm_member m;
        fm_repl_member(op->n->repl, i, &m);
        if (m.counted && !m.revoked && !m.expired && fm_id_eq(&m.author, &grant->author) &&
            fm_id_eq(&m.transport, &grant->transport) && fm_id_eq(&m.box, &grant->box) && m.role == grant->role &&
            m.flags == grant->flags && m.epoch_last == grant->epoch_last && fm_span_eq(m.name, grant->name)) {
            op->slots[0] = json_pack("{s:i}", "error", FM_OK);
            json_object_set_new(op->answer, "grant", fm_op_hex(m.grant.b, sizeof m.grant.b));
            return op->slots[0] != NULL;
        }
    }
    return false;
}

static int admit_begin(struct fm_op *op)
{
    struct fm_act *act = fm_arena_take(&op->arena, sizeof *act);
    if (act == NULL || !fm_op_tickets(op, 1))
        return FM_ENOMEM;
    act->kind = FM_ACT_GRANT;
    struct fm_grant *grant = &act->grant;
    if (!read_admission(op, grant) || granted_before(op, grant))
        return FM_OK;
    struct fm_buf bytes;
    fm_buf_init(&bytes, FM_CHANGE_BYTES_MAX);
    int rc = (grant->flags & FM_GRANT_SEALED) != 0 ? FM_OK : seal_keys(op, grant);
    if (rc == FM_OK)
        rc = fm_grant_encode(&bytes, grant);
    if (rc == FM_OK) {
        grant->bytes = fm_buf_span(&bytes);
        const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_GRANT), fm_span(op->n->identity.mesh.b, FM_MESH_ID_BYTES),
                                        grant->bytes};
        op->n->crypto.hash(op->n->crypto.ctx, grant->id.b, sizeof grant->id.b, parts, 3);
        rc = grant->role == FM_ROLE_COORDINATOR
                 ? act_as_root(op, act, op->ticket_first)
                 : fm_node_event(op->n, &(struct fm_event){.kind = FM_EVENT_ACT, .ticket = op->ticket_first, .act = act});
        json_object_set_new(op->answer, "grant", fm_op_hex(grant->id.b, sizeof grant->id.b));
    }
    fm_buf_fini(&bytes);
    return rc;
}

/* The slot's error as the answer's; true if there is one. */
static bool slot_failed(struct fm_op *op, size_t i)
{
    int error = op->slots[i] == NULL ? FM_ESTORE : (int)json_integer_value(json_object_get(op->slots[i], "error"));
    if (error != FM_OK && error != FM_EEXISTS)
        fm_op_fail_error(op, error);
    return fm_op_failed(op);
}

/* All lane-0 sets held, in arrival order: what a grant file carries. */
static int lane_zero(struct fm_op *op, json_t *list)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_set_meta meta = {0};
    struct fm_buf bytes;
    fm_buf_init(&bytes, FM_SET_BYTES_MAX + FM_SET_HEADER_BYTES_MAX);
    int rc;
    while ((rc = port->set_next(port->ctx, meta.arrival + 1, &meta)) == FM_OK) {
        if (meta.stream.lane != FM_LANE_MEMBERSHIP)
            continue;
        bytes.len = 0;
        if ((rc = port->set_bytes(port->ctx, meta.arrival, &bytes)) != FM_OK)
            break;
        json_array_append_new(list, fm_json_hex(fm_buf_span(&bytes)));
    }
    fm_buf_fini(&bytes);
    return rc == FM_ENOTFOUND ? FM_OK : rc;
}

static void admit_end(struct fm_op *op)
{
    if (slot_failed(op, 0))
        return;
    json_t *sets = json_array();
    int rc = lane_zero(op, sets);
    if (rc != FM_OK) {
        fm_op_fail_error(op, rc);
        json_decref(sets);
        return;
    }
    struct fm_key author;
    char print[FM_FINGERPRINT_CHARS] = "";
    if (hex_key(op, "author", &author))
        fm_fingerprint(print, &author);
    json_object_set_new(op->answer, "id", json_string(print));
    json_object_set_new(op->answer, "name", json_string(fm_op_text(op, "name", "")));
    json_object_set_new(op->answer, "role", json_string(fm_op_text(op, "role", "")));
    json_object_set_new(op->answer, "mesh", fm_op_hex(op->n->identity.mesh.b, FM_MESH_ID_BYTES));
    json_object_set_new(op->answer, "root", fm_op_hex(op->n->identity.root.b, FM_KEY_BYTES));
    json_object_set_new(op->answer, "sets", sets);
}

/* --- join: outside the turn, as the node may become another one --- */

static bool take_identity(struct fm_op *op)
{
    struct fm_identity *id = &op->n->identity;
    struct fm_mesh_id mesh;
    struct fm_key root;
    struct fm_grant_id grant;
    if (!hex_key(op, "root", &root) ||
        fm_hex_parse(mesh.b, sizeof mesh.b, fm_op_span(json_object_get(op->request, "mesh"))) != FM_OK ||
        fm_hex_parse(grant.b, sizeof grant.b, fm_op_span(json_object_get(op->request, "grant"))) != FM_OK) {
        fm_op_fail(op, "usage", "join wants what a grant file holds", "fieldmesh join GRANT");
        return false;
    }
    if (id->has_mesh && !fm_id_eq(&id->mesh, &mesh)) {
        fm_op_fail(op, "foreign-mesh", "this grant is of another mesh than this node's",
                   "make another node: fieldmesh --data DIR init");
        return false;
    }
    id->has_mesh = true;
    id->mesh = mesh;
    id->root = root;
    id->grant = grant;
    int rc = fm_node_reidentify(op->n);
    if (rc != FM_OK)
        fm_op_fail_error(op, rc);
    return rc == FM_OK;
}

/* joins: the sets make this node a member, or nothing of them is stored. Its mesh is in the key folder before they are in
 * the store: a store with sets of a mesh that the keys do not know could not be opened again. FM_EGRANT: no member by these.
 */
static int take_sets(struct fm_op *op, const json_t *sets, bool joins)
{
    struct fm_buf bytes;
    int rc = fm_node_begin(op->n);
    if (rc != FM_OK)
        return rc;
    fm_buf_init(&bytes, FM_SET_BYTES_MAX + FM_SET_HEADER_BYTES_MAX);
    for (size_t i = 0; rc == FM_OK && i < json_array_size(sets); i++) {
        struct fm_span text = fm_op_span(json_array_get(sets, i));
        bytes.len = 0;
        rc = fm_buf_reserve(&bytes, text.len / 2 + 1);
        if (rc == FM_OK && fm_hex_parse(bytes.data, text.len / 2, text) == FM_OK) {
            bytes.len = text.len / 2;
            rc = fm_node_event(
                op->n,
                &(struct fm_event){.kind = FM_EVENT_TAKE, .ticket = op->ticket_first + i, .bytes = fm_buf_span(&bytes)});
        }
    }
    fm_buf_fini(&bytes);
    if (rc == FM_OK && joins)
        rc = fm_repl_role(op->n->repl) == FM_ROLE_NONE ? FM_EGRANT : fm_identity_save_mesh(&op->n->identity, &op->n->paths);
    if (rc != FM_OK)
        fm_outbox_error_set(op->n->outbox, rc);
    int committed = fm_node_commit(op->n);
    return rc != FM_OK ? rc : committed;
}

/* A node that is joined takes in more sets of its own mesh only. */
static bool is_foreign(struct fm_op *op)
{
    struct fm_mesh_id mesh;
    bool foreign = fm_repl_role(op->n->repl) != FM_ROLE_NONE &&
                   fm_hex_parse(mesh.b, sizeof mesh.b, fm_op_span(json_object_get(op->request, "mesh"))) == FM_OK &&
                   !fm_id_eq(&op->n->identity.mesh, &mesh);
    if (foreign)
        fm_op_fail(op, "foreign-mesh", "this grant is of another mesh than this node's",
                   "make another node: fieldmesh --data DIR init");
    return foreign;
}

static void join_answer(struct fm_op *op)
{
    size_t added = 0;
    if (fm_refill_save(op->n) != FM_OK)
        fm_log(FM_LOG_WARN, "the grant could not be kept beside the keys: keep its file, a wiped store needs it");
    for (size_t i = 0; i < op->slot_count; i++)
        added += json_integer_value(json_object_get(op->slots[i], "error")) == FM_OK && op->slots[i] != NULL;
    json_object_set_new(op->answer, "added", json_integer((json_int_t)added));
    json_object_set_new(op->answer, "role", json_string(fm_role_name(fm_repl_role(op->n->repl))));
    json_object_set_new(op->answer, "mesh", fm_op_hex(op->n->identity.mesh.b, FM_MESH_ID_BYTES));
}

static void join_end(struct fm_op *op)
{
    if (is_foreign(op))
        return;
    const json_t *sets = json_object_get(op->request, "sets");
    bool was_joined = fm_repl_role(op->n->repl) != FM_ROLE_NONE;
    if (!fm_op_tickets(op, json_array_size(sets))) {
        fm_op_fail_error(op, FM_ENOMEM);
        return;
    }
    struct fm_identity *id = &op->n->identity;
    const bool had_mesh = id->has_mesh;
    const struct fm_mesh_id mesh = id->mesh;
    const struct fm_key root = id->root;
    const struct fm_grant_id grant = id->grant;
    if (!was_joined ? !take_identity(op) : false)
        return;
    int rc = take_sets(op, sets, !was_joined);
    if (rc != FM_OK && !was_joined) {
        id->has_mesh = had_mesh;
        id->mesh = mesh;
        id->root = root;
        id->grant = grant;
        if (fm_node_reidentify(op->n) != FM_OK)
            rc = FM_ESTORE;
    }
    if (rc == FM_EGRANT)
        fm_op_fail(op, "not-trusted", "the grant in this file is not for this node, or not from this mesh's authority",
                   "ask for a grant made from this node's own request: fieldmesh join --request FILE");
    else if (rc != FM_OK)
        fm_op_fail_error(op, rc);
    else
        join_answer(op);
}

/* --- revoke, adopt, epoch --- */

struct cuts {
    const struct fm_key *author;
    struct fm_act *act;
    bool full;
};

static int cut_stream(void *arg, const struct fm_stream_row *row)
{
    struct cuts *c = arg;
    if (!fm_id_eq(&row->stream.author, c->author) || row->tip_count == 0)
        return FM_OK;
    c->full = c->full || c->act->cut_count == FM_CUT_STREAMS_MAX;
    if (!c->full)
        c->act->cuts[c->act->cut_count++] = (struct fm_cut){.incarnation = row->stream.incarnation,
                                                            .lane = row->stream.lane,
                                                            .sequence = row->tips[0].sequence,
                                                            .set = row->tips[0].id};
    return FM_OK;
}

/* Everything held here of the node is inside the cut, everything it writes later is outside. A cut names one set a stream:
 * of a forked stream only the first branch is inside; what else of it should count can be adopted. */
static int revoke_begin(struct fm_op *op)
{
    struct fm_member m;
    struct fm_act *act = fm_arena_take(&op->arena, sizeof *act);
    const struct fm_port *port = fm_store_port(op->n->store);
    if (act == NULL || !fm_op_tickets(op, 2))
        return FM_ENOMEM;
    if (fm_repl_role(op->n->repl) != FM_ROLE_COORDINATOR) {
        fm_op_fail_error(op, FM_EROLE);
        return FM_OK;
    }
    if (!fm_op_member(op, fm_op_text(op, "node", NULL), &m)) {
        fm_op_fail(op, "peer-unknown", "no device, or more than one, of this name is known here", "fieldmesh devices");
        return FM_OK;
    }
    if (m.self) {
        fm_op_fail(op, "usage", "this node cannot revoke itself", "do it at another coordinator");
        return FM_OK;
    }
    struct cuts c = {.author = &m.author, .act = act};
    act->kind = FM_ACT_REVOKE;
    act->node = m.author;
    int rc = port->stream_each(port->ctx, cut_stream, &c);
    if (rc == FM_OK && m.role == FM_ROLE_COORDINATOR)
        rc = act_as_root(op, act, op->ticket_first + 1);
    if (rc == FM_OK && !fm_op_failed(op))
        rc = fm_node_event(op->n, &(struct fm_event){.kind = FM_EVENT_ACT, .ticket = op->ticket_first, .act = act});
    char print[FM_FINGERPRINT_CHARS];
    fm_fingerprint(print, &m.author);
    if (!fm_op_failed(op)) {
        json_object_set_new(op->answer, "name", json_stringn((const char *)m.name.data, m.name.len));
        json_object_set_new(op->answer, "id", json_string(print));
        json_object_set_new(op->answer, "streams", json_integer(act->cut_count));
    }
    return rc;
}

static void revoke_end(struct fm_op *op)
{
    if (!slot_failed(op, 0) && op->slots[1] != NULL)
        (void)slot_failed(op, 1);
}

static int adopt_begin(struct fm_op *op)
{
    const json_t *sets = json_object_get(op->request, "sets");
    struct fm_act *act = fm_arena_take(&op->arena, sizeof *act);
    struct fm_set_meta page[64];
    size_t count = 64;
    uint64_t after = 0;
    if (act == NULL || !fm_op_tickets(op, 1))
        return FM_ENOMEM;
    act->kind = FM_ACT_ADOPT;
    while (count == 64) {
        int rc = fm_store_uncounted(op->n->store, after, page, 64, &count);
        if (rc != FM_OK)
            return rc;
        for (size_t i = 0; i < count; i++) {
            after = page[i].arrival;
            for (size_t k = 0; k < json_array_size(sets) && act->adopt_count < FM_ADOPT_SETS_MAX; k++) {
                struct fm_set_id id;
                if (fm_hex_parse(id.b, sizeof id.b, fm_op_span(json_array_get(sets, k))) == FM_OK &&
                    fm_id_eq(&id, &page[i].id))
                    act->adopts[act->adopt_count++] =
                        (struct fm_adopted){.stream = page[i].stream, .sequence = page[i].sequence, .set = id};
            }
        }
    }
    if (act->adopt_count != json_array_size(sets) || act->adopt_count == 0) {
        fm_op_fail(op, "not-found", "not all of these are sets put aside here", "fieldmesh status --json shows them");
        return FM_OK;
    }
    return fm_node_event(op->n, &(struct fm_event){.kind = FM_EVENT_ACT, .ticket = op->ticket_first, .act = act});
}

static int epoch_begin(struct fm_op *op)
{
    if (!fm_op_tickets(op, 1))
        return FM_ENOMEM;
    uint64_t next = fm_repl_epoch(op->n->repl) + 1;
    json_object_set_new(op->answer, "epoch", json_integer((json_int_t)next));
    return fm_node_event(op->n, &(struct fm_event){.kind = FM_EVENT_EPOCH, .ticket = op->ticket_first, .number = next});
}

static void taken_end(struct fm_op *op)
{
    (void)slot_failed(op, 0);
}

const struct fm_op_kind fm_op_member_kinds[] = {
    {"devices", NULL, devices_end},
    {"admit", admit_begin, admit_end},
    {"join", NULL, join_end},
    {"revoke", revoke_begin, revoke_end},
    {"adopt", adopt_begin, taken_end},
    {"epoch", epoch_begin, taken_end},
    {NULL, NULL, NULL},
};
