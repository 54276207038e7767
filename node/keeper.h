/* Forks net processes for the core, from a process that never held a secret, a store or a socket: forked first, it makes
 * each new net process as clean as the first (a fork of the core would copy the author key and the open store). */
#ifndef FM_NODE_KEEPER_H
#define FM_NODE_KEEPER_H

#include <sys/types.h>

struct fm_keeper {
    int fd;
    pid_t pid;
};
/* Before anything else is opened. life is the whole of a net process: fm_net_main. 0 or FM_EIO. */
int fm_keeper_start(struct fm_keeper *k, void (*life)(int link_fd));
/* Ends the older net process, if there is one, and starts the next: our end of its link, and its pid. died: the wait
 * status of the older one, 0 at first. 0 or FM_EIO (the keeper is gone, or no process can be made). */
int fm_keeper_spawn(struct fm_keeper *k, int *link_fd, pid_t *pid, int *died);
void fm_keeper_stop(struct fm_keeper *k); /* ends both */

#endif
