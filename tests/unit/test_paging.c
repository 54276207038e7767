/* All sets of a stream, page by page: none twice, none left out, whatever stands at a page's end. */
#include "replication/error.h"
#include "tests/support/lab_three.h"

/* A port that has these sets of the stream, in key order. */
static struct fm_set_meta sets[200];
static size_t held;

static int from_list(void *ctx, const struct fm_stream *stream, uint64_t from, struct fm_set_meta *out, size_t max,
                     size_t *count)
{
    (void)ctx, (void)stream;
    *count = 0;
    for (size_t i = 0; i < held && *count < max; i++)
        if (sets[i].sequence >= from)
            out[(*count)++] = sets[i];
    return FM_OK;
}

static void test_pages_end_anywhere(void **state)
{
    static const struct {
        unsigned sequences, each; /* sets at each number */
        uint64_t from;
        int end;
    } cases[] = {{0, 0, 1, FM_ENOTFOUND},
                 {1, 1, 1, FM_ENOTFOUND},
                 {FM_PAGING_SETS - 1, 1, 1, FM_ENOTFOUND},
                 {FM_PAGING_SETS, 1, 1, FM_ENOTFOUND},
                 {FM_PAGING_SETS + 1, 1, 1, FM_ENOTFOUND},
                 {100, 1, 40, FM_ENOTFOUND},
                 {100, 1, 101, FM_ENOTFOUND},
                 {12, FM_STREAM_TIPS_MAX, 1, FM_ENOTFOUND},
                 {12, FM_STREAM_TIPS_MAX - 1, 3, FM_ENOTFOUND},
                 {1, FM_PAGING_SETS, 1, FM_ECORRUPT}}; /* more than the intake ever takes in */
    struct three *t = *state;
    struct fm_port port = *t->b.core->port;
    port.stream_sets = from_list;
    t->b.core->port = &port;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct fm_stream stream = {.lane = 1};
        struct fm_paging paging;
        const struct fm_set_meta *set;
        int rc;
        held = 0;
        for (unsigned i = 0; i < cases[c].sequences * cases[c].each; i++)
            sets[held++] = (struct fm_set_meta){.sequence = 1 + i / cases[c].each, .arrival = i};
        size_t at = (size_t)(cases[c].from - 1) * cases[c].each;
        fm_paging_init(&paging, &stream, cases[c].from);
        while ((rc = fm_paging_next(t->b.core, &paging, &set)) == FM_OK)
            assert_int_equal(set->arrival, at++);
        assert_int_equal(rc, cases[c].end);
        if (rc == FM_ENOTFOUND) {
            assert_int_equal(at, held);
            assert_int_equal(fm_paging_next(t->b.core, &paging, &set), FM_ENOTFOUND);
        }
    }
    assert_int_equal(fm_lab_restart(&t->b), FM_OK); /* the port is gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_pages_end_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
