/* attempt.c: one call to one target: begun, ended, and whether there is another. Never after the
 * first byte has gone to the client. Nothing of provider A's head or identity is in the request to
 * B: each attempt is built anew from the client's own request. */
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/translate.h"

#include "proxy/config/sealed.h"
#include "proxy/event/event.h"
#include "proxy/worker.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/secret.h"


enum { HEADERS_MAX = 160, RETRY_AFTER_US = 1000000, RETRY_AFTER_LAST_US = 10000000 };

static struct health *health_of(struct exchange *x)
{
    return x->worker->shared->health;
}

void attempt_release(struct exchange *x)
{
    if (x->holds_provider_slot) {
        x->holds_provider_slot = false;
        health_slot_release(health_of(x), x->target->provider, clock_mono_us());
    }
}

void attempt_end(struct exchange *x, const char *outcome, int status, const char *reason)
{
    loop_timer_stop(x->worker->loop, &x->timer);
    attempt_release(x);
    if (!x->attempt_count || x->attempts[x->attempt_count - 1].ended_us)
        return;
    struct attempt *a = &x->attempts[x->attempt_count - 1];
    a->ended_us = clock_mono_us();
    a->status = status;
    a->outcome = outcome;
    str_copy(a->reason, sizeof a->reason, exchange_covered(x, str_c(reason)));
    secret_redact_cut(a->reason, sizeof a->reason);
}

void attempt_tell_failure(struct exchange *x, const char *reason)
{
    const struct candidate *c = x->target;
    counter_add(COUNTER_attempts_failed, 1);
    event_say(EVENT_KIND_UPSTREAM_FAILED, str_c(x->id), STR_FMT "/" STR_FMT ": " STR_FMT,
        STR_ARG(c->provider->name), STR_ARG(exchange_covered(x, c->model)),
        STR_ARG(exchange_covered(x, str_c(reason))));
}

void attempt_cancel(struct exchange *x)
{
    if (x->step == STEP_SEND && x->queued_at_us) {
        if (!health_slot_cancel(health_of(x), x->target->provider, &x->waiter))
            x->place_coming = true;
        x->queue_us += clock_mono_us() - x->queued_at_us;
        x->queued_at_us = 0;
    }
    if (x->call) {
        upstream_cancel(x->call);
        x->call = NULL;
        if (x->counted_in_flight) {
            x->counted_in_flight = false;
            health_ended(health_of(x), x->target->provider, x->target->model, FAIL_CLIENT, 0, 0,
                clock_mono_us());
        }
    }
    loop_timer_stop(x->worker->loop, &x->total_timer);
    attempt_end(x, "cancelled", x->upstream_status, x->client_gone ? "the client left" : "cancelled");
}

/* --- the time limits of an attempt: one timer that looks at what has happened since ----------- */

static int64_t due_us(const struct exchange *x, const char **which)
{
    const struct provider_timeouts *t = &x->target->provider->timeouts;
    int64_t first_token = t->first_token;
    if (x->plan.first_token_us)
        first_token = x->plan.first_token_us;
    if (!x->first_byte_us) {
        *which = "headers";
        return x->sent_us + t->headers;
    }
    if (x->mode == ANSWER_EVENTS && !x->first_token_us) {
        *which = "first_token";
        return x->sent_us + first_token;
    }
    *which = "idle";
    int64_t data = MAX(x->last_data_event_us, x->first_byte_us);
    if (x->last_data_us > data) /* comments came since: they extend the wait once, to first_token */
        return data + MAX(t->idle, first_token);
    return data + t->idle;
}

static void limit_timer(void *ctx)
{
    struct exchange *x = ctx;
    const char *which;
    int64_t due = due_us(x, &which), now = loop_now_us(x->worker->loop);
    if (x->paused) /* the client does not read: the provider is not to blame */
        due = now + x->target->provider->timeouts.idle;
    if (due > now) {
        if (loop_timer_set(x->worker->loop, &x->timer, due) == 0)
            return;
        which = "memory";
    }
    answer_timeout(x, which);
}

static void total_timer(void *ctx)
{
    answer_timeout(ctx, "total");
}

/* The limit that counts now may be sooner than the one that the timer was set for. */
int attempt_watch(struct exchange *x)
{
    const char *which;
    x->timer.fn = limit_timer;
    x->timer.ctx = x;
    return loop_timer_set(x->worker->loop, &x->timer, due_us(x, &which));
}

