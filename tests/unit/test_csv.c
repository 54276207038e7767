/* Tables: quotes, line ends, what is no table; each bound at its last good value and one past it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/csv.h"
#include "replication/error.h"
#include "replication/types.h"

/* All cells, each in brackets, rows ended by '/'. Returns the error that ended it. */
static int read_all(char *out, size_t out_len, struct fm_span text)
{
    struct fm_csv csv;
    size_t at = 0;
    FILE *in = fmemopen((void *)(uintptr_t)text.data, text.len, "rb");
    assert_non_null(in);
    int rc = fm_csv_open(&csv, in);
    out[0] = '\0';
    for (const char **cells = csv.names; rc == FM_OK; rc = fm_csv_next(&csv), cells = csv.cells) {
        for (size_t i = 0; i < csv.column_count; i++)
            at += (size_t)snprintf(out + at, out_len - at, "[%s]", cells[i]);
        at += (size_t)snprintf(out + at, out_len - at, "/");
        assert_true(at < out_len);
    }
    fm_csv_close(&csv);
    fclose(in);
    return rc;
}

static void test_tables_are_read_as_rfc_4180_says(void **state)
{
    static const struct {
        const char *text, *cells;
        int rc;
    } list[] = {
        {"a,b\n1,2\n", "[a][b]/[1][2]/", FM_ENOTFOUND},
        {"a,b\r\n1,2", "[a][b]/[1][2]/", FM_ENOTFOUND},
        {"\xef\xbb\xbf" "a\n\n1\n", "[a]/[1]/", FM_ENOTFOUND},
        {"\"a \"\"x\"\"\",\"b\nc\"\n,\n", "[a \"x\"][b\nc]/[][]/", FM_ENOTFOUND},
        {"a\n\"x\r\"\n", "[a]/[x\r]/", FM_ENOTFOUND}, /* a line's end is no cell's end */
        {"a\n\"x\"\r\n", "[a]/[x]/", FM_ENOTFOUND},
        {"a,b\n1\n", "[a][b]/", FM_EFORMAT},
        {"a,b\n1,2,3\n", "[a][b]/", FM_EFORMAT},
        {"a\n\"x\n", "[a]/", FM_EFORMAT},
        {"a,a\n", "", FM_EFORMAT},
        {"a,\n", "", FM_EFORMAT},
    };
    char cells[256];
    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        assert_int_equal(read_all(cells, sizeof cells, fm_span_str(list[i].text)), list[i].rc);
        assert_string_equal(cells, list[i].cells);
    }
}

static void test_columns_end_at_their_bound_with_and_without_a_line_end(void **state)
{
    static char text[8192], cells[16384];
    (void)state;
    for (int past = 0; past < 2; past++) {
        for (int ended = 0; ended < 2; ended++) {
            size_t len = 0;
            for (int i = 0; i < FM_CSV_COLUMNS_MAX + past; i++)
                len += (size_t)snprintf(text + len, sizeof text - len, "%sc%d", i == 0 ? "" : ",", i);
            if (ended)
                text[len++] = '\n';
            assert_int_equal(read_all(cells, sizeof cells, fm_span(text, len)), past ? FM_ELIMIT : FM_ENOTFOUND);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_read_as_rfc_4180_says),
        cmocka_unit_test(test_columns_end_at_their_bound_with_and_without_a_line_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
