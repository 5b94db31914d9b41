/* tz.c: see tz.h. The file format is RFC 8536 (TZif), the rule at its end a POSIX TZ text with the
 * extensions of RFC 8536 3.3.1 (hours from -167 to 167). Every length is checked: the files belong
 * to the system, but a damaged one must not take the gateway down. */
#include "store/base/tz.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHANGES_MAX = 4096, TYPES_MAX = 256, FILE_MAX = 128 * 1024, ZONES_MAX = 64, DAY_S = 86400 };

/* When daylight time begins or ends in a year. */
struct rule {
    enum { RULE_JULIAN, RULE_DAY, RULE_MONTH } form; /* Jn (no Feb 29), n, Mm.w.d */
    int month, week, day;
    int32_t time_s; /* local, of the time before the change */
};

struct tz {
    struct tz *next;
    char name[64];
    size_t count;
    int64_t *at;        /* moments of change, ascending */
    int32_t *offset;    /* from then on */
    int32_t before;     /* in force before the first change */
    bool has_rule, has_dst;
    int32_t std_offset, dst_offset;
    struct rule dst_begin, dst_end;
};

/* Calendar arithmetic: days since 1970-01-01 in the proleptic Gregorian calendar, from March on, so
 * that the leap day is a year's last. */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    year += floor_div(month - 1, 12);
    month = month - 1 - 12 * floor_div(month - 1, 12) + 1;
    int64_t y = year - (month <= 2), era = floor_div(y, 400), of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468 + day - 1;
}

static void date_from_days(int64_t days, struct tz_local *out)
{
    int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    out->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    out->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    out->year = yoe + era * 400 + (out->month <= 2);
    out->weekday = (int)(days + 3 - 7 * floor_div(days + 3, 7)); /* 1970-01-01 was a Thursday */
}

static bool is_leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Local seconds since 1970 at which the rule strikes in that year. */
static int64_t rule_moment(const struct rule *r, int64_t year)
{
    int64_t first = days_from_date(year, 1, 1), day;
    struct tz_local l;
    if (r->form == RULE_JULIAN) {
        day = first + r->day - 1 + (is_leap(year) && r->day >= 60);
    } else if (r->form == RULE_DAY) {
        day = first + r->day;
    } else {
        day = days_from_date(year, r->month, 1);
        date_from_days(day, &l);
        int sunday_based = (l.weekday + 1) % 7; /* the rule counts from Sunday = 0 */
        day += (r->day - sunday_based + 7) % 7 + (r->week - 1) * 7;
        while (day >= days_from_date(year, r->month + 1, 1))
            day -= 7; /* week 5 is the last one */
    }
    return day * DAY_S + r->time_s;
}

static int32_t offset_by_rule(const struct tz *tz, int64_t unix_s)
{
    if (!tz->has_dst)
        return tz->std_offset;
    struct tz_local l;
    date_from_days(floor_div(unix_s + tz->std_offset, DAY_S), &l);
    int64_t begin = rule_moment(&tz->dst_begin, l.year) - tz->std_offset;
    int64_t end = rule_moment(&tz->dst_end, l.year) - tz->dst_offset;
    bool dst = begin < end ? unix_s >= begin && unix_s < end : unix_s >= begin || unix_s < end;
    return dst ? tz->dst_offset : tz->std_offset;
}

int32_t tz_offset_s(const struct tz *tz, int64_t unix_s)
{
    if (tz->count == 0 || unix_s < tz->at[0])
        return tz->count == 0 && tz->has_rule ? offset_by_rule(tz, unix_s) : tz->before;
    if (unix_s >= tz->at[tz->count - 1] && tz->has_rule)
        return offset_by_rule(tz, unix_s);
    size_t low = 0, high = tz->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (unix_s >= tz->at[middle])
            low = middle;
        else
            high = middle;
    }
    return tz->offset[low];
}

void tz_local(const struct tz *tz, int64_t unix_s, struct tz_local *out)
{
    int64_t local = unix_s + tz_offset_s(tz, unix_s), days = floor_div(local, DAY_S);
    int of_day = (int)(local - days * DAY_S);
    date_from_days(days, out);
    out->hour = of_day / 3600;
    out->minute = of_day / 60 % 60;
    out->second = of_day % 60;
}

int64_t tz_day_start(const struct tz *tz, int64_t year, int64_t month, int64_t day)
{
    int64_t local = days_from_date(year, month, 1) * DAY_S + (day - 1) * DAY_S;
    int32_t a = tz_offset_s(tz, local - 26 * 3600), b = tz_offset_s(tz, local + 26 * 3600);
    int64_t early = local - MAX(a, b), late = local - MIN(a, b);
    if (early + tz_offset_s(tz, early) == local)
        return early;
    if (late + tz_offset_s(tz, late) == local)
        return late;
    while (late - early > 1) { /* midnight is skipped: the change itself begins the day */
        int64_t middle = early + (late - early) / 2;
        if (middle + tz_offset_s(tz, middle) >= local)
            late = middle;
        else
            early = middle;
    }
    return late;
}

