/* Units of store/record.h: a record survives packing, and its JSON has the names that are relied
 * on. */
#include "store/base/json_span.h"
#include "store/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct record sample(void)
{
    struct record r = {0};
    int64_t n = 1000;
#define TEXT(name, most) r.name = STR(#name);
#define INT(name) r.name = n++;
#include "store/record.def"
    r.attempts = STR("[{\"target\":\"a/b\",\"status\":429,\"outcome\":\"upstream_error\",\"reason\":\"429\",\"ms\":12}]");
    r.tags = STR("env:prod, project:search");
    r.why = STR("{\"rules\":[]}");
    r.time_ms = 1795442529123;
    r.outcome = OUTCOME_OK;
    r.state = STATE_DONE;
    r.usage_source = USAGE_MEASURED;
    r.cost_source = COST_PROVIDER;
    r.stream = 1;
    r.output_tokens = 500;
    r.ttft_us = 1000000;
    r.total_us = 6000000;
    return r;
}

static void a_record_survives_packing(void **state)
{
    (void)state;
    struct record r = sample(), back;
    struct buf b;
    buf_init(&b, 1 << 20);
    record_pack(&r, &b);
    assert_int_equal(record_unpack(buf_str(&b), &back), 0);
#define TEXT(name, most) assert_true(str_eq(r.name, back.name));
#define INT(name) assert_int_equal(r.name, back.name);
#include "store/record.def"
    buf_fini(&b);
}

static void long_texts_are_cut_at_a_characters_end(void **state)
{
    (void)state;
    struct record r = {0}, back;
    char id[60];
    memset(id, 'x', 39);
    memcpy(id + 39, "é", 3);
    r.id = str_n(id, 41);
    struct buf b;
    buf_init(&b, 1 << 20);
    record_pack(&r, &b);
    assert_int_equal(record_unpack(buf_str(&b), &back), 0);
    assert_int_equal(back.id.n, 39);
    buf_fini(&b);
}

static void any_cut_of_the_packed_form_is_refused(void **state)
{
    (void)state;
    struct record r = sample(), back;
    struct buf b;
    buf_init(&b, 1 << 20);
    record_pack(&r, &b);
    for (size_t n = 0; n < b.n; n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, b.p, n);
        assert_int_equal(record_unpack(str_n(copy, n), &back), -ERR_CORRUPT);
        assert_null(back.id.p);
        free(copy);
    }
    buf_fini(&b);
}

static void a_writer_with_other_fields_is_understood(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    uint32_t texts = 2, ints = 1, len = 3;
    int64_t time_ms = 77;
    buf_put(&b, &texts, 4);
    buf_put(&b, &ints, 4);
    buf_put(&b, &time_ms, 8);
    buf_put(&b, &len, 4);
    buf_puts(&b, "abc");
    buf_put(&b, &len, 4);
    buf_puts(&b, "key");
    struct record r;
    assert_int_equal(record_unpack(buf_str(&b), &r), 0); /* an older one: the rest is empty */
    assert_true(str_eq(r.id, STR("abc")) && str_eq(r.key, STR("key")) && r.time_ms == 77);
    assert_int_equal(r.total_us + (int64_t)r.team.n, 0);

    struct record full = sample();
    struct buf one, two;
    buf_init(&one, 1 << 20);
    buf_init(&two, 1 << 20);
    record_pack(&full, &one);
    memcpy(&texts, one.p, 4);
    memcpy(&ints, one.p + 4, 4);
    size_t at = 8 + 8 * (size_t)ints; /* a newer one: a number and a text more */
    uint32_t more = texts + 1;
    buf_put(&two, &more, 4);
    more = ints + 1;
    buf_put(&two, &more, 4);
    buf_put(&two, one.p + 8, at - 8);
    buf_put(&two, &time_ms, 8);
    buf_put(&two, one.p + at, one.n - at);
    buf_put(&two, &len, 4);
    buf_puts(&two, "new");
    assert_int_equal(record_unpack(buf_str(&two), &r), 0);
    assert_true(str_eq(r.id, STR("id")) && str_eq(r.price_key, STR("price_key")));
    assert_int_equal(r.worker, full.worker);
    buf_fini(&one);
    buf_fini(&two);
    buf_fini(&b);
}

static struct str member(const struct buf *b, const char *path)
{
    struct json_span v = json_path(buf_str(b), path);
    if (v.type == JSON_NONE)
        fail_msg("no member %s", path);
    return v.raw;
}

