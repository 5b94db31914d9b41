/* account.c: reserve, settle, and the counters behind them. See account.h; the calendar is in
 * window.c, the texts of refusals in refusal.c.
 *
 * One lock for the whole set: a request touches a handful of accounts, and all of the work inside
 * is arithmetic on them (well under 1 µs); a new calendar window is computed at most once a minute.
 *
 * Invariants, at every moment outside of the lock:
 *   reserved ≥ 0, running ≥ 0;  spent + reserved ≤ limit right after each successful reserve;
 *   reserved is the sum of the active reservations that were made in this very window.
 *
 * A request belongs to the windows in which it was made until it ends. A window that ended while such
 * requests still run is kept beside the present one: what they top up must fit into what it had left,
 * and nothing of it falls into the present window.
 *
 * Clocks: a window that has begun never begins again. When the wall clock steps back by less than
 * the window's length, the window just lasts longer; by more, it moves back and keeps what was
 * spent in it. The sliding minute of rpm and tpm runs on a time that never goes back. */
#include "proxy/access/account.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    RATE_SLOTS = 64,  /* of one second; a sliding minute spans up to 61 of them */
    RATE_SPAN_S = 61,
    SPEND_SLOTS = 10, /* of one minute, for the present rate */
    BUCKETS = 1024,
    APART_MS = 5000,
    SOON_MS = 1000    /* what other requests hold comes back when they end */
};

/* A window that is over, of which some requests still run. */
struct past {
    struct past *next;
    uint32_t epoch;
    int64_t running, spent, reserved;
};

struct budget {
    int64_t limit; /* -1: none */
    int64_t raise, raised_ms; /* once, for the window that holds raised_ms */
    int64_t spent, reserved;
    int64_t running; /* requests made in this window */
    struct past *past;
    int64_t start; /* wall ms of the window; INT64_MIN before the first use */
    uint32_t epoch; /* counts windows */
};

struct rate_slot {
    int64_t second, requests, tokens;
};

struct account {
    struct account *next; /* in its bucket */
    enum account_kind kind;
    char *name;
    size_t name_bytes;
    struct budget budget[WINDOW_COUNT];
    bool has_credit;
    int64_t credit, credit_reserved;
    int64_t rpm, tpm, concurrent; /* 0: no limit */
    int64_t running, last_ms;
    struct rate_slot rate[RATE_SLOTS];
    struct { int64_t minute, nano; } spend[SPEND_SLOTS];
};

struct span {
    int64_t start, end;
};

struct account_set {
    pthread_mutex_t lock;
    char timezone[64];
    struct span span[WINDOW_COUNT]; /* the present windows */
    int64_t wall_ms;                /* as last told */
    int64_t rate_ms;                /* the time that never goes back */
    struct account *buckets[BUCKETS];
};

struct account_set *account_set_new(struct str zone)
{
    struct account_set *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    str_copy(s->timezone, sizeof s->timezone, zone);
    for (int w = 0; w < WINDOW_COUNT; w++)
        s->span[w] = (struct span){INT64_MAX, INT64_MIN}; /* holds no moment yet */
    s->wall_ms = INT64_MIN;
    return s;
}

static void free_past(struct budget *b)
{
    while (b->past) {
        struct past *p = b->past;
        b->past = p->next;
        free(p);
    }
}

