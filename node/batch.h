/* Many changes on their way to the node: batches, results, progress. For put and import. */
#ifndef FM_NODE_BATCH_H
#define FM_NODE_BATCH_H

#include "node/cmd.h"
#include "node/progress.h"

/* A request is one commit: four full sets share its fsync. Its text stays far below what the node takes at once. */
#define FM_BATCH_SIZE 1024
#define FM_BATCH_TEXT_BYTES (1024 * 1024)

struct fm_batch {
    struct fm_cmd *cmd;
    const char *as;
    json_t *changes;                         /* not sent yet */
    json_t *successful, *conflicts, *failed; /* results, kept for --json and for the sum */
    size_t success_count, conflict_count, failed_count, unchanged_count;
    size_t text_bytes;                       /* of changes */
    size_t total;                            /* expected; 0: not known */
    unsigned under_way;                      /* requests that are not answered yet: up to two */
    struct fm_progress progress;
};
void fm_batch_init(struct fm_batch *batch, struct fm_cmd *cmd, const char *as, size_t total);
int fm_batch_add(struct fm_batch *batch, json_t *change); /* steals; sends a full batch. 0 or an exit code that was said */
int fm_batch_send(struct fm_batch *batch); /* what is left; then waits for all answers */
/* Prints {successful, conflicts, failed} or the sums; the exit code of UX.md (3 before 4). Frees. */
int fm_batch_end(struct fm_batch *batch, const char *what);

#endif
