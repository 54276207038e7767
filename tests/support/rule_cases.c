#include "tests/support/rule_cases.h"

#include <assert.h>
#include <stdarg.h>

#include "node/json.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "tests/support/duo.h"

#define RESULTS_MAX 2048

struct run {
    struct fm_duo duo;
    struct fm_arena arena;
    json_t *results[RESULTS_MAX]; /* of the case's setup and batch, in order */
    size_t result_count;
    char *why;
};

static bool fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(run->why, 512, format, args);
    va_end(args);
    return false;
}

static const char *text_of(const json_t *object, const char *key, const char *absent)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : absent;
}

static int node_of(const json_t *batch)
{
    return strcmp(text_of(batch, "at", "camp"), "coordinator") == 0 ? FM_DUO_COORDINATOR : FM_DUO_CAMP;
}

/* --- looking into a node --- */

static void versions_of(struct run *run, int at, uint8_t kind, const struct fm_record_id *id, struct fm_version **versions,
                        size_t *count)
{
    const struct fm_port *port = fm_memory_port(run->duo.node[at].store);
    *count = 0;
    int rc = port->versions(port->ctx, kind, id, &run->arena, versions, count);
    assert(rc == FM_OK || rc == FM_ENOTFOUND);
}

static json_t *document_of(struct run *run, int at, const struct fm_version *v, char actor[65])
{
    struct fm_span document, who;
    int rc = fm_repl_document(run->duo.node[at].repl, v, &document, &who);
    assert(rc == FM_OK && who.len <= 64);
    memcpy(actor, who.data, who.len);
    actor[who.len] = '\0';
    return fm_json_from_doc(document);
}

static bool on_line(const struct fm_version *v)
{
    return v->place == FM_PLACE_WINNER || v->place == FM_PLACE_LINE;
}

/* "ID@NUMBER" or "ID@NUMBER by ACTOR"; off_line: one that is neither winner nor on its line. */
static const struct fm_version *version_named(struct run *run, int at, uint8_t kind, const char *name, bool off_line)
{
    struct fm_record_id id;
    struct fm_version *versions;
    size_t count;
    char *rest = NULL, actor[65];
    if (strlen(name) < 38 || fm_uuid_parse(&id, fm_span(name, 36)) != FM_OK)
        return NULL;
    unsigned long number = strtoul(name + 37, &rest, 10);
    const char *by = strncmp(rest, " by ", 4) == 0 ? rest + 4 : NULL;
    versions_of(run, at, kind, &id, &versions, &count);
    for (size_t i = 0; i < count; i++) {
        if (versions[i].number != number || !versions[i].counted || (off_line && on_line(&versions[i])))
            continue;
        json_decref(document_of(run, at, &versions[i], actor));
        if (by == NULL || strcmp(by, actor) == 0)
            return &versions[i];
    }
    return NULL;
}

/* --- what is handed in --- */

static json_t *result_json(const struct fm_result *res)
{
    static const char *const status[] = {"", "success", "conflict", "failed"};
    char id[37] = "";
    if (res->has_record)
        fm_uuid_text(id, &res->record);
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s%}", "status", status[res->status], "code", res->code, "message",
                            res->message, "serverId", id, "offlineId",
                            res->offline_id.len > 0 ? (const char *)res->offline_id.data : "", res->offline_id.len);
    if (res->document.len > 0)
        json_object_set_new(out, "conflictData", fm_json_from_doc(res->document));
    return out;
}

static struct fm_span text_span(const json_t *object, const char *key)
{
    return fm_span_str(text_of(object, key, ""));
}

static bool step(struct run *run, const json_t *batch, struct fm_event *event)
{
    int at = node_of(batch);
    event->now_ms = run->duo.now_ms + (uint64_t)json_integer_value(json_object_get(batch, "aheadMs"));
    fm_duo_step(&run->duo, at, event);
    if (run->duo.node[at].results != 1)
        return fail(run, "%u results for one change", run->duo.node[at].results); /* rule 3 */
    assert(run->result_count < RESULTS_MAX);
    run->results[run->result_count++] = result_json(&run->duo.node[at].result);
    if (run->duo.faulty)
        fm_duo_turn_end(&run->duo, at);
    if (run->duo.fault[0] != '\0')
        return fail(run, "%s", run->duo.fault);
    return true;
}

