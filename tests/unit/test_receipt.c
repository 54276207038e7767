/* Statements: receipts and epoch notices, custody. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/receipt.h"
#include "tests/support/no_memory.h"
#include "tests/support/peers.h"

static const uint8_t chain[] = {FM_ROLE_COORDINATOR, FM_ROLE_RELAY, FM_ROLE_CAMP, FM_ROLE_CAMP};

static struct fm_peers *peers_new(void)
{
    struct fm_peers *p = malloc(sizeof *p);
    assert_non_null(p);
    fm_company_init(p, chain, 4, 1);
    return p;
}

static void peers_free(struct fm_peers *p)
{
    fm_company_fini(p);
    free(p);
}

static void meet(struct fm_peers *p, int a, int b)
{
    int link = fm_company_connect(p, a, b);
    fm_company_run(p);
    assert_true(fm_company_in_step(p, link));
    fm_company_cut(p, link);
    p->now_ms += 3600000; /* the walk to the next camp */
    p->steady_ms += 3600000;
}

static void custody_is(struct fm_peers *p, int node, int author, uint64_t recorded, uint64_t at_hub)
{
    uint64_t r, h;
    assert_int_equal(fm_repl_custody(p->nodes[node].core, &p->nodes[author].self.author, &r, &h), 0);
    assert_int_equal(r, recorded);
    assert_int_equal(h, at_hub);
}

/* A statement of node `signer`, as it could come from anywhere. */
static int statement(struct fm_peers *p, int signer, int at, const struct fm_statement *s, const struct fm_receipt_tip *tips,
                     uint32_t count)
{
    struct fm_buf buf;
    struct fm_statement full = *s;
    fm_buf_init(&buf, 0);
    full.author = p->nodes[signer].self.author;
    full.grant = p->nodes[signer].self.grant;
    assert_int_equal(fm_statement_sign(&buf, &p->nodes[signer].crypto, &p->mesh, &full, tips, count), 0);
    int rc = fm_company_take(p, at, fm_buf_span(&buf));
    fm_buf_fini(&buf);
    return rc;
}

static void receipt_of(struct fm_peers *p, int holder, int signer, struct fm_statement *out, struct fm_buf *buf)
{
    const struct fm_port *port = fm_memory_port(p->nodes[holder].store);
    fm_buf_init(buf, 0);
    assert_int_equal(port->statement(port->ctx, FM_RECEIPT, &p->nodes[signer].self.author, buf), 0);
    assert_int_equal(fm_statement_decode(out, &p->nodes[holder].crypto, &p->mesh, fm_buf_span(buf)), 0);
}

static void receipts_travel_from_the_hub_to_the_camp(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    for (int i = 0; i < 4; i++)
        assert_int_equal(fm_company_write(p, &p->nodes[2].lanes[1], 2, 3), 0);
    custody_is(p, 2, 2, 12, 0);
    meet(p, 1, 2);
    custody_is(p, 1, 2, 12, 0); /* a relay's receipt is no proof */
    custody_is(p, 2, 2, 12, 0);
    meet(p, 1, 0);
    custody_is(p, 0, 2, 12, 12); /* what the hub holds is at the hub */
    custody_is(p, 1, 2, 12, 12);
    custody_is(p, 2, 2, 12, 0);  /* the camp does not know yet */
    assert_int_equal(fm_company_write(p, &p->nodes[2].lanes[1], 2, 5), 0);
    meet(p, 1, 2);
    custody_is(p, 2, 2, 17, 12);
    fm_company_restart(p, 2);
    custody_is(p, 2, 2, 17, 12); /* from the store */
    meet(p, 1, 0);
    meet(p, 1, 2);
    custody_is(p, 2, 2, 17, 17);
    peers_free(p);
}

static void the_hubs_own_sets_are_at_the_hub(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    assert_int_equal(fm_company_write(p, &p->nodes[0].lanes[1], 0, 4), 0);
    custody_is(p, 0, 0, 4, 4);
    meet(p, 0, 1);
    meet(p, 1, 2);
    custody_is(p, 2, 0, 4, 4);
    peers_free(p);
}

