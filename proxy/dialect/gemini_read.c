/* gemini_read.c: a generateContent request and its answer → the neutral form.
 *
 * Results of calls come in a user's turn here; they become messages of role tool, in place. Calls
 * and results without ids are paired by name and order, as Gemini itself does. Members of
 * generationConfig and toolConfig that have no neutral meaning are kept under their path
 * ("generationConfig.responseModalities"). */
#include "proxy/dialect/gemini.h"

enum { PENDING_LOOK = 64 }; /* unanswered calls looked through for one result */

struct pending {
    struct ir_part *call;
    struct pending *next;
};

struct reading {
    struct arena *a;
    struct ir_request *r;
    struct pending *pending, **pending_end;
    unsigned calls;
};

/* --- contents ------------------------------------------------------------------------------- */

static bool note_call(struct reading *g, struct ir_part *call)
{
    struct pending *p = arena_zalloc(g->a, sizeof *p);
    if (!p)
        return false;
    if (!call->id.p)
        call->id = arena_printf(g->a, GEMINI_INVENTED "%05u", g->calls);
    g->calls++;
    p->call = call;
    *g->pending_end = p;
    g->pending_end = &p->next;
    return call->id.p != NULL;
}

/* The first unanswered call with this id, or else of this name. */
static bool answer_call(struct reading *g, struct ir_part *result)
{
    struct pending **link = &g->pending;
    for (int look = 0; *link && look < PENDING_LOOK; look++, link = &(*link)->next) {
        struct ir_part *call = (*link)->call;
        if (result->id.p ? !str_eq(call->id, result->id) : !str_eq(call->name, result->name))
            continue;
        result->id = call->id;
        if (!(*link)->next)
            g->pending_end = link;
        *link = (*link)->next;
        return true;
    }
    if (!result->id.p)
        result->id = arena_printf(g->a, GEMINI_INVENTED "x%05u", g->calls++);
    return result->id.p != NULL;
}

static enum ir_role role_of(struct json_span role)
{
    if (json_text_eq(role, STR("model")))
        return IR_ASSISTANT;
    return json_text_eq(role, STR("system")) ? IR_SYSTEM : IR_USER;
}

static struct ir_message *message_for(struct reading *g, struct ir_message *now, enum ir_role role)
{
    return now && now->role == role ? now : ir_add_message(g->r, g->a, role);
}

static bool add_part(struct reading *g, struct ir_message **m, enum ir_role role,
    struct json_span raw)
{
    struct ir_part *p = gemini_read_part(raw, g->a);
    if (!p)
        return false;
    if (p->kind == IR_TEXT && !p->text.n && !p->signature.p)
        return true;
    if (p->kind == IR_CALL && !note_call(g, p))
        return false;
    if (p->kind == IR_RESULT && !answer_call(g, p))
        return false;
    if (!(*m = message_for(g, *m, p->kind == IR_RESULT ? IR_TOOL : role)))
        return false;
    ir_message_add(*m, p);
    return true;
}

/* `parts` is a list, or one part without its brackets. */
static bool read_parts(struct reading *g, struct json_span content, enum ir_role role)
{
    struct json_span parts = gemini_get(content.raw, "parts"), k, v;
    struct ir_message *m = NULL, *before = g->r->last_message;
    if (parts.type == JSON_OBJECT && !add_part(g, &m, role, parts))
        return false;
    struct json_iter it = json_iter(parts.raw);
    while (parts.type == JSON_ARRAY && json_next(&it, &k, &v))
        if (!add_part(g, &m, role, v))
            return false;
    for (m = before ? before->next : g->r->messages; m; m = m->next)
        if (m->role == IR_ASSISTANT && !gemini_join_parts(m->parts, &m->last, g->a))
            return false;
    return true;
}

static bool read_text_content(struct reading *g, struct json_span v, enum ir_role role)
{
    struct ir_message *m = ir_add_message(g->r, g->a, role);
    struct ir_part *p = m ? ir_add_part(m, g->a, IR_TEXT) : NULL;
    if (!p)
        return false;
    p->origin = WIRE_GENERATE;
    p->text = ir_text(v);
    return true;
}

