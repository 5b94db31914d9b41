/* account_time.c: when one calendar window ends and the next begins, and what a clock that jumps does to
 * them. See the invariants in account.c; the calendar itself is in window.c. */
#include "proxy/access/account_inside.h"

#include <stdlib.h>

enum { APART_MS = 5000 };

/* Takes the time over. Threads read the clock a little apart: a moment just passed is the present
 * one, or each of them would push the sliding minute on. A real step back is left out of it. */
void account_tell_time(struct account_set *s, int64_t wall_ms)
{
    if (wall_ms < s->wall_ms && s->wall_ms - wall_ms < APART_MS)
        return;
    if (s->wall_ms != INT64_MIN && wall_ms > s->wall_ms)
        s->rate_ms += wall_ms - s->wall_ms;
    else if (s->wall_ms == INT64_MIN)
        s->rate_ms = wall_ms;
    s->wall_ms = wall_ms;
    for (int w = 0; w < WINDOW_COUNT; w++)
        if (wall_ms < s->span[w].start || wall_ms >= s->span[w].end)
            window_bounds((enum window)w, s->timezone, wall_ms, &s->span[w].start,
                &s->span[w].end);
}

struct past **account_past(struct budget *b, uint32_t epoch)
{
    struct past **at = &b->past;
    while (*at && (*at)->epoch != epoch)
        at = &(*at)->next;
    return at;
}

/* Without memory the requests that still run lose this one limit; a budget without one needs none. */
static void keep_past(struct budget *b)
{
    struct past *p = b->running > 0 && b->limit >= 0 ? malloc(sizeof *p) : NULL;
    if (!p)
        return;
    *p = (struct past){b->past, b->epoch, b->running, b->spent, b->reserved};
    b->past = p;
}

/* Brings an account's windows to the present time. */
void account_roll(const struct account_set *s, struct account *a)
{
    for (int w = 0; w < WINDOW_COUNT; w++) {
        const struct span *now = &s->span[w];
        struct budget *b = &a->budget[w];
        if (now->start > b->start) {
            keep_past(b);
            b->spent = b->reserved = b->running = 0;
            b->start = now->start;
            b->epoch++;
        } else if (b->start > now->start && b->start - s->wall_ms > now->end - now->start) {
            b->start = now->start;
        }
    }
}

void account_set_timezone(struct account_set *s, struct str zone)
{
    pthread_mutex_lock(&s->lock);
    bool same = str_eq(str_c(s->timezone), zone);
    str_copy(s->timezone, sizeof s->timezone, zone);
    struct span before[WINDOW_COUNT];
    memcpy(before, s->span, sizeof before);
    for (int w = 0; w < WINDOW_COUNT && !same && s->wall_ms != INT64_MIN; w++)
        window_bounds((enum window)w, s->timezone, s->wall_ms, &s->span[w].start, &s->span[w].end);
    for (size_t i = 0; i < BUCKETS && !same; i++)
        for (struct account *a = s->buckets[i]; a; a = a->next)
            for (int w = 0; w < WINDOW_COUNT; w++)
                if (a->budget[w].start == before[w].start) /* the present one, not one long over */
                    a->budget[w].start = s->span[w].start;
    pthread_mutex_unlock(&s->lock);
}

void account_restore(struct account_set *s, struct account *a, enum window w, int64_t wall_ms,
    int64_t spent_nano)
{
    pthread_mutex_lock(&s->lock);
    account_tell_time(s, wall_ms);
    account_roll(s, a);
    a->budget[w].spent = MAX(spent_nano, 0);
    pthread_mutex_unlock(&s->lock);
}

int64_t account_limit_now(const struct budget *b)
{
    bool raised = b->raise > 0 && b->raised_ms >= b->start;
    return b->limit < 0 ? -1 : raised ? account_add(b->limit, b->raise) : b->limit;
}
