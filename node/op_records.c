/* Operations records, show and pull: looking, without effect. */
#include <stdlib.h>

#include "node/op.h"
#include "node/pull.h"
#include "node/scope.h"
#include "replication/doc.h"

#define PAGE_MAX 1000

const char *fm_op_flag(struct fm_op *op, const struct fm_head *head)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_span document, text;
    struct fm_record_id id;
    struct fm_head parent;
    if (head->kind != FM_KIND_RESPONSE || fm_scope_document(op, head->kind, &head->record, &document) != FM_OK)
        return NULL;
    if (fm_doc_str(document, "assessmentId", &text) != FM_OK || fm_uuid_parse(&id, text) != FM_OK ||
        port->head(port->ctx, FM_KIND_ASSESSMENT, &id, &op->arena, &parent) != FM_OK || !parent.shown)
        return "parent-missing";
    if (parent.deleted)
        return "parent-deleted";
    bool same = head->has_entity && parent.has_entity && fm_id_eq(&head->entity, &parent.entity);
    return same ? NULL : "entity-differs";
}

/* What a record shows, as its document with the node's own additions. */
static json_t *record_json(struct fm_op *op, const struct fm_head *head)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_version v;
    if (!head->shown || port->version_get(port->ctx, &head->winner, &op->arena, &v) != FM_OK)
        return NULL;
    json_t *out = json_object();
    json_object_set_new(out, "type", json_string(fm_kind_name(head->kind)));
    json_object_set_new(out, "id", fm_op_uuid(&head->record));
    json_object_set_new(out, "versionId", fm_op_hex(head->winner.b, sizeof head->winner.b));
    json_object_set_new(out, "versionNumber", json_integer(head->number));
    json_object_set_new(out, "deleted", json_boolean(head->deleted));
    json_object_set_new(out, "openConflicts", json_integer(head->open));
    json_object_set_new(out, "node", fm_op_author(op, &v));
    json_object_set_new(out, "document", fm_op_document(op, &v, NULL));
    const char *flag = fm_op_flag(op, head);
    if (flag != NULL)
        json_object_set_new(out, "flag", json_string(flag));
    return out;
}

static bool living(struct fm_op *op, uint8_t kind, const struct fm_record_id *id)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_head head;
    return port->head(port->ctx, kind, id, &op->arena, &head) == FM_OK && head.shown && !head.deleted;
}

/* Rule 54: the other records with its offlineId; deleting one mends it. */
static json_t *duplicates_of(struct fm_op *op, const struct fm_head *head)
{
    struct fm_record_id ids[64];
    size_t count = 0;
    json_t *list = json_array();
    if (fm_store_namesakes(op->n->store, head->kind, head->offline_id, ids, 64, &count) == FM_OK)
        for (size_t i = 0; i < count; i++)
            if (!fm_id_eq(&ids[i], &head->record) && living(op, head->kind, &ids[i]))
                json_array_append_new(list, fm_op_uuid(&ids[i]));
    return list;
}

/* Pairs with one offlineId, in one list: {type, offlineId, id, other}; `other` is the lower, which the offlineId means. */
static void duplicates_end(struct fm_op *op)
{
    enum { PAGE = 256 };
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_duplicate *page = calloc(PAGE, sizeof *page), last;
    json_t *list = json_array();
    size_t count = PAGE;
    int rc = page == NULL ? FM_ENOMEM : FM_OK;
    for (bool first = true; rc == FM_OK && count == PAGE; first = false) {
        rc = fm_store_duplicates(op->n->store, first ? NULL : &last, page, PAGE, &count);
        for (size_t i = 0; rc == FM_OK && i < count; i++) {
            struct fm_head head;
            last = page[i];
            fm_arena_reset(&op->arena);
            rc = port->head(port->ctx, last.kind, &last.record, &op->arena, &head);
            if (rc != FM_OK || head.deleted || !living(op, last.kind, &last.other))
                continue;
            json_t *item = json_object();
            json_object_set_new(item, "type", json_string(fm_kind_name(last.kind)));
            json_object_set_new(item, "offlineId", json_stringn((const char *)head.offline_id.data, head.offline_id.len));
            json_object_set_new(item, "id", fm_op_uuid(&last.record));
            json_object_set_new(item, "other", fm_op_uuid(&last.other));
            json_array_append_new(list, item);
        }
    }
    free(page);
    if (rc != FM_OK)
        fm_op_fail_error(op, rc);
    else
        json_object_set(op->answer, "duplicates", list);
    json_decref(list);
}

