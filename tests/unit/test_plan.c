/* Units of proxy/route/{plan,resolve,goals}: a table of stories (who asks what, where it goes and
 * why), and what must hold whatever is asked. */
#include "proxy/meter/price.h"
#include "proxy/route/plan.h"
#include "store/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define S(text) {"" text, sizeof(text) - 1}

/* --- a small world --- */

static const struct str openai_models[] = {S("gpt-5"), S("gpt-5-mini"), S("shared")};
static const struct str anthropic_models[] = {
    S("claude-haiku-4-5"), S("claude-sonnet-4-5"), S("shared")};
static const struct str lab_models[] = {S("qwen3"), S("llama-3.3-70b")};
static const struct provider_key one_key[] = {{.name = S("env:K"), .secret = S("x"), .weight = 1}};

enum { OPENAI, ANTHROPIC, LAB };
static const struct provider providers[] = {
    {.name = S("openai"), .id = 0, .dialect = DIALECT_OPENAI, .models = openai_models,
        .model_count = 3, .keys = one_key, .key_count = 1},
    {.name = S("anthropic"), .id = 1, .dialect = DIALECT_ANTHROPIC, .models = anthropic_models,
        .model_count = 3, .keys = one_key, .key_count = 1},
    {.name = S("lab"), .id = 2, .dialect = DIALECT_OPENAI, .models = lab_models, .model_count = 2},
};

#define TO(p, m, w) {&providers[p], S(m), w}
static const struct target fast_targets[] = {TO(OPENAI, "gpt-5-mini", 1),
    TO(ANTHROPIC, "claude-haiku-4-5", 1)};
static const struct target cheap_targets[] = {TO(LAB, "qwen3", 90), TO(OPENAI, "gpt-5-nano", 10)};
static const struct target cheap_fallback[] = {TO(OPENAI, "gpt-5-mini", 1)};
static const struct target claude_targets[] = {TO(ANTHROPIC, "$model", 1)};
static const struct target sonnet[] = {TO(ANTHROPIC, "claude-sonnet-4-5", 1)};
static const struct condition long_prompt[] = {
    {.kind = CONDITION_PROMPT_TOKENS, .low = 150001, .high = INT64_MAX, .shown = S(">150k")}};
static const struct condition ci_key[] = {{.kind = CONDITION_KEY, .text = S("ci-*")}};
static const struct condition off[] = {{.kind = CONDITION_MODEL, .text = S("*")}};
static const struct rule claude_rules[] = {
    {.name = S("never"),
        .enabled = false,
        .conditions = off,
        .condition_count = 1,
        .route = S("cheap")},
    {.name = S("long"),
        .enabled = true,
        .conditions = long_prompt,
        .condition_count = 1,
        .targets = sonnet,
        .target_count = 1},
    {.name = S("ci"),
        .enabled = true,
        .conditions = ci_key,
        .condition_count = 1,
        .route = S("cheap")},
};
static const struct rule to_loop_b[] = {{.name = S("b"), .enabled = true, .route = S("loop-b")}};
static const struct rule to_loop_a[] = {{.name = S("a"), .enabled = true, .route = S("loop-a")}};
static const struct route routes[] = {
    {.name = S("fast"), .id = 1, .targets = fast_targets, .target_count = 2},
    {.name = S("cheap"), .id = 2, .policy = POLICY_WEIGHTED, .targets = cheap_targets,
        .target_count = 2, .fallback = cheap_fallback, .fallback_count = 1},
    {.name = S("claude-*"), .id = 3, .pattern = true, .targets = claude_targets, .target_count = 1,
        .rules = claude_rules, .rule_count = 3},
    {.name = S("claude-opus-*"), .id = 4, .pattern = true, .targets = sonnet, .target_count = 1},
    {.name = S("loop-a"), .id = 5, .rules = to_loop_b, .rule_count = 1},
    {.name = S("loop-b"), .id = 6, .rules = to_loop_a, .rule_count = 1},
};
static const struct config base = {.providers = providers, .provider_count = 3, .routes = routes,
    .route_count = ARRAY_LEN(routes), .timezone = S("UTC")};

struct world {
    struct config config;
    struct snapshot snapshot;
    struct health *health;
    struct arena arena;
    struct request_facts facts;
    struct plan_request r;
    struct plan plan;
    struct err e;
};

static void world_init(struct world *w)
{
    *w = (struct world){.config = base};
    w->snapshot.config = &w->config;
    w->health = health_new();
    arena_init(&w->arena, 16384, 64 << 20);
    w->facts = (struct request_facts){.prompt_tokens = 1000, .n = 1};
    w->r = (struct plan_request){.snapshot = &w->snapshot, .facts = &w->facts, .wire = WIRE_CHAT,
        .random = 42, .now_us = 1000000, .wall_ms = 1795442529000};
}

static void world_fini(struct world *w)
{
    health_free(w->health);
    arena_fini(&w->arena);
}

static int ask(struct world *w, const char *name)
{
    w->r.asked = str_c(name);
    w->e = (struct err){0};
    return plan_make(&w->r, w->health, &w->arena, &w->plan, &w->e);
}

/* "openai/gpt-5-mini anthropic/claude-haiku-4-5": the plan in order. */
static const char *order_of(struct world *w)
{
    struct buf b;
    static char text[1000];
    buf_init(&b, sizeof text - 1);
    for (size_t i = 0; i < w->plan.count; i++)
        buf_printf(&b, "%s" STR_FMT "/" STR_FMT, i ? " " : "",
            STR_ARG(w->plan.candidates[i].provider->name), STR_ARG(w->plan.candidates[i].model));
    str_copy(text, sizeof text, buf_str(&b));
    buf_fini(&b);
    return text;
}

