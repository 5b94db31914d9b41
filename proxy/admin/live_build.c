/* live_build.c: from the live objects to a snapshot: overrides, drains, overlay of edited rules.
 * Everything here reads; nothing is changed but the cached table of keys. */
#include "proxy/admin/live_state.h"
#include "proxy/config/config.h"
#include "store/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

static bool parse_scope(struct str name, enum scope *scope)
{
    static const char *const names[] = {"everyone", "key", "session"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(name, str_c(names[i]))) {
            *scope = (enum scope)i;
            return true;
        }
    return false;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A scope's name as it stands in an object's name: '/' and '%' are written %2F and %25. */
static struct str decode_name(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n && digit_of(s.p[i + 1]) >= 0 && digit_of(s.p[i + 2]) >= 0) {
            out[n++] = (char)(digit_of(s.p[i + 1]) << 4 | digit_of(s.p[i + 2]));
            i += 2;
        } else {
            out[n++] = s.p[i];
        }
    }
    return str_n(out, n);
}

/* "override/key/alice/fast": scope, scope name, asked name (which may hold slashes). */
static bool parse_override(struct arena *a, const struct live_object *o, struct override *out)
{
    struct str rest = str_from(str_c(o->name), strlen("override/")), scope;
    if (!str_cut(&rest, '/', &scope) || !parse_scope(scope, &out->scope) ||
        !str_cut(&rest, '/', &out->scope_name) || rest.n == 0)
        return false;
    out->scope_name = decode_name(a, out->scope_name);
    struct json *j = json_parse(str_n(o->json, o->json_bytes), NULL);
    out->name = rest;
    out->to = arena_str(a, str_c(json_string(j, "to", "")));
    out->who = arena_str(a, str_c(json_string(j, "who", "")));
    out->until_ms = json_int(j, "until_ms", 0);
    out->when_ms = json_int(j, "when_ms", 0);
    out->revision = o->revision;
    json_free(j);
    return out->to.n > 0 && out->who.p && out->scope_name.p;
}

static int newest_first(const void *a, const void *b)
{
    const struct override *x = a, *y = b;
    return x->revision < y->revision ? 1 : x->revision > y->revision ? -1 : 0;
}

static bool collect_overrides(const struct live *l, struct arena *a, struct snapshot_parts *p)
{
    struct str prefix = STR("override/");
    struct override *list = arena_zalloc(a, l->count * sizeof *list + 1);
    size_t n = 0;
    for (size_t i = live_lower_bound(l, prefix); list && i < l->count; i++) {
        if (!str_starts(str_c(l->objects[i]->name), prefix))
            break;
        if (l->objects[i]->json && parse_override(a, l->objects[i], &list[n]))
            n++;
    }
    if (n)
        qsort(list, n, sizeof *list, newest_first);
    p->overrides = list;
    p->override_count = n;
    return list != NULL;
}

static struct str stand_in_of(struct arena *a, const struct live_object *o)
{
    struct json *j = json_parse(str_n(o->json, o->json_bytes), NULL);
    struct str to = arena_str(a, str_c(json_string(j, "to", "")));
    json_free(j);
    return to;
}

static bool collect_drained(const struct live *l, struct arena *a, struct snapshot_parts *p)
{
    struct str prefix = STR("drain/");
    struct drained *list = arena_alloc(a, l->count * sizeof *list + 1);
    size_t n = 0;
    for (size_t i = live_lower_bound(l, prefix); list && i < l->count; i++) {
        struct str name = str_c(l->objects[i]->name);
        if (!str_starts(name, prefix))
            break;
        if (l->objects[i]->json)
            list[n++] = (struct drained){str_from(name, prefix.n), stand_in_of(a, l->objects[i])};
    }
    p->drained = list;
    p->drained_count = n;
    return list != NULL;
}

/* Counts only for the canary that it was: one with another target or share is a new one. */
static bool is_back(const struct config *config, struct str name, const struct live_object *o)
{
    const struct route *r = NULL;
    char to[320];
    for (size_t i = 0; i < config->route_count && !r; i++)
        if (str_eq(config->routes[i].name, name))
            r = &config->routes[i];
    if (!r || !r->canary.share_ppm || !r->canary.to.provider)
        return false;
    snprintf(to, sizeof to, STR_FMT "/" STR_FMT, STR_ARG(r->canary.to.provider->name),
        STR_ARG(r->canary.to.model));
    struct json *j = json_parse(str_n(o->json, o->json_bytes), NULL);
    bool same = strcmp(json_string(j, "to", ""), to) == 0 &&
                json_int(j, "share_ppm", 0) == r->canary.share_ppm;
    json_free(j);
    return same;
}

static bool collect_taken_back(const struct live *l, const struct config *config, struct arena *a,
    struct snapshot_parts *p)
{
    struct str prefix = STR("canary/");
    struct str *list = arena_alloc(a, l->count * sizeof *list + 1);
    size_t n = 0;
    for (size_t i = live_lower_bound(l, prefix); list && i < l->count; i++) {
        struct str name = str_c(l->objects[i]->name);
        if (!str_starts(name, prefix))
            break;
        if (l->objects[i]->json && is_back(config, str_from(name, prefix.n), l->objects[i]))
            list[n++] = str_from(name, prefix.n);
    }
    p->taken_back = list;
    p->taken_back_count = n;
    return list != NULL;
}

struct snapshot *live_build(struct live *l, struct config *config, struct err *e)
{
    if (!l->keys && !(l->keys = live_keys_build(l, config, e)))
        return NULL;
    struct arena a;
    arena_init(&a, 4096, (size_t)64 << 20);
    struct snapshot_parts parts = {.config = config_get(config), .keys = l->keys->table,
        .free_keys = live_keys_put, .free_keys_ctx = l->keys, .revision = l->revision};
    atomic_fetch_add_explicit(&l->keys->references, 1, memory_order_relaxed);
    struct snapshot *s = NULL;
    if (collect_overrides(l, &a, &parts) && collect_drained(l, &a, &parts) &&
        collect_taken_back(l, config, &a, &parts))
        s = snapshot_new(&parts);
    arena_fini(&a);
    if (s)
        return s;
    live_keys_put(l->keys);
    config_put(config);
    err_set(e, ERR_NOMEM, "out of memory");
    return NULL;
}

static void overlay_kind(const struct live *l, struct json_writer *w, const char *key,
    struct str prefix)
{
    json_object_begin(w, key);
    for (size_t i = live_lower_bound(l, prefix); i < l->count; i++) {
        const struct live_object *o = l->objects[i];
        if (!str_starts(str_c(o->name), prefix))
            break;
        if (!o->json)
            continue;
        json_put_key(w, str_from(str_c(o->name), prefix.n));
        json_put_raw(w, NULL, str_n(o->json, o->json_bytes));
    }
    json_object_end(w);
}

static bool has_kind(const struct live *l, struct str prefix)
{
    for (size_t i = live_lower_bound(l, prefix); i < l->count; i++)
        if (!str_starts(str_c(l->objects[i]->name), prefix))
            return false;
        else if (l->objects[i]->json)
            return true;
    return false;
}

void live_overlay(const struct live *l, struct buf *out)
{
    bool routes = has_kind(l, STR("route/")), providers = has_kind(l, STR("provider/"));
    if (!routes && !providers)
        return;
    struct json_writer w = json_writer(out);
    json_object_begin(&w, NULL);
    if (routes)
        overlay_kind(l, &w, "routes", STR("route/"));
    if (providers)
        overlay_kind(l, &w, "providers", STR("provider/"));
    json_object_end(&w);
}
