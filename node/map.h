/* How a row of a table becomes records: a JSON map (docs/IMPORT.md).
 *   {"key": [columns], "records": [{"type", "offlineId": "site-{key}", "data": {field: FIELD or {nested}}}]}
 *   FIELD  {"column": C, "as": "text|integer|number|date|boolean", "values": {cell: value}, "else": value, "optional": true}
 *          {"value": anything}   {"sum": [columns]}   {"idOf": "entity"} (the id of this row's record of that type)
 * {key} is the hash of the key columns' cells: the same row always makes the same offlineId. */
#ifndef FM_NODE_MAP_H
#define FM_NODE_MAP_H

#include <jansson.h>

#include "node/csv.h"
#include "replication/ports.h"

/* One record of the row, as {type, offlineId, data}: new reference. NULL: why says what is wrong in which column.
 * mesh and crypto derive ids as rule 9 does. */
json_t *fm_map_record(const json_t *map, size_t i, const struct fm_csv *row, const struct fm_crypto *crypto,
                      const struct fm_mesh_id *mesh, char *why, size_t why_len);
size_t fm_map_count(const json_t *map);
const char *fm_map_type(const json_t *map, size_t i);
/* 0, or why: the map's own form, and that its columns are in the table. */
int fm_map_check(const json_t *map, const struct fm_csv *table, char *why, size_t why_len);

#endif
