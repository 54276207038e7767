/* Rule 30: what an entity's settings approve of, also where they came from elsewhere and are of no form. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/submit.h"
#include "tests/support/text_doc.h"

#define ON "autoApproveEnabled:true"

static const struct {
    const char *entity;
    bool response;
    const char *document;
    bool yes;
} cases[] = {
    {"{" ON "}", false, "{assessmentType:\"WASH\"}", true},
    {"{}", false, "{assessmentType:\"WASH\"}", false},
    {"{autoApproveEnabled:false}", false, "{assessmentType:\"WASH\"}", false},
    {"{autoApproveEnabled:1}", false, "{assessmentType:\"WASH\"}", false},
    {"{" ON ",isActive:false}", false, "{assessmentType:\"WASH\"}", false},
    {"{" ON ",isActive:true}", false, "{assessmentType:\"WASH\"}", true},
    {"{" ON ",isActive:\"no\"}", false, "{assessmentType:\"WASH\"}", true},
    {"{" ON ",autoApproval:null}", false, "{assessmentType:\"WASH\"}", true},
    {"{" ON ",autoApproval:[1]}", false, "{assessmentType:\"WASH\"}", false},
    {"{" ON ",autoApproval:{}}", false, "{assessmentType:\"WASH\"}", true},
    {"{" ON ",autoApproval:{scope:\"both\"}}", true, "{type:\"FOOD\"}", true},
    {"{" ON ",autoApproval:{scope:\"responses\"}}", true, "{type:\"FOOD\"}", true},
    {"{" ON ",autoApproval:{scope:\"responses\"}}", false, "{assessmentType:\"FOOD\"}", false},
    {"{" ON ",autoApproval:{scope:\"assessments\"}}", false, "{assessmentType:\"FOOD\"}", true},
    {"{" ON ",autoApproval:{scope:\"assessments\"}}", true, "{type:\"FOOD\"}", false},
    {"{" ON ",autoApproval:{types:[]}}", false, "{assessmentType:\"WASH\"}", true},
    {"{" ON ",autoApproval:{types:\"WASH\"}}", false, "{assessmentType:\"FOOD\"}", true}, /* no list: no limit */
    {"{" ON ",autoApproval:{types:[\"FOOD\",\"WASH\"]}}", false, "{assessmentType:\"WASH\"}", true},
    {"{" ON ",autoApproval:{types:[\"FOOD\"]}}", false, "{assessmentType:\"WASH\"}", false},
    {"{" ON ",autoApproval:{types:[7,\"WASH\"]}}", false, "{assessmentType:\"WASH\"}", true},
    {"{" ON ",autoApproval:{types:[7]}}", false, "{assessmentType:\"WASH\"}", false},
    {"{" ON ",autoApproval:{types:[\"FOOD\"]}}", true, "{}", false},
    {"{" ON ",autoApproval:{maxPriority:\"LOW\"}}", false, "{assessmentType:\"WASH\",priority:\"LOW\"}", true},
    {"{" ON ",autoApproval:{maxPriority:\"LOW\"}}", false, "{assessmentType:\"WASH\"}", false}, /* none is medium */
    {"{" ON ",autoApproval:{maxPriority:\"HIGH\"}}", false, "{assessmentType:\"WASH\",priority:\"CRITICAL\"}", false},
    {"{" ON ",autoApproval:{maxPriority:\"CRITICAL\"}}", false, "{assessmentType:\"WASH\",priority:\"CRITICAL\"}", true},
};

static void rule_30_settings_of_any_form(void **state)
{
    struct fm_arena arena = {NULL};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t kind = cases[i].response ? FM_KIND_RESPONSE : FM_KIND_ASSESSMENT;
        if (fm_approval_allows(fm_text_doc(&arena, cases[i].entity), kind, fm_text_doc(&arena, cases[i].document)) !=
            cases[i].yes)
            fail_msg("%s of %s: want %d", cases[i].entity, cases[i].document, cases[i].yes);
    }
    fm_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rule_30_settings_of_any_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
