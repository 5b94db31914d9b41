/* Units of the Responses spoke: its streams in the one order that the official client accepts, its
 * requests in and out, and what is refused where nothing is kept. */
#include "proxy/dialect/responses.h"
#include "tests/unit/ir_check.h"

static const struct spoke_client client = {.model = {"gpt-5", 5}, .fallback_id = {"01hzy", 5},
    .now_s = 1700000000};

/* --- the official client -------------------------------------------------------------------- */

/* What `client.responses.stream()` insists on: created first, known events alone, numbers without a
 * gap, items added before they are spoken of, and a last event that repeats what was told. */
struct judge {
    const char *name;
    struct str items[64], text;
    unsigned count;
    int64_t sequence, open;
    struct buf said;           /* deltas of the part under way */
    bool created, over, failed;
};

static const char *const known[] = {"response.created", "response.in_progress",
    "response.output_item.added", "response.output_item.done", "response.content_part.added",
    "response.content_part.done", "response.output_text.delta", "response.output_text.done",
    "response.output_text.annotation.added", "response.refusal.delta", "response.refusal.done",
    "response.function_call_arguments.delta", "response.function_call_arguments.done",
    "response.custom_tool_call_input.delta", "response.custom_tool_call_input.done",
    "response.reasoning_summary_part.added", "response.reasoning_summary_part.done",
    "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done",
    "response.completed", "response.incomplete", "response.failed", "error"};

static bool is_known(struct str type)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(type, str_c(known[i])))
            return true;
    return false;
}

static void judge_item(struct judge *j, struct str type, struct str data, int64_t index)
{
    struct json_span item = json_get(data, STR("item"));
    assert_true(json_get(item.raw, STR("id")).type == JSON_STRING);
    if (str_ends(type, STR(".added"))) {
        assert_int_equal(j->open, -1);
        assert_int_equal(index, j->count);
        j->open = index;
        return;
    }
    if (index != j->open)
        fail_msg("%s: item %d is done, %d is open: " STR_FMT, j->name, (int)index, (int)j->open, STR_ARG(str_first(data, 600)));
    j->open = -1;
    assert_true(j->count < ARRAY_LEN(j->items));
    j->items[j->count++] = item.raw;
}

static void judge_text(struct judge *j, struct str type, struct str data)
{
    static const char *const wholes[] = {"text", "refusal", "arguments", "input"};
    if (str_ends(type, STR(".delta"))) {
        buf_put_str(&j->said, ir_text(json_get(data, STR("delta"))));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(wholes); i++) {
        struct str whole = ir_text(json_get(data, str_c(wholes[i])));
        if (whole.p && (j->said.n || !ir_is(whole, "{}")))
            assert_same_lines(whole, buf_str(&j->said), j->name);
    }
    buf_reset(&j->said);
}

static void judge_end(struct judge *j, struct str type, struct str data)
{
    struct json_span response = json_get(data, STR("response")), k, v;
    struct json_iter it = json_iter(json_get(response.raw, STR("output")).raw);
    unsigned n = 0;
    j->over = true;
    if (str_eq(type, STR("response.failed"))) {
        j->failed = true;
        return;
    }
    assert_int_equal(j->open, -1);
    while (json_next(&it, &k, &v))
        assert_same_lines(v.raw, j->items[n++], j->name);
    assert_int_equal(n, j->count);
    assert_true(json_get(response.raw, STR("status")).type == JSON_STRING);
    assert_true(json_get(response.raw, STR("tools")).type == JSON_ARRAY);
}

