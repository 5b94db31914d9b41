/* probe.c: providers asked whether they answer: by hand, to find local servers, to take a drained one
 * back when it is well, and by itself where nothing else says what a provider has. The question is
 * for the list of models: it costs nothing and needs the key. What is answered is kept (health.h).
 *
 * By itself only a provider of the configuration is asked that lists no models and of which the price
 * list knows none: a server of one's own. The others have lists of hundreds that change little: they
 * are asked by hand. */
#include "proxy/admin/clockwork.h"
#include "proxy/admin/handlers.h"

#include "proxy/config/config.h"
#include "proxy/config/options.h"
#include "proxy/config/sealed.h"
#include "proxy/event/event.h"
#include "proxy/route/plan.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROBE_EVERY_MS = 30000, WELL_FOR_MS = 300000, LOCAL_LIMIT_US = 1500000, LOCAL_LIST_MAX = 65536,
    ASK_AGAIN_MS = 600000, LIST_BYTES_MAX = 4 << 20 };

struct probe {
    struct admin *admin;
    struct call *call; /* NULL: our own, of a drained provider */
    char provider[64];
    uint64_t url;      /* of what address */
};

/* ---- the question ---- */

static struct str list_url(struct arena *a, const struct provider *p)
{
    const char *path = "/models";
    if (p->dialect == DIALECT_ANTHROPIC && !str_ends(p->base_url, STR("/v1")))
        path = "/v1/models?limit=1000";
    else if (p->dialect == DIALECT_ANTHROPIC)
        path = "/models?limit=1000";
    else if (p->dialect == DIALECT_GEMINI)
        path = "/v1beta/models?pageSize=1000";
    return arena_printf(a, STR_FMT "%s", STR_ARG(p->base_url), path);
}

static size_t login(struct arena *a, const struct provider *p, struct http_header *h)
{
    size_t n = 0;
    h[n++] = (struct http_header){STR("accept-encoding"), STR("identity")};
    size_t i = 0;
    while (i < p->key_count && p->keys[i].fault.n)
        i++;
    if (i == p->key_count)
        return n;
    struct str secret = p->keys[i].secret;
    if (p->dialect == DIALECT_ANTHROPIC) {
        h[n++] = (struct http_header){STR("x-api-key"), secret};
        h[n++] = (struct http_header){STR("anthropic-version"), STR("2023-06-01")};
    } else if (p->dialect == DIALECT_GEMINI) {
        h[n++] = (struct http_header){STR("x-goog-api-key"), secret};
    } else if (p->dialect == DIALECT_AZURE) {
        h[n++] = (struct http_header){STR("api-key"), secret};
    } else {
        h[n++] = (struct http_header){STR("authorization"),
            arena_printf(a, "Bearer " STR_FMT, STR_ARG(secret))};
    }
    return n;
}

static int ask(struct admin *admin, const struct provider *p, aside_done *done, struct probe *x)
{
    struct arena a;
    struct http_header headers[4];
    arena_init(&a, 1024, 1 << 20);
    x->admin = admin;
    x->url = str_hash(p->base_url);
    str_copy(x->provider, sizeof x->provider, p->name);
    struct aside what = {
        .method = STR("GET"),
        .url = list_url(&a, p),
        .headers = headers,
        .header_count = login(&a, p, headers),
        .connect_timeout_us = p->timeouts.connect,
        .limit_us = ASIDE_LIMIT_US,
        .http2 = p->http2,
        .allow_private = p->allow_private,
        .proxy = p->proxy,
        .ca_file = p->ca_file,
    };
    int rc = admin->start.ops.aside(admin->start.ops.ctx, &what, admin->loop, done, x);
    arena_fini(&a);
    return rc;
}

