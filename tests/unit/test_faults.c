/* A store that fails at any one read, row or report: the step passes the error up as it is, never takes it for "not held",
 * and a fresh core on what was committed comes to the same digest. Every case of tests/vectors/rules/ is such a turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>

#include "replication/error.h"
#include "tests/support/no_memory.h"
#include "tests/support/rule_cases.h"

#define DIR "tests/vectors/rules/"

static json_t *load(const char *path)
{
    json_t *out = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    if (out == NULL)
        fail_msg("%s does not load", path);
    return out;
}

static void play_all(bool memory)
{
    char why[512] = "";
    size_t failures = 0;
    glob_t found;
    fm_fault_memory = memory;
    json_t *world = load(DIR "world.json");
    assert_int_equal(glob(DIR "rule-*.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t at;
        json_t *file = load(found.gl_pathv[i]), *one;
        json_array_foreach(json_object_get(file, "cases"), at, one) {
            if (!fm_rule_case_run_failing(world, one, at == 0, &failures, why))
                fail_msg("%s %s: %s", found.gl_pathv[i], json_string_value(json_object_get(one, "name")), why);
        }
        json_decref(file);
    }
    print_message("%zu failures tried\n", failures);
    assert_true(failures > 2000);
    globfree(&found);
    json_decref(world);
}

static void test_every_rules_case_survives_a_failure_at_any_call(void **state)
{
    (void)state;
    play_all(false);
}

static void test_every_rules_case_survives_want_of_memory(void **state)
{
    (void)state;
    play_all(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_rules_case_survives_a_failure_at_any_call),
                                       cmocka_unit_test(test_every_rules_case_survives_want_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
