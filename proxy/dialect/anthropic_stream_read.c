/* anthropic_stream_read.c: events of a Messages stream → neutral events. Its blocks come one after
 * the other, so nothing is held but citations: they come before the text that rests on them. */
#include "proxy/dialect/anthropic.h"
#include "proxy/dialect/places.h"

#define EMIT(s, ...) emit(s, (struct ir_event){__VA_ARGS__})

static void emit(struct stream_reader *s, struct ir_event ev)
{
    struct messages_reader *r = s->state;
    ev.part = r->part;
    stream_emit(s, &ev);
}

static void message_start(struct stream_reader *s, struct str data)
{
    struct messages_reader *r = s->state;
    struct json_want w[] = {{STR("id")}, {STR("model")}, {STR("usage")}};
    if (json_scan(json_get(data, STR("message")).raw, w, ARRAY_LEN(w)) < 0)
        return;
    EMIT(s, .kind = IR_EV_START, .id = ir_text(w[0].value), .model = ir_text(w[1].value));
    if (w[2].value.type == JSON_OBJECT && usage_object(w[2].value.raw, s->quirks->usage, &r->first))
        EMIT(s, .kind = IR_EV_USAGE, .usage = &r->first,
            .service_tier = messages_tier_from(ir_text(json_get(w[2].value.raw, STR("service_tier")))));
}

static void block_start(struct stream_reader *s, struct str data)
{
    struct messages_reader *r = s->state;
    struct json_span block = json_get(data, STR("content_block"));
    struct json_want w[] = {{STR("type")}, {STR("id")}, {STR("name")}, {STR("text")},
        {STR("thinking")}, {STR("data")}, {STR("input")}};
    if (json_scan(block.raw, w, ARRAY_LEN(w)) < 0)
        return;
    struct str type = ir_text(w[0].value), text = ir_text(w[3].value), thought = ir_text(w[4].value);
    r->open = MESSAGES_OPEN_OTHER;
    if (ir_is(type, "text")) {
        r->open = MESSAGES_OPEN_TEXT;
        if (text.n)
            EMIT(s, .kind = IR_EV_TEXT, .text = text);
        r->begun = r->chars;
        r->chars += places_count(text);
    } else if (ir_is(type, "thinking")) {
        r->open = MESSAGES_OPEN_THINKING;
        if (thought.n)
            EMIT(s, .kind = IR_EV_REASONING, .text = thought);
    } else if (ir_is(type, "redacted_thinking")) {
        EMIT(s, .kind = IR_EV_REDACTED, .signature = ir_text(w[5].value));
    } else if (ir_is(type, "tool_use")) {
        r->open = MESSAGES_OPEN_CALL;
        r->called = true;
        EMIT(s, .kind = IR_EV_CALL_START, .id = ir_text(w[1].value), .name = ir_text(w[2].value));
    } else {
        EMIT(s, .kind = IR_EV_OPAQUE, .raw = block.raw);
    }
}

static void keep_citation(struct stream_reader *s, struct json_span citation)
{
    struct messages_reader *r = s->state;
    if (!r->citations.max)
        buf_init(&r->citations, STREAM_HOLD_MAX);
    buf_putc(&r->citations, r->citations.n ? ',' : '[');
    buf_put_str(&r->citations, citation.raw);
    if (r->citations.err)
        stream_emit_error(s, STR("{\"error\":\"the citations of a text are too large\"}"), 502);
}

static void block_delta(struct stream_reader *s, struct str data)
{
    struct messages_reader *r = s->state;
    struct json_want w[] = {{STR("type")}, {STR("text")}, {STR("partial_json")}, {STR("thinking")},
        {STR("signature")}, {STR("citation")}};
    if (json_scan(json_get(data, STR("delta")).raw, w, ARRAY_LEN(w)) < 0)
        return;
    struct str type = ir_text(w[0].value);
    if (ir_is(type, "text_delta")) {
        r->chars += places_count(ir_text(w[1].value));
        EMIT(s, .kind = IR_EV_TEXT, .text = ir_text(w[1].value));
    } else if (ir_is(type, "input_json_delta") && r->open == MESSAGES_OPEN_CALL) {
        if (ir_text(w[2].value).n) /* the first is empty */
            EMIT(s, .kind = IR_EV_CALL_ARGS, .text = ir_text(w[2].value));
    } else if (ir_is(type, "thinking_delta"))
        EMIT(s, .kind = IR_EV_REASONING, .text = ir_text(w[3].value));
    else if (ir_is(type, "signature_delta") && ir_text(w[4].value).n)
        EMIT(s, .kind = IR_EV_SIGNATURE, .signature = ir_text(w[4].value));
    else if (ir_is(type, "citations_delta") && r->open == MESSAGES_OPEN_TEXT)
        keep_citation(s, w[5].value);
}