static void fail_target(struct world *w, int provider, const char *model, unsigned failure, int n)
{
    for (int i = 0; i < n; i++) {
        health_began(w->health, &providers[provider], str_c(model), w->r.now_us);
        health_ended(w->health, &providers[provider], str_c(model), failure, 0, 1000, w->r.now_us);
    }
}

/* --- stories --- */

static const struct str only_fast[] = {S("fast"), S("cheap")};
static const struct key alice = {.name = S("alice")}, ci_bot = {.name = S("ci-bot")},
    narrow = {.name = S("narrow"), .models = only_fast, .model_count = 2};

static const struct story {
    const char *what, *asked;
    const struct key *key;
    const char *forced;
    enum wire wire;
    int64_t prompt;
    int rc;
    const char *order, *route, *rule;
} stories[] = {
    {"an exact route goes to its first target", "fast", NULL, NULL, WIRE_CHAT, 0, 0,
        "openai/gpt-5-mini anthropic/claude-haiku-4-5", "fast", ""},
    {"a pattern keeps the asked model", "claude-haiku-4-5", NULL, NULL, WIRE_CHAT, 0, 0,
        "anthropic/claude-haiku-4-5", "claude-*", ""},
    {"the more specific pattern wins", "claude-opus-4-1", NULL, NULL, WIRE_CHAT, 0, 0,
        "anthropic/claude-sonnet-4-5", "claude-opus-*", ""},
    {"a rule looks at the prompt's size", "claude-haiku-4-5", NULL, NULL, WIRE_CHAT, 160000, 0,
        "anthropic/claude-sonnet-4-5", "claude-*", "long"},
    {"a rule may lead to another route, whose settings then hold", "claude-haiku-4-5", &ci_bot,
        NULL, WIRE_CHAT, 0, 0, NULL, "cheap", "ci"},
    {"provider/model names a target directly", "lab/anything/at-all", NULL, NULL, WIRE_CHAT, 0, 0,
        "lab/anything/at-all", "", ""},
    {"a listed model finds its provider", "gpt-5", NULL, NULL, WIRE_CHAT, 0, 0, "openai/gpt-5", "",
        ""},
    {"listed twice: the provider that speaks the client's dialect", "shared", NULL, NULL,
        WIRE_MESSAGES, 0, 0, "anthropic/shared", "", ""},
    {"listed twice: the other dialect", "shared", NULL, NULL, WIRE_CHAT, 0, 0, "openai/shared", "",
        ""},
    {"an unknown name is not found", "gpt-5-mimi", NULL, NULL, WIRE_CHAT, 0, -ERR_NOT_FOUND, "", "",
        ""},
    {"no name at all is not found", "", NULL, NULL, WIRE_CHAT, 0, -ERR_NOT_FOUND, "", "", ""},
    {"a header forces a route", "gpt-5", NULL, "fast", WIRE_CHAT, 0, 0,
        "openai/gpt-5-mini anthropic/claude-haiku-4-5", "fast", ""},
    {"a forced pattern route keeps the asked model", "my-model", NULL, "claude-x", WIRE_CHAT, 0, 0,
        "anthropic/my-model", "claude-*", ""},
    {"a forced route that does not exist is not found", "gpt-5", NULL, "slow", WIRE_CHAT, 0,
        -ERR_NOT_FOUND, "", "", ""},
    {"a key's list lets its routes through", "fast", &narrow, NULL, WIRE_CHAT, 0, 0,
        "openai/gpt-5-mini anthropic/claude-haiku-4-5", "fast", ""},
    {"a key's list keeps models out", "gpt-5", &narrow, NULL, WIRE_CHAT, 0, -ERR_DENIED, "", "",
        ""},
    {"a key's list holds for forced routes", "fast", &narrow, "claude-haiku-4-5", WIRE_CHAT, 0,
        -ERR_DENIED, "", "", ""},
    {"an unknown name is refused to a narrow key before it is looked up", "nope", &narrow, NULL,
        WIRE_CHAT, 0, -ERR_DENIED, "", "", ""},
    {"routes that lead in a circle are refused", "loop-a", NULL, NULL, WIRE_CHAT, 0, -ERR_STATE, "",
        "", ""},
    {"embeddings never go to a dialect without them", "claude-x", NULL, NULL, WIRE_EMBEDDINGS, 0,
        -ERR_UNSUPPORTED, "", "", ""},
};

static void the_stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
        const struct story *s = &stories[i];
        struct world w;
        world_init(&w);
        w.r.key = s->key;
        w.r.forced_route = str_c(s->forced);
        w.r.wire = s->wire;
        w.facts.prompt_tokens = s->prompt ? s->prompt : 100;
        int rc = ask(&w, s->asked);
        if (rc != s->rc || (!rc && s->order && strcmp(order_of(&w), s->order) != 0) ||
            (!rc && !str_eq(w.plan.route_name, str_c(s->route))) ||
            (!rc && !str_eq(w.plan.rule_name, str_c(s->rule))))
            fail_msg("%s: rc %d, order \"%s\", route \"" STR_FMT "\", rule \"" STR_FMT "\": %s",
                s->what, rc, order_of(&w), STR_ARG(w.plan.route_name), STR_ARG(w.plan.rule_name),
                w.e.text);
        if (rc == 0)
            assert_true(w.plan.count > 0 && w.plan.candidates[0].reason.n > 0);
        else
            assert_true(strlen(w.e.text) > 10);
        struct json *log = json_parse(w.plan.log, &w.e);
        assert_true(json_is_array(log));
        json_free(log);
        world_fini(&w);
    }
}