/* One kind's heads in id order, from `after` on. */
static int list_kind(struct fm_op *op, uint8_t kind, const struct fm_record_id *after, const struct fm_record_id *entity,
                     bool deleted, int64_t limit, json_t *list)
{
    struct fm_head *heads = calloc(PAGE_MAX, sizeof *heads);
    size_t count = PAGE_MAX;
    struct fm_record_id last;
    int rc = heads == NULL ? FM_ENOMEM : FM_OK;
    while (rc == FM_OK && count == PAGE_MAX && (int64_t)json_array_size(list) < limit) {
        rc = fm_store_heads(op->n->store, kind, after, &op->arena, heads, PAGE_MAX, &count);
        for (size_t i = 0; rc == FM_OK && i < count && (int64_t)json_array_size(list) < limit; i++) {
            last = heads[i].record;
            after = &last;
            bool fits = heads[i].shown && heads[i].deleted == deleted &&
                        (entity == NULL || (heads[i].has_entity && fm_id_eq(entity, &heads[i].entity)));
            json_t *item = fits ? record_json(op, &heads[i]) : NULL;
            if (item != NULL)
                json_array_append_new(list, item);
        }
    }
    free(heads);
    return rc;
}

static void records_end(struct fm_op *op)
{
    struct fm_record_id after, entity;
    bool has_after = fm_uuid_parse(&after, fm_op_span(json_object_get(op->request, "after"))) == FM_OK;
    const char *type = fm_op_text(op, "type", NULL), *of = fm_op_text(op, "entity", NULL);
    int kind = type != NULL ? fm_kind_from(fm_span_str(type)) : 0;
    if (type != NULL && kind == 0) {
        fm_op_fail(op, "usage", "type: want assessment, response, entity, assignment or user", "fieldmesh records --type assessment");
        return;
    }
    if (of != NULL && fm_uuid_parse(&entity, fm_span_str(of)) != FM_OK) {
        fm_op_fail(op, "usage", "entity: want the id of an entity", "fieldmesh records --type entity");
        return;
    }
    json_t *list = json_array();
    int64_t limit = fm_op_number(op, "limit", INT64_MAX);
    int rc = FM_OK;
    for (uint8_t k = FM_KIND_ASSESSMENT; rc == FM_OK && k <= FM_KIND_LAST; k++)
        if (kind == 0 ? k != FM_KIND_POLICY : k == kind)
            rc = list_kind(op, k, kind != 0 && has_after ? &after : NULL, of != NULL ? &entity : NULL,
                           json_is_true(json_object_get(op->request, "deleted")), limit, list);
    if (rc != FM_OK)
        fm_op_fail_error(op, rc);
    else
        json_object_set(op->answer, "records", list);
    json_decref(list);
}

/* The record of this id (or its beginning is not offered: ids are whole), of whatever kind. */
static bool find_record(struct fm_op *op, struct fm_head *out)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_span text = fm_op_span(json_object_get(op->request, "id"));
    struct fm_record_id id;
    for (uint8_t kind = FM_KIND_ASSESSMENT; kind <= FM_KIND_LAST; kind++) {
        bool known = fm_uuid_parse(&id, text) == FM_OK ||
                     (text.len <= FM_OFFLINE_ID_BYTES_MAX && port->alias(port->ctx, kind, text, &id) == FM_OK);
        if (known && port->head(port->ctx, kind, &id, &op->arena, out) == FM_OK)
            return true;
    }
    return false;
}

static json_t *version_json(struct fm_op *op, const struct fm_version *v)
{
    char actor[FM_ACTOR_BYTES_MAX + 1];
    json_t *parents = json_array(), *out = json_object();
    for (uint32_t i = 0; i < v->parent_count; i++)
        json_array_append_new(parents, fm_op_hex(v->parents[i].b, sizeof v->parents[i].b));
    json_object_set_new(out, "id", fm_op_hex(v->id.b, sizeof v->id.b));
    json_object_set_new(out, "version", json_integer(v->number));
    json_object_set_new(out, "action", json_string(fm_action_name(v->action) != NULL ? fm_action_name(v->action) : "unknown"));
    json_object_set_new(out, "settlement", json_integer(v->settlement));
    json_object_set_new(out, "author", fm_op_author(op, v));
    json_object_set_new(out, "document", fm_op_document(op, v, actor));
    json_object_set_new(out, "actor", json_string(actor));
    json_object_set_new(out, "person", fm_op_person(op, actor));
    json_object_set_new(out, "time", fm_op_time(v->time));
    json_object_set_new(out, "parents", parents);
    static const char *const states[] = {"", "quarantined", "void", "waiting", "unknown"};
    json_object_set_new(out, "state", json_string(v->counted ? fm_place_name(v->place) : v->status <= FM_UNKNOWN ? states[v->status] : ""));
    if (v->status == FM_STATUS_VOID)
        json_object_set_new(out, "why", json_string(fm_why_text(v->why)));
    return out;
}

