/* openai_chat_messages.c: the neutral messages → `messages` of a chat request.
 *
 * What needs care: a tool's result is a message of its own and holds text only, so its images follow
 * in a user message after the last result of the turn; a part without a form here is left out and
 * said so. */
#include "proxy/dialect/media.h"
#include "proxy/dialect/openai_chat.h"

struct put {
    struct json_writer *w;
    const struct spoke_quirks *q;
    struct ir_notes *notes;
    bool own; /* the request was chat already: all goes back */
    bool made; /* what is put is a model's: its media stand beside the content */
};

/* Nine letters or digits where the provider insists; any other id is folded to that, always to the
 * same. */
void chat_put_id(struct json_writer *w, const char *key, struct str id, unsigned quirks)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char folded[9];
    bool fits = id.n == 9;
    for (size_t i = 0; i < id.n && fits; i++)
        fits = strchr(digits, id.p[i]) != NULL;
    if (fits || !(quirks & SPOKE_ID_9)) {
        ir_put_text(w, key, id.p ? id : STR("call_0"));
        return;
    }
    uint64_t h = str_hash(id);
    for (int i = 0; i < 9; i++, h /= 62)
        folded[i] = digits[h % 62];
    ir_put_text(w, key, str_n(folded, sizeof folded));
}

/* --- parts ---------------------------------------------------------------------------------- */

static void put_cache(struct put *p, const struct ir_part *part)
{
    if (!part->cache.p)
        return;
    if (p->q->bits & SPOKE_CACHE_MARKS)
        ir_put_raw(p->w, "cache_control", part->cache);
    else
        ir_changed(p->notes, "cache_control");
}

static void put_text_part(struct put *p, const struct ir_part *part)
{
    json_object_begin(p->w, NULL);
    json_put_c(p->w, "type", "text");
    ir_put_text(p->w, "text", part->text);
    put_cache(p, part);
    json_object_end(p->w);
}

static void put_image(struct put *p, const struct ir_media *m)
{
    json_put_c(p->w, "type", "image_url");
    json_object_begin(p->w, "image_url");
    ir_put_data_url(p->w, "url", m);
    ir_put_text(p->w, "detail", m->detail);
    json_object_end(p->w);
}

static void put_audio(struct put *p, const struct ir_media *m)
{
    json_put_c(p->w, "type", "input_audio");
    json_object_begin(p->w, "input_audio");
    ir_put_text(p->w, "data", m->data);
    json_put_c(p->w, "format",
        ir_is(m->mime, "audio/mpeg") || ir_is(m->mime, "audio/mp3") ? "mp3" : "wav");
    json_object_end(p->w);
}

static void put_file(struct put *p, const struct ir_media *m)
{
    json_put_c(p->w, "type", "file");
    json_object_begin(p->w, "file");
    ir_put_text(p->w, "filename", m->filename.p || m->file_id.p ? m->filename
                                                                 : STR("document.pdf"));
    if (m->data.p)
        ir_put_data_url(p->w, "file_data", m);
    ir_put_text(p->w, "file_id", m->file_id);
    json_object_end(p->w);
}

static bool can_put_media(const struct ir_part *p)
{
    const struct ir_media *m = &p->media;
    if (media_is_elsewhere(p, WIRE_CHAT))
        return false;
    switch (m->kind) {
    case IR_IMAGE:
        return m->data.p || m->url.p;
    case IR_AUDIO:
        return m->data.p;
    case IR_DOCUMENT:
        return m->data.p || m->file_id.p;
    default:
        return false;
    }
}

static void put_media(struct put *p, const struct ir_part *part)
{
    const struct ir_media *m = &part->media;
    if (p->own && part->raw.p) {
        json_put_raw(p->w, NULL, part->raw);
        return;
    }
    if (!can_put_media(part)) {
        if (media_is_elsewhere(part, WIRE_CHAT))
            media_drop_file(p->notes, part);
        else
            media_dropped(p->notes, m);
        return;
    }
    if (m->to_be_cited)
        ir_dropped(p->notes, "document.citations");
    json_object_begin(p->w, NULL);
    if (m->is_text) {
        json_put_c(p->w, "type", "text");
        ir_put_text(p->w, "text", m->data);
    } else if (m->kind == IR_IMAGE) {
        put_image(p, m);
    } else if (m->kind == IR_AUDIO) {
        put_audio(p, m);
    } else {
        put_file(p, m);
    }
    put_cache(p, part);
    json_object_end(p->w);
}

static void put_part(struct put *p, const struct ir_part *part)
{
    if (part->kind == IR_TEXT)
        put_text_part(p, part);
    else if (part->kind == IR_MEDIA && !p->made)
        put_media(p, part);
    else if (part->kind == IR_OPAQUE && part->origin == WIRE_CHAT)
        json_put_raw(p->w, NULL, part->raw);
    else if (part->kind == IR_OPAQUE)
        ir_dropped_opaque(p->notes, part->raw);
}

