/* demo.c: starting and stopping the simulated providers, and the configuration that shows them. */
#include "proxy/demo/internal.h"
#include "store/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

const struct demo_key demo_keys[] = {
    {"alice", "demo-key-of-alice", "team: web, tags: { env: dev }, budget: { day: $20 }"},
    {"bob", "demo-key-of-bob-0",
        "team: web, tags: { env: dev }, budget: { day: $2, week: $8 }, rpm: 60"},
    {"ci-bot", "demo-key-of-ci-bot",
        "team: ci, tags: { env: prod }, models: [fast, cheap, demo/pebble], "
        "budget: { hour: $0.05, total: $50 }, concurrent: 4"},
    {"search", "demo-key-of-search",
        "team: data, tags: { env: prod }, models: [cheap, \"demo/*\"], budget: { month: $30 }, "
        "tpm: 400k"},
};
const size_t demo_key_total = ARRAY_LEN(demo_keys);

static void *serve(void *ctx)
{
    struct demo *d = ctx;
    pthread_setname_np(pthread_self(), "pm-demo");
    loop_run(d->loop);
    return NULL;
}

static int listen_somewhere(struct demo *d, struct err *e)
{
    static const struct http_config config = {.request_bytes = 8 << 20, .header_bytes = 16 << 10,
        .connections = 512, .shards = 1, .head_deadline_us = 10000000, .body_idle_us = 30000000,
        .write_stall_us = 60000000, .body_bytes_per_s = 1024, .high_water = 1 << 20,
        .low_water = 512 << 10, .check_host = true};
    int rc = loop_new(&d->loop, e);
    if (rc == 0)
        rc = http_server_new(&d->server, d->loop, &config, &demo_events, d, e);
    int fd = rc == 0 ? http_listen_tcp(STR("127.0.0.1:0"), false, &d->port, e) : rc;
    return fd < 0 ? fd : http_server_listen(d->server, fd, e);
}

static void release(struct demo *d)
{
    if (d->server)
        http_server_free(d->server);
    if (d->loop)
        loop_free(d->loop);
    free(d);
}

int demo_start(struct demo **out, uint64_t seed, struct err *e)
{
    struct demo *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "out of memory");
    d->seed = seed;
    d->random.state = seed;
    d->started_us = clock_mono_us();
    struct str rest = str_c(demo_sites[0].models);
    while (d->model_count < ARRAY_LEN(d->models) && str_cut(&rest, ' ', &d->models[d->model_count]))
        d->model_count++;
    int rc = listen_somewhere(d, e);
    if (rc == 0 && pthread_create(&d->thread, NULL, serve, d) != 0)
        rc = err_set(e, ERR_NOMEM, "can't start the demo's thread");
    if (rc < 0) {
        release(d);
        return rc;
    }
    snprintf(d->base_url, sizeof d->base_url, "http://127.0.0.1:%d/v1", d->port);
    *out = d;
    return 0;
}

void demo_stop(struct demo *d)
{
    if (!d)
        return;
    demo_load_stop(d->load);
    loop_stop(d->loop);
    pthread_join(d->thread, NULL);
    release(d);
}

const char *demo_base_url(const struct demo *d)
{
    return d->base_url;
}

const struct str *demo_models(const struct demo *d, size_t *n)
{
    *n = d->model_count;
    return d->models;
}

struct demo_counts demo_counts(const struct demo *d)
{
    struct demo_counts c = {0};
    if (d->load)
        c = demo_load_counts(d->load);
    c.served = d->served;
    return c;
}

static void put_providers(const struct demo *d, struct buf *yaml)
{
    buf_puts(yaml, "providers:\n");
    for (size_t i = 0; i < demo_site_total; i++) {
        const struct demo_site *s = &demo_sites[i];
        struct str rest = str_c(s->models), one;
        buf_printf(yaml, "  %s:\n    base_url: http://127.0.0.1:%d%s\n    models: [", s->provider,
            d->port, s->prefix);
        for (bool first = true; str_cut(&rest, ' ', &one); first = false)
            buf_printf(yaml, "%s" STR_FMT, first ? "" : ", ", STR_ARG(one));
        buf_puts(yaml, "]\n    timeouts: { headers: 20s, first_token: 20s, idle: 8s }\n");
        if (s->most_at_once)
            buf_puts(yaml, "    max_concurrent: 4\n    max_wait: 5s\n");
    }
}

/* "demo/atlas": { input: … }, as YAML or JSON. */
static void put_price(struct buf *out, const struct demo_site *site, const struct demo_model *m)
{
    buf_printf(out,
        "\"%s/%s\": {\"input\": \"%s\", \"output\": \"%s\", \"cached\": \"%s\", \"context\": %lld}",
        site->provider, m->name, m->input, m->output, m->cached, (long long)m->context);
}

static void put_prices(
    struct buf *out, const struct demo_site *site, const char *before, const char *after)
{
    for (size_t m = 0; m < demo_model_total; m++) {
        if (!demo_site_serves(site, str_c(demo_model_table[m].name)))
            continue;
        buf_puts(out, before);
        put_price(out, site, &demo_model_table[m]);
        buf_puts(out, after);
    }
}

void demo_prices(const struct demo *d, struct buf *json)
{
    (void)d; /* the first site is the one that demo_base_url() names */
    buf_putc(json, '{');
    put_prices(json, &demo_sites[0], "", ",");
    if (!json->err && json->n)
        json->p[json->n - 1] = '}'; /* instead of the last comma */
}

void demo_config(const struct demo *d, struct str listen, struct buf *yaml)
{
    if (listen.n)
        buf_printf(yaml, "listen: \"" STR_FMT "\"\n", STR_ARG(listen));
    buf_puts(yaml, "capture: { bodies: all, keep: 1h, keep_bytes: 64MiB }\n");
    put_providers(d, yaml);
    buf_puts(yaml, "routes:\n"
        "  fast: { goal: latency, targets: [demo/breeze, demo-eu/breeze] }\n"
        "  smart:\n"
        "    targets: [demo/atlas, demo-eu/atlas]\n"
        "    rules:\n"
        "      - { name: long, if: { prompt_tokens: \">40k\" }, use: demo/sage }\n"
        "    fallback: [demo/breeze]\n"
        "  cheap:\n"
        "    policy: weighted\n"
        "    targets: [{ to: demo-lab/garnet, weight: 70 }, { to: demo/pebble, weight: 30 }]\n"
        "    fallback: [demo-eu/pebble]\n"
        "    retry: { attempts: 2, on: [429, 5xx, network, timeout] }\n"
        "  \"claude-*\":\n"
        "    policy: weighted\n"
        "    targets: [{ to: demo/atlas, weight: 60 }, { to: demo-eu/atlas, weight: 40 }]\n"
        "keys:\n");
    for (size_t i = 0; i < demo_key_total; i++)
        buf_printf(yaml, "  %s: { secret: %s, %s }\n", demo_keys[i].name, demo_keys[i].secret,
            demo_keys[i].more);
    buf_puts(yaml, "teams:\n  web: { budget: { day: $25 } }\n");
    buf_puts(yaml, "prices:\n");
    for (size_t i = 0; i < demo_site_total; i++)
        put_prices(yaml, &demo_sites[i], "  ", "\n");
}
