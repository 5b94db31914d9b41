/* From a provider's own words to nano-USD: an entry of LiteLLM's price file and an answer, for each
 * thing that is billed; and that no price of the file is dropped in silence. */
#include "proxy/meter/billed.h"
#include "proxy/meter/price.h"
#include "store/base/err.h"
#include "store/base/json_span.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Prices are written as in the file, times a million: 2 is 2e-06 USD a token. */
static struct price_list *list_of(const char *entry)
{
    char json[2000];
    struct price_import done;
    struct err e = {0};
    struct price_list *l = price_list_new(NULL);
    int n = snprintf(json, sizeof json, "{\"m\":{%s\"mode\":\"chat\",%s}}",
        strstr(entry, "litellm_provider") ? "" : "\"litellm_provider\":\"x\",", entry);
    assert_true(n > 0 && (size_t)n < sizeof json);
    if (price_import(l, str_c(json), &done, &e) < 0)
        fail_msg("%s: %s", entry, e.text);
    assert_int_equal(done.not_carried_count, 0);
    return l;
}

static struct usage used(enum wire wire, const char *answer, enum price_tier *tier)
{
    struct usage_reader r;
    usage_reader_init(&r, wire, 0);
    usage_body(&r, str_c(answer));
    usage_finish(&r);
    *tier = price_tier_from(str_c(r.service_tier));
    return r.usage;
}

/* The bill, and the same once more from what a record keeps. */
static void bills(const char *what, const struct price *p, const struct usage *u,
    enum price_tier tier, int64_t nano)
{
    char text[200];
    struct record record = {0};
    enum price_tier kept;
    int64_t cost = price_cost(p, u, tier);
    if (cost != nano)
        fail_msg("%s: %lld nano-USD, wanted %lld", what, (long long)cost, (long long)nano);
    billed_write(u, tier, text, sizeof text);
    record.billed = str_c(text);
    record.input_tokens = u->input;
    record.cached_tokens = u->cached;
    record.cache_write_tokens = u->cache_write_5m + u->cache_write_1h;
    record.cache_write_1h_tokens = u->cache_write_1h;
    record.output_tokens = u->output;
    record.reasoning_tokens = u->reasoning;
    record.audio_input_tokens = u->audio_in;
    record.audio_output_tokens = u->audio_out;
    struct usage again = billed_record(&record, &kept);
    if (price_cost(p, &again, kept) != nano)
        fail_msg("%s: from its record (%s) %lld nano-USD, wanted %lld", what, text,
            (long long)price_cost(p, &again, kept), (long long)nano);
}

#define IO "\"input_cost_per_token\":1e-06,\"output_cost_per_token\":2e-06"
#define CHAT(details) "{\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100," details "}}"
#define RESPONSE(output) "{\"object\":\"response\",\"status\":\"completed\",\"output\":[" output \
    "],\"usage\":{\"input_tokens\":1000,\"output_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":0}}}"
#define GEMINI(candidate, usage) "{\"candidates\":[{" candidate "}],\"usageMetadata\":{" \
    "\"promptTokenCount\":1000,\"candidatesTokenCount\":100" usage "}}"
#define SEARCH(low, medium, high) "\"search_context_cost_per_query\":{\"search_context_size_low\":" low \
    ",\"search_context_size_medium\":" medium ",\"search_context_size_high\":" high "}"

enum { TEXT_NANO = 1000000 + 200000 }; /* 1,000 tokens in, 100 out */

