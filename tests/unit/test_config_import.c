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

static void a_litellm_file_becomes_one_of_ours(void **state)
{
    (void)state;
    struct buf yaml, left;
    struct err e = {0};
    char *env[] = {"AZURE_EU=az", "OPENAI_API_KEY=o", "ANTHROPIC_API_KEY=a", NULL}, line[700];
    buf_init(&yaml, 1 << 20);
    buf_init(&left, 1 << 20);
    assert_int_equal(config_import_litellm(str_c(litellm), env, &yaml, &left, &e), 0);
    static const char *const named[] = {"3:153: litellm_params.rpm: no limit per deployment",
        "model_list.titan: a provider that pointsman does not speak to: bedrock",
        "model_list.openai/gpt-5: a route's name holds no `/`", "litellm_settings.callbacks",
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
    assert_int_equal(config_import_litellm(STR("a: 1\n"), env, &yaml, &left, &e), -ERR_TYPE);
    assert_int_equal(config_import_litellm(STR("a: [\n"), env, &yaml, &left, &e), -ERR_SYNTAX);
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
    assert_int_equal(config_import_litellm(str_c(large), env, &yaml, &left, &e), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_litellm_file_becomes_one_of_ours),
        cmocka_unit_test(addresses_come_from_the_environment_and_all_that_is_left_is_named),
    };
    return cmocka_run_group_tests_name("config import", tests, NULL, NULL);
}
