#include "node/runtime.h"

#include <stdlib.h>
#include <unistd.h>

#include "node/json.h"
#include "node/log.h"
#include "replication/error.h"

uint64_t fm_runtime_steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void fm_runtime_refused(struct fm_runtime *rt, const char *reason)
{
    for (size_t i = 0; i < FM_RUNTIME_REFUSALS_MAX; i++) {
        struct fm_refusal *r = &rt->refusals[i];
        if (r->count == 0 && i + 1 == FM_RUNTIME_REFUSALS_MAX)
            reason = "other";
        if (r->count == 0)
            snprintf(r->reason, sizeof r->reason, "%s", reason);
        if (strcmp(r->reason, reason) == 0 || i + 1 == FM_RUNTIME_REFUSALS_MAX) {
            r->count++;
            return;
        }
    }
}

void fm_runtime_status(struct fm_runtime *rt, json_t *object)
{
    json_object_set_new(object, "listen", json_pack("{s:s, s:n}", "nodes", rt->net_was_ready ? rt->endpoint : "", "http"));
    json_object_set_new(object, "bytesSent", json_integer((json_int_t)rt->bytes_sent));
    json_object_set_new(object, "bytesReceived", json_integer((json_int_t)rt->bytes_received));
    json_object_set_new(object, "net", json_pack("{s:I, s:I, s:I, s:b}", "pid", (json_int_t)rt->net_pid, "restarts",
                                                 (json_int_t)rt->net_restarts, "residentBytes",
                                                 (json_int_t)rt->net_memory_bytes, "ready", rt->net_ready));
}

void fm_runtime_stop(struct fm_runtime *rt)
{
    rt->stopping = true;
}

int fm_runtime_write(struct fm_runtime *rt)
{
    json_t *o = json_pack("{s:i, s:s, s:n, s:I, s:s}", "pid", (int)getpid(), "nodes", rt->endpoint, "http", "startedMs",
                          (json_int_t)rt->node->started_ms, "version", FM_PROGRAM_VERSION);
    char *text = o == NULL ? NULL : fm_json_text(o);
    int rc = text == NULL ? FM_ENOMEM : fm_file_write(rt->node->paths.run, fm_span_str(text), 0600);
    free(text);
    json_decref(o);
    return rc;
}

static size_t peers_configured(const struct fm_runtime *rt)
{
    size_t count = 0;
    for (size_t i = 0; i < FM_RUNTIME_PEERS_MAX; i++)
        count += rt->dials[i].used;
    return count;
}

void fm_runtime_say(struct fm_runtime *rt)
{
    const struct fm_node *n = rt->node;
    struct fm_store_counts counts = {0};
    char print[FM_FINGERPRINT_CHARS];
    fm_fingerprint(print, &n->identity.device.author_public);
    (void)fm_store_counts(n->store, &counts); /* zeros are shown if it cannot be read; the next turn says why */
    bool joined = fm_repl_role(n->repl) != FM_ROLE_NONE;
    if (rt->json) {
        json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:b}", "type", "ready", "name", n->config.name, "id", print,
                              "nodes", rt->endpoint, "records", (json_int_t)counts.records, "joined", joined);
        char *text = o == NULL ? NULL : fm_json_text(o);
        if (text != NULL) {
            fputs(text, stdout);
            fflush(stdout);
        }
        free(text);
        json_decref(o);
        return;
    }
    if (rt->quiet)
        return;
    const char *address = strncmp(rt->endpoint, "tcp://", 6) == 0 ? rt->endpoint + 6 : rt->endpoint;
    fm_log_say("fieldmesh %s  %s  %s", FM_PROGRAM_VERSION, n->config.name, print);
    fm_log_say("nodes    %s", address);
    fm_log_say("ready    %llu records, %zu peers.%s", (unsigned long long)counts.records, peers_configured(rt),
               joined ? "" : " Not joined yet: fieldmesh join --request FILE");
}