static void nearest_names_are_offered(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    assert_int_equal(ask(&w, "gpt-5-mimi"), -ERR_NOT_FOUND);
    assert_non_null(strstr(w.e.text, "did you mean gpt-5-mini"));
    assert_int_equal(ask(&w, "openai2/gpt-5"), -ERR_NOT_FOUND);
    assert_non_null(strstr(w.e.text, "openai/gpt-5"));
    assert_int_equal(ask(&w, "zzzzzzzzzzzz"), -ERR_NOT_FOUND);
    assert_null(strstr(w.e.text, "did you mean"));
    world_fini(&w);
}

/* Providers found in the environment list nothing. */
static void without_a_file_well_known_models_find_their_makers(void **state)
{
    (void)state;
    static const struct provider found[] = {
        {.name = S("openai"), .id = 20, .dialect = DIALECT_OPENAI},
        {.name = S("claude"),
            .id = 21,
            .dialect = DIALECT_ANTHROPIC,
            .base_url = S("https://api.anthropic.com")},
        {.name = S("box"),
            .id = 22,
            .dialect = DIALECT_OPENAI,
            .base_url = S("http://127.0.0.1:8000/v1")},
        {.name = S("box2"),
            .id = 23,
            .dialect = DIALECT_OPENAI,
            .base_url = S("http://127.0.0.1:8001/v1")},
    };
    static const struct {
        size_t providers;
        const char *asked;
        enum wire wire;
        const char *order;
    } cases[] = {
        {2, "gpt-5-new", WIRE_CHAT, "openai/gpt-5-new"},
        {2, "gpt-5-new", WIRE_MESSAGES, "openai/gpt-5-new"},
        {2, "claude-haiku-9", WIRE_CHAT, "claude/claude-haiku-9"},
        {1, "claude-haiku-9", WIRE_MESSAGES, ""}, /* openai has no such thing: say so at once */
        {1, "my-fine-tune", WIRE_CHAT, "openai/my-fine-tune"},
        {1, "my-fine-tune", WIRE_MESSAGES, "openai/my-fine-tune"},
        {2, "my-fine-tune", WIRE_CHAT, "openai/my-fine-tune"}, /* the client's dialect decides */
        {3, "my-fine-tune", WIRE_CHAT, ""}, /* two might have it: ask for provider/model */
        {3, "my-fine-tune", WIRE_MESSAGES, "claude/my-fine-tune"},
        {4, "gpt-5", WIRE_CHAT, "openai/gpt-5"},
        {4, "claude-haiku-9", WIRE_CHAT, "claude/claude-haiku-9"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        world_init(&w);
        w.config = (struct config){.providers = found, .provider_count = cases[i].providers};
        w.r.wire = cases[i].wire;
        int rc = ask(&w, cases[i].asked);
        if (rc != (*cases[i].order ? 0 : -ERR_NOT_FOUND) ||
            strcmp(order_of(&w), cases[i].order) != 0)
            fail_msg(
                "%s of %zu: %s %s", cases[i].asked, cases[i].providers, order_of(&w), w.e.text);
        world_fini(&w);
    }
}

/* --- overrides --- */

static struct override over(const char *name, enum scope scope, const char *of, const char *to)
{
    return (struct override){.name = str_c(name), .scope = scope, .scope_name = str_c(of),
        .to = str_c(to), .who = STR("bob")};
}

static void a_switch_takes_session_before_key_before_everyone(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct override o[] = {over("fast", SCOPE_EVERYONE, "", "lab/qwen3"),
        over("fast", SCOPE_KEY, "alice", "openai/gpt-5"),
        over("fast", SCOPE_SESSION, "s1", "anthropic/claude-sonnet-4-5")};
    w.snapshot.overrides = o;
    w.snapshot.override_count = 3;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "lab/qwen3 openai/gpt-5-mini anthropic/claude-haiku-4-5");
    assert_true(str_eq(w.plan.override_by, STR("everyone")));
    assert_true(str_eq(w.plan.route_name, STR("fast"))); /* its retry and budget still hold */
    w.r.key = &alice;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(str_eq(w.plan.override_by, STR("key alice")));
    assert_true(str_eq(w.plan.candidates[0].model, STR("gpt-5")));
    w.r.session = STR("s1");
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(str_eq(w.plan.override_by, STR("session s1")));
    assert_int_equal(ask(&w, "cheap"), 0); /* another name is untouched */
    assert_int_equal(w.plan.override_by.n, 0);
    world_fini(&w);
}

static void a_switch_that_is_over_or_leads_nowhere_is_passed_over(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct override o[] = {over("fast", SCOPE_EVERYONE, "", "lab/qwen3"),
        over("cheap", SCOPE_EVERYONE, "", "gone/model"), over("loop", SCOPE_EVERYONE, "", "fast")};
    w.snapshot.overrides = o;
    w.snapshot.override_count = 3;
    o[0].until_ms = w.r.wall_ms; /* its time is over */
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "openai/gpt-5-mini anthropic/claude-haiku-4-5");
    o[0].until_ms = w.r.wall_ms + 1;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(str_eq(w.plan.candidates[0].model, STR("qwen3")));
    assert_int_equal(ask(&w, "cheap"), 0);
    assert_int_equal(w.plan.override_by.n, 0);
    assert_true(str_find(w.plan.log, STR("its target is gone")) >= 0);
    world_fini(&w);
}

