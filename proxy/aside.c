/* aside.c: see aside.h. Two hops: a message to the worker, and one back with the answer. */
#include "proxy/aside.h"

#include "proxy/worker.h"
#include "store/base/arena.h"
#include "store/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

enum { BODY_MAX = 8 << 20, ARENA_MAX = 1 << 20 };

struct aside_call {
    struct loop_message message;
    struct asides *all;
    struct aside_call *prev, *next;
    struct worker *worker;
    struct loop *back;
    aside_done *done;
    void *arg;
    struct aside what; /* its texts in the arena */
    struct upstream_call *call;
    struct loop_timer limit;
    struct arena arena;
    struct buf body;
    int64_t started_us, total_us;
    int status;
    char error[200];
};

static void end(struct aside_call *a)
{
    DL_DELETE(a->all->first, a);
    a->done(a->arg, a->status, a->total_us, buf_str(&a->body), str_c(a->error));
    buf_fini(&a->body);
    arena_fini(&a->arena);
    free(a);
}

static void deliver(struct loop_message *m)
{
    end(CONTAINER_OF(m, struct aside_call, message));
}

static void finish(struct aside_call *a)
{
    loop_timer_stop(a->worker->loop, &a->limit);
    a->call = NULL;
    a->total_us = clock_mono_us() - a->started_us;
    a->message.fn = deliver;
    loop_post(a->back, &a->message);
}

static void fail(struct aside_call *a, struct str why)
{
    a->status = 0;
    str_copy(a->error, sizeof a->error, why);
}

static void on_head(void *ctx, int status, const struct http_header *headers, size_t n)
{
    (void)headers, (void)n;
    ((struct aside_call *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_put_str(&((struct aside_call *)ctx)->body, bytes); /* past its ceiling it keeps no more */
}

static void on_done(void *ctx, const struct upstream_result *r)
{
    struct aside_call *a = ctx;
    if (r->end != UPSTREAM_OK)
        fail(a, str_c(r->reason));
    finish(a);
}

static void on_limit(void *ctx)
{
    struct aside_call *a = ctx;
    char text[60];
    upstream_cancel(a->call);
    snprintf(text, sizeof text, "no answer within %lld s", (long long)a->what.limit_us / 1000000);
    fail(a, str_c(text));
    finish(a);
}

static void start_on_worker(struct loop_message *m)
{
    static const struct upstream_events events = {on_head, on_data, on_done};
    struct aside_call *a = CONTAINER_OF(m, struct aside_call, message);
    struct err e = {0};
    struct upstream_request request = {
        .method = a->what.method,
        .url = a->what.url,
        .headers = a->what.headers,
        .header_count = a->what.header_count,
        .body = &a->what.json,
        .body_count = a->what.json.n > 0,
        .connect_timeout_us = a->what.connect_timeout_us,
        .http2 = a->what.http2,
        .allow_private = a->what.allow_private,
        .proxy = a->what.proxy,
        .ca_file = a->what.ca_file,
    };
    a->started_us = clock_mono_us();
    if (upstream_start(a->worker->upstream, &request, &events, a, &a->call, &e) < 0) {
        fail(a, str_c(e.text));
        finish(a);
    } else if (loop_timer_set(a->worker->loop, &a->limit, a->started_us + a->what.limit_us) < 0) {
        on_limit(a);
    }
}

static bool copy_what(struct aside_call *a, const struct aside *what)
{
    struct http_header *headers =
        arena_alloc(&a->arena, (what->header_count + 1) * sizeof *headers);
    for (size_t i = 0; headers && i < what->header_count; i++) {
        headers[i].name = arena_str(&a->arena, what->headers[i].name);
        headers[i].value = arena_str(&a->arena, what->headers[i].value);
    }
    a->what = *what;
    a->what.headers = headers;
    a->what.method = arena_str(&a->arena, what->method);
    a->what.url = arena_str(&a->arena, what->url);
    a->what.json = arena_str(&a->arena, what->json);
    a->what.proxy = what->proxy ? arena_c(&a->arena, str_c(what->proxy)) : NULL;
    a->what.ca_file = what->ca_file ? arena_c(&a->arena, str_c(what->ca_file)) : NULL;
    return headers && a->what.url.p;
}

int aside_start(struct asides *all, struct worker *w, const struct aside *what, struct loop *back,
    aside_done *done, void *arg)
{
    struct aside_call *a = calloc(1, sizeof *a);
    if (!a)
        return -ERR_NOMEM;
    *a = (struct aside_call){.message.fn = start_on_worker, .all = all, .worker = w, .back = back,
        .done = done, .arg = arg, .limit = {.fn = on_limit, .ctx = a}};
    arena_init(&a->arena, 1024, ARENA_MAX);
    buf_init(&a->body, BODY_MAX);
    if (!copy_what(a, what)) {
        arena_fini(&a->arena);
        free(a);
        return -ERR_NOMEM;
    }
    DL_APPEND(all->first, a);
    loop_post(w->loop, &a->message);
    return 0;
}

void aside_end_all(struct asides *all)
{
    while (all->first) {
        loop_timer_stop(all->first->worker->loop, &all->first->limit);
        if (all->first->call)
            upstream_cancel(all->first->call);
        fail(all->first, STR("the gateway is stopping"));
        end(all->first);
    }
}
