/* usage.c: see usage.h. Walks an event or a body once per level that matters, in each wire's shape.
 *
 * The common event of a stream carries a few tokens of text: it must cost next to nothing. Text is
 * neither decoded nor copied; ids and names are taken the first time only. Keys are compared as
 * they lie: no provider escapes them, and one that did would only lose its metering. */
#include "proxy/meter/usage.h"
#include "proxy/meter/usage_object.h"
#include "store/base/secret.h"

#define IS(key, lit)                                                                               \
    ((key).raw.n == sizeof(lit) + 1 && memcmp((key).raw.p + 1, lit, sizeof(lit) - 1) == 0)

void usage_reader_init(struct usage_reader *r, enum wire wire, unsigned quirks)
{
    *r = (struct usage_reader){.wire = wire, .quirks = quirks, .sequence = -1};
}

/* A string value into a field of the reader. */
static void copy_text(char *dst, size_t size, struct json_span v)
{
    if (v.type != JSON_STRING || v.raw.n <= 2)
        return;
    if (v.raw.n - 2 < size && !dst[v.raw.n - 2] && memcmp(dst, v.raw.p + 1, v.raw.n - 2) == 0)
        return; /* the same on every event */
    struct arena a;
    arena_init(&a, 512, 8192);
    str_copy(dst, size, json_text(v, &a));
    arena_fini(&a);
}

static void copy_once(char *dst, size_t size, struct json_span v)
{
    if (!dst[0])
        copy_text(dst, size, v);
}
#define TAKE(field, v) copy_text(r->field, sizeof r->field, v)
#define TAKE_ONCE(field, v) copy_once(r->field, sizeof r->field, v)

/* A piece of what the model said. */
static unsigned content(struct usage_reader *r, struct json_span v)
{
    if (v.type != JSON_STRING || v.raw.n <= 2)
        return 0;
    struct str inside = {v.raw.p + 1, v.raw.n - 2};
    r->content_bytes += (int64_t)inside.n;
    tokens_feed_json(&r->content, inside);
    return SEEN_CONTENT;
}

/* All strings in a value count as content: thinking blocks, arguments given as an object. */
static unsigned content_within(struct usage_reader *r, struct json_span v)
{
    if (v.type == JSON_STRING)
        return content(r, v);
    if (v.type != JSON_ARRAY && v.type != JSON_OBJECT)
        return 0;
    unsigned kind = 0;
    struct json_iter it = json_iter(v.raw);
    struct json_span k, e;
    while (json_next(&it, &k, &e))
        if (!IS(k, "type") && !IS(k, "signature") && !IS(k, "id"))
            kind |= content_within(r, e);
    return kind;
}

static unsigned finish(struct usage_reader *r, struct json_span v)
{
    if (v.type != JSON_STRING || v.raw.n <= 2)
        return 0;
    TAKE(finish_reason, v);
    r->saw_finish = true;
    return SEEN_FINISH;
}

/* Byte by byte (FNV-1a), so that it does not matter how a stream cuts the arguments. */
static void call_bytes(struct usage_reader *r, struct json_span v)
{
    struct str s = v.raw;
    if (v.type == JSON_STRING)
        s = str_n(s.p + 1, s.n >= 2 ? s.n - 2 : 0);
    else if (v.type != JSON_OBJECT)
        return;
    uint64_t h = r->calls_digest ? r->calls_digest : 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    r->calls_digest = s.n ? h : r->calls_digest;
}

static bool new_id(struct usage_reader *r, struct json_span id)
{
    uint64_t hash = str_hash(id.raw) | 1;
    for (size_t i = 0; i < ARRAY_LEN(r->call_hash); i++)
        if (r->call_hash[i] == hash)
            return false;
    r->call_hash[r->ids_seen++ % ARRAY_LEN(r->call_hash)] = hash;
    return true;
}

/* True for a call that was not counted yet. A call without id is told by its name. */
static bool new_call(struct usage_reader *r, struct json_span id, struct json_span name)
{
    if (id.type != JSON_STRING || id.raw.n <= 2)
        return name.type == JSON_STRING && name.raw.n > 2;
    return new_id(r, id);
}

static void read_usage(struct usage_reader *r, struct json_span v, bool merge)
{
    if (v.type != JSON_OBJECT)
        return;
    if (!merge)
        r->seen.have = 0;
    TAKE(service_tier, usage_parts_read(&r->seen, v.raw));
}

