/* units.c: see units.h. Everything goes through one exact decimal reader: no double ever touches an
 * amount. */
#include "proxy/config/units.h"
#include "store/base/clock.h"

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

struct decimal {
    unsigned __int128 digits; /* without the point */
    int exponent;             /* value = digits × 10^exponent */
};

/* "12", "0.25", ".5", "1e-07". At most 30 significant digits. */
static bool decimal_read(struct str s, struct decimal *d)
{
    *d = (struct decimal){0};
    size_t i = 0, seen = 0, kept = 0;
    bool point = false;
    for (; i < s.n && (digit(s.p[i]) || (s.p[i] == '.' && !point)); i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        seen++;
        if (d->digits || s.p[i] != '0')
            kept++;
        if (kept > 30)
            return false;
        d->digits = d->digits * 10 + (unsigned)(s.p[i] - '0');
        d->exponent -= point;
    }
    if (!seen)
        return false;
    if (i == s.n)
        return true;
    if (s.p[i] != 'e' && s.p[i] != 'E')
        return false;
    struct str rest = str_from(s, i + 1);
    if (rest.n && *rest.p == '+')
        rest = str_from(rest, 1);
    int64_t exponent;
    if (!str_to_i64(rest, &exponent) || exponent < -40 || exponent > 40)
        return false;
    d->exponent += (int)exponent;
    return true;
}

int unit_decimal(struct str text, int scale, int64_t *out, struct err *e)
{
    struct decimal d;
    if (!decimal_read(text, &d))
        return err_set(
            e, ERR_SYNTAX, "is not a number: \"" STR_FMT "\"", STR_ARG(str_first(text, 60)));
    int power = d.exponent + scale;
    for (; power < 0 && d.digits % 10 == 0 && d.digits; power++)
        d.digits /= 10;
    if (power < 0 && d.digits)
        return err_set(e, ERR_RANGE, "has more decimals than can be kept exactly: " STR_FMT,
            STR_ARG(str_first(text, 60)));
    for (; power > 0 && d.digits; power--) {
        if (d.digits > (unsigned __int128)INT64_MAX)
            break;
        d.digits *= 10;
    }
    if (d.digits > (unsigned __int128)INT64_MAX)
        return err_set(e, ERR_RANGE, "is too large: " STR_FMT, STR_ARG(str_first(text, 60)));
    *out = (int64_t)d.digits;
    return 0;
}

struct suffix {
    const char *name;
    int64_t factor;
};

/* Splits "64MiB" into 64 and the factor of MiB; an unknown suffix is -ERR_SYNTAX. */
static int scaled(struct str text, const struct suffix *known, size_t n, int64_t *out,
    const char *example, struct err *e)
{
    size_t cut = text.n;
    while (cut && !digit(text.p[cut - 1]) && text.p[cut - 1] != '.')
        cut--;
    struct str number = str_first(text, cut), tail = str_from(text, cut);
    for (size_t i = 0; i < n; i++) {
        if (!str_eq_nocase(tail, str_c(known[i].name)))
            continue;
        ptrdiff_t point = str_chr(number, '.'); /* no finer than needed: 10^12 must fit */
        int scale = point < 0 ? 0 : (int)MIN(number.n - (size_t)point - 1, (size_t)9);
        int64_t shifted, one = 1;
        int rc = unit_decimal(number, scale, &shifted, e);
        if (rc < 0)
            return rc;
        for (int k = 0; k < scale; k++)
            one *= 10;
        __int128 wide = (__int128)shifted * known[i].factor;
        if (wide % one)
            return err_set(e, ERR_RANGE, "is not a whole number: " STR_FMT, STR_ARG(text));
        if (wide / one > INT64_MAX)
            return err_set(e, ERR_RANGE, "is too large: " STR_FMT, STR_ARG(str_first(text, 60)));
        *out = (int64_t)(wide / one);
        return 0;
    }
    return err_set(e, ERR_SYNTAX, "is \"" STR_FMT "\"; expected a number such as %s",
        STR_ARG(str_first(text, 60)), example);
}

int unit_count(struct str text, int64_t *out, struct err *e)
{
    static const struct suffix known[] = {{"", 1}, {"k", 1000}, {"M", 1000000}, {"G", 1000000000}};
    return scaled(text, known, ARRAY_LEN(known), out, "60, 200k or 1.5M", e);
}

