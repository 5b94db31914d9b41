/* account.c: reserve, settle, and the counters behind them. See account.h; the calendar is in
 * window.c, the texts of refusals in refusal.c, names and limits in account_set.c, the turn of
 * windows in account_time.c, views in account_view.c.
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
#include "proxy/access/account_inside.h"

#include <stdlib.h>

enum {
    RATE_SPAN_S = 61,
    SOON_MS = 1000 /* what other requests hold comes back when they end */
};

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

/* More for a request whose window is over: another one may be made at once. */
static void check_past(struct account *a, int w, int64_t nano, uint32_t epoch, struct refusal *worst)
{
    struct budget *b = &a->budget[w];
    const struct past *p = *account_past(b, epoch);
    if (!p || (__int128)p->spent + p->reserved + nano <= b->limit)
        return;
    refuse(worst, a, (struct refusal){.kind = REFUSED_BUDGET, .window = (enum window)w,
        .limit = b->limit, .used = account_add(p->spent, p->reserved), .asked = nano,
        .retry_after_ms = nano > b->limit ? -1 : SOON_MS});
}

/* `own` is what the request itself holds already, of a running one with its epochs. */
static void check_money(const struct account_set *s, struct account *a, int64_t nano, int64_t own,
    const uint32_t *epoch, struct refusal *worst)
{
    for (int w = 0; w < WINDOW_COUNT; w++) {
        const struct budget *b = &a->budget[w];
        int64_t limit = account_limit_now(b);
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
        else if ((__int128)b->spent + own + nano <= limit)
            wait = SOON_MS;
        refuse(worst, a, (struct refusal){.kind = REFUSED_BUDGET, .window = (enum window)w,
            .limit = limit, .used = account_add(b->spent, b->reserved), .asked = nano,
            .retry_after_ms = wait});
    }
    if (a->has_credit && a->credit < 0)
        refuse(worst, a, (struct refusal){.kind = REFUSED_DEBT, .used = -a->credit, .asked = nano,
            .retry_after_ms = -1});
    else if (a->has_credit && (__int128)a->credit - a->credit_reserved < nano)
        refuse(worst, a, (struct refusal){.kind = REFUSED_CREDIT, .limit = a->credit,
            .used = a->credit_reserved, .asked = nano,
            .retry_after_ms = (__int128)a->credit - own >= nano ? SOON_MS : -1});
}

/* What the last minute holds, and when enough of it has gone by for `asked` more. */
struct minute account_minute(const struct account *a, bool tokens, int64_t limit,
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
    if (a->rpm && (m = account_minute(a, false, a->rpm, 1, s->rate_ms)).used >= a->rpm)
        refuse(worst, a, (struct refusal){.kind = REFUSED_RPM, .limit = a->rpm, .used = m.used,
            .asked = 1, .retry_after_ms = m.wait_ms});
    if (a->tpm && (m = account_minute(a, true, a->tpm, tokens, s->rate_ms)).used + tokens > a->tpm)
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
            struct past *p = *account_past(&a->budget[w], epoch[w]);
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

int account_reserve(struct account_set *s, struct reservation *r, struct account *const *accounts,
    size_t n, int64_t nano, int64_t tokens, int64_t wall_ms, struct refusal *why)
{
    struct refusal worst = {0};
    nano = MIN(MAX(nano, 0), NANO_MAX);
    tokens = MIN(MAX(tokens, 0), NANO_MAX);
    *r = (struct reservation){.nano = nano, .tokens = tokens, .wall_ms = wall_ms};
    pthread_mutex_lock(&s->lock);
    account_tell_time(s, wall_ms);
    r->rate_s = s->rate_ms / 1000;
    n = MIN(n, (size_t)ACCOUNTS_MAX);
    for (size_t i = 0; i < n; i++) {
        account_roll(s, accounts[i]);
        check_rates(s, accounts[i], tokens, &worst);
        check_money(s, accounts[i], nano, 0, NULL, &worst);
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
        check_money(s, r->accounts[i], nano, r->nano, r->epoch[i], &worst);
    if (!worst.name.p) {
        for (size_t i = 0; i < n; i++)
            take_money(r->accounts[i], nano, r->epoch[i]);
        r->nano += nano;
    }
    worst.running = true;
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
    struct past **at = account_past(b, epoch), *p = *at;
    if (!p)
        return;
    p->reserved -= reserved;
    p->spent = account_add(p->spent, cost_nano);
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
        b->spent = account_add(b->spent, cost_nano);
    }
    a->credit_reserved -= r->nano;
    if (a->has_credit)
        a->credit = account_add(a->credit, -cost_nano);
    a->running--;
    int64_t minute = s->wall_ms / 60000;
    unsigned at = (unsigned)(minute % SPEND_SLOTS);
    if (a->spend[at].minute != minute) {
        a->spend[at].minute = minute;
        a->spend[at].nano = 0;
    }
    a->spend[at].nano = account_add(a->spend[at].nano, cost_nano);
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
    account_tell_time(s, wall_ms);
    account_roll(s, a);
    for (int w = 0; w < WINDOW_COUNT; w++)
        if (record_ms >= a->budget[w].start)
            a->budget[w].spent = MAX(account_add(a->budget[w].spent, more), (int64_t)0);
    if (a->has_credit)
        a->credit = account_add(a->credit, -more);
    pthread_mutex_unlock(&s->lock);
}
