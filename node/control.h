/* The local control socket: a UNIX stream at paths.socket (0600, same user only); a frame is 4 bytes of length, big-endian,
 * and JSON text. Requests of one client are answered in their order; it may send several at once. */
#ifndef FM_NODE_CONTROL_H
#define FM_NODE_CONTROL_H

#include <jansson.h>
#include <poll.h>

#include "node/config.h"

/* --- the running node's side --- */
struct fm_control;
/* Binds and listens; a socket file that nobody answers at is removed. 0, FM_EBUSY (a node answers there), FM_EIO, FM_ENOMEM,
 * FM_ELIMIT (the path is too long). */
int fm_control_open(struct fm_control **out, const struct fm_paths *paths);
void fm_control_close(struct fm_control *c); /* removes the socket file */
/* Fills fds (room for FM_CONTROL_CLIENTS_MAX + 1) with what to poll for; how many. */
size_t fm_control_poll(const struct fm_control *c, struct pollfd *fds);
/* Accepts, reads, writes: whatever is possible now. */
void fm_control_serve(struct fm_control *c);
/* The next whole request, or NULL; one that is no JSON is answered here. A client gets its next one only after the answer.
 * *client names it for the answer. The request is the caller's. */
json_t *fm_control_next(struct fm_control *c, uint32_t *client);
bool fm_control_ready(const struct fm_control *c); /* fm_control_next would find one */
/* The text is made at once; answer stays the caller's. A client that has gone is no error. */
void fm_control_answer(struct fm_control *c, uint32_t client, const json_t *answer);
bool fm_control_waiting(const struct fm_control *c); /* answers are not all written */

/* --- a command's side --- */
/* A connected descriptor, or FM_ENOTFOUND: no node runs here (or FM_ELIMIT: the path is too long). */
int fm_control_connect(const struct fm_paths *paths);
/* 0; FM_EIO: the node went away before it answered; FM_EFORMAT; FM_ELIMIT (the request is too large); FM_ENOMEM. */
int fm_control_call(int fd, const json_t *request, json_t **answer);
/* Its two halves: a second request may be on its way before the first is answered; answers come in order. */
int fm_control_ask(int fd, const json_t *request);
int fm_control_hear(int fd, json_t **answer);

#endif
