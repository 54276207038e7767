#include "node/map.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/json.h"
#include "replication/bounds.h"
#include "replication/error.h"

struct row {
    const json_t *map;
    const struct fm_csv *csv;
    const struct fm_crypto *crypto;
    const struct fm_mesh_id *mesh;
    char *why;
    size_t why_len;
};

size_t fm_map_count(const json_t *map)
{
    return json_array_size(json_object_get(map, "records"));
}

const char *fm_map_type(const json_t *map, size_t i)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(map, "records"), i), "type"));
}

/* The hash of the key columns' cells, in hex: 32 characters. */
static void key_text(const struct row *row, char out[33])
{
    struct fm_span parts[2 * 64];
    size_t i, count = 0;
    json_t *column;
    uint8_t hash[16];
    json_array_foreach(json_object_get(row->map, "key"), i, column)
    {
        const char *cell = fm_csv_cell(row->csv, json_string_value(column));
        if (cell != NULL && count + 2 <= 128) {
            parts[count++] = fm_span_str(cell);
            parts[count++] = fm_span("\x1f", 1);
        }
    }
    row->crypto->hash(row->crypto->ctx, hash, sizeof hash, parts, count);
    fm_hex_text(out, hash, sizeof hash);
}

static bool offline_id(const struct row *row, const json_t *record, char out[FM_OFFLINE_ID_BYTES_MAX + 1])
{
    const char *form = json_string_value(json_object_get(record, "offlineId")),
               *at = form != NULL ? strstr(form, "{key}") : NULL;
    char key[33];
    if (at == NULL || strlen(form) - 5 + 32 > FM_OFFLINE_ID_BYTES_MAX)
        return false;
    key_text(row, key);
    snprintf(out, FM_OFFLINE_ID_BYTES_MAX + 1, "%.*s%s%s", (int)(at - form), form, key, at + 5);
    return true;
}

static json_t *number_of(const char *cell, bool whole)
{
    char *end;
    errno = 0;
    if (whole) {
        long long n = strtoll(cell, &end, 10);
        return *cell != '\0' && *end == '\0' && errno == 0 ? json_integer(n) : NULL;
    }
    double x = strtod(cell, &end);
    return *cell != '\0' && *end == '\0' && isfinite(x) ? json_real(x) : NULL;
}

/* "2025-03-24" or a whole ISO time -> ISO 8601 UTC. */
static json_t *date_of(const char *cell)
{
    char text[64];
    uint64_t ms;
    snprintf(text, sizeof text, strlen(cell) == 10 ? "%sT00:00:00.000Z" : "%s", cell);
    if (strlen(cell) > 40 || fm_iso_parse(&ms, fm_span_str(text)) != FM_OK)
        return NULL;
    fm_iso_text(text, ms);
    return json_string(text);
}

static json_t *cell_value(const struct row *row, const json_t *field, const char *column)
{
    const char *cell = fm_csv_cell(row->csv, column), *as = json_string_value(json_object_get(field, "as"));
    const json_t *values = json_object_get(field, "values"), *other = json_object_get(field, "else");
    json_t *out = NULL;
    if (cell != NULL && json_object_get(values, cell) != NULL)
        return json_deep_copy(json_object_get(values, cell));
    if (other != NULL)
        return json_deep_copy(other);
    if (cell == NULL || values != NULL || (cell[0] == '\0' && json_is_true(json_object_get(field, "optional"))))
        return cell != NULL && cell[0] == '\0' ? json_null() : NULL;
    if (as == NULL || strcmp(as, "text") == 0)
        out = json_string(cell);
    else if (strcmp(as, "integer") == 0 || strcmp(as, "number") == 0)
        out = number_of(cell, as[0] == 'i');
    else if (strcmp(as, "date") == 0)
        out = date_of(cell);
    else if (strcmp(as, "boolean") == 0)
        out = strcmp(cell, "true") == 0 || strcmp(cell, "yes") == 0 || strcmp(cell, "1") == 0   ? json_true()
              : strcmp(cell, "false") == 0 || strcmp(cell, "no") == 0 || strcmp(cell, "0") == 0 ? json_false()
                                                                                                : NULL;
    return out;
}

static json_t *sum_of(const struct row *row, const json_t *columns)
{
    json_int_t sum = 0;
    size_t i;
    json_t *column;
    json_array_foreach(columns, i, column)
    {
        const char *cell = fm_csv_cell(row->csv, json_string_value(column));
        json_t *n = cell == NULL ? NULL : cell[0] == '\0' ? json_integer(0) : number_of(cell, true);
        bool fits = n != NULL && !__builtin_add_overflow(sum, json_integer_value(n), &sum);
        json_decref(n);
        if (!fits)
            return NULL;
    }
    return json_is_array(columns) ? json_integer(sum) : NULL;
}

static json_t *id_of(const struct row *row, const char *type)
{
    for (size_t i = 0; i < fm_map_count(row->map); i++) {
        const json_t *record = json_array_get(json_object_get(row->map, "records"), i);
        char text[FM_OFFLINE_ID_BYTES_MAX + 1], uuid[37];
        struct fm_record_id id;
        if (type == NULL || strcmp(fm_map_type(row->map, i), type) != 0 || !offline_id(row, record, text))
            continue;
        fm_uuid_v8(&id, row->crypto, row->mesh, (uint8_t)fm_kind_from(fm_span_str(type)), fm_span_str(text));
        fm_uuid_text(uuid, &id);
        return json_string(uuid);
    }
    return NULL;
}

