/* status, peers, digest, records, show, pull: looking. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/cmd.h"
#include "node/json.h"

/* One operation whose answer is printed as it is (--json) or by `show`. */
static int look(struct fm_cmd *cmd, json_t *request, void (*show)(struct fm_cmd *, const json_t *))
{
    json_t *answer;
    int code = fm_cmd_call(cmd, request, &answer);
    if (code != FM_EXIT_DONE)
        return code;
    if (cmd->json)
        fm_say_json(answer);
    else
        show(cmd, answer);
    json_decref(answer);
    return FM_EXIT_DONE;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void show_peers(struct fm_cmd *cmd, const json_t *answer)
{
    size_t i;
    json_t *p;
    (void)cmd;
    if (json_array_size(json_object_get(answer, "peers")) == 0)
        return;
    printf("%-22s %-12s %-22s %-12s %9s %9s\n", "PEER", "ROLE", "STATE", "SEEN", "TO SEND", "TO GET");
    json_array_foreach(json_object_get(answer, "peers"), i, p)
    {
        char name[64], ago[32] = "-";
        fm_say_safe(name, sizeof name, fm_json_str(p, "name"));
        if (fm_json_int(p, "seenMs") > 0)
            fm_say_ago(ago, now_ms() - (uint64_t)fm_json_int(p, "seenMs"));
        printf("%-22s %-12s %-22s %-12s %9lld %9lld\n", name, fm_json_str(p, "role"),
               json_is_true(json_object_get(p, "connected")) ? fm_json_str(p, "phase")
               : fm_json_str(p, "lastError")[0] != '\0'      ? fm_json_str(p, "lastError")
                                                             : "not connected",
               ago, fm_json_int(p, "changesToSend"), fm_json_int(p, "changesToReceive"));
    }
}

static void show_status(struct fm_cmd *cmd, const json_t *a)
{
    const json_t *node = json_object_get(a, "node");
    size_t i;
    json_t *n;
    printf("%s   %s   %s   %s\n", fm_json_str(node, "name"), fm_json_str(a, "role"), fm_json_str(node, "id"),
           json_is_true(json_object_get(a, "running")) ? "running" : "stopped");
    printf("records    %lld    (%lld assessments, %lld responses)\n", fm_json_int(a, "records"),
           fm_json_int(a, "assessments"), fm_json_int(a, "responses"));
    printf("conflicts  %lld open, %lld settled\n", fm_json_int(a, "conflictsOpen"), fm_json_int(a, "conflictsSettled"));
    printf("waiting    %lld\n", fm_json_int(a, "waiting"));
    printf("at the hub %lld of %lld changes recorded here\n", fm_json_int(a, "atHub"), fm_json_int(a, "recorded"));
    printf("disk       %lld KB used, map %lld %%\n", fm_json_int(a, "storeBytes") / 1024,
           fm_json_int(a, "mapBytes") > 0 ? 100 * fm_json_int(a, "storeBytes") / fm_json_int(a, "mapBytes") : 0);
    if (json_array_size(json_object_get(a, "peers")) > 0) {
        puts("");
        show_peers(cmd, a);
    }
    json_array_foreach(json_object_get(a, "notices"), i, n)
        printf("%s! %s: %s\n", i == 0 ? "\n" : "", fm_json_str(n, "text"), fm_json_str(n, "command"));
}

int fm_cmd_status(struct fm_cmd *cmd)
{
    return look(cmd, json_pack("{s:s}", "op", "status"), show_status);
}

int fm_cmd_peers(struct fm_cmd *cmd)
{
    return look(cmd, json_pack("{s:s}", "op", "peers"), show_peers);
}

static void show_digest(struct fm_cmd *cmd, const json_t *answer)
{
    (void)cmd;
    printf("sets   %s\nstate  %s\n", fm_json_str(answer, "sets"), fm_json_str(answer, "state"));
}

int fm_cmd_digest(struct fm_cmd *cmd)
{
    return look(cmd, json_pack("{s:s}", "op", "digest"), show_digest);
}

static const char *word_for(const json_t *document)
{
    static const char *const keys[] = {"name", "assessmentType", "status", "role"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_is_string(json_object_get(document, keys[i])))
            return fm_json_str(document, keys[i]);
    return "";
}

/* Pairs of records with one offlineId (rule 54). */
static void show_duplicates(struct fm_cmd *cmd, const json_t *answer)
{
    const json_t *list = json_object_get(answer, "duplicates");
    size_t i;
    json_t *d;
    (void)cmd;
    if (json_array_size(list) == 0) {
        puts("no two records share an offlineId");
        return;
    }
    printf("%-11s %-38s %-38s %s\n", "TYPE", "ID", "SAME AS", "OFFLINE ID");
    json_array_foreach(list, i, d)
    {
        char safe[80];
        fm_say_safe(safe, sizeof safe, fm_json_str(d, "offlineId"));
        printf("%-11s %-38s %-38s %s\n", fm_json_str(d, "type"), fm_json_str(d, "id"), fm_json_str(d, "other"),
               safe);
    }
}

/* Pages of records until there are no more or the limit is reached; a line each. */
int fm_cmd_records(struct fm_cmd *cmd)
{
    static const char *const types[] = {"assessment", "response", "media", "entity", "assignment", "user", NULL};
    const char *type = fm_cmd_value(cmd, "type", 0), *entity = fm_cmd_value(cmd, "entity", 0),
               *limit = fm_cmd_value(cmd, "limit", 0);
    const char *one[] = {type, NULL};
    long long left = limit != NULL ? strtoll(limit, NULL, 10) : INT64_MAX;
    if (fm_cmd_has(cmd, "duplicates"))
        return look(cmd, json_pack("{s:s}", "op", "duplicates"), show_duplicates);
    if (!cmd->json)
        printf("%-11s %-38s %-24s %7s %s\n", "TYPE", "ID", "WHAT", "VERSION", "NODE");
    for (const char *const *t = type != NULL ? one : types; *t != NULL && left > 0; t++) {
        char after[40] = "";
        for (size_t got = 1000; got == 1000 && left > 0;) {
            json_t *answer, *r,
                *call = json_pack("{s:s, s:s, s:i, s:b}", "op", "records", "type", *t, "limit", 1000, "deleted",
                                  fm_cmd_has(cmd, "deleted"));
            size_t i;
            if (after[0] != '\0')
                json_object_set_new(call, "after", json_string(after));
            if (entity != NULL)
                json_object_set_new(call, "entity", json_string(entity));
            int code = fm_cmd_call(cmd, call, &answer);
            if (code != FM_EXIT_DONE)
                return code;
            got = json_array_size(json_object_get(answer, "records"));
            json_array_foreach(json_object_get(answer, "records"), i, r)
            {
                char what[64];
                if (left-- <= 0)
                    break;
                snprintf(after, sizeof after, "%s", fm_json_str(r, "id"));
                fm_say_safe(what, sizeof what, word_for(json_object_get(r, "document")));
                if (cmd->json)
                    fm_say_json(json_object_get(r, "document"));
                else
                    printf("%-11s %-38s %-24s %7lld %s%s\n", fm_json_str(r, "type"), fm_json_str(r, "id"), what,
                           fm_json_int(r, "versionNumber"), fm_json_str(r, "node"),
                           fm_json_int(r, "openConflicts") > 0 ? "  conflict" : "");
            }
            json_decref(answer);
        }
    }
    return FM_EXIT_DONE;
}

static void show_record(struct fm_cmd *cmd, const json_t *a)
{
    size_t i;
    json_t *v;
    const char *key;
    json_t *value;
    (void)cmd;
    printf("%s %s%s\n", fm_json_str(a, "type"), fm_json_str(a, "id"),
           json_is_true(json_object_get(a, "deleted")) ? "   (deleted)" : "");
    json_object_foreach(json_object_get(a, "document"), key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT), safe[300];
        fm_say_safe(safe, sizeof safe, text);
        printf("  %-22s %s\n", key, safe);
        free(text);
    }
    printf("\n%-10s %-9s %-8s %-24s %-20s %s\n", "STATE", "VERSION", "ACTION", "TIME", "NODE", "BY");
    json_array_foreach(json_object_get(a, "versions"), i, v)
        printf("%-10s %-9lld %-8s %-24s %-20s %s\n", fm_json_str(v, "state"), fm_json_int(v, "version"),
               fm_json_str(v, "action"), fm_json_str(v, "time"), fm_json_str(v, "author"), fm_json_str(v, "person"));
    json_array_foreach(json_object_get(a, "duplicates"), i, v)
        printf("\n! another record has this offlineId: fieldmesh show %s\n", json_string_value(v));
    const char *flag = fm_json_str(a, "flag"); /* rule 53 */
    if (flag[0] != '\0')
        printf("\n! %s: %s\n", strcmp(flag, "parent-missing") == 0 ? "waiting" : "check",
               strcmp(flag, "parent-missing") == 0   ? "its assessment is not here yet"
               : strcmp(flag, "parent-deleted") == 0 ? "its assessment was deleted"
                                                     : "its assessment belongs to another place");
    if (json_array_size(json_object_get(a, "conflicts")) > 0)
        printf("\n%zu conflict entries: fieldmesh conflicts\n", json_array_size(json_object_get(a, "conflicts")));
}