static const struct {
    const char *what, *entry;
    enum wire wire;
    const char *answer;
    int64_t nano;
} rows[] = {
    {"text", IO, WIRE_CHAT, CHAT("\"total_tokens\":1100"), TEXT_NANO},
    {"cached audio and text", IO ",\"cache_read_input_token_cost\":1e-07,\"input_cost_per_audio_token\":1e-05,"
        "\"cache_read_input_audio_token_cost\":5e-07", WIRE_CHAT,
        CHAT("\"prompt_tokens_details\":{\"audio_tokens\":400,\"cached_tokens\":300,"
             "\"cached_tokens_details\":{\"text_tokens\":100,\"audio_tokens\":200}}"),
        500000 + 10000 + 2000000 + 100000 + 200000},
    {"cached audio by its older name", IO ",\"cache_read_input_token_cost\":1e-07,\"input_cost_per_audio_token\":1e-05,"
        "\"cache_creation_input_audio_token_cost\":5e-07", WIRE_CHAT,
        CHAT("\"prompt_tokens_details\":{\"audio_tokens\":400,\"cached_tokens\":300,"
             "\"cached_tokens_details\":{\"audio_tokens\":200}}"),
        500000 + 10000 + 2000000 + 100000 + 200000},
    {"cached audio without a price of its own", IO ",\"cache_read_input_token_cost\":1e-07,\"input_cost_per_audio_token\":1e-05",
        WIRE_CHAT, CHAT("\"prompt_tokens_details\":{\"audio_tokens\":400,\"cached_tokens\":300,"
             "\"cached_tokens_details\":{\"audio_tokens\":200}}"),
        500000 + 30000 + 2000000 + 200000},
    {"Gemini's cached audio", IO ",\"cache_read_input_token_cost\":1e-07,\"input_cost_per_audio_token\":1e-05,"
        "\"cache_read_input_audio_token_cost\":5e-07", WIRE_GENERATE,
        GEMINI("\"finishReason\":\"STOP\"", ",\"cachedContentTokenCount\":300,"
            "\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":600},{\"modality\":\"AUDIO\",\"tokenCount\":400}],"
            "\"cacheTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":200},{\"modality\":\"TEXT\",\"tokenCount\":100}]"),
        500000 + 10000 + 2000000 + 100000 + 200000},
    {"cached images", IO ",\"cache_read_input_token_cost\":1e-07,\"input_cost_per_image_token\":1e-05,"
        "\"cache_read_input_image_token_cost\":5e-07", WIRE_CHAT,
        CHAT("\"prompt_tokens_details\":{\"image_tokens\":400,\"cached_tokens\":300,"
             "\"cached_tokens_details\":{\"image_tokens\":200}}"),
        500000 + 10000 + 2000000 + 100000 + 200000},
    {"audio of a transcription", IO ",\"input_cost_per_audio_token\":6e-06", WIRE_RAW,
        "{\"text\":\"hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":"
        "{\"text_tokens\":4,\"audio_tokens\":10},\"output_tokens\":45,\"total_tokens\":59}}",
        4000 + 60000 + 90000},
    {"images made, text beside", IO ",\"input_cost_per_image_token\":8e-06,\"output_cost_per_image_token\":3.2e-05",
        WIRE_RAW, "{\"data\":[],\"usage\":{\"input_tokens\":50,\"output_tokens\":300,\"total_tokens\":350,"
        "\"input_tokens_details\":{\"text_tokens\":10,\"image_tokens\":40},"
        "\"output_tokens_details\":{\"text_tokens\":28,\"image_tokens\":272}}}",
        10000 + 320000 + 56000 + 8704000},
    {"Gemini's images", IO ",\"output_cost_per_image_token\":3e-05", WIRE_GENERATE,
        GEMINI("\"finishReason\":\"STOP\"", ",\"candidatesTokensDetails\":[{\"modality\":\"IMAGE\",\"tokenCount\":90}]"),
        1000000 + 20000 + 2700000},
    {"film", IO ",\"output_cost_per_video_token\":1.75e-05,\"input_cost_per_video_token\":5e-06", WIRE_GENERATE,
        GEMINI("\"finishReason\":\"STOP\"", ",\"promptTokensDetails\":[{\"modality\":\"VIDEO\",\"tokenCount\":400}],"
            "\"candidatesTokensDetails\":[{\"modality\":\"VIDEO\",\"tokenCount\":90}]"),
        600000 + 2000000 + 20000 + 1575000},
    {"searches of the Responses API; opening a page is free", IO "," SEARCH("0.03", "0.035", "0.05"), WIRE_RESPONSES,
        RESPONSE("{\"type\":\"web_search_call\",\"id\":\"a\",\"action\":{\"type\":\"search\",\"query\":\"q\"}},"
            "{\"type\":\"web_search_call\",\"id\":\"b\",\"action\":{\"type\":\"open_page\",\"url\":\"u\"}},"
            "{\"type\":\"web_search_call\",\"id\":\"c\",\"action\":{\"type\":\"find_in_page\"}},"
            "{\"type\":\"web_search_call\",\"id\":\"d\",\"status\":\"completed\"}"),
        TEXT_NANO + 70000000},
    {"searches in files", IO ",\"file_search_cost_per_1k_calls\":2.5", WIRE_RESPONSES,
        RESPONSE("{\"type\":\"file_search_call\",\"id\":\"a\"},{\"type\":\"file_search_call\",\"id\":\"b\"}"),
        TEXT_NANO + 5000000},
    {"containers: each once", IO ",\"code_interpreter_cost_per_session\":0.03", WIRE_RESPONSES,
        RESPONSE("{\"type\":\"code_interpreter_call\",\"id\":\"a\",\"container_id\":\"k1\"},"
            "{\"type\":\"code_interpreter_call\",\"id\":\"b\",\"container_id\":\"k1\"},"
            "{\"type\":\"code_interpreter_call\",\"id\":\"c\",\"container_id\":\"k2\"}"),
        TEXT_NANO + 60000000},
    {"a search model's answer that quotes", IO "," SEARCH("0.03", "0.035", "0.05"), WIRE_CHAT,
        "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"x\",\"annotations\":[{\"type\":\"url_citation\","
        "\"url_citation\":{\"url\":\"u\"}},{\"type\":\"url_citation\"}]},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100}}", TEXT_NANO + 35000000},
    {"Gemini 3: each search", IO ",\"litellm_provider\":\"gemini\",\"web_search_billing_unit\":\"per_query\","
        SEARCH("0.014", "0.014", "0.014"), WIRE_GENERATE,
        GEMINI("\"groundingMetadata\":{\"webSearchQueries\":[\"a\",\"b\",\"c\",\"\"],\"searchEntryPoint\":{}}", ""),
        TEXT_NANO + 42000000},
    {"Gemini 2: each prompt that searched", IO ",\"litellm_provider\":\"gemini\"," SEARCH("0.035", "0.035", "0.035"),
        WIRE_GENERATE, GEMINI("\"groundingMetadata\":{\"webSearchQueries\":[\"a\",\"b\"]}", ""), TEXT_NANO + 35000000},
    {"Gemini, known by what it found", IO ",\"litellm_provider\":\"vertex_ai-language-models\"," SEARCH("0.035", "0.035", "0.035"),
        WIRE_GENERATE, GEMINI("\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"u\"}}]}", ""), TEXT_NANO + 35000000},
    {"Gemini's stored files are no search of the web", IO ",\"litellm_provider\":\"gemini\"," SEARCH("0.035", "0.035", "0.035"),
        WIRE_GENERATE, GEMINI("\"groundingMetadata\":{\"groundingChunks\":[{\"retrievedContext\":{\"uri\":\"u\"}}]}", ""), TEXT_NANO},
    {"Gemini on Maps", IO ",\"google_maps_grounding_cost_per_query\":0.025", WIRE_GENERATE,
        GEMINI("\"groundingMetadata\":{\"groundingChunks\":[{\"maps\":{\"uri\":\"u\"}},{\"maps\":{}}]}", ""), TEXT_NANO + 25000000},
    {"Claude's searches", IO ",\"litellm_provider\":\"anthropic\"," SEARCH("0.01", "0.01", "0.01"), WIRE_MESSAGES,
        "{\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":1000,\"output_tokens\":100,"
        "\"server_tool_use\":{\"web_search_requests\":2,\"web_fetch_requests\":5}}}", TEXT_NANO + 20000000},
    {"Claude at Vertex searches like Claude", IO ",\"litellm_provider\":\"vertex_ai-anthropic_models\"," SEARCH("0.01", "0.01", "0.01"),
        WIRE_MESSAGES, "{\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":1000,\"output_tokens\":100,"
        "\"server_tool_use\":{\"web_search_requests\":2}}}", TEXT_NANO + 20000000},
    {"Sonar: one request fee by size", IO ",\"litellm_provider\":\"perplexity\"," SEARCH("0.005", "0.008", "0.012"), WIRE_CHAT,
        CHAT("\"search_context_size\":\"low\""), TEXT_NANO + 5000000},
    {"Sonar, high", IO ",\"litellm_provider\":\"perplexity\"," SEARCH("0.005", "0.008", "0.012"), WIRE_CHAT,
        CHAT("\"search_context_size\":\"high\""), TEXT_NANO + 12000000},
    {"Sonar deep research: searches, sources, reasoning", IO ",\"litellm_provider\":\"perplexity\","
        SEARCH("0.005", "0.005", "0.005") ",\"citation_cost_per_token\":2e-06,\"output_cost_per_reasoning_token\":3e-06", WIRE_CHAT,
        CHAT("\"citation_tokens\":500,\"num_search_queries\":7,\"reasoning_tokens\":40"),
        1000000 + 120000 + 120000 + 1000000 + 35000000},
    {"xAI's searches on the web, on X and in documents", IO "," SEARCH("0.005", "0.005", "0.005")
        ",\"file_search_cost_per_1k_calls\":2.5", WIRE_CHAT,
        CHAT("\"server_side_tool_usage_details\":{\"web_search_calls\":2,\"x_search_calls\":1,\"document_search_calls\":4}"),
        TEXT_NANO + 15000000 + 10000000},
    {"pages and those annotated", "\"ocr_cost_per_page\":0.004,\"annotation_cost_per_page\":0.005", WIRE_RAW,
        "{\"pages\":[],\"usage_info\":{\"pages_processed\":3,\"pages_processed_annotation\":2}}", 22000000},
    {"credits", "\"ocr_cost_per_credit\":0.015", WIRE_RAW, "{\"usage\":{\"num_pages\":1,\"credits\":2.5}}", 37500000},
    {"seconds heard", "\"input_cost_per_second\":0.0001", WIRE_RAW,
        "{\"text\":\"x\",\"usage\":{\"type\":\"duration\",\"seconds\":7.25}}", 725000},
    {"a rerank's units", "\"input_cost_per_query\":0.002", WIRE_RAW,
        "{\"results\":[],\"meta\":{\"billed_units\":{\"search_units\":3}}}", 6000000},
    {"Bedrock: which part of the cache lives an hour", IO ",\"cache_creation_input_token_cost\":1.25e-06,"
        "\"cache_creation_input_token_cost_above_1hr\":2e-06", WIRE_CHAT,
        "{\"usage\":{\"inputTokens\":1000,\"outputTokens\":100,\"cacheWriteInputTokens\":300,"
        "\"cacheDetails\":[{\"ttl\":\"5m\",\"inputTokens\":100},{\"ttl\":\"1h\",\"inputTokens\":200}]}}",
        TEXT_NANO + 125000 + 400000},
    {"a cache that lives a day costs no less than an hour's", IO ",\"cache_creation_input_token_cost\":1.25e-06,"
        "\"cache_creation_input_token_cost_above_1hr\":2e-06", WIRE_MESSAGES,
        "{\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":1000,\"output_tokens\":100,"
        "\"cache_creation_input_tokens\":300,\"cache_creation\":{\"ephemeral_5m_input_tokens\":100,"
        "\"ephemeral_24h_input_tokens\":200}}}", TEXT_NANO + 125000 + 400000},
    {"Claude in the US, fast", IO ",\"provider_specific_entry\":{\"us\":1.1,\"fast\":6.0}", WIRE_MESSAGES,
        "{\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":1000,\"output_tokens\":100,"
        "\"inference_geo\":\"us\",\"speed\":\"fast\"}}", TEXT_NANO / 10 * 66},
    {"priority above 272k, as the answer says", IO ",\"input_cost_per_token_above_272k_tokens\":2e-06,"
        "\"input_cost_per_token_above_272k_tokens_priority\":4e-06,\"output_cost_per_token_above_272k_tokens_priority\":9e-06",
        WIRE_CHAT, "{\"choices\":[],\"service_tier\":\"priority\",\"usage\":{\"prompt_tokens\":300000,\"completion_tokens\":100}}",
        1200000000 + 900000},
    {"Vertex's flex traffic", IO ",\"input_cost_per_token_flex\":5e-07,\"output_cost_per_token_flex\":1e-06", WIRE_GENERATE,
        GEMINI("\"finishReason\":\"STOP\"", ",\"trafficType\":\"ON_DEMAND_FLEX\""), TEXT_NANO / 2},
    {"a model billed as computer use", "\"computer_use_input_cost_per_1k_tokens\":0.003,"
        "\"computer_use_output_cost_per_1k_tokens\":0.012", WIRE_CHAT, CHAT("\"total_tokens\":1100"), 3000000 + 1200000},
};

