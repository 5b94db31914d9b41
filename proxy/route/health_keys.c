/* health_keys.c: a provider's keys and what its answers say of its limits. See health.h.
 *
 * A key that is refused (401, 402) is dead for every model; one that may not use a model (403) or
 * is limited (429) rests for that model alone. Both come back by themselves: the first request
 * after the pause is the probe. The header forms are those seen on the wire: see read_reset(). */
#include "proxy/route/health_state.h"

#include "proxy/config/sealed.h"

#include <stdio.h>

enum { SECOND_US = 1000000, HOUR_S = 3600 };
static const int64_t dead_first_us = 60 * (int64_t)SECOND_US;
static const int64_t dead_most_us = 1800 * (int64_t)SECOND_US;
static const int64_t rest_first_us = 5 * (int64_t)SECOND_US;
static const int64_t rest_most_us = 300 * (int64_t)SECOND_US;
static const int64_t hour_us = HOUR_S * (int64_t)SECOND_US;

int64_t key_out_until(const struct provider_health *ph, const struct target_health *t, unsigned key,
    int64_t now_us)
{
    int64_t until = 0;
    if (key >= KEYS_MAX)
        return 0; /* used, but without a state of its own */
    if (ph->dead[key].until_us > now_us)
        until = ph->dead[key].until_us;
    if (t && t->rest[key].until_us > now_us)
        until = MAX(until, t->rest[key].until_us);
    return until;
}

static bool has_headroom(const struct key_limits *l, int64_t now_us)
{
    bool no_requests = l->requests_left == 0 && l->requests_reset_us > now_us;
    bool no_tokens = l->tokens_left == 0 && l->tokens_reset_us > now_us;
    return !no_requests && !no_tokens;
}

/* By weight among the keys that are well; `strict` leaves out those that say they are used up. */
static int draw_key(const struct provider_health *ph, const struct target_health *t,
    const struct provider *p, uint64_t random, int64_t now_us, bool strict)
{
    uint64_t sum = 0;
    for (int pass = 0; pass < 2; pass++) {
        uint64_t at = sum ? random % sum : 0;
        for (size_t i = 0; i < p->key_count; i++) {
            unsigned key = p->keys[i].index;
            if (p->keys[i].weight == 0 || p->keys[i].fault.n || key_out_until(ph, t, key, now_us) ||
                (strict && key < KEYS_MAX && !has_headroom(&ph->limits[key], now_us)))
                continue;
            if (pass == 1 && at < p->keys[i].weight)
                return (int)i;
            at -= pass == 1 ? p->keys[i].weight : 0;
            sum += pass == 0 ? p->keys[i].weight : 0;
        }
        if (!sum)
            return -1;
    }
    return -1;
}

static int soonest_key(const struct provider_health *ph, const struct target_health *t,
    const struct provider *p, int64_t now_us)
{
    int best = -1;
    int64_t best_until = INT64_MAX;
    for (size_t i = 0; i < p->key_count; i++) {
        int64_t until = key_out_until(ph, t, p->keys[i].index, now_us);
        if (p->keys[i].fault.n)
            continue;
        if (best < 0 || until < best_until) {
            best = (int)i;
            best_until = until;
        }
    }
    return best;
}

/* Without memory for health: in turn from anywhere. */
static int any_key(const struct provider *p, uint64_t random)
{
    size_t i = random % p->key_count;
    while (p->keys[i].fault.n)
        i = (i + 1) % p->key_count;
    return (int)i;
}

int health_pick_key(struct health *h, const struct provider *p, struct str model, uint64_t random,
    int64_t now_us)
{
    struct provider_health *ph = provider_health(h, p);
    if (p->key_count == 0 || provider_is_locked(p))
        return -1;
    if (!ph)
        return any_key(p, random);
    pthread_mutex_lock(&ph->lock);
    const struct target_health *t = target_health(ph, model, false, now_us);
    int key = draw_key(ph, t, p, random, now_us, true);
    if (key < 0)
        key = draw_key(ph, t, p, random, now_us, false);
    if (key < 0)
        key = soonest_key(ph, t, p, now_us);
    pthread_mutex_unlock(&ph->lock);
    return key;
}