int unit_size(struct str text, int64_t *bytes, struct err *e)
{
    static const struct suffix known[] = {{"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1000},
        {"kib", 1 << 10}, {"ki", 1 << 10}, {"m", 1000000}, {"mb", 1000000}, {"mib", 1 << 20},
        {"mi", 1 << 20}, {"g", 1000000000}, {"gb", 1000000000}, {"gib", 1 << 30}, {"gi", 1 << 30},
        {"tb", 1000000000000}, {"tib", (int64_t)1 << 40}};
    return scaled(text, known, ARRAY_LEN(known), bytes, "64MiB, 200k or 512", e);
}

static int64_t time_unit_us(struct str unit)
{
    static const struct suffix known[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000},
        {"m", 60000000}, {"min", 60000000}, {"h", 3600000000}, {"d", 86400000000},
        {"w", 604800000000}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(unit, str_c(known[i].name)))
            return known[i].factor;
    return 0;
}

int unit_duration(struct str text, int64_t *us, struct err *e)
{
    static const int64_t most = (int64_t)86400000000 * 36525; /* a hundred years */
    struct str rest = text;
    int64_t total = 0;
    if (str_eq(text, STR("0"))) {
        *us = 0;
        return 0;
    }
    while (rest.n) {
        size_t n = 0, u;
        while (n < rest.n && (digit(rest.p[n]) || rest.p[n] == '.'))
            n++;
        for (u = n; u < rest.n && rest.p[u] >= 'a' && rest.p[u] <= 'z'; u++)
            continue;
        struct str unit = str_n(rest.p + n, u - n);
        int64_t factor = time_unit_us(unit), micro;
        if (!factor || unit_decimal(str_first(rest, n), 6, &micro, NULL) < 0)
            return err_set(e, ERR_SYNTAX, "is \"" STR_FMT "\"; expected a time such as 500ms, 30s, "
                "10m, 2h or 7d", STR_ARG(str_first(text, 60)));
        __int128 wide = total + (__int128)micro * factor / 1000000;
        if (wide > most)
            return err_set(e, ERR_RANGE, "is longer than a hundred years: " STR_FMT,
                STR_ARG(str_first(text, 60)));
        total = (int64_t)wide;
        rest = str_from(rest, u);
    }
    if (!text.n)
        return err_set(e, ERR_SYNTAX, "is empty; expected a time such as 30s or 10m");
    *us = total;
    return 0;
}

static struct str without_currency(struct str text)
{
    if (text.n && *text.p == '$')
        return str_from(text, 1);
    if (text.n > 3 && str_eq_nocase(str_from(text, text.n - 3), STR("usd")))
        return str_first(text, text.n - 3);
    return text;
}

int unit_money(struct str text, int64_t *nano, struct err *e)
{
    int rc = unit_decimal(without_currency(text), 9, nano, e);
    if (rc == -ERR_SYNTAX)
        return err_set(e, ERR_SYNTAX,
            "is \"" STR_FMT "\"; expected an amount in US dollars such as "
            "$5, 0.02 or 20usd",
            STR_ARG(str_first(text, 60)));
    return rc;
}

int unit_rate(struct str text, int64_t *femto, struct err *e)
{
    return unit_decimal(without_currency(text), 9, femto, e); /* 1e15 / 1e6 units */
}

int unit_fee(struct str text, int64_t *femto, struct err *e)
{
    return unit_decimal(without_currency(text), 15, femto, e);
}

int unit_percent(struct str text, int64_t *ppm, struct err *e)
{
    if (!text.n || text.p[text.n - 1] != '%')
        return err_set(e, ERR_SYNTAX, "is \"" STR_FMT "\"; expected a share such as 10%%",
            STR_ARG(str_first(text, 60)));
    return unit_decimal(str_first(text, text.n - 1), 4, ppm, e);
}

int unit_bool(struct str text, bool *out, struct err *e)
{
    static const char *const yes[] = {"yes", "true", "on"}, *const no[] = {"no", "false", "off"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_eq_nocase(text, str_c(yes[i])) || str_eq_nocase(text, str_c(no[i]))) {
            *out = str_eq_nocase(text, str_c(yes[i]));
            return 0;
        }
    }
    return err_set(
        e, ERR_TYPE, "is \"" STR_FMT "\"; expected yes or no", STR_ARG(str_first(text, 60)));
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* Exactly `n` digits at `at`, or -1. */
static int64_t digits_at(struct str s, size_t at, size_t n)
{
    uint64_t v;
    return at + n <= s.n && str_to_u64(str_n(s.p + at, n), &v) ? (int64_t)v : -1;
}

