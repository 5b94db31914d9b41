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

/* Before an attempt leaves, and after it ended. `failure` is an enum failure_class or 0. What
 * trips: 5xx, network and timeouts trip the target, lost connections its provider too; a client's
 * fault, a refused content, a full context, a limited or dead key never trip anything. */
void health_began(struct health *h, const struct provider *p, struct str model, int64_t now_us);
void health_ended(struct health *h, const struct provider *p, struct str model, unsigned failure,
    int64_t ttft_us, int64_t total_us, int64_t now_us);
/* The first token of an attempt came: a probe has succeeded, however long its answer goes on. */
void health_answers(struct health *h, const struct provider *p, struct str model, int64_t now_us);
/* The provider's own rate-limit headers and Retry-After of an answer. */
void health_headers(struct health *h, const struct provider *p, unsigned key_index, int status,
    const struct http_header *headers, size_t n, int64_t now_us, int64_t wall_ms);

/* Which provider key to use for that model: index into p->keys, by weight among those that are
 * well. When every one is dead or resting, the one that comes back first: the provider's own answer
 * tells the caller more than ours. -1 when the provider has no keys. */
int health_pick_key(struct health *h, const struct provider *p, struct str model, uint64_t random,
    int64_t now_us);
/* 401 and 402 set the key aside for every model, 403 and 429 for this one: limits are a model's. */
void health_key_failed(struct health *h, const struct provider *p, struct str model,
    unsigned key_index, int status, int64_t retry_after_us, int64_t now_us);

/* By hand. `us` <= 0 for trip means until cleared. */
void health_trip(struct health *h, const struct provider *p, int64_t us, int64_t now_us);
void health_clear(struct health *h, const struct provider *p); /* breakers, failures, keys */

/* Told outside of any lock when a breaker opens or closes or a key is set aside; set once, at
 * start. `model` is empty for the provider as a whole. */
enum health_change { HEALTH_OPENED, HEALTH_CLOSED, HEALTH_KEY_DEAD, HEALTH_KEY_RESTS,
    HEALTH_CANARY_BACK };
void health_on_change(struct health *h, void (*fn)(void *ctx, enum health_change change,
    const struct provider *p, struct str model, const char *text), void *ctx);

/* A provider's places (max_concurrent) and the FIFO queue for them, across workers. take: true = a
 * place was taken; false = queued: ready(ctx) is called once, on whichever thread freed a place,
 * and the place is then the waiter's. cancel: false when ready() was called already (or is about to
 * be): the place is the caller's and must be released. The waiter must live until ready() or
 * cancel(). */
struct health_waiter {
    void (*ready)(void *ctx);
    void *ctx;
    struct health_waiter *next, *previous; /* of the queue */
    bool queued;
};
bool health_slot_take(struct health *h, const struct provider *p,
    struct health_waiter *w) MUST_CHECK;
bool health_slot_cancel(struct health *h, const struct provider *p, struct health_waiter *w);
void health_slot_release(struct health *h, const struct provider *p, int64_t now_us);

/* What a provider was found not to have, by asking it; until restart. */
enum health_lack {
    HEALTH_LACKS_STREAM_OPTIONS = 1, /* it answered 400 to them: it is not asked again */
    HEALTH_LACKS_RESPONSES = 2       /* OpenAI-compatible, 404 to /v1/responses: they go as chat */
};
void health_note_lack(struct health *h, const struct provider *p, enum health_lack what);
bool health_lacks(const struct health *h, const struct provider *p, enum health_lack what);

/* The models that a provider named when it was asked for its list (by hand, or beside the traffic:
 * never on a request's way); until restart, or until its address changes. n == 0: it gave no list. */
enum { HEALTH_MODELS_MAX = 512, HEALTH_MODEL_BYTES = 200 };
void health_note_models(struct health *h, const struct provider *p, const struct str *names, size_t n,
    int64_t wall_ms);
int64_t health_models_asked_ms(const struct health *h, const struct provider *p); /* 0: never */
/* Is it among them? "qwen3" is "qwen3:latest" (Ollama). */
bool health_has_model(const struct health *h, const struct provider *p, struct str model);
/* How many; each text lives during its call alone. */
size_t health_each_model(const struct health *h, const struct provider *p,
    void (*fn)(void *ctx, struct str model), void *ctx);

/* What an answer's headers say of one kind of limit, in any provider's spelling. */
struct health_limit {
    int64_t limit, left;         /* -1: not said; left -1: nothing is said at all */
    int64_t reset_us;            /* from now; -1: not said */
};
struct health_limits {
    struct health_limit requests, tokens;
};
void health_read_limits(const struct http_header *headers, size_t n, int64_t wall_ms,
    struct health_limits *out);

/* What `retry-after-ms`, `retry-after` (seconds or a date; at most 1 h) ask for; -1 = nothing. */
int64_t health_retry_after_us(const struct http_header *headers, size_t n, int64_t wall_ms);
/* Exponential back-off with full jitter (0.5 s doubling to 8 s), never shorter than retry_after. */
int64_t retry_delay_us(unsigned attempt, int64_t retry_after_us, uint64_t random);

struct health_view {
    enum breaker_state breaker;
    bool by_hand;
    int64_t open_for_us;         /* until the next probe */
    int64_t in_flight, queued;
    int64_t ewma_ttft_us, ewma_total_us;
    int64_t error_ppm;           /* of the last minute */
    int64_t requests_left, tokens_left, requests_limit, tokens_limit; /* -1 unknown */
    unsigned keys_dead, keys_resting;
    bool keys_usable;            /* one is well for this model, or none is needed */
    bool probing;                /* not closed, and a probe is under way */
    int64_t key_rest_us;         /* until the first key is back; 0 when one is well */
    int64_t samples;             /* attempts ended in the last minute */
    int64_t ttft_p95_us, ttft_p95_hour_us; /* of the last minute or so, of the hour before it; 0: none */
    int64_t last_error_us;       /* monotonic; 0 = none */
    char last_error[120];
};
/* model empty: the provider as a whole. */
void health_view(const struct health *h, const struct provider *p, struct str model,
    int64_t now_us, struct health_view *out);

/* Memory that policies keep between requests. Turns of a route (round-robin); the target that last
 * served a session (its prompt cache is warm for some minutes); canaries that were taken back. */
/* take: the next one gets the turn after it; else it is only looked at. */
uint64_t health_turn(const struct health *h, unsigned route_id, bool take);
void health_warm(struct health *h, const struct provider *p, struct str model, struct str session,
    int64_t now_us);
bool health_is_warm(const struct health *h, const struct provider *p, struct str model,
    struct str session, int64_t now_us);
/* `fault`: "taken back: too slow". Told once (HEALTH_CANARY_BACK). */
void health_canary_back(const struct health *h, const struct route *r, const char *fault);
bool health_canary_is_back(const struct health *h, const struct route *r);
/* Why it was taken back, as long as nobody has noted that for good; NULL. */
const char *health_canary_news(const struct health *h, const struct route *r);
void health_canary_noted(struct health *h, const struct route *r);
bool health_canary_is_noted(const struct health *h, const struct route *r);
void health_canary_again(struct health *h, const struct route *r);
/* What a request of that route has cost in the end, at the canary or beside it. dear: the canary's mean
 * is above what is allowed of the others', over at least CANARY_COSTS_LEAST requests on each side. */
enum { CANARY_COSTS_LEAST = 20 };
void health_canary_cost(struct health *h, const struct route *r, bool canary, int64_t nano);
bool health_canary_dear(const struct health *h, const struct route *r);

#endif
