/* stream.c: server-sent events on their way through: each leaves as it comes, metered by the way.
 *
 * What is held back, and no more:
 *  - the head and comments, until the first event shows that the answer is real (an error as first
 *    event can still fail over);
 *  - the usage event that the client did not ask for (exactly that one is withheld);
 *  - an unfinished event, up to 4 KiB: by then it can't be the usage event; a terminal one until it
 *    is whole, because the end record must lie in the spool before its first byte leaves.
 *
 * `passed` counts bytes of the unfinished event that were handed on before it was whole. */
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/translate.h"

#include "proxy/event/event.h"
#include "proxy/worker.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/secret.h"

#include <stdio.h>

enum { HOLD_UNFINISHED = 4096 };

void stream_write(struct exchange *x, struct str bytes)
{
    if (bytes.n == 0)
        return;
    x->response_bytes += (int64_t)bytes.n;
    counter_add(COUNTER_bytes_out, (int64_t)bytes.n);
    if (!x->q || x->client_gone)
        return;
    bool full = http_stream_write(x->q, bytes) > 0; /* then drained() will come */
    if (full && !x->paused && x->call) {
        x->paused = true;
        upstream_pause(x->call);
    }
}

/* An explicit error, then an end that no client can take for a whole answer. */
void stream_abort(struct exchange *x, int status, const char *code, const char *message)
{
    struct buf event;
    struct dialect_error error = {.status = status, .code = str_c(code), .message = str_c(message),
        .request_id = str_c(x->id)};
    if (!x->begun)
        return;
    settle(x);
    if (!x->q || x->client_gone || x->replied)
        return;
    x->replied = true;
    bool told = x->reader.saw_error && !translating(x) && !x->passed; /* by the provider, in its own words */
    if (x->mode == ANSWER_EVENTS && !x->terminal_handed_on && !told) {
        buf_init(&event, 64 << 10);
        if (x->passed)
            buf_puts(&event, "\n\n"); /* ends the event that was cut */
        if (translating(x)) {
            translate_abort(x, &error);
            buf_put_str(&event, buf_str(&x->translation->out));
        } else {
            dialect_write_stream_error(x->ep.wire, &error, &event);
        }
        http_stream_write(x->q, buf_str(&event));
        buf_fini(&event);
    }
    http_stream_end(x->q, x->terminal_handed_on);
}

static void first_token(struct exchange *x)
{
    x->first_token_us = x->received_us;
    if (!x->settled) { /* else the slot may be another one's already */
        slot_write_begin(x->slot);
        x->slot->first_token_us = x->first_token_us;
        slot_write_end(x->slot);
    }
    struct health *health = x->worker->shared->health;
    health_answers(health, x->target->provider, x->target->model, x->received_us);
    health_warm(health, x->target->provider, x->target->model, x->session, x->received_us);
    if (attempt_watch(x) < 0) /* moving a timer that runs needs no memory */
        log_error("%s: no memory for its idle limit", x->id);
}

/* The first event of a stream is an error: nothing has gone to the client, so it may go elsewhere.
 * False: nobody else is to be asked, the client gets the provider's words. */
static bool first_is_error(struct exchange *x, struct str data)
{
    enum failure_class failure = failure_classify_event(data);
    char reason[360];
    if (!attempt_would_again(x, failure, -1))
        return false;
    snprintf(reason, sizeof reason, "error as first event: %s", x->reader.error_message);
    upstream_cancel(x->call);
    x->call = NULL;
    const struct candidate *c = x->target;
    int64_t now = clock_mono_us();
    if (x->counted_in_flight) {
        x->counted_in_flight = false;
        health_ended(x->worker->shared->health, c->provider, c->model, failure, 0,
            now - x->sent_us, now);
    }
    attempt_end(x, "failed", x->upstream_status, reason);
    attempt_tell_failure(x, reason);
    if (!attempt_again(x, failure, -1))
        exchange_fail(x, 502, "upstream_error", reason);
    return true;
}

static void begin_count(struct exchange *x, unsigned kind)
{
    x->last_data_event_us = x->received_us;
    counter_add(COUNTER_stream_events, 1);
    if ((kind & SEEN_CONTENT) && !x->first_token_us)
        first_token(x);
}

/* A route may hold the first events until there is content, so that an error behind an opening event
 * can still fail over; for a time, and up to 256 KiB. */
static bool holds(const struct exchange *x, unsigned kind)
{
    int64_t hold = x->plan.route ? x->plan.route->hold_us : 0;
    return hold && !(kind & (SEEN_CONTENT | SEEN_FINISH | SEEN_TERMINAL | SEEN_ERROR)) &&
           x->received_us - x->first_byte_us < hold && x->held.n < (256 << 10);
}

