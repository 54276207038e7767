/* What every command uses: its options, and its way to the node. */
#include <string.h>

#include "node/cmd.h"
#include "replication/error.h"

bool fm_cmd_has(const struct fm_cmd *cmd, const char *option)
{
    return fm_cmd_value(cmd, option, 0) != NULL;
}

const char *fm_cmd_value(const struct fm_cmd *cmd, const char *option, size_t n)
{
    size_t len = strlen(option);
    for (size_t i = 0; i < cmd->option_count; i++)
        if (strncmp(cmd->options[i], option, len) == 0 && (cmd->options[i][len] == '\0' || cmd->options[i][len] == '=') &&
            n-- == 0)
            return cmd->values[i];
    return NULL;
}

int fm_cmd_ask(struct fm_cmd *cmd, json_t *request)
{
    int rc = request == NULL ? FM_ENOMEM : cmd->client == NULL ? fm_client_open(&cmd->client, &cmd->paths) : FM_OK;
    if (rc == FM_OK)
        rc = fm_client_ask(cmd->client, request);
    json_decref(request);
    return rc == FM_OK ? FM_EXIT_DONE : fm_say_fm_error(cmd, cmd->command->name, rc);
}

int fm_cmd_call(struct fm_cmd *cmd, json_t *request, json_t **answer)
{
    int code = fm_cmd_ask(cmd, request);
    return code == FM_EXIT_DONE ? fm_cmd_hear(cmd, answer) : code;
}

int fm_cmd_hear(struct fm_cmd *cmd, json_t **answer)
{
    int rc = fm_client_hear(cmd->client, answer);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, cmd->command->name, rc);
    const json_t *error = json_object_get(*answer, "error");
    if (error == NULL)
        return FM_EXIT_DONE;
    int code = fm_say_error(cmd, json_string_value(json_object_get(error, "code")),
                            json_string_value(json_object_get(error, "message")), NULL,
                            json_string_value(json_object_get(error, "do")));
    json_decref(*answer);
    *answer = NULL;
    return code;
}
