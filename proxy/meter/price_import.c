/* price_import.c: price lists of others → ours.
 *
 * LiteLLM's model_prices_and_context_window.json: one object of models, USD per single unit, the
 * tier and the input size spelled into the member's name ("…_above_272k_tokens_flex"). models.dev's
 * api.json: providers of models, USD per million, steps as a list. Figures are read as decimal
 * text: 3e-07 is 300,000,000 femto-USD exactly. A figure that we would bill in no way is named in the
 * answer, an entry without a price counted; a model given twice is an error, for who says which of
 * two prices is meant? */
#include "proxy/meter/price_text.h"
#include "store/base/json_span.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMBERS_MAX = 400 /* of one model */, USD_MOST = 9000 /* a unit: what 64 bits of femto-USD hold */ };

/* One entry on its way into the list; the first fault sticks. */
struct entry {
    struct price price;
    struct price_step steps[PRICE_STEPS];
    bool rounded;
    int rc;
    struct err *e;
};

struct import {
    struct price_list *list;
    struct price_import *done;
    struct arena arena;
    uint64_t *seen; /* hashes of the names that came: open addressing, 0 = empty */
    size_t seen_count, seen_size;
    struct err *e;
};

static void entry_begin(struct import *im, struct entry *en, struct str key)
{
    price_init(&en->price, key);
    en->price.step = en->steps;
    en->rounded = false;
    en->rc = 0;
    en->e = im->e;
    if (key.n >= PRICE_KEY)
        en->rc = err_set(im->e, ERR_RANGE, "the name \"" STR_FMT "…\" has more than %d characters",
            STR_ARG(str_first(key, 40)), PRICE_KEY - 1);
}

static bool grow_seen(struct import *im)
{
    if (im->seen_size > im->seen_count * 2 + 2)
        return true;
    size_t size = im->seen_size ? im->seen_size * 2 : 8192;
    uint64_t *old = im->seen, *seen = calloc(size, sizeof *seen);
    if (!seen)
        return false;
    for (size_t i = 0; i < im->seen_size; i++) {
        size_t at = old[i] & (size - 1);
        while (old[i] && seen[at])
            at = (at + 1) & (size - 1);
        if (old[i])
            seen[at] = old[i];
    }
    free(old);
    im->seen = seen;
    im->seen_size = size;
    return true;
}

/* A model may come once: who says which of two prices is meant? */
static int name_once(struct import *im, struct str name)
{
    if (!grow_seen(im))
        return err_set(im->e, ERR_NOMEM, "no memory for the price list");
    uint64_t hash = str_hash(name) | 1;
    size_t at = hash & (im->seen_size - 1);
    for (; im->seen[at]; at = (at + 1) & (im->seen_size - 1))
        if (im->seen[at] == hash)
            return err_set(im->e, ERR_DUPLICATE, "\"" STR_FMT "\" stands there twice: keep one of them",
                STR_ARG(str_first(name, 100)));
    im->seen[at] = hash;
    im->seen_count++;
    return 0;
}

/* Members of one model: not too many, none twice. */
static int members_once(struct import *im, struct str model, struct str object)
{
    struct json_span k[MEMBERS_MAX], v;
    struct json_iter it = json_iter(object);
    for (size_t n = 0; it.object && json_next(&it, &k[n], &v); n++) {
        if (n + 1 == MEMBERS_MAX)
            return err_set(im->e, ERR_LIMIT, STR_FMT ": more than %d members",
                STR_ARG(str_first(model, 100)), MEMBERS_MAX - 1);
        for (size_t i = 0; i < n; i++)
            if (str_eq(k[i].raw, k[n].raw))
                return err_set(im->e, ERR_DUPLICATE, STR_FMT ": " STR_FMT " stands there twice",
                    STR_ARG(str_first(model, 100)), STR_ARG(str_first(k[n].raw, 60)));
    }
    return 0;
}

/* null counts as absent; some copies of these lists write "1.5e-07" as a string. */
static void take_figure(struct entry *en, int64_t *to, struct str name, struct json_span v, int64_t per)
{
    bool rounded = false;
    int64_t femto;
    if (en->rc < 0 || v.type == JSON_NULL || v.type == JSON_NONE)
        return;
    bool quoted = v.type == JSON_STRING && v.raw.n > 2 && v.raw.p[1] >= '0' && v.raw.p[1] <= '9';
    struct str figure = quoted ? str_n(v.raw.p + 1, v.raw.n - 2) : v.raw;
    if ((quoted || v.type == JSON_NUMBER) && price_parse_rate(figure, per, &femto, &rounded) == 0) {
        *to = femto;
        en->rounded |= rounded;
        return;
    }
    en->rc = err_set(en->e, ERR_RANGE, "%s: " STR_FMT " is " STR_FMT ": a price is a number from 0 to %d "
        "USD", en->price.key, STR_ARG(str_first(name, 60)), STR_ARG(str_first(v.raw, 40)), USD_MOST);
}

