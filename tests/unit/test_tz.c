/* Units of proxy/access/{tz,window}: offsets, days with skipped or doubled hours, calendar windows,
 * damaged files. The C library's own zones are the measure, and only here. */
#include "proxy/access/account.h"
#include "store/base/tz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo",
    "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut",
    "America/Havana", "Pacific/Apia", "Europe/Dublin", "Africa/Casablanca", "America/Nuuk",
    "Pacific/Kiritimati", "EST5EDT"};

static bool have_zone(const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    return access(path, R_OK) == 0;
}

static bool have_zones(void)
{
    return have_zone("Europe/Berlin");
}

static void offsets_agree_with_the_c_library(void **state)
{
    (void)state;
    if (!have_zones())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        struct err e = {0};
        if (!have_zone(zones[i]))
            continue; /* newer systems leave the old names out */
        const struct tz *tz = tz_get(str_c(zones[i]), &e);
        assert_int_equal(e.code, 0);
        setenv("TZ", zones[i], 1);
        tzset();
        for (int64_t t = 0; t < 2840140800; t += 7 * 3600 + 1801) { /* 1970 to 2059 */
            struct tm tm;
            time_t at = (time_t)t;
            localtime_r(&at, &tm);
            struct tz_local l;
            tz_local(tz, t, &l);
            if (tm.tm_gmtoff != tz_offset_s(tz, t) || tm.tm_mday != l.day || tm.tm_hour != l.hour ||
                tm.tm_mon + 1 != l.month || tm.tm_year + 1900 != l.year ||
                (tm.tm_wday + 6) % 7 != l.weekday || tm.tm_min != l.minute || tm.tm_sec != l.second)
                fail_msg("%s at %lld: %ld, not %d", zones[i], (long long)t, tm.tm_gmtoff,
                    tz_offset_s(tz, t));
        }
    }
    unsetenv("TZ");
    tzset();
}

static void a_zone_that_does_not_exist_is_utc_and_says_so(void **state)
{
    (void)state;
    static const char *const bad[] = {"Europe/Nowhere", "../../etc/passwd", "/etc/localtime", "a b",
        "Europe/../UTC"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = {0};
        const struct tz *tz = tz_get(str_c(bad[i]), &e);
        assert_int_equal(e.code, ERR_UNKNOWN);
        assert_non_null(strstr(e.text, "UTC is used"));
        assert_int_equal(tz_offset_s(tz, 1795435200), 0);
    }
}

/* The first moment whose local date is the asked one: the instant before belongs to another day. */
static void days_begin_at_their_first_moment(void **state)
{
    (void)state;
    if (!have_zones())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        const struct tz *tz = tz_get(str_c(zones[i]), NULL);
        for (int64_t day = 0; day < 25 * 366; day++) {
            int64_t start = tz_day_start(tz, 2015, 1, 1 + day);
            struct tz_local now, before;
            tz_local(tz, start, &now);
            tz_local(tz, start - 1, &before);
            if (before.day == now.day || (now.hour > 1 && strcmp(zones[i], "Pacific/Apia") != 0))
                fail_msg("%s: day %lld begins at %lld: %02d:%02d:%02d", zones[i], (long long)day,
                    (long long)start, now.hour, now.minute, now.second);
        }
    }
}

static void windows_tile_time_without_a_gap(void **state)
{
    (void)state;
    if (!have_zones())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        if (strcmp(zones[i], "Australia/Lord_Howe") == 0)
            continue; /* half-hour daylight time: an hour there overlaps its neighbour twice a year
                       */
        for (int w = WINDOW_MINUTE; w <= WINDOW_MONTH; w++) {
            int64_t at = 1767225600000, start, end;
            for (int k = 0; k < 500; k++) {
                window_bounds((enum window)w, zones[i], at, &start, &end);
                assert_true(start <= at && at < end);
                int64_t s2, e2;
                window_bounds((enum window)w, zones[i], end - 1, &s2, &e2);
                assert_true(s2 == start && e2 == end);
                window_bounds((enum window)w, zones[i], end, &s2, &e2);
                assert_int_equal(s2, end);
                at = w <= WINDOW_HOUR ? end + 6 * 3600000 + 1234 : end;
            }
        }
    }
}

static void check(const char *zone, enum window w, int64_t at_s, int64_t start_s, int64_t hours)
{
    int64_t start, end;
    window_bounds(w, zone, at_s * 1000, &start, &end);
    assert_int_equal(start, start_s * 1000);
    assert_int_equal(end - start, hours * 3600000);
}

static void the_calendar_knows_short_days_and_month_ends(void **state)
{
    (void)state;
    if (!have_zones())
        skip();
    check("Europe/Berlin", WINDOW_DAY, 1774742400, 1774738800, 23); /* 2026-03-29: one hour less */
    check("Europe/Berlin", WINDOW_DAY, 1792908000, 1792879200, 25);   /* 2026-10-25: one more */
    check("Europe/Berlin", WINDOW_MONTH, 1772000000, 1769900400, 28 * 24); /* February 2026 */
    check("Europe/Berlin", WINDOW_MONTH, 1835000000, 1832972400, 29 * 24); /* February 2028 */
    check("Europe/Berlin", WINDOW_MONTH, 1774742400, 1772319600, 31 * 24 - 1); /* March 2026 */
    check("Europe/Berlin", WINDOW_WEEK, 1774742400, 1774220400, 7 * 24 - 1);
    check("UTC", WINDOW_WEEK, 1795435200, 1795392000, 7 * 24);        /* a Monday */
    check("Asia/Kolkata", WINDOW_HOUR, 1795435200, 1795433400, 1);    /* half past in UTC */
    int64_t start, end;
    window_bounds(WINDOW_TOTAL, "UTC", 0, &start, &end);
    assert_true(start < -1000000000000 && end == INT64_MAX);
    assert_string_equal(window_name(WINDOW_MONTH), "month");
}

static void damaged_files_are_refused_not_believed(void **state)
{
    (void)state;
    if (!have_zones())
        skip();
    static char bytes[8192], copy[8192];
    FILE *f = fopen("/usr/share/zoneinfo/Europe/Berlin", "r");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t cut = 0; cut < n; cut++) {
        struct tz *tz = tz_parse(str_n(bytes, cut), NULL);
        if (tz)
            (void)tz_offset_s(tz, 1795435200);
        tz_free(tz);
    }
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 20000; round++) {
        memcpy(copy, bytes, n);
        for (int k = 0; k < 3; k++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            copy[seed % (round % 2 ? n : 200)] = (char)(seed >> 32);
        }
        struct tz *tz = tz_parse(str_n(copy, n), NULL);
        struct tz_local l;
        if (tz) {
            tz_local(tz, 1795435200, &l);
            tz_local(tz, 4102444800, &l);
            (void)tz_day_start(tz, 2031, 3, 30);
        }
        tz_free(tz);
    }
    struct err e = {0};
    assert_null(tz_parse(STR("no such thing"), &e));
    assert_int_equal(e.code, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_agree_with_the_c_library),
        cmocka_unit_test(a_zone_that_does_not_exist_is_utc_and_says_so),
        cmocka_unit_test(days_begin_at_their_first_moment),
        cmocka_unit_test(windows_tile_time_without_a_gap),
        cmocka_unit_test(the_calendar_knows_short_days_and_month_ends),
        cmocka_unit_test(damaged_files_are_refused_not_believed),
    };
    return cmocka_run_group_tests_name("tz", tests, NULL, NULL);
}
