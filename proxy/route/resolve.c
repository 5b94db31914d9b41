/* resolve.c: from a name to a route or to targets: override → exact route → pattern →
 * provider/model → a model that providers list → not found, with the nearest names.
 *
 * Overrides and rules may lead to another route, whose own override and rules then count. A circle
 * ends where a route comes the second time: an override that closes one is passed over. */
#include "proxy/access/key.h"
#include "proxy/route/plan_state.h"

#include <stdlib.h>

const struct provider *plan_find_provider(const struct config *c, struct str name)
{
    for (size_t i = 0; i < c->provider_count; i++)
        if (str_eq(c->providers[i].name, name))
            return &c->providers[i];
    return NULL;
}

static size_t literal_bytes(struct str pattern)
{
    size_t n = 0;
    for (size_t i = 0; i < pattern.n; i++)
        n += pattern.p[i] != '*' && pattern.p[i] != '?';
    return n;
}

const struct route *plan_find_route(const struct config *c, struct str name)
{
    const struct route *best = NULL;
    for (size_t i = 0; i < c->route_count; i++) {
        const struct route *r = &c->routes[i];
        if (!r->pattern && str_eq(r->name, name))
            return r;
        if (r->pattern && str_glob(r->name, name) &&
            (!best || literal_bytes(r->name) > literal_bytes(best->name)))
            best = r;
    }
    return best;
}

struct str target_text(struct planner *pl, const struct provider *p, struct str model)
{
    return ARENA_JOIN(pl->a, p->name, STR("/"), model);
}

/* "provider/model"; a model may hold further slashes. */
static bool read_target(const struct config *c, struct str text, struct target *out)
{
    struct str rest = text, name;
    if (!str_cut(&rest, '/', &name) || !rest.p || rest.n == 0)
        return false;
    const struct provider *p = plan_find_provider(c, name);
    *out = (struct target){p, rest, 1};
    return p != NULL;
}

const struct price *plan_price(const struct planner *pl, const struct provider *p, struct str model)
{
    const struct price_list *prices = pl->r->snapshot->config->prices;
    return prices ? price_find(prices, p->name, model) : NULL;
}

static bool provider_lists(const struct provider *p, struct str model)
{
    for (size_t i = 0; i < p->model_count; i++)
        if (str_eq(p->models[i], model))
            return true;
    return false;
}

/* Does the price list know that model under this very provider? */
static bool priced_there(const struct planner *pl, const struct provider *p, struct str model)
{
    const struct price *price = plan_price(pl, p, model);
    return price && str_starts(str_c(price->key), p->name) && price->key[p->name.n] == '/';
}

/* How sure we are that a provider has a model. */
enum sureness { NOT_THERE, GUESSED, GUESSED_DIALECT, MADE_THERE, LISTED };

static enum sureness knows_model(
    const struct planner *pl, const struct provider *p, struct str model)
{
    if (p->model_count)
        return provider_lists(p, model) ? LISTED : NOT_THERE;
    if (health_has_model(pl->h, p, model))
        return LISTED;
    if (maker_makes(p, model) || priced_there(pl, p, model))
        return MADE_THERE;
    if (p->demo || maker_makes_only_others(p, model))
        return NOT_THERE;
    return p->dialect == wire_dialect(pl->r->wire) ? GUESSED_DIALECT : GUESSED;
}

const struct drained *drained_of(const struct planner *pl, const struct provider *p)
{
    for (size_t i = 0; i < pl->r->snapshot->drained_count; i++)
        if (str_eq(pl->r->snapshot->drained[i].name, p->name))
            return &pl->r->snapshot->drained[i];
    return NULL;
}

/* The surest one; among equals one that is not drained, then one of the client's dialect, then the
 * first. A guess (it lists nothing) counts only when it is the only one of its sureness. */
static const struct provider *provider_of_model(const struct planner *pl, struct str model)
{
    const struct config *c = pl->r->snapshot->config;
    const struct provider *best = NULL;
    int best_rank = 0;
    unsigned count[LISTED + 1] = {0};
    for (size_t i = 0; i < c->provider_count; i++) {
        const struct provider *p = &c->providers[i];
        enum sureness sure = knows_model(pl, p, model);
        int rank = (int)sure * 4 + 2 * !drained_of(pl, p) + (p->dialect == wire_dialect(pl->r->wire));
        count[sure]++;
        if (sure != NOT_THERE && rank > best_rank) {
            best = p;
            best_rank = rank;
        }
    }
    enum sureness sure = (enum sureness)(best_rank / 4);
    bool guess = sure == GUESSED || sure == GUESSED_DIALECT;
    return guess && count[sure] != 1 ? NULL : best;
}

/* --- overrides --- */

