/* Configurations of other gateways, taken over. */
#include "proxy/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const char litellm[] =
    "model_list:\n"
    "  - model_name: gpt-4o\n"
    "    litellm_params: { model: azure/gpt-4o-eu, api_base: https://eu.openai.azure.com/, "
    "api_key: os.environ/AZURE_EU, api_version: 2024-10-21, weight: 3, rpm: 600 }\n"
    "  - model_name: gpt-4o\n"
    "    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, "
    "input_cost_per_token: 2.5e-06, output_cost_per_token: 0.00001 }\n"
    "  - model_name: claude\n"
    "    litellm_params: { model: claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY, "
    "max_parallel_requests: 7 }\n"
    "  - model_name: local\n"
    "    litellm_params: { model: ollama/qwen3, api_base: http://127.0.0.1:11434 }\n"
    "  - model_name: \"claude-*\"\n"
    "    litellm_params: { model: \"anthropic/*\", api_key: os.environ/ANTHROPIC_API_KEY }\n"
    "  - model_name: titan\n"
    "    litellm_params: { model: bedrock/titan }\n"
    "  - model_name: openai/gpt-5\n"
    "    litellm_params: { model: openai/gpt-5, api_key: os.environ/OPENAI_API_KEY }\n"
    "litellm_settings: { num_retries: 2, request_timeout: 600, fallbacks: [{ gpt-4o: [claude, "
    "local] }], callbacks: [langfuse], max_budget: 100, budget_duration: 30d }\n"
    "router_settings: { routing_strategy: least-busy, model_group_alias: { gpt-4: gpt-4o }, "
    "redis_host: x }\n"
    "general_settings: { master_key: sk-1234567890abcdef, database_url: y }\n";

static int import(const char *text, char **env, struct buf *yaml, struct buf *left, struct err *e)
{
    return config_import_litellm(
        &(struct config_foreign){.text = str_c(text), .environment = env}, yaml, left, e);
}

static void a_litellm_file_becomes_one_of_ours(void **state)
{
    (void)state;
    struct buf yaml, left;
    struct err e = {0};
    char *env[] = {"AZURE_EU=az", "OPENAI_API_KEY=o", "ANTHROPIC_API_KEY=a", NULL}, line[700];
    buf_init(&yaml, 1 << 20);
    buf_init(&left, 1 << 20);
    assert_int_equal(import(litellm, env, &yaml, &left, &e), 0);
    static const char *const named[] = {"3:153: litellm_params.rpm: no limit per deployment",
        "model_list.titan: a provider that pointsman does not speak to: bedrock",
        "litellm_settings.callbacks",
        "router_settings.redis_host", "general_settings.database_url"};
    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        if (!strstr(buf_c(&left), named[i]))
            fail_msg("not said: %s\n%s", named[i], buf_c(&left));
    struct config_request q = {.path = "imported.yaml", .text = buf_str(&yaml), .environment = env};
    struct config_complaints *faults = config_complaints_new();
    struct config *c = NULL;
    if (config_load(&q, &c, faults) < 0)
        fail_msg("%s\n%s", config_complaint_text(faults, 0, line, sizeof line), buf_c(&yaml));
    assert_int_equal(c->provider_count, 4);
    assert_int_equal(c->providers[0].dialect, DIALECT_AZURE);
    assert_int_equal(c->providers[0].timeouts.total, 600000000);
    assert_int_equal(c->providers[2].max_concurrent, 7);
    assert_true(str_eq(c->providers[3].base_url, STR("http://127.0.0.1:11434/v1")));
    const struct route *gpt = &c->routes[0];
    assert_int_equal(gpt->policy, POLICY_LEAST_BUSY);
    assert_int_equal(gpt->targets[0].weight, 3);
    assert_int_equal(gpt->fallback_count, 2);
    assert_int_equal(gpt->retry_attempts, 3);
    assert_int_equal(c->route_count, 5);
    assert_true(str_eq(c->routes[3].rules[0].route, STR("gpt-4o")));
    assert_true(str_eq(c->routes[4].targets[0].model, STR("$model")));
    assert_int_equal(c->keys[0].budgets[0].window, WINDOW_MONTH);
    assert_int_equal(c->keys[0].budgets[0].limit_nano, 100000000000);
    assert_int_equal(c->price_overrides[0].base[0].input, 2500000000);
    config_put(c);
    config_complaints_free(faults);
    buf_reset(&yaml);
    assert_int_equal(import("a: 1\n", env, &yaml, &left, &e), -ERR_TYPE);
    assert_int_equal(import("a: [\n", env, &yaml, &left, &e), -ERR_SYNTAX);
    buf_fini(&yaml);
    buf_fini(&left);
}

