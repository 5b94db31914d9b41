/* answer.c: what the provider says: its head decides how the answer is handed on, its end decides
 * what it was worth.
 *
 *   2xx text/event-stream      EVENTS  each event leaves as it comes (stream.c)
 *   2xx application/json       HELD    whole, so that its cost header is exact, its end known good and
 *                                      failover still possible; past held_bytes it becomes PIPED.
 *                                      Translated: also a stream that was not asked for, and handed on
 *                                      as a stream where one was
 *   other 2xx on a raw path    PIPED; also 304, and whatever a HEAD is answered with
 *   4xx, 5xx                   FAILED  collected; tried elsewhere or passed on unchanged
 *   3xx, other 2xx             an upstream error: redirects are never followed (they steal keys)
 */
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/translate.h"

#include "proxy/event/event.h"
#include "proxy/worker.h"
#include "store/base/clock.h"
#include "store/base/secret.h"

#include <stdio.h>

enum { ERROR_BODY_MAX = 1 << 20, SSE_EVENT_MAX = 8 << 20, HEADERS_MAX = 200 };
enum { TRANSLATED_MAX = 16 << 20 }; /* bytes of one event or of a whole answer, when translated */

static struct str header_of(const struct http_header *h, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(h[i].name, name))
            return h[i].value;
    return STR_NULL;
}

static bool keep_headers(struct exchange *x, const struct http_header *h, size_t n)
{
    n = MIN(n, (size_t)HEADERS_MAX);
    x->answer_headers = arena_alloc(&x->arena, (n + 1) * sizeof *h);
    if (!x->answer_headers)
        return false;
    for (size_t i = 0; i < n; i++) {
        x->answer_headers[i].name = arena_str(&x->arena, h[i].name);
        x->answer_headers[i].value = arena_str(&x->arena, h[i].value);
        if (!x->answer_headers[i].name.p || !x->answer_headers[i].value.p)
            return false;
        char *value = (char *)(uintptr_t)x->answer_headers[i].value.p; /* our copy */
        if (h[i].value.n >= SECRET_VALUE_MIN) /* no header has a reason to repeat a key */
            secret_redact(value, h[i].value.n);
    }
    x->answer_header_count = n;
    return true;
}

/* By the headers, else by the error's body (Google says it there); -1: not said. */
static int64_t retry_after_us(const struct exchange *x)
{
    int64_t us = health_retry_after_us(x->answer_headers, x->answer_header_count, x->time_ms);
    return us < 0 && x->retry_after_us > 0 ? x->retry_after_us : us;
}

/* The attempt is over; another one, or our own error to the client. */
static void give_up(struct exchange *x, enum failure_class failure, int status, const char *code,
    const char *reason)
{
    const struct candidate *c = x->target;
    int64_t now = clock_mono_us();
    if (x->call) {
        upstream_cancel(x->call);
        x->call = NULL;
    }
    if (x->counted_in_flight) {
        x->counted_in_flight = false;
        health_ended(x->worker->shared->health, c->provider, c->model, failure, 0,
            now - x->sent_us, now);
    }
    attempt_tell_failure(x, reason);
    attempt_end(x, failure == FAIL_TIMEOUT ? "timeout" : "failed", x->upstream_status, reason);
    if (attempt_again(x, failure, retry_after_us(x)))
        return;
    if (failure == FAIL_TIMEOUT)
        x->outcome = OUTCOME_TIMEOUT;
    else if (x->begun)
        x->outcome = OUTCOME_TRUNCATED;
    exchange_fail(x, status, code, reason);
}

static bool is_json(struct str type)
{
    ptrdiff_t semicolon = str_chr(type, ';');
    if (semicolon >= 0)
        type = str_trim(str_first(type, (size_t)semicolon));
    return str_eq_nocase(type, STR("application/json")) || str_ends(type, STR("+json"));
}

static bool is_events(struct str type)
{
    return str_starts_nocase(type, STR("text/event-stream"));
}

static struct str content_type(const struct exchange *x)
{
    return header_of(x->answer_headers, x->answer_header_count, STR("content-type"));
}