static void a_switch_may_lead_to_a_route_a_goal_or_make_a_name(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct override o[] = {over("fast", SCOPE_EVERYONE, "", "cheap"),
        over("cheap", SCOPE_EVERYONE, "", "fast"), over("my-alias", SCOPE_EVERYONE, "", "gpt-5"),
        over("claude-*", SCOPE_EVERYONE, "", "goal:resilience")};
    w.snapshot.overrides = o;
    w.snapshot.override_count = 4;
    assert_int_equal(ask(&w, "fast"), 0); /* fast → cheap; back to fast would close a circle */
    assert_true(str_eq(w.plan.route_name, STR("cheap")));
    assert_true(str_find(w.plan.log, STR("circle")) >= 0);
    assert_int_equal(ask(&w, "my-alias"), 0); /* no route defines it */
    assert_string_equal(order_of(&w), "openai/gpt-5");
    assert_int_equal(ask(&w, "claude-haiku-4-5"), 0); /* by the pattern's own name */
    assert_int_equal(w.plan.attempts, 1);
    assert_int_equal(w.plan.first_token_us, 20000000);
    world_fini(&w);
}

static void what_a_route_says_itself_stands_before_its_goal(void **state)
{
    (void)state;
    struct world w;
    struct route list[] = {routes[0], routes[1], routes[3], routes[2]}; /* the wider pattern last */
    world_init(&w);
    w.config.routes = list;
    w.config.route_count = 4;
    list[0].goal = GOAL_RESILIENCE;
    list[0].first_token_us = 3000000;
    list[0].retry_on = FAIL_TIMEOUT;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_int_equal(w.plan.first_token_us, 3000000);
    assert_int_equal(w.plan.retry_on, FAIL_TIMEOUT | FAIL_KEY | FAIL_MODEL);
    list[0].goal = GOAL_LONG_CONTEXT; /* its policy, where the route has none of its own */
    w.r.session = STR("s");
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(str_eq(w.plan.candidates[0].reason, STR("held by session")));
    list[0].policy = POLICY_WEIGHTED;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(str_starts(w.plan.candidates[0].reason, STR("weight 1 of 2")));
    assert_int_equal(ask(&w, "claude-opus-4-1"), 0);
    assert_true(str_eq(w.plan.route_name, STR("claude-opus-*")));
    struct override star[] = {{.name = S("*"), .scope = SCOPE_EVERYONE, .to = S("lab/qwen3")}};
    w.snapshot.overrides = star; /* that is for one key or one session alone */
    w.snapshot.override_count = 1;
    assert_int_equal(ask(&w, "gpt-5"), 0);
    assert_string_equal(order_of(&w), "openai/gpt-5");
    world_fini(&w);
}

static void one_bad_answer_shuns_nobody(void **state)
{
    (void)state;
    struct world w;
    struct route list[1] = {routes[0]};
    world_init(&w);
    w.config.routes = list;
    w.config.route_count = 1;
    for (int i = 1; i <= 5; i++) { /* breakers open at five in a row: every second one is well */
        fail_target(&w, OPENAI, "gpt-5-mini", i % 2 ? FAIL_5XX : 0, 1);
        for (int k = 0; k < 2; k++) {
            list[0].goal = k ? GOAL_COST : GOAL_RESILIENCE;
            assert_int_equal(ask(&w, "fast"), 0);
            assert_int_equal(str_eq(w.plan.candidates[0].provider->name, STR("openai")), i < 5);
        }
    }
    world_fini(&w);
}

static void a_slow_canary_is_taken_back(void **state)
{
    (void)state;
    struct world w;
    struct route list[1] = {routes[0]};
    world_init(&w);
    w.config.routes = list;
    w.config.route_count = 1;
    list[0].canary.to = (struct target)TO(LAB, "qwen3", 1);
    list[0].canary.share_ppm = 1000000;
    list[0].canary.max_latency_us = 1000000;
    for (int slow = 0; slow < 2; slow++) {
        for (int i = 0; i < 20; i++) {
            health_began(w.health, &providers[LAB], STR("qwen3"), w.r.now_us);
            health_ended(w.health, &providers[LAB], STR("qwen3"), 0, slow ? 3000000 : 500000, 4000000, w.r.now_us);
        }
        assert_int_equal(ask(&w, "fast"), 0);
        assert_int_equal(w.plan.canary, !slow);
    }
    assert_string_equal(health_canary_news(w.health, &list[0]), "taken back: too slow");
    world_fini(&w);
}

/* --- who is left out --- */