static void arm_timers(struct exchange *x)
{
    int rc = attempt_watch(x);
    if (!loop_timer_running(&x->total_timer)) {
        x->total_timer.fn = total_timer;
        x->total_timer.ctx = x;
        rc |= loop_timer_set(x->worker->loop, &x->total_timer,
            x->sent_us + x->target->provider->timeouts.total);
    }
    if (rc < 0)
        log_error("%s: no memory for timers", x->id);
}

/* --- starting ---------------------------------------------------------------------------------- */

static bool pick_key(struct exchange *x)
{
    const struct provider *p = x->target->provider;
    x->provider_key = -1;
    if (p->client_login || p->key_count == 0)
        return true;
    x->provider_key = health_pick_key(health_of(x), p, x->target->model,
        id_random(&x->worker->ids), clock_mono_us());
    return x->provider_key >= 0;
}

/* A new row of the trail; the last one again when ATTEMPTS_MAX were made. */
static struct attempt *next_attempt(struct exchange *x)
{
    if (x->attempt_count == ATTEMPTS_MAX)
        return &x->attempts[ATTEMPTS_MAX - 1];
    if (x->attempt_count == x->attempt_room) {
        unsigned room = x->attempt_room ? 2 * x->attempt_room : 1;
        struct attempt *more = arena_zalloc(&x->arena, room * sizeof *more);
        if (!more)
            return NULL;
        if (x->attempt_count)
            memcpy(more, x->attempts, x->attempt_count * sizeof *more);
        x->attempts = more;
        x->attempt_room = room;
    }
    return &x->attempts[x->attempt_count++];
}

static bool note_attempt(struct exchange *x)
{
    const struct candidate *c = x->target;
    struct attempt *a = next_attempt(x);
    if (!a) {
        exchange_fail(x, 503, "overloaded", "out of memory");
        return false;
    }
    *a = (struct attempt){.started_us = clock_mono_us(), .outcome = "running"};
    struct str name = ARENA_JOIN(&x->arena, c->provider->name, STR("/"), c->model);
    str_copy(a->target, sizeof a->target, name);
    secret_redact_cut(a->target, sizeof a->target);
    struct slot *s = x->slot;
    slot_write_begin(s);
    str_copy(s->provider, sizeof s->provider, c->provider->name);
    str_copy(s->model, sizeof s->model, exchange_covered(x, c->model)); /* a client may have named it */
    s->attempts = x->attempt_count;
    slot_write_end(s);
    return true;
}

/* What a later life charges for it if this one ends now; the caller's own login is not charged. */
static void note_prices(struct exchange *x)
{
    static const struct price_rates nothing;
    bool free = !x->price || x->target->provider->client_login;
    const struct price_rates *r = free ? &nothing : &x->price->base[TIER_DEFAULT];
    struct slot *s = x->slot;
    slot_write_begin(s);
    str_copy(s->price_key, sizeof s->price_key, x->price ? str_c(x->price->key) : STR(""));
    s->rate_input = MAX(r->input, 0);
    s->rate_output = MAX(r->output, 0);
    s->rate_cached = MAX(r->cached, 0);
    s->reserve_nano = x->reserve_nano;
    slot_write_end(s);
}

static void failed_to_start(struct exchange *x, enum failure_class failure, const char *reason)
{
    attempt_end(x, "failed", 0, reason);
    if (!attempt_again(x, failure, -1))
        exchange_fail(x, 502, "upstream_error", reason);
}

/* Is a turn of a conversation asked for that Anthropic keeps? */
static bool asks_for_thread(const struct exchange *x)
{
    return x->ep.wire == WIRE_MESSAGES &&
           json_get(buf_str(&x->body), STR("thread")).type == JSON_OBJECT;
}

/* This target has no way to do what was asked: the next one may, else it is the client's to know. */
static void cannot_ask(struct exchange *x, int rc, const struct err *e)
{
    bool ours = rc == -ERR_NOMEM;
    attempt_end(x, "failed", 0, ours ? "out of memory" : e->text);
    if (attempt_again(x, ours ? FAIL_NETWORK : FAIL_MODEL, -1))
        return;
    x->outcome = ours ? OUTCOME_UPSTREAM_ERROR : OUTCOME_CLIENT_ERROR;
    exchange_fail(x, ours ? 503 : 400,
        ours ? "overloaded" : asks_for_thread(x) ? DIALECT_NO_THREAD : "unsupported_by_target",
        ours ? "out of memory" : e->text);
}

