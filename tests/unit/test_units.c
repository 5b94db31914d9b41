/* Units of proxy/config/units.h: the spellings of quantities. */
#include "proxy/config/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

typedef int reader(struct str, int64_t *, struct err *);

struct row {
    reader *read;
    const char *text;
    int64_t want; /* a value, or a negative -ERR_X */
};

static void quantities_are_read_exactly_or_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {unit_count, "0", 0}, {unit_count, "150k", 150000}, {unit_count, "1.5M", 1500000},
        {unit_count, "1.0005k", -ERR_RANGE}, {unit_count, "", -ERR_SYNTAX},
        {unit_count, "-3", -ERR_SYNTAX}, {unit_count, "3 k", -ERR_SYNTAX},
        {unit_count, "99999999999999999999", -ERR_RANGE}, {unit_count, "0x10", -ERR_SYNTAX},
        {unit_size, "64MiB", 67108864}, {unit_size, "200k", 200000}, {unit_size, "12KiB", 12288},
        {unit_size, "2GiB", 2147483648}, {unit_size, "1.5KiB", 1536}, {unit_size, "9 apples", -ERR_SYNTAX},
        {unit_size, "9999999TiB", -ERR_RANGE},
        {unit_duration, "2s", 2000000}, {unit_duration, "500ms", 500000},
        {unit_duration, "1h30m", 5400000000}, {unit_duration, "7d", 604800000000},
        {unit_duration, "0", 0}, {unit_duration, "1.5s", 1500000}, {unit_duration, "30", -ERR_SYNTAX},
        {unit_duration, "s", -ERR_SYNTAX}, {unit_duration, "1y", -ERR_SYNTAX},
        {unit_duration, "99999999d", -ERR_RANGE}, {unit_duration, "", -ERR_SYNTAX},
        {unit_money, "$5", 5000000000}, {unit_money, "0.02", 20000000}, {unit_money, "20usd", 20000000000},
        {unit_money, "$0.000000001", 1}, {unit_money, "$0.0000000001", -ERR_RANGE},
        {unit_money, "", -ERR_SYNTAX}, {unit_money, "$", -ERR_SYNTAX}, {unit_money, "5 EUR", -ERR_SYNTAX},
        {unit_rate, "0.25", 250000000}, {unit_rate, "$3", 3000000000}, {unit_rate, "0.000000001", 1},
        {unit_rate, "0.0000000001", -ERR_RANGE}, {unit_rate, "1e-3", 1000000},
        {unit_fee, "0.01", 10000000000000}, {unit_fee, "3e-07", 300000000},
        {unit_percent, "80%", 800000}, {unit_percent, "2.5%", 25000}, {unit_percent, "80", -ERR_SYNTAX},
        {unit_percent, "0.00001%", -ERR_RANGE},
        {unit_date, "1970-01-01T00:00:00Z", 0}, {unit_date, "2026-12-31", 1798761600000},
        {unit_date, "2026-12-31T10:00:00+02:00", 1798704000000}, {unit_date, "2026-02-29", -ERR_SYNTAX},
        {unit_date, "2024-02-29T23:59:59Z", 1709251199000}, {unit_date, "31.12.2026", -ERR_SYNTAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = -1;
        struct err e = {0};
        int rc = rows[i].read(str_c(rows[i].text), &got, &e);
        if ((rc < 0 ? rc : got) != rows[i].want)
            fail_msg("row %zu \"%s\": got %lld, wanted %lld", i, rows[i].text,
                (long long)(rc < 0 ? rc : got), (long long)rows[i].want);
        assert_true(rc == 0 || e.text[0]);
    }
}

static void yes_and_no(void **state)
{
    (void)state;
    bool b = false;
    assert_int_equal(unit_bool(STR("yes"), &b, NULL), 0);
    assert_true(b);
    assert_int_equal(unit_bool(STR("False"), &b, NULL), 0);
    assert_false(b);
    assert_int_equal(unit_bool(STR("maybe"), &b, NULL), -ERR_TYPE);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const struct {
        void (*put)(struct buf *, int64_t);
        reader *read;
        int64_t value;
        const char *text;
    } rows[] = {
        {unit_put_size, unit_size, 67108864, "64MiB"}, {unit_put_size, unit_size, 12345, "12345"},
        {unit_put_size, unit_size, 0, "0"}, {unit_put_duration, unit_duration, 600000000, "10m"},
        {unit_put_duration, unit_duration, 1500, "1500us"}, {unit_put_duration, unit_duration, 0, "0us"},
        {unit_put_money, unit_money, 20000000, "$0.02"}, {unit_put_money, unit_money, 200000000000, "$200"},
        {unit_put_money, unit_money, 1, "$0.000000001"}, {unit_put_percent, unit_percent, 25000, "2.5%"},
        {unit_put_rate, unit_rate, 250000000, "0.25"}, {unit_put_rate, unit_rate, 0, "0"},
        {unit_put_fee, unit_fee, 10000000000000, "0.01"},
        {unit_put_date, unit_date, 1798704000000, "2026-12-31T08:00:00Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        int64_t back = -1;
        buf_init(&b, 100);
        rows[i].put(&b, rows[i].value);
        assert_string_equal(buf_c(&b), rows[i].text);
        assert_int_equal(rows[i].read(buf_str(&b), &back, NULL), 0);
        assert_int_equal(back, rows[i].value);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantities_are_read_exactly_or_refused),
        cmocka_unit_test(yes_and_no),
        cmocka_unit_test(what_is_written_reads_back),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
