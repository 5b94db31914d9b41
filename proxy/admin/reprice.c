/* reprice.c: stored requests with the present prices, page by page, oldest first. Without `write` it
 * only says what would change, model by model; with it, rows, rollups and ledger move by the
 * difference, and so do the balances of whoever paid.
 *
 * What a provider stated itself stays, and so does a subscription. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/keeper.h"

#include "proxy/access/account.h"
#include "proxy/config/config.h"
#include "proxy/meter/billed.h"
#include "store/base/clock.h"

enum { MODELS_MAX = 200, TAGS_MOST = 8 };

struct model {
    struct str name;
    int64_t rows, changed, before_nano, after_nano;
};

struct reprice {
    struct store_query query;
    struct config *config;
    struct model all, model[MODELS_MAX];
    size_t models;
    int64_t stated, unpriced, failed;
    bool write;
};

static void left(struct call *c)
{
    struct reprice *x = c->state;
    config_put(x->config);
    x->config = NULL;
}

static struct model *model_of(struct call *c, struct reprice *x, const struct record *r)
{
    struct str name = call_printf(c, STR_FMT "/" STR_FMT, STR_ARG(r->provider), STR_ARG(r->model));
    for (size_t i = 0; i < x->models; i++)
        if (str_eq(x->model[i].name, name))
            return &x->model[i];
    if (x->models == MODELS_MAX)
        return NULL;
    x->model[x->models] = (struct model){.name = name};
    return &x->model[x->models++];
}

static void add(struct model *m, int64_t before, int64_t after)
{
    if (!m)
        return;
    m->rows++;
    m->changed += before != after;
    m->before_nano += before;
    m->after_nano += after;
}

/* Whoever paid for it: in the windows that still hold its time, and in credit. */
static void move_balances(struct call *c, const struct record *r, int64_t more)
{
    struct account_set *set = c->admin->start.accounts;
    struct str rest = r->tags, tag;
    const struct { enum account_kind kind; struct str name; } whose[] = {
        {ACCOUNT_KEY, r->key}, {ACCOUNT_TEAM, r->team}, {ACCOUNT_ROUTE, r->route}};
    for (size_t i = 0; set && i < ARRAY_LEN(whose); i++)
        if (whose[i].name.n)
            account_adjust(set, account_get(set, whose[i].kind, whose[i].name), clock_wall_ms(),
                r->time_ms, more);
    for (int i = 0; set && i < TAGS_MOST && rest.n && str_cut(&rest, ',', &tag); i++)
        if (str_trim(tag).n)
            account_adjust(set, account_get(set, ACCOUNT_TAG, str_trim(tag)), clock_wall_ms(),
                r->time_ms, more);
}

static void one(struct call *c, struct reprice *x, const struct record *r)
{
    enum price_tier tier;
    bool sized = str_find(r->price_key, STR("-x-")) >= 0; /* an image's, by quality and size */
    const struct price *p = sized ? price_find(x->config->prices, STR(""), r->price_key) : NULL;
    p = p ? p : price_find(x->config->prices, r->provider, r->model);
    struct usage u = billed_record(r, &tier);
    if (r->usage_source == USAGE_NONE)
        return; /* nothing was used */
    if (r->cost_source == COST_PROVIDER || r->cost_source == COST_SUBSCRIPTION) {
        x->stated++;
        return;
    }
    if (!p) {
        x->unpriced++;
        return;
    }
    int64_t cost = price_cost_all(p, price_of_images(x->config->prices, r->provider, &u), &u, tier);
    add(&x->all, r->cost_nano, cost);
    add(model_of(c, x, r), r->cost_nano, cost);
    if (cost == r->cost_nano || !x->write)
        return;
    struct record amended = *r;
    amended.cost_nano = cost;
    bool estimated = r->cost_source == COST_ESTIMATED || r->usage_source != USAGE_MEASURED;
    amended.cost_source = estimated ? COST_ESTIMATED : COST_MEASURED;
    amended.price_key = str_c(p->key);
    amended.slot = -1;
    if (store_put_record(c->admin->start.store, SPOOL_AMEND, &amended, NULL, NULL) < 0)
        x->failed++;
    else
        move_balances(c, r, cost - r->cost_nano);
}

static void put_model(struct json_writer *w, const struct model *m)
{
    json_put_int(w, "rows", m->rows);
    json_put_int(w, "changed", m->changed);
    json_put_int(w, "before_nano", m->before_nano);
    json_put_int(w, "after_nano", m->after_nano);
}

static void answer(struct call *c, const struct reprice *x)
{
    if (x->write)
        keeper_audit(c, call_printf(c, "repriced %lld requests", (long long)x->all.changed).p);
    struct json_writer *w = call_begin(c);
    put_model(w, &x->all);
    json_put_int(w, "stated", x->stated);
    json_put_int(w, "unpriced", x->unpriced);
    json_put_int(w, "failed", x->failed);
    json_put_bool(w, "written", x->write);
    json_array_begin(w, "models");
    for (size_t i = 0; i < x->models; i++) {
        json_object_begin(w, NULL);
        json_put_str(w, "model", x->model[i].name);
        put_model(w, &x->model[i]);
        json_object_end(w);
    }
    json_array_end(w);
    call_send(c);
}

static void page(struct call *c, struct store_answer *a)
{
    struct reprice *x = c->state;
    if (a->rc < 0) {
        call_failed(c, a->rc, &a->err);
        return;
    }
    for (size_t i = 0; i < a->n; i++)
        one(c, x, &a->records[i]);
    x->query.cursor = a->cursor;
    if (a->done)
        answer(c, x);
    else
        call_ask(c, &x->query, page);
}

void post_reprice(struct call *c)
{
    struct reprice *x = arena_zalloc(&c->arena, sizeof *x);
    if (!x || !call_allows(c, "since_ms write"))
        return;
    if (!c->admin->start.store || !live_config(c->admin->live)->prices) {
        call_error(c, 503, "no_store", "nothing is stored here, or no price is known");
        return;
    }
    x->config = config_get(live_config(c->admin->live));
    x->write = json_bool(c->body, "write", false);
    x->query = (struct store_query){.kind = STORE_ASK_EXCHANGES, .limit = STORE_PAGE_MAX,
        .oldest_first = true, .from_ms = json_int(c->body, "since_ms", 0)};
    c->state = x;
    c->left = left;
    call_ask(c, &x->query, page);
}