static unsigned read_error(struct usage_reader *r, struct str object)
{
    struct arena a;
    struct dialect_error_read e;
    arena_init(&a, 1024, 65536);
    dialect_read_error(object, &a, &e);
    str_copy(r->error_code, sizeof r->error_code, e.code.n ? e.code : e.type);
    if (!e.code.n && e.status_text.n)
        str_copy(r->error_code, sizeof r->error_code, e.status_text);
    str_copy(r->error_message, sizeof r->error_message, e.message);
    secret_redact_cut(r->error_message, sizeof r->error_message);
    arena_fini(&a);
    r->saw_error = r->failed_inside = true;
    return SEEN_ERROR;
}

/* --- OpenAI chat, completions, embeddings ------------------------------------------------- */

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
                content_within(r, fv);
            call_bytes(r, fv);
        }
    }
    r->tool_calls += new_call(r, id, name);
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
    call_bytes(r, w[0].value);
    call_bytes(r, w[1].value);
    return content(r, w[1].value) | (named ? SEEN_CONTENT : 0);
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
            kind |= content_within(r, v);
        else if (IS(k, "reasoning_content") || IS(k, "reasoning")) { /* some send both */
            kind |= reasoned ? 0 : content_within(r, v);
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
            kind |= content(r, v);
        else if (IS(k, "finish_reason"))
            reason = v;
        else if (IS(k, "index"))
            first = v.raw.n == 1 && *v.raw.p == '0';
        else if (IS(k, "usage")) /* older Moonshot streams */
            read_usage(r, v, false);
    }
    if (!first && r->finish_reason[0] && reason.type == JSON_STRING)
        return kind | SEEN_FINISH; /* of several choices the first one's reason is kept */
    return kind | finish(r, reason);
}

/* An event with `choices` an empty array and `usage` an object is nothing but the usage. */
static unsigned read_chat(struct usage_reader *r, struct str object)
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
            read_usage(r, v, false);
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
            kind |= read_error(r, object);
    }
    if (groq.type == JSON_OBJECT && !has_usage)
        read_usage(r, json_get(groq.raw, STR("usage")), false);
    usage_parts_cost(&r->seen, cost); /* Venice: beside the usage */
    return kind | (no_choices && has_usage ? SEEN_USAGE_ONLY : 0);
}

/* --- OpenAI responses ---------------------------------------------------------------------- */

static bool is_call_item(struct json_span item)
{
    struct json_span type = json_get(item.raw, STR("type"));
    return json_text_eq(type, STR("function_call")) || json_text_eq(type, STR("custom_tool_call"));
}

/* Where its tokens are not said: those of gpt-image-1, by quality and shape. */
static int64_t image_tokens(struct json_span item)
{
    static const struct {
        const char *quality;
        int64_t square, tall, wide;
    } t[] = {{"low", 272, 408, 400}, {"high", 4160, 6240, 6208}, {"medium", 1056, 1584, 1568}};
    struct json_span quality = json_get(item.raw, STR("quality")), size = json_get(item.raw, STR("size"));
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(t) && !json_text_eq(quality, str_c(t[i].quality)))
        i++;
    return json_text_eq(size, STR("1024x1536")) ? t[i].tall
         : json_text_eq(size, STR("1536x1024")) ? t[i].wide : t[i].square;
}

static void responses_image(struct usage_reader *r, struct json_span item)
{
    struct usage_drawn *d = &r->tools.drawn;
    struct json_span id = json_get(item.raw, STR("id"));
    if (json_text_eq(json_get(item.raw, STR("status")), STR("failed")) ||
        (id.type == JSON_STRING && !new_id(r, id)) || (d->output && !d->guessed))
        return;
    d->guessed = true;
    d->image_out = d->output = MIN(d->output + image_tokens(item), (int64_t)1 << 40);
}

/* Tools that the provider ran. Opening a page that a search found costs nothing more. */
static void responses_tool(struct usage_reader *r, struct json_span item)
{
    struct json_span type = json_get(item.raw, STR("type")), id = json_get(item.raw, STR("id"));
    struct json_span container = json_get(item.raw, STR("container_id"));
    if (IS(type, "code_interpreter_call") && container.type == JSON_STRING) {
        r->tools.sessions += new_id(r, container);
        return;
    }
    if (IS(type, "image_generation_call")) {
        responses_image(r, item);
        return;
    }
    bool search = IS(type, "web_search_call"), files = IS(type, "file_search_call");
    struct json_span action = json_path(item.raw, "action.type");
    bool looks = action.type == JSON_STRING && !json_text_eq(action, STR("search"));
    if ((!search && !files) || looks || (id.type == JSON_STRING && !new_id(r, id)))
        return;
    r->tools.searches += search;
    r->tools.file_searches += files;
}

