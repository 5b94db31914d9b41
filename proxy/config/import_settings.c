/* import_settings.c: what a LiteLLM configuration says beside its model_list: fallbacks, aliases,
 * the strategy, limits of the master key. Runs after the deployments, for all of it names routes.
 */
#include "proxy/config/import.h"
#include "proxy/config/units.h"

#include <string.h>

/* The route of that name, or NULL. */
struct import_route *import_find(const struct import *m, struct str name)
{
    for (size_t i = 0; i < m->route_count; i++)
        if (str_eq(m->routes[i].name, name))
            return &m->routes[i];
    return NULL;
}

bool import_find_pattern(struct import *m, struct str name, struct import_target *out)
{
    for (size_t i = 0; i < m->route_count; i++) {
        const struct import_route *r = &m->routes[i];
        if (!r->unwritten || !str_ends(r->name, STR("/*")) || !r->target_count ||
            !str_starts(name, str_first(r->name, r->name.n - 1)))
            continue;
        *out = r->targets[0];
        out->model = str_from(name, r->name.n - 1);
        return out->model.n > 0;
    }
    return false;
}

static void add_fallback(struct import *m, struct import_route *route, const struct yaml *to)
{
    if (to->kind != YAML_TEXT)
        import_leave_out(m, to, "fallbacks", route->name, "is no model_name");
    else if (route->fallback_count == IMPORT_TARGETS_MAX)
        import_leave_out(m, to, "fallbacks", route->name, "too many fallbacks");
    else
        route->fallback[route->fallback_count++] = (struct import_fallback){to->text, to};
}

/* For all that are routes of their own: an alias has what it leads to. */
static void read_default_fallbacks(struct import *m, const struct yaml *list)
{
    for (const struct yaml *to = list && list->kind == YAML_LIST ? list->first : NULL; to;
         to = to->next)
        for (size_t i = 0; i < m->route_count; i++)
            if (!m->routes[i].alias_of.n && !m->routes[i].unwritten)
                add_fallback(m, &m->routes[i], to);
}

static void read_fallbacks_of(struct import *m, const struct yaml *from)
{
    struct import_route *route = import_find(m, from->key);
    if (!route && str_eq(from->key, STR("*")))
        read_default_fallbacks(m, from);
    else if (!route || route->unwritten)
        import_leave_out(m, from, "fallbacks", from->key, "there is no route of this name");
    else if (route->alias_of.n)
        import_leave_out(
            m, from, "fallbacks", from->key, "an alias has the fallbacks of what it leads to");
    else
        for (const struct yaml *to = from->kind == YAML_LIST ? from->first : NULL; to;
             to = to->next)
            add_fallback(m, route, to);
}

/* [{ "gpt-4o": ["claude"] }]. `kind`: the failure that they are for there, here they are for all.
 */
static void read_fallbacks(
    struct import *m, const struct yaml *map, const char *where, const char *kind)
{
    const struct yaml *list = yaml_get(map, kind);
    if (list && list->kind != YAML_LIST && list->kind != YAML_NULL)
        import_leave_out(m, list, where, str_c(kind), "is no list of { model_name: [model_name] }");
    else if (list && strcmp(kind, "fallbacks") != 0)
        import_leave_out(m, list, where, str_c(kind),
            "carried as fallbacks after every failure, not after this one alone");
    bool content = strcmp(kind, "content_policy_fallbacks") == 0;
    for (const struct yaml *one = list && list->kind == YAML_LIST ? list->first : NULL; one;
         one = one->next)
        for (const struct yaml *c = one->kind == YAML_MAP ? one->first : NULL; c; c = c->next) {
            struct import_route *route = content ? import_find(m, c->key) : NULL;
            if (route)
                route->on_content = true;
            read_fallbacks_of(m, c);
        }
}

