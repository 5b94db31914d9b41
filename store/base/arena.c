/* arena.c: see arena.h. */
#include "store/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

void arena_init(struct arena *a, size_t first_block, size_t max)
{
    *a = (struct arena){.block = first_block, .max = max};
}

static void free_from(struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
}

void arena_fini(struct arena *a)
{
    free_from(a->head);
    a->head = NULL;
    a->total = 0;
}

void arena_reset(struct arena *a)
{
    struct arena_block *first = a->head;
    while (first && first->next) { /* newest first: the first block is the last of the list */
        struct arena_block *next = first->next;
        free(first);
        first = next;
    }
    a->head = first;
    a->total = first ? first->size : 0;
    if (first)
        first->used = 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if (!a->head || a->head->size - a->head->used < n) {
        size_t size = MAX(a->block, n);
        if (size > a->max || a->total > a->max - size)
            return NULL;
        struct arena_block *b = malloc(sizeof *b + size);
        if (!b)
            return NULL;
        b->next = a->head;
        b->used = 0;
        b->size = size;
        a->head = b;
        a->total += size;
    }
    void *p = a->head->bytes + a->head->used;
    a->head->used += n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

char *arena_c(struct arena *a, struct str s)
{
    char *c = arena_alloc(a, s.n + 1);
    if (!c)
        return NULL;
    if (s.n)
        memcpy(c, s.p, s.n);
    c[s.n] = '\0';
    return c;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *c = arena_c(a, s);
    return c ? str_n(c, s.n) : STR_NULL;
}

/* Into what is left of the block; measured first only where that was too little. */
struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    struct arena_block *b = a->head;
    size_t room = b ? b->size - b->used : 0;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(room ? b->bytes + b->used : NULL, room, fmt, ap);
    va_end(ap);
    char *c = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (c && (size_t)n >= room)
        vsnprintf(c, (size_t)n + 1, fmt, again);
    va_end(again);
    return c ? str_n(c, (size_t)n) : STR_NULL;
}

struct str arena_join(struct arena *a, const struct str *pieces, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += pieces[i].n;
    char *c = arena_alloc(a, total + 1), *at = c;
    if (!c)
        return STR_NULL;
    for (size_t i = 0; i < n; i++)
        if (pieces[i].n)
            at = (char *)memcpy(at, pieces[i].p, pieces[i].n) + pieces[i].n;
    *at = '\0';
    return str_n(c, total);
}

struct str arena_i64(struct arena *a, int64_t v)
{
    char memory[STR_I64_SIZE];
    return arena_str(a, str_of_i64(v, memory));
}
