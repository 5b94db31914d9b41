/* profiles.c: named states of all routes: saved, shown as a diff, applied as one change. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/routing.h"

#include "store/base/json_span.h"

static bool bad_profile_name(struct call *c, struct str name)
{
    bool ok = name.n > 0 && name.n <= 32;
    for (size_t i = 0; ok && i < name.n; i++)
        ok = (name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') ||
             name.p[i] == '-' || name.p[i] == '_';
    if (!ok)
        call_error(c, 400, "bad_name", "a profile's name has 1 to 32 of a-z, 0-9, - and _");
    return !ok;
}

static bool put_profile(void *ctx, struct str object, struct str json, int64_t revision)
{
    struct json_writer *w = ctx;
    json_object_begin(w, NULL);
    json_put_str(w, "name", str_from(object, strlen("profile/")));
    json_put_int(w, "revision", revision);
    json_put_raw(w, "states", json_get(json, STR("states")).raw);
    json_object_end(w);
    return true;
}

void get_profiles(struct call *c)
{
    struct json_writer *w = call_begin(c);
    json_array_begin(w, "profiles");
    live_each(c->admin->live, STR("profile/"), put_profile, w);
    json_array_end(w);
    call_send(c);
}

/* A profile holds the switches for everyone and the drains; those of keys and sessions are personal
 * and automatic returns belong to the moment. */
static bool save_state(void *ctx, struct str object, struct str json, int64_t revision)
{
    struct json_writer *w = ctx;
    (void)revision;
    if (json_get(json, STR("until_ms")).type == JSON_NONE) {
        json_put_key(w, object);
        json_put_raw(w, NULL, json);
    }
    return true;
}

void post_profile(struct call *c)
{
    struct str name = call_text(c, "name");
    if (!call_allows(c, "name") || bad_profile_name(c, name))
        return;
    struct buf b;
    buf_init(&b, 60000);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    json_object_begin(&w, "states");
    live_each(c->admin->live, STR("override/everyone/"), save_state, &w);
    live_each(c->admin->live, STR("drain/"), save_state, &w);
    json_object_end(&w);
    json_object_end(&w);
    struct live_part part = {.object = call_printf(c, "profile/" STR_FMT, STR_ARG(name)),
        .after = buf_str(&b)};
    if (b.err)
        call_error(c, 413, "limit", "too many switches for one profile");
    else
        apply_and_answer(c, &part, 1, call_printf(c, "profile " STR_FMT " saved", STR_ARG(name)), -1);
    buf_fini(&b);
}

void post_profile_delete(struct call *c)
{
    struct str object = call_printf(c, "profile/" STR_FMT, STR_ARG(c->args[0]));
    if (live_get(c->admin->live, object).n == 0) {
        call_error(c, 404, "not_found", "no profile \"" STR_FMT "\"", STR_ARG(c->args[0]));
        return;
    }
    struct live_part part = {.object = object};
    apply_and_answer(c, &part, 1, call_printf(c, "profile " STR_FMT " deleted",
        STR_ARG(c->args[0])), -1);
}

struct change_list {
    struct call *call;
    struct live_part *parts;
    size_t n, most;
    struct str states;
    struct buf diff;
};

static void add_part(struct change_list *l, struct str object, struct str before, struct str after)
{
    if (l->n == l->most || str_eq(before, after))
        return;
    l->parts[l->n++] = (struct live_part){.object = object, .after = after};
    struct json_span from = json_get(before, STR("to")), to = json_get(after, STR("to"));
    struct str name = str_starts(object, STR("override/everyone//"))
        ? str_from(object, strlen("override/everyone//")) : object;
    buf_printf(&l->diff, STR_FMT ": " STR_FMT " → " STR_FMT "\n", STR_ARG(name),
        STR_ARG(from.type == JSON_STRING ? from.raw : before.n ? STR("on") : STR("as configured")),
        STR_ARG(to.type == JSON_STRING ? to.raw : after.n ? STR("on") : STR("as configured")));
}

static bool end_missing(void *ctx, struct str object, struct str json, int64_t revision)
{
    struct change_list *l = ctx;
    (void)revision;
    if (json_get(l->states, object).type == JSON_NONE)
        add_part(l, object, json, STR_NULL);
    return true;
}

static void collect_profile(struct change_list *l)
{
    struct live *live = l->call->admin->live;
    struct json_iter it = json_iter(l->states);
    struct json_span object, value;
    while (json_next(&it, &object, &value)) {
        struct str name = json_text(object, &l->call->arena);
        add_part(l, name, live_get(live, name), value.type == JSON_OBJECT ? value.raw : STR_NULL);
    }
    live_each(live, STR("override/everyone/"), end_missing, l);
    live_each(live, STR("drain/"), end_missing, l);
}

void post_profile_apply(struct call *c)
{
    struct str object = call_printf(c, "profile/" STR_FMT, STR_ARG(c->args[0]));
    struct str json = live_get(c->admin->live, object);
    if (!call_allows(c, "dry_run") || json.n == 0) {
        call_error(c, 404, "not_found", "no profile \"" STR_FMT "\"", STR_ARG(c->args[0]));
        return;
    }
    struct live_part parts[256];
    struct change_list l = {c, parts, 0, ARRAY_LEN(parts),
        arena_str(&c->arena, json_get(json, STR("states")).raw), {0}};
    struct err e = {0};
    struct live_who who = call_who(c);
    int64_t revision = live_revision(c->admin->live);
    buf_init(&l.diff, 1 << 18);
    collect_profile(&l);
    bool dry = json_bool(c->body, "dry_run", false);
    int rc = 0;
    if (l.n && dry)
        rc = live_try(c->admin->live, l.parts, l.n, &e);
    else if (l.n)
        rc = live_apply(c->admin->live, &who, l.parts, l.n,
            call_printf(c, "profile " STR_FMT " applied: %zu changes", STR_ARG(c->args[0]), l.n), -1,
            &revision, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
    } else {
        struct json_writer *w = call_begin(c);
        json_put_int(w, "revision", revision);
        json_put_int(w, "changes", (int64_t)l.n);
        json_put_str(w, "diff", buf_str(&l.diff));
        json_put_bool(w, "dry_run", dry);
        call_send(c);
    }
    buf_fini(&l.diff);
}
