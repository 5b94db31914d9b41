/* watch.c: see watch.h.
 *
 * The ring holds pieces of: head (us, missed, bytes) and the bytes, rounded up to 8. `head` is only
 * written by the worker, `tail` only by the reader; each is published with release order. A piece
 * that does not fit is dropped and counted; the count travels in the next piece that fits. */
#include "proxy/event/watch.h"

#include <stdatomic.h>
#include <stdlib.h>

struct piece_head {
    int64_t us;
    uint64_t missed;
    uint64_t bytes;
};

struct watch {
    _Atomic int owners; /* worker and reader */
    _Atomic bool ended, left;
    _Alignas(64) _Atomic uint64_t head; /* bytes ever written */
    uint64_t missed_before;             /* worker's own: lost since the last piece that fitted */
    _Atomic uint64_t missed_now;        /* the same, for the reader */
    _Alignas(64) _Atomic uint64_t tail; /* bytes ever read */
    char piece[WATCH_PIECE_MAX];        /* reader's own: the piece popped last */
    char ring[WATCH_BYTES];
};

struct watch *watch_new(void)
{
    struct watch *w = aligned_alloc(64, (sizeof *w + 63) & ~(size_t)63);
    if (!w)
        return NULL;
    memset(w, 0, offsetof(struct watch, piece));
    atomic_init(&w->owners, 2);
    return w;
}

static void let_go(struct watch *w)
{
    if (atomic_fetch_sub_explicit(&w->owners, 1, memory_order_acq_rel) == 1)
        free(w);
}

static uint64_t space_of(size_t bytes)
{
    return (sizeof(struct piece_head) + bytes + 7) & ~(uint64_t)7;
}

static void ring_write(struct watch *w, uint64_t at, const void *p, size_t n)
{
    size_t place = at % WATCH_BYTES, first = MIN(n, WATCH_BYTES - place);
    memcpy(w->ring + place, p, first);
    memcpy(w->ring, (const char *)p + first, n - first);
}

static void ring_read(const struct watch *w, uint64_t at, void *p, size_t n)
{
    size_t place = at % WATCH_BYTES, first = MIN(n, WATCH_BYTES - place);
    memcpy(p, w->ring + place, first);
    memcpy((char *)p + first, w->ring, n - first);
}

static void put_piece(struct watch *w, int64_t us, struct str bytes)
{
    uint64_t head = atomic_load_explicit(&w->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&w->tail, memory_order_acquire);
    if (WATCH_BYTES - (head - tail) < space_of(bytes.n)) {
        w->missed_before += bytes.n;
        atomic_store_explicit(&w->missed_now, w->missed_before, memory_order_relaxed);
        return;
    }
    struct piece_head h = {us, w->missed_before, bytes.n};
    ring_write(w, head, &h, sizeof h);
    ring_write(w, head + sizeof h, bytes.p, bytes.n);
    w->missed_before = 0;
    atomic_store_explicit(&w->missed_now, 0, memory_order_relaxed);
    atomic_store_explicit(&w->head, head + space_of(bytes.n), memory_order_release);
}

bool watch_put(struct watch *w, int64_t us, struct str bytes)
{
    while (bytes.n) {
        struct str piece = str_first(bytes, WATCH_PIECE_MAX);
        put_piece(w, us, piece);
        bytes = str_from(bytes, piece.n);
    }
    return !atomic_load_explicit(&w->left, memory_order_relaxed);
}

void watch_end(struct watch *w)
{
    atomic_store_explicit(&w->ended, true, memory_order_release);
    let_go(w);
}

bool watch_pop(struct watch *w, struct watch_piece *out)
{
    uint64_t tail = atomic_load_explicit(&w->tail, memory_order_relaxed);
    if (atomic_load_explicit(&w->head, memory_order_acquire) == tail)
        return false;
    struct piece_head h;
    ring_read(w, tail, &h, sizeof h);
    ring_read(w, tail + sizeof h, w->piece, h.bytes);
    atomic_store_explicit(&w->tail, tail + space_of(h.bytes), memory_order_release);
    *out = (struct watch_piece){h.us, str_n(w->piece, h.bytes), h.missed};
    return true;
}

bool watch_over(const struct watch *w)
{
    return atomic_load_explicit(&w->ended, memory_order_acquire) &&
           atomic_load_explicit(&w->head, memory_order_acquire) ==
               atomic_load_explicit(&w->tail, memory_order_relaxed);
}

uint64_t watch_missed(const struct watch *w)
{
    return atomic_load_explicit(&w->missed_now, memory_order_relaxed);
}

void watch_leave(struct watch *w)
{
    atomic_store_explicit(&w->left, true, memory_order_relaxed);
    let_go(w);
}
