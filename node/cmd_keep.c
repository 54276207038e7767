/* backup, restore, reindex: keeping what is there. */
#include <stdlib.h>
#include <string.h>
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

bool fm_cmd_is_running(const struct fm_cmd *cmd)
{
    int fd = fm_control_connect(&cmd->paths);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

int fm_cmd_say_stop_first(struct fm_cmd *cmd)
{
    return fm_say_error(cmd, "store-busy", "the node is running and has its store open",
                        "this works on a store that nothing writes to", "fieldmesh stop, then again");
}

int fm_cmd_restore(struct fm_cmd *cmd)
{
    char aside[FM_PATH_MAX];
    if (cmd->arg_count != 1)
        return fm_say_error(cmd, "usage", "restore wants a backup file", NULL, "fieldmesh restore /media/usb/dikwa.fmstore");
    if (fm_cmd_is_running(cmd))
        return fm_cmd_say_stop_first(cmd);
    int rc = fm_keep_restore(&cmd->paths, cmd->args[0], aside);
    if (rc == FM_ENOTFOUND && access(cmd->args[0], F_OK) != 0) {
        char what[FM_PATH_MAX + 40];
        snprintf(what, sizeof what, "%.500s: no such file", cmd->args[0]);
        return fm_say_error(cmd, "not-found", what, NULL, "check the name; is the stick there?");
    }
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
    if (fm_cmd_is_running(cmd))
        return fm_cmd_say_stop_first(cmd);
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
