/* health.c: breakers, latencies and what is in flight. See health.h; keys and rate limits are in
 * health_keys.c, the queue for places in health_queue.c.
 *
 * Breaker: closed → (5 failures in a row, or half of at least 10 in 30 s) → open for 10 s →
 * half open: one probe → closed, or open for twice as long, up to 5 minutes. The state is moved
 * only by breaker_enter(). Where nothing else is left the planner sends a probe early, one at a
 * time: a lone target comes back as soon as it can. Fault attribution: see trips().
 *
 * Latency is a peak EWMA: a slow answer counts at once, fast ones wear it down over ~10 s.
 *
 * Threads: one short lock per provider; nothing inside it blocks or calls out. */
#include "proxy/route/health_state.h"
#include "proxy/route/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRIP_IN_A_ROW = 5, TRIP_LEAST = 10, TRIP_SLICES = 6, SECOND_US = 1000000 };
static const int64_t open_first_us = 10 * (int64_t)SECOND_US;
static const int64_t open_most_us = 300 * (int64_t)SECOND_US;
static const int64_t probe_lost_us = 15 * (int64_t)SECOND_US; /* then the next one may go */

struct health *health_new(void)
{
    struct health *h = calloc(1, sizeof *h);
    if (h)
        pthread_mutex_init(&h->lock, NULL);
    return h;
}

void health_free(struct health *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < PROVIDERS_MAX; i++) {
        struct provider_health *ph = h->providers[i];
        for (size_t t = 0; ph && t < ph->target_count; t++)
            free(ph->targets[t]);
        if (ph) {
            asked_models_put(ph->models);
            pthread_mutex_destroy(&ph->lock);
        }
        free(ph);
    }
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static struct provider_health *provider_health_new(void)
{
    struct provider_health *ph = calloc(1, sizeof *ph);
    if (!ph)
        return NULL;
    pthread_mutex_init(&ph->lock, NULL);
    for (int i = 0; i < KEYS_MAX; i++)
        ph->limits[i] = (struct key_limits){-1, -1, 0, -1, -1, 0};
    return ph;
}

struct provider_health *provider_health(const struct health *h, const struct provider *p)
{
    struct health *own = (struct health *)h; /* made on first sight, also by a reader */
    if (!h || p->id >= PROVIDERS_MAX)
        return NULL;
    struct provider_health *ph = atomic_load_explicit(&own->providers[p->id], memory_order_acquire);
    if (LIKELY(ph != NULL))
        return ph;
    pthread_mutex_lock(&own->lock);
    ph = own->providers[p->id];
    if (!ph) {
        ph = provider_health_new();
        atomic_store_explicit(&own->providers[p->id], ph, memory_order_release);
    }
    pthread_mutex_unlock(&own->lock);
    return ph;
}

static struct target_health *target_take(struct provider_health *ph)
{
    if (ph->target_count < TARGETS_MAX) {
        struct target_health *t = calloc(1, sizeof *t);
        if (t)
            ph->targets[ph->target_count++] = t;
        return t;
    }
    struct target_health *idlest = NULL; /* clients can name any model: the oldest idle one goes */
    for (size_t i = 0; i < ph->target_count; i++)
        if (!ph->targets[i]->m.in_flight && (!idlest || ph->targets[i]->used_us < idlest->used_us))
            idlest = ph->targets[i];
    if (idlest)
        *idlest = (struct target_health){0};
    return idlest;
}

struct target_health *target_health(struct provider_health *ph, struct str model, bool make,
    int64_t now_us)
{
    for (size_t i = 0; i < ph->target_count; i++) {
        struct target_health *t = ph->targets[i];
        if (t->model_bytes == model.n && memcmp(t->model, model.p, model.n) == 0)
            return t;
    }
    if (!make || model.n == 0 || model.n > sizeof ph->targets[0]->model)
        return NULL;
    struct target_health *t = target_take(ph);
    if (!t)
        return NULL;
    memcpy(t->model, model.p, model.n);
    t->model_bytes = model.n;
    t->used_us = now_us;
    return t;
}

void health_on_change(struct health *h, void (*fn)(void *ctx, enum health_change change,
    const struct provider *p, struct str model, const char *text), void *ctx)
{
    h->changed = fn;
    h->changed_ctx = ctx;
}

void health_tell(const struct health *h, enum health_change change, const struct provider *p,
    struct str model, const char *text)
{
    if (h->changed)
        h->changed(h->changed_ctx, change, p, model, text);
}

/* --- breaker --- */

/* The one place that writes the state. */
static void breaker_enter(struct breaker *b, enum breaker_state state, int64_t now_us)
{
    if (state == BREAKER_OPEN) {
        b->length_us = b->length_us ? MIN(b->length_us * 2, open_most_us) : open_first_us;
        b->until_us = now_us + b->length_us;
    } else if (state == BREAKER_CLOSED) {
        b->length_us = 0;
        b->until_us = 0;
        b->by_hand = false;
    }
    b->in_a_row = 0;
    b->probe_us = 0;
    b->state = state;
}

