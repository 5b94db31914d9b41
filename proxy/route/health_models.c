/* health_models.c: what providers said that they have, when they were asked for their list. A list is
 * made once and then only read, under a count of its readers; a newer one takes its place. */
#include "proxy/route/health_state.h"

#include <stdlib.h>

struct asked_models {
    _Atomic unsigned references;
    int64_t asked_ms;
    uint64_t url;            /* of what address: another one may have other models */
    size_t n;
    struct str names[];      /* their bytes lie behind them */
};

void asked_models_put(struct asked_models *m)
{
    if (m && atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) == 1)
        free(m);
}

static bool fits(struct str name)
{
    if (!name.n || name.n > HEALTH_MODEL_BYTES)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f)
            return false;
    return true;
}

static struct asked_models *make(const struct str *names, size_t n)
{
    size_t bytes = 0, room = MIN(n, (size_t)HEALTH_MODELS_MAX);
    for (size_t i = 0; i < n; i++)
        bytes += fits(names[i]) ? names[i].n : 0;
    struct asked_models *m = calloc(1, sizeof *m + room * sizeof *m->names + bytes);
    char *to = m ? (char *)(m->names + room) : NULL;
    for (size_t i = 0; m && i < n && m->n < room; i++) {
        if (!fits(names[i]))
            continue;
        memcpy(to, names[i].p, names[i].n);
        m->names[m->n++] = str_n(to, names[i].n);
        to += names[i].n;
    }
    return m;
}

void health_note_models(struct health *h, const struct provider *p, const struct str *names, size_t n,
    int64_t wall_ms)
{
    struct provider_health *ph = provider_health(h, p);
    struct asked_models *m = ph ? make(names, n) : NULL, *old;
    if (!m)
        return;
    m->references = 1;
    m->asked_ms = wall_ms;
    m->url = str_hash(p->base_url);
    pthread_mutex_lock(&ph->lock);
    old = ph->models;
    if (n || !old || old->url != m->url) {
        ph->models = m;
    } else { /* no answer this time: what it said before stands */
        old->asked_ms = wall_ms;
        old = m;
    }
    pthread_mutex_unlock(&ph->lock);
    asked_models_put(old);
}

/* Given back with asked_models_put(). NULL: it was not asked at this address. */
static struct asked_models *list_of(const struct health *h, const struct provider *p, int64_t *asked_ms)
{
    struct provider_health *ph = h ? provider_health(h, p) : NULL;
    struct asked_models *m = NULL;
    if (!ph)
        return NULL;
    pthread_mutex_lock(&ph->lock);
    if (ph->models && ph->models->url == str_hash(p->base_url)) {
        m = ph->models;
        *asked_ms = m->asked_ms;
        atomic_fetch_add_explicit(&m->references, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&ph->lock);
    return m;
}

int64_t health_models_asked_ms(const struct health *h, const struct provider *p)
{
    int64_t asked_ms = 0;
    asked_models_put(list_of(h, p, &asked_ms));
    return asked_ms;
}

bool health_has_model(const struct health *h, const struct provider *p, struct str model)
{
    int64_t asked_ms;
    struct asked_models *m = list_of(h, p, &asked_ms);
    bool found = false;
    for (size_t i = 0; m && i < m->n && !found; i++)
        found = str_starts(m->names[i], model) && (m->names[i].n == model.n ||
            str_eq(str_from(m->names[i], model.n), STR(":latest")));
    asked_models_put(m);
    return found;
}

size_t health_each_model(const struct health *h, const struct provider *p,
    void (*fn)(void *ctx, struct str model), void *ctx)
{
    int64_t asked_ms;
    struct asked_models *m = list_of(h, p, &asked_ms);
    size_t n = m ? m->n : 0;
    for (size_t i = 0; i < n; i++)
        fn(ctx, m->names[i]);
    asked_models_put(m);
    return n;
}