static bool override_holds(const struct planner *pl, const struct override *o, enum scope scope,
    struct str name, const struct route *route)
{
    if (o->scope != scope || (o->until_ms && o->until_ms <= pl->r->wall_ms))
        return false;
    if (scope == SCOPE_KEY && (!pl->r->key || !str_eq(o->scope_name, pl->r->key->name)))
        return false;
    if (scope == SCOPE_SESSION && (!pl->r->session.n || !str_eq(o->scope_name, pl->r->session)))
        return false;
    if (str_eq(o->name, STR("*"))) /* whatever is asked for: `run --model` */
        return scope != SCOPE_EVERYONE;
    return str_eq(o->name, name) || (route && str_eq(o->name, route->name));
}

static bool already_seen(const struct planner *pl, const struct route *route)
{
    for (size_t i = 0; i < pl->hops; i++)
        if (pl->seen[i] == route)
            return true;
    return false;
}

static int resolve_name(struct planner *pl, struct str name);

static int take_single(struct planner *pl, struct target target)
{
    struct target *copy = arena_alloc(pl->a, sizeof *copy);
    if (!copy)
        return err_set(pl->e, ERR_NOMEM, "no memory for the plan");
    *copy = target;
    pl->targets = copy;
    pl->target_count = 1;
    return 0;
}

static void log_override(struct planner *pl, const struct override *o, const char *outcome)
{
    static const char *const scopes[] = {"everyone", "key", "session"};
    if (!plan_log_begin(pl, "override", false))
        return;
    json_put_str(&pl->w, "name", o->name);
    json_put_c(&pl->w, "scope", scopes[o->scope]);
    if (o->scope != SCOPE_EVERYONE)
        json_put_str(&pl->w, "of", o->scope_name);
    json_put_str(&pl->w, "to", o->to);
    json_put_str(&pl->w, "by", o->who);
    if (outcome)
        json_put_c(&pl->w, "passed_over", outcome);
    plan_log_end(pl);
}

static struct str override_by(struct planner *pl, const struct override *o)
{
    if (o->scope == SCOPE_EVERYONE)
        return STR("everyone");
    return arena_printf(pl->a, o->scope == SCOPE_KEY ? "key " STR_FMT : "session " STR_FMT,
        STR_ARG(o->scope_name));
}

static void remember(struct planner *pl, const struct route *route)
{
    if (route && pl->hops < PLAN_HOPS_MAX)
        pl->seen[pl->hops++] = route;
}

/* What an override's `to` stands for. */
enum override_to { TO_NOTHING, TO_GOAL, TO_ROUTE, TO_TARGET };

static enum override_to read_to(const struct planner *pl, struct str to, enum goal *goal,
    const struct route **route, struct target *target)
{
    const struct config *c = pl->r->snapshot->config;
    if (str_starts(to, STR("goal:"))) {
        int g = goal_from_name(str_from(to, 5));
        *goal = g < 0 ? GOAL_NONE : (enum goal)g;
        return g < 0 ? TO_NOTHING : TO_GOAL;
    }
    for (size_t i = 0; i < c->route_count; i++)
        if (str_eq(c->routes[i].name, to)) {
            *route = &c->routes[i];
            return TO_ROUTE;
        }
    if (read_target(c, to, target))
        return TO_TARGET;
    const struct provider *p = provider_of_model(pl, to);
    *target = (struct target){p, to, 1};
    return p ? TO_TARGET : TO_NOTHING;
}

bool read_stand_in(const struct planner *pl, struct str to, const struct route **route,
    struct target *one)
{
    enum goal none;
    enum override_to kind = read_to(pl, to, &none, route, one);
    return kind == TO_ROUTE || kind == TO_TARGET;
}

static int resolve_base(struct planner *pl, struct str name, const struct route *route,
    bool look_at_rules);

/* 0 or an error when it was taken; 1 when it leads nowhere and the next one counts. */
static int take_override(struct planner *pl, const struct override *o, struct str name,
    const struct route *route)
{
    enum goal goal = GOAL_NONE;
    const struct route *other = NULL;
    struct target target;
    enum override_to to = read_to(pl, o->to, &goal, &other, &target);
    const char *why_not = NULL;
    if (to == TO_NOTHING)
        why_not = "its target is gone";
    else if (to == TO_ROUTE && (already_seen(pl, other) || other == route))
        why_not = other == route ? "it is that route itself" : "it would close a circle";
    log_override(pl, o, why_not);
    if (why_not)
        return 1;
    if (!pl->out->override_by.n)
        pl->out->override_by = override_by(pl, o);
    remember(pl, route);
    if (to == TO_ROUTE)
        return resolve_name(pl, other->name);
    if (to == TO_GOAL) {
        int rc = resolve_base(pl, name, route, false);
        pl->goal = goal;
        return rc;
    }
    pl->route = route;
    if (route) {
        pl->more = route->targets;
        pl->more_count = route->target_count;
    }
    return take_single(pl, target);
}

