/* Fuzz: any line is either refused with a column or gives a predicate that can be asked. */
#include "proxy/admin/filter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct record r = {.id = STR("01j"), .key = STR("ci-bot"), .model = STR("gpt-5"),
        .provider = STR("openai"), .tags = STR("env:prod,,x"), .status = 200, .total_us = 5};
    struct filter f;
    struct err e = {0};
    struct str v;
    if (filter_parse(&f, str_n((const char *)data, size), 1000000, &e) < 0) {
        if (!str_starts(str_c(e.text), STR("column ")))
            abort();
        return 0;
    }
    (void)filter_match(&f, &r);
    (void)filter_equal(&f, "key", &v);
    return 0;
}
