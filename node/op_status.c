/* Operations on the node itself: status, digest, sync, connect, disconnect, backup, stop. */
#include <stdlib.h>

#include "node/loop.h"
#include "node/op.h"

/* Responses flagged parent-missing (rule 53). Looks at all of them, so what was found stands until a record changes. */
static int count_flagged(struct fm_op *op, uint64_t *missing)
{
    enum { PAGE = 256 };
    struct fm_flagged *known = &op->n->flagged;
    struct fm_head *heads = calloc(PAGE, sizeof *heads);
    struct fm_record_id after;
    uint64_t number = 0, stamp;
    size_t count = PAGE;
    int rc = heads == NULL ? FM_ENOMEM : fm_store_changed_last(op->n->store, &number, &stamp);
    bool stands = rc == FM_OK && known->known && known->number == number;
    *missing = stands ? known->missing : 0;
    for (bool first = true; rc == FM_OK && !stands && count == PAGE; first = false) {
        fm_arena_reset(&op->arena);
        rc = fm_store_heads(op->n->store, FM_KIND_RESPONSE, first ? NULL : &after, &op->arena, heads, PAGE, &count);
        for (size_t i = 0; rc == FM_OK && i < count; i++) {
            after = heads[i].record;
            const char *flag = heads[i].shown && !heads[i].deleted ? fm_op_flag(op, &heads[i]) : NULL;
            *missing += flag != NULL && strcmp(flag, "parent-missing") == 0;
        }
    }
    free(heads);
    if (rc == FM_OK)
        *known = (struct fm_flagged){.known = true, .number = number, .missing = *missing};
    return rc;
}

static const char *mesh_word(const struct fm_op *op, char text[2 * FM_MESH_ID_BYTES + 1])
{
    if (!op->n->identity.has_mesh)
        return "";
    fm_hex_text(text, op->n->identity.mesh.b, FM_MESH_ID_BYTES);
    return text;
}

static void put_aside(struct fm_op *op)
{
    struct fm_set_meta page[64];
    size_t count = 64;
    uint64_t after = 0;
    json_t *list = json_array();
    while (count == 64 && fm_store_uncounted(op->n->store, after, page, 64, &count) == FM_OK)
        for (size_t i = 0; i < count; i++) {
            char print[FM_FINGERPRINT_CHARS];
            after = page[i].arrival;
            fm_fingerprint(print, &page[i].stream.author);
            json_array_append_new(list,
                                  json_pack("{s:o, s:s, s:s, s:s, s:i}", "set", fm_op_hex(page[i].id.b, FM_SET_ID_BYTES),
                                            "author", print, "verdict", fm_verdict_name(page[i].verdict), "why",
                                            fm_why_text(page[i].why), "changes", (int)page[i].change_count));
        }
    json_object_set_new(op->answer, "aside", list);
}

/* count, then the rest of the sentence; a count of 0 is not written. */
static void notice(json_t *list, const char *id, const char *command, uint64_t count, const char *rest)
{
    char text[200];
    if (count > 0)
        snprintf(text, sizeof text, "%llu %s", (unsigned long long)count, rest);
    else
        snprintf(text, sizeof text, "%s", rest);
    json_array_append_new(list,
                          json_pack("{s:s, s:s, s:s, s:s}", "id", id, "level", "warn", "text", text, "command", command));
}

static void put_notices(struct fm_op *op, const struct fm_store_counts *c)
{
    json_t *list = json_array();
    uint64_t aside = c->quarantined_sets + c->void_sets + c->unreadable_sets;
    if (fm_repl_role(op->n->repl) == FM_ROLE_NONE)
        notice(list, "not-joined", "fieldmesh join --request FILE", 0,
               "this node is not joined yet: nothing can be recorded");
    if (c->open > 0)
        notice(list, "conflicts", "fieldmesh conflicts", c->open, "conflicts wait for a coordinator");
    if (aside > 0)
        notice(list, "aside", "fieldmesh status --json", aside,
               "change sets were put aside; nothing of them is shown as current");
    json_object_set_new(op->answer, "notices", list);
}

static bool is_listed(const json_t *peers, const char *print)
{
    size_t i;
    json_t *p;
    json_array_foreach((json_t *)(uintptr_t)peers, i, p)
    {
        if (strcmp(fm_json_str(p, "fingerprint"), print) == 0)
            return true;
    }
    return false;
}

/* Who is dialled or connected, and then everybody else of the mesh. */
static void list_peers(struct fm_op *op, json_t *peers, json_t *refused)
{
    if (op->rt != NULL)
        fm_runtime_peers(op->rt, peers, refused);
    for (size_t i = 0; i < fm_repl_member_count(op->n->repl); i++) {
        struct fm_member m;
        char print[FM_FINGERPRINT_CHARS];
        fm_repl_member(op->n->repl, i, &m);
        fm_fingerprint(print, &m.author);
        if (m.counted && !m.revoked && !m.self && !is_listed(peers, print))
            json_array_append_new(peers, json_pack("{s:o, s:s, s:s, s:s, s:b, s:s, s:s}", "name",
                                                   json_stringn((const char *)m.name.data, m.name.len), "role",
                                                   fm_role_name(m.role), "fingerprint", print, "address", "", "connected",
                                                   false, "phase", "", "lastError", ""));
    }
}

