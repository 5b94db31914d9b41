/* routing.c: the switch, its undo, edited rules.
 *
 * A switch is one object, "override/SCOPE/NAME/ASKED"; everything that changes routes ends in
 * apply_and_answer(), so that each is one audited, undoable change with one marker. */
#include "proxy/admin/routing.h"

#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"
#include "proxy/admin/record_view.h"

#include "proxy/access/key.h"
#include "proxy/config/config.h"
#include "proxy/meter/price.h"
#include "proxy/meter/request.h"
#include "proxy/route/plan.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"

#include <stdio.h>
#include <time.h>

enum { NAME_MAX_BYTES = 128, FOR_MOST_MS = 31 * 86400000LL };

const char *scope_text(enum scope scope)
{
    static const char *const names[] = {"everyone", "key", "session"};
    return names[scope];
}

static bool key_is_known(struct str name)
{
    struct snapshot *s = snapshot_current();
    bool known = s && key_by_name(s->keys, name);
    snapshot_put(s);
    return known;
}

bool read_scope(struct call *c, enum scope *scope, struct str *scope_name)
{
    struct str text = call_text(c, "scope");
    *scope_name = call_text(c, "scope_name");
    for (*scope = SCOPE_EVERYONE; *scope <= SCOPE_SESSION; ++*scope)
        if (str_eq(text, str_c(scope_text(*scope))) || (text.n == 0 && *scope == SCOPE_EVERYONE))
            break;
    if (*scope > SCOPE_SESSION)
        call_error(c, 400, "bad_scope", "scope is one of everyone, key, session");
    else if ((*scope == SCOPE_EVERYONE) != (scope_name->n == 0))
        call_error(c, 400, "bad_scope", *scope == SCOPE_EVERYONE
            ? "scope_name goes with the scopes key and session"
            : "scope_name must say which key or session");
    else if (*scope == SCOPE_KEY && !key_is_known(*scope_name))
        call_error(c, 404, "not_found", "no key \"" STR_FMT "\"; see: key list",
            STR_ARG(str_first(*scope_name, 64)));
    else if (scope_name->n > NAME_MAX_BYTES / 2)
        call_error(c, 400, "bad_scope", "scope_name has more than %d bytes", NAME_MAX_BYTES / 2);
    return !c->answered;
}

struct str override_object(struct call *c, enum scope scope, struct str scope_name, struct str asked)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_printf(&b, "override/%s/", scope_text(scope));
    for (size_t i = 0; i < scope_name.n; i++)
        if (scope_name.p[i] == '/' || scope_name.p[i] == '%')
            buf_printf(&b, "%%%02X", (unsigned char)scope_name.p[i]);
        else
            buf_putc(&b, scope_name.p[i]);
    buf_putc(&b, '/');
    buf_put_str(&b, asked);
    struct str out = arena_str(&c->arena, buf_str(&b));
    buf_fini(&b);
    return out;
}

int check_target(struct call *c, struct str to, struct err *e)
{
    struct str goal = to;
    if (str_starts(to, STR("goal:"))) {
        goal = str_from(to, strlen("goal:"));
        return goal_from_name(goal) > 0 ? 0 : err_set(e, ERR_NOT_FOUND, "no goal \"" STR_FMT
            "\"; there are quality, latency, cost, long_context, resilience", STR_ARG(goal));
    }
    struct snapshot *s = snapshot_current();
    struct request_facts facts = {.n = 1};
    struct plan_request r = {.snapshot = s, .asked = to, .facts = &facts, .wire = WIRE_CHAT,
        .random = 1, .now_us = clock_mono_us(), .wall_ms = clock_wall_ms()};
    struct plan plan;
    int rc = s ? plan_make(&r, c->admin->start.health, &c->arena, &plan, e) : -ERR_STATE;
    snapshot_put(s);
    return rc == -ERR_FULL || rc == -ERR_LIMIT ? 0 : rc;
}

