/* Units of proxy/meter/money.c: decimal text, exactly, both ways. */
#include "proxy/meter/price.h"
#include "store/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void amounts_are_read_exactly_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t nano;
    } t[] = {{"5", 0, 5000000000}, {"$5", 0, 5000000000}, {" $ 0.02 ", 0, 20000000}, {"0.02usd", 0, 20000000},
        {"20 USD", 0, 20000000000}, {"1e-9", 0, 1}, {".5", 0, 500000000}, {"0.1", 0, 100000000},
        {"9000000000", 0, 9000000000000000000}, {"9300000000", -ERR_RANGE, 0}, {"0.0000000001", -ERR_RANGE, 0},
        {"", -ERR_RANGE, 0}, {"$", -ERR_RANGE, 0}, {"0", -ERR_RANGE, 0}, {"-5", -ERR_RANGE, 0},
        {"five", -ERR_SYNTAX, 0}, {"5 6", -ERR_SYNTAX, 0}, {"1.2.3", -ERR_SYNTAX, 0}, {"0x10", -ERR_SYNTAX, 0},
        {"1,000", -ERR_SYNTAX, 0}, {"1e", -ERR_SYNTAX, 0}, {"nan", -ERR_SYNTAX, 0}, {"1e400", -ERR_RANGE, 0}};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct err e = {0};
        int64_t nano = 0;
        int rc = money_parse(str_c(t[i].text), false, &nano, &e);
        if (rc != t[i].rc || (rc == 0 && nano != t[i].nano) || (rc < 0 && !e.text[0]))
            fail_msg("\"%s\": %d, %lld", t[i].text, rc, (long long)nano);
    }
    int64_t nano = 1;
    assert_int_equal(money_parse(STR("0"), true, &nano, NULL), 0);
    assert_int_equal(nano, 0);
}

static void an_empty_amount_explains_the_shell(void **state)
{
    (void)state;
    struct err e = {0};
    int64_t nano;
    assert_int_equal(money_parse(STR("0"), false, &nano, &e), -ERR_RANGE);
    assert_non_null(strstr(e.text, "20usd"));
}

static void rates_are_read_digit_by_digit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t per, femto;
        int rc;
        bool rounded;
    } t[] = {{"3e-07", 1, 300000000, 0, false}, {"0.0000025", 1, 2500000000, 0, false},
        {"1.25", 1000000, 1250000000, 0, false}, {"0.003625", 1000000, 3625000, 0, false},
        {"0.1", 1000000, 100000000, 0, false}, {"2.9999999999999997e-06", 1, 3000000000, 0, true},
        {"1e-16", 1, 0, 0, true}, {"5e-16", 1, 0, 0, true}, {"1.5e-15", 1, 2, 0, true}, {"2.5e-15", 1, 2, 0, true},
        {"1e-400", 1, 0, 0, true}, {"0", 1, 0, 0, false}, {"-0.0", 1, 0, 0, false}, {"1", 3, 333333333333333, 0, true},
        {"0.00000000000000000000000000000000000000000000000001e44", 1, 1000000000, 0, false},
        {"9223", 1, 9223000000000000000, 0, false}, {"9224", 1, 0, -ERR_RANGE, false},
        {"1e99999999999999999999", 1, 0, -ERR_SYNTAX, false}, {"-1", 1, 0, -ERR_RANGE, false}, {"", 1, 0, -ERR_SYNTAX, false}};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        int64_t femto = 0;
        bool rounded = false;
        int rc = price_parse_rate(str_c(t[i].text), t[i].per, &femto, &rounded);
        if (rc != t[i].rc || (rc == 0 && (femto != t[i].femto || rounded != t[i].rounded)))
            fail_msg("%s: %d, %lld%s", t[i].text, rc, (long long)femto, rounded ? " rounded" : "");
    }
}

static void rounding_is_half_to_even(void **state)
{
    (void)state;
    assert_int_equal(price_round_nano(499999), 0);
    assert_int_equal(price_round_nano(500000), 0);
    assert_int_equal(price_round_nano(500001), 1);
    assert_int_equal(price_round_nano(1500000), 2);
    assert_int_equal(price_round_nano(2500000), 2);
    assert_int_equal(price_round_nano(-1500000), -2);
}

static void people_see_as_many_digits_as_say_something(void **state)
{
    (void)state;
    static const struct {
        int64_t nano;
        size_t size;
        const char *text;
    } t[] = {{32600000, 32, "0.0326"}, {4310000000, 32, "4.31"}, {12408000000000, 32, "12,408"}, {0, 32, "0"},
        {146625, 32, "0.00015"}, {1, 32, "0.000000001"}, {999999999, 32, "1.0000"}, {999990000000, 32, "999.99"},
        {-4310000000, 32, "-4.31"}, {INT64_MAX, 32, "9,223,372,037"}, {INT64_MIN, 32, "-9,223,372,037"},
        {4310000000, 4, "4.3"}, {32600000, 6, "0.033"}, {12408000000000, 5, "12k"}, {1234567000000000, 10, "1,234,567"}};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        char out[32];
        money_show(t[i].nano, out, t[i].size);
        if (strcmp(out, t[i].text) != 0)
            fail_msg("%lld in %zu: \"%s\", want \"%s\"", (long long)t[i].nano, t[i].size, out, t[i].text);
    }
}

static void exact_amounts_read_back(void **state)
{
    (void)state;
    static const int64_t t[] = {0, 1, 146625, 999999999, 1000000000, 9000000000000000000};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        char out[40];
        int64_t back = -1;
        money_exact(t[i], out, sizeof out);
        assert_int_equal(money_parse(str_c(out), true, &back, NULL), 0);
        assert_int_equal(back, t[i]);
    }
    char out[40];
    money_exact(-146625, out, sizeof out);
    assert_string_equal(out, "-0.000146625");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read_exactly_or_refused),
        cmocka_unit_test(an_empty_amount_explains_the_shell),
        cmocka_unit_test(rates_are_read_digit_by_digit),
        cmocka_unit_test(rounding_is_half_to_even),
        cmocka_unit_test(people_see_as_many_digits_as_say_something),
        cmocka_unit_test(exact_amounts_read_back),
    };
    return cmocka_run_group_tests_name("money", tests, NULL, NULL);
}
