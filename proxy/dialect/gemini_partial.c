/* gemini_partial.c: arguments of a call that come as {"jsonPath":"$.a.b[0]","stringValue":"…"}, put
 * together to the text of one JSON object while they come.
 *
 * Pieces come in the order of the text: a path never goes back into what was closed. Between two
 * pieces the containers that are not shared are closed, the new ones opened. A string that
 * willContinue stays open until another path, or its last piece, comes. */
#include "proxy/dialect/gemini.h"

struct path {
    struct gemini_step step[GEMINI_PATH_DEPTH];
    unsigned n;
};

static bool read_step(struct str *rest, struct gemini_step *step)
{
    size_t n = 0;
    bool bracket = *rest->p == '[';
    char quote = bracket && rest->n > 1 && (rest->p[1] == '\'' || rest->p[1] == '"') ? rest->p[1] : 0;
    size_t i = quote ? 2 : 1;
    *step = (struct gemini_step){.index = bracket && !quote};
    for (; i < rest->n; i++) {
        char c = rest->p[i];
        if (quote ? c == quote : bracket ? c == ']' : c == '.' || c == '[')
            break;
        if (n + 1 >= sizeof step->key)
            return false;
        step->key[n++] = c;
    }
    if (quote && i < rest->n)
        i++;
    if (bracket && (i >= rest->n || rest->p[i++] != ']'))
        return false;
    *rest = str_from(*rest, i);
    return n > 0;
}

static bool read_path(struct str text, struct path *p)
{
    p->n = 0;
    if (!text.n || *text.p != '$')
        return false;
    text = str_from(text, 1);
    while (text.n) {
        if ((*text.p != '.' && *text.p != '[') || p->n >= GEMINI_PATH_DEPTH)
            return false;
        if (!read_step(&text, &p->step[p->n++]))
            return false;
    }
    return p->n > 0 && !p->step[0].index;
}

static bool same(const struct gemini_step *a, const struct gemini_step *b)
{
    return a->index == b->index && strcmp(a->key, b->key) == 0;
}

static void close_to(struct gemini_partial *p, unsigned depth, struct buf *out)
{
    if (p->in_string)
        buf_putc(out, '"');
    p->in_string = false;
    while (p->depth > depth)
        buf_putc(out, p->open[--p->depth].index ? ']' : '}');
}

static void put_step(const struct gemini_step *step, bool first, struct buf *out)
{
    if (!first)
        buf_putc(out, ',');
    if (step->index)
        return;
    json_quote(out, str_c(step->key));
    buf_putc(out, ':');
}

/* Closes what is not shared with `path` and opens what is new. */
static bool go(struct gemini_partial *p, const struct path *path, struct buf *out)
{
    unsigned shared = 0;
    while (shared < p->depth && shared < path->n && same(&p->open[shared], &path->step[shared]))
        shared++;
    if (shared == path->n && p->depth == path->n)
        return true; /* the same place again */
    if (shared == path->n || (shared < p->depth && p->open[shared].index != path->step[shared].index))
        return false;
    if (p->depth) {
        if (shared == p->depth)
            return false; /* a value stands where a container is asked for */
        close_to(p, shared + 1, out);
        p->open[shared] = path->step[shared];
        put_step(&path->step[shared], false, out);
        shared++;
    }
    for (; shared < path->n; shared++) {
        buf_putc(out, path->step[shared].index ? '[' : '{');
        p->open[p->depth++] = path->step[shared];
        put_step(&path->step[shared], true, out);
    }
    return true;
}

static void put_string(struct gemini_partial *p, struct str text, bool again, struct buf *out)
{
    if (!again || !p->in_string)
        buf_putc(out, '"');
    p->in_string = true;
    buf_put_str(out, text);
}

bool gemini_partial_add(struct gemini_partial *p, struct json_span piece, struct buf *out)
{
    static const char *const values[] = {"numberValue", "boolValue"};
    struct path path;
    bool was_open = p->in_string;
    char plain[512];
    struct str text = ir_text(gemini_get(piece.raw, "jsonPath"));
    str_copy(plain, sizeof plain, text);
    if (p->broken || text.n >= sizeof plain || !read_path(str_c(plain), &path))
        return !(p->broken = true);
    bool again = p->depth == path.n && was_open;
    for (unsigned i = 0; again && i < path.n; i++)
        again = same(&p->open[i], &path.step[i]);
    if (!again && !go(p, &path, out))
        return !(p->broken = true);
    struct json_span string = gemini_get(piece.raw, "stringValue");
    if (string.type == JSON_STRING) {
        put_string(p, ir_text(string), again, out);
        if (!json_is_true(gemini_get(piece.raw, "willContinue"))) {
            buf_putc(out, '"');
            p->in_string = false;
        }
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct json_span v = gemini_get(piece.raw, values[i]);
        if (v.type != JSON_NONE) {
            buf_put_str(out, v.raw);
            return true;
        }
    }
    buf_puts(out, "null"); /* nullValue */
    return true;
}

void gemini_partial_end(struct gemini_partial *p, struct buf *out)
{
    if (!p->depth)
        buf_puts(out, "{}");
    close_to(p, 0, out);
    *p = (struct gemini_partial){0};
}
