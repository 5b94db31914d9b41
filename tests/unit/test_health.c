/* Units of proxy/route/{health,health_keys,health_queue,failure}: the life of a breaker and whose
 * fault it is, latencies, provider keys, rate-limit headers of every form, the queue for places,
 * classes of failure, pauses before a retry. */
#include "proxy/route/plan.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define S(text) {"" text, sizeof(text) - 1}
#define SECOND ((int64_t)1000000)

static const struct provider_key keys[] = {{.name = S("env:A"), .weight = 3, .index = 0},
    {.name = S("env:B"), .weight = 1, .index = 1}};
static const struct provider lab = {.name = S("lab"), .id = 3, .keys = keys, .key_count = 2,
    .max_concurrent = 2};
static const struct provider bare = {.name = S("bare"), .id = 4};
static const struct str m1 = S("m1"), m2 = S("m2"), whole = S("");

static struct health_view view(struct health *h, struct str model, int64_t now)
{
    struct health_view v;
    health_view(h, &lab, model, now, &v);
    return v;
}

static void attempt(struct health *h, struct str model, unsigned failure, int64_t now)
{
    health_began(h, &lab, model, now);
    health_ended(h, &lab, model, failure, failure ? 0 : 200000, 900000, now);
}

struct heard {
    int opened, closed, dead, rests;
    char text[200];
};

static void hear(void *ctx, enum health_change change, const struct provider *p, struct str model,
    const char *text)
{
    struct heard *x = ctx;
    (void)p;
    (void)model;
    *(change == HEALTH_OPENED ? &x->opened : change == HEALTH_CLOSED ? &x->closed
            : change == HEALTH_KEY_DEAD ? &x->dead : &x->rests) += 1;
    str_copy(x->text, sizeof x->text, str_c(text));
}

static void a_breaker_opens_probes_and_closes(void **state)
{
    (void)state;
    struct health *h = health_new();
    struct heard heard = {0};
    int64_t now = 1000 * SECOND;
    health_on_change(h, hear, &heard);
    for (int i = 0; i < 4; i++)
        attempt(h, m1, FAIL_5XX, now);
    assert_int_equal(view(h, m1, now).breaker, BREAKER_CLOSED);
    attempt(h, m1, FAIL_5XX, now);
    struct health_view v = view(h, m1, now);
    assert_int_equal(v.breaker, BREAKER_OPEN);
    assert_int_equal(v.open_for_us, 10 * SECOND);
    assert_string_equal(v.last_error, "server error");
    assert_int_equal(heard.opened, 1);
    assert_int_equal(view(h, m2, now).breaker, BREAKER_CLOSED); /* another model is not to blame */
    assert_int_equal(view(h, whole, now).breaker, BREAKER_CLOSED);
    int64_t pause = 10 * SECOND; /* each failed probe doubles it, up to five minutes */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(view(h, m1, now + pause - 1).breaker, BREAKER_OPEN);
        now += pause;
        v = view(h, m1, now);
        assert_int_equal(v.breaker, BREAKER_HALF_OPEN);
        assert_false(v.probing);
        health_began(h, &lab, m1, now);
        assert_true(view(h, m1, now).probing);
        health_ended(h, &lab, m1, FAIL_TIMEOUT, 0, 0, now);
        pause = MIN(pause * 2, 300 * SECOND);
        assert_int_equal(view(h, m1, now).open_for_us, pause);
    }
    now += pause;
    attempt(h, m1, 0, now);
    assert_int_equal(view(h, m1, now).breaker, BREAKER_CLOSED);
    assert_int_equal(heard.closed, 1);
    assert_int_equal(heard.opened, 1);
    for (int i = 0; i < 5; i++)
        attempt(h, m1, FAIL_NETWORK, now);
    assert_int_equal(view(h, m1, now).open_for_us, 10 * SECOND); /* from the beginning again */
    assert_int_equal(view(h, whole, now).breaker, BREAKER_OPEN); /* nobody can be reached there */
    assert_int_equal(view(h, m2, now).breaker, BREAKER_OPEN);
    health_free(h);
}

