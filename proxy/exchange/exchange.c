/* exchange.c: the driver of a request's steps, and its life from first byte to free.
 *
 * The steps are rows of a table; each says whether the next one follows at once, whether something
 * must happen first (a body, a provider's answer, a timer), or that it has ended. What happens later
 * calls exchange_run() again. Nothing is freed before the end of the turn.
 *
 *        head()            body()                         upstream's callbacks
 *          │                 │                                    │
 *        AUTH ──(wait)──▶ READ ▶ ROUTE ▶ ADMIT ▶ SEND ──(wait)──▶ STREAM ──(wait)──▶ SETTLE ▶ DONE
 *          └───────────── refused ────────────┴──────────────────────────────────────▲
 */
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/translate.h"

#include "proxy/event/event.h"
#include "proxy/event/watch.h"
#include "proxy/worker.h"
#include "store/base/clock.h"
#include "store/base/secret.h"
#include "store/base/log.h"

#include <stdlib.h>

/* A status that official clients do not try again by themselves: a person meant it. */
enum { ARENA_FIRST = 2048, ARENA_MAX = 256 << 20, STATUS_CANCELLED = 499 };
/* Ended exchanges of a worker that serve again, with the memory that most requests need. A sanitizer
 * would take the use of one that has ended for that of the next. */
#ifdef __SANITIZE_ADDRESS__
enum { SPARES = 0, KEEP_BYTES = 0 };
#else
enum { SPARES = 32, KEEP_BYTES = 8192 };
#endif

static enum step_result (*const steps[STEP_COUNT])(struct exchange *) = {
#define X(name, fn, help) step_##fn,
#include "proxy/exchange/steps.def"
#undef X
};

static const char *const step_names[STEP_COUNT] = {
#define X(name, fn, help) #fn,
#include "proxy/exchange/steps.def"
#undef X
};

void exchange_enter(struct exchange *x, enum exchange_step step)
{
    log_debug("%s: %s → %s", x->id, step_names[x->step], step_names[step]);
    x->step = step;
}

void exchange_run(struct exchange *x)
{
    /* Each step is left at most once in a row; a loop longer than that is our own fault. */
    for (int turns = 0; turns < 4 * STEP_COUNT; turns++) {
        enum exchange_step before = x->step;
        enum step_result result = steps[before](x);
        if (result == STEP_STOP)
            return;
        if (result == STEP_WAIT && x->step == before)
            return;
        if (result == STEP_NEXT && x->step == before)
            exchange_enter(x, before + 1);
    }
    log_error("%s: stuck in step %s", x->id, step_names[x->step]);
}

static void live_add(struct worker *w, struct exchange *x)
{
    x->next = w->live;
    x->link = &w->live;
    if (x->next)
        x->next->link = &x->next;
    w->live = x;
    w->live_count++;
}

static void live_remove(struct worker *w, struct exchange *x)
{
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    w->live_count--;
}

static void keep_or_free(struct buf *b)
{
    if (b->cap > KEEP_BYTES)
        buf_fini(b);
    buf_reset(b);
}

static struct exchange *exchange_take(struct worker *w)
{
    struct exchange *x = w->spare;
    struct arena arena;
    struct buf body, held;
    if (x) {
        w->spare = x->next;
        w->spare_count--;
        arena = x->arena;
        body = x->body;
        held = x->held;
    } else {
        x = malloc(sizeof *x);
        arena_init(&arena, ARENA_FIRST, ARENA_MAX);
        buf_init(&body, BUF_NO_LIMIT);
        buf_init(&held, BUF_NO_LIMIT);
    }
    if (x)
        *x = (struct exchange){.arena = arena, .body = body, .held = held};
    return x;
}

static struct exchange *exchange_new(struct worker *w, struct http_request *q)
{
    struct exchange *x = exchange_take(w);
    if (!x)
        return NULL;
    x->worker = w;
    x->q = q;
    q->user = x;
    x->snapshot = worker_snapshot(w);
    x->time_ms = clock_wall_ms();
    x->head_us = q->head_us;
    x->client_uid = q->peer_uid;
    x->loopback_peer = q->peer_loopback;
    x->provider_key = -1;
    id_make(&w->ids, x->time_ms, x->id);
    live_add(w, x);
    return x;
}

static void exchange_free(struct exchange *x)
{
    buf_fini(&x->body);
    buf_fini(&x->held);
    arena_fini(&x->arena);
    free(x);
}

void exchange_free_spare(struct worker *w)
{
    for (struct exchange *x; (x = w->spare);) {
        w->spare = x->next;
        exchange_free(x);
    }
}

void exchange_destroy(struct exchange *x)
{
    struct worker *w = x->worker;
    live_remove(w, x);
    if (x->watch)
        watch_end(x->watch);
    loop_timer_stop(w->loop, &x->timer);
    loop_timer_stop(w->loop, &x->total_timer);
    memory_release(w->shared, x->charged_memory);
    buf_fini(&x->capture.answer);
    buf_fini(&x->capture.times);
    if (x->mode == ANSWER_EVENTS)
        sse_fini(&x->sse);
    translate_free(x);
    snapshot_put(x->snapshot);
    if (w->spare_count + 1 > SPARES) {
        exchange_free(x);
        return;
    }
    keep_or_free(&x->body);
    keep_or_free(&x->held);
    arena_reset(&x->arena);
    x->next = w->spare;
    w->spare = x;
    w->spare_count++;
}

static void free_deferred(void *ctx)
{
    exchange_destroy(ctx);
}

