/* live.c: see live.h. Objects in an array sorted by name; a change is tried on them, a snapshot is
 * built, and only when that has worked is it published, kept and told; else the objects go back. */
#include "proxy/admin/live_state.h"
#include "proxy/config/config.h"
#include "store/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const kinds[] = {"override/", "drain/", "route/", "provider/", "canary/", "profile/",
    "key/", "secret/"};

/* ---- the objects ---- */

size_t live_lower_bound(const struct live *l, struct str name)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (str_cmp(str_c(l->objects[mid]->name), name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct live_object *live_find(const struct live *l, struct str name)
{
    size_t i = live_lower_bound(l, name);
    return i < l->count && str_eq(str_c(l->objects[i]->name), name) ? l->objects[i] : NULL;
}

static struct live_object *object_make(struct live *l, struct str name)
{
    struct live_object *o = live_find(l, name);
    if (o)
        return o;
    if (l->count == LIVE_OBJECTS_MAX)
        return NULL;
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 32;
        struct live_object **more = realloc(l->objects, cap * sizeof(struct live_object *));
        if (!more)
            return NULL;
        l->objects = more;
        l->cap = cap;
    }
    o = calloc(1, sizeof *o);
    if (!o || !(o->name = str_dup(name))) {
        free(o);
        return NULL;
    }
    size_t at = live_lower_bound(l, name);
    memmove(l->objects + at + 1, l->objects + at, (l->count - at) * sizeof(struct live_object *));
    l->objects[at] = o;
    l->count++;
    return o;
}

void live_object_free(struct live_object *o)
{
    free(o->name);
    free(o->json);
    free(o);
}

static struct str object_json(const struct live_object *o)
{
    return o && o->json ? str_n(o->json, o->json_bytes) : STR_NULL;
}

/* Takes `json` (may be NULL) over; the time of return is read out of it once. */
static void object_set(struct live_object *o, char *json, size_t n)
{
    o->json = json;
    o->json_bytes = json ? n : 0;
    struct json *j = json ? json_parse(str_n(json, n), NULL) : NULL;
    o->until_ms = json_int(j, "until_ms", 0);
    json_free(j);
}

static int check_part(const struct live_part *p, struct err *e)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        known = known || (str_starts(p->object, str_c(kinds[i])) &&
                             p->object.n > strlen(kinds[i]));
    if (!known || p->object.n > LIVE_NAME_MAX)
        return err_set(e, ERR_UNKNOWN, "no live object is called \"" STR_FMT "\"",
            STR_ARG(str_first(p->object, 80)));
    if (p->after.n > LIVE_JSON_MAX)
        return err_set(e, ERR_LIMIT, STR_FMT ": more than %d bytes", STR_ARG(p->object),
            LIVE_JSON_MAX);
    if (p->after.n == 0)
        return 0;
    struct json *j = json_parse(p->after, e);
    if (!j)
        return err_context(e, -ERR_SYNTAX, STR_FMT, STR_ARG(p->object));
    bool object = json_is_object(j);
    json_free(j);
    return object ? 0
                  : err_set(e, ERR_TYPE, STR_FMT ": an object is expected", STR_ARG(p->object));
}

/* ---- a change ---- */

static bool can_be_undone(const struct live_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts(parts[i].object, STR("secret/")))
            return false;
    return true;
}

/* What the objects held before, so that a change that fails leaves no trace. */
struct undo_note {
    struct live_object *object;
    char *json;
    size_t json_bytes;
    int64_t revision, made_by;
};

static bool touches(const struct live_part *parts, size_t n, const char *a, const char *b)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts(parts[i].object, str_c(a)) || str_starts(parts[i].object, str_c(b)))
            return true;
    return false;
}

static void put_back(struct undo_note *notes, size_t n)
{
    while (n-- > 0) {
        free(notes[n].object->json);
        object_set(notes[n].object, notes[n].json, notes[n].json_bytes);
        notes[n].object->revision = notes[n].revision;
        notes[n].object->made_by = notes[n].made_by;
    }
}

