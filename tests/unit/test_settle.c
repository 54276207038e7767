/* Settling by policy: what the policy says, which conflicts it may settle, and what the settled version holds. */
#include "tests/support/lab_three.h"
#include "replication/submit.h"
#include "tests/support/text_doc.h"

static void own_key(const struct fm_lab_node *n, char out[65])
{
    for (size_t i = 0; i < FM_KEY_BYTES; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", n->self.author.b[i]);
}

/* A version of the policy with this document, as any coordinator's program may write it. */
static struct fm_version_id policy(struct fm_lab_node *n, uint32_t number, const struct fm_version_id *parent,
                                   const char *text)
{
    struct fm_version_id id;
    struct fm_change change = fm_lab_change(n, parent == NULL ? FM_CREATE : FM_UPDATE, 0, number, parent, text);
    change.kind = FM_KIND_POLICY;
    fm_policy_id(n->core, &change.record);
    assert_int_equal(fm_lab_write(n, &change, &id), 0);
    assert_int_equal(fm_lab_end(n), 0);
    return id;
}

static void policy_on(struct fm_lab_node *n)
{
    char text[200], key[65];
    own_key(n, key);
    (void)snprintf(text, sizeof text, "{autoSettle:\"disjoint\", autoSettleNode:\"%s\"}", key);
    policy(n, 1, NULL, text);
}

static struct fm_version_id write_set(struct fm_lab_node *n, uint8_t action, uint8_t record, uint32_t version,
                                      const struct fm_version_id *parent, const char *document)
{
    struct fm_version_id id = write_one(n, action, record, version, parent, document);
    assert_int_equal(fm_lab_end(n), 0);
    return id;
}

/* The hub's record gets a second head from A, disjoint with the hub's own. */
static struct fm_version_id conflict(struct three *t, uint8_t record)
{
    struct fm_version_id base = write_set(&t->hub, FM_CREATE, record, 1, NULL, "{a:1}");
    fm_lab_exchange(&t->a, &t->hub, 0);
    struct fm_version_id own = write_set(&t->hub, FM_UPDATE, record, 2, &base, "{a:1, left:1}");
    write_set(&t->a, FM_UPDATE, record, 2, &base, "{a:1, right:1}");
    fm_lab_exchange(&t->hub, &t->a, 0);
    return own;
}

static uint32_t open_of(struct fm_lab_node *n, uint8_t record)
{
    struct fm_head head;
    assert_int_equal(find_head(n, record, &head), 0);
    return head.open;
}

static struct fm_span shown_document(struct fm_lab_node *n, uint8_t record)
{
    struct fm_version v;
    struct fm_head head;
    struct fm_span document, actor;
    const struct fm_port *port = fm_memory_port(n->store);
    assert_int_equal(find_head(n, record, &head), 0);
    assert_int_equal(port->version_get(port->ctx, &head.winner, &n->arena, &v), 0);
    assert_int_equal(fm_repl_document(n->core, &v, &document, &actor), 0);
    return fm_span(fm_arena_copy(&n->arena, document), document.len);
}

/* All that `from` holds; the turn stays open. */
static void take_in_one_turn(struct fm_lab_node *to, const struct fm_lab_node *from)
{
    const struct fm_port *port = fm_memory_port(from->store);
    struct fm_set_meta set;
    for (uint64_t at = 1; port->set_next(port->ctx, at, &set) == 0; at = set.arrival + 1) {
        struct fm_buf bytes;
        fm_buf_init(&bytes, 0);
        assert_int_equal(port->set_bytes(port->ctx, set.arrival, &bytes), 0);
        struct fm_event e = {.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&bytes)};
        assert_int_equal(fm_lab_step(to, e), 0);
        fm_buf_fini(&bytes);
    }
}

