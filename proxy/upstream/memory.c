/* memory.c: what libcurl allocates, kept on the worker's thread for its next transfer.
 *
 * Why: a transfer takes and gives back some eighty blocks, among them one of 16 KiB. libc keeps seven
 * of a size for its thread and none above 1 KiB; the rest is merged, split and searched for at every
 * request. Here a free block goes on the list of its size and comes off it again.
 *
 * Which list is told by the block's usable size, so that it carries no head of ours and a stream holds
 * no byte more. Lists are bounded, belong to one thread and need no lock; on a thread that has none
 * (a resolver's) everything is libc's, and a block may be taken on one thread and freed on another. */
#include "proxy/upstream/call.h"

#include <malloc.h>
#include <stdlib.h>

enum {
    CLASS_BYTES = 16,
    CLASSES = 1088,           /* up to 17 KiB: libcurl's read buffer */
    SMALL_CLASSES = 64,       /* up to 1 KiB … */
    LEAST_CLASS = 2,
    KEEP_SMALL = 32,          /* … so many of a size are kept, else … */
    KEEP_LARGE = 4
};

struct memory_list {
    void *first; /* a free block's first word leads to the next */
    unsigned count;
};

static _Thread_local struct memory_list *lists; /* [CLASSES]; NULL: libc's */

/* libc's blocks are a multiple of 16 with 8 bytes of its own; any other division would do as well.
 * LEAST_CLASS: a block of another allocator may be too small for the word that leads to the next. */
static size_t class_wanted(size_t n)
{
    return (MAX(n, (size_t)24) + 8 + CLASS_BYTES - 1) / CLASS_BYTES;
}

static size_t class_given(void *p)
{
    return (malloc_usable_size(p) + 8) / CLASS_BYTES;
}

static void *memory_alloc(size_t n)
{
    size_t class = class_wanted(n);
    if (!lists || n > CLASSES * CLASS_BYTES || class >= CLASSES || !lists[class].first)
        return malloc(n);
    void *p = lists[class].first;
    memcpy(&lists[class].first, p, sizeof lists[class].first);
    lists[class].count--;
    return p;
}

static void memory_free(void *p)
{
    size_t class = p && lists ? class_given(p) : CLASSES;
    if (class < LEAST_CLASS || class >= CLASSES ||
        lists[class].count >= (class < SMALL_CLASSES ? KEEP_SMALL : KEEP_LARGE)) {
        free(p);
        return;
    }
    memcpy(p, &lists[class].first, sizeof lists[class].first);
    lists[class].first = p;
    lists[class].count++;
}

static void *memory_realloc(void *p, size_t n)
{
    size_t have = p ? malloc_usable_size(p) : 0;
    if (!lists || have > CLASSES * CLASS_BYTES)
        return realloc(p, n);
    if (p && n <= have)
        return p;
    void *more = memory_alloc(n);
    if (more && p) {
        memcpy(more, p, have);
        memory_free(p);
    }
    return more;
}

static char *memory_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = memory_alloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

static void *memory_calloc(size_t count, size_t size)
{
    size_t n;
    if (!lists || __builtin_mul_overflow(count, size, &n))
        return calloc(count, size);
    void *p = memory_alloc(n);
    return p ? memset(p, 0, n) : NULL;
}

void memory_init_curl(void)
{
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory_alloc, memory_free, memory_realloc,
        memory_strdup, memory_calloc);
}

void upstream_thread_begin(void)
{
    lists = calloc(CLASSES, sizeof *lists); /* without memory for it: libc's */
}

void upstream_thread_end(void)
{
    struct memory_list *all = lists;
    lists = NULL;
    for (size_t i = 0; all && i < CLASSES; i++)
        for (void *p; (p = all[i].first);) {
            memcpy(&all[i].first, p, sizeof all[i].first);
            free(p);
        }
    free(all);
}
