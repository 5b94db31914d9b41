/* Units of proxy/meter/price.h: bills to the last digit, lists, layers, imports. */
#include "proxy/meter/billed.h"
#include "proxy/meter/price.h"
#include "store/base/err.h"
#include "store/base/json_span.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A price from a line like those of prices.def. */
struct priced {
    struct price p;
    struct price_step steps[PRICE_STEPS];
};

static void read_price(struct priced *x, const char *key, const char *text)
{
    struct err e = {0};
    price_init(&x->p, str_c(key));
    if (price_read_text(&x->p, x->steps, str_c(text), &e) < 0)
        fail_msg("%s", e.text);
}

static int64_t cost(const char *text, struct usage u, enum price_tier tier)
{
    struct priced x;
    read_price(&x, "m", text);
    return price_cost(&x.p, &u, tier);
}

static void a_bill_is_the_sum_of_its_parts(void **state)
{
    (void)state;
    /* $1 a million is 1,000 nano-USD a token */
    struct usage u = {.input = 1000, .output = 100};
    assert_int_equal(cost("in 1 out 2", u, TIER_DEFAULT), 1200000);
    u = (struct usage){.input = 1000,
        .cached = 600,
        .cache_write_5m = 100,
        .cache_write_1h = 50,
        .output = 100,
        .reasoning = 40};
    assert_int_equal(cost("in 1 out 2 read 0.1 write 1.25 write1h 2", u, TIER_DEFAULT),
        250000 + 60000 + 125000 + 100000 + 200000);
    assert_int_equal(cost("in 1 out 2 read 0.1 reason 3", u, TIER_DEFAULT), 250000 + 60000 + 150000 + 120000 + 120000);
    assert_int_equal(cost("in 1 out 2", u, TIER_DEFAULT), 1200000); /* no cache price: the input's */
    u = (struct usage){.input = 100,
        .audio_in = 60,
        .image_in = 10,
        .output = 50,
        .audio_out = 20,
        .extra_input = 7};
    assert_int_equal(cost("in 1 out 2 audio_in 10 audio_out 20 image_in 3", u, TIER_DEFAULT),
        30000 + 600000 + 30000 + 7000 + 60000 + 400000);
    u = (struct usage){.input = 10, .searches = 3};
    assert_int_equal(cost("in 1 out 2 search 0.01 request 0.005", u, TIER_DEFAULT), 10000 + 30000000 + 5000000);
}

static void seconds_pages_and_pixels_are_billed_to_the_last_digit(void **state)
{
    (void)state;
    struct usage u = {.unit_milli[UNIT_second_in] = 12345};
    assert_int_equal(cost("per_second_in 0.0001", u, TIER_DEFAULT), 1234500);
    u = (struct usage){.unit_milli[UNIT_pixel_out] = (int64_t)1024 * 1024 * 1000};
    assert_int_equal(cost("per_pixel_out 0.00000001900001", u, TIER_DEFAULT), 19922954);
    u = (struct usage){.unit_milli[UNIT_character_in] = 7 * 1000, .unit_milli[UNIT_page] = 3000,
        .unit_milli[UNIT_image_out] = 2000, .requests = 4, .input = 10};
    assert_int_equal(cost("in 1 per_character_in 0.000015 per_page 0.004 per_image_out 0.04 request 0.002", u,
        TIER_DEFAULT), 10000 + 105000 + 12000000 + 80000000 + 8000000);
    /* a tie at half a nano-dollar goes to the even one */
    u = (struct usage){.unit_milli[UNIT_second_in] = 500};
    assert_int_equal(cost("per_second_in 0.000000001", u, TIER_DEFAULT), 0);
    assert_int_equal(cost("per_second_in 0.000000003", u, TIER_DEFAULT), 2);
}

