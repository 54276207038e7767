/* A record past its bound of versions shows nothing, whatever the order in which they came, and stops no node; and a version
 * that more sets hold than its row has room for. */
#include "tests/support/no_memory.h"
#include "tests/support/lab_three.h"
#include "replication/uuid.h"
#include "tests/support/text_doc.h"

/* The store's bound is FM_RECORD_VERSIONS_MAX; behind this port it is a small one. */
#define LIMIT 6u
static struct fm_port bounded[2];
static int (*inner_versions)(void *, uint8_t, const struct fm_record_id *, struct fm_arena *, struct fm_version **, size_t *);

static int bounded_versions(void *ctx, uint8_t kind, const struct fm_record_id *record, struct fm_arena *arena,
                            struct fm_version **out, size_t *count)
{
    struct fm_arena own = {NULL}; /* the caller's gets nothing of what is too much */
    int rc = inner_versions(ctx, kind, record, &own, out, count);
    bool full = rc == FM_OK && *count > LIMIT;
    fm_arena_fini(&own);
    return rc != FM_OK ? rc : full ? FM_ELIMIT : inner_versions(ctx, kind, record, arena, out, count);
}

static void bound(struct fm_lab_node *n, struct fm_port *port)
{
    *port = *fm_memory_port(n->store);
    inner_versions = port->versions;
    port->versions = bounded_versions;
    fm_repl_free(n->core);
    n->core = fm_repl_new(&n->self, &n->device.crypto, port);
    assert_non_null(n->core);
    assert_int_equal(fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_START}), 0);
}

/* One create of record 9 in a stream of its own, so that any order is one in which they can come. */
static void one_version(struct three *t, struct fm_lab_set *out, unsigned i)
{
    char text[32];
    snprintf(text, sizeof text, "{a:%u}", i);
    struct fm_span item = item_of(&t->a, 9, 1 + i, text);
    fm_lab_set(out, &t->a.device,
               (struct fm_set_header){.stream = {.incarnation = 100 + i, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)},
               &item, 1, NULL);
}

struct answer {
    struct fm_sink sink;
    struct fm_result result;
};

static int keep_result(void *ctx, const struct fm_action *action)
{
    struct answer *a = ctx;
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_RESULT)
        a->result = *action->result;
    return a->sink.act(a->sink.ctx, action);
}

static void assert_record_full(struct fm_lab_node *n, const char *action)
{
    struct fm_record_id id = fm_lab_record(9);
    char uuid[37], text[80];
    fm_uuid_text(uuid, &id);
    snprintf(text, sizeof text, "{id:\"%s\",priority:\"HIGH\"}", uuid);
    struct fm_submission s = {.type = fm_span_str("assessment"), .action = fm_span_str(action),
                              .data = fm_text_doc(&n->arena, text), .has_version = true, .version = 20,
                              .actor = fm_span_str("operator")};
    struct answer answer = {.sink = n->sink};
    n->sink = (struct fm_sink){.ctx = &answer, .act = keep_result};
    assert_int_equal(fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s}), 0);
    n->sink = answer.sink;
    assert_int_equal(answer.result.status, FM_FAILED);
    assert_string_equal(answer.result.code, "record-full");
}

static void test_a_full_record_shows_nothing_in_any_order(void **state)
{
    struct three *t = *state;
    struct fm_lab_node *nodes[2] = {&t->hub, &t->b};
    struct fm_lab_set sets[LIMIT + 2];
    struct fm_head seen;
    for (unsigned i = 0; i < LIMIT + 2; i++)
        one_version(t, &sets[i], i);
    for (int n = 0; n < 2; n++) {
        bound(nodes[n], &bounded[n]);
        for (unsigned i = 0; i < LIMIT + 1; i++) {
            assert_int_equal(shown(nodes[n], 9), i > 0);
            take(nodes[n], &sets[n == 0 ? i : LIMIT - i], 0);
        }
        assert_int_equal(find_head(nodes[n], 9, &seen), 0);
        assert_false(seen.shown);
        assert_true(seen.versions > FM_RECORD_VERSIONS_MAX);
    }
    assert_same_digests(nodes[0], nodes[1]);
    uint64_t rows = nodes[0]->rows;
    take(nodes[0], &sets[LIMIT + 1], 0);
    assert_true(nodes[0]->rows - rows <= 5); /* set, stream, version, clock: the record is not folded any more */
    assert_record_full(&t->hub, "update");
    assert_record_full(&t->hub, "create");
    for (unsigned i = 0; i < LIMIT + 2; i++)
        fm_lab_set_free(&sets[i]);
}