/* The state that counts now: an opening that is over is half open without anybody's doing. */
static enum breaker_state breaker_now(const struct breaker *b, int64_t now_us)
{
    return b->state == BREAKER_OPEN && now_us >= b->until_us ? BREAKER_HALF_OPEN : b->state;
}

static bool probe_runs(const struct breaker *b, int64_t now_us)
{
    return b->probe_us && now_us - b->probe_us < probe_lost_us;
}

static void breaker_began(struct breaker *b, int64_t now_us)
{
    bool shut = b->by_hand && breaker_now(b, now_us) == BREAKER_OPEN; /* planned before it was */
    if (b->state == BREAKER_CLOSED || shut || probe_runs(b, now_us))
        return;
    b->state = breaker_now(b, now_us);
    b->probe_us = MAX(now_us, 1);
}

static struct slice *slice_at(struct measured *m, int64_t now_us)
{
    int64_t number = now_us / SLICE_US;
    struct slice *s = &m->slices[number % SLICES];
    if (s->number != number)
        *s = (struct slice){.number = number};
    return s;
}

static struct slice sum_slices(const struct measured *m, int64_t now_us, int64_t slices)
{
    struct slice sum = {0};
    int64_t now = now_us / SLICE_US;
    for (int i = 0; i < SLICES; i++) {
        const struct slice *s = &m->slices[i];
        if (s->number > now - slices && s->number <= now) {
            sum.ended += s->ended;
            sum.tripping += s->tripping;
            sum.errors += s->errors;
        }
    }
    return sum;
}

/* Returns the change to tell, or -1. */
static int breaker_ended(struct measured *m, bool tripping, int64_t now_us)
{
    struct breaker *b = &m->breaker;
    bool was_half = b->state == BREAKER_HALF_OPEN;
    if (b->state == BREAKER_OPEN && (tripping || !b->probe_us)) {
        b->probe_us = 0; /* an early probe that failed, or a request from before: no news */
        return -1;
    }
    if (!tripping) {
        b->in_a_row = 0;
        if (b->state == BREAKER_CLOSED)
            return -1;
        breaker_enter(b, BREAKER_CLOSED, now_us);
        return HEALTH_CLOSED;
    }
    struct slice s = sum_slices(m, now_us, TRIP_SLICES);
    b->in_a_row++;
    if (!was_half && b->in_a_row < TRIP_IN_A_ROW &&
        (s.ended < TRIP_LEAST || s.tripping * 2 < s.ended))
        return -1;
    breaker_enter(b, BREAKER_OPEN, now_us);
    return was_half ? -1 : HEALTH_OPENED;
}

/* Whose fault? A target's: 5xx, timeouts, lost connections. A provider's: lost connections only,
 * since an overloaded model says nothing of the others. */
static bool trips(unsigned failure, bool target)
{
    unsigned faults = target ? FAIL_5XX | FAIL_NETWORK | FAIL_TIMEOUT : FAIL_NETWORK;
    return (failure & faults) != 0;
}

/* --- times --- */

static void peak_ewma(double *value, int64_t *at_us, int64_t sample_us, int64_t now_us)
{
    double sample = (double)sample_us;
    if (sample > *value || !*at_us) {
        *value = sample;
    } else {
        double keep = exp(-(double)MAX(now_us - *at_us, 0) / (10.0 * SECOND_US));
        *value = *value * keep + sample * (1 - keep);
    }
    *at_us = MAX(now_us, 1);
}

/* Half powers of two from 1 ms on; the middle of a bucket is at most 19 % off. */
static unsigned time_bucket(int64_t us)
{
    unsigned bucket = 0;
    for (double edge = 1000 * M_SQRT2; (double)us >= edge && bucket < BUCKETS - 1; edge *= M_SQRT2)
        bucket++;
    return bucket;
}

static void times_add(struct times *t, int64_t us, int parts, int64_t part_us, int64_t now_us)
{
    int64_t number = now_us / part_us + 1; /* 0 marks an unused part */
    int at = (int)(number % parts);
    if (t->number[at] != number) {
        t->number[at] = number;
        memset(t->count[at], 0, sizeof t->count[at]);
    }
    uint16_t *count = &t->count[at][time_bucket(us)];
    if (*count < UINT16_MAX)
        ++*count;
}

static void times_sum(const struct times *t, int parts, int64_t part_us, int64_t now_us,
    uint32_t sum[BUCKETS])
{
    int64_t now = now_us / part_us + 1;
    for (int i = 0; i < parts; i++) {
        if (!t->number[i] || t->number[i] <= now - parts || t->number[i] > now)
            continue;
        for (int k = 0; k < BUCKETS; k++)
            sum[k] += t->count[i][k];
    }
}