/* POSIX TZ texts: "CET-1CEST,M3.5.0,M10.5.0/3", "<-03>3". */
static bool skip_name(struct str *s)
{
    size_t n = 0;
    if (s->n && s->p[0] == '<') {
        ptrdiff_t end = str_chr(*s, '>');
        n = end < 0 ? 0 : (size_t)end + 1;
    } else {
        while (n < s->n && ((s->p[n] | 32) >= 'a' && (s->p[n] | 32) <= 'z'))
            n++;
    }
    *s = str_from(*s, n);
    return n >= 3;
}

static bool read_number(struct str *s, int most, int *out)
{
    size_t n = 0;
    int v = 0;
    for (; n < s->n && n < 4 && s->p[n] >= '0' && s->p[n] <= '9'; n++)
        v = v * 10 + (s->p[n] - '0');
    *s = str_from(*s, n);
    *out = v;
    return n > 0 && v <= most;
}

static bool skip_char(struct str *s, char c)
{
    bool hit = s->n && s->p[0] == c;
    *s = str_from(*s, hit);
    return hit;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(struct str *s, int32_t *out)
{
    bool minus = skip_char(s, '-');
    int h, m = 0, sec = 0;
    if (!minus)
        skip_char(s, '+');
    if (!read_number(s, 167, &h) || (skip_char(s, ':') && !read_number(s, 59, &m)) ||
        (skip_char(s, ':') && !read_number(s, 59, &sec)))
        return false;
    *out = (minus ? -1 : 1) * (h * 3600 + m * 60 + sec);
    return true;
}

static bool read_rule(struct str *s, struct rule *r)
{
    bool ok;
    r->time_s = 2 * 3600;
    if (skip_char(s, 'M')) {
        r->form = RULE_MONTH;
        ok = read_number(s, 12, &r->month) && skip_char(s, '.') && read_number(s, 5, &r->week) &&
             skip_char(s, '.') && read_number(s, 6, &r->day) && r->month >= 1 && r->week >= 1;
    } else {
        r->form = skip_char(s, 'J') ? RULE_JULIAN : RULE_DAY;
        ok = read_number(s, 365, &r->day) && (r->form == RULE_DAY || r->day >= 1);
    }
    return ok && (!skip_char(s, '/') || read_time(s, &r->time_s));
}

static bool read_posix(struct str s, struct tz *tz)
{
    int32_t west;
    if (!skip_name(&s) || !read_time(&s, &west))
        return false;
    tz->std_offset = -west;
    tz->has_rule = true;
    if (s.n == 0)
        return true;
    tz->dst_offset = tz->std_offset + 3600;
    if (!skip_name(&s))
        return false;
    if (s.n && s.p[0] != ',') {
        if (!read_time(&s, &west))
            return false;
        tz->dst_offset = -west;
    }
    tz->has_dst = true;
    return skip_char(&s, ',') && read_rule(&s, &tz->dst_begin) && skip_char(&s, ',') &&
           read_rule(&s, &tz->dst_end) && s.n == 0;
}

static int64_t read_be(const char *p, size_t bytes)
{
    uint64_t v = (signed char)p[0] < 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | (unsigned char)p[i];
    return (int64_t)v;
}

/* One data block of the file: its counts and where it ends. */
struct block {
    uint32_t leap, isstd, isut, times, types, chars;
    size_t time_bytes, size; /* size: of the data after the 44 bytes of the header */
};

enum { HEADER = 44 };

static bool read_header(struct str s, size_t time_bytes, struct block *b)
{
    if (s.n < HEADER || !str_starts(s, STR("TZif")))
        return false;
    uint32_t *counts[6] = {&b->isut, &b->isstd, &b->leap, &b->times, &b->types, &b->chars};
    for (size_t i = 0; i < 6; i++) {
        *counts[i] = (uint32_t)read_be(s.p + 20 + 4 * i, 4);
        if (*counts[i] > FILE_MAX)
            return false;
    }
    b->time_bytes = time_bytes;
    b->size = b->times * (time_bytes + 1) + (size_t)b->types * 6 + b->chars +
              b->leap * (time_bytes + 4) + b->isstd + b->isut;
    return b->times <= CHANGES_MAX && b->types >= 1 && b->types <= TYPES_MAX &&
           b->size <= s.n - HEADER;
}

static bool read_block(const char *p, const struct block *b, struct tz *tz)
{
    const char *index = p + b->times * b->time_bytes, *types = index + b->times;
    tz->at = calloc(b->times + 1, sizeof *tz->at);
    tz->offset = calloc(b->times + 1, sizeof *tz->offset);
    if (!tz->at || !tz->offset)
        return false;
    tz->count = b->times;
    tz->before = (int32_t)read_be(types, 4);
    for (size_t i = 0; i < b->times; i++) {
        unsigned type = (unsigned char)index[i];
        tz->at[i] = read_be(p + i * b->time_bytes, b->time_bytes);
        if (type >= b->types || (i && tz->at[i] <= tz->at[i - 1]))
            return false;
        tz->offset[i] = (int32_t)read_be(types + type * 6, 4);
        if (tz->offset[i] < -26 * 3600 || tz->offset[i] > 26 * 3600)
            return false;
    }
    return tz->before >= -26 * 3600 && tz->before <= 26 * 3600;
}

static bool read_file(struct str s, struct tz *tz)
{
    struct block b;
    if (!read_header(s, 4, &b))
        return false;
    if (s.p[4] == 0) /* version 1: 32-bit times, no rule */
        return read_block(s.p + HEADER, &b, tz);
    s = str_from(s, HEADER + b.size);
    if (!read_header(s, 8, &b) || !read_block(s.p + HEADER, &b, tz))
        return false;
    struct str rule = str_from(s, HEADER + b.size);
    if (rule.n >= 2 && rule.p[0] == '\n' && rule.p[rule.n - 1] == '\n' && rule.n > 2)
        return read_posix(str_n(rule.p + 1, rule.n - 2), tz);
    return true;
}

struct tz *tz_parse(struct str bytes, struct err *e)
{
    struct tz *tz = calloc(1, sizeof *tz);
    if (tz && read_file(bytes, tz))
        return tz;
    tz_free(tz);
    err_set(e, ERR_CORRUPT, "not a time zone file (TZif), or a damaged one");
    return NULL;
}

void tz_free(struct tz *tz)
{
    if (!tz)
        return;
    free(tz->at);
    free(tz->offset);
    free(tz);
}

static struct tz utc = {.name = "UTC", .has_rule = true};

static bool name_is_safe(struct str name)
{
    if (name.n == 0 || name.n >= sizeof utc.name || name.p[0] == '/' ||
        str_find(name, STR("..")) >= 0)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');
        if (!letter && !memchr("/_+-", c, 4))
            return false;
    }
    return true;
}

