/* whatif.c: recorded traffic through something else, nothing sent: another target, a rule, a policy, a
 * goal, or a whole route.
 *
 * The proposal becomes a snapshot that is never published; the rows of the span walk through it on a
 * query thread, in questions of at most 50 ms each that queue up behind everybody else's. The admin
 * thread only asks for the next one. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/routing.h"
#include "proxy/admin/whatif_tally.h"

#include "store/base/clock.h"
#include "store/base/json_span.h"

#include <stdlib.h>

enum { DAY_MS = 86400000, PARTS = 16, OBJECT_BYTES = 1 << 20 };

struct whatif {
    struct str name, proposal;   /* "fast → lab/m", "fast with a rule in front" */
    struct live_part parts[PARTS];
    size_t part_count;
    struct store_query query;
    struct snapshot *snapshot;
    struct replay *replay;
    struct tally *tally;
    int64_t scanned, began_us;
    bool done, measured_earlier;
};

static void whatif_done(struct call *c)
{
    struct whatif *x = c->state;
    tally_free(x->tally);
    replay_free(x->replay);
    snapshot_put(x->snapshot);
}

/* ---- the proposal ---- */

/* Goal and policy answer the same question: a new one takes the place of both. */
static bool takes_place_of(const char *member, struct str name)
{
    bool chooses = strcmp(member, "rules") != 0;
    return str_eq(name, str_c(member)) ||
           (chooses && (str_eq(name, STR("goal")) || str_eq(name, STR("policy"))));
}

/* {"to":…,"weight":…} → "…": weights are refused where a policy doesn't use them. */
static void put_unweighted(struct json_writer *w, struct str targets)
{
    struct json_iter it = json_iter(targets);
    struct json_span key, v;
    json_array_begin(w, NULL);
    while (json_next(&it, &key, &v))
        json_put_raw(w, NULL, v.type == JSON_OBJECT ? json_get(v.raw, STR("to")).raw : v.raw);
    json_array_end(w);
}

static bool uses_weights(struct str policy)
{
    static const enum policy by_weight[] = {POLICY_WEIGHTED, POLICY_ROUND_ROBIN, POLICY_LEAST_BUSY,
        POLICY_STICKY};
    for (size_t i = 0; i < ARRAY_LEN(by_weight); i++)
        if (str_find(policy, str_c(policy_name(by_weight[i]))) >= 0)
            return true;
    return false;
}

/* The route as it is now with one member given anew; a rule goes in front of its rules. */
static struct str changed_object(struct call *c, struct str object, const char *member,
    struct str value)
{
    bool rule = strcmp(member, "rules") == 0;
    bool strip = strcmp(member, "goal") == 0 || (!rule && !uses_weights(value));
    struct json_iter it = json_iter(object), list = json_iter(json_get(object, STR("rules")).raw);
    struct json_span key, v;
    struct buf b;
    buf_init(&b, OBJECT_BYTES);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    while (json_next(&it, &key, &v)) {
        struct str name = json_text(key, &c->arena);
        if (takes_place_of(member, name))
            continue;
        json_put_key(&w, name);
        if (strip && str_eq(name, STR("targets")) && v.type == JSON_ARRAY)
            put_unweighted(&w, v.raw);
        else
            json_put_raw(&w, NULL, v.raw);
    }
    json_put_key(&w, str_c(member));
    if (rule) {
        json_array_begin(&w, NULL);
        json_put_raw(&w, NULL, value);
        while (json_get(object, STR("rules")).type == JSON_ARRAY && json_next(&list, &key, &v))
            json_put_raw(&w, NULL, v.raw);
        json_array_end(&w);
    } else {
        json_put_raw(&w, NULL, value);
    }
    json_object_end(&w);
    struct str out = b.err ? STR_NULL : arena_str(&c->arena, buf_str(&b));
    buf_fini(&b);
    return out;
}

struct collect {
    struct call *call;
    struct whatif *x;
};

