/* openai_chat_answer.c: a whole chat completion, read and written. */
#include "proxy/dialect/media.h"
#include "proxy/dialect/openai_chat.h"

static const struct {
    const char *name;
    enum ir_finish finish;
} finishes[] = {
    {"stop", IR_FINISH_STOP}, {"length", IR_FINISH_LENGTH}, {"tool_calls", IR_FINISH_TOOLS},
    {"content_filter", IR_FINISH_FILTER}, {"error", IR_FINISH_ERROR},
    {"function_call", IR_FINISH_TOOLS}, {"model_length", IR_FINISH_LENGTH},
    {"insufficient_system_resource", IR_FINISH_LENGTH},
};

enum ir_finish chat_finish_from(struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(finishes); i++)
        if (ir_is(text, finishes[i].name))
            return finishes[i].finish;
    return IR_FINISH_STOP; /* "eos", "eos_token", "" and whatever comes next */
}

const char *chat_finish_name(enum ir_finish f)
{
    static const char *const names[] = {"stop", "stop", "length", "tool_calls", "content_filter",
        "error"};
    return names[f];
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool to_choice(void *ctx, struct ir_part *part)
{
    ir_choice_add(ctx, part);
    return true;
}

static bool has_call(const struct ir_choice *c)
{
    for (const struct ir_part *p = c->parts; p; p = p->next)
        if (p->kind == IR_CALL)
            return true;
    return false;
}

static bool is_taken(const struct ir_choice *c, const struct ir_part *call)
{
    for (const struct ir_part *p = c->parts; p != call; p = p->next)
        if (p->kind == IR_CALL && str_eq(p->id, call->id))
            return true;
    return false;
}

/* Servers that give no ids, or the same to all: made from the answer's, so that they differ from turn
 * to turn. */
static bool make_ids(const struct ir_answer *out, struct ir_choice *c, struct arena *a)
{
    unsigned n = 0;
    for (struct ir_part *p = c->parts; p; p = p->next) {
        if (p->kind != IR_CALL || (p->id.n && !is_taken(c, p)))
            continue;
        p->id = chat_made_id(a, str_hash(out->id), c->index, n++);
        if (!p->id.p)
            return false;
    }
    return true;
}

struct str chat_made_id(struct arena *a, uint64_t seed, unsigned choice, unsigned n)
{
    return arena_printf(a, "call_%08x%02x%02x", (unsigned)(seed ^ seed >> 32), choice & 255,
        n & 255);
}

static bool read_choice(struct ir_answer *out, struct json_span v, const struct spoke_quirks *q,
    struct arena *a)
{
    struct json_want w[] = {{STR("message")}, {STR("finish_reason")}, {STR("logprobs")},
        {STR("index")}};
    struct ir_choice *c = ir_add_choice(out, a);
    int64_t index;
    if (!c || json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return c != NULL;
    struct chat_sink sink = {.a = a, .add = to_choice, .ctx = c, .reasoning = q->reasoning};
    if (json_i64(w[3].value, &index) == 0 && index >= 0 && index < 1024)
        c->index = (unsigned)index;
    c->finish_native = ir_text(w[1].value);
    c->finish = chat_finish_from(c->finish_native);
    c->logprobs = ir_raw(json_get(w[2].value.raw, STR("content")));
    if (w[0].value.type == JSON_OBJECT && !chat_read_message(w[0].value.raw, &sink))
        return false;
    if (!make_ids(out, c, a))
        return false;
    if (c->finish == IR_FINISH_STOP && has_call(c)) /* a forced call by name says "stop" */
        c->finish = IR_FINISH_TOOLS;
    return true;
}

/* Of the whole answer: they go to its last text, unless that has annotations. */
static bool read_sources(struct ir_answer *out, struct json_span list, struct arena *a)
{
    struct ir_part *text = NULL;
    for (struct ir_part *p = out->choices ? out->choices->parts : NULL; p; p = p->next)
        if (p->kind == IR_TEXT)
            text = p;
    return !text || text->citations || chat_add_citations(text, list, chat_read_source, a);
}

int chat_read_answer(struct str body, const struct spoke_quirks *q, struct arena *a,
    struct ir_answer *out, struct err *e)
{
    struct json_want w[] = {{STR("id")}, {STR("model")}, {STR("created")}, {STR("choices")},
        {STR("usage")}, {STR("service_tier")}, {STR("search_results")}, {STR("citations")}};
    *out = (struct ir_answer){.origin = WIRE_CHAT};
    if (json_scan(body, w, ARRAY_LEN(w)) < 0 || w[3].value.type != JSON_ARRAY)
        return err_set(e, ERR_TYPE, "the provider's answer is no chat completion");
    out->id = ir_text(w[0].value);
    out->model = ir_text(w[1].value);
    out->created = ir_raw(w[2].value);
    out->service_tier = ir_text(w[5].value);
    if (w[4].value.type == JSON_OBJECT && !usage_object(w[4].value.raw, q->usage, &out->usage))
        out->usage = (struct usage){0};
    struct json_iter it = json_iter(w[3].value.raw);
    struct json_span key, v;
    while (json_next(&it, &key, &v))
        if (!read_choice(out, v, q, a))
            return member_no_memory(e);
    return read_sources(out, w[w[6].count ? 6 : 7].value, a) ? 0 : member_no_memory(e);
}

/* --- writing ---------------------------------------------------------------------------------- */

void chat_put_usage(struct json_writer *w, const char *key, const struct usage *u)
{
    int64_t written = u->cache_write_5m + u->cache_write_1h;
    json_object_begin(w, key);
    json_put_int(w, "prompt_tokens", u->input + u->extra_input);
    json_put_int(w, "completion_tokens", u->output);
    json_put_int(w, "total_tokens", u->input + u->extra_input + u->output);
    json_object_begin(w, "prompt_tokens_details");
    json_put_int(w, "cached_tokens", u->cached);
    json_put_int(w, "audio_tokens", u->audio_in);
    if (written)
        json_put_int(w, "cache_write_tokens", written);
    json_object_end(w);
    json_object_begin(w, "completion_tokens_details");
    json_put_int(w, "reasoning_tokens", u->reasoning);
    json_put_int(w, "audio_tokens", u->audio_out);
    json_put_int(w, "accepted_prediction_tokens", 0);
    json_put_int(w, "rejected_prediction_tokens", 0);
    json_object_end(w);
    json_object_end(w);
}

void chat_put_citation(struct json_writer *w, const struct ir_citation *c)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "url_citation");
    json_object_begin(w, "url_citation");
    ir_put_text(w, "url", c->url);
    ir_put_text(w, "title", c->title.p ? c->title : STR(""));
    json_put_int(w, "start_index", MAX(c->start, 0));
    json_put_int(w, "end_index", MAX(c->end, 0));
    ir_put_text(w, "content", c->cited);
    json_object_end(w);
    json_object_end(w);
}