static void what_was_billed_is_kept_and_priced_again(void **state)
{
    (void)state;
    static const char *const price = "in 1 out 2 read 0.1 image_in 3 image_out 40; flex in 0.5 out 1; "
        "search 0.01 request 0.002 per_second_in 0.0001; us 1.1 fast 2";
    const struct usage uses[] = {{.input = 100, .output = 10},
        {.input = 1000, .cached = 300, .output = 77, .searches = 2, .image_in = 258, .extra_input = 40},
        {.input = 7, .output = 1290, .image_out = 1290, .served[FACTOR_us] = true, .requests = 3},
        {.input = 5, .output = 5, .served[FACTOR_fast] = true, .unit_milli[UNIT_second_in] = 61234},
        {.input = 9, .output = 9, .earlier_nano = 12345}};
    struct priced x;
    read_price(&x, "m", price);
    for (size_t i = 0; i < ARRAY_LEN(uses) * TIER_COUNT; i++) {
        const struct usage *u = &uses[i / TIER_COUNT];
        enum price_tier tier = (enum price_tier)(i % TIER_COUNT), again;
        char text[200];
        billed_write(u, tier, text, sizeof text);
        struct record r = {.input_tokens = u->input, .cached_tokens = u->cached,
            .output_tokens = u->output, .billed = str_c(text)};
        struct usage back = billed_record(&r, &again);
        assert_int_equal(again, tier);
        assert_int_equal(price_cost(&x.p, &back, again), price_cost(&x.p, u, tier));
    }
    char text[200];
    billed_write(&uses[0], TIER_DEFAULT, text, sizeof text);
    assert_string_equal(text, "");
    struct usage u = {0};
    enum price_tier tier;
    billed_read(STR("batch searches:-1 searches:x unknown:3 :: us pages:9999999999999999999"), &u, &tier);
    assert_true(tier == TIER_BATCH && u.served[FACTOR_us] && u.searches == 0 && u.unit_milli[UNIT_page] == 0);
}

static void overlapping_parts_are_never_billed_twice(void **state)
{
    (void)state;
    struct usage u = {.input = 2168, .cached = 2161, .cache_write_5m = 2161, .output = 1};
    assert_int_equal(cost("in 1 out 1 read 0.1 write 1", u, TIER_DEFAULT), 216100 + 7000 + 1000);
    u = (struct usage){.input = 7, .cached = 161};
    assert_int_equal(cost("in 1 out 1 read 0.1", u, TIER_DEFAULT), 700);
}

static void long_input_changes_the_whole_request(void **state)
{
    (void)state;
    const char *text = "in 1 out 10 read 0.1; >200k in 2 out 15 read 0.2; flex in 0.5 out 5; >200k priority in 4";
    struct usage at = {.input = 200000, .output = 1}, above = {.input = 200001, .output = 1};
    assert_int_equal(cost(text, at, TIER_DEFAULT), 200000000 + 10000);
    assert_int_equal(cost(text, above, TIER_DEFAULT), 400002000 + 15000);
    above.cached = 200001; /* the cache counts for the threshold */
    assert_int_equal(cost(text, above, TIER_DEFAULT), 40000200 + 15000);
    assert_int_equal(cost(text, at, TIER_FLEX), 100000000 + 5000);
    above.cached = 0;
    assert_int_equal(
        cost(text, above, TIER_PRIORITY), 800004000 + 15000); /* missing: that step's default */
    assert_int_equal(cost(text, above, TIER_FLEX), 400002000 + 15000);
}

static void factors_and_discounts_apply_before_the_one_rounding(void **state)
{
    (void)state;
    struct usage u = {.input = 1000, .output = 0, .served[FACTOR_us] = true};
    assert_int_equal(cost("in 1 out 1 us 1.1 fast 2", u, TIER_DEFAULT), 1100000);
    u.served[FACTOR_fast] = true;
    assert_int_equal(cost("in 1 out 1 us 1.1 fast 2", u, TIER_DEFAULT), 2200000);
    struct priced x;
    read_price(&x, "m", "in 0.0015 out 0"); /* 1.5 nano a token */
    u = (struct usage){.input = 1};
    assert_int_equal(price_cost(&x.p, &u, TIER_DEFAULT), 2); /* half to even */
    u.input = 3;
    assert_int_equal(price_cost(&x.p, &u, TIER_DEFAULT), 4); /* 4.5 */
    x.p.discount_ppm = 100000;
    u.input = 10;
    assert_int_equal(price_cost(&x.p, &u, TIER_DEFAULT), 14); /* 13.5 */
    x.p.discount_ppm = 1000000;
    assert_int_equal(price_cost(&x.p, &u, TIER_DEFAULT), 0);
}

