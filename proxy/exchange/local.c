/* local.c: answers that are made here: the model list, a key's own usage, health, metrics. */
#include "proxy/exchange/exchange.h"

#include "proxy/access/key.h"
#include "proxy/event/event.h"
#include "proxy/route/plan.h"
#include "proxy/worker.h"
#include "store/base/clock.h"
#include "store/base/secret.h"

#include <stdio.h>
#include <unistd.h>

enum list_shape { LIST_OPENAI, LIST_ANTHROPIC, LIST_GEMINI };

static void reply_with(struct exchange *x, int status, const char *type, struct buf *body,
    struct http_header more)
{
    struct http_header headers[] = {
        {STR("content-type"), str_c(type)},
        {STR("x-request-id"), str_c(x->id)},
        more,
    };
    x->status = status;
    x->outcome = OUTCOME_OK;
    x->replied = true;
    settle(x);
    if (x->q)
        http_reply(x->q, body->err ? 500 : status, headers, more.name.n ? 3 : 2, buf_str(body));
    buf_fini(body);
    exchange_enter(x, STEP_SETTLE);
}

static void reply(struct exchange *x, int status, const char *type, struct buf *body)
{
    reply_with(x, status, type, body, (struct http_header){STR_NULL, STR_NULL});
}

/* --- models ------------------------------------------------------------------------------------ */

struct model_list {
    struct exchange *x;
    struct json_writer *w;
    enum list_shape shape;
    struct str only;   /* one id, for /v1/models/{id} */
    size_t count;
    struct str first, last;
};

static void put_model(struct model_list *l, struct str id, struct str owner)
{
    struct json_writer *w = l->w;
    if (l->x->key && !key_allows(l->x->key, id))
        return;
    if (l->only.p && !str_eq(l->only, id))
        return;
    l->count++;
    if (!l->first.p)
        l->first = id;
    l->last = id;
    json_object_begin(w, NULL);
    if (l->shape == LIST_GEMINI) {
        struct str name = arena_printf(&l->x->arena, "models/" STR_FMT, STR_ARG(id));
        json_put_str(w, "name", name);
        json_put_str(w, "displayName", id);
        json_put_raw(w, "supportedGenerationMethods",
            STR("[\"generateContent\",\"countTokens\",\"streamGenerateContent\"]"));
    } else if (l->shape == LIST_ANTHROPIC) {
        json_put_c(w, "type", "model");
        json_put_str(w, "id", id);
        json_put_str(w, "display_name", id);
        json_put_c(w, "created_at", "2026-01-01T00:00:00Z");
    } else {
        json_put_str(w, "id", id);
        json_put_c(w, "object", "model");
        json_put_int(w, "created", 1767225600);
        json_put_str(w, "owned_by", owner);
    }
    json_object_end(w);
}

static void put_known(void *ctx, const struct provider *p, struct str model)
{
    struct model_list *l = ctx;
    put_model(l, ARENA_JOIN(&l->x->arena, p->name, STR("/"), model), p->name);
}

static void put_all(struct model_list *l)
{
    const struct config *config = l->x->snapshot->config;
    for (size_t i = 0; i < config->route_count; i++)
        if (!config->routes[i].pattern)
            put_model(l, config->routes[i].name, STR("pointsman"));
    for (size_t i = 0; i < config->provider_count; i++)
        plan_each_model(config, l->x->worker->shared->health, &config->providers[i], put_known, l);
}

static enum list_shape list_shape(const struct exchange *x)
{
    if (x->ep.dialect == DIALECT_ANTHROPIC)
        return LIST_ANTHROPIC;
    return x->ep.dialect == DIALECT_GEMINI ? LIST_GEMINI : LIST_OPENAI;
}

static void models(struct exchange *x)
{
    struct buf b;
    buf_init(&b, 16 << 20);
    struct json_writer w = json_writer(&b);
    struct model_list list = {.x = x, .w = &w, .shape = list_shape(x)};
    json_object_begin(&w, NULL);
    if (list.shape == LIST_OPENAI)
        json_put_c(&w, "object", "list");
    json_array_begin(&w, list.shape == LIST_GEMINI ? "models" : "data");
    put_all(&list);
    json_array_end(&w);
    if (list.shape == LIST_ANTHROPIC) {
        json_put_bool(&w, "has_more", false);
        json_put_str(&w, "first_id", list.first);
        json_put_str(&w, "last_id", list.last);
    }
    json_object_end(&w);
    reply(x, 200, "application/json", &b);
}

static void put_bare(void *ctx, const struct provider *p, struct str model)
{
    struct model_list *l = ctx;
    if (l->count == 0 && str_eq(model, l->only))
        put_model(l, l->only, p->name);
}

/* Names that are asked for as they are, though the list has them in another form: one that a pattern
 * takes, and a provider's model without the provider in front. */
static void put_unlisted(struct model_list *l, struct str id)
{
    const struct config *config = l->x->snapshot->config;
    if (plan_find_route(config, id)) {
        put_model(l, id, STR("pointsman"));
        return;
    }
    for (size_t i = 0; i < config->provider_count; i++)
        plan_each_model(config, l->x->worker->shared->health, &config->providers[i], put_bare, l);
}