static void responses_item(struct usage_reader *r, struct json_span item)
{
    struct json_span name = json_get(item.raw, STR("name"));
    responses_tool(r, item);
    if (!is_call_item(item) || !new_call(r, json_get(item.raw, STR("call_id")), name))
        return;
    r->tool_calls++;
    call_bytes(r, name);
    call_bytes(r, json_get(item.raw, STR("arguments")));
    call_bytes(r, json_get(item.raw, STR("input")));
}

/* output[] of a body: what was not seen as deltas before. */
static void responses_output(struct usage_reader *r, struct json_span output)
{
    struct json_iter it = json_iter(output.raw);
    struct json_span k, item;
    bool whole = r->events == 0;
    while (!it.object && json_next(&it, &k, &item)) {
        responses_item(r, item);
        if (whole) {
            content_within(r, json_get(item.raw, STR("content")));
            content(r, json_get(item.raw, STR("arguments")));
            content_within(r, json_get(item.raw, STR("summary")));
        }
    }
}

/* "completed", or "incomplete:max_output_tokens". */
static void responses_status(
    struct usage_reader *r, struct json_span status, struct json_span details)
{
    TAKE(finish_reason, status);
    struct json_span reason = json_get(details.raw, STR("reason"));
    size_t n = strlen(r->finish_reason);
    if (json_text_eq(status, STR("incomplete")) && reason.type == JSON_STRING) {
        r->finish_reason[n++] = ':';
        copy_text(r->finish_reason + n, sizeof r->finish_reason - n, reason);
    }
    r->saw_finish = true;
}

/* The model that the request's tool names; the provider tells what it took. */
static void drawn_with(struct usage_drawn *d, struct json_span tools)
{
    struct json_iter it = json_iter(tools.raw);
    struct json_span k, tool;
    str_copy(d->model, sizeof d->model, STR(USAGE_DRAWN_USUAL));
    while (tools.type == JSON_ARRAY && json_next(&it, &k, &tool)) {
        struct json_want w[] = {{STR("type")}, {STR("model")}};
        if (json_scan(tool.raw, w, ARRAY_LEN(w)) == 0 && w[1].value.raw.n < sizeof d->model &&
            json_text_eq(w[0].value, STR("image_generation")))
            copy_text(d->model, sizeof d->model, w[1].value);
    }
    for (char *at = d->model; *at; at++) /* a word of a record */
        *at = (unsigned char)*at <= ' ' || *at == ':' ? '-' : *at;
}

/* "tool_usage": what tools used, beside the answer's own tokens. Zeros stand there for tools that
 * were not used, and for all of them at hosts that only copy the shape. */
static void responses_tool_usage(struct usage_reader *r, struct json_span said, struct json_span tools)
{
    struct usage_drawn *d = &r->tools.drawn;
    struct json_span images = json_get(said.raw, STR("image_gen"));
    struct usage u;
    int64_t searches;
    if (images.type == JSON_OBJECT && usage_object(images.raw, 0, &u) && u.input + u.output > 0)
        *d = (struct usage_drawn){.input = u.input, .cached = u.cached, .image_in = u.image_in,
            .output = u.output, .image_out = u.output_split ? u.image_out : u.output};
    if (d->input || d->output)
        drawn_with(d, tools);
    if (usage_number(json_path(said.raw, "web_search.num_requests"), &searches) && searches > 0)
        r->tools.searches = (int32_t)MIN(searches, (int64_t)1000000);
}

/* The response object: a body, or inside created, completed, incomplete, failed. */
static unsigned read_response(struct usage_reader *r, struct str object, bool ended)
{
    struct json_want w[] = {{STR("id")}, {STR("model")}, {STR("status")}, {STR("usage")},
        {STR("output")}, {STR("service_tier")}, {STR("incomplete_details")}, {STR("error")},
        {STR("tool_usage")}, {STR("tools")}};
    if (json_scan(object, w, ARRAY_LEN(w)) < 0)
        return 0;
    TAKE_ONCE(response_id, w[0].value);
    TAKE(model_served, w[1].value);
    if (!ended)
        return 0;
    TAKE(service_tier, w[5].value);
    responses_output(r, w[4].value);
    responses_tool_usage(r, w[8].value, w[9].value);
    responses_status(r, w[2].value, w[6].value);
    read_usage(r, w[3].value, false);
    if (w[7].value.type != JSON_OBJECT)
        return SEEN_FINISH;
    return SEEN_FINISH | read_error(r, object);
}

static unsigned responses_ended(struct usage_reader *r, struct json_span response)
{
    r->saw_terminal = true;
    return SEEN_TERMINAL |
           (response.type == JSON_OBJECT ? read_response(r, response.raw, true) : 0);
}

