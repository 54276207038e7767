/* sync: meets peers now; --wait shows how far it is and ends when they are in step. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/cmd.h"
#include "node/json.h"
#include "node/progress.h"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = number;
}

/* The peers this sync is about: all, or the one named. */
static bool is_meant(const json_t *peer, const char *name)
{
    if (name == NULL) /* whom we dial, and who is here */
        return fm_json_str(peer, "address")[0] != '\0' || json_is_true(json_object_get(peer, "connected"));
    return strcmp(fm_json_str(peer, "name"), name) == 0 ||
           (strlen(name) >= 4 && strncmp(fm_json_str(peer, "fingerprint"), name, strlen(name)) == 0);
}

#define GIVE_UP_MS 15000 /* refused or not reached, again and again */

struct sum {
    size_t connected;
    size_t meant, done;
    uint64_t got, gave, total, rounds;
    char error[64];
};

static struct sum sum_up(const json_t *answer, const char *name)
{
    struct sum s = {0};
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(answer, "peers"), i, p)
    {
        if (!is_meant(p, name))
            continue;
        s.meant++;
        s.got += (uint64_t)fm_json_int(p, "changesReceived");
        s.gave += (uint64_t)fm_json_int(p, "changesSent");
        s.total += (uint64_t)(fm_json_int(p, "changesReceived") + fm_json_int(p, "changesSent") +
                              fm_json_int(p, "changesToReceive") + fm_json_int(p, "changesToSend"));
        s.rounds += (uint64_t)fm_json_int(p, "rounds");
        s.done += json_is_true(json_object_get(p, "connected")) && strcmp(fm_json_str(p, "phase"), "in step") == 0;
        s.connected += json_is_true(json_object_get(p, "connected"));
        if (fm_json_str(p, "lastError")[0] != '\0')
            snprintf(s.error, sizeof s.error, "%s", fm_json_str(p, "lastError"));
    }
    return s;
}

static void say_done(struct fm_cmd *cmd, const struct sum *s, const char *name, uint64_t ms)
{
    if (cmd->json) {
        json_t *out = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "type", "summary", "peer", name != NULL ? name : "", "got",
                                (json_int_t)s->got, "gave", (json_int_t)s->gave, "milliseconds", (json_int_t)ms, "inStep",
                                s->meant > 0 && s->done == s->meant);
        fm_say_json(out);
        json_decref(out);
    } else {
        printf("%-22s got %llu, gave %llu   %s in %llu.%03llu s\n", name != NULL ? name : "all peers",
               (unsigned long long)s->got, (unsigned long long)s->gave, s->done == s->meant ? "in step" : "stopped",
               (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
    }
}

/* Coming in step, both sides write receipts; one more round, which is a HELLO each, shows that these arrived too. */
static int confirm(struct fm_cmd *cmd, const char *name)
{
    json_t *answer, *call = json_pack("{s:s}", "op", "sync");
    if (name != NULL)
        json_object_set_new(call, "peer", json_string(name));
    int code = fm_cmd_call(cmd, call, &answer);
    if (code == FM_EXIT_DONE)
        json_decref(answer);
    return code;
}

static int wait_for(struct fm_cmd *cmd, const char *name, uint64_t timeout_ms)
{
    struct fm_progress progress;
    uint64_t began = fm_steady_ms(), alone_since = began, confirmed_above = 0;
    bool confirming = false;
    struct sum s = {0};
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    fm_progress_init(&progress, cmd, name != NULL ? name : "sync");
    for (;;) {
        json_t *answer;
        int code = fm_cmd_call(cmd, json_pack("{s:s}", "op", "peers"), &answer);
        if (code != FM_EXIT_DONE)
            return code;
        s = sum_up(answer, name);
        json_decref(answer);
        fm_progress_at(&progress, s.got + s.gave, s.total);
        if (s.meant > 0 && s.done == s.meant && confirming && s.rounds >= confirmed_above)
            break;
        if (s.meant > 0 && s.done == s.meant && !confirming) {
            confirming = true;
            confirmed_above = s.rounds + s.meant;
            if ((code = confirm(cmd, name)) != FM_EXIT_DONE)
                return code;
            continue;
        }
        s.done = 0;
        if (s.connected > 0 || s.error[0] == '\0')
            alone_since = fm_steady_ms();
        if (fm_steady_ms() - alone_since > GIVE_UP_MS)
            break;
        if (stopped != 0 || fm_steady_ms() - began > timeout_ms)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL); /* asks again; the node does the waiting */
    }
    fm_progress_end(&progress);
    say_done(cmd, &s, name, fm_steady_ms() - began);
    if (stopped != 0) {
        fm_say_talk(cmd, "stopped. Nothing is lost: what was taken in is kept, the rest continues next time.\n");
        return 128 + stopped;
    }
    if (s.done != s.meant || s.meant == 0) {
        char what[200];
        snprintf(what, sizeof what, "%.60s is not in step after %llu s%s%.60s", name != NULL ? name : "a peer",
                 (unsigned long long)((fm_steady_ms() - began) / 1000), s.error[0] != '\0' ? ": " : "", s.error);
        return fm_say_error(
            cmd, s.error[0] != '\0' ? s.error : "peer-unreachable", what,
            "it is off, not reachable, or does not know this node yet",
            "fieldmesh peers; if this node was admitted after it: there, fieldmesh join with this node's grant file");
    }
    return FM_EXIT_DONE;
}

int fm_cmd_sync(struct fm_cmd *cmd)
{
    const char *peer = cmd->arg_count > 0 ? cmd->args[0] : NULL, *timeout = fm_cmd_value(cmd, "timeout", 0), *at;
    char name[FM_NAME_BYTES_MAX + 1];
    bool dialled = peer != NULL && (at = strrchr(peer, '@')) != NULL;
    json_t *answer;
    if (dialled)
        snprintf(name, sizeof name, "%.*s", (int)(at - peer), peer);
    else if (peer != NULL)
        snprintf(name, sizeof name, "%s", peer);
    json_t *call = json_pack("{s:s}", "op", dialled ? "connect" : "sync");
    if (peer != NULL)
        json_object_set_new(call, "peer", json_string(peer));
    int code = fm_cmd_call(cmd, call, &answer);
    if (code != FM_EXIT_DONE)
        return code;
    json_decref(answer);
    if (fm_cmd_has(cmd, "wait"))
        code = wait_for(cmd, peer != NULL ? name : NULL, timeout != NULL ? strtoull(timeout, NULL, 10) * 1000 : 300000);
    if (dialled && fm_cmd_has(cmd, "leave")) {
        int left = fm_cmd_call(cmd, json_pack("{s:s, s:s}", "op", "disconnect", "peer", name), &answer);
        if (left == FM_EXIT_DONE)
            json_decref(answer);
        code = code != FM_EXIT_DONE ? code : left;
    }
    return code;
}
