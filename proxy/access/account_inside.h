/* account_inside.h: how the counters lie in memory, for account*.c alone; account.c opens with their
 * invariants. Everything here is touched under the lock of the set. */
#ifndef POINTSMAN_ACCOUNT_INSIDE_H
#define POINTSMAN_ACCOUNT_INSIDE_H

#include "proxy/access/account.h"

#include <pthread.h>

enum {
    RATE_SLOTS = 64,  /* of one second; a sliding minute spans up to 61 of them */
    SPEND_SLOTS = 10, /* of one minute, for the present rate */
    BUCKETS = 1024
};
#define NANO_MAX ((int64_t)1 << 60) /* over a billion USD: sums stay in range */

struct past {
    struct past *next;
    uint32_t epoch;
    int64_t running, spent, reserved;
};

struct budget {
    int64_t limit; /* -1: none */
    int64_t raise, raised_ms; /* once, for the window that holds raised_ms */
    int64_t spent, reserved;
    int64_t running; /* requests made in this window */
    struct past *past;
    int64_t start; /* wall ms of the window; INT64_MIN before the first use */
    uint32_t epoch; /* counts windows */
};

struct rate_slot {
    int64_t second, requests, tokens;
};

struct account {
    struct account *next; /* in its bucket */
    enum account_kind kind;
    char *name;
    size_t name_bytes;
    struct budget budget[WINDOW_COUNT];
    bool has_credit;
    int64_t credit, credit_reserved;
    int64_t rpm, tpm, concurrent; /* 0: no limit */
    int64_t running, last_ms;
    struct rate_slot rate[RATE_SLOTS];
    struct { int64_t minute, nano; } spend[SPEND_SLOTS];
};

struct span {
    int64_t start, end;
};

struct account_set {
    pthread_mutex_t lock;
    char timezone[64];
    struct span span[WINDOW_COUNT]; /* the present windows */
    int64_t wall_ms;                /* as last told */
    int64_t rate_ms;                /* the time that never goes back */
    struct account *buckets[BUCKETS];
};

/* The sum, held at the ends of its range. */
static inline int64_t account_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

/* Takes the time over, for the whole set. */
void account_tell_time(struct account_set *s, int64_t wall_ms);
/* Brings an account's windows to the present time. */
void account_roll(const struct account_set *s, struct account *a);
/* Where the window of that epoch is linked in; *place is NULL when it is not kept. */
struct past **account_past(struct budget *b, uint32_t epoch);
/* The limit in force, a raise for this window included; -1: none. */
int64_t account_limit_now(const struct budget *b);

/* What the last minute holds, and when enough of it has gone by for `asked` more. */
struct minute {
    int64_t used, wait_ms;
};
struct minute account_minute(const struct account *a, bool tokens, int64_t limit, int64_t asked,
    int64_t rate_ms);

#endif