static void status_end(struct fm_op *op)
{
    struct fm_store_counts c;
    uint64_t recorded = 0, at_hub = 0, missing = 0;
    char mesh[2 * FM_MESH_ID_BYTES + 1], print[FM_FINGERPRINT_CHARS];
    int rc = fm_store_counts(op->n->store, &c);
    if (rc == FM_OK)
        rc = fm_repl_custody(op->n->repl, &op->n->identity.device.author_public, &recorded, &at_hub);
    if (rc == FM_OK)
        rc = count_flagged(op, &missing);
    if (rc != FM_OK) {
        fm_op_fail_error(op, rc);
        return;
    }
    fm_fingerprint(print, &op->n->identity.device.author_public);
    json_t *peers = json_array(), *refused = json_object();
    list_peers(op, peers, refused);
    if (op->rt != NULL)
        fm_runtime_status(op->rt, op->answer);
    const char *role = fm_role_name(fm_repl_role(op->n->repl));
    json_object_set_new(op->answer, "node", json_pack("{s:s, s:s}", "name", op->n->config.name, "id", print));
    json_object_set_new(op->answer, "mesh", json_string(mesh_word(op, mesh)));
    json_object_set_new(op->answer, "role", json_string(role != NULL ? role : op->n->config.role));
    json_object_set_new(op->answer, "joined", json_boolean(role != NULL));
    json_object_set_new(op->answer, "running", json_boolean(op->rt != NULL));
    json_object_set_new(op->answer, "version", json_string(FM_PROGRAM_VERSION));
    json_object_set_new(op->answer, "epoch", json_integer((json_int_t)fm_repl_epoch(op->n->repl)));
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"records", c.records},
        {"assessments", c.by_kind[FM_KIND_ASSESSMENT]},
        {"responses", c.by_kind[FM_KIND_RESPONSE]},
        {"entities", c.by_kind[FM_KIND_ENTITY]},
        {"recorded", recorded},
        {"atHub", at_hub},
        {"waiting", c.waiting + missing},
        {"quarantined", c.quarantined_sets},
        {"void", c.void_sets + c.void_versions},
        {"unreadable", c.unreadable_sets},
        {"conflictsOpen", c.open},
        {"conflictsReplaced", c.replaced},
        {"conflictsSettled", c.settled},
        {"sets", c.sets},
        {"versions", c.versions},
        {"storeBytes", c.map_used_bytes},
        {"mapBytes", c.map_bytes},
        {"startedAt", op->n->started_ms},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(op->answer, numbers[i].name, json_integer((json_int_t)numbers[i].value));
    json_object_set_new(op->answer, "peers", peers);
    json_object_set_new(op->answer, "refused", refused);
    put_aside(op);
    put_notices(op, &c);
}

static void peers_end(struct fm_op *op)
{
    json_t *peers = json_array(), *refused = json_object();
    list_peers(op, peers, refused);
    json_object_set_new(op->answer, "peers", peers);
    json_object_set_new(op->answer, "refused", refused);
}

static void digest_end(struct fm_op *op)
{
    struct fm_digest sets, state;
    int rc = fm_repl_digest(op->n->repl, &sets, &state);
    if (rc == FM_EBUSY) {
        fm_op_fail(op, "folding", "records are still being judged again after a change of membership",
                   "ask again in a moment");
        return;
    }
    if (rc != FM_OK) {
        fm_op_fail_error(op, rc);
        return;
    }
    json_object_set_new(op->answer, "sets", fm_op_hex(sets.b, sizeof sets.b));
    json_object_set_new(op->answer, "state", fm_op_hex(state.b, sizeof state.b));
}

/* True: the node runs; else the answer says that it must. */
static bool needs_running(struct fm_op *op)
{
    if (op->rt == NULL)
        fm_op_fail(op, "not-running", "the node is not running, so it can meet nobody", "fieldmesh run");
    return op->rt != NULL;
}

static void sync_end(struct fm_op *op)
{
    const char *peer = fm_op_text(op, "peer", NULL);
    if (!needs_running(op))
        return;
    int rc = fm_runtime_sync(op->rt, peer);
    if (rc == FM_ENOTFOUND)
        fm_op_fail(op, "peer-unknown", "no peer of this name is configured or connected",
                   "fieldmesh sync NODE@ADDRESS:PORT");
    else if (rc != FM_OK)
        fm_op_fail_error(op, rc);
    else
        peers_end(op);
}

static void connect_end(struct fm_op *op)
{
    if (!needs_running(op))
        return;
    int rc = fm_runtime_connect(op->rt, fm_op_text(op, "peer", ""));
    if (rc == FM_ENOTFOUND)
        fm_op_fail(op, "peer-unknown", "no device of this name is admitted to the mesh", "fieldmesh devices");
    else if (rc == FM_EFORMAT)
        fm_op_fail(op, "usage", "peer: want NODE@ADDRESS:PORT", "fieldmesh sync \"Dikwa camp@10.42.0.1:7717\"");
    else if (rc != FM_OK)
        fm_op_fail_error(op, rc);
    else
        peers_end(op);
}

static void disconnect_end(struct fm_op *op)
{
    if (needs_running(op) && fm_runtime_disconnect(op->rt, fm_op_text(op, "peer", "")) != FM_OK)
        fm_op_fail(op, "peer-unknown", "no such peer is connected", "fieldmesh peers");
}

static void backup_end(struct fm_op *op)
{
    const char *file = fm_op_text(op, "file", NULL);
    int rc = file == NULL ? FM_EINVAL : fm_store_backup(op->n->store, file);
    if (rc != FM_OK)
        fm_op_fail_error(op, rc);
    else
        json_object_set_new(op->answer, "file", json_string(file));
}

static void stop_end(struct fm_op *op)
{
    if (needs_running(op))
        fm_runtime_stop(op->rt);
}

const struct fm_op_kind fm_op_status_kinds[] = {
    {"status", NULL, status_end}, {"peers", NULL, peers_end},     {"digest", NULL, digest_end},
    {"sync", NULL, sync_end},     {"connect", NULL, connect_end}, {"disconnect", NULL, disconnect_end},
    {"backup", NULL, backup_end}, {"stop", NULL, stop_end},       {NULL, NULL, NULL},
};