static int put_all(struct live *l, const struct live_part *parts, size_t n, struct undo_note *notes,
    struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct live_object *o = object_make(l, parts[i].object);
        char *json = o && parts[i].after.n ? str_dup(parts[i].after) : NULL;
        if (!o || (parts[i].after.n && !json)) {
            put_back(notes, i);
            return err_set(e, ERR_FULL, "no room for more live objects (%d)", LIVE_OBJECTS_MAX);
        }
        notes[i] = (struct undo_note){o, o->json, o->json_bytes, o->revision, o->made_by};
        object_set(o, json, parts[i].after.n);
        o->revision = o->made_by = l->revision;
    }
    return 0;
}

/* The configuration that the changed objects need: the present one, or one with new overlays. */
static struct config *config_for(struct live *l, bool overlay_changed, struct err *e)
{
    if (!overlay_changed)
        return config_get(l->config);
    if (!l->hooks.configure) {
        err_set(e, ERR_UNSUPPORTED, "rules can't be edited here");
        return NULL;
    }
    struct buf overlay;
    buf_init(&overlay, (size_t)16 << 20);
    live_overlay(l, &overlay);
    struct config *c = NULL;
    if (overlay.err)
        err_set(e, ERR_NOMEM, "out of memory");
    else
        c = l->hooks.configure(l->hooks.ctx, buf_str(&overlay), e);
    buf_fini(&overlay);
    return c;
}

/* Puts the parts in and builds what they make; on failure the objects are as they were. */
static int stage(struct live *l, const struct live_part *parts, size_t n, struct undo_note *notes,
    struct config **config, struct snapshot **snapshot, struct err *e)
{
    int rc = put_all(l, parts, n, notes, e);
    if (rc < 0)
        return rc;
    struct live_keys *keys = l->keys;
    bool overlay = touches(parts, n, "route/", "provider/");
    if (overlay || touches(parts, n, "key/", "secret/"))
        l->keys = NULL;
    struct err why = {0};
    *config = config_for(l, overlay, &why);
    *snapshot = *config ? live_build(l, *config, &why) : NULL;
    if (*snapshot) {
        if (l->keys != keys)
            live_keys_put(keys);
        return 0;
    }
    if (l->keys != keys)
        live_keys_put(l->keys);
    l->keys = keys;
    if (*config)
        config_put(*config);
    put_back(notes, n);
    return err_set(e, why.code ? why.code : ERR_NOMEM, "%s", why.code ? why.text : "out of memory");
}

static int check_all(const struct live *l, const struct live_part *parts, size_t n, int64_t expect,
    struct err *e)
{
    if (n == 0 || n > LIVE_PARTS_MAX)
        return err_set(e, ERR_RANGE, "a change has 1 to %d objects", LIVE_PARTS_MAX);
    for (size_t i = 0; i < n; i++) {
        int rc = check_part(&parts[i], e);
        if (rc < 0)
            return rc;
        int64_t newest = live_object_revision(l, parts[i].object);
        if (expect < 0 || newest <= expect)
            continue;
        const struct live_past *p = live_past_find(l, newest);
        return err_set(e, ERR_CONFLICT, STR_FMT " was changed in revision %lld%s" STR_FMT
            ": look at it, then try again", STR_ARG(parts[i].object), (long long)newest,
            p ? " by " : "", STR_ARG(p ? p->c.user : STR_NULL));
    }
    return 0;
}

/* The change is in force: remember, keep, tell. */
static void commit(struct live *l, struct live_past *past, struct undo_note *notes)
{
    for (size_t i = 0; i < past->c.part_count; i++) {
        free(notes[i].json);
        if (l->hooks.keep)
            l->hooks.keep(l->hooks.ctx, past->c.parts[i].object, past->c.parts[i].after,
                past->c.revision);
    }
    live_past_push(l, past);
    live_sweep(l);
    if (l->hooks.changed)
        l->hooks.changed(l->hooks.ctx, &past->c);
}

static int64_t made_by(const struct live *l, struct str object)
{
    const struct live_object *o = live_find(l, object);
    return o ? o->made_by : 0;
}

static struct live_past *make_past(struct live *l, const struct live_who *who,
    const struct live_part *parts, size_t n, struct str text, int64_t undoes)
{
    struct live_part *full = calloc(n, sizeof *full);
    if (!full)
        return NULL;
    for (size_t i = 0; i < n; i++)
        full[i] = (struct live_part){parts[i].object, object_json(live_find(l, parts[i].object)),
            parts[i].after, made_by(l, parts[i].object)};
    struct live_change c = {.revision = l->revision + 1, .time_ms = clock_wall_ms(),
        .uid = who->uid, .undoes = undoes, .user = who->user, .terminal = who->terminal,
        .text = text, .parts = full, .part_count = n, .undoable = can_be_undone(parts, n)};
    struct live_past *p = live_past_new(&c);
    free(full);
    return p;
}

