/* health.h: what the process knows of each provider and target right now: breakers, latencies,
 * headroom, rested keys, requests in flight. One per process, shared by all workers (atomics and
 * short locks without I/O); given to the planner as a value to read.
 *
 * Times are passed in; nothing here reads a clock. */
#ifndef POINTSMAN_HEALTH_H
#define POINTSMAN_HEALTH_H

#include "proxy/config/snapshot.h"
#include "store/base/json.h"

struct health;
struct health *health_new(void);
void health_free(struct health *h);

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

/* Before an attempt leaves, and after it ended. `failure` is an enum failure_class or 0. */
void health_began(struct health *h, const struct provider *p, struct str model, int64_t now_us);
void health_ended(struct health *h, const struct provider *p, struct str model, unsigned failure,
    int64_t ttft_us, int64_t total_us, int64_t now_us);
/* The provider's own rate-limit headers and Retry-After of an answer. */
void health_headers(struct health *h, const struct provider *p, unsigned key_index, int status,
    const struct http_header *headers, size_t n, int64_t now_us, int64_t wall_ms);

/* Which provider key to use: index into p->keys, or -1 when every one is dead or resting. */
int health_pick_key(struct health *h, const struct provider *p, uint64_t random, int64_t now_us);
void health_key_failed(struct health *h, const struct provider *p, unsigned key_index, int status,
    int64_t retry_after_us, int64_t now_us);

/* By hand. `us` <= 0 for trip means until cleared. */
void health_trip(struct health *h, const struct provider *p, int64_t us, int64_t now_us);
void health_clear(struct health *h, const struct provider *p);

struct health_view {
    enum breaker_state breaker;
    bool by_hand;
    int64_t open_for_us;         /* until the next probe */
    int64_t in_flight, queued;
    int64_t ewma_ttft_us, ewma_total_us;
    int64_t error_ppm;           /* of the last minute */
    int64_t requests_left, tokens_left, requests_limit, tokens_limit; /* -1 unknown */
    unsigned keys_dead, keys_resting;
    int64_t last_error_ms;
    char last_error[120];
};
/* model empty: the provider as a whole. */
void health_view(const struct health *h, const struct provider *p, struct str model,
    int64_t now_us, struct health_view *out);

#endif
