/* Units of proxy/route/policies: each policy's promise, measured over many draws. */
#include "proxy/route/plan.h"
#include "proxy/route/plan_state.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define S(text) {"" text, sizeof(text) - 1}

static const struct provider providers[] = {
    {.name = S("a"), .id = 0}, {.name = S("b"), .id = 1}, {.name = S("c"), .id = 2},
    {.name = S("d"), .id = 3}, {.name = S("e"), .id = 4},
};

struct bench {
    struct target targets[5];
    struct route route[1];
    struct config config;
    struct snapshot snapshot;
    struct request_facts facts;
    struct plan_request r;
    struct health *h;
    struct arena arena;
    struct plan plan;
};

static void bench_init(struct bench *b, enum policy policy, size_t n, const unsigned *weights)
{
    *b = (struct bench){0};
    for (size_t i = 0; i < n; i++)
        b->targets[i] = (struct target){&providers[i], STR("m"), weights ? weights[i] : 1};
    b->route[0] = (struct route){.name = STR("r"), .id = 1, .policy = policy, .targets = b->targets,
        .target_count = n};
    b->config = (struct config){.providers = providers, .provider_count = 5, .routes = b->route,
        .route_count = 1};
    b->snapshot.config = &b->config;
    b->facts = (struct request_facts){.prompt_tokens = 1000};
    b->r = (struct plan_request){.snapshot = &b->snapshot, .asked = STR("r"), .facts = &b->facts,
        .wire = WIRE_CHAT, .now_us = 1000000};
    b->h = health_new();
    arena_init(&b->arena, 32768, 1 << 20);
}

static void bench_fini(struct bench *b)
{
    health_free(b->h);
    arena_fini(&b->arena);
}

/* The index of the provider that goes first. */
static unsigned first(struct bench *b, uint64_t random)
{
    arena_reset(&b->arena);
    b->r.random = random;
    assert_int_equal(plan_make(&b->r, b->h, &b->arena, &b->plan, NULL), 0);
    return b->plan.candidates[0].provider->id;
}