static const char large[] =
    "model_list:\n"
    "  - model_name: gpt-4o\n"
    "    litellm_params: { model: azure/eu, api_base: os.environ/EU_BASE, api_version: "
    "os.environ/VERSION, api_key: os.environ/AZURE_EU, rpm: 600 }\n"
    "  - model_name: gpt-4o\n"
    "    litellm_params: { model: gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 1800 }\n"
    "  - model_name: shares\n"
    "    litellm_params: { model: gpt-5, weight: 0.9 }\n"
    "  - model_name: shares\n"
    "    litellm_params: { model: gpt-5-mini, weight: 0.1 }\n"
    "  - model_name: tiers\n"
    "    litellm_params: { model: gpt-5 }\n"
    "  - model_name: tiers\n"
    "    litellm_params: { model: gpt-5-mini, order: 2 }\n"
    "  - model_name: tiers\n"
    "    litellm_params: { model: gpt-4o, order: 1 }\n"
    "  - model_name: unset\n"
    "    litellm_params: { model: azure/x, api_base: os.environ/NOWHERE }\n"
    "  - model_name: my model\n"
    "    litellm_params: { model: gpt-5-nano, extra_headers: { x-a: os.environ/A, x-b: b } }\n"
    "    model_info: { base_model: azure/gpt-5 }\n"
    "  - model_name: \"*\"\n"
    "    litellm_params: { model: \"*\" }\n"
    "litellm_settings:\n"
    "  fallbacks: [{ gpt-4o: [shares, unset, \"my model\"] }]\n"
    "  context_window_fallbacks: [{ gpt-4o: [shares, gpt-4o] }]\n"
    "  drop_params: false\n"
    "router_settings:\n"
    "  model_group_alias: { old: { model: gpt-4o, hidden: true }, named: my model, gone: nope }\n"
    "environment_variables: { VERSION: 2024-10-21 }\n";

