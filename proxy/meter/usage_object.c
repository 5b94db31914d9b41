/* usage_object.c: one usage object of any known shape → struct usage.
 *
 * Every provider spells its counts differently, and some names mean different things:
 * `input_tokens` holds the cache in the Responses API and leaves it out at Anthropic;
 * `completion_tokens` leaves the reasoning out at xAI. The members are therefore first collected by
 * name (member_rows), then put together by rules that look at which of them came together. */
#include "proxy/meter/usage_object.h"
#include "proxy/meter/price.h"

enum seen {
    S_PROMPT,        /* all input, cache included */
    S_INPUT,         /* OpenAI Responses: all; Anthropic: without cache */
    S_INPUT_BARE,    /* Bedrock converse: without cache */
    S_OUTPUT,
    S_TOTAL,
    S_CACHED,
    S_WRITE,
    S_WRITE_5M,
    S_WRITE_1H,
    S_REASONING,
    S_THOUGHTS,      /* Gemini: reasoning beside the output */
    S_TOOL_INPUT,
    S_AUDIO_IN,
    S_AUDIO_OUT,
    S_IMAGE_IN,
    S_IMAGE_OUT,
    S_VIDEO_IN,
    S_VIDEO_OUT,
    S_TEXT_OUT,      /* only to know that the output's parts were stated */
    S_AUDIO_CACHED,
    S_IMAGE_CACHED,
    S_WRITE_24H,
    S_CITATIONS,
    S_SEARCHES,
    S_MORE_SEARCHES, /* xAI: those on X */
    S_SEARCH_SIZE,   /* Perplexity: 1 low, 2 medium, 3 high; one search a request */
    S_FILE_SEARCHES,
    S_STORE_SEARCHES, /* xAI: in collections of documents */
    S_ANNOTATED,
    S_CREDITS,       /* in thousandths */
    S_AUDIO_SECONDS, /* Mistral: audio stands beside the prompt */
    S_SECONDS,       /* a transcription billed by time, in ms */
    S_PAGES,
    S_REQUESTS,      /* a rerank's search units */
    S_DETAILS,       /* an OpenAI-like details object came: input includes the cache */
    S_BYOK,
    S_US,            /* Anthropic: inference_geo "us" */
    S_FAST,          /* Anthropic: speed "fast" */
    S_COST,          /* femto-USD */
    S_MARKET_COST,   /* Vercel: what it would have cost without a key of one's own */
    S_UPSTREAM_COST, /* femto-USD; what the key's owner pays the provider behind a router */
    S_COUNT
};
_Static_assert((int)S_COUNT <= (int)USAGE_PARTS, "grow USAGE_PARTS");

enum { TOKENS_MAX_BITS = 40 };

static bool has(const struct usage_parts *s, enum seen m)
{
    return s->have >> m & 1;
}

static int64_t value(const struct usage_parts *s, enum seen m)
{
    return has(s, m) ? s->v[m] : 0;
}

static void put(struct usage_parts *s, enum seen m, int64_t v)
{
    s->v[m] = v;
    s->have |= (uint64_t)1 << m;
}

/* "12.7" → 12, "-3" → 0, "1e308" → the ceiling: nonsense is bounded, never believed. */
bool usage_number(struct json_span v, int64_t *out)
{
    const int64_t most = (int64_t)1 << TOKENS_MAX_BITS;
    if (v.type != JSON_NUMBER)
        return false;
    int64_t n = 0;
    int rc = json_i64(v, &n);
    if (rc == -ERR_TYPE) {
        ptrdiff_t point = str_chr(v.raw, '.');
        struct str whole = str_first(v.raw, point < 0 ? 0 : (size_t)point);
        if (memchr(v.raw.p, 'e', v.raw.n) || memchr(v.raw.p, 'E', v.raw.n) ||
            !str_to_i64(whole, &n))
            return false;
    } else if (rc < 0) {
        n = most;
    }
    *out = *v.raw.p == '-' || n < 0 ? 0 : MIN(n, most);
    return true;
}

static void put_number(struct usage_parts *s, enum seen m, struct json_span v)
{
    int64_t n;
    if (usage_number(v, &n))
        put(s, m, n);
}

