/* What a person or a script reads: messages, errors, ages. Errors: what, why, what to do, a stable code (UX.md). */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "node/cmd.h"
#include "node/json.h"
#include "replication/error.h"

/* Codes that are no FM_E… error, and the exits of those that are not plain failures. docs/OPERATING.md says what to do. */
static const struct {
    const char *code;
    int exit;
    const char *text; /* NULL: fm_error_text has it */
} codes[] = {
    {"usage", FM_EXIT_USAGE, NULL},
    {"not-initialised", FM_EXIT_NO_NODE, "there is no node in this folder"},
    {"not-running", FM_EXIT_NOT_RUNNING, "the node is not running"},
    {"store-busy", FM_EXIT_BUSY, NULL},
    {"not-joined", FM_EXIT_NOT_ALLOWED, NULL},
    {"coordinator-only", FM_EXIT_NOT_ALLOWED, NULL},
    {"foreign-mesh", FM_EXIT_NOT_ALLOWED, NULL},
    {"peer-revoked", FM_EXIT_NOT_ALLOWED, NULL},
    {"not-assigned", FM_EXIT_NOT_ALLOWED, "this person is not assigned to this entity, or does not act here"},
    {"not-trusted", FM_EXIT_NOT_ALLOWED, "the grant is not for this node or not from its mesh's authority"},
    {"root-needed", FM_EXIT_NOT_ALLOWED, "only the root key may do this, and it is not on this machine"},
    {"not-allowed", FM_EXIT_NOT_ALLOWED, "this person may not do this"},
    {"damaged", FM_EXIT_DAMAGED, NULL},
    {"store-full", FM_EXIT_NO_SPACE, NULL},
    {"disk-full", FM_EXIT_NO_SPACE, NULL},
    {"peer-unknown", FM_EXIT_FAILED, "no device or peer of this name is known here"},
    {"peer-unreachable", FM_EXIT_FAILED, "the peer did not answer"},
    {"conflict-unknown", FM_EXIT_FAILED, "no conflict of this number or id is known here"},
    {"not-settled", FM_EXIT_FAILED, "this conflict is not settled by a decision, so there is none to take back"},
    {"cursor-foreign", FM_EXIT_FAILED, "the cursor was made for another person or other entities"},
    {"folding", FM_EXIT_FAILED, "records are still being judged again; ask again in a moment"},
    {"bad-change", FM_EXIT_FAILED, "the change cannot be read; the message names the place"},
    {"import", FM_EXIT_FAILED, "the table or its map has a fault; the message names the line and column"},
    {"config-key", FM_EXIT_FAILED, "the config file has a key that does not exist"},
    {"config-value", FM_EXIT_FAILED, "the config file has a value of the wrong form"},
    {"field", FM_EXIT_FAILED, "a field of the record is missing or of the wrong form"},
    {"version", FM_EXIT_FAILED, "the version number is missing or out of range"},
    {"too-far-ahead", FM_EXIT_FAILED, "the version number is more than 1,000 above the stored one: pull first"},
    {"person-unknown", FM_EXIT_FAILED, "no person of this id is known here"},
    {"person-inactive", FM_EXIT_FAILED, "this person was made inactive"},
    {"entity-differs", FM_EXIT_FAILED, "the response's entity is not its assessment's"},
    {"delivered", FM_EXIT_FAILED, "what was delivered does not go back to planned"},
    {"verification", FM_EXIT_FAILED, "this verification step is not possible from where the record stands"},
    {"not-supported", FM_EXIT_FAILED, "this version of the program cannot do this yet"},
    {"unknown-type", FM_EXIT_FAILED, "the type of the change is none that is known"},
    {"stopped", FM_EXIT_FAILED, "a signal ended the command before it was through"},
    {"unknown-action", FM_EXIT_FAILED, "the action of the change is none that is known"},
};

int fm_say_exit_of(const char *code)
{
    for (size_t i = 0; code != NULL && i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].code, code) == 0)
            return codes[i].exit;
    return FM_EXIT_FAILED;
}

const char *fm_say_text_of(const char *code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].code, code) == 0 && codes[i].text != NULL)
            return codes[i].text;
#define X(name, number, text_code, text)                                                                                    \
    if (strcmp(code, text_code) == 0)                                                                                       \
        return text;
    FM_ERRORS(X)
#undef X
    return NULL;
}

/* What to do about errors that can come from anywhere, so that none is told without it. */
static const char *help_of(const char *code)
{
    static const struct {
        const char *code, *help;
    } list[] = {
        {"io", "look at the disk and at the system's log (also: too many open files), then do the same again"},
        {"store", "look at the disk and at the system's log, then fieldmesh verify"},
        {"memory", "end other programs, then do the same again"},
        {"disk-full", "free space; nothing that was acknowledged is lost"},
        {"store-full", "raise store.size in the config; nothing that was acknowledged is lost"},
        {"damaged", "fieldmesh stop, then fieldmesh verify --repair"},
        {"key", "a file of the key folder is missing or damaged: take it from your copy"},
        {"exists", "choose another name"},
        {"limit", "split it, or choose a shorter name"},
        {"format", "take another copy of the file"},
        {"store-newer", "install the newer fieldmesh"},
        {"not-joined", "fieldmesh join --request FILE"},
        {"coordinator-only", "do it at the hub"},
        {"not-found", "check the id or the file's name"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(list[i].code, code) == 0)
            return list[i].help;
    return NULL;
}

int fm_say_error(const struct fm_cmd *cmd, const char *code, const char *what, const char *why, const char *help)
{
    code = code != NULL ? code : "failed";
    help = help != NULL ? help : help_of(code);
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
    if (error == FM_EFORMAT) { /* the line itself was logged when it was read */
        snprintf(what, sizeof what, "%s cannot be used as it is", cmd->paths.config);
        return fm_say_error(cmd, "config-value", what, NULL, "edit the line named above");
    }
    snprintf(what, sizeof what, "%s: %s", doing, fm_error_text(error));
    return fm_say_error(cmd, fm_error_code(error), what, NULL, NULL);
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

/* Bytes of the well-formed UTF-8 character at the front; 0: none. */
static size_t character(const unsigned char *at, unsigned *out)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = at[0] < 0x80 ? 1 : at[0] >> 5 == 6 ? 2 : at[0] >> 4 == 14 ? 3 : at[0] >> 3 == 30 ? 4 : 0;
    *out = n == 1 ? at[0] : at[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (at[i] >> 6 != 2) /* the text's end too */
            return 0;
        *out = *out << 6 | (at[i] & 0x3fu);
    }
    return n > 1 && (*out < least[n] || *out > 0x10ffff || *out >> 11 == 0x1b) ? 0 : n;
}

/* C0 and C1 (terminals take U+009B for an escape), line and paragraph ends, and what turns the direction of writing. */
static bool steers(unsigned c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

void fm_say_safe(char *out, size_t out_len, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = 0;
    unsigned c;
    while (at != NULL && *at != '\0') {
        size_t len = character(at, &c);
        bool safe = len > 0 && !steers(c);
        if (n + (safe ? len : 1) >= out_len)
            break; /* no half of a character */
        if (safe)
            memcpy(out + n, at, len);
        else
            out[n] = '?';
        n += safe ? len : 1;
        at += len > 0 ? len : 1;
    }
    out[n] = '\0';
}
