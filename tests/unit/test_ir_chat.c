/* Units of the chat and the Messages spokes: recorded requests come back as they were, byte for byte
 * in what they say, and the corners that agents live in. */
#include "proxy/dialect/seal.h"
#include "tests/unit/ir_check.h"

static void a_recorded_request_comes_back_as_it_was(void **state)
{
    struct request_check chat = {.wire = WIRE_CHAT, .base_url = "https://api.openai.com/v1"};
    struct request_check messages = {.wire = WIRE_MESSAGES, .base_url = "https://api.openai.com/v1"};
    (void)state;
    each_fixture("openai-chat", NULL, check_request_comes_back, &chat);
    each_fixture("anthropic-messages", NULL, check_request_comes_back, &messages);
}

/* --- made here ---------------------------------------------------------------------------------- */

struct written {
    struct arena arena;
    struct ir_notes notes;
    struct buf out;
    const char *text;
};

static void write_over(enum wire from, const char *body, enum wire to, const char *model,
    const struct spoke_quirks *q, struct written *w)
{
    struct ir_request r;
    struct err e = {0};
    struct spoke_target t = {.model = str_c(model), .quirks = q, .max_output = 4096};
    *w = (struct written){0};
    arena_init(&w->arena, 4096, 1 << 20);
    buf_init(&w->out, 1 << 20);
    if (spoke_of(from)->read_request(str_c(body), &w->arena, &r, &e) < 0 ||
        spoke_of(to)->write_request(&r, &t, &w->out, &w->notes, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(json_check(buf_str(&w->out), NULL), 0);
    w->text = buf_c(&w->out);
}

static void written_fini(struct written *w)
{
    buf_fini(&w->out);
    arena_fini(&w->arena);
}

#define HAS(w, part) \
    do { \
        if (!strstr((w).text, part)) \
            fail_msg("no %s in %s", part, (w).text); \
    } while (0)
#define HAS_NOT(w, part) \
    do { \
        if (strstr((w).text, part)) \
            fail_msg("%s in %s", part, (w).text); \
    } while (0)

static void results_of_one_turn_stand_in_one_message(void **state)
{
    struct written w;
    (void)state;
    write_over(WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
        "\"content\":\"\",\"tool_calls\":[{\"id\":\"functions.f:0\",\"type\":\"function\",\"function\":{"
        "\"name\":\"f\",\"arguments\":\"\"}},{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":"
        "\"g\",\"arguments\":\"{\\\"cut\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"functions.f:0\","
        "\"content\":\"x\"},{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"y\"},{\"role\":"
        "\"user\",\"content\":\"go on\"}]}", WIRE_MESSAGES, "claude-opus-4-6", &quirks_none, &w);
    HAS(w, "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"functions_f_0\","
        "\"name\":\"f\",\"input\":{}},{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"g\",\"input\":{"
        "\"INVALID_JSON\":\"{\\\"cut\"}}]}");
    HAS(w, "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"functions_f_0\","
        "\"content\":\"x\"},{\"type\":\"tool_result\",\"tool_use_id\":\"b\",\"content\":\"y\"},{\"type\":"
        "\"text\",\"text\":\"go on\"}]}");
    written_fini(&w);
}

static void thinking_yields_to_what_the_api_refuses(void **state)
{
    struct written w;
    (void)state;
    write_over(WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"temperature\":1.5,"
        "\"top_p\":0.3,\"max_completion_tokens\":9000,\"reasoning_effort\":\"high\"}", WIRE_MESSAGES,
        "claude-sonnet-4-5", &quirks_none, &w);
    HAS(w, "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":7200}");
    HAS_NOT(w, "temperature");
    assert_string_equal(w.notes.dropped, "temperature, top_p");
    assert_int_equal(w.notes.count, 0);
    written_fini(&w);
    write_over(WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"temperature\":1.5,"
        "\"reasoning_effort\":\"high\",\"tool_choice\":\"required\",\"tools\":[{\"type\":\"function\","
        "\"function\":{\"name\":\"f\"}}]}", WIRE_MESSAGES, "claude-opus-4-6", &quirks_none, &w);
    HAS_NOT(w, "\"thinking\"");
    HAS(w, "\"tool_choice\":{\"type\":\"any\"}");
    HAS(w, "\"temperature\":1,");
    HAS(w, "\"input_schema\":{\"type\":\"object\"}");
    written_fini(&w);
    write_over(WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],"
        "\"reasoning_effort\":\"xhigh\"}", WIRE_MESSAGES, "claude-opus-4-6", &quirks_none, &w);
    HAS(w, "\"thinking\":{\"type\":\"adaptive\"}");
    HAS(w, "\"output_config\":{\"effort\":\"xhigh\"}");
    written_fini(&w);
}

/* Switched in the middle of a tool turn: thoughts of another model can't be shown, so none are asked. */
static void a_model_switched_within_a_tool_turn_does_not_think(void **state)
{
    struct written w;
    (void)state;
    write_over(WIRE_CHAT, "{\"reasoning_effort\":\"high\",\"messages\":[{\"role\":\"user\",\"content\":"
        "\"a\"},{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"hm\",\"tool_calls\":[{"
        "\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},{"
        "\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"y\"}]}", WIRE_MESSAGES,
        "claude-sonnet-4-5", &quirks_none, &w);
    HAS_NOT(w, "\"thinking\"");
    assert_non_null(strstr(w.notes.dropped, "reasoning"));
    written_fini(&w);
}

static void images_of_a_result_follow_the_results(void **state)
{
    struct written w;
    (void)state;
    write_over(WIRE_MESSAGES, "{\"max_tokens\":5,\"messages\":[{\"role\":\"assistant\",\"content\":[{"
        "\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}},{\"type\":\"tool_use\",\"id\":"
        "\"b\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
        "\"tool_use_id\":\"a\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\","
        "\"media_type\":\"image/png\",\"data\":\"AAAA\"}}]},{\"type\":\"tool_result\",\"tool_use_id\":"
        "\"b\",\"content\":\"y\"}]}]}", WIRE_CHAT, "gpt-4o", &quirks_none, &w);
    HAS(w, "{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"y\"},{\"role\":\"user\",\"content\":[{"
        "\"type\":\"text\",\"text\":\"Content of the tool result a:\"},{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]}");
    HAS(w, "\"max_tokens\":5");
    written_fini(&w);
}

static void providers_are_asked_in_their_own_words(void **state)
{
    struct written w;
    const char *body = "{\"max_tokens\":5,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":9000},"
        "\"tool_choice\":{\"type\":\"any\"},\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],"
        "\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"toolu_01\","
        "\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
        "\"tool_use_id\":\"toolu_01\"}]}]}";
    (void)state;
    write_over(WIRE_MESSAGES, body, WIRE_CHAT, "mistral-large",
        quirks_of(STR("https://api.mistral.ai/v1")), &w);
    HAS(w, "\"tool_choice\":\"any\"");
    HAS(w, "\"max_tokens\":5");
    const char *id = strstr(w.text, "\"tool_calls\":[{\"id\":\"");
    assert_non_null(id);
    assert_int_equal(strcspn(id + 21, "\""), 9);
    char again[40];
    snprintf(again, sizeof again, "\"tool_call_id\":\"%.9s\"", id + 21);
    HAS(w, again);
    HAS_NOT(w, "reasoning_effort");
    written_fini(&w);
    write_over(WIRE_MESSAGES, body, WIRE_CHAT, "gpt-5",
        quirks_of(STR("https://api.openai.com/v1")), &w);
    HAS(w, "\"max_completion_tokens\":5");
    HAS(w, "\"tool_choice\":\"required\"");
    HAS(w, "\"reasoning_effort\":\"high\"");
    written_fini(&w);
    write_over(WIRE_MESSAGES, body, WIRE_CHAT, "gpt-4o",
        quirks_of(STR("https://api.openai.com/v1")), &w);
    HAS_NOT(w, "reasoning_effort");
    written_fini(&w);
}

