/* Any bytes as the texts that stand for values: UUIDs, dates, hex, names of kinds, verbs and roles. The first byte says
 * which. What is taken is printed as the one text of its value, and that reads back as the same value. */
#include <strings.h>

#include "node/json.h"
#include "node/zap.h"
#include "replication/date.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

static void a_uuid(struct fm_span text)
{
    struct fm_record_id id, back;
    char out[37];
    if (fm_uuid_parse(&id, text) != FM_OK)
        return;
    fm_uuid_text(out, &id);
    FUZZ_CHECK(text.len == 36 && strncasecmp(out, (const char *)text.data, 36) == 0);
    FUZZ_CHECK(fm_uuid_parse(&back, fm_span_str(out)) == FM_OK && fm_id_eq(&id, &back));
}

/* Both readers of dates: of documents, and of the requests' lastSyncTimestamp. */
static void a_date(struct fm_span text, int (*parse)(uint64_t *ms, struct fm_span text),
                   void (*print)(char out[25], uint64_t ms))
{
    uint64_t ms, back;
    char out[25];
    if (parse(&ms, text) != FM_OK)
        return;
    FUZZ_CHECK(text.len >= 10 && text.len <= 30 && ms < UINT64_C(253402300800000));
    print(out, ms);
    FUZZ_CHECK(memcmp(out, text.data, 10) == 0 && strlen(out) == 24);
    FUZZ_CHECK(parse(&back, fm_span_str(out)) == FM_OK && back == ms);
}

static void a_hex(struct fm_span text)
{
    uint8_t bytes[32];
    char out[65];
    size_t len = text.len / 2 <= sizeof bytes ? text.len / 2 : sizeof bytes;
    if (fm_hex_parse(bytes, len, text) != FM_OK)
        return;
    fm_hex_text(out, bytes, len);
    FUZZ_CHECK(text.len == 2 * len && strncasecmp(out, (const char *)text.data, text.len) == 0);
}

/* ZAP's User-Id comes as a C string. */
static void a_key(struct fm_span text)
{
    struct fm_key key;
    char in[80] = "", out[FM_ZAP_KEY_HEX + 1];
    if (text.len > 0)
        memcpy(in, text.data, text.len < sizeof in ? text.len : sizeof in - 1);
    if (!fm_zap_unhex(&key, in))
        return;
    fm_zap_hex(out, &key);
    FUZZ_CHECK(strcmp(in, out) == 0);
}

static void a_name(struct fm_span text)
{
    int kind = fm_kind_from(text), action = fm_action_from(text), role = fm_role_from(text);
    FUZZ_CHECK(kind == 0 || fm_span_eq(fm_span_str(fm_kind_name(kind)), text));
    FUZZ_CHECK(action == 0 || fm_span_eq(fm_span_str(fm_action_name(action)), text));
    FUZZ_CHECK(role == 0 || fm_span_eq(fm_span_str(fm_role_name(role)), text));
}

FUZZ_TARGET(0, 0)
{
    struct fm_span text = size > 0 ? fm_span(data + 1, size - 1) : fm_span(NULL, 0);
    switch (size > 0 ? data[0] % 6 : 0) {
    case 0: a_uuid(text); break;
    case 1: a_date(text, fm_date_parse, fm_date_text); break;
    case 2: a_date(text, fm_iso_parse, fm_iso_text); break;
    case 3: a_hex(text); break;
    case 4: a_key(text); break;
    default: a_name(text); break;
    }
    return 0;
}