static bool read_content(struct reading *g, struct json_span v, enum ir_role otherwise)
{
    if (v.type == JSON_STRING) /* the official client sends lists; others a text */
        return read_text_content(g, v, otherwise);
    struct json_span role = gemini_get(v.raw, "role");
    bool system = otherwise == IR_SYSTEM || role.type != JSON_STRING;
    if (gemini_get(v.raw, "parts").type == JSON_NONE && gemini_get(v.raw, "text").type != JSON_NONE) {
        struct ir_message *m = NULL; /* a part where a content belongs */
        return add_part(g, &m, otherwise, v);
    }
    return read_parts(g, v, system ? otherwise : role_of(role));
}

static bool read_contents(struct reading *g, struct json_span contents)
{
    struct json_iter it = json_iter(contents.raw);
    struct json_span k, v;
    if (contents.type != JSON_ARRAY)
        return contents.type == JSON_NONE || read_content(g, contents, IR_USER);
    while (json_next(&it, &k, &v))
        if (!read_content(g, v, IR_USER))
            return false;
    return true;
}

/* --- tools ---------------------------------------------------------------------------------- */

static bool read_declaration(struct reading *g, struct json_span d)
{
    struct ir_tool *t = ir_add_tool(g->r, g->a);
    if (!t)
        return false;
    t->raw = d.raw;
    t->name = ir_text(gemini_get(d.raw, "name"));
    t->description = ir_text(gemini_get(d.raw, "description"));
    struct str full = ir_raw(gemini_get(d.raw, "parametersJsonSchema"));
    struct str own = ir_raw(gemini_get(d.raw, "parameters"));
    t->schema = full.p ? full : gemini_schema_read(own, g->a);
    return t->schema.p || (!full.p && !own.p);
}

static bool read_own_tool(struct reading *g, struct json_span key, struct json_span v)
{
    struct ir_tool *t = ir_add_tool(g->r, g->a);
    if (!t)
        return false;
    t->type = ir_text(key);
    t->raw = arena_printf(g->a, "{" STR_FMT ":" STR_FMT "}", STR_ARG(key.raw), STR_ARG(v.raw));
    return t->raw.p != NULL;
}

static bool read_tool(struct reading *g, struct json_span tool)
{
    struct json_iter it = json_iter(tool.raw), list;
    struct json_span k, v, d;
    while (it.object && json_next(&it, &k, &v)) {
        if (v.type == JSON_NULL)
            continue;
        if (!gemini_key(k, "functionDeclarations")) {
            if (!read_own_tool(g, k, v))
                return false;
            continue;
        }
        list = json_iter(v.raw);
        while (!list.object && json_next(&list, &k, &d))
            if (!read_declaration(g, d))
                return false;
    }
    return true;
}

static bool read_tools(struct reading *g, struct json_span tools)
{
    struct json_iter it = json_iter(tools.raw);
    struct json_span k, v;
    if (tools.type == JSON_OBJECT)
        return read_tool(g, tools);
    while (!it.object && json_next(&it, &k, &v))
        if (!read_tool(g, v))
            return false;
    return true;
}

static bool read_allowed(struct reading *g, struct json_span names)
{
    struct ir_name **end = &g->r->tool_choice.only;
    struct json_iter it = json_iter(names.raw);
    struct json_span k, v;
    while (!it.object && json_next(&it, &k, &v)) {
        if (v.type != JSON_STRING)
            continue;
        if (!(*end = arena_zalloc(g->a, sizeof **end)))
            return false;
        (*end)->name = ir_text(v);
        end = &(*end)->next;
    }
    return true;
}

static bool keep(struct reading *g, const char *path, struct json_span key, struct json_span v)
{
    struct str name = arena_printf(g->a, "%s" STR_FMT, path, STR_ARG(ir_text(key)));
    return name.p && ir_add_rest(g->r, g->a, name, v.raw);
}

