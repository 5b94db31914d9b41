/* responses_write.c: the neutral form → a Responses request that needs nothing kept at the provider:
 * store is off, reasoning comes back encrypted and is sent again. */
#include "proxy/dialect/media.h"
#include "proxy/dialect/responses.h"

#include <stdio.h>
#include <stdlib.h>

struct writing {
    const struct ir_request *r;
    const struct spoke_target *t;
    struct json_writer w;
    struct ir_notes *notes;
    struct err *e;
    bool own;                 /* the client speaks Responses */
    int rc;
};

/* These refuse temperature and top_p, and are the ones that reason. */
static bool reasons(struct str model)
{
    static const char *const names[] = {"gpt-5", "o1", "o3", "o4", "codex", "gpt-oss"};
    ptrdiff_t slash = str_chr(model, '/');
    struct str name = slash < 0 ? model : str_from(model, (size_t)slash + 1);
    if (str_starts(name, STR("openai.")))
        name = str_from(name, 7);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_starts(name, str_c(names[i])))
            return str_find(name, STR("-chat")) < 0;
    return false;
}

/* --- content -------------------------------------------------------------------------------- */

/* The member is needed, even where there is nothing in it. */
static void put_annotations(struct json_writer *w, const struct ir_part *p)
{
    json_array_begin(w, "annotations");
    for (const struct ir_citation *c = p->citations; c; c = c->next)
        responses_put_citation(w, c, 0);
    json_array_end(w);
}

static void put_text(struct json_writer *w, const char *type, const struct ir_part *p)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", type);
    ir_put_text(w, "text", p->text.p ? p->text : STR(""));
    if (strcmp(type, "output_text") == 0)
        put_annotations(w, p);
    json_object_end(w);
}

static void put_image(struct json_writer *w, const struct ir_part *p)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "input_image");
    ir_put_text(w, "file_id", p->media.file_id);
    if (p->media.data.p || p->media.url.p)
        ir_put_data_url(w, "image_url", &p->media);
    ir_put_text(w, "detail", p->media.detail.p ? p->media.detail : STR("auto"));
    json_object_end(w);
}

static void put_file(struct json_writer *w, const struct ir_part *p)
{
    const struct ir_media *m = &p->media;
    json_object_begin(w, NULL);
    json_put_c(w, "type", "input_file");
    ir_put_text(w, "file_id", m->file_id);
    if (m->data.p) {
        ir_put_text(w, "filename", m->filename.p ? m->filename : STR("document.pdf"));
        ir_put_data_url(w, "file_data", m);
    } else {
        ir_put_text(w, "filename", m->filename);
        ir_put_text(w, "file_url", m->url);
    }
    json_object_end(w);
}

static void put_audio(struct writing *g, const struct ir_part *p)
{
    bool mp3 = ir_is(p->media.mime, "audio/mpeg") || ir_is(p->media.mime, "audio/mp3");
    if (!p->media.data.p) { /* an address is taken for any file */
        put_file(&g->w, p);
        return;
    }
    json_object_begin(&g->w, NULL);
    json_put_c(&g->w, "type", "input_audio");
    json_object_begin(&g->w, "input_audio");
    ir_put_text(&g->w, "data", p->media.data);
    json_put_c(&g->w, "format", mp3 ? "mp3" : "wav");
    json_object_end(&g->w);
    json_object_end(&g->w);
}

static void put_media(struct writing *g, const struct ir_part *p)
{
    const struct ir_media *m = &p->media;
    struct ir_part text = {.kind = IR_TEXT, .text = m->data};
    if (p->media.to_be_cited)
        ir_dropped(g->notes, "document.citations");
    if (media_is_elsewhere(p, WIRE_RESPONSES)) {
        media_drop_file(g->notes, p);
        return;
    }
    switch (m->kind) {
    case IR_IMAGE:
        put_image(&g->w, p);
        return;
    case IR_AUDIO:
        put_audio(g, p);
        return;
    case IR_DOCUMENT:
        if (p->media.is_text)
            put_text(&g->w, "input_text", &text);
        else
            put_file(&g->w, p);
        return;
    case IR_VIDEO:
        media_dropped(g->notes, m);
    }
}

static bool is_content(const struct ir_message *m, const struct ir_part *p)
{
    if (p->kind == IR_MEDIA && m && m->role == IR_ASSISTANT)
        return false;
    if (p->kind == IR_OPAQUE)
        return p->origin == WIRE_RESPONSES &&
               str_starts(ir_text(json_get(p->raw, STR("type"))), STR("input_"));
    return p->kind == IR_TEXT || p->kind == IR_MEDIA || p->kind == IR_REFUSAL;
}