static void each_thing_that_is_billed_comes_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum price_tier tier;
        struct price_list *l = list_of(rows[i].entry);
        struct usage u = used(rows[i].wire, rows[i].answer, &tier);
        bills(rows[i].what, price_find(l, STR(""), STR("m")), &u, tier, rows[i].nano);
        price_list_free(l);
    }
}

/* Streams say a thing several times, and its end says all of it again. */
static void tools_in_streams_are_counted_once(void **state)
{
    (void)state;
    static const char *const responses[] = {
        "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"web_search_call\",\"id\":\"w\"}}",
        "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"web_search_call\",\"id\":\"w\",\"action\":{\"type\":\"search\"}}}",
        "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"file_search_call\",\"id\":\"f\"}}",
        "{\"type\":\"response.completed\",\"response\":" RESPONSE(
            "{\"type\":\"web_search_call\",\"id\":\"w\",\"action\":{\"type\":\"search\"}},{\"type\":\"file_search_call\",\"id\":\"f\"},"
            "{\"type\":\"code_interpreter_call\",\"id\":\"c\",\"container_id\":\"k\"}") "}"};
    struct usage_reader r;
    usage_reader_init(&r, WIRE_RESPONSES, 0);
    for (size_t i = 0; i < ARRAY_LEN(responses); i++)
        usage_event(&r, STR(""), str_c(responses[i]));
    usage_finish(&r);
    assert_int_equal(r.usage.searches, 1);
    assert_int_equal(r.usage.unit_milli[UNIT_file_search], 1000);
    assert_int_equal(r.usage.unit_milli[UNIT_session], 1000);
    usage_reader_init(&r, WIRE_STREAM_GENERATE, 0);
    for (int i = 0; i < 3; i++)
        usage_event(&r, STR(""), STR(GEMINI("\"groundingMetadata\":{\"webSearchQueries\":[\"a\",\"b\"]}", "")));
    usage_finish(&r);
    assert_int_equal(r.usage.searches, 2);
}

