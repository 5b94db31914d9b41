/* Units of proxy/access/{account,window,refusal}: what must hold of money whatever happens, limits
 * per minute, calendar windows, clocks that jump, and how a refusal reads. */
#include "proxy/access/account.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define USD ((int64_t)1000000000)
static const int64_t noon = 1795435200000; /* 2026-11-23 12:00:00 UTC, a Monday */

static uint64_t seed = 88172645463325252u;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static struct account *account_with(struct account_set *s, enum window w, int64_t limit)
{
    struct account *a = account_get(s, ACCOUNT_KEY, STR("alice"));
    struct budget_limit l = {w, limit};
    account_set_limits(s, a, &l, 1, 0, 0, 0);
    return a;
}

static int reserve(struct account_set *s, struct account *a, struct reservation *r, int64_t nano,
    int64_t now, struct refusal *why)
{
    return account_reserve(s, r, &a, 1, nano, 0, now, why);
}

static void a_request_reserves_settles_and_gives_back(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_with(s, WINDOW_DAY, 10 * USD);
    struct reservation r;
    struct account_view v;
    struct refusal why;
    assert_int_equal(reserve(s, a, &r, 4 * USD, noon, &why), 0);
    account_view(s, a, noon, &v);
    assert_int_equal(v.window[WINDOW_DAY].reserved, 4 * USD);
    assert_int_equal(v.tightest_ppm, 400000);
    assert_int_equal(v.tightest, WINDOW_DAY);
    assert_int_equal(v.running, 1);
    assert_int_equal(account_top_up(s, &r, 6 * USD, &why), 0);
    assert_int_equal(account_top_up(s, &r, 1, &why), -ERR_LIMIT);
    assert_int_equal(why.kind, REFUSED_BUDGET);
    account_settle(s, &r, 3 * USD, 0);
    account_settle(s, &r, 3 * USD, 0); /* once */
    account_view(s, a, noon, &v);
    assert_int_equal(v.window[WINDOW_DAY].reserved, 0);
    assert_int_equal(v.window[WINDOW_DAY].spent, 3 * USD);
    assert_int_equal(v.window[WINDOW_DAY].resets_ms, noon + 12 * 3600000);
    assert_int_equal(v.running, 0);
    assert_int_equal(v.rate_nano_per_hour, 18 * USD);
    assert_int_equal(account_top_up(s, &r, 1, &why), -ERR_STATE);
    account_set_free(s);
}

static void all_windows_of_all_accounts_or_none(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *key = account_get(s, ACCOUNT_KEY, STR("a")),
                   *team = account_get(s, ACCOUNT_TEAM, STR("a"));
    struct account *both[] = {key, team};
    struct reservation r;
    struct refusal why;
    struct account_view v;
    assert_ptr_not_equal(key, team); /* the same name of another kind */
    assert_ptr_equal(key, account_get(s, ACCOUNT_KEY, STR("a")));
    account_set_limits(s, key,
        (struct budget_limit[]){{WINDOW_DAY, 10 * USD}, {WINDOW_TOTAL, 9 * USD}}, 2, 0, 0, 0);
    account_set_limits(s, team, (struct budget_limit[]){{WINDOW_MONTH, 5 * USD}}, 1, 0, 0, 0);
    assert_int_equal(account_reserve(s, &r, both, 2, 6 * USD, 0, noon, &why), -ERR_LIMIT);
    assert_int_equal(why.account, ACCOUNT_TEAM);
    assert_int_equal(why.window, WINDOW_MONTH);
    assert_int_equal(why.retry_after_ms, -1); /* more than the whole budget: never */
    assert_false(r.active);
    account_view(s, key, noon, &v);
    assert_int_equal(v.window[WINDOW_DAY].reserved, 0);
    assert_int_equal(v.running, 0);
    assert_int_equal(account_reserve(s, &r, both, 2, 5 * USD, 0, noon, &why), 0);
    account_settle(s, &r, 0, 0);
    account_set_free(s);
}

