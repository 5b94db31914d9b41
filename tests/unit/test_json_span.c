/* Units of store/base/json_span.h: what is refused, what is found, what survives a splice. */
#include "store/base/err.h"
#include "store/base/json_span.h"
#include "tests/unit/shared.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

#define assert_str(a, lit) \
    do { \
        struct str got_ = (a); \
        if (!str_eq(got_, STR(lit))) \
            fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got_), lit); \
    } while (0)

/* Verdicts on what the standard leaves open, frozen: a change of mind must be seen. */
static const char *const open_accepted[] = {
    "i_number_double_huge_neg_exp.json", "i_number_huge_exp.json", "i_number_neg_int_huge_exp.json",
    "i_number_pos_double_huge_exp.json", "i_number_real_neg_overflow.json",
    "i_number_real_pos_overflow.json", "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json", "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json", "i_object_key_lone_2nd_surrogate.json",
    "i_string_1st_surrogate_but_2nd_missing.json", "i_string_1st_valid_surrogate_2nd_invalid.json",
    "i_string_incomplete_surrogate_and_escape_valid.json",
    "i_string_incomplete_surrogate_pair.json",
    "i_string_incomplete_surrogates_escape_valid.json", "i_string_invalid_lonely_surrogate.json",
    "i_string_invalid_surrogate.json", "i_string_inverted_surrogates_U+1D11E.json",
    "i_string_lone_second_surrogate.json",
    /* those of tests/fixtures */
    "i_exponent_past_a_double.json", "i_integer_past_64_bits.json", "i_lone_surrogate.json",
    "i_surrogates_in_wrong_order.json",
};

static bool wanted_valid(const char *name)
{
    if (name[0] != 'i')
        return name[0] == 'y';
    for (size_t i = 0; i < ARRAY_LEN(open_accepted); i++)
        if (strcmp(name, open_accepted[i]) == 0)
            return true;
    return false;
}

static void texts_are_judged_as_their_names_say(void **state)
{
    (void)state;
    const char *dir;
    for (int i = 0; (dir = data_dir(i, "torture/json/jsontestsuite")) != NULL; i++) {
        DIR *d = opendir(dir);
        size_t seen = 0;
        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));) {
            if (!strstr(e->d_name, ".json"))
                continue;
            struct str text = shared_read(dir, e->d_name);
            size_t at = 0;
            int rc = json_check(text, &at);
            if ((rc == 0) != wanted_valid(e->d_name))
                fail_msg("%s: json_check says %d at %zu", e->d_name, rc, at);
            assert_true(at <= text.n);
            free((char *)text.p);
            seen++;
        }
        closedir(d);
        assert_true(seen >= (i ? 100 : 40));
    }
}

