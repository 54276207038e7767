/* The numbered rules of submission: every case of tests/vectors/rules/ on a coordinator's and a camp's core. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>

#include "tests/support/rule_cases.h"

#define CASES_MAX 512
#define DIR "tests/vectors/rules/"

static json_t *world;

static void run_case(void **state)
{
    const json_t *rule_case = *state;
    char why[512] = "";
    if (!fm_rule_case_run(world, rule_case, why))
        fail_msg("%s", why);
}

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *out = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (out == NULL)
        (void)fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
    return out;
}

int main(void)
{
    static struct CMUnitTest tests[CASES_MAX];
    static char names[CASES_MAX][96];
    json_t *files[64];
    size_t count = 0, file_count = 0;
    glob_t found;
    int bad = 0;

    world = load(DIR "world.json");
    if (world == NULL || glob(DIR "rule-*.json", 0, NULL, &found) != 0)
        return 1;
    for (; file_count < found.gl_pathc && file_count < 64; file_count++) {
        size_t i;
        json_t *one;
        if ((files[file_count] = load(found.gl_pathv[file_count])) == NULL)
            return 1;
        json_array_foreach(json_object_get(files[file_count], "cases"), i, one) {
            if (count == CASES_MAX)
                return 1;
            (void)snprintf(names[count], sizeof names[count], "rule_%02d_%s",
                           (int)json_integer_value(json_object_get(files[file_count], "rule")),
                           json_string_value(json_object_get(one, "name")));
            tests[count] = (struct CMUnitTest){.name = names[count], .test_func = run_case, .initial_state = one};
            count++;
        }
    }
    bad = _cmocka_run_group_tests("rules", tests, count, NULL, NULL);
    for (size_t i = 0; i < file_count; i++)
        json_decref(files[i]);
    json_decref(world);
    globfree(&found);
    return bad;
}