void exchange_free_if_done(struct exchange *x)
{
    if (x->step != STEP_DONE || x->q || x->call || x->place_coming || x->ending)
        return;
    x->ending = true;
    if (loop_defer(x->worker->loop, free_deferred, x) < 0)
        x->ending = false; /* no memory: the next event of this exchange tries again */
}

enum step_result step_done(struct exchange *x)
{
    exchange_free_if_done(x);
    return STEP_STOP;
}

/* Copies the client's headers: attempts and records outlive its request. */
static bool copy_headers(struct exchange *x, const struct http_request *q)
{
    struct http_header *copy = arena_alloc(&x->arena, (q->header_count + 1) * sizeof *copy);
    if (!copy)
        return false;
    for (size_t i = 0; i < q->header_count; i++) {
        copy[i].name = arena_str(&x->arena, q->headers[i].name);
        copy[i].value = arena_str(&x->arena, q->headers[i].value);
        if (!copy[i].name.p || !copy[i].value.p)
            return false;
    }
    x->client_headers = copy;
    x->client_header_count = q->header_count;
    x->user_agent = http_header_get(q, STR("user-agent"));
    x->user_agent = arena_str(&x->arena, secret_first(x->user_agent, 256));
    x->content_type = arena_str(&x->arena, http_header_get(q, STR("content-type")));
    x->peer = arena_str(&x->arena, q->peer_text);
    x->query = arena_str(&x->arena, q->query);
    x->method = arena_str(&x->arena, q->method);
    return true;
}

void exchange_head(struct worker *w, struct http_request *q)
{
    struct exchange *x = exchange_new(w, q);
    if (!x || !copy_headers(x, q)) {
        http_reply(q, 503, NULL, 0, STR("{\"error\":{\"message\":\"out of memory\","
            "\"type\":\"server_error\",\"code\":\"overloaded\",\"param\":null}}"));
        if (x)
            exchange_enter(x, STEP_DONE);
        return;
    }
    exchange_run(x);
}

void exchange_body(struct worker *w, struct http_request *q)
{
    (void)w;
    struct exchange *x = q->user;
    if (!x || x->step != STEP_AUTH)
        return; /* answered while its body was still coming */
    x->body_us = clock_mono_us();
    struct buf room = x->body; /* in exchange: kept from an earlier request */
    x->body = q->body;
    q->body = room;
    counter_add(COUNTER_bytes_in, (int64_t)x->body.n);
    exchange_enter(x, STEP_READ);
    exchange_run(x);
}

/* What the route wants done with an answer whose client has left. */
static enum disconnect leave_policy(const struct exchange *x)
{
    return x->plan.route ? x->plan.route->disconnect : DISCONNECT_CANCEL;
}

void exchange_hangup(struct worker *w, struct http_request *q)
{
    (void)w;
    struct exchange *x = q->user;
    if (!x || x->client_gone)
        return;
    x->client_gone = true;
    if (x->step >= STEP_SETTLE)
        return; /* the answer is complete: who leaves after the terminal event got all of it */
    if (x->step == STEP_STREAM && leave_policy(x) != DISCONNECT_CANCEL) {
        if (x->paused && x->call)
            upstream_resume(x->call);
        x->paused = false;
        return;
    }
    exchange_cancel(x, NULL);
}

void exchange_cancel(struct exchange *x, const char *who)
{
    if (x->step >= STEP_SETTLE)
        return;
    attempt_cancel(x);
    x->outcome = OUTCOME_CANCELLED;
    str_copy(x->error_code, sizeof x->error_code, STR("cancelled"));
    if (who && !x->client_gone) {
        struct err text;
        err_set(&text, ERR_CANCELLED, "cancelled from the console by %s", who);
        exchange_fail(x, STATUS_CANCELLED, "cancelled", text.text);
        return;
    }
    exchange_enter(x, STEP_SETTLE);
    exchange_run(x);
}

void exchange_shutdown(struct exchange *x)
{
    if (x->step < STEP_SETTLE && x->step > STEP_AUTH) {
        attempt_cancel(x);
        x->outcome = OUTCOME_INTERRUPTED;
        str_copy(x->error_code, sizeof x->error_code, STR("interrupted"));
        str_copy(x->error_message, sizeof x->error_message, STR("the gateway was stopped"));
        stream_abort(x, 502, "interrupted", "the gateway was stopped");
        exchange_enter(x, STEP_SETTLE);
        step_settle(x);
    }
}

void exchange_drained(struct worker *w, struct http_request *q)
{
    (void)w;
    struct exchange *x = q->user;
    if (x && x->paused && x->call) {
        x->paused = false;
        upstream_resume(x->call);
    }
}

/* A provider that reads on without its client: the upload was charged to the client's request, which
 * goes now, and is still held here. */
static void keep_charged(struct exchange *x)
{
    if (x->step >= STEP_SETTLE)
        return;
    if (memory_charge(x->worker->shared, (int64_t)x->body.n))
        x->charged_memory += (int64_t)x->body.n;
    else
        exchange_cancel(x, NULL);
}

void exchange_closed(struct worker *w, struct http_request *q, bool clean)
{
    struct exchange *x = q->user;
    if (!x)
        return;
    if (x->step == STEP_AUTH) { /* left while its body was coming: nothing was asked */
        counter_add(COUNTER_requests_cancelled, 1);
        exchange_enter(x, STEP_DONE);
    } else if (!clean && x->step < STEP_SETTLE) {
        exchange_hangup(w, q);
    }
    x->client_complete = clean;
    x->q = NULL;
    q->user = NULL;
    keep_charged(x);
    exchange_free_if_done(x);
}
