/* check.c: what can be seen only when the whole file is read: routes that nothing reaches, loops
 * among them, names that lead nowhere. */
#include "proxy/config/check.h"

static const struct yaml *place(const struct yaml *root, const struct route *t)
{
    const struct yaml *routes = yaml_get(root, "routes");
    for (const struct yaml *c = routes ? routes->first : NULL; c; c = c->next)
        if (str_eq(c->key, t->name))
            return c;
    return root;
}

static const struct yaml *child_at(const struct yaml *n, size_t index)
{
    const struct yaml *c = n ? n->first : NULL;
    while (c && index--)
        c = c->next;
    return c;
}

static const struct route *route_named(const struct config *c, struct str name)
{
    for (size_t i = 0; i < c->route_count; i++)
        if (str_eq(c->routes[i].name, name))
            return &c->routes[i];
    return NULL;
}

/* Patterns are tried in the order of the file: a later one covered by an earlier one waits forever. */
static void check_shadowed(struct reader *r, const struct yaml *root)
{
    const struct config *c = r->c;
    for (size_t i = 0; i < c->route_count; i++) {
        const struct route *t = &c->routes[i];
        for (size_t k = 0; k < i && t->pattern; k++) {
            if (!c->routes[k].pattern || !str_glob(c->routes[k].name, t->name))
                continue;
            complain_key(r, place(root, t), path_join(r, STR("routes"), t->name), ERR_RANGE,
                "nothing can reach this route: \"" STR_FMT
                "\" above takes all of its names; move it "
                "up",
                STR_ARG(c->routes[k].name));
            break;
        }
    }
}

static bool takes_everything(const struct rule *rule)
{
    return rule->enabled && rule->condition_count == 0;
}

static void check_rules(struct reader *r, const struct yaml *root, const struct route *t)
{
    struct str path = path_join(r, path_join(r, STR("routes"), t->name), STR("rules"));
    const struct yaml *list = yaml_get(place(root, t), "rules");
    const struct rule *all = NULL;
    for (size_t i = 0; i < t->rule_count; i++) {
        const struct yaml *n = child_at(list, i), *conditions = yaml_get(n, "if");
        if (all && t->rules[i].enabled)
            complain(r, n, path_index(r, path, i + 1), ERR_RANGE,
                "nothing can reach this rule: " STR_FMT " above takes every request",
                STR_ARG(all->name));
        if (!all && takes_everything(&t->rules[i]) && conditions && conditions->count == 0)
            all = &t->rules[i];
    }
    if (t->target_count == 0 && !all && !yaml_get(place(root, t), "targets"))
        complain_key(r, place(root, t), path_join(r, STR("routes"), t->name), ERR_MISSING,
            "`targets` is missing, for example targets: [openai/gpt-5-mini]");
}

/* 0 not seen, 1 on the way, 2 done. Depth is bounded by the number of routes. */
static void walk(
    struct reader *r, const struct yaml *root, const struct route *t, unsigned char *seen)
{
    seen[t - r->c->routes] = 1;
    for (size_t i = 0; i < t->rule_count; i++) {
        const struct route *to = t->rules[i].route.n ? route_named(r->c, t->rules[i].route) : NULL;
        if (!to)
            continue;
        if (seen[to - r->c->routes] == 1) {
            const struct yaml *use =
                yaml_get(child_at(yaml_get(place(root, t), "rules"), i), "use");
            struct str path = path_join(r, path_join(r, STR("routes"), t->name), STR("rules"));
            complain(r, use, path_join(r, path_index(r, path, i + 1), STR("use")), ERR_RANGE,
                "goes round in a loop: \"" STR_FMT "\" leads back to \"" STR_FMT "\"",
                STR_ARG(to->name), STR_ARG(t->name));
        } else if (!seen[to - r->c->routes]) {
            walk(r, root, to, seen);
        }
    }
    seen[t - r->c->routes] = 2;
}

