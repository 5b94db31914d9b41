/* gemini_write.c: the neutral form → a generateContent request, and an answer in Gemini's shape.
 *
 * Results of one turn go into one content, in the order of their calls: Gemini pairs them by name
 * and order where calls have no ids. The model's family decides how thinking is asked for: from
 * gemini-3 on by level, before by a budget, before 2.5 not at all. */
#include "proxy/dialect/gemini.h"
#include "proxy/dialect/rest.h"

struct writing {
    const struct ir_request *r;
    const struct spoke_target *t;
    struct json_writer w;
    struct arena a;           /* for results that are looked into */
    struct ir_notes *notes;
    struct err *e;
    unsigned version;         /* 3 for "gemini-3-pro"; 0: another name */
    bool thinks;              /* takes a thinkingConfig */
    bool own;                 /* the client speaks Gemini */
    int rc;
};

/* What Gemini accepts in place of a signature that was lost on the way or made by another model. */
#define NO_SIGNATURE STR("skip_thought_signature_validator")

static unsigned version_of(struct str model, bool *thinks)
{
    ptrdiff_t at = str_find(model, STR("gemini-"));
    struct str rest = str_from(model, at < 0 ? model.n : (size_t)at + 7);
    unsigned version = 0;
    for (size_t i = 0; i < rest.n && i < 3 && rest.p[i] >= '0' && rest.p[i] <= '9'; i++)
        version = version * 10 + (unsigned)(rest.p[i] - '0');
    *thinks = version > 2 || str_starts(rest, STR("2.5")) || (at >= 0 && version == 0);
    return version;
}

/* --- parts ---------------------------------------------------------------------------------- */

static const char *mime_of_url(struct str url)
{
    static const char *const known[][2] = {{".png", "image/png"}, {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"}, {".webp", "image/webp"}, {".gif", "image/gif"},
        {".pdf", "application/pdf"}, {".mp3", "audio/mp3"}, {".wav", "audio/wav"},
        {".mp4", "video/mp4"}, {".txt", "text/plain"}};
    ptrdiff_t query = str_chr(url, '?');
    struct str path = query < 0 ? url : str_first(url, (size_t)query);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct str end = str_c(known[i][0]);
        if (path.n > end.n && str_eq_nocase(str_from(path, path.n - end.n), end))
            return known[i][1];
    }
    return NULL;
}

static void put_media_part(struct writing *g, const struct ir_part *p)
{
    struct ir_part filled = *p;
    struct ir_media *m = &filled.media;
    if (m->to_be_cited)
        ir_dropped(g->notes, "document.citations");
    const char *mime = m->mime.p || m->data.p ? NULL : mime_of_url(m->url);
    if (mime)
        m->mime = str_c(mime);
    gemini_put_part(&g->w, &filled, g->notes);
}

/* From gemini-3 on the first call of a turn must have a signature. One that went to a client of
 * another dialect comes back as reasoning that nobody can read, before its call. */
static void put_call_part(struct writing *g, const struct ir_part *p, struct str kept, bool first)
{
    struct ir_part signed_one = *p;
    if (kept.p)
        signed_one.signature = kept;
    else if (p->origin != WIRE_GENERATE || !p->signature.p)
        signed_one.signature = first && g->version >= 3 ? NO_SIGNATURE : STR_NULL;
    signed_one.origin = WIRE_GENERATE;
    gemini_put_part(&g->w, &signed_one, g->notes);
}