static void addresses_come_from_the_environment_and_all_that_is_left_is_named(void **state)
{
    (void)state;
    static const char *const named[] = {
        "17:39: litellm_params.api_base: the environment variable NOWHERE is not set",
        "19:59: litellm_params.extra_headers.x-a: a header is a text of its own",
        "20:19: model_info.base_model: has no counterpart",
        "18:5: model_list.my model: a route's name",
        "21:5: model_list.*: a pattern over every provider",
        "fallbacks.gpt-4o: names a model_name that is not carried",
        "25:3: litellm_settings.context_window_fallbacks: carried as fallbacks after every failure",
        "26:3: litellm_settings.drop_params: ", "model_group_alias.old: `hidden`",
        "model_group_alias.gone: leads to no model_name", "29:1: environment_variables: "};
    struct buf yaml, left;
    struct err e = {0};
    char *env[] = {"AZURE_EU=az", "OPENAI_API_KEY=o", "EU_BASE=https://eu.openai.azure.com", NULL};
    char line[700];
    buf_init(&yaml, 1 << 20);
    buf_init(&left, 1 << 20);
    assert_int_equal(import(large, env, &yaml, &left, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        if (!strstr(buf_c(&left), named[i]))
            fail_msg("not said: %s\n%s", named[i], buf_c(&left));
    struct config_request q = {.path = "imported.yaml", .text = buf_str(&yaml), .environment = env};
    struct config_complaints *faults = config_complaints_new();
    struct config *c = NULL;
    if (config_load(&q, &c, faults) < 0)
        fail_msg("%s\n%s", config_complaint_text(faults, 0, line, sizeof line), buf_c(&yaml));
    assert_true(str_eq(c->providers[0].base_url, STR("https://eu.openai.azure.com")));
    assert_true(str_eq(c->providers[0].api_version, STR("2024-10-21")));
    assert_int_equal(c->route_count, 5); /* gpt-4o, shares, tiers, old, named */
    assert_int_equal(c->routes[0].targets[0].weight, 1);
    assert_int_equal(c->routes[0].targets[1].weight, 3);
    assert_int_equal(c->routes[0].fallback_count, 3); /* each once, none of its own */
    assert_int_equal(c->routes[1].targets[0].weight, 9);
    assert_int_equal(c->routes[1].targets[1].weight, 1);
    assert_true(str_eq(c->routes[2].targets[0].model, STR("gpt-4o")));
    assert_true(str_eq(c->routes[2].targets[2].model, STR("gpt-5")));
    assert_true(str_eq(c->routes[4].targets[0].model, STR("gpt-5-nano")));
    config_put(c);
    config_complaints_free(faults);
    buf_fini(&yaml);
    buf_fini(&left);
}

/* What six kinds of teams write, each in a file of its own: who is imported must be accepted here. */
static const struct {
    const char *what, *text;
    const char *holds[9]; /* of ours */
    const char *named[6]; /* as left out */
} teams[] = {
    {"times, retries and budgets of deployments",
        "model_list:\n"
        "  - model_name: fast\n"
        "    litellm_params: { model: openai/gpt-5-mini, timeout: 30, stream_timeout: 2.5, num_retries: 3 }\n"
        "  - model_name: slow\n"
        "    litellm_params: { model: openai/gpt-5, timeout: 600, max_budget: 25, budget_duration: 1d }\n"
        "    model_info: { mode: chat, max_input_tokens: 272000, max_output_tokens: 128000, id: x }\n"
        "  - model_name: both\n"
        "    litellm_params: { model: openai/gpt-5, max_budget: 5, budget_duration: 1d }\n"
        "  - model_name: both\n"
        "    litellm_params: { model: openai/gpt-5-mini, timeout: soon }\n"
        "router_settings:\n"
        "  timeout: 45\n"
        "  stream_timeout: 10\n"
        "  retry_policy: { RateLimitErrorRetries: 4, TimeoutErrorRetries: 2, BadRequestErrorRetries: 0 }\n"
        "  model_group_retry_policy: { slow: { InternalServerErrorRetries: 1 } }\n"
        "  routing_strategy: latency-based-routing\n"
        "  routing_strategy_args: { ttl: 10, lowest_latency_buffer: 0.5 }\n",
        {"openai-2", "timeouts: { first_token: 2500ms, total: 30s }", "timeouts: { first_token: 10s, total: 10m }",
            "timeouts: { first_token: 10s, total: 45s }", "retry: { attempts: 4 }", "retry: { attempts: 2 }",
            "budget: { day: 25 }", "context: 272000, max_output: 128000", "policy: lowest-latency"},
        {"litellm_params.timeout: is no number of seconds", "max_budget: no budget per deployment",
            "retry_policy: one number counts", "BadRequestErrorRetries: what a provider calls wrong",
            "routing_strategy_args: not carried", "model_info.id: "}},
    {"every model of a provider",
        "model_list:\n"
        "  - model_name: \"openai/*\"\n"
        "    litellm_params: { model: \"openai/*\", api_key: os.environ/OPENAI_API_KEY }\n"
        "  - model_name: \"anthropic/*\"\n"
        "    litellm_params: { model: \"anthropic/*\", api_key: os.environ/ANTHROPIC_API_KEY }\n"
        "  - model_name: \"team/*\"\n"
        "    litellm_params: { model: \"openai/*\", api_key: os.environ/OTHER }\n"
        "  - model_name: chat\n"
        "    litellm_params: { model: openai/gpt-5, api_key: os.environ/OPENAI_API_KEY }\n"
        "litellm_settings:\n"
        "  content_policy_fallbacks: [{ chat: [anthropic/claude-sonnet-4-5] }]\n"
        "  context_window_fallbacks: [{ chat: [openai/gpt-4.1] }]\n",
        {"  openai:\n", "  anthropic:\n", "fallback: [openai/gpt-4.1, anthropic/claude-sonnet-4-5]",
            "retry: { on: [429, 5xx, network, timeout, context, content, key] }"},
        {"6:5: model_list.team/*: a route's name holds no `/`: ask for openai-2/*",
            "content_policy_fallbacks: carried as fallbacks", "context_window_fallbacks: carried as"}},
    {"credentials by name",
        "credential_list:\n"
        "  - credential_name: eu\n"
        "    credential_values: { api_key: os.environ/AZURE_EU, api_base: https://eu.openai.azure.com, "
        "api_version: 2024-10-21 }\n"
        "    credential_info: { custom_llm_provider: azure }\n"
        "model_list:\n"
        "  - model_name: gpt\n"
        "    litellm_params: { model: azure/gpt-4o, litellm_credential_name: eu }\n"
        "  - model_name: lost\n"
        "    litellm_params: { model: azure/gpt-4o, litellm_credential_name: us }\n",
        {"https://eu.openai.azure.com", "env:AZURE_EU", "api_version: 2024-10-21"},
        {"litellm_params.litellm_credential_name: no credential of this name"}},
    {"a small shop: everything local",
        "model_list:\n"
        "  - model_name: local\n"
        "    litellm_params: { model: ollama/llama3, api_base: http://localhost:11434 }\n"
        "  - model_name: vllm\n"
        "    litellm_params: { model: hosted_vllm/qwen3, api_base: http://10.0.0.5:8000/v1, api_key: none }\n"
        "  - model_name: bare\n"
        "    litellm_params: { model: qwen3, custom_llm_provider: openai, api_base: http://10.0.0.6:8000/v1 }\n"
        "  - model_name: studio\n"
        "    litellm_params: { model: lm_studio/gemma }\n",
        {"http://localhost:11434/v1", "http://10.0.0.5:8000/v1", "http://10.0.0.6:8000/v1",
            "http://127.0.0.1:1234/v1", "openai/qwen3"},
        {NULL}},
    {"a platform team: tags, teams, callbacks",
        "model_list:\n"
        "  - model_name: gpt-4o\n"
        "    litellm_params: { model: openai/gpt-4o, tags: [free], rpm: 10, tpm: 1000 }\n"
        "  - model_name: gpt-4o\n"
        "    litellm_params: { model: azure_ai/gpt-4o, api_base: https://x.services.ai.azure.com/openai/v1, "
        "tags: [paid], rpm: 90, tpm: 9000 }\n"
        "  - model_name: embed\n"
        "    litellm_params: { model: bedrock/cohere.embed-v4, aws_region_name: us-east-1 }\n"
        "litellm_settings:\n"
        "  callbacks: [prometheus]\n"
        "  cache: true\n"
        "  default_internal_user_params: { max_budget: 100 }\n"
        "  default_team_settings: [{ team_id: a }]\n"
        "general_settings:\n"
        "  master_key: os.environ/LITELLM_MASTER_KEY\n"
        "  alerting: [slack]\n"
        "router_settings:\n"
        "  enable_tag_filtering: true\n"
        "  provider_budget_config: { openai: { budget_limit: 10, time_period: 1d } }\n",
        {"weight: 1 }", "weight: 9 }", "azure-ai", "env:LITELLM_MASTER_KEY"},
        {"litellm_params.tags: no tags of deployments", "model_list.embed: a provider that pointsman does not speak",
            "default_internal_user_params: there are no users", "default_team_settings: teams are made",
            "provider_budget_config: no budget per provider", "general_settings.alerting: not carried"}},
    {"aliases, patterns and defaults",
        "model_list:\n"
        "  - model_name: \"claude-*\"\n"
        "    litellm_params: { model: \"anthropic/claude-*\" }\n"
        "  - model_name: smart\n"
        "    litellm_params: { model: anthropic/claude-opus-4-5 }\n"
        "  - model_name: gem\n"
        "    litellm_params: { model: gemini/gemini-2.5-pro, api_key: os.environ/GEMINI_API_KEY }\n"
        "litellm_settings: { default_fallbacks: [gem], num_retries: 1 }\n"
        "router_settings: { model_group_alias: { best: smart }, fallbacks: [{ gem: [smart] }] }\n",
        {"\"claude-*\"", "anthropic/$model", "use: smart", "dialect: gemini", "fallback: [gemini/gemini-2.5-pro]",
            "retry: { attempts: 2 }", "fallback: [anthropic/claude-opus-4-5]"},
        {NULL}},
};

static void check_imported(struct buf *yaml, struct buf *left, size_t i, char **env)
{
    char line[700];
    for (size_t k = 0; k < ARRAY_LEN(teams[i].holds) && teams[i].holds[k]; k++)
        if (!strstr(buf_c(yaml), teams[i].holds[k]))
            fail_msg("%s: \"%s\" is not in\n%s%s", teams[i].what, teams[i].holds[k], buf_c(yaml), buf_c(left));
    for (size_t k = 0; k < ARRAY_LEN(teams[i].named) && teams[i].named[k]; k++)
        if (!strstr(buf_c(left), teams[i].named[k]))
            fail_msg("%s: \"%s\" is not said in\n%s", teams[i].what, teams[i].named[k], buf_c(left));
    if (!teams[i].named[0] && left->n)
        fail_msg("%s: all can be carried, but it says\n%s", teams[i].what, buf_c(left));
    struct config_request q = {.path = "imported.yaml", .text = buf_str(yaml), .environment = env};
    struct config_complaints *faults = config_complaints_new();
    struct config *c = NULL;
    if (config_load(&q, &c, faults) < 0)
        fail_msg("%s: %s\n%s", teams[i].what, config_complaint_text(faults, 0, line, sizeof line), buf_c(yaml));
    config_put(c);
    config_complaints_free(faults);
}

static void what_teams_have_is_carried_or_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(teams); i++) {
        char *env[] = {"OPENAI_API_KEY=o", "ANTHROPIC_API_KEY=a", "GEMINI_API_KEY=g", "AZURE_EU=e", "OTHER=p",
            "AZURE_AI_API_KEY=f", "LITELLM_MASTER_KEY=sk-0123456789abcdef", NULL};
        struct buf yaml, left;
        struct err e = {0};
        buf_init(&yaml, 1 << 20);
        buf_init(&left, 1 << 20);
        if (import(teams[i].text, env, &yaml, &left, &e) < 0)
            fail_msg("%s: %s", teams[i].what, e.text);
        check_imported(&yaml, &left, i, env);
        buf_fini(&yaml);
        buf_fini(&left);
    }
}

