/* fuzz_plan.c: what comes from outside into the planner and the health of providers: asked names,
 * forced routes, sessions, headers of answers, error bodies. A plan is never empty and never holds
 * a drained provider; its log is JSON; pauses and figures stay in range. */
#include "proxy/route/plan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool right)
{
    if (!right)
        abort();
}

#define S(text) {"" text, sizeof(text) - 1}
static const struct str models[] = {S("m"), S("gpt-5")};
static const struct provider_key keys[] = {{.name = S("k"), .weight = 1}};
static const struct provider providers[] = {
    {.name = S("a"), .id = 0, .models = models, .model_count = 2, .keys = keys, .key_count = 1},
    {.name = S("b"), .id = 1, .dialect = DIALECT_ANTHROPIC}, {.name = S("gone"), .id = 2}};
static const struct target targets[] = {{&providers[0], S("m"), 1}, {&providers[1], S("$model"), 2},
    {&providers[2], S("x"), 1}};
static const struct condition tagged[] = {{.kind = CONDITION_TAG, .text = S("a*b")}};
static const struct rule rules[] = {{.name = S("r1"), .enabled = true, .conditions = tagged,
    .condition_count = 1, .targets = targets, .target_count = 1}};
static const struct drained drained[] = {{S("gone"), S("fast")}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    struct str all = str_n((const char *)data + 4, size - 4), rest = all, piece[4] = {{0}};
    for (int i = 0; i < 4 && str_cut(&rest, '\n', &piece[i]); i++)
        ;
    struct route routes[] = {{.name = S("fast"), .id = 1, .targets = targets, .target_count = 3,
        .policy = (enum policy)(data[0] % POLICY_COUNT), .goal = (enum goal)(data[1] % 6),
        .rules = rules, .rule_count = 1}, {.name = S("c*"), .id = 2, .pattern = true,
        .targets = targets, .target_count = 3}};
    struct config config = {
        .providers = providers, .provider_count = 3, .routes = routes, .route_count = 2};
    struct override overrides[] = {{.name = S("fast"),
        .to = piece[3],
        .scope = (enum scope)(data[2] % 3),
        .scope_name = S("s")}};
    struct snapshot snapshot = {.config = &config, .drained = drained, .drained_count = 1,
        .overrides = overrides, .override_count = piece[3].n ? 1 : 0};
    struct plan_request r = {.snapshot = &snapshot,
        .asked = piece[0],
        .forced_route = piece[1],
        .session = piece[2],
        .tags = piece[2],
        .wire = (enum wire)(data[3] % WIRE_COUNT),
        .random = size,
        .now_us = 1000000,
        .explain = data[2] & 8};
    struct health *h = health_new();
    struct arena a;
    struct plan plan;
    struct err e = {0};
    arena_init(&a, 4096, 1 << 20);
    struct http_header headers[] = {{STR("retry-after"), piece[0]},
        {STR("x-ratelimit-remaining-tokens"), piece[1]},
        {STR("x-ratelimit-limit-tokens"), piece[2]}, {STR("x-ratelimit-reset-tokens"), piece[3]}};
    health_headers(h, &providers[0], 0, 200, headers, 4, 1000000, 1795442529000);
    int64_t pause = health_retry_after_us(headers, 4, 1795442529000);
    require(pause >= -1 && pause <= (int64_t)3600 * 1000000);
    (void)failure_classify(400, all);
    require(failure_classify_event(all) != 0);
    int rc = plan_make(&r, h, &a, &plan, &e);
    require((rc == 0) == (plan.count > 0));
    for (size_t i = 0; i < plan.count; i++)
        require(plan.candidates[i].provider != &providers[2]);
    struct json *log = plan.log.n ? json_parse(plan.log, NULL) : NULL;
    require(!plan.log.n || log);
    json_free(log);
    arena_fini(&a);
    health_free(h);
    return 0;
}
