/* import csv: a table becomes records; again changes nothing, an edited row becomes an update. */
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "node/batch.h"
#include "node/cmd.h"
#include "node/csv.h"
#include "node/identity.h"
#include "node/json.h"
#include "node/map.h"
#include "replication/error.h"

struct import {
    struct fm_cmd *cmd;
    const char *file;
    json_t *map;
    struct fm_csv csv;
    struct fm_crypto crypto;
    struct fm_mesh_id mesh;
    struct fm_batch batch;
    json_t *rows; /* records read, not compared with the store yet */
    size_t created, updated;
};

static int say_at(const struct import *im, const char *why)
{
    char what[FM_PATH_MAX + 300];
    snprintf(what, sizeof what, "%s: %s", im->file, why);
    return fm_say_error(im->cmd, "import", what, "batches before it were stored; importing again changes nothing twice",
                        "mend the table or the map");
}

/* Only the fields the table gives are compared: what people added in the field stays. */
static bool differs(const json_t *stored, const json_t *data)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)data, key, value)
    {
        const json_t *old = json_object_get(stored, key);
        if (json_is_object(value) && json_is_object(old) ? differs(old, value) : old == NULL || !json_equal(old, value))
            return true;
    }
    return false;
}

/* As it would come back from the store: 12.0 and 12 are one number there. */
static json_t *canonical(const json_t *data, char *why, size_t why_len)
{
    struct fm_buf doc;
    fm_buf_init(&doc, FM_CHANGE_BYTES_MAX);
    json_t *out = fm_json_to_doc(&doc, data, why, why_len) == FM_OK ? fm_json_from_doc(fm_buf_span(&doc)) : NULL;
    fm_buf_fini(&doc);
    return out;
}

/* Maps nested in the stored document keep what the table does not say. */
static json_t *merged(const json_t *stored, const json_t *data)
{
    json_t *out = json_deep_copy(data), *value, *whole;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)data, key, value)
    {
        const json_t *old = json_object_get(stored, key);
        if (json_is_object(value) && json_is_object(old) && (whole = json_deep_copy(old)) != NULL) {
            json_object_update(whole, value);
            json_object_set_new(out, key, whole);
        }
    }
    return out;
}

static int add_change(struct import *im, const json_t *row, const json_t *stored)
{
    const json_t *data = json_object_get(row, "data"), *document = json_object_get(stored, "document");
    char why[200] = "";
    if (json_is_object(document) && !json_is_true(json_object_get(stored, "deleted"))) {
        json_t *form = canonical(data, why, sizeof why);
        bool edited = form == NULL || differs(document, form);
        json_decref(form);
        if (!edited) {
            im->batch.unchanged_count++;
            return FM_EXIT_DONE;
        }
        im->updated++;
        if (fm_cmd_has(im->cmd, "dry-run"))
            return FM_EXIT_DONE;
        return fm_batch_add(&im->batch,
                            json_pack("{s:O, s:s, s:O, s:I, s:O, s:o}", "type", json_object_get(row, "type"), "action",
                                      "update", "offlineId", json_object_get(row, "offlineId"), "versionNumber",
                                      json_integer_value(json_object_get(stored, "versionNumber")) + 1, "baseVersionId",
                                      json_object_get(stored, "versionId"), "data", merged(document, data)));
    }
    if (json_is_object(document)) { /* deleted: an import does not bring it back */
        im->batch.unchanged_count++;
        return FM_EXIT_DONE;
    }
    im->created++;
    if (fm_cmd_has(im->cmd, "dry-run"))
        return FM_EXIT_DONE;
    return fm_batch_add(&im->batch,
                        json_pack("{s:O, s:s, s:O, s:i, s:O}", "type", json_object_get(row, "type"), "action", "create",
                                  "offlineId", json_object_get(row, "offlineId"), "versionNumber", 1, "data", data));
}

/* Compares what was read with the store, and submits what is new or edited. */
static int flush(struct import *im)
{
    json_t *of = json_array(), *answer, *row;
    size_t i;
    json_array_foreach(im->rows, i, row) json_array_append_new(
        of, json_pack("{s:O, s:O}", "type", json_object_get(row, "type"), "offlineId", json_object_get(row, "offlineId")));
    int code = fm_cmd_call(im->cmd, json_pack("{s:s, s:o}", "op", "lookup", "of", of), &answer);
    if (code != FM_EXIT_DONE)
        return code;
    json_array_foreach(im->rows, i, row)
    {
        if (code == FM_EXIT_DONE)
            code = add_change(im, row, json_array_get(json_object_get(answer, "records"), i));
    }
    json_decref(answer);
    json_array_clear(im->rows);
    return code == FM_EXIT_DONE ? fm_batch_send(&im->batch) : code;
}

