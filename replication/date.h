/* Dates in documents: ISO 8601 UTC text, by integer arithmetic alone. */
#ifndef FM_REPLICATION_DATE_H
#define FM_REPLICATION_DATE_H

#include "replication/types.h"

#define FM_DATE_CHARS 25 /* "2026-11-01T09:12:00.000Z" and its end */

/* Years past 9999 are written as the last millisecond of 9999. */
void fm_date_text(char out[FM_DATE_CHARS], uint64_t ms);
/* "2026-11-01", or with a time of day in UTC: "2026-11-01T09:12Z", seconds and 1 to 9 digits of a fraction if wanted.
 * From 1970 on. 0 or FM_EFORMAT. */
int fm_date_parse(uint64_t *ms, struct fm_span text);

#endif
