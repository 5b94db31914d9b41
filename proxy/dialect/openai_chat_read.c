/* openai_chat_read.c: a chat completions request → the neutral form. Members of old (functions,
 * function_call, max_tokens) and of other gateways (reasoning, cache_control) are read too. */
#include "proxy/dialect/openai_chat.h"

/* --- messages ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum ir_role role;
} roles[] = {
    {"system", IR_SYSTEM}, {"developer", IR_DEVELOPER}, {"user", IR_USER},
    {"assistant", IR_ASSISTANT}, {"tool", IR_TOOL}, {"function", IR_TOOL},
};

static bool to_message(void *ctx, struct ir_part *part)
{
    ir_message_add(ctx, part);
    return true;
}

static bool to_result(void *ctx, struct ir_part *part)
{
    struct ir_part *result = ctx, **at = &result->content;
    while (*at)
        at = &(*at)->next;
    *at = part;
    return true;
}

static bool read_result(struct ir_message *m, struct json_span v, struct arena *a)
{
    struct json_want w[] = {{STR("tool_call_id")}, {STR("name")}, {STR("content")},
        {STR("cache_control")}};
    struct ir_part *result = ir_add_part(m, a, IR_RESULT);
    if (!result || json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return result != NULL;
    struct chat_sink sink = {.a = a, .add = to_result, .ctx = result};
    result->origin = WIRE_CHAT;
    result->name = ir_text(w[1].value);
    result->id = w[0].count ? ir_text(w[0].value) : result->name;
    result->cache = ir_raw(w[3].value);
    return chat_read_content(w[2].value, &sink);
}

static int read_message(struct ir_request *r, struct json_span v, struct arena *a, size_t i,
    struct err *e)
{
    struct str role = ir_text(json_get(v.raw, STR("role")));
    size_t k = 0;
    while (k < ARRAY_LEN(roles) && !ir_is(role, roles[k].name))
        k++;
    if (k == ARRAY_LEN(roles))
        return err_set(e, ERR_TYPE, "`messages.%zu.role` is none of system, developer, user, "
            "assistant, tool", i);
    struct ir_message *m = ir_add_message(r, a, roles[k].role);
    if (!m)
        return member_no_memory(e);
    m->name = ir_text(json_get(v.raw, STR("name")));
    struct chat_sink sink = {.a = a, .add = to_message, .ctx = m};
    bool ok = m->role == IR_TOOL ? read_result(m, v, a) : chat_read_message(v.raw, &sink);
    struct str cache = ir_raw(json_get(v.raw, STR("cache_control")));
    if (ok && cache.p && m->last && m->role != IR_TOOL)
        m->last->cache = cache;
    return ok ? 0 : member_no_memory(e);
}

static int read_messages(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span key, one;
    size_t i = 0;
    if (v.type != JSON_ARRAY)
        return member_wrong(e, "messages");
    while (json_next(&it, &key, &one)) {
        if (one.type != JSON_OBJECT)
            return err_set(e, ERR_TYPE, "`messages.%zu` is no object", i);
        int rc = read_message(r, one, a, i++, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* --- tools ---------------------------------------------------------------------------------- */

static bool read_function(struct ir_tool *t, struct json_span f)
{
    struct json_want w[] = {{STR("name")}, {STR("description")}, {STR("parameters")},
        {STR("strict")}};
    if (f.type != JSON_OBJECT || json_scan(f.raw, w, ARRAY_LEN(w)) < 0)
        return false;
    t->name = ir_text(w[0].value);
    t->description = ir_text(w[1].value);
    t->schema = ir_raw(w[2].value);
    t->strict = ir_tri_of(w[3].value);
    return t->name.p != NULL;
}

/* {name, description, format{type, grammar{syntax, definition}}} */
static int read_custom(struct ir_tool *t, struct json_span in, struct arena *a, struct err *e)
{
    struct json_span grammar = json_path(in.raw, "format.grammar");
    t->name = ir_text(json_get(in.raw, STR("name")));
    t->description = ir_text(json_get(in.raw, STR("description")));
    if (!t->name.p)
        return err_set(e, ERR_TYPE, "a custom tool in `tools` has no name");
    return custom_tool(t, ir_text(json_get(grammar.raw, STR("syntax"))),
        ir_text(json_get(grammar.raw, STR("definition"))), a) ? 0 : member_no_memory(e);
}

