/* Submissions at random, at two nodes that meet now and then: what this node signs is never void or waiting, every change
 * gets one result, success means "is shown", nothing typed in is lost, and both nodes come to the same state. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/doc.h"
#include "replication/error.h"
#include "replication/submit.h"
#include "replication/uuid.h"
#include "tests/support/duo.h"
#include "tests/support/text_doc.h"

#define PEOPLE 3
#define RECORDS 3
#define SEEDS 60
#define OPERATIONS 60

struct world {
    struct fm_duo duo;
    struct fm_arena arena;
    uint64_t random;
    uint64_t count[4]; /* results by status */
};

static uint64_t draw(struct world *w, uint64_t below)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (w->random >> 33) % below;
}

static const char *person(uint64_t i)
{
    static const char *const ids[] = {"0a000000-0000-4000-8000-000000000001", "0a000000-0000-4000-8000-000000000002",
                                      "0a000000-0000-4000-8000-000000000003", "operator"};
    return ids[i];
}

static const char ENTITY[] = "0e000000-0000-4000-8000-000000000001";

static const struct fm_result *submit(struct world *w, int at, const char *type, const char *action, const char *actor,
                                      int64_t number, const char *document, struct fm_submission *extra)
{
    struct fm_submission s = extra != NULL ? *extra : (struct fm_submission){0};
    s.type = fm_span_str(type);
    s.action = fm_span_str(action);
    s.actor = fm_span_str(actor);
    s.has_version = true;
    s.version = number;
    s.data = fm_text_doc(&w->arena, document);
    fm_duo_step(&w->duo, at, &(struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s});
    assert_int_equal(w->duo.node[at].results, 1); /* rule 3 */
    return &w->duo.node[at].result;
}

static void people(struct world *w)
{
    char text[400];
    (void)snprintf(text, sizeof text, "{id:\"%s\", name:\"Dikwa\", autoApproveEnabled:true}", ENTITY);
    assert_int_equal(submit(w, 0, "entity", "create", "operator", 1, text, NULL)->status, FM_SUCCESS);
    for (uint64_t i = 0; i < PEOPLE; i++) {
        (void)snprintf(text, sizeof text, "{id:\"%s\", name:\"P\", roles:[%s]}", person(i),
                       i == 2 ? "\"COORDINATOR\"" : "");
        assert_int_equal(submit(w, 0, "user", "create", "operator", 1, text, NULL)->status, FM_SUCCESS);
        (void)snprintf(text, sizeof text, "{entityId:\"%s\", userId:\"%s\", role:\"ASSESSOR\"}", ENTITY, person(i));
        assert_int_equal(submit(w, 0, "assignment", "create", "operator", 1, text, NULL)->status, FM_SUCCESS);
    }
    fm_duo_turn_end(&w->duo, 0);
    fm_duo_hand_over(&w->duo);
}

static void record_id(struct fm_record_id *out, uint64_t i)
{
    memset(out->b, 0, sizeof out->b);
    out->b[0] = 1;
    out->b[15] = (uint8_t)i;
}

