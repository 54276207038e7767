/* A coordinator's decisions on what the vectors cannot say: damaged rows, limits, other kinds, want of memory (rule 57). */
#include "replication/submit.h"
#include "tests/support/faults.h"
#include "tests/support/lab_three.h"
#include "tests/support/no_memory.h"
#include "tests/support/text_doc.h"

struct desk {
    struct fm_lab_node *node;
    struct fm_sink below;
    struct fm_result result;
    unsigned results;
};

static int act(void *ctx, const struct fm_action *action)
{
    struct desk *d = ctx;
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_RESULT) {
        d->result = *action->result;
        d->results++;
    }
    return d->below.act(d->below.ctx, action);
}

static void desk_open(struct desk *d, struct fm_lab_node *node)
{
    *d = (struct desk){.node = node, .below = node->sink};
    node->sink = (struct fm_sink){.ctx = d, .act = act};
}

static int decide(struct desk *d, struct fm_resolution s)
{
    s.actor = fm_span_str("operator");
    d->results = 0;
    memset(&d->result, 0, sizeof d->result);
    int rc = fm_lab_step(d->node, (struct fm_event){.kind = FM_EVENT_RESOLVE, .resolution = &s});
    assert_int_equal(d->results, rc == FM_OK);
    return rc != FM_OK ? rc : fm_lab_end(d->node);
}

static void assert_refused(struct desk *d, struct fm_resolution s, const char *code)
{
    struct fm_digest before[2], after[2];
    fm_lab_digest(d->node, before);
    assert_int_equal(decide(d, s), FM_OK);
    assert_int_equal(d->result.status, FM_FAILED);
    assert_string_equal(d->result.code, code);
    fm_lab_digest(d->node, after);
    assert_memory_equal(before, after, sizeof before);
}

static struct fm_version_id write_kind(struct fm_lab_node *n, uint8_t kind, uint8_t action, uint32_t version,
                                       const struct fm_version_id *parent, struct fm_span document)
{
    struct fm_version_id id;
    struct fm_change change = {.kind = kind,
                               .action = action,
                               .record = fm_lab_record(1),
                               .version = version,
                               .parent_count = parent != NULL,
                               .actor = fm_span_str("operator"),
                               .document = document};
    if (parent != NULL)
        change.parents[0] = *parent;
    assert_int_equal(fm_lab_write(n, &change, &id), FM_OK);
    assert_int_equal(fm_lab_end(n), FM_OK);
    return id;
}

/* Record 1: a base, and an edit of A's that loses to the hub's, in this kind. Returns the loser. */
static struct fm_version_id conflict(struct three *t, uint8_t kind, const char *base, const char *ours, const char *theirs)
{
    struct fm_arena *arena = &t->hub.arena;
    struct fm_version_id id = write_kind(&t->hub, kind, FM_CREATE, 1, NULL, fm_text_doc(arena, base));
    fm_lab_exchange(&t->a, &t->hub, 0);
    write_kind(&t->hub, kind, FM_UPDATE, 3, &id, fm_text_doc(arena, ours));
    struct fm_version_id loser = write_kind(&t->a, kind, FM_UPDATE, 2, &id, fm_text_doc(arena, theirs));
    fm_lab_exchange(&t->hub, &t->a, 0);
    return loser;
}

static struct fm_version version_of(struct fm_lab_node *n, const struct fm_version_id *id)
{
    struct fm_version v;
    const struct fm_port *port = fm_memory_port(n->store);
    assert_int_equal(port->version_get(port->ctx, id, &n->arena, &v), FM_OK);
    return v;
}

/* A map of `count` strings of 15,000 bytes each, after these entries. */
static const char *large(const char *entries, char key, int count)
{
    static char text[2][5 * 15000 + 200];
    static int which;
    char *out = text[which = !which], *at = out;
    at += snprintf(at, 100, "{%s", entries);
    for (int i = 0; i < count; i++) {
        at += snprintf(at, 16, ",%c%d:\"", key, i);
        memset(at, 'x', 15000);
        at += 15000;
        *at++ = '"';
    }
    (void)snprintf(at, 2, "}");
    return out;
}

