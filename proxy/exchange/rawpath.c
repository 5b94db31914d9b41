/* rawpath.c: paths of a provider that we pass on without reading: who may use them, and who gets
 * them when no model says so. */
#include "proxy/exchange/exchange.h"

#include "proxy/access/key.h"
#include "proxy/worker.h"
#include "store/base/secret.h"
#include "store/store.h"

#include <stdlib.h>

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
    const struct key *k = x->key;
    bool background = x->ep.wire == WIRE_RESPONSES && x->facts.background;
    if (!k || (x->ep.wire != WIRE_RAW && !background))
        return STEP_WAIT;
    const struct raw_group *g = group_of(x->ep.path);
    if (k->budget_count && (g->billed_later || background))
        return exchange_refuse(x, 403, "billed_later", -1,
            "key " STR_FMT " has a budget, and %s is billed later than its answer: it can't be "
            "bounded", STR_ARG(k->name), background ? "`background: true`" : g->name);
    if (x->ep.wire == WIRE_RAW && !g->metered && !opened(k, g->name))
        return exchange_refuse(x, 403, "path_not_allowed", -1,
            "key " STR_FMT " may not use " STR_FMT "; its owner can open it with `raw: [%s]`",
            STR_ARG(k->name), STR_ARG(secret_first(x->ep.path, 80)), g->name);
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

/* "/v1/GROUP/ID/…" → ID; empty when there is none. */
static struct str id_in_path(struct str path)
{
    struct str rest = str_from(path, 4), group, id;
    if (!str_cut(&rest, '/', &group) || !rest.p || !str_cut(&rest, '/', &id) || id.n > 127)
        return STR_NULL;
    return id;
}

/* --- who made the id in the path: asked of the store, on one of its threads ------------------- */

struct lookup {
    struct loop_message message;
    struct worker *worker;
    char exchange[ID_LENGTH + 1];
    char provider[64];
};

static void lookup_back(struct loop_message *m)
{
    struct lookup *l = CONTAINER_OF(m, struct lookup, message);
    struct exchange *x = worker_find(l->worker, str_c(l->exchange));
    if (x && x->step == STEP_ROUTE) { /* else the client has left meanwhile */
        x->raw_provider = arena_str(&x->arena, str_c(l->provider));
        exchange_run(x);
    }
    free(l);
}

static void lookup_answered(void *ctx, struct store_answer *a)
{
    struct lookup *l = ctx;
    if (a->rc == 0 && a->n)
        str_copy(l->provider, sizeof l->provider, a->records[0].provider);
    store_answer_free(a);
    l->message.fn = lookup_back;
    loop_post(l->worker->loop, &l->message);
}

static bool lookup_start(struct exchange *x, struct str id)
{
    struct lookup *l = calloc(1, sizeof *l);
    struct store_query q = {.kind = STORE_ASK_RESPONSE, .id = id};
    if (!l)
        return false;
    l->worker = x->worker;
    str_copy(l->exchange, sizeof l->exchange, str_c(x->id));
    if (store_ask(x->worker->shared->store, &q, lookup_answered, l))
        return true;
    free(l);
    return false;
}

bool raw_names_provider(struct exchange *x, struct str name)
{
    const struct config *config = x->snapshot->config;
    for (size_t i = 0; i < config->route_count; i++)
        if (str_eq(config->routes[i].name, name))
            return false;
    const struct provider *p = plan_find_provider(config, name);
    if (p)
        x->raw_provider = p->name;
    return x->raw_named = p != NULL;
}

static bool may_use(struct exchange *x, const struct provider *p)
{
    return key_allows(x->key, p->name) || (x->asked.n && key_allows(x->key,
        arena_printf(&x->arena, STR_FMT "/" STR_FMT, STR_ARG(p->name), STR_ARG(x->asked))));
}

enum step_result raw_plan(struct exchange *x)
{
    const struct config *config = x->snapshot->config;
    struct str id = id_in_path(x->ep.path);
    if (id.n && !x->raw_provider.p) {
        x->raw_provider = STR(""); /* asked once */
        if (lookup_start(x, id))
            return STEP_WAIT;
    }
    const struct provider *p = x->raw_provider.n ? plan_find_provider(config, x->raw_provider)
                                                 : default_provider(config);
    if (!p)
        return exchange_refuse(x, 400, "no_raw_target", -1,
            "this path names no model: say which route or provider gets it with the header "
            "`x-pointsman-route: NAME`, or set `raw_provider` in the configuration");
    struct candidate *c = arena_zalloc(&x->arena, sizeof *c);
    if (!c)
        return exchange_refuse(x, 503, "overloaded", 1000, "out of memory");
    if (x->raw_named && !may_use(x, p))
        return exchange_refuse(x, 403, "model_not_allowed", -1, "key " STR_FMT " may not use \""
            STR_FMT "\"; its list of models does not name it", STR_ARG(x->key->name),
            STR_ARG(p->name));
    c->provider = p;
    c->model = x->facts.model; /* as the client wrote it: these bytes pass as they are */
    c->reason = x->raw_named ? STR("named by x-pointsman-route")
        : x->raw_provider.n ? STR("made the id in the path") : STR("raw path");
    x->plan = (struct plan){.route_name = p->name, .candidates = c, .count = 1, .attempts = 1};
    return STEP_NEXT;
}
