/* price.c: what a use costs at a given price. The arithmetic of providers' bills:
 *
 *   text in   = input - cached - written - audio          never below zero
 *   whole     = each part × its rate, at the rates of the step and tier that apply
 *   charged   = (tokens × factors + fees) less discount, rounded once
 *
 * Parts overlap at some providers (cached and written at once): what was read comes first. */
#include "proxy/meter/price.h"

typedef __int128 i128;

const struct price_rates price_rates_none = {
#define X(name, key, word) .name = -1,
#include "proxy/config/price_rates.def"
#undef X
};

void price_init(struct price *p, struct str key)
{
    *p = (struct price){.per_request = -1, .per_search = -1, .discount_ppm = -1};
    str_copy(p->key, sizeof p->key, key);
    for (int i = 0; i < TIER_COUNT; i++)
        p->base[i] = price_rates_none;
    for (int i = 0; i < UNIT_COUNT; i++)
        p->unit[i] = -1;
    for (int i = 0; i < FACTOR_COUNT; i++)
        p->factor_ppm[i] = -1;
}

enum price_tier price_tier_from(struct str reported)
{
    static const struct {
        const char *part;
        enum price_tier tier;
    } t[] = {{"priority", TIER_PRIORITY}, {"fast", TIER_PRIORITY}, {"flex", TIER_FLEX},
        {"batch", TIER_BATCH}};
    for (size_t i = 0; reported.n && i < ARRAY_LEN(t); i++)
        if (str_find_nocase(reported, str_c(t[i].part)) >= 0)
            return t[i].tier;
    return TIER_DEFAULT;
}

/* Fills what is not given in *r from *other. */
static void fill(struct price_rates *r, const struct price_rates *other)
{
#define X(name, key, word) r->name = r->name < 0 ? other->name : r->name;
#include "proxy/config/price_rates.def"
#undef X
}

/* Complete rates, nothing below zero, from the step (NULL: the base) and tier. */
static struct price_rates rates_of(
    const struct price *p, const struct price_step *step, enum price_tier tier)
{
    struct price_rates r = price_rates_none;
    if (step) {
        fill(&r, &step->rates[tier]);
        fill(&r, &step->rates[TIER_DEFAULT]);
    }
    fill(&r, &p->base[tier]);
    fill(&r, &p->base[TIER_DEFAULT]);
    r.input = MAX(r.input, 0);
    r.output = MAX(r.output, 0);
    int64_t write = r.write_5m < 0 ? r.input : r.write_5m;
    int64_t cached = r.cached < 0 ? r.input : r.cached;
    fill(&r, &(struct price_rates){.cached = r.input, .write_5m = r.input, .write_1h = write,
        .reasoning = r.output, .audio_in = r.input, .audio_out = r.output, .image_in = r.input,
        .image_out = r.output, .audio_cached = cached, .image_cached = cached,
        .video_in = r.input, .video_out = r.output, .citation = 0});
    return r;
}

static const struct price_step *step_for(const struct price *p, int64_t input_tokens)
{
    const struct price_step *found = NULL;
    for (unsigned i = 0; i < p->steps; i++)
        if (input_tokens > p->step[i].above_tokens)
            found = &p->step[i];
    return found;
}

/* Takes up to `want` from what is left. */
static int64_t part(int64_t *left, int64_t want)
{
    int64_t n = MIN(MAX(want, (int64_t)0), *left);
    *left -= n;
    return n;
}

/* What was read from the cache: its sound and images first. */
static i128 cached_cost(const struct price_rates *r, const struct usage *u, int64_t *left)
{
    int64_t cached = part(left, u->cached);
    i128 sum = (i128)part(&cached, u->audio_cached) * r->audio_cached;
    sum += (i128)part(&cached, u->image_cached) * r->image_cached;
    return sum + (i128)cached * r->cached;
}

static i128 input_cost(const struct price_rates *r, const struct usage *u)
{
    int64_t left = u->input;
    i128 sum = cached_cost(r, u, &left);
    sum += (i128)part(&left, u->cache_write_1h) * r->write_1h;
    sum += (i128)part(&left, u->cache_write_5m) * r->write_5m;
    sum += (i128)part(&left, u->audio_in - u->audio_cached) * r->audio_in;
    sum += (i128)part(&left, u->image_in - u->image_cached) * r->image_in;
    sum += (i128)part(&left, u->video_in) * r->video_in;
    return sum + (i128)(left + u->extra_input) * r->input + (i128)u->citations * r->citation;
}

