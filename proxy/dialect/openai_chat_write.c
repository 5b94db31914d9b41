/* openai_chat_write.c: the neutral form → a chat completions request, as this provider takes it. */
#include "proxy/dialect/openai_chat.h"
#include "proxy/dialect/rest.h"

#include <stdlib.h>

/* --- which models think ----------------------------------------------------------------------- */

static bool starts_with_one_of(struct str model, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_find_nocase(model, str_c(names[i])) >= 0)
            return true;
    return false;
}

/* OpenAI's reasoning models refuse max_tokens, stop and any temperature but 1. */
static bool refuses_sampling(struct str model)
{
    static const char *const names[] = {"o1", "o3", "o4-", "gpt-5"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_starts(model, str_c(names[i])))
            return str_find(model, STR("-chat")) < 0;
    return false;
}

/* An effort that was derived (from Anthropic's thinking) goes only to models that are known to take
 * one: the others answer 400, and an agent whose model was switched would notice. */
static bool takes_effort(struct str model)
{
    static const char *const names[] = {"gpt-oss", "grok-3-mini", "grok-4", "qwen3", "magistral",
        "gemini-2.5", "gemini-3", "deepseek-r", "reasoner", "o1", "o3", "o4-mini", "gpt-5"};
    return starts_with_one_of(model, names, ARRAY_LEN(names)) &&
           str_find(model, STR("-chat")) < 0;
}

/* --- tools ------------------------------------------------------------------------------------ */

static void put_tool(struct json_writer *w, const struct ir_tool *t, const struct spoke_quirks *q,
    struct ir_notes *notes)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "function");
    json_object_begin(w, "function");
    ir_put_text(w, "name", t->name);
    ir_put_text(w, "description", t->description);
    ir_put_raw(w, "parameters", t->schema);
    if (t->strict != IR_UNSAID)
        json_put_bool(w, "strict", t->strict == IR_YES);
    json_object_end(w);
    if (t->cache.p && q->bits & SPOKE_CACHE_MARKS)
        ir_put_raw(w, "cache_control", t->cache);
    else if (t->cache.p)
        ir_changed(notes, "cache_control");
    json_object_end(w);
}

static size_t put_tools(struct json_writer *w, const struct ir_request *r,
    const struct spoke_quirks *q, struct ir_notes *notes)
{
    size_t n = 0;
    bool fewer = !(q->bits & SPOKE_ALLOWED_TOOLS);
    for (const struct ir_tool *t = r->tools; t; t = t->next) {
        if (ir_leaves_out(t, WIRE_CHAT, notes) || (fewer && !ir_may_be_called(r, t->name)))
            continue;
        if (n++ == 0)
            json_array_begin(w, "tools");
        if (t->name.p && !(t->custom && t->origin == WIRE_CHAT))
            put_tool(w, t, q, notes);
        else
            json_put_raw(w, NULL, t->raw);
    }
    if (n)
        json_array_end(w);
    return n;
}

/* Of another dialect a custom tool was made a function. */
static void put_function_name(struct json_writer *w, const struct ir_request *r, struct str name)
{
    bool custom = r->origin == WIRE_CHAT && custom_is_named(r, name);
    json_put_c(w, "type", custom ? "custom" : "function");
    json_object_begin(w, custom ? "custom" : "function");
    ir_put_text(w, "name", name);
    json_object_end(w);
}

