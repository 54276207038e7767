/* Submissions on what is stored already, as other programs and nodes may have written it: without fields that ours always
 * writes, beside versions that do not count, near the limit of one change. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/inner.h"
#include "replication/submit.h"
#include "replication/uuid.h"
#include "tests/support/duo.h"
#include "tests/support/text_doc.h"

#define HUB FM_DUO_COORDINATOR
#define CAMP FM_DUO_CAMP
#define ENTITY "0e000000-0000-4000-8000-000000000001"
#define AMINA "0a000000-0000-4000-8000-000000000001" /* an assessor of the entity */
#define CHIDI "0a000000-0000-4000-8000-000000000003" /* a coordinator */
#define ID(n) "01000000-0000-4000-8000-00000000000" #n

struct world {
    struct fm_duo duo;
    struct fm_arena arena;
    struct fm_record_id assignment;
};

static const struct fm_result *submit(struct world *w, int at, const char *type, const char *action, const char *actor,
                                      int64_t number, const char *document)
{
    struct fm_submission s = {.type = fm_span_str(type),
                              .action = fm_span_str(action),
                              .actor = fm_span_str(actor),
                              .has_version = true,
                              .version = number,
                              .data = fm_text_doc(&w->arena, document)};
    fm_duo_step(&w->duo, at, &(struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s});
    assert_int_equal(w->duo.node[at].results, 1);
    return &w->duo.node[at].result;
}

static void succeeds(const struct fm_result *res)
{
    if (res->status != FM_SUCCESS)
        fail_msg("%s: %s", res->code, res->message);
}

static void fails(const struct fm_result *res, const char *code, const char *front)
{
    assert_int_equal(res->status, FM_FAILED);
    assert_string_equal(res->code, code);
    if (strncmp(res->message, front, strlen(front)) != 0)
        fail_msg("'%s', not '%s'", res->message, front);
}

