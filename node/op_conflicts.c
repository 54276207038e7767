/* Operations conflicts and conflict: the entries of rule 57. */
#include <stdlib.h>

#include "node/op.h"
#include "replication/doc.h"
#include "replication/fold.h"

static struct fm_version *find(struct fm_version *versions, size_t count, const struct fm_version_id *id)
{
    for (size_t i = 0; i < count; i++)
        if (fm_id_eq(&versions[i].id, id))
            return &versions[i];
    return NULL;
}

static struct fm_version *winner_of(struct fm_version *versions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (versions[i].counted && versions[i].place == FM_PLACE_WINNER)
            return &versions[i];
    return NULL;
}

static int document_copy(struct fm_op *op, const struct fm_version *v, struct fm_span *out)
{
    struct fm_span document, actor;
    int rc = fm_repl_document(op->n->repl, v, &document, &actor);
    uint8_t *copy = rc == FM_OK ? fm_arena_copy(&op->arena, document) : NULL;
    *out = fm_span(copy, document.len);
    return rc == FM_OK && copy == NULL ? FM_ENOMEM : rc;
}

/* How a settled entry was settled: the decision shows the winner again, what a merge gives, or something of its own. */
static const char *method_of(struct fm_op *op, struct fm_version *versions, size_t count, const struct fm_version *by,
                             const struct fm_version *loser)
{
    if (by == NULL || by->parent_count == 0)
        return "LAST_WRITE_WINS";
    const struct fm_version *first = find(versions, count, &by->parents[0]);
    struct fm_span decided, kept, other, base = fm_span(NULL, 0);
    if (first == NULL || document_copy(op, by, &decided) != FM_OK || document_copy(op, first, &kept) != FM_OK)
        return "MANUAL";
    if (fm_doc_same_content(decided, kept))
        return "LAST_WRITE_WINS";
    struct fm_version *common;
    struct fm_buf merged;
    fm_buf_init(&merged, FM_CHANGE_BYTES_MAX);
    bool merge = fm_fold_base(versions, count, first, loser, &op->arena, &common) == FM_OK &&
                 document_copy(op, loser, &other) == FM_OK &&
                 (common == NULL || document_copy(op, common, &base) == FM_OK) &&
                 fm_doc_merge(&merged, base, kept, other) == FM_OK && fm_doc_same_content(fm_buf_span(&merged), decided);
    fm_buf_fini(&merged);
    return merge ? "MERGE" : "MANUAL";
}

static void put_settled(struct fm_op *op, json_t *out, const struct fm_version *by)
{
    char actor[FM_ACTOR_BYTES_MAX + 1];
    json_t *document = fm_op_document(op, by, actor);
    const json_t *note = json_object_get(document, "resolutionNote");
    json_object_set_new(out, "resolvedAt", fm_op_time(by->time));
    json_object_set_new(out, "resolvedBy", json_string(actor));
    json_object_set_new(out, "settledByPolicy", json_boolean(strcmp(actor, "policy") == 0));
    json_object_set(out, "reason", json_is_string(note) ? (json_t *)(uintptr_t)note : json_null());
    json_decref(document);
}

/* Has a coordinator's receipt covered the loser? */
static bool notified(struct fm_op *op, const struct fm_version *loser)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_set_meta set;
    bool yes;
    for (uint32_t i = 0; i < loser->holder_count; i++)
        if (port->set_next(port->ctx, loser->holders[i].arrival, &set) == FM_OK &&
            fm_repl_at_hub(op->n->repl, &set, &yes) == FM_OK && yes)
            return true;
    return false;
}