int64_t read_until(struct call *c)
{
    int64_t for_ms = json_int(c->body, "for_ms", 0);
    if (for_ms == 0)
        return 0;
    if (for_ms > 0 && for_ms <= FOR_MOST_MS)
        return clock_wall_ms() + for_ms;
    call_error(c, 400, "bad_time", "for_ms must lie between 1 and 31 days");
    return -1;
}

struct str back_text(struct call *c, int64_t until_ms)
{
    if (until_ms == 0)
        return STR("");
    char clock[32];
    time_t t = (time_t)(until_ms / 1000);
    struct tm tm;
    localtime_r(&t, &tm);
    strftime(clock, sizeof clock, until_ms - clock_wall_ms() > 43200000 ? "%a %H:%M" : "%H:%M", &tm);
    return call_printf(c, ", back %s", clock);
}

struct str override_json(struct call *c, struct str to, int64_t until_ms)
{
    struct buf b;
    buf_init(&b, 4096);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    json_put_str(&w, "to", to);
    if (until_ms)
        json_put_int(&w, "until_ms", until_ms);
    json_put_str(&w, "who", c->user);
    json_put_int(&w, "when_ms", clock_wall_ms());
    json_object_end(&w);
    struct str out = arena_str(&c->arena, buf_str(&b));
    buf_fini(&b);
    return out;
}

