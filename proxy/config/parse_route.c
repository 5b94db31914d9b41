/* parse_route.c: the section `routes`: targets, policies, what follows a failure. References between
 * routes are checked in check.c, when all of them are known. */
#include "proxy/config/options.h"
#include "proxy/config/units.h"

enum { ROUTES_MAX = 2000, RULES_MAX = 200, TARGETS_MAX = 64 };

/* The order of the bits of enum failure_class (route/plan.h). */
static const char failure_names[] = "429|5xx|network|timeout|context|content|key";
enum { RETRY_ON_DEFAULT = 1 | 2 | 4 | 8 | 16 | 64 }; /* all but content */

static const struct provider *provider_named(
    struct reader *r, struct str name, struct nearest *near)
{
    for (size_t i = 0; i < r->c->provider_count; i++) {
        if (str_eq(r->c->providers[i].name, name))
            return &r->c->providers[i];
        nearest_offer(near, r->c->providers[i].name);
    }
    return NULL;
}

static void check_listed(
    struct reader *r, const struct yaml *n, struct str path, const struct target *t)
{
    struct nearest near = {.asked = t->model};
    char guess[96];
    const struct provider *p = t->provider;
    for (size_t i = 0; i < p->model_count; i++) {
        if (str_eq(p->models[i], t->model))
            return;
        nearest_offer(&near, p->models[i]);
    }
    if (p->model_count && str_find(t->model, STR("$model")) < 0)
        warn_about(r, n, path, "providers." STR_FMT ".models does not list \"" STR_FMT "\"%s",
            STR_ARG(p->name), STR_ARG(str_first(t->model, 80)), nearest_text(&near, guess));
}

static bool target_from(struct reader *r, const struct yaml *n, struct str path, struct target *t)
{
    struct str text;
    char guess[96];
    if (!read_text(r, n, path, &text))
        return false;
    ptrdiff_t slash = str_chr(text, '/');
    struct str name = slash < 0 ? text : str_first(text, (size_t)slash);
    struct nearest near = {.asked = name};
    if (slash <= 0 || (size_t)slash + 1 == text.n) {
        for (size_t i = 0; i < r->c->route_count; i++) {
            if (str_eq(r->c->routes[i].name, text)) {
                complain(r, n, path, ERR_TYPE,
                    "\"" STR_FMT "\" is a route; targets are provider/model, "
                    "and a rule's `use` takes a route",
                    STR_ARG(text));
                return false;
            }
        }
        complain(r, n, path, ERR_SYNTAX,
            "\"" STR_FMT "\" names no provider; expected provider/model, "
            "for example openai/gpt-5-mini",
            STR_ARG(str_first(text, 80)));
        return false;
    }
    t->provider = provider_named(r, name, &near);
    t->model = str_from(text, (size_t)slash + 1);
    if (!t->provider) {
        complain(r, n, path, ERR_UNKNOWN, "no provider is called \"" STR_FMT "\"%s",
            STR_ARG(str_first(name, 60)), nearest_text(&near, guess));
        return false;
    }
    check_listed(r, n, path, t);
    return true;
}

static void target_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    (void)o; /* `to` is the only one */
    target_from(r, n, path, ctx);
}

bool parse_target(struct reader *r, const struct yaml *n, struct str path, struct target *t)
{
    *t = (struct target){.weight = 1};
    if (n->kind == YAML_MAP) {
        options_read(r, n, path, SECTION_TARGET, t, target_special, t);
        return t->provider != NULL;
    }
    return target_from(r, n, path, t);
}

void parse_targets(struct reader *r, const struct yaml *n, struct str path,
    const struct target **out, size_t *count)
{
    size_t most = n->kind == YAML_LIST ? n->count : 1, taken = 0, i = 1;
    struct target *to = arena_zalloc(r->a, most * sizeof *to + 1);
    if (most > TARGETS_MAX || !most || !to) {
        complain(r, n, path, ERR_TYPE, "expected a list of 1 to %d targets such as "
            "[openai/gpt-5-mini, { to: lab/qwen3, weight: 90 }]", TARGETS_MAX);
        return;
    }
    if (n->kind != YAML_LIST) { /* one stands for a list of one */
        taken = parse_target(r, n, path, to);
    } else {
        for (const struct yaml *c = n->first; c; c = c->next, i++)
            taken += parse_target(r, c, path_index(r, path, i), &to[taken]);
    }
    *out = to;
    *count = taken;
}

static void parse_retry_on(struct reader *r, const struct yaml *n, struct str path, unsigned *on)
{
    const struct yaml *c = n->kind == YAML_LIST ? n->first : n;
    *on = 0;
    for (int bit; c; c = n->kind == YAML_LIST ? c->next : NULL)
        if (read_enum(r, c, path, failure_names, &bit))
            *on |= 1u << bit;
}

static void retry_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    (void)o; /* `on` is the only one */
    parse_retry_on(r, n, path, &((struct route *)ctx)->retry_on);
}

static void canary_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    (void)o; /* `to` is the only one */
    parse_target(r, n, path, &((struct route *)ctx)->canary.to);
}

