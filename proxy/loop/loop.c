/* loop.c: one thread's event loop; see loop.h for the turn and its order.
 *
 * Invariants:
 *   - What epoll carries is generation << 32 | slot + 1, so 0 is the wake-up and no event can
 *     reach a slot that was given away since (the generation moved on).
 *   - The heap holds a timer at place timer->index - 1, and index is 0 for one that does not run.
 *   - The mailbox is a stack swapped out whole by its reader and turned round; whoever pushes on
 *     an empty stack rings the bell, so a message is never left behind without one.
 *   - The bell is edge triggered and never read: each write is an edge of its own.
 * Nothing here allocates in a turn unless a table has to grow. */
#include "proxy/loop/loop.h"
#include "store/base/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* BATCH bounds how long a turn can get, and so how long a new request waits behind busy streams: with 256
 * twice as long, for nothing that could be measured elsewhere. */
enum { BATCH = 64, PHASES_MAX = 16, ROUNDS = 4, WAIT_MAX_MS = 3600000 };

struct watch {
    int fd;              /* -1: free */
    uint32_t generation; /* never 0 while in use */
    uint32_t next_free;  /* slot + 1 */
    loop_fd_fn *fn;
    void *ctx;
};

struct phase {
    const char *name;
    loop_phase_fn *fn;
    void *ctx;
};

struct waiter {
    loop_wait_fn *fn;
    void *ctx;
};

struct deferred {
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop {
    int epoll_fd, bell_fd;
    atomic_bool stop;
    bool again; /* a phase wants another turn at once */
    int64_t now_us;

    struct watch *watches;
    uint32_t watch_count, free_watch; /* free_watch: slot + 1 */

    struct loop_timer **heap;
    size_t timer_count, timer_cap;

    _Atomic(struct loop_message *) mailbox;

    struct phase phases[PHASES_MAX];
    struct waiter waiters[PHASES_MAX];
    size_t phase_count, waiter_count;

    struct deferred *deferred;
    size_t deferred_count, deferred_cap;

    struct loop_stats stats;
    void (*on_slow)(void *ctx, int64_t took_us);
    void *slow_ctx;
    struct epoll_event events[BATCH];
};

/* Room for one more element in a table that doubles. */
static int grow(void *table, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return 0;
    size_t wanted = *cap ? *cap * 2 : 32;
    void *p = realloc(*(void **)table, wanted * size);
    if (!p)
        return -ERR_NOMEM;
    *(void **)table = p;
    *cap = wanted;
    return 0;
}

/* ---- life ---- */

int loop_new(struct loop **out, struct err *e)
{
    *out = NULL;
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "event loop: out of memory");
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event bell = {.events = EPOLLIN | EPOLLET};
    if (l->epoll_fd < 0 || l->bell_fd < 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->bell_fd, &bell) < 0) {
        int rc = err_set(e, ERR_IO, "event loop: %s (raise the limit of open files?)",
            strerror(errno));
        loop_free(l);
        return rc;
    }
    l->now_us = clock_mono_us();
    *out = l;
    return 0;
}

static void run_deferred(struct loop *l)
{
    for (size_t i = 0; i < l->deferred_count; i++) { /* one of them may defer more */
        struct deferred d = l->deferred[i];
        d.fn(d.ctx);
    }
    l->deferred_count = 0;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    run_deferred(l);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->bell_fd >= 0)
        close(l->bell_fd);
    free(l->watches);
    free(l->heap);
    free(l->deferred);
    free(l);
}

int64_t loop_now_us(const struct loop *l)
{
    return l->now_us;
}

struct loop_stats loop_stats(const struct loop *l)
{
    return l->stats;
}

/* ---- descriptors ---- */

static struct watch *watch_find(struct loop *l, loop_id id)
{
    uint32_t slot = (uint32_t)id - 1;
    if (id == 0 || slot >= l->watch_count)
        return NULL;
    struct watch *w = &l->watches[slot];
    return w->fd >= 0 && w->generation == (uint32_t)(id >> 32) ? w : NULL;
}

static uint32_t watch_slot(struct loop *l)
{
    if (l->free_watch) {
        uint32_t slot = l->free_watch - 1;
        l->free_watch = l->watches[slot].next_free;
        return slot + 1;
    }
    if ((l->watch_count & (l->watch_count - 1)) == 0) { /* 0, 1, 2, 4 …: full */
        size_t cap = l->watch_count ? (size_t)l->watch_count * 2 : 1;
        struct watch *p = realloc(l->watches, cap * sizeof *p);
        if (!p)
            return 0;
        l->watches = p;
    }
    l->watches[l->watch_count] = (struct watch){.fd = -1};
    return ++l->watch_count;
}

