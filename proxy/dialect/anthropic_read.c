/* anthropic_read.c: a Messages request → the neutral form. */
#include "proxy/dialect/anthropic.h"

/* --- messages --------------------------------------------------------------------------------- */

/* Results stand in the user's message here; in the neutral form they are the tools' own. */
static int read_blocks(struct ir_request *r, struct ir_message *m, struct json_span content,
    struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(content.raw);
    struct json_span key, v;
    while (json_next(&it, &key, &v)) {
        struct ir_part *p = messages_read_block(v, a);
        enum ir_role role = p && p->kind == IR_RESULT ? IR_TOOL : m->role;
        if (m->role == IR_TOOL && p && p->kind != IR_RESULT)
            role = IR_USER;
        if (p && role != m->role) {
            if (m->parts)
                m = ir_add_message(r, a, role);
            else
                m->role = role;
        }
        if (!p || !m)
            return member_no_memory(e);
        ir_message_add(m, p);
    }
    return it.err ? member_wrong(e, "messages") : 0;
}

static int read_message(struct ir_request *r, struct json_span v, struct arena *a, size_t i,
    struct err *e)
{
    struct json_want w[] = {{STR("role")}, {STR("content")}};
    static const struct {
        const char *name;
        enum ir_role role;
    } roles[] = {{"user", IR_USER}, {"assistant", IR_ASSISTANT}, {"system", IR_SYSTEM}};
    size_t k = 0;
    if (v.type != JSON_OBJECT || json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return err_set(e, ERR_TYPE, "`messages.%zu` is no object", i);
    while (k < ARRAY_LEN(roles) && !ir_is(ir_text(w[0].value), roles[k].name))
        k++;
    if (k == ARRAY_LEN(roles))
        return err_set(e, ERR_TYPE, "`messages.%zu.role` is neither user nor assistant", i);
    struct ir_message *m = ir_add_message(r, a, roles[k].role);
    struct ir_part *p = m && w[1].value.type == JSON_STRING
        ? ir_new_part(a, IR_TEXT, WIRE_MESSAGES) : NULL;
    if (!m || (w[1].value.type == JSON_STRING && !p))
        return member_no_memory(e);
    if (p) {
        p->text = ir_text(w[1].value);
        ir_message_add(m, p);
        return 0;
    }
    if (w[1].value.type != JSON_ARRAY)
        return err_set(e, ERR_TYPE, "`messages.%zu.content` is neither a string nor an array", i);
    return read_blocks(r, m, w[1].value, a, e);
}

static int read_messages(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span key, one;
    size_t i = 0;
    int rc = v.type == JSON_ARRAY ? 0 : member_wrong(e, "messages");
    while (rc == 0 && json_next(&it, &key, &one))
        rc = read_message(r, one, a, i++, e);
    return rc;
}

/* `system` comes before the messages, wherever it stands in the object. */
static int read_system(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct ir_message *m = arena_zalloc(a, sizeof *m);
    if (!m)
        return member_no_memory(e);
    m->role = IR_SYSTEM;
    m->next = r->messages;
    r->messages = m;
    if (!r->last_message)
        r->last_message = m;
    if (v.type == JSON_STRING) {
        struct ir_part *p = ir_new_part(a, IR_TEXT, WIRE_MESSAGES);
        if (!p)
            return member_no_memory(e);
        p->text = ir_text(v);
        ir_message_add(m, p);
        return 0;
    }
    return v.type == JSON_ARRAY ? read_blocks(r, m, v, a, e) : member_wrong(e, "system");
}

/* --- tools ------------------------------------------------------------------------------------ */

static int read_tool(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_want w[] = {{STR("type")}, {STR("name")}, {STR("description")},
        {STR("input_schema")}, {STR("strict")}, {STR("cache_control")}};
    struct ir_tool *t = ir_add_tool(r, a);
    if (!t)
        return member_no_memory(e);
    if (v.type != JSON_OBJECT || json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return member_wrong(e, "tools");
    t->raw = v.raw;
    t->type = ir_text(w[0].value);
    t->cache = ir_raw(w[5].value);
    if (t->type.p && !ir_is(t->type, "custom"))
        return 0; /* a tool of the provider's */
    t->name = ir_text(w[1].value);
    t->description = ir_text(w[2].value);
    t->schema = ir_raw(w[3].value);
    t->strict = ir_tri_of(w[4].value);
    return t->name.p ? 0 : err_set(e, ERR_TYPE, "a tool in `tools` has no name");
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

static int read_choice(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct str type = ir_text(json_get(v.raw, STR("type")));
    struct json_span parallel = json_get(v.raw, STR("disable_parallel_tool_use"));
    if (ir_is(type, "auto"))
        r->tool_choice.mode = IR_CHOICE_AUTO;
    else if (ir_is(type, "none"))
        r->tool_choice.mode = IR_CHOICE_NONE;
    else if (ir_is(type, "any"))
        r->tool_choice.mode = IR_CHOICE_REQUIRED;
    else if (ir_is(type, "tool"))
        r->tool_choice.mode = IR_CHOICE_NAMED;
    else
        return member_wrong(e, "tool_choice");
    if (parallel.type == JSON_TRUE || parallel.type == JSON_FALSE)
        r->parallel = parallel.type == JSON_TRUE ? IR_NO : IR_YES;
    if (r->tool_choice.mode != IR_CHOICE_NAMED)
        return 0;
    r->tool_choice.only = arena_zalloc(a, sizeof *r->tool_choice.only);
    if (!r->tool_choice.only)
        return member_no_memory(e);
    r->tool_choice.only->name = ir_text(json_get(v.raw, STR("name")));
    return r->tool_choice.only->name.p ? 0 : member_wrong(e, "tool_choice");
}

/* --- settings --------------------------------------------------------------------------------- */

static int read_thinking(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_want w[] = {{STR("type")}, {STR("budget_tokens")}, {STR("display")}};
    (void)a;
    if (v.type != JSON_OBJECT || json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return member_wrong(e, "thinking");
    struct str type = ir_text(w[0].value), display = ir_text(w[2].value);
    if (ir_is(type, "disabled"))
        r->reasoning.budget = 0;
    else if (ir_is(type, "adaptive"))
        r->reasoning.adaptive = true;
    else if (json_i64(w[1].value, &r->reasoning.budget) < 0 || r->reasoning.budget < 1)
        return member_wrong(e, "thinking.budget_tokens");
    if (ir_is(display, "omitted"))
        r->reasoning.shown = IR_NO;
    else if (display.p)
        r->reasoning.shown = IR_YES;
    return 0;
}

static int read_schema(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    (void)a;
    if (!ir_is(ir_text(json_get(v.raw, STR("type"))), "json_schema"))
        return member_wrong(e, "output_config.format");
    r->format.kind = IR_FORMAT_SCHEMA;
    r->format.schema = ir_raw(json_get(v.raw, STR("schema")));
    r->format.strict = IR_YES;
    return 0;
}

static int read_output(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, one;
    int rc = v.type == JSON_OBJECT ? 0 : member_wrong(e, "output_config");
    while (rc == 0 && json_next(&it, &k, &one)) {
        if (one.type == JSON_NULL)
            continue;
        if (json_text_eq(k, STR("effort"))) {
            r->reasoning.effort = ir_effort_from(ir_text(one));
        } else if (json_text_eq(k, STR("format"))) {
            rc = one.type == JSON_OBJECT ? read_schema(r, one, a, e) : 0;
        } else {
            struct str key = arena_printf(a, "output_config." STR_FMT, STR_ARG(ir_text(k)));
            if (!key.p || !ir_add_rest(r, a, key, one.raw))
                rc = member_no_memory(e);
        }
    }
    return rc;
}

static int read_metadata(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    (void)a;
    (void)e;
    r->user = ir_text(json_get(v.raw, STR("user_id")));
    return 0;
}

static int read_tier(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct str tier = ir_text(v);
    (void)a;
    (void)e;
    r->service_tier = ir_is(tier, "standard_only") ? STR("default") : tier;
    return 0;
}

#define AT(member) offsetof(struct ir_request, member)
static const struct member_rule rules[] = {
    {"model", MEMBER_SKIP},
    {"system", MEMBER_FN, 0, read_system},
    {"messages", MEMBER_FN, 0, read_messages},
    {"max_tokens", MEMBER_INT, AT(max_output)},
    {"temperature", MEMBER_NUMBER, AT(temperature)},
    {"top_p", MEMBER_NUMBER, AT(top_p)},
    {"top_k", MEMBER_NUMBER, AT(top_k)},
    {"stop_sequences", MEMBER_RAW, AT(stop)},
    {"stream", MEMBER_BOOL, AT(stream)},
    {"tools", MEMBER_FN, 0, read_tools},
    {"tool_choice", MEMBER_FN, 0, read_choice},
    {"thinking", MEMBER_FN, 0, read_thinking},
    {"output_config", MEMBER_FN, 0, read_output},
    {"output_format", MEMBER_FN, 0, read_schema},
    {"metadata", MEMBER_FN, 0, read_metadata},
    {"service_tier", MEMBER_FN, 0, read_tier},
};

int messages_read_request(struct str body, struct arena *a, struct ir_request *out, struct err *e)
{
    *out = (struct ir_request){.origin = WIRE_MESSAGES, .reasoning.budget = IR_BUDGET_UNSAID,
        .include_usage = true};
    int rc = members_read(body, rules, ARRAY_LEN(rules), out, a, e);
    if (rc == 0 && !out->messages)
        return err_set(e, ERR_MISSING, "`messages` is missing or empty");
    if (rc == 0 && out->stop.p && json_value(out->stop).type != JSON_ARRAY)
        return member_wrong(e, "stop_sequences");
    return rc == 0 && !ir_tell_calls_apart(out, a) ? member_no_memory(e) : rc;
}