static void what_a_drain_leaves_without_a_place_goes_where_it_says(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct drained drained[] = {{S("lab"), S("anthropic/claude-sonnet-4-5")}};
    w.snapshot.drained = drained;
    w.snapshot.drained_count = 1;
    assert_int_equal(ask(&w, "cheap"), 0); /* it has others of its own */
    assert_null(strstr(order_of(&w), "claude-sonnet-4-5"));
    assert_false(w.plan.stood_in);
    assert_int_equal(ask(&w, "lab/anything"), 0); /* that one alone was asked for */
    assert_string_equal(order_of(&w), "anthropic/claude-sonnet-4-5");
    assert_true(w.plan.stood_in && str_eq(w.plan.override_by, STR("drain of lab")));
    assert_true(str_find(w.plan.candidates[0].reason, STR("lab is drained")) >= 0);
    struct override away[] = {{.name = S("gpt-5"), .scope = SCOPE_EVERYONE, .to = S("lab/qwen3")}};
    w.snapshot.overrides = away;
    w.snapshot.override_count = 1;
    assert_int_equal(ask(&w, "gpt-5"), 0); /* a switch that leads there */
    assert_string_equal(order_of(&w), "anthropic/claude-sonnet-4-5");
    assert_true(str_eq(w.plan.override_by, STR("everyone")));
    drained[0].to = STR("fast"); /* a route */
    assert_int_equal(ask(&w, "lab/anything"), 0);
    assert_string_equal(order_of(&w), "openai/gpt-5-mini anthropic/claude-haiku-4-5");
    drained[0].to = STR("lab/qwen3"); /* never itself, nor one that is gone */
    assert_int_equal(ask(&w, "lab/anything"), -ERR_FULL);
    drained[0].to = STR("gone/m");
    assert_int_equal(ask(&w, "lab/anything"), -ERR_FULL);
    assert_true(str_eq(w.plan.rejected[0].reason, STR("provider drained")));
    drained[0].to = STR("openai/gpt-5-mini"); /* rather than a probe of one that has failed */
    fail_target(&w, OPENAI, "gpt-5-nano", FAIL_5XX, 5);
    struct route only_nano = routes[1];
    only_nano.fallback_count = 0;
    w.config.routes = &only_nano;
    w.config.route_count = 1;
    assert_int_equal(ask(&w, "cheap"), 0);
    assert_string_equal(order_of(&w), "openai/gpt-5-mini");
    world_fini(&w);
}