static void the_largest_figures_do_not_overflow(void **state)
{
    (void)state;
    const int64_t most = (int64_t)1 << 40;
    struct usage u = {.input = most, .output = most, .extra_input = most};
    assert_int_equal(cost("in 100000 out 100000", u, TIER_DEFAULT), INT64_MAX);
    assert_int_equal(price_round_nano((__int128)INT64_MAX * INT64_MAX), INT64_MAX);
    /* a hostile list and a lying provider together, in every place at once */
    struct priced x;
    read_price(&x, "m", "in 1 out 1");
    for (size_t i = 0; i < sizeof x.p.base / (sizeof(int64_t)); i++)
        ((int64_t *)(void *)x.p.base)[i] = INT64_MAX;
    x.p.per_request = x.p.per_search = INT64_MAX;
    memset(&u, 0x7f, offsetof(struct usage, drawn));
    for (int i = 0; i < UNIT_COUNT; i++) {
        x.p.unit[i] = INT64_MAX;
        u.unit_milli[i] = INT64_MAX;
    }
    for (int i = 0; i < FACTOR_COUNT; i++) {
        x.p.factor_ppm[i] = 100000000;
        u.served[i] = true;
    }
    u.input = u.cached = u.output = u.audio_in = u.extra_input = u.citations = u.searches = u.requests = most;
    u.drawn = (struct usage_drawn){.input = most, .output = most, .image_out = most};
    assert_int_equal(price_cost_all(&x.p, NULL, &u, TIER_FLEX), INT64_MAX);
    assert_int_equal(price_bound(&x.p, INT64_MAX, INT64_MAX), INT64_MAX);
    assert_int_equal(price_bound_tools(&x.p, INT64_MAX, INT64_MAX), INT64_MAX);
    x.p.discount_ppm = 1000000;
    assert_int_equal(price_cost_all(&x.p, NULL, &u, TIER_FLEX), 0);
}

/* Two factors and a discount, each with a remainder below the femto-USD: only the end rounds. */
static void remainders_are_kept_to_the_end(void **state)
{
    (void)state;
    struct priced x;
    struct usage u = {.input = 3, .served = {[FACTOR_us] = true, [FACTOR_fast] = true}};
    read_price(&x, "m", "in 0.000000001 out 0 request 0.0000000005 us 1.1 fast 1.000001");
    assert_int_equal(price_cost(&x.p, &u, TIER_DEFAULT), 1); /* half a nano and 3.3 femto */
    u.input = 0;
    assert_int_equal(price_cost(&x.p, &u, TIER_DEFAULT), 0); /* half a nano, to even */
    read_price(&x, "m", "in 0.000000001 out 0 request 0.0000000005 us 0.1 fast 0.1");
    u.input = 1; /* half a nano and a hundredth of a femto */
    assert_int_equal(price_cost(&x.p, &u, TIER_DEFAULT), 1);
    read_price(&x, "m", "in 0.000000001 out 0 request 0.0000000005 us 0.000001 fast 0.000001");
    assert_int_equal(price_cost(&x.p, &u, TIER_DEFAULT), 1); /* and less than what is kept of a femto */
    u.input = 0;
    read_price(&x, "m", "in 0 out 0 request 0.000000003; ");
    x.p.discount_ppm = 500000;
    assert_int_equal(price_cost(&x.p, &u, TIER_DEFAULT), 2); /* 1.5 */
}

static void the_providers_figure_beats_the_list(void **state)
{
    (void)state;
    struct priced x;
    int64_t list;
    enum cost_source source;
    read_price(&x, "m", "in 1 out 2");
    struct usage u = {
        .input = 1000, .output = 100, .have_cost = true, .provider_cost_femto = 1500000};
    assert_int_equal(price_charge(&x.p, NULL, &u, TIER_DEFAULT, &list, &source), 2);
    assert_int_equal(list, 1200000);
    assert_int_equal(source, COST_PROVIDER);
    u.have_cost = false;
    assert_int_equal(price_charge(&x.p, NULL, &u, TIER_DEFAULT, &list, &source), 1200000);
    assert_int_equal(source, COST_MEASURED);
    assert_int_equal(price_charge(NULL, NULL, &u, TIER_DEFAULT, &list, &source), 0);
    assert_int_equal(source, COST_NONE);
}

static void a_bound_is_never_below_a_cost(void **state)
{
    (void)state;
    struct priced x;
    read_price(&x, "m", "in 1 out 10 read 0.1 write 1.25 write1h 2 reason 12 us 1.1 request 0.001;"
                        ">200k in 2 out 5 read 0.2; flex in 0.5 out 5; priority in 2 out 20");
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        int64_t r[6];
        for (int k = 0; k < 6; k++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            r[k] = (int64_t)(seed >> 33) % 400000;
        }
        struct usage u = {.input = r[0],
            .cached = r[1],
            .cache_write_5m = r[2],
            .cache_write_1h = r[3],
            .output = r[4],
            .reasoning = r[5],
            .served[FACTOR_us] = i & 1};
        int64_t bound = price_bound(&x.p, u.input, u.output);
        assert_true(price_cost(&x.p, &u, TIER_DEFAULT) <= bound);
        assert_true(price_cost(&x.p, &u, TIER_FLEX) <= bound);
        assert_true(price_cost(&x.p, &u, TIER_PRIORITY) <=
                    price_bound_tier(&x.p, u.input, u.output, TIER_PRIORITY));
    }
}

