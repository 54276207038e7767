/* Who decides, and where to ask if one may not: the first coordinator that still is one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/submit.h"
#include "tests/support/peers.h"

enum { HUB, CAMP, SECOND };
static const uint8_t roles[] = {FM_ROLE_COORDINATOR, FM_ROLE_CAMP, FM_ROLE_COORDINATOR};

/* What a person who is no coordinator is told at a node. */
static const char *told(struct fm_peers *p, int node, struct fm_result *res)
{
    struct fm_actor person = {.text = "0a000000-0000-4000-8000-000000000001"};
    memset(res, 0, sizeof *res);
    assert_int_equal(fm_actor_decides(p->nodes[node].core, &person, res), FM_REFUSED);
    assert_string_equal(res->code, "coordinator-only");
    return res->message;
}

static void who_may_not_is_told_where_to_ask(void **state)
{
    struct fm_peers *p = malloc(sizeof *p);
    struct fm_result res;
    struct fm_actor coordinator = {.decides = true};
    (void)state;
    assert_non_null(p);
    fm_company_init(p, roles, 3, 1);
    assert_int_equal(fm_actor_decides(p->nodes[HUB].core, &coordinator, &res), FM_OK);
    assert_non_null(strstr(told(p, HUB, &res), "ask at two")); /* not at itself */
    assert_int_equal(fm_company_revoke(p, SECOND, HUB), 0);
    assert_null(strstr(told(p, HUB, &res), "ask at"));
    assert_non_null(strstr(told(p, CAMP, &res), "ask at "));
    assert_int_equal(fm_company_revoke(p, SECOND, CAMP), FM_EORDER); /* the root's second act: of two, another */
    fm_company_fini(p);
    fm_company_init(p, roles, 3, 1);
    assert_int_equal(fm_company_revoke(p, SECOND, CAMP), 0);
    assert_non_null(strstr(told(p, CAMP, &res), "ask at hub"));
    assert_int_equal(fm_company_revoke(p, HUB, CAMP), 0);
    assert_null(strstr(told(p, CAMP, &res), "ask at"));
    fm_company_fini(p);
    fm_company_init(p, roles, 3, 1);
    assert_int_equal(fm_company_event(p, HUB, (struct fm_event){.kind = FM_EVENT_EPOCH, .number = 101}), 0);
    assert_int_equal(p->nodes[HUB].taken, 0);
    assert_null(strstr(told(p, HUB, &res), "ask at")); /* all grants end with epoch 100 */
    fm_company_fini(p);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_may_not_is_told_where_to_ask)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