static void one_way_of_a_name_can_be_foretold(void **state)
{
    (void)state;
    struct world w;
    struct plan_what what = {0};
    struct override over[] = {{.name = S("claude-x"), .scope = SCOPE_EVERYONE, .to = S("lab/qwen3")}};
    world_init(&w);
    w.snapshot.overrides = over;
    w.snapshot.override_count = 1;
    w.r.what = &what;
    w.facts.prompt_tokens = 160000; /* its rule would hold */
    assert_int_equal(ask(&w, "claude-x"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-x");
    w.facts.prompt_tokens = 1;
    what.rule = &claude_rules[1];
    assert_int_equal(ask(&w, "claude-x"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-sonnet-4-5");
    assert_true(str_eq(w.plan.rule_name, STR("long")));
    what = (struct plan_what){.to = STR("openai/gpt-5")};
    assert_int_equal(ask(&w, "claude-x"), 0);
    assert_string_equal(order_of(&w), "openai/gpt-5 anthropic/claude-x");
    what.to = STR("gone/m");
    assert_int_equal(ask(&w, "claude-x"), 0); /* as configured */
    assert_string_equal(order_of(&w), "anthropic/claude-x");
    world_fini(&w);
}

static void drained_and_tripped_targets_are_never_chosen(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct drained drained[] = {{.name = S("openai")}};
    w.snapshot.drained = drained;
    w.snapshot.drained_count = 1;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5");
    assert_true(str_eq(w.plan.rejected[0].reason, STR("provider drained")));
    fail_target(&w, ANTHROPIC, "claude-haiku-4-5", FAIL_5XX, 5);
    assert_int_equal(ask(&w, "fast"), 0); /* nobody else is left: one early probe at a time */
    assert_true(str_find(w.plan.candidates[0].reason, STR("early probe")) >= 0);
    health_began(w.health, &providers[ANTHROPIC], STR("claude-haiku-4-5"), w.r.now_us);
    assert_int_equal(ask(&w, "fast"), -ERR_FULL);
    assert_non_null(strstr(w.e.text, "breaker open, 10 s left (server error)"));
    assert_in_range(w.plan.retry_after_ms, 9000, 10001);
    w.snapshot.drained_count = 0; /* with somebody else there it is passed over */
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "openai/gpt-5-mini");
    w.snapshot.drained_count = 1;
    health_ended(w.health, &providers[ANTHROPIC], STR("claude-haiku-4-5"), FAIL_5XX, 0, 1,
        w.r.now_us);
    w.r.now_us += 10000000; /* half open: the next request is the probe, the one after is not */
    assert_int_equal(ask(&w, "fast"), 0);
    health_began(w.health, &providers[ANTHROPIC], STR("claude-haiku-4-5"), w.r.now_us);
    assert_int_equal(ask(&w, "fast"), -ERR_FULL);
    world_fini(&w);
}

static void what_people_shut_stays_shut(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    health_trip(w.health, &providers[OPENAI], 0, w.r.now_us);
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5");
    assert_int_equal(ask(&w, "gpt-5"), -ERR_FULL); /* no early probe */
    assert_non_null(strstr(w.e.text, "by hand until cleared"));
    assert_int_equal(w.plan.retry_after_ms, -1);
    health_clear(w.health, &providers[OPENAI]);
    assert_int_equal(ask(&w, "gpt-5"), 0);
    world_fini(&w);
}

static struct price_list *prices_of(const char *key, int64_t context, int64_t input_femto)
{
    struct price_list *l = price_list_new(NULL);
    struct price p = {.base[0] = {input_femto, input_femto * 4, -1, -1, -1, -1, -1, -1, -1, -1},
        .context_tokens = context};
    for (int t = 1; t < TIER_COUNT; t++)
        p.base[t] = (struct price_rates){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    str_copy(p.key, sizeof p.key, str_c(key));
    assert_int_equal(price_list_put(l, &p, NULL), 0);
    return l;
}

/* The goal long_context counts what may be written as well. */
static void long_context_fits_prompt_and_output(void **state)
{
    (void)state;
    struct world w;
    struct route list[1] = {routes[0]};
    world_init(&w);
    w.config.routes = list;
    w.config.route_count = 1;
    w.config.prices = prices_of("openai/gpt-5-mini", 100000, 1000);
    w.facts.prompt_tokens = 90000;
    w.facts.max_output = 20000;
    assert_int_equal(ask(&w, "fast"), 0); /* tight: the last to be asked */
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5 openai/gpt-5-mini");
    list[0].goal = GOAL_LONG_CONTEXT;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5");
    assert_true(str_starts(w.plan.rejected[0].reason, STR("prompt and output of about 110000 tokens")));
    price_list_free(w.config.prices);
    world_fini(&w);
}

static void answer_in(struct world *w, int64_t ttft_us, int64_t at_us)
{
    for (int i = 0; i < 20; i++) {
        health_began(w->health, &providers[OPENAI], STR("gpt-5-mini"), at_us);
        health_ended(w->health, &providers[OPENAI], STR("gpt-5-mini"), 0, ttft_us, 2 * ttft_us, at_us);
    }
}

/* The goal latency: twice its own hour before is a spike, half as much again is not. */
static void a_spike_is_held_against_ones_own_hour(void **state)
{
    (void)state;
    for (int factor = 3; factor <= 6; factor += 3) {
        struct world w;
        struct route list[1] = {routes[0]};
        world_init(&w);
        w.config.routes = list;
        w.config.route_count = 1;
        list[0].goal = GOAL_LATENCY;
        answer_in(&w, 200000, 100000000);
        w.r.now_us = 100000000 + 10 * 60000000LL;
        answer_in(&w, 100000 * factor, w.r.now_us);
        assert_int_equal(ask(&w, "fast"), 0);
        assert_int_equal(str_eq(w.plan.candidates[0].provider->name, STR("openai")), factor == 3);
        world_fini(&w);
    }
}

static void a_prompt_that_does_not_fit_goes_where_it_does_or_is_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.config.prices = prices_of("openai/gpt-5-mini", 100000, 250000000);
    w.facts.prompt_tokens = 120000;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5");
    assert_true(str_find(w.plan.rejected[0].reason, STR("> context 100000")) >= 0);
    assert_int_equal(ask(&w, "openai/gpt-5-mini"), -ERR_LIMIT);
    assert_non_null(strstr(w.e.text, "120000 tokens"));
    w.facts.prompt_tokens = 105000; /* within the estimate's error: last, not never */
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5 openai/gpt-5-mini");
    w.facts.prompt_tokens = 90000;
    w.facts.max_output = 20000;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5 openai/gpt-5-mini");
    world_fini(&w);
    price_list_free(w.config.prices);
}

static void keys_that_are_set_aside_put_a_target_last_but_not_out(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    health_key_failed(w.health, &providers[OPENAI], STR("gpt-5-mini"), 0, 401, -1, w.r.now_us);
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5 openai/gpt-5-mini");
    assert_true(str_find(w.plan.candidates[1].reason, STR("keys are set aside")) >= 0);
    assert_int_equal(ask(&w, "gpt-5"), 0); /* the only one there is: its own answer says most */
    world_fini(&w);
}

/* --- goals --- */

static void the_goals_shun_what_they_promise_to_shun(void **state)
{
    (void)state;
    struct world w;
    struct route list[1] = {routes[0]};
    world_init(&w);
    w.config.routes = list;
    w.config.route_count = 1;
    list[0].goal = GOAL_LATENCY;
    for (int i = 0; i < 200; i++) /* an hour of 0.3 s, then a minute of 2 s */
        health_ended(w.health, &providers[OPENAI], STR("gpt-5-mini"), 0, 300000, 900000,
            w.r.now_us);
    health_began(w.health, &providers[OPENAI], STR("gpt-5-mini"), w.r.now_us);
    for (int i = 0; i < 200; i++)
        health_ended(w.health, &providers[OPENAI], STR("gpt-5-mini"), 0, 300000, 900000,
            w.r.now_us);
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "openai/gpt-5-mini anthropic/claude-haiku-4-5");
    w.r.now_us += 300000000;
    for (int i = 0; i < 6; i++)
        health_ended(w.health, &providers[OPENAI], STR("gpt-5-mini"), 0, 2000000, 4000000,
            w.r.now_us);
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5 openai/gpt-5-mini");
    list[0].goal = GOAL_QUALITY; /* quality does not mind */
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "openai/gpt-5-mini anthropic/claude-haiku-4-5");
    list[0].goal = GOAL_RESILIENCE;
    fail_target(&w, OPENAI, "gpt-5-mini", FAIL_5XX, 3);
    assert_int_equal(ask(&w, "fast"), 0);
    assert_string_equal(order_of(&w), "anthropic/claude-haiku-4-5 openai/gpt-5-mini");
    for (int g = GOAL_NONE; g <= GOAL_RESILIENCE; g++) {
        assert_int_equal(goal_from_name(str_c(goal_name((enum goal)g))), g);
        assert_true(strlen(goal_expands_to((enum goal)g)) > 10);
    }
    assert_int_equal(goal_from_name(STR("speed")), -1);
    world_fini(&w);
}

static void resilience_adds_other_providers_of_the_same_model(void **state)
{
    (void)state;
    struct world w;
    static const struct target shared[] = {TO(OPENAI, "shared", 1)};
    struct route list[1] = {{.name = S("r"), .id = 9, .goal = GOAL_RESILIENCE, .targets = shared,
        .target_count = 1}};
    world_init(&w);
    w.config.routes = list;
    w.config.route_count = 1;
    assert_int_equal(ask(&w, "r"), 0);
    assert_string_equal(order_of(&w), "openai/shared anthropic/shared");
    world_fini(&w);
}

/* --- canary --- */

static int canaries_told;

static void on_change(void *ctx, enum health_change change, const struct provider *p,
    struct str model, const char *text)
{
    (void)ctx, (void)p, (void)model;
    if (change != HEALTH_CANARY_BACK)
        return;
    canaries_told++;
    assert_non_null(strstr(text, "canary of route fast taken back: too many errors"));
}

static void a_canary_gets_its_share_and_is_taken_back(void **state)
{
    (void)state;
    struct world w;
    struct route list[1] = {routes[0]};
    world_init(&w);
    health_on_change(w.health, on_change, NULL);
    w.config.routes = list;
    w.config.route_count = 1;
    list[0].canary.to = (struct target)TO(LAB, "qwen3", 1);
    list[0].canary.share_ppm = 100000;
    list[0].canary.max_error_ppm = 50000;
    int taken = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        w.r.random = i * 0x9e3779b97f4a7c15u;
        assert_int_equal(ask(&w, "fast"), 0);
        taken += w.plan.canary;
        assert_int_equal(w.plan.canary, str_eq(w.plan.candidates[0].model, STR("qwen3")));
        arena_reset(&w.arena);
    }
    assert_in_range(taken, 1800, 2200);
    w.r.session = STR("one session"); /* stays on one side */
    assert_int_equal(ask(&w, "fast"), 0);
    bool side = w.plan.canary;
    for (uint64_t i = 0; i < 100; i++) {
        w.r.random = i * 0x9e3779b97f4a7c15u;
        assert_int_equal(ask(&w, "fast"), 0);
        assert_int_equal(w.plan.canary, side);
    }
    w.r.session = STR("");
    list[0].canary.share_ppm = 1000000;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(w.plan.canary);
    fail_target(&w, LAB, "qwen3", FAIL_5XX, 4);
    fail_target(&w, LAB, "qwen3", 0, 4);
    assert_int_equal(ask(&w, "fast"), 0);
    assert_false(w.plan.canary);
    assert_true(str_find(w.plan.log, STR("too many errors")) >= 0);
    w.r.now_us += 120000000; /* it stays away until a person says otherwise */
    assert_int_equal(ask(&w, "fast"), 0);
    assert_false(w.plan.canary);
    assert_int_equal(canaries_told, 1); /* not once a request */
    health_canary_again(w.health, &list[0]);
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(w.plan.canary);
    world_fini(&w);
}

