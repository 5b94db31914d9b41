/* tz.h: calendars of the world without touching the process's own time zone.
 *
 * Why: budgets end at midnight where their owner lives, and TZ, localtime() and setenv() belong to
 * the whole process. TZif files of /usr/share/zoneinfo are read here, with the rule at their end
 * for the years after the last listed change. An unknown name is UTC, and says so.
 *
 *     struct err e = {0};
 *     const struct tz *tz = tz_get(STR("Europe/Berlin"), &e);   // never NULL
 *     struct tz_local l;
 *     tz_local(tz, wall_ms / 1000, &l);                         // l.hour, l.weekday …
 *
 * Zones are read once and kept for the life of the process: pointers stay good; any thread. */
#ifndef POINTSMAN_TZ_H
#define POINTSMAN_TZ_H

#include "store/base/err.h"
#include "store/base/str.h"

struct tz;

/* "Europe/Berlin", "UTC", or empty for the system's own (/etc/localtime). */
const struct tz *tz_get(struct str name, struct err *e);

/* The same from the bytes of a TZif file; NULL and a reason when they are damaged. Not cached: free
 * with tz_free(). */
struct tz *tz_parse(struct str bytes, struct err *e);
void tz_free(struct tz *tz);

/* Seconds east of UTC at that moment. */
int32_t tz_offset_s(const struct tz *tz, int64_t unix_s);

struct tz_local {
    int64_t year;
    int month, day;           /* 1-12, 1-31 */
    int hour, minute, second;
    int weekday;              /* 0 = Monday */
};
void tz_local(const struct tz *tz, int64_t unix_s, struct tz_local *out);

/* The first moment of a local day, also where its midnight is skipped or comes twice. Months and
 * days out of range count on (month 13 is January, day 0 the last of the month before). */
int64_t tz_day_start(const struct tz *tz, int64_t year, int64_t month, int64_t day);

#endif
