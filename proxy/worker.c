/* worker.c: see worker.h. */
#include "proxy/worker.h"

#include "proxy/access/key.h"
#include "proxy/event/event.h"
#include "proxy/event/watch.h"
#include "proxy/exchange/exchange.h"
#include "store/base/log.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SHARDS = 16,              /* daemons, and multis: HOUSE of the libraries' linear lists */
    MULTI_FILL = 256,         /* live transfers a multi takes before the next one is used */
    ANSWER_HEAD = 64 << 10,
    DRAIN_LOOK_US = 10000,
    DECODED_RATIO = 100,
    DECODED_BYTES = 64 << 20,
};

struct snapshot *worker_snapshot(struct worker *w)
{
    if (snapshot_generation() != w->snapshot_generation) {
        struct snapshot *newest = snapshot_current();
        if (w->snapshot)
            snapshot_put(w->snapshot);
        w->snapshot = newest;
        w->snapshot_generation = newest->generation;
    }
    return snapshot_get(w->snapshot);
}

struct exchange *worker_find(struct worker *w, struct str id)
{
    for (struct exchange *x = w->live; x; x = x->next)
        if (str_eq(str_c(x->id), id))
            return x;
    return NULL;
}

bool memory_charge(struct shared *s, int64_t bytes)
{
    if (atomic_fetch_add_explicit(&s->memory_used, bytes, memory_order_relaxed) + bytes <=
        s->memory_limit)
        return true;
    atomic_fetch_sub_explicit(&s->memory_used, bytes, memory_order_relaxed);
    return false;
}

void memory_release(struct shared *s, int64_t bytes)
{
    if (bytes)
        atomic_fetch_sub_explicit(&s->memory_used, bytes, memory_order_relaxed);
}

/* --- http's callbacks -------------------------------------------------------------------------- */

static void on_head(void *ctx, struct http_request *q)
{
    exchange_head(ctx, q);
}

static void on_body(void *ctx, struct http_request *q)
{
    exchange_body(ctx, q);
}

static void on_hangup(void *ctx, struct http_request *q)
{
    exchange_hangup(ctx, q);
}

static void on_drained(void *ctx, struct http_request *q)
{
    exchange_drained(ctx, q);
}

static void on_closed(void *ctx, struct http_request *q, bool clean)
{
    exchange_closed(ctx, q, clean);
}

static void on_refused(void *ctx, struct str peer, int status, const char *reason)
{
    (void)ctx;
    counter_add(COUNTER_requests_refused, 1);
    event_refused(peer, status, str_c(reason));
}

/* The gate refuses before anything was read: the path alone tells the dialect. */
static void on_error_body(void *ctx, struct str path, int status, const char *reason,
    struct buf *out)
{
    (void)ctx;
    enum dialect d = DIALECT_OPENAI;
    if (str_find(path, STR("/messages")) >= 0)
        d = DIALECT_ANTHROPIC;
    else if (str_find(path, STR("Content")) >= 0 || str_find(path, STR("/v1beta/")) >= 0)
        d = DIALECT_GEMINI;
    struct dialect_error error = {.status = status, .code = STR("bad_request"),
        .message = str_c(reason)};
    dialect_write_error(d, &error, out);
}

/* A proxy in front brings everybody's connections from one address. */
static bool on_peer_exempt(void *ctx, const struct sockaddr *peer)
{
    struct worker *w = ctx;
    const struct config *config = w->snapshot->config;
    char text[INET6_ADDRSTRLEN] = "";
    if (peer->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, text,
            sizeof text);
    else if (peer->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, text,
            sizeof text);
    for (size_t i = 0; i < config->trusted_proxy_count; i++)
        if (address_in_network(str_c(text), config->trusted_proxies[i]))
            return true;
    return false;
}

static const struct http_events http_callbacks = {
    .head = on_head,
    .body = on_body,
    .hangup = on_hangup,
    .drained = on_drained,
    .closed = on_closed,
    .refused = on_refused,
    .error_body = on_error_body,
    .peer_exempt = on_peer_exempt,
};

/* --- building and taking down ------------------------------------------------------------------ */

/* Two descriptors a request, and some kept for files: what the process may open bounds the rest. */
static size_t connection_cap(const struct config *config, unsigned workers)
{
    long files = sysconf(_SC_OPEN_MAX);
    size_t most = files > 192 ? ((size_t)files - 128) / 2 : 32;
    size_t asked = config->limits.connections > 0 ? (size_t)config->limits.connections : most;
    size_t each = MIN(asked, most) / MAX(workers, 1u);
    return MAX(each, (size_t)8);
}

static int make_http(struct worker *w, int listen_fd, unsigned workers, struct err *e)
{
    const struct config *config = w->snapshot->config;
    struct http_config http = {
        .request_bytes = (size_t)config->limits.request_bytes,
        .header_bytes = (size_t)config->limits.header_bytes,
        .connections = connection_cap(config, workers),
        .peer_connections = (unsigned)config->limits.peer_connections,
        .shards = SHARDS,
        .head_deadline_us = 10 * 1000000LL,
        .body_idle_us = 60 * 1000000LL,
        .write_stall_us = 60 * 1000000LL,
        .body_bytes_per_s = 16 << 10,
        .high_water = STREAM_HIGH_WATER,
        .low_water = STREAM_LOW_WATER,
        .ask_peer_uid = !str_eq(config->open_to, STR("any")),
        .check_host = true,
        .hosts = config->allow_hosts,
        .host_count = config->allow_host_count,
        .origins = config->allow_origins,
        .origin_count = config->allow_origin_count,
        .memory_used = &w->shared->memory_used,
        .memory_limit = w->shared->memory_limit,
    };
    int rc = http_server_new(&w->http, w->loop, &http, &http_callbacks, w, e);
    return rc < 0 ? rc : http_server_listen(w->http, listen_fd, e);
}