static i128 output_cost(const struct price_rates *r, const struct usage *u)
{
    int64_t left = u->output;
    i128 sum = (i128)part(&left, u->audio_out) * r->audio_out;
    sum += (i128)part(&left, u->image_out) * r->image_out;
    sum += (i128)part(&left, u->video_out) * r->video_out;
    sum += (i128)part(&left, u->reasoning) * r->reasoning;
    return sum + (i128)left * r->output;
}

/* Billionths of femto-USD: seconds come in thousandths, factors and discounts in millionths, and only
 * the end may round. What is more than anybody has stays at MOST: no lie about usage overflows. */
#define FINE ((i128)1000000000)
#define MOST ((i128)1000000000000000000 * 1000000000000000000)

struct amount {
    i128 fine;
    bool more; /* a remainder was dropped: it is a little more than `fine` */
};

static void add_femto(struct amount *a, i128 femto)
{
    a->fine = MIN(a->fine + MIN(femto, MOST / FINE) * FINE, MOST);
}

static void times_ppm(struct amount *a, int64_t ppm)
{
    i128 rest = a->fine % 1000000 * ppm;
    a->more |= rest % 1000000 != 0;
    a->fine = MIN(a->fine / 1000000 * ppm + rest / 1000000, MOST);
}

static void discount(struct amount *a, const struct price *p)
{
    times_ppm(a, 1000000 - MIN(MAX(p->discount_ppm, (int64_t)0), (int64_t)1000000));
}

/* Half to even. */
static int64_t amount_nano(const struct amount *a)
{
    const i128 one = FINE * 1000000;
    i128 nano = a->fine / one, rest = a->fine % one;
    if (rest > one / 2 || (rest == one / 2 && (a->more || (nano & 1))))
        nano++;
    return nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}

/* A search whose amount of context has no price of its own costs what any search costs. */
static int64_t unit_price(const struct price *p, enum price_unit unit)
{
    bool search = unit == UNIT_search_low || unit == UNIT_search_high;
    return MAX(p->unit[unit] < 0 && search ? p->per_search : p->unit[unit], (int64_t)0);
}

static void add_units(struct amount *a, const struct price *p, const struct usage *u)
{
    for (int i = 0; i < UNIT_COUNT; i++) {
        i128 milli = (i128)unit_price(p, (enum price_unit)i) * MAX(u->unit_milli[i], (int64_t)0);
        a->fine = MIN(a->fine + MIN(milli, MOST / FINE) * (FINE / 1000), MOST);
    }
    bool searched = u->searches > 0 || u->unit_milli[UNIT_search_low] > 0 ||
                    u->unit_milli[UNIT_search_high] > 0;
    add_femto(a, searched ? unit_price(p, UNIT_searched_prompt) : 0);
}

static struct amount amount_of(const struct price *p, const struct usage *u, enum price_tier tier)
{
    struct price_rates r = rates_of(p, step_for(p, u->input + u->extra_input), tier);
    struct amount a = {0};
    add_femto(&a, input_cost(&r, u) + output_cost(&r, u));
    for (int i = 0; i < FACTOR_COUNT; i++)
        if (u->served[i] && p->factor_ppm[i] > 0)
            times_ppm(&a, p->factor_ppm[i]);
    add_femto(&a, (i128)MAX(u->requests, (int64_t)1) * MAX(p->per_request, (int64_t)0));
    add_femto(&a, (i128)u->searches * MAX(p->per_search, (int64_t)0));
    add_units(&a, p, u);
    discount(&a, p);
    return a;
}

int64_t price_cost(const struct price *p, const struct usage *u, enum price_tier tier)
{
    struct amount a = amount_of(p, u, tier);
    return amount_nano(&a);
}

static bool drew(const struct usage *u)
{
    return u->drawn.input > 0 || u->drawn.output > 0;
}

/* Tokens alone: the fees of a request are the answer's. */
static struct amount amount_of_images(const struct price *p, const struct usage *u, enum price_tier tier)
{
    const struct usage_drawn *d = &u->drawn;
    struct usage own = {.input = d->input, .cached = d->cached, .image_in = d->image_in,
        .output = d->output, .image_out = d->image_out};
    struct price_rates r = rates_of(p, step_for(p, d->input), tier);
    struct amount a = {0};
    add_femto(&a, input_cost(&r, &own) + output_cost(&r, &own));
    discount(&a, p);
    return a;
}

static int64_t with_earlier(int64_t nano, const struct usage *u)
{
    return nano > INT64_MAX - u->earlier_nano ? INT64_MAX : nano + u->earlier_nano;
}

