/* price_text.c: a price written as a line that people read, and the collecting of rates by name
 * that it shares with the imports. */
#include "proxy/meter/price_text.h"

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
        steps[at].rates[i] = PRICE_RATES_NONE;
    p->step = steps;
    p->steps++;
    return &steps[at].rates[tier];
}

static const struct {
    const char *name;
    size_t offset;
} rate_names[] = {
    {"in", offsetof(struct price_rates, input)},
    {"out", offsetof(struct price_rates, output)},
    {"read", offsetof(struct price_rates, cached)},
    {"write", offsetof(struct price_rates, write_5m)},
    {"write1h", offsetof(struct price_rates, write_1h)},
    {"reason", offsetof(struct price_rates, reasoning)},
    {"audio_in", offsetof(struct price_rates, audio_in)},
    {"audio_out", offsetof(struct price_rates, audio_out)},
    {"image_in", offsetof(struct price_rates, image_in)},
    {"image_out", offsetof(struct price_rates, image_out)},
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
    return str_eq(word, STR("us")) ? &p->us_ppm : str_eq(word, STR("fast")) ? &p->fast_ppm : NULL;
}

static bool next_word(struct str *s, struct str *word)
{
    *s = str_trim(*s);
    return s->n && str_cut(s, ' ', word);
}

/* ">272k" */
static bool threshold(struct str word, int64_t *above)
{
    uint64_t n;
    if (!str_starts(word, STR(">")) || !str_ends(word, STR("k")) ||
        !str_to_u64(str_n(word.p + 1, word.n - 2), &n) || n == 0 || n > 1000000)
        return false;
    *above = (int64_t)n * 1000;
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