static void put_parts(struct writing *g, const struct ir_part *p)
{
    bool first_call = true;
    struct str kept = STR_NULL;
    for (; p; p = p->next) {
        if (p->kind == IR_CALL) {
            put_call_part(g, p, kept, first_call);
            first_call = false;
            kept = STR_NULL;
        } else if (p->kind == IR_REDACTED) {
            if (p->origin != WIRE_GENERATE)
                ir_changed(g->notes, "reasoning");
            kept = p->origin == WIRE_GENERATE && p->signature.n ? p->signature : kept;
        } else if (p->kind == IR_MEDIA) {
            put_media_part(g, p);
        } else if (p->kind == IR_REASONING) {
            if (p->origin == WIRE_GENERATE)
                gemini_put_part(&g->w, p, g->notes);
            else /* Gemini can't check it */
                ir_changed(g->notes, "reasoning");
        } else if (p->kind != IR_TEXT || p->text.n || p->signature.p) {
            gemini_put_part(&g->w, p, g->notes);
        }
        if (p->cache.p)
            ir_changed(g->notes, "cache_control");
    }
}

/* --- results -------------------------------------------------------------------------------- */

static struct str joined_text(struct writing *g, const struct ir_part *p)
{
    struct buf b;
    struct str all = STR("");
    unsigned texts = 0;
    for (const struct ir_part *q = p; q; q = q->next)
        if (q->kind == IR_TEXT && ++texts == 1)
            all = q->text;
    if (texts <= 1)
        return all;
    buf_init(&b, BUF_NO_LIMIT);
    for (const struct ir_part *q = p; q; q = q->next)
        if (q->kind == IR_TEXT) {
            buf_puts(&b, b.n ? "\\n" : "");
            buf_put_str(&b, q->text);
        }
    all = arena_str(&g->a, buf_str(&b));
    buf_fini(&b);
    return all;
}

/* An object stays one; a text is wrapped as Gemini's documentation says. */
static void put_response(struct writing *g, const struct ir_part *result)
{
    struct str text = joined_text(g, result->content);
    struct str object = STR_NULL;
    if (!result->is_error && text.n && (text.p[0] == '{' || text.p[0] == ' ' || text.p[0] == '\\'))
        object = ir_object_of(text, &g->a);
    if (object.p) {
        json_put_raw(&g->w, "response", object);
        return;
    }
    json_object_begin(&g->w, "response");
    ir_put_text(&g->w, result->is_error ? "error" : "result", text.p ? text : STR(""));
    json_object_end(&g->w);
}

static void put_media_of(struct writing *g, const struct ir_part *result)
{
    for (const struct ir_part *p = result->content; p; p = p->next) {
        if (p->kind == IR_MEDIA)
            put_media_part(g, p);
        else if (p->kind == IR_OPAQUE)
            gemini_put_part(&g->w, p, g->notes);
    }
}

static bool has_media(const struct ir_part *result)
{
    for (const struct ir_part *p = result->content; p; p = p->next)
        if (p->kind == IR_MEDIA || (p->kind == IR_OPAQUE && p->origin == WIRE_GENERATE))
            return true;
    return false;
}

static void put_result(struct writing *g, const struct ir_part *result)
{
    struct str name = result->name.p ? result->name : ir_name_of_call(g->r, result->id);
    if (!name.p) {
        char id[64];
        str_copy(id, sizeof id, result->id);
        g->rc = err_set(g->e, ERR_UNSUPPORTED,
            "a tool result answers call \"%s\", which no message before it made: Gemini needs the "
            "function's name", id);
        return;
    }
    if (g->own && result->origin == WIRE_GENERATE && result->raw.p) {
        json_put_raw(&g->w, NULL, result->raw);
        return;
    }
    json_object_begin(&g->w, NULL);
    json_object_begin(&g->w, "functionResponse");
    if (!str_starts(result->id, STR(GEMINI_INVENTED)))
        ir_put_text(&g->w, "id", result->id);
    ir_put_text(&g->w, "name", name);
    put_response(g, result);
    if (g->version >= 3 && has_media(result)) {
        json_array_begin(&g->w, "parts");
        put_media_of(g, result);
        json_array_end(&g->w);
    }
    json_object_end(&g->w);
    json_object_end(&g->w);
}

/* --- contents ------------------------------------------------------------------------------- */

static bool is_system(const struct ir_message *m)
{
    return m->role == IR_SYSTEM || m->role == IR_DEVELOPER;
}

