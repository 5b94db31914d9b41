/* anthropic_write.c: the neutral form → a Messages request, within what the API refuses: thinking
 * beside a forced tool or a temperature, members that it does not know. */
#include "proxy/dialect/anthropic.h"
#include "proxy/dialect/rest.h"

#include <stdlib.h>

/* --- thinking --------------------------------------------------------------------------------- */

enum thinks { THINKS_NOT, THINKS_BUDGET, THINKS_ADAPTIVE };

static int64_t number_at(struct str s, size_t at)
{
    size_t n = 0;
    int64_t v = 0;
    while (at + n < s.n && n < 2 && s.p[at + n] >= '0' && s.p[at + n] <= '9')
        v = v * 10 + (s.p[at + n++] - '0');
    if (n == 0 || (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9'))
        return -1; /* none, or a date */
    return v;
}

/* By the model's name: "claude-opus-4-6-20260204", "claude-3-5-haiku". False: another house's. */
struct version {
    bool claude, opus;
    int64_t major, minor; /* major -1: in a form that we don't know */
};

static struct version version_of(struct str model)
{
    ptrdiff_t at = str_find(model, STR("claude-"));
    struct version v = {.claude = at >= 0, .major = -1};
    if (at < 0)
        return v;
    struct str rest = str_from(model, (size_t)at + 7);
    v.opus = str_find(rest, STR("opus")) >= 0;
    v.major = number_at(rest, 0);
    if (v.major < 0) { /* the family comes first */
        ptrdiff_t dash = str_chr(rest, '-');
        if (dash < 0)
            return v;
        rest = str_from(rest, (size_t)dash + 1);
        v.major = number_at(rest, 0);
    }
    ptrdiff_t dash = str_chr(rest, '-');
    if (dash > 0)
        v.minor = MAX(number_at(rest, (size_t)dash + 1), 0);
    return v;
}

/* Other houses' models that speak this dialect take a budget. */
static enum thinks thinks(struct str model)
{
    struct version v = version_of(model);
    if (!v.claude || v.major < 0)
        return THINKS_BUDGET;
    if (v.major < 3 || (v.major == 3 && v.minor < 7))
        return THINKS_NOT;
    return v.major >= 5 || (v.major == 4 && v.minor >= 6) ? THINKS_ADAPTIVE : THINKS_BUDGET;
}

/* Structured output of its own came with opus 4.1 and sonnet and haiku 4.5. */
static bool takes_schema(struct str model)
{
    struct version v = version_of(model);
    if (!v.claude || v.major < 0)
        return v.claude;
    return v.major >= 5 || (v.major == 4 && v.minor >= (v.opus ? 1 : 5));
}

/* Is a schema asked for by a tool? Not where the client names the tool itself, nor for a schema that
 * no object has. */
static bool schema_by_tool(const struct ir_request *r, const struct spoke_target *t)
{
    struct str type = ir_text(json_get(r->format.schema, STR("type")));
    return r->format.kind == IR_FORMAT_SCHEMA && r->origin != WIRE_MESSAGES &&
           !takes_schema(t->model) && r->tool_choice.mode != IR_CHOICE_NAMED &&
           (!type.p || ir_is(type, "object"));
}

static struct str schema_name(const struct ir_request *r)
{
    return r->format.name.n ? r->format.name : STR("answer");
}

/* In the middle of a tool turn thinking may not be switched on: the API wants the thoughts that led
 * to the calls, and those were another model's. */
static bool turn_without_thoughts(const struct ir_request *r)
{
    bool called = false, thought = false;
    const struct ir_message *last = r->last_message;
    if (!last || last->role != IR_TOOL)
        return false;
    for (const struct ir_message *m = r->messages; m; m = m->next) {
        if (m->role == IR_USER)
            called = thought = false;
        for (const struct ir_part *p = m->role == IR_ASSISTANT ? m->parts : NULL; p; p = p->next) {
            called |= p->kind == IR_CALL;
            thought |= (p->kind == IR_REASONING || p->kind == IR_REDACTED) &&
                       p->origin == WIRE_MESSAGES && p->signature.n;
        }
    }
    return called && !thought;
}

/* Shall it think? What hinders is noted. */
static bool may_think(const struct ir_request *r, const struct spoke_target *t,
    struct ir_notes *notes)
{
    enum ir_effort effort = r->reasoning.effort;
    bool asked = effort > IR_EFFORT_NONE || r->reasoning.adaptive || r->reasoning.budget > 0 ||
                 r->reasoning.budget == IR_BUDGET_DYNAMIC;
    if (r->reasoning.budget == 0)
        asked = false;
    if (!asked)
        return false;
    bool forced = r->tool_choice.mode == IR_CHOICE_REQUIRED ||
                  r->tool_choice.mode == IR_CHOICE_NAMED || schema_by_tool(r, t);
    if (forced || thinks(t->model) == THINKS_NOT || turn_without_thoughts(r)) {
        ir_changed(notes, "reasoning_effort");
        return false;
    }
    return true;
}

static int64_t max_output(const struct ir_request *r, const struct spoke_target *t)
{
    int64_t otherwise = t->max_output > 0 ? t->max_output : 4096;
    return r->max_output > 0 ? r->max_output : otherwise;
}

static int64_t budget_for(const struct ir_request *r, int64_t max)
{
    int64_t budget = r->reasoning.budget > 0 ? r->reasoning.budget
        : ir_budget_of(r->reasoning.effort ? r->reasoning.effort : IR_EFFORT_MEDIUM, max);
    return MAX(1024, MIN(budget, max - 1));
}

/* Returns the maximum of output that goes with it: a budget lies below it. */
static int64_t put_thinking(struct json_writer *w, const struct ir_request *r,
    const struct spoke_target *t)
{
    int64_t max = max_output(r, t);
    enum thinks kind = thinks(t->model);
    if (r->reasoning.adaptive && r->origin == WIRE_MESSAGES)
        kind = THINKS_ADAPTIVE;
    else if (r->reasoning.budget > 0 && r->origin == WIRE_MESSAGES)
        kind = THINKS_BUDGET;
    if (kind == THINKS_BUDGET && max <= 1024)
        max = 2048;
    json_object_begin(w, "thinking");
    json_put_c(w, "type", kind == THINKS_ADAPTIVE ? "adaptive" : "enabled");
    if (kind == THINKS_BUDGET)
        json_put_int(w, "budget_tokens", budget_for(r, max));
    if (r->reasoning.shown != IR_UNSAID)
        json_put_c(w, "display", r->reasoning.shown == IR_NO ? "omitted" : "summarized");
    json_object_end(w);
    return max;
}

/* "low" … "max": only newer models know the member. */
static const char *effort_name(const struct ir_request *r, const struct spoke_target *t)
{
    enum ir_effort e = r->reasoning.effort;
    if (e <= IR_EFFORT_NONE || (thinks(t->model) != THINKS_ADAPTIVE && r->origin != WIRE_MESSAGES))
        return NULL;
    return ir_effort_name(MAX(e, IR_EFFORT_LOW));
}

/* --- tools ------------------------------------------------------------------------------------ */

static void put_schema(struct json_writer *w, struct str schema)
{
    if (!schema.p) {
        json_put_raw(w, "input_schema", STR("{\"type\":\"object\"}"));
    } else if (json_get(schema, STR("type")).type != JSON_NONE) {
        json_put_raw(w, "input_schema", schema);
    } else { /* the API insists on it */
        bool empty = json_count(json_value(schema)) == 0;
        json_put_raw(w, "input_schema", STR("{\"type\":\"object\""));
        buf_puts(w->out, empty ? "" : ",");
        buf_put_str(w->out, str_from(schema, (size_t)str_chr(schema, '{') + 1));
    }
}

/* The tool whose call is the answer: see unwrap.h. */
static void put_schema_tool(struct json_writer *w, const struct ir_request *r)
{
    json_object_begin(w, NULL);
    ir_put_text(w, "name", schema_name(r));
    ir_put_text(w, "description", r->format.description.n ? r->format.description
        : STR("Gives the answer: call it once, with the whole answer as its input."));
    put_schema(w, r->format.schema);
    json_object_end(w);
}

static size_t put_tools(struct json_writer *w, const struct ir_request *r, bool schema,
    struct ir_notes *notes)
{
    size_t n = 0;
    for (const struct ir_tool *t = r->tools; t; t = t->next) {
        if (ir_leaves_out(t, WIRE_MESSAGES, notes) || !ir_may_be_called(r, t->name))
            continue;
        if (n++ == 0)
            json_array_begin(w, "tools");
        if (!t->name.p || r->origin == WIRE_MESSAGES) {
            json_put_raw(w, NULL, t->raw);
            continue;
        }
        json_object_begin(w, NULL);
        ir_put_text(w, "name", t->name);
        ir_put_text(w, "description", t->description);
        put_schema(w, t->schema);
        if (t->strict == IR_YES)
            json_put_bool(w, "strict", true);
        ir_put_raw(w, "cache_control", t->cache);
        json_object_end(w);
    }
    if (schema && n++ == 0)
        json_array_begin(w, "tools");
    if (schema)
        put_schema_tool(w, r);
    if (n)
        json_array_end(w);
    return n;
}

/* One of the tools must be called, and the answer is one of them. */
static void put_schema_choice(struct json_writer *w, const struct ir_request *r, bool alone)
{
    json_object_begin(w, "tool_choice");
    json_put_c(w, "type", alone ? "tool" : "any");
    if (alone)
        ir_put_text(w, "name", schema_name(r));
    if (alone || r->parallel == IR_NO)
        json_put_bool(w, "disable_parallel_tool_use", true);
    json_object_end(w);
}

static void put_choice(struct json_writer *w, const struct ir_request *r)
{
    static const char *const names[] = {"auto", "auto", "none", "any", "tool"};
    if (r->tool_choice.mode == IR_CHOICE_UNSAID && r->parallel != IR_NO)
        return;
    json_object_begin(w, "tool_choice");
    json_put_c(w, "type", names[r->tool_choice.mode]);
    if (r->tool_choice.mode == IR_CHOICE_NAMED)
        ir_put_text(w, "name", r->tool_choice.only->name);
    if (r->parallel == IR_NO && r->tool_choice.mode != IR_CHOICE_NONE)
        json_put_bool(w, "disable_parallel_tool_use", true);
    json_object_end(w);
}

/* --- settings --------------------------------------------------------------------------------- */

/* The API refuses one that is blank. */
static void put_stop(struct json_writer *w, const struct ir_request *r, struct ir_notes *notes)
{
    struct json_iter it = json_iter(r->stop);
    struct json_span key, v;
    size_t n = 0;
    if (r->origin == WIRE_MESSAGES) {
        ir_put_raw(w, "stop_sequences", r->stop);
        return;
    }
    while (r->stop.p && json_next(&it, &key, &v)) {
        if (v.type != JSON_STRING || messages_is_blank(ir_text(v))) {
            ir_dropped(notes, "stop (blank)");
            continue;
        }
        if (n++ == 0)
            json_array_begin(w, "stop_sequences");
        json_put_raw(w, NULL, v.raw);
    }
    if (n)
        json_array_end(w);
}

static void put_sampling(struct json_writer *w, const struct ir_request *r, bool thinking,
    struct ir_notes *notes)
{
    char text[40];
    str_copy(text, sizeof text, r->temperature);
    double t = strtod(text, NULL);
    if (r->temperature.p && thinking && t != 1)
        ir_changed(notes, "temperature");
    else if (r->temperature.p && t > 1) {
        json_put_raw(w, "temperature", STR("1"));
        ir_changed(notes, "temperature");
    } else {
        ir_put_raw(w, "temperature", r->temperature);
    }
    /* both together are refused by newer models: the temperature wins */
    if (r->top_p.p && (thinking || (r->temperature.p && r->origin != WIRE_MESSAGES)))
        ir_changed(notes, "top_p");
    else
        ir_put_raw(w, "top_p", r->top_p);
    if (r->top_k.p && thinking)
        ir_changed(notes, "top_k");
    else
        ir_put_raw(w, "top_k", r->top_k);
    put_stop(w, r, notes);
}

static void note_missing(const struct ir_request *r, struct ir_notes *notes)
{
    if (r->n > 1)
        ir_dropped(notes, "n");
    if (r->logprobs == IR_YES)
        ir_dropped(notes, "logprobs");
    if (r->seed.p)
        ir_dropped(notes, "seed");
    if (r->frequency_penalty.p && !str_eq(r->frequency_penalty, STR("0")))
        ir_dropped(notes, "frequency_penalty");
    if (r->presence_penalty.p && !str_eq(r->presence_penalty, STR("0")))
        ir_dropped(notes, "presence_penalty");
    ir_dropped_modes(notes, r);
    if (r->verbosity.p)
        ir_changed(notes, "verbosity");
    if (r->cache_key.p)
        ir_changed(notes, "prompt_cache_key");
    if (r->metadata.p && r->origin != WIRE_MESSAGES)
        ir_changed(notes, "metadata");
}

static void put_tier(struct json_writer *w, struct str tier, struct ir_notes *notes)
{
    if (ir_is(tier, "auto"))
        json_put_c(w, "service_tier", "auto");
    else if (ir_is(tier, "default"))
        json_put_c(w, "service_tier", "standard_only");
    else if (tier.p)
        ir_dropped(notes, "service_tier");
}

static void put_output(struct json_writer *w, const struct ir_request *r, const char *effort,
    bool schema)
{
    bool rest = r->origin == WIRE_MESSAGES && rest_has(r, "output_config.");
    if (!effort && !schema && !rest)
        return;
    json_object_begin(w, "output_config");
    if (rest)
        rest_put(w, r, "output_config.");
    if (effort)
        json_put_c(w, "effort", effort);
    if (schema) {
        json_object_begin(w, "format");
        json_put_c(w, "type", "json_schema");
        ir_put_raw(w, "schema", r->format.schema.p ? r->format.schema : STR("{}"));
        json_object_end(w);
    }
    json_object_end(w);
}

static void put_rest(struct json_writer *w, const struct ir_request *r, struct ir_notes *notes)
{
    if (r->origin == WIRE_MESSAGES) {
        rest_put(w, r, "");
        return;
    }
    ir_changed_citations(notes, r);
    rest_note(r, WIRE_MESSAGES, notes);
}

int messages_write_request(const struct ir_request *r, const struct spoke_target *t,
    struct buf *out, struct ir_notes *notes, struct err *e)
{
    struct json_writer w = json_writer(out);
    if (r->origin != WIRE_MESSAGES && rest_check_state(r, "Anthropic", e) < 0)
        return -ERR_UNSUPPORTED;
    bool thinking = may_think(r, t, notes), by_tool = schema_by_tool(r, t);
    json_object_begin(&w, NULL);
    json_put_str(&w, "model", t->model);
    json_put_int(&w, "max_tokens", thinking ? put_thinking(&w, r, t) : max_output(r, t));
    if (!thinking && r->reasoning.budget == 0 && r->origin == WIRE_MESSAGES)
        json_put_raw(&w, "thinking", STR("{\"type\":\"disabled\"}"));
    messages_put_system(&w, r, r->format.kind == IR_FORMAT_JSON
        ? STR("Answer with one JSON object and nothing else.") : STR_NULL, notes);
    messages_put_turns(&w, r, thinking || !turn_without_thoughts(r), notes);
    size_t tools = put_tools(&w, r, by_tool, notes);
    if (by_tool)
        put_schema_choice(&w, r, tools == 1 || r->tool_choice.mode == IR_CHOICE_NONE);
    else if (tools)
        put_choice(&w, r);
    if (by_tool && notes)
        notes->schema_tool = schema_name(r);
    put_sampling(&w, r, thinking, notes);
    put_output(&w, r, effort_name(r, t), r->format.kind == IR_FORMAT_SCHEMA && !by_tool);
    if (r->user.p) {
        json_object_begin(&w, "metadata");
        ir_put_text(&w, "user_id", r->user);
        json_object_end(&w);
    }
    put_tier(&w, r->service_tier, notes);
    note_missing(r, notes);
    put_rest(&w, r, notes);
    if (t->stream)
        json_put_bool(&w, "stream", true);
    json_object_end(&w);
    return out->err ? err_set(e, ERR_LIMIT, "the request is too large to be translated") : 0;
}
