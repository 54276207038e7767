/* backup, restore, verify, reindex: keeping what is there. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/cmd.h"
#include "node/control.h"
#include "node/keep.h"
#include "node/progress.h"
#include "replication/error.h"

int fm_cmd_backup(struct fm_cmd *cmd)
{
    char file[FM_PATH_MAX], here[FM_PATH_MAX];
    if (cmd->arg_count != 1)
        return fm_say_error(cmd, "usage", "backup wants a file", NULL, "fieldmesh backup /media/usb/dikwa.fmstore");
    if (cmd->args[0][0] == '/' || getcwd(here, sizeof here) == NULL)
        here[0] = '\0';
    if (snprintf(file, sizeof file, "%.500s%s%.500s", here, here[0] != '\0' ? "/" : "", cmd->args[0]) >=
        (int)sizeof file - 8)
        return fm_say_error(cmd, "usage", "the file's path is too long", NULL, NULL);
    json_t *answer;
    int code = fm_cmd_call(cmd, json_pack("{s:s, s:s}", "op", "backup", "file", file), &answer);
    if (code != FM_EXIT_DONE)
        return code;
    if (cmd->json)
        fm_say_json(answer);
    else
        printf("Wrote %s. It holds every record and no key: keep the key folder apart.\n", file);
    json_decref(answer);
    return FM_EXIT_DONE;
}

static bool is_running(const struct fm_cmd *cmd)
{
    int fd = fm_control_connect(&cmd->paths);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int say_stop_first(struct fm_cmd *cmd)
{
    return fm_say_error(cmd, "store-busy", "the node is running and has its store open",
                        "this works on a store that nothing writes to", "fieldmesh stop, then again");
}

int fm_cmd_restore(struct fm_cmd *cmd)
{
    char aside[FM_PATH_MAX];
    if (cmd->arg_count != 1)
        return fm_say_error(cmd, "usage", "restore wants a backup file", NULL, "fieldmesh restore /media/usb/dikwa.fmstore");
    if (is_running(cmd))
        return say_stop_first(cmd);
    int rc = fm_keep_restore(&cmd->paths, cmd->args[0], aside);
    if (rc == FM_ECORRUPT || rc == FM_ESTORE)
        return fm_say_error(cmd, "damaged", "the backup is damaged; nothing was changed", NULL, "take another copy of it");
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "restore", rc);
    if (cmd->json) {
        json_t *out = json_pack("{s:s, s:s}", "restored", cmd->args[0], "aside", aside);
        fm_say_json(out);
        json_decref(out);
        return FM_EXIT_DONE;
    }
    printf("Restored %s.\n", cmd->args[0]);
    if (aside[0] != '\0')
        printf("  The store that was here lies in %s; delete it when all is well.\n", aside);
    fm_say_talk(cmd, "  What was recorded after the backup comes back from the peers that have it. Next: fieldmesh run\n");
    return FM_EXIT_DONE;
}

static void show_progress(void *ctx, uint64_t done, uint64_t total)
{
    fm_progress_at(ctx, done, total);
}

int fm_cmd_reindex(struct fm_cmd *cmd)
{
    struct fm_keep k;
    struct fm_progress progress;
    struct fm_store_counts counts = {0};
    if (is_running(cmd))
        return say_stop_first(cmd);
    int rc = fm_keep_open(&k, &cmd->paths, NULL);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "reindex", rc);
    fm_progress_init(&progress, cmd, "reindex (change sets)");
    const struct fm_store_progress report = {.ctx = &progress, .at = show_progress};
    rc = fm_keep_reindex(&k, &report);
    fm_progress_end(&progress);
    if (rc == FM_OK)
        rc = fm_store_counts(k.store, &counts);
    fm_keep_close(&k);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "reindex", rc);
    if (cmd->json) {
        json_t *out = json_pack("{s:s, s:I, s:I, s:I}", "type", "summary", "sets", (json_int_t)counts.sets, "versions",
                                (json_int_t)counts.versions, "records", (json_int_t)counts.records);
        fm_say_json(out);
        json_decref(out);
    } else {
        printf("Built again from %llu change sets: %llu records, %llu versions.\n", (unsigned long long)counts.sets,
               (unsigned long long)counts.records, (unsigned long long)counts.versions);
    }
    return FM_EXIT_DONE;
}

/* --- verify: in a child process, as damaged pages can crash the database library --- */

struct tell {
    const struct fm_cmd *cmd;
    uint64_t said;
};

static void say_problem(void *ctx, const char *problem)
{
    struct tell *tell = ctx;
    if (tell->said++ >= 100)
        return;
    if (tell->cmd->json) {
        json_t *line = json_pack("{s:s, s:s}", "type", "problem", "message", problem);
        fm_say_json(line);
        json_decref(line);
    } else {
        fprintf(stderr, "  damaged  %s\n", problem);
    }
}

static int verify_here(const struct fm_cmd *cmd)
{
    struct fm_keep k;
    struct fm_progress progress;
    char scratch[FM_PATH_MAX + 32];
    int rc = fm_keep_open(&k, &cmd->paths, NULL);
    if (rc == FM_ECORRUPT || rc == FM_ESTORE)
        return fm_say_error(cmd, "damaged", "the store cannot be opened", NULL,
                            "restore a backup, or move the store folder away and let the peers refill it");
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "verify", rc);
    struct tell tell = {.cmd = cmd};
    snprintf(scratch, sizeof scratch, "%s/verify-%ld", cmd->paths.data, (long)getpid());
    fm_progress_init(&progress, cmd, "verify");
    struct fm_store_verify v = {
        .scratch_dir = scratch, .progress = {.ctx = &progress, .at = show_progress}, .ctx = &tell, .say = say_problem};
    rc = fm_keep_verify(&k, &cmd->paths, &v);
    fm_progress_end(&progress);
    fm_keep_close(&k);
    bool sound = rc == FM_OK && v.problems == 0;
    if (cmd->json) {
        json_t *out = json_pack("{s:s, s:b, s:I, s:I, s:I}", "type", "summary", "sound", sound, "sets", (json_int_t)v.sets,
                                "rows", (json_int_t)v.rows, "problems", (json_int_t)v.problems);
        fm_say_json(out);
        json_decref(out);
    }
    if (rc != FM_OK && rc != FM_ECORRUPT && rc != FM_ESTORE)
        return fm_say_fm_error(cmd, "verify", rc);
    if (!sound)
        return fm_say_error(cmd, "damaged", "the store is damaged", NULL,
                            "fieldmesh reindex mends indexes; for the log restore a backup, or let the peers refill it");
    if (!cmd->json)
        printf("Sound: %llu change sets and %llu rows checked, and every index is what the log says.\n",
               (unsigned long long)v.sets, (unsigned long long)v.rows);
    return FM_EXIT_DONE;
}

int fm_cmd_verify(struct fm_cmd *cmd)
{
    int status = 0;
    if (is_running(cmd))
        return say_stop_first(cmd);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return fm_say_error(cmd, "failed", "no process could be started to check in", NULL, NULL);
    if (child == 0) {
        int code = verify_here(cmd);
        fflush(NULL);
        _exit(code);
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return fm_say_error(cmd, "damaged", "the store is so damaged that reading it ends the program", NULL,
                        "restore a backup, or move the store folder away and let the peers refill it");
}
