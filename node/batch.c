#include "node/batch.h"

#include <string.h>

#include "node/json.h"

void fm_batch_init(struct fm_batch *batch, struct fm_cmd *cmd, const char *as, size_t total)
{
    *batch = (struct fm_batch){.cmd = cmd,
                               .as = as,
                               .changes = json_array(),
                               .successful = json_array(),
                               .conflicts = json_array(),
                               .failed = json_array(),
                               .total = total};
    fm_progress_init(&batch->progress, cmd, cmd->command->name);
}

static void sort_result(struct fm_batch *batch, json_t *result)
{
    const char *status = json_string_value(json_object_get(result, "status"));
    if (status != NULL && strcmp(status, "success") == 0) {
        batch->success_count++;
        if (batch->cmd->json)
            json_array_append(batch->successful, result);
    } else if (status != NULL && strcmp(status, "conflict") == 0) {
        batch->conflict_count++;
        json_array_append(batch->conflicts, result);
    } else {
        batch->failed_count++;
        json_array_append(batch->failed, result);
    }
}

static int hear(struct fm_batch *batch)
{
    json_t *answer, *result;
    size_t i;
    batch->under_way--;
    int code = fm_cmd_hear(batch->cmd, &answer);
    if (code != FM_EXIT_DONE) {
        batch->under_way = 0; /* said once */
        return code;
    }
    json_array_foreach(json_object_get(answer, "results"), i, result) sort_result(batch, result);
    json_decref(answer);
    fm_progress_at(&batch->progress,
                   batch->success_count + batch->conflict_count + batch->failed_count + batch->unchanged_count,
                   batch->total);
    return FM_EXIT_DONE;
}

static int hear_all(struct fm_batch *batch)
{
    int code = FM_EXIT_DONE;
    while (code == FM_EXIT_DONE && batch->under_way > 0)
        code = hear(batch);
    return code;
}

/* The next request is made ready while the node works on the last one. */
static int ask(struct fm_batch *batch)
{
    json_t *call = json_pack("{s:s, s:s, s:o}", "op", "submit", "as", batch->as != NULL ? batch->as : "operator", "changes",
                             batch->changes);
    batch->changes = json_array();
    batch->text_bytes = 0;
    int code = fm_cmd_ask(batch->cmd, call);
    if (code != FM_EXIT_DONE)
        return code;
    return ++batch->under_way < 2 ? FM_EXIT_DONE : hear(batch);
}

int fm_batch_send(struct fm_batch *batch)
{
    int code = json_array_size(batch->changes) > 0 ? ask(batch) : FM_EXIT_DONE;
    return code == FM_EXIT_DONE ? hear_all(batch) : code;
}

int fm_batch_add(struct fm_batch *batch, json_t *change)
{
    batch->text_bytes += json_dumpb(change, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    json_array_append_new(batch->changes, change);
    bool full = json_array_size(batch->changes) >= FM_BATCH_SIZE || batch->text_bytes >= FM_BATCH_TEXT_BYTES;
    return full ? ask(batch) : FM_EXIT_DONE;
}

int fm_batch_end(struct fm_batch *batch, const char *what)
{
    json_t *result;
    size_t i;
    int lost = hear_all(batch); /* after an error: what was sent before it counts */
    fm_progress_end(&batch->progress);
    if (batch->cmd->json) {
        json_t *out = json_pack("{s:O, s:O, s:O}", "successful", batch->successful, "conflicts", batch->conflicts, "failed",
                                batch->failed);
        if (batch->unchanged_count > 0)
            json_object_set_new(out, "unchanged", json_integer((json_int_t)batch->unchanged_count));
        fm_say_json(out);
        json_decref(out);
    } else {
        printf("%s: stored %zu   unchanged %zu   conflicts %zu   failed %zu\n", what, batch->success_count,
               batch->unchanged_count, batch->conflict_count, batch->failed_count);
        json_array_foreach(batch->failed, i, result)
        {
            const char *id = json_string_value(json_object_get(result, "offlineId")),
                       *message = json_string_value(json_object_get(result, "message"));
            if (i == 20)
                fprintf(stderr, "  … and %zu more; --json lists them all\n", batch->failed_count - 20);
            if (i < 20)
                fprintf(stderr, "  failed  %s  %s\n", id != NULL && id[0] != '\0' ? id : "-",
                        message != NULL ? message : "");
        }
    }
    const char *first = fm_json_str(json_array_get(batch->failed, 0), "code");
    bool none = batch->failed_count > 0 && batch->success_count + batch->conflict_count == 0;
    int code = lost != FM_EXIT_DONE                       ? lost
               : none && strcmp(first, "not-joined") == 0 ? FM_EXIT_NOT_ALLOWED
               : batch->failed_count > 0                  ? FM_EXIT_PART
               : batch->conflict_count > 0                ? FM_EXIT_CONFLICTS
                                                          : FM_EXIT_DONE;
    json_decref(batch->changes);
    json_decref(batch->successful);
    json_decref(batch->conflicts);
    json_decref(batch->failed);
    return code;
}