static enum answer_mode choose_mode(const struct exchange *x, int status, struct str type,
    struct str length)
{
    uint64_t bytes;
    if (status >= 400)
        return ANSWER_FAILED;
    if (status == 304 && x->ep.wire == WIRE_RAW)
        return ANSWER_PIPED; /* the client asked whether something changed */
    if (status < 200 || status >= 300)
        return ANSWER_NONE;
    if (str_eq(x->method, STR("HEAD")))
        return ANSWER_PIPED; /* the head as it came, its length too */
    if (is_events(type)) /* a stream that wasn't asked for is made one answer again */
        return translating(x) && !x->facts.stream ? ANSWER_HELD : ANSWER_EVENTS;
    if (translating(x)) /* nothing passes that was not understood */
        return is_json(type) ? ANSWER_HELD : ANSWER_NONE;
    if (is_json(type) && x->ep.wire == WIRE_STREAM_GENERATE)
        return ANSWER_PIPED; /* one JSON array, streamed */
    if (is_json(type) && (!str_to_u64(length, &bytes) ||
            bytes <= (uint64_t)x->snapshot->config->limits.held_bytes))
        return ANSWER_HELD;
    if (is_json(type) || x->ep.wire == WIRE_RAW)
        return ANSWER_PIPED;
    return ANSWER_NONE;
}

static void head(void *ctx, int status, const struct http_header *headers, size_t n)
{
    struct exchange *x = ctx;
    const struct provider *p = x->target->provider;
    struct str type = header_of(headers, n, STR("content-type"));
    char text[200];
    x->first_byte_us = clock_mono_us();
    x->received_us = x->first_byte_us;
    x->last_data_us = x->last_data_event_us = x->first_byte_us;
    x->upstream_status = status;
    x->retry_after_us = 0;
    if (!keep_headers(x, headers, n)) {
        give_up(x, FAIL_CLIENT, 503, "overloaded", "out of memory");
        return;
    }
    health_headers(x->worker->shared->health, p, (unsigned)MAX(x->provider_key, 0), status,
        headers, n, x->first_byte_us, clock_wall_ms());
    x->mode = choose_mode(x, status, type, header_of(headers, n, STR("content-length")));
    if (x->mode == ANSWER_EVENTS)
        sse_init(&x->sse, translating(x) ? TRANSLATED_MAX : SSE_EVENT_MAX);
    if (x->mode == ANSWER_EVENTS && translating(x) && !translate_begin_stream(x)) {
        give_up(x, FAIL_CLIENT, 503, "overloaded", "out of memory");
        return;
    }
    if (x->mode != ANSWER_NONE && attempt_watch(x) == 0)
        return;
    if (status == 304)
        snprintf(text, sizeof text, "the provider answered 304, as if it had been asked whether "
            "something changed");
    else if (status >= 300)
        snprintf(text, sizeof text, "the provider answered with a redirect (%d), which is not "
            "followed", status);
    else
        snprintf(text, sizeof text, "the provider answered %d with content type \"" STR_FMT "\"",
            status, STR_ARG(secret_first(exchange_covered(x, type), 80)));
    give_up(x, FAIL_5XX, 502, "upstream_error", text);
}

/* Kept aside for the usage at its end; an answer too large for that is estimated. */
static void keep_for_usage(struct exchange *x, struct str bytes)
{
    if (x->usage_lost || !is_json(content_type(x)))
        return;
    if (x->held.n + bytes.n <= SSE_EVENT_MAX &&
        memory_charge(x->worker->shared, (int64_t)bytes.n)) {
        x->charged_memory += (int64_t)bytes.n;
        buf_put_str(&x->held, bytes);
        return;
    }
    x->usage_lost = true;
    buf_fini(&x->held);
}

/* What Content-Length says; -1: nothing. */
static int64_t announced_length(const struct exchange *x)
{
    int64_t length;
    struct str announced = header_of(x->answer_headers, x->answer_header_count,
        STR("content-length"));
    return str_to_i64(announced, &length) && length >= 0 ? length : -1;
}

/* Where a length was announced, the client has the whole answer with its last byte: that one waits
 * until the end record is written. */
static void pipe_data(struct exchange *x, struct str bytes)
{
    int64_t length = announced_length(x);
    bool known = length >= 0;
    if (!x->begun && !stream_begin(x, length))
        return;
    if (!x->first_token_us)
        x->first_token_us = x->received_us;
    keep_for_usage(x, bytes);
    if (known && bytes.n && x->response_bytes + (int64_t)bytes.n >= length && !x->last_byte_waits) {
        x->last_byte_waits = true;
        x->last_byte = bytes.p[bytes.n - 1];
        bytes.n--;
    }
    stream_write(x, bytes);
}