/* Some servers count their calls from 0 in each turn, or give parallel calls one id. */
static void calls_of_one_id_are_told_apart(void **state)
{
#define TURN "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"0\",\"type\":\"function\",\"function\":{" \
        "\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"0\",\"type\":\"function\",\"function\":{\"name\":" \
        "\"g\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"0\",\"content\":\"of f\"}," \
        "{\"role\":\"tool\",\"tool_call_id\":\"0\",\"content\":\"of g\"}"
    struct written w;
    (void)state;
    write_over(WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}," TURN "," TURN "]}",
        WIRE_MESSAGES, "claude-opus-4-6", &quirks_none, &w);
    HAS(w, "\"id\":\"0\",\"name\":\"f\"");
    HAS(w, "\"id\":\"0_2\",\"name\":\"g\"");
    HAS(w, "\"tool_use_id\":\"0\",\"content\":\"of f\"},{\"type\":\"tool_result\",\"tool_use_id\":\"0_2\","
        "\"content\":\"of g\"");
    HAS(w, "\"tool_use_id\":\"0_3\",\"content\":\"of f\"},{\"type\":\"tool_result\",\"tool_use_id\":\"0_4\","
        "\"content\":\"of g\"");
    written_fini(&w);
#undef TURN
}

/* OpenAI knows a list of the tools that may be called; others are shown these alone. */
static void only_some_tools_may_be_called(void **state)
{
    static const char *const body = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":["
        "{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\"function\",\"function\":{\"name\":"
        "\"g\"}}],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":["
        "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}}}";
    struct written w;
    (void)state;
    write_over(WIRE_CHAT, body, WIRE_CHAT, "gpt-5", quirks_of(STR("https://api.openai.com/v1")), &w);
    HAS(w, "\"name\":\"f\"");
    HAS(w, "\"type\":\"allowed_tools\"");
    written_fini(&w);
    write_over(WIRE_CHAT, body, WIRE_CHAT, "qwen3", quirks_of(STR("http://127.0.0.1:11434/v1")), &w);
    HAS_NOT(w, "\"name\":\"f\"");
    HAS(w, "\"tool_choice\":\"auto\"");
    written_fini(&w);
    write_over(WIRE_CHAT, body, WIRE_MESSAGES, "claude-opus-4-6", &quirks_none, &w);
    HAS_NOT(w, "\"name\":\"f\"");
    HAS(w, "\"tool_choice\":{\"type\":\"auto\"}");
    written_fini(&w);
    write_over(WIRE_CHAT, body, WIRE_GENERATE, "gemini-3-pro", &quirks_none, &w);
    HAS(w, "\"name\":\"f\"");
    HAS(w, "{\"mode\":\"VALIDATED\",\"allowedFunctionNames\":[\"g\"]}");
    written_fini(&w);
}

static void what_is_left_out_is_said_all_of_it(void **state)
{
    struct written w;
    (void)state;
    write_over(WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"stop\":[\"\\n\\n\",\"END\"]}",
        WIRE_MESSAGES, "claude-opus-4-6", &quirks_none, &w);
    HAS(w, "\"stop_sequences\":[\"END\"]");
    assert_string_equal(w.notes.dropped, "stop (blank)");
    written_fini(&w);
    write_over(WIRE_MESSAGES, "{\"max_tokens\":50,\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
        "\"assistant\",\"content\":[{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}},"
        "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":"
        "\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"text\",\"text\":\"r\"},{\"type\":"
        "\"tool_reference\",\"tool_name\":\"z\"}]}]}]}", WIRE_CHAT, "gpt-4o", &quirks_none, &w);
    HAS(w, "{\"role\":\"assistant\",\"content\":null,\"tool_calls\"");
    assert_string_equal(w.notes.dropped, "content.server_tool_use, content.tool_reference");
    written_fini(&w);
    struct ir_notes notes = {0};
    for (int i = 0; i < 200; i++) {
        char name[40];
        snprintf(name, sizeof name, "a_rather_long_member_%d", i);
        ir_dropped(&notes, name);
    }
    assert_true(strlen(notes.dropped) < sizeof notes.dropped);
    assert_true(str_ends(str_c(notes.dropped), STR(", more")));
}

/* Whoever is not Google's refuses the member that its proof stands in. */
static void googles_proof_goes_to_google_alone(void **state)
{
    static const char *const body = "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]},{\"role\":"
        "\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}},\"thoughtSignature\":\"S\"}]},"
        "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":{\"output\":\"r\"}}}]}]}";
    struct written w;
    (void)state;
    write_over(WIRE_GENERATE, body, WIRE_CHAT, "gpt-4o", quirks_of(STR("https://api.openai.com/v1")), &w);
    HAS_NOT(w, "extra_content");
    written_fini(&w);
    write_over(WIRE_GENERATE, body, WIRE_CHAT, "gemini-3-pro",
        quirks_of(STR("https://generativelanguage.googleapis.com/v1beta/openai")), &w);
    HAS(w, "\"extra_content\":{\"google\":{\"thought_signature\":\"S\"}}");
    written_fini(&w);
}

static void spoken_words_are_the_text(void **state)
{
    static const char *const body = "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
        "\"assistant\",\"content\":null,\"audio\":{\"id\":\"a\",\"data\":\"QUJD\",\"transcript\":\"hello\"}},"
        "\"finish_reason\":\"stop\"}]}";
    static const enum wire wires[] = {WIRE_MESSAGES, WIRE_RESPONSES, WIRE_GENERATE};
    static const struct spoke_client client = {.model = {"m", 1}, .fallback_id = {"i", 1}, .now_s = 1};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        struct written w = {0};
        struct ir_answer answer;
        struct err e = {0};
        arena_init(&w.arena, 4096, 1 << 20);
        buf_init(&w.out, 1 << 20);
        assert_int_equal(spoke_chat.read_answer(str_c(body), &quirks_none, &w.arena, &answer, &e), 0);
        assert_int_equal(spoke_of(wires[i])->write_answer(&answer, &client, &w.arena, &w.out, &w.notes, &e), 0);
        w.text = buf_c(&w.out);
        HAS(w, "\"text\":\"hello\"");
        if (wires[i] == WIRE_GENERATE)
            HAS(w, "\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"QUJD\"}");
        assert_string_equal(w.notes.dropped, wires[i] == WIRE_GENERATE ? "" : "content.audio");
        written_fini(&w);
    }
}

/* Clients parse what came of the arguments, and "" is no JSON. */
static void a_call_without_arguments_is_told_as_an_object(void **state)
{
    static const char *const events =
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"usage\":{\"input_tokens\":1,"
        "\"service_tier\":\"priority\"}}}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\","
        "\"name\":\"f\",\"input\":{}}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":"
        "\"\"}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":1}}\n\n"
        "data: {\"type\":\"message_stop\"}\n\n";
    static const struct spoke_client client = {.model = {"m", 1}, .fallback_id = {"i", 1}, .now_s = 1,
        .include_usage = true};
    struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    translate_stream(WIRE_MESSAGES, &quirks_none, str_c(events), 7, WIRE_CHAT, &client, &out);
    assert_non_null(strstr(buf_c(&out), "{\"index\":0,\"function\":{\"arguments\":\"{}\"}}"));
    assert_non_null(strstr(buf_c(&out), "\"service_tier\":\"priority\"}\n\ndata: [DONE]"));
    buf_fini(&out);
}

