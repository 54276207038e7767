/* Canonical documents: msgpack maps of the document profile, always read in place.
 *
 * A checked document (fm_doc_check) may be read by all functions below without a further check; they return
 * FM_ENOTFOUND for a missing field and FM_EFORMAT for a field of another type. Spans handed out are borrowed from the
 * document. Top-level fields only, unless said otherwise. */
#ifndef FM_REPLICATION_DOC_H
#define FM_REPLICATION_DOC_H

#include "replication/types.h"

struct fm_field {
    struct fm_span key;   /* the text of the key, without its msgpack header */
    struct fm_span value; /* one packed msgpack value */
};

int fm_doc_check(struct fm_span doc); /* 0, FM_EFORMAT, FM_ELIMIT; the whole span is one document */
int fm_doc_get(struct fm_span doc, const char *key, struct fm_span *packed);
int fm_doc_str(struct fm_span doc, const char *key, struct fm_span *text);
int fm_doc_int(struct fm_span doc, const char *key, int64_t *value);
int fm_doc_bool(struct fm_span doc, const char *key, bool *value);
bool fm_doc_has(struct fm_span doc, const char *key); /* present and not nil */

/* Top-level fields in order; *count at most FM_MAP_ENTRIES_MAX. */
void fm_doc_fields(struct fm_span doc, struct fm_field fields[256], size_t *count);
/* Writes fields (in any order; for a key that stands twice the later one counts; an empty value drops the key) as a
 * canonical document. 0, FM_ENOMEM, FM_ELIMIT (more than FM_MAP_ENTRIES_MAX). */
int fm_doc_write(struct fm_buf *out, struct fm_field *fields, size_t count);

/* What kind of value a packed value is, for iterating and for JSON. */
enum fm_type { FM_NIL, FM_BOOL, FM_INT, FM_DOUBLE, FM_STR, FM_ARRAY, FM_MAP };
struct fm_value {
    enum fm_type type;
    bool boolean;
    int64_t integer;
    double number;
    struct fm_span text;  /* FM_STR */
    uint32_t count;       /* FM_ARRAY, FM_MAP: items, entries */
    struct fm_span inner; /* FM_ARRAY, FM_MAP: the packed items, or key, value, key, value … */
};
/* Reads the value at the front of *packed and moves *packed behind it. */
void fm_value_next(struct fm_span *packed, struct fm_value *out);

/* --- comparison by leaf paths (DESIGN.md section 4) --- */
/* Content (rule 8): equal but for createdAt, updatedAt, syncStatus, versionNumber, assessorId, responderId and the
 * verification fields (verificationStatus, rejectionReason, rejectionFeedback, verifiedAt, verifiedBy). */
bool fm_doc_same_content(struct fm_span a, struct fm_span b);
/* same, disjoint or overlap of two documents against their base (an empty span: the empty map). Lists and scalars are
 * leaves; maps are descended; createdAt, updatedAt, syncStatus, versionNumber, assessorId, responderId at the top are
 * not compared, verification fields are. FM_CLASS_DELETE is the caller's to find. */
enum fm_class fm_doc_class(struct fm_span base, struct fm_span a, struct fm_span b);
/* Lays what b changed against base over a (by leaf paths; meant for disjoint changes). Appends a canonical document. */
int fm_doc_merge(struct fm_buf *out, struct fm_span base, struct fm_span a, struct fm_span b);

#endif
