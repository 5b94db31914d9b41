/* rawpath.c: paths of a provider that we pass on without reading: who may use them, and who gets
 * them when no model says so. */
#include "proxy/exchange/exchange.h"

#include "proxy/worker.h"

static const struct raw_group {
    const char *prefix, *name;
    bool metered;      /* billed by its own answer: open to every key */
    bool billed_later; /* billed after its answer: never for a key with a budget */
} groups[] = {
    {"/v1/audio/", "audio", true, false},
    {"/v1/images/", "images", true, false},
    {"/v1/moderations", "moderations", true, false},
    {"/v1/rerank", "rerank", true, false},
    {"/v1/responses/", "responses", true, false},
    {"/v1/files", "files", false, false},
    {"/v1/uploads", "files", false, false},
    {"/v1/batches", "batches", false, true},
    {"/v1/messages/batches", "batches", false, true},
    {"/v1/fine_tuning", "fine_tuning", false, true},
    {"/v1/videos", "videos", false, true},
    {"/v1/realtime/client_secrets", "client_secrets", false, true},
    {"/v1/realtime/sessions", "client_secrets", false, true},
    {"/v1/vector_stores", "vector_stores", false, false},
    {"/v1/", "other", false, false},
};

static const struct raw_group *group_of(struct str path)
{
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if (str_starts(path, str_c(groups[i].prefix)))
            return &groups[i];
    return &groups[ARRAY_LEN(groups) - 1];
}

static bool opened(const struct key *k, const char *name)
{
    for (size_t i = 0; i < k->raw_count; i++)
        if (str_eq(k->raw[i], str_c(name)))
            return true;
    return false;
}

enum step_result raw_allowed(struct exchange *x)
{
    const struct raw_group *g = group_of(x->ep.path);
    const struct key *k = x->key;
    bool background = x->ep.wire == WIRE_RESPONSES && x->facts.background;
    if (!k || (x->ep.wire != WIRE_RAW && !background))
        return STEP_WAIT;
    if (k->budget_count && (g->billed_later || background))
        return exchange_refuse(x, 403, "billed_later", -1,
            "key " STR_FMT " has a budget, and %s is billed later than its answer: it can't be "
            "bounded", STR_ARG(k->name), background ? "`background: true`" : g->name);
    if (x->ep.wire == WIRE_RAW && !g->metered && !opened(k, g->name))
        return exchange_refuse(x, 403, "path_not_allowed", -1,
            "key " STR_FMT " may not use " STR_FMT "; its owner can open it with `raw: [%s]`",
            STR_ARG(k->name), STR_ARG(str_first(x->ep.path, 80)), g->name);
    return STEP_WAIT;
}

/* The named raw provider, else the only one that speaks OpenAI. */
static const struct provider *default_provider(const struct config *c)
{
    const struct provider *only = NULL;
    for (size_t i = 0; i < c->provider_count; i++) {
        const struct provider *p = &c->providers[i];
        if (c->raw_provider.n && str_eq(p->name, c->raw_provider))
            return p;
        if (p->dialect == DIALECT_OPENAI && !c->raw_provider.n) {
            if (only)
                return NULL;
            only = p;
        }
    }
    return only;
}

enum step_result raw_plan(struct exchange *x)
{
    const struct provider *p = default_provider(x->snapshot->config);
    if (!p)
        return exchange_refuse(x, 400, "no_raw_target", -1,
            "this path names no model: say which route or provider gets it with the header "
            "`x-pointsman-route: NAME`, or set `raw_provider` in the configuration");
    struct candidate *c = arena_zalloc(&x->arena, sizeof *c);
    if (!c)
        return exchange_refuse(x, 503, "overloaded", 1000, "out of memory");
    c->provider = p;
    c->model = STR("");
    c->reason = STR("raw path");
    x->plan = (struct plan){.route_name = p->name, .candidates = c, .count = 1};
    return STEP_NEXT;
}