/* A switch of the name stands before the route's rules: for this look it is taken back. */
static bool take_back(void *ctx, struct str object, struct str json, int64_t revision)
{
    struct collect *k = ctx;
    (void)revision;
    struct str end = call_printf(k->call, "/" STR_FMT, STR_ARG(k->x->name));
    if (json.n && str_ends(object, end) && k->x->part_count < PARTS)
        k->x->parts[k->x->part_count++].object = arena_str(&k->call->arena, object);
    return true;
}

static int propose_route(struct call *c, struct whatif *x, struct str document, struct str what)
{
    struct collect k = {c, x};
    x->parts[x->part_count++] = (struct live_part){
        .object = call_printf(c, "route/" STR_FMT, STR_ARG(x->name)), .after = document};
    live_each(c->admin->live, STR("override/"), take_back, &k);
    x->proposal = call_printf(c, STR_FMT STR_FMT, STR_ARG(x->name), STR_ARG(what));
    return 0;
}

static int propose_change(struct call *c, struct whatif *x, const char *member, struct str value,
    struct str what, struct err *e)
{
    struct str object = route_object(c, x->name);
    if (!object.n)
        return err_set(e, ERR_NOT_FOUND, "no route \"" STR_FMT "\"; for a model that no route defines "
            "give a target, or a whole route", STR_ARG(str_first(x->name, 100)));
    struct str document = changed_object(c, object, member, value);
    return document.n ? propose_route(c, x, document, what)
                      : err_set(e, ERR_NOMEM, "out of memory");
}

static int propose_target(struct call *c, struct whatif *x, struct str to, struct err *e)
{
    enum scope scope;
    struct str scope_name;
    int rc = check_target(c, to, e);
    if (rc < 0)
        return rc;
    if (!read_scope(c, &scope, &scope_name))
        return err_set(e, ERR_RANGE, "scope"); /* answered already */
    x->parts[x->part_count++] = (struct live_part){
        .object = override_object(c, scope, scope_name, x->name),
        .after = override_json(c, to, 0)};
    x->proposal = call_printf(c, STR_FMT " → " STR_FMT, STR_ARG(x->name), STR_ARG(to));
    return 0;
}

/* Exactly one of to, rule, policy, goal, set. */
static int propose(struct call *c, struct whatif *x, struct err *e)
{
    struct str body = buf_str(&c->q->body), to = call_text(c, "to");
    struct json_span rule = json_get(body, STR("rule")), set = json_get(body, STR("set"));
    struct json_span policy = json_get(body, STR("policy")), goal = json_get(body, STR("goal"));
    int given = (to.n > 0) + (rule.type == JSON_OBJECT) + (set.type == JSON_OBJECT) +
                (policy.type == JSON_STRING) + (goal.type == JSON_STRING);
    if (x->name.n == 0 || given != 1)
        return err_set(e, ERR_MISSING, "give the route, and one of: to (a target, a route or "
            "goal:NAME), rule, policy, goal, set (a whole route)");
    if (to.n)
        return propose_target(c, x, to, e);
    if (rule.type == JSON_OBJECT)
        return propose_change(c, x, "rules", rule.raw, STR(" with that rule in front"), e);
    if (policy.type == JSON_STRING)
        return propose_change(c, x, "policy", policy.raw,
            call_printf(c, " with policy " STR_FMT, STR_ARG(call_text(c, "policy"))), e);
    if (goal.type == JSON_STRING)
        return propose_change(c, x, "goal", goal.raw,
            call_printf(c, " with goal " STR_FMT, STR_ARG(call_text(c, "goal"))), e);
    return propose_route(c, x, set.raw, STR(" as proposed"));
}

/* ---- the walk ---- */

static void on_row(void *ctx, const struct store_step *s)
{
    tally_row(((struct whatif *)ctx)->tally, s);
}

