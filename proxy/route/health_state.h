/* health_state.h: what the files health*.c share. Private to this room. */
#ifndef POINTSMAN_HEALTH_STATE_H
#define POINTSMAN_HEALTH_STATE_H

#include "proxy/route/health.h"

#include <pthread.h>

enum {
    PROVIDERS_MAX = 512,
    TARGETS_MAX = 512,      /* models looked after per provider; the idlest gives way */
    KEYS_MAX = 32,          /* provider keys with a state of their own */
    SLICES = 12,            /* of the last minute, 5 s each */
    SLICE_US = 5000000,
    BUCKETS = 48,           /* of first-token times: 1 ms to 3 h, half a power of two each */
    MINUTE_PARTS = 2,       /* of 30 s */
    HOUR_PARTS = 12,        /* of 5 min */
    TURNS = 1024,
    SESSIONS = 8192
};

struct breaker {
    enum breaker_state state;
    bool by_hand;
    int64_t until_us;        /* open until then; INT64_MAX until cleared */
    int64_t length_us;       /* of the present or last opening */
    int64_t probe_us;        /* when the probe left; 0 = none is under way */
    unsigned in_a_row;       /* failures without a success between them */
};

struct slice {
    int64_t number;          /* time / SLICE_US */
    uint32_t ended, tripping, errors;
};

struct times {               /* of the first token, in parts of a fixed length */
    int64_t number[HOUR_PARTS];
    uint16_t count[HOUR_PARTS][BUCKETS];
};

struct key_rest {
    int64_t until_us;        /* 0 = well */
    unsigned failures;       /* in a row: each doubles the rest */
};

struct measured {            /* kept for a target and for the provider as a whole */
    struct breaker breaker;
    struct slice slices[SLICES];
    double ewma_ttft_us, ewma_total_us;
    int64_t ewma_ttft_at_us, ewma_total_at_us;
    int64_t in_flight;
    int64_t last_error_us;
    char last_error[120];
};

struct target_health {
    char model[200];
    size_t model_bytes;
    int64_t used_us;
    struct measured m;
    struct times minute, hour;
    struct key_rest rest[KEYS_MAX];
};

struct key_limits {          /* as the provider says; -1 unknown */
    int64_t requests_left, requests_limit, requests_reset_us;
    int64_t tokens_left, tokens_limit, tokens_reset_us;
};

struct provider_health {
    pthread_mutex_t lock;    /* of everything below */
    struct measured m;
    struct target_health *targets[TARGETS_MAX];
    size_t target_count;
    struct key_rest dead[KEYS_MAX];
    struct key_limits limits[KEYS_MAX];
    struct health_waiter *first, *last;
    int64_t queued, slots_used;
    unsigned lacks;          /* enum health_lack */
    struct asked_models *models; /* NULL: it was not asked */
};

/* What requests have cost that went to a route's canary [1], and those beside it [0]. */
struct canary_costs {
    uint64_t mark;
    int64_t n[2], nano[2];
};

struct health {
    pthread_mutex_t lock;    /* for making a provider's part, and for costs */
    struct provider_health *_Atomic providers[PROVIDERS_MAX];
    void (*changed)(void *ctx, enum health_change change, const struct provider *p,
        struct str model, const char *text);
    void *changed_ctx;
    _Atomic uint64_t turns[TURNS];
    _Atomic uint64_t sessions[SESSIONS]; /* session mark 24 bits | target mark 24 | minute 16 */
    _Atomic uint64_t canaries[TURNS];    /* what was taken back: a mark of target and share, NOTED */
    _Atomic(const char *) faults[TURNS]; /* why */
    struct canary_costs costs[TURNS];    /* under the lock */
};

/* NULL without memory or past PROVIDERS_MAX: such a provider works, unmeasured. */
struct provider_health *provider_health(const struct health *h, const struct provider *p);
void asked_models_put(struct asked_models *m); /* health_models.c; NULL allowed */
/* Under the provider's lock. `make`: find or make; NULL when it is not there. */
struct target_health *target_health(struct provider_health *ph, struct str model, bool make,
    int64_t now_us);
void health_tell(const struct health *h, enum health_change change, const struct provider *p,
    struct str model, const char *text);

/* Under the lock: until when the key can't be used for that model; 0 = well. `t` may be NULL. */
int64_t key_out_until(const struct provider_health *ph, const struct target_health *t, unsigned key,
    int64_t now_us);
/* Under the lock: fills the fields of keys and limits. */
void view_keys(const struct provider_health *ph, const struct target_health *t,
    const struct provider *p, int64_t now_us, struct health_view *out);

#endif