static void judge_event(struct judge *j, struct str name, struct str data)
{
    int64_t sequence, index = -1;
    struct str type = ir_text(json_get(data, STR("type")));
    if (json_check(data, NULL) < 0 || !str_eq(name, type) || !is_known(type))
        fail_msg("%s: event " STR_FMT ": " STR_FMT, j->name, STR_ARG(name), STR_ARG(data));
    assert_false(j->over);
    assert_int_equal(json_i64(json_get(data, STR("sequence_number")), &sequence), 0);
    assert_int_equal(sequence, j->sequence++);
    assert_true(j->created == !str_eq(type, STR("response.created")));
    j->created = true;
    if (json_i64(json_get(data, STR("output_index")), &index) == 0 &&
        !str_starts(type, STR("response.output_item.")))
        assert_int_equal(index, j->open);
    if (str_starts(type, STR("response.output_item.")))
        judge_item(j, type, data, index);
    else if (str_ends(type, STR(".delta")) || str_ends(type, STR("text.done")) ||
             str_ends(type, STR("refusal.done")) || str_ends(type, STR("arguments.done")) ||
             str_ends(type, STR("input.done")))
        judge_text(j, type, data);
    else if (str_eq(type, STR("response.completed")) || str_eq(type, STR("response.incomplete")) ||
             str_eq(type, STR("response.failed")))
        judge_end(j, type, data);
}

static bool judge_stream(struct str bytes, const char *name)
{
    struct judge j = {.name = name, .open = -1};
    struct sse s;
    struct sse_event ev;
    struct str kept[4096];
    size_t n = 0;
    buf_init(&j.said, 64 << 20);
    sse_init(&s, 64 << 20);
    assert_int_equal(sse_feed(&s, bytes), 0);
    while (sse_next(&s, &ev))
        if (ev.has_data) { /* one line of data: it lies in `bytes` at the same place */
            assert_true(n < ARRAY_LEN(kept));
            judge_event(&j, ev.name, kept[n++] = ev.data);
        }
    assert_true(j.over);
    assert_int_equal(sse_pending(&s).n, 0);
    sse_fini(&s);
    buf_fini(&j.said);
    return !j.failed;
}

static const char *const dialects[] = {"openai-chat", "openai-responses", "anthropic-messages",
    "gemini-generate"};
static const enum wire wires[] = {WIRE_CHAT, WIRE_RESPONSES, WIRE_MESSAGES, WIRE_STREAM_GENERATE};

static void judge_fixture(const struct fixture *f, void *ctx)
{
    enum wire from = *(enum wire *)ctx;
    struct str bytes = shared_read(f->dir, f->file);
    struct buf out;
    if (strcmp(f->file, "stream.sse") == 0 && f->status == 200) {
        struct heard h;
        heard_init(&h);
        h.first_only = true;
        run_stream(from, &quirks_none, bytes, 0, &h);
        buf_init(&out, 64 << 20);
        translate_stream(from, &quirks_none, bytes, 0, WIRE_RESPONSES, &client, &out);
        if (h.done || h.failed)
            assert_int_equal(judge_stream(buf_str(&out), f->name), h.done);
        heard_fini(&h);
        buf_fini(&out);
    }
    free((char *)bytes.p);
}

static void every_stream_is_in_the_order_that_the_official_client_takes(void **state)
{
    unsigned n = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wires); i++)
        n += each_fixture(dialects[i], "stream", judge_fixture, (void *)&wires[i]);
    assert_true(n >= (data_dir(1, "fixtures") ? 100 : 6));
}

/* --- requests ------------------------------------------------------------------------------- */

static int write_as(enum wire w, const struct ir_request *r, const char *model, struct buf *out,
    struct ir_notes *notes, struct err *e)
{
    struct spoke_target t = {.model = str_c(model), .quirks = &quirks_none, .max_output = 4096,
        .stream = r->stream};
    return spoke_of(w)->write_request(r, &t, out, notes, e);
}

static void a_request_comes_back_as_it_was(void **state)
{
    struct request_check c = {.wire = WIRE_RESPONSES, .all = true};
    (void)state;
    each_fixture("openai-responses", NULL, check_request_comes_back, &c);
}

static void a_request_survives_the_way_over_other_dialects(void **state)
{
    struct request_check c = {.wire = WIRE_RESPONSES, .model = "gpt-4.1"};
    static const enum wire others[] = {WIRE_CHAT, WIRE_MESSAGES, WIRE_GENERATE};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        c.over = others[i];
        c.over_model = others[i] == WIRE_MESSAGES ? "claude-sonnet-4-5" : "gemini-3-pro-preview";
        each_fixture("openai-responses", NULL, check_request_over, &c);
    }
}

