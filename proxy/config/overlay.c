/* overlay.c: objects that people edited while the gateway runs ("routes": {"fast": {…}}), laid over
 * the file's tree before it is validated: one validator for both, and the file itself is not
 * touched. A member replaces the file's object of that name or adds one. */
#include "proxy/config/overlay.h"

static struct yaml *copy_node(const struct yaml *n, struct arena *a)
{
    struct yaml *c = arena_alloc(a, sizeof *c);
    if (c)
        *c = *n;
    return c;
}

/* A map's members copied into a new list, without the one called `without`. */
static struct yaml *copy_map(const struct yaml *map, struct str without, struct arena *a)
{
    struct yaml *to = copy_node(map, a), **end = to ? &to->first : NULL;
    if (!to)
        return NULL;
    to->count = 0;
    for (const struct yaml *m = map->first; m; m = m->next) {
        if (without.p && str_eq(m->key, without))
            continue;
        if (!(*end = copy_node(m, a)))
            return NULL;
        end = &(*end)->next;
        to->count++;
    }
    *end = NULL;
    return to;
}

/* `map` with `member` in it under its key, last. */
static struct yaml *with_member(const struct yaml *map, const struct yaml *member, struct arena *a)
{
    struct yaml *to = copy_map(map, member->key, a);
    struct yaml *last = to ? copy_node(member, a) : NULL;
    if (!last)
        return NULL;
    struct yaml **end = &to->first;
    while (*end)
        end = &(*end)->next;
    *end = last;
    last->next = NULL;
    to->count++;
    return to;
}

static const struct yaml *member(const struct yaml *map, struct str key)
{
    for (const struct yaml *m = map->first; m; m = m->next)
        if (str_eq(m->key, key))
            return m;
    return NULL;
}

const struct yaml *overlay_lay(const struct yaml *root, const struct yaml *over, struct arena *a)
{
    for (const struct yaml *section = over->first; root && section; section = section->next) {
        const struct yaml *under = member(root, section->key);
        if (!under || under->kind != YAML_MAP || section->kind != YAML_MAP) {
            root = with_member(root, section, a);
            continue;
        }
        struct yaml *merged = copy_node(under, a);
        for (const struct yaml *m = section->first; merged && m; m = m->next)
            merged = with_member(merged, m, a);
        root = merged ? with_member(root, merged, a) : NULL;
    }
    return root;
}