/* The data with the coordinator's key where it says "@coordinator". */
static json_t *data_of(struct run *run, const json_t *change)
{
    json_t *data = json_deep_copy(json_object_get(change, "data"));
    const struct fm_key *key = &run->duo.node[FM_DUO_COORDINATOR].self.author;
    char text[2 * FM_KEY_BYTES + 1];
    if (strcmp(text_of(data, "autoSettleNode", ""), "@coordinator") != 0)
        return data;
    for (size_t i = 0; i < FM_KEY_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", key->b[i]);
    json_object_set_new(data, "autoSettleNode", json_string(text));
    return data;
}

static bool submit(struct run *run, const json_t *batch, const json_t *change)
{
    struct fm_submission s = {.type = text_span(change, "type"), .action = text_span(change, "action"),
                              .offline_id = text_span(change, "offlineId"), .actor = text_span(batch, "as")};
    const json_t *number = json_object_get(change, "versionNumber"), *base = json_object_get(change, "baseVersion");
    const char *base_id = text_of(change, "baseVersionId", NULL);
    struct fm_event event = {.kind = FM_EVENT_SUBMIT, .submission = &s};
    struct fm_buf data;
    char why[200];
    fm_buf_init(&data, 0);
    json_t *given = data_of(run, change);
    int rc = fm_json_to_doc(&data, given, why, sizeof why);
    json_decref(given);
    if (rc != FM_OK)
        return fail(run, "data: %s", why);
    s.data = fm_buf_span(&data);
    s.has_version = json_is_integer(number);
    s.version = json_integer_value(number);
    s.has_base_number = json_is_integer(base);
    s.base_number = json_integer_value(base);
    if (base_id != NULL) {
        const struct fm_version *v = version_named(run, node_of(batch), (uint8_t)fm_kind_from(s.type), base_id, false);
        if (v == NULL)
            return fail(run, "no version %s", base_id);
        s.has_base_id = true;
        s.base_id = v->id;
    }
    bool ok = step(run, batch, &event);
    fm_buf_fini(&data);
    return ok;
}

static bool resolve(struct run *run, const json_t *batch, const json_t *item)
{
    struct fm_resolution s = {.reason = text_span(item, "reason"), .actor = text_span(batch, "as"),
                              .undo = json_is_true(json_object_get(item, "undo"))};
    const char *strategy = text_of(item, "resolutionStrategy", "last_write_wins");
    const json_t *given = json_object_get(item, "resolvedData");
    struct fm_event event = {.kind = FM_EVENT_RESOLVE, .resolution = &s};
    struct fm_buf data;
    char why[200];
    fm_buf_init(&data, 0);
    s.strategy = strcmp(strategy, "merge") == 0 ? FM_MERGE : strcmp(strategy, "manual") == 0 ? FM_TAKE_DATA : FM_TAKE_WINNER;
    if (given != NULL && fm_json_to_doc(&data, given, why, sizeof why) != FM_OK)
        return fail(run, "resolvedData: %s", why);
    s.data = fm_buf_span(&data);
    uint8_t kind = (uint8_t)fm_kind_from(fm_span_str(text_of(item, "type", "assessment")));
    bool off_line = !json_is_true(json_object_get(item, "any"));
    const struct fm_version *v = version_named(run, node_of(batch), kind, text_of(item, "loser", ""), off_line);
    if (v != NULL)
        s.loser = v->id;
    else
        memset(&s.loser, 0x77, sizeof s.loser); /* one that is held nowhere */
    bool ok = step(run, batch, &event);
    fm_buf_fini(&data);
    return ok;
}

static bool batch_run(struct run *run, const json_t *batch)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(batch, "changes"), i, item) {
        if (!submit(run, batch, item))
            return false;
    }
    json_array_foreach(json_object_get(batch, "resolve"), i, item) {
        if (!resolve(run, batch, item))
            return false;
    }
    fm_duo_turn_end(&run->duo, node_of(batch));
    if (json_is_true(json_object_get(batch, "sync")))
        fm_duo_hand_over(&run->duo);
    return true;
}

/* --- what must come of it --- */

/* Every key of `want` with its value; null: absent; objects are looked into. */
static bool subset(const json_t *want, const json_t *have, const char **key)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)want, name, value) {
        const json_t *found = json_object_get(have, name);
        *key = name;
        if (json_is_null(value) ? found != NULL
            : json_is_object(value) && json_is_object(found) ? !subset(value, found, key)
            : !json_equal(value, found))
            return false;
    }
    return true;
}