static bool real_date(int64_t y, int64_t m, int64_t d)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (y < 1970 || y > 9999 || m < 1 || m > 12)
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return d >= 1 && d <= days[m - 1] + (m == 2 && leap);
}

/* "T10:00:00Z", "T10:00:00+02:00" → seconds of the day in UTC (may leave the day), or INT64_MIN. */
static int64_t clock_seconds(struct str s)
{
    int64_t h = digits_at(s, 1, 2), m = digits_at(s, 4, 2), sec = digits_at(s, 7, 2), shift = 0;
    if (s.n < 10 || (s.p[0] != 'T' && s.p[0] != ' ') || s.p[3] != ':' || s.p[6] != ':' || h < 0 ||
        h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60)
        return INT64_MIN;
    struct str zone = str_from(s, 9);
    if (!str_eq(zone, STR("Z"))) {
        int64_t zh = digits_at(zone, 1, 2), zm = digits_at(zone, 4, 2);
        if (zone.n != 6 || (zone.p[0] != '+' && zone.p[0] != '-') || zone.p[3] != ':' || zh < 0 ||
            zm < 0 || zh > 15 || zm > 59)
            return INT64_MIN;
        shift = (zh * 3600 + zm * 60) * (zone.p[0] == '+' ? 1 : -1);
    }
    return h * 3600 + m * 60 + sec - shift;
}

int unit_date(struct str text, int64_t *wall_ms, struct err *e)
{
    int64_t y = digits_at(text, 0, 4), m = digits_at(text, 5, 2), d = digits_at(text, 8, 2);
    int64_t seconds = text.n == 10 ? 86400 : clock_seconds(str_from(text, 10));
    if (text.n < 10 || text.p[4] != '-' || text.p[7] != '-' || !real_date(y, m, d) ||
        seconds == INT64_MIN)
        return err_set(e, ERR_SYNTAX, "is \"" STR_FMT "\"; expected a date such as 2026-12-31 or "
            "2026-12-31T10:00:00Z", STR_ARG(str_first(text, 60)));
    *wall_ms = (days_from_civil(y, m, d) * 86400 + seconds) * 1000;
    return 0;
}

/* value / 10^scale without trailing zeros. */
static void put_scaled(struct buf *out, int64_t value, int scale)
{
    char digits[48];
    int n = 0;
    uint64_t v = value < 0 ? 0 : (uint64_t)value;
    int decimals = scale;
    while (decimals && v % 10 == 0) {
        v /= 10;
        decimals--;
    }
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
        if (--decimals == 0)
            digits[n++] = '.';
    } while (v || decimals >= 0);
    while (n)
        buf_putc(out, digits[--n]);
}

void unit_put_money(struct buf *out, int64_t nano)
{
    buf_putc(out, '$');
    put_scaled(out, nano, 9);
}

void unit_put_rate(struct buf *out, int64_t femto)
{
    put_scaled(out, femto, 9);
}

void unit_put_fee(struct buf *out, int64_t femto)
{
    put_scaled(out, femto, 15);
}

void unit_put_percent(struct buf *out, int64_t ppm)
{
    put_scaled(out, ppm, 4);
    buf_putc(out, '%');
}

static void put_largest(struct buf *out, int64_t v, const struct suffix *units, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v % units[i].factor == 0 && (v || i + 1 == n)) {
            buf_printf(out, "%lld%s", (long long)(v / units[i].factor), units[i].name);
            return;
        }
    }
}

void unit_put_size(struct buf *out, int64_t bytes)
{
    static const struct suffix units[] = {
        {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};
    put_largest(out, bytes, units, ARRAY_LEN(units));
}

void unit_put_duration(struct buf *out, int64_t us)
{
    static const struct suffix units[] = {{"d", 86400000000}, {"h", 3600000000}, {"m", 60000000},
        {"s", 1000000}, {"ms", 1000}, {"us", 1}};
    put_largest(out, us, units, ARRAY_LEN(units));
}

void unit_put_date(struct buf *out, int64_t wall_ms)
{
    char text[32];
    clock_rfc3339(wall_ms, text);
    buf_printf(out, "%.19sZ", text);
}