static void turn(struct world *w)
{
    fm_duo_turn_end(&w->duo, HUB);
    fm_duo_turn_end(&w->duo, CAMP);
    fm_duo_hand_over(&w->duo);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    fm_duo_init(&w->duo);
    succeeds(
        submit(w, HUB, "entity", "create", "operator", 1, "{id:\"" ENTITY "\", name:\"Dikwa\", autoApproveEnabled:true}"));
    succeeds(submit(w, HUB, "user", "create", "operator", 1, "{id:\"" AMINA "\", name:\"Amina\", roles:[\"ASSESSOR\"]}"));
    succeeds(submit(w, HUB, "user", "create", "operator", 1, "{id:\"" CHIDI "\", name:\"Chidi\", roles:[\"COORDINATOR\"]}"));
    const struct fm_result *res = submit(w, HUB, "assignment", "create", "operator", 1,
                                         "{entityId:\"" ENTITY "\", userId:\"" AMINA "\", role:\"ASSESSOR\"}");
    succeeds(res);
    w->assignment = res->record;
    turn(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    fm_duo_fini(&w->duo);
    fm_arena_fini(&w->arena);
    free(w);
    return 0;
}

/* A version as another program of this node's might sign it, past the rules. */
static struct fm_version_id write_raw(struct world *w, int at, uint8_t kind, uint8_t action, const char *record,
                                      uint32_t number, const struct fm_version_id *parent, const char *actor,
                                      const char *document)
{
    struct fm_duo_node *n = &w->duo.node[at];
    struct fm_event event = {.kind = FM_EVENT_SUBMIT, .now_ms = w->duo.now_ms};
    struct fm_change change = {.kind = kind,
                               .action = action,
                               .version = number,
                               .actor = fm_span_str(actor),
                               .parent_count = parent != NULL,
                               .document = fm_text_doc(&w->arena, document)};
    struct fm_version_id id;
    struct fm_buf item;
    assert_int_equal(fm_uuid_parse(&change.record, fm_span_str(record)), FM_OK);
    if (parent != NULL)
        change.parents[0] = *parent;
    fm_buf_init(&item, 0);
    assert_int_equal(fm_change_encode(&item, &change), FM_OK);
    fm_be_put(event.seed, ++w->duo.steps, 8);
    n->repl->event = &event;
    n->repl->sink = &n->sink;
    assert_int_equal(fm_turn_add(n->repl, FM_LANE_RECORDS, fm_buf_span(&item), &id), FM_OK);
    assert_int_equal(fm_touch_settle(n->repl), FM_OK);
    n->repl->event = NULL;
    n->repl->sink = NULL;
    fm_buf_fini(&item);
    fm_duo_turn_end(&w->duo, at);
    return id;
}

/* The document that is shown; what is not is nil. */
static struct fm_span shown(struct world *w, int at, uint8_t kind, const char *record)
{
    const struct fm_port *port = fm_memory_port(w->duo.node[at].store);
    struct fm_record_id id;
    struct fm_head head;
    struct fm_version v;
    struct fm_span document, actor;
    assert_int_equal(fm_uuid_parse(&id, fm_span_str(record)), FM_OK);
    assert_int_equal(port->head(port->ctx, kind, &id, &w->arena, &head), FM_OK);
    assert_true(head.shown);
    assert_int_equal(port->version_get(port->ctx, &head.winner, &w->arena, &v), FM_OK);
    assert_int_equal(fm_repl_document(w->duo.node[at].repl, &v, &document, &actor), FM_OK);
    return fm_span(fm_arena_copy(&w->arena, document), document.len);
}

static void assert_field(struct fm_span document, const char *name, const char *want)
{
    struct fm_span text = fm_span(NULL, 0);
    int rc = fm_doc_str(document, name, &text);
    if (want == NULL ? rc != FM_ENOTFOUND : rc != FM_OK || !fm_span_eq(text, fm_span_str(want)))
        fail_msg("%s is %.*s", name, (int)text.len, (const char *)text.data);
}

/* --- texts --- */

/* Words of the client that come back in a sentence: cut at 60 bytes, between two characters, without control bytes. */
static void test_words_in_sentences_are_clipped(void **state)
{
    static const struct {
        const char *unit;
        size_t times, want;
    } cases[] = {{"x", 60, 60},
                 {"x", 61, 60},
                 {"\xc3\xa9", 31, 60},
                 {"\xe2\x82\xac", 21, 60},
                 {"\xf0\x9f\x98\x80", 16, 60},
                 {"x\xc3\xa9", 21, 60},
                 {"\xe2\x82\xac\xc3\xa9", 13, 60},
                 {"\xe2\x82\xacx", 16, 60},
                 {"xx\xe2\x82\xac", 13, 60},
                 {"\x80", 70, 0}};
    static const char front[] = "Unknown sync type: ";
    struct world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200] = "", want[200];
        size_t unit = strlen(cases[i].unit), len = unit * cases[i].times;
        for (size_t k = 0; k < cases[i].times; k++)
            memcpy(text + k * unit, cases[i].unit, unit + 1);
        size_t kept = len > 60 ? cases[i].want : len;
        while (kept > 0 && kept < len && ((uint8_t)text[kept] & 0xc0) == 0x80)
            kept--;
        (void)snprintf(want, sizeof want, "%s%.*s%s", front, (int)kept, text, kept < len ? "..." : "");
        const struct fm_result *res = submit(w, CAMP, text, "create", AMINA, 1, "{}");
        assert_int_equal(res->status, FM_FAILED);
        assert_string_equal(res->message, want);
    }
    fails(submit(w, CAMP, "a\tb\x1f", "create", AMINA, 1, "{}"), "unknown-type", "Unknown sync type: a?b?");
}

/* --- which record --- */

static void test_an_assignment_is_found_by_its_three_or_by_its_id(void **state)
{
    static const char three[] = "entityId:\"" ENTITY "\", userId:\"" AMINA "\", role:\"ASSESSOR\"";
    struct world *w = *state;
    char id[37], text[300];
    fm_uuid_text(id, &w->assignment);
    (void)snprintf(text, sizeof text, "{id:\"" ID(1) "\", %s}", three);
    fails(submit(w, HUB, "assignment", "create", "operator", 1, text), "field", "id: it follows from the other fields");
    (void)snprintf(text, sizeof text, "{id:\"%s\", %s}", id, three);
    const struct fm_result *res = submit(w, HUB, "assignment", "create", "operator", 1, text);
    succeeds(res);
    assert_memory_equal(&res->record, &w->assignment, sizeof w->assignment);
    (void)snprintf(text, sizeof text, "{id:\"%s\", isActive:false}", id);
    succeeds(submit(w, HUB, "assignment", "update", "operator", 2, text));
    (void)snprintf(text, sizeof text, "{isActive:true, %s}", three);
    succeeds(submit(w, HUB, "assignment", "update", "operator", 3, text));
    bool active = false;
    assert_int_equal(fm_doc_bool(shown(w, HUB, FM_KIND_ASSIGNMENT, id), "isActive", &active), FM_OK);
    assert_true(active);
    fails(submit(w, HUB, "assignment", "update", "operator", 2, "{id:\"" ID(1) "\", isActive:false}"), "not-found", "");
}