void account_set_free(struct account_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (s->buckets[i]) {
            struct account *a = s->buckets[i];
            s->buckets[i] = a->next;
            for (int w = 0; w < WINDOW_COUNT; w++)
                free_past(&a->budget[w]);
            free(a->name);
            free(a);
        }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct account *account_new(enum account_kind kind, struct str name)
{
    struct account *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->kind = kind;
    a->name = str_dup(name);
    a->name_bytes = name.n;
    for (int w = 0; w < WINDOW_COUNT; w++)
        a->budget[w] = (struct budget){.limit = -1, .start = INT64_MIN};
    for (int i = 0; i < RATE_SLOTS; i++)
        a->rate[i].second = INT64_MIN;
    if (a->name)
        return a;
    free(a);
    return NULL;
}

struct account *account_get(struct account_set *s, enum account_kind kind, struct str name)
{
    struct account **bucket = &s->buckets[(str_hash(name) + (unsigned)kind) % BUCKETS], *a;
    pthread_mutex_lock(&s->lock);
    for (a = *bucket; a; a = a->next)
        if (a->kind == kind && str_eq(str_n(a->name, a->name_bytes), name))
            break;
    if (!a && (a = account_new(kind, name))) {
        a->next = *bucket;
        *bucket = a;
    }
    pthread_mutex_unlock(&s->lock);
    return a;
}

enum account_kind account_kind(const struct account *a)
{
    return a->kind;
}

struct str account_name(const struct account *a)
{
    return str_n(a->name, a->name_bytes);
}

static int64_t used_up_at(int64_t left_nano, int64_t nano_per_hour, int64_t wall_ms)
{
    __int128 ms = (__int128)MAX(left_nano, (int64_t)0) * 3600000 / nano_per_hour;
    return ms > INT64_MAX - wall_ms ? INT64_MAX : wall_ms + (int64_t)ms;
}

int64_t account_runs_out(const struct account_view *v, int64_t wall_ms)
{
    int64_t first = INT64_MAX;
    if (v->rate_nano_per_hour <= 0)
        return -1;
    if (v->credit_nano >= 0)
        first = used_up_at(v->credit_nano, v->rate_nano_per_hour, wall_ms);
    for (int w = 0; w < WINDOW_COUNT; w++) {
        int64_t left = v->window[w].limit - v->window[w].spent - v->window[w].reserved;
        int64_t at = v->window[w].limit < 0 ? INT64_MAX : used_up_at(left, v->rate_nano_per_hour, wall_ms);
        if (w == WINDOW_TOTAL || at < v->window[w].resets_ms)
            first = MIN(first, at);
    }
    return first == INT64_MAX ? -1 : first;
}

void account_each(struct account_set *s, void (*fn)(void *ctx, struct account *a), void *ctx)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        pthread_mutex_lock(&s->lock);
        struct account *a = s->buckets[i];
        pthread_mutex_unlock(&s->lock);
        for (; a; a = a->next) /* accounts are never removed, and new ones come in front */
            fn(ctx, a);
    }
}

void account_set_limits(struct account_set *s, struct account *a, const struct budget_limit *limits,
    size_t n, int64_t rpm, int64_t tpm, int64_t concurrent)
{
    pthread_mutex_lock(&s->lock);
    for (int w = 0; w < WINDOW_COUNT; w++) {
        a->budget[w].limit = -1;
        a->budget[w].raise = 0;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned)limits[i].window >= WINDOW_COUNT)
            continue;
        struct budget *b = &a->budget[limits[i].window];
        b->limit = MAX(limits[i].limit_nano, 0);
        b->raise = MAX(limits[i].raise_nano, 0);
        b->raised_ms = limits[i].raised_ms;
    }
    a->rpm = MAX(rpm, 0);
    a->tpm = MAX(tpm, 0);
    a->concurrent = MAX(concurrent, 0);
    pthread_mutex_unlock(&s->lock);
}

void account_set_credit(struct account_set *s, struct account *a, int64_t nano)
{
    pthread_mutex_lock(&s->lock);
    a->has_credit = nano >= 0;
    a->credit = MAX(nano, 0);
    pthread_mutex_unlock(&s->lock);
}

