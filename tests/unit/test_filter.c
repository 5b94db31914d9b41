/* Units of proxy/admin/filter: what a line means, and what it says when it means nothing. */
#include "proxy/admin/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static const int64_t now_ms = 1000000000;

static struct record example(void)
{
    return (struct record){.id = STR("01j0abc"), .key = STR("ci-bot"), .team = STR("ci"),
        .session = STR("claude-7f3a"), .tags = STR("env:prod,project:search"),
        .user_agent = STR("claude-cli/2.1"), .endpoint = STR("/v1/messages"),
        .model_asked = STR("fast"), .route = STR("fast"), .provider = STR("anthropic"),
        .model = STR("claude-haiku-4-5"), .model_served = STR("claude-haiku-4-5-20251001"),
        .error_message = STR("Rate limit reached"), .status = 429, .outcome = OUTCOME_UPSTREAM_ERROR,
        .state = STATE_DONE, .input_tokens = 12000, .output_tokens = 340, .cost_nano = 20000000,
        .total_us = 3100000, .ttft_us = 410000, .request_bytes = 70000, .stream = 1,
        .time_ms = now_ms - 120000};
}

static bool holds(const char *text)
{
    struct filter f;
    struct err e = {0};
    struct record r = example();
    if (filter_parse(&f, str_c(text), now_ms, &e) < 0) {
        print_error("%s: %s\n", text, e.text);
        abort();
    }
    return filter_match(&f, &r);
}

static void expect(const char *const *yes, const char *const *no)
{
    for (; *yes; yes++)
        if (!holds(*yes))
            fail_msg("should match: %s", *yes);
    for (; *no; no++)
        if (holds(*no))
            fail_msg("should not match: %s", *no);
}

static void texts_are_parts_patterns_or_wholes(void **state)
{
    (void)state;
    expect((const char *const[]){"", "  ", "key:ci", "key:CI-BOT", "key=ci-bot", "key:=ci-bot",
               "key:ci-*", "model:claude*", "model:fast", "to:anthropic/claude", "m:haiku",
               "tag:env:prod", "tag=project:search", "err:\"rate limit\"", "override:\"\"", NULL},
        (const char *const[]){"key=ci", "key:=ci", "key:bot*", "model=fast", "model:gpt",
            "tag=env", "key:!=ci-bot", "key:\"\"", "target:openai", NULL});
}

static void numbers_take_units_and_comparisons(void **state)
{
    (void)state;
    expect((const char *const[]){"st:429", "st:>=400", "st:4xx", "st:!=200", "dur:>2s", "dur:<=3100ms",
               "dur:>3", "dur:2s..4s", "in:>10k", "in:12k", "in:1.2k..0.5M", "out:<1k",
               "cost:>0.01", "cost:0.02", "cost:<=$0.02", "cost:<1usd", "up:>64KiB", "up:<1MiB",
               "ttft:>400ms", "age:<10m", "age:>1m", "age:3m", "age:1m..3m", NULL},
        (const char *const[]){"st:5xx", "st:>=500", "dur:>4s", "in:>1M", "cost:>0.02", "up:>1MB",
            "age:<1m", "age:>1d", "out:>1k", "ttft:<0.4", NULL});
}

static void names_and_switches(void **state)
{
    (void)state;
    expect((const char *const[]){"outcome:upstream_error", "is:done", "stream:yes", "redacted:no",
               "-outcome:ok", "outcome:!=ok", "-is:live", NULL},
        (const char *const[]){"outcome:ok", "is:live", "state:queued", "stream:no",
            "state:!=done", NULL});
}

static void words_and_either_not(void **state)
{
    (void)state;
    expect((const char *const[]){"haiku", "\"rate limit\"", "fast limit", "-gpt", "gpt | haiku",
               "st:200 | st:429", "key:ci st:500|st:429|st:200", "-key:x -st:200",
               "env:prod", "anthropic/claude", "-\"no such\"", NULL},
        (const char *const[]){"gpt", "-haiku", "gpt | sonnet", "key:ci st:500|st:200",
            "st:429 | st:500 key:alice", NULL});
}

static void faults_name_their_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *starts;
    } faults[] = {
        {"st:>=abc", "column 1: \"abc\" is not a status"},
        {"key:ci dur:fast", "column 8: \"fast\" is not a time"},
        {"key:", "column 1: nothing after key:"},
        {"key:ci mdoel:x", "column 8: no field \"mdoel\"; did you mean model:?"},
        {"\"open", "column 1: the quote is not closed"},
        {"a |", "column 4: nothing after |"},
        {"| a", "column 1: nothing before |"},
        {"a || b", "column 4: nothing before |"},
        {"-", "column 1: a word is missing"},
        {"key:>3", "column 1: key is a text"},
        {"in:5k..1k", "column 1: \"5k..1k\" is not a number"},
        {"in:99999999999999999999", "column 1:"},
        {"cost:1e9", "column 1:"},
        {"outcome:fine", "column 1: \"fine\" is not ok, client_error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct filter f;
        struct err e = {0};
        assert_true(filter_parse(&f, str_c(faults[i].text), now_ms, &e) < 0);
        if (!str_starts(str_c(e.text), str_c(faults[i].starts)))
            fail_msg("%s: says \"%s\"", faults[i].text, e.text);
        assert_int_equal(f.count, 0);
    }
}

static void limits_hold(void **state)
{
    (void)state;
    struct filter f;
    struct err e = {0};
    char text[FILTER_TEXT_MAX + 2];
    memset(text, 'a', sizeof text);
    assert_int_equal(filter_parse(&f, str_n(text, FILTER_TEXT_MAX), now_ms, &e), 0);
    assert_int_equal(filter_parse(&f, str_n(text, FILTER_TEXT_MAX + 1), now_ms, &e), -ERR_LIMIT);
    for (size_t i = 0; i < sizeof text; i += 2)
        text[i] = ' ';
    assert_int_equal(filter_parse(&f, str_n(text, 100), now_ms, &e), -ERR_LIMIT);
}

static void equalities_are_found_for_the_index(void **state)
{
    (void)state;
    struct filter f;
    struct err e = {0};
    struct str v;
    assert_int_equal(filter_parse(&f, STR("st:>=400 key=ci-bot"), now_ms, &e), 0);
    assert_true(filter_equal(&f, "key", &v) && str_eq(v, STR("ci-bot")));
    assert_false(filter_equal(&f, "team", &v));
    assert_false(filter_is_indexed(&f));
    assert_int_equal(filter_parse(&f, STR("key=a team=b"), now_ms, &e), 0);
    assert_true(filter_is_indexed(&f));
    assert_int_equal(filter_parse(&f, STR("key=a | key=b"), now_ms, &e), 0);
    assert_false(filter_equal(&f, "key", &v));
    assert_int_equal(filter_parse(&f, STR("-key=a"), now_ms, &e), 0);
    assert_false(filter_equal(&f, "key", &v));
    assert_int_equal(filter_parse(&f, STR("key:a"), now_ms, &e), 0);
    assert_false(filter_equal(&f, "key", &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_parts_patterns_or_wholes),
        cmocka_unit_test(numbers_take_units_and_comparisons),
        cmocka_unit_test(names_and_switches),
        cmocka_unit_test(words_and_either_not),
        cmocka_unit_test(faults_name_their_column),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(equalities_are_found_for_the_index),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
