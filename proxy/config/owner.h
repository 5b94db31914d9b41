/* owner.h: what stands behind a struct config: its arena, its count of references, the texts of its
 * objects. Private to this room. */
#ifndef POINTSMAN_CONFIG_OWNER_H
#define POINTSMAN_CONFIG_OWNER_H

#include "proxy/config/config.h"
#include "store/base/arena.h"

struct config_owner {
    struct config config; /* first: what everybody sees */
    _Atomic long references;
    struct arena arena;
    struct config_object *objects;
    size_t object_count;
    void (*release_prices)(struct price_list *);
};

struct config_owner *config_owner_new(void); /* one reference; NULL without memory */

static inline struct config_owner *config_owner(const struct config *c)
{
    return (struct config_owner *)c;
}

/* A small number that a provider's or route's name keeps for the life of the process. */
enum config_id_kind { CONFIG_ID_PROVIDER, CONFIG_ID_ROUTE, CONFIG_ID_KINDS };
unsigned config_stable_id(enum config_id_kind kind, struct str name);

#endif
