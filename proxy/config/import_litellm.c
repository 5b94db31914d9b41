/* import_litellm.c: reads a LiteLLM proxy configuration: model_list, litellm_settings,
 * router_settings, general_settings. What has no counterpart is named, with its line, never dropped in
 * silence: a team must be able to read what will be different.
 *
 * A deployment becomes a target; deployments with the same place and key share a provider; a
 * model_name becomes a route, unless it only repeats provider/model, which needs none. */
#include "proxy/config/config.h"
#include "proxy/config/import.h"
#include "proxy/config/options.h"
#include "proxy/config/units.h"

#include <stdlib.h>

static const struct {
    const char *prefix, *kind, *dialect, *base_url, *variable;
} kinds[] = {
    {"openai", "openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY"},
    {"text-completion-openai", "openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY"},
    {"azure", "azure", "azure", "", "AZURE_API_KEY"},
    {"anthropic", "anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"},
    {"gemini", "gemini", "gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY"},
    {"openrouter", "openrouter", "openai", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"},
    {"groq", "groq", "openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY"},
    {"mistral", "mistral", "openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"},
    {"deepseek", "deepseek", "openai", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"},
    {"xai", "xai", "openai", "https://api.x.ai/v1", "XAI_API_KEY"},
    {"together_ai", "together", "openai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY"},
    {"fireworks_ai", "fireworks", "openai", "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_AI_API_KEY"},
    {"cerebras", "cerebras", "openai", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"},
    {"perplexity", "perplexity", "openai", "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"},
    {"ollama", "ollama", "openai", "http://127.0.0.1:11434/v1", ""},
    {"ollama_chat", "ollama", "openai", "http://127.0.0.1:11434/v1", ""},
    {"hosted_vllm", "vllm", "openai", "", ""},
    {"lm_studio", "lmstudio", "openai", "http://127.0.0.1:1234/v1", ""},
    {"litellm_proxy", "litellm", "openai", "", ""},
};

static void leave_out(struct import *m, const struct yaml *at, const char *where, struct str what,
    const char *why)
{
    buf_printf(m->left_out, "%u:%u: %s%s" STR_FMT ": %s\n", at->key_line ? at->key_line : at->line,
        at->key_column ? at->key_column : at->column, where, *where ? "." : "",
        STR_ARG(str_first(what, 100)), why);
}

static struct str text_of(const struct yaml *map, const char *key)
{
    const struct yaml *n = yaml_get(map, key);
    return n && n->kind == YAML_TEXT ? n->text : STR_NULL;
}

/* "os.environ/NAME" → "env:NAME". */
static struct str reference(struct import *m, struct str s)
{
    if (!str_starts(s, STR("os.environ/")))
        return s;
    return arena_printf(m->a, "env:" STR_FMT, STR_ARG(str_from(s, 11)));
}

/* "azure/gpt-4o-eu" → its row and the model; a bare name by its maker. False when unknown. */
static bool split_model(struct str model, size_t *row, struct str *rest)
{
    ptrdiff_t slash = str_chr(model, '/');
    struct str prefix = slash < 0 ? STR_NULL : str_first(model, (size_t)slash);
    *rest = slash < 0 ? model : str_from(model, (size_t)slash + 1);
    if (slash < 0) {
        static const char *const openai[] = {
            "gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-"};
        for (size_t i = 0; i < ARRAY_LEN(openai); i++)
            if (str_starts(model, str_c(openai[i])))
                prefix = STR("openai");
        if (str_starts(model, STR("claude-")))
            prefix = STR("anthropic");
    }
    for (*row = 0; *row < ARRAY_LEN(kinds); ++*row)
        if (prefix.n && str_eq(prefix, str_c(kinds[*row].prefix)))
            return true;
    return false;
}

static bool same_place(const struct import_provider *a, const struct import_provider *b)
{
    return str_eq(a->kind, b->kind) && str_eq(a->base_url, b->base_url) && str_eq(a->key, b->key) &&
           str_eq(a->api_version, b->api_version) && str_eq(a->organization, b->organization) &&
           a->headers == b->headers;
}

/* The index of the provider, made when new; -1 when there are too many. */
static int provider_of(struct import *m, struct import_provider *p)
{
    size_t same_kind = 0;
    for (size_t i = 0; i < m->provider_count; i++) {
        if (same_place(&m->providers[i], p)) {
            m->providers[i].most_at_once += p->most_at_once;
            return (int)i;
        }
        same_kind += str_eq(m->providers[i].kind, p->kind);
    }
    if (m->provider_count == IMPORT_PROVIDERS_MAX)
        return -1;
    p->name =
        same_kind ? arena_printf(m->a, STR_FMT "-%zu", STR_ARG(p->kind), same_kind + 1) : p->kind;
    m->providers[m->provider_count] = *p;
    return (int)m->provider_count++;
}

static int64_t number_of(const struct yaml *map, const char *key, int64_t otherwise)
{
    int64_t v;
    struct str text = text_of(map, key);
    return text.n && unit_count(text, &v, NULL) == 0 ? v : otherwise;
}

static struct import_route *route_of(struct import *m, struct str name)
{
    for (size_t i = 0; i < m->route_count; i++)
        if (str_eq(m->routes[i].name, name))
            return &m->routes[i];
    if (m->route_count == IMPORT_ROUTES_MAX)
        return NULL;
    m->routes[m->route_count].name = name;
    return &m->routes[m->route_count++];
}

static void read_price(struct import *m, const struct yaml *params, const struct yaml *info,
    const struct import_provider *p, struct str model)
{
    static const char *const names[] = {"input_cost_per_token", "output_cost_per_token",
        "cache_read_input_token_cost", "cache_creation_input_token_cost"};
    struct import_price price = {.input = -1, .output = -1, .cached = -1, .cache_write = -1};
    int64_t *to[] = {&price.input, &price.output, &price.cached, &price.cache_write};
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct yaml *from = yaml_get(params, names[i]) ? params : info;
        struct str text = text_of(from, names[i]);
        struct err e;
        if (text.n && unit_fee(text, to[i], &e) < 0)
            leave_out(m, yaml_get(from, names[i]), "", str_c(names[i]), e.text);
        else
            any = any || text.n;
    }
    if (!any || m->price_count == IMPORT_ROUTES_MAX)
        return;
    price.key = arena_printf(m->a, STR_FMT "/" STR_FMT, STR_ARG(p->name), STR_ARG(model));
    m->prices[m->price_count++] = price;
}

static bool is_known(struct str key, const char *const *known, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(key, str_c(known[i])))
            return true;
    return false;
}

static void name_unknown(struct import *m, const struct yaml *map, const char *where,
    const char *const *known, size_t n)
{
    for (const struct yaml *c = map && map->kind == YAML_MAP ? map->first : NULL; c; c = c->next)
        if (!is_known(c->key, known, n) && c->kind != YAML_NULL)
            leave_out(m, c, where, c->key, "has no counterpart");
}

static bool read_place(
    struct import *m, const struct yaml *params, size_t row, struct import_provider *p)
{
    struct str base =
        text_of(params, "api_base").n ? text_of(params, "api_base") : text_of(params, "base_url");
    struct str key = text_of(params, "api_key");
    *p = (struct import_provider){.kind = str_c(kinds[row].kind),
        .dialect = str_c(kinds[row].dialect),
        .base_url = base.n ? base : str_c(kinds[row].base_url),
        .key = key.n ? reference(m, key) : STR_NULL,
        .api_version = text_of(params, "api_version"),
        .organization = text_of(params, "organization"),
        .headers = yaml_get(params, "extra_headers"),
        .most_at_once = number_of(params, "max_parallel_requests", 0)};
    if (!key.n && *kinds[row].variable && (!base.n || str_eq(p->kind, STR("azure"))))
        p->key = arena_printf(m->a, "env:%s", kinds[row].variable);
    if (str_starts(base, STR("os.environ/"))) {
        leave_out(m, params, "litellm_params", STR("api_base"),
            "write the URL itself: addresses are not "
            "taken from the environment");
        return false;
    }
    if (!p->base_url.n)
        leave_out(m, params, "litellm_params", STR("api_base"),
            "is missing: this deployment is left out");
    if (str_eq(p->kind, STR("ollama")) && base.n &&
        !str_ends(base, STR("/v1"))) /* its own API there */
        p->base_url =
            arena_printf(m->a, STR_FMT "%sv1", STR_ARG(base), str_ends(base, STR("/")) ? "" : "/");
    return p->base_url.n > 0;
}

/* A name that only repeats provider/model is understood as it stands. */
static bool needs_no_route(struct import *m, const struct yaml *entry, struct str name)
{
    if (str_chr(name, '/') < 0)
        return false;
    leave_out(m, entry, "model_list", name,
        "a route's name holds no `/`: ask for provider/model instead");
    return true;
}

static void add_target(struct import *m, const struct yaml *entry, const struct yaml *params,
    struct str name, unsigned provider, struct str model)
{
    struct import_route *route = route_of(m, name);
    if (!route || route->target_count == IMPORT_TARGETS_MAX) {
        leave_out(m, entry, "model_list", name, "too many routes or targets");
        return;
    }
    if (str_chr(model, '*') >= 0) {
        if (!str_eq(model, name) && !str_eq(model, STR("*"))) {
            leave_out(
                m, entry, "model_list", name, "a pattern that changes the name: list the models");
            return;
        }
        model = STR("$model"); /* "claude-*" → "anthropic/claude-*" keeps the asked name */
    }
    route->targets[route->target_count++] = (struct import_target){provider, model,
        number_of(params, "weight", -1), number_of(params, "order", -1)};
}

static void read_deployment(struct import *m, const struct yaml *entry)
{
    static const char *const known[] = {"model", "api_base", "base_url", "api_key", "api_version",
        "organization", "extra_headers", "max_parallel_requests", "weight", "order",
        "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
        "cache_creation_input_token_cost", "drop_params"};
    const struct yaml *params = yaml_get(entry, "litellm_params");
    struct str name = text_of(entry, "model_name"), model = text_of(params, "model"), rest;
    struct import_provider p;
    size_t row;
    if (!name.n || !model.n) {
        leave_out(m, entry, "model_list", name, "has no model_name or no litellm_params.model");
        return;
    }
    if (!split_model(model, &row, &rest)) {
        leave_out(m, entry, "model_list", name, "a provider that pointsman does not speak to");
        return;
    }
    name_unknown(m, params, "litellm_params", known, ARRAY_LEN(known));
    if (!read_place(m, params, row, &p))
        return;
    int index = provider_of(m, &p);
    if (index < 0) {
        leave_out(m, entry, "model_list", name, "too many providers");
        return;
    }
    read_price(m, params, yaml_get(entry, "model_info"), &m->providers[index], rest);
    if (!needs_no_route(m, entry, name))
        add_target(m, entry, params, name, (unsigned)index, rest);
}

/* [{ "gpt-4o": ["claude"] }] */
static void read_fallbacks(struct import *m, const struct yaml *list)
{
    for (const struct yaml *one = list && list->kind == YAML_LIST ? list->first : NULL; one;
         one = one->next) {
        for (const struct yaml *c = one->kind == YAML_MAP ? one->first : NULL; c; c = c->next) {
            struct import_route *route = NULL;
            for (size_t i = 0; i < m->route_count; i++)
                if (str_eq(m->routes[i].name, c->key))
                    route = &m->routes[i];
            if (!route) {
                leave_out(m, c, "fallbacks", c->key, "no deployment has this name");
                continue;
            }
            for (const struct yaml *to = c->kind == YAML_LIST ? c->first : NULL; to; to = to->next)
                if (to->kind == YAML_TEXT && route->fallback_count < IMPORT_TARGETS_MAX)
                    route->fallback[route->fallback_count++] = to->text;
        }
    }
}

static void read_default_fallbacks(struct import *m, const struct yaml *list)
{
    for (const struct yaml *to = list && list->kind == YAML_LIST ? list->first : NULL; to;
         to = to->next)
        for (size_t i = 0; i < m->route_count; i++)
            if (to->kind == YAML_TEXT && !str_eq(m->routes[i].name, to->text) &&
                m->routes[i].fallback_count < IMPORT_TARGETS_MAX)
                m->routes[i].fallback[m->routes[i].fallback_count++] = to->text;
}

static void read_strategy(struct import *m, const struct yaml *router)
{
    static const char *const map[][2] = {{"simple-shuffle", "weighted"},
        {"least-busy", "least-busy"}, {"usage-based-routing", "usage"},
        {"usage-based-routing-v2", "usage"}, {"latency-based-routing", "lowest-latency"},
        {"cost-based-routing", "lowest-cost"}};
    struct str asked = text_of(router, "routing_strategy");
    m->policy = STR("weighted");
    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (str_eq(asked, str_c(map[i][0]))) {
            m->policy = str_c(map[i][1]);
            return;
        }
    }
    if (asked.n)
        leave_out(m, yaml_get(router, "routing_strategy"), "router_settings", asked,
            "is taken as policy: weighted");
}

