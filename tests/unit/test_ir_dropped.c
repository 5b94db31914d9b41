/* Units of what x-pointsman-dropped promises: each member of a request of each dialect, sent to each
 * other dialect, is said there, refused, or named. Nothing is left out in silence. */
#include "tests/unit/ir_check.h"

#include <stdlib.h>

/* `carried`: any of these (| between) in what is sent on; `named`: any of these in the notes. */
struct field {
    const char *member, *carried, *named;
};

struct dialect_fields {
    enum wire wire;
    const char *base;          /* the request without its last brace */
    const struct field *fields;
    size_t count;
};

/* Chat, Responses, Messages, Gemini: the words for the same in all. */
#define TEMPERATURE "\"temperature\":0.137"
#define TOP_P "\"top_p\":0.137|\"topP\":0.137"

static const struct field chat[] = {
    {"\"max_tokens\":777", ":777", ""},
    {"\"max_completion_tokens\":777", ":777", ""},
    {TEMPERATURE, TEMPERATURE, "temperature"},
    {"\"top_p\":0.137", TOP_P, "top_p"},
    {"\"top_k\":13", "\"top_k\":13|\"topK\":13", "top_k"},
    {"\"n\":3", "\"candidateCount\":3", "n"},
    {"\"stop\":\"halt!\"", "halt!", "stop"},
    {"\"stop\":[\"s1\",\"s2\",\"s3\",\"s4\",\"s5\",\"s6\"]", "\"s6\"", "stop"},
    {"\"seed\":77", "\"seed\":77", "seed"},
    {"\"stream\":true,\"stream_options\":{\"include_obfuscation\":true}", "include_obfuscation", "stream_options"},
    {"\"tool_choice\":\"none\"", "\"none\"|\"NONE\"", ""},
    {"\"tool_choice\":\"required\"", "\"required\"|\"any\"|\"ANY\"", ""},
    {"\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
        "\"name\":\"f\"}|[\"f\"]", ""},
    {"\"parallel_tool_calls\":false", "parallel_tool_calls\":false|disable_parallel_tool_use\":true", "parallel_tool_calls"},
    {"\"functions\":[{\"name\":\"legacy\"}]", "\"legacy\"", ""},
    {"\"response_format\":{\"type\":\"json_object\"}", "json_object|one JSON object|application/json", ""},
    {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\",\"properties\":"
        "{\"zz\":{}}}}}", "\"zz\"", ""},
    {"\"logprobs\":true,\"top_logprobs\":5", "\"top_logprobs\":5|\"logprobs\":5", "logprobs"},
    {"\"logit_bias\":{\"50\":1}", "logit_bias", "logit_bias"},
    {"\"frequency_penalty\":0.137", "0.137", "frequency_penalty"},
    {"\"presence_penalty\":0.137", "0.137", "presence_penalty"},
    {"\"reasoning_effort\":\"low\"", "\"effort\":\"low\"|\"budget_tokens\"|\"thinkingLevel\"|\"thinkingBudget\"", "reasoning_effort"},
    {"\"verbosity\":\"low\"", "\"verbosity\":\"low\"", "verbosity"},
    {"\"modalities\":[\"text\",\"audio\"]", "AUDIO", "modalities"},
    {"\"audio\":{\"voice\":\"alloy\",\"format\":\"wav\"}", "alloy", "audio"},
    {"\"prediction\":{\"type\":\"content\",\"content\":\"x\"}", "prediction", "prediction"},
    {"\"web_search_options\":{}", "web_search", "web_search_options"},
    {"\"service_tier\":\"flex\"", "flex|FLEX", "service_tier"},
    {"\"store\":true", "\"store\":true", "store"},
    {"\"metadata\":{\"k\":\"vvv\"}", "vvv", "metadata"},
    {"\"user\":\"uuu\"", "uuu", "user"},
    {"\"safety_identifier\":\"sss\"", "sss", "safety_identifier"},
    {"\"prompt_cache_key\":\"ckey\"", "ckey", "prompt_cache_key"},
    {"\"prompt_cache_retention\":\"24h\"", "24h", "prompt_cache_retention"},
    {"\"prompt_cache_options\":{\"a\":1}", "prompt_cache_options", "prompt_cache_options"},
    {"\"moderation\":{\"a\":1}", "moderation", "moderation"},
    {"\"reasoning\":{\"effort\":\"low\",\"exclude\":true}", "\"effort\":\"low\"|\"budget_tokens\"|includeThoughts\":false", "reasoning_effort"},
    {"\"some_new_member\":1", "some_new_member", "some_new_member"},
    /* of messages, parts and tools */
    {"\"messages\":[{\"role\":\"user\",\"name\":\"Zoe\",\"content\":\"a\"}]", "Zoe", "name"},
    {"\"messages\":[{\"role\":\"developer\",\"content\":\"devdev\"},{\"role\":\"user\",\"content\":\"a\"}]", "devdev", ""},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x.test/i.png\","
        "\"detail\":\"low\"}}]}]", "\"detail\":\"low\"", "detail"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"QUFB\",\"format\":\"wav\"}}]}]",
        "QUFB", "content.audio"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/pdf;base64,QUFB\","
        "\"filename\":\"fn.pdf\"}}]}]", "fn.pdf", "filename"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video_url\",\"video_url\":{\"url\":\"https://x.test/v.mp4\"}}]}]",
        "v.mp4", "content.video"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"new_part\",\"x\":1},{\"type\":\"text\",\"text\":\"a\"}]}]",
        "new_part", "content.new_part"},
    {"\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,\"refusal\":\"nonono\"},"
        "{\"role\":\"user\",\"content\":\"b\"}]", "nonono", ""},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":\"ephemeral\"}}]}]",
        "ephemeral", "cache_control"},
    {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":{\"type\":\"object\",\"properties\":{"
        "\"q\":{\"type\":\"string\"}}}}}]", "\"strict\":true", "strict"},
    {"\"tools\":[{\"type\":\"new_kind\",\"x\":1}]", "new_kind", "tools.new_kind"},
};

