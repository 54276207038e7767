/* verify: is the store what it should be, and with --repair, make it so. The check runs in a child process, as damaged pages
 * can crash the database library; the repair does not use that library on the damaged file. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/cmd.h"
#include "node/keep.h"
#include "node/progress.h"
#include "node/repair.h"
#include "replication/error.h"

#define HELP_DAMAGED                                                                                                        \
    "fieldmesh verify --repair makes a new store of what can be read and keeps the damaged one; or restore the newest "     \
    "backup"

struct tell {
    const struct fm_cmd *cmd;
    uint64_t said;
};

static void show_progress(void *ctx, uint64_t done, uint64_t total)
{
    fm_progress_at(ctx, done, total);
}

static void say_problem(void *ctx, const char *problem)
{
    struct tell *tell = ctx;
    if (tell->said++ >= 100)
        return;
    if (tell->cmd->json) {
        json_t *line = json_pack("{s:s, s:s}", "type", "problem", "message", problem);
        fm_say_json(line);
        json_decref(line);
    } else {
        fprintf(stderr, "  damaged  %s\n", problem);
    }
}

static void say_sound(const struct fm_cmd *cmd, const struct fm_store_verify *v, bool sound)
{
    if (cmd->json) {
        json_t *out = json_pack("{s:s, s:b, s:I, s:I, s:I}", "type", "summary", "sound", sound, "sets", (json_int_t)v->sets,
                                "rows", (json_int_t)v->rows, "problems", (json_int_t)v->problems);
        fm_say_json(out);
        json_decref(out);
    } else if (sound) {
        printf("Sound: %llu change sets and %llu rows checked, and every index is what the log says.\n",
               (unsigned long long)v->sets, (unsigned long long)v->rows);
    }
}

/* There are keys, and no store with them. */
static int say_no_store(const struct fm_cmd *cmd)
{
    struct fm_identity id;
    int rc = fm_identity_load(&id, &cmd->paths);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "verify", rc);
    fm_identity_wipe(&id);
    return fm_say_error(cmd, "damaged", "this node has its keys, and no store in which anything was written", NULL,
                        "restore the newest backup; or fieldmesh run makes a new store, and peers refill it");
}

/* repair: what is damaged is told by who repairs. *sets: how many the store says it has. */
static int verify_here(const struct fm_cmd *cmd, bool repair, uint64_t *sets)
{
    struct fm_keep k;
    struct fm_progress progress;
    char scratch[FM_PATH_MAX + 32];
    int rc = fm_keep_open(&k, &cmd->paths, NULL);
    if (rc == FM_ENOTFOUND)
        return say_no_store(cmd);
    if (rc == FM_ECORRUPT || rc == FM_ESTORE)
        return repair ? FM_EXIT_DAMAGED : fm_say_error(cmd, "damaged", "the store cannot be opened", NULL, HELP_DAMAGED);
    if (rc != FM_OK)
        return fm_say_fm_error(cmd, "verify", rc);
    struct fm_store_counts counts;
    if (fm_store_counts(k.store, &counts) == FM_OK)
        *sets = counts.sets; /* before the check, which may end this process */
    struct tell tell = {.cmd = cmd};
    snprintf(scratch, sizeof scratch, "%s/verify", cmd->paths.data); /* the store's lock lets one of us be here */
    fm_progress_init(&progress, cmd, "verify");
    struct fm_store_verify v = {
        .scratch_dir = scratch, .progress = {.ctx = &progress, .at = show_progress}, .ctx = &tell, .say = say_problem};
    rc = fm_keep_verify(&k, &cmd->paths, &v);
    fm_progress_end(&progress);
    fm_keep_close(&k);
    bool sound = rc == FM_OK && v.problems == 0;
    if (sound || !repair)
        say_sound(cmd, &v, sound);
    if (rc != FM_OK && rc != FM_ECORRUPT && rc != FM_ESTORE)
        return fm_say_fm_error(cmd, "verify", rc);
    if (!sound && repair)
        return FM_EXIT_DAMAGED;
    return sound ? FM_EXIT_DONE : fm_say_error(cmd, "damaged", "the store is damaged", NULL, HELP_DAMAGED);
}

