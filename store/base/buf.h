/* buf.h: an owned, growing run of bytes with a named ceiling and a sticky error.
 *
 * Why: answers, uploads and texts are put together piece by piece; checking each piece would bury
 * the reason of the code. After the first failure every later call does nothing, and the builder
 * is tested once at its end:
 *
 *     struct buf b;
 *     buf_init(&b, LIMIT_BODY);
 *     buf_puts(&b, "{\"id\":");
 *     buf_printf(&b, "%d}", id);
 *     if (b.err)
 *         ...                            // -ERR_LIMIT (ceiling) or -ERR_NOMEM
 *     buf_fini(&b);
 *
 * Ownership: the buf owns its bytes until buf_fini() or buf_take(). A struct str taken from it is
 * valid until the next call that writes. */
#ifndef POINTSMAN_BUF_H
#define POINTSMAN_BUF_H

#include "store/base/str.h"

struct buf {
    char *p;
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* ceiling in bytes */
    int err;    /* 0, -ERR_LIMIT or -ERR_NOMEM; sticky */
};

#define BUF_NO_LIMIT ((size_t)1 << 40)

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* forgets bytes and error, keeps the memory */

void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_str(struct buf *b, struct str s);
void buf_puts(struct buf *b, const char *c);
void buf_put_i64(struct buf *b, int64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Makes room for n more bytes and returns where they go (then add to b->n), or NULL. */
char *buf_reserve(struct buf *b, size_t n);

/* Drops n bytes from the front. */
void buf_drop(struct buf *b, size_t n);

static inline void buf_putc(struct buf *b, char c)
{
    if (!b->err && b->n + 1 < b->cap && b->n < b->max) {
        b->p[b->n++] = c;
        return;
    }
    buf_put(b, &c, 1);
}

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

/* The bytes ended by NUL (not counted in n); "" when empty, NULL after an error. */
const char *buf_c(struct buf *b);

/* Hands the bytes (ended by NUL) to the caller, who frees them; NULL after an error. */
char *buf_take(struct buf *b, size_t *n);

#endif