static const struct ir_part *answers(const struct ir_message *m, const struct ir_message *end,
    struct str id)
{
    for (; m != end; m = m->next)
        for (const struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind == IR_RESULT && str_eq(p->id, id))
                return p;
    return NULL;
}

static bool is_answer_to(const struct ir_part *result, const struct ir_message *calls)
{
    for (const struct ir_part *p = calls ? calls->parts : NULL; p; p = p->next)
        if (p->kind == IR_CALL && str_eq(p->id, result->id))
            return true;
    return false;
}

/* Messages of role tool from `m` to `end`: one content, results in the order of `calls`. */
static void put_results(struct writing *g, const struct ir_message *calls,
    const struct ir_message *m, const struct ir_message *end)
{
    const struct ir_part *result;
    json_object_begin(&g->w, NULL);
    json_put_c(&g->w, "role", "user");
    json_array_begin(&g->w, "parts");
    for (const struct ir_part *p = calls ? calls->parts : NULL; p; p = p->next)
        if (p->kind == IR_CALL && (result = answers(m, end, p->id)))
            put_result(g, result);
    for (const struct ir_message *at = m; at != end; at = at->next)
        for (const struct ir_part *p = at->parts; p; p = p->next)
            if (p->kind == IR_RESULT ? !is_answer_to(p, calls) : false)
                put_result(g, p);
    for (const struct ir_message *at = m; g->version < 3 && !g->own && at != end; at = at->next)
        for (const struct ir_part *p = at->parts; p; p = p->next)
            if (p->kind == IR_RESULT)
                put_media_of(g, p); /* older models take media beside the results only */
    json_array_end(&g->w);
    json_object_end(&g->w);
}

static bool says_nothing(const struct ir_message *m)
{
    for (const struct ir_part *p = m->parts; p; p = p->next) {
        bool thought = p->kind == IR_REASONING || p->kind == IR_OPAQUE;
        bool text = p->kind == IR_TEXT || p->kind == IR_REFUSAL || p->kind == IR_REDACTED;
        if (thought ? p->origin == WIRE_GENERATE : !text || p->text.n ||
            (p->signature.p && p->kind == IR_TEXT))
            return false;
    }
    return true;
}

static void put_content(struct writing *g, const struct ir_message *m)
{
    if (says_nothing(m)) {
        for (const struct ir_part *p = m->parts; p; p = p->next)
            if (p->kind == IR_OPAQUE)
                ir_dropped_opaque(g->notes, p->raw);
            else if (p->kind == IR_REASONING || p->kind == IR_REDACTED)
                ir_changed(g->notes, "reasoning");
        return;
    }
    json_object_begin(&g->w, NULL);
    json_put_c(&g->w, "role", m->role == IR_ASSISTANT ? "model" : "user");
    json_array_begin(&g->w, "parts");
    put_parts(g, m->parts);
    json_array_end(&g->w);
    json_object_end(&g->w);
}

static void put_contents(struct writing *g, bool only_system)
{
    const struct ir_message *calls = NULL, *end;
    bool begun = false;
    json_array_begin(&g->w, "contents");
    for (const struct ir_message *m = g->r->messages; m; m = m->next) {
        if (is_system(m) && !only_system) {
            if (begun)
                ir_changed(g->notes, "messages.system.position");
            continue;
        }
        begun = true;
        if (m->role != IR_TOOL) {
            put_content(g, m);
            calls = m->role == IR_ASSISTANT ? m : calls;
            continue;
        }
        for (end = m->next; end && end->role == IR_TOOL; end = end->next)
            ;
        put_results(g, calls, m, end);
        while (m->next != end)
            m = m->next;
    }
    json_array_end(&g->w);
}