/* A price that nothing here would bill: said, not dropped in silence. */
static void not_carried(struct import *im, const char *where, struct str field, struct json_span v)
{
    struct price_import *d = im->done;
    int64_t femto;
    bool rounded;
    char name[64];
    if (v.type != JSON_NUMBER || price_parse_rate(v.raw, 1, &femto, &rounded) < 0 || femto == 0)
        return;
    snprintf(name, sizeof name, "%s" STR_FMT, where, STR_ARG(str_first(field, 50)));
    for (size_t i = 0; i < d->not_carried_count; i++)
        if (strcmp(d->not_carried[i].field, name) == 0) {
            d->not_carried[i].models++;
            return;
        }
    if (d->not_carried_count == PRICE_NOT_CARRIED)
        return;
    str_copy(d->not_carried[d->not_carried_count].field, sizeof d->not_carried[0].field, str_c(name));
    d->not_carried[d->not_carried_count++].models = 1;
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
    if (en->rc < 0)
        return en->rc;
    if (!p->key[0])
        return err_set(im->e, ERR_MISSING, "a model has no name");
    if (!priced) {
        im->done->skipped++;
        return 0;
    }
    if (en->price.base[TIER_DEFAULT].input < 0)
        en->price.base[TIER_DEFAULT].input = 0; /* billed by output or request alone */
    im->done->rounded += en->rounded;
    im->done->taken++;
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
    ROW("cache_read_input_audio_token_cost", audio_cached)
    ROW("cache_read_input_image_token_cost", image_cached)
    ROW("input_cost_per_video_token", video_in)
    ROW("output_cost_per_video_token", video_out)
    ROW("citation_cost_per_token", citation)
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

static void too_many_steps(struct entry *en)
{
    if (en->rc == 0)
        en->rc = err_set(en->e, ERR_LIMIT, "%s: prices for more than %d input sizes", en->price.key,
            PRICE_STEPS);
}

/* False: no rate has that name. */
static bool litellm_rate(struct entry *en, struct str full, struct json_span v, int64_t above)
{
    struct str name = full;
    enum price_tier tier = cut_end(&name, STR("_batches"))    ? TIER_BATCH
                         : cut_end(&name, STR("_flex"))       ? TIER_FLEX
                         : cut_end(&name, STR("_priority"))   ? TIER_PRIORITY : TIER_DEFAULT;
    int64_t threshold = cut_threshold(&name);
    for (size_t i = 0; i < ARRAY_LEN(litellm_rates); i++) {
        if (!str_eq(name, litellm_rates[i].name))
            continue;
        struct price_rates *r = price_rates_at(&en->price, en->steps, MAX(above, threshold), tier);
        if (r)
            take_figure(en, (int64_t *)(void *)((char *)r + litellm_rates[i].offset), full, v, 1);
        else
            too_many_steps(en);
        return true;
    }
    return false;
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
    UNIT("annotation_cost_per_page", annotated_page)
    UNIT("ocr_cost_per_credit", credit)
    UNIT("code_interpreter_cost_per_session", session)
    UNIT("google_maps_grounding_cost_per_query", maps_prompt)
#undef UNIT
};

/* The larger of two names for one thing: the other one stands there as 0. */
static bool litellm_unit(struct entry *en, struct str name, struct json_span v)
{
    for (size_t i = 0; i < ARRAY_LEN(litellm_units); i++) {
        int64_t fee = -1, *to = &en->price.unit[litellm_units[i].unit];
        if (!str_eq(name, litellm_units[i].name))
            continue;
        take_figure(en, &fee, name, v, 1);
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

/* A web search by how much it reads; one price for all where they are the same. Gemini's models
 * bill a prompt that searched, unless it says that each search counts. */
static void litellm_searches(struct entry *en, struct json_span v, struct json_span model)
{
    struct price *p = &en->price;
    struct json_want w[] = {{STR("search_context_size_medium")}, {STR("search_context_size_low")},
        {STR("search_context_size_high")}};
    if (v.type != JSON_OBJECT || json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return;
    take_figure(en, &p->per_search, w[0].key, w[0].value, 1);
    take_figure(en, &p->unit[UNIT_search_low], w[1].key, w[1].value, 1);
    take_figure(en, &p->unit[UNIT_search_high], w[2].key, w[2].value, 1);
    for (int i = UNIT_search_low; i <= UNIT_search_high; i++) {
        if (p->per_search < 0)
            p->per_search = p->unit[i];
        if (p->unit[i] == p->per_search)
            p->unit[i] = -1;
    }
    struct json_span host = json_get(model.raw, STR("litellm_provider"));
    bool google = str_find(host.raw, STR("gemini")) >= 0 ||
                  (str_starts(host.raw, STR("\"vertex_ai")) && str_find(host.raw, STR("anthropic")) < 0);
    if (google && !json_text_eq(json_get(model.raw, STR("web_search_billing_unit")), STR("per_query"))) {
        p->unit[UNIT_searched_prompt] = p->per_search;
        p->per_search = p->unit[UNIT_search_low] = p->unit[UNIT_search_high] = -1;
    }
}

/* {"us":1.1,"fast":2.0}: factors; other members are no prices. */
static void litellm_factors(struct import *im, struct entry *en, struct json_span v)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, figure;
    while (it.object && json_next(&it, &k, &figure)) {
        if (json_text_eq(k, STR("us")))
            take_figure(en, &en->price.factor_ppm[FACTOR_us], k.raw, figure, 1000000000);
        else if (json_text_eq(k, STR("eu")))
            take_figure(en, &en->price.factor_ppm[FACTOR_eu], k.raw, figure, 1000000000);
        else if (json_text_eq(k, STR("fast")))
            take_figure(en, &en->price.factor_ppm[FACTOR_fast], k.raw, figure, 1000000000);
        else
            not_carried(im, "provider_specific_entry.", str_n(k.raw.p + 1, k.raw.n - 2), figure);
    }
}

/* Figures that stand once, each with a meaning of its own. */
static bool litellm_single(struct entry *en, struct str name, struct json_span v)
{
    struct price *p = &en->price;
    const struct {
        const char *name;
        int64_t *to, per;
    } t[] = {{"input_cost_per_request", &p->per_request, 1},
        {"input_cost_per_query", &p->per_request, 1},
        {"web_search_cost_per_call", &p->per_search, 1},
        {"file_search_cost_per_1k_calls", &p->unit[UNIT_file_search], 1000},
        {"regional_processing_uplift_multiplier_us", &p->factor_ppm[FACTOR_us], 1000000000},
        {"regional_processing_uplift_multiplier_eu", &p->factor_ppm[FACTOR_eu], 1000000000},
        {"regional_endpoint_uplift_multiplier", &p->factor_ppm[FACTOR_region], 1000000000}};
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        if (str_eq(name, str_c(t[i].name))) {
            take_figure(en, t[i].to, name, v, t[i].per);
            return true;
        }
    return false;
}

/* Said in another way by a member that is carried: Databricks' own units; or looked at when all
 * members were seen (litellm_missing). */
static bool litellm_again(struct str name)
{
    return str_eq(name, STR("input_dbu_cost_per_token")) ||
           str_eq(name, STR("output_dbu_cost_per_token")) ||
           str_eq(name, STR("cache_creation_input_audio_token_cost")) ||
           str_starts(name, STR("computer_use_"));
}

static void litellm_member(struct import *im, struct entry *en, struct str name, struct json_span v,
    struct json_span model)
{
    struct price *p = &en->price;
    if (litellm_single(en, name, v) || litellm_again(name))
        return;
    if (str_eq(name, STR("max_input_tokens"))) {
        take_count(&p->context_tokens, v);
    } else if (str_eq(name, STR("max_output_tokens"))) {
        take_count(&p->max_output_tokens, v);
    } else if (str_eq(name, STR("tiered_pricing"))) {
        litellm_ranges(en, v);
    } else if (str_eq(name, STR("search_context_cost_per_query"))) {
        litellm_searches(en, v, model);
    } else if (str_eq(name, STR("provider_specific_entry"))) {
        litellm_factors(im, en, v);
    } else if (str_find(name, STR("cost")) >= 0) {
        if (!litellm_unit(en, name, v) && !litellm_rate(en, name, v, 0))
            not_carried(im, "", name, v);
    }
}

/* What stands for something else where that is missing: cache reads of sound that are called writes
 * (no provider bills these), and a price of computer use where the model has no other. */
static void litellm_missing(struct import *im, struct entry *en, struct json_span model)
{
    struct price_rates *base = &en->price.base[TIER_DEFAULT];
    struct json_want w[] = {{STR("cache_creation_input_audio_token_cost")},
        {STR("computer_use_input_cost_per_1k_tokens")},
        {STR("computer_use_output_cost_per_1k_tokens")}};
    if (json_scan(model.raw, w, ARRAY_LEN(w)) < 0)
        return;
    if (base->audio_cached < 0)
        take_figure(en, &base->audio_cached, w[0].key, w[0].value, 1);
    for (int i = 1; i <= 2; i++) {
        int64_t *to = i == 1 ? &base->input : &base->output;
        if (*to < 0)
            take_figure(en, to, w[i].key, w[i].value, 1000);
        else
            not_carried(im, "", w[i].key, w[i].value);
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
    entry_begin(im, &en, litellm_key(key, &im->arena));
    if (en.rc == 0)
        en.rc = members_once(im, key, model.raw);
    while (en.rc == 0 && json_next(&it, &k, &v))
        litellm_member(im, &en, str_n(k.raw.p + 1, k.raw.n - 2), v, model);
    litellm_missing(im, &en, model);
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
    ROW("citation", citation)
    ROW("image", image_out) /* beside their `output`: what images are billed by */
#undef ROW
};

static void dev_figures(struct import *im, struct entry *en, struct json_span cost, int64_t above)
{
    struct json_iter it = json_iter(cost.raw);
    struct json_span k, v;
    struct price_rates *r = price_rates_at(&en->price, en->steps, above, TIER_DEFAULT);
    while (r && it.object && json_next(&it, &k, &v)) {
        struct str name = str_n(k.raw.p + 1, k.raw.n - 2);
        bool taken = str_eq(name, STR("request"));
        for (size_t i = 0; i < ARRAY_LEN(dev_rates) && !taken; i++)
            if ((taken = str_eq(name, dev_rates[i].name)))
                take_figure(en, (int64_t *)(void *)((char *)r + dev_rates[i].offset), name, v,
                    1000000);
        if (!taken)
            not_carried(im, "cost.", name, v);
    }
    if (!r)
        too_many_steps(en);
    /* a cache that costs nothing means there that nobody wrote the figure down */
    if (r && r->input > 0) {
        r->cached = r->cached == 0 ? -1 : r->cached;
        r->write_5m = r->write_5m == 0 ? -1 : r->write_5m;
    }
}

static void dev_steps(struct import *im, struct entry *en, struct json_span cost)
{
    struct json_span over = json_get(cost.raw, STR("context_over_200k")), unused, tier;
    if (over.type == JSON_OBJECT)
        dev_figures(im, en, over, 200000);
    struct json_iter it = json_iter(json_get(cost.raw, STR("tiers")).raw);
    while (!it.object && json_next(&it, &unused, &tier)) {
        int64_t above = 0;
        take_count(&above, json_path(tier.raw, "tier.size"));
        if (above > 0)
            dev_figures(im, en, tier, above);
    }
}

static int import_dev(struct import *im, struct str provider, struct str model, struct json_span v)
{
    struct entry en;
    struct json_span cost = json_get(v.raw, STR("cost"));
    struct str key =
        arena_printf(&im->arena, STR_FMT "/" STR_FMT, STR_ARG(provider), STR_ARG(model));
    entry_begin(im, &en, key);
    if (en.rc == 0)
        en.rc = name_once(im, key);
    if (en.rc == 0)
        en.rc = members_once(im, key, cost.raw);
    if (cost.type == JSON_OBJECT) {
        dev_figures(im, &en, cost, 0);
        dev_steps(im, &en, cost);
        take_figure(&en, &en.price.per_request, STR("request"), json_get(cost.raw, STR("request")), 1000);
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
            rc = name_once(im, key);
        if (rc == 0 && v.type == JSON_OBJECT && key.p)
            rc = is_litellm(v) ? import_litellm(im, key, v) : import_provider(im, key, v);
        arena_reset(&im->arena);
    }
    return rc;
}

/* Where, and what stands there. */
static int broken_json(struct str json, int rc, size_t at, struct err *e)
{
    size_t line = 1, start = 0;
    char near[24] = "";
    for (size_t i = 0; i < MIN(at, json.n); i++)
        if (json.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    for (size_t i = 0; at + i < json.n && i + 1 < sizeof near; i++)
        near[i] = json.p[at + i] >= ' ' && json.p[at + i] < 127 ? json.p[at + i] : ' ';
    if (rc == -ERR_LIMIT)
        return err_set(e, ERR_LIMIT, "line %zu, column %zu: nested deeper than %d levels", line,
            at - start + 1, JSON_DEPTH_MAX);
    return err_set(e, ERR_SYNTAX, "line %zu, column %zu is not JSON: %s", line, at - start + 1,
        *near ? near : "the file ends there");
}

int price_import(struct price_list *l, struct str json, struct price_import *done, struct err *e)
{
    size_t at = 0;
    *done = (struct price_import){0};
    int checked = json_check(json, &at);
    if (checked < 0)
        return broken_json(json, checked, at, e);
    struct import im = {.list = l, .done = done, .e = e};
    arena_init(&im.arena, 4096, 4 << 20);
    int rc = import_all(&im, json);
    arena_fini(&im.arena);
    free(im.seen);
    if (rc == 0 && done->taken == 0)
        return err_set(e, ERR_MISSING, "no price found: the file is neither LiteLLM's "
            "model_prices_and_context_window.json nor models.dev's api.json");
    return rc;
}
