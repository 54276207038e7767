/* What a store asks of the disk, call by call. The program's own write, fsync and open stand before the C library's: LMDB's
 * calls land here too. Off, they are plain system calls. One file is watched: DIR/data.mdb. */
#ifndef FM_TESTS_CRASH_RECORD_H
#define FM_TESTS_CRASH_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum crash_op_kind {
    CRASH_WRITE,       /* offset, bytes; lasting: through an O_DSYNC descriptor, on the disk when the call returns */
    CRASH_SYNC,        /* of the data file */
    CRASH_NAME,        /* the data file got its name */
    CRASH_DIR,         /* its folder was made */
    CRASH_NAME_SYNC,   /* the folder was synced */
    CRASH_DIR_SYNC,    /* the folder's parent was synced */
    CRASH_ACKNOWLEDGED /* the store said of a commit: done */
};
struct crash_op {
    enum crash_op_kind kind;
    bool lasting;
    size_t offset, len;
    uint8_t *bytes;
};
struct crash_ops {
    struct crash_op *at;
    size_t count, cap;
};
/* Records what happens to dir's data file, until the stop. ops is owned by the caller. */
void crash_record_start(struct crash_ops *ops, const char *dir);
void crash_record_acknowledged(void);
void crash_record_stop(void);
void crash_record_free(struct crash_ops *ops);

/* Notes only where the data file was written, for the way back; at most CRASH_TOUCHED_MAX places (then: everywhere). */
#define CRASH_TOUCHED_MAX 1024
struct crash_touched {
    size_t count;
    struct {
        size_t offset, len;
    } at[CRASH_TOUCHED_MAX];
};
void crash_record_touched(struct crash_touched *touched, const char *dir); /* NULL: stop */

#endif