static void put_content(struct writing *g, const struct ir_part *p, bool assistant)
{
    if (p->cache.p)
        ir_changed(g->notes, "cache_control");
    if (g->own && p->origin == WIRE_RESPONSES && p->raw.p) {
        json_put_raw(&g->w, NULL, p->raw);
    } else if (p->kind == IR_MEDIA) {
        put_media(g, p);
    } else if (p->kind == IR_REFUSAL && assistant) {
        json_object_begin(&g->w, NULL);
        json_put_c(&g->w, "type", "refusal");
        ir_put_text(&g->w, "refusal", p->text);
        json_object_end(&g->w);
    } else {
        put_text(&g->w, assistant ? "output_text" : "input_text", p);
    }
}

/* --- items ---------------------------------------------------------------------------------- */

static void put_call(struct writing *g, const struct ir_part *p)
{
    if (g->own && p->origin == WIRE_RESPONSES && p->raw.p) {
        json_put_raw(&g->w, NULL, p->raw);
        return;
    }
    json_object_begin(&g->w, NULL);
    json_put_c(&g->w, "type", p->custom ? "custom_tool_call" : "function_call");
    ir_put_text(&g->w, "call_id", p->id);
    ir_put_text(&g->w, "name", p->name);
    if (p->custom)
        ir_put_text(&g->w, "input", ir_text(json_get(p->arguments, STR("input"))));
    else if (p->arguments.p)
        ir_put_object_as_text(&g->w, "arguments", p->arguments);
    else
        ir_put_text(&g->w, "arguments", p->broken.p ? p->broken : STR("{}"));
    json_object_end(&g->w);
}

static void put_output(struct writing *g, const struct ir_part *content)
{
    bool plain = !content || (!content->next && content->kind == IR_TEXT && !content->raw.p);
    if (plain) {
        ir_put_text(&g->w, "output", content && content->text.p ? content->text : STR(""));
        return;
    }
    json_array_begin(&g->w, "output");
    for (const struct ir_part *p = content; p; p = p->next) {
        if (is_content(NULL, p))
            put_content(g, p, false);
        else
            ir_dropped_opaque(g->notes, p->raw);
    }
    json_array_end(&g->w);
}

static void put_result(struct writing *g, const struct ir_part *p)
{
    if (g->own && p->origin == WIRE_RESPONSES && p->raw.p) {
        json_put_raw(&g->w, NULL, p->raw);
        return;
    }
    json_object_begin(&g->w, NULL);
    json_put_c(&g->w, "type", p->custom ? "custom_tool_call_output" : "function_call_output");
    ir_put_text(&g->w, "call_id", p->id);
    put_output(g, p->content);
    json_object_end(&g->w);
    if (p->is_error)
        ir_changed(g->notes, "is_error");
}

/* Only what this API made itself: nobody else's proof means anything to it. */
static void put_reasoning(struct writing *g, const struct ir_part *p)
{
    if (p->origin != WIRE_RESPONSES || (!p->signature.n && !p->raw.p)) {
        ir_changed(g->notes, "reasoning");
        return;
    }
    if (p->raw.p) {
        json_put_raw(&g->w, NULL, p->raw);
        return;
    }
    json_object_begin(&g->w, NULL);
    json_put_c(&g->w, "type", "reasoning");
    json_array_begin(&g->w, "summary");
    if (p->text.n) {
        json_object_begin(&g->w, NULL);
        json_put_c(&g->w, "type", "summary_text");
        ir_put_text(&g->w, "text", p->text);
        json_object_end(&g->w);
    }
    json_array_end(&g->w);
    ir_put_text(&g->w, "encrypted_content", p->signature);
    json_object_end(&g->w);
}

/* The API wants one that begins so. */
static struct str made_image_id(const struct ir_part *p, char id[32])
{
    snprintf(id, 32, "ig_%016llx", (unsigned long long)str_hash(p->media.data));
    return str_c(id);
}

static void put_item(struct writing *g, const struct ir_part *p)
{
    char id[32];
    switch (p->kind) {
    case IR_CALL:
        put_call(g, p);
        return;
    case IR_RESULT:
        put_result(g, p);
        return;
    case IR_REASONING:
    case IR_REDACTED:
        put_reasoning(g, p);
        return;
    case IR_MEDIA: /* that the model made */
        responses_put_image(&g->w, NULL, p, p->item_id.p ? p->item_id : made_image_id(p, id), g->notes);
        return;
    default:
        if (p->origin == WIRE_RESPONSES)
            json_put_raw(&g->w, NULL, p->raw);
        else
            ir_dropped_opaque(g->notes, p->raw);
    }
}