static unsigned read_responses_event(struct usage_reader *r, struct str object)
{
    struct json_span type = {0}, delta = {0}, response = {0}, item = {0}, k, v;
    struct json_iter it = json_iter(object);
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "type"))
            type = v;
        else if (IS(k, "delta"))
            delta = v;
        else if (IS(k, "response"))
            response = v;
        else if (IS(k, "item"))
            item = v;
        else if (IS(k, "sequence_number") && json_i64(v, &r->sequence) < 0)
            r->sequence = -1;
    }
    if (delta.type == JSON_STRING && str_ends(type.raw, STR(".delta\"")))
        return content(r, delta);
    if (IS(type, "response.output_item.done")) {
        responses_item(r, item);
        return 0;
    }
    if (IS(type, "response.completed") || IS(type, "response.incomplete"))
        return responses_ended(r, response);
    if (IS(type, "response.failed")) {
        unsigned kind = responses_ended(r, response);
        r->saw_error = r->failed_inside = true;
        return kind | SEEN_ERROR;
    }
    if (IS(type, "error"))
        return read_error(r, object);
    if (IS(type, "response.output_item.added"))
        return is_call_item(item) ? SEEN_CONTENT : 0;
    if (IS(type, "response.created") && response.type == JSON_OBJECT)
        read_response(r, response.raw, false);
    return 0;
}

/* --- Anthropic ------------------------------------------------------------------------------ */

/* A content block: of a body, or as it starts in a stream. */
static unsigned messages_block(struct usage_reader *r, struct json_span block)
{
    struct json_want w[] = {{STR("type")}, {STR("text")}, {STR("thinking")}, {STR("input")},
        {STR("id")}, {STR("name")}};
    if (block.type != JSON_OBJECT || json_scan(block.raw, w, ARRAY_LEN(w)) < 0)
        return 0;
    unsigned kind = content(r, w[1].value) | content(r, w[2].value);
    bool call = json_text_eq(w[0].value, STR("tool_use"));
    if (call) {
        r->tool_calls += new_call(r, w[4].value, w[5].value);
        call_bytes(r, w[5].value);
        call_bytes(r, w[3].value);
    }
    if (call || json_text_eq(w[0].value, STR("server_tool_use")))
        kind |= content_within(r, w[3].value) | SEEN_CONTENT;
    if (json_text_eq(w[0].value, STR("redacted_thinking")))
        kind |= SEEN_CONTENT;
    return kind;
}

/* The message object: a body, or inside message_start. */
static unsigned read_message(struct usage_reader *r, struct str object)
{
    struct json_want w[] = {{STR("id")}, {STR("model")}, {STR("content")}, {STR("stop_reason")},
        {STR("usage")}};
    if (json_scan(object, w, ARRAY_LEN(w)) < 0)
        return 0;
    TAKE_ONCE(response_id, w[0].value);
    TAKE_ONCE(model_served, w[1].value);
    unsigned kind = finish(r, w[3].value);
    struct json_iter it = json_iter(w[2].value.raw);
    struct json_span k, block;
    while (!it.object && json_next(&it, &k, &block))
        kind |= messages_block(r, block);
    read_usage(r, w[4].value, true);
    return kind;
}

static unsigned messages_delta(struct usage_reader *r, struct json_span delta)
{
    unsigned kind = 0;
    struct json_iter it = json_iter(delta.raw);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "partial_json"))
            call_bytes(r, v);
        if (IS(k, "text") || IS(k, "thinking") || IS(k, "partial_json"))
            kind |= content(r, v);
        else if (IS(k, "stop_reason"))
            kind |= finish(r, v);
    }
    return kind;
}

static unsigned read_messages_event(struct usage_reader *r, struct str object)
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
        return message.type == JSON_OBJECT ? read_message(r, message.raw) : 0;
    if (IS(type, "message_delta")) {
        read_usage(r, usage, true);
        return messages_delta(r, delta);
    }
    if (IS(type, "message_stop")) {
        r->saw_terminal = true;
        return SEEN_TERMINAL;
    }
    return IS(type, "error") ? read_error(r, object) : 0;
}

/* --- Gemini --------------------------------------------------------------------------------- */

static unsigned gemini_part(struct usage_reader *r, struct json_span part)
{
    unsigned kind = 0;
    struct json_iter it = json_iter(part.raw);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "text"))
            kind |= content(r, v);
        else if (IS(k, "functionCall")) {
            content_within(r, json_get(v.raw, STR("args")));
            call_bytes(r, json_get(v.raw, STR("name")));
            call_bytes(r, json_get(v.raw, STR("args")));
            r->tool_calls++;
            kind |= SEEN_CONTENT;
        } else if (IS(k, "executableCode") || IS(k, "codeExecutionResult"))
            kind |= content_within(r, v) | SEEN_CONTENT;
        else if (IS(k, "inlineData"))
            kind |= SEEN_CONTENT;
    }
    return kind;
}

