/* policies.c: how a route chooses among its targets, one function and one row each. A policy gives
 * each option a score (lower is better) and a reason; sorting is done here once. The whole order
 * matters: what comes behind the first is where a failed request goes next.
 *
 * Random numbers come from one seed of the request, so that a plan can be explained again. */
#include "proxy/route/plan_state.h"

#include <math.h>

/* The i-th number of the request's seed: in (0, 1]. */
static double unit(uint64_t seed, size_t i)
{
    uint64_t v = mix_bits(seed + (i + 1) * 0x9e3779b97f4a7c15u);
    return (double)((v >> 11) + 1) / 9007199254740992.0;
}

/* The same for what the next request of this kind may draw differently. */
static double chance(struct planner *pl, size_t i)
{
    pl->out->by_chance = true;
    return unit(pl->r->random, i);
}

/* An exponential race: the option that fires first wins, with a probability in proportion to its
 * weight, and the order of the rest is that of further draws without putting back. */
static double race(double u, unsigned weight)
{
    return weight ? -log(u) / weight : HUGE_VAL;
}

static struct str seconds_text(struct planner *pl, int64_t us)
{
    return arena_printf(pl->a, "%.2f s", (double)us / 1e6);
}

static void order_PRIORITY(struct planner *pl, struct option *o, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        o[i].score = (double)i;
        o[i].reason = ARENA_JOIN(pl->a, STR("priority "), arena_i64(pl->a, (int64_t)i + 1));
    }
}

static void order_WEIGHTED(struct planner *pl, struct option *o, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += o[i].weight;
    for (size_t i = 0; i < n; i++) {
        o[i].score = race(chance(pl, i), o[i].weight);
        o[i].reason = arena_printf(pl->a, "weight %u of %u", o[i].weight, sum);
    }
}

/* Of W requests in a row each option gets exactly its weight, well mixed: the turn is multiplied by
 * a number near 0.618 W without a common divisor, which visits every place of W once. */
static uint64_t spread_turn(uint64_t turn, uint64_t sum)
{
    uint64_t step = (uint64_t)((double)sum * 0.6180339887) | 1;
    for (;; step++) {
        uint64_t a = step, b = sum;
        while (b) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1)
            return turn % sum * step % sum;
    }
}

/* Whoever only asks takes nobody's turn; a replay of many takes them as they come. */
static uint64_t turn_of(struct planner *pl)
{
    pl->out->by_chance = true;
    if (pl->r->trial)
        return pl->r->random;
    return health_turn(pl->h, pl->route ? pl->route->id : 0, !pl->r->explain);
}

static void order_ROUND_ROBIN(struct planner *pl, struct option *o, size_t n)
{
    uint64_t sum = 0, turn = turn_of(pl);
    size_t first = 0;
    for (size_t i = 0; i < n; i++)
        sum += o[i].weight;
    if (sum) {
        uint64_t at = spread_turn(turn, sum);
        while (at >= o[first].weight)
            at -= o[first++].weight;
    }
    for (size_t i = 0; i < n; i++) {
        o[i].score = o[i].weight ? (double)((i + n - first) % n) : (double)(n + i);
        o[i].reason = arena_printf(pl->a, "turn %llu, weight %u", (unsigned long long)turn,
            o[i].weight);
    }
}

static void order_LEAST_BUSY(struct planner *pl, struct option *o, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t busy = o[i].view.in_flight + o[i].view.queued;
        o[i].score = o[i].weight ? ((double)busy + 1) / o[i].weight : HUGE_VAL;
        o[i].score += chance(pl, i) * 1e-6; /* ties fall at random */
        o[i].reason = arena_printf(pl->a, "%lld in flight or queued, weight %u", (long long)busy,
            o[i].weight);
    }
}

/* The faster of two drawn at random goes first: one target that was fast a moment ago is not
 * flooded by everybody at once. One without a measurement counts as fast, to get one. */
static void order_LOWEST_LATENCY(struct planner *pl, struct option *o, size_t n)
{
    bool total = pl->route && pl->route->measure_total;
    for (size_t i = 0; i < n; i++) {
        int64_t ewma = total ? o[i].view.ewma_total_us : o[i].view.ewma_ttft_us;
        o[i].score = (double)ewma * (double)(o[i].view.in_flight + 1) + chance(pl, i);
        struct str time = ewma ? seconds_text(pl, ewma) : STR("not measured yet");
        o[i].reason = arena_printf(pl->a, "%s " STR_FMT ", %lld in flight",
            total ? "whole answer" : "first token", STR_ARG(time), (long long)o[i].view.in_flight);
    }
    if (n < 2)
        return;
    size_t a = (size_t)(mix_bits(pl->r->random ^ 1) % n), b = (size_t)(mix_bits(pl->r->random ^ 2) % (n - 1));
    b += b >= a;
    struct option *winner = &o[o[a].score <= o[b].score ? a : b];
    winner->score -= 1e18;
    winner->reason =
        arena_printf(pl->a, STR_FMT ", the faster of two drawn", STR_ARG(winner->reason));
}