/* --- images that a tool of the answer makes ---------------------------------------------------- */

#define DRAWN(usage, tools) "{\"object\":\"response\",\"status\":\"completed\",\"output\":[{\"type\":" \
    "\"image_generation_call\",\"id\":\"i\",\"status\":\"completed\",\"quality\":\"low\",\"size\":\"1024x1536\"," \
    "\"result\":\"aWNo\"}],\"usage\":{\"input_tokens\":1000,\"output_tokens\":100,\"input_tokens_details\":" \
    "{\"cached_tokens\":0}}" usage ",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"model\":\"x\"}" tools "]}"
#define SAID(input, image_in, output, image_out) ",\"tool_usage\":{\"image_gen\":{\"input_tokens\":" #input \
    ",\"input_tokens_details\":{\"image_tokens\":" #image_in ",\"text_tokens\":1},\"output_tokens\":" #output \
    ",\"output_tokens_details\":{\"image_tokens\":" #image_out "}},\"web_search\":{\"num_requests\":0}}"
#define TOOL(model) ",{\"type\":\"image_generation\",\"model\":\"" model "\"}"

static void images_of_a_tool_are_billed_at_their_own_models_price(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *model;
        int64_t nano; /* of the images */
        enum cost_source source;
    } t[] = {
        {DRAWN(SAID(1550, 1521, 515, 515), TOOL("gpt-image-1.5")), "gpt-image-1.5",
            29 * 5000 + 1521 * 8000 + 515 * 32000, COST_MEASURED},
        {DRAWN(SAID(7, 0, 20, 9), TOOL("gpt-image-1.5")), "gpt-image-1.5", 7 * 5000 + 11 * 10000 + 9 * 32000,
            COST_MEASURED},
        {DRAWN(SAID(27, 0, 515, 515), TOOL("gpt-image-2-codex")), "gpt-image-2-codex", 27 * 5000 + 515 * 30000,
            COST_MEASURED},
        {DRAWN(",\"tool_usage\":{\"image_gen\":{\"input_tokens\":3,\"output_tokens\":7024,\"total_tokens\":7027}}", ""),
            "gpt-image-1", 3 * 5000 + 7024 * 40000, COST_MEASURED},
        /* what is not said is guessed by quality and shape */
        {DRAWN("", TOOL("gpt-image-1-mini")), "gpt-image-1-mini", 408 * 8000, COST_ESTIMATED},
        {DRAWN(SAID(0, 0, 0, 0), ""), "gpt-image-1", 408 * 40000, COST_ESTIMATED},
        /* a model that nobody knows: at the answer's own rates */
        {DRAWN(SAID(10, 0, 100, 100), TOOL("picasso-9")), "picasso-9", 10 * 1000 + 100 * 2000, COST_ESTIMATED},
        {DRAWN(SAID(-5, 9, -1, 1e30), ""), "gpt-image-1", 408 * 40000, COST_ESTIMATED},
        {DRAWN(SAID(10, 99999999999999999999, 5, 99), ""), "gpt-image-1", 10 * 10000 + 5 * 40000, COST_MEASURED},
    };
    struct price_list *l = price_list_new(price_list_builtin());
    struct price_import done;
    struct err e = {0};
    assert_int_equal(price_import(l, STR("{\"m\":{\"mode\":\"chat\"," IO "}}"), &done, &e), 0);
    const struct price *p = price_find(l, STR(""), STR("m"));
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        enum price_tier tier;
        int64_t list;
        enum cost_source source;
        char text[200];
        struct usage again = {.input = 1000, .output = 100}, u = used(WIRE_RESPONSES, t[i].answer, &tier);
        int64_t nano = price_charge(p, price_of_images(l, STR("w"), &u), &u, tier, &list, &source);
        assert_string_equal(u.drawn.model, t[i].model);
        if (nano != TEXT_NANO + t[i].nano)
            fail_msg("row %zu: %lld nano-USD, not %lld", i, (long long)nano, (long long)(TEXT_NANO + t[i].nano));
        assert_int_equal(source, t[i].source);
        billed_write(&u, tier, text, sizeof text);
        billed_read(text[0] ? str_c(text) : STR(""), &again, &tier);
        if (price_cost_all(p, price_of_images(l, STR("w"), &again), &again, tier) != nano)
            fail_msg("row %zu: from its record (%s) it costs something else", i, text);
    }
    price_list_free(l);
}

