/* What coordinators' receipts cover: several hubs, forks, tips of sets nobody holds, and stores that fail or are damaged. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "replication/receipt.h"
#include "tests/support/faults.h"
#include "tests/support/peers.h"

enum { HUB, RELAY, CAMP, SECOND, OTHER };
static const uint8_t roles[] = {FM_ROLE_COORDINATOR, FM_ROLE_RELAY, FM_ROLE_CAMP, FM_ROLE_COORDINATOR, FM_ROLE_CAMP};
static uint64_t counter;

static int begin(void **state)
{
    struct fm_peers *p = malloc(sizeof *p);
    assert_non_null(p);
    fm_company_init(p, roles, 5, 1);
    counter = 0;
    *state = p;
    return 0;
}

static int end(void **state)
{
    fm_company_fini(*state);
    free(*state);
    return 0;
}

static struct fm_receipt_tip tip_of(const struct fm_company_author *a)
{
    struct fm_crypto crypto = fm_fake_crypto();
    struct fm_receipt_tip tip = {.sequence = a->sequence};
    fm_stream_hash_of(tip.stream, &crypto, &a->stream);
    memcpy(tip.set, a->last.b, sizeof tip.set);
    return tip;
}

/* A receipt of `signer`, taken in at RELAY. */
static void receipt(struct fm_peers *p, int signer, const struct fm_receipt_tip *tips, uint32_t count)
{
    struct fm_statement s = {.kind = FM_RECEIPT, .counter = ++counter, .author = p->nodes[signer].self.author,
                             .grant = p->nodes[signer].self.grant, .store = p->nodes[signer].self.store};
    struct fm_buf buf;
    fm_buf_init(&buf, 0);
    assert_int_equal(fm_statement_sign(&buf, &p->nodes[signer].crypto, &p->mesh, &s, tips, count), 0);
    assert_int_equal(fm_company_take(p, RELAY, fm_buf_span(&buf)), 0);
    fm_buf_fini(&buf);
}

static void covers(struct fm_peers *p, int author, uint64_t recorded, uint64_t at_hub)
{
    uint64_t r, h;
    assert_int_equal(fm_repl_custody(p->nodes[RELAY].core, &p->nodes[author].self.author, &r, &h), 0);
    assert_int_equal(r, recorded);
    assert_int_equal(h, at_hub);
}

static void any_hubs_receipt_will_do_while_its_hub_counts(void **state)
{
    struct fm_peers *p = *state;
    struct fm_company_author *camp = &p->nodes[CAMP].lanes[1];
    assert_int_equal(fm_company_write(p, camp, RELAY, 4), 0);
    receipt(p, HUB, NULL, 0);
    covers(p, CAMP, 4, 0);
    struct fm_receipt_tip tip = tip_of(camp);
    receipt(p, SECOND, &tip, 1);
    covers(p, CAMP, 4, 4);
    assert_int_equal(fm_company_write(p, camp, RELAY, 2), 0);
    covers(p, CAMP, 6, 4);
    tip = tip_of(camp);
    receipt(p, HUB, &tip, 1);
    receipt(p, SECOND, NULL, 0); /* its older tips stand */
    covers(p, CAMP, 6, 6);
    assert_int_equal(fm_company_revoke(p, HUB, RELAY), 0);
    covers(p, CAMP, 6, 4);
    assert_int_equal(fm_company_revoke(p, SECOND, RELAY), 0);
    covers(p, CAMP, 6, 0);
}

static void each_stream_has_its_own_tips(void **state)
{
    struct fm_peers *p = *state;
    struct fm_company_author *a = &p->nodes[CAMP].lanes[1], *b = &p->nodes[OTHER].lanes[1];
    assert_int_equal(fm_company_write(p, a, RELAY, 1), 0);
    assert_int_equal(fm_company_write(p, b, RELAY, 2), 0);
    struct fm_receipt_tip tips[2] = {tip_of(a), tip_of(b)};
    receipt(p, HUB, tips, 2);
    assert_int_equal(fm_company_write(p, a, RELAY, 10), 0); /* above the tip: the next one is another stream's */
    assert_int_equal(fm_company_write(p, b, RELAY, 20), 0);
    covers(p, CAMP, 11, 1);
    covers(p, OTHER, 22, 2);
}

static void what_root_and_hubs_write_is_at_home(void **state)
{
    struct fm_peers *p = *state;
    const struct fm_port *port = fm_memory_port(p->nodes[RELAY].store);
    struct fm_set_meta set;
    unsigned by_root = 0, by_hub = 0;
    bool yes;
    for (uint64_t at = 1; port->set_next(port->ctx, at, &set) == 0; at = set.arrival + 1) {
        assert_int_equal(fm_repl_at_hub(p->nodes[RELAY].core, &set, &yes), 0);
        assert_true(yes);
        by_root += set.role == FM_ROLE_ROOT;
        by_hub += set.role == FM_ROLE_COORDINATOR;
    }
    assert_true(by_root == 2 && by_hub == 3);
}

/* Two branches from the second set on, three sets each: 1 + (2 + 3) and (10 + 20) changes. */
static void forked(struct fm_peers *p, struct fm_company_author *left, struct fm_company_author *right)
{
    *left = p->nodes[CAMP].lanes[1];
    assert_int_equal(fm_company_write(p, left, RELAY, 1), 0);
    *right = *left;
    assert_int_equal(fm_company_write(p, left, RELAY, 2), 0);
    assert_int_equal(fm_company_write(p, left, RELAY, 3), 0);
    assert_int_equal(fm_company_write(p, right, RELAY, 10), 0);
    assert_int_equal(fm_company_write(p, right, RELAY, 20), 0);
}