static void test_what_does_not_count_is_no_conflict(void **state)
{
    struct three *t = *state;
    struct desk desk;
    struct fm_version_id base = write_one(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1}");
    assert_int_equal(fm_lab_end(&t->hub), FM_OK);
    /* Far above its parent: void. */
    struct fm_version_id dead = write_one(&t->hub, FM_UPDATE, 1, 5000, &base, "{a:2}");
    assert_int_equal(fm_lab_end(&t->hub), FM_OK);
    assert_int_equal(version_of(&t->hub, &dead).status, FM_STATUS_VOID);
    desk_open(&desk, &t->hub);
    assert_refused(&desk, (struct fm_resolution){.loser = dead, .strategy = FM_TAKE_WINNER}, "conflict-unknown");
    assert_refused(&desk, (struct fm_resolution){.loser = base, .strategy = FM_TAKE_WINNER}, "conflict-unknown");
}

static void test_a_kind_that_nobody_submits_is_settled_all_the_same(void **state)
{
    struct three *t = *state;
    struct desk desk;
    struct fm_version_id loser = conflict(t, FM_KIND_MEDIA, "{a:1}", "{a:2}", "{a:3}");
    assert_int_equal(version_of(&t->hub, &loser).place, FM_PLACE_OPEN);
    desk_open(&desk, &t->hub);
    struct fm_resolution s = {.loser = loser, .strategy = FM_TAKE_DATA, .data = fm_text_doc(&t->hub.arena, "{a:4}")};
    assert_int_equal(decide(&desk, s), FM_OK);
    assert_int_equal(desk.result.status, FM_SUCCESS);
    assert_int_equal(version_of(&t->hub, &loser).place, FM_PLACE_SETTLED);
}

static void test_data_beside_the_winner_is_not_looked_at_beyond_its_form(void **state)
{
    struct three *t = *state;
    struct desk desk;
    struct fm_span document, actor, a;
    struct fm_version_id loser = conflict(t, FM_KIND_ASSESSMENT, "{a:1}", "{a:2}", "{a:3}");
    desk_open(&desk, &t->hub);
    struct fm_resolution s = {.loser = loser, .strategy = FM_TAKE_WINNER, .data = fm_span("\x81\xa1\x61\xc1", 4)};
    assert_refused(&desk, s, "field"); /* no document */
    s.data = fm_text_doc(&t->hub.arena, "{a:9,entityId:7}");
    assert_int_equal(decide(&desk, s), FM_OK);
    assert_int_equal(desk.result.status, FM_SUCCESS);
    struct fm_version written = version_of(&t->hub, &desk.result.version);
    assert_int_equal(fm_repl_document(t->hub.core, &written, &document, &actor), FM_OK);
    assert_int_equal(fm_doc_get(document, "a", &a), FM_OK);
    assert_int_equal(a.data[0], 2);
    assert_false(fm_doc_has(document, "entityId"));
}

/* A deletion of what nobody created wins: there is no living document whose fixed fields to keep. */
static void test_data_over_a_deletion_of_nothing(void **state)
{
    struct three *t = *state;
    struct desk desk;
    struct fm_arena *arena = &t->hub.arena;
    struct fm_span document, actor;
    write_kind(&t->hub, FM_KIND_MEDIA, FM_DELETE, 5, NULL, fm_text_doc(arena, "{id:\"x\",updatedAt:\"y\"}"));
    struct fm_version_id loser = write_kind(&t->a, FM_KIND_MEDIA, FM_CREATE, 1, NULL, fm_text_doc(arena, "{id:\"z\",a:1}"));
    fm_lab_exchange(&t->hub, &t->a, 0);
    assert_int_equal(version_of(&t->hub, &loser).place, FM_PLACE_OPEN);
    desk_open(&desk, &t->hub);
    struct fm_resolution s = {.loser = loser, .strategy = FM_TAKE_DATA, .data = fm_text_doc(arena, "{a:7,id:\"w\"}")};
    assert_int_equal(decide(&desk, s), FM_OK);
    assert_int_equal(desk.result.status, FM_SUCCESS);
    struct fm_version written = version_of(&t->hub, &desk.result.version);
    assert_int_equal(written.action, FM_UPDATE);
    assert_int_equal(fm_repl_document(t->hub.core, &written, &document, &actor), FM_OK);
    struct fm_span id;
    assert_int_equal(fm_doc_str(document, "id", &id), FM_OK);
    assert_memory_equal(id.data, "x", 1); /* its own id stands */
}