static bool begin_with_held(struct exchange *x)
{
    if (!stream_begin(x, -1))
        return false;
    stream_write(x, buf_str(&x->held));
    buf_reset(&x->held);
    return true;
}

/* All is said. The provider may stay silent for `idle` after that and no longer. */
static void handed_on_terminal(struct exchange *x)
{
    x->terminal_handed_on = true;
    if (x->call && attempt_watch(x) < 0)
        log_error("%s: no memory for its idle limit", x->id);
}

/* What the client gets for it, the end record first where it says that all is said. */
static bool write_translated(struct exchange *x)
{
    struct translation *t = x->translation;
    if (!t->out.n)
        return true;
    if (t->out.err) {
        attempt_cancel(x);
        x->outcome = OUTCOME_UPSTREAM_ERROR;
        exchange_fail(x, 502, "upstream_too_large", "an event is too large to be translated");
        return false;
    }
    if (!x->begun && !stream_begin(x, -1))
        return false;
    if (t->over || t->failed) {
        x->outcome = t->failed || x->reader.failed_inside ? OUTCOME_UPSTREAM_ERROR
                     : x->client_gone ? OUTCOME_CANCELLED : OUTCOME_OK;
        settle(x);
        if (t->over)
            handed_on_terminal(x);
    }
    if (t->failed)
        secret_redact(t->out.p, t->out.n);
    capture_answer(x, buf_str(&t->out));
    stream_write(x, buf_str(&t->out));
    return true;
}

/* The provider said in mid-stream that it failed: told in the client's words, and never a clean end. */
static bool failed_translated(struct exchange *x)
{
    const struct candidate *c = x->target;
    int64_t now = clock_mono_us();
    upstream_cancel(x->call);
    x->call = NULL;
    if (x->counted_in_flight) {
        x->counted_in_flight = false;
        health_ended(x->worker->shared->health, c->provider, c->model, FAIL_5XX, 0,
            now - x->sent_us, now);
    }
    attempt_end(x, "failed", x->upstream_status, x->reader.error_message);
    if (write_translated(x)) {
        x->replied = true;
        if (x->q && !x->client_gone)
            http_stream_end(x->q, false);
        exchange_enter(x, STEP_SETTLE);
        exchange_run(x);
    }
    return false;
}

static bool pass_translated(struct exchange *x, const struct sse_event *ev)
{
    if (!ev->has_data) { /* until the answer is known to be real nothing is said */
        if (!x->begun || x->translation->over || x->translation->failed)
            return true;
        translate_ping(x);
        return write_translated(x);
    }
    unsigned kind = usage_event(&x->reader, ev->name, ev->data);
    begin_count(x, kind);
    if (!x->begun && (kind & SEEN_ERROR) && first_is_error(x, ev->data))
        return false;
    translate_event(x, ev->name, ev->data);
    return x->translation->failed ? failed_translated(x) : write_translated(x);
}

/* One whole event. False: the exchange went another way, stop. */
static bool pass_event(struct exchange *x, const struct sse_event *ev)
{
    if (translating(x))
        return pass_translated(x, ev);
    struct str raw = str_from(ev->raw, x->passed);
    x->passed = 0;
    if (!ev->has_data) { /* comments: held until the answer is known to be real */
        if (x->begun)
            stream_write(x, raw);
        else if (x->held.n + raw.n < (64 << 10))
            buf_put_str(&x->held, raw);
        return true;
    }
    unsigned kind = usage_event(&x->reader, ev->name, ev->data);
    begin_count(x, kind);
    if ((kind & SEEN_USAGE_ONLY) && x->usage_asked)
        return true;
    if (!x->begun) {
        if ((kind & SEEN_ERROR) && first_is_error(x, ev->data))
            return false;
        if (holds(x, kind)) {
            buf_put_str(&x->held, raw);
            return true;
        }
        if (!begin_with_held(x))
            return false;
    }
    if (kind & SEEN_TERMINAL) {
        x->outcome = x->reader.failed_inside ? OUTCOME_UPSTREAM_ERROR
                     : x->client_gone ? OUTCOME_CANCELLED : OUTCOME_OK;
        settle(x);
        handed_on_terminal(x);
    }
    stream_write(x, kind & SEEN_ERROR ? exchange_covered(x, raw) : raw);
    return true;
}

static bool looks_terminal(const struct exchange *x, struct str pending)
{
    static const char *const names[] = {"response.completed", "response.incomplete",
        "response.failed", "message_stop"};
    if (x->ep.wire != WIRE_RESPONSES && x->ep.wire != WIRE_MESSAGES)
        return false;
    struct str start = str_first(pending, 256);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_find(start, str_c(names[i])) >= 0)
            return true;
    return false;
}

