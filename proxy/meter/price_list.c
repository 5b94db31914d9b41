/* price_list.c: prices by name, in layers: the configuration over imports over the built-in list.
 *
 * Built once, then read by every worker without a lock. Names differ between what a client asks,
 * what a provider lists and what a bill says (dates, makers' prefixes, dots for dashes), so a name
 * is tried in a fixed order of spellings, most exact first. */
#include "proxy/meter/price.h"
#include "store/base/array.h"

#include <pthread.h>
#include <stdlib.h>

enum { PRICES_MAX = 100000 };

struct price_list {
    const struct price_list *under;
    struct price **entries;
    size_t count, room;
    size_t *index; /* open addressing: place in entries + 1, 0 = empty */
    size_t index_size;
    size_t *wild;  /* places of the entries that end in '*' */
    size_t wild_count, wild_room;
};

struct price_list *price_list_new(const struct price_list *under)
{
    struct price_list *l = calloc(1, sizeof *l);
    if (l)
        l->under = under;
    return l;
}

void price_list_free(struct price_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        free(l->entries[i]);
    free(l->entries);
    free(l->index);
    free(l->wild);
    free(l);
}

static size_t *slot_of(const struct price_list *l, struct str key)
{
    size_t at = (size_t)str_hash(key) & (l->index_size - 1);
    while (l->index[at] && !str_eq(str_c(l->entries[l->index[at] - 1]->key), key))
        at = (at + 1) & (l->index_size - 1);
    return &l->index[at];
}

static struct price *exact(const struct price_list *l, struct str key)
{
    if (!l->index_size)
        return NULL;
    size_t place = *slot_of(l, key);
    return place ? l->entries[place - 1] : NULL;
}

static bool grow_index(struct price_list *l)
{
    if (l->index_size > l->count * 2 + 2)
        return true;
    size_t size = l->index_size ? l->index_size * 2 : 64, *old = l->index;
    size_t *index = calloc(size, sizeof *index);
    if (!index)
        return false;
    l->index = index;
    l->index_size = size;
    for (size_t i = 0; i < l->count; i++)
        *slot_of(l, str_c(l->entries[i]->key)) = i + 1;
    free(old);
    return true;
}

/* A copy in one block: the price, its steps behind it. */
static struct price *copy_of(const struct price *p)
{
    unsigned steps = MIN(p->steps, (unsigned)PRICE_STEPS);
    struct price *c = malloc(sizeof *c + steps * sizeof(struct price_step));
    if (!c)
        return NULL;
    *c = *p;
    c->step = (const struct price_step *)(const void *)(c + 1);
    c->steps = steps;
    if (steps)
        memcpy(c + 1, p->step, steps * sizeof *p->step);
    return c;
}

static void lay_rates(struct price_rates *to, const struct price_rates *over)
{
#define X(name, key, word) to->name = over->name >= 0 ? over->name : to->name;
#include "proxy/config/price_rates.def"
#undef X
}

/* Lays what `over` names on what is known of the same model below. */
static struct price lay_over(const struct price *below, const struct price *over)
{
    struct price p = *below;
    memcpy(p.key, over->key, sizeof p.key);
    for (int i = 0; i < TIER_COUNT; i++)
        lay_rates(&p.base[i], &over->base[i]);
    if (over->steps) {
        p.step = over->step;
        p.steps = over->steps;
    }
#define OVER(name, given) p.name = over->name given ? over->name : p.name
    OVER(per_request, >= 0);
    OVER(per_search, >= 0);
    for (int i = 0; i < UNIT_COUNT; i++)
        OVER(unit[i], >= 0);
    OVER(discount_ppm, >= 0);
    for (int i = 0; i < FACTOR_COUNT; i++)
        OVER(factor_ppm[i], >= 0);
    OVER(context_tokens, > 0);
    OVER(max_output_tokens, > 0);
#undef OVER
    return p;
}

static const struct price *find_below(const struct price_list *l, const char *key)
{
    struct str rest = str_c(key), provider;
    const struct price *p = l->under ? price_find(l->under, STR(""), rest) : NULL;
    if (!p && l->under && str_cut(&rest, '/', &provider) && rest.p)
        p = price_find(l->under, provider, rest);
    return p;
}

