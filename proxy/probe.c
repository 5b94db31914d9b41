/* probe.c: see probe.h. Two hops: a message to the worker, and one back with the answer. */
#include "proxy/probe.h"

#include "proxy/worker.h"
#include "store/base/clock.h"

#include <stdlib.h>

enum { BODY_MAX = 8 << 20, LIMIT_US = 15 * 1000000 };

struct probe {
    struct loop_message message;
    struct worker *worker;
    struct loop *back;
    probe_done *done;
    void *arg;
    struct snapshot *snapshot;
    const struct provider *provider;
    struct upstream_call *call;
    struct loop_timer limit;
    struct arena arena;
    struct buf body;
    int64_t started_us, total_us;
    int status;
    char error[200];
};

static void deliver(struct loop_message *m)
{
    struct probe *p = CONTAINER_OF(m, struct probe, message);
    p->done(p->arg, p->status, p->total_us, buf_str(&p->body), str_c(p->error));
    snapshot_put(p->snapshot);
    buf_fini(&p->body);
    arena_fini(&p->arena);
    free(p);
}

static void finish(struct probe *p)
{
    loop_timer_stop(p->worker->loop, &p->limit);
    p->total_us = clock_mono_us() - p->started_us;
    p->message.fn = deliver;
    loop_post(p->back, &p->message);
}

static void on_head(void *ctx, int status, const struct http_header *headers, size_t n)
{
    struct probe *p = ctx;
    (void)headers;
    (void)n;
    p->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    struct probe *p = ctx;
    buf_put_str(&p->body, bytes);
}

static void on_done(void *ctx, const struct upstream_result *r)
{
    struct probe *p = ctx;
    if (r->end != UPSTREAM_OK) {
        p->status = 0;
        str_copy(p->error, sizeof p->error, str_c(r->reason));
    }
    finish(p);
}

static void on_limit(void *ctx)
{
    struct probe *p = ctx;
    upstream_cancel(p->call);
    p->status = 0;
    str_copy(p->error, sizeof p->error, STR("no answer within 15 s"));
    finish(p);
}

static struct str list_url(struct probe *p)
{
    const char *path = "/models";
    if (p->provider->dialect == DIALECT_ANTHROPIC &&
        !str_ends(p->provider->base_url, STR("/v1")))
        path = "/v1/models";
    else if (p->provider->dialect == DIALECT_GEMINI)
        path = "/v1beta/models?pageSize=1000";
    return arena_printf(&p->arena, STR_FMT "%s", STR_ARG(p->provider->base_url), path);
}

static size_t login(struct probe *p, struct http_header *h)
{
    size_t n = 0;
    h[n++] = (struct http_header){STR("accept-encoding"), STR("identity")};
    if (p->provider->key_count == 0)
        return n;
    struct str secret = p->provider->keys[0].secret;
    if (p->provider->dialect == DIALECT_ANTHROPIC) {
        h[n++] = (struct http_header){STR("x-api-key"), secret};
        h[n++] = (struct http_header){STR("anthropic-version"), STR("2023-06-01")};
    } else if (p->provider->dialect == DIALECT_GEMINI) {
        h[n++] = (struct http_header){STR("x-goog-api-key"), secret};
    } else {
        h[n++] = (struct http_header){STR("authorization"),
            arena_printf(&p->arena, "Bearer " STR_FMT, STR_ARG(secret))};
    }
    return n;
}

static const struct upstream_events events = {on_head, on_data, on_done};

static void start_on_worker(struct loop_message *m)
{
    struct probe *p = CONTAINER_OF(m, struct probe, message);
    struct http_header headers[4];
    struct err e = {0};
    struct upstream_request request = {
        .method = STR("GET"),
        .url = list_url(p),
        .headers = headers,
        .header_count = login(p, headers),
        .connect_timeout_us = p->provider->timeouts.connect,
        .http2 = p->provider->http2,
        .allow_private = p->provider->allow_private,
        .proxy = p->provider->proxy,
        .ca_file = p->provider->ca_file,
    };
    p->started_us = clock_mono_us();
    p->limit.fn = on_limit;
    p->limit.ctx = p;
    if (upstream_start(p->worker->upstream, &request, &events, p, &p->call, &e) < 0) {
        str_copy(p->error, sizeof p->error, str_c(e.text));
        finish(p);
    } else if (loop_timer_set(p->worker->loop, &p->limit, p->started_us + LIMIT_US) < 0) {
        on_limit(p);
    }
}

int probe_start(struct worker *w, struct str provider, struct loop *back, probe_done *done,
    void *arg)
{
    struct probe *p = calloc(1, sizeof *p);
    if (!p)
        return -ERR_NOMEM;
    *p = (struct probe){.worker = w, .back = back, .done = done, .arg = arg,
        .snapshot = snapshot_current()};
    arena_init(&p->arena, 1024, 1 << 20);
    buf_init(&p->body, BODY_MAX);
    const struct config *c = p->snapshot->config;
    for (size_t i = 0; i < c->provider_count; i++)
        if (str_eq(c->providers[i].name, provider))
            p->provider = &c->providers[i];
    if (!p->provider) {
        snapshot_put(p->snapshot);
        free(p);
        return -ERR_NOT_FOUND;
    }
    p->message.fn = start_on_worker;
    loop_post(w->loop, &p->message);
    return 0;
}
