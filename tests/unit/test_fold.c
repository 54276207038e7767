/* The fold of records made by hand: rule 55's last paragraph, the reasons of void, and many versions in bounded time.
 * The model's worlds: test_fold_worlds.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "replication/fold.h"
#include "tests/support/no_memory.h"

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int no_stranger(void *ctx, const struct fm_version_id *parent, uint8_t *status)
{
    (void)parent;
    *status = ctx ? *(const uint8_t *)ctx : FM_WAITING;
    return 0;
}

static int small_document(void *ctx, const struct fm_version *v, struct fm_span *document)
{
    static const uint8_t docs[8][4] = {{0x81, 0xa1, 'a', 0}, {0x81, 0xa1, 'a', 1}, {0x81, 0xa1, 'a', 2}, {0x81, 0xa1, 'a', 3},
                                       {0x81, 0xa1, 'b', 0}, {0x81, 0xa1, 'b', 1}, {0x81, 0xa1, 'b', 2}, {0x81, 0xa1, 'b', 3}};
    (void)ctx;
    *document = fm_span(docs[v->id.b[23] % 8], 4);
    return 0;
}

static const struct fm_fold_port hand_port = {.ctx = NULL, .stranger = no_stranger, .document = small_document};

static void hand_id(struct fm_version_id *id, uint32_t name)
{
    memset(id, 0, sizeof(*id));
    fm_be_put(id->b, name, 4);
    id->b[23] = (uint8_t)name;
}

static struct fm_version hand(uint32_t name, uint8_t action, uint32_t number, uint8_t role, const struct fm_version_id *parents,
                              uint32_t parent_count)
{
    struct fm_version v = {.kind = FM_KIND_ASSESSMENT, .number = number, .time = 1000 + name, .action = action,
                           .tombstone = action == FM_DELETE, .parent_count = parent_count, .parents = parents,
                           .holder_count = 1};
    hand_id(&v.id, name);
    v.holders[0] = (struct fm_holder){.arrival = name, .role = role, .live = true, .counted = true};
    return v;
}

static void test_only_a_coordinator_verifies(void **state) /* rule 55, last paragraph */
{
    static const struct {
        const char *what;
        uint8_t kind, role, action;
        bool orphan;
        uint8_t parent_verified, verified;
        uint64_t parent_verification, verification;
        uint8_t why;
    } cases[] = {
        {"a camp's create", 1, FM_ROLE_CAMP, FM_CREATE, true, 0, 0, 0, 0, FM_WHY_NONE},
        {"a camp's verified create", 1, FM_ROLE_CAMP, FM_CREATE, true, 0, 1, 0, 0, FM_WHY_VERIFICATION},
        {"a camp's rejected create", 2, FM_ROLE_CAMP, FM_CREATE, true, 0, 2, 0, 0, FM_WHY_VERIFICATION},
        {"a camp's create of no known status", 1, FM_ROLE_RELAY, FM_CREATE, true, 0, 3, 0, 0, FM_WHY_VERIFICATION},
        {"a camp's create with a verifier", 1, FM_ROLE_CAMP, FM_CREATE, true, 0, 0, 0, 9, FM_WHY_VERIFICATION},
        {"an update without parent, verified", 1, FM_ROLE_CAMP, FM_UPDATE, true, 0, 1, 0, 0, FM_WHY_VERIFICATION},
        {"a coordinator's verified create", 1, FM_ROLE_COORDINATOR, FM_CREATE, true, 0, 1, 0, 9, FM_WHY_NONE},
        {"media have no verification", 3, FM_ROLE_CAMP, FM_CREATE, true, 0, 1, 0, 9, FM_WHY_NONE},
        {"a camp verifies", 1, FM_ROLE_CAMP, FM_UPDATE, false, 0, 1, 0, 0, FM_WHY_VERIFICATION},
        {"a camp rejects", 2, FM_ROLE_CAMP, FM_UPDATE, false, 0, 2, 0, 0, FM_WHY_VERIFICATION},
        {"a camp turns a rejection round", 1, FM_ROLE_CAMP, FM_UPDATE, false, 2, 1, 7, 7, FM_WHY_VERIFICATION},
        {"a coordinator verifies", 1, FM_ROLE_COORDINATOR, FM_UPDATE, false, 0, 1, 0, 7, FM_WHY_NONE},
        {"a camp keeps VERIFIED", 1, FM_ROLE_CAMP, FM_UPDATE, false, 1, 1, 7, 7, FM_WHY_NONE},
        {"a camp's edit goes back to PENDING", 1, FM_ROLE_CAMP, FM_UPDATE, false, 2, 0, 7, 7, FM_WHY_NONE},
        {"a camp changes the verifier", 1, FM_ROLE_CAMP, FM_UPDATE, false, 1, 1, 7, 8, FM_WHY_VERIFICATION},
        {"a camp drops the verifier", 1, FM_ROLE_CAMP, FM_UPDATE, false, 1, 0, 7, 0, FM_WHY_VERIFICATION},
        {"a camp adds a verifier", 1, FM_ROLE_CAMP, FM_UPDATE, false, 0, 0, 0, 8, FM_WHY_VERIFICATION},
        {"a camp deletes what is verified", 1, FM_ROLE_CAMP, FM_DELETE, false, 1, 0, 7, 0, FM_WHY_NONE},
        {"a camp's tombstone verifies", 1, FM_ROLE_CAMP, FM_DELETE, false, 0, 1, 0, 0, FM_WHY_VERIFICATION},
        {"a camp's tombstone brings a verifier", 1, FM_ROLE_CAMP, FM_DELETE, false, 0, 0, 0, 8, FM_WHY_VERIFICATION},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fm_version versions[2], **order;
        struct fm_version_id parent;
        struct fm_arena arena = {NULL};
        size_t count, first = cases[i].orphan ? 1 : 0;
        hand_id(&parent, 1);
        versions[0] = hand(1, FM_CREATE, 1, FM_ROLE_COORDINATOR, NULL, 0);
        versions[0].verified = cases[i].parent_verified;
        versions[0].verification = cases[i].parent_verification;
        versions[1] = hand(2, cases[i].action, 2, cases[i].role, &parent, cases[i].orphan ? 0 : 1);
        versions[1].verified = cases[i].verified;
        versions[1].verification = cases[i].verification;
        versions[0].kind = versions[1].kind = cases[i].kind;
        /* With the parent, and alone (the fast path) if it has none. */
        for (size_t from = 0; from <= first; from++) {
            assert_int_equal(fm_fold(versions + from, 2 - from, &hand_port, &arena, &order, &count), 0);
            if (versions[1].why != cases[i].why)
                print_error("%s: %s\n", cases[i].what, fm_why_text(versions[1].why));
            assert_int_equal(versions[1].why, cases[i].why);
            assert_int_equal(versions[1].status, cases[i].why ? FM_STATUS_VOID : FM_VALID);
        }
        fm_arena_fini(&arena);
    }
}

