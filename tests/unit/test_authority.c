/* Who counts, asked of the authority alone: layers, cuts, adoptions, who is revoked; errors of the chain and of memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/authority.h"
#include "replication/error.h"
#include "tests/support/no_memory.h"

static const struct fm_key root = {{'r'}}, hub = {{'h'}}, second = {{'s'}}, camp = {{'c'}};
static int chain_says; /* what is asked of the chain */

static int on_chain(void *ctx, const struct fm_set_meta *set, const struct fm_cut *cut)
{
    (void)ctx, (void)set, (void)cut;
    return chain_says;
}

static struct fm_grant_id grant_id(const struct fm_key *author)
{
    return (struct fm_grant_id){{author->b[0], 'g'}};
}

/* A set of lane 0 or 1. */
static struct fm_set_meta set_by(const struct fm_key *author, uint8_t role, uint8_t lane, uint64_t sequence)
{
    struct fm_set_meta out = {.stream = {.author = *author, .incarnation = 1, .lane = lane}, .sequence = sequence,
                              .id = {{author->b[0], lane, (uint8_t)sequence}}, .role = role, .epoch = 1};
    out.has_grant = role != FM_ROLE_ROOT;
    if (out.has_grant)
        out.grant = grant_id(author);
    return out;
}

static struct fm_act *grants(const struct fm_key *author, uint8_t role)
{
    static const char name[] = "name";
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_GRANT;
    act->grant = (struct fm_grant){.id = grant_id(author), .author = *author, .transport = *author, .role = role,
                                   .epoch_first = 1, .epoch_last = 100, .serial = 1, .name = fm_span(name, 4),
                                   .bytes = fm_span(name, 4)};
    return act;
}

static struct fm_act *revokes(const struct fm_key *author, bool grant)
{
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_REVOKE;
    act->targets_grant = grant;
    act->node = *author;
    act->revoked = grant_id(author);
    return act;
}

static struct fm_act *adopts(const struct fm_set_meta *set)
{
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_ADOPT;
    act->adopt_count = 1;
    act->adopts[0] = (struct fm_adopted){.stream = set->stream, .sequence = set->sequence, .set = set->id};
    return act;
}

/* One act in a set of its own; the act is freed. */
static int add(struct fm_authority *a, const struct fm_key *author, uint8_t role, uint64_t sequence, struct fm_act *act)
{
    struct fm_set_meta set = set_by(author, role, FM_LANE_MEMBERSHIP, sequence);
    const struct fm_act *acts[1] = {act};
    bool changed;
    int rc = fm_authority_add(a, &set, acts, 1, false, &changed);
    free(act);
    return rc;
}

/* Root grants two coordinators, the first grants the camp. */
static struct fm_authority *mesh(void)
{
    struct fm_authority *a = fm_authority_new(&root, on_chain, NULL);
    assert_non_null(a);
    assert_int_equal(add(a, &root, FM_ROLE_ROOT, 1, grants(&hub, FM_ROLE_COORDINATOR)), FM_OK);
    assert_int_equal(add(a, &root, FM_ROLE_ROOT, 2, grants(&second, FM_ROLE_COORDINATOR)), FM_OK);
    assert_int_equal(add(a, &hub, FM_ROLE_COORDINATOR, 1, grants(&camp, FM_ROLE_CAMP)), FM_OK);
    return a;
}

static uint8_t verdict_of(struct fm_authority *a, const struct fm_set_meta *set)
{
    uint8_t verdict = 0;
    assert_int_equal(fm_authority_judge(a, set, &verdict), FM_OK);
    return verdict;
}

static bool counting(struct fm_authority *a, const struct fm_key *author)
{
    struct fm_grant_id id = grant_id(author);
    return fm_authority_counting(a, &id, author) != NULL;
}

