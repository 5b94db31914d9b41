/* responses_tools.c: tools of a Responses request, read and written, and the names of calls.
 *
 * Three things that other dialects don't have: a custom tool, whose argument is a text (a function
 * with one string, "input", elsewhere); a namespace, which holds tools that are called by two names
 * (elsewhere one name made of both, taken apart again when the call comes back); and tools that come
 * as an item of the input (Codex), which count like the others. */
#include "proxy/dialect/responses.h"

#include <stdio.h>

enum { NAME_MOST = 64 }; /* of a tool's name: what OpenAI and Anthropic take */

/* --- names ---------------------------------------------------------------------------------- */

/* "clock" and "sleep" are "clock__sleep". Codex' own tools stand in "functions", which is where a
 * call without a namespace is looked for: these keep their names. */
struct str responses_flat_name(struct str space, struct str name, struct arena *a)
{
    if (!space.n || ir_is(space, "functions") || !name.p)
        return name;
    const char *between = str_ends(space, STR("__")) ? "" : "__";
    struct str flat = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(space), between, STR_ARG(name));
    if (flat.n <= NAME_MOST)
        return flat;
    return arena_printf(a, STR_FMT "_%08x", STR_ARG(str_first(flat, NAME_MOST - 9)),
        (unsigned)str_hash(flat));
}

/* --- reading -------------------------------------------------------------------------------- */

static bool read_tools_of(struct ir_request *r, struct str space, struct json_span list,
    struct arena *a);

static bool read_tool(struct ir_request *r, struct str space, struct json_span v, bool within,
    struct arena *a)
{
    struct json_want w[] = {{STR("type")}, {STR("name")}, {STR("description")}, {STR("parameters")},
        {STR("strict")}, {STR("format")}, {STR("tools")}};
    struct ir_tool *t = ir_add_tool(r, a);
    if (!t || v.type != JSON_OBJECT || json_scan(v.raw, w, ARRAY_LEN(w)) < 0)
        return t != NULL;
    struct str type = ir_text(w[0].value);
    t->raw = v.raw;
    t->within = within;
    t->type = ir_is(type, "function") ? STR_NULL : type;
    if (ir_is(type, "namespace") && !space.p) {
        t->opened = true;
        return read_tools_of(r, ir_text(w[1].value), w[6].value, a);
    }
    if (t->type.p && !ir_is(type, "custom"))
        return true;
    t->space = space;
    t->inner = ir_text(w[1].value);
    t->name = responses_flat_name(space, t->inner, a);
    t->description = ir_text(w[2].value);
    t->schema = ir_raw(w[3].value);
    t->strict = ir_tri_of(w[4].value);
    return !t->type.p || custom_tool(t, ir_text(json_get(w[5].value.raw, STR("syntax"))),
        ir_text(json_get(w[5].value.raw, STR("definition"))), a);
}

static bool read_tools_of(struct ir_request *r, struct str space, struct json_span list,
    struct arena *a)
{
    struct json_iter it = json_iter(list.raw);
    struct json_span k, one;
    while (list.type == JSON_ARRAY && json_next(&it, &k, &one))
        if (!read_tool(r, space.p ? space : STR(""), one, true, a))
            return false;
    return true;
}