int64_t price_cost_all(const struct price *p, const struct price *images, const struct usage *u,
    enum price_tier tier)
{
    struct amount a = amount_of(p, u, tier);
    if (drew(u)) {
        struct amount drawn = amount_of_images(images ? images : p, u, tier);
        a.fine = MIN(a.fine + drawn.fine, MOST);
        a.more |= drawn.more;
    }
    return with_earlier(amount_nano(&a), u);
}

const struct price *price_of_images(const struct price_list *l, struct str provider,
    const struct usage *u)
{
    struct str model = str_c(u->drawn.model);
    const struct price *p = NULL;
    while (drew(u) && model.n && !(p = price_find(l, provider, model))) {
        while (model.n && model.p[model.n - 1] != '-')
            model.n--;
        model.n -= model.n > 0;
    }
    return p;
}

int64_t price_charge(const struct price *p, const struct price *images, const struct usage *u,
    enum price_tier tier, int64_t *list, enum cost_source *source)
{
    bool guessed = (drew(u) && (u->drawn.guessed || !images)) || u->earlier_nano > 0;
    *list = p ? price_cost_all(p, images, u, tier) : u->earlier_nano;
    *source = u->have_cost ? COST_PROVIDER : *list && guessed ? COST_ESTIMATED
            : p ? COST_MEASURED : COST_NONE;
    return u->have_cost ? with_earlier(price_round_nano(u->provider_cost_femto), u) : *list;
}

static int64_t dearest_input(const struct price_rates *r)
{
    int64_t most = MAX(MAX(r->input, r->cached), MAX(r->write_5m, r->write_1h));
    most = MAX(most, MAX(r->audio_cached, r->image_cached));
    return MAX(most, MAX(MAX(r->audio_in, r->image_in), r->video_in));
}

static int64_t dearest_output(const struct price_rates *r)
{
    return MAX(MAX(r->output, r->reasoning), MAX(MAX(r->audio_out, r->image_out), r->video_out));
}

/* Up, not to the nearest. */
static int64_t bound_nano(struct amount *a, const struct price *p)
{
    discount(a, p);
    a->fine = MIN(a->fine + FINE * 1000000 - 1, MOST);
    i128 nano = a->fine / (FINE * 1000000);
    return nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}

int64_t price_bound_tier(const struct price *p, int64_t input_tokens, int64_t output_tokens,
    enum price_tier tier)
{
    i128 most = 0;
    for (unsigned i = 0; i <= p->steps; i++) {
        const struct price_step *step = i ? &p->step[i - 1] : NULL;
        if (step && input_tokens <= step->above_tokens)
            continue;
        struct price_rates r = rates_of(p, step, tier);
        i128 femto = (i128)MAX(input_tokens, (int64_t)0) * dearest_input(&r) +
                     (i128)MAX(output_tokens, (int64_t)0) * dearest_output(&r);
        most = MAX(most, femto);
    }
    struct amount a = {0};
    add_femto(&a, most);
    for (int i = 0; i < FACTOR_COUNT; i++) {
        times_ppm(&a, MAX(p->factor_ppm[i], (int64_t)1000000));
        a.fine += a.more; /* up each time, above the cost's rounding down */
    }
    add_femto(&a, MAX(p->per_request, (int64_t)0));
    return bound_nano(&a, p);
}

int64_t price_bound_tools(const struct price *p, int64_t calls, int64_t images)
{
    static const enum price_unit each[] = {UNIT_search_low, UNIT_search_high, UNIT_file_search};
    static const enum price_unit once[] = {UNIT_searched_prompt, UNIT_maps_prompt, UNIT_session};
    int64_t dearest = MAX(p->per_search, (int64_t)0);
    struct amount a = {0};
    for (size_t i = 0; i < ARRAY_LEN(each); i++)
        dearest = MAX(dearest, p->unit[each[i]]);
    add_femto(&a, (i128)dearest * calls);
    for (size_t i = 0; calls > 0 && i < ARRAY_LEN(once); i++)
        add_femto(&a, MAX(p->unit[once[i]], (int64_t)0));
    add_femto(&a, (i128)MAX(p->unit[UNIT_image_in], (int64_t)0) * images);
    return bound_nano(&a, p);
}

int64_t price_bound(const struct price *p, int64_t input_tokens, int64_t output_tokens)
{
    return price_bound_tier(p, input_tokens, output_tokens, TIER_DEFAULT);
}