/* What a model made in an earlier turn: images go back where they are taken, sound by its id. */
static void put_made(struct put *p, const struct ir_part *parts)
{
    bool takes = p->own || p->q->bits & SPOKE_IMAGES;
    unsigned images = 0;
    for (const struct ir_part *one = parts; one; one = one->next) {
        if (one->kind != IR_MEDIA)
            continue;
        if (takes && one->media.kind == IR_IMAGE && can_put_media(one)) {
            if (images == 0)
                json_array_begin(p->w, "images");
            chat_put_image(p->w, &one->media, images++);
        } else if (!p->own || one->media.kind != IR_AUDIO) {
            media_dropped(p->notes, &one->media);
        }
    }
    if (images)
        json_array_end(p->w);
    for (const struct ir_part *one = parts; one && p->own; one = one->next)
        if (one->kind == IR_MEDIA && one->media.kind == IR_AUDIO && one->media.file_id.p) {
            json_object_begin(p->w, "audio");
            ir_put_text(p->w, "id", one->media.file_id);
            json_object_end(p->w);
            return;
        }
}

/* --- content -------------------------------------------------------------------------------- */

struct shape {
    size_t texts, others;
    bool cached;
    const struct ir_part *text;
};

static bool is_written(const struct put *to, const struct ir_part *p)
{
    return (p->kind == IR_MEDIA && !to->made && (to->own || can_put_media(p))) ||
           (p->kind == IR_OPAQUE && p->origin == WIRE_CHAT);
}

/* Where a text is written instead of parts: what is left out is noted all the same. */
static void note_lost(struct put *p, const struct ir_part *parts)
{
    for (; parts; parts = parts->next)
        if ((parts->kind == IR_MEDIA || parts->kind == IR_OPAQUE) && !is_written(p, parts))
            put_part(p, parts);
}

static struct shape shape_of(const struct put *to, const struct ir_part *parts)
{
    struct shape s = {0};
    for (const struct ir_part *p = parts; p; p = p->next) {
        if (p->kind == IR_TEXT) {
            s.texts++;
            s.text = p;
            s.cached |= p->cache.p != NULL;
        } else if (is_written(to, p)) {
            s.others++;
        }
    }
    return s;
}

/* Texts one after the other in one string, a blank line between them. */
static void put_joined(struct put *p, const char *key, const struct ir_part *parts,
    struct str before)
{
    json_put_raw(p->w, key, STR("\""));
    buf_put_str(p->w->out, before);
    bool first = true;
    for (const struct ir_part *one = parts; one; one = one->next) {
        if (one->kind != IR_TEXT)
            continue;
        if (!first)
            buf_puts(p->w->out, "\\n\\n");
        first = false;
        buf_put_str(p->w->out, one->text);
        if (one->cache.p)
            ir_changed(p->notes, "cache_control");
    }
    buf_putc(p->w->out, '"');
}

static void put_content(struct put *p, const struct ir_part *parts)
{
    struct shape s = shape_of(p, parts);
    bool marks = s.cached && p->q->bits & SPOKE_CACHE_MARKS;
    if (s.others == 0)
        note_lost(p, parts);
    if (s.others == 0 && s.texts == 0) {
        json_put_null(p->w, "content");
    } else if (s.others == 0 && !marks && (s.texts == 1 || p->q->bits & SPOKE_PLAIN_TEXT)) {
        put_joined(p, "content", parts, STR(""));
    } else {
        json_array_begin(p->w, "content");
        for (const struct ir_part *one = parts; one; one = one->next)
            put_part(p, one);
        json_array_end(p->w);
    }
}

/* --- messages ------------------------------------------------------------------------------- */

static void put_calls(struct put *p, const struct ir_part *parts)
{
    bool any = false;
    for (const struct ir_part *c = parts; c; c = c->next) {
        if (c->kind != IR_CALL)
            continue;
        if (!any)
            json_array_begin(p->w, "tool_calls");
        any = true;
        json_object_begin(p->w, NULL);
        chat_put_id(p->w, "id", c->id, p->q->bits);
        chat_put_called(p->w, c, p->own && c->custom);
        if (c->signature.p && c->origin == WIRE_GENERATE && p->q->bits & SPOKE_GOOGLE_PROOFS) {
            json_put_raw(p->w, "extra_content", STR("{\"google\":{\"thought_signature\":\""));
            buf_put_str(p->w->out, c->signature);
            buf_puts(p->w->out, "\"}}");
        }
        json_object_end(p->w);
    }
    if (any)
        json_array_end(p->w);
}

/* What an earlier turn thought: back to those who want it, in their own word for it. */
static void put_reasoning(struct put *p, const struct ir_part *parts)
{
    bool any = false;
    for (const struct ir_part *one = parts; one; one = one->next) {
        if (one->kind == IR_REASONING && one->text.n &&
            (p->own || p->q->bits & SPOKE_REASONING_BACK)) {
            if (!any)
                json_put_raw(p->w, p->q->reasoning, STR("\""));
            else
                buf_puts(p->w->out, "\\n\\n");
            any = true;
            buf_put_str(p->w->out, one->text);
        }
        if ((one->kind == IR_REASONING || one->kind == IR_REDACTED) && one->origin != WIRE_CHAT)
            ir_changed(p->notes, "reasoning");
    }
    if (any)
        buf_putc(p->w->out, '"');
}