static bool usd_femto(struct json_span v, int64_t *femto)
{
    bool rounded;
    struct str text = v.type == JSON_STRING && v.raw.n > 2 ? str_n(v.raw.p + 1, v.raw.n - 2) : v.raw;
    return (v.type == JSON_NUMBER || v.type == JSON_STRING) && text.n < 40 &&
           price_parse_rate(text, 1, femto, &rounded) == 0 && *femto >= 0;
}

void usage_parts_cost(struct usage_parts *s, struct json_span cost)
{
    int64_t femto;
    if (cost.type == JSON_OBJECT) {
        struct json_want w[] = {{STR("total_cost")}, {STR("usd")}};
        if (json_scan(cost.raw, w, 2) == 0)
            cost = w[0].count ? w[0].value : w[1].value;
    }
    if (usd_femto(cost, &femto))
        put(s, S_COST, femto);
}

static void read_ticks(struct usage_parts *s, struct json_span v)
{
    int64_t ticks; /* xAI: 1e-10 USD */
    if (json_i64(v, &ticks) == 0 && ticks >= 0 && ticks <= INT64_MAX / 100000)
        put(s, S_COST, ticks * 100000);
}

static void read_cost_details(struct usage_parts *s, struct json_span v)
{
    int64_t femto;
    if (usd_femto(json_get(v.raw, STR("upstream_inference_cost")), &femto))
        put(s, S_UPSTREAM_COST, femto);
}

static void read_market_cost(struct usage_parts *s, struct json_span v)
{
    int64_t femto;
    if (usd_femto(v, &femto))
        put(s, S_MARKET_COST, femto);
}

static void read_audio_seconds(struct usage_parts *s, struct json_span v)
{
    if (v.type == JSON_NUMBER)
        put(s, S_AUDIO_SECONDS, 1);
}

/* "3.4" or 3.4 → 3400; up to 4 months where it means seconds. */
static void put_milli(struct usage_parts *s, enum seen to, struct json_span v)
{
    int64_t milli;
    bool rounded;
    struct str text = v.type == JSON_STRING && v.raw.n > 2 ? str_n(v.raw.p + 1, v.raw.n - 2) : v.raw;
    if ((v.type == JSON_NUMBER || v.type == JSON_STRING) && text.n < 20 &&
        price_parse_rate(text, 1000000000000, &milli, &rounded) == 0 && milli >= 0)
        put(s, to, MIN(milli, (int64_t)10000000000));
}

static void put_seconds(struct usage_parts *s, struct json_span v)
{
    put_milli(s, S_SECONDS, v);
}

static void put_credits(struct usage_parts *s, struct json_span v)
{
    put_milli(s, S_CREDITS, v);
}

static void read_geo(struct usage_parts *s, struct json_span v)
{
    put(s, S_US, json_text_eq(v, STR("us")));
}

static void read_speed(struct usage_parts *s, struct json_span v)
{
    put(s, S_FAST, json_text_eq(v, STR("fast")));
}

static void read_byok(struct usage_parts *s, struct json_span v)
{
    put(s, S_BYOK, json_is_true(v));
}

/* [{"modality":"AUDIO","tokenCount":12}] */
struct modality {
    const char *name;
    enum seen to;
};

static void read_modalities(struct usage_parts *s, struct json_span v, const struct modality *m)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, e;
    while (!it.object && json_next(&it, &k, &e)) {
        struct json_span modality = json_get(e.raw, STR("modality"));
        for (const struct modality *at = m; at->name; at++)
            if (json_text_eq(modality, str_c(at->name)))
                put_number(s, at->to, json_get(e.raw, STR("tokenCount")));
    }
}

static void read_prompt_modalities(struct usage_parts *s, struct json_span v)
{
    static const struct modality in[] = {
        {"AUDIO", S_AUDIO_IN}, {"IMAGE", S_IMAGE_IN}, {"VIDEO", S_VIDEO_IN}, {NULL, S_COUNT}};
    read_modalities(s, v, in);
}

static void read_answer_modalities(struct usage_parts *s, struct json_span v)
{
    static const struct modality out[] = {{"AUDIO", S_AUDIO_OUT}, {"IMAGE", S_IMAGE_OUT},
        {"VIDEO", S_VIDEO_OUT}, {"TEXT", S_TEXT_OUT}, {NULL, S_COUNT}};
    read_modalities(s, v, out);
}