/* Only the policy's own words settle anything; KEY is the hub's. */
static void test_what_the_policy_says(void **state)
{
    static const struct {
        const char *text;
        bool settles;
    } cases[] = {{"{}", false},
                 {"{autoSettle:\"disjoint\"}", false},
                 {"{autoSettleNode:\"KEY\"}", false},
                 {"{autoSettle:\"never\", autoSettleNode:\"KEY\"}", false},
                 {"{autoSettle:1, autoSettleNode:\"KEY\"}", false},
                 {"{autoSettle:\"disjoint\", autoSettleNode:[]}", false},
                 {"{autoSettle:\"disjoint\", autoSettleNode:\"ab\"}", false},
                 {"{autoSettle:\"disjoint\", autoSettleNode:\"KEY\"}", true}};
    struct three *t = *state;
    struct fm_version_id last = policy(&t->hub, 1, NULL, "{autoSettle:\"never\"}");
    char key[65], text[200];
    own_key(&t->hub, key);
    for (uint8_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *at = strstr(cases[i].text, "KEY");
        int front = at != NULL ? (int)(at - cases[i].text) : (int)strlen(cases[i].text);
        (void)snprintf(text, sizeof text, "%.*s%s%s", front, cases[i].text, at != NULL ? key : "", at != NULL ? at + 3 : "");
        last = policy(&t->hub, 2u + i, &last, text);
        conflict(t, (uint8_t)(1 + i));
        if ((open_of(&t->hub, (uint8_t)(1 + i)) == 0) != cases[i].settles)
            fail_msg("%s", cases[i].text);
    }
}

/* Two begin the same record: there is no common base, and the two documents are laid together. */
static void test_a_record_that_was_begun_twice(void **state)
{
    struct three *t = *state;
    policy_on(&t->hub);
    write_set(&t->hub, FM_CREATE, 1, 1, NULL, "{left:1}");
    write_set(&t->a, FM_CREATE, 1, 1, NULL, "{right:1}");
    write_set(&t->b, FM_CREATE, 1, 1, NULL, "{middle:1}");
    fm_lab_exchange(&t->a, &t->b, 0);
    take_in_one_turn(&t->hub, &t->a);
    assert_int_equal(fm_lab_end(&t->hub), 0);
    assert_int_equal(open_of(&t->hub, 1), 0);
    struct fm_span document = shown_document(&t->hub, 1);
    assert_true(fm_doc_has(document, "left") && fm_doc_has(document, "right") && fm_doc_has(document, "middle"));
}

/* A deletion is a person's: no rule lays anything over it. */
static void test_what_was_deleted_is_left(void **state)
{
    static const char text[] = "{id:\"07070707-0707-0707-0707-070707070701\", updatedAt:\"2026-10-31T09:00:00.000Z\"}";
    struct three *t = *state;
    struct fm_head head;
    struct fm_version_id base = write_set(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1}");
    policy_on(&t->hub);
    fm_lab_exchange(&t->a, &t->hub, 0);
    write_set(&t->a, FM_UPDATE, 1, 2, &base, "{a:1, right:1}");
    write_set(&t->hub, FM_DELETE, 1, 3, &base, text);
    fm_lab_exchange(&t->hub, &t->a, 0);
    assert_int_equal(find_head(&t->hub, 1, &head), 0);
    assert_true(head.deleted);
    assert_int_equal(head.open, 1);
}

static int resolve(struct fm_lab_node *n, const struct fm_version_id *entry, bool undo)
{
    struct fm_resolution s = {.strategy = FM_TAKE_WINNER, .loser = *entry, .undo = undo, .actor = fm_span_str("operator")};
    return fm_lab_step(n, (struct fm_event){.kind = FM_EVENT_RESOLVE, .resolution = &s});
}

/* What the policy settled was taken back by a person: it does not settle it again. */
static void test_an_undo_is_left(void **state)
{
    struct three *t = *state;
    struct fm_version *versions;
    struct fm_record_id id = fm_lab_record(1);
    const struct fm_port *port = fm_memory_port(t->hub.store);
    size_t count, entries = 0;
    policy_on(&t->hub);
    conflict(t, 1);
    assert_int_equal(open_of(&t->hub, 1), 0);
    assert_int_equal(port->versions(port->ctx, FM_KIND_ASSESSMENT, &id, &t->hub.arena, &versions, &count), 0);
    for (size_t i = 0; i < count; i++) {
        if (versions[i].place != FM_PLACE_SETTLED)
            continue;
        entries++;
        assert_int_equal(resolve(&t->hub, &versions[i].id, true), 0);
        assert_int_equal(fm_lab_end(&t->hub), 0);
    }
    assert_int_equal(entries, 1);
    assert_int_equal(open_of(&t->hub, 1), 1);
    write_set(&t->a, FM_CREATE, 2, 1, NULL, "{a:1}");
    fm_lab_exchange(&t->hub, &t->a, 0);
    assert_int_equal(open_of(&t->hub, 1), 1);
}