/* One version that cannot stand, each with its reason; a parent 1 (number 1) and a decision 3 of 1 and 2 are held. */
static void test_void_and_waiting_have_their_reasons(void **state)
{
    struct fm_version_id ids[10], none, many[66], both[2], swapped[3], twice[2], missing[2];
    for (uint32_t i = 0; i < 10; i++)
        hand_id(&ids[i], i);
    for (uint32_t i = 0; i < 66; i++)
        hand_id(&many[i], 100 + i);
    hand_id(&none, 77);
    both[0] = ids[1], both[1] = ids[2];
    swapped[0] = ids[4], swapped[1] = ids[2], swapped[2] = ids[1];
    twice[0] = twice[1] = ids[1];
    missing[0] = none, missing[1] = ids[6];
    const struct {
        const char *what;
        uint8_t action;
        uint32_t number;
        const struct fm_version_id *parents;
        uint32_t parent_count;
        uint8_t own_fault, status, why;
    } cases[] = {
        {"first number", FM_CREATE, 1, NULL, 0, 0, FM_VALID, 0},
        {"highest first number", FM_CREATE, FM_VERSION_STEP_MAX, NULL, 0, 0, FM_VALID, 0},
        {"one above it", FM_CREATE, FM_VERSION_STEP_MAX + 1, NULL, 0, 0, FM_STATUS_VOID, FM_WHY_NUMBER},
        {"number 0", FM_UPDATE, 0, NULL, 0, 0, FM_STATUS_VOID, FM_WHY_NUMBER},
        {"update without parent", FM_UPDATE, 1, NULL, 0, 0, FM_VALID, 0},
        {"create with parent", FM_CREATE, 2, ids + 1, 1, 0, FM_STATUS_VOID, FM_WHY_ACTION},
        {"no action", 0, 2, ids + 1, 1, 0, FM_STATUS_VOID, FM_WHY_ACTION},
        {"no such action", FM_UNDO + 1, 2, ids + 1, 1, 0, FM_STATUS_VOID, FM_WHY_ACTION},
        {"highest step", FM_UPDATE, 1 + FM_VERSION_STEP_MAX, ids + 1, 1, 0, FM_VALID, 0},
        {"one above it", FM_UPDATE, 2 + FM_VERSION_STEP_MAX, ids + 1, 1, 0, FM_STATUS_VOID, FM_WHY_NUMBER},
        {"not above its parent", FM_UPDATE, 1, ids + 1, 1, 0, FM_STATUS_VOID, FM_WHY_NUMBER},
        {"own fault", FM_UPDATE, 2, ids + 1, 1, FM_WHY_CHANGE, FM_STATUS_VOID, FM_WHY_CHANGE},
        {"own fault goes before waiting", FM_UPDATE, 2, &none, 1, FM_WHY_CHANGE, FM_STATUS_VOID, FM_WHY_CHANGE},
        {"parent not held", FM_UPDATE, 2, &none, 1, 0, FM_WAITING, 0},
        {"waiting goes before a void parent", FM_UPDATE, 2, missing, 2, 0, FM_WAITING, 0},
        {"void parent", FM_UPDATE, 9, ids + 6, 1, 0, FM_STATUS_VOID, FM_WHY_PARENT},
        {"parent that waits", FM_UPDATE, 3, ids + 7, 1, 0, FM_WAITING, 0},
        {"parents twice", FM_UPDATE, 2, twice, 2, 0, FM_STATUS_VOID, FM_WHY_PARENT},
        {"parents in order", FM_UPDATE, 3, both, 2, 0, FM_VALID, 0},
        {"parents out of order", FM_UPDATE, 4, swapped, 3, 0, FM_STATUS_VOID, FM_WHY_PARENT},
        {"most parents", FM_UPDATE, 2, many, FM_PARENTS_MAX, 0, FM_WAITING, 0},
        {"one above it", FM_UPDATE, 2, many, FM_PARENTS_MAX + 1, 0, FM_STATUS_VOID, FM_WHY_ACTION},
        {"undo of a decision", FM_UNDO, 4, ids + 3, 1, 0, FM_VALID, 0},
        {"undo of none", FM_UNDO, 2, ids + 1, 1, 0, FM_STATUS_VOID, FM_WHY_UNDO},
        {"undo of nothing", FM_UNDO, 2, NULL, 0, 0, FM_STATUS_VOID, FM_WHY_ACTION},
        {"undo of two", FM_UNDO, 3, both, 2, 0, FM_STATUS_VOID, FM_WHY_ACTION},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fm_version versions[7], **order;
        struct fm_arena arena = {NULL};
        size_t count;
        const uint8_t role = FM_ROLE_COORDINATOR;
        versions[0] = hand(8, cases[i].action, cases[i].number, role, cases[i].parents, cases[i].parent_count);
        versions[0].own_fault = cases[i].own_fault;
        versions[1] = hand(1, FM_CREATE, 1, role, NULL, 0);
        versions[2] = hand(2, FM_CREATE, 1, role, NULL, 0);
        versions[3] = hand(3, FM_UPDATE, 2, role, both, 2);
        versions[4] = hand(4, FM_CREATE, 1, role, NULL, 0);
        versions[5] = hand(6, FM_CREATE, 0, role, NULL, 0);
        versions[6] = hand(7, FM_UPDATE, 2, role, &none, 1);
        assert_int_equal(fm_fold(versions, 7, &hand_port, &arena, &order, &count), 0);
        if (versions[0].status != cases[i].status || versions[0].why != cases[i].why)
            print_error("%s: status %d, %s\n", cases[i].what, versions[0].status, fm_why_text(versions[0].why));
        assert_int_equal(versions[0].status, cases[i].status);
        assert_int_equal(versions[0].why, cases[i].why);
        fm_arena_fini(&arena);
    }
}

