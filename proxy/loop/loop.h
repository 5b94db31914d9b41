/* loop.h: one thread's event loop: file descriptors, timers, messages from other threads, and the
 * phases of one turn. Knows no HTTP.
 *
 * Why: a worker, the admin thread and the demo provider each run one. One turn:
 *     now · epoll_wait · fd callbacks · messages · phases in the order of their registration ·
 *     timers · end-of-turn hooks
 * Callbacks mark, phases act; nothing is freed before the end-of-turn hooks (loop_defer()).
 *
 * Event data handed to epoll is kind | generation | index, never a pointer: an event of the same
 * batch for a descriptor that was removed in between is dropped.
 *
 * Ownership: the loop owns neither descriptors nor contexts. Only loop_post(), loop_wake() and
 * loop_stop() may be called from another thread. */
#ifndef POINTSMAN_LOOP_H
#define POINTSMAN_LOOP_H

#include "store/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

int loop_new(struct loop **out, struct err *e) MUST_CHECK;
void loop_free(struct loop *l);

/* Runs turns until loop_stop(), then the messages posted before it. */
void loop_run(struct loop *l);
/* One turn that waits at most `wait_us` (tests). */
void loop_turn(struct loop *l, int64_t wait_us);
void loop_stop(struct loop *l);

/* Monotonic µs as read at the start of this turn (and after epoll_wait returned). */
int64_t loop_now_us(const struct loop *l);

/* Descriptors. `events` are EPOLL* bits. The id is 0 for "none", never reused while events of the
 * old one may be in flight. loop_fd_add returns it, or 0 without memory or descriptors. */
typedef uint64_t loop_id;
typedef void loop_fd_fn(void *ctx, uint32_t events);
loop_id loop_fd_add(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *ctx);
void loop_fd_change(struct loop *l, loop_id id, uint32_t events);
void loop_fd_remove(struct loop *l, loop_id id); /* before the descriptor is closed */

/* Timers: intrusive, one shot, O(log n). Zero-initialise; setting a running one moves it. */
struct loop_timer {
    int64_t due_us;
    size_t index; /* place in the heap + 1; 0 = not running */
    void (*fn)(void *ctx);
    void *ctx;
};
int loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_us); /* 0 or -ERR_NOMEM */
void loop_timer_stop(struct loop *l, struct loop_timer *t);
static inline bool loop_timer_running(const struct loop_timer *t)
{
    return t->index != 0;
}

/* Messages: any thread; the loop's thread runs fn(message) once, in order of posting per thread.
 * Intrusive: the message must live until fn runs (fn may free it). Lock-free. */
struct loop_message {
    struct loop_message *next;
    void (*fn)(struct loop_message *m);
};
void loop_post(struct loop *l, struct loop_message *m);
void loop_wake(struct loop *l);
/* Runs the messages that came after the last turn. For the owner, once nobody posts any more and
 * before what they lead to is freed. */
void loop_settle(struct loop *l);

/* Phases: run in each turn, in order of registration, after descriptors and messages. While one
 * returns true, or a wait function 0, they run again: a few rounds in the same turn, then in another
 * turn without waiting. */
typedef bool loop_phase_fn(void *ctx);
int loop_phase_add(struct loop *l, const char *name, loop_phase_fn *fn, void *ctx) MUST_CHECK;

/* Lets a phase bound the wait: called before each epoll_wait, returns µs until it wants a turn
 * (INT64_MAX: never). */
typedef int64_t loop_wait_fn(void *ctx);
int loop_wait_add(struct loop *l, loop_wait_fn *fn, void *ctx) MUST_CHECK;

/* Runs fn(ctx) at the very end of this turn: the place to free. */
int loop_defer(struct loop *l, void (*fn)(void *ctx), void *ctx) MUST_CHECK;

enum { LOOP_SLOW_US = 50000 };

/* Watchdog: the longest turn so far in µs (waiting excluded), and turns over LOOP_SLOW_US. */
struct loop_stats {
    int64_t turns, longest_us, slow_turns;
};
struct loop_stats loop_stats(const struct loop *l);
/* Called after each turn over LOOP_SLOW_US, and after each that is the longest so far. */
void loop_on_slow(struct loop *l, void (*fn)(void *ctx, int64_t took_us), void *ctx);

#endif
