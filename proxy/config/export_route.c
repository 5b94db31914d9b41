/* export_route.c: routes with what people switched, and prices, as YAML. */
#include "proxy/config/export.h"
#include "proxy/config/units.h"

static void put_target(struct buf *out, const struct target *t)
{
    struct buf text;
    buf_init(&text, 4096);
    buf_printf(&text, STR_FMT "/" STR_FMT, STR_ARG(t->provider->name), STR_ARG(t->model));
    if (t->weight != 1)
        buf_puts(out, "{ to: ");
    export_text(out, buf_str(&text));
    if (t->weight != 1)
        buf_printf(out, ", weight: %u }", t->weight);
    buf_fini(&text);
}

static void put_targets(struct buf *out, const struct target *t, size_t n)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? ", " : "");
        put_target(out, &t[i]);
    }
    buf_putc(out, ']');
}

static void put_conditions(struct buf *out, const struct rule *rule)
{
    buf_puts(out, "{");
    for (size_t i = 0; i < rule->condition_count; i++) {
        struct str value = rule->conditions[i].shown, name;
        if (!str_cut(&value, ' ', &name))
            continue;
        buf_printf(out, "%s" STR_FMT ": ", i ? ", " : " ", STR_ARG(name));
        export_text(out, value);
    }
    buf_puts(out, " }");
}

static void put_rule(struct buf *out, const struct rule *rule)
{
    buf_puts(out, "      - { ");
    if (!str_starts(rule->name, STR("rule "))) {
        buf_puts(out, "name: ");
        export_text(out, rule->name);
        buf_puts(out, ", ");
    }
    if (!rule->enabled)
        buf_puts(out, "enabled: no, ");
    buf_puts(out, "if: ");
    put_conditions(out, rule);
    buf_puts(out, ", use: ");
    if (rule->route.n)
        export_text(out, rule->route);
    else
        put_targets(out, rule->targets, rule->target_count);
    buf_puts(out, " }\n");
}

static bool in_force(const struct override *o, const struct config_live *live)
{
    return !o->until_ms || o->until_ms > live->wall_ms;
}

static const struct override *for_everyone(const struct config_live *live, struct str name)
{
    for (size_t i = 0; live && i < live->override_count; i++)
        if (live->overrides[i].scope == SCOPE_EVERYONE && str_eq(live->overrides[i].name, name) &&
            in_force(&live->overrides[i], live))
            return &live->overrides[i];
    return NULL;
}

static bool is_goal(struct str to)
{
    return str_starts(to, STR("goal:"));
}

/* A switch for one key or session is a rule; a goal for one of them can't be said in a file. */
static bool is_rule(const struct override *o, const struct config_live *live, struct str name)
{
    return o->scope != SCOPE_EVERYONE && str_eq(o->name, name) && in_force(o, live) &&
           !is_goal(o->to);
}

static void put_who(struct buf *out, const struct override *o)
{
    buf_printf(out, "switched by " STR_FMT, STR_ARG(o->who));
    if (o->until_ms) {
        buf_puts(out, " until ");
        unit_put_date(out, o->until_ms);
    }
    buf_putc(out, '\n');
}

static void put_live_rules(struct buf *out, const struct config_live *live, struct str name)
{
    for (size_t i = 0; live && i < live->override_count; i++) {
        const struct override *o = &live->overrides[i];
        if (!is_rule(o, live, name))
            continue;
        buf_printf(out, "      - { if: { %s: ", o->scope == SCOPE_KEY ? "key" : "session");
        export_text(out, o->scope_name);
        buf_puts(out, " }, use: ");
        export_text(out, o->to);
        buf_puts(out, " } # ");
        put_who(out, o);
    }
}

static bool has_live_rules(const struct config_live *live, struct str name)
{
    for (size_t i = 0; live && i < live->override_count; i++)
        if (is_rule(&live->overrides[i], live, name))
            return true;
    return false;
}

static void put_retry(struct exporter *x, const struct route *t)
{
    static const char *const names[] = {
        "429", "5xx", "network", "timeout", "context", "content", "key"};
    buf_printf(x->out, "    retry: { attempts: %u, on: [", t->retry_attempts);
    for (unsigned bit = 0, n = 0; bit < ARRAY_LEN(names); bit++)
        if (t->retry_on & 1u << bit)
            buf_printf(x->out, "%s%s", n++ ? ", " : "", names[bit]);
    buf_puts(x->out, "] }\n");
}

static bool taken_back(const struct config_live *live, struct str route)
{
    for (size_t i = 0; live && i < live->taken_back_count; i++)
        if (str_eq(live->taken_back[i], route))
            return true;
    return false;
}