static int64_t add_capped(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

bool account_limits_money(struct account_set *s, struct account *a)
{
    pthread_mutex_lock(&s->lock);
    bool limited = a->has_credit;
    for (int w = 0; w < WINDOW_COUNT; w++)
        limited |= a->budget[w].limit >= 0;
    pthread_mutex_unlock(&s->lock);
    return limited;
}

void account_grant(struct account_set *s, struct account *a, int64_t nano)
{
    pthread_mutex_lock(&s->lock);
    a->has_credit = true;
    a->credit = add_capped(a->credit, nano);
    pthread_mutex_unlock(&s->lock);
}

bool account_take_credit(struct account_set *s, struct account *a, int64_t nano)
{
    pthread_mutex_lock(&s->lock);
    bool enough = a->has_credit && nano > 0 && a->credit - a->credit_reserved >= nano;
    a->credit -= enough ? nano : 0;
    pthread_mutex_unlock(&s->lock);
    return enough;
}

/* Takes the time over. Threads read the clock a little apart: a moment just passed is the present
 * one, or each of them would push the sliding minute on. A real step back is left out of it. */
static void tell_time(struct account_set *s, int64_t wall_ms)
{
    if (wall_ms < s->wall_ms && s->wall_ms - wall_ms < APART_MS)
        return;
    if (s->wall_ms != INT64_MIN && wall_ms > s->wall_ms)
        s->rate_ms += wall_ms - s->wall_ms;
    else if (s->wall_ms == INT64_MIN)
        s->rate_ms = wall_ms;
    s->wall_ms = wall_ms;
    for (int w = 0; w < WINDOW_COUNT; w++)
        if (wall_ms < s->span[w].start || wall_ms >= s->span[w].end)
            window_bounds((enum window)w, s->timezone, wall_ms, &s->span[w].start,
                &s->span[w].end);
}

static struct past **past_place(struct budget *b, uint32_t epoch)
{
    struct past **at = &b->past;
    while (*at && (*at)->epoch != epoch)
        at = &(*at)->next;
    return at;
}

/* Without memory the requests that still run lose this one limit; a budget without one needs none. */
static void keep_past(struct budget *b)
{
    struct past *p = b->running > 0 && b->limit >= 0 ? malloc(sizeof *p) : NULL;
    if (!p)
        return;
    *p = (struct past){b->past, b->epoch, b->running, b->spent, b->reserved};
    b->past = p;
}

/* Brings an account's windows to the present time. */
static void roll(const struct account_set *s, struct account *a)
{
    for (int w = 0; w < WINDOW_COUNT; w++) {
        const struct span *now = &s->span[w];
        struct budget *b = &a->budget[w];
        if (now->start > b->start) {
            keep_past(b);
            b->spent = b->reserved = b->running = 0;
            b->start = now->start;
            b->epoch++;
        } else if (b->start > now->start && b->start - s->wall_ms > now->end - now->start) {
            b->start = now->start;
        }
    }
}

void account_set_timezone(struct account_set *s, struct str zone)
{
    pthread_mutex_lock(&s->lock);
    bool same = str_eq(str_c(s->timezone), zone);
    str_copy(s->timezone, sizeof s->timezone, zone);
    struct span before[WINDOW_COUNT];
    memcpy(before, s->span, sizeof before);
    for (int w = 0; w < WINDOW_COUNT && !same && s->wall_ms != INT64_MIN; w++)
        window_bounds((enum window)w, s->timezone, s->wall_ms, &s->span[w].start, &s->span[w].end);
    for (size_t i = 0; i < BUCKETS && !same; i++)
        for (struct account *a = s->buckets[i]; a; a = a->next)
            for (int w = 0; w < WINDOW_COUNT; w++)
                if (a->budget[w].start == before[w].start) /* the present one, not one long over */
                    a->budget[w].start = s->span[w].start;
    pthread_mutex_unlock(&s->lock);
}

void account_restore(struct account_set *s, struct account *a, enum window w, int64_t wall_ms,
    int64_t spent_nano)
{
    pthread_mutex_lock(&s->lock);
    tell_time(s, wall_ms);
    roll(s, a);
    a->budget[w].spent = MAX(spent_nano, 0);
    pthread_mutex_unlock(&s->lock);
}

/* Keeps the refusal that lasts longest: only when that one is over does a retry make sense. */
static void refuse(struct refusal *worst, const struct account *a, struct refusal r)
{
    bool longer = worst->retry_after_ms != -1 &&
                  (r.retry_after_ms == -1 || r.retry_after_ms > worst->retry_after_ms);
    if (worst->name.p && !longer)
        return;
    r.name = account_name(a);
    r.account = a->kind;
    *worst = r;
}

static int64_t limit_now(const struct budget *b)
{
    bool raised = b->raise > 0 && b->raised_ms >= b->start;
    return b->limit < 0 ? -1 : raised ? add_capped(b->limit, b->raise) : b->limit;
}

/* More for a request whose window is over: another one may be made at once. */
static void check_past(struct account *a, int w, int64_t nano, uint32_t epoch, struct refusal *worst)
{
    struct budget *b = &a->budget[w];
    const struct past *p = *past_place(b, epoch);
    if (!p || (__int128)p->spent + p->reserved + nano <= b->limit)
        return;
    refuse(worst, a, (struct refusal){.kind = REFUSED_BUDGET, .window = (enum window)w,
        .limit = b->limit, .used = add_capped(p->spent, p->reserved), .asked = nano,
        .retry_after_ms = nano > b->limit ? -1 : SOON_MS});
}

static void check_money(const struct account_set *s, struct account *a, int64_t nano,
    const uint32_t *epoch, struct refusal *worst)
{
    for (int w = 0; w < WINDOW_COUNT; w++) {
        const struct budget *b = &a->budget[w];
        int64_t limit = limit_now(b);
        if (limit < 0)
            continue;
        if (epoch && epoch[w] != b->epoch) {
            check_past(a, w, nano, epoch[w], worst);
            continue;
        }
        if ((__int128)b->spent + b->reserved + nano <= limit)
            continue;
        int64_t wait = s->span[w].end == INT64_MAX ? -1 : s->span[w].end - s->wall_ms;
        if (nano > limit)
            wait = -1;
        else if ((__int128)b->spent + nano <= limit)
            wait = SOON_MS;
        refuse(worst, a, (struct refusal){.kind = REFUSED_BUDGET, .window = (enum window)w,
            .limit = limit, .used = add_capped(b->spent, b->reserved), .asked = nano,
            .retry_after_ms = wait});
    }
    if (a->has_credit && a->credit < 0)
        refuse(worst, a, (struct refusal){.kind = REFUSED_DEBT, .used = -a->credit, .asked = nano,
            .retry_after_ms = -1});
    else if (a->has_credit && (__int128)a->credit - a->credit_reserved < nano)
        refuse(worst, a, (struct refusal){.kind = REFUSED_CREDIT, .limit = a->credit,
            .used = a->credit_reserved, .asked = nano,
            .retry_after_ms = a->credit >= nano ? SOON_MS : -1});
}

/* What the last minute holds, and when enough of it has gone by for `asked` more. */
struct minute {
    int64_t used, wait_ms;
};

static struct minute look_at_minute(const struct account *a, bool tokens, int64_t limit,
    int64_t asked, int64_t rate_ms)
{
    struct minute m = {0};
    int64_t now = rate_ms / 1000;
    for (int i = 0; i < RATE_SLOTS; i++)
        if (a->rate[i].second > now - RATE_SPAN_S)
            m.used += tokens ? a->rate[i].tokens : a->rate[i].requests;
    int64_t left = m.used;
    for (int64_t t = now - RATE_SPAN_S + 1; left + asked > limit && t <= now; t++) {
        const struct rate_slot *slot = &a->rate[t & (RATE_SLOTS - 1)];
        if (slot->second != t)
            continue;
        left -= tokens ? slot->tokens : slot->requests;
        m.wait_ms = (t + RATE_SPAN_S) * 1000 - rate_ms;
    }
    if (asked > limit)
        m.wait_ms = -1;
    return m;
}

static void check_rates(const struct account_set *s, const struct account *a, int64_t tokens,
    struct refusal *worst)
{
    struct minute m;
    if (a->concurrent && a->running >= a->concurrent)
        refuse(worst, a, (struct refusal){.kind = REFUSED_CONCURRENT, .limit = a->concurrent,
            .used = a->running, .asked = 1, .retry_after_ms = SOON_MS});
    if (a->rpm && (m = look_at_minute(a, false, a->rpm, 1, s->rate_ms)).used >= a->rpm)
        refuse(worst, a, (struct refusal){.kind = REFUSED_RPM, .limit = a->rpm, .used = m.used,
            .asked = 1, .retry_after_ms = m.wait_ms});
    if (a->tpm && (m = look_at_minute(a, true, a->tpm, tokens, s->rate_ms)).used + tokens > a->tpm)
        refuse(worst, a, (struct refusal){.kind = REFUSED_TPM, .limit = a->tpm, .used = m.used,
            .asked = tokens, .retry_after_ms = m.wait_ms});
}

static struct rate_slot *rate_slot(struct account *a, int64_t second)
{
    struct rate_slot *slot = &a->rate[second & (RATE_SLOTS - 1)];
    if (slot->second < second)
        *slot = (struct rate_slot){.second = second};
    return slot;
}

static void take_money(struct account *a, int64_t nano, const uint32_t *epoch)
{
    for (int w = 0; w < WINDOW_COUNT; w++)
        if (epoch[w] == a->budget[w].epoch) {
            a->budget[w].reserved += nano;
        } else {
            struct past *p = *past_place(&a->budget[w], epoch[w]);
            if (p)
                p->reserved += nano;
        }
    a->credit_reserved += nano;
}

static void take(struct account_set *s, struct account *a, struct reservation *r, size_t i)
{
    struct rate_slot *slot = rate_slot(a, r->rate_s);
    slot->requests++;
    slot->tokens += r->tokens;
    a->running++;
    a->last_ms = s->wall_ms;
    for (int w = 0; w < WINDOW_COUNT; w++) {
        r->epoch[i][w] = a->budget[w].epoch;
        a->budget[w].running++;
    }
    take_money(a, r->nano, r->epoch[i]);
}

static const int64_t NANO_MAX = (int64_t)1 << 60; /* over a billion USD: sums stay in range */

int account_reserve(struct account_set *s, struct reservation *r, struct account *const *accounts,
    size_t n, int64_t nano, int64_t tokens, int64_t wall_ms, struct refusal *why)
{
    struct refusal worst = {0};
    nano = MIN(MAX(nano, 0), NANO_MAX);
    tokens = MIN(MAX(tokens, 0), NANO_MAX);
    *r = (struct reservation){.nano = nano, .tokens = tokens, .wall_ms = wall_ms};
    pthread_mutex_lock(&s->lock);
    tell_time(s, wall_ms);
    r->rate_s = s->rate_ms / 1000;
    n = MIN(n, (size_t)ACCOUNTS_MAX);
    for (size_t i = 0; i < n; i++) {
        roll(s, accounts[i]);
        check_rates(s, accounts[i], tokens, &worst);
        check_money(s, accounts[i], nano, NULL, &worst);
    }
    if (!worst.name.p) {
        for (size_t i = 0; i < n; i++)
            take(s, r->accounts[i] = accounts[i], r, i);
        r->active = true;
    }
    pthread_mutex_unlock(&s->lock);
    if (worst.name.p && why)
        *why = worst;
    return worst.name.p ? -ERR_LIMIT : 0;
}

size_t account_count(const struct reservation *r)
{
    size_t n = 0;
    while (n < ACCOUNTS_MAX && r->accounts[n])
        n++;
    return n;
}

int account_top_up(struct account_set *s, struct reservation *r, int64_t nano, struct refusal *why)
{
    struct refusal worst = {0};
    size_t n = account_count(r);
    if (!r->active)
        return -ERR_STATE;
    nano = MIN(MAX(nano, 0), NANO_MAX - r->nano);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++)
        check_money(s, r->accounts[i], nano, r->epoch[i], &worst);
    if (!worst.name.p) {
        for (size_t i = 0; i < n; i++)
            take_money(r->accounts[i], nano, r->epoch[i]);
        r->nano += nano;
    }
    pthread_mutex_unlock(&s->lock);
    if (worst.name.p && why)
        *why = worst;
    return worst.name.p ? -ERR_LIMIT : 0;
}