/* Two that were created apart have nothing in common: all of both stands. */
static void test_a_merge_without_a_common_base(void **state)
{
    struct three *t = *state;
    struct desk desk;
    struct fm_arena *arena = &t->hub.arena;
    struct fm_span document, actor;
    write_kind(&t->hub, FM_KIND_MEDIA, FM_CREATE, 2, NULL, fm_text_doc(arena, "{a:1}"));
    struct fm_version_id loser = write_kind(&t->a, FM_KIND_MEDIA, FM_CREATE, 1, NULL, fm_text_doc(arena, "{b:2}"));
    fm_lab_exchange(&t->hub, &t->a, 0);
    desk_open(&desk, &t->hub);
    assert_int_equal(decide(&desk, (struct fm_resolution){.loser = loser, .strategy = FM_MERGE}), FM_OK);
    assert_int_equal(desk.result.status, FM_SUCCESS);
    struct fm_version written = version_of(&t->hub, &desk.result.version);
    assert_int_equal(fm_repl_document(t->hub.core, &written, &document, &actor), FM_OK);
    assert_true(fm_doc_has(document, "a") && fm_doc_has(document, "b"));
}

static void test_a_deletion_that_lost_cannot_be_merged(void **state)
{
    struct three *t = *state;
    struct desk desk;
    struct fm_arena *arena = &t->hub.arena;
    struct fm_version_id base = write_kind(&t->hub, FM_KIND_MEDIA, FM_CREATE, 1, NULL, fm_text_doc(arena, "{a:1}"));
    fm_lab_exchange(&t->a, &t->hub, 0);
    write_kind(&t->hub, FM_KIND_MEDIA, FM_UPDATE, 3, &base, fm_text_doc(arena, "{a:2}"));
    struct fm_version_id loser = write_kind(&t->a, FM_KIND_MEDIA, FM_DELETE, 2, &base,
                                            fm_text_doc(arena, "{id:\"x\",updatedAt:\"y\"}"));
    fm_lab_exchange(&t->hub, &t->a, 0);
    assert_int_equal(version_of(&t->hub, &loser).place, FM_PLACE_OPEN);
    desk_open(&desk, &t->hub);
    assert_refused(&desk, (struct fm_resolution){.loser = loser, .strategy = FM_MERGE}, "field");
}

static void test_what_says_the_same_was_settled_by_nobody(void **state)
{
    struct three *t = *state;
    struct desk desk;
    struct fm_version_id loser = conflict(t, FM_KIND_ASSESSMENT, "{a:1}", "{a:2}", "{a:2}");
    struct fm_version v = version_of(&t->hub, &loser);
    assert_true(v.place == FM_PLACE_SETTLED && !v.has_by);
    desk_open(&desk, &t->hub);
    assert_refused(&desk, (struct fm_resolution){.loser = loser, .undo = true}, "not-settled");
}

static void test_a_decision_past_the_limit_of_a_change_is_refused(void **state)
{
    struct three *t = *state;
    struct desk desk;
    struct fm_version_id loser = conflict(t, FM_KIND_ASSESSMENT, "{a:1}", large("a:1", 'p', 3), large("a:1", 'q', 3));
    desk_open(&desk, &t->hub);
    assert_refused(&desk, (struct fm_resolution){.loser = loser, .strategy = FM_MERGE}, "too-large");
}

static void test_an_undo_past_the_limit_of_a_change_is_refused(void **state)
{
    struct three *t = *state;
    struct desk desk;
    char note[12000];
    struct fm_version_id loser = conflict(t, FM_KIND_MEDIA, "{a:1}", large("a:2", 'p', 4), "{a:3}");
    memset(note, 'n', sizeof note);
    desk_open(&desk, &t->hub);
    struct fm_resolution s = {.loser = loser, .strategy = FM_TAKE_DATA, .data = fm_text_doc(&t->hub.arena, "{a:4}")};
    assert_int_equal(decide(&desk, s), FM_OK);
    assert_int_equal(desk.result.status, FM_SUCCESS);
    s = (struct fm_resolution){.loser = loser, .undo = true, .reason = fm_span(note, sizeof note)};
    assert_refused(&desk, s, "too-large");
    s.reason = fm_span(note, 10);
    assert_int_equal(decide(&desk, s), FM_OK);
    assert_int_equal(desk.result.status, FM_SUCCESS);
    assert_int_equal(version_of(&t->hub, &loser).place, FM_PLACE_OPEN);
}

/* The row of an entry names a version that the record does not have. */
static void damage(struct fm_lab_node *n, const struct fm_version_id *id)
{
    struct fm_version before = version_of(n, id), v = before;
    struct fm_row row = {.kind = FM_ROW_VERSION, .version = &v, .before = &before};
    assert_true(before.has_by);
    memset(v.by.b, 0xab, sizeof v.by.b);
    assert_int_equal(fm_memory_apply(n->store, &row), FM_OK);
}

