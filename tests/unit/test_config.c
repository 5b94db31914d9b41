/* The configuration: files and environments in, struct config or complaints out. */
#include "proxy/config/config.h"
#include "proxy/config/sealed.h"
#include "proxy/meter/usage.h"
#include "proxy/route/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(PROVIDER_QUIRK_OUTPUT_WITHOUT_REASONING == (int)QUIRK_OUTPUT_WITHOUT_REASONING,
    "the same bits in config and meter");

static char *environment[] = {"OPENAI_API_KEY=sk-live-openai", "ANTHROPIC_API_KEY=sk-ant-live",
    "LAB_KEY_A=lab-a", "LAB_KEY_B=lab-b", "CI_BOT_KEY=ci-bot-secret-0123", NULL};

static struct config *load(const char *text, struct config_complaints *faults)
{
    struct config_request q = {.path = "t.yaml", .text = str_c(text), .environment = environment};
    struct config *c = NULL;
    int rc = config_load(&q, &c, faults);
    assert_true((rc == 0) == (c != NULL));
    assert_true((rc == 0) == (config_fault_count(faults) == 0));
    return c;
}

/* Every complaint, one a line. */
static char *complaints_of(const char *text)
{
    struct config_complaints *faults = config_complaints_new();
    struct config *c = load(text, faults);
    struct buf b;
    char line[700];
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < config_complaint_count(faults); i++)
        buf_printf(&b, "%s\n", config_complaint_text(faults, i, line, sizeof line));
    buf_putc(&b, '\0');
    config_complaints_free(faults);
    if (c)
        config_put(c);
    return buf_take(&b, NULL);
}

static struct config *load_good(const char *text)
{
    struct config_complaints *faults = config_complaints_new();
    struct config *c = load(text, faults);
    if (!c) {
        char line[700];
        fail_msg("%s", config_complaint_text(faults, 0, line, sizeof line));
    }
    config_complaints_free(faults);
    return c;
}

static const char full[] =
    "listen: 127.0.0.1:4141\n"
    "data: ~/.local/share/pointsman\n"
    "socket: ~/.local/share/pointsman/control.sock\n"
    "open_to: owner\n"
    "access: { group: pointsman, roles: { admin: [alice], operator: [\"@dev\"], viewer: [\"*\"] }, bodies: all }\n"
    "timezone: Europe/Berlin\n"
    "allow_hosts: []\n"
    "allow_origins: []\n"
    "allow_plaintext: false\n"
    "workers: auto\n"
    "capture: { bodies: sample:10%, max_bytes: 1MiB, keep: 7d, keep_bytes: 2GiB }\n"
    "limits: { request_bytes: 64MiB, header_bytes: 12KiB, connections: auto, memory: auto, spool_bytes: 256MiB }\n"
    "providers:\n"
    "  openai:    { dialect: openai, base_url: https://api.openai.com/v1, api_key: env:OPENAI_API_KEY }\n"
    "  anthropic: { dialect: anthropic, base_url: https://api.anthropic.com, api_key: env:ANTHROPIC_API_KEY }\n"
    "  lab:\n"
    "    dialect: openai\n"
    "    base_url: http://127.0.0.1:11434/v1/\n"
    "    models: [qwen3, llama-3.3-70b]\n"
    "    max_concurrent: 8\n"
    "    timeouts: { connect: 2s, headers: 5m, first_token: 5m, idle: 2m, total: 30m }\n"
    "    headers: { x-team: lab }\n"
    "    api_keys:\n"
    "      - { key: env:LAB_KEY_A, weight: 2 }\n"
    "      - { key: env:LAB_KEY_B }\n"
    "  claude: { dialect: anthropic, base_url: https://api.anthropic.com, api_key: client }\n"
    "routes:\n"
    "  fast:\n"
    "    goal: latency\n"
    "    targets: [openai/gpt-5-mini, anthropic/claude-haiku-4-5]\n"
    "  cheap:\n"
    "    policy: weighted\n"
    "    targets:\n"
    "      - { to: lab/qwen3, weight: 90 }\n"
    "      - { to: openai/gpt-5-nano, weight: 10 }\n"
    "    fallback: [openai/gpt-5-mini]\n"
    "    retry: { attempts: 3, on: [429, 5xx, network, timeout] }\n"
    "    disconnect: drain:8k\n"
    "    hold: 2s\n"
    "    budget: { day: $5, total: $200 }\n"
    "    canary: { to: openai/gpt-5-mini, share: 2.5%, max_errors: 10%, max_latency: 3s, max_cost: 150% }\n"
    "  \"claude-*\":\n"
    "    rules:\n"
    "      - { if: { prompt_tokens: \">150k\" }, use: anthropic/claude-sonnet-4-5 }\n"
    "      - { if: { key: \"ci-*\" }, use: cheap }\n"
    "      - { name: night, if: { header: \"X-Task: batch\", hour: \"22-06\", weekday: mon-fri, stream: no }, use: cheap }\n"
    "      - { if: { budget_used: \">80%\" }, use: [lab/qwen3, openai/gpt-5-nano] }\n"
    "    targets: [anthropic/$model]\n"
    "keys:\n"
    "  ci-bot: { secret: env:CI_BOT_KEY, team: ci, models: [fast, cheap], budget: { day: $5, total: $200 }, rpm: 60, tpm: 200k, concurrent: 4 }\n"
    "  bob: { secret: bobs-literal-secret, budget: 20/week, tags: { env: prod, project: search }, sources: [10.0.0.0/8], expires: 2026-12-31, raw: [files] }\n"
    "teams:\n"
    "  ci: { budget: { month: $300 }, rpm: 600 }\n"
    "tags:\n"
    "  \"env:prod\": { budget: 100/day }\n"
    "prices:\n"
    "  lab/qwen3: { input: 0, output: 0 }\n"
    "  openai/gpt-5-mini: { input: 0.25, cached: 0.025, output: 2, batch: { input: 0.125, output: 1 },\n"
    "                       above: [{ tokens: 200k, input: 0.5, output: 4 }], per_search: 0.01, audio_cached: 0.1, per_file_search: 0.0025, uplift_eu: 1.1, discount: 10% }\n";