/* Random interleavings of reserve, top-up, settle, time and changed limits. */
static void any_interleaving_keeps_the_invariants(void **state)
{
    (void)state;
    enum { LIVE = 40, ACCOUNTS = 3 };
    for (int round = 0; round < 60; round++) {
        struct account_set *s = account_set_new(STR("UTC"));
        struct account *a[ACCOUNTS];
        struct reservation live[LIVE] = {0};
        int64_t now = noon, total[ACCOUNTS] = {0};
        static int64_t minute[ACCOUNTS][2048]; /* by window, also of those long over */
        memset(minute, 0, sizeof minute);
        static const char *const names[] = {"a", "b", "c"};
        for (int i = 0; i < ACCOUNTS; i++) {
            a[i] = account_get(s, ACCOUNT_KEY, str_c(names[i]));
            account_set_limits(s, a[i],
                (struct budget_limit[]){{WINDOW_MINUTE, 30}, {WINDOW_TOTAL, 2000}}, 2, 0, 0,
                5 + (int64_t)(next() % 10));
        }
        for (int step = 0; step < 2000; step++) {
            struct reservation *r = &live[next() % LIVE];
            struct refusal why;
            int what = (int)(next() % 4);
            if (what == 0 && !r->active) {
                struct account *pick[2] = {a[next() % ACCOUNTS], NULL};
                size_t n = 1;
                do
                    pick[1] = a[next() % ACCOUNTS];
                while (pick[1] == pick[0]);
                n += next() % 2;
                int rc = account_reserve(s, r, pick, n, (int64_t)(next() % 12), 0, now, &why);
                assert_int_equal(rc == 0, r->active);
                for (size_t i = 0; rc == 0 && i < n; i++) { /* within the limit right after it */
                    struct account_view v;
                    account_view(s, pick[i], now, &v);
                    assert_true(
                        v.window[WINDOW_MINUTE].spent + v.window[WINDOW_MINUTE].reserved <= 30);
                    assert_true(
                        v.window[WINDOW_TOTAL].spent + v.window[WINDOW_TOTAL].reserved <= 2000);
                }
            } else if (what == 1 && r->active) {
                (void)!account_top_up(s, r, (int64_t)(next() % 5), &why);
            } else if (what == 2 && r->active) {
                int64_t cost =
                    (int64_t)(next() % (uint64_t)(r->nano + 1)); /* never above its reserve */
                for (int i = 0; i < ACCOUNTS; i++)
                    total[i] += r->accounts[0] == a[i] || r->accounts[1] == a[i] ? cost : 0;
                for (int i = 0; i < ACCOUNTS * 2; i++)
                    if (r->accounts[i / ACCOUNTS] == a[i % ACCOUNTS]) {
                        uint32_t window = r->epoch[i / ACCOUNTS][WINDOW_MINUTE];
                        assert_in_range(window, 1, 2047);
                        minute[i % ACCOUNTS][window] += cost;
                        assert_true(minute[i % ACCOUNTS][window] <= 30);
                    }
                account_settle(s, r, cost, 0);
            } else if (what == 3) {
                now += (int64_t)(next() % 4000) - (next() % 8 == 0 ? 3000 : 0);
            }
            for (int i = 0; i < ACCOUNTS; i++) {
                struct account_view v;
                account_view(s, a[i], now, &v);
                assert_true(v.running >= 0 && v.window[WINDOW_MINUTE].reserved >= 0);
                assert_true(v.window[WINDOW_MINUTE].spent <= 30);
                assert_int_equal(v.window[WINDOW_TOTAL].spent, total[i]);
                assert_int_equal(v.debt_nano, 0);
            }
        }
        for (int i = 0; i < LIVE; i++)
            account_settle(s, &live[i], 0, 0);
        for (int i = 0; i < ACCOUNTS; i++) { /* nothing leaks */
            struct account_view v;
            account_view(s, a[i], now, &v);
            assert_int_equal(v.running, 0);
            for (int w = 0; w < WINDOW_COUNT; w++)
                assert_int_equal(v.window[w].reserved, 0);
        }
        account_set_free(s);
    }
}

struct race {
    struct account_set *set;
    struct account *account;
    pthread_barrier_t barrier;
    _Atomic int64_t spent;
    _Atomic int passed;
};

static void *race_one(void *arg)
{
    struct race *x = arg;
    struct refusal why;
    pthread_barrier_wait(&x->barrier);
    for (int i = 0; i < 400; i++) {
        struct reservation r;
        if (reserve(x->set, x->account, &r, 1, noon, &why) != 0)
            continue;
        account_settle(x->set, &r, 1, 0);
        x->spent++;
        x->passed++;
    }
    return NULL;
}

static void sixty_four_threads_at_a_barrier_never_overspend(void **state)
{
    (void)state;
    struct race x = {.set = account_set_new(STR("UTC"))};
    pthread_t threads[64];
    x.account = account_with(x.set, WINDOW_TOTAL, 1000);
    pthread_barrier_init(&x.barrier, NULL, 64);
    for (int i = 0; i < 64; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_one, &x), 0);
    for (int i = 0; i < 64; i++)
        pthread_join(threads[i], NULL);
    struct account_view v;
    account_view(x.set, x.account, noon, &v);
    assert_int_equal(x.spent, 1000); /* exactly: not one more, not one less */
    assert_int_equal(v.window[WINDOW_TOTAL].spent, 1000);
    assert_int_equal(v.window[WINDOW_TOTAL].reserved, 0);
    assert_int_equal(v.running, 0);
    pthread_barrier_destroy(&x.barrier);
    account_set_free(x.set);
}