static void answered(struct call *c, struct whatif *x, const struct store_answer *sums)
{
    struct json_writer *w = call_begin(c);
    json_put_str(w, "route", x->name);
    json_put_str(w, "proposal", x->proposal);
    json_put_int(w, "from_ms", x->query.from_ms);
    json_put_int(w, "to_ms", x->query.to_ms);
    json_put_int(w, "scanned", x->scanned);
    json_put_bool(w, "done", x->done);
    json_put_int(w, "took_ms", (clock_mono_us() - x->began_us) / 1000);
    json_put_int(w, "plans", replay_plans(x->replay));
    json_put_bool(w, "measured_earlier", x->measured_earlier);
    tally_json(x->tally, sums->sums, sums->n, w);
    call_send(c);
}

static void speed_answered(struct call *c, struct store_answer *a)
{
    struct whatif *x = c->state;
    if (a->rc < 0) {
        call_failed(c, a->rc, &a->err);
        return;
    }
    /* a target that nobody used in this span: what it measured at any time */
    if (!x->measured_earlier && tally_lacks(x->tally, a->sums, a->n)) {
        x->measured_earlier = true;
        struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_MODEL};
        call_ask(c, &q, speed_answered);
        return;
    }
    answered(c, x, a);
}

static void slice_answered(struct call *c, struct store_answer *a)
{
    struct whatif *x = c->state;
    if (a->rc < 0) {
        call_failed(c, a->rc, &a->err);
        return;
    }
    x->scanned += (int64_t)a->n;
    x->done = a->done;
    x->query.cursor = a->cursor;
    if (!a->done) {
        call_ask(c, &x->query, slice_answered);
        return;
    }
    struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_MODEL,
        .from_ms = x->query.from_ms, .to_ms = x->query.to_ms};
    call_ask(c, &q, speed_answered);
}

/* A pattern's requests asked for many names: every row is looked at. */
static struct str walked_name(struct call *c, const struct whatif *x)
{
    const struct route *r = plan_find_route(live_config(c->admin->live), x->name);
    const struct route *then = plan_find_route(x->snapshot->config, x->name);
    return (r && r->pattern) || (then && then->pattern) ? STR_NULL : x->name;
}

static int prepare(struct call *c, struct whatif *x, struct err *e)
{
    int rc = propose(c, x, e);
    if (rc == 0)
        rc = live_trial(c->admin->live, x->parts, x->part_count, &x->snapshot, e);
    if (rc < 0)
        return rc;
    struct replay_setup setup = {.snapshot = x->snapshot, .health = c->admin->start.health,
        .name = x->name, .now_us = clock_mono_us(), .text = tally_text};
    x->replay = replay_new(&setup);
    x->tally = x->replay ? tally_new(x->replay) : NULL;
    return x->tally ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

void post_whatif(struct call *c)
{
    struct err e = {0};
    struct whatif *x = arena_zalloc(&c->arena, sizeof *x);
    if (!x || !call_allows(c, "route to scope scope_name rule policy goal set since_ms until_ms"))
        return;
    if (!c->admin->start.store) {
        call_error(c, 503, "no_store", "nothing is stored here");
        return;
    }
    c->state = x;
    c->done = whatif_done;
    x->name = call_text(c, "route");
    x->began_us = clock_mono_us();
    int rc = prepare(c, x, &e);
    int64_t now = clock_wall_ms(), until = json_int(c->body, "until_ms", now + 1);
    int64_t since = json_int(c->body, "since_ms", until - DAY_MS);
    if (rc == 0 && (since < 0 || until <= since))
        rc = err_set(&e, ERR_RANGE, "since_ms must lie before until_ms");
    if (rc < 0) {
        call_failed(c, rc, &e);
        return;
    }
    x->query = (struct store_query){.kind = STORE_ASK_WALK, .from_ms = since, .to_ms = until,
        .walk = on_row, .walk_ctx = x, .name = walked_name(c, x)};
    call_ask(c, &x->query, slice_answered);
}
