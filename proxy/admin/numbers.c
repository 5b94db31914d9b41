/* numbers.c: see numbers.h. */
#include "proxy/admin/numbers.h"

enum { LATELY_MINUTES = 10 };

void numbers_second(struct numbers *n)
{
    n->samples[n->next % NUMBERS_SECONDS] = (struct numbers_sample){
        counter_read(COUNTER_requests), counter_read(COUNTER_requests_failed),
        counter_read(COUNTER_requests_refused), counter_read(COUNTER_cost_nano)};
    n->next++;
    n->taken++;
}

static struct numbers_sample ago(const struct numbers *n, unsigned seconds)
{
    if (n->taken == 0)
        return (struct numbers_sample){0};
    unsigned back = (unsigned)MIN((int64_t)seconds, n->taken - 1);
    return n->samples[(n->next - 1 - back) % NUMBERS_SECONDS];
}

int64_t numbers_rate_milli(const struct numbers *n)
{
    int64_t span = MIN((int64_t)5, n->taken - 1);
    if (span <= 0)
        return 0;
    return (ago(n, 0).requests - ago(n, 5).requests) * 1000 / span;
}

int64_t numbers_error_ppm(const struct numbers *n)
{
    struct numbers_sample now = ago(n, 0), then = ago(n, 60);
    int64_t requests = now.requests - then.requests;
    return requests > 0 ? (now.failed - then.failed) * 1000000 / requests : 0;
}

static int64_t since_asked(const struct numbers *n)
{
    return counter_read(COUNTER_cost_nano) - n->counter_then;
}

int64_t numbers_today_nano(const struct numbers *n)
{
    return n->today_nano + since_asked(n);
}

int64_t numbers_hour_nano(const struct numbers *n)
{
    return n->hour_nano + since_asked(n);
}

int64_t numbers_nano_per_hour(const struct numbers *n)
{
    return (n->lately_nano + since_asked(n)) * (60 / LATELY_MINUTES);
}

void numbers_query(struct store_query *q, int64_t now_ms)
{
    int64_t end = now_ms / 60000 * 60000 + 60000;
    q->kind = STORE_ASK_SUMS;
    q->dimension = STORE_BY_ALL;
    q->to_ms = end;
    q->from_ms = end - NUMBERS_HISTORY * 60000;
    q->buckets = NUMBERS_HISTORY;
    for (int i = 0; i < NUMBERS_HISTORY; i++)
        q->bucket_starts[i] = q->from_ms + (int64_t)i * 60000;
}

void numbers_take_history(struct numbers *n, const struct store_answer *a)
{
    for (size_t i = 0; i < NUMBERS_HISTORY; i++)
        n->history[i] = (struct store_point){0};
    n->hour_nano = n->lately_nano = 0;
    if (a->n == 0)
        return;
    n->hour_nano = a->sums[0].cost_nano;
    for (size_t i = 0; a->sums[0].points && i < NUMBERS_HISTORY; i++)
        n->history[i] = a->sums[0].points[i];
    for (size_t i = NUMBERS_HISTORY - LATELY_MINUTES; i < NUMBERS_HISTORY; i++)
        n->lately_nano += n->history[i].cost_nano;
}