static void test_holders_decide_whether_it_counts(void **state)
{
    static const struct {
        uint8_t kind, role;
        bool live, counted;
        uint8_t status, why, action;
    } cases[] = {
        {FM_KIND_ASSESSMENT, FM_ROLE_CAMP, true, true, FM_VALID, FM_WHY_NONE, FM_CREATE},
        {FM_KIND_ASSESSMENT, FM_ROLE_CAMP, true, false, FM_VALID, FM_WHY_NONE, FM_CREATE},
        {FM_KIND_ASSESSMENT, FM_ROLE_CAMP, false, true, FM_STATUS_VOID, FM_WHY_LANE, FM_CREATE},
        {FM_KIND_ASSESSMENT, FM_ROLE_CAMP, false, false, FM_STATUS_VOID, FM_WHY_SET, FM_CREATE},
        {FM_KIND_ASSESSMENT, FM_ROLE_ROOT, false, true, FM_STATUS_VOID, FM_WHY_ROLE, FM_CREATE},
        {FM_KIND_ENTITY, FM_ROLE_CAMP, false, true, FM_STATUS_VOID, FM_WHY_ROLE, FM_CREATE},
        {FM_KIND_LAST + 1, FM_ROLE_CAMP, true, true, FM_UNKNOWN, FM_WHY_NONE, FM_CREATE},
        {FM_KIND_ASSESSMENT, FM_ROLE_NONE, false, true, FM_STATUS_VOID, FM_WHY_ROLE, FM_CREATE},
        {FM_KIND_ASSIGNMENT, FM_ROLE_CAMP, false, true, FM_STATUS_VOID, FM_WHY_ROLE, FM_CREATE},
        {FM_KIND_USER, FM_ROLE_CAMP, false, true, FM_STATUS_VOID, FM_WHY_ROLE, FM_CREATE},
        {FM_KIND_POLICY, FM_ROLE_CAMP, false, true, FM_STATUS_VOID, FM_WHY_ROLE, FM_CREATE},
        {FM_KIND_POLICY, FM_ROLE_COORDINATOR, false, true, FM_STATUS_VOID, FM_WHY_LANE, FM_CREATE},
        {FM_KIND_ASSESSMENT, FM_ROLE_CAMP, false, true, FM_STATUS_VOID, FM_WHY_ROLE, FM_UNDO},
        {FM_KIND_ASSESSMENT, FM_ROLE_COORDINATOR, false, true, FM_STATUS_VOID, FM_WHY_LANE, FM_UNDO},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fm_arena arena = {NULL};
        struct fm_version v = hand(1, cases[i].action, 1, cases[i].role, NULL, 0),
                          **order;
        size_t count;
        v.kind = cases[i].kind;
        v.holders[0].live = cases[i].live;
        v.holders[0].counted = cases[i].counted;
        assert_int_equal(fm_fold(&v, 1, &hand_port, &arena, &order, &count), 0);
        assert_int_equal(v.status, cases[i].status);
        assert_int_equal(v.why, cases[i].why);
        assert_int_equal(v.counted, cases[i].status == FM_VALID && cases[i].counted);
        assert_int_equal(v.place, v.counted ? FM_PLACE_WINNER : FM_PLACE_NONE);
        assert_int_equal(count, v.counted);
        fm_arena_fini(&arena);
    }
    struct fm_arena arena = {NULL};
    struct fm_version v = hand(1, FM_CREATE, 1, FM_ROLE_CAMP, NULL, 0), **order;
    size_t count;
    v.holders[0].counted = false; /* one quarantined, one counted: it counts */
    v.holders[v.holder_count++] = (struct fm_holder){.role = FM_ROLE_CAMP, .live = true, .counted = true};
    assert_int_equal(fm_fold(&v, 1, &hand_port, &arena, &order, &count), 0);
    assert_true(v.counted);
    v.holders[1].live = false; /* the one that counts may not do this */
    assert_int_equal(fm_fold(&v, 1, &hand_port, &arena, &order, &count), 0);
    assert_false(v.counted);
    assert_int_equal(v.status, FM_VALID);
    assert_int_equal(fm_fold(NULL, 0, &hand_port, &arena, &order, &count), 0);
    assert_int_equal(count, 0);
    fm_arena_fini(&arena);
}