/* A held answer that grows past the limit is piped from here on. */
static void hold_data(struct exchange *x, struct str bytes)
{
    size_t most = translating(x) ? TRANSLATED_MAX
                                 : (size_t)x->snapshot->config->limits.held_bytes;
    if (x->held.n + bytes.n <= most && memory_charge(x->worker->shared, (int64_t)bytes.n)) {
        x->charged_memory += (int64_t)bytes.n;
        buf_put_str(&x->held, bytes);
        return;
    }
    if (translating(x)) {
        give_up(x, FAIL_CLIENT, 502, "upstream_too_large",
            "the provider's answer is too large to be translated");
        return;
    }
    x->mode = ANSWER_PIPED;
    struct buf before = x->held;
    buf_init(&x->held, BUF_NO_LIMIT);
    memory_release(x->worker->shared, (int64_t)before.n); /* charged again where it is kept */
    x->charged_memory -= (int64_t)before.n;
    pipe_data(x, buf_str(&before));
    buf_fini(&before);
    if (x->step == STEP_STREAM)
        pipe_data(x, bytes);
}

/* The client has left and the route lets the provider go on: as far as it says. */
static bool reads_on(struct exchange *x, size_t bytes)
{
    x->read_on_bytes += (int64_t)bytes;
    return !x->plan.route || x->plan.route->disconnect == DISCONNECT_FINISH ||
           x->read_on_bytes <= x->plan.route->drain_bytes;
}

static void data(void *ctx, struct str bytes)
{
    struct exchange *x = ctx;
    if (x->step != STEP_STREAM)
        return;
    x->received_us = clock_mono_us();
    x->max_gap_us = MAX(x->max_gap_us, x->received_us - x->last_data_us);
    x->last_data_us = x->received_us;
    if (x->mode != ANSWER_EVENTS)
        x->last_data_event_us = x->received_us;
    if (x->mode != ANSWER_FAILED && !translating(x)) /* else what the client gets is kept */
        capture_answer(x, bytes);
    if (x->client_gone && !reads_on(x, bytes.n)) {
        exchange_cancel(x, NULL);
        return;
    }
    switch (x->mode) {
    case ANSWER_HELD:
        hold_data(x, bytes);
        break;
    case ANSWER_EVENTS:
        stream_data(x, bytes);
        break;
    case ANSWER_PIPED:
        pipe_data(x, bytes);
        break;
    case ANSWER_FAILED:
        if (x->held.n + bytes.n <= ERROR_BODY_MAX)
            buf_put_str(&x->held, bytes);
        break;
    case ANSWER_NONE:
        break;
    }
}

/* --- whole answers ------------------------------------------------------------------------------ */

static size_t our_headers(struct exchange *x, struct http_header *h, size_t n, bool with_cost)
{
    struct arena *a = &x->arena;
    char cost[32];
    h[n++] = (struct http_header){STR("x-request-id"), str_c(x->id)};
    if (x->plan.route_name.n)
        h[n++] = (struct http_header){STR("x-pointsman-route"), x->plan.route_name};
    h[n++] = (struct http_header){STR("x-pointsman-target"),
        arena_str(a, str_c(x->attempts[x->attempt_count - 1].target))};
    h[n++] = (struct http_header){STR("x-pointsman-attempts"),
        arena_i64(a, x->attempt_count)};
    if (with_cost && x->slot) {
        money_exact(x->slot->cost_nano, cost, sizeof cost);
        h[n++] = (struct http_header){STR("x-pointsman-cost-usd"), arena_str(a, str_c(cost))};
    }
    if (x->dropped && x->dropped[0])
        h[n++] = (struct http_header){STR("x-pointsman-dropped"), str_c(x->dropped)};
    int64_t now = clock_mono_us();
    x->overhead_us += now - x->received_us;
    h[n++] = (struct http_header){STR("x-pointsman-overhead-us"),
        arena_i64(a, x->overhead_us)};
    return n;
}

