/* Units of the readers over recorded exchanges that were changed in ways that change nothing: members
 * in another order, members that nobody knows, nulls, escapes, empty deltas, events of a kind to come,
 * comments, CRLF. Each means what it meant before, also after it went through another dialect. */
#include "tests/unit/ir_check.h"

enum change { REVERSED, MORE, NULLS, ESCAPED, EMPTY, EVENTS, CRLF, CHANGES };
static const char *const change_names[] = {"members reversed", "members added", "nulls added", "escaped", "empty deltas",
    "events and comments added", "CRLF"};
static const enum wire wires[] = {WIRE_CHAT, WIRE_RESPONSES, WIRE_MESSAGES, WIRE_GENERATE};
static unsigned seen;

/* --- changing JSON ---------------------------------------------------------------------------- */

struct changing {
    struct buf *b;
    enum change how;
    enum wire wire;
};

/* What is a person's own: the order in it is kept, and nothing is put there. */
static bool is_free(const struct changing *c, struct json_span key, struct json_span v)
{
    static const char *const names[] = {"input", "args", "arguments", "schema", "parameters", "input_schema",
        "parametersJsonSchema", "parameters_json_schema", "responseSchema", "response_schema", "responseJsonSchema",
        "response_json_schema", "properties", "metadata", "labels", "logit_bias", "executableCode",
        "codeExecutionResult", "urlContextMetadata", "tools", "toolConfig", "tool_config"};
    if (v.type == JSON_ARRAY && json_text_eq(key, STR("tools")))
        return true;
    if (c->wire == WIRE_GENERATE && json_text_eq(key, STR("response")))
        return true;
    if (c->wire == WIRE_CHAT && v.type == JSON_OBJECT && json_text_eq(key, STR("content")))
        return true; /* Cloudflare: a schema's answer */
    for (size_t i = 0; v.type == JSON_OBJECT && i < ARRAY_LEN(names); i++)
        if (json_text_eq(key, str_c(names[i])))
            return true;
    return false;
}

static void put_escaped(struct buf *b, struct str raw)
{
    for (size_t i = 0; i < raw.n; i++) {
        unsigned char c = (unsigned char)raw.p[i];
        if (c == '\\' && i + 1 < raw.n) {
            buf_putc(b, '\\');
            buf_putc(b, raw.p[++i]);
        } else if (c == '/') {
            buf_puts(b, "\\/");
        } else if (c >= 0xc2 && c < 0xe0 && i + 1 < raw.n) {
            buf_printf(b, "\\u%04x", (c & 31u) << 6 | ((unsigned char)raw.p[i + 1] & 63u));
            i++;
        } else if (c >= 0xf0 && i + 3 < raw.n) {
            unsigned code = (c & 7u) << 18 | ((unsigned char)raw.p[i + 1] & 63u) << 12 |
                            ((unsigned char)raw.p[i + 2] & 63u) << 6 | ((unsigned char)raw.p[i + 3] & 63u);
            code -= 0x10000;
            buf_printf(b, "\\u%04X\\u%04x", 0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff));
            i += 3;
        } else {
            buf_putc(b, (char)c);
        }
    }
}

static void put_changed(const struct changing *c, struct json_span v);

static void put_members(const struct changing *c, struct json_span v)
{
    enum { MOST = 600 };
    static struct json_span keys[64][MOST], values[64][MOST];
    static unsigned depth;
    struct json_iter it = json_iter(v.raw);
    struct json_span k, one;
    unsigned n = 0, at = depth++;
    assert_true(at < 64);
    while (json_next(&it, &k, &one)) {
        assert_true(n < MOST);
        keys[at][n] = k;
        values[at][n++] = one;
    }
    buf_putc(c->b, '{');
    if (c->how == MORE)
        buf_puts(c->b, n ? "\"zz_new\":{\"a\":[1,null,\"}\"]}," : "\"zz_new\":1");
    for (unsigned i = 0; i < n; i++) {
        unsigned which = c->how == REVERSED ? n - 1 - i : i;
        buf_puts(c->b, i ? "," : "");
        buf_put_str(c->b, keys[at][which].raw);
        buf_puts(c->b, c->how == ESCAPED ? " : " : ":");
        if (is_free(c, keys[at][which], values[at][which]))
            buf_put_str(c->b, values[at][which].raw);
        else
            put_changed(c, values[at][which]);
    }
    if (c->how == NULLS)
        buf_printf(c->b, "%s\"zz_null\":null", n ? "," : "");
    buf_putc(c->b, '}');
    depth--;
}