/* The names in a list of any dialect, in the arena; at most HEALTH_MODELS_MAX. -1: no such list. */
static int read_models(struct str json, struct arena *a, struct str names[HEALTH_MODELS_MAX])
{
    struct json_span list = json_get(json, STR("data"));
    struct json_span key, item;
    int n = 0;
    if (list.type != JSON_ARRAY)
        list = json_get(json, STR("models"));
    struct json_iter it = json_iter(list.raw);
    while (list.type == JSON_ARRAY && n < HEALTH_MODELS_MAX && json_next(&it, &key, &item)) {
        struct json_span id = json_get(item.raw, STR("id"));
        if (id.type != JSON_STRING)
            id = json_get(item.raw, STR("name"));
        struct str name = id.type == JSON_STRING ? json_text(id, a) : STR_NULL;
        if (str_starts(name, STR("models/"))) /* Gemini's */
            name = str_from(name, 7);
        if (name.n)
            names[n++] = name;
    }
    return list.type == JSON_ARRAY ? n : -1;
}

static int put_models(struct json_writer *w, struct str json)
{
    struct str names[HEALTH_MODELS_MAX];
    struct arena a;
    arena_init(&a, 4096, LIST_BYTES_MAX);
    int n = read_models(json, &a, names);
    json_array_begin(w, "models");
    for (int i = 0; i < n; i++)
        json_put_str(w, NULL, names[i]);
    json_array_end(w);
    arena_fini(&a);
    return n;
}

/* Kept for plans and lists, unless the configuration has moved the provider meanwhile. */
static void note(struct admin *admin, const char *provider, uint64_t url, int status, struct str json)
{
    const struct provider *p = plan_find_provider(live_config(admin->live), str_c(provider));
    struct str names[HEALTH_MODELS_MAX];
    struct arena a;
    if (!p || str_hash(p->base_url) != url || !admin->start.health)
        return;
    arena_init(&a, 4096, LIST_BYTES_MAX);
    int n = status == 200 ? read_models(json, &a, names) : 0;
    health_note_models(admin->start.health, p, names, (size_t)MAX(n, 0), clock_wall_ms());
    arena_fini(&a);
}

/* ---- by hand ---- */

static void tested(void *arg, int status, int64_t total_us, struct str models, struct str error)
{
    struct probe *x = arg;
    struct call *c = x->call;
    note(x->admin, x->provider, x->url, status, models);
    if (c->q && !c->answered) {
        struct json_writer *w = call_begin(c);
        json_put_c(w, "provider", x->provider);
        json_put_bool(w, "ok", status >= 200 && status < 300);
        json_put_int(w, "status", status);
        json_put_int(w, "total_us", total_us);
        json_put_str(w, "error", error);
        put_models(w, models);
        call_send(c);
    }
    call_release(c);
    free(x);
}

void post_provider_test(struct call *c)
{
    const struct provider *p = call_provider(c);
    struct probe *x = p ? calloc(1, sizeof *x) : NULL;
    if (!x)
        return;
    if (provider_is_locked(p)) {
        free(x);
        call_error(c, 409, "locked", STR_FMT, STR_ARG(p->keys[0].fault));
        return;
    }
    x->call = c;
    c->references++;
    int rc = ask(c->admin, p, tested, x);
    if (rc == 0)
        return;
    free(x);
    c->references--;
    call_failed(c, rc, NULL);
}

/* ---- what the environment and this machine offer ---- */

static const struct local_server {
    const char *name, *url;
} local_servers[] = {
    {"ollama", "http://127.0.0.1:11434/v1"},
    {"lmstudio", "http://127.0.0.1:1234/v1"},
    {"llamacpp", "http://127.0.0.1:8080/v1"},
    {"vllm", "http://127.0.0.1:8000/v1"},
};

struct detection {
    struct call *call;
    unsigned waiting;
    struct {
        bool answers;
        char list[LOCAL_LIST_MAX];
        size_t n;
    } local[ARRAY_LEN(local_servers)];
};

struct local_probe {
    struct detection *d;
    size_t i;
};

struct found {
    struct json_writer *w;
    const struct config *config;
};