static void on_slow_turn(void *ctx, int64_t took_us)
{
    _Atomic int64_t *longest_us = &((struct shared *)ctx)->longest_turn_us;
    int64_t before = atomic_load_explicit(longest_us, memory_order_relaxed);
    counter_add(COUNTER_slow_turns, took_us > LOOP_SLOW_US);
    while (before < took_us && !atomic_compare_exchange_weak_explicit(longest_us, &before, took_us,
        memory_order_relaxed, memory_order_relaxed))
        ;
}

int worker_new(struct worker **out, unsigned index, unsigned workers, struct shared *shared,
    struct spool *spool, int listen_fd, struct err *e)
{
    static const struct upstream_config upstream = {.shards = SHARDS, .fill = MULTI_FILL,
        .answer_head_bytes = ANSWER_HEAD, .decoded_ratio = DECODED_RATIO,
        .decoded_bytes = DECODED_BYTES};
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "out of memory");
    w->index = index;
    w->shared = shared;
    w->spool = spool;
    w->snapshot = snapshot_current();
    w->snapshot_generation = w->snapshot->generation;
    id_source_init(&w->ids);
    int rc = loop_new(&w->loop, e);
    if (rc == 0)
        loop_on_slow(w->loop, on_slow_turn, shared);
    if (rc == 0)
        rc = make_http(w, listen_fd, workers, e);
    if (rc == 0)
        rc = upstream_new(&w->upstream, w->loop, &upstream, e);
    if (rc < 0) {
        worker_free(w);
        return rc;
    }
    *out = w;
    return 0;
}

void *worker_run(void *worker)
{
    struct worker *w = worker;
    upstream_thread_begin();
    loop_run(w->loop);
    upstream_thread_end();
    return NULL;
}

void worker_settle(struct worker *w)
{
    for (struct exchange *x = w->live; x; x = x->next)
        exchange_shutdown(x);
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    if (w->http)
        http_server_free(w->http);
    if (w->upstream)
        upstream_free(w->upstream);
    for (struct exchange *x = w->live, *next; x; x = next) {
        next = x->next;
        if (!x->ending) /* else loop_free() does */
            exchange_destroy(x);
    }
    if (w->loop)
        loop_free(w->loop);
    exchange_free_spare(w);
    if (w->snapshot)
        snapshot_put(w->snapshot);
    free(w);
}

/* --- from other threads ------------------------------------------------------------------------ */

struct order {
    struct loop_message message;
    struct worker *worker;
    char id[ID_LENGTH + 1];
    char who[64];
    struct watch *watch;
};

static void do_cancel(struct loop_message *m)
{
    struct order *o = CONTAINER_OF(m, struct order, message);
    struct exchange *x = worker_find(o->worker, str_c(o->id));
    if (x)
        exchange_cancel(x, o->who);
    free(o);
}

static void do_watch(struct loop_message *m)
{
    struct order *o = CONTAINER_OF(m, struct order, message);
    struct exchange *x = worker_find(o->worker, str_c(o->id));
    if (x)
        exchange_watch(x, o->watch);
    else
        watch_end(o->watch);
    free(o);
}

static void look_drained(void *ctx)
{
    struct worker *w = ctx;
    w->drain_look = (struct loop_timer){.fn = look_drained, .ctx = w};
    if (http_server_drained(w->http) ||
        loop_timer_set(w->loop, &w->drain_look, loop_now_us(w->loop) + DRAIN_LOOK_US) < 0)
        w->drained = true;
}

static void do_drain(struct loop_message *m)
{
    struct order *o = CONTAINER_OF(m, struct order, message);
    http_server_drain(o->worker->http);
    look_drained(o->worker);
    free(o);
}

/* Without memory the order is not given: the caller says so. */
static bool give_order(struct worker *w, void (*fn)(struct loop_message *), struct str id,
    const char *who, struct watch *watch)
{
    struct order *o = calloc(1, sizeof *o);
    if (!o)
        return false;
    o->message.fn = fn;
    o->worker = w;
    o->watch = watch;
    str_copy(o->id, sizeof o->id, id);
    str_copy(o->who, sizeof o->who, str_c(who));
    loop_post(w->loop, &o->message);
    return true;
}

void worker_cancel(struct worker *w, struct str id, const char *who)
{
    give_order(w, do_cancel, id, who, NULL);
}

bool worker_watch(struct worker *w, struct str id, struct watch *watch)
{
    return give_order(w, do_watch, id, "", watch);
}

void worker_drain(struct worker *w)
{
    if (!give_order(w, do_drain, STR_NULL, "", NULL))
        w->drained = true;
}

bool worker_drained(const struct worker *w)
{
    return atomic_load(&w->drained) && worker_live(w) == 0;
}

void worker_stop(struct worker *w)
{
    loop_stop(w->loop);
}

size_t worker_live(const struct worker *w)
{
    return atomic_load_explicit(&w->live_count, memory_order_relaxed);
}