bool stream_begin(struct exchange *x, int64_t length)
{
    struct http_header headers[HEADERS_MAX + 16];
    size_t n = headers_to_client(x, x->answer_headers, x->answer_header_count, headers, HEADERS_MAX);
    n = our_headers(x, headers, n, false);
    x->begun = true;
    x->status = x->upstream_status;
    slot_write_begin(x->slot);
    x->slot->phase = STATE_STREAMING;
    x->slot->status = x->status;
    slot_write_end(x->slot);
    if (x->client_gone || !x->q)
        return true; /* the disconnect policy lets the provider finish */
    int rc = http_stream_begin(x->q, x->status, headers, n, length);
    counter_add(COUNTER_streams, rc == 0);
    if (rc == 0 || rc == -ERR_STATE) /* it has just left: its hang-up is on the way */
        return true;
    x->replied = true; /* http has said it */
    x->status = 502;
    give_up(x, FAIL_CLIENT, 502, "upstream_error", rc == -ERR_RANGE
        ? "a header of the provider's answer holds control characters" : "out of memory");
    return false;
}

/* The end record is in the spool before the first byte of a whole answer leaves. */
static void reply_held(struct exchange *x, int status)
{
    struct http_header headers[HEADERS_MAX + 16];
    size_t n = headers_to_client(x, x->answer_headers, x->answer_header_count, headers, HEADERS_MAX);
    x->status = status;
    x->response_bytes = (int64_t)x->held.n;
    settle(x);
    n = our_headers(x, headers, n, status < 300);
    x->replied = true;
    if (x->q && !x->client_gone)
        http_reply(x->q, status, headers, n, buf_str(&x->held));
    exchange_enter(x, STEP_SETTLE);
    exchange_run(x);
}

static void attempt_ok(struct exchange *x)
{
    const struct candidate *c = x->target;
    int64_t now = clock_mono_us();
    if (x->counted_in_flight) {
        x->counted_in_flight = false;
        health_ended(x->worker->shared->health, c->provider, c->model, 0,
            (x->first_token_us ? x->first_token_us : now) - x->sent_us, now - x->sent_us, now);
    }
    attempt_end(x, "ok", x->upstream_status, "");
}

/* Held whole, handed on as the stream that was asked for. */
static void reply_told(struct exchange *x)
{
    struct buf *out = &x->translation->out;
    if (!stream_begin(x, -1))
        return;
    settle(x);
    capture_answer(x, buf_str(out));
    stream_write(x, buf_str(out));
    x->replied = true;
    if (x->q && !x->client_gone)
        http_stream_end(x->q, true);
    exchange_enter(x, STEP_SETTLE);
    exchange_run(x);
}

/* The held answer in the client's dialect, and in the form that was asked for. */
static int translate_held(struct exchange *x, struct err *e)
{
    if (!translating(x))
        return 0;
    if (is_events(content_type(x)))
        return translate_gathered(x, e);
    return x->facts.stream ? translate_told(x, e) : translate_whole(x, e);
}

static void held_done(struct exchange *x)
{
    size_t at;
    struct err e = {0};
    struct str body = str_after_bom(buf_str(&x->held));
    bool events = is_events(content_type(x)), metered = x->ep.wire != WIRE_RAW && !events;
    if (metered && json_check(body, &at) < 0) {
        give_up(x, FAIL_5XX, 502, "upstream_error",
            "the provider's answer says application/json and is not valid JSON");
        return;
    }
    x->first_token_us = x->received_us;
    health_warm(x->worker->shared->health, x->target->provider, x->target->model, x->session,
        x->received_us);
    if (metered)
        usage_checked_body(&x->reader, body);
    else if (!events)
        usage_body(&x->reader, body);
    int rc = translate_held(x, &e);
    if (rc < 0) { /* where it was answered it is charged: asking again would be paid for twice */
        give_up(x, rc == -ERR_STATE ? FAIL_5XX : FAIL_CLIENT, 502, "upstream_error", e.text);
        return;
    }
    attempt_ok(x);
    x->outcome = x->client_gone ? OUTCOME_CANCELLED : OUTCOME_OK;
    if (translating(x) && x->translation->told)
        reply_told(x);
    else
        reply_held(x, x->upstream_status);
}

/* 404 for want of such a path; not of the model, or of what a request names. */
static bool no_such_path(int status, const struct dialect_error_read *read)
{
    const struct str texts[] = {read->message, read->code, read->type, read->param};
    static const char *const things[] = {"model", "deployment", "previous_response", "resp_"};
    if (status != 404 && status != 405 && status != 501)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (size_t k = 0; k < ARRAY_LEN(things); k++)
            if (str_find_nocase(texts[i], str_c(things[k])) >= 0)
                return str_find(read->message, STR("/responses")) >= 0;
    return true;
}

