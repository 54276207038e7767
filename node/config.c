/* DIR/fieldmesh.conf: read strictly, so that a slip of the pen is found when it is made and not in the field. */
#include "node/config.h"

#include <assert.h>
#include <stdarg.h>

#include "node/config_keys.h"
#include "node/identity.h"
#include "replication/error.h"

#define MAP_BYTES_DEFAULT (UINT64_C(16) << 30)

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL)
        text[--len] = '\0';
    return text;
}

/* Cuts a comment off: a ';' or '#' at the beginning or after a blank. */
static void cut_comment(char *text)
{
    for (char *at = text; *at != '\0'; at++)
        if ((*at == ';' || *at == '#') && (at == text || at[-1] == ' ' || at[-1] == '\t')) {
            *at = '\0';
            return;
        }
}

/* "a ; b" in quotes, with \" and \\ for the two, is taken as it stands. False: the closing quote is
 * missing, or text follows. */
static bool unquote(char *value)
{
    char *out = value, *in = value + 1;
    while (*in != '\0' && *in != '"') {
        if (*in == '\\' && (in[1] == '"' || in[1] == '\\'))
            in++;
        *out++ = *in++;
    }
    if (*in != '"')
        return false;
    in++;
    bool blank_follows = *in == '\0' || *in == ' ' || *in == '\t';
    cut_comment(in);
    bool alone = blank_follows && *trim(in) == '\0';
    *out = '\0';
    return alone;
}

static int refuse_line(const struct fm_config_reader *r, const char *line, const char *what)
{
    (void)snprintf(r->why, r->why_len, "%s:%u: '%s': %s", r->file, r->line, line, what);
    return FM_EFORMAT;
}

static int take_section(struct fm_config_reader *r, char *line)
{
    cut_comment(line);
    line = trim(line);
    size_t len = strlen(line);
    if (len < 3 || line[len - 1] != ']')
        return refuse_line(r, line, "want [SECTION]");
    line[len - 1] = '\0';
    return fm_config_keys_section(r, line + 1);
}

static int take_line(struct fm_config_reader *r, char *line)
{
    line = trim(line);
    if (*line == '\0' || *line == ';' || *line == '#')
        return FM_OK;
    if (*line == '[')
        return take_section(r, line);
    char *equals = strchr(line, '=');
    if (equals == NULL || equals == line)
        return refuse_line(r, line, "want KEY = VALUE");
    *equals = '\0';
    char *value = trim(equals + 1);
    r->key = trim(line);
    if (r->section == NULL)
        return refuse_line(r, r->key, "stands before any [SECTION]");
    if (*value == '"') {
        if (!unquote(value))
            return refuse_line(r, r->key, "the value's quotes do not close, or text follows them");
    } else {
        cut_comment(value);
        value = trim(value);
    }
    r->value = value;
    return fm_config_keys_take(r);
}

static int take_lines(struct fm_config_reader *r, char *text)
{
    for (char *line = text; line != NULL;) {
        char *next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        r->line++;
        int rc = take_line(r, line);
        if (rc != FM_OK)
            return rc;
        line = next;
    }
    const char *missing = r->config->name[0] == '\0' ? "name" : r->config->role[0] == '\0' ? "role" : NULL;
    if (missing == NULL)
        return FM_OK;
    (void)snprintf(r->why, r->why_len, "%s:%u: [node] has no '%s'", r->file, r->line, missing);
    return FM_EFORMAT;
}

int fm_config_decode(struct fm_config *out, struct fm_span text, const char *file, char *why, size_t why_len)
{
    struct fm_buf lines; /* cut up in place */
    *out = (struct fm_config){.listen = "0.0.0.0:7717", .http = "0.0.0.0:7780", .map_bytes = MAP_BYTES_DEFAULT};
    struct fm_config_reader r = {.config = out, .file = file, .why = why, .why_len = why_len};
    if (text.len > 0 && memchr(text.data, 0, text.len) != NULL) {
        (void)snprintf(why, why_len, "%s:1: this is no text file", file);
        return FM_EFORMAT;
    }
    fm_buf_init(&lines, 0);
    int rc = fm_buf_add(&lines, text.data, text.len);
    if (rc == FM_OK)
        rc = fm_buf_add(&lines, "", 1);
    if (rc == FM_OK)
        rc = take_lines(&r, (char *)lines.data);
    fm_buf_fini(&lines);
    return rc;
}

