/* JSON changes as clients send them, at a coordinator and at a camp that meet in the end. The input is a list of changes
 * in the form of op_submit.c, with these beside it: "as" is who acts, "at": 1 is the camp; {"strategy": …, "undo": …}
 * decides on the first conflict that fits; a text ends the turn; null lets the nodes meet. Each gets exactly one result;
 * nothing that a node signed is void or waits; and in the end both nodes are in the same state. */
#include "node/json.h"
#include "replication/bounds.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/set.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/duo.h"
#include "tests/support/text_doc.h"

#define CHANGES_MAX 24u

static struct fm_duo duo;
static struct fm_arena arena;

static struct fm_span text_of(const json_t *object, const char *key, const char *otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? fm_span(json_string_value(value), json_string_length(value)) : fm_span_str(otherwise);
}

static void one_result(int at)
{
    const struct fm_result *res = &duo.node[at].result;
    FUZZ_CHECK(duo.node[at].results == 1); /* rule 3 */
    FUZZ_CHECK(res->status == FM_SUCCESS || res->status == FM_CONFLICT || res->status == FM_FAILED);
    FUZZ_CHECK((res->status == FM_FAILED) == (res->code[0] != '\0'));
    FUZZ_CHECK(res->status != FM_FAILED || !(res->has_record || res->has_version));
    FUZZ_CHECK(res->status == FM_FAILED || res->has_record);
    FUZZ_CHECK(res->document.len == 0 || fm_doc_check(res->document) == FM_OK);
    json_t *message = json_string(res->message); /* it goes out as JSON */
    FUZZ_CHECK(message != NULL);
    json_decref(message);
}

static void submit(int at, const struct fm_submission *s)
{
    fm_duo_step(&duo, at, &(struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = s});
    one_result(at);
}