static int add(struct price_list *l, struct price *c)
{
    bool wild = str_ends(str_c(c->key), STR("*"));
    if (!array_room(&l->entries, &l->room, l->count, sizeof *l->entries) || !grow_index(l) ||
        (wild && !array_room(&l->wild, &l->wild_room, l->wild_count, sizeof *l->wild)))
        return -ERR_NOMEM;
    *slot_of(l, str_c(c->key)) = l->count + 1;
    if (wild)
        l->wild[l->wild_count++] = l->count;
    l->entries[l->count++] = c;
    return 0;
}

/* What tools and places cost stays as the list below has it, where the new price does not speak of it.
 * Lists of others leave these fees out; a search would cost nothing after an import. */
static void keep_fees(struct price *p, const struct price *below)
{
    static const enum price_unit ways[] = {UNIT_search_low, UNIT_search_high, UNIT_searched_prompt};
    bool searched = p->per_search >= 0;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        searched |= p->unit[ways[i]] >= 0;
    if (!searched)
        p->per_search = below->per_search;
    for (size_t i = 0; i < ARRAY_LEN(ways) && !searched; i++)
        p->unit[ways[i]] = below->unit[ways[i]];
    for (int i = UNIT_maps_prompt; i < UNIT_COUNT; i++)
        p->unit[i] = p->unit[i] < 0 ? below->unit[i] : p->unit[i];
    for (int i = 0; i < FACTOR_COUNT; i++)
        p->factor_ppm[i] = p->factor_ppm[i] < 0 ? below->factor_ppm[i] : p->factor_ppm[i];
}