/* Of two branches only the one on the receipt's chain is covered. */
static void a_branch_the_hub_lacks_is_not_covered(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_company_author left = p->nodes[2].lanes[1], right;
    assert_int_equal(fm_company_write(p, &left, 2, 1), 0);
    right = left;
    assert_int_equal(fm_company_write(p, &left, 2, 2), 0);
    assert_int_equal(fm_company_write(p, &left, 2, 3), 0);
    meet(p, 1, 2);
    meet(p, 1, 0);
    meet(p, 1, 2);
    custody_is(p, 2, 2, 6, 6);
    assert_int_equal(fm_company_write(p, &right, 2, 10), 0); /* sequence 2 again: below the receipt's, on no chain of it */
    custody_is(p, 2, 2, 16, 6);
    meet(p, 1, 2);
    meet(p, 1, 0);
    meet(p, 1, 2);
    custody_is(p, 2, 2, 16, 16);
    peers_free(p);
}

static void a_revoked_members_statements_count_no_more(void **state)
{
    static const uint8_t roles[] = {FM_ROLE_COORDINATOR, FM_ROLE_RELAY, FM_ROLE_CAMP};
    (void)state;
    struct fm_peers *p = malloc(sizeof *p);
    struct fm_digest before, after;
    struct fm_statement s = {.kind = FM_RECEIPT, .counter = 5};
    fm_company_init(p, roles, 3, 1);
    assert_int_equal(statement(p, 1, 2, &s, NULL, 0), 0);
    fm_receipt_digest(p->nodes[2].core, &before);
    assert_int_equal(fm_company_revoke(p, 1, 2), 0);
    fm_receipt_digest(p->nodes[2].core, &after);
    assert_memory_not_equal(before.b, after.b, sizeof before.b);
    fm_receipt_digest(p->nodes[0].core, &before); /* one that never held it says the same */
    assert_memory_equal(before.b, after.b, sizeof before.b);
    s.counter = 6;
    assert_int_equal(statement(p, 1, 2, &s, NULL, 0), FM_EGRANT);
    peers_free(p);
}

static void the_highest_counter_wins(void **state)
{
    /* counter, what is answered */
    static const struct { uint64_t counter; int rc; } cases[] = {{5, 0}, {4, FM_EEXISTS}, {5, FM_EEXISTS}, {6, 0},
                                                                 {1, FM_EEXISTS}, {FM_TIME_MAX, 0}};
    (void)state;
    struct fm_peers *p = peers_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fm_statement s = {.kind = FM_RECEIPT, .counter = cases[i].counter};
        assert_int_equal(statement(p, 1, 2, &s, NULL, 0), cases[i].rc);
    }
    peers_free(p);
}

static void equal_counters_leave_one_everywhere(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_digest a, b;
    struct fm_statement x = {.kind = FM_RECEIPT, .counter = 5}, y = {.kind = FM_RECEIPT, .counter = 5, .store = {{9}}};
    (void)statement(p, 1, 2, &x, NULL, 0);
    (void)statement(p, 1, 2, &y, NULL, 0);
    (void)statement(p, 1, 3, &y, NULL, 0);
    (void)statement(p, 1, 3, &x, NULL, 0);
    fm_receipt_digest(p->nodes[2].core, &a);
    fm_receipt_digest(p->nodes[3].core, &b);
    assert_memory_equal(a.b, b.b, sizeof a.b);
    peers_free(p);
}

static void who_may_say_what(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_statement notice = {.kind = FM_EPOCH_NOTICE, .counter = 1, .epoch = 9};
    struct fm_statement receipt = {.kind = FM_RECEIPT, .counter = 1};
    assert_int_equal(statement(p, 2, 1, &notice, NULL, 0), FM_EROLE); /* rule 55 */
    assert_int_equal(fm_repl_epoch(p->nodes[1].core), 1);
    assert_int_equal(statement(p, 0, 1, &notice, NULL, 0), 0);
    assert_int_equal(fm_repl_epoch(p->nodes[1].core), 9);
    assert_int_equal(statement(p, 2, 1, &receipt, NULL, 0), 0);
    struct fm_grant_id mine = p->nodes[2].self.grant;
    p->nodes[2].self.grant = p->nodes[3].self.grant; /* under another's grant */
    receipt.counter = 2;
    assert_int_equal(statement(p, 2, 1, &receipt, NULL, 0), FM_EGRANT);
    p->nodes[2].self.grant = mine;
    struct fm_crypto own = p->nodes[2].crypto; /* signed with another's key */
    p->nodes[2].crypto = p->nodes[3].crypto;
    assert_int_equal(statement(p, 2, 1, &receipt, NULL, 0), FM_ESIGNATURE);
    p->nodes[2].crypto = own;
    static const uint8_t nonsense[] = {0x92, 0xc4, 0x01, 0x00, 0xc4, 0x00};
    assert_int_equal(fm_company_take(p, 1, fm_span(nonsense, sizeof nonsense)), FM_EFORMAT);
    peers_free(p);
}

