/* Unit of tui/screens/rule_doc: what is read is written again, what is changed is changed, and
 * nothing else of a route is lost. */
#include "tui/screens/rule_doc.h"

#include "store/base/json_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char route[] =
    "{\"policy\":\"weighted\",\"rules\":[{\"if\":{\"key\":\"ci-*\",\"header\":\"x-task: batch\"},"
    "\"use\":\"cheap\"},{\"name\":\"long\",\"enabled\":false,\"if\":{\"prompt_tokens\":\">150k\"},"
    "\"use\":[\"a/m\",\"b/m\"]}],\"targets\":[{\"to\":\"a/m\",\"weight\":90},{\"to\":\"b/m\","
    "\"weight\":10}],\"retry\":{\"attempts\":2},\"fallback\":[\"c/m\"]}";

static struct rule_doc doc;

static void read_route(const char *json)
{
    struct err e = {0};
    if (rule_doc_read(&doc, str_c(json), &e) < 0)
        fail_msg("%s", e.text);
}

static const char *written(void)
{
    static char text[4000];
    struct buf b;
    buf_init(&b, sizeof text - 1);
    rule_doc_write(&doc, &b);
    str_copy(text, sizeof text, buf_str(&b));
    buf_fini(&b);
    assert_int_equal(json_check(str_c(text), NULL), 0);
    return text;
}

static void what_is_read_is_written_again(void **state)
{
    (void)state;
    read_route(route);
    assert_int_equal(doc.count, 5);
    assert_string_equal(doc.rows[0].text, "key=ci-* header=\"x-task: batch\" -> cheap");
    assert_string_equal(doc.rows[1].text, "prompt_tokens=>150k -> a/m, b/m");
    assert_string_equal(doc.rows[1].name, "long");
    assert_true(doc.rows[1].off && doc.rows[2].weight == 90);
    const char *first = written();
    assert_non_null(strstr(first, "\"policy\":\"weighted\""));
    assert_non_null(strstr(first, "\"retry\":{\"attempts\":2}"));
    assert_non_null(strstr(first, "\"use\":\"cheap\""));
    assert_non_null(strstr(first, "\"use\":[\"a/m\",\"b/m\"]"));
    char copy[4000];
    snprintf(copy, sizeof copy, "%s", first);
    rule_doc_fini(&doc);
    read_route(copy);
    assert_string_equal(written(), copy); /* a second time nothing differs */
    rule_doc_fini(&doc);
}

static void rows_are_added_moved_weighed_and_removed_within_their_section(void **state)
{
    struct err e = {0};
    (void)state;
    read_route(route);
    assert_int_equal(rule_doc_add(&doc, SECTION_RULES, 0, "tools=yes -> b/m", &e), 1);
    assert_string_equal(doc.rows[1].text, "tools=yes -> b/m");
    assert_int_equal(rule_doc_move(&doc, 1, -1), 0);
    assert_int_equal(rule_doc_move(&doc, 0, -1), 0);
    assert_int_equal(rule_doc_move(&doc, 2, 1), 2); /* the targets begin there */
    assert_string_equal(doc.rows[0].text, "tools=yes -> b/m");
    rule_doc_weigh(&doc, 3, -200);
    assert_int_equal(doc.rows[3].weight, 0);
    assert_int_equal(rule_doc_add(&doc, SECTION_FALLBACK, SIZE_MAX, "d/m", &e), 5);
    assert_int_equal(rule_doc_add(&doc, SECTION_TARGETS, 4, "e/m 7", &e), 5);
    assert_int_equal(doc.rows[5].weight, 7);
    rule_doc_remove(&doc, 0);
    assert_non_null(strstr(written(), "\"fallback\":[\"d/m\",\"c/m\"]"));
    rule_doc_fini(&doc);
}

static void lines_that_mean_nothing_are_refused_with_what_to_write(void **state)
{
    static const struct {
        enum rule_section section;
        const char *line, *says;
    } wrong[] = {{SECTION_RULES, "tools=yes", "say where it goes"},
        {SECTION_RULES, "tools -> a/m", "NAME=VALUE"},
        {SECTION_RULES, "header=\"x-task: batch -> a/m", "quote"},
        {SECTION_RULES, "tools=yes ->", "say where it goes"},
        {SECTION_TARGETS, "", "provider/model"}, {SECTION_TARGETS, "a/m many", "number"},
        {SECTION_FALLBACK, "a/m -1", "number"}};
    (void)state;
    read_route("{\"targets\":[\"a/m\"]}");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err e = {0};
        assert_true(rule_doc_add(&doc, wrong[i].section, SIZE_MAX, wrong[i].line, &e) < 0);
        if (!strstr(e.text, wrong[i].says))
            fail_msg("%s: %s", wrong[i].line, e.text);
    }
    assert_int_equal(doc.count, 1);
    assert_string_equal(written(), "{\"targets\":[\"a/m\"]}");
    rule_doc_fini(&doc);
}

static void weights_may_be_texts_and_a_route_may_have_nothing(void **state)
{
    (void)state;
    read_route("{\"targets\":[{\"to\":\"a/m\",\"weight\":\"90\"}]}");
    assert_int_equal(doc.rows[0].weight, 90);
    rule_doc_fini(&doc);
    read_route("{}");
    assert_string_equal(written(), "{\"targets\":[]}");
    rule_doc_fini(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_written_again),
        cmocka_unit_test(rows_are_added_moved_weighed_and_removed_within_their_section),
        cmocka_unit_test(lines_that_mean_nothing_are_refused_with_what_to_write),
        cmocka_unit_test(weights_may_be_texts_and_a_route_may_have_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