/* And not above what can be billed: what is reserved in vain keeps others from spending. */
static void a_bound_is_the_dearest_that_can_be_billed(void **state)
{
    (void)state;
    struct priced x;
    struct usage u = {.output = 10, .audio_out = 10};
    read_price(&x, "m", "in 1 out 2 audio_out 20 image_out 40");
    assert_int_equal(price_bound(&x.p, 0, 10), 400000); /* should all of it be images */
    assert_true(price_cost(&x.p, &u, TIER_DEFAULT) <= price_bound(&x.p, 0, 10));
    read_price(&x, "m", "in 1 out 10; >200k in 5 out 50");
    assert_int_equal(price_bound(&x.p, 200000, 100), 201000000); /* the step is not reached */
    assert_int_equal(price_bound(&x.p, 200001, 100), 1005005000);
    read_price(&x, "m", "in 2 out 20; >200k in 1 out 10"); /* the text may turn out to be shorter */
    assert_int_equal(price_bound(&x.p, 300000, 100), 602000000);
    read_price(&x, "m", "in 0.0001 out 0");
    assert_int_equal(price_bound(&x.p, 1, 0), 1); /* a tenth of a nano, up */
    read_price(&x, "m", "in 0.000000001 out 0 us 1.000001 eu 1.000001 region 1.000001 fast 1.000001");
    u = (struct usage){.input = 999999999, .served = {true, true, true, true}};
    assert_true(price_cost(&x.p, &u, TIER_DEFAULT) <= price_bound(&x.p, u.input, 0));
}

static void what_lasts_an_hour_costs_what_five_minutes_do_where_nothing_else_is_said(void **state)
{
    (void)state;
    struct usage u = {.input = 100, .cache_write_1h = 100};
    assert_int_equal(cost("in 1 out 2 write 1.25", u, TIER_DEFAULT), 125000);
    u = (struct usage){.input = 200000, .extra_input = 1}; /* what tools read counts toward the step */
    assert_int_equal(cost("in 1 out 2; >200k in 2", u, TIER_DEFAULT), 400002000);
    assert_int_equal(cost("in 1 out 2; >200k in 2", (struct usage){.input = 200000}, TIER_DEFAULT), 200000000);
}

static void tiers_are_known_by_what_answers_say(void **state)
{
    (void)state;
    assert_int_equal(price_tier_from(STR("")), TIER_DEFAULT);
    assert_int_equal(price_tier_from(STR("default")), TIER_DEFAULT);
    assert_int_equal(price_tier_from(STR("standard")), TIER_DEFAULT);
    assert_int_equal(price_tier_from(STR("ON_DEMAND")), TIER_DEFAULT);
    assert_int_equal(price_tier_from(STR("flex")), TIER_FLEX);
    assert_int_equal(price_tier_from(STR("ON_DEMAND_FLEX")), TIER_FLEX);
    assert_int_equal(price_tier_from(STR("priority")), TIER_PRIORITY);
    assert_int_equal(price_tier_from(STR("fast")), TIER_PRIORITY);
    assert_int_equal(price_tier_from(STR("batch")), TIER_BATCH);
}

static void rows_that_say_nonsense_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"in", "in x", "foo 1", "in -1", ">0k in 1", ">1m in 1", "in 1e30",
        ">1k in 1; >2k in 1; >3k in 1; >4k in 1; >5k in 1; >6k in 1; >7k in 1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct priced x;
        price_init(&x.p, STR("m"));
        if (price_read_text(&x.p, x.steps, str_c(bad[i]), NULL) == 0)
            fail_msg("taken: %s", bad[i]);
    }
}

/* --- lists --------------------------------------------------------------------------------- */

static void count_price(void *ctx, const struct price *p)
{
    size_t *n = ctx;
    bool priced = p->base[TIER_DEFAULT].input >= 0 || p->per_request > 0;
    for (int i = 0; i < UNIT_COUNT; i++)
        priced |= p->unit[i] > 0;
    *n += priced;
}

static void the_built_in_list_is_whole(void **state)
{
    (void)state;
    size_t rows = 0, priced = 0;
#define DATE(text) assert_string_equal(price_list_builtin_date(), text);
#define PRICE(key, context, most, text) rows++;
#include "proxy/meter/prices.def"
#undef DATE
#undef PRICE
    assert_int_equal(price_list_each(price_list_builtin(), count_price, &priced), rows);
    assert_int_equal(priced, rows);
    assert_true(rows >= 150);
    const struct price *p = price_find(price_list_builtin(), STR("openai"), STR("gpt-5"));
    assert_non_null(p);
    assert_int_equal(p->base[TIER_DEFAULT].input, 1250000000);
    assert_int_equal(p->base[TIER_DEFAULT].output, 10000000000);
    assert_int_equal(p->context_tokens, 272000);
}