int fm_cmd_show(struct fm_cmd *cmd)
{
    if (cmd->arg_count != 1)
        return fm_say_error(cmd, "usage", "show wants the id or offlineId of a record", NULL, "fieldmesh records");
    return look(cmd, json_pack("{s:s, s:s}", "op", "show", "id", cmd->args[0]), show_record);
}

static void show_pull(struct fm_cmd *cmd, const json_t *a)
{
    (void)cmd;
    printf("%zu assessments, %zu responses, %zu entities, %zu deleted\ncursor %s%s\n",
           json_array_size(json_object_get(a, "assessments")), json_array_size(json_object_get(a, "responses")),
           json_array_size(json_object_get(a, "entities")), json_array_size(json_object_get(a, "tombstones")),
           fm_json_str(a, "cursor"), json_is_true(json_object_get(a, "hasMore")) ? "   more to come" : "");
}

int fm_cmd_pull(struct fm_cmd *cmd)
{
    static const struct {
        const char *option, *field;
    } texts[] = {{"as", "as"}, {"cursor", "cursor"}, {"since", "lastSyncTimestamp"}};
    json_t *call = json_pack("{s:s}", "op", "pull");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (fm_cmd_value(cmd, texts[i].option, 0) != NULL)
            json_object_set_new(call, texts[i].field, json_string(fm_cmd_value(cmd, texts[i].option, 0)));
    if (fm_cmd_value(cmd, "limit", 0) != NULL)
        json_object_set_new(call, "limit", json_integer(strtoll(fm_cmd_value(cmd, "limit", 0), NULL, 10)));
    return look(cmd, call, show_pull);
}
