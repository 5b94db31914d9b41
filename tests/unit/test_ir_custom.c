/* Units of custom tools (custom.h) through every dialect: the tool, the choice of it, its calls and
 * results in the history, the call of the answer, whole and streamed in any fragments. */
#include "proxy/dialect/custom.h"
#include "tests/unit/ir_check.h"

static const enum wire wires[] = {WIRE_CHAT, WIRE_RESPONSES, WIRE_MESSAGES, WIRE_GENERATE};

#define GRAMMAR "start: \\\"a\\\"\\n"
#define INPUT "*** Begin\\n+\\\"q\\\" \\\\ \\u00e9 \\/ é\\t\\ud83d\\ude00"

static const char chat_body[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"go\"},{\"role\":"
    "\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"custom\",\"custom\":"
    "{\"name\":\"patch\",\"input\":\"" INPUT "\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_1\","
    "\"content\":\"done\"}],\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"patch\","
    "\"description\":\"d\",\"format\":{\"type\":\"grammar\",\"grammar\":{\"syntax\":\"lark\","
    "\"definition\":\"" GRAMMAR "\"}}}}],\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":"
    "\"patch\"}}}";

static const char responses_body[] = "{\"input\":[{\"role\":\"user\",\"content\":\"go\"},{\"type\":"
    "\"custom_tool_call\",\"call_id\":\"call_1\",\"name\":\"patch\",\"input\":\"" INPUT "\"},{\"type\":"
    "\"custom_tool_call_output\",\"call_id\":\"call_1\",\"output\":\"done\"}],\"tools\":[{\"type\":"
    "\"custom\",\"name\":\"patch\",\"description\":\"d\",\"format\":{\"type\":\"grammar\",\"syntax\":"
    "\"lark\",\"definition\":\"" GRAMMAR "\"}}],\"tool_choice\":{\"type\":\"custom\",\"name\":"
    "\"patch\"}}";

struct made {
    struct arena a;
    struct ir_request r;
    struct ir_notes notes;
    struct err e;
    struct buf out;
};

static void made_init(struct made *m, enum wire from, const char *body)
{
    *m = (struct made){.notes = {.count = 0}};
    arena_init(&m->a, 4096, 8 << 20);
    buf_init(&m->out, 8 << 20);
    if (spoke_of(from)->read_request(str_c(body), &m->a, &m->r, &m->e) < 0)
        fail_msg("%s", m->e.text);
}

static void made_fini(struct made *m)
{
    buf_fini(&m->out);
    arena_fini(&m->a);
}

static const char *asked_of(struct made *m, enum wire to)
{
    struct spoke_target t = {.model = STR("m"), .quirks = &quirks_none, .max_output = 4096};
    buf_reset(&m->out);
    if (spoke_of(to)->write_request(&m->r, &t, &m->out, &m->notes, &m->e) < 0)
        fail_msg("%s", m->e.text);
    assert_int_equal(json_check(buf_str(&m->out), NULL), 0);
    return buf_c(&m->out);
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no %s in %s", part, text);
}

static void a_custom_tool_is_asked_for_in_each_dialect(void **state)
{
    (void)state;
    for (int from = 0; from < 2; from++) {
        struct made m;
        made_init(&m, from ? WIRE_RESPONSES : WIRE_CHAT, from ? responses_body : chat_body);
        const char *text = asked_of(&m, WIRE_MESSAGES);
        has(text, "{\"type\":\"tool_use\",\"id\":\"call_1\",\"name\":\"patch\",\"input\":{\"input\":\"" INPUT "\"}}");
        has(text, "{\"type\":\"tool_result\",\"tool_use_id\":\"call_1\",\"content\":\"done\"}");
        has(text, "\"description\":\"A text of this lark grammar:\\n" GRAMMAR "\"");
        has(text, "\"tool_choice\":{\"type\":\"tool\",\"name\":\"patch\"}");
        text = asked_of(&m, WIRE_GENERATE);
        has(text, "\"functionCall\":{\"id\":\"call_1\",\"name\":\"patch\",\"args\":{\"input\":\"" INPUT "\"}}");
        has(text, "\"functionResponse\":{\"id\":\"call_1\",\"name\":\"patch\",\"response\":{\"result\":\"done\"}}");
        has(text, "\"allowedFunctionNames\":[\"patch\"]");
        text = asked_of(&m, WIRE_RESPONSES);
        has(text, "{\"type\":\"custom_tool_call\",\"call_id\":\"call_1\",\"name\":\"patch\",\"input\":\"" INPUT "\"}");
        has(text, "{\"type\":\"custom_tool_call_output\",\"call_id\":\"call_1\",\"output\":\"done\"}");
        has(text, "\"format\":{\"type\":\"grammar\",\"syntax\":\"lark\",\"definition\":\"" GRAMMAR "\"}}]");
        has(text, "\"tool_choice\":{\"type\":\"custom\",\"name\":\"patch\"}");
        text = asked_of(&m, WIRE_CHAT);
        has(text, from ? "{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"patch\",\"arguments\":\""
                       : "{\"id\":\"call_1\",\"type\":\"custom\",\"custom\":{\"name\":\"patch\",\"input\":\"" INPUT "\"}}");
        has(text, from ? "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"patch\"}}"
                       : "\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"patch\"}}");
        assert_string_equal(m.notes.dropped, "");
        made_fini(&m);
    }
}

static void a_custom_tool_among_those_allowed_is_found(void **state)
{
    struct made m;
    (void)state;
    made_init(&m, WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"go\"}],\"tools\":[{\"type\":"
        "\"custom\",\"custom\":{\"name\":\"free\"}},{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
        "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{"
        "\"type\":\"custom\",\"custom\":{\"name\":\"free\"}}]}}}");
    has(asked_of(&m, WIRE_RESPONSES), "\"tools\":[{\"type\":\"custom\",\"name\":\"free\"}]}");
    has(asked_of(&m, WIRE_RESPONSES), "\"format\":{\"type\":\"text\"}");
    assert_null(strstr(asked_of(&m, WIRE_MESSAGES), "\"f\""));
    made_fini(&m);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* What a function's arguments are in the provider's answer, as the text of a JSON string. */
static void put_answer(struct buf *b, enum wire w, struct str arguments)
{
    struct buf text;
    buf_init(&text, 8 << 20);
    json_quote(&text, arguments);
    if (w == WIRE_CHAT)
        buf_printf(b, "{\"id\":\"a\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
            "\"content\":null,\"tool_calls\":[{\"id\":\"call_9\",\"type\":\"function\",\"function\":{\"name\":"
            "\"patch\",\"arguments\":" STR_FMT "}}]},\"finish_reason\":\"tool_calls\"}]}", STR_ARG(buf_str(&text)));
    else if (w == WIRE_RESPONSES)
        buf_printf(b, "{\"id\":\"a\",\"model\":\"m\",\"status\":\"completed\",\"output\":[{\"type\":"
            "\"function_call\",\"id\":\"fc_1\",\"call_id\":\"call_9\",\"name\":\"patch\",\"arguments\":" STR_FMT
            "}]}", STR_ARG(buf_str(&text)));
    else if (w == WIRE_MESSAGES)
        buf_printf(b, "{\"id\":\"a\",\"model\":\"m\",\"content\":[{\"type\":\"tool_use\",\"id\":\"call_9\",\"name\":"
            "\"patch\",\"input\":" STR_FMT "}],\"stop_reason\":\"tool_use\"}", STR_ARG(arguments));
    else
        buf_printf(b, "{\"responseId\":\"a\",\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":"
            "\"call_9\",\"name\":\"patch\",\"args\":" STR_FMT "}}]},\"finishReason\":\"STOP\"}]}", STR_ARG(arguments));
    buf_fini(&text);
}

static struct spoke_client client_of(const struct made *m)
{
    return (struct spoke_client){.model = STR("m"), .fallback_id = STR("id1"), .now_s = 1700000000,
        .request = &m->r};
}

static void its_call_comes_back_as_a_custom_call(void **state)
{
    (void)state;
    for (int to = 0; to < 2; to++)
        for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
            struct made m;
            struct ir_answer answer;
            struct buf body;
            made_init(&m, to ? WIRE_RESPONSES : WIRE_CHAT, to ? responses_body : chat_body);
            struct spoke_client c = client_of(&m);
            buf_init(&body, 1 << 20);
            put_answer(&body, wires[i], STR("{\"input\": \"" INPUT "\"}"));
            assert_int_equal(spoke_of(wires[i])->read_answer(buf_str(&body), &quirks_none, &m.a, &answer, &m.e), 0);
            assert_int_equal(spoke_of(m.r.origin)->write_answer(&answer, &c, &m.a, &m.out, &m.notes, &m.e), 0);
            assert_int_equal(json_check(buf_str(&m.out), NULL), 0);
            has(buf_c(&m.out), to ? "\"type\":\"custom_tool_call\",\"status\":\"completed\",\"call_id\":\"call_9\","
                                    "\"name\":\"patch\",\"input\":\"" INPUT "\"}"
                                  : "{\"id\":\"call_9\",\"type\":\"custom\",\"custom\":{\"name\":\"patch\",\"input\":\""
                                    INPUT "\"}}");
            buf_fini(&body);
            made_fini(&m);
        }
}

/* One answer as the stream of its own dialect: `step` characters of the arguments an event. */
static void put_stream(struct buf *b, struct str arguments, size_t step)
{
    buf_puts(b, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"m\"}}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":"
        "\"call_9\",\"name\":\"patch\",\"input\":{}}}\n\n");
    for (size_t at = 0, n; at < arguments.n; at += n) {
        n = MIN(step, arguments.n - at);
        while (at + n < arguments.n && ((unsigned char)arguments.p[at + n] & 0xc0) == 0x80)
            n++;
        buf_puts(b, "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\","
            "\"partial_json\":");
        json_quote(b, str_first(str_from(arguments, at), n));
        buf_puts(b, "}}\n\n");
    }
    buf_puts(b, "data: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{"
        "\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":3}}\n\ndata: {\"type\":\"message_stop\"}\n\n");
}

