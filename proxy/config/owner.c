/* owner.c: the life of a struct config, and the numbers that outlive it.
 *
 * Health is kept per provider id: a reload must not hand the figures of one provider to another, so
 * a name keeps its number until the process ends. */
#include "proxy/config/owner.h"
#include "store/base/secret.h"

#include <pthread.h>
#include <stdlib.h>

enum { CONFIG_BLOCK = 16 << 10, CONFIG_MEMORY_MAX = 64 << 20 };

struct config_owner *config_owner_new(void)
{
    struct config_owner *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    arena_init(&o->arena, CONFIG_BLOCK, CONFIG_MEMORY_MAX);
    o->references = 1;
    return o;
}

struct config *config_get(const struct config *c)
{
    struct config_owner *o = config_owner(c);
    atomic_fetch_add_explicit(&o->references, 1, memory_order_relaxed);
    return &o->config;
}

static void wipe(struct str s)
{
    if (s.n)
        secret_wipe((void *)(uintptr_t)s.p, s.n);
}

void config_put(const struct config *c)
{
    struct config_owner *o = config_owner(c);
    if (!o || atomic_fetch_sub_explicit(&o->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < c->provider_count; i++)
        for (size_t k = 0; k < c->providers[i].key_count; k++)
            wipe(c->providers[i].keys[k].secret);
    for (size_t i = 0; i < c->key_count; i++)
        wipe(c->keys[i].secret);
    if (c->prices && o->release_prices)
        o->release_prices(c->prices);
    arena_fini(&o->arena);
    free(o);
}

void config_digest_keys(struct config *c, void (*digest)(struct str secret, unsigned char out[32]))
{
    struct key *keys = (struct key *)(uintptr_t)c->keys; /* not yet published: ours to write */
    for (size_t i = 0; i < c->key_count; i++) {
        if (!keys[i].secret.n)
            continue;
        digest(keys[i].secret, keys[i].digest);
        wipe(keys[i].secret);
        keys[i].secret = STR_NULL;
    }
}

void config_set_prices(struct config *c, struct price_list *prices,
    void (*release)(struct price_list *))
{
    c->prices = prices;
    config_owner(c)->release_prices = release;
}

size_t config_objects(const struct config *c, const struct config_object **out)
{
    *out = config_owner(c)->objects;
    return config_owner(c)->object_count;
}

struct id_table {
    char **names;
    size_t count, room;
};

unsigned config_stable_id(enum config_id_kind kind, struct str name)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct id_table tables[CONFIG_ID_KINDS];
    struct id_table *t = &tables[kind];
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < t->count && !str_eq(str_c(t->names[i]), name))
        i++;
    if (i == t->count) {
        if (t->count == t->room) {
            size_t room = t->room ? t->room * 2 : 16;
            char **more = realloc(t->names, room * sizeof *more);
            if (more) {
                t->names = more;
                t->room = room;
            }
        }
        char *kept = t->count < t->room ? str_dup(name) : NULL;
        if (kept)
            t->names[t->count++] = kept;
        else
            i = 0; /* without memory the figures are shared: wrong, never out of bounds */
    }
    pthread_mutex_unlock(&lock);
    return (unsigned)i;
}