static void put_allowed(struct json_writer *w, const struct ir_request *r)
{
    json_object_begin(w, "tool_choice");
    json_put_c(w, "type", "allowed_tools");
    json_object_begin(w, "allowed_tools");
    json_put_c(w, "mode", r->tool_choice.mode == IR_CHOICE_REQUIRED ? "required" : "auto");
    json_array_begin(w, "tools");
    for (const struct ir_name *n = r->tool_choice.only; n; n = n->next) {
        json_object_begin(w, NULL);
        put_function_name(w, r, n->name);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
    json_object_end(w);
}

static void put_choice(struct json_writer *w, const struct ir_request *r,
    const struct spoke_quirks *q)
{
    switch (r->tool_choice.mode) {
    case IR_CHOICE_UNSAID:
        return;
    case IR_CHOICE_NONE:
        json_put_c(w, "tool_choice", "none");
        return;
    case IR_CHOICE_NAMED:
        json_object_begin(w, "tool_choice");
        put_function_name(w, r, r->tool_choice.only->name);
        json_object_end(w);
        return;
    case IR_CHOICE_AUTO:
    case IR_CHOICE_REQUIRED:
        break;
    }
    if (r->tool_choice.only && q->bits & SPOKE_ALLOWED_TOOLS)
        put_allowed(w, r);
    else if (r->tool_choice.mode == IR_CHOICE_AUTO)
        json_put_c(w, "tool_choice", "auto");
    else
        json_put_c(w, "tool_choice", q->bits & SPOKE_ANY_NOT_REQUIRED ? "any" : "required");
}

/* --- settings --------------------------------------------------------------------------------- */

static double number(struct str raw)
{
    char text[40];
    str_copy(text, sizeof text, raw);
    return strtod(text, NULL);
}

static void put_sampling(struct json_writer *w, const struct ir_request *r,
    const struct spoke_target *t, struct ir_notes *notes)
{
    bool fixed = refuses_sampling(t->model);
    if (r->temperature.p && fixed && number(r->temperature) != 1)
        ir_changed(notes, "temperature");
    else if (r->temperature.p && number(r->temperature) > 2) {
        json_put_raw(w, "temperature", STR("2"));
        ir_changed(notes, "temperature");
    } else {
        ir_put_raw(w, "temperature", r->temperature);
    }
    if (fixed && r->top_p.p && number(r->top_p) != 1)
        ir_changed(notes, "top_p");
    else
        ir_put_raw(w, "top_p", r->top_p);
    if (t->quirks->bits & SPOKE_TOP_K)
        ir_put_raw(w, "top_k", r->top_k);
    else if (r->top_k.p)
        ir_dropped(notes, "top_k");
    ir_put_raw(w, "seed", r->seed);
    ir_put_raw(w, "frequency_penalty", r->frequency_penalty);
    ir_put_raw(w, "presence_penalty", r->presence_penalty);
    if (r->n > 0)
        json_put_int(w, "n", r->n);
}

/* Four at most; a reasoning model takes none. */
static void put_stop(struct json_writer *w, const struct ir_request *r,
    const struct spoke_target *t, struct ir_notes *notes)
{
    struct json_iter it = json_iter(r->stop);
    struct json_span key, v;
    size_t n = 0;
    if (!r->stop.p || refuses_sampling(t->model)) {
        if (r->stop.p)
            ir_dropped(notes, "stop");
        return;
    }
    json_array_begin(w, "stop");
    while (json_next(&it, &key, &v)) {
        if (n++ < 4)
            json_put_raw(w, NULL, v.raw);
    }
    json_array_end(w);
    if (n > 4)
        ir_dropped(notes, "stop (more than 4)");
}

static void put_format(struct json_writer *w, const struct ir_request *r,
    const struct spoke_quirks *q, struct ir_notes *notes)
{
    if (r->format.kind == IR_FORMAT_TEXT && r->origin == WIRE_CHAT)
        json_put_raw(w, "response_format", STR("{\"type\":\"text\"}"));
    if (r->format.kind <= IR_FORMAT_TEXT)
        return;
    json_object_begin(w, "response_format");
    if (r->format.kind == IR_FORMAT_JSON || q->bits & SPOKE_NO_SCHEMA) {
        json_put_c(w, "type", "json_object");
        if (r->format.kind == IR_FORMAT_SCHEMA) /* told in words: chat_put_messages() */
            ir_changed(notes, "json_schema");
    } else {
        json_put_c(w, "type", "json_schema");
        json_object_begin(w, "json_schema");
        ir_put_text(w, "name", r->format.name.p ? r->format.name : STR("answer"));
        ir_put_text(w, "description", r->format.description);
        ir_put_raw(w, "schema", r->format.schema);
        if (r->format.strict != IR_UNSAID)
            json_put_bool(w, "strict", r->format.strict == IR_YES);
        json_object_end(w);
    }
    json_object_end(w);
}

static void put_reasoning(struct json_writer *w, const struct ir_request *r,
    const struct spoke_target *t, struct ir_notes *notes)
{
    enum ir_effort effort = r->reasoning.effort;
    bool derived = r->origin != WIRE_CHAT && r->origin != WIRE_RESPONSES;
    if (!effort)
        effort = r->reasoning.adaptive ? IR_EFFORT_MEDIUM
                                       : ir_effort_of_budget(r->reasoning.budget);
    if (!effort)
        return;
    if (t->quirks->bits & SPOKE_NO_EFFORT || (derived && !takes_effort(t->model))) {
        if (effort != IR_EFFORT_NONE)
            ir_changed(notes, "reasoning_effort");
        return;
    }
    if (derived && effort == IR_EFFORT_NONE)
        return;
    json_put_c(w, "reasoning_effort", ir_effort_name(effort));
}

/* Sound is asked of OpenAI with a voice, which nobody else names. */
static void put_modes(struct json_writer *w, const struct ir_request *r, const struct spoke_quirks *q,
    struct ir_notes *notes)
{
    bool images = r->modes & IR_MODE_IMAGE && !(r->modes & IR_MODE_AUDIO);
    if (r->origin == WIRE_CHAT)
        ir_put_raw(w, "modalities", r->modes_raw);
    else if (images && q->bits & SPOKE_IMAGES)
        json_put_raw(w, "modalities", STR("[\"image\",\"text\"]"));
    else
        ir_dropped_modes(notes, r);
}

static void put_rest(struct json_writer *w, const struct ir_request *r, struct ir_notes *notes)
{
    if (r->origin == WIRE_CHAT) {
        rest_put(w, r, "");
        return;
    }
    ir_changed_citations(notes, r);
    rest_note(r, WIRE_CHAT, notes);
}

int chat_write_request(const struct ir_request *r, const struct spoke_target *t, struct buf *out,
    struct ir_notes *notes, struct err *e)
{
    const struct spoke_quirks *q = t->quirks;
    struct json_writer w = json_writer(out);
    if (rest_check_state(r, "chat completions", e) < 0)
        return -ERR_UNSUPPORTED;
    json_object_begin(&w, NULL);
    json_put_str(&w, "model", t->model);
    chat_put_messages(&w, r, t, notes);
    size_t tools = put_tools(&w, r, q, notes);
    if (tools) {
        put_choice(&w, r, q);
        if (r->parallel != IR_UNSAID && !(q->bits & SPOKE_NO_PARALLEL))
            json_put_bool(&w, "parallel_tool_calls", r->parallel == IR_YES);
        else if (r->parallel == IR_NO)
            ir_dropped(notes, "parallel_tool_calls");
    }
    if (r->max_output)
        json_put_int(&w, q->bits & SPOKE_MAX_TOKENS && !refuses_sampling(t->model)
            ? "max_tokens" : "max_completion_tokens",
            r->max_output);
    put_sampling(&w, r, t, notes);
    put_stop(&w, r, t, notes);
    put_format(&w, r, q, notes);
    put_reasoning(&w, r, t, notes);
    put_modes(&w, r, q, notes);
    if (r->logprobs != IR_UNSAID)
        json_put_bool(&w, "logprobs", r->logprobs == IR_YES);
    ir_put_raw(&w, "top_logprobs", r->top_logprobs);
    if (q->bits & SPOKE_STRICT_FIELDS) {
        if (r->verbosity.p)
            ir_changed(notes, "verbosity");
    } else {
        ir_put_text(&w, "verbosity", r->verbosity);
        ir_put_text(&w, "service_tier", r->service_tier);
        ir_put_text(&w, "user", r->user);
        ir_put_raw(&w, "metadata", r->metadata);
        ir_put_text(&w, "prompt_cache_key", r->cache_key);
    }
    put_rest(&w, r, notes);
    if (t->stream) {
        json_put_bool(&w, "stream", true);
        if (t->ask_usage) {
            json_object_begin(&w, "stream_options");
            json_put_bool(&w, "include_usage", true);
            if (r->origin == WIRE_CHAT)
                rest_put(&w, r, "stream_options.");
            json_object_end(&w);
        }
    }
    json_object_end(&w);
    return out->err ? err_set(e, ERR_LIMIT, "the request is too large to be translated") : 0;
}