/* Now that the end of its text is known. */
static void tell_citations(struct stream_reader *s)
{
    struct messages_reader *r = s->state;
    struct json_span key, v;
    struct ir_citation c;
    if (!r->citations.n)
        return;
    buf_putc(&r->citations, ']');
    struct json_iter it = json_iter(buf_str(&r->citations));
    while (json_next(&it, &key, &v)) {
        messages_read_citation(v, &c);
        c.start = r->begun;
        c.end = r->chars;
        EMIT(s, .kind = IR_EV_CITATION, .citation = &c);
    }
    buf_reset(&r->citations);
}

static void block_stop(struct stream_reader *s)
{
    struct messages_reader *r = s->state;
    tell_citations(s);
    if (r->open == MESSAGES_OPEN_TEXT || r->open == MESSAGES_OPEN_THINKING ||
        r->open == MESSAGES_OPEN_CALL)
        EMIT(s, .kind = IR_EV_PART_END);
    r->open = MESSAGES_OPEN_NONE;
    r->part++;
}

/* Cumulative: older servers say the output alone, the rest stood in message_start. */
static void read_usage(struct stream_reader *s, struct json_span usage)
{
    struct messages_reader *r = s->state;
    struct usage u;
    if (usage.type != JSON_OBJECT || !usage_object(usage.raw, s->quirks->usage, &u))
        return;
    if (!u.have_input) {
        int64_t output = u.output, reasoning = u.reasoning, searches = u.searches;
        u = r->first;
        u.output = output;
        u.reasoning = reasoning;
        u.searches = searches;
        u.have_usage = true;
    }
    EMIT(s, .kind = IR_EV_USAGE, .usage = &u);
}

static void message_delta(struct stream_reader *s, struct str data)
{
    struct messages_reader *r = s->state;
    struct json_want w[] = {{STR("stop_reason")}, {STR("stop_sequence")}};
    read_usage(s, json_get(data, STR("usage")));
    if (json_scan(json_get(data, STR("delta")).raw, w, ARRAY_LEN(w)) < 0 ||
        w[0].value.type != JSON_STRING)
        return;
    struct str native = ir_text(w[0].value);
    enum ir_finish finish = messages_finish_from(native);
    if (finish == IR_FINISH_STOP && r->called)
        finish = IR_FINISH_TOOLS;
    EMIT(s, .kind = IR_EV_FINISH, .finish = finish, .finish_native = native,
        .stop_sequence = ir_text(w[1].value));
}

void messages_read_event(struct stream_reader *s, struct str name, struct str data)
{
    (void)name; /* it repeats the type, and some servers leave it out */
    struct str type = ir_text(json_get(data, STR("type")));
    if (ir_is(type, "content_block_delta"))
        block_delta(s, data);
    else if (ir_is(type, "message_start"))
        message_start(s, data);
    else if (ir_is(type, "content_block_start"))
        block_start(s, data);
    else if (ir_is(type, "content_block_stop"))
        block_stop(s);
    else if (ir_is(type, "message_delta"))
        message_delta(s, data);
    else if (ir_is(type, "message_stop"))
        EMIT(s, .kind = IR_EV_DONE);
    else if (ir_is(type, "ping"))
        EMIT(s, .kind = IR_EV_PING);
    else if (ir_is(type, "error"))
        stream_emit_error(s, data, 500);
}

/* Only message_stop says that all was said. */
void messages_read_end(struct stream_reader *s)
{
    (void)s;
}

void messages_reader_fini(struct stream_reader *s)
{
    struct messages_reader *r = s->state;
    buf_fini(&r->citations);
}
