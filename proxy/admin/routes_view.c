/* routes_view.c: routes and targets as they are doing, and why a request went (or would go) where.
 * Nothing here changes anything. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/record_view.h"
#include "proxy/admin/routing.h"

#include "proxy/access/account.h"
#include "proxy/access/key.h"
#include "proxy/config/config.h"
#include "proxy/meter/price.h"
#include "proxy/meter/request.h"
#include "proxy/route/health.h"
#include "proxy/route/plan.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"

#include <stdio.h>

/* ---- targets ---- */

static const struct store_sum *sum_of(const struct store_answer *a, struct str name)
{
    for (size_t i = 0; a && a->rc == 0 && i < a->n; i++)
        if (str_eq(a->sums[i].name, name))
            return &a->sums[i];
    return NULL;
}

static const char *health_text(const struct health_view *v)
{
    if (v->breaker == BREAKER_OPEN)
        return v->by_hand ? "tripped" : "down";
    if (v->breaker == BREAKER_HALF_OPEN)
        return "probing";
    return v->error_ppm >= 50000 && v->samples >= 5 ? "errors" : "ok";
}

static bool is_drained(struct call *c, const struct provider *p)
{
    return p->drained ||
           live_get(c->admin->live, call_printf(c, "drain/" STR_FMT, STR_ARG(p->name))).n > 0;
}

static void put_health(struct call *c, struct json_writer *w, const struct provider *p,
    struct str model, const struct store_sum *s)
{
    struct health_view v = {0};
    if (c->admin->start.health)
        health_view(c->admin->start.health, p, model, clock_mono_us(), &v);
    json_put_c(w, "health", is_drained(c, p) ? "drained" : health_text(&v));
    json_put_int(w, "open_for_us", v.open_for_us);
    json_put_int(w, "in_flight", v.in_flight);
    json_put_int(w, "err_ppm", v.error_ppm);
    json_put_int(w, "ttft_us", v.ewma_ttft_us);
    json_put_int(w, "ttft_p95_us", s && s->ttft ? histogram_percentile(s->ttft, 950000)
                                                : v.ttft_p95_us);
    json_put_double(w, "requests_per_min", s ? (double)s->requests / 60.0 : 0);
}

static struct str target_name(struct call *c, const struct target *t)
{
    return call_printf(c, STR_FMT "/" STR_FMT, STR_ARG(t->provider->name), STR_ARG(t->model));
}

static void put_target(struct call *c, struct json_writer *w, const struct target *t,
    const struct store_answer *a, int64_t all)
{
    struct str name = target_name(c, t);
    const struct store_sum *s = sum_of(a, name);
    json_object_begin(w, NULL);
    json_put_str(w, "target", name);
    json_put_int(w, "weight", t->weight);
    put_health(c, w, t->provider, t->model, s);
    json_put_int(w, "share_ppm", s && all > 0 ? s->requests * 1000000 / all : 0);
    json_object_end(w);
}

static void put_targets(struct call *c, struct json_writer *w, const char *key,
    const struct target *list, size_t n, const struct store_answer *a)
{
    int64_t all = 0;
    for (size_t i = 0; i < n; i++) {
        const struct store_sum *s = sum_of(a, target_name(c, &list[i]));
        all += s ? s->requests : 0;
    }
    json_array_begin(w, key);
    for (size_t i = 0; i < n; i++)
        put_target(c, w, &list[i], a, all);
    json_array_end(w);
}

/* ---- routes ---- */

static void put_rule(struct call *c, struct json_writer *w, const struct rule *r)
{
    static const char *const kinds[] = {
#define X(name, text, help) text,
#include "proxy/config/conditions.def"
#undef X
    };
    json_object_begin(w, NULL);
    json_put_str(w, "name", r->name);
    json_put_bool(w, "enabled", r->enabled);
    json_object_begin(w, "if");
    for (size_t i = 0; i < r->condition_count; i++) {
        const struct condition *k = &r->conditions[i];
        struct str shown = k->shown, kind = str_c(kinds[k->kind]);
        if (str_starts(shown, kind))
            shown = str_trim(str_from(shown, kind.n));
        json_put_str(w, kinds[k->kind], shown);
    }
    json_object_end(w);
    json_array_begin(w, "use");
    if (r->route.n)
        json_put_str(w, NULL, r->route);
    for (size_t i = 0; i < r->target_count; i++)
        json_put_str(w, NULL, target_name(c, &r->targets[i]));
    json_array_end(w);
    json_object_end(w);
}