static int apply(struct live *l, const struct live_who *who, const struct live_part *parts, size_t n,
    struct str text, int64_t undoes, struct err *e)
{
    struct undo_note *notes = calloc(n, sizeof *notes);
    struct live_past *past = notes ? make_past(l, who, parts, n, text, undoes) : NULL;
    struct config *config = NULL;
    struct snapshot *snapshot = NULL;
    int rc = past ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        l->revision++; /* before the build: the snapshot carries it */
        rc = stage(l, parts, n, notes, &config, &snapshot, e);
    }
    if (rc < 0) {
        if (past)
            l->revision--;
        live_past_free(past);
        free(notes);
        return rc;
    }
    config_put(l->config);
    l->config = config;
    l->hooks.publish(l->hooks.ctx, snapshot);
    commit(l, past, notes);
    free(notes);
    return 0;
}

int live_apply(struct live *l, const struct live_who *who, const struct live_part *parts, size_t n,
    struct str text, int64_t expect, int64_t *revision, struct err *e)
{
    int rc = check_all(l, parts, n, expect, e);
    if (rc == 0)
        rc = apply(l, who, parts, n, text, 0, e);
    if (rc == 0 && revision)
        *revision = l->revision;
    return rc;
}

int live_try(struct live *l, const struct live_part *parts, size_t n, struct err *e)
{
    struct snapshot *snapshot;
    int rc = live_trial(l, parts, n, &snapshot, e);
    if (rc == 0)
        snapshot_put(snapshot);
    return rc;
}

int live_trial(struct live *l, const struct live_part *parts, size_t n, struct snapshot **out,
    struct err *e)
{
    int rc = check_all(l, parts, n, -1, e);
    struct undo_note *notes = rc == 0 ? calloc(n, sizeof *notes) : NULL;
    if (!notes)
        return rc < 0 ? rc : err_set(e, ERR_NOMEM, "out of memory");
    struct config *config = NULL;
    rc = stage(l, parts, n, notes, &config, out, e);
    if (rc == 0) {
        config_put(config);
        put_back(notes, n);
        live_keys_put(l->keys);
        l->keys = NULL;
    }
    free(notes);
    return rc;
}

/* ---- undo ---- */

static int list_last(const struct live *l, struct err *e)
{
    char text[400];
    size_t at = 0;
    const struct live_past *p;
    for (size_t i = 0, n = 0; n < 5 && (p = live_past_at(l, i)); i++) {
        if (!p->c.undoable || p->c.undone_by || at + 90 > sizeof text)
            continue;
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%lld " STR_FMT ": " STR_FMT,
            n++ ? "; " : "", (long long)p->c.revision, STR_ARG(str_first(p->c.user, 16)),
            STR_ARG(str_first(p->c.text, 50)));
    }
    return err_set(e, ERR_NOT_FOUND, at ? "nothing of yours to undo; the last changes: %s"
                                        : "nothing to undo%s", at ? text : "");
}

static struct live_past *own_latest(const struct live *l, int64_t uid)
{
    struct live_past *p;
    for (size_t i = 0; (p = live_past_at(l, i)); i++)
        if (p->c.uid == uid && p->c.undoable && !p->c.undone_by && !p->c.undoes)
            return p;
    return NULL;
}

/* Every object must still be as this change left it. */
static int check_untouched(const struct live *l, const struct live_past *p, struct err *e)
{
    for (size_t i = 0; i < p->c.part_count; i++) {
        int64_t newest = made_by(l, p->c.parts[i].object);
        if (newest == p->c.revision)
            continue;
        const struct live_past *other = live_past_find(l, newest);
        return err_set(e, ERR_CONFLICT, "revision %lld was overwritten by revision %lld (" STR_FMT
            ": " STR_FMT "); undo that one first", (long long)p->c.revision, (long long)newest,
            STR_ARG(other ? other->c.user : STR("?")),
            STR_ARG(other ? str_first(other->c.text, 120) : STR("?")));
    }
    return 0;
}

