/* recent.c: the last finished records of a worker, in memory, read without a lock.
 *
 * A ring of words that only grows in its numbering. The worker first moves `reserved`, then writes,
 * then moves `head`; a reader walks back from `head`, copies an entry, and throws it away when
 * `reserved` has come so far around that the words may have changed under it. */
#include "store/spool_internal.h"

#include <stdlib.h>

enum { ENTRY_WORDS_MAX = RECENT_WORDS / 16 };

int recent_init(struct recent *r)
{
    r->words = calloc(RECENT_WORDS, sizeof *r->words);
    return r->words ? 0 : -ERR_NOMEM;
}

void recent_fini(struct recent *r)
{
    free((void *)r->words);
}

void recent_put(struct recent *r, struct str packed)
{
    uint64_t words = (packed.n + 7) / 8, word;
    if (words >= ENTRY_WORDS_MAX)
        return;
    uint64_t at = atomic_load_explicit(&r->head, memory_order_relaxed);
    atomic_exchange(&r->reserved, at + words + 1);
    uint64_t bytes = packed.n;
    const char *p = packed.p, *whole = p + (bytes & ~(uint64_t)7);
    for (; p < whole; p += 8) {
        memcpy(&word, p, sizeof word);
        atomic_store_explicit(&r->words[at++ % RECENT_WORDS], word, memory_order_relaxed);
    }
    if (bytes & 7) {
        word = 0;
        memcpy(&word, p, bytes & 7);
        atomic_store_explicit(&r->words[at++ % RECENT_WORDS], word, memory_order_relaxed);
    }
    atomic_store_explicit(&r->words[at++ % RECENT_WORDS], bytes, memory_order_relaxed);
    atomic_store_explicit(&r->head, at, memory_order_release);
}

void spool_recent(const struct spool *s, bool (*fn)(void *ctx, struct str packed), void *ctx)
{
    const struct recent *r = &s->recent;
    uint64_t copy[ENTRY_WORDS_MAX];
    uint64_t end = atomic_load_explicit(&r->head, memory_order_acquire);
    while (end) {
        uint64_t bytes =
            atomic_load_explicit(&r->words[(end - 1) % RECENT_WORDS], memory_order_acquire);
        uint64_t words = (bytes + 7) / 8;
        if (words >= ENTRY_WORDS_MAX || words + 1 > end)
            return;
        uint64_t start = end - 1 - words;
        for (uint64_t i = 0; i < words; i++)
            copy[i] = atomic_load_explicit(&r->words[(start + i) % RECENT_WORDS],
                memory_order_acquire);
        if (atomic_load(&r->reserved) > start + RECENT_WORDS)
            return;
        if (!fn(ctx, str_n((const char *)copy, bytes)))
            return;
        end = start;
    }
}