static void check_loops(struct reader *r, const struct yaml *root)
{
    unsigned char *seen = arena_zalloc(r->a, r->c->route_count + 1);
    for (size_t i = 0; seen && i < r->c->route_count; i++)
        if (!seen[i])
            walk(r, root, &r->c->routes[i], seen);
}

/* A key that may ask for nothing that exists is a typing error. */
static void check_key_models(struct reader *r, const struct yaml *root)
{
    const struct config *c = r->c;
    for (size_t i = 0; i < c->key_count; i++) {
        for (size_t m = 0; m < c->keys[i].model_count; m++) {
            struct str model = c->keys[i].models[m];
            struct nearest near = {.asked = model};
            bool plain =
                str_chr(model, '*') < 0 && str_chr(model, '?') < 0 && str_chr(model, '/') < 0;
            for (size_t k = 0; k < c->route_count; k++) {
                plain = plain && !str_glob(c->routes[k].name, model);
                nearest_offer(&near, c->routes[k].name);
            }
            if (!plain || !near.best.p || !c->route_count)
                continue; /* a model's own name, perhaps: nobody can tell */
            const struct yaml *at = yaml_get(yaml_get(root, "keys"), c->keys[i].name.p);
            at = yaml_get(at, "models");
            warn_about(r, at && at->kind == YAML_LIST ? child_at(at, m) : at,
                path_join(r, path_join(r, STR("keys"), c->keys[i].name), STR("models")),
                "no route is called \"" STR_FMT "\"; did you mean " STR_FMT "?", STR_ARG(model),
                STR_ARG(near.best));
        }
    }
}

static void check_raw_provider(struct reader *r, const struct yaml *root)
{
    const struct config *c = r->c;
    struct nearest near = {.asked = c->raw_provider};
    char guess[96];
    for (size_t i = 0; i < c->provider_count; i++) {
        if (str_eq(c->providers[i].name, c->raw_provider))
            return;
        nearest_offer(&near, c->providers[i].name);
    }
    if (c->raw_provider.n)
        complain(r, yaml_get(root, "raw_provider"), STR("raw_provider"), ERR_UNKNOWN,
            "no provider is called \"" STR_FMT "\"%s", STR_ARG(c->raw_provider),
            nearest_text(&near, guess));
}

static void check_drained_to(struct reader *r, const struct yaml *root, const struct provider *p)
{
    struct str path = path_join(r, path_join(r, STR("providers"), p->name), STR("drained_to"));
    const struct yaml *n = yaml_get(yaml_get(yaml_get(root, "providers"), p->name.p), "drained_to");
    struct str rest = p->drained_to, head = STR_NULL;
    bool known = route_named(r->c, p->drained_to), itself;
    struct nearest near = {.asked = str_cut(&rest, '/', &head) ? head : p->drained_to};
    char guess[96];
    for (size_t i = 0; i < r->c->provider_count; i++) {
        known = known || (rest.n && str_eq(r->c->providers[i].name, near.asked));
        nearest_offer(&near, r->c->providers[i].name);
    }
    itself = rest.n && str_eq(near.asked, p->name);
    if (!p->drained)
        complain_key(r, n, path, ERR_RANGE, "`drained_to` does nothing without `drained: yes`");
    else if (itself)
        complain(r, n, path, ERR_RANGE, "that is the drained provider itself");
    else if (!known)
        complain(r, n, path, ERR_UNKNOWN, "\"" STR_FMT "\" is neither a route nor provider/model%s",
            STR_ARG(str_first(p->drained_to, 80)), nearest_text(&near, guess));
}

void check_config(struct reader *r, const struct yaml *root)
{
    check_shadowed(r, root);
    for (size_t i = 0; i < r->c->route_count; i++)
        check_rules(r, root, &r->c->routes[i]);
    check_loops(r, root);
    check_key_models(r, root);
    check_raw_provider(r, root);
    for (size_t i = 0; i < r->c->provider_count; i++)
        if (r->c->providers[i].drained_to.n)
            check_drained_to(r, root, &r->c->providers[i]);
}