static void test_an_offline_id_may_stand_in_the_data(void **state)
{
    struct world *w = *state;
    const struct fm_result *res =
        submit(w, CAMP, "assessment", "create", AMINA, 1,
               "{offlineId:\"o-1\", entityId:\"" ENTITY "\", assessmentType:\"WASH\", assessmentDate:\"2026-10-31\"}");
    succeeds(res);
    assert_true(fm_span_eq(res->offline_id, fm_span_str("o-1")));
    struct fm_record_id id = res->record;
    res = submit(w, CAMP, "assessment", "update", AMINA, 2, "{offlineId:\"o-1\", priority:\"HIGH\"}");
    succeeds(res);
    assert_memory_equal(&res->record, &id, sizeof id);
}

/* --- documents that lack what ours always have --- */

static void test_a_record_of_no_entity_is_nobodys(void **state)
{
    struct world *w = *state;
    write_raw(w, HUB, FM_KIND_ASSESSMENT, FM_CREATE, ID(1), 1, NULL, CHIDI, "{a:1}");
    turn(w);
    fails(submit(w, CAMP, "assessment", "update", AMINA, 2, "{id:\"" ID(1) "\", priority:\"HIGH\"}"), "not-assigned", "");
    fails(submit(w, CAMP, "response", "create", AMINA, 1,
                 "{assessmentId:\"" ID(1) "\", entityId:\"" ENTITY "\", status:\"PLANNED\"}"),
          "entity-differs", "Response entity must match");
    succeeds(submit(w, HUB, "assessment", "update", CHIDI, 2, "{id:\"" ID(1) "\", incidentId:\"i\", priority:\"HIGH\"}"));
    assert_field(shown(w, HUB, FM_KIND_ASSESSMENT, ID(1)), "priority", "HIGH");
    assert_field(shown(w, HUB, FM_KIND_ASSESSMENT, ID(1)), "incidentId", "i"); /* not fixed before it was there */
}

static void test_a_verdict_on_a_record_without_a_status(void **state)
{
    static const char verify[] = "{id:\"" ID(1) "\", verificationStatus:\"VERIFIED\"}";
    struct world *w = *state;
    struct fm_version_id base =
        write_raw(w, HUB, FM_KIND_ASSESSMENT, FM_CREATE, ID(1), 1, NULL, CHIDI, "{entityId:\"" ENTITY "\", a:1}");
    fails(submit(w, HUB, "assessment", "update", CHIDI, 2, verify), "verification", "verificationStatus: only PENDING");
    /* The same content as a version held, but that one says nothing of a verdict: no repeated upload. */
    write_raw(w, HUB, FM_KIND_ASSESSMENT, FM_UPDATE, ID(1), 2, &base, CHIDI, "{entityId:\"" ENTITY "\", a:2}");
    fails(submit(w, HUB, "assessment", "update", CHIDI, 2, "{id:\"" ID(1) "\", a:2, verificationStatus:\"VERIFIED\"}"),
          "verification", "verificationStatus: only PENDING");
    succeeds(submit(w, HUB, "assessment", "update", CHIDI, 2, "{id:\"" ID(1) "\", a:2}"));
    assert_false(w->duo.node[HUB].result.has_version); /* that one is */
}

static void test_a_response_without_a_status(void **state)
{
    struct world *w = *state;
    write_raw(w, HUB, FM_KIND_RESPONSE, FM_CREATE, ID(2), 1, NULL, CHIDI,
              "{entityId:\"" ENTITY "\", verificationStatus:\"DRAFT\"}");
    succeeds(submit(w, HUB, "response", "update", CHIDI, 2, "{id:\"" ID(2) "\", type:\"x\"}"));
    assert_field(shown(w, HUB, FM_KIND_RESPONSE, ID(2)), "verificationStatus", "DRAFT");
    succeeds(submit(w, HUB, "response", "update", CHIDI, 3, "{id:\"" ID(2) "\", status:\"DELIVERED\"}"));
    assert_field(shown(w, HUB, FM_KIND_RESPONSE, ID(2)), "verificationStatus", "AUTO_VERIFIED");
}