/* A parent of another record: void, unless that one waits itself. */
static void test_strangers_as_parents(void **state)
{
    static const uint8_t statuses[] = {FM_STATUS_VOID, FM_WAITING, FM_UNKNOWN};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t status = statuses[i];
        const struct fm_fold_port port = {.ctx = &status, .stranger = no_stranger, .document = small_document};
        struct fm_arena arena = {NULL};
        struct fm_version_id parent;
        struct fm_version v = hand(1, FM_UPDATE, 2, FM_ROLE_CAMP, &parent, 1), **order;
        size_t count;
        hand_id(&parent, 5);
        assert_int_equal(fm_fold(&v, 1, &port, &arena, &order, &count), 0);
        assert_int_equal(v.status, i == 0 ? FM_STATUS_VOID : FM_WAITING);
        assert_int_equal(count, 0);
        fm_arena_fini(&arena);
    }
}

static void test_a_circle_is_void_and_hangs_nobody(void **state)
{
    (void)state;
    struct fm_arena arena = {NULL};
    struct fm_version_id ids[2];
    struct fm_version v[2], **order;
    size_t count;
    for (uint32_t first = 0; first < 2; first++) { /* no honest hash makes it; whichever comes first */
        for (uint32_t i = 0; i < 2; i++) {
            hand_id(&ids[i], i + 1);
            v[i ^ first] = hand(i + 1, FM_UPDATE, i + 2, FM_ROLE_CAMP, &ids[i ^ 1], 1);
        }
        assert_int_equal(fm_fold(v, 2, &hand_port, &arena, &order, &count), 0);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(v[i].status, FM_STATUS_VOID);
            assert_int_equal(v[i].why, FM_WHY_PARENT);
        }
        assert_int_equal(count, 0);
    }
    fm_arena_fini(&arena);
}