static void a_seal_is_opened_only_by_us(void **state)
{
    struct arena a;
    struct str inside;
    enum wire maker = WIRE_RAW;
    (void)state;
    arena_init(&a, 4096, 1 << 20);
    for (size_t n = 0; n < 40; n++) {
        struct str text = str_first(STR("a signature of any length +/= \\\" \\u00e9 x"), n);
        if (text.n && text.p[text.n - 1] == '\\')
            continue; /* no whole text */
        struct str sealed = ir_seal(&a, WIRE_GENERATE, text);
        assert_true(ir_is_sealed(sealed));
        bool whole = ir_unseal(&a, sealed, &maker, &inside);
        if (!whole) /* an escape that is cut is no text */
            continue;
        assert_int_equal(maker, WIRE_GENERATE);
        assert_true(str_eq(inside, text));
    }
    assert_false(ir_unseal(&a, STR("EqQBCkYIBxgCKkD"), &maker, &inside));
    assert_false(ir_unseal(&a, STR("cG0x!!!!"), &maker, &inside));
    assert_false(ir_unseal(&a, ir_seal(&a, WIRE_CHAT, STR("a\"b")), &maker, &inside)); /* forged */
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_request_comes_back_as_it_was),
        cmocka_unit_test(results_of_one_turn_stand_in_one_message),
        cmocka_unit_test(thinking_yields_to_what_the_api_refuses),
        cmocka_unit_test(a_model_switched_within_a_tool_turn_does_not_think),
        cmocka_unit_test(images_of_a_result_follow_the_results),
        cmocka_unit_test(providers_are_asked_in_their_own_words),
        cmocka_unit_test(calls_of_one_id_are_told_apart),
        cmocka_unit_test(only_some_tools_may_be_called),
        cmocka_unit_test(what_is_left_out_is_said_all_of_it),
        cmocka_unit_test(googles_proof_goes_to_google_alone),
        cmocka_unit_test(spoken_words_are_the_text),
        cmocka_unit_test(a_call_without_arguments_is_told_as_an_object),
        cmocka_unit_test(a_seal_is_opened_only_by_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
