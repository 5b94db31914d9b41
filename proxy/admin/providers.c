/* providers.c: providers as they are doing, tripped, cleared, added. Draining them is in drain.c, trying
 * them in probe.c. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/record_view.h"
#include "proxy/admin/routing.h"

#include "proxy/config/config.h"
#include "proxy/config/sealed.h"
#include "proxy/dialect/dialect.h"
#include "proxy/route/health.h"
#include "proxy/route/plan.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"
#include "store/base/secret.h"

#include <stdio.h>
#include <stdlib.h>

enum { HISTORY_POINTS = 30 };

/* ---- listing ---- */

static const char *breaker_text(enum breaker_state s)
{
    static const char *const names[] = {"closed", "open", "half open"};
    return names[s];
}

/* What people said of a drain; empty: it is not drained by hand. */
static struct str drain_by_hand(struct call *c, struct str name)
{
    return live_get(c->admin->live, call_printf(c, "drain/" STR_FMT, STR_ARG(name)));
}

static const char *state_text(struct call *c, const struct provider *p, const struct health_view *v)
{
    if (p->drained || drain_by_hand(c, p->name).n)
        return "drained";
    if (v->breaker == BREAKER_OPEN)
        return v->by_hand ? "tripped" : "down";
    if (v->breaker == BREAKER_HALF_OPEN)
        return "probing";
    if (provider_is_locked(p))
        return "no key opens";
    if (p->key_count && v->keys_dead + p->locked_keys >= p->key_count)
        return "no key works";
    return v->error_ppm >= 50000 && v->samples >= 5 ? "errors" : "ok";
}

static bool route_uses(const struct route *r, const struct provider *p)
{
    for (size_t i = 0; i < r->target_count; i++)
        if (r->targets[i].provider == p)
            return true;
    for (size_t i = 0; i < r->fallback_count; i++)
        if (r->fallback[i].provider == p)
            return true;
    for (size_t k = 0; k < r->rule_count; k++)
        for (size_t i = 0; i < r->rules[k].target_count; i++)
            if (r->rules[k].targets[i].provider == p)
                return true;
    return false;
}