/* --where COLUMN=VALUE, all of them. */
static bool wanted(const struct import *im)
{
    const char *where;
    for (size_t i = 0; (where = fm_cmd_value(im->cmd, "where", i)) != NULL; i++) {
        char column[128];
        const char *equals = strchr(where, '=');
        if (equals == NULL || (size_t)(equals - where) >= sizeof column)
            return false;
        snprintf(column, sizeof column, "%.*s", (int)(equals - where), where);
        const char *cell = fm_csv_cell(&im->csv, column);
        if (cell == NULL || strcmp(cell, equals + 1) != 0)
            return false;
    }
    return true;
}

static int read_rows(struct import *im)
{
    const char *only = fm_cmd_value(im->cmd, "only", 0);
    char why[300];
    int code = FM_EXIT_DONE, rc;
    while (code == FM_EXIT_DONE && (rc = fm_csv_next(&im->csv)) != FM_ENOTFOUND) {
        if (rc != FM_OK) {
            snprintf(why, sizeof why, "line %zu: %s", im->csv.line,
                     rc == FM_EFORMAT ? "another number of cells than the header has, or a quote left open"
                                      : fm_error_text(rc));
            return say_at(im, why);
        }
        for (size_t i = 0; code == FM_EXIT_DONE && wanted(im) && i < fm_map_count(im->map); i++) {
            if (only != NULL && strcmp(only, fm_map_type(im->map, i)) != 0)
                continue;
            json_t *record = fm_map_record(im->map, i, &im->csv, &im->crypto, &im->mesh, why, sizeof why);
            if (record == NULL)
                return say_at(im, why);
            json_array_append_new(im->rows, record);
        }
        if (json_array_size(im->rows) >= FM_BATCH_SIZE)
            code = flush(im);
    }
    return code == FM_EXIT_DONE ? flush(im) : code;
}

static int read_mesh(struct import *im)
{
    json_t *answer;
    int code = fm_cmd_call(im->cmd, json_pack("{s:s}", "op", "status"), &answer);
    if (code != FM_EXIT_DONE)
        return code;
    const char *mesh = json_string_value(json_object_get(answer, "mesh"));
    if (mesh == NULL || fm_hex_parse(im->mesh.b, sizeof im->mesh.b, fm_span_str(mesh)) != FM_OK)
        code = fm_say_error(im->cmd, "not-joined", "this node has no grant yet; nothing was stored", NULL,
                            "fieldmesh join --request FILE");
    json_decref(answer);
    return code;
}

static json_t *read_map(struct import *im, const char *file)
{
    char why[300], what[FM_PATH_MAX + 320];
    struct fm_buf text;
    fm_buf_init(&text, 1 << 20);
    int rc = fm_file_read(file, &text, 1 << 20);
    json_t *map = rc == FM_OK ? fm_json_parse(fm_buf_span(&text), why, sizeof why) : NULL;
    fm_buf_fini(&text);
    if (rc != FM_OK)
        snprintf(why, sizeof why, "%s", fm_error_text(rc));
    if (map != NULL && fm_map_check(map, &im->csv, why, sizeof why) != FM_OK) {
        json_decref(map);
        map = NULL;
    }
    if (map == NULL) {
        snprintf(what, sizeof what, "%s: %s", file, why);
        fm_say_error(im->cmd, "import", what, NULL, "docs/IMPORT.md has the form of a map, with an example");
    }
    return map;
}

int fm_cmd_import(struct fm_cmd *cmd)
{
    const char *map = fm_cmd_value(cmd, "map", 0);
    if (cmd->arg_count != 1 || map == NULL)
        return fm_say_error(cmd, "usage", "import csv wants a file and a map", NULL,
                            "fieldmesh import csv sites.csv --map sites.map.json");
    struct import im = {.cmd = cmd, .file = cmd->args[0], .rows = json_array()};
    FILE *in = fopen(im.file, "rb");
    if (in == NULL) {
        char what[FM_PATH_MAX];
        json_decref(im.rows);
        snprintf(what, sizeof what, "%s: cannot be opened", im.file);
        return fm_say_error(cmd, "not-found", what, NULL, "check the name");
    }
    fm_crypto_port(&im.crypto, NULL);
    int code = fm_csv_open(&im.csv, in) != FM_OK ? say_at(&im, "the first line does not name the columns, each once")
                                                 : read_mesh(&im);
    if (code == FM_EXIT_DONE && (im.map = read_map(&im, map)) == NULL)
        code = FM_EXIT_FAILED;
    if (code == FM_EXIT_DONE) {
        fm_batch_init(&im.batch, cmd, fm_cmd_value(cmd, "as", 0), 0);
        code = read_rows(&im);
        if (fm_cmd_has(cmd, "dry-run"))
            fm_say_talk(cmd, "Would create %zu and update %zu records. Nothing written.\n", im.created, im.updated);
        int said = fm_batch_end(&im.batch, "import");
        code = code != FM_EXIT_DONE ? code : said;
    }
    json_decref(im.map);
    json_decref(im.rows);
    fm_csv_close(&im.csv);
    fclose(in);
    return code;
}
