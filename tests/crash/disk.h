/* A data file after a power cut: what was synced, and of the later writes what chance kept. The file lies in the store's
 * folder; each state is laid over it and taken off again, so that a state costs what it changes. */
#ifndef FM_TESTS_CRASH_DISK_H
#define FM_TESTS_CRASH_DISK_H

#include "tests/crash/record.h"

#define CRASH_SECTOR 512u

struct crash_disk {
    char dir[300], data[320], away[320];
    uint8_t *image; /* what is surely there */
    size_t size, cap;
    const struct crash_op **pending; /* writes since the last sync, in order */
    size_t pending_count, pending_cap;
    bool dir_there, dir_lasts, name_there, name_lasts, rebuild;
    struct crash_touched touched;
};
/* What of the pending writes is on the disk. */
enum crash_kept {
    CRASH_ALL,      /* all */
    CRASH_NONE,     /* none */
    CRASH_GROWN,    /* none, but the file has grown */
    CRASH_TORN,     /* all but the end of the last, from some sector on */
    CRASH_WRITES,   /* some */
    CRASH_SECTORS,  /* some of their sectors */
    CRASH_NAMELESS, /* all, but the file's name is not */
    CRASH_HOMELESS  /* all, but the folder is not */
};

void crash_disk_init(struct crash_disk *d, const char *dir);
void crash_disk_fini(struct crash_disk *d);
/* The next thing the store did. An O_DSYNC write stays pending until crash_disk_returned. */
void crash_disk_step(struct crash_disk *d, const struct crash_op *op);
void crash_disk_returned(struct crash_disk *d, const struct crash_op *op);
/* Lays a state on; random: drawn from, not 0. What is written in the folder from now on is noted. */
void crash_disk_lay(struct crash_disk *d, enum crash_kept kept, uint64_t *random);
/* Takes it off again, with all that was written since. */
void crash_disk_lift(struct crash_disk *d);

#endif
