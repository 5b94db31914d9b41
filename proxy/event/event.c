/* event.c: counters, the ring of events, the ring of refused attempts. See event.h.
 *
 * Counters are spread over cache lines by thread, so that workers do not fight for one line.
 * Events are rare: one short lock, and everything slow (formatting, redaction, log, store) happens
 * outside of it. A text that repeats within a second only counts up. */
#include "proxy/event/event.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/secret.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    LANES = 16, /* threads share a lane when there are more */
    EVENTS = 1024,
    REFUSALS = 256,
    SAME_WITHIN_MS = 1000,
    SAME_REFUSAL_MS = 60000,
    LOOK_BACK = 32 /* how many of the newest are compared for a repeat */
};

static struct {
    _Alignas(64) _Atomic int64_t n[COUNTER_COUNT];
} lanes[LANES];

static unsigned my_lane(void)
{
    static _Atomic unsigned next;
    static _Thread_local unsigned mine;
    if (!mine)
        mine = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % LANES + 1;
    return mine - 1;
}

void counter_add(enum counter c, int64_t n)
{
    atomic_fetch_add_explicit(&lanes[my_lane()].n[c], n, memory_order_relaxed);
}

int64_t counter_read(enum counter c)
{
    int64_t sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += atomic_load_explicit(&lanes[i].n[c], memory_order_relaxed);
    return sum;
}

static const struct {
    const char *name, *help;
} counters[] = {
#define X(name, unit, help) {#name, help},
#include "proxy/event/counters.def"
#undef X
};

const char *counter_name(enum counter c)
{
    return (unsigned)c < COUNTER_COUNT ? counters[c].name : "";
}

const char *counter_help(enum counter c)
{
    return (unsigned)c < COUNTER_COUNT ? counters[c].help : "";
}

static const struct {
    const char *name;
    enum event_level level;
} kinds[] = {
#define X(name, level, help) {#name, EVENT_##level},
#include "proxy/event/events.def"
#undef X
};

const char *event_kind_name(enum event_kind k)
{
    return (unsigned)k < EVENT_KIND_COUNT ? kinds[k].name : "";
}

const char *event_level_name(enum event_level l)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "audit"};
    return (unsigned)l < ARRAY_LEN(names) ? names[l] : "";
}

static struct {
    pthread_mutex_t lock;
    struct event events[EVENTS]; /* that of sequence s lies at s % EVENTS */
    _Atomic uint64_t sequence;
    struct refused refused[REFUSALS];
    uint64_t refusals;
    void (*sink)(void *ctx, const struct event *e);
    void *sink_ctx;
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Sequences go on where those of an earlier gateway ended: who looked at that one and then at this
 * takes no event for one already seen. */
static void begin_sequence(void)
{
    atomic_store(&ring.sequence, (uint64_t)clock_wall_ms() * EVENT_SEQUENCES_A_MS);
}

/* An equal event of the last second, or NULL. Under the lock. */
static struct event *same_as(const struct event *e)
{
    uint64_t last = ring.sequence;
    for (uint64_t s = last; s > 0 && s + LOOK_BACK > last; s--) {
        struct event *old = &ring.events[s % EVENTS];
        if (e->time_ms - old->time_ms > SAME_WITHIN_MS)
            return NULL;
        if (old->kind == e->kind && strcmp(old->text, e->text) == 0)
            return old;
    }
    return NULL;
}

/* True when it is a new one. */
static bool keep(struct event *e)
{
    pthread_mutex_lock(&ring.lock);
    struct event *same = same_as(e);
    if (same) {
        same->repeated++;
    } else {
        e->sequence = ring.sequence + 1;
        ring.events[e->sequence % EVENTS] = *e;
        atomic_store(&ring.sequence, e->sequence);
    }
    pthread_mutex_unlock(&ring.lock);
    return !same;
}

static void pass_on(const struct event *e)
{
    if (e->level == EVENT_WARN || e->level == EVENT_ERROR)
        log_line(e->level == EVENT_WARN ? LOG_WARN : LOG_ERROR, "%s: %s",
            event_kind_name(e->kind), e->text);
    else if (e->level == EVENT_AUDIT)
        log_info("%s: %s", event_kind_name(e->kind), e->text);
    pthread_mutex_lock(&ring.lock);
    void (*sink)(void *, const struct event *) = ring.sink;
    void *ctx = ring.sink_ctx;
    pthread_mutex_unlock(&ring.lock);
    if (sink && e->level >= EVENT_INFO)
        sink(ctx, e);
}

static void make_printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

void event_say(enum event_kind kind, struct str request_id, const char *fmt, ...)
{
    struct event e = {.time_ms = clock_wall_ms(), .kind = kind, .level = kinds[kind].level};
    str_copy(e.request_id, sizeof e.request_id, request_id);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e.text, sizeof e.text, fmt, ap);
    va_end(ap);
    make_printable(e.text);
    secret_redact_cut(e.text, sizeof e.text);
    (void)event_sequence(); /* begun */
    if (keep(&e))
        pass_on(&e);
}