static void test_kinds_of_a_later_time_wait(void **state)
{
    struct fm_arena arena = {NULL};
    struct fm_version_id first;
    struct fm_version v[2] = {hand(1, FM_CREATE, 1, FM_ROLE_CAMP, NULL, 0), hand(2, FM_UPDATE, 2, FM_ROLE_CAMP, &first, 1)};
    struct fm_version **order;
    size_t count;
    (void)state;
    hand_id(&first, 1);
    v[0].kind = v[1].kind = FM_KIND_LAST + 1;
    assert_int_equal(fm_fold(v, 2, &hand_port, &arena, &order, &count), 0);
    assert_int_equal(count, 0);
    assert_true(v[0].status == FM_UNKNOWN && v[1].status == FM_UNKNOWN && !v[0].counted && !v[1].counted);
    fm_arena_fini(&arena);
}

static void test_what_counts_stands_before_what_does_not(void **state)
{
    struct fm_version a = hand(1, FM_CREATE, 9, FM_ROLE_CAMP, NULL, 0), b = hand(2, FM_CREATE, 1, FM_ROLE_CAMP, NULL, 0);
    (void)state;
    a.counted = b.counted = true;
    assert_true(fm_version_cmp(&a, &b) < 0 && fm_version_cmp(&b, &a) > 0);
    a.counted = false;
    assert_true(fm_version_cmp(&a, &b) > 0 && fm_version_cmp(&b, &a) < 0);
}

static int failing_stranger(void *ctx, const struct fm_version_id *parent, uint8_t *status)
{
    (void)ctx, (void)parent, (void)status;
    return FM_ESTORE;
}

static int failing_document(void *ctx, const struct fm_version *v, struct fm_span *document)
{
    int *left = ctx;
    return (*left)-- == 0 ? FM_ECORRUPT : small_document(NULL, v, document);
}

static void test_what_the_port_returns_is_passed_up(void **state)
{
    struct fm_arena arena = {NULL};
    struct fm_version_id ids[8];
    struct fm_version v[5], **order = NULL;
    size_t count;
    int left = 0;
    const struct fm_fold_port strange = {.stranger = failing_stranger, .document = small_document};
    const struct fm_fold_port unread = {.ctx = &left, .stranger = no_stranger, .document = failing_document};
    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        hand_id(&ids[i], i);
    v[0] = hand(1, FM_UPDATE, 2, FM_ROLE_CAMP, &ids[7], 1);
    assert_int_equal(fm_fold(v, 1, &strange, &arena, &order, &count), FM_ESTORE);
    assert_null(order);
    /* two heads, and two settled by a decision: each document that is asked for fails once */
    const struct fm_version_id both[2] = {ids[1], ids[2]};
    for (int n = 0;; n++) {
        v[0] = hand(1, FM_CREATE, 1, FM_ROLE_CAMP, NULL, 0);
        v[1] = hand(2, FM_CREATE, 1, FM_ROLE_CAMP, NULL, 0);
        v[2] = hand(3, FM_UPDATE, 2, FM_ROLE_COORDINATOR, both, 2);
        v[3] = hand(4, FM_CREATE, 1, FM_ROLE_CAMP, NULL, 0);
        left = n;
        int rc = fm_fold(v, 4, &unread, &arena, &order, &count);
        if (rc == FM_OK) {
            assert_true(n > 3);
            assert_int_equal(v[1].place, FM_PLACE_SETTLED);
            assert_int_equal(v[3].place, FM_PLACE_OPEN);
            break;
        }
        assert_int_equal(rc, FM_ECORRUPT);
        assert_null(order);
    }
    fm_arena_fini(&arena);
}