static void the_full_example_loads(void **state)
{
    (void)state;
    struct config *c = load_good(full);
    assert_int_equal(c->provider_count, 4);
    const struct provider *lab = &c->providers[2];
    assert_true(str_eq(lab->base_url, STR("http://127.0.0.1:11434/v1")));
    assert_int_equal(lab->key_count, 2);
    assert_true(str_eq(lab->keys[0].secret, STR("lab-a")) && lab->keys[0].weight == 2);
    assert_int_equal(lab->timeouts.headers, 300000000);
    assert_int_equal(lab->max_concurrent, 8);
    assert_int_equal(c->providers[0].timeouts.headers, 600000000);
    assert_true(c->providers[3].client_login && c->providers[3].key_count == 0);

    const struct route *fast = &c->routes[0], *cheap = &c->routes[1], *claude = &c->routes[2];
    assert_int_equal(fast->goal, GOAL_LATENCY);
    assert_true(fast->targets[1].provider == &c->providers[1]);
    assert_int_equal(cheap->policy, POLICY_WEIGHTED);
    assert_int_equal(cheap->targets[0].weight, 90);
    assert_int_equal(cheap->retry_attempts, 3);
    assert_int_equal(cheap->retry_on, FAIL_429 | FAIL_5XX | FAIL_NETWORK | FAIL_TIMEOUT);
    assert_int_equal(fast->retry_on,
        FAIL_429 | FAIL_5XX | FAIL_NETWORK | FAIL_TIMEOUT | FAIL_CONTEXT | FAIL_KEY);
    assert_int_equal(cheap->disconnect, DISCONNECT_DRAIN);
    assert_int_equal(cheap->drain_bytes, 8000);
    assert_int_equal(cheap->canary.share_ppm, 25000);
    assert_int_equal(cheap->canary.max_cost_ppm, 1500000);
    assert_int_equal(fast->canary.share_ppm, 0);
    assert_int_equal(cheap->budgets[0].limit_nano, 5000000000);

    assert_true(claude->pattern && claude->rule_count == 4);
    const struct rule *r = claude->rules;
    assert_int_equal(r[0].conditions[0].low, 150001);
    assert_int_equal(r[0].target_count, 1);
    assert_true(str_eq(r[1].route, STR("cheap")) && r[1].target_count == 0);
    assert_true(str_eq(r[2].name, STR("night")) && r[2].condition_count == 4);
    assert_true(str_eq(r[2].conditions[0].text, STR("x-task")));
    assert_int_equal(r[2].conditions[1].low, 0xc0003f); /* 22, 23, 0 to 5 */
    assert_int_equal(r[2].conditions[2].low, 0x3e);
    assert_int_equal(r[2].conditions[3].low, 0);
    assert_int_equal(r[3].conditions[0].low, 800001);
    assert_true(str_eq(claude->targets[0].model, STR("$model")));

    assert_int_equal(c->keys[0].tpm, 200000);
    assert_true(str_eq(c->keys[0].shown, STR("…0123")));
    assert_int_equal(c->keys[1].budgets[0].window, WINDOW_WEEK);
    assert_true(str_eq(c->keys[1].tags, STR("env:prod,project:search")));
    assert_int_equal(c->keys[1].expires_ms, 1798761600000);
    assert_int_equal(c->teams[0].rpm, 600);
    assert_true(str_eq(c->tags[0].name, STR("env:prod")));
    assert_int_equal(c->capture.mode, CAPTURE_SAMPLE);
    assert_int_equal(c->capture.sample_percent, 10);
    assert_int_equal(c->capture.keep_ms, 604800000);
    assert_int_equal(c->limits.header_bytes, 12288);
    assert_int_equal(c->limits.memory, 0);
    assert_int_equal(c->access.role_count, 3);
    assert_int_equal(c->access.bodies, BODIES_ALL);
    const struct price_override *p = &c->price_overrides[1];
    assert_int_equal(p->base[0].cached, 25000000);
    assert_int_equal(p->base[1].input, 125000000);
    assert_int_equal(p->base[2].input, -1);
    assert_int_equal(p->step[0].above_tokens, 200000);
    assert_int_equal(p->step[0].rates[0].output, 4000000000);
    assert_int_equal(p->per_search, 10000000000000);
    assert_int_equal(p->base[0].audio_cached, 100000000);
    assert_int_equal(p->unit[UNIT_file_search], 2500000000000);
    assert_int_equal(p->factor_ppm[FACTOR_eu], 1100000);
    assert_int_equal(p->factor_ppm[FACTOR_us], -1);
    assert_int_equal(p->discount_ppm, 100000);
    config_put(c);
}

static void an_empty_file_is_the_defaults(void **state)
{
    (void)state;
    struct config *c = load_good("# nothing\n");
    assert_true(str_eq(c->listen, STR("127.0.0.1:4141")));
    assert_true(str_ends(c->socket, STR("/control.sock")));
    assert_int_equal(c->limits.request_bytes, 64 << 20);
    assert_int_equal(c->reserve_output, 4096);
    assert_int_equal(c->capture.mode, CAPTURE_ALL);
    assert_false(c->capture.mode_given);
    assert_int_equal(c->alarm_budget_ppm, 800000);
    config_put(c);
}