static int read_include(void *ctx, struct str name, struct buf *text, struct err *e)
{
    (void)ctx;
    if (!str_eq(name, STR("models.yaml")))
        return err_set(e, ERR_IO, "no such file");
    buf_puts(text, "model_list:\n  - model_name: inner\n    litellm_params: { model: openai/gpt-5, what: 1 }\n"
                   "general_settings: { master_key: x }\n");
    return text->err;
}

static void an_included_file_is_read_and_its_lines_are_named(void **state)
{
    struct buf yaml, left;
    struct err e = {0};
    char *env[] = {"OPENAI_API_KEY=o", NULL};
    (void)state;
    buf_init(&yaml, 1 << 20);
    buf_init(&left, 1 << 20);
    struct config_foreign from = {.text = STR("include: [models.yaml]\n"), .environment = env, .read = read_include};
    assert_int_equal(config_import_litellm(&from, &yaml, &left, &e), 0);
    assert_non_null(strstr(buf_c(&yaml), "inner:\n    targets: [openai/gpt-5]"));
    assert_non_null(strstr(buf_c(&left), "models.yaml:3:44: litellm_params.what: has no counterpart"));
    assert_non_null(strstr(buf_c(&left), "models.yaml:4:1: general_settings: has no counterpart"));
    from.text = STR("include: [gone.yaml]\nmodel_list: []\n");
    assert_int_equal(config_import_litellm(&from, &yaml, &left, &e), -ERR_IO);
    from.read = NULL;
    assert_int_equal(config_import_litellm(&from, &yaml, &left, &e), 0);
    assert_non_null(strstr(buf_c(&left), "include.gone.yaml: is not read: import that file too"));
    buf_fini(&yaml);
    buf_fini(&left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_litellm_file_becomes_one_of_ours),
        cmocka_unit_test(addresses_come_from_the_environment_and_all_that_is_left_is_named),
        cmocka_unit_test(what_teams_have_is_carried_or_named),
        cmocka_unit_test(an_included_file_is_read_and_its_lines_are_named),
    };
    return cmocka_run_group_tests_name("config import", tests, NULL, NULL);
}
