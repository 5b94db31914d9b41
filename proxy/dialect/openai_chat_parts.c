/* openai_chat_parts.c: a chat message's parts in the neutral form: content as a string or an array,
 * tool calls, and reasoning under each of the names that providers gave it. */
#include "proxy/dialect/openai_chat.h"

/* A part is handed on only when it is filled: a stream uses it up at once. */
static struct ir_part *make(const struct chat_sink *sink, enum ir_part_kind kind)
{
    return ir_new_part(sink->a, kind, WIRE_CHAT);
}

static bool hand(const struct chat_sink *sink, struct ir_part *p)
{
    return sink->add(sink->ctx, p);
}

static bool add_text(const struct chat_sink *sink, enum ir_part_kind kind, struct str text)
{
    struct ir_part *p = make(sink, kind);
    if (!p)
        return false;
    p->text = text;
    return hand(sink, p);
}

/* --- content -------------------------------------------------------------------------------- */

static void read_image(struct ir_part *p, struct json_span v)
{
    struct str url = v.type == JSON_STRING ? ir_text(v) : ir_text(json_get(v.raw, STR("url")));
    p->media.kind = IR_IMAGE;
    ir_set_url(&p->media, url);
    p->media.detail = v.type == JSON_OBJECT ? ir_text(json_get(v.raw, STR("detail"))) : STR_NULL;
}

/* As OpenRouter and vLLM have it. */
static void read_video(struct ir_part *p, struct json_span v)
{
    read_image(p, v);
    p->media.kind = IR_VIDEO;
}

static void read_audio(struct ir_part *p, struct json_span v)
{
    struct str format = ir_text(json_get(v.raw, STR("format")));
    p->media.kind = IR_AUDIO;
    p->media.data = ir_text(json_get(v.raw, STR("data")));
    p->media.mime = ir_is(format, "mp3") ? STR("audio/mpeg") : STR("audio/wav");
}

static void read_file(struct ir_part *p, struct json_span v)
{
    struct json_want w[] = {{STR("file_data")}, {STR("file_id")}, {STR("filename")}};
    if (json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return;
    p->media.kind = IR_DOCUMENT;
    struct str data = ir_text(w[0].value);
    if (data.p)
        ir_set_url(&p->media, data);
    if (data.p && p->media.url.p && !str_starts(data, STR("http"))) { /* base64 alone */
        p->media.data = data;
        p->media.url = STR_NULL;
        p->media.mime = STR("application/pdf");
    }
    p->media.file_id = ir_text(w[1].value);
    p->media.filename = ir_text(w[2].value);
}

/* Mistral: {"type":"thinking","thinking":[{"type":"text","text":…}]} */
static bool read_thinking(const struct chat_sink *sink, struct json_span v)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span key, one;
    if (v.type == JSON_STRING)
        return add_text(sink, IR_REASONING, ir_text(v));
    while (v.type == JSON_ARRAY && json_next(&it, &key, &one)) {
        struct str text = ir_text(json_get(one.raw, STR("text")));
        if (text.p && !add_text(sink, IR_REASONING, text))
            return false;
    }
    return true;
}

static bool read_part(const struct chat_sink *sink, struct json_span v)
{
    struct json_want w[] = {{STR("type")}, {STR("text")}, {STR("image_url")}, {STR("input_audio")},
        {STR("file")}, {STR("refusal")}, {STR("thinking")}, {STR("cache_control")}};
    if (v.type == JSON_STRING)
        return add_text(sink, IR_TEXT, ir_text(v));
    if (json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return true;
    struct str type = ir_text(w[0].value);
    enum ir_part_kind kind = IR_OPAQUE;
    if (ir_is(type, "thinking"))
        return read_thinking(sink, w[6].value);
    if (ir_is(type, "reasoning")) /* Databricks: {"summary":[{"type":"summary_text","text":…}]} */
        return read_thinking(sink, json_get(v.raw, STR("summary")));
    if (ir_is(type, "text") || (!type.p && w[1].count))
        kind = IR_TEXT;
    else if (ir_is(type, "refusal"))
        kind = IR_REFUSAL;
    else if (ir_is(type, "image_url") || ir_is(type, "input_audio") || ir_is(type, "file") ||
             ir_is(type, "video_url"))
        kind = IR_MEDIA;
    struct ir_part *p = make(sink, kind);
    if (!p)
        return false;
    p->raw = v.raw;
    p->cache = ir_raw(w[7].value);
    if (kind == IR_TEXT || kind == IR_REFUSAL)
        p->text = ir_text(w[kind == IR_TEXT ? 1 : 5].value);
    else if (ir_is(type, "image_url"))
        read_image(p, w[2].value);
    else if (ir_is(type, "input_audio"))
        read_audio(p, w[3].value);
    else if (ir_is(type, "file"))
        read_file(p, w[4].value);
    else if (kind == IR_MEDIA)
        read_video(p, json_get(v.raw, STR("video_url")));
    return hand(sink, p);
}

bool chat_read_content(struct json_span content, const struct chat_sink *sink)
{
    struct json_iter it = json_iter(content.raw);
    struct json_span key, v;
    if (content.type == JSON_STRING)
        return add_text(sink, IR_TEXT, ir_text(content));
    if (content.type == JSON_OBJECT) /* Cloudflare: a schema's answer as an object */
        return add_text(sink, IR_TEXT, ir_text_of(sink->a, content.raw));
    while (content.type == JSON_ARRAY && json_next(&it, &key, &v))
        if (!read_part(sink, v))
            return false;
    return true;
}

/* --- reasoning ------------------------------------------------------------------------------ */

static const struct {
    enum wire wire;
    const char *format;
} formats[] = {
    {WIRE_MESSAGES, "anthropic-claude-v1"},
    {WIRE_RESPONSES, "openai-responses-v1"},
    {WIRE_GENERATE, "google-gemini-v1"},
};

enum wire chat_maker_of(struct str format)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (ir_is(format, formats[i].format))
            return formats[i].wire;
    return WIRE_CHAT;
}

