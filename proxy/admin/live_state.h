/* live_state.h: inside of live.h: the objects, and how a snapshot is built of them. For live.c,
 * live_build.c and live_keys.c alone. */
#ifndef POINTSMAN_LIVE_STATE_H
#define POINTSMAN_LIVE_STATE_H

#include "proxy/admin/live.h"
#include "store/base/arena.h"

#include <stdatomic.h>

enum {
    LIVE_OBJECTS_MAX = 20000,
    LIVE_JSON_MAX = 64 << 10,  /* bytes of one object */
    LIVE_PARTS_MAX = 1000
};

struct live_object {
    char *name, *json; /* json NULL: it existed once; its revision is remembered for undo */
    size_t json_bytes;
    int64_t revision;          /* of the last change, for "was it changed since?" */
    int64_t made_by;           /* of the change that made this value: older after an undo */
    int64_t until_ms;
};

/* The keys of a snapshot, shared by snapshots until a key changes. Counted: the last snapshot may go
 * in any thread. */
struct live_keys {
    _Atomic long references;
    struct arena arena;
    struct key_table *table;
};

/* A change with its own memory. */
struct live_past {
    struct live_change c;
    struct arena arena;
};

struct live {
    struct live_hooks hooks;
    struct config *config;
    struct account_set *accounts;
    struct live_object **objects; /* in order of name */
    size_t count, cap;
    int64_t revision;
    struct live_past *past[LIVE_HISTORY]; /* ring: the newest at (next - 1) */
    size_t next;
    struct live_keys *keys;       /* of the present state; NULL: to be made again */
};

struct live_object *live_find(const struct live *l, struct str name);
/* Index of the first object whose name is not below `name`. */
size_t live_lower_bound(const struct live *l, struct str name);

void live_object_free(struct live_object *o);

/* live_past.c. A copy in its own memory, or NULL. */
struct live_past *live_past_new(const struct live_change *c);
void live_past_free(struct live_past *p);
void live_past_push(struct live *l, struct live_past *p);      /* takes it; the oldest goes */
struct live_past *live_past_at(const struct live *l, size_t back); /* 0 = newest; NULL past the end */
struct live_past *live_past_find(const struct live *l, int64_t revision);
/* Forgets objects that are gone and whose last change can't be undone any more. */
void live_sweep(struct live *l);

/* Builds a snapshot of the present objects over `config` (borrowed). NULL with *e. */
struct snapshot *live_build(struct live *l, struct config *config, struct err *e);
/* The keys of file and store as one table; one reference. NULL with *e. */
struct live_keys *live_keys_build(const struct live *l, const struct config *config, struct err *e);
void live_keys_put(void *keys);

#endif
