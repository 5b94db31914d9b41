/* histogram.c: see histogram.h. Bucket of v: v itself below 32; else 32 per power of two, chosen by
 * the five bits after the leading one. */
#include "store/base/histogram.h"
#include "store/base/err.h"

enum { SUB_BITS = 5, SUB = 1 << SUB_BITS, VALUE_BITS = 36 };

static unsigned bucket_of(int64_t value)
{
    if (value < SUB)
        return value < 0 ? 0 : (unsigned)value;
    if (value >> VALUE_BITS)
        return HISTOGRAM_BUCKETS - 1;
    unsigned top = 63 - (unsigned)__builtin_clzll((unsigned long long)value);
    unsigned shift = top - SUB_BITS;
    return (shift + 1) * SUB + ((unsigned)(value >> shift) & (SUB - 1));
}

/* The middle of a bucket. */
static int64_t value_of(unsigned bucket)
{
    if (bucket < SUB)
        return bucket;
    unsigned shift = bucket / SUB - 1;
    int64_t low = (int64_t)(SUB + bucket % SUB) << shift;
    return low + (((int64_t)1 << shift) - 1) / 2;
}

static void bucket_add(int32_t *count, int64_t times)
{
    int64_t sum = *count + times;
    *count = (int32_t)MIN(MAX(sum, -INT32_MAX), INT32_MAX);
}

void histogram_add(struct histogram *h, int64_t value, int32_t times)
{
    bucket_add(&h->count[bucket_of(value)], times);
}

int64_t histogram_total(const struct histogram *h)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        sum += MAX(h->count[i], 0);
    return sum;
}

int64_t histogram_percentile(const struct histogram *h, int64_t ppm)
{
    int64_t total = histogram_total(h), seen = 0;
    if (total == 0)
        return 0;
    ppm = MIN(MAX(ppm, 0), 1000000);
    /* the smallest rank that covers the share, at least the first; no overflow: total < 2^42 */
    int64_t rank = MAX((total * ppm + 999999) / 1000000, 1);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += MAX(h->count[i], 0);
        if (seen >= rank)
            return value_of(i);
    }
    return value_of(HISTOGRAM_BUCKETS - 1);
}

int64_t histogram_rank(const struct histogram *h, int64_t value)
{
    int64_t total = 0, below = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += MAX(h->count[i], 0);
        below += i <= bucket_of(value) ? MAX(h->count[i], 0) : 0;
    }
    return total ? below * 1000000 / total : 0;
}

static void put_varint(struct buf *out, uint64_t v)
{
    while (v >= 0x80) {
        buf_putc(out, (char)(v | 0x80));
        v >>= 7;
    }
    buf_putc(out, (char)v);
}

static bool get_varint(struct str *in, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (in->n == 0)
            return false;
        unsigned char c = (unsigned char)in->p[0];
        *in = str_from(*in, 1);
        *v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return true;
    }
    return false;
}

void histogram_encode(const struct histogram *h, struct buf *out)
{
    unsigned before = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        int64_t count = h->count[i];
        if (count == 0)
            continue;
        put_varint(out, i - before);
        put_varint(out, (uint64_t)(count < 0 ? -count * 2 - 1 : count * 2));
        before = i;
    }
}

int histogram_merge_encoded(struct histogram *into, struct str bytes)
{
    uint64_t at = 0, distance, zigzag;
    while (bytes.n) {
        if (!get_varint(&bytes, &distance) || !get_varint(&bytes, &zigzag))
            return -ERR_CORRUPT;
        at += distance;
        if (at >= HISTOGRAM_BUCKETS)
            return -ERR_CORRUPT;
        int64_t count = zigzag & 1 ? -(int64_t)(zigzag / 2) - 1 : (int64_t)(zigzag / 2);
        bucket_add(&into->count[at], count);
    }
    return 0;
}