/* [{"type":"reasoning.text","text":…,"signature":…,"format":…}]. The text may stand in the message's
 * own member alone: `plain`; it belongs to the first detail that has none. */
static bool read_details(const struct chat_sink *sink, struct str details, struct str *plain)
{
    struct json_iter it = json_iter(details);
    struct json_span key, v;
    while (json_next(&it, &key, &v)) {
        struct json_want w[] = {{STR("type")}, {STR("text")}, {STR("signature")}, {STR("data")},
            {STR("summary")}, {STR("format")}, {STR("id")}};
        if (json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
            continue;
        bool hidden = ir_is(ir_text(w[0].value), "reasoning.encrypted");
        struct ir_part *p = make(sink, hidden ? IR_REDACTED : IR_REASONING);
        if (!p)
            return false;
        p->origin = chat_maker_of(ir_text(w[5].value));
        p->signature = ir_text(w[hidden ? 3 : 2].value);
        p->item_id = ir_text(w[6].value);
        if (!hidden) {
            p->text = ir_text(w[w[1].count ? 1 : 4].value);
            if (!p->text.n)
                p->text = plain->p ? *plain : STR("");
            *plain = STR_NULL;
        }
        bool says = p->text.n || p->signature.n; /* a kind that nobody knows yet does not */
        if (says && !hand(sink, p))
            return false;
    }
    return true;
}

static bool read_reasoning(const struct chat_sink *sink, const struct json_span fields[3],
    struct json_span details)
{
    struct str plain = STR_NULL;
    for (int i = 0; i < 3 && !plain.n; i++)
        plain = ir_text(fields[i]);
    if (details.type == JSON_ARRAY && json_count(details))
        return read_details(sink, details.raw, &plain);
    return !plain.n || add_text(sink, IR_REASONING, plain);
}

/* --- calls ---------------------------------------------------------------------------------- */

static bool read_custom(const struct chat_sink *sink, struct ir_part *p, struct json_span custom)
{
    struct str input = ir_text(json_get(custom.raw, STR("input")));
    p->custom = true;
    p->id = ir_text(json_get(p->raw, STR("id")));
    p->name = ir_text(json_get(custom.raw, STR("name")));
    p->arguments = custom_arguments(input.p ? input : STR(""), sink->a);
    return p->arguments.p && hand(sink, p);
}

static bool read_call(const struct chat_sink *sink, struct json_span call, struct json_span function)
{
    struct json_want w[] = {{STR("name")}, {STR("arguments")}};
    struct ir_part *p = make(sink, IR_CALL);
    if (!p)
        return false;
    p->raw = call.raw;
    struct json_span custom = json_get(call.raw, STR("custom"));
    if (function.type != JSON_OBJECT && custom.type == JSON_OBJECT)
        return read_custom(sink, p, custom);
    if (function.type != JSON_OBJECT || json_scan(function.raw, w, ARRAY_LEN(w)) < 0) {
        p->kind = IR_OPAQUE; /* of a kind that nobody knows yet */
        return hand(sink, p);
    }
    p->id = ir_text(json_get(call.raw, STR("id")));
    p->name = ir_text(w[0].value);
    if (!p->id.p)
        p->id = p->name; /* functions of old: no id at all */
    if (w[1].value.type == JSON_OBJECT)
        p->arguments = w[1].value.raw;
    else
        ir_set_arguments(p, ir_text(w[1].value), sink->a);
    struct json_span google = json_path(call.raw, "extra_content.google.thought_signature");
    if (google.type == JSON_STRING) {
        p->signature = ir_text(google);
        p->origin = WIRE_GENERATE;
    }
    return hand(sink, p);
}

static bool read_calls(const struct chat_sink *sink, struct json_span calls)
{
    struct json_iter it = json_iter(calls.raw);
    struct json_span key, v;
    while (calls.type == JSON_ARRAY && json_next(&it, &key, &v))
        if (!read_call(sink, v, json_get(v.raw, STR("function"))))
            return false;
    return true;
}

bool chat_read_citation(struct json_span v, struct ir_citation *out)
{
    struct json_want w[] = {{STR("url")}, {STR("title")}, {STR("content")}, {STR("start_index")},
        {STR("end_index")}};
    struct json_span in = json_get(v.raw, STR("url_citation"));
    if (in.type != JSON_OBJECT || json_scan(in.raw, w, ARRAY_LEN(w)) < 0)
        return false;
    *out = (struct ir_citation){.raw = v.raw, .type = STR("url_citation")};
    out->url = ir_text(w[0].value);
    out->title = ir_text(w[1].value);
    out->cited = ir_text(w[2].value);
    ir_set_place(out, w[3].value, w[4].value, 0);
    return true;
}

/* Perplexity and xAI name sources beside the choices, without places: {title, url} or the url alone. */
bool chat_read_source(struct json_span v, struct ir_citation *out)
{
    *out = (struct ir_citation){.raw = v.raw, .type = STR("citations"), .start = IR_PLACE_UNSAID,
        .end = IR_PLACE_UNSAID};
    out->url = ir_text(v.type == JSON_OBJECT ? json_get(v.raw, STR("url")) : v);
    out->title = v.type == JSON_OBJECT ? ir_text(json_get(v.raw, STR("title"))) : STR_NULL;
    return out->url.n > 0;
}

bool chat_add_citations(struct ir_part *text, struct json_span list,
    bool (*read)(struct json_span v, struct ir_citation *out), struct arena *a)
{
    struct json_iter it = json_iter(list.raw);
    struct json_span key, v;
    struct ir_citation one, **to = &text->citations;
    while (list.type == JSON_ARRAY && json_next(&it, &key, &v)) {
        if (!read(v, &one))
            continue;
        if (!(*to = arena_alloc(a, sizeof **to)))
            return false;
        **to = one;
        to = &(*to)->next;
    }
    return true;
}

/* Remembers the last text part that went by. */
struct watch_text {
    const struct chat_sink *to;
    struct ir_part *text;
};

static bool add_watched(void *ctx, struct ir_part *part)
{
    struct watch_text *w = ctx;
    if (part->kind == IR_TEXT)
        w->text = part;
    return w->to->add(w->to->ctx, part);
}

/* {id, data, transcript, expires_at}; of an earlier turn the id alone. What was said is the text. */
static bool read_spoken(const struct chat_sink *sink, struct json_span audio, bool with_text)
{
    struct str words = ir_text(json_get(audio.raw, STR("transcript")));
    if (with_text && words.n && !add_text(sink, IR_TEXT, words))
        return false;
    struct ir_part *p = make(sink, IR_MEDIA);
    if (!p)
        return false;
    p->raw = CHAT_AUDIO;
    p->media.kind = IR_AUDIO;
    p->media.mime = STR("audio/wav");
    p->media.data = ir_text(json_get(audio.raw, STR("data")));
    p->media.file_id = ir_text(json_get(audio.raw, STR("id")));
    return hand(sink, p);
}

bool chat_read_images(struct json_span list, const struct chat_sink *sink)
{
    struct json_iter it = json_iter(list.raw);
    struct json_span key, v;
    while (list.type == JSON_ARRAY && json_next(&it, &key, &v)) {
        struct json_span url = v.type == JSON_OBJECT ? json_get(v.raw, STR("image_url")) : v;
        struct ir_part *p = make(sink, IR_MEDIA);
        if (!p)
            return false;
        p->raw = v.raw;
        read_image(p, url);
        if ((p->media.data.p || p->media.url.p) && !hand(sink, p))
            return false;
    }
    return true;
}

bool chat_read_message(struct str message, const struct chat_sink *to)
{
    struct json_want w[] = {{STR("content")}, {STR("tool_calls")}, {STR("refusal")},
        {STR("reasoning_content")}, {STR("reasoning")}, {STR("reasoning_details")},
        {STR("function_call")}, {STR("annotations")}, {STR("thinking")}, {STR("audio")},
        {STR("images")}};
    struct watch_text watch = {.to = to};
    struct chat_sink sink = {.a = to->a, .add = add_watched, .ctx = &watch};
    if (json_scan(message, w, ARRAY_LEN(w)) < 0)
        return true;
    const struct json_span names[3] = {w[3].value, w[4].value, w[8].value};
    if (!read_reasoning(&sink, names, w[5].value) || !chat_read_content(w[0].value, &sink))
        return false;
    if (!chat_read_images(w[10].value, &sink))
        return false;
    if (w[9].value.type == JSON_OBJECT && !read_spoken(&sink, w[9].value, watch.text == NULL))
        return false;
    if (watch.text && !chat_add_citations(watch.text, w[7].value, chat_read_citation, to->a))
        return false;
    struct str refusal = ir_text(w[2].value);
    if (refusal.n && !add_text(&sink, IR_REFUSAL, refusal))
        return false;
    if (!read_calls(&sink, w[1].value))
        return false;
    struct str legacy = ir_text(json_get(w[6].value.raw, STR("name")));
    return json_count(w[1].value) || !legacy.n || read_call(&sink, w[6].value, w[6].value);
}