static void every_fault_has_its_place_and_a_suggestion(void **state)
{
    (void)state;
#define P "providers: { a: { base_url: http://127.0.0.1:1/v1 } }\n"
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"lisen: x\n", "t.yaml:1:1: lisen: unknown field; did you mean listen?\n"},
        {"listen: 4141\n", "t.yaml:1:9: listen: is \"4141\": expected HOST:PORT such as"},
        {"workers: many\n", "t.yaml:1:10: workers: is \"many\"; expected a number such as 60, 200k or 1.5M, or auto\n"},
        {"workers: 900\n", "t.yaml:1:10: workers: is 900; allowed is 1 to 64, or auto\n"},
        {"limits: { header_bytes: 1KiB }\n", "t.yaml:1:25: limits.header_bytes: is 1KiB; allowed is 5KiB to 64KiB\n"},
        {"open_to: owners\n", "t.yaml:1:10: open_to: is \"owners\"; expected one of: owner any; did you mean owner?\n"},
        {"timezone: Mars/Olympus\n", "t.yaml:1:11: timezone: no time zone is called \"Mars/Olympus\""},
        {"tls: yes\n", "t.yaml:1:1: tls: not in this version: "},
        {P "routes:\n  fast: { targets: [a/m], hedge: 2s }\n", "t.yaml:3:27: routes.fast.hedge: not in this version: "},
        {P "routes:\n  fast: { targets: [b/m] }\n", "t.yaml:3:21: routes.fast.targets[1]: no provider is called \"b\"; did you mean a?\n"},
        {P "routes:\n  fast: { targets: [m] }\n", "t.yaml:3:21: routes.fast.targets[1]: \"m\" names no provider; expected provider/model"},
        {P "routes:\n  fast: {}\n", "t.yaml:3:3: routes.fast: `targets` is missing"},
        {P "routes:\n  a/b: { targets: [a/m] }\n", "t.yaml:3:3: routes.a/b: a name may not hold `/`"},
        {P "routes:\n  fast: { goal: speed, targets: [a/m] }\n", "t.yaml:3:17: routes.fast.goal: is \"speed\"; expected one of: none quality latency"},
        {P "routes:\n  x: { goal: cost, policy: weighted, targets: [a/m] }\n", "give `goal` or `policy`, not both"},
        {P "routes:\n  x: { targets: [{ to: a/m, weight: 3 }] }\n", "t.yaml:3:17: routes.x: weights do nothing here"},
        {P "routes:\n  x: { rules: [{ if: { prmpt_tokens: \">1k\" }, use: a/m }], targets: [a/m] }\n", "t.yaml:3:24: routes.x.rules[1].if.prmpt_tokens: unknown condition; did you mean prompt_tokens?\n"},
        {P "routes:\n  x: { rules: [{ if: { hour: \"25\" }, use: a/m }], targets: [a/m] }\n", "t.yaml:3:30: routes.x.rules[1].if.hour: is \"25\"; expected \"22-06\""},
        {P "routes:\n  x: { rules: [{ if: { key: k }, use: chaep }], targets: [a/m] }\n  cheap: { targets: [a/m] }\n", "no route is called \"chaep\", and a target is written provider/model; did you mean cheap?\n"},
        {P "routes:\n  x: { rules: [{ if: { key: k }, use: y }], targets: [a/m] }\n  y: { rules: [{ if: { key: k }, use: x }], targets: [a/m] }\n", "t.yaml:4:39: routes.y.rules[1].use: goes round in a loop: \"x\" leads back to \"y\"\n"},
        {P "routes:\n  x: { rules: [{ if: {}, use: a/m }, { if: { key: k }, use: a/n }] }\n", "routes.x.rules[2]: nothing can reach this rule: rule 1 above takes every request\n"},
        {P "routes:\n  \"*\": { targets: [a/m] }\n  \"claude-*\": { targets: [a/m] }\n", "t.yaml:4:3: routes.claude-*: nothing can reach this route: \"*\" above"},
        {P "routes:\n  x: { targets: [a/m], retry: { on: [500] } }\n", "routes.x.retry.on: is \"500\"; expected one of: 429 5xx"},
        {P "routes:\n  x: { targets: [a/m], disconnect: drain }\n", "t.yaml:3:36: routes.x.disconnect: say how much to read at most: drain:8k\n"},
        {"providers:\n  openai: {}\n", "t.yaml:2:3: providers.openai: `api_key` is missing, for example api_key: env:OPENAI_API_KEY\n"},
        {"providers:\n  lab: { api_key: env:NOPE }\n", "t.yaml:2:3: providers.lab: `base_url` is missing"},
        {"providers:\n  openai: { api_key: env:NOPE }\n", "t.yaml:2:22: providers.openai.api_key: the environment variable NOPE is not set: set it, or write file:/path\n"},
        {"providers:\n  openai: { api_key: env:OPENAI_APIKEY }\n", "the environment variable OPENAI_APIKEY is not set; did you mean OPENAI_API_KEY?\n"},
        {"providers:\n  openai: { api_key: file:/nope/x }\n", "t.yaml:2:22: providers.openai.api_key: can't read /nope/x: No such file or directory\n"},
        {"providers:\n  a: { base_url: ftp://x }\n", "t.yaml:2:18: providers.a.base_url: is \"ftp://x\": expected a URL such as"},
        {"providers:\n  a: { base_url: http://u:p@h/ }\n", "no user or password in a URL\n"},
        {"providers:\n  a: { base_url: http://localhost:4141/v1 }\n", "t.yaml:2:18: providers.a: `base_url` is this gateway's own address"},
        {"providers:\n  a: { base_url: http://h/v1, headers: { x: \"a\\r\\nb: c\" } }\n", "t.yaml:2:45: providers.a.headers.x: must not hold control characters"},
        {"providers:\n  a: { base_url: http://h/v1, headers: { Content-Length: \"3\" } }\n", "belongs to the connection and can't be set\n"},
        {"providers:\n  a: { base_url: http://h/v1, api_keys: [] }\n", "expected a list of 1 to 64 keys"},
        {"providers:\n  a: { base_url: http://h/v1, timeouts: { idle: 30 } }\n", "t.yaml:2:49: providers.a.timeouts.idle: is \"30\"; expected a time such as 500ms, 30s, 10m, 2h or 7d\n"},
        {"keys:\n  k: { secret: short }\n", "t.yaml:2:16: keys.k.secret: the secret has 5 characters; at least 16 are needed\n"},
        {"keys:\n  k: { rpm: 3 }\n", "t.yaml:2:6: keys.k: `secret` is missing"},
        {"keys:\n  k: { secret: 0123456789abcdef, budget: { day: $0 } }\n", "t.yaml:2:49: keys.k.budget.day: an amount of zero is no budget"},
        {"keys:\n  k: { secret: 0123456789abcdef, budget: { day: } }\n", "an empty amount is no budget"},
        {"keys:\n  k: { secret: 0123456789abcdef, budget: 20 }\n", "is \"20\"; expected an amount and a window such as 20/week"},
        {"keys:\n  k: { secret: 0123456789abcdef, budget: { dya: $1 } }\n", "\"dya\" is no window; known are minute, hour, day, week, month, total; did you mean day?\n"},
        {"keys:\n  k: { secret: 0123456789abcdef, rpm: 0 }\n", "t.yaml:2:39: keys.k.rpm: is 0; allowed is 1 to 1000000000, or none\n"},
        {"keys:\n  k: { secret: 0123456789abcdef, sources: [10.0.0.0/40] }\n", "\"10.0.0.0/40\" is no address and no range"},
        {"keys:\n  k: { secret: 0123456789abcdef }\n  l: { secret: 0123456789abcdef }\n", "t.yaml:3:3: keys.l: has the same secret as keys.k\n"},
        {"prices:\n  x: { input: 0.0000000001 }\n", "t.yaml:2:15: prices.x.input: has more decimals than can be kept exactly"},
        {"capture: { bodies: sometimes }\n", "t.yaml:1:20: capture.bodies: is \"sometimes\"; expected one of: off errors all"},
        {"listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", "t.yaml:2:1: \"listen\" is given twice\n"},
        {"a: [1\n", "t.yaml:2:1: not valid YAML: did not find expected ',' or ']' while parsing a flow sequence\n"},
        {"- a\n", "t.yaml:1:1: expected `name: value` lines\n"},
        {"x: *nobody\n", "an alias of an anchor that is not defined before it\n"},
        {"a: 1\n---\nb: 2\n", "one document only"},
        {"? [a]\n: b\n", "a name is expected here"},
        {"routes: [a]\n", "t.yaml:1:9: routes: expected a map"},
    };
    size_t wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = complaints_of(rows[i].text);
        if (!strstr(got, rows[i].want)) {
            print_error("row %zu\n%s\ngot:    %swanted: %s\n", i, rows[i].text, got, rows[i].want);
            wrong++;
        }
        free(got);
    }
    assert_int_equal(wrong, 0);
}

