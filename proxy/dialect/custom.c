/* custom.c: see custom.h. A fragment holds JSON within the text of a JSON string: two layers of
 * escapes, of which one is taken off. What is left is the text of the input as any string has it. */
#include "proxy/dialect/custom.h"
#include "proxy/dialect/spoke.h"

static const char before[] = "{\"input\":\"";

bool custom_tool(struct ir_tool *t, struct str syntax, struct str grammar, struct arena *a)
{
    t->custom = true;
    t->syntax = syntax;
    t->grammar = grammar;
    t->schema = STR("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
                    "\"required\":[\"input\"]}");
    if (grammar.n)
        t->schema = arena_printf(a, "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":"
            "\"string\",\"description\":\"A text of this " STR_FMT " grammar:\\n" STR_FMT "\"}},"
            "\"required\":[\"input\"]}", STR_ARG(syntax), STR_ARG(grammar));
    return t->schema.p != NULL;
}

struct str custom_arguments(struct str input, struct arena *a)
{
    return arena_printf(a, "{\"input\":\"" STR_FMT "\"}", STR_ARG(input));
}

struct str custom_text(const struct ir_part *call, struct arena *a)
{
    struct str input = ir_text(json_get(call->arguments, STR("input")));
    if (input.p)
        return input;
    return call->arguments.p ? ir_text_of(a, call->arguments) : call->broken;
}

bool custom_is_named(const struct ir_request *r, struct str name)
{
    const struct ir_tool *t = ir_tool_named(r, name);
    return t && t->custom;
}

/* --- in fragments ----------------------------------------------------------------------------- */

void custom_begin(struct custom_scan *s)
{
    if (!s->odd.max)
        buf_init(&s->odd, STREAM_HOLD_MAX);
    buf_reset(&s->odd);
    s->phase = CUSTOM_BEFORE;
    s->at = 0;
    s->escape_n = 0;
}

void custom_fini(struct custom_scan *s)
{
    buf_fini(&s->odd);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static bool is_half(const struct custom_scan *s)
{
    return s->escape_n == 6 && (s->escape[2] | 32) == 'd' && strchr("89abAB", s->escape[3]);
}

static void tell_escape(struct custom_scan *s, struct buf *out)
{
    buf_put(out, s->escape, s->escape_n);
    s->escape_n = 0;
}

/* A fragment may end in the middle of an escape, a delta may not. What is none is told as it is. */
static void in_escape(struct custom_scan *s, char c, struct str written, struct buf *out)
{
    unsigned begun = s->escape_n > 6 ? 6 : 0;
    bool fits = s->escape_n - begun == 1 ? c && strchr("\"\\/bfnrtu", c) : is_hex(c);
    if (!fits) {
        buf_put(out, s->escape, begun);
        buf_putc(out, '\\');
        buf_put(out, s->escape + begun, s->escape_n - begun);
        buf_put_str(out, written);
        s->escape_n = 0;
        return;
    }
    s->escape[s->escape_n++] = c;
    bool whole = s->escape_n - begun == (s->escape[begun + 1] == 'u' ? 6 : 2);
    if (whole && (begun || !is_half(s)))
        tell_escape(s, out);
}

/* One character of the JSON; `written`: as it stood in the fragment. */
static void take(struct custom_scan *s, char c, struct str written, struct buf *out)
{
    switch (s->phase) {
    case CUSTOM_BEFORE:
        if (is_blank(c) && (s->at == 0 || before[s->at] == '"' || before[s->at] == ':') &&
            (s->at < 2 || s->at >= sizeof "{\"input\"" - 1))
            return;
        if (c != before[s->at])
            s->phase = CUSTOM_ODD;
        else if (++s->at == sizeof before - 1)
            s->phase = CUSTOM_INSIDE;
        return;
    case CUSTOM_INSIDE:
        if (is_half(s) && c == '\\') {
            s->escape[s->escape_n++] = c;
            return;
        }
        if (is_half(s))
            tell_escape(s, out);
        if (s->escape_n)
            in_escape(s, c, written, out);
        else if (c == '\\')
            s->escape[s->escape_n++] = c;
        else if (c == '"')
            s->phase = CUSTOM_AFTER;
        else
            buf_put_str(out, written);
        return;
    case CUSTOM_AFTER:
    case CUSTOM_ODD:
        return;
    }
}

/* The character that an escape of the outer layer stands for; 0: one that needs none inside. */
static char unescaped(struct str written)
{
    static const char plain[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const char *at = written.n > 1 ? strchr(plain, written.p[1]) : NULL;
    if (at && *at)
        return means[at - plain];
    if (written.n == 6 && str_eq_nocase(str_from(written, 2), STR("0022")))
        return '"';
    return written.n == 6 && str_eq_nocase(str_from(written, 2), STR("005c")) ? '\\' : 0;
}

void custom_feed(struct custom_scan *s, struct str fragment, struct buf *out)
{
    if (s->phase == CUSTOM_BEFORE || s->phase == CUSTOM_ODD)
        buf_put_str(&s->odd, fragment);
    for (size_t i = 0, n; i < fragment.n && s->phase < CUSTOM_AFTER; i += n) {
        bool escape = fragment.p[i] == '\\' && i + 1 < fragment.n;
        n = !escape ? 1 : fragment.p[i + 1] == 'u' ? MIN((size_t)6, fragment.n - i) : 2;
        struct str written = str_n(fragment.p + i, n);
        take(s, escape ? unescaped(written) : fragment.p[i], written, out);
    }
}

/* What is odd may still have an input somewhere; else it is told as it is. */
void custom_end(struct custom_scan *s, struct buf *out)
{
    struct arena a;
    struct ir_part call = {.kind = IR_CALL};
    if (is_half(s))
        tell_escape(s, out);
    if (s->phase != CUSTOM_BEFORE && s->phase != CUSTOM_ODD)
        return;
    arena_init(&a, 4096, 8 * (size_t)STREAM_HOLD_MAX);
    ir_set_arguments(&call, buf_str(&s->odd), &a);
    if (s->odd.n)
        buf_put_str(out, custom_text(&call, &a));
    arena_fini(&a);
}