/* The full record is on the to-do list still: its head shows a version, its versions cannot be read. */
static void test_a_record_that_is_full_and_not_yet_folded_stops_nothing(void **state)
{
    struct three *t = *state;
    struct fm_lab_set sets[LIMIT + 1];
    for (unsigned i = 0; i < LIMIT + 1; i++) {
        one_version(t, &sets[i], i);
        take(&t->hub, &sets[i], 0);
        fm_lab_set_free(&sets[i]);
    }
    bound(&t->hub, &bounded[0]);
    assert_true(shown(&t->hub, 9));
    assert_record_full(&t->hub, "update");
    assert_record_full(&t->hub, "create");
}

/* All of them come in one set, and their parent is held nowhere: the record is full before it was ever folded. */
static void full_at_once(struct three *t, struct fm_lab_set *out)
{
    struct fm_span items[LIMIT + 1];
    struct fm_version_id nowhere = {{1}};
    for (unsigned i = 0; i <= LIMIT; i++) {
        struct fm_change change = fm_lab_change(&t->a, FM_UPDATE, 9, 2 + i, &nowhere, "{a:1}");
        struct fm_buf item;
        fm_buf_init(&item, 0);
        assert_int_equal(fm_change_encode(&item, &change), 0);
        items[i] = fm_span(fm_arena_copy(&t->a.arena, fm_buf_span(&item)), item.len);
        fm_buf_fini(&item);
    }
    fm_lab_set(out, &t->a.device,
               (struct fm_set_header){.stream = {.incarnation = 77, .lane = 1}, .has_grant = true, .grant = grant_of(&t->a)},
               items, LIMIT + 1, NULL);
}

static int rows_to(void *ctx, const struct fm_action *action)
{
    return action->kind == FM_DO_ROW ? fm_memory_apply(ctx, &action->row) : 0;
}

/* One turn with the set that fills the record, on a copy of what the hub committed; call number `left` fails. */
static int fill(struct three *t, const struct fm_lab_set *set, int64_t left, bool *hit, struct fm_digest out[2])
{
    struct fm_memory *copy = fm_memory_clone(t->hub.saved);
    struct fm_port port = *fm_memory_port(copy);
    struct fm_fault f;
    struct fm_event event = {.kind = FM_EVENT_START, .now_ms = LAB_NOW};
    inner_versions = port.versions;
    port.versions = bounded_versions;
    fm_fault_init(&f, &port, &t->hub.device.crypto, (struct fm_sink){.ctx = copy, .act = rows_to});
    struct fm_repl *core = fm_repl_new(&t->hub.self, &f.crypto, &f.port);
    assert_non_null(core);
    assert_int_equal(fm_fault_step(&f, core, &event), 0);
    f.left = left;
    event = (struct fm_event){.kind = FM_EVENT_TAKE, .now_ms = LAB_NOW, .bytes = fm_buf_span(&set->bytes), .seed = {1}};
    int rc = fm_fault_step(&f, core, &event);
    event.kind = FM_EVENT_TURN_END;
    rc = rc == 0 ? fm_fault_step(&f, core, &event) : rc;
    *hit = f.hit;
    f.left = -1;
    if (rc == 0)
        assert_int_equal(fm_repl_digest(core, &out[0], &out[1]), 0);
    fm_repl_free(core);
    fm_memory_free(copy);
    return rc;
}

static void test_closing_a_full_record_survives_a_failure_at_any_call(void **state)
{
    struct three *t = *state;
    struct fm_digest want[2], got[2];
    struct fm_lab_set sets[LIMIT + 2];
    bool hit;
    full_at_once(t, &sets[LIMIT + 1]);
    for (unsigned i = 0; i <= LIMIT; i++)
        one_version(t, &sets[i], i);
    for (int known = 0; known < 2; known++) {
        const struct fm_lab_set *last = &sets[known == 0 ? LIMIT + 1 : LIMIT];
        for (unsigned i = 0; known == 1 && i < LIMIT; i++)
            take(&t->hub, &sets[i], 0);
        assert_int_equal(fill(t, last, -1, &hit, want), 0);
        for (int memory = 0; memory < 2; memory++) {
            int64_t n = 0;
            fm_fault_memory = memory == 1;
            for (hit = true; hit; n++) {
                int rc = fill(t, last, n, &hit, got);
                assert_true(rc == (hit ? memory == 1 ? FM_ENOMEM : FM_ESTORE : 0) || (memory == 1 && rc == 0));
            }
            fm_fault_memory = false;
            assert_true(n > 5);
            assert_memory_equal(want, got, sizeof want);
        }
    }
    for (unsigned i = 0; i < LIMIT + 2; i++)
        fm_lab_set_free(&sets[i]);
}