static void put_override(struct json_writer *w, const char *key, const struct override *o)
{
    json_object_begin(w, key);
    json_put_str(w, "name", o->name);
    json_put_str(w, "to", o->to);
    json_put_c(w, "scope", scope_text(o->scope));
    json_put_str(w, "scope_name", o->scope_name);
    json_put_int(w, "until_ms", o->until_ms);
    json_put_str(w, "who", o->who);
    json_put_int(w, "when_ms", o->when_ms);
    json_put_int(w, "revision", o->revision);
    json_object_end(w);
}

static void put_overrides(struct json_writer *w, const struct snapshot *s, struct str name)
{
    const struct override *everyone = NULL;
    for (size_t i = 0; i < s->override_count && !everyone; i++)
        if (str_eq(s->overrides[i].name, name) && s->overrides[i].scope == SCOPE_EVERYONE)
            everyone = &s->overrides[i];
    if (everyone)
        put_override(w, "override", everyone);
    else
        json_put_null(w, "override");
    json_array_begin(w, "overrides");
    for (size_t i = 0; i < s->override_count; i++)
        if (str_eq(s->overrides[i].name, name))
            put_override(w, NULL, &s->overrides[i]);
    json_array_end(w);
}

static void put_canary(struct call *c, struct json_writer *w, const struct snapshot *s,
    const struct route *r)
{
    struct str kept = live_get(c->admin->live, call_printf(c, "canary/" STR_FMT, STR_ARG(r->name)));
    int64_t when_ms = 0;
    if (!r->canary.share_ppm || !r->canary.to.provider) {
        json_put_null(w, "canary");
        return;
    }
    bool back = c->admin->start.health && health_canary_is_back(c->admin->start.health, r);
    for (size_t i = 0; i < s->taken_back_count; i++)
        back = back || str_eq(s->taken_back[i], r->name);
    if (back && json_i64(json_get(kept, STR("when_ms")), &when_ms) < 0)
        when_ms = 0; /* taken back this second */
    json_object_begin(w, "canary");
    json_put_str(w, "to", target_name(c, &r->canary.to));
    json_put_int(w, "share_ppm", r->canary.share_ppm);
    json_put_bool(w, "taken_back", back);
    json_put_str(w, "why", back ? json_text(json_get(kept, STR("why")), &c->arena) : STR(""));
    json_put_int(w, "when_ms", when_ms);
    json_object_end(w);
}

static void put_route(struct call *c, struct json_writer *w, const struct snapshot *s,
    const struct route *r, const struct store_answer *a)
{
    struct str object = route_object(c, r->name);
    json_object_begin(w, NULL);
    json_put_str(w, "name", r->name);
    json_put_bool(w, "pattern", r->pattern);
    json_put_bool(w, "live", r->live_only);
    json_put_bool(w, "edited",
        live_get(c->admin->live, call_printf(c, "route/" STR_FMT, STR_ARG(r->name))).n > 0);
    json_put_c(w, "goal", r->goal == GOAL_NONE ? "" : goal_name(r->goal));
    json_put_c(w, "policy", policy_name(r->policy));
    json_put_c(w, "expands_to", r->goal == GOAL_NONE ? "" : goal_expands_to(r->goal));
    put_targets(c, w, "targets", r->targets, r->target_count, a);
    json_array_begin(w, "fallback");
    for (size_t i = 0; i < r->fallback_count; i++)
        json_put_str(w, NULL, target_name(c, &r->fallback[i]));
    json_array_end(w);
    json_array_begin(w, "rules");
    for (size_t i = 0; i < r->rule_count; i++)
        put_rule(c, w, &r->rules[i]);
    json_array_end(w);
    put_canary(c, w, s, r);
    put_overrides(w, s, r->name);
    json_put_raw(w, "object", object.n ? object : STR("null"));
    json_object_end(w);
}