static void a_set_under_a_grant_of_nobody_does_not_count(void **state)
{
    static const struct fm_key stranger = {{'x'}};
    struct fm_authority *a = mesh();
    struct fm_set_meta known = set_by(&camp, FM_ROLE_CAMP, 1, 1), unknown = set_by(&stranger, FM_ROLE_CAMP, 1, 1);
    (void)state;
    assert_int_equal(verdict_of(a, &known), FM_COUNTED);
    assert_int_equal(verdict_of(a, &unknown), FM_QUARANTINED);
    assert_true(counting(a, &camp) && counting(a, &hub) && !counting(a, &stranger));
    struct fm_grant_id camps = grant_id(&camp);
    assert_null(fm_authority_counting(a, &camps, &hub)); /* another's grant */
    assert_true(fm_authority_is_hub(a, &second) && !fm_authority_is_hub(a, &camp) && !fm_authority_is_hub(a, &stranger));
    fm_authority_free(a);
}

static void who_is_revoked_follows_who_may_revoke(void **state)
{
    (void)state;
    for (int by_grant = 0; by_grant < 2; by_grant++) {
        struct fm_authority *a = mesh();
        /* A coordinator names another one, and a camp names a coordinator: neither may. */
        assert_int_equal(add(a, &second, FM_ROLE_COORDINATOR, 1, revokes(&hub, by_grant)), FM_OK);
        assert_true(counting(a, &hub) && fm_authority_is_hub(a, &hub));
        assert_int_equal(add(a, &second, FM_ROLE_COORDINATOR, 2, revokes(&camp, by_grant)), FM_OK);
        assert_false(counting(a, &camp));
        assert_null(fm_authority_current(a, &camp, 1));
        /* The one who said so is revoked: what it revoked is a member again. */
        assert_int_equal(add(a, &root, FM_ROLE_ROOT, 3, revokes(&second, by_grant)), FM_OK);
        assert_false(counting(a, &second) || fm_authority_is_hub(a, &second));
        assert_true(counting(a, &camp));
        assert_non_null(fm_authority_current(a, &camp, 1));
        assert_null(fm_authority_current(a, &camp, 101)); /* expired */
        fm_authority_free(a);
    }
}

static void an_adoption_takes_in_one_set_at_its_place(void **state)
{
    struct fm_set_meta set = set_by(&camp, FM_ROLE_CAMP, 1, 7), named;
    (void)state;
    for (int wrong = 0; wrong < 4; wrong++) {
        struct fm_authority *a = mesh();
        assert_int_equal(add(a, &hub, FM_ROLE_COORDINATOR, 2, revokes(&camp, false)), FM_OK);
        assert_int_equal(verdict_of(a, &set), FM_QUARANTINED);
        named = set;
        named.id.b[0] = wrong == 1 ? 'x' : set.id.b[0];
        named.sequence += wrong == 2;
        named.stream.incarnation += wrong == 3;
        assert_int_equal(add(a, &hub, FM_ROLE_COORDINATOR, 3, adopts(&named)), FM_OK);
        assert_int_equal(verdict_of(a, &set), wrong == 0 ? FM_COUNTED : FM_QUARANTINED);
        fm_authority_free(a);
    }
}

static void acts_of_void_sets_and_of_who_may_not_are_nothing(void **state)
{
    static const struct fm_key other = {{'o'}};
    struct fm_authority *a = mesh();
    struct fm_grant_id id = grant_id(&other);
    (void)state;
    for (int i = 0; i < 3; i++) { /* a void set; a coordinator that grants a coordinator; the root that grants a camp */
        bool root_acts = i != 1, is_void = i == 0, changed;
        struct fm_act *act = grants(&other, i == 2 ? FM_ROLE_CAMP : FM_ROLE_COORDINATOR);
        struct fm_set_meta set = set_by(root_acts ? &root : &hub, root_acts ? FM_ROLE_ROOT : FM_ROLE_COORDINATOR,
                                        FM_LANE_MEMBERSHIP, (uint64_t)i + 3);
        assert_int_equal(fm_authority_add(a, &set, (const struct fm_act *const[]){act}, 1, is_void, &changed), FM_OK);
        assert_null(fm_authority_grant(a, &id));
        assert_int_equal(fm_authority_member_count(a), 3);
        free(act);
    }
    fm_authority_free(a);
}

