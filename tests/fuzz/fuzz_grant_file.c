/* Any bytes as a grant file. Text that starts with 'f' is taken as it stands; else the first byte is left out and the rest
 * is the content, checked and armoured here. What is taken is written again as the same content. */
#include "crypto/crypto.h"
#include "node/identity.h"
#include "tests/fuzz/armour.h"

static void decode(struct fm_span text, bool canonical)
{
    struct fm_grant_file file;
    struct fm_buf again;
    size_t bytes = 0;

    if (fm_grant_file_decode(&file, text) != FM_OK) {
        FUZZ_CHECK(file.bytes.data == NULL && file.sets == NULL); /* nothing is left to be freed */
        return;
    }
    FUZZ_CHECK(file.count <= FM_GRANT_FILE_SETS_MAX && file.bytes.cap <= 2 * text.len + 128);
    FUZZ_CHECK(memchr(text.data, 0, text.len) == NULL); /* it is text */
    for (size_t i = 0; i < file.count; i++) {
        FUZZ_CHECK(file.sets[i].len <= FM_SET_BYTES_MAX);
        bytes += file.sets[i].len;
    }
    FUZZ_CHECK(bytes <= text.len);
    fm_buf_init(&again, 0);
    FUZZ_CHECK(fm_grant_file_encode(&again, &file.mesh, &file.root, &file.grant, file.sets, file.count) == FM_OK);
    if (canonical) {
        fuzz_same(&again, text);
    } else { /* blanks and line ends may differ: once more, and it is the same */
        struct fm_grant_file back;
        FUZZ_CHECK(fm_grant_file_decode(&back, fm_buf_span(&again)) == FM_OK && back.count == file.count);
        FUZZ_CHECK(fm_span_eq(fm_buf_span(&back.bytes), fm_buf_span(&file.bytes)));
        fm_grant_file_fini(&back);
        fm_buf_fini(&again);
    }
    fm_grant_file_fini(&file);
}

FUZZ_TARGET(48, 1 << 13)
{
    struct fm_buf text;
    uint8_t check[16];

    FUZZ_CHECK(fm_crypto_init() == FM_OK);
    if (size == 0 || data[0] == 'f') {
        decode(fm_span(data, size), false);
        return 0;
    }
    fm_crypto_hash(check, sizeof check, data + 1, size - 1);
    fm_buf_init(&text, 0);
    fuzz_armour(&text, "fieldmesh grant 1\n", fm_span(data + 1, size - 1), fm_span(check, sizeof check));
    decode(fm_buf_span(&text), true);
    fm_buf_fini(&text);
    return 0;
}