/* The winner edits one decision; another decision on the same heads stands beside it. */
static void test_a_decision_beside_the_winner_is_left(void **state)
{
    struct three *t = *state;
    struct fm_version_id own, heads[2], one, two, id;
    policy_on(&t->hub);
    own = write_one(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1}");
    heads[0] = write_one(&t->hub, FM_UPDATE, 1, 2, &own, "{a:1, left:1}");
    heads[1] = write_one(&t->hub, FM_UPDATE, 1, 2, &own, "{a:1, right:1}");
    struct fm_change change = fm_lab_change(&t->hub, FM_UPDATE, 1, 3, &heads[0], "{a:1, left:1, right:1}");
    change.parent_count = 2;
    change.parents[1] = heads[1];
    assert_int_equal(fm_lab_write(&t->hub, &change, &one), 0);
    change.document = fm_text_doc(&t->hub.arena, "{a:1, left:1, right:1, more:1}");
    assert_int_equal(fm_lab_write(&t->hub, &change, &two), 0);
    change = fm_lab_change(&t->hub, FM_UPDATE, 1, 4, &one, "{a:1, left:1, right:1, late:1}");
    assert_int_equal(fm_lab_write(&t->hub, &change, &id), 0);
    assert_int_equal(fm_lab_end(&t->hub), 0);
    struct fm_head head;
    assert_int_equal(find_head(&t->hub, 1, &head), 0);
    assert_memory_equal(&head.winner, &id, sizeof id);
    assert_int_equal(head.open, 1);
}

/* What stands between the conflict and the end of its turn: a person settled it, or its authors were revoked. */
static void test_a_conflict_that_ends_in_its_turn(void **state)
{
    struct three *t = *state;
    struct fm_version_id base = write_set(&t->a, FM_CREATE, 1, 1, NULL, "{a:1}");
    fm_lab_exchange(&t->b, &t->a, 0);
    fm_lab_exchange(&t->hub, &t->a, 0);
    struct fm_version_id other = write_set(&t->b, FM_UPDATE, 1, 2, &base, "{a:1, right:1}");
    write_set(&t->a, FM_UPDATE, 1, 3, &base, "{a:1, left:1}");
    policy_on(&t->hub);
    fm_lab_exchange(&t->b, &t->a, 0);
    for (int revoked = 0; revoked < 2; revoked++) {
        struct fm_memory *before = fm_memory_clone(t->hub.saved);
        struct fm_head head;
        take_in_one_turn(&t->hub, &t->b);
        assert_int_equal(open_of(&t->hub, 1), 1);
        if (revoked == 0)
            assert_int_equal(resolve(&t->hub, &other, false), 0);
        for (int i = 0; revoked == 1 && i < 2; i++) {
            struct fm_act act = {.kind = FM_ACT_REVOKE, .node = i == 0 ? t->a.self.author : t->b.self.author};
            assert_int_equal(fm_lab_step(&t->hub, (struct fm_event){.kind = FM_EVENT_ACT, .act = &act}), 0);
        }
        assert_int_equal(fm_lab_end(&t->hub), 0);
        assert_int_equal(find_head(&t->hub, 1, &head), 0);
        assert_int_equal(head.open, 0);
        assert_int_equal(head.shown, revoked == 0);
        assert_int_equal(head.versions, revoked == 0 ? 4 : 0); /* the person's decision, and no other one */
        fm_memory_free(t->hub.saved);
        t->hub.saved = before;
        assert_int_equal(fm_lab_crash(&t->hub), 0);
    }
}