static const char *found(const struct price_list *l, const char *provider, const char *model)
{
    const struct price *p = price_find(l, str_c(provider), str_c(model));
    return p ? p->key : "";
}

static void names_are_found_in_many_spellings(void **state)
{
    (void)state;
    const struct price_list *l = price_list_builtin();
    assert_string_equal(found(l, "openai", "gpt-5"), "gpt-5");
    assert_string_equal(found(l, "anything", "gpt-5-2025-08-07"), "gpt-5");
    assert_string_equal(found(l, "vertex-eu", "claude-haiku-4-5@20251001"), "claude-haiku-4-5");
    assert_string_equal(found(l, "router", "anthropic/claude-haiku-4.5"), "claude-haiku-4-5");
    assert_string_equal(found(l, "gemini", "models/gemini-2.5-flash"), "gemini-2.5-flash");
    assert_string_equal(found(l, "groq", "llama-3.3-70b-versatile"), "groq/llama-3.3-70b-versatile");
    assert_string_equal(found(l, "lab", "llama-3.3-70b-versatile"), "");
    assert_string_equal(found(l, "lab", "qwen3"), "");
    assert_string_equal(found(l, "lab", ""), "");
}

static void put_text(struct price_list *l, const char *key, const char *text)
{
    struct priced x;
    struct err e = {0};
    read_price(&x, key, text);
    if (price_list_put(l, &x.p, &e) < 0)
        fail_msg("%s", e.text);
}

static void layers_lie_over_one_another(void **state)
{
    (void)state;
    struct price_list *l = price_list_new(price_list_builtin());
    put_text(l, "lab/*", "in 0 out 0");
    put_text(l, "lab/big*", "in 3 out 3");
    put_text(l, "openai/gpt-5", "in 7 out 8");
    put_text(l, "gpt-5-mini", "request 0.001");
    assert_string_equal(found(l, "lab", "qwen3"), "lab/*");
    assert_string_equal(found(l, "lab", "bigger"), "lab/big*");
    assert_string_equal(found(l, "labs", "qwen3"), "");
    assert_int_equal(price_find(l, STR("openai"), STR("gpt-5"))->base[0].input, 7000000000);
    assert_int_equal(price_find(l, STR("other"), STR("gpt-5"))->base[0].input, 1250000000);
    /* without an input price only what is named changes */
    const struct price *mini = price_find(l, STR("openai"), STR("gpt-5-mini"));
    assert_int_equal(mini->per_request, 1000000000000);
    assert_int_equal(mini->base[0].input, 250000000);
    put_text(l, "gpt-4.1", "out 12 image_out 5");
    const struct price *one = price_find(l, STR("openai"), STR("gpt-4.1"));
    assert_int_equal(one->base[0].input, 2000000000);
    assert_int_equal(one->base[0].output, 12000000000);
    assert_int_equal(one->base[0].image_out, 5000000000);
    assert_int_equal(one->base[TIER_BATCH].input, 1000000000);
    /* an input price replaces all rates; tools cost what they did unless it speaks of them */
    put_text(l, "gpt-5.6", "in 1 out 1 search 0.5");
    one = price_find(l, STR("openai"), STR("gpt-5.6"));
    assert_int_equal(one->steps, 0);
    assert_int_equal(one->base[0].cached, -1);
    assert_int_equal(one->per_search, 500000000000000);
    assert_int_equal(one->unit[UNIT_file_search], 2500000000000);
    assert_int_equal(one->unit[UNIT_session], 30000000000000);
    assert_int_equal(one->factor_ppm[FACTOR_eu], 1100000);
    put_text(l, "gemini-2.5-pro", "in 1 out 1 search 0.01"); /* not both ways to bill a search */
    assert_int_equal(price_find(l, STR(""), STR("gemini-2.5-pro"))->unit[UNIT_searched_prompt], -1);
    put_text(l, "azure/gpt-5.6", "in 1 out 1"); /* another host's model is another model */
    assert_int_equal(price_find(l, STR("azure"), STR("gpt-5.6"))->per_search, -1);
    put_text(l, "openai/o3", "in 1 out 1"); /* the same by its host's name */
    assert_int_equal(price_find(l, STR("openai"), STR("o3"))->per_search, 10000000000000);
    put_text(l, "openai/gpt-5", "in 9 out 8"); /* the second replaces the first */
    assert_int_equal(price_find(l, STR("openai"), STR("gpt-5"))->base[0].input, 9000000000);
    size_t all = price_list_each(l, NULL, NULL),
           below = price_list_each(price_list_builtin(), NULL, NULL);
    assert_int_equal(all, below + 4);
    struct err e = {0};
    struct price none;
    price_init(&none, STR(""));
    assert_int_equal(price_list_put(l, &none, &e), -ERR_MISSING);
    price_list_free(l);
    price_list_free(NULL);
}

