/* JSON at the edge (jansson): strict in, canonical documents inside, shortest doubles out. */
#ifndef FM_NODE_JSON_H
#define FM_NODE_JSON_H

#include <jansson.h>

#include "replication/core.h"
#include "replication/uuid.h"

/* Strict parsing: duplicate keys, bad UTF-8, NUL, trailing text, depth past FM_DEPTH_MAX + 4 are refused with a position. */
json_t *fm_json_parse(struct fm_span text, char *why, size_t why_len);
/* An object -> canonical document (document profile; appended). 0, FM_EFORMAT, FM_ELIMIT; why names the path. */
int fm_json_to_doc(struct fm_buf *out, const json_t *object, char *why, size_t why_len);
/* A packed value or checked document -> JSON; NULL without memory. */
json_t *fm_json_from_doc(struct fm_span packed);
/* Compact text with a final newline; doubles in the shortest form that reads back the same. Caller frees. */
char *fm_json_text(const json_t *value);

/* A text or whole number of an object; "" or 0 if it is missing or of another type. */
const char *fm_json_str(const json_t *object, const char *key);
long long fm_json_int(const json_t *object, const char *key);
json_t *fm_json_hex(struct fm_span bytes); /* of any length; NULL without memory */

/* Text forms (UUIDs: replication/uuid.h): ids in hex, ISO 8601 UTC from milliseconds ("2026-11-01T09:12:00.000Z"). */
void fm_hex_text(char *out, const uint8_t *bytes, size_t len); /* 2 * len + 1 */
int fm_hex_parse(uint8_t *out, size_t len, struct fm_span text);
void fm_iso_text(char out[25], uint64_t ms);
int fm_iso_parse(uint64_t *ms, struct fm_span text);

#endif