static bool check_result(struct run *run, size_t at, const json_t *want)
{
    static const char *const exact[] = {"status", "code", "serverId", "offlineId"};
    const json_t *have = run->results[at], *same = json_object_get(want, "sameIdAs");
    const char *message = text_of(want, "message", ""), *got = text_of(have, "message", ""), *key = "";
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
        const char *text = text_of(want, exact[i], NULL);
        if (text != NULL && strcmp(text, text_of(have, exact[i], "")) != 0)
            return fail(run, "result %zu: %s is '%s', want '%s' (%s)", at, exact[i], text_of(have, exact[i], ""), text, got);
    }
    if (strncmp(got, message, strlen(message)) != 0)
        return fail(run, "result %zu: message '%s', want '%s...'", at, got, message);
    const char *status = text_of(have, "status", ""), *id = text_of(have, "serverId", "");
    if ((strcmp(status, "failed") == 0) != (id[0] == '\0')) /* rule 2 */
        return fail(run, "result %zu: %s with serverId '%s'", at, status, id);
    if ((strcmp(status, "failed") == 0) != (text_of(have, "code", "")[0] != '\0'))
        return fail(run, "result %zu: %s with code '%s'", at, status, text_of(have, "code", ""));
    if (strcmp(status, "failed") == 0 && got[0] == '\0')
        return fail(run, "result %zu: failed without a reason", at);
    if (strcmp(status, "conflict") == 0 && json_object_get(have, "conflictData") == NULL) /* rule 3 */
        return fail(run, "result %zu: a conflict without conflictData", at);
    if (same != NULL && strcmp(id, text_of(run->results[json_integer_value(same)], "serverId", "?")) != 0)
        return fail(run, "result %zu: serverId %s is not result %d's", at, id, (int)json_integer_value(same));
    if (!subset(json_object_get(want, "conflictData"), json_object_get(have, "conflictData"), &key))
        return fail(run, "result %zu: conflictData.%s differs", at, key);
    return true;
}

static bool check_version(struct run *run, int at, const json_t *want, const struct fm_version *v, const char *id)
{
    const char *place = text_of(want, "place", NULL), *by = text_of(want, "by", NULL), *key = "";
    const char *cls = text_of(want, "class", NULL);
    char actor[65];
    json_t *document = document_of(run, at, v, actor);
    bool ok = true;
    if (place != NULL && strcmp(place, fm_place_name(v->place)) != 0)
        ok = fail(run, "%s version %u: is %s, want %s", id, v->number, fm_place_name(v->place), place);
    else if (cls != NULL && strcmp(cls, fm_class_name(v->cls)) != 0)
        ok = fail(run, "%s version %u: class %s, want %s", id, v->number, fm_class_name(v->cls), cls);
    else if (by != NULL && strcmp(by, actor) != 0)
        ok = fail(run, "%s version %u: by %s, want %s", id, v->number, actor, by);
    else if (!subset(json_object_get(want, "document"), document, &key)) {
        char *text = json_dumps(json_object_get(document, key), JSON_ENCODE_ANY);
        ok = fail(run, "%s version %u: field %s is %s", id, v->number, key, text != NULL ? text : "absent");
        free(text);
    }
    json_decref(document);
    return ok;
}

/* The parent of a version as "number" of the version it was made from; 0: none. */
static bool check_parent(struct run *run, const json_t *want, const struct fm_version *v, const struct fm_version *versions,
                         size_t count, const char *id)
{
    const json_t *parent = json_object_get(want, "parent");
    uint32_t number = 0;
    for (size_t i = 0; v->parent_count > 0 && i < count; i++)
        if (fm_id_eq(&versions[i].id, &v->parents[0]))
            number = versions[i].number;
    if (parent != NULL && json_integer_value(parent) != number)
        return fail(run, "%s version %u: made from version %u, want %d", id, v->number, number,
                    (int)json_integer_value(parent));
    return true;
}

static bool check_stored(struct run *run, int at, const json_t *want)
{
    const struct fm_port *port = fm_memory_port(run->duo.node[at].store);
    const json_t *of = json_object_get(want, "of"), *number = json_object_get(want, "version"), *total;
    const char *id = of != NULL ? text_of(run->results[json_integer_value(of)], "serverId", "") : text_of(want, "id", "");
    uint8_t kind = (uint8_t)fm_kind_from(fm_span_str(text_of(want, "type", "assessment")));
    const char *place = text_of(want, "place", NULL), *by = text_of(want, "by", NULL);
    struct fm_version *versions;
    struct fm_record_id record;
    struct fm_head head;
    size_t count;
    if (fm_uuid_parse(&record, fm_span_str(id)) != FM_OK)
        return fail(run, "stored: no id '%s'", id);
    int rc = port->head(port->ctx, kind, &record, &run->arena, &head);
    bool shown = rc == FM_OK && head.shown;
    if (json_is_false(json_object_get(want, "shown")) || !shown)
        return shown == json_is_false(json_object_get(want, "shown")) ? fail(run, "%s: %s here", id, shown ? "is" : "is not")
                                                                       : true;
    if ((total = json_object_get(want, "versions")) != NULL && json_integer_value(total) != head.versions)
        return fail(run, "%s: %u versions, want %d", id, head.versions, (int)json_integer_value(total));
    if ((total = json_object_get(want, "open")) != NULL && json_integer_value(total) != head.open)
        return fail(run, "%s: %u open conflicts, want %d", id, head.open, (int)json_integer_value(total));
    if ((total = json_object_get(want, "deleted")) != NULL && json_is_true(total) != head.deleted)
        return fail(run, "%s: %s deleted", id, head.deleted ? "is" : "is not");
    versions_of(run, at, kind, &record, &versions, &count);
    for (size_t i = 0; i < count; i++) {
        const struct fm_version *v = &versions[i];
        char actor[65];
        if (!v->counted || (number == NULL && v->place != FM_PLACE_WINNER) ||
            (number != NULL && json_integer_value(number) != v->number))
            continue;
        json_decref(document_of(run, at, v, actor));
        if ((by != NULL && strcmp(by, actor) != 0) || (place != NULL && strcmp(place, fm_place_name(v->place)) != 0))
            continue;
        return check_version(run, at, want, v, id) && check_parent(run, want, v, versions, count, id);
    }
    return fail(run, "%s: no version %d %s %s", id, (int)json_integer_value(number), place != NULL ? place : "",
                by != NULL ? by : "");
}

