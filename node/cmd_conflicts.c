/* conflicts: list, show, resolve. A is the version that is shown now, B the one that lost. */
#include <stdlib.h>
#include <string.h>

#include "node/cmd.h"
#include "node/json.h"

static int list(struct fm_cmd *cmd, bool all, json_t **entries)
{
    json_t *answer, *call = json_pack("{s:s, s:b}", "op", "conflicts", "all", all);
    const char *limit = fm_cmd_value(cmd, "limit", 0);
    if (limit != NULL)
        json_object_set_new(call, "limit", json_integer(strtoll(limit, NULL, 10)));
    int code = fm_cmd_call(cmd, call, &answer);
    if (code != FM_EXIT_DONE)
        return code;
    *entries = json_incref(json_object_get(answer, "conflicts"));
    json_decref(answer);
    return FM_EXIT_DONE;
}

/* N of the list, or an id. */
static int pick(struct fm_cmd *cmd, json_t **entry)
{
    const char *which = cmd->arg_count > 0 ? cmd->args[0] : "";
    json_t *entries;
    *entry = NULL;
    if (strlen(which) == 32)
        return fm_cmd_call(cmd, json_pack("{s:s, s:s}", "op", "conflict", "id", which), entry);
    int code = list(cmd, fm_cmd_has(cmd, "all"), &entries);
    if (code != FM_EXIT_DONE)
        return code;
    long n = strtol(which, NULL, 10);
    if (n >= 1 && (size_t)n <= json_array_size(entries))
        *entry = json_incref(json_array_get(entries, (size_t)n - 1));
    json_decref(entries);
    return *entry != NULL ? FM_EXIT_DONE
                          : fm_say_error(cmd, "conflict-unknown", "no conflict of this number or id is open here", NULL,
                                         "fieldmesh conflicts");
}

static bool is_compared(const char *field)
{
    static const char *const silent[] = {"createdAt",     "updatedAt",  "syncStatus",
                                         "versionNumber", "assessorId", "responderId"};
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (strcmp(silent[i], field) == 0)
            return false;
    return true;
}

/* Calls take for each leaf that differs between A and B, with its path ("assessmentData.numberToilets"). */
static size_t each_difference(const json_t *a, const json_t *b, const json_t *base, const char *prefix, int depth,
                              void (*take)(void *arg, const char *path, json_t *a, json_t *b, json_t *was), void *arg)
{
    size_t count = 0;
    json_t *keys = json_object(), *unused;
    const char *key;
    json_object_update(keys, (json_t *)(uintptr_t)a);
    json_object_update(keys, (json_t *)(uintptr_t)b);
    json_object_foreach(keys, key, unused)
    {
        json_t *x = json_object_get(a, key), *y = json_object_get(b, key), *was = json_object_get(base, key);
        char path[256];
        (void)unused;
        if ((x != NULL && y != NULL && json_equal(x, y)) || (depth == 0 && !is_compared(key)))
            continue;
        snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", key);
        if (json_is_object(x) && json_is_object(y) && depth < 16) {
            count += each_difference(x, y, was, path, depth + 1, take, arg);
            continue;
        }
        count++;
        if (take != NULL)
            take(arg, path, x, y, was);
    }
    json_decref(keys);
    return count;
}

int fm_cmd_conflicts(struct fm_cmd *cmd)
{
    json_t *entries, *e;
    size_t i;
    if (cmd->arg_count > 0)
        return fm_say_error(cmd, "usage", "conflicts takes no argument", NULL, "fieldmesh conflicts show N");
    int code = list(cmd, fm_cmd_has(cmd, "all"), &entries);
    if (code != FM_EXIT_DONE)
        return code;
    if (!cmd->json && json_array_size(entries) > 0)
        printf("%4s  %-10s %-38s %-10s %-9s %s\n", "N", "TYPE", "RECORD", "FIELDS", "STATE", "BETWEEN");
    json_array_foreach(entries, i, e)
    {
        char between[120], safe[120], fields[32];
        if (cmd->json) {
            fm_say_json(e);
            continue;
        }
        size_t n = each_difference(json_object_get(e, "winningVersion"), json_object_get(e, "losingVersion"), NULL, "", 0,
                                   NULL, NULL);
        snprintf(fields, sizeof fields, "%zu differ%s", n, n == 1 ? "s" : "");
        snprintf(between, sizeof between, "%s / %s", fm_json_str(e, "winningNode"), fm_json_str(e, "losingNode"));
        fm_say_safe(safe, sizeof safe, between);
        printf("%4zu  %-10s %-38s %-10s %-9s %s\n", i + 1, fm_json_str(e, "entityType"), fm_json_str(e, "entityId"), fields,
               fm_json_str(e, "state"), safe);
    }
    if (!cmd->json && json_array_size(entries) == 0)
        puts("no conflicts");
    json_decref(entries);
    return FM_EXIT_DONE;
}

static bool is_alike(json_t *a, json_t *b)
{
    return a == NULL || b == NULL ? a == b : json_equal(a, b);
}

