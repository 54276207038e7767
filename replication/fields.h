/* What a document's fields must be at submission (RULES.md "Document fields"): tables, and one checker for them. */
#ifndef FM_REPLICATION_FIELDS_H
#define FM_REPLICATION_FIELDS_H

#include "replication/doc.h"

enum fm_want {
    FM_WANT_TEXT,
    FM_WANT_BOOL,
    FM_WANT_COUNT,     /* a whole number, 0 or more */
    FM_WANT_ABOVE_ZERO,/* a number above 0 */
    FM_WANT_LATITUDE,
    FM_WANT_LONGITUDE,
    FM_WANT_STRINGS,   /* a list of texts */
    FM_WANT_DATE,
    FM_WANT_UUID,
    FM_WANT_ENUM,      /* one of `values` */
    FM_WANT_ENUMS,     /* a list of them */
    FM_WANT_HEX_KEY,   /* 64 lower-case hexadecimal digits */
    FM_WANT_MAP
};
struct fm_field_rule {
    const char *name;
    enum fm_want want;
    bool required;
    const char *values; /* words with one space between them */
};
#define FM_FIELD_RULES(table) (table), sizeof(table) / sizeof((table)[0])

/* Each named field that is there and not nil is of its kind. 0, or FM_EFORMAT and the sentence in why:
 * "assessmentData.numberToilets: want a whole number, 0 or more". prefix: "" or what stands before the names. */
int fm_fields_check(struct fm_span doc, const struct fm_field_rule *rules, size_t count, const char *prefix, char *why,
                    size_t why_len);
/* Each required field is there and not nil: 0, or FM_EFORMAT and "entityId: required". */
int fm_fields_complete(struct fm_span doc, const struct fm_field_rule *rules, size_t count, char *why, size_t why_len);
/* Is this text one of the words? Its place, from 0, in *place (may be NULL). */
bool fm_fields_word(const char *values, struct fm_span text, size_t *place);

#endif
