/* numbers.h: the figures in every console's header: rates of the last seconds from the process's
 * counters, history of the last hour and spend of the day from the store's rollups (asked every ten
 * seconds, never waited for). */
#ifndef POINTSMAN_ADMIN_NUMBERS_H
#define POINTSMAN_ADMIN_NUMBERS_H

#include "proxy/event/event.h"
#include "store/query.h"

enum { NUMBERS_SECONDS = 64, NUMBERS_HISTORY = 60 };

struct numbers_sample {
    int64_t requests, failed, refused, cost_nano;
};

struct numbers {
    struct numbers_sample samples[NUMBERS_SECONDS]; /* counters, one a second */
    unsigned next;
    int64_t taken;
    /* From the store, as of the last answer; cost is carried on by the counter. */
    int64_t today_nano, hour_nano, lately_nano, counter_then, asked_ms;
    bool asking;
    struct store_point history[NUMBERS_HISTORY];   /* minutes, oldest first */
    char top_key[64];
};

void numbers_second(struct numbers *n);
/* Requests a second ×1000 over the last 5 s; errors in ppm over the last minute. */
int64_t numbers_rate_milli(const struct numbers *n);
int64_t numbers_error_ppm(const struct numbers *n);
int64_t numbers_today_nano(const struct numbers *n);
int64_t numbers_hour_nano(const struct numbers *n); /* spent in the last hour */
int64_t numbers_nano_per_hour(const struct numbers *n); /* by the last ten minutes, as for a key */

/* The question for the hour's history, minute by minute, up to now. */
void numbers_query(struct store_query *q, int64_t now_ms);
/* Takes its answer. `today_nano` is what the day's own question said; -1: unknown. */
void numbers_take_history(struct numbers *n, const struct store_answer *a);

#endif