int responses_read_tools(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
{
    struct json_iter it = json_iter(v.raw);
    struct json_span k, one;
    if (v.type != JSON_ARRAY)
        return member_wrong(e, "tools");
    while (json_next(&it, &k, &one))
        if (!read_tool(r, STR_NULL, one, false, a))
            return member_no_memory(e);
    return 0;
}

bool responses_read_more_tools(struct ir_request *r, struct json_span item, struct arena *a)
{
    struct json_span list = json_get(item.raw, STR("tools")), k, one;
    struct json_iter it = json_iter(list.raw);
    while (list.type == JSON_ARRAY && json_next(&it, &k, &one))
        if (!read_tool(r, STR_NULL, one, true, a))
            return false;
    return ir_add_rest(r, a, STR(RESPONSES_MORE_TOOLS), item.raw);
}

static bool add_name(struct ir_request *r, struct json_span tool, struct arena *a)
{
    struct ir_name **end = &r->tool_choice.only;
    struct str name = responses_flat_name(ir_text(json_get(tool.raw, STR("namespace"))),
        ir_text(json_get(tool.raw, STR("name"))), a);
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

int responses_read_choice(struct ir_request *r, struct json_span v, struct arena *a, struct err *e)
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

/* --- writing -------------------------------------------------------------------------------- */

static void put_custom(struct json_writer *w, const struct ir_tool *t)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "custom");
    ir_put_text(w, "name", t->name);
    ir_put_text(w, "description", t->description);
    json_object_begin(w, "format");
    json_put_c(w, "type", t->grammar.n ? "grammar" : "text");
    ir_put_text(w, "syntax", t->grammar.n ? t->syntax : STR_NULL);
    ir_put_text(w, "definition", t->grammar.n ? t->grammar : STR_NULL);
    json_object_end(w);
    json_object_end(w);
}

static void put_tool(struct json_writer *w, const struct ir_tool *t)
{
    json_object_begin(w, NULL);
    json_put_c(w, "type", "function");
    ir_put_text(w, "name", t->name);
    ir_put_text(w, "description", t->description);
    json_put_raw(w, "parameters", t->schema.p ? t->schema
                                              : STR("{\"type\":\"object\",\"properties\":{}}"));
    json_put_bool(w, "strict", t->strict == IR_YES); /* unsaid would mean yes here */
    json_object_end(w);
}

void responses_put_tools(struct json_writer *w, const struct ir_request *r, struct ir_notes *notes)
{
    bool any = false;
    for (const struct ir_tool *t = r->tools; t; t = t->next) {
        if (t->within || ir_leaves_out(t, WIRE_RESPONSES, notes))
            continue;
        if (!any)
            json_array_begin(w, "tools");
        any = true;
        if (t->origin == WIRE_RESPONSES && t->raw.p)
            json_put_raw(w, NULL, t->raw);
        else if (t->custom)
            put_custom(w, t);
        else
            put_tool(w, t);
        if (t->cache.p)
            ir_changed(notes, "cache_control");
    }
    if (any)
        json_array_end(w);
}

void responses_put_name(struct json_writer *w, const struct ir_tool *t, struct str name)
{
    if (t && t->inner.p)
        name = t->inner;
    ir_put_text(w, "name", name);
    if (t && t->space.n)
        ir_put_text(w, "namespace", t->space);
}

static void put_named(struct json_writer *w, const char *key, const struct ir_request *r,
    struct str name)
{
    const struct ir_tool *t = ir_tool_named(r, name);
    json_object_begin(w, key);
    json_put_c(w, "type", t && t->custom ? "custom" : "function");
    responses_put_name(w, t, name);
    json_object_end(w);
}

void responses_put_choice(struct json_writer *w, const struct ir_request *r)
{
    static const char *const modes[] = {[IR_CHOICE_UNSAID] = "auto", [IR_CHOICE_AUTO] = "auto",
        [IR_CHOICE_NONE] = "none", [IR_CHOICE_REQUIRED] = "required"};
    if (r->tool_choice.mode == IR_CHOICE_NAMED) {
        put_named(w, "tool_choice", r, r->tool_choice.only->name);
    } else if (r->tool_choice.only && r->tool_choice.mode != IR_CHOICE_NONE) {
        json_object_begin(w, "tool_choice");
        json_put_c(w, "type", "allowed_tools");
        json_put_c(w, "mode", modes[r->tool_choice.mode]);
        json_array_begin(w, "tools");
        for (const struct ir_name *n = r->tool_choice.only; n; n = n->next)
            put_named(w, NULL, r, n->name);
        json_array_end(w);
        json_object_end(w);
    } else {
        json_put_c(w, "tool_choice", modes[r->tool_choice.mode]);
    }
}