static int read_tool(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct ir_tool *t = ir_add_tool(r, a);
    if (!t)
        return member_no_memory(e);
    t->raw = v.raw;
    t->type = ir_text(json_get(v.raw, STR("type")));
    t->cache = ir_raw(json_get(v.raw, STR("cache_control")));
    if (ir_is(t->type, "function") && !read_function(t, json_get(v.raw, STR("function"))))
        return err_set(e, ERR_TYPE, "a function in `tools` has no name");
    struct json_span custom = json_get(v.raw, STR("custom"));
    return ir_is(t->type, "custom") ? read_custom(t, custom, a, e) : 0;
}

static int read_tools(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span key, one;
    int rc = v.type == JSON_ARRAY ? 0 : member_wrong(e, "tools");
    while (rc == 0 && json_next(&it, &key, &one))
        rc = read_tool(r, one, a, e);
    return rc;
}

static int read_functions(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span key, one;
    while (v.type == JSON_ARRAY && json_next(&it, &key, &one)) {
        struct ir_tool *t = ir_add_tool(r, a);
        if (!t)
            return member_no_memory(e);
        t->type = STR("function");
        if (!read_function(t, one))
            return err_set(e, ERR_TYPE, "an entry of `functions` has no name");
    }
    return 0;
}

static bool add_only(struct ir_request *r, struct arena *a, struct str name)
{
    struct ir_name *n = arena_zalloc(a, sizeof *n), **at = &r->tool_choice.only;
    while (*at)
        at = &(*at)->next;
    if (!n || !name.p)
        return false;
    n->name = name;
    *at = n;
    return true;
}

static enum ir_choice_mode mode_from(struct str text)
{
    if (ir_is(text, "none"))
        return IR_CHOICE_NONE;
    if (ir_is(text, "required") || ir_is(text, "any"))
        return IR_CHOICE_REQUIRED;
    return ir_is(text, "auto") ? IR_CHOICE_AUTO : IR_CHOICE_UNSAID;
}

/* {"type":"function","function":{"name"}}, the same of a custom tool, or function_call of old */
static struct str chosen_name(struct str v)
{
    static const char *const paths[] = {"function.name", "custom.name", "name"};
    struct str name = STR_NULL;
    for (size_t i = 0; i < ARRAY_LEN(paths) && !name.p; i++)
        name = ir_text(json_path(v, paths[i]));
    return name;
}

static int read_allowed(struct ir_request *r, struct str v, struct arena *a, struct err *e)
{
    struct json_span in = json_get(v, STR("allowed_tools")), key, one;
    struct json_iter it = json_iter(json_get(in.raw, STR("tools")).raw);
    r->tool_choice.mode = mode_from(ir_text(json_get(in.raw, STR("mode"))));
    while (json_next(&it, &key, &one))
        if (!add_only(r, a, chosen_name(one.raw)))
            return member_wrong(e, "tool_choice");
    return 0;
}

static int read_choice(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    if (v.type == JSON_STRING) {
        r->tool_choice.mode = mode_from(ir_text(v));
        return r->tool_choice.mode ? 0 : member_wrong(e, "tool_choice");
    }
    if (v.type == JSON_OBJECT && ir_is(ir_text(json_get(v.raw, STR("type"))), "allowed_tools"))
        return read_allowed(r, v.raw, a, e);
    r->tool_choice.mode = IR_CHOICE_NAMED;
    return add_only(r, a, chosen_name(v.raw)) ? 0 : member_wrong(e, "tool_choice");
}

/* --- settings ------------------------------------------------------------------------------- */

static int read_format(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    (void)a;
    struct str type = ir_text(json_get(v.raw, STR("type")));
    struct json_span in = json_get(v.raw, STR("json_schema"));
    if (ir_is(type, "text"))
        r->format.kind = IR_FORMAT_TEXT;
    else if (ir_is(type, "json_object"))
        r->format.kind = IR_FORMAT_JSON;
    else if (ir_is(type, "json_schema") && in.type == JSON_OBJECT)
        r->format.kind = IR_FORMAT_SCHEMA;
    else
        return member_wrong(e, "response_format");
    if (r->format.kind == IR_FORMAT_SCHEMA) {
        r->format.name = ir_text(json_get(in.raw, STR("name")));
        r->format.description = ir_text(json_get(in.raw, STR("description")));
        r->format.schema = ir_raw(json_get(in.raw, STR("schema")));
        r->format.strict = ir_tri_of(json_get(in.raw, STR("strict")));
    }
    return 0;
}

static int read_stop(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    if (v.type == JSON_ARRAY)
        r->stop = v.raw;
    else if (v.type == JSON_STRING)
        r->stop = arena_printf(a, "[" STR_FMT "]", STR_ARG(v.raw));
    else
        return member_wrong(e, "stop");
    return r->stop.p ? 0 : member_no_memory(e);
}

