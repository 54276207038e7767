#include "node/log.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1024

static enum fm_log_level level_max = FM_LOG_INFO;

void fm_log_level_set(enum fm_log_level level)
{
    level_max = level;
}

static void put(char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len++] = '\n';
    /* One write a line, so that lines of two processes do not mix; a full pipe or a closed stderr loses the line. */
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        ;
}

static size_t bounded(int wrote, size_t room)
{
    return wrote < 0 ? 0 : (size_t)wrote < room ? (size_t)wrote : room - 1;
}

void fm_log(enum fm_log_level level, const char *format, ...)
{
    static const char *const names[] = {"", "error", "warn", "info", "debug"};
    if (level > level_max)
        return;
    char line[LINE_BYTES_MAX + 1];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t len = strftime(line, LINE_BYTES_MAX, "%Y-%m-%dT%H:%M:%SZ ", &parts);
    len += bounded(snprintf(line + len, LINE_BYTES_MAX - len, "%-5s ", names[level]), LINE_BYTES_MAX - len);
    va_list args;
    va_start(args, format);
    len += bounded(vsnprintf(line + len, LINE_BYTES_MAX - len, format, args), LINE_BYTES_MAX - len);
    va_end(args);
    put(line, len);
}

void fm_log_say(const char *format, ...)
{
    char line[LINE_BYTES_MAX + 1];
    va_list args;
    va_start(args, format);
    size_t len = bounded(vsnprintf(line, LINE_BYTES_MAX, format, args), LINE_BYTES_MAX);
    va_end(args);
    put(line, len);
}
