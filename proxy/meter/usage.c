/* usage.c: see usage.h: which reader an event or a body goes to, and what is left to say at the end. The
 * readers are in usage_chat.c, usage_responses.c, usage_messages.c and usage_gemini.c. */
#include "proxy/meter/usage_wire.h"

void usage_reader_init(struct usage_reader *r, enum wire wire, unsigned quirks)
{
    *r = (struct usage_reader){.wire = wire, .quirks = quirks, .sequence = -1};
}

static unsigned read_event(struct usage_reader *r, struct str data)
{
    switch (r->wire) {
    case WIRE_RESPONSES: return usage_responses_event(r, data);
    case WIRE_MESSAGES: return usage_messages_event(r, data);
    case WIRE_GENERATE:
    case WIRE_STREAM_GENERATE: return usage_gemini(r, data);
    default: return usage_chat(r, data);
    }
}

unsigned usage_event(struct usage_reader *r, struct str name, struct str data)
{
    data = str_trim(data);
    if (!data.n)
        return 0;
    if (str_eq(data, STR("[DONE]"))) {
        bool ends = wire_dialect(r->wire) == DIALECT_OPENAI && r->wire != WIRE_RESPONSES;
        r->saw_terminal |= ends; /* other dialects' clients do not know it */
        return ends ? SEEN_TERMINAL : 0;
    }
    unsigned kind = read_event(r, data);
    r->events++;
    if (!(kind & SEEN_ERROR) && str_eq(name, STR("error")))
        kind |= usage_take_error(r, data);
    return kind;
}

/* Raw paths: told by what the body carries. */
static enum wire body_wire(struct str body)
{
    struct json_want w[] = {
        {STR("usageMetadata")}, {STR("candidates")}, {STR("object")}, {STR("type")}};
    if (json_scan(body, w, ARRAY_LEN(w)) < 0)
        return WIRE_RAW;
    if (w[0].count || w[1].count)
        return WIRE_GENERATE;
    if (json_text_eq(w[2].value, STR("response")))
        return WIRE_RESPONSES;
    return json_text_eq(w[3].value, STR("message")) ? WIRE_MESSAGES : WIRE_CHAT;
}

/* True when every error that the body may hold was looked for. */
static bool read_whole(struct usage_reader *r, struct str body)
{
    enum wire wire = r->wire == WIRE_RAW ? body_wire(body) : r->wire;
    switch (wire) {
    case WIRE_RESPONSES:
        usage_response(r, body, true);
        break;
    case WIRE_MESSAGES:
        usage_message(r, body);
        break;
    case WIRE_GENERATE:
    case WIRE_STREAM_GENERATE:
    case WIRE_GEMINI_EMBED:
        usage_gemini(r, body);
        break;
    case WIRE_COUNT_TOKENS: /* counting is free: its input_tokens were not used */
    case WIRE_GEMINI_COUNT:
    case WIRE_MODELS:
        break;
    default:
        usage_chat(r, body);
        if (r->wire == WIRE_RAW)
            usage_parts_raw(&r->seen, body);
        return true;
    }
    return r->saw_error;
}

static void read_body(struct usage_reader *r, struct str body)
{
    struct json_iter it = json_iter(body);
    struct json_span k, element;
    if (it.object && !read_whole(r, body)) {
        struct json_span error = json_get(body, STR("error"));
        if (error.type == JSON_OBJECT || error.type == JSON_STRING)
            usage_take_error(r, body);
    }
    while (!it.object && json_next(&it, &k, &element)) /* Gemini without alt=sse */
        read_whole(r, element.raw);
}

/* Counting the tokens of a text costs more than reading all the rest. */
void usage_checked_body(struct usage_reader *r, struct str body)
{
    struct usage said = {0};
    r->whole = true;
    read_body(r, body);
    r->whole = false;
    usage_parts_normalise(&r->seen, r->quirks, &said);
    for (unsigned i = 0; !said.have_usage && i < r->uncounted_n; i++)
        tokens_feed_json(&r->content, r->uncounted[i]);
    r->uncounted_n = 0;
}

void usage_body(struct usage_reader *r, struct str body)
{
    usage_checked_body(r, json_value(body).raw);
}

/* What was counted in the answer, where its usage does not say it. */
static void add_tools(struct usage_reader *r)
{
    struct usage *u = &r->usage;
    bool said = u->searches || u->unit_milli[UNIT_search_low] || u->unit_milli[UNIT_search_high];
    if (!said)
        u->searches = r->tools.searches;
    if (!u->unit_milli[UNIT_file_search])
        u->unit_milli[UNIT_file_search] = (int64_t)r->tools.file_searches * 1000;
    u->unit_milli[UNIT_session] = (int64_t)r->tools.sessions * 1000;
    u->unit_milli[UNIT_maps_prompt] = (int64_t)r->tools.maps * 1000;
    u->drawn = r->tools.drawn;
    if (u->drawn.output && !u->drawn.model[0]) /* cut before its end said with what */
        str_copy(u->drawn.model, sizeof u->drawn.model, STR(USAGE_DRAWN_USUAL));
}

void usage_finish(struct usage_reader *r)
{
    usage_parts_normalise(&r->seen, r->quirks, &r->usage);
    add_tools(r);
    r->content_tokens = tokens_count(&r->content);
    r->source = r->usage.have_usage ? USAGE_MEASURED : USAGE_NONE;
    if (r->source == USAGE_MEASURED && r->events && !r->saw_finish && !r->saw_terminal) {
        r->source = USAGE_PARTIAL;
        r->usage.output = MAX(r->usage.output, r->content_tokens);
    }
}
