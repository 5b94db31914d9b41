/* snapshot.c: see snapshot.h. The current snapshot is one pointer; the lock covers only its swap and
 * the taking of a reference (a few ns, no I/O), since a reader between load and increment could
 * otherwise meet a freed one. Workers read the generation first and come here only after a change.
 *
 * A provider that the file itself marks `drained: yes` is listed with those drained by hand, so that
 * the planner looks at one list. */
#include "proxy/config/config.h"
#include "store/base/arena.h"

#include <pthread.h>
#include <stdlib.h>

enum { SNAPSHOT_BLOCK = 1024, SNAPSHOT_MAX = 16 << 20 };

struct snapshot_owner {
    struct snapshot s; /* first: what everybody sees */
    struct arena arena;
    void (*free_keys)(void *ctx);
    void *free_keys_ctx;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct snapshot *current;
static _Atomic uint64_t generation;

static struct str copy(struct arena *a, struct str s, bool *bad)
{
    struct str c = arena_str(a, s);
    *bad = *bad || !c.p;
    return c;
}

static bool copy_overrides(struct snapshot_owner *o, const struct snapshot_parts *parts)
{
    bool bad = false;
    size_t n = parts->override_count;
    struct override *to = arena_zalloc(&o->arena, n * sizeof *to + 1);
    if (!to)
        return false;
    for (size_t i = 0; i < n; i++) {
        to[i] = parts->overrides[i];
        to[i].name = copy(&o->arena, to[i].name, &bad);
        to[i].scope_name = copy(&o->arena, to[i].scope_name, &bad);
        to[i].to = copy(&o->arena, to[i].to, &bad);
        to[i].who = copy(&o->arena, to[i].who, &bad);
    }
    o->s.overrides = to;
    o->s.override_count = n;
    return !bad;
}

static bool copy_drained(struct snapshot_owner *o, const struct snapshot_parts *parts)
{
    bool bad = false;
    const struct config *c = parts->config;
    size_t most = parts->drained_count + c->provider_count, n = 0;
    struct drained *to = arena_alloc(&o->arena, most * sizeof *to + 1);
    if (!to)
        return false;
    for (size_t i = 0; i < parts->drained_count; i++)
        to[n++] = (struct drained){copy(&o->arena, parts->drained[i].name, &bad),
            copy(&o->arena, parts->drained[i].to, &bad)};
    for (size_t i = 0; i < c->provider_count; i++)
        if (c->providers[i].drained) /* these texts live with the config */
            to[n++] = (struct drained){c->providers[i].name, c->providers[i].drained_to};
    o->s.drained = to;
    o->s.drained_count = n;
    return !bad;
}

static bool copy_taken_back(struct snapshot_owner *o, const struct snapshot_parts *parts)
{
    bool bad = false;
    struct str *to = arena_alloc(&o->arena, parts->taken_back_count * sizeof *to + 1);
    for (size_t i = 0; to && i < parts->taken_back_count; i++)
        to[i] = copy(&o->arena, parts->taken_back[i], &bad);
    o->s.taken_back = to;
    o->s.taken_back_count = parts->taken_back_count;
    return to && !bad;
}

struct snapshot *snapshot_new(const struct snapshot_parts *parts)
{
    struct snapshot_owner *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    arena_init(&o->arena, SNAPSHOT_BLOCK, SNAPSHOT_MAX);
    if (!copy_overrides(o, parts) || !copy_drained(o, parts) || !copy_taken_back(o, parts)) {
        arena_fini(&o->arena);
        free(o);
        return NULL;
    }
    o->s.references = 1;
    o->s.config = parts->config;
    o->s.keys = parts->keys;
    o->s.revision = parts->revision;
    o->free_keys = parts->free_keys;
    o->free_keys_ctx = parts->free_keys_ctx;
    return &o->s;
}

struct snapshot *snapshot_get(struct snapshot *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void snapshot_put(struct snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    struct snapshot_owner *o = (struct snapshot_owner *)s;
    if (o->free_keys)
        o->free_keys(o->free_keys_ctx);
    config_put(s->config);
    arena_fini(&o->arena);
    free(o);
}

uint64_t snapshot_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_acquire);
}

struct snapshot *snapshot_current(void)
{
    pthread_mutex_lock(&lock);
    struct snapshot *s = current ? snapshot_get(current) : NULL;
    pthread_mutex_unlock(&lock);
    return s;
}

void snapshot_publish(struct snapshot *next)
{
    pthread_mutex_lock(&lock);
    struct snapshot *old = current;
    uint64_t number = atomic_load_explicit(&generation, memory_order_relaxed) + 1;
    if (next)
        next->generation = number;
    current = next;
    atomic_store_explicit(&generation, number, memory_order_release);
    pthread_mutex_unlock(&lock);
    snapshot_put(old);
}