static int read_effort(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    (void)a;
    r->reasoning.effort = ir_effort_from(ir_text(v));
    return r->reasoning.effort ? 0 : member_wrong(e, "reasoning_effort");
}

/* {"effort":…,"max_tokens":…,"exclude":…}: as other gateways spell it */
static int read_reasoning(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_span budget = json_get(v.raw, STR("max_tokens"));
    (void)a;
    if (v.type != JSON_OBJECT)
        return member_wrong(e, "reasoning");
    r->reasoning.effort = ir_effort_from(ir_text(json_get(v.raw, STR("effort"))));
    if (budget.type == JSON_NUMBER && json_i64(budget, &r->reasoning.budget) < 0)
        return member_wrong(e, "reasoning");
    if (json_is_true(json_get(v.raw, STR("exclude"))))
        r->reasoning.shown = IR_NO;
    if (json_is_false(json_get(v.raw, STR("enabled"))))
        r->reasoning.effort = IR_EFFORT_NONE;
    return 0;
}

static int read_modes(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    (void)a;
    r->modes_raw = v.raw;
    r->modes = ir_modes_of(v);
    return v.type == JSON_ARRAY ? 0 : member_wrong(e, "modalities");
}

static int read_max(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    int64_t n;
    (void)a;
    if (json_i64(v, &n) < 0 || n < 1)
        return member_wrong(e, "max_completion_tokens");
    r->max_output = MAX(n, r->max_output); /* where both are given they are the same */
    return 0;
}

static int read_stream_options(struct ir_request *r, struct json_span v, struct arena *a,
    struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, one;
    while (it.object && json_next(&it, &k, &one)) {
        if (json_text_eq(k, STR("include_usage"))) {
            r->include_usage = json_is_true(one);
            continue;
        }
        struct str key = arena_printf(a, "stream_options." STR_FMT, STR_ARG(ir_text(k)));
        if (!key.p || !ir_add_rest(r, a, key, one.raw))
            return member_no_memory(e);
    }
    return 0;
}

#define AT(member) offsetof(struct ir_request, member)
static const struct member_rule rules[] = {
    {"model", MEMBER_SKIP},
    {"messages", MEMBER_FN, 0, read_messages},
    {"tools", MEMBER_FN, 0, read_tools},
    {"functions", MEMBER_FN, 0, read_functions},
    {"tool_choice", MEMBER_FN, 0, read_choice},
    {"function_call", MEMBER_FN, 0, read_choice},
    {"parallel_tool_calls", MEMBER_TRI, AT(parallel)},
    {"max_completion_tokens", MEMBER_FN, 0, read_max},
    {"max_tokens", MEMBER_FN, 0, read_max},
    {"temperature", MEMBER_NUMBER, AT(temperature)},
    {"top_p", MEMBER_NUMBER, AT(top_p)},
    {"top_k", MEMBER_NUMBER, AT(top_k)},
    {"n", MEMBER_INT, AT(n)},
    {"stop", MEMBER_FN, 0, read_stop},
    {"seed", MEMBER_NUMBER, AT(seed)},
    {"frequency_penalty", MEMBER_NUMBER, AT(frequency_penalty)},
    {"presence_penalty", MEMBER_NUMBER, AT(presence_penalty)},
    {"logprobs", MEMBER_TRI, AT(logprobs)},
    {"top_logprobs", MEMBER_NUMBER, AT(top_logprobs)},
    {"response_format", MEMBER_FN, 0, read_format},
    {"reasoning_effort", MEMBER_FN, 0, read_effort},
    {"reasoning", MEMBER_FN, 0, read_reasoning},
    {"modalities", MEMBER_FN, 0, read_modes},
    {"verbosity", MEMBER_TEXT, AT(verbosity)},
    {"service_tier", MEMBER_TEXT, AT(service_tier)},
    {"user", MEMBER_TEXT, AT(user)},
    {"metadata", MEMBER_RAW, AT(metadata)},
    {"prompt_cache_key", MEMBER_TEXT, AT(cache_key)},
    {"stream", MEMBER_BOOL, AT(stream)},
    {"stream_options", MEMBER_FN, 0, read_stream_options},
};

int chat_read_request(struct str body, struct arena *a, struct ir_request *out, struct err *e)
{
    *out = (struct ir_request){.origin = WIRE_CHAT, .reasoning.budget = IR_BUDGET_UNSAID};
    int rc = members_read(body, rules, ARRAY_LEN(rules), out, a, e);
    if (rc == 0 && !out->messages)
        return err_set(e, ERR_MISSING, "`messages` is missing or empty");
    return rc == 0 && !ir_tell_calls_apart(out, a) ? member_no_memory(e) : rc;
}