static bool read_calling(struct reading *g, struct json_span config)
{
    struct ir_request *r = g->r;
    struct json_span mode = gemini_get(config.raw, "mode");
    if (!read_allowed(g, gemini_get(config.raw, "allowedFunctionNames")))
        return false;
    struct json_iter it = json_iter(config.raw);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v))
        if (v.type != JSON_NULL && !gemini_key(k, "mode") && !gemini_key(k, "allowedFunctionNames") &&
            !keep(g, "toolConfig.functionCallingConfig.", k, v))
            return false;
    struct ir_name *only = r->tool_choice.only;
    if (json_text_eq(mode, STR("ANY")) || json_text_eq(mode, STR("any")))
        r->tool_choice.mode = only && !only->next ? IR_CHOICE_NAMED : IR_CHOICE_REQUIRED;
    else if (json_text_eq(mode, STR("NONE")) || json_text_eq(mode, STR("none")))
        r->tool_choice.mode = IR_CHOICE_NONE;
    else
        r->tool_choice.mode = IR_CHOICE_AUTO; /* VALIDATED: auto, with the schema checked */
    return true;
}

static bool read_tool_config(struct reading *g, struct json_span config)
{
    struct json_iter it = json_iter(config.raw);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) {
        if (v.type == JSON_NULL)
            continue;
        if (gemini_key(k, "functionCallingConfig") ? !read_calling(g, v)
                                                   : !keep(g, "toolConfig.", k, v))
            return false;
    }
    return true;
}

/* --- generationConfig ----------------------------------------------------------------------- */

static void read_thinking(struct ir_request *r, struct json_span config)
{
    static const struct {
        const char *level;
        enum ir_effort effort;
    } levels[] = {{"MINIMAL", IR_EFFORT_MINIMAL}, {"LOW", IR_EFFORT_LOW},
        {"MEDIUM", IR_EFFORT_MEDIUM}, {"HIGH", IR_EFFORT_HIGH}};
    struct json_span shown = gemini_get(config.raw, "includeThoughts");
    struct str level = ir_text(gemini_get(config.raw, "thinkingLevel"));
    int64_t budget;
    if (shown.type == JSON_TRUE || shown.type == JSON_FALSE)
        r->reasoning.shown = json_is_true(shown) ? IR_YES : IR_NO;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (str_eq_nocase(level, str_c(levels[i].level)))
            r->reasoning.effort = levels[i].effort;
    if (json_i64(gemini_get(config.raw, "thinkingBudget"), &budget) == 0)
        r->reasoning.budget = budget < 0 ? IR_BUDGET_DYNAMIC : budget;
}

static bool read_format(struct reading *g, struct json_span k, struct json_span v)
{
    struct ir_request *r = g->r;
    if (gemini_key(k, "responseMimeType")) {
        if (json_text_eq(v, STR("application/json")) && r->format.kind == IR_FORMAT_UNSAID)
            r->format.kind = IR_FORMAT_JSON;
        else if (json_text_eq(v, STR("text/plain")))
            r->format.kind = IR_FORMAT_TEXT;
        else if (!json_text_eq(v, STR("application/json")))
            return keep(g, "generationConfig.", k, v);
        return true;
    }
    r->format.kind = IR_FORMAT_SCHEMA;
    r->format.schema = gemini_key(k, "responseSchema") ? gemini_schema_read(v.raw, g->a) : v.raw;
    return r->format.schema.p != NULL;
}

