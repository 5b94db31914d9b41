/* Units of proxy/dialect/dialect.h: errors written in each dialect, and read in every shape. */
#include "proxy/dialect/dialect.h"
#include "store/base/json_span.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct dialect_error sample = {
    .status = 404,
    .code = {"model_not_found", 15},
    .message = {"no model \"x\"", 12},
    .request_id = {"01abc", 5},
};

static void assert_written(enum dialect d, const struct dialect_error *e, const char *want)
{
    struct buf b;
    buf_init(&b, 4096);
    dialect_write_error(d, e, &b);
    assert_string_equal(buf_c(&b), want);
    assert_int_equal(json_check(buf_str(&b), NULL), 0);
    buf_fini(&b);
}

static void an_error_has_each_dialects_shape(void **state)
{
    (void)state;
    const char *openai = "{\"error\":{\"message\":\"no model \\\"x\\\"\",\"type\":\"invalid_request_error\","
                         "\"param\":null,\"code\":\"model_not_found\"}}";
    assert_written(DIALECT_OPENAI, &sample, openai);
    assert_written(DIALECT_AZURE, &sample, openai);
    assert_written(DIALECT_OPENAI_RESPONSES, &sample, openai);
    assert_written(DIALECT_ANTHROPIC, &sample,
        "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"no model \\\"x\\\"\"},"
        "\"request_id\":\"01abc\"}");
    struct dialect_error bare = {.status = 503, .message = STR("busy")};
    assert_written(DIALECT_GEMINI, &bare,
        "{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\",\"details\":[]}}");
    assert_written(DIALECT_OPENAI, &bare,
        "{\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"param\":null,\"code\":null}}");
}

static void a_status_without_a_row_takes_its_class(void **state)
{
    (void)state;
    struct dialect_error e = {.status = 418, .message = STR("m")};
    assert_written(DIALECT_ANTHROPIC, &e,
        "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"},\"request_id\":null}");
    e.status = 599;
    assert_written(DIALECT_ANTHROPIC, &e,
        "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"},\"request_id\":null}");
}

static void a_stream_error_is_an_event_of_its_wire(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8192);
    struct dialect_error e = {.status = 502, .code = STR("upstream_cut"), .message = STR("cut"),
        .sequence = 7, .response_id = STR("resp_1")};
    dialect_write_stream_error(WIRE_CHAT, &e, &b);
    assert_string_equal(buf_c(&b), "data: {\"error\":{\"message\":\"cut\",\"type\":\"server_error\","
                                   "\"param\":null,\"code\":\"upstream_cut\"}}\n\n");
    buf_reset(&b);
    dialect_write_stream_error(WIRE_MESSAGES, &e, &b);
    assert_true(str_starts(buf_str(&b), STR("event: error\ndata: {\"type\":\"error\",")));
    assert_true(str_ends(buf_str(&b), STR("}\n\n")));
    buf_reset(&b);
    dialect_write_stream_error(WIRE_STREAM_GENERATE, &e, &b);
    assert_true(str_starts(buf_str(&b), STR("data: {\"error\":{\"code\":502,")));
    assert_true(str_ends(buf_str(&b), STR("\r\n\r\n")));
    buf_reset(&b);
    dialect_write_stream_error(WIRE_RESPONSES, &e, &b);
    assert_true(str_starts(buf_str(&b), STR("event: error\ndata: {\"type\":\"error\",\"sequence_number\":7,")));
    ptrdiff_t second = str_find(buf_str(&b), STR("\n\nevent: response.failed\ndata: "));
    assert_true(second > 0);
    struct str failed = str_from(buf_str(&b), (size_t)second + 31);
    failed.n -= 2;
    assert_int_equal(json_check(failed, NULL), 0);
    assert_true(json_text_eq(json_path(failed, "response.status"), STR("failed")));
    assert_true(json_text_eq(json_path(failed, "response.id"), STR("resp_1")));
    assert_true(str_eq(json_path(failed, "sequence_number").raw, STR("8")));
    buf_fini(&b);
}

static void everything_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < DIALECT_COUNT; i++)
        assert_non_null(dialect_name((enum dialect)i));
    for (int i = 0; i < WIRE_COUNT; i++)
        assert_non_null(wire_name((enum wire)i));
    assert_int_equal(wire_dialect(WIRE_COUNT_TOKENS), DIALECT_ANTHROPIC);
    assert_int_equal(wire_dialect(WIRE_RESPONSES), DIALECT_OPENAI);
    assert_int_equal(wire_dialect(WIRE_GEMINI_EMBED), DIALECT_GEMINI);
    assert_string_equal(wire_name((enum wire)99), "unknown");
}

