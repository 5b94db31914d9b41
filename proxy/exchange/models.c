/* models.c: what can be asked for, as a list and one by one, in the shape of who asks.
 *
 * Routes stand first, then each provider's models as provider/model; a key sees what it may ask for.
 * Lists go in pages only where the caller wants pages: Anthropic's by limit with after_id or before_id,
 * Google's by pageSize with pageToken, which is the last name of the page before. */
#include "proxy/exchange/exchange.h"

#include "proxy/access/key.h"
#include "proxy/route/plan.h"
#include "proxy/worker.h"
#include "store/base/secret.h"

enum { PAGE_MOST = 1000 };

struct listed {
    struct str id, owner;
};

struct model_list {
    struct exchange *x;
    struct str only;   /* one id, for /v1/models/{id} */
    struct listed *at;
    size_t count, room;
};

static void add(struct model_list *l, struct str id, struct str owner)
{
    if ((l->x->key && !key_allows(l->x->key, id)) || (l->only.p && !str_eq(l->only, id)))
        return;
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        struct listed *more = arena_alloc(&l->x->arena, room * sizeof *more);
        if (!more)
            return; /* of thousands of models the first ones are told */
        if (l->count)
            memcpy(more, l->at, l->count * sizeof *more);
        l->at = more;
        l->room = room;
    }
    l->at[l->count++] = (struct listed){id, owner};
}

static void add_known(void *ctx, const struct provider *p, struct str model)
{
    struct model_list *l = ctx;
    add(l, ARENA_JOIN(&l->x->arena, p->name, STR("/"), model), p->name);
}

static void add_all(struct model_list *l)
{
    const struct config *config = l->x->snapshot->config;
    for (size_t i = 0; i < config->route_count; i++)
        if (!config->routes[i].pattern)
            add(l, config->routes[i].name, STR("pointsman"));
    for (size_t i = 0; i < config->provider_count; i++)
        plan_each_model(config, l->x->worker->shared->health, &config->providers[i], add_known, l);
}

static void put_one(struct json_writer *w, struct exchange *x, const struct listed *m)
{
    json_object_begin(w, NULL);
    if (x->ep.dialect == DIALECT_GEMINI) {
        json_put_str(w, "name", ARENA_JOIN(&x->arena, STR("models/"), m->id));
        json_put_str(w, "displayName", m->id);
        json_put_raw(w, "supportedGenerationMethods",
            STR("[\"generateContent\",\"countTokens\",\"streamGenerateContent\"]"));
    } else if (x->ep.dialect == DIALECT_ANTHROPIC) {
        json_put_c(w, "type", "model");
        json_put_str(w, "id", m->id);
        json_put_str(w, "display_name", m->id);
        json_put_c(w, "created_at", "2026-01-01T00:00:00Z");
    } else {
        json_put_str(w, "id", m->id);
        json_put_c(w, "object", "model");
        json_put_int(w, "created", 1767225600);
        json_put_str(w, "owned_by", m->owner);
    }
    json_object_end(w);
}

/* --- pages -------------------------------------------------------------------------------------- */

struct page {
    size_t from, to;
};

/* Where that name stands, plus `add`. Names that are not listed (any more) are refused, not guessed. */
static bool find(const struct model_list *l, const char *parameter, struct str name, size_t more,
    size_t *at)
{
    for (size_t i = 0; i < l->count; i++)
        if (str_eq(l->at[i].id, name)) {
            *at = i + more;
            return true;
        }
    exchange_refuse(l->x, 400, "invalid_page", -1,
        "%s names no listed model: \"" STR_FMT "\"; begin again without it", parameter,
        STR_ARG(secret_first(name, 100)));
    return false;
}

static bool read_size(struct exchange *x, const char *parameter, size_t *most)
{
    int64_t n;
    struct str text = endpoint_parameter(x->query, parameter, &x->arena);
    if (!text.p)
        return true;
    if (!str_to_i64(text, &n) || n < 1 || n > PAGE_MOST) {
        exchange_refuse(x, 400, "invalid_page", -1,
            "%s is \"" STR_FMT "\": a number from 1 to %d is expected", parameter,
            STR_ARG(secret_first(text, 20)), PAGE_MOST);
        return false;
    }
    *most = (size_t)n;
    return true;
}