static bool is_field(const json_t *spec)
{
    return json_object_get(spec, "column") != NULL || json_object_get(spec, "value") != NULL ||
           json_object_get(spec, "sum") != NULL || json_object_get(spec, "idOf") != NULL;
}

static json_t *fields(const struct row *row, const json_t *specs, int depth)
{
    json_t *out = json_object(), *spec;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)specs, name, spec)
    {
        const char *column = json_string_value(json_object_get(spec, "column"));
        json_t *value;
        if (!is_field(spec))
            value = json_is_object(spec) && depth < 8 ? fields(row, spec, depth + 1) : NULL;
        else if (column != NULL)
            value = cell_value(row, spec, column);
        else if (json_object_get(spec, "value") != NULL)
            value = json_deep_copy(json_object_get(spec, "value"));
        else if (json_object_get(spec, "sum") != NULL)
            value = sum_of(row, json_object_get(spec, "sum"));
        else
            value = id_of(row, json_string_value(json_object_get(spec, "idOf")));
        if (value == NULL) {
            if (row->why[0] == '\0')
                snprintf(row->why, row->why_len,
                         "line %zu: %s: column %s does not give a value of the form asked for (\"%.40s\")", row->csv->line,
                         name, column != NULL ? column : "-",
                         column != NULL && fm_csv_cell(row->csv, column) != NULL ? fm_csv_cell(row->csv, column) : "");
            json_decref(out);
            return NULL;
        }
        if (json_is_null(value))
            json_decref(value);
        else
            json_object_set_new(out, name, value);
    }
    return out;
}

json_t *fm_map_record(const json_t *map, size_t i, const struct fm_csv *csv, const struct fm_crypto *crypto,
                      const struct fm_mesh_id *mesh, char *why, size_t why_len)
{
    struct row row = {map, csv, crypto, mesh, why, why_len};
    const json_t *record = json_array_get(json_object_get(map, "records"), i);
    char id[FM_OFFLINE_ID_BYTES_MAX + 1];
    why[0] = '\0';
    if (!offline_id(&row, record, id)) {
        snprintf(why, why_len, "offlineId: want a text with {key} in it, 64 bytes at most when filled in");
        return NULL;
    }
    json_t *data = fields(&row, json_object_get(record, "data"), 0);
    return data == NULL ? NULL : json_pack("{s:s, s:s, s:o}", "type", fm_map_type(map, i), "offlineId", id, "data", data);
}

/* NULL: the table has this column. Else what to call it: a map may name one by something that is no text. */
static const char *missing_one(const json_t *column, const struct fm_csv *table)
{
    const char *name = json_string_value(column);
    for (size_t k = 0; name != NULL && k < table->column_count; k++)
        if (strcmp(table->names[k], name) == 0)
            return NULL;
    return name != NULL ? name : "(no text)";
}

static const char *missing_column(const json_t *specs, const struct fm_csv *table, int depth)
{
    const char *name, *missing;
    json_t *spec, *column;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)specs, name, spec)
    {
        const json_t *one = json_object_get(spec, "column");
        if (one != NULL && (missing = missing_one(one, table)) != NULL)
            return missing;
        json_array_foreach(json_object_get(spec, "sum"), i, column)
        {
            if ((missing = missing_one(column, table)) != NULL)
                return missing;
        }
        missing = !is_field(spec) && json_is_object(spec) && depth < 8 ? missing_column(spec, table, depth + 1) : NULL;
        if (missing != NULL)
            return missing;
    }
    return NULL;
}

int fm_map_check(const json_t *map, const struct fm_csv *table, char *why, size_t why_len)
{
    const json_t *key = json_object_get(map, "key");
    if (json_array_size(key) == 0 || json_array_size(key) > 64 || fm_map_count(map) == 0) {
        snprintf(why, why_len, "a map has a list of key columns and a list of records");
        return FM_EFORMAT;
    }
    for (size_t i = 0; i < fm_map_count(map); i++) {
        const json_t *record = json_array_get(json_object_get(map, "records"), i);
        const char *type = fm_map_type(map, i);
        const char *column = missing_column(json_object_get(record, "data"), table, 0);
        if (type == NULL || fm_kind_from(fm_span_str(type)) == 0 || !json_is_object(json_object_get(record, "data"))) {
            snprintf(why, why_len, "records[%zu]: want a type and data", i);
            return FM_EFORMAT;
        }
        if (column != NULL) {
            snprintf(why, why_len, "records[%zu]: the table has no column '%.60s'", i, column);
            return FM_EFORMAT;
        }
    }
    for (size_t i = 0; i < json_array_size(key); i++) {
        const char *column = missing_one(json_array_get(key, i), table);
        if (column != NULL) {
            snprintf(why, why_len, "key: the table has no column '%.60s'", column);
            return FM_EFORMAT;
        }
    }
    return FM_OK;
}
