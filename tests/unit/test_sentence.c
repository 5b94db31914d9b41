/* test_sentence.c: the sentence that says where a request's time went, against the target's own hour. */
#include "proxy/admin/record_view.h"
#include "store/base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct record done(int64_t ttft_us, int64_t total_us)
{
    return (struct record){.state = STATE_DONE, .ttft_us = ttft_us, .total_us = total_us};
}

/* 0.1 s to 10 s, evenly. */
static struct histogram *hour(void)
{
    struct histogram *h = calloc(1, sizeof *h);
    for (int i = 1; i <= 100; i++)
        histogram_add(h, i * 100000, 1);
    return h;
}

static void slow_is_said_with_its_rank(void **state)
{
    struct histogram *h = hour();
    struct record r = done(9700000, 10200000);
    char text[200];
    (void)state;
    assert_true(record_sentence(&r, h, h, text, sizeof text));
    assert_non_null(strstr(text, "slow by 4.6"));
    assert_non_null(strstr(text, "provider's first token, p9"));
    r = done(400000, 900000);
    r.client_stall_us = 200000;
    assert_true(record_sentence(&r, h, h, text, sizeof text));
    assert_non_null(strstr(text, "as usual (p4 of 100)"));
    free(h);
}

static void what_no_hour_knows_is_said_plainly(void **state)
{
    struct histogram *h = hour(), few = {0};
    struct record r = done(0, 3000000);
    char text[200];
    (void)state;
    histogram_add(&few, 1000, 5);
    r.queue_us = 2500000;
    assert_true(record_sentence(&r, h, h, text, sizeof text));
    assert_string_equal(text, "most of 3 s: waiting for a place at the provider, 2.5 s (83 %)");
    r = done(2000000, 3000000);
    assert_true(record_sentence(&r, &few, NULL, text, sizeof text));
    assert_string_equal(text, "most of 3 s: provider's first token, 2 s (66 %)");
    r.state = STATE_STREAMING;
    assert_false(record_sentence(&r, h, h, text, sizeof text));
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_is_said_with_its_rank),
        cmocka_unit_test(what_no_hour_knows_is_said_plainly),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("sentence", tests, NULL, NULL);
}
