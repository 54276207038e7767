/* Any bytes as JSON: what becomes a document goes out as JSON and text and comes back as the same document. */
#include "node/json.h"
#include "replication/bounds.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

static void same_document(const json_t *value, struct fm_span doc)
{
    struct fm_buf again;
    char why[200];
    FUZZ_CHECK(value != NULL);
    fm_buf_init(&again, 0);
    FUZZ_CHECK(fm_json_to_doc(&again, value, why, sizeof why) == FM_OK);
    fuzz_same(&again, doc);
}

/* What is told to a client must be text that JSON can carry. */
static void is_told(const char *why)
{
    json_t *text = json_string(why);
    FUZZ_CHECK(why[0] != '\0' && text != NULL);
    json_decref(text);
}

FUZZ_TARGET(512, 1 << 18)
{
    char why[200] = "";
    struct fm_buf doc;
    json_t *value = fm_json_parse(fm_span(data, size), why, sizeof why);

    if (value == NULL) {
        is_told(why);
        return 0;
    }
    char *text = fm_json_text(value);
    FUZZ_CHECK(text != NULL);
    json_t *back = fm_json_parse(fm_span_str(text), why, sizeof why);
    FUZZ_CHECK(back != NULL);
    fm_buf_init(&doc, 2 * FM_CHANGE_BYTES_MAX);
    if (fm_json_to_doc(&doc, value, why, sizeof why) == FM_OK) {
        FUZZ_CHECK(doc.len <= FM_CHANGE_BYTES_MAX && fm_doc_check(fm_buf_span(&doc)) == FM_OK);
        same_document(back, fm_buf_span(&doc));
        json_t *out = fm_json_from_doc(fm_buf_span(&doc));
        same_document(out, fm_buf_span(&doc));
        json_decref(out);
    } else {
        FUZZ_CHECK(doc.len == 0);
        is_told(why);
    }
    fm_buf_fini(&doc);
    json_decref(back);
    json_decref(value);
    free(text);
    return 0;
}
