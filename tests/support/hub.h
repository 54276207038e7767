/* A mesh of one coordinator in a folder of its own under $TMPDIR or /tmp, with a node open on it. */
#ifndef FM_TESTS_HUB_H
#define FM_TESTS_HUB_H

#include "node/ops.h"

struct fm_hub {
    char dir[64];
    struct fm_paths paths;
    struct fm_client *client;
};
void fm_hub_open(struct fm_hub *h);  /* asserts */
void fm_hub_close(struct fm_hub *h); /* and removes the folder */
/* One request, given as JSON; asserts that it has an answer, which is the caller's. */
json_t *fm_hub_call(struct fm_hub *h, const char *request);

#endif
