/* billed.c: see billed.h. One table of words for both directions. */
#include "proxy/meter/billed.h"

#include <stdio.h>

static const char *const tier_words[TIER_COUNT] = {"", "batch", "flex", "priority"};

static const struct {
    const char *word;
    size_t offset;
} counts[] = {
#define COUNT(name) {#name, offsetof(struct usage, name)},
    COUNT(searches)
    COUNT(requests)
    COUNT(image_in)
    COUNT(image_out)
    COUNT(extra_input)
#undef COUNT
#define X(name, key, counted)                                                                      \
    {counted, offsetof(struct usage, unit_milli) + UNIT_##name * sizeof(int64_t)},
#include "proxy/config/price_units.def"
#undef X
};

static int64_t *count_of(struct usage *u, size_t i)
{
    return (int64_t *)(void *)((char *)u + counts[i].offset);
}

/* Appends a word when it fits whole. */
static void put(char *out, size_t size, const char *word)
{
    size_t n = strlen(out), more = strlen(word) + (n > 0);
    if (n + more < size)
        snprintf(out + n, size - n, "%s%s", n ? " " : "", word);
}

void billed_write(const struct usage *u, enum price_tier tier, char *out, size_t size)
{
    struct usage copy = *u;
    char word[64];
    *out = '\0';
    if (tier != TIER_DEFAULT)
        put(out, size, tier_words[tier]);
    if (u->served_us)
        put(out, size, "us");
    if (u->served_fast)
        put(out, size, "fast");
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        if (*count_of(&copy, i) <= 0)
            continue;
        snprintf(word, sizeof word, "%s:%lld", counts[i].word, (long long)*count_of(&copy, i));
        put(out, size, word);
    }
}

static void read_count(struct str name, struct str number, struct usage *u)
{
    int64_t n;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        if (str_eq(name, str_c(counts[i].word)) && str_to_i64(number, &n) && n >= 0)
            *count_of(u, i) = n;
}

void billed_read(struct str text, struct usage *u, enum price_tier *tier)
{
    struct str word, name;
    *tier = TIER_DEFAULT;
    while (text.n && str_cut(&text, ' ', &word)) {
        for (int t = TIER_BATCH; t < TIER_COUNT; t++)
            if (str_eq(word, str_c(tier_words[t])))
                *tier = (enum price_tier)t;
        u->served_us |= str_eq(word, STR("us"));
        u->served_fast |= str_eq(word, STR("fast"));
        if (str_cut(&word, ':', &name) && word.p)
            read_count(name, word, u);
    }
}

struct usage billed_record(const struct record *r, enum price_tier *tier)
{
    struct usage u = {.input = r->input_tokens, .cached = r->cached_tokens,
        .cache_write_5m = r->cache_write_tokens - r->cache_write_1h_tokens,
        .cache_write_1h = r->cache_write_1h_tokens, .output = r->output_tokens,
        .reasoning = r->reasoning_tokens, .audio_in = r->audio_input_tokens,
        .audio_out = r->audio_output_tokens};
    billed_read(r->billed, &u, tier);
    return u;
}
