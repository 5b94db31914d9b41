/* drain.c: everything that uses a provider moved off it as one change.
 *
 * A drain is one object: {"to", "until_ms", "until_well"}. The planner passes the provider over; what then
 * has nowhere to go takes the drain's `to`. So it returns whole, by itself or by undo, and it holds as
 * well for what no sheet could list: names never asked before, switches made later.
 *
 * The sheet is foretold by the planner itself, in a snapshot as the drain would make it. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/record_view.h"
#include "proxy/admin/routing.h"

#include "proxy/meter/request.h"
#include "proxy/route/plan.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"

enum { ASKED_BYTES_MAX = 128, ASKED_OF_LATE_MS = 3600000, SHEET_BYTES = 1 << 20 };

struct drain {
    struct call *call;
    const struct provider *provider;
    struct str to;
    int64_t until_ms;
    struct snapshot *with, *without; /* as it would be, drained and not */
    struct arena scratch;            /* of one look at a time */
    struct buf sheet;                /* JSON array of what moves where */
    struct json_writer w;
    size_t stuck;
    struct str asked[64];            /* names that no route defines and that went there of late */
    size_t asked_count;
};

/* -ERR_FULL: nowhere. */
static int look(struct drain *d, struct snapshot *s, struct str name, const struct plan_what *what,
    struct plan *out)
{
    struct request_facts facts = {.n = 1};
    struct err e = {0};
    struct plan_request r = {.snapshot = s, .asked = name, .facts = &facts, .wire = WIRE_CHAT,
        .random = 1, .now_us = clock_mono_us(), .wall_ms = clock_wall_ms(), .what = what,
        .explain = true};
    arena_reset(&d->scratch);
    return plan_make(&r, d->call->admin->start.health, &d->scratch, out, &e);
}

static void tell(struct drain *d, struct str shown, struct str name, const struct plan_what *what)
{
    struct plan plan;
    bool somewhere = look(d, d->with, name, what, &plan) == 0 && plan.count > 0;
    bool by_itself = somewhere && !plan.stood_in;
    struct str to = STR("");
    if (somewhere)
        to = call_printf(d->call, STR_FMT "/" STR_FMT, STR_ARG(plan.candidates[0].provider->name),
            STR_ARG(plan.candidates[0].model));
    d->stuck += !somewhere;
    json_object_begin(&d->w, NULL);
    json_put_str(&d->w, "route", shown);
    json_put_str(&d->w, "to", to);
    json_put_bool(&d->w, "by_itself", by_itself);
    json_object_end(&d->w);
}

static bool leads_there(struct drain *d, struct str name, const struct plan_what *what)
{
    struct plan plan;
    bool there = false;
    if (look(d, d->without, name, what, &plan) < 0)
        return false;
    for (size_t i = 0; i < plan.count; i++)
        there = there || str_eq(plan.candidates[i].provider->name, d->provider->name);
    return there;
}

/* The route's own targets and fallback, then each rule with targets of its own. */
static void tell_route(struct drain *d, const struct route *r)
{
    struct plan_what plain = {0};
    bool own = false;
    for (size_t i = 0; i < r->target_count + r->fallback_count; i++) {
        const struct target *t = i < r->target_count ? &r->targets[i] : &r->fallback[i - r->target_count];
        own = own || (t->provider && str_eq(t->provider->name, d->provider->name));
    }
    if (own)
        tell(d, r->name, r->name, &plain);
    for (size_t k = 0; k < r->rule_count; k++) {
        struct plan_what rule = {.rule = &r->rules[k]};
        bool uses = false;
        for (size_t i = 0; i < r->rules[k].target_count; i++)
            uses = uses || str_eq(r->rules[k].targets[i].provider->name, d->provider->name);
        if (uses)
            tell(d, call_printf(d->call, STR_FMT ", " STR_FMT, STR_ARG(r->name),
                STR_ARG(r->rules[k].name)), r->name, &rule);
    }
}

/* "fast, switched for key alice" */
static struct str switch_text(struct drain *d, const struct override *o)
{
    return call_printf(d->call, STR_FMT ", switched for %s%s" STR_FMT, STR_ARG(o->name),
        scope_text(o->scope), o->scope_name.n ? " " : "", STR_ARG(o->scope_name));
}

/* A switch to a route or a goal is told of with its route. */
static bool is_of_its_own(const struct drain *d, const struct override *o)
{
    const struct config *c = d->with->config;
    bool route = str_starts(o->to, STR("goal:"));
    for (size_t i = 0; i < c->route_count; i++)
        route = route || str_eq(c->routes[i].name, o->to);
    return !route;
}

static void tell_switches(struct drain *d)
{
    for (size_t i = 0; i < d->with->override_count; i++) {
        const struct override *o = &d->with->overrides[i];
        struct plan_what what = {.to = o->to};
        if (is_of_its_own(d, o) && leads_there(d, o->name, &what))
            tell(d, switch_text(d, o), o->name, &what);
    }
}

static bool note_asked(void *ctx, const struct record *r)
{
    struct drain *d = ctx;
    bool known = r->route.n || !r->model_asked.n || r->model_asked.n > ASKED_BYTES_MAX ||
                 !str_eq(r->provider, d->provider->name) || d->asked_count == ARRAY_LEN(d->asked) ||
                 plan_find_route(d->with->config, r->model_asked);
    for (size_t i = 0; i < d->asked_count && !known; i++)
        known = str_eq(d->asked[i], r->model_asked);
    if (!known && !live_get(d->call->admin->live,
                      override_object(d->call, SCOPE_EVERYONE, STR_NULL, r->model_asked)).n)
        d->asked[d->asked_count++] = arena_str(&d->call->arena, r->model_asked);
    return true;
}