static void read_aliases(struct import *m, const struct yaml *aliases)
{
    for (const struct yaml *c = aliases && aliases->kind == YAML_MAP ? aliases->first : NULL; c;
         c = c->next) {
        struct import_route *route =
            c->kind == YAML_TEXT && str_chr(c->key, '/') < 0 ? route_of(m, c->key) : NULL;
        if (route && route->target_count == 0)
            route->alias_of = c->text;
        else
            leave_out(m, c, "model_group_alias", c->key, "can't be carried over");
    }
}

/* "30d", "1h", "7d": the window that it is, or none. */
static const char *window_of(struct str duration)
{
    static const char *const map[][2] = {{"1m", "minute"}, {"1h", "hour"}, {"24h", "day"},
        {"1d", "day"}, {"7d", "week"}, {"1w", "week"}, {"30d", "month"}, {"1mo", "month"}};
    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        if (str_eq(duration, str_c(map[i][0])))
            return map[i][1];
    return duration.n ? NULL : "total";
}

static void read_budget_settings(struct import *m, const struct yaml *settings)
{
    struct str amount = text_of(settings, "max_budget");
    const char *window = window_of(text_of(settings, "budget_duration"));
    int64_t nano;
    if (!amount.n)
        return;
    if (!window || unit_money(amount, &nano, NULL) < 0 || nano == 0)
        leave_out(m, yaml_get(settings, "max_budget"), "litellm_settings", STR("max_budget"),
            "this amount or duration has no counterpart; give the keys budgets");
    else if (!m->master_key.n)
        leave_out(m, yaml_get(settings, "max_budget"), "litellm_settings", STR("max_budget"),
            "there is no key to carry it; give the keys budgets");
    else {
        m->budget_amount = amount;
        m->budget_window = str_c(window);
    }
}

