/* responses_read.c: a Responses request → the neutral form. Items in a row that one turn of the model
 * made (reasoning, text, calls) become one message. */
#include "proxy/dialect/responses.h"

struct reading {
    struct arena *a;
    struct ir_request *r;
    bool apart; /* a message item begins a message of its own, unless the model goes on */
};

static bool add(void *ctx, enum ir_role role, struct ir_part *p)
{
    struct reading *g = ctx;
    struct ir_message *m = g->r->last_message;
    bool goes_on = m && m->role == role && (role == IR_ASSISTANT || role == IR_TOOL || !g->apart);
    if (!goes_on && !(m = ir_add_message(g->r, g->a, role)))
        return false;
    g->apart = false;
    if (m->last)
        m->last->next = p;
    else
        m->parts = p;
    m->last = p;
    return true;
}

static bool reference(void *ctx, struct json_span item)
{
    struct reading *g = ctx;
    return ir_add_rest(g->r, g->a, STR("input.item_reference"), item.raw);
}

static bool read_system(struct reading *g, struct json_span instructions)
{
    struct ir_part *p = ir_new_part(g->a, IR_TEXT, WIRE_RESPONSES);
    if (!p)
        return false;
    p->text = ir_text(instructions);
    return add(g, IR_SYSTEM, p);
}

static int read_input(struct reading *g, struct json_span input, struct err *e)
{
    struct responses_sink sink = {.a = g->a, .add = add, .reference = reference, .ctx = g};
    struct json_iter it = json_iter(input.raw);
    struct json_span k, v;
    if (input.type == JSON_STRING) {
        struct ir_part *p = ir_new_part(g->a, IR_TEXT, WIRE_RESPONSES);
        if (!p)
            return member_no_memory(e);
        p->text = ir_text(input);
        return add(g, IR_USER, p) ? 0 : member_no_memory(e);
    }
    if (input.type != JSON_ARRAY)
        return input.type == JSON_NONE ? 0 : member_wrong(e, "input");
    while (json_next(&it, &k, &v)) {
        if (v.type != JSON_OBJECT)
            return member_wrong(e, "input");
        g->apart = true;
        if (!responses_read_item(v, &sink))
            return member_no_memory(e);
    }
    return 0;
}

/* --- tools ---------------------------------------------------------------------------------- */

static enum ir_tri tri(struct json_span v)
{
    return v.type == JSON_TRUE ? IR_YES : v.type == JSON_FALSE ? IR_NO : IR_UNSAID;
}

