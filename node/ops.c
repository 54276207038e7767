#include "node/ops.h"

#include <assert.h>
#include <stdlib.h>

#include "node/op.h"
#include "node/outbox.h"
#include "node/scope.h"
#include "replication/doc.h"

static const struct fm_op_kind *const tables[] = {fm_op_submit_kinds, fm_op_record_kinds, fm_op_conflict_kinds,
                                                  fm_op_member_kinds, fm_op_status_kinds};

void fm_op_fail(struct fm_op *op, const char *code, const char *what, const char *help)
{
    json_t *error = json_pack("{s:s, s:s}", "code", code, "message", what);
    if (help != NULL && error != NULL)
        json_object_set_new(error, "do", json_string(help));
    json_object_clear(op->answer);
    json_object_set_new(op->answer, "error", error);
}

void fm_op_fail_error(struct fm_op *op, int error)
{
    const char *help = error == FM_ENOTJOINED ? "fieldmesh join --request FILE"
                       : error == FM_EFULL    ? "free space; nothing that was acknowledged is lost"
                       : error == FM_EROLE    ? "ask at a coordinator node"
                                              : NULL;
    fm_op_fail(op, fm_error_code(error), fm_error_text(error), help);
}

bool fm_op_failed(const struct fm_op *op)
{
    return json_object_get(op->answer, "error") != NULL;
}

bool fm_op_tickets(struct fm_op *op, size_t count)
{
    op->slots = calloc(count + 1, sizeof(json_t *));
    if (op->slots == NULL)
        return false;
    op->slot_count = count;
    for (size_t i = 0; i < count; i++) {
        uint64_t ticket = fm_node_ticket(op->n);
        if (i == 0)
            op->ticket_first = ticket;
    }
    return true;
}

const char *fm_op_text(const struct fm_op *op, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(op->request, key));
    return text != NULL ? text : fallback;
}