/* Tokens above what was counted fall into the present second, those below come off where they were
 * counted, as long as that second is still part of the minute. */
static void correct_tokens(struct account_set *s, struct account *a, const struct reservation *r,
    int64_t tokens)
{
    int64_t now = s->rate_ms / 1000;
    if (tokens > r->tokens)
        rate_slot(a, now)->tokens += tokens - r->tokens;
    else if (a->rate[r->rate_s & (RATE_SLOTS - 1)].second == r->rate_s)
        a->rate[r->rate_s & (RATE_SLOTS - 1)].tokens -= r->tokens - tokens;
}

static void settle_past(struct budget *b, uint32_t epoch, int64_t reserved, int64_t cost_nano)
{
    struct past **at = past_place(b, epoch), *p = *at;
    if (!p)
        return;
    p->reserved -= reserved;
    p->spent = add_capped(p->spent, cost_nano);
    if (--p->running > 0)
        return;
    *at = p->next;
    free(p);
}

static void settle_one(struct account_set *s, struct account *a, const struct reservation *r,
    size_t i, int64_t cost_nano)
{
    for (int w = 0; w < WINDOW_COUNT; w++) {
        struct budget *b = &a->budget[w];
        if (r->epoch[i][w] != b->epoch) {
            settle_past(b, r->epoch[i][w], r->nano, cost_nano);
            continue;
        }
        b->reserved -= r->nano;
        b->running--;
        b->spent = add_capped(b->spent, cost_nano);
    }
    a->credit_reserved -= r->nano;
    if (a->has_credit)
        a->credit = add_capped(a->credit, -cost_nano);
    a->running--;
    int64_t minute = s->wall_ms / 60000;
    unsigned at = (unsigned)(minute % SPEND_SLOTS);
    if (a->spend[at].minute != minute) {
        a->spend[at].minute = minute;
        a->spend[at].nano = 0;
    }
    a->spend[at].nano = add_capped(a->spend[at].nano, cost_nano);
}