static void send_now(struct exchange *x)
{
    const struct candidate *c = x->target;
    struct http_header headers[HEADERS_MAX];
    struct err e = {0};
    struct bound_no why;
    if (!note_attempt(x))
        return;
    if (!bound_target(x, &why)) {
        attempt_end(x, "refused", 0, why.text);
        if (attempt_again(x, FAIL_KEY, -1))
            return;
        exchange_refuse(x, why.status, why.code, why.retry_ms, "%s", why.text);
        exchange_run(x);
        return;
    }
    note_prices(x);
    if (!pick_key(x)) {
        failed_to_start(x, FAIL_KEY, provider_is_locked(x->target->provider)
                ? "no key of this provider opens; see pointsman provider sealed"
                : "every key of this provider is refused or resting");
        return;
    }
    int rc = translate_request(x, c->provider, c->model, &e);
    if (rc < 0) {
        cannot_ask(x, rc, &e);
        return;
    }
    usage_reader_init(&x->reader, x->wire, c->provider->quirks);
    struct upstream_request request = {
        .method = x->method,
        .url = upstream_url(x, c->provider, c->model),
        .headers = headers,
        .header_count = headers_to_provider(x, c->provider, headers, HEADERS_MAX),
        .body = x->pieces,
        .body_count = x->piece_count,
        .connect_timeout_us = c->provider->timeouts.connect,
        .http2 = c->provider->http2,
        .streamed = x->facts.stream,
        .allow_private = c->provider->allow_private,
        .proxy = c->provider->proxy,
        .ca_file = c->provider->ca_file,
    };
    x->mode = ANSWER_NONE;
    x->first_byte_us = 0;
    x->upstream_status = 0;
    x->sent_us = clock_mono_us();
    if (x->attempt_count == 1)
        x->overhead_us += x->sent_us - x->body_us - x->queue_us;
    if (upstream_start(x->worker->upstream, &request, &answer_events, x, &x->call, &e) < 0) {
        failed_to_start(x, FAIL_CLIENT, e.text);
        return;
    }
    counter_add(COUNTER_attempts, 1);
    x->body_sent = true;
    x->counted_in_flight = true;
    health_began(health_of(x), c->provider, c->model, x->sent_us);
    slot_write_begin(x->slot);
    x->slot->phase = STATE_SENT;
    x->slot->body_sent = 1;
    slot_write_end(x->slot);
    if (x->ep.wire == WIRE_RAW) /* no stream will tell what it is worth */
        slot_update(x);
    arm_timers(x);
    exchange_enter(x, STEP_STREAM);
}

static void slot_ready(void *ctx)
{
    struct exchange *x = ctx;
    x->holds_provider_slot = true;
    if (x->place_coming) { /* cancelled meanwhile: the place goes to the next one who waits */
        x->place_coming = false;
        attempt_release(x);
        exchange_free_if_done(x);
        return;
    }
    x->queue_us += clock_mono_us() - x->queued_at_us;
    x->queued_at_us = 0;
    loop_timer_stop(x->worker->loop, &x->timer);
    send_now(x);
}

/* The waiter's turn may come on another worker's thread: it is posted to ours. */
static void slot_ready_message(struct loop_message *m)
{
    slot_ready(CONTAINER_OF(m, struct exchange, ready_message));
}

static void slot_ready_anywhere(void *ctx)
{
    struct exchange *x = ctx;
    x->ready_message.fn = slot_ready_message;
    loop_post(x->worker->loop, &x->ready_message);
}

static bool begin_after(struct exchange *x, int64_t delay_us);

/* max_wait is the longest stay in a queue, not in each of several turns at its end: what comes after is
 * another provider. */
static bool attempt_elsewhere(struct exchange *x)
{
    const struct provider *full = x->target->provider;
    size_t next = x->next_candidate + 1;
    while (next < x->plan.count && x->plan.candidates[next].provider == full)
        next++;
    if (next == x->plan.count || !(x->plan.retry_on & FAIL_429) || x->client_gone || x->time_over ||
        x->attempt_count >= ATTEMPTS_MAX || x->worker->shared->draining)
        return false;
    x->next_candidate = next;
    x->tries_here = 0;
    return begin_after(x, 0);
}

