/* replay.c: see replay.h. A table from kinds of requests to the places that the planner gave them.
 *
 * What makes a kind is read off the snapshot once: which conditions its rules use, whether anything
 * holds on to sessions, at which prompt sizes anybody draws a line. The rest is left out of the
 * kind, so that a day of traffic is some hundred kinds. */
#include "proxy/route/replay.h"

#include "proxy/access/key.h"
#include "proxy/route/plan_state.h"

#include <stdlib.h>

enum {
    KINDS = 1 << 15,
    KINDS_MOST = KINDS / 4 * 3, /* then all are forgotten: bounded memory, planned anew */
    VERDICTS = 4096,
    LIMITS = 256,      /* prompt sizes at which something changes */
    DRAWS_MANY = 1000, /* of one kind, while there are few kinds */
    DRAWS_FEW = 16,
    KINDS_FEW = 200,
    QUARTER_HOUR_MS = 900000
};

/* Numbers only, no padding: compared and hashed as bytes. */
struct kind_key {
    int64_t asked, route, key, team, tags, client, session, endpoint, band, time, bits;
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
    bool known, ours;
};

struct replay {
    struct replay_setup s;
    struct arena scratch;
    bool uses[CONDITION_COUNT], uses_session, uses_size;
    int64_t limits[LIMITS];
    size_t limit_count;
    struct kind *kinds;
    size_t kind_count;
    struct verdict *verdicts;
    struct replay_place *places;
    int place_count;
    unsigned plans;
};

/* ---- what this snapshot can ask for ---- */

static void limit_add(struct replay *r, int64_t tokens)
{
    size_t at = 0;
    if (tokens <= 0 || tokens == INT64_MAX || r->limit_count == LIMITS)
        return;
    while (at < r->limit_count && r->limits[at] < tokens)
        at++;
    if (at < r->limit_count && r->limits[at] == tokens)
        return;
    memmove(r->limits + at + 1, r->limits + at, (r->limit_count - at) * sizeof *r->limits);
    r->limits[at] = tokens;
    r->limit_count++;
}

/* The same lines as plan.c draws: the window, and a tenth above it. */
static void limits_of_price(void *ctx, const struct price *p)
{
    limit_add(ctx, p->context_tokens + 1);
    limit_add(ctx, p->context_tokens + p->context_tokens / 10 + 1);
}

static void uses_of_rule(struct replay *r, const struct rule *rule)
{
    for (size_t i = 0; rule->enabled && i < rule->condition_count; i++) {
        const struct condition *c = &rule->conditions[i];
        r->uses[c->kind] = true;
        if (c->kind == CONDITION_PROMPT_TOKENS) {
            limit_add(r, c->low);
            limit_add(r, c->high == INT64_MAX ? 0 : c->high + 1);
        }
    }
}

static void uses_of_route(struct replay *r, const struct route *route)
{
    for (size_t i = 0; i < route->rule_count; i++)
        uses_of_rule(r, &route->rules[i]);
    r->uses_session |= route->policy == POLICY_STICKY || route->canary.share_ppm;
    r->uses_size |= route->policy == POLICY_LOWEST_COST || route->goal == GOAL_COST;
    r->uses_session |= route->goal == GOAL_LONG_CONTEXT;
}

static void uses_of_overrides(struct replay *r, const struct snapshot *s)
{
    for (size_t i = 0; i < s->override_count; i++) {
        const struct override *o = &s->overrides[i];
        r->uses_session |= o->scope == SCOPE_SESSION || str_eq(o->to, STR("goal:long_context"));
        r->uses_size |= str_eq(o->to, STR("goal:cost"));
    }
}

static int64_t band_of(const struct replay *r, int64_t tokens)
{
    size_t low = 0, high = r->limit_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (r->limits[mid] <= tokens)
            low = mid + 1;
        else
            high = mid;
    }
    if (!r->uses_size || tokens < 4)
        return (int64_t)low;
    int top = 63 - __builtin_clzll((uint64_t)tokens); /* quarters of a power of two */
    return (int64_t)low << 16 | top << 2 | (tokens >> (top - 2) & 3);
}