#define LONG 20000u

/* Each piece of memory for so many versions is a block of its own. Without one: an error, and the next try is as if
 * nothing had been. */
static void test_want_of_memory_is_an_error_and_leaves_no_trace(void **state)
{
    struct fm_version *versions = calloc(LONG, sizeof(*versions));
    struct fm_version_id *ids = calloc(LONG, sizeof(*ids));
    unsigned hits = 0;
    (void)state;
    for (uint32_t i = 0; i < LONG; i++) { /* one create and its many heads */
        hand_id(&ids[i], i);
        versions[i] = hand(i, i ? FM_UPDATE : FM_CREATE, i ? 2 : 1, FM_ROLE_CAMP, ids, i ? 1 : 0);
    }
    for (int64_t n = 0;; n++) {
        struct fm_arena arena = {NULL};
        struct fm_version **order, *base = NULL;
        size_t count;
        fm_fault_begin(n);
        int rc = fm_fold(versions, LONG, &hand_port, &arena, &order, &count);
        bool in_fold = fm_fault_end();
        assert_true(rc == FM_OK || (in_fold && rc == FM_ENOMEM));
        hits += rc != FM_OK;
        if (rc == FM_OK) {
            assert_int_equal(count, LONG);
            assert_int_equal(order[0]->number, 2);
        }
        fm_arena_fini(&arena);
        assert_int_equal(fm_fold(versions, LONG, &hand_port, &arena, &order, &count), 0);
        fm_fault_begin(n);
        rc = fm_fold_base(versions, LONG, &versions[8], &versions[9], &arena, &base);
        bool in_base = fm_fault_end();
        assert_true(rc == FM_OK || (in_base && rc == FM_ENOMEM && base == NULL));
        hits += rc != FM_OK;
        assert_true(rc != FM_OK || base == &versions[0]);
        fm_arena_fini(&arena);
        if (!in_fold && !in_base)
            break;
    }
    assert_int_equal(hits, 9); /* nodes, ids, parents, order, line; nodes, ids, parents, valid ones */
    free(versions);
    free(ids);
}

/* Folds versions in a mixed order and counts what stands where. */
static void fold_long(struct fm_version *versions, const size_t want[FM_PLACE_SETTLED + 1])
{
    struct fm_arena arena = {NULL};
    struct fm_version **order;
    size_t order_count, places[FM_PLACE_SETTLED + 1] = {0};
    uint64_t random = 7;
    for (size_t j = LONG - 1; j > 0; j--) {
        size_t k = draw(&random) % (j + 1);
        struct fm_version swap = versions[j];
        versions[j] = versions[k];
        versions[k] = swap;
    }
    assert_int_equal(fm_fold(versions, LONG, &hand_port, &arena, &order, &order_count), 0);
    for (size_t i = 1; i < order_count; i++)
        assert_true(fm_version_cmp(order[i - 1], order[i]) < 0);
    for (size_t i = 0; i < LONG; i++)
        places[versions[i].place]++;
    for (size_t i = 0; i <= FM_PLACE_SETTLED; i++)
        assert_int_equal(places[i], want[i]);
    fm_arena_fini(&arena);
}

