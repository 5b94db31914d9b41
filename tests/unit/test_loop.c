/* Units of the event loop: descriptors, timers, messages, phases, deferred calls. */
#include "proxy/loop/loop.h"
#include "store/base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int setup(void **state)
{
    struct loop *l;
    if (loop_new(&l, NULL) < 0)
        return -1;
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    loop_free(*state);
    return 0;
}

struct pair {
    struct loop *l;
    int fds[2][2];
    loop_id ids[2];
    int calls;
};

static void removes_both(void *ctx, uint32_t events)
{
    struct pair *p = ctx;
    assert_true(events & EPOLLIN);
    p->calls++;
    loop_fd_remove(p->l, p->ids[0]);
    loop_fd_remove(p->l, p->ids[1]);
}

static void never(void *ctx, uint32_t events)
{
    (void)ctx;
    (void)events;
    fail_msg("an event reached a slot that was given to another descriptor");
}

static void an_event_of_a_removed_descriptor_is_dropped(void **state)
{
    struct pair p = {.l = *state};
    int other[2];
    assert_int_equal(pipe(other), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fds[i]), 0);
        p.ids[i] = loop_fd_add(p.l, p.fds[i][0], EPOLLIN, removes_both, &p);
        assert_true(p.ids[i] != 0);
        assert_int_equal(write(p.fds[i][1], "x", 1), 1);
    }
    loop_turn(p.l, 0); /* both are ready; the first to run removes both */
    assert_int_equal(p.calls, 1);
    loop_id again = loop_fd_add(p.l, other[0], EPOLLIN, never, NULL);
    assert_true(again != p.ids[0] && again != p.ids[1]);
    loop_fd_remove(p.l, p.ids[0]); /* an old id does nothing to the new owner of its slot */
    loop_fd_change(p.l, p.ids[1], EPOLLOUT);
    loop_turn(p.l, 0);
    assert_int_equal(loop_fd_add(p.l, 9999, EPOLLIN, never, NULL), 0);
    for (int i = 0; i < 2; i++) {
        close(p.fds[i][0]);
        close(p.fds[i][1]);
        close(other[i]);
    }
}

struct noted {
    struct loop *l;
    int64_t *order;
    size_t *n;
    struct loop_timer t;
};

static void note(void *ctx)
{
    struct noted *t = ctx;
    t->order[(*t->n)++] = t->t.due_us;
}

static void timers_fire_in_order_of_time_and_only_when_due(void **state)
{
    enum { N = 500 };
    struct loop *l = *state;
    static struct noted t[N];
    int64_t order[N], now = loop_now_us(l);
    size_t n = 0;
    srand(7);
    for (int i = 0; i < N; i++) {
        t[i] = (struct noted){.l = l, .order = order, .n = &n, .t = {.fn = note, .ctx = &t[i]}};
        assert_int_equal(loop_timer_set(l, &t[i].t, now + rand() % 1000000), 0);
    }
    for (int i = 0; i < N; i++) /* move all, then stop each fifth; half become due */
        assert_int_equal(loop_timer_set(l, &t[i].t, i % 2 ? now - rand() % 100000
                                                          : now + 3600000000LL + i), 0);
    for (int i = 0; i < N; i += 5)
        loop_timer_stop(l, &t[i].t);
    loop_turn(l, 0);
    assert_int_equal(n, N / 2 - N / 10);
    for (size_t i = 1; i < n; i++)
        assert_true(order[i - 1] <= order[i]);
    for (int i = 0; i < N; i++)
        assert_int_equal(loop_timer_running(&t[i].t), i % 2 == 0 && i % 5 != 0);
    for (int i = 0; i < N; i++)
        loop_timer_stop(l, &t[i].t);
}

static void again_at_once(void *ctx)
{
    struct noted *t = ctx;
    (*t->n)++;
    assert_int_equal(loop_timer_set(t->l, &t->t, 0), 0);
}

static void a_timer_that_sets_itself_does_not_hold_the_turn(void **state)
{
    size_t n = 0;
    struct noted t = {.l = *state, .n = &n, .t = {.fn = again_at_once, .ctx = &t}};
    assert_int_equal(loop_timer_set(t.l, &t.t, 0), 0);
    loop_turn(t.l, 0);
    assert_int_equal(n, 1);
    loop_turn(t.l, INT64_MAX); /* due again: does not sleep */
    assert_int_equal(n, 2);
    loop_timer_stop(t.l, &t.t);
}

static void a_wait_lasts_until_the_next_timer(void **state)
{
    int64_t order[1];
    size_t n = 0;
    struct noted t = {.l = *state, .order = order, .n = &n, .t = {.fn = note, .ctx = &t}};
    int64_t began = clock_mono_us();
    assert_int_equal(loop_timer_set(t.l, &t.t, began + 20000), 0);
    while (n == 0)
        loop_turn(t.l, INT64_MAX);
    int64_t took = clock_mono_us() - began;
    assert_true(took >= 20000 && took < 2000000);
}

enum { THREADS = 4, EACH = 20000 };
struct letter {
    struct loop_message m;
    int thread, number;
};
struct sender {
    struct loop *l;
    int thread;
    struct letter *letters;
};
static int last_number[THREADS];
static int received;

static void receive(struct loop_message *m)
{
    struct letter *letter = (struct letter *)(void *)m;
    assert_int_equal(letter->number, last_number[letter->thread] + 1);
    last_number[letter->thread] = letter->number;
    received++;
}

