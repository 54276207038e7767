/* What leaves the core: errors that end a turn are told from those of input, what the sink returns is passed up, and fresh
 * bytes are a function of the step's seed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/inner.h"
#include "tests/support/fake_crypto.h"

static void the_environments_errors_are_fatal(void **state)
{
    static const int fatal[] = {FM_ENOMEM, FM_ESTORE, FM_ECORRUPT, FM_EFULL, FM_EDISKFULL, FM_EIO};
#define X(name, number, code, text) name,
    static const int all[] = {FM_OK, FM_ERRORS(X)};
#undef X
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        bool want = false;
        for (size_t j = 0; j < sizeof fatal / sizeof fatal[0]; j++)
            want = want || fatal[j] == all[i];
        if (fm_emit_fatal(all[i]) != want)
            fail_msg("%s: want %d", fm_error_code(all[i]), want);
    }
}

static struct fm_action seen;
static int said;

static int act(void *ctx, const struct fm_action *action)
{
    (void)ctx;
    seen = *action;
    return said;
}

static void what_the_sink_says_is_passed_up(void **state)
{
    static const int says[] = {FM_OK, FM_EDISKFULL};
    const struct fm_sink sink = {.act = act};
    struct fm_repl r = {.sink = &sink};
    struct fm_row row = {.kind = FM_ROW_TOUCH, .present = true};
    struct fm_action report = {.report = FM_REPORT_TAKEN, .error = FM_EORDER};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        said = says[i];
        assert_int_equal(fm_emit_row(&r, &row), said);
        assert_true(seen.kind == FM_DO_ROW && seen.row.kind == FM_ROW_TOUCH && seen.row.present);
        assert_int_equal(fm_emit_send(&r, 7, fm_span("x", 1)), said);
        assert_true(seen.kind == FM_DO_SEND && seen.conn == 7 && seen.bytes.len == 1);
        assert_int_equal(fm_emit_drop(&r, 8, "why"), said);
        assert_true(seen.kind == FM_DO_DROP && seen.conn == 8);
        assert_string_equal(seen.reason, "why");
        assert_int_equal(fm_emit_report(&r, &report), said);
        assert_true(seen.kind == FM_DO_REPORT && seen.report == FM_REPORT_TAKEN && seen.error == FM_EORDER);
    }
}

static void fresh_bytes_follow_from_the_seed(void **state)
{
    struct fm_event one = {.seed = {1}}, other = {.seed = {2}};
    struct fm_crypto crypto = fm_fake_crypto();
    struct fm_repl r = {.crypto = &crypto, .event = &one};
    uint8_t a[16], b[16], c[16], d[16];
    (void)state;
    fm_fresh(&r, a, sizeof a);
    fm_fresh(&r, b, sizeof b);
    r.seed_used = 0;
    fm_fresh(&r, c, sizeof c);
    r = (struct fm_repl){.crypto = &crypto, .event = &other};
    fm_fresh(&r, d, sizeof d);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_equal(a, c, sizeof a);
    assert_memory_not_equal(a, d, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environments_errors_are_fatal),
        cmocka_unit_test(what_the_sink_says_is_passed_up),
        cmocka_unit_test(fresh_bytes_follow_from_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