/* --- versions that do not count --- */

static void revoke_camp(struct world *w)
{
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_REVOKE;
    act->node = w->duo.node[CAMP].self.author;
    fm_duo_step(&w->duo, HUB, &(struct fm_event){.kind = FM_EVENT_ACT, .act = act});
    assert_int_equal(w->duo.node[HUB].taken, FM_OK);
    fm_duo_turn_end(&w->duo, HUB);
    free(act);
}

/* What the camp wrote was cut: it is no repeated upload to say it again, and what it delivered was never delivered. */
static void test_versions_that_do_not_count_answer_nothing(void **state)
{
    struct world *w = *state;
    succeeds(submit(w, HUB, "assessment", "create", CHIDI, 1,
                    "{id:\"" ID(1) "\", entityId:\"" ENTITY "\", assessmentType:\"WASH\", assessmentDate:\"2026-10-31\"}"));
    succeeds(submit(w, HUB, "response", "create", CHIDI, 1,
                    "{id:\"" ID(2) "\", assessmentId:\"" ID(1) "\", entityId:\"" ENTITY "\", status:\"PLANNED\"}"));
    turn(w);
    succeeds(submit(w, CAMP, "assessment", "update", CHIDI, 2, "{id:\"" ID(1) "\", priority:\"HIGH\"}"));
    succeeds(submit(w, CAMP, "response", "update", CHIDI, 2, "{id:\"" ID(2) "\", status:\"DELIVERED\"}"));
    turn(w);
    revoke_camp(w);
    assert_field(shown(w, HUB, FM_KIND_ASSESSMENT, ID(1)), "priority", NULL);
    succeeds(submit(w, HUB, "assessment", "update", CHIDI, 2, "{id:\"" ID(1) "\", priority:\"HIGH\"}"));
    assert_true(w->duo.node[HUB].result.has_version);
    assert_field(shown(w, HUB, FM_KIND_ASSESSMENT, ID(1)), "priority", "HIGH");
    succeeds(submit(w, HUB, "response", "update", CHIDI, 2, "{id:\"" ID(2) "\", status:\"DELIVERED\"}"));
    assert_field(shown(w, HUB, FM_KIND_RESPONSE, ID(2)), "verificationStatus", "AUTO_VERIFIED");
}

/* --- verdicts (rule 17) --- */

static void test_what_a_coordinator_says_beside_an_edit(void **state)
{
    struct world *w = *state;
    succeeds(submit(w, CAMP, "assessment", "create", AMINA, 1,
                    "{id:\"" ID(1) "\", entityId:\"" ENTITY "\", assessmentType:\"FOOD\", assessmentDate:\"2026-10-31\", "
                                   "priority:\"CRITICAL\"}"));
    turn(w);
    fails(submit(w, HUB, "assessment", "update", CHIDI, 2,
                 "{id:\"" ID(1) "\", verificationStatus:\"REJECTED\", rejectionReason:\"\", rejectionFeedback:\"f\"}"),
          "field", "rejectionReason: required");
    fails(submit(w, HUB, "assessment", "update", CHIDI, 2,
                 "{id:\"" ID(1) "\", verificationStatus:\"REJECTED\", rejectionReason:\"r\", rejectionFeedback:\"\"}"),
          "field", "rejectionFeedback: required");
    fails(submit(w, HUB, "assessment", "update", CHIDI, 2,
                 "{id:\"" ID(1) "\", verificationStatus:\"REJECTED\", rejectionReason:\"r\"}"),
          "field", "rejectionFeedback: required");
    /* A reason without a verdict changes none, and is not kept. */
    succeeds(submit(w, HUB, "assessment", "update", CHIDI, 2, "{id:\"" ID(1) "\", note:\"n\", rejectionReason:\"r\"}"));
    assert_field(shown(w, HUB, FM_KIND_ASSESSMENT, ID(1)), "rejectionReason", NULL);
    succeeds(submit(w, HUB, "assessment", "update", CHIDI, 3, "{id:\"" ID(1) "\", rejectionReason:null, note:\"m\"}"));
    succeeds(submit(w, HUB, "assessment", "update", CHIDI, 4, "{id:\"" ID(1) "\", verificationStatus:\"VERIFIED\"}"));
    assert_field(shown(w, HUB, FM_KIND_ASSESSMENT, ID(1)), "verificationStatus", "VERIFIED");
    /* The same verdict again is a repeated upload. */
    succeeds(submit(w, HUB, "assessment", "update", CHIDI, 4, "{id:\"" ID(1) "\", verificationStatus:\"VERIFIED\"}"));
    assert_false(w->duo.node[HUB].result.has_version);
    /* An edit of what was verified makes it PENDING; to say so as well is no verdict. */
    succeeds(
        submit(w, HUB, "assessment", "update", CHIDI, 5, "{id:\"" ID(1) "\", note:\"o\", verificationStatus:\"PENDING\"}"));
    assert_field(shown(w, HUB, FM_KIND_ASSESSMENT, ID(1)), "verificationStatus", "PENDING");
    fails(submit(w, HUB, "assessment", "update", CHIDI, 6, "{id:\"" ID(1) "\", verificationStatus:\"DRAFT\"}"),
          "verification", "verificationStatus: PENDING cannot become DRAFT");
}

