/* billed.c: see billed.h. One table of words for both directions. */
#include "proxy/meter/billed.h"

#include <stdio.h>

static const char *const tier_words[TIER_COUNT] = {"", "batch", "flex", "priority"};
static const char *const factor_words[FACTOR_COUNT] = {
#define X(name, key, word) word,
#include "proxy/config/price_factors.def"
#undef X
};

#define DRAWN_WITH "image_gen"

/* Whole counts, and those kept in thousandths. */
static const struct {
    const char *word;
    size_t offset;
    bool milli;
} counts[] = {
#define COUNT(name) {#name, offsetof(struct usage, name), false},
    COUNT(searches)
    COUNT(requests)
    COUNT(image_in)
    COUNT(image_out)
    COUNT(video_in)
    COUNT(video_out)
    COUNT(audio_cached)
    COUNT(image_cached)
    COUNT(citations)
    COUNT(extra_input)
    COUNT(earlier_nano)
#undef COUNT
#define DRAWN(name) {"image_gen_" #name, offsetof(struct usage, drawn.name), false},
    DRAWN(input)
    DRAWN(cached)
    DRAWN(image_in)
    DRAWN(output)
    DRAWN(image_out)
#undef DRAWN
#define X(name, key, counted)                                                                      \
    {counted, offsetof(struct usage, unit_milli) + UNIT_##name * sizeof(int64_t), true},
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

/* "searches:2", "seconds_in:12.5" */
static void put_count(char *out, size_t size, size_t i, int64_t n)
{
    char word[64];
    if (counts[i].milli && n % 1000)
        snprintf(word, sizeof word, "%s:%lld.%03d", counts[i].word, (long long)(n / 1000),
            (int)(n % 1000));
    else
        snprintf(word, sizeof word, "%s:%lld", counts[i].word,
            (long long)(counts[i].milli ? n / 1000 : n));
    put(out, size, word);
}

void billed_write(const struct usage *u, enum price_tier tier, char *out, size_t size)
{
    struct usage copy = *u;
    *out = '\0';
    if (tier != TIER_DEFAULT)
        put(out, size, tier_words[tier]);
    for (int i = 0; i < FACTOR_COUNT; i++)
        if (u->served[i])
            put(out, size, factor_words[i]);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        if (*count_of(&copy, i) > 0)
            put_count(out, size, i, *count_of(&copy, i));
    if (u->drawn.model[0] && (u->drawn.input || u->drawn.output)) {
        char word[sizeof DRAWN_WITH + sizeof u->drawn.model];
        snprintf(word, sizeof word, DRAWN_WITH ":%s", u->drawn.model);
        put(out, size, word);
    }
}

static void read_count(struct str name, struct str number, struct usage *u)
{
    int64_t n;
    bool rounded;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        if (!str_eq(name, str_c(counts[i].word)))
            continue;
        /* a decimal in thousandths: as a rate a 1e12th of which is wanted */
        int rc = counts[i].milli ? price_parse_rate(number, 1000000000000, &n, &rounded)
                                 : (str_to_i64(number, &n) ? 0 : -ERR_SYNTAX);
        if (rc == 0 && n >= 0)
            *count_of(u, i) = n;
    }
}

void billed_read(struct str text, struct usage *u, enum price_tier *tier)
{
    struct str word, name;
    *tier = TIER_DEFAULT;
    while (text.n && str_cut(&text, ' ', &word)) {
        for (int t = TIER_BATCH; t < TIER_COUNT; t++)
            if (str_eq(word, str_c(tier_words[t])))
                *tier = (enum price_tier)t;
        for (int i = 0; i < FACTOR_COUNT; i++)
            u->served[i] |= str_eq(word, str_c(factor_words[i]));
        if (!str_cut(&word, ':', &name) || !word.p)
            continue;
        if (str_eq(name, STR(DRAWN_WITH)))
            str_copy(u->drawn.model, sizeof u->drawn.model, word);
        else
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
