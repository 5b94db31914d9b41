/* health_queue.c: a provider's places and the queue for them, and the small memories of policies.
 * See health.h.
 *
 * A place that is freed goes to the longest waiter, whichever worker it belongs to, and never to a
 * newcomer while somebody waits. ready() is called outside the lock. */
#include "proxy/route/health_state.h"

#include <stdio.h>

static void unlink_waiter(struct provider_health *ph, struct health_waiter *w)
{
    *(w->previous ? &w->previous->next : &ph->first) = w->next;
    *(w->next ? &w->next->previous : &ph->last) = w->previous;
    w->next = w->previous = NULL;
    w->queued = false;
    ph->queued--;
}

bool health_slot_take(struct health *h, const struct provider *p, struct health_waiter *w)
{
    struct provider_health *ph = provider_health(h, p);
    if (!ph)
        return true;
    pthread_mutex_lock(&ph->lock);
    bool taken = !p->max_concurrent || (!ph->first && ph->slots_used < p->max_concurrent);
    if (taken) {
        ph->slots_used++;
    } else {
        w->next = NULL;
        w->previous = ph->last;
        *(ph->last ? &ph->last->next : &ph->first) = w;
        ph->last = w;
        w->queued = true;
        ph->queued++;
    }
    pthread_mutex_unlock(&ph->lock);
    return taken;
}

bool health_slot_cancel(struct health *h, const struct provider *p, struct health_waiter *w)
{
    struct provider_health *ph = provider_health(h, p);
    if (!ph)
        return false;
    pthread_mutex_lock(&ph->lock);
    bool waits = w->queued;
    if (waits)
        unlink_waiter(ph, w);
    pthread_mutex_unlock(&ph->lock);
    return waits;
}

void health_slot_release(struct health *h, const struct provider *p, int64_t now_us)
{
    struct provider_health *ph = provider_health(h, p);
    (void)now_us;
    if (!ph)
        return;
    pthread_mutex_lock(&ph->lock);
    ph->slots_used -= ph->slots_used > 0;
    pthread_mutex_unlock(&ph->lock);
    for (;;) { /* more than one when max_concurrent was raised meanwhile */
        pthread_mutex_lock(&ph->lock);
        struct health_waiter *w = ph->first;
        if (w && p->max_concurrent && ph->slots_used >= p->max_concurrent)
            w = NULL;
        void (*ready)(void *) = w ? w->ready : NULL;
        void *ctx = w ? w->ctx : NULL;
        if (w) {
            unlink_waiter(ph, w);
            ph->slots_used++;
        }
        pthread_mutex_unlock(&ph->lock);
        if (!ready)
            return;
        ready(ctx); /* from here on the waiter belongs to its owner again */
    }
}

void health_note_lack(struct health *h, const struct provider *p, enum health_lack what)
{
    struct provider_health *ph = provider_health(h, p);
    if (!ph)
        return;
    pthread_mutex_lock(&ph->lock);
    ph->lacks |= what;
    pthread_mutex_unlock(&ph->lock);
}

bool health_lacks(const struct health *h, const struct provider *p, enum health_lack what)
{
    struct provider_health *ph = provider_health(h, p);
    if (!ph)
        return false;
    pthread_mutex_lock(&ph->lock);
    bool lacks = ph->lacks & what;
    pthread_mutex_unlock(&ph->lock);
    return lacks;
}

uint64_t health_turn(const struct health *h, unsigned route_id, bool take)
{
    struct health *own = (struct health *)h;
    return h ? atomic_fetch_add_explicit(&own->turns[route_id % TURNS], take, memory_order_relaxed)
             : 0;
}

static uint64_t target_mark(const struct provider *p, struct str model)
{
    return mix_bits(str_hash(model) + p->id * 0x9e3779b97f4a7c15u) & 0xffffff;
}

/* A table of marks without chains: a session that loses its place to another only costs a guess. */
enum { MINUTE_US = 60000000, WARM_MINUTES = 5 };

void health_warm(struct health *h, const struct provider *p, struct str model, struct str session,
    int64_t now_us)
{
    uint64_t s = mix_bits(str_hash(session)), minute = (uint64_t)(now_us / MINUTE_US) & 0xffff;
    if (!h || session.n == 0)
        return;
    uint64_t entry = (s >> 40) << 40 | target_mark(p, model) << 16 | minute;
    atomic_store_explicit(&h->sessions[s % SESSIONS], entry, memory_order_relaxed);
}

