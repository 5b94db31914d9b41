/* arena.h: memory that lives exactly as long as one request (or one parse).
 *
 * Why: a request makes dozens of small texts that all die together. They are carved from blocks and
 * given back in one call, so that the request path needs no clean-up code.
 *
 *     struct arena a;
 *     arena_init(&a, 4096, 1 << 20);      // first block, ceiling
 *     char *c = arena_alloc(&a, n);       // NULL past the ceiling or without memory
 *     arena_fini(&a);
 *
 * Alignment is 16 bytes. Not for threads to share. */
#ifndef POINTSMAN_ARENA_H
#define POINTSMAN_ARENA_H

#include "store/base/str.h"

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t block, total, max; /* bytes */
};

void arena_init(struct arena *a, size_t first_block, size_t max);
void arena_fini(struct arena *a);
void arena_reset(struct arena *a); /* keeps the first block */

void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);

/* Copies ended by NUL; a NULL p when there is no memory. */
struct str arena_str(struct arena *a, struct str s);
char *arena_c(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Pieces one behind the other: ARENA_JOIN(a, provider, STR("/"), model). */
struct str arena_join(struct arena *a, const struct str *pieces, size_t n);
#define ARENA_JOIN(a, ...)                                                                         \
    arena_join(a, (const struct str[]){__VA_ARGS__},                                               \
        sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))
struct str arena_i64(struct arena *a, int64_t v);

#endif