static void epochs_only_rise(void **state)
{
    static const struct { int node; uint64_t epoch; int rc; } cases[] = {
        {0, 1, FM_EEXISTS}, {0, 2, 0}, {0, 2, FM_EEXISTS}, {0, 50, 0}, {0, 49, FM_EEXISTS}, {2, 60, FM_EROLE},
        {0, FM_TIME_MAX + 1, FM_ELIMIT}};
    (void)state;
    struct fm_peers *p = peers_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fm_event e = {.kind = FM_EVENT_EPOCH, .number = cases[i].epoch};
        assert_int_equal(fm_company_event(p, cases[i].node, e), 0);
        assert_int_equal(p->nodes[cases[i].node].taken, cases[i].rc);
    }
    assert_int_equal(fm_repl_epoch(p->nodes[0].core), 50);
    fm_company_restart(p, 0);
    assert_int_equal(fm_repl_epoch(p->nodes[0].core), 50);
    peers_free(p);
}

/* After a restore an older store meets a newer receipt of its own: the next one goes above it and says its own store. */
static void a_newer_receipt_of_ones_own_is_outbid(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_statement old = {.kind = FM_RECEIPT, .counter = p->now_ms + 1000000, .store = {{1, 2, 3}}}, s;
    struct fm_buf buf;
    assert_int_equal(statement(p, 2, 1, &old, NULL, 0), 0); /* the relay remembers it */
    meet(p, 1, 2);
    receipt_of(p, 1, 2, &s, &buf);
    assert_true(s.counter > old.counter);
    assert_memory_equal(s.store.b, p->nodes[2].self.store.b, sizeof s.store.b);
    fm_buf_fini(&buf);
    peers_free(p);
}

static void nothing_new_needs_no_new_receipt(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_statement first, second;
    struct fm_buf a, b;
    assert_int_equal(fm_company_write(p, &p->nodes[2].lanes[1], 2, 1), 0);
    meet(p, 1, 2);
    receipt_of(p, 1, 2, &first, &a);
    assert_int_equal(first.tip_count, fm_vector_count(p->nodes[2].core->vector));
    meet(p, 1, 2);
    receipt_of(p, 1, 2, &second, &b);
    assert_int_equal(first.counter, second.counter);
    fm_buf_fini(&b);
    assert_int_equal(fm_company_write(p, &p->nodes[2].lanes[1], 2, 1), 0);
    meet(p, 1, 2);
    receipt_of(p, 1, 2, &second, &b);
    assert_true(second.counter > first.counter);
    fm_buf_fini(&a);
    fm_buf_fini(&b);
    peers_free(p);
}

/* Sets pushed while a session lasts are covered within a minute, not one by one. */
static void one_receipt_a_minute_while_a_session_lasts(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    int link = fm_company_connect(p, 0, 2);
    fm_company_run(p);
    fm_company_tick(p, 1000);
    uint64_t before = p->links[link].kinds[0][FM_MSG_STATEMENTS];
    for (int i = 0; i < 10; i++) {
        assert_int_equal(fm_company_write(p, &p->nodes[2].lanes[1], 2, 1), 0);
        fm_company_run(p);
        fm_company_tick(p, 1000);
    }
    custody_is(p, 2, 2, 10, 0);
    assert_int_equal(p->links[link].kinds[0][FM_MSG_STATEMENTS], before);
    for (int i = 0; i < 12; i++) {
        fm_company_tick(p, 5000);
        fm_company_run(p);
    }
    custody_is(p, 2, 2, 10, 10);
    assert_int_equal(p->links[link].kinds[0][FM_MSG_STATEMENTS], before + 1);
    peers_free(p);
}