static void test_rows_that_name_what_is_not_there_are_damage(void **state)
{
    struct three *t = *state;
    struct desk desk;
    struct fm_version_id loser = conflict(t, FM_KIND_MEDIA, "{a:1}", "{a:2}", "{a:3}");
    struct fm_version_id head = write_kind(&t->a, FM_KIND_MEDIA, FM_UPDATE, 3, &loser, fm_text_doc(&t->a.arena, "{a:5}"));
    fm_lab_exchange(&t->hub, &t->a, 0);
    assert_int_equal(version_of(&t->hub, &loser).place, FM_PLACE_REPLACED);
    desk_open(&desk, &t->hub);
    struct fm_memory *whole = fm_memory_clone(t->hub.store);
    damage(&t->hub, &loser);
    assert_int_equal(decide(&desk, (struct fm_resolution){.loser = loser, .strategy = FM_TAKE_WINNER}), FM_ECORRUPT);
    fm_memory_free(t->hub.store); /* repaired */
    t->hub.store = whole;
    assert_int_equal(fm_lab_restart(&t->hub), FM_OK);
    assert_int_equal(decide(&desk, (struct fm_resolution){.loser = loser, .strategy = FM_TAKE_WINNER}), FM_OK);
    assert_int_equal(desk.result.status, FM_SUCCESS);
    assert_int_equal(version_of(&t->hub, &head).place, FM_PLACE_SETTLED);
    damage(&t->hub, &head);
    assert_int_equal(decide(&desk, (struct fm_resolution){.loser = head, .undo = true}), FM_ECORRUPT);
    assert_int_equal(fm_lab_crash(&t->hub), FM_OK);
    assert_int_equal(decide(&desk, (struct fm_resolution){.loser = head, .undo = true}), FM_OK);
    assert_int_equal(desk.result.status, FM_SUCCESS);
}

/* Each piece of memory a decision asks for is not given once, with the step's scratch filled up to any point of it. No row
 * is ever written, so the decision is as new each time. */
static void test_a_decision_without_memory(void **state)
{
    static const enum fm_strategy strategies[] = {FM_TAKE_DATA, FM_MERGE};
    struct three *t = *state;
    size_t failures = 0;
    struct fm_version_id loser = conflict(t, FM_KIND_ASSESSMENT, "{a:1,b:1}", "{a:2,b:1}", "{a:1,b:2}");
    for (size_t i = 0; i < 2; i++) {
        struct fm_resolution s = {.loser = loser, .strategy = strategies[i], .actor = fm_span_str("operator")};
        s.data = i == 0 ? fm_text_doc(&t->hub.arena, "{a:4,b:4}") : fm_span(NULL, 0);
        /* Small pieces come last, so near the end every one is tried; before it, those of a KiB. */
        for (size_t room = 0; room < 64 * 1024; room += room < 12 * 1024 ? 32 : 512) {
            for (int64_t left = 0; left < 8; left++) {
                struct fm_event event = {.kind = FM_EVENT_RESOLVE, .now_ms = t->hub.now_ms};
                struct fm_repl *core = t->hub.core;
                fm_arena_fini(&core->scratch);
                assert_non_null(fm_arena_take(&core->scratch, 64 * 1024 - room));
                core->event = &event;
                core->sink = &t->hub.sink;
                t->hub.rows_left = 0;
                fm_fault_begin(left);
                int rc = fm_resolve(core, &s);
                bool hit = fm_fault_end();
                failures += hit;
                core->event = NULL;
                core->sink = NULL;
                if (hit)
                    assert_int_equal(rc, FM_ENOMEM);
                else /* it came to the row, or to the refusal of what lacks fields */
                    assert_int_equal(rc, i == 0 ? FM_OK : FM_ESTORE);
            }
        }
    }
    t->hub.rows_left = -1;
    assert_true(failures > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_does_not_count_is_no_conflict),
        CASE(test_a_kind_that_nobody_submits_is_settled_all_the_same),
        CASE(test_data_beside_the_winner_is_not_looked_at_beyond_its_form),
        CASE(test_data_over_a_deletion_of_nothing),
        CASE(test_a_merge_without_a_common_base),
        CASE(test_a_deletion_that_lost_cannot_be_merged),
        CASE(test_what_says_the_same_was_settled_by_nobody),
        CASE(test_a_decision_past_the_limit_of_a_change_is_refused),
        CASE(test_an_undo_past_the_limit_of_a_change_is_refused),
        CASE(test_rows_that_name_what_is_not_there_are_damage),
        CASE(test_a_decision_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
