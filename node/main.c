/* fieldmesh: finds the command in the table, reads its options, runs it. No argument: status. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "node/cmd.h"
#include "replication/error.h"

/* How many words of argv name the command; the longest fit wins ("conflicts show" before "conflicts"). */
static const struct fm_command *find(int argc, char **argv, int *words)
{
    const struct fm_command *best = NULL;
    *words = 0;
    for (const struct fm_command *c = fm_commands; c->name != NULL; c++) {
        char name[64];
        snprintf(name, sizeof name, "%s", c->name);
        int n = 0;
        bool fits = true;
        for (char *save, *word = strtok_r(name, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save), n++)
            fits = fits && n < argc && strcmp(argv[n], word) == 0;
        if (fits && n > *words) {
            best = c;
            *words = n;
        }
    }
    return best;
}

/* -1: not known; 0: without a value; 1: with one. */
static int option_form(const struct fm_command *c, const char *name, size_t len)
{
    static const char common[] = "data= config= json quiet no-color yes help";
    const char *lists[] = {common, c->options != NULL ? c->options : ""};
    for (size_t i = 0; i < 2; i++)
        for (const char *at = lists[i]; *at != '\0';) {
            size_t word = strcspn(at, " "), own = word > 0 && at[word - 1] == '=' ? word - 1 : word;
            if (own == len && memcmp(at, name, len) == 0)
                return own != word;
            at += word + (at[word] == ' ');
        }
    return -1;
}

static int read_args(struct fm_cmd *cmd, int argc, char **argv)
{
    bool only_args = false;
    for (int i = 0; i < argc; i++) {
        char *arg = argv[i];
        if (cmd->arg_count + 1 >= FM_ARGS_MAX || cmd->option_count + 1 >= FM_ARGS_MAX)
            return fm_say_error(cmd, "usage", "too many arguments", NULL, NULL);
        if (only_args || strncmp(arg, "--", 2) != 0) {
            cmd->args[cmd->arg_count++] = arg;
            continue;
        }
        if (arg[2] == '\0') {
            only_args = true;
            continue;
        }
        const char *name = arg + 2, *equals = strchr(name, '=');
        size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
        int form = option_form(cmd->command, name, len);
        if (form < 0 || (form == 0 && equals != NULL) || (form == 1 && equals == NULL && i + 1 >= argc)) {
            char what[160];
            snprintf(what, sizeof what, form < 0 ? "unknown option %.60s" : form == 0 ? "option %.60s takes no value" : "option %.60s wants a value", arg);
            return fm_say_error(cmd, "usage", what, NULL, "fieldmesh COMMAND --help");
        }
        cmd->options[cmd->option_count] = name;
        cmd->values[cmd->option_count++] = form == 0 ? "" : equals != NULL ? equals + 1 : argv[++i];
    }
    return 0;
}

/* Options before the command: `fieldmesh --data DIR init`. How many words they are. */
static int leading_options(int argc, char **argv)
{
    int n = 0;
    while (n < argc && strncmp(argv[n], "--", 2) == 0)
        n += strcmp(argv[n], "--data") == 0 || strcmp(argv[n], "--config") == 0 ? 2 : 1;
    return n < argc ? n : argc;
}

int main(int argc, char **argv)
{
    struct fm_cmd cmd = {0};
    int words = 0, before = leading_options(argc - 1, argv + 1);
    char *help = "help", *status = "status", **named = argv + 1 + before;
    bool bare = before == argc - 1;
    if (bare)
        cmd.command = find(1, argc == 2 && strcmp(argv[1], "--help") == 0 ? &help : &status, &words);
    else
        cmd.command = find(argc - 1 - before, named, &words);
    words = bare ? 0 : words;
    for (int i = 1; i < argc; i++) /* so that a wrong command or option is already told in the form asked for */
        cmd.json = cmd.json || strcmp(argv[i], "--json") == 0;
    if (cmd.command == NULL) {
        cmd.command = &fm_commands[0];
        char what[120];
        snprintf(what, sizeof what, "no command '%.60s'", named[0]);
        return fm_say_error(&cmd, "usage", what, NULL, "fieldmesh help");
    }
    memmove(named, named + words, (size_t)(argc - 1 - before - words) * sizeof *named);
    int rc = read_args(&cmd, argc - 1 - words, argv + 1);
    if (rc != 0)
        return rc;
    cmd.quiet = fm_cmd_has(&cmd, "quiet");
    cmd.yes = fm_cmd_has(&cmd, "yes");
    cmd.color = isatty(1) && getenv("NO_COLOR") == NULL && !fm_cmd_has(&cmd, "no-color");
    if (fm_cmd_has(&cmd, "help") && !bare) {
        printf("fieldmesh %s %s\n  %s\n", cmd.command->name, cmd.command->args, cmd.command->what);
        return FM_EXIT_DONE;
    }
    if (fm_crypto_init() != FM_OK)
        return fm_say_error(&cmd, "failed", "libsodium could not start", NULL, NULL);
    if (fm_paths_of(&cmd.paths, fm_cmd_value(&cmd, "data", 0)) != FM_OK)
        return fm_say_error(&cmd, "usage", "the data folder's path is too long", NULL, "choose a shorter one with --data");
    const char *config = fm_cmd_value(&cmd, "config", 0);
    if (config != NULL && snprintf(cmd.paths.config, sizeof cmd.paths.config, "%s", config) >= (int)sizeof cmd.paths.config)
        return fm_say_error(&cmd, "usage", "the config file's path is too long", NULL, "choose a shorter one with --config");
    rc = cmd.command->run(&cmd);
    fm_client_close(cmd.client);
    return rc;
}