/* A coordinator's acts count on inside the cut of its revocation. */
static void what_the_chain_says_decides_and_its_errors_are_passed_up(void **state)
{
    static const struct {
        int says;
        uint64_t cut_at;
        int rc;
        bool counts;
    } cases[] = {{1, 1, FM_OK, true}, {0, 1, FM_OK, false}, {2, 1, FM_OK, true}, {2, 0, FM_OK, false},
                 {FM_ESTORE, 1, FM_ESTORE, false}, {FM_ECORRUPT, 1, FM_ECORRUPT, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fm_authority *a = mesh();
        struct fm_act *act = revokes(&hub, false);
        act->cut_count = 3; /* one of another incarnation and one of another lane say nothing */
        act->cuts[0] = (struct fm_cut){.incarnation = 2, .lane = FM_LANE_MEMBERSHIP, .sequence = 9};
        act->cuts[1] = (struct fm_cut){.incarnation = 1, .lane = FM_LANE_RECORDS, .sequence = 9};
        act->cuts[2] = (struct fm_cut){.incarnation = 1, .lane = FM_LANE_MEMBERSHIP, .sequence = cases[i].cut_at};
        chain_says = cases[i].says;
        assert_int_equal(add(a, &root, FM_ROLE_ROOT, 3, act), cases[i].rc);
        if (cases[i].rc == FM_OK)
            assert_int_equal(counting(a, &camp), cases[i].counts);
        fm_authority_free(a);
    }
}

/* Each piece of memory of the first acts of a mesh and of the digest is refused once. */
static void want_of_memory_is_an_error(void **state)
{
    unsigned hits = 0;
    (void)state;
    for (int64_t n = 0;; n++) {
        struct fm_set_meta set = set_by(&camp, FM_ROLE_CAMP, 1, 7);
        struct fm_set_meta sets[3] = {set_by(&root, FM_ROLE_ROOT, 0, 1), set_by(&hub, FM_ROLE_COORDINATOR, 0, 1),
                                      set_by(&hub, FM_ROLE_COORDINATOR, 0, 2)};
        struct fm_act *acts[4] = {grants(&hub, FM_ROLE_COORDINATOR), grants(&camp, FM_ROLE_CAMP), revokes(&camp, false),
                                  adopts(&set)};
        const struct fm_act *const of[3][2] = {{acts[0]}, {acts[1]}, {acts[2], acts[3]}};
        struct fm_buf digest;
        bool changed;
        int rc = FM_OK;
        fm_buf_init(&digest, 0);
        fm_fault_begin(n);
        struct fm_authority *a = fm_authority_new(&root, on_chain, NULL);
        if (a == NULL)
            rc = FM_ENOMEM;
        for (size_t i = 0; rc == FM_OK && i < 3; i++)
            rc = fm_authority_add(a, &sets[i], of[i], i == 2 ? 2 : 1, false, &changed);
        if (rc == FM_OK)
            rc = fm_authority_digest(a, &digest);
        bool hit = fm_fault_end();
        assert_int_equal(rc, hit ? FM_ENOMEM : FM_OK);
        hits += hit;
        if (!hit)
            assert_int_equal(verdict_of(a, &set), FM_COUNTED);
        fm_authority_free(a);
        fm_buf_fini(&digest);
        for (size_t i = 0; i < 4; i++)
            free(acts[i]);
        if (!hit)
            break;
    }
    assert_true(hits > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_under_a_grant_of_nobody_does_not_count),
        cmocka_unit_test(who_is_revoked_follows_who_may_revoke),
        cmocka_unit_test(acts_of_void_sets_and_of_who_may_not_are_nothing),
        cmocka_unit_test(an_adoption_takes_in_one_set_at_its_place),
        cmocka_unit_test(what_the_chain_says_decides_and_its_errors_are_passed_up),
        cmocka_unit_test(want_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