/* --- made here ------------------------------------------------------------------------------ */

static void what_is_kept_at_openai_is_refused_elsewhere(void **state)
{
    static const char *const members[] = {"\"previous_response_id\":\"resp_1\",\"input\":\"x\"",
        "\"conversation\":\"conv_1\",\"input\":\"x\"", "\"background\":true,\"input\":\"x\"",
        "\"prompt\":{\"id\":\"p\"}", "\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_1\"}]"};
    static const enum wire others[] = {WIRE_CHAT, WIRE_MESSAGES, WIRE_GENERATE};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        for (size_t k = 0; k < ARRAY_LEN(others); k++) {
            struct arena a;
            struct ir_request r;
            struct ir_notes notes = {0};
            struct err e = {0};
            struct buf out;
            char body[200];
            arena_init(&a, 4096, 1 << 20);
            buf_init(&out, 1 << 20);
            snprintf(body, sizeof body, "{%s,\"background\":false}", members[i]);
            assert_int_equal(responses_read_request(str_c(body), &a, &r, &e), 0);
            assert_int_equal(write_as(others[k], &r, "m", &out, &notes, &e), -ERR_UNSUPPORTED);
            assert_non_null(strstr(e.text, "kept by the provider"));
            buf_fini(&out);
            arena_fini(&a);
        }
}

/* Codex, as it asks: the items of one turn make one message, custom tools become functions. */
static void a_coding_agents_turn_is_understood(void **state)
{
    struct arena a;
    struct ir_request r;
    struct ir_notes notes = {0};
    struct err e = {0};
    struct buf out;
    (void)state;
    arena_init(&a, 4096, 1 << 20);
    buf_init(&out, 1 << 20);
    struct str body = STR("{\"model\":\"gpt-5\",\"stream\":true,\"store\":false,\"include\":[\"reasoning.encrypted_content\"],"
        "\"prompt_cache_key\":\"k\",\"client_metadata\":{\"x\":\"y\"},\"parallel_tool_calls\":true,\"tool_choice\":\"auto\","
        "\"tools\":[{\"type\":\"function\",\"name\":\"shell\",\"strict\":false,\"parameters\":{\"type\":\"object\",\"properties\":"
        "{\"cmd\":{\"type\":\"string\"}}}},{\"type\":\"custom\",\"name\":\"apply_patch\",\"description\":\"d\",\"format\":"
        "{\"type\":\"grammar\",\"syntax\":\"lark\",\"definition\":\"start\"}},{\"type\":\"web_search\"}],"
        "\"input\":[{\"type\":\"message\",\"role\":\"developer\",\"content\":[{\"type\":\"input_text\",\"text\":\"rules\"}]},"
        "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"fix\"}]},"
        "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"gAAA\"},"
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"ok\"}]},"
        "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"shell\",\"arguments\":\"{\\\"cmd\\\":\\\"ls\\\"}\"},"
        "{\"type\":\"custom_tool_call\",\"call_id\":\"c2\",\"name\":\"apply_patch\",\"input\":\"*** Begin\\n\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"a.c\"},"
        "{\"type\":\"custom_tool_call_output\",\"call_id\":\"c2\",\"output\":\"done\"}]}");
    assert_int_equal(responses_read_request(body, &a, &r, &e), 0);
    const struct ir_message *turn = r.messages->next->next;
    assert_int_equal(turn->role, IR_ASSISTANT);
    assert_int_equal(turn->next->role, IR_TOOL);
    assert_null(turn->next->next);
    assert_int_equal(write_as(WIRE_MESSAGES, &r, "claude-sonnet-4-5", &out, &notes, &e), 0);
    struct str said = buf_str(&out);
    assert_int_equal(json_count(json_path(said, "messages")), 3);
    assert_true(json_text_eq(json_path(said, "messages.1.content.2.input.input"), STR("*** Begin\n")));
    assert_true(json_text_eq(json_path(said, "messages.2.content.1.tool_use_id"), STR("c2")));
    assert_int_equal(json_count(json_path(said, "tools")), 2);
    assert_int_equal(notes.count, 1); /* the search of the web, and nothing else */
    assert_non_null(strstr(notes.dropped, "tools.web_search"));
    assert_int_equal(str_find(said, STR("gAAA")), -1);
    buf_fini(&out);
    arena_fini(&a);
}

