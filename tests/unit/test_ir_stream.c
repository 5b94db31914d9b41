/* Units of what streams do besides answering, from each dialect to each other: pings, kinds of events,
 * of blocks and of endings that nobody knows yet, failures in the middle, and what is missing. */
#include "proxy/dialect/retell.h"
#include "tests/unit/ir_check.h"

static const enum wire wires[] = {WIRE_CHAT, WIRE_RESPONSES, WIRE_MESSAGES, WIRE_STREAM_GENERATE};
enum { CHAT, RESPONSES, MESSAGES, GEMINI, KINDS };

static const struct spoke_client client = {.model = {"m", 1}, .fallback_id = {"id1", 3}, .now_s = 1700000000,
    .include_usage = true};

/* An answer "Hello there" with something between its two words. */
static const struct {
    const char *before, *after, *end;
} pieces[KINDS] = {
    [CHAT] = {
        "data: {\"id\":\"a\",\"model\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"}}]}\n\n",
        "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" there\"}}]}\n\n",
        "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"},
    [RESPONSES] = {
        "data: {\"type\":\"response.created\",\"response\":{\"id\":\"a\",\"model\":\"x\"}}\n\n"
        "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"m1\"}}\n\n"
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hello\"}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\" there\"}\n\n",
        "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"content\":[]}}\n\n"
        "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n"},
    [MESSAGES] = {
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"x\"}}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" there\"}}\n\n",
        "data: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n"},
    [GEMINI] = {
        "data: {\"responseId\":\"a\",\"modelVersion\":\"x\",\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello\"}]},\"index\":0}]}\r\n\r\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" there\"}]},\"index\":0}]}\r\n\r\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\",\"index\":0}]}\r\n\r\n"},
};

struct over {
    struct arena a;
    struct ir_notes notes;
    struct retold to;
    struct stream_reader *from;
};

static void over_init(struct over *o, int from, int to)
{
    *o = (struct over){.notes = {.count = 0}};
    arena_init(&o->a, 4096, 32 << 20);
    retold_init(&o->to, wires[to], &client, &o->notes, &o->a);
    o->from = stream_reader_new(wires[from], &quirks_none, &o->a, retold_event, &o->to);
}

static void over_fini(struct over *o)
{
    stream_reader_fini(o->from);
    retold_fini(&o->to);
    arena_fini(&o->a);
}

static void feed(struct stream_reader *r, const char *bytes, bool end)
{
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 16 << 20);
    assert_int_equal(sse_feed(&s, str_c(bytes)), 0);
    while (sse_next(&s, &ev))
        if (ev.has_data)
            stream_read(r, ev.name, ev.data);
    if (end)
        stream_read_end(r);
    sse_fini(&s);
}

/* What the client of that dialect has in the end. */
static void gathered(struct over *o, int to, struct gather *g)
{
    gather_init(g, &o->a);
    struct stream_reader *r = stream_reader_new(wires[to], &quirks_none, &o->a, gather_event, g);
    feed(r, buf_c(&o->to.out), true);
    stream_reader_fini(r);
    gather_end(g);
}

static void check_hello(struct over *o, int from, int to, enum ir_finish finish)
{
    struct gather g;
    struct buf text;
    gathered(o, to, &g);
    buf_init(&text, 4096);
    for (const struct ir_part *p = g.answer.choices ? g.answer.choices->parts : NULL; p; p = p->next)
        if (p->kind == IR_TEXT)
            buf_put_str(&text, p->text);
    if (g.failed || !g.done || !str_eq(buf_str(&text), STR("Hello there")))
        fail_msg("%s to %s: " STR_FMT " in %s", wire_name(wires[from]), wire_name(wires[to]), STR_ARG(buf_str(&text)),
            buf_c(&o->to.out));
    if (finish)
        assert_int_equal(g.answer.choices->finish, finish);
    buf_fini(&text);
    gather_fini(&g);
}

static void a_ping_goes_out_in_each_clients_words(void **state)
{
    static const char *const words[KINDS] = {[CHAT] = ": ping\n\n", [RESPONSES] = ": ping\n\n",
        [MESSAGES] = "event: ping\ndata: {\"type\":\"ping\"}\n\n", [GEMINI] = ""};
    (void)state;
    for (int to = 0; to < KINDS; to++) {
        struct over o;
        over_init(&o, MESSAGES, to);
        feed(o.from, pieces[MESSAGES].before, false);
        size_t at = o.to.out.n;
        feed(o.from, "event: ping\ndata: {\"type\": \"ping\"}\n\n", false);
        assert_string_equal(buf_c(&o.to.out) + at, words[to]);
        feed(o.from, pieces[MESSAGES].after, false);
        feed(o.from, pieces[MESSAGES].end, true);
        check_hello(&o, MESSAGES, to, IR_FINISH_STOP);
        over_fini(&o);
    }
}

