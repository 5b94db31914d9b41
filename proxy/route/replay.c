/* replay.c: see replay.h. A table from kinds of requests to the places that the planner gave them.
 *
 * What makes a kind is read off the snapshot once: whether anything holds on to sessions, at which
 * prompt sizes anybody draws a line; of keys, tags, times and the like only what rules and switches
 * can tell apart (replay_class.c). So a day of traffic is some hundred kinds. */
#include "proxy/route/replay.h"

#include "proxy/route/plan_state.h"
#include "proxy/route/replay_class.h"

#include <stdlib.h>

enum {
    KINDS = 1 << 16,
    KINDS_MOST = KINDS / 4 * 3, /* then all are forgotten: bounded memory, planned anew */
    VERDICTS = 4096,
    LIMITS = 256,
};

/* How often one kind is drawn at most, by how many kinds there are: some hundred thousand plans in
 * all, whatever the traffic. */
static const struct {
    size_t kinds;
    unsigned draws;
} draws[] = {{40, 1000}, {400, 128}, {KINDS, 16}};

/* Numbers only, no padding: compared and hashed as bytes. */
struct kind_key {
    int64_t asked, route, key, tags, client, session, endpoint, band, time, bits;
};
struct kind {
    uint64_t hash; /* 0: free */
    struct kind_key key;
    uint32_t only;   /* where nothing is left to chance */
    uint32_t *draws; /* else: one place each; NOT_DRAWN */
    unsigned draw_count;
};
static const uint32_t NOT_DRAWN = UINT32_MAX; /* else place << 2 | flags */

struct verdict {
    int64_t asked, route;
    bool known, ours, direct; /* direct: no route has the asked name */
};

/* Prompt sizes at which something changes, ascending. */
struct limits {
    int64_t at[LIMITS];
    size_t n;
};

struct replay {
    struct replay_setup s;
    struct arena scratch;
    struct classes *classes;
    bool uses_session, uses_size;
    struct limits configured, any; /* of targets that stand in the configuration; of any model */
    struct kind *kinds;
    size_t kind_count;
    struct verdict *verdicts;
    struct replay_place *places;
    int place_count;
    unsigned plans;
};

/* ---- what this snapshot can ask for ---- */

static void limit_add(struct limits *l, int64_t tokens)
{
    size_t at = 0;
    if (tokens <= 0 || tokens == INT64_MAX || l->n == LIMITS)
        return;
    while (at < l->n && l->at[at] < tokens)
        at++;
    if (at < l->n && l->at[at] == tokens)
        return;
    memmove(l->at + at + 1, l->at + at, (l->n - at) * sizeof *l->at);
    l->at[at] = tokens;
    l->n++;
}

/* The same lines as plan.c draws: the window, and a tenth above it. */
static void limits_of_price(void *ctx, const struct price *p)
{
    limit_add(ctx, p->context_tokens + 1);
    limit_add(ctx, p->context_tokens + p->context_tokens / 10 + 1);
}

static void limits_of_rule(struct limits *l, const struct rule *rule)
{
    for (size_t i = 0; rule->enabled && i < rule->condition_count; i++) {
        const struct condition *c = &rule->conditions[i];
        if (c->kind != CONDITION_PROMPT_TOKENS)
            continue;
        limit_add(l, c->low);
        limit_add(l, c->high == INT64_MAX ? 0 : c->high + 1);
    }
}

/* False when only the request knows the model. */
static bool limits_of_targets(struct replay *r, const struct target *list, size_t n)
{
    const struct price_list *prices = r->s.snapshot->config->prices;
    for (size_t i = 0; i < n && list[i].provider; i++) {
        if (str_chr(list[i].model, '$') >= 0)
            return false;
        const struct price *p = prices ? price_find(prices, list[i].provider->name, list[i].model)
                                       : NULL;
        if (p)
            limits_of_price(&r->configured, p);
    }
    return true;
}