static bool read_number(struct ir_request *r, struct json_span k, struct json_span v)
{
    const struct {
        const char *key;
        struct str *to;
    } numbers[] = {{"temperature", &r->temperature}, {"topP", &r->top_p}, {"topK", &r->top_k},
        {"seed", &r->seed}, {"presencePenalty", &r->presence_penalty},
        {"frequencyPenalty", &r->frequency_penalty}, {"logprobs", &r->top_logprobs}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (gemini_key(k, numbers[i].key)) {
            *numbers[i].to = v.raw;
            return true;
        }
    return false;
}

static bool read_generation(struct reading *g, struct json_span config)
{
    struct ir_request *r = g->r;
    struct json_iter it = json_iter(config.raw);
    struct json_span k, v;
    int64_t n;
    while (it.object && json_next(&it, &k, &v)) {
        if (v.type == JSON_NULL)
            continue;
        if (v.type == JSON_NUMBER && read_number(r, k, v))
            continue;
        if (gemini_key(k, "stopSequences"))
            r->stop = v.raw;
        else if (gemini_key(k, "maxOutputTokens") && json_i64(v, &n) == 0 && n > 0)
            r->max_output = n;
        else if (gemini_key(k, "candidateCount") && json_i64(v, &n) == 0 && n > 0)
            r->n = n;
        else if (gemini_key(k, "responseLogprobs"))
            r->logprobs = json_is_true(v) ? IR_YES : IR_NO;
        else if (gemini_key(k, "responseModalities")) {
            r->modes_raw = v.raw;
            r->modes = ir_modes_of(v);
        } else if (gemini_key(k, "thinkingConfig"))
            read_thinking(r, v);
        else if (gemini_key(k, "responseMimeType") || gemini_key(k, "responseSchema") ||
                 gemini_key(k, "responseJsonSchema")) {
            if (!read_format(g, k, v))
                return false;
        } else if (!keep(g, "generationConfig.", k, v))
            return false;
    }
    return true;
}

/* --- the request ---------------------------------------------------------------------------- */

static struct str tier_of(struct json_span v)
{
    struct str tier = ir_text(v);
    if (str_eq_nocase(tier, STR("standard")))
        return STR("default");
    if (str_eq_nocase(tier, STR("flex")))
        return STR("flex");
    return str_eq_nocase(tier, STR("priority")) ? STR("priority") : tier;
}

static bool read_member(struct reading *g, struct json_span k, struct json_span v)
{
    if (v.type == JSON_NULL || gemini_key(k, "contents") || gemini_key(k, "systemInstruction") ||
        gemini_key(k, "model"))
        return true;
    if (gemini_key(k, "tools"))
        return read_tools(g, v);
    if (gemini_key(k, "toolConfig"))
        return read_tool_config(g, v);
    if (gemini_key(k, "generationConfig"))
        return read_generation(g, v);
    if (gemini_key(k, "labels"))
        g->r->metadata = v.raw;
    else if (gemini_key(k, "serviceTier"))
        g->r->service_tier = tier_of(v);
    else
        return keep(g, "", k, v);
    return true;
}

int gemini_read_request(struct str body, struct arena *a, struct ir_request *out, struct err *e)
{
    struct reading g = {.a = a, .r = out};
    struct json_span k, v;
    *out = (struct ir_request){.origin = WIRE_GENERATE};
    out->reasoning.budget = IR_BUDGET_UNSAID;
    g.pending_end = &g.pending;
    struct json_iter it = json_iter(body);
    if (!it.object)
        return err_set(e, ERR_TYPE, "the body must be a JSON object with contents");
    struct json_span contents = gemini_get(body, "contents");
    struct json_span system = gemini_get(body, "systemInstruction");
    if (contents.type != JSON_ARRAY && contents.type != JSON_OBJECT && contents.type != JSON_STRING)
        return err_set(e, ERR_TYPE, "contents must be a list of {role, parts}");
    bool good = system.type == JSON_NONE || system.type == JSON_NULL ||
                read_content(&g, system, IR_SYSTEM);
    good = good && read_contents(&g, contents);
    while (good && json_next(&it, &k, &v))
        good = read_member(&g, k, v);
    good = good && ir_tell_calls_apart(out, a);
    return good ? 0 : err_set(e, ERR_NOMEM, "the request is too large to translate");
}

/* --- the answer ----------------------------------------------------------------------------- */

static bool read_answer_parts(struct ir_answer *out, struct ir_choice *c, struct json_span content,
    struct arena *a)
{
    struct json_iter it = json_iter(gemini_get(content.raw, "parts").raw);
    struct json_span k, v;
    unsigned calls = 0;
    while (!it.object && json_next(&it, &k, &v)) {
        struct ir_part *p = gemini_read_part(v, a);
        if (!p)
            return false;
        if (p->kind == IR_TEXT && !p->text.n && !p->signature.p)
            continue;
        if (p->kind == IR_CALL && !p->id.p) {
            p->id = gemini_invent_id(a, out->id, str_hash(p->name), c->index << 8 | calls);
            if (!p->id.p)
                return false;
        }
        calls += p->kind == IR_CALL;
        ir_choice_add(c, p);
    }
    c->finish = calls ? IR_FINISH_TOOLS : IR_FINISH_STOP;
    return gemini_join_parts(c->parts, &c->last, a);
}

/* They are of the last text. */
static bool read_sources(struct ir_choice *c, struct json_span candidate, struct arena *a)
{
    struct places said = {0};
    struct ir_part *text = NULL;
    struct gemini_sources from = {.grounding = gemini_get(candidate.raw, "groundingMetadata"),
        .citations = gemini_get(candidate.raw, "citationMetadata"),
        .parts = gemini_get(gemini_get(candidate.raw, "content").raw, "parts"), .said = &said};
    for (struct ir_part *p = c->parts; p; p = p->next)
        if (p->kind == IR_TEXT) {
            places_add(&said, p->text);
            text = p;
        }
    bool good = !text || gemini_read_sources(&from, a, &text->citations);
    places_fini(&said);
    return good;
}

static bool read_candidate(struct ir_answer *out, struct json_span candidate, struct arena *a)
{
    struct ir_choice *c = ir_add_choice(out, a);
    int64_t index;
    if (!c || !read_answer_parts(out, c, gemini_get(candidate.raw, "content"), a))
        return false;
    if (json_i64(gemini_get(candidate.raw, "index"), &index) == 0 && index >= 0 && index < 1024)
        c->index = (unsigned)index;
    c->finish_native = ir_text(gemini_get(candidate.raw, "finishReason"));
    c->finish = gemini_finish(c->finish_native, c->finish == IR_FINISH_TOOLS);
    c->logprobs = gemini_read_logprobs(gemini_get(candidate.raw, "logprobsResult"), a);
    return read_sources(c, candidate, a);
}

static bool read_blocked(struct ir_answer *out, struct json_span feedback, struct arena *a)
{
    struct ir_choice *c = ir_add_choice(out, a);
    if (!c)
        return false;
    c->finish_native = ir_text(gemini_get(feedback.raw, "blockReason"));
    c->finish = IR_FINISH_FILTER;
    return true;
}

int gemini_read_answer(struct str body, const struct spoke_quirks *q, struct arena *a,
    struct ir_answer *out, struct err *e)
{
    struct json_iter it = json_iter(gemini_get(body, "candidates").raw);
    struct json_span k, v, usage = gemini_get(body, "usageMetadata");
    bool good = true;
    *out = (struct ir_answer){.origin = WIRE_GENERATE};
    out->id = ir_text(gemini_get(body, "responseId"));
    out->model = ir_text(gemini_get(body, "modelVersion"));
    while (good && !it.object && json_next(&it, &k, &v))
        good = read_candidate(out, v, a);
    if (good && !out->choices) {
        struct json_span feedback = gemini_get(body, "promptFeedback");
        if (feedback.type != JSON_OBJECT)
            return err_set(e, ERR_TYPE, "the provider's answer has no candidates");
        good = read_blocked(out, feedback, a);
    }
    if (usage.type == JSON_OBJECT)
        out->usage.have_usage = usage_object(usage.raw, q->usage, &out->usage);
    out->service_tier = tier_of(gemini_get(usage.raw, "serviceTier"));
    return good ? 0 : err_set(e, ERR_NOMEM, "the answer is too large to translate");
}
