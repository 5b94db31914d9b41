/* log.c: see log.h. */
#include "store/base/log.h"
#include "store/base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int least_level = LOG_INFO;
static _Atomic int out_fd = STDERR_FILENO;
static void (*_Atomic line_filter)(char *, unsigned long);

void log_set_level(enum log_level least)
{
    least_level = (int)least;
}

void log_set_fd(int fd)
{
    out_fd = fd;
}

void log_set_filter(void (*filter)(char *line, unsigned long size))
{
    line_filter = filter;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info ", "warn ", "error"};
    if ((int)level < least_level)
        return;
    char line[1024], when[32];
    clock_rfc3339(clock_wall_ms(), when);
    int n = snprintf(line, sizeof line, "%s %s ", when, names[level]);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    void (*filter)(char *, unsigned long) = line_filter;
    if (filter)
        filter(line, sizeof line - 1);
    size_t len = strlen(line);
    line[len++] = '\n';
    ssize_t ignored UNUSED = write(out_fd, line, len);
}