/* Without anything else the system's words are what is asked: contents must not be empty. */
static bool put_system(struct writing *g)
{
    bool any = false, others = false;
    for (const struct ir_message *m = g->r->messages; m; m = m->next) {
        any |= is_system(m) && !says_nothing(m);
        others |= !is_system(m);
    }
    if (!any || !others)
        return any;
    json_object_begin(&g->w, "systemInstruction");
    json_array_begin(&g->w, "parts");
    for (const struct ir_message *m = g->r->messages; m; m = m->next)
        if (is_system(m))
            put_parts(g, m->parts);
    json_array_end(&g->w);
    json_object_end(&g->w);
    return false;
}

/* --- tools ---------------------------------------------------------------------------------- */

static void put_declaration(struct writing *g, const struct ir_tool *t)
{
    struct json_span properties = json_get(t->schema, STR("properties"));
    bool bare = t->schema.p && json_count(json_value(t->schema)) <= 2 && json_count(properties) == 0;
    if (t->origin == WIRE_GENERATE && t->raw.p) {
        json_put_raw(&g->w, NULL, t->raw);
        return;
    }
    json_object_begin(&g->w, NULL);
    ir_put_text(&g->w, "name", t->name);
    ir_put_text(&g->w, "description", t->description);
    if (t->schema.p && !bare)
        json_put_raw(&g->w, gemini_schema_fits(t->schema) ? "parameters" : "parametersJsonSchema",
            t->schema);
    json_object_end(&g->w);
    if (t->cache.p)
        ir_changed(g->notes, "cache_control");
}

static void put_tools(struct writing *g)
{
    unsigned functions = 0;
    if (!g->r->tools)
        return;
    for (const struct ir_tool *t = g->r->tools; t; t = t->next)
        functions += t->name.p != NULL;
    json_array_begin(&g->w, "tools");
    if (functions) {
        json_object_begin(&g->w, NULL);
        json_array_begin(&g->w, "functionDeclarations");
        for (const struct ir_tool *t = g->r->tools; t; t = t->next)
            if (t->name.p)
                put_declaration(g, t);
        json_array_end(&g->w);
        json_object_end(&g->w);
    }
    for (const struct ir_tool *t = g->r->tools; t; t = t->next) {
        if (!t->name.p && !ir_leaves_out(t, WIRE_GENERATE, g->notes))
            json_put_raw(&g->w, NULL, t->raw);
    }
    json_array_end(&g->w);
}

static void put_rest(struct writing *g, const char *under)
{
    if (g->own)
        rest_put(&g->w, g->r, under);
}

static void put_calling(struct writing *g)
{
    const struct ir_request *r = g->r;
    const char *mode = "AUTO";
    if (r->tool_choice.mode == IR_CHOICE_UNSAID || !r->tools)
        return;
    if (r->tool_choice.mode == IR_CHOICE_NONE)
        mode = "NONE";
    else if (r->tool_choice.mode != IR_CHOICE_AUTO)
        mode = "ANY";
    else if (r->tool_choice.only)
        mode = "VALIDATED"; /* AUTO takes no list of names */
    json_object_begin(&g->w, "functionCallingConfig");
    json_put_c(&g->w, "mode", mode);
    if (r->tool_choice.only && r->tool_choice.mode != IR_CHOICE_NONE) {
        json_array_begin(&g->w, "allowedFunctionNames");
        for (const struct ir_name *n = r->tool_choice.only; n; n = n->next)
            ir_put_text(&g->w, NULL, n->name);
        json_array_end(&g->w);
    }
    put_rest(g, "toolConfig.functionCallingConfig.");
    json_object_end(&g->w);
}

static void put_tool_config(struct writing *g)
{
    bool rest = false;
    for (const struct ir_member *m = g->r->rest; g->own && m; m = m->next)
        rest |= str_starts(m->key, STR("toolConfig."));
    if (g->r->parallel == IR_NO && g->r->tools)
        ir_dropped(g->notes, "parallel_tool_calls");
    if (!rest && (g->r->tool_choice.mode == IR_CHOICE_UNSAID || !g->r->tools))
        return;
    json_object_begin(&g->w, "toolConfig");
    put_calling(g);
    put_rest(g, "toolConfig.");
    json_object_end(&g->w);
}