static void what_costs_more_than_its_reserve_is_debt_and_blocks(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_with(s, WINDOW_TOTAL, 10 * USD);
    struct reservation r;
    struct refusal why;
    struct account_view v;
    assert_int_equal(reserve(s, a, &r, 9 * USD, noon, &why), 0);
    account_settle(s, &r, 12 * USD, 0);
    account_view(s, a, noon, &v);
    assert_int_equal(v.window[WINDOW_TOTAL].spent, 12 * USD);
    assert_int_equal(v.debt_nano, 2 * USD);
    assert_int_equal(reserve(s, a, &r, 0, noon, &why), -ERR_LIMIT); /* a free one neither */
    account_set_limits(s, a, (struct budget_limit[]){{WINDOW_TOTAL, 20 * USD}}, 1, 0, 0, 0);
    assert_int_equal(reserve(s, a, &r, 8 * USD, noon, &why), 0); /* raised: what was spent stays */
    account_settle(s, &r, 0, 0);
    account_set_free(s);
}

static void prepaid_credit_is_spent_granted_and_owed(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("bob"));
    struct reservation r, second;
    struct refusal why;
    struct account_view v;
    account_view(s, a, noon, &v);
    assert_int_equal(v.credit_nano, -1);
    account_set_credit(s, a, 5 * USD);
    assert_int_equal(reserve(s, a, &r, 4 * USD, noon, &why), 0);
    assert_int_equal(reserve(s, a, &second, 2 * USD, noon, &why), -ERR_LIMIT);
    assert_int_equal(why.kind, REFUSED_CREDIT);
    assert_int_equal(why.retry_after_ms, 1000); /* the first may give some back */
    account_settle(s, &r, 6 * USD, 0);
    account_view(s, a, noon, &v);
    assert_int_equal(v.credit_nano, 0);
    assert_int_equal(v.debt_nano, USD);
    assert_int_equal(reserve(s, a, &r, 0, noon, &why), -ERR_LIMIT);
    assert_int_equal(why.kind, REFUSED_DEBT);
    account_grant(s, a, 3 * USD);
    account_view(s, a, noon, &v);
    assert_int_equal(v.credit_nano, 2 * USD);
    assert_int_equal(reserve(s, a, &r, 2 * USD, noon, &why), 0);
    account_settle(s, &r, 0, 0);
    account_set_free(s);
}

static void requests_a_minute_slide_and_say_exactly_when(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("ci"));
    struct reservation r;
    struct refusal why;
    int64_t now = noon + 123;
    account_set_limits(s, a, NULL, 0, 3, 0, 0);
    for (int i = 0; i < 3; i++, now += 10000) {
        assert_int_equal(reserve(s, a, &r, 0, now, &why), 0);
        account_settle(s, &r, 0, 0);
    }
    assert_int_equal(reserve(s, a, &r, 0, now, &why), -ERR_LIMIT);
    assert_int_equal(why.kind, REFUSED_RPM);
    assert_int_equal(why.used, 3);
    assert_in_range(why.retry_after_ms, 30000, 31000);
    int64_t at = now + why.retry_after_ms;
    assert_int_equal(reserve(s, a, &r, 0, at - 1, &why), -ERR_LIMIT);
    assert_int_equal(why.retry_after_ms, 1);
    assert_int_equal(reserve(s, a, &r, 0, at, &why), 0);
    account_settle(s, &r, 0, 0);
    account_set_free(s);
}

/* However requests fall, no 60 s hold more than the limit, and retry_after is kept. */
static void no_sixty_seconds_hold_more_than_the_limit(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("ci"));
    struct reservation r;
    struct refusal why;
    static int64_t passed[20000];
    int n = 0;
    int64_t now = noon;
    account_set_limits(s, a, NULL, 0, 50, 0, 0);
    for (int i = 0; i < 20000; i++) {
        now += (int64_t)(next() % 300);
        int rc = reserve(s, a, &r, 0, now, &why);
        if (rc == 0) {
            account_settle(s, &r, 0, 0);
            passed[n++] = now;
        } else {
            assert_in_range(why.retry_after_ms, 1, 61000);
            if (i % 7 == 0)
                now += why.retry_after_ms;
            if (i % 7 == 0) {
                assert_int_equal(reserve(s, a, &r, 0, now, &why), 0);
                account_settle(s, &r, 0, 0);
                passed[n++] = now;
            }
        }
    }
    for (int i = 50; i < n; i++)
        assert_true(passed[i] - passed[i - 50] >= 60000);
    assert_true(n > 1000);
    account_set_free(s);
}

static void tokens_a_minute_are_corrected_by_what_was_used(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("ci"));
    struct reservation r;
    struct refusal why;
    struct account_view v;
    account_set_limits(s, a, NULL, 0, 0, 1000, 0);
    assert_int_equal(account_reserve(s, &r, &a, 1, 0, 1001, noon, &why), -ERR_LIMIT);
    assert_int_equal(why.kind, REFUSED_TPM);
    assert_int_equal(why.retry_after_ms, -1);
    assert_int_equal(account_reserve(s, &r, &a, 1, 0, 800, noon, &why), 0);
    account_settle(s, &r, 0, 300);
    account_view(s, a, noon, &v);
    assert_int_equal(v.tpm_used, 300);
    assert_int_equal(account_reserve(s, &r, &a, 1, 0, 100, noon + 1000, &why), 0);
    account_settle(s, &r, 0, 900); /* more than announced */
    account_view(s, a, noon + 1000, &v);
    assert_int_equal(v.tpm_used, 1200);
    assert_int_equal(account_reserve(s, &r, &a, 1, 0, 1, noon + 1000, &why), -ERR_LIMIT);
    assert_int_equal(
        account_reserve(s, &r, &a, 1, 0, 1, noon + 1000 + why.retry_after_ms, &why), 0);
    account_settle(s, &r, 0, 1);
    account_set_free(s);
}

