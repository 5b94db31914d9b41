/* Fuzz harness of the price imports: any bytes give prices that are finite and never negative, or
 * an error with a text. */
#include "proxy/meter/price.h"
#include "store/base/err.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(void *ctx, const struct price *p)
{
    struct usage u = {.input = 300000,
        .cached = 1000,
        .cache_write_1h = 10,
        .output = 5000,
        .reasoning = 40,
        .searches = 2,
        .served[FACTOR_us] = true};
    (void)ctx;
    for (int tier = 0; tier < TIER_COUNT; tier++)
        if (price_cost(p, &u, (enum price_tier)tier) < 0)
            abort();
    if (!p->key[0] || p->steps > PRICE_STEPS || price_bound(p, 300000, 5000) < 0)
        abort();
    for (unsigned i = 1; i < p->steps; i++)
        if (p->step[i].above_tokens <= p->step[i - 1].above_tokens)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct price_list *l = price_list_new(price_list_builtin());
    struct str json = {(const char *)data, size};
    struct price_import done;
    struct err e = {0};
    int rc = price_import(l, json, &done, &e);
    if (rc < 0 && !e.text[0])
        abort();
    price_list_each(l, check, NULL);
    const struct price *p = price_find(l, STR("gemini"), str_first(json, 100));
    if (p)
        check(NULL, p);
    price_list_free(l);
    return 0;
}
