/* An import's map and its table, with a 0 byte between them: every row becomes records or a reason, always the same. */
#include "node/csv.h"
#include "node/json.h"
#include "node/map.h"
#include "replication/bounds.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_crypto.h"

static void record(const json_t *map, size_t i, const struct fm_csv *csv)
{
    static const struct fm_mesh_id mesh;
    struct fm_crypto crypto = fm_fake_crypto();
    struct fm_buf doc;
    char why[300];

    json_t *out = fm_map_record(map, i, csv, &crypto, &mesh, why, sizeof why);
    if (out == NULL) {
        FUZZ_CHECK(why[0] != '\0' && strlen(why) < sizeof why);
        return;
    }
    json_t *again = fm_map_record(map, i, csv, &crypto, &mesh, why, sizeof why);
    FUZZ_CHECK(json_equal(out, again));
    const json_t *id = json_object_get(out, "offlineId");
    FUZZ_CHECK(json_string_length(id) > 0 && json_string_length(id) <= FM_OFFLINE_ID_BYTES_MAX);
    FUZZ_CHECK(fm_kind_from(fm_span_str(json_string_value(json_object_get(out, "type")))) != 0);
    fm_buf_init(&doc, 2 * FM_CHANGE_BYTES_MAX);
    if (fm_json_to_doc(&doc, json_object_get(out, "data"), why, sizeof why) == FM_OK)
        FUZZ_CHECK(fm_doc_check(fm_buf_span(&doc)) == FM_OK);
    else
        FUZZ_CHECK(doc.len == 0 && why[0] != '\0');
    fm_buf_fini(&doc);
    json_decref(out);
    json_decref(again);
}

FUZZ_TARGET(1024, 1 << 18)
{
    const uint8_t *zero = size == 0 ? NULL : memchr(data, 0, size);
    size_t map_len = zero == NULL ? 0 : (size_t)(zero - data);
    struct fm_csv csv;
    char why[300] = "";

    bool table = zero != NULL && map_len + 1 < size;
    FILE *in = table ? fmemopen((void *)(uintptr_t)(zero + 1), size - map_len - 1, "rb") : NULL;
    if (in == NULL)
        return 0;
    json_t *map = fm_json_parse(fm_span(data, map_len), why, sizeof why);
    if (map != NULL && fm_csv_open(&csv, in) == FM_OK) {
        if (fm_map_check(map, &csv, why, sizeof why) == FM_OK) {
            for (int rows = 0; rows < 6 && fm_csv_next(&csv) == FM_OK; rows++)
                for (size_t i = 0; i < fm_map_count(map) && i < 6; i++)
                    record(map, i, &csv);
        } else {
            FUZZ_CHECK(why[0] != '\0');
        }
    }
    if (map != NULL)
        fm_csv_close(&csv);
    json_decref(map);
    (void)fclose(in);
    return 0;
}