static void parse_disconnect(
    struct reader *r, const struct yaml *n, struct str path, struct route *route)
{
    struct str text;
    struct err e;
    int choice;
    if (!read_text(r, n, path, &text))
        return;
    if (!str_starts(text, STR("drain:"))) {
        static const enum disconnect choices[] = {DISCONNECT_CANCEL, DISCONNECT_FINISH};
        if (str_eq(text, STR("drain")))
            complain(r, n, path, ERR_SYNTAX, "say how much to read at most: drain:8k");
        else if (read_enum(r, n, path, "cancel|finish|drain:8k", &choice))
            route->disconnect = choices[choice];
        return;
    }
    route->disconnect = DISCONNECT_DRAIN;
    if (unit_size(str_from(text, 6), &route->drain_bytes, &e) < 0)
        complain(r, n, path, e.code, "%s", e.text);
    else if (route->drain_bytes < 1 || route->drain_bytes > 1 << 30)
        complain(r, n, path, ERR_RANGE, "a drain has 1 byte to 1 GiB");
}

static void parse_rules(
    struct reader *r, const struct yaml *list, struct str path, struct route *route)
{
    struct rule *to = arena_zalloc(r->a, list->count * sizeof *to + 1);
    if (list->kind != YAML_LIST || list->count > RULES_MAX || !to) {
        complain(r, list, path, ERR_TYPE, "expected a list of at most %d rules such as "
            "[{ if: { key: \"ci-*\" }, use: cheap }]", RULES_MAX);
        return;
    }
    size_t i = 0;
    for (const struct yaml *c = list->first; c; c = c->next, i++)
        parse_rule(r, c, path_index(r, path, i + 1), i + 1, &to[i]);
    route->rules = to;
    route->rule_count = i;
}

static void route_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    struct route *route = ctx;
    struct str key = str_c(o->key);
    int choice = 0;
    if (str_eq(key, STR("targets")))
        parse_targets(r, n, path, &route->targets, &route->target_count);
    else if (str_eq(key, STR("fallback")))
        parse_targets(r, n, path, &route->fallback, &route->fallback_count);
    else if (str_eq(key, STR("rules")))
        parse_rules(r, n, path, route);
    else if (str_eq(key, STR("retry")))
        options_read(r, n, path, SECTION_RETRY, route, retry_special, route);
    else if (str_eq(key, STR("canary")))
        options_read(r, n, path, SECTION_CANARY, route, canary_special, route);
    else if (str_eq(key, STR("disconnect")))
        parse_disconnect(r, n, path, route);
    else if (str_eq(key, STR("budget")))
        read_budget(r, n, path, &route->budgets, &route->budget_count);
    else if (str_eq(key, STR("latency")) && read_enum(r, n, path, "first_token|total", &choice))
        route->measure_total = choice == 1;
    else if (str_eq(key, STR("dropped")) && read_enum(r, n, path, "allow|refuse", &choice))
        route->refuse_dropped = choice == 1;
}

static bool has_weight(const struct yaml *targets)
{
    for (const struct yaml *c = targets ? targets->first : NULL; c; c = c->next)
        if (yaml_get(c, "weight"))
            return true;
    return false;
}

/* What would be accepted and do nothing. */
static void check_idle(
    struct reader *r, const struct yaml *n, struct str path, const struct route *t)
{
    const struct yaml *policy = yaml_get(n, "policy"), *sticky = yaml_get(n, "sticky"),
                      *latency = yaml_get(n, "latency");
    bool weighs = t->policy == POLICY_WEIGHTED || t->policy == POLICY_ROUND_ROBIN ||
                  t->policy == POLICY_LEAST_BUSY || t->policy == POLICY_STICKY;
    if (t->goal != GOAL_NONE && policy)
        complain_key(r, policy, path, ERR_DUPLICATE,
            "give `goal` or `policy`, not both: a goal chooses the policy");
    else if (has_weight(yaml_get(n, "targets")) && (t->goal != GOAL_NONE || !weighs))
        complain(r, yaml_get(n, "targets"), path, ERR_RANGE, "weights do nothing here: add "
            "`policy: weighted`, round-robin, least-busy or sticky");
    if (sticky && t->policy != POLICY_STICKY && t->goal != GOAL_LONG_CONTEXT)
        complain_key(r, sticky, path, ERR_RANGE, "`sticky` does nothing without `policy: sticky`");
    if (latency && t->policy != POLICY_LOWEST_LATENCY && t->goal != GOAL_LATENCY)
        complain_key(r, latency, path, ERR_RANGE,
            "`latency` does nothing without `policy: lowest-latency`");
}

static void parse_route(
    struct reader *r, const struct yaml *n, struct str path, struct route *route)
{
    options_defaults(r, SECTION_RETRY, route);
    route->retry_on = RETRY_ON_DEFAULT;
    options_read(r, n, path, SECTION_ROUTE, route, route_special, route);
    if (n->kind == YAML_MAP)
        check_idle(r, n, path, route);
}

void parse_routes(struct reader *r, const struct yaml *map)
{
    struct route *to = arena_zalloc(r->a, map->count * sizeof *to + 1);
    if (map->kind != YAML_MAP || map->count > ROUTES_MAX || !to) {
        complain(
            r, map, STR("routes"), ERR_TYPE, "expected a map of at most %d routes", ROUTES_MAX);
        return;
    }
    size_t count = 0;
    for (const struct yaml *n = map->first; n; n = n->next)
        if (check_name(r, n, path_join(r, STR("routes"), n->key)))
            to[count++] = (struct route){.name = n->key,
                .id = config_stable_id(CONFIG_ID_ROUTE, n->key),
                .pattern = str_chr(n->key, '*') >= 0 || str_chr(n->key, '?') >= 0};
    r->c->routes = to; /* all names known from here on: rules refer to them */
    r->c->route_count = count;
    count = 0;
    for (const struct yaml *n = map->first; n; n = n->next)
        if (count < r->c->route_count && str_eq(to[count].name, n->key))
            parse_route(r, n, path_join(r, STR("routes"), n->key), &to[count++]);
}