int price_list_put(struct price_list *l, const struct price *p, struct err *e)
{
    if (!p->key[0])
        return err_set(e, ERR_MISSING, "a price needs the name of a model");
    const struct price *below = find_below(l, p->key);
    bool part = below && p->base[TIER_DEFAULT].input < 0;
    struct price merged = part ? lay_over(below, p) : *p;
    if (below && !part)
        keep_fees(&merged, below);
    struct price *old = exact(l, str_c(p->key)), *c;
    if (!old && l->count >= PRICES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d prices in one list", PRICES_MAX);
    c = copy_of(&merged);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for the price of %s", p->key);
    if (old) {
        l->entries[*slot_of(l, str_c(p->key)) - 1] = c;
        free(old);
        return 0;
    }
    int rc = add(l, c);
    if (rc < 0) {
        free(c);
        return err_set(e, ERR_NOMEM, "no memory for the price of %s", p->key);
    }
    return 0;
}

/* --- finding ------------------------------------------------------------------------------- */

static bool digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

/* "gpt-5-2025-08-07", "claude-haiku-4-5-20251001", "…@20251001" → without the date. */
static struct str without_date(struct str m)
{
    if (m.n > 9 && digits(str_from(m, m.n - 8)) && strchr("-@", m.p[m.n - 9]) &&
        (str_starts(str_from(m, m.n - 8), STR("20"))))
        return str_first(m, m.n - 9);
    struct str tail = str_from(m, m.n > 11 ? m.n - 11 : m.n);
    if (tail.n == 11 && tail.p[0] == '-' && tail.p[5] == '-' && tail.p[8] == '-' &&
        digits(str_n(tail.p + 1, 4)) && digits(str_n(tail.p + 6, 2)) &&
        digits(str_n(tail.p + 9, 2)))
        return str_first(m, m.n - 11);
    return m;
}

static const struct price *named(const struct price_list *l, struct str provider, struct str model)
{
    char key[PRICE_KEY * 2];
    if (provider.n && provider.n + model.n + 1 < sizeof key) {
        memcpy(key, provider.p, provider.n);
        key[provider.n] = '/';
        memcpy(key + provider.n + 1, model.p, model.n);
        const struct price *p = exact(l, str_n(key, provider.n + 1 + model.n));
        if (p)
            return p;
    }
    return exact(l, model);
}

/* Routers write "claude-sonnet-4.5" where the maker writes dashes. */
static const struct price *named_with_dashes(const struct price_list *l, struct str model)
{
    char key[PRICE_KEY];
    if (!str_starts(model, STR("claude")) || model.n >= sizeof key || str_chr(model, '.') < 0)
        return NULL;
    for (size_t i = 0; i < model.n; i++)
        key[i] = model.p[i] == '.' ? '-' : model.p[i];
    return exact(l, str_n(key, model.n));
}

static bool wild_match(const char *key, struct str provider, struct str model)
{
    struct str prefix = str_first(str_c(key), strlen(key) - 1);
    if (str_starts(model, prefix))
        return true;
    if (!provider.n || !str_starts(prefix, provider) || prefix.n <= provider.n ||
        prefix.p[provider.n] != '/')
        return str_starts(provider, prefix) && prefix.n == 0;
    return str_starts(model, str_from(prefix, provider.n + 1));
}

static const struct price *by_prefix(
    const struct price_list *l, struct str provider, struct str model)
{
    const struct price *best = NULL;
    for (size_t i = 0; i < l->wild_count; i++) {
        const struct price *p = l->entries[l->wild[i]];
        if (wild_match(p->key, provider, model) && (!best || strlen(p->key) > strlen(best->key)))
            best = p;
    }
    return best;
}

static const struct price *find_in(
    const struct price_list *l, struct str provider, struct str model)
{
    const struct price *p = named(l, provider, model);
    if (!p && str_starts(model, STR("models/")))
        p = named(l, provider, model = str_from(model, 7));
    struct str dateless = without_date(model);
    if (!p && dateless.n != model.n)
        p = named(l, provider, dateless);
    const char *slash = memrchr(dateless.p, '/', dateless.n);
    struct str bare = slash ? str_from(dateless, (size_t)(slash + 1 - dateless.p)) : dateless;
    if (!p && slash)
        p = exact(l, bare);
    if (!p)
        p = named_with_dashes(l, bare);
    return p ? p : by_prefix(l, provider, model);
}

const struct price *price_find(const struct price_list *l, struct str provider, struct str model)
{
    if (!model.n)
        return NULL;
    for (; l; l = l->under) {
        const struct price *p = find_in(l, provider, model);
        if (p)
            return p;
    }
    return NULL;
}

static bool shadowed(const struct price_list *top, const struct price_list *l, const char *key)
{
    for (; top != l; top = top->under)
        if (exact(top, str_c(key)))
            return true;
    return false;
}

size_t price_list_each(
    const struct price_list *l, void (*fn)(void *ctx, const struct price *p), void *ctx)
{
    size_t n = 0;
    for (const struct price_list *at = l; at; at = at->under)
        for (size_t i = 0; i < at->count; i++)
            if (!shadowed(l, at, at->entries[i]->key)) {
                if (fn)
                    fn(ctx, at->entries[i]);
                n++;
            }
    return n;
}

/* --- the built-in list --------------------------------------------------------------------- */

#define DATE(text) static const char builtin_date[] = text;
#define PRICE(key, context, most_output, text)
#include "proxy/meter/prices.def"
#undef DATE
#undef PRICE

static const struct builtin_row {
    const char *key;
    int64_t context_tokens, max_output_tokens;
    const char *text;
} builtin_rows[] = {
#define DATE(text)
#define PRICE(key, context, most_output, text) {key, context, most_output, text},
#include "proxy/meter/prices.def"
#undef DATE
#undef PRICE
};

static struct price_list *builtin;

static void builtin_build(void)
{
    struct price_list *l = price_list_new(NULL);
    for (size_t i = 0; l && i < ARRAY_LEN(builtin_rows); i++) {
        const struct builtin_row *row = &builtin_rows[i];
        struct price p;
        struct price_step steps[PRICE_STEPS];
        price_init(&p, str_c(row->key));
        p.step = steps;
        p.context_tokens = row->context_tokens;
        p.max_output_tokens = row->max_output_tokens;
        if (price_read_text(&p, steps, str_c(row->text), NULL) < 0 ||
            price_list_put(l, &p, NULL) < 0)
            break; /* a row that can't be read stops the list; test_price counts the rows */
    }
    builtin = l;
}

struct price_list *price_list_builtin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, builtin_build);
    return builtin;
}

const char *price_list_builtin_date(void)
{
    return builtin_date;
}