static void read_settings(struct import *m, const struct yaml *root)
{
    static const char *const litellm[] = {"fallbacks", "context_window_fallbacks",
        "content_policy_fallbacks", "default_fallbacks", "num_retries", "request_timeout",
        "max_budget", "budget_duration", "drop_params"};
    static const char *const router[] = {"routing_strategy", "model_group_alias", "num_retries",
        "timeout", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks",
        "default_fallbacks"};
    static const char *const general[] = {"master_key"};
    static const char *const top[] = {
        "model_list", "litellm_settings", "router_settings", "general_settings"};
    const struct yaml *l = yaml_get(root, "litellm_settings"),
                      *r = yaml_get(root, "router_settings"),
                      *g = yaml_get(root, "general_settings");
    name_unknown(m, l, "litellm_settings", litellm, ARRAY_LEN(litellm));
    name_unknown(m, r, "router_settings", router, ARRAY_LEN(router));
    name_unknown(m, g, "general_settings", general, ARRAY_LEN(general));
    name_unknown(m, root, "", top, ARRAY_LEN(top));
    read_strategy(m, r);
    read_aliases(m, yaml_get(r, "model_group_alias"));
    const struct yaml *both[] = {l, r};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        read_fallbacks(m, yaml_get(both[i], "fallbacks"));
        read_fallbacks(m, yaml_get(both[i], "context_window_fallbacks"));
        read_fallbacks(m, yaml_get(both[i], "content_policy_fallbacks"));
        read_default_fallbacks(m, yaml_get(both[i], "default_fallbacks"));
        m->retries = number_of(both[i], "num_retries", m->retries);
    }
    m->timeout_s = number_of(r, "timeout", number_of(l, "request_timeout", -1));
    m->master_key = reference(m, text_of(g, "master_key"));
    if (m->master_key.n && m->master_key.n < 16 && !str_starts(m->master_key, STR("env:"))) {
        leave_out(m, yaml_get(g, "master_key"), "general_settings", STR("master_key"),
            "has fewer than 16 characters: make keys with `pointsman key add`");
        m->master_key = STR_NULL;
    }
    read_budget_settings(m, l);
}