/* One change at random: kinds of numbers, bases, verdicts, deletions, other content. */
static void change(struct world *w, int at)
{
    static const char *const statuses[] = {"PENDING", "VERIFIED", "REJECTED", "AUTO_VERIFIED"};
    struct fm_submission extra = {.offline_id = fm_span_str("")};
    struct fm_record_id id;
    char uuid[37], text[600], verdict[160] = "";
    record_id(&id, draw(w, RECORDS));
    fm_uuid_text(uuid, &id);
    uint64_t kind = draw(w, 10), field = draw(w, 4), value = draw(w, 3);
    int64_t number = 1 + (int64_t)draw(w, draw(w, 4) == 0 ? 1300 : 8);
    if (draw(w, 3) == 0) {
        extra.has_base_number = true;
        extra.base_number = (int64_t)draw(w, 8);
    }
    if (draw(w, 4) == 0)
        (void)snprintf(verdict, sizeof verdict,
                       ", verificationStatus:\"%s\", rejectionReason:\"r\", rejectionFeedback:\"f\"", statuses[draw(w, 4)]);
    (void)snprintf(text, sizeof text,
                   kind < 2 ? "{id:\"%s\", entityId:\"%s\", assessmentType:\"WASH\", assessmentDate:\"2026-10-31\", "
                              "f%u:%u%s}"
                            : "{id:\"%s\", entityId:\"%s\", f%u:%u%s}",
                   uuid, ENTITY, (unsigned)field, (unsigned)value, verdict);
    const struct fm_result *res = submit(w, at, "assessment", kind < 2 ? "create" : kind == 9 ? "delete" : "update",
                                         person(draw(w, at == 0 ? 4 : 3)), number, text, &extra);
    w->count[res->status]++;
    if (res->has_version && kind >= 2) { /* success: it is what is shown now; conflict: it is not */
        struct fm_head head;
        const struct fm_port *port = fm_memory_port(w->duo.node[at].store);
        assert_int_equal(port->head(port->ctx, FM_KIND_ASSESSMENT, &id, &w->arena, &head), FM_OK);
        assert_true((res->status == FM_SUCCESS) == fm_id_eq(&head.winner, &res->version));
    }
}

/* A decision on the first open or settled entry of a record. */
static void decide(struct world *w)
{
    const struct fm_port *port = fm_memory_port(w->duo.node[0].store);
    struct fm_record_id id;
    struct fm_version *versions;
    size_t count = 0;
    bool undo = draw(w, 3) == 0;
    record_id(&id, draw(w, RECORDS));
    if (port->versions(port->ctx, FM_KIND_ASSESSMENT, &id, &w->arena, &versions, &count) != FM_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        struct fm_resolution s = {.strategy = draw(w, 2) == 0 ? FM_TAKE_WINNER : FM_MERGE, .undo = undo,
                                  .loser = versions[i].id, .actor = fm_span_str(person(2)),
                                  .reason = fm_span_str("seen")};
        if (versions[i].place != (undo ? FM_PLACE_SETTLED : FM_PLACE_OPEN) || (undo && !versions[i].has_by))
            continue;
        fm_duo_step(&w->duo, 0, &(struct fm_event){.kind = FM_EVENT_RESOLVE, .resolution = &s});
        assert_int_equal(w->duo.node[0].results, 1);
        w->count[w->duo.node[0].result.status]++;
        return;
    }
}

/* Nothing that a node of ours signed is void or waits; each counted version has one place. */
static void all_count(struct world *w, int at, uint64_t seed)
{
    const struct fm_port *port = fm_memory_port(w->duo.node[at].store);
    for (uint64_t i = 0; i < RECORDS; i++) {
        struct fm_record_id id;
        struct fm_version *versions;
        size_t count = 0;
        record_id(&id, i);
        if (port->versions(port->ctx, FM_KIND_ASSESSMENT, &id, &w->arena, &versions, &count) != FM_OK)
            continue;
        for (size_t j = 0; j < count; j++) {
            if (versions[j].status != FM_VALID || !versions[j].counted || versions[j].place == FM_PLACE_NONE)
                fail_msg("seed %llu: record %u version %u is void: %s", (unsigned long long)seed, (unsigned)i,
                         versions[j].number, fm_why_text(versions[j].why));
        }
    }
}

