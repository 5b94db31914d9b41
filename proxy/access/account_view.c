/* account_view.c: what people and reports see of an account: used and left per window, spend an hour, when
 * it runs out. See account.h. */
#include "proxy/access/account_inside.h"

static int64_t used_up_at(int64_t left_nano, int64_t nano_per_hour, int64_t wall_ms)
{
    __int128 ms = (__int128)MAX(left_nano, (int64_t)0) * 3600000 / nano_per_hour;
    return ms > INT64_MAX - wall_ms ? INT64_MAX : wall_ms + (int64_t)ms;
}

int64_t account_runs_out(const struct account_view *v, int64_t wall_ms)
{
    int64_t first = INT64_MAX;
    if (v->rate_nano_per_hour <= 0)
        return -1;
    if (v->credit_nano >= 0)
        first = used_up_at(v->credit_nano, v->rate_nano_per_hour, wall_ms);
    for (int w = 0; w < WINDOW_COUNT; w++) {
        int64_t left = v->window[w].limit - v->window[w].spent - v->window[w].reserved;
        int64_t at = v->window[w].limit < 0 ? INT64_MAX : used_up_at(left, v->rate_nano_per_hour, wall_ms);
        if (w == WINDOW_TOTAL || at < v->window[w].resets_ms)
            first = MIN(first, at);
    }
    return first == INT64_MAX ? -1 : first;
}

static void view_money(const struct account_set *s, const struct account *a,
    struct account_view *out)
{
    out->credit_nano = a->has_credit ? MAX(a->credit, 0) : -1;
    out->balance_nano = a->has_credit ? a->credit : 0;
    out->debt_nano = a->has_credit ? MAX(-a->credit, 0) : 0;
    for (int w = 0; w < WINDOW_COUNT; w++) {
        const struct budget *b = &a->budget[w];
        int64_t limit = account_limit_now(b);
        out->window[w].limit = limit;
        out->window[w].spent = b->spent;
        out->window[w].reserved = b->reserved;
        out->window[w].resets_ms = s->span[w].end;
        if (limit < 0)
            continue;
        out->debt_nano = MAX(out->debt_nano, b->spent - limit);
        __int128 used = ((__int128)b->spent + b->reserved) * 1000000;
        int64_t ppm = limit ? (int64_t)MIN(used / limit, (__int128)1000000000) : 1000000;
        if (ppm > out->tightest_ppm) {
            out->tightest_ppm = ppm;
            out->tightest = (enum window)w;
        }
    }
    int64_t minute = s->wall_ms / 60000;
    for (int i = 0; i < SPEND_SLOTS; i++)
        if (a->spend[i].minute > minute - SPEND_SLOTS)
            out->rate_nano_per_hour = account_add(out->rate_nano_per_hour, a->spend[i].nano);
    out->rate_nano_per_hour = MIN(out->rate_nano_per_hour, NANO_MAX) * 6; /* ten minutes' sum */
}

/* Rates are not looked at: this one is asked for every request. */
int64_t account_tightest_ppm(struct account_set *s, struct account *a, int64_t wall_ms)
{
    struct account_view v = {0};
    pthread_mutex_lock(&s->lock);
    account_tell_time(s, wall_ms);
    account_roll(s, a);
    view_money(s, a, &v);
    pthread_mutex_unlock(&s->lock);
    return v.tightest_ppm;
}

void account_view(struct account_set *s, struct account *a, int64_t wall_ms,
    struct account_view *out)
{
    *out = (struct account_view){0};
    pthread_mutex_lock(&s->lock);
    account_tell_time(s, wall_ms);
    account_roll(s, a);
    view_money(s, a, out);
    out->rpm = a->rpm;
    out->rpm_used = account_minute(a, false, INT64_MAX / 2, 0, s->rate_ms).used;
    out->tpm = a->tpm;
    out->tpm_used = account_minute(a, true, INT64_MAX / 2, 0, s->rate_ms).used;
    out->concurrent = a->concurrent;
    out->running = a->running;
    out->last_ms = a->last_ms;
    pthread_mutex_unlock(&s->lock);
}
