/* price.h: what a use costs. Integers only: rates in femto-USD (1e-15) per unit as int64, products
 * in 128 bits, rounded half to even to nano-USD (1e-9) once, at the end.
 *
 * Why: a ledger that disagrees with the provider's bill by rounding is not believed. Pure. The
 * built-in list (prices.def, dated) is overridden by the configuration and by imported lists. */
#ifndef POINTSMAN_PRICE_H
#define POINTSMAN_PRICE_H

#include "proxy/config/snapshot.h"
#include "proxy/meter/usage.h"
#include "store/base/buf.h"
#include "store/base/err.h"

enum price_tier { TIER_DEFAULT, TIER_BATCH, TIER_FLEX, TIER_PRIORITY, TIER_COUNT };

/* femto-USD per token. -1 = not given, and then taken from elsewhere: a tier's from the default
 * tier, a step's from the base, cached, writes and media from input, a 1 h write from a 5 min one,
 * reasoning and media from output, cached media from cached; citations cost nothing. */
struct price_rates {
#define X(name, key, word) int64_t name;
#include "proxy/config/price_rates.def"
#undef X
};
extern const struct price_rates price_rates_none;

/* Rates for the whole request once its input, cache included, is above so many tokens. */
struct price_step {
    int64_t above_tokens;
    struct price_rates rates[TIER_COUNT];
};
enum { PRICE_STEPS = 6, PRICE_KEY = 128 };

struct price {
    char key[PRICE_KEY];         /* "openai/gpt-5" or "gpt-5"; '*' at the end of a prefix allowed */
    struct price_rates base[TIER_COUNT];
    const struct price_step *step; /* `steps` of them, rising */
    unsigned steps;
    int64_t per_request, per_search; /* femto-USD each; below 0 = not given */
    int64_t unit[UNIT_COUNT];    /* femto-USD a second, page …; below 0 = not given */
    int64_t discount_ppm;        /* taken off, in parts per million; below 0 = not given */
    int64_t factor_ppm[FACTOR_COUNT]; /* times this where it was served so; below 0 = not given */
    int64_t context_tokens, max_output_tokens; /* 0 = unknown */
};
/* A price that says nothing yet. */
void price_init(struct price *p, struct str key);

struct price_list;               /* immutable once built */
struct price_list *price_list_builtin(void);       /* process-wide, never freed */
const char *price_list_builtin_date(void);         /* "2026-09-29" */
struct price_list *price_list_new(const struct price_list *under); /* a layer over another */
/* Copies *p, steps too; a second of the same key replaces the first. One without an input price
 * changes only what it names of the price found below it (a discount, a rate, a fee); one with it
 * replaces all rates, and keeps the fees of tools and the factors of places that it does not name. */
int price_list_put(struct price_list *l, const struct price *p, struct err *e);
void price_list_free(struct price_list *l);        /* the layer only */
/* Each layer from the top: "provider/model", the model alone, both without a date suffix, without
 * the maker's prefix ("openai/gpt-5" at a router), then the longest prefix. NULL when unknown. */
const struct price *price_find(const struct price_list *l, struct str provider, struct str model);
size_t price_list_each(const struct price_list *l,
    void (*fn)(void *ctx, const struct price *p), void *ctx);

/* What an import did. */
enum { PRICE_NOT_CARRIED = 24 };
struct price_import {
    size_t taken, rounded, skipped; /* rounded: figures lost digits; skipped: no price */
    struct {
        char field[64];
        size_t models;
    } not_carried[PRICE_NOT_CARRIED]; /* figures above 0 that are billed in no way known here */
    size_t not_carried_count;
};
/* Reads LiteLLM's model_prices_and_context_window.json or models.dev's api.json form into l. */
int price_import(struct price_list *l, struct str json, struct price_import *done,
    struct err *e) MUST_CHECK;