/* As many heads as a version may have parents are settled at once; one more is a person's to look at. */
static void test_no_more_heads_than_a_version_has_parents(void **state)
{
    struct three *t = *state;
    policy_on(&t->hub);
    for (unsigned heads = FM_PARENTS_MAX; heads <= FM_PARENTS_MAX + 1; heads++) {
        uint8_t record = (uint8_t)heads;
        struct fm_version_id base = write_set(&t->a, FM_CREATE, record, 1, NULL, "{a:1}");
        for (unsigned i = 0; i < heads; i++) {
            char text[32];
            (void)snprintf(text, sizeof text, "{a:1, f%u:1}", i);
            write_one(&t->a, FM_UPDATE, record, 2, &base, text);
        }
        assert_int_equal(fm_lab_end(&t->a), 0);
        fm_lab_exchange(&t->hub, &t->a, 0);
        assert_int_equal(open_of(&t->hub, record), heads == FM_PARENTS_MAX ? 0 : FM_PARENTS_MAX);
    }
    struct fm_span document = shown_document(&t->hub, FM_PARENTS_MAX);
    for (unsigned i = 0; i < FM_PARENTS_MAX; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "f%u", i);
        assert_true(fm_doc_has(document, name));
    }
}

/* A document text of `bytes` bytes in texts of at most 15,000: {NAME0:"xxx", NAME1:"xxx" …}. */
static char *sized(const char *name, size_t bytes)
{
    char *text = malloc(bytes + 200), *at = text;
    assert_non_null(text);
    at += snprintf(at, 8, "{a:1");
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

/* The sum may be larger than a change: at the merge, with its dates and number, or with what stands around it. */
static void test_a_sum_that_is_too_large_is_left(void **state)
{
    struct three *t = *state;
    bool left_before = false;
    unsigned settled = 0, left = 0;
    policy_on(&t->hub);
    char *own = sized("left", 30000);
    for (size_t bytes = 35200; bytes <= 35700; bytes += 10) {
        char *other = sized("right", bytes);
        struct fm_version_id base = write_set(&t->hub, FM_CREATE, (uint8_t)(1 + settled + left), 1, NULL, "{a:1}");
        write_one(&t->hub, FM_UPDATE, (uint8_t)(1 + settled + left), 2, &base, own);
        write_one(&t->hub, FM_UPDATE, (uint8_t)(1 + settled + left), 2, &base, other);
        assert_int_equal(fm_lab_end(&t->hub), 0);
        bool is_left = open_of(&t->hub, (uint8_t)(1 + settled + left)) == 1;
        assert_true(is_left || !left_before); /* one edge */
        left_before = is_left;
        *(is_left ? &left : &settled) += 1;
        free(other);
    }
    free(own);
    assert_true(settled > 10 && left > 20);
}

/* Only another verdict stands beside a verified winner: nothing that was verified changes, and it stays verified. */
static void test_the_same_content_stays_verified(void **state)
{
    struct three *t = *state;
    struct fm_span status;
    policy_on(&t->hub);
    struct fm_version_id base = write_set(&t->hub, FM_CREATE, 1, 1, NULL, "{a:1, verificationStatus:\"PENDING\"}");
    write_one(&t->hub, FM_UPDATE, 1, 2, &base, "{a:1, verificationStatus:\"PENDING\", rejectionReason:\"r\"}");
    write_one(&t->hub, FM_UPDATE, 1, 3, &base, "{a:1, verificationStatus:\"VERIFIED\"}");
    assert_int_equal(fm_lab_end(&t->hub), 0);
    assert_int_equal(open_of(&t->hub, 1), 0);
    struct fm_head head;
    assert_int_equal(find_head(&t->hub, 1, &head), 0);
    assert_int_equal(head.number, 4);
    assert_int_equal(fm_doc_str(shown_document(&t->hub, 1), "verificationStatus", &status), 0);
    assert_true(fm_span_eq(status, fm_span_str("VERIFIED")));
    assert_false(fm_doc_has(shown_document(&t->hub, 1), "rejectionReason"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_the_policy_says),
        CASE(test_a_record_that_was_begun_twice),
        CASE(test_what_was_deleted_is_left),
        CASE(test_an_undo_is_left),
        CASE(test_a_decision_beside_the_winner_is_left),
        CASE(test_a_conflict_that_ends_in_its_turn),
        CASE(test_no_more_heads_than_a_version_has_parents),
        CASE(test_a_sum_that_is_too_large_is_left),
        CASE(test_the_same_content_stays_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