static void put_keys(struct json_writer *w, const struct provider *p)
{
    json_array_begin(w, "keys");
    for (size_t i = 0; i < p->key_count; i++) {
        struct str s = p->keys[i].secret;
        char shown[24];
        sealed_show(s, shown);
        json_object_begin(w, NULL);
        json_put_str(w, "name", p->keys[i].name);
        json_put_c(w, "shown", shown);
        json_put_str(w, "fault", p->keys[i].fault);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_health(struct json_writer *w, const struct health_view *v)
{
    json_put_c(w, "breaker", breaker_text(v->breaker));
    json_put_int(w, "open_for_us", v->open_for_us);
    json_put_bool(w, "by_hand", v->by_hand);
    json_put_int(w, "in_flight", v->in_flight);
    json_put_int(w, "queued", v->queued);
    json_put_int(w, "err_ppm", v->error_ppm);
    json_put_int(w, "ttft_us", v->ewma_ttft_us);
    json_put_int(w, "requests_left", v->requests_left);
    json_put_int(w, "tokens_left", v->tokens_left);
    json_put_int(w, "requests_limit", v->requests_limit);
    json_put_int(w, "tokens_limit", v->tokens_limit);
    json_put_int(w, "keys_dead", v->keys_dead);
    json_put_int(w, "keys_resting", v->keys_resting);
    json_put_c(w, "last_error", v->last_error);
    json_put_int(w, "last_error_ago_ms", v->last_error_us ? (clock_mono_us() - v->last_error_us) / 1000 : -1);
}

static const struct store_sum *sum_of(const struct store_answer *a, struct str name)
{
    for (size_t i = 0; a && a->rc == 0 && i < a->n; i++)
        if (str_eq(a->sums[i].name, name))
            return &a->sums[i];
    return NULL;
}

/* Those that are listed, else those that it named; of the price list only that they stand there. */
static void put_model(void *ctx, const struct provider *p, struct str model)
{
    (void)p;
    json_put_str(ctx, NULL, model);
}

static void count_model(void *ctx, const struct provider *p, struct str model)
{
    (void)p, (void)model;
    ++*(int64_t *)ctx;
}

static void put_models(struct call *c, struct json_writer *w, const struct provider *p)
{
    static const char *const from[] = {"", "configuration", "asked", "price list"};
    const struct config *config = live_config(c->admin->live);
    const struct health *h = c->admin->start.health;
    int64_t count = 0;
    enum plan_known known = plan_each_model(config, h, p, count_model, &count);
    json_array_begin(w, "models");
    if (known == PLAN_KNOWN_LISTED || known == PLAN_KNOWN_ASKED)
        plan_each_model(config, h, p, put_model, w);
    json_array_end(w);
    json_put_c(w, "models_from", from[known]);
    json_put_int(w, "models_count", count);
    json_put_int(w, "models_asked_ms", health_models_asked_ms(h, p));
}

static void put_provider(struct call *c, struct json_writer *w, const struct provider *p,
    const struct store_sum *s)
{
    const struct config *config = live_config(c->admin->live);
    struct health_view v = {.requests_left = -1, .tokens_left = -1};
    if (c->admin->start.health)
        health_view(c->admin->start.health, p, STR_NULL, clock_mono_us(), &v);
    json_object_begin(w, NULL);
    json_put_str(w, "name", p->name);
    json_put_str(w, "base_url", p->base_url);
    json_put_c(w, "dialect", dialect_name(p->dialect));
    put_keys(w, p);
    put_models(c, w, p);
    json_put_c(w, "state", state_text(c, p, &v));
    put_health(w, &v);
    json_put_int(w, "max_concurrent", p->max_concurrent);
    json_put_int(w, "ttft_p50_us", s && s->ttft ? histogram_percentile(s->ttft, 500000) : 0);
    json_put_int(w, "ttft_p95_us", s && s->ttft ? histogram_percentile(s->ttft, 950000) : 0);
    json_put_int(w, "requests", s ? s->requests : 0);
    json_array_begin(w, "history");
    for (unsigned i = 0; s && s->points && i < HISTORY_POINTS; i++)
        json_put_int(w, NULL, s->points[i].ttft_p95_us);
    json_array_end(w);
    json_array_begin(w, "used_by");
    for (size_t i = 0; i < config->route_count; i++)
        if (route_uses(&config->routes[i], p))
            json_put_str(w, NULL, config->routes[i].name);
    json_array_end(w);
    struct str drain = drain_by_hand(c, p->name);
    json_put_bool(w, "drained", p->drained || drain.n);
    json_put_str(w, "drained_to", drain.n ? json_text(json_get(drain, STR("to")), &c->arena)
        : p->drained ? p->drained_to : STR(""));
    json_object_end(w);
}

static void providers_answered(struct call *c, struct store_answer *a)
{
    const struct config *config = live_config(c->admin->live);
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "providers");
    for (size_t i = 0; i < config->provider_count; i++)
        put_provider(c, w, &config->providers[i], sum_of(a, config->providers[i].name));
    json_array_end(w);
    call_send(c);
}

void get_providers(struct call *c)
{
    int64_t end = clock_wall_ms() / 60000 * 60000 + 60000;
    struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_PROVIDER,
        .from_ms = end - 3600000, .to_ms = end, .buckets = HISTORY_POINTS};
    for (unsigned i = 0; i < HISTORY_POINTS; i++)
        q.bucket_starts[i] = q.from_ms + (int64_t)i * 120000;
    if (c->admin->start.store)
        call_ask(c, &q, providers_answered);
    else
        providers_answered(c, NULL);
}

/* ---- breakers by hand ---- */

const struct provider *call_provider(struct call *c)
{
    const struct provider *p = plan_find_provider(live_config(c->admin->live), c->args[0]);
    if (!p)
        call_error(c, 404, "not_found", "no provider \"" STR_FMT "\"; see: provider list",
            STR_ARG(str_first(c->args[0], 64)));
    return p;
}

static void hand_done(struct call *c, struct str text)
{
    keeper_audit(c, text.p);
    event_say(EVENT_KIND_SWITCHED, STR_NULL, STR_FMT ": " STR_FMT, STR_ARG(c->user), STR_ARG(text));
    json_put_str(call_begin(c), "marker", text);
    call_send(c);
}

void post_provider_trip(struct call *c)
{
    const struct provider *p = call_provider(c);
    if (!p || !call_allows(c, "for_ms"))
        return;
    int64_t for_ms = json_int(c->body, "for_ms", 0);
    health_trip(c->admin->start.health, p, for_ms * 1000, clock_mono_us());
    hand_done(c, call_printf(c, "provider " STR_FMT " tripped by hand", STR_ARG(p->name)));
}

