/* import_litellm.c: reads a LiteLLM proxy configuration: the model_list here, what a deployment says of
 * itself in import_params.c, the settings in import_settings.c. What has no counterpart is named, with
 * its line, never dropped in silence: a team must be able to read what will be different.
 *
 * A deployment becomes a target; deployments with the same place and key share a provider; a
 * model_name becomes a route, unless it only repeats provider/model, which needs none. */
#include "proxy/config/config.h"
#include "proxy/config/environment.h"
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
    {"moonshot", "moonshot", "openai", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"},
    {"nvidia_nim", "nvidia", "openai", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"},
    {"sambanova", "sambanova", "openai", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"},
    {"deepinfra", "deepinfra", "openai", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"},
    {"dashscope", "dashscope", "openai", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY"},
    {"azure_ai", "azure-ai", "openai", "", "AZURE_AI_API_KEY"},
    {"custom_openai", "custom", "openai", "", ""},
    {"openai_like", "custom", "openai", "", ""},
    {"ollama", "ollama", "openai", "http://127.0.0.1:11434/v1", ""},
    {"ollama_chat", "ollama", "openai", "http://127.0.0.1:11434/v1", ""},
    {"hosted_vllm", "vllm", "openai", "", ""},
    {"lm_studio", "lmstudio", "openai", "http://127.0.0.1:1234/v1", ""},
    {"litellm_proxy", "litellm", "openai", "", ""},
};

void import_leave_out(const struct import *m, const struct yaml *at, const char *where,
    struct str what, const char *why)
{
    buf_printf(m->left_out, STR_FMT "%s%u:%u: %s%s" STR_FMT ": %s\n", STR_ARG(m->file), m->file.n ? ":" : "",
        at->key_line ? at->key_line : at->line, at->key_column ? at->key_column : at->column, where,
        *where ? "." : "", STR_ARG(str_first(what, 100)), why);
}

struct str import_text(const struct yaml *map, const char *key)
{
    const struct yaml *n = yaml_get(map, key);
    return n && n->kind == YAML_TEXT ? n->text : STR_NULL;
}

/* "os.environ/NAME" → "env:NAME". */
struct str import_reference(struct import *m, struct str s)
{
    if (!str_starts(s, STR("os.environ/")))
        return s;
    return arena_printf(m->a, "env:" STR_FMT, STR_ARG(str_from(s, 11)));
}

static bool find_kind(struct str prefix, size_t *row)
{
    for (*row = 0; *row < ARRAY_LEN(kinds); ++*row)
        if (prefix.n && str_eq(prefix, str_c(kinds[*row].prefix)))
            return true;
    return false;
}

/* "azure/gpt-4o-eu" → its row and the model; a bare name by what it is said to be, else by its maker.
 * False when unknown. */
static bool split_model(struct str model, struct str said, size_t *row, struct str *rest)
{
    ptrdiff_t slash = str_chr(model, '/');
    if (said.n && (slash < 0 || !str_eq(str_first(model, (size_t)slash), said))) {
        *rest = model;
        return find_kind(said, row);
    }
    struct str prefix = slash < 0 ? STR_NULL : str_first(model, (size_t)slash);
    *rest = slash < 0 ? model : str_from(model, (size_t)slash + 1);
    if (slash < 0) {
        static const char *const openai[] = {
            "gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-",
            "whisper-", "tts-", "dall-e-", "omni-moderation-", "computer-use-", "codex-", "davinci-", "babbage-"};
        for (size_t i = 0; i < ARRAY_LEN(openai); i++)
            if (str_starts(model, str_c(openai[i])))
                prefix = STR("openai");
        if (str_starts(model, STR("claude-")))
            prefix = STR("anthropic");
    }
    return find_kind(prefix, row);
}

static bool same_place(const struct import_provider *a, const struct import_provider *b)
{
    return str_eq(a->kind, b->kind) && str_eq(a->base_url, b->base_url) && str_eq(a->key, b->key) &&
           str_eq(a->api_version, b->api_version) && str_eq(a->organization, b->organization) &&
           a->headers == b->headers && a->total_ms == b->total_ms &&
           a->first_token_ms == b->first_token_ms;
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

int64_t import_number(const struct yaml *map, const char *key, int64_t otherwise)
{
    int64_t v;
    struct str text = import_text(map, key);
    return text.n && unit_count(text, &v, NULL) == 0 ? v : otherwise;
}

struct import_route *import_route_of(struct import *m, struct str name)
{
    for (size_t i = 0; i < m->route_count; i++)
        if (str_eq(m->routes[i].name, name))
            return &m->routes[i];
    if (m->route_count == IMPORT_ROUTES_MAX)
        return NULL;
    m->routes[m->route_count].name = name;
    m->routes[m->route_count].retries = -1;
    return &m->routes[m->route_count++];
}

/* What a bare "has no counterpart" would leave open. */
static const char *why_not(struct str key)
{
    static const char *const whys[][2] = {
        {"rpm", "no limit per deployment; under simple-shuffle it is taken as the weight"},
        {"tpm", "no limit per deployment; under simple-shuffle it is taken as the weight"},
        {"cooldown_time", "not carried: each target has a circuit breaker of its own"},
        {"allowed_fails", "not carried: each target has a circuit breaker of its own"},
        {"allowed_fails_policy", "not carried: each target has a circuit breaker of its own"},
        {"disable_cooldowns", "not carried: each target has a circuit breaker of its own"},
        {"retry_after", "needs no setting: Retry-After and jitter decide"},
        {"routing_strategy_args", "not carried: see what the route's policy has, `latency`, `sticky`"},
        {"tags", "no tags of deployments: write a rule, `if: { tag: … }`"},
        {"tag_regex", "no tags of deployments: write a rule, `if: { client: … }`"},
        {"enable_tag_filtering", "no tags of deployments: write a rule, `if: { tag: … }`"},
        {"provider_budget_config", "no budget per provider: give routes or keys one"},
        {"default_internal_user_params", "there are no users here: give keys budgets"},
        {"default_team_params", "teams are made under `teams`"},
        {"default_team_settings", "teams are made under `teams`"},
        {"upperbound_key_generate_params", "who may make keys is said under `access`"},
        {"model_group_info", "has no counterpart: /v1/models lists every route"},
        {"mode", "needs no setting: the request's path says it"},
        {"id", "has no counterpart: a target is called provider/model"},
        {"set_verbose", "not carried: the log goes to standard error"},
        {"json_logs", "not carried: the log goes to standard error"},
        {"success_callback", "has no counterpart: /metrics and `tail --json` tell the same"},
        {"failure_callback", "has no counterpart: /metrics and `tail --json` tell the same"},
        {"callbacks", "has no counterpart: /metrics and `tail --json` tell the same"},
        {"alerting", "not carried: see `notify`"},
        {"enable_pre_call_checks", "needs no switch: context windows are always looked at"},
        {"cache", "has no counterpart: answers are not cached"},
        {"cache_params", "has no counterpart: answers are not cached"},
        {"database_url", "not carried: pointsman keeps its own store in the data folder"},
        {"environment_variables", "not carried: set them where pointsman starts"}};
    for (size_t i = 0; i < ARRAY_LEN(whys); i++)
        if (str_eq(key, str_c(whys[i][0])))
            return whys[i][1];
    return "has no counterpart";
}

static bool is_known(struct str key, const char *const *known, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(key, str_c(known[i])))
            return true;
    return false;
}

void import_name_unknown(
    struct import *m, const struct yaml *map, const char *where, const char *const *known, size_t n)
{
    for (const struct yaml *c = map && map->kind == YAML_MAP ? map->first : NULL; c; c = c->next)
        if (!is_known(c->key, known, n) && c->kind != YAML_NULL)
            import_leave_out(m, c, where, c->key, why_not(c->key));
}

/* Only texts, and none from the environment: it would be sent as it stands. */
static void read_headers(struct import *m, const struct yaml *headers)
{
    for (const struct yaml *h = headers && headers->kind == YAML_MAP ? headers->first : NULL; h;
         h = h->next)
        if (!import_header(h))
            import_leave_out(m, h, "litellm_params.extra_headers", h->key,
                "a header is a text of its own, not taken from the environment");
}

bool import_header(const struct yaml *h)
{
    return h->kind == YAML_TEXT && !str_starts(h->text, STR("os.environ/"));
}

static bool read_place(
    struct import *m, const struct yaml *params, size_t row, struct import_provider *p)
{
    struct str base, version, organization;
    const char *base_key = import_param(m, params, "api_base") ? "api_base" : "base_url";
    if (!import_resolve(m, params, base_key, &base) || !import_resolve(m, params, "api_version", &version) ||
        !import_resolve(m, params, "organization", &organization))
        return false;
    const struct yaml *secret = import_param(m, params, "api_key");
    struct str key = secret && secret->kind == YAML_TEXT ? secret->text : STR_NULL;
    *p = (struct import_provider){.kind = str_c(kinds[row].kind),
        .dialect = str_c(kinds[row].dialect),
        .base_url = base.n ? base : str_c(kinds[row].base_url),
        .key = key.n ? import_reference(m, key) : STR_NULL,
        .api_version = str_eq(str_c(kinds[row].kind), STR("azure")) ? version : STR_NULL,
        .organization = organization,
        .headers = yaml_get(params, "extra_headers"),
        .most_at_once = import_number(params, "max_parallel_requests", 0),
        .total_ms = import_seconds(m, params, "litellm_params", "timeout"),
        .first_token_ms = import_seconds(m, params, "litellm_params", "stream_timeout")};
    if (!key.n && *kinds[row].variable && (!base.n || str_eq(p->kind, STR("azure"))))
        p->key = arena_printf(m->a, "env:%s", kinds[row].variable);
    read_headers(m, p->headers);
    if (!p->base_url.n)
        import_leave_out(m, params, "litellm_params", STR("api_base"),
            "is missing: this deployment is left out");
    if (str_eq(p->kind, STR("ollama")) && base.n &&
        !str_ends(base, STR("/v1"))) /* its own API there */
        p->base_url =
            arena_printf(m->a, STR_FMT "%sv1", STR_ARG(base), str_ends(base, STR("/")) ? "" : "/");
    return p->base_url.n > 0;
}

/* In thousandths, for there weights are fractions: 0.9 and 0.1. -1 = not given. */
static int64_t weight_of(struct import *m, const struct yaml *params, const char *key)
{
    struct str text = import_text(params, key);
    struct err e;
    int64_t v;
    if (!text.n)
        return -1;
    if (unit_decimal(text, 3, &v, &e) == 0 && v >= 0 && v < INT64_MAX / 10000)
        return v;
    import_leave_out(m, yaml_get(params, key), "litellm_params", str_c(key), "is no number");
    return -1;
}

/* A name that can't be a route's is still one that fallbacks and aliases may mean. */
static bool can_be_written(struct import *m, const struct yaml *entry, struct str name,
    const struct import_provider *p, struct str model)
{
    struct str why = STR_NULL;
    ptrdiff_t slash = str_chr(name, '/');
    if (slash > 0 && str_eq(str_first(name, (size_t)slash), p->name) &&
        str_eq(str_from(name, (size_t)slash + 1), model))
        return false; /* provider/model is asked for without a route */
    if (slash >= 0)
        why = arena_printf(m->a,
            "a route's name holds no `/`: ask for " STR_FMT "/" STR_FMT " instead",
            STR_ARG(p->name), STR_ARG(str_first(model, 100)));
    for (size_t i = 0; i < name.n && !why.n; i++)
        if ((unsigned char)name.p[i] <= 0x20 || name.p[i] == 0x7f || name.n > 64)
            why = STR("a route's name has at most 64 characters and no blanks: rename it");
    if (why.n)
        import_leave_out(m, entry, "model_list", name, why.p);
    return !why.n;
}

static void add_target(struct import *m, const struct yaml *entry, const struct yaml *params,
    struct str name, unsigned provider, struct str model)
{
    bool written = can_be_written(m, entry, name, &m->providers[provider], model);
    const char *window = import_window(import_text(params, "budget_duration"));
    struct import_route *route = import_route_of(m, name);
    if (!route || route->target_count == IMPORT_TARGETS_MAX) {
        import_leave_out(m, entry, "model_list", name, "too many routes or targets");
        return;
    }
    if (written && str_chr(model, '*') >= 0) {
        if (!str_eq(model, name) && !str_eq(model, STR("*"))) {
            import_leave_out(
                m, entry, "model_list", name, "a pattern that changes the name: list the models");
            return;
        }
        model = STR("$model"); /* "claude-*" → "anthropic/claude-*" keeps the asked name */
    }
    route->unwritten = !written;
    int64_t retries = import_number(params, "max_retries", -1);
    route->retries = MAX(route->retries, import_number(params, "num_retries", retries));
    route->targets[route->target_count++] = (struct import_target){.provider = provider,
        .model = model,
        .at = entry,
        .weight = weight_of(m, params, "weight"),
        .rpm = weight_of(m, params, "rpm"),
        .tpm = weight_of(m, params, "tpm"),
        .order = import_number(params, "order", -1),
        .budget_amount = import_text(params, "max_budget"),
        .budget_window = window ? str_c(window) : STR_NULL};
}

static void unknown_provider(
    struct import *m, const struct yaml *entry, struct str name, struct str model)
{
    ptrdiff_t slash = str_chr(model, '/');
    struct str who = slash < 0 ? model : str_first(model, (size_t)slash);
    struct str why =
        str_eq(model, STR("*"))
            ? STR("a pattern over every provider: ask for provider/model instead")
            : arena_printf(m->a, "a provider that pointsman does not speak to: " STR_FMT,
                  STR_ARG(str_first(who, 100)));
    import_leave_out(m, entry, "model_list", name, why.n ? why.p : "out of memory");
}

static bool has_credential(struct import *m, const struct yaml *params)
{
    const struct yaml *list = m->credentials, *named = yaml_get(params, "litellm_credential_name");
    for (const struct yaml *c = list && list->kind == YAML_LIST ? list->first : NULL; c && named; c = c->next)
        if (str_eq(import_text(c, "credential_name"), named->text))
            return true;
    if (named)
        import_leave_out(m, named, "litellm_params", named->key,
            "no credential of this name in credential_list: this deployment is left out");
    return !named;
}

static void read_deployment(struct import *m, const struct yaml *entry)
{
    static const char *const known[] = {"model", "api_base", "base_url", "api_key", "api_version",
        "organization", "extra_headers", "max_parallel_requests", "weight", "order",
        "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
        "cache_creation_input_token_cost", "drop_params", "timeout", "stream_timeout", "num_retries",
        "max_retries", "max_budget", "budget_duration", "litellm_credential_name", "custom_llm_provider"};
    static const char *const told[] = {"input_cost_per_token", "output_cost_per_token",
        "cache_read_input_token_cost", "cache_creation_input_token_cost", "max_tokens", "max_input_tokens",
        "max_output_tokens"};
    static const char *const parts[] = {"model_name", "litellm_params", "model_info"};
    const struct yaml *params = yaml_get(entry, "litellm_params");
    struct str name = import_text(entry, "model_name"), model = import_text(params, "model"), rest;
    struct import_provider p;
    size_t row;
    if (!name.n || !model.n) {
        import_leave_out(
            m, entry, "model_list", name, "has no model_name or no litellm_params.model");
        return;
    }
    if (!split_model(model, import_text(params, "custom_llm_provider"), &row, &rest)) {
        unknown_provider(m, entry, name, model);
        return;
    }
    import_name_unknown(m, entry, "model_list", parts, ARRAY_LEN(parts));
    import_name_unknown(m, params, "litellm_params", known, ARRAY_LEN(known));
    import_name_unknown(m, yaml_get(entry, "model_info"), "model_info", told, ARRAY_LEN(told));
    if (!has_credential(m, params) || !read_place(m, params, row, &p))
        return;
    int index = provider_of(m, &p);
    if (index < 0) {
        import_leave_out(m, entry, "model_list", name, "too many providers");
        return;
    }
    import_price(m, params, yaml_get(entry, "model_info"), &m->providers[index], rest);
    add_target(m, entry, params, name, (unsigned)index, rest);
}

static void read_models(struct import *m, const struct yaml *list)
{
    for (const struct yaml *c = list && list->kind == YAML_LIST ? list->first : NULL; c; c = c->next)
        read_deployment(m, c);
}

static int read_root(struct import *m, struct str text, const struct yaml **root, struct err *e)
{
    struct yaml_fault f;
    *root = yaml_read(text, m->a, &f);
    return *root ? 0 : err_set(e, ERR_SYNTAX, STR_FMT "%s%u:%u: %s", STR_ARG(m->file),
        m->file.n ? ":" : "", f.line, f.column, f.text);
}

/* Of an included file only the models are taken; what else it says is named. */
static int read_included(struct import *m, const struct config_foreign *from, const struct yaml *at,
    struct err *e)
{
    static const char *const taken[] = {"model_list"};
    struct buf text;
    const struct yaml *root = NULL;
    if (at->kind != YAML_TEXT || !from->read) {
        import_leave_out(m, at, "include", at->text, "is not read: import that file too");
        return 0;
    }
    buf_init(&text, YAML_BYTES_MAX);
    int rc = from->read(from->ctx, at->text, &text, e);
    m->file = at->text;
    struct str kept = rc == 0 ? arena_str(m->a, buf_str(&text)) : STR_NULL;
    buf_fini(&text);
    rc = rc == 0 ? read_root(m, kept, &root, e) : rc;
    if (rc == 0) {
        read_models(m, yaml_get(root, "model_list"));
        import_name_unknown(m, root, "", taken, ARRAY_LEN(taken));
    }
    m->file = STR_NULL;
    return rc;
}

static int read_all(struct import *m, const struct config_foreign *from, struct err *e)
{
    const struct yaml *root;
    int rc = read_root(m, from->text, &root, e);
    if (rc < 0)
        return rc;
    const struct yaml *list = yaml_get(root, "model_list"), *include = yaml_get(root, "include");
    const struct yaml *variables = yaml_get(root, "environment_variables");
    if (!include && (!list || list->kind != YAML_LIST))
        return err_set(e, ERR_TYPE, "no `model_list`: this is not a LiteLLM configuration");
    m->variables = variables && variables->kind == YAML_MAP ? variables : NULL;
    m->credentials = yaml_get(root, "credential_list");
    read_models(m, list);
    for (const struct yaml *c = include && include->kind == YAML_LIST ? include->first : NULL; c && rc == 0;
         c = c->next)
        rc = read_included(m, from, c, e);
    if (rc == 0)
        import_settings(m, root);
    return rc;
}

int config_import_litellm(const struct config_foreign *from, struct buf *yaml, struct buf *left_out,
    struct err *e)
{
    struct arena a;
    arena_init(&a, 64 << 10, 64 << 20);
    struct import *m = arena_zalloc(&a, sizeof *m);
    if (m) {
        *m = (struct import){.a = &a,
            .left_out = left_out,
            .retries = -1,
            .total_ms = -1,
            .first_token_ms = -1,
            .environment = from->environment};
        m->routes = arena_zalloc(&a, IMPORT_ROUTES_MAX * sizeof *m->routes);
        m->prices = arena_zalloc(&a, IMPORT_ROUTES_MAX * sizeof *m->prices);
    }
    int rc = m && m->routes && m->prices ? read_all(m, from, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        import_write(m, yaml);
        rc = yaml->err || left_out->err ? err_set(e, ERR_LIMIT, "the configuration is too large")
                                        : 0;
    }
    arena_fini(&a);
    return rc;
}