static void what_was_done_by_hand_is_over_when_it_is_cleared(void **state)
{
    (void)state;
    struct health *h = health_new();
    health_trip(h, &lab, 0, 1000);
    assert_true(view(h, whole, 1000).by_hand);
    health_clear(h, &lab);
    for (int i = 0; i < 5; i++)
        attempt(h, m1, FAIL_NETWORK, 2000);
    assert_true(view(h, whole, 2000).breaker == BREAKER_OPEN && !view(h, whole, 2000).by_hand);
    health_free(h);
}

static void a_key_that_stays_limited_rests_longer_each_time(void **state)
{
    (void)state;
    struct health *h = health_new();
    static const int64_t rests[] = {5, 10, 20};
    attempt(h, m1, 0, 1000000);
    for (size_t i = 0; i < ARRAY_LEN(rests); i++) {
        for (unsigned key = 0; key < 2; key++)
            health_key_failed(h, &lab, m1, key, 429, -1, 1000000);
        assert_int_equal(view(h, m1, 1000000).key_rest_us, rests[i] * SECOND);
    }
    health_free(h);
}

/* How soon a failure came says nothing of how soon an answer would. */
static void failures_leave_the_times_alone(void **state)
{
    (void)state;
    struct health *h = health_new();
    health_began(h, &lab, m1, 1000000);
    health_ended(h, &lab, m1, 0, 300000, 900000, 1000000);
    for (int i = 0; i < 3; i++) {
        health_began(h, &lab, m1, 1000000);
        health_ended(h, &lab, m1, FAIL_5XX, 9000000, 9000000, 1000000);
    }
    assert_in_range(view(h, m1, 1000000).ewma_ttft_us, 299999, 300001);
    assert_in_range(view(h, m1, 1000000).ewma_total_us, 899999, 900001);
    assert_true(view(h, m1, 1000000).ttft_p95_hour_us == 0); /* the last minute is not its own measure */
    health_free(h);
}

static void half_of_ten_within_thirty_seconds_opens_too(void **state)
{
    (void)state;
    struct health *h = health_new();
    int64_t now = 1000 * SECOND;
    for (int i = 0; i < 9; i++, now += SECOND)
        attempt(h, m1, i % 2 ? FAIL_5XX : 0, now);
    assert_int_equal(view(h, m1, now).breaker, BREAKER_CLOSED);
    attempt(h, m1, FAIL_5XX, now);
    assert_int_equal(view(h, m1, now).breaker, BREAKER_OPEN);
    assert_int_equal(view(h, m1, now).error_ppm, 500000);
    assert_int_equal(view(h, m1, now + 70 * SECOND).error_ppm, 0); /* of the last minute */
    health_free(h);
}

static void nobody_trips_for_anothers_fault(void **state)
{
    (void)state;
    static const unsigned innocent[] = {FAIL_CLIENT, FAIL_CONTEXT, FAIL_CONTENT, FAIL_429, FAIL_KEY,
        FAIL_MODEL};
    for (size_t k = 0; k < ARRAY_LEN(innocent); k++) {
        struct health *h = health_new();
        for (int i = 0; i < 100; i++)
            attempt(h, m1, innocent[k], 1000 * SECOND);
        assert_int_equal(view(h, m1, 1000 * SECOND).breaker, BREAKER_CLOSED);
        assert_int_equal(view(h, whole, 1000 * SECOND).in_flight, 0);
        health_free(h);
    }
}