json_t *fm_op_conflict(struct fm_op *op, const struct fm_conflict *entry)
{
    static const char *const types[] = {"", "ASSESSMENT", "RESPONSE", "MEDIA", "ENTITY", "ASSIGNMENT", "USER", "POLICY"};
    struct fm_version *versions;
    size_t count;
    if (fm_op_versions(op, entry->kind, &entry->record, &versions, &count) != FM_OK)
        return json_null();
    struct fm_version *loser = find(versions, count, &entry->version), *winner = winner_of(versions, count);
    if (loser == NULL || winner == NULL)
        return json_null();
    struct fm_version *by = entry->has_by && entry->place == FM_PLACE_SETTLED ? find(versions, count, &entry->by) : NULL;
    struct fm_version *against = by != NULL && by->parent_count > 0 ? find(versions, count, &by->parents[0]) : winner;
    struct fm_version *base = NULL;
    if (against != NULL && fm_fold_base(versions, count, against, loser, &op->arena, &base) != FM_OK)
        return json_null();
    const struct fm_version *shown = by != NULL ? by : winner;
    bool resolved = entry->place == FM_PLACE_SETTLED;
    char actor[FM_ACTOR_BYTES_MAX + 1];
    json_t *out = json_object();
    json_object_set_new(out, "id", fm_op_hex(entry->id.b, sizeof entry->id.b));
    json_object_set_new(out, "entityType", json_string(entry->kind <= FM_KIND_LAST ? types[entry->kind] : ""));
    json_object_set_new(out, "entityId", fm_op_uuid(&entry->record));
    /* rule 57: of the two that met; a later edit of the record does not move it */
    uint64_t met = against != NULL && against->time > loser->time ? against->time : loser->time;
    json_object_set_new(out, "conflictDate", fm_op_time(met));
    json_object_set_new(out, "resolutionMethod", json_string(resolved ? method_of(op, versions, count, by, loser) : "LAST_WRITE_WINS"));
    json_object_set_new(out, "class", json_string(fm_class_name(entry->cls)));
    json_object_set_new(out, "state", json_string(fm_place_name(entry->place)));
    json_object_set_new(out, "isResolved", json_boolean(resolved));
    json_object_set_new(out, "resolvedAt", json_null());
    json_object_set_new(out, "resolvedBy", json_null());
    json_object_set_new(out, "reason", json_null());
    if (by != NULL)
        put_settled(op, out, by);
    json_object_set_new(out, "coordinatorNotified", json_boolean(notified(op, loser)));
    json_object_set_new(out, "localVersion", json_integer(loser->number));
    json_object_set_new(out, "serverVersion", json_integer(shown->number));
    json_object_set_new(out, "winningVersion", fm_op_document(op, shown, actor));
    json_object_set_new(out, "winningActor", json_string(actor));
    json_object_set_new(out, "winningPerson", fm_op_person(op, actor));
    json_object_set_new(out, "winningNode", fm_op_author(op, shown));
    json_object_set_new(out, "winningTime", fm_op_time(shown->time));
    json_object_set_new(out, "losingVersion", fm_op_document(op, loser, actor));
    json_object_set_new(out, "losingActor", json_string(actor));
    json_object_set_new(out, "losingPerson", fm_op_person(op, actor));
    json_object_set_new(out, "losingNode", fm_op_author(op, loser));
    json_object_set_new(out, "losingTime", fm_op_time(loser->time));
    json_object_set_new(out, "losingVersionId", fm_op_hex(loser->id.b, sizeof loser->id.b));
    json_object_set_new(out, "base", base != NULL ? fm_op_document(op, base, NULL) : json_null());
    return out;
}

static void conflicts_end(struct fm_op *op)
{
    enum { PAGE = 256 };
    bool open = !json_is_true(json_object_get(op->request, "all"));
    int64_t limit = fm_op_number(op, "limit", INT64_MAX);
    struct fm_conflict *page = calloc(PAGE, sizeof *page);
    struct fm_conflict_id after;
    json_t *list = json_array();
    size_t count = PAGE;
    int rc = page == NULL ? FM_ENOMEM : FM_OK;
    for (bool first = true; rc == FM_OK && count == PAGE && (int64_t)json_array_size(list) < limit; first = false) {
        rc = fm_store_conflicts(op->n->store, open, first ? NULL : &after, page, PAGE, &count);
        for (size_t i = 0; rc == FM_OK && i < count && (int64_t)json_array_size(list) < limit; i++) {
            json_array_append_new(list, fm_op_conflict(op, &page[i]));
            after = page[i].id;
            fm_arena_reset(&op->arena);
        }
    }
    free(page);
    if (rc != FM_OK)
        fm_op_fail_error(op, rc);
    else
        json_object_set(op->answer, "conflicts", list);
    json_decref(list);
}

static void conflict_end(struct fm_op *op)
{
    struct fm_conflict entry;
    struct fm_conflict_id id;
    if (fm_hex_parse(id.b, sizeof id.b, fm_op_span(json_object_get(op->request, "id"))) != FM_OK ||
        fm_store_conflict(op->n->store, &id, &entry) != FM_OK) {
        fm_op_fail(op, "conflict-unknown", "no conflict of this id is known here", "fieldmesh conflicts");
        return;
    }
    json_t *shown = fm_op_conflict(op, &entry);
    json_object_update(op->answer, shown);
    json_decref(shown);
}

const struct fm_op_kind fm_op_conflict_kinds[] = {
    {"conflicts", NULL, conflicts_end},
    {"conflict", NULL, conflict_end},
    {NULL, NULL, NULL},
};
