/* STATEMENTS between two nodes: what does not fit into one message goes in the turns that follow. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "replication/error.h"
#include "replication/session.h"
#include "replication/statement.h"
#include "tests/support/peers.h"

#define TIPS 1000

/* A receipt of this node, taken in at node 0; it is about 54 KiB long. */
static void large_receipt(struct fm_peers *p, int signer)
{
    static struct fm_receipt_tip tips[TIPS];
    struct fm_statement s = {.kind = FM_RECEIPT, .counter = 5, .author = p->nodes[signer].self.author,
                             .grant = p->nodes[signer].self.grant};
    struct fm_buf buf;
    for (uint32_t i = 0; i < TIPS; i++) {
        tips[i] = (struct fm_receipt_tip){.sequence = 1};
        fm_be_put(tips[i].stream, i, 4);
    }
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_statement_sign(&buf, &p->nodes[signer].crypto, &p->mesh, &s, tips, TIPS), 0);
    assert_true(buf.len > 50000);
    assert_int_equal(fm_company_take(p, 0, fm_buf_span(&buf)), 0);
    fm_buf_fini(&buf);
}

static void test_more_statements_than_a_message_holds(void **state)
{
    static const uint8_t roles[] = {FM_ROLE_COORDINATOR, FM_ROLE_RELAY, FM_ROLE_CAMP, FM_ROLE_CAMP, FM_ROLE_CAMP};
    struct fm_peers *p = malloc(sizeof *p);
    (void)state;
    assert_non_null(p);
    fm_company_init(p, roles, 5, 1);
    for (int signer = 1; signer < 5; signer++)
        large_receipt(p, signer);
    int link = fm_company_connect(p, 0, 1);
    fm_company_run(p);
    assert_true(fm_company_in_step(p, link));
    assert_true(p->links[link].kinds[0][FM_MSG_STATEMENTS] >= 2);
    const struct fm_port *port = fm_memory_port(p->nodes[1].store);
    for (int signer = 2; signer < 5; signer++) {
        struct fm_buf held;
        fm_buf_init(&held, 0);
        assert_int_equal(port->statement(port->ctx, FM_RECEIPT, &p->nodes[signer].self.author, &held), 0);
        assert_true(held.len > 50000);
        fm_buf_fini(&held);
    }
    fm_company_fini(p);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_more_statements_than_a_message_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