/* What this provider turned out not to have: asked once more without it, and remembered. */
static bool asked_without(struct exchange *x, const struct dialect_error_read *read)
{
    const struct provider *p = x->target->provider;
    struct health *health = x->worker->shared->health;
    bool openai = p->dialect == DIALECT_OPENAI || p->dialect == DIALECT_AZURE;
    if (x->usage_asked && x->upstream_status == 400 &&
        str_find(buf_str(&x->held), STR("stream_options")) >= 0) {
        x->usage_refused = true;
        health_note_lack(health, p, HEALTH_LACKS_STREAM_OPTIONS);
        attempt_end(x, "failed", 400, "stream_options refused; asked again without");
    } else if (x->wire == WIRE_RESPONSES && openai && no_such_path(x->upstream_status, read)) {
        health_note_lack(health, p, HEALTH_LACKS_RESPONSES);
        attempt_end(x, "failed", x->upstream_status, "no /v1/responses; asked again as chat");
    } else {
        return false;
    }
    x->counted_in_flight = false;
    health_ended(health, p, x->target->model, FAIL_CLIENT, 0, 0, clock_mono_us());
    return attempt_same_again(x);
}

/* An error answer: whose fault, is there another target, else the provider's own words. */
static void failed_done(struct exchange *x)
{
    const struct candidate *c = x->target;
    struct dialect_error_read read;
    char reason[300];
    enum failure_class failure = failure_classify(x->upstream_status, buf_str(&x->held));
    int64_t now = clock_mono_us();
    secret_redact(x->held.p, x->held.n);
    capture_cover_login(x, x->held.p, x->held.n);
    dialect_read_error(buf_str(&x->held), &x->arena, &read);
    snprintf(reason, sizeof reason, "%d " STR_FMT, x->upstream_status,
        STR_ARG(secret_first(read.message, 200)));
    x->retry_after_us = read.retry_after_ms * 1000;
    if (asked_without(x, &read))
        return;
    if (x->counted_in_flight) {
        x->counted_in_flight = false;
        health_ended(x->worker->shared->health, c->provider, c->model, failure, 0,
            now - x->sent_us, now);
    }
    if (failure & (FAIL_KEY | FAIL_429) && x->provider_key >= 0)
        health_key_failed(x->worker->shared->health, c->provider, c->model,
            (unsigned)x->provider_key, x->upstream_status, retry_after_us(x), now);
    attempt_end(x, "failed", x->upstream_status, reason);
    if (failure != FAIL_CLIENT)
        attempt_tell_failure(x, reason);
    if (attempt_again(x, failure, retry_after_us(x)))
        return;
    x->outcome = (failure & (FAIL_CLIENT | FAIL_CONTEXT | FAIL_CONTENT | FAIL_MODEL))
        ? OUTCOME_CLIENT_ERROR : OUTCOME_UPSTREAM_ERROR;
    str_copy(x->error_code, sizeof x->error_code,
        read.code.n ? read.code : read.type.n ? read.type : STR("upstream_error"));
    str_copy(x->error_message, sizeof x->error_message, read.message);
    secret_redact_cut(x->error_message, sizeof x->error_message);
    struct str type = content_type(x);
    if (translating(x)) {
        /* 529 is Anthropic's own; others know it as 503 */
        bool overloaded = x->upstream_status == 529 && x->ep.dialect != DIALECT_ANTHROPIC;
        translate_error(x, &read, retry_after_us(x));
        reply_held(x, overloaded ? 503 : x->upstream_status);
        return;
    }
    if (x->held.n && (is_json(type) || x->ep.wire == WIRE_RAW)) {
        reply_held(x, x->upstream_status);
        return;
    }
    exchange_fail(x, x->upstream_status, x->error_code, read.message.n ? reason
        : "the provider answered with an error and no readable body");
}

/* --- the end ------------------------------------------------------------------------------------ */