static const struct field messages[] = {
    {"\"system\":\"sysys\"", "sysys", ""},
    {TEMPERATURE, TEMPERATURE, "temperature"},
    {"\"top_p\":0.137", TOP_P, "top_p"},
    {"\"top_k\":13", "\"topK\":13", "top_k"},
    {"\"stop_sequences\":[\"halt!\"]", "halt!", "stop"},
    {"\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}", "\"name\":\"f\"}|[\"f\"]", ""},
    {"\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}", "parallel_tool_calls\":false", "parallel_tool_calls"},
    {"\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1500}", "\"effort\"|effort\":|thinkingLevel|thinkingBudget", "reasoning_effort"},
    {"\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"}", "\"summary\"|includeThoughts\":true|effort", "reasoning_effort"},
    {"\"output_config\":{\"effort\":\"low\"}", "\"effort\":\"low\"|reasoning_effort\":\"low\"|LOW|thinkingBudget", "reasoning_effort"},
    {"\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\",\"properties\":{\"zz\":{}}}}}", "\"zz\"", ""},
    {"\"output_config\":{\"task_budget\":{\"type\":\"tokens\",\"total\":64000}}", "task_budget", "output_config.task_budget"},
    {"\"output_format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\",\"properties\":{\"zz\":{}}}}", "\"zz\"", ""},
    {"\"metadata\":{\"user_id\":\"uuu\"}", "uuu", "user"},
    {"\"service_tier\":\"standard_only\"", "\"default\"|STANDARD", "service_tier"},
    {"\"cache_control\":{\"type\":\"ephemeral\"}", "ephemeral", "cache_control"},
    {"\"container\":\"ccc\"", "ccc", "container"},
    {"\"inference_geo\":\"eu\"", "\"eu\"", "inference_geo"},
    {"\"context_management\":{\"edits\":[]}", "context_management", "context_management"},
    {"\"mcp_servers\":[{\"url\":\"https://mcp.test\"}]", "mcp.test", "mcp_servers"},
    {"\"speed\":\"fast\"", "\"speed\"", "speed"},
    {"\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"},\"cache_control\":{\"type\":\"ephemeral\"}}]", "ephemeral", "cache_control"},
    {"\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"},\"defer_loading\":true}]", "defer_loading", "tools.defer_loading"},
    {"\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"},\"input_examples\":[{\"a\":1}]}]", "input_examples", "tools.input_examples"},
    {"\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"},\"allowed_callers\":[\"direct\"]}]", "allowed_callers", "tools.allowed_callers"},
    {"\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{\"q\":{\"type\":\"string\"}}},\"strict\":true}]",
        "\"strict\":true", "strict"},
    {"\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":2}]", "web_search_20250305", "tools.web_search_20250305"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":\"ephemeral\"}}]}]",
        "ephemeral", "cache_control"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\","
        "\"data\":\"dadada\"},\"title\":\"ttt\",\"context\":\"ctxctx\"}]}]", "ctxctx", "document.context"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\","
        "\"data\":\"dadada\"},\"title\":\"ttt\"}]}]", "ttt", "filename"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\","
        "\"data\":\"dadada\"},\"citations\":{\"enabled\":true}}]}]", "nowhere", "document.citations"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"text\","
        "\"text\":\"inin\"}]}},{\"type\":\"text\",\"text\":\"a\"}]}]", "inin", "content.document"},
    {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"search_result\",\"source\":\"s\",\"title\":\"t\",\"content\":[{\"type\":\"text\","
        "\"text\":\"found\"}]},{\"type\":\"text\",\"text\":\"a\"}]}]", "found", "content.search_result"},
    {"\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":"
        "\"ss\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"user\",\"content\":\"c\"}]", "\"hm\"", "reasoning"},
    {"\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
        "\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"is_error\":true,\"content\":\"bad\"}]}]",
        "[tool error]|\"error\":\"bad\"", "is_error"},
    {"\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"system\",\"content\":\"midway\"},{\"role\":\"user\",\"content\":\"c\"}]", "midway", ""},
    {"\"some_new_member\":1", "some_new_member", "some_new_member"},
};