static struct tz *load(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char *bytes = fd < 0 ? NULL : malloc(FILE_MAX);
    size_t n = 0;
    ssize_t got = 0;
    while (bytes && n < FILE_MAX && (got = read(fd, bytes + n, FILE_MAX - n)) > 0)
        n += (size_t)got;
    if (fd >= 0)
        close(fd);
    struct tz *tz = bytes && got >= 0 ? tz_parse(str_n(bytes, n), NULL) : NULL;
    free(bytes);
    return tz;
}

static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tz *zones = &utc;
static unsigned zone_count = 1;

/* Under the lock. */
static const struct tz *find_or_load(struct str name)
{
    for (const struct tz *z = zones; z; z = z->next)
        if (str_eq(str_c(z->name), name))
            return z;
    char path[128];
    if (name.n == 0)
        snprintf(path, sizeof path, "/etc/localtime");
    else
        snprintf(path, sizeof path, "/usr/share/zoneinfo/" STR_FMT, STR_ARG(name));
    struct tz *tz = zone_count < ZONES_MAX ? load(path) : NULL;
    if (!tz)
        return NULL;
    str_copy(tz->name, sizeof tz->name, name);
    tz->next = zones;
    zones = tz;
    zone_count++;
    return tz;
}

const struct tz *tz_get(struct str name, struct err *e)
{
    if (name.n && !name_is_safe(name)) {
        err_set(e, ERR_UNKNOWN,
            "time zone \"" STR_FMT "\": not a name like Europe/Berlin; UTC is used",
            STR_ARG(str_first(name, 64)));
        return &utc;
    }
    pthread_mutex_lock(&zones_lock);
    const struct tz *tz = find_or_load(name);
    pthread_mutex_unlock(&zones_lock);
    if (tz)
        return tz;
    if (name.n) /* a system without /etc/localtime keeps UTC: no fault */
        err_set(e, ERR_UNKNOWN,
            "time zone \"" STR_FMT "\": not found in /usr/share/zoneinfo (is tzdata installed?); "
            "UTC is used",
            STR_ARG(name));
    return &utc;
}