static bool read_tool(struct ir_request *r, struct json_span v, struct arena *a)
{
    struct json_want w[] = {{STR("type")}, {STR("name")}, {STR("description")}, {STR("parameters")},
        {STR("strict")}};
    struct ir_tool *t = ir_add_tool(r, a);
    if (!t || json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return t != NULL;
    bool custom = json_text_eq(w[0].value, STR("custom"));
    t->raw = v.raw;
    if (!json_text_eq(w[0].value, STR("function")))
        t->type = ir_text(w[0].value);
    if (t->type.p && !custom)
        return true;
    t->name = ir_text(w[1].value);
    t->description = ir_text(w[2].value);
    t->schema = ir_raw(w[3].value);
    t->strict = tri(w[4].value);
    if (custom)
        t->schema = STR("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
                        "\"required\":[\"input\"]}");
    return true;
}

static int read_tools(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, one;
    if (v.type != JSON_ARRAY)
        return member_wrong(e, "tools");
    while (json_next(&it, &k, &one))
        if (!read_tool(r, one, a))
            return member_no_memory(e);
    return 0;
}

static bool add_name(struct ir_request *r, struct json_span tool, struct arena *a)
{
    struct ir_name **end = &r->tool_choice.only;
    struct str name = ir_text(json_get(tool.raw, STR("name")));
    while (*end)
        end = &(*end)->next;
    if (!name.p)
        return true;
    if (!(*end = arena_zalloc(a, sizeof **end)))
        return false;
    (*end)->name = name;
    return true;
}

static enum ir_choice_mode mode_of(struct json_span v)
{
    if (json_text_eq(v, STR("none")))
        return IR_CHOICE_NONE;
    return json_text_eq(v, STR("required")) ? IR_CHOICE_REQUIRED : IR_CHOICE_AUTO;
}

static int read_choice(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_span k, one, type = json_get(v.raw, STR("type"));
    if (v.type == JSON_STRING) {
        r->tool_choice.mode = mode_of(v);
        return 0;
    }
    if (json_text_eq(type, STR("function")) || json_text_eq(type, STR("custom"))) {
        r->tool_choice.mode = IR_CHOICE_NAMED;
        if (!add_name(r, v, a))
            return member_no_memory(e);
        return r->tool_choice.only ? 0 : member_wrong(e, "tool_choice");
    }
    if (!json_text_eq(type, STR("allowed_tools"))) /* a server tool */
        return ir_add_rest(r, a, STR("tool_choice"), v.raw) ? 0 : member_no_memory(e);
    struct json_iter it = json_iter(json_get(v.raw, STR("tools")).raw);
    r->tool_choice.mode = mode_of(json_get(v.raw, STR("mode")));
    while (!it.object && json_next(&it, &k, &one))
        if (!add_name(r, one, a))
            return member_no_memory(e);
    return 0;
}

/* --- settings ------------------------------------------------------------------------------- */

static void read_format(struct ir_request *r, struct json_span v)
{
    struct json_span type = json_get(v.raw, STR("type"));
    r->format.kind = IR_FORMAT_TEXT;
    if (json_text_eq(type, STR("json_object")))
        r->format.kind = IR_FORMAT_JSON;
    if (!json_text_eq(type, STR("json_schema")))
        return;
    r->format.kind = IR_FORMAT_SCHEMA;
    r->format.schema = ir_raw(json_get(v.raw, STR("schema")));
    r->format.name = ir_text(json_get(v.raw, STR("name")));
    r->format.description = ir_text(json_get(v.raw, STR("description")));
    r->format.strict = tri(json_get(v.raw, STR("strict")));
}

static int read_text(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_span format = json_get(v.raw, STR("format"));
    (void)a;
    if (v.type != JSON_OBJECT)
        return member_wrong(e, "text");
    if (format.type == JSON_OBJECT)
        read_format(r, format);
    r->verbosity = ir_text(json_get(v.raw, STR("verbosity")));
    return 0;
}

static int read_reasoning(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, one;
    if (v.type != JSON_OBJECT)
        return member_wrong(e, "reasoning");
    while (json_next(&it, &k, &one)) {
        if (one.type == JSON_NULL)
            continue;
        if (json_text_eq(k, STR("effort"))) {
            r->reasoning.effort = ir_effort_from(ir_text(one));
        } else if (json_text_eq(k, STR("summary"))) {
            r->reasoning.summary = ir_text(one);
            r->reasoning.shown = IR_YES;
        } else {
            struct str key = arena_printf(a, "reasoning." STR_FMT, STR_ARG(ir_text(k)));
            if (!key.p || !ir_add_rest(r, a, key, one.raw))
                return member_no_memory(e);
        }
    }
    return 0;
}

static int read_include(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, one;
    while (v.type == JSON_ARRAY && json_next(&it, &k, &one))
        if (json_text_eq(one, STR("message.output_text.logprobs")))
            r->logprobs = IR_YES;
    return ir_add_rest(r, a, STR("include"), v.raw) ? 0 : member_no_memory(e);
}

int responses_read_request(struct str body, struct arena *a, struct ir_request *out, struct err *e)
{
#define AT(member) offsetof(struct ir_request, member)
    static const struct member_rule rules[] = {
        {"model", MEMBER_SKIP, 0, NULL},
        {"input", MEMBER_SKIP, 0, NULL},
        {"instructions", MEMBER_SKIP, 0, NULL},
        {"tools", MEMBER_FN, 0, read_tools},
        {"tool_choice", MEMBER_FN, 0, read_choice},
        {"text", MEMBER_FN, 0, read_text},
        {"reasoning", MEMBER_FN, 0, read_reasoning},
        {"include", MEMBER_FN, 0, read_include},
        {"parallel_tool_calls", MEMBER_TRI, AT(parallel), NULL},
        {"max_output_tokens", MEMBER_INT, AT(max_output), NULL},
        {"temperature", MEMBER_NUMBER, AT(temperature), NULL},
        {"top_p", MEMBER_NUMBER, AT(top_p), NULL},
        {"top_logprobs", MEMBER_NUMBER, AT(top_logprobs), NULL},
        {"service_tier", MEMBER_TEXT, AT(service_tier), NULL},
        {"metadata", MEMBER_RAW, AT(metadata), NULL},
        {"user", MEMBER_TEXT, AT(user), NULL},
        {"prompt_cache_key", MEMBER_TEXT, AT(cache_key), NULL},
        {"stream", MEMBER_BOOL, AT(stream), NULL},
    };
#undef AT
    struct reading g = {.a = a, .r = out};
    *out = (struct ir_request){.origin = WIRE_RESPONSES, .include_usage = true};
    out->reasoning.budget = IR_BUDGET_UNSAID;
    struct json_span instructions = json_get(body, STR("instructions"));
    if (instructions.type == JSON_STRING && instructions.raw.n > 2 && !read_system(&g, instructions))
        return member_no_memory(e);
    int rc = instructions.type == JSON_ARRAY ? read_input(&g, instructions, e) : 0;
    if (rc == 0)
        rc = read_input(&g, json_get(body, STR("input")), e);
    return rc < 0 ? rc : members_read(body, rules, ARRAY_LEN(rules), out, a, e);
}
