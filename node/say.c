/* What a person or a script reads: messages, errors, ages. Errors: what, why, what to do, a stable code (UX.md). */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "node/cmd.h"
#include "node/json.h"
#include "replication/error.h"

int fm_say_exit_of(const char *code)
{
    static const struct { const char *code; int exit; } exits[] = {
        {"usage", FM_EXIT_USAGE}, {"not-initialised", FM_EXIT_NO_NODE}, {"not-running", FM_EXIT_NOT_RUNNING},
        {"store-busy", FM_EXIT_BUSY}, {"not-joined", FM_EXIT_NOT_ALLOWED}, {"coordinator-only", FM_EXIT_NOT_ALLOWED},
        {"not-assigned", FM_EXIT_NOT_ALLOWED}, {"not-trusted", FM_EXIT_NOT_ALLOWED}, {"foreign-mesh", FM_EXIT_NOT_ALLOWED},
        {"peer-revoked", FM_EXIT_NOT_ALLOWED}, {"root-needed", FM_EXIT_NOT_ALLOWED}, {"not-allowed", FM_EXIT_NOT_ALLOWED},
        {"damaged", FM_EXIT_DAMAGED}, {"store-full", FM_EXIT_NO_SPACE}, {"disk-full", FM_EXIT_NO_SPACE},
    };
    for (size_t i = 0; code != NULL && i < sizeof exits / sizeof *exits; i++)
        if (strcmp(exits[i].code, code) == 0)
            return exits[i].exit;
    return FM_EXIT_FAILED;
}

int fm_say_error(const struct fm_cmd *cmd, const char *code, const char *what, const char *why, const char *help)
{
    code = code != NULL ? code : "failed";
    what = what != NULL ? what : "failed";
    if (cmd->json) {
        json_t *error = json_pack("{s:s, s:s, s:s}", "type", "error", "code", code, "message", what);
        if (why != NULL)
            json_object_set_new(error, "why", json_string(why));
        if (help != NULL)
            json_object_set_new(error, "do", json_string(help));
        fm_say_json(error);
        json_decref(error);
    } else {
        fprintf(stderr, "fieldmesh: %s\n", what);
        if (why != NULL)
            fprintf(stderr, "  why   %s\n", why);
        if (help != NULL)
            fprintf(stderr, "  do    %s\n", help);
        fprintf(stderr, "  code  %s\n", code);
    }
    return fm_say_exit_of(code);
}

int fm_say_fm_error(const struct fm_cmd *cmd, const char *doing, int error)
{
    char what[FM_PATH_MAX + 100];
    if (error == FM_ENOTFOUND) {
        snprintf(what, sizeof what, "no node in %s", cmd->paths.data);
        return fm_say_error(cmd, "not-initialised", what, NULL, "fieldmesh init --name NAME --role camp");
    }
    if (error == FM_EBUSY) {
        snprintf(what, sizeof what, "another process has the store in %s open", cmd->paths.store);
        return fm_say_error(cmd, "store-busy", what, "one process at a time may write it",
                            "wait for it to end, or use the running node's commands");
    }
    snprintf(what, sizeof what, "%s: %s", doing, fm_error_text(error));
    const char *help = error == FM_ECORRUPT    ? "fieldmesh verify, then restore a backup or let the peers refill it"
                       : error == FM_EDISKFULL || error == FM_EFULL ? "free space; nothing that was acknowledged is lost"
                       : error == FM_ENEWER    ? "install the newer fieldmesh"
                                               : NULL;
    return fm_say_error(cmd, fm_error_code(error), what, NULL, help);
}

void fm_say_json(const json_t *value)
{
    char *text = fm_json_text(value);
    if (text != NULL)
        fputs(text, stdout);
    fflush(stdout);
    free(text);
}

void fm_say_talk(const struct fm_cmd *cmd, const char *format, ...)
{
    if (cmd->quiet || cmd->json)
        return;
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

void fm_say_ago(char out[32], uint64_t ms_ago)
{
    uint64_t s = ms_ago / 1000;
    if (s < 5)
        snprintf(out, 32, "now");
    else if (s < 120)
        snprintf(out, 32, "%llu s ago", (unsigned long long)s);
    else if (s < 7200)
        snprintf(out, 32, "%llu min ago", (unsigned long long)(s / 60));
    else if (s < 172800)
        snprintf(out, 32, "%llu h ago", (unsigned long long)(s / 3600));
    else
        snprintf(out, 32, "%llu d ago", (unsigned long long)(s / 86400));
}

void fm_say_safe(char *out, size_t out_len, const char *text)
{
    size_t n = 0;
    for (; text != NULL && *text != '\0' && n + 1 < out_len; text++)
        out[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
    out[n] = '\0';
}
