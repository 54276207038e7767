/* join, admit, devices, revoke, people: who takes part. */
#include <stdlib.h>
#include <string.h>

#include "node/cmd.h"
#include "node/identity.h"
#include "node/json.h"
#include "replication/error.h"

static int write_request(struct fm_cmd *cmd, const char *file)
{
    struct fm_identity id;
    struct fm_config config;
    char why[200];
    int rc = fm_identity_load(&id, &cmd->paths);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "join", rc);
    rc = fm_config_read(&config, cmd->paths.config, why, sizeof why);
    if (rc != FM_OK) {
        fm_identity_wipe(&id);
        return fm_say_error(cmd, "config-value", why, NULL, "edit that line");
    }
    struct fm_request request = {.author = id.device.author_public,
                                 .transport = id.device.transport_public,
                                 .box = id.device.box_public,
                                 .role = (uint8_t)fm_role_from(fm_span_str(config.role))};
    snprintf(request.name, sizeof request.name, "%s", config.name);
    rc = fm_request_write(file, &request, &id.device);
    char print[FM_FINGERPRINT_CHARS];
    fm_fingerprint(print, &id.device.author_public);
    fm_identity_wipe(&id);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, file, rc);
    if (cmd->json) {
        json_t *out = json_pack("{s:s, s:s, s:s}", "request", file, "id", print, "name", config.name);
        fm_say_json(out);
        json_decref(out);
    } else {
        printf("Wrote %s for %s, %s.\n", file, config.name, print);
        fm_say_talk(cmd,
                    "Carry it to a coordinator:  fieldmesh admit %s --role %s --out GRANT\nCompare the id there with the "
                    "one above. Then here: fieldmesh join GRANT\n",
                    file, config.role);
    }
    return FM_EXIT_DONE;
}

static int say_bad_file(struct fm_cmd *cmd, const char *file, int error, const char *want)
{
    char what[FM_PATH_MAX + 100];
    snprintf(what, sizeof what, "%s: %s", file,
             error == FM_ENOTFOUND                       ? "no such file"
             : error == FM_EFORMAT || error == FM_ELIMIT ? want
                                                         : fm_error_text(error));
    return fm_say_error(cmd, error == FM_ENOTFOUND ? "not-found" : fm_error_code(error), what, NULL,
                        "copy the file again; eject the stick before unplugging");
}

int fm_cmd_join(struct fm_cmd *cmd)
{
    const char *request = fm_cmd_value(cmd, "request", 0);
    if (request != NULL)
        return write_request(cmd, request);
    if (cmd->arg_count != 1)
        return fm_say_error(cmd, "usage", "join wants a grant file", NULL,
                            "fieldmesh join --request FILE, then fieldmesh join GRANT");
    struct fm_grant_file grant;
    int rc = fm_grant_file_read(&grant, cmd->args[0]);
    if (rc != FM_OK)
        return say_bad_file(cmd, cmd->args[0], rc, "this is no grant file, or it is cut short");
    json_t *sets = json_array(), *answer;
    for (size_t i = 0; i < grant.count && sets != NULL; i++)
        if (json_array_append_new(sets, fm_json_hex(grant.sets[i])) != 0) {
            json_decref(sets);
            sets = NULL; /* as is the call then: no memory */
        }
    json_t *call =
        json_pack("{s:s, s:o, s:o, s:o, s:o}", "op", "join", "mesh", fm_json_hex(fm_span(grant.mesh.b, sizeof grant.mesh.b)),
                  "root", fm_json_hex(fm_span(grant.root.b, sizeof grant.root.b)), "grant",
                  fm_json_hex(fm_span(grant.grant.b, sizeof grant.grant.b)), "sets", sets);
    fm_grant_file_fini(&grant);
    int code = fm_cmd_call(cmd, call, &answer);
    if (code != FM_EXIT_DONE)
        return code;
    if (cmd->json)
        fm_say_json(answer);
    else
        printf("Joined as %s. %lld membership sets taken in.\n", fm_json_str(answer, "role"),
               (long long)json_integer_value(json_object_get(answer, "added")));
    json_decref(answer);
    return FM_EXIT_DONE;
}

/* The answer of admit -> a grant file. */
static int write_grant(const json_t *answer, const char *file)
{
    const json_t *list = json_object_get(answer, "sets");
    size_t count = json_array_size(list);
    struct fm_span *sets = calloc(count + 1, sizeof *sets);
    uint8_t **bytes = calloc(count + 1, sizeof *bytes);
    struct fm_mesh_id mesh;
    struct fm_key root;
    struct fm_grant_id grant;
    int rc = sets == NULL || bytes == NULL ? FM_ENOMEM : FM_OK;
    if (rc == FM_OK && (fm_hex_parse(mesh.b, sizeof mesh.b, fm_span_str(fm_json_str(answer, "mesh"))) != FM_OK ||
                        fm_hex_parse(root.b, sizeof root.b, fm_span_str(fm_json_str(answer, "root"))) != FM_OK ||
                        fm_hex_parse(grant.b, sizeof grant.b, fm_span_str(fm_json_str(answer, "grant"))) != FM_OK))
        rc = FM_EFORMAT;
    for (size_t i = 0; rc == FM_OK && i < count; i++) {
        struct fm_span text = fm_span_str(json_string_value(json_array_get(list, i)));
        bytes[i] = malloc(text.len / 2 + 1);
        rc = bytes[i] == NULL ? FM_ENOMEM : fm_hex_parse(bytes[i], text.len / 2, text);
        sets[i] = fm_span(bytes[i], text.len / 2);
    }
    if (rc == FM_OK)
        rc = fm_grant_file_write(file, &mesh, &root, &grant, sets, count);
    for (size_t i = 0; bytes != NULL && i < count; i++)
        free(bytes[i]);
    free(bytes);
    free(sets);
    return rc;
}