static int try_overrides(struct planner *pl, struct str name, const struct route *route)
{
    static const enum scope order[] = {SCOPE_SESSION, SCOPE_KEY, SCOPE_EVERYONE};
    const struct snapshot *s = pl->r->snapshot;
    for (size_t k = 0; k < ARRAY_LEN(order); k++)
        for (size_t i = 0; i < s->override_count; i++) {
            const struct override *o = &s->overrides[i];
            if (!override_holds(pl, o, order[k], name, route))
                continue;
            int rc = take_override(pl, o, name, route);
            if (rc != 1)
                return rc;
        }
    return 1;
}

/* --- rules --- */

/* "prompt_tokens >150k, has 812" */
static struct str why_not(struct planner *pl, const struct condition *failed, struct str seen)
{
    struct str name = str_c(condition_name(failed->kind));
    struct str wanted = failed->shown.n ? failed->shown : failed->text;
    bool named = str_starts(wanted, name);
    return arena_printf(pl->a, STR_FMT "%s" STR_FMT ", has " STR_FMT, STR_ARG(named ? STR("") : name),
        named ? "" : " ", STR_ARG(str_first(wanted, 80)),
        STR_ARG(seen.n ? str_first(seen, 80) : STR("none")));
}

static void log_rule(struct planner *pl, const struct rule *rule, const struct condition *failed,
    struct str seen)
{
    if (!plan_log_begin(pl, "rule", failed || !rule->enabled))
        return;
    json_put_str(&pl->w, "rule", rule->name);
    json_put_bool(&pl->w, "taken", rule->enabled && !failed);
    if (!rule->enabled)
        json_put_c(&pl->w, "because", "switched off");
    else if (failed)
        json_put_str(&pl->w, "because", why_not(pl, failed, seen));
    plan_log_end(pl);
}

static bool rule_holds(struct planner *pl, const struct rule *rule)
{
    const struct condition *failed = NULL;
    struct str seen = STR("");
    for (size_t i = 0; rule->enabled && !failed && i < rule->condition_count; i++)
        if (!condition_holds(&rule->conditions[i], pl, &seen))
            failed = &rule->conditions[i];
    log_rule(pl, rule, failed, seen);
    return rule->enabled && !failed;
}

static int take_rule(struct planner *pl, const struct rule *rule, const struct route *route)
{
    if (!pl->out->rule) {
        pl->out->rule = rule;
        pl->out->rule_name = rule->name;
    }
    if (!rule->route.n) {
        pl->targets = rule->targets;
        pl->target_count = rule->target_count;
        return 0;
    }
    const struct route *other = plan_find_route(pl->r->snapshot->config, rule->route);
    remember(pl, route);
    if (!other || already_seen(pl, other) || pl->hops == PLAN_HOPS_MAX)
        return err_set(pl->e, ERR_STATE,
            "route \"" STR_FMT "\", " STR_FMT ": leads in a circle or to a route that is gone: \""
            STR_FMT "\"", STR_ARG(route->name), STR_ARG(rule->name), STR_ARG(rule->route));
    return resolve_name(pl, other->name);
}

/* --- names --- */

static void log_route(struct planner *pl, const struct route *route)
{
    if (!plan_log_begin(pl, "route", false))
        return;
    json_put_str(&pl->w, "route", route->name);
    json_put_c(&pl->w, "how", route->pattern ? "pattern" : "exact");
    plan_log_end(pl);
}

static int resolve_route(struct planner *pl, const struct route *route, bool look_at_rules)
{
    log_route(pl, route);
    pl->route = route;
    pl->goal = route->goal;
    for (size_t i = 0; look_at_rules && i < route->rule_count; i++)
        if (rule_holds(pl, &route->rules[i]))
            return take_rule(pl, &route->rules[i], route);
    pl->targets = route->targets;
    pl->target_count = route->target_count;
    pl->route_by_policy = true;
    return 0;
}

static void offer(
    struct str candidate, struct str name, struct str nearest[3], unsigned distance[3])
{
    unsigned most = (unsigned)MAX(name.n / 3, (size_t)2), d = str_distance(name, candidate, most);
    if (d > most && str_find_nocase(candidate, name) < 0)
        return;
    for (int i = 0; i < 3; i++)
        if (str_eq(nearest[i], candidate))
            return;
    for (int i = 0; i < 3; i++)
        if (!nearest[i].p || d < distance[i]) {
            for (int k = 2; k > i; k--) {
                nearest[k] = nearest[k - 1];
                distance[k] = distance[k - 1];
            }
            nearest[i] = candidate;
            distance[i] = d;
            return;
        }
}