/* The input, put together from the deltas. */
static struct str heard_input(struct str stream, bool responses, struct arena *a, unsigned *deltas)
{
    struct sse sse;
    struct sse_event ev;
    struct buf all;
    sse_init(&sse, 16 << 20);
    buf_init(&all, 16 << 20);
    assert_int_equal(sse_feed(&sse, stream), 0);
    *deltas = 0;
    while (sse_next(&sse, &ev)) {
        struct json_span v = responses ? json_get(ev.data, STR("delta"))
            : json_path(ev.data, "choices.0.delta.tool_calls.0.custom.input");
        if (v.type != JSON_STRING || (responses && !str_eq(ev.name, STR("response.custom_tool_call_input.delta"))))
            continue;
        buf_put_str(&all, json_text(v, a));
        *deltas += v.raw.n > 2;
    }
    struct str text = all.n ? arena_str(a, buf_str(&all)) : STR("");
    buf_fini(&all);
    sse_fini(&sse);
    return text;
}

static struct str streamed(struct made *m, struct str arguments, size_t step, unsigned *deltas)
{
    struct spoke_client c = client_of(m);
    struct buf stream, out;
    buf_init(&stream, 16 << 20);
    buf_init(&out, 16 << 20);
    put_stream(&stream, arguments, step);
    translate_stream(WIRE_MESSAGES, &quirks_none, buf_str(&stream), 0, m->r.origin, &c, &out);
    struct str text = heard_input(buf_str(&out), m->r.origin == WIRE_RESPONSES, &m->a, deltas);
    if (m->r.origin == WIRE_RESPONSES)
        assert_true(str_find(buf_str(&out), STR("response.custom_tool_call_input.done")) > 0);
    buf_fini(&stream);
    buf_fini(&out);
    return text;
}