/* One that was taken back is a comment: the file reproduces what is in force. */
static void put_canary(struct exporter *x, const struct route *t, bool back)
{
    buf_puts(x->out, back ? "    # taken back: canary: { to: " : "    canary: { to: ");
    put_target(x->out, &t->canary.to);
    x->members = 1;
    export_options(x, SECTION_CANARY, t, "", true);
    buf_puts(x->out, " }\n");
}

/* Everything of a route but its rules and targets. */
static void put_manner(struct exporter *x, const struct route *t, const struct config_live *live,
    bool switched)
{
    struct route rest = *t;
    if (switched) { /* one target is left: nothing chooses among targets any more */
        rest.goal = GOAL_NONE;
        rest.policy = POLICY_PRIORITY;
        rest.sticky = STR("session");
        rest.measure_total = false;
    }
    export_options(x, SECTION_ROUTE, &rest, "    ", false);
    if (t->fallback_count) {
        buf_puts(x->out, "    fallback: ");
        put_targets(x->out, t->fallback, t->fallback_count);
        buf_putc(x->out, '\n');
    }
    put_retry(x, t);
    if (t->disconnect == DISCONNECT_FINISH)
        buf_puts(x->out, "    disconnect: finish\n");
    if (t->disconnect == DISCONNECT_DRAIN) {
        buf_puts(x->out, "    disconnect: \"drain:");
        unit_put_size(x->out, t->drain_bytes);
        buf_puts(x->out, "\"\n");
    }
    if (rest.measure_total)
        buf_puts(x->out, "    latency: total\n");
    if (t->refuse_dropped)
        buf_puts(x->out, "    dropped: refuse\n");
    if (t->budget_count) {
        buf_puts(x->out, "    budget: ");
        export_budget(x->out, t->budgets, t->budget_count);
        buf_putc(x->out, '\n');
    }
    if (t->canary.share_ppm && !switched)
        put_canary(x, t, taken_back(live, t->name));
}

static void put_as_configured(
    struct exporter *x, const struct route *t, const struct config_live *live)
{
    put_manner(x, t, live, false);
    if (t->rule_count || has_live_rules(live, t->name))
        buf_puts(x->out, "    rules:\n");
    put_live_rules(x->out, live, t->name);
    for (size_t i = 0; i < t->rule_count; i++)
        put_rule(x->out, &t->rules[i]);
    if (t->target_count) {
        buf_puts(x->out, "    targets: ");
        put_targets(x->out, t->targets, t->target_count);
        buf_putc(x->out, '\n');
    }
}

static bool names_provider(const struct config *c, struct str to)
{
    ptrdiff_t slash = str_chr(to, '/');
    for (size_t i = 0; slash > 0 && i < c->provider_count; i++)
        if (str_eq(c->providers[i].name, str_first(to, (size_t)slash)))
            return true;
    return false;
}

/* `t` is NULL for a name that no route of the file defines. */
static void put_switched(struct exporter *x, const struct config *c, const struct route *t,
    const struct override *o, const struct config_live *live)
{
    struct buf *out = x->out;
    buf_puts(out, "    # ");
    put_who(out, o);
    if (t && t->target_count) {
        buf_puts(out, "    # before: targets: ");
        put_targets(out, t->targets, t->target_count);
        buf_printf(out, "%s\n", t->rule_count ? ", and rules" : "");
    }
    if (t)
        put_manner(x, t, live, true);
    bool target = names_provider(c, o->to);
    if (!target || has_live_rules(live, o->name))
        buf_puts(out, "    rules:\n");
    put_live_rules(out, live, o->name);
    buf_puts(out, target ? "    targets: [" : "      - { if: {}, use: ");
    export_text(out, o->to);
    buf_puts(out, target ? "]\n" : " }\n");
}

static void put_route(struct exporter *x, const struct config *c, const struct route *t,
    const struct config_live *live)
{
    const struct override *o = for_everyone(live, t->name);
    buf_puts(x->out, "  ");
    export_text(x->out, t->name);
    buf_puts(x->out, ":\n");
    if (o && !is_goal(o->to)) {
        put_switched(x, c, t, o, live);
    } else if (o) {
        struct route goal = *t;
        static const char *const goals[] = {"none", "quality", "latency", "cost", "long_context",
            "resilience"};
        for (size_t i = 0; i < ARRAY_LEN(goals); i++)
            if (str_eq(str_from(o->to, 5), str_c(goals[i])))
                goal.goal = (enum goal)i;
        goal.policy = POLICY_PRIORITY;
        buf_puts(x->out, "    # ");
        put_who(x->out, o);
        put_as_configured(x, &goal, live);
    } else {
        put_as_configured(x, t, live);
    }
}

static bool is_route(const struct config *c, struct str name)
{
    for (size_t i = 0; i < c->route_count; i++)
        if (str_eq(c->routes[i].name, name))
            return true;
    return false;
}

