/* Our own stream's next set: its epoch never falls, and where the grant ends nothing is written. */
#include "tests/support/lab_three.h"
#include "replication/submit.h"
#include "tests/support/text_doc.h"

/* A grant for these epochs, freed by fm_lab_act_free. */
static struct fm_act *grant_for(const struct fm_lab_device *to, uint8_t role, uint64_t serial, uint64_t first, uint64_t last)
{
    struct fm_act *act = fm_lab_grant(to, role, serial, keys);
    struct fm_crypto c = fm_fake_crypto();
    struct fm_mesh_id mesh = fm_lab_mesh();
    struct fm_buf bytes;
    struct fm_span old = act->grant.bytes;
    act->grant.epoch_first = first;
    act->grant.epoch_last = last;
    fm_buf_init(&bytes, 0);
    assert_int_equal(fm_grant_encode(&bytes, &act->grant), 0);
    assert_int_equal(fm_grant_decode(&act->grant, &c, &mesh, fm_buf_span(&bytes)), 0);
    free((void *)(uintptr_t)old.data);
    return act;
}

/* The root's sets, one act each, in one stream. */
struct root {
    struct fm_lab_device device;
    struct fm_set_id last;
    uint64_t sequence;
};

static void root_acts(struct root *root, struct fm_lab_node *at, const struct fm_act *act)
{
    struct fm_lab_set set;
    struct fm_buf item;
    fm_buf_init(&item, 0);
    assert_int_equal(fm_act_encode(&item, act), 0);
    struct fm_span items[1] = {fm_buf_span(&item)};
    struct fm_set_header header = {.stream.incarnation = 1,
                                   .sequence = ++root->sequence,
                                   .has_prev = root->sequence > 1,
                                   .prev = root->last,
                                   .time = (LAB_NOW << 16) + root->sequence};
    fm_lab_set(&set, &root->device, header, items, 1, NULL);
    root->last = set.id;
    take(at, &set, 0);
    fm_lab_set_free(&set);
    fm_buf_fini(&item);
}

static struct fm_set_meta last_set(struct fm_lab_node *n, uint8_t lane)
{
    const struct fm_port *port = fm_memory_port(n->store);
    struct fm_set_meta meta, found = {.arrival = 0};
    for (uint64_t at = 1; port->set_next(port->ctx, at, &meta) == 0; at = meta.arrival + 1)
        if (meta.stream.lane == lane && fm_id_eq(&meta.stream.author, &n->self.author))
            found = meta;
    assert_true(found.arrival != 0);
    return found;
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

static struct fm_result submit(struct fm_lab_node *n, const char *type, const char *document)
{
    struct fm_submission s = {.type = fm_span_str(type),
                              .action = fm_span_str("create"),
                              .data = fm_text_doc(&n->arena, document),
                              .actor = fm_span_str("operator")};
    struct answer answer = {.sink = n->sink};
    n->sink = (struct fm_sink){.ctx = &answer, .act = keep_result};
    assert_int_equal(fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = &s}), 0);
    n->sink = answer.sink;
    return answer.result;
}

static void policy_on(struct fm_lab_node *n)
{
    char key[65], text[200];
    struct fm_version_id id;
    for (size_t i = 0; i < FM_KEY_BYTES; i++)
        (void)snprintf(key + 2 * i, 3, "%02x", n->self.author.b[i]);
    (void)snprintf(text, sizeof text, "{autoSettle:\"disjoint\", autoSettleNode:\"%s\"}", key);
    struct fm_change policy = fm_lab_change(n, FM_CREATE, 0, 1, NULL, text);
    policy.kind = FM_KIND_POLICY;
    fm_policy_id(n->core, &policy.record);
    assert_int_equal(fm_lab_write(n, &policy, &id), 0);
    assert_int_equal(fm_lab_end(n), 0);
}

/* The root revokes this grant; what was written under it so far stays. */
static void revoke_grant(struct root *root, struct fm_lab_node *n, const struct fm_grant *grant)
{
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_REVOKE;
    act->targets_grant = true;
    act->revoked = grant->id;
    act->cut_count = 2;
    for (uint8_t lane = 0; lane < 2; lane++) {
        struct fm_set_meta set = last_set(n, lane);
        act->cuts[lane] =
            (struct fm_cut){.incarnation = set.stream.incarnation, .lane = lane, .sequence = set.sequence, .set = set.id};
    }
    root_acts(root, n, act);
    free(act);
}