static void set_aside(struct key_rest *r, int64_t first_us, int64_t most_us, int64_t asked_us,
    int64_t now_us)
{
    int64_t us = first_us << MIN(r->failures, 16u);
    us = asked_us >= 0 ? MIN(asked_us, hour_us) : MIN(us, most_us);
    r->failures++;
    r->until_us = now_us + us;
}

void health_key_failed(struct health *h, const struct provider *p, struct str model,
    unsigned key_index, int status, int64_t retry_after_us, int64_t now_us)
{
    struct provider_health *ph = provider_health(h, p);
    if (!ph || key_index >= KEYS_MAX)
        return;
    bool dead = status == 401 || status == 402, rests = status == 403 || status == 429;
    pthread_mutex_lock(&ph->lock);
    struct target_health *t = rests ? target_health(ph, model, true, now_us) : NULL;
    if (dead)
        set_aside(&ph->dead[key_index], dead_first_us, dead_most_us, -1, now_us);
    else if (t)
        set_aside(&t->rest[key_index], rest_first_us, rest_most_us,
            status == 429 ? retry_after_us : -1, now_us);
    pthread_mutex_unlock(&ph->lock);
    char text[160];
    struct str name = key_index < p->key_count ? p->keys[key_index].name : STR("");
    snprintf(text, sizeof text, "key " STR_FMT " was answered %d", STR_ARG(str_first(name, 80)),
        status);
    if (dead || t)
        health_tell(h, dead ? HEALTH_KEY_DEAD : HEALTH_KEY_RESTS, p, model, text);
}

/* --- headers --- */

/* `name` in small letters. */
static struct str header(const struct http_header *headers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (headers[i].name.n && (*headers[i].name.p | 32) == *name &&
            str_eq_nocase(headers[i].name, str_c(name)))
            return str_trim(headers[i].value);
    return STR_NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "12", "1.25": as µs of the unit. Cuts what it read. */
static bool cut_decimal(struct str *s, int64_t unit_us, int64_t *out)
{
    int64_t whole = 0, part = 0, scale = 1;
    size_t n = 0;
    for (; n < s->n && is_digit(s->p[n]) && n < 14; n++)
        whole = whole * 10 + (s->p[n] - '0');
    if (n == 0)
        return false;
    if (n < s->n && s->p[n] == '.')
        for (n++; n < s->n && is_digit(s->p[n]); n++)
            if (scale < 1000000) {
                part = part * 10 + (s->p[n] - '0');
                scale *= 10;
            }
    *s = str_from(*s, n);
    if (whole > INT64_MAX / unit_us / 2)
        return false;
    *out = whole * unit_us + part * unit_us / scale;
    return true;
}

/* Go's form of a duration: "6ms", "1.2s", "6m0s", "1h2m"; a plain number is seconds. */
static bool read_duration(struct str s, int64_t *out)
{
    static const struct { const char *name; int64_t us; } units[] = {
        {"ms", 1000}, {"us", 1}, {"s", SECOND_US}, {"m", 60 * (int64_t)SECOND_US},
        {"h", 3600 * (int64_t)SECOND_US}, {"d", 86400 * (int64_t)SECOND_US},
    };
    int64_t sum = 0, v;
    struct str plain = s;
    if (cut_decimal(&plain, SECOND_US, &v) && plain.n == 0) {
        *out = v;
        return true;
    }
    while (s.n) {
        struct str number = s;
        size_t u = 0;
        if (!cut_decimal(&s, 1, &v))
            return false;
        while (u < ARRAY_LEN(units) && !str_starts(s, str_c(units[u].name)))
            u++;
        if (u == ARRAY_LEN(units) || !cut_decimal(&number, units[u].us, &v))
            return false;
        s = str_from(s, strlen(units[u].name));
        sum += MIN(v, (int64_t)1 << 60);
        if (sum > (int64_t)1 << 60)
            return false;
    }
    *out = sum;
    return true;
}

static bool two_digits(const char *p, int *out)
{
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return is_digit(p[0]) && is_digit(p[1]);
}

static int64_t unix_seconds(int year, int month, int day, int h, int m, int s)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t y = year - 1, leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t days = y * 365 + y / 4 - y / 100 + y / 400 - 719162 + before[month - 1] +
                   (month > 2 && leap) + day - 1;
    return ((days * 24 + h) * 60 + m) * 60 + s;
}