static void read_cached_modalities(struct usage_parts *s, struct json_span v)
{
    static const struct modality cached[] = {
        {"AUDIO", S_AUDIO_CACHED}, {"IMAGE", S_IMAGE_CACHED}, {NULL, S_COUNT}};
    read_modalities(s, v, cached);
}

/* Bedrock: [{"ttl":"1h","inputTokens":12}]; what is not named there lives for 5 minutes. */
static void read_cache_lives(struct usage_parts *s, struct json_span v)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, e;
    while (!it.object && json_next(&it, &k, &e))
        if (json_text_eq(json_get(e.raw, STR("ttl")), STR("1h")))
            put_number(s, S_WRITE_1H, json_get(e.raw, STR("inputTokens")));
}

static void read_search_size(struct usage_parts *s, struct json_span v)
{
    static const char *const sizes[] = {"low", "medium", "high"};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        if (json_text_eq(v, str_c(sizes[i])))
            put(s, S_SEARCH_SIZE, (int64_t)i + 1);
}

/* A member: a number that goes to `to`, or something that `read` looks into. */
struct member_row {
    struct str key;
    enum seen to;
    void (*read)(struct usage_parts *s, struct json_span v);
};
#define NUMBER(key, to) {{key, sizeof(key) - 1}, to, NULL}
#define INSIDE(key, read) {{key, sizeof(key) - 1}, S_COUNT, read}

/* False: no row has that name. */
static bool read_member(struct usage_parts *s, struct json_span k, struct json_span v,
    const struct member_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (k.raw.n != rows[i].key.n + 2 ||
            memcmp(k.raw.p + 1, rows[i].key.p, rows[i].key.n) != 0)
            continue;
        if (rows[i].read)
            rows[i].read(s, v);
        else
            put_number(s, rows[i].to, v);
        return true;
    }
    return false;
}

static void read_members(struct usage_parts *s, struct str object, const struct member_row *rows,
    size_t n)
{
    struct json_iter it = json_iter(object);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v))
        read_member(s, k, v, rows, n);
}

static void read_cached_details(struct usage_parts *s, struct json_span v)
{
    static const struct member_row rows[] = {
        NUMBER("audio_tokens", S_AUDIO_CACHED),
        NUMBER("image_tokens", S_IMAGE_CACHED),
    };
    read_members(s, v.raw, rows, ARRAY_LEN(rows));
}

static void read_input_details(struct usage_parts *s, struct json_span v)
{
    static const struct member_row rows[] = {
        NUMBER("cached_tokens", S_CACHED),
        NUMBER("cache_write_tokens", S_WRITE),
        NUMBER("audio_tokens", S_AUDIO_IN),
        NUMBER("image_tokens", S_IMAGE_IN),
        NUMBER("video_tokens", S_VIDEO_IN),
        INSIDE("cached_tokens_details", read_cached_details),
    };
    if (v.type != JSON_OBJECT)
        return;
    put(s, S_DETAILS, 1);
    read_members(s, v.raw, rows, ARRAY_LEN(rows));
}

static void read_output_details(struct usage_parts *s, struct json_span v)
{
    static const struct member_row rows[] = {
        NUMBER("reasoning_tokens", S_REASONING),
        NUMBER("thinking_tokens", S_REASONING),
        NUMBER("audio_tokens", S_AUDIO_OUT),
        NUMBER("image_tokens", S_IMAGE_OUT),
        NUMBER("video_tokens", S_VIDEO_OUT),
        NUMBER("text_tokens", S_TEXT_OUT),
    };
    read_members(s, v.raw, rows, ARRAY_LEN(rows));
}

static void read_cache_creation(struct usage_parts *s, struct json_span v)
{
    static const struct member_row rows[] = {
        NUMBER("ephemeral_5m_input_tokens", S_WRITE_5M),
        NUMBER("ephemeral_1h_input_tokens", S_WRITE_1H),
        NUMBER("ephemeral_24h_input_tokens", S_WRITE_24H),
    };
    read_members(s, v.raw, rows, ARRAY_LEN(rows));
}