#define CONFIG(member) "\"generationConfig\":{" member "}"
static const struct field gemini[] = {
    {"\"systemInstruction\":{\"parts\":[{\"text\":\"sysys\"}]}", "sysys", ""},
    {"\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}}", "\"name\":\"f\"}", ""},
    {"\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"VALIDATED\"}}", "\"auto\"", ""},
    {"\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"AUTO\",\"streamFunctionCallArguments\":true}}", "streamFunctionCall", "streamFunctionCallArguments"},
    {"\"toolConfig\":{\"retrievalConfig\":{\"languageCode\":\"de\"}}", "retrievalConfig", "retrievalConfig"},
    {"\"safetySettings\":[{\"category\":\"x\"}]", "safetySettings", "safetySettings"},
    {"\"cachedContent\":\"cachedContents/x\"", "refused", "refused"},
    {"\"serviceTier\":\"FLEX\"", "flex", "service_tier"},
    {"\"labels\":{\"k\":\"vvv\"}", "vvv", "metadata"},
    {CONFIG("\"temperature\":0.137"), TEMPERATURE, "temperature"},
    {CONFIG("\"topP\":0.137"), TOP_P, "top_p"},
    {CONFIG("\"topK\":13"), "\"top_k\":13", "top_k"},
    {CONFIG("\"candidateCount\":3"), "\"n\":3", "n"},
    {CONFIG("\"maxOutputTokens\":777"), ":777", ""},
    {CONFIG("\"stopSequences\":[\"halt!\"]"), "halt!", "stop"},
    {CONFIG("\"seed\":77"), "\"seed\":77", "seed"},
    {CONFIG("\"presencePenalty\":0.137"), "0.137", "presence_penalty"},
    {CONFIG("\"frequencyPenalty\":0.137"), "0.137", "frequency_penalty"},
    {CONFIG("\"responseMimeType\":\"application/json\""), "json_object|JSON object", ""},
    {CONFIG("\"responseMimeType\":\"text/x.enum\""), "x.enum", "responseMimeType"},
    {CONFIG("\"responseMimeType\":\"application/json\",\"responseSchema\":{\"type\":\"OBJECT\",\"properties\":{\"zz\":{\"type\":\"STRING\"}}}"), "\"zz\"", ""},
    {CONFIG("\"responseMimeType\":\"application/json\",\"responseJsonSchema\":{\"type\":\"object\",\"properties\":{\"zz\":{}}}"), "\"zz\"", ""},
    {CONFIG("\"responseModalities\":[\"TEXT\",\"IMAGE\"]"), "\"image\"", "responseModalities"},
    {CONFIG("\"responseLogprobs\":true,\"logprobs\":5"), "\"top_logprobs\":5", "logprobs"},
    {CONFIG("\"thinkingConfig\":{\"thinkingBudget\":1500}"), "effort|budget_tokens|adaptive", "reasoning_effort"},
    {CONFIG("\"thinkingConfig\":{\"thinkingLevel\":\"LOW\"}"), "\"low\"|budget_tokens|adaptive", "reasoning_effort"},
    {CONFIG("\"mediaResolution\":\"MEDIA_RESOLUTION_LOW\""), "LOW", "mediaResolution"},
    {CONFIG("\"speechConfig\":{\"languageCode\":\"de\"}"), "speechConfig", "speechConfig"},
    {CONFIG("\"imageConfig\":{\"aspectRatio\":\"1:1\"}"), "1:1", "imageConfig"},
    {CONFIG("\"some_new_member\":1"), "some_new_member", "some_new_member"},
    {"\"tools\":[{\"googleSearch\":{}}]", "googleSearch", "tools.googleSearch"},
    {"\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"response\":{\"type\":\"OBJECT\"}}]}]", "\"response\"", "tools.response"},
    {"\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"behavior\":\"NON_BLOCKING\"}]}]", "NON_BLOCKING", "tools.behavior"},
    {"\"contents\":[{\"parts\":[{\"text\":\"a\"},{\"fileData\":{\"mimeType\":\"video/mp4\",\"fileUri\":\"https://x.test/v.mp4\"},"
        "\"videoMetadata\":{\"fps\":1}}]}]", "fps", "content.video"},
    {"\"contents\":[{\"parts\":[{\"text\":\"a\"},{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"QUFB\"},\"mediaResolution\":{\"level\":"
        "\"LOW\"}}]}]", "\"LOW\"", "mediaResolution"},
    {"\"contents\":[{\"parts\":[{\"text\":\"a\"},{\"inlineData\":{\"mimeType\":\"audio/ogg\",\"data\":\"QUFB\"}}]}]", "QUFB", "content.audio"},
    {"\"contents\":[{\"parts\":[{\"text\":\"a\"},{\"executableCode\":{\"code\":\"xx\"}}]}]", "executableCode", "content.executableCode"},
    {"\"some_new_member\":1", "some_new_member", "some_new_member"},
};