/* { RateLimitErrorRetries: 3, … }: here one number counts for all that is tried again. -1: none. */
static int64_t read_retry_policy(struct import *m, const struct yaml *policy, const char *where)
{
    int64_t most = -1, n;
    bool differ = false;
    for (const struct yaml *c = policy && policy->kind == YAML_MAP ? policy->first : NULL; c; c = c->next) {
        if (str_eq(c->key, STR("BadRequestErrorRetries"))) {
            import_leave_out(m, c, where, c->key, "what a provider calls wrong is never sent again");
        } else if (c->kind != YAML_TEXT || unit_count(c->text, &n, NULL) < 0) {
            import_leave_out(m, c, where, c->key, "is no number");
        } else {
            differ = differ || (most >= 0 && n != most);
            most = MAX(most, n);
        }
    }
    if (differ)
        import_leave_out(m, policy, where, policy->key.n ? policy->key : STR("retry_policy"),
            "one number counts for all that is tried again: the largest");
    return most;
}

static void read_retries(struct import *m, const struct yaml *router)
{
    const struct yaml *groups = yaml_get(router, "model_group_retry_policy");
    int64_t all = read_retry_policy(m, yaml_get(router, "retry_policy"), "router_settings");
    m->retries = all >= 0 ? all : m->retries;
    for (const struct yaml *c = groups && groups->kind == YAML_MAP ? groups->first : NULL; c; c = c->next) {
        struct import_route *route = import_find(m, c->key);
        int64_t n = read_retry_policy(m, c, "model_group_retry_policy");
        if (!route || route->unwritten)
            import_leave_out(m, c, "model_group_retry_policy", c->key, "there is no route of this name");
        else if (n >= 0)
            route->retries = n;
    }
}

static void read_strategy(struct import *m, const struct yaml *router)
{
    static const char *const map[][2] = {{"simple-shuffle", "weighted"},
        {"least-busy", "least-busy"}, {"usage-based-routing", "usage"},
        {"usage-based-routing-v2", "usage"}, {"latency-based-routing", "lowest-latency"},
        {"cost-based-routing", "lowest-cost"}};
    struct str asked = import_text(router, "routing_strategy");
    m->policy = STR("weighted");
    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (str_eq(asked, str_c(map[i][0]))) {
            m->policy = str_c(map[i][1]);
            return;
        }
    }
    if (asked.n)
        import_leave_out(m, yaml_get(router, "routing_strategy"), "router_settings", asked,
            "is taken as policy: weighted");
}

/* A name or { model: NAME, hidden: … } → why it can't be carried, or NULL when it is. */
static const char *read_alias(struct import *m, struct str name, struct str to)
{
    const struct import_route *from = import_find(m, to);
    if (str_chr(name, '/') >= 0 || str_chr(name, ' ') >= 0 || !name.n || name.n > 64)
        return "a route's name has at most 64 characters, no blanks and no `/`";
    if (import_find(m, name))
        return "a deployment has this name";
    if (!from || from->alias_of.n)
        return "leads to no model_name that is carried";
    struct import_route *route = import_route_of(m, name);
    if (!route)
        return "too many routes";
    if (from->unwritten) { /* no rule can name it: the same targets, then */
        *route = *from;
        route->name = name;
        route->unwritten = false;
    } else {
        route->alias_of = to;
    }
    return NULL;
}

static void read_aliases(struct import *m, const struct yaml *aliases)
{
    for (const struct yaml *c = aliases && aliases->kind == YAML_MAP ? aliases->first : NULL; c;
         c = c->next) {
        struct str to = c->kind == YAML_MAP ? import_text(c, "model") : c->text;
        const char *why = read_alias(m, c->key, to);
        if (why)
            import_leave_out(m, c, "model_group_alias", c->key, why);
        else if (yaml_get(c, "hidden"))
            import_leave_out(m, yaml_get(c, "hidden"), "model_group_alias", c->key,
                "`hidden` is not carried: /v1/models lists it");
    }
}

/* "30d", "1h", "7d": the window that it is, or none. */
const char *import_window(struct str duration)
{
    static const char *const map[][2] = {{"1m", "minute"}, {"1h", "hour"}, {"24h", "day"},
        {"1d", "day"}, {"7d", "week"}, {"1w", "week"}, {"30d", "month"}, {"1mo", "month"}};
    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        if (str_eq(duration, str_c(map[i][0])))
            return map[i][1];
    return duration.n ? NULL : "total";
}