static void read_server_tools(struct usage_parts *s, struct json_span v)
{
    static const struct member_row rows[] = {
        NUMBER("web_search_requests", S_SEARCHES),
        NUMBER("web_search_calls", S_SEARCHES),
        NUMBER("x_search_calls", S_MORE_SEARCHES),
        NUMBER("file_search_calls", S_FILE_SEARCHES),
        NUMBER("document_search_calls", S_STORE_SEARCHES),
    };
    read_members(s, v.raw, rows, ARRAY_LEN(rows));
}

static const struct member_row usage_rows[] = {
    NUMBER("prompt_tokens", S_PROMPT),
    NUMBER("completion_tokens", S_OUTPUT),
    NUMBER("total_tokens", S_TOTAL),
    NUMBER("input_tokens", S_INPUT),
    NUMBER("output_tokens", S_OUTPUT),
    INSIDE("prompt_tokens_details", read_input_details),
    INSIDE("input_tokens_details", read_input_details),
    INSIDE("input_token_details", read_input_details), /* OpenAI's transcriptions */
    INSIDE("output_token_details", read_output_details),
    INSIDE("completion_tokens_details", read_output_details),
    INSIDE("output_tokens_details", read_output_details),
    NUMBER("cache_read_input_tokens", S_CACHED),
    NUMBER("cache_creation_input_tokens", S_WRITE),
    INSIDE("cache_creation", read_cache_creation),
    INSIDE("server_tool_use", read_server_tools),
    INSIDE("inference_geo", read_geo),
    INSIDE("speed", read_speed),
    /* one level up where others have it in the details */
    NUMBER("cached_tokens", S_CACHED),           /* Moonshot, Together */
    NUMBER("num_cached_tokens", S_CACHED),       /* Mistral */
    INSIDE("seconds", put_seconds),              /* OpenAI's whisper */
    NUMBER("pages_processed", S_PAGES),          /* Mistral's OCR */
    NUMBER("pages_processed_annotation", S_ANNOTATED),
    NUMBER("search_units", S_REQUESTS),          /* Cohere's rerank */
    INSIDE("credits", put_credits),              /* Reducto */
    NUMBER("citation_tokens", S_CITATIONS),      /* Perplexity */
    NUMBER("num_search_queries", S_SEARCHES),
    INSIDE("search_context_size", read_search_size),
    NUMBER("prompt_cache_hit_tokens", S_CACHED), /* DeepSeek */
    NUMBER("reasoning_tokens", S_REASONING),
    INSIDE("prompt_audio_seconds", read_audio_seconds),
    INSIDE("cost", usage_parts_cost),             /* OpenRouter, Vercel, Avian, Perplexity */
    INSIDE("market_cost", read_market_cost),      /* Vercel */
    INSIDE("cost_in_usd_ticks", read_ticks),
    INSIDE("cost_details", read_cost_details),
    INSIDE("is_byok", read_byok),
    INSIDE("server_side_tool_usage_details", read_server_tools), /* xAI */
    /* Gemini */
    NUMBER("promptTokenCount", S_PROMPT),
    NUMBER("candidatesTokenCount", S_OUTPUT),
    NUMBER("responseTokenCount", S_OUTPUT),
    NUMBER("totalTokenCount", S_TOTAL),
    NUMBER("cachedContentTokenCount", S_CACHED),
    NUMBER("thoughtsTokenCount", S_THOUGHTS),
    NUMBER("toolUsePromptTokenCount", S_TOOL_INPUT),
    INSIDE("promptTokensDetails", read_prompt_modalities),
    INSIDE("candidatesTokensDetails", read_answer_modalities),
    INSIDE("responseTokensDetails", read_answer_modalities),
    INSIDE("cacheTokensDetails", read_cached_modalities),
    /* Bedrock converse, Ollama's own form */
    NUMBER("inputTokens", S_INPUT_BARE),
    NUMBER("outputTokens", S_OUTPUT),
    NUMBER("cacheReadInputTokens", S_CACHED),
    NUMBER("cacheWriteInputTokens", S_WRITE),
    INSIDE("cacheDetails", read_cache_lives),
    NUMBER("prompt_eval_count", S_PROMPT),
    NUMBER("eval_count", S_OUTPUT),
};