static void what_is_signed_counts_and_nodes_agree(void **state)
{
    uint64_t total[4] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *w = calloc(1, sizeof *w);
        struct fm_digest sets[2], states[2];
        assert_non_null(w);
        w->random = seed * 77777;
        fm_duo_init(&w->duo);
        people(w);
        for (unsigned i = 0; i < OPERATIONS; i++) {
            int at = (int)draw(w, 2);
            if (at == 0 && draw(w, 6) == 0)
                decide(w);
            else
                change(w, at);
            if (draw(w, 3) == 0)
                fm_duo_turn_end(&w->duo, at);
            if (draw(w, 10) == 0) {
                fm_duo_turn_end(&w->duo, 0);
                fm_duo_turn_end(&w->duo, 1);
                fm_duo_hand_over(&w->duo);
            }
        }
        fm_duo_turn_end(&w->duo, 0);
        fm_duo_turn_end(&w->duo, 1);
        fm_duo_hand_over(&w->duo);
        for (int at = 0; at < 2; at++) {
            all_count(w, at, seed);
            assert_int_equal(fm_repl_digest(w->duo.node[at].repl, &sets[at], &states[at]), FM_OK);
        }
        assert_memory_equal(&sets[0], &sets[1], sizeof sets[0]);
        assert_memory_equal(&states[0], &states[1], sizeof states[0]);
        for (size_t i = 0; i < 4; i++)
            total[i] += w->count[i];
        fm_duo_fini(&w->duo);
        fm_arena_fini(&w->arena);
        free(w);
    }
    for (int status = FM_SUCCESS; status <= FM_FAILED; status++) /* the draws do reach all three answers */
        assert_true(total[status] > SEEDS * OPERATIONS / 20);
}

/* A document of about `bytes` bytes: four texts, as one may not be larger than 16 KiB. */
static const struct fm_result *submit_sized(struct world *w, size_t bytes, int64_t number)
{
    size_t room = bytes + 400, each = bytes / 5;
    char *text = malloc(room), *fill = malloc(bytes + 1);
    assert_true(text != NULL && fill != NULL);
    memset(fill, 'x', bytes);
    (void)snprintf(text, room,
                   "{id:\"01000000-0000-4000-8000-%012u\", entityId:\"%s\", assessmentType:\"WASH\", "
                   "assessmentDate:\"2026-10-31\", "
                   "a:\"%.*s\", b:\"%.*s\", c:\"%.*s\", d:\"%.*s\", e:\"%.*s\"}",
                   (unsigned)bytes, ENTITY, (int)each, fill, (int)each, fill, (int)each, fill, (int)each, fill,
                   (int)(bytes - 4 * each), fill);
    const struct fm_result *res = submit(w, 1, "assessment", "create", person(0), number, text, NULL);
    free(text);
    free(fill);
    return res;
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    fm_duo_init(&w->duo);
    people(w);
    return w;
}

static void world_free(struct world *w)
{
    fm_duo_fini(&w->duo);
    fm_arena_fini(&w->arena);
    free(w);
}

static void a_change_as_large_as_may_be_is_taken_and_a_larger_one_is_refused(void **state)
{
    struct world *w = world_new();
    size_t largest = 0, smallest_refused = SIZE_MAX;
    (void)state;
    for (size_t bytes = 64800; bytes < 65480; bytes += bytes < 64950 || bytes > 65150 ? 16 : 1) {
        const struct fm_result *res = submit_sized(w, bytes, 1);
        if (res->status == FM_SUCCESS)
            largest = bytes;
        else if (smallest_refused == SIZE_MAX)
            smallest_refused = bytes;
        if (res->status != FM_SUCCESS) {
            assert_int_equal(res->status, FM_FAILED);
            assert_true(strcmp(res->code, "too-large") == 0 || strcmp(res->code, "field") == 0);
        }
        fm_arena_reset(&w->arena);
    }
    assert_true(largest > 64800 && largest + 1 == smallest_refused); /* one edge, nothing in between */
    fm_duo_turn_end(&w->duo, 1);
    fm_duo_hand_over(&w->duo);
    world_free(w);
}

