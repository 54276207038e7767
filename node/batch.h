/* Many changes on their way to the node: batches, results, progress. For put and import. */
#ifndef FM_NODE_BATCH_H
#define FM_NODE_BATCH_H

#include "node/cmd.h"
#include "node/progress.h"

#define FM_BATCH_SIZE 256 /* changes a request: one set, one commit */

struct fm_batch {
    struct fm_cmd *cmd;
    const char *as;
    json_t *changes;                         /* not sent yet */
    json_t *successful, *conflicts, *failed; /* results, kept for --json and for the sum */
    size_t success_count, conflict_count, failed_count, unchanged_count;
    size_t total;                            /* expected; 0: not known */
    struct fm_progress progress;
};
void fm_batch_init(struct fm_batch *batch, struct fm_cmd *cmd, const char *as, size_t total);
int fm_batch_add(struct fm_batch *batch, json_t *change); /* steals; sends a full batch. 0 or an exit code that was said */
int fm_batch_send(struct fm_batch *batch);
/* Prints {successful, conflicts, failed} or the sums; the exit code of UX.md (3 before 4). Frees. */
int fm_batch_end(struct fm_batch *batch, const char *what);

#endif