/* Neighbouring contents of one message; returns the first part that is none. */
static const struct ir_part *put_message(struct writing *g, const struct ir_message *m,
    const struct ir_part *p)
{
    static const char *const roles[] = {[IR_SYSTEM] = "system", [IR_DEVELOPER] = "developer",
        [IR_USER] = "user", [IR_ASSISTANT] = "assistant", [IR_TOOL] = "user"};
    struct str id = p->item_id;
    json_object_begin(&g->w, NULL);
    json_put_c(&g->w, "type", "message");
    json_put_c(&g->w, "role", roles[m->role]);
    if (g->own && id.p) {
        ir_put_text(&g->w, "id", id);
        if (m->role == IR_ASSISTANT)
            json_put_c(&g->w, "status", "completed");
    }
    json_array_begin(&g->w, "content");
    for (; p && is_content(m, p) && (!id.p || str_eq(p->item_id, id)); p = p->next)
        if (p->kind != IR_TEXT || p->text.n || m->role != IR_ASSISTANT)
            put_content(g, p, m->role == IR_ASSISTANT);
    json_array_end(&g->w);
    json_object_end(&g->w);
    return p;
}

static const struct ir_message *instructions_of(const struct ir_request *r)
{
    const struct ir_message *m = r->messages;
    if (!m || m->role != IR_SYSTEM || !m->parts)
        return NULL;
    for (const struct ir_part *p = m->parts; p; p = p->next)
        if (p->kind != IR_TEXT || p->item_id.p)
            return NULL;
    return m;
}

static void put_instructions(struct writing *g, const struct ir_message *m)
{
    if (!m)
        return;
    json_put_raw(&g->w, "instructions", STR("\""));
    for (const struct ir_part *p = m->parts; p; p = p->next) {
        if (p != m->parts)
            buf_puts(g->w.out, "\\n\\n");
        buf_put_str(g->w.out, p->text);
        if (p->cache.p)
            ir_changed(g->notes, "cache_control");
    }
    buf_putc(g->w.out, '"');
}

/* Items that were set aside when they were read. */
static void put_items_kept(struct writing *g, const char *key)
{
    for (const struct ir_member *m = g->r->rest; g->own && m; m = m->next)
        if (ir_is(m->key, key))
            json_put_raw(&g->w, NULL, m->value);
}

static void put_input(struct writing *g, const struct ir_message *instructions)
{
    json_array_begin(&g->w, "input");
    put_items_kept(g, RESPONSES_MORE_TOOLS);
    put_items_kept(g, "input.item_reference");
    for (const struct ir_message *m = g->r->messages; m; m = m->next) {
        const struct ir_part *p = m->parts;
        while (m != instructions && p) {
            if (is_content(m, p)) {
                p = put_message(g, m, p);
            } else {
                put_item(g, p);
                p = p->next;
            }
        }
    }
    json_array_end(&g->w);
}

/* --- settings ------------------------------------------------------------------------------- */

void responses_put_format(struct json_writer *w, const struct ir_request *r)
{
    json_object_begin(w, "text");
    json_object_begin(w, "format");
    if (r->format.kind == IR_FORMAT_SCHEMA) {
        json_put_c(w, "type", "json_schema");
        ir_put_text(w, "name", r->format.name.p ? r->format.name : STR("answer"));
        ir_put_text(w, "description", r->format.description);
        ir_put_raw(w, "schema", r->format.schema);
        if (r->format.strict != IR_UNSAID)
            json_put_bool(w, "strict", r->format.strict == IR_YES);
    } else {
        json_put_c(w, "type", r->format.kind == IR_FORMAT_JSON ? "json_object" : "text");
    }
    json_object_end(w);
    ir_put_text(w, "verbosity", r->verbosity);
    if (r->origin == WIRE_RESPONSES)
        rest_put(w, r, "text.");
    json_object_end(w);
}

static void put_rest(struct writing *g, const char *under)
{
    if (g->own)
        rest_put(&g->w, g->r, under);
}

static void put_reasoning_config(struct writing *g)
{
    const struct ir_request *r = g->r;
    bool can = reasons(g->t->model), said = r->reasoning.effort != IR_EFFORT_UNSAID;
    enum ir_effort effort = said ? r->reasoning.effort
        : r->reasoning.adaptive ? IR_EFFORT_MEDIUM : ir_effort_of_budget(r->reasoning.budget);
    bool show = r->reasoning.summary.p || (can && r->reasoning.shown == IR_YES && effort > IR_EFFORT_NONE);
    if (!g->own && !can && effort != IR_EFFORT_UNSAID && r->origin != WIRE_CHAT) {
        if (effort != IR_EFFORT_NONE)
            ir_changed(g->notes, "reasoning_effort");
        return;
    }
    if (!effort && !show && !(g->own && rest_has(r, "reasoning.")))
        return;
    json_object_begin(&g->w, "reasoning");
    if (effort)
        json_put_c(&g->w, "effort", ir_effort_name(effort));
    if (show)
        ir_put_text(&g->w, "summary", r->reasoning.summary.p ? r->reasoning.summary : STR("auto"));
    put_rest(g, "reasoning.");
    json_object_end(&g->w);
}

