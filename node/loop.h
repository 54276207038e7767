/* The running node: the loop of the core process, and what operations may ask of it. */
#ifndef FM_NODE_LOOP_H
#define FM_NODE_LOOP_H

#include <jansson.h>

#include "node/node.h"

struct fm_runtime;

/* `fieldmesh run`: forks the net process, then serves until a signal. Returns an exit code (UX.md). */
int fm_run(const struct fm_paths *paths, bool json, bool quiet);

/* For operations. sync: asks for a contact with one peer (name or fingerprint) or, NULL, with all configured: connects
 * where no connection is, opens a new round where one is in step. 0, FM_ENOTFOUND (no such peer configured or connected). */
int fm_runtime_sync(struct fm_runtime *rt, const char *peer);
/* A peer for now, "NODE@ADDR:PORT": dialled at once and again until fm_runtime_disconnect or the node stops. 0, FM_EFORMAT
 * (no such form), FM_ENOTFOUND (NODE is no member known here), FM_ELIMIT. */
int fm_runtime_connect(struct fm_runtime *rt, const char *peer);
/* Closes the connections with this node (name or fingerprint) and forgets a peer for now; a configured one is not dialled
 * again before the next fm_runtime_sync. 0 or FM_ENOTFOUND. */
int fm_runtime_disconnect(struct fm_runtime *rt, const char *node);
/* Appends one object a configured or connected peer: name, role, fingerprint, phase, address, connected, seenMs, progress
 * (fm_peer_info), lastError. And the counts of refused peers by reason. */
void fm_runtime_peers(struct fm_runtime *rt, json_t *list, json_t *refused);
/* Addresses really bound: {"nodes": "tcp://…", "http": …}; net's pid, restarts and memory. */
void fm_runtime_status(struct fm_runtime *rt, json_t *object);
void fm_runtime_stop(struct fm_runtime *rt);

#endif