/* A stream says each image when it is done, and all of it again at its end; one that is cut before
 * leaves a guess. */
static void images_in_streams_are_counted_once(void **state)
{
    (void)state;
#define ITEM(id) "{\"type\":\"image_generation_call\",\"id\":\"" id "\",\"status\":\"completed\",\"quality\":\"high\"}"
    static const char *const events[] = {
        "{\"type\":\"response.output_item.done\",\"item\":" ITEM("a") "}",
        "{\"type\":\"response.output_item.done\",\"item\":" ITEM("b") "}",
        "{\"type\":\"response.output_item.done\",\"item\":" ITEM("b") "}",
        "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[" ITEM("a") "," ITEM("b")
        "],\"tool_usage\":{\"image_gen\":{\"input_tokens\":12,\"output_tokens\":900}},\"usage\":{\"input_tokens\":5,"
        "\"output_tokens\":6}}}"};
    for (size_t whole = 0; whole < 2; whole++) {
        struct usage_reader r;
        usage_reader_init(&r, WIRE_RESPONSES, 0);
        for (size_t i = 0; i < ARRAY_LEN(events) - !whole; i++)
            usage_event(&r, STR(""), str_c(events[i]));
        usage_finish(&r);
        assert_int_equal(r.usage.drawn.output, whole ? 900 : 2 * 4160);
        assert_int_equal(r.usage.drawn.image_out, r.usage.drawn.output);
        assert_int_equal(r.usage.drawn.input, whole ? 12 : 0);
        assert_int_equal(r.usage.drawn.guessed, !whole);
        assert_string_equal(r.usage.drawn.model, "gpt-image-1");
    }
}