static void running_requests_are_counted(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("ci"));
    struct reservation r[3];
    struct refusal why;
    account_set_limits(s, a, NULL, 0, 0, 0, 2);
    assert_int_equal(reserve(s, a, &r[0], 0, noon, &why), 0);
    assert_int_equal(reserve(s, a, &r[1], 0, noon, &why), 0);
    assert_int_equal(reserve(s, a, &r[2], 0, noon, &why), -ERR_LIMIT);
    assert_int_equal(why.kind, REFUSED_CONCURRENT);
    account_settle(s, &r[0], 0, 0);
    assert_int_equal(reserve(s, a, &r[2], 0, noon, &why), 0);
    account_settle(s, &r[1], 0, 0);
    account_settle(s, &r[2], 0, 0);
    account_set_free(s);
}

static void a_new_window_is_fresh_and_the_old_one_takes_its_own_costs(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_with(s, WINDOW_MINUTE, 10);
    struct reservation old, r;
    struct refusal why;
    struct account_view v;
    assert_int_equal(reserve(s, a, &old, 10, noon + 59000, &why), 0);
    assert_int_equal(reserve(s, a, &r, 1, noon + 59000, &why), -ERR_LIMIT);
    assert_int_equal(reserve(s, a, &r, 10, noon + 60000, &why), 0);
    account_settle(s, &old, 10, 0); /* belongs to the minute before */
    account_view(s, a, noon + 60000, &v);
    assert_int_equal(v.window[WINDOW_MINUTE].spent, 0);
    assert_int_equal(v.window[WINDOW_MINUTE].reserved, 10);
    assert_int_equal(v.window[WINDOW_TOTAL].spent, 10);
    account_settle(s, &r, 4, 0);
    account_view(s, a, noon + 60000, &v);
    assert_int_equal(v.window[WINDOW_MINUTE].spent, 4);
    account_set_free(s);
}

static int64_t spent_of(struct account_set *s, struct account *a, enum window w, int64_t now)
{
    struct account_view v;
    account_view(s, a, now, &v);
    assert_true(v.window[w].reserved >= 0 && v.rpm_used >= 0 && v.tpm_used >= 0);
    return v.window[w].spent;
}

/* A stream outlives its minute: what it tops up is taken from that minute alone. */
static void a_stream_tops_up_from_the_window_it_was_made_in(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("k"));
    struct budget_limit limits[] = {{.window = WINDOW_MINUTE, .limit_nano = 1000}, {.window = WINDOW_TOTAL, .limit_nano = 5000}};
    struct reservation r, other, next;
    struct refusal why = {0};
    struct account_view v;
    account_set_limits(s, a, limits, 2, 0, 0, 0);
    assert_int_equal(account_reserve(s, &r, &a, 1, 300, 0, 30000, &why), 0);
    assert_int_equal(account_reserve(s, &other, &a, 1, 200, 0, 31000, &why), 0);
    /* three minutes later, with the present minute all but used up by somebody else */
    assert_int_equal(account_reserve(s, &next, &a, 1, 990, 0, 210000, &why), 0);
    assert_int_equal(account_top_up(s, &r, 400, &why), 0); /* 900 of its own minute's 1,000 */
    assert_int_equal(account_top_up(s, &r, 101, &why), -ERR_LIMIT);
    assert_int_equal(why.kind, REFUSED_BUDGET);
    assert_int_equal(why.window, WINDOW_MINUTE);
    assert_int_equal(why.used, 900);
    assert_int_equal(why.retry_after_ms, 1000); /* a new request has a minute of its own */
    account_settle(s, &other, 50, 0); /* what it had reserved in vain comes back, there */
    assert_int_equal(account_top_up(s, &r, 250, &why), 0);
    assert_int_equal(account_top_up(s, &r, 1, &why), -ERR_LIMIT);
    account_view(s, a, 211000, &v);
    assert_int_equal(v.window[WINDOW_MINUTE].reserved, 990);
    assert_int_equal(v.window[WINDOW_TOTAL].reserved, 990 + 950);
    account_settle(s, &r, 900, 0);
    account_settle(s, &next, 10, 0);
    account_view(s, a, 211000, &v);
    assert_int_equal(v.window[WINDOW_MINUTE].spent, 10);
    assert_int_equal(v.window[WINDOW_MINUTE].reserved, 0);
    assert_int_equal(v.window[WINDOW_TOTAL].spent, 960);
    /* one that ends with the set, its minute long over */
    assert_int_equal(account_reserve(s, &r, &a, 1, 300, 0, 300000, &why), 0);
    assert_int_equal(account_reserve(s, &next, &a, 1, 300, 0, 400000, &why), 0);
    account_set_free(s);
}