static void world(void)
{
    static const char *const texts[][2] = {
        {"entity", "{id:\"0e000000-0000-4000-8000-000000000001\", name:\"Dikwa\", autoApproveEnabled:true}"},
        {"entity", "{id:\"0e000000-0000-4000-8000-000000000002\", name:\"Bama\"}"},
        {"user", "{id:\"0a000000-0000-4000-8000-000000000001\", name:\"A\"}"},
        {"user", "{id:\"0a000000-0000-4000-8000-000000000002\", name:\"C\", roles:[\"COORDINATOR\"]}"},
        {"assignment", "{entityId:\"0e000000-0000-4000-8000-000000000001\", "
                       "userId:\"0a000000-0000-4000-8000-000000000001\", role:\"ASSESSOR\"}"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct fm_submission s = {.type = fm_span_str(texts[i][0]), .action = fm_span_str("create"), .has_version = true,
                                  .version = 1, .actor = fm_span_str("operator"), .offline_id = fm_span_str("")};
        s.data = fm_text_doc(&arena, texts[i][1]);
        submit(FM_DUO_COORDINATOR, &s);
        FUZZ_CHECK(duo.node[FM_DUO_COORDINATOR].result.status == FM_SUCCESS);
    }
    fm_duo_turn_end(&duo, FM_DUO_COORDINATOR);
    fm_duo_hand_over(&duo);
}

static void change(const json_t *item, int at)
{
    struct fm_submission s = {.type = text_of(item, "type", ""), .action = text_of(item, "action", ""),
                              .offline_id = text_of(item, "offlineId", ""), .actor = text_of(item, "as", "operator"),
                              .ticket = 5};
    const json_t *number = json_object_get(item, "versionNumber"), *base = json_object_get(item, "baseVersion");
    struct fm_buf doc;
    char why[200];
    fm_buf_init(&doc, FM_CHANGE_BYTES_MAX);
    if (fm_json_to_doc(&doc, json_object_get(item, "data"), why, sizeof why) == FM_OK) {
        s.data = fm_buf_span(&doc);
        s.has_version = json_is_integer(number);
        s.version = json_integer_value(number);
        s.has_base_number = json_is_integer(base);
        s.base_number = json_integer_value(base);
        s.has_base_id = fm_hex_parse(s.base_id.b, sizeof s.base_id.b, text_of(item, "baseVersionId", "")) == FM_OK;
        submit(at, &s);
        FUZZ_CHECK(duo.node[at].result.ticket == 5);
    }
    fm_buf_fini(&doc);
}

/* The first version at this place, in any record. */
static bool find(int at, enum fm_place place, struct fm_version *out)
{
    const struct fm_port *port = fm_memory_port(duo.node[at].store);
    struct fm_record_ref ref, *after = NULL;
    while (fm_memory_next_head(duo.node[at].store, after, &ref)) {
        struct fm_version *versions;
        size_t count = 0;
        FUZZ_CHECK(port->versions(port->ctx, ref.kind, &ref.record, &arena, &versions, &count) == FM_OK);
        for (size_t i = 0; i < count; i++)
            if (versions[i].place == place) {
                *out = versions[i];
                return true;
            }
        after = &ref;
    }
    return false;
}

static void decide(const json_t *item, int at)
{
    struct fm_span strategy = text_of(item, "strategy", "");
    struct fm_resolution s = {.undo = json_is_true(json_object_get(item, "undo")), .reason = text_of(item, "reason", ""),
                              .actor = text_of(item, "as", "operator")};
    const json_t *data = json_object_get(item, "data");
    struct fm_version v;
    struct fm_buf doc;
    char why[200];
    s.strategy = fm_span_eq(strategy, fm_span_str("manual")) ? FM_TAKE_DATA
                 : fm_span_eq(strategy, fm_span_str("merge")) ? FM_MERGE
                                                              : FM_TAKE_WINNER;
    if (!find(at, s.undo ? FM_PLACE_SETTLED : FM_PLACE_OPEN, &v))
        return;
    s.loser = v.id;
    fm_conflict_id_of(&s.conflict, &duo.node[at].crypto, v.kind, &v.record, &v.id);
    fm_buf_init(&doc, FM_CHANGE_BYTES_MAX);
    if (data == NULL || fm_json_to_doc(&doc, data, why, sizeof why) == FM_OK) {
        s.data = fm_buf_span(&doc);
        fm_duo_step(&duo, at, &(struct fm_event){.kind = FM_EVENT_RESOLVE, .resolution = &s});
        one_result(at);
    }
    fm_buf_fini(&doc);
}

/* Nothing that these two signed is void, waits or is unknown. */
static void all_count(int at)
{
    const struct fm_port *port = fm_memory_port(duo.node[at].store);
    struct fm_record_ref ref, *after = NULL;
    struct fm_set_meta meta;
    while (fm_memory_next_head(duo.node[at].store, after, &ref)) {
        struct fm_version *versions;
        size_t count = 0;
        FUZZ_CHECK(port->versions(port->ctx, ref.kind, &ref.record, &arena, &versions, &count) == FM_OK && count > 0);
        for (size_t i = 0; i < count; i++)
            FUZZ_CHECK(versions[i].status == FM_VALID && versions[i].counted && versions[i].place != FM_PLACE_NONE);
        after = &ref;
    }
    for (uint64_t arrival = 1; port->set_next(port->ctx, arrival, &meta) == FM_OK; arrival = meta.arrival + 1)
        FUZZ_CHECK(meta.verdict == FM_COUNTED);
}

static void meet(void)
{
    struct fm_digest x[2], y[2];
    fm_duo_turn_end(&duo, FM_DUO_COORDINATOR);
    fm_duo_turn_end(&duo, FM_DUO_CAMP);
    fm_duo_hand_over(&duo);
    FUZZ_CHECK(fm_repl_digest(duo.node[0].repl, &x[0], &x[1]) == FM_OK);
    FUZZ_CHECK(fm_repl_digest(duo.node[1].repl, &y[0], &y[1]) == FM_OK);
    FUZZ_CHECK(fm_id_eq(&x[0], &y[0]) && fm_id_eq(&x[1], &y[1]));
    all_count(FM_DUO_COORDINATOR);
    all_count(FM_DUO_CAMP);
}

FUZZ_TARGET(4096, 8 << 20)
{
    char why[200];
    static struct fm_duo base;
    fuzz_memory_pause(true);
    if (base.steps == 0) {
        fm_duo_init(&duo);
        world();
        base = duo; /* its cores are not used again */
    }
    fuzz_memory_pause(false);
    json_t *list = fm_json_parse(fm_span(data, size), why, sizeof why);
    if (json_is_array(list)) {
        fm_duo_copy(&duo, &base);
        for (size_t i = 0; i < json_array_size(list) && i < CHANGES_MAX; i++) {
            const json_t *item = json_array_get(list, i);
            int at = json_integer_value(json_object_get(item, "at")) == 1 ? FM_DUO_CAMP : FM_DUO_COORDINATOR;
            if (json_is_string(item))
                fm_duo_turn_end(&duo, FM_DUO_COORDINATOR);
            else if (json_is_null(item))
                meet();
            else if (json_object_get(item, "strategy") != NULL)
                decide(item, at);
            else if (json_is_object(json_object_get(item, "data")))
                change(item, at);
        }
        meet();
        fm_duo_fini(&duo);
        fm_arena_fini(&arena);
    }
    json_decref(list);
    return 0;
}