/* The provider's own count of its searches goes before what is seen of them. */
static void searches_are_those_that_the_provider_counts(void **state)
{
    (void)state;
    enum price_tier tier;
    struct usage u = used(WIRE_RESPONSES, "{\"object\":\"response\",\"status\":\"completed\",\"output\":["
        "{\"type\":\"web_search_call\",\"id\":\"a\",\"action\":{\"type\":\"search\"}}],\"tool_usage\":{\"web_search\":"
        "{\"num_requests\":3}},\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}", &tier);
    assert_int_equal(u.searches, 3);
}

/* What a server says of where it stands comes from its address, not from the answer. */
static void places_are_billed_by_their_factor(void **state)
{
    (void)state;
    struct price_list *l = list_of(IO ",\"regional_processing_uplift_multiplier_eu\":1.1,"
        "\"regional_processing_uplift_multiplier_us\":1.2,\"regional_endpoint_uplift_multiplier\":1.3");
    const struct price *p = price_find(l, STR(""), STR("m"));
    static const int64_t tenths[FACTOR_COUNT] = {[FACTOR_us] = 12, [FACTOR_eu] = 11, [FACTOR_region] = 13, [FACTOR_fast] = 10};
    for (int i = 0; i < FACTOR_COUNT; i++) {
        struct usage u = {.input = 1000, .output = 100};
        u.served[i] = true;
        bills("a place", p, &u, TIER_DEFAULT, TEXT_NANO / 10 * tenths[i]);
    }
    struct usage all = {.input = 1000, .output = 100, .served = {true, true, true, true}};
    assert_true(price_bound(p, 1000, 100) >= price_cost(p, &all, TIER_DEFAULT));
    price_list_free(l);
}

static void searches_by_size_fall_back_to_the_usual_price(void **state)
{
    (void)state;
    struct price_list *l = list_of(IO ",\"search_context_cost_per_query\":{\"search_context_size_high\":0.05,"
                                      "\"search_context_size_medium\":0.035}");
    const struct price *p = price_find(l, STR(""), STR("m"));
    struct usage u = {.input = 1000, .output = 100};
    usage_searched(&u, 2, SEARCH_LOW);
    bills("low", p, &u, TIER_DEFAULT, TEXT_NANO + 70000000);
    usage_searched(&u, 2, SEARCH_HIGH);
    bills("high", p, &u, TIER_DEFAULT, TEXT_NANO + 100000000);
    assert_in_range(price_bound_tools(p, 3, 0), 150000000, 150000001);
    price_list_free(l);
}

/* --- no price is dropped in silence ---------------------------------------------------------- */

static bool is_named(const struct price_import *d, struct str field)
{
    for (size_t i = 0; i < d->not_carried_count; i++)
        if (str_eq(str_c(d->not_carried[i].field), field))
            return true;
    return false;
}

static void prices_without_a_meaning_here_are_named(void **state)
{
    (void)state;
    struct price_import d;
    struct err e = {0};
    struct price_list *l = price_list_new(NULL);
    assert_int_equal(price_import(l, STR("{\"a\":{\"mode\":\"chat\",\"input_cost_per_token\":1e-6,"
        "\"vector_store_cost_per_gb_per_day\":0.1,\"input_cost_per_smell\":3,\"output_cost_per_character\":0.0,"
        "\"provider_specific_entry\":{\"us\":1.1,\"mars\":2}},\"b\":{\"mode\":\"chat\",\"input_cost_per_token\":1e-6,"
        "\"input_cost_per_smell\":3}}"), &d, &e), 0);
    assert_int_equal(d.not_carried_count, 3);
    assert_true(is_named(&d, STR("vector_store_cost_per_gb_per_day")));
    assert_true(is_named(&d, STR("provider_specific_entry.mars")));
    assert_string_equal(d.not_carried[1].field, "input_cost_per_smell");
    assert_int_equal(d.not_carried[1].models, 2);
    price_list_free(l);
    l = price_list_new(NULL);
    assert_int_equal(price_import(l, STR("{\"p\":{\"models\":{\"m\":{\"cost\":{\"input\":1,\"output\":2,\"image\":30,"
        "\"request\":5,\"citation\":2,\"smell\":1}}}}}"), &d, &e), 0);
    const struct price *p = price_find(l, STR("p"), STR("m"));
    assert_int_equal(p->base[0].image_out, 30000000000);
    assert_int_equal(p->base[0].citation, 2000000000);
    assert_int_equal(p->per_request, 5000000000000);
    assert_int_equal(d.not_carried_count, 1);
    assert_true(is_named(&d, STR("cost.smell")));
    price_list_free(l);
}

