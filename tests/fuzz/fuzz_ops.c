/* Any JSON as a request to a node that holds some records, conflicts and people: what a command, and later a browser, may
 * send. One answer, an object: it says what the operation promises, or an error with a code and a sentence; a cursor that is
 * given is taken; the same question is answered the same. After a request that wrote, the node's files are put back. */
#include "node/json.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/hub.h"

static struct fm_hub hub;
#define FILES 3u
static struct fm_buf kept[FILES];

static void path_of(char out[FM_PATH_MAX + 32], size_t i)
{
    static const char *const names[FILES] = {"data.mdb", "open-counter", "mesh"};
    (void)snprintf(out, FM_PATH_MAX + 32, "%s/%s", i == 0 ? hub.paths.store : hub.paths.keys, names[i]);
}

static void leave(void)
{
    fm_hub_close(&hub);
    for (size_t i = 0; i < FILES; i++)
        fm_buf_fini(&kept[i]);
}

static void start(void)
{
    static const char *const requests[] = {
        "{\"op\":\"submit\",\"as\":\"operator\",\"changes\":["
        "{\"type\":\"entity\",\"action\":\"create\",\"offlineId\":\"e1\",\"versionNumber\":1,\"data\":{\"id\":"
        "\"0e000000-0000-4000-8000-000000000001\",\"name\":\"Dikwa\",\"autoApproveEnabled\":true}},"
        "{\"type\":\"user\",\"action\":\"create\",\"offlineId\":\"u1\",\"versionNumber\":1,\"data\":{\"id\":"
        "\"0a000000-0000-4000-8000-000000000001\",\"name\":\"A\",\"roles\":[\"ASSESSOR\"]}},"
        "{\"type\":\"assignment\",\"action\":\"create\",\"offlineId\":\"a1\",\"versionNumber\":1,\"data\":{\"entityId\":"
        "\"0e000000-0000-4000-8000-000000000001\",\"userId\":\"0a000000-0000-4000-8000-000000000001\",\"role\":\"ASSESSOR\"}"
        "}]}",
        "{\"op\":\"submit\",\"as\":\"operator\",\"changes\":["
        "{\"type\":\"assessment\",\"action\":\"create\",\"offlineId\":\"r1\",\"versionNumber\":1,\"data\":{\"entityId\":"
        "\"0e000000-0000-4000-8000-000000000001\",\"id\":\"01000000-0000-4000-8000-000000000001\",\"note\":\"x\"}},"
        "{\"type\":\"assessment\",\"action\":\"update\",\"offlineId\":\"r1\",\"versionNumber\":2,\"data\":{\"id\":"
        "\"01000000-0000-4000-8000-000000000001\",\"note\":\"y\"}},"
        "{\"type\":\"assessment\",\"action\":\"update\",\"offlineId\":\"r1\",\"versionNumber\":2,\"baseVersion\":1,\"data\":"
        "{\"id\":"
        "\"01000000-0000-4000-8000-000000000001\",\"note\":\"z\"}}]}",
    };
    char path[FM_PATH_MAX + 32];
    fm_hub_open(&hub);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        json_decref(fm_hub_call(&hub, requests[i]));
    fm_client_close(hub.client);
    for (size_t i = 0; i < FILES; i++) {
        path_of(path, i);
        fm_buf_init(&kept[i], 0);
        FUZZ_CHECK(fm_file_read(path, &kept[i], 1u << 28) == FM_OK);
    }
    FUZZ_CHECK(fm_client_open(&hub.client, &hub.paths) == FM_OK && atexit(leave) == 0);
}

static void put_back(void)
{
    char path[FM_PATH_MAX + 32];
    fm_client_close(hub.client);
    for (size_t i = 0; i < FILES; i++) {
        path_of(path, i);
        FUZZ_CHECK(fm_file_write(path, fm_buf_span(&kept[i]), 0600) == FM_OK);
    }
    FUZZ_CHECK(fm_client_open(&hub.client, &hub.paths) == FM_OK);
}

static bool is_error(const json_t *answer)
{
    const json_t *error = json_object_get(answer, "error");
    if (error == NULL)
        return false;
    FUZZ_CHECK(json_string_length(json_object_get(error, "code")) > 0 &&
               json_string_length(json_object_get(error, "message")) > 0);
    FUZZ_CHECK(json_object_size(answer) == 1);
    return true;
}

/* What node/ops.h promises of each. */
static void promised(const json_t *request, const json_t *answer)
{
    static const struct {
        const char *op, *key, *list;
    } promises[] = {{"submit", "results", "changes"}, {"resolve", "results", "resolutions"},
                    {"records", "records", NULL},     {"lookup", "records", "of"},
                    {"show", "versions", NULL},       {"duplicates", "duplicates", NULL},
                    {"conflicts", "conflicts", NULL}, {"pull", "entities", NULL}};
    const char *op = json_string_value(json_object_get(request, "op"));
    for (size_t i = 0; i < sizeof promises / sizeof *promises; i++) {
        if (strcmp(op, promises[i].op) != 0)
            continue;
        const json_t *list = json_object_get(answer, promises[i].key);
        FUZZ_CHECK(json_is_array(list));
        if (promises[i].list != NULL) /* rule 3: one each */
            FUZZ_CHECK(json_array_size(list) == json_array_size(json_object_get(request, promises[i].list)));
    }
}

static void goes_on(const json_t *request, const json_t *answer)
{
    json_t *next = json_copy((json_t *)(uintptr_t)request), *more = NULL;
    json_object_set(next, "cursor", json_object_get(answer, "cursor"));
    FUZZ_CHECK(fm_client_call(hub.client, next, &more) == FM_OK && !is_error(more));
    json_decref(next);
    json_decref(more);
}

FUZZ_TARGET(1024, 4 << 20)
{
    char why[200];
    json_t *answer = NULL, *again = NULL;

    fuzz_memory_pause(true);
    if (hub.client == NULL)
        start();
    struct fm_node *n = fm_client_node(hub.client);
    uint64_t before = n->ticket_last, last = 0;
    const struct fm_port *port = fm_store_port(n->store);
    FUZZ_CHECK(port->arrival_last(port->ctx, &last) == FM_OK);
    fuzz_memory_pause(false);
    json_t *request = fm_json_parse(fm_span(data, size), why, sizeof why);
    const char *op = json_string_value(json_object_get(request, "op"));
    if (json_is_object(request) && (op == NULL || strcmp(op, "backup") != 0)) { /* that one writes where it is told */
        int rc = fm_client_call(hub.client, request, &answer);
        FUZZ_CHECK(rc == FM_OK && json_is_object(answer));
        char *text = fm_json_text(answer);
        FUZZ_CHECK(text != NULL);
        free(text);
        bool error = is_error(answer);
        if (!error)
            promised(request, answer);
        if (!error && strcmp(op, "pull") == 0)
            goes_on(request, answer);
        uint64_t now = 0;
        port = fm_store_port(n->store);
        FUZZ_CHECK(port->arrival_last(port->ctx, &now) == FM_OK);
        fuzz_memory_pause(true);
        if (now != last || n->ticket_last != before)
            put_back();
        else if (op != NULL && strcmp(op, "status") != 0) { /* which tells the time */
            FUZZ_CHECK(fm_client_call(hub.client, request, &again) == FM_OK && json_equal(answer, again));
            json_decref(again);
        }
        fuzz_memory_pause(false);
        json_decref(answer);
    }
    json_decref(request);
    return 0;
}