static void a_new_time_zone_counts_at_once(void **state)
{
    (void)state;
    const int64_t day = 1750075200000, hour = 3600000; /* 2025-06-16 12:00 UTC */
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("k"));
    struct budget_limit limits[] = {{.window = WINDOW_DAY, .limit_nano = 1000}};
    struct reservation r;
    struct refusal why = {0};
    struct account_view v;
    account_set_limits(s, a, limits, 1, 0, 0, 0);
    assert_int_equal(account_reserve(s, &r, &a, 1, 900, 0, day, &why), 0);
    account_view(s, a, day, &v);
    assert_int_equal(v.window[WINDOW_DAY].resets_ms, day + 12 * hour);
    account_set_timezone(s, STR("Europe/Berlin")); /* summer: two hours ahead */
    account_view(s, a, day, &v);
    assert_int_equal(v.window[WINDOW_DAY].resets_ms, day + 10 * hour);
    assert_int_equal(v.window[WINDOW_DAY].reserved, 900);
    account_settle(s, &r, 800, 0);
    assert_int_equal(account_reserve(s, &r, &a, 1, 300, 0, day + hour, &why), -ERR_LIMIT);
    assert_int_equal(why.retry_after_ms, 9 * hour);
    account_set_timezone(s, STR("America/New_York")); /* its day began at 04:00 UTC */
    account_set_timezone(s, STR("America/New_York"));
    assert_int_equal(account_reserve(s, &r, &a, 1, 300, 0, day + 11 * hour, &why), -ERR_LIMIT);
    assert_int_equal(account_reserve(s, &r, &a, 1, 300, 0, day + 16 * hour, &why), 0);
    account_settle(s, &r, 1, 0);
    account_view(s, a, day + 16 * hour, &v);
    assert_int_equal(v.window[WINDOW_DAY].spent, 1);
    account_set_free(s);
}

static void a_clock_that_jumps_resets_a_window_once(void **state)
{
    (void)state;
    static const int64_t hour = 3600000;
    for (int w = WINDOW_MINUTE; w <= WINDOW_MONTH; w++) {
        struct account_set *s = account_set_new(STR("UTC"));
        struct account *a = account_with(s, (enum window)w, 100);
        struct reservation r;
        struct refusal why;
        assert_int_equal(reserve(s, a, &r, 70, noon + 11 * hour + 1800000, &why), 0);
        account_settle(s, &r, 70, 0); /* at 23:30 */
        bool fresh = w <= WINDOW_DAY;
        assert_int_equal(
            spent_of(s, a, (enum window)w, noon + 12 * hour + 1800000), fresh ? 0 : 70);
        assert_int_equal(reserve(s, a, &r, 20, noon + 12 * hour + 1800000, &why), 0);
        account_settle(s, &r, 20, 0);
        /* back at 23:31: no second grant for the same window */
        assert_int_equal(
            spent_of(s, a, (enum window)w, noon + 11 * hour + 1860000), fresh ? 20 : 90);
        /* 00:31 again: all but the minute have begun already */
        int64_t later = spent_of(s, a, (enum window)w, noon + 12 * hour + 1860000);
        assert_int_equal(later, w == WINDOW_MINUTE ? 0 : fresh ? 20 : 90);
        account_set_free(s);
    }
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_with(s, WINDOW_DAY, 100);
    struct reservation r;
    struct refusal why;
    account_set_limits(s, a, (struct budget_limit[]){{WINDOW_DAY, 100}}, 1, 5, 0, 0);
    int64_t year = noon + (int64_t)366 * 86400000;
    assert_int_equal(reserve(s, a, &r, 60, year, &why), 0); /* the clock was a year ahead */
    account_settle(s, &r, 60, 0);
    assert_int_equal(spent_of(s, a, WINDOW_DAY, noon), 60); /* set right: kept, not stuck */
    assert_int_equal(reserve(s, a, &r, 41, noon, &why), -ERR_LIMIT);
    assert_in_range(why.retry_after_ms, 1, 86400000);
    assert_int_equal(spent_of(s, a, WINDOW_DAY, noon + 86400000), 0);
    account_set_free(s);
}

static void a_budget_is_raised_once_for_the_window_that_runs(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_with(s, WINDOW_DAY, 100);
    struct reservation r;
    struct refusal why;
    assert_int_equal(reserve(s, a, &r, 100, noon, &why), 0);
    account_settle(s, &r, 100, 0);
    assert_int_equal(reserve(s, a, &r, 50, noon, &why), -ERR_LIMIT);
    const struct budget_limit raised[] = {{WINDOW_DAY, 100, 50, noon}};
    account_set_limits(s, a, raised, 1, 0, 0, 0);
    assert_int_equal(reserve(s, a, &r, 51, noon, &why), -ERR_LIMIT);
    assert_int_equal(why.limit, 150);
    assert_int_equal(reserve(s, a, &r, 50, noon, &why), 0);
    account_settle(s, &r, 50, 0);
    int64_t tomorrow = noon + 86400000;
    assert_int_equal(reserve(s, a, &r, 101, tomorrow, &why), -ERR_LIMIT);
    assert_int_equal(why.limit, 100);
    assert_int_equal(reserve(s, a, &r, 100, tomorrow, &why), 0);
    account_settle(s, &r, 0, 0);
    account_set_free(s);
}

