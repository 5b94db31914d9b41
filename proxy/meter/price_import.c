/* price_import.c: price lists of others → ours.
 *
 * LiteLLM's model_prices_and_context_window.json: one object of models, USD per single unit, the
 * tier and the input size spelled into the member's name ("…_above_272k_tokens_flex"). models.dev's
 * api.json: providers of models, USD per million, steps as a list. Figures are read as decimal
 * text: 3e-07 is 300,000,000 femto-USD exactly. Unknown members are passed over, entries that carry
 * no price counted. */
#include "proxy/meter/price_text.h"
#include "store/base/json_span.h"

/* One entry on its way into the list. */
struct entry {
    struct price price;
    struct price_step steps[PRICE_STEPS];
    bool rounded, bad;
};

struct import {
    struct price_list *list;
    size_t *taken, *rounded, *skipped;
    struct arena arena;
    struct err *e;
};

static void entry_begin(struct entry *en, struct str key)
{
    price_init(&en->price, key);
    en->price.step = en->steps;
    en->rounded = en->bad = false;
}

static void take_figure(struct entry *en, int64_t *to, struct json_span v, int64_t per)
{
    bool rounded = false;
    int64_t femto;
    if (v.type != JSON_NUMBER)
        return;
    if (price_parse_rate(v.raw, per, &femto, &rounded) < 0) {
        en->bad = true; /* negative, or beyond any price */
        return;
    }
    *to = femto;
    en->rounded |= rounded;
}

static void take_count(int64_t *to, struct json_span v)
{
    int64_t n;
    if (json_i64(v, &n) == 0 && n > 0)
        *to = n;
}

static int entry_end(struct import *im, struct entry *en)
{
    const struct price *p = &en->price;
    bool priced = p->base[TIER_DEFAULT].input >= 0 || p->base[TIER_DEFAULT].output >= 0 ||
                  p->per_request >= 0;
    for (int i = 0; i < UNIT_COUNT; i++)
        priced |= p->unit[i] >= 0;
    if (en->bad || !priced || !p->key[0]) {
        (*im->skipped)++;
        return 0;
    }
    if (en->price.base[TIER_DEFAULT].input < 0)
        en->price.base[TIER_DEFAULT].input = 0; /* billed by output or request alone */
    *im->rounded += en->rounded;
    (*im->taken)++;
    return price_list_put(im->list, p, im->e);
}

/* --- LiteLLM ------------------------------------------------------------------------------- */

static const struct rate_name {
    struct str name;
    size_t offset;
} litellm_rates[] = {
#define ROW(name, member) {{name, sizeof(name) - 1}, offsetof(struct price_rates, member)},
    ROW("input_cost_per_token", input)
    ROW("output_cost_per_token", output)
    ROW("cache_read_input_token_cost", cached)
    ROW("input_cost_per_token_cache_hit", cached)
    ROW("cache_creation_input_token_cost", write_5m)
    ROW("cache_creation_input_token_cost_above_1hr", write_1h)
    ROW("output_cost_per_reasoning_token", reasoning)
    ROW("input_cost_per_audio_token", audio_in)
    ROW("output_cost_per_audio_token", audio_out)
    ROW("input_cost_per_image_token", image_in)
    ROW("output_cost_per_image_token", image_out)
};

static bool cut_end(struct str *s, struct str end)
{
    if (!str_ends(*s, end))
        return false;
    s->n -= end.n;
    return true;
}

/* "…_above_272k_tokens" → 272000, cut off. */
static int64_t cut_threshold(struct str *s)
{
    struct str rest = *s;
    uint64_t n;
    if (!cut_end(&rest, STR("k_tokens")))
        return 0;
    size_t at = rest.n;
    while (at && rest.p[at - 1] >= '0' && rest.p[at - 1] <= '9')
        at--;
    struct str number = str_from(rest, at);
    rest.n = at;
    if (!cut_end(&rest, STR("_above_")) || !str_to_u64(number, &n) || n > 100000)
        return 0;
    *s = rest;
    return (int64_t)n * 1000;
}

static void litellm_rate(struct entry *en, struct str name, struct json_span v, int64_t above)
{
    enum price_tier tier = cut_end(&name, STR("_batches"))    ? TIER_BATCH
                         : cut_end(&name, STR("_flex"))       ? TIER_FLEX
                         : cut_end(&name, STR("_priority"))   ? TIER_PRIORITY : TIER_DEFAULT;
    int64_t threshold = cut_threshold(&name);
    for (size_t i = 0; i < ARRAY_LEN(litellm_rates); i++) {
        if (!str_eq(name, litellm_rates[i].name))
            continue;
        struct price_rates *r = price_rates_at(&en->price, en->steps, MAX(above, threshold), tier);
        if (r)
            take_figure(en, (int64_t *)(void *)((char *)r + litellm_rates[i].offset), v, 1);
        else
            en->bad = true;
        return;
    }
}

