/* money.c: decimal text ↔ integers. No double ever holds an amount: "1e-07" is read digit by
 * digit, multiplied out in 128 bits and rounded half to even once. */
#include "proxy/meter/price.h"

#include <stdio.h>

typedef __int128 i128;

/* value = digits × 10^exponent; `lost` when digits past the 30th were cut off. */
struct decimal {
    i128 digits;
    int exponent;
    bool negative, lost;
};

enum { DIGITS_MAX = 30, EXPONENT_MAX = 400 };

static void decimal_digit(struct decimal *d, int *count, char c, bool fraction)
{
    if (*count >= DIGITS_MAX) {
        d->lost |= c != '0';
        d->exponent += !fraction;
        return;
    }
    d->digits = d->digits * 10 + (c - '0');
    *count += *count > 0 || c != '0';
    d->exponent -= fraction;
}

static int decimal_exponent(struct str s, int *out)
{
    bool minus = s.n && *s.p == '-';
    if (s.n && (*s.p == '-' || *s.p == '+'))
        s = str_from(s, 1);
    uint64_t e;
    if (!str_to_u64(s, &e))
        return -ERR_SYNTAX;
    int bounded = e > EXPONENT_MAX ? EXPONENT_MAX : (int)e;
    *out = minus ? -bounded : bounded;
    return 0;
}

/* [-]digits[.digits][e[±]digits], the whole text. */
static int decimal_read(struct str s, struct decimal *d)
{
    *d = (struct decimal){0};
    if (s.n && *s.p == '-') {
        d->negative = true;
        s = str_from(s, 1);
    }
    int count = 0, seen = 0, exponent = 0;
    bool fraction = false;
    size_t i = 0;
    for (; i < s.n; i++) {
        char c = s.p[i];
        if (c == '.' && !fraction)
            fraction = true;
        else if (c >= '0' && c <= '9') {
            if (d->exponent < -EXPONENT_MAX || d->exponent > EXPONENT_MAX)
                return -ERR_RANGE;
            decimal_digit(d, &count, c, fraction);
            seen++;
        } else
            break;
    }
    if (!seen)
        return -ERR_SYNTAX;
    if (i < s.n) {
        if ((s.p[i] | 32) != 'e' || decimal_exponent(str_from(s, i + 1), &exponent) < 0)
            return -ERR_SYNTAX;
        d->exponent += exponent;
    }
    return 0;
}

static bool is_even(i128 v)
{
    return (v & 1) == 0;
}

/* n / d, half to even; both positive. */
static i128 divide_half_even(i128 n, i128 d, bool *rounded)
{
    i128 q = n / d, r = n % d;
    *rounded |= r != 0;
    if (r > d - r || (r == d - r && !is_even(q)))
        q++;
    return q;
}

/* digits × 10^(exponent + scale) / per as an int64. */
static int decimal_scale(
    const struct decimal *d, int scale, int64_t per, int64_t *out, bool *rounded)
{
    const i128 ceiling = (i128)INT64_MAX * INT64_MAX;
    i128 n = d->digits, den = per;
    *rounded = d->lost;
    for (int e = d->exponent + scale; e > 0 && n; e--) {
        if (n > ceiling / 10)
            return -ERR_RANGE;
        n *= 10;
    }
    for (int e = d->exponent + scale; e < 0 && n; e++) {
        if (den > ceiling / 10) { /* far below one unit */
            *out = 0;
            *rounded = true;
            return 0;
        }
        den *= 10;
    }
    i128 q = divide_half_even(n, den, rounded);
    if (q > INT64_MAX)
        return -ERR_RANGE;
    *out = d->negative ? -(int64_t)q : (int64_t)q;
    return 0;
}

/* Without "$" in front and "usd" behind. */
static struct str strip_unit(struct str s)
{
    s = str_trim(s);
    if (s.n && *s.p == '$')
        s = str_trim(str_from(s, 1));
    if (s.n >= 3 && str_eq_nocase(str_from(s, s.n - 3), STR("usd")))
        s = str_trim(str_first(s, s.n - 3));
    return s;
}

int price_parse_rate(struct str text, int64_t per, int64_t *femto, bool *rounded)
{
    struct decimal d;
    int rc = decimal_read(strip_unit(text), &d);
    if (rc < 0)
        return rc;
    if (d.negative && d.digits)
        return -ERR_RANGE;
    return decimal_scale(&d, 15, per, femto, rounded);
}

int64_t price_round_nano(i128 femto)
{
    bool rounded = false, negative = femto < 0;
    i128 nano = divide_half_even(negative ? -femto : femto, 1000000, &rounded);
    int64_t bounded = nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
    return negative ? -bounded : bounded;
}

static const char quoting_hint[] = "write 20 or 20usd; in a shell an unquoted $20 loses its \"$2\"";