/* A receipt that names only what changed leaves the rest as it was; one of a new store does not. */
static void partial_receipts_add_up(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_receipt_tip tips[2];
    struct fm_statement s = {.kind = FM_RECEIPT, .counter = 1, .store = {{1}}};
    for (int i = 0; i < 2; i++) {
        const struct fm_company_author *a = &p->nodes[2 + i].lanes[1];
        assert_int_equal(fm_company_write(p, &p->nodes[2 + i].lanes[1], 1, 4), 0);
        fm_stream_hash_of(tips[i].stream, &p->nodes[1].crypto, &a->stream);
        tips[i].sequence = a->sequence;
        memcpy(tips[i].set, a->last.b, sizeof tips[i].set);
    }
    assert_int_equal(statement(p, 0, 1, &s, &tips[0], 1), 0);
    custody_is(p, 1, 2, 4, 4);
    custody_is(p, 1, 3, 4, 0);
    s.counter = 2;
    assert_int_equal(statement(p, 0, 1, &s, &tips[1], 1), 0);
    custody_is(p, 1, 2, 4, 4);
    custody_is(p, 1, 3, 4, 4);
    s.counter = 3;
    s.store.b[0] = 2;
    assert_int_equal(statement(p, 0, 1, &s, &tips[1], 1), 0);
    custody_is(p, 1, 2, 4, 0);
    custody_is(p, 1, 3, 4, 4);
    peers_free(p);
}

static const uint8_t hubs[] = {FM_ROLE_COORDINATOR, FM_ROLE_RELAY, FM_ROLE_CAMP, FM_ROLE_COORDINATOR};

static void the_epoch_is_the_highest_notice_that_counts(void **state)
{
    static const int highest[] = {0, 3};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fm_peers *p = malloc(sizeof *p);
        assert_non_null(p);
        fm_company_init(p, hubs, 4, 1);
        struct fm_statement notice = {.kind = FM_EPOCH_NOTICE, .counter = 1, .epoch = 9};
        assert_int_equal(statement(p, highest[i], 1, &notice, NULL, 0), 0);
        notice.epoch = 5;
        assert_int_equal(statement(p, highest[1 - i], 1, &notice, NULL, 0), 0);
        assert_int_equal(fm_repl_epoch(p->nodes[1].core), 9);
        assert_int_equal(fm_company_revoke(p, highest[i], 1), 0);
        assert_int_equal(fm_repl_epoch(p->nodes[1].core), 5);
        fm_company_restart(p, 1);
        assert_int_equal(fm_repl_epoch(p->nodes[1].core), 5);
        peers_free(p);
    }
}

static void who_is_no_member_says_nothing(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    assert_true(fm_receipt_stale(p->nodes[2].core));
    assert_int_equal(fm_company_revoke(p, 2, 2), 0);
    assert_false(fm_receipt_stale(p->nodes[2].core));
    assert_int_equal(fm_company_event(p, 2, (struct fm_event){.kind = FM_EVENT_EPOCH, .number = 9}), 0);
    assert_int_equal(p->nodes[2].taken, FM_ENOTJOINED);
    peers_free(p);
}

/* What a store holds that is no statement is not told to anybody, and does not hold up a start. */
static void a_statement_that_does_not_hold_is_passed_over(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_digest before, after;
    struct fm_statement s = {.kind = FM_RECEIPT, .counter = 5};
    assert_int_equal(statement(p, 1, 2, &s, NULL, 0), 0);
    fm_receipt_digest(p->nodes[2].core, &before);
    struct fm_row row = {.kind = FM_ROW_STATEMENT, .statement_kind = FM_RECEIPT, .signer = {{1}}, .counter = 1,
                         .bytes = fm_span_str("junk")};
    assert_int_equal(fm_memory_apply(p->nodes[2].store, &row), 0);
    struct fm_statement nobodys = {.kind = FM_RECEIPT, .counter = 7, .author = p->nodes[3].self.author, .grant = {{9}}};
    struct fm_buf bytes; /* signed well, under a grant that was never given */
    fm_buf_init(&bytes, 0);
    assert_int_equal(fm_statement_sign(&bytes, &p->nodes[3].crypto, &p->mesh, &nobodys, NULL, 0), 0);
    row.signer = nobodys.author;
    row.bytes = fm_buf_span(&bytes);
    assert_int_equal(fm_memory_apply(p->nodes[2].store, &row), 0);
    fm_buf_fini(&bytes);
    fm_company_restart(p, 2);
    fm_receipt_digest(p->nodes[2].core, &after);
    assert_memory_equal(before.b, after.b, sizeof before.b);
    assert_int_equal(p->nodes[2].core->sessions->receipts->known_count, 2);
    assert_int_equal(p->nodes[2].core->sessions->receipts->hub_count, 0);
    peers_free(p);
}