static const struct {
    enum failure_class failure;
    int status;
    const char *code;
} ends[] = {
    [UPSTREAM_OK] = {FAIL_NETWORK, 502, "upstream_error"},
    [UPSTREAM_REFUSED] = {FAIL_NETWORK, 502, "upstream_unreachable"},
    [UPSTREAM_DNS] = {FAIL_NETWORK, 502, "upstream_unreachable"},
    [UPSTREAM_TLS] = {FAIL_NETWORK, 502, "upstream_tls"},
    [UPSTREAM_CONNECT_TIMEOUT] = {FAIL_TIMEOUT, 504, "upstream_timeout"},
    [UPSTREAM_FORBIDDEN] = {FAIL_NETWORK, 502, "upstream_forbidden"},
    [UPSTREAM_RESET] = {FAIL_NETWORK, 502, "upstream_reset"},
    [UPSTREAM_TRUNCATED] = {FAIL_NETWORK, 502, "upstream_truncated"},
    [UPSTREAM_MALFORMED] = {FAIL_NETWORK, 502, "upstream_malformed"},
    [UPSTREAM_CODING] = {FAIL_5XX, 502, "upstream_coding"},
    [UPSTREAM_INTERNAL] = {FAIL_NETWORK, 502, "upstream_error"},
};

/* There was no connection: nobody can have billed it. */
static bool never_sent(enum upstream_end end)
{
    return end == UPSTREAM_REFUSED || end == UPSTREAM_DNS || end == UPSTREAM_TLS ||
           end == UPSTREAM_CONNECT_TIMEOUT || end == UPSTREAM_FORBIDDEN;
}

static void done(void *ctx, const struct upstream_result *r)
{
    struct exchange *x = ctx;
    x->call = NULL;
    x->connect_us = r->connect_us;
    x->body_sent &= !never_sent(r->end);
    if (x->step != STEP_STREAM) { /* told to stop meanwhile */
        exchange_free_if_done(x);
        return;
    }
    bool whole = r->end == UPSTREAM_OK && r->answered;
    if (x->mode == ANSWER_EVENTS) {
        stream_done(x, r);
        return;
    }
    if (x->mode == ANSWER_FAILED && r->answered) {
        failed_done(x);
        return;
    }
    if (!whole || (x->mode == ANSWER_HELD && r->body_unframed && !is_events(content_type(x)) &&
            json_check(buf_str(&x->held), NULL) < 0)) {
        give_up(x, ends[r->end].failure, ends[r->end].status, ends[r->end].code,
            r->reason[0] ? r->reason : "the provider's answer was cut short");
        return;
    }
    if (x->mode == ANSWER_HELD) {
        held_done(x);
        return;
    }
    bool head_only = str_eq(x->method, STR("HEAD"));
    if (!x->begun && !head_only && x->ep.wire != WIRE_RAW) {
        give_up(x, FAIL_5XX, 502, "upstream_error", "the provider's answer is empty");
        return;
    }
    if (!x->begun && !stream_begin(x, head_only ? announced_length(x) : 0))
        return;
    usage_body(&x->reader, buf_str(&x->held));
    attempt_ok(x);
    x->outcome = x->client_gone ? OUTCOME_CANCELLED : OUTCOME_OK;
    x->response_bytes += x->last_byte_waits;
    settle(x);
    if (x->q && !x->client_gone) {
        if (x->last_byte_waits)
            http_stream_write(x->q, (struct str){&x->last_byte, 1});
        http_stream_end(x->q, true);
    }
    exchange_enter(x, STEP_SETTLE);
    exchange_run(x);
}

const struct upstream_events answer_events = {.head = head, .data = data, .done = done};

void answer_timeout(struct exchange *x, const char *which)
{
    char text[160];
    if (x->step == STEP_SEND) { /* total time over between attempts or in the queue */
        attempt_cancel(x);
        x->outcome = OUTCOME_TIMEOUT;
        exchange_fail(x, 504, "upstream_timeout", "the total time limit passed before an answer");
        return;
    }
    if (x->step != STEP_STREAM)
        return;
    if (x->terminal_handed_on) { /* complete, only not closed: nothing is missing */
        upstream_cancel(x->call);
        x->call = NULL;
        stream_finish(x);
        return;
    }
    x->timeout_name = which;
    x->time_over = str_eq(str_c(which), STR("total"));
    snprintf(text, sizeof text, "the provider passed the %s time limit after %.1f s", which,
        (double)(clock_mono_us() - x->sent_us) / 1e6);
    give_up(x, FAIL_TIMEOUT, 504, "upstream_timeout", text);
}

enum step_result step_stream(struct exchange *x)
{
    (void)x;
    return STEP_WAIT;
}