static void all_complaints_come_in_the_order_of_the_file(void **state)
{
    (void)state;
    char *got = complaints_of("routes:\n  a: { targets: [x/m] }\nlisen: 1\nkeys:\n  k: { secret: short }\n");
    char *first = strstr(got, ":2:"), *second = strstr(got, ":3:1:"), *third = strstr(got, ":5:16:");
    assert_true(first && second && third && first < second && second < third);
    free(got);
}

static void aliases_are_bounded(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_puts(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 9; i++)
        buf_printf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
            i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    char *got = complaints_of(buf_c(&b));
    assert_non_null(strstr(got, "too many values"));
    free(got);
    buf_reset(&b);
    for (int i = 0; i < 40; i++)
        buf_puts(&b, "a: {");
    got = complaints_of(buf_c(&b));
    assert_non_null(strstr(got, "nested too deeply"));
    free(got);
    buf_reset(&b);
    while (b.n <= 1 << 20 && !b.err)
        buf_puts(&b, "# far too long a file, line after line after line after line\n");
    char *text = malloc((1 << 20) + 100);
    memset(text, '#', (1 << 20) + 99);
    text[(1 << 20) + 99] = '\0';
    got = complaints_of(text);
    assert_non_null(strstr(got, "larger than 1 MiB"));
    free(got);
    free(text);
    buf_fini(&b);
}

static void anchors_and_merges_work(void **state)
{
    (void)state;
    struct config *c = load_good("providers:\n"
        "  a: &base { base_url: http://127.0.0.1:1/v1, max_concurrent: 3, timeouts: &t { idle: 7s } }\n"
        "  b: { <<: *base, max_concurrent: 4 }\n"
        "  c: { base_url: http://127.0.0.1:2/v1, timeouts: *t }\n");
    assert_int_equal(c->providers[1].max_concurrent, 4);
    assert_int_equal(c->providers[1].timeouts.idle, 7000000);
    assert_int_equal(c->providers[2].timeouts.idle, 7000000);
    config_put(c);
}

static void secret_files_must_be_private(void **state)
{
    (void)state;
    char path[] = "/tmp/pointsman-test-XXXXXX", text[200];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "file-secret\n", 12), 12);
    close(fd);
    snprintf(text, sizeof text, "providers: { openai: { api_key: \"file:%s\" } }\n", path);
    struct config *c = load_good(text);
    assert_true(str_eq(c->providers[0].keys[0].secret, STR("file-secret")));
    config_put(c);
    chmod(path, 0644);
    char *got = complaints_of(text);
    assert_non_null(strstr(got, "can be read by others: chmod 600 it"));
    free(got);
    unlink(path);
}

static void where_data_stays_is_known_by_the_host_or_said(void **state)
{
    (void)state;
    static const struct { const char *url, *more; enum residency served_in; } rows[] = {
        {"https://eu.api.openai.com/v1", "", RESIDENCY_EU}, {"https://us.api.openai.com/v1", "", RESIDENCY_US},
        {"https://api.openai.com/v1", "", RESIDENCY_NONE},
        {"https://europe-west1-aiplatform.googleapis.com/v1", "", RESIDENCY_REGION},
        {"https://aiplatform.googleapis.com/v1", "", RESIDENCY_NONE},
        {"https://eu.api.openai.com/v1", ", residency: none", RESIDENCY_NONE},
        {"https://api.acme.example/v1", ", residency: eu", RESIDENCY_EU}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[400];
        snprintf(text, sizeof text, "providers:\n  p: { dialect: openai, base_url: '%s', api_key: client%s }\n",
            rows[i].url, rows[i].more);
        struct config *c = load_good(text);
        if (c->providers[0].served_in != rows[i].served_in)
            fail_msg("%s%s: %d", rows[i].url, rows[i].more, c->providers[0].served_in);
        config_put(c);
    }
}