static bool read_page(const struct model_list *l, struct page *page)
{
    struct exchange *x = l->x;
    bool google = x->ep.dialect == DIALECT_GEMINI;
    const char *next = google ? "pageToken" : "after_id";
    size_t most = l->count;
    *page = (struct page){0, l->count};
    if (x->ep.dialect == DIALECT_OPENAI)
        return true;
    struct str after = endpoint_parameter(x->query, next, &x->arena);
    struct str before = google ? STR_NULL : endpoint_parameter(x->query, "before_id", &x->arena);
    if (!read_size(x, google ? "pageSize" : "limit", &most) || (after.n && !find(l, next, after, 1, &page->from)) ||
        (before.n && !find(l, "before_id", before, 0, &page->to)))
        return false;
    page->from = MIN(page->from, page->to);
    if (before.n && !after.n)
        page->from = page->to - MIN(most, page->to);
    else
        page->to = MIN(page->to, page->from + most);
    return true;
}

static void put_id(struct json_writer *w, const char *key, struct str id)
{
    if (id.p)
        json_put_str(w, key, id);
    else
        json_put_null(w, key);
}

static void put_page_end(struct json_writer *w, const struct model_list *l, const struct page *page)
{
    bool back = endpoint_parameter(l->x->query, "before_id", &l->x->arena).n > 0;
    bool more = back ? page->from > 0 : page->to < l->count;
    if (l->x->ep.dialect == DIALECT_GEMINI && more) {
        json_put_str(w, "nextPageToken", l->at[page->to - 1].id);
    } else if (l->x->ep.dialect == DIALECT_ANTHROPIC) {
        bool any = page->to > page->from;
        json_put_bool(w, "has_more", more);
        put_id(w, "first_id", any ? l->at[page->from].id : STR_NULL);
        put_id(w, "last_id", any ? l->at[page->to - 1].id : STR_NULL);
    }
}

void models_list(struct exchange *x)
{
    struct buf b;
    struct model_list list = {.x = x};
    struct page page;
    add_all(&list);
    if (!read_page(&list, &page))
        return;
    buf_init(&b, 16 << 20);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    if (x->ep.dialect == DIALECT_OPENAI)
        json_put_c(&w, "object", "list");
    json_array_begin(&w, x->ep.dialect == DIALECT_GEMINI ? "models" : "data");
    for (size_t i = page.from; i < page.to; i++)
        put_one(&w, x, &list.at[i]);
    json_array_end(&w);
    put_page_end(&w, &list, &page);
    json_object_end(&w);
    local_reply(x, 200, "application/json", &b);
}

/* --- one ---------------------------------------------------------------------------------------- */

static void add_bare(void *ctx, const struct provider *p, struct str model)
{
    struct model_list *l = ctx;
    if (l->count == 0 && str_eq(model, l->only))
        add(l, l->only, p->name);
}

/* Names that are asked for as they are, though the list has them in another form: one that a pattern
 * takes, and a provider's model without the provider in front. */
static void add_unlisted(struct model_list *l)
{
    const struct config *config = l->x->snapshot->config;
    if (plan_find_route(config, l->only)) {
        add(l, l->only, STR("pointsman"));
        return;
    }
    for (size_t i = 0; i < config->provider_count; i++)
        plan_each_model(config, l->x->worker->shared->health, &config->providers[i], add_bare, l);
}

void models_one(struct exchange *x)
{
    struct buf b;
    struct model_list list = {.x = x, .only = x->ep.model};
    add_all(&list);
    if (list.count == 0)
        add_unlisted(&list);
    if (list.count == 0) {
        exchange_refuse(x, 404, "model_not_found", -1, "no route or listed model is called "
            STR_FMT "; GET /v1/models lists them", STR_ARG(secret_first(x->ep.model, 100)));
        return;
    }
    buf_init(&b, 1 << 20);
    struct json_writer w = json_writer(&b);
    put_one(&w, x, &list.at[0]);
    local_reply(x, 200, "application/json", &b);
}
