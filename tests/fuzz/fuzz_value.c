/* Rows of the store as a bad disk, or a forger of the row checks, leaves them: the first byte names the decoder, then a key
 * of its table's width, then the body. What is taken is written again as the same bytes (bits of flags that nobody knows are
 * cleared here first); and a value is opened only under its own check. */
#include "replication/error.h"
#include "store/base.h"
#include "store/value.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_crypto.h"

static struct fm_arena arena;

static void same(const uint8_t *again, size_t len, struct fm_span body)
{
    FUZZ_CHECK(fm_span_eq(fm_span(again, len), body));
}

static void a_set(struct fm_span body)
{
    struct fm_value_set row;
    uint8_t again[FM_VALUE_SET_BYTES];
    if (fm_value_set_decode(&row, body) != FM_OK)
        return;
    struct fm_set_meta meta = {.arrival = row.arrival,
                               .changes_before = row.changes_before,
                               .role = row.role,
                               .verdict = row.verdict,
                               .why = row.why};
    memcpy(meta.id.b + 24, row.id_tail, 8);
    same(again, fm_value_set_encode(again, &meta), body);
}

static void a_tip(struct fm_span body)
{
    static struct fm_stream_row row;
    uint8_t again[FM_VALUE_TIPS_BYTES_MAX];
    if (fm_value_tips_decode(&row, body) == FM_OK)
        same(again, fm_value_tips_encode(again, &row), body);
}

static void a_version(struct fm_span key, uint8_t *body, size_t len)
{
    struct fm_version v;
    uint8_t again[FM_VALUE_VERSION_BYTES_MAX];
    size_t holders = 19;
    if (len > 1) {
        body[1] &= 3;
        holders += body[1] & 2 ? FM_VERSION_ID_BYTES : 0;
    }
    for (size_t i = 0; len > 18 && i < body[18] && holders + 14 * i + 13 < len; i++)
        body[holders + 14 * i + 13] &= 3;
    if (fm_value_version_decode(&v, key, fm_span(body, len), &arena) != FM_OK)
        return;
    FUZZ_CHECK((v.parents == NULL) == (v.parent_count == 0));
    same(again, fm_value_version_encode(again, &v), fm_span(body, len));
    if (v.settlement >= FM_VERSION_MAX)
        return; /* no rank of ours: a damaged key */
    struct fm_row_key back = fm_keys_version(&v);
    same(back.b, back.len, key);
}

static void a_head(struct fm_span key, uint8_t *body, size_t len)
{
    struct fm_head head;
    uint64_t number;
    uint8_t again[FM_VALUE_HEAD_BYTES_MAX];
    if (len > 8)
        body[8] &= 15;
    if (fm_value_head_decode(&head, &number, key, fm_span(body, len)) == FM_OK)
        same(again, fm_value_head_encode(again, &head, number), fm_span(body, len));
}

static void small(uint8_t which, struct fm_span body)
{
    static const struct fm_version_id id;
    struct fm_record_ref ref;
    struct fm_row_key key;
    struct fm_conflict conflict;
    struct fm_sums sums;
    uint8_t again[FM_SUMS_BYTES];
    uint64_t stamp;
    static const uint8_t zeros[FM_CONFLICT_ID_BYTES];
    if (which == 0 && fm_value_id_decode(&key, &ref, &id, body) == FM_OK)
        same(again, fm_value_id_encode(again, &key), body);
    if (which == 1 && fm_value_change_decode(&ref, &stamp, body) == FM_OK)
        same(again, fm_value_change_encode(again, &ref, stamp), body);
    if (which == 2 && fm_versions_conflict(&conflict, fm_span(zeros, sizeof zeros), body) == FM_OK)
        FUZZ_CHECK(memcmp(conflict.version.b, body.data + 17, sizeof conflict.version.b) == 0);
    if (which == 3 && fm_sums_decode(&sums, body) == FM_OK) {
        fm_sums_encode(again, &sums);
        same(again, sizeof again, body);
    }
}

static void sealed(struct fm_span key, struct fm_span value)
{
    struct fm_crypto c = fm_fake_crypto();
    struct fm_span body;
    static uint8_t out[70000 + FM_VALUE_OVERHEAD];
    struct fm_row_key k = fm_keys_copy(key);
    if (fm_value_open(&c, FM_TABLE_HEADS, key, value, &body) == FM_OK)
        FUZZ_CHECK(body.len == value.len - FM_VALUE_OVERHEAD);
    if (value.len > 70000)
        return;
    fm_value_seal(&c, FM_TABLE_HEADS, &k, value, out);
    FUZZ_CHECK(fm_value_open(&c, FM_TABLE_HEADS, key, fm_span(out, value.len + FM_VALUE_OVERHEAD), &body) == FM_OK);
    FUZZ_CHECK(fm_span_eq(body, value));
    out[value.len / 2] ^= 1;
    FUZZ_CHECK(fm_value_open(&c, FM_TABLE_HEADS, key, fm_span(out, value.len + FM_VALUE_OVERHEAD), &body) == FM_ECORRUPT);
}

FUZZ_TARGET(8, 1 << 17)
{
    struct fuzz_in in = {data, size};
    uint8_t which = (uint8_t)fuzz_number(&in, 1) % 9, key[57] = {0};
    struct fm_span front = fuzz_take(&in, sizeof key);
    uint8_t *body = malloc(in.left + 1); /* its own, so that a byte read past the end is seen */
    FUZZ_CHECK(body != NULL);
    if (front.len > 0)
        memcpy(key, front.data, front.len);
    if (in.left > 0)
        memcpy(body, in.at, in.left);
    switch (which) {
    case 0: a_set(fm_span(body, in.left)); break;
    case 1: a_tip(fm_span(body, in.left)); break;
    case 2: a_version(fm_span(key, sizeof key), body, in.left); break;
    case 3: a_head(fm_span(key, 17), body, in.left); break;
    case 4: sealed(fm_span(key, 17), fm_span(body, in.left)); break;
    default: small((uint8_t)(which - 5), fm_span(body, in.left)); break;
    }
    free(body);
    fm_arena_reset(&arena);
    return 0;
}