static void short_text(char out[40], const json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    fm_say_safe(out, 28, text != NULL ? text : "-");
    free(text);
}

static void print_difference(void *arg, const char *path, json_t *a, json_t *b, json_t *was)
{
    char x[40], y[40], w[40];
    (void)arg;
    short_text(x, a);
    short_text(y, b);
    short_text(w, was);
    bool only_a = is_alike(was, b), only_b = is_alike(was, a);
    printf("*%-34s %-28s %-28s %-28s -> %s\n", path, w, x, y,
           only_a   ? "A, only A changed it"
           : only_b ? "B, only B changed it"
                    : "choose");
}

int fm_cmd_conflicts_show(struct fm_cmd *cmd)
{
    json_t *e;
    int code = pick(cmd, &e);
    if (code != FM_EXIT_DONE)
        return code;
    if (cmd->json) {
        fm_say_json(e);
    } else {
        printf("%s %s   %s, %s\n", fm_json_str(e, "entityType"), fm_json_str(e, "entityId"), fm_json_str(e, "class"),
               fm_json_str(e, "state"));
        printf("  A  %s, %s, %s\n  B  %s, %s, %s\n\n", fm_json_str(e, "winningPerson"), fm_json_str(e, "winningNode"),
               fm_json_str(e, "winningTime"), fm_json_str(e, "losingPerson"), fm_json_str(e, "losingNode"),
               fm_json_str(e, "losingTime"));
        printf(" %-34s %-28s %-28s %-28s\n", "FIELD", "WAS", "A", "B");
        each_difference(json_object_get(e, "winningVersion"), json_object_get(e, "losingVersion"),
                        json_object_get(e, "base"), "", 0, print_difference, NULL);
        printf("\n now shown: A. B is kept.\n");
    }
    json_decref(e);
    return FM_EXIT_DONE;
}

/* Sets a leaf by its path, making maps on the way; NULL removes it. */
static void set_path(json_t *document, const char *path, json_t *value)
{
    char part[256];
    snprintf(part, sizeof part, "%s", path);
    char *dot, *at = part;
    while ((dot = strchr(at, '.')) != NULL) {
        *dot = '\0';
        json_t *inner = json_object_get(document, at);
        if (!json_is_object(inner)) {
            inner = json_object();
            json_object_set_new(document, at, inner);
        }
        document = inner;
        at = dot + 1;
    }
    if (value == NULL)
        json_object_del(document, at);
    else
        json_object_set(document, at, value);
}

static json_t *get_path(json_t *document, const char *path)
{
    char part[256];
    snprintf(part, sizeof part, "%s", path);
    char *dot, *at = part;
    while ((dot = strchr(at, '.')) != NULL) {
        *dot = '\0';
        document = json_object_get(document, at);
        at = dot + 1;
    }
    return json_object_get(document, at);
}

/* --field f=A, --set f=VALUE laid over the document. False: said why. */
static bool lay_over(struct fm_cmd *cmd, const json_t *entry, json_t *document)
{
    const char *field;
    for (size_t i = 0; (field = fm_cmd_value(cmd, "field", i)) != NULL; i++) {
        const char *equals = strrchr(field, '=');
        char path[256];
        if (equals == NULL || (strcmp(equals, "=A") != 0 && strcmp(equals, "=B") != 0)) {
            fm_say_error(cmd, "usage", "--field wants FIELD=A or FIELD=B", NULL, NULL);
            return false;
        }
        snprintf(path, sizeof path, "%.*s", (int)(equals - field), field);
        set_path(document, path,
                 get_path(json_object_get(entry, equals[1] == 'A' ? "winningVersion" : "losingVersion"), path));
    }
    for (size_t i = 0; (field = fm_cmd_value(cmd, "set", i)) != NULL; i++) {
        const char *equals = strchr(field, '=');
        char path[256];
        if (equals == NULL) {
            fm_say_error(cmd, "usage", "--set wants FIELD=VALUE", NULL, NULL);
            return false;
        }
        snprintf(path, sizeof path, "%.*s", (int)(equals - field), field);
        json_t *value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        value = value != NULL ? value : json_string(equals + 1);
        set_path(document, path, value);
        json_decref(value);
    }
    return true;
}

struct merge {
    struct fm_cmd *cmd;
    json_t *document;
    char clash[256]; /* a field that both changed and no option chose */
};

static bool is_chosen(const struct fm_cmd *cmd, const char *path)
{
    static const char *const options[] = {"field", "set"};
    size_t len = strlen(path);
    const char *given;
    for (size_t o = 0; o < 2; o++)
        for (size_t i = 0; (given = fm_cmd_value(cmd, options[o], i)) != NULL; i++)
            if (strncmp(given, path, len) == 0 && given[len] == '=')
                return true;
    return false;
}

/* What only B changed is taken from B; what both changed must be chosen. */
static void take_one_sided(void *arg, const char *path, json_t *a, json_t *b, json_t *was)
{
    struct merge *m = arg;
    if (is_alike(was, a))
        set_path(m->document, path, b);
    else if (!is_alike(was, b) && !is_chosen(m->cmd, path))
        snprintf(m->clash, sizeof m->clash, "%s", path);
}