/* --- generationConfig ----------------------------------------------------------------------- */

static const char *level_of(struct writing *g, enum ir_effort effort)
{
    if (effort == IR_EFFORT_NONE)
        ir_changed(g->notes, "reasoning_effort=none (asked for MINIMAL)");
    if (effort > IR_EFFORT_HIGH)
        ir_changed(g->notes, "reasoning_effort (asked for HIGH)");
    return effort <= IR_EFFORT_MINIMAL ? "MINIMAL" : effort == IR_EFFORT_LOW ? "LOW"
        : effort == IR_EFFORT_MEDIUM ? "MEDIUM" : "HIGH";
}

/* gemini-2.5-pro can't stop thinking, and each model has a most. */
static int64_t budget_for(struct writing *g, int64_t budget)
{
    bool pro = str_find(g->t->model, STR("pro")) >= 0;
    int64_t most = pro ? 32768 : 24576, clamped = budget;
    if (g->version != 2 || budget == IR_BUDGET_DYNAMIC)
        return budget;
    if (clamped > most)
        clamped = most;
    if (pro && clamped < 128)
        clamped = 128;
    if (clamped != budget)
        ir_changed(g->notes, "reasoning (budget clamped)");
    return clamped;
}

static void put_thinking(struct writing *g)
{
    const struct ir_request *r = g->r;
    enum ir_effort effort = r->reasoning.effort;
    int64_t budget = r->reasoning.budget;
    if (effort == IR_EFFORT_UNSAID && budget == IR_BUDGET_UNSAID && r->reasoning.shown == IR_UNSAID)
        return;
    if (!g->thinks && !g->own) {
        if (effort > IR_EFFORT_NONE || budget > 0)
            ir_dropped(g->notes, "reasoning_effort");
        return;
    }
    if (g->version >= 3 && effort == IR_EFFORT_UNSAID && budget >= 0 && !g->own)
        effort = ir_effort_of_budget(budget);
    json_object_begin(&g->w, "thinkingConfig");
    if (r->reasoning.shown != IR_UNSAID)
        json_put_bool(&g->w, "includeThoughts", r->reasoning.shown == IR_YES);
    if (effort != IR_EFFORT_UNSAID && (g->version >= 3 || g->own))
        json_put_c(&g->w, "thinkingLevel", level_of(g, effort));
    else if (budget != IR_BUDGET_UNSAID)
        json_put_int(&g->w, "thinkingBudget", budget_for(g, budget));
    else if (effort != IR_EFFORT_UNSAID)
        json_put_int(&g->w, "thinkingBudget", budget_for(g, ir_budget_of(effort, r->max_output)));
    json_object_end(&g->w);
}

static void put_stop(struct writing *g)
{
    struct json_iter it = json_iter(g->r->stop);
    struct json_span k, v;
    unsigned n = 0;
    if (!g->r->stop.p)
        return;
    json_array_begin(&g->w, "stopSequences");
    while (!it.object && json_next(&it, &k, &v)) {
        if (n++ < 5)
            json_put_raw(&g->w, NULL, v.raw);
        else
            ir_dropped(g->notes, "stop (more than 5)");
    }
    json_array_end(&g->w);
}

static void put_format(struct writing *g)
{
    const struct ir_request *r = g->r;
    if (r->format.kind == IR_FORMAT_JSON || r->format.kind == IR_FORMAT_SCHEMA)
        json_put_c(&g->w, "responseMimeType", "application/json");
    else if (r->format.kind == IR_FORMAT_TEXT && g->own)
        json_put_c(&g->w, "responseMimeType", "text/plain");
    if (r->format.kind == IR_FORMAT_SCHEMA)
        ir_put_raw(&g->w, "responseJsonSchema", r->format.schema);
}