loop_id loop_fd_add(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *ctx)
{
    uint32_t place = watch_slot(l);
    if (!place)
        return 0;
    struct watch *w = &l->watches[place - 1];
    uint32_t generation = w->generation + 1 ? w->generation + 1 : 1;
    *w = (struct watch){.fd = fd, .generation = generation, .fn = fn, .ctx = ctx};
    loop_id id = (uint64_t)generation << 32 | place;
    struct epoll_event ev = {.events = events, .data.u64 = id};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0)
        return id;
    w->fd = -1;
    w->next_free = l->free_watch;
    l->free_watch = place;
    return 0;
}

void loop_fd_change(struct loop *l, loop_id id, uint32_t events)
{
    struct watch *w = watch_find(l, id);
    struct epoll_event ev = {.events = events, .data.u64 = id};
    if (w)
        epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev);
}

void loop_fd_remove(struct loop *l, loop_id id)
{
    struct watch *w = watch_find(l, id);
    if (!w)
        return;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    w->fd = -1;
    w->next_free = l->free_watch;
    l->free_watch = (uint32_t)id;
}

/* ---- timers: a binary heap, the soonest on top ---- */

static void heap_put(struct loop *l, size_t at, struct loop_timer *t)
{
    l->heap[at] = t;
    t->index = at + 1;
}

static void heap_up(struct loop *l, size_t at, struct loop_timer *t)
{
    while (at > 0 && t->due_us < l->heap[(at - 1) / 2]->due_us) {
        heap_put(l, at, l->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(l, at, t);
}

static void heap_down(struct loop *l, size_t at, struct loop_timer *t)
{
    for (;;) {
        size_t child = at * 2 + 1;
        if (child + 1 < l->timer_count && l->heap[child + 1]->due_us < l->heap[child]->due_us)
            child++;
        if (child >= l->timer_count || l->heap[child]->due_us >= t->due_us)
            break;
        heap_put(l, at, l->heap[child]);
        at = child;
    }
    heap_put(l, at, t);
}

int loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_us)
{
    if (t->index) {
        int64_t was_us = t->due_us;
        t->due_us = due_us;
        if (due_us < was_us)
            heap_up(l, t->index - 1, t);
        else
            heap_down(l, t->index - 1, t);
        return 0;
    }
    if (grow(&l->heap, &l->timer_cap, l->timer_count, sizeof(struct loop_timer *)) < 0)
        return -ERR_NOMEM;
    t->due_us = due_us;
    heap_up(l, l->timer_count++, t);
    return 0;
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
    if (!t->index)
        return;
    size_t at = t->index - 1;
    struct loop_timer *last = l->heap[--l->timer_count];
    t->index = 0;
    if (last == t)
        return;
    if (at > 0 && last->due_us < l->heap[(at - 1) / 2]->due_us)
        heap_up(l, at, last);
    else
        heap_down(l, at, last);
}

static void run_timers(struct loop *l)
{
    /* One that sets itself to a time past does not keep the turn from ending. */
    for (size_t most = l->timer_count; most && l->timer_count; most--) {
        struct loop_timer *t = l->heap[0];
        if (t->due_us > l->now_us)
            return;
        loop_timer_stop(l, t);
        t->fn(t->ctx);
    }
}

/* ---- messages ---- */

void loop_wake(struct loop *l)
{
    uint64_t one = 1;
    if (write(l->bell_fd, &one, sizeof one) == (ssize_t)sizeof one || errno != EAGAIN)
        return;
    uint64_t rung; /* the counter is full after 2^64 - 2 rings: begin again */
    if (read(l->bell_fd, &rung, sizeof rung) > 0 && write(l->bell_fd, &one, sizeof one) < 0)
        return;
}

void loop_post(struct loop *l, struct loop_message *m)
{
    struct loop_message *head = atomic_load_explicit(&l->mailbox, memory_order_relaxed);
    do
        m->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->mailbox, &head, m, memory_order_release,
        memory_order_relaxed));
    if (!head)
        loop_wake(l);
}