static void so_many_statements_are_held_and_no_more(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_statement s = {.kind = FM_RECEIPT, .counter = 5};
    assert_int_equal(statement(p, 1, 2, &s, NULL, 0), 0);
    struct fm_receipts *c = p->nodes[2].core->sessions->receipts;
    struct fm_known *many = calloc(FM_STATEMENTS_MAX, sizeof *many);
    assert_non_null(many);
    many[FM_STATEMENTS_MAX - 1] = c->known[0]; /* the others, of kind 0, are nobody's and stand before it */
    free(c->known);
    c->known = many;
    c->known_count = c->known_cap = FM_STATEMENTS_MAX;
    assert_int_equal(statement(p, 3, 2, &s, NULL, 0), FM_ELIMIT);
    s.counter = 6; /* one that takes the place of another has room */
    assert_int_equal(statement(p, 1, 2, &s, NULL, 0), 0);
    assert_int_equal(c->known_count, FM_STATEMENTS_MAX);
    peers_free(p);
}

/* --- what is told, and our own over many streams --- */

static const struct fm_port *whole;

static int no_statement(void *ctx, uint8_t kind, const struct fm_key *signer, struct fm_buf *out)
{
    (void)ctx, (void)kind, (void)signer, (void)out;
    return FM_ENOTFOUND;
}

static int no_set(void *ctx, const struct fm_stream *stream, uint64_t sequence, const struct fm_set_id *id,
                  struct fm_set_meta *out)
{
    (void)ctx, (void)stream, (void)sequence, (void)id, (void)out;
    return FM_ENOTFOUND;
}

static void what_counts_is_told_in_the_order_it_came(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_repl *core = p->nodes[2].core;
    struct fm_statement s = {.kind = FM_RECEIPT, .counter = 5}, told;
    uint64_t stamp = 0;
    static const int order[] = {3, 0, 1};
    for (int i = 0; i < 3; i++)
        assert_int_equal(statement(p, order[i], 2, &s, NULL, 0), 0);
    assert_int_equal(fm_company_revoke(p, 3, 2), 0);
    for (int i = 1; i < 4; i++) { /* not the first: its signer is revoked */
        struct fm_buf bytes;
        fm_buf_init(&bytes, 0);
        int rc = fm_receipt_after(core, &stamp, 77, &bytes);
        assert_int_equal(rc, i < 3 ? FM_OK : FM_ENOTFOUND);
        if (rc == FM_OK) {
            assert_int_equal(fm_statement_decode(&told, core->crypto, &p->mesh, fm_buf_span(&bytes)), 0);
            assert_memory_equal(told.author.b, p->nodes[order[i]].self.author.b, sizeof told.author.b);
        }
        fm_buf_fini(&bytes);
    }
    assert_int_equal(stamp, fm_receipt_stamp(core));
    struct fm_port port = *core->port;
    whole = core->port;
    port.statement = no_statement;
    core->port = &port;
    stamp = 0;
    assert_int_equal(fm_receipt_after(core, &stamp, 77, NULL), FM_ECORRUPT); /* it is known, so it is held */
    core->port = whole;
    peers_free(p);
}

static int rows(void *ctx, const struct fm_action *action)
{
    return action->kind == FM_DO_ROW ? fm_memory_apply(ctx, &action->row) : FM_OK;
}

static int issue(struct fm_peers *p, int node, int64_t memory)
{
    struct fm_repl *core = p->nodes[node].core;
    struct fm_sink sink = {.ctx = p->nodes[node].store, .act = rows};
    struct fm_event event = {.kind = FM_EVENT_TICK, .now_ms = p->now_ms};
    core->event = &event;
    core->sink = &sink;
    fm_fault_begin(memory);
    int rc = fm_receipt_issue(core);
    bool hit = fm_fault_end();
    assert_true(hit || rc != FM_ENOMEM);
    core->event = NULL;
    core->sink = NULL;
    return rc;
}

