/* Unit of proxy/route/replay: every request ends where the planner alone would have put it, in far
 * fewer plans; lots are drawn in their shares; what records don't hold is owned up to. */
#include "proxy/route/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define S(text) {"" text, sizeof(text) - 1}
#define TO(p, m, w) {&providers[p], S(m), w}

enum { BIG, SMALL, THIRD, REQUESTS = 20000 };
static const struct provider providers[] = {
    {.name = S("big"), .id = 0, .dialect = DIALECT_OPENAI},
    {.name = S("small"), .id = 1, .dialect = DIALECT_OPENAI},
    {.name = S("third"), .id = 2, .dialect = DIALECT_ANTHROPIC},
};
static const struct target shares[] = {TO(BIG, "m", 75), TO(SMALL, "m", 25)};
static const struct target ordered[] = {TO(SMALL, "tiny", 1), TO(BIG, "m", 1)};
static const struct target third[] = {TO(THIRD, "m", 1)};
static const struct condition long_prompt[] = {
    {.kind = CONDITION_PROMPT_TOKENS, .low = 5001, .high = INT64_MAX}};
static const struct condition tools_by_ci[] = {{.kind = CONDITION_TOOLS, .low = 1},
    {.kind = CONDITION_KEY, .text = S("ci-*")}};
static const struct condition at_night[] = {{.kind = CONDITION_HOUR, .low = 0x3f}};
static const struct condition by_header[] = {
    {.kind = CONDITION_HEADER, .text = S("x-task"), .value = S("batch")}};
static const struct rule rules[] = {
    {.name = S("long"), .enabled = true, .conditions = long_prompt, .condition_count = 1,
        .targets = third, .target_count = 1},
    {.name = S("ci"), .enabled = true, .conditions = tools_by_ci, .condition_count = 2,
        .targets = third, .target_count = 1},
    {.name = S("night"), .enabled = true, .conditions = at_night, .condition_count = 1,
        .route = S("shares")},
};
static const struct rule header_rule[] = {{.name = S("h"), .enabled = true,
    .conditions = by_header, .condition_count = 1, .targets = third, .target_count = 1}};
static const struct condition by_tag[] = {{.kind = CONDITION_TAG, .text = S("env:prod")}};
static const struct condition by_client[] = {{.kind = CONDITION_CLIENT, .text = S("agent/*")},
    {.kind = CONDITION_WEEKDAY, .low = 0x41}};
static const struct condition by_team[] = {{.kind = CONDITION_TEAM, .text = S("blue")},
    {.kind = CONDITION_SESSION, .text = S("s-2")}};
static const struct rule seen_rules[] = {
    {.name = S("tag"), .enabled = true, .conditions = by_tag, .condition_count = 1,
        .targets = third, .target_count = 1},
    {.name = S("client"), .enabled = true, .conditions = by_client, .condition_count = 2,
        .targets = shares, .target_count = 1},
    {.name = S("team"), .enabled = true, .conditions = by_team, .condition_count = 2,
        .targets = shares + 1, .target_count = 1},
};
static const struct override overrides[] = {
    {.name = S("seen"), .scope = SCOPE_SESSION, .scope_name = S("s-3"), .to = S("big/other")},
    {.name = S("seen"), .scope = SCOPE_KEY, .scope_name = S("ci-1"), .to = S("third/other")},
};
static const struct route routes[] = {
    {.name = S("ruled"), .id = 1, .targets = ordered, .target_count = 2, .rules = rules,
        .rule_count = 3},
    {.name = S("shares"), .id = 2, .policy = POLICY_WEIGHTED, .targets = shares, .target_count = 2},
    {.name = S("sticky"), .id = 3, .policy = POLICY_STICKY, .targets = shares, .target_count = 2},
    {.name = S("header"), .id = 4, .targets = ordered, .target_count = 2, .rules = header_rule,
        .rule_count = 1},
    {.name = S("seen"), .id = 5, .targets = ordered, .target_count = 2, .rules = seen_rules,
        .rule_count = 3},
};