/* A name that only a switch defines. */
static void put_live_route(struct json_writer *w, const struct snapshot *s, struct str name)
{
    json_object_begin(w, NULL);
    json_put_str(w, "name", name);
    json_put_bool(w, "pattern", false);
    json_put_bool(w, "live", true);
    json_put_bool(w, "edited", false);
    json_put_c(w, "goal", "");
    json_put_c(w, "policy", "");
    json_put_c(w, "expands_to", "");
    json_array_begin(w, "targets");
    json_array_end(w);
    json_array_begin(w, "fallback");
    json_array_end(w);
    json_array_begin(w, "rules");
    json_array_end(w);
    put_overrides(w, s, name);
    json_put_null(w, "object");
    json_object_end(w);
}

static bool told_before(const struct snapshot *s, size_t i)
{
    for (size_t k = 0; k < s->config->route_count; k++)
        if (str_eq(s->config->routes[k].name, s->overrides[i].name))
            return true;
    for (size_t k = 0; k < i; k++)
        if (str_eq(s->overrides[k].name, s->overrides[i].name))
            return true;
    return str_eq(s->overrides[i].name, STR("*"));
}

static void routes_answered(struct call *c, struct store_answer *a)
{
    struct snapshot *s = snapshot_current();
    struct json_writer *w = call_begin(c);
    json_put_int(w, "revision", live_revision(c->admin->live));
    json_array_begin(w, "routes");
    for (size_t i = 0; s && i < s->config->route_count; i++)
        put_route(c, w, s, &s->config->routes[i], a);
    for (size_t i = 0; s && i < s->override_count; i++)
        if (!told_before(s, i))
            put_live_route(w, s, s->overrides[i].name);
    json_array_end(w);
    snapshot_put(s);
    call_send(c);
}

static void ask_models(struct call *c, call_answered *fn)
{
    int64_t end = clock_wall_ms() / 60000 * 60000 + 60000;
    struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_MODEL,
        .from_ms = end - 3600000, .to_ms = end};
    if (c->admin->start.store)
        call_ask(c, &q, fn);
    else
        fn(c, NULL);
}

void get_routes(struct call *c)
{
    ask_models(c, routes_answered);
}

/* ---- where a switch may lead ---- */

enum { CONVERSATION_TOKENS = 20000 };

struct listed {
    struct call *call;
    struct json_writer *w;
    const struct store_answer *sums;
    struct str names[2000];
    size_t n;
};

static void list_target(struct listed *l, const struct provider *p, struct str model)
{
    const struct config *config = live_config(l->call->admin->live);
    struct target t = {p, model, 1};
    if (l->n == ARRAY_LEN(l->names) || str_find(model, STR("$model")) >= 0)
        return;
    struct str name = target_name(l->call, &t);
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->names[i], name))
            return;
    l->names[l->n++] = name;
    json_object_begin(l->w, NULL);
    json_put_str(l->w, "target", name);
    json_put_str(l->w, "provider", p->name);
    json_put_str(l->w, "model", model);
    put_health(l->call, l->w, p, model, sum_of(l->sums, name));
    price_json(l->w, config->prices ? price_find(config->prices, p->name, model) : NULL);
    json_object_end(l->w);
}

static void list_route(struct listed *l, const struct route *r)
{
    for (size_t i = 0; i < r->target_count; i++)
        list_target(l, r->targets[i].provider, r->targets[i].model);
    for (size_t i = 0; i < r->fallback_count; i++)
        list_target(l, r->fallback[i].provider, r->fallback[i].model);
}

/* What converses has a context window of some size; speech, images and embeddings come after. */
static bool converses(const struct listed *l, const struct provider *p, struct str model)
{
    const struct price_list *prices = live_config(l->call->admin->live)->prices;
    const struct price *price = prices ? price_find(prices, p->name, model) : NULL;
    return p->model_count || !price || price->context_tokens >= CONVERSATION_TOKENS;
}

static void list_conversing(void *ctx, const struct provider *p, struct str model)
{
    if (converses(ctx, p, model))
        list_target(ctx, p, model);
}

static void list_others(void *ctx, const struct provider *p, struct str model)
{
    if (!converses(ctx, p, model))
        list_target(ctx, p, model);
}

/* Targets of routes, models that were used, and those that providers are known to have. */
static void list_all(struct listed *l)
{
    const struct config *config = live_config(l->call->admin->live);
    for (size_t i = 0; i < config->route_count; i++)
        list_route(l, &config->routes[i]);
    for (size_t i = 0; l->sums && l->sums->rc == 0 && i < l->sums->n; i++) {
        struct str rest = l->sums->sums[i].name, name;
        const struct provider *p = str_cut(&rest, '/', &name) ? plan_find_provider(config, name) : NULL;
        if (p && rest.n)
            list_target(l, p, arena_str(&l->call->arena, rest));
    }
    for (size_t i = 0; i < config->provider_count; i++)
        plan_each_model(config, l->call->admin->start.health, &config->providers[i], list_conversing, l);
    for (size_t i = 0; i < config->provider_count; i++)
        plan_each_model(config, l->call->admin->start.health, &config->providers[i], list_others, l);
}