/* "2026-11-23T14:02:09Z", "…+00:00", fractions allowed and dropped. */
static bool read_rfc3339(struct str s, int64_t *unix_s)
{
    int century, year, month, day, h, m, sec;
    if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || (s.p[10] | 32) != 't' ||
        !two_digits(s.p, &century) || !two_digits(s.p + 2, &year) || !two_digits(s.p + 5, &month) ||
        !two_digits(s.p + 8, &day) || !two_digits(s.p + 11, &h) || !two_digits(s.p + 14, &m) ||
        !two_digits(s.p + 17, &sec) || month < 1 || month > 12)
        return false;
    int64_t at = unix_seconds(century * 100 + year, month, day, h, m, sec);
    struct str zone = str_from(s, 19);
    if (zone.n && zone.p[0] == '.')
        for (zone = str_from(zone, 1); zone.n && is_digit(zone.p[0]);)
            zone = str_from(zone, 1);
    int zh, zm;
    if (zone.n == 6 && two_digits(zone.p + 1, &zh) && two_digits(zone.p + 4, &zm))
        at -= (zone.p[0] == '-' ? -1 : 1) * (zh * 60 + zm) * 60;
    *unix_s = at;
    return true;
}

/* "Mon, 23 Nov 2026 14:02:09 GMT": the form that is sent; older ones are not. */
static bool read_http_date(struct str s, int64_t *unix_s)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int day, century, year, h, m, sec, month = 0;
    if (s.n != 29 || s.p[3] != ',' || !two_digits(s.p + 5, &day) ||
        !two_digits(s.p + 12, &century) || !two_digits(s.p + 14, &year) ||
        !two_digits(s.p + 17, &h) || !two_digits(s.p + 20, &m) || !two_digits(s.p + 23, &sec))
        return false;
    for (int i = 0; i < 12; i++)
        if (memcmp(names + 3 * i, s.p + 8, 3) == 0)
            month = i + 1;
    if (!month)
        return false;
    *unix_s = unix_seconds(century * 100 + year, month, day, h, m, sec);
    return true;
}

/* A moment in the future, given in any of the forms: µs from now, or -1. */
static int64_t read_reset(struct str s, int64_t wall_ms)
{
    int64_t us, unix_s;
    if (s.n && read_duration(s, &us)) {
        int64_t seconds = us / SECOND_US;
        if (seconds > 1000000000) /* a moment in Unix time (openrouter: in ms) */
            us = (seconds > 100000000000 ? seconds - wall_ms : seconds * 1000 - wall_ms) * 1000;
        return MAX(us, 0);
    }
    if (read_rfc3339(s, &unix_s) || read_http_date(s, &unix_s)) {
        int64_t ms = unix_s * 1000 - wall_ms;
        return ms < INT64_MAX / 2000 ? MAX(ms, 0) * 1000 : -1;
    }
    return -1;
}

int64_t health_retry_after_us(const struct http_header *headers, size_t n, int64_t wall_ms)
{
    struct str ms = header(headers, n, "retry-after-ms");
    int64_t us;
    if (ms.n && cut_decimal(&ms, 1000, &us) && ms.n == 0)
        return MIN(us, hour_us);
    us = read_reset(header(headers, n, "retry-after"), wall_ms);
    return us < 0 ? -1 : MIN(us, hour_us);
}

/* One kind of limit in the spellings of the providers, the first that is there. */
struct spelling {
    const char *limit, *left, *reset;
};

