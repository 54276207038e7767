/* Record ids as text: one form out, any case in, and nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/error.h"
#include "replication/uuid.h"

#define GOOD "01890a5d-ac96-774b-bcce-b302099a8057"

static void test_text_there_and_back(void **state)
{
    struct fm_record_id id, again;
    char text[37];
    (void)state;
    assert_int_equal(fm_uuid_parse(&id, fm_span_str(GOOD)), FM_OK);
    fm_uuid_text(text, &id);
    assert_string_equal(text, GOOD);
    assert_int_equal(fm_uuid_parse(&again, fm_span_str("01890A5D-AC96-774B-BCCE-B302099A8057")), FM_OK);
    assert_memory_equal(&again, &id, sizeof id);
    assert_int_equal(id.b[0], 0x01);
    assert_int_equal(id.b[15], 0x57);
}

/* At each place each byte: only a digit of the same case-blind set is taken, and only a dash where one has to be. */
static void test_any_other_byte_is_refused(void **state)
{
    struct fm_record_id id, untouched = {{9}};
    (void)state;
    for (size_t at = 0; at < 36; at++) {
        bool dash = at == 8 || at == 13 || at == 18 || at == 23;
        for (int byte = 0; byte < 256; byte++) {
            char text[] = GOOD;
            bool digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
            bool good = dash ? byte == '-' : digit;
            text[at] = (char)byte;
            id = untouched;
            if (fm_uuid_parse(&id, fm_span(text, 36)) != (good ? FM_OK : FM_EFORMAT))
                fail_msg("byte %d at %zu", byte, at);
            if (!good)
                assert_memory_equal(&id, &untouched, sizeof id);
        }
    }
}

static void test_no_other_length_is_one(void **state)
{
    struct fm_record_id id;
    (void)state;
    assert_int_equal(fm_uuid_parse(&id, fm_span(GOOD, 35)), FM_EFORMAT);
    assert_int_equal(fm_uuid_parse(&id, fm_span_str(GOOD "0")), FM_EFORMAT);
    assert_int_equal(fm_uuid_parse(&id, fm_span(NULL, 0)), FM_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text_there_and_back),
                                       cmocka_unit_test(test_any_other_byte_is_refused),
                                       cmocka_unit_test(test_no_other_length_is_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
