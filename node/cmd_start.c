/* init, run, stop, paths: the first steps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/cmd.h"
#include "node/compress.h"
#include "node/identity.h"
#include "node/json.h"
#include "node/loop.h"
#include "replication/error.h"
#include "replication/set.h"

/* What would be written reads back as the same name: no control characters, valid UTF-8. */
static int reads_back(const struct fm_config *config, bool *same)
{
    struct fm_config back;
    struct fm_buf text;
    char why[200];
    fm_buf_init(&text, FM_CONFIG_BYTES_MAX);
    int rc = fm_config_encode(&text, config);
    *same = rc == FM_OK && fm_config_decode(&back, fm_buf_span(&text), "config", why, sizeof why) == FM_OK &&
            strcmp(back.name, config->name) == 0;
    fm_buf_fini(&text);
    return rc == FM_ENOMEM ? rc : FM_OK;
}

/* 0, or the exit code after the error was said. */
static int fill_config(struct fm_cmd *cmd, struct fm_config *config)
{
    const char *name = fm_cmd_value(cmd, "name", 0), *role = fm_cmd_value(cmd, "role", 0),
               *settle = fm_cmd_value(cmd, "auto-settle", 0);
    const char *listen = fm_cmd_value(cmd, "listen", 0), *http = fm_cmd_value(cmd, "http", 0), *peer;
    char endpoint[128];
    int known = role != NULL ? fm_role_from(fm_span_str(role)) : 0;
    if (name == NULL || name[0] == '\0' || strlen(name) > FM_NAME_BYTES_MAX || known == 0 || known == FM_ROLE_ROOT) {
        return fm_say_error(cmd, "usage", "init wants a name (up to 64 bytes) and a role", NULL,
                            "fieldmesh init --name \"Dikwa camp\" --role camp     (or relay, or coordinator)");
    }
    snprintf(config->name, sizeof config->name, "%s", name);
    snprintf(config->role, sizeof config->role, "%s", role);
    snprintf(config->listen, sizeof config->listen, "%s", listen != NULL ? listen : "0.0.0.0:7717");
    snprintf(config->http, sizeof config->http, "%s", http != NULL ? http : "0.0.0.0:7780");
    config->auto_settle = settle != NULL && strcmp(settle, "disjoint") == 0;
    for (size_t i = 0; (peer = fm_cmd_value(cmd, "peer", i)) != NULL && i < FM_CONFIG_PEERS_MAX; i++)
        snprintf(config->peers[config->peer_count++], sizeof config->peers[0], "%s", peer);
    if (fm_endpoint_parse(endpoint, config->listen) != FM_OK || fm_endpoint_parse(endpoint, config->http) != FM_OK ||
        (settle != NULL && strcmp(settle, "disjoint") != 0 && strcmp(settle, "never") != 0)) {
        return fm_say_error(
            cmd, "usage",
            "--listen and --http want ADDRESS:PORT with a literal address; --auto-settle wants never or disjoint", NULL,
            "fieldmesh init … --listen 0.0.0.0:7717");
    }
    bool same;
    int rc = reads_back(config, &same);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "init", rc);
    if (!same) {
        return fm_say_error(cmd, "usage", "the name or a peer has a character that a config file cannot hold", NULL,
                            "use letters, digits, spaces and signs");
    }
    return FM_EXIT_DONE;
}

/* The root's grant for the mesh's first coordinator, with the mesh's first data key: one root-signed set. */
static int birth_set(struct fm_cmd *cmd, struct fm_identity *id, struct fm_buf *set)
{
    struct fm_act *act = calloc(1, sizeof *act);
    struct fm_crypto crypto = {0};
    struct fm_buf bytes;
    struct fm_key data_key;
    fm_crypto_port(&crypto, &id->device);
    fm_compress_port(&crypto);
    fm_buf_init(&bytes, FM_CHANGE_BYTES_MAX);
    int rc = act == NULL ? FM_ENOMEM : FM_OK;
    if (rc == FM_OK) {
        struct fm_grant *g = &act->grant;
        act->kind = FM_ACT_GRANT;
        *g = (struct fm_grant){.author = id->device.author_public,
                               .transport = id->device.transport_public,
                               .box = id->device.box_public,
                               .name = fm_span_str(fm_cmd_value(cmd, "name", 0)),
                               .role = FM_ROLE_COORDINATOR,
                               .epoch_first = 1,
                               .epoch_last = UINT32_MAX,
                               .serial = 1,
                               .key_count = 1};
        fm_crypto_random(data_key.b, sizeof data_key.b);
        fm_data_key_id_of(&g->keys[0].id, &crypto, &data_key);
        rc = crypto.box(crypto.ctx, g->keys[0].sealed, &data_key, &g->box);
        fm_crypto_wipe(&data_key, sizeof data_key);
        if (rc == FM_OK)
            rc = fm_grant_encode(&bytes, g);
        g->bytes = fm_buf_span(&bytes);
    }
    if (rc == FM_OK) {
        const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_GRANT), fm_span(id->mesh.b, sizeof id->mesh.b),
                                        fm_buf_span(&bytes)};
        crypto.hash(crypto.ctx, id->grant.b, sizeof id->grant.b, parts, 3);
        rc = fm_identity_save_mesh(id, &cmd->paths); /* first: once signed, it is this grant */
    }
    if (rc == FM_OK) {
        const struct fm_act *acts[] = {act};
        rc = fm_root_sign(set, id, &cmd->paths, &crypto, acts, 1, (uint64_t)time(NULL) * 1000);
    }
    fm_buf_fini(&bytes);
    free(act);
    return rc;
}