static void put_assistant(struct put *p, const struct ir_message *m)
{
    json_object_begin(p->w, NULL);
    json_put_c(p->w, "role", "assistant");
    ir_put_text(p->w, "name", m->name);
    p->made = true;
    put_content(p, m->parts);
    p->made = false;
    put_made(p, m->parts);
    put_reasoning(p, m->parts);
    for (const struct ir_part *one = m->parts; one; one = one->next)
        if (one->kind == IR_REFUSAL)
            ir_put_text(p->w, "refusal", one->text);
    put_calls(p, m->parts);
    json_object_end(p->w);
}

static bool has_media(const struct ir_part *content)
{
    for (; content; content = content->next)
        if (content->kind == IR_MEDIA)
            return true;
    return false;
}

static void put_result(struct put *p, const struct ir_part *result)
{
    struct shape s = shape_of(p, result->content);
    for (const struct ir_part *one = result->content; one && !p->own; one = one->next)
        if (one->kind == IR_OPAQUE)
            ir_dropped_opaque(p->notes, one->raw);
    json_object_begin(p->w, NULL);
    json_put_c(p->w, "role", "tool");
    chat_put_id(p->w, "tool_call_id", result->id, p->q->bits);
    if (p->own && s.others)
        put_content(p, result->content); /* some providers take images here */
    else if (s.texts == 0 && has_media(result->content))
        json_put_c(p->w, "content", "(its content follows)");
    else
        put_joined(p, "content", result->content,
            result->is_error ? STR("[tool error] ") : STR(""));
    put_cache(p, result);
    json_object_end(p->w);
}

/* Images of the results of this turn, from `first` up to (not including) `end`. */
static void put_result_media(struct put *p, const struct ir_message *first,
    const struct ir_message *end)
{
    bool any = false;
    for (const struct ir_message *m = first; m != end; m = m->next)
        for (const struct ir_part *r = m->parts; r; r = r->next) {
            if (r->kind != IR_RESULT || !has_media(r->content))
                continue;
            if (!any) {
                json_object_begin(p->w, NULL);
                json_put_c(p->w, "role", "user");
                json_array_begin(p->w, "content");
            }
            any = true;
            json_put_raw(p->w, NULL, STR("{\"type\":\"text\",\"text\":\"Content of the tool "
                "result "));
            buf_put_str(p->w->out, r->id);
            buf_puts(p->w->out, ":\"}");
            for (const struct ir_part *c = r->content; c; c = c->next)
                if (c->kind == IR_MEDIA)
                    put_media(p, c);
        }
    if (any) {
        json_array_end(p->w);
        json_object_end(p->w);
    }
}

/* Returns the first message after the run of results. */
static const struct ir_message *put_results(struct put *p, const struct ir_message *first)
{
    const struct ir_message *m = first;
    for (; m && m->role == IR_TOOL; m = m->next)
        for (const struct ir_part *r = m->parts; r; r = r->next)
            if (r->kind == IR_RESULT)
                put_result(p, r);
            else
                ir_dropped_opaque(p->notes, r->raw);
    if (!p->own)
        put_result_media(p, first, m);
    return m;
}

static void put_plain(struct put *p, const struct ir_message *m)
{
    bool developer = m->role == IR_DEVELOPER && !(p->q->bits & SPOKE_NO_DEVELOPER);
    json_object_begin(p->w, NULL);
    json_put_c(p->w, "role", m->role == IR_USER ? "user" : developer ? "developer" : "system");
    ir_put_text(p->w, "name", m->name);
    put_content(p, m->parts);
    json_object_end(p->w);
}

/* For those whose JSON mode knows no schema, and wants to hear the word JSON. */
static void put_schema_words(struct put *p, const struct ir_request *r)
{
    struct buf words;
    buf_init(&words, r->format.schema.n + 256);
    buf_puts(&words, "Answer with one JSON object of this JSON schema and nothing else: ");
    buf_put_str(&words, r->format.schema);
    json_object_begin(p->w, NULL);
    json_put_c(p->w, "role", "system");
    json_put_str(p->w, "content", buf_str(&words));
    json_object_end(p->w);
    buf_fini(&words);
}

void chat_put_messages(struct json_writer *w, const struct ir_request *r,
    const struct spoke_target *t, struct ir_notes *notes)
{
    struct put p = {w, t->quirks, notes, r->origin == WIRE_CHAT};
    json_array_begin(w, "messages");
    if (r->format.kind == IR_FORMAT_SCHEMA && t->quirks->bits & SPOKE_NO_SCHEMA)
        put_schema_words(&p, r);
    for (const struct ir_message *m = r->messages; m;) {
        if (m->role == IR_TOOL) {
            m = put_results(&p, m);
            continue;
        }
        if (m->role == IR_ASSISTANT)
            put_assistant(&p, m);
        else
            put_plain(&p, m);
        m = m->next;
    }
    json_array_end(w);
}
