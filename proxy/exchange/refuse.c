/* refuse.c: what we say ourselves when a request can't be served: in the caller's dialect, with what
 * to do, and with the headers that official clients read. */
#include "proxy/exchange/exchange.h"

#include "proxy/event/event.h"
#include "proxy/worker.h"
#include "store/base/secret.h"

#include <stdarg.h>
#include <stdio.h>

static void reply_error(struct exchange *x, int status, const char *code, const char *message,
    int64_t retry_ms)
{
    struct buf body;
    buf_init(&body, 64 << 10);
    struct dialect_error error = {
        .status = status,
        .code = str_c(code),
        .message = str_c(message),
        .request_id = str_c(x->id),
        .retry_after_ms = MAX(retry_ms, (int64_t)0), /* Google's clients read it there */
    };
    dialect_write_error(x->ep.dialect, &error, &body);
    struct http_header headers[8];
    size_t n = 0;
    char retry[24], retry_more[24], attempts[12];
    headers[n++] = (struct http_header){STR("content-type"), STR("application/json")};
    headers[n++] = (struct http_header){STR("x-request-id"), str_c(x->id)};
    if (x->attempt_count) {
        snprintf(attempts, sizeof attempts, "%u", x->attempt_count);
        headers[n++] = (struct http_header){STR("x-pointsman-attempts"), str_c(attempts)};
    }
    if (x->plan.route_name.n)
        headers[n++] = (struct http_header){STR("x-pointsman-route"), x->plan.route_name};
    if (retry_ms >= 0) {
        snprintf(retry, sizeof retry, "%lld", (long long)((retry_ms + 999) / 1000));
        snprintf(retry_more, sizeof retry_more, "%lld", (long long)retry_ms);
        headers[n++] = (struct http_header){STR("retry-after"), str_c(retry)};
        headers[n++] = (struct http_header){STR("retry-after-ms"), str_c(retry_more)};
    }
    if (status == 429 && retry_ms < 0) /* the SDKs of OpenAI and Anthropic try again without it */
        headers[n++] = (struct http_header){STR("x-should-retry"), STR("false")};
    if (status == 405 && x->ep.allow)
        headers[n++] = (struct http_header){STR("allow"), str_c(x->ep.allow)};
    x->status = status;
    x->response_bytes = (int64_t)body.n;
    x->replied = true;
    if (x->q)
        http_reply(x->q, status, headers, n, buf_str(&body));
    buf_fini(&body);
}

static void remember(struct exchange *x, const char *code, const char *message)
{
    str_copy(x->error_code, sizeof x->error_code, str_c(code));
    str_copy(x->error_message, sizeof x->error_message, str_c(message));
}

enum step_result exchange_refuse(struct exchange *x, int status, const char *code, int64_t retry_ms,
    const char *fmt, ...)
{
    char message[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    secret_redact_cut(message, sizeof message);
    remember(x, code, message);
    x->outcome = OUTCOME_REFUSED;
    counter_add(COUNTER_requests_refused, 1);
    event_refused(x->peer, status, str_c(message));
    /* The record first: the answer's last byte must not leave before it. */
    x->status = status;
    settle(x);
    reply_error(x, status, code, message, retry_ms);
    exchange_enter(x, STEP_SETTLE);
    return STEP_NEXT;
}

void exchange_fail(struct exchange *x, int status, const char *code, const char *message)
{
    char safe[400];
    bool theirs = x->outcome != OUTCOME_CANCELLED && x->outcome != OUTCOME_REFUSED;
    if (x->target && x->attempt_count && theirs) /* whose failure it was */
        snprintf(safe, sizeof safe, STR_FMT ": %s", STR_ARG(str_first(x->target->provider->name, 64)),
            message);
    else
        str_copy(safe, sizeof safe, str_c(message));
    secret_redact_cut(safe, sizeof safe);
    capture_cover_login(x, safe, strlen(safe));
    remember(x, code, safe);
    if (x->outcome == OUTCOME_NONE)
        x->outcome = OUTCOME_UPSTREAM_ERROR;
    if (x->begun) {
        stream_abort(x, status, code, safe);
    } else {
        x->status = status;
        settle(x);
        reply_error(x, status, code, safe, -1);
    }
    exchange_enter(x, STEP_SETTLE);
    exchange_run(x);
}