/* The values are those of before, so they count as made by whoever had made them. */
static void mark_undone(struct live *l, struct live_past *p)
{
    p->c.undone_by = l->revision;
    for (size_t i = 0; i < p->c.part_count; i++) {
        struct live_object *o = live_find(l, p->c.parts[i].object);
        if (o)
            o->made_by = p->c.parts[i].before_revision;
    }
}

int live_undo(struct live *l, const struct live_who *who, int64_t revision, int64_t *now_revision,
    struct err *e)
{
    struct live_past *p = revision ? live_past_find(l, revision) : own_latest(l, who->uid);
    if (!p && !revision)
        return list_last(l, e);
    if (!p)
        return err_set(e, ERR_NOT_FOUND, "no change has revision %lld", (long long)revision);
    if (p->c.undone_by)
        return err_set(e, ERR_STATE, "revision %lld was undone already by revision %lld",
            (long long)p->c.revision, (long long)p->c.undone_by);
    if (!p->c.undoable)
        return err_set(e, ERR_STATE, "revision %lld can't be undone: it made or ended a secret",
            (long long)p->c.revision);
    int rc = check_untouched(l, p, e);
    struct live_part *back = rc == 0 ? calloc(p->c.part_count, sizeof *back) : NULL;
    if (!back)
        return rc < 0 ? rc : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < p->c.part_count; i++)
        back[i] = (struct live_part){.object = p->c.parts[i].object, .after = p->c.parts[i].before};
    char text[300];
    snprintf(text, sizeof text, "undone (%lld): " STR_FMT, (long long)p->c.revision,
        STR_ARG(str_first(p->c.text, 240)));
    int64_t undone = p->c.revision;
    rc = apply(l, who, back, p->c.part_count, str_c(text), undone, e);
    free(back);
    if (rc < 0)
        return rc;
    p = live_past_find(l, undone);
    if (p)
        mark_undone(l, p);
    if (now_revision)
        *now_revision = l->revision;
    return 0;
}

/* ---- automatic return ---- */

int64_t live_due_ms(const struct live *l)
{
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < l->count; i++)
        if (l->objects[i]->json && l->objects[i]->until_ms > 0)
            due = MIN(due, l->objects[i]->until_ms);
    return due;
}

/* Objects that were changed together go back together. */
static bool return_one(struct live *l, int64_t wall_ms)
{
    struct live_part parts[64];
    size_t n = 0;
    int64_t revision = 0;
    for (size_t i = 0; i < l->count && n < ARRAY_LEN(parts); i++) {
        struct live_object *o = l->objects[i];
        if (!o->json || o->until_ms <= 0 || o->until_ms > wall_ms ||
            (n && o->revision != revision))
            continue;
        revision = o->revision;
        parts[n++] = (struct live_part){.object = str_c(o->name)};
    }
    if (n == 0)
        return false;
    const struct live_past *p = live_past_find(l, revision);
    char text[300];
    snprintf(text, sizeof text, "returned: " STR_FMT, STR_ARG(p ? str_first(p->c.text, 240)
                                                              : parts[0].object));
    struct live_who us = {-1, STR("pointsman"), STR_NULL};
    struct err e = {0};
    return apply(l, &us, parts, n, str_c(text), revision, &e) == 0;
}

void live_tick(struct live *l, int64_t wall_ms)
{
    while (live_due_ms(l) <= wall_ms)
        if (!return_one(l, wall_ms))
            return; /* no memory: the next tick tries again */
}

/* ---- opening, loading, publishing ---- */

int live_open(struct live **out, const struct live_hooks *hooks, struct config *config,
    struct account_set *accounts, struct err *e)
{
    struct live *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "out of memory");
    l->hooks = *hooks;
    l->config = config;
    l->accounts = accounts;
    *out = l;
    return 0;
}

void live_close(struct live *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        live_object_free(l->objects[i]);
    for (size_t i = 0; i < LIVE_HISTORY; i++)
        live_past_free(l->past[i]);
    live_keys_put(l->keys);
    config_put(l->config);
    free(l->objects);
    free(l);
}

int live_load(struct live *l, struct str object, struct str json, int64_t revision)
{
    struct live_part part = {.object = object, .after = json};
    int rc = check_part(&part, NULL);
    if (rc < 0)
        return rc;
    struct live_object *o = object_make(l, object);
    char *copy = o && json.n ? str_dup(json) : NULL;
    if (!o || (json.n && !copy))
        return -ERR_NOMEM;
    free(o->json);
    object_set(o, copy, json.n);
    o->revision = o->made_by = revision;
    l->revision = MAX(l->revision, revision);
    return 0;
}

