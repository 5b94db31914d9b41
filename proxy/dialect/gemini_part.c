/* gemini_part.c: one element of `parts`, read and written; what answers, requests and streams of
 * Gemini have in common besides. */
#include "proxy/dialect/gemini.h"
#include "proxy/dialect/media.h"
#include "proxy/dialect/proof.h"

/* --- keys ----------------------------------------------------------------------------------- */

bool gemini_key(struct json_span key, const char *camel)
{
    if (key.type != JSON_STRING)
        return false;
    const char *p = key.raw.p + 1, *end = key.raw.p + key.raw.n - 1;
    for (; p < end && *camel; p++, camel++) {
        char c = *p;
        if (c == '_' && p + 1 < end && p[1] >= 'a' && p[1] <= 'z')
            c = (char)(*++p - 'a' + 'A');
        if (c != *camel)
            return false;
    }
    return p == end && !*camel;
}

struct json_span gemini_get(struct str object, const char *camel)
{
    struct json_iter it = json_iter(object);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v))
        if (gemini_key(k, camel))
            return v;
    return (struct json_span){JSON_NONE, {NULL, 0}};
}

bool gemini_scan(struct str object, struct gemini_want *wants, size_t n)
{
    struct json_iter it = json_iter(object);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v))
        for (size_t i = 0; i < n; i++)
            if (wants[i].value.type == JSON_NONE && gemini_key(k, wants[i].camel)) {
                wants[i].value = v;
                break;
            }
    return it.object && !it.err;
}

/* --- reading parts -------------------------------------------------------------------------- */

static enum ir_media_kind kind_of(struct str mime)
{
    if (str_starts(mime, STR("image/")))
        return IR_IMAGE;
    if (str_starts(mime, STR("audio/")))
        return IR_AUDIO;
    if (str_starts(mime, STR("video/")))
        return IR_VIDEO;
    return IR_DOCUMENT;
}

/* Google takes base64 in both alphabets, and its Python SDK writes the one for URLs; others take the
 * standard one alone. */
static struct str standard_base64(struct str data, struct arena *a)
{
    bool url = memchr(data.p ? data.p : "", '-', data.n) || memchr(data.p ? data.p : "", '_', data.n);
    size_t pad = data.n % 4 ? 4 - data.n % 4 : 0;
    char *out = (url || pad) && !memchr(data.p, '\\', data.n) ? arena_alloc(a, data.n + pad) : NULL;
    if (!out)
        return data;
    for (size_t i = 0; i < data.n; i++)
        out[i] = (char)(data.p[i] == '-' ? '+' : data.p[i] == '_' ? '/' : data.p[i]);
    memset(out + data.n, '=', pad);
    return str_n(out, data.n + pad);
}

static void read_media(struct ir_part *p, struct json_span v, bool inlined, struct arena *a)
{
    p->kind = IR_MEDIA;
    p->media.mime = ir_mime(ir_text(gemini_get(v.raw, "mimeType")));
    p->media.kind = kind_of(p->media.mime);
    p->media.filename = ir_text(gemini_get(v.raw, "displayName"));
    if (inlined)
        p->media.data = standard_base64(ir_text(gemini_get(v.raw, "data")), a);
    else
        p->media.url = ir_text(gemini_get(v.raw, "fileUri"));
}

static void read_call(struct ir_part *p, struct json_span v)
{
    struct json_span args = gemini_get(v.raw, "args");
    p->kind = IR_CALL;
    p->id = ir_text(gemini_get(v.raw, "id"));
    p->name = ir_text(gemini_get(v.raw, "name"));
    p->arguments = args.type == JSON_OBJECT ? args.raw : STR("{}");
    struct json_span broken = json_get(p->arguments, STR("INVALID_JSON"));
    if (broken.type == JSON_STRING && json_count(args) == 1) { /* as ir_put_arguments() says it */
        p->broken = ir_text(broken);
        p->arguments = STR_NULL;
    }
}