static void balances_are_rebuilt(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_with(s, WINDOW_WEEK, 100);
    struct reservation r;
    struct refusal why;
    account_restore(s, a, WINDOW_WEEK, noon, 90);
    assert_int_equal(reserve(s, a, &r, 11, noon, &why), -ERR_LIMIT);
    assert_int_equal(reserve(s, a, &r, 10, noon, &why), 0);
    account_settle(s, &r, 10, 0);
    assert_int_equal(reserve(s, a, &r, 10, noon + (int64_t)7 * 86400000, &why), 0);
    account_settle(s, &r, 0, 0);
    account_set_free(s);
}

static void the_longest_refusal_is_told(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("x"));
    struct reservation r;
    struct refusal why;
    account_set_limits(
        s, a, (struct budget_limit[]){{WINDOW_DAY, 5}, {WINDOW_MINUTE, 5}}, 2, 1, 0, 0);
    assert_int_equal(reserve(s, a, &r, 5, noon, &why), 0);
    account_settle(s, &r, 5, 0);
    assert_int_equal(reserve(s, a, &r, 1, noon, &why), -ERR_LIMIT);
    assert_int_equal(why.window, WINDOW_DAY); /* not the minute, after which it would fail again */
    assert_int_equal(why.retry_after_ms, 12 * 3600000);
    account_set_free(s);
}

/* An hour's budget that the hour outlives never runs out; a total does, some day. */
static void what_is_reset_before_does_not_run_out(void **state)
{
    (void)state;
    enum { HOUR = 3600000 };
    const int64_t now = 1000000000;
    struct account_view v = {.credit_nano = -1, .rate_nano_per_hour = 100};
    for (int w = 0; w < WINDOW_COUNT; w++)
        v.window[w].limit = -1;
    assert_int_equal(account_runs_out(&v, now), -1);
    v.window[WINDOW_HOUR].limit = 90;
    v.window[WINDOW_HOUR].resets_ms = now + HOUR / 2;
    assert_int_equal(account_runs_out(&v, now), -1);
    v.window[WINDOW_HOUR].reserved = 30;
    v.window[WINDOW_HOUR].spent = 20;
    assert_int_equal(account_runs_out(&v, now), now + HOUR * 40 / 100);
    v.window[WINDOW_HOUR].spent = 99;
    assert_int_equal(account_runs_out(&v, now), now);
    v.window[WINDOW_HOUR].limit = -1;
    v.window[WINDOW_TOTAL].limit = 2400;
    assert_int_equal(account_runs_out(&v, now), now + (int64_t)24 * HOUR);
    v.credit_nano = 100;
    assert_int_equal(account_runs_out(&v, now), now + HOUR);
    v.rate_nano_per_hour = 0;
    assert_int_equal(account_runs_out(&v, now), -1);
    v.rate_nano_per_hour = 1;
    v.credit_nano = INT64_MAX;
    v.window[WINDOW_TOTAL].limit = INT64_MAX;
    assert_int_equal(account_runs_out(&v, now), -1);
}

static void a_refusal_knows_when_waiting_helps(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_with(s, WINDOW_DAY, 100);
    struct reservation r, more;
    struct refusal why;
    assert_int_equal(reserve(s, a, &r, 1, noon, &why), 0);
    account_settle(s, &r, 1, 0);
    assert_int_equal(reserve(s, a, &r, 100, noon, &why), -ERR_LIMIT); /* all of a new day */
    assert_int_equal(why.retry_after_ms, 12 * 3600000);
    assert_int_equal(reserve(s, a, &r, 101, noon, &why), -ERR_LIMIT); /* more than any day has */
    assert_int_equal(why.retry_after_ms, -1);
    assert_int_equal(reserve(s, a, &r, 60, noon, &why), 0);
    assert_false(why.running);
    assert_int_equal(reserve(s, a, &more, 50, noon, &why), -ERR_LIMIT); /* others give back soon */
    assert_int_equal(why.retry_after_ms, 1000);
    assert_int_equal(account_top_up(s, &r, 40, &why), -ERR_LIMIT); /* what it holds itself does not come back */
    assert_int_equal(why.retry_after_ms, 12 * 3600000);
    assert_true(why.running);
    account_set_free(s);
}

static void nothing_pays_back(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_with(s, WINDOW_DAY, 100);
    struct reservation r;
    struct refusal why;
    struct account_view v;
    assert_int_equal(reserve(s, a, &r, 50, noon, &why), 0);
    account_settle(s, &r, -40, -3);
    account_view(s, a, noon, &v);
    assert_int_equal(v.window[WINDOW_DAY].spent, 0);
    assert_int_equal(v.window[WINDOW_DAY].reserved, 0);
    account_set_limits(s, a, &(struct budget_limit){WINDOW_DAY, -7}, 1, -1, -1, -1); /* nothing, not: no limit */
    assert_int_equal(reserve(s, a, &r, 1, noon, &why), -ERR_LIMIT);
    assert_int_equal(why.limit, 0);
    account_set_free(s);
}