static void it_streams_as_it_comes_in_any_fragments(void **state)
{
    (void)state;
    for (int to = 0; to < 2; to++)
        for (size_t step = 1; step < 60; step++) {
            struct made m;
            unsigned deltas;
            made_init(&m, to ? WIRE_RESPONSES : WIRE_CHAT, to ? responses_body : chat_body);
            struct str want = ir_plain(STR(INPUT), &m.a);
            struct str got = streamed(&m, STR(" { \"input\" : \"" INPUT "\" } "), step, &deltas);
            assert_same_lines(want, got, "input");
            if (step == 1)
                assert_true(deltas > 20); /* an event out for an event in */
            made_fini(&m);
        }
}

/* What a model makes of it all the same. */
static void other_arguments_are_told_as_they_are(void **state)
{
    static const struct {
        const char *arguments, *input;
    } cases[] = {
        {"{\"input\":\"cut off", "cut off"},
        {"{\"note\":1,\"input\":\"late\"}", "late"},
        {"{\"patch\":\"x\"}", "{\"patch\":\"x\"}"},
        {"{\"input\":7}", "{\"input\":7}"},
        {"no JSON", "no JSON"},
        {"{\"in", "{\"in"},
        {"{\"input\":\"\"}", ""},
        {"{}", "{}"},
        {"{ in put:\"x\"}", "{ in put:\"x\"}"},
    };
    (void)state;
    for (int to = 0; to < 2; to++)
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct made m;
            unsigned deltas;
            made_init(&m, to ? WIRE_RESPONSES : WIRE_CHAT, to ? responses_body : chat_body);
            assert_same_lines(str_c(cases[i].input), streamed(&m, str_c(cases[i].arguments), 3, &deltas),
                cases[i].arguments);
            made_fini(&m);
        }
}