static void read_budget_settings(struct import *m, const struct yaml *settings)
{
    struct str amount = import_text(settings, "max_budget");
    const char *window = import_window(import_text(settings, "budget_duration"));
    int64_t nano;
    if (!amount.n)
        return;
    if (!window || unit_money(amount, &nano, NULL) < 0 || nano == 0)
        import_leave_out(m, yaml_get(settings, "max_budget"), "litellm_settings", STR("max_budget"),
            "this amount or duration has no counterpart; give the keys budgets");
    else if (!m->master_key.n)
        import_leave_out(m, yaml_get(settings, "max_budget"), "litellm_settings", STR("max_budget"),
            "there is no key to carry it; give the keys budgets");
    else {
        m->budget_amount = amount;
        m->budget_window = str_c(window);
    }
}

void import_settings(struct import *m, const struct yaml *root)
{
    static const char *const litellm[] = {"fallbacks", "context_window_fallbacks",
        "content_policy_fallbacks", "default_fallbacks", "num_retries", "request_timeout",
        "max_budget", "budget_duration", "drop_params", "stream_timeout"};
    static const char *const router[] = {"routing_strategy", "model_group_alias", "num_retries",
        "timeout", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks",
        "default_fallbacks", "retry_policy", "model_group_retry_policy", "stream_timeout"};
    static const char *const general[] = {"master_key"};
    static const char *const top[] = {
        "model_list", "litellm_settings", "router_settings", "general_settings", "include", "credential_list"};
    static const char *const kinds[] = {
        "fallbacks", "context_window_fallbacks", "content_policy_fallbacks"};
    const struct yaml *l = yaml_get(root, "litellm_settings"),
                      *r = yaml_get(root, "router_settings"),
                      *g = yaml_get(root, "general_settings");
    import_name_unknown(m, l, "litellm_settings", litellm, ARRAY_LEN(litellm));
    import_name_unknown(m, r, "router_settings", router, ARRAY_LEN(router));
    import_name_unknown(m, g, "general_settings", general, ARRAY_LEN(general));
    import_name_unknown(m, root, "", top, ARRAY_LEN(top));
    bool drop;
    if (unit_bool(import_text(l, "drop_params"), &drop, NULL) == 0 && !drop)
        import_leave_out(m, yaml_get(l, "drop_params"), "litellm_settings", STR("drop_params"),
            "what a target can't express is dropped and named; `dropped: refuse` on a route "
            "refuses");
    read_strategy(m, r);
    read_aliases(m, yaml_get(r, "model_group_alias"));
    const struct yaml *both[] = {l, r};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
            read_fallbacks(m, both[i], i ? "router_settings" : "litellm_settings", kinds[k]);
        read_default_fallbacks(m, yaml_get(both[i], "default_fallbacks"));
        m->retries = import_number(both[i], "num_retries", m->retries);
    }
    read_retries(m, r);
    int64_t router_ms = import_seconds(m, r, "router_settings", "timeout"),
            router_first_ms = import_seconds(m, r, "router_settings", "stream_timeout"),
            all_ms = import_seconds(m, l, "litellm_settings", "request_timeout"),
            first_ms = import_seconds(m, l, "litellm_settings", "stream_timeout");
    m->total_ms = router_ms > 0 ? router_ms : all_ms;
    m->first_token_ms = router_first_ms > 0 ? router_first_ms : first_ms;
    m->master_key = import_reference(m, import_text(g, "master_key"));
    if (m->master_key.n && m->master_key.n < 16 && !str_starts(m->master_key, STR("env:"))) {
        import_leave_out(m, yaml_get(g, "master_key"), "general_settings", STR("master_key"),
            "has fewer than 16 characters: make keys with `pointsman key add`");
        m->master_key = STR_NULL;
    }
    read_budget_settings(m, l);
}
