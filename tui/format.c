/* format.c: see format.h. */
#include "tui/format.h"

#include "store/base/clock.h"
#include "store/base/str.h"

#include <stdio.h>
#include <time.h>

/* Three significant digits at most: 1.23 → "1.2", 12.3 → "12.3", 123.4 → "123". */
static const char *scaled(char *b, double v, const char *unit)
{
    snprintf(b, FORMAT_MAX, v < 99.95 ? "%.1f%s" : "%.0f%s", v, unit);
    return b;
}

const char *format_count(char *b, int64_t n)
{
    if (n < 0)
        n = 0;
    if (n < 1000)
        snprintf(b, FORMAT_MAX, "%d", (int)n);
    else if (n < 9950)
        snprintf(b, FORMAT_MAX, "%.1fk", (double)n / 1e3);
    else if (n < 999500)
        snprintf(b, FORMAT_MAX, "%.0fk", (double)n / 1e3);
    else if (n < 999500000)
        snprintf(b, FORMAT_MAX, n < 9950000 ? "%.1fM" : "%.0fM", (double)n / 1e6);
    else
        snprintf(b, FORMAT_MAX, "%.1fG", (double)n / 1e9);
    return b;
}

const char *format_bytes(char *b, int64_t n)
{
    if (n < 1024)
        snprintf(b, FORMAT_MAX, "%dB", (int)(n < 0 ? 0 : n));
    else if (n < 1024 * 1024)
        scaled(b, (double)n / 1024, "K");
    else if (n < (int64_t)1 << 30)
        scaled(b, (double)n / (1024 * 1024), "M");
    else
        scaled(b, (double)n / ((int64_t)1 << 30), "G");
    return b;
}

const char *format_seconds(char *b, int64_t us)
{
    double s = (double)us / 1e6;
    if (us <= 0)
        snprintf(b, FORMAT_MAX, "-");
    else if (s < 0.995)
        snprintf(b, FORMAT_MAX, "%.2f", s < 0.01 ? 0.01 : s);
    else if (s < 99.95)
        snprintf(b, FORMAT_MAX, "%.1f", s);
    else if (s < 99999)
        snprintf(b, FORMAT_MAX, "%.0f", s);
    else
        format_duration(b, us / 1000);
    return b;
}

const char *format_duration(char *b, int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 1000)
        snprintf(b, FORMAT_MAX, "%dms", (int)(ms < 0 ? 0 : ms));
    else if (s < 100)
        snprintf(b, FORMAT_MAX, ms % 1000 && s < 10 ? "%.1fs" : "%.0fs", (double)ms / 1e3);
    else if (s < 6000)
        snprintf(b, FORMAT_MAX, "%dm", (int)(s / 60));
    else if (s < 86400)
        snprintf(b, FORMAT_MAX, "%dh%02d", (int)(s / 3600), (int)(s / 60 % 60));
    else
        snprintf(b, FORMAT_MAX, "%lldd", (long long)(s / 86400));
    return b;
}

const char *format_money(char *b, int64_t nano)
{
    double d = (double)nano / 1e9, a = d < 0 ? -d : d;
    if (nano == 0)
        snprintf(b, FORMAT_MAX, "0.00");
    else if (a < 0.00005)
        snprintf(b, FORMAT_MAX, "%s0.0001", d < 0 ? "-" : "<");
    else
        snprintf(b, FORMAT_MAX, a < 0.0995 ? "%.4f" : a < 99.995 ? "%.2f" : "%.0f", d);
    return b;
}

const char *format_dollars(char *b, int64_t nano)
{
    char plain[FORMAT_MAX];
    format_money(plain, nano);
    if (plain[0] == '<' || plain[0] == '-')
        snprintf(b, FORMAT_MAX, "%c$%.40s", plain[0], plain + 1);
    else
        snprintf(b, FORMAT_MAX, "$%.40s", plain);
    return b;
}

const char *format_share(char *b, int64_t ppm)
{
    double p = (double)ppm / 1e4;
    snprintf(b, FORMAT_MAX, p >= 9.95 || ppm == 0 ? "%.0f" : "%.1f", p);
    return b;
}

const char *format_rate(char *b, double r)
{
    if (r >= 999.5)
        return format_count(b, (int64_t)(r + 0.5));
    snprintf(b, FORMAT_MAX, r <= 0 ? "0" : r < 99.95 ? "%.1f" : "%.0f", r);
    return b;
}

static const char *local(char *b, int64_t wall_ms, const char *form)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (!localtime_r(&t, &tm) || !strftime(b, FORMAT_MAX, form, &tm))
        snprintf(b, FORMAT_MAX, "-");
    return b;
}

const char *format_clock(char *b, int64_t wall_ms)
{
    return local(b, wall_ms, "%H:%M:%S");
}

const char *format_minute(char *b, int64_t wall_ms)
{
    char day[FORMAT_MAX], today[FORMAT_MAX];
    local(day, wall_ms, "%Y-%m-%d");
    local(today, clock_wall_ms(), "%Y-%m-%d");
    return local(b, wall_ms, strcmp(day, today) == 0 ? "%H:%M" : "%m-%d %H:%M");
}

const char *format_iso(char *b, int64_t wall_ms)
{
    char seconds[FORMAT_MAX];
    local(seconds, wall_ms, "%Y-%m-%d %H:%M:%S");
    snprintf(b, FORMAT_MAX, "%.32s.%03d", seconds, (int)(wall_ms % 1000));
    return b;
}

const char *format_age(char *b, int64_t age_ms)
{
    int64_t s = age_ms / 1000;
    if (s < 1)
        snprintf(b, FORMAT_MAX, "now");
    else if (s < 100)
        snprintf(b, FORMAT_MAX, "%ds", (int)s);
    else if (s < 6000)
        snprintf(b, FORMAT_MAX, "%dm", (int)(s / 60));
    else if (s < 172800)
        snprintf(b, FORMAT_MAX, "%dh", (int)(s / 3600));
    else
        snprintf(b, FORMAT_MAX, "%lldd", (long long)(s / 86400));
    return b;
}

bool format_read_duration(const char *text, int64_t *ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    size_t n = strlen(text);
    uint64_t v;
    if (n < 2 || !str_to_u64(str_n(text, n - 1), &v) || v == 0 || v > 100000)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (text[n - 1] == units[i].unit) {
            *ms = (int64_t)v * units[i].ms;
            return *ms <= 365LL * 86400000;
        }
    return false;
}