static void test_a_chain_of_20000_versions(void **state)
{
    struct fm_version *versions = calloc(LONG, sizeof(*versions));
    struct fm_version_id *ids = calloc(LONG, sizeof(*ids));
    struct fm_arena arena = {NULL};
    (void)state;
    for (uint32_t i = 0; i < LONG; i++) {
        hand_id(&ids[i], i);
        versions[i] = hand(i, i ? FM_UPDATE : FM_CREATE, i + 1, FM_ROLE_CAMP, i ? &ids[i - 1] : NULL, i ? 1 : 0);
    }
    fold_long(versions, (const size_t[]){0, 1, LONG - 1, 0, 0, 0});
    struct fm_version *low = versions[3].number < versions[9].number ? &versions[3] : &versions[9];
    struct fm_version *base;
    assert_int_equal(fm_fold_base(versions, LONG, &versions[3], &versions[9], &arena, &base), 0);
    assert_ptr_equal(base, low);
    fm_arena_fini(&arena);
    for (uint32_t i = 0; i < LONG; i++) /* the same chain without its beginning waits as a whole */
        if (versions[i].number == 1)
            versions[i].parents = &ids[LONG - 1], versions[i].id.b[4] = 1;
    fold_long(versions, (const size_t[]){LONG - 1, 1, 0, 0, 0, 0});
    free(versions);
    free(ids);
}

/* A chain of 10,000 and a head on each of it. Documents go by name % 8: the winner is the last head. */
static void test_a_comb_of_10000_heads(void **state)
{
    struct fm_version *versions = calloc(LONG, sizeof(*versions));
    struct fm_version_id *ids = calloc(LONG, sizeof(*ids));
    (void)state;
    for (uint32_t i = 0; i < LONG; i++) {
        uint32_t on = i < LONG / 2 ? i - 1 : i - LONG / 2;
        hand_id(&ids[i], i);
        versions[i] = hand(i, i ? FM_UPDATE : FM_CREATE, i < LONG / 2 ? i + 1 : on + 2, FM_ROLE_CAMP, i ? &ids[on] : NULL,
                           i ? 1 : 0);
    }
    fold_long(versions, (const size_t[]){0, 1, LONG / 2, LONG / 2 - LONG / 16, 0, LONG / 16 - 1});
    free(versions);
    free(ids);
}

/* Half of them creates, each settled by a decision on the one before. A camp's chain is open in the end. */
#define CAMPS 1002u

static void test_a_chain_of_10000_decisions(void **state)
{
    struct fm_version *versions = calloc(LONG, sizeof(*versions));
    struct fm_version_id *ids = calloc(LONG, sizeof(*ids)), *pairs = calloc(LONG, sizeof(*pairs));
    (void)state;
    for (uint32_t i = 0; i < LONG; i++)
        hand_id(&ids[i], i);
    for (uint32_t i = 0; i < LONG; i += 2) {
        bool camp = i >= LONG - CAMPS;
        versions[i] = hand(i, FM_CREATE, 1, FM_ROLE_CAMP, NULL, 0);
        pairs[i] = i ? ids[i - 1] : ids[LONG - 2];
        pairs[i + 1] = ids[i];
        versions[i + 1] = hand(i + 1, FM_UPDATE, i / 2 + 2, FM_ROLE_COORDINATOR, &pairs[i], 2);
        if (camp) {
            versions[i] = hand(i, i == LONG - CAMPS ? FM_CREATE : FM_UPDATE, i - (LONG - CAMPS) + 1, FM_ROLE_CAMP, &ids[i - 1],
                               i == LONG - CAMPS ? 0 : 1);
            versions[i + 1] = hand(i + 1, FM_UPDATE, i - (LONG - CAMPS) + 2, FM_ROLE_CAMP, &ids[i], 1);
        }
    }
    versions[1].parents = &ids[0]; /* the first has nothing to decide on */
    versions[1].parent_count = 1;
    fold_long(versions, (const size_t[]){0, 1, (LONG - CAMPS) / 2, 1, CAMPS - 1, (LONG - CAMPS) / 2 - 1});
    free(versions);
    free(ids);
    free(pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_coordinator_verifies),
        cmocka_unit_test(test_void_and_waiting_have_their_reasons),
        cmocka_unit_test(test_holders_decide_whether_it_counts),
        cmocka_unit_test(test_strangers_as_parents),
        cmocka_unit_test(test_a_circle_is_void_and_hangs_nobody),
        cmocka_unit_test(test_kinds_of_a_later_time_wait),
        cmocka_unit_test(test_what_counts_stands_before_what_does_not),
        cmocka_unit_test(test_what_the_port_returns_is_passed_up),
        cmocka_unit_test(test_want_of_memory_is_an_error_and_leaves_no_trace),
        cmocka_unit_test(test_a_chain_of_20000_versions),
        cmocka_unit_test(test_a_comb_of_10000_heads),
        cmocka_unit_test(test_a_chain_of_10000_decisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
