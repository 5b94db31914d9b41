/* price_override.h: a price as the configuration file has it, and the kinds of things that are billed.
 *
 * Why: the section `prices` lays what is known better on the spot over the built-in list; the server
 * does that (admin/source.c). Values, filled by parse_price.c, owned by the configuration's arena. */
#ifndef POINTSMAN_CONFIG_PRICE_OVERRIDE_H
#define POINTSMAN_CONFIG_PRICE_OVERRIDE_H

#include "store/base/str.h"

/* A price of the file, in femto-USD (1e-15) per unit; -1 = not given. The server lays these over
 * the built-in list (meter/price.h has the same shape and tiers). */
enum { CONFIG_PRICE_TIERS = 4, CONFIG_PRICE_STEPS = 4 };
struct price_rates_override {
#define X(name, key, word) int64_t key;
#include "proxy/config/price_rates.def"
#undef X
};
enum price_factor {
#define X(name, key, word) FACTOR_##name,
#include "proxy/config/price_factors.def"
#undef X
    FACTOR_COUNT
};
enum price_unit {
#define X(name, key, counted) UNIT_##name,
#include "proxy/config/price_units.def"
#undef X
    UNIT_COUNT
};
struct price_override {
    struct str key;             /* "lab/qwen3", "lab/…*" (a prefix), "gpt-5" */
    struct price_rates_override base[CONFIG_PRICE_TIERS]; /* default, batch, flex, priority */
    struct {
        int64_t above_tokens;   /* 0 = unused */
        struct price_rates_override rates[CONFIG_PRICE_TIERS];
    } step[CONFIG_PRICE_STEPS];
    int64_t per_request, per_search; /* -1 = not given */
    int64_t unit[UNIT_COUNT];   /* -1 = not given */
    int64_t factor_ppm[FACTOR_COUNT]; /* -1 = not given */
    int64_t discount_ppm;       /* -1 = not given */
    int64_t context_tokens, max_output_tokens; /* 0 = not given */
};

#endif