static double number(struct str raw)
{
    char text[40];
    str_copy(text, sizeof text, raw);
    return strtod(text, NULL);
}

static void put_sampling(struct writing *g)
{
    const struct ir_request *r = g->r;
    bool fixed = !g->own && reasons(g->t->model);
    const struct {
        const char *name;
        bool said;
    } missing[] = {{"stop", r->stop.p != NULL}, {"seed", r->seed.p != NULL},
        {"top_k", r->top_k.p != NULL}, {"frequency_penalty", r->frequency_penalty.p != NULL},
        {"presence_penalty", r->presence_penalty.p != NULL}, {"n", r->n > 1}};
    if (fixed && r->temperature.p && number(r->temperature) != 1)
        ir_changed(g->notes, "temperature");
    else
        ir_put_raw(&g->w, "temperature", r->temperature);
    if (fixed && r->top_p.p && number(r->top_p) != 1)
        ir_changed(g->notes, "top_p");
    else
        ir_put_raw(&g->w, "top_p", r->top_p);
    for (size_t i = 0; i < ARRAY_LEN(missing); i++)
        if (missing[i].said)
            ir_dropped(g->notes, missing[i].name);
    if (r->max_output > 0) {
        if (r->max_output < 16 && !g->own)
            ir_changed(g->notes, "max_tokens");
        json_put_int(&g->w, "max_output_tokens", g->own || r->max_output > 16 ? r->max_output : 16);
    }
}

static void put_include(struct writing *g)
{
    if (g->own)
        return;
    json_put_bool(&g->w, "store", false);
    json_array_begin(&g->w, "include");
    if (reasons(g->t->model))
        json_put_c(&g->w, NULL, "reasoning.encrypted_content");
    if (g->r->logprobs == IR_YES)
        json_put_c(&g->w, NULL, "message.output_text.logprobs");
    json_array_end(&g->w);
}

static void put_settings(struct writing *g)
{
    const struct ir_request *r = g->r;
    if (r->tool_choice.mode != IR_CHOICE_UNSAID && r->tools)
        responses_put_choice(&g->w, r);
    if (r->parallel != IR_UNSAID && (r->tools || g->own))
        json_put_bool(&g->w, "parallel_tool_calls", r->parallel == IR_YES);
    put_sampling(g);
    if (r->logprobs == IR_YES || g->own)
        ir_put_raw(&g->w, "top_logprobs", r->top_logprobs);
    if (r->format.kind != IR_FORMAT_UNSAID || r->verbosity.p || (g->own && rest_has(r, "text.")))
        responses_put_format(&g->w, r);
    put_reasoning_config(g);
    ir_put_text(&g->w, "service_tier", r->service_tier);
    ir_put_raw(&g->w, "metadata", r->metadata);
    ir_put_text(&g->w, "user", r->user);
    ir_put_text(&g->w, "prompt_cache_key", r->cache_key);
    put_include(g);
    if (g->t->stream)
        json_put_bool(&g->w, "stream", true);
}

int responses_write_request(const struct ir_request *r, const struct spoke_target *t,
    struct buf *out, struct ir_notes *notes, struct err *e)
{
    struct writing g = {.r = r, .t = t, .w = json_writer(out), .notes = notes, .e = e,
        .own = r->origin == WIRE_RESPONSES};
    const struct ir_message *instructions = instructions_of(r);
    if (!g.own && rest_check_state(r, "the Responses API", e) < 0)
        return -ERR_UNSUPPORTED;
    json_object_begin(&g.w, NULL);
    json_put_str(&g.w, "model", t->model);
    put_instructions(&g, instructions);
    put_input(&g, instructions);
    responses_put_tools(&g.w, r, notes);
    put_settings(&g);
    put_rest(&g, "");
    json_object_end(&g.w);
    ir_dropped_modes(notes, r);
    if (!g.own)
        rest_note(r, WIRE_RESPONSES, notes);
    if (g.rc == 0 && out->err)
        return err_set(e, ERR_LIMIT, "the request is too large to be translated");
    return g.rc;
}