static void providers_are_found_in_the_environment(void **state)
{
    (void)state;
    char *env[] = {"OPENAI_API_KEY=sk-live", "OPENAI_BASE_URL=http://127.0.0.1:4141/v1",
        "ANTHROPIC_API_KEY=sk-pm-abc", "GOOGLE_API_KEY=g", "GROQ_API_KEY=x",
        "GROQ_BASE_URL=http://10.0.0.7:8080/openai/v1/", "XAI_API_KEY=y", "AZURE_OPENAI_API_KEY=z", NULL};
    struct config_complaints *faults = config_complaints_new();
    struct config_request q = {.environment = env};
    struct config *c = NULL;
    assert_int_equal(config_load(&q, &c, faults), 0);
    assert_int_equal(c->provider_count, 4);
    assert_true(str_eq(c->providers[0].base_url, STR("https://api.openai.com/v1")));
    assert_true(str_eq(c->providers[1].name, STR("gemini")));
    assert_int_equal(c->providers[1].dialect, DIALECT_GEMINI);
    assert_true(str_eq(c->providers[2].base_url, STR("http://10.0.0.7:8080/openai/v1")));
    assert_int_equal(c->providers[3].quirks, PROVIDER_QUIRK_OUTPUT_WITHOUT_REASONING);
    assert_int_equal(config_complaint_count(faults), 3); /* our URL, our key, azure's endpoint */
    char line[700];
    assert_non_null(strstr(config_complaint_text(faults, 1, line, sizeof line), "ANTHROPIC_API_KEY"));
    assert_true(config_complaint_is_warning(faults, 0));
    config_put(c);
    config_complaints_free(faults);
}

static void the_demo_provider_stands_in_where_nothing_else_is(void **state)
{
    (void)state;
    char *none[] = {NULL};
    const struct str models[] = {STR("atlas"), STR("breeze")};
    struct config_request q = {.environment = none, .demo_url = "http://127.0.0.1:9/v1",
        .demo_models = models, .demo_model_count = 2};
    struct config_complaints *faults = config_complaints_new();
    struct config *c = NULL;
    assert_int_equal(config_load(&q, &c, faults), 0);
    assert_int_equal(c->provider_count, 1);
    assert_true(c->providers[0].demo && c->providers[0].model_count == 2);
    config_put(c);
    q.environment = environment;
    assert_int_equal(config_load(&q, &c, faults), 0);
    assert_int_equal(c->provider_count, 2);
    assert_false(c->providers[0].demo);
    config_put(c);
    config_complaints_free(faults);
}

static void secrets_are_wiped_from_the_environment_and_survive_a_reload(void **state)
{
    (void)state;
    static char planted[] = "TOGETHER_API_KEY=planted-in-the-environment";
    assert_int_equal(putenv(planted), 0);
    struct config_request q = {.path = NULL};
    struct config_complaints *faults = config_complaints_new();
    for (int round = 0; round < 2; round++) {
        struct config *c = NULL;
        bool found = false;
        assert_int_equal(config_load(&q, &c, faults), 0);
        for (size_t i = 0; i < c->provider_count; i++)
            found = found || str_eq(c->providers[i].keys[0].secret, STR("planted-in-the-environment"));
        assert_true(found);
        config_put(c);
        environment_wipe_secrets();
        assert_null(memmem(planted, sizeof planted, "planted-in", 10));
    }
    struct err e;
    assert_int_equal(environment_set(STR("FIREWORKS_API_KEY"), STR("handed-over"), &e), 0);
    struct config *c = NULL;
    assert_int_equal(config_load(&q, &c, faults), 0);
    bool found = false;
    for (size_t i = 0; i < c->provider_count; i++)
        found = found || str_eq(c->providers[i].name, STR("fireworks"));
    assert_true(found);
    config_put(c);
    config_complaints_free(faults);
}

static void an_export_reads_back_as_the_same_state(void **state)
{
    (void)state;
    struct config *c = load_good(full);
    struct buf first, second;
    buf_init(&first, 1 << 20);
    buf_init(&second, 1 << 20);
    config_export(c, NULL, &first);
    assert_null(strstr(buf_c(&first), "sk-live-openai"));
    assert_null(strstr(buf_c(&first), "bobs-literal-secret"));
    assert_non_null(strstr(buf_c(&first), "secret: env:POINTSMAN_KEY_BOB"));
    char *env[] = {"OPENAI_API_KEY=sk-live-openai", "ANTHROPIC_API_KEY=sk-ant-live", "LAB_KEY_A=lab-a",
        "LAB_KEY_B=lab-b", "CI_BOT_KEY=ci-bot-secret-0123", "POINTSMAN_KEY_BOB=bobs-literal-secret", NULL};
    struct config_request q = {.path = "t.yaml", .text = buf_str(&first), .environment = env};
    struct config_complaints *faults = config_complaints_new();
    struct config *again = NULL;
    char line[700];
    if (config_load(&q, &again, faults) < 0)
        fail_msg("%s\n%s", config_complaint_text(faults, 0, line, sizeof line), buf_c(&first));
    config_export(again, NULL, &second);
    struct buf expected; /* the literal has become a reference: nothing else differs */
    buf_init(&expected, 1 << 20);
    buf_put_str(&expected, buf_str(&first));
    assert_string_equal(buf_c(&expected), buf_c(&second));
    assert_int_equal(again->routes[2].rules[2].conditions[1].low, c->routes[2].rules[2].conditions[1].low);
    assert_int_equal(again->price_overrides[1].step[0].rates[0].output,
        c->price_overrides[1].step[0].rates[0].output);
    buf_fini(&expected);
    buf_fini(&first);
    buf_fini(&second);
    config_complaints_free(faults);
    config_put(again);
    config_put(c);
}

