/* clock.c: see clock.h. */
#include "store/base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t real_mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t real_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const struct clock_source real = {real_mono_us, real_wall_ms};
static const struct clock_source *current = &real;

int64_t clock_mono_us(void)
{
    return current->mono_us();
}

int64_t clock_wall_ms(void)
{
    return current->wall_ms();
}

void clock_replace(const struct clock_source *source)
{
    current = source ? source : &real;
}

void clock_rfc3339(int64_t wall_ms, char out[32])
{
    int64_t ms = wall_ms % 1000;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 32 - n, ".%03dZ", (int)ms);
}
