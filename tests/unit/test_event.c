/* Units of proxy/event: counters, the ring of events, refused attempts, watching a stream. */
#include "proxy/event/event.h"
#include "proxy/event/watch.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/secret.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <cmocka.h>

static int64_t now_ms = 1000000;

static int64_t test_wall(void)
{
    return now_ms;
}

static int64_t test_mono(void)
{
    return now_ms * 1000;
}

static int setup(void **state)
{
    (void)state;
    static const struct clock_source source = {test_mono, test_wall};
    clock_replace(&source);
    log_set_level((enum log_level)(LOG_ERROR + 1));
    return 0;
}

static void *add_many(void *arg)
{
    for (int i = 0; i < 100000; i++)
        counter_add(COUNTER_attempts, 1);
    return arg;
}

static void counters_lose_nothing_among_threads(void **state)
{
    (void)state;
    pthread_t threads[8];
    int64_t before = counter_read(COUNTER_attempts);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter_read(COUNTER_attempts) - before, 800000);
    assert_string_equal(counter_name(COUNTER_attempts), "attempts");
    assert_true(strlen(counter_help(COUNTER_attempts)) > 0);
}

struct seen {
    struct event events[2000];
    int n, most;
};

static bool see(void *ctx, const struct event *e)
{
    struct seen *s = ctx;
    s->events[s->n++] = *e;
    return s->n < s->most;
}

static void count_sink(void *ctx, const struct event *e)
{
    (void)e;
    ++*(int *)ctx;
}

static void events_come_newest_first_and_repeats_are_counted(void **state)
{
    (void)state;
    static struct seen s;
    int heard = 0;
    event_set_sink(count_sink, &heard);
    uint64_t before = event_sequence();
    assert_true(before % EVENT_SEQUENCES_A_MS == 0); /* nothing was said: it begins at a moment */
    assert_true(before <= (uint64_t)now_ms * EVENT_SEQUENCES_A_MS);
    assert_true(before + EVENT_SEQUENCES_A_MS > (uint64_t)now_ms * EVENT_SEQUENCES_A_MS);
    event_say(EVENT_KIND_LIMITED, STR("id1"), "provider %s rests", "lab");
    event_say(EVENT_KIND_LIMITED, STR("id2"), "provider %s rests", "lab");
    event_say(EVENT_KIND_KEY_DEAD, STR(""), "sk-abcdefghijklmnopqrst was\nrefused");
    assert_int_equal(event_sequence(), before + 2);
    now_ms += 1500;
    event_say(EVENT_KIND_LIMITED, STR("id3"), "provider %s rests", "lab");
    s = (struct seen){.most = 3};
    event_recent(see, &s);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.events[0].request_id, "id3");
    assert_string_equal(s.events[1].text, "sk-a******************* was?refused");
    assert_int_equal(s.events[1].level, EVENT_WARN);
    assert_string_equal(s.events[2].request_id, "id1");
    assert_int_equal(s.events[2].repeated, 1);
    assert_int_equal(heard, 3);
    event_set_sink(NULL, NULL);
    assert_string_equal(event_kind_name(EVENT_KIND_KEY_DEAD), "KEY_DEAD");
    assert_string_equal(event_level_name(EVENT_AUDIT), "audit");
}

static void the_ring_is_bounded(void **state)
{
    (void)state;
    static struct seen s;
    for (int i = 0; i < 3000; i++)
        event_say(EVENT_KIND_STARTED, STR(""), "number %d", i);
    s = (struct seen){.most = 2000};
    event_recent(see, &s);
    assert_true(s.n >= 1000 && s.n <= 1024);
    assert_string_equal(s.events[0].text, "number 2999");
    for (int i = 1; i < s.n; i++)
        assert_int_equal(s.events[i].sequence, s.events[i - 1].sequence - 1);
}

struct refusals {
    struct refused r[300];
    int n;
};

static bool see_refused(void *ctx, const struct refused *r)
{
    struct refusals *s = ctx;
    s->r[s->n++] = *r;
    return true;
}