/* Names by number: 1-… */
static const char *const texts[] = {"", "ruled", "shares", "sticky", "header", "ci-1", "alice", "s-1",
    "s-2", "s-3", "/v1/chat/completions", "seen", "env:prod,x:y", "env:test", "agent/7", "curl/8",
    "blue", "red"};
enum { RULED = 1, SHARES, STICKY, HEADER, CI, ALICE, SESSION, CHAT = 10, SEEN, TAGS, CLIENT = 14,
    TEAM = 16 };

static struct str text_of(void *ctx, enum replay_text what, int64_t number)
{
    (void)ctx, (void)what;
    return str_c(texts[number]);
}

struct world {
    struct price_list *prices;
    struct config config;
    struct snapshot snapshot;
    struct arena arena;
    struct replay *replay;
};

static void world_init(struct world *w, const char *name)
{
    struct err e = {0};
    struct price p;
    *w = (struct world){.prices = price_list_new(NULL)};
    price_init(&p, STR("small/tiny"));
    p.base[TIER_DEFAULT].input = 1000;
    p.base[TIER_DEFAULT].output = 1000;
    p.context_tokens = 2000;
    assert_int_equal(price_list_put(w->prices, &p, &e), 0);
    w->config = (struct config){.providers = providers, .provider_count = 3, .routes = routes,
        .route_count = ARRAY_LEN(routes), .timezone = S("UTC"), .prices = w->prices};
    w->snapshot.config = &w->config;
    arena_init(&w->arena, 16384, 64 << 20);
    w->replay = replay_new(&(struct replay_setup){.snapshot = &w->snapshot, .name = str_c(name),
        .now_us = 1, .text = text_of});
    assert_non_null(w->replay);
}

static void world_fini(struct world *w)
{
    replay_free(w->replay);
    arena_fini(&w->arena);
    price_list_free(w->prices);
}

static uint64_t seed = 88172645463325252u;

static unsigned dice(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 11) % n;
}

static struct replay_request any(int64_t asked)
{
    return (struct replay_request){.time_ms = 1795442529000 + dice(86400000), .asked = asked,
        .key = dice(2) ? CI : ALICE, .session = SESSION + dice(3), .endpoint = CHAT,
        .prompt_tokens = dice(10000), .tools = dice(2), .stream = dice(2), .facts_known = true,
        .tags = TAGS + dice(2), .client = CLIENT + dice(2), .team = TEAM + dice(2), .draw = seed};
}

/* The planner alone, asked for this very request. */
static const char *planned(struct world *w, const struct replay_request *q)
{
    static char name[100];
    struct err e = {0};
    struct plan plan;
    struct key key = {.name = str_c(texts[q->key]), .team = str_c(texts[q->team])};
    struct request_facts f = {.n = 1, .stream = q->stream, .tools = q->tools,
        .prompt_tokens = q->prompt_tokens};
    struct plan_request r = {.snapshot = &w->snapshot, .asked = str_c(texts[q->asked]),
        .key = &key, .session = str_c(texts[q->session]), .facts = &f, .wire = WIRE_CHAT,
        .tags = str_c(texts[q->tags]), .user_agent = str_c(texts[q->client]),
        .random = q->draw, .now_us = 1, .wall_ms = q->time_ms, .trial = true};
    arena_reset(&w->arena);
    assert_int_equal(plan_make(&r, NULL, &w->arena, &plan, &e), 0);
    snprintf(name, sizeof name, STR_FMT "/" STR_FMT, STR_ARG(plan.candidates->provider->name),
        STR_ARG(plan.candidates->model));
    return name;
}

static void every_request_goes_where_the_planner_would_send_it(void **state)
{
    struct world w;
    unsigned flags, compared = 0;
    (void)state;
    world_init(&w, "ruled");
    for (int i = 0; i < REQUESTS; i++) {
        struct replay_request q = any(RULED);
        int place = replay_request(w.replay, &q, NULL, &flags);
        assert_true(place >= 0);
        if (q.time_ms / 3600000 % 24 < 6 && q.prompt_tokens <= 5000 && !(q.tools && q.key == CI))
            continue; /* the night rule draws lots */
        assert_string_equal(replay_place(w.replay, place)->name, planned(&w, &q));
        compared++;
    }
    assert_true(compared > REQUESTS / 2);
    assert_true(replay_plans(w.replay) < REQUESTS / 2);
    world_fini(&w);
}