/* The policy record, unless it was written before. */
static int write_policy(struct fm_cmd *cmd, const struct fm_identity *id, bool auto_settle)
{
    json_t *answer = NULL;
    int code = fm_cmd_call(cmd, json_pack("{s:s, s:s}", "op", "records", "type", "policy"), &answer);
    if (code != FM_EXIT_DONE)
        return code;
    bool there = json_array_size(json_object_get(answer, "records")) > 0;
    json_decref(answer);
    if (there)
        return FM_EXIT_DONE;
    code = fm_cmd_call(cmd,
                       json_pack("{s:s, s:[{s:s, s:s, s:i, s:{s:s, s:o}}]}", "op", "submit", "changes", "type", "policy",
                                 "action", "create", "versionNumber", 1, "data", "autoSettle",
                                 auto_settle ? "disjoint" : "never", "autoSettleNode",
                                 fm_json_hex(fm_span(id->device.author_public.b, FM_KEY_BYTES))),
                       &answer);
    if (code != FM_EXIT_DONE)
        return code;
    const json_t *result = json_array_get(json_object_get(answer, "results"), 0);
    const char *status = json_string_value(json_object_get(result, "status"));
    if (status == NULL || strcmp(status, "success") != 0)
        code = fm_say_error(cmd, json_string_value(json_object_get(result, "code")),
                            json_string_value(json_object_get(result, "message")), "the policy record could not be written",
                            "the same init again goes on from here");
    json_decref(answer);
    return code;
}

/* A mesh is born: root key, root's grant, and the policy record. A birth that was cut short goes on where it was. */
static int give_birth(struct fm_cmd *cmd, struct fm_identity *id, bool auto_settle)
{
    struct fm_buf set;
    fm_buf_init(&set, FM_SET_BYTES_MAX + FM_SET_HEADER_BYTES_MAX);
    int rc = id->has_root_secret ? FM_OK : fm_identity_create_root(id, &cmd->paths);
    if (rc == FM_OK)
        rc = fm_root_last(&set, &cmd->paths);
    if (rc == FM_ENOTFOUND)
        rc = birth_set(cmd, id, &set);
    if (rc != FM_OK) {
        fm_buf_fini(&set);
        return fm_say_fm_error(cmd, "init", rc);
    }
    json_t *answer = NULL;
    int code = fm_cmd_call(
        cmd,
        json_pack("{s:s, s:o, s:o, s:o, s:[o]}", "op", "join", "mesh", fm_json_hex(fm_span(id->mesh.b, sizeof id->mesh.b)),
                  "root", fm_json_hex(fm_span(id->root.b, sizeof id->root.b)), "grant",
                  fm_json_hex(fm_span(id->grant.b, sizeof id->grant.b)), "sets", fm_json_hex(fm_span(set.data, set.len))),
        &answer);
    fm_buf_fini(&set);
    if (code != FM_EXIT_DONE)
        return code;
    json_decref(answer);
    return write_policy(cmd, id, auto_settle);
}

static void say_made(struct fm_cmd *cmd, const struct fm_config *config, const struct fm_identity *id)
{
    char print[FM_FINGERPRINT_CHARS];
    fm_fingerprint(print, &id->device.author_public);
    if (cmd->json) {
        json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", config->name, "role", config->role, "id", print, "data",
                                cmd->paths.data, "config", cmd->paths.config);
        if (id->has_mesh)
            json_object_set_new(out, "mesh", fm_json_hex(fm_span(id->mesh.b, sizeof id->mesh.b)));
        fm_say_json(out);
        json_decref(out);
        return;
    }
    printf("Made a new node.\n  name     %s\n  role     %s\n  id       %s\n  config   %s\n  store    %s\n", config->name,
           config->role, print, cmd->paths.config, cmd->paths.store);
    if (id->has_root_secret)
        printf("  root     %s/root.seed and root.tip: this mesh's highest key.\n           Copy both to two sticks now, "
               "then delete them here.\n",
               cmd->paths.keys);
    if (cmd->quiet)
        return;
    if (id->has_mesh)
        puts("Next: fieldmesh run        then let others in: fieldmesh admit REQUEST --role camp --out GRANT");
    else
        puts("Next: fieldmesh join --request FILE     then carry FILE to a coordinator, and the grant back");
}