/* The document that --field and --set are laid over: A or B whole if taken, else A with what only B changed. NULL: said. */
static json_t *start_from(struct fm_cmd *cmd, const json_t *entry, const char *take)
{
    bool b = take != NULL && strcmp(take, "B") == 0;
    struct merge m = {.cmd = cmd,
                      .document = json_deep_copy(json_object_get(entry, b ? "losingVersion" : "winningVersion"))};
    if (take == NULL)
        each_difference(json_object_get(entry, "winningVersion"), json_object_get(entry, "losingVersion"),
                        json_object_get(entry, "base"), "", 0, take_one_sided, &m);
    if (m.clash[0] == '\0')
        return m.document;
    char what[320];
    snprintf(what, sizeof what, "both sides changed %s: choose", m.clash);
    fm_say_error(cmd, "usage", what, NULL,
                 "--field FIELD=A, --field FIELD=B or --set FIELD=VALUE; or --take A for the rest");
    json_decref(m.document);
    return NULL;
}

/* What the options ask for, as one resolution. NULL: said why. */
static json_t *resolution_of(struct fm_cmd *cmd, const json_t *entry)
{
    const char *take = fm_cmd_value(cmd, "take", 0), *note = fm_cmd_value(cmd, "note", 0);
    bool own = fm_cmd_has(cmd, "field") || fm_cmd_has(cmd, "set"), take_b = take != NULL && strcmp(take, "B") == 0;
    if (!take_b && !own && !fm_cmd_has(cmd, "merge") && (take == NULL || strcmp(take, "A") != 0)) {
        fm_say_error(cmd, "usage", "say what to keep: --take A, --take B, --merge, --field or --set", NULL,
                     "fieldmesh conflicts show N");
        return NULL;
    }
    json_t *out = json_pack("{s:s}", "conflict", fm_json_str(entry, "id"));
    if (note != NULL)
        json_object_set_new(out, "reason", json_string(note));
    if (own || take_b) {
        json_t *document = start_from(cmd, entry, take);
        if (document == NULL || !lay_over(cmd, entry, document)) {
            json_decref(document);
            json_decref(out);
            return NULL;
        }
        json_object_set_new(out, "strategy", json_string("manual"));
        json_object_set_new(out, "data", document);
    } else {
        json_object_set_new(out, "strategy", json_string(fm_cmd_has(cmd, "merge") ? "merge" : "last_write_wins"));
    }
    return out;
}

static void print_kept(void *arg, const char *path, json_t *result, json_t *shown, json_t *was)
{
    char now[40], before[40];
    (void)arg;
    (void)was;
    short_text(now, result);
    short_text(before, shown);
    printf("  %-34s %s   (now %s)\n", path, now, before);
}

static void say_would(const json_t *entry, const json_t *resolution)
{
    const json_t *data = json_object_get(resolution, "data");
    if (data == NULL) {
        puts(strcmp(fm_json_str(resolution, "strategy"), "merge") == 0 ? "Would write what A and what B changed, together."
                                                                       : "Would write A again, as it is shown now.");
    } else {
        puts("Would write a new version that differs from what is shown now in:");
        if (each_difference(data, json_object_get(entry, "winningVersion"), NULL, "", 0, print_kept, NULL) == 0)
            puts("  nothing");
    }
    puts("Nothing written.");
}

int fm_cmd_conflicts_resolve(struct fm_cmd *cmd)
{
    json_t *entry, *answer;
    int code = pick(cmd, &entry);
    if (code != FM_EXIT_DONE)
        return code;
    json_t *resolution = resolution_of(cmd, entry);
    if (resolution == NULL || fm_cmd_has(cmd, "dry-run")) {
        if (resolution != NULL && cmd->json)
            fm_say_json(resolution);
        else if (resolution != NULL)
            say_would(entry, resolution);
        code = resolution == NULL ? FM_EXIT_USAGE : FM_EXIT_DONE;
        json_decref(resolution);
        json_decref(entry);
        return code;
    }
    const char *as = fm_cmd_value(cmd, "as", 0);
    code = fm_cmd_call(
        cmd, json_pack("{s:s, s:s, s:[o]}", "op", "resolve", "as", as != NULL ? as : "operator", "resolutions", resolution),
        &answer);
    if (code == FM_EXIT_DONE) {
        const json_t *result = json_array_get(json_object_get(answer, "results"), 0);
        if (strcmp(fm_json_str(result, "status"), "success") != 0)
            code =
                fm_say_error(cmd, fm_json_str(result, "code"), fm_json_str(result, "message"), NULL, "fieldmesh conflicts");
        else if (cmd->json)
            fm_say_json(result);
        else
            printf("Settled %s. Both versions stay in its history: fieldmesh show %s\n", fm_json_str(entry, "entityId"),
                   fm_json_str(entry, "entityId"));
        json_decref(answer);
    }
    json_decref(entry);
    return code;
}