static void many_prices_are_found_again(void **state)
{
    (void)state;
    struct price_list *l = price_list_new(NULL);
    char key[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "m-%d", i);
        put_text(l, key, "in 1 out 1");
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "m-%d", i);
        assert_string_equal(found(l, "p", key), key);
    }
    assert_string_equal(found(l, "p", "m-5000"), "");
    price_list_free(l);
}

/* --- imports ------------------------------------------------------------------------------- */


static struct price_list *import(const char *json, struct price_import *c)
{
    struct err e = {0};
    struct price_list *l = price_list_new(NULL);
    if (price_import(l, str_c(json), c, &e) < 0)
        fail_msg("%s", e.text);
    return l;
}

static void litellms_form_is_imported_exactly(void **state)
{
    (void)state;
    struct price_import c;
    struct price_list *l = import(
        "{\"sample_spec\":{\"mode\":\"chat\",\"input_cost_per_token\":0.0},"
        "\"m-1\":{\"mode\":\"chat\",\"litellm_provider\":\"x\",\"input_cost_per_token\":3e-07,"
        "\"output_cost_per_token\":0.0000025,\"cache_read_input_token_cost\":3.0000000000000004e-08,"
        "\"cache_creation_input_token_cost_above_1hr\":6e-06,\"input_cost_per_token_above_272k_tokens\":6e-7,"
        "\"output_cost_per_token_above_272k_tokens_flex\":1e-6,\"input_cost_per_token_priority\":9e-7,"
        "\"max_input_tokens\":1000,\"max_output_tokens\":100,"
        "\"search_context_cost_per_query\":{\"search_context_size_medium\":0.01},"
        "\"provider_specific_entry\":{\"us\":1.1,\"fast\":2.0}},"
        "\"together_ai/a/b\":{\"mode\":\"chat\",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6},"
        "\"tiered\":{\"mode\":\"chat\",\"tiered_pricing\":[{\"range\":[0,32000.0],\"input_cost_per_token\":1e-6,"
        "\"output_cost_per_token\":2e-6},{\"range\":[32000.0,128000],\"input_cost_per_token\":3e-6,\"output_cost_per_token\":4e-6}]},"
        "\"free\":{\"mode\":\"chat\"}}", &c);
    assert_int_equal(c.taken, 3);
    assert_int_equal(c.rounded, 1);
    assert_int_equal(c.skipped, 1);
    const struct price *p = price_find(l, STR("x"), STR("m-1"));
    assert_int_equal(p->base[0].input, 300000000);
    assert_int_equal(p->base[0].output, 2500000000);
    assert_int_equal(p->base[0].cached, 30000000);
    assert_int_equal(p->base[0].write_1h, 6000000000);
    assert_int_equal(p->base[TIER_PRIORITY].input, 900000000);
    assert_int_equal(p->steps, 1);
    assert_int_equal(p->step[0].above_tokens, 272000);
    assert_int_equal(p->step[0].rates[0].input, 600000000);
    assert_int_equal(p->step[0].rates[TIER_FLEX].output, 1000000000);
    assert_int_equal(p->per_search, 10000000000000);
    assert_int_equal(p->factor_ppm[FACTOR_us], 1100000);
    assert_int_equal(p->factor_ppm[FACTOR_fast], 2000000);
    assert_int_equal(p->context_tokens, 1000);
    assert_string_equal(found(l, "together", "a/b"), "together/a/b");
    p = price_find(l, STR(""), STR("tiered"));
    assert_int_equal(p->base[0].input, 1000000000);
    assert_int_equal(p->step[0].above_tokens, 32000);
    assert_int_equal(p->step[0].rates[0].output, 4000000000);
    price_list_free(l);
}