static void refused_attempts_of_the_last_minute_are_listed_by_address_and_reason(void **state)
{
    (void)state;
    static struct refusals s;
    now_ms += 100000;
    int64_t counted = counter_read(COUNTER_requests_refused);
    event_refused(STR("10.0.0.1:1111"), 401, STR("unknown key sk-pm-…"));
    event_refused(STR("10.0.0.2:1111"), 401, STR("unknown key sk-pm-…"));
    event_refused(STR("10.0.0.1:2222"), 401, STR("unknown key sk-pm-…"));
    event_refused(STR("[::1]:2222"), 403, STR("origin"));
    s.n = 0;
    event_refused_recent(now_ms - 60000, see_refused, &s);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.r[0].peer, "[::1]:2222");
    assert_string_equal(s.r[1].peer, "10.0.0.1:2222");
    assert_int_equal(s.r[1].repeated, 1);
    assert_string_equal(s.r[2].peer, "10.0.0.2:1111");
    assert_int_equal(counter_read(COUNTER_requests_refused) - counted, 4);
    for (int i = 0; i < 100000; i++) /* a flood from one address leaves the others in sight */
        event_refused(STR("10.0.0.9:1"), 429, STR("flood"));
    s.n = 0;
    event_refused_recent(now_ms - 60000, see_refused, &s);
    assert_int_equal(s.n, 4);
    assert_int_equal(s.r[0].repeated, 99999);
    now_ms += 61000;
    s.n = 0;
    event_refused_recent(now_ms - 60000, see_refused, &s);
    assert_int_equal(s.n, 0);
    char peer[32];
    for (int i = 0; i < 1000; i++) { /* many addresses: bounded, newest kept */
        snprintf(peer, sizeof peer, "10.1.%d.%d:1", i / 250, i % 250);
        event_refused(str_c(peer), 401, STR("x"));
    }
    s.n = 0;
    event_refused_recent(now_ms - 60000, see_refused, &s);
    assert_int_equal(s.n, 256);
    assert_string_equal(s.r[0].peer, peer);
}

static void a_watched_stream_arrives_in_order_with_its_times(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    struct watch_piece p;
    assert_false(watch_pop(w, &p));
    assert_true(watch_put(w, 10, STR("data: a\n\n")));
    assert_true(watch_put(w, 20, STR("data: b\n\n")));
    assert_true(watch_pop(w, &p));
    assert_int_equal(p.us, 10);
    assert_true(str_eq(p.bytes, STR("data: a\n\n")));
    watch_end(w);
    assert_false(watch_over(w));
    assert_true(watch_pop(w, &p));
    assert_true(str_eq(p.bytes, STR("data: b\n\n")));
    assert_true(watch_over(w));
    watch_leave(w);
}

static void a_slow_reader_is_told_what_it_missed(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    struct watch_piece p;
    char bytes[1000];
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < 1000; i++)
        assert_true(watch_put(w, i, str_n(bytes, sizeof bytes)));
    uint64_t got = 0, missed = 0;
    while (watch_pop(w, &p))
        got += p.bytes.n;
    assert_true(got > 200000 && got <= WATCH_BYTES);
    assert_int_equal(got + watch_missed(w), 1000000);
    assert_true(watch_put(w, 5000, STR("after")));
    assert_true(watch_pop(w, &p));
    missed = p.missed;
    assert_int_equal(got + missed, 1000000);
    assert_int_equal(watch_missed(w), 0);
    watch_leave(w);
    assert_false(watch_put(w, 6000, STR("nobody")));
    watch_end(w);
}

static void *write_stream(void *arg)
{
    struct watch *w = arg;
    unsigned char bytes[3000];
    uint64_t n = 0;
    for (int i = 0; i < 20000; i++) {
        size_t size = 1 + (size_t)(i * 7919) % sizeof bytes;
        for (size_t k = 0; k < size; k++)
            bytes[k] = (unsigned char)(n + k);
        n += size;
        if (!watch_put(w, i, str_n((const char *)bytes, size)))
            break;
    }
    watch_end(w);
    return (void *)(uintptr_t)n;
}

static void two_threads_share_the_ring_without_a_torn_piece(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_stream, w), 0);
    uint64_t at = 0;
    struct watch_piece p;
    for (;;) {
        if (!watch_pop(w, &p)) {
            if (watch_over(w))
                break;
            sched_yield();
            continue;
        }
        at += p.missed;
        for (size_t k = 0; k < p.bytes.n; k++)
            assert_int_equal((unsigned char)p.bytes.p[k], (unsigned char)(at + k));
        at += p.bytes.n;
    }
    at += watch_missed(w);
    watch_leave(w);
    void *total;
    pthread_join(writer, &total);
    assert_int_equal(at, (uintptr_t)total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_lose_nothing_among_threads),
        cmocka_unit_test(events_come_newest_first_and_repeats_are_counted),
        cmocka_unit_test(the_ring_is_bounded),
        cmocka_unit_test(refused_attempts_of_the_last_minute_are_listed_by_address_and_reason),
        cmocka_unit_test(a_watched_stream_arrives_in_order_with_its_times),
        cmocka_unit_test(a_slow_reader_is_told_what_it_missed),
        cmocka_unit_test(two_threads_share_the_ring_without_a_torn_piece),
    };
    return cmocka_run_group_tests_name("event", tests, setup, NULL);
}