/* The unfinished rest: small, it waits; large, it passes as it comes, whatever its size. */
static void pass_unfinished(struct exchange *x)
{
    struct str pending = sse_pending(&x->sse);
    if (!x->begun || pending.n <= HOLD_UNFINISHED || pending.n <= x->passed)
        return;
    if (x->passed == 0 && looks_terminal(x, pending))
        return;
    stream_write(x, str_from(pending, x->passed));
    x->passed = pending.n;
}

void stream_data(struct exchange *x, struct str bytes)
{
    struct sse_event ev;
    int rc = sse_feed(&x->sse, bytes);
    while (x->step == STEP_STREAM && sse_next(&x->sse, &ev))
        if (!pass_event(x, &ev))
            return;
    if (x->step != STEP_STREAM)
        return;
    if (translating(x) && rc < 0) {
        attempt_cancel(x);
        x->outcome = OUTCOME_UPSTREAM_ERROR;
        exchange_fail(x, 502, "upstream_too_large", "an event is too large to be translated");
        return;
    }
    if (!translating(x))
        pass_unfinished(x);
    if (rc < 0) { /* larger than the parser keeps: handed on piece by piece, unread */
        if (looks_terminal(x, sse_pending(&x->sse))) {
            x->outcome = OUTCOME_OK;
            settle(x);
        }
        if (!x->begun && !begin_with_held(x))
            return;
        stream_write(x, str_from(sse_pending(&x->sse), x->passed));
        sse_release(&x->sse);
        x->passed = 0;
    }
    slot_update(x);
    bound_grow(x);
}

/* Did the stream say that it is complete? */
static bool ended_well(const struct exchange *x, const struct upstream_result *r)
{
    if (r->end != UPSTREAM_OK)
        return x->reader.saw_terminal; /* what came after the end does not matter */
    if (x->reader.saw_terminal)
        return true;
    switch (x->wire) {
    case WIRE_CHAT:
    case WIRE_COMPLETIONS:
    case WIRE_GENERATE:
    case WIRE_STREAM_GENERATE:
        return x->reader.saw_finish && !r->body_unframed; /* some never send [DONE] */
    case WIRE_MESSAGES:
    case WIRE_RESPONSES:
        return false;
    default:
        return !r->body_unframed;
    }
}

void stream_finish(struct exchange *x)
{
    const struct candidate *c = x->target;
    int64_t now = clock_mono_us();
    x->counted_in_flight = false;
    health_ended(x->worker->shared->health, c->provider, c->model,
        x->reader.failed_inside ? FAIL_5XX : 0,
        (x->first_token_us ? x->first_token_us : now) - x->sent_us, now - x->sent_us, now);
    attempt_end(x, x->reader.failed_inside ? "failed" : "ok", x->upstream_status,
        x->reader.error_message);
    if (x->outcome == OUTCOME_NONE)
        x->outcome = x->reader.saw_error || x->reader.failed_inside ? OUTCOME_UPSTREAM_ERROR
                     : x->client_gone ? OUTCOME_CANCELLED : OUTCOME_OK;
    settle(x);
    if (x->q && !x->client_gone)
        http_stream_end(x->q, true);
    exchange_enter(x, STEP_SETTLE);
    exchange_run(x);
}

static void cut_short(struct exchange *x, const struct upstream_result *r)
{
    const struct candidate *c = x->target;
    int64_t now = clock_mono_us();
    char reason[360];
    if (x->reader.saw_error && x->begun) { /* the provider said itself what went wrong */
        x->outcome = OUTCOME_UPSTREAM_ERROR;
        snprintf(reason, sizeof reason, "%s", x->reader.error_message);
    } else {
        snprintf(reason, sizeof reason, "the provider's stream ended before it was complete%s%s",
            r->reason[0] ? ": " : "", r->reason);
        if (x->begun)
            x->outcome = OUTCOME_TRUNCATED;
    }
    x->counted_in_flight = false;
    health_ended(x->worker->shared->health, c->provider, c->model, FAIL_NETWORK, 0,
        now - x->sent_us, now);
    attempt_tell_failure(x, reason);
    attempt_end(x, "failed", x->upstream_status, reason);
    if (attempt_again(x, FAIL_NETWORK, -1))
        return;
    exchange_fail(x, 502, "upstream_truncated", reason);
}

void stream_done(struct exchange *x, const struct upstream_result *r)
{
    struct sse_event ev;
    x->received_us = clock_mono_us();
    if (sse_finish(&x->sse, &ev) && r->end == UPSTREAM_OK && !pass_event(x, &ev))
        return;
    if (translating(x) && ended_well(x, r) && !x->terminal_handed_on) {
        translate_end(x);
        if (!write_translated(x))
            return;
    }
    if (ended_well(x, r) && x->begun)
        stream_finish(x);
    else
        cut_short(x, r);
}