void chat_put_reasoning_detail(struct json_writer *w, enum ir_part_kind kind, struct str text,
    struct str signature, enum wire maker, unsigned index)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", kind == IR_REDACTED ? "reasoning.encrypted" : "reasoning.text");
    if (kind == IR_REDACTED)
        ir_put_text(w, "data", signature);
    else {
        ir_put_text(w, "text", text.p ? text : STR(""));
        ir_put_text(w, "signature", signature);
    }
    json_put_c(w, "format", maker == WIRE_MESSAGES ? "anthropic-claude-v1"
        : maker == WIRE_RESPONSES ? "openai-responses-v1"
        : maker == WIRE_GENERATE || maker == WIRE_STREAM_GENERATE ? "google-gemini-v1" : "unknown");
    json_put_int(w, "index", index);
    json_object_end(w);
}

static void put_joined(struct json_writer *w, const char *key, const struct ir_choice *c,
    enum ir_part_kind kind)
{
    bool any = false;
    for (const struct ir_part *p = c->parts; p; p = p->next) {
        if (p->kind != kind || !p->text.p)
            continue;
        if (!any)
            json_put_raw(w, key, STR("\""));
        any = true;
        buf_put_str(w->out, p->text);
    }
    if (any)
        buf_putc(w->out, '"');
    else if (strcmp(key, "transcript") == 0)
        json_put_c(w, key, "");
    else if (kind != IR_REASONING)
        json_put_null(w, key);
}