void apply_and_answer(struct call *c, const struct live_part *parts, size_t n, struct str text,
    int64_t expect)
{
    struct err e = {0};
    struct live_who who = call_who(c);
    int64_t revision = 0;
    int rc = live_apply(c->admin->live, &who, parts, n, text, expect, &revision, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    call_begin_change(c, revision, text);
    call_send(c);
}

/* ---- the preview of a switch ---- */

struct preview {
    struct call *call;
    struct str name, scope_name;
    enum scope scope;
    int64_t since_ms, live, requests, with_tools, too_long, context;
    struct str keys[64];
    size_t key_count;
    int64_t cold_nano, cached_rate, input_rate;
};

static bool concerns(const struct preview *p, const struct record *r)
{
    if (!str_eq(r->model_asked, p->name) && !str_eq(r->route, p->name))
        return false;
    if (p->scope == SCOPE_KEY)
        return str_eq(r->key, p->scope_name);
    return p->scope == SCOPE_EVERYONE || str_eq(r->session, p->scope_name);
}

static void count_key(struct preview *p, struct str key)
{
    if (key.n == 0)
        return; /* open: nobody's key */
    for (size_t i = 0; i < p->key_count; i++)
        if (str_eq(p->keys[i], key))
            return;
    if (p->key_count < ARRAY_LEN(p->keys))
        p->keys[p->key_count++] = arena_str(&p->call->arena, key);
}

static bool preview_live(void *ctx, const struct record *r)
{
    struct preview *p = ctx;
    if (!concerns(p, r))
        return true;
    p->live++;
    count_key(p, r->key);
    /* what the provider's cache held of this conversation must be read anew elsewhere */
    if (p->input_rate > p->cached_rate && p->cached_rate >= 0)
        p->cold_nano += (int64_t)((__int128)r->cached_tokens * (p->input_rate - p->cached_rate) /
                                  1000000);
    return true;
}

static bool preview_recent(void *ctx, struct str packed)
{
    struct preview *p = ctx;
    struct record r;
    if (record_unpack(packed, &r) < 0 || r.time_ms < p->since_ms || !concerns(p, &r))
        return true;
    p->requests++;
    p->with_tools += (r.features & RECORD_TOOLS) || r.tool_calls > 0;
    p->too_long += p->context > 0 && r.input_tokens > p->context;
    count_key(p, r.key);
    return true;
}

static void take_price(struct preview *p, struct str to)
{
    const struct config *config = live_config(p->call->admin->live);
    struct str rest = to, provider;
    p->cached_rate = p->input_rate = -1;
    if (!config->prices || !str_cut(&rest, '/', &provider) || rest.n == 0)
        return;
    const struct price *price = price_find(config->prices, provider, rest);
    if (!price)
        return;
    p->context = price->context_tokens;
    p->input_rate = price->base[TIER_DEFAULT].input;
    p->cached_rate = price->base[TIER_DEFAULT].cached;
}

/* Walks every running request and the latest of each worker: never before a switch is in force. */
static void look_around(struct preview *p, struct str to)
{
    struct admin *a = p->call->admin;
    take_price(p, to);
    p->since_ms = clock_wall_ms() - 300000;
    admin_each_live(a, preview_live, p);
    for (unsigned i = 0; i < a->start.workers; i++)
        spool_recent(a->start.spools[i], preview_recent, p);
}

static int64_t share_ppm(int64_t part, int64_t whole)
{
    return whole > 0 ? part * 1000000 / whole : 0;
}

static void put_preview(struct preview *p, struct json_writer *w, int64_t cost_24h_nano)
{
    char money[48] = "";
    json_object_begin(w, "preview");
    json_put_int(w, "keys", (int64_t)p->key_count);
    json_put_int(w, "live", p->live);
    json_put_int(w, "requests_5min", p->requests);
    json_put_int(w, "too_long_ppm", share_ppm(p->too_long, p->requests));
    json_put_int(w, "tools_ppm", share_ppm(p->with_tools, p->requests));
    if (cost_24h_nano >= 0)
        json_put_int(w, "cost_24h_nano", cost_24h_nano);
    json_put_int(w, "cold_cache_nano", p->cold_nano);
    if (cost_24h_nano > 0)
        money_show(cost_24h_nano, money, sizeof money);
    struct str keys = p->key_count
        ? call_printf(p->call, "%zu key%s, ", p->key_count, p->key_count == 1 ? "" : "s")
        : STR("");
    struct str sentence = call_printf(p->call,
        STR_FMT "%lld live, %lld requests in 5 min%s%s%s", STR_ARG(keys), (long long)p->live,
        (long long)p->requests,
        money[0] ? "; the last 24 h would have cost $" : "", money, p->too_long
            ? "; some would not fit" : "");
    json_put_str(w, "sentence", sentence);
    json_object_end(w);
}

/* ---- the switch ---- */

static struct str switch_text(struct call *c, struct str to, const struct preview *p, int64_t until)
{
    struct str whom = p->scope == SCOPE_EVERYONE
        ? STR("everyone")
        : call_printf(c, "%s " STR_FMT, scope_text(p->scope), STR_ARG(p->scope_name));
    if (to.n == 0)
        return call_printf(c, STR_FMT " → as configured, " STR_FMT, STR_ARG(p->name), STR_ARG(whom));
    return call_printf(c, STR_FMT " → " STR_FMT ", " STR_FMT STR_FMT, STR_ARG(p->name), STR_ARG(to),
        STR_ARG(whom), STR_ARG(back_text(c, until)));
}

static void dry_answered(struct call *c, struct store_answer *a)
{
    struct preview *p = c->state;
    const struct config *config = live_config(c->admin->live);
    struct str rest = call_text(c, "to"), provider;
    const struct price *price = config->prices && str_cut(&rest, '/', &provider) && rest.n
        ? price_find(config->prices, provider, rest) : NULL;
    int64_t cost = -1;
    if (a && a->rc == 0 && price) {
        cost = 0;
        for (size_t i = 0; i < a->n; i++) {
            struct usage u = {.input = a->sums[i].input_tokens, .cached = a->sums[i].cached_tokens,
                .output = a->sums[i].output_tokens};
            cost += price_cost(price, &u, TIER_DEFAULT);
        }
    }
    struct json_writer *w = call_begin(c);
    json_put_int(w, "revision", live_revision(c->admin->live));
    json_put_str(w, "marker", switch_text(c, call_text(c, "to"), p, 0));
    json_put_bool(w, "dry_run", true);
    put_preview(p, w, cost);
    call_send(c);
}

static void dry_run(struct call *c, struct preview *p, const struct live_part *part)
{
    struct err e = {0};
    int rc = live_try(c->admin->live, part, 1, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    int64_t now = clock_wall_ms();
    struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_ROUTE, .name = p->name,
        .from_ms = now - 86400000, .to_ms = now + 60000};
    if (c->admin->start.store)
        call_ask(c, &q, dry_answered);
    else
        dry_answered(c, NULL);
}

static bool check_name(struct call *c)
{
    if (c->args[0].n > 0 && c->args[0].n <= NAME_MAX_BYTES)
        return true;
    call_error(c, 400, "bad_name", "a route's or model's name has 1 to %d bytes", NAME_MAX_BYTES);
    return false;
}

void post_switch(struct call *c)
{
    struct preview *p = arena_zalloc(&c->arena, sizeof *p);
    struct str to = call_text(c, "to");
    struct err e = {0};
    if (!p || !call_allows(c, "to scope scope_name for_ms dry_run") || !check_name(c))
        return;
    p->call = c;
    p->name = c->args[0];
    c->state = p;
    int64_t until = 0;
    if (!read_scope(c, &p->scope, &p->scope_name) || (until = read_until(c)) < 0)
        return;
    int rc = str_eq(to, p->name) && str_chr(to, '/') < 0
        ? err_set(&e, ERR_RANGE, "\"" STR_FMT "\" can't be switched to itself; undo takes a switch "
            "back", STR_ARG(to))
        : 0;
    if (rc == 0 && to.n)
        rc = check_target(c, to, &e);
    struct str object = override_object(c, p->scope, p->scope_name, p->name);
    if (rc == 0 && to.n == 0 && live_get(c->admin->live, object).n == 0)
        rc = err_set(&e, ERR_NOT_FOUND, STR_FMT " is not switched", STR_ARG(p->name));
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    struct live_part part = {.object = object,
        .after = to.n ? override_json(c, to, until) : STR_NULL};
    if (json_bool(c->body, "dry_run", false)) {
        look_around(p, to);
        dry_run(c, p, &part);
        return;
    }
    struct str text = switch_text(c, to, p, until);
    struct live_who who = call_who(c);
    int64_t revision = 0;
    rc = live_apply(c->admin->live, &who, &part, 1, text, -1, &revision, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    struct json_writer *w = call_begin_change(c, revision, text);
    look_around(p, to);
    put_preview(p, w, -1);
    call_send(c);
}

/* ---- undo ---- */

struct undo_list {
    struct json_writer *w;
    int64_t uid;
    unsigned left;
};

static void put_parts(struct json_writer *w, const char *key, const struct live_change *ch, bool after)
{
    json_object_begin(w, key);
    for (size_t i = 0; i < ch->part_count; i++) {
        struct str value = after ? ch->parts[i].after : ch->parts[i].before;
        bool secret = str_starts(ch->parts[i].object, STR("secret/"));
        json_put_key(w, ch->parts[i].object);
        json_put_raw(w, NULL, value.n && !secret ? value : STR("null"));
    }
    json_object_end(w);
}

static bool put_change(void *ctx, const struct live_change *ch)
{
    struct undo_list *x = ctx;
    struct json_writer *w = x->w;
    json_object_begin(w, NULL);
    json_put_int(w, "revision", ch->revision);
    json_put_int(w, "time_ms", ch->time_ms);
    json_put_str(w, "who", ch->user);
    json_put_str(w, "text", ch->text);
    put_parts(w, "before", ch, false);
    put_parts(w, "after", ch, true);
    json_put_bool(w, "mine", ch->uid == x->uid);
    json_put_bool(w, "undoable", ch->undoable && !ch->undone_by);
    json_put_int(w, "undone_by", ch->undone_by);
    json_object_end(w);
    return --x->left > 0;
}

void get_undo(struct call *c)
{
    struct json_writer *w = call_begin(c);
    struct undo_list x = {w, c->uid, call_limit(c, 20, LIVE_HISTORY)};
    json_array_begin(w, "changes");
    live_history(c->admin->live, put_change, &x);
    json_array_end(w);
    call_send(c);
}

struct find_change {
    int64_t revision;
    bool admin_only;
};

static bool needs_admin(void *ctx, const struct live_change *ch)
{
    struct find_change *f = ctx;
    if (ch->revision != f->revision)
        return true;
    for (size_t i = 0; i < ch->part_count; i++)
        f->admin_only = f->admin_only || str_starts(ch->parts[i].object, STR("key/")) ||
                        str_starts(ch->parts[i].object, STR("route/")) ||
                        str_starts(ch->parts[i].object, STR("provider/"));
    return false;
}

struct newest {
    struct str text;
};

static bool take_newest(void *ctx, const struct live_change *ch)
{
    ((struct newest *)ctx)->text = ch->text;
    return false;
}

void post_undo(struct call *c)
{
    struct err e = {0};
    struct live_who who = call_who(c);
    int64_t revision = json_int(c->body, "revision", 0), now = 0;
    if (!call_allows(c, "revision"))
        return;
    struct find_change f = {revision, false};
    live_history(c->admin->live, needs_admin, &f);
    if (f.admin_only && c->role < ROLE_ADMIN) {
        call_error(c, 403, "denied", "revision %lld changed keys, providers or rules: undoing it needs "
            "the role admin", (long long)revision);
        return;
    }
    int rc = live_undo(c->admin->live, &who, revision, &now, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    struct newest newest = {0};
    live_history(c->admin->live, take_newest, &newest);
    struct json_writer *w = call_begin(c);
    json_put_int(w, "revision", now);
    json_put_str(w, "text", newest.text);
    call_send(c);
}

/* ---- edited rules ---- */

static struct str file_object(const struct config *c, const char *kind, struct str name)
{
    const struct config_object *list;
    size_t n = config_objects(c, &list);
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i].kind, str_c(kind)) && str_eq(list[i].name, name))
            return list[i].text;
    return STR_NULL;
}