static void put_changed(const struct changing *c, struct json_span v)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, one;
    bool any = false;
    if (v.type == JSON_OBJECT) {
        put_members(c, v);
        return;
    }
    if (v.type == JSON_STRING && c->how == ESCAPED) {
        put_escaped(c->b, v.raw);
        return;
    }
    if (v.type != JSON_ARRAY) {
        buf_put_str(c->b, v.raw);
        return;
    }
    buf_putc(c->b, '[');
    while (json_next(&it, &k, &one)) {
        buf_puts(c->b, any ? "," : "");
        any = true;
        put_changed(c, one);
    }
    buf_putc(c->b, ']');
}

static struct str changed_json(struct buf *b, enum change how, enum wire w, struct str json)
{
    struct changing c = {.b = b, .how = how, .wire = w};
    buf_reset(b);
    put_changed(&c, json_value(json));
    assert_int_equal(json_check(buf_str(b), NULL), 0);
    return buf_str(b);
}

/* --- changing streams ------------------------------------------------------------------------- */

/* A delta of no text, where this event is one of a text. */
static void put_empty(struct buf *b, enum wire w, struct sse_event *ev)
{
    struct str type = ir_text(json_get(ev->data, STR("type")));
    if (w == WIRE_CHAT && json_path(ev->data, "choices.0.delta.content").raw.n > 2)
        buf_puts(b, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"reasoning_content\":\"\",\"tool_calls\":[]}}]}\n\n");
    if (w == WIRE_MESSAGES && ir_is(type, "content_block_delta") && json_path(ev->data, "delta.text").type == JSON_STRING)
        buf_puts(b, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
            "\"text_delta\",\"text\":\"\"}}\n\n");
    if (w == WIRE_GENERATE && json_path(ev->data, "candidates.0.content.parts.0.text").type == JSON_STRING)
        buf_puts(b, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},\"index\":0}]}\r\n\r\n");
}

static void put_event(struct buf *b, enum change how, enum wire w, struct sse_event *ev, bool first)
{
    const char *end = how == CRLF ? "\r\n" : "\n";
    struct json_span v = json_value(ev->data);
    struct buf json;
    buf_init(&json, 64 << 20);
    if (how == EVENTS) {
        buf_puts(b, ": a comment\n\n:\n\nid: 7\nretry: 10\n");
        if (w == WIRE_MESSAGES && !first)
            buf_puts(b, "\nevent: ping\ndata: {\"type\":\"ping\"}\n\nevent: later\ndata: {\"type\":\"later\",\"x\":1}\n\n");
        else if (w == WIRE_RESPONSES)
            buf_puts(b, "\nevent: response.later.kind\ndata: {\"type\":\"response.later.kind\",\"output_index\":0}\n\n");
        else if (w == WIRE_CHAT)
            buf_puts(b, "\ndata: {\"object\":\"chat.completion.later\",\"choices\":[]}\n\n");
        else
            buf_puts(b, "\n");
    }
    if (ev->name.n)
        buf_printf(b, "event: " STR_FMT "%s", STR_ARG(ev->name), end);
    if (v.type == JSON_OBJECT && how <= ESCAPED)
        buf_printf(b, "data:" STR_FMT "%s%s", STR_ARG(changed_json(&json, how, w, ev->data)), end, end);
    else if (v.type == JSON_OBJECT)
        buf_printf(b, "data: " STR_FMT "%s%s", STR_ARG(changed_json(&json, CHANGES, w, ev->data)), end, end);
    else
        buf_printf(b, "data: " STR_FMT "%s%s", STR_ARG(ev->data), end, end);
    if (how == EMPTY)
        put_empty(b, w, ev);
    buf_fini(&json);
}

static void put_stream(struct buf *b, enum change how, enum wire w, struct str bytes)
{
    struct sse sse;
    struct sse_event ev;
    bool first = true, last = false;
    sse_init(&sse, 16 << 20);
    assert_int_equal(sse_feed(&sse, bytes), 0);
    while (sse_next(&sse, &ev) || (!last && (last = sse_finish(&sse, &ev)))) {
        if (ev.has_data)
            put_event(b, how, w, &ev, first);
        first = false;
    }
    sse_fini(&sse);
}

/* --- the same meaning ------------------------------------------------------------------------- */

static const struct spoke_client client = {.model = {"asked", 5}, .fallback_id = {"id1", 3}, .now_s = 1700000000,
    .include_usage = true};

static const struct spoke_quirks *quirks_for(const struct fixture *f)
{
    return quirks_of(strcmp(f->provider, "xai") ? STR("https://api.openai.com/v1") : STR("https://api.x.ai/v1"));
}

/* What the stream says, and how it ended. */
static void say_stream(struct buf *b, enum wire w, const struct spoke_quirks *q, struct str bytes, int how)
{
    struct heard h;
    heard_init(&h);
    h.how = how;
    h.first_only = true; /* those of other choices come in between */
    run_stream(w, q, bytes, -1, &h);
    buf_put_str(b, buf_str(&h.lines));
    buf_printf(b, "done %d failed %d %s", h.done, h.failed, h.error);
    heard_fini(&h);
}