static const struct spelling request_spellings[] = {
    {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"},
    {"anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset"},
    {"x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute", ""},
    {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"},
};
static const struct spelling token_spellings[] = {
    {"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
    {"anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset"},
    {"anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset"},
    {"x-ratelimit-limit-tokens-minute", "x-ratelimit-remaining-tokens-minute", ""},
};

static struct health_limit read_limit(const struct http_header *headers, size_t n,
    const struct spelling *s, size_t spellings, int64_t wall_ms)
{
    for (; spellings--; s++) {
        int64_t limit, left;
        if (!str_to_i64(header(headers, n, s->left), &left) || left < 0)
            continue;
        bool said = str_to_i64(header(headers, n, s->limit), &limit) && limit >= 0;
        return (struct health_limit){said ? limit : -1, left,
            read_reset(header(headers, n, s->reset), wall_ms)};
    }
    return (struct health_limit){-1, -1, -1};
}

void health_read_limits(const struct http_header *headers, size_t n, int64_t wall_ms,
    struct health_limits *out)
{
    out->requests = read_limit(headers, n, request_spellings, ARRAY_LEN(request_spellings),
        wall_ms);
    out->tokens = read_limit(headers, n, token_spellings, ARRAY_LEN(token_spellings), wall_ms);
}

static int64_t reset_at(const struct health_limit *l, int64_t now_us)
{
    return now_us + (l->reset_us < 0 ? 60 * (int64_t)SECOND_US : MIN(l->reset_us, 24 * hour_us));
}

void health_headers(struct health *h, const struct provider *p, unsigned key_index, int status,
    const struct http_header *headers, size_t n, int64_t now_us, int64_t wall_ms)
{
    struct provider_health *ph = provider_health(h, p);
    struct health_limits said;
    if (!ph || key_index >= KEYS_MAX)
        return;
    health_read_limits(headers, n, wall_ms, &said);
    pthread_mutex_lock(&ph->lock);
    struct key_limits *l = &ph->limits[key_index];
    if (said.requests.left >= 0) {
        l->requests_left = said.requests.left;
        l->requests_limit = said.requests.limit;
        l->requests_reset_us = reset_at(&said.requests, now_us);
    }
    if (said.tokens.left >= 0) {
        l->tokens_left = said.tokens.left;
        l->tokens_limit = said.tokens.limit;
        l->tokens_reset_us = reset_at(&said.tokens, now_us);
    }
    if (status >= 200 && status < 300)
        ph->dead[key_index] = (struct key_rest){0}; /* it works: a doubled pause is forgotten */
    pthread_mutex_unlock(&ph->lock);
}

static void add_known(int64_t *sum, int64_t v)
{
    if (v >= 0)
        *sum = (*sum < 0 ? 0 : *sum) + v;
}

/* What is left after the reset is the whole again. */
static void add_limit(int64_t left, int64_t limit, int64_t reset_us, int64_t now_us,
    int64_t *left_sum, int64_t *limit_sum)
{
    add_known(left_sum, reset_us > now_us ? left : left < 0 ? -1 : limit);
    add_known(limit_sum, limit);
}

static void add_limits(const struct key_limits *l, int64_t now_us, struct health_view *out)
{
    add_limit(l->requests_left, l->requests_limit, l->requests_reset_us, now_us,
        &out->requests_left, &out->requests_limit);
    add_limit(l->tokens_left, l->tokens_limit, l->tokens_reset_us, now_us, &out->tokens_left,
        &out->tokens_limit);
}

void view_keys(const struct provider_health *ph, const struct target_health *t,
    const struct provider *p, int64_t now_us, struct health_view *out)
{
    int64_t soonest = INT64_MAX;
    bool well = p->key_count == 0;
    for (size_t i = 0; i < p->key_count; i++) {
        unsigned key = p->keys[i].index;
        int64_t until = key_out_until(ph, t, key, now_us);
        if (p->keys[i].fault.n)
            continue;
        if (key >= KEYS_MAX) {
            well = true;
            continue;
        }
        bool dead = ph->dead[key].until_us > now_us;
        out->keys_dead += dead;
        out->keys_resting += until && !dead;
        well = well || !until;
        soonest = until ? MIN(soonest, until) : soonest;
        add_limits(&ph->limits[key], now_us, out);
    }
    if (p->key_count == 0 && !p->client_login) /* no key is needed: what was said stands at 0 */
        add_limits(&ph->limits[0], now_us, out);
    out->keys_usable = well;
    out->key_rest_us = well || soonest == INT64_MAX ? 0 : soonest - now_us;
}