/* Anthropic, with compaction: the outer counts leave iterations out, the bill is their sum. */
static void read_iterations(struct usage_parts *s, struct json_span v)
{
    static const enum seen summed[] = {
        S_INPUT, S_OUTPUT, S_CACHED, S_WRITE, S_WRITE_5M, S_WRITE_1H};
    struct usage_parts sum = {0};
    struct json_iter it = json_iter(v.raw);
    struct json_span k, e;
    while (!it.object && json_next(&it, &k, &e)) {
        struct usage_parts one = {0};
        read_members(&one, e.raw, usage_rows, ARRAY_LEN(usage_rows));
        for (size_t i = 0; i < ARRAY_LEN(summed); i++)
            if (has(&one, summed[i]))
                put(&sum, summed[i], MIN(value(&sum, summed[i]) + one.v[summed[i]],
                                         (int64_t)1 << TOKENS_MAX_BITS));
    }
    for (size_t i = 0; i < ARRAY_LEN(summed); i++)
        if (has(&sum, summed[i]))
            put(s, summed[i], sum.v[summed[i]]);
}

static bool names_tier(struct json_span k)
{
    return json_text_eq(k, STR("service_tier")) || json_text_eq(k, STR("serviceTier")) ||
           json_text_eq(k, STR("trafficType"));
}

struct json_span usage_parts_read(struct usage_parts *s, struct str object)
{
    struct json_span iterations = {0}, tier = {0}, k, v;
    struct json_iter it = json_iter(object);
    while (it.object && json_next(&it, &k, &v)) {
        if (read_member(s, k, v, usage_rows, ARRAY_LEN(usage_rows)))
            continue;
        if (json_text_eq(k, STR("iterations")))
            iterations = v;
        else if (v.type == JSON_STRING && names_tier(k))
            tier = v;
    }
    if (iterations.type == JSON_ARRAY) /* after the outer members, whatever their order */
        read_iterations(s, iterations);
    return tier;
}

void usage_parts_raw(struct usage_parts *s, struct str body)
{
    struct json_want w[] = {{STR("duration")}, {STR("usage_info")}, {STR("meta")}};
    if (json_scan(body, w, ARRAY_LEN(w)) < 0)
        return;
    if (w[0].count && !has(s, S_SECONDS)) /* a transcription in full words */
        put_seconds(s, w[0].value);
    if (w[1].value.type == JSON_OBJECT)
        usage_parts_read(s, w[1].value.raw);
    struct json_span units = json_get(w[2].value.raw, STR("billed_units"));
    if (units.type == JSON_OBJECT)
        usage_parts_read(s, units.raw);
}

static void normalise_input(const struct usage_parts *s, struct usage *u)
{
    bool bare =
        has(s, S_INPUT_BARE) || (has(s, S_INPUT) && !has(s, S_PROMPT) && !has(s, S_DETAILS));
    int64_t stated = has(s, S_PROMPT) ? value(s, S_PROMPT)
                   : has(s, S_INPUT)  ? value(s, S_INPUT) : value(s, S_INPUT_BARE);
    int64_t long_write = value(s, S_WRITE_1H) + value(s, S_WRITE_24H);
    int64_t write = MAX(value(s, S_WRITE), value(s, S_WRITE_5M) + long_write);
    u->input = bare ? stated + value(s, S_CACHED) + write : stated;
    u->cached = MIN(value(s, S_CACHED), u->input); /* Azure's grok: cached 403 of 347 */
    write = MIN(write, u->input); /* may overlap with what was read (Gemini at OpenRouter) */
    u->cache_write_1h = MIN(long_write, write);
    u->cache_write_5m = write - u->cache_write_1h;
    u->audio_in = MIN(value(s, S_AUDIO_IN), u->input);
    u->image_in = MIN(value(s, S_IMAGE_IN), u->input - u->audio_in);
    u->video_in = MIN(value(s, S_VIDEO_IN), u->input - u->audio_in - u->image_in);
    u->audio_cached = MIN(value(s, S_AUDIO_CACHED), MIN(u->cached, u->audio_in));
    u->image_cached = MIN(value(s, S_IMAGE_CACHED), MIN(u->cached - u->audio_cached, u->image_in));
    u->citations = value(s, S_CITATIONS);
    u->extra_input = value(s, S_TOOL_INPUT);
}