static void litellms_units_are_imported(void **state)
{
    (void)state;
    static const struct { const char *model; enum price_unit unit; int64_t femto; } rows[] = {
        {"whisper-1", UNIT_second_in, 100000000000}, {"whisper-1", UNIT_second_out, -1},
        {"tts-1", UNIT_character_in, 15000000000}, {"dall-e-3", UNIT_image_out, 40000000000000},
        {"low/dall", UNIT_image_out, 11000000000000}, {"low/dall", UNIT_pixel_out, -1},
        {"sized/dall", UNIT_pixel_out, 19000000}, {"ocr", UNIT_page, 4000000000000}};
    struct err e = {0};
    struct price_import done;
    struct price_list *l = price_list_new(NULL);
    assert_int_equal(price_import(l, STR("{\"whisper-1\":{\"mode\":\"audio_transcription\","
        "\"input_cost_per_second\":0.0001,\"output_cost_per_second\":0.0001},"
        "\"tts-1\":{\"mode\":\"audio_speech\",\"input_cost_per_character\":1.5e-05},"
        "\"dall-e-3\":{\"mode\":\"image_generation\",\"input_cost_per_image\":0.04},"
        "\"low/dall\":{\"mode\":\"image_generation\",\"input_cost_per_image\":0.011,"
        "\"input_cost_per_pixel\":1.0490417e-08,\"output_cost_per_pixel\":0.0},"
        "\"sized/dall\":{\"mode\":\"image_generation\",\"input_cost_per_pixel\":1.9e-08,"
        "\"output_cost_per_pixel\":0.0},\"ocr\":{\"mode\":\"ocr\",\"ocr_cost_per_page\":0.004}}"),
        &done, &e), 0);
    assert_int_equal(done.taken, 6);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct price *p = price_find(l, STR(""), str_c(rows[i].model));
        assert_non_null(p);
        assert_int_equal(p->unit[rows[i].unit], rows[i].femto);
    }
    price_list_free(l);
}

static void models_devs_form_is_imported(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        char json[1000];
        struct price_import c;
        const char *models = "\"m\":{\"cost\":{\"input\":1.25,\"output\":10,\"cache_read\":0.125,\"cache_write\":0,"
            "\"context_over_200k\":{\"input\":2.5,\"output\":15},\"tiers\":[{\"tier\":{\"size\":500000},\"input\":5}]},"
            "\"limit\":{\"context\":1000,\"output\":100}},\"free\":{\"limit\":{}}";
        int n = i ? snprintf(json, sizeof json, "{\"acme\":{%s}}", models)
                  : snprintf(json, sizeof json, "{\"acme\":{\"id\":\"acme\",\"models\":{%s}}}", models);
        assert_true(n > 0 && (size_t)n < sizeof json);
        struct price_list *l = import(json, &c);
        assert_int_equal(c.taken, 1);
        assert_int_equal(c.skipped, 1);
        const struct price *p = price_find(l, STR("acme"), STR("m"));
        assert_int_equal(p->base[0].input, 1250000000);
        assert_int_equal(p->base[0].cached, 125000000);
        assert_int_equal(p->base[0].write_5m, -1); /* nobody writes caches for nothing */
        assert_int_equal(p->steps, 2);
        assert_int_equal(p->step[1].rates[0].input, 5000000000);
        assert_int_equal(p->max_output_tokens, 100);
        price_list_free(l);
    }
}

static void what_is_no_price_list_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "{", "[]", "{}", "{\"a\":1}", "{\"a\":{\"b\":{}}}", "{\"a\":{\"mode\":\"chat\"}}", "null"};
    struct price_list *l = price_list_new(NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct price_import c;
        struct err e = {0};
        if (price_import(l, str_c(bad[i]), &c, &e) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_true(e.text[0]);
    }
    price_list_free(l);
}

/* --- given examples ------------------------------------------------------------------------ */

static struct price_list *shared_list(const char *dir, const char *name, struct price_import *c)
{
    struct str json = shared_read_like(dir, name);
    struct err e = {0};
    struct price_list *l = price_list_new(NULL);
    if (price_import(l, json, c, &e) < 0)
        fail_msg("%s: %s", name, e.text);
    free((char *)json.p);
    return l;
}

/* USD text → nano, half to even. */
static int64_t usd_nano(struct str text)
{
    int64_t femto = -1;
    bool rounded;
    assert_int_equal(price_parse_rate(text, 1, &femto, &rounded), 0);
    return price_round_nano(femto);
}

static void worked_examples_come_out_to_the_last_digit(void **state)
{
    (void)state;
    const char *dir;
    for (int i = 0; (dir = data_dir(i, "prices")) != NULL; i++) {
        struct price_import c;
        struct price_list *l = shared_list(dir, "litellm_model_prices", &c);
        printf("# LiteLLM: %zu taken, %zu rounded, %zu without a price\n", c.taken, c.rounded, c.skipped);
        assert_true(c.taken > (i ? 2500 : 8));
        struct str text = shared_read(dir, "examples.tsv"), rest = text, line;
        size_t seen = 0;
        while (str_cut(&rest, '\n', &line)) {
            struct str model = column(line, 1), expected = column(line, 4);
            struct usage u;
            if (!str_starts(line, STR("E")) || !usage_object(column(line, 2), 0, &u))
                continue;
            const struct price *p = price_find(l, STR(""), model);
            assert_non_null(p);
            if (price_cost(p, &u, TIER_DEFAULT) != usd_nano(expected))
                fail_msg(STR_FMT ": %lld nano-USD", STR_ARG(line), (long long)price_cost(p, &u, TIER_DEFAULT));
            seen++;
        }
        assert_true(seen >= (i ? 7 : 12));
        free((char *)text.p);
        price_list_free(l);
    }
}