/* {"output":"text"} and {"result":"text"} are a text, {"error":…} an error; anything else is
 * handed on as the JSON that it is. */
static bool read_response(struct ir_part *p, struct json_span response, struct arena *a)
{
    struct ir_part *text = ir_new_part(a, IR_TEXT, WIRE_GENERATE);
    struct json_span k = {0}, v = {0};
    if (!text)
        return false;
    p->content = text;
    text->text = STR("");
    if (response.type != JSON_OBJECT)
        return true;
    struct json_iter it = json_iter(response.raw);
    bool one = json_next(&it, &k, &v) && json_count(response) == 1;
    p->is_error = one && gemini_key(k, "error");
    bool wraps = p->is_error || (one && (gemini_key(k, "output") || gemini_key(k, "result")));
    struct json_span what = wraps ? v : response;
    text->text = what.type == JSON_STRING ? ir_text(what) : ir_text_of(a, what.raw);
    return text->text.p != NULL;
}

static bool read_result(struct ir_part *p, struct json_span v, struct arena *a)
{
    p->kind = IR_RESULT;
    p->id = ir_text(gemini_get(v.raw, "id"));
    p->name = ir_text(gemini_get(v.raw, "name"));
    if (!read_response(p, gemini_get(v.raw, "response"), a))
        return false;
    struct ir_part *last = p->content;
    struct json_iter it = json_iter(gemini_get(v.raw, "parts").raw);
    struct json_span k, part;
    while (!it.object && json_next(&it, &k, &part)) {
        if (!(last->next = gemini_read_part(part, a)))
            return false;
        last = last->next;
    }
    return true;
}

static bool read_signature(struct ir_part *p, struct str signature, struct arena *a)
{
    struct proof proof;
    p->signature = signature;
    if (!signature.p || !proof_read(a, signature, &proof))
        return true;
    p->origin = proof.maker;
    p->raw = STR_NULL; /* the part is not that maker's */
    p->signature = proof.text;
    if (proof.kind == PROOF_REDACTED)
        p->kind = IR_REDACTED;
    return true;
}

struct ir_part *gemini_read_part(struct json_span part, struct arena *a)
{
    struct ir_part *p = ir_new_part(a, IR_TEXT, WIRE_GENERATE);
    struct json_iter it = json_iter(part.raw);
    struct json_span k, v;
    struct str signature = STR_NULL;
    bool thought = false, opaque = false;
    if (!p)
        return NULL;
    p->raw = part.raw;
    while (it.object && json_next(&it, &k, &v)) {
        if (v.type == JSON_NULL)
            continue;
        if (gemini_key(k, "text"))
            p->text = ir_text(v);
        else if (gemini_key(k, "thought"))
            thought = json_is_true(v);
        else if (gemini_key(k, "thoughtSignature"))
            signature = ir_text(v);
        else if (gemini_key(k, "inlineData") || gemini_key(k, "fileData"))
            read_media(p, v, gemini_key(k, "inlineData"), a);
        else if (gemini_key(k, "functionCall"))
            read_call(p, v);
        else if (gemini_key(k, "functionResponse")) {
            if (!read_result(p, v, a))
                return NULL;
        } else if (!gemini_key(k, "videoMetadata") && !gemini_key(k, "mediaResolution"))
            opaque = true;
    }
    if ((opaque && p->kind == IR_TEXT && !p->text.p) || (thought && p->kind == IR_MEDIA))
        p->kind = IR_OPAQUE; /* also a picture that was thought */
    else if (thought && p->kind == IR_TEXT)
        p->kind = IR_REASONING;
    return read_signature(p, signature, a) ? p : NULL;
}

/* --- joining -------------------------------------------------------------------------------- */

static bool joins(const struct ir_part *p)
{
    const struct ir_part *q = p->next;
    if (!q || (p->kind != IR_TEXT && p->kind != IR_REASONING) || q->kind != p->kind)
        return false;
    return !p->signature.p && !p->citations && !q->citations && p->origin == WIRE_GENERATE;
}