static bool uses_of_route(struct replay *r, const struct route *route)
{
    bool known = limits_of_targets(r, route->targets, route->target_count) &&
                 limits_of_targets(r, route->fallback, route->fallback_count) &&
                 limits_of_targets(r, &route->canary.to, 1);
    for (size_t i = 0; i < route->rule_count; i++) {
        limits_of_rule(&r->any, &route->rules[i]);
        limits_of_rule(&r->configured, &route->rules[i]);
        known &= limits_of_targets(r, route->rules[i].targets, route->rules[i].target_count);
    }
    r->uses_session |= route->policy == POLICY_STICKY || route->canary.share_ppm;
    r->uses_size |= route->policy == POLICY_LOWEST_COST || route->goal == GOAL_COST;
    r->uses_session |= route->goal == GOAL_LONG_CONTEXT;
    return known && route->goal != GOAL_RESILIENCE; /* which asks for the model elsewhere */
}

/* An override may name any model: then every window of the list is one. */
static void uses_of(struct replay *r, const struct snapshot *s)
{
    const struct config *c = s->config;
    bool known = s->override_count == 0;
    for (size_t i = 0; i < c->route_count; i++)
        known &= uses_of_route(r, &c->routes[i]);
    for (size_t i = 0; i < s->override_count; i++) {
        const struct override *o = &s->overrides[i];
        r->uses_session |= str_eq(o->to, STR("goal:long_context"));
        r->uses_size |= str_eq(o->to, STR("goal:cost"));
    }
    if (c->prices)
        price_list_each(c->prices, limits_of_price, &r->any);
    if (!known)
        r->configured = r->any;
}

static int64_t band_of(const struct replay *r, const struct limits *l, int64_t tokens)
{
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (l->at[mid] <= tokens)
            low = mid + 1;
        else
            high = mid;
    }
    if (!r->uses_size || tokens < 4)
        return (int64_t)low;
    int top = 63 - __builtin_clzll((uint64_t)tokens); /* quarters of a power of two */
    return (int64_t)low << 16 | top << 2 | (tokens >> (top - 2) & 3);
}

/* Whom a sticky policy holds on to is a value of its own: the session, else the key. */
static struct kind_key key_of(struct replay *r, const struct replay_request *q,
    const struct limits *limits, void *ctx)
{
    struct classes *c = r->classes;
    bool held = r->uses_session;
    return (struct kind_key){.asked = q->asked, .route = q->forced ? q->route : 0,
        .key = held && !q->session ? q->key : classes_of(c, CLASS_KEY, q, ctx),
        .tags = classes_of(c, CLASS_TAGS, q, ctx), .client = classes_of(c, CLASS_CLIENT, q, ctx),
        .session = held ? q->session : classes_of(c, CLASS_SESSION, q, ctx),
        .endpoint = q->endpoint, .band = band_of(r, limits, q->prompt_tokens),
        .time = classes_of(c, CLASS_TIME, q, ctx),
        .bits = (classes_ask(c, CONDITION_STREAM) && q->stream) |
                (classes_ask(c, CONDITION_TOOLS) && q->tools) << 1 |
                (classes_ask(c, CONDITION_IMAGES) && q->images) << 2 |
                (classes_ask(c, CONDITION_JSON_SCHEMA) && q->json_schema) << 3 |
                q->facts_known << 4};
}

static void forget_kinds(struct replay *r)
{
    for (size_t i = 0; i < KINDS; i++)
        free(r->kinds[i].draws);
    memset(r->kinds, 0, KINDS * sizeof *r->kinds);
    r->kind_count = 0;
}