static void put_found(void *ctx, struct str provider, struct str variable)
{
    struct found *f = ctx;
    json_object_begin(f->w, NULL);
    json_put_str(f->w, "provider", provider);
    json_put_str(f->w, "variable", variable);
    json_put_bool(f->w, "used", plan_find_provider(f->config, provider) != NULL);
    json_object_end(f->w);
}

static bool uses_url(const struct config *config, struct str url)
{
    for (size_t i = 0; i < config->provider_count; i++)
        if (url_is_ours(url, str_from(config->providers[i].base_url, 7)) &&
            str_starts(config->providers[i].base_url, STR("http://")))
            return true;
    return false;
}

static void put_local(struct found *f, const struct detection *d, size_t i)
{
    json_object_begin(f->w, NULL);
    json_put_c(f->w, "provider", local_servers[i].name);
    json_put_c(f->w, "base_url", local_servers[i].url);
    put_models(f->w, str_n(d->local[i].list, d->local[i].n));
    json_put_bool(f->w, "used", uses_url(f->config, str_c(local_servers[i].url)));
    json_object_end(f->w);
}

static void detected(struct detection *d)
{
    struct call *c = d->call;
    if (c->q && !c->answered) {
        struct found f = {call_begin(c), live_config(c->admin->live)};
        json_array_begin(f.w, "found");
        environment_provider_variables(NULL, put_found, &f);
        for (size_t i = 0; i < ARRAY_LEN(local_servers); i++)
            if (d->local[i].answers)
                put_local(&f, d, i);
        json_array_end(f.w);
        call_send(c);
    }
    call_release(c);
    free(d);
}

static bool is_list(struct str json)
{
    struct buf ignored;
    buf_init(&ignored, LOCAL_LIST_MAX * 2);
    struct json_writer w = json_writer(&ignored);
    json_object_begin(&w, NULL);
    bool list = put_models(&w, json) >= 0;
    buf_fini(&ignored);
    return list;
}

static void local_answered(
    void *arg, int status, int64_t total_us, struct str models, struct str error)
{
    struct local_probe *x = arg;
    struct detection *d = x->d;
    (void)total_us, (void)error;
    if (status == 200 && models.n <= LOCAL_LIST_MAX && is_list(models)) {
        d->local[x->i].answers = true;
        memcpy(d->local[x->i].list, models.p, models.n);
        d->local[x->i].n = models.n;
    }
    free(x);
    if (--d->waiting == 0)
        detected(d);
}

static void ask_local(struct detection *d, size_t i)
{
    struct admin *admin = d->call->admin;
    struct str url = str_c(local_servers[i].url);
    struct http_header h = {STR("accept-encoding"), STR("identity")};
    struct aside what = {.method = STR("GET"), .headers = &h, .header_count = 1,
        .url = call_printf(d->call, STR_FMT "/models", STR_ARG(url)),
        .connect_timeout_us = LOCAL_LIMIT_US, .limit_us = LOCAL_LIMIT_US, .allow_private = true};
    struct local_probe *x = url_is_ours(url, str_from(admin->start.listen_url, 7))
        ? NULL : calloc(1, sizeof *x);
    if (!x)
        return;
    *x = (struct local_probe){d, i};
    d->waiting++;
    if (admin->start.ops.aside(admin->start.ops.ctx, &what, admin->loop, local_answered, x) < 0) {
        d->waiting--;
        free(x);
    }
}

void post_detect(struct call *c)
{
    struct detection *d = calloc(1, sizeof *d);
    if (!d) {
        call_failed(c, -ERR_NOMEM, NULL);
        return;
    }
    d->call = c;
    c->references++;
    d->waiting = 1; /* answers come in later turns; this one keeps the count up while asking */
    for (size_t i = 0; i < ARRAY_LEN(local_servers); i++)
        ask_local(d, i);
    if (--d->waiting == 0)
        detected(d);
}

/* ---- back when it is well ---- */