static void credit_is_taken_only_where_it_is_free(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("bob"));
    struct reservation r;
    struct refusal why;
    account_set_credit(s, a, 100);
    assert_int_equal(reserve(s, a, &r, 70, noon, &why), 0);
    assert_false(account_take_credit(s, a, 31));
    assert_true(account_take_credit(s, a, 30));
    assert_int_equal(account_top_up(s, &r, 1, &why), -ERR_LIMIT);
    assert_int_equal(why.kind, REFUSED_CREDIT);
    account_settle(s, &r, 71, 0);
    assert_int_equal(reserve(s, a, &r, 0, noon, &why), -ERR_LIMIT); /* one nano-dollar of debt */
    assert_int_equal(why.kind, REFUSED_DEBT);
    assert_int_equal(why.used, 1);
    account_set_free(s);
}

static void what_is_put_right_falls_into_its_own_windows(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("k"));
    struct budget_limit limits[] = {{WINDOW_DAY, 1000}, {WINDOW_TOTAL, 1000}};
    struct account_view v;
    account_set_limits(s, a, limits, 2, 0, 0, 0);
    account_adjust(s, a, noon, noon - 13 * 3600000, 70); /* of a request of yesterday */
    account_adjust(s, a, noon, noon - 3600000, 5);
    account_view(s, a, noon, &v);
    assert_int_equal(v.window[WINDOW_DAY].spent, 5);
    assert_int_equal(v.window[WINDOW_TOTAL].spent, 75);
    account_adjust(s, a, noon, noon, -90); /* never below nothing */
    account_view(s, a, noon, &v);
    assert_int_equal(v.window[WINDOW_DAY].spent, 0);
    assert_int_equal(v.window[WINDOW_TOTAL].spent, 0);
    account_set_free(s);
}

/* Of one request alone: the window that ends while it runs is kept for it. */
static void one_stream_keeps_its_own_window(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_with(s, WINDOW_MINUTE, 1000);
    struct reservation r;
    struct refusal why;
    assert_int_equal(reserve(s, a, &r, 900, 30000, &why), 0);
    account_tightest_ppm(s, a, 90000); /* somebody looks, in the next minute */
    assert_int_equal(account_top_up(s, &r, 101, &why), -ERR_LIMIT);
    assert_int_equal(account_top_up(s, &r, 100, &why), 0);
    account_settle(s, &r, 1000, 0);
    account_set_free(s);
}

static void a_new_time_zone_wakes_no_old_window(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *idle = account_with(s, WINDOW_DAY, 100), *busy = account_get(s, ACCOUNT_TEAM, STR("t"));
    struct reservation r;
    struct refusal why;
    struct account_view v;
    assert_int_equal(reserve(s, idle, &r, 100, noon - 3 * (int64_t)86400000, &why), 0);
    account_settle(s, &r, 100, 0); /* three days ago */
    assert_int_equal(reserve(s, busy, &r, 1, noon, &why), 0);
    account_settle(s, &r, 1, 0);
    account_set_timezone(s, STR("Europe/Berlin"));
    account_view(s, idle, noon, &v);
    assert_int_equal(v.window[WINDOW_DAY].spent, 0);
    account_set_free(s);
}

static void a_view_counts_the_raise_and_ten_minutes(void **state)
{
    (void)state;
    struct account_set *s = account_set_new(STR("UTC"));
    struct account *a = account_get(s, ACCOUNT_KEY, STR("k"));
    struct budget_limit limit = {.window = WINDOW_DAY, .limit_nano = 100, .raise_nano = 50, .raised_ms = noon};
    struct reservation r;
    struct refusal why;
    struct account_view v;
    account_set_limits(s, a, &limit, 1, 0, 0, 0);
    assert_int_equal(reserve(s, a, &r, 120, noon, &why), 0);
    account_settle(s, &r, 170, 0);
    account_view(s, a, noon + 9 * 60000, &v);
    assert_int_equal(v.debt_nano, 20); /* above the raised limit */
    assert_int_equal(v.rate_nano_per_hour, 170 * 6);
    account_view(s, a, noon + 10 * 60000, &v);
    assert_int_equal(v.rate_nano_per_hour, 0);
    account_set_free(s);
}