static uint32_t open_of(struct fm_lab_node *n, uint8_t record)
{
    struct fm_head head;
    assert_int_equal(find_head(n, record, &head), 0);
    return head.open;
}

/* A coordinator wrote at epoch 5; its grant is revoked, and the next one ends at epoch 3: the stream cannot go on under it,
 * neither with records, nor with acts, nor with a settled conflict; a grant that reaches so far lets it go on. */
static void test_a_stream_past_its_grants_epochs_waits_for_another_grant(void **state)
{
    struct root root = {.sequence = 0};
    struct fm_lab_node hub, camp;
    int refused;
    (void)state;
    fm_lab_device(&root.device, "root");
    fm_lab_open(&hub, "hub", 11);
    fm_lab_open(&camp, "camp", 12);
    struct fm_act *first = grant_for(&hub.device, FM_ROLE_COORDINATOR, 1, 5, 9);
    root_acts(&root, &hub, first);
    assert_int_equal(submit(&hub, "entity", "{name:\"one\"}").status, FM_SUCCESS);
    policy_on(&hub);
    fm_lab_join(&hub, &camp, 2, keys);
    assert_int_equal(last_set(&hub, FM_LANE_RECORDS).epoch, 5);
    assert_int_equal(fm_repl_epoch(hub.core), 1);

    revoke_grant(&root, &hub, &first->grant);
    struct fm_act *second = grant_for(&hub.device, FM_ROLE_COORDINATOR, 2, 1, 3);
    root_acts(&root, &hub, second);
    assert_int_equal(fm_repl_role(hub.core), FM_ROLE_COORDINATOR);
    struct fm_result result = submit(&hub, "entity", "{name:\"two\"}");
    assert_int_equal(result.status, FM_FAILED);
    assert_string_equal(result.code, "not-joined");
    struct fm_act *another = fm_lab_grant(&camp.device, FM_ROLE_CAMP, 3, NULL);
    assert_int_equal(fm_lab_act(&hub, another, &refused), 0);
    assert_int_equal(refused, FM_ENOTJOINED);
    struct fm_version_id base = write_one(&camp, FM_CREATE, 1, 1, NULL, "{a:1}");
    write_one(&camp, FM_UPDATE, 1, 2, &base, "{a:1, left:1}");
    write_one(&camp, FM_UPDATE, 1, 2, &base, "{a:1, right:1}");
    assert_int_equal(fm_lab_end(&camp), 0);
    fm_lab_exchange(&hub, &camp, 0);
    assert_int_equal(open_of(&hub, 1), 1);

    struct fm_act *third = grant_for(&hub.device, FM_ROLE_COORDINATOR, 3, 1, 9);
    root_acts(&root, &hub, third);
    write_one(&camp, FM_UPDATE, 1, 2, &base, "{a:1, middle:1}");
    assert_int_equal(fm_lab_end(&camp), 0);
    fm_lab_exchange(&hub, &camp, 0);
    assert_int_equal(open_of(&hub, 1), 0);
    assert_int_equal(submit(&hub, "entity", "{name:\"three\"}").status, FM_SUCCESS);
    assert_int_equal(fm_lab_end(&hub), 0);
    struct fm_set_meta set = last_set(&hub, FM_LANE_RECORDS);
    assert_int_equal(set.epoch, 5); /* above the mesh's */
    assert_int_equal(set.verdict, FM_COUNTED);
    fm_lab_act_free(first);
    fm_lab_act_free(second);
    fm_lab_act_free(third);
    fm_lab_act_free(another);
    fm_lab_close(&hub);
    fm_lab_close(&camp);
}

/* An act that no change can hold is refused with the reason, and nothing is written. */
static void test_an_act_that_is_too_large(void **state)
{
    struct three *t = *state;
    struct fm_act *act = calloc(1, sizeof *act);
    uint8_t *bytes = calloc(1, FM_CHANGE_BYTES_MAX);
    int refused;
    assert_true(act != NULL && bytes != NULL);
    uint64_t rows = t->hub.rows;
    act->kind = FM_ACT_GRANT;
    act->grant.role = FM_ROLE_CAMP;
    act->grant.bytes = fm_span(bytes, FM_CHANGE_BYTES_MAX);
    assert_int_equal(fm_lab_act(&t->hub, act, &refused), 0);
    assert_int_equal(refused, FM_ELIMIT);
    assert_true(t->hub.rows == rows);
    free(bytes);
    free(act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_stream_past_its_grants_epochs_waits_for_another_grant),
                                       CASE(test_an_act_that_is_too_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
