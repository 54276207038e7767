/* Record ids in text: UUIDs (RFC 9562), lower case out, any case in (rule 9). */
#ifndef FM_REPLICATION_UUID_H
#define FM_REPLICATION_UUID_H

#include "replication/ports.h"

void fm_uuid_text(char out[37], const struct fm_record_id *id);
int fm_uuid_parse(struct fm_record_id *out, struct fm_span text); /* 0 or FM_EFORMAT */
/* UUIDv7 of a time and 10 fresh random bytes. */
void fm_uuid_v7(struct fm_record_id *out, uint64_t now_ms, const uint8_t random[10]);
/* UUIDv8 of BLAKE2b-128 over (domain, mesh id, kind, text): two nodes that get the same upload make the same record. */
void fm_uuid_v8(struct fm_record_id *out, const struct fm_crypto *c, const struct fm_mesh_id *mesh, uint8_t kind,
                struct fm_span text);

#endif
