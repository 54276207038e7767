/* The command line: one table of commands (cmd.c), one file a family (cmd_*.c). Help, completion and manual come from it. */
#ifndef FM_NODE_CMD_H
#define FM_NODE_CMD_H

#include <jansson.h>

#include "node/config.h"
#include "node/ops.h"

#define FM_ARGS_MAX 64

/* UX.md "Exit codes". */
enum fm_exit {
    FM_EXIT_DONE = 0, FM_EXIT_FAILED = 1, FM_EXIT_USAGE = 2, FM_EXIT_PART = 3, FM_EXIT_CONFLICTS = 4, FM_EXIT_NOTHING = 5,
    FM_EXIT_NO_NODE = 10, FM_EXIT_NOT_RUNNING = 11, FM_EXIT_BUSY = 12, FM_EXIT_NOT_ALLOWED = 13, FM_EXIT_DAMAGED = 14,
    FM_EXIT_NO_SPACE = 15
};

struct fm_cmd;
struct fm_command {
    const char *name;      /* "conflicts resolve": words */
    const char *group;     /* as in `fieldmesh help` */
    const char *args;      /* "N [--take A|B]" */
    const char *what;      /* one line */
    const char *options;   /* its own options, space separated; "=" behind those with a value: "take= dry-run" */
    int (*run)(struct fm_cmd *cmd);
};
extern const struct fm_command fm_commands[]; /* ends with a NULL name */

struct fm_cmd {
    const struct fm_command *command;
    const char *args[FM_ARGS_MAX]; /* what is no option */
    size_t arg_count;
    const char *options[FM_ARGS_MAX], *values[FM_ARGS_MAX];
    size_t option_count;
    bool json, quiet, yes, color;
    struct fm_paths paths;
    struct fm_client *client; /* opened by fm_cmd_call */
};

bool fm_cmd_has(const struct fm_cmd *cmd, const char *option);
/* The value of an option (its n-th, from 0); NULL: not given. */
const char *fm_cmd_value(const struct fm_cmd *cmd, const char *option, size_t n);

/* say.c: stdout is the result, stderr is talk. */
int fm_say_error(const struct fm_cmd *cmd, const char *code, const char *what, const char *why, const char *help); /* its exit code */
int fm_say_fm_error(const struct fm_cmd *cmd, const char *doing, int error);
void fm_say_json(const json_t *value);            /* one line on stdout */
void fm_say_talk(const struct fm_cmd *cmd, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fm_say_exit_of(const char *code);
const char *fm_say_text_of(const char *code); /* one sentence; NULL: no such code */
void fm_say_ago(char out[32], uint64_t ms_ago);
/* A text of somebody's, made safe for a terminal: what is no character, or steers the terminal or the direction of writing,
 * becomes '?'; cut between two characters. */
void fm_say_safe(char *out, size_t out_len, const char *text);

/* Sends a request ({…} is stolen), gets the answer. 0, or the exit code after the error was said. */
int fm_cmd_call(struct fm_cmd *cmd, json_t *request, json_t **answer);
/* Its two halves; at most two requests may be under way, and every one must be heard before the next fm_cmd_call. */
int fm_cmd_ask(struct fm_cmd *cmd, json_t *request);
int fm_cmd_hear(struct fm_cmd *cmd, json_t **answer);

/* For what works on a store that no node has open (cmd_keep.c). */
bool fm_cmd_is_running(const struct fm_cmd *cmd);
int fm_cmd_say_stop_first(struct fm_cmd *cmd);

int fm_cmd_init(struct fm_cmd *cmd), fm_cmd_run(struct fm_cmd *cmd), fm_cmd_join(struct fm_cmd *cmd), fm_cmd_admit(struct fm_cmd *cmd);
int fm_cmd_devices(struct fm_cmd *cmd), fm_cmd_revoke(struct fm_cmd *cmd), fm_cmd_adopt(struct fm_cmd *cmd), fm_cmd_paths(struct fm_cmd *cmd);
int fm_cmd_status(struct fm_cmd *cmd), fm_cmd_peers(struct fm_cmd *cmd), fm_cmd_digest(struct fm_cmd *cmd);
int fm_cmd_records(struct fm_cmd *cmd), fm_cmd_show(struct fm_cmd *cmd), fm_cmd_pull(struct fm_cmd *cmd);
int fm_cmd_put(struct fm_cmd *cmd), fm_cmd_import(struct fm_cmd *cmd);
int fm_cmd_conflicts(struct fm_cmd *cmd), fm_cmd_conflicts_show(struct fm_cmd *cmd), fm_cmd_conflicts_resolve(struct fm_cmd *cmd);
int fm_cmd_people(struct fm_cmd *cmd), fm_cmd_people_add(struct fm_cmd *cmd), fm_cmd_people_assign(struct fm_cmd *cmd);
int fm_cmd_sync(struct fm_cmd *cmd), fm_cmd_stop(struct fm_cmd *cmd);
int fm_cmd_backup(struct fm_cmd *cmd), fm_cmd_restore(struct fm_cmd *cmd), fm_cmd_verify(struct fm_cmd *cmd), fm_cmd_reindex(struct fm_cmd *cmd);
int fm_cmd_version(struct fm_cmd *cmd), fm_cmd_help(struct fm_cmd *cmd);

#endif