/* [{"range":[0,32000],"input_cost_per_token":…},…]: the first range is the base. */
static void litellm_ranges(struct entry *en, struct json_span v)
{
    struct json_iter it = json_iter(v.raw), in;
    struct json_span unused, range, k, figure;
    while (!it.object && json_next(&it, &unused, &range)) {
        int64_t above = 0;
        take_count(&above, json_path(range.raw, "range.0"));
        for (in = json_iter(range.raw); in.object && json_next(&in, &k, &figure);)
            litellm_rate(en, str_n(k.raw.p + 1, k.raw.n - 2), figure, above);
    }
}

static const struct {
    struct str name;
    enum price_unit unit;
} litellm_units[] = {
#define UNIT(name, unit) {{name, sizeof(name) - 1}, UNIT_##unit},
    UNIT("input_cost_per_second", second_in)
    UNIT("input_cost_per_audio_per_second", second_in)
    UNIT("output_cost_per_second", second_out)
    UNIT("output_cost_per_video_per_second", second_out)
    UNIT("input_cost_per_character", character_in)
    UNIT("input_cost_per_image", image_in)
    UNIT("output_cost_per_image", image_out)
    UNIT("input_cost_per_pixel", pixel_out)
    UNIT("output_cost_per_pixel", pixel_out)
    UNIT("ocr_cost_per_page", page)
#undef UNIT
};

/* The larger of two names for one thing: the other one stands there as 0. */
static bool litellm_unit(struct entry *en, struct str name, struct json_span v)
{
    for (size_t i = 0; i < ARRAY_LEN(litellm_units); i++) {
        int64_t fee = -1, *to = &en->price.unit[litellm_units[i].unit];
        if (!str_eq(name, litellm_units[i].name))
            continue;
        take_figure(en, &fee, v, 1);
        *to = MAX(*to, fee);
        return true;
    }
    return false;
}

/* There images that are made are billed "in", and a transcription's seconds both in and out. */
static void litellm_sides(struct price *p, struct json_span mode)
{
    int64_t *u = p->unit;
    if (json_text_eq(mode, STR("image_generation")) || json_text_eq(mode, STR("image_edit"))) {
        u[UNIT_image_out] = MAX(u[UNIT_image_out], u[UNIT_image_in]);
        u[UNIT_image_in] = -1;
        if (u[UNIT_image_out] > 0)
            u[UNIT_pixel_out] = -1; /* the same price said twice */
        if (p->base[TIER_DEFAULT].output < 0 && p->base[TIER_DEFAULT].image_out >= 0)
            p->base[TIER_DEFAULT].output = p->base[TIER_DEFAULT].image_out;
    }
    if (json_text_eq(mode, STR("audio_transcription"))) {
        u[UNIT_second_in] = MAX(u[UNIT_second_in], u[UNIT_second_out]);
        u[UNIT_second_out] = -1;
    }
}

static void litellm_member(struct entry *en, struct str name, struct json_span v)
{
    struct price *p = &en->price;
    if (v.type == JSON_NUMBER && str_find(name, STR("cost")) >= 0) {
        if (str_eq(name, STR("input_cost_per_request")) ||
            str_eq(name, STR("input_cost_per_query")))
            take_figure(en, &p->per_request, v, 1);
        else if (!litellm_unit(en, name, v))
            litellm_rate(en, name, v, 0);
    } else if (str_eq(name, STR("max_input_tokens"))) {
        take_count(&p->context_tokens, v);
    } else if (str_eq(name, STR("max_output_tokens"))) {
        take_count(&p->max_output_tokens, v);
    } else if (str_eq(name, STR("tiered_pricing"))) {
        litellm_ranges(en, v);
    } else if (str_eq(name, STR("search_context_cost_per_query"))) {
        take_figure(en, &p->per_search, json_get(v.raw, STR("search_context_size_medium")), 1);
    } else if (str_eq(name, STR("provider_specific_entry"))) {
        take_figure(en, &p->us_ppm, json_get(v.raw, STR("us")), 1000000000);
        take_figure(en, &p->fast_ppm, json_get(v.raw, STR("fast")), 1000000000);
    }
}

/* LiteLLM's own names of providers that are called otherwise everywhere else. */
static struct str litellm_key(struct str key, struct arena *a)
{
    static const struct {
        const char *theirs, *ours;
    } t[] = {
        {"together_ai/", "together/"}, {"fireworks_ai/", "fireworks/"}, {"vertex_ai/", "vertex/"}};
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        if (str_starts(key, str_c(t[i].theirs)))
            return arena_printf(
                a, "%s" STR_FMT, t[i].ours, STR_ARG(str_from(key, strlen(t[i].theirs))));
    return key;
}

static int import_litellm(struct import *im, struct str key, struct json_span model)
{
    struct entry en;
    struct json_iter it = json_iter(model.raw);
    struct json_span k, v;
    if (str_eq(key, STR("sample_spec")))
        return 0;
    entry_begin(&en, litellm_key(key, &im->arena));
    while (json_next(&it, &k, &v))
        litellm_member(&en, str_n(k.raw.p + 1, k.raw.n - 2), v);
    litellm_sides(&en.price, json_get(model.raw, STR("mode")));
    return entry_end(im, &en);
}