#define LATE_TOOLS \
    "{\"type\":\"additional_tools\",\"role\":\"developer\",\"tools\":[{\"type\":\"namespace\",\"name\":\"functions\",\"tools\":[" \
    "{\"type\":\"custom\",\"name\":\"exec\",\"format\":{\"type\":\"grammar\",\"syntax\":\"lark\",\"definition\":\"start: \\\"a\\\"\"}}]}," \
    "{\"type\":\"namespace\",\"name\":\"clock\",\"tools\":[{\"type\":\"function\",\"name\":\"sleep\",\"parameters\":" \
    "{\"type\":\"object\",\"properties\":{\"ms\":{\"type\":\"number\"}}}}]}]}"

/* Codex again: tools in namespaces, as an item of the input. Elsewhere they have one name each, and
 * a call comes back under both; a body that goes on to Responses says them as they were said. */
static void tools_in_namespaces_are_called_by_both_names(void **state)
{
    struct ir_request r;
    struct err e = {0};
    struct ir_notes notes = {0};
    struct arena a;
    struct buf out;
    (void)state;
    arena_init(&a, 4096, 1 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(responses_read_request(STR("{\"input\":[" LATE_TOOLS ",{\"role\":\"user\",\"content\":\"x\"},"
        "{\"type\":\"function_call\",\"call_id\":\"c1\",\"namespace\":\"clock\",\"name\":\"sleep\",\"arguments\":\"{}\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"ok\"}]}"), &a, &r, &e), 0);
    assert_int_equal(write_as(WIRE_CHAT, &r, "gpt-4o", &out, &notes, &e), 0);
    struct str said = buf_str(&out);
    assert_int_equal(notes.count, 0);
    assert_int_equal(json_count(json_path(said, "tools")), 2);
    assert_true(json_text_eq(json_path(said, "tools.0.function.name"), STR("exec")));
    assert_true(str_find(json_path(said, "tools.0.function.parameters").raw, STR("lark grammar:\\nstart: \\\"a\\\"")) > 0);
    assert_true(json_text_eq(json_path(said, "tools.1.function.name"), STR("clock__sleep")));
    assert_true(json_text_eq(json_path(said, "messages.1.tool_calls.0.function.name"), STR("clock__sleep")));
    buf_reset(&out);
    assert_int_equal(write_as(WIRE_RESPONSES, &r, "gpt-5", &out, &notes, &e), 0);
    assert_true(str_find(buf_str(&out), STR("\"input\":[" LATE_TOOLS ",")) > 0);
    assert_true(json_get(buf_str(&out), STR("tools")).type == JSON_NONE);
    buf_reset(&out);
    struct spoke_client c = client;
    c.request = &r;
    translate_stream(WIRE_CHAT, &quirks_none,
        STR("data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\","
            "\"type\":\"function\",\"function\":{\"name\":\"clock__sleep\",\"arguments\":\"{}\"}},{\"index\":1,\"id\":\"d\","
            "\"type\":\"function\",\"function\":{\"name\":\"exec\",\"arguments\":\"{\\\"input\\\":\\\"a\\\"}\"}}]}}]}\n\n"
            "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"),
        0, WIRE_RESPONSES, &c, &out);
    assert_true(judge_stream(buf_str(&out), "namespaces"));
    assert_true(str_find(buf_str(&out), STR("\"name\":\"sleep\",\"namespace\":\"clock\",\"arguments\":\"{}\"")) > 0);
    assert_true(str_find(buf_str(&out), STR("\"name\":\"exec\",\"namespace\":\"functions\",\"input\":\"a\"")) > 0);
    buf_fini(&out);
    arena_fini(&a);
}

static void a_custom_tools_call_comes_back_as_its_text(void **state)
{
    struct ir_request r;
    struct err e = {0};
    struct arena a;
    struct buf out;
    (void)state;
    arena_init(&a, 4096, 1 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(responses_read_request(STR("{\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"patch\"}]}"), &a,
        &r, &e), 0);
    struct spoke_client c = client;
    c.request = &r;
    translate_stream(WIRE_CHAT, &quirks_none,
        STR("data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"c\","
            "\"type\":\"function\",\"function\":{\"name\":\"patch\",\"arguments\":\"{\\\"input\\\": \\\"a\\\\n\"}}]}}]}\n\n"
            "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"b\\\"}\"}}]}}]}\n\n"
            "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"),
        0, WIRE_RESPONSES, &c, &out);
    assert_true(judge_stream(buf_str(&out), "custom"));
    assert_true(str_find(buf_str(&out), STR("\"type\":\"custom_tool_call\"")) > 0);
    assert_true(str_find(buf_str(&out), STR("\"input\":\"a\\nb\"")) > 0);
    buf_fini(&out);
    arena_fini(&a);
}

static void a_strange_makers_proof_goes_round(void **state)
{
    struct ir_request r;
    struct err e = {0};
    struct arena a;
    struct buf out, body;
    (void)state;
    arena_init(&a, 4096, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_init(&body, 1 << 20);
    translate_stream(WIRE_STREAM_GENERATE, &quirks_none,
        STR("data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1}},"
            "\"thoughtSignature\":\"c2ln\"}]},\"finishReason\":\"STOP\"}],\"responseId\":\"r\"}\n\n"),
        0, WIRE_RESPONSES, &client, &out);
    assert_true(judge_stream(buf_str(&out), "proof"));
    ptrdiff_t at = str_find(buf_str(&out), STR("event: response.completed\ndata: "));
    struct json_span last = json_value(str_from(buf_str(&out), (size_t)at + 32));
    buf_printf(&body, "{\"input\":" STR_FMT "}", STR_ARG(json_path(last.raw, "response.output").raw));
    assert_int_equal(responses_read_request(buf_str(&body), &a, &r, &e), 0);
    buf_reset(&out);
    assert_int_equal(write_as(WIRE_GENERATE, &r, "gemini-3-pro-preview", &out, NULL, &e), 0);
    assert_true(json_text_eq(json_path(buf_str(&out), "contents.0.parts.0.thoughtSignature"), STR("c2ln")));
    assert_true(json_path(buf_str(&out), "contents.0.parts.0.functionCall.id").type == JSON_NONE);
    buf_fini(&out);
    buf_fini(&body);
    arena_fini(&a);
}

/* "cG0xZQ==": made by Responses, which gave no proof. The block that holds it is no item of theirs. */
static void thoughts_that_came_without_proof_are_not_sent_back_as_they_lie_there(void **state)
{
    static const struct {
        enum wire wire;
        const char *body;
    } cases[] = {
        {WIRE_MESSAGES, "{\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
            "[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"cG0xZQ==\"},{\"type\":\"text\",\"text\":\"a\"}]},"
            "{\"role\":\"user\",\"content\":\"q\"}]}"},
        {WIRE_GENERATE, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]},{\"role\":\"model\",\"parts\":["
            "{\"thought\":true,\"text\":\"hm\",\"thoughtSignature\":\"cG0xZQ==\"},{\"text\":\"a\"}]},"
            "{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}]}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ir_request r;
        struct ir_notes notes = {0};
        struct err e = {0};
        struct arena a;
        struct buf out;
        arena_init(&a, 4096, 1 << 20);
        buf_init(&out, 1 << 20);
        assert_int_equal(spoke_of(cases[i].wire)->read_request(str_c(cases[i].body), &a, &r, &e), 0);
        assert_int_equal(write_as(WIRE_RESPONSES, &r, "gpt-5", &out, &notes, &e), 0);
        assert_int_equal(str_find(buf_str(&out), STR("cG0x")), -1);
        struct json_span items = json_get(buf_str(&out), STR("input")), k, v;
        struct json_iter it = json_iter(items.raw);
        while (json_next(&it, &k, &v))
            assert_true(json_text_eq(json_get(v.raw, STR("type")), STR("message")) ||
                        json_get(v.raw, STR("type")).type == JSON_NONE);
        buf_fini(&out);
        arena_fini(&a);
    }
}

static void a_request_of_another_dialect_keeps_nothing_at_openai(void **state)
{
    struct ir_request r;
    struct ir_notes notes = {0};
    struct err e = {0};
    struct arena a;
    struct buf out;
    (void)state;
    arena_init(&a, 4096, 1 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(spoke_of(WIRE_CHAT)->read_request(STR("{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
        "{\"role\":\"user\",\"content\":\"q\"}],\"temperature\":0.2,\"stop\":[\"x\"],\"n\":2,\"tools\":[{\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"big\":{\"const\":9007199254740993}}}}}]}"),
        &a, &r, &e), 0);
    assert_int_equal(write_as(WIRE_RESPONSES, &r, "gpt-5", &out, &notes, &e), 0);
    struct str said = buf_str(&out);
    assert_true(json_is_false(json_path(said, "store")));
    assert_true(json_text_eq(json_path(said, "include.0"), STR("reasoning.encrypted_content")));
    assert_true(json_text_eq(json_path(said, "instructions"), STR("s")));
    assert_true(json_is_false(json_path(said, "tools.0.strict"))); /* unsaid would mean strict there */
    assert_true(str_find(said, STR("9007199254740993")) > 0);
    assert_true(json_path(said, "temperature").type == JSON_NONE);
    assert_int_equal(notes.count, 2);
    assert_non_null(strstr(notes.dropped, "stop"));
    assert_non_null(strstr(notes.dropped, "n"));
    buf_fini(&out);
    arena_fini(&a);
}

static void interleaved_items_are_told_one_after_the_other(void **state)
{
    struct heard h;
    (void)state;
    heard_init(&h);
    run_stream(WIRE_RESPONSES, &quirks_none,
        STR("data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n"
            "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\"}}\n\n"
            "data: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"call_id\":\"b\",\"name\":\"g\"}}\n\n"
            "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":1,\"delta\":\"{}\"}\n\n"
            "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\"{\\\"x\\\"\"}\n\n"
            "data: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"call_id\":\"b\",\"name\":\"g\",\"arguments\":\"{}\"}}\n\n"
            "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\":1}\"}\n\n"
            "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}\n\n"
            "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}}\n\n"),
        0, &h);
    assert_true(h.done);
    assert_same_lines(buf_str(&h.lines), STR("0 call id=<a> name=<f> text=<{\"x\":1}>\n"
        "0 call id=<b> name=<g> text=<{}>\n0 finish 3\n"), "interleaved");
    heard_fini(&h);
}

static void a_failure_in_mid_stream_is_said_in_order(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    translate_stream(WIRE_MESSAGES, &quirks_none,
        STR("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"),
        0, WIRE_RESPONSES, &client, &out);
    assert_false(judge_stream(buf_str(&out), "failure"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_is_in_the_order_that_the_official_client_takes),
        cmocka_unit_test(a_request_comes_back_as_it_was),
        cmocka_unit_test(a_request_survives_the_way_over_other_dialects),
        cmocka_unit_test(what_is_kept_at_openai_is_refused_elsewhere),
        cmocka_unit_test(a_coding_agents_turn_is_understood),
        cmocka_unit_test(tools_in_namespaces_are_called_by_both_names),
        cmocka_unit_test(a_custom_tools_call_comes_back_as_its_text),
        cmocka_unit_test(a_strange_makers_proof_goes_round),
        cmocka_unit_test(thoughts_that_came_without_proof_are_not_sent_back_as_they_lie_there),
        cmocka_unit_test(a_request_of_another_dialect_keeps_nothing_at_openai),
        cmocka_unit_test(interleaved_items_are_told_one_after_the_other),
        cmocka_unit_test(a_failure_in_mid_stream_is_said_in_order),
    };
    return cmocka_run_group_tests_name("ir_responses", tests, NULL, NULL);
}
