/* Import maps: what a map may not say is refused with a reason, and numbers that do not fit give no record. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/map.h"
#include "replication/error.h"
#include "tests/support/fake_crypto.h"

#define MAP(key, data) "{\"key\":[" key "],\"records\":[{\"type\":\"entity\",\"offlineId\":\"s-{key}\",\"data\":" data "}]}"

/* The record of the table's first row, as text in out; "" if there is none, and why. */
static int first_record(const char *map_text, const char *table, char *out, size_t out_len, char why[300])
{
    static const struct fm_mesh_id mesh;
    struct fm_crypto crypto = fm_fake_crypto();
    struct fm_csv csv;
    FILE *in = fmemopen((void *)(uintptr_t)table, strlen(table), "rb");
    json_t *map = json_loads(map_text, 0, NULL), *record = NULL;
    assert_non_null(in);
    assert_non_null(map);
    assert_int_equal(fm_csv_open(&csv, in), FM_OK);
    why[0] = out[0] = '\0';
    int rc = fm_map_check(map, &csv, why, 300);
    if (rc == FM_OK) {
        assert_int_equal(fm_csv_next(&csv), FM_OK);
        record = fm_map_record(map, 0, &csv, &crypto, &mesh, why, 300);
    }
    if (record != NULL) {
        char *text = json_dumps(json_object_get(record, "data"), JSON_COMPACT);
        snprintf(out, out_len, "%s", text);
        free(text);
    }
    json_decref(record);
    json_decref(map);
    fm_csv_close(&csv);
    fclose(in);
    return rc;
}

static void test_what_names_no_column_is_refused(void **state)
{
    static const char *const maps[] = {
        MAP("5", "{}"), MAP("null", "{}"), MAP("\"z\"", "{}"),
        MAP("\"a\"", "{\"s\":{\"sum\":[5]}}"), MAP("\"a\"", "{\"s\":{\"sum\":[\"z\"]}}"),
        MAP("\"a\"", "{\"s\":{\"column\":\"z\"}}"), MAP("\"a\"", "{\"s\":{\"column\":7}}"),
        MAP("\"a\"", "{\"m\":{\"s\":{\"sum\":[null]}}}"), MAP("\"a\"", "7"), MAP("", "{}"),
    };
    char out[200], why[300];
    (void)state;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        if (first_record(maps[i], "a,b\n1,2\n", out, sizeof out, why) != FM_EFORMAT || why[0] == '\0')
            fail_msg("was taken: %s", maps[i]);
    }
}

static void test_numbers_that_do_not_fit_give_no_record(void **state)
{
    static const struct {
        const char *table, *data;
    } list[] = {
        {"a,b\n1,2\n", "{\"s\":3}"},
        {"a,b\n9223372036854775806,1\n", "{\"s\":9223372036854775807}"},
        {"a,b\n9223372036854775807,1\n", ""}, /* the sum */
        {"a,b\n-9223372036854775808,-1\n", ""},
        {"a,b\n9223372036854775808,0\n", ""}, /* the cell */
        {"a,b\n1x,0\n", ""},
        {"a,b\n,2\n", "{\"s\":2}"},
    };
    char out[200], why[300];
    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const char *map = MAP("\"a\"", "{\"s\":{\"sum\":[\"a\",\"b\"]}}");
        assert_int_equal(first_record(map, list[i].table, out, sizeof out, why), FM_OK);
        assert_string_equal(out, list[i].data);
        assert_true((out[0] == '\0') == (why[0] != '\0'));
    }
    assert_int_equal(first_record(MAP("\"a\"", "{\"s\":{\"sum\":\"a\"}}"), "a\n1\n", out, sizeof out, why), FM_OK);
    assert_string_equal(out, ""); /* a sum is of a list */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_names_no_column_is_refused),
        cmocka_unit_test(test_numbers_that_do_not_fit_give_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