/* The whole lists, as they are: what is left out is film by the second and stores by the day. */
static void the_whole_lists_are_carried(void **state)
{
    (void)state;
    static const char *const names[] = {"litellm_model_prices", "models_dev"};
    static const char *const known[] = {"input_cost_per_video_per_second",
        "input_cost_per_video_per_second_above_15s_interval",
        "input_cost_per_video_per_second_above_8s_interval", "output_cost_per_character",
        "output_cost_per_second_1080p"};
    for (size_t n = 0; n < 2 * ARRAY_LEN(names); n++) {
        const char *dir = data_dir((int)(n / 2), "prices"), *name = names[n % 2];
        if (!dir)
            break;
        struct str json = shared_read_like(dir, name);
        struct price_import d;
        struct err e = {0};
        struct price_list *l = price_list_new(NULL);
        if (price_import(l, json, &d, &e) < 0)
            fail_msg("%s/%s: %s", dir, name, e.text);
        printf("# %s: %zu taken, %zu without a price\n", name, d.taken, d.skipped);
        for (size_t i = 0; i < d.not_carried_count; i++) {
            bool expected = false;
            for (size_t k = 0; k < ARRAY_LEN(known); k++)
                expected |= strcmp(known[k], d.not_carried[i].field) == 0;
            if (!expected)
                fail_msg("%s: %s of %zu models bills nothing", name, d.not_carried[i].field,
                    d.not_carried[i].models);
        }
        free((char *)json.p);
        price_list_free(l);
    }
}

/* Every price, imported or built in, as the text that people are shown, and back. */
static void same_again(void *ctx, const struct price *p)
{
    struct price again;
    struct price_step steps[PRICE_STEPS];
    struct err e = {0};
    struct buf b;
    buf_init(&b, 8192);
    price_write_text(p, false, &b);
    price_init(&again, str_c(p->key));
    if (price_read_text(&again, steps, buf_str(&b), &e) < 0)
        fail_msg("%s: %.*s: %s", p->key, (int)b.n, b.p, e.text);
    if (memcmp(p->base, again.base, sizeof p->base) != 0 || memcmp(p->unit, again.unit, sizeof p->unit) != 0 ||
        memcmp(p->factor_ppm, again.factor_ppm, sizeof p->factor_ppm) != 0 || p->steps != again.steps ||
        p->per_request != again.per_request || p->per_search != again.per_search ||
        (p->steps && memcmp(p->step, steps, p->steps * sizeof *steps) != 0))
        fail_msg("%s: %.*s", p->key, (int)b.n, b.p);
    buf_fini(&b);
    ++*(size_t *)ctx;
}

static void prices_are_shown_whole(void **state)
{
    (void)state;
    size_t n = 0;
    price_list_each(price_list_builtin(), same_again, &n);
    assert_true(n > 200);
    const char *dir;
    for (int i = 0; (dir = data_dir(i / 2, "prices")) != NULL; i++) {
        struct str json = shared_read_like(dir, i % 2 ? "models_dev" : "litellm_model_prices");
        struct price_import d;
        struct price_list *l = price_list_new(NULL);
        assert_int_equal(price_import(l, json, &d, NULL), 0);
        price_list_each(l, same_again, &n);
        free((char *)json.p);
        price_list_free(l);
    }
    printf("# %zu prices written and read\n", n);
}

/* --- hostile files ----------------------------------------------------------------------------- */

static void refused(struct str json, const char *words)
{
    struct price_import d;
    struct err e = {0};
    struct price_list *l = price_list_new(NULL);
    if (price_import(l, json, &d, &e) == 0)
        fail_msg("taken, wanted %s: %.*s", words, (int)MIN(json.n, (size_t)200), json.p);
    if (!strstr(e.text, words))
        fail_msg("says \"%s\", wanted %s", e.text, words);
    price_list_free(l);
}

#define ENTRY(price) "{\n\"m\": {\"mode\":\"chat\",\n\"input_cost_per_token\":" price "}}"