void account_settle(struct account_set *s, struct reservation *r, int64_t cost_nano, int64_t tokens)
{
    if (!r->active)
        return;
    cost_nano = MIN(MAX(cost_nano, 0), NANO_MAX);
    tokens = MIN(MAX(tokens, 0), NANO_MAX);
    size_t n = account_count(r);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        settle_one(s, r->accounts[i], r, i, cost_nano);
        correct_tokens(s, r->accounts[i], r, tokens);
    }
    r->active = false;
    pthread_mutex_unlock(&s->lock);
}

void account_adjust(struct account_set *s, struct account *a, int64_t wall_ms, int64_t record_ms,
    int64_t more)
{
    if (!a)
        return;
    pthread_mutex_lock(&s->lock);
    tell_time(s, wall_ms);
    roll(s, a);
    for (int w = 0; w < WINDOW_COUNT; w++)
        if (record_ms >= a->budget[w].start)
            a->budget[w].spent = MAX(add_capped(a->budget[w].spent, more), (int64_t)0);
    if (a->has_credit)
        a->credit = add_capped(a->credit, -more);
    pthread_mutex_unlock(&s->lock);
}

static void view_money(const struct account_set *s, const struct account *a,
    struct account_view *out)
{
    out->credit_nano = a->has_credit ? MAX(a->credit, 0) : -1;
    out->balance_nano = a->has_credit ? a->credit : 0;
    out->debt_nano = a->has_credit ? MAX(-a->credit, 0) : 0;
    for (int w = 0; w < WINDOW_COUNT; w++) {
        const struct budget *b = &a->budget[w];
        int64_t limit = limit_now(b);
        out->window[w].limit = limit;
        out->window[w].spent = b->spent;
        out->window[w].reserved = b->reserved;
        out->window[w].resets_ms = s->span[w].end;
        if (limit < 0)
            continue;
        out->debt_nano = MAX(out->debt_nano, b->spent - limit);
        __int128 used = ((__int128)b->spent + b->reserved) * 1000000;
        int64_t ppm = limit ? (int64_t)MIN(used / limit, (__int128)1000000000) : 1000000;
        if (ppm > out->tightest_ppm) {
            out->tightest_ppm = ppm;
            out->tightest = (enum window)w;
        }
    }
    int64_t minute = s->wall_ms / 60000;
    for (int i = 0; i < SPEND_SLOTS; i++)
        if (a->spend[i].minute > minute - SPEND_SLOTS)
            out->rate_nano_per_hour = add_capped(out->rate_nano_per_hour, a->spend[i].nano);
    out->rate_nano_per_hour = MIN(out->rate_nano_per_hour, NANO_MAX) * 6; /* ten minutes' sum */
}

/* Rates are not looked at: this one is asked for every request. */
int64_t account_tightest_ppm(struct account_set *s, struct account *a, int64_t wall_ms)
{
    struct account_view v = {0};
    pthread_mutex_lock(&s->lock);
    tell_time(s, wall_ms);
    roll(s, a);
    view_money(s, a, &v);
    pthread_mutex_unlock(&s->lock);
    return v.tightest_ppm;
}

void account_view(struct account_set *s, struct account *a, int64_t wall_ms,
    struct account_view *out)
{
    *out = (struct account_view){0};
    pthread_mutex_lock(&s->lock);
    tell_time(s, wall_ms);
    roll(s, a);
    view_money(s, a, out);
    out->rpm = a->rpm;
    out->rpm_used = look_at_minute(a, false, INT64_MAX / 2, 0, s->rate_ms).used;
    out->tpm = a->tpm;
    out->tpm_used = look_at_minute(a, true, INT64_MAX / 2, 0, s->rate_ms).used;
    out->concurrent = a->concurrent;
    out->running = a->running;
    out->last_ms = a->last_ms;
    pthread_mutex_unlock(&s->lock);
}