/* --- models.dev ---------------------------------------------------------------------------- */

static const struct rate_name dev_rates[] = {
    ROW("input", input)
    ROW("output", output)
    ROW("cache_read", cached)
    ROW("cached_input", cached)
    ROW("cache_input", cached)
    ROW("cache_write", write_5m)
    ROW("cached_write", write_5m)
    ROW("reasoning", reasoning)
    ROW("input_audio", audio_in)
    ROW("output_audio", audio_out)
#undef ROW
};

static void dev_figures(struct entry *en, struct json_span cost, int64_t above)
{
    struct json_iter it = json_iter(cost.raw);
    struct json_span k, v;
    struct price_rates *r = price_rates_at(&en->price, en->steps, above, TIER_DEFAULT);
    while (r && it.object && json_next(&it, &k, &v))
        for (size_t i = 0; i < ARRAY_LEN(dev_rates); i++)
            if (str_eq(str_n(k.raw.p + 1, k.raw.n - 2), dev_rates[i].name))
                take_figure(en, (int64_t *)(void *)((char *)r + dev_rates[i].offset), v, 1000000);
    en->bad |= r == NULL;
    /* a cache that costs nothing means there that nobody wrote the figure down */
    if (r && r->input > 0) {
        r->cached = r->cached == 0 ? -1 : r->cached;
        r->write_5m = r->write_5m == 0 ? -1 : r->write_5m;
    }
}

static void dev_steps(struct entry *en, struct json_span cost)
{
    struct json_span over = json_get(cost.raw, STR("context_over_200k")), unused, tier;
    if (over.type == JSON_OBJECT)
        dev_figures(en, over, 200000);
    struct json_iter it = json_iter(json_get(cost.raw, STR("tiers")).raw);
    while (!it.object && json_next(&it, &unused, &tier)) {
        int64_t above = 0;
        take_count(&above, json_path(tier.raw, "tier.size"));
        if (above > 0)
            dev_figures(en, tier, above);
    }
}

static int import_dev(struct import *im, struct str provider, struct str model, struct json_span v)
{
    struct entry en;
    struct json_span cost = json_get(v.raw, STR("cost"));
    struct str key =
        arena_printf(&im->arena, STR_FMT "/" STR_FMT, STR_ARG(provider), STR_ARG(model));
    entry_begin(&en, key);
    if (cost.type == JSON_OBJECT) {
        dev_figures(&en, cost, 0);
        dev_steps(&en, cost);
        take_figure(&en, &en.price.per_request, json_get(cost.raw, STR("request")), 1);
    }
    take_count(&en.price.context_tokens, json_path(v.raw, "limit.context"));
    take_count(&en.price.max_output_tokens, json_path(v.raw, "limit.output"));
    return entry_end(im, &en);
}

static int import_provider(struct import *im, struct str provider, struct json_span v)
{
    struct json_span models = json_get(v.raw, STR("models")), k, model;
    struct json_iter it = json_iter(models.type == JSON_OBJECT ? models.raw : v.raw);
    int rc = 0;
    while (rc == 0 && json_next(&it, &k, &model)) {
        struct str name = json_text(k, &im->arena);
        if (model.type == JSON_OBJECT)
            rc = import_dev(im, provider, name, model);
    }
    return rc;
}

/* --- both ---------------------------------------------------------------------------------- */

static bool is_litellm(struct json_span v)
{
    struct json_want w[] = {
        {STR("litellm_provider")}, {STR("mode")}, {STR("input_cost_per_token")}};
    return json_scan(v.raw, w, ARRAY_LEN(w)) == 0 &&
           (w[0].value.type == JSON_STRING || w[1].value.type == JSON_STRING || w[2].count);
}

static int import_all(struct import *im, struct str json)
{
    struct json_iter it = json_iter(json);
    struct json_span k, v;
    int rc = 0;
    while (rc == 0 && it.object && json_next(&it, &k, &v)) {
        struct str key = json_text(k, &im->arena);
        if (v.type == JSON_OBJECT && key.p)
            rc = is_litellm(v) ? import_litellm(im, key, v) : import_provider(im, key, v);
        arena_reset(&im->arena);
    }
    return rc;
}

int price_import(struct price_list *l, struct str json, size_t *taken, size_t *rounded,
    size_t *skipped, struct err *e)
{
    size_t at = 0;
    *taken = *rounded = *skipped = 0;
    if (json_check(json, &at) < 0)
        return err_set(e, ERR_SYNTAX, "the price list is not valid JSON at byte %zu", at);
    struct import im = {.list = l, .taken = taken, .rounded = rounded, .skipped = skipped, .e = e};
    arena_init(&im.arena, 4096, 4 << 20);
    int rc = import_all(&im, json);
    arena_fini(&im.arena);
    if (rc == 0 && *taken == 0)
        return err_set(e, ERR_MISSING, "no price found: the file is neither LiteLLM's "
            "model_prices_and_context_window.json nor models.dev's api.json");
    return rc;
}
