#include "tests/support/worlds.h"

#include <assert.h>

#include "replication/pack.h"

json_t *fm_worlds_load(void)
{
    json_error_t error;
    json_t *worlds = json_load_file("tests/vectors/worlds.json", 0, &error);
    if (!worlds)
        fprintf(stderr, "tests/vectors/worlds.json, line %d: %s\n", error.line, error.text);
    assert(json_is_array(worlds));
    return worlds;
}

json_t *fm_world_ranks(const json_t *world)
{
    const json_t *rank = json_object_get(world, "rank");
    json_t *ranks = json_object();
    for (size_t i = 0; i < json_array_size(rank); i++)
        json_object_set_new(ranks, json_string_value(json_array_get(rank, i)), json_integer((json_int_t)i));
    return ranks;
}

void fm_world_version_id(struct fm_version_id *out, const json_t *ranks, const char *name)
{
    const json_t *rank = json_object_get(ranks, name);
    size_t len = strlen(name);
    memset(out, 0, sizeof(*out));
    fm_be_put(out->b, rank ? (uint64_t)json_integer_value(rank) : UINT32_MAX, 4);
    memcpy(out->b + 4, name, len < 20 ? len : 20);
}

void fm_world_record_id(struct fm_record_id *out, const char *name)
{
    size_t len = strlen(name);
    memset(out, 0, sizeof(*out));
    assert(len <= sizeof(out->b));
    memcpy(out->b, name, len);
}

static int text_order(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void pack(struct fm_pack *p, json_t *value)
{
    if (json_is_object(value)) {
        const char *keys[16], *key;
        json_t *inner;
        size_t count = 0;
        json_object_foreach(value, key, inner) {
            assert(count < 16);
            keys[count++] = key;
        }
        qsort(keys, count, sizeof(keys[0]), text_order);
        fm_pack_map(p, (uint32_t)count);
        for (size_t i = 0; i < count; i++) {
            fm_pack_cstr(p, keys[i]);
            pack(p, json_object_get(value, keys[i]));
        }
    } else if (json_is_string(value)) {
        fm_pack_cstr(p, json_string_value(value));
    } else {
        assert(json_is_integer(value));
        fm_pack_int(p, json_integer_value(value));
    }
}

void fm_world_document(struct fm_buf *out, json_t *document)
{
    struct fm_pack p;
    fm_pack_init(&p, out);
    pack(&p, document);
    assert(p.error == 0);
}

const char *fm_world_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

uint64_t fm_world_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert(json_is_integer(value) && json_integer_value(value) >= 0);
    return (uint64_t)json_integer_value(value);
}

uint64_t fm_world_time(const json_t *set)
{
    json_int_t time = json_integer_value(json_object_get(set, "time")) + 1000;
    assert(time > 0);
    return (uint64_t)time;
}

json_t *fm_world_roles(const json_t *world)
{
    json_t *roles = json_object(), *set, *change;
    size_t i, j;
    json_array_foreach(json_object_get(world, "sets"), i, set) {
        json_array_foreach(json_object_get(set, "changes"), j, change) {
            const char *grant = fm_world_text(change, "grant");
            const char *role = fm_world_text(change, "role");
            if (grant && role)
                json_object_set_new(roles, grant, json_integer(fm_role_from(fm_span_str(role))));
        }
    }
    return roles;
}

static bool id_is(const json_t *ranks, const struct fm_version_id *id, const json_t *name)
{
    struct fm_version_id want;
    fm_world_version_id(&want, ranks, json_string_value(name));
    return fm_id_eq(&want, id);
}

static bool named_among(const json_t *ranks, const struct fm_version_id *id, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (id_is(ranks, id, json_array_get(names, i)))
            return true;
    return false;
}

/* [version, state, class, by] */
static bool entry_agrees(const json_t *ranks, const struct fm_version *v, const json_t *entry)
{
    const json_t *by = json_array_get(entry, 3);
    return entry && id_is(ranks, &v->id, json_array_get(entry, 0)) &&
           strcmp(fm_place_name(v->place), json_string_value(json_array_get(entry, 1))) == 0 &&
           strcmp(fm_class_name(v->cls), json_string_value(json_array_get(entry, 2))) == 0 &&
           v->has_by == json_is_string(by) && (!v->has_by || id_is(ranks, &v->by, by));
}

bool fm_world_record_agrees(const json_t *ranks, const json_t *want, struct fm_version *const *order, size_t count,
                            char why[256])
{
    const json_t *names = json_object_get(want, "order"), *entries = json_object_get(want, "entries");
    const char *record = fm_world_text(want, "rec");
    size_t entry = 0;
    if (count != json_array_size(names) || count == 0) {
        snprintf(why, 256, "record %s has %zu counted versions", record, count);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct fm_version *v = order[i];
        const char *name = json_string_value(json_array_get(names, i));
        bool line = v->place == FM_PLACE_WINNER || v->place == FM_PLACE_LINE;
        bool same = id_is(ranks, &v->id, json_array_get(names, i)) && (v->place == FM_PLACE_WINNER) == (i == 0) &&
                    (v->place != FM_PLACE_OPEN || named_among(ranks, &v->id, json_object_get(want, "losers")));
        if (same && i == 0)
            same = id_is(ranks, &v->id, json_object_get(want, "winner"));
        if (same)
            same = line ? v->cls == FM_CLASS_NONE && !v->has_by : entry_agrees(ranks, v, json_array_get(entries, entry++));
        if (!same) {
            snprintf(why, 256, "record %s, place %zu (%s): %s %s", record, i, name, fm_place_name(v->place),
                     fm_class_name(v->cls));
            return false;
        }
    }
    if (entry != json_array_size(entries)) {
        snprintf(why, 256, "record %s has %zu entries", record, entry);
        return false;
    }
    return true;
}