int live_load_change(struct live *l, const struct live_change *c)
{
    struct live_past *p = live_past_new(c);
    if (!p)
        return -ERR_NOMEM;
    p->c.undoable = can_be_undone(c->parts, c->part_count);
    struct live_past *undone = c->undoes ? live_past_find(l, c->undoes) : NULL;
    if (undone)
        undone->c.undone_by = c->revision;
    live_past_push(l, p);
    l->revision = MAX(l->revision, c->revision);
    return 0;
}

int live_publish(struct live *l, struct err *e)
{
    struct snapshot *s = live_build(l, l->config, e);
    if (!s)
        return e ? -(int)e->code : -ERR_NOMEM;
    l->hooks.publish(l->hooks.ctx, s);
    return 0;
}

static bool in_file_as_before(const struct config_object *o, const struct config_object *old, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(old[i].kind, o->kind) && str_eq(old[i].name, o->name))
            return str_eq(old[i].text, o->text);
    return false;
}

static void name_one(const struct live *l, const char *prefix, struct str name, struct buf *kept)
{
    char object[LIVE_NAME_MAX + 1];
    snprintf(object, sizeof object, "%s" STR_FMT, prefix, STR_ARG(str_first(name, 150)));
    if (live_get(l, str_c(object)).n)
        buf_printf(kept, "%s: the live state is kept\n", object);
}

/* Names the live objects of everything whose text in the file changed. */
static void name_kept(const struct live *l, const struct config *before, const struct config *after,
    struct buf *kept)
{
    static const struct {
        const char *kind, *prefix;
    } rows[] = {{"route", "route/"}, {"route", "override/everyone//"}, {"provider", "provider/"},
        {"provider", "drain/"}, {"key", "key/"}};
    const struct config_object *old, *new;
    size_t olds = config_objects(before, &old), news = config_objects(after, &new);
    for (size_t i = 0; i < news; i++)
        for (size_t r = 0; r < ARRAY_LEN(rows); r++)
            if (str_eq(new[i].kind, str_c(rows[r].kind)) &&
                !in_file_as_before(&new[i], old, olds))
                name_one(l, rows[r].prefix, new[i].name, kept);
}

int live_publish_config(struct live *l, struct config *config, struct buf *kept, struct err *e)
{
    struct live_keys *keys = l->keys;
    l->keys = NULL;
    struct snapshot *s = live_build(l, config, e);
    if (!s) {
        live_keys_put(l->keys);
        l->keys = keys;
        return e ? -(int)e->code : -ERR_NOMEM;
    }
    live_keys_put(keys);
    if (kept)
        name_kept(l, l->config, config, kept);
    config_put(l->config);
    l->config = config;
    l->hooks.publish(l->hooks.ctx, s);
    return 0;
}

/* ---- reading ---- */

const struct config *live_config(const struct live *l)
{
    return l->config;
}

int64_t live_revision(const struct live *l)
{
    return l->revision;
}

void live_see_revision(struct live *l, int64_t revision)
{
    l->revision = MAX(l->revision, revision);
}

int64_t live_take_revision(struct live *l)
{
    return ++l->revision;
}

struct str live_get(const struct live *l, struct str object)
{
    return object_json(live_find(l, object));
}

int64_t live_object_revision(const struct live *l, struct str object)
{
    const struct live_object *o = live_find(l, object);
    return o ? o->revision : 0;
}

void live_each(const struct live *l, struct str prefix,
    bool (*fn)(void *ctx, struct str object, struct str json, int64_t revision), void *ctx)
{
    for (size_t i = live_lower_bound(l, prefix); i < l->count; i++) {
        const struct live_object *o = l->objects[i];
        if (!str_starts(str_c(o->name), prefix))
            return;
        if (o->json && !fn(ctx, str_c(o->name), object_json(o), o->revision))
            return;
    }
}

void live_history(const struct live *l, bool (*fn)(void *ctx, const struct live_change *c), void *ctx)
{
    const struct live_past *p;
    for (size_t i = 0; (p = live_past_at(l, i)); i++)
        if (!fn(ctx, &p->c))
            return;
}