static void texts_beside_the_document_are_outside_input_too(void **state)
{
    static const char document[] = "{entityId:\"0e000000-0000-4000-8000-000000000001\", assessmentType:\"WASH\", "
                                   "assessmentDate:\"2026-10-31\"}";
    struct world *w = world_new();
    struct fm_submission odd = {.offline_id = fm_span("\xff\xfe", 2)};
    const struct fm_result *res = submit(w, 1, "assessment", "create", person(0), 1, document, &odd);
    (void)state;
    assert_int_equal(res->status, FM_FAILED);
    assert_string_equal(res->code, "field");
    res = submit(w, 1, "\xff\x01", "create", person(0), 1, document, NULL);
    assert_int_equal(res->status, FM_FAILED);
    res = submit(w, 1, "assessment", "create", "0a000000-0000-4000-8000-00000000000", 1, document, NULL);
    assert_string_equal(res->code, "person-unknown");
    struct fm_submission s = {.type = fm_span_str("assessment"), .action = fm_span_str("create"),
                              .actor = fm_span_str(person(0)), .data = fm_span("\xc1", 1)};
    fm_duo_step(&w->duo, 1, &(struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s});
    assert_string_equal(w->duo.node[1].result.code, "field");
    world_free(w);
}

static void a_node_without_a_grant_takes_nothing_in(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct fm_version_id nobody = {{1}};
    (void)state;
    assert_non_null(w);
    fm_duo_init(&w->duo);
    struct fm_duo_node *n = &w->duo.node[FM_DUO_CAMP]; /* begins again: a fresh store, no set of the mesh */
    fm_repl_free(n->repl);
    fm_memory_free(n->store);
    n->store = fm_memory_new();
    n->repl = fm_repl_new(&n->self, &n->crypto, fm_memory_port(n->store));
    fm_duo_step(&w->duo, FM_DUO_CAMP, &(struct fm_event){.kind = FM_EVENT_START});
    const struct fm_result *res = submit(w, FM_DUO_CAMP, "assessment", "create", person(0), 1, "{}", NULL);
    assert_int_equal(res->status, FM_FAILED);
    assert_string_equal(res->code, "not-joined");
    struct fm_resolution s = {.strategy = FM_TAKE_WINNER, .loser = nobody, .actor = fm_span_str("operator")};
    fm_duo_step(&w->duo, FM_DUO_CAMP, &(struct fm_event){.kind = FM_EVENT_RESOLVE, .resolution = &s});
    assert_string_equal(n->result.code, "not-joined");
    world_free(w);
}

/* --- documents that came from elsewhere: nobody checked their fields --- */

/* A change as another program could have signed it, in a set of its own. */
static void raw(struct world *w, int at, uint8_t kind, const char *uuid, const char *document)
{
    struct fm_duo_node *n = &w->duo.node[at];
    struct fm_change change = {.kind = kind, .action = FM_CREATE, .version = 1, .actor = fm_span_str("operator"),
                               .document = fm_text_doc(&w->arena, document)};
    struct fm_event event = {.kind = FM_EVENT_SUBMIT, .now_ms = w->duo.now_ms};
    struct fm_version_id id;
    struct fm_buf item;
    fm_buf_init(&item, 0);
    assert_int_equal(fm_uuid_parse(&change.record, fm_span_str(uuid)), FM_OK);
    assert_int_equal(fm_change_encode(&item, &change), FM_OK);
    n->repl->event = &event;
    n->repl->sink = &n->sink;
    assert_int_equal(fm_turn_add(n->repl, FM_LANE_RECORDS, fm_buf_span(&item), &id), FM_OK);
    assert_int_equal(fm_touch_settle(n->repl), FM_OK);
    n->repl->event = NULL;
    n->repl->sink = NULL;
    fm_buf_fini(&item);
    fm_duo_turn_end(&w->duo, at);
}

#define SOMEBODY "0a000000-0000-4000-8000-00000000000%u"

