/* serve.c: the simulated providers' side: OpenAI's chat completions (streamed or not), embeddings and
 * models on loopback. What is said and when is decided in answer.c; here it is put on the wire. */
#include "proxy/demo/internal.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"

#include <stdio.h>
#include <stdlib.h>

enum { EVENT_MAX = 8 << 10, FIRST_PIECE = 1 };

struct run {
    struct demo *d;
    struct http_request *q;
    struct demo_answer answer;
    unsigned site;
    bool stream, include_usage, began;
    size_t at;                 /* bytes of text (or of tool arguments) said */
    struct loop_timer timer;
    char id[40];
    const char *model;
    int64_t created_s;
};

/* ---- what is asked ---- */

static struct str header_demo(void)
{
    return STR("x-pointsman-demo");
}

static void reply_json(struct http_request *q, int status, struct str body, int64_t retry_after_s,
    const char *id)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)retry_after_s);
    struct http_header headers[4] = {{STR("content-type"), STR("application/json")},
        {header_demo(), STR("1")}, {STR("x-request-id"), str_c(id)},
        {STR("retry-after"), str_c(seconds)}};
    http_reply(q, status, headers, status == 429 || status == 503 ? 4 : 3, body);
}

static void reply_error(struct http_request *q, int status, const char *type, const char *code,
    const char *text, int64_t retry_after_s)
{
    struct buf b;
    buf_init(&b, EVENT_MAX);
    buf_puts(&b, "{\"error\":{\"message\":");
    json_quote(&b, str_c(text));
    buf_printf(&b, ",\"type\":\"%s\",\"param\":null,\"code\":%s%s%s}}", type, *code ? "\"" : "",
        *code ? code : "null", *code ? "\"" : "");
    reply_json(q, status, buf_str(&b), retry_after_s, "demo-error");
    buf_fini(&b);
}

static size_t count_messages(struct json_span list, bool *last_is_tool)
{
    struct json_iter it = json_iter(list.raw);
    struct json_span key, m;
    size_t n = 0;
    while (json_next(&it, &key, &m)) {
        *last_is_tool = json_text_eq(json_get(m.raw, STR("role")), STR("tool"));
        n++;
    }
    return n;
}

static int64_t asked_maximum(struct str body)
{
    int64_t n = 0;
    if (json_i64(json_get(body, STR("max_completion_tokens")), &n) < 0 &&
        json_i64(json_get(body, STR("max_tokens")), &n) < 0)
        return 0;
    return MAX(n, (int64_t)0);
}

/* ---- what is said ---- */

static void put_usage(struct buf *b, const struct demo_answer *a)
{
    buf_printf(b, "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,"
        "\"prompt_tokens_details\":{\"cached_tokens\":%lld},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":%lld}}",
        (long long)a->prompt, (long long)a->output, (long long)(a->prompt + a->output),
        (long long)a->cached, (long long)a->reasoning);
}

static void put_head(struct buf *b, const struct run *x, const char *object)
{
    buf_printf(b,
        "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":\"%s\",\"choices\":[", x->id,
        object, (long long)x->created_s, x->model);
}

static void send_event(struct run *x, struct buf *b)
{
    buf_puts(b, "\n\n");
    if (!b->err)
        http_stream_write(x->q, buf_str(b));
    buf_fini(b);
}

/* One delta; `finish` is NULL until the last. */
static void send_delta(struct run *x, struct str delta, const char *finish)
{
    struct buf b;
    buf_init(&b, EVENT_MAX);
    buf_puts(&b, "data: ");
    put_head(&b, x, "chat.completion.chunk");
    buf_puts(&b, "{\"index\":0,\"delta\":");
    buf_put_str(&b, delta);
    buf_printf(&b, ",\"finish_reason\":%s%s%s}]}", finish ? "\"" : "", finish ? finish : "null",
        finish ? "\"" : "");
    send_event(x, &b);
}

