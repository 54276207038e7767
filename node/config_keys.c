#include "node/config_keys.h"

#include <assert.h>
#include <jansson.h>

#include "replication/error.h"

struct known {
    const char *section, *key;
    bool (*take)(struct fm_config_reader *r); /* false: the value is not as `want` says */
    const char *want;
    bool repeats;
};

static int refuse_value(const struct fm_config_reader *r, const char *want)
{
    (void)snprintf(r->why, r->why_len, "%s:%u: %s.%s = '%s': want %s", r->file, r->line, r->section, r->key, r->value, want);
    return FM_EFORMAT;
}

/* --- forms of values --- */

static bool is_one_of(const char *value, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(value, *words) == 0)
            return true;
    return false;
}

/* Digits and one unit of `units` ("MG") at *end; 0 for anything else, and for nought. */
static uint64_t number_of(const char *value, const char *units, char *unit)
{
    size_t len = strspn(value, "0123456789");
    if (len == 0 || len > 9 || value[0] == '0')
        return 0;
    bool bare = value[len] == '\0' && *units == '\0';
    if (!bare && (value[len] == '\0' || value[len + 1] != '\0' || strchr(units, value[len]) == NULL))
        return 0;
    if (unit != NULL)
        *unit = value[len];
    return strtoull(value, NULL, 10);
}

static uint64_t bytes_of(const char *value)
{
    char unit = 0;
    uint64_t number = number_of(value, "MG", &unit);
    return number << (unit == 'G' ? 30 : 20); /* 9 digits: no overflow */
}

/* A given name: UTF-8 without control characters, as it is shown on everybody's screen; enrol.c takes no others. */
static bool is_name(const char *value)
{
    size_t len = strlen(value);
    if (len == 0 || len > FM_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool c1 = (uint8_t)value[i] == 0xc2 && (uint8_t)value[i + 1] < 0xa0; /* U+0080 to U+009F */
        if ((uint8_t)value[i] < 0x20 || value[i] == 0x7f || c1)
            return false;
    }
    json_t *text = json_string(value); /* NULL: no UTF-8 */
    json_decref(text);
    return text != NULL;
}

static void keep(char *out, size_t size, const char *value)
{
    int n = snprintf(out, size, "%s", value);
    assert(n >= 0 && (size_t)n < size);
}

static bool take_name(struct fm_config_reader *r)
{
    if (!is_name(r->value))
        return false;
    keep(r->config->name, sizeof r->config->name, r->value);
    return true;
}
static bool take_role(struct fm_config_reader *r)
{
    static const char *const roles[] = {"camp", "relay", "coordinator", NULL};
    if (!is_one_of(r->value, roles))
        return false;
    keep(r->config->role, sizeof r->config->role, r->value);
    return true;
}
static bool take_listen(struct fm_config_reader *r)
{
    char endpoint[128];
    if (strlen(r->value) >= sizeof r->config->listen || fm_endpoint_parse(endpoint, r->value) != FM_OK)
        return false;
    keep(r->config->listen, sizeof r->config->listen, r->value);
    return true;
}
static bool take_http(struct fm_config_reader *r)
{
    char endpoint[128];
    bool off = strcmp(r->value, "off") == 0;
    if (!off && (strlen(r->value) >= sizeof r->config->http || fm_endpoint_parse(endpoint, r->value) != FM_OK))
        return false;
    keep(r->config->http, sizeof r->config->http, off ? "" : r->value);
    return true;
}
static bool take_peer(struct fm_config_reader *r)
{
    struct fm_config *c = r->config;
    char node[FM_NAME_BYTES_MAX + 1], endpoint[128];
    const char *at = strrchr(r->value, '@'); /* a name may hold one, an address never */
    size_t len = at == NULL ? 0 : (size_t)(at - r->value);
    if (len == 0 || len > FM_NAME_BYTES_MAX || strlen(r->value) >= sizeof c->peers[0] ||
        c->peer_count == FM_CONFIG_PEERS_MAX)
        return false;
    memcpy(node, r->value, len);
    node[len] = '\0';
    if (!is_name(node) || fm_endpoint_parse(endpoint, at + 1) != FM_OK || strstr(endpoint, ":*") != NULL)
        return false;
    keep(c->peers[c->peer_count++], sizeof c->peers[0], r->value);
    return true;
}
static bool take_map(struct fm_config_reader *r)
{
    r->config->map_bytes = bytes_of(r->value);
    return r->config->map_bytes != 0 && r->config->map_bytes <= UINT64_C(1) << 40;
}
static bool take_settle(struct fm_config_reader *r)
{
    static const char *const words[] = {"never", "disjoint", NULL};
    r->config->auto_settle = strcmp(r->value, "disjoint") == 0;
    return is_one_of(r->value, words);
}