/* A route as it is now: edited live, else as the file has it. */
struct str route_object(struct call *c, struct str name)
{
    struct str live = live_get(c->admin->live, call_printf(c, "route/" STR_FMT, STR_ARG(name)));
    return live.n ? live : file_object(live_config(c->admin->live), "route", name);
}

void post_route_set(struct call *c)
{
    struct json_span route = json_get(buf_str(&c->q->body), STR("route"));
    if (!call_allows(c, "revision route dry_run") || !check_name(c))
        return;
    if (route.type != JSON_OBJECT && route.type != JSON_NULL) {
        call_error(c, 400, "bad_route", "route: the route as it stands in the configuration, as an "
            "object (null: as the file has it)");
        return;
    }
    struct live_part parts[] = {{.object = call_printf(c, "route/" STR_FMT, STR_ARG(c->args[0])),
        .after = route.type == JSON_OBJECT ? route.raw : STR_NULL},
        {.object = call_printf(c, "canary/" STR_FMT, STR_ARG(c->args[0]))}};
    /* a canary that was taken back is tried anew */
    size_t n = 1 + (live_get(c->admin->live, parts[1].object).n > 0);
    struct str before = arena_str(&c->arena, route_object(c, c->args[0]));
    struct err e = {0};
    struct live_who who = call_who(c);
    int64_t revision = live_revision(c->admin->live);
    bool dry = json_bool(c->body, "dry_run", false);
    struct str text = call_printf(c, "rules of " STR_FMT " edited", STR_ARG(c->args[0]));
    int rc = dry ? live_try(c->admin->live, parts, n, &e)
                 : live_apply(c->admin->live, &who, parts, n, text,
                       json_int(c->body, "revision", -1), &revision, &e);
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    const struct route *edited = plan_find_route(live_config(c->admin->live), c->args[0]);
    if (!dry && edited && c->admin->start.health)
        health_canary_again(c->admin->start.health, edited);
    struct json_writer *w = call_begin(c);
    json_put_int(w, "revision", revision);
    json_put_raw(w, "before", before.n ? before : STR("null"));
    json_put_raw(w, "after", route.raw);
    json_put_str(w, "diff", call_printf(c, "- " STR_FMT "\n+ " STR_FMT "\n", STR_ARG(before),
        STR_ARG(route.raw)));
    json_put_bool(w, "dry_run", dry);
    call_send(c);
}