int money_parse(struct str text, bool zero_ok, int64_t *nano, struct err *e)
{
    struct decimal d;
    bool rounded;
    struct str s = strip_unit(text);
    if (!s.n)
        return err_set(e, ERR_RANGE, "the amount is empty: %s", quoting_hint);
    if (decimal_read(s, &d) < 0)
        return err_set(e, ERR_SYNTAX, "\"" STR_FMT "\" is not an amount of money: %s",
            STR_ARG(str_first(text, 40)), quoting_hint);
    if (d.negative)
        return err_set(e, ERR_RANGE, "an amount of money can't be negative");
    if (decimal_scale(&d, 9, 1, nano, &rounded) < 0)
        return err_set(e, ERR_RANGE, "\"" STR_FMT "\" is too large: at most 9,000,000,000",
            STR_ARG(str_first(text, 40)));
    if (rounded)
        return err_set(e, ERR_RANGE, "\"" STR_FMT "\" is finer than a nano-dollar (9 decimals)",
            STR_ARG(str_first(text, 40)));
    if (*nano == 0 && !zero_ok)
        return err_set(
            e, ERR_RANGE, "the amount is zero, which is not \"no limit\": %s", quoting_hint);
    return 0;
}

int credit_parse(struct str text, int64_t per_dollar, int64_t *nano, struct err *e)
{
    struct str s = str_trim(text);
    bool minus = s.n && *s.p == '-', dollars = str_chr(s, '$') >= 0 || !per_dollar ||
        (s.n > 3 && str_eq_nocase(str_from(s, s.n - 3), STR("usd")));
    s = minus ? str_from(s, 1) : s;
    int rc = money_parse(s, false, nano, e);
    if (rc == 0 && !dollars && *nano % per_dollar)
        rc = err_set(e, ERR_RANGE, "\"" STR_FMT "\" is finer than a nano-dollar", STR_ARG(text));
    if (rc == 0 && !dollars)
        *nano /= per_dollar;
    if (rc == 0 && minus)
        *nano = -*nano;
    return rc;
}

void credit_show(int64_t nano, int64_t per_dollar, char *out, size_t size)
{
    char amount[64];
    int64_t shown;
    bool many = __builtin_mul_overflow(nano, per_dollar, &shown), credits = per_dollar && !many;
    money_show(credits ? shown : nano, amount, sizeof amount);
    size_t n = strlen(amount);
    if (credits && shown % 1000000000 == 0 && n > 3 && amount[n - 3] == '.')
        amount[n - 3] = '\0'; /* whole credits */
    if (credits)
        snprintf(out, size, "%s credit%s", amount, shown == 1000000000 ? "" : "s");
    else
        snprintf(out, size, "%s$%s", *amount == '-' ? "-" : "", amount + (*amount == '-'));
}

/* "12408" → "12,408" */
static void put_grouped(char *out, size_t size, uint64_t whole, const char *sign)
{
    char plain[24], grouped[32];
    int n = snprintf(plain, sizeof plain, "%llu", (unsigned long long)whole), at = 0;
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            grouped[at++] = ',';
        grouped[at++] = plain[i];
    }
    grouped[at] = 0;
    snprintf(out, size, "%s%s", sign, grouped);
}

/* Decimals that a person wants: two from a dollar up, else the first two that say something. */
static int decimals_for(uint64_t nano)
{
    int decimals = 9;
    if (nano >= 1000000000)
        return nano >= 1000000000000 ? 0 : 2;
    if (nano >= 10000000)
        return 4;
    for (uint64_t v = nano; v >= 100; v /= 10)
        decimals--;
    return decimals;
}

/* With that many decimals, rounded; the length. */
static size_t put_amount(char *text, size_t size, uint64_t nano, int decimals, const char *sign)
{
    uint64_t unit = 1000000000;
    for (int i = 0; i < decimals; i++)
        unit /= 10;
    uint64_t rounded = nano / unit + (nano % unit >= unit / 2 + unit % 2);
    uint64_t per_dollar = 1000000000 / unit, fraction = rounded % per_dollar;
    put_grouped(text, size, rounded / per_dollar, sign);
    size_t n = strlen(text);
    if (decimals == 0)
        return n;
    text[n] = '.';
    for (int i = decimals; i > 0; i--, fraction /= 10)
        text[n + (size_t)i] = (char)('0' + fraction % 10);
    n += (size_t)decimals + 1;
    text[n] = 0;
    return n;
}

void money_show(int64_t nano, char *out, size_t size)
{
    uint64_t v = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    const char *sign = nano < 0 ? "-" : "";
    for (int decimals = v ? decimals_for(v) : 0; decimals >= 0; decimals--) {
        char text[64];
        size_t n = put_amount(text, 48, v, decimals, sign);
        if (n < size) {
            memcpy(out, text, n + 1);
            return;
        }
    }
    /* not even the whole dollars fit */
    snprintf(out, size, "%s%lluk", sign, (unsigned long long)(v / 1000000000000));
}

void money_exact(int64_t nano, char *out, size_t size)
{
    uint64_t v = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    snprintf(out, size, "%s%llu.%09llu", nano < 0 ? "-" : "", (unsigned long long)(v / 1000000000),
        (unsigned long long)(v % 1000000000));
}