/* The nearest names so far. */
struct nearest {
    struct planner *pl;
    struct str name, names[3];
    unsigned distance[3];
};

static void offer_model(void *ctx, const struct provider *p, struct str model)
{
    struct nearest *n = ctx;
    bool with_provider = str_chr(n->name, '/') >= 0;
    struct str text = with_provider ? target_text(n->pl, p, model) : arena_str(n->pl->a, model);
    if (key_allows(n->pl->r->key, text))
        offer(text, n->name, n->names, n->distance);
}

static int not_found(struct planner *pl, struct str name)
{
    const struct config *c = pl->r->snapshot->config;
    struct nearest n = {.pl = pl, .name = name};
    for (size_t i = 0; i < c->route_count; i++)
        if (key_allows(pl->r->key, c->routes[i].name))
            offer(c->routes[i].name, name, n.names, n.distance);
    for (size_t i = 0; i < c->provider_count; i++)
        plan_each_model(c, pl->h, &c->providers[i], offer_model, &n);
    struct str list = STR("");
    for (int i = 0; i < 3 && n.names[i].p; i++)
        list = arena_printf(pl->a, STR_FMT "%s" STR_FMT, STR_ARG(list), i ? ", " : "",
            STR_ARG(str_first(n.names[i], 80)));
    return err_set(pl->e, ERR_NOT_FOUND,
        "model \"" STR_FMT "\" is neither a route nor a model that a provider here lists%s" STR_FMT
        "%s; GET /v1/models lists all, provider/model reaches any",
        STR_ARG(str_first(name, 100)), list.n ? " (did you mean " : "", STR_ARG(list),
        list.n ? "?)" : "");
}

static int resolve_direct(struct planner *pl, struct str name)
{
    struct target target;
    const char *how = "provider/model";
    if (!read_target(pl->r->snapshot->config, name, &target)) {
        target = (struct target){provider_of_model(pl, name), name, 1};
        how = "a model that the provider lists";
    }
    if (!target.provider)
        return not_found(pl, name);
    if (plan_log_begin(pl, "direct", false)) {
        json_put_str(&pl->w, "target", target_text(pl, target.provider, target.model));
        json_put_c(&pl->w, "how", how);
        plan_log_end(pl);
    }
    return take_single(pl, target);
}

static int resolve_base(struct planner *pl, struct str name, const struct route *route,
    bool look_at_rules)
{
    return route ? resolve_route(pl, route, look_at_rules) : resolve_direct(pl, name);
}

static int resolve_name(struct planner *pl, struct str name)
{
    const struct route *route = plan_find_route(pl->r->snapshot->config, name);
    if (pl->hops >= PLAN_HOPS_MAX)
        return err_set(pl->e, ERR_STATE, "route \"" STR_FMT "\": more than %d hops",
            STR_ARG(str_first(name, 100)), PLAN_HOPS_MAX);
    int rc = try_overrides(pl, name, route);
    return rc == 1 ? resolve_base(pl, name, route, true) : rc;
}

/* A key may use a name that its list names, be it the asked one, the route's behind it, or the
 * provider/model that the name stands for. Where a person switches it to is not the key's doing. */
static int check_key(struct planner *pl)
{
    const struct config *c = pl->r->snapshot->config;
    const struct route *route = plan_find_route(c, pl->name);
    if (key_allows(pl->r->key, pl->name) || (route && key_allows(pl->r->key, route->name)))
        return 0;
    const struct provider *p = route ? NULL : provider_of_model(pl, pl->name);
    if (p && key_allows(pl->r->key, target_text(pl, p, pl->name)))
        return 0;
    return err_set(pl->e, ERR_DENIED,
        "key " STR_FMT " may not use \"" STR_FMT "\"; its list of models does not name it",
        STR_ARG(str_first(pl->r->key->name, 64)), STR_ARG(str_first(pl->name, 100)));
}

/* What would become of a name by what it is configured to be, by one rule, by one switch. */
static int foretell(struct planner *pl, const struct plan_what *what)
{
    const struct route *route = plan_find_route(pl->r->snapshot->config, pl->name);
    struct override o = {.name = pl->name, .to = what->to};
    int rc = what->to.n ? take_override(pl, &o, pl->name, route) : 1;
    if (rc != 1)
        return rc;
    if (!what->rule || !route)
        return resolve_base(pl, pl->name, route, false);
    pl->route = route;
    pl->goal = route->goal;
    return take_rule(pl, what->rule, route);
}

int plan_resolve(struct planner *pl)
{
    if (pl->name.n == 0)
        return err_set(pl->e, ERR_NOT_FOUND,
            "the request names no model; put one into its body or a route into x-pointsman-route");
    if (pl->r->what)
        return foretell(pl, pl->r->what);
    int rc = check_key(pl);
    return rc ? rc : resolve_name(pl, pl->name);
}