static enum wire stream_wire(enum wire w)
{
    return w == WIRE_GENERATE ? WIRE_STREAM_GENERATE : w;
}

static void compare_streams(const char *name, enum wire w, const struct spoke_quirks *q, struct str was, struct str is,
    int how)
{
    struct buf a, b, one, two;
    buf_init(&a, 64 << 20);
    buf_init(&b, 64 << 20);
    buf_init(&one, 256 << 20);
    buf_init(&two, 256 << 20);
    say_stream(&a, stream_wire(w), q, was, how);
    say_stream(&b, stream_wire(w), q, is, how);
    assert_same_lines(buf_str(&a), buf_str(&b), name);
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        char label[500];
        snprintf(label, sizeof label, "%s through %s", name, wire_name(wires[i]));
        buf_reset(&a);
        buf_reset(&b);
        buf_reset(&one);
        buf_reset(&two);
        translate_stream(stream_wire(w), q, was, 0, stream_wire(wires[i]), &client, &one);
        translate_stream(stream_wire(w), q, is, 0, stream_wire(wires[i]), &client, &two);
        say_stream(&a, stream_wire(wires[i]), &quirks_none, buf_str(&one), SAY_COMMON);
        say_stream(&b, stream_wire(wires[i]), &quirks_none, buf_str(&two), SAY_COMMON);
        assert_same_lines(buf_str(&a), buf_str(&b), label);
    }
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&one);
    buf_fini(&two);
}

static void say_whole(struct buf *b, enum wire w, const struct spoke_quirks *q, struct str body, int how)
{
    struct ir_answer answer;
    struct err e = {0};
    struct arena a;
    arena_init(&a, 1 << 16, 64 << 20);
    if (spoke_of(w)->read_answer(body, q, &a, &answer, &e) < 0)
        buf_printf(b, "error %s", e.text);
    else
        say_answer(b, &answer, how);
    arena_fini(&a);
}

static void say_asked(struct buf *b, enum wire w, struct str body)
{
    struct ir_request r;
    struct err e = {0};
    struct arena a;
    arena_init(&a, 1 << 16, 64 << 20);
    if (spoke_of(w)->read_request(body, &a, &r, &e) < 0)
        buf_printf(b, "error %s", e.text);
    else
        say_request(b, &r, SAY_COMMON);
    arena_fini(&a);
}

static void check_changes(const struct fixture *f, void *ctx)
{
    enum wire w = *(enum wire *)ctx;
    struct str stream = f->status == 200 ? shared_read(f->dir, "stream.sse") : STR_NULL;
    struct str body = f->status == 200 ? shared_read(f->dir, "response.json") : STR_NULL;
    struct str request = shared_read(f->dir, "request.json");
    const struct spoke_quirks *q = quirks_for(f);
    struct buf changed, a, b;
    char name[400];
    buf_init(&changed, 64 << 20);
    buf_init(&a, 64 << 20);
    buf_init(&b, 64 << 20);
    for (int how = 0; how < CHANGES; how++) {
        int say = how == ESCAPED || how >= EMPTY ? SAY_ALL : SAY_COMMON;
        snprintf(name, sizeof name, "%s/%s, %s", f->provider, f->name, change_names[how]);
        if (stream.p) {
            buf_reset(&changed);
            put_stream(&changed, (enum change)how, w, stream);
            compare_streams(name, w, q, stream, buf_str(&changed), how == ESCAPED ? SAY_COMMON : say);
            seen++;
        }
        buf_reset(&a);
        buf_reset(&b);
        if (body.p && how <= ESCAPED) {
            say_whole(&a, w, q, body, SAY_COMMON);
            say_whole(&b, w, q, changed_json(&changed, (enum change)how, w, body), SAY_COMMON);
            assert_same_lines(buf_str(&a), buf_str(&b), name);
            seen++;
        }
        buf_reset(&a);
        buf_reset(&b);
        if (request.p && json_check(request, NULL) == 0 && how <= ESCAPED) {
            say_asked(&a, w, request);
            say_asked(&b, w, changed_json(&changed, (enum change)how, w, request));
            assert_same_lines(buf_str(&a), buf_str(&b), name);
            seen++;
        }
    }
    buf_fini(&changed);
    buf_fini(&a);
    buf_fini(&b);
    free((char *)stream.p);
    free((char *)body.p);
    free((char *)request.p);
}

static void changes_that_change_nothing_are_not_noticed(void **state)
{
    static const char *const dialects[] = {"openai-chat", "openai-responses", "anthropic-messages", "gemini-generate"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
        enum wire w = wires[i];
        each_fixture(dialects[i], NULL, check_changes, &w);
    }
    printf("# %u changed exchanges\n", seen);
    assert_true(seen > (data_dir(1, "fixtures") ? 2000 : 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_that_change_nothing_are_not_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