static void a_cancelled_probe_leaves_room_for_the_next(void **state)
{
    (void)state;
    struct health *h = health_new();
    int64_t now = 1000 * SECOND;
    for (int i = 0; i < 5; i++)
        attempt(h, m1, FAIL_5XX, now);
    now += 10 * SECOND;
    attempt(h, m1, FAIL_CLIENT, now); /* the client left: nothing was learnt */
    struct health_view v = view(h, m1, now);
    assert_int_equal(v.breaker, BREAKER_HALF_OPEN);
    assert_false(v.probing);
    health_began(h, &lab, m1, now); /* a probe that never ends does not hold the door for ever */
    assert_true(view(h, m1, now).probing);
    assert_false(view(h, m1, now + 16 * SECOND).probing);
    health_free(h);
}

static void a_probe_has_succeeded_with_its_first_token(void **state)
{
    (void)state;
    struct health *h = health_new();
    struct heard heard = {0};
    int64_t now = 1000 * SECOND;
    health_on_change(h, hear, &heard);
    health_answers(h, &lab, m1, now); /* nothing was wrong: nothing changes */
    for (int i = 0; i < 5; i++)
        attempt(h, m1, FAIL_5XX, now);
    health_answers(h, &lab, m1, now); /* a stream from before is no probe */
    assert_int_equal(view(h, m1, now).breaker, BREAKER_OPEN);
    health_began(h, &lab, m1, now + 10 * SECOND);
    health_answers(h, &lab, m1, now + 10 * SECOND);
    assert_int_equal(view(h, m1, now + 10 * SECOND).breaker, BREAKER_CLOSED);
    assert_int_equal(heard.closed, 1);
    health_ended(h, &lab, m1, 0, 1, 1, now + 40 * SECOND);
    assert_int_equal(heard.closed, 1);
    health_free(h);
}

static void an_early_probe_closes_or_changes_nothing(void **state)
{
    (void)state;
    struct health *h = health_new();
    int64_t now = 1000 * SECOND;
    for (int i = 0; i < 5; i++)
        attempt(h, m1, FAIL_5XX, now);
    attempt(h, m1, FAIL_5XX, now + SECOND); /* failed: the countdown goes on as it was */
    struct health_view v = view(h, m1, now + SECOND);
    assert_int_equal(v.open_for_us, 9 * SECOND);
    assert_false(v.probing);
    health_began(h, &lab, m1, now + 2 * SECOND);
    assert_true(view(h, m1, now + 2 * SECOND).probing);
    health_ended(h, &lab, m1, 0, 1, 1, now + 2 * SECOND);
    assert_int_equal(view(h, m1, now + 2 * SECOND).breaker, BREAKER_CLOSED);
    health_free(h);
}

static void people_trip_and_clear(void **state)
{
    (void)state;
    struct health *h = health_new();
    int64_t now = 1000 * SECOND;
    health_trip(h, &lab, 0, now);
    struct health_view v = view(h, m1, now + 86400 * SECOND);
    assert_int_equal(v.breaker, BREAKER_OPEN);
    assert_true(v.by_hand);
    assert_int_equal(v.open_for_us, INT64_MAX);
    attempt(h, m1, 0, now); /* planned before it was shut: opens nothing */
    health_answers(h, &lab, m1, now);
    assert_int_equal(view(h, m1, now).breaker, BREAKER_OPEN);
    health_clear(h, &lab);
    assert_int_equal(view(h, m1, now).breaker, BREAKER_CLOSED);
    health_trip(h, &lab, 60 * SECOND, now);
    assert_int_equal(view(h, m1, now).open_for_us, 60 * SECOND);
    assert_int_equal(view(h, m1, now + 60 * SECOND).breaker, BREAKER_HALF_OPEN);
    attempt(h, m1, 0, now + 60 * SECOND);
    assert_int_equal(view(h, m1, now + 60 * SECOND).breaker, BREAKER_CLOSED);
    assert_false(view(h, m1, now + 60 * SECOND).by_hand);
    health_free(h);
}