bool health_is_warm(const struct health *h, const struct provider *p, struct str model,
    struct str session, int64_t now_us)
{
    uint64_t s = mix_bits(str_hash(session));
    if (!h || session.n == 0)
        return false;
    struct health *own = (struct health *)h;
    uint64_t entry = atomic_load_explicit(&own->sessions[s % SESSIONS], memory_order_relaxed);
    uint64_t age = ((uint64_t)(now_us / MINUTE_US) - entry) & 0xffff;
    return entry >> 16 == ((s >> 40) << 24 | target_mark(p, model)) && age <= WARM_MINUTES;
}

enum { NOTED = 1, COSTS_MOST = 2000 /* then both sides are halved: the latest count most */ };

static uint64_t canary_mark(const struct route *r)
{
    uint64_t mark = target_mark(r->canary.to.provider, r->canary.to.model) << 20 ^
                    (uint64_t)r->canary.share_ppm;
    return (mark | 1u << 31) << 1;
}

static uint64_t canary_now(const struct health *h, const struct route *r)
{
    struct health *own = (struct health *)h;
    return h ? atomic_load_explicit(&own->canaries[r->id % TURNS], memory_order_acquire) : 0;
}

void health_canary_back(const struct health *h, const struct route *r, const char *fault)
{
    struct health *own = (struct health *)h;
    char text[300];
    if (!h || health_canary_is_back(h, r))
        return;
    atomic_store(&own->faults[r->id % TURNS], fault);
    if ((atomic_exchange(&own->canaries[r->id % TURNS], canary_mark(r)) | NOTED) ==
        (canary_mark(r) | NOTED))
        return;
    snprintf(text, sizeof text, "canary of route " STR_FMT " %s; edit the route to try it "
        "anew", STR_ARG(str_first(r->name, 64)), fault);
    health_tell(h, HEALTH_CANARY_BACK, r->canary.to.provider, r->canary.to.model, text);
}

bool health_canary_is_back(const struct health *h, const struct route *r)
{
    return (canary_now(h, r) | NOTED) == (canary_mark(r) | NOTED);
}

const char *health_canary_news(const struct health *h, const struct route *r)
{
    struct health *own = (struct health *)h;
    return canary_now(h, r) == canary_mark(r) ? atomic_load(&own->faults[r->id % TURNS]) : NULL;
}

void health_canary_noted(struct health *h, const struct route *r)
{
    uint64_t news = canary_mark(r);
    (void)atomic_compare_exchange_strong(&h->canaries[r->id % TURNS], &news, news | NOTED);
}

bool health_canary_is_noted(const struct health *h, const struct route *r)
{
    return canary_now(h, r) == (canary_mark(r) | NOTED);
}

void health_canary_again(struct health *h, const struct route *r)
{
    atomic_store(&h->canaries[r->id % TURNS], 0);
    pthread_mutex_lock(&h->lock);
    h->costs[r->id % TURNS] = (struct canary_costs){0};
    pthread_mutex_unlock(&h->lock);
}

void health_canary_cost(struct health *h, const struct route *r, bool canary, int64_t nano)
{
    struct canary_costs *c = &h->costs[r->id % TURNS];
    pthread_mutex_lock(&h->lock);
    if (c->mark != canary_mark(r))
        *c = (struct canary_costs){.mark = canary_mark(r)};
    c->n[canary]++;
    c->nano[canary] += nano;
    for (int side = 0; side < 2; side++)
        if (c->n[side] == COSTS_MOST) {
            c->n[side] /= 2;
            c->nano[side] /= 2;
        }
    pthread_mutex_unlock(&h->lock);
}

bool health_canary_dear(const struct health *h, const struct route *r)
{
    struct health *own = (struct health *)h;
    if (!h)
        return false;
    pthread_mutex_lock(&own->lock);
    struct canary_costs c = own->costs[r->id % TURNS];
    pthread_mutex_unlock(&own->lock);
    return c.mark == canary_mark(r) && MIN(c.n[0], c.n[1]) >= CANARY_COSTS_LEAST &&
           (__int128)c.nano[1] * c.n[0] * 1000000 > (__int128)c.nano[0] * c.n[1] * r->canary.max_cost_ppm;
}
