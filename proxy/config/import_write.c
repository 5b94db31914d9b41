/* import_write.c: what was read of another gateway's configuration, as our own file. */
#include "proxy/config/export.h"
#include "proxy/config/import.h"
#include "proxy/config/units.h"

static void member(struct buf *out, const char *name, struct str value)
{
    if (!value.n)
        return;
    buf_printf(out, "    %s: ", name);
    export_text(out, value);
    buf_putc(out, '\n');
}

static void put_timeouts(struct buf *out, int64_t first_ms, int64_t total_ms)
{
    if (first_ms <= 0 && total_ms <= 0)
        return;
    buf_puts(out, "    timeouts: { ");
    if (first_ms > 0) {
        buf_puts(out, "first_token: ");
        unit_put_duration(out, first_ms * 1000);
        buf_puts(out, total_ms > 0 ? ", " : "");
    }
    if (total_ms > 0) {
        buf_puts(out, "total: ");
        unit_put_duration(out, total_ms * 1000);
    }
    buf_puts(out, " }\n");
}

static void put_provider(struct buf *out, const struct import *m, const struct import_provider *p)
{
    struct str url = p->base_url;
    while (url.n && url.p[url.n - 1] == '/')
        url.n--;
    buf_puts(out, "  ");
    export_text(out, p->name);
    buf_puts(out, ":\n");
    member(out, "dialect", p->dialect);
    member(out, "base_url", url);
    member(out, "api_key", p->key);
    member(out, "api_version", p->api_version);
    member(out, "organization", p->organization);
    if (p->most_at_once > 0)
        buf_printf(out, "    max_concurrent: %lld\n", (long long)p->most_at_once);
    put_timeouts(out, p->first_token_ms > 0 ? p->first_token_ms : m->first_token_ms,
        p->total_ms > 0 ? p->total_ms : m->total_ms);
    if (!p->headers || p->headers->kind != YAML_MAP)
        return;
    buf_puts(out, "    headers:\n");
    for (const struct yaml *h = p->headers->first; h; h = h->next) {
        if (!import_header(h))
            continue;
        buf_puts(out, "      ");
        export_text(out, h->key);
        buf_puts(out, ": ");
        export_text(out, h->text);
        buf_putc(out, '\n');
    }
}

static void put_target(
    const struct import *m, struct buf *out, const struct import_target *t, bool weighs)
{
    struct str text = arena_printf(
        m->a, STR_FMT "/" STR_FMT, STR_ARG(m->providers[t->provider].name), STR_ARG(t->model));
    bool weight = weighs;
    buf_puts(out, weight ? "{ to: " : "");
    export_text(out, text);
    if (weight)
        buf_printf(out, ", weight: %lld }", (long long)t->weight);
}

static bool same_target(const struct import_target *a, const struct import_target *b)
{
    return a->provider == b->provider && str_eq(a->model, b->model);
}

static bool is_among(const struct import_target *t, const struct import_target *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (same_target(t, &list[i]))
            return true;
    return false;
}

/* A fallback names a route there and targets here, each once and none of the route's own. */
static void put_fallback(struct import *m, struct buf *out, const struct import_route *t)
{
    struct import_target list[IMPORT_TARGETS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < t->fallback_count; i++) {
        const struct import_route *to = import_find(m, t->fallback[i].name);
        if (to && to->alias_of.n)
            to = import_find(m, to->alias_of);
        if (!to && n < IMPORT_TARGETS_MAX && import_find_pattern(m, t->fallback[i].name, &list[n]))
            n += !is_among(&list[n], list, n) && !is_among(&list[n], t->targets, t->target_count);
        else if (!to)
            import_leave_out(m, t->fallback[i].at, "fallbacks", t->name,
                "names a model_name that is not carried");
        for (size_t k = 0; to && k < to->target_count && n < IMPORT_TARGETS_MAX; k++)
            if (!is_among(&to->targets[k], list, n) &&
                !is_among(&to->targets[k], t->targets, t->target_count))
                list[n++] = to->targets[k];
    }
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? ", " : "    fallback: [");
        put_target(m, out, &list[i], false);
    }
    if (n)
        buf_puts(out, "]\n");
}

/* `order` decides where it is given: then the policy is priority. */
static bool ordered(const struct import_route *t)
{
    for (size_t i = 0; i < t->target_count; i++)
        if (t->targets[i].order >= 0)
            return true;
    return false;
}

/* The lowest first; those without come last, as there. */
static bool comes_after(const struct import_target *a, const struct import_target *b)
{
    return b->order >= 0 && (a->order < 0 || a->order > b->order);
}

static void sort_targets(const struct import *m, struct import_target *t, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct import_target one = t[i];
        size_t k = i;
        for (; k && comes_after(&t[k - 1], &one); k--)
            t[k] = t[k - 1];
        t[k] = one;
    }
    for (size_t i = 1; i < n; i++)
        if (t[i].order == t[i - 1].order)
            import_leave_out(m, t[i].at, "model_list", STR("order"),
                "shared with another deployment: they are tried one after the other");
}

/* The weight, else the rpm, else the tpm, when all have it: what simple-shuffle goes by. */
static bool weigh(struct import_target *t, size_t n)
{
    size_t weights = 0, rpms = 0, tpms = 0;
    int64_t common = 0, most = 1;
    for (size_t i = 0; i < n; i++) {
        weights += t[i].weight >= 0;
        rpms += t[i].rpm > 0;
        tpms += t[i].tpm > 0;
    }
    if (!weights && rpms < n && tpms < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!weights)
            t[i].weight = rpms == n ? t[i].rpm : t[i].tpm;
        else if (t[i].weight < 0)
            t[i].weight = 1000;
        int64_t a = common, b = t[i].weight;
        while (b) {
            int64_t rest = a % b;
            a = b;
            b = rest;
        }
        common = a;
        most = MAX(most, t[i].weight);
    }
    most = common ? most / common : 1;
    for (size_t i = 0; i < n && common; i++) {
        int64_t w = t[i].weight / common;
        t[i].weight = most > 10000 && w ? MAX(w * 10000 / most, (int64_t)1) : w;
    }
    return common > 0;
}