static void latency_peaks_at_once_and_wears_down(void **state)
{
    (void)state;
    struct health *h = health_new();
    int64_t now = 1000 * SECOND;
    for (int i = 0; i < 20; i++)
        health_ended(h, &lab, m1, 0, 100000, 1000000, now);
    assert_int_equal(view(h, m1, now).ewma_ttft_us, 0); /* a model that never began is not kept */
    health_began(h, &lab, m1, now);
    health_ended(h, &lab, m1, 0, 100000, 1000000, now);
    assert_int_equal(view(h, m1, now).ewma_ttft_us, 100000);
    health_ended(h, &lab, m1, 0, 2000000, 3000000, now);
    assert_int_equal(view(h, m1, now).ewma_ttft_us, 2000000);
    now += 10 * SECOND;
    health_ended(h, &lab, m1, 0, 100000, 1000000, now);
    assert_in_range(view(h, m1, now).ewma_ttft_us, 700000, 900000);
    now += 60 * SECOND;
    health_ended(h, &lab, m1, 0, 100000, 1000000, now);
    assert_in_range(view(h, m1, now).ewma_ttft_us, 100000, 110000);
    for (int i = 0; i < 100; i++)
        health_ended(h, &lab, m1, 0, 400000, 1000000, now);
    assert_in_range(view(h, m1, now).ttft_p95_us, 320000, 480000);
    health_free(h);
}

static void many_models_are_bounded_and_in_flight_is_exact(void **state)
{
    (void)state;
    struct health *h = health_new();
    char name[32];
    health_began(h, &lab, m1, SECOND);
    for (int i = 0; i < 5000; i++) { /* clients may name anything */
        snprintf(name, sizeof name, "model-%d", i);
        health_began(h, &lab, str_c(name), SECOND + i);
        health_ended(h, &lab, str_c(name), 0, 1, 1, SECOND + i);
    }
    assert_int_equal(view(h, m1, 2 * SECOND).in_flight, 1); /* the busy one was kept */
    assert_int_equal(view(h, whole, 2 * SECOND).in_flight, 1);
    health_ended(h, &lab, m1, FAIL_CLIENT, 0, 0, 2 * SECOND);
    assert_int_equal(view(h, whole, 2 * SECOND).in_flight, 0);
    static const struct provider unknown = {.name = S("x"), .id = 100000};
    struct health_view v;
    health_began(h, &unknown, m1, SECOND); /* past the table: works, unmeasured */
    health_view(h, &unknown, m1, SECOND, &v);
    assert_int_equal(v.in_flight, 0);
    health_free(h);
}

static void keys_rotate_by_weight_and_dead_ones_are_set_aside(void **state)
{
    (void)state;
    struct health *h = health_new();
    struct heard heard = {0};
    int64_t now = 1000 * SECOND;
    int n[2] = {0};
    health_on_change(h, hear, &heard);
    for (uint64_t i = 0; i < 100000; i++)
        n[health_pick_key(h, &lab, m1, i * 0x9e3779b97f4a7c15u >> 7, now)]++;
    assert_in_range(n[0], 74000, 76000);
    health_key_failed(h, &lab, m1, 0, 401, -1, now);
    assert_int_equal(heard.dead, 1);
    assert_string_equal(heard.text, "key env:A was answered 401");
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(health_pick_key(h, &lab, m1, i, now), 1);
        assert_int_equal(health_pick_key(h, &lab, m2, i, now), 1); /* dead for every model */
    }
    assert_int_equal(view(h, m1, now).keys_dead, 1);
    health_key_failed(h, &lab, m1, 1, 429, 30 * SECOND, now);
    struct health_view v = view(h, m1, now);
    assert_false(v.keys_usable);
    assert_int_equal(v.keys_resting, 1);
    assert_int_equal(v.key_rest_us, 30 * SECOND);
    assert_true(view(h, m2, now).keys_usable); /* a limit is one model's */
    assert_int_equal(health_pick_key(h, &lab, m1, 7, now), 1); /* none is well: the soonest back */
    assert_int_equal(health_pick_key(h, &lab, m1, 7, now + 31 * SECOND), 1);
    assert_true(view(h, m1, now + 31 * SECOND).keys_usable);
    health_headers(h, &lab, 0, 200, NULL, 0, now, 0); /* it works again */
    assert_int_equal(view(h, m1, now).keys_dead, 0);
    health_key_failed(h, &lab, m1, 0, 402, -1, now);
    health_clear(h, &lab);
    assert_int_equal(view(h, m1, now).keys_dead, 0);
    assert_int_equal(health_pick_key(h, &bare, m1, 7, now), -1);
    health_key_failed(h, &lab, m1, 99, 401, -1, now); /* out of range: nothing */
    health_free(h);
}

