#include "node/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/cmd.h"

uint64_t fm_steady_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void fm_progress_init(struct fm_progress *p, const struct fm_cmd *cmd, const char *name)
{
    *p = (struct fm_progress){.cmd = cmd, .started_ms = fm_steady_ms(), .terminal = isatty(2) != 0};
    p->shown_ms = p->started_ms;
    snprintf(p->name, sizeof p->name, "%s", name);
}

static void draw(const struct fm_progress *p, uint64_t done, uint64_t total, uint64_t rate, int64_t left_s)
{
    char bar[21] = "--------------------", left[32] = "-";
    size_t filled = total > 0 ? (size_t)(20 * done / total) : 0;
    memset(bar, '#', filled > 20 ? 20 : filled);
    if (left_s >= 0)
        snprintf(left, sizeof left, "%lld:%02lld left", (long long)(left_s / 60), (long long)(left_s % 60));
    if (total > 0)
        fprintf(stderr, "%s%-22s [%s] %3llu %%  %llu / %llu  %llu/s  %s%s", p->terminal ? "\r" : "", p->name, bar,
                (unsigned long long)(100 * done / total), (unsigned long long)done, (unsigned long long)total,
                (unsigned long long)rate, left, p->terminal ? "   " : "\n");
    else
        fprintf(stderr, "%s%-22s %llu  %llu/s%s", p->terminal ? "\r" : "", p->name, (unsigned long long)done,
                (unsigned long long)rate, p->terminal ? "   " : "\n");
}

void fm_progress_at(struct fm_progress *p, uint64_t done, uint64_t total)
{
    uint64_t now = fm_steady_ms(), spent = now - p->started_ms;
    uint64_t every = p->cmd->json || p->terminal ? 200 : 10000;
    if (p->cmd->quiet || now - p->shown_ms < every)
        return;
    p->shown_ms = now;
    uint64_t rate = spent > 0 ? done * 1000 / spent : 0;
    int64_t left = spent > 3000 && rate > 0 && total >= done ? (int64_t)((total - done) / rate) : -1;
    if (p->cmd->json) {
        json_t *line =
            json_pack("{s:s, s:s, s:I, s:I, s:o}", "type", "progress", "what", p->name, "records_done", (json_int_t)done,
                      "records_total", (json_int_t)total, "seconds_left", left >= 0 ? json_integer(left) : json_null());
        fm_say_json(line);
        json_decref(line);
        return;
    }
    draw(p, done, total, rate, left);
    p->drawn = true;
}

void fm_progress_end(struct fm_progress *p)
{
    if (p->drawn && p->terminal)
        fprintf(stderr, "\r%70s\r", "");
    p->drawn = false;
}
