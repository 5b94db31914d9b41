/* replay_class.c: see replay_class.h. */
#include "proxy/route/replay_class.h"

#include "proxy/access/key.h"
#include "proxy/route/plan_state.h"

#include <stdlib.h>

enum { KNOWN = 2048, QUARTER_HOUR_MS = 900000 };

struct known {
    int64_t number, also, class;
    bool set;
};

struct classes {
    const struct snapshot *snapshot;
    replay_text_fn *text;
    struct arena scratch;
    const struct condition **conditions; /* of every rule that counts, in order */
    size_t count;
    bool asks[CONDITION_COUNT], keys_restricted;
    bool scoped[SCOPE_SESSION + 1];      /* overrides of that scope exist */
    struct known known[CLASS_COUNT][KNOWN];
};

/* Which conditions look at a value of that class. */
static const unsigned looked_at[CLASS_COUNT] = {
    [CLASS_KEY] = 1u << CONDITION_KEY | 1u << CONDITION_TEAM, [CLASS_TAGS] = 1u << CONDITION_TAG,
    [CLASS_CLIENT] = 1u << CONDITION_CLIENT, [CLASS_SESSION] = 1u << CONDITION_SESSION,
    [CLASS_TIME] = 1u << CONDITION_HOUR | 1u << CONDITION_WEEKDAY,
};

static size_t each_condition(const struct config *c, const struct condition **out)
{
    size_t n = 0;
    for (size_t i = 0; i < c->route_count; i++)
        for (size_t k = 0; k < c->routes[i].rule_count; k++) {
            const struct rule *rule = &c->routes[i].rules[k];
            for (size_t m = 0; rule->enabled && m < rule->condition_count; m++, n++)
                if (out)
                    out[n] = &rule->conditions[m];
        }
    return n;
}

struct classes *classes_new(const struct snapshot *s, replay_text_fn *text)
{
    struct classes *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->snapshot = s;
    c->text = text;
    arena_init(&c->scratch, 4096, 1 << 20);
    c->count = each_condition(s->config, NULL);
    c->conditions = calloc(c->count + 1, sizeof *c->conditions);
    if (!c->conditions) {
        classes_free(c);
        return NULL;
    }
    each_condition(s->config, c->conditions);
    for (size_t i = 0; i < c->count; i++)
        c->asks[c->conditions[i]->kind] = true;
    for (size_t i = 0; i < s->override_count; i++)
        c->scoped[s->overrides[i].scope] = true;
    for (size_t i = 0; s->keys && i < key_table_count(s->keys); i++)
        c->keys_restricted |= key_table_at(s->keys, i)->model_count > 0;
    return c;
}

void classes_free(struct classes *c)
{
    if (!c)
        return;
    arena_fini(&c->scratch);
    free(c->conditions);
    free(c);
}

bool classes_ask(const struct classes *c, enum condition_kind k)
{
    return c->asks[k];
}

const struct key *replay_key(const struct snapshot *s, replay_text_fn *text, struct arena *a,
    const struct replay_request *q, void *ctx)
{
    struct str name = q->key ? arena_str(a, text(ctx, REPLAY_KEY, q->key)) : STR("");
    const struct key *known = name.n && s->keys ? key_by_name(s->keys, name) : NULL;
    struct key *gone = known || !name.n ? NULL : arena_zalloc(a, sizeof *gone);
    if (!gone)
        return known;
    gone->name = name;
    gone->team = q->team ? arena_str(a, text(ctx, REPLAY_TEAM, q->team)) : STR("");
    return gone;
}

static uint64_t mix(uint64_t hash, uint64_t answer)
{
    return mix_bits(hash ^ (answer + 0x9e3779b97f4a7c15u));
}

/* The answers of all that asks for this value. */
static uint64_t answers(struct classes *c, enum replay_class what, const struct planner *pl)
{
    const struct snapshot *s = c->snapshot;
    uint64_t hash = (uint64_t)what + 1;
    for (size_t i = 0; i < c->count; i++)
        if (looked_at[what] >> c->conditions[i]->kind & 1)
            hash = mix(hash, condition_holds(c->conditions[i], pl, NULL));
    const struct key *key = pl->r->key;
    for (size_t i = 0; i < s->override_count; i++) {
        const struct override *o = &s->overrides[i];
        if (what == CLASS_KEY && o->scope == SCOPE_KEY)
            hash = mix(hash, key && str_eq(o->scope_name, key->name));
        if (what == CLASS_SESSION && o->scope == SCOPE_SESSION)
            hash = mix(hash, str_eq(o->scope_name, pl->r->session));
    }
    if (what == CLASS_KEY && key && key->model_count) /* its own list of models */
        hash = mix(hash, str_hash(key->name));
    return hash;
}

static int64_t class_made(struct classes *c, enum replay_class what, const struct replay_request *q,
    void *ctx)
{
    static const struct request_facts nothing;
    struct planner pl;
    struct plan out = {0};
    memset(&pl, 0, offsetof(struct planner, options));
    arena_reset(&c->scratch);
    struct plan_request r = {.snapshot = c->snapshot, .wall_ms = q->time_ms, .trial = true};
    if (what == CLASS_KEY)
        r.key = replay_key(c->snapshot, c->text, &c->scratch, q, ctx);
    else if (what == CLASS_TAGS && q->tags)
        r.tags = arena_str(&c->scratch, c->text(ctx, REPLAY_TAGS, q->tags));
    else if (what == CLASS_CLIENT && q->client)
        r.user_agent = arena_str(&c->scratch, c->text(ctx, REPLAY_CLIENT, q->client));
    else if (what == CLASS_SESSION && q->session)
        r.session = arena_str(&c->scratch, c->text(ctx, REPLAY_SESSION, q->session));
    pl.r = &r;
    pl.facts = &nothing;
    pl.a = &c->scratch;
    pl.out = &out;
    return (int64_t)answers(c, what, &pl);
}

static bool anybody_asks(const struct classes *c, enum replay_class what)
{
    for (int k = 0; k < CONDITION_COUNT; k++)
        if (c->asks[k] && looked_at[what] >> k & 1)
            return true;
    return (what == CLASS_KEY && (c->scoped[SCOPE_KEY] || c->keys_restricted)) ||
           (what == CLASS_SESSION && c->scoped[SCOPE_SESSION]);
}

int64_t classes_of(struct classes *c, enum replay_class what, const struct replay_request *q,
    void *ctx)
{
    const int64_t numbers[CLASS_COUNT] = {[CLASS_KEY] = q->key, [CLASS_TAGS] = q->tags,
        [CLASS_CLIENT] = q->client, [CLASS_SESSION] = q->session,
        [CLASS_TIME] = q->time_ms / QUARTER_HOUR_MS};
    if (!anybody_asks(c, what))
        return 0;
    int64_t number = numbers[what], also = what == CLASS_KEY ? q->team : 0;
    struct known *k = &c->known[what][mix_bits((uint64_t)(number * 31 + also)) % KNOWN];
    if (!k->set || k->number != number || k->also != also)
        *k = (struct known){number, also, class_made(c, what, q, ctx), true};
    return k->class;
}