static void an_export_carries_what_people_switched(void **state)
{
    (void)state;
    struct config *c = load_good(full);
    const struct override overrides[] = {
        {.name = STR("fast"), .scope = SCOPE_EVERYONE, .to = STR("lab/qwen3"), .who = STR("alice")},
        {.name = STR("cheap"), .scope = SCOPE_KEY, .scope_name = STR("bob"), .to = STR("openai/gpt-5-mini"), .who = STR("alice")},
        {.name = STR("gpt-4o"), .scope = SCOPE_EVERYONE, .to = STR("cheap"), .who = STR("dave")},
        {.name = STR("a/b"), .scope = SCOPE_EVERYONE, .to = STR("cheap"), .who = STR("dave")},
        {.name = STR("cheap"), .scope = SCOPE_EVERYONE, .to = STR("fast"), .who = STR("old"), .until_ms = 5},
    };
    const struct drained drained[] = {{STR("openai"), STR("lab/qwen3")}};
    struct config_live live = {overrides, ARRAY_LEN(overrides), drained, 1, NULL, 0, 1000};
    struct buf b;
    buf_init(&b, 1 << 20);
    config_export(c, &live, &b);
    assert_non_null(strstr(buf_c(&b), "a/b"));
    char *env[] = {"OPENAI_API_KEY=sk-live-openai", "ANTHROPIC_API_KEY=sk-ant-live", "LAB_KEY_A=lab-a",
        "LAB_KEY_B=lab-b", "CI_BOT_KEY=ci-bot-secret-0123", "POINTSMAN_KEY_BOB=bobs-literal-secret", NULL};
    struct config_request q = {.path = "t.yaml", .text = buf_str(&b), .environment = env};
    struct config_complaints *faults = config_complaints_new();
    struct config *again = NULL;
    char line[700];
    if (config_load(&q, &again, faults) < 0)
        fail_msg("%s\n%s", config_complaint_text(faults, 0, line, sizeof line), buf_c(&b));
    assert_int_equal(again->routes[0].goal, GOAL_NONE);
    assert_true(str_eq(again->routes[0].targets[0].model, STR("qwen3")));
    assert_int_equal(again->routes[1].rule_count, 1);
    assert_true(str_eq(again->routes[1].rules[0].conditions[0].text, STR("bob")));
    assert_int_equal(again->routes[1].target_count, 2);
    assert_int_equal(again->route_count, 4);
    assert_true(str_eq(again->routes[3].rules[0].route, STR("cheap")));
    assert_true(again->providers[0].drained);
    assert_true(str_eq(again->providers[0].drained_to, STR("lab/qwen3")));
    buf_fini(&b);
    config_complaints_free(faults);
    config_put(again);
    config_put(c);
}

static void live_edits_lie_over_the_file(void **state)
{
    (void)state;
    struct config_request q = {.path = "t.yaml", .environment = environment,
        .text = STR(P "routes: { \"x-*\": { targets: [a/m] }, \"*\": { targets: [a/m] }, y: { targets: [a/m] } }\n"),
        .overlay = STR("{\"routes\":{\"x-*\":{\"targets\":[\"b/n\"]},\"y\":null,\"z\":{\"targets\":[\"a/o\"]}},"
            "\"providers\":{\"b\":{\"base_url\":\"http://h/v1\"}}}")};
    struct config_complaints *faults = config_complaints_new();
    struct config *c = NULL;
    const struct config_object *o;
    char line[700];
    assert_int_equal(config_load(&q, &c, faults), 0);
    assert_int_equal(c->route_count, 3);
    assert_true(str_eq(c->routes[0].targets[0].provider->name, STR("b"))); /* still the first */
    assert_true(str_eq(c->routes[2].name, STR("z")));
    assert_int_equal(config_objects(c, &o), 4); /* a and three routes: the file's */
    config_put(c);
    q.overlay = STR("{\"routes\":{\"y\":{\"targets\":[\"c/n\"]}}}");
    assert_true(config_load(&q, &c, faults) < 0);
    assert_string_equal(config_complaint_text(faults, 0, line, sizeof line),
        "t.yaml: routes.y.targets[1]: no provider is called \"c\"; did you mean a?");
    config_complaints_free(faults);
    faults = config_complaints_new();
    q = (struct config_request){.environment = environment,
        .overlay = STR("{\"routes\":{\"x\":{\"targets\":[\"openai/m\"]}},"
            "\"providers\":{\"anthropic\":{\"api_key\":\"client\"}}}")};
    assert_int_equal(config_load(&q, &c, faults), 0);
    assert_int_equal(c->provider_count, 2);
    assert_true(c->providers[1].client_login);
    assert_int_equal(c->route_count, 1);
    config_put(c);
    config_complaints_free(faults);
}

static void a_diff_names_what_changed(void **state)
{
    (void)state;
    struct config *a = load_good(P "routes: { x: { targets: [a/m] }, y: { targets: [a/m] } }\n");
    struct config *b = load_good(P "routes: { x: { targets: [a/n], hold: 1s }, z: { targets: [a/m] } }\n");
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(config_diff(a, b, &out), 4);
    assert_string_equal(buf_c(&out),
        "route x: targets: [\"a/m\"] → [\"a/n\"]\n"
        "route x: hold: new: 1s\n"
        "route y: removed\n"
        "route z: added {\"targets\":[\"a/m\"]}\n");
    buf_reset(&out);
    assert_int_equal(config_diff(a, a, &out), 0);
    buf_fini(&out);
    config_put(a);
    config_put(b);
}

static void literal_secrets_stay_out_of_texts(void **state)
{
    (void)state;
    struct config *c = load_good("providers: { a: { base_url: http://h/v1, api_keys: [hidden-key-1, { key: hidden-key-2 }] } }\n"
        "keys: { k: { secret: hidden-key-3456789 } }\n");
    const struct config_object *o;
    size_t n = config_objects(c, &o);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++)
        assert_true(str_find(o[i].text, STR("hidden")) < 0);
    config_put(c);
}

static void digest_upper(struct str secret, unsigned char out[32])
{
    memset(out, secret.p[0], 32);
}

