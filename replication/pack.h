/* Writes canonical msgpack with msgpack-c's packer into a caller's buffer. The error is sticky: check once at the end. */
#ifndef FM_REPLICATION_PACK_H
#define FM_REPLICATION_PACK_H

#include "replication/types.h"

struct fm_pack {
    struct fm_buf *buf; /* borrowed */
    int error;          /* 0, FM_ENOMEM, FM_ELIMIT */
};

void fm_pack_init(struct fm_pack *p, struct fm_buf *buf);
void fm_pack_array(struct fm_pack *p, uint32_t count);
void fm_pack_map(struct fm_pack *p, uint32_t count);
void fm_pack_uint(struct fm_pack *p, uint64_t value);
void fm_pack_int(struct fm_pack *p, int64_t value);
void fm_pack_double(struct fm_pack *p, double value); /* an integral value in range is written as an integer; -0 as 0 */
void fm_pack_bool(struct fm_pack *p, bool value);
void fm_pack_nil(struct fm_pack *p);
void fm_pack_bin(struct fm_pack *p, const void *data, size_t len);
void fm_pack_str(struct fm_pack *p, struct fm_span text);
void fm_pack_cstr(struct fm_pack *p, const char *text);
void fm_pack_raw(struct fm_pack *p, struct fm_span packed); /* msgpack that is packed already */

#endif
