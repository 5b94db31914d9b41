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
    ir_message_add(m, p);
    return true;
}

static bool aside(void *ctx, struct str type, struct json_span item)
{
    struct reading *g = ctx;
    if (ir_is(type, "additional_tools"))
        return responses_read_more_tools(g->r, item, g->a);
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
    struct responses_sink sink = {.a = g->a, .add = add, .aside = aside, .ctx = g};
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
    r->format.strict = ir_tri_of(json_get(v.raw, STR("strict")));
}

static int read_text(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, one;
    if (v.type != JSON_OBJECT)
        return member_wrong(e, "text");
    while (json_next(&it, &k, &one)) {
        if (one.type == JSON_NULL)
            continue;
        if (json_text_eq(k, STR("format"))) {
            read_format(r, one);
        } else if (json_text_eq(k, STR("verbosity"))) {
            r->verbosity = ir_text(one);
        } else {
            struct str key = arena_printf(a, "text." STR_FMT, STR_ARG(ir_text(k)));
            if (!key.p || !ir_add_rest(r, a, key, one.raw))
                return member_no_memory(e);
        }
    }
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
        {"tools", MEMBER_FN, 0, responses_read_tools},
        {"tool_choice", MEMBER_FN, 0, responses_read_choice},
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
    if (rc == 0 && !ir_tell_calls_apart(out, a))
        return member_no_memory(e);
    if (rc == 0)
        rc = members_read(body, rules, ARRAY_LEN(rules), out, a, e);
    if (out->top_logprobs.p && !str_eq(out->top_logprobs, STR("0")))
        out->logprobs = IR_YES; /* some say how many alone */
    return rc;
}