/* Whatever rules and switches can tell apart is told apart, and nothing else. */
static void kinds_differ_only_by_what_somebody_asks_for(void **state)
{
    struct world w;
    unsigned flags;
    bool reached[8] = {false};
    (void)state;
    world_init(&w, "seen");
    w.snapshot.overrides = overrides;
    w.snapshot.override_count = ARRAY_LEN(overrides);
    replay_free(w.replay);
    w.replay = replay_new(&(struct replay_setup){.snapshot = &w.snapshot, .name = STR("seen"),
        .now_us = 1, .text = text_of});
    assert_non_null(w.replay);
    for (int i = 0; i < REQUESTS; i++) {
        struct replay_request q = any(SEEN);
        q.time_ms += dice(7) * (int64_t)86400000;
        int place = replay_request(w.replay, &q, NULL, &flags);
        assert_true(place >= 0 && place < 8);
        assert_string_equal(replay_place(w.replay, place)->name, planned(&w, &q));
        reached[place] = true;
    }
    assert_int_equal(replay_places(w.replay), 6);
    for (int i = 0; i < 6; i++)
        assert_true(reached[i]);
    assert_true(replay_plans(w.replay) <= 4 * 2 * 2 * 3 * 4 * 4 * 2); /* not of 672 quarter hours */
    world_fini(&w);
}

static void shares_are_drawn_as_they_are_written(void **state)
{
    struct world w;
    unsigned flags, big = 0;
    (void)state;
    world_init(&w, "shares");
    for (int i = 0; i < REQUESTS; i++) {
        struct replay_request q = any(SHARES);
        int place = replay_request(w.replay, &q, NULL, &flags);
        big += strcmp(replay_place(w.replay, place)->name, "big/m") == 0;
    }
    assert_true(big > REQUESTS * 71 / 100 && big < REQUESTS * 79 / 100);
    world_fini(&w);
}

static void a_session_stays_on_its_side(void **state)
{
    struct world w;
    unsigned flags;
    int sides[3] = {-1, -1, -1};
    (void)state;
    world_init(&w, "sticky");
    for (int i = 0; i < 3000; i++) {
        struct replay_request q = any(STICKY);
        int place = replay_request(w.replay, &q, NULL, &flags), *side = &sides[q.session - SESSION];
        assert_true(*side < 0 || *side == place);
        *side = place;
    }
    world_fini(&w);
}

static void what_does_not_fit_and_what_is_not_recorded_is_said(void **state)
{
    struct world w;
    unsigned flags;
    (void)state;
    world_init(&w, "header");
    struct replay_request q = {.asked = HEADER, .endpoint = CHAT, .prompt_tokens = 100,
        .facts_known = true};
    int place = replay_request(w.replay, &q, NULL, &flags);
    assert_string_equal(replay_place(w.replay, place)->name, "small/tiny");
    assert_non_null(replay_place(w.replay, place)->price);
    assert_int_equal(flags, REPLAY_GUESSED);
    q.prompt_tokens = 4000;
    place = replay_request(w.replay, &q, NULL, &flags);
    assert_string_equal(replay_place(w.replay, place)->name, "big/m");
    assert_int_equal(flags, REPLAY_GUESSED | REPLAY_TOO_LONG);
    world_fini(&w);
}

static void other_names_are_left_alone(void **state)
{
    struct world w;
    unsigned flags;
    (void)state;
    world_init(&w, "shares");
    struct replay_request q = any(RULED);
    assert_int_equal(replay_request(w.replay, &q, NULL, &flags), -1);
    q.route = SHARES; /* it went there by a rule: it counts */
    assert_true(replay_request(w.replay, &q, NULL, &flags) >= 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_goes_where_the_planner_would_send_it),
        cmocka_unit_test(kinds_differ_only_by_what_somebody_asks_for),
        cmocka_unit_test(shares_are_drawn_as_they_are_written),
        cmocka_unit_test(a_session_stays_on_its_side),
        cmocka_unit_test(what_does_not_fit_and_what_is_not_recorded_is_said),
        cmocka_unit_test(other_names_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