static void valid_and_broken_texts_are_told_apart(void **state)
{
    (void)state;
    static const char *const good[] = {"0", " -0.0e+1 ", "[]", "{}", "[1,[2,{\"a\":[]}]]", "\"\\u0000\"",
        "\"\xF0\x9F\x98\x80\"", "{\"\":0,\"\":1}", "true", "\r\n\t null", "\"\\ud800\"", "1E400"};
    static const char *const bad[] = {"", " ", "01", "1.", ".5", "+1", "-", "1e", "[1,]", "{\"a\":1,}",
        "{a:1}", "{\"a\"}", "{\"a\":}", "[1 2]", "\"\n\"", "\"\\x\"", "\"\\u12G4\"", "\"", "tru", "nul",
        "[", "{", "]", "[}", "{]", "1 1", "{} {}", "\xEF\xBB\xBF{}", "\"\xC0\x80\"", "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"", "\"\xE2\x82\"", "NaN", "Infinity", "// c\n1", "{\"a\":1 \"b\":2}", "[,1]"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (json_check(str_c(good[i]), NULL) != 0)
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (json_check(str_c(bad[i]), NULL) != -ERR_SYNTAX)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(json_check(STR("\"a\0b\""), NULL), -ERR_SYNTAX);
    size_t at;
    assert_int_equal(json_check(STR("{\"a\": 1,}"), &at), -ERR_SYNTAX);
    assert_int_equal(at, 8);
}

static void nesting_ends_at_its_limit_without_a_stack(void **state)
{
    (void)state;
    size_t n = 1000000;
    char *deep = malloc(n + 1);
    memset(deep, '[', n);
    size_t at;
    assert_int_equal(json_check(str_n(deep, n), &at), -ERR_LIMIT);
    assert_int_equal(at, JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_int_equal(json_check(str_n(deep, JSON_DEPTH_MAX * 2), NULL), 0);
    for (size_t i = 0; i < n / 5; i++)
        memcpy(deep + i * 5, "{\"a\":", 5);
    assert_int_equal(json_check(str_n(deep, n), NULL), -ERR_LIMIT);
    assert_int_equal(json_value(str_n(deep, n)).type, JSON_NONE);
    free(deep);
}

static void members_are_found_by_exact_decoded_key(void **state)
{
    (void)state;
    struct str body = STR(" {\"Model\":1,\"mod\\u0065l\":\"a\\\"b\",\"model\":\"c\",\"x\":{\"y\":[10,{\"z\":true}]}} ");
    assert_str(json_get(body, STR("model")).raw, "\"a\\\"b\"");
    assert_int_equal(json_get(body, STR("MODEL")).type, JSON_NONE);
    assert_str(json_path(body, "x.y.1.z").raw, "true");
    assert_str(json_path(body, "x.y.0").raw, "10");
    assert_int_equal(json_path(body, "x.y.2").type, JSON_NONE);
    assert_int_equal(json_path(body, "x.q.z").type, JSON_NONE);
    assert_int_equal(json_get(STR("[1]"), STR("a")).type, JSON_NONE);
    assert_int_equal(json_get(STR("{\"a\":tru,\"b\":1}"), STR("b")).type, JSON_NONE);
    assert_str(json_get(STR("{\"a\\\\b\":1,\"c\":2}"), STR("a\\b")).raw, "1");
    assert_int_equal(json_get(STR("{\"a\\\\b\":1}"), STR("a\\\\b")).type, JSON_NONE);
}

static void one_pass_gives_several_members_and_counts_duplicates(void **state)
{
    (void)state;
    struct json_want w[] = {{STR("model")}, {STR("stream")}, {STR("n")}};
    assert_int_equal(json_scan(STR("{\"model\":\"a\",\"stream\":true,\"mode\\u006c\":\"b\"}"), w, 3), 0);
    assert_int_equal(w[0].count, 2);
    assert_str(w[0].value.raw, "\"a\"");
    assert_int_equal(w[1].value.type, JSON_TRUE);
    assert_int_equal(w[2].count, 0);
    assert_int_equal(json_scan(STR("[1]"), w, 3), -ERR_TYPE);
    assert_int_equal(json_scan(STR("{\"model\":1"), w, 3), -ERR_SYNTAX);
    assert_int_equal(json_scan(STR("{} x"), w, 3), -ERR_SYNTAX);
    assert_int_equal(json_scan(STR("{\"a\":1}{\"model\":2}"), w, 3), -ERR_SYNTAX);
}

static void iteration_sees_each_element_and_says_when_it_breaks(void **state)
{
    (void)state;
    struct json_iter it = json_iter(STR("[1, \"two\" ,{\"three\":3}] tail"));
    struct json_span k, v;
    size_t n = 0;
    while (json_next(&it, &k, &v)) {
        assert_int_equal(k.type, JSON_NONE);
        n++;
    }
    assert_int_equal(n, 3);
    assert_int_equal(it.err, 0);
    assert_str(it.rest, " tail");
    assert_false(json_next(&it, &k, &v));
    it = json_iter(STR("{\"a\":1,}"));
    assert_true(json_next(&it, &k, &v));
    assert_str(k.raw, "\"a\"");
    assert_false(json_next(&it, &k, &v));
    assert_int_equal(it.err, -ERR_SYNTAX);
    it = json_iter(STR("12"));
    assert_false(json_next(&it, &k, &v));
    assert_int_equal(it.err, -ERR_TYPE);
    assert_int_equal(json_count(json_value(STR("[1,2,3]"))), 3);
    assert_int_equal(json_count(json_value(STR("{\"a\":0}"))), 1);
    assert_int_equal(json_count(json_value(STR("7"))), 0);
}

static int64_t whole(const char *text, int *rc)
{
    int64_t v = 42;
    *rc = json_i64(json_value(str_c(text)), &v);
    return v;
}

static void whole_numbers_are_exact_in_any_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } t[] = {{"12", 0, 12}, {"12.0", 0, 12}, {"1.2e1", 0, 12}, {"1200e-2", 0, 12}, {"-0", 0, 0},
        {"0e999999999999", 0, 0}, {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN}, {"9223372036854775808", -ERR_RANGE, 42},
        {"-9223372036854775809", -ERR_RANGE, 42}, {"1e18", 0, 1000000000000000000}, {"1e19", -ERR_RANGE, 42},
        {"1e999999999999999999", -ERR_RANGE, 42}, {"1.5", -ERR_TYPE, 42}, {"1e-1", -ERR_TYPE, 42},
        {"9007199254740993", 0, 9007199254740993}, {"0.000e0", 0, 0}, {"\"12\"", -ERR_TYPE, 42},
        {"10000000000000000000000e-21", 0, 10}, {"null", -ERR_TYPE, 42}, {"-1.20E+2", 0, -120}};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        int rc;
        int64_t v = whole(t[i].text, &rc);
        if (rc != t[i].rc || v != t[i].value)
            fail_msg("%s: rc %d value %lld", t[i].text, rc, (long long)v);
    }
}