int config_import_litellm(struct str text, struct buf *yaml, struct buf *left_out, struct err *e)
{
    struct arena a;
    struct yaml_fault f;
    arena_init(&a, 64 << 10, 64 << 20);
    struct import *m = arena_zalloc(&a, sizeof *m);
    struct yaml *root = yaml_read(text, &a, &f);
    int rc = 0;
    if (m) {
        *m = (struct import){.a = &a, .left_out = left_out, .retries = -1, .timeout_s = -1};
        m->routes = arena_zalloc(&a, IMPORT_ROUTES_MAX * sizeof *m->routes);
        m->prices = arena_zalloc(&a, IMPORT_ROUTES_MAX * sizeof *m->prices);
    }
    const struct yaml *list = root ? yaml_get(root, "model_list") : NULL;
    if (!m || !m->routes || !m->prices)
        rc = err_set(e, ERR_NOMEM, "out of memory");
    else if (!root)
        rc = err_set(e, ERR_SYNTAX, "%u:%u: %s", f.line, f.column, f.text);
    else if (!list || list->kind != YAML_LIST)
        rc = err_set(e, ERR_TYPE, "no `model_list`: this is not a LiteLLM configuration");
    for (const struct yaml *c = rc == 0 ? list->first : NULL; c; c = c->next)
        read_deployment(m, c);
    if (rc == 0) {
        read_settings(m, root);
        import_write(m, yaml);
        rc = yaml->err || left_out->err ? err_set(e, ERR_LIMIT, "the configuration is too large")
                                        : 0;
    }
    arena_fini(&a);
    return rc;
}
