/* put: changes from a file or stdin, in batches; one result a change. */
#include <stdlib.h>
#include <string.h>

#include "node/batch.h"
#include "node/cmd.h"
#include "node/json.h"

/* One change a line. False: said why. */
static bool put_lines(struct fm_batch *batch, FILE *in, const char *file, int *code)
{
    char *line = NULL;
    size_t cap = 0, number = 0;
    ssize_t len;
    while (*code == FM_EXIT_DONE && (len = getline(&line, &cap, in)) >= 0) {
        char why[160], what[FM_PATH_MAX + 200];
        number++;
        if (strspn(line, " \t\r\n") == (size_t)len)
            continue;
        json_t *change = fm_json_parse(fm_span(line, (size_t)len), why, sizeof why);
        if (change == NULL) {
            snprintf(what, sizeof what, "%s:%zu: %s", file, number, why);
            if ((*code = fm_batch_send(batch)) != FM_EXIT_DONE) /* so that it is true what is said of them */
                break;
            *code = fm_say_error(batch->cmd, "bad-change", what, "the changes before this line were stored",
                                 "mend the line; putting the file again changes nothing twice");
            break;
        }
        *code = fm_batch_add(batch, change);
    }
    free(line);
    return *code == FM_EXIT_DONE;
}

/* The list of changes in a whole document; NULL: it is none. */
static json_t *changes_of(json_t *document)
{
    json_t *changes = json_is_object(document) ? json_object_get(document, "changes") : document;
    if (json_is_array(changes))
        return json_incref(changes);
    return json_is_object(document) && json_object_get(document, "type") != NULL ? json_pack("[O]", document) : NULL;
}

static char *read_all(FILE *in, size_t *len)
{
    char *text = NULL;
    size_t cap = 0;
    *len = 0;
    for (;;) {
        if (cap - *len < 65536) {
            char *more = realloc(text, cap = cap == 0 ? 131072 : 2 * cap);
            if (more == NULL) {
                free(text);
                return NULL;
            }
            text = more;
        }
        size_t got = fread(text + *len, 1, cap - *len, in);
        *len += got;
        if (got == 0)
            return text;
    }
}

static int put_document(struct fm_batch *batch, FILE *in, const char *file)
{
    char why[160], what[FM_PATH_MAX + 200];
    size_t len, i;
    char *text = read_all(in, &len);
    json_t *document = text != NULL ? fm_json_parse(fm_span(text, len), why, sizeof why) : NULL;
    json_t *changes = document != NULL ? changes_of(document) : NULL, *change;
    int code = FM_EXIT_DONE;
    free(text);
    if (changes == NULL) {
        snprintf(what, sizeof what, "%s: %s", file,
                 document == NULL ? why : "want a list of changes, or {\"changes\": [...]}");
        code = fm_say_error(batch->cmd, "bad-change", what, NULL, "one change a line also does");
    }
    json_array_foreach(changes, i, change)
    {
        if (code == FM_EXIT_DONE)
            code = fm_batch_add(batch, json_incref(change));
    }
    json_decref(changes);
    json_decref(document);
    return code;
}

/* NDJSON if the first line is an object of its own. */
static bool is_lines(FILE *in)
{
    int first = fgetc(in);
    while (first == ' ' || first == '\n' || first == '\r' || first == '\t')
        first = fgetc(in);
    if (first != EOF)
        ungetc(first, in);
    if (first != '{')
        return false;
    char peek[1 << 16];
    size_t len = 0;
    int c;
    while (len < sizeof peek && (c = fgetc(in)) != EOF) {
        peek[len++] = (char)c;
        if (c == '\n')
            break;
    }
    char why[160];
    json_t *line = fm_json_parse(fm_span(peek, len), why, sizeof why);
    bool lines = line != NULL && json_object_get(line, "changes") == NULL;
    json_decref(line);
    if (fseek(in, -(long)len, SEEK_CUR) != 0)
        while (len > 0)
            ungetc(peek[--len], in);
    return lines;
}

int fm_cmd_put(struct fm_cmd *cmd)
{
    if (cmd->arg_count != 1)
        return fm_say_error(cmd, "usage", "put wants a file, or - for standard input", NULL,
                            "fieldmesh put changes.json --as USER-ID");
    bool from_stdin = strcmp(cmd->args[0], "-") == 0;
    FILE *in = from_stdin ? stdin : fopen(cmd->args[0], "rb"), *spool = NULL;
    if (in == NULL) {
        char what[FM_PATH_MAX];
        snprintf(what, sizeof what, "%s: cannot be opened", cmd->args[0]);
        return fm_say_error(cmd, "not-found", what, NULL, "check the name");
    }
    if (from_stdin && (spool = tmpfile()) != NULL) { /* so that its form can be looked at first */
        char chunk[65536];
        for (size_t got; (got = fread(chunk, 1, sizeof chunk, stdin)) > 0;)
            if (fwrite(chunk, 1, got, spool) != got)
                break;
        rewind(spool);
        in = spool;
    }
    struct fm_batch batch;
    int code = FM_EXIT_DONE;
    fm_batch_init(&batch, cmd, fm_cmd_value(cmd, "as", 0), 0);
    if (is_lines(in))
        (void)put_lines(&batch, in, cmd->args[0], &code);
    else
        code = put_document(&batch, in, cmd->args[0]);
    if (code == FM_EXIT_DONE)
        code = fm_batch_send(&batch);
    int said = fm_batch_end(&batch, "put");
    if (in != stdin)
        fclose(in);
    return code != FM_EXIT_DONE ? code : said;
}
