/* Operations submit and resolve: what people write. */
#include <stdlib.h>

#include "node/op.h"

/* A change that cannot be read at all is that change's `failed`, never a refused batch (rule 6). */
static json_t *unreadable(const json_t *change, const char *why)
{
    const char *offline_id = json_string_value(json_object_get(change, "offlineId"));
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "offlineId", offline_id != NULL ? offline_id : "", "serverId", "",
                     "status", "failed", "code", "bad-change", "message", why);
}

static bool optional_number(const json_t *change, const char *key, bool *has, int64_t *out, char *why, size_t why_len)
{
    const json_t *value = json_object_get(change, key);
    *has = value != NULL && !json_is_null(value);
    if (*has && !json_is_integer(value)) {
        snprintf(why, why_len, "%s: want a whole number", key);
        return false;
    }
    *out = json_integer_value(value);
    return true;
}

/* Fills *out from one change; its data is packed into *doc. FM_EFORMAT: why says what is wrong and where. FM_ENOMEM. */
static int read_change(struct fm_submission *out, struct fm_buf *doc, const json_t *change, char *why, size_t why_len)
{
    *out = (struct fm_submission){.type = fm_op_span(json_object_get(change, "type")),
                                  .action = fm_op_span(json_object_get(change, "action")),
                                  .offline_id = fm_op_span(json_object_get(change, "offlineId"))};
    const json_t *offline_id = json_object_get(change, "offlineId"), *data = json_object_get(change, "data");
    const json_t *base = json_object_get(change, "baseVersionId");
    if (!json_is_object(change))
        snprintf(why, why_len, "a change is an object");
    else if (out->type.data == NULL || out->action.data == NULL)
        snprintf(why, why_len, "%s: want a text", out->type.data == NULL ? "type" : "action");
    else if (offline_id != NULL && !json_is_null(offline_id) && !json_is_string(offline_id))
        snprintf(why, why_len, "offlineId: want a text");
    else if (!json_is_object(data))
        snprintf(why, why_len, "data: want an object");
    else if (base != NULL && !json_is_null(base) &&
             fm_hex_parse(out->base_id.b, sizeof out->base_id.b, fm_op_span(base)) != FM_OK)
        snprintf(why, why_len, "baseVersionId: want a versionId as pull gives it out");
    else if (optional_number(change, "versionNumber", &out->has_version, &out->version, why, why_len) &&
             optional_number(change, "baseVersion", &out->has_base_number, &out->base_number, why, why_len)) {
        out->has_base_id = json_is_string(base);
        int rc = fm_json_to_doc(doc, data, why, why_len);
        out->data = fm_buf_span(doc);
        return rc == FM_OK || rc == FM_ENOMEM ? rc : FM_EFORMAT;
    }
    return FM_EFORMAT;
}

static int submit_begin(struct fm_op *op)
{
    const json_t *changes = json_object_get(op->request, "changes");
    if (!json_is_array(changes)) {
        fm_op_fail(op, "usage", "changes: want a list", NULL);
        return FM_OK;
    }
    if (!fm_op_tickets(op, json_array_size(changes)))
        return FM_ENOMEM;
    struct fm_span actor = fm_span_str(fm_op_text(op, "as", "operator"));
    struct fm_buf doc;
    fm_buf_init(&doc, FM_CHANGE_BYTES_MAX);
    int rc = FM_OK;
    for (size_t i = 0; rc == FM_OK && i < op->slot_count; i++) { /* rule 1: in list order, each sees those before it */
        const json_t *change = json_array_get(changes, i);
        struct fm_submission s;
        char why[200] = "";
        doc.len = 0;
        rc = read_change(&s, &doc, change, why, sizeof why);
        if (rc == FM_EFORMAT) {
            op->slots[i] = unreadable(change, why);
            rc = FM_OK;
            continue;
        }
        if (rc != FM_OK) /* the turn is lost: nothing is wrong with the change */
            break;
        s.ticket = op->ticket_first + i;
        s.actor = actor;
        rc = fm_node_event(op->n, &(struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s});
    }
    fm_buf_fini(&doc);
    return rc;
}

static void results_end(struct fm_op *op)
{
    json_t *results = json_array();
    for (size_t i = 0; i < op->slot_count; i++)
        json_array_append(results, op->slots[i] != NULL ? op->slots[i] : json_null());
    json_object_set_new(op->answer, "results", results);
}

static enum fm_strategy strategy_of(const char *name)
{
    return name == NULL                           ? 0
           : strcmp(name, "last_write_wins") == 0 ? FM_TAKE_WINNER
           : strcmp(name, "manual") == 0          ? FM_TAKE_DATA
           : strcmp(name, "merge") == 0           ? FM_MERGE
                                                  : 0;
}

/* One resolution: {conflict, strategy, data?, reason?} or {conflict, undo: true, reason?}. False: slot says why not. */
static bool read_resolution(struct fm_op *op, struct fm_resolution *out, struct fm_buf *doc, const json_t *item,
                            json_t **slot)
{
    char why[200] = "";
    const json_t *data = json_object_get(item, "data");
    struct fm_conflict entry;
    *out = (struct fm_resolution){.undo = json_is_true(json_object_get(item, "undo")),
                                  .strategy = strategy_of(json_string_value(json_object_get(item, "strategy"))),
                                  .reason = fm_op_span(json_object_get(item, "reason")),
                                  .actor = fm_span_str(fm_op_text(op, "as", "operator"))};
    if (fm_hex_parse(out->conflict.b, sizeof out->conflict.b, fm_op_span(json_object_get(item, "conflict"))) != FM_OK ||
        fm_store_conflict(op->n->store, &out->conflict, &entry) != FM_OK) {
        *slot = json_pack("{s:s, s:s, s:s}", "status", "failed", "code", "conflict-unknown", "message",
                          "no conflict of this id is known here");
        return false;
    }
    out->loser = entry.version;
    if (!out->undo && out->strategy == 0)
        snprintf(why, sizeof why, "strategy: want last_write_wins, manual or merge");
    else if (data != NULL && !json_is_object(data))
        snprintf(why, sizeof why, "data: want an object");
    else if (data == NULL || fm_json_to_doc(doc, data, why, sizeof why) == FM_OK) {
        out->data = data != NULL ? fm_buf_span(doc) : fm_span(NULL, 0);
        return true;
    }
    *slot = json_pack("{s:s, s:s, s:s}", "status", "failed", "code", "bad-change", "message", why);
    return false;
}

static int resolve_begin(struct fm_op *op)
{
    const json_t *items = json_object_get(op->request, "resolutions");
    if (!json_is_array(items) || !fm_op_tickets(op, json_array_size(items))) {
        fm_op_fail(op, "usage", "resolutions: want a list", NULL);
        return FM_OK;
    }
    struct fm_buf doc;
    fm_buf_init(&doc, FM_CHANGE_BYTES_MAX);
    int rc = FM_OK;
    for (size_t i = 0; rc == FM_OK && i < op->slot_count; i++) {
        struct fm_resolution s;
        doc.len = 0;
        if (!read_resolution(op, &s, &doc, json_array_get(items, i), &op->slots[i]))
            continue;
        s.ticket = op->ticket_first + i;
        rc = fm_node_event(op->n, &(struct fm_event){.kind = FM_EVENT_RESOLVE, .resolution = &s});
    }
    fm_buf_fini(&doc);
    return rc;
}

const struct fm_op_kind fm_op_submit_kinds[] = {
    {"submit", submit_begin, results_end},
    {"resolve", resolve_begin, results_end},
    {NULL, NULL, NULL},
};