static bool join_run(struct ir_part *first, struct ir_part *end, size_t bytes, struct arena *a)
{
    char *text = arena_alloc(a, bytes + 1);
    size_t n = 0;
    if (!text)
        return false;
    for (struct ir_part *p = first;; p = p->next) {
        if (p->text.n)
            memcpy(text + n, p->text.p, p->text.n);
        n += p->text.n;
        if (p == end)
            break;
    }
    first->text = str_n(text, n);
    first->signature = end->signature;
    first->origin = end->origin;
    first->next = end->next;
    return true;
}

bool gemini_join_parts(struct ir_part *first, struct ir_part **last, struct arena *a)
{
    for (struct ir_part *p = first; p; p = p->next) {
        struct ir_part *end = p;
        size_t bytes = p->text.n;
        while (joins(end)) {
            end = end->next;
            bytes += end->text.n;
        }
        if (end != p && !join_run(p, end, bytes, a))
            return false;
        if (!p->next)
            *last = p;
    }
    return true;
}

struct str gemini_invent_id(struct arena *a, struct str answer_id, uint64_t salt, unsigned ordinal)
{
    uint64_t hash = str_hash(answer_id) ^ salt * 0x9e3779b97f4a7c15u;
    return arena_printf(a, GEMINI_INVENTED "%016llx%04x", (unsigned long long)hash,
        ordinal & 0xffff);
}

/* --- finish --------------------------------------------------------------------------------- */

