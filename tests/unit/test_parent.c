/* Rule 15: which version a submitted change follows; first by the rule alone, then on records with void and forked versions.
 */
#include "replication/submit.h"
#include "tests/support/lab_three.h"
#include "tests/support/lost.h"
#include "tests/support/text_doc.h"

/* --- the choice --- */

/* One version in short: number, place, status, counted, tombstone. */
struct brief {
    uint32_t number;
    uint8_t place, status;
    bool counted, tombstone;
};
#define NONE (-1)

static void test_the_parent_by_the_rule_alone(void **state)
{
    enum { W = FM_PLACE_WINNER, L = FM_PLACE_LINE, O = FM_PLACE_OPEN, OK = FM_VALID, VOID = FM_STATUS_VOID };
    static const struct {
        const char *what;
        struct brief v[3];
        int count, named, mine;
        uint32_t number;
        bool is_delete;
        int parent;
    } cases[] = {
        {"the winner", {{3, W, OK, true, false}, {2, L, OK, true, false}}, 2, NONE, NONE, 4, false, 0},
        {"the newest of the line below",
         {{5, W, OK, true, false}, {2, L, OK, true, false}, {1, L, OK, true, false}},
         3,
         NONE,
         NONE,
         4,
         false,
         1},
        {"of two on the line the higher, wherever it stands",
         {{1, L, OK, true, false}, {2, L, OK, true, false}, {5, W, OK, true, false}},
         3,
         NONE,
         NONE,
         4,
         false,
         1},
        {"nothing below", {{3, W, OK, true, false}}, 1, NONE, NONE, 3, false, NONE},
        {"too far below", {{3, W, OK, true, false}}, 1, NONE, NONE, 4 + FM_VERSION_STEP_MAX, false, NONE},
        {"as far as may be", {{3, W, OK, true, false}}, 1, NONE, NONE, 3 + FM_VERSION_STEP_MAX, false, 0},
        {"the named one", {{3, W, OK, true, false}, {2, O, OK, true, false}}, 2, 1, NONE, 4, false, 1},
        {"the named one is void",
         {{3, W, OK, true, false}, {2, FM_PLACE_NONE, VOID, false, false}},
         2,
         1,
         NONE,
         4,
         false,
         0},
        {"the named one waits",
         {{3, W, OK, true, false}, {2, FM_PLACE_NONE, FM_WAITING, false, false}},
         2,
         1,
         NONE,
         4,
         false,
         0},
        {"the named one is not below", {{3, W, OK, true, false}, {4, O, OK, true, false}}, 2, 1, NONE, 4, false, 0},
        {"the actor's own, off the line", {{3, W, OK, true, false}, {2, O, OK, true, false}}, 2, NONE, 1, 4, false, 1},
        {"the actor's own, not counted", {{3, W, OK, true, false}, {2, L, OK, false, false}}, 2, NONE, 1, 4, false, 1},
        {"the actor's own, on the line", {{3, W, OK, true, false}, {2, L, OK, true, false}}, 2, NONE, 1, 4, false, 0},
        {"the actor's own, void", {{3, W, OK, true, false}, {2, O, VOID, true, false}}, 2, NONE, 1, 4, false, 0},
        {"no tombstone if there is another", {{3, W, OK, true, true}, {2, L, OK, true, false}}, 2, NONE, NONE, 4, false, 1},
        {"a tombstone for a deletion", {{3, W, OK, true, true}, {2, L, OK, true, false}}, 2, NONE, NONE, 4, true, 0},
        {"a tombstone if there is no other", {{3, W, OK, true, true}}, 1, NONE, NONE, 4, false, 0},
        {"a tombstone that is named", {{3, W, OK, true, true}, {2, L, OK, true, false}}, 2, 0, NONE, 4, false, 0},
        {"the actor's own tombstone only if there is no other",
         {{3, W, OK, true, false}, {2, O, OK, true, true}},
         2,
         NONE,
         1,
         4,
         false,
         0},
        {"the actor's own tombstone if there is no other",
         {{9, W, OK, true, false}, {2, O, OK, true, true}}, 2, NONE, 1, 4, false, 1},
        {"what does not count is not on the line",
         {{3, W, OK, false, false}, {2, L, OK, true, false}},
         2,
         NONE,
         NONE,
         4,
         false,
         1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fm_version versions[3];
        memset(versions, 0, sizeof versions);
        for (int k = 0; k < cases[i].count; k++)
            versions[k] = (struct fm_version){.number = cases[i].v[k].number,
                                              .place = cases[i].v[k].place,
                                              .status = cases[i].v[k].status,
                                              .counted = cases[i].v[k].counted,
                                              .tombstone = cases[i].v[k].tombstone};
        struct fm_parent_ask ask = {.versions = versions,
                                    .count = (size_t)cases[i].count,
                                    .number = cases[i].number,
                                    .named = cases[i].named == NONE ? NULL : &versions[cases[i].named],
                                    .mine = cases[i].mine == NONE ? NULL : &versions[cases[i].mine],
                                    .is_delete = cases[i].is_delete};
        const struct fm_version *got = fm_parent_choose(&ask);
        if (got != (cases[i].parent == NONE ? NULL : &versions[cases[i].parent]))
            fail_msg("%s: version %d", cases[i].what, got == NULL ? NONE : (int)(got - versions));
    }
}

/* --- on a record --- */

static struct fm_result last;
static struct fm_sink below;

static int act(void *ctx, const struct fm_action *action)
{
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_RESULT)
        last = *action->result;
    return below.act(ctx, action);
}