static uint64_t draw(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void weights_converge_within_two_percent(void **state)
{
    (void)state;
    static const unsigned weights[] = {60, 25, 10, 5, 0};
    struct bench b;
    int n[5] = {0}, second[5] = {0};
    bench_init(&b, POLICY_WEIGHTED, 5, weights);
    for (uint64_t i = 0; i < 100000; i++) {
        n[first(&b, draw(i))]++;
        second[b.plan.candidates[1].provider->id]++;
        assert_int_equal(b.plan.count, 5);
        assert_int_equal(b.plan.candidates[4].provider->id, 4); /* weight 0: a fallback only */
    }
    for (int i = 0; i < 4; i++)
        assert_true(abs(n[i] - (int)weights[i] * 1000) < 2000);
    assert_int_equal(n[4], 0);
    assert_true(second[1] > second[2] && second[2] > second[3]); /* the next ones by weight too */
    bench_fini(&b);
}

static void round_robin_is_exact_and_well_mixed(void **state)
{
    (void)state;
    static const unsigned weights[] = {5, 3, 2, 0};
    struct bench b;
    bench_init(&b, POLICY_ROUND_ROBIN, 4, weights);
    for (int round = 0; round < 50; round++) {
        int n[4] = {0}, run = 0, longest = 0;
        unsigned last = 9;
        for (int i = 0; i < 10; i++) {
            unsigned at = first(&b, 7);
            assert_int_equal(b.plan.candidates[3].provider->id, 3); /* no weight: the last to be asked */
            n[at]++;
            run = at == last ? run + 1 : 1;
            longest = MAX(longest, run);
            last = at;
        }
        assert_true(n[0] == 5 && n[1] == 3 && n[2] == 2 && n[3] == 0);
        assert_true(longest <= 3);
    }
    b.r.explain = true; /* who only asks takes nobody's turn */
    unsigned turn = first(&b, 7);
    for (int i = 0; i < 5; i++)
        assert_int_equal(first(&b, 7), turn);
    static const unsigned none[] = {0, 0};
    bench_fini(&b);
    bench_init(&b, POLICY_ROUND_ROBIN, 2, none);
    assert_int_equal(first(&b, 7), 0);
    bench_fini(&b);
}

static void least_busy_counts_what_is_in_flight_by_weight(void **state)
{
    (void)state;
    static const unsigned weights[] = {1, 1, 4};
    struct bench b;
    int n[3] = {0};
    bench_init(&b, POLICY_LEAST_BUSY, 3, weights);
    for (uint64_t i = 0; i < 600; i++) { /* nothing ends: the flights settle by weight */
        unsigned at = first(&b, draw(i));
        health_began(b.h, &providers[at], STR("m"), 1);
        n[at]++;
    }
    assert_in_range(n[0], 98, 102);
    assert_in_range(n[1], 98, 102);
    assert_in_range(n[2], 396, 404);
    bench_fini(&b);
    bench_init(&b, POLICY_LEAST_BUSY, 2, weights); /* who waits for a place counts as well */
    struct provider narrow[] = {providers[0], providers[1]};
    struct target targets[] = {{&narrow[0], STR("m"), 1}, {&narrow[1], STR("m"), 1}};
    struct health_waiter waiters[2] = {{0}};
    narrow[0].max_concurrent = 1;
    b.route[0].targets = targets;
    assert_true(health_slot_take(b.h, &narrow[0], &waiters[0]));
    assert_false(health_slot_take(b.h, &narrow[0], &waiters[1]));
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(first(&b, draw(i)), 1);
    assert_true(health_slot_cancel(b.h, &narrow[0], &waiters[1]));
    bench_fini(&b);
}

static void measure(struct bench *b, unsigned at, int64_t ttft_us, int64_t total_us)
{
    health_began(b->h, &providers[at], STR("m"), 1000000);
    health_ended(b->h, &providers[at], STR("m"), 0, ttft_us, total_us, 1000000);
}

static void lowest_latency_takes_the_faster_of_two_drawn(void **state)
{
    (void)state;
    struct bench b;
    int n[4] = {0};
    bench_init(&b, POLICY_LOWEST_LATENCY, 4, NULL);
    for (unsigned i = 0; i < 4; i++)
        measure(&b, i, 100000 * (i + 1), 4000000 - 900000 * i);
    for (uint64_t i = 0; i < 60000; i++)
        n[first(&b, draw(i))]++;
    /* of the six pairs the fastest wins three, the next two, then one, the slowest none */
    assert_true(abs(n[0] - 30000) < 1200 && abs(n[1] - 20000) < 1200 && abs(n[2] - 10000) < 1200);
    assert_int_equal(n[3], 0);
    b.route[0].measure_total = true; /* by the whole answer the order is the other way round */
    memset(n, 0, sizeof n);
    for (uint64_t i = 0; i < 6000; i++)
        n[first(&b, draw(i))]++;
    assert_true(n[3] > n[2] && n[2] > n[1] && n[0] == 0);
    bench_fini(&b);
    bench_init(&b, POLICY_LOWEST_LATENCY, 2, NULL);
    measure(&b, 0, 100000, 1000000);
    assert_int_equal(first(&b, 1), 1); /* never measured: gets a chance */
    measure(&b, 1, 90000, 1000000);
    assert_int_equal(first(&b, 1), 1);
    for (int i = 0; i < 3; i++)
        health_began(b.h, &providers[1], STR("m"), 1000000);
    assert_int_equal(first(&b, 1), 0); /* fast, but busy */
    bench_fini(&b);
}

static void lowest_cost_looks_at_this_request_and_its_cache(void **state)
{
    (void)state;
    struct bench b;
    struct price_list *l = price_list_new(NULL);
    static const struct { const char *key; int64_t in, out, cached; } prices[] = {
        {"a/m", 1000000000, 2000000000, 100000000}, /* 1 and 2 USD per million, cached 0.1 */
        {"b/m", 500000000, 9000000000, 50000000},   /* cheap to read, dear to write */
    };
    for (size_t i = 0; i < 2; i++) {
        struct price p = {
            .base[0] = {prices[i].in, prices[i].out, prices[i].cached, -1, -1, -1, -1, -1, -1, -1}};
        for (int t = 1; t < TIER_COUNT; t++)
            p.base[t] = (struct price_rates){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
        str_copy(p.key, sizeof p.key, str_c(prices[i].key));
        assert_int_equal(price_list_put(l, &p, NULL), 0);
    }
    bench_init(&b, POLICY_LOWEST_COST, 3, NULL); /* c has no price: last */
    b.config.prices = l;
    b.facts.max_output = 1000;
    assert_int_equal(first(&b, 1), 0); /* 1k in, 1k out: 0.003 against 0.0095 */
    assert_int_equal(b.plan.candidates[2].provider->id, 2);
    b.facts.prompt_tokens = 100000;
    b.facts.max_output = 100;
    assert_int_equal(first(&b, 1), 1); /* 100k in, little out: 0.1002 against 0.0509 */
    b.r.session = STR("s1");
    health_warm(b.h, &providers[0], STR("m"), STR("s1"), b.r.now_us);
    assert_int_equal(first(&b, 1), 0); /* nine tenths cached there: 0.0192 */
    assert_true(str_find(b.plan.candidates[0].reason, STR("cache is warm")) >= 0);
    b.r.session = STR("");
    b.facts.prompt_tokens = 10000;
    b.facts.max_output = 100;
    assert_int_equal(first(&b, 1), 1); /* as much as may be written counts: 0.0102 against 0.0059 */
    b.facts.max_output = 0;
    assert_int_equal(first(&b, 1), 0); /* unsaid: a usual answer: 0.012 against 0.0142 */
    struct price batch = *price_find(l, STR("b"), STR("m"));
    batch.base[TIER_FLEX] = (struct price_rates){1, 1, 1, -1, -1, -1, -1, -1, -1, -1};
    assert_int_equal(price_list_put(l, &batch, NULL), 0);
    b.facts.service_tier = STR("flex");
    assert_int_equal(first(&b, 1), 1); /* the tier that is asked for */
    bench_fini(&b);
    price_list_free(l);
}

static void usage_prefers_headroom(void **state)
{
    (void)state;
    static const struct provider_key key[] = {{.name = S("k"), .weight = 1}};
    struct provider with_keys[2] = {{.name = S("x"), .id = 10, .keys = key, .key_count = 1},
        {.name = S("y"), .id = 11, .keys = key, .key_count = 1}};
    struct bench b;
    bench_init(&b, POLICY_USAGE, 2, NULL);
    b.targets[0].provider = &with_keys[0];
    b.targets[1].provider = &with_keys[1];
    struct http_header low[] = {{STR("x-ratelimit-limit-tokens"), STR("1000")},
        {STR("x-ratelimit-remaining-tokens"), STR("100")},
        {STR("x-ratelimit-reset-tokens"), STR("9s")}};
    struct http_header high[] = {{STR("x-ratelimit-limit-tokens"), STR("1000")},
        {STR("x-ratelimit-remaining-tokens"), STR("900")},
        {STR("x-ratelimit-reset-tokens"), STR("9s")}};
    health_headers(b.h, &with_keys[0], 0, 200, low, 3, 1000000, 0);
    health_headers(b.h, &with_keys[1], 0, 200, high, 3, 1000000, 0);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(first(&b, draw(i)), 11);
    b.r.now_us += 10000000; /* both are whole again: at random */
    int n = 0;
    for (uint64_t i = 0; i < 1000; i++)
        n += first(&b, draw(i)) == 11;
    assert_in_range(n, 400, 600);
    bench_fini(&b);
}

static void sticky_holds_and_moves_only_whom_it_must(void **state)
{
    (void)state;
    struct bench b;
    unsigned home[3000];
    int n[5] = {0}, moved = 0, to_new = 0;
    char session[32];
    bench_init(&b, POLICY_STICKY, 4, NULL);
    for (int i = 0; i < 3000; i++) {
        snprintf(session, sizeof session, "session-%d", i);
        b.r.session = str_c(session);
        home[i] = first(&b, draw((uint64_t)i));
        n[home[i]]++;
        assert_int_equal(first(&b, draw((uint64_t)i + 77)), home[i]); /* whatever the dice say */
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(n[i], 600, 900);
    b.targets[4] = (struct target){&providers[4], STR("m"), 1}; /* a target comes … */
    b.route[0].target_count = 5;
    for (int i = 0; i < 3000; i++) {
        snprintf(session, sizeof session, "session-%d", i);
        b.r.session = str_c(session);
        unsigned at = first(&b, 1);
        moved += at != home[i];
        to_new += at == 4;
    }
    assert_int_equal(moved, to_new); /* nobody moves but to the new one */
    assert_in_range(to_new, 450, 750);
    struct drained drained[] = {{.name = S("b")}}; /* … and one goes: only its sessions move */
    b.route[0].target_count = 4;
    b.snapshot.drained = drained;
    b.snapshot.drained_count = 1;
    for (int i = 0; i < 3000; i++) {
        snprintf(session, sizeof session, "session-%d", i);
        b.r.session = str_c(session);
        unsigned at = first(&b, 1);
        assert_true(home[i] == 1 ? at != 1 : at == home[i]);
    }
    bench_fini(&b);
}

/* Two models of one provider are two targets. */
static void sticky_spreads_over_models_too(void **state)
{
    (void)state;
    struct bench b;
    char session[40];
    int second = 0;
    bench_init(&b, POLICY_STICKY, 2, NULL);
    b.targets[1] = (struct target){&providers[0], STR("other"), 1};
    for (int i = 0; i < 400; i++) {
        snprintf(session, sizeof session, "session-%d", i);
        b.r.session = str_c(session);
        (void)first(&b, 1);
        second += str_eq(b.plan.candidates[0].model, STR("other"));
    }
    assert_in_range(second, 150, 250);
    bench_fini(&b);
}

static void sticky_holds_on_to_what_the_route_wants(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, POLICY_STICKY, 5, NULL);
    b.route[0].sticky = STR("user");
    b.facts.user = STR("u1");
    b.r.session = STR("s1");
    unsigned by_user = first(&b, 1);
    b.r.session = STR("s2");
    assert_int_equal(first(&b, 1), by_user);
    assert_true(str_eq(b.plan.candidates[0].reason, STR("held by user")));
    b.route[0].sticky = STR("prefix");
    b.facts.prefix_hash = 1234567;
    assert_int_equal((first(&b, 1), b.plan.candidates[0].reason.n), strlen("held by prefix"));
    bench_fini(&b);
    bench_init(&b, POLICY_STICKY, 5, NULL);
    int n[5] = {0};
    for (uint64_t i = 0; i < 5000; i++) /* nothing to hold on to: at random */
        n[first(&b, draw(i))]++;
    for (int i = 0; i < 5; i++)
        assert_in_range(n[i], 850, 1150);
    bench_fini(&b);
}

static void priority_keeps_the_given_order_and_fallbacks_follow(void **state)
{
    (void)state;
    struct bench b;
    static const struct target fallback[] = {
        {&providers[4], S("m"), 1}, {&providers[0], S("m"), 1}};
    bench_init(&b, POLICY_PRIORITY, 3, NULL);
    b.route[0].fallback = fallback;
    b.route[0].fallback_count = 2;
    first(&b, 9);
    static const unsigned expected[] = {0, 1, 2, 4}; /* the first is not there twice */
    assert_int_equal(b.plan.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(b.plan.candidates[i].provider->id, expected[i]);
    assert_true(str_eq(b.plan.candidates[3].reason, STR("fallback 1")));
    assert_string_equal(policy_name(POLICY_LEAST_BUSY), "least-busy");
    bench_fini(&b);
}

/* Whatever the policy, the same seed makes the same plan, so that it can be explained again. */
static void the_same_seed_makes_the_same_plan(void **state)
{
    (void)state;
    static const unsigned weights[] = {3, 1, 2, 1, 1};
    for (int p = 0; p < POLICY_COUNT; p++) {
        struct bench b;
        if (p == POLICY_ROUND_ROBIN)
            continue; /* its turn goes on */
        bench_init(&b, (enum policy)p, 5, weights);
        for (uint64_t i = 0; i < 200; i++) {
            unsigned at = first(&b, draw(i));
            assert_int_equal(first(&b, draw(i)), at);
        }
        bench_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_converge_within_two_percent),
        cmocka_unit_test(round_robin_is_exact_and_well_mixed),
        cmocka_unit_test(least_busy_counts_what_is_in_flight_by_weight),
        cmocka_unit_test(lowest_latency_takes_the_faster_of_two_drawn),
        cmocka_unit_test(lowest_cost_looks_at_this_request_and_its_cache),
        cmocka_unit_test(usage_prefers_headroom),
        cmocka_unit_test(sticky_holds_and_moves_only_whom_it_must),
        cmocka_unit_test(sticky_spreads_over_models_too),
        cmocka_unit_test(sticky_holds_on_to_what_the_route_wants),
        cmocka_unit_test(priority_keeps_the_given_order_and_fallbacks_follow),
        cmocka_unit_test(the_same_seed_makes_the_same_plan),
    };
    return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