static const struct field responses[] = {
    {"\"instructions\":\"sysys\"", "sysys", ""},
    {"\"max_output_tokens\":777", ":777", ""},
    {"\"max_tool_calls\":3", "max_tool_calls", "max_tool_calls"},
    {TEMPERATURE, TEMPERATURE, "temperature"},
    {"\"top_p\":0.137", TOP_P, "top_p"},
    {"\"top_logprobs\":5", "\"top_logprobs\":5|\"logprobs\":5", "logprobs"},
    {"\"include\":[\"message.output_text.logprobs\"],\"top_logprobs\":5", "\"top_logprobs\":5|\"logprobs\":5", "logprobs"},
    {"\"include\":[\"reasoning.encrypted_content\"]", "encrypted", "include"},
    {"\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}", "\"name\":\"f\"}|[\"f\"]", ""},
    {"\"tool_choice\":{\"type\":\"web_search\"}", "web_search", "tool_choice"},
    {"\"parallel_tool_calls\":false", "parallel_tool_calls\":false|disable_parallel_tool_use\":true", "parallel_tool_calls"},
    {"\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"x\",\"schema\":{\"type\":\"object\",\"properties\":{\"zz\":{}}}}}", "\"zz\"", ""},
    {"\"text\":{\"verbosity\":\"low\"}", "\"verbosity\":\"low\"", "verbosity"},
    {"\"text\":{\"new_thing\":1}", "new_thing", "text.new_thing"},
    {"\"reasoning\":{\"effort\":\"low\"}", "effort\":\"low\"|budget_tokens|thinkingLevel|thinkingBudget", "reasoning_effort"},
    {"\"reasoning\":{\"effort\":\"low\",\"summary\":\"detailed\"}", "includeThoughts|summarized|effort", "reasoning"},
    {"\"store\":true", "\"store\"", "store"},
    {"\"previous_response_id\":\"r1\"", "refused", "refused"},
    {"\"conversation\":\"c1\"", "refused", "refused"},
    {"\"background\":true", "refused", "refused"},
    {"\"prompt\":{\"id\":\"p1\"}", "refused", "refused"},
    {"\"truncation\":\"auto\"", "truncation", "truncation"},
    {"\"context_management\":[{\"type\":\"x\"}]", "context_management", "context_management"},
    {"\"service_tier\":\"flex\"", "flex|FLEX", "service_tier"},
    {"\"metadata\":{\"k\":\"vvv\"}", "vvv", "metadata"},
    {"\"user\":\"uuu\"", "uuu", "user"},
    {"\"safety_identifier\":\"sss\"", "sss", "safety_identifier"},
    {"\"prompt_cache_key\":\"ckey\"", "ckey", "prompt_cache_key"},
    {"\"prompt_cache_retention\":\"24h\"", "24h", "prompt_cache_retention"},
    {"\"stream_options\":{\"include_obfuscation\":false}", "include_obfuscation", "stream_options"},
    {"\"input\":[{\"type\":\"item_reference\",\"id\":\"i1\"},{\"role\":\"user\",\"content\":\"a\"}]", "refused", "refused"},
    {"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"https://x.test/i.png\",\"detail\":\"low\"}]}]",
        "\"detail\":\"low\"", "detail"},
    {"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_url\":\"https://x.test/f.pdf\"}]}]", "f.pdf", "content.document"},
    {"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_data\":\"data:application/pdf;base64,QUFB\",\"filename\":\"fn.pdf\"}]}]",
        "fn.pdf", "filename"},
    {"\"input\":[{\"role\":\"user\",\"content\":\"a\"},{\"type\":\"web_search_call\",\"id\":\"w1\",\"status\":\"completed\"},{\"role\":\"user\",\"content\":\"b\"}]",
        "web_search_call", "content.web_search_call"},
    {"\"input\":[{\"role\":\"user\",\"content\":\"a\"},{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}],\"encrypted_content\":"
        "\"e\"},{\"role\":\"assistant\",\"content\":\"x\"},{\"role\":\"user\",\"content\":\"b\"}]", "\"hm\"", "reasoning"},
    {"\"tools\":[{\"type\":\"web_search\"}]", "\"web_search\"", "tools.web_search"},
    {"\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"strict\":true,\"parameters\":{\"type\":\"object\",\"properties\":{\"q\":{\"type\":\"string\"}}}}]",
        "\"strict\":true", "strict"},
    {"\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"defer_loading\":true}]", "defer_loading", "tools.defer_loading"},
    {"\"some_new_member\":1", "some_new_member", "some_new_member"},
};