void post_provider_clear(struct call *c)
{
    const struct provider *p = call_provider(c);
    if (!p || !call_allows(c, ""))
        return;
    health_clear(c->admin->start.health, p);
    hand_done(c, call_printf(c, "provider " STR_FMT " cleared", STR_ARG(p->name)));
}

/* ---- adding ---- */

/* What is added live is kept in the store and shown in the audit trail: no place for a key itself. */
static bool is_reference(struct json_span key)
{
    static const char *const kinds[] = {"env:", "file:", "sealed:"};
    struct str text = key.type == JSON_STRING && key.raw.n > 2
        ? str_n(key.raw.p + 1, key.raw.n - 2) : STR_NULL;
    bool good = key.type == JSON_NONE || str_eq(text, STR("client"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        good = good || str_starts(text, str_c(kinds[i]));
    return good;
}

static bool holds_no_key(struct json_span provider)
{
    struct json_span list = json_get(provider.raw, STR("api_keys")), name, one;
    struct json_iter it = json_iter(list.raw);
    bool good = is_reference(json_get(provider.raw, STR("api_key")));
    while (list.type == JSON_ARRAY && json_next(&it, &name, &one))
        good = good && is_reference(one.type == JSON_OBJECT ? json_get(one.raw, STR("key")) : one);
    return good;
}

void post_provider(struct call *c)
{
    struct json_span object = json_get(buf_str(&c->q->body), STR("provider"));
    struct str name = call_text(c, "name");
    if (!call_allows(c, "name provider dry_run"))
        return;
    if (object.type != JSON_OBJECT || name.n == 0 || name.n > 64 || str_chr(name, '/') >= 0) {
        call_error(c, 400, "bad_provider", "name: without slashes; provider: an object as in the "
            "configuration, such as {\"dialect\":\"openai\",\"base_url\":\"http://127.0.0.1:11434/v1\"}");
        return;
    }
    if (!holds_no_key(object)) {
        if (c->q->body.p)
            secret_wipe(c->q->body.p, c->q->body.n);
        call_error(c, 400, "bad_key", "a provider that is added live names its key, it does not hold it: "
            "pointsman provider seal " STR_FMT ", then api_key: sealed:" STR_FMT " (or env:NAME, "
            "file:/path)", STR_ARG(name), STR_ARG(name));
        return;
    }
    struct live_part part = {.object = call_printf(c, "provider/" STR_FMT, STR_ARG(name)),
        .after = object.raw};
    struct err e = {0};
    if (json_bool(c->body, "dry_run", false)) {
        int rc = live_try(c->admin->live, &part, 1, &e);
        if (rc < 0) {
            call_failed(c, rc, &e);
            return;
        }
        json_put_bool(call_begin(c), "dry_run", true);
        call_send(c);
        return;
    }
    apply_and_answer(c, &part, 1, call_printf(c, "provider " STR_FMT " added", STR_ARG(name)), -1);
}

/* A key from a person's own environment: kept in this process alone, never stored. */
void post_provider_key(struct call *c)
{
    struct err e = {0};
    struct buf kept;
    struct str variable = call_text(c, "variable"), value = call_text(c, "value");
    if (!call_allows(c, "variable value"))
        return;
    buf_init(&kept, 1 << 16);
    secret_add(value);
    int rc = environment_set(variable, value, &e);
    if (rc == 0)
        rc = admin_reload_config(c->admin, &kept, &e);
    if (c->q->body.p)
        secret_wipe(c->q->body.p, c->q->body.n);
    if (rc == 0) /* also where no provider takes it: it is in force for whoever names the variable */
        keeper_audit(c, call_printf(c, "handed over " STR_FMT, STR_ARG(str_first(variable, 64))).p);
    if (rc < 0) {
        call_failed(c, rc, &e);
    } else if (!plan_find_provider(live_config(c->admin->live), c->args[0])) {
        call_error(c, 409, "no_provider", "no " STR_FMT " in the file: add it with api_key: env:" STR_FMT,
            STR_ARG(c->args[0]), STR_ARG(str_first(variable, 64))); /* one line of a console */
    } else {
        json_put_str(call_begin(c), "variable", variable);
        call_send(c);
    }
    buf_fini(&kept);
}
