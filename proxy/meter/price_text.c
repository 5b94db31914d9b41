/* price_text.c: a price written as a line that people read, and the collecting of rates by name
 * that it shares with the imports. */
#include "proxy/meter/price_text.h"
#include "proxy/config/units.h"

struct price_rates *price_rates_at(
    struct price *p, struct price_step *steps, int64_t above, enum price_tier tier)
{
    if (above <= 0)
        return &p->base[tier];
    unsigned at = 0;
    while (at < p->steps && steps[at].above_tokens < above)
        at++;
    if (at < p->steps && steps[at].above_tokens == above)
        return &steps[at].rates[tier];
    if (p->steps >= PRICE_STEPS)
        return NULL;
    memmove(steps + at + 1, steps + at, (p->steps - at) * sizeof *steps); /* they rise */
    steps[at].above_tokens = above;
    for (int i = 0; i < TIER_COUNT; i++)
        steps[at].rates[i] = price_rates_none;
    p->step = steps;
    p->steps++;
    return &steps[at].rates[tier];
}

static const struct {
    const char *name;
    size_t offset;
} rate_names[] = {
#define X(name, key, word) {word, offsetof(struct price_rates, name)},
#include "proxy/config/price_rates.def"
#undef X
};

/* Where a word's figure goes, and per how many units it is stated. */
static int64_t *figure_named(
    struct price *p, struct price_rates *rates, struct str word, int64_t *per)
{
    *per = 1000000;
    for (size_t i = 0; i < ARRAY_LEN(rate_names); i++)
        if (str_eq(word, str_c(rate_names[i].name)))
            return (int64_t *)(void *)((char *)rates + rate_names[i].offset);
    *per = 1;
    if (str_eq(word, STR("request")))
        return &p->per_request;
    if (str_eq(word, STR("search")))
        return &p->per_search;
#define X(name, key, counted)                                                                      \
    if (str_eq(word, STR(key)))                                                                  \
        return &p->unit[UNIT_##name];
#include "proxy/config/price_units.def"
#undef X
    *per = 1000000000; /* "1.1" as parts per million: femto of a billionth */
#define X(name, key, factor)                                                                       \
    if (str_eq(word, STR(factor)))                                                               \
        return &p->factor_ppm[FACTOR_##name];
#include "proxy/config/price_factors.def"
#undef X
    return NULL;
}

static bool next_word(struct str *s, struct str *word)
{
    *s = str_trim(*s);
    return s->n && str_cut(s, ' ', word);
}

/* ">272k", ">262144" */
static bool threshold(struct str word, int64_t *above)
{
    uint64_t n;
    bool thousands = str_ends(word, STR("k"));
    if (!str_starts(word, STR(">")) ||
        !str_to_u64(str_n(word.p + 1, word.n - 1 - thousands), &n) || n == 0 || n > 1000000000)
        return false;
    *above = (int64_t)n * (thousands ? 1000 : 1);
    return true;
}

static int read_clause(struct price *p, struct price_step *steps, struct str clause, struct err *e)
{
    int64_t above = 0, per;
    enum price_tier tier = TIER_DEFAULT;
    struct str word, number;
    while (next_word(&clause, &word)) {
        if (threshold(word, &above))
            continue;
        if (str_eq(word, STR("batch")) || str_eq(word, STR("flex")) ||
            str_eq(word, STR("priority"))) {
            tier = price_tier_from(word);
            continue;
        }
        struct price_rates *rates = price_rates_at(p, steps, above, tier);
        if (!rates)
            return err_set(e, ERR_LIMIT, "%s: more than %d steps by size", p->key, PRICE_STEPS);
        int64_t *figure = figure_named(p, rates, word, &per);
        bool rounded;
        if (!figure || !next_word(&clause, &number) ||
            price_parse_rate(number, per, figure, &rounded) < 0)
            return err_set(
                e, ERR_SYNTAX, "%s: no figure for \"" STR_FMT "\"", p->key, STR_ARG(word));
    }
    return 0;
}

int price_read_text(struct price *p, struct price_step *steps, struct str text, struct err *e)
{
    struct str clause;
    while (text.n && str_cut(&text, ';', &clause)) {
        int rc = read_clause(p, steps, clause, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* --- the other way ------------------------------------------------------------------------- */

/* A clause on its way: its head ("; >272k flex") is put before its first figure. */
struct clause {
    struct buf *out;
    int64_t above;
    const char *tier;
    bool begun;
};

static void put_word(struct clause *c, const char *word)
{
    if (!c->begun && (c->above || *c->tier)) {
        buf_puts(c->out, c->out->n ? "; " : "");
        if (c->above % 1000)
            buf_printf(c->out, ">%lld ", (long long)c->above);
        else if (c->above)
            buf_printf(c->out, ">%lldk ", (long long)(c->above / 1000));
        buf_printf(c->out, "%s%s", c->tier, *c->tier ? " " : "");
    } else if (c->out->n) {
        buf_putc(c->out, ' ');
    }
    c->begun = true;
    buf_printf(c->out, "%s ", word);
}

enum { RATE_COLUMNS = 3 /* in, out, read: the first of price_rates.def */ };

static void put_rates(struct clause *c, const struct price_rates *r, bool besides)
{
    for (size_t i = 0; i < ARRAY_LEN(rate_names); i++) {
        int64_t rate = *(const int64_t *)(const void *)((const char *)r + rate_names[i].offset);
        bool column = besides && !c->above && !*c->tier && i < RATE_COLUMNS;
        if (rate < 0 || column)
            continue;
        put_word(c, rate_names[i].name);
        unit_put_rate(c->out, rate);
    }
}

static void put_fee(struct clause *c, const char *word, int64_t femto)
{
    if (femto < 0)
        return;
    put_word(c, word);
    unit_put_fee(c->out, femto);
}

static void put_tiers(struct buf *out, const struct price_rates *tiers, int64_t above, bool besides)
{
    static const char *const names[TIER_COUNT] = {"", "batch", "flex", "priority"};
    for (int t = 0; t < TIER_COUNT; t++) {
        struct clause c = {out, above, names[t], false};
        if (above || t)
            put_rates(&c, &tiers[t], besides);
    }
}

void price_write_text(const struct price *p, bool besides, struct buf *out)
{
    struct clause c = {out, 0, "", false};
    put_rates(&c, &p->base[TIER_DEFAULT], besides);
    put_fee(&c, "request", p->per_request);
    put_fee(&c, "search", p->per_search);
#define X(name, key, counted) put_fee(&c, key, p->unit[UNIT_##name]);
#include "proxy/config/price_units.def"
#undef X
#define X(name, key, word) \
    put_fee(&c, word, MAX(p->factor_ppm[FACTOR_##name], (int64_t)-1) * \
        (p->factor_ppm[FACTOR_##name] < 0 ? 1 : 1000000000));
#include "proxy/config/price_factors.def"
#undef X
    if (besides && p->discount_ppm > 0) {
        put_word(&c, "less");
        unit_put_percent(out, p->discount_ppm);
    }
    put_tiers(out, p->base, 0, besides);
    for (unsigned i = 0; i < p->steps; i++)
        put_tiers(out, p->step[i].rates, p->step[i].above_tokens, besides);
}
