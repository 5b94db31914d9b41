/* usage_chat.c: what an answer of OpenAI's chat, completions or embeddings used, and what the many
 * hosts that copy its shape put elsewhere. See usage_wire.h. */
#include "proxy/meter/usage_wire.h"

static unsigned chat_call(struct usage_reader *r, struct json_span call)
{
    struct json_span k, v, id = {0}, name = {0};
    struct json_iter it = json_iter(call.raw), in;
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "id"))
            id = v;
        if (!IS(k, "function") && !IS(k, "custom"))
            continue;
        in = json_iter(v.raw);
        struct json_span fk, fv;
        while (in.object && json_next(&in, &fk, &fv)) {
            if (IS(fk, "name"))
                name = fv;
            else if (!IS(fk, "arguments") && !IS(fk, "input"))
                continue;
            else
                usage_content_within(r, fv);
            usage_call_bytes(r, fv);
        }
    }
    r->tool_calls += usage_new_call(r, id, name);
    return SEEN_CONTENT;
}

static unsigned chat_calls(struct usage_reader *r, struct json_span calls)
{
    unsigned kind = 0;
    struct json_iter it = json_iter(calls.raw);
    struct json_span k, call;
    while (!it.object && json_next(&it, &k, &call))
        kind |= chat_call(r, call);
    return kind;
}

/* The older single call: {"name":…,"arguments":…}; Snowflake sends it empty on every chunk. */
static unsigned chat_function_call(struct usage_reader *r, struct json_span v)
{
    struct json_want w[] = {{STR("name")}, {STR("arguments")}};
    if (v.type != JSON_OBJECT || json_scan(v.raw, w, 2) < 0)
        return 0;
    bool named = w[0].value.type == JSON_STRING && w[0].value.raw.n > 2;
    r->tool_calls += named;
    usage_call_bytes(r, w[0].value);
    usage_call_bytes(r, w[1].value);
    return usage_content(r, w[1].value) | (named ? SEEN_CONTENT : 0);
}

/* A search model says its sources; that it searched is said nowhere else. */
static bool quotes_urls(struct json_span annotations)
{
    struct json_iter it = json_iter(annotations.raw);
    struct json_span k, e;
    while (!it.object && json_next(&it, &k, &e))
        if (json_text_eq(json_get(e.raw, STR("type")), STR("url_citation")))
            return true;
    return false;
}

/* `delta` of a chunk or `message` of a body. */
static unsigned chat_message(struct usage_reader *r, struct json_span message)
{
    unsigned kind = 0;
    bool reasoned = false;
    struct json_iter it = json_iter(message.raw);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) {
        if (v.type == JSON_NULL)
            continue;
        if (IS(k, "content") || IS(k, "refusal") || IS(k, "audio"))
            kind |= usage_content_within(r, v);
        else if (IS(k, "reasoning_content") || IS(k, "reasoning")) { /* some send both */
            kind |= reasoned ? 0 : usage_content_within(r, v);
            reasoned = true;
        } else if (IS(k, "tool_calls"))
            kind |= chat_calls(r, v);
        else if (IS(k, "annotations") && quotes_urls(v))
            r->tools.searches = 1;
        else if (IS(k, "function_call"))
            kind |= chat_function_call(r, v);
    }
    return kind;
}

static unsigned chat_choice(struct usage_reader *r, struct json_span choice)
{
    unsigned kind = 0;
    bool first = true;
    struct json_span reason = {0}, k, v;
    struct json_iter it = json_iter(choice.raw);
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "delta") || IS(k, "message"))
            kind |= chat_message(r, v);
        else if (IS(k, "text") && (r->wire == WIRE_COMPLETIONS || r->wire == WIRE_RAW))
            kind |= usage_content(r, v);
        else if (IS(k, "finish_reason"))
            reason = v;
        else if (IS(k, "index"))
            first = v.raw.n == 1 && *v.raw.p == '0';
        else if (IS(k, "usage")) /* older Moonshot streams */
            usage_take(r, v, false);
    }
    if (!first && r->finish_reason[0] && reason.type == JSON_STRING)
        return kind | SEEN_FINISH; /* of several choices the first one's reason is kept */
    return kind | usage_finished(r, reason);
}

/* An event with `choices` an empty array and `usage` an object is nothing but the usage. */
unsigned usage_chat(struct usage_reader *r, struct str object)
{
    unsigned kind = 0;
    bool no_choices = false, has_usage = false;
    struct json_span cost = {0}, groq = {0}, k, v, c, unused;
    struct json_iter it = json_iter(object);
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "choices")) {
            struct json_iter in = json_iter(v.raw);
            no_choices = v.type == JSON_ARRAY;
            for (; !in.object && json_next(&in, &unused, &c); no_choices = false)
                kind |= chat_choice(r, c);
        } else if (IS(k, "usage")) {
            has_usage = v.type == JSON_OBJECT;
            usage_take(r, v, false);
        } else if (IS(k, "id"))
            TAKE_ONCE(response_id, v);
        else if (IS(k, "model"))
            TAKE_ONCE(model_served, v);
        else if (IS(k, "service_tier"))
            TAKE(service_tier, v);
        else if (IS(k, "cost"))
            cost = v;
        else if (IS(k, "x_groq"))
            groq = v;
        else if (IS(k, "error") && v.type != JSON_NULL)
            kind |= usage_take_error(r, object);
    }
    if (groq.type == JSON_OBJECT && !has_usage)
        usage_take(r, json_get(groq.raw, STR("usage")), false);
    usage_parts_cost(&r->seen, cost); /* Venice: beside the usage */
    return kind | (no_choices && has_usage ? SEEN_USAGE_ONLY : 0);
}