#define assert_member(b, path, want) \
    do { \
        struct str got_ = member(b, path); \
        if (!str_eq(got_, STR(want))) \
            fail_msg("%s is %.*s, want %s", path, STR_ARG(got_), want); \
    } while (0)

static void the_json_has_the_names_that_are_relied_on(void **state)
{
    (void)state;
    static const char *const names[] = {"id", "time", "key", "team", "session", "tags", "client",
        "endpoint", "dialect", "model_asked", "route", "rule", "target", "model_served", "stream",
        "state", "status", "outcome", "finish_reason", "attempts", "input_tokens", "cached_tokens",
        "cache_write_tokens", "output_tokens", "reasoning_tokens", "usage_source", "cost_nano",
        "cost_source", "request_bytes", "response_bytes", "queue_us", "connect_us", "retry_us",
        "ttft_us", "max_gap_us", "client_stall_us", "overhead_us", "total_us", "tokens_per_second",
        "override", "client_uid", "tool_calls", "error"};
    struct record r = sample();
    struct buf b;
    buf_init(&b, 1 << 20);
    struct json_writer w = json_writer(&b);
    record_json(&r, &w);
    assert_int_equal(json_check(buf_str(&b), NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)member(&b, names[i]);
    assert_member(&b, "time", "\"2026-11-23T14:02:09.123Z\"");
    assert_member(&b, "tags", "[\"env:prod\",\"project:search\"]");
    assert_member(&b, "client", "{\"user_agent\":\"user_agent\",\"peer\":\"peer\"}");
    assert_member(&b, "error", "{\"code\":\"error_code\",\"message\":\"error_message\"}");
    assert_member(&b, "target", "\"provider/model\"");
    assert_member(&b, "override", "\"override_by\"");
    assert_member(&b, "state", "\"done\"");
    assert_member(&b, "outcome", "\"ok\"");
    assert_member(&b, "usage_source", "\"measured\"");
    assert_member(&b, "cost_source", "\"provider\"");
    assert_member(&b, "stream", "true");
    assert_member(&b, "attempts.0.status", "429");
    assert_member(&b, "tokens_per_second", "100");
    buf_fini(&b);
}

static void an_empty_record_has_numbers_and_no_null_amounts(void **state)
{
    (void)state;
    struct record r = {0};
    r.attempts = STR("[{\"target\":\"a/b\"},{\"target\":\"c"); /* cut to fit */
    r.why = STR("{\"ru");
    struct buf b;
    buf_init(&b, 1 << 20);
    struct json_writer w = json_writer(&b);
    record_json(&r, &w);
    assert_int_equal(json_check(buf_str(&b), NULL), 0);
    assert_member(&b, "attempts", "[{\"target\":\"a/b\"}]");
    assert_member(&b, "why", "null");
    assert_member(&b, "target", "\"\"");
    assert_member(&b, "tags", "[]");
    assert_member(&b, "cost_nano", "0");
    assert_member(&b, "tokens_per_second", "0");
    assert_member(&b, "usage_source", "\"none\"");
    assert_member(&b, "state", "\"queued\"");
    buf_fini(&b);
}

static void names_and_values_of_outcomes_agree(void **state)
{
    (void)state;
    for (int i = OUTCOME_OK; i <= OUTCOME_INTERRUPTED; i++)
        assert_int_equal(record_outcome_from(str_c(record_outcome_name(i))), i);
    assert_int_equal(record_outcome_from(STR("")), -1);
    assert_int_equal(record_outcome_from(STR("nonsense")), -1);
    assert_string_equal(record_outcome_name(99), "unknown");
    assert_string_equal(record_state_name(-1), "unknown");
    assert_string_equal(usage_source_name(USAGE_PARTIAL), "partial");
    assert_string_equal(cost_source_name(COST_SUBSCRIPTION), "subscription");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_survives_packing),
        cmocka_unit_test(long_texts_are_cut_at_a_characters_end),
        cmocka_unit_test(any_cut_of_the_packed_form_is_refused),
        cmocka_unit_test(a_writer_with_other_fields_is_understood),
        cmocka_unit_test(the_json_has_the_names_that_are_relied_on),
        cmocka_unit_test(an_empty_record_has_numbers_and_no_null_amounts),
        cmocka_unit_test(names_and_values_of_outcomes_agree),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
