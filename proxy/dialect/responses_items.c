/* responses_items.c: one item of `input` or `output` → parts. */
#include "proxy/dialect/responses.h"

static struct ir_part *new_part(const struct responses_sink *s, enum ir_part_kind kind,
    struct json_span raw)
{
    struct ir_part *p = ir_new_part(s->a, kind, WIRE_RESPONSES);
    if (p)
        p->raw = raw.raw;
    return p;
}

static struct str member(struct json_span object, const char *key)
{
    return ir_text(json_get(object.raw, str_c(key)));
}

/* --- content -------------------------------------------------------------------------------- */

/* url_citation, file_citation, container_file_citation, file_path. Places count from the beginning of
 * their own text; `before` are the characters of the texts that came before it. */
bool responses_read_citation(struct json_span annotation, int64_t before, struct ir_citation *out)
{
    struct json_want w[] = {{STR("type")}, {STR("url")}, {STR("title")}, {STR("start_index")},
        {STR("end_index")}, {STR("filename")}, {STR("file_id")}, {STR("index")}};
    *out = (struct ir_citation){.raw = annotation.raw};
    if (json_scan(annotation.raw, w, ARRAY_LEN(w)) < 0)
        return false;
    out->type = ir_text(w[0].value);
    out->url = ir_text(w[1].value);
    out->title = ir_text(w[w[2].count ? 2 : 5].value);
    out->file_id = ir_text(w[6].value);
    out->index = ir_raw(w[7].value);
    ir_set_place(out, w[3].value, w[4].value, before);
    return true;
}

static bool read_annotations(struct ir_part *p, struct json_span list, struct arena *a)
{
    struct ir_citation **end = &p->citations;
    struct json_iter it = json_iter(list.raw);
    struct json_span k, v;
    while (list.type == JSON_ARRAY && json_next(&it, &k, &v)) {
        if (!(*end = arena_zalloc(a, sizeof **end)))
            return false;
        if (responses_read_citation(v, 0, *end))
            end = &(*end)->next;
        else
            *end = NULL;
    }
    return true;
}

static void read_image(struct ir_part *p, struct json_span v)
{
    p->kind = IR_MEDIA;
    p->media.kind = IR_IMAGE;
    struct str url = member(v, "image_url");
    if (url.p)
        ir_set_url(&p->media, url);
    p->media.file_id = member(v, "file_id");
    p->media.detail = member(v, "detail");
}

static void read_file(struct ir_part *p, struct json_span v)
{
    struct str data = member(v, "file_data"), url = member(v, "file_url");
    p->kind = IR_MEDIA;
    p->media.kind = IR_DOCUMENT;
    if (data.p)
        ir_set_url(&p->media, data);
    if (data.p && p->media.url.p) { /* base64 alone */
        p->media.data = data;
        p->media.url = STR_NULL;
        p->media.mime = STR("application/pdf");
    }
    if (url.p)
        p->media.url = url;
    p->media.file_id = member(v, "file_id");
    p->media.filename = member(v, "filename");
}

static void read_audio(struct ir_part *p, struct json_span v)
{
    struct json_span audio = json_get(v.raw, STR("input_audio"));
    p->kind = IR_MEDIA;
    p->media.kind = IR_AUDIO;
    p->media.data = member(audio, "data");
    p->media.mime = ir_is(member(audio, "format"), "mp3") ? STR("audio/mpeg") : STR("audio/wav");
}

static struct ir_part *read_part(const struct responses_sink *s, struct json_span v)
{
    struct ir_part *p = new_part(s, IR_OPAQUE, v);
    struct str type = member(v, "type");
    if (!p)
        return NULL;
    if (ir_is(type, "input_text") || ir_is(type, "output_text") || ir_is(type, "text")) {
        p->kind = IR_TEXT;
        p->text = member(v, "text");
        return read_annotations(p, json_get(v.raw, STR("annotations")), s->a) ? p : NULL;
    }
    if (ir_is(type, "refusal")) {
        p->kind = IR_REFUSAL;
        p->text = member(v, "refusal");
    } else if (ir_is(type, "input_image")) {
        read_image(p, v);
    } else if (ir_is(type, "input_file")) {
        read_file(p, v);
    } else if (ir_is(type, "input_audio")) {
        read_audio(p, v);
    }
    return p;
}

static struct ir_part *read_text(const struct responses_sink *s, struct json_span v)
{
    struct ir_part *p = ir_new_part(s->a, IR_TEXT, WIRE_RESPONSES);
    if (p)
        p->text = ir_text(v);
    return p;
}

static enum ir_role role_of(struct str role)
{
    if (ir_is(role, "assistant"))
        return IR_ASSISTANT;
    if (ir_is(role, "system"))
        return IR_SYSTEM;
    return ir_is(role, "developer") ? IR_DEVELOPER : IR_USER;
}