int64_t fm_op_number(const struct fm_op *op, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(op->request, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

struct fm_span fm_op_span(const json_t *text)
{
    return json_is_string(text) ? fm_span(json_string_value(text), json_string_length(text)) : fm_span(NULL, 0);
}

static const struct fm_op_kind *kind_of(const char *name)
{
    for (size_t t = 0; name != NULL && t < sizeof tables / sizeof *tables; t++)
        for (const struct fm_op_kind *k = tables[t]; k->name != NULL; k++)
            if (strcmp(k->name, name) == 0)
                return k;
    return NULL;
}

struct fm_op *fm_op_new(struct fm_node *n, struct fm_runtime *rt, const json_t *request)
{
    struct fm_op *op = calloc(1, sizeof *op);
    json_t *answer = json_object();
    if (op == NULL || answer == NULL) {
        free(op);
        json_decref(answer);
        return NULL;
    }
    op->n = n;
    op->rt = rt;
    op->request = request;
    op->answer = answer;
    op->kind = kind_of(json_string_value(json_object_get(request, "op")));
    op->next = n->ops;
    n->ops = op;
    return op;
}

int fm_op_begin(struct fm_op *op)
{
    if (op->kind == NULL) {
        fm_op_fail(op, "usage", "no operation of this name", NULL);
        return FM_OK;
    }
    int rc = op->kind->begin != NULL ? op->kind->begin(op) : FM_OK;
    if (rc != FM_OK) /* else what was posted before it would be committed, and told as lost */
        fm_outbox_error_set(op->n->outbox, rc);
    return rc;
}

const json_t *fm_op_end(struct fm_op *op, int commit_error)
{
    if (commit_error != FM_OK)
        fm_op_fail_error(op, commit_error);
    else if (!fm_op_failed(op) && op->kind->end != NULL)
        op->kind->end(op);
    return op->answer;
}

void fm_op_free(struct fm_op *op)
{
    if (op == NULL)
        return;
    for (struct fm_op **at = &op->n->ops; *at != NULL; at = &(*at)->next)
        if (*at == op) {
            *at = op->next;
            break;
        }
    for (size_t i = 0; i < op->slot_count; i++)
        json_decref(op->slots[i]);
    free(op->slots);
    json_decref(op->answer);
    fm_arena_fini(&op->arena);
    free(op);
}

static json_t **slot_of(struct fm_node *n, uint64_t ticket)
{
    for (struct fm_op *op = n->ops; op != NULL; op = op->next)
        if (op->slot_count > 0 && ticket - op->ticket_first < op->slot_count)
            return &op->slots[ticket - op->ticket_first];
    return NULL;
}

static const char *status_name(enum fm_result_status status)
{
    return status == FM_SUCCESS ? "success" : status == FM_CONFLICT ? "conflict" : "failed";
}

/* rule 3: one result a change. */
void fm_ops_result(struct fm_node *n, uint64_t ticket, const struct fm_result *result, int error)
{
    json_t **slot = slot_of(n, ticket);
    if (slot == NULL)
        return;
    json_decref(*slot);
    if (error != FM_OK) {
        *slot = json_pack("{s:s, s:s, s:s, s:s, s:s}", "offlineId", "", "serverId", "", "status", "failed", "code",
                          fm_error_code(error), "message", fm_error_text(error));
        return;
    }
    json_t *out = json_object();
    json_object_set_new(out, "offlineId", json_stringn((const char *)result->offline_id.data, result->offline_id.len));
    json_object_set_new(out, "serverId", result->has_record ? fm_op_uuid(&result->record) : json_string(""));
    json_object_set_new(out, "status", json_string(status_name(result->status)));
    json_object_set_new(out, "message", json_string(result->message));
    if (result->code[0] != '\0')
        json_object_set_new(out, "code", json_string(result->code));
    if (result->has_version)
        json_object_set_new(out, "versionId", fm_op_hex(result->version.b, sizeof result->version.b));
    if (result->status == FM_CONFLICT && result->document.len > 0)
        json_object_set_new(out, "conflictData", fm_json_from_doc(result->document));
    if (result->status == FM_SUCCESS && result->document.len > 0) /* a resolution */
        json_object_set_new(out, "resolvedData", fm_json_from_doc(result->document));
    if (result->opened_conflict)
        json_object_set_new(out, "openedConflict", json_true());
    *slot = out;
}

void fm_ops_taken(struct fm_node *n, uint64_t ticket, int error, const struct fm_set_id *set)
{
    json_t **slot = slot_of(n, ticket);
    if (slot == NULL)
        return;
    json_decref(*slot);
    *slot = json_pack("{s:s, s:i}", "code", fm_error_code(error), "error", error);
    if (error == FM_OK && set != NULL)
        json_object_set_new(*slot, "set", fm_op_hex(set->b, sizeof set->b));
}

/* --- shapes --- */

json_t *fm_op_hex(const void *bytes, size_t len)
{
    char text[2 * 64 + 1];
    assert(len <= 64);
    fm_hex_text(text, bytes, len);
    return json_string(text);
}

json_t *fm_op_uuid(const struct fm_record_id *id)
{
    char text[37];
    fm_uuid_text(text, id);
    return json_string(text);
}

json_t *fm_op_time(uint64_t hybrid)
{
    char text[25];
    fm_iso_text(text, hybrid >> 16);
    return json_string(text);
}

json_t *fm_op_document(struct fm_op *op, const struct fm_version *v, char actor[FM_ACTOR_BYTES_MAX + 1])
{
    struct fm_span document, who;
    if (actor != NULL)
        actor[0] = '\0';
    if (fm_repl_document(op->n->repl, v, &document, &who) != FM_OK)
        return json_null();
    if (actor != NULL && who.len <= FM_ACTOR_BYTES_MAX) {
        memcpy(actor, who.data, who.len);
        actor[who.len] = '\0';
    }
    return fm_json_from_doc(document);
}

json_t *fm_op_person(struct fm_op *op, const char *actor)
{
    struct fm_record_id id;
    struct fm_span document, name;
    if (fm_uuid_parse(&id, fm_span_str(actor)) != FM_OK || fm_scope_document(op, FM_KIND_USER, &id, &document) != FM_OK ||
        fm_doc_str(document, "name", &name) != FM_OK)
        return json_string(actor);
    return json_stringn((const char *)name.data, name.len);
}

json_t *fm_op_author(struct fm_op *op, const struct fm_version *v)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_set_meta set;
    if (v->holder_count == 0 || port->set_next(port->ctx, v->holders[0].arrival, &set) != FM_OK)
        return json_null();
    for (size_t i = 0; i < fm_repl_member_count(op->n->repl); i++) {
        struct fm_member m;
        fm_repl_member(op->n->repl, i, &m);
        if (fm_id_eq(&m.author, &set.stream.author))
            return json_stringn((const char *)m.name.data, m.name.len);
    }
    char text[FM_FINGERPRINT_CHARS];
    fm_fingerprint(text, &set.stream.author);
    return json_string(text);
}

int fm_op_versions(struct fm_op *op, uint8_t kind, const struct fm_record_id *record, struct fm_version **out, size_t *count)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    return port->versions(port->ctx, kind, record, &op->arena, out, count);
}

static bool same_beginning(const char *text, const char *whole)
{
    size_t len = strlen(text);
    return len >= 4 && strncmp(text, whole, len) == 0;
}

bool fm_op_member(struct fm_op *op, const char *name, struct fm_member *out)
{
    size_t found = 0;
    for (size_t i = 0; name != NULL && i < fm_repl_member_count(op->n->repl); i++) {
        struct fm_member m;
        char print[FM_FINGERPRINT_CHARS];
        fm_repl_member(op->n->repl, i, &m);
        fm_fingerprint(print, &m.author);
        if (!fm_span_eq(m.name, fm_span_str(name)) && !same_beginning(name, print))
            continue;
        bool same_node = found > 0 && fm_id_eq(&out->author, &m.author);
        if (!same_node)
            found++;
        if (!same_node || m.serial > out->serial)
            *out = m;
    }
    return found == 1;
}