static void text_is_decoded_or_borrowed(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 256, 4096);
    struct str body = STR("\"plain\"");
    assert_true(json_text(json_value(body), &a).p == body.p + 1);
    assert_str(json_text(json_value(STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"")), &a), "\"\\/\b\f\n\r\t");
    assert_str(json_text(json_value(STR("\"\\u00e9\\u20ac\\ud83d\\ude00\"")), &a), "é€😀");
    assert_str(json_text(json_value(STR("\"\\ud83dx\\ude00\"")), &a), "\xEF\xBF\xBDx\xEF\xBF\xBD");
    assert_str(json_text(json_value(STR("\"\\ud83d\\u0041\"")), &a), "\xEF\xBF\xBD" "A");
    struct str nul = json_text(json_value(STR("\"a\\u0000b\"")), &a);
    assert_int_equal(nul.n, 3);
    assert_memory_equal(nul.p, "a\0b", 3);
    assert_null(json_text(json_value(STR("12")), &a).p);
    assert_true(json_text_eq(json_value(STR("\"\\u0067pt\\u002d5\"")), STR("gpt-5")));
    assert_false(json_text_eq(json_value(STR("\"gpt-5\"")), STR("gpt-5x")));
    assert_false(json_text_eq(json_value(STR("\"gpt-5x\"")), STR("gpt-5")));
    assert_false(json_text_eq(json_value(STR("5")), STR("5")));
    assert_str(json_get_str(STR("{\"k\":\"v\"}"), STR("k"), &a), "v");
    arena_fini(&a);
}

static void quoting_gives_valid_json_for_any_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    json_quote(&b, STR("a\"\\\n\x01é\xC3(\xED\xA0\x80\x7f"));
    assert_str(buf_str(&b), "\"a\\\"\\\\\\n\\u0001é\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\x7f\"");
    for (unsigned c = 0; c < 65536; c++) {
        char two[2] = {(char)(c >> 8), (char)c};
        buf_reset(&b);
        json_quote(&b, str_n(two, 2));
        assert_int_equal(json_check(buf_str(&b), NULL), 0);
    }
    buf_fini(&b);
}

static void a_splice_changes_nothing_but_its_range(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    struct str body = STR("{\"seed\":123456789012345678901234567890, \"model\" : \"a\",\"model2\":\"a\"}");
    json_splice(&b, body, json_get(body, STR("model")).raw, STR("\"gpt-5\""));
    assert_str(buf_str(&b), "{\"seed\":123456789012345678901234567890, \"model\" : \"gpt-5\",\"model2\":\"a\"}");
    buf_reset(&b);
    json_splice(&b, body, str_n(body.p + 1, 0), STR("\"x\":1,"));
    assert_true(str_starts(buf_str(&b), STR("{\"x\":1,\"seed\"")));
    assert_int_equal(b.n, body.n + 6);
    buf_fini(&b);
}

static void any_cut_of_a_text_is_refused(void **state)
{
    (void)state;
    struct str body = STR("{\"a\":[1.5e3,\"x\\u00e9\\ud83d\\ude00é€\",true,null,{}],\"b\":{\"c\":false}}");
    assert_int_equal(json_check(body, NULL), 0);
    for (size_t n = 0; n < body.n; n++) {
        char *copy = malloc(n ? n : 1); /* exact size: a sanitizer sees any step past the end */
        memcpy(copy, body.p, n);
        assert_int_equal(json_check(str_n(copy, n), NULL), -ERR_SYNTAX);
        assert_int_equal(json_get(str_n(copy, n), STR("zz")).type, JSON_NONE);
        free(copy);
    }
}

static double scan_rate(struct str text)
{
    struct timespec a, b;
    double best = 0;
    for (int i = 0; i < 5; i++) {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        assert_int_equal(json_check(text, NULL), 0);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
        best = MAX(best, (double)text.n / s / 1e9);
    }
    return best;
}

/* Aim: 1 GB/s and more for ASCII; the bounds here only catch a lost order of magnitude. */
static void long_strings_are_scanned_near_memory_speed(void **state)
{
    (void)state;
    size_t n = 4 << 20;
    char *p = malloc(n);
    memset(p, 'a', n);
    p[0] = p[n - 1] = '"';
    double ascii = scan_rate(str_n(p, n));
    size_t i = 1;
    for (; i + 3 < n - 1; i += 3)
        memcpy(p + i, "\xE4\xBD\xA0", 3);
    double chinese = scan_rate(str_n(p, n));
    printf("# scan: %.1f GB/s ASCII, %.1f GB/s Chinese\n", ascii, chinese);
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(ascii > 0.2);
    assert_true(chinese > 0.05);
#endif
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_judged_as_their_names_say),
        cmocka_unit_test(valid_and_broken_texts_are_told_apart),
        cmocka_unit_test(nesting_ends_at_its_limit_without_a_stack),
        cmocka_unit_test(members_are_found_by_exact_decoded_key),
        cmocka_unit_test(one_pass_gives_several_members_and_counts_duplicates),
        cmocka_unit_test(iteration_sees_each_element_and_says_when_it_breaks),
        cmocka_unit_test(whole_numbers_are_exact_in_any_spelling),
        cmocka_unit_test(text_is_decoded_or_borrowed),
        cmocka_unit_test(quoting_gives_valid_json_for_any_bytes),
        cmocka_unit_test(a_splice_changes_nothing_but_its_range),
        cmocka_unit_test(any_cut_of_a_text_is_refused),
        cmocka_unit_test(long_strings_are_scanned_near_memory_speed),
    };
    return cmocka_run_group_tests_name("json_span", tests, NULL, NULL);
}