/* --- responses --- */

static void test_a_response_of_a_record_that_no_text_can_name(void **state)
{
    struct world *w = *state;
    char text[300], name[66];
    memset(name, 'x', 65);
    name[65] = '\0';
    fails(
        submit(w, CAMP, "response", "create", AMINA, 1, "{assessmentId:\"\", entityId:\"" ENTITY "\", status:\"PLANNED\"}"),
        "parent-missing", "Assessment not found");
    (void)snprintf(text, sizeof text, "{assessmentId:\"%s\", entityId:\"" ENTITY "\", status:\"PLANNED\"}", name);
    fails(submit(w, CAMP, "response", "create", AMINA, 1, text), "parent-missing", "Assessment not found: xxx");
}

/* What was delivered and then deleted does not come back as planned. */
static void test_a_deleted_delivery_stays_delivered(void **state)
{
    struct world *w = *state;
    succeeds(submit(w, HUB, "assessment", "create", CHIDI, 1,
                    "{id:\"" ID(1) "\", entityId:\"" ENTITY "\", assessmentType:\"WASH\", assessmentDate:\"2026-10-31\"}"));
    succeeds(submit(w, HUB, "response", "create", CHIDI, 1,
                    "{id:\"" ID(2) "\", assessmentId:\"" ID(1) "\", entityId:\"" ENTITY
                                                               "\", status:\"DELIVERED\", items:null}"));
    succeeds(submit(w, HUB, "response", "delete", CHIDI, 2, "{id:\"" ID(2) "\"}"));
    fails(submit(w, HUB, "response", "update", CHIDI, 3, "{id:\"" ID(2) "\", status:\"PLANNED\"}"), "delivered", "status:");
    succeeds(submit(w, HUB, "response", "update", CHIDI, 3, "{id:\"" ID(2) "\", type:\"t\"}"));
    assert_field(shown(w, HUB, FM_KIND_RESPONSE, ID(2)), "status", "DELIVERED");
}

/* --- near the limit of one change --- */

/* "front, NAME0:"xxx" …}" with `bytes` bytes in texts of at most 15,000; in the arena. */
static const char *sized(struct world *w, const char *front, const char *name, size_t bytes)
{
    size_t room = strlen(front) + bytes + 200;
    char *text = fm_arena_take(&w->arena, room), *at = text;
    assert_non_null(text);
    at += snprintf(at, room, "%s", front);
    for (unsigned i = 0; bytes > 0; i++) {
        size_t len = bytes < 15000 ? bytes : 15000;
        at += snprintf(at, 32, ", %s%u:\"", name, i);
        memset(at, 'x', len);
        at += len;
        *at++ = '"';
        bytes -= len;
    }
    memcpy(at, "}", 2);
    return text;
}

/* Success, or too large: once it was too large it is so for all that are larger. Counts them. */
static void one_edge(const struct fm_result *res, unsigned counts[2])
{
    if (res->status != FM_SUCCESS)
        fails(res, "too-large", "one change holds at most");
    else
        assert_int_equal(counts[1], 0);
    counts[res->status != FM_SUCCESS]++;
}