static void hostile_files_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct { const char *json, *words; } bad[] = {
        {ENTRY("NaN"), "line 3, column 24 is not JSON: NaN"},
        {ENTRY("Infinity"), "line 3, column 24 is not JSON"},
        {ENTRY("1e999"), "m: input_cost_per_token is 1e999: a price is a number from 0 to 9000 USD"},
        {ENTRY("1e99999999999999999999"), "is 1e99999999999999999999: a price"},
        {ENTRY("-1e-6"), "m: input_cost_per_token is -1e-6"},
        {ENTRY("9300"), "is 9300"},
        {ENTRY("\"-0.1\""), "input_cost_per_token is \"-0.1\""},
        {ENTRY("\"$0.1\""), "input_cost_per_token is \"$0.1\""},
        {ENTRY("\"0.1 a call\""), "input_cost_per_token is \"0.1 a call\""},
        {ENTRY("\"free\""), "input_cost_per_token is \"free\""},
        {ENTRY("\"\""), "input_cost_per_token is \"\""},
        {ENTRY("[1]"), "input_cost_per_token is [1]"},
        {ENTRY("true"), "input_cost_per_token is true"},
        {ENTRY("1,\"input_cost_per_token\":2"), "m: \"input_cost_per_token\" stands there twice"},
        {"{\"m\":{\"mode\":\"chat\",\"input_cost_per_token\":1},\"m\":{\"mode\":\"chat\",\"input_cost_per_token\":2}}",
            "\"m\" stands there twice"},
        {"{\"m\":{\"mode\":\"chat\",\"input_cost_per_token\":1},\"\\u006d\":{\"mode\":\"chat\",\"input_cost_per_token\":2}}",
            "\"m\" stands there twice"},
        {"{\"p\":{\"m\":{\"cost\":{\"input\":1}},\"m\":{\"cost\":{\"input\":2}}}}", "\"p/m\" stands there twice"},
        {"{\"p\":{\"m\":{\"cost\":{\"input\":-1,\"output\":1}}}}", "p/m: input is -1"},
        {"{\"p\":{\"m\":{\"cost\":{\"input\":1,\"input\":2}}}}", "p/m: \"input\" stands there twice"},
        {"{\"m\":{\"mode\":\"chat\",\"input_cost_per_token\":1", "the file ends there"},
        {"\xef\xbb\xbf{}", "line 1, column 1 is not JSON"},
        {"", "the file ends there"},
        {"{\"\":{\"mode\":\"chat\",\"input_cost_per_token\":1}}", "no name"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refused(str_c(bad[i].json), bad[i].words);
    char *deep = test_malloc(20002);
    memset(deep, '[', 20000);
    memcpy(deep, "{\"a\":", 5);
    deep[20000] = '\0';
    refused(str_c(deep), "nested deeper than");
    test_free(deep);
}

static void a_figure_in_quotes_is_the_same_figure(void **state)
{
    (void)state;
    static const char *const same[] = {"1.5e-07", "\"1.5e-07\"", "0.00000015", "\"0.00000015\"", "1.5E-7", "15e-8"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        char json[200];
        struct price_list *l = price_list_new(NULL);
        struct price_import done;
        struct err e = {0};
        struct usage u = {.input = 1000, .output = 7};
        snprintf(json, sizeof json, "{\"m\":{\"mode\":\"chat\",\"input_cost_per_token\":%s,\"output_cost_per_token\":null}}",
            same[i]);
        assert_int_equal(price_import(l, str_c(json), &done, &e), 0);
        assert_int_equal(price_cost(price_find(l, STR(""), STR("m")), &u, TIER_DEFAULT), 150000);
        price_list_free(l);
    }
}

/* 10 MB of one model, of many models, of one name: answered within moments. */
static void large_files_cost_no_more_than_their_size(void **state)
{
    (void)state;
    enum { SIZE = 10 << 20 };
    char *text = test_malloc(SIZE + 200);
    size_t n = (size_t)sprintf(text, "{\"m\":{\"mode\":\"chat\"");
    for (int i = 0; n < SIZE; i++)
        n += (size_t)sprintf(text + n, ",\"x%d_cost\":1", i);
    n += (size_t)sprintf(text + n, "}}");
    refused(str_n(text, n), "m: more than 399 members");
    n = (size_t)sprintf(text, "{\"z\":0");
    for (int i = 0; n < SIZE; i++)
        n += (size_t)sprintf(text + n, ",\"m%d\":{\"mode\":\"chat\",\"input_cost_per_token\":1e-6}", i);
    n += (size_t)sprintf(text + n, "}");
    refused(str_n(text, n), "more than 100000 prices in one list");
    n = (size_t)sprintf(text, "{\"m\":{\"mode\":\"chat\",\"input_cost_per_token\":1e-6}, \"");
    memset(text + n, 'x', SIZE - n);
    n = SIZE + (size_t)sprintf(text + SIZE, "\":{\"mode\":\"chat\",\"input_cost_per_token\":1e-6}}");
    refused(str_n(text, n), "has more than 127 characters");
    test_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thing_that_is_billed_comes_out),
        cmocka_unit_test(tools_in_streams_are_counted_once),
        cmocka_unit_test(images_of_a_tool_are_billed_at_their_own_models_price),
        cmocka_unit_test(images_in_streams_are_counted_once),
        cmocka_unit_test(searches_are_those_that_the_provider_counts),
        cmocka_unit_test(places_are_billed_by_their_factor),
        cmocka_unit_test(searches_by_size_fall_back_to_the_usual_price),
        cmocka_unit_test(prices_without_a_meaning_here_are_named),
        cmocka_unit_test(the_whole_lists_are_carried),
        cmocka_unit_test(prices_are_shown_whole),
        cmocka_unit_test(hostile_files_are_refused_with_a_reason),
        cmocka_unit_test(a_figure_in_quotes_is_the_same_figure),
        cmocka_unit_test(large_files_cost_no_more_than_their_size),
    };
    return cmocka_run_group_tests_name("billing", tests, NULL, NULL);
}