#define SET(wire, base, fields) {wire, base, fields, ARRAY_LEN(fields)}
static const struct dialect_fields all[] = {
    SET(WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]",
        chat),
    SET(WIRE_MESSAGES, "{\"max_tokens\":2000,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{\"name\":\"f\",\"input_schema\":{"
        "\"type\":\"object\"}}]", messages),
    SET(WIRE_GENERATE, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]}],\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}]", gemini),
    SET(WIRE_RESPONSES, "{\"input\":\"a\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]", responses),
};
static const struct {
    enum wire wire;
    const char *model;
} targets[] = {{WIRE_CHAT, "gpt-4o"}, {WIRE_CHAT, "gpt-5"}, {WIRE_RESPONSES, "gpt-5"}, {WIRE_RESPONSES, "gpt-4o"},
    {WIRE_MESSAGES, "claude-sonnet-4-5"}, {WIRE_MESSAGES, "claude-3-5-haiku"}, {WIRE_MESSAGES, "claude-opus-4-6"},
    {WIRE_GENERATE, "gemini-2.5-pro"}, {WIRE_GENERATE, "gemini-3-pro"}};

/* Is any of the words (| between) in the text? */
static bool any_of(const char *words, const char *text)
{
    struct str rest = str_c(words), one;
    while (str_cut(&rest, '|', &one))
        if (one.n && str_find(str_c(text), one) >= 0)
            return true;
    return false;
}

/* The base, with the member in the place of its own of that name. */
static void put_body(struct buf *b, const char *base, const char *member)
{
    const char *end = strchr(member + 1, '"');
    struct str key = str_n(member, (size_t)(end - member) + 1), text = str_c(base);
    struct json_iter it;
    struct json_span k, v;
    buf_put_str(b, text);
    buf_putc(b, '}');
    struct str whole = buf_str(b);
    struct buf kept;
    buf_init(&kept, 1 << 20);
    buf_putc(&kept, '{');
    it = json_iter(whole);
    while (json_next(&it, &k, &v))
        if (!str_eq(k.raw, key))
            buf_printf(&kept, STR_FMT ":" STR_FMT ",", STR_ARG(k.raw), STR_ARG(v.raw));
    buf_puts(&kept, member);
    buf_putc(&kept, '}');
    buf_reset(b);
    buf_put_str(b, buf_str(&kept));
    buf_fini(&kept);
}