static bool note_recent(void *ctx, struct str packed)
{
    struct record r;
    return record_unpack(packed, &r) < 0 || r.time_ms < clock_wall_ms() - ASKED_OF_LATE_MS ||
           note_asked(ctx, &r);
}

/* A name that is asked for without a route: "openai/gpt-5" means that provider alone, "gpt-5" any that
 * has it. */
static void tell_asked(struct drain *d)
{
    struct admin *a = d->call->admin;
    struct plan_what plain = {0};
    admin_each_live(a, note_asked, d);
    for (unsigned i = 0; i < a->start.workers; i++)
        spool_recent(a->start.spools[i], note_recent, d);
    for (size_t i = 0; i < d->asked_count; i++)
        tell(d, d->asked[i], d->asked[i], &plain);
}

static void write_sheet(struct drain *d)
{
    d->w = json_writer(&d->sheet);
    json_array_begin(&d->w, NULL);
    for (size_t i = 0; i < d->with->config->route_count; i++)
        tell_route(d, &d->with->config->routes[i]);
    tell_switches(d);
    tell_asked(d);
    json_array_end(&d->w);
}

static void answer_drain(struct call *c, struct drain *d, const struct live_part *part, bool dry)
{
    struct err e = {0};
    struct live_who who = call_who(c);
    int64_t revision = live_revision(c->admin->live);
    struct str text = call_printf(c, "provider " STR_FMT " drained%s" STR_FMT STR_FMT,
        STR_ARG(d->provider->name), d->to.n ? ", to " : "", STR_ARG(d->to),
        STR_ARG(back_text(c, d->until_ms)));
    int rc = dry ? 0 : live_apply(c->admin->live, &who, part, 1, text, -1, &revision, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    struct json_writer *w = call_begin(c);
    json_put_int(w, "revision", revision);
    json_put_str(w, "marker", text);
    json_put_bool(w, "dry_run", dry);
    json_put_int(w, "nowhere", (int64_t)d->stuck);
    json_put_raw(w, "moves", buf_str(&d->sheet));
    call_send(c);
}

/* Not to the provider itself, be it named or reached through a model or a route alone. */
static int check_to(struct drain *d, struct err *e)
{
    struct plan plan;
    if (!d->to.n)
        return 0;
    if (str_starts(d->to, STR("goal:")))
        return err_set(e, ERR_RANGE, "a drain goes to a target or a route, not to a goal");
    int rc = check_target(d->call, d->to, e);
    if (rc < 0)
        return rc;
    struct plan_what plain = {0};
    if (leads_there(d, d->to, &plain) &&
        (look(d, d->with, d->to, &plain, &plan) < 0 || plan.stood_in))
        return err_set(e, ERR_RANGE, STR_FMT " is the provider to be drained", STR_ARG(d->to));
    return 0;
}

static struct str drain_json(struct call *c, const struct drain *d)
{
    struct buf b;
    buf_init(&b, 4096);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    if (d->to.n)
        json_put_str(&w, "to", d->to);
    json_put_int(&w, "until_ms", d->until_ms);
    json_put_bool(&w, "until_well", json_bool(c->body, "until_well", false));
    json_put_int(&w, "when_ms", clock_wall_ms());
    json_object_end(&w);
    struct str out = arena_str(&c->arena, buf_str(&b));
    buf_fini(&b);
    return out;
}

static int foresee(struct drain *d, const struct live_part *part, struct err *e)
{
    struct live *l = d->call->admin->live;
    struct live_part none = {.object = part->object};
    int rc = live_trial(l, part, 1, &d->with, e);
    rc = rc < 0 ? rc : live_trial(l, &none, 1, &d->without, e);
    rc = rc < 0 ? rc : check_to(d, e);
    if (rc == 0)
        write_sheet(d);
    return rc < 0 ? rc : d->sheet.err;
}

void post_provider_drain(struct call *c)
{
    struct err e = {0};
    const struct provider *p = call_provider(c);
    struct drain *d = p ? arena_zalloc(&c->arena, sizeof *d) : NULL;
    if (!d || !call_allows(c, "to for_ms until_well dry_run"))
        return;
    d->call = c;
    d->provider = p;
    d->to = call_text(c, "to");
    d->until_ms = read_until(c);
    if (d->until_ms < 0)
        return;
    struct live_part part = {.object = call_printf(c, "drain/" STR_FMT, STR_ARG(p->name)),
        .after = drain_json(c, d)};
    arena_init(&d->scratch, 1 << 14, 1 << 22);
    buf_init(&d->sheet, SHEET_BYTES);
    int rc = foresee(d, &part, &e);
    if (rc < 0)
        call_failed(c, rc, &e);
    else
        answer_drain(c, d, &part, json_bool(c->body, "dry_run", false));
    snapshot_put(d->with);
    snapshot_put(d->without);
    buf_fini(&d->sheet);
    arena_fini(&d->scratch);
}

void post_provider_undrain(struct call *c)
{
    struct str object = call_printf(c, "drain/" STR_FMT, STR_ARG(c->args[0]));
    if (!call_allows(c, ""))
        return;
    if (live_get(c->admin->live, object).n == 0) {
        call_error(c, 409, "not_drained", "provider " STR_FMT " is not drained by hand",
            STR_ARG(str_first(c->args[0], 64)));
        return;
    }
    struct live_part part = {.object = object};
    apply_and_answer(c, &part, 1, call_printf(c, "provider " STR_FMT " used again",
        STR_ARG(c->args[0])), -1);
}