static void queue_timeout(void *ctx)
{
    struct exchange *x = ctx;
    if (!health_slot_cancel(health_of(x), x->target->provider, &x->waiter))
        return; /* its turn is on the way */
    x->queue_us += clock_mono_us() - x->queued_at_us;
    x->queued_at_us = 0;
    if (!note_attempt(x))
        return;
    attempt_end(x, "failed", 0, "waited too long for a free place at this provider");
    if (!attempt_elsewhere(x))
        exchange_fail(x, 503, "provider_busy",
            "every place at this provider is taken and the wait was longer than max_wait");
}

void attempt_start(struct exchange *x)
{
    x->target = &x->plan.candidates[x->next_candidate];
    const struct provider *p = x->target->provider;
    x->login_given |= p->client_login;
    x->waiter = (struct health_waiter){.ready = slot_ready_anywhere, .ctx = x};
    if (!p->max_concurrent || health_slot_take(health_of(x), p, &x->waiter)) {
        x->holds_provider_slot = p->max_concurrent > 0;
        send_now(x);
        return;
    }
    x->queued_at_us = clock_mono_us();
    x->timer.fn = queue_timeout;
    x->timer.ctx = x;
    if (loop_timer_set(x->worker->loop, &x->timer, x->queued_at_us + p->max_wait_us) < 0)
        log_error("%s: no memory for the queue's timer", x->id);
}

enum step_result step_send(struct exchange *x)
{
    if (translate_count(x)) {
        exchange_enter(x, STEP_SETTLE);
        return STEP_NEXT;
    }
    attempt_start(x);
    return STEP_WAIT;
}

/* --- another one? ------------------------------------------------------------------------------ */

static void pause_over(void *ctx)
{
    attempt_start(ctx);
}

static bool begin_after(struct exchange *x, int64_t delay_us)
{
    struct attempt *last = &x->attempts[x->attempt_count - 1];
    x->retry_us += clock_mono_us() - last->started_us + delay_us;
    settle_attempt(x);
    exchange_enter(x, STEP_SEND);
    buf_reset(&x->held);
    if (x->mode == ANSWER_EVENTS) {
        sse_fini(&x->sse);
        x->passed = 0;
    }
    x->mode = ANSWER_NONE;
    translate_reset(x);
    x->timer.fn = pause_over;
    x->timer.ctx = x;
    return loop_timer_set(x->worker->loop, &x->timer, clock_mono_us() + delay_us) == 0;
}

bool attempt_same_again(struct exchange *x)
{
    return !x->begun && !x->client_gone && x->attempt_count < ATTEMPTS_MAX && begin_after(x, 0);
}

enum next_try { TRY_NONE, TRY_OTHER_KEY, TRY_SAME, TRY_NEXT };

static enum next_try next_try(const struct exchange *x, enum failure_class failure,
    int64_t retry_after_us)
{
    if (x->begun || x->client_gone || x->time_over || x->attempt_count >= ATTEMPTS_MAX ||
        x->worker->shared->draining)
        return TRY_NONE;
    const struct provider *p = x->target->provider;
    if ((failure & (FAIL_KEY | FAIL_429)) && p->key_count > 1 && x->tries_here + 1 < p->key_count)
        return TRY_OTHER_KEY;
    /* nobody sits out a long Retry-After here: another target answers sooner, a client knows better */
    bool last = x->next_candidate + 1 >= x->plan.count;
    bool soon = retry_after_us <= (last ? RETRY_AFTER_LAST_US : RETRY_AFTER_US);
    if ((failure & x->plan.retry_on) && failure_worth_repeating(failure) && soon &&
        x->tries_here + 1 < x->plan.attempts)
        return TRY_SAME;
    return !last && (failure & (x->plan.retry_on | FAIL_MODEL | FAIL_KEY)) ? TRY_NEXT : TRY_NONE;
}

bool attempt_would_again(const struct exchange *x, enum failure_class failure,
    int64_t retry_after_us)
{
    return next_try(x, failure, retry_after_us) != TRY_NONE;
}

bool attempt_again(struct exchange *x, enum failure_class failure, int64_t retry_after_us)
{
    switch (next_try(x, failure, retry_after_us)) {
    case TRY_OTHER_KEY: /* of the same provider, at once */
        x->tries_here++;
        return begin_after(x, 0);
    case TRY_SAME:
        return begin_after(x, retry_delay_us(x->tries_here++, retry_after_us,
            id_random(&x->worker->ids)));
    case TRY_NEXT:
        x->next_candidate++;
        x->tries_here = 0;
        return begin_after(x, 0);
    case TRY_NONE:
        break;
    }
    return false;
}
