/* Any bytes as a statement (every signature holds here): what is taken is written again as the same bytes. */
#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/statement.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_crypto.h"

static int holds(void *ctx, const uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32], const struct fm_key *author)
{
    (void)signature, (void)id, (void)author;
    memcpy(ctx, signature, FM_SIGNATURE_BYTES);
    return FM_OK;
}
static void same_again(void *ctx, uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32])
{
    (void)id;
    memcpy(signature, ctx, FM_SIGNATURE_BYTES);
}

FUZZ_TARGET(8, 1 << 13)
{
    static struct fm_receipt_tip tips[FM_STATEMENT_BYTES_MAX / 50];
    static const struct fm_mesh_id mesh;
    uint8_t signature[FM_SIGNATURE_BYTES];
    struct fm_crypto c = fm_fake_crypto();
    struct fm_span bytes = fm_span(data, size);
    struct fm_statement statement;
    struct fm_buf again;

    c.ctx = signature;
    c.verify = holds;
    c.sign = same_again;
    if (fm_statement_decode(&statement, &c, &mesh, bytes) != FM_OK)
        return 0;
    struct fm_span left = statement.tips;
    FUZZ_CHECK(statement.tip_count <= sizeof tips / sizeof *tips);
    for (uint32_t i = 0; i < statement.tip_count; i++)
        FUZZ_CHECK(fm_statement_tip(&left, &tips[i]) == FM_OK);
    FUZZ_CHECK(left.len == 0);
    fm_buf_init(&again, 0);
    FUZZ_CHECK(fm_statement_sign(&again, &c, &mesh, &statement, tips, statement.tip_count) == FM_OK);
    fuzz_same(&again, bytes);
    return 0;
}