static struct kind_key key_of(const struct replay *r, const struct replay_request *q)
{
    const bool *u = r->uses;
    bool clock = u[CONDITION_HOUR] || u[CONDITION_WEEKDAY];
    return (struct kind_key){.asked = q->asked, .route = q->forced ? q->route : 0, .key = q->key,
        .team = u[CONDITION_TEAM] ? q->team : 0, .tags = u[CONDITION_TAG] ? q->tags : 0,
        .client = u[CONDITION_CLIENT] ? q->client : 0,
        .session = r->uses_session || u[CONDITION_SESSION] ? q->session : 0,
        .endpoint = q->endpoint, .band = band_of(r, q->prompt_tokens),
        .time = clock ? q->time_ms / QUARTER_HOUR_MS : 0,
        .bits = (u[CONDITION_STREAM] && q->stream) | (u[CONDITION_TOOLS] && q->tools) << 1 |
                (u[CONDITION_IMAGES] && q->images) << 2 |
                (u[CONDITION_JSON_SCHEMA] && q->json_schema) << 3 | q->facts_known << 4};
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

/* The key as it is now; one that is gone keeps its name and team. */
static const struct key *key_then(struct replay *r, const struct replay_request *q, void *ctx)
{
    struct str name = text_of(r, REPLAY_KEY, q->key, ctx);
    const struct key_table *keys = r->s.snapshot->keys;
    const struct key *known = name.n && keys ? key_by_name(keys, name) : NULL;
    if (known || !name.n)
        return known;
    struct key *gone = arena_zalloc(&r->scratch, sizeof *gone);
    if (gone) {
        gone->name = name;
        gone->team = text_of(r, REPLAY_TEAM, q->team, ctx);
    }
    return gone;
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
        .asked = text_of(r, REPLAY_ASKED, q->asked, ctx), .key = key_then(r, q, ctx),
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
    bool unknown = !q->facts_known && (r->uses[CONDITION_TOOLS] || r->uses[CONDITION_IMAGES] ||
                                          r->uses[CONDITION_JSON_SCHEMA]);
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
    unsigned n = r->kind_count <= KINDS_FEW ? DRAWS_MANY : DRAWS_FEW;
    k->draws = malloc(n * sizeof *k->draws);
    for (unsigned i = 0; k->draws && i < n; i++)
        k->draws[i] = NOT_DRAWN;
    k->draw_count = k->draws ? n : 0;
    return at;
}

static bool is_ours(struct replay *r, const struct replay_request *q, void *ctx)
{
    uint64_t spot = mix_bits((uint64_t)q->asked * 31 + (uint64_t)q->route);
    struct verdict *v = &r->verdicts[spot % VERDICTS];
    if (v->known && v->asked == q->asked && v->route == q->route)
        return v->ours;
    arena_reset(&r->scratch);
    struct str asked = text_of(r, REPLAY_ASKED, q->asked, ctx);
    struct str route = text_of(r, REPLAY_ROUTE, q->route, ctx);
    const struct route *found = plan_find_route(r->s.snapshot->config, asked);
    *v = (struct verdict){q->asked, q->route, true,
        str_eq(asked, r->s.name) || str_eq(route, r->s.name) ||
            (found && str_eq(found->name, r->s.name))};
    return v->ours;
}

/* ---- the door ---- */

int replay_request(struct replay *r, const struct replay_request *q, void *ctx, unsigned *flags)
{
    if (!is_ours(r, q, ctx))
        return -1;
    struct kind_key key = key_of(r, q);
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
    if (!r->kinds || !r->verdicts || !r->places) {
        replay_free(r);
        return NULL;
    }
    const struct config *c = s->snapshot->config;
    for (size_t i = 0; i < c->route_count; i++)
        uses_of_route(r, &c->routes[i]);
    uses_of_overrides(r, s->snapshot);
    if (c->prices)
        price_list_each(c->prices, limits_of_price, r);
    return r;
}

/* A key that is gone has its team from the record: that is for rules about teams only. */
bool replay_needs_whole(const struct replay *r)
{
    const bool *u = r->uses;
    return r->uses_session || u[CONDITION_TEAM] || u[CONDITION_TAG] || u[CONDITION_CLIENT] ||
           u[CONDITION_SESSION];
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    if (r->kinds)
        forget_kinds(r);
    arena_fini(&r->scratch);
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