static void provider_errors_of_any_shape_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *body, *message, *type, *code;
    } t[] = {
        {"{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}", "m", "t", "c"},
        {"{\"error\":{\"message\":\"m\",\"code\":429,\"metadata\":{}},\"user_id\":\"u\"}", "m", "", "429"},
        {"{\"type\":\"error\",\"error\":{\"type\":\"t\",\"message\":\"m\"}}", "m", "t", ""},
        {"[{\"error\":{\"code\":400,\"message\":\"m\",\"status\":\"INVALID_ARGUMENT\"}}]", "m", "", "400"},
        {"{\"object\":\"error\",\"message\":\"m\",\"type\":\"t\",\"code\":\"c\",\"raw_status_code\":400}", "m", "t", "c"},
        {"{\"code\":\"invalid-argument\",\"error\":\"m\"}", "m", "", "invalid-argument"},
        {"{\"error\":\"m\",\"error_type\":\"t\"}", "m", "t", ""},
        {"{\"detail\":\"m\"}", "m", "", ""},
        {"{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"m\",\"type\":\"missing\"}]}", "m", "", ""},
        {"{\"message\":{\"detail\":[{\"msg\":\"m\"}]}}", "m", "", ""},
        {"{\"message\":\"m\",\"request_id\":\"r\"}", "m", "", ""},
        {"{\"success\":false,\"errors\":[{\"code\":7003,\"message\":\"m\"}]}", "m", "", "7003"},
        {"{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"c\",\"message\":\"m\"}}}", "m", "", "c"},
        {" upstream connect error\nmore", "upstream connect error", "", ""},
        {"<html><body>502</body></html>", "", "", ""},
        {"{\"error\":", "", "", ""},
        {"\"m\"", "m", "", ""},
        {"", "", "", ""},
    };
    struct arena a;
    arena_init(&a, 4096, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct dialect_error_read r;
        dialect_read_error(str_c(t[i].body), &a, &r);
        if (!str_eq(r.message, str_c(t[i].message)) || !str_eq(r.type, str_c(t[i].type)) ||
            !str_eq(r.code, str_c(t[i].code)))
            fail_msg("%s: message %.*s type %.*s code %.*s", t[i].body, STR_ARG(r.message),
                STR_ARG(r.type), STR_ARG(r.code));
    }
    arena_fini(&a);
}

/* expected.json of every recorded error names the message; type and code where there are some. */
static void check_recorded(const char *dir, const char *where, struct arena *a, size_t *seen)
{
    struct str want = shared_read(dir, "expected.json"), body = shared_read(dir, "response.json");
    struct json_span error = json_get(want, STR("error"));
    if (body.p && error.type == JSON_OBJECT) {
        struct dialect_error_read r;
        dialect_read_error(body, a, &r);
        struct json_span message = json_get(error.raw, STR("message"));
        struct json_span type = json_get(error.raw, STR("type")), code = json_get(error.raw, STR("code"));
        if (message.type == JSON_STRING && !json_text_eq(message, r.message))
            fail_msg("%s: message %.*s, want %.*s", where, STR_ARG(r.message), STR_ARG(message.raw));
        if (type.type == JSON_STRING && !json_text_eq(type, r.type))
            fail_msg("%s: type %.*s, want %.*s", where, STR_ARG(r.type), STR_ARG(type.raw));
        if (code.type == JSON_STRING && !json_text_eq(code, r.code))
            fail_msg("%s: code %.*s, want %.*s", where, STR_ARG(r.code), STR_ARG(code.raw));
        (*seen)++;
    }
    free((char *)want.p);
    free((char *)body.p);
}

static void recorded_errors_are_read_as_their_meaning_says(void **state)
{
    (void)state;
    struct exchanges x = {.turn = 0};
    struct arena a;
    arena_init(&a, 4096, 4 << 20);
    size_t seen = 0;
    while (exchange_next(&x)) {
        check_recorded(x.dir, x.where, &a, &seen);
        arena_reset(&a);
    }
    arena_fini(&a);
    printf("# %zu recorded errors\n", seen);
    assert_true(seen >= (x.places > 1 ? 50 : 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_each_dialects_shape),
        cmocka_unit_test(a_status_without_a_row_takes_its_class),
        cmocka_unit_test(a_stream_error_is_an_event_of_its_wire),
        cmocka_unit_test(everything_has_a_name),
        cmocka_unit_test(provider_errors_of_any_shape_are_read),
        cmocka_unit_test(recorded_errors_are_read_as_their_meaning_says),
    };
    return cmocka_run_group_tests_name("dialect", tests, NULL, NULL);
}