static void keys_are_hashed_and_their_secrets_forgotten(void **state)
{
    (void)state;
    struct config *c = load_good("keys: { k: { secret: 0123456789abcdef } }\n");
    const char *where = c->keys[0].secret.p;
    config_digest_keys(c, digest_upper);
    assert_int_equal(c->keys[0].digest[5], '0');
    assert_int_equal(c->keys[0].secret.n, 0);
    assert_int_equal(where[0], 0);
    assert_true(str_eq(c->keys[0].shown, STR("…cdef")));
    config_put(c);
}

static void a_client_finds_the_gateway_whatever_else_the_file_says(void **state)
{
    (void)state;
    char data[64], socket[64];
    struct config_request q = {.path = "t.yaml", .text = STR("data: /var/lib/p\nnonsense: [1\n]\n"
        "providers: { openai: { api_key: env:NOT_SET_HERE } }\n")};
    assert_true(config_where(&q, data, sizeof data, socket, sizeof socket));
    assert_string_equal(data, "/var/lib/p");
    assert_string_equal(socket, "/var/lib/p/control.sock");
    q.text = STR("data: /var/lib/p\nsocket: /run/p/c.sock\n");
    q.data = STR("/tmp/other");
    assert_true(config_where(&q, data, sizeof data, socket, sizeof socket));
    assert_string_equal(data, "/tmp/other");
    assert_string_equal(socket, "/run/p/c.sock");
    q = (struct config_request){.path = NULL, .socket = STR("/tmp/s")};
    assert_true(config_where(&q, data, sizeof data, socket, sizeof socket));
    assert_string_equal(socket, "/tmp/s");
    assert_non_null(strstr(data, "/.local/share/pointsman"));
    assert_false(config_where(&q, data, 5, socket, sizeof socket));
}

static void provider_ids_outlive_reloads(void **state)
{
    (void)state;
    struct config *a = load_good("providers: { p1: { base_url: http://h/v1 }, p2: { base_url: http://h/v1 } }\n");
    struct config *b = load_good("providers: { p2: { base_url: http://h/v1 }, p3: { base_url: http://h/v1 } }\n");
    assert_int_equal(a->providers[1].id, b->providers[0].id);
    assert_int_not_equal(b->providers[1].id, a->providers[0].id);
    config_put(a);
    config_put(b);
}

static void count_up(void *ctx)
{
    ++*(int *)ctx;
}

static void snapshots_are_counted_and_swapped(void **state)
{
    (void)state;
    int freed = 0;
    struct config *c = load_good("providers: { p: { base_url: http://h/v1, drained: yes } }\n");
    char to[] = "p/m";
    const struct drained drained[] = {{STR("q"), str_c(to)}};
    const struct override over[] = {{.name = STR("x"), .to = str_c(to)}};
    struct snapshot_parts parts = {.config = config_get(c), .drained = drained, .drained_count = 1,
        .overrides = over, .override_count = 1, .free_keys = count_up, .free_keys_ctx = &freed};
    uint64_t before = snapshot_generation();
    struct snapshot *s = snapshot_new(&parts);
    memset(to, '#', 3); /* copied: the caller's texts may go */
    assert_int_equal(s->drained_count, 2);
    assert_true(str_eq(s->drained[0].to, STR("p/m")) && str_eq(s->drained[1].name, STR("p")));
    assert_true(str_eq(s->overrides[0].to, STR("p/m")));
    snapshot_publish(s);
    assert_int_equal(snapshot_generation(), before + 1);
    struct snapshot *held = snapshot_current();
    assert_ptr_equal(held, s);
    parts.config = config_get(c);
    snapshot_publish(snapshot_new(&parts));
    assert_true(str_eq(held->overrides[0].name, STR("x"))); /* what began with it keeps it */
    assert_int_equal(freed, 0);
    snapshot_put(held);
    assert_int_equal(freed, 1);
    snapshot_publish(NULL);
    assert_int_equal(freed, 2);
    assert_null(snapshot_current());
    config_put(c);
}

static void the_reference_names_every_option(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    config_reference(&b);
    assert_non_null(strstr(buf_c(&b), "| `max_concurrent` | number, 1 to 1000000 | `none` |"));
    assert_non_null(strstr(buf_c(&b), "`hedge`"));
    buf_reset(&b);
    config_options_json(&b);
    assert_non_null(strstr(buf_c(&b), "{\"section\":\"routes.NAME\",\"key\":\"goal\""));
    buf_reset(&b);
    config_sample(&b);
    struct config *c = load_good(buf_c(&b)); /* the sample is a valid file */
    assert_int_equal(c->provider_count, 1);
    config_put(c);
    /* and so it is with every default uncommented */
    struct buf bare;
    buf_init(&bare, 1 << 20);
    struct str rest = buf_str(&b), line;
    bool options = true;
    while (str_cut(&rest, '\n', &line)) {
        options = options && !str_starts(line, STR("providers:"));
        bool comment = str_starts(line, STR("# ")) && options && str_find(line, STR(": ")) > 0 &&
                       !str_starts(line, STR("# pointsman"));
        bool head = options && str_starts(line, STR("# ")) && str_ends(line, STR(":"));
        buf_put_str(&bare, comment || head ? str_from(line, 2) : line);
        buf_putc(&bare, '\n');
    }
    config_put(load_good(buf_c(&bare)));
    buf_fini(&bare);
    buf_fini(&b);
}

static char *reference_fault(const char *reference)
{
    char text[200];
    snprintf(text, sizeof text, "providers:\n  lab: { base_url: 'http://127.0.0.1:9/v1', api_key: '%s' }\n",
        reference);
    return complaints_of(text);
}

