/* overlay.c: objects that people edited while the gateway runs ("routes": {"fast": {…}}), laid over
 * the file's tree before it is validated: one validator for both, and the file itself is not
 * touched. A member takes the place of the file's object of that name (the order of patterns matters),
 * a new one stands last, null takes one away. */
#include "proxy/config/overlay.h"

static const struct yaml *member(const struct yaml *map, struct str key)
{
    for (const struct yaml *c = map->first; c; c = c->next)
        if (str_eq(c->key, key))
            return c;
    return NULL;
}

/* A complaint about an edited object must not point into the file. */
static void forget_place(struct yaml *n)
{
    n->line = n->column = n->key_line = n->key_column = 0;
    for (struct yaml *c = n->first; c; c = c->next)
        forget_place(c); /* at most YAML_DEPTH_MAX levels */
}

/* A copy of `map` without its members: its chain may be shared by an alias. */
static struct yaml *emptied(const struct yaml *map, struct arena *a)
{
    struct yaml *c = arena_alloc(a, sizeof *c);
    if (!c)
        return NULL;
    *c = *map;
    c->first = NULL;
    c->count = 0;
    return c;
}

static bool append(struct yaml *map, struct yaml **tail, const struct yaml *n, struct arena *a)
{
    struct yaml *c = arena_alloc(a, sizeof *c);
    if (!c)
        return false;
    *c = *n;
    c->next = NULL;
    *(*tail ? &(*tail)->next : &map->first) = c;
    *tail = c;
    map->count++;
    map->weight += c->weight;
    return true;
}

/* Two maps member by member; `depth` levels of maps are merged, below that a member is replaced. */
static const struct yaml *lay(const struct yaml *under, const struct yaml *over, unsigned depth,
    struct arena *a)
{
    struct yaml *to = emptied(under, a), *tail = NULL;
    bool ok = to != NULL;
    for (const struct yaml *c = under->first; ok && c; c = c->next) {
        const struct yaml *new = member(over, c->key);
        if (new && new->kind == YAML_NULL)
            continue;
        if (new && depth && new->kind == YAML_MAP && c->kind == YAML_MAP)
            new = lay(c, new, depth - 1, a);
        ok = append(to, &tail, new ? new : c, a);
    }
    for (const struct yaml *c = over->first; ok && c; c = c->next)
        if (c->kind != YAML_NULL && !member(under, c->key))
            ok = append(to, &tail, c, a);
    return ok ? to : NULL;
}

const struct yaml *overlay_lay(const struct yaml *root, struct yaml *over, struct arena *a)
{
    forget_place(over);
    return lay(root, over, 1, a);
}