/* Keys that an init left which was cut short are the node's own: it goes on with them. */
static int own_keys(struct fm_identity *id, const struct fm_paths *paths)
{
    int rc = fm_file_folder(paths->data, 0700);
    if (rc == FM_OK)
        rc = fm_identity_create(id, paths);
    return rc == FM_EEXISTS ? fm_identity_load(id, paths) : rc;
}

/* All but the config's last name, which says that the node is whole. */
static int make_node(struct fm_cmd *cmd, const struct fm_config *config, struct fm_identity *id)
{
    (void)unlink(cmd->paths.config); /* of an init that was cut short */
    int rc = own_keys(id, &cmd->paths);
    if (rc == FM_OK)
        rc = fm_config_write(config, cmd->paths.config);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "init", rc);
    bool born_before = id->has_mesh && !id->has_root_secret; /* only its config was lost, and the root is on its sticks */
    if (strcmp(config->role, "coordinator") != 0 || fm_cmd_has(cmd, "join-mesh") || born_before)
        return FM_EXIT_DONE;
    int code = give_birth(cmd, id, config->auto_settle);
    fm_client_close(cmd->client);
    cmd->client = NULL;
    return code;
}

int fm_cmd_init(struct fm_cmd *cmd)
{
    struct fm_config config = {0};
    struct fm_identity id = {.has_mesh = false};
    char final[FM_PATH_MAX];
    int code = fill_config(cmd, &config);
    if (code != FM_EXIT_DONE)
        return code;
    if (access(cmd->paths.config, F_OK) == 0) {
        char what[FM_PATH_MAX + 60];
        snprintf(what, sizeof what, "there is a node in %s already", cmd->paths.data);
        return fm_say_error(cmd, "exists", what, "its keys are the only ones it has, so they are never overwritten",
                            "choose another folder: fieldmesh --data DIR init …");
    }
    memcpy(final, cmd->paths.config, sizeof final);
    if (snprintf(cmd->paths.config, sizeof cmd->paths.config, "%.*s.new", (int)sizeof final - 8, final) <= 0)
        return FM_EXIT_FAILED;
    code = make_node(cmd, &config, &id);
    if (code == FM_EXIT_DONE) {
        int rc = fm_file_move(cmd->paths.config, final);
        memcpy(cmd->paths.config, final, sizeof final);
        if (rc != FM_OK)
            code = fm_say_fm_error(cmd, "init", rc);
    }
    if (code == FM_EXIT_DONE)
        say_made(cmd, &config, &id);
    fm_identity_wipe(&id);
    return code;
}

int fm_cmd_run(struct fm_cmd *cmd)
{
    int code = fm_run(&cmd->paths, cmd->json, cmd->quiet);
    if (code == FM_EXIT_NO_NODE || code == FM_EXIT_BUSY) /* nothing ran: said as any command's error */
        return fm_say_fm_error(cmd, "run", code == FM_EXIT_BUSY ? FM_EBUSY : FM_ENOTFOUND);
    return code;
}

int fm_cmd_stop(struct fm_cmd *cmd)
{
    json_t *answer;
    int code = fm_cmd_call(cmd, json_pack("{s:s}", "op", "stop"), &answer);
    if (code == FM_EXIT_DONE) {
        fm_say_talk(cmd, "stopped; everything acknowledged is on disk\n");
        json_decref(answer);
    }
    return code;
}

int fm_cmd_paths(struct fm_cmd *cmd)
{
    struct fm_identity id;
    int rc = fm_identity_load(&id, &cmd->paths);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "paths", rc);
    char print[FM_FINGERPRINT_CHARS];
    fm_fingerprint(print, &id.device.author_public);
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "data", cmd->paths.data, "config", cmd->paths.config, "keys",
                            cmd->paths.keys, "store", cmd->paths.store, "socket", cmd->paths.socket, "id", print);
    struct fm_buf run;
    fm_buf_init(&run, 65536);
    if (fm_file_read(cmd->paths.run, &run, 65536) == FM_OK) {
        char why[100];
        json_t *listens = fm_json_parse(fm_buf_span(&run), why, sizeof why);
        if (listens != NULL)
            json_object_set_new(out, "run", listens);
    }
    fm_buf_fini(&run);
    fm_identity_wipe(&id);
    if (cmd->json) {
        fm_say_json(out);
    } else {
        const char *key;
        json_t *value;
        json_object_foreach(out, key, value)
        {
            if (json_is_string(value))
                printf("%-8s %s\n", key, json_string_value(value));
            else
                printf("%-8s %s\n", key,
                       json_string_value(json_object_get(value, "nodes")) != NULL
                           ? json_string_value(json_object_get(value, "nodes"))
                           : "");
        }
    }
    json_decref(out);
    return FM_EXIT_DONE;
}