static struct kind *kind_of(struct replay *r, const struct kind_key *key)
{
    uint64_t hash = 0x9e3779b97f4a7c15u;
    const int64_t *words = &key->asked;
    for (size_t i = 0; i < sizeof *key / sizeof *words; i++)
        hash = (hash ^ (uint64_t)words[i]) * 0xff51afd7ed558ccdu + (hash >> 29);
    hash = mix_bits(hash) | 1;
    if (r->kind_count >= KINDS_MOST)
        forget_kinds(r);
    size_t at = hash % KINDS;
    for (; r->kinds[at].hash; at = (at + 1) % KINDS)
        if (r->kinds[at].hash == hash && memcmp(&r->kinds[at].key, key, sizeof *key) == 0)
            return &r->kinds[at];
    r->kind_count++;
    r->kinds[at] = (struct kind){.hash = hash, .key = *key, .only = NOT_DRAWN};
    return &r->kinds[at];
}

/* ---- planning ---- */

static int place_of(struct replay *r, bool target, struct str name, const struct price *price)
{
    struct replay_place place = {.target = target, .price = price};
    str_copy(place.name, sizeof place.name, name);
    for (int i = 0; i < r->place_count; i++)
        if (r->places[i].target == target && strcmp(r->places[i].name, place.name) == 0)
            return i;
    if (r->place_count == REPLAY_PLACES - 1) {
        place = (struct replay_place){.target = false};
        str_copy(place.name, sizeof place.name, STR("(further targets)"));
    } else if (r->place_count == REPLAY_PLACES) {
        return REPLAY_PLACES - 1;
    }
    r->places[r->place_count] = place;
    return r->place_count++;
}

static struct str text_of(struct replay *r, enum replay_text what, int64_t number, void *ctx)
{
    return number ? arena_str(&r->scratch, r->s.text(ctx, what, number)) : STR("");
}

static const struct price *price_of(const struct replay *r, const struct candidate *to)
{
    const struct price_list *prices = r->s.snapshot->config->prices;
    return prices ? price_find(prices, to->provider->name, to->model) : NULL;
}

static int refused_place(struct replay *r, int rc, const struct err *e)
{
    struct str why = str_c(e->code ? e->text : err_text(rc));
    ptrdiff_t end = str_find(why, STR("; "));
    return place_of(r, false,
        rc == -ERR_LIMIT ? STR("fits no context window") : str_first(why, end < 0 ? 120 : (size_t)end),
        NULL);
}

static uint32_t plan_one(struct replay *r, const struct replay_request *q, uint64_t random,
    void *ctx, bool *by_chance)
{
    struct err e = {0};
    struct plan plan;
    arena_reset(&r->scratch);
    struct request_facts facts = {.n = 1, .stream = q->stream, .tools = q->tools,
        .images = q->images, .json_schema = q->json_schema, .prompt_tokens = q->prompt_tokens};
    struct plan_request p = {.snapshot = r->s.snapshot, .facts = &facts, .random = random,
        .now_us = r->s.now_us, .wall_ms = q->time_ms, .trial = true,
        .asked = text_of(r, REPLAY_ASKED, q->asked, ctx),
        .key = replay_key(r->s.snapshot, r->s.text, &r->scratch, q, ctx),
        .session = text_of(r, REPLAY_SESSION, q->session, ctx),
        .tags = text_of(r, REPLAY_TAGS, q->tags, ctx),
        .user_agent = text_of(r, REPLAY_CLIENT, q->client, ctx),
        .wire = wire_of_endpoint(text_of(r, REPLAY_ENDPOINT, q->endpoint, ctx))};
    if (q->forced)
        p.forced_route = text_of(r, REPLAY_ROUTE, q->route, ctx);
    int rc = plan_make(&p, r->s.health, &r->scratch, &plan, &e), place;
    r->plans++;
    if (rc == 0) {
        const struct candidate *to = &plan.candidates[0];
        place = place_of(r, true, arena_printf(&r->scratch, STR_FMT "/" STR_FMT,
            STR_ARG(to->provider->name), STR_ARG(to->model)), price_of(r, to));
    } else {
        place = refused_place(r, rc, &e);
    }
    *by_chance = plan.by_chance;
    bool unknown = !q->facts_known && (classes_ask(r->classes, CONDITION_TOOLS) ||
        classes_ask(r->classes, CONDITION_IMAGES) || classes_ask(r->classes, CONDITION_JSON_SCHEMA));
    return (uint32_t)place << 2 | (plan.guessed || unknown ? REPLAY_GUESSED : 0) |
           (plan.too_long || rc == -ERR_LIMIT ? REPLAY_TOO_LONG : 0);
}

