/* parse_price.c: the section `prices`: rates of the file, laid over the built-in list by the server.
 * USD per million units in the file, femto-USD per unit in memory: exact, or refused. */
#include "proxy/config/options.h"
#include "proxy/config/units.h"

enum { PRICES_MAX = 5000 };

struct price_place {
    struct price_override *price;
    struct price_rates_override *rates; /* four tiers: of the base or of a step */
    int64_t *above_tokens;              /* inside of a step */
    size_t steps;
};

static void no_special(
    struct reader *r, const struct option *o, const struct yaml *n, struct str path, void *ctx)
{
    (void)o, (void)ctx;
    complain(r, n, path, ERR_TYPE, "does not belong here");
}

static void rates_none(struct price_rates_override rates[CONFIG_PRICE_TIERS], struct reader *r)
{
    for (int t = 0; t < CONFIG_PRICE_TIERS; t++)
        options_defaults(r, SECTION_PRICE_TIER, &rates[t]);
}

static void read_fee(struct reader *r, const struct yaml *n, struct str path, int64_t *out)
{
    struct str text;
    struct err e;
    if (read_text(r, n, path, &text) && unit_fee(text, out, &e) < 0)
        complain(r, n, path, e.code, "%s", e.text);
}

static void step_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx);

static void parse_steps(struct reader *r, const struct yaml *list, struct str path,
    struct price_override *p)
{
    if (list->kind != YAML_LIST || list->count > CONFIG_PRICE_STEPS) {
        complain(r, list, path, ERR_TYPE, "expected a list of at most %d steps such as "
            "[{ tokens: 200k, input: 6, output: 22.5 }]", CONFIG_PRICE_STEPS);
        return;
    }
    size_t i = 0;
    for (const struct yaml *c = list->first; c; c = c->next, i++) {
        struct price_place place = {p, p->step[i].rates, &p->step[i].above_tokens, 0};
        options_read(r, c, path_index(r, path, i + 1), SECTION_PRICE_STEP, &p->step[i].rates[0],
            step_special, &place);
        if (i && p->step[i].above_tokens <= p->step[i - 1].above_tokens)
            complain(r, c, path, ERR_RANGE, "the steps must go up");
    }
}

static bool read_tier(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, struct price_rates_override *rates)
{
    static const char *const tiers[] = {"", "batch", "flex", "priority"};
    for (int t = 1; t < CONFIG_PRICE_TIERS; t++) {
        if (str_eq(str_c(o->key), str_c(tiers[t]))) {
            options_read(r, n, path, SECTION_PRICE_TIER, &rates[t], no_special, NULL);
            return true;
        }
    }
    return false;
}

static void step_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    struct price_place *place = ctx;
    if (!read_tier(r, o, n, path, place->rates))
        read_count(r, n, path, 1, 1000000000, place->above_tokens);
}

/* The place of a fee by its key; NULL: it is none. */
static int64_t *fee_named(struct price_override *p, struct str key)
{
    static const char *const units[] = {
#define X(name, key, counted) key,
#include "proxy/config/price_units.def"
#undef X
    };
    for (size_t i = 0; i < UNIT_COUNT; i++)
        if (str_eq(key, str_c(units[i])))
            return &p->unit[i];
    return str_eq(key, STR("per_request")) ? &p->per_request
         : str_eq(key, STR("per_search")) ? &p->per_search : NULL;
}

static int64_t *factor_named(struct price_override *p, struct str key)
{
    static const char *const factors[] = {
#define X(name, key, word) key,
#include "proxy/config/price_factors.def"
#undef X
    };
    for (size_t i = 0; i < FACTOR_COUNT; i++)
        if (str_eq(key, str_c(factors[i])))
            return &p->factor_ppm[i];
    return NULL;
}

/* "1.1": by what the tokens are multiplied, in parts per million. */
static void read_factor(struct reader *r, const struct yaml *n, struct str path, int64_t *ppm)
{
    struct str text;
    int64_t femto;
    if (!read_text(r, n, path, &text))
        return;
    if (unit_fee(text, &femto, NULL) < 0 || femto < 100000000000000 || femto > 100000000000000000 ||
        femto % 1000000000)
        complain(r, n, path, ERR_RANGE, "expected a factor such as 1.1, from 0.1 to 100, with at most "
            "6 decimals");
    else
        *ppm = femto / 1000000000;
}

static void price_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    struct price_override *p = ctx;
    struct str key = str_c(o->key), text;
    struct err e;
    if (read_tier(r, o, n, path, p->base))
        return;
    if (str_eq(key, STR("above")))
        parse_steps(r, n, path, p);
    else if (fee_named(p, key))
        read_fee(r, n, path, fee_named(p, key));
    else if (factor_named(p, key))
        read_factor(r, n, path, factor_named(p, key));
    else if (str_eq(key, STR("context")))
        read_count(r, n, path, 1, 1000000000, &p->context_tokens);
    else if (str_eq(key, STR("max_output")))
        read_count(r, n, path, 1, 1000000000, &p->max_output_tokens);
    else if (read_text(r, n, path, &text)) { /* discount */
        if (unit_percent(text, &p->discount_ppm, &e) < 0)
            complain(r, n, path, e.code, "%s", e.text);
        else if (p->discount_ppm > 1000000)
            complain(r, n, path, ERR_RANGE, "more than 100%% can't be taken off");
    }
}

void parse_prices(struct reader *r, const struct yaml *map)
{
    struct price_override *to = arena_zalloc(r->a, map->count * sizeof *to + 1);
    if (map->kind != YAML_MAP || map->count > PRICES_MAX || !to) {
        complain(
            r, map, STR("prices"), ERR_TYPE, "expected a map of at most %d models", PRICES_MAX);
        return;
    }
    size_t count = 0;
    for (const struct yaml *n = map->first; n; n = n->next) {
        struct str path = path_join(r, STR("prices"), n->key);
        struct price_override *p = &to[count];
        if (!n->key.n || n->key.n > 127) {
            complain_key(r, n, path, ERR_RANGE, "a model's name has 1 to 127 characters");
            continue;
        }
        ptrdiff_t star = str_chr(n->key, '*');
        if (star >= 0 && (size_t)star + 1 != n->key.n)
            complain_key(r, n, path, ERR_SYNTAX, "`*` stands at the end only");
        p->key = n->key;
        p->per_request = p->per_search = p->discount_ppm = -1;
        for (int u = 0; u < UNIT_COUNT; u++)
            p->unit[u] = -1;
        for (int f = 0; f < FACTOR_COUNT; f++)
            p->factor_ppm[f] = -1;
        rates_none(p->base, r);
        for (int s = 0; s < CONFIG_PRICE_STEPS; s++)
            rates_none(p->step[s].rates, r);
        options_read(r, n, path, SECTION_PRICE, &p->base[0], price_special, p);
        count++;
    }
    r->c->price_overrides = to;
    r->c->price_override_count = count;
}
