/* price.c: what a use costs at a given price. The arithmetic of providers' bills:
 *
 *   text in   = input - cached - written - audio          never below zero
 *   whole     = each part × its rate, at the rates of the step and tier that apply
 *   charged   = (tokens × factors + fees) less discount, rounded once
 *
 * Parts overlap at some providers (cached and written at once): what was read comes first. */
#include "proxy/meter/price.h"

typedef __int128 i128;

void price_init(struct price *p, struct str key)
{
    *p = (struct price){.per_request = -1, .per_search = -1, .discount_ppm = -1};
    str_copy(p->key, sizeof p->key, key);
    for (int i = 0; i < TIER_COUNT; i++)
        p->base[i] = PRICE_RATES_NONE;
    for (int i = 0; i < UNIT_COUNT; i++)
        p->unit[i] = -1;
}

enum price_tier price_tier_from(struct str reported)
{
    static const struct {
        const char *part;
        enum price_tier tier;
    } t[] = {{"priority", TIER_PRIORITY}, {"fast", TIER_PRIORITY}, {"flex", TIER_FLEX},
        {"batch", TIER_BATCH}};
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        if (str_find_nocase(reported, str_c(t[i].part)) >= 0)
            return t[i].tier;
    return TIER_DEFAULT;
}

/* Fills what is not given in *r from *other. */
static void fill(struct price_rates *r, const struct price_rates *other)
{
#define FILL(name) r->name = r->name < 0 ? other->name : r->name
    FILL(input);
    FILL(output);
    FILL(cached);
    FILL(write_5m);
    FILL(write_1h);
    FILL(reasoning);
    FILL(audio_in);
    FILL(audio_out);
    FILL(image_in);
    FILL(image_out);
#undef FILL
}

/* Complete rates, nothing below zero, from the step (NULL: the base) and tier. */
static struct price_rates rates_of(
    const struct price *p, const struct price_step *step, enum price_tier tier)
{
    struct price_rates r = PRICE_RATES_NONE;
    if (step) {
        fill(&r, &step->rates[tier]);
        fill(&r, &step->rates[TIER_DEFAULT]);
    }
    fill(&r, &p->base[tier]);
    fill(&r, &p->base[TIER_DEFAULT]);
    r.input = MAX(r.input, 0);
    r.output = MAX(r.output, 0);
    int64_t write = r.write_5m < 0 ? r.input : r.write_5m;
    fill(&r, &(struct price_rates){.cached = r.input, .write_5m = r.input, .write_1h = write,
        .reasoning = r.output, .audio_in = r.input, .audio_out = r.output, .image_in = r.input,
        .image_out = r.output});
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

static i128 input_cost(const struct price_rates *r, const struct usage *u)
{
    int64_t left = u->input;
    i128 sum = (i128)part(&left, u->cached) * r->cached;
    sum += (i128)part(&left, u->cache_write_1h) * r->write_1h;
    sum += (i128)part(&left, u->cache_write_5m) * r->write_5m;
    sum += (i128)part(&left, u->audio_in) * r->audio_in;
    sum += (i128)part(&left, u->image_in) * r->image_in;
    return sum + (i128)(left + u->extra_input) * r->input;
}

static i128 output_cost(const struct price_rates *r, const struct usage *u)
{
    int64_t left = u->output;
    i128 sum = (i128)part(&left, u->audio_out) * r->audio_out;
    sum += (i128)part(&left, u->image_out) * r->image_out;
    sum += (i128)part(&left, u->reasoning) * r->reasoning;
    return sum + (i128)left * r->output;
}

/* Thousandths of femto-USD: a price a second times milliseconds must lose nothing. */
enum { MILLI = 1000 };

/* Less `discount_ppm`, rounded half to even once, at the end. */
static int64_t discounted_nano(const struct price *p, i128 milli)
{
    const i128 one = (i128)1000000000000 * MILLI;
    int64_t keep = 1000000 - MIN(MAX(p->discount_ppm, (int64_t)0), (int64_t)1000000);
    i128 scaled = milli * keep, nano = scaled / one, rest = scaled % one;
    if (rest > one / 2 || (rest == one / 2 && (nano & 1)))
        nano++;
    return nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}

static i128 units_milli(const struct price *p, const struct usage *u)
{
    i128 sum = 0;
    for (int i = 0; i < UNIT_COUNT; i++)
        sum += (i128)MAX(p->unit[i], (int64_t)0) * MAX(u->unit_milli[i], (int64_t)0);
    return sum;
}

static i128 times_ppm(i128 femto, bool applies, int64_t ppm)
{
    return applies && ppm > 0 ? femto * ppm / 1000000 : femto;
}

int64_t price_cost(const struct price *p, const struct usage *u, enum price_tier tier)
{
    struct price_rates r = rates_of(p, step_for(p, u->input + u->extra_input), tier);
    i128 femto = input_cost(&r, u) + output_cost(&r, u);
    femto = times_ppm(femto, u->served_us, p->us_ppm);
    femto = times_ppm(femto, u->served_fast, p->fast_ppm);
    femto += (i128)MAX(u->requests, (int64_t)1) * MAX(p->per_request, (int64_t)0);
    femto += (i128)u->searches * MAX(p->per_search, (int64_t)0);
    return discounted_nano(p, femto * MILLI + units_milli(p, u));
}

int64_t price_charge(const struct price *p, const struct usage *u, enum price_tier tier,
    int64_t *list, enum cost_source *source)
{
    *list = p ? price_cost(p, u, tier) : 0;
    *source = u->have_cost ? COST_PROVIDER : p ? COST_MEASURED : COST_NONE;
    return u->have_cost ? price_round_nano(u->provider_cost_femto) : *list;
}

static int64_t dearest_input(const struct price_rates *r)
{
    int64_t most = MAX(MAX(r->input, r->cached), MAX(r->write_5m, r->write_1h));
    return MAX(most, MAX(r->audio_in, r->image_in));
}

static int64_t dearest_output(const struct price_rates *r)
{
    return MAX(MAX(r->output, r->reasoning), MAX(r->audio_out, r->image_out));
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
    int64_t factor = MAX(MAX(p->us_ppm, p->fast_ppm), (int64_t)1000000);
    most = most * factor / 1000000 + MAX(p->per_request, (int64_t)0);
    return discounted_nano(p, (most + 999999) * MILLI); /* up, not to the nearest */
}

int64_t price_bound(const struct price *p, int64_t input_tokens, int64_t output_tokens)
{
    return price_bound_tier(p, input_tokens, output_tokens, TIER_DEFAULT);
}
