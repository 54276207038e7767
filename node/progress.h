/* Long work shows how far it is: a bar on a terminal, a line each 10 s elsewhere, JSON lines with --json (UX.md). */
#ifndef FM_NODE_PROGRESS_H
#define FM_NODE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fm_cmd;
struct fm_progress {
    const struct fm_cmd *cmd;
    char name[64];
    uint64_t started_ms, shown_ms;
    bool drawn, terminal;
};
void fm_progress_init(struct fm_progress *p, const struct fm_cmd *cmd, const char *name);
void fm_progress_at(struct fm_progress *p, uint64_t done, uint64_t total); /* total 0: not known */
void fm_progress_end(struct fm_progress *p);
uint64_t fm_steady_ms(void);

#endif