static void people_of_any_form_have_the_roles_that_can_be_read(void **state)
{
    static const struct {
        const char *fields;
        bool inactive, coordinator;
    } cases[] = {
        {"name:\"P\"", false, false},
        {"roles:\"COORDINATOR\"", false, false},
        {"roles:[1,\"COORDINATOR\"]", false, true},
        {"roles:[\"ADMIN\"]", false, false},
        {"isActive:true,roles:[\"COORDINATOR\"]", false, true},
        {"isActive:\"no\",roles:[\"COORDINATOR\"]", false, true},
        {"isActive:false,roles:[\"COORDINATOR\"]", true, false},
    };
    struct world *w = world_new();
    struct fm_repl *hub = w->duo.node[FM_DUO_COORDINATOR].repl;
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fm_result res = {.status = FM_SUCCESS};
        struct fm_actor actor;
        char uuid[40], text[120];
        (void)snprintf(uuid, sizeof uuid, SOMEBODY, i + 1);
        uuid[34] = '5'; /* none of the world's people */
        (void)snprintf(text, sizeof text, "{%s}", cases[i].fields);
        raw(w, FM_DUO_COORDINATOR, FM_KIND_USER, uuid, text);
        int rc = fm_actor_find(hub, fm_span_str(uuid), &actor, &res);
        assert_int_equal(rc != FM_OK, cases[i].inactive);
        if (rc == FM_OK)
            assert_true(actor.coordinator == cases[i].coordinator && actor.decides == cases[i].coordinator);
        else
            assert_string_equal(res.code, "person-inactive");
    }
    world_free(w);
}

static void an_entity_that_is_not_named_approves_of_nothing(void **state)
{
    static const struct {
        const char *document;
        bool yes;
    } cases[] = {
        {"{assessmentType:\"WASH\"}", false},
        {"{assessmentType:\"WASH\",entityId:\"Dikwa\"}", false},
        {"{assessmentType:\"WASH\",entityId:\"0e000000-0000-4000-8000-000000000009\"}", false},
        {"{assessmentType:\"WASH\",entityId:\"0e000000-0000-4000-8000-000000000001\"}", true},
    };
    struct world *w = world_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool yes = !cases[i].yes;
        struct fm_span document = fm_text_doc(&w->arena, cases[i].document);
        assert_int_equal(fm_approval_decide(w->duo.node[1].repl, FM_KIND_ASSESSMENT, document, &yes), FM_OK);
        assert_int_equal(yes, cases[i].yes);
    }
    world_free(w);
}

/* The questions are those of the stored type; of no known type there are none. */
static void answers_are_checked_against_the_stored_type(void **state)
{
    static const struct {
        const char *type, *answers;
        enum fm_result_status status;
    } cases[] = {
        {"assessmentType:\"WASH\",", "{numberToilets:3}", FM_SUCCESS},
        {"assessmentType:\"WASH\",", "{numberToilets:\"many\"}", FM_FAILED},
        {"assessmentType:\"WASH\",", "null", FM_SUCCESS},
        {"assessmentType:\"OTHER\",", "{numberToilets:\"many\"}", FM_SUCCESS},
        {"", "{numberToilets:\"many\"}", FM_SUCCESS},
    };
    struct world *w = world_new();
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char uuid[40], text[300];
        (void)snprintf(uuid, sizeof uuid, "01000000-0000-4000-8000-00000000001%u", i);
        (void)snprintf(text, sizeof text, "{%sentityId:\"%s\",id:\"%s\"}", cases[i].type, ENTITY, uuid);
        raw(w, FM_DUO_CAMP, FM_KIND_ASSESSMENT, uuid, text);
        (void)snprintf(text, sizeof text, "{id:\"%s\",assessmentData:%s}", uuid, cases[i].answers);
        const struct fm_result *res = submit(w, FM_DUO_CAMP, "assessment", "update", person(0), 2, text, NULL);
        if (res->status != cases[i].status)
            fail_msg("case %u: %s: %s", i, res->code, res->message);
        if (res->status == FM_FAILED)
            assert_string_equal(res->message, "assessmentData.numberToilets: want a whole number, 0 or more");
    }
    world_free(w);
}

