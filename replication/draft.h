/* A document in the making: fields laid one over the other, the later ones win. All memory is an arena's. */
#ifndef FM_REPLICATION_DRAFT_H
#define FM_REPLICATION_DRAFT_H

#include "replication/bounds.h"
#include "replication/doc.h"

#define FM_DRAFT_FIELDS_MAX (3 * FM_MAP_ENTRIES_MAX)

struct fm_draft {
    struct fm_arena *arena; /* borrowed */
    struct fm_field *fields;
    size_t count;
    int error; /* sticky: 0, FM_ENOMEM, FM_ELIMIT */
};

void fm_draft_init(struct fm_draft *d, struct fm_arena *arena);
/* All fields of a document over what is there; a nil drops the field (rule 15: null clears). */
void fm_draft_lay(struct fm_draft *d, struct fm_span doc);
/* The field of another document as it is there, dropped if it has none. */
void fm_draft_copy(struct fm_draft *d, struct fm_span doc, const char *key);
void fm_draft_str(struct fm_draft *d, const char *key, struct fm_span text);
void fm_draft_uint(struct fm_draft *d, const char *key, uint64_t value);
void fm_draft_drop(struct fm_draft *d, const char *key);
/* The canonical document, in the arena. 0, FM_ENOMEM, FM_ELIMIT (too many fields, or above FM_CHANGE_BYTES_MAX). */
int fm_draft_write(struct fm_draft *d, struct fm_span *doc);

#endif
