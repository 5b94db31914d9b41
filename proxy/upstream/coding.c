/* coding.c: see coding.h. */
#include "proxy/upstream/coding.h"

#include <stdlib.h>
#include <zlib.h>

#define RATIO_FREE_BYTES ((size_t)256 << 10) /* small answers may be as repetitive as they like */
#define WAITING_BYTES ((size_t)1 << 20) /* a piece of curl is 16 KiB */

struct coding {
    z_stream z;
    size_t max_bytes, max_ratio;
    uint64_t in_bytes, out_bytes;
    bool ended; /* a member's checksum was right and nothing came after it */
    struct buf waiting;
};

struct coding *coding_new(size_t max_bytes, size_t max_ratio)
{
    struct coding *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->max_bytes = max_bytes;
    g->max_ratio = max_ratio;
    buf_init(&g->waiting, WAITING_BYTES);
    if (inflateInit2(&g->z, 16 + MAX_WBITS) != Z_OK) { /* 16: gzip framing only */
        free(g);
        return NULL;
    }
    return g;
}

void coding_free(struct coding *g)
{
    if (!g)
        return;
    inflateEnd(&g->z);
    buf_fini(&g->waiting);
    free(g);
}

static bool coding_over(const struct coding *g)
{
    if (g->out_bytes > g->max_bytes)
        return true;
    return g->out_bytes > RATIO_FREE_BYTES && g->out_bytes / g->max_ratio > g->in_bytes;
}

enum coding_step coding_next(struct coding *g, struct str *in, char *out, size_t size, size_t *n)
{
    *n = 0;
    if (g->ended) {
        if (in->n == 0)
            return CODING_IDLE;
        if (inflateReset(&g->z) != Z_OK) /* gzip allows members in a row */
            return CODING_BAD;
        g->ended = false;
    }
    g->z.next_in = (Bytef *)(uintptr_t)in->p;
    g->z.avail_in = (uInt)in->n;
    g->z.next_out = (Bytef *)out;
    g->z.avail_out = (uInt)size;
    int rc = inflate(&g->z, Z_NO_FLUSH);
    size_t used = in->n - g->z.avail_in;
    *n = size - g->z.avail_out;
    *in = str_from(*in, used);
    g->in_bytes += used;
    g->out_bytes += *n;
    if (coding_over(g))
        return CODING_BOMB;
    if (rc == Z_STREAM_END)
        g->ended = true;
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
        return CODING_BAD;
    return in->n > 0 || g->z.avail_out == 0 ? CODING_MORE : CODING_IDLE;
}

bool coding_complete(const struct coding *g)
{
    return g->ended && g->waiting.n == 0;
}

struct buf *coding_waiting(struct coding *g)
{
    return &g->waiting;
}