int fm_cmd_admit(struct fm_cmd *cmd)
{
    const char *out = fm_cmd_value(cmd, "out", 0), *role = fm_cmd_value(cmd, "role", 0);
    struct fm_request request;
    if (cmd->arg_count != 1 || out == NULL || role == NULL)
        return fm_say_error(cmd, "usage", "admit wants a request file, --role and --out", NULL,
                            "fieldmesh admit FILE --role camp --out GRANT");
    int rc = fm_request_read(&request, cmd->args[0]);
    if (rc != FM_OK)
        return say_bad_file(cmd, cmd->args[0], rc, "this is no request file, or it is cut short");
    json_t *answer;
    int code = fm_cmd_call(cmd,
                           json_pack("{s:s, s:o, s:o, s:o, s:s, s:s, s:b, s:b}", "op", "admit", "author",
                                     fm_json_hex(fm_span(request.author.b, FM_KEY_BYTES)), "transport",
                                     fm_json_hex(fm_span(request.transport.b, FM_KEY_BYTES)), "box",
                                     fm_json_hex(fm_span(request.box.b, FM_KEY_BYTES)), "name", request.name, "role", role,
                                     "sealed", fm_cmd_has(cmd, "sealed"), "mayInvite", fm_cmd_has(cmd, "may-invite")),
                           &answer);
    if (code != FM_EXIT_DONE)
        return code;
    rc = write_grant(answer, out);
    if (rc != FM_OK) {
        code = fm_say_fm_error(cmd, out, rc);
    } else if (cmd->json) {
        json_t *said = json_pack("{s:s, s:s, s:s, s:s}", "name", request.name, "id", fm_json_str(answer, "id"), "role", role,
                                 "grant", out);
        fm_say_json(said);
        json_decref(said);
    } else {
        char name[FM_NAME_BYTES_MAX + 1];
        fm_say_safe(name, sizeof name, request.name);
        printf("Admitted %s as %s.\n  id      %s   (compare it with the id that machine shows)\n  grant   %s\n", name, role,
               fm_json_str(answer, "id"), out);
        fm_say_talk(cmd, "Carry it back:  fieldmesh join %s\n", out);
    }
    json_decref(answer);
    return code;
}

int fm_cmd_devices(struct fm_cmd *cmd)
{
    json_t *answer;
    int code = fm_cmd_call(cmd, json_pack("{s:s}", "op", "devices"), &answer);
    if (code != FM_EXIT_DONE)
        return code;
    if (cmd->json) {
        fm_say_json(answer);
    } else {
        size_t i;
        json_t *d;
        printf("%-24s %-12s %-10s %s\n", "DEVICE", "ROLE", "STATE", "ID");
        json_array_foreach(json_object_get(answer, "devices"), i, d)
        {
            char name[64];
            fm_say_safe(name, sizeof name, fm_json_str(d, "name"));
            printf("%-24s %-12s %-10s %s%s\n", name, fm_json_str(d, "role"),
                   json_is_true(json_object_get(d, "revoked"))   ? "revoked"
                   : json_is_true(json_object_get(d, "expired")) ? "expired"
                   : json_is_true(json_object_get(d, "counted")) ? "member"
                                                                 : "not valid",
                   fm_json_str(d, "id"), json_is_true(json_object_get(d, "self")) ? "  (this node)" : "");
        }
    }
    json_decref(answer);
    return FM_EXIT_DONE;
}

int fm_cmd_revoke(struct fm_cmd *cmd)
{
    if (cmd->arg_count != 1)
        return fm_say_error(cmd, "usage", "revoke wants a device", NULL, "fieldmesh devices");
    if (fm_cmd_has(cmd, "dry-run")) {
        fm_say_talk(
            cmd,
            "Would cut off %s: what is held here of it stays; what it writes from now on is put aside. Nothing written.\n",
            cmd->args[0]);
        return FM_EXIT_DONE;
    }
    json_t *answer;
    int code = fm_cmd_call(cmd, json_pack("{s:s, s:s}", "op", "revoke", "node", cmd->args[0]), &answer);
    if (code != FM_EXIT_DONE)
        return code;
    if (cmd->json)
        fm_say_json(answer);
    else
        printf("Revoked %s (%s).\n  What it wrote until now and is held here stays. What arrives later is put aside, "
               "listed, and can be adopted.\n"
               "  Its key is never granted again; the device needs a new node and a new request.\n",
               fm_json_str(answer, "name"), fm_json_str(answer, "id"));
    json_decref(answer);
    return FM_EXIT_DONE;
}

