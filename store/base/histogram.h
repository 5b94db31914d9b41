/* histogram.h: counts of durations on a logarithmic scale; percentiles of any window.
 *
 * Why: an average of percentiles is wrong; counts per bucket can be added. Values below 32 are
 * exact, above each power of two is cut into 32 buckets, so that the middle of a bucket is never
 * more than 1.6 % from what was counted. Integers only.
 *
 *     struct histogram h = {0};
 *     histogram_add(&h, us, 1);
 *     histogram_encode(&h, &buf);            // some dozen bytes: only buckets in use
 *     histogram_merge_encoded(&sum, bytes);
 *     p95 = histogram_percentile(&sum, 950000);
 *
 * A struct histogram is a value of 4 KiB. Counts saturate. Negative counts stand for corrections
 * that are still to be merged into what they correct; percentiles leave them out. */
#ifndef POINTSMAN_HISTOGRAM_H
#define POINTSMAN_HISTOGRAM_H

#include "store/base/buf.h"

enum { HISTOGRAM_BUCKETS = 32 * 32, HISTOGRAM_ENCODED_MAX = HISTOGRAM_BUCKETS * 7 };

struct histogram {
    int32_t count[HISTOGRAM_BUCKETS];
};

/* Values below 0 count as 0, above 2^36 - 1 (19 hours in µs) as that. */
void histogram_add(struct histogram *h, int64_t value, int32_t times);
int64_t histogram_total(const struct histogram *h);

/* The value below which `ppm` millionths of the counts lie; 0 when empty. */
int64_t histogram_percentile(const struct histogram *h, int64_t ppm);
/* The share of values that are no greater, in ppm; 0 when there are none. */
int64_t histogram_rank(const struct histogram *h, int64_t value);

/* Pairs of varints: distance to the bucket before, count (zigzag). Empty: no bytes. */
void histogram_encode(const struct histogram *h, struct buf *out);
/* Adds what was encoded. 0, or -ERR_CORRUPT (what was read so far is added). */
int histogram_merge_encoded(struct histogram *into, struct str bytes) MUST_CHECK;

#endif