static void run_messages(struct loop *l)
{
    if (!atomic_load_explicit(&l->mailbox, memory_order_relaxed))
        return;
    struct loop_message *m = atomic_exchange_explicit(&l->mailbox, NULL, memory_order_acquire);
    struct loop_message *first = NULL;
    while (m) {
        struct loop_message *next = m->next;
        m->next = first;
        first = m;
        m = next;
    }
    while (first) {
        struct loop_message *next = first->next; /* fn may free it */
        first->fn(first);
        first = next;
    }
}

void loop_settle(struct loop *l)
{
    while (atomic_load_explicit(&l->mailbox, memory_order_relaxed))
        run_messages(l);
}

/* ---- phases ---- */

int loop_phase_add(struct loop *l, const char *name, loop_phase_fn *fn, void *ctx)
{
    if (l->phase_count == PHASES_MAX)
        return -ERR_FULL;
    l->phases[l->phase_count++] = (struct phase){name, fn, ctx};
    return 0;
}

int loop_wait_add(struct loop *l, loop_wait_fn *fn, void *ctx)
{
    if (l->waiter_count == PHASES_MAX)
        return -ERR_FULL;
    l->waiters[l->waiter_count++] = (struct waiter){fn, ctx};
    return 0;
}

int loop_defer(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    if (grow(&l->deferred, &l->deferred_cap, l->deferred_count, sizeof *l->deferred) < 0)
        return -ERR_NOMEM;
    l->deferred[l->deferred_count++] = (struct deferred){fn, ctx};
    return 0;
}

/* ---- the turn ---- */

/* The least of `us` and what the phases allow. */
static int64_t phases_wait_us(struct loop *l, int64_t us)
{
    for (size_t i = 0; i < l->waiter_count && us > 0; i++) {
        int64_t wanted_us = l->waiters[i].fn(l->waiters[i].ctx);
        us = MIN(us, wanted_us);
    }
    return us;
}

/* How long epoll may sleep: the least of what the caller, the timers and the phases allow. */
static int wait_ms(struct loop *l, int64_t most_us)
{
    if (l->again || atomic_load_explicit(&l->mailbox, memory_order_relaxed))
        return 0;
    int64_t us = most_us;
    if (l->timer_count)
        us = MIN(us, l->heap[0]->due_us - l->now_us);
    us = phases_wait_us(l, us);
    if (us <= 0)
        return 0;
    return us > WAIT_MAX_MS * 1000LL ? WAIT_MAX_MS : (int)((us + 999) / 1000);
}

static void run_descriptors(struct loop *l, int n)
{
    for (int i = 0; i < n; i++) {
        struct watch *w = watch_find(l, l->events[i].data.u64);
        if (w) /* else the bell, or a watch removed earlier in this batch */
            w->fn(w->ctx, l->events[i].events);
    }
}

static void count_turn(struct loop *l, int64_t began_us)
{
    int64_t took_us = clock_mono_us() - began_us;
    l->stats.turns++;
    l->stats.slow_turns += took_us > LOOP_SLOW_US;
    if (took_us <= MIN(l->stats.longest_us, LOOP_SLOW_US))
        return;
    l->stats.longest_us = MAX(l->stats.longest_us, took_us);
    if (l->on_slow)
        l->on_slow(l->slow_ctx, took_us);
}

void loop_on_slow(struct loop *l, void (*fn)(void *ctx, int64_t took_us), void *ctx)
{
    l->on_slow = fn;
    l->slow_ctx = ctx;
}

/* What a later phase leaves for an earlier one (an answer for its client) is done in the same turn:
 * asking epoll in between would cost a call for nothing. A few rounds, so that descriptors get theirs. */
static void run_phases(struct loop *l)
{
    for (int round = 0; round < ROUNDS; round++) {
        l->again = false;
        for (size_t i = 0; i < l->phase_count; i++)
            l->again |= l->phases[i].fn(l->phases[i].ctx);
        if (!l->again && phases_wait_us(l, 1) > 0)
            return;
    }
}

void loop_turn(struct loop *l, int64_t wait_us)
{
    l->now_us = clock_mono_us();
    int n = epoll_wait(l->epoll_fd, l->events, BATCH, wait_ms(l, wait_us));
    int64_t began_us = l->now_us = clock_mono_us();
    run_descriptors(l, n);
    run_messages(l);
    run_phases(l);
    run_timers(l);
    run_deferred(l);
    count_turn(l, began_us);
}

void loop_run(struct loop *l)
{
    while (!atomic_load_explicit(&l->stop, memory_order_acquire))
        loop_turn(l, INT64_MAX);
    loop_settle(l); /* what was posted before the stop is still an order */
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->stop, true, memory_order_release);
    loop_wake(l);
}