/* Its price list doesn't matter: what its requests have cost does. */
static void a_canary_is_held_against_what_the_others_cost(void **state)
{
    (void)state;
    struct world w;
    struct route list[1] = {routes[0]};
    world_init(&w);
    w.config.routes = list;
    w.config.route_count = 1;
    list[0].canary.to = (struct target)TO(LAB, "qwen3", 1);
    list[0].canary.share_ppm = 1000000;
    list[0].canary.max_cost_ppm = 1500000;
    for (int i = 0; i < CANARY_COSTS_LEAST; i++) {
        health_canary_cost(w.health, &list[0], false, 1000);
        health_canary_cost(w.health, &list[0], true, 1500); /* as much as is allowed */
    }
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(w.plan.canary && !w.plan.beside_canary);
    health_canary_cost(w.health, &list[0], true, 1600);
    assert_int_equal(ask(&w, "fast"), 0);
    assert_false(w.plan.canary);
    assert_true(str_find(w.plan.log, STR("too dear")) >= 0);
    assert_string_equal(health_canary_news(w.health, &list[0]), "taken back: too dear");
    health_canary_noted(w.health, &list[0]);
    assert_null(health_canary_news(w.health, &list[0]));
    assert_true(health_canary_is_back(w.health, &list[0]) && health_canary_is_noted(w.health, &list[0]));
    health_canary_again(w.health, &list[0]); /* and its costs are counted anew */
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(w.plan.canary);
    list[0].canary.share_ppm = 1;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_true(w.plan.beside_canary && !w.plan.canary);
    struct str back[] = {S("fast")}; /* kept from an earlier life of the process */
    list[0].canary.share_ppm = 1000000;
    w.snapshot.taken_back = back;
    w.snapshot.taken_back_count = 1;
    assert_int_equal(ask(&w, "fast"), 0);
    assert_false(w.plan.canary || w.plan.beside_canary);
    world_fini(&w);
}

/* --- whatever is asked --- */

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    return *s ^= *s << 17;
}