/* What the answer stands on: searches by their words, else by what they found. */
static void gemini_grounding(struct usage_reader *r, struct json_span grounding)
{
    struct json_want w[] = {{STR("webSearchQueries")}, {STR("groundingChunks")},
        {STR("searchEntryPoint")}};
    int32_t queries = 0, web = 0;
    struct json_span k, e;
    if (grounding.type != JSON_OBJECT || json_scan(grounding.raw, w, ARRAY_LEN(w)) < 0)
        return;
    struct json_iter it = json_iter(w[0].value.raw);
    while (!it.object && queries < 1000 && json_next(&it, &k, &e))
        queries += e.type == JSON_STRING && e.raw.n > 2;
    it = json_iter(w[1].value.raw);
    while (!it.object && json_next(&it, &k, &e)) {
        web |= json_get(e.raw, STR("web")).type == JSON_OBJECT;
        if (json_get(e.raw, STR("maps")).type == JSON_OBJECT)
            r->tools.maps = 1;
    }
    web |= w[2].value.type == JSON_OBJECT;
    r->tools.searches = MAX(r->tools.searches, MAX(queries, web)); /* a stream repeats them */
}

static unsigned gemini_candidate(struct usage_reader *r, struct json_span candidate)
{
    struct json_want w[] = {{STR("content")}, {STR("finishReason")}, {STR("groundingMetadata")}};
    struct json_span k, part;
    if (json_scan(candidate.raw, w, ARRAY_LEN(w)) < 0)
        return 0;
    unsigned kind = finish(r, w[1].value);
    gemini_grounding(r, w[2].value);
    struct json_iter it = json_iter(json_get(w[0].value.raw, STR("parts")).raw);
    while (!it.object && json_next(&it, &k, &part))
        kind |= gemini_part(r, part);
    return kind;
}

static unsigned read_gemini(struct usage_reader *r, struct str object)
{
    unsigned kind = 0;
    struct json_span k, v, unused, c;
    struct json_iter it = json_iter(object);
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "candidates")) {
            struct json_iter in = json_iter(v.raw);
            while (!in.object && json_next(&in, &unused, &c))
                kind |= gemini_candidate(r, c);
        } else if (IS(k, "usageMetadata"))
            read_usage(r, v, false);
        else if (IS(k, "modelVersion"))
            TAKE_ONCE(model_served, v);
        else if (IS(k, "responseId"))
            TAKE_ONCE(response_id, v);
        else if (IS(k, "promptFeedback"))
            kind |= finish(r, json_get(v.raw, STR("blockReason")));
        else if (IS(k, "error") && v.type == JSON_OBJECT)
            kind |= read_error(r, object);
    }
    return kind;
}

/* --- all wires ------------------------------------------------------------------------------ */

static unsigned read_event(struct usage_reader *r, struct str data)
{
    switch (r->wire) {
    case WIRE_RESPONSES: return read_responses_event(r, data);
    case WIRE_MESSAGES: return read_messages_event(r, data);
    case WIRE_GENERATE:
    case WIRE_STREAM_GENERATE: return read_gemini(r, data);
    default: return read_chat(r, data);
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
        kind |= read_error(r, data);
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
        read_response(r, body, true);
        break;
    case WIRE_MESSAGES:
        read_message(r, body);
        break;
    case WIRE_GENERATE:
    case WIRE_STREAM_GENERATE:
    case WIRE_GEMINI_EMBED:
        read_gemini(r, body);
        break;
    case WIRE_COUNT_TOKENS: /* counting is free: its input_tokens were not used */
    case WIRE_GEMINI_COUNT:
    case WIRE_MODELS:
        break;
    default:
        read_chat(r, body);
        if (r->wire == WIRE_RAW)
            usage_parts_raw(&r->seen, body);
        return true;
    }
    return r->saw_error;
}

void usage_checked_body(struct usage_reader *r, struct str body)
{
    struct json_iter it = json_iter(body);
    struct json_span k, element;
    if (it.object && !read_whole(r, body)) {
        struct json_span error = json_get(body, STR("error"));
        if (error.type == JSON_OBJECT || error.type == JSON_STRING)
            read_error(r, body);
    }
    while (!it.object && json_next(&it, &k, &element)) /* Gemini without alt=sse */
        read_whole(r, element.raw);
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