/* The policy record is the operator's: an update of it at the hub. */
static int submit(struct three *t, int64_t number, int64_t base_number)
{
    char text[300], key[2 * FM_KEY_BYTES + 1];
    for (size_t i = 0; i < FM_KEY_BYTES; i++)
        (void)snprintf(key + 2 * i, 3, "%02x", t->hub.self.author.b[i]);
    (void)snprintf(text, sizeof text, "{autoSettle:\"never\",autoSettleNode:\"%s\",n:%d}", key, (int)number);
    struct fm_submission s = {.type = fm_span_str("policy"),
                              .actor = fm_span_str("operator"),
                              .action = fm_span_str(number == 1 ? "create" : "update"),
                              .data = fm_text_doc(&t->hub.arena, text),
                              .has_version = true,
                              .version = number,
                              .has_base_number = base_number != 0,
                              .base_number = base_number};
    memset(&last, 0, sizeof last);
    int rc = fm_lab_step(&t->hub, (struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s});
    return rc != FM_OK ? rc : fm_lab_end(&t->hub);
}

static struct fm_version version_of(struct three *t, const struct fm_version_id *id)
{
    struct fm_version v;
    const struct fm_port *port = fm_memory_port(t->hub.store);
    assert_int_equal(port->version_get(port->ctx, id, &t->hub.arena, &v), FM_OK);
    return v;
}

/* A version of the policy that is void (its number is far above its parent's), by the same actor at the same node. */
static void write_void(struct three *t, const struct fm_version_id *parent)
{
    struct fm_version_id id;
    struct fm_change change = fm_lab_change(&t->hub, FM_UPDATE, 1, 5000, parent, "{n:1}");
    change.kind = FM_KIND_POLICY;
    fm_policy_id(t->hub.core, &change.record);
    assert_int_equal(fm_lab_write(&t->hub, &change, &id), FM_OK);
    assert_int_equal(fm_lab_end(&t->hub), FM_OK);
    assert_int_equal(version_of(t, &id).status, FM_STATUS_VOID);
}

static void test_void_versions_and_numbers_that_are_none_are_passed_over(void **state)
{
    static const int64_t bases[] = {0, -1, (INT64_C(1) << 32) + 1, 7000, 1};
    struct three *t = *state;
    below = t->hub.sink;
    t->hub.sink.act = act;
    assert_int_equal(submit(t, 1, 0), FM_OK);
    assert_int_equal(last.status, FM_SUCCESS);
    struct fm_version_id first = last.version, newest = first;
    write_void(t, &first);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(submit(t, 2 + i, bases[i]), FM_OK);
        assert_int_equal(last.status, FM_SUCCESS);
        struct fm_version written = version_of(t, &last.version);
        assert_int_equal(written.parent_count, 1);
        /* An edit of version 1 follows that; every other base is none, so the change goes on from the newest. */
        const struct fm_version_id *parent = bases[i] == 1 ? &first : &newest;
        assert_memory_equal(&written.parents[0], parent, sizeof *parent);
        if (bases[i] == 1)
            break; /* its twin on the line wins from now on */
        newest = last.version;
    }
}

/* The actor goes on from what he wrote last through this node, off the line as it is; a void one in between is nothing. */
static void test_the_actors_own_newest_is_the_newest_that_is_valid(void **state)
{
    struct three *t = *state;
    below = t->hub.sink;
    t->hub.sink.act = act;
    assert_int_equal(submit(t, 1, 0), FM_OK);
    struct fm_version_id first = last.version;
    assert_int_equal(submit(t, 3, 0), FM_OK);
    assert_int_equal(last.status, FM_SUCCESS);
    assert_int_equal(submit(t, 2, 1), FM_OK);
    assert_int_equal(last.status, FM_CONFLICT);
    struct fm_version_id own = last.version;
    assert_int_equal(version_of(t, &own).place, FM_PLACE_OPEN);
    write_void(t, &first);
    assert_int_equal(submit(t, 4, 0), FM_OK);
    struct fm_version written = version_of(t, &last.version);
    assert_int_equal(written.parent_count, 1);
    assert_memory_equal(&written.parents[0], &own, sizeof own);
}

/* The set that holds a version is not in the log any more. */
static void test_a_version_without_its_set_is_damage(void **state)
{
    struct three *t = *state;
    uint64_t held;
    below = t->hub.sink;
    t->hub.sink.act = act;
    assert_int_equal(submit(t, 1, 0), FM_OK);
    assert_int_equal(last.status, FM_SUCCESS);
    struct fm_version v = version_of(t, &last.version);
    const struct fm_port *port = fm_memory_port(t->hub.store);
    assert_int_equal(port->arrival_last(port->ctx, &held), FM_OK);
    assert_int_equal(v.holders[0].arrival, held);
    for (int more = 0; more < 2; more++) { /* nothing comes after it; another set does */
        if (more) {
            write_one(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1}");
            assert_int_equal(fm_lab_end(&t->hub), FM_OK);
        }
        lost_open(&t->hub);
        lost.next = held;
        assert_int_equal(submit(t, 2, 0), FM_ECORRUPT);
        assert_int_equal(fm_lab_crash(&t->hub), FM_OK);
    }
    assert_int_equal(submit(t, 2, 0), FM_OK);
    assert_int_equal(last.status, FM_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parent_by_the_rule_alone),
        CASE(test_void_versions_and_numbers_that_are_none_are_passed_over),
        CASE(test_the_actors_own_newest_is_the_newest_that_is_valid),
        CASE(test_a_version_without_its_set_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