static void model(struct exchange *x)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    struct json_writer w = json_writer(&b);
    struct model_list list = {.x = x, .w = &w, .shape = list_shape(x), .only = x->ep.model};
    put_all(&list);
    if (list.count == 0)
        put_unlisted(&list, x->ep.model);
    if (list.count == 0) {
        buf_fini(&b);
        exchange_refuse(x, 404, "model_not_found", -1, "no route or listed model is called "
            STR_FMT "; GET /v1/models lists them", STR_ARG(secret_first(x->ep.model, 100)));
        return;
    }
    reply(x, 200, "application/json", &b);
}

/* --- usage ------------------------------------------------------------------------------------- */

static const char *const window_names[WINDOW_COUNT] = {"minute", "hour", "day", "week", "month",
    "total"};

static void put_windows(struct json_writer *w, const struct account_view *v)
{
    json_array_begin(w, "windows");
    for (int i = 0; i < WINDOW_COUNT; i++) {
        if (v->window[i].limit < 0 && v->window[i].spent == 0)
            continue;
        json_object_begin(w, NULL);
        json_put_c(w, "window", window_names[i]);
        json_put_int(w, "spent_nano", v->window[i].spent);
        json_put_int(w, "reserved_nano", v->window[i].reserved);
        json_put_int(w, "limit_nano", v->window[i].limit);
        json_put_int(w, "left_nano", v->window[i].limit < 0 ? -1
            : MAX(v->window[i].limit - v->window[i].spent - v->window[i].reserved, 0));
        json_put_int(w, "resets_ms", v->window[i].resets_ms);
        json_object_end(w);
    }
    json_array_end(w);
}

static void usage(struct exchange *x)
{
    struct buf b;
    buf_init(&b, 64 << 10);
    struct json_writer w = json_writer(&b);
    struct account_view v;
    if (!x->key || !x->key->account_count) {
        buf_fini(&b);
        exchange_refuse(x, 404, "no_key", -1,
            "this request carries no pointsman key: there is no usage of its own to show");
        return;
    }
    account_view(x->worker->shared->accounts, x->key->accounts[0], clock_wall_ms(), &v);
    json_object_begin(&w, NULL);
    json_put_c(&w, "object", "usage");
    json_put_str(&w, "key", x->key->name);
    json_put_str(&w, "team", x->key->team);
    put_windows(&w, &v);
    json_put_int(&w, "credit_nano", v.credit_nano);
    json_put_int(&w, "debt_nano", v.debt_nano);
    if (v.credit_nano >= 0) {
        char credit[64];
        credit_show(v.balance_nano, x->snapshot->config->credits_per_dollar, credit,
            sizeof credit);
        json_put_c(&w, "credit", credit);
    }
    json_put_int(&w, "rpm", v.rpm);
    json_put_int(&w, "rpm_used", v.rpm_used);
    json_put_int(&w, "tpm", v.tpm);
    json_put_int(&w, "tpm_used", v.tpm_used);
    json_put_int(&w, "concurrent", v.concurrent);
    json_put_int(&w, "running", v.running);
    json_put_int(&w, "expires_ms", x->key->expires_ms);
    json_object_end(&w);
    reply(x, 200, "application/json", &b);
}

/* --- health and metrics ------------------------------------------------------------------------ */

static void healthz(struct exchange *x, bool ready)
{
    struct buf b;
    bool ok = !ready || (!x->worker->shared->draining && spool_has_room(x->worker->spool));
    buf_init(&b, 256);
    buf_puts(&b, ok ? "ok\n" : x->worker->shared->draining ? "draining\n" : "no room for records\n");
    /* Whoever finds the port taken by us is told who "us" is, since /proc hides it (http/holder.c). */
    struct shared *shared = x->worker->shared;
    struct http_header pid = {STR_NULL, STR_NULL};
    if (x->client_uid == shared->owner_uid || x->client_uid == 0)
        pid = (struct http_header){STR("x-pointsman-pid"),
            arena_printf(&x->arena, "%ld", (long)getpid())};
    reply_with(x, ok ? 200 : 503, "text/plain", &b, pid);
}

static void metrics(struct exchange *x)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *name = counter_name((enum counter)i);
        buf_printf(&b, "# HELP pointsman_%s_total %s\n# TYPE pointsman_%s_total counter\n"
            "pointsman_%s_total %lld\n", name, counter_help((enum counter)i), name, name,
            (long long)counter_read((enum counter)i));
    }
    buf_printf(&b, "# HELP pointsman_memory_bytes held answers, uploads and captures\n"
        "# TYPE pointsman_memory_bytes gauge\npointsman_memory_bytes %lld\n",
        (long long)x->worker->shared->memory_used);
    buf_printf(&b, "# HELP pointsman_longest_turn_us the longest turn of a worker's loop so far\n"
        "# TYPE pointsman_longest_turn_us gauge\npointsman_longest_turn_us %lld\n",
        (long long)x->worker->shared->longest_turn_us);
    reply(x, 200, "text/plain; version=0.0.4", &b);
}

void local_answer(struct exchange *x)
{
    switch (x->ep.handler) {
    case HANDLE_MODELS:
        models(x);
        return;
    case HANDLE_MODEL:
        model(x);
        return;
    case HANDLE_USAGE:
        usage(x);
        return;
    case HANDLE_METRICS:
        metrics(x);
        return;
    default:
        healthz(x, x->ep.handler == HANDLE_READYZ);
    }
}