static void refusals_read_well(void **state)
{
    (void)state;
    static const struct { struct refusal r; const char *text, *code; int status;
    } cases[] = {
        {{.kind = REFUSED_BUDGET,
             .name = {"ci-bot", 6},
             .account = ACCOUNT_KEY,
             .window = WINDOW_DAY,
             .limit = 5 * USD,
             .used = 4980000000,
             .asked = 32600000,
             .retry_after_ms = 11520000},
            "key ci-bot: daily budget $5.00: $4.98 used or reserved, this request may cost "
            "$0.0326; "
            "it resets in 3 h 12 min",
            "budget_exceeded", 402},
        {{.kind = REFUSED_BUDGET,
             .name = {"ops", 3},
             .account = ACCOUNT_TEAM,
             .window = WINDOW_MINUTE,
             .limit = USD,
             .used = USD,
             .asked = 1,
             .retry_after_ms = 20000},
            "team ops: budget of the minute $1.00: $1.00 used or reserved, this request may cost "
            "$0.000000001; it resets in 20 s",
            "budget_exceeded", 429},
        {{.kind = REFUSED_BUDGET,
             .name = {"a", 1},
             .window = WINDOW_TOTAL,
             .limit = USD,
             .used = 0,
             .asked = 2 * USD,
             .retry_after_ms = -1},
            "key a: total budget $1.00: $0.00 used or reserved, this request may cost $2.00; ask "
            "for "
            "fewer output tokens or have the budget raised",
            "budget_exceeded", 402},
        {{.kind = REFUSED_RPM,
             .name = {"a", 1},
             .limit = 60,
             .used = 60,
             .asked = 1,
             .retry_after_ms = 4200},
            "key a: limit of 60 requests a minute: 60 used; try again in 5 s",
            "rate_limit_exceeded", 429},
        {{.kind = REFUSED_TPM,
             .name = {"a", 1},
             .limit = 1000,
             .used = 0,
             .asked = 5000,
             .retry_after_ms = -1},
            "key a: limit of 1000 tokens a minute: 0 used; this request alone asks for 5000",
            "rate_limit_exceeded", 429},
        {{.kind = REFUSED_CREDIT,
             .name = {"a", 1},
             .limit = USD,
             .used = 0,
             .asked = 2 * USD,
             .retry_after_ms = -1},
            "key a: credit of $1.00 ($0.00 of it reserved by running requests) does not cover this "
            "request, which may cost $2.00",
            "insufficient_credit", 402},
        {{.kind = REFUSED_BUDGET, .name = {"a", 1}, .window = WINDOW_WEEK, .limit = USD, .used = USD, .asked = 2 * USD,
             .running = true, .retry_after_ms = -1},
            "key a: weekly budget $1.00: $1.00 used or reserved, this answer needs another $2.00; ask its owner to raise it",
            "budget_exceeded", 402},
        {{.kind = REFUSED_DEBT, .name = {"a", 1}, .used = 250000000, .retry_after_ms = -1},
            "key a: is $0.25 in debt; ask its owner to grant more", "insufficient_credit", 402},
        {{.kind = REFUSED_PAUSED, .name = {"a", 1}}, "key a: is paused; ask its owner",
            "key_paused", 401},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[300];
        account_refusal_text(&cases[i].r, text, sizeof text);
        assert_string_equal(text, cases[i].text);
        assert_string_equal(account_refusal_code(&cases[i].r), cases[i].code);
        assert_int_equal(account_refusal_status(&cases[i].r), cases[i].status);
        account_refusal_text(&cases[i].r, text, 20); /* cut, never over the end */
        assert_true(strlen(text) < 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_reserves_settles_and_gives_back),
        cmocka_unit_test(all_windows_of_all_accounts_or_none),
        cmocka_unit_test(any_interleaving_keeps_the_invariants),
        cmocka_unit_test(sixty_four_threads_at_a_barrier_never_overspend),
        cmocka_unit_test(what_costs_more_than_its_reserve_is_debt_and_blocks),
        cmocka_unit_test(prepaid_credit_is_spent_granted_and_owed),
        cmocka_unit_test(requests_a_minute_slide_and_say_exactly_when),
        cmocka_unit_test(no_sixty_seconds_hold_more_than_the_limit),
        cmocka_unit_test(tokens_a_minute_are_corrected_by_what_was_used),
        cmocka_unit_test(running_requests_are_counted),
        cmocka_unit_test(a_new_window_is_fresh_and_the_old_one_takes_its_own_costs),
        cmocka_unit_test(a_stream_tops_up_from_the_window_it_was_made_in),
        cmocka_unit_test(a_new_time_zone_counts_at_once),
        cmocka_unit_test(a_clock_that_jumps_resets_a_window_once),
        cmocka_unit_test(a_budget_is_raised_once_for_the_window_that_runs),
        cmocka_unit_test(balances_are_rebuilt),
        cmocka_unit_test(the_longest_refusal_is_told),
        cmocka_unit_test(what_is_reset_before_does_not_run_out),
        cmocka_unit_test(a_refusal_knows_when_waiting_helps),
        cmocka_unit_test(nothing_pays_back),
        cmocka_unit_test(credit_is_taken_only_where_it_is_free),
        cmocka_unit_test(what_is_put_right_falls_into_its_own_windows),
        cmocka_unit_test(one_stream_keeps_its_own_window),
        cmocka_unit_test(a_new_time_zone_wakes_no_old_window),
        cmocka_unit_test(a_view_counts_the_raise_and_ten_minutes),
        cmocka_unit_test(refusals_read_well),
    };
    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