static void of_branches_the_one_below_the_tip_is_covered(void **state)
{
    struct fm_peers *p = *state;
    struct fm_company_author left, right;
    forked(p, &left, &right);
    struct fm_receipt_tip tip = tip_of(&left);
    tip.set[0] ^= 1; /* a branch that is not held here: only what is below the fork is sure */
    receipt(p, HUB, &tip, 1);
    covers(p, CAMP, 36, 1);
    tip = tip_of(&left);
    tip.sequence--; /* a held set, but not at this number */
    receipt(p, HUB, &tip, 1);
    covers(p, CAMP, 36, 1);
    tip = tip_of(&left);
    receipt(p, HUB, &tip, 1);
    covers(p, CAMP, 36, 6);
    struct fm_receipt_tip both[2] = {tip_of(&left), tip_of(&right)};
    receipt(p, HUB, both, 2);
    covers(p, CAMP, 36, 36);
}

/* --- stores that fail --- */

static void a_store_that_fails_is_no_answer(void **state)
{
    struct fm_peers *p = *state;
    struct fm_company_author left, right;
    struct fm_fault f;
    for (int with_fork = 0; with_fork < 2; with_fork++) {
        if (with_fork) {
            forked(p, &left, &right);
        } else {
            left = p->nodes[CAMP].lanes[1];
            left.stream.incarnation = 7;
            for (int i = 0; i < 8; i++)
                assert_int_equal(fm_company_write(p, &left, RELAY, 1), 0);
        }
        struct fm_receipt_tip tip = tip_of(&left);
        receipt(p, HUB, &tip, 1);
        struct fm_repl *core = p->nodes[RELAY].core;
        const struct fm_port *port = core->port;
        fm_fault_init(&f, port, core->crypto, (struct fm_sink){0});
        core->port = &f.port;
        for (int64_t n = 0;; n++) {
            uint64_t recorded = 0, at_hub = 0;
            f.left = n;
            f.hit = false;
            int rc = fm_repl_custody(core, &p->nodes[CAMP].self.author, &recorded, &at_hub);
            assert_int_equal(rc, f.hit ? FM_ESTORE : FM_OK);
            if (!f.hit) {
                assert_true(n > 3 && recorded == (with_fork ? 44 : 8) && at_hub == (with_fork ? 14 : 8));
                break;
            }
        }
        core->port = port;
    }
}

static const struct fm_port *whole;
static enum { NO_PREDECESSOR, NOTHING, ANOTHER } damage;

static int damaged_get(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                       struct fm_set_meta *out)
{
    return damage == NO_PREDECESSOR ? FM_ENOTFOUND : whole->set_get(ctx, stream, sequence, id, out);
}

static int damaged_sets(void *ctx, const struct fm_stream *stream, uint64_t from, struct fm_set_meta *out, size_t max,
                        size_t *count)
{
    int rc = whole->stream_sets(ctx, stream, from, out, max, count);
    if (damage == NOTHING)
        *count = 0;
    if (damage == ANOTHER)
        out[0].sequence++;
    return rc;
}

static void a_damaged_index_is_told(void **state)
{
    struct fm_peers *p = *state;
    struct fm_company_author left, right, plain = p->nodes[OTHER].lanes[1];
    uint64_t recorded, at_hub;
    forked(p, &left, &right);
    assert_int_equal(fm_company_write(p, &plain, RELAY, 1), 0);
    struct fm_receipt_tip tips[2] = {tip_of(&left), tip_of(&plain)};
    receipt(p, HUB, tips, 2);
    struct fm_repl *core = p->nodes[RELAY].core;
    whole = core->port;
    struct fm_port port = *whole;
    port.set_get = damaged_get;
    port.stream_sets = damaged_sets;
    core->port = &port;
    damage = NO_PREDECESSOR;
    assert_int_equal(fm_repl_custody(core, &p->nodes[CAMP].self.author, &recorded, &at_hub), FM_ECORRUPT);
    for (damage = NOTHING; damage <= ANOTHER; damage++)
        assert_int_equal(fm_repl_custody(core, &p->nodes[OTHER].self.author, &recorded, &at_hub), FM_ECORRUPT);
    core->port = whole;
    covers(p, CAMP, 36, 6);
    covers(p, OTHER, 1, 1);
}

/* As many tips as a node may hold streams are remembered of a hub, the newest receipt's first. */
static void a_hubs_tips_are_bounded(void **state)
{
    struct fm_peers *p = *state;
    struct fm_company_author *camp = &p->nodes[CAMP].lanes[1];
    struct fm_receipt_tip *tips = calloc(1000, sizeof *tips);
    assert_non_null(tips);
    assert_int_equal(fm_company_write(p, camp, RELAY, 3), 0);
    for (uint64_t round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < 1000; i++) {
            tips[i].sequence = 1;
            fm_be_put(tips[i].stream, round * 1000 + i, 8);
        }
        receipt(p, HUB, tips, 1000);
    }
    const struct fm_receipts *c = p->nodes[RELAY].core->sessions->receipts;
    assert_int_equal(c->hub_count, 1);
    assert_int_equal(c->hubs[0].tip_count, FM_STREAMS_MAX);
    tips[0] = tip_of(camp);
    receipt(p, HUB, tips, 1);
    assert_int_equal(c->hubs[0].tip_count, FM_STREAMS_MAX);
    covers(p, CAMP, 3, 3);
    free(tips);
}

#define PEERS(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEERS(any_hubs_receipt_will_do_while_its_hub_counts),
        PEERS(each_stream_has_its_own_tips),
        PEERS(what_root_and_hubs_write_is_at_home),
        PEERS(of_branches_the_one_below_the_tip_is_covered),
        PEERS(a_store_that_fails_is_no_answer),
        PEERS(a_damaged_index_is_told),
        PEERS(a_hubs_tips_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