static bool put_profile_name(void *ctx, struct str object, struct str json, int64_t revision)
{
    (void)json, (void)revision;
    json_put_str(ctx, NULL, str_from(object, strlen("profile/")));
    return true;
}

static void targets_answered(struct call *c, struct store_answer *a)
{
    struct listed *l = arena_zalloc(&c->arena, sizeof *l);
    if (!l) {
        call_failed(c, -ERR_NOMEM, NULL);
        return;
    }
    struct json_writer *w = call_begin(c);
    l->call = c;
    l->w = w;
    l->sums = a;
    json_array_begin(w, "targets");
    list_all(l);
    json_array_end(w);
    json_array_begin(w, "routes");
    for (size_t i = 0; i < live_config(c->admin->live)->route_count; i++)
        json_put_str(w, NULL, live_config(c->admin->live)->routes[i].name);
    json_array_end(w);
    json_array_begin(w, "goals");
    for (int g = GOAL_NONE + 1; g <= GOAL_RESILIENCE; g++) {
        json_object_begin(w, NULL);
        json_put_c(w, "name", goal_name((enum goal)g));
        json_put_c(w, "expands_to", goal_expands_to((enum goal)g));
        json_object_end(w);
    }
    json_array_end(w);
    json_array_begin(w, "profiles");
    live_each(c->admin->live, STR("profile/"), put_profile_name, w);
    json_array_end(w);
    call_send(c);
}

void get_targets(struct call *c)
{
    ask_models(c, targets_answered);
}

/* ---- why ---- */

static void put_plan(struct call *c, struct json_writer *w, const struct plan *p, int rc,
    const struct err *e)
{
    json_object_begin(w, "plan");
    json_put_str(w, "route", p->route_name);
    json_put_str(w, "rule", p->rule_name);
    json_put_str(w, "override", p->override_by);
    json_array_begin(w, "candidates");
    for (size_t i = 0; rc == 0 && i < p->count; i++) {
        const struct candidate *k = &p->candidates[i];
        json_object_begin(w, NULL);
        json_put_str(w, "target", call_printf(c, STR_FMT "/" STR_FMT, STR_ARG(k->provider->name),
            STR_ARG(k->model)));
        json_put_str(w, "reason", k->reason);
        json_put_double(w, "score", k->score);
        json_object_end(w);
    }
    json_array_end(w);
    json_array_begin(w, "rejected");
    for (size_t i = 0; i < p->rejected_count; i++) {
        json_object_begin(w, NULL);
        json_put_str(w, "target", p->rejected[i].target);
        json_put_str(w, "reason", p->rejected[i].reason);
        json_object_end(w);
    }
    json_array_end(w);
    json_put_raw(w, "steps", p->log.n && json_check(p->log, NULL) == 0 ? p->log : STR("[]"));
    json_put_c(w, "error", rc < 0 ? (e->code ? e->text : err_text(rc)) : "");
    json_object_end(w);
}

/* The routes as they are, or as they would be with the staged one that is being tested. */
static struct snapshot *proposed(struct call *c, struct err *e)
{
    struct json_span set = json_get(buf_str(&c->q->body), STR("set"));
    struct str route = call_text(c, "route");
    struct snapshot *s = NULL;
    if (set.type != JSON_OBJECT)
        return snapshot_current();
    struct live_part part = {.object = call_printf(c, "route/" STR_FMT, STR_ARG(route)),
        .after = set.raw};
    int rc = route.n ? live_trial(c->admin->live, &part, 1, &s, e)
                     : err_set(e, ERR_MISSING, "set needs route: the name that it is for");
    return rc == 0 ? s : NULL;
}

