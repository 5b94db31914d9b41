/* buf.c: see buf.h. */
#include "store/base/buf.h"
#include "store/base/err.h"

#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->err = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->err)
        return NULL;
    if (n > b->max || b->n > b->max - n) {
        b->err = -ERR_LIMIT;
        return NULL;
    }
    if (b->n + n + 1 > b->cap) { /* + 1: buf_c() can always end the text */
        size_t cap = MAX(b->cap * 2, (size_t)64);
        while (cap < b->n + n + 1)
            cap *= 2;
        char *p = realloc(b->p, cap);
        if (!p) {
            b->err = -ERR_NOMEM;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    char *to = buf_reserve(b, n);
    if (!to || n == 0)
        return;
    memcpy(to, p, n);
    b->n += n;
}

void buf_put_str(struct buf *b, struct str s)
{
    buf_put(b, s.p, s.n);
}

void buf_puts(struct buf *b, const char *c)
{
    buf_put(b, c, strlen(c));
}

void buf_put_i64(struct buf *b, int64_t v)
{
    char memory[STR_I64_SIZE];
    buf_put_str(b, str_of_i64(v, memory));
}

/* Into the room that is there; measured first only where that was too little. */
void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    size_t room = b->err ? 0 : b->cap - b->n;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(room ? b->p + b->n : NULL, room, fmt, ap);
    va_end(ap);
    char *to = n < 0 ? NULL : buf_reserve(b, (size_t)n);
    if (to && (size_t)n >= room)
        vsnprintf(to, (size_t)n + 1, fmt, again);
    if (to)
        b->n += (size_t)n;
    va_end(again);
}

void buf_drop(struct buf *b, size_t n)
{
    n = MIN(n, b->n);
    if (n)
        memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

const char *buf_c(struct buf *b)
{
    if (b->err)
        return NULL;
    if (!b->p)
        return "";
    b->p[b->n] = '\0';
    return b->p;
}

char *buf_take(struct buf *b, size_t *n)
{
    if (b->err || !buf_reserve(b, 0))
        return NULL;
    char *p = b->p;
    p[b->n] = '\0';
    if (n)
        *n = b->n;
    *b = (struct buf){.max = b->max};
    return p;
}
