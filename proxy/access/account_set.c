/* account_set.c: the accounts by name, made when new and never removed, and what they are told: limits of
 * each new snapshot, credit, grants. See account.h. */
#include "proxy/access/account_inside.h"

#include <stdlib.h>

struct account_set *account_set_new(struct str zone)
{
    struct account_set *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    str_copy(s->timezone, sizeof s->timezone, zone);
    for (int w = 0; w < WINDOW_COUNT; w++)
        s->span[w] = (struct span){INT64_MAX, INT64_MIN}; /* holds no moment yet */
    s->wall_ms = INT64_MIN;
    return s;
}

static void free_past(struct budget *b)
{
    while (b->past) {
        struct past *p = b->past;
        b->past = p->next;
        free(p);
    }
}

void account_set_free(struct account_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (s->buckets[i]) {
            struct account *a = s->buckets[i];
            s->buckets[i] = a->next;
            for (int w = 0; w < WINDOW_COUNT; w++)
                free_past(&a->budget[w]);
            free(a->name);
            free(a);
        }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct account *account_new(enum account_kind kind, struct str name)
{
    struct account *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->kind = kind;
    a->name = str_dup(name);
    a->name_bytes = name.n;
    for (int w = 0; w < WINDOW_COUNT; w++)
        a->budget[w] = (struct budget){.limit = -1, .start = INT64_MIN};
    for (int i = 0; i < RATE_SLOTS; i++)
        a->rate[i].second = INT64_MIN;
    if (a->name)
        return a;
    free(a);
    return NULL;
}

struct account *account_get(struct account_set *s, enum account_kind kind, struct str name)
{
    struct account **bucket = &s->buckets[(str_hash(name) + (unsigned)kind) % BUCKETS], *a;
    pthread_mutex_lock(&s->lock);
    for (a = *bucket; a; a = a->next)
        if (a->kind == kind && str_eq(str_n(a->name, a->name_bytes), name))
            break;
    if (!a && (a = account_new(kind, name))) {
        a->next = *bucket;
        *bucket = a;
    }
    pthread_mutex_unlock(&s->lock);
    return a;
}

enum account_kind account_kind(const struct account *a)
{
    return a->kind;
}

struct str account_name(const struct account *a)
{
    return str_n(a->name, a->name_bytes);
}
void account_each(struct account_set *s, void (*fn)(void *ctx, struct account *a), void *ctx)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        pthread_mutex_lock(&s->lock);
        struct account *a = s->buckets[i];
        pthread_mutex_unlock(&s->lock);
        for (; a; a = a->next) /* accounts are never removed, and new ones come in front */
            fn(ctx, a);
    }
}

void account_set_limits(struct account_set *s, struct account *a, const struct budget_limit *limits,
    size_t n, int64_t rpm, int64_t tpm, int64_t concurrent)
{
    pthread_mutex_lock(&s->lock);
    for (int w = 0; w < WINDOW_COUNT; w++) {
        a->budget[w].limit = -1;
        a->budget[w].raise = 0;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned)limits[i].window >= WINDOW_COUNT)
            continue;
        struct budget *b = &a->budget[limits[i].window];
        b->limit = MAX(limits[i].limit_nano, 0);
        b->raise = MAX(limits[i].raise_nano, 0);
        b->raised_ms = limits[i].raised_ms;
    }
    a->rpm = MAX(rpm, 0);
    a->tpm = MAX(tpm, 0);
    a->concurrent = MAX(concurrent, 0);
    pthread_mutex_unlock(&s->lock);
}

void account_set_credit(struct account_set *s, struct account *a, int64_t nano)
{
    pthread_mutex_lock(&s->lock);
    a->has_credit = nano >= 0;
    a->credit = MAX(nano, 0);
    pthread_mutex_unlock(&s->lock);
}
bool account_limits_money(struct account_set *s, struct account *a)
{
    pthread_mutex_lock(&s->lock);
    bool limited = a->has_credit;
    for (int w = 0; w < WINDOW_COUNT; w++)
        limited |= a->budget[w].limit >= 0;
    pthread_mutex_unlock(&s->lock);
    return limited;
}

void account_grant(struct account_set *s, struct account *a, int64_t nano)
{
    pthread_mutex_lock(&s->lock);
    a->has_credit = true;
    a->credit = account_add(a->credit, nano);
    pthread_mutex_unlock(&s->lock);
}

bool account_take_credit(struct account_set *s, struct account *a, int64_t nano)
{
    pthread_mutex_lock(&s->lock);
    bool enough = a->has_credit && nano > 0 && a->credit - a->credit_reserved >= nano;
    a->credit -= enough ? nano : 0;
    pthread_mutex_unlock(&s->lock);
    return enough;
}