/* OpenAI's own streams of a custom call, to dialects that have none: a function call with the text. */
static const char chat_stream[] =
    "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,"
    "\"id\":\"call_9\",\"type\":\"custom\",\"custom\":{\"name\":\"patch\",\"input\":\"\"}}]}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"custom\":{\"input\":\"a \\\"\"}}]}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_10\",\"type\":\"custom\","
    "\"custom\":{\"name\":\"patch\",\"input\":\"sec\"}}]}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"custom\":{\"input\":\"b\\n\"}},{\"index\":1,"
    "\"custom\":{\"input\":\"ond\"}}]}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";

static const char responses_stream[] =
    "data: {\"type\":\"response.created\",\"response\":{\"id\":\"a\"}}\n\n"
    "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"custom_tool_call\",\"id\":"
    "\"ctc_1\",\"call_id\":\"call_9\",\"name\":\"patch\",\"input\":\"\"}}\n\n"
    "data: {\"type\":\"response.custom_tool_call_input.delta\",\"output_index\":0,\"delta\":\"a \\\"\"}\n\n"
    "data: {\"type\":\"response.custom_tool_call_input.delta\",\"output_index\":0,\"delta\":\"b\\n\"}\n\n"
    "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"custom_tool_call\",\"call_id\":"
    "\"call_9\",\"name\":\"patch\",\"input\":\"a \\\"b\\n\"}}\n\n"
    "data: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"custom_tool_call\",\"call_id\":"
    "\"call_10\",\"name\":\"patch\",\"input\":\"second\"}}\n\n"
    "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n";

static void a_custom_call_of_openai_is_a_function_call_elsewhere(void **state)
{
    static const struct {
        enum wire wire;
        const char *stream;
    } from[] = {{WIRE_CHAT, chat_stream}, {WIRE_RESPONSES, responses_stream}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(from); i++)
        for (long size = 0; size < 8; size++) {
            struct heard h;
            heard_init(&h);
            run_stream(from[i].wire, &quirks_none, str_c(from[i].stream), size, &h);
            assert_true(h.done);
            has(buf_c(&h.lines), "call_9");
            has(buf_c(&h.lines), "text=<{\"input\":\"a \\\"b\\n\"}>");
            has(buf_c(&h.lines), "text=<{\"input\":\"second\"}>");
            heard_fini(&h);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_custom_tool_is_asked_for_in_each_dialect),
        cmocka_unit_test(a_custom_tool_among_those_allowed_is_found),
        cmocka_unit_test(its_call_comes_back_as_a_custom_call),
        cmocka_unit_test(it_streams_as_it_comes_in_any_fragments),
        cmocka_unit_test(other_arguments_are_told_as_they_are),
        cmocka_unit_test(a_custom_call_of_openai_is_a_function_call_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