/* The assessment's offlineId becomes its longer id. */
static void test_an_id_that_grows_past_the_limit(void **state)
{
    struct world *w = *state;
    unsigned counts[2] = {0, 0};
    succeeds(submit(w, HUB, "assessment", "create", CHIDI, 1,
                    "{offlineId:\"o\", entityId:\"" ENTITY "\", assessmentType:\"WASH\", assessmentDate:\"2026-10-31\"}"));
    for (size_t bytes = 64800;; bytes += 8) {
        const char *text = sized(w, "{assessmentId:\"o\", entityId:\"" ENTITY "\", status:\"PLANNED\"", "s", bytes);
        const struct fm_result *res = submit(w, HUB, "response", "create", CHIDI, 1, text);
        fm_arena_reset(&w->arena);
        if (strcmp(res->code, "field") == 0) /* it is no document of one change as it came */
            break;
        one_edge(res, counts);
    }
    assert_true(counts[0] > 5 && counts[1] > 5);
}

/* The record fits, and so does the edit; with the verdict's date and name it may not. */
static void test_a_verdict_that_grows_past_the_limit(void **state)
{
    struct world *w = *state;
    unsigned counts[2] = {0, 0};
    succeeds(submit(w, HUB, "entity", "create", "operator", 1, "{id:\"" ID(9) "\", name:\"Ngala\"}")); /* approves nothing */
    for (unsigned i = 100; i < 300; i++) {
        char front[250], verdict[120];
        (void)snprintf(front, sizeof front,
                       "{id:\"01000000-0000-4000-8000-%012u\", entityId:\"" ID(9) "\", assessmentType:\"FOOD\", "
                                                                                  "assessmentDate:\"2026-10-31\"",
                       i);
        (void)snprintf(verdict, sizeof verdict, "{id:\"01000000-0000-4000-8000-%012u\", verificationStatus:\"VERIFIED\"}",
                       i);
        const struct fm_result *res = submit(w, HUB, "assessment", "create", CHIDI, 1, sized(w, front, "s", 63600 + 8 * i));
        if (res->status != FM_SUCCESS) {
            fails(res, "too-large", "one change");
            break;
        }
        fm_duo_turn_end(&w->duo, HUB);
        one_edge(submit(w, HUB, "assessment", "update", CHIDI, 2, verdict), counts);
        fm_arena_reset(&w->arena);
    }
    assert_true(counts[0] > 5 && counts[1] > 5);
}

/* A second upload under a number that is held: what the two would make together passes the limit, so it is not the same. */
static void test_an_overlay_past_the_limit_is_no_repeated_upload(void **state)
{
    struct world *w = *state;
    succeeds(submit(w, CAMP, "assessment", "create", AMINA, 1,
                    sized(w,
                          "{id:\"" ID(1) "\", entityId:\"" ENTITY "\", assessmentType:\"WASH\", "
                                         "assessmentDate:\"2026-10-31\"",
                          "a", 40000)));
    succeeds(submit(w, CAMP, "assessment", "update", AMINA, 2, sized(w, "{id:\"" ID(1) "\"", "b", 20000)));
    fails(submit(w, CAMP, "assessment", "update", AMINA, 2, sized(w, "{id:\"" ID(1) "\"", "c", 30000)), "too-large", "");
    succeeds(submit(w, CAMP, "assessment", "update", AMINA, 2, sized(w, "{id:\"" ID(1) "\"", "b", 20000)));
    assert_false(w->duo.node[CAMP].result.has_version);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_words_in_sentences_are_clipped),
        CASE(test_an_assignment_is_found_by_its_three_or_by_its_id),
        CASE(test_an_offline_id_may_stand_in_the_data),
        CASE(test_a_record_of_no_entity_is_nobodys),
        CASE(test_a_verdict_on_a_record_without_a_status),
        CASE(test_a_response_without_a_status),
        CASE(test_versions_that_do_not_count_answer_nothing),
        CASE(test_what_a_coordinator_says_beside_an_edit),
        CASE(test_a_response_of_a_record_that_no_text_can_name),
        CASE(test_a_deleted_delivery_stays_delivered),
        CASE(test_an_id_that_grows_past_the_limit),
        CASE(test_a_verdict_that_grows_past_the_limit),
        CASE(test_an_overlay_past_the_limit_is_no_repeated_upload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