static unsigned check_field(const struct dialect_fields *d, const struct field *f, size_t at)
{
    struct ir_request r;
    struct ir_notes notes = {.count = 0};
    struct err e = {0};
    struct arena a;
    struct buf body, out;
    struct spoke_target t = {.model = str_c(targets[at].model), .max_output = 4096,
        .quirks = quirks_of(targets[at].wire == WIRE_CHAT ? STR("https://api.openai.com/v1") : STR("x"))};
    arena_init(&a, 4096, 1 << 20);
    buf_init(&body, 1 << 20);
    buf_init(&out, 1 << 20);
    put_body(&body, d->base, f->member);
    if (json_check(buf_str(&body), NULL) < 0)
        fail_msg("no JSON: %s", buf_c(&body));
    if (spoke_of(d->wire)->read_request(buf_str(&body), &a, &r, &e) < 0)
        fail_msg("%s: %s", f->member, e.text);
    int rc = spoke_of(targets[at].wire)->write_request(&r, &t, &out, &notes, &e);
    bool fine = rc < 0 ? e.text[0] != 0 : any_of(f->carried, buf_c(&out)) || any_of(f->named, notes.dropped);
    if (rc == 0 && any_of("refused", f->named))
        fine = false;
    if (!fine)
        printf("# %s to %s (%s): %s is lost; dropped: %s; sent: %s\n", wire_name(d->wire), wire_name(targets[at].wire),
            targets[at].model, f->member, notes.dropped, buf_c(&out));
    buf_fini(&out);
    buf_fini(&body);
    arena_fini(&a);
    return !fine;
}

static void nothing_that_is_asked_is_left_out_in_silence(void **state)
{
    unsigned lost = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (size_t k = 0; k < all[i].count; k++)
            for (size_t at = 0; at < ARRAY_LEN(targets); at++)
                if (targets[at].wire != all[i].wire)
                    lost += check_field(&all[i], &all[i].fields[k], at);
    assert_int_equal(lost, 0);
}

/* Through its own dialect (history under a seal makes that necessary) each comes back. */
static void all_of_it_comes_back_in_its_own_dialect(void **state)
{
    unsigned lost = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (size_t k = 0; k < all[i].count; k++) {
            const struct field *f = &all[i].fields[k];
            struct ir_request r;
            struct err e = {0};
            struct arena a;
            struct buf body, out;
            struct spoke_target t = {.model = STR("m"), .max_output = 4096, .quirks = quirks_of(STR("https://openrouter.ai/api/v1"))};
            arena_init(&a, 4096, 1 << 20);
            buf_init(&body, 1 << 20);
            buf_init(&out, 1 << 20);
            put_body(&body, all[i].base, f->member);
            assert_int_equal(spoke_of(all[i].wire)->read_request(buf_str(&body), &a, &r, &e), 0);
            t.stream = t.ask_usage = r.stream;
            assert_int_equal(spoke_of(all[i].wire)->write_request(&r, &t, &out, NULL, &e), 0);
            struct json_walk w = json_walk(buf_str(&body)), v;
            struct json_token token, other;
            while (json_walk_next(&w, &token)) { /* every name of a member is still there */
                bool found = token.key.type != JSON_STRING || any_of("functions|max_tokens|output_format|refusal", f->member);
                v = json_walk(buf_str(&out));
                while (!found && json_walk_next(&v, &other))
                    found = other.key.type == JSON_STRING && str_eq(other.key.raw, token.key.raw);
                if (!found && token.key.raw.n > 2 && !any_of("responseSchema|strict|stream_options|\"exclude\"", f->member)) {
                    printf("# %s: " STR_FMT " of %s is lost: %s\n", wire_name(all[i].wire), STR_ARG(token.key.raw), f->member,
                        buf_c(&out));
                    lost++;
                }
            }
            buf_fini(&out);
            buf_fini(&body);
            arena_fini(&a);
        }
    assert_int_equal(lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_is_asked_is_left_out_in_silence),
        cmocka_unit_test(all_of_it_comes_back_in_its_own_dialect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
