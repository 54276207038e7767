/* Small files of the key folder: 8 bytes that say what it is, the content, 16 bytes of BLAKE2b over both. Mode 0600. */
#ifndef FM_NODE_KEYFILE_H
#define FM_NODE_KEYFILE_H

#include "node/identity.h"

#define FM_KEYFILE_SEED "fmseed1\n"    /* device.seed: 32 bytes */
#define FM_KEYFILE_ROOT "fmroot1\n"    /* root.seed: 32 bytes */
#define FM_KEYFILE_TIP "fmtip01\n"     /* root.tip: sequence 8, set id 32, hybrid time 8, the last set's bytes */
#define FM_KEYFILE_MESH "fmmesh1\n"    /* mesh: mesh id 32, root public key 32, grant id 32 */
#define FM_KEYFILE_COUNTER "fmopen1\n" /* open-counter: 8 bytes, the highest bit: begun */

/* create: never replaces. 0, FM_EEXISTS and the errors of fm_file_write. */
int fm_keyfile_write(const struct fm_paths *paths, const char *name, const char *magic, struct fm_span content, bool create);
/* Exactly len bytes of content. 0, FM_ENOTFOUND, FM_EKEY (damaged, or of another kind), FM_EIO. */
int fm_keyfile_read(const struct fm_paths *paths, const char *name, const char *magic, uint8_t *content, size_t len);
/* min to max bytes of content, appended. */
int fm_keyfile_read_some(const struct fm_paths *paths, const char *name, const char *magic, struct fm_buf *out, size_t min,
                         size_t max);

#endif
