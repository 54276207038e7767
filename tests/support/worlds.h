/* The model's random worlds (tests/vectors/worlds.json), read for C: names of the file become ids, documents msgpack. */
#ifndef FM_TESTS_WORLDS_H
#define FM_TESTS_WORLDS_H

#include <jansson.h>

#include "replication/row.h"

/* Run from the top of the tree. Asserts if the file cannot be read. Freed with json_decref. */
json_t *fm_worlds_load(void);
/* name -> place in the world's order of version ids. Freed with json_decref. */
json_t *fm_world_ranks(const json_t *world);
/* 24 bytes with the rank in front; a version that no set of the world shows comes behind all others. */
void fm_world_version_id(struct fm_version_id *out, const json_t *ranks, const char *name);
void fm_world_record_id(struct fm_record_id *out, const char *name);
/* Appends a canonical document. */
void fm_world_document(struct fm_buf *out, json_t *document);
const char *fm_world_text(const json_t *object, const char *key); /* NULL if null or none */
uint64_t fm_world_number(const json_t *object, const char *key);
/* A set's time, moved so that none is below 0 (some worlds have a set that is void by a time below 0). */
uint64_t fm_world_time(const json_t *set);
/* grant id -> role (enum fm_role), from all sets of the world. Freed with json_decref. */
json_t *fm_world_roles(const json_t *world);
/* Is this, the counted versions in key order, the record that the model wants: its order, and each one's place, class and
 * `by`? False: what differs is in why. */
bool fm_world_record_agrees(const json_t *ranks, const json_t *want, struct fm_version *const *order, size_t count,
                            char why[256]);

#endif