static void send_quoted(struct run *x, const char *before, struct str text, const char *after)
{
    struct buf b;
    buf_init(&b, EVENT_MAX);
    buf_puts(&b, before);
    json_quote(&b, text);
    buf_puts(&b, after);
    send_delta(x, buf_str(&b), NULL);
    buf_fini(&b);
}

static void send_end(struct run *x)
{
    const struct demo_answer *a = &x->answer;
    struct buf b;
    send_delta(x, STR("{}"), a->tool ? "tool_calls" : "stop");
    if (x->include_usage) {
        buf_init(&b, EVENT_MAX);
        buf_puts(&b, "data: ");
        put_head(&b, x, "chat.completion.chunk");
        buf_puts(&b, "],\"usage\":");
        put_usage(&b, a);
        buf_putc(&b, '}');
        send_event(x, &b);
    }
    http_stream_write(x->q, STR("data: [DONE]\n\n"));
    atomic_fetch_add(&x->d->served, 1);
    http_stream_end(x->q, true);
}

static bool send_begin(struct run *x)
{
    struct http_header headers[] = {{STR("content-type"), STR("text/event-stream")},
        {header_demo(), STR("1")}, {STR("x-request-id"), str_c(x->id)},
        {STR("cache-control"), STR("no-cache")}};
    if (http_stream_begin(x->q, 200, headers, ARRAY_LEN(headers), -1) < 0)
        return false;
    send_delta(x, STR("{\"role\":\"assistant\",\"content\":\"\"}"), NULL);
    if (x->answer.tool) {
        struct buf b;
        buf_init(&b, EVENT_MAX);
        buf_printf(&b, "{\"tool_calls\":[{\"index\":0,\"id\":\"call_%.24s\",\"type\":\"function\","
            "\"function\":{\"name\":\"%s\",\"arguments\":\"\"}}]}", x->id + 5, x->answer.tool);
        send_delta(x, buf_str(&b), NULL);
        buf_fini(&b);
    }
    x->began = true;
    return true;
}

/* The next word with its blank, or some bytes of a tool's arguments. */
static struct str next_piece(struct run *x)
{
    struct str all = x->answer.tool ? str_c(x->answer.arguments) : buf_str(&x->answer.text);
    struct str rest = str_from(all, x->at);
    size_t n = x->answer.tool ? 10 : 1;
    while (!x->answer.tool && n < rest.n && rest.p[n] != ' ')
        n++;
    rest = str_first(rest, n);
    x->at += rest.n;
    return rest;
}

static void send_piece(struct run *x)
{
    struct str piece = next_piece(x);
    if (x->answer.tool)
        send_quoted(x, "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":", piece, "}}]}");
    else
        send_quoted(x, "{\"content\":", piece, "}");
}

static size_t total_bytes(const struct run *x)
{
    return x->answer.tool ? strlen(x->answer.arguments) : x->answer.text.n;
}

static void step_later(struct run *x, int64_t us)
{
    struct loop *l = x->d->loop;
    if (loop_timer_set(l, &x->timer, loop_now_us(l) + us) < 0)
        http_stream_end(x->q, false);
}

static void stream_step(void *ctx)
{
    struct run *x = ctx;
    const struct demo_answer *a = &x->answer;
    if (!x->began && !send_begin(x))
        return;
    bool fails = a->end != DEMO_COMPLETE && !a->tool;
    if (fails && x->at >= a->end_after) {
        if (a->end == DEMO_CUT)
            http_stream_end(x->q, false);
        return; /* a stall: nothing comes any more, until somebody loses patience */
    }
    if (x->at >= total_bytes(x)) {
        send_end(x);
        return;
    }
    send_piece(x);
    step_later(x, a->piece_us);
}