enum ir_finish gemini_finish(struct str native, bool calls)
{
    static const char *const errors[] = {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS", "OTHER", "NO_IMAGE", "MALFORMED_RESPONSE", NULL};
    if (ir_is(native, "MAX_TOKENS"))
        return IR_FINISH_LENGTH;
    if (ir_is(native, "STOP") || ir_is(native, "FINISH_REASON_UNSPECIFIED") || !native.n)
        return calls ? IR_FINISH_TOOLS : IR_FINISH_STOP;
    for (size_t i = 0; errors[i]; i++)
        if (ir_is(native, errors[i]))
            return calls ? IR_FINISH_TOOLS : IR_FINISH_ERROR;
    return IR_FINISH_FILTER; /* SAFETY, RECITATION, BLOCKLIST … and what will be added to them */
}

const char *gemini_finish_name(enum ir_finish finish)
{
    switch (finish) {
    case IR_FINISH_LENGTH:
        return "MAX_TOKENS";
    case IR_FINISH_FILTER:
        return "SAFETY";
    case IR_FINISH_ERROR:
        return "OTHER";
    default:
        return "STOP";
    }
}

/* --- writing parts -------------------------------------------------------------------------- */

bool gemini_says_media(const struct ir_part *p, struct ir_notes *notes)
{
    if (media_is_elsewhere(p, WIRE_GENERATE)) {
        media_drop_file(notes, p);
        return false;
    }
    if (p->media.data.p || p->media.url.p || p->media.file_id.p)
        return true;
    media_dropped(notes, &p->media);
    return false;
}

static void put_media(struct json_writer *w, const struct ir_part *p)
{
    const struct ir_media *m = &p->media;
    if (p->origin == WIRE_GENERATE && p->raw.p) { /* with its videoMetadata and the like */
        json_put_raw(w, NULL, p->raw);
        return;
    }
    json_object_begin(w, NULL);
    if (m->is_text) {
        ir_put_text(w, "text", m->data);
    } else {
        json_object_begin(w, m->data.p ? "inlineData" : "fileData");
        ir_put_text(w, "mimeType", m->mime.p || !m->data.p ? m->mime : STR("application/octet-stream"));
        ir_put_text(w, "data", m->data);
        if (!m->data.p)
            ir_put_text(w, "fileUri", m->url.p ? m->url : m->file_id);
        json_object_end(w);
    }
    json_object_end(w);
}

static void put_call(struct json_writer *w, const struct ir_part *p)
{
    json_object_begin(w, NULL);
    json_object_begin(w, "functionCall");
    if (!str_starts(p->id, STR(GEMINI_INVENTED)))
        ir_put_text(w, "id", p->id);
    ir_put_text(w, "name", p->name);
    ir_put_arguments(w, "args", p);
    json_object_end(w);
    if (p->origin == WIRE_GENERATE)
        ir_put_text(w, "thoughtSignature", p->signature);
    json_object_end(w);
}

static bool put_reasoning(struct json_writer *w, const struct ir_part *p)
{
    json_object_begin(w, NULL);
    ir_put_text(w, "text", p->text.p ? p->text : STR(""));
    json_put_bool(w, "thought", true);
    if (p->origin == WIRE_GENERATE)
        ir_put_text(w, "thoughtSignature", p->signature);
    else if (p->signature.p)
        proof_put(w, "thoughtSignature",
            p->kind == IR_REDACTED ? PROOF_REDACTED : PROOF_REASONING, p->origin, p->signature);
    json_object_end(w);
    return true;
}

bool gemini_put_part(struct json_writer *w, const struct ir_part *p, struct ir_notes *notes)
{
    switch (p->kind) {
    case IR_TEXT:
    case IR_REFUSAL:
        json_object_begin(w, NULL);
        ir_put_text(w, "text", p->text.p ? p->text : STR(""));
        if (p->origin == WIRE_GENERATE)
            ir_put_text(w, "thoughtSignature", p->signature);
        json_object_end(w);
        return true;
    case IR_MEDIA:
        if (!gemini_says_media(p, notes))
            return false;
        put_media(w, p);
        return true;
    case IR_CALL:
        put_call(w, p);
        return true;
    case IR_REASONING:
    case IR_REDACTED:
        return put_reasoning(w, p);
    case IR_OPAQUE:
        if (p->origin == WIRE_GENERATE) {
            json_put_raw(w, NULL, p->raw);
            return true;
        }
        ir_dropped_opaque(notes, p->raw);
        return false;
    default:
        return false; /* results: only requests have them */
    }
}

/* --- usage ---------------------------------------------------------------------------------- */

static void put_modality(struct json_writer *w, const char *modality, int64_t tokens)
{
    if (tokens <= 0)
        return;
    json_object_begin(w, NULL);
    json_put_c(w, "modality", modality);
    json_put_int(w, "tokenCount", tokens);
    json_object_end(w);
}

static void put_details(struct json_writer *w, const char *key, int64_t all, int64_t audio,
    int64_t image)
{
    json_array_begin(w, key);
    put_modality(w, "TEXT", all - audio - image);
    put_modality(w, "AUDIO", audio);
    put_modality(w, "IMAGE", image);
    json_array_end(w);
}

/* Candidates exclude the thoughts; the total has everything. */
void gemini_put_usage(struct json_writer *w, const struct usage *u, struct str service_tier)
{
    int64_t said = u->output > u->reasoning ? u->output - u->reasoning : 0;
    json_object_begin(w, "usageMetadata");
    json_put_int(w, "promptTokenCount", u->input);
    json_put_int(w, "candidatesTokenCount", said);
    if (u->reasoning)
        json_put_int(w, "thoughtsTokenCount", u->reasoning);
    if (u->cached)
        json_put_int(w, "cachedContentTokenCount", u->cached);
    if (u->extra_input)
        json_put_int(w, "toolUsePromptTokenCount", u->extra_input);
    json_put_int(w, "totalTokenCount", u->input + said + u->reasoning + u->extra_input);
    put_details(w, "promptTokensDetails", u->input, u->audio_in, u->image_in);
    if (u->audio_out || u->image_out)
        put_details(w, "candidatesTokensDetails", said, u->audio_out, u->image_out);
    ir_put_text(w, "serviceTier", service_tier);
    json_object_end(w);
}
