/* Units of proxy/route/match: every condition, its edges, and that conditions without a function do
 * not exist. */
#include "proxy/route/plan_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define S(text) {"" text, sizeof(text) - 1}

static const struct key key = {.name = S("ci-bot"), .team = S("ci")};
static const struct http_header headers[] = {{S("X-Task"), S("batch")}, {S("x-two"), S("a")},
    {S("X-Two"), S("b")}};
static const struct config berlin = {.timezone = S("Europe/Berlin")};
static const struct snapshot snapshot = {.config = &berlin};

static const struct request_facts facts = {.prompt_tokens = 5000, .stream = true, .tools = true};

static struct plan_request request(void)
{
    return (struct plan_request){.snapshot = &snapshot, .asked = STR("claude-haiku"), .key = &key,
        .session = STR("nightly-7"), .tags = STR("env:prod, project:search"),
        .user_agent = STR("codex/0.169"), .headers = headers, .header_count = 3,
        .wall_ms = 1795442529000, /* Monday 2026-11-23 15:02:09 in Berlin */
        .budget_used_ppm = 850000, .explain = true};
}

static bool holds(struct condition c, const struct plan_request *r)
{
    struct arena a;
    arena_init(&a, 1024, 4096);
    struct plan out = {0};
    struct planner pl = {.r = r, .facts = &facts, .a = &a, .out = &out};
    struct str seen = STR("");
    bool yes = condition_holds(&c, &pl, &seen);
    arena_fini(&a);
    return yes;
}

#define TEXT(k, t) {{.kind = CONDITION_##k, .text = S(t)}
#define RANGE(k, l, h) {{.kind = CONDITION_##k, .low = l, .high = h}

static void every_condition_has_its_yes_and_no(void **state)
{
    (void)state;
    static const struct { struct condition c; bool yes; } cases[] = {
        TEXT(KEY, "ci-*"), true}, TEXT(KEY, "alice"), false},
        TEXT(TEAM, "ci"), true}, TEXT(TEAM, "ops"), false},
        TEXT(TAG, "env:prod"), true}, TEXT(TAG, "project:*"), true}, TEXT(TAG, "env:dev"), false},
        TEXT(TAG, "prod"), false},
        TEXT(SESSION, "nightly-*"), true}, TEXT(SESSION, "day"), false},
        TEXT(CLIENT, "codex/*"), true}, TEXT(CLIENT, "claude-*"), false},
        TEXT(MODEL, "claude-*"), true}, TEXT(MODEL, "gpt-*"), false},
        RANGE(PROMPT_TOKENS, 5000, INT64_MAX), true}, RANGE(PROMPT_TOKENS, 5001, INT64_MAX), false},
        RANGE(PROMPT_TOKENS, 0, 5000), true}, RANGE(PROMPT_TOKENS, 0, 4999), false},
        RANGE(STREAM, 1, 0), true}, RANGE(STREAM, 0, 0), false},
        RANGE(TOOLS, 1, 0), true}, RANGE(IMAGES, 1, 0), false}, RANGE(IMAGES, 0, 0), true},
        RANGE(JSON_SCHEMA, 1, 0), false},
        RANGE(HOUR, 1 << 15, 0), true}, RANGE(HOUR, ~(1 << 15) & 0xffffff, 0), false},
        RANGE(WEEKDAY, 1 << 1, 0), true}, RANGE(WEEKDAY, 0x7d, 0), false},
        RANGE(BUDGET_USED, 800001, INT64_MAX), true}, RANGE(BUDGET_USED, 850001, INT64_MAX), false},
    };
    struct plan_request r = request();
    unsigned seen = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (holds(cases[i].c, &r) != cases[i].yes)
            fail_msg("case %zu (%s)", i, condition_name(cases[i].c.kind));
        seen |= 1u << cases[i].c.kind;
    }
    seen |= 1u << CONDITION_HEADER; /* below */
    assert_int_equal(seen, (1u << CONDITION_COUNT) - 1);
}

static void headers_match_without_case_and_any_of_several(void **state)
{
    (void)state;
    struct plan_request r = request();
    assert_true(holds((struct condition){.kind = CONDITION_HEADER, .text = STR("x-task"),
        .value = STR("batch")}, &r));
    assert_true(holds((struct condition){.kind = CONDITION_HEADER, .text = STR("x-two"),
        .value = STR("b")}, &r));
    assert_false(holds((struct condition){.kind = CONDITION_HEADER, .text = STR("x-task"),
        .value = STR("chat")}, &r));
    assert_false(holds((struct condition){.kind = CONDITION_HEADER, .text = STR("x-none"),
        .value = STR("*")}, &r));
}

static void without_a_key_the_conditions_on_it_fail(void **state)
{
    (void)state;
    struct plan_request r = request();
    r.key = NULL;
    r.tags = STR("");
    assert_false(holds((struct condition){.kind = CONDITION_KEY, .text = STR("ci-*")}, &r));
    assert_false(holds((struct condition){.kind = CONDITION_TEAM, .text = STR("ci")}, &r));
    assert_false(holds((struct condition){.kind = CONDITION_TAG, .text = STR("env:*")}, &r));
}

static void the_streaming_path_of_gemini_is_a_stream(void **state)
{
    (void)state;
    static const struct request_facts quiet = {0};
    struct plan_request r = request();
    struct planner pl = {.r = &r, .facts = &quiet};
    struct condition c = {.kind = CONDITION_STREAM, .low = 1};
    assert_false(condition_holds(&c, &pl, NULL));
    r.wire = WIRE_STREAM_GENERATE;
    assert_true(condition_holds(&c, &pl, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_condition_has_its_yes_and_no),
        cmocka_unit_test(headers_match_without_case_and_any_of_several),
        cmocka_unit_test(without_a_key_the_conditions_on_it_fail),
        cmocka_unit_test(the_streaming_path_of_gemini_is_a_stream),
    };
    return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