static void *send_all(void *ctx)
{
    struct sender *s = ctx;
    for (int i = 0; i < EACH; i++) {
        s->letters[i] = (struct letter){{.fn = receive}, s->thread, i + 1};
        loop_post(s->l, &s->letters[i].m);
    }
    return NULL;
}

static void messages_of_a_thread_arrive_once_and_in_order(void **state)
{
    pthread_t threads[THREADS];
    struct sender senders[THREADS];
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){*state, i, calloc(EACH, sizeof(struct letter))};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    while (received < THREADS * EACH) /* sleeps without limit: a lost wake-up would hang here */
        loop_turn(*state, INT64_MAX);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        free(senders[i].letters);
    }
    assert_int_equal(received, THREADS * EACH);
}

static char trail[64];
static struct loop *trail_loop;

static void add(char c)
{
    size_t n = strlen(trail);
    trail[n] = c;
    trail[n + 1] = '\0';
}

static bool phase_one(void *ctx)
{
    (void)ctx;
    add('1');
    return strlen(trail) < 4;
}

static void late(void *ctx)
{
    add(*(char *)ctx);
}

static bool phase_two(void *ctx)
{
    (void)ctx;
    static char end = '$';
    add('2');
    assert_int_equal(loop_defer(trail_loop, late, &end), 0);
    return false;
}

static void on_message(struct loop_message *m)
{
    (void)m;
    add('m');
}

static void a_turn_runs_messages_phases_timers_and_deferred_calls_in_that_order(void **state)
{
    static char tick = 't';
    struct loop *l = trail_loop = *state;
    struct loop_timer t = {.fn = late, .ctx = &tick};
    struct loop_message m = {.fn = on_message};
    assert_int_equal(loop_phase_add(l, "one", phase_one, NULL), 0);
    assert_int_equal(loop_phase_add(l, "two", phase_two, NULL), 0);
    loop_post(l, &m);
    assert_int_equal(loop_timer_set(l, &t, 0), 0);
    loop_turn(l, INT64_MAX);
    assert_string_equal(trail, "m1212t$$"); /* phase one asked for the second round */
}

static bool never_content(void *ctx)
{
    ++*(int *)ctx;
    return true;
}

static void a_phase_that_always_asks_ends_the_turn_but_not_the_waking(void **state)
{
    int rounds = 0, before;
    assert_int_equal(loop_phase_add(*state, "greedy", never_content, &rounds), 0);
    loop_wake(*state);
    loop_turn(*state, INT64_MAX); /* ends: descriptors and timers get their share */
    assert_true(rounds > 1);
    before = rounds;
    loop_turn(*state, INT64_MAX); /* did not sleep for ever */
    assert_true(rounds > before);
}

static int64_t at_once(void *ctx)
{
    ++*(int *)ctx;
    return 0;
}

static void a_wait_function_bounds_the_sleep(void **state)
{
    int asked = 0;
    assert_int_equal(loop_wait_add(*state, at_once, &asked), 0);
    loop_turn(*state, INT64_MAX);
    assert_true(asked > 0);
}

static void *stopper(void *l)
{
    usleep(20000);
    loop_stop(l);
    return NULL;
}

static void slow(void *ctx)
{
    (void)ctx;
    usleep(60000);
}

static void note_slow(void *ctx, int64_t took_us)
{
    *(int64_t *)ctx = took_us;
}

static void stop_ends_the_loop_and_slow_turns_are_counted(void **state)
{
    struct loop *l = *state;
    struct loop_timer t = {.fn = slow};
    int64_t told_us = 0;
    loop_on_slow(l, note_slow, &told_us);
    assert_int_equal(loop_timer_set(l, &t, 0), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stopper, l), 0);
    loop_run(l);
    pthread_join(thread, NULL);
    struct loop_stats s = loop_stats(l);
    assert_int_equal(s.slow_turns, 1);
    assert_true(s.turns >= 1 && s.longest_us >= 60000);
    assert_int_equal(told_us, s.longest_us); /* of a slow turn, as of each that is the longest so far */
}

static void what_is_no_stall_is_told_but_not_counted(void **state)
{
    struct loop *l = *state;
    int64_t told_us = 0;
    loop_on_slow(l, note_slow, &told_us);
    loop_turn(l, 0);
    assert_int_equal(told_us, loop_stats(l).longest_us);
    assert_true(told_us <= LOOP_SLOW_US);
    assert_int_equal(loop_stats(l).slow_turns, 0);
}

static void last_word(struct loop_message *m)
{
    m->next = m; /* a mark that it ran */
}

static void messages_posted_before_a_stop_still_run(void **state)
{
    struct loop_message before = {.fn = last_word}, after = {.fn = last_word};
    loop_post(*state, &before);
    loop_stop(*state);
    loop_run(*state);
    assert_ptr_equal(before.next, &before);
    loop_post(*state, &after);
    loop_settle(*state);
    assert_ptr_equal(after.next, &after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_event_of_a_removed_descriptor_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(
            timers_fire_in_order_of_time_and_only_when_due, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_timer_that_sets_itself_does_not_hold_the_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_lasts_until_the_next_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(
            messages_of_a_thread_arrive_once_and_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_turn_runs_messages_phases_timers_and_deferred_calls_in_that_order, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_phase_that_always_asks_ends_the_turn_but_not_the_waking, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_function_bounds_the_sleep, setup, teardown),
        cmocka_unit_test_setup_teardown(
            stop_ends_the_loop_and_slow_turns_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_stall_is_told_but_not_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_posted_before_a_stop_still_run, setup, teardown),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
