/* makers.c: who makes a model, told from its name. Used only for providers that list no models
 * (found in the environment, or without `models:`): so that with two keys in the environment and no
 * configuration file each well-known model goes to its maker, whichever protocol the client speaks.
 * Hosts of many makers' models are not in the table. */
#include "proxy/meter/price.h"
#include "proxy/route/plan_state.h"

static const struct maker {
    const char *provider, *host; /* the usual name, and where its own service lives */
    const char *prefixes[12];    /* of model names */
} makers[] = {
    {"openai", "api.openai.com", {"gpt-", "chatgpt-", "o1", "o3", "o4", "codex-", "text-embedding-",
        "dall-e", "whisper-", "tts-", "omni-moderation", "davinci-"}},
    {"anthropic", "api.anthropic.com", {"claude-"}},
    {"gemini", "generativelanguage.googleapis.com", {"gemini-", "gemma-", "models/gemini-"}},
    {"mistral", "api.mistral.ai", {"mistral-", "codestral-", "magistral-", "ministral-", "pixtral-",
        "devstral-", "open-mistral-"}},
    {"deepseek", "api.deepseek.com", {"deepseek-"}},
    {"xai", "api.x.ai", {"grok-"}},
    {"perplexity", "api.perplexity.ai", {"sonar"}},
    {"moonshot", "api.moonshot.ai", {"kimi-", "moonshot-"}},
    {"zai", "api.z.ai", {"glm-"}},
};

static const struct maker *maker_of(struct str model)
{
    for (size_t i = 0; i < ARRAY_LEN(makers); i++)
        for (size_t k = 0; k < ARRAY_LEN(makers[i].prefixes) && makers[i].prefixes[k]; k++)
            if (str_starts(model, str_c(makers[i].prefixes[k])))
                return &makers[i];
    return NULL;
}

static bool is_maker(const struct maker *m, const struct provider *p)
{
    return str_eq(p->name, str_c(m->provider)) || str_find(p->base_url, str_c(m->host)) >= 0;
}

bool maker_makes(const struct provider *p, struct str model)
{
    const struct maker *m = maker_of(model);
    return m && is_maker(m, p);
}

bool maker_makes_only_others(const struct provider *p, struct str model)
{
    const struct maker *m = maker_of(model);
    bool maker = false;
    for (size_t i = 0; i < ARRAY_LEN(makers); i++)
        maker = maker || is_maker(&makers[i], p);
    return m && maker && !is_maker(m, p);
}

/* ---- what a provider has ---- */

struct models {
    const struct provider *p;
    plan_model_fn *fn;
    void *ctx;
    size_t n;
};

static void give(struct models *m, struct str model)
{
    m->n++;
    m->fn(m->ctx, m->p, model);
}

static void offer_asked(void *ctx, struct str model)
{
    give(ctx, model);
}

/* Makers' models stand in the price list under their own name, those of hosts as host/name. */
static void offer_priced(void *ctx, const struct price *price)
{
    struct models *m = ctx;
    struct str name = str_c(price->key), host, rest = name;
    if (str_chr(name, '*') >= 0)
        return;
    if (str_cut(&rest, '/', &host) && rest.n) {
        if (str_eq(host, m->p->name))
            give(m, rest);
    } else if (maker_makes(m->p, name)) {
        give(m, name);
    }
}

enum plan_known plan_each_model(const struct config *c, const struct health *h,
    const struct provider *p, plan_model_fn *fn, void *ctx)
{
    struct models m = {p, fn, ctx, 0};
    for (size_t i = 0; i < p->model_count; i++)
        fn(ctx, p, p->models[i]);
    if (p->model_count)
        return PLAN_KNOWN_LISTED;
    if (health_each_model(h, p, offer_asked, &m))
        return PLAN_KNOWN_ASKED;
    if (c->prices)
        price_list_each(c->prices, offer_priced, &m);
    return m.n ? PLAN_KNOWN_PRICED : PLAN_KNOWN_NOT;
}
