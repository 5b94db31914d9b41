/* format.h: how numbers are written on the screen: short, with their unit, right-alignable.
 *
 * Why: a figure has one form everywhere: 1.2k tokens, 3.4 s, 0.0011 dollars, 0.8 %. Pure; each call
 * writes into the caller's buffer of FORMAT_MAX bytes and returns it.
 *
 *     char b[FORMAT_MAX];
 *     ui_put(y, x, 6, ROLE_NUMBER, format_count(b, 12408));      // "12.4k" */
#ifndef POINTSMAN_FORMAT_H
#define POINTSMAN_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

enum { FORMAT_MAX = 48 };

const char *format_count(char *b, int64_t n);        /* 812 1.2k 22k 2.1M */
const char *format_bytes(char *b, int64_t n);        /* 812B 38.2K 212M 1.0G */
const char *format_seconds(char *b, int64_t us);     /* 0.41 3.1 30.0 121 : seconds, no unit */
const char *format_duration(char *b, int64_t ms);    /* 250ms 3.4s 12m 3h05 6d */
const char *format_money(char *b, int64_t nano);     /* 0.0011 0.71 4.31 120 : dollars, no sign */
const char *format_dollars(char *b, int64_t nano);   /* $0.0011 $4.31 $120 */
const char *format_share(char *b, int64_t ppm);      /* 0.8 12.5 41 100 : per cent, no sign */
const char *format_rate(char *b, double per_second); /* 0 0.4 12.4 310 */
const char *format_clock(char *b, int64_t wall_ms);  /* 14:02:09, local time */
const char *format_minute(
    char *b, int64_t wall_ms);                    /* 14:02, with the date when it is another day */
const char *format_iso(char *b, int64_t wall_ms); /* 2026-11-23 14:02:09.123 */
const char *format_age(char *b, int64_t age_ms);  /* now 12s 3m 2h 40d */

/* "15m", "2h", "30s", "7d" → ms; false when it is none of these or out of range. */
bool format_read_duration(const char *text, int64_t *ms);

#endif
