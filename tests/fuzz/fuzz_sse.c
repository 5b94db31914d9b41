/* fuzz_sse.c: any bytes, any cuts: the events are the same as of the whole, and the raws in a row are
 * the input. The first byte seeds the cuts, the second says when an event is given up. */
#include "proxy/sse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool right)
{
    if (!right)
        abort();
}

static uint64_t fold(uint64_t h, struct str s)
{
    return (h ^ str_hash(s)) * 1099511628211u + s.n;
}

/* Returns a hash over the events; `raw` collects all bytes reported. */
static uint64_t run(struct str in, unsigned seed, size_t release_at, struct buf *raw)
{
    struct sse s;
    struct sse_event ev;
    uint64_t h = 1;
    sse_init(&s, 1 << 16);
    for (size_t at = 0; at < in.n;) {
        size_t n = in.n - at;
        if (seed) {
            seed = seed * 1103515245u + 12345u;
            n = MIN(n, 1 + (seed >> 16) % 23);
        }
        if (sse_feed(&s, str_n(in.p + at, n)) < 0)
            require(s.overflow);
        at += n;
        while (sse_next(&s, &ev)) {
            buf_put_str(raw, ev.raw);
            if (ev.has_data)
                h = fold(fold(fold(h, ev.name), ev.data), ev.id);
        }
        if (release_at && sse_pending(&s).n >= release_at) {
            buf_put_str(raw, sse_pending(&s));
            sse_release(&s);
            require(sse_pending(&s).n == 0);
        }
    }
    if (sse_finish(&s, &ev))
        buf_put_str(raw, ev.raw);
    sse_fini(&s);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct str in = {(const char *)data + 2, size - 2};
    struct buf whole, cut, given_up;
    buf_init(&whole, BUF_NO_LIMIT);
    buf_init(&cut, BUF_NO_LIMIT);
    buf_init(&given_up, BUF_NO_LIMIT);
    uint64_t a = run(in, 0, 0, &whole), b = run(in, data[0] + 1u, 0, &cut);
    require(a == b);
    run(in, data[0] + 1u, data[1] % 64 + 1u, &given_up);
    require(str_eq(buf_str(&whole), in) && str_eq(buf_str(&cut), in));
    require(str_eq(buf_str(&given_up), in));
    buf_fini(&whole);
    buf_fini(&cut);
    buf_fini(&given_up);
    return 0;
}
