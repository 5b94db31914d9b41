/* Units of store/base/json.h: the writer, and trees of small documents. */
#include "store/base/json.h"
#include "store/base/json_span.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void the_writer_puts_commas_and_quotes_where_they_belong(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    json_put_str(&w, "id", STR("a\"b"));
    json_array_begin(&w, "list");
    json_put_int(&w, NULL, -9007199254740993);
    json_object_begin(&w, NULL);
    json_object_end(&w);
    json_put_null(&w, NULL);
    json_array_end(&w);
    json_put_key(&w, STR("k\n"));
    json_put_bool(&w, NULL, true);
    json_put_raw(&w, "raw", STR("[1]"));
    json_put_double(&w, "d", 0.1);
    json_put_double(&w, "inf", INFINITY);
    json_put_c(&w, "c", "x");
    json_object_end(&w);
    assert_string_equal(buf_c(&b),
        "{\"id\":\"a\\\"b\",\"list\":[-9007199254740993,{},null],\"k\\n\":true,\"raw\":[1],"
        "\"d\":0.1,\"inf\":null,\"c\":\"x\"}");
    assert_int_equal(json_check(buf_str(&b), NULL), 0);
    buf_fini(&b);
}

static void nesting_past_the_writers_depth_is_an_error_of_the_buffer(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    struct json_writer w = json_writer(&b);
    for (int i = 0; i < JSON_WRITER_DEPTH - 1; i++)
        json_array_begin(&w, NULL);
    assert_int_equal(b.err, 0);
    json_array_begin(&w, NULL);
    assert_int_equal(b.err, -ERR_LIMIT);
    for (int i = 0; i < JSON_WRITER_DEPTH + 3; i++)
        json_array_end(&w);
    assert_int_equal(b.err, -ERR_LIMIT);
    buf_fini(&b);
}

static void trees_give_values_or_the_default(void **state)
{
    (void)state;
    struct err e = {0};
    struct json *j = json_parse(STR("{\"s\":\"x\",\"i\":12,\"f\":1.5,\"b\":true,\"n\":null,\"a\":[1,2],"
                                    "\"big\":9007199254740993,\"S\":\"y\"}"), &e);
    assert_non_null(j);
    assert_string_equal(json_string(j, "s", ""), "x");
    assert_string_equal(json_string(j, "S", ""), "y");
    assert_string_equal(json_string(j, "i", "other"), "other");
    assert_int_equal(json_int(j, "i", 7), 12);
    assert_int_equal(json_int(j, "f", 7), 7);
    assert_int_equal(json_int(j, "big", 9007199254740992), 9007199254740992);
    assert_int_equal(json_int(j, "absent", 7), 7);
    assert_true(json_double(j, "f", 0) == 1.5);
    assert_true(json_bool(j, "b", false));
    assert_true(json_is_null(json_member(j, "n")));
    assert_int_equal(json_size(json_member(j, "a")), 2);
    struct json *item = json_first(json_member(j, "a"));
    assert_int_equal(json_item_int(item, 0), 1);
    assert_int_equal(json_item_int(json_following(item), 0), 2);
    assert_null(json_following(json_following(item)));
    assert_string_equal(json_key(json_first(j)), "s");
    assert_null(json_member(NULL, "x"));
    json_free(j);
}

static void broken_documents_are_refused_with_their_offset(void **state)
{
    (void)state;
    struct err e = {0};
    assert_null(json_parse(STR("{\"a\":1,}"), &e));
    assert_int_equal(e.code, ERR_SYNTAX);
    assert_non_null(strstr(e.text, "byte 7"));
    assert_null(json_parse(STR("{} x"), &e));
    assert_null(json_parse(STR(""), &e));
    json_free(NULL);
}

static void an_error_has_one_form(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 1000);
    json_write_error(&out, "NOT_FOUND", "no route \"fast\"");
    assert_string_equal(buf_c(&out),
        "{\"error\":{\"code\":\"not_found\",\"message\":\"no route \\\"fast\\\"\"}}");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_one_form),
        cmocka_unit_test(the_writer_puts_commas_and_quotes_where_they_belong),
        cmocka_unit_test(nesting_past_the_writers_depth_is_an_error_of_the_buffer),
        cmocka_unit_test(trees_give_values_or_the_default),
        cmocka_unit_test(broken_documents_are_refused_with_their_offset),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
