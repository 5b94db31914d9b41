/* usage_messages.c: what an answer of Anthropic's used; a stream says it in two parts. See usage_wire.h. */
#include "proxy/meter/usage_wire.h"

/* A content block: of a body, or as it starts in a stream. */
static unsigned messages_block(struct usage_reader *r, struct json_span block)
{
    struct json_want w[] = {{STR("type")}, {STR("text")}, {STR("thinking")}, {STR("input")},
        {STR("id")}, {STR("name")}};
    if (block.type != JSON_OBJECT || json_scan(block.raw, w, ARRAY_LEN(w)) < 0)
        return 0;
    unsigned kind = usage_content(r, w[1].value) | usage_content(r, w[2].value);
    bool call = json_text_eq(w[0].value, STR("tool_use"));
    if (call) {
        r->tool_calls += usage_new_call(r, w[4].value, w[5].value);
        usage_call_bytes(r, w[5].value);
        usage_call_bytes(r, w[3].value);
    }
    bool server = json_text_eq(w[0].value, STR("server_tool_use"));
    r->tools.code += server && str_find(w[5].value.raw, STR("code_execution")) >= 0;
    if (call || server)
        kind |= usage_content_within(r, w[3].value) | SEEN_CONTENT;
    if (json_text_eq(w[0].value, STR("redacted_thinking")))
        kind |= SEEN_CONTENT;
    return kind;
}

/* The message object: a body, or inside message_start. */
unsigned usage_message(struct usage_reader *r, struct str object)
{
    struct json_want w[] = {{STR("id")}, {STR("model")}, {STR("content")}, {STR("stop_reason")},
        {STR("usage")}};
    if (json_scan(object, w, ARRAY_LEN(w)) < 0)
        return 0;
    TAKE_ONCE(response_id, w[0].value);
    TAKE_ONCE(model_served, w[1].value);
    unsigned kind = usage_finished(r, w[3].value);
    struct json_iter it = json_iter(w[2].value.raw);
    struct json_span k, block;
    while (!it.object && json_next(&it, &k, &block))
        kind |= messages_block(r, block);
    usage_take(r, w[4].value, true);
    return kind;
}

static unsigned messages_delta(struct usage_reader *r, struct json_span delta)
{
    unsigned kind = 0;
    struct json_iter it = json_iter(delta.raw);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "partial_json"))
            usage_call_bytes(r, v);
        if (IS(k, "text") || IS(k, "thinking") || IS(k, "partial_json"))
            kind |= usage_content(r, v);
        else if (IS(k, "stop_reason"))
            kind |= usage_finished(r, v);
    }
    return kind;
}

unsigned usage_messages_event(struct usage_reader *r, struct str object)
{
    struct json_span type = {0}, delta = {0}, usage = {0}, block = {0}, message = {0}, k, v;
    struct json_iter it = json_iter(object);
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "type"))
            type = v;
        else if (IS(k, "delta"))
            delta = v;
        else if (IS(k, "usage"))
            usage = v;
        else if (IS(k, "content_block"))
            block = v;
        else if (IS(k, "message"))
            message = v;
    }
    if (IS(type, "content_block_delta"))
        return messages_delta(r, delta);
    if (IS(type, "content_block_start"))
        return messages_block(r, block);
    if (IS(type, "message_start"))
        return message.type == JSON_OBJECT ? usage_message(r, message.raw) : 0;
    if (IS(type, "message_delta")) {
        usage_take(r, usage, true);
        return messages_delta(r, delta);
    }
    if (IS(type, "message_stop")) {
        r->saw_terminal = true;
        return SEEN_TERMINAL;
    }
    return IS(type, "error") ? usage_take_error(r, object) : 0;
}