static bool read_message(const struct responses_sink *s, struct json_span item)
{
    enum ir_role role = role_of(member(item, "role"));
    struct json_span content = json_get(item.raw, STR("content")), k, v;
    struct json_iter it = json_iter(content.raw);
    struct ir_part *p;
    if (content.type == JSON_STRING)
        return (p = read_text(s, content)) && s->add(s->ctx, role, p);
    while (content.type == JSON_ARRAY && json_next(&it, &k, &v)) {
        if (!(p = read_part(s, v)))
            return false;
        p->item_id = member(item, "id");
        if (!s->add(s->ctx, role, p))
            return false;
    }
    return true;
}

/* --- calls and results ---------------------------------------------------------------------- */

static bool read_call(const struct responses_sink *s, struct json_span item, bool custom)
{
    struct ir_part *p = new_part(s, IR_CALL, item);
    if (!p)
        return false;
    p->item_id = member(item, "id");
    p->id = member(item, "call_id");
    if (!p->id.p)
        p->id = p->item_id;
    p->name = responses_flat_name(member(item, "namespace"), member(item, "name"), s->a);
    p->custom = custom;
    if (custom)
        p->arguments = custom_arguments(member(item, "input"), s->a);
    else
        ir_set_arguments(p, member(item, "arguments"), s->a);
    return s->add(s->ctx, IR_ASSISTANT, p);
}

static bool read_result(const struct responses_sink *s, struct json_span item)
{
    struct json_span output = json_get(item.raw, STR("output")), k, v;
    struct ir_part *p = new_part(s, IR_RESULT, item), **end;
    if (!p)
        return false;
    end = &p->content;
    p->id = member(item, "call_id");
    struct json_iter it = json_iter(output.raw);
    if (output.type == JSON_STRING && !(p->content = read_text(s, output)))
        return false;
    while (output.type == JSON_ARRAY && json_next(&it, &k, &v)) {
        if (!(*end = read_part(s, v)))
            return false;
        end = &(*end)->next;
    }
    return s->add(s->ctx, IR_TOOL, p);
}

/* --- reasoning ------------------------------------------------------------------------------ */

/* The texts of a list, an empty line between them. */
static struct str joined(struct json_span list, struct arena *a)
{
    struct json_iter it = json_iter(list.raw);
    struct json_span k, v;
    struct str one = STR_NULL;
    struct buf b;
    unsigned n = 0;
    buf_init(&b, BUF_NO_LIMIT);
    while (list.type == JSON_ARRAY && json_next(&it, &k, &v)) {
        struct str text = member(v, "text");
        if (!text.p)
            continue;
        if (n++)
            buf_puts(&b, "\\n\\n");
        buf_put_str(&b, text);
        one = text;
    }
    if (n > 1)
        one = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return one;
}

static bool read_reasoning(const struct responses_sink *s, struct json_span item)
{
    struct ir_part *p = new_part(s, IR_REASONING, item);
    struct proof proof;
    if (!p)
        return false;
    p->item_id = member(item, "id");
    p->text = joined(json_get(item.raw, STR("content")), s->a);
    if (!p->text.n)
        p->text = joined(json_get(item.raw, STR("summary")), s->a);
    p->signature = member(item, "encrypted_content");
    if (p->signature.n && proof_read(s->a, p->signature, &proof)) {
        p->origin = proof.maker;
        p->signature = proof.text;
        p->raw = STR_NULL;
        if (proof.kind == PROOF_REDACTED)
            p->kind = IR_REDACTED;
    } else if (p->signature.n && !p->text.n) {
        p->kind = IR_REDACTED;
    }
    return s->add(s->ctx, IR_ASSISTANT, p);
}

/* An image that was made: {id, status, result: base64, output_format, …}. */
static bool read_made_image(const struct responses_sink *s, struct json_span item)
{
    struct str data = member(item, "result"), format = member(item, "output_format");
    struct ir_part *p = new_part(s, data.n ? IR_MEDIA : IR_OPAQUE, item);
    if (!p)
        return false;
    p->item_id = member(item, "id");
    p->media.kind = IR_IMAGE;
    p->media.data = data;
    p->media.mime = ir_is(format, "jpeg") ? STR("image/jpeg")
        : ir_is(format, "webp") ? STR("image/webp") : STR("image/png");
    return s->add(s->ctx, IR_ASSISTANT, p);
}

bool responses_read_item(struct json_span item, const struct responses_sink *s)
{
    struct str type = member(item, "type");
    if (item.type != JSON_OBJECT)
        return true; /* nothing that anybody could mean */
    if (ir_is(type, "message") || (!type.p && member(item, "role").p))
        return read_message(s, item);
    if (ir_is(type, "function_call") || ir_is(type, "custom_tool_call"))
        return read_call(s, item, ir_is(type, "custom_tool_call"));
    if (ir_is(type, "function_call_output") || ir_is(type, "custom_tool_call_output"))
        return read_result(s, item);
    if (ir_is(type, "reasoning"))
        return read_reasoning(s, item);
    if (ir_is(type, "image_generation_call"))
        return read_made_image(s, item);
    if ((ir_is(type, "item_reference") || ir_is(type, "additional_tools")) && s->aside)
        return s->aside(s->ctx, type, item);
    struct ir_part *p = new_part(s, IR_OPAQUE, item);
    bool output = str_ends(type, STR("_output"));
    return p && s->add(s->ctx, output ? IR_TOOL : IR_ASSISTANT, p);
}