static void what_is_stored_completes_a_create_that_comes_again(void **state)
{
    struct world *w = world_new();
    char text[300];
    struct fm_head head;
    struct fm_record_id id;
    const struct fm_port *port = fm_memory_port(w->duo.node[FM_DUO_CAMP].store);
    (void)state;
    (void)snprintf(text, sizeof text,
                   "{id:\"01000000-0000-4000-8000-000000000021\", offlineId:\"local-7\", entityId:\"%s\", "
                   "assessmentType:\"WASH\", assessmentDate:\"2026-10-31\"}",
                   ENTITY);
    assert_int_equal(submit(w, 1, "assessment", "create", person(0), 1, text, NULL)->status, FM_SUCCESS);
    (void)snprintf(text, sizeof text,
                   "{id:\"01000000-0000-4000-8000-000000000021\", entityId:\"%s\", "
                   "assessmentType:\"WASH\", assessmentDate:\"2026-10-31\"}",
                   ENTITY);
    const struct fm_result *res = submit(w, 1, "assessment", "create", person(0), 1, text, NULL);
    assert_int_equal(res->status, FM_SUCCESS);
    assert_string_equal(res->message, "Assessment already synced");
    assert_int_equal(fm_uuid_parse(&id, fm_span_str("01000000-0000-4000-8000-000000000021")), FM_OK);
    assert_int_equal(port->head(port->ctx, FM_KIND_ASSESSMENT, &id, &w->arena, &head), FM_OK);
    assert_int_equal(head.versions, 1);
    assert_true(fm_span_eq(head.offline_id, fm_span_str("local-7")));
    world_free(w);
}

static void settings_of_approval_may_be_cleared_but_not_be_nonsense(void **state)
{
    static const struct {
        const char *settings;
        enum fm_result_status status;
    } cases[] = {{"null", FM_SUCCESS}, {"{scope:\"both\"}", FM_SUCCESS}, {"{scope:\"all\"}", FM_FAILED}};
    struct world *w = world_new();
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        (void)snprintf(text, sizeof text, "{name:\"Camp %u\",autoApproval:%s}", i, cases[i].settings);
        const struct fm_result *res = submit(w, 0, "entity", "create", "operator", 1, text, NULL);
        assert_int_equal(res->status, cases[i].status);
        if (res->status == FM_FAILED)
            assert_string_equal(res->message, "autoApproval.scope: want one of assessments responses both");
    }
    world_free(w);
}

static void an_assignment_is_updated_by_its_id_alone(void **state)
{
    struct world *w = world_new();
    char uuid[37], text[300];
    (void)state;
    (void)snprintf(text, sizeof text, "{entityId:\"%s\", userId:\"%s\", role:\"DONOR\"}", ENTITY, person(0));
    const struct fm_result *res = submit(w, 0, "assignment", "create", "operator", 1, text, NULL);
    assert_int_equal(res->status, FM_SUCCESS);
    struct fm_record_id id = res->record;
    fm_uuid_text(uuid, &id);
    (void)snprintf(text, sizeof text, "{id:\"%s\", isActive:false}", uuid);
    res = submit(w, 0, "assignment", "update", "operator", 2, text, NULL);
    assert_int_equal(res->status, FM_SUCCESS);
    assert_memory_equal(res->record.b, id.b, sizeof id.b);
    res = submit(w, 0, "assignment", "update", "operator", 3, "{isActive:true}", NULL); /* neither id nor triple */
    assert_int_equal(res->status, FM_FAILED);
    assert_string_equal(res->code, "field");
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_of_any_form_have_the_roles_that_can_be_read),
        cmocka_unit_test(an_entity_that_is_not_named_approves_of_nothing),
        cmocka_unit_test(answers_are_checked_against_the_stored_type),
        cmocka_unit_test(what_is_stored_completes_a_create_that_comes_again),
        cmocka_unit_test(settings_of_approval_may_be_cleared_but_not_be_nonsense),
        cmocka_unit_test(an_assignment_is_updated_by_its_id_alone),
        cmocka_unit_test(what_is_signed_counts_and_nodes_agree),
        cmocka_unit_test(a_change_as_large_as_may_be_is_taken_and_a_larger_one_is_refused),
        cmocka_unit_test(texts_beside_the_document_are_outside_input_too),
        cmocka_unit_test(a_node_without_a_grant_takes_nothing_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