/* Random worlds: what is drained or open is never in a plan, nothing twice, every policy. */
static void no_excluded_target_is_ever_chosen(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 3000; round++) {
        struct world w;
        struct route list[1] = {{.name = S("r"), .id = 7}};
        struct target targets[6];
        struct drained drained[1];
        world_init(&w);
        w.config.routes = list;
        w.config.route_count = 1;
        list[0].policy = (enum policy)(next(&seed) % POLICY_COUNT);
        list[0].goal = (enum goal)(next(&seed) % (GOAL_RESILIENCE + 1));
        list[0].target_count = 1 + next(&seed) % 6;
        list[0].targets = targets;
        for (size_t i = 0; i < list[0].target_count; i++) {
            const struct provider *p = &providers[next(&seed) % 3];
            targets[i] = (struct target){p, p->models[next(&seed) % p->model_count],
                (unsigned)(next(&seed) % 4)};
        }
        const struct provider *out = &providers[next(&seed) % 3];
        drained[0] = (struct drained){.name = out->name};
        w.snapshot.drained = drained;
        w.snapshot.drained_count = next(&seed) % 2;
        const struct target *bad = &targets[next(&seed) % list[0].target_count];
        if (next(&seed) % 2)
            for (int i = 0; i < 5; i++) {
                health_began(w.health, bad->provider, bad->model, w.r.now_us);
                health_ended(w.health, bad->provider, bad->model, FAIL_TIMEOUT, 0, 1, w.r.now_us);
            }
        struct health_view v;
        health_view(w.health, bad->provider, bad->model, w.r.now_us, &v);
        w.r.random = next(&seed);
        int rc = ask(&w, "r");
        assert_true(rc == 0 || rc == -ERR_FULL);
        assert_int_equal(rc == 0, w.plan.count > 0);
        for (size_t i = 0; i < w.plan.count; i++) {
            const struct candidate *c = &w.plan.candidates[i];
            assert_false(w.snapshot.drained_count && c->provider == out);
            assert_false(v.breaker == BREAKER_OPEN && c->provider == bad->provider &&
                         str_eq(c->model, bad->model) && w.plan.count > 1);
            assert_true(c->reason.n > 0);
            for (size_t k = 0; k < i; k++)
                assert_false(w.plan.candidates[k].provider == c->provider &&
                             str_eq(w.plan.candidates[k].model, c->model));
        }
        world_fini(&w);
    }
}

/* The record keeps 4 KiB of the log: it must be whole JSON whatever the route looks like. */
static void the_log_is_whole_json_and_short(void **state)
{
    (void)state;
    static struct rule rules[200];
    static struct target targets[60];
    static char names[60][180];
    struct world w;
    struct route list[1] = {{.name = S("big"), .id = 8, .rules = rules, .rule_count = 200,
        .targets = targets, .target_count = 60}};
    world_init(&w);
    w.config.routes = list;
    w.config.route_count = 1;
    for (int i = 0; i < 200; i++)
        rules[i] = (struct rule){.name = STR("a rule that never holds"), .enabled = true,
            .conditions = ci_key, .condition_count = 1, .route = STR("big")};
    for (int i = 0; i < 60; i++) {
        snprintf(names[i], sizeof names[i], "%0170d-\"quoted\"", i);
        targets[i] = (struct target){&providers[i % 3], str_c(names[i]), 1};
    }
    for (int explain = 0; explain < 2; explain++) {
        w.r.explain = explain;
        assert_int_equal(ask(&w, "big"), 0);
        assert_int_equal(w.plan.count, 60);
        assert_true(explain ? w.plan.log.n > 15000 : w.plan.log.n > 2000 && w.plan.log.n <= 4096);
        struct json *log = json_parse(w.plan.log, &w.e);
        assert_true(json_is_array(log));
        json_free(log);
        assert_true(str_find(w.plan.log, STR("\"candidate\"")) >= 0); /* rules leave it room */
    }
    world_fini(&w);
}

static void a_plan_without_memory_fails_cleanly(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (size_t most = 0; most < 60000; most += 997) {
        struct arena small;
        arena_init(&small, 256, most);
        w.r.asked = STR("fast");
        int rc = plan_make(&w.r, w.health, &small, &w.plan, &w.e);
        assert_true(rc == 0 || rc == -ERR_NOMEM);
        arena_fini(&small);
    }
    world_fini(&w);
}

int main(void)
{
    log_set_level((enum log_level)(LOG_ERROR + 1));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stories),
        cmocka_unit_test(nearest_names_are_offered),
        cmocka_unit_test(without_a_file_well_known_models_find_their_makers),
        cmocka_unit_test(a_switch_takes_session_before_key_before_everyone),
        cmocka_unit_test(a_switch_that_is_over_or_leads_nowhere_is_passed_over),
        cmocka_unit_test(a_switch_may_lead_to_a_route_a_goal_or_make_a_name),
        cmocka_unit_test(what_a_route_says_itself_stands_before_its_goal),
        cmocka_unit_test(one_bad_answer_shuns_nobody),
        cmocka_unit_test(a_slow_canary_is_taken_back),
        cmocka_unit_test(long_context_fits_prompt_and_output),
        cmocka_unit_test(a_spike_is_held_against_ones_own_hour),
        cmocka_unit_test(what_a_drain_leaves_without_a_place_goes_where_it_says),
        cmocka_unit_test(one_way_of_a_name_can_be_foretold),
        cmocka_unit_test(drained_and_tripped_targets_are_never_chosen),
        cmocka_unit_test(what_people_shut_stays_shut),
        cmocka_unit_test(a_prompt_that_does_not_fit_goes_where_it_does_or_is_refused),
        cmocka_unit_test(keys_that_are_set_aside_put_a_target_last_but_not_out),
        cmocka_unit_test(the_goals_shun_what_they_promise_to_shun),
        cmocka_unit_test(resilience_adds_other_providers_of_the_same_model),
        cmocka_unit_test(a_canary_gets_its_share_and_is_taken_back),
        cmocka_unit_test(a_canary_is_held_against_what_the_others_cost),
        cmocka_unit_test(no_excluded_target_is_ever_chosen),
        cmocka_unit_test(the_log_is_whole_json_and_short),
        cmocka_unit_test(a_plan_without_memory_fails_cleanly),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