/* One probe at a time; a provider is well when its probes passed for five minutes on end. */
static struct {
    int64_t next_ms, well_since_ms;
    char provider[64];
    bool running;
} watcher;

static void end_drain(struct admin *a, const char *provider)
{
    char object[100], text[200];
    struct err e = {0};
    struct live_who us = {-1, STR("pointsman"), STR_NULL};
    snprintf(object, sizeof object, "drain/%s", provider);
    snprintf(text, sizeof text, "provider %s used again: its probes passed for 5 min", provider);
    struct live_part part = {.object = str_c(object)};
    if (live_apply(a->live, &us, &part, 1, str_c(text), -1, NULL, &e) < 0)
        event_say(EVENT_KIND_SWITCHED, STR_NULL, "%s: %s", object, e.text);
}

static void probed(void *arg, int status, int64_t total_us, struct str models, struct str error)
{
    struct probe *x = arg;
    int64_t now = clock_wall_ms();
    (void)total_us, (void)models, (void)error;
    watcher.running = false;
    if (status < 200 || status > 299)
        watcher.well_since_ms = 0;
    else if (watcher.well_since_ms == 0)
        watcher.well_since_ms = now;
    else if (now - watcher.well_since_ms >= WELL_FOR_MS)
        end_drain(x->admin, x->provider);
    free(x);
}

static bool find_waiting(void *ctx, struct str object, struct str json, int64_t revision)
{
    (void)revision;
    if (!json_is_true(json_get(json, STR("until_well"))))
        return true;
    str_copy(ctx, 64, str_from(object, strlen("drain/")));
    return false;
}

void admin_probe_drained(struct admin *a, int64_t now_ms)
{
    char name[64] = "";
    if (watcher.running || now_ms < watcher.next_ms)
        return;
    watcher.next_ms = now_ms + PROBE_EVERY_MS;
    live_each(a->live, STR("drain/"), find_waiting, name);
    if (strcmp(name, watcher.provider) != 0)
        watcher.well_since_ms = 0;
    str_copy(watcher.provider, sizeof watcher.provider, str_c(name));
    const struct provider *p = plan_find_provider(live_config(a->live), str_c(name));
    struct probe *x = p ? calloc(1, sizeof *x) : NULL;
    if (!x)
        return;
    watcher.running = ask(a, p, probed, x) == 0;
    if (!watcher.running)
        free(x);
}

/* ---- what a server of one's own has ---- */

static bool asking; /* one at a time */

static void named(void *arg, int status, int64_t total_us, struct str models, struct str error)
{
    struct probe *x = arg;
    (void)total_us, (void)error;
    asking = false;
    note(x->admin, x->provider, x->url, status, models);
    free(x);
}

static void ignore(void *ctx, const struct provider *p, struct str model)
{
    (void)ctx, (void)p, (void)model;
}

static bool is_to_be_asked(struct admin *a, const struct provider *p, int64_t now_ms)
{
    const struct config *config = live_config(a->live);
    int64_t asked_ms = health_models_asked_ms(a->start.health, p);
    if (p->model_count || p->demo || p->client_login || p->from_environment || p->drained ||
        provider_is_locked(p) ||
        p->dialect == DIALECT_AZURE || (asked_ms && now_ms - asked_ms < ASK_AGAIN_MS))
        return false;
    return plan_each_model(config, NULL, p, ignore, NULL) == PLAN_KNOWN_NOT;
}

void admin_ask_models(struct admin *a, int64_t now_ms)
{
    const struct config *config = live_config(a->live);
    for (size_t i = 0; a->start.health && !asking && i < config->provider_count; i++) {
        const struct provider *p = &config->providers[i];
        struct probe *x = is_to_be_asked(a, p, now_ms) ? calloc(1, sizeof *x) : NULL;
        if (!x)
            continue;
        asking = ask(a, p, named, x) == 0;
        if (!asking)
            free(x);
    }
}