static void a_key_that_says_it_is_used_up_is_passed_over(void **state)
{
    (void)state;
    struct health *h = health_new();
    struct http_header used_up[] = {{STR("X-RateLimit-Remaining-Requests"), STR("0")},
        {STR("x-ratelimit-limit-requests"), STR("60")},
        {STR("x-ratelimit-reset-requests"), STR("12s")}};
    health_headers(h, &lab, 0, 200, used_up, 3, SECOND, 0);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(health_pick_key(h, &lab, m1, i, SECOND), 1);
    assert_int_equal(view(h, m1, SECOND).requests_left, 0);
    assert_int_equal(
        view(h, m1, SECOND + 13 * SECOND).requests_left, 60); /* after the reset: whole */
    health_free(h);
}

static void rate_limit_headers_of_every_provider_are_read(void **state)
{
    (void)state;
    static const int64_t wall = 1795442529000; /* 2026-11-23T14:02:09Z */
    static const struct {
        const char *limit_name, *left_name, *reset_name, *limit, *left, *reset;
        bool tokens;
        int64_t back_us; /* when the whole is there again */
    } cases[] = {
        {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests", "100", "40", "6m0s", false, 360 * SECOND},
        {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests", "100", "40", "6ms", false, 6000},
        {"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens",
            "100", "40", "1.2s", true, 1200000},
        {"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens",
            "100", "40", "1h2m3.5s", true, 3723500000},
        {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests", "100", "40", "17", false, 17 * SECOND},
        {"anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset", "100", "40", "2026-11-23T14:03:09Z", false,
            60 * SECOND},
        {"anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset", "100", "40", "2026-11-23T15:02:19+01:00", true,
            10 * SECOND},
        {"anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset", "100", "40", "2026-11-23T14:02:09.5Z", true,
            0},
        {"x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute", "x", "100", "40", "",
            false, 60 * SECOND},
        {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "100", "40",
            "1795442539", false, 10 * SECOND},
        {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "100", "40",
            "1795442539000", false, 10 * SECOND},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct health *h = health_new();
        struct http_header headers[] = {{str_c(cases[i].limit_name), str_c(cases[i].limit)},
            {str_c(cases[i].left_name), str_c(cases[i].left)},
            {str_c(cases[i].reset_name), str_c(cases[i].reset)}};
        int64_t now = 5 * SECOND;
        health_headers(h, &lab, 0, 200, headers, 3, now, wall);
        for (int after = 0; after < 2; after++) {
            int64_t at = now + cases[i].back_us - 1 + after;
            struct health_view v = view(h, m1, at);
            int64_t left = cases[i].tokens ? v.tokens_left : v.requests_left;
            int64_t limit = cases[i].tokens ? v.tokens_limit : v.requests_limit;
            if (limit != 100 || left != (after ? 100 : 40))
                fail_msg("%s %s: %lld of %lld", cases[i].reset_name, cases[i].reset,
                    (long long)left, (long long)limit);
        }
        health_free(h);
    }
    struct health *h = health_new(); /* nonsense changes nothing */
    struct http_header bad[] = {{STR("x-ratelimit-remaining-requests"), STR("-5")},
        {STR("x-ratelimit-remaining-tokens"), STR("many")},
        {STR("x-ratelimit-reset-tokens"), STR("99999999999999999999h")}};
    health_headers(h, &lab, 0, 200, bad, 3, SECOND, wall);
    assert_int_equal(view(h, m1, SECOND).requests_left, -1);
    assert_int_equal(view(h, m1, SECOND).tokens_left, -1);
    health_free(h);
}

static void retry_after_is_read_in_every_form(void **state)
{
    (void)state;
    static const int64_t wall = 1795442529000;
    static const struct { const char *name, *value; int64_t us;
    } cases[] = {
        {"Retry-After", "7", 7 * SECOND},
        {"retry-after", "1.5", 1500000},
        {"retry-after-ms", "250", 250000},
        {"retry-after", "Mon, 23 Nov 2026 14:02:39 GMT", 30 * SECOND},
        {"retry-after", "Mon, 23 Nov 2026 13:02:39 GMT", 0},
        {"retry-after", "86400", 3600 * SECOND},
        {"retry-after", "soon", -1},
        {"retry-after", "", -1},
        {"retry-after", "-3", -1},
        {"retry-after-ms", "x", -1},
        {"x-other", "7", -1},
        {"retry-after", "99999999999999999999", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_header h = {str_c(cases[i].name), str_c(cases[i].value)};
        int64_t us = health_retry_after_us(&h, 1, wall);
        if (us != cases[i].us)
            fail_msg("%s: %s gives %lld", cases[i].name, cases[i].value, (long long)us);
    }
    struct http_header both[] = {
        {STR("retry-after"), STR("2")}, {STR("retry-after-ms"), STR("1500")}};
    assert_int_equal(health_retry_after_us(both, 2, wall), 1500000);
}

static void pauses_grow_with_full_jitter_and_keep_retry_after(void **state)
{
    (void)state;
    int64_t most[8] = {0};
    for (uint64_t i = 0; i < 20000; i++)
        for (unsigned attempt_no = 0; attempt_no < 8; attempt_no++) {
            uint64_t random = (i + 1) * 0x9e3779b97f4a7c15u >> 3;
            int64_t us = retry_delay_us(attempt_no, -1, random);
            assert_in_range(us, 0, 8 * SECOND);
            most[attempt_no] = MAX(most[attempt_no], us);
            assert_true(retry_delay_us(attempt_no, 3 * SECOND, random) >= 3 * SECOND);
        }
    static const int64_t ceilings[] = {500000, 1000000, 2000000, 4000000, 8000000, 8000000, 8000000,
        8000000};
    for (int i = 0; i < 8; i++)
        assert_in_range(most[i], ceilings[i] * 9 / 10, ceilings[i]);
}

static void each_failure_has_its_class(void **state)
{
    (void)state;
    static const struct { int status; const char *body; unsigned failure;
    } cases[] = {
        {200, "", 0},
        {0, "", FAIL_NETWORK},
        {400, "{\"error\":{\"code\":\"context_length_exceeded\"}}", FAIL_CONTEXT},
        {400,
            "{\"type\":\"error\",\"error\":{\"message\":\"prompt is too long: 210000 tokens > "
            "200000 maximum\"}}",
            FAIL_CONTEXT},
        {400,
            "{\"error\":{\"code\":400,\"message\":\"The input token count (2000000) exceeds the "
            "maximum\"}}",
            FAIL_CONTEXT},
        {400, "{\"error\":{\"code\":\"content_filter\",\"innererror\":{}}}", FAIL_CONTENT},
        {400,
            "{\"error\":{\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"reason\":\"API_KEY_"
            "INVALID\"}]}}",
            FAIL_KEY},
        {400, "{\"error\":{\"message\":\"Your credit balance is too low\"}}", FAIL_KEY},
        {400, "{\"error\":{\"code\":\"model_not_found\"}}", FAIL_MODEL},
        {400, "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"unsupported_parameter\"}}",
            FAIL_CLIENT},
        {401, "", FAIL_KEY},
        {402, "{\"error\":\"Insufficient Balance\"}", FAIL_KEY},
        {403, "", FAIL_KEY},
        {403, "content_policy_violation", FAIL_CONTENT},
        {404, "", FAIL_MODEL},
        {408, "", FAIL_TIMEOUT},
        {409, "", FAIL_5XX},
        {413, "", FAIL_CONTEXT},
        {422, "", FAIL_CLIENT},
        {429, "{\"error\":{\"code\":\"rate_limit_exceeded\"}}", FAIL_429},
        {429, "{\"error\":{\"code\":\"insufficient_quota\"}}", FAIL_KEY},
        {429, "{\"error\":{\"message\":\"too many tokens per minute\"}}", FAIL_429},
        {500, "", FAIL_5XX},
        {501, "", FAIL_MODEL},
        {502, "", FAIL_5XX},
        {503, "", FAIL_5XX},
        {504, "", FAIL_TIMEOUT},
        {529, "", FAIL_5XX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned f = failure_classify(cases[i].status, str_c(cases[i].body));
        if (f != cases[i].failure)
            fail_msg("%d %s: %u", cases[i].status, cases[i].body, f);
        assert_int_equal(strlen(failure_name((enum failure_class)f)) > 0, f != 0);
    }
    static const struct { const char *data; unsigned failure; } events[] = {
        {"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}", FAIL_5XX},
        {"{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}", FAIL_429},
        {"{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"x\"}}", FAIL_CLIENT},
        {"{\"error\":{\"code\":504,\"status\":\"DEADLINE_EXCEEDED\"}}", FAIL_TIMEOUT},
        {"{\"error\":\"?\"}", FAIL_5XX},
    };
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        assert_int_equal(failure_classify_event(str_c(events[i].data)), events[i].failure);
    assert_true(failure_worth_repeating(FAIL_TIMEOUT));
    assert_false(failure_worth_repeating(FAIL_KEY));
}

/* --- places --- */

struct guest {
    struct health_waiter w;
    int ready;
};

static void seat(void *ctx)
{
    ((struct guest *)ctx)->ready++;
}

static bool come(struct health *h, struct guest *g)
{
    *g = (struct guest){.w = {.ready = seat, .ctx = g}};
    return health_slot_take(h, &lab, &g->w);
}

static void places_are_given_in_the_order_of_coming(void **state)
{
    (void)state;
    struct health *h = health_new();
    struct guest g[6];
    assert_true(come(h, &g[0]) && come(h, &g[1]));
    for (int i = 2; i < 6; i++)
        assert_false(come(h, &g[i]));
    assert_int_equal(view(h, whole, 0).queued, 4);
    assert_true(health_slot_cancel(h, &lab, &g[3].w));
    assert_int_equal(view(h, whole, 0).queued, 3);
    health_slot_release(h, &lab, 0);
    assert_int_equal(g[2].ready, 1);
    assert_false(health_slot_cancel(h, &lab, &g[2].w)); /* too late: the place is its own */
    health_slot_release(h, &lab, 0);
    assert_int_equal(g[4].ready, 1);
    assert_int_equal(g[3].ready + g[5].ready, 0);
    health_slot_release(h, &lab, 0);
    assert_int_equal(g[5].ready, 1);
    assert_int_equal(view(h, whole, 0).queued, 0);
    health_slot_release(h, &lab, 0);
    health_slot_release(h, &lab, 0);
    assert_true(come(h, &g[0]) && come(h, &g[1]));
    assert_false(come(h, &g[2]));
    assert_true(health_slot_cancel(h, &lab, &g[2].w));
    health_free(h);
}

struct crowd {
    struct health *h;
    _Atomic int inside, most, served;
};

struct visitor {
    struct health_waiter w;
    _Atomic int ready;
};

static void visitor_ready(void *ctx)
{
    ((struct visitor *)ctx)->ready = 1;
}

static void *visit_often(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 3000; i++) {
        struct visitor v = {.w = {.ready = visitor_ready, .ctx = &v}};
        if (!health_slot_take(c->h, &lab, &v.w)) {
            if (i % 5 == 0 && health_slot_cancel(c->h, &lab, &v.w))
                continue;
            while (!v.ready)
                sched_yield();
        }
        int inside = ++c->inside, most = c->most;
        while (inside > most && !atomic_compare_exchange_weak(&c->most, &most, inside))
            ;
        c->served++;
        c->inside--;
        health_slot_release(c->h, &lab, 0);
    }
    return NULL;
}

static void no_place_is_lost_or_given_twice_among_threads(void **state)
{
    (void)state;
    struct crowd c = {.h = health_new()};
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit_often, &c), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_true(c.most <= 2);
    assert_int_equal(c.inside, 0);
    assert_true(c.served > 8 * 3000 * 3 / 4);
    struct guest g[3];
    assert_true(come(c.h, &g[0]) && come(c.h, &g[1])); /* both places are there */
    assert_false(come(c.h, &g[2]));
    assert_true(health_slot_cancel(c.h, &lab, &g[2].w));
    health_free(c.h);
}

static void small_memories_work(void **state)
{
    (void)state;
    struct health *h = health_new();
    int64_t now = 1000 * SECOND;
    assert_false(health_lacks(h, &lab, HEALTH_LACKS_STREAM_OPTIONS));
    health_note_lack(h, &lab, HEALTH_LACKS_STREAM_OPTIONS);
    assert_true(health_lacks(h, &lab, HEALTH_LACKS_STREAM_OPTIONS));
    assert_false(health_lacks(h, &lab, HEALTH_LACKS_RESPONSES));
    assert_false(health_lacks(h, &bare, HEALTH_LACKS_STREAM_OPTIONS));
    assert_false(health_is_warm(h, &lab, m1, STR("s1"), now));
    health_warm(h, &lab, m1, STR("s1"), now);
    assert_true(health_is_warm(h, &lab, m1, STR("s1"), now + 240 * SECOND));
    assert_false(health_is_warm(h, &lab, m2, STR("s1"), now));
    assert_false(health_is_warm(h, &lab, m1, STR("s2"), now));
    assert_false(health_is_warm(h, &lab, m1, STR("s1"), now + 600 * SECOND));
    assert_int_equal(health_turn(h, 5, true), 0);
    assert_int_equal(health_turn(h, 5, true), 1);
    assert_int_equal(health_turn(h, 6, true), 0);
    health_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_breaker_opens_probes_and_closes),
        cmocka_unit_test(what_was_done_by_hand_is_over_when_it_is_cleared),
        cmocka_unit_test(failures_leave_the_times_alone),
        cmocka_unit_test(a_key_that_stays_limited_rests_longer_each_time),
        cmocka_unit_test(half_of_ten_within_thirty_seconds_opens_too),
        cmocka_unit_test(nobody_trips_for_anothers_fault),
        cmocka_unit_test(a_cancelled_probe_leaves_room_for_the_next),
        cmocka_unit_test(a_probe_has_succeeded_with_its_first_token),
        cmocka_unit_test(an_early_probe_closes_or_changes_nothing),
        cmocka_unit_test(people_trip_and_clear),
        cmocka_unit_test(latency_peaks_at_once_and_wears_down),
        cmocka_unit_test(many_models_are_bounded_and_in_flight_is_exact),
        cmocka_unit_test(keys_rotate_by_weight_and_dead_ones_are_set_aside),
        cmocka_unit_test(a_key_that_says_it_is_used_up_is_passed_over),
        cmocka_unit_test(rate_limit_headers_of_every_provider_are_read),
        cmocka_unit_test(retry_after_is_read_in_every_form),
        cmocka_unit_test(pauses_grow_with_full_jitter_and_keep_retry_after),
        cmocka_unit_test(each_failure_has_its_class),
        cmocka_unit_test(places_are_given_in_the_order_of_coming),
        cmocka_unit_test(no_place_is_lost_or_given_twice_among_threads),
        cmocka_unit_test(small_memories_work),
    };
    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