static void put_reasoning(struct json_writer *w, const struct ir_choice *c)
{
    bool proofs = false;
    unsigned index = 0;
    put_joined(w, "reasoning_content", c, IR_REASONING);
    for (const struct ir_part *p = c->parts; p; p = p->next)
        proofs |= (p->kind == IR_REASONING || p->kind == IR_REDACTED) && p->signature.p;
    if (!proofs)
        return;
    json_array_begin(w, "reasoning_details");
    for (const struct ir_part *p = c->parts; p; p = p->next)
        if (p->kind == IR_REASONING || p->kind == IR_REDACTED)
            chat_put_reasoning_detail(w, p->kind, p->text, p->signature, p->origin, index++);
    json_array_end(w);
}

void chat_put_called(struct json_writer *w, const struct ir_part *call, bool custom)
{
    struct arena a;
    arena_init(&a, 1024, 2 * (size_t)STREAM_WHOLE_MAX);
    json_put_c(w, "type", custom ? "custom" : "function");
    json_object_begin(w, custom ? "custom" : "function");
    ir_put_text(w, "name", call->name);
    if (custom)
        ir_put_text(w, "input", custom_text(call, &a));
    else if (call->arguments.p)
        ir_put_object_as_text(w, "arguments", call->arguments);
    else
        ir_put_text(w, "arguments", call->broken);
    json_object_end(w);
    arena_fini(&a);
}

static void put_calls(struct json_writer *w, const struct ir_choice *c, const struct ir_request *asked)
{
    if (!has_call(c))
        return;
    json_array_begin(w, "tool_calls");
    for (const struct ir_part *p = c->parts; p; p = p->next) {
        if (p->kind != IR_CALL)
            continue;
        json_object_begin(w, NULL);
        ir_put_text(w, "id", p->id.p ? p->id : STR("call_0"));
        chat_put_called(w, p, custom_is_named(asked, p->name));
        if (p->signature.p && p->origin != WIRE_CHAT) {
            json_put_raw(w, "extra_content", STR("{\"google\":{\"thought_signature\":\""));
            buf_put_str(w->out, p->signature);
            buf_puts(w->out, "\"}}");
        }
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_annotations(struct json_writer *w, const struct ir_choice *c,
    struct ir_notes *notes)
{
    bool any = false;
    for (const struct ir_part *p = c->parts; p; p = p->next)
        for (const struct ir_citation *one = p->citations; one; one = one->next) {
            if (!one->url.p) {
                ir_dropped_citation(notes, one);
                continue;
            }
            if (!any)
                json_array_begin(w, "annotations");
            any = true;
            chat_put_citation(w, one);
        }
    if (any)
        json_array_end(w);
}

static void note_others(const struct ir_choice *c, struct ir_notes *notes)
{
    for (const struct ir_part *p = c->parts; p; p = p->next)
        if (p->kind == IR_OPAQUE)
            ir_dropped_opaque(notes, p->raw);
}

void chat_put_image(struct json_writer *w, const struct ir_media *m, unsigned index)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "image_url");
    json_object_begin(w, "image_url");
    ir_put_data_url(w, "url", m);
    json_object_end(w);
    json_put_int(w, "index", index);
    json_object_end(w);
}

static bool is_image(const struct ir_part *p)
{
    return p->kind == IR_MEDIA && p->media.kind == IR_IMAGE && (p->media.data.p || p->media.url.p);
}

static bool is_sound(const struct ir_part *p)
{
    return p->kind == IR_MEDIA && p->media.kind == IR_AUDIO && p->media.data.p;
}