/* sets: how many the damaged store said it had; 0: that could not be read. */
static int say_repaired(const struct fm_cmd *cmd, const struct fm_repair *r, uint64_t sets)
{
    const bool known = sets > 0, whole = known && r->lost == 0 && r->waiting == 0;
    if (cmd->json) {
        json_t *out = json_pack("{s:s, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:s}", "type", "summary", "sound", 1, "repaired",
                                1, "complete", whole, "known", known, "sets", (json_int_t)r->sets, "waiting",
                                (json_int_t)r->waiting, "lost", (json_int_t)r->lost, "aside", r->aside);
        fm_say_json(out);
        json_decref(out);
        return whole ? FM_EXIT_DONE : FM_EXIT_PART;
    }
    printf("Repaired: a new store was built from %llu change sets, and every index anew.\n", (unsigned long long)r->sets);
    if (!known)
        printf("  How many the damaged store had cannot be read any more. Peers send what is missing.\n");
    if (r->lost > 0)
        printf("  %llu change sets are damaged or could not be found. Peers that have them send them again.\n",
               (unsigned long long)r->lost);
    if (r->waiting > 0)
        printf("  %llu more are good and wait for one before them (waiting.sets); they follow at the first start after it "
               "came.\n",
               (unsigned long long)r->waiting);
    printf("  The damaged store lies in %s; delete it when all is well.\n", r->aside);
    fm_say_talk(cmd, "  What is written from now on starts a new stream. Next: fieldmesh run, then fieldmesh sync --wait\n");
    return whole ? FM_EXIT_DONE : FM_EXIT_PART;
}

static int repair(const struct fm_cmd *cmd, uint64_t sets)
{
    struct fm_progress progress;
    struct fm_repair done;
    fm_say_talk(cmd, "The store is damaged: a new one is built from its change sets.\n");
    fm_progress_init(&progress, cmd, "repair");
    const struct fm_store_progress report = {.ctx = &progress, .at = show_progress};
    int rc = fm_repair_store(&done, &cmd->paths, sets, &report);
    fm_progress_end(&progress);
    if (rc == FM_ENOTFOUND)
        return fm_say_error(cmd, "damaged", "not one change set could be read; nothing was changed", NULL,
                            "restore the newest backup; or move the store folder away and let the peers refill it");
    return rc == FM_OK ? say_repaired(cmd, &done, sets) : fm_say_fm_error(cmd, "repair", rc);
}

/* What damaged pages can do to who reads them. */
static bool is_crash(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGABRT || number == SIGFPE || number == SIGILL;
}

static int say_ended(const struct fm_cmd *cmd, int number)
{
    char what[80];
    snprintf(what, sizeof what, "the check was ended by signal %d before it was through", number);
    (void)fm_say_error(cmd, "stopped", what, "somebody ended it, or the machine had no memory left",
                       "run it again; nothing was changed");
    return 128 + number;
}

int fm_cmd_verify(struct fm_cmd *cmd)
{
    int status = 0;
    bool mend = fm_cmd_has(cmd, "repair");
    if (fm_cmd_is_running(cmd))
        return fm_cmd_say_stop_first(cmd);
    uint64_t *sets = mmap(NULL, sizeof *sets, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fflush(NULL);
    pid_t child = sets == MAP_FAILED ? -1 : fork();
    if (child < 0)
        return fm_say_error(cmd, "memory", "no process could be started to check in", NULL,
                            "end other programs, then do the same again");
    if (child == 0) {
        int code = verify_here(cmd, mend, sets);
        fflush(NULL);
        _exit(code);
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    if (WIFSIGNALED(status) && !is_crash(WTERMSIG(status)))
        return say_ended(cmd, WTERMSIG(status));
    if (!mend && WIFEXITED(status))
        return WEXITSTATUS(status);
    if (mend)
        return WIFEXITED(status) && WEXITSTATUS(status) != FM_EXIT_DAMAGED ? WEXITSTATUS(status) : repair(cmd, *sets);
    return fm_say_error(cmd, "damaged", "the store is so damaged that reading it ends the program", NULL, HELP_DAMAGED);
}