int fm_cmd_adopt(struct fm_cmd *cmd)
{
    json_t *sets = json_array(), *answer;
    for (size_t i = 0; i < cmd->arg_count; i++)
        json_array_append_new(sets, json_string(cmd->args[i]));
    if (cmd->arg_count == 0) {
        json_decref(sets);
        return fm_say_error(cmd, "usage", "adopt wants the ids of sets put aside", NULL,
                            "fieldmesh status --json shows them under aside");
    }
    int code = fm_cmd_call(cmd, json_pack("{s:s, s:o}", "op", "adopt", "sets", sets), &answer);
    if (code != FM_EXIT_DONE)
        return code;
    if (cmd->json)
        fm_say_json(answer);
    else
        printf("Adopted %zu sets: their changes count from now on, on every node that hears of it.\n", cmd->arg_count);
    json_decref(answer);
    return FM_EXIT_DONE;
}

/* --- people --- */

/* Submits one change and says how it went. */
static int submit_one(struct fm_cmd *cmd, json_t *change, const char *done)
{
    json_t *answer;
    int code = fm_cmd_call(cmd, json_pack("{s:s, s:[o]}", "op", "submit", "changes", change), &answer);
    if (code != FM_EXIT_DONE)
        return code;
    const json_t *result = json_array_get(json_object_get(answer, "results"), 0);
    if (strcmp(fm_json_str(result, "status"), "success") != 0)
        code = fm_say_error(cmd, fm_json_str(result, "code"), fm_json_str(result, "message"), NULL, NULL);
    else if (cmd->json)
        fm_say_json(result);
    else
        printf("%s  %s\n", done, fm_json_str(result, "serverId"));
    json_decref(answer);
    return code;
}

int fm_cmd_people_add(struct fm_cmd *cmd)
{
    if (cmd->arg_count != 1 || fm_cmd_value(cmd, "role", 0) == NULL)
        return fm_say_error(cmd, "usage", "people add wants a name and a role", NULL,
                            "fieldmesh people add \"Aisha Bukar\" --role assessor");
    json_t *roles = json_array(), *data;
    const char *role;
    for (size_t i = 0; (role = fm_cmd_value(cmd, "role", i)) != NULL; i++) {
        char upper[32];
        snprintf(upper, sizeof upper, "%s", role);
        for (char *c = upper; *c != '\0'; c++)
            *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
        json_array_append_new(roles, json_string(upper));
    }
    data = json_pack("{s:s, s:o, s:b}", "name", cmd->args[0], "roles", roles, "isActive", true);
    if (fm_cmd_value(cmd, "id", 0) != NULL)
        json_object_set_new(data, "id", json_string(fm_cmd_value(cmd, "id", 0)));
    return submit_one(
        cmd, json_pack("{s:s, s:s, s:i, s:o}", "type", "user", "action", "create", "versionNumber", 1, "data", data),
        "Added");
}

int fm_cmd_people_assign(struct fm_cmd *cmd)
{
    const char *entity = fm_cmd_value(cmd, "entity", 0), *role = fm_cmd_value(cmd, "role", 0);
    if (cmd->arg_count != 1 || entity == NULL || role == NULL)
        return fm_say_error(cmd, "usage", "people assign wants a person, --entity and --role", NULL,
                            "fieldmesh people assign USER-ID --entity ENTITY-ID --role assessor");
    char upper[32];
    snprintf(upper, sizeof upper, "%s", role);
    for (char *c = upper; *c != '\0'; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    return submit_one(cmd,
                      json_pack("{s:s, s:s, s:i, s:{s:s, s:s, s:s, s:b}}", "type", "assignment", "action", "create",
                                "versionNumber", 1, "data", "userId", cmd->args[0], "entityId", entity, "role", upper,
                                "isActive", !fm_cmd_has(cmd, "off")),
                      "Assigned");
}

int fm_cmd_people(struct fm_cmd *cmd)
{
    json_t *answer, *user;
    size_t i;
    int code = fm_cmd_call(cmd, json_pack("{s:s, s:s}", "op", "records", "type", "user"), &answer);
    if (code != FM_EXIT_DONE)
        return code;
    if (!cmd->json)
        printf("%-38s %-24s %s\n", "ID", "NAME", "ROLES");
    json_array_foreach(json_object_get(answer, "records"), i, user)
    {
        const json_t *document = json_object_get(user, "document");
        if (cmd->json) {
            fm_say_json(document);
            continue;
        }
        char name[64], roles[120] = "";
        size_t k;
        json_t *role;
        json_array_foreach(json_object_get(document, "roles"), k, role) snprintf(
            roles + strlen(roles), sizeof roles - strlen(roles), "%s%s", k == 0 ? "" : ", ", json_string_value(role));
        fm_say_safe(name, sizeof name, fm_json_str(document, "name"));
        printf("%-38s %-24s %s\n", fm_json_str(document, "id"), name, roles);
    }
    json_decref(answer);
    return FM_EXIT_DONE;
}
