/* live_past.c: the last changes of the live state, for undo: a ring, each with its own memory. */
#include "proxy/admin/live_state.h"

#include <stdlib.h>

void live_past_free(struct live_past *p)
{
    if (!p)
        return;
    arena_fini(&p->arena);
    free(p);
}

struct live_past *live_past_new(const struct live_change *c)
{
    struct live_past *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    arena_init(&p->arena, 1024, (size_t)LIVE_PARTS_MAX * LIVE_JSON_MAX);
    p->c = *c;
    struct live_part *parts = arena_alloc(&p->arena, c->part_count * sizeof *parts + 1);
    p->c.parts = parts;
    p->c.user = arena_str(&p->arena, c->user);
    p->c.terminal = arena_str(&p->arena, c->terminal);
    p->c.text = arena_str(&p->arena, c->text);
    bool good = parts && p->c.user.p && p->c.terminal.p && p->c.text.p;
    for (size_t i = 0; good && i < c->part_count; i++) {
        parts[i].before_revision = c->parts[i].before_revision;
        parts[i].object = arena_str(&p->arena, c->parts[i].object);
        parts[i].before = arena_str(&p->arena, c->parts[i].before);
        parts[i].after = arena_str(&p->arena, c->parts[i].after);
        good = parts[i].object.p && parts[i].before.p && parts[i].after.p;
    }
    if (good)
        return p;
    live_past_free(p);
    return NULL;
}

struct live_past *live_past_at(const struct live *l, size_t back) /* 0 = newest */
{
    size_t held = MIN(l->next, (size_t)LIVE_HISTORY);
    return back < held ? l->past[(l->next - 1 - back) % LIVE_HISTORY] : NULL;
}

/* Forgets objects that are gone and whose last change can't be undone any more. */
void live_sweep(struct live *l)
{
    const struct live_past *oldest = live_past_at(l, LIVE_HISTORY - 1);
    size_t kept = 0;
    for (size_t i = 0; oldest && i < l->count; i++) {
        struct live_object *o = l->objects[i];
        if (o->json || o->revision >= oldest->c.revision)
            l->objects[kept++] = o;
        else
            live_object_free(o);
    }
    if (oldest)
        l->count = kept;
}

void live_past_push(struct live *l, struct live_past *p)
{
    struct live_past **slot = &l->past[l->next % LIVE_HISTORY];
    live_past_free(*slot);
    *slot = p;
    l->next++;
}

struct live_past *live_past_find(const struct live *l, int64_t revision)
{
    struct live_past *p;
    for (size_t i = 0; (p = live_past_at(l, i)); i++)
        if (p->c.revision == revision)
            return p;
    return NULL;
}