static void a_sealed_key_opens_is_missing_or_says_why_it_does_not_open(void **state)
{
    (void)state;
    static const char text[] = "providers:\n  lab: { base_url: 'http://127.0.0.1:9/v1', api_keys: "
                               "['sealed:one', env:LAB_KEY_A] }\n";
    char folder[] = "/tmp/pm-sealed-XXXXXX", file[64];
    struct err e = {0};
    struct buf one, two, again;
    char *said;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/master.key", folder);
    buf_init(&one, 1 << 16);
    buf_init(&two, 1 << 16);
    buf_init(&again, 1 << 16);
    /* without a store: taken as it stands, and no key to be used */
    struct config *c = load_good(text);
    assert_int_equal(c->providers[0].key_count, 2);
    assert_int_equal(c->providers[0].locked_keys, 1);
    assert_true(c->providers[0].keys[0].fault.n > 0 && c->providers[0].keys[0].secret.n == 0);
    config_put(c);

    sealed_open(file);
    said = complaints_of(text);
    assert_non_null(strstr(said, "no key is sealed under the name one: pointsman provider seal one"));
    free(said);
    said = reference_fault("sealed:a/b");
    assert_non_null(strstr(said, "a name has letters"));
    free(said);
    said = complaints_of("keys:\n  ci: { secret: 'sealed:one' }\n");
    assert_non_null(strstr(said, "kept as a hash alone"));
    free(said);

    assert_int_equal(sealed_make(STR("one"), STR("sk-sealed-value-0123"), &one, &e), 0);
    assert_int_equal(sealed_put(STR("one"), buf_str(&one), STR("alice"), 1), 0);
    c = load_good(text);
    assert_true(str_eq(c->providers[0].keys[0].secret, STR("sk-sealed-value-0123")));
    assert_true(str_eq(c->providers[0].keys[0].name, STR("sealed:one")));
    assert_int_equal(c->providers[0].locked_keys, 0);
    buf_reset(&two);
    config_export(c, NULL, &two);
    assert_non_null(strstr(buf_c(&two), "sealed:one"));
    assert_null(strstr(buf_c(&two), "sk-sealed"));
    config_put(c);

    /* renewed: the old row opens behind the new master key, and under it when sealed again */
    assert_int_equal(sealed_renew(&e), 0);
    assert_int_equal(sealed_again(STR("one"), &again, &e), 0);
    assert_false(str_eq(buf_str(&one), buf_str(&again)));
    c = load_good(text);
    assert_int_equal(c->providers[0].locked_keys, 0);
    config_put(c);

    /* a row under another name, and a lost master key: warnings, and the other key is left */
    assert_int_equal(sealed_put(STR("one"), STR_NULL, STR("alice"), 1), 0);
    said = complaints_of(text);
    assert_non_null(strstr(said, "sealed:one does not open: damaged"));
    free(said);
    buf_reset(&two);
    assert_int_equal(sealed_make(STR("two"), STR("sk-sealed-value-0123"), &two, &e), 0);
    assert_int_equal(sealed_put(STR("one"), buf_str(&two), STR("alice"), 1), 0);
    c = load_good(text);
    assert_int_equal(c->providers[0].locked_keys, 1);
    config_put(c);
    unlink(file);
    sealed_open(file);
    assert_int_equal(sealed_put(STR("one"), buf_str(&again), STR("alice"), 1), 0);
    said = complaints_of(text);
    assert_non_null(strstr(said, "no master key in"));
    assert_non_null(strstr(said, file));
    free(said);
    sealed_drop(STR("one"));
    assert_int_equal(sealed_count(), 0);
    sealed_close();
    rmdir(folder);
    buf_fini(&one);
    buf_fini(&two);
    buf_fini(&again);
}

static void the_master_key_lies_apart_from_the_data_where_that_can_be(void **state)
{
    (void)state;
    char folder[] = "/tmp/pm-home-XXXXXX", text[300], path[4096], wanted[200];
    const char *home = getenv("HOME");
    char *was = home ? strdup(home) : NULL;
    assert_non_null(mkdtemp(folder));
    setenv("HOME", folder, 1);
    snprintf(text, sizeof text, "data: %s/data\n", folder);
    struct config *c = load_good(text);
    sealed_key_file(c, path, sizeof path);
    snprintf(wanted, sizeof wanted, "%s/.config/pointsman/master.key", folder);
    assert_string_equal(path, wanted);
    setenv("HOME", "/nonexistent", 1);
    sealed_key_file(c, path, sizeof path);
    snprintf(wanted, sizeof wanted, "%s/data/master.key", folder);
    assert_string_equal(path, wanted);
    config_put(c);
    c = load_good("master_key: /srv/master.key\n");
    sealed_key_file(c, path, sizeof path);
    assert_string_equal(path, "/srv/master.key");
    config_put(c);
    if (was)
        setenv("HOME", was, 1);
    free(was);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_full_example_loads),
        cmocka_unit_test(an_empty_file_is_the_defaults),
        cmocka_unit_test(every_fault_has_its_place_and_a_suggestion),
        cmocka_unit_test(all_complaints_come_in_the_order_of_the_file),
        cmocka_unit_test(aliases_are_bounded),
        cmocka_unit_test(anchors_and_merges_work),
        cmocka_unit_test(secret_files_must_be_private),
        cmocka_unit_test(where_data_stays_is_known_by_the_host_or_said),
        cmocka_unit_test(providers_are_found_in_the_environment),
        cmocka_unit_test(the_demo_provider_stands_in_where_nothing_else_is),
        cmocka_unit_test(secrets_are_wiped_from_the_environment_and_survive_a_reload),
        cmocka_unit_test(an_export_reads_back_as_the_same_state),
        cmocka_unit_test(an_export_carries_what_people_switched),
        cmocka_unit_test(live_edits_lie_over_the_file),
        cmocka_unit_test(a_diff_names_what_changed),
        cmocka_unit_test(literal_secrets_stay_out_of_texts),
        cmocka_unit_test(keys_are_hashed_and_their_secrets_forgotten),
        cmocka_unit_test(a_client_finds_the_gateway_whatever_else_the_file_says),
        cmocka_unit_test(provider_ids_outlive_reloads),
        cmocka_unit_test(snapshots_are_counted_and_swapped),
        cmocka_unit_test(a_sealed_key_opens_is_missing_or_says_why_it_does_not_open),
        cmocka_unit_test(the_master_key_lies_apart_from_the_data_where_that_can_be),
        cmocka_unit_test(the_reference_names_every_option),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
