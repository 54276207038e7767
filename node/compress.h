/* zstd behind the crypto port's compress and decompress. */
#ifndef FM_NODE_COMPRESS_H
#define FM_NODE_COMPRESS_H
#include "replication/ports.h"
/* Fills compress and decompress of *port; contexts are made on first use and kept for the process. */
void fm_compress_port(struct fm_crypto *port);
#endif