/* {id, data, expires_at, transcript}. Samples get a header, unless they were asked for without. */
static void put_sound(struct json_writer *w, const struct ir_choice *c, const struct ir_part *sound,
    const struct spoke_client *to, struct ir_notes *notes)
{
    struct str asked = STR_NULL;
    for (const struct ir_member *m = to->request ? to->request->rest : NULL; m; m = m->next)
        if (ir_is(m->key, "audio"))
            asked = ir_text(json_get(m->value, STR("format")));
    bool raw = media_is_raw_sound(&sound->media), wav = raw && !ir_is(asked, "pcm16");
    if (wav && asked.p && !ir_is(asked, "wav"))
        ir_changed(notes, "audio.format");
    json_object_begin(w, "audio");
    if (sound->media.file_id.p)
        ir_put_text(w, "id", sound->media.file_id);
    else
        json_put_str(w, "id", to->fallback_id);
    json_put_raw(w, "data", STR("\""));
    media_put_sound(w->out, c->parts, wav);
    buf_putc(w->out, '"');
    json_put_int(w, "expires_at", to->now_s);
    put_joined(w, "transcript", c, IR_TEXT);
    json_object_end(w);
}

static void put_media(struct json_writer *w, const struct ir_choice *c, const struct spoke_client *to,
    struct ir_notes *notes)
{
    const struct ir_part *sound = NULL;
    unsigned images = 0;
    for (const struct ir_part *p = c->parts; p; p = p->next) {
        if (is_image(p)) {
            if (images == 0)
                json_array_begin(w, "images");
            chat_put_image(w, &p->media, images++);
        } else if (is_sound(p)) {
            sound = sound ? sound : p;
        } else if (p->kind == IR_MEDIA) {
            media_dropped(notes, &p->media);
        }
    }
    if (images)
        json_array_end(w);
    if (sound)
        put_sound(w, c, sound, to, notes);
}

static void put_choice(struct json_writer *w, const struct ir_choice *c,
    const struct spoke_client *to, struct ir_notes *notes)
{
    json_object_begin(w, NULL);
    json_put_int(w, "index", c->index);
    json_object_begin(w, "message");
    json_put_c(w, "role", "assistant");
    put_joined(w, "content", c, IR_TEXT);
    put_joined(w, "refusal", c, IR_REFUSAL);
    put_reasoning(w, c);
    put_calls(w, c, to->request);
    put_media(w, c, to, notes);
    put_annotations(w, c, notes);
    note_others(c, notes);
    json_object_end(w);
    if (c->logprobs.p) {
        json_object_begin(w, "logprobs");
        json_put_raw(w, "content", c->logprobs);
        json_put_null(w, "refusal");
        json_object_end(w);
    } else {
        json_put_null(w, "logprobs");
    }
    json_put_c(w, "finish_reason", chat_finish_name(c->finish));
    json_object_end(w);
}

int chat_write_answer(const struct ir_answer *answer, const struct spoke_client *c,
    struct arena *a, struct buf *out, struct ir_notes *notes, struct err *e)
{
    struct json_writer w = json_writer(out);
    (void)a;
    json_object_begin(&w, NULL);
    if (answer->id.n)
        ir_put_text(&w, "id", answer->id);
    else
        json_put_str(&w, "id", c->fallback_id);
    json_put_c(&w, "object", "chat.completion");
    if (answer->created.p)
        json_put_raw(&w, "created", answer->created);
    else
        json_put_int(&w, "created", c->now_s);
    if (answer->model.n)
        ir_put_text(&w, "model", answer->model);
    else
        json_put_str(&w, "model", c->model);
    json_array_begin(&w, "choices");
    for (const struct ir_choice *one = answer->choices; one; one = one->next)
        put_choice(&w, one, c, notes);
    json_array_end(&w);
    if (answer->usage.have_usage)
        chat_put_usage(&w, "usage", &answer->usage);
    ir_put_text(&w, "service_tier", answer->service_tier);
    json_object_end(&w);
    return out->err ? err_set(e, ERR_LIMIT, "the answer is too large to be translated") : 0;
}