static int64_t whole(struct str s)
{
    int64_t n = 0;
    return str_to_i64(s, &n) ? n : 0;
}

/* Bills: xAI's all come out; OpenRouter's where the list here has the model at all. */
static void check_stated_costs(const char *dir, size_t least)
{
    struct price_import c;
    struct price_list *l = shared_list(dir, "litellm_model_prices", &c);
    struct str text = shared_read(dir, "provider_stated_costs.tsv"), rest = text, line;
    size_t xai = 0, router = 0, router_same = 0;
    while (str_cut(&rest, '\n', &line)) {
        if (!str_eq(column(line, 19), STR("yes")))
            continue;
        struct usage u = {.input = whole(column(line, 4)),
            .cached = whole(column(line, 5)),
            .cache_write_5m = whole(column(line, 6)),
            .output = whole(column(line, 7)),
            .reasoning = whole(column(line, 8))};
        const struct price *p = price_find(l, column(line, 0), column(line, 2));
        int64_t want = usd_nano(column(line, 10));
        bool same = p && price_cost(p, &u, price_tier_from(column(line, 9))) == want;
        if (!p)
            continue;
        if (str_eq(column(line, 0), STR("xai"))) {
            if (!same)
                fail_msg(STR_FMT, STR_ARG(line));
            xai++;
        } else {
            router++;
            router_same += same;
        }
    }
    printf("# stated costs: xAI %zu of %zu, others %zu of %zu\n", xai, xai, router_same, router);
    assert_true(xai >= least);
    assert_true(router_same * 2 > router);
    free((char *)text.p);
    price_list_free(l);
}

static void costs_that_providers_stated_come_out(void **state)
{
    (void)state;
    const char *dir;
    for (int i = 0; (dir = data_dir(i, "prices")) != NULL; i++)
        check_stated_costs(dir, i ? 100 : 3);
}

static void models_devs_whole_list_is_taken(void **state)
{
    (void)state;
    const char *dir;
    for (int i = 0; (dir = data_dir(i, "prices")) != NULL; i++) {
        struct price_import c;
        struct price_list *l = shared_list(dir, "models_dev", &c);
        printf("# models.dev: %zu taken, %zu rounded, %zu without a price\n", c.taken, c.rounded, c.skipped);
        assert_true(c.taken > (i ? 3500 : 4));
        price_list_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bill_is_the_sum_of_its_parts),
        cmocka_unit_test(seconds_pages_and_pixels_are_billed_to_the_last_digit),
        cmocka_unit_test(what_was_billed_is_kept_and_priced_again),
        cmocka_unit_test(litellms_units_are_imported),
        cmocka_unit_test(overlapping_parts_are_never_billed_twice),
        cmocka_unit_test(long_input_changes_the_whole_request),
        cmocka_unit_test(factors_and_discounts_apply_before_the_one_rounding),
        cmocka_unit_test(the_largest_figures_do_not_overflow),
        cmocka_unit_test(remainders_are_kept_to_the_end),
        cmocka_unit_test(the_providers_figure_beats_the_list),
        cmocka_unit_test(a_bound_is_never_below_a_cost),
        cmocka_unit_test(a_bound_is_the_dearest_that_can_be_billed),
        cmocka_unit_test(what_lasts_an_hour_costs_what_five_minutes_do_where_nothing_else_is_said),
        cmocka_unit_test(tiers_are_known_by_what_answers_say),
        cmocka_unit_test(rows_that_say_nonsense_are_refused),
        cmocka_unit_test(the_built_in_list_is_whole),
        cmocka_unit_test(names_are_found_in_many_spellings),
        cmocka_unit_test(layers_lie_over_one_another),
        cmocka_unit_test(many_prices_are_found_again),
        cmocka_unit_test(litellms_form_is_imported_exactly),
        cmocka_unit_test(models_devs_form_is_imported),
        cmocka_unit_test(what_is_no_price_list_is_refused),
        cmocka_unit_test(worked_examples_come_out_to_the_last_digit),
        cmocka_unit_test(costs_that_providers_stated_come_out),
        cmocka_unit_test(models_devs_whole_list_is_taken),
    };
    return cmocka_run_group_tests_name("price", tests, NULL, NULL);
}