void event_recent(bool (*fn)(void *ctx, const struct event *e), void *ctx)
{
    uint64_t last = event_sequence();
    bool more = true;
    for (uint64_t s = last; more && s > 0 && s + EVENTS > last; s--) {
        pthread_mutex_lock(&ring.lock);
        struct event copy = ring.events[s % EVENTS];
        pthread_mutex_unlock(&ring.lock);
        more = copy.sequence != s || fn(ctx, &copy); /* written over meanwhile: left out */
    }
}

uint64_t event_sequence(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin_sequence);
    return atomic_load(&ring.sequence);
}

void event_set_sink(void (*sink)(void *ctx, const struct event *e), void *ctx)
{
    pthread_mutex_lock(&ring.lock);
    ring.sink = sink;
    ring.sink_ctx = ctx;
    pthread_mutex_unlock(&ring.lock);
}

/* "10.1.2.3:5555" and "[::1]:5555" without the port: a new port is not a new attempt. */
static size_t host_length(const char *peer)
{
    const char *colon = strrchr(peer, ':');
    bool bare_v6 = colon && peer[0] != '[' && memchr(peer, ':', (size_t)(colon - peer));
    return colon && !bare_v6 ? (size_t)(colon - peer) : strlen(peer);
}

static bool same_refusal(const struct refused *a, const struct refused *b)
{
    size_t n = host_length(a->peer);
    return a->status == b->status && n == host_length(b->peer) &&
           memcmp(a->peer, b->peer, n) == 0 && strcmp(a->reason, b->reason) == 0;
}

/* Keeps the newest state of one (address, reason) at the newest place, so that a flood from one
 * address does not push the others out. True when it was not there within the last minute. */
static bool keep_refusal(struct refused *r)
{
    bool fresh = true;
    pthread_mutex_lock(&ring.lock);
    uint64_t last = ring.refusals;
    for (uint64_t i = last; i > 0 && i + LOOK_BACK > last; i--) {
        struct refused *old = &ring.refused[(i - 1) % REFUSALS];
        if (r->time_ms - old->time_ms > SAME_REFUSAL_MS || !same_refusal(old, r))
            continue;
        r->repeated = old->repeated + 1;
        fresh = false;
        for (uint64_t k = i; k < last; k++) /* close the gap */
            ring.refused[(k - 1) % REFUSALS] = ring.refused[k % REFUSALS];
        ring.refusals--;
        break;
    }
    ring.refused[ring.refusals++ % REFUSALS] = *r;
    pthread_mutex_unlock(&ring.lock);
    return fresh;
}

void event_refused(struct str peer, int status, struct str reason)
{
    struct refused r = {.time_ms = clock_wall_ms(), .status = status};
    str_copy(r.peer, sizeof r.peer, peer);
    str_copy(r.reason, sizeof r.reason, reason);
    make_printable(r.peer);
    make_printable(r.reason);
    secret_redact_cut(r.reason, sizeof r.reason);
    counter_add(COUNTER_requests_refused, 1);
    if (keep_refusal(&r))
        event_say(EVENT_KIND_REFUSED, STR(""), "%d to %.*s: %s", status, (int)host_length(r.peer),
            r.peer, r.reason);
}

void event_refused_recent(int64_t since_ms, bool (*fn)(void *ctx, const struct refused *r),
    void *ctx)
{
    bool more = true;
    for (uint64_t back = 1; more && back <= REFUSALS; back++) {
        struct refused copy = {0};
        pthread_mutex_lock(&ring.lock);
        if (back <= ring.refusals)
            copy = ring.refused[(ring.refusals - back) % REFUSALS];
        pthread_mutex_unlock(&ring.lock);
        if (!copy.status || copy.time_ms < since_ms)
            return; /* newest first: all others are older */
        more = fn(ctx, &copy);
    }
}
