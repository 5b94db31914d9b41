/* window.c: the calendar behind budgets. See account.h.
 *
 * Days, weeks and months begin at local midnight of a time zone, hours at the local full hour (a
 * zone may lie 30 or 45 minutes off UTC); a day in which the clocks change has 23 or 25 hours. */
#include "proxy/access/account.h"
#include "store/base/tz.h"

enum { MINUTE_MS = 60000 };

static int64_t floor_to(int64_t v, int64_t step)
{
    int64_t rest = v % step;
    return v - rest - (rest < 0 ? step : 0);
}

static void hour_bounds(const struct tz *tz, int64_t wall_ms, int64_t *start, int64_t *end)
{
    int64_t east = (int64_t)tz_offset_s(tz, floor_to(wall_ms, 1000) / 1000) * 1000;
    *start = floor_to(wall_ms + east, 60 * MINUTE_MS) - east;
    *end = *start + 60 * MINUTE_MS;
}

void window_bounds(enum window w, const char *zone, int64_t wall_ms, int64_t *start,
    int64_t *end)
{
    if (w == WINDOW_TOTAL) {
        *start = INT64_MIN + 1;
        *end = INT64_MAX;
        return;
    }
    if (w == WINDOW_MINUTE) {
        *start = floor_to(wall_ms, MINUTE_MS);
        *end = *start + MINUTE_MS;
        return;
    }
    const struct tz *tz = tz_get(str_c(zone), NULL);
    if (w == WINDOW_HOUR) {
        hour_bounds(tz, wall_ms, start, end);
        return;
    }
    struct tz_local l;
    tz_local(tz, floor_to(wall_ms, 1000) / 1000, &l);
    int first = w == WINDOW_DAY ? l.day : w == WINDOW_WEEK ? l.day - l.weekday : 1;
    int days = w == WINDOW_DAY ? 1 : w == WINDOW_WEEK ? 7 : 0;
    *start = tz_day_start(tz, l.year, l.month, first) * 1000;
    *end = tz_day_start(tz, l.year, l.month + (days == 0), first + days) * 1000;
}

const char *window_name(enum window w)
{
    static const char *const names[] = {"minute", "hour", "day", "week", "month", "total"};
    return (unsigned)w < ARRAY_LEN(names) ? names[w] : "";
}
