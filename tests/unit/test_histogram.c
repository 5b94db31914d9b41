/* Units of store/base/histogram. */
#include "store/base/err.h"
#include "store/base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void every_value_is_found_again_within_two_percent(void **state)
{
    (void)state;
    struct histogram *h = calloc(1, sizeof *h);
    for (int64_t v = 0; v < (int64_t)1 << 36; v += 1 + v / 97) {
        *h = (struct histogram){0};
        histogram_add(h, v, 1);
        int64_t got = histogram_percentile(h, 500000);
        int64_t off = got > v ? got - v : v - got;
        if (off * 50 > v)
            fail_msg("%lld came back as %lld", (long long)v, (long long)got);
    }
    free(h);
}

static void percentiles_of_a_known_row_of_numbers(void **state)
{
    (void)state;
    struct histogram h = {0};
    assert_int_equal(histogram_percentile(&h, 950000), 0);
    for (int64_t v = 1; v <= 100000; v++)
        histogram_add(&h, v, 1);
    assert_int_equal(histogram_total(&h), 100000);
    assert_in_range(histogram_rank(&h, 97000), 950000, 990000);
    assert_int_equal(histogram_rank(&h, INT64_MAX), 1000000);
    static const int64_t ppm[] = {10000, 250000, 500000, 950000, 990000, 999000, 1000000};
    for (unsigned i = 0; i < ARRAY_LEN(ppm); i++) {
        int64_t want = ppm[i] / 10, got = histogram_percentile(&h, ppm[i]);
        assert_in_range(got, want * 98 / 100, want * 102 / 100 + 1);
    }
}

static void merging_encoded_parts_equals_counting_all_at_once(void **state)
{
    (void)state;
    struct histogram all = {0}, sum = {0};
    struct buf b;
    buf_init(&b, HISTOGRAM_ENCODED_MAX);
    uint64_t seed = 42;
    for (int part = 0; part < 20; part++) {
        struct histogram h = {0};
        for (int i = 0; i < 500; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            int64_t v = (int64_t)(seed >> 20) >> (seed % 40);
            histogram_add(&h, v, 1);
            histogram_add(&all, v, 1);
        }
        buf_reset(&b);
        histogram_encode(&h, &b);
        assert_int_equal(b.err, 0);
        assert_true(b.n < 1500);
        assert_int_equal(histogram_merge_encoded(&sum, buf_str(&b)), 0);
    }
    assert_memory_equal(&sum, &all, sizeof all);
    buf_fini(&b);
}

static void a_correction_takes_away_what_was_counted(void **state)
{
    (void)state;
    struct histogram h = {0}, minus = {0};
    struct buf b;
    buf_init(&b, HISTOGRAM_ENCODED_MAX);
    histogram_add(&h, 700, 2);
    histogram_add(&minus, 700, -1);
    histogram_encode(&minus, &b);
    assert_int_equal(histogram_merge_encoded(&h, buf_str(&b)), 0);
    assert_int_equal(histogram_total(&h), 1);
    assert_int_equal(histogram_merge_encoded(&h, buf_str(&b)), 0);
    assert_int_equal(histogram_total(&h), 0);
    buf_fini(&b);
}

static void damaged_bytes_are_refused_and_never_write_outside(void **state)
{
    (void)state;
    struct histogram h = {0};
    assert_int_equal(histogram_merge_encoded(&h, STR("\xff\xff\xff\xff\xff\xff")), -ERR_CORRUPT);
    assert_int_equal(histogram_merge_encoded(&h, STR("\x01")), -ERR_CORRUPT);
    assert_int_equal(histogram_merge_encoded(&h, STR("\xff\x7f\x02")), -ERR_CORRUPT);
    histogram_add(&h, 5, INT32_MAX);
    histogram_add(&h, 5, INT32_MAX);
    assert_int_equal(histogram_total(&h), INT32_MAX);
    histogram_add(&h, -7, 1);
    histogram_add(&h, INT64_MAX, 1);
    assert_int_equal(h.count[0], 1);
    assert_int_equal(h.count[HISTOGRAM_BUCKETS - 1], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_found_again_within_two_percent),
        cmocka_unit_test(percentiles_of_a_known_row_of_numbers),
        cmocka_unit_test(merging_encoded_parts_equals_counting_all_at_once),
        cmocka_unit_test(a_correction_takes_away_what_was_counted),
        cmocka_unit_test(damaged_bytes_are_refused_and_never_write_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