static void put_live_names(
    struct exporter *x, const struct config *c, const struct config_live *live)
{
    for (size_t i = 0; live && i < live->override_count; i++) {
        const struct override *o = &live->overrides[i];
        if (is_route(c, o->name) || !in_force(o, live))
            continue;
        const struct override *all = for_everyone(live, o->name);
        if (all == o && str_chr(o->name, '/') < 0 && !is_goal(o->to)) {
            buf_puts(x->out, "  ");
            export_text(x->out, o->name);
            buf_puts(x->out, ":\n");
            put_switched(x, c, NULL, o, live);
        } else if (all == o || !all) {
            buf_printf(x->out,
                "  # live, can't be said here: " STR_FMT " → " STR_FMT " %s" STR_FMT ", ",
                STR_ARG(o->name), STR_ARG(o->to), o->scope == SCOPE_EVERYONE ? "" : "for ",
                STR_ARG(o->scope_name));
            put_who(x->out, o);
        }
    }
}

void export_routes(struct exporter *x, const struct config *c, const struct config_live *live)
{
    if (c->route_count || (live && live->override_count))
        buf_puts(x->out, "\nroutes:\n");
    for (size_t i = 0; i < c->route_count; i++)
        put_route(x, c, &c->routes[i], live);
    put_live_names(x, c, live);
}

static void put_tiers(struct exporter *x, const struct price_rates_override *tiers)
{
    static const char *const names[] = {"", "batch", "flex", "priority"};
    export_options(x, SECTION_PRICE_TIER, &tiers[0], "", true);
    for (int t = 1; t < CONFIG_PRICE_TIERS; t++) {
        size_t outside = x->members, start = x->out->n;
        buf_printf(x->out, "%s%s: { ", outside ? ", " : "", names[t]);
        x->members = 0;
        export_options(x, SECTION_PRICE_TIER, &tiers[t], "", true);
        if (x->members)
            buf_puts(x->out, " }");
        else
            x->out->n = start;
        x->members = outside + (x->members != 0);
    }
}

static void put_member(struct exporter *x, const char *name)
{
    buf_printf(x->out, "%s%s: ", x->members++ ? ", " : "", name);
}

static void put_fees(struct exporter *x, const struct price_override *p)
{
    if (p->per_request >= 0) {
        put_member(x, "per_request");
        unit_put_fee(x->out, p->per_request);
    }
    if (p->per_search >= 0) {
        put_member(x, "per_search");
        unit_put_fee(x->out, p->per_search);
    }
#define X(name, key, counted)                                                                      \
    if (p->unit[UNIT_##name] >= 0) {                                                               \
        put_member(x, key);                                                                        \
        unit_put_fee(x->out, p->unit[UNIT_##name]);                                                \
    }
#include "proxy/config/price_units.def"
#undef X
#define X(name, key, word)                                                                         \
    if (p->factor_ppm[FACTOR_##name] >= 0) {                                                       \
        put_member(x, key);                                                                        \
        unit_put_fee(x->out, p->factor_ppm[FACTOR_##name] * 1000000000);                           \
    }
#include "proxy/config/price_factors.def"
#undef X
    if (p->discount_ppm >= 0) {
        put_member(x, "discount");
        unit_put_percent(x->out, p->discount_ppm);
    }
    if (p->context_tokens) {
        put_member(x, "context");
        buf_printf(x->out, "%lld", (long long)p->context_tokens);
    }
    if (p->max_output_tokens) {
        put_member(x, "max_output");
        buf_printf(x->out, "%lld", (long long)p->max_output_tokens);
    }
}

static void put_steps(struct exporter *x, const struct price_override *p)
{
    if (!p->step[0].above_tokens)
        return;
    put_member(x, "above");
    buf_putc(x->out, '[');
    for (int s = 0; s < CONFIG_PRICE_STEPS && p->step[s].above_tokens; s++) {
        buf_printf(x->out, "%s{ tokens: %lld", s ? ", " : "", (long long)p->step[s].above_tokens);
        x->members = 1;
        put_tiers(x, p->step[s].rates);
        buf_puts(x->out, " }");
    }
    buf_putc(x->out, ']');
}

void export_prices(struct exporter *x, const struct config *c)
{
    if (c->price_override_count)
        buf_puts(x->out, "\nprices:\n");
    for (size_t i = 0; i < c->price_override_count; i++) {
        const struct price_override *p = &c->price_overrides[i];
        buf_puts(x->out, "  ");
        export_text(x->out, p->key);
        buf_puts(x->out, ": { ");
        x->members = 0;
        put_tiers(x, p->base);
        put_fees(x, p);
        put_steps(x, p);
        buf_puts(x->out, " }\n");
    }
}
