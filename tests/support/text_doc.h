/* Documents for tests, written as text: {a:1, m:{x:-2, y:"z"}, l:[1,0.5], t:true, n:null}. Keys may stand in any order
 * and need quotes only if they are not plain words. */
#ifndef FM_TESTS_TEXT_DOC_H
#define FM_TESTS_TEXT_DOC_H

#include "replication/types.h"

/* One canonical value, in the arena. Asserts on text that is none: it is the test's. */
struct fm_span fm_text_doc(struct fm_arena *arena, const char *text);

#endif
