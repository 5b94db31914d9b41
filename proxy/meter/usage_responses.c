/* usage_responses.c: what an answer of OpenAI's Responses used: its tokens, and the work of tools at the
 * provider's side, which its usage leaves out. See usage_wire.h. */
#include "proxy/meter/usage_wire.h"

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
        (id.type == JSON_STRING && !usage_new_id(r, id)) || (d->output && !d->guessed))
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
        r->tools.sessions += usage_new_id(r, container);
        return;
    }
    if (IS(type, "image_generation_call")) {
        responses_image(r, item);
        return;
    }
    bool search = IS(type, "web_search_call"), files = IS(type, "file_search_call");
    struct json_span action = json_path(item.raw, "action.type");
    bool looks = action.type == JSON_STRING && !json_text_eq(action, STR("search"));
    if ((!search && !files) || looks || (id.type == JSON_STRING && !usage_new_id(r, id)))
        return;
    r->tools.searches += search;
    r->tools.file_searches += files;
}

static void responses_item(struct usage_reader *r, struct json_span item)
{
    struct json_span name = json_get(item.raw, STR("name"));
    responses_tool(r, item);
    if (!is_call_item(item) || !usage_new_call(r, json_get(item.raw, STR("call_id")), name))
        return;
    r->tool_calls++;
    usage_call_bytes(r, name);
    usage_call_bytes(r, json_get(item.raw, STR("arguments")));
    usage_call_bytes(r, json_get(item.raw, STR("input")));
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
            usage_content_within(r, json_get(item.raw, STR("content")));
            usage_content(r, json_get(item.raw, STR("arguments")));
            usage_content_within(r, json_get(item.raw, STR("summary")));
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
        usage_copy(r->finish_reason + n, sizeof r->finish_reason - n, reason);
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
            usage_copy(d->model, sizeof d->model, w[1].value);
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
unsigned usage_response(struct usage_reader *r, struct str object, bool ended)
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
    usage_take(r, w[3].value, false);
    if (w[7].value.type != JSON_OBJECT)
        return SEEN_FINISH;
    return SEEN_FINISH | usage_take_error(r, object);
}

static unsigned responses_ended(struct usage_reader *r, struct json_span response)
{
    r->saw_terminal = true;
    return SEEN_TERMINAL |
           (response.type == JSON_OBJECT ? usage_response(r, response.raw, true) : 0);
}

unsigned usage_responses_event(struct usage_reader *r, struct str object)
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
        return usage_content(r, delta);
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
        return usage_take_error(r, object);
    if (IS(type, "response.output_item.added"))
        return is_call_item(item) ? SEEN_CONTENT : 0;
    if (IS(type, "response.created") && response.type == JSON_OBJECT)
        usage_response(r, response.raw, false);
    return 0;
}