/* A port that shows as many versions as a record may have for a submission to be taken: all the same one. */
static int many_versions(void *ctx, uint8_t kind, const struct fm_record_id *record, struct fm_arena *arena,
                         struct fm_version **out, size_t *count)
{
    int rc = inner_versions(ctx, kind, record, arena, out, count);
    if (rc != FM_OK || kind != FM_KIND_ASSESSMENT)
        return rc;
    struct fm_version *all = fm_arena_take(arena, FM_RECORD_VERSIONS_WRITE_MAX * sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < FM_RECORD_VERSIONS_WRITE_MAX; i++)
        all[i] = (*out)[0];
    *out = all;
    *count = FM_RECORD_VERSIONS_WRITE_MAX;
    return FM_OK;
}

static void test_a_record_half_full_takes_no_more_submissions(void **state)
{
    struct three *t = *state;
    struct fm_lab_set set;
    one_version(t, &set, 0);
    take(&t->hub, &set, 0);
    bound(&t->hub, &bounded[0]);
    bounded[0].versions = many_versions;
    assert_record_full(&t->hub, "update");
    assert_record_full(&t->hub, "create");
    fm_lab_set_free(&set);
}

/* As many versions as a record may have are held, and none of them counts: who begins it here makes it a full one. */
static void test_what_is_begun_on_a_record_that_was_full_of_dead_versions(void **state)
{
    static const char text[] = "{id:\"07070707-0707-0707-0707-070707070709\", assessmentType:\"WASH\", "
                               "entityId:\"0e000000-0000-4000-8000-000000000001\", assessmentDate:\"2026-10-31\"}";
    struct three *t = *state;
    struct fm_lab_set set;
    struct fm_head head;
    for (unsigned i = 0; i < LIMIT; i++) {
        one_version(t, &set, i);
        take(&t->hub, &set, 0);
        fm_lab_set_free(&set);
    }
    revoke(t, 0);
    assert_false(shown(&t->hub, 9));
    bound(&t->hub, &bounded[0]);
    struct fm_submission s = {.type = fm_span_str("assessment"), .action = fm_span_str("create"),
                              .data = fm_text_doc(&t->hub.arena, text), .actor = fm_span_str("operator")};
    struct answer answer = {.sink = t->hub.sink};
    t->hub.sink = (struct fm_sink){.ctx = &answer, .act = keep_result};
    assert_int_equal(fm_lab_step(&t->hub, (struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s}), 0);
    t->hub.sink = answer.sink;
    assert_int_equal(answer.result.status, FM_CONFLICT);
    assert_string_equal(answer.result.message, "kept, but it does not count here yet");
    assert_true(answer.result.has_version && !answer.result.opened_conflict);
    assert_int_equal(find_head(&t->hub, 9, &head), 0);
    assert_true(!head.shown && head.versions > FM_RECORD_VERSIONS_MAX);
    assert_int_equal(fm_lab_end(&t->hub), 0);
    assert_record_full(&t->hub, "create");
}

/* A version's id does not tell the lane: a stream forked in the lane of membership may hold it in as many sets as its row
 * has room for, all dead; the one set of records that holds it must count all the same. */
static void test_dead_holders_make_room_for_a_live_one(void **state)
{
    struct three *t = *state;
    struct fm_lab_node *nodes[2] = {&t->hub, &t->b};
    struct fm_lab_set sets[FM_HOLDERS_MAX + 1];
    struct fm_span items[2] = {item_of(&t->a, 9, 1, "{a:1}"), {NULL, 0}};
    for (unsigned i = 0; i <= FM_HOLDERS_MAX; i++) {
        struct fm_set_header header = {.stream = {.incarnation = 99, .lane = i == FM_HOLDERS_MAX}, .has_grant = true,
                                       .grant = grant_of(&t->a)};
        items[1] = item_of(&t->a, (uint8_t)(20 + i), 1, "{a:1}");
        fm_lab_set(&sets[i], &t->a.device, header, items, 2, NULL);
    }
    for (int n = 0; n < 2; n++) {
        for (unsigned i = 0; i <= FM_HOLDERS_MAX; i++)
            take(nodes[n], &sets[n == 0 ? i : FM_HOLDERS_MAX - i], 0);
        assert_true(shown(nodes[n], 9));
    }
    assert_same_digests(nodes[0], nodes[1]);
    for (unsigned i = 0; i <= FM_HOLDERS_MAX; i++)
        fm_lab_set_free(&sets[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_full_record_shows_nothing_in_any_order),
        CASE(test_a_record_that_is_full_and_not_yet_folded_stops_nothing),
        CASE(test_closing_a_full_record_survives_a_failure_at_any_call),
        CASE(test_a_record_half_full_takes_no_more_submissions),
        CASE(test_what_is_begun_on_a_record_that_was_full_of_dead_versions),
        CASE(test_dead_holders_make_room_for_a_live_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
