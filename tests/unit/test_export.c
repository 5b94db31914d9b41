/* test_export.c: what leaves the console in a form that others read: nothing in a body ends its literal. */
#include "store/base/json.h"
#include "tui/screens/export_forms.h"
#include "tui/screens/list_screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char detail[] = "{\"id\":\"a1\",\"time\":\"2026-11-23T14:02:11.000Z\",\"endpoint\":\"/v1/x;id\","
    "\"dialect\":\"openai\",\"status\":200,\"ttft_us\":400000,\"total_us\":1000000,\"stream\":false,"
    "\"request\":{\"headers\":{\"x-a\":\"b\"},\"body\":\"{\\\"m\\\":\\\"it's `x` ``` \\\\n\\u001b[31m\\\"}\"},"
    "\"response\":{\"headers\":{},\"body\":\"{\\\"choices\\\":[{\\\"message\\\":{\\\"content\\\":\\\"hello\\\"}}]}\"}}";

static struct buf made(enum export_kind kind, unsigned times)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    export_begin(&out, kind);
    for (unsigned i = 0; i < times; i++)
        export_put(&out, kind, str_c(detail), "http://127.0.0.1:4141", i == 0);
    export_end(&out, kind);
    assert_false(out.err);
    return out;
}

static void every_form_is_made_of_one_or_several(void **state)
{
    (void)state;
    for (int kind = 0; kind < EXPORT_KINDS; kind++)
        for (unsigned times = 1; times <= 2; times++) {
            struct buf out = made((enum export_kind)kind, times);
            assert_non_null(strstr(buf_c(&out), "it"));
            buf_fini(&out);
        }
}

static void har_is_one_json_document(void **state)
{
    struct buf out = made(EXPORT_HAR, 2);
    struct err e = {0};
    (void)state;
    struct json *j = json_parse(buf_str(&out), &e);
    assert_non_null(j);
    json_free(j);
    buf_fini(&out);
}

static void a_shell_gets_one_quoted_word(void **state)
{
    struct buf out = made(EXPORT_CURL, 1);
    (void)state;
    assert_non_null(strstr(buf_c(&out), "curl $'http://127.0.0.1:4141/v1/x;id' -H"));
    assert_non_null(strstr(buf_c(&out), "it\\'s `x`"));
    assert_null(strchr(buf_c(&out), 0x1b));
    assert_non_null(strstr(buf_c(&out), "$OPENAI_API_KEY"));
    buf_fini(&out);
}

static void markdown_fences_are_longer_than_what_is_inside(void **state)
{
    struct buf out = made(EXPORT_MARKDOWN, 1);
    (void)state;
    assert_non_null(strstr(buf_c(&out), "````json\n"));
    assert_non_null(strstr(buf_c(&out), "hello"));
    buf_fini(&out);
}

static void no_text_of_a_file_is_a_formula_or_moves_the_cursor(void **state)
{
    const struct str rows[] = {
        STR("{\"a\":\"=1+1\",\"b\":\"\\u001b[2Jx\",\"c\":\"\\n=2\",\"d\":\"\\u200d=3\"}"),
        STR("{\"a\":\"plain\",\"b\":\"a \\\"b\\\"\",\"c\":-4,\"d\":[1,2]}")};
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    list_csv(&out, rows, ARRAY_LEN(rows));
    assert_int_equal(out.err, 0);
    assert_null(memchr(out.p, 0x1B, out.n));
    const char *text = buf_c(&out);
    assert_non_null(strstr(text, "a,b,c,d\n\"'=1+1\",\""));
    assert_non_null(strstr(text, "[2Jx\",\"'"));
    assert_non_null(strstr(text, "\"'=3\"\n"));
    assert_non_null(strstr(text, "\n\"plain\",\"a \"\"b\"\"\",-4,\n"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_made_of_one_or_several),
        cmocka_unit_test(har_is_one_json_document),
        cmocka_unit_test(a_shell_gets_one_quoted_word),
        cmocka_unit_test(markdown_fences_are_longer_than_what_is_inside),
        cmocka_unit_test(no_text_of_a_file_is_a_formula_or_moves_the_cursor),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