/* Known, but what they switch is not built yet: the form is checked, so that a file stays good. */
static bool check_on_off(struct fm_config_reader *r)
{
    static const char *const words[] = {"on", "off", NULL};
    return is_one_of(r->value, words);
}
static bool check_metrics(struct fm_config_reader *r)
{
    static const char *const words[] = {"local", "on", "off", NULL};
    return is_one_of(r->value, words);
}
static bool check_tls(struct fm_config_reader *r)
{
    const char *space = strpbrk(r->value, " \t");
    if (strcmp(r->value, "off") == 0)
        return true;
    if (space == NULL || r->value[0] != '/')
        return false;
    space += strspn(space, " \t");
    return space[0] == '/' && strpbrk(space, " \t") == NULL;
}
static bool check_size(struct fm_config_reader *r)
{
    return bytes_of(r->value) != 0;
}
static bool check_batch(struct fm_config_reader *r)
{
    uint64_t n = number_of(r->value, "", NULL);
    return n >= 1 && n <= FM_BATCH_CHANGES_MAX;
}
static bool check_backup(struct fm_config_reader *r)
{
    unsigned hour, minute, keep_count;
    int end = 0;
    if (strcmp(r->value, "off") == 0)
        return true;
    return sscanf(r->value, "daily %2u:%2u keep %3u%n", &hour, &minute, &keep_count, &end) == 3 && r->value[end] == '\0'
           && hour < 24 && minute < 60 && keep_count >= 1;
}
static bool check_age(struct fm_config_reader *r)
{
    return number_of(r->value, "dh", NULL) != 0;
}
static bool check_any(struct fm_config_reader *r)
{
    (void)r;
    return true;
}

static const struct known knowns[] = {
    {"node", "name", take_name, "1 to 64 bytes of text", false},
    {"node", "role", take_role, "camp, relay or coordinator", false},
    {"net", "listen", take_listen, "ADDRESS:PORT, the address in digits, as 0.0.0.0:7717 or [::]:7717", false},
    {"net", "beacon", check_on_off, "on or off", false},
    {"net", "peer", take_peer, "NODE@ADDRESS:PORT, NODE a name or fingerprint; at most 32 peers", true},
    {"http", "listen", take_http, "ADDRESS:PORT, the address in digits, or off", false},
    {"http", "tls", check_tls, "off, or the paths of a certificate file and a key file", false},
    {"http", "metrics", check_metrics, "local, on or off", false},
    {"store", "size", take_map, "a number with M or G, at most 1024G", false},
    {"store", "photos_max", check_size, "a number with M or G", false},
    {"store", "backup", check_backup, "off, or daily HH:MM keep N", false},
    {"limits", "batch", check_batch, "a number from 1 to 100", false},
    {"limits", "photo", check_size, "a number with M or G", false},
    {"limits", "relay_carry", check_size, "a number with M or G", false},
    {"coordinator", "auto_settle", take_settle, "never or disjoint", false},
    {"coordinator", "waiting_alarm", check_age, "a number with d or h", false},
    {"notify", "command", check_any, "", false},
};
#define KNOWN_COUNT (sizeof knowns / sizeof knowns[0])
_Static_assert(KNOWN_COUNT <= 32, "a bit for each");

/* --- what stands in its place --- */

/* Letters to change, add, drop or swap with the neighbour; both words are cut at 31 letters. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[3][33];
    unsigned n = (unsigned)strnlen(a, 31), m = (unsigned)strnlen(b, 31);
    for (unsigned j = 0; j <= m; j++)
        row[0][j] = j;
    for (unsigned i = 1; i <= n; i++) {
        unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *older = row[(i + 1) % 3];
        now[0] = i;
        for (unsigned j = 1; j <= m; j++) {
            unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && older[j - 2] + 1 < best)
                best = older[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

static int refuse_key(const struct fm_config_reader *r)
{
    const struct known *nearest = NULL, *elsewhere = NULL;
    unsigned least = 4; /* further apart it is another word */
    for (const struct known *k = knowns; k < knowns + KNOWN_COUNT; k++) {
        bool here = strcmp(k->section, r->section) == 0;
        unsigned d = distance(r->key, k->key);
        if (here && d < least)
            nearest = k, least = d;
        if (!here && d == 0)
            elsewhere = k;
    }
    int n = snprintf(r->why, r->why_len, "%s:%u: unknown key '%s'", r->file, r->line, r->key);
    if (n < 0 || (size_t)n >= r->why_len)
        return FM_EFORMAT;
    if (elsewhere != NULL)
        (void)snprintf(r->why + n, r->why_len - (size_t)n, " in [%s]; it belongs in [%s]", r->section, elsewhere->section);
    else if (nearest != NULL)
        (void)snprintf(r->why + n, r->why_len - (size_t)n, "; did you mean '%s'?", nearest->key);
    else
        (void)snprintf(r->why + n, r->why_len - (size_t)n, " in [%s]", r->section);
    return FM_EFORMAT;
}

int fm_config_keys_section(struct fm_config_reader *r, const char *name)
{
    const char *nearest = NULL;
    unsigned least = 4;
    r->section = NULL;
    for (const struct known *k = knowns; k < knowns + KNOWN_COUNT; k++) {
        unsigned d = distance(name, k->section);
        if (strcmp(name, k->section) == 0)
            r->section = k->section;
        if (d < least)
            nearest = k->section, least = d;
    }
    if (r->section != NULL)
        return FM_OK;
    if (nearest != NULL)
        (void)snprintf(r->why, r->why_len, "%s:%u: unknown section [%s]; did you mean [%s]?", r->file, r->line, name,
                       nearest);
    else
        (void)snprintf(r->why, r->why_len, "%s:%u: unknown section [%s]", r->file, r->line, name);
    return FM_EFORMAT;
}

int fm_config_keys_take(struct fm_config_reader *r)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(knowns[i].section, r->section) != 0 || strcmp(knowns[i].key, r->key) != 0)
            continue;
        if ((r->seen >> i & 1) != 0 && !knowns[i].repeats)
            return refuse_value(r, "this key only once");
        r->seen |= UINT32_C(1) << i;
        return knowns[i].take(r) ? FM_OK : refuse_value(r, knowns[i].want);
    }
    return refuse_key(r);
}
