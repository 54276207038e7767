/* Rules 8, 18: a create that comes again is compared with what counts. */
#include "replication/uuid.h"
#include "tests/support/lab_three.h"
#include "tests/support/text_doc.h"

#define PERSON 50
#define PLACE 51
#define DOC "assessmentType:\"WASH\",assessmentDate:\"2026-10-31\",entityId:\"%s\",createdAt:\"2026-10-31\""

struct heard {
    struct fm_sink inner;
    struct fm_result result;
};

static int hear(void *ctx, const struct fm_action *action)
{
    struct heard *h = ctx;
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_RESULT)
        h->result = *action->result;
    return h->inner.act(h->inner.ctx, action);
}

/* A record of another kind, written at the hub. */
static void write_other(struct fm_lab_node *n, uint8_t kind, uint8_t record, const char *document)
{
    struct fm_version_id id;
    struct fm_change change = fm_lab_change(n, FM_CREATE, record, 1, NULL, document);
    change.kind = kind;
    assert_int_equal(fm_lab_write(n, &change, &id), 0);
    assert_int_equal(fm_lab_end(n), 0);
}

/* The create of record 1 with this value, by the person. */
static struct fm_result create(struct fm_lab_node *n, unsigned value)
{
    char person[37], place[37], record[37], text[400];
    struct fm_record_id ids[3] = {fm_lab_record(PERSON), fm_lab_record(PLACE), fm_lab_record(1)};
    struct heard heard = {.inner = n->sink};
    fm_uuid_text(person, &ids[0]);
    fm_uuid_text(place, &ids[1]);
    fm_uuid_text(record, &ids[2]);
    (void)snprintf(text, sizeof text, "{id:\"%s\",v:%u," DOC "}", record, value, place);
    struct fm_submission s = {.type = fm_span_str("assessment"), .action = fm_span_str("create"),
                              .actor = fm_span_str(person), .data = fm_text_doc(&n->arena, text)};
    n->sink = (struct fm_sink){.ctx = &heard, .act = hear};
    assert_int_equal(fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s}), 0);
    n->sink = heard.inner;
    assert_int_equal(fm_lab_end(n), 0);
    return heard.result;
}

static void test_content_that_does_not_count_is_not_known(void **state)
{
    struct three *t = *state;
    struct fm_head head;
    write_other(&t->hub, FM_KIND_USER, PERSON, "{name:\"P\",roles:[\"COORDINATOR\"]}");
    write_other(&t->hub, FM_KIND_ENTITY, PLACE, "{name:\"Dikwa\"}");
    fm_lab_exchange(&t->a, &t->hub, 0);
    fm_lab_exchange(&t->b, &t->hub, 0);
    assert_int_equal(create(&t->a, 1).status, FM_SUCCESS);
    assert_int_equal(create(&t->b, 2).status, FM_SUCCESS);
    fm_lab_exchange(&t->hub, &t->b, 0);
    fm_lab_exchange(&t->hub, &t->a, 0);
    for (unsigned value = 1; value <= 2; value++) { /* either is known, whoever won */
        struct fm_result res = create(&t->hub, value);
        assert_int_equal(res.status, FM_SUCCESS);
        assert_string_equal(res.message, "Assessment already synced");
        assert_false(res.has_version);
    }
    revoke(t, 0);
    assert_string_equal(create(&t->hub, 2).message, "Assessment already synced");
    struct fm_result res = create(&t->hub, 1); /* only A wrote it, and A does not count any more */
    assert_true(res.status != FM_FAILED && res.has_version);
    assert_int_equal(find_head(&t->hub, 1, &head), 0);
    assert_int_equal(head.versions, 2);
    assert_string_equal(create(&t->hub, 1).message, "Assessment already synced");
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_content_that_does_not_count_is_not_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