static void normalise_output(const struct usage_parts *s, unsigned quirks, struct usage *u)
{
    int64_t sum = value(s, S_PROMPT) + value(s, S_OUTPUT), beside = value(s, S_TOTAL) - sum;
    u->output = value(s, S_OUTPUT) + value(s, S_THOUGHTS);
    u->reasoning = MAX(value(s, S_REASONING), value(s, S_THOUGHTS));
    if (has(s, S_PROMPT) && has(s, S_TOTAL) && beside > 0 && !has(s, S_THOUGHTS)) {
        if (has(s, S_REASONING) && beside == value(s, S_REASONING))
            u->output += beside; /* xAI */
        else if (has(s, S_AUDIO_SECONDS) && beside == value(s, S_AUDIO_IN))
            u->extra_input += beside; /* Mistral */
        else if (quirks & QUIRK_OUTPUT_WITHOUT_REASONING)
            u->reasoning = MAX(u->reasoning, beside), u->output += beside; /* Gemini as OpenAI */
    }
    u->audio_out = MIN(value(s, S_AUDIO_OUT), u->output);
    u->image_out = MIN(value(s, S_IMAGE_OUT), u->output - u->audio_out);
    u->video_out = MIN(value(s, S_VIDEO_OUT), u->output - u->audio_out - u->image_out);
    u->output_split = has(s, S_IMAGE_OUT) || has(s, S_TEXT_OUT);
}

/* With a key of one's own behind a router the stated cost is the router's fee alone. */
static void normalise_cost(const struct usage_parts *s, struct usage *u)
{
    int64_t cost = value(s, S_COST);
    bool whole = has(s, S_COST);
    if (value(s, S_BYOK)) {
        whole = has(s, S_UPSTREAM_COST) && value(s, S_UPSTREAM_COST) <= INT64_MAX - cost;
        cost += whole ? value(s, S_UPSTREAM_COST) : 0;
    }
    if (whole && cost == 0 && value(s, S_MARKET_COST) > 0)
        cost = value(s, S_MARKET_COST);
    u->have_cost = whole && (cost > 0 || u->input + u->output == 0);
    u->provider_cost_femto = u->have_cost ? cost : 0;
}

void usage_searched(struct usage *u, int64_t searches, enum search_size size)
{
    u->searches = size == SEARCH_MEDIUM ? searches : 0;
    u->unit_milli[UNIT_search_low] = size == SEARCH_LOW ? searches * 1000 : 0;
    u->unit_milli[UNIT_search_high] = size == SEARCH_HIGH ? searches * 1000 : 0;
}

static void normalise_searches(const struct usage_parts *s, struct usage *u)
{
    int64_t size = value(s, S_SEARCH_SIZE), n = value(s, S_SEARCHES) + value(s, S_MORE_SEARCHES);
    if (size && !has(s, S_SEARCHES))
        n = 1;
    usage_searched(u, n, size == 1 ? SEARCH_LOW : size == 3 ? SEARCH_HIGH : SEARCH_MEDIUM);
    u->unit_milli[UNIT_file_search] =
        (value(s, S_FILE_SEARCHES) + value(s, S_STORE_SEARCHES)) * 1000;
}

bool usage_parts_normalise(const struct usage_parts *s, unsigned quirks, struct usage *u)
{
    *u = (struct usage){0};
    u->have_input = has(s, S_PROMPT) || has(s, S_INPUT) || has(s, S_INPUT_BARE);
    u->have_usage = u->have_input || has(s, S_OUTPUT) || has(s, S_SECONDS) || has(s, S_PAGES) ||
                    has(s, S_REQUESTS) || has(s, S_CREDITS);
    normalise_input(s, u);
    normalise_output(s, quirks, u);
    u->requests = value(s, S_REQUESTS);
    u->unit_milli[UNIT_second_in] = value(s, S_SECONDS);
    u->unit_milli[UNIT_page] = value(s, S_PAGES) * 1000;
    u->unit_milli[UNIT_annotated_page] = value(s, S_ANNOTATED) * 1000;
    u->unit_milli[UNIT_credit] = value(s, S_CREDITS);
    u->served[FACTOR_us] = value(s, S_US);
    u->served[FACTOR_fast] = value(s, S_FAST);
    normalise_searches(s, u);
    normalise_cost(s, u);
    return u->have_usage;
}

bool usage_object(struct str object, unsigned quirks, struct usage *u)
{
    struct usage_parts seen = {0};
    usage_parts_read(&seen, object);
    return usage_parts_normalise(&seen, quirks, u);
}