static void show_end(struct fm_op *op)
{
    struct fm_head head;
    struct fm_version *versions;
    size_t count;
    if (!find_record(op, &head)) {
        fm_op_fail(op, "not-found", "no record of this id or offlineId is known here", "fieldmesh records");
        return;
    }
    int rc = fm_op_versions(op, head.kind, &head.record, &versions, &count);
    if (rc != FM_OK) {
        fm_op_fail_error(op, rc);
        return;
    }
    json_t *list = json_array(), *conflicts = json_array(), *record = record_json(op, &head);
    for (size_t i = 0; i < count; i++) {
        struct fm_conflict entry;
        json_array_append_new(list, version_json(op, &versions[i]));
        if (versions[i].counted && versions[i].place >= FM_PLACE_OPEN) {
            fm_conflict_id_of(&entry.id, &op->n->crypto, head.kind, &head.record, &versions[i].id);
            if (fm_store_conflict(op->n->store, &entry.id, &entry) == FM_OK)
                json_array_append_new(conflicts, fm_op_conflict(op, &entry));
        }
    }
    json_object_set_new(op->answer, "type", json_string(fm_kind_name(head.kind)));
    json_object_set_new(op->answer, "id", fm_op_uuid(&head.record));
    json_object_set_new(op->answer, "deleted", json_boolean(head.deleted));
    json_object_set(op->answer, "document", record != NULL ? json_object_get(record, "document") : json_null());
    json_object_set_new(op->answer, "duplicates", duplicates_of(op, &head));
    const char *flag = fm_op_flag(op, &head);
    if (flag != NULL)
        json_object_set_new(op->answer, "flag", json_string(flag));
    json_object_set_new(op->answer, "versions", list);
    json_object_set_new(op->answer, "conflicts", conflicts);
    json_decref(record);
}

/* For import: what is shown for each {type, offlineId}, or null. */
static void lookup_end(struct fm_op *op)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    json_t *list = json_array(), *asked;
    size_t i;
    json_array_foreach(json_object_get(op->request, "of"), i, asked)
    {
        struct fm_span text = fm_op_span(json_object_get(asked, "offlineId"));
        int kind = fm_kind_from(fm_op_span(json_object_get(asked, "type")));
        struct fm_record_id id;
        struct fm_head head;
        bool found = kind != 0 && text.len > 0 && text.len <= FM_OFFLINE_ID_BYTES_MAX;
        if (found && port->alias(port->ctx, (uint8_t)kind, text, &id) != FM_OK)
            fm_uuid_v8(&id, &op->n->crypto, &op->n->identity.mesh, (uint8_t)kind, text); /* rule 9 */
        json_t *item = found && port->head(port->ctx, (uint8_t)kind, &id, &op->arena, &head) == FM_OK ? record_json(op, &head) : NULL;
        json_array_append_new(list, item != NULL ? item : json_null());
        fm_arena_reset(&op->arena);
    }
    json_object_set_new(op->answer, "records", list);
}

static void pull_end(struct fm_op *op)
{
    char why[200] = "";
    const char *code = "usage";
    json_t *answer = fm_pull(op, &code, why, sizeof why);
    if (answer == NULL) {
        fm_op_fail(op, code, why, NULL);
        return;
    }
    json_object_update(op->answer, answer);
    json_decref(answer);
}

const struct fm_op_kind fm_op_record_kinds[] = {
    {"records", NULL, records_end},
    {"show", NULL, show_end},
    {"lookup", NULL, lookup_end},
    {"duplicates", NULL, duplicates_end},
    {"pull", NULL, pull_end},
    {NULL, NULL, NULL},
};