/* What would happen now to a request such as this; r holds what is asked. */
static void explain(struct call *c, struct plan_request *r, struct str key, const struct record *was)
{
    struct err e = {0};
    struct plan plan = {0};
    struct account_view account;
    struct snapshot *s = proposed(c, &e);
    if (!s) {
        call_failed(c, -(int)e.code, &e);
        return;
    }
    r->snapshot = s;
    r->random = 1;
    r->now_us = clock_mono_us();
    r->wall_ms = clock_wall_ms();
    r->explain = true;
    r->key = key.n ? key_by_name(s->keys, key) : NULL;
    if (r->key && r->key->account_count) {
        account_view(c->admin->start.accounts, r->key->accounts[0], r->wall_ms, &account);
        r->budget_used_ppm = account.tightest_ppm;
    }
    int rc = plan_make(r, c->admin->start.health, &c->arena, &plan, &e);
    struct json_writer *w = call_begin(c);
    json_put_str(w, "asked", r->asked);
    if (was) {
        json_put_str(w, "went_to", call_printf(c, STR_FMT "/" STR_FMT, STR_ARG(was->provider),
            STR_ARG(was->model)));
        json_put_raw(w, "attempts", was->attempts.n ? was->attempts : STR("[]"));
        json_put_raw(w, "why", was->why.n && json_check(was->why, NULL) == 0 ? was->why : STR("[]"));
    }
    put_plan(c, w, &plan, rc, &e);
    snapshot_put(s);
    call_send(c);
}

static struct request_facts facts_of(const struct record *r)
{
    bool known = r->features & RECORD_FEATURES;
    return (struct request_facts){.n = 1, .stream = r->stream != 0,
        .tools = known ? (r->features & RECORD_TOOLS) != 0 : r->tool_calls > 0,
        .images = r->features & RECORD_IMAGES, .json_schema = r->features & RECORD_JSON_SCHEMA,
        .prompt_tokens = r->input_tokens, .prompt_bytes = r->request_bytes};
}

/* {"name":"value"}: as they were kept, without credentials. */
static void read_headers(struct call *c, struct str json, struct plan_request *r)
{
    struct json_iter it = json_iter(json);
    struct json_span k, v;
    size_t n = json_count((struct json_span){.type = JSON_OBJECT, .raw = json});
    struct http_header *list = arena_alloc(&c->arena, (n + 1) * sizeof *list);
    while (list && r->header_count < n && it.object && json_next(&it, &k, &v))
        list[r->header_count++] =
            (struct http_header){json_text(k, &c->arena), json_text(v, &c->arena)};
    r->headers = list;
}

/* With the headers, where the request's body was kept: rules may ask for them. */
static void explain_with_body(struct call *c, struct store_answer *a)
{
    const struct record *was = call_record(c);
    struct request_facts facts = facts_of(was);
    struct plan_request r = {.asked = was->model_asked, .session = was->session, .tags = was->tags,
        .user_agent = was->user_agent, .facts = &facts, .wire = wire_of_endpoint(was->endpoint),
        .forced_route = was->features & RECORD_FORCED ? was->route : STR_NULL};
    if (a && a->rc == 0 && a->body.request_headers.n)
        read_headers(c, a->body.request_headers, &r);
    explain(c, &r, was->key, was);
}

static void explain_record(struct call *c)
{
    struct store_query q = {.kind = STORE_ASK_BODY, .id = call_record(c)->id};
    if (c->admin->start.store)
        call_ask(c, &q, explain_with_body);
    else
        explain_with_body(c, NULL);
}

static bool looks_like_id(struct str s)
{
    bool ok = s.n == 26;
    for (size_t i = 0; ok && i < s.n; i++)
        ok = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'z');
    return ok;
}

void post_explain(struct call *c)
{
    struct str asked = c->args[0];
    if (!call_allows(c, "model key session tags client prompt_tokens stream tools images route set"))
        return;
    if (looks_like_id(asked)) {
        call_with_record(c, explain_record);
        return;
    }
    struct request_facts f = {.n = 1, .stream = json_bool(c->body, "stream", false),
        .tools = json_bool(c->body, "tools", false), .images = json_bool(c->body, "images", false),
        .prompt_tokens = json_int(c->body, "prompt_tokens", 0)};
    struct str model = call_text(c, "model");
    struct plan_request r = {.asked = model.n ? model : asked, .session = call_text(c, "session"),
        .tags = call_text(c, "tags"), .user_agent = call_text(c, "client"), .facts = &f,
        .wire = WIRE_CHAT};
    explain(c, &r, call_text(c, "key"), NULL);
}