/* The first answer of a kind tells whether there is anything to draw. */
static uint32_t kind_begin(struct replay *r, struct kind *k, const struct replay_request *q,
    void *ctx)
{
    bool by_chance;
    uint32_t at = plan_one(r, q, mix_bits(k->hash), ctx, &by_chance);
    k->only = at;
    if (!by_chance)
        return at;
    size_t row = 0;
    while (draws[row].kinds < r->kind_count)
        row++;
    unsigned n = draws[row].draws;
    k->draws = malloc(n * sizeof *k->draws);
    for (unsigned i = 0; k->draws && i < n; i++)
        k->draws[i] = NOT_DRAWN;
    k->draw_count = k->draws ? n : 0;
    return at;
}

static const struct verdict *verdict_of(struct replay *r, const struct replay_request *q, void *ctx)
{
    uint64_t spot = mix_bits((uint64_t)q->asked * 31 + (uint64_t)q->route);
    struct verdict *v = &r->verdicts[spot % VERDICTS];
    if (v->known && v->asked == q->asked && v->route == q->route)
        return v;
    arena_reset(&r->scratch);
    struct str asked = text_of(r, REPLAY_ASKED, q->asked, ctx);
    struct str route = text_of(r, REPLAY_ROUTE, q->route, ctx);
    const struct route *found = plan_find_route(r->s.snapshot->config, asked);
    *v = (struct verdict){q->asked, q->route, true,
        str_eq(asked, r->s.name) || str_eq(route, r->s.name) ||
            (found && str_eq(found->name, r->s.name)), !found};
    return v;
}

/* ---- the door ---- */

int replay_request(struct replay *r, const struct replay_request *q, void *ctx, unsigned *flags)
{
    const struct verdict *v = verdict_of(r, q, ctx);
    if (!v->ours)
        return -1;
    struct kind_key key = key_of(r, q, v->direct ? &r->any : &r->configured, ctx);
    struct kind *k = kind_of(r, &key);
    uint32_t at = k->only == NOT_DRAWN ? kind_begin(r, k, q, ctx) : k->only;
    if (k->draw_count) {
        unsigned i = (unsigned)(mix_bits(q->draw) % k->draw_count);
        bool by_chance;
        if (k->draws[i] == NOT_DRAWN)
            k->draws[i] = plan_one(r, q, mix_bits(k->hash + i + 1), ctx, &by_chance);
        at = k->draws[i];
    }
    *flags = at & 3;
    return (int)(at >> 2);
}

struct replay *replay_new(const struct replay_setup *s)
{
    struct replay *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->s = *s;
    arena_init(&r->scratch, 32768, 4 << 20);
    r->kinds = calloc(KINDS, sizeof *r->kinds);
    r->verdicts = calloc(VERDICTS, sizeof *r->verdicts);
    r->places = calloc(REPLAY_PLACES, sizeof *r->places);
    r->classes = classes_new(s->snapshot, s->text);
    if (!r->kinds || !r->verdicts || !r->places || !r->classes) {
        replay_free(r);
        return NULL;
    }
    uses_of(r, s->snapshot);
    return r;
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    if (r->kinds)
        forget_kinds(r);
    arena_fini(&r->scratch);
    classes_free(r->classes);
    free(r->kinds);
    free(r->verdicts);
    free(r->places);
    free(r);
}

const struct replay_place *replay_place(const struct replay *r, int place)
{
    return &r->places[place];
}

int replay_places(const struct replay *r)
{
    return r->place_count;
}

unsigned replay_plans(const struct replay *r)
{
    return r->plans;
}