static void put_message(struct buf *b, const struct run *x)
{
    const struct demo_answer *a = &x->answer;
    buf_puts(b, "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    if (a->tool) {
        buf_printf(b,
            "null,\"tool_calls\":[{\"id\":\"call_%.24s\",\"type\":\"function\",\"function\":{"
            "\"name\":"
            "\"%s\",\"arguments\":",
            x->id + 5, a->tool);
        json_quote(b, str_c(a->arguments));
        buf_puts(b, "}}]");
    } else {
        json_quote(b, buf_str(&a->text));
    }
    buf_printf(b, "},\"logprobs\":null,\"finish_reason\":\"%s\"}", a->tool ? "tool_calls" : "stop");
}

static void whole_step(void *ctx)
{
    struct run *x = ctx;
    struct buf b;
    buf_init(&b, 256 << 10);
    put_head(&b, x, "chat.completion");
    put_message(&b, x);
    buf_puts(&b, "],\"usage\":");
    put_usage(&b, &x->answer);
    buf_putc(&b, '}');
    atomic_fetch_add(&x->d->served, 1);
    reply_json(x->q, 200, buf_str(&b), 0, x->id);
    buf_fini(&b);
}

static void failure_step(void *ctx)
{
    struct run *x = ctx;
    int status = x->answer.status;
    if (status == 429)
        reply_error(x->q, 429, "requests", "rate_limit_exceeded",
            "Rate limit reached for requests. Please try again in a few seconds.",
            x->answer.retry_after_s);
    else
        reply_error(x->q, status, "server_error", "",
            "The server had an error while processing your request. Sorry about that!", 1);
}

/* ---- requests ---- */

static void answer_chat(struct demo *d, struct http_request *q, unsigned site, struct str body,
    const struct demo_model *model)
{
    struct run *x = calloc(1, sizeof *x);
    if (!x) {
        reply_error(q, 503, "server_error", "", "out of memory", 1);
        return;
    }
    bool last_is_tool = false;
    struct demo_question question = {.site = &demo_sites[site],
        .model = model,
        .prompt_bytes = body.n,
        .messages = (unsigned)count_messages(json_get(body, STR("messages")), &last_is_tool),
        .tools = json_count(json_get(body, STR("tools"))) > 0,
        .max_tokens = asked_maximum(body),
        .in_flight = ++d->in_flight[site],
        .since_start_us = loop_now_us(d->loop) - d->started_us};
    question.last_is_tool_result = last_is_tool;
    demo_answer_make(&question, &d->random, &x->answer);
    x->d = d;
    x->q = q;
    x->site = site;
    x->model = model->name;
    x->stream = json_is_true(json_get(body, STR("stream")));
    x->include_usage = json_is_true(json_path(body, "stream_options.include_usage"));
    x->created_s = clock_wall_ms() / 1000;
    snprintf(x->id, sizeof x->id, "demo-%016llx%016llx",
        (unsigned long long)demo_random_next(&d->random),
        (unsigned long long)demo_random_next(&d->random));
    bool fails = x->answer.status != 200;
    x->timer = (struct loop_timer){.fn = fails       ? failure_step
                                         : x->stream ? stream_step
                                                     : whole_step,
        .ctx = x};
    q->user = x;
    int64_t all_us = x->answer.piece_us * (int64_t)(total_bytes(x) / 6 + FIRST_PIECE);
    step_later(x, x->answer.wait_us + (fails || x->stream ? 0 : all_us));
}

static void answer_embeddings(struct http_request *q, struct str body)
{
    struct buf b;
    uint64_t seed = str_hash(body);
    struct demo_random r = {seed};
    buf_init(&b, 64 << 10);
    buf_puts(&b, "{\"object\":\"list\",\"model\":\"quill-embed\",\"data\":[{\"object\":"
                 "\"embedding\",\"index\":0,"
                 "\"embedding\":[");
    for (int i = 0; i < 256; i++)
        buf_printf(&b, "%s%.6f", i ? "," : "", demo_random_unit(&r) - 0.5);
    buf_printf(&b, "]}],\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", body.n / 4 + 1,
        body.n / 4 + 1);
    reply_json(q, 200, buf_str(&b), 0, "demo-embedding");
    buf_fini(&b);
}

