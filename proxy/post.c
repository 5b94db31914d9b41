/* post.c: see post.h. Two hops, as in probe.c: a message to the worker, one back with the answer. The
 * address stands in the configuration, so a private one is meant. */
#include "proxy/post.h"

#include "proxy/worker.h"
#include "store/base/clock.h"

#include <stdlib.h>

enum { LIMIT_US = 15 * 1000000, CONNECT_US = 5 * 1000000 };

struct post {
    struct loop_message message;
    struct worker *worker;
    struct loop *back;
    post_done *done;
    void *arg;
    char *url, *json;
    struct str body; /* the one piece that is sent: json */
    struct upstream_call *call;
    struct loop_timer limit;
    int status;
    char error[200];
};

static void post_free(struct post *p)
{
    free(p->url);
    free(p->json);
    free(p);
}

static void deliver(struct loop_message *m)
{
    struct post *p = CONTAINER_OF(m, struct post, message);
    p->done(p->arg, p->status, str_c(p->error));
    post_free(p);
}

static void finish(struct post *p)
{
    loop_timer_stop(p->worker->loop, &p->limit);
    p->message.fn = deliver;
    loop_post(p->back, &p->message);
}

static void on_head(void *ctx, int status, const struct http_header *headers, size_t n)
{
    (void)headers, (void)n;
    ((struct post *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    (void)ctx, (void)bytes; /* what it says is nobody's matter; the limit ends an endless one */
}

static void on_done(void *ctx, const struct upstream_result *r)
{
    struct post *p = ctx;
    if (r->end != UPSTREAM_OK) {
        p->status = 0;
        str_copy(p->error, sizeof p->error, str_c(r->reason));
    }
    finish(p);
}

static void on_limit(void *ctx)
{
    struct post *p = ctx;
    upstream_cancel(p->call);
    p->status = 0;
    str_copy(p->error, sizeof p->error, STR("no answer within 15 s"));
    finish(p);
}

static void start_on_worker(struct loop_message *m)
{
    static const struct upstream_events events = {on_head, on_data, on_done};
    struct post *p = CONTAINER_OF(m, struct post, message);
    struct http_header headers[] = {{STR("content-type"), STR("application/json")},
        {STR("accept-encoding"), STR("identity")}};
    struct err e = {0};
    struct upstream_request request = {
        .method = STR("POST"),
        .url = str_c(p->url),
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = &p->body,
        .body_count = 1,
        .connect_timeout_us = CONNECT_US,
        .allow_private = true,
    };
    p->limit.fn = on_limit;
    p->limit.ctx = p;
    if (upstream_start(p->worker->upstream, &request, &events, p, &p->call, &e) < 0) {
        str_copy(p->error, sizeof p->error, str_c(e.text));
        finish(p);
    } else if (loop_timer_set(p->worker->loop, &p->limit, clock_mono_us() + LIMIT_US) < 0) {
        on_limit(p);
    }
}

int post_start(struct worker *w, struct str url, struct str json, struct loop *back,
    post_done *done, void *arg)
{
    struct post *p = calloc(1, sizeof *p);
    if (!p)
        return -ERR_NOMEM;
    *p = (struct post){.message.fn = start_on_worker, .worker = w, .back = back, .done = done,
        .arg = arg, .url = str_dup(url), .json = str_dup(json)};
    if (!p->url || !p->json) {
        post_free(p);
        return -ERR_NOMEM;
    }
    p->body = str_c(p->json);
    loop_post(w->loop, &p->message);
    return 0;
}