int fm_config_read(struct fm_config *out, const char *file, char *why, size_t why_len)
{
    struct fm_buf text;
    fm_buf_init(&text, 0);
    int rc = fm_file_read(file, &text, FM_CONFIG_BYTES_MAX);
    if (rc != FM_OK) {
        (void)snprintf(why, why_len, "%s: %s", file, fm_error_text(rc));
        rc = rc == FM_ENOTFOUND ? rc : FM_EFORMAT;
    } else {
        rc = fm_config_decode(out, fm_buf_span(&text), file, why, why_len);
    }
    fm_buf_fini(&text);
    return rc;
}

/* --- writing --- */

__attribute__((format(printf, 2, 3))) static int add(struct fm_buf *out, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof line);
    return fm_buf_add(out, line, (size_t)n);
}

/* A value so that it reads back the same: in quotes if it begins or ends oddly or holds what begins a comment. */
static void quote(char *out, const char *value)
{
    size_t len = strlen(value);
    bool plain = len > 0 && strchr("\" \t;#", value[0]) == NULL && value[len - 1] != ' ' && value[len - 1] != '\t';
    for (size_t i = 1; i < len; i++)
        plain = plain && !((value[i] == ';' || value[i] == '#') && (value[i - 1] == ' ' || value[i - 1] == '\t'));
    if (!plain)
        *out++ = '"';
    for (size_t i = 0; i < len; i++) {
        if (!plain && (value[i] == '"' || value[i] == '\\'))
            *out++ = '\\';
        *out++ = value[i];
    }
    if (!plain)
        *out++ = '"';
    *out = '\0';
}

int fm_config_encode(struct fm_buf *out, const struct fm_config *c)
{
    char value[2 * sizeof c->peers[0] + 3];
    uint64_t mib = (c->map_bytes == 0 ? MAP_BYTES_DEFAULT : c->map_bytes) >> 20;
    bool whole = mib % 1024 == 0;
    quote(value, c->name);
    int rc = add(out, "; Written once by `fieldmesh init`; from here on it is yours.\n"
                      "; A key or value that is wrong is named with its line when the node starts.\n\n[node]\nname = %s\nrole = %s                 ; camp, relay or coordinator\n\n", value, c->role);
    if (rc == FM_OK)
        rc = add(out, "[net]\nlisten = %s\n; peers reached by address, tried in order; NODE is a name or fingerprint\n"
                      "; peer = Maiduguri hub@10.8.0.1:7717\n", c->listen[0] != '\0' ? c->listen : "0.0.0.0:7717");
    for (size_t i = 0; rc == FM_OK && i < c->peer_count; i++) {
        quote(value, c->peers[i]);
        rc = add(out, "peer = %s\n", value);
    }
    if (rc == FM_OK)
        rc = add(out, "\n[http]\nlisten = %s                ; for tablets and browsers; or off\n\n",
                 c->http[0] != '\0' ? c->http : "off");
    if (rc == FM_OK)
        rc = add(out, "[store]\nsize = %llu%c                 ; room reserved for the map, not disk space used\n\n",
                 (unsigned long long)(whole ? mib / 1024 : mib), whole ? 'G' : 'M');
    if (rc == FM_OK)
        rc = add(out, "[coordinator]\nauto_settle = %s        ; never, or disjoint (on the node that the policy names)\n",
                 c->auto_settle ? "disjoint" : "never");
    return rc;
}

int fm_config_write(const struct fm_config *config, const char *file)
{
    struct fm_buf text;
    fm_buf_init(&text, 0);
    int rc = fm_config_encode(&text, config);
    if (rc == FM_OK)
        rc = fm_file_create(file, fm_buf_span(&text), 0644); /* no secrets in it */
    fm_buf_fini(&text);
    return rc;
}
