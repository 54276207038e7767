/* Three documents, one behind the other: comparing is symmetric, merging is canonical and agrees with the class. */
#include "replication/bounds.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/walk.h"
#include "tests/fuzz/fuzz.h"

static void merge_is(struct fm_span base, struct fm_span a, struct fm_span b, struct fm_span expected)
{
    struct fm_buf out;
    fm_buf_init(&out, 0);
    FUZZ_CHECK(fm_doc_merge(&out, base, a, b) == FM_OK);
    fuzz_same(&out, expected);
}

FUZZ_TARGET(16, 1 << 13)
{
    struct fm_walk w;
    struct fm_span doc[3];
    struct fm_buf x, y;

    fm_walk_init(&w, fm_span(data, size), 3 * FM_NODES_MAX);
    for (int i = 0; i < 3; i++)
        if (fm_walk_document(&w, &doc[i]) != FM_OK || fm_doc_check(doc[i]) != FM_OK)
            return 0;
    enum fm_class cls = fm_doc_class(doc[0], doc[1], doc[2]);
    FUZZ_CHECK(cls == fm_doc_class(doc[0], doc[2], doc[1]));
    FUZZ_CHECK(fm_doc_class(doc[0], doc[1], doc[1]) == FM_CLASS_SAME);
    FUZZ_CHECK(fm_doc_class(doc[1], doc[1], doc[2]) != FM_CLASS_OVERLAP);
    FUZZ_CHECK(fm_doc_same_content(doc[1], doc[2]) == fm_doc_same_content(doc[2], doc[1]));
    FUZZ_CHECK(cls != FM_CLASS_SAME || fm_doc_same_content(doc[1], doc[2]));
    merge_is(doc[2], doc[1], doc[2], doc[1]);
    merge_is(doc[0], doc[1], doc[0], doc[1]);

    fm_buf_init(&x, 0);
    fm_buf_init(&y, 0);
    if (fm_doc_merge(&x, doc[0], doc[1], doc[2]) == FM_OK && fm_doc_merge(&y, doc[0], doc[2], doc[1]) == FM_OK) {
        FUZZ_CHECK(fm_doc_check(fm_buf_span(&x)) == FM_OK && fm_doc_check(fm_buf_span(&y)) == FM_OK);
        if (cls != FM_CLASS_OVERLAP) /* the same from both sides */
            FUZZ_CHECK(fm_doc_class(doc[0], fm_buf_span(&x), fm_buf_span(&y)) == FM_CLASS_SAME);
    }
    fm_buf_fini(&x);
    fm_buf_fini(&y);
    return 0;
}