static void put_modes(struct writing *g)
{
    static const char *const names[] = {"TEXT", "IMAGE", "AUDIO"};
    const struct ir_request *r = g->r;
    bool sound = r->modes & IR_MODE_AUDIO; /* made alone: what it says is no part of the answer */
    if (g->own) {
        ir_put_raw(&g->w, "responseModalities", r->modes_raw);
        return;
    }
    if (!(r->modes & ~(unsigned)IR_MODE_TEXT))
        return;
    json_array_begin(&g->w, "responseModalities");
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (sound ? 1u << i == IR_MODE_AUDIO : r->modes & 1u << i)
            json_put_c(&g->w, NULL, names[i]);
    json_array_end(&g->w);
}

static void put_generation(struct writing *g)
{
    const struct ir_request *r = g->r;
    json_object_begin(&g->w, "generationConfig");
    ir_put_raw(&g->w, "temperature", r->temperature);
    ir_put_raw(&g->w, "topP", r->top_p);
    ir_put_raw(&g->w, "topK", r->top_k);
    ir_put_raw(&g->w, "seed", r->seed);
    ir_put_raw(&g->w, "presencePenalty", r->presence_penalty);
    ir_put_raw(&g->w, "frequencyPenalty", r->frequency_penalty);
    if (r->max_output > 0)
        json_put_int(&g->w, "maxOutputTokens", r->max_output);
    if (r->n > 0)
        json_put_int(&g->w, "candidateCount", r->n);
    if (r->logprobs != IR_UNSAID)
        json_put_bool(&g->w, "responseLogprobs", r->logprobs == IR_YES);
    if (r->logprobs == IR_YES)
        ir_put_raw(&g->w, "logprobs", r->top_logprobs);
    put_modes(g);
    put_stop(g);
    put_format(g);
    put_thinking(g);
    put_rest(g, "generationConfig.");
    json_object_end(&g->w);
}

/* --- the request ---------------------------------------------------------------------------- */

static void put_tier(struct writing *g)
{
    static const char *const tiers[][2] = {{"default", "STANDARD"}, {"flex", "FLEX"},
        {"priority", "PRIORITY"}};
    struct str tier = g->r->service_tier;
    if (!tier.p || ir_is(tier, "auto"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(tiers); i++)
        if (ir_is(tier, tiers[i][0])) {
            json_put_c(&g->w, "serviceTier", tiers[i][1]);
            return;
        }
    ir_dropped(g->notes, "service_tier");
}

static void note_rest(struct writing *g)
{
    const struct ir_request *r = g->r;
    if (g->own)
        return;
    if (r->verbosity.p)
        ir_dropped(g->notes, "verbosity");
    if (r->user.p)
        ir_changed(g->notes, "user");
    if (r->metadata.p)
        ir_changed(g->notes, "metadata");
    if (r->cache_key.p)
        ir_changed(g->notes, "prompt_cache_key");
    ir_changed_citations(g->notes, r);
    rest_note(r, WIRE_GENERATE, g->notes);
}

int gemini_write_request(const struct ir_request *r, const struct spoke_target *t, struct buf *out,
    struct ir_notes *notes, struct err *e)
{
    struct writing g = {.r = r, .t = t, .w = json_writer(out), .notes = notes, .e = e};
    g.version = version_of(t->model, &g.thinks);
    g.own = r->origin == WIRE_GENERATE;
    if (!g.own && rest_check_state(r, "Gemini", e) < 0)
        return -ERR_UNSUPPORTED;
    arena_init(&g.a, 4096, 64 << 20);
    json_object_begin(&g.w, NULL);
    bool only_system = put_system(&g);
    put_contents(&g, only_system);
    put_tools(&g);
    put_tool_config(&g);
    put_generation(&g);
    put_tier(&g);
    if (g.own)
        ir_put_raw(&g.w, "labels", r->metadata);
    put_rest(&g, "");
    json_object_end(&g.w);
    note_rest(&g);
    arena_fini(&g.a);
    return g.rc;
}