enum { TYPICAL_OUTPUT = 1024 };

static void order_LOWEST_COST(struct planner *pl, struct option *o, size_t n)
{
    int64_t asked = pl->facts->max_output;
    for (size_t i = 0; i < n; i++) {
        struct usage u = {.input = pl->facts->prompt_tokens,
            .output = asked > 0 ? MIN(asked, (int64_t)TYPICAL_OUTPUT) : TYPICAL_OUTPUT};
        bool warm = !pl->r->trial && health_is_warm(pl->h, o[i].provider, o[i].model, pl->r->session, pl->r->now_us);
        u.cached = warm ? u.input / 10 * 9 : 0;
        if (!o[i].price) {
            o[i].score = HUGE_VAL;
            o[i].reason = STR("price unknown");
            continue;
        }
        int64_t nano = price_cost(o[i].price, &u, price_tier_from(pl->facts->service_tier));
        o[i].score = (double)nano;
        o[i].reason = arena_printf(pl->a, "about $%.6f%s", (double)nano / 1e9,
            warm ? ", its cache is warm" : "");
    }
}

static double share_left(int64_t left, int64_t limit)
{
    return left < 0 || limit <= 0 ? 1 : (double)left / (double)limit;
}

static void order_USAGE(struct planner *pl, struct option *o, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct health_view *v = &o[i].view;
        double left = fmin(share_left(v->requests_left, v->requests_limit),
            share_left(v->tokens_left, v->tokens_limit));
        bool known = v->requests_left >= 0 || v->tokens_left >= 0;
        o[i].score = o[i].weight ? -left + chance(pl, i) * 1e-6 : HUGE_VAL;
        o[i].reason = known ? arena_printf(pl->a, "%.0f %% of its limits left", left * 100)
                            : STR("limits unknown");
    }
}

/* What a request is held on by, most specific first after the route's own wish. */
static struct str sticky_key(const struct planner *pl, const char **what)
{
    struct str want = pl->route ? pl->route->sticky : STR("");
    const struct request_facts *f = pl->facts;
    struct str session = pl->r->session.n ? pl->r->session : f->session_hint;
    *what = "user";
    if (str_eq(want, STR("user")) && f->user.n)
        return f->user;
    *what = "prefix";
    if (str_eq(want, STR("prefix")) && f->prefix_hash)
        return str_n((const char *)&f->prefix_hash, sizeof f->prefix_hash);
    *what = "session";
    if (session.n)
        return session;
    *what = "user";
    if (f->user.n)
        return f->user;
    *what = "prefix";
    if (f->prefix_hash)
        return str_n((const char *)&f->prefix_hash, sizeof f->prefix_hash);
    *what = "key";
    return pl->r->key ? pl->r->key->name : STR_NULL;
}

/* Rendezvous hashing: each (key, target) pair has a fixed draw of its own. A target that comes or
 * goes moves only the sessions that it takes or had. */
static void order_STICKY(struct planner *pl, struct option *o, size_t n)
{
    const char *what;
    struct str key = sticky_key(pl, &what);
    uint64_t base = key.n ? mix_bits(str_hash(key)) : pl->r->random;
    pl->out->by_chance |= !key.n;
    for (size_t i = 0; i < n; i++) {
        uint64_t target = str_hash(o[i].model) * 31 + str_hash(o[i].provider->name);
        o[i].score = race(unit(base ^ mix_bits(target), 0), o[i].weight);
        o[i].reason = key.n ? arena_printf(pl->a, "held by %s", what)
                            : STR("nothing to hold on to: at random");
    }
}

static void (*const orders[POLICY_COUNT])(struct planner *, struct option *, size_t) = {
#define X(name, text, help) [POLICY_##name] = order_##name,
#include "proxy/config/policies.def"
#undef X
};

const char *policy_name(enum policy p)
{
    static const char *const names[POLICY_COUNT] = {
#define X(name, text, help) [POLICY_##name] = text,
#include "proxy/config/policies.def"
#undef X
    };
    return (unsigned)p < POLICY_COUNT ? names[p] : "";
}

/* Stable, so that equal scores keep the configured order. Lists are short. */
static void sort_options(struct option *o, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && o[k].score < o[k - 1].score; k--) {
            struct option swap = o[k];
            o[k] = o[k - 1];
            o[k - 1] = swap;
        }
}

void policy_order(enum policy p, struct planner *pl, struct option *options, size_t n)
{
    if (n == 0)
        return;
    orders[p](pl, options, n);
    sort_options(options, n);
}