/* Events, deltas, parts, items and blocks of kinds to come; what follows them arrives. `named`: that it
 * was part of the answer is told. */
static const struct {
    int from;
    const char *what, *named;
} unknown[] = {
    {CHAT, "data: {\"object\":\"chat.completion.later\",\"later\":{\"a\":1}}\n\n", ""},
    {CHAT, "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"later\":\"x\"},\"later\":1}]}\n\n", ""},
    {CHAT, "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"type\":\"later\",\"later\":{}}]}}]}\n\n", ""},
    {CHAT, "event: later\ndata: 7\n\ndata: null\n\ndata: []\n\n", ""},
    {RESPONSES, "event: response.later\ndata: {\"type\":\"response.later\",\"output_index\":0}\n\n", ""},
    {RESPONSES, "data: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"later_call\",\"id\":\"l1\"}}\n\n",
        "content.later_call"},
    {MESSAGES, "event: later\ndata: {\"type\":\"later\"}\n\n", ""},
    {MESSAGES, "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"later_delta\",\"x\":1}}\n\n", ""},
    {MESSAGES, "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"later_block\",\"x\":{\"y\":1}}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n"
        "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "content.later_block"},
    {GEMINI, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"laterPart\":{\"x\":1}}]},\"index\":0}]}\r\n\r\n", "content.laterPart"},
    {GEMINI, "data: {\"laterMember\":1}\r\n\r\n", ""},
    {GEMINI, "data: {\"candidates\":[{\"later\":1}]}\r\n\r\n", ""},
};

static void what_nobody_knows_yet_takes_nothing_along(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        for (int to = 0; to < KINDS; to++) {
            struct over o;
            int from = unknown[i].from;
            over_init(&o, from, to);
            feed(o.from, pieces[from].before, false);
            feed(o.from, unknown[i].what, false);
            feed(o.from, pieces[from].after, false);
            feed(o.from, pieces[from].end, true);
            check_hello(&o, from, to, IR_FINISH_UNSAID);
            if (from != to && strcmp(o.notes.dropped, unknown[i].named))
                fail_msg("%s: named: %s", unknown[i].what, o.notes.dropped);
            over_fini(&o);
        }
}

static const struct {
    int from;
    const char *end;
    enum ir_finish finish;
} endings[] = {
    {CHAT, "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"later_reason\"}]}\n\ndata: [DONE]\n\n", IR_FINISH_STOP},
    {CHAT, "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n", IR_FINISH_LENGTH}, /* no [DONE] */
    {CHAT, "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\ndata: [DONE]\n\n", IR_FINISH_FILTER},
    {RESPONSES, "data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"later_reason\"},"
        "\"output\":[]}}\n\n", IR_FINISH_LENGTH},
    {RESPONSES, "data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":"
        "\"content_filter\"},\"output\":[]}}\n\n", IR_FINISH_FILTER},
    {MESSAGES, "data: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"later_reason\"}}\n\n"
        "data: {\"type\":\"message_stop\"}\n\n", IR_FINISH_STOP},
    {MESSAGES, "data: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"model_context_window_exceeded\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n", IR_FINISH_LENGTH},
    {MESSAGES, "data: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\"}}\n\n"
        "data: {\"type\":\"message_stop\"}\n\n", IR_FINISH_FILTER},
    {GEMINI, "data: {\"candidates\":[{\"finishReason\":\"LATER_REASON\",\"index\":0}]}\r\n\r\n", IR_FINISH_FILTER},
    {GEMINI, "data: {\"candidates\":[{\"finishReason\":\"MAX_TOKENS\",\"index\":0}]}\r\n\r\n", IR_FINISH_LENGTH},
};

static void any_ending_is_an_ending(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        for (int to = 0; to < KINDS; to++) {
            struct over o;
            int from = endings[i].from;
            over_init(&o, from, to);
            feed(o.from, pieces[from].before, false);
            feed(o.from, pieces[from].after, false);
            feed(o.from, endings[i].end, true);
            check_hello(&o, from, to, endings[i].finish);
            over_fini(&o);
        }
}

static const struct {
    int from;
    const char *what;
    int status;
} failures[] = {
    {CHAT, "data: {\"error\":{\"message\":\"it broke\",\"type\":\"server_error\",\"code\":503}}\n\n", 503},
    {CHAT, "event: error\ndata: {\"error\":{\"message\":\"it broke\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}\n\n", 429},
    {RESPONSES, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":3,\"code\":\"server_error\",\"message\":\"it broke\"}\n\n", 0},
    {RESPONSES, "data: {\"type\":\"error\",\"error\":{\"type\":\"server_error\",\"message\":\"it broke\"}}\n\n", 500},
    {RESPONSES, "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"it broke\"}}}\n\n", 0},
    {MESSAGES, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"it broke\"}}\n\n", 529},
    {GEMINI, "data: {\"error\":{\"code\":503,\"message\":\"it broke\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n", 503},
};

/* In the client's words, once, and nothing after it: no clean end. */
static void a_failure_in_the_middle_is_told_and_ends_it(void **state)
{
    static const char *const ends[KINDS] = {[CHAT] = "[DONE]", [RESPONSES] = "response.completed",
        [MESSAGES] = "message_stop", [GEMINI] = "finishReason"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(failures); i++)
        for (int to = 0; to < KINDS; to++) {
            struct over o;
            struct gather g;
            int from = failures[i].from;
            over_init(&o, from, to);
            feed(o.from, pieces[from].before, false);
            feed(o.from, failures[i].what, false);
            feed(o.from, pieces[from].after, false);
            feed(o.from, pieces[from].end, true);
            gathered(&o, to, &g);
            if (!g.failed || g.done || str_find(g.error.message, STR("it broke")) < 0 || strstr(buf_c(&o.to.out), ends[to]) ||
                strstr(buf_c(&o.to.out), " there"))
                fail_msg("%s to %s: %s", wire_name(wires[from]), wire_name(wires[to]), buf_c(&o.to.out));
            if (failures[i].status && g.error.status && from != to && to != RESPONSES && to != CHAT)
                assert_true(g.error.status == failures[i].status || (failures[i].status >= 500 && g.error.status >= 500));
            gather_fini(&g);
            over_fini(&o);
        }
}

/* Cut without an end it is no whole answer, in any dialect. */
static void a_cut_stream_is_not_whole(void **state)
{
    (void)state;
    for (int from = 0; from < KINDS; from++)
        for (int to = 0; to < KINDS; to++) {
            struct over o;
            struct gather g;
            over_init(&o, from, to);
            feed(o.from, pieces[from].before, false);
            feed(o.from, pieces[from].after, true);
            gathered(&o, to, &g);
            assert_false(g.done);
            gather_fini(&g);
            over_fini(&o);
        }
}

/* More than a megabyte in one event arrives whole. */
static void a_large_event_arrives_whole(void **state)
{
    enum { LARGE = 3 << 20 };
    (void)state;
    for (int to = 0; to < KINDS; to++) {
        struct over o;
        struct gather g;
        struct buf large;
        buf_init(&large, 8 << 20);
        buf_puts(&large, "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"");
        for (size_t i = 0; i < LARGE; i++)
            buf_putc(&large, (char)('a' + i % 26));
        buf_puts(&large, "\"}}]}\n\n");
        over_init(&o, CHAT, to);
        feed(o.from, buf_c(&large), false);
        feed(o.from, pieces[CHAT].end, true);
        gathered(&o, to, &g);
        assert_true(g.done);
        assert_int_equal(g.answer.choices->parts->text.n, LARGE);
        gather_fini(&g);
        over_fini(&o);
        buf_fini(&large);
    }
}

/* An event in several lines of data, and a request in several lines that is told back: no line end of
 * theirs stands in an event. */
static void no_line_end_of_theirs_stands_in_an_event(void **state)
{
    static const char item[] = "data: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"later\"\n"
        "data: ,\"x\":{}\ndata: }}\n\n";
    (void)state;
    for (int to = 0; to < KINDS; to++) {
        struct over o;
        over_init(&o, RESPONSES, to);
        feed(o.from, pieces[RESPONSES].before, false);
        feed(o.from, pieces[RESPONSES].after, false);
        feed(o.from, item, false);
        feed(o.from, pieces[RESPONSES].end, true);
        check_hello(&o, RESPONSES, to, IR_FINISH_STOP);
        assert_null(strstr(buf_c(&o.to.out), "\n,"));
        assert_true(str_eq(stream_one_line(&o.a, STR("{\n\"a\":\r\n1}")), STR("{ \"a\":  1}")));
        over_fini(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_goes_out_in_each_clients_words),
        cmocka_unit_test(what_nobody_knows_yet_takes_nothing_along),
        cmocka_unit_test(any_ending_is_an_ending),
        cmocka_unit_test(a_failure_in_the_middle_is_told_and_ends_it),
        cmocka_unit_test(a_cut_stream_is_not_whole),
        cmocka_unit_test(a_large_event_arrives_whole),
        cmocka_unit_test(no_line_end_of_theirs_stands_in_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
