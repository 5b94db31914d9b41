/* price.h: what a use costs. Integers only: rates in femto-USD (1e-15) per unit as int64, products
 * in 128 bits, rounded half to even to nano-USD (1e-9) once, at the end.
 *
 * Why: a ledger that disagrees with the provider's bill by rounding is not believed. Pure. The
 * built-in list (prices.def, dated) is overridden by the configuration and by imported lists. */
#ifndef POINTSMAN_PRICE_H
#define POINTSMAN_PRICE_H

#include "proxy/meter/usage.h"
#include "store/base/err.h"

enum price_tier { TIER_DEFAULT, TIER_BATCH, TIER_FLEX, TIER_PRIORITY, TIER_COUNT };

/* femto-USD per token. -1 = not given (falls back as prices do: cached → input, …). */
struct price_rates {
    int64_t input, output, cached, write_5m, write_1h, reasoning;
    int64_t audio_in, audio_out, image_in, image_out;
};

enum { PRICE_STEPS = 4 };
struct price {
    char key[128];               /* "openai/gpt-5" or "gpt-5"; '*' at the end of a prefix allowed */
    struct price_rates base[TIER_COUNT];
    struct {                     /* from this many input tokens on, the whole request */
        int64_t above_tokens;    /* 0 = unused */
        struct price_rates rates[TIER_COUNT];
    } step[PRICE_STEPS];
    int64_t per_request, per_search; /* femto-USD each */
    int64_t discount_ppm;        /* taken off, in parts per million */
    int64_t context_tokens, max_output_tokens; /* 0 = unknown */
};

struct price_list;               /* immutable once built */
struct price_list *price_list_builtin(void);       /* process-wide, never freed */
const char *price_list_builtin_date(void);         /* "2026-09-29" */
struct price_list *price_list_new(const struct price_list *under); /* a layer over another */
int price_list_put(struct price_list *l, const struct price *p, struct err *e);
void price_list_free(struct price_list *l);        /* the layer only */
/* "provider/model", then the model alone, then without a date suffix. NULL when unknown. */
const struct price *price_find(const struct price_list *l, struct str provider, struct str model);
size_t price_list_each(const struct price_list *l,
    void (*fn)(void *ctx, const struct price *p), void *ctx);

/* Reads LiteLLM's model_prices_and_context_window.json or models.dev's api.json form into l.
 * *rounded counts entries whose figures had to be rounded, *skipped those that carry no price. */
int price_import(struct price_list *l, struct str json, size_t *taken, size_t *rounded,
    size_t *skipped, struct err *e) MUST_CHECK;

/* "0.25", "1e-07", "$3.5" USD per `per` units → femto-USD per unit; *rounded when digits were lost.
 * -ERR_SYNTAX, -ERR_RANGE. */
int price_parse_rate(struct str text, int64_t per, int64_t *femto, bool *rounded) MUST_CHECK;

/* nano-USD for a use. */
int64_t price_cost(const struct price *p, const struct usage *u, enum price_tier tier);
enum price_tier price_tier_from(struct str reported);
/* Upper bound in nano-USD for a request of that input and output size: dearest applicable rates. */
int64_t price_bound(const struct price *p, int64_t input_tokens, int64_t output_tokens);
/* Half-even femto → nano. */
int64_t price_round_nano(__int128 femto);

/* "5", "$5", "0.02usd", "20usd" → nano-USD. Empty or zero is -ERR_RANGE unless `zero_ok`. */
int money_parse(struct str text, bool zero_ok, int64_t *nano, struct err *e) MUST_CHECK;
/* "0.0326", "4.31", "12,408" … fitting `width` columns for people; exact form with money_exact. */
void money_show(int64_t nano, char *out, size_t size);
void money_exact(int64_t nano, char *out, size_t size); /* "0.000146625" */

#endif
