/* What enrolment files are made of, written here a second time: a line, then base64 of [bin content, bin seal]. */
#ifndef FM_TESTS_FUZZ_ARMOUR_H
#define FM_TESTS_FUZZ_ARMOUR_H

#include <sodium.h>

#include "replication/error.h"
#include "replication/pack.h"
#include "tests/fuzz/fuzz.h"

static inline void fuzz_armour(struct fm_buf *out, const char *line, struct fm_span content, struct fm_span seal)
{
    struct fm_buf pair;
    struct fm_pack p;
    fm_buf_init(&pair, 0);
    fm_pack_init(&p, &pair);
    fm_pack_array(&p, 2);
    fm_pack_bin(&p, content.data, content.len);
    fm_pack_bin(&p, seal.data, seal.len);
    FUZZ_CHECK(p.error == FM_OK && fm_buf_add(out, line, strlen(line)) == FM_OK);
    for (size_t at = 0; at < pair.len; at += 48) {
        char text[65];
        (void)sodium_bin2base64(text, sizeof text, pair.data + at, pair.len - at < 48 ? pair.len - at : 48,
                                sodium_base64_VARIANT_ORIGINAL);
        FUZZ_CHECK(fm_buf_add(out, text, strlen(text)) == FM_OK && fm_buf_add(out, "\n", 1) == FM_OK);
    }
    fm_buf_fini(&pair);
}

#endif
