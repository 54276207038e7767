/* Frames of the control socket, both sides. */
#ifndef FM_NODE_CONTROL_FRAME_H
#define FM_NODE_CONTROL_FRAME_H

#include <jansson.h>

#include "replication/types.h"

#define FM_CONTROL_HEAD_BYTES 4u
/* The first frame of bytes: 0 and its text (may be NULL); FM_ENOTFOUND: not all there yet; FM_ELIMIT: past the bound. */
int fm_control_frame(struct fm_span bytes, struct fm_span *text);
/* Appends a frame with this value. 0, FM_ELIMIT (nothing is added), FM_ENOMEM. */
int fm_control_frame_add(struct fm_buf *out, const json_t *value);

#endif