static void of_more_tips_than_fit_the_newest_are_named(void **state)
{
    (void)state;
    struct fm_peers *p = peers_new();
    struct fm_repl *core = p->nodes[1].core;
    struct fm_company_author camp = p->nodes[2].lanes[1];
    struct fm_receipt_tip tip, oldest, newest = {.sequence = 0};
    struct fm_statement s;
    struct fm_buf buf;
    size_t named = 0;
    for (uint64_t i = 1; i <= FM_RECEIPT_TIPS_MAX; i++) {
        camp = p->nodes[2].lanes[1];
        camp.stream.incarnation = i;
        assert_int_equal(fm_company_write(p, &camp, 1, 1), 0);
        fm_stream_hash_of(i == 1 ? oldest.stream : newest.stream, core->crypto, &camp.stream);
    }
    assert_true(fm_vector_count(core->vector) > FM_RECEIPT_TIPS_MAX);
    assert_true(fm_receipt_stale(core));
    struct fm_port port = *core->port;
    whole = core->port;
    port.set_get = no_set;
    core->port = &port;
    assert_int_equal(issue(p, 1, -1), FM_ECORRUPT); /* a tip is held */
    core->port = whole;
    int64_t tries = 0;
    for (int rc = FM_ENOMEM; rc != FM_OK; tries++) { /* collecting, and the bytes; a sort goes on without */
        rc = issue(p, 1, tries);
        assert_true(rc == FM_OK || rc == FM_ENOMEM);
    }
    assert_true(tries > 2);
    assert_int_equal(issue(p, 1, -1), FM_OK);
    assert_false(fm_receipt_stale(core));
    fm_fault_begin(0);
    assert_true(fm_receipt_stale(core)); /* not known: issuing will meet the error */
    assert_true(fm_fault_end());
    receipt_of(p, 1, 1, &s, &buf);
    assert_int_equal(s.tip_count, FM_RECEIPT_TIPS_MAX);
    bool has_newest = false, has_oldest = false;
    struct fm_span tips = s.tips;
    for (; fm_statement_tip(&tips, &tip) == FM_OK; named++) {
        has_newest = has_newest || memcmp(tip.stream, newest.stream, sizeof tip.stream) == 0;
        has_oldest = has_oldest || memcmp(tip.stream, oldest.stream, sizeof tip.stream) == 0;
    }
    assert_int_equal(named, FM_RECEIPT_TIPS_MAX);
    assert_true(has_newest);
    /* what came before them are the members' own streams of lane 0 */
    assert_int_equal(has_oldest, fm_vector_count(core->vector) - FM_RECEIPT_TIPS_MAX < 3);
    fm_buf_fini(&buf);
    peers_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receipts_travel_from_the_hub_to_the_camp),
        cmocka_unit_test(the_hubs_own_sets_are_at_the_hub),
        cmocka_unit_test(a_branch_the_hub_lacks_is_not_covered),
        cmocka_unit_test(a_revoked_members_statements_count_no_more),
        cmocka_unit_test(the_highest_counter_wins),
        cmocka_unit_test(equal_counters_leave_one_everywhere),
        cmocka_unit_test(who_may_say_what),
        cmocka_unit_test(epochs_only_rise),
        cmocka_unit_test(a_newer_receipt_of_ones_own_is_outbid),
        cmocka_unit_test(nothing_new_needs_no_new_receipt),
        cmocka_unit_test(one_receipt_a_minute_while_a_session_lasts),
        cmocka_unit_test(partial_receipts_add_up),
        cmocka_unit_test(the_epoch_is_the_highest_notice_that_counts),
        cmocka_unit_test(who_is_no_member_says_nothing),
        cmocka_unit_test(a_statement_that_does_not_hold_is_passed_over),
        cmocka_unit_test(so_many_statements_are_held_and_no_more),
        cmocka_unit_test(what_counts_is_told_in_the_order_it_came),
        cmocka_unit_test(of_more_tips_than_fit_the_newest_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
