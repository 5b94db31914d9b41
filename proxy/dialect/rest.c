/* rest.c: see rest.h. */
#include "proxy/dialect/rest.h"
#include "store/base/json_span.h"

static const struct {
    const char *key, *instead;
} kept_elsewhere[] = {
    {"previous_response_id", "send the whole conversation in input"},
    {"conversation", "send the whole conversation in input"},
    {"background", "ask without background"},
    {"input.item_reference", "send the items themselves"},
    {"prompt", "send the text of the stored prompt"},
    {"cachedContent", "send the cached content itself"},
    {"thread", "send the whole conversation in messages"},
};

void rest_put(struct json_writer *w, const struct ir_request *r, const char *under)
{
    struct str prefix = str_c(under);
    for (const struct ir_member *m = r->rest; m; m = m->next) {
        struct str name = str_from(m->key, MIN(prefix.n, m->key.n));
        if (!str_starts(m->key, prefix) || str_chr(name, '.') >= 0)
            continue;
        json_put_raw(w, NULL, STR("\""));
        buf_put_str(w->out, name);
        buf_puts(w->out, "\":");
        buf_put_str(w->out, m->value);
    }
}

bool rest_has(const struct ir_request *r, const char *under)
{
    for (const struct ir_member *m = r->rest; m; m = m->next)
        if (str_starts(m->key, str_c(under)))
            return true;
    return false;
}

/* Nothing that the answer's words depend on. */
static const char *const harmless[] = {"store", "context_management", "cache_control", "truncation",
    "include", "client_metadata", "inference_geo", "stream_options",
    "stream_options.include_obfuscation", "prompt_cache_retention",
    "prompt_cache_options", "safety_identifier", "safetySettings", "reasoning.context",
    "reasoning.mode", "generationConfig.mediaResolution"};

/* "background":false and "conversation":null ask for nothing. */
static bool asks(struct str value)
{
    return value.n && !str_eq(value, STR("false")) && !str_eq(value, STR("null"));
}

int rest_check_state(const struct ir_request *r, const char *target, struct err *e)
{
    bool may = r->origin != WIRE_CHAT; /* there "conversation" and "prompt" are members like others */
    for (const struct ir_member *m = may ? r->rest : NULL; m; m = m->next)
        for (size_t i = 0; i < ARRAY_LEN(kept_elsewhere); i++)
            if (ir_is(m->key, kept_elsewhere[i].key) && asks(m->value))
                return err_set(e, ERR_UNSUPPORTED,
                    "%s is kept by the provider that made it, and this model is answered by %s: %s",
                    kept_elsewhere[i].key, target, kept_elsewhere[i].instead);
    return 0;
}

/* --- within tools and parts ------------------------------------------------------------------- */

/* What readers understand of a function, in each dialect. */
static const char *const tool_words[] = {"type", "name", "description", "parameters", "strict", "custom",
    "function", "format", "input_schema", "cache_control", "parametersJsonSchema",
    "parameters_json_schema"};
/* Nothing that its calls depend on. */
static const char *const harmless_in_tools[] = {"defer_loading", "eager_input_streaming"};

static bool is_one_of(struct str word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ir_is(word, words[i]))
            return true;
    return false;
}

static void note_members(struct str tool, struct ir_notes *notes)
{
    struct json_iter it = json_iter(tool);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) {
        struct str key = ir_text(k);
        if (v.type == JSON_NULL || is_one_of(key, tool_words, ARRAY_LEN(tool_words)))
            continue;
        unsigned count = notes->count;
        ir_dropped_text(notes, "tools.", key);
        if (is_one_of(key, harmless_in_tools, ARRAY_LEN(harmless_in_tools)))
            notes->count = count;
    }
}

static void note_tool(const struct ir_tool *t, enum wire to, struct ir_notes *notes)
{
    if (!t->name.p || !t->raw.p)
        return;
    note_members(t->raw, notes);
    note_members(json_get(t->raw, STR("function")).raw, notes);
    if (t->strict == IR_YES && to == WIRE_GENERATE)
        ir_changed(notes, "strict");
}

static bool holds(struct str raw, const char *camel, const char *snake)
{
    return json_get(raw, str_c(camel)).type != JSON_NONE || json_get(raw, str_c(snake)).type != JSON_NONE;
}

static void note_media(const struct ir_part *p, enum wire to, struct ir_notes *notes)
{
    const struct ir_media *m = &p->media;
    bool openai = to == WIRE_CHAT || to == WIRE_RESPONSES;
    if (!openai && m->detail.p && !ir_is(m->detail, "auto"))
        ir_changed(notes, "detail");
    if (m->filename.p && (to == WIRE_GENERATE || (openai && m->is_text)))
        ir_changed(notes, "filename");
    if (p->origin == WIRE_MESSAGES && holds(p->raw, "context", "context"))
        ir_dropped(notes, "document.context");
    if (p->origin == WIRE_GENERATE && holds(p->raw, "mediaResolution", "media_resolution"))
        ir_changed(notes, "mediaResolution");
    if (p->origin == WIRE_GENERATE && holds(p->raw, "videoMetadata", "video_metadata"))
        ir_dropped(notes, "videoMetadata");
}

static void note_parts(const struct ir_part *p, enum wire to, struct ir_notes *notes)
{
    for (; p; p = p->next) {
        if (p->kind == IR_MEDIA)
            note_media(p, to, notes);
        if (p->content)
            note_parts(p->content, to, notes);
    }
}

void rest_note(const struct ir_request *r, enum wire to, struct ir_notes *notes)
{
    if (!notes)
        return;
    for (const struct ir_tool *t = r->tools; t; t = t->next)
        note_tool(t, to, notes);
    for (const struct ir_message *m = r->messages; m; m = m->next) {
        if (m->name.p && to != WIRE_CHAT && m->role != IR_TOOL)
            ir_dropped(notes, "messages.name");
        note_parts(m->parts, to, notes);
    }
    for (const struct ir_member *m = r->rest; m; m = m->next) {
        bool soft = !asks(m->value) || ir_is(m->key, "input.additional_tools");
        if (soft)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(harmless) && !soft; i++)
            if ((soft = ir_is(m->key, harmless[i])))
                ir_changed(notes, harmless[i]);
        if (!soft)
            ir_dropped_text(notes, "", m->key);
    }
}