static int64_t p95_of(const uint32_t sum[BUCKETS])
{
    uint64_t all = 0, seen = 0;
    for (int k = 0; k < BUCKETS; k++)
        all += sum[k];
    for (int k = 0; k < BUCKETS && all; k++) {
        seen += sum[k];
        if (seen * 100 >= all * 95)
            return (int64_t)(1000 * pow(2, k / 2.0) * 1.19);
    }
    return 0;
}

static const int64_t minute_part_us = 30 * (int64_t)SECOND_US;
static const int64_t hour_part_us = 300 * (int64_t)SECOND_US;

/* --- the door --- */

void health_began(struct health *h, const struct provider *p, struct str model, int64_t now_us)
{
    struct provider_health *ph = provider_health(h, p);
    if (!ph)
        return;
    pthread_mutex_lock(&ph->lock);
    struct target_health *t = target_health(ph, model, true, now_us);
    ph->m.in_flight++;
    breaker_began(&ph->m.breaker, now_us);
    if (t) {
        t->used_us = now_us;
        t->m.in_flight++;
        breaker_began(&t->m.breaker, now_us);
    }
    pthread_mutex_unlock(&ph->lock);
}

static const char *failure_text(unsigned failure)
{
    static const struct {
        unsigned bit;
        const char *text;
    } texts[] = {
        {FAIL_NETWORK, "connection failed"},
        {FAIL_TIMEOUT, "timed out"},
        {FAIL_5XX, "server error"},
        {FAIL_429, "rate limited"},
        {FAIL_KEY, "key refused"},
        {FAIL_CONTEXT, "context too long"},
        {FAIL_CONTENT, "content refused"},
        {FAIL_MODEL, "model unknown there"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (failure & texts[i].bit)
            return texts[i].text;
    return "";
}

/* Counts one end; returns the breaker's change or -1. */
static int measure(struct measured *m, unsigned failure, bool tripping, int64_t ttft_us,
    int64_t total_us, int64_t now_us)
{
    struct slice *s = slice_at(m, now_us);
    bool fault = failure & ~(unsigned)(FAIL_CLIENT | FAIL_CONTEXT | FAIL_CONTENT);
    m->in_flight -= m->in_flight > 0;
    if (failure & FAIL_CLIENT) { /* a cancelled probe has shown nothing: the next one may go */
        m->breaker.probe_us = 0;
        return -1;
    }
    s->ended++;
    s->tripping += tripping;
    s->errors += fault;
    if (fault) {
        m->last_error_us = MAX(now_us, 1);
        str_copy(m->last_error, sizeof m->last_error, str_c(failure_text(failure)));
    }
    if (!failure && ttft_us > 0)
        peak_ewma(&m->ewma_ttft_us, &m->ewma_ttft_at_us, ttft_us, now_us);
    if (!failure && total_us > 0)
        peak_ewma(&m->ewma_total_us, &m->ewma_total_at_us, total_us, now_us);
    return breaker_ended(m, tripping, now_us);
}

void health_ended(struct health *h, const struct provider *p, struct str model, unsigned failure,
    int64_t ttft_us, int64_t total_us, int64_t now_us)
{
    struct provider_health *ph = provider_health(h, p);
    int of_target = -1;
    if (!ph)
        return;
    pthread_mutex_lock(&ph->lock);
    struct target_health *t = target_health(ph, model, false, now_us);
    int of_provider = measure(&ph->m, failure, trips(failure, false), ttft_us, total_us, now_us);
    if (t) {
        of_target = measure(&t->m, failure, trips(failure, true), ttft_us, total_us, now_us);
        if (!failure && ttft_us > 0) {
            times_add(&t->minute, ttft_us, MINUTE_PARTS, minute_part_us, now_us);
            times_add(&t->hour, ttft_us, HOUR_PARTS, hour_part_us, now_us);
        }
    }
    pthread_mutex_unlock(&ph->lock);
    if (of_provider >= 0)
        health_tell(h, (enum health_change)of_provider, p, STR(""), failure_text(failure));
    if (of_target >= 0)
        health_tell(h, (enum health_change)of_target, p, model, failure_text(failure));
}

static bool probe_succeeds(struct breaker *b, int64_t now_us)
{
    if (b->state == BREAKER_CLOSED || !b->probe_us)
        return false;
    breaker_enter(b, BREAKER_CLOSED, now_us);
    return true;
}

void health_answers(struct health *h, const struct provider *p, struct str model, int64_t now_us)
{
    struct provider_health *ph = provider_health(h, p);
    if (!ph)
        return;
    pthread_mutex_lock(&ph->lock);
    struct target_health *t = target_health(ph, model, false, now_us);
    bool of_provider = probe_succeeds(&ph->m.breaker, now_us);
    bool of_target = t && probe_succeeds(&t->m.breaker, now_us);
    pthread_mutex_unlock(&ph->lock);
    if (of_provider)
        health_tell(h, HEALTH_CLOSED, p, STR(""), "its probe was answered");
    if (of_target)
        health_tell(h, HEALTH_CLOSED, p, model, "its probe was answered");
}

void health_trip(struct health *h, const struct provider *p, int64_t us, int64_t now_us)
{
    struct provider_health *ph = provider_health(h, p);
    if (!ph)
        return;
    pthread_mutex_lock(&ph->lock);
    breaker_enter(&ph->m.breaker, BREAKER_OPEN, now_us);
    ph->m.breaker.by_hand = true;
    ph->m.breaker.until_us = us > 0 && us < INT64_MAX - now_us ? now_us + us : INT64_MAX;
    pthread_mutex_unlock(&ph->lock);
    health_tell(h, HEALTH_OPENED, p, STR(""), "by hand");
}

void health_clear(struct health *h, const struct provider *p)
{
    struct provider_health *ph = provider_health(h, p);
    if (!ph)
        return;
    pthread_mutex_lock(&ph->lock);
    breaker_enter(&ph->m.breaker, BREAKER_CLOSED, 0);
    memset(ph->m.slices, 0, sizeof ph->m.slices);
    memset(ph->dead, 0, sizeof ph->dead);
    for (size_t i = 0; i < ph->target_count; i++) {
        breaker_enter(&ph->targets[i]->m.breaker, BREAKER_CLOSED, 0);
        memset(ph->targets[i]->m.slices, 0, sizeof ph->targets[i]->m.slices);
        memset(ph->targets[i]->rest, 0, sizeof ph->targets[i]->rest);
    }
    pthread_mutex_unlock(&ph->lock);
    health_tell(h, HEALTH_CLOSED, p, STR(""), "by hand");
}

static void view_breaker(const struct breaker *b, int64_t now_us, struct health_view *out)
{
    enum breaker_state state = breaker_now(b, now_us);
    if (state == BREAKER_CLOSED || out->breaker == BREAKER_OPEN)
        return; /* an open one weighs more than a half open one */
    out->breaker = state;
    out->by_hand = b->by_hand;
    out->probing = probe_runs(b, now_us);
    if (state == BREAKER_OPEN)
        out->open_for_us = b->until_us == INT64_MAX ? INT64_MAX : b->until_us - now_us;
}

static void view_measured(const struct measured *m, int64_t now_us, struct health_view *out)
{
    struct slice s = sum_slices(m, now_us, SLICES);
    out->in_flight = m->in_flight;
    out->ewma_ttft_us = (int64_t)m->ewma_ttft_us;
    out->ewma_total_us = (int64_t)m->ewma_total_us;
    out->samples = s.ended;
    out->error_ppm = s.ended ? (int64_t)s.errors * 1000000 / s.ended : 0;
    out->last_error_us = m->last_error_us;
    memcpy(out->last_error, m->last_error, sizeof out->last_error);
}

/* The last minute is taken out of its hour: a spike in young traffic must not be its own measure. */
static void view_times(const struct target_health *t, int64_t now_us, struct health_view *out)
{
    uint32_t minute[BUCKETS] = {0}, hour[BUCKETS] = {0};
    times_sum(&t->minute, MINUTE_PARTS, minute_part_us, now_us, minute);
    times_sum(&t->hour, HOUR_PARTS, hour_part_us, now_us, hour);
    for (int k = 0; k < BUCKETS; k++)
        hour[k] -= MIN(hour[k], minute[k]);
    out->ttft_p95_us = p95_of(minute);
    out->ttft_p95_hour_us = p95_of(hour);
}

void health_view(const struct health *h, const struct provider *p, struct str model,
    int64_t now_us, struct health_view *out)
{
    struct provider_health *ph = provider_health(h, p);
    *out = (struct health_view){.requests_left = -1, .tokens_left = -1, .requests_limit = -1,
        .tokens_limit = -1, .keys_usable = true};
    if (!ph)
        return;
    pthread_mutex_lock(&ph->lock);
    struct target_health *t = target_health(ph, model, false, now_us);
    view_breaker(&ph->m.breaker, now_us, out);
    if (t)
        view_breaker(&t->m.breaker, now_us, out);
    if (t || model.n == 0)
        view_measured(t ? &t->m : &ph->m, now_us, out);
    if (t)
        view_times(t, now_us, out);
    out->queued = ph->queued;
    view_keys(ph, t, p, now_us, out);
    pthread_mutex_unlock(&ph->lock);
}