static bool check_conflicts(struct run *run, int at, const json_t *want)
{
    struct fm_record_ref ref;
    const struct fm_record_ref *after = NULL;
    const struct fm_port *port = fm_memory_port(run->duo.node[at].store);
    uint32_t open = 0;
    while (fm_memory_next_head(run->duo.node[at].store, after, &ref)) {
        struct fm_head head;
        if (port->head(port->ctx, ref.kind, &ref.record, &run->arena, &head) == FM_OK)
            open += head.open;
        after = &ref;
    }
    return want == NULL || json_integer_value(want) == open ||
           fail(run, "%u open conflicts, want %d", open, (int)json_integer_value(want));
}

static bool check(struct run *run, const json_t *batch, size_t first)
{
    const json_t *expect = json_object_get(batch, "expect"), *results = json_object_get(expect, "results"), *want;
    size_t i;
    if (results != NULL && json_array_size(results) != run->result_count - first)
        return fail(run, "%zu results, want %zu", run->result_count - first, json_array_size(results));
    json_array_foreach(results, i, want) {
        if (!check_result(run, first + i, want))
            return false;
    }
    json_array_foreach(json_object_get(expect, "stored"), i, want) {
        if (!check_stored(run, node_of(batch), want))
            return false;
    }
    return check_conflicts(run, node_of(batch), json_object_get(expect, "conflicts"));
}

/* A batch of a setup succeeds as a whole, or says what it expects. */
static bool setup_run(struct run *run, const json_t *batch)
{
    size_t first = run->result_count;
    if (!batch_run(run, batch))
        return false;
    if (json_object_get(batch, "expect") != NULL)
        return check(run, batch, first);
    for (size_t i = first; i < run->result_count; i++)
        if (strcmp(text_of(run->results[i], "status", ""), "success") != 0)
            return fail(run, "setup: %s: %s", text_of(run->results[i], "status", ""),
                        text_of(run->results[i], "message", ""));
    return true;
}

static bool case_run(const json_t *world, const json_t *rule_case, bool thorough, size_t *failures, char why[512])
{
    struct run *run = calloc(1, sizeof *run);
    const json_t *batch;
    bool ok = true;
    size_t i;
    assert(run != NULL);
    run->why = why;
    fm_duo_init(&run->duo);
    json_array_foreach(json_object_get(world, "batches"), i, batch)
        ok = ok && setup_run(run, batch);
    fm_duo_hand_over(&run->duo);
    for (i = 0; i < run->result_count; i++)
        json_decref(run->results[i]);
    run->result_count = 0;
    run->duo.faulty = failures != NULL && thorough;
    json_array_foreach(json_object_get(rule_case, "setup"), i, batch)
        ok = ok && setup_run(run, batch);
    size_t first = run->result_count;
    run->duo.faulty = failures != NULL;
    ok = ok && batch_run(run, rule_case) && check(run, rule_case, first);
    for (i = 0; i < run->result_count; i++)
        json_decref(run->results[i]);
    for (int at = 0; at < 2 && ok && failures != NULL && thorough; at++)
        fm_duo_restart(&run->duo, at);
    ok = ok && (run->duo.fault[0] == '\0' || fail(run, "%s", run->duo.fault));
    if (failures != NULL)
        *failures += run->duo.failures;
    fm_duo_fini(&run->duo);
    fm_arena_fini(&run->arena);
    free(run);
    return ok;
}

bool fm_rule_case_run(const json_t *world, const json_t *rule_case, char why[512])
{
    return case_run(world, rule_case, false, NULL, why);
}

bool fm_rule_case_run_failing(const json_t *world, const json_t *rule_case, bool thorough, size_t *failures, char why[512])
{
    return case_run(world, rule_case, thorough, failures, why);
}