/* A route has a budget, a deployment has none. */
static void put_route_budget(const struct import *m, struct buf *out, const struct import_route *t)
{
    for (size_t i = 0; i < t->target_count; i++) {
        const struct import_target *one = &t->targets[i];
        int64_t nano;
        if (!one->budget_amount.n)
            continue;
        if (t->target_count == 1 && one->budget_window.n &&
            unit_money(one->budget_amount, &nano, NULL) == 0 && nano > 0)
            buf_printf(out, "    budget: { " STR_FMT ": " STR_FMT " }\n", STR_ARG(one->budget_window),
                STR_ARG(one->budget_amount));
        else
            import_leave_out(m, one->at, "litellm_params", STR("max_budget"),
                "no budget per deployment, or of this duration: give the route one");
    }
}

static void put_retry(const struct import *m, struct buf *out, const struct import_route *t)
{
    int64_t retries = t->retries >= 0 ? t->retries : m->retries;
    if (retries < 0 && !t->on_content)
        return;
    buf_puts(out, "    retry: { ");
    if (retries >= 0)
        buf_printf(out, "attempts: %lld%s", (long long)MIN(retries + 1, (int64_t)10), t->on_content ? ", " : "");
    if (t->on_content)
        buf_puts(out, "on: [429, 5xx, network, timeout, context, content, key]");
    buf_puts(out, " }\n");
}

static void put_route(struct import *m, struct buf *out, const struct import_route *from)
{
    struct import_route t = *from;
    buf_puts(out, "  ");
    export_text(out, t.name);
    buf_puts(out, ":\n");
    if (t.alias_of.n) {
        buf_puts(out, "    rules: [{ if: {}, use: ");
        export_text(out, t.alias_of);
        buf_puts(out, " }]\n");
        return;
    }
    bool order = ordered(&t);
    if (order)
        sort_targets(m, t.targets, t.target_count);
    bool several = t.target_count > 1 && !order;
    bool weighs = several &&
                  (str_eq(m->policy, STR("weighted")) || str_eq(m->policy, STR("least-busy"))) &&
                  weigh(t.targets, t.target_count);
    if (several)
        member(out, "policy", m->policy);
    buf_puts(out, "    targets: [");
    for (size_t i = 0; i < t.target_count; i++) {
        buf_puts(out, i ? ", " : "");
        put_target(m, out, &t.targets[i], weighs);
    }
    buf_puts(out, "]\n");
    put_fallback(m, out, &t);
    put_retry(m, out, &t);
    put_route_budget(m, out, &t);
}

static void put_rate(struct buf *out, const char *name, int64_t femto, bool *any)
{
    if (femto < 0)
        return;
    buf_printf(out, "%s%s: ", *any ? ", " : "", name);
    unit_put_rate(out, femto);
    *any = true;
}

static void put_price(struct buf *out, const struct import_price *p)
{
    bool any = false;
    buf_puts(out, "  ");
    export_text(out, p->key);
    buf_puts(out, ": { ");
    put_rate(out, "input", p->input, &any);
    put_rate(out, "output", p->output, &any);
    put_rate(out, "cached", p->cached, &any);
    put_rate(out, "cache_write", p->cache_write, &any);
    if (p->context > 0)
        buf_printf(out, "%scontext: %lld", any ? ", " : "", (long long)p->context);
    any = any || p->context > 0;
    if (p->most_output > 0)
        buf_printf(out, "%smax_output: %lld", any ? ", " : "", (long long)p->most_output);
    buf_puts(out, " }\n");
}

static bool priced_before(const struct import *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (str_eq(m->prices[k].key, m->prices[i].key))
            return true;
    return false;
}

static void put_key(const struct import *m, struct buf *out)
{
    if (!m->master_key.n)
        return;
    buf_puts(out, "\nkeys:\n  master:\n    secret: ");
    export_text(out, m->master_key);
    buf_putc(out, '\n');
    if (m->budget_amount.n)
        buf_printf(out, "    budget: { " STR_FMT ": " STR_FMT " }\n", STR_ARG(m->budget_window),
            STR_ARG(m->budget_amount));
}

/* Exact names first: a pattern above would take them. */
static void put_routes(struct import *m, struct buf *out)
{
    static const struct str all = {"*", 1};
    buf_puts(out, m->route_count ? "\nroutes:\n" : "");
    for (int pass = 0; pass < 3; pass++) {
        for (size_t i = 0; i < m->route_count; i++) {
            struct str name = m->routes[i].name;
            int belongs = str_eq(name, all) ? 2 : str_chr(name, '*') >= 0 ? 1 : 0;
            if (belongs == pass && !m->routes[i].unwritten)
                put_route(m, out, &m->routes[i]);
        }
    }
}

void import_write(struct import *m, struct buf *yaml)
{
    buf_puts(yaml, "# Imported from a LiteLLM configuration. `pointsman config check` tells what "
                   "is missing.\n");
    buf_puts(yaml, m->provider_count ? "\nproviders:\n" : "");
    for (size_t i = 0; i < m->provider_count; i++)
        put_provider(yaml, m, &m->providers[i]);
    put_routes(m, yaml);
    put_key(m, yaml);
    buf_puts(yaml, m->price_count ? "\nprices:\n" : "");
    for (size_t i = 0; i < m->price_count; i++)
        if (!priced_before(m, i))
            put_price(yaml, &m->prices[i]);
}