/* Reads the text of a row of prices.def, USD per million tokens, clauses parted by ";":
 *     "in 1.25 out 10 read 0.125 write 1.5; >272k in 2.5 out 15; flex in 0.6; >272k priority in 9"
 * names: the words of price_rates.def, and for the whole request or tool use in USD: request search,
 * and the keys of price_units.def; factors: the words of price_factors.def. `steps` has PRICE_STEPS
 * places and must live as long as *p. */
int price_read_text(
    struct price *p, struct price_step *steps, struct str text, struct err *e) MUST_CHECK;

/* The same text of a price; `besides`: without what stands in columns of their own (input, cached and
 * output of the default tier), with the discount. */
void price_write_text(const struct price *p, bool besides, struct buf *out);

/* "0.25", "1e-07", "$3.5" USD per `per` units → femto-USD per unit; *rounded when digits
 * were lost.
 * -ERR_SYNTAX, -ERR_RANGE. */
int price_parse_rate(struct str text, int64_t per, int64_t *femto, bool *rounded) MUST_CHECK;

/* nano-USD for a use, by the list; images that a tool made beside it left out. */
int64_t price_cost(const struct price *p, const struct usage *u, enum price_tier tier);
/* The same with these, at the price of their own model (NULL: at the answer's own rates), and with what
 * attempts before it were charged. */
int64_t price_cost_all(const struct price *p, const struct price *images, const struct usage *u,
    enum price_tier tier);
/* The price of the model that drew; its name without what it ends with ("gpt-image-2-codex"), where
 * only that is known. NULL: none drew, or nobody knows its price. */
const struct price *price_of_images(const struct price_list *l, struct str provider,
    const struct usage *u);
/* What is charged: the provider's own figure where it stated a believable one, else the list's. p
 * and images may be NULL. *list gets the list price (0 without one), *source where the charge comes from:
 * PROVIDER, MEASURED or NONE (the caller knows when the usage itself was estimated), ESTIMATED where
 * images were guessed or have no price of their own, and where attempts before it were charged. */
int64_t price_charge(const struct price *p, const struct price *images, const struct usage *u,
    enum price_tier tier, int64_t *list, enum cost_source *source);
/* "flex", "priority", "fast", "batch", "ON_DEMAND_PRIORITY"… as answers say it. */
enum price_tier price_tier_from(struct str reported);
/* Upper bound in nano-USD for a request of that input and output size: the dearest rates that can
 * apply in the default tier (price_bound) or in the tier asked for. */
int64_t price_bound(const struct price *p, int64_t input_tokens, int64_t output_tokens);
int64_t price_bound_tier(const struct price *p, int64_t input_tokens, int64_t output_tokens,
    enum price_tier tier);
/* The same of what is billed beside tokens: so many searches at the provider's side, one
 * container, and images put in. */
int64_t price_bound_tools(const struct price *p, int64_t calls, int64_t images);
/* Half-even femto → nano. */
int64_t price_round_nano(__int128 femto);

/* "5", "$5", "0.02usd", "20usd" → nano-USD. Empty or zero is -ERR_RANGE unless `zero_ok`. */
int money_parse(struct str text, bool zero_ok, int64_t *nano, struct err *e) MUST_CHECK;
/* Prepaid credit: "500", "12.5" are credits where `per_dollar` of them make a dollar (0: dollars);
 * "20usd" and "$20" are dollars anyway; "-5" takes back. Never zero. */
int credit_parse(struct str text, int64_t per_dollar, int64_t *nano, struct err *e) MUST_CHECK;
/* "$4.31", or "4,310 credits". */
void credit_show(int64_t nano, int64_t per_dollar, char *out, size_t size);
/* "0.0326", "4.31", "12,408" … for people, within `size` bytes; exact form with
 * money_exact. */
void money_show(int64_t nano, char *out, size_t size);
void money_exact(int64_t nano, char *out, size_t size); /* "0.000146625" */

#endif