static void answer_models(struct http_request *q, const struct demo_site *s)
{
    struct str rest = str_c(s->models), one;
    struct buf b;
    buf_init(&b, EVENT_MAX);
    buf_puts(&b, "{\"object\":\"list\",\"data\":[");
    for (bool first = true; str_cut(&rest, ' ', &one); first = false)
        buf_printf(&b,
            "%s{\"id\":\"" STR_FMT
            "\",\"object\":\"model\",\"created\":1767225600,\"owned_by\":\"demo\"}",
            first ? "" : ",", STR_ARG(one));
    buf_puts(&b, "]}");
    reply_json(q, 200, buf_str(&b), 0, "demo-models");
    buf_fini(&b);
}

static void dispatch(struct demo *d, struct http_request *q, unsigned site, struct str path)
{
    struct str body = buf_str(&q->body);
    if (str_eq(path, STR("/models"))) {
        answer_models(q, &demo_sites[site]);
        return;
    }
    bool chat = str_eq(path, STR("/chat/completions"));
    if (!chat && !str_eq(path, STR("/embeddings"))) {
        reply_error(q, 404, "invalid_request_error", "",
            "The demo provider speaks chat completions, "
            "embeddings and models.",
            0);
        return;
    }
    struct str name = json_get_str(body, STR("model"), q->arena);
    const struct demo_model *model = demo_model_find(name);
    if (!model || !demo_site_serves(&demo_sites[site], name))
        reply_error(q, 404, "invalid_request_error", "model_not_found",
            "The demo provider has no model of this name.", 0);
    else if (chat)
        answer_chat(d, q, site, body, model);
    else
        answer_embeddings(q, body);
}

static void on_head(void *ctx, struct http_request *q)
{
    (void)ctx;
    q->user = NULL;
}

static void on_body(void *ctx, struct http_request *q)
{
    struct demo *d = ctx;
    for (unsigned i = (unsigned)demo_site_total; i-- > 0;) {
        struct str prefix = str_c(demo_sites[i].prefix);
        if (str_starts(q->path, prefix)) {
            dispatch(d, q, i, str_from(q->path, prefix.n));
            return;
        }
    }
    reply_error(q, 404, "invalid_request_error", "", "Nothing lives at this path.", 0);
}

static void stop_timer(struct http_request *q)
{
    struct run *x = q->user;
    if (x)
        loop_timer_stop(x->d->loop, &x->timer);
}

static void on_hangup(void *ctx, struct http_request *q)
{
    (void)ctx;
    stop_timer(q);
}

static void on_drained(void *ctx, struct http_request *q)
{
    (void)ctx, (void)q; /* an answer is small: nothing waits for room */
}

static void on_closed(void *ctx, struct http_request *q, bool clean)
{
    struct demo *d = ctx;
    struct run *x = q->user;
    (void)clean;
    if (!x)
        return;
    stop_timer(q);
    d->in_flight[x->site]--;
    demo_answer_fini(&x->answer);
    free(x);
    q->user = NULL;
}

static void on_refused(void *ctx, struct str peer, int status, const char *reason)
{
    (void)ctx, (void)peer, (void)status, (void)reason; /* the gateway sees the answer */
}

static void error_body(void *ctx, struct str path, int status, const char *reason, struct buf *out)
{
    (void)ctx, (void)path, (void)status;
    buf_puts(out, "{\"error\":{\"message\":");
    json_quote(out, str_c(reason));
    buf_puts(out, ",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}");
}

const struct http_events demo_events = {.head = on_head, .body = on_body, .hangup = on_hangup,
    .drained = on_drained, .closed = on_closed, .refused = on_refused, .error_body = error_body};
